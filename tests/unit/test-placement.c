/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test-placement.c - who gets how much of a million slices
 *
 * Counted, not timed: shares, deviations, who moves although nothing asked it to.
 */
#include <string.h>

#include "daemon/placement.h"

#define N_SLICES 250000

typedef struct {
    char *ids;
    char *clients;
    SlicePlacementItem *items;
    guint *where;
} Crowd;

#define ID_CHARS 40

/* @per_client: slices of each client; 0: none has one. */
static Crowd *crowd_new(guint n, guint per_client)
{
    Crowd *crowd = g_new0(Crowd, 1);

    crowd->ids = g_malloc(n * ID_CHARS);
    crowd->clients = g_malloc(n * ID_CHARS);
    crowd->items = g_new0(SlicePlacementItem, n);
    crowd->where = g_new(guint, n);
    for (guint i = 0; i < n; i++) {
        char *id = crowd->ids + i * ID_CHARS, *client = crowd->clients + i * ID_CHARS;
        guint who = per_client ? i / per_client : 0;

        g_snprintf(id, ID_CHARS, "3fa9c2d100000000:%016x", i);
        g_snprintf(client, ID_CHARS, "10.%u.%u.%u", who >> 16, who >> 8 & 255, who & 255);
        crowd->items[i].id = id;
        crowd->items[i].client = per_client ? client : NULL;
    }
    return crowd;
}

static void crowd_free(Crowd *crowd)
{
    g_free(crowd->ids);
    g_free(crowd->clients);
    g_free(crowd->items);
    g_free(crowd->where);
    g_free(crowd);
}

static void spread(Crowd *crowd, guint n, const SlicePlace *places, guint n_places,
                   guint *ret_counts)
{
    slice_placement_spread(crowd->items, n, places, n_places, crowd->where);
    memset(ret_counts, 0, n_places * sizeof(*ret_counts));
    for (guint i = 0; i < n; i++) {
        g_assert_cmpuint(crowd->where[i], <, n_places);
        ret_counts[crowd->where[i]]++;
    }
}

static void test_equal_shares(void)
{
    const SlicePlace places[] = { { "web1", 100, 0 }, { "web2", 100, 0 }, { "web3", 100, 0 } };
    Crowd *crowd = crowd_new(N_SLICES, 0);
    guint counts[3];

    spread(crowd, N_SLICES, places, 3, counts);
    for (guint i = 0; i < 3; i++) {
        g_assert_cmpuint(counts[i], >=, N_SLICES / 3);
        g_assert_cmpuint(counts[i], <=, N_SLICES / 3 + 1);
    }
    crowd_free(crowd);
}

static void test_shares_by_capacity(void)
{
    const SlicePlace places[] = { { "a", 100, 0 }, { "b", 200, 0 }, { "c", 50, 0 },
                                  { "d", 150, 0 } };
    Crowd *crowd = crowd_new(N_SLICES, 4);
    guint counts[4];

    spread(crowd, N_SLICES, places, 4, counts);
    for (guint i = 0; i < 4; i++) {
        guint ideal = (guint64)N_SLICES * places[i].capacity / 500;

        /* A client's four go together: nobody is off by more than two clients. */
        g_assert_cmpuint(counts[i], >=, ideal - 8);
        g_assert_cmpuint(counts[i], <=, ideal + 8);
    }
    crowd_free(crowd);
}

static void test_load_counts(void)
{
    const SlicePlace places[] = { { "full", 100, 2 * N_SLICES }, { "empty", 100, 0 },
                                  { "half", 100, N_SLICES / 2 } };
    Crowd *crowd = crowd_new(N_SLICES, 0);
    guint counts[3];

    spread(crowd, N_SLICES, places, 3, counts);
    g_assert_cmpuint(counts[0], ==, 0);
    g_assert_cmpuint(counts[1], ==, counts[2] + N_SLICES / 2);
    crowd_free(crowd);
}

static void test_clients_stay_together(void)
{
    const SlicePlace places[] = { { "web1", 100, 0 }, { "web2", 70, 0 }, { "web3", 130, 0 } };
    Crowd *crowd = crowd_new(N_SLICES, 5);
    guint counts[3];

    spread(crowd, N_SLICES, places, 3, counts);
    for (guint i = 0; i < N_SLICES; i += 5) {
        for (guint k = 1; k < 5; k++) {
            g_assert_cmpuint(crowd->where[i + k], ==, crowd->where[i]);
        }
    }
    crowd_free(crowd);
}

/* Everybody behind one address: nobody gets more than its share for that. */
static void test_large_client_is_cut(void)
{
    const SlicePlace places[] = { { "web1", 100, 0 }, { "web2", 100, 0 }, { "web3", 200, 0 } };
    Crowd *crowd = crowd_new(N_SLICES, N_SLICES);
    guint counts[3];

    spread(crowd, N_SLICES, places, 3, counts);
    g_assert_cmpuint(counts[0], ==, N_SLICES / 4);
    g_assert_cmpuint(counts[1], ==, N_SLICES / 4);
    g_assert_cmpuint(counts[2], ==, N_SLICES / 2);
    crowd_free(crowd);
}

