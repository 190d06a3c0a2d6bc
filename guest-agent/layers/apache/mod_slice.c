// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * mod_slice.c - the hooks: when a connection gets its capsule, when a reference
 * is taken and dropped
 *
 *	pre_connection		register, link to the tcp capsule
 *	input filter		first byte of a request: find its session, take
 *				the reference (input.c, link.c)
 *	post_read_request	a session that is out of reach: 503
 *	suspend_connection	parked with nothing buffered: drop it
 *	pre_read_request	the same where connections are not parked
 *	pre_close_connection	a close is a request too: take it, or learn that
 *				the connection has left
 *	end of the pool		deregister
 *
 * Without a device the module says so once and does nothing else.
 *
 * Below: input.c, link.c, reference.c, table.c, plug.c, listener.c, room.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apr_portable.h"
#include "apr_strings.h"
#include "ap_mpm.h"
#include "ap_release.h"
#include "http_connection.h"
#include "http_core.h"
#include "http_protocol.h"
#include "http_request.h"
#include "http_ssl.h"
#include "mpm_common.h"
#include "util_filter.h"

#include "mod_slice.h"

#define TAKEN_KEY "mod_slice taken"
/* A move takes far less; the deadline before it was some seconds. */
#define RETRY_AFTER_S "1"
#define FIND_MS_DEFAULT 2000

struct slice_child slice_child = { .stop_fd = -1 };

static struct slice_conn *conn_of(conn_rec *c)
{
    return ap_get_module_config(c->conn_config, &slice_module);
}

static struct slice_session *session_of(conn_rec *c)
{
    struct slice_conn *conn = conn_of(c);

    return conn ? conn->session : NULL;
}

/* ---- a connection begins ---- */

/*
 * Link our capsule to the socket's.  Under a reference of the latter, which its
 * name comes with, so that it cannot leave meanwhile; while it is frozen it may
 * not be linked, then we let go, wait for what comes, and try again.
 */
static int link_to_socket(struct slice_session *session, int fd)
{
    struct slice_capsule tcp;
    int err;

    do {
        do {
            err = slice_get_id_by_fd_held(slice_child.opener, fd, &tcp);
        } while (err == -EINTR);
        if (err) {
            return err;
        }
        err = slice_set_dep(slice_child.opener, &session->capsule.id, &tcp.id);
        slice_put_ref(slice_child.opener, &tcp);
    } while (err == -EBUSY);
    return err;
}

/* Held from birth: alone, without its socket, it must not leave. */
static struct slice_session *register_session(conn_rec *c, int fd)
{
    static uint32_t counter;
    struct slice_session *session = calloc(1, sizeof(*session));
    uint64_t handle = (uint64_t)getpid() << 32 |
                      __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED);
    void *memory;
    int err;

    if (!session) {
        return NULL;
    }
    session->fd = -1;
    session->phase = SLICE_PHASE_SERVED;
    err = slice_register_held(slice_child.opener, handle, NULL, 0,
                              sizeof(struct slice_apache_record),
                              &session->capsule);
    if (err) {
        goto err_free;
    }
    err = slice_map(slice_child.opener, &session->capsule, &memory);
    if (err) {
        goto err_put;
    }
    session->memory = memory;
    slice_record_write(session->memory, 0, (uint16_t)c->local_addr->port);
    slice_table_add(session);
    err = link_to_socket(session, fd);
    slice_put_ref(slice_child.opener, &session->capsule);
    if (err) {
        goto err_release;
    }
    return session;

err_release:
    slice_table_release(session);
    session = NULL;
    goto err_log;
err_put:
    slice_put_ref(slice_child.opener, &session->capsule);
    slice_deregister_capsule(slice_child.opener, &session->capsule.id);
err_free:
    free(session);
    session = NULL;
err_log:
    ap_log_cerror(APLOG_MARK, err == -ESTALE ? APLOG_DEBUG : APLOG_WARNING,
                  APR_FROM_OS_ERROR(-err), c,
                  "slice: a connection without a capsule: it stays here");
    return NULL;
}

static apr_status_t end_session(void *data)
{
    struct slice_conn *conn = data;

    if (conn->session) {
        slice_table_release(conn->session);
        conn->session = NULL;
    }
    return APR_SUCCESS;
}

