/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * frame.c - frames of the slice stream, built and taken apart
 *
 * See frame.h.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/crc32c.h"
#include "slice/frame.h"

G_STATIC_ASSERT(sizeof(SliceStreamHeader) == SLICE_FRAME_HEADER_BYTES);
G_STATIC_ASSERT(offsetof(SliceStreamHeader, crc32c) == 36);
G_STATIC_ASSERT(sizeof(SliceStreamHello) == SLICE_FRAME_HELLO_BYTES);
G_STATIC_ASSERT(sizeof(SliceStreamCredit) == SLICE_FRAME_CREDIT_BYTES);
G_STATIC_ASSERT(sizeof(SliceStreamDeltaEnd) == SLICE_FRAME_DELTA_END_BYTES);
G_STATIC_ASSERT(sizeof(SliceStreamRefused) == SLICE_FRAME_REFUSED_BYTES);
G_STATIC_ASSERT(sizeof(SliceStreamPacket) == SLICE_FRAME_PACKET_BYTES);

#define CRC_OFFSET offsetof(SliceStreamHeader, crc32c)

/* Over the header with a zero CRC, then the payload. */
static uint32_t frame_crc(const uint8_t *header, const uint8_t *payload,
                          size_t bytes)
{
    uint8_t copy[SLICE_FRAME_HEADER_BYTES];
    uint32_t crc;

    memcpy(copy, header, sizeof(copy));
    memset(copy + CRC_OFFSET, 0, 4);
    crc = crc32c(0xffffffff, copy, sizeof(copy));
    if (!bytes) {
        return crc;
    }
    /* crc32c() inverts what it returns; undo that to go on. */
    return crc32c(crc ^ 0xffffffff, payload, bytes);
}

uint8_t *slice_frame_build(uint16_t type, uint64_t incarnation,
                           uint64_t counter, uint64_t term,
                           const void *head, size_t head_bytes,
                           const void *body, size_t body_bytes,
                           size_t *ret_bytes)
{
    size_t payload_bytes = head_bytes + body_bytes;
    uint8_t *frame = g_malloc(SLICE_FRAME_HEADER_BYTES + payload_bytes);
    uint8_t *payload = frame + SLICE_FRAME_HEADER_BYTES;

    g_assert(payload_bytes <= SLICE_STREAM_PAYLOAD_MAX);
    stl_le_p(frame, SLICE_STREAM_MAGIC);
    stw_le_p(frame + 4, type);
    stw_le_p(frame + 6, SLICE_STREAM_MUST);
    stq_le_p(frame + 8, incarnation);
    stq_le_p(frame + 16, counter);
    stq_le_p(frame + 24, term);
    stl_le_p(frame + 32, payload_bytes);
    stl_le_p(frame + CRC_OFFSET, 0);
    if (head_bytes) {
        memcpy(payload, head, head_bytes);
    }
    if (body_bytes) {
        memcpy(payload + head_bytes, body, body_bytes);
    }
    stl_le_p(frame + CRC_OFFSET, frame_crc(frame, payload, payload_bytes));
    *ret_bytes = SLICE_FRAME_HEADER_BYTES + payload_bytes;
    return frame;
}

size_t slice_frame_put_hello(uint8_t *to, const SliceStreamHello *hello)
{
    memset(to, 0, SLICE_FRAME_HELLO_BYTES);
    stw_le_p(to, hello->version);
    stw_le_p(to + 2, hello->compat);
    stq_le_p(to + 8, hello->incarnation);
    memcpy(to + 16, hello->name, sizeof(hello->name));
    return SLICE_FRAME_HELLO_BYTES;
}

size_t slice_frame_put_credit(uint8_t *to, const SliceStreamCredit *credit)
{
    stq_le_p(to, credit->bytes);
    return SLICE_FRAME_CREDIT_BYTES;
}

size_t slice_frame_put_delta(uint8_t *to, uint64_t offset)
{
    stq_le_p(to, offset);
    return SLICE_FRAME_DELTA_BYTES;
}

size_t slice_frame_put_delta_end(uint8_t *to, const SliceStreamDeltaEnd *end)
{
    stq_le_p(to, end->total_bytes);
    stl_le_p(to + 8, end->crc32c);
    stl_le_p(to + 12, 0);
    return SLICE_FRAME_DELTA_END_BYTES;
}

size_t slice_frame_put_refused(uint8_t *to, const SliceStreamRefused *refused)
{
    stl_le_p(to, refused->why);
    stl_le_p(to + 4, 0);
    return SLICE_FRAME_REFUSED_BYTES;
}

size_t slice_frame_put_packet(uint8_t *to, const SliceStreamPacket *packet)
{
    stl_le_p(to, packet->origin);
    stl_le_p(to + 4, packet->bytes);
    return SLICE_FRAME_PACKET_BYTES;
}

bool slice_frame_parse_header(const uint8_t *bytes,
                              SliceStreamHeader *ret_header,
                              const char **ret_why)
{
    SliceStreamHeader header = {
        .magic = ldl_le_p(bytes),
        .type = lduw_le_p(bytes + 4),
        .flags = lduw_le_p(bytes + 6),
        .incarnation = ldq_le_p(bytes + 8),
        .counter = ldq_le_p(bytes + 16),
        .term = ldq_le_p(bytes + 24),
        .bytes = ldl_le_p(bytes + 32),
        .crc32c = ldl_le_p(bytes + CRC_OFFSET),
    };

    if (header.magic != SLICE_STREAM_MAGIC) {
        *ret_why = "a frame without the stream's magic";
        return false;
    }
    if (header.bytes > SLICE_STREAM_PAYLOAD_MAX) {
        *ret_why = "a frame longer than the limit";
        return false;
    }
    if (header.flags & ~SLICE_STREAM_MUST) {
        *ret_why = "a frame with unknown flags";
        return false;
    }
    *ret_header = header;
    return true;
}

