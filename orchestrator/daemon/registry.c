/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * registry.c - the view of all slices, as their engines tell it
 *
 * slices:  id -> array of entries, at most one for each VM, rarely more than two.
 */
#include "registry.h"

#include <string.h>

#include "util/error.h"
#include "util/id.h"

struct SliceRegistry {
    GHashTable *slices;
};

static const char *const state_names[] = {
    [SLICE_STATE_OWNER] = "owner",       [SLICE_STATE_MOVING] = "moving",
    [SLICE_STATE_SENT] = "sent",         [SLICE_STATE_GONE] = "gone",
    [SLICE_STATE_RESERVED] = "reserved", [SLICE_STATE_PLUGGED] = "plugged",
    [SLICE_STATE_DEAD] = "dead",
};

const char *slice_state_name(SliceState state)
{
    return state_names[state];
}

gboolean slice_state_from_name(const char *name, SliceState *ret_state)
{
    for (gsize i = 0; i < G_N_ELEMENTS(state_names); i++) {
        if (!g_strcmp0(name, state_names[i])) {
            *ret_state = i;
            return TRUE;
        }
    }
    return FALSE;
}

SliceEntry *slice_entry_new(const char *id, const char *vm)
{
    SliceEntry *entry = g_new0(SliceEntry, 1);

    entry->id = g_strdup(id);
    entry->vm = g_strdup(vm);
    entry->movability = g_strdup("movable");
    entry->label = g_strdup("");
    entry->top_layer = g_strdup("");
    entry->flows = g_array_new(FALSE, FALSE, sizeof(SliceTuple));
    return entry;
}

SliceEntry *slice_entry_copy(const SliceEntry *entry)
{
    SliceEntry *copy = g_new0(SliceEntry, 1);

    *copy = *entry;
    copy->id = g_strdup(entry->id);
    copy->vm = g_strdup(entry->vm);
    copy->peer = g_strdup(entry->peer);
    copy->movability = g_strdup(entry->movability);
    copy->why = g_strdup(entry->why);
    copy->label = g_strdup(entry->label);
    copy->top_layer = g_strdup(entry->top_layer);
    copy->flows = g_array_copy(entry->flows);
    return copy;
}

void slice_entry_free(SliceEntry *entry)
{
    if (!entry) {
        return;
    }
    g_free(entry->id);
    g_free(entry->vm);
    g_free(entry->peer);
    g_free(entry->movability);
    g_free(entry->why);
    g_free(entry->label);
    g_free(entry->top_layer);
    g_array_unref(entry->flows);
    g_free(entry);
}

gboolean slice_entry_has_flow(const SliceEntry *entry, const SliceTuple *flow)
{
    for (guint i = 0; i < entry->flows->len; i++) {
        if (slice_tuple_equal(&g_array_index(entry->flows, SliceTuple, i),
                              flow)) {
            return TRUE;
        }
    }
    return FALSE;
}