static int slice_pre_connection(conn_rec *c, void *csd)
{
    struct slice_session *session = NULL;
    bool is_tls = ap_ssl_conn_is_ssl(c);
    struct slice_conn *conn;
    apr_os_sock_t fd;
    void *taken;

    if (!slice_child.opener || c->master || c->outgoing || !c->sbh ||
        apr_os_sock_get(&fd, csd) != APR_SUCCESS) {
        return DECLINED;
    }
    apr_pool_userdata_get(&taken, TAKEN_KEY, c->pool);
    if (taken) {
        uint32_t keepalives;
        uint16_t port;

        session = taken;
        if (!slice_record_read(session->memory, &keepalives, &port)) {
            c->keepalives = (int)keepalives;
        }
    } else if (c->client_addr->family == APR_UNIX) {
        return DECLINED;
    } else if (slice_child.provides && !is_tls) {
        session = register_session(c, fd);
    }
    if (!session) {
        slice_reference_pin_fd(c, fd, is_tls ? SLICE_WHY_TLS : SLICE_WHY_NONE);
        return DECLINED;
    }
    conn = slice_input_add(c, csd, session);
    ap_set_module_config(c->conn_config, &slice_module, conn);
    apr_pool_cleanup_register(c->pool, conn, end_session,
                              apr_pool_cleanup_null);
    return DECLINED;
}

/* ---- a plugged connection begins ---- */

static void fill_address(apr_sockaddr_t *sa, const struct sockaddr_storage *from,
                         socklen_t bytes)
{
    memcpy(&sa->sa, from, bytes);
    sa->salen = bytes;
    sa->family = from->ss_family;
    sa->hostname = NULL;
    sa->servname = NULL;
    sa->next = NULL;
    if (from->ss_family == AF_INET) {
        sa->port = ntohs(sa->sa.sin.sin_port);
        sa->ipaddr_ptr = &sa->sa.sin.sin_addr;
        sa->ipaddr_len = sizeof(sa->sa.sin.sin_addr);
        sa->addr_str_len = INET_ADDRSTRLEN;
    } else {
        sa->port = ntohs(sa->sa.sin6.sin6_port);
        sa->ipaddr_ptr = &sa->sa.sin6.sin6_addr;
        sa->ipaddr_len = sizeof(sa->sa.sin6.sin6_addr);
        sa->addr_str_len = INET6_ADDRSTRLEN;
    }
}

static bool fix_addresses(apr_socket_t *csd, int fd)
{
    struct sockaddr_storage local, remote;
    socklen_t local_bytes = sizeof(local), remote_bytes = sizeof(remote);
    apr_sockaddr_t *sa;

    if (getsockname(fd, (struct sockaddr *)&local, &local_bytes) < 0 ||
        getpeername(fd, (struct sockaddr *)&remote, &remote_bytes) < 0 ||
        (local.ss_family != AF_INET && local.ss_family != AF_INET6) ||
        apr_socket_addr_get(&sa, APR_LOCAL, csd) != APR_SUCCESS) {
        return false;
    }
    fill_address(sa, &local, local_bytes);
    if (apr_socket_addr_get(&sa, APR_REMOTE, csd) != APR_SUCCESS) {
        return false;
    }
    fill_address(sa, &remote, remote_bytes);
    return true;
}

/*
 * Never makes a connection, only changes what core makes it of.  A unix
 * connection without a capsule goes on as it is, and ends at its first read.
 */
static conn_rec *slice_create_connection(apr_pool_t *p, server_rec *server,
                                         apr_socket_t *csd, long conn_id,
                                         void *sbh, apr_bucket_alloc_t *alloc)
{
    struct slice_session *session;
    apr_os_sock_t fd;

    if (!slice_child.provides || !sbh ||
        apr_os_sock_get(&fd, csd) != APR_SUCCESS || !slice_plug_is_ours(fd)) {
        return NULL;
    }
    session = slice_plug_take(fd);
    if (!session) {
        shutdown(fd, SHUT_RDWR);
        return NULL;
    }
    if (!fix_addresses(csd, fd)) {
        /* It has been unplugged again already. */
        slice_table_release(session);
        return NULL;
    }
    apr_pool_userdata_setn(session, TAKEN_KEY, NULL, p);
    return NULL;
}

/*
 * MPM event chooses the queue in which a connection expires when a request has
 * been read, of its server; a new connection is in the main server's.  What has
 * been plugged has read its requests elsewhere: it is told here, and only event,
 * by its own hook, which looks at these two fields.
 */
