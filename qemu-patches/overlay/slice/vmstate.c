/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmstate.c - the table of a VM that is saved, restored or migrated whole
 *
 * No slice moves while a VM is being saved (a blocker sees to it), so entries
 * are OWNER or tombstones.  A VM that comes back may do so twice, or long after
 * its slices have gone elsewhere: it has a new incarnation, and its slices that
 * have flows are fenced, the gate holds what they say and hear, until the
 * orchestrator confirms (slice-confirm).  Tombstones keep their flows mute;
 * whom they forwarded to is not known here any more.
 *
 * Everything that is loaded is checked: counts, states, flows.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "migration/vmstate.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "slice/store.h"

#define ENTRIES_MAX (SLICE_TABLE_SLICES_MAX + SLICE_TABLE_TOMBSTONES_MAX)

typedef struct SavedLayer {
    uint8_t name[16];
    uint32_t version;
    uint32_t rank;
    uint64_t abi_hash;
} SavedLayer;

typedef struct SavedEntry {
    uint64_t incarnation;
    uint64_t counter;
    uint64_t term;
    uint64_t memory_bytes;
    uint32_t state;
    uint32_t movability;
    uint32_t why;
    uint32_t n_capsules;
    uint32_t n_flows;
    uint8_t label[33];
    uint8_t top_layer[17];
    uint8_t peer[64];
    uint8_t *flows;
    uint32_t flows_bytes;
} SavedEntry;

struct SliceSaved {
    SliceStore *store;
    uint32_t orchestrator;
    uint8_t is_guest_ready;
    uint32_t n_layers;
    SavedLayer layers[SLICE_LAYERS_MAX];
    int32_t n_entries;
    SavedEntry *entries;
};

static bool flows_fit(void *opaque, int version_id)
{
    SavedEntry *saved = opaque;

    saved->flows_bytes = saved->n_flows * sizeof(SliceFlow);
    return saved->n_flows <= SLICE_TABLE_FLOWS_MAX;
}

static bool entries_fit(void *opaque, int version_id)
{
    SliceSaved *saved = opaque;

    if (saved->n_entries < 0 || saved->n_entries > ENTRIES_MAX ||
        saved->n_layers > SLICE_LAYERS_MAX) {
        return false;
    }
    if (!saved->entries) {
        /* Loading: zeroed, since an entry without flows gets no pointer. */
        saved->entries = g_new0(SavedEntry, saved->n_entries);
    }
    return true;
}

static const VMStateDescription vmstate_layer = {
    .name = "slice-store/layer",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_BUFFER(name, SavedLayer),
        VMSTATE_UINT32(version, SavedLayer),
        VMSTATE_UINT32(rank, SavedLayer),
        VMSTATE_UINT64(abi_hash, SavedLayer),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription vmstate_entry = {
    .name = "slice-store/entry",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(incarnation, SavedEntry),
        VMSTATE_UINT64(counter, SavedEntry),
        VMSTATE_UINT64(term, SavedEntry),
        VMSTATE_UINT64(memory_bytes, SavedEntry),
        VMSTATE_UINT32(state, SavedEntry),
        VMSTATE_UINT32(movability, SavedEntry),
        VMSTATE_UINT32(why, SavedEntry),
        VMSTATE_UINT32(n_capsules, SavedEntry),
        VMSTATE_UINT32(n_flows, SavedEntry),
        VMSTATE_BUFFER(label, SavedEntry),
        VMSTATE_BUFFER(top_layer, SavedEntry),
        VMSTATE_BUFFER(peer, SavedEntry),
        VMSTATE_VALIDATE("flows of one slice", flows_fit),
        VMSTATE_VBUFFER_ALLOC_UINT32(flows, SavedEntry, 1, NULL, flows_bytes),
        VMSTATE_END_OF_LIST()
    },
};

static void saved_clear(SliceSaved *saved)
{
    for (int i = 0; saved->entries && i < saved->n_entries; i++) {
        g_free(saved->entries[i].flows);
    }
    g_free(saved->entries);
    saved->entries = NULL;
    saved->n_entries = 0;
}

static void save_layer(const SliceLayerInfo *layer, SavedLayer *saved)
{
    QEMU_BUILD_BUG_ON(sizeof(saved->name) != sizeof(layer->name));
    memcpy(saved->name, layer->name, sizeof(saved->name));
    saved->version = layer->version;
    saved->rank = layer->rank;
    saved->abi_hash = layer->abi_hash;
}

static void load_layer(const SavedLayer *saved, SliceLayerInfo *layer)
{
    memcpy(layer->name, saved->name, sizeof(layer->name));
    layer->name[sizeof(layer->name) - 1] = 0;
    layer->version = saved->version;
    layer->rank = saved->rank;
    layer->abi_hash = saved->abi_hash;
}

static void save_entry(const SliceEntry *entry, SavedEntry *saved)
{
    *saved = (SavedEntry) {
        .incarnation = entry->id.incarnation,
        .counter = entry->id.counter,
        .term = entry->term,
        .memory_bytes = entry->memory_bytes,
        .state = entry->state,
        .movability = entry->movability,
        .why = entry->why,
        .n_capsules = entry->n_capsules,
        .n_flows = entry->n_flows,
        .flows = g_memdup2(entry->flows, entry->n_flows * sizeof(SliceFlow)),
    };
    pstrcpy((char *)saved->label, sizeof(saved->label), entry->label);
    pstrcpy((char *)saved->top_layer, sizeof(saved->top_layer),
            entry->top_layer);
    pstrcpy((char *)saved->peer, sizeof(saved->peer), entry->peer ?: "");
}

