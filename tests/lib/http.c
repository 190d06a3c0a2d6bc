// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * http.c - a keep-alive HTTP/1.1 client that hides nothing
 *
 * Source: RFC 9112 (message format, chunked coding).
 */
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD_BYTES_MAX 65536

G_DEFINE_QUARK(slice-http-error, http_error)

struct HttpConnection {
    int fd;
    uint16_t port;
    char *host;
    char *cookie;               /* "NAME=VALUE", or NULL */
    char *inbox;
    size_t inbox_at, inbox_bytes;
    int64_t sent_ns;
};

#define INBOX_BYTES 65536

int64_t http_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static bool fail(GError **error, HttpError code, const char *what)
{
    g_set_error(error, HTTP_ERROR, code, "%s", what);
    return false;
}

static bool wait_for(HttpConnection *http, short events, int64_t deadline_ns, GError **error)
{
    struct pollfd entry = { http->fd, events, 0 };
    int n;

    do {
        int64_t left = deadline_ns - http_now_ns();

        n = poll(&entry, 1, left > 0 ? left / 1000000 + 1 : 0);
    } while (n < 0 && errno == EINTR);
    return n > 0 || fail(error, HTTP_ERROR_TIMEOUT, "no answer in time");
}

HttpConnection *http_connection_new(int fd, const char *address, uint16_t port,
                                    unsigned int timeout_ms, GError **error)
{
    struct sockaddr_in to4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) }, local;
    bool is_ipv6 = inet_pton(AF_INET6, address, &to6.sin6_addr) == 1;
    struct timeval timeout = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
    struct timeval none = { 0, 0 };
    socklen_t length = sizeof(local);
    HttpConnection *http;

    inet_pton(AF_INET, address, &to4.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    if (connect(fd, is_ipv6 ? (struct sockaddr *)&to6 : (struct sockaddr *)&to4,
                is_ipv6 ? sizeof(to6) : sizeof(to4)) ||
        getsockname(fd, (struct sockaddr *)&local, &length)) {
        g_set_error(error, HTTP_ERROR, HTTP_ERROR_CONNECT, "connecting to %s:%u: %s", address,
                    port, g_strerror(errno));
        close(fd);
        return NULL;
    }
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none));
    http = g_new0(HttpConnection, 1);
    http->fd = fd;
    /* It is in the same place for both. */
    http->port = ntohs(local.sin6_port);
    http->host = g_strdup_printf(is_ipv6 ? "[%s]" : "%s", address);
    http->inbox = g_malloc(INBOX_BYTES);
    return http;
}

void http_connection_free(HttpConnection *http)
{
    if (!http) {
        return;
    }
    close(http->fd);
    g_free(http->host);
    g_free(http->cookie);
    g_free(http->inbox);
    g_free(http);
}

int http_connection_fd(HttpConnection *http)
{
    return http->fd;
}

uint16_t http_local_port(HttpConnection *http)
{
    return http->port;
}

char *http_request(HttpConnection *http, const char *method, const char *path,
                   const char *headers)
{
    return g_strdup_printf("%s %s HTTP/1.1\r\nHost: %s\r\n%s%s%s%s\r\n", method, path,
                           http->host, http->cookie ? "Cookie: " : "",
                           http->cookie ? http->cookie : "", http->cookie ? "\r\n" : "", headers);
}

bool http_send_bytes(HttpConnection *http, const void *data, size_t bytes, GError **error)
{
    ssize_t n = send(http->fd, data, bytes, MSG_NOSIGNAL);

    http->sent_ns = http_now_ns();
    if (n != (ssize_t)bytes) {
        g_set_error(error, HTTP_ERROR, HTTP_ERROR_CLOSED, "sending a request: %s",
                    n < 0 ? g_strerror(errno) : "not all of it");
        return false;
    }
    return true;
}

bool http_send(HttpConnection *http, const char *path, GError **error)
{
    g_autofree char *text = http_request(http, "GET", path, "");

    return http_send_bytes(http, text, strlen(text), error);
}

bool http_wait_closed(HttpConnection *http, unsigned int timeout_ms, GError **error)
{
    char byte;
    ssize_t n;

    if (http->inbox_at < http->inbox_bytes) {
        return fail(error, HTTP_ERROR_SYNTAX, "more was said than asked for");
    }
    if (!wait_for(http, POLLIN, http_now_ns() + timeout_ms * 1000000LL, error)) {
        return false;
    }
    n = recv(http->fd, &byte, 1, 0);
    if (n) {
        g_set_error(error, HTTP_ERROR, n < 0 ? HTTP_ERROR_CLOSED : HTTP_ERROR_SYNTAX,
                    "instead of a close: %s", n < 0 ? g_strerror(errno) : "a byte");
    }
    return n == 0;
}

