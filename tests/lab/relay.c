// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * relay.c - a bad line between the hypervisors: what a VM's engine is reached by
 *
 *      engine of web1 ──► relay, 127.0.0.1:78NN ──► engine of web2, 127.0.0.1:77NN
 *
 * The hypervisors of a lab share its loopback interface, where no frame can be
 * lost; so the line is a relay of connections, which the domain's metadata names
 * instead of the engine's own port.  Cut, it forwards nothing and tells nobody,
 * as a cable that was pulled does: connections stay, new ones are taken and hear
 * nothing.  Spoilt, it changes one bit of each piece that goes to the engine.
 *
 * A thread for each relay; its settings are atomics that the thread looks at for
 * each piece, and an eventfd wakes it when they change.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "internal.h"

#define PIPES_MAX 32
#define PIECE_BYTES 65536

/* A connection: from its dialler to the engine and back. */
typedef struct Pipe {
    int ends[2];                /* dialler's, engine's */
} Pipe;

struct LabRelay {
    uint16_t port, engine_port;
    int listener, wake;
    gint mode;                  /* LabRelayMode, atomic */
    gint ends_now;
    gint n_spoilt;
    Pipe pipes[PIPES_MAX];
    int n_pipes;
    GThread *thread;
};

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

static void drop(LabRelay *relay, int i)
{
    close(relay->pipes[i].ends[0]);
    close(relay->pipes[i].ends[1]);
    relay->pipes[i] = relay->pipes[--relay->n_pipes];
}

static void take_connection(LabRelay *relay)
{
    struct sockaddr_in engine = loopback(relay->engine_port);
    int from = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC);
    int to = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (from < 0 || to < 0 || relay->n_pipes == PIPES_MAX ||
        connect(to, (struct sockaddr *)&engine, sizeof(engine))) {
        if (from >= 0) {
            close(from);        /* nobody there: the dialler hears so */
        }
        if (to >= 0) {
            close(to);
        }
        return;
    }
    relay->pipes[relay->n_pipes++] = (Pipe){ { from, to } };
}

/* All of it; the engines read what they are sent, so this does not wait for long. */
static bool write_all(int fd, const uint8_t *data, ssize_t bytes)
{
    while (bytes > 0) {
        ssize_t n = send(fd, data, bytes, MSG_NOSIGNAL);

        if (n <= 0) {
            return false;
        }
        data += n;
        bytes -= n;
    }
    return true;
}

/* One piece from end @from of a pipe to the other. False: the pipe has ended. */
static bool pass(LabRelay *relay, Pipe *line, int from)
{
    uint8_t piece[PIECE_BYTES];
    ssize_t n = recv(line->ends[from], piece, sizeof(piece), MSG_DONTWAIT);

    if (n <= 0) {
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    }
    if (from == 0 && g_atomic_int_get(&relay->mode) == LAB_RELAY_SPOILT) {
        piece[n / 2] ^= 0x10;
        g_atomic_int_inc(&relay->n_spoilt);
    }
    return write_all(line->ends[!from], piece, n);
}

static void pass_all(LabRelay *relay, const struct pollfd *fds)
{
    for (int i = relay->n_pipes; i-- > 0; ) {
        bool goes_on = true;

        for (int end = 0; end < 2 && goes_on; end++) {
            if (fds[2 + 2 * i + end].revents) {
                goes_on = pass(relay, &relay->pipes[i], end);
            }
        }
        if (!goes_on) {
            drop(relay, i);
        }
    }
}

static gpointer carry(gpointer opaque)
{
    LabRelay *relay = opaque;
    struct pollfd fds[2 + 2 * PIPES_MAX];

    while (!g_atomic_int_get(&relay->ends_now)) {
        bool cut = g_atomic_int_get(&relay->mode) == LAB_RELAY_CUT;
        int n = relay->n_pipes;
        uint64_t count;

        fds[0] = (struct pollfd){ relay->wake, POLLIN, 0 };
        fds[1] = (struct pollfd){ cut ? -1 : relay->listener, POLLIN, 0 };
        for (int i = 0; i < 2 * n; i++) {
            fds[2 + i] = (struct pollfd){ cut ? -1 : relay->pipes[i / 2].ends[i % 2], POLLIN, 0 };
        }
        poll(fds, 2 + 2 * n, -1);
        while (read(relay->wake, &count, sizeof(count)) > 0) {
            continue;
        }
        if (g_atomic_int_get(&relay->mode) == LAB_RELAY_CUT) {
            continue;           /* cut since then: nothing passes any more */
        }
        pass_all(relay, fds);
        if (fds[1].revents) {
            take_connection(relay);
        }
    }
    return NULL;
}

LabRelay *lab_relay_new(uint16_t port, uint16_t engine_port, GError **error)
{
    struct sockaddr_in address = loopback(port);
    LabRelay *relay = g_new0(LabRelay, 1);
    int one = 1;

    relay->port = port;
    relay->engine_port = engine_port;
    relay->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    relay->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(relay->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(relay->listener, (struct sockaddr *)&address, sizeof(address)) ||
        listen(relay->listener, PIPES_MAX)) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "a relay on port %u: %s", port,
                    g_strerror(errno));
        lab_relay_free(relay);
        return NULL;
    }
    relay->thread = g_thread_new("relay", carry, relay);
    return relay;
}

static void wake(LabRelay *relay)
{
    uint64_t one = 1;

    if (write(relay->wake, &one, sizeof(one)) < 0) {
        g_warning("waking a relay: %s", g_strerror(errno));
    }
}

void lab_relay_free(LabRelay *relay)
{
    if (!relay) {
        return;
    }
    if (relay->thread) {
        g_atomic_int_set(&relay->ends_now, 1);
        wake(relay);
        g_thread_join(relay->thread);
    }
    while (relay->n_pipes) {
        drop(relay, 0);
    }
    close(relay->listener);
    close(relay->wake);
    g_free(relay);
}

void lab_relay_set(LabRelay *relay, LabRelayMode mode)
{
    g_atomic_int_set(&relay->mode, mode);
    wake(relay);
}

unsigned int lab_relay_n_spoilt(LabRelay *relay)
{
    return g_atomic_int_get(&relay->n_spoilt);
}
