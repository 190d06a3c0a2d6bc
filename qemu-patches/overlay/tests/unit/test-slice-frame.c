/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test-slice-frame.c - the stream's frames and the packets in them
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "slice/frame.h"
#include "slice/packet.h"

/* A frame as the reader sees it. */
typedef struct Frame {
    uint8_t *bytes;
    size_t n;
} Frame;

static Frame packet_frame(void)
{
    uint8_t head[SLICE_FRAME_PACKET_BYTES];
    SliceStreamPacket packet = { .origin = SLICE_PACKET_RING, .bytes = 5 };
    Frame frame;

    frame.bytes = slice_frame_build(SLICE_STREAM_PACKET, 0x1122, 7, 9, head,
                                    slice_frame_put_packet(head, &packet),
                                    "hello", 5, &frame.n);
    return frame;
}

static bool reads(const Frame *frame, const char **ret_why)
{
    SliceStreamHeader header;

    return slice_frame_parse_header(frame->bytes, &header, ret_why) &&
           slice_frame_check(frame->bytes, &header,
                             frame->bytes + SLICE_FRAME_HEADER_BYTES, ret_why);
}

static void test_comes_out_as_it_went_in(void)
{
    Frame frame = packet_frame();
    SliceStreamHeader header;
    SliceStreamPacket packet;
    const uint8_t *data;
    const char *why = NULL;

    g_assert_true(reads(&frame, &why));
    g_assert_true(slice_frame_parse_header(frame.bytes, &header, &why));
    g_assert_cmpuint(header.type, ==, SLICE_STREAM_PACKET);
    g_assert_cmpuint(header.incarnation, ==, 0x1122);
    g_assert_cmpuint(header.counter, ==, 7);
    g_assert_cmpuint(header.term, ==, 9);
    g_assert_true(slice_frame_get_packet(
        frame.bytes + SLICE_FRAME_HEADER_BYTES, header.bytes, &packet, &data,
        &why));
    g_assert_cmpuint(packet.origin, ==, SLICE_PACKET_RING);
    g_assert_cmpmem(data, packet.bytes, "hello", 5);
    g_free(frame.bytes);
}

static void test_is_little_endian(void)
{
    Frame frame = packet_frame();

    g_assert_cmpmem(frame.bytes, 4, "SLST", 4);
    g_assert_cmpmem(frame.bytes + 8, 8, "\x22\x11\0\0\0\0\0\0", 8);
    g_assert_cmpmem(frame.bytes + 32, 4, "\x0d\0\0\0", 4);
    g_free(frame.bytes);
}

static void test_each_flipped_bit_is_seen(void)
{
    Frame frame = packet_frame();
    const char *why;

    for (size_t i = 0; i < frame.n * 8; i++) {
        /*
         * Another length is refused or leads beyond the frame: the reader
         * would wait for more, which this test has not.
         */
        if (i / 8 >= 32 && i / 8 < 36) {
            continue;
        }
        why = NULL;
        frame.bytes[i / 8] ^= 1 << i % 8;
        g_assert_false(reads(&frame, &why));
        g_assert_nonnull(why);
        frame.bytes[i / 8] ^= 1 << i % 8;
    }
    g_free(frame.bytes);
}

static void test_long_frame_is_refused(void)
{
    Frame frame = packet_frame();
    SliceStreamHeader header;
    const char *why;

    stl_le_p(frame.bytes + 32, SLICE_STREAM_PAYLOAD_MAX + 1);
    g_assert_false(slice_frame_parse_header(frame.bytes, &header, &why));
    g_assert_cmpstr(why, ==, "a frame longer than the limit");
    g_free(frame.bytes);
}

static void test_each_payload_is_checked_for_length(void)
{
    uint8_t zeros[SLICE_FRAME_PAYLOAD_BYTES + 1] = {};
    SliceStreamHello hello;
    SliceStreamCredit credit;
    SliceStreamDeltaEnd end;
    SliceStreamRefused refused;
    SliceStreamPacket packet;
    const uint8_t *data;
    const char *why;
    uint64_t offset;
    size_t n;

    for (size_t bytes = 0; bytes <= sizeof(zeros); bytes++) {
        g_assert_false(slice_frame_get_hello(zeros, bytes, &hello, &why));
        g_assert_false(slice_frame_get_credit(zeros, bytes, &credit, &why));
        g_assert_false(slice_frame_get_delta_end(zeros, bytes, &end, &why));
        g_assert_false(slice_frame_get_packet(zeros, bytes, &packet, &data,
                                              &why));
        g_assert_true(slice_frame_get_refused(zeros, bytes, &refused, &why) ==
                      (bytes == SLICE_FRAME_REFUSED_BYTES));
        g_assert_true(slice_frame_get_delta(zeros, bytes, &offset, &data, &n,
                                            &why) ==
                      (bytes > SLICE_FRAME_DELTA_BYTES));
        g_assert_true(slice_frame_get_nothing(bytes, &why) == !bytes);
    }
}

