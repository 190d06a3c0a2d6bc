/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store.h - the engine's parts among themselves
 *
 * A SliceStore has a table (table.h), at most one port (the guest's device,
 * slice/port.h) and one gate (slice/gate.h), a listener, the connections that
 * came in and, for each engine that it has sent a slice to, a peer.
 *
 *     store.c   the object, listener, connections, dispatch of frames
 *     guest.c   the port: what the guest is told and says
 *     flows.c   the gate, over all flows of a slice
 *     peer.c    dialling another engine and keeping the connection
 *     transfer.c  image and packets of a slice on its way
 *     move.c    a slice leaves: source side;  job.c: the slice-move job
 *     reserve.c a place for a slice that is to come
 *     arrive.c  a slice comes: target side
 *     find.c    a connection looks for its session;  follow.c: it moves there
 *     lookup.c  another VM's connection does
 *     lease.c   terms for such moves;  bucket.h: rates
 *     info.c    QAPI's view of all that;  events.c, qmp.c, hmp.c: monitor
 *     vmstate.c saved and restored VMs
 *
 * Threads: main loop, BQL held, everywhere.
 */
#ifndef SLICE_STORE_H
#define SLICE_STORE_H

#include "io/net-listener.h"
#include "qemu/coroutine.h"
#include "qemu/job.h"
#include "qemu/notify.h"
#include "qom/object.h"
#include "slice/conn.h"
#include "slice/gate.h"
#include "slice/lease.h"
#include "slice/port.h"
#include "slice/table.h"
#include "slice/why.h"

OBJECT_DECLARE_SIMPLE_TYPE(SliceStore, SLICE_STORE)

typedef struct SliceSaved SliceSaved;
typedef struct SliceTransfer SliceTransfer;
typedef struct SliceFind SliceFind;
typedef struct SliceFinds SliceFinds;
typedef struct SliceLookups SliceLookups;
typedef struct SliceMoveJob SliceMoveJob;

#define SLICE_LAYERS_MAX         16
#define SLICE_IMAGE_BYTES_MAX    (256u << 20)   /* one image */
#define SLICE_IMAGES_BYTES_MAX   (1024u << 20)  /* of all that move now */
#define SLICE_PACKETS_BYTES_MAX  (4u << 20)     /* kept for one slice */
#define SLICE_PACKETS_TOTAL_MAX  (256u << 20)   /* and for all of them */
#define SLICE_INCOMING_MAX       64             /* connections taken */

/**
 * SlicePeer: an engine to which slices go
 * @address_name: what names @address among the peers
 * @n_wanted: moves that need the connection: it is dialled again and again
 *     while there are any
 * @n_users: transfers, finds and lists that point here
 * @transfers: those whose target it is
 */
typedef struct SlicePeer {
    SliceStore *store;
    char *name;
    SocketAddress *address;
    char *address_name;
    SliceConn *conn;
    struct SliceDial *dial;
    QEMUTimer *timer;
    int64_t retry_ms;
    uint32_t n_wanted;
    uint32_t n_users;
    QTAILQ_HEAD(, SliceTransfer) transfers;
    QTAILQ_ENTRY(SlicePeer) next;
} SlicePeer;

/* A packet that is kept for a moving slice. */
typedef struct SlicePacket {
    uint32_t origin;
    uint32_t bytes;
    uint8_t data[];
} SlicePacket;

/**
 * SliceTransfer: a slice on its way, and afterwards the way its packets go
 * @entry: whose it is
 * @is_active: between QUIESCE or PREPARE and the end; blocks migration
 * @box: bulk to @peer (source) or @conn (packets that go back)
 * @image: the bytes so far; until GONE at the source, until plugged at the
 *     target
 * @image_total: as the sender announced it, 0 while unknown
 * @is_whole: all bytes are here (and, at the target, their CRC agrees)
 * @packets: SlicePacket; at the source all of them until GONE
 * @n_packets_sent: of @packets, on this connection
 * @packet_bytes: of @packets, with what each costs besides
 * @n_packets: that passed, for the events
 * @credit: bytes of bulk that the target takes
 * @credit_owed: that we owe to the source
 * @moved_bytes: of the image, kept for the events
 * @began_us: for the time a move takes
 *
 * At the source: @peer, @job (NULL once it is told), @deadline, @deadline_ms,
 * @is_unforgotten (GONE, and not known yet that FORGOT has arrived),
 * @has_regrouped (a connection has come or gone on in another slice since the
 * move began, and the target holds others), @is_announced (event 'quiesced' was
 * sent), @is_unplugged (the guest was told to), @is_lost (its guest was reset: it
 * can not resume),
 * @end_sent, @image_sent, @why.
 * @find: that moves it to its session; NULL: the orchestrator does.
 * At the target: @conn, @is_room_asked, @is_booked (the guest keeps room),
 * @is_takeover, @deadline, @lapse_ms (the reservation ends by itself; 0: never).
 */
