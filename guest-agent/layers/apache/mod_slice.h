/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mod_slice.h - one HTTP connection as one capsule of layer "apache"
 *
 * DOC: what mod_slice does
 *
 * Each client connection of a marked listener has a tcp capsule.  mod_slice
 * puts a capsule of its own above it and holds a reference of that while a
 * request is half done: from before its first byte is read (an input filter in
 * the place of core's, input.c) until the MPM parks the connection in its poll
 * set with nothing buffered (suspend_connection).  Between the two the slice may
 * be taken away: the kernel disconnects the socket in silence, Apache sees a
 * hang-up and closes it, nothing is sent and nothing is logged.
 *
 * Before that first byte is read the filter peeks at the request's head
 * (head.c): it tells how long the request is, so that what the client has sent
 * behind it stays in the kernel and can travel; and it names the application's
 * session by a cookie.  A session that is here is linked to the connection; one
 * that lives elsewhere has the connection sent there, unread (link.c).
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
 * A connection that cannot move (TLS, HTTP/2, WebSocket) is pinned, with the
 * reason; one of a child whose layer was refused keeps a reference for as long
 * as it lives: it is busy for ever.
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

#include "head.h"

/* The one symbol that httpd looks for. */
extern module AP_MODULE_DECLARE_DATA slice_module
    __attribute__((visibility("default")));

/**
 * struct slice_server_conf - directives, of the main server
 * @engine: SliceEngine: Off makes the module as good as not loaded
 * @device: SliceDevice
 * @tag: SliceTag: servers with different tags do not exchange connections
 * @cookies: SliceSessionCookie: names of cookies that name sessions, then NULL
 * @layer: SliceSessionLayer: that keeps those sessions; NULL: none does
 * @find_ms: SliceFindTimeout: how long a request waits for its session
 * @room: SliceRoom: connections that a child takes, 0: what the MPM can serve
 */
struct slice_server_conf {
    int engine;
    const char *device;
    const char *tag;
    const char *cookies[SLICE_HEAD_NAMES_MAX + 1];
    const char *layer;
    uint32_t find_ms;
    uint32_t room;
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
 * @pinned: it cannot move any more, and @held stays
 * @refused: the request that is being read is answered with 503
 * @gone: it has been unplugged; set under the table's lock
 * @seen: the sessions that the last request with any has named
 * @nowhere: of each name, the last one that no VM had
 */
struct slice_session {
    struct slice_session *next;
    struct slice_capsule capsule;
    struct slice_apache_record *memory;
    enum slice_phase phase;
    int fd;
    bool held;
    bool parks;
    bool pinned;
    bool refused;
    bool gone;
    struct slice_keys seen;
    struct slice_keys nowhere;
};

/**
 * struct slice_conn - a conn_rec of ours
 * @c: it
 * @session: its capsule; NULL once it is being closed
 * @csd: its socket
 * @fd: of @csd
 * @bb: bytes that have left the kernel and not this filter
 * @body: how far the request has been read
 * @reads: this filter reads the socket, core's will not any more
 * @starts: the next byte from the kernel is the first of a request
 * @consumed: some of the request has left this filter
 * @switches: the request asks for another protocol behind it
 * @eof: the client has ended its side, or the socket is broken
 * @lowat: bytes below which the socket does not count as readable
 * @peeked: bytes of an unfinished head, of which too many would not help
 * @head_until: when the rest of it is not waited for any more
 */
struct slice_conn {
    conn_rec *c;
    struct slice_session *session;
    apr_socket_t *csd;
    int fd;
    apr_bucket_brigade *bb;
    struct slice_body body;
    bool reads;
    bool starts;
    bool consumed;
    bool switches;
    bool eof;
    int lowat;
    size_t peeked;
    apr_time_t head_until;
};

/**
 * struct slice_child - this process
 * @opener: NULL: the module stands aside
 * @provides: it provides the layer
 * @is_async: the MPM parks connections between requests (event)
 * @server: for the log
 * @conf: of the main server
 * @listener: address of its unix listener
 * @stop_fd: an eventfd that ends the thread
 */
struct slice_child {
    struct slice_opener *opener;
    bool provides;
    bool is_async;
    server_rec *server;
    const struct slice_server_conf *conf;
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

/* reference.c: when a capsule may be taken away. */

/* slice_reference_take() - sleeps while the slice is frozen.  False: the
 * connection lives elsewhere now or, after an abort, in another conn_rec. */
bool slice_reference_take(struct slice_session *session);
/* slice_reference_drop() - writes the record first. */
void slice_reference_drop(struct slice_session *session, const conn_rec *c);
/* slice_reference_pin() - it cannot move any more; under a reference, which
 * stays. */
void slice_reference_pin(struct slice_session *session, uint32_t why);
/* slice_reference_pin_fd() - the same of a connection without a capsule of
 * ours, for as long as it lives; @why NONE: it is busy. */
void slice_reference_pin_fd(conn_rec *c, int fd, uint32_t why);

/* link.c: connections and the sessions that their requests name. */

/* slice_link_begin() - a request begins that names @keys: takes the reference,
 * with the sessions here and linked, or with @session->refused set.  False: the
 * connection has left, perhaps to where the session is. */
bool slice_link_begin(struct slice_session *session, const conn_rec *c,
                      const struct slice_keys *keys);
/* slice_link_check() - Apache has parsed the request and found @keys in it.
 * False: answer 503. */
bool slice_link_check(struct slice_session *session,
                      const struct slice_keys *keys);

/* input.c: the filter that reads the socket. */

void slice_input_register(void);
/* slice_input_add() - to a new connection; @session NULL is none. */
struct slice_conn *slice_input_add(conn_rec *c, apr_socket_t *csd,
                                   struct slice_session *session);
/* slice_input_expect() - Apache is about to read a request. */
void slice_input_expect(struct slice_conn *conn);
/* slice_input_is_empty() - is all that has left the kernel with Apache? */
bool slice_input_is_empty(struct slice_conn *conn);

/* room.c: how many connections a child can serve. */

/* slice_room_note_config() - in the parent, when the configuration is there. */
void slice_room_note_config(void);
/* slice_room_of_child() - what to tell the kernel. */
uint32_t slice_room_of_child(const struct slice_child *child);

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
