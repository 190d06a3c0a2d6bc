/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * placement.c - which VM takes which slice
 *
 * Items are sorted by client and cut into groups; the groups go, largest first, each to the place
 * that would be least filled with it (load / capacity), which a heap has on top.
 */
#include "placement.h"

#include <string.h>

typedef struct {
    guint first, count; /* in the sorted order */
} Group;

/* A place in the heap. */
typedef struct {
    guint index;
    const char *vm;
    guint capacity;
    guint64 load;
} Slot;

typedef struct {
    Slot *slots;
    guint n;
} Heap;

static int compare_items(gconstpointer a, gconstpointer b, gpointer data)
{
    const SlicePlacementItem *items = data;
    const SlicePlacementItem *one = &items[*(const guint *)a];
    const SlicePlacementItem *two = &items[*(const guint *)b];
    int order = g_strcmp0(one->client, two->client);

    return order ? order : strcmp(one->id, two->id);
}

static int compare_groups(gconstpointer a, gconstpointer b)
{
    const Group *one = a, *two = b;

    if (one->count != two->count) {
        return one->count > two->count ? -1 : 1;
    }
    return one->first < two->first ? -1 : one->first > two->first;
}

/* Is @a to be filled before @b?  After one more each, without division. */
static gboolean comes_before(const Slot *a, const Slot *b)
{
    guint64 left = (a->load + 1) * b->capacity;
    guint64 right = (b->load + 1) * a->capacity;

    return left != right ? left < right : strcmp(a->vm, b->vm) < 0;
}

static void sink(Heap *heap, guint at)
{
    for (;;) {
        guint left = 2 * at + 1, first = at;
        Slot swap;

        for (guint i = left; i < heap->n && i <= left + 1; i++) {
            if (comes_before(&heap->slots[i], &heap->slots[first])) {
                first = i;
            }
        }
        if (first == at) {
            return;
        }
        swap = heap->slots[at];
        heap->slots[at] = heap->slots[first];
        heap->slots[first] = swap;
        at = first;
    }
}

static void heap_init(Heap *heap, const SlicePlace *places, guint n_places)
{
    heap->slots = g_new(Slot, n_places);
    heap->n = 0;
    for (guint i = 0; i < n_places; i++) {
        if (places[i].capacity) {
            heap->slots[heap->n++] = (Slot){ i, places[i].vm, places[i].capacity,
                                             places[i].load };
        }
    }
    for (guint i = heap->n / 2; i-- > 0;) {
        sink(heap, i);
    }
}

/* What the place with the smallest capacity may hold of all: no group is larger. */
static guint fair_share(const Heap *heap, guint n_items)
{
    guint64 sum = 0, smallest = G_MAXUINT, all = n_items;

    for (guint i = 0; i < heap->n; i++) {
        sum += heap->slots[i].capacity;
        smallest = MIN(smallest, heap->slots[i].capacity);
        all += heap->slots[i].load;
    }
    return MAX(1, all * smallest / sum);
}

/* Items without a client are groups of one. */
static GArray *make_groups(const SlicePlacementItem *items, const guint *order,
                           guint n_items, guint longest)
{
    GArray *groups = g_array_new(FALSE, FALSE, sizeof(Group));

    for (guint i = 0; i < n_items; i++) {
        Group *last = groups->len ? &g_array_index(groups, Group, groups->len - 1)
                                  : NULL;
        const char *client = items[order[i]].client;

        if (last && client && last->count < longest &&
            !g_strcmp0(client, items[order[last->first]].client)) {
            last->count++;
        } else {
            Group group = { i, 1 };

            g_array_append_val(groups, group);
        }
    }
    g_array_sort(groups, compare_groups);
    return groups;
}

void slice_placement_spread(const SlicePlacementItem *items, guint n_items,
                            const SlicePlace *places, guint n_places,
                            guint *ret_place)
{
    g_autofree guint *order = g_new(guint, n_items + 1);
    g_autoptr(GArray) groups = NULL;
    Heap heap;

    heap_init(&heap, places, n_places);
    for (guint i = 0; i < n_items; i++) {
        order[i] = i;
        ret_place[i] = SLICE_PLACEMENT_NOWHERE;
    }
    if (heap.n) {
        g_qsort_with_data(order, n_items, sizeof(guint), compare_items,
                          (gpointer)items);
        groups = make_groups(items, order, n_items, fair_share(&heap, n_items));
    }
    for (guint i = 0; groups && i < groups->len; i++) {
        const Group *group = &g_array_index(groups, Group, i);

        for (guint k = 0; k < group->count; k++) {
            ret_place[order[group->first + k]] = heap.slots[0].index;
        }
        heap.slots[0].load += group->count;
        sink(&heap, 0);
    }
    g_free(heap.slots);
}
