/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filter-slice-flow.c - the gate's flows, their modes and their packets
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/xxhash.h"
#include "filter-slice-flow.h"
#include "slice/stream.h"

QEMU_BUILD_BUG_ON(sizeof(SliceFlow) != 40);

/* ---- packets ---- */

SlicePacket *slice_gate_packet_new(const struct iovec *iov, int iovcnt,
                                   size_t hdr_bytes, uint32_t origin)
{
    size_t bytes = iov_size(iov, iovcnt);
    SlicePacket *packet;

    assert(hdr_bytes <= SLICE_VNET_HDR_BYTES_MAX && hdr_bytes <= bytes);
    bytes -= hdr_bytes;
    packet = g_malloc(sizeof(*packet) + bytes);
    packet->origin = origin;
    packet->hdr_bytes = hdr_bytes;
    packet->bytes = bytes;
    iov_to_buf(iov, iovcnt, 0, packet->hdr, hdr_bytes);
    iov_to_buf(iov, iovcnt, hdr_bytes, packet->frame, bytes);
    packet->standalone = slice_gate_packet_complete(packet->hdr, hdr_bytes,
                                                    packet->frame, bytes);
    return packet;
}

/* What a packet counts for against the bounds. */
static size_t packet_cost(const SlicePacket *packet)
{
    return sizeof(*packet) + packet->bytes;
}

static void queue_append(SlicePacketQueue *queue, SlicePacket *packet)
{
    QSIMPLEQ_INSERT_TAIL(queue, packet, next);
}

static SlicePacket *queue_pop(SlicePacketQueue *queue)
{
    SlicePacket *packet = QSIMPLEQ_FIRST(queue);

    if (packet) {
        QSIMPLEQ_REMOVE_HEAD(queue, next);
    }
    return packet;
}

static void queue_free(SlicePacketQueue *queue)
{
    SlicePacket *packet;

    while ((packet = queue_pop(queue))) {
        g_free(packet);
    }
}

/* ---- the table ---- */

static guint flow_hash(gconstpointer key)
{
    uint64_t word[5];

    memcpy(word, key, sizeof(word));
    return qemu_xxhash64_4(word[0], word[1] ^ rol64(word[2], 17), word[3],
                           word[4]);
}

static gboolean flow_equal(gconstpointer a, gconstpointer b)
{
    return !memcmp(a, b, sizeof(SliceFlow));
}

/* The table no longer counts what the flow has: see drop_packets(). */
static void flow_free(gpointer opaque)
{
    SliceGateFlow *flow = opaque;
    int direction;

    queue_free(&flow->ring);
    queue_free(&flow->put);
    for (direction = 0; direction < SLICE_N_DIRECTIONS; direction++) {
        queue_free(&flow->waiting[direction]);
    }
    g_free(flow);
}

void slice_flows_init(SliceFlowTable *table, const SliceFlowLimits *limits)
{
    int direction;

    memset(table, 0, sizeof(*table));
    table->limits = *limits;
    table->flows = g_hash_table_new_full(flow_hash, flow_equal, NULL,
                                         flow_free);
    QTAILQ_INIT(&table->forward);
    for (direction = 0; direction < SLICE_N_DIRECTIONS; direction++) {
        QTAILQ_INIT(&table->ready[direction]);
    }
}

void slice_flows_cleanup(SliceFlowTable *table)
{
    int direction;

    for (direction = 0; direction < SLICE_N_DIRECTIONS; direction++) {
        g_clear_pointer(&table->sending[direction], g_free);
    }
    g_clear_pointer(&table->flows, g_hash_table_destroy);
}

SliceGateFlow *slice_flows_find(SliceFlowTable *table, const SliceFlow *key)
{
    return g_hash_table_lookup(table->flows, key);
}

/* Is there room for one more flow that is not in FORWARD? */
static bool has_room(const SliceFlowTable *table)
{
    return g_hash_table_size(table->flows) - table->n_forward <
           table->limits.n_flows;
}

static SliceGateFlow *flow_obtain(SliceFlowTable *table, const SliceFlow *key,
                                  bool needs_room)
{
    SliceGateFlow *flow = slice_flows_find(table, key);
    int direction;

    if (flow) {
        return flow;
    }
    if (needs_room && !has_room(table)) {
        return NULL;
    }
    flow = g_new0(SliceGateFlow, 1);
    flow->key = *key;
    flow->mode = SLICE_FLOW_LEAVING;
    QSIMPLEQ_INIT(&flow->ring);
    QSIMPLEQ_INIT(&flow->put);
    for (direction = 0; direction < SLICE_N_DIRECTIONS; direction++) {
        QSIMPLEQ_INIT(&flow->waiting[direction]);
    }
    g_hash_table_insert(table->flows, &flow->key, flow);
    return flow;
}