static void choose_keepalive_queue(conn_rec *c)
{
    apr_array_header_t *hooks = ap_hook_get_post_read_request();
    request_rec r = { .connection = c, .server = c->base_server };
    /* elts is a char *, of memory that is aligned for anything. */
    const ap_LINK_post_read_request_t *hook = hooks ? (void *)hooks->elts
                                                    : NULL;
    int i;

    for (i = 0; hooks && i < hooks->nelts; i++) {
        if (hook[i].szName && !strcmp(hook[i].szName, "event.c")) {
            hook[i].pFunc(&r);
        }
    }
}

static int slice_process_connection(conn_rec *c)
{
    struct slice_session *session = session_of(c);

    if (!session || !session->parks) {
        return DECLINED;
    }
    session->parks = false;
    if (!slice_child.is_async) {
        return DECLINED;
    }
    choose_keepalive_queue(c);
    c->keepalive = AP_CONN_KEEPALIVE;
    c->cs->state = CONN_STATE_WRITE_COMPLETION;
    return OK;
}

/* ---- a request begins and ends ---- */

static bool is_lingering(conn_state_e state)
{
    return state == CONN_STATE_LINGER || state == CONN_STATE_LINGER_NORMAL ||
           state == CONN_STATE_LINGER_SHORT;
}

/*
 * HTTP/2 and other protocols keep state that no capsule has: the reference that
 * the first read took is kept.
 */
static bool is_between_requests(struct slice_conn *conn)
{
    conn_rec *c = conn->c;

    return !c->data_in_input_filters && !c->data_in_output_filters &&
           slice_input_is_empty(conn) && !conn->session->pinned &&
           !strcmp(ap_get_protocol(c), AP_PROTOCOL_HTTP1);
}

/* worker and prefork park nothing: a thread waits in its next read. */
static void slice_pre_read_request(request_rec *r, conn_rec *c)
{
    struct slice_conn *conn = conn_of(c);

    if (!conn) {
        return;
    }
    if (conn->session && conn->session->held && !slice_child.is_async &&
        is_between_requests(conn)) {
        slice_reference_drop(conn->session, c);
    }
    slice_input_expect(conn);
}

static void slice_suspend_connection(conn_rec *c, request_rec *r)
{
    struct slice_conn *conn = conn_of(c);

    if (!conn || !conn->session || !c->cs) {
        return;
    }
    if (is_lingering(c->cs->state)) {
        end_session(conn);
        return;
    }
    if (conn->session->held && c->cs->state == CONN_STATE_KEEPALIVE &&
        is_between_requests(conn)) {
        slice_reference_drop(conn->session, c);
    }
}

/* An expired or stopped keep-alive connection must not close what has left. */
static int slice_pre_close_connection(conn_rec *c)
{
    struct slice_session *session = session_of(c);

    if (session && !session->held && !slice_reference_take(session)) {
        c->aborted = 1;
    }
    return OK;
}

/*
 * The session that the request names is somewhere, and could not be reached in
 * time: come again, instead of a new session that is empty.
 */
static int slice_post_read_request(request_rec *r)
{
    struct slice_session *session = session_of(r->connection);
    const char *cookie = apr_table_get(r->headers_in, "Cookie");
    struct slice_keys keys = { 0 };

    if (!session || r->main || r->prev) {
        return DECLINED;
    }
    if (cookie) {
        slice_head_cookies((const uint8_t *)cookie, strlen(cookie),
                           slice_child.conf->cookies, &keys);
    }
    if (slice_link_check(session, &keys)) {
        return DECLINED;
    }
    apr_table_setn(r->err_headers_out, "Retry-After", RETRY_AFTER_S);
    return HTTP_SERVICE_UNAVAILABLE;
}

static int slice_fixups(request_rec *r)
{
    conn_rec *c = r->connection->master ? r->connection->master
                                        : r->connection;
    struct slice_session *session = session_of(c);
    char text[SLICE_ID_TEXT_BYTES];

    if (session) {
        slice_id_format(&session->capsule.id, text);
        apr_table_set(r->subprocess_env, "SLICE_CAPSULE_ID", text);
    }
    return DECLINED;
}

/* ---- the server ---- */

static const struct slice_server_conf *conf_of(server_rec *s)
{
    return ap_get_module_config(s->module_config, &slice_module);
}

/* Why the module stands aside: 0 or a negative errno; of the parent. */
static int aside_errno;

/* The listener is needed before sockets are opened, the log not earlier. */
static int slice_check_config(apr_pool_t *pconf, apr_pool_t *plog,
                              apr_pool_t *ptemp, server_rec *s)
{
    const struct slice_server_conf *conf = conf_of(s);
    struct slice_opener *opener;

    slice_listener_forget();
    aside_errno = 0;
    if (!conf->engine ||
        ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_CONFIG_TEST) {
        return OK;
    }
    aside_errno = slice_open(conf->device, &opener);
    if (!aside_errno) {
        slice_close(opener);
        aside_errno = slice_listener_append(s);
    }
    return OK;
}

