/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * slice-flow-test.c - the gate's pure parts: packets read, flows in order
 *
 * No machine is started; filter-slice-test.c has the real thing.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "net/checksum.h"
#include "../../net/filter-slice-flow.h"
#include "slice/packet.h"
#include "slice/stream.h"
#include "standard-headers/linux/virtio_net.h"

#define ETH     14
#define IPV4    20
#define IPV6    40
#define TCP     20

/* ---- packets ---- */

static size_t make_link(uint8_t *frame, int n_vlans, uint16_t type)
{
    int i;

    memset(frame, 0x22, 12);
    for (i = 0; i < n_vlans; i++) {
        stw_be_p(frame + 12 + 4 * i, i + 1 < n_vlans ? 0x88a8 : 0x8100);
        stw_be_p(frame + 14 + 4 * i, 5);
    }
    stw_be_p(frame + 12 + 4 * n_vlans, type);
    return ETH + 4 * n_vlans;
}

static size_t make_ipv4(uint8_t *frame, int n_vlans, int options, size_t payload)
{
    size_t at = make_link(frame, n_vlans, 0x0800);
    uint8_t *ip = frame + at;
    size_t header = IPV4 + options;

    memset(ip, 0, header + TCP + payload);
    ip[0] = 0x40 | header / 4;
    stw_be_p(ip + 2, header + TCP + payload);
    ip[9] = IPPROTO_TCP;
    stl_be_p(ip + 12, 0x0a000002);
    stl_be_p(ip + 16, 0x0a000001);
    stw_be_p(ip + header, 1000);
    stw_be_p(ip + header + 2, 80);
    ip[header + 12] = 0x50;
    return at + header + TCP + payload;
}

static size_t make_ipv6(uint8_t *frame, const uint8_t *extensions,
                        int n_extensions)
{
    size_t at = make_link(frame, 0, 0x86dd);
    uint8_t *ip = frame + at;
    size_t bytes = IPV6;
    int i;

    memset(ip, 0, IPV6 + 8 * n_extensions + TCP);
    ip[0] = 0x60;
    ip[6] = n_extensions ? extensions[0] : IPPROTO_TCP;
    ip[8] = 0xfd;
    ip[23] = 2;
    ip[24] = 0xfd;
    ip[39] = 1;
    for (i = 0; i < n_extensions; i++, bytes += 8) {
        ip[bytes] = i + 1 < n_extensions ? extensions[i + 1] : IPPROTO_TCP;
    }
    stw_be_p(ip + bytes, 1000);
    stw_be_p(ip + bytes + 2, 80);
    bytes += TCP;
    stw_be_p(ip + 4, bytes - IPV6);
    return at + bytes;
}

static void assert_is_flow(const uint8_t *frame, size_t bytes, uint8_t family)
{
    SliceFlow to_guest, from_guest;
    SlicePacketInfo info;

    g_assert_true(slice_packet_flow(frame, bytes, true, true, &to_guest,
                                    &info));
    g_assert_cmpuint(to_guest.family, ==, family);
    g_assert_cmpuint(to_guest.protocol, ==, IPPROTO_TCP);
    g_assert_cmpuint(be16_to_cpu(to_guest.local_port), ==, 80);
    g_assert_cmpuint(be16_to_cpu(to_guest.remote_port), ==, 1000);
    g_assert_cmpuint(to_guest.local[family == 4 ? 3 : 15], ==, 1);
    g_assert_cmpuint(to_guest.remote[family == 4 ? 3 : 15], ==, 2);
    g_assert_cmpuint(frame[info.ip_offset] >> 4, ==, family);
    /* The same bytes the other way are the other way round. */
    g_assert_true(slice_packet_flow(frame, bytes, true, false, &from_guest,
                                    NULL));
    g_assert_cmpuint(from_guest.local_port, ==, to_guest.remote_port);
    g_assert_cmpmem(from_guest.local, 16, to_guest.remote, 16);
}

static bool is_flow(const uint8_t *frame, size_t bytes)
{
    SliceFlow flow;
    /* At the end of a heap block, for the sanitizer to watch. */
    g_autofree uint8_t *copy = g_memdup2(frame, bytes);

    return slice_packet_flow(copy, bytes, true, true, &flow, NULL);
}