struct SliceTransfer {
    SliceStore *store;
    SliceEntry *entry;
    bool is_active;
    SliceOutbox box;
    GByteArray *image;
    uint64_t image_total;
    uint64_t moved_bytes;
    uint32_t image_crc;
    bool is_whole;
    GPtrArray *packets;
    uint32_t n_packets_sent;
    uint64_t packet_bytes;
    uint64_t n_packets;
    uint64_t credit;
    uint64_t credit_owed;
    QEMUTimer *deadline;
    uint32_t why;
    SliceFlow *told_flows;      /* by the guest during the move */
    uint32_t n_told_flows;
    bool has_told_flows;

    SlicePeer *peer;
    QTAILQ_ENTRY(SliceTransfer) peer_next;
    SliceMoveJob *job;
    QTAILQ_ENTRY(SliceTransfer) job_next;
    SliceFind *find;
    uint32_t deadline_ms;
    bool is_unforgotten;
    bool has_regrouped;
    bool is_announced;
    bool is_unplugged;
    bool is_lost;
    bool is_end_sent;
    uint64_t image_sent;

    SliceConn *conn;
    bool is_room_asked;
    bool is_booked;
    bool is_takeover;
    uint32_t lapse_ms;
};

/* An event that waits for a buffer of the guest's. */
typedef struct SliceGuestEvent {
    uint16_t type;
    SliceId slice;
    uint64_t term;
    uint64_t arg;
    uint8_t data[SLICE_PORT_DATA_BYTES];
} SliceGuestEvent;

typedef struct SliceWaiter {
    QemuCoSleep sleep;
    QLIST_ENTRY(SliceWaiter) next;
} SliceWaiter;

struct SliceStore {
    Object parent_obj;

    /* properties */
    char *name;
    char *listen;
    uint64_t image_bytes_max;

    uint64_t incarnation;
    uint32_t orchestrator;      /* the highest incarnation that commanded */
    SliceTable *table;
    NotifierList on_incarnation;

    const SlicePortOps *port_ops;
    void *port;
    bool is_guest_ready;
    SliceLayerInfo layers[SLICE_LAYERS_MAX];
    uint32_t n_layers;
    GQueue *guest_events;
    QEMUTimer *guest_timer;

    const SliceGateOps *gate_ops;
    void *gate;
    uint64_t n_dropped;         /* packets, by the engine */

    QIONetListener *listener;
    SliceConn *incoming[SLICE_INCOMING_MAX];
    uint32_t n_conns;           /* both ways, until they are closed */
    QTAILQ_HEAD(, SlicePeer) peers;

    SliceFinds *finds;
    SliceLookups *lookups;
    GHashTable *reservations;   /* SliceId -> that the guest thinks about */
    uint32_t n_changes;         /* slices that came or left, ever */
    uint32_t n_arrivals;        /* of them, those that came */

    uint64_t images_bytes;      /* in memory now */
    uint64_t packets_bytes;     /* kept for transfers now */
    uint32_t n_active;          /* transfers, and what guests think about */
    Error *blocker;
    QLIST_HEAD(, SliceWaiter) waiters;
    VMChangeStateEntry *vm_change;
    bool is_incarnation_new;    /* the device does not know it yet */
    SliceSaved *saved;          /* of vmstate.c */
};

/* ---- store.c ---- */

