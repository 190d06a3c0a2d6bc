// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-wire.c - the judge of captures finds what it must, and only that
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "wire.h"

#define CLIENT 40000
#define MS 1000000LL

static Wire *wire_of(const WirePacket *packets, size_t n)
{
    Wire *wire = wire_new();

    g_array_append_vals(wire->packets, packets, n);
    return wire;
}

/* From the server at @ms: @bytes of payload from @seq on. */
static WirePacket data(int64_t ms, uint32_t seq, uint32_t bytes)
{
    return (WirePacket){ .time_ns = ms * MS, .source_port = 80, .destination_port = CLIENT,
                         .seq = seq, .bytes = bytes, .flags = WIRE_ACK, .scale = -1 };
}

/* From the client: an acknowledgement with a window; @scale >= 0 makes it a SYN. */
static WirePacket says(int64_t ms, uint32_t ack, uint16_t window, int scale)
{
    return (WirePacket){ .time_ns = ms * MS, .source_port = CLIENT, .destination_port = 80,
                         .ack = ack, .window = window, .scale = scale,
                         .flags = scale >= 0 ? WIRE_SYN : WIRE_ACK };
}

static WireVerdict judge(const WirePacket *packets, size_t n)
{
    g_autoptr(Wire) wire = wire_of(packets, n);
    WireVerdict verdict;

    wire_judge(wire, CLIENT, true, true, 0, INT64_MAX, &verdict);
    return verdict;
}

static void test_clean(void)
{
    WirePacket packets[] = { data(1, 100, 50), data(2, 150, 50), data(900, 200, 50) };
    WireVerdict verdict = judge(packets, G_N_ELEMENTS(packets));

    g_assert_cmpuint(verdict.n_repeated, ==, 0);
    g_assert_cmpuint(verdict.n_timeouts, ==, 0);
    g_assert_cmpuint(verdict.n_bytes, ==, 150);
}

static void test_timeout(void)
{
    WirePacket packets[] = { data(1, 100, 50), data(201, 100, 50) };
    WireVerdict verdict = judge(packets, G_N_ELEMENTS(packets));

    g_assert_cmpuint(verdict.n_repeated, ==, 1);
    g_assert_cmpuint(verdict.n_timeouts, ==, 1);
}

/* A new place asks with the head, whenever that was sent; then it is as any. */
static void test_head(void)
{
    WirePacket packets[] = { data(1, 100, 50), data(2, 150, 50), data(900, 100, 50),
                             data(1300, 100, 50) };
    WireVerdict verdict;

    packets[2].place = packets[3].place = 1;
    verdict = judge(packets, 3);
    g_assert_cmpuint(verdict.n_repeated, ==, 1);
    g_assert_cmpuint(verdict.n_timeouts, ==, 0);
    verdict = judge(packets, 4);
    g_assert_cmpuint(verdict.n_timeouts, ==, 1);
}

static void test_fast(void)
{
    WirePacket packets[] = { data(1, 100, 50), data(2, 150, 50), data(20, 100, 50) };
    WireVerdict verdict = judge(packets, G_N_ELEMENTS(packets));

    g_assert_cmpuint(verdict.n_repeated, ==, 1);
    g_assert_cmpuint(verdict.n_timeouts, ==, 0);
}

/* What was acknowledged need not come again; what was not, may. */
static void test_stale(void)
{
    WirePacket packets[] = {
        data(1, 100, 50), data(2, 150, 50), says(3, 150, 9, -1), data(4, 100, 50), data(5, 120, 60),
    };
    WireVerdict verdict = judge(packets, G_N_ELEMENTS(packets));

    g_assert_cmpuint(verdict.n_repeated, ==, 2);
    g_assert_cmpuint(verdict.n_stale, ==, 1);
}

static void test_outside(void)
{
    WirePacket packets[] = {
        says(1, 0, 1000, 2),            /* SYN: from now on windows count fourfold */
        says(2, 100, 10, -1),           /* up to 140 */
        data(3, 100, 40), data(4, 140, 1), says(5, 140, 0, -1), says(6, 141, 1, -1),
        data(7, 141, 4), data(8, 145, 1),
    };
    WireVerdict verdict = judge(packets, G_N_ELEMENTS(packets));

    g_assert_cmpuint(verdict.n_outside, ==, 2);
    /* Without the begin nobody knows what a window means. */
    verdict = judge(packets + 1, G_N_ELEMENTS(packets) - 1);
    g_assert_cmpuint(verdict.n_outside, ==, 0);
}

/* What came before the span is known, but does not count. */
static void test_span(void)
{
    WirePacket packets[] = { data(1, 100, 50), data(300, 100, 50), data(700, 100, 50) };
    g_autoptr(Wire) wire = wire_of(packets, G_N_ELEMENTS(packets));
    WireVerdict verdict;

    wire_judge(wire, CLIENT, true, true, 250 * MS, 500 * MS, &verdict);
    g_assert_cmpuint(verdict.n_timeouts, ==, 1);
    g_assert_cmpuint(verdict.n_bytes, ==, 50);
}

static void test_wraps(void)
{
    WirePacket packets[] = { data(1, 0xffffffe0, 64), data(2, 32, 64), data(3, 96, 64) };
    WireVerdict verdict = judge(packets, G_N_ELEMENTS(packets));

    g_assert_cmpuint(verdict.n_repeated, ==, 0);
}

