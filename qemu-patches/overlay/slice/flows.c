/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flows.c - a slice's flows and the gate
 *
 * Attaching of the gate, and its operations over all flows of an entry.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "slice/packet.h"
#include "slice/store.h"
#include "trace.h"

static void gate_delivers(void *opaque, const SliceFlow *flow, uint32_t origin,
                          const uint8_t *frame, size_t bytes)
{
    SliceStore *store = opaque;
    SliceEntry *entry = slice_table_find_flow(store->table, flow);

    if (!entry) {
        store->n_dropped++;
        return;
    }
    slice_move_deliver(store, entry, origin, frame, bytes);
}

bool slice_store_attach_gate(SliceStore *store, const SliceGateOps *ops,
                             void *gate, SliceGateDeliver **ret_deliver,
                             void **ret_opaque, Error **errp)
{
    if (store->gate_ops) {
        error_setg(errp, "slice-store '%s' has a gate already", store->name);
        return false;
    }
    store->gate_ops = ops;
    store->gate = gate;
    *ret_deliver = gate_delivers;
    *ret_opaque = store;
    return true;
}

void slice_store_detach_gate(SliceStore *store, void *gate)
{
    if (store->gate == gate) {
        store->gate_ops = NULL;
        store->gate = NULL;
    }
}

bool slice_gate_set(SliceStore *store, const SliceEntry *entry,
                    SliceGateMode mode, Error **errp)
{
    for (uint32_t i = 0; store->gate_ops && i < entry->n_flows; i++) {
        if (!store->gate_ops->set_mode(store->gate, &entry->flows[i], mode,
                                       errp)) {
            return false;
        }
    }
    return true;
}

void slice_gate_drain_ring(SliceStore *store, const SliceEntry *entry)
{
    for (uint32_t i = 0; store->gate_ops && i < entry->n_flows; i++) {
        store->gate_ops->drain_ring(store->gate, &entry->flows[i]);
    }
}

void slice_gate_release(SliceStore *store, const SliceEntry *entry)
{
    for (uint32_t i = 0; store->gate_ops && i < entry->n_flows; i++) {
        store->gate_ops->release(store->gate, &entry->flows[i]);
    }
}

void slice_gate_give_back(SliceStore *store, const SliceEntry *entry)
{
    for (uint32_t i = 0; store->gate_ops && i < entry->n_flows; i++) {
        store->gate_ops->give_back(store->gate, &entry->flows[i]);
    }
}

void slice_gate_remove(SliceStore *store, const SliceEntry *entry)
{
    for (uint32_t i = 0; store->gate_ops && i < entry->n_flows; i++) {
        /* The flow may be another slice's by now. */
        if (slice_table_find_flow(store->table, &entry->flows[i]) == entry) {
            store->gate_ops->remove(store->gate, &entry->flows[i]);
        }
    }
}

void slice_gate_take(SliceStore *store, SliceEntry *entry, uint32_t origin,
                     const uint8_t *data, size_t bytes)
{
    bool is_caught = origin == SLICE_PACKET_CAUGHT;
    bool is_held = !slice_entry_runs_here(entry) || entry->resuming;
    SliceFlow flow;

    if (!store->gate_ops ||
        !slice_packet_flow(data, bytes, !is_caught, true, &flow, NULL) ||
        slice_table_find_flow(store->table, &flow) != entry) {
        store->n_dropped++;
        trace_slice_packet_dropped(store->name, origin, entry->id.counter,
                                   "not of this slice");
        return;
    }
    if (is_held) {
        store->gate_ops->put(store->gate, &flow, origin, data, bytes);
    } else if (is_caught) {
        /* Only put() can make an Ethernet header for it. */
        if (store->gate_ops->set_mode(store->gate, &flow, SLICE_GATE_HOLD,
                                      NULL)) {
            store->gate_ops->put(store->gate, &flow, origin, data, bytes);
            store->gate_ops->release(store->gate, &flow);
        }
        if (entry->state == SLICE_STATE_MOVING) {
            store->gate_ops->set_mode(store->gate, &flow, SLICE_GATE_WATCH,
                                      NULL);
        }
    } else {
        store->gate_ops->inject(store->gate, &flow, data, bytes);
    }
}
