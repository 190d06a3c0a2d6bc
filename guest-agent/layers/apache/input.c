// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * input.c - the filter that reads the socket, and no byte further than it must
 *
 * Core's own input filter reads whatever is there, 8000 bytes at a time; with a
 * request it takes the beginning of the next one out of the kernel, and the
 * connection cannot leave before that is served, too.  So this filter stands in
 * front of core's and reads in its place, each request to its end:
 *
 *	starts	wait for the first byte, peek at the head, find the session,
 *		take the reference			(slice_link_begin)
 *	body	read what certainly belongs to the request; what only its
 *		chunks can tell is peeked at first
 *	over	"is there more?", which Apache asks after each request: no, for
 *		what is in the kernel can travel.  The MPM parks the connection,
 *		sees that it is readable, and begins anew.
 *	beyond	who reads on nevertheless speaks another protocol (WebSocket,
 *		HTTP/2): everything is theirs, and the connection is pinned
 *
 * A head that comes in pieces.  Its first bytes keep the socket readable, so
 * whoever polls it would spin.  SO_RCVLOWAT makes it unreadable until there is
 * one byte more: for our own poll, and for mod_reqtimeout, which polls by itself
 * between attempts that must not block and keeps its time-outs in this way.
 * After HEAD_WAIT_US we stop looking: Apache gets what is there, with its own
 * limits, and link.c's check after it has parsed the request is what is left.
 *
 * Above: Apache's filters.  Below: the socket; core's filter is emptied first.
 * Source: httpd 2.4, server/core_filters.c for what each mode must do.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "apr_portable.h"
#include "http_protocol.h"
#include "util_filter.h"

#include "mod_slice.h"

APLOG_USE_MODULE(slice);

/* What core's filter reads at a time. */
#define BUFFER_BYTES APR_BUCKET_BUFF_SIZE
/* Less than the shortest time-out for heads that mod_reqtimeout comes with. */
#define HEAD_WAIT_US (5 * APR_USEC_PER_SEC)

static ap_filter_rec_t *filter_handle;

/* ---- waiting ---- */

/* @timeout: 0: EAGAIN if it is not readable now; below 0: for ever. */
static apr_status_t wait_readable(const struct slice_conn *conn,
                                  apr_interval_time_t timeout)
{
    struct pollfd pfd = { .fd = conn->fd, .events = POLLIN };
    int n;

    do {
        n = poll(&pfd, 1, timeout < 0 ? -1 : (int)((timeout + 999) / 1000));
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        return APR_SUCCESS;
    }
    if (n < 0) {
        return APR_FROM_OS_ERROR(errno);
    }
    return timeout ? APR_TIMEUP : APR_EAGAIN;
}

static apr_interval_time_t timeout_of(const struct slice_conn *conn,
                                      apr_read_type_e block)
{
    apr_interval_time_t timeout = 0;

    if (block == APR_BLOCK_READ) {
        apr_socket_timeout_get(conn->csd, &timeout);
    }
    return timeout;
}

static void set_lowat(struct slice_conn *conn, int bytes)
{
    if (conn->lowat != bytes &&
        !setsockopt(conn->fd, SOL_SOCKET, SO_RCVLOWAT, &bytes,
                    sizeof(bytes))) {
        conn->lowat = bytes;
    }
}

/* ---- a request starts ---- */

/*
 * Waits for one byte more than the @bytes of an unfinished head.  Success:
 * look again; TIMEUP: go on with what is there; EAGAIN: come again.
 */
static apr_status_t wait_for_more(struct slice_conn *conn, size_t bytes,
                                  apr_read_type_e block)
{
    apr_time_t now = apr_time_now();

    if (!conn->peeked) {
        conn->head_until = now + HEAD_WAIT_US;
    }
    conn->peeked = bytes;
    if (now >= conn->head_until) {
        return APR_TIMEUP;
    }
    set_lowat(conn, (int)bytes + 1);
    return wait_readable(conn, block == APR_BLOCK_READ
                                   ? conn->head_until - now
                                   : 0);
}

/*
 * Fills @head in with the whole head, or with what there is of it where no more
 * is to be had: a broken socket, too long a head, or too slow a one.
 */
static apr_status_t look_at_head(struct slice_conn *conn,
                                 apr_read_type_e block,
                                 struct slice_head *head)
{
    uint8_t data[SLICE_HEAD_BYTES_MAX];
    apr_status_t status = APR_SUCCESS;
    bool waited = false;

    for (;;) {
        ssize_t n = recv(conn->fd, data, sizeof(data),
                         MSG_PEEK | MSG_DONTWAIT);
        size_t bytes = n < 0 ? 0 : (size_t)n;

        if (!slice_head_parse(data, bytes, slice_child.conf->cookies, head) ||
            bytes == 0 || bytes == sizeof(data) ||
            (waited && bytes == conn->peeked)) {
            break;
        }
        status = wait_for_more(conn, bytes, block);
        if (status == APR_EAGAIN) {
            return status;
        }
        if (status != APR_SUCCESS) {
            break;
        }
        waited = true;
    }
    conn->peeked = 0;
    set_lowat(conn, 1);
    return APR_SUCCESS;
}

