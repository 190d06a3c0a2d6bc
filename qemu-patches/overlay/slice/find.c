/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * find.c - a connection has arrived here whose session is elsewhere
 *
 *   guest: FIND ──► FIND to each peer ──► FOUND … ─┬─► at one: follow.c
 *                        ▲                         ├─► at none, twice: ENOENT
 *                        └── another round ◄───────┘
 *
 * Nowhere.  A session may be on its way between two peers while these are asked
 * one after the other, so one round of "none" proves nothing.  Each answer
 * tells how many slices have come to and left that peer.  Where all peers
 * answer "none" in two rounds, and none of these counts has changed, there was
 * a moment between the rounds at which the session was nowhere: whoever had it
 * then would have had to get it after his first answer or give it away before
 * his second, and have counted that.
 *
 * A peer that does not answer, or cannot be reached, is not known to have
 * nothing: the find ends by its deadline, and the application says "later",
 * never "new session".
 *
 * Bounds: finds under way, and a rate.  A guest that asks for nothing of sense
 * spoils only its own finds.
 *
 * Below: peer.c, the port.  Above: move.c.  The side that is asked: lookup.c.
 */
#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "standard-headers/linux/virtio_slice.h"
#include "slice/find.h"
#include "trace.h"

#define FINDS_PER_SECOND    1000
#define PAUSE_MIN_MS        10
#define PAUSE_MAX_MS        320

static int64_t now_ms(void)
{
    return qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
}

SliceFinds *slice_finds_new(void)
{
    SliceFinds *finds = g_new0(SliceFinds, 1);

    finds->by_tag = g_hash_table_new(g_int64_hash, g_int64_equal);
    finds->by_guest_tag = g_hash_table_new(g_int64_hash, g_int64_equal);
    finds->by_term = g_hash_table_new(g_int64_hash, g_int64_equal);
    finds->peers = g_ptr_array_new();
    return finds;
}

void slice_finds_free(SliceFinds *finds)
{
    g_autoptr(GList) all = g_hash_table_get_values(finds->by_tag);

    for (GList *item = all; item; item = item->next) {
        slice_find_free(item->data);
    }
    for (guint i = 0; i < finds->peers->len; i++) {
        slice_peer_put(g_ptr_array_index(finds->peers, i));
    }
    g_ptr_array_unref(finds->peers);
    g_hash_table_destroy(finds->by_tag);
    g_hash_table_destroy(finds->by_guest_tag);
    g_hash_table_destroy(finds->by_term);
    g_free(finds);
}

static SliceFindPeer *peer_at(SliceFind *find, guint i)
{
    return &g_array_index(find->peers, SliceFindPeer, i);
}

static void let_peer_go(SlicePeer *peer)
{
    slice_peer_unwant(peer);
    slice_peer_put(peer);
}

void slice_find_free(SliceFind *find)
{
    SliceFinds *finds = find->store->finds;

    slice_follow_stop(find);
    g_hash_table_remove(finds->by_tag, &find->tag);
    g_hash_table_remove(finds->by_guest_tag, &find->guest_tag);
    for (guint i = 0; i < find->peers->len; i++) {
        let_peer_go(peer_at(find, i)->peer);
    }
    g_array_unref(find->peers);
    timer_free(find->timer);
    g_free(find);
}

void slice_find_done(SliceFind *find, uint32_t status)
{
    trace_slice_find_done(find->store->name, find->slice.counter, find->tag,
                          status);
    slice_store_tell_guest(find->store, VIRTIO_SLICE_EVENT_FIND_DONE,
                           find->slice, status, find->guest_tag, true);
    slice_find_free(find);
}

/* ---- rounds ---- */

static void ask(SliceFind *find, SlicePeer *peer)
{
    uint8_t payload[SLICE_FRAME_FIND_BYTES];
    SliceStreamFind wire = { .tag = find->tag };

    memcpy(wire.digest, find->digest, sizeof(wire.digest));
    if (peer->conn) {
        slice_conn_send(peer->conn, SLICE_STREAM_FIND, (SliceId) {}, 0,
                        payload, slice_frame_put_find(payload, &wire));
    }
}

static void begin_round(SliceFind *find)
{
    SliceFinds *finds = find->store->finds;

    /* An answer that is late must not count in this round. */
    g_hash_table_remove(finds->by_tag, &find->tag);
    find->tag = ++finds->last_tag;
    g_hash_table_insert(finds->by_tag, &find->tag, find);
    find->n_rounds++;
    find->is_unsure = false;
    find->n_open = find->peers->len;
    timer_mod(find->timer, find->until_ms);
    for (guint i = 0; i < find->peers->len; i++) {
        peer_at(find, i)->is_answered = false;
        ask(find, peer_at(find, i)->peer);
    }
}

