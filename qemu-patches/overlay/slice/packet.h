/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packet.h - which connection a packet belongs to
 *
 * For engine and gate alike: what one of them takes for a packet of a slice,
 * the other does.  Pure: no state, no I/O.  The bytes come from the network,
 * from the guest or from a peer and are hostile: nothing is read beyond them,
 * and a packet about which anything is unclear belongs to no flow.
 */
#ifndef SLICE_PACKET_H
#define SLICE_PACKET_H

#include "slice/types.h"

#define SLICE_PACKET_BYTES_MAX 65000    /* fits a stream frame */

/*
 * Ethernet, two VLAN tags, IPv4 with options or IPv6 with four extension
 * headers of 8 bytes, and the TCP header's first bytes fit.
 */
#define SLICE_PACKET_HEAD_BYTES 160

/**
 * SlicePacketInfo: what else a packet says
 * @ip_offset: where its IP header begins
 * @is_syn: SYN without ACK; false where the packet ends before its TCP flags
 */
typedef struct SlicePacketInfo {
    size_t ip_offset;
    bool is_syn;
} SlicePacketInfo;

/**
 * slice_packet_flow: which TCP connection a packet belongs to
 * @packet: its first bytes; SLICE_PACKET_HEAD_BYTES or the whole packet suffice
 * @bytes: how many these are
 * @has_ethernet: it is a frame; false: it begins with its IP header
 * @to_guest: the direction: the destination is the flow's local side
 * @ret_flow, @ret_info: untouched on failure; @ret_info may be NULL
 *
 * Return: false for what is no TCP over IP (in Ethernet II with up to two VLAN
 * tags), is a fragment, or ends before its TCP ports.
 */
bool slice_packet_flow(const uint8_t *packet, size_t bytes, bool has_ethernet,
                       bool to_guest, SliceFlow *ret_flow,
                       SlicePacketInfo *ret_info);

#endif /* SLICE_PACKET_H */
