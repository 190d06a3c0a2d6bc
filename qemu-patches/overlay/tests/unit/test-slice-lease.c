/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test-slice-lease.c - terms that an engine may use by itself
 */
#include "qemu/osdep.h"
#include "slice/lease.h"
#include "slice/bucket.h"

static uint64_t take(SliceLease *lease, uint64_t above)
{
    uint64_t term = 0;

    g_assert_true(slice_lease_take(lease, above, &term));
    g_assert_cmpuint(term, >, above);
    return term;
}

static void test_lowest_above_is_taken(void)
{
    SliceLease lease = {};
    uint64_t term;

    g_assert_false(slice_lease_take(&lease, 0, &term));
    g_assert_true(slice_lease_add(&lease, 100, 3));
    g_assert_true(slice_lease_add(&lease, 200, 3));
    g_assert_cmpuint(take(&lease, 5), ==, 100);
    g_assert_cmpuint(take(&lease, 101), ==, 102);
    g_assert_cmpuint(take(&lease, 150), ==, 200);
    g_assert_cmpuint(take(&lease, 0), ==, 101);
    g_assert_cmpuint(take(&lease, 0), ==, 201);
    g_assert_false(slice_lease_take(&lease, 202, &term));
    g_assert_cmpuint(slice_lease_left(&lease), ==, 1);
}

static void test_none_is_taken_twice(void)
{
    SliceLease lease = {};
    g_autoptr(GHashTable) taken = g_hash_table_new(NULL, NULL);
    uint64_t term;

    for (int i = 0; i < 20000; i++) {
        if (i % 100 == 0) {
            /* Granted again and again, in pieces that overlap. */
            slice_lease_add(&lease, g_test_rand_int_range(1, 2000), 300);
        }
        if (slice_lease_take(&lease, g_test_rand_int_range(0, 2200), &term)) {
            g_assert_true(g_hash_table_add(taken, GUINT_TO_POINTER(term)));
        }
        for (uint32_t j = 1; j < lease.n; j++) {
            g_assert_cmpuint(lease.ranges[j - 1].first, <,
                             lease.ranges[j - 1].end);
            g_assert_cmpuint(lease.ranges[j - 1].end, <,
                             lease.ranges[j].first);
        }
        g_assert_cmpuint(lease.n, <=, SLICE_LEASE_RANGES_MAX);
    }
    g_assert_cmpuint(g_hash_table_size(taken), >, 200);
}

static void test_no_range_is_refused(void)
{
    SliceLease lease = {};

    g_assert_false(slice_lease_add(&lease, 0, 5));
    g_assert_false(slice_lease_add(&lease, 5, 0));
    g_assert_false(slice_lease_add(&lease, UINT64_MAX, 2));
    g_assert_cmpuint(slice_lease_left(&lease), ==, 0);
}

static void test_low_is_told_once(void)
{
    SliceLease lease = {};

    slice_lease_add(&lease, 1, 8);
    for (int i = 0; i < 6; i++) {
        take(&lease, 0);
        g_assert_false(slice_lease_has_become_low(&lease));
    }
    take(&lease, 0);
    g_assert_true(slice_lease_has_become_low(&lease));
    g_assert_false(slice_lease_has_become_low(&lease));
    slice_lease_add(&lease, 100, 8);
    g_assert_false(slice_lease_has_become_low(&lease));
}

static void test_bucket_fills_at_its_rate(void)
{
    SliceBucket bucket = {};
    int n = 0;

    while (slice_bucket_take(&bucket, 1000, 100, 5)) {
        n++;
    }
    g_assert_cmpint(n, ==, 5);
    g_assert_false(slice_bucket_take(&bucket, 1009, 100, 5));
    g_assert_true(slice_bucket_take(&bucket, 1010, 100, 5));
    g_assert_false(slice_bucket_take(&bucket, 1010, 100, 5));
    /* However long it waits, it holds no more. */
    for (n = 0; slice_bucket_take(&bucket, 1000000, 100, 5); n++) {
        /* count */
    }
    g_assert_cmpint(n, ==, 5);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/slice/lease/lowest-above-is-taken",
                    test_lowest_above_is_taken);
    g_test_add_func("/slice/lease/none-is-taken-twice",
                    test_none_is_taken_twice);
    g_test_add_func("/slice/lease/no-range-is-refused",
                    test_no_range_is_refused);
    g_test_add_func("/slice/lease/low-is-told-once", test_low_is_told_once);
    g_test_add_func("/slice/bucket/fills-at-its-rate",
                    test_bucket_fills_at_its_rate);
    return g_test_run();
}
