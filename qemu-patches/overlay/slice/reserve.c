/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reserve.c - a place for a slice that is to come
 *
 *   slice-prepare, RESERVE ──► fits? ──► guest: RESERVE ──► RESERVED ──► held
 *                                └─ no                        └─ no
 *
 * The engine sees whether layers, net header, memory and flows fit, then asks
 * its guest for room.  Meanwhile nothing has changed: a tombstone of the slice
 * goes on forwarding, and there is nothing to undo where the guest has no room.
 * Only with the guest's yes the state table says RESERVED and the gate holds
 * the flows.
 *
 * A reservation that the orchestrator made stays until it says otherwise.  One
 * that another engine made for a move of its own lapses by itself while nothing
 * whole has arrived: the source hears REFUSED, or finds none there, and resumes.
 *
 * Below: table.h, the gate, the port.  Above: qmp.c, arrive.c.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/timer.h"
#include "standard-headers/linux/virtio_slice.h"
#include "slice/store.h"

/* How long the guest may take; one that is stopped does not answer at all. */
#define GUEST_WAIT_MS       5000
#define RESERVATIONS_MAX    4096

/* A reservation that the guest has not answered yet. */
typedef struct SliceReservation {
    SliceStore *store;
    SliceArrival arrival;       /* a copy of its own */
    SliceReserveDone *done;
    void *opaque;
    QEMUTimer *timer;
} SliceReservation;

/* ---- does it fit? ---- */

static uint32_t check_layers(SliceStore *store, const SliceArrival *arrival)
{
    for (uint32_t i = 0; i < arrival->n_layers; i++) {
        const SliceLayerInfo *want = &arrival->layers[i];
        const SliceLayerInfo *have = NULL;

        for (uint32_t j = 0; j < store->n_layers && !have; j++) {
            if (!strcmp(store->layers[j].name, want->name)) {
                have = &store->layers[j];
            }
        }
        if (!have) {
            return WHY_NO_LAYER;
        }
        if (have->version != want->version ||
            have->abi_hash != want->abi_hash) {
            return WHY_LAYER_VERSION;
        }
    }
    return WHY_NONE;
}

static uint32_t check_arrival(SliceStore *store, const SliceArrival *arrival)
{
    SliceEntry *other;

    if (!store->is_guest_ready) {
        return WHY_NO_LAYER;
    }
    if (arrival->n_flows > SLICE_TABLE_FLOWS_MAX ||
        arrival->memory_bytes > store->image_bytes_max) {
        return WHY_TOO_LARGE;
    }
    if (arrival->n_flows &&
        (!store->gate_ops || store->gate_ops->vnet_hdr_len(store->gate) !=
         arrival->vnet_hdr_len)) {
        return WHY_OPTION;
    }
    for (uint32_t i = 0; i < arrival->n_flows; i++) {
        other = slice_table_find_flow(store->table, &arrival->flows[i]);
        if (other && !slice_entry_is_tombstone(other) &&
            !slice_id_is(other->id, arrival->id)) {
            return WHY_TUPLE_IN_USE;
        }
    }
    return check_layers(store, arrival);
}

/* ---- holding ---- */

/* The first @n flows of @arrival are held in vain: as they were before. */
static void unhold(SliceStore *store, const SliceArrival *arrival, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        SliceEntry *other = slice_table_find_flow(store->table,
                                                  &arrival->flows[i]);

        if (!other) {
            store->gate_ops->remove(store->gate, &arrival->flows[i]);
        } else {
            store->gate_ops->give_back(store->gate, &arrival->flows[i]);
            store->gate_ops->set_mode(store->gate, &arrival->flows[i],
                                      SLICE_GATE_FORWARD, NULL);
        }
    }
}

/* All of the flows or none; they are no entry's yet. */
static bool hold(SliceStore *store, const SliceArrival *arrival)
{
    for (uint32_t i = 0; i < arrival->n_flows; i++) {
        if (!store->gate_ops->set_mode(store->gate, &arrival->flows[i],
                                       SLICE_GATE_HOLD, NULL)) {
            unhold(store, arrival, i);
            return false;
        }
    }
    return true;
}

