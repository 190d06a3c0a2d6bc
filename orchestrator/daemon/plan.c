/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plan.c - what an order amounts to now: which slice goes where, which stays and why
 *
 * Choose the slices, drop what cannot move (it stays, with its reason), cut to the number that
 * is wanted, spread the rest.
 */
#include "plan.h"

#include <string.h>

#include "placement.h"
#include "util/error.h"
#include "why.h"

static void item_free(gpointer value)
{
    SlicePlanItem *item = value;

    g_free(item->slice);
    g_free(item->from);
    g_free(item->to);
    g_clear_error(&item->why);
    g_free(item);
}

static const SlicePlanVm *vm_called(GArray *vms, const char *name)
{
    for (guint i = 0; i < vms->len; i++) {
        const SlicePlanVm *vm = &g_array_index(vms, SlicePlanVm, i);

        if (g_str_equal(vm->name, name)) {
            return vm;
        }
    }
    return NULL;
}

static gboolean contains(char **list, const char *text)
{
    return g_strv_contains((const char *const *)list, text);
}

/* ---- which slices ---- */

static gboolean add_named(const SliceOrder *order, SliceRegistry *registry,
                          GPtrArray *chosen, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);

    for (guint i = 0; order->slices[i]; i++) {
        const SliceEntry *entry = slice_registry_find(registry, order->slices[i], error);

        if (!entry) {
            return FALSE;
        }
        if (g_hash_table_add(seen, (gpointer)entry)) {
            g_ptr_array_add(chosen, (gpointer)entry);
        }
    }
    return TRUE;
}

static void add_matching(const SliceOrder *order, SliceRegistry *registry,
                         const char *vm, const SliceFilter *filter,
                         GPtrArray *chosen)
{
    g_autoptr(GPtrArray) list = slice_registry_list(registry, vm);

    for (guint i = 0; i < list->len; i++) {
        const SliceEntry *entry = g_ptr_array_index(list, i);

        if (!contains(order->targets, entry->vm) && slice_filter_matches(filter, entry)) {
            g_ptr_array_add(chosen, (gpointer)entry);
        }
    }
}

/* Nobody is to switch a VM off because it seemed empty. */
static gboolean check_source(const SliceOrder *order, GArray *vms, const char *name,
                             GError **error)
{
    const SlicePlanVm *vm = vm_called(vms, name);

    if (!vm) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_NOT_FOUND, "no VM is called '%s'", name);
        return FALSE;
    }
    if (order->kind == SLICE_ORDER_DRAIN && vm->running && !vm->connected) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_UNREACHABLE,
                    "VM %s runs and is not connected: what it has is not known", name);
        return FALSE;
    }
    return TRUE;
}

/* Return: (nullable) (element-type SliceEntry) */
static GPtrArray *choose(const SliceOrder *order, SliceRegistry *registry,
                         GArray *vms, GError **error)
{
    g_autoptr(GPtrArray) chosen = g_ptr_array_new();
    g_autoptr(SliceFilter) filter =
        slice_filter_new(NULL, order->client, order->state, order->label,
                         order->movability, error);

    if (!filter) {
        return NULL;
    }
    for (guint i = 0; order->vms[i]; i++) {
        if (!check_source(order, vms, order->vms[i], error)) {
            return NULL;
        }
        add_matching(order, registry, order->vms[i], filter, chosen);
    }
    if (order->slices[0]) {
        return add_named(order, registry, chosen, error) ? g_steal_pointer(&chosen) : NULL;
    }
    if (!order->vms[0]) {
        add_matching(order, registry, NULL, filter, chosen);
    }
    return g_steal_pointer(&chosen);
}

/* ---- which of them can ---- */

static GError *why_it_stays(const SliceEntry *entry, const SliceOrder *order)
{
    if (contains(order->targets, entry->vm)) {
        return g_error_new(SLICE_ERROR, SLICE_ERROR_REFUSED,
                           "it is on VM %s already", entry->vm);
    }
    if (g_str_equal(entry->movability, "pinned")) {
        return g_error_new(SLICE_ERROR, SLICE_ERROR_REFUSED,
                           "pinned: %s", slice_why_text(entry->why));
    }
    if (entry->state != SLICE_STATE_OWNER || entry->fenced) {
        return g_error_new(SLICE_ERROR, SLICE_ERROR_BUSY, "it is %s",
                           entry->fenced ? "not confirmed yet" : "moving already");
    }
    return NULL;
}

