// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * counter.c - the smallest server whose sessions have state of their own
 *
 * usage: slice-counter PORT
 *
 * Answers each line with its number on that connection: "1\n", "2\n", ...  The
 * number is kept in a capsule of layer "counter" and goes where the connection
 * goes.  All that a layer has to do is here, in the order in which it happens:
 *
 *	start		provide the layer, mark the listener
 *	accept		register a capsule, link it to the connection's
 *	request		get the reference, read, write, put the reference
 *	PLUG		look at the memory, fetch the socket, answer
 *	OPEN		serve it
 *	UNPLUGGED	forget it
 *
 * One thread, so a frozen slice must not put it to sleep: the get says so, and
 * the connection is not polled until it thaws or leaves.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libslice.h"
#include "listener.h"

#define N_CONNECTIONS 256
#define FROZEN_MS 10
#define MAGIC 0x544e4353 /* "SCNT" */

/* What travels. */
struct counter_memory {
    uint32_t magic;
    uint32_t lines;
};

struct connection {
    struct slice_capsule capsule;
    struct counter_memory *memory;
    int open;
};

static struct slice_opener *opener;
/* 0 the listener, 1 events, then connections. */
static struct pollfd fds[2 + N_CONNECTIONS];
static struct connection connections[2 + N_CONNECTIONS];
static nfds_t n_fds = 2;

static const struct slice_layer_desc layer = {
    .name = "counter", .version = 1, .rank = 100, .abi_hash = 1,
};

static void add_connection(int fd, const struct slice_capsule *capsule,
                           void *memory, int open)
{
    fds[n_fds].fd = open ? fd : -1 - fd;
    fds[n_fds].events = POLLIN;
    connections[n_fds].capsule = *capsule;
    connections[n_fds].memory = memory;
    connections[n_fds].open = open;
    n_fds++;
}

static void remove_connection(nfds_t i)
{
    struct connection *c = &connections[i];

    slice_unmap(opener, c->memory, c->capsule.room_bytes);
    close(fds[i].fd < 0 ? -1 - fds[i].fd : fds[i].fd);
    n_fds--;
    fds[i] = fds[n_fds];
    connections[i] = connections[n_fds];
}

static nfds_t find_connection(const struct slice_id *id)
{
    nfds_t i;

    for (i = 2; i < n_fds; i++) {
        if (slice_id_equal(&connections[i].capsule.id, id)) {
            break;
        }
    }
    return i;
}

static int begin_session(int fd)
{
    struct slice_capsule tcp, capsule;
    struct counter_memory *memory;
    void *mapped;
    int err;

    if (n_fds == 2 + N_CONNECTIONS) {
        return -ENOSPC;
    }
    err = slice_get_id_by_fd(opener, fd, &tcp);
    if (err) {
        return err;
    }
    err = slice_register_capsule(opener, (uint64_t)fd + 1, NULL, 0,
                                 sizeof(*memory), &capsule);
    if (err) {
        return err;
    }
    err = slice_map(opener, &capsule, &mapped);
    if (err) {
        goto err_deregister;
    }
    memory = mapped;
    memory->magic = MAGIC;
    err = slice_set_dep(opener, &capsule.id, &tcp.id);
    if (err) {
        goto err_unmap;
    }
    slice_create_slice(opener, &capsule.id, "counter", NULL);
    add_connection(fd, &capsule, memory, 1);
    return 0;

err_unmap:
    slice_unmap(opener, mapped, capsule.room_bytes);
err_deregister:
    slice_deregister_capsule(opener, &capsule.id);
    return err;
}

/* One read, an answer for each line in it.  Nonzero: the connection is over. */
static int serve(nfds_t i)
{
    struct connection *c = &connections[i];
    char in[4096], out[16];
    ssize_t n;
    int over = 0;
    int err = slice_get_ref(opener, &c->capsule, SLICE_REF_NOWAIT);

    if (err == -EAGAIN) {
        fds[i].fd = -1 - fds[i].fd;
        return 0;
    }
    if (err) {
        return 0;
    }
    n = recv(fds[i].fd, in, sizeof(in), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        over = 1;
    }
    for (ssize_t k = 0; k < n; k++) {
        if (in[k] == '\n') {
            int bytes = snprintf(out, sizeof(out), "%u\n",
                                 ++c->memory->lines);

            send(fds[i].fd, out, (size_t)bytes, MSG_NOSIGNAL);
        }
    }
    if (over) {
        slice_deregister_capsule(opener, &c->capsule.id);
    }
    slice_put_ref(opener, &c->capsule);
    return over;
}

