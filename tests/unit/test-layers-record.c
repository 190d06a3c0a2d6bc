// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-layers-record.c - the memory of an apache capsule, honest and hostile
 */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "mod_slice.h"

static void test_written_is_read(void)
{
    struct slice_apache_record record;
    uint32_t keepalives;
    uint16_t port;

    slice_record_write(&record, 12345, 8080);
    g_assert_cmpint(slice_record_read(&record, &keepalives, &port), ==, 0);
    g_assert_cmpuint(keepalives, ==, 12345);
    g_assert_cmpuint(port, ==, 8080);
}

static void test_zeros_are_no_record(void)
{
    struct slice_apache_record record = { 0 };
    uint32_t keepalives;
    uint16_t port;

    g_assert_cmpint(slice_record_read(&record, &keepalives, &port),
                    ==, -EPROTO);
}

static void test_any_changed_bit_is_seen(void)
{
    struct slice_apache_record record;
    guint8 *bytes = (guint8 *)&record;
    uint32_t keepalives = 7;
    uint16_t port = 8;

    slice_record_write(&record, 1, 80);
    for (guint bit = 0; bit < 8 * sizeof(record); bit++) {
        bytes[bit / 8] ^= (guint8)(1u << bit % 8);
        g_assert_cmpint(slice_record_read(&record, &keepalives, &port),
                        ==, -EPROTO);
        g_assert_cmpuint(keepalives, ==, 7);
        g_assert_cmpuint(port, ==, 8);
        bytes[bit / 8] ^= (guint8)(1u << bit % 8);
    }
}

static void test_absurd_count_is_refused(void)
{
    struct slice_apache_record record;
    uint32_t keepalives;
    uint16_t port;

    slice_record_write(&record, 0x80000000u, 80);
    g_assert_cmpint(slice_record_read(&record, &keepalives, &port),
                    ==, -EPROTO);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/layers/record/written-is-read", test_written_is_read);
    g_test_add_func("/layers/record/zeros-are-no-record",
                    test_zeros_are_no_record);
    g_test_add_func("/layers/record/any-changed-bit-is-seen",
                    test_any_changed_bit_is_seen);
    g_test_add_func("/layers/record/absurd-count-is-refused",
                    test_absurd_count_is_refused);
    return g_test_run();
}
