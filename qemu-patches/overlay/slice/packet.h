/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packet.h - which connection a packet belongs to
 *
 * Pure.  The bytes are hostile: nothing is read beyond them.
 */
#ifndef SLICE_PACKET_H
#define SLICE_PACKET_H

#include "slice/types.h"

#define SLICE_PACKET_BYTES_MAX 65000    /* fits a stream frame */

/**
 * slice_packet_flow: the flow of a packet to the guest
 * @packet: an Ethernet frame, or where @has_ethernet is false an IP packet
 * @ret_flow: its flow; local is the packet's destination
 * @ret_is_syn: a SYN without ACK
 *
 * Return: false where it is not a whole, unfragmented TCP header over IPv4, or
 * over IPv6 without extension headers.
 */
bool slice_packet_flow(const uint8_t *packet, size_t bytes, bool has_ethernet,
                       SliceFlow *ret_flow, bool *ret_is_syn);

#endif /* SLICE_PACKET_H */
