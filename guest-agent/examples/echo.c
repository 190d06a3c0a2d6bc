// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * echo.c - the smallest server with a slice
 *
 * usage: slice-echo PORT
 *
 * Says back what it hears.  Nothing of it is state of a session, so a slice is
 * the connection alone: it marks its listener, and that is all.  Its
 * connections can move at any time; one that arrives comes out of accept().
 *
 * One thread, one poll; a connection whose client does not read is not read
 * from either.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libslice.h"

#define N_CONNECTIONS 1024
#define BUFFER_BYTES 65536

/**
 * struct connection - one client
 * @start, @end: what of @buffer it has not got back yet
 */
struct connection {
    size_t start;
    size_t end;
    char buffer[BUFFER_BYTES];
};

static struct pollfd fds[1 + N_CONNECTIONS];
static struct connection *connections[1 + N_CONNECTIONS];
static nfds_t n_fds = 1;

static int listen_on(unsigned port)
{
    struct sockaddr_in6 addr = {
        .sin6_family = AF_INET6,
        .sin6_port = htons((uint16_t)port),
    };
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;

    if (fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
        listen(fd, 128) < 0) {
        return -errno;
    }
    return fd;
}

static void add_connection(int fd)
{
    struct connection *c = n_fds <= N_CONNECTIONS ? malloc(sizeof(*c)) : NULL;

    if (!c) {
        close(fd);
        return;
    }
    c->start = c->end = 0;
    fds[n_fds].fd = fd;
    fds[n_fds].events = POLLIN;
    connections[n_fds++] = c;
}

static void remove_connection(nfds_t i)
{
    close(fds[i].fd);
    free(connections[i]);
    n_fds--;
    fds[i] = fds[n_fds];
    connections[i] = connections[n_fds];
}

/* False: it is over, by its client's end or because it has left. */
static int serve(nfds_t i)
{
    struct connection *c = connections[i];
    ssize_t n;

    if (c->start == c->end) {
        n = recv(fds[i].fd, c->buffer, sizeof(c->buffer), MSG_DONTWAIT);
        if (n <= 0) {
            return n < 0 && (errno == EAGAIN || errno == EINTR);
        }
        c->start = 0;
        c->end = (size_t)n;
    }
    n = send(fds[i].fd, c->buffer + c->start, c->end - c->start,
             MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        return 0;
    }
    c->start += n > 0 ? (size_t)n : 0;
    fds[i].events = c->start == c->end ? POLLIN : POLLOUT;
    return 1;
}

int main(int argc, char **argv)
{
    struct slice_opener *opener;
    int err;

    if (argc != 2) {
        fprintf(stderr, "usage: %s PORT\n", argv[0]);
        return 2;
    }
    fds[0].fd = listen_on((unsigned)strtoul(argv[1], NULL, 10));
    fds[0].events = POLLIN;
    if (fds[0].fd < 0) {
        fprintf(stderr, "cannot listen on port %s: %s\n", argv[1],
                strerror(-fds[0].fd));
        return 1;
    }
    err = slice_open(NULL, &opener);
    if (!err) {
        err = slice_listen(opener, fds[0].fd);
    }
    if (err) {
        fprintf(stderr, "connections stay here: %s\n", strerror(-err));
    }
    printf("listening\n");
    fflush(stdout);
    for (;;) {
        if (poll(fds, n_fds, -1) < 0 && errno != EINTR) {
            return 1;
        }
        for (nfds_t i = n_fds; --i > 0;) {
            if (fds[i].revents && !serve(i)) {
                remove_connection(i);
            }
        }
        if (fds[0].revents) {
            int fd = accept4(fds[0].fd, NULL, NULL, SOCK_CLOEXEC);

            if (fd >= 0) {
                add_connection(fd);
            }
        }
    }
}
