/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filter-slice-packet.h - a packet and its vnet header
 *
 * Pure: no state, no I/O.  The bytes come from the network or from the guest
 * and are hostile.  Which connection a packet belongs to: slice/packet.h.
 */
#ifndef NET_FILTER_SLICE_PACKET_H
#define NET_FILTER_SLICE_PACKET_H


/* struct virtio_net_hdr_v1_hash, the longest that QEMU 10 knows. */
#define SLICE_VNET_HDR_BYTES_MAX 20

/**
 * slice_gate_packet_complete: do what a vnet header has left to do
 * @vnet_hdr: the header, @hdr_bytes of it (0: nothing is left to do)
 * @frame: the whole frame, whose checksum is filled in where the header says
 *         so; the header's flag is then cleared
 *
 * Returns: false where the frame cannot stand without its header: it is to be
 * segmented, or the header's offsets lie outside of it.
 */
bool slice_gate_packet_complete(uint8_t *vnet_hdr, size_t hdr_bytes,
                                uint8_t *frame, size_t bytes);

#endif /* NET_FILTER_SLICE_PACKET_H */
