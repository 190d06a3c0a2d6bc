// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * record.c - the memory of an apache capsule, written and checked
 */
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>

#include "mod_slice.h"

static uint32_t record_crc(const struct slice_apache_record *record)
{
    return slice_crc32c(0, record, offsetof(struct slice_apache_record, crc32c));
}

void slice_record_write(struct slice_apache_record *record,
                        uint32_t keepalives, uint16_t server_port)
{
    struct slice_apache_record copy = {
        .magic = htole32(SLICE_APACHE_MAGIC),
        .version = htole32(SLICE_APACHE_VERSION),
        .keepalives = htole32(keepalives),
        .server_port = htole16(server_port),
    };

    copy.crc32c = htole32(record_crc(&copy));
    *record = copy;
}

int slice_record_read(const struct slice_apache_record *record,
                      uint32_t *ret_keepalives, uint16_t *ret_server_port)
{
    struct slice_apache_record copy =
        *(const volatile struct slice_apache_record *)record;

    if (le32toh(copy.magic) != SLICE_APACHE_MAGIC ||
        le32toh(copy.version) != SLICE_APACHE_VERSION || copy.rsvd ||
        le32toh(copy.crc32c) != record_crc(&copy) ||
        le32toh(copy.keepalives) > INT_MAX) {
        return -EPROTO;
    }
    *ret_keepalives = le32toh(copy.keepalives);
    *ret_server_port = le16toh(copy.server_port);
    return 0;
}
