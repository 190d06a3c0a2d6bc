// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-way.c - a lab link loses, doubles and delays what it was told to
 */
#include "way.h"

#include <string.h>

#define MS 1000000LL
#define N_FRAMES 10000

/* A numbered UDP frame, or an ARP one, which a link must not lose. */
static void make_frame(uint8_t frame[60], uint32_t number, bool udp)
{
    memset(frame, 0, 60);
    frame[12] = 0x08;
    frame[13] = udp ? 0x00 : 0x06;
    frame[23] = 17;
    memcpy(frame + 42, &number, sizeof(number));
}

static void push(Way *way, uint32_t number, int64_t at_ns)
{
    uint8_t frame[60];

    make_frame(frame, number, true);
    way_push(way, frame, sizeof(frame), at_ns);
}

/* The next frame's number, or -1. */
static int64_t pop(Way *way, int64_t at_ns)
{
    g_autoptr(GBytes) frame = way_pop(way, at_ns);
    uint32_t number;

    if (!frame) {
        return -1;
    }
    g_assert_cmpuint(g_bytes_get_size(frame), ==, 60);
    memcpy(&number, (const uint8_t *)g_bytes_get_data(frame, NULL) + 42, sizeof(number));
    return number;
}

static void assert_adds_up(Way *way)
{
    LabLinkCounts c;

    way_count(way, &c);
    g_assert_cmpuint(c.n_in + c.n_doubled, ==,
                     c.n_out + c.n_cut + c.n_lost + c.n_overflowed + c.n_waiting);
}

static void test_wire(void)
{
    g_autoptr(Way) way = way_new(1);

    for (int i = 0; i < N_FRAMES; i++) {
        push(way, i, i);
        g_assert_cmpint(pop(way, i), ==, i);
        g_assert_cmpint(pop(way, i), ==, -1);
    }
    g_assert_cmpint(way_next_ns(way), ==, -1);
    assert_adds_up(way);
}

static void test_loss(void)
{
    g_autoptr(Way) way = way_new(2);
    LabLinkSettings settings = { .loss_permille = 20 };
    LabLinkCounts counts;
    int n_popped = 0;

    way_set(way, &settings);
    for (int i = 0; i < N_FRAMES; i++) {
        push(way, i, i);
        n_popped += pop(way, i) == i;
    }
    way_count(way, &counts);
    g_assert_cmpuint(counts.n_lost + n_popped, ==, N_FRAMES);
    /* 200 is meant; the seed is fixed, so this is no matter of luck. */
    g_assert_cmpuint(counts.n_lost, >, 150);
    g_assert_cmpuint(counts.n_lost, <, 250);
    assert_adds_up(way);
}

static void test_arp(void)
{
    g_autoptr(Way) way = way_new(3);
    LabLinkSettings settings = { .loss_permille = 1000 };
    uint8_t frame[60];

    way_set(way, &settings);
    make_frame(frame, 1, false);
    way_push(way, frame, sizeof(frame), 0);
    g_assert_cmpint(pop(way, 0), ==, 1);
    push(way, 2, 0);
    g_assert_cmpint(pop(way, 0), ==, -1);
}

/* ICMPv6, which asks for neighbours, passes; TCP over IPv6 does not. */
static void test_ipv6(void)
{
    g_autoptr(Way) way = way_new(3);
    LabLinkSettings settings = { .loss_permille = 1000 };
    uint8_t frame[60];

    way_set(way, &settings);
    make_frame(frame, 1, true);
    frame[12] = 0x86;
    frame[13] = 0xdd;
    frame[20] = 58;
    way_push(way, frame, sizeof(frame), 0);
    g_assert_cmpint(pop(way, 0), ==, 1);
    frame[20] = 6;
    way_push(way, frame, sizeof(frame), 0);
    g_assert_cmpint(pop(way, 0), ==, -1);
}

static void test_cut(void)
{
    g_autoptr(Way) way = way_new(4);
    LabLinkSettings cut = { .cut = true }, wire = { 0 };
    LabLinkCounts counts;

    way_set(way, &cut);
    push(way, 1, 0);
    g_assert_cmpint(pop(way, 100 * MS), ==, -1);
    way_set(way, &wire);
    push(way, 2, 100 * MS);
    g_assert_cmpint(pop(way, 100 * MS), ==, 2);
    way_count(way, &counts);
    g_assert_cmpuint(counts.n_cut, ==, 1);
    assert_adds_up(way);
}