SliceRegistry *slice_registry_new(void)
{
    SliceRegistry *registry = g_new0(SliceRegistry, 1);

    registry->slices = g_hash_table_new_full(
        g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
    return registry;
}

void slice_registry_free(SliceRegistry *registry)
{
    if (registry) {
        g_hash_table_unref(registry->slices);
        g_free(registry);
    }
}

static GPtrArray *places_of(SliceRegistry *registry, const char *id)
{
    GPtrArray *places = g_hash_table_lookup(registry->slices, id);

    if (!places) {
        places = g_ptr_array_new_with_free_func((GDestroyNotify)slice_entry_free);
        g_hash_table_insert(registry->slices, g_strdup(id), places);
    }
    return places;
}

static SliceEntry *entry_at(SliceRegistry *registry, const char *vm,
                            const char *id)
{
    GPtrArray *places = g_hash_table_lookup(registry->slices, id);

    for (guint i = 0; places && i < places->len; i++) {
        SliceEntry *entry = g_ptr_array_index(places, i);

        if (g_str_equal(entry->vm, vm)) {
            return entry;
        }
    }
    return NULL;
}

const SliceEntry *slice_registry_peek(SliceRegistry *registry, const char *vm,
                                      const char *id)
{
    return entry_at(registry, vm, id);
}

/* Appends the flows of @old that no entry of the slice has any more. */
static void append_closed(SliceRegistry *registry, const char *id,
                          GArray *old, GArray *ret_closed)
{
    GPtrArray *places = g_hash_table_lookup(registry->slices, id);

    for (guint i = 0; i < old->len; i++) {
        const SliceTuple *flow = &g_array_index(old, SliceTuple, i);
        gboolean known = FALSE;

        for (guint k = 0; places && k < places->len && !known; k++) {
            known = slice_entry_has_flow(g_ptr_array_index(places, k), flow);
        }
        if (!known) {
            g_array_append_vals(ret_closed, flow, 1);
        }
    }
}

static void remove_entry(SliceRegistry *registry, const char *vm,
                         const char *id, GArray *ret_closed)
{
    SliceEntry *entry = entry_at(registry, vm, id);
    g_autoptr(GArray) flows = NULL;
    g_autofree char *key = NULL;
    GPtrArray *places;

    if (!entry) {
        return;
    }
    key = g_strdup(id);
    flows = g_array_ref(entry->flows);
    places = g_hash_table_lookup(registry->slices, key);
    g_ptr_array_remove(places, entry);
    if (places->len == 0) {
        g_hash_table_remove(registry->slices, key);
    }
    if (ret_closed) {
        append_closed(registry, key, flows, ret_closed);
    }
}

void slice_registry_update(SliceRegistry *registry, SliceEntry *entry,
                           GArray *ret_closed)
{
    SliceEntry *old = entry_at(registry, entry->vm, entry->id);
    g_autoptr(GArray) flows = NULL;
    g_autofree char *id = g_strdup(entry->id);
    GPtrArray *places;

    if (entry->state == SLICE_STATE_GONE || entry->state == SLICE_STATE_DEAD) {
        remove_entry(registry, entry->vm, id, ret_closed);
        slice_entry_free(entry);
        return;
    }
    places = places_of(registry, id);
    if (old) {
        flows = g_array_ref(old->flows);
        g_ptr_array_remove(places, old);
    }
    g_ptr_array_add(places, entry);
    if (flows) {
        append_closed(registry, id, flows, ret_closed);
    }
}

void slice_registry_end(SliceRegistry *registry, const char *vm,
                        const char *id, GArray *ret_closed)
{
    remove_entry(registry, vm, id, ret_closed);
}

static GPtrArray *ids_at(SliceRegistry *registry, const char *vm)
{
    GPtrArray *ids = g_ptr_array_new_with_free_func(g_free);
    GHashTableIter iter;
    gpointer id;

    g_hash_table_iter_init(&iter, registry->slices);
    while (g_hash_table_iter_next(&iter, &id, NULL)) {
        if (entry_at(registry, vm, id)) {
            g_ptr_array_add(ids, g_strdup(id));
        }
    }
    return ids;
}

void slice_registry_replace(SliceRegistry *registry, const char *vm,
                            GPtrArray *entries, GArray *ret_closed)
{
    g_autoptr(GPtrArray) old = ids_at(registry, vm);
    g_autoptr(GHashTable) told = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < entries->len; i++) {
        SliceEntry *entry = g_ptr_array_index(entries, i);

        g_hash_table_add(told, entry->id);
        slice_registry_update(registry, slice_entry_copy(entry), ret_closed);
    }
    for (guint i = 0; i < old->len; i++) {
        if (!g_hash_table_contains(told, g_ptr_array_index(old, i))) {
            remove_entry(registry, vm, g_ptr_array_index(old, i), ret_closed);
        }
    }
}

/* Where a step leaves the slice; FALSE for one that changes no state. */
static gboolean state_after(const char *step, SliceState *ret_state)
{
    static const struct {
        const char *step;
        SliceState state;
    } table[] = {
        { "prepared", SLICE_STATE_RESERVED }, { "quiesced", SLICE_STATE_MOVING },
        { "sent", SLICE_STATE_SENT },         { "plugged", SLICE_STATE_PLUGGED },
        { "gone", SLICE_STATE_GONE },         { "done", SLICE_STATE_OWNER },
        { "resumed", SLICE_STATE_OWNER },     { "discarded", SLICE_STATE_GONE },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        if (!g_strcmp0(step, table[i].step)) {
            *ret_state = table[i].state;
            return TRUE;
        }
    }
    return FALSE;
}

