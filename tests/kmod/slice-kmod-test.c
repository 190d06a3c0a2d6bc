// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * slice-kmod-test.c - /dev/slice, tested inside a virtual machine (TAP)
 *
 * Needs slice.ko and root; without /dev/slice everything is skipped, loudly.
 * Each test must leave as many capsules as it found, and the kernel must end
 * as untainted as it began.
 *
 * usage: slice-kmod-test [--tap] [-p /suite]
 */
#include "device.h"

#include <stdio.h>
#include <unistd.h>

/* A machine under TCG on a busy host is slow; a hang is a failure still. */
#define TEST_SECONDS 300

typedef struct {
    void (*test)(void);
} Claim;

static void run_claim(gconstpointer data)
{
    const Claim *claim = data;
    guint32 before;
    Opener opener;

    if (access("/dev/slice", F_OK)) {
        g_test_skip("no /dev/slice: slice.ko is not loaded");
        return;
    }
    alarm(TEST_SECONDS);
    opener_open(&opener);
    before = device_n_capsules(&opener);
    claim->test();
    g_assert_cmpint(device_n_capsules(&opener), ==, before);
    opener_close(&opener);
    alarm(0);
}

void add_test(const char *name, void (*test)(void))
{
    Claim *claim = g_new(Claim, 1);

    claim->test = test;
    g_test_add_data_func_full(name, claim, run_claim, g_free);
}

/* Bits beyond O (out of tree, 12) and E (unsigned, 13). */
static guint64 kernel_taint(void)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents("/proc/sys/kernel/tainted", &text, NULL, NULL)) {
        return 0;
    }
    return g_ascii_strtoull(text, NULL, 10) & ~(3ull << 12);
}

static guint64 taint_before;

static void test_taint(void)
{
    g_assert_cmphex(kernel_taint(), ==, taint_before);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    taint_before = kernel_taint();
    add_request_tests();
    add_slice_tests();
    add_reference_tests();
    add_memory_tests();
    add_move_tests();
    add_image_tests();
    add_session_tests();
    add_find_tests();
    add_limit_tests();
    add_resume_tests();
    add_crowd_tests();
    g_test_add_func("/zz/kernel-is-not-tainted", test_taint);
    return g_test_run();
}