static void pause_round(SliceFind *find)
{
    timer_mod(find->timer, MIN(now_ms() + find->pause_ms, find->until_ms));
    find->pause_ms = MIN(find->pause_ms * 2, PAUSE_MAX_MS);
}

void slice_find_seek_on(SliceFind *find)
{
    find->stage = SLICE_FIND_SEEKING;
    find->n_open = 0;
    for (guint i = 0; i < find->peers->len; i++) {
        peer_at(find, i)->is_answered = true;
        peer_at(find, i)->is_known = false;
        peer_at(find, i)->is_same = false;
    }
    pause_round(find);
}

/* All have answered, and none has it.  @find may be gone afterwards. */
static void end_round(SliceFind *find)
{
    bool is_sure = true;

    for (guint i = 0; i < find->peers->len; i++) {
        is_sure &= peer_at(find, i)->is_same;
    }
    if (is_sure) {
        /* What came here meanwhile may be what it looks for. */
        slice_find_done(find, find->own_arrivals == find->store->n_arrivals
                              ? ENOENT : EBUSY);
    } else if (find->n_rounds == 1 && !find->is_unsure) {
        begin_round(find);
    } else {
        pause_round(find);
    }
}

static void timer_fired(void *opaque)
{
    SliceFind *find = opaque;

    if (find->stage != SLICE_FIND_SEEKING) {
        slice_follow_deadline(find);
    } else if (now_ms() >= find->until_ms) {
        slice_find_done(find, ETIMEDOUT);
    } else {
        begin_round(find);
    }
}

static void take_found(SliceFind *find, SliceFindPeer *from,
                       const SliceStreamFound *found)
{
    if (found->status == SLICE_FOUND_HERE) {
        slice_follow_begin(find, from->peer);
        return;
    }
    from->is_answered = true;
    from->is_same = found->status == SLICE_FOUND_NONE && from->is_known &&
                    from->changes == found->changes;
    from->is_known = found->status == SLICE_FOUND_NONE;
    from->changes = found->changes;
    find->is_unsure |= !from->is_known;
    if (!--find->n_open) {
        end_round(find);
    }
}

bool slice_find_frame(SliceStore *store, SliceConn *conn,
                      const SliceStreamHeader *header, const uint8_t *payload,
                      const char **ret_why)
{
    SliceStreamFound found;
    SliceFind *find;

    if (!slice_frame_get_found(payload, header->bytes, &found, ret_why)) {
        return false;
    }
    find = g_hash_table_lookup(store->finds->by_tag, &found.tag);
    for (guint i = 0; find && find->stage == SLICE_FIND_SEEKING &&
                      i < find->peers->len; i++) {
        SliceFindPeer *from = peer_at(find, i);

        if (from->peer->conn == conn) {
            if (!from->is_answered) {
                take_found(find, from, &found);
            }
            break;
        }
    }
    return true;
}

/* ---- who is asked ---- */

static void add_peer(SliceFind *find, SlicePeer *peer)
{
    SliceFindPeer entry = { .peer = peer };

    slice_peer_ref(peer);
    slice_peer_want(peer);
    g_array_append_val(find->peers, entry);
}

void slice_find_peer_ready(SlicePeer *peer)
{
    g_autoptr(GList) all =
        g_hash_table_get_values(peer->store->finds->by_tag);

    for (GList *item = all; item; item = item->next) {
        SliceFind *find = item->data;

        for (guint i = 0; find->stage == SLICE_FIND_SEEKING &&
                          i < find->peers->len; i++) {
            if (peer_at(find, i)->peer == peer &&
                !peer_at(find, i)->is_answered) {
                ask(find, peer);
            }
        }
    }
}

/* What it has answered may be another process's answer by now. */
static void doubt(SliceFind *find, SliceFindPeer *from)
{
    find->n_open += from->is_answered;
    from->is_answered = false;
    from->is_known = false;
    from->is_same = false;
}

void slice_find_peer_lost(SlicePeer *peer)
{
    g_autoptr(GList) all =
        g_hash_table_get_values(peer->store->finds->by_tag);

    for (GList *item = all; item; item = item->next) {
        SliceFind *find = item->data;

        if (find->stage == SLICE_FIND_RESERVING && find->owner == peer) {
            /* A place that it has made lapses there. */
            slice_find_done(find, EBUSY);
            continue;
        }
        for (guint i = 0; i < find->peers->len; i++) {
            if (peer_at(find, i)->peer == peer) {
                doubt(find, peer_at(find, i));
            }
        }
    }
}