static bool hello_with(uint16_t version, uint16_t compat, const char **ret_why)
{
    SliceStreamHello hello = {
        .version = version, .compat = compat, .incarnation = 1, .name = "web1",
    };
    uint8_t payload[SLICE_FRAME_HELLO_BYTES];

    slice_frame_put_hello(payload, &hello);
    return slice_frame_get_hello(payload, sizeof(payload), &hello, ret_why);
}

typedef struct Reserve {
    SliceStreamReserve head;
    SliceStreamLayer layers[SLICE_STREAM_LAYERS_MAX];
    SliceFlow flows[SLICE_STREAM_FLOWS_MAX];
} Reserve;

static Reserve reserve_of(uint32_t n_layers, uint32_t n_flows)
{
    Reserve reserve = {
        .head = { .memory_bytes = 1ull << 33, .vnet_hdr_bytes = 12,
                  .deadline_ms = 500, .n_layers = n_layers,
                  .n_flows = n_flows, .counts = { { 20, 3 }, { 30, 1 } } },
    };

    for (uint32_t i = 0; i < n_layers; i++) {
        reserve.layers[i] = (SliceStreamLayer) {
            .name = "layer", .version = i, .rank = 20 + i, .abi_hash = ~i,
        };
    }
    for (uint32_t i = 0; i < n_flows; i++) {
        reserve.flows[i] = (SliceFlow) {
            .family = i % 2 ? 4 : 6, .protocol = 6, .local_port = 80,
            .remote_port = i + 1, .local = { 10 }, .remote = { 10, 0, 0, 1 },
        };
    }
    return reserve;
}

static bool reserve_reads(const Reserve *reserve)
{
    g_autofree uint8_t *payload = g_malloc(SLICE_FRAME_RESERVE_BYTES_MAX);
    size_t bytes = slice_frame_put_reserve(payload, &reserve->head,
                                           reserve->layers, reserve->flows);
    g_autofree uint8_t *copy = g_memdup2(payload, bytes);
    g_autofree Reserve *again = g_new0(Reserve, 1);
    const char *why;

    g_assert_false(slice_frame_get_reserve(copy, bytes - 1, &again->head,
                                           again->layers, again->flows,
                                           &why));
    if (!slice_frame_get_reserve(copy, bytes, &again->head, again->layers,
                                 again->flows, &why)) {
        return false;
    }
    g_assert_cmpmem(again, sizeof(*again), reserve, sizeof(*reserve));
    return true;
}

static void test_reserve_is_read_as_written(void)
{
    Reserve reserve;

    for (uint32_t n = 0; n <= SLICE_STREAM_LAYERS_MAX; n++) {
        reserve = reserve_of(n, n * 4);
        g_assert_true(reserve_reads(&reserve));
    }
}

static void test_reserve_of_no_sense_is_refused(void)
{
    Reserve reserve = reserve_of(2, 2);

    reserve.head.deadline_ms = 0;
    g_assert_false(reserve_reads(&reserve));
    reserve = reserve_of(2, 2);
    reserve.head.deadline_ms = SLICE_STREAM_DEADLINE_MS_MAX + 1;
    g_assert_false(reserve_reads(&reserve));
    reserve = reserve_of(2, 2);
    reserve.head.counts[2].rank = 20;
    g_assert_false(reserve_reads(&reserve));
    reserve = reserve_of(2, 2);
    reserve.layers[1].name[0] = 0;
    g_assert_false(reserve_reads(&reserve));
    reserve = reserve_of(2, 2);
    memset(reserve.layers[1].name, 'x', sizeof(reserve.layers[1].name));
    g_assert_false(reserve_reads(&reserve));
    reserve = reserve_of(2, 2);
    reserve.flows[1].remote[15] = 1;
    g_assert_false(reserve_reads(&reserve));
    reserve = reserve_of(2, 2);
    reserve.flows[1].protocol = 17;
    g_assert_false(reserve_reads(&reserve));
    reserve = reserve_of(2, 2);
    reserve.flows[0].local_port = 0;
    g_assert_false(reserve_reads(&reserve));
}

