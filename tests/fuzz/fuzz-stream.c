/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz-stream.c - any bytes as a slice stream
 *
 * Reads frames as a connection does, and hands each payload to the readers of
 * all types, whether or not its CRC agrees: a peer can compute a CRC.  What was
 * read is built again and must come out the same.
 */
#include "qemu/osdep.h"
#include "slice/frame.h"
#include "slice/packet.h"

/* What it names is within what there is room for. */
static void check_reserve(const uint8_t *payload, size_t bytes)
{
    uint8_t again[SLICE_FRAME_RESERVE_BYTES_MAX];
    SliceStreamLayer layers[SLICE_STREAM_LAYERS_MAX];
    SliceFlow flows[SLICE_STREAM_FLOWS_MAX];
    SliceStreamReserve reserve;
    const char *why = NULL;

    if (slice_frame_get_reserve(payload, bytes, &reserve, layers, flows,
                                &why)) {
        g_assert(slice_frame_put_reserve(again, &reserve, layers, flows) ==
                 bytes);
        g_assert(!memcmp(again, payload, bytes));
        for (uint32_t i = 0; i < reserve.n_layers; i++) {
            g_assert(strlen((char *)layers[i].name) < sizeof(layers[i].name));
        }
    }
}

static void check_payload(const SliceStreamHeader *header,
                          const uint8_t *payload)
{
    uint8_t again[SLICE_FRAME_PAYLOAD_BYTES];
    SliceStreamHello hello;
    SliceStreamCredit credit;
    SliceStreamDeltaEnd end;
    SliceStreamRefused refused;
    SliceStreamFind find;
    SliceStreamFound found;
    SliceStreamReserved reserved;
    SliceStreamPacket packet;
    SlicePacketInfo info;
    SliceFlow flow;
    const uint8_t *data;
    const char *why = NULL;
    size_t bytes = header->bytes;
    uint64_t offset;
    size_t n;

    if (slice_frame_get_hello(payload, bytes, &hello, &why)) {
        g_assert(slice_frame_put_hello(again, &hello) == bytes);
        g_assert(!memcmp(again, payload, bytes));
    }
    if (slice_frame_get_credit(payload, bytes, &credit, &why)) {
        g_assert(slice_frame_put_credit(again, &credit) == bytes);
        g_assert(!memcmp(again, payload, bytes));
    }
    if (slice_frame_get_delta_end(payload, bytes, &end, &why)) {
        g_assert(slice_frame_put_delta_end(again, &end) == bytes);
        g_assert(!memcmp(again, payload, bytes));
    }
    if (slice_frame_get_refused(payload, bytes, &refused, &why)) {
        g_assert(slice_frame_put_refused(again, &refused) == bytes);
        g_assert(!memcmp(again, payload, bytes));
    }
    if (slice_frame_get_find(payload, bytes, &find, &why)) {
        g_assert(slice_frame_put_find(again, &find) == bytes);
        g_assert(!memcmp(again, payload, bytes));
    }
    if (slice_frame_get_found(payload, bytes, &found, &why)) {
        g_assert(slice_frame_put_found(again, &found) == bytes);
        g_assert(!memcmp(again, payload, bytes));
    }
    if (slice_frame_get_reserved(payload, bytes, &reserved, &why)) {
        g_assert(slice_frame_put_reserved(again, &reserved) == bytes);
        g_assert(!memcmp(again, payload, bytes));
    }
    check_reserve(payload, bytes);
    if (slice_frame_get_delta(payload, bytes, &offset, &data, &n, &why)) {
        g_assert(n && data + n == payload + bytes);
    }
    if (slice_frame_get_packet(payload, bytes, &packet, &data, &why)) {
        g_assert(data + packet.bytes == payload + bytes);
        slice_packet_flow(data, packet.bytes,
                          packet.origin != SLICE_PACKET_CAUGHT, true, &flow,
                          &info);
    }
    slice_frame_get_nothing(bytes, &why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    while (bytes >= SLICE_FRAME_HEADER_BYTES) {
        SliceStreamHeader header;
        const char *why = NULL;
        g_autofree uint8_t *payload = NULL;

        if (!slice_frame_parse_header(data, &header, &why)) {
            g_assert(why);
            break;
        }
        data += SLICE_FRAME_HEADER_BYTES;
        bytes -= SLICE_FRAME_HEADER_BYTES;
        if (header.bytes > bytes) {
            break;
        }
        /* A copy of its own: whoever reads beyond it is seen. */
        payload = g_memdup2(data, header.bytes);
        slice_frame_check(data - SLICE_FRAME_HEADER_BYTES, &header, payload,
                          &why);
        check_payload(&header, payload);
        data += header.bytes;
        bytes -= header.bytes;
    }
    return 0;
}