static int plug(const struct slice_event *event)
{
    const volatile struct counter_memory *look;
    struct slice_capsule capsule;
    uint64_t fd;
    void *memory;
    int err;

    if (n_fds == 2 + N_CONNECTIONS) {
        return -ENOSPC;
    }
    if (event->bytes < sizeof(struct counter_memory)) {
        return -EPROTO;
    }
    slice_event_capsule(event, &capsule);
    err = slice_map(opener, &capsule, &memory);
    if (err) {
        return err;
    }
    look = memory;
    err = look->magic == MAGIC ? 0 : -EPROTO;
    if (!err) {
        err = slice_get_handle(opener, &event->needs, &fd);
    }
    if (err) {
        slice_unmap(opener, memory, capsule.room_bytes);
        return err;
    }
    add_connection((int)fd, &capsule, memory, 0);
    if (slice_plug_done(opener, &event->id, fd + 1, 0)) {
        remove_connection(n_fds - 1);
    }
    return 0;
}

static void handle_event(const struct slice_event *event)
{
    nfds_t i = find_connection(&event->id);
    int err;

    switch (event->type) {
    case SLICE_EVENT_PLUG:
        err = plug(event);
        if (err) {
            slice_plug_done(opener, &event->id, 0, err);
        }
        break;
    case SLICE_EVENT_OPEN:
        if (i < n_fds && !connections[i].open) {
            connections[i].open = 1;
            fds[i].fd = -1 - fds[i].fd;
        }
        break;
    case SLICE_EVENT_DISCARD:
    case SLICE_EVENT_UNPLUGGED:
        if (i < n_fds) {
            remove_connection(i);
        }
        break;
    default:
        break;
    }
}

/* Frozen connections are not polled; look again whether they have thawed. */
static int retry_frozen(void)
{
    int n_frozen = 0;

    for (nfds_t i = 2; i < n_fds; i++) {
        if (!connections[i].open || fds[i].fd >= 0) {
            continue;
        }
        if (slice_get_ref(opener, &connections[i].capsule,
                          SLICE_REF_NOWAIT)) {
            n_frozen++;
            continue;
        }
        slice_put_ref(opener, &connections[i].capsule);
        fds[i].fd = -1 - fds[i].fd;
    }
    return n_frozen;
}

static int set_up(const char *port)
{
    int err;

    fds[0].fd = listen_on(port);
    fds[0].events = POLLIN;
    if (fds[0].fd < 0) {
        return fds[0].fd;
    }
    err = slice_open(NULL, &opener);
    if (!err) {
        err = slice_provide(opener, &layer, 0);
    }
    if (!err) {
        err = slice_listen(opener, fds[0].fd);
    }
    if (!err) {
        fds[1].fd = slice_events_fd(opener);
        fds[1].events = POLLIN;
    }
    return err;
}

int main(int argc, char **argv)
{
    int err;

    if (argc != 2) {
        fprintf(stderr, "usage: %s PORT\n", argv[0]);
        return 2;
    }
    err = set_up(argv[1]);
    if (err) {
        fprintf(stderr, "cannot start: %s\n", strerror(-err));
        return 1;
    }
    printf("listening\n");
    fflush(stdout);
    for (;;) {
        struct slice_event event;

        if (poll(fds, n_fds, retry_frozen() ? FROZEN_MS : -1) < 0 &&
            errno != EINTR) {
            return 1;
        }
        for (nfds_t i = n_fds; --i > 1;) {
            if (fds[i].fd >= 0 && fds[i].revents && serve(i)) {
                remove_connection(i);
            }
        }
        while (!slice_next_event(opener, &event)) {
            handle_event(&event);
        }
        if (fds[0].revents) {
            int fd = accept4(fds[0].fd, NULL, NULL, SOCK_CLOEXEC);

            if (fd >= 0 && begin_session(fd)) {
                close(fd);
            }
        }
    }
}