/** The engine that QMP speaks to; NULL with @errp where there is none. */
SliceStore *slice_store_find(Error **errp);
/** A command's orchestrator: false if a newer one has commanded before. */
bool slice_store_obey(SliceStore *store, uint32_t orchestrator);
/** Draw another incarnation and tell the device. */
void slice_store_renew(SliceStore *store);
/**
 * Tell the guest.  @must: it is queued where there is no room for it;
 * otherwise false.
 */
bool slice_store_tell_guest(SliceStore *store, uint16_t type, SliceId slice,
                            uint64_t term, uint64_t arg, bool must);
/** The same with the event's data, or NULL for zeroes. */
bool slice_store_tell_guest_data(SliceStore *store, uint16_t type,
                                 SliceId slice, uint64_t term, uint64_t arg,
                                 const uint8_t *data, bool must);
/** Offer the guest what waits for it. */
void slice_guest_flush(void *opaque /* SliceStore */);
/** Let coroutines look again. */
void slice_store_wake(SliceStore *store);
/**
 * Wait for slice_store_wake(), at most until @until_ns (realtime clock).
 * Returns false when that has passed.
 */
bool coroutine_fn slice_store_wait(SliceStore *store, int64_t until_ns);
/** Ids in messages and QMP. */
void slice_step_trace(SliceStore *store, const char *step,
                      const SliceEntry *entry, uint32_t why);

/* Gate, over all flows of an entry; nothing where there is none. */
bool slice_gate_set(SliceStore *store, const SliceEntry *entry,
                    SliceGateMode mode, Error **errp);
void slice_gate_drain_ring(SliceStore *store, const SliceEntry *entry);
void slice_gate_release(SliceStore *store, const SliceEntry *entry);
void slice_gate_give_back(SliceStore *store, const SliceEntry *entry);
void slice_gate_remove(SliceStore *store, const SliceEntry *entry);
/** Packet of a peer's, checked to be of the entry: put (in HOLD) or inject. */
void slice_gate_take(SliceStore *store, SliceEntry *entry, uint32_t origin,
                     const uint8_t *data, size_t bytes);

/**
 * Something is under way that a saved VM could not go on with: no migration
 * begins.  False where one has begun.
 */
bool slice_store_begin_active(SliceStore *store);
void slice_store_end_active(SliceStore *store);

/* Transfers. */
/** NULL (nothing done) while the VM is being migrated or saved. */
SliceTransfer *slice_transfer_new(SliceStore *store, SliceEntry *entry);
void slice_transfer_free(SliceTransfer *transfer);
/** Not moving any more: migration may begin. */
void slice_transfer_rest(SliceTransfer *transfer);
/** FORGOT has arrived, or nobody waits for it. */
void slice_transfer_forgotten(SliceTransfer *transfer);
void slice_transfer_drop_image(SliceTransfer *transfer);
/** More of the image; false where it does not fit. */
bool slice_transfer_add(SliceTransfer *transfer, const uint8_t *data,
                        size_t bytes);
/** Keep a packet for sending; past a bound it is dropped and counted. */
void slice_transfer_add_packet(SliceTransfer *transfer, uint32_t origin,
                               const uint8_t *data, size_t bytes);
/** Drop the first @n packets that were kept. */
void slice_transfer_drop_packets(SliceTransfer *transfer, uint32_t n);
/**
 * What the connection fetches: image, its end, packets.  A transfer without a
 * peer is a target's: its packets go back.
 */
uint8_t *slice_transfer_next_bulk(SliceOutbox *box, size_t *ret_bytes);
void slice_transfer_arm(SliceTransfer *transfer, uint32_t ms);
/** The flows that the guest told during the move take effect. */
void slice_transfer_apply_flows(SliceStore *store, SliceEntry *entry);

/* ---- peer.c ---- */

SlicePeer *slice_peer_get(SliceStore *store, const char *name,
                          SocketAddress *address);
void slice_peer_ref(SlicePeer *peer);
void slice_peer_put(SlicePeer *peer);
/** A move needs it (until slice_peer_unwant()). */
void slice_peer_want(SlicePeer *peer);
void slice_peer_unwant(SlicePeer *peer);
/** There is something to send: dial if there is no connection. */
void slice_peer_dial(SlicePeer *peer);
/** Its connection has ended. */
void slice_peer_lost(SlicePeer *peer);
void slice_peer_free_all(SliceStore *store);

/* ---- connections, store.c ---- */

