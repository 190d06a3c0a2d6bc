/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conn.h - one connection of the slice stream
 *
 * A connection sends and receives frames; what they mean is its owner's
 * business.  HELLO is exchanged first, and nothing else leaves or is taken
 * before.  Control frames (slice_conn_send) leave in order and overtake bulk,
 * which is fetched from outboxes, one frame of each in turn.
 *
 * Lifetime: from slice_conn_new() until after the closed callback, which comes
 * exactly once, from a coroutine of the main loop and never from within a call
 * of one of the functions below.
 *
 * Threads: two coroutines (reader, writer) in the main AioContext, BQL held.
 */
#ifndef SLICE_CONN_H
#define SLICE_CONN_H

#include "io/channel.h"
#include "qemu/queue.h"
#include "slice/bucket.h"
#include "slice/frame.h"
#include "slice/types.h"

typedef struct SliceConn SliceConn;
typedef struct SliceOutbox SliceOutbox;

/**
 * SliceOutbox: where a connection fetches a slice's bulk
 * @conn: that fetches, or NULL
 * @next: the next frame (to be freed by g_free()) and its length, or NULL
 *     where there is none that may be sent now
 */
struct SliceOutbox {
    SliceConn *conn;
    uint8_t *(*next)(SliceOutbox *box, size_t *ret_bytes);
    bool queued;
    QTAILQ_ENTRY(SliceOutbox) entry;
};

/**
 * SliceConnNotes: what the owner keeps about a connection
 * @n_lookups: that its peer waits for
 * @lookups: how fast it may ask
 */
typedef struct SliceConnNotes {
    uint32_t n_lookups;
    SliceBucket lookups;
} SliceConnNotes;

typedef struct SliceConnOps {
    /** HELLO came. */
    void (*ready)(void *opaque, SliceConn *conn);
    /**
     * A frame came whole and unspoiled; PING is answered here.  Returns
     * false with *ret_why (a constant) to end the connection.
     */
    bool (*frame)(void *opaque, SliceConn *conn,
                  const SliceStreamHeader *header, const uint8_t *payload,
                  const char **ret_why);
    /** It is over; drop every pointer to it. */
    void (*closed)(void *opaque, SliceConn *conn);
} SliceConnOps;

/**
 * slice_conn_new: take up a connected channel
 * @ioc: a reference is taken
 * @is_outgoing: dialled by us: we are the source
 * @hello: what we say
 */
SliceConn *slice_conn_new(QIOChannel *ioc, bool is_outgoing,
                          const SliceStreamHello *hello,
                          const SliceConnOps *ops, void *opaque);
/** End it; the closed callback follows. */
void slice_conn_close(SliceConn *conn);
bool slice_conn_is_outgoing(const SliceConn *conn);
/** HELLO came, and it is not being closed. */
bool slice_conn_is_ready(const SliceConn *conn);
/** Was @conn made after @other? */
bool slice_conn_is_newer(const SliceConn *conn, const SliceConn *other);
/** The peer's name, "" before HELLO. */
const char *slice_conn_peer_name(const SliceConn *conn);

SliceConnNotes *slice_conn_notes(SliceConn *conn);

/** Queue a control frame; dropped where the connection is not ready. */
void slice_conn_send(SliceConn *conn, uint16_t type, SliceId slice,
                     uint64_t term, const void *payload, size_t bytes);
/** Give a slice's bulk to a connection, or (NULL) to none. */
void slice_outbox_attach(SliceOutbox *box, SliceConn *conn);
/** There may be something in the outbox now. */
void slice_outbox_kick(SliceOutbox *box);

#endif /* SLICE_CONN_H */
