/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gate.h - what the engine asks of a gate (net/filter-slice.c implements it)
 *
 * The engine knows its gates only through this table, so that it never sees a
 * packet queue, and unit tests can give it a gate of their own.  Directions are
 * the guest's: "to_guest" and "from_guest".
 *
 * A flow in the gate is in one mode:
 *
 *   (absent)  passes untouched; costs one hash look-up, none while the table
 *             is empty
 *   WATCH     passes; ingress is also copied to a bounded ring   (source, from
 *             QUIESCE on)
 *   DIVERT    ingress goes to the engine's deliver callback instead of the
 *             guest; egress is dropped and counted       (source, from UNPLUG)
 *   FORWARD   as DIVERT, for ever: the slice lives elsewhere (source, GONE)
 *   HOLD      ingress and egress wait in queues       (target, from PREPARE on)
 *
 * Threads: main loop, BQL held.
 */
#ifndef SLICE_GATE_H
#define SLICE_GATE_H

#include "slice/types.h"

typedef enum SliceGateMode {
    SLICE_GATE_WATCH = 1,
    SLICE_GATE_DIVERT,
    SLICE_GATE_FORWARD,
    SLICE_GATE_HOLD,
} SliceGateMode;

/* A packet that left the gate sideways: an Ethernet frame without vnet header. */
typedef void SliceGateDeliver(void *opaque, const SliceFlow *flow,
                              uint32_t origin /* SLICE_PACKET_* */,
                              const uint8_t *frame, size_t bytes);

typedef struct SliceGateStats {
    uint64_t n_held;            /* packets waiting now */
    uint64_t held_bytes;
    uint64_t n_released;
    uint64_t n_diverted;
    uint64_t n_dropped_full;    /* past a bound */
    uint64_t n_dropped_muted;   /* egress of a flow that is not ours now */
    uint64_t n_flows;
    uint64_t n_forgotten;       /* flows in FORWARD, past their bound */
} SliceGateStats;

typedef struct SliceGateOps {
    /**
     * Set the mode of a flow; from any mode to any other, also to the same.
     * WATCH to DIVERT keeps the ring.  DIVERT to WATCH: the source goes on.
     * Leaving HOLD needs release() or give_back() first: held packets
     * otherwise are let go as by release().
     * Returns false (with errp) where the gate's bound on flows is reached.
     */
    bool (*set_mode)(void *gate, const SliceFlow *flow, SliceGateMode mode,
                     Error **errp);
    /**
     * Hand the ring's packets, oldest first, to the deliver callback
     * (SLICE_PACKET_RING) and empty it.
     */
    void (*drain_ring)(void *gate, const SliceFlow *flow);
    /**
     * At a target: put a packet of the source's (ring, caught, diverted)
     * behind those put before and before those held here.  A frame of
     * SLICE_PACKET_CAUGHT begins with its IP header: the gate makes the
     * Ethernet header from the flow's other packets or the NIC's address.
     */
    void (*put)(void *gate, const SliceFlow *flow, uint32_t origin,
                const uint8_t *frame, size_t bytes);
    /**
     * Let everything go in order, to_guest and from_guest; the flow is absent
     * when its queues are empty, later packets wait their turn until then.
     */
    void (*release)(void *gate, const SliceFlow *flow);
    /**
     * Hand all held ingress to the deliver callback, drop held egress; the
     * flow is absent afterwards.
     */
    void (*give_back)(void *gate, const SliceFlow *flow);
    /**
     * Inject a packet to the guest by the ordinary path (source: packets that
     * came back).
     */
    void (*inject)(void *gate, const SliceFlow *flow,
                   const uint8_t *frame, size_t bytes);
    /** Forget the flow; held packets are let go as by release(). */
    void (*remove)(void *gate, const SliceFlow *flow);
    void (*stats)(void *gate, SliceGateStats *ret_stats);
    /** Length of the vnet header, for PREPARE's check that both ends match. */
    uint32_t (*vnet_hdr_len)(void *gate);
    /** Packets of this flow that wait now, for people; optional. */
    uint64_t (*n_held)(void *gate, const SliceFlow *flow);
} SliceGateOps;

/**
 * slice_store_attach_gate: the gate announces itself to its store
 *
 * @deliver of the engine is returned in @ret_deliver, its opaque in
 * @ret_opaque.  Fails where the store has a gate already (one for now).
 */
bool slice_store_attach_gate(SliceStore *store, const SliceGateOps *ops,
                             void *gate, SliceGateDeliver **ret_deliver,
                             void **ret_opaque, Error **errp);
void slice_store_detach_gate(SliceStore *store, void *gate);

#endif /* SLICE_GATE_H */
