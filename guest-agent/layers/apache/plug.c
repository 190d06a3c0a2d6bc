// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * plug.c - connections that come from another VM, and those that leave
 *
 * One thread in each child reads the kernel's events:
 *
 *	PLUG	  check the capsule's memory, fetch the socket, answer
 *	OPEN	  connect to our own unix listener and send the capsule's id; a
 *		  worker accepts that like any connection and takes the socket
 *	DISCARD	  undo PLUG
 *	UNPLUGGED whoever serves it will see a hang-up; forget it
 *
 * The id is sent, and the worker waits for the lock before it reads it, so it
 * is there when the worker looks.  The worker takes ids only from this very
 * process (SO_PEERCRED), and only ids in the table.
 *
 * Nothing tells when a full backlog has room again, so a connection that did
 * not fit is tried again after RETRY_MS.
 *
 * A child that is stopping gracefully accepts nothing any more: it refuses what
 * arrives, before anything has moved, and ends what has just arrived as it ends
 * its other idle connections.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ap_mpm.h"

#include "mod_slice.h"

APLOG_USE_MODULE(slice);

#define RETRY_MS 10

/* Ids that wait for room in the backlog; of the thread alone. */
struct waiting {
    struct waiting *next;
    struct slice_id id;
};

static pthread_mutex_t hand_over = PTHREAD_MUTEX_INITIALIZER;
static pthread_t thread;
static struct waiting *waiting;

/* 0, -EAGAIN: the backlog is full, or another negative errno. */
static int feed(const struct slice_id *id)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int err = 0;

    if (fd < 0) {
        return -errno;
    }
    pthread_mutex_lock(&hand_over);
    if (connect(fd, (struct sockaddr *)&slice_child.listener,
                slice_child.listener_bytes) < 0) {
        err = -errno;
    } else if (send(fd, id, sizeof(*id), MSG_NOSIGNAL) != sizeof(*id)) {
        err = -EIO;
    }
    pthread_mutex_unlock(&hand_over);
    close(fd);
    return err;
}

bool slice_plug_is_ours(int fd)
{
    struct sockaddr_un addr = { 0 };
    socklen_t bytes = sizeof(addr);

    return slice_child.listener_bytes &&
           getsockname(fd, (struct sockaddr *)&addr, &bytes) == 0 &&
           addr.sun_family == AF_UNIX &&
           bytes == slice_child.listener_bytes &&
           !memcmp(&addr, &slice_child.listener, bytes);
}

struct slice_session *slice_plug_take(int fd)
{
    struct ucred peer;
    socklen_t bytes = sizeof(peer);
    struct slice_session *session;
    struct slice_id id;
    int flags;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) < 0 ||
        peer.pid != getpid()) {
        return NULL;
    }
    pthread_mutex_lock(&hand_over);
    pthread_mutex_unlock(&hand_over);
    if (recv(fd, &id, sizeof(id), MSG_DONTWAIT) != sizeof(id)) {
        return NULL;
    }
    session = slice_table_serve(&id);
    if (!session) {
        return NULL;
    }
    /* APR believes that what it has accepted blocks. */
    flags = fcntl(session->fd, F_GETFL);
    if (flags < 0 || fcntl(session->fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ||
        dup3(session->fd, fd, O_CLOEXEC) < 0) {
        slice_table_release(session);
        return NULL;
    }
    close(session->fd);
    session->fd = -1;
    return session;
}

static bool is_stopping(void)
{
    int state = AP_MPMQ_RUNNING;

    ap_mpm_query(AP_MPMQ_MPM_STATE, &state);
    return state == AP_MPMQ_STOPPING;
}

static int plug(const struct slice_event *event)
{
    struct slice_session *session;
    uint32_t keepalives;
    uint16_t port;
    uint64_t fd;
    void *memory;
    int err;

    if (is_stopping()) {
        slice_set_room(slice_child.opener, 0);
        return -EBUSY;
    }
    if (event->bytes < sizeof(struct slice_apache_record)) {
        return -EPROTO;
    }
    session = calloc(1, sizeof(*session));
    if (!session) {
        return -ENOMEM;
    }
    session->fd = -1;
    slice_event_capsule(event, &session->capsule);
    err = slice_map(slice_child.opener, &session->capsule, &memory);
    if (err) {
        goto err_free;
    }
    session->memory = memory;
    err = slice_record_read(session->memory, &keepalives, &port);
    if (err) {
        goto err_free;
    }
    err = slice_get_handle(slice_child.opener, &event->needs, &fd);
    if (err) {
        goto err_free;
    }
    session->fd = (int)fd;
    session->parks = true;
    slice_table_add(session);
    /* The id serves as handle: both are unique and as long as it lives. */
    err = slice_plug_done(slice_child.opener, &event->id, event->id.counter, 0);
    if (err) {
        slice_session_free(slice_table_leave(&event->id));
    }
    return 0;

err_free:
    slice_session_free(session);
    return err;
}

