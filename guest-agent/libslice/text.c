// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * text.c - ids as text, hashes, check sums: what layers need beside the API
 */
#include <errno.h>
#include <stdio.h>

#include "libslice.h"

uint64_t slice_hash(uint64_t seed, const void *data, size_t bytes)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < bytes; i++) {
        seed = (seed ^ p[i]) * 0x100000001b3ULL;
    }
    return seed;
}

/* CRC-32C, reflected polynomial 0x82f63b78, four bits at a time. */
uint32_t slice_crc32c(uint32_t crc, const void *data, size_t bytes)
{
    static const uint32_t nibble[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
        0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
        0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    const uint8_t *p = data;

    crc = ~crc;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= p[i];
        crc = (crc >> 4) ^ nibble[crc & 15];
        crc = (crc >> 4) ^ nibble[crc & 15];
    }
    return ~crc;
}

void slice_id_format(const struct slice_id *id,
                     char ret_text[SLICE_ID_TEXT_BYTES])
{
    snprintf(ret_text, SLICE_ID_TEXT_BYTES, "%016llx-%016llx",
             (unsigned long long)id->incarnation,
             (unsigned long long)id->counter);
}

static int parse_hex16(const char *text, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (int i = 0; i < 16; i++) {
        char c = text[i];

        if (c >= '0' && c <= '9') {
            value = value << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        } else {
            return -EINVAL;
        }
    }
    *ret_value = value;
    return 0;
}

int slice_id_parse(const char *text, struct slice_id *ret_id)
{
    uint64_t incarnation, counter;

    if (parse_hex16(text, &incarnation) || text[16] != '-' ||
        parse_hex16(text + 17, &counter) || text[33] != '\0') {
        return -EINVAL;
    }
    ret_id->incarnation = incarnation;
    ret_id->counter = counter;
    return 0;
}
