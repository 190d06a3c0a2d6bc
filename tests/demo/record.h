/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * record.h - what the demo writes down, and what the verdict is computed from
 *
 * A demo's directory holds
 *
 *   client.tsv    the client's history, by the client program
 *   moves.tsv     each move as it was ordered, by the director
 *   client.pcap   the packets at the client's interface
 *   NAME-svc.pcap the packets at each VM's service port
 *   verdict.txt   what was printed of it in the end
 *   browser/      the second part (browse.h)
 *
 * Both .tsv files are lines of words between tabs; the first word says what
 * the others are.  Times are of the monotonic clock in nanoseconds.
 *
 *   clock    MONOTONIC REALTIME           the same moment on both clocks; twice
 *   session  NUMBER KIND PORT             opened; PORT is the client's
 *   request  NUMBER SEQ PAGE SENT FIRST DONE GAP COUNTER VM BYTES
 *   error    NUMBER TIME TEXT             the session ends with it
 *   closed   NUMBER TIME REQUESTS         just before the client closes it
 *
 *   move     SEQ NUMBER SLICE SOURCE TARGET BEGIN END RESULT BYTES
 *   destroy  VM TIME                      the VM was ended with virsh
 *   tail     REQUESTS                     each session had to do so many after it
 *   wanted   MOVES                        so many had to be made
 */
#ifndef SLICE_DEMO_RECORD_H
#define SLICE_DEMO_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

typedef struct DemoRequest {
    unsigned int session, seq;
    char *page, *vm;
    int64_t sent_ns, first_ns, done_ns, gap_ns;
    uint64_t counter, bytes;
} DemoRequest;

typedef struct DemoSession {
    unsigned int number;
    char *kind;
    uint16_t port;
    int64_t closed_ns;          /* 0: never said so */
    unsigned int n_requests;    /* as it said when it closed */
    char *error;                /* NULL: none */
    GArray *requests;           /* DemoRequest, in order */
} DemoSession;

typedef struct DemoMove {
    unsigned int seq, session;
    char *slice, *source, *target, *result;
    int64_t begin_ns, end_ns;
    uint64_t bytes;
} DemoMove;

typedef struct DemoRecord {
    GPtrArray *sessions;        /* DemoSession, by number */
    GArray *moves;              /* DemoMove */
    int64_t clock_ns[2];        /* first and last moment, monotonic ... */
    int64_t offset_ns[2];       /* ... and by how much realtime is ahead then */
    char *destroyed;            /* VM, or NULL */
    int64_t destroyed_ns;
    unsigned int n_tail, n_wanted;
} DemoRecord;

/** demo_record_read: both files of @dir; a malformed line is an error. */
DemoRecord *demo_record_read(const char *dir, GError **error);
void demo_record_free(DemoRecord *record);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DemoRecord, demo_record_free)

/** demo_realtime: a moment of the monotonic clock on the captures' clock, which
 *  may have been corrected during the demo. */
int64_t demo_realtime(const DemoRecord *record, int64_t monotonic_ns);

/**
 * demo_verify: compute the verdict from a demo's directory and print it
 *
 * Returns whether everything held.  The table also goes to verdict.txt.
 */
bool demo_verify(const char *dir, GError **error);

#endif /* SLICE_DEMO_RECORD_H */