/* It cannot be served here: it ends, as if its keep-alive had expired. */
static void give_up(const struct slice_id *id, int err)
{
    struct slice_session *session = slice_table_leave(id);

    ap_log_error(APLOG_MARK, is_stopping() ? APLOG_DEBUG : APLOG_ERR,
                 APR_FROM_OS_ERROR(-err), slice_child.server,
                 "slice: a plugged connection ends");
    if (session) {
        slice_deregister_capsule(slice_child.opener, id);
        slice_session_free(session);
    }
}

static void open_session(const struct slice_id *id)
{
    struct waiting *item;
    int err;

    if (!slice_table_open(id)) {
        return;
    }
    err = feed(id);
    if (!err) {
        return;
    }
    item = err == -EAGAIN ? malloc(sizeof(*item)) : NULL;
    if (!item) {
        give_up(id, err);
        return;
    }
    item->id = *id;
    item->next = waiting;
    waiting = item;
}

/* Of those that waited: tries each once. */
static void feed_waiting(void)
{
    struct waiting **link = &waiting;

    while (*link) {
        struct waiting *item = *link;
        int err = feed(&item->id);

        if (err == -EAGAIN) {
            link = &item->next;
            continue;
        }
        if (err) {
            give_up(&item->id, err);
        }
        *link = item->next;
        free(item);
    }
}

static void handle_event(const struct slice_event *event)
{
    char text[SLICE_ID_TEXT_BYTES];
    int err;

    slice_id_format(&event->id, text);
    ap_log_error(APLOG_MARK, APLOG_TRACE1, 0, slice_child.server,
                 "slice: event %u of capsule %s, word %u", event->type, text,
                 event->word_index);
    switch (event->type) {
    case SLICE_EVENT_PLUG:
        err = plug(event);
        if (err) {
            ap_log_error(APLOG_MARK, APLOG_WARNING, APR_FROM_OS_ERROR(-err),
                         slice_child.server,
                         "slice: refused a connection that was to be plugged");
            slice_plug_done(slice_child.opener, &event->id, 0, err);
        }
        break;
    case SLICE_EVENT_OPEN:
        open_session(&event->id);
        break;
    case SLICE_EVENT_DISCARD:
    case SLICE_EVENT_UNPLUGGED:
        slice_session_free(slice_table_leave(&event->id));
        break;
    default:
        break;
    }
}

static void *event_loop(void *unused)
{
    struct pollfd fds[2] = {
        { .fd = slice_child.stop_fd, .events = POLLIN },
        { .fd = slice_events_fd(slice_child.opener), .events = POLLIN },
    };

    for (;;) {
        struct slice_event event;
        int err;

        if (poll(fds, 2, waiting ? RETRY_MS : -1) < 0 && errno != EINTR) {
            return NULL;
        }
        if (fds[0].revents) {
            return NULL;
        }
        do {
            err = slice_next_event(slice_child.opener, &event);
            if (!err) {
                handle_event(&event);
            }
        } while (!err);
        if (err != -EAGAIN) {
            ap_log_error(APLOG_MARK, APLOG_ERR, APR_FROM_OS_ERROR(-err),
                         slice_child.server,
                         "slice: no more events: connections stay here");
            return NULL;
        }
        feed_waiting();
    }
}

/*
 * The opener stays open: workers may still be inside of a request.  The
 * process's end closes it.
 */
static apr_status_t stop_thread(void *unused)
{
    uint64_t one = 1;

    if (write(slice_child.stop_fd, &one, sizeof(one)) == sizeof(one)) {
        pthread_join(thread, NULL);
    }
    return APR_SUCCESS;
}

int slice_plug_start(apr_pool_t *pchild)
{
    sigset_t all, old;
    int err;

    slice_child.stop_fd = eventfd(0, EFD_CLOEXEC);
    if (slice_child.stop_fd < 0) {
        return errno;
    }
    /* Signals are the MPM's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    err = pthread_create(&thread, NULL, event_loop, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (err) {
        close(slice_child.stop_fd);
        return err;
    }
    apr_pool_cleanup_register(pchild, NULL, stop_thread, apr_pool_cleanup_null);
    return 0;
}