static apr_status_t begin_request(struct slice_conn *conn,
                                  apr_read_type_e block)
{
    struct slice_session *session = conn->session;
    struct slice_head head;
    apr_status_t status = wait_readable(conn, timeout_of(conn, block));

    if (status == APR_SUCCESS) {
        status = look_at_head(conn, block, &head);
    }
    if (status != APR_SUCCESS) {
        return status;
    }
    if (session && !session->held &&
        !slice_link_begin(session, conn->c, &head.keys)) {
        conn->c->aborted = 1;
        return APR_ECONNABORTED;
    }
    if (session && head.is_http2) {
        slice_reference_pin(session, SLICE_WHY_HTTP2);
    }
    conn->starts = false;
    conn->consumed = false;
    conn->switches = head.switches;
    slice_body_begin(&conn->body, &head);
    return APR_SUCCESS;
}

/* Taking lines leaves empty buckets behind. */
bool slice_input_is_empty(struct slice_conn *conn)
{
    while (!APR_BRIGADE_EMPTY(conn->bb) &&
           APR_BRIGADE_FIRST(conn->bb)->length == 0) {
        apr_bucket_delete(APR_BRIGADE_FIRST(conn->bb));
    }
    return APR_BRIGADE_EMPTY(conn->bb);
}

void slice_input_expect(struct slice_conn *conn)
{
    if (!conn->starts && !conn->consumed) {
        /* mod_http2 has looked at what is to be read now. */
        return;
    }
    if (slice_input_is_empty(conn)) {
        conn->starts = true;
    } else {
        /* Read too far: it can be served here only. */
        conn->body.state = SLICE_BODY_ENDLESS;
    }
}

/* ---- reading ---- */

static void read_beyond(struct slice_conn *conn)
{
    conn->body.state = SLICE_BODY_ENDLESS;
    if (conn->session && conn->switches) {
        bool is_http1 = !strcmp(ap_get_protocol(conn->c), AP_PROTOCOL_HTTP1);

        slice_reference_pin(conn->session, is_http1 ? SLICE_WHY_UPGRADED
                                                    : SLICE_WHY_HTTP2);
    }
}

static apr_status_t failure_of_recv(struct slice_conn *conn, ssize_t n)
{
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return APR_EAGAIN;
    }
    conn->eof = true;
    return n < 0 ? APR_FROM_OS_ERROR(errno) : APR_EOF;
}

/* One bucket of what belongs to the request. */
static apr_status_t receive(struct slice_conn *conn)
{
    apr_bucket_alloc_t *alloc = conn->c->bucket_alloc;
    uint64_t sure = slice_body_sure(&conn->body);
    size_t room = sure && sure < BUFFER_BYTES ? (size_t)sure : BUFFER_BYTES;
    char *buffer = apr_bucket_alloc(BUFFER_BYTES, alloc);
    ssize_t n = recv(conn->fd, buffer, room,
                     MSG_DONTWAIT | (sure ? 0 : MSG_PEEK));
    apr_bucket *bucket;

    if (n > 0) {
        size_t bytes = slice_body_take(&conn->body, (uint8_t *)buffer,
                                       (size_t)n);

        if (!sure) {
            n = recv(conn->fd, buffer, bytes, MSG_DONTWAIT);
        }
    }
    if (n <= 0) {
        apr_status_t status = failure_of_recv(conn, n);

        apr_bucket_free(buffer);
        return status;
    }
    bucket = apr_bucket_heap_create(buffer, (apr_size_t)n, apr_bucket_free,
                                    alloc);
    APR_BRIGADE_INSERT_TAIL(conn->bb, bucket);
    return APR_SUCCESS;
}

static apr_status_t read_some(struct slice_conn *conn, apr_read_type_e block)
{
    apr_status_t status = conn->starts ? begin_request(conn, block)
                                       : APR_SUCCESS;

    while (status == APR_SUCCESS) {
        status = receive(conn);
        if (status != APR_EAGAIN) {
            return status;
        }
        status = wait_readable(conn, timeout_of(conn, block));
    }
    return status;
}

/* Success: there is something in conn->bb. */
static apr_status_t fill(struct slice_conn *conn, ap_input_mode_t mode,
                         apr_read_type_e block, apr_off_t readbytes)
{
    bool is_over = !conn->starts && conn->body.state == SLICE_BODY_OVER;
    bool only_asks = mode == AP_MODE_SPECULATIVE || mode == AP_MODE_EATCRLF;
    apr_off_t bytes;

    if (!slice_input_is_empty(conn)) {
        if (mode == AP_MODE_SPECULATIVE && !conn->starts && !is_over &&
            !conn->eof &&
            apr_brigade_length(conn->bb, 0, &bytes) == APR_SUCCESS &&
            bytes < readbytes) {
            read_some(conn, APR_NONBLOCK_READ);
        }
        return APR_SUCCESS;
    }
    if (conn->eof) {
        return APR_EOF;
    }
    if (is_over && only_asks && block == APR_NONBLOCK_READ) {
        return APR_EAGAIN;
    }
    if (is_over) {
        read_beyond(conn);
    }
    return read_some(conn, block);
}

