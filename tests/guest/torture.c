// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * torture.c - the server of the torture client (slice-guest-torture)
 *
 * usage: slice-guest-torture
 *
 * What it knows of a connection is in a capsule of layer "torture": how far each
 * direction got.  So whatever the connection's queues hold while it moves, the
 * target goes on at the very byte.  SIGUSR1 lets directions go on that the
 * client's header told to wait: a state of the queues can be made, looked at,
 * moved, and only then be worked off; SIGUSR2 lets them wait again.  Each
 * connection that ends prints a line.
 *
 * One thread; a frozen connection is looked at again every FROZEN_MS.
 *
 * Above: tests/vm/torture.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libslice.h"
#include "torture.h"

#define N_CONNECTIONS 64
#define FROZEN_MS 5
#define CHUNK_BYTES 65536
/* Window enough for megabytes that nobody reads. */
#define RECEIVE_BYTES (4 << 20)

/* What travels. */
struct Progress {
    struct TortureHeader header;
    struct TortureReport report;
    uint32_t n_header;          /* bytes of it that have come */
    uint32_t n_report;          /* bytes of it that have gone */
    uint64_t n_written;
    uint32_t at_end;            /* the client's input has ended */
    uint32_t shut;
};

struct Connection {
    int fd;
    bool runs;                  /* it has been opened here */
    bool frozen;
    struct slice_capsule capsule;
    struct Progress *progress;
};

static struct slice_opener *opener;
static struct Connection connections[N_CONNECTIONS];
static int n_connections;
static volatile sig_atomic_t go;

static const struct slice_layer_desc layer = {
    .name = "torture", .version = 1, .rank = 100, .abi_hash = sizeof(struct Progress),
};

static void on_signal(int number)
{
    go = number == SIGUSR1;
}

static void fail(const char *what, int err)
{
    fprintf(stderr, "slice-guest-torture: %s: %s\n", what, strerror(err));
    exit(1);
}

/* ---- what a connection wants, and does ---- */

static bool knows_all(const struct Progress *p)
{
    return p->n_header == sizeof(p->header);
}

static bool has_read_all(const struct Progress *p)
{
    return p->report.n_read == p->header.to_server &&
           (p->at_end || !(p->header.flags & TORTURE_REPORT_AT_END));
}

static bool wants_to_read(const struct Progress *p)
{
    return !p->at_end && (!knows_all(p) || go || !(p->header.flags & TORTURE_HOLD_READING));
}

static bool wants_to_write(const struct Progress *p)
{
    if (!knows_all(p) || p->shut || (!go && p->header.flags & TORTURE_HOLD_WRITING)) {
        return false;
    }
    return p->n_written < p->header.to_client ||
           (has_read_all(p) && p->n_report < sizeof(p->report));
}

static void take_numbered(struct Progress *p, const uint8_t *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (p->report.first_bad == UINT64_MAX &&
            data[i] != torture_byte(p->header.salt, p->report.n_read + i)) {
            p->report.first_bad = p->report.n_read + i;
        }
    }
    p->report.n_read += bytes;
}

/* One read.  False: the connection is broken. */
static bool read_some(struct Connection *c)
{
    static uint8_t data[CHUNK_BYTES];
    struct Progress *p = c->progress;
    size_t room = knows_all(p) ? sizeof(data) : sizeof(p->header) - p->n_header;
    ssize_t n = recv(c->fd, data, room, MSG_DONTWAIT);

    if (n < 0) {
        return errno == EAGAIN;
    }
    if (n == 0) {
        p->at_end = 1;
        return true;
    }
    if (knows_all(p)) {
        take_numbered(p, data, (size_t)n);
        return true;
    }
    memcpy((uint8_t *)&p->header + p->n_header, data, (size_t)n);
    p->n_header += (uint32_t)n;
    if (knows_all(p) && p->header.send_bytes) {
        setsockopt(c->fd, SOL_SOCKET, SO_SNDBUFFORCE, &p->header.send_bytes,
                   sizeof(p->header.send_bytes));
    }
    return !knows_all(p) || p->header.magic == TORTURE_MAGIC;
}