bool slice_frame_check(const uint8_t *bytes, const SliceStreamHeader *header,
                       const uint8_t *payload, const char **ret_why)
{
    if (frame_crc(bytes, payload, header->bytes) != header->crc32c) {
        *ret_why = "a frame whose CRC does not agree";
        return false;
    }
    return true;
}

static bool is_length(size_t bytes, size_t expected, const char **ret_why)
{
    if (bytes != expected) {
        *ret_why = "a frame of the wrong length for its type";
        return false;
    }
    return true;
}

bool slice_frame_get_hello(const uint8_t *payload, size_t bytes,
                           SliceStreamHello *ret_hello, const char **ret_why)
{
    SliceStreamHello hello;

    if (!is_length(bytes, SLICE_FRAME_HELLO_BYTES, ret_why)) {
        return false;
    }
    hello = (SliceStreamHello) {
        .version = lduw_le_p(payload),
        .compat = lduw_le_p(payload + 2),
        .rsvd = ldl_le_p(payload + 4),
        .incarnation = ldq_le_p(payload + 8),
    };
    memcpy(hello.name, payload + 16, sizeof(hello.name));
    if (hello.rsvd || !hello.incarnation || !hello.name[0] ||
        hello.name[sizeof(hello.name) - 1]) {
        *ret_why = "a HELLO without name or incarnation";
        return false;
    }
    if (hello.compat > SLICE_STREAM_VERSION ||
        hello.version < SLICE_STREAM_COMPAT) {
        *ret_why = "a HELLO of an incompatible version";
        return false;
    }
    *ret_hello = hello;
    return true;
}

bool slice_frame_get_credit(const uint8_t *payload, size_t bytes,
                            SliceStreamCredit *ret_credit,
                            const char **ret_why)
{
    uint64_t credit;

    if (!is_length(bytes, SLICE_FRAME_CREDIT_BYTES, ret_why)) {
        return false;
    }
    credit = ldq_le_p(payload);
    if (!credit || credit > UINT32_MAX) {
        *ret_why = "a CREDIT out of range";
        return false;
    }
    ret_credit->bytes = credit;
    return true;
}

bool slice_frame_get_delta(const uint8_t *payload, size_t bytes,
                           uint64_t *ret_offset, const uint8_t **ret_data,
                           size_t *ret_data_bytes, const char **ret_why)
{
    if (bytes <= SLICE_FRAME_DELTA_BYTES) {
        *ret_why = "a DELTA without bytes";
        return false;
    }
    *ret_offset = ldq_le_p(payload);
    *ret_data = payload + SLICE_FRAME_DELTA_BYTES;
    *ret_data_bytes = bytes - SLICE_FRAME_DELTA_BYTES;
    return true;
}

bool slice_frame_get_delta_end(const uint8_t *payload, size_t bytes,
                               SliceStreamDeltaEnd *ret_end,
                               const char **ret_why)
{
    if (!is_length(bytes, SLICE_FRAME_DELTA_END_BYTES, ret_why)) {
        return false;
    }
    *ret_end = (SliceStreamDeltaEnd) {
        .total_bytes = ldq_le_p(payload),
        .crc32c = ldl_le_p(payload + 8),
        .rsvd = ldl_le_p(payload + 12),
    };
    if (ret_end->rsvd || !ret_end->total_bytes) {
        *ret_why = "a DELTA_END of nothing";
        return false;
    }
    return true;
}

bool slice_frame_get_refused(const uint8_t *payload, size_t bytes,
                             SliceStreamRefused *ret_refused,
                             const char **ret_why)
{
    if (!is_length(bytes, SLICE_FRAME_REFUSED_BYTES, ret_why)) {
        return false;
    }
    *ret_refused = (SliceStreamRefused) {
        .why = ldl_le_p(payload),
        .rsvd = ldl_le_p(payload + 4),
    };
    if (ret_refused->rsvd) {
        *ret_why = "a REFUSED with reserved bits";
        return false;
    }
    return true;
}

bool slice_frame_get_packet(const uint8_t *payload, size_t bytes,
                            SliceStreamPacket *ret_packet,
                            const uint8_t **ret_data, const char **ret_why)
{
    SliceStreamPacket packet;

    if (bytes <= SLICE_FRAME_PACKET_BYTES) {
        *ret_why = "a packet without bytes";
        return false;
    }
    packet = (SliceStreamPacket) {
        .origin = ldl_le_p(payload),
        .bytes = ldl_le_p(payload + 4),
    };
    if (packet.bytes != bytes - SLICE_FRAME_PACKET_BYTES ||
        packet.origin < SLICE_PACKET_RING ||
        packet.origin > SLICE_PACKET_FORWARD) {
        *ret_why = "a packet of wrong length or origin";
        return false;
    }
    *ret_packet = packet;
    *ret_data = payload + SLICE_FRAME_PACKET_BYTES;
    return true;
}

bool slice_frame_get_nothing(size_t bytes, const char **ret_why)
{
    return is_length(bytes, 0, ret_why);
}