static void test_ipv4(void)
{
    uint8_t frame[256];
    int n_vlans, options;

    for (n_vlans = 0; n_vlans <= 2; n_vlans++) {
        for (options = 0; options <= 40; options += 4) {
            size_t bytes = make_ipv4(frame, n_vlans, options, 10);

            assert_is_flow(frame, MIN(bytes, SLICE_PACKET_HEAD_BYTES), 4);
        }
    }
}

static void test_ipv6(void)
{
    static const uint8_t extensions[] = {
        IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS,
    };
    uint8_t frame[256];
    int n;

    for (n = 0; n <= ARRAY_SIZE(extensions); n++) {
        assert_is_flow(frame, make_ipv6(frame, extensions, n), 6);
    }
}

static void test_others_are_no_flow(void)
{
    static const uint8_t fragment = IPPROTO_FRAGMENT;
    uint8_t frame[256];
    size_t bytes = make_ipv4(frame, 0, 0, 10);

    frame[ETH + 9] = IPPROTO_UDP;
    g_assert_false(is_flow(frame, bytes));
    make_ipv4(frame, 0, 0, 10);
    frame[ETH + 6] = 0x20;                      /* more fragments */
    g_assert_false(is_flow(frame, bytes));
    make_ipv4(frame, 0, 0, 10);
    frame[ETH + 7] = 1;                         /* a later fragment */
    g_assert_false(is_flow(frame, bytes));
    make_ipv4(frame, 0, 0, 10);
    frame[ETH + 6] = 0x40;                      /* do not fragment: is one */
    g_assert_true(is_flow(frame, bytes));
    frame[ETH] = 0x44;                          /* header too short */
    g_assert_false(is_flow(frame, bytes));
    make_ipv4(frame, 0, 0, 10);
    stw_be_p(frame + ETH + 2, IPV4 + TCP - 1);  /* no room for TCP */
    g_assert_false(is_flow(frame, bytes));
    make_ipv4(frame, 0, 0, 10);
    stw_be_p(frame + 12, 0x86dd);               /* the link says IPv6 */
    g_assert_false(is_flow(frame, bytes));
    make_ipv4(frame, 0, 0, 10);
    stw_be_p(frame + 12, 0x0806);
    g_assert_false(is_flow(frame, bytes));
    bytes = make_ipv6(frame, &fragment, 1);
    g_assert_false(is_flow(frame, bytes));
}

static void test_short_is_no_flow(void)
{
    static const uint8_t extensions[] = { IPPROTO_HOPOPTS, IPPROTO_DSTOPTS };
    uint8_t frame[256];
    size_t bytes;

    make_ipv4(frame, 2, 40, 0);
    for (bytes = 0; bytes < ETH + 8 + 60 + 4; bytes++) {
        g_assert_false(is_flow(frame, bytes));
    }
    g_assert_true(is_flow(frame, bytes));
    make_ipv6(frame, extensions, 2);
    for (bytes = 0; bytes < ETH + IPV6 + 16 + 4; bytes++) {
        g_assert_false(is_flow(frame, bytes));
    }
    g_assert_true(is_flow(frame, bytes));
}

/* Nothing is read beyond the bytes, whatever they are (under ASan). */
static void test_noise_is_harmless(void)
{
    uint8_t frame[SLICE_PACKET_HEAD_BYTES];
    int i, j;

    for (i = 0; i < 200000; i++) {
        size_t bytes = g_test_rand_int_range(0, sizeof(frame) + 1);
        int n_changes = g_test_rand_int_range(0, 6);

        if (i % 2) {
            make_ipv4(frame, i / 2 % 3, 0, 20);
        } else {
            make_ipv6(frame, (uint8_t[]) { IPPROTO_DSTOPTS }, i / 2 % 2);
        }
        for (j = 0; j < n_changes; j++) {
            frame[g_test_rand_int_range(12, 80)] = g_test_rand_int();
        }
        is_flow(frame, bytes);
    }
}