static void test_delay(void)
{
    g_autoptr(Way) way = way_new(5);
    LabLinkSettings settings = { .delay_ms = 20 }, wire = { 0 };

    way_set(way, &settings);
    push(way, 1, 5 * MS);
    g_assert_cmpint(way_next_ns(way), ==, 25 * MS);
    g_assert_cmpint(pop(way, 25 * MS - 1), ==, -1);
    g_assert_cmpint(pop(way, 25 * MS), ==, 1);
    /* Order stays when the delay gets shorter. */
    push(way, 2, 30 * MS);
    way_set(way, &wire);
    push(way, 3, 31 * MS);
    g_assert_cmpint(pop(way, 49 * MS), ==, -1);
    g_assert_cmpint(pop(way, 50 * MS), ==, 2);
    g_assert_cmpint(pop(way, 50 * MS), ==, 3);
}

static void test_rate(void)
{
    g_autoptr(Way) way = way_new(6);
    LabLinkSettings settings = { .rate_kbit = 480 };    /* a frame a millisecond */

    way_set(way, &settings);
    for (int i = 0; i < 10; i++) {
        push(way, i, 0);
    }
    for (int i = 0; i < 10; i++) {
        g_assert_cmpint(way_next_ns(way), ==, (i + 1) * MS);
        g_assert_cmpint(pop(way, (i + 1) * MS), ==, i);
    }
}

static void test_full(void)
{
    g_autoptr(Way) way = way_new(7);
    LabLinkSettings settings = { .rate_kbit = 1 };
    LabLinkCounts counts;

    way_set(way, &settings);
    for (unsigned int i = 0; i < WAY_QUEUE_BYTES_MAX / 60 + 100; i++) {
        push(way, i, 0);
    }
    way_count(way, &counts);
    g_assert_cmpuint(counts.n_waiting, ==, WAY_QUEUE_BYTES_MAX / 60);
    g_assert_cmpuint(counts.n_overflowed, ==, 100);
    g_assert_cmpint(pop(way, INT64_MAX), ==, 0);        /* the newest went */
    assert_adds_up(way);
}

static void test_double_and_late(void)
{
    g_autoptr(Way) way = way_new(8);
    LabLinkSettings settings = { .duplicate_permille = 50, .late_permille = 50 };
    g_autofree uint8_t *seen = g_malloc0(N_FRAMES);
    unsigned int n_twice = 0, n_overtaken = 0;
    LabLinkCounts counts;
    int64_t number, highest = -1;

    way_set(way, &settings);
    for (int i = 0; i < N_FRAMES; i++) {
        push(way, i, i * MS);
        while ((number = pop(way, i * MS)) >= 0) {
            n_twice += seen[number]++;
            n_overtaken += number < highest;
            highest = MAX(highest, number);
        }
    }
    while ((number = pop(way, INT64_MAX)) >= 0) {
        n_twice += seen[number]++;
    }
    way_count(way, &counts);
    for (int i = 0; i < N_FRAMES; i++) {
        g_assert_cmpuint(seen[i], >=, 1);
    }
    g_assert_cmpuint(n_twice, ==, counts.n_doubled);
    g_assert_cmpuint(counts.n_doubled, >, 400);
    g_assert_cmpuint(counts.n_late, >, 400);
    g_assert_cmpuint(n_overtaken, >, 400);
    assert_adds_up(way);
}

/* Which frames are lost is the seed's choice, whatever the time is. */
static void test_seed(void)
{
    LabLinkSettings settings = { .loss_permille = 100 };
    unsigned int n_other = 0;
    Way *ways[3] = { way_new(9), way_new(9), way_new(10) };

    for (size_t i = 0; i < G_N_ELEMENTS(ways); i++) {
        way_set(ways[i], &settings);
    }
    for (int i = 0; i < N_FRAMES; i++) {
        int64_t popped[G_N_ELEMENTS(ways)];

        for (size_t k = 0; k < G_N_ELEMENTS(ways); k++) {
            push(ways[k], i, i * (k + 1));
            popped[k] = pop(ways[k], i * (k + 1));
        }
        g_assert_cmpint(popped[0], ==, popped[1]);
        n_other += popped[0] != popped[2];
    }
    g_assert_cmpuint(n_other, >, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(ways); i++) {
        way_free(ways[i]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/lab/way/a-wire-passes-all-at-once-and-in-order", test_wire);
    g_test_add_func("/lab/way/frames-are-lost-and-counted", test_loss);
    g_test_add_func("/lab/way/arp-is-never-lost", test_arp);
    g_test_add_func("/lab/way/ipv6-is-lost-but-for-neighbour-discovery", test_ipv6);
    g_test_add_func("/lab/way/a-cut-way-passes-nothing", test_cut);
    g_test_add_func("/lab/way/a-delay-keeps-order-also-when-it-changes", test_delay);
    g_test_add_func("/lab/way/a-rate-spaces-frames", test_rate);
    g_test_add_func("/lab/way/a-full-queue-drops-the-newest", test_full);
    g_test_add_func("/lab/way/frames-come-twice-or-late-and-none-is-missing",
                    test_double_and_late);
    g_test_add_func("/lab/way/a-seed-decides-which", test_seed);
    return g_test_run();
}