/* Those of the tombstone's flows that do not come back are nobody's. */
static void drop_old_flows(SliceStore *store, SliceEntry *entry,
                           const SliceArrival *arrival)
{
    for (uint32_t i = 0; store->gate_ops && i < entry->n_flows; i++) {
        const SliceFlow *flow = &entry->flows[i];
        bool comes = false;

        for (uint32_t j = 0; j < arrival->n_flows && !comes; j++) {
            comes = !memcmp(&arrival->flows[j], flow, sizeof(*flow));
        }
        if (!comes &&
            slice_table_find_flow(store->table, flow) == entry) {
            store->gate_ops->remove(store->gate, flow);
        }
    }
}

/*
 * It fits and the guest has room: the flows are held from now on.  Where that
 * fails, all is as it was.
 */
static SliceAnswer admit(SliceStore *store, const SliceArrival *arrival,
                         uint32_t *ret_why)
{
    SliceEntry *entry = slice_table_find(store->table, arrival->id);
    bool was_there = entry != NULL;
    uint64_t was_term = was_there ? entry->term : 0;
    bool is_held;

    slice_table_step(store->table, arrival->id, SLICE_MSG_PREPARE,
                     arrival->term, &entry);
    is_held = hold(store, arrival);
    if (!is_held || !slice_transfer_new(store, entry)) {
        if (was_there) {
            slice_table_unreserve(store->table, entry, was_term);
        } else {
            slice_table_remove(store->table, entry);
        }
        if (is_held) {
            unhold(store, arrival, arrival->n_flows);
        }
        *ret_why = is_held ? WHY_STATE : WHY_MEMORY;
        return is_held ? SLICE_ANSWER_BUSY : SLICE_ANSWER_REFUSED;
    }
    entry->transfer->box.next = slice_transfer_next_bulk;
    entry->transfer->conn = slice_arrive_find_conn(store, arrival->source);
    entry->transfer->is_booked = true;
    entry->transfer->lapse_ms = arrival->lapse_ms;
    g_free(entry->peer);
    entry->peer = g_strdup(arrival->source);
    entry->memory_bytes = arrival->memory_bytes;
    memcpy(entry->counts, arrival->counts, sizeof(entry->counts));
    drop_old_flows(store, entry, arrival);
    /* check_arrival() has seen that none is another's. */
    slice_table_set_flows(store->table, entry, arrival->flows,
                          arrival->n_flows);
    if (arrival->lapse_ms) {
        slice_transfer_arm(entry->transfer, arrival->lapse_ms);
    }
    slice_step_trace(store, "prepared", entry, 0);
    slice_event_step(store, entry->id, entry->term, SLICE_STEP_PREPARED,
                     WHY_NONE, 0, 0);
    return SLICE_ANSWER_OK;
}

/* SLICE_ANSWER_OK: nothing speaks against it. */
static SliceAnswer may_come(SliceStore *store, const SliceArrival *arrival,
                            uint32_t *ret_why)
{
    *ret_why = check_arrival(store, arrival);
    if (*ret_why) {
        return SLICE_ANSWER_REFUSED;
    }
    switch (slice_table_may_prepare(store->table, arrival->id,
                                    arrival->term)) {
    case SLICE_DO_HOLD:
        return SLICE_ANSWER_OK;
    case SLICE_SAY_IS_OWNER:
        return SLICE_ANSWER_IS_OWNER;
    case SLICE_DO_REFUSE:
        *ret_why = WHY_MEMORY;
        return SLICE_ANSWER_REFUSED;
    default:
        *ret_why = WHY_TERM;
        return SLICE_ANSWER_BUSY;
    }
}

/* ---- asking the guest ---- */

static SliceReservation *find(SliceStore *store, SliceId id, uint64_t term)
{
    SliceReservation *r = g_hash_table_lookup(store->reservations, &id);

    return r && r->arrival.term == term ? r : NULL;
}

static void reservation_free(SliceReservation *r)
{
    g_hash_table_remove(r->store->reservations, &r->arrival.id);
    slice_store_end_active(r->store);
    timer_free(r->timer);
    g_free((void *)r->arrival.flows);
    g_free((void *)r->arrival.layers);
    g_free((void *)r->arrival.source);
    g_free(r);
}

static void finish(SliceReservation *r, SliceAnswer answer, uint32_t why)
{
    SliceReserveDone *done = r->done;
    void *opaque = r->opaque;
    SliceId id = r->arrival.id;
    uint64_t term = r->arrival.term;

    reservation_free(r);
    done(opaque, id, term, answer, why);
}

/* The guest may have booked it, now or soon. */
static void unreserve(SliceReservation *r)
{
    slice_store_tell_guest(r->store, VIRTIO_SLICE_EVENT_UNRESERVE,
                           r->arrival.id, r->arrival.term, 0, true);
}

