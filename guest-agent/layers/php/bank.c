// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * bank.c - see bank.h
 */
#include <endian.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "bank.h"
#include "libslice.h"

#define MAGIC 0x50534c53 /* "SLSP" */
#define STATE_ENDED 2

/**
 * struct slice_bank_header - first bytes of the memory
 * @magic: MAGIC
 * @version: SLICE_BANK_VERSION
 * @state: 0 or 1: the whole bank; STATE_ENDED
 * @rsvd: 0
 * @used_s: when the session was last used, seconds since 1970
 * @banks: of each: its length and CRC-32C
 * @label: of its slice, zero padded
 */
struct slice_bank_header {
    uint32_t magic;
    uint32_t version;
    _Atomic uint32_t state;
    uint32_t rsvd;
    uint64_t used_s;
    struct {
        uint32_t bytes;
        uint32_t crc32c;
    } banks[2];
    char label[SLICE_BANK_LABEL_BYTES];
};

size_t slice_bank_bytes(size_t room_bytes)
{
    return room_bytes < SLICE_BANK_ROOM_MIN ? 0 :
        (room_bytes - SLICE_BANK_HEADER_BYTES) / 2 & ~(size_t)7;
}

size_t slice_bank_room(size_t bytes)
{
    size_t room = SLICE_BANK_HEADER_BYTES + 2 * (bytes + 7);

    return (room + 4095) & ~(size_t)4095;
}

void slice_bank_format(void *memory, uint64_t now_s)
{
    struct slice_bank_header *header = memory;

    memset(header, 0, sizeof(*header));
    header->version = htole32(SLICE_BANK_VERSION);
    header->used_s = htole64(now_s);
    header->magic = htole32(MAGIC);
}

static const uint8_t *bank_of(const void *memory, size_t room_bytes,
                              uint32_t which)
{
    return (const uint8_t *)memory + SLICE_BANK_HEADER_BYTES +
           which * slice_bank_bytes(room_bytes);
}

/* The whole bank's number, length and check sum, from one look at each. */
static int look(const void *memory, size_t room_bytes, uint32_t *ret_which,
                uint32_t *ret_bytes, uint32_t *ret_crc)
{
    const volatile struct slice_bank_header *header = memory;
    uint32_t which, bytes;

    if (room_bytes < SLICE_BANK_ROOM_MIN ||
        le32toh(header->magic) != MAGIC ||
        le32toh(header->version) != SLICE_BANK_VERSION) {
        return -EPROTO;
    }
    which = le32toh(atomic_load_explicit(&header->state,
                                         memory_order_acquire));
    if (which == STATE_ENDED) {
        return -ENOENT;
    }
    if (which > 1) {
        return -EPROTO;
    }
    bytes = le32toh(header->banks[which].bytes);
    if (bytes > slice_bank_bytes(room_bytes)) {
        return -EPROTO;
    }
    *ret_which = which;
    *ret_bytes = bytes;
    *ret_crc = le32toh(header->banks[which].crc32c);
    return 0;
}

int slice_bank_measure(const void *memory, size_t room_bytes,
                       size_t *ret_bytes)
{
    uint32_t which, bytes, crc;
    int err = look(memory, room_bytes, &which, &bytes, &crc);

    if (!err) {
        *ret_bytes = bytes;
    }
    return err;
}

int slice_bank_read(const void *memory, size_t room_bytes, void *to,
                    size_t bytes)
{
    uint32_t which, length, crc;
    int err = look(memory, room_bytes, &which, &length, &crc);

    if (err) {
        return err;
    }
    if (length != bytes) {
        return -EPROTO;
    }
    memcpy(to, bank_of(memory, room_bytes, which), bytes);
    return slice_crc32c(0, to, bytes) == crc ? 0 : -EPROTO;
}

int slice_bank_write(void *memory, size_t room_bytes, const void *data,
                     size_t bytes, uint64_t now_s)
{
    struct slice_bank_header *header = memory;
    uint32_t which, length, crc;
    int err = look(memory, room_bytes, &which, &length, &crc);

    if (err == -ENOENT) {
        which = 1;
    } else if (err) {
        return err;
    }
    if (bytes > slice_bank_bytes(room_bytes)) {
        return -ENOSPC;
    }
    which = !which;
    memcpy((uint8_t *)bank_of(memory, room_bytes, which), data, bytes);
    header->banks[which].bytes = htole32((uint32_t)bytes);
    header->banks[which].crc32c = htole32(slice_crc32c(0, data, bytes));
    header->used_s = htole64(now_s);
    atomic_store_explicit(&header->state, htole32(which),
                          memory_order_release);
    return 0;
}

uint64_t slice_bank_used_s(const void *memory)
{
    const volatile struct slice_bank_header *header = memory;

    return le32toh(header->magic) == MAGIC ? le64toh(header->used_s) : 0;
}

void slice_bank_touch(void *memory, uint64_t now_s)
{
    struct slice_bank_header *header = memory;

    header->used_s = htole64(now_s);
}

void slice_bank_label(const void *memory,
                      char ret_label[SLICE_BANK_LABEL_BYTES])
{
    const struct slice_bank_header *header = memory;

    memcpy(ret_label, header->label, SLICE_BANK_LABEL_BYTES);
    ret_label[SLICE_BANK_LABEL_BYTES - 1] = '\0';
}

void slice_bank_set_label(void *memory, const char *label)
{
    struct slice_bank_header *header = memory;

    memset(header->label, 0, sizeof(header->label));
    memcpy(header->label, label, strnlen(label, sizeof(header->label) - 1));
}

void slice_bank_end(void *memory)
{
    struct slice_bank_header *header = memory;

    atomic_store_explicit(&header->state, htole32(STATE_ENDED),
                          memory_order_release);
}
