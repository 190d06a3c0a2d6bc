// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * listener.c - the unix listener by which plugged connections enter Apache
 *
 * An MPM polls exactly the listeners that were in ap_listeners when the server
 * opened its sockets, and accepts from each in the same way.  So the parent
 * appends one unix socket, and each child puts its own in that one's place,
 * under the same descriptor, before the MPM polls it.  The names are chosen by
 * the kernel in the abstract name space: nothing to unlink, and plug.c takes
 * only connections that this very process has made.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "apr_portable.h"
#include "apr_strings.h"
#include "ap_listen.h"
#include "http_core.h"

#include "mod_slice.h"

APLOG_USE_MODULE(slice);

#define BACKLOG 4096

/* In the parent and, inherited, in the children. */
static ap_listen_rec *our_listener;

static int open_unix_listener(struct sockaddr_un *ret_addr,
                              socklen_t *ret_bytes)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int err;

    if (fd < 0) {
        return -errno;
    }
    *ret_bytes = sizeof(*ret_addr);
    memset(ret_addr, 0, sizeof(*ret_addr));
    if (bind(fd, (struct sockaddr *)&addr, sizeof(sa_family_t)) < 0 ||
        listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)ret_addr, ret_bytes) < 0) {
        err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

/**
 * slice_listener_append() - in the parent: make room for the children's
 * @server: the main server
 *
 * Return: 0 or a negative errno; then there is no such listener.
 */
int slice_listener_append(server_rec *server)
{
    /* What is in ap_listeners outlives a restart's pools. */
    apr_pool_t *pool = server->process->pool;
    ap_listen_rec *rec = apr_pcalloc(pool, sizeof(*rec));
    ap_listen_rec **link = &ap_listeners;
    apr_os_sock_info_t info = { 0 };
    struct sockaddr_un addr;
    socklen_t bytes;
    int fd = open_unix_listener(&addr, &bytes);

    if (fd < 0) {
        return fd;
    }
    info.os_sock = &fd;
    info.local = (struct sockaddr *)&addr;
    info.family = AF_UNIX;
    info.type = SOCK_STREAM;
    if (apr_sockaddr_info_get(&rec->bind_addr, "/slice", APR_UNIX, 0, 0,
                              pool) != APR_SUCCESS ||
        apr_os_sock_make(&rec->sd, &info, pool) != APR_SUCCESS) {
        close(fd);
        return -ENOMEM;
    }
    rec->protocol = "slice";
    rec->active = 1;
    while (*link) {
        link = &(*link)->next;
    }
    *link = rec;
    our_listener = rec;
    return 0;
}

void slice_listener_forget(void)
{
    our_listener = NULL;
}

/**
 * slice_listener_replace() - in a child: put its own in the place
 * @child: its address is filled in
 *
 * Return: 0 or a negative errno; then arriving connections are refused.
 */
int slice_listener_replace(struct slice_child *child)
{
    apr_os_sock_t place;
    int err = 0;
    int fd;

    if (!our_listener) {
        return -ENOENT;
    }
    if (apr_os_sock_get(&place, our_listener->sd) != APR_SUCCESS) {
        return -EBADF;
    }
    fd = open_unix_listener(&child->listener, &child->listener_bytes);
    if (fd < 0) {
        return fd;
    }
    if (dup3(fd, place, O_CLOEXEC) < 0) {
        err = -errno;
    }
    close(fd);
    return err;
}

static bool ends_in_user_space(const ap_listen_rec *rec)
{
    return rec->protocol && !strcasecmp(rec->protocol, "https");
}

/**
 * slice_listener_mark_all() - give what connects a tcp capsule
 * @opener: any
 * @server: the main server
 *
 * TLS listeners are left alone: their connections cannot move.
 */
void slice_listener_mark_all(struct slice_opener *opener, server_rec *server)
{
    for (ap_listen_rec *rec = ap_listeners; rec; rec = rec->next) {
        apr_os_sock_t fd;
        int err;

        if (rec == our_listener || ends_in_user_space(rec) ||
            apr_os_sock_get(&fd, rec->sd) != APR_SUCCESS) {
            continue;
        }
        err = slice_listen(opener, fd);
        /* A listener that has lived through a restart is marked already. */
        if (err && err != -EEXIST) {
            ap_log_error(APLOG_MARK, APLOG_WARNING, APR_FROM_OS_ERROR(-err),
                         server, "slice: cannot mark listener %pI: its "
                         "connections get capsules after accept() only",
                         rec->bind_addr);
        }
    }
}