SliceConn *slice_store_conn_new(SliceStore *store, QIOChannel *ioc,
                                bool is_outgoing);

/* ---- move.c ---- */

SliceAnswer slice_move_begin(SliceStore *store, SliceId id, uint64_t term,
                             SlicePeer *peer, uint32_t deadline_ms,
                             SliceMoveJob *job, uint32_t *ret_why);
SliceAnswer slice_move_unplug(SliceStore *store, SliceId id, uint64_t term,
                              uint32_t *ret_why);
SliceAnswer coroutine_fn slice_move_abort(SliceStore *store, SliceId id,
                                          uint64_t term, uint32_t *ret_why);
/** The decision of ABORT alone; RESUMED: the guest may still be at it. */
SliceAnswer slice_move_abort_now(SliceStore *store, SliceId id, uint64_t term);
/** A frame of the target's. */
bool slice_move_frame(SliceStore *store, SliceConn *conn,
                      const SliceStreamHeader *header, const uint8_t *payload,
                      const char **ret_why);
/** The connection to @peer is there: send what is not answered. */
void slice_move_peer_ready(SlicePeer *peer);
/** An entry of ours loses its guest. */
void slice_move_guest_lost(SliceStore *store, SliceEntry *entry);
/** The guest has ended the slice while it was being quiesced. */
void slice_move_ended(SliceStore *store, SliceEntry *entry);
/** A packet from the gate. */
void slice_move_deliver(SliceStore *store, SliceEntry *entry, uint32_t origin,
                        const uint8_t *frame, size_t bytes);
void slice_move_deadline(SliceTransfer *transfer);

/* ---- job.c ---- */

/** The transfer is the job's (NULL: nobody's). */
void slice_job_add(SliceMoveJob *job, SliceTransfer *transfer);
/** The transfer's slice is gone, or will not go. */
void slice_job_item_done(SliceTransfer *transfer, bool moved);
/**
 * slice_move_start: what the command slice-move does
 * @ret_answers: for each slice, @n of them
 *
 * Return: false (with errp) where no job could be made; nothing has begun.
 */
bool slice_move_start(SliceStore *store, const char *job_id, SlicePeer *peer,
                      const SliceId *ids, const uint64_t *terms, uint32_t n,
                      uint32_t deadline_ms, SliceAnswer *ret_answers,
                      uint32_t *ret_whys, Error **errp);

/* ---- reserve.c ---- */

/**
 * SliceArrival: what slice-prepare, or RESERVE on the stream, says
 * @counts: capsules by layer
 * @lapse_ms: the reservation ends by itself after that; 0: never
 */
typedef struct SliceArrival {
    SliceId id;
    uint64_t term;
    const char *source;
    const SliceFlow *flows;
    uint32_t n_flows;
    const SliceLayerInfo *layers;
    uint32_t n_layers;
    uint32_t vnet_hdr_len;
    uint64_t memory_bytes;
    SliceLayerCount counts[SLICE_COUNTS_MAX];
    uint32_t lapse_ms;
} SliceArrival;

typedef void SliceReserveDone(void *opaque, SliceId id, uint64_t term,
                              SliceAnswer answer, uint32_t why);

/**
 * slice_reserve: a place for a slice
 * @arrival: copied where it is needed longer
 * @done: is called once, later, with @opaque
 * @ret_answer, @ret_why: where the answer is known at once
 *
 * Return: true where the guest has been asked and @done will be called.
 */
bool slice_reserve(SliceStore *store, const SliceArrival *arrival,
                   SliceReserveDone *done, void *opaque,
                   SliceAnswer *ret_answer, uint32_t *ret_why);
/** Is the guest still thinking (for @opaque, or NULL: whomever)?  No more. */
bool slice_reserve_cancel(SliceStore *store, SliceId id, uint64_t term,
                          void *opaque);
/** @opaque (NULL: everybody) does not wait any longer; done is not called. */
void slice_reserve_drop(SliceStore *store, void *opaque);
void slice_reserve_guest_lost(SliceStore *store);
bool slice_reserve_frame(SliceStore *store, SliceConn *conn,
                         const SliceStreamHeader *header,
                         const uint8_t *payload, const char **ret_why);
