/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filter-slice-flow.h - the gate's flows, their modes and their packets
 *
 * A flow has a mode (slice/gate.h, or SLICE_FLOW_LEAVING) and three places for
 * packets:
 *
 *   ring      copies of recent input, the oldest given up for the newest
 *   put       input of the slice's former home, let go first
 *   waiting   what was held here, one queue for each direction
 *
 * A flow that is not in HOLD and has packets in put or waiting is *ready*: its
 * packets go, in order, one at a time and in turn with other ready flows, and
 * what arrives meanwhile waits behind them.  A LEAVING flow disappears with its
 * last packet.
 *
 *            set_mode                  release, remove
 *   (absent) --------> any mode ---------------------------> LEAVING --> (absent)
 *                         ^                                     |
 *                         +-------------- set_mode -------------+
 *
 * Flows.  Those in FORWARD are what is left of sessions that have gone: they
 * have a bound of their own, past which the oldest of them is let go, and never
 * keep another flow out of the table.
 *
 * Memory.  A packet counts its bytes and its bookkeeping against a bound of its
 * flow (each direction, and the ring, has its own) and one of the table.  Past
 * a bound the newest is dropped and counted.
 *
 * Pure: knows no network device, no clock, no thread.
 * Below: nothing.  Above: filter-slice.c.
 */
#ifndef NET_FILTER_SLICE_FLOW_H
#define NET_FILTER_SLICE_FLOW_H

#include "qemu/iov.h"
#include "qemu/queue.h"
#include "slice/gate.h"
#include "filter-slice-packet.h"

/* A mode besides those of slice/gate.h. */
#define SLICE_FLOW_LEAVING 0

/* Ethernet header with two VLAN tags. */
#define SLICE_FLOW_LINK_BYTES 22
/* Of a frame of a flow: the longest IP packet, with such a header. */
#define SLICE_FLOW_FRAME_BYTES_MAX (65535 + SLICE_FLOW_LINK_BYTES)

typedef enum SliceDirection {
    SLICE_TO_GUEST,
    SLICE_FROM_GUEST,
    SLICE_N_DIRECTIONS,
} SliceDirection;

/**
 * SlicePacket: a packet that does not go on at once
 * @origin: SLICE_PACKET_*; SLICE_PACKET_DIVERTED for what was held here
 * @hdr_bytes: of the vnet header that it came with, which is in @hdr
 * @standalone: the frame is whole without @hdr
 * @bytes: of @frame
 *
 * It does not record who sent it: that device may be gone when the packet goes.
 */
typedef struct SlicePacket {
    QSIMPLEQ_ENTRY(SlicePacket) next;
    uint32_t origin;
    uint32_t hdr_bytes;
    uint8_t hdr[SLICE_VNET_HDR_BYTES_MAX];
    bool standalone;
    size_t bytes;
    uint8_t frame[];
} SlicePacket;

typedef QSIMPLEQ_HEAD(SlicePacketQueue, SlicePacket) SlicePacketQueue;

/**
 * SliceGateFlow: a flow of the table
 * @waiting_bytes: of @put and @waiting, with what is being sent
 * @n_waiting: packets of both directions in that
 * @is_forward: it is in the table's list @forward
 * @link: how the Ethernet header of a packet to the guest looks, @link_bytes of
 *        it; 0: not seen yet
 */
typedef struct SliceGateFlow {
    SliceFlow key;
    unsigned mode;
    SlicePacketQueue ring;
    size_t ring_bytes;
    SlicePacketQueue put;
    SlicePacketQueue waiting[SLICE_N_DIRECTIONS];
    size_t waiting_bytes[SLICE_N_DIRECTIONS];
    uint64_t n_waiting;
    bool ready[SLICE_N_DIRECTIONS];
    QTAILQ_ENTRY(SliceGateFlow) ready_next[SLICE_N_DIRECTIONS];
    bool is_forward;
    QTAILQ_ENTRY(SliceGateFlow) forward_next;
    uint8_t link[SLICE_FLOW_LINK_BYTES];
    size_t link_bytes;
} SliceGateFlow;

/* @n_flows: of those in FORWARD, and as many of all others. */
typedef struct SliceFlowLimits {
    uint64_t flow_bytes;
    uint64_t total_bytes;
    uint64_t ring_bytes;
    uint32_t n_flows;
} SliceFlowLimits;