static void test_checksum_is_completed(void)
{
    uint8_t frame[256], expected[256];
    struct virtio_net_hdr_mrg_rxbuf hdr = {
        .hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
    };
    size_t bytes = make_ipv4(frame, 0, 0, 33);
    uint8_t *tcp = frame + ETH + IPV4;
    uint32_t sum;

    memset(tcp + TCP, 0xa5, 33);
    memcpy(expected, frame, bytes);
    net_checksum_calculate(expected, bytes, CSUM_TCP);
    /* What a guest leaves there: the sum of the pseudo header, not inverted. */
    sum = net_checksum_add(8, frame + ETH + 12) + IPPROTO_TCP + TCP + 33;
    stw_be_p(tcp + 16, ~net_checksum_finish(sum));
    stw_le_p(&hdr.hdr.csum_start, ETH + IPV4);
    stw_le_p(&hdr.hdr.csum_offset, 16);
    g_assert_true(slice_gate_packet_complete((uint8_t *)&hdr, sizeof(hdr),
                                             frame, bytes));
    g_assert_cmpmem(frame, bytes, expected, bytes);
    g_assert_cmpuint(hdr.hdr.flags, ==, 0);
}

static void test_absurd_vnet_header_is_refused(void)
{
    static const uint16_t starts[] = { 100, 99, 0xffff, 0x7fff, 0 };
    static const uint16_t offsets[] = { 0, 0, 0xffff, 0x8001, 99 };
    uint8_t frame[100] = { };
    int i;

    for (i = 0; i < ARRAY_SIZE(starts); i++) {
        struct virtio_net_hdr hdr = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM };

        stw_le_p(&hdr.csum_start, starts[i]);
        stw_le_p(&hdr.csum_offset, offsets[i]);
        g_assert_false(slice_gate_packet_complete((uint8_t *)&hdr, sizeof(hdr),
                                                  frame, sizeof(frame)));
    }
    {
        struct virtio_net_hdr hdr = { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4 };

        g_assert_false(slice_gate_packet_complete((uint8_t *)&hdr, sizeof(hdr),
                                                  frame, sizeof(frame)));
    }
}

/* ---- flows ---- */

static SliceFlow key_of(uint16_t port)
{
    return (SliceFlow) {
        .family = 4, .protocol = IPPROTO_TCP, .local = { 10, 0, 0, 1 },
        .remote = { 10, 0, 0, 2 }, .local_port = 80, .remote_port = port,
    };
}

static SlicePacket *packet_of(uint32_t mark, size_t bytes)
{
    g_autofree uint8_t *data = g_malloc0(bytes);
    struct iovec iov = { .iov_base = data, .iov_len = bytes };

    stl_he_p(data, mark);
    return slice_gate_packet_new(&iov, 1, 0, SLICE_PACKET_DIVERTED);
}

static void table_init(SliceFlowTable *table)
{
    const SliceFlowLimits limits = {
        .flow_bytes = 1 * MiB, .total_bytes = 8 * MiB, .ring_bytes = 64 * KiB,
        .n_flows = 16,
    };

    slice_flows_init(table, &limits);
}

static void keep(SliceFlowTable *table, uint16_t port, SliceDirection direction,
                 uint32_t mark)
{
    SliceFlow key = key_of(port);

    slice_flows_keep(table, slice_flows_find(table, &key), direction,
                     packet_of(mark, 64));
}

static void put(SliceFlowTable *table, uint16_t port, uint32_t mark)
{
    SliceFlow key = key_of(port);

    slice_flows_put(table, &key, packet_of(mark, 64));
}

static void set_mode(SliceFlowTable *table, uint16_t port, unsigned mode)
{
    SliceFlow key = key_of(port);

    g_assert_true(slice_flows_set_mode(table, &key, mode, &error_abort));
}

static void expect(SliceFlowTable *table, SliceDirection direction,
                   uint32_t mark)
{
    SlicePacket *packet = slice_flows_take(table, direction);

    g_assert_nonnull(packet);
    g_assert_cmpuint(ldl_he_p(packet->frame), ==, mark);
    slice_flows_sent(table, direction, true);
}

static void assert_table_is_empty(SliceFlowTable *table)
{
    g_assert_true(slice_flows_empty(table));
    g_assert_cmpuint(table->bytes, ==, 0);
    g_assert_cmpuint(table->stats.n_held, ==, 0);
    g_assert_cmpuint(table->stats.held_bytes, ==, 0);
    slice_flows_cleanup(table);
}