static void guest_is_silent(void *opaque)
{
    SliceReservation *r = opaque;

    unreserve(r);
    finish(r, SLICE_ANSWER_BUSY, WHY_DEADLINE);
}

static void counts_to_wire(const SliceLayerCount *counts,
                           uint8_t ret_data[SLICE_PORT_DATA_BYTES])
{
    QEMU_BUILD_BUG_ON(SLICE_COUNTS_MAX * sizeof(struct virtio_slice_count) !=
                      SLICE_PORT_DATA_BYTES);
    for (int i = 0; i < SLICE_COUNTS_MAX; i++) {
        stw_le_p(ret_data + 4 * i, counts[i].rank);
        stw_le_p(ret_data + 4 * i + 2, counts[i].n);
    }
}

static SliceReservation *reservation_new(SliceStore *store,
                                         const SliceArrival *arrival,
                                         SliceReserveDone *done, void *opaque)
{
    SliceReservation *r = g_new0(SliceReservation, 1);

    r->store = store;
    r->arrival = *arrival;
    r->arrival.source = g_strdup(arrival->source);
    r->arrival.flows = g_memdup2(arrival->flows, arrival->n_flows *
                                                 sizeof(*arrival->flows));
    r->arrival.layers = g_memdup2(arrival->layers, arrival->n_layers *
                                                   sizeof(*arrival->layers));
    r->done = done;
    r->opaque = opaque;
    r->timer = timer_new_ms(QEMU_CLOCK_REALTIME, guest_is_silent, r);
    timer_mod(r->timer, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) +
                        GUEST_WAIT_MS);
    g_hash_table_insert(store->reservations, &r->arrival.id, r);
    return r;
}

bool slice_reserve(SliceStore *store, const SliceArrival *arrival,
                   SliceReserveDone *done, void *opaque,
                   SliceAnswer *ret_answer, uint32_t *ret_why)
{
    uint8_t data[SLICE_PORT_DATA_BYTES];

    *ret_answer = may_come(store, arrival, ret_why);
    if (*ret_answer != SLICE_ANSWER_OK) {
        return false;
    }
    *ret_answer = SLICE_ANSWER_BUSY;
    if (g_hash_table_contains(store->reservations, &arrival->id)) {
        *ret_why = WHY_MOVING;
        return false;
    }
    /* What a guest has booked must not travel: nobody would free it there. */
    if (!slice_store_begin_active(store)) {
        *ret_why = WHY_STATE;
        return false;
    }
    counts_to_wire(arrival->counts, data);
    if (g_hash_table_size(store->reservations) >= RESERVATIONS_MAX ||
        !slice_store_tell_guest_data(store, VIRTIO_SLICE_EVENT_RESERVE,
                                     arrival->id, arrival->term,
                                     arrival->memory_bytes, data, false)) {
        slice_store_end_active(store);
        *ret_why = WHY_MEMORY;
        return false;
    }
    reservation_new(store, arrival, done, opaque);
    return true;
}

uint32_t slice_port_reserved(SliceStore *store, SliceId slice, uint64_t term,
                             uint32_t status, uint32_t why)
{
    SliceReservation *r = find(store, slice, term);
    SliceAnswer answer;

    if (!r) {
        return SLICE_RESP_STALE;
    }
    if (status) {
        finish(r, SLICE_ANSWER_REFUSED, why ?: WHY_NO_ROOM);
        return SLICE_RESP_OK;
    }
    /* The world may have changed while the guest thought. */
    answer = may_come(store, &r->arrival, &why);
    if (answer == SLICE_ANSWER_OK) {
        answer = admit(store, &r->arrival, &why);
    }
    if (answer != SLICE_ANSWER_OK) {
        unreserve(r);
    }
    finish(r, answer, why);
    return SLICE_RESP_OK;
}

bool slice_reserve_cancel(SliceStore *store, SliceId id, uint64_t term,
                          void *opaque)
{
    SliceReservation *r = find(store, id, term);

    if (!r || (opaque && r->opaque != opaque)) {
        return false;
    }
    unreserve(r);
    finish(r, SLICE_ANSWER_BUSY, WHY_ABORTED);
    return true;
}

/* ---- who asks goes, or who is asked ---- */