static bool is_in(const GPtrArray *peers, const SlicePeer *peer)
{
    return g_ptr_array_find((GPtrArray *)peers, peer, NULL);
}

/* A find goes on with those that are of the cluster now. */
static void change_peers(SliceFind *find, const GPtrArray *before)
{
    const GPtrArray *now = find->store->finds->peers;

    for (guint i = find->peers->len; i--; ) {
        SliceFindPeer *from = peer_at(find, i);

        if (!is_in(now, from->peer)) {
            find->n_open -= !from->is_answered;
            let_peer_go(from->peer);
            g_array_remove_index_fast(find->peers, i);
        }
    }
    for (guint i = 0; i < now->len; i++) {
        SlicePeer *peer = g_ptr_array_index(now, i);

        if (!is_in(before, peer)) {
            add_peer(find, peer);
            find->n_open++;
            ask(find, peer);
        }
    }
}

void slice_find_set_peers(SliceStore *store, GPtrArray *peers)
{
    g_autoptr(GList) all = g_hash_table_get_values(store->finds->by_tag);
    g_autoptr(GPtrArray) before = store->finds->peers;

    store->finds->peers = g_ptr_array_ref(peers);
    for (GList *item = all; item; item = item->next) {
        SliceFind *find = item->data;
        bool was_open = find->n_open != 0;

        if (find->stage == SLICE_FIND_SEEKING) {
            change_peers(find, before);
            if (was_open && !find->n_open) {
                end_round(find);
            }
        }
    }
    for (guint i = 0; i < before->len; i++) {
        slice_peer_put(g_ptr_array_index(before, i));
    }
}

/* ---- the guest ---- */

static SliceFind *find_new(SliceStore *store, SliceId slice,
                           uint64_t guest_tag, uint32_t timeout_ms,
                           const uint8_t *digest)
{
    SliceFinds *finds = store->finds;
    SliceFind *find = g_new0(SliceFind, 1);

    find->store = store;
    find->slice = slice;
    find->tag = ++finds->last_tag;
    find->guest_tag = guest_tag;
    memcpy(find->digest, digest, sizeof(find->digest));
    find->until_ms = now_ms() + timeout_ms;
    find->own_arrivals = store->n_arrivals;
    find->pause_ms = PAUSE_MIN_MS;
    find->peers = g_array_new(false, false, sizeof(SliceFindPeer));
    find->timer = timer_new_ms(QEMU_CLOCK_REALTIME, timer_fired, find);
    g_hash_table_insert(finds->by_tag, &find->tag, find);
    g_hash_table_insert(finds->by_guest_tag, &find->guest_tag, find);
    for (guint i = 0; i < finds->peers->len; i++) {
        add_peer(find, g_ptr_array_index(finds->peers, i));
    }
    return find;
}

uint32_t slice_port_find(SliceStore *store, SliceId slice, uint64_t tag,
                         uint32_t timeout_ms, const uint8_t *digest)
{
    SliceFinds *finds = store->finds;
    SliceEntry *entry = slice_table_find(store->table, slice);
    SliceFind *find;

    if (!store->is_guest_ready || !entry ||
        entry->state != SLICE_STATE_OWNER || entry->resuming ||
        entry->fenced) {
        return SLICE_RESP_STALE;
    }
    if (g_hash_table_contains(finds->by_guest_tag, &tag)) {
        return SLICE_RESP_INVALID;
    }
    if (g_hash_table_size(finds->by_tag) >= VIRTIO_SLICE_FINDS_MAX ||
        !slice_bucket_take(&finds->rate, now_ms(), FINDS_PER_SECOND,
                           VIRTIO_SLICE_FINDS_MAX)) {
        return SLICE_RESP_NO_ROOM;
    }
    find = find_new(store, slice, tag, timeout_ms, digest);
    trace_slice_find(store->name, slice.counter, find->tag, find->peers->len);
    if (find->peers->len) {
        begin_round(find);
    } else {
        slice_find_done(find, ENOENT);
    }
    return SLICE_RESP_OK;
}

void slice_find_guest_lost(SliceStore *store)
{
    g_autoptr(GList) all = g_hash_table_get_values(store->finds->by_tag);

    for (GList *item = all; item; item = item->next) {
        slice_find_free(item->data);
    }
}

uint32_t slice_find_n(SliceStore *store)
{
    return g_hash_table_size(store->finds->by_tag);
}

const GPtrArray *slice_find_peers(SliceStore *store)
{
    return store->finds->peers;
}
