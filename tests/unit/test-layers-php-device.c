// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-layers-php-device.c - /dev/slice of a PHP that has no kernel module
 *
 * Takes the place of libslice's slice_open(): all openers of this process share
 * one stand-in registry, which lives as long as the process.  A session whose
 * id begins with "away" has left this machine.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "test-libslice-fake.h"

static struct fake *machine;
static struct slice_backend backend;

static int request(void *state, unsigned long number, void *arg)
{
    const struct slice_register *reg = arg;

    if (number == SLICE_IOC_GET_ID && reg->flags == SLICE_GET_BY_KEY &&
        !memcmp(reg->key, "away", 4)) {
        return -ESTALE;
    }
    return fake_backend.request(state, number, arg);
}

static void make_machine(void)
{
    machine = fake_new();
    backend = fake_backend;
    backend.request = request;
}

int slice_open(const char *path, struct slice_opener **ret_opener)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_machine);
    return slice_open_backend(&backend, machine, ret_opener);
}
