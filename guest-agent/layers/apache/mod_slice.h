/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mod_slice.h - one HTTP connection as one capsule of layer "apache"
 *
 * DOC: what mod_slice does
 *
 * Each client connection of a marked listener has a tcp capsule.  mod_slice
 * puts a capsule of its own above it and holds a reference of that while a
 * request is half done: from before its first byte is read (an input filter
 * next to the socket) until the MPM parks the connection in its poll set with
 * nothing buffered (suspend_connection).  Between the two the slice may be
 * taken away: the kernel disconnects the socket in silence, Apache sees a hang-up
 * and closes it, nothing is sent and nothing is logged.
 *
 * A capsule that arrives is handed to a thread of the child (plug.c), which
 * fetches the socket and, once the slice is open, connects to a private unix
 * listener of the same child.  Apache accepts that connection like any other;
 * the create_connection hook puts the TCP socket in the place of the unix one,
 * and the first process_connection parks it.
 *
 * Each child is a provider of the layer: it gets events for, and can be given,
 * capsules of its own.  Each child replaces the unix listener, inherited from
 * the parent, by its own one under the same descriptor, so a connection that a
 * child's thread makes is accepted by that child.
 *
 * A connection that cannot move (TLS, HTTP/2, a child whose layer was refused)
 * keeps a reference for as long as it lives: it is busy for ever.
 *
 * Threads.  A connection's @held is touched only by the one worker that serves
 * it; the table of capsules and @gone by the table's lock.
 *
 * Source: paper section 3.3; event.c of httpd for the order of its hooks.
 */
#ifndef MOD_SLICE_H
#define MOD_SLICE_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "httpd.h"
#include "http_config.h"
#include "http_log.h"

#include "libslice.h"

/* The one symbol that httpd looks for. */
extern module AP_MODULE_DECLARE_DATA slice_module
    __attribute__((visibility("default")));

/**
 * struct slice_server_conf - directives, of the main server
 * @engine: SliceEngine: Off makes the module as good as not loaded
 * @device: SliceDevice
 * @tag: SliceTag: servers with different tags do not exchange connections
 */
struct slice_server_conf {
    int engine;
    const char *device;
    const char *tag;
};

#define SLICE_APACHE_MAGIC 0x50414c53 /* "SLAP" */
#define SLICE_APACHE_VERSION 1
#define SLICE_APACHE_RANK 100

/**
 * struct slice_apache_record - the capsule's memory, little-endian
 * @magic: SLICE_APACHE_MAGIC
 * @version: SLICE_APACHE_VERSION
 * @keepalives: requests served on the connection, for MaxKeepAliveRequests
 * @server_port: that the client connected to
 * @rsvd: 0
 * @crc32c: of what precedes it
 */
struct slice_apache_record {
    uint32_t magic;
    uint32_t version;
    uint32_t keepalives;
    uint16_t server_port;
    uint16_t rsvd;
    uint32_t crc32c;
};

enum slice_phase {
    SLICE_PHASE_ARRIVED,        /* plugged, its socket is here, frozen */
    SLICE_PHASE_OPEN,           /* on its way through the unix listener */
    SLICE_PHASE_SERVED,         /* has a conn_rec */
};

/**
 * struct slice_session - one capsule of this child
 * @next: in its bucket of the table
 * @capsule: its names
 * @memory: its record, mapped
 * @phase: who owns it: the table, until SERVED; then the connection
 * @fd: its socket, until SERVED; then -1
 * @held: a reference is held
 * @parks: the next process_connection only parks the connection
 * @gone: it has been unplugged; set under the table's lock
 */
struct slice_session {
    struct slice_session *next;
    struct slice_capsule capsule;
    struct slice_apache_record *memory;
    enum slice_phase phase;
    int fd;
    bool held;
    bool parks;
    bool gone;
};

/**
 * struct slice_child - this process
 * @opener: NULL: the module stands aside
 * @provides: it provides the layer
 * @is_async: the MPM parks connections between requests (event)
 * @server: for the log
 * @listener: address of its unix listener
 * @stop_fd: an eventfd that ends the thread
 */
struct slice_child {
    struct slice_opener *opener;
    bool provides;
    bool is_async;
    server_rec *server;
    struct sockaddr_un listener;
    socklen_t listener_bytes;
    int stop_fd;
};

extern struct slice_child slice_child;

/* table.c: the capsules of this child. */

/* slice_table_add() - @session must not be in it. */
void slice_table_add(struct slice_session *session);
/* slice_table_leave() - UNPLUGGED or DISCARD: marks it gone and takes it out;
 * the caller frees what it returns, NULL if a connection owns it or none. */
struct slice_session *slice_table_leave(const struct slice_id *id);
/* slice_table_open() - it may run from now on; false: not here. */
bool slice_table_open(const struct slice_id *id);
/* slice_table_serve() - the connection takes it over; NULL: not here. */
struct slice_session *slice_table_serve(const struct slice_id *id);
/* slice_table_is_gone() - has it been unplugged? */
bool slice_table_is_gone(const struct slice_session *session);
/* slice_table_release() - its connection ends: deregister it, unless it has
 * been unplugged, and free it. */
void slice_table_release(struct slice_session *session);
/* slice_session_free() - unmap, close, free; does not deregister. */
void slice_session_free(struct slice_session *session);

/* record.c: what travels. */

/* slice_record_write() - under a reference, or before anyone can take one. */
void slice_record_write(struct slice_apache_record *record,
                        uint32_t keepalives, uint16_t server_port);
/* slice_record_read() - -EPROTO: @record is not one of ours. */
int slice_record_read(const struct slice_apache_record *record,
                      uint32_t *ret_keepalives, uint16_t *ret_server_port);

/* plug.c: capsules that come and go. */

/* slice_plug_start() - start the thread; 0 or an errno. */
int slice_plug_start(apr_pool_t *pchild);
/* slice_plug_take() - @fd was accepted: if it came from our thread, the TCP
 * socket of its capsule takes its place.  NULL: it did not, or it has left. */
struct slice_session *slice_plug_take(int fd);
/* slice_plug_is_ours() - was @fd accepted from the unix listener? */
bool slice_plug_is_ours(int fd);

/* listener.c: the unix listener. */
int slice_listener_append(server_rec *server);
void slice_listener_forget(void);
int slice_listener_replace(struct slice_child *child);
void slice_listener_mark_all(struct slice_opener *opener, server_rec *server);

#endif /* MOD_SLICE_H */
