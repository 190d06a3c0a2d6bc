/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packet.c - which connection a packet belongs to
 *
 * See packet.h.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "slice/packet.h"

#define ETHERNET_BYTES  14
#define IPV4_BYTES      20
#define IPV6_BYTES      40
#define TCP_BYTES       20
#define TCP_FLAG_SYN    0x02
#define TCP_FLAG_ACK    0x10
#define PROTOCOL_TCP    6

/* The IP header's length, 0 where it is not one of those we take. */
static size_t parse_ip(const uint8_t *ip, size_t bytes, SliceFlow *flow)
{
    size_t header;

    if (!bytes) {
        return 0;
    }
    flow->family = ip[0] >> 4;
    flow->protocol = PROTOCOL_TCP;
    if (flow->family == 4 && bytes >= IPV4_BYTES) {
        header = (ip[0] & 0xf) * 4;
        /* Only the first fragment has ports, and it is not the whole. */
        if (header < IPV4_BYTES || ip[9] != PROTOCOL_TCP ||
            (lduw_be_p(ip + 6) & 0x3fff)) {
            return 0;
        }
        memcpy(flow->remote, ip + 12, 4);
        memcpy(flow->local, ip + 16, 4);
        return header;
    }
    if (flow->family == 6 && bytes >= IPV6_BYTES && ip[6] == PROTOCOL_TCP) {
        memcpy(flow->remote, ip + 8, 16);
        memcpy(flow->local, ip + 24, 16);
        return IPV6_BYTES;
    }
    return 0;
}

bool slice_packet_flow(const uint8_t *packet, size_t bytes, bool has_ethernet,
                       SliceFlow *ret_flow, bool *ret_is_syn)
{
    SliceFlow flow = {};
    const uint8_t *tcp;
    size_t header;

    if (has_ethernet) {
        if (bytes < ETHERNET_BYTES) {
            return false;
        }
        packet += ETHERNET_BYTES;
        bytes -= ETHERNET_BYTES;
    }
    header = parse_ip(packet, bytes, &flow);
    if (!header || bytes < header + TCP_BYTES) {
        return false;
    }
    tcp = packet + header;
    memcpy(&flow.remote_port, tcp, 2);
    memcpy(&flow.local_port, tcp + 2, 2);
    *ret_flow = flow;
    *ret_is_syn = (tcp[13] & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == TCP_FLAG_SYN;
    return true;
}
