/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * registry.c - the view of all slices, as their engines tell it
 *
 * slices:   id -> Slice: entries, at most one for each VM, rarely more than two; and what
 *           of it is counted in the indices
 * vms:      name -> Vm: slices whose home it is, slices that it tells
 * clients:  address -> Client: how many slices at which home
 *
 * Whoever changes a slice's entries calls account() after it.
 */
#include "registry.h"

#include <string.h>

#include "util/error.h"
#include "util/id.h"

typedef struct {
    char *name;
    GHashTable *homes; /* Slice */
    GHashTable *told;  /* Slice */
} Vm;

typedef struct {
    char *address;
    guint slices;
    GHashTable *homes; /* Vm -> how many of them */
} Client;

typedef struct {
    char *id;
    GPtrArray *places;  /* SliceEntry */
    Vm *home;           /* as it is counted; NULL: nowhere */
    GPtrArray *clients; /* Client, as it is counted */
} Slice;

struct SliceRegistry {
    GHashTable *slices;
    GHashTable *vms;
    GHashTable *clients;
    GHashTable *changed; /* addresses */
    GHashTable *flows;   /* SliceTuple to how many places have it */
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
    entry->counts = g_array_new(FALSE, FALSE, sizeof(SliceCount));
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
    copy->counts = g_array_copy(entry->counts);
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
    g_array_unref(entry->counts);
    g_free(entry);
}

/* ---- indices ---- */

static void vm_free(gpointer value)
{
    Vm *vm = value;

    g_free(vm->name);
    g_hash_table_unref(vm->homes);
    g_hash_table_unref(vm->told);
    g_free(vm);
}

static void client_free(gpointer value)
{
    Client *client = value;

    g_free(client->address);
    g_hash_table_unref(client->homes);
    g_free(client);
}

static void slice_free(gpointer value)
{
    Slice *slice = value;

    g_free(slice->id);
    g_ptr_array_unref(slice->places);
    g_ptr_array_unref(slice->clients);
    g_free(slice);
}

SliceRegistry *slice_registry_new(void)
{
    SliceRegistry *registry = g_new0(SliceRegistry, 1);

    registry->slices = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, slice_free);
    registry->vms = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, vm_free);
    registry->clients = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, client_free);
    registry->changed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    registry->flows = g_hash_table_new_full(slice_tuple_hash, slice_tuple_equal, g_free, NULL);
    return registry;
}

void slice_registry_free(SliceRegistry *registry)
{
    if (registry) {
        g_hash_table_unref(registry->slices);
        g_hash_table_unref(registry->vms);
        g_hash_table_unref(registry->clients);
        g_hash_table_unref(registry->flows);
        g_hash_table_unref(registry->changed);
        g_free(registry);
    }
}

static Vm *vm_of(SliceRegistry *registry, const char *name)
{
    Vm *vm = g_hash_table_lookup(registry->vms, name);

    if (!vm) {
        vm = g_new0(Vm, 1);
        vm->name = g_strdup(name);
        vm->homes = g_hash_table_new(NULL, NULL);
        vm->told = g_hash_table_new(NULL, NULL);
        g_hash_table_insert(registry->vms, vm->name, vm);
    }
    return vm;
}

