// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-layers-apache-device.c - /dev/slice of an Apache without a kernel module
 *
 * Takes the place of libslice's slice_open().  What a session's key begins with
 * says where the session is:
 *
 *	here	in this machine
 *	late	somewhere that does not answer in time
 *	away	on another machine, to which the connection leaves
 *	else	nowhere
 *
 * Each request about sessions is a line in the file $SLICE_FAKE_LOG, written
 * after it was answered: "find KEY ERRNO", "link KEY FLAGS ERRNO", "pin WHY",
 * "room N".
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test-libslice-fake.h"

static struct fake *machine;
static struct slice_backend backend;
static int log_fd = -1;

static int elsewhere(const void *key, size_t key_bytes)
{
    if (key_bytes >= 4 && !memcmp(key, "late", 4)) {
        return -ETIMEDOUT;
    }
    return key_bytes >= 4 && !memcmp(key, "away", 4) ? -ESTALE : 0;
}

static void note(const char *what, const uint8_t *key, uint32_t key_bytes,
                 uint32_t number, int err)
{
    char line[128];
    int n = snprintf(line, sizeof(line), "%s %.*s %u %d\n", what,
                     (int)key_bytes, (const char *)key, number, -err);

    if (log_fd >= 0 && write(log_fd, line, (size_t)n) != n) {
        abort();
    }
}

/* Sessions that are here begin to be when they are first asked for. */
static void be_here(void *state, const uint8_t *key, uint32_t key_bytes)
{
    struct slice_register reg = {
        .size = sizeof(reg),
        .key_bytes = key_bytes,
    };

    if (key_bytes >= 4 && !memcmp(key, "here", 4)) {
        memcpy(reg.key, key, key_bytes);
        fake_backend.request(state, SLICE_IOC_REGISTER, &reg);
    }
}

static int request(void *state, unsigned long number, void *arg)
{
    const struct slice_link_key *link = arg;
    const struct slice_find *find = arg;
    const struct slice_pin *pin = arg;
    const struct slice_room_limit *room = arg;
    int err;

    if (number == SLICE_IOC_LINK) {
        be_here(state, link->key, link->key_bytes);
    }
    err = fake_backend.request(state, number, arg);
    switch (number) {
    case SLICE_IOC_LINK:
        note("link", link->key, link->key_bytes, link->flags, err);
        break;
    case SLICE_IOC_FIND:
        note("find", find->key, find->key_bytes, find->result, err);
        break;
    case SLICE_IOC_PIN:
        note("pin", NULL, 0, pin->why, err);
        break;
    case SLICE_IOC_ROOM:
        note("room", NULL, 0, room->n_max, err);
        break;
    default:
        break;
    }
    return err;
}

static void make_machine(void)
{
    const char *path = getenv("SLICE_FAKE_LOG");

    machine = fake_new();
    fake_set_elsewhere(machine, elsewhere);
    backend = fake_backend;
    backend.request = request;
    if (path) {
        log_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    }
}

int slice_open(const char *path, struct slice_opener **ret_opener)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_machine);
    return slice_open_backend(&backend, machine, ret_opener);
}