const char *http_cookie(HttpConnection *http)
{
    return http->cookie;
}

void http_set_cookie(HttpConnection *http, const char *cookie)
{
    g_free(http->cookie);
    http->cookie = g_strdup(cookie);
}

/* What one answer is read with. */
typedef struct Reader {
    HttpConnection *http;
    HttpResponse *response;
    int64_t deadline_ns, last_ns;
    GChecksum *digest;
} Reader;

static bool fill(Reader *reader, GError **error)
{
    HttpConnection *http = reader->http;
    int64_t now;
    ssize_t n;

    if (!wait_for(http, POLLIN, reader->deadline_ns, error)) {
        return false;
    }
    n = recv(http->fd, http->inbox, INBOX_BYTES, 0);
    now = http_now_ns();
    if (n <= 0) {
        g_set_error(error, HTTP_ERROR, HTTP_ERROR_CLOSED, "reading an answer: %s",
                    n < 0 ? g_strerror(errno) : "the server closed the connection");
        return false;
    }
    if (reader->last_ns) {
        reader->response->longest_gap_ns = MAX(reader->response->longest_gap_ns,
                                               now - reader->last_ns);
    } else {
        reader->response->first_ns = now;
    }
    reader->last_ns = now;
    http->inbox_at = 0;
    http->inbox_bytes = n;
    return true;
}

static bool next_byte(Reader *reader, char *ret, GError **error)
{
    HttpConnection *http = reader->http;

    if (http->inbox_at == http->inbox_bytes && !fill(reader, error)) {
        return false;
    }
    if (!reader->last_ns) {
        reader->last_ns = reader->response->first_ns = http_now_ns();
    }
    *ret = http->inbox[http->inbox_at++];
    return true;
}

/* A line without its end, which must be CR LF. */
static bool read_line(Reader *reader, GString *line, GError **error)
{
    g_string_truncate(line, 0);
    for (;;) {
        char c;

        if (!next_byte(reader, &c, error)) {
            return false;
        }
        if (c == '\n') {
            if (!line->len || line->str[line->len - 1] != '\r') {
                return fail(error, HTTP_ERROR_SYNTAX, "a line ends without CR");
            }
            g_string_truncate(line, line->len - 1);
            return true;
        }
        g_string_append_c(line, c);
        if (line->len > HEAD_BYTES_MAX) {
            return fail(error, HTTP_ERROR_SYNTAX, "a header is too long");
        }
    }
}

static bool read_bytes(Reader *reader, uint64_t left, GError **error)
{
    HttpConnection *http = reader->http;
    HttpResponse *response = reader->response;

    while (left) {
        size_t n;

        if (http->inbox_at == http->inbox_bytes && !fill(reader, error)) {
            return false;
        }
        n = MIN(left, http->inbox_bytes - http->inbox_at);
        g_checksum_update(reader->digest, (guchar *)http->inbox + http->inbox_at, n);
        if (response->body_bytes < sizeof(response->body) - 1) {
            memcpy(response->body + response->body_bytes, http->inbox + http->inbox_at,
                   MIN(n, sizeof(response->body) - 1 - response->body_bytes));
        }
        response->body_bytes += n;
        http->inbox_at += n;
        left -= n;
    }
    return true;
}

static bool read_chunks(Reader *reader, GError **error)
{
    g_autoptr(GString) line = g_string_new("");
    uint64_t bytes;

    do {
        char *end;

        if (!read_line(reader, line, error)) {
            return false;
        }
        bytes = g_ascii_strtoull(line->str, &end, 16);
        if (end == line->str || (*end && *end != ';')) {
            return fail(error, HTTP_ERROR_SYNTAX, "a chunk without a length");
        }
        if (!read_bytes(reader, bytes, error) || !read_line(reader, line, error)) {
            return false;
        }
        if (line->len) {
            return fail(error, HTTP_ERROR_SYNTAX, "a chunk is longer than it says");
        }
    } while (bytes);
    return true;
}

