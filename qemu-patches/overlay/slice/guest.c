/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest.c - what the guest is told, and what it says of its slices
 *
 * The part of slice/port.h that is no move's: attaching, HELLO, SET, GONE,
 * reset.  Answers of a move are in move.c and arrive.c.
 *
 * A guest without a free buffer gets its event later; the queue for that holds
 * a few events for each slice, as many as the protocol can have open.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/cutils.h"
#include "qemu/timer.h"
#include "standard-headers/linux/virtio_slice.h"
#include "slice/store.h"
#include "trace.h"

/* How soon an event is offered again to a guest that had no buffer for it. */
#define GUEST_RETRY_MS      2
#define GUEST_EVENTS_MAX    (4 * SLICE_TABLE_SLICES_MAX)

/* ---- the guest: events to it ---- */

static bool offer_event(SliceStore *store, const SliceGuestEvent *event)
{
    return store->port_ops && store->is_guest_ready &&
           store->port_ops->event(store->port, event->type, event->slice,
                                  event->term, event->arg, event->data);
}

void slice_guest_flush(void *opaque)
{
    SliceStore *store = opaque;
    SliceGuestEvent *event;

    while ((event = g_queue_peek_head(store->guest_events))) {
        if (!offer_event(store, event)) {
            timer_mod(store->guest_timer,
                      qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + GUEST_RETRY_MS);
            return;
        }
        g_free(g_queue_pop_head(store->guest_events));
    }
}

bool slice_store_tell_guest(SliceStore *store, uint16_t type, SliceId slice,
                            uint64_t term, uint64_t arg, bool must)
{
    return slice_store_tell_guest_data(store, type, slice, term, arg, NULL,
                                       must);
}

bool slice_store_tell_guest_data(SliceStore *store, uint16_t type,
                                 SliceId slice, uint64_t term, uint64_t arg,
                                 const uint8_t *data, bool must)
{
    SliceGuestEvent event = {
        .type = type, .slice = slice, .term = term, .arg = arg,
    };

    if (data) {
        memcpy(event.data, data, sizeof(event.data));
    }
    if (g_queue_is_empty(store->guest_events) && offer_event(store, &event)) {
        trace_slice_guest_event(type, slice.counter, term, arg, false);
        return true;
    }
    if (!must || !store->is_guest_ready ||
        g_queue_get_length(store->guest_events) >= GUEST_EVENTS_MAX) {
        return false;
    }
    trace_slice_guest_event(type, slice.counter, term, arg, true);
    g_queue_push_tail(store->guest_events, g_memdup2(&event, sizeof(event)));
    slice_guest_flush(store);
    return true;
}

/* ---- the guest: what it says ---- */

bool slice_store_attach_port(SliceStore *store, const SlicePortOps *ops,
                             void *port, Error **errp)
{
    if (store->port_ops) {
        error_setg(errp, "slice-store '%s' has a device already", store->name);
        return false;
    }
    store->port_ops = ops;
    store->port = port;
    return true;
}

void slice_store_detach_port(SliceStore *store, void *port)
{
    if (store->port == port) {
        slice_port_reset(store);
        store->port_ops = NULL;
        store->port = NULL;
    }
}

void slice_store_add_incarnation_notifier(SliceStore *store,
                                          Notifier *notifier)
{
    notifier_list_add(&store->on_incarnation, notifier);
}

uint64_t slice_store_incarnation(SliceStore *store)
{
    return store->incarnation;
}

uint64_t slice_store_image_bytes_max(SliceStore *store)
{
    return store->image_bytes_max;
}

uint32_t slice_port_hello(SliceStore *store, const SliceLayerInfo *layers,
                          size_t n_layers)
{
    if (n_layers > SLICE_LAYERS_MAX) {
        return SLICE_RESP_INVALID;
    }
    memcpy(store->layers, layers, n_layers * sizeof(*layers));
    store->n_layers = n_layers;
    store->is_guest_ready = true;
    slice_event_guest(store);
    slice_guest_flush(store);
    return SLICE_RESP_OK;
}

static bool is_moving(const SliceEntry *entry)
{
    return entry->state != SLICE_STATE_OWNER || entry->resuming ||
           entry->fenced;
}

