/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz-bank.c - any bytes as the memory of a PHP session from another machine
 *
 * The header of the memory is the input, what follows it fills the banks.  Any
 * memory is either refused or a session that fits, and can be written to.
 */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "bank.h"

#define ROOM (4 * 4096)
#define HEADER_BYTES 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    g_autofree uint8_t *memory = g_malloc0(ROOM);
    char label[SLICE_BANK_LABEL_BYTES];
    size_t length;
    int err;

    memcpy(memory, data, MIN(bytes, HEADER_BYTES));
    if (bytes > HEADER_BYTES) {
        memcpy(memory + SLICE_BANK_HEADER_BYTES, data + HEADER_BYTES,
               MIN(bytes - HEADER_BYTES, ROOM - SLICE_BANK_HEADER_BYTES));
    }
    slice_bank_used_s(memory);
    slice_bank_label(memory, label);
    g_assert(strlen(label) < sizeof(label));
    err = slice_bank_measure(memory, ROOM, &length);
    g_assert(err == 0 || err == -EPROTO || err == -ENOENT);
    if (!err) {
        g_autofree uint8_t *copy = g_malloc(length + 1);

        g_assert(length <= slice_bank_bytes(ROOM));
        err = slice_bank_read(memory, ROOM, copy, length);
        g_assert(err == 0 || err == -EPROTO);
    }
    if (slice_bank_write(memory, ROOM, "session", 7, 1) == 0) {
        char copy[7];

        g_assert(slice_bank_measure(memory, ROOM, &length) == 0);
        g_assert(length == 7);
        g_assert(slice_bank_read(memory, ROOM, copy, 7) == 0);
        g_assert(!memcmp(copy, "session", 7));
    }
    return 0;
}