/* ---- what Apache asks for ---- */

static apr_status_t hand_on(struct slice_conn *conn, apr_bucket_brigade *bb,
                            bool is_copy, apr_off_t readbytes)
{
    apr_bucket *e, *copy, *end;
    apr_status_t status = apr_brigade_partition(conn->bb, readbytes, &end);

    if (status != APR_SUCCESS && status != APR_INCOMPLETE) {
        return status;
    }
    if (!is_copy) {
        while ((e = APR_BRIGADE_FIRST(conn->bb)) != end) {
            APR_BUCKET_REMOVE(e);
            APR_BRIGADE_INSERT_TAIL(bb, e);
        }
        return APR_SUCCESS;
    }
    for (e = APR_BRIGADE_FIRST(conn->bb); e != end; e = APR_BUCKET_NEXT(e)) {
        status = apr_bucket_copy(e, &copy);
        if (status != APR_SUCCESS) {
            return status;
        }
        APR_BRIGADE_INSERT_TAIL(bb, copy);
    }
    return APR_SUCCESS;
}

/* Blank lines behind a request, from clients of another time. */
static apr_status_t eat_line_ends(struct slice_conn *conn)
{
    while (!APR_BRIGADE_EMPTY(conn->bb)) {
        apr_bucket *e = APR_BRIGADE_FIRST(conn->bb);
        const char *data;
        apr_size_t bytes, n = 0;
        apr_status_t status = apr_bucket_read(e, &data, &bytes,
                                              APR_NONBLOCK_READ);

        if (status != APR_SUCCESS) {
            return status;
        }
        while (n < bytes && (data[n] == '\r' || data[n] == '\n')) {
            n++;
        }
        if (n < bytes) {
            if (n) {
                apr_bucket_split(e, n);
                apr_bucket_delete(e);
            }
            return APR_SUCCESS;
        }
        apr_bucket_delete(e);
    }
    return APR_SUCCESS;
}

/*
 * Core's filter makes its state when it is first asked for something, and Apache
 * relies on it when it gives up on a request (ap_read_request).  Asked for all
 * it has, it reads nothing, hands out the socket, and is at its end for good.
 */
static apr_status_t empty_core(ap_filter_t *f)
{
    struct slice_conn *conn = f->ctx;
    apr_status_t status = ap_get_brigade(f->next, conn->bb,
                                         AP_MODE_EXHAUSTIVE,
                                         APR_NONBLOCK_READ, 0);

    apr_brigade_cleanup(conn->bb);
    conn->reads = status == APR_SUCCESS;
    return status;
}

static apr_status_t slice_input_filter(ap_filter_t *f, apr_bucket_brigade *bb,
                                       ap_input_mode_t mode,
                                       apr_read_type_e block,
                                       apr_off_t readbytes)
{
    struct slice_conn *conn = f->ctx;
    apr_status_t status = conn->reads ? APR_SUCCESS : empty_core(f);

    if (mode == AP_MODE_INIT || status != APR_SUCCESS) {
        return status;
    }
    if (mode == AP_MODE_EXHAUSTIVE) {
        return APR_ENOTIMPL;
    }
    status = fill(conn, mode, block, readbytes);
    if (status == APR_EOF && mode == AP_MODE_READBYTES &&
        block == APR_BLOCK_READ) {
        APR_BRIGADE_INSERT_TAIL(bb,
                                apr_bucket_eos_create(f->c->bucket_alloc));
        return APR_SUCCESS;
    }
    if (status != APR_SUCCESS) {
        return status;
    }
    switch (mode) {
    case AP_MODE_GETLINE:
        conn->consumed = true;
        return apr_brigade_split_line(bb, conn->bb, APR_NONBLOCK_READ,
                                      HUGE_STRING_LEN);
    case AP_MODE_EATCRLF:
        return eat_line_ends(conn);
    default:
        conn->consumed |= mode == AP_MODE_READBYTES;
        return hand_on(conn, bb, mode == AP_MODE_SPECULATIVE, readbytes);
    }
}

void slice_input_register(void)
{
    /* Directly above the filter that would read the socket. */
    filter_handle = ap_register_input_filter("SLICE_IN", slice_input_filter,
                                             NULL, AP_FTYPE_NETWORK - 1);
}

struct slice_conn *slice_input_add(conn_rec *c, apr_socket_t *csd,
                                   struct slice_session *session)
{
    struct slice_conn *conn = apr_pcalloc(c->pool, sizeof(*conn));
    apr_os_sock_t fd = -1;

    apr_os_sock_get(&fd, csd);
    conn->c = c;
    conn->session = session;
    conn->csd = csd;
    conn->fd = fd;
    conn->bb = apr_brigade_create(c->pool, c->bucket_alloc);
    conn->starts = true;
    /* One that was plugged comes with what its last VM waited for. */
    set_lowat(conn, 1);
    ap_add_input_filter_handle(filter_handle, conn, NULL, c);
    return conn;
}
