/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * follow.c - a slice moves to where its session is, by the engines alone
 *
 *   RESERVE ──► RESERVED ──► QUIESCE, guest quiet ──► UNPLUG … FORGOT (move.c)
 *
 * It is a move like others but for who begins it: the term is one that the
 * orchestrator has leased to this engine, the target is asked over the stream,
 * and what slice-unplug would say is done as soon as the guest is quiet.  The
 * switch is not told: the gate of this VM forwards what still comes here, until
 * the orchestrator sees the move's events and corrects the rules.
 *
 * Ownership.  The rules are those of all moves.  This engine gives up by itself
 * only while DELTA_END has not been sent; afterwards PLUGGED, REFUSED, or the
 * orchestrator's ABORT decide, and the orchestrator's TAKEOVER where this VM
 * has died.  A place that was reserved and is not used is given back by
 * CANCELLED, or lapses.
 *
 * What fails.  A target that is busy and a lease without a term above the
 * slice's own may be otherwise in a moment: the find goes on seeking, with a
 * pause, until its deadline.  A target that refuses, a slice that cannot move
 * or be plugged: "not in time", at once, for asking again would not help.  An
 * abort by the orchestrator, a slice that moves for another reason: "ask
 * again".
 *
 * Below: move.c, lease.c.  Above: find.c.
 */
#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qemu/timer.h"
#include "standard-headers/linux/virtio_slice.h"
#include "slice/find.h"
#include "trace.h"

#define LAPSE_GRACE_MS 1000

static uint32_t left_ms(const SliceFind *find)
{
    int64_t left = find->until_ms - qemu_clock_get_ms(QEMU_CLOCK_REALTIME);

    return CLAMP(left, 1, SLICE_STREAM_DEADLINE_MS_MAX);
}

static SliceEntry *idle_entry(SliceFind *find)
{
    SliceEntry *entry = slice_table_find(find->store->table, find->slice);

    return entry && entry->state == SLICE_STATE_OWNER && !entry->resuming &&
           !entry->fenced ? entry : NULL;
}

/* Not now, perhaps soon. */
static void try_again(SliceFind *find, const char *why)
{
    trace_slice_follow(find->store->name, find->slice.counter, find->term,
                       why);
    slice_follow_stop(find);
    find->owner = NULL;
    slice_find_seek_on(find);
}

/* It is of no use to ask again. */
static void give_up(SliceFind *find, const char *why)
{
    trace_slice_follow(find->store->name, find->slice.counter, find->term,
                       why);
    slice_find_done(find, ETIMEDOUT);
}

static bool uses_layer(const SliceEntry *entry, const SliceLayerInfo *layer)
{
    for (int i = 0; i < SLICE_COUNTS_MAX; i++) {
        if (entry->counts[i].rank == layer->rank && entry->counts[i].n) {
            return true;
        }
    }
    return false;
}

/*
 * What the target has to judge.  Its reservation outlives our own deadline a
 * little: it is there for a source that has died.
 */
static void say_reserve(SliceFind *find, const SliceEntry *entry)
{
    SliceStore *store = find->store;
    g_autofree uint8_t *payload = g_malloc(SLICE_FRAME_RESERVE_BYTES_MAX);
    SliceStreamLayer layers[SLICE_STREAM_LAYERS_MAX] = {};
    SliceStreamReserve reserve = {
        .memory_bytes = entry->memory_bytes,
        .vnet_hdr_bytes = store->gate_ops
                          ? store->gate_ops->vnet_hdr_len(store->gate) : 0,
        .deadline_ms = MIN(left_ms(find) + LAPSE_GRACE_MS,
                           SLICE_STREAM_DEADLINE_MS_MAX),
        .n_flows = entry->n_flows,
    };

    QEMU_BUILD_BUG_ON(SLICE_TABLE_FLOWS_MAX != SLICE_STREAM_FLOWS_MAX);
    QEMU_BUILD_BUG_ON(SLICE_LAYERS_MAX != SLICE_STREAM_LAYERS_MAX);
    QEMU_BUILD_BUG_ON(sizeof(reserve.counts) != sizeof(entry->counts));
    memcpy(reserve.counts, entry->counts, sizeof(reserve.counts));
    for (uint32_t i = 0; i < store->n_layers; i++) {
        const SliceLayerInfo *from = &store->layers[i];
        SliceStreamLayer *to = &layers[reserve.n_layers];

        if (uses_layer(entry, from)) {
            pstrcpy((char *)to->name, sizeof(to->name), from->name);
            to->version = from->version;
            to->rank = from->rank;
            to->abi_hash = from->abi_hash;
            reserve.n_layers++;
        }
    }
    slice_conn_send(find->owner->conn, SLICE_STREAM_RESERVE, find->slice,
                    find->term, payload,
                    slice_frame_put_reserve(payload, &reserve, layers,
                                            entry->flows));
}