static void test_flows_take_turns(void)
{
    SliceFlowTable table;
    uint32_t i;

    table_init(&table);
    set_mode(&table, 1, SLICE_GATE_HOLD);
    set_mode(&table, 2, SLICE_GATE_HOLD);
    set_mode(&table, 3, SLICE_GATE_HOLD);
    for (i = 0; i < 4; i++) {
        keep(&table, 1, SLICE_TO_GUEST, 100 + i);
        keep(&table, 2, SLICE_TO_GUEST, 200 + i);
        keep(&table, 3, SLICE_TO_GUEST, 300 + i);
    }
    g_assert_null(slice_flows_take(&table, SLICE_TO_GUEST));
    set_mode(&table, 1, SLICE_FLOW_LEAVING);
    set_mode(&table, 2, SLICE_FLOW_LEAVING);
    for (i = 0; i < 4; i++) {
        expect(&table, SLICE_TO_GUEST, 100 + i);
        expect(&table, SLICE_TO_GUEST, 200 + i);
    }
    g_assert_null(slice_flows_take(&table, SLICE_TO_GUEST));
    set_mode(&table, 3, SLICE_GATE_WATCH);
    for (i = 0; i < 4; i++) {
        expect(&table, SLICE_TO_GUEST, 300 + i);
    }
    g_assert_false(slice_flows_empty(&table));  /* still watched */
    set_mode(&table, 3, SLICE_FLOW_LEAVING);
    assert_table_is_empty(&table);
}

static void test_unsent_is_first_again(void)
{
    SliceFlowTable table;
    uint32_t i;

    table_init(&table);
    set_mode(&table, 1, SLICE_GATE_HOLD);
    for (i = 0; i < 3; i++) {
        keep(&table, 1, SLICE_TO_GUEST, i);
        keep(&table, 1, SLICE_FROM_GUEST, 10 + i);
    }
    set_mode(&table, 1, SLICE_FLOW_LEAVING);
    g_assert_nonnull(slice_flows_take(&table, SLICE_TO_GUEST));
    g_assert_nonnull(slice_flows_take(&table, SLICE_FROM_GUEST));
    g_assert_null(slice_flows_take(&table, SLICE_TO_GUEST));
    slice_flows_unsent(&table, SLICE_TO_GUEST);
    slice_flows_unsent(&table, SLICE_FROM_GUEST);
    /* What is put now comes behind what was on its way already. */
    put(&table, 1, 5);
    expect(&table, SLICE_TO_GUEST, 0);
    expect(&table, SLICE_TO_GUEST, 5);
    expect(&table, SLICE_TO_GUEST, 1);
    expect(&table, SLICE_TO_GUEST, 2);
    for (i = 0; i < 3; i++) {
        expect(&table, SLICE_FROM_GUEST, 10 + i);
    }
    assert_table_is_empty(&table);
}

static void test_put_comes_before_held(void)
{
    SliceFlowTable table;

    table_init(&table);
    set_mode(&table, 1, SLICE_GATE_HOLD);
    keep(&table, 1, SLICE_TO_GUEST, 30);
    put(&table, 1, 10);
    put(&table, 1, 20);
    keep(&table, 1, SLICE_TO_GUEST, 31);
    set_mode(&table, 1, SLICE_FLOW_LEAVING);
    expect(&table, SLICE_TO_GUEST, 10);
    put(&table, 1, 21);
    expect(&table, SLICE_TO_GUEST, 20);
    expect(&table, SLICE_TO_GUEST, 21);
    expect(&table, SLICE_TO_GUEST, 30);
    expect(&table, SLICE_TO_GUEST, 31);
    g_assert_true(slice_flows_empty(&table));
    /* Of no flow at all: it goes by itself. */
    put(&table, 7, 40);
    expect(&table, SLICE_TO_GUEST, 40);
    assert_table_is_empty(&table);
}

static void test_flow_waits_until_its_last_has_gone(void)
{
    SliceFlowTable table;
    SliceFlow key = key_of(1);

    table_init(&table);
    set_mode(&table, 1, SLICE_GATE_HOLD);
    keep(&table, 1, SLICE_TO_GUEST, 1);
    set_mode(&table, 1, SLICE_FLOW_LEAVING);
    g_assert_nonnull(slice_flows_take(&table, SLICE_TO_GUEST));
    /* Nothing waits here, but it is not gone yet: no overtaking. */
    g_assert_nonnull(slice_flows_find(&table, &key));
    g_assert_true(slice_flow_waits(&table, slice_flows_find(&table, &key),
                                   SLICE_TO_GUEST));
    g_assert_false(slice_flow_waits(&table, slice_flows_find(&table, &key),
                                    SLICE_FROM_GUEST));
    slice_flows_sent(&table, SLICE_TO_GUEST, true);
    assert_table_is_empty(&table);
}