/* In or out of the list of those that are in FORWARD, as its mode says. */
static void flow_list(SliceFlowTable *table, SliceGateFlow *flow)
{
    bool is_forward = flow->mode == SLICE_GATE_FORWARD;

    if (is_forward && !flow->is_forward) {
        QTAILQ_INSERT_TAIL(&table->forward, flow, forward_next);
        table->n_forward++;
    } else if (!is_forward && flow->is_forward) {
        QTAILQ_REMOVE(&table->forward, flow, forward_next);
        table->n_forward--;
    }
    flow->is_forward = is_forward;
}

static bool flow_has_packets(const SliceGateFlow *flow,
                             SliceDirection direction)
{
    return !QSIMPLEQ_EMPTY(&flow->waiting[direction]) ||
           (direction == SLICE_TO_GUEST && !QSIMPLEQ_EMPTY(&flow->put));
}

bool slice_flow_waits(const SliceFlowTable *table, const SliceGateFlow *flow,
                      SliceDirection direction)
{
    return flow->mode == SLICE_GATE_HOLD || flow_has_packets(flow, direction) ||
           table->sending_flow[direction] == flow;
}

/*
 * After each change of a flow's mode or queues: is it ready, is it to go?
 * @flow may be freed.
 */
static void flow_settle(SliceFlowTable *table, SliceGateFlow *flow)
{
    bool in_use = flow->mode != SLICE_FLOW_LEAVING;
    int direction;

    flow_list(table, flow);
    for (direction = 0; direction < SLICE_N_DIRECTIONS; direction++) {
        bool has_packets = flow_has_packets(flow, direction);
        bool ready = has_packets && flow->mode != SLICE_GATE_HOLD;

        if (ready && !flow->ready[direction]) {
            QTAILQ_INSERT_TAIL(&table->ready[direction], flow,
                               ready_next[direction]);
        } else if (!ready && flow->ready[direction]) {
            QTAILQ_REMOVE(&table->ready[direction], flow,
                          ready_next[direction]);
        }
        flow->ready[direction] = ready;
        in_use |= has_packets || table->sending_flow[direction] == flow;
    }
    if (!in_use) {
        g_hash_table_remove(table->flows, &flow->key);
    }
}

/* ---- accounting ---- */

static void count_waiting(SliceFlowTable *table, SliceGateFlow *flow,
                          SliceDirection direction, const SlicePacket *packet)
{
    flow->waiting_bytes[direction] += packet_cost(packet);
    table->bytes += packet_cost(packet);
    table->stats.held_bytes += packet->bytes;
    table->stats.n_held++;
    flow->n_waiting++;
}

static void uncount_waiting(SliceFlowTable *table, SliceGateFlow *flow,
                            SliceDirection direction, const SlicePacket *packet)
{
    flow->waiting_bytes[direction] -= packet_cost(packet);
    table->bytes -= packet_cost(packet);
    table->stats.held_bytes -= packet->bytes;
    table->stats.n_held--;
    flow->n_waiting--;
}

/* Frees @packet and counts it where it does not fit any more. */
static bool admit(SliceFlowTable *table, SliceGateFlow *flow,
                  SliceDirection direction, SlicePacket *packet)
{
    size_t cost = packet_cost(packet);

    if (flow->waiting_bytes[direction] + cost > table->limits.flow_bytes ||
        table->bytes + cost > table->limits.total_bytes) {
        table->stats.n_dropped_full++;
        g_free(packet);
        return false;
    }
    count_waiting(table, flow, direction, packet);
    return true;
}

/* ---- the ring ---- */

static SlicePacket *ring_pop(SliceFlowTable *table, SliceGateFlow *flow)
{
    SlicePacket *packet = queue_pop(&flow->ring);

    if (packet) {
        flow->ring_bytes -= packet_cost(packet);
        table->bytes -= packet_cost(packet);
    }
    return packet;
}

static void ring_empty(SliceFlowTable *table, SliceGateFlow *flow)
{
    SlicePacket *packet;

    while ((packet = ring_pop(table, flow))) {
        g_free(packet);
    }
}

void slice_flows_ring(SliceFlowTable *table, SliceGateFlow *flow,
                      SlicePacket *packet)
{
    size_t cost = packet_cost(packet);

    while (cost <= table->limits.ring_bytes &&
           flow->ring_bytes + cost > table->limits.ring_bytes) {
        g_free(ring_pop(table, flow));
    }
    /* The packet itself goes on: one that is not copied is no loss. */
    if (flow->ring_bytes + cost > table->limits.ring_bytes ||
        table->bytes + cost > table->limits.total_bytes) {
        g_free(packet);
        return;
    }
    flow->ring_bytes += cost;
    table->bytes += cost;
    queue_append(&flow->ring, packet);
}

void slice_flows_steal_ring(SliceFlowTable *table, const SliceFlow *key,
                            SlicePacketQueue *ret_packets)
{
    SliceGateFlow *flow = slice_flows_find(table, key);
    SlicePacket *packet;

    while (flow && (packet = ring_pop(table, flow))) {
        queue_append(ret_packets, packet);
    }
}

