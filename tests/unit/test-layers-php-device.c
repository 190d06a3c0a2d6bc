// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-layers-php-device.c - /dev/slice of a PHP that has no kernel module
 *
 * Takes the place of libslice's slice_open(): all openers of this process share
 * one stand-in registry, which lives as long as the process.
 */
#include <errno.h>
#include <pthread.h>

#include "test-libslice-fake.h"

static struct fake *machine;

static void make_machine(void)
{
    machine = fake_new();
}

int slice_open(const char *path, struct slice_opener **ret_opener)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_machine);
    return slice_open_backend(&fake_backend, machine, ret_opener);
}
