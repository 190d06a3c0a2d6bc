/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz-record.c - any bytes as the memory of an apache capsule
 *
 * A record is refused or is one that we could have written.  With the first
 * byte odd the check sum is made to agree: a peer can compute one, too.
 */
#include <errno.h>
#include <glib.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "mod_slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct slice_apache_record record = { 0 }, again;
    uint32_t keepalives;
    uint16_t port;

    if (bytes < 1) {
        return 0;
    }
    memcpy(&record, data + 1, MIN(bytes - 1, sizeof(record)));
    if (data[0] & 1) {
        record.crc32c = htole32(
            slice_crc32c(0, &record,
                         offsetof(struct slice_apache_record, crc32c)));
    }
    if (slice_record_read(&record, &keepalives, &port)) {
        return 0;
    }
    g_assert(keepalives <= INT_MAX);
    slice_record_write(&again, keepalives, port);
    g_assert(!memcmp(&again, &record, sizeof(again)));
    return 0;
}
