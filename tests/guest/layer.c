// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * layer.c - a provider that only says what it is (slice-guest-layer)
 *
 * usage: slice-guest-layer NAME VERSION RANK
 *
 * Says "registered" and stays until killed, so that a test can give a guest a
 * layer that does not match.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/slice.h>

int main(int argc, char **argv)
{
    struct slice_layer layer = { .size = sizeof(layer), .provider_fd = -1 };
    int fd;

    if (argc != 4 || strlen(argv[1]) >= sizeof(layer.name)) {
        fprintf(stderr, "usage: slice-guest-layer NAME VERSION RANK\n");
        return 2;
    }
    memcpy(layer.name, argv[1], strlen(argv[1]));
    layer.version = strtoul(argv[2], NULL, 10);
    layer.rank = strtoul(argv[3], NULL, 10);
    fd = open("/dev/slice", O_RDWR | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, SLICE_IOC_LAYER, &layer)) {
        fprintf(stderr, "slice-guest-layer: layer %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    printf("registered\n");
    fflush(stdout);
    for (;;) {
        pause();
    }
}
