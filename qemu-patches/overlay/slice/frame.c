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
G_STATIC_ASSERT(sizeof(SliceStreamFind) == SLICE_FRAME_FIND_BYTES);
G_STATIC_ASSERT(sizeof(SliceStreamFound) == SLICE_FRAME_FOUND_BYTES);
G_STATIC_ASSERT(sizeof(SliceStreamReserve) == SLICE_FRAME_RESERVE_BYTES);
G_STATIC_ASSERT(sizeof(SliceStreamLayer) == SLICE_FRAME_LAYER_BYTES);
G_STATIC_ASSERT(sizeof(SliceFlow) == SLICE_FRAME_FLOW_BYTES);
G_STATIC_ASSERT(sizeof(SliceStreamReserved) == SLICE_FRAME_RESERVED_BYTES);

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

size_t slice_frame_put_find(uint8_t *to, const SliceStreamFind *find)
{
    stq_le_p(to, find->tag);
    memcpy(to + 8, find->digest, sizeof(find->digest));
    return SLICE_FRAME_FIND_BYTES;
}

size_t slice_frame_put_found(uint8_t *to, const SliceStreamFound *found)
{
    stq_le_p(to, found->tag);
    stl_le_p(to + 8, found->status);
    stl_le_p(to + 12, found->changes);
    return SLICE_FRAME_FOUND_BYTES;
}

size_t slice_frame_put_reserved(uint8_t *to,
                                const SliceStreamReserved *reserved)
{
    stl_le_p(to, reserved->status);
    stl_le_p(to + 4, reserved->why);
    return SLICE_FRAME_RESERVED_BYTES;
}

