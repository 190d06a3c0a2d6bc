// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-memory.c - capsule memory: mapping, sharing, limits
 */
#include "device.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_map(void)
{
    struct slice_list_entry entry;
    struct slice_register reg;
    guint8 *room;
    Opener opener;

    opener_open_layer(&opener, "t-map", 100, 0);
    capsule_register_ok(&opener, 0, NULL, 3 * 4096, &reg);
    room = capsule_map(&opener, &reg);
    g_assert_true(slice_find(&opener, reg.id, &entry));
    g_assert_cmpint(entry.memory_bytes, ==, 0);
    /* Pages come when they are touched, and come zeroed. */
    g_assert_cmpint(room[2 * 4096], ==, 0);
    room[4096] = 7;
    g_assert_true(slice_find(&opener, reg.id, &entry));
    g_assert_cmpint(entry.memory_bytes, ==, 2 * 4096);
    munmap(room, reg.bytes);
    room = capsule_map(&opener, &reg);
    g_assert_cmpint(room[4096], ==, 7);
    munmap(room, reg.bytes);
    opener_close(&opener);
}

static int try_map(Opener *opener, gsize bytes, int flags, guint64 offset)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, opener->fd,
                    offset);

    if (at == MAP_FAILED) {
        return -errno;
    }
    munmap(at, bytes);
    return 0;
}

static void test_map_bounds(void)
{
    struct slice_register reg;
    Opener opener, other;

    opener_open_layer(&opener, "t-bounds", 100, 0);
    opener_open_layer(&other, "t-stranger", 101, 0);
    capsule_register_ok(&opener, 0, NULL, 2 * 4096, &reg);
    g_assert_cmpint(try_map(&opener, 8192, MAP_SHARED, reg.mmap_offset), ==,
                    0);
    g_assert_cmpint(try_map(&opener, 4096, MAP_SHARED,
                            reg.mmap_offset + 4096), ==, 0);
    g_assert_cmpint(try_map(&opener, 8192, MAP_SHARED,
                            reg.mmap_offset + 4096), ==, -EINVAL);
    g_assert_cmpint(try_map(&opener, 3 * 4096, MAP_SHARED, reg.mmap_offset),
                    ==, -EINVAL);
    g_assert_cmpint(try_map(&opener, 8192, MAP_PRIVATE, reg.mmap_offset), ==,
                    -EINVAL);
    g_assert_cmpint(try_map(&opener, 4096, MAP_SHARED,
                            reg.mmap_offset + (64ull << 24)), ==, -ENXIO);
    g_assert_cmpint(try_map(&opener, 4096, MAP_SHARED, 1ull << 50), ==,
                    -EINVAL);
    g_assert_cmpint(try_map(&opener, SLICE_WORDS_BYTES + 4096, MAP_SHARED, 0),
                    ==, -EINVAL);
    /* Nobody maps what is another layer's. */
    g_assert_cmpint(try_map(&other, 8192, MAP_SHARED, reg.mmap_offset), ==,
                    -ENXIO);
    opener_close(&other);
    opener_close(&opener);
}

static void test_fork(void)
{
    struct slice_register reg;
    Opener opener;
    guint8 *room;
    int status;
    pid_t pid;

    opener_open_layer(&opener, "t-fork", 100, 0);
    capsule_register_ok(&opener, 0, NULL, 4096, &reg);
    room = capsule_map(&opener, &reg);
    room[0] = 1;
    pid = fork();
    if (pid == 0) {
        /* Not mapped here: mincore() says so without a signal. */
        unsigned char present;

        _exit(mincore(room, 4096, &present) < 0 && errno == ENOMEM ? 0 : 1);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(status, ==, 0);
    munmap(room, reg.bytes);
    opener_close(&opener);
}

static void test_limit(void)
{
    struct slice_info info = { .size = sizeof(info) };
    struct slice_register reg;
    guint64 sum = 0;
    Opener opener;
    int ret;

    opener_open_layer(&opener, "t-limit", 100, 0);
    g_assert_cmpint(device_call(opener.fd, SLICE_IOC_INFO, &info), ==, 0);
    while (!(ret = capsule_register(&opener, 0, NULL, SLICE_CAPSULE_BYTES_MAX,
                                    &reg))) {
        sum += reg.bytes;
        g_assert_cmpint(sum, <=, info.opener_bytes_max);
    }
    g_assert_cmpint(ret, ==, -ENOSPC);
    g_assert_cmpint(sum + SLICE_CAPSULE_BYTES_MAX, >, info.opener_bytes_max);
    /* What is given back can be had again. */
    g_assert_cmpint(capsule_get_id(&opener, SLICE_GET_NEXT,
                                   memset(&reg, 0, sizeof(reg))), ==, 0);
    g_assert_cmpint(capsule_op(&opener, SLICE_IOC_DEREGISTER, reg.id, 0), ==,
                    0);
    capsule_register_ok(&opener, 0, NULL, SLICE_CAPSULE_BYTES_MAX, &reg);
    opener_close(&opener);
}

static void test_outlives(void)
{
    struct slice_register reg;
    Opener opener;
    guint8 *room;

    opener_open_layer(&opener, "t-outlives", 100, 0);
    capsule_register_ok(&opener, 0, NULL, 4096, &reg);
    room = capsule_map(&opener, &reg);
    room[5] = 55;
    g_assert_cmpint(capsule_op(&opener, SLICE_IOC_DEREGISTER, reg.id, 0), ==,
                    0);
    g_assert_cmpint(room[5], ==, 55);
    room[6] = 66;
    munmap(room, reg.bytes);
    opener_close(&opener);
}

static void test_words_turn(void)
{
    struct slice_register reg, first;
    guint32 i, seen = 0;
    Opener opener;

    opener_open_layer(&opener, "t-turn", 100, 0);
    capsule_register_ok(&opener, 0, NULL, 0, &first);
    atomic_store(&opener.words[first.word_index], 1);
    g_assert_cmpint(capsule_op(&opener, SLICE_IOC_DEREGISTER, first.id, 0),
                    ==, 0);
    g_assert_cmpint(atomic_load(&opener.words[first.word_index]), ==,
                    SLICE_WORD_FROZEN | 1);
    /* Twice round: an index that still counts is not given out. */
    for (i = 0; i < 2 * SLICE_WORDS_BYTES / 4; i++) {
        capsule_register_ok(&opener, 0, NULL, 0, &reg);
        seen += reg.word_index == first.word_index;
        g_assert_cmpint(capsule_op(&opener, SLICE_IOC_DEREGISTER, reg.id, 0),
                        ==, 0);
    }
    g_assert_cmpint(seen, ==, 0);
    opener_close(&opener);
}

void add_memory_tests(void)
{
    add_test("/memory/pages-come-when-touched", test_map);
    add_test("/memory/mapping-outside-is-refused", test_map_bounds);
    add_test("/memory/fork-does-not-map", test_fork);
    add_test("/memory/provider-is-limited", test_limit);
    add_test("/memory/mapping-outlives-its-capsule", test_outlives);
    add_test("/memory/word-that-counts-is-not-reused", test_words_turn);
}
