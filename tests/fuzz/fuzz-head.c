/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz-head.c - any bytes as what a client sends on an HTTP connection
 *
 * The first byte says how the rest is cut into pieces.  Whatever the bytes are:
 * a head is whole from one length on and for every longer one, says the same
 * whatever follows it, and a body takes the same bytes however they are cut.
 */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "head.h"

static const char *const names[] = { "PHPSESSID", "a", "DokuWiki", "b", NULL };

static void check_keys(const struct slice_keys *keys)
{
    static const uint8_t zeros[SLICE_HEAD_KEY_BYTES_MAX];

    for (unsigned i = 0; i < SLICE_HEAD_NAMES_MAX; i++) {
        uint32_t n = keys->keys[i].bytes;

        g_assert(n <= SLICE_HEAD_KEY_BYTES_MAX);
        g_assert(!n || keys->seen & 1u << i);
        g_assert(!memcmp(keys->keys[i].data + n, zeros, sizeof(zeros) - n));
    }
}

/* All of the body that is in @data, taken @step bytes at a time. */
static size_t take_all(const struct slice_head *head, const uint8_t *data,
                       size_t bytes, size_t step)
{
    struct slice_body body;
    size_t pos = 0;

    slice_body_begin(&body, head);
    while (pos < bytes) {
        size_t n = MIN(step, bytes - pos);
        uint64_t sure = slice_body_sure(&body);
        size_t taken = slice_body_take(&body, data + pos, n);

        g_assert(taken <= n && taken >= MIN(sure, n));
        pos += taken;
        if (taken < n) {
            g_assert(body.state == SLICE_BODY_OVER);
            break;
        }
    }
    return pos;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    g_autofree uint8_t *copy = NULL;
    struct slice_head head, part;
    size_t step;

    if (bytes < 1) {
        return 0;
    }
    step = 1 + data[0] % 64;
    bytes--;
    /* A copy of its own: whoever reads beyond it is seen. */
    copy = g_memdup2(data + 1, bytes);
    if (slice_head_parse(copy, bytes, names, &head)) {
        check_keys(&head.keys);
        g_assert(head.body == SLICE_BODY_OPEN);
        return 0;
    }
    check_keys(&head.keys);
    g_assert(head.bytes && head.bytes <= bytes);
    g_assert(slice_head_parse(copy, head.bytes - 1, names, &part) == -EAGAIN);
    g_assert(!slice_head_parse(copy, head.bytes, names, &part));
    g_assert(!memcmp(&part, &head, sizeof(part)));
    g_assert(take_all(&head, copy, bytes, step) ==
             take_all(&head, copy, bytes, bytes));
    return 0;
}