/* Flows that the guest tells in the middle of a move take effect after it. */
static void keep_flows(SliceTransfer *transfer, const SliceInfoFromGuest *info)
{
    g_free(transfer->told_flows);
    transfer->told_flows = g_memdup2(info->flows,
                                     info->n_listed * sizeof(*info->flows));
    transfer->n_told_flows = info->n_listed;
    transfer->has_told_flows = true;
}

static bool same_info(const SliceEntry *entry, const SliceInfoFromGuest *info)
{
    return entry->movability == info->movability && entry->why == info->why &&
           entry->n_capsules == info->n_capsules &&
           entry->memory_bytes == info->memory_bytes &&
           entry->n_flows == info->n_listed &&
           !memcmp(entry->counts, info->counts, sizeof(entry->counts)) &&
           !strcmp(entry->label, info->label) &&
           !strcmp(entry->top_layer, info->top_layer) &&
           (!entry->n_flows ||
            !memcmp(entry->flows, info->flows,
                    entry->n_flows * sizeof(*info->flows)));
}

static void take_info(SliceEntry *entry, const SliceInfoFromGuest *info)
{
    entry->memory_bytes = info->memory_bytes;
    entry->n_capsules = info->n_capsules;
    entry->movability = info->movability;
    entry->why = info->why;
    memcpy(entry->counts, info->counts, sizeof(entry->counts));
    pstrcpy(entry->label, sizeof(entry->label), info->label);
    pstrcpy(entry->top_layer, sizeof(entry->top_layer), info->top_layer);
}

/*
 * What another entry's gate does with these flows ends: a tombstone's mutes them,
 * where the guest has a socket again, a move's watches them, and one's that resumes
 * holds them.
 */
static void take_from_others(SliceStore *store, const SliceEntry *entry,
                             const SliceInfoFromGuest *info)
{
    SliceEntry *other;

    for (uint32_t i = 0; i < info->n_listed; i++) {
        other = slice_table_find_flow(store->table, &info->flows[i]);
        if (!other || other == entry) {
            continue;
        }
        if (slice_entry_is_draining(other)) {
            other->transfer->has_regrouped = true;
        } else if (!other->resuming && !slice_entry_is_tombstone(other)) {
            continue;
        }
        if (store->gate_ops && other->resuming &&
            other->transfer->is_unplugged) {
            store->gate_ops->release(store->gate, &info->flows[i]);
        } else if (store->gate_ops) {
            store->gate_ops->remove(store->gate, &info->flows[i]);
        }
    }
}

static bool has_flow(const SliceFlow *flows, uint32_t n_flows,
                     const SliceFlow *flow)
{
    for (uint32_t i = 0; i < n_flows; i++) {
        if (!memcmp(&flows[i], flow, sizeof(*flow))) {
            return true;
        }
    }
    return false;
}

/* A slice that drains has new flows. */
static void regroup(SliceStore *store, SliceEntry *entry, const SliceFlow *old,
                    uint32_t n_old)
{
    for (uint32_t i = 0; store->gate_ops && i < n_old; i++) {
        if (!slice_table_find_flow(store->table, &old[i])) {
            store->gate_ops->remove(store->gate, &old[i]);
        }
    }
    for (uint32_t i = 0; i < entry->n_flows; i++) {
        if (!has_flow(old, n_old, &entry->flows[i])) {
            entry->transfer->has_regrouped = true;
        }
    }
}

/*
 * Capsules that left in one slice came back in another, which has ended or split
 * since: the first one's id is a slice's again that runs here.  No report that was
 * made before it left comes after it has, so this is news.  NULL: what it left for
 * is not over yet.
 */
static SliceEntry *revive(SliceStore *store, SliceEntry *tombstone)
{
    SliceId id = tombstone->id;
    uint64_t term = tombstone->term;

    if (tombstone->state != SLICE_STATE_GONE ||
        (tombstone->transfer && tombstone->transfer->is_unforgotten)) {
        return NULL;
    }
    slice_gate_remove(store, tombstone);
    slice_table_remove(store->table, tombstone);
    return slice_table_insert(store->table, id, SLICE_STATE_OWNER, term);
}