static SlicePlanItem *add_item(GPtrArray *plan, const SliceEntry *entry,
                               const char *to, GError *why)
{
    SlicePlanItem *item = g_new0(SlicePlanItem, 1);

    item->slice = g_strdup(entry->id);
    item->from = g_strdup(entry->vm);
    item->to = g_strdup(to);
    item->why = why;
    g_ptr_array_add(plan, item);
    return item;
}

/* ---- how many ---- */

static const char *client_of(const SliceEntry *entry)
{
    return entry->flows->len ? g_array_index(entry->flows, SliceTuple, 0).remote : NULL;
}

/* Who can move at once first, clients together. */
static int by_readiness(gconstpointer a, gconstpointer b)
{
    const SliceEntry *one = *(SliceEntry *const *)a, *two = *(SliceEntry *const *)b;
    gboolean one_busy = g_str_equal(one->movability, "busy");
    gboolean two_busy = g_str_equal(two->movability, "busy");
    int order = g_strcmp0(client_of(one), client_of(two));

    if (one_busy != two_busy) {
        return one_busy ? 1 : -1;
    }
    return order ? order : strcmp(one->id, two->id);
}

/* Return: TRUE where there are as many as are wanted: then nobody asks about the others. */
static gboolean cut(const SliceOrder *order, guint n_chosen, GPtrArray *can)
{
    guint limit = order->share ? (n_chosen * (guint64)order->share + 99) / 100 : G_MAXUINT;

    if (order->count) {
        limit = MIN(limit, order->count);
    }
    if (limit < can->len) {
        g_ptr_array_sort(can, by_readiness);
        g_ptr_array_set_size(can, limit);
    }
    return can->len == limit;
}

/* ---- where to ---- */

static gboolean check_targets(const SliceOrder *order, GArray *vms, GError **error)
{
    for (guint i = 0; order->targets[i]; i++) {
        const SlicePlanVm *vm = vm_called(vms, order->targets[i]);

        if (!vm) {
            g_set_error(error, SLICE_ERROR, SLICE_ERROR_NOT_FOUND,
                        "no VM is called '%s'", order->targets[i]);
        } else if (!vm->connected) {
            g_set_error(error, SLICE_ERROR, SLICE_ERROR_UNREACHABLE,
                        "VM %s is not connected", vm->name);
        } else if (vm->cordoned) {
            g_set_error(error, SLICE_ERROR, SLICE_ERROR_REFUSED,
                        "VM %s is cordoned: it takes no sessions", vm->name);
        } else {
            continue;
        }
        return FALSE;
    }
    return TRUE;
}

/* Return: (element-type SlicePlace): the targets; or all that are open and no source. */
static GArray *places_for(const SliceOrder *order, SliceRegistry *registry, GArray *vms)
{
    GArray *places = g_array_new(FALSE, FALSE, sizeof(SlicePlace));

    for (guint i = 0; i < vms->len; i++) {
        const SlicePlanVm *vm = &g_array_index(vms, SlicePlanVm, i);
        gboolean wanted = order->targets[0] ? contains(order->targets, vm->name)
                                            : vm->open && !contains(order->vms, vm->name);
        SlicePlace place = { vm->name, MAX(vm->capacity, 1),
                             slice_registry_count(registry, vm->name) };

        if (wanted) {
            g_array_append_val(places, place);
        }
    }
    return places;
}

static void settle(GPtrArray *plan, const SliceEntry *entry, const char *to)
{
    GError *why = NULL;

    if (!to) {
        why = g_error_new_literal(SLICE_ERROR, SLICE_ERROR_REFUSED, "no VM takes it");
    } else if (g_str_equal(entry->movability, "busy")) {
        why = g_error_new_literal(SLICE_ERROR, SLICE_ERROR_BUSY, slice_why_text(entry->why));
    }
    add_item(plan, entry, to, why);
}

