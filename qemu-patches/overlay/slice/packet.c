/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packet.c - which connection a packet belongs to
 *
 * Each length is checked against what is left before it is used; fields are
 * read through the ld*_p() helpers, for nothing here is aligned.
 *
 * Below: nothing.  Above: move.c, arrive.c, flows.c, net/filter-slice.c.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "slice/packet.h"

#define ETHERNET_BYTES      14
#define ETHERTYPE_IPV4      0x0800
#define ETHERTYPE_IPV6      0x86dd
#define ETHERTYPE_VLAN      0x8100
#define ETHERTYPE_QINQ      0x88a8
#define VLAN_TAG_BYTES      4
#define VLAN_TAGS_MAX       2

#define IPV4_BYTES          20
#define IPV4_FRAGMENT_MASK  0x3fff      /* more fragments, or an offset */
#define IPV6_BYTES          40
#define IPV6_EXTENSIONS_MAX 4
#define PROTOCOL_TCP        6
#define IPV6_HOP_BY_HOP     0
#define IPV6_ROUTING        43
#define IPV6_DESTINATION    60

#define TCP_BYTES           20
#define TCP_PORTS_BYTES     4
#define TCP_FLAGS_OFFSET    13
#define TCP_FLAG_SYN        0x02
#define TCP_FLAG_ACK        0x10

static void take_addresses(SliceFlow *flow, const uint8_t *src,
                           const uint8_t *dst, size_t bytes, bool to_guest)
{
    memcpy(flow->local, to_guest ? dst : src, bytes);
    memcpy(flow->remote, to_guest ? src : dst, bytes);
}

/* Each returns where the TCP header begins, 0 for what is none of ours. */
static size_t parse_ipv4(const uint8_t *ip, size_t bytes, bool to_guest,
                         SliceFlow *flow)
{
    size_t header_bytes;

    if (bytes < IPV4_BYTES) {
        return 0;
    }
    header_bytes = (ip[0] & 0xf) * 4;
    /* Only the first fragment has ports, and it is not the whole. */
    if (header_bytes < IPV4_BYTES || ip[9] != PROTOCOL_TCP ||
        lduw_be_p(ip + 2) < header_bytes + TCP_BYTES ||
        (lduw_be_p(ip + 6) & IPV4_FRAGMENT_MASK)) {
        return 0;
    }
    flow->family = 4;
    take_addresses(flow, ip + 12, ip + 16, 4, to_guest);
    return header_bytes;
}

static size_t parse_ipv6(const uint8_t *ip, size_t bytes, bool to_guest,
                         SliceFlow *flow)
{
    size_t at = IPV6_BYTES;
    uint8_t next;

    if (bytes < IPV6_BYTES) {
        return 0;
    }
    next = ip[6];
    /* A fragment header is not skipped: a fragment belongs to no flow. */
    for (int i = 0; i < IPV6_EXTENSIONS_MAX &&
                    (next == IPV6_HOP_BY_HOP || next == IPV6_ROUTING ||
                     next == IPV6_DESTINATION); i++) {
        if (at + 2 > bytes) {
            return 0;
        }
        next = ip[at];
        at += (ip[at + 1] + 1) * 8;
    }
    if (next != PROTOCOL_TCP ||
        lduw_be_p(ip + 4) + IPV6_BYTES < at + TCP_BYTES) {
        return 0;
    }
    flow->family = 6;
    take_addresses(flow, ip + 8, ip + 24, 16, to_guest);
    return at;
}

/* Where the IP header begins, 0 for what is no IP in Ethernet II. */
static size_t skip_ethernet(const uint8_t *frame, size_t bytes)
{
    size_t at = ETHERNET_BYTES;
    uint16_t type;

    if (bytes < ETHERNET_BYTES + 1) {
        return 0;
    }
    type = lduw_be_p(frame + 12);
    for (int i = 0; i < VLAN_TAGS_MAX &&
                    (type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ); i++) {
        at += VLAN_TAG_BYTES;
        if (at + 1 > bytes) {
            return 0;
        }
        type = lduw_be_p(frame + at - 2);
    }
    if (!(type == ETHERTYPE_IPV4 && frame[at] >> 4 == 4) &&
        !(type == ETHERTYPE_IPV6 && frame[at] >> 4 == 6)) {
        return 0;
    }
    return at;
}

bool slice_packet_flow(const uint8_t *packet, size_t bytes, bool has_ethernet,
                       bool to_guest, SliceFlow *ret_flow,
                       SlicePacketInfo *ret_info)
{
    SliceFlow flow = { .protocol = PROTOCOL_TCP };
    size_t ip_offset = has_ethernet ? skip_ethernet(packet, bytes) : 0;
    size_t ip_bytes = bytes - ip_offset;
    const uint8_t *ip, *tcp;
    size_t tcp_offset;

    if (!ip_bytes || (has_ethernet && !ip_offset)) {
        return false;
    }
    ip = packet + ip_offset;
    tcp_offset = ip[0] >> 4 == 4 ? parse_ipv4(ip, ip_bytes, to_guest, &flow) :
                 ip[0] >> 4 == 6 ? parse_ipv6(ip, ip_bytes, to_guest, &flow) :
                 0;
    if (!tcp_offset || tcp_offset + TCP_PORTS_BYTES > ip_bytes) {
        return false;
    }
    tcp = ip + tcp_offset;
    /* Copied, not loaded: they stay in network order. */
    memcpy(&flow.local_port, tcp + (to_guest ? 2 : 0), 2);
    memcpy(&flow.remote_port, tcp + (to_guest ? 0 : 2), 2);
    *ret_flow = flow;
    if (ret_info) {
        ret_info->ip_offset = ip_offset;
        ret_info->is_syn = tcp_offset + TCP_FLAGS_OFFSET < ip_bytes &&
            (tcp[TCP_FLAGS_OFFSET] & (TCP_FLAG_SYN | TCP_FLAG_ACK)) ==
            TCP_FLAG_SYN;
    }
    return true;
}
