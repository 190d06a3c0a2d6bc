/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * crc32c.h - the checksum as the kernel's library gives it, bit by bit
 */
#ifndef SHIM_LINUX_CRC32C_H
#define SHIM_LINUX_CRC32C_H

#include <linux/types.h>

static inline u32 crc32c(u32 crc, const void *data, size_t bytes)
{
    const u8 *at = data;
    int bit;

    for (; bytes; bytes--) {
        crc ^= *at++;
        for (bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
        }
    }
    return crc;
}

#endif /* SHIM_LINUX_CRC32C_H */
