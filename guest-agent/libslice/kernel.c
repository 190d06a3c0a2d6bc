// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * kernel.c - an opener that stands on /dev/slice
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "slice-backend.h"

/* The state is the descriptor itself, kept where a pointer fits. */
struct kernel_state {
    int fd;
};

static int kernel_request(void *state, unsigned long request, void *arg)
{
    const struct kernel_state *kernel = state;

    return ioctl(kernel->fd, request, arg) < 0 ? -errno : 0;
}

static ssize_t kernel_read(void *state, void *buffer, size_t bytes)
{
    const struct kernel_state *kernel = state;
    ssize_t n;

    do {
        n = read(kernel->fd, buffer, bytes);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static int kernel_map(void *state, uint64_t offset, size_t bytes,
                      void **ret_addr)
{
    const struct kernel_state *kernel = state;
    void *addr = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                      kernel->fd, (off_t)offset);

    if (addr == MAP_FAILED) {
        return -errno;
    }
    *ret_addr = addr;
    return 0;
}

static void kernel_unmap(void *state, void *addr, size_t bytes)
{
    (void)state;
    munmap(addr, bytes);
}

static int kernel_fd(void *state)
{
    const struct kernel_state *kernel = state;

    return kernel->fd;
}

static void kernel_close(void *state)
{
    struct kernel_state *kernel = state;

    close(kernel->fd);
    free(kernel);
}

static const struct slice_backend kernel_backend = {
    .request = kernel_request,
    .read = kernel_read,
    .map = kernel_map,
    .unmap = kernel_unmap,
    .fd = kernel_fd,
    .close = kernel_close,
};

int slice_open(const char *path, struct slice_opener **ret_opener)
{
    struct kernel_state *kernel = malloc(sizeof(*kernel));

    if (!kernel) {
        return -ENOMEM;
    }
    kernel->fd = open(path ? path : SLICE_DEVICE,
                      O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (kernel->fd < 0) {
        int err = -errno;

        free(kernel);
        return err;
    }
    return slice_open_backend(&kernel_backend, kernel, ret_opener);
}