static void test_held_again_amid_release(void)
{
    SliceFlowTable table;
    SlicePacketQueue packets = QSIMPLEQ_HEAD_INITIALIZER(packets);
    SliceFlow key = key_of(1);
    SlicePacket *packet;
    uint32_t mark = 1;

    table_init(&table);
    set_mode(&table, 1, SLICE_GATE_HOLD);
    keep(&table, 1, SLICE_TO_GUEST, 0);
    keep(&table, 1, SLICE_TO_GUEST, 1);
    keep(&table, 1, SLICE_TO_GUEST, 2);
    keep(&table, 1, SLICE_FROM_GUEST, 3);
    set_mode(&table, 1, SLICE_FLOW_LEAVING);
    g_assert_nonnull(slice_flows_take(&table, SLICE_TO_GUEST));
    set_mode(&table, 1, SLICE_GATE_HOLD);
    slice_flows_sent(&table, SLICE_TO_GUEST, true);
    g_assert_null(slice_flows_take(&table, SLICE_TO_GUEST));
    g_assert_null(slice_flows_take(&table, SLICE_FROM_GUEST));
    slice_flows_steal_input(&table, &key, &packets);
    while ((packet = QSIMPLEQ_FIRST(&packets))) {
        QSIMPLEQ_REMOVE_HEAD(&packets, next);
        g_assert_cmpuint(ldl_he_p(packet->frame), ==, mark++);
        g_free(packet);
    }
    g_assert_cmpuint(mark, ==, 3);
    g_assert_cmpuint(table.stats.n_dropped_muted, ==, 1);
    assert_table_is_empty(&table);
}

static void test_bounds_hold_in_both_directions(void)
{
    SliceFlowTable table;
    SliceFlow key = key_of(1);
    int direction, i;

    table_init(&table);
    set_mode(&table, 1, SLICE_GATE_HOLD);
    for (direction = 0; direction < SLICE_N_DIRECTIONS; direction++) {
        for (i = 0; i < 3000; i++) {
            slice_flows_keep(&table, slice_flows_find(&table, &key), direction,
                             packet_of(i, 1000));
        }
    }
    g_assert_cmpuint(table.bytes, <=, 2 * MiB);
    g_assert_cmpuint(table.bytes, >, 2 * MiB - 4096);
    g_assert_cmpuint(table.stats.n_held + table.stats.n_dropped_full, ==, 6000);
    slice_flows_cleanup(&table);
}

static void test_ring_gives_up_the_oldest(void)
{
    SliceFlowTable table;
    SlicePacketQueue packets = QSIMPLEQ_HEAD_INITIALIZER(packets);
    SliceFlow key = key_of(1);
    SlicePacket *packet;
    uint32_t mark, n = 0;
    int i;

    table_init(&table);
    set_mode(&table, 1, SLICE_GATE_WATCH);
    for (i = 0; i < 1000; i++) {
        slice_flows_ring(&table, slice_flows_find(&table, &key),
                         packet_of(i, 1000));
    }
    /* One that never fits does not drive the others out. */
    slice_flows_ring(&table, slice_flows_find(&table, &key),
                     packet_of(i, 128 * KiB));
    g_assert_cmpuint(table.bytes, <=, 64 * KiB);
    set_mode(&table, 1, SLICE_GATE_DIVERT);
    slice_flows_steal_ring(&table, &key, &packets);
    mark = ldl_he_p(QSIMPLEQ_FIRST(&packets)->frame);
    while ((packet = QSIMPLEQ_FIRST(&packets))) {
        QSIMPLEQ_REMOVE_HEAD(&packets, next);
        g_assert_cmpuint(ldl_he_p(packet->frame), ==, mark++);
        g_free(packet);
        n++;
    }
    g_assert_cmpuint(mark, ==, 1000);
    g_assert_cmpuint(n, >, 50);
    set_mode(&table, 1, SLICE_FLOW_LEAVING);
    assert_table_is_empty(&table);
}