/* ---- modes and queues ---- */

/* The guest's own mute and the switch's rules are left to keep it quiet. */
static void forget_oldest(SliceFlowTable *table)
{
    SliceGateFlow *flow = QTAILQ_FIRST(&table->forward);

    if (flow) {
        flow->mode = SLICE_FLOW_LEAVING;
        table->stats.n_forgotten++;
        flow_settle(table, flow);
    }
}

bool slice_flows_set_mode(SliceFlowTable *table, const SliceFlow *key,
                          unsigned mode, Error **errp)
{
    SliceGateFlow *flow = flow_obtain(table, key,
                                      mode != SLICE_GATE_FORWARD);

    if (!flow || (flow->is_forward && mode != SLICE_GATE_FORWARD &&
                  mode != SLICE_FLOW_LEAVING && !has_room(table))) {
        error_setg(errp, "the gate has %" PRIu32 " connections already",
                   table->limits.n_flows);
        return false;
    }
    if (mode == SLICE_GATE_FORWARD && !flow->is_forward &&
        table->n_forward >= table->limits.n_flows) {
        forget_oldest(table);
    }
    if (mode != SLICE_GATE_WATCH && mode != SLICE_GATE_DIVERT) {
        ring_empty(table, flow);
    }
    flow->mode = mode;
    flow_settle(table, flow);
    return true;
}

void slice_flows_keep(SliceFlowTable *table, SliceGateFlow *flow,
                      SliceDirection direction, SlicePacket *packet)
{
    if (admit(table, flow, direction, packet)) {
        queue_append(&flow->waiting[direction], packet);
        flow_settle(table, flow);
    }
}

void slice_flows_put(SliceFlowTable *table, const SliceFlow *key,
                     SlicePacket *packet)
{
    SliceGateFlow *flow = flow_obtain(table, key, true);

    if (!flow) {
        table->stats.n_dropped_full++;
        g_free(packet);
        return;
    }
    if (admit(table, flow, SLICE_TO_GUEST, packet)) {
        queue_append(&flow->put, packet);
    }
    flow_settle(table, flow);
}

void slice_flows_steal_input(SliceFlowTable *table, const SliceFlow *key,
                             SlicePacketQueue *ret_packets)
{
    SliceGateFlow *flow = slice_flows_find(table, key);
    SlicePacket *packet;

    if (!flow) {
        return;
    }
    while ((packet = queue_pop(&flow->put)) ||
           (packet = queue_pop(&flow->waiting[SLICE_TO_GUEST]))) {
        uncount_waiting(table, flow, SLICE_TO_GUEST, packet);
        queue_append(ret_packets, packet);
    }
    while ((packet = queue_pop(&flow->waiting[SLICE_FROM_GUEST]))) {
        uncount_waiting(table, flow, SLICE_FROM_GUEST, packet);
        table->stats.n_dropped_muted++;
        g_free(packet);
    }
    ring_empty(table, flow);
    flow->mode = SLICE_FLOW_LEAVING;
    flow_settle(table, flow);
}

/* ---- letting go ---- */

SlicePacket *slice_flows_take(SliceFlowTable *table, SliceDirection direction)
{
    SliceGateFlow *flow = QTAILQ_FIRST(&table->ready[direction]);
    SlicePacket *packet;

    if (!flow || table->sending[direction]) {
        return NULL;
    }
    packet = direction == SLICE_TO_GUEST ? queue_pop(&flow->put) : NULL;
    if (!packet) {
        packet = queue_pop(&flow->waiting[direction]);
    }
    table->sending[direction] = packet;
    table->sending_flow[direction] = flow;

    /* To the end of the line, if it still has a place there. */
    QTAILQ_REMOVE(&table->ready[direction], flow, ready_next[direction]);
    flow->ready[direction] = false;
    flow_settle(table, flow);
    return packet;
}

void slice_flows_sent(SliceFlowTable *table, SliceDirection direction,
                      bool accepted)
{
    SlicePacket *packet = table->sending[direction];
    SliceGateFlow *flow = table->sending_flow[direction];

    if (!packet) {
        return;
    }
    if (accepted) {
        table->stats.n_released++;
    } else {
        table->stats.n_dropped_full++;
    }
    uncount_waiting(table, flow, direction, packet);
    table->sending[direction] = NULL;
    table->sending_flow[direction] = NULL;
    g_free(packet);
    flow_settle(table, flow);
}

void slice_flows_unsent(SliceFlowTable *table, SliceDirection direction)
{
    SlicePacket *packet = table->sending[direction];
    SliceGateFlow *flow = table->sending_flow[direction];

    if (!packet) {
        return;
    }
    table->sending[direction] = NULL;
    table->sending_flow[direction] = NULL;
    /* The first of what was put is the first of all that goes to the guest. */
    QSIMPLEQ_INSERT_HEAD(direction == SLICE_TO_GUEST ?
                         &flow->put : &flow->waiting[direction], packet, next);
    flow_settle(table, flow);
}