/** What the command slice-prepare does. */
SliceAnswer coroutine_fn slice_arrive_prepare(SliceStore *store,
                                              const SliceArrival *arrival,
                                              uint32_t *ret_why);

/* ---- arrive.c ---- */

/** A connection of that source's, the newest that speaks; or NULL. */
SliceConn *slice_arrive_find_conn(SliceStore *store, const char *name);
SliceAnswer slice_arrive_cancel(SliceStore *store, SliceId id, uint64_t term);
SliceAnswer coroutine_fn slice_arrive_takeover(SliceStore *store, SliceId id,
                                               uint64_t term);
/** A frame of the source's. */
bool slice_arrive_frame(SliceStore *store, SliceConn *conn,
                        const SliceStreamHeader *header,
                        const uint8_t *payload, const char **ret_why);
/** The source's connection is there: say what it may have missed. */
void slice_arrive_conn_ready(SliceStore *store, SliceConn *conn);
void slice_arrive_conn_lost(SliceStore *store, SliceConn *conn);
void slice_arrive_guest_lost(SliceStore *store, SliceEntry *entry);
void slice_arrive_deadline(SliceTransfer *transfer);
/** Confirm (or not) a slice of a restored VM. */
SliceAnswer slice_arrive_confirm(SliceStore *store, SliceId id, uint64_t term,
                                 bool accept);

/* ---- find.c ---- */

SliceFinds *slice_finds_new(void);
void slice_finds_free(SliceFinds *finds);
/**
 * The cluster's other engines, instead of those that were told before.
 * @peers: SlicePeer, each used once for it; a reference is taken
 */
void slice_find_set_peers(SliceStore *store, GPtrArray *peers);
const GPtrArray *slice_find_peers(SliceStore *store);
/** Finds under way. */
uint32_t slice_find_n(SliceStore *store);
bool slice_find_frame(SliceStore *store, SliceConn *conn,
                      const SliceStreamHeader *header, const uint8_t *payload,
                      const char **ret_why);
void slice_find_peer_ready(SlicePeer *peer);
void slice_find_peer_lost(SlicePeer *peer);
void slice_find_guest_lost(SliceStore *store);

/* ---- follow.c ---- */

bool slice_follow_frame(SliceStore *store, SliceConn *conn,
                        const SliceStreamHeader *header,
                        const uint8_t *payload, const char **ret_why);
/** The guest is quiet, the stream stands. */
void slice_follow_quiesced(SliceTransfer *transfer);
/** The slice has gone, or stays. */
void slice_follow_over(SliceTransfer *transfer, bool moved);
/** Terms [first, first + count) are for this engine; false: they are none. */
bool slice_follow_lease(SliceStore *store, uint64_t first, uint32_t count);
uint64_t slice_follow_terms_left(SliceStore *store);

/* ---- lookup.c ---- */

SliceLookups *slice_lookups_new(void);
void slice_lookups_free(SliceLookups *lookups);
bool slice_lookup_frame(SliceStore *store, SliceConn *conn,
                        const SliceStreamHeader *header,
                        const uint8_t *payload, const char **ret_why);
void slice_lookup_conn_lost(SliceStore *store, SliceConn *conn);
void slice_lookup_guest_lost(SliceStore *store);

/* ---- info.c ---- */

char *slice_id_str(SliceId id);
bool slice_id_parse(const char *text, SliceId *ret_id);
SliceInfo *slice_info_new(SliceStore *store, const SliceEntry *entry);
SliceStoreInfo *slice_store_info_new(SliceStore *store);
SliceFlowInfo *slice_flow_info_new(const SliceFlow *flow);
bool slice_flow_parse(const SliceFlowInfo *info, SliceFlow *ret_flow);

/* ---- events.c ---- */

void slice_event_step(SliceStore *store, SliceId id, uint64_t term,
                      SliceStep step, uint32_t why, uint64_t bytes,
                      uint64_t packets);
void slice_event_changed(SliceStore *store, const SliceEntry *entry,
                         bool ended);
void slice_event_guest(SliceStore *store);
void slice_event_lease_low(SliceStore *store);

/* ---- vmstate.c ---- */

void slice_vmstate_register(SliceStore *store);
void slice_vmstate_unregister(SliceStore *store);

#endif /* SLICE_STORE_H */