static bool try_mode(SliceFlowTable *table, uint16_t port, unsigned mode)
{
    SliceFlow key = key_of(port);
    Error *err = NULL;
    bool ok = slice_flows_set_mode(table, &key, mode, &err);

    g_assert_true(ok == !err);
    error_free(err);
    return ok;
}

static void test_those_that_have_gone_take_no_place(void)
{
    SliceFlow first = key_of(0), second = key_of(1);
    SliceFlowTable table;
    uint16_t port;

    table_init(&table);
    for (port = 0; port < 16; port++) {
        set_mode(&table, port, SLICE_GATE_FORWARD);
    }
    for (port = 100; port < 116; port++) {
        g_assert_true(try_mode(&table, port, SLICE_GATE_HOLD));
    }
    g_assert_false(try_mode(&table, 116, SLICE_GATE_HOLD));
    /* Nor can one that has gone come back then, and it stays as it was. */
    g_assert_false(try_mode(&table, 0, SLICE_GATE_HOLD));
    g_assert_cmpuint(slice_flows_find(&table, &first)->mode, ==,
                     SLICE_GATE_FORWARD);
    /* One more that goes pushes the oldest out. */
    g_assert_true(try_mode(&table, 100, SLICE_GATE_FORWARD));
    g_assert_null(slice_flows_find(&table, &first));
    g_assert_nonnull(slice_flows_find(&table, &second));
    g_assert_cmpuint(table.stats.n_forgotten, ==, 1);
    g_assert_cmpuint(table.n_forward, ==, 16);
    g_assert_true(try_mode(&table, 1, SLICE_GATE_HOLD));
    g_assert_cmpuint(table.n_forward, ==, 15);
    set_mode(&table, 1, SLICE_FLOW_LEAVING);
    slice_flows_cleanup(&table);
}

static void test_flows_are_counted(void)
{
    SliceFlowTable table;
    Error *err = NULL;
    SliceFlow key = key_of(17);
    int i;

    table_init(&table);
    for (i = 1; i <= 16; i++) {
        set_mode(&table, i, SLICE_GATE_HOLD);
    }
    g_assert_false(slice_flows_set_mode(&table, &key, SLICE_GATE_HOLD, &err));
    g_assert_nonnull(err);
    error_free(err);
    put(&table, 17, 1);
    g_assert_cmpuint(table.stats.n_dropped_full, ==, 1);
    set_mode(&table, 1, SLICE_FLOW_LEAVING);
    set_mode(&table, 17, SLICE_GATE_HOLD);
    slice_flows_cleanup(&table);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    g_test_add_func("/slice-flow/packet/ipv4", test_ipv4);
    g_test_add_func("/slice-flow/packet/ipv6", test_ipv6);
    g_test_add_func("/slice-flow/packet/others-are-no-flow",
                    test_others_are_no_flow);
    g_test_add_func("/slice-flow/packet/short-is-no-flow",
                    test_short_is_no_flow);
    g_test_add_func("/slice-flow/packet/noise-is-harmless",
                    test_noise_is_harmless);
    g_test_add_func("/slice-flow/packet/checksum-is-completed",
                    test_checksum_is_completed);
    g_test_add_func("/slice-flow/packet/absurd-vnet-header-is-refused",
                    test_absurd_vnet_header_is_refused);
    g_test_add_func("/slice-flow/flows-take-turns", test_flows_take_turns);
    g_test_add_func("/slice-flow/unsent-is-first-again",
                    test_unsent_is_first_again);
    g_test_add_func("/slice-flow/put-comes-before-held",
                    test_put_comes_before_held);
    g_test_add_func("/slice-flow/waits-until-its-last-has-gone",
                    test_flow_waits_until_its_last_has_gone);
    g_test_add_func("/slice-flow/held-again-amid-release",
                    test_held_again_amid_release);
    g_test_add_func("/slice-flow/bounds-hold-in-both-directions",
                    test_bounds_hold_in_both_directions);
    g_test_add_func("/slice-flow/ring-gives-up-the-oldest",
                    test_ring_gives_up_the_oldest);
    g_test_add_func("/slice-flow/those-that-have-gone-take-no-place",
                    test_those_that_have_gone_take_no_place);
    g_test_add_func("/slice-flow/flows-are-counted", test_flows_are_counted);
    return g_test_run();
}
