/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http.h - a keep-alive HTTP/1.1 client that hides nothing
 *
 * One connection, plain sockets.  It never reconnects, retries or forgives: the
 * first thing that is not as it should be is an error, and the connection is of
 * no use afterwards.  Times are of the monotonic clock, in nanoseconds.
 */
#ifndef SLICE_TESTS_HTTP_H
#define SLICE_TESTS_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#define HTTP_ERROR (http_error_quark())
GQuark http_error_quark(void);

typedef enum HttpError {
    HTTP_ERROR_CONNECT,
    HTTP_ERROR_CLOSED,          /* end, reset or another error of the socket */
    HTTP_ERROR_TIMEOUT,
    HTTP_ERROR_SYNTAX,          /* not an HTTP answer */
} HttpError;

typedef struct HttpConnection HttpConnection;

/**
 * struct HttpResponse - one answer; http_response_clear() frees what it holds
 * @status: e.g. 200
 * @sent_ns: when the request's last byte had been given to the kernel
 * @first_ns, @done_ns: when the first and the last byte had been read
 * @longest_gap_ns: the longest wait for more within the answer
 * @body_bytes: length of the body
 * @body_sha256: hexadecimal digest of the body
 * @body: the body's beginning, at most 4096 bytes, terminated
 */
typedef struct HttpResponse {
    unsigned int status;
    int64_t sent_ns, first_ns, done_ns, longest_gap_ns;
    uint64_t body_bytes;
    char *body_sha256;
    char body[4097];
    GHashTable *headers;        /* lower-case name -> value */
} HttpResponse;

int64_t http_now_ns(void);

/**
 * http_connection_new: connect
 * @fd: a TCP socket not yet connected, which the connection takes over
 */
HttpConnection *http_connection_new(int fd, const char *address, uint16_t port,
                                    unsigned int timeout_ms, GError **error);
void http_connection_free(HttpConnection *http);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HttpConnection, http_connection_free)

int http_connection_fd(HttpConnection *http);
/** http_local_port: the client's port, which must stay the same all along. */
uint16_t http_local_port(HttpConnection *http);

/** http_send: a GET request with the session's cookie, once there is one. */
bool http_send(HttpConnection *http, const char *path, GError **error);
/**
 * http_request: the text of a request, with the session's cookie
 * @method: e.g. "POST"
 * @headers: more of them, each with its CR LF; "" for none
 *
 * For a caller who says it with http_send_bytes in pieces, or several at once.
 */
char *http_request(HttpConnection *http, const char *method, const char *path,
                   const char *headers);
/** http_send_bytes: some of a request, or of its body. */
bool http_send_bytes(HttpConnection *http, const void *data, size_t bytes, GError **error);
/** http_wait_closed: until the server closes, with nothing said before that. */
bool http_wait_closed(HttpConnection *http, unsigned int timeout_ms, GError **error);
/** http_cookie: of the session, NULL while there is none; http_set_cookie: go on
 *  with a session of another connection. */
const char *http_cookie(HttpConnection *http);
void http_set_cookie(HttpConnection *http, const char *cookie);
/** http_receive: the answer to the oldest request not yet answered. */
bool http_receive(HttpConnection *http, unsigned int timeout_ms,
                  HttpResponse *ret_response, GError **error);
/** http_get: both. */
bool http_get(HttpConnection *http, const char *path, unsigned int timeout_ms,
              HttpResponse *ret_response, GError **error);

/** http_response_header: NULL where there is none of this lower-case name. */
const char *http_response_header(const HttpResponse *response, const char *name);
void http_response_clear(HttpResponse *response);

/**
 * http_check_page: is it what the demo's pages answer?
 * @last_counter: (inout): of this connection's session; must rise by one
 *
 * Checks status, counter and the digest of the body.
 */
bool http_check_page(const HttpResponse *response, uint64_t *last_counter, GError **error);

#endif /* SLICE_TESTS_HTTP_H */
