// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * echo.c - the smallest server with a slice
 *
 * usage: slice-echo PORT
 *
 * Says back what it hears.  It keeps nothing of a session but bytes on their way
 * back, so a slice is the connection alone and needs no layer: the server marks
 * its listener, and holds a reference of the connection while it has such bytes.
 * A connection that arrives from another VM comes out of accept(); one that
 * leaves looks hung up, and the get says so.
 *
 * One thread a connection.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libslice.h"
#include "listener.h"

#define BUFFER_BYTES 65536
#define STACK_BYTES (BUFFER_BYTES + 65536)

/* NULL: this machine has no slices, connections stay here. */
static struct slice_opener *opener;

/* One read, all of it said back.  False: the connection is over. */
static int say_back(int fd, char *buffer)
{
    ssize_t n = recv(fd, buffer, BUFFER_BYTES, 0);

    for (ssize_t done = 0; done < n;) {
        ssize_t sent = send(fd, buffer + done, (size_t)(n - done),
                            MSG_NOSIGNAL);

        if (sent < 0) {
            return 0;
        }
        done += sent;
    }
    return n > 0;
}

static void *serve(void *arg)
{
    struct pollfd pfd = { .fd = (int)(intptr_t)arg, .events = POLLIN };
    struct slice_capsule connection;
    char buffer[BUFFER_BYTES];
    int has_capsule = opener &&
                      !slice_get_id_by_fd(opener, pfd.fd, &connection);
    int goes_on = 1;

    while (goes_on && poll(&pfd, 1, -1) == 1) {
        int err = has_capsule ? slice_get_ref(opener, &connection, 0) : 0;

        if (err == -EINTR) {
            continue;
        }
        if (err) {
            break;
        }
        goes_on = say_back(pfd.fd, buffer);
        if (has_capsule) {
            slice_put_ref(opener, &connection);
        }
    }
    close(pfd.fd);
    return NULL;
}

static void start_thread(int fd)
{
    pthread_attr_t attr;
    pthread_t thread;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    if (pthread_create(&thread, &attr, serve, (void *)(intptr_t)fd)) {
        close(fd);
    }
    pthread_attr_destroy(&attr);
}

int main(int argc, char **argv)
{
    int listener, err;

    if (argc != 2) {
        fprintf(stderr, "usage: %s PORT\n", argv[0]);
        return 2;
    }
    listener = listen_on(argv[1]);
    if (listener < 0) {
        fprintf(stderr, "cannot listen on port %s: %s\n", argv[1],
                strerror(-listener));
        return 1;
    }
    err = slice_open(NULL, &opener);
    if (!err) {
        err = slice_listen(opener, listener);
    }
    if (err) {
        fprintf(stderr, "connections stay here: %s\n", strerror(-err));
    }
    printf("listening\n");
    fflush(stdout);
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd >= 0) {
            start_thread(fd);
        }
    }
}
