// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * client.c - the demo's client: sessions that click without pause (slice-client)
 *
 * usage: slice-client ADDRESS PORT HISTORY KIND...
 *
 * One session for each KIND, one connection and one thread for each session:
 *
 *   click   small pages, one after the other
 *   slow    pages that take 100 to 400 ms to make
 *   large   pages of 256 KB to 2 MB
 *   idle    small pages with a pause of 100 to 500 ms between them
 *
 * Nothing is ever retried: a session's first error is its last event.  Each
 * reply is checked: the counter must rise by exactly one, the body must match
 * its digest, the connection stays the same.
 *
 * It writes "open NUMBER KIND PORT" lines to standard output when all sessions
 * have had their first answer.  "tail N" on standard input makes each session
 * do N more requests and close; then "done ERRORS" is written.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http.h"

/* Far beyond what any page takes; a move that hangs ends here. */
#define REQUEST_TIMEOUT_MS 30000

/* Little enough that the lab's switch, which shares two cores with everything
 * else, need not drop a burst; so a retransmission means something. */
#define RECEIVE_BYTES 32768

typedef struct Session {
    unsigned int number;
    const char *kind;
    HttpConnection *http;
    GRand *random;
    uint64_t counter;
    unsigned int n_requests;
    bool failed;
    GThread *thread;
} Session;

static FILE *history;
static const char *server_address;
static uint16_t server_port;
static int tail_event = -1;             /* readable when the tail was asked for */
static gint tail_requests;              /* -1 until then */
static GMutex mutex;
static GCond opened;
static unsigned int n_opened;

static void write_history(const char *format, ...) G_GNUC_PRINTF(1, 2);

static void write_history(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_mutex_lock(&mutex);
    vfprintf(history, format, args);
    g_mutex_unlock(&mutex);
    va_end(args);
}

static void write_clock(void)
{
    struct timespec real;
    int64_t monotonic = http_now_ns();

    clock_gettime(CLOCK_REALTIME, &real);
    write_history("clock\t%" PRId64 "\t%" PRId64 "\n", monotonic,
                  real.tv_sec * INT64_C(1000000000) + real.tv_nsec);
}

static char *next_page(Session *session)
{
    if (!strcmp(session->kind, "slow")) {
        return g_strdup_printf("/slow.php?ms=%d", g_rand_int_range(session->random, 2, 9) * 50);
    }
    if (!strcmp(session->kind, "large")) {
        return g_strdup_printf("/large.php?kb=%d", 256 << g_rand_int_range(session->random, 0, 4));
    }
    return g_strdup("/count.php");
}

/* An idle session's pause, which the tail cuts short. */
static void pause_between(Session *session)
{
    struct pollfd entry = { tail_event, POLLIN, 0 };

    if (!strcmp(session->kind, "idle")) {
        poll(&entry, 1, g_rand_int_range(session->random, 100, 500));
    }
}

static bool click(Session *session, GError **error)
{
    g_autofree char *page = next_page(session);
    HttpResponse response;
    bool ok = http_get(session->http, page, REQUEST_TIMEOUT_MS, &response, error) &&
              http_check_page(&response, &session->counter, error);

    if (ok) {
        const char *vm = http_response_header(&response, "x-vm");

        session->n_requests++;
        write_history("request\t%u\t%u\t%s\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64
                      "\t%" PRIu64 "\t%s\t%" PRIu64 "\n",
                      session->number, session->n_requests, page, response.sent_ns,
                      response.first_ns, response.done_ns, response.longest_gap_ns,
                      session->counter, vm ? vm : "?", response.body_bytes);
    }
    http_response_clear(&response);
    return ok;
}

static bool open_session(Session *session, GError **error)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), bytes = RECEIVE_BYTES;

    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    session->http = http_connection_new(fd, server_address, server_port, REQUEST_TIMEOUT_MS,
                                        error);
    return session->http != NULL;
}

static void report_open(Session *session)
{
    g_mutex_lock(&mutex);
    n_opened++;
    g_cond_signal(&opened);
    g_mutex_unlock(&mutex);
}

static void run_session(Session *session, GError **error)
{
    int left = -1;

    if (!click(session, error)) {
        return;
    }
    report_open(session);
    while (left != 0) {
        pause_between(session);
        if (left < 0) {
            left = g_atomic_int_get(&tail_requests);
        }
        if (left != 0 && !click(session, error)) {
            return;
        }
        left -= left > 0;
    }
}

static gpointer session_main(gpointer opaque)
{
    Session *session = opaque;
    g_autoptr(GError) error = NULL;

    run_session(session, &error);
    if (error) {
        session->failed = true;
        g_strdelimit(error->message, "\t\n", ' ');
        write_history("error\t%u\t%" PRId64 "\t%s\n", session->number, http_now_ns(),
                      error->message);
        if (session->n_requests == 0) {
            report_open(session);
        }
    }
    write_history("closed\t%u\t%" PRId64 "\t%u\n", session->number, http_now_ns(),
                  session->n_requests);
    http_connection_free(session->http);
    return NULL;
}

static bool start_sessions(Session *sessions, unsigned int n, char **kinds)
{
    for (unsigned int i = 0; i < n; i++) {
        g_autoptr(GError) error = NULL;

        sessions[i] = (Session){ .number = i, .kind = kinds[i], .random = g_rand_new_with_seed(i + 1) };
        if (!open_session(&sessions[i], &error)) {
            fprintf(stderr, "slice-client: %s\n", error->message);
            return false;
        }
        write_history("session\t%u\t%s\t%u\n", i, kinds[i], http_local_port(sessions[i].http));
    }
    for (unsigned int i = 0; i < n; i++) {
        sessions[i].thread = g_thread_new(kinds[i], session_main, &sessions[i]);
    }
    g_mutex_lock(&mutex);
    while (n_opened < n) {
        g_cond_wait(&opened, &mutex);
    }
    g_mutex_unlock(&mutex);
    return true;
}

/* Until the director says how long the tail is; its end means zero. */
static int wait_for_tail(void)
{
    char line[64];
    int n = 0;

    while (fgets(line, sizeof(line), stdin)) {
        if (sscanf(line, "tail %d", &n) == 1) {
            break;
        }
    }
    return MAX(n, 0);
}

int main(int argc, char **argv)
{
    unsigned int n = argc > 4 ? argc - 4 : 0, n_failed = 0;
    g_autofree Session *sessions = g_new0(Session, n);

    if (n == 0) {
        fprintf(stderr, "usage: slice-client ADDRESS PORT HISTORY KIND...\n");
        return 2;
    }
    server_address = argv[1];
    server_port = strtoul(argv[2], NULL, 10);
    history = fopen(argv[3], "we");
    tail_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    g_atomic_int_set(&tail_requests, -1);
    if (!history) {
        perror(argv[3]);
        return 1;
    }
    setvbuf(history, NULL, _IOLBF, 0);
    write_clock();
    if (!start_sessions(sessions, n, argv + 4)) {
        return 1;
    }
    for (unsigned int i = 0; i < n; i++) {
        printf("open %u %s %u\n", i, sessions[i].kind, http_local_port(sessions[i].http));
    }
    fflush(stdout);

    g_atomic_int_set(&tail_requests, wait_for_tail());
    eventfd_write(tail_event, 1);
    for (unsigned int i = 0; i < n; i++) {
        g_thread_join(sessions[i].thread);
        n_failed += sessions[i].failed;
    }
    write_clock();
    fclose(history);
    printf("done %u\n", n_failed);
    return n_failed ? 1 : 0;
}
