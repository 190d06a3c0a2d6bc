/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * opener.h - an opener, for libslice's own files
 */
#ifndef SLICE_OPENER_H
#define SLICE_OPENER_H

#include "slice-backend.h"
#include "slice-word.h"

/**
 * struct slice_opener - one open /dev/slice
 * @backend: what it stands on
 * @state: @backend's
 * @words: this opener's reference words
 * @n_words: how many
 */
struct slice_opener {
    const struct slice_backend *backend;
    void *state;
    slice_word *words;
    uint32_t n_words;
};

static inline int slice_opener_request(struct slice_opener *opener,
                                       unsigned long request, void *arg)
{
    return opener->backend->request(opener->state, request, arg);
}

#endif /* SLICE_OPENER_H */
