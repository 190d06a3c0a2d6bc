/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filter-slice-packet.c - which connection a packet belongs to
 *
 * Each length is checked against what is left before it is used; fields are
 * read through the ld*_p() helpers, for nothing here is aligned.
 *
 * Below: nothing.  Above: filter-slice-flow.c.
 */
#include "qemu/osdep.h"
#include <netinet/in.h>
#include "qemu/bswap.h"
#include "net/checksum.h"
#include "net/eth.h"
#include "filter-slice-packet.h"
#include "standard-headers/linux/virtio_net.h"

#define IPV6_HEADER_BYTES   40
#define IPV6_EXTENSIONS_MAX 4
#define TCP_HEADER_BYTES    20
#define VLAN_TAGS_MAX       2

static void flow_addresses(SliceFlow *flow, const uint8_t *src,
                           const uint8_t *dst, size_t bytes, bool to_guest)
{
    memcpy(flow->local, to_guest ? dst : src, bytes);
    memcpy(flow->remote, to_guest ? src : dst, bytes);
}

static void flow_ports(SliceFlow *flow, const uint8_t *tcp, bool to_guest)
{
    /* Copied, not loaded: they stay in network order. */
    memcpy(&flow->local_port, tcp + (to_guest ? 2 : 0), 2);
    memcpy(&flow->remote_port, tcp + (to_guest ? 0 : 2), 2);
}

static bool flow_ipv4(const uint8_t *ip, size_t bytes, bool to_guest,
                      SliceFlow *flow)
{
    size_t header_bytes, total_bytes;

    if (bytes < sizeof(struct ip_header)) {
        return false;
    }
    header_bytes = (ip[0] & 0xf) * 4;
    total_bytes = lduw_be_p(ip + offsetof(struct ip_header, ip_len));
    if (header_bytes < sizeof(struct ip_header) ||
        header_bytes + 4 > bytes ||
        total_bytes < header_bytes + TCP_HEADER_BYTES ||
        ip[offsetof(struct ip_header, ip_p)] != IPPROTO_TCP ||
        lduw_be_p(ip + offsetof(struct ip_header, ip_off)) &
            (IP_OFFMASK | IP_MF)) {
        return false;
    }
    flow->family = 4;
    flow_addresses(flow, ip + offsetof(struct ip_header, ip_src),
                   ip + offsetof(struct ip_header, ip_dst), 4, to_guest);
    flow_ports(flow, ip + header_bytes, to_guest);
    return true;
}

static bool flow_ipv6(const uint8_t *ip, size_t bytes, bool to_guest,
                      SliceFlow *flow)
{
    size_t at = IPV6_HEADER_BYTES;
    uint8_t next;
    int i;

    if (bytes < IPV6_HEADER_BYTES) {
        return false;
    }
    next = ip[6];
    /* A fragment header is not skipped: a fragment belongs to no flow. */
    for (i = 0; i < IPV6_EXTENSIONS_MAX &&
                (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING ||
                 next == IPPROTO_DSTOPTS); i++) {
        if (at + 2 > bytes) {
            return false;
        }
        next = ip[at];
        at += (ip[at + 1] + 1) * 8;
    }
    if (next != IPPROTO_TCP || at + 4 > bytes ||
        lduw_be_p(ip + 4) + IPV6_HEADER_BYTES < at + TCP_HEADER_BYTES) {
        return false;
    }
    flow->family = 6;
    flow_addresses(flow, ip + 8, ip + 24, 16, to_guest);
    flow_ports(flow, ip + at, to_guest);
    return true;
}

static bool flow_ip(const uint8_t *packet, size_t bytes, bool to_guest,
                    SliceFlow *ret_flow)
{
    SliceFlow flow = { .protocol = IPPROTO_TCP };
    bool found = false;

    if (bytes) {
        switch (packet[0] >> 4) {
        case 4:
            found = flow_ipv4(packet, bytes, to_guest, &flow);
            break;
        case 6:
            found = flow_ipv6(packet, bytes, to_guest, &flow);
            break;
        }
    }
    if (found) {
        *ret_flow = flow;
    }
    return found;
}

bool slice_gate_packet_flow(const uint8_t *frame, size_t bytes, bool to_guest,
                            SliceFlow *ret_flow, size_t *ret_ip_offset)
{
    size_t at = ETH_HLEN;
    uint16_t type;
    int i;

    if (bytes < ETH_HLEN + 1) {
        return false;
    }
    type = lduw_be_p(frame + 2 * ETH_ALEN);
    for (i = 0; i < VLAN_TAGS_MAX &&
                (type == ETH_P_VLAN || type == ETH_P_DVLAN); i++) {
        at += sizeof(struct vlan_header);
        if (at + 1 > bytes) {
            return false;
        }
        type = lduw_be_p(frame + at - 2);
    }
    if (!(type == ETH_P_IP && frame[at] >> 4 == 4) &&
        !(type == ETH_P_IPV6 && frame[at] >> 4 == 6)) {
        return false;
    }
    if (!flow_ip(frame + at, bytes - at, to_guest, ret_flow)) {
        return false;
    }
    if (ret_ip_offset) {
        *ret_ip_offset = at;
    }
    return true;
}

bool slice_gate_packet_complete(uint8_t *vnet_hdr, size_t hdr_bytes,
                                uint8_t *frame, size_t bytes)
{
    struct virtio_net_hdr hdr;
    size_t start, offset;

    if (hdr_bytes < sizeof(hdr)) {
        return true;
    }
    memcpy(&hdr, vnet_hdr, sizeof(hdr));
    if (hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE) {
        return false;
    }
    if (!(hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) {
        return true;
    }
    start = lduw_le_p(&hdr.csum_start);
    offset = start + lduw_le_p(&hdr.csum_offset);
    if (start >= bytes || offset + 2 > bytes) {
        return false;
    }
    /* The field holds the pseudo header's sum already. */
    stw_be_p(frame + offset, net_raw_checksum(frame + start, bytes - start));
    hdr.flags &= ~VIRTIO_NET_HDR_F_NEEDS_CSUM;
    hdr.csum_start = 0;
    hdr.csum_offset = 0;
    memcpy(vnet_hdr, &hdr, sizeof(hdr));
    return true;
}