void slice_follow_begin(SliceFind *find, SlicePeer *owner)
{
    SliceFinds *finds = find->store->finds;
    SliceEntry *entry = idle_entry(find);

    if (!entry) {
        slice_find_done(find, EBUSY);
        return;
    }
    if (entry->movability == SLICE_MOVABILITY_PINNED) {
        give_up(find, "pinned");
        return;
    }
    if (!slice_lease_take(&finds->lease, entry->term, &find->term)) {
        if (slice_lease_has_failed(&finds->lease)) {
            slice_event_lease_low(find->store);
        }
        try_again(find, "no term");
        return;
    }
    if (slice_lease_has_become_low(&finds->lease)) {
        slice_event_lease_low(find->store);
    }
    trace_slice_follow(find->store->name, find->slice.counter, find->term,
                       owner->name);
    find->stage = SLICE_FIND_RESERVING;
    find->owner = owner;
    g_hash_table_insert(finds->by_term, &find->term, find);
    timer_mod(find->timer, find->until_ms);
    say_reserve(find, entry);
    find->has_asked = true;
}

/* The target holds its flows: it may leave. */
static void leave(SliceFind *find)
{
    SliceStore *store = find->store;
    SliceEntry *entry = idle_entry(find);
    uint32_t why;

    if (!entry) {
        slice_find_done(find, EBUSY);
        return;
    }
    slice_store_tell_guest(store, VIRTIO_SLICE_EVENT_FIND_DONE, find->slice, 0,
                           find->guest_tag, true);
    if (slice_move_begin(store, find->slice, find->term, find->owner,
                         left_ms(find), NULL, &why) != SLICE_ANSWER_OK) {
        slice_find_done(find, EBUSY);
        return;
    }
    find->stage = SLICE_FIND_MOVING;
    /* From now on the move has its own deadlines. */
    timer_del(find->timer);
    entry->transfer->find = find;
}

bool slice_follow_frame(SliceStore *store, SliceConn *conn,
                        const SliceStreamHeader *header,
                        const uint8_t *payload, const char **ret_why)
{
    SliceStreamReserved reserved;
    SliceFind *find;

    if (!slice_frame_get_reserved(payload, header->bytes, &reserved,
                                  ret_why)) {
        return false;
    }
    find = g_hash_table_lookup(store->finds->by_term, &header->term);
    if (!find || find->stage != SLICE_FIND_RESERVING ||
        find->owner->conn != conn ||
        !slice_id_is(find->slice, (SliceId) { header->incarnation,
                                              header->counter })) {
        return true;
    }
    if (reserved.status) {
        find->has_asked = false;
        if (reserved.status == EBUSY) {
            try_again(find, slice_why_name(reserved.why) ?: "busy");
        } else {
            give_up(find, slice_why_name(reserved.why) ?: "refused");
        }
    } else {
        leave(find);
    }
    return true;
}

void slice_follow_deadline(SliceFind *find)
{
    if (find->stage == SLICE_FIND_RESERVING) {
        slice_find_done(find, ETIMEDOUT);
    }
}

void slice_follow_stop(SliceFind *find)
{
    SliceEntry *entry = slice_table_find(find->store->table, find->slice);

    if (find->stage == SLICE_FIND_RESERVING && find->has_asked &&
        find->owner->conn) {
        slice_conn_send(find->owner->conn, SLICE_STREAM_CANCELLED,
                        find->slice, find->term, NULL, 0);
    }
    if (find->term) {
        g_hash_table_remove(find->store->finds->by_term, &find->term);
        find->term = 0;
    }
    find->has_asked = false;
    if (entry && entry->transfer && entry->transfer->find == find) {
        entry->transfer->find = NULL;
    }
}

void slice_follow_over(SliceTransfer *transfer, bool moved)
{
    SliceFind *find = transfer->find;

    if (!find) {
        return;
    }
    transfer->find = NULL;
    if (moved) {
        /* The guest knows, for the slice has left. */
        slice_find_free(find);
    } else {
        slice_find_done(find, transfer->why == WHY_ABORTED ||
                              transfer->why == WHY_MOVING ? EBUSY
                                                          : ETIMEDOUT);
    }
}

void slice_follow_quiesced(SliceTransfer *transfer)
{
    uint32_t why;

    if (transfer->find) {
        slice_move_unplug(transfer->store, transfer->entry->id,
                          transfer->entry->term, &why);
    }
}

bool slice_follow_lease(SliceStore *store, uint64_t first, uint32_t count)
{
    return slice_lease_add(&store->finds->lease, first, count);
}

uint64_t slice_follow_terms_left(SliceStore *store)
{
    return slice_lease_left(&store->finds->lease);
}