static int slice_post_config(apr_pool_t *pconf, apr_pool_t *plog,
                             apr_pool_t *ptemp, server_rec *s)
{
    const struct slice_server_conf *conf = conf_of(s);
    struct slice_opener *opener;

    if (!conf->engine ||
        ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    if (!aside_errno) {
        aside_errno = slice_open(conf->device, &opener);
    }
    if (aside_errno) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, APR_FROM_OS_ERROR(-aside_errno),
                     s, "slice: standing aside, no connection is movable: "
                     "cannot use %s", conf->device);
        return OK;
    }
    slice_room_note_config();
    slice_listener_mark_all(opener, s);
    slice_close(opener);
    return OK;
}

/* In the child, still as root: the device may be closed to its user. */
static int slice_drop_privileges(apr_pool_t *pchild, server_rec *s)
{
    int err;

    if (!conf_of(s)->engine) {
        return OK;
    }
    err = slice_open(conf_of(s)->device, &slice_child.opener);
    if (err) {
        slice_child.opener = NULL;
    }
    return OK;
}

static uint64_t abi_hash(server_rec *s)
{
    static const char version[] = AP_SERVER_BASEREVISION;
    const char *tag = conf_of(s)->tag;
    uint64_t hash = slice_hash(SLICE_HASH_SEED, version, sizeof(version));

    return slice_hash(hash, tag, strlen(tag));
}

static void slice_child_init(apr_pool_t *pchild, server_rec *s)
{
    const struct slice_layer_desc desc = {
        .name = "apache",
        .version = SLICE_APACHE_VERSION,
        .rank = SLICE_APACHE_RANK,
        .abi_hash = abi_hash(s),
    };
    int is_async = 0;
    int err;

    if (!slice_child.opener) {
        return;
    }
    ap_mpm_query(AP_MPMQ_IS_ASYNC, &is_async);
    slice_child.is_async = is_async;
    slice_child.server = s;
    slice_child.conf = conf_of(s);
    err = slice_listener_replace(&slice_child);
    if (!err) {
        err = slice_provide(slice_child.opener, &desc, 0);
    }
    if (!err) {
        err = -slice_plug_start(pchild);
    }
    if (err) {
        ap_log_error(APLOG_MARK, APLOG_ERR, APR_FROM_OS_ERROR(-err), s,
                     "slice: cannot provide layer apache: this process's "
                     "connections are not movable");
        return;
    }
    slice_child.provides = true;
    /* A module that cannot be told has no limit. */
    slice_set_room(slice_child.opener, slice_room_of_child(&slice_child));
}

/* ---- directives ---- */

static void *create_server_conf(apr_pool_t *p, server_rec *s)
{
    struct slice_server_conf *conf = apr_pcalloc(p, sizeof(*conf));

    conf->engine = 1;
    conf->device = SLICE_DEVICE;
    conf->tag = "-";
    conf->cookies[0] = "PHPSESSID";
    conf->layer = "php";
    conf->find_ms = FIND_MS_DEFAULT;
    return conf;
}

static struct slice_server_conf *conf_of_command(const cmd_parms *cmd)
{
    return ap_get_module_config(cmd->server->module_config, &slice_module);
}

static const char *set_engine(cmd_parms *cmd, void *dummy, int on)
{
    conf_of_command(cmd)->engine = on;
    return ap_check_cmd_context(cmd, GLOBAL_ONLY);
}

static const char *set_device(cmd_parms *cmd, void *dummy, const char *path)
{
    conf_of_command(cmd)->device = path;
    return ap_check_cmd_context(cmd, GLOBAL_ONLY);
}

static const char *set_tag(cmd_parms *cmd, void *dummy, const char *tag)
{
    conf_of_command(cmd)->tag = tag;
    return ap_check_cmd_context(cmd, GLOBAL_ONLY);
}

static const char *set_cookies(cmd_parms *cmd, void *dummy, int n,
                               char *const names[])
{
    struct slice_server_conf *conf = conf_of_command(cmd);

    if (n < 1 || n > SLICE_HEAD_NAMES_MAX) {
        return "SliceSessionCookie takes one to four names";
    }
    for (int i = 0; i < n; i++) {
        conf->cookies[i] = names[i];
    }
    conf->cookies[n] = NULL;
    return ap_check_cmd_context(cmd, GLOBAL_ONLY);
}

