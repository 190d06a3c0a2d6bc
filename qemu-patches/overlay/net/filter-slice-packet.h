/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filter-slice-packet.h - what a packet says about the connection it belongs to
 *
 * Pure: no state, no I/O.  The bytes come from the network or from the guest
 * and are hostile; a packet about which anything is unclear belongs to no flow.
 */
#ifndef NET_FILTER_SLICE_PACKET_H
#define NET_FILTER_SLICE_PACKET_H

#include "slice/types.h"

/*
 * Ethernet, two VLAN tags, IPv4 with options or IPv6 with four extension
 * headers of 8 bytes, and the TCP header's first bytes fit.
 */
#define SLICE_GATE_PARSE_BYTES 160

/* struct virtio_net_hdr_v1_hash, the longest that QEMU 10 knows. */
#define SLICE_VNET_HDR_BYTES_MAX 20

/**
 * slice_gate_packet_flow: which TCP connection an Ethernet frame belongs to
 * @frame: its first bytes, without vnet header; SLICE_GATE_PARSE_BYTES or
 *         the whole frame suffice
 * @bytes: how many these are
 * @to_guest: the direction: the destination is the flow's local side
 * @ret_flow: the flow; untouched on failure
 * @ret_ip_offset: where the IP header begins, or NULL; untouched on failure
 *
 * Returns: false for what is no TCP over IP in Ethernet II (with up to two
 * VLAN tags), is a fragment, or ends before its TCP ports.
 */
bool slice_gate_packet_flow(const uint8_t *frame, size_t bytes, bool to_guest,
                            SliceFlow *ret_flow, size_t *ret_ip_offset);

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