void slice_reserve_drop(SliceStore *store, void *opaque)
{
    g_autoptr(GList) all = g_hash_table_get_values(store->reservations);

    for (GList *item = all; item; item = item->next) {
        SliceReservation *r = item->data;

        if (!opaque || r->opaque == opaque) {
            unreserve(r);
            reservation_free(r);
        }
    }
}

void slice_reserve_guest_lost(SliceStore *store)
{
    GHashTableIter iter;
    gpointer r;

    /* Whoever hears of one may end others: begin anew after each. */
    for (;;) {
        g_hash_table_iter_init(&iter, store->reservations);
        if (!g_hash_table_iter_next(&iter, NULL, &r)) {
            return;
        }
        finish(r, SLICE_ANSWER_REFUSED, WHY_NO_LAYER);
    }
}

/* ---- for the orchestrator: a command that waits ---- */

typedef struct Prepare {
    SliceStore *store;
    bool is_done;
    SliceAnswer answer;
    uint32_t why;
} Prepare;

static void prepare_done(void *opaque, SliceId id, uint64_t term,
                         SliceAnswer answer, uint32_t why)
{
    Prepare *prepare = opaque;

    prepare->is_done = true;
    prepare->answer = answer;
    prepare->why = why;
    slice_store_wake(prepare->store);
}

SliceAnswer coroutine_fn slice_arrive_prepare(SliceStore *store,
                                              const SliceArrival *arrival,
                                              uint32_t *ret_why)
{
    Prepare prepare = { .store = store };

    if (!slice_reserve(store, arrival, prepare_done, &prepare,
                       &prepare.answer, &prepare.why)) {
        *ret_why = prepare.why;
        return prepare.answer;
    }
    while (!prepare.is_done) {
        /* Its own timer ends it. */
        slice_store_wait(store, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) +
                                (int64_t)GUEST_WAIT_MS * SCALE_MS);
    }
    *ret_why = prepare.why;
    return prepare.answer;
}

/* ---- for another engine: a frame ---- */

static void say_reserved(void *opaque, SliceId id, uint64_t term,
                         SliceAnswer answer, uint32_t why)
{
    uint8_t payload[SLICE_FRAME_RESERVED_BYTES];
    SliceStreamReserved reserved = {
        .status = answer == SLICE_ANSWER_OK ? 0 :
                  answer == SLICE_ANSWER_BUSY ? EBUSY : EPERM,
        .why = why,
    };

    slice_conn_send(opaque, SLICE_STREAM_RESERVED, id, term, payload,
                    slice_frame_put_reserved(payload, &reserved));
}

bool slice_reserve_frame(SliceStore *store, SliceConn *conn,
                         const SliceStreamHeader *header,
                         const uint8_t *payload, const char **ret_why)
{
    SliceStreamLayer wire[SLICE_STREAM_LAYERS_MAX];
    SliceLayerInfo layers[SLICE_STREAM_LAYERS_MAX];
    SliceFlow flows[SLICE_STREAM_FLOWS_MAX];
    SliceStreamReserve reserve;
    SliceArrival arrival;
    SliceAnswer answer;
    uint32_t why;

    if (!slice_frame_get_reserve(payload, header->bytes, &reserve, wire, flows,
                                 ret_why)) {
        return false;
    }
    if (!header->incarnation) {
        *ret_why = "a RESERVE of no slice";
        return false;
    }
    arrival = (SliceArrival) {
        .id = { header->incarnation, header->counter },
        .term = header->term,
        .source = slice_conn_peer_name(conn),
        .flows = flows, .n_flows = reserve.n_flows,
        .layers = layers, .n_layers = reserve.n_layers,
        .vnet_hdr_len = reserve.vnet_hdr_bytes,
        .memory_bytes = reserve.memory_bytes,
        .lapse_ms = reserve.deadline_ms,
    };
    QEMU_BUILD_BUG_ON(sizeof(arrival.counts) != sizeof(reserve.counts));
    memcpy(arrival.counts, reserve.counts, sizeof(arrival.counts));
    for (uint32_t i = 0; i < reserve.n_layers; i++) {
        memcpy(layers[i].name, wire[i].name, sizeof(layers[i].name));
        layers[i].version = wire[i].version;
        layers[i].rank = wire[i].rank;
        layers[i].abi_hash = wire[i].abi_hash;
    }
    if (!slice_reserve(store, &arrival, say_reserved, conn, &answer, &why)) {
        say_reserved(conn, arrival.id, arrival.term, answer, why);
    }
    return true;
}