/* One write.  False: the connection is broken. */
static bool write_some(struct Connection *c)
{
    static uint8_t data[CHUNK_BYTES];
    struct Progress *p = c->progress;
    uint64_t left = p->header.to_client - p->n_written;
    size_t bytes = left < sizeof(data) ? left : sizeof(data);
    bool is_report = !left;
    ssize_t n;

    if (is_report) {
        bytes = sizeof(p->report) - p->n_report;
        memcpy(data, (uint8_t *)&p->report + p->n_report, bytes);
    }
    for (size_t i = 0; i < bytes && !is_report; i++) {
        data[i] = torture_byte(p->header.salt + 1, p->n_written + i);
    }
    n = send(c->fd, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) {
        return errno == EAGAIN;
    }
    if (is_report) {
        p->n_report += (uint32_t)n;
    } else {
        p->n_written += (uint64_t)n;
    }
    if (p->header.flags & TORTURE_SHUT_WRITING && p->n_written == p->header.to_client) {
        shutdown(c->fd, SHUT_WR);
        p->shut = 1;
    }
    return true;
}

/* False: it is over. */
static bool work(struct Connection *c, short events)
{
    struct Progress *p = c->progress;
    bool goes_on = true;
    int err = slice_get_ref(opener, &c->capsule, SLICE_REF_NOWAIT);

    if (err) {
        c->frozen = err == -EAGAIN;     /* else: UNPLUGGED will say the rest */
        return true;
    }
    if (events & (POLLIN | POLLHUP | POLLERR) && wants_to_read(p)) {
        goes_on = read_some(c);
    }
    if (goes_on && events & POLLOUT && wants_to_write(p)) {
        goes_on = write_some(c);
    }
    if (p->at_end && !wants_to_write(p) && (p->shut || p->n_report == sizeof(p->report))) {
        goes_on = false;
    }
    if (!goes_on) {
        printf("ended: read %llu of %llu, first bad %lld, arrived %u times\n",
               (unsigned long long)p->report.n_read, (unsigned long long)p->header.to_server,
               (long long)p->report.first_bad, p->report.n_moves);
        fflush(stdout);
        slice_deregister_capsule(opener, &c->capsule.id);
    }
    slice_put_ref(opener, &c->capsule);
    return goes_on;
}

/* ---- connections come and go ---- */

static void add(int fd, const struct slice_capsule *capsule, void *memory, bool runs)
{
    connections[n_connections++] = (struct Connection){
        .fd = fd, .runs = runs, .capsule = *capsule, .progress = memory,
    };
}

static void drop(struct Connection *c)
{
    slice_unmap(opener, c->progress, c->capsule.room_bytes);
    close(c->fd);
    *c = connections[--n_connections];
}

static struct Connection *find(const struct slice_id *id)
{
    for (int i = 0; i < n_connections; i++) {
        if (slice_id_equal(&connections[i].capsule.id, id)) {
            return &connections[i];
        }
    }
    return NULL;
}

static int begin(int fd)
{
    struct slice_capsule tcp, capsule;
    struct Progress *progress;
    void *memory;
    int err;

    if (n_connections == N_CONNECTIONS) {
        return -ENOSPC;
    }
    err = slice_get_id_by_fd(opener, fd, &tcp);
    if (!err) {
        err = slice_register_capsule(opener, (uint64_t)fd + 1, NULL, 0, sizeof(*progress),
                                     &capsule);
    }
    if (err) {
        return err;
    }
    err = slice_map(opener, &capsule, &memory);
    if (err) {
        slice_deregister_capsule(opener, &capsule.id);
        return err;
    }
    progress = memory;
    progress->report = (struct TortureReport){ .magic = TORTURE_MAGIC, .first_bad = UINT64_MAX };
    err = slice_set_dep(opener, &capsule.id, &tcp.id);
    if (err) {
        slice_unmap(opener, memory, capsule.room_bytes);
        slice_deregister_capsule(opener, &capsule.id);
        return err;
    }
    slice_create_slice(opener, &capsule.id, "torture", NULL);
    add(fd, &capsule, memory, true);
    return 0;
}