uint32_t slice_port_set(SliceStore *store, SliceId slice,
                        const SliceInfoFromGuest *info)
{
    SliceEntry *entry = slice_table_find(store->table, slice);
    g_autofree SliceFlow *old = NULL;
    uint32_t n_old;

    if (!slice.incarnation || info->n_listed > SLICE_TABLE_FLOWS_MAX) {
        return SLICE_RESP_INVALID;
    }
    if (!store->is_guest_ready) {
        return SLICE_RESP_STALE;
    }
    if (entry && slice_entry_is_tombstone(entry)) {
        entry = revive(store, entry);
        if (!entry) {
            return SLICE_RESP_STALE;
        }
    } else if (!entry) {
        entry = slice_table_insert(store->table, slice, SLICE_STATE_OWNER, 0);
        if (!entry) {
            return SLICE_RESP_NO_ROOM;
        }
    } else if (is_moving(entry) && !slice_entry_is_draining(entry)) {
        take_info(entry, info);
        if (entry->transfer) {
            keep_flows(entry->transfer, info);
        }
        return SLICE_RESP_OK;
    } else if (same_info(entry, info)) {
        return SLICE_RESP_OK;
    }
    take_from_others(store, entry, info);
    n_old = entry->n_flows;
    old = g_memdup2(entry->flows, n_old * sizeof(*old));
    if (!slice_table_set_flows(store->table, entry, info->flows,
                               info->n_listed)) {
        if (!entry->n_capsules) {
            slice_table_remove(store->table, entry);
        }
        return SLICE_RESP_INVALID;
    }
    if (slice_entry_is_draining(entry)) {
        regroup(store, entry, old, n_old);
    }
    take_info(entry, info);
    slice_event_changed(store, entry, false);
    return SLICE_RESP_OK;
}

uint32_t slice_port_gone(SliceStore *store, SliceId slice)
{
    SliceEntry *entry = slice_table_find(store->table, slice);

    if (!entry) {
        return SLICE_RESP_UNKNOWN;
    }
    if (entry->state == SLICE_STATE_MOVING) {
        slice_move_ended(store, entry);
    } else if (entry->fenced ||
               (entry->state == SLICE_STATE_OWNER && entry->resuming)) {
        /*
         * Fenced: its last words are held, until it is known whose it is.
         * Resuming: this has overtaken RESUMED, which comes.
         */
        entry->ended = true;
        return SLICE_RESP_OK;
    } else if (entry->state == SLICE_STATE_PLUGGED ||
               (entry->state == SLICE_STATE_RESERVED &&
                entry->transfer->is_room_asked)) {
        /* Its processes died before it was open; the move goes on to its end. */
        entry->ended = true;
        return SLICE_RESP_OK;
    } else if (is_moving(entry)) {
        return SLICE_RESP_STALE;
    }
    slice_event_changed(store, entry, true);
    slice_table_remove(store->table, entry);
    slice_store_wake(store);
    return SLICE_RESP_OK;
}

void slice_port_reset(SliceStore *store)
{
    SliceEntry *entry, *next;
    bool had_guest = store->is_guest_ready;

    store->is_guest_ready = false;
    store->n_layers = 0;
    g_queue_clear_full(store->guest_events, g_free);
    timer_del(store->guest_timer);
    slice_reserve_guest_lost(store);
    slice_find_guest_lost(store);
    slice_lookup_guest_lost(store);
    QTAILQ_FOREACH_SAFE(entry, slice_table_entries(store->table), next, next) {
        switch (entry->state) {
        case SLICE_STATE_OWNER:
        case SLICE_STATE_MOVING:
        case SLICE_STATE_SENT:
            slice_move_guest_lost(store, entry);
            break;
        case SLICE_STATE_RESERVED:
        case SLICE_STATE_PLUGGED:
            slice_arrive_guest_lost(store, entry);
            break;
        default:
            break;
        }
    }
    if (had_guest) {
        /* The next kernel counts from the beginning again. */
        slice_store_renew(store);
        slice_event_guest(store);
    }
    slice_store_wake(store);
}
