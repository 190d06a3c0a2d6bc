/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * crc32c.h - CRC-32C as QEMU calls it: inverts what it returns
 */
#ifndef SHIM_CRC32C_H
#define SHIM_CRC32C_H

#include <stdint.h>

static inline uint32_t crc32c(uint32_t crc, const uint8_t *data,
                              unsigned int length)
{
    while (length--) {
        crc ^= *data++;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
        }
    }
    return ~crc;
}

#endif
