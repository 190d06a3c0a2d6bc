/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * slice-backend.h - what an opener stands on: the kernel, or a test's stand-in
 *
 * libslice itself needs no more of the kernel than these; a test gives its own
 * and exercises libslice and the layers without the module.
 */
#ifndef SLICE_BACKEND_H
#define SLICE_BACKEND_H

#include <sys/types.h>

#include "libslice.h"

/**
 * struct slice_backend - system calls of one opener
 * @request: ioctl; 0 or -errno
 * @read: a number of bytes or -errno; never waits
 * @map: shared, readable and writable; 0 or -errno
 * @unmap: what @map gave
 * @fd: a descriptor to poll, or -1
 * @close: frees @state
 */
struct slice_backend {
    int (*request)(void *state, unsigned long request, void *arg);
    ssize_t (*read)(void *state, void *buffer, size_t bytes);
    int (*map)(void *state, uint64_t offset, size_t bytes, void **ret_addr);
    void (*unmap)(void *state, void *addr, size_t bytes);
    int (*fd)(void *state);
    void (*close)(void *state);
};

/**
 * slice_open_backend() - slice_open() on something else than /dev/slice
 * @backend: must outlive the opener
 * @state: handed to @backend; the opener's from now on, also on failure
 * @ret_opener: set on success
 *
 * Return: 0; -ENOMEM; -EPROTONOSUPPORT; what @backend refused with.
 */
int slice_open_backend(const struct slice_backend *backend, void *state,
                       struct slice_opener **ret_opener);

#endif /* SLICE_BACKEND_H */