/* One that was refused somewhere is placed by itself, among the others. */
static void settle_elsewhere(GPtrArray *plan, const SliceEntry *entry, GArray *places,
                             GHashTable *refusing)
{
    g_autoptr(GArray) left = g_array_new(FALSE, FALSE, sizeof(SlicePlace));
    SlicePlacementItem item = { entry->id, client_of(entry) };
    guint at = SLICE_PLACEMENT_NOWHERE;
    const char *to = NULL;

    for (guint i = 0; i < places->len; i++) {
        SlicePlace place = g_array_index(places, SlicePlace, i);

        if (!g_hash_table_contains(refusing, place.vm)) {
            g_array_append_val(left, place);
        }
    }
    slice_placement_spread(&item, 1, (SlicePlace *)(void *)left->data, left->len, &at);
    if (at != SLICE_PLACEMENT_NOWHERE) {
        to = g_array_index(left, SlicePlace, at).vm;
    }
    for (guint i = 0; to && i < places->len; i++) {
        SlicePlace *place = &g_array_index(places, SlicePlace, i);

        place->load += g_str_equal(place->vm, to);
    }
    settle(plan, entry, to);
}

static void spread(GPtrArray *plan, GPtrArray *can, GArray *places, GHashTable *avoid)
{
    g_autofree SlicePlacementItem *items = g_new0(SlicePlacementItem, can->len + 1);
    g_autofree guint *where = g_new(guint, can->len + 1);
    g_autoptr(GPtrArray) placed = g_ptr_array_new();

    for (guint i = 0; i < can->len; i++) {
        const SliceEntry *entry = g_ptr_array_index(can, i);
        GHashTable *refusing = avoid ? g_hash_table_lookup(avoid, entry->id) : NULL;

        if (refusing) {
            settle_elsewhere(plan, entry, places, refusing);
        } else {
            items[placed->len].id = entry->id;
            items[placed->len].client = client_of(entry);
            g_ptr_array_add(placed, (gpointer)entry);
        }
    }
    slice_placement_spread(items, placed->len, (SlicePlace *)(void *)places->data,
                           places->len, where);
    for (guint i = 0; i < placed->len; i++) {
        settle(plan, g_ptr_array_index(placed, i),
               where[i] == SLICE_PLACEMENT_NOWHERE
                   ? NULL : g_array_index(places, SlicePlace, where[i]).vm);
    }
}

static int by_slice(gconstpointer a, gconstpointer b)
{
    const SlicePlanItem *one = *(SlicePlanItem *const *)a, *two = *(SlicePlanItem *const *)b;

    return strcmp(one->slice, two->slice);
}

GPtrArray *slice_plan_make(const SliceOrder *order, SliceRegistry *registry,
                           GArray *vms, GHashTable *avoid, GError **error)
{
    g_autoptr(GPtrArray) plan = g_ptr_array_new_with_free_func(item_free);
    g_autoptr(GPtrArray) chosen = NULL;
    g_autoptr(GPtrArray) can = g_ptr_array_new();
    g_autoptr(GArray) places = NULL;

    if (!check_targets(order, vms, error)) {
        return NULL;
    }
    chosen = choose(order, registry, vms, error);
    if (!chosen) {
        return NULL;
    }
    for (guint i = 0; i < chosen->len; i++) {
        const SliceEntry *entry = g_ptr_array_index(chosen, i);
        GError *why = why_it_stays(entry, order);

        if (why) {
            add_item(plan, entry, NULL, why);
        } else {
            g_ptr_array_add(can, (gpointer)entry);
        }
    }
    if (cut(order, chosen->len, can)) {
        g_ptr_array_set_size(plan, 0);
    }
    places = places_for(order, registry, vms);
    spread(plan, can, places, avoid);
    g_ptr_array_sort(plan, by_slice);
    return g_steal_pointer(&plan);
}

gboolean slice_plan_verdict(const SliceEntry *entry, GArray *vms, GError **error)
{
    static char *none[] = { NULL };
    const SliceOrder order = { .targets = none };
    const SlicePlanVm *own = vm_called(vms, entry->vm);
    GError *why = why_it_stays(entry, &order);
    guint others = 0;

    for (guint i = 0; i < vms->len; i++) {
        const SlicePlanVm *vm = &g_array_index(vms, SlicePlanVm, i);

        others += vm->open && !g_str_equal(vm->name, entry->vm);
    }
    if (!why && g_str_equal(entry->movability, "busy")) {
        why = g_error_new_literal(SLICE_ERROR, SLICE_ERROR_BUSY, slice_why_text(entry->why));
    } else if (!why && (!own || !own->connected || !others)) {
        why = g_error_new(SLICE_ERROR, SLICE_ERROR_UNREACHABLE,
                          others ? "VM %s is not connected"
                                 : "no VM but %s takes sessions now", entry->vm);
    }
    if (why) {
        g_propagate_error(error, why);
    }
    return !why;
}
