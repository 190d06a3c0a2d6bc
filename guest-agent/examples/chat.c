// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * chat.c - a chat server whose rooms move to another VM, with all who are inside
 *
 * usage: slice-chat PORT.  A client's first line is "NAME ROOM"; what it says
 * from then on is heard by all in that room, in one order.
 * docs/howto/write-a-capsule.md explains it.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libslice.h"
#include "listener.h"

#define N_CLIENTS 64

/* The memory of a capsule of layer "chat": one client. */
struct member {
    uint32_t n_line;         /* bytes of a line whose end has not come */
    char name[16], room[16]; /* room: empty until its first line */
    char line[216];
};

struct client {
    int fd, frozen;
    struct slice_capsule capsule;
    struct member *member;
};

static const struct slice_layer_desc chat_layer = { "chat", 1, 100, 1 };
static const struct slice_layer_desc room_layer = { "room", 1, 110, 1 };
static struct slice_opener *chat, *rooms;
static struct client clients[N_CLIENTS];
static int n_clients;

/* The memory may come from another machine: it is looked at like a stranger's. */
static int add_client(int fd, int frozen, const struct slice_capsule *capsule)
{
    void *memory;
    int err = n_clients == N_CLIENTS ? -ENOSPC : slice_map(chat, capsule, &memory);
    struct member *m = err ? NULL : memory;

    if (m && (m->n_line >= sizeof(m->line) || m->name[15] || m->room[15])) {
        slice_unmap(chat, memory, capsule->room_bytes);
        err = -EPROTO;
    }
    if (!err) {
        clients[n_clients++] = (struct client){ fd, frozen, *capsule, m };
    }
    return err;
}

static void forget_client(struct client *c)
{
    slice_unmap(chat, c->member, c->capsule.room_bytes);
    close(c->fd);
    *c = clients[--n_clients];
}

static int begin(int fd)
{
    struct slice_capsule tcp, own;
    int err = slice_get_id_by_fd(chat, fd, &tcp);

    if (!err && !(err = slice_register_capsule(chat, 0, NULL, 0, sizeof(struct member), &own)) &&
        ((err = slice_set_dep(chat, &own.id, &tcp.id)) || (err = add_client(fd, 0, &own)))) {
        slice_deregister_capsule(chat, &own.id);
    }
    return err;
}

static void say(struct client *c, const char *separator, const char *what)
{
    char line[256];
    int n = snprintf(line, sizeof(line), "%s%s%s\n", c->member->name, separator, what);

    for (int i = 0; i < n_clients; i++) {
        if (!strcmp(clients[i].member->room, c->member->room) &&
            send(clients[i].fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) != n) {
            shutdown(clients[i].fd, SHUT_RDWR); /* too slow to follow */
        }
    }
}

/* A room keeps nothing but its name: it is what ties its members together. */
static int take_line(struct client *c, const char *line)
{
    struct slice_capsule room;
    char name[16];
    int err;

    if (c->member->room[0]) {
        say(c, ": ", line);
        return 0;
    }
    err = sscanf(line, "%15s %15s", c->member->name, name) != 2
              ? -EPROTO
              : slice_get_id_by_key(rooms, name, strlen(name), &room);
    if (err == -ENOENT) {
        err = slice_register_capsule(rooms, 0, name, strlen(name), 0, &room);
    }
    if (!err && !(err = slice_set_dep(rooms, &room.id, &c->capsule.id))) {
        slice_create_slice(rooms, &room.id, name, NULL);
        strcpy(c->member->room, name);
        say(c, " is here", "");
    }
    return err;
}

/* One read, and all lines that are whole with it.  Nonzero: its last one. */
static int hear(struct client *c)
{
    struct member *m = c->member;
    ssize_t n = recv(c->fd, m->line + m->n_line, sizeof(m->line) - m->n_line, MSG_DONTWAIT);
    int err = n < 0 ? errno != EAGAIN : n == 0;
    char *end;

    m->n_line += n > 0 ? (uint32_t)n : 0;
    while (!err && (end = memchr(m->line, '\n', m->n_line))) {
        *end++ = '\0';
        err = take_line(c, m->line);
        m->n_line -= (uint32_t)(end - m->line);
        memmove(m->line, end, m->n_line);
    }
    return err || m->n_line == sizeof(m->line);
}

static void serve(struct client *c)
{
    struct slice_capsule own = c->capsule;
    int err = slice_get_ref(chat, &own, SLICE_REF_NOWAIT);

    c->frozen = err == -EAGAIN;
    if (!err) {
        if (hear(c)) {
            slice_deregister_capsule(chat, &own.id);
            forget_client(c);
        }
        slice_put_ref(chat, &own);
    }
}

static void handle(const struct slice_event *event)
{
    struct slice_capsule capsule;
    uint64_t fd;
    int err;

    if (event->type == SLICE_EVENT_PLUG) {
        slice_event_capsule(event, &capsule);
        err = slice_get_handle(chat, &event->needs, &fd);
        if (!err && (err = add_client((int)fd, 1, &capsule))) {
            close((int)fd);
        }
        slice_plug_done(chat, &event->id, 0, err);
    } else if (event->type != SLICE_EVENT_OPEN) { /* UNPLUGGED, DISCARD */
        for (int i = n_clients; i-- > 0;) {
            if (slice_id_equal(&clients[i].capsule.id, &event->id)) {
                forget_client(&clients[i]);
            }
        }
    }
}

int main(int argc, char **argv)
{
    struct pollfd fds[2 + N_CLIENTS] = { { .events = POLLIN }, { .events = POLLIN } };
    struct slice_event event;
    int fd, wait_ms = -1;

    if (argc != 2 || (fds[0].fd = listen_on(argv[1])) < 0 || slice_open(NULL, &chat) ||
        slice_open(NULL, &rooms) || slice_provide(chat, &chat_layer, 0) ||
        slice_provide(rooms, &room_layer, 1) || slice_listen(chat, fds[0].fd)) {
        fprintf(stderr, "usage: %s PORT, a free one, on a machine with slices\n", argv[0]);
        return 1;
    }
    fds[1].fd = slice_events_fd(chat);
    for (;; wait_ms = -1) {
        for (int i = 0; i < n_clients; i++) {
            fds[2 + i] = (struct pollfd){ clients[i].frozen ? -1 : clients[i].fd, POLLIN, 0 };
            wait_ms = clients[i].frozen ? 10 : wait_ms; /* nothing tells that it thaws */
        }
        poll(fds, 2 + (nfds_t)n_clients, wait_ms);
        for (int i = n_clients; i-- > 0;) {
            if (clients[i].frozen || fds[2 + i].revents) {
                serve(&clients[i]);
            }
        }
        while (!slice_next_event(chat, &event)) {
            handle(&event);
        }
        if (fds[0].revents && (fd = accept(fds[0].fd, NULL, NULL)) >= 0 && begin(fd)) {
            close(fd);
        }
    }
}