static int plug(const struct slice_event *event)
{
    struct slice_capsule capsule;
    uint64_t fd;
    void *memory;
    int err;

    if (n_connections == N_CONNECTIONS || event->bytes < sizeof(struct Progress)) {
        return -ENOSPC;
    }
    slice_event_capsule(event, &capsule);
    err = slice_map(opener, &capsule, &memory);
    if (err) {
        return err;
    }
    err = slice_get_handle(opener, &event->needs, &fd);
    if (err) {
        slice_unmap(opener, memory, capsule.room_bytes);
        return err;
    }
    /* Without a reference: until PLUG_DONE nobody else looks at it. */
    ((struct Progress *)memory)->report.n_moves++;
    add((int)fd, &capsule, memory, false);
    if (slice_plug_done(opener, &event->id, fd + 1, 0)) {
        drop(&connections[n_connections - 1]);
    }
    return 0;
}

static void take_event(const struct slice_event *event)
{
    struct Connection *c = find(&event->id);
    int err;

    switch (event->type) {
    case SLICE_EVENT_PLUG:
        err = plug(event);
        if (err) {
            slice_plug_done(opener, &event->id, 0, err);
        }
        break;
    case SLICE_EVENT_OPEN:
        if (c) {
            c->runs = true;
        }
        break;
    case SLICE_EVENT_DISCARD:
    case SLICE_EVENT_UNPLUGGED:
        if (c) {
            drop(c);
        }
        break;
    default:
        break;
    }
}

/* ---- the loop ---- */

static int set_up(void)
{
    struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(TORTURE_PORT) };
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), bytes = RECEIVE_BYTES, one = 1, err;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, N_CONNECTIONS)) {
        fail("listening", errno);
    }
    err = slice_open(NULL, &opener);
    if (!err) {
        err = slice_provide(opener, &layer, 0);
    }
    if (!err) {
        err = slice_listen(opener, fd);
    }
    if (err) {
        fail("/dev/slice", -err);
    }
    return fd;
}

/* Fills @fds from index 2 on; returns whether a connection is frozen. */
static bool ask_for(struct pollfd *fds)
{
    bool any_frozen = false;

    for (int i = 0; i < n_connections; i++) {
        struct Connection *c = &connections[i];

        fds[2 + i] = (struct pollfd){ .fd = -1 };
        if (c->frozen && !slice_get_ref(opener, &c->capsule, SLICE_REF_NOWAIT)) {
            slice_put_ref(opener, &c->capsule);
            c->frozen = false;
        }
        any_frozen |= c->frozen;
        if (c->runs && !c->frozen) {
            fds[2 + i].events = (wants_to_read(c->progress) ? POLLIN : 0) |
                                (wants_to_write(c->progress) ? POLLOUT : 0);
            fds[2 + i].fd = fds[2 + i].events ? c->fd : -1;
        }
    }
    return any_frozen;
}

int main(void)
{
    struct sigaction action = { .sa_handler = on_signal };
    struct pollfd fds[2 + N_CONNECTIONS];
    sigset_t ours, none;
    int listener = set_up();

    sigemptyset(&none);
    sigemptyset(&ours);
    sigaddset(&ours, SIGUSR1);
    sigaddset(&ours, SIGUSR2);
    sigprocmask(SIG_BLOCK, &ours, NULL);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    printf("listening\n");
    fflush(stdout);
    for (;;) {
        struct timespec frozen = { .tv_nsec = FROZEN_MS * 1000000L };
        struct slice_event event;
        int n = n_connections;

        fds[0] = (struct pollfd){ listener, POLLIN, 0 };
        fds[1] = (struct pollfd){ slice_events_fd(opener), POLLIN, 0 };
        if (ppoll(fds, 2 + (nfds_t)n, ask_for(fds) ? &frozen : NULL, &none) < 0) {
            continue;           /* a signal */
        }
        /* From the end: one that goes is replaced by the last. */
        for (int i = n; i-- > 0;) {
            if (fds[2 + i].fd >= 0 && fds[2 + i].revents && !work(&connections[i], fds[2 + i].revents)) {
                drop(&connections[i]);
            }
        }
        while (!slice_next_event(opener, &event)) {
            take_event(&event);
        }
        if (fds[0].revents) {
            int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

            if (fd >= 0 && begin(fd)) {
                close(fd);
            }
        }
    }
}