static void test_versions_meet_by_compat(void)
{
    const char *why;

    g_assert_true(hello_with(SLICE_STREAM_VERSION, SLICE_STREAM_COMPAT, &why));
    g_assert_true(hello_with(SLICE_STREAM_VERSION + 5, SLICE_STREAM_VERSION,
                             &why));
    g_assert_false(hello_with(SLICE_STREAM_VERSION + 5,
                              SLICE_STREAM_VERSION + 1, &why));
    g_assert_cmpstr(why, ==, "a HELLO of an incompatible version");
    g_assert_false(hello_with(SLICE_STREAM_COMPAT - 1, 0, &why));
}

static void test_unterminated_name_is_refused(void)
{
    SliceStreamHello hello = {
        .version = SLICE_STREAM_VERSION, .compat = SLICE_STREAM_COMPAT,
        .incarnation = 1,
    };
    uint8_t payload[SLICE_FRAME_HELLO_BYTES];
    const char *why;

    memset(hello.name, 'x', sizeof(hello.name));
    slice_frame_put_hello(payload, &hello);
    g_assert_false(slice_frame_get_hello(payload, sizeof(payload), &hello,
                                         &why));
}

/* ---- packets ---- */

static size_t tcp_packet(uint8_t *to, uint8_t flags)
{
    memset(to, 0, 54);
    stw_be_p(to + 12, 0x0800);
    to[14] = 0x45;
    stw_be_p(to + 16, 40);
    to[23] = 6;
    memcpy(to + 26, "\x0a\0\0\x02", 4);
    memcpy(to + 30, "\x0a\0\0\x01", 4);
    stw_be_p(to + 34, 5555);
    stw_be_p(to + 36, 80);
    to[46] = 0x50;
    to[47] = flags;
    return 54;
}

static void test_packet_names_its_flow(void)
{
    uint8_t frame[54];
    size_t bytes = tcp_packet(frame, 0x10);
    SliceFlow want = {
        .family = 4, .protocol = 6, .local_port = htons(80),
        .remote_port = htons(5555), .local = { 10, 0, 0, 1 },
        .remote = { 10, 0, 0, 2 },
    };
    SliceFlow flow;
    SlicePacketInfo info;

    g_assert_true(slice_packet_flow(frame, bytes, true, true, &flow, &info));
    g_assert_cmpmem(&flow, sizeof(flow), &want, sizeof(want));
    g_assert_false(info.is_syn);
    g_assert_true(slice_packet_flow(frame + 14, bytes - 14, false, true,
                                    &flow, &info));
    g_assert_cmpmem(&flow, sizeof(flow), &want, sizeof(want));
}

static void test_syn_is_told_from_syn_ack(void)
{
    uint8_t frame[54];
    SliceFlow flow;
    SlicePacketInfo info;

    tcp_packet(frame, 0x02);
    g_assert_true(slice_packet_flow(frame, 54, true, true, &flow, &info));
    g_assert_true(info.is_syn);
    tcp_packet(frame, 0x12);
    g_assert_true(slice_packet_flow(frame, 54, true, true, &flow, &info));
    g_assert_false(info.is_syn);
}

static void test_short_packet_has_no_flow(void)
{
    uint8_t frame[54];
    SliceFlow flow;
    SlicePacketInfo info;

    tcp_packet(frame, 0x02);
    for (size_t bytes = 0; bytes <= sizeof(frame); bytes++) {
        g_autofree uint8_t *copy = g_memdup2(frame, bytes);
        bool has_ports = bytes >= 14 + 20 + 4;
        bool has_flags = bytes >= 14 + 20 + 14;

        g_assert_cmpint(slice_packet_flow(copy, bytes, true, true, &flow,
                                          &info), ==, has_ports);
        g_assert_true(!has_ports || info.is_syn == has_flags);
    }
}

