/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * checksum.h - the Internet checksum, as QEMU calls it
 */
#ifndef SHIM_CHECKSUM_H
#define SHIM_CHECKSUM_H

#include <stdint.h>

static inline uint16_t net_raw_checksum(uint8_t *data, int length)
{
    uint32_t sum = 0;

    for (int i = 0; i < length; i++) {
        sum += i & 1 ? data[i] : data[i] << 8;
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return ~sum;
}

#endif