static const char *set_layer(cmd_parms *cmd, void *dummy, const char *name)
{
    if (!*name || strlen(name) >= SLICE_LAYER_NAME_BYTES) {
        return "SliceSessionLayer is a name of at most 15 characters";
    }
    conf_of_command(cmd)->layer = strcmp(name, "-") ? name : NULL;
    return ap_check_cmd_context(cmd, GLOBAL_ONLY);
}

static const char *set_number(uint32_t *to, const char *text, uint32_t most,
                              const char *complaint)
{
    char *end;
    unsigned long long number;

    errno = 0;
    number = strtoull(text, &end, 10);
    if (errno || *text < '0' || *text > '9' || *end || number < 1 ||
        number > most) {
        return complaint;
    }
    *to = (uint32_t)number;
    return NULL;
}

static const char *set_find_timeout(cmd_parms *cmd, void *dummy,
                                    const char *text)
{
    const char *complaint =
        set_number(&conf_of_command(cmd)->find_ms, text, 600000,
                   "SliceFindTimeout is 1 to 600000 milliseconds");

    return complaint ? complaint : ap_check_cmd_context(cmd, GLOBAL_ONLY);
}

static const char *set_room(cmd_parms *cmd, void *dummy, const char *text)
{
    const char *complaint =
        set_number(&conf_of_command(cmd)->room, text, SLICE_ROOM_NO_LIMIT,
                   "SliceRoom is a number of connections");

    return complaint ? complaint : ap_check_cmd_context(cmd, GLOBAL_ONLY);
}

static const command_rec commands[] = {
    AP_INIT_FLAG("SliceEngine", set_engine, NULL, RSRC_CONF,
                 "Off: connections are not movable"),
    AP_INIT_TAKE1("SliceDevice", set_device, NULL, RSRC_CONF,
                  "the device, " SLICE_DEVICE " by default"),
    AP_INIT_TAKE1("SliceTag", set_tag, NULL, RSRC_CONF,
                  "servers exchange connections only if their tags are equal"),
    AP_INIT_TAKE_ARGV("SliceSessionCookie", set_cookies, NULL, RSRC_CONF,
                      "the cookies that name sessions, PHPSESSID by default"),
    AP_INIT_TAKE1("SliceSessionLayer", set_layer, NULL, RSRC_CONF,
                  "the layer that keeps sessions, php by default; -: none"),
    AP_INIT_TAKE1("SliceFindTimeout", set_find_timeout, NULL, RSRC_CONF,
                  "milliseconds that a request waits for its session"),
    AP_INIT_TAKE1("SliceRoom", set_room, NULL, RSRC_CONF,
                  "connections that a child takes from other VMs"),
    { NULL }
};

static void register_hooks(apr_pool_t *p)
{
    static const char *const after_tls[] = { "mod_ssl.c", "mod_http2.c", NULL };

    ap_hook_check_config(slice_check_config, NULL, NULL, APR_HOOK_LAST);
    ap_hook_post_config(slice_post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_drop_privileges(slice_drop_privileges, NULL, NULL,
                            APR_HOOK_REALLY_FIRST);
    ap_hook_child_init(slice_child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_create_connection(slice_create_connection, NULL, NULL,
                              APR_HOOK_REALLY_FIRST);
    ap_hook_pre_connection(slice_pre_connection, after_tls, NULL,
                           APR_HOOK_LAST);
    ap_hook_process_connection(slice_process_connection, NULL, NULL,
                               APR_HOOK_REALLY_FIRST);
    ap_hook_pre_read_request(slice_pre_read_request, NULL, NULL,
                             APR_HOOK_REALLY_FIRST);
    ap_hook_suspend_connection(slice_suspend_connection, NULL, NULL,
                               APR_HOOK_LAST);
    ap_hook_pre_close_connection(slice_pre_close_connection, NULL, NULL,
                                 APR_HOOK_REALLY_FIRST);
    ap_hook_post_read_request(slice_post_read_request, NULL, NULL,
                              APR_HOOK_REALLY_FIRST);
    ap_hook_fixups(slice_fixups, NULL, NULL, APR_HOOK_MIDDLE);
    slice_input_register();
}

AP_DECLARE_MODULE(slice) = {
    STANDARD20_MODULE_STUFF,
    NULL,
    NULL,
    create_server_conf,
    NULL,
    commands,
    register_hooks,
};