static Client *client_of(SliceRegistry *registry, const char *address)
{
    Client *client = g_hash_table_lookup(registry->clients, address);

    if (!client) {
        client = g_new0(Client, 1);
        client->address = g_strdup(address);
        client->homes = g_hash_table_new(NULL, NULL);
        g_hash_table_insert(registry->clients, client->address, client);
    }
    return client;
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

static SliceEntry *nearest(const Slice *slice)
{
    SliceEntry *best = NULL;

    for (guint i = 0; i < slice->places->len; i++) {
        SliceEntry *entry = g_ptr_array_index(slice->places, i);

        if (!best || nearness(entry) > nearness(best) ||
            (nearness(entry) == nearness(best) && entry->term > best->term)) {
            best = entry;
        }
    }
    return best;
}

/* @by: 1 or -1: the slice is, or is not any more, at this home and of these clients. */
static void count(SliceRegistry *registry, Slice *slice, int by)
{
    if (slice->home && by > 0) {
        g_hash_table_add(slice->home->homes, slice);
    } else if (slice->home) {
        g_hash_table_remove(slice->home->homes, slice);
    }
    for (guint i = 0; i < slice->clients->len; i++) {
        Client *client = g_ptr_array_index(slice->clients, i);
        guint there = GPOINTER_TO_UINT(g_hash_table_lookup(client->homes, slice->home));

        client->slices += by;
        there += by;
        if (there) {
            g_hash_table_insert(client->homes, slice->home, GUINT_TO_POINTER(there));
        } else {
            g_hash_table_remove(client->homes, slice->home);
        }
        g_hash_table_add(registry->changed, g_strdup(client->address));
    }
}

static void drop_unused(SliceRegistry *registry, GPtrArray *clients)
{
    for (guint i = 0; i < clients->len; i++) {
        Client *client = g_ptr_array_index(clients, i);

        if (!client->slices) {
            g_hash_table_remove(registry->clients, client->address);
        }
    }
}

static GPtrArray *clients_of(SliceRegistry *registry, const SliceEntry *entry)
{
    GPtrArray *clients = g_ptr_array_new();

    for (guint i = 0; i < entry->flows->len; i++) {
        Client *client = client_of(registry,
            g_array_index(entry->flows, SliceTuple, i).remote);

        if (!g_ptr_array_find(clients, client, NULL)) {
            g_ptr_array_add(clients, client);
        }
    }
    return clients;
}

static gboolean same_clients(GPtrArray *a, GPtrArray *b)
{
    return a->len == b->len &&
           (!a->len || !memcmp(a->pdata, b->pdata, a->len * sizeof(gpointer)));
}

/* The slice's entries have changed: the indices follow, and one that nobody tells is dropped. */
static void account(SliceRegistry *registry, Slice *slice)
{
    const SliceEntry *entry = nearest(slice);
    Vm *home = entry ? vm_of(registry, entry->vm) : NULL;
    GPtrArray *clients = entry ? clients_of(registry, entry) : g_ptr_array_new();
    GPtrArray *before = slice->clients;

    if (entry && !clients->len) { /* without a connection: still of whom it was */
        g_ptr_array_extend(clients, before, NULL, NULL);
    }
    if (home == slice->home && same_clients(clients, before)) {
        g_ptr_array_unref(clients);
    } else {
        count(registry, slice, -1);
        slice->home = home;
        slice->clients = clients;
        count(registry, slice, 1);
        drop_unused(registry, before);
        g_ptr_array_unref(before);
    }
    if (!entry) {
        g_hash_table_remove(registry->slices, slice->id);
    }
}

/* ---- entries ---- */

static Slice *slice_of(SliceRegistry *registry, const char *id)
{
    Slice *slice = g_hash_table_lookup(registry->slices, id);

    if (!slice) {
        slice = g_new0(Slice, 1);
        slice->id = g_strdup(id);
        slice->places = g_ptr_array_new_with_free_func((GDestroyNotify)slice_entry_free);
        slice->clients = g_ptr_array_new();
        g_hash_table_insert(registry->slices, slice->id, slice);
    }
    return slice;
}

static SliceEntry *entry_in(const Slice *slice, const char *vm)
{
    for (guint i = 0; slice && i < slice->places->len; i++) {
        SliceEntry *entry = g_ptr_array_index(slice->places, i);

        if (g_str_equal(entry->vm, vm)) {
            return entry;
        }
    }
    return NULL;
}

const SliceEntry *slice_registry_peek(SliceRegistry *registry, const char *vm,
                                      const char *id)
{
    return entry_in(g_hash_table_lookup(registry->slices, id), vm);
}

static void count_flows(SliceRegistry *registry, GArray *flows, int by)
{
    for (guint i = 0; i < flows->len; i++) {
        const SliceTuple *flow = &g_array_index(flows, SliceTuple, i);
        int n = GPOINTER_TO_INT(g_hash_table_lookup(registry->flows, flow)) + by;

        if (n) {
            g_hash_table_replace(registry->flows, g_memdup2(flow, sizeof(*flow)),
                                 GINT_TO_POINTER(n));
        } else {
            g_hash_table_remove(registry->flows, flow);
        }
    }
}

static void add_place(SliceRegistry *registry, Slice *slice, SliceEntry *entry)
{
    count_flows(registry, entry->flows, 1);
    g_ptr_array_add(slice->places, entry);
    g_hash_table_add(vm_of(registry, entry->vm)->told, slice);
}

/* Appends the flows of @old that no slice has any more: a slice that splits ends
 * where its connections go on in another. */
static void append_closed(SliceRegistry *registry, GArray *old, GArray *ret_closed)
{
    for (guint i = 0; i < old->len; i++) {
        const SliceTuple *flow = &g_array_index(old, SliceTuple, i);

        if (!g_hash_table_contains(registry->flows, flow)) {
            g_array_append_vals(ret_closed, flow, 1);
        }
    }
}

static void remove_entry(SliceRegistry *registry, const char *vm,
                         const char *id, GArray *ret_closed)
{
    Slice *slice = g_hash_table_lookup(registry->slices, id);
    SliceEntry *entry = entry_in(slice, vm);
    g_autoptr(GArray) flows = NULL;

    if (!entry) {
        return;
    }
    flows = g_array_ref(entry->flows);
    g_hash_table_remove(vm_of(registry, vm)->told, slice);
    count_flows(registry, flows, -1);
    g_ptr_array_remove(slice->places, entry);
    if (ret_closed) {
        append_closed(registry, flows, ret_closed);
    }
    account(registry, slice);
}

void slice_registry_update(SliceRegistry *registry, SliceEntry *entry,
                           GArray *ret_closed)
{
    g_autoptr(GArray) flows = NULL;
    Slice *slice;
    SliceEntry *old;

    if (entry->state == SLICE_STATE_GONE || entry->state == SLICE_STATE_DEAD) {
        remove_entry(registry, entry->vm, entry->id, ret_closed);
        slice_entry_free(entry);
        return;
    }
    slice = slice_of(registry, entry->id);
    old = entry_in(slice, entry->vm);
    if (old) {
        flows = g_array_ref(old->flows);
        count_flows(registry, flows, -1);
        g_ptr_array_remove(slice->places, old);
    }
    add_place(registry, slice, entry);
    if (flows) {
        append_closed(registry, flows, ret_closed);
    }
    account(registry, slice);
}

void slice_registry_end(SliceRegistry *registry, const char *vm,
                        const char *id, GArray *ret_closed)
{
    remove_entry(registry, vm, id, ret_closed);
}

/* Return: ids of the slices that @vm tells, copied. */
static GPtrArray *ids_at(SliceRegistry *registry, const char *vm)
{
    GPtrArray *ids = g_ptr_array_new_with_free_func(g_free);
    GHashTableIter iter;
    gpointer slice;

    g_hash_table_iter_init(&iter, vm_of(registry, vm)->told);
    while (g_hash_table_iter_next(&iter, &slice, NULL)) {
        g_ptr_array_add(ids, g_strdup(((Slice *)slice)->id));
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

static gboolean has_flow(GArray *flows, const SliceTuple *flow)
{
    for (guint i = 0; i < flows->len; i++) {
        if (slice_tuple_equal(&g_array_index(flows, SliceTuple, i), flow)) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean is_elsewhere(SliceRegistry *registry, const Slice *slice,
                             const SliceTuple *flow)
{
    int n = GPOINTER_TO_INT(g_hash_table_lookup(registry->flows, flow));

    for (guint i = 0; i < slice->places->len; i++) {
        n -= has_flow(((SliceEntry *)g_ptr_array_index(slice->places, i))->flows, flow);
    }
    return n > 0;
}

gboolean slice_registry_regrouped(SliceRegistry *registry, const char *vm, const char *id,
                                  GArray *flows)
{
    const Slice *slice = g_hash_table_lookup(registry->slices, id);
    const SliceEntry *entry = entry_in(slice, vm);

    for (guint i = 0; entry && i < entry->flows->len; i++) {
        if (!has_flow(flows, &g_array_index(entry->flows, SliceTuple, i))) {
            return TRUE;
        }
    }
    for (guint i = 0; entry && i < flows->len; i++) {
        if (is_elsewhere(registry, slice, &g_array_index(flows, SliceTuple, i))) {
            return TRUE;
        }
    }
    return FALSE;
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
                         const char *id, guint64 term, const char *step,
                         const char *peer)
{
    Slice *slice = g_hash_table_lookup(registry->slices, id);
    SliceEntry *entry = entry_in(slice, vm);
    SliceState state;

    if (!slice || !state_after(step, &state)) {
        return;
    }
    if (state == SLICE_STATE_GONE) {
        remove_entry(registry, vm, id, NULL);
        return;
    }
    if (!entry) {
        entry = slice_entry_copy(nearest(slice));
        g_free(entry->vm);
        entry->vm = g_strdup(vm);
        entry->held_packets = 0;
        add_place(registry, slice, entry);
    }
    if (term >= entry->term) {
        entry->state = state;
        entry->term = term;
        if (peer) {
            g_free(entry->peer);
            entry->peer = g_strdup(peer);
        }
    }
    account(registry, slice);
}

void slice_registry_drop_vm(SliceRegistry *registry, const char *vm,
                            GArray *ret_closed)
{
    g_autoptr(GPtrArray) ids = ids_at(registry, vm);

    for (guint i = 0; i < ids->len; i++) {
        remove_entry(registry, vm, g_ptr_array_index(ids, i), ret_closed);
    }
}

/* ---- questions ---- */

/* Return: (nullable): the only slice that a person can mean; its id may be known whole. */
static const Slice *find_by_pattern(SliceRegistry *registry, const char *pattern,
                                    GError **error)
{
    const Slice *found = g_hash_table_lookup(registry->slices, pattern);
    GHashTableIter iter;
    gpointer value;

    if (found) {
        return found;
    }
    g_hash_table_iter_init(&iter, registry->slices);
    while (!slice_id_is_valid(pattern) && g_hash_table_iter_next(&iter, NULL, &value)) {
        const Slice *slice = value;

        if (!slice_id_matches(slice->id, pattern)) {
            continue;
        }
        if (found) {
            g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID,
                        "'%s' names several slices, among them %s and %s",
                        pattern, found->id, slice->id);
            return NULL;
        }
        found = slice;
    }
    if (!found) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_NOT_FOUND,
                    "no slice is called '%s'", pattern);
    }
    return found;
}

const SliceEntry *slice_registry_find(SliceRegistry *registry,
                                      const char *pattern, GError **error)
{
    const Slice *slice = find_by_pattern(registry, pattern, error);

    return slice ? nearest(slice) : NULL;
}

static int by_id(gconstpointer a, gconstpointer b)
{
    const SliceEntry *const *one = a, *const *two = b;

    return strcmp((*one)->id, (*two)->id);
}

GPtrArray *slice_registry_list(SliceRegistry *registry, const char *vm)
{
    GPtrArray *list = g_ptr_array_new();
    GHashTableIter iter;
    gpointer slice;

    /* Keys or values: both tables have the Slice as value, a set has it as both. */
    g_hash_table_iter_init(&iter, vm ? vm_of(registry, vm)->homes : registry->slices);
    while (g_hash_table_iter_next(&iter, NULL, &slice)) {
        g_ptr_array_add(list, nearest(slice));
    }
    g_ptr_array_sort(list, by_id);
    return list;
}

GPtrArray *slice_registry_told(SliceRegistry *registry, const char *vm)
{
    GPtrArray *list = g_ptr_array_new();
    GHashTableIter iter;
    gpointer slice;

    g_hash_table_iter_init(&iter, vm_of(registry, vm)->told);
    while (g_hash_table_iter_next(&iter, &slice, NULL)) {
        g_ptr_array_add(list, entry_in(slice, vm));
    }
    g_ptr_array_sort(list, by_id);
    return list;
}

guint slice_registry_count(SliceRegistry *registry, const char *vm)
{
    return g_hash_table_size(vm ? vm_of(registry, vm)->homes : registry->slices);
}

const char *slice_registry_client_home(SliceRegistry *registry, const char *address)
{
    Client *client = g_hash_table_lookup(registry->clients, address);
    GHashTableIter iter;
    gpointer vm;

    if (!client || g_hash_table_size(client->homes) != 1) {
        return NULL;
    }
    g_hash_table_iter_init(&iter, client->homes);
    g_hash_table_iter_next(&iter, &vm, NULL);
    return ((Vm *)vm)->name;
}

void slice_registry_touch(SliceRegistry *registry, const char *vm)
{
    GHashTableIter iter;
    gpointer slice;

    g_hash_table_iter_init(&iter, vm_of(registry, vm)->homes);
    while (g_hash_table_iter_next(&iter, &slice, NULL)) {
        GPtrArray *clients = ((Slice *)slice)->clients;

        for (guint i = 0; i < clients->len; i++) {
            g_hash_table_add(registry->changed,
                             g_strdup(((Client *)g_ptr_array_index(clients, i))->address));
        }
    }
}

GHashTable *slice_registry_take_clients(SliceRegistry *registry)
{
    GHashTable *changed = registry->changed;

    if (!g_hash_table_size(changed)) {
        return NULL;
    }
    registry->changed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return changed;
}