static int store_pre_save(void *opaque)
{
    SliceSaved *saved = opaque;
    SliceStore *store = saved->store;
    SavedEntry *to;
    SliceEntry *entry;

    saved_clear(saved);
    saved->orchestrator = store->orchestrator;
    saved->is_guest_ready = store->is_guest_ready;
    saved->n_layers = store->n_layers;
    for (uint32_t i = 0; i < SLICE_LAYERS_MAX; i++) {
        save_layer(&store->layers[i], &saved->layers[i]);
    }
    saved->n_entries = slice_table_n_slices(store->table) +
                       slice_table_n_tombstones(store->table);
    saved->entries = g_new0(SavedEntry, saved->n_entries);
    to = saved->entries;
    QTAILQ_FOREACH(entry, slice_table_entries(store->table), next) {
        save_entry(entry, to++);
    }
    return 0;
}

static int store_post_save(void *opaque)
{
    saved_clear(opaque);
    return 0;
}

static int store_pre_load(void *opaque)
{
    saved_clear(opaque);
    return 0;
}

/* One entry into the table, fenced or mute. */
static bool load_entry(SliceStore *store, SavedEntry *saved)
{
    SliceId id = { saved->incarnation, saved->counter };
    bool is_owner = saved->state == SLICE_STATE_OWNER;
    SliceEntry *entry;

    if (!id.incarnation || (!is_owner && saved->state != SLICE_STATE_GONE &&
                            saved->state != SLICE_STATE_DEAD)) {
        return false;
    }
    entry = slice_table_insert(store->table, id, saved->state, saved->term);
    if (!entry) {
        return false;
    }
    entry->memory_bytes = saved->memory_bytes;
    entry->movability = saved->movability;
    entry->why = saved->why;
    entry->n_capsules = saved->n_capsules;
    saved->label[sizeof(saved->label) - 1] = 0;
    saved->top_layer[sizeof(saved->top_layer) - 1] = 0;
    saved->peer[sizeof(saved->peer) - 1] = 0;
    pstrcpy(entry->label, sizeof(entry->label), (char *)saved->label);
    pstrcpy(entry->top_layer, sizeof(entry->top_layer),
            (char *)saved->top_layer);
    entry->peer = saved->peer[0] ? g_strdup((char *)saved->peer) : NULL;
    if (!slice_table_set_flows(store->table, entry, (SliceFlow *)saved->flows,
                               saved->n_flows)) {
        return false;
    }
    entry->fenced = is_owner && entry->n_flows;
    if (is_owner || saved->state == SLICE_STATE_GONE) {
        return slice_gate_set(store, entry, is_owner ? SLICE_GATE_HOLD
                                                     : SLICE_GATE_FORWARD,
                              NULL);
    }
    return true;
}

static int store_post_load(void *opaque, int version_id)
{
    SliceSaved *saved = opaque;
    SliceStore *store = saved->store;
    uint32_t n_fenced = 0;
    SliceEntry *entry;

    /* Who had asked or was asked is another guest now. */
    slice_reserve_guest_lost(store);
    slice_find_guest_lost(store);
    slice_lookup_guest_lost(store);
    store->n_changes++;
    store->n_arrivals++;
    while ((entry = QTAILQ_FIRST(slice_table_entries(store->table)))) {
        slice_table_remove(store->table, entry);
    }
    store->orchestrator = MAX(store->orchestrator, saved->orchestrator);
    store->is_guest_ready = saved->is_guest_ready == 1;
    store->n_layers = saved->n_layers;
    for (uint32_t i = 0; i < SLICE_LAYERS_MAX; i++) {
        load_layer(&saved->layers[i], &store->layers[i]);
    }
    for (int i = 0; i < saved->n_entries; i++) {
        if (!load_entry(store, &saved->entries[i])) {
            error_report("slice-store '%s': saved slice %d is not valid",
                         store->name, i);
            return -EINVAL;
        }
    }
    QTAILQ_FOREACH(entry, slice_table_entries(store->table), next) {
        n_fenced += entry->fenced;
    }
    if (n_fenced) {
        warn_report("slice-store '%s': %u restored slices are held until the "
                    "orchestrator confirms them", store->name, n_fenced);
    }
    saved_clear(saved);
    slice_store_renew(store);
    return 0;
}

static const VMStateDescription vmstate_store = {
    .name = "slice-store",
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_load = store_pre_load,
    .post_load = store_post_load,
    .pre_save = store_pre_save,
    .post_save = store_post_save,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(orchestrator, SliceSaved),
        VMSTATE_UINT8(is_guest_ready, SliceSaved),
        VMSTATE_UINT32(n_layers, SliceSaved),
        VMSTATE_INT32(n_entries, SliceSaved),
        VMSTATE_VALIDATE("layers and slices", entries_fit),
        VMSTATE_STRUCT_ARRAY(layers, SliceSaved, SLICE_LAYERS_MAX, 1,
                             vmstate_layer, SavedLayer),
        VMSTATE_STRUCT_VARRAY_POINTER_INT32(entries, SliceSaved, n_entries,
                                            vmstate_entry, SavedEntry),
        VMSTATE_END_OF_LIST()
    },
};

void slice_vmstate_register(SliceStore *store)
{
    store->saved = g_new0(SliceSaved, 1);
    store->saved->store = store;
    vmstate_register_any(NULL, &vmstate_store, store->saved);
}

void slice_vmstate_unregister(SliceStore *store)
{
    if (store->saved) {
        vmstate_unregister(NULL, &vmstate_store, store->saved);
        saved_clear(store->saved);
        g_free(store->saved);
        store->saved = NULL;
    }
}