size_t slice_frame_put_reserve(uint8_t *to, const SliceStreamReserve *reserve,
                               const SliceStreamLayer *layers,
                               const SliceFlow *flows)
{
    uint8_t *at = to + SLICE_FRAME_RESERVE_BYTES;

    stq_le_p(to, reserve->memory_bytes);
    stl_le_p(to + 8, reserve->vnet_hdr_bytes);
    stl_le_p(to + 12, reserve->deadline_ms);
    stl_le_p(to + 16, reserve->n_layers);
    stl_le_p(to + 20, reserve->n_flows);
    for (int i = 0; i < SLICE_COUNTS_MAX; i++) {
        stw_le_p(to + 24 + 4 * i, reserve->counts[i].rank);
        stw_le_p(to + 26 + 4 * i, reserve->counts[i].n);
    }
    for (uint32_t i = 0; i < reserve->n_layers; i++) {
        memcpy(at, layers[i].name, sizeof(layers[i].name));
        stl_le_p(at + 16, layers[i].version);
        stl_le_p(at + 20, layers[i].rank);
        stq_le_p(at + 24, layers[i].abi_hash);
        at += SLICE_FRAME_LAYER_BYTES;
    }
    for (uint32_t i = 0; i < reserve->n_flows; i++) {
        /* Bytes and network order only. */
        memcpy(at, &flows[i], sizeof(flows[i]));
        at += SLICE_FRAME_FLOW_BYTES;
    }
    return at - to;
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

bool slice_frame_get_find(const uint8_t *payload, size_t bytes,
                          SliceStreamFind *ret_find, const char **ret_why)
{
    if (!is_length(bytes, SLICE_FRAME_FIND_BYTES, ret_why)) {
        return false;
    }
    ret_find->tag = ldq_le_p(payload);
    memcpy(ret_find->digest, payload + 8, sizeof(ret_find->digest));
    return true;
}

bool slice_frame_get_found(const uint8_t *payload, size_t bytes,
                           SliceStreamFound *ret_found, const char **ret_why)
{
    SliceStreamFound found;

    if (!is_length(bytes, SLICE_FRAME_FOUND_BYTES, ret_why)) {
        return false;
    }
    found = (SliceStreamFound) {
        .tag = ldq_le_p(payload),
        .status = ldl_le_p(payload + 8),
        .changes = ldl_le_p(payload + 12),
    };
    if (found.status != SLICE_FOUND_HERE && found.status != SLICE_FOUND_NONE &&
        found.status != SLICE_FOUND_AGAIN) {
        *ret_why = "a FOUND of unknown status";
        return false;
    }
    *ret_found = found;
    return true;
}

bool slice_frame_get_reserved(const uint8_t *payload, size_t bytes,
                              SliceStreamReserved *ret_reserved,
                              const char **ret_why)
{
    if (!is_length(bytes, SLICE_FRAME_RESERVED_BYTES, ret_why)) {
        return false;
    }
    ret_reserved->status = ldl_le_p(payload);
    ret_reserved->why = ldl_le_p(payload + 4);
    return true;
}

static bool is_flow(const SliceFlow *flow)
{
    size_t used = flow->family == 4 ? 4 : sizeof(flow->local);

    if ((flow->family != 4 && flow->family != 6) || flow->protocol != 6 ||
        flow->rsvd[0] || flow->rsvd[1] || !flow->local_port ||
        !flow->remote_port) {
        return false;
    }
    for (size_t i = used; i < sizeof(flow->local); i++) {
        if (flow->local[i] || flow->remote[i]) {
            return false;
        }
    }
    return true;
}

static bool get_reserve_head(const uint8_t *payload, size_t bytes,
                             SliceStreamReserve *ret_reserve)
{
    SliceLayerCount counts[SLICE_COUNTS_MAX];

    if (bytes < SLICE_FRAME_RESERVE_BYTES) {
        return false;
    }
    *ret_reserve = (SliceStreamReserve) {
        .memory_bytes = ldq_le_p(payload),
        .vnet_hdr_bytes = ldl_le_p(payload + 8),
        .deadline_ms = ldl_le_p(payload + 12),
        .n_layers = ldl_le_p(payload + 16),
        .n_flows = ldl_le_p(payload + 20),
    };
    for (int i = 0; i < SLICE_COUNTS_MAX; i++) {
        counts[i].rank = lduw_le_p(payload + 24 + 4 * i);
        counts[i].n = lduw_le_p(payload + 26 + 4 * i);
        ret_reserve->counts[i].rank = counts[i].rank;
        ret_reserve->counts[i].n = counts[i].n;
    }
    return ret_reserve->n_layers <= SLICE_STREAM_LAYERS_MAX &&
           ret_reserve->n_flows <= SLICE_STREAM_FLOWS_MAX &&
           ret_reserve->deadline_ms &&
           ret_reserve->deadline_ms <= SLICE_STREAM_DEADLINE_MS_MAX &&
           slice_counts_are_sound(counts) &&
           bytes == SLICE_FRAME_RESERVE_BYTES +
                    ret_reserve->n_layers * SLICE_FRAME_LAYER_BYTES +
                    ret_reserve->n_flows * SLICE_FRAME_FLOW_BYTES;
}

bool slice_frame_get_reserve(const uint8_t *payload, size_t bytes,
                             SliceStreamReserve *ret_reserve,
                             SliceStreamLayer *ret_layers,
                             SliceFlow *ret_flows, const char **ret_why)
{
    const uint8_t *at;

    *ret_why = "a RESERVE that makes no sense";
    if (!get_reserve_head(payload, bytes, ret_reserve)) {
        return false;
    }
    at = payload + SLICE_FRAME_RESERVE_BYTES;
    for (uint32_t i = 0; i < ret_reserve->n_layers; i++) {
        SliceStreamLayer *layer = &ret_layers[i];

        memcpy(layer->name, at, sizeof(layer->name));
        layer->version = ldl_le_p(at + 16);
        layer->rank = ldl_le_p(at + 20);
        layer->abi_hash = ldq_le_p(at + 24);
        if (!layer->name[0] || layer->name[sizeof(layer->name) - 1]) {
            return false;
        }
        at += SLICE_FRAME_LAYER_BYTES;
    }
    for (uint32_t i = 0; i < ret_reserve->n_flows; i++) {
        memcpy(&ret_flows[i], at, sizeof(ret_flows[i]));
        if (!is_flow(&ret_flows[i])) {
            return false;
        }
        at += SLICE_FRAME_FLOW_BYTES;
    }
    return true;
}

bool slice_frame_get_nothing(size_t bytes, const char **ret_why)
{
    return is_length(bytes, 0, ret_why);
}