static bool read_head(Reader *reader, GError **error)
{
    HttpResponse *response = reader->response;
    g_autoptr(GString) line = g_string_new("");

    if (!read_line(reader, line, error)) {
        return false;
    }
    if (!g_str_has_prefix(line->str, "HTTP/1.1 ")) {
        g_set_error(error, HTTP_ERROR, HTTP_ERROR_SYNTAX, "not a status line: %.80s", line->str);
        return false;
    }
    response->status = strtoul(line->str + 9, NULL, 10);
    for (;;) {
        char *colon;

        if (!read_line(reader, line, error)) {
            return false;
        }
        if (!line->len) {
            return true;
        }
        colon = strchr(line->str, ':');
        if (!colon) {
            g_set_error(error, HTTP_ERROR, HTTP_ERROR_SYNTAX, "not a header: %.80s", line->str);
            return false;
        }
        g_hash_table_insert(response->headers, g_ascii_strdown(line->str, colon - line->str),
                            g_strstrip(g_strdup(colon + 1)));
    }
}

static void keep_cookie(HttpConnection *http, const HttpResponse *response)
{
    const char *value = http_response_header(response, "set-cookie");

    if (value) {
        g_free(http->cookie);
        http->cookie = g_strndup(value, strcspn(value, ";"));
    }
}

static bool read_body(Reader *reader, GError **error)
{
    const char *coding = http_response_header(reader->response, "transfer-encoding");
    const char *length = http_response_header(reader->response, "content-length");

    if (coding && !g_ascii_strcasecmp(coding, "chunked")) {
        return read_chunks(reader, error);
    }
    if (length) {
        return read_bytes(reader, g_ascii_strtoull(length, NULL, 10), error);
    }
    return fail(error, HTTP_ERROR_SYNTAX, "an answer without a length");
}

bool http_receive(HttpConnection *http, unsigned int timeout_ms,
                  HttpResponse *ret_response, GError **error)
{
    Reader reader = {
        http, ret_response, http_now_ns() + timeout_ms * 1000000LL, 0,
        g_checksum_new(G_CHECKSUM_SHA256)
    };
    bool ok;

    memset(ret_response, 0, sizeof(*ret_response));
    ret_response->sent_ns = http->sent_ns;
    ret_response->headers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    ok = read_head(&reader, error) && read_body(&reader, error);
    ret_response->done_ns = http_now_ns();
    ret_response->body_sha256 = g_strdup(g_checksum_get_string(reader.digest));
    g_checksum_free(reader.digest);
    keep_cookie(http, ret_response);
    return ok;
}

bool http_get(HttpConnection *http, const char *path, unsigned int timeout_ms,
              HttpResponse *ret_response, GError **error)
{
    memset(ret_response, 0, sizeof(*ret_response));
    return http_send(http, path, error) && http_receive(http, timeout_ms, ret_response, error);
}

const char *http_response_header(const HttpResponse *response, const char *name)
{
    return g_hash_table_lookup(response->headers, name);
}

void http_response_clear(HttpResponse *response)
{
    g_clear_pointer(&response->headers, g_hash_table_unref);
    g_clear_pointer(&response->body_sha256, g_free);
}

bool http_check_page(const HttpResponse *response, uint64_t *last_counter, GError **error)
{
    const char *counter = http_response_header(response, "x-counter");
    const char *digest = http_response_header(response, "x-body-sha256");
    uint64_t value;

    if (response->status != 200 || !counter || !digest) {
        const char *retry = http_response_header(response, "retry-after");

        g_set_error(error, HTTP_ERROR, HTTP_ERROR_SYNTAX,
                    "status %u, counter %s, retry-after %s: %.200s", response->status,
                    counter ? counter : "missing", retry ? retry : "missing", response->body);
        return false;
    }
    value = g_ascii_strtoull(counter, NULL, 10);
    if (value != *last_counter + 1) {
        g_set_error(error, HTTP_ERROR, HTTP_ERROR_SYNTAX,
                    "the session's counter is %" G_GUINT64_FORMAT " after %" G_GUINT64_FORMAT,
                    value, *last_counter);
        return false;
    }
    if (strcmp(digest, response->body_sha256)) {
        g_set_error(error, HTTP_ERROR, HTTP_ERROR_SYNTAX,
                    "a body of %" G_GUINT64_FORMAT " bytes differs from its digest",
                    response->body_bytes);
        return false;
    }
    *last_counter = value;
    return true;
}
