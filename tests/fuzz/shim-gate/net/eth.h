/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * eth.h - headers on the wire, with QEMU's names
 */
#ifndef SHIM_ETH_H
#define SHIM_ETH_H

#include <stdint.h>

#define ETH_ALEN    6
#define ETH_HLEN    14
#define ETH_P_IP    0x0800
#define ETH_P_IPV6  0x86dd
#define ETH_P_VLAN  0x8100
#define ETH_P_DVLAN 0x88a8
#define IP_MF       0x2000
#define IP_OFFMASK  0x1fff

struct vlan_header {
    uint16_t h_tci;
    uint16_t h_proto;
};

struct ip_header {
    uint8_t ip_ver_len;
    uint8_t ip_tos;
    uint16_t ip_len;
    uint16_t ip_id;
    uint16_t ip_off;
    uint8_t ip_ttl;
    uint8_t ip_p;
    uint16_t ip_sum;
    uint32_t ip_src, ip_dst;
};

#endif
