/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filter-slice-packet.c - a packet and its vnet header
 *
 * Each length is checked against what is left before it is used; fields are
 * read through the ld*_p() helpers, for nothing here is aligned.
 *
 * Below: nothing.  Above: filter-slice-flow.c.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "net/checksum.h"
#include "filter-slice-packet.h"
#include "standard-headers/linux/virtio_net.h"

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