static void test_flags(void)
{
    WirePacket packets[] = { data(1, 1, 0), data(2, 1, 0), data(3, 1, 0), data(4, 1, 0) };
    WireVerdict verdict;

    packets[0].flags = WIRE_RST;
    packets[1].flags = WIRE_FIN | WIRE_ACK;
    packets[2].flags = WIRE_SYN;
    packets[3].flags = WIRE_RST;
    packets[3].destination_port = CLIENT + 1;           /* somebody else's */
    verdict = judge(packets, G_N_ELEMENTS(packets));
    g_assert_cmpuint(verdict.n_rst, ==, 1);
    g_assert_cmpuint(verdict.n_fin, ==, 1);
    g_assert_cmpuint(verdict.n_syn, ==, 1);
}

/* A FIN alone, again behind its last byte, at another place, and the other end's. */
static void test_fin_again(void)
{
    WirePacket packets[] = { data(1, 9, 0), data(2, 8, 1), data(3, 20, 0), data(4, 9, 0) };
    WireVerdict verdict;

    for (size_t i = 0; i < G_N_ELEMENTS(packets); i++) {
        packets[i].flags = WIRE_FIN | WIRE_ACK;
    }
    verdict = judge(packets, 2);
    g_assert_cmpuint(verdict.n_fin, ==, 1);
    verdict = judge(packets, 3);
    g_assert_cmpuint(verdict.n_fin, ==, 2);
    packets[3].destination_port = 80;
    packets[3].source_port = CLIENT;                    /* the client's own */
    verdict = judge(packets, 4);
    g_assert_cmpuint(verdict.n_fin, ==, 3);
}

static void test_owners(void)
{
    WirePacket packets[] = { data(1, 1, 9), data(2, 10, 9), data(3, 19, 9), data(4, 28, 9) };
    WireVerdict verdict;

    packets[1].place = packets[2].place = 1;
    verdict = judge(packets, G_N_ELEMENTS(packets));
    g_assert_cmpuint(verdict.n_owners, ==, 3);
}

static void test_clients(void)
{
    WirePacket packets[] = { data(1, 1, 9), data(2, 10, 9), data(3, 19, 9), data(4, 28, 9) };
    g_autoptr(Wire) wire = NULL;
    g_autoptr(GArray) ports = NULL;

    packets[1].destination_port = packets[3].destination_port = CLIENT + 1;
    packets[2].source_port = 443;                       /* no client of ours */
    wire = wire_of(packets, G_N_ELEMENTS(packets));
    ports = wire_clients(wire, 2 * MS, 4 * MS);
    g_assert_cmpuint(ports->len, ==, 1);
    g_assert_cmpuint(g_array_index(ports, uint16_t, 0), ==, CLIENT + 1);
}

#define FILE_HEADER                                                                          \
    0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128, 0, 0, 0, 1, 0, 0, 0
#define SEGMENT                                                                              \
    0, 80, 0x9c, 0x40, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0, 0, 0, 0, 0, 0

/* A file of one frame, whole or cut at every length: never more than one packet. */
static void cut(const uint8_t *file, size_t n)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("test-wire-XXXXXX", &path, NULL);

    close(fd);
    for (size_t bytes = 0; bytes <= n; bytes++) {
        g_autoptr(Wire) wire = wire_new();
        bool read;

        g_file_set_contents(path, (const char *)file, bytes, NULL);
        read = wire_read(wire, path, 0, NULL);
        g_assert_true(read == (bytes >= 24));
        g_assert_cmpuint(wire->packets->len, ==, bytes == n);
        g_assert_true(wire->truncated == (bytes > 24 && bytes < n));
        if (wire->packets->len) {
            const WirePacket *packet = &g_array_index(wire->packets, WirePacket, 0);

            g_assert_cmpint(packet->time_ns, ==, 5000007000);
            g_assert_cmpuint(packet->bytes, ==, 10);
            g_assert_cmpuint(packet->destination_port, ==, CLIENT);
            g_assert_cmphex(packet->destination, ==, 0x0a4d0065);
        }
    }
    remove(path);
}

static void test_cut_files(void)
{
    static const uint8_t ipv4[] = {
        FILE_HEADER, 5, 0, 0, 0, 7, 0, 0, 0, 54, 0, 0, 0, 64, 0, 0, 0,
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0,
        0x45, 0, 0, 50, 0, 0, 0, 0, 64, 6, 0, 0, 10, 77, 0, 10, 10, 77, 0, 101, SEGMENT,
    };
    static const uint8_t ipv6[] = {
        FILE_HEADER, 5, 0, 0, 0, 7, 0, 0, 0, 74, 0, 0, 0, 84, 0, 0, 0,
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd,
        0x60, 0, 0, 0, 0, 30, 6, 64, 0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16,
        0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 77, 0, 101, SEGMENT,
    };

    cut(ipv4, sizeof(ipv4));
    cut(ipv6, sizeof(ipv6));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/wire/a-clean-connection-has-no-repetition", test_clean);
    g_test_add_func("/wire/an-old-repetition-is-a-time-out", test_timeout);
    g_test_add_func("/wire/a-new-place-may-ask-with-the-head", test_head);
    g_test_add_func("/wire/a-young-repetition-is-none", test_fast);
    g_test_add_func("/wire/what-was-acknowledged-and-comes-again-is-stale", test_stale);
    g_test_add_func("/wire/payload-beyond-the-window-is-outside", test_outside);
    g_test_add_func("/wire/what-came-before-the-span-is-known", test_span);
    g_test_add_func("/wire/sequence-numbers-wrap", test_wraps);
    g_test_add_func("/wire/flags-are-counted-for-one-connection", test_flags);
    g_test_add_func("/wire/a-fin-that-comes-again-counts-once", test_fin_again);
    g_test_add_func("/wire/changes-of-the-server's-place-are-seen", test_owners);
    g_test_add_func("/wire/a-span's-clients-are-those-that-spoke-in-it", test_clients);
    g_test_add_func("/wire/files-cut-anywhere-are-read-in-bounds", test_cut_files);
    return g_test_run();
}
