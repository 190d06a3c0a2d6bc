/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz-gate.c - any bytes as a packet at the gate
 *
 * The first byte chooses the length of the vnet header, which comes next, then
 * the frame.  A frame that is of a flow must be of the mirrored flow the other
 * way; the parser needs no more of it than its first bytes.  What the gate takes for
 * a packet of a flow, the engine does, without its Ethernet header, too.
 */
#include "qemu/osdep.h"
#include "filter-slice-packet.h"
#include "slice/packet.h"

static void check_flow(const uint8_t *frame, size_t bytes)
{
    SliceFlow to_guest, from_guest, again;
    SlicePacketInfo info;
    size_t head_bytes;
    uint8_t *head;

    if (!slice_packet_flow(frame, bytes, true, true, &to_guest, &info)) {
        return;
    }
    g_assert(info.ip_offset < bytes);
    g_assert(slice_packet_flow(frame, bytes, true, false, &from_guest, NULL));
    g_assert(to_guest.local_port == from_guest.remote_port);
    g_assert(!memcmp(to_guest.local, from_guest.remote, 16));
    g_assert(!memcmp(to_guest.remote, from_guest.local, 16));

    head_bytes = bytes < SLICE_PACKET_HEAD_BYTES ? bytes
                                                 : SLICE_PACKET_HEAD_BYTES;
    head = g_memdup2(frame, head_bytes);
    if (slice_packet_flow(head, head_bytes, true, true, &again, NULL)) {
        g_assert(!memcmp(&again, &to_guest, sizeof(again)));
    }
    g_free(head);
    g_assert(slice_packet_flow(frame + info.ip_offset, bytes - info.ip_offset,
                               false, true, &again, NULL));
    g_assert(!memcmp(&again, &to_guest, sizeof(again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const uint8_t hdr_lengths[] = { 0, 10, 12, 20 };
    uint8_t hdr[SLICE_VNET_HDR_BYTES_MAX];
    size_t hdr_bytes;
    uint8_t *frame;

    if (!bytes) {
        return 0;
    }
    hdr_bytes = hdr_lengths[data[0] % 4];
    data++;
    bytes--;
    if (bytes < hdr_bytes) {
        return 0;
    }
    memcpy(hdr, data, hdr_bytes);
    bytes -= hdr_bytes;
    frame = g_memdup2(data + hdr_bytes, bytes);
    check_flow(frame, bytes);
    slice_gate_packet_complete(hdr, hdr_bytes, frame, bytes);
    g_free(frame);
    return 0;
}