static void shuffle(SlicePlacementItem *items, guint n)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(7);

    for (guint i = n; i > 1; i--) {
        guint other = g_rand_int_range(random, 0, i);
        SlicePlacementItem item = items[i - 1];

        items[i - 1] = items[other];
        items[other] = item;
    }
}

static void test_order_does_not_matter(void)
{
    const SlicePlace places[] = { { "web1", 100, 3 }, { "web2", 90, 0 }, { "web3", 130, 9 } };
    const SlicePlace turned[] = { { "web3", 130, 9 }, { "web1", 100, 3 }, { "web2", 90, 0 } };
    Crowd *one = crowd_new(N_SLICES, 3), *two = crowd_new(N_SLICES, 3);
    g_autoptr(GHashTable) first = g_hash_table_new(g_str_hash, g_str_equal);
    guint counts[3];

    spread(one, N_SLICES, places, 3, counts);
    for (guint i = 0; i < N_SLICES; i++) {
        g_hash_table_insert(first, (gpointer)one->items[i].id,
                            (gpointer)places[one->where[i]].vm);
    }
    shuffle(two->items, N_SLICES);
    spread(two, N_SLICES, turned, 3, counts);
    for (guint i = 0; i < N_SLICES; i++) {
        g_assert_cmpstr(g_hash_table_lookup(first, two->items[i].id), ==,
                        turned[two->where[i]].vm);
    }
    crowd_free(one);
    crowd_free(two);
}

static void test_place_without_capacity(void)
{
    const SlicePlace places[] = { { "web1", 0, 0 }, { "web2", 1, 5000 } };
    const SlicePlace none[] = { { "web1", 0, 0 } };
    Crowd *crowd = crowd_new(100, 0);
    guint counts[2];

    spread(crowd, 100, places, 2, counts);
    g_assert_cmpuint(counts[0], ==, 0);
    slice_placement_spread(crowd->items, 100, none, 1, crowd->where);
    for (guint i = 0; i < 100; i++) {
        g_assert_cmpuint(crowd->where[i], ==, SLICE_PLACEMENT_NOWHERE);
    }
    slice_placement_spread(crowd->items, 0, places, 2, crowd->where);
    crowd_free(crowd);
}

/* Fifty VMs of a million slices are drained one after the other: those that are left stay even. */
static void test_a_million(void)
{
    enum { VMS = 50, MILLION = 1000000 };
    SlicePlace places[VMS];
    char names[VMS][8];
    Crowd *crowd = crowd_new(MILLION, 2);
    guint counts[VMS];

    for (guint i = 0; i < VMS; i++) {
        g_snprintf(names[i], sizeof(names[i]), "vm%02u", i);
        places[i] = (SlicePlace){ names[i], 100, 0 };
    }
    spread(crowd, MILLION, places, VMS, counts);
    for (guint drained = 0; drained < 10; drained++) {
        g_autofree SlicePlacementItem *leaving = g_new(SlicePlacementItem, MILLION);
        g_autofree guint *where = g_new(guint, MILLION);
        g_autofree guint *index = g_new(guint, MILLION);
        guint n = 0;

        for (guint i = 0; i < MILLION; i++) {
            if (crowd->where[i] == drained) {
                index[n] = i;
                leaving[n++] = crowd->items[i];
            }
        }
        places[drained].capacity = 0;
        for (guint i = 0; i < VMS; i++) {
            places[i].load = i == drained ? 0 : counts[i];
        }
        slice_placement_spread(leaving, n, places, VMS, where);
        for (guint i = 0; i < n; i++) {
            crowd->where[index[i]] = where[i];
            counts[where[i]]++;
        }
        counts[drained] = 0;
        for (guint i = drained + 1; i < VMS; i++) {
            guint ideal = MILLION / (VMS - 1 - drained);

            g_assert_cmpuint(counts[i], >=, ideal - 4);
            g_assert_cmpuint(counts[i], <=, ideal + 4);
        }
    }
    crowd_free(crowd);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/placement/equal-places-get-equal-shares", test_equal_shares);
    g_test_add_func("/placement/shares-follow-capacity", test_shares_by_capacity);
    g_test_add_func("/placement/what-is-there-counts", test_load_counts);
    g_test_add_func("/placement/slices-of-a-client-stay-together", test_clients_stay_together);
    g_test_add_func("/placement/a-large-client-is-cut", test_large_client_is_cut);
    g_test_add_func("/placement/order-does-not-matter", test_order_does_not_matter);
    g_test_add_func("/placement/without-capacity-nothing", test_place_without_capacity);
    g_test_add_func("/placement/ten-drains-among-a-million-slices", test_a_million);
    return g_test_run();
}