void slice_registry_step(SliceRegistry *registry, const char *vm,
                         const char *id, guint64 term, const char *step)
{
    SliceEntry *entry = entry_at(registry, vm, id);
    GPtrArray *places = g_hash_table_lookup(registry->slices, id);
    SliceState state;

    if (!state_after(step, &state)) {
        return;
    }
    if (state == SLICE_STATE_GONE) {
        remove_entry(registry, vm, id, NULL);
        return;
    }
    if (!entry && places) {
        entry = slice_entry_copy(g_ptr_array_index(places, 0));
        g_free(entry->vm);
        entry->vm = g_strdup(vm);
        entry->held_packets = 0;
        g_ptr_array_add(places, entry);
    }
    if (entry && term >= entry->term) {
        entry->state = state;
        entry->term = term;
    }
}

void slice_registry_drop_vm(SliceRegistry *registry, const char *vm,
                            GArray *ret_closed)
{
    g_autoptr(GPtrArray) ids = ids_at(registry, vm);

    for (guint i = 0; i < ids->len; i++) {
        remove_entry(registry, vm, g_ptr_array_index(ids, i), ret_closed);
    }
}

/* How much a state says that the slice is here: the owner first, a restored one after it. */
static guint nearness(const SliceEntry *entry)
{
    static const guint of[] = {
        [SLICE_STATE_OWNER] = 12,   [SLICE_STATE_MOVING] = 10,
        [SLICE_STATE_SENT] = 8,     [SLICE_STATE_PLUGGED] = 6,
        [SLICE_STATE_RESERVED] = 4, [SLICE_STATE_GONE] = 2,
        [SLICE_STATE_DEAD] = 0,
    };

    return of[entry->state] + !entry->fenced;
}

static const SliceEntry *nearest(GPtrArray *places)
{
    const SliceEntry *best = g_ptr_array_index(places, 0);

    for (guint i = 1; i < places->len; i++) {
        const SliceEntry *entry = g_ptr_array_index(places, i);
        guint near = nearness(entry), best_near = nearness(best);

        if (near > best_near || (near == best_near && entry->term > best->term)) {
            best = entry;
        }
    }
    return best;
}

const SliceEntry *slice_registry_find(SliceRegistry *registry,
                                      const char *pattern, GError **error)
{
    GPtrArray *found = g_hash_table_lookup(registry->slices, pattern);
    g_autofree char *first = NULL;
    GHashTableIter iter;
    gpointer id, places;

    if (found) {
        return nearest(found);
    }
    g_hash_table_iter_init(&iter, registry->slices);
    while (g_hash_table_iter_next(&iter, &id, &places)) {
        if (!slice_id_matches(id, pattern)) {
            continue;
        }
        if (found) {
            g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID,
                        "'%s' names several slices, among them %s and %s",
                        pattern, first, (char *)id);
            return NULL;
        }
        found = places;
        first = g_strdup(id);
    }
    if (!found) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_NOT_FOUND,
                    "no slice is called '%s'", pattern);
        return NULL;
    }
    return nearest(found);
}

static gboolean has_client(const SliceEntry *entry, const char *client)
{
    for (guint i = 0; i < entry->flows->len; i++) {
        if (g_str_equal(g_array_index(entry->flows, SliceTuple, i).remote,
                        client)) {
            return TRUE;
        }
    }
    return FALSE;
}

static int by_id(gconstpointer a, gconstpointer b)
{
    const SliceEntry *const *one = a, *const *two = b;

    return strcmp((*one)->id, (*two)->id);
}

GPtrArray *slice_registry_list(SliceRegistry *registry, const char *vm,
                               const char *client)
{
    GPtrArray *list = g_ptr_array_new();
    GHashTableIter iter;
    gpointer places;

    g_hash_table_iter_init(&iter, registry->slices);
    while (g_hash_table_iter_next(&iter, NULL, &places)) {
        const SliceEntry *entry = nearest(places);

        if ((!vm || g_str_equal(entry->vm, vm)) &&
            (!client || has_client(entry, client))) {
            g_ptr_array_add(list, (gpointer)entry);
        }
    }
    g_ptr_array_sort(list, by_id);
    return list;
}

guint slice_registry_count(SliceRegistry *registry, const char *vm)
{
    g_autoptr(GPtrArray) list = slice_registry_list(registry, vm, NULL);

    return list->len;
}