/**
 * SliceFlowTable: all flows of a gate
 * @bytes: of all packets, against @limits.total_bytes
 * @forward: flows in FORWARD, the one that is in it for longest first
 * @ready: flows with packets that may go, next one first
 * @sending, @sending_flow: taken by slice_flows_take(), not settled yet
 * @stats: all but n_flows is kept up to date
 */
typedef struct SliceFlowTable {
    GHashTable *flows;
    SliceFlowLimits limits;
    uint64_t bytes;
    QTAILQ_HEAD(, SliceGateFlow) forward;
    uint32_t n_forward;
    QTAILQ_HEAD(, SliceGateFlow) ready[SLICE_N_DIRECTIONS];
    SlicePacket *sending[SLICE_N_DIRECTIONS];
    SliceGateFlow *sending_flow[SLICE_N_DIRECTIONS];
    SliceGateStats stats;
} SliceFlowTable;

/**
 * slice_gate_packet_new: copy a packet
 * @hdr_bytes: of vnet header before the frame in @iov, at most
 *             SLICE_VNET_HDR_BYTES_MAX
 *
 * What the vnet header leaves to be done is done here where it can be.
 */
SlicePacket *slice_gate_packet_new(const struct iovec *iov, int iovcnt,
                                   size_t hdr_bytes, uint32_t origin);

void slice_flows_init(SliceFlowTable *table, const SliceFlowLimits *limits);
/** Frees all flows with their packets. */
void slice_flows_cleanup(SliceFlowTable *table);

static inline bool slice_flows_empty(const SliceFlowTable *table)
{
    return g_hash_table_size(table->flows) == 0;
}

/** Returns: the flow or NULL; valid until the table is changed. */
SliceGateFlow *slice_flows_find(SliceFlowTable *table, const SliceFlow *key);

/**
 * slice_flows_set_mode: of a flow, which is made if it is absent
 *
 * The ring is kept between WATCH and DIVERT and emptied by any other change;
 * leaving HOLD makes what waits ready.
 *
 * Returns: false, nothing changed, where the table has as many flows as it may.
 */
bool slice_flows_set_mode(SliceFlowTable *table, const SliceFlow *key,
                          unsigned mode, Error **errp);

/** Returns: whether a packet in this direction has to wait its turn. */
bool slice_flow_waits(const SliceFlowTable *table, const SliceGateFlow *flow,
                      SliceDirection direction);

/**
 * slice_flows_keep: behind the flow's others in this direction
 * slice_flows_put: behind those put before, before those held here
 * slice_flows_ring: into the ring, in which older ones make room
 *
 * All take @packet over; keep and put drop and count it past a bound.
 */
void slice_flows_keep(SliceFlowTable *table, SliceGateFlow *flow,
                      SliceDirection direction, SlicePacket *packet);
void slice_flows_put(SliceFlowTable *table, const SliceFlow *key,
                     SlicePacket *packet);
void slice_flows_ring(SliceFlowTable *table, SliceGateFlow *flow,
                      SlicePacket *packet);

/** Takes the ring's packets out; the caller owns what @ret_packets gets. */
void slice_flows_steal_ring(SliceFlowTable *table, const SliceFlow *key,
                            SlicePacketQueue *ret_packets);
/**
 * Takes out all input that waits, in order, drops all output; the flow is
 * absent, or LEAVING while a packet of it is being sent.
 */
void slice_flows_steal_input(SliceFlowTable *table, const SliceFlow *key,
                             SlicePacketQueue *ret_packets);

/**
 * slice_flows_take: the next packet that may go in this direction
 *
 * It stays the table's.  Returns NULL where there is none, or one that was
 * taken has not been settled by slice_flows_sent() or slice_flows_unsent().
 */
SlicePacket *slice_flows_take(SliceFlowTable *table, SliceDirection direction);
/** What was taken has gone, or was refused (@accepted false) and is lost. */
void slice_flows_sent(SliceFlowTable *table, SliceDirection direction,
                      bool accepted);
/** What was taken has not gone and is the first of its flow again. */
void slice_flows_unsent(SliceFlowTable *table, SliceDirection direction);

#endif /* NET_FILTER_SLICE_FLOW_H */