/* What the switch tags, and what IPv6 puts before TCP, hides no flow. */
static void test_tags_and_extensions_hide_no_flow(void)
{
    uint8_t plain[54], tagged[62] = {}, ip6[14 + 40 + 8 + 20] = {};
    SlicePacketInfo info;
    SliceFlow want, flow;
    uint8_t *tcp = ip6 + 14 + 40 + 8;

    tcp_packet(plain, 0x02);
    g_assert_true(slice_packet_flow(plain, 54, true, true, &want, NULL));
    stw_be_p(tagged + 12, 0x88a8);
    stw_be_p(tagged + 16, 0x8100);
    memcpy(tagged + 20, plain + 12, 42);
    g_assert_true(slice_packet_flow(tagged, 62, true, true, &flow, &info));
    g_assert_cmpmem(&flow, sizeof(flow), &want, sizeof(want));
    g_assert_cmpuint(info.ip_offset, ==, 22);
    g_assert_true(info.is_syn);

    stw_be_p(ip6 + 12, 0x86dd);
    ip6[14] = 0x60;
    stw_be_p(ip6 + 18, 8 + 20);
    ip6[20] = 60;                       /* destination options */
    ip6[14 + 40] = 6;
    stw_be_p(tcp, 5555);
    stw_be_p(tcp + 2, 80);
    tcp[13] = 0x02;
    g_assert_true(slice_packet_flow(ip6, sizeof(ip6), true, true, &flow,
                                    &info));
    g_assert_cmpuint(flow.family, ==, 6);
    g_assert_cmpuint(flow.remote_port, ==, htons(5555));
    g_assert_true(info.is_syn);
    /* A fragment header hides it: whose it is, is not known. */
    ip6[20] = 44;
    g_assert_false(slice_packet_flow(ip6, sizeof(ip6), true, true, &flow,
                                     &info));
}

static void test_fragment_has_no_flow(void)
{
    uint8_t frame[54];
    SliceFlow flow;
    SlicePacketInfo info;

    tcp_packet(frame, 0);
    stw_be_p(frame + 20, 0x2000);
    g_assert_false(slice_packet_flow(frame, 54, true, true, &flow, &info));
    stw_be_p(frame + 20, 3);
    g_assert_false(slice_packet_flow(frame, 54, true, true, &flow, &info));
    stw_be_p(frame + 20, 0x4000);
    g_assert_true(slice_packet_flow(frame, 54, true, true, &flow, &info));
}

static void test_header_beyond_packet_has_no_flow(void)
{
    uint8_t frame[54];
    SliceFlow flow;
    SlicePacketInfo info;

    tcp_packet(frame, 0);
    frame[14] = 0x4f;
    g_assert_false(slice_packet_flow(frame, 54, true, true, &flow, &info));
    frame[14] = 0x44;
    g_assert_false(slice_packet_flow(frame, 54, true, true, &flow, &info));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/slice/frame/comes-out-as-it-went-in",
                    test_comes_out_as_it_went_in);
    g_test_add_func("/slice/frame/is-little-endian", test_is_little_endian);
    g_test_add_func("/slice/frame/each-flipped-bit-is-seen",
                    test_each_flipped_bit_is_seen);
    g_test_add_func("/slice/frame/long-frame-is-refused",
                    test_long_frame_is_refused);
    g_test_add_func("/slice/frame/each-payload-is-checked-for-length",
                    test_each_payload_is_checked_for_length);
    g_test_add_func("/slice/frame/reserve-is-read-as-written",
                    test_reserve_is_read_as_written);
    g_test_add_func("/slice/frame/reserve-of-no-sense-is-refused",
                    test_reserve_of_no_sense_is_refused);
    g_test_add_func("/slice/frame/versions-meet-by-compat",
                    test_versions_meet_by_compat);
    g_test_add_func("/slice/frame/unterminated-name-is-refused",
                    test_unterminated_name_is_refused);
    g_test_add_func("/slice/packet/names-its-flow",
                    test_packet_names_its_flow);
    g_test_add_func("/slice/packet/syn-is-told-from-syn-ack",
                    test_syn_is_told_from_syn_ack);
    g_test_add_func("/slice/packet/short-packet-has-no-flow",
                    test_short_packet_has_no_flow);
    g_test_add_func("/slice/packet/tags-and-extensions-hide-no-flow",
                    test_tags_and_extensions_hide_no_flow);
    g_test_add_func("/slice/packet/fragment-has-no-flow",
                    test_fragment_has_no_flow);
    g_test_add_func("/slice/packet/header-beyond-packet-has-no-flow",
                    test_header_beyond_packet_has_no_flow);
    return g_test_run();
}
