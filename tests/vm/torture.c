// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * torture.c - see torture.h
 */
#include "torture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK_BYTES 65536
#define SLOW_MS 5
/* Without any progress for so long the connection hangs. */
#define STALL_US (90 * G_USEC_PER_SEC)

struct Torture {
    Cluster *cluster;
    TortureSpec spec;
    struct TortureHeader header;
    struct TortureReport report;
    int fd;
    uint16_t port;
    int wake;
    GThread *thread;
    /* Under the lock. */
    GMutex lock;
    GCond changed;
    bool reads, over;
    uint64_t n_sent, n_read;
    char *error;
    /* The thread's own. */
    size_t n_header, n_report;
    bool shut, at_end;
};

static void fail(Torture *t, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void fail(Torture *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_mutex_lock(&t->lock);
    if (!t->error) {
        t->error = g_strdup_vprintf(format, args);
    }
    g_mutex_unlock(&t->lock);
    va_end(args);
}

static bool has_failed(Torture *t)
{
    bool failed;

    g_mutex_lock(&t->lock);
    failed = t->error != NULL;
    g_mutex_unlock(&t->lock);
    return failed;
}

static void add_to(Torture *t, uint64_t *count, uint64_t n)
{
    g_mutex_lock(&t->lock);
    *count += n;
    g_cond_broadcast(&t->changed);
    g_mutex_unlock(&t->lock);
}

/* ---- the connection's thread ---- */

static bool has_report(const Torture *t)
{
    return !(t->spec.flags & TORTURE_SHUT_WRITING);
}

static bool has_sent_all(const Torture *t)
{
    return t->n_header == sizeof(t->header) && t->n_sent == t->spec.to_server;
}

static bool has_read_all(const Torture *t)
{
    return t->n_read == t->spec.to_client &&
           (has_report(t) ? t->n_report == sizeof(t->report) : t->at_end);
}

static ssize_t send_some(Torture *t)
{
    static _Thread_local uint8_t data[CHUNK_BYTES];
    size_t bytes = MIN(sizeof(data), t->spec.to_server - t->n_sent);
    ssize_t n;

    if (t->n_header < sizeof(t->header)) {
        n = send(t->fd, (uint8_t *)&t->header + t->n_header, sizeof(t->header) - t->n_header,
                 MSG_NOSIGNAL);
        t->n_header += MAX(n, 0);
        return n;
    }
    for (size_t i = 0; i < bytes; i++) {
        data[i] = torture_byte(t->header.salt, t->n_sent + i);
    }
    n = send(t->fd, data, bytes, MSG_NOSIGNAL);
    add_to(t, &t->n_sent, MAX(n, 0));
    return n;
}

static ssize_t read_some(Torture *t)
{
    static _Thread_local uint8_t data[CHUNK_BYTES];
    size_t room = t->spec.read_at_once ? MIN(t->spec.read_at_once, sizeof(data)) : sizeof(data);
    uint64_t left = t->spec.to_client - t->n_read;
    ssize_t n = recv(t->fd, data, room, 0);
    size_t numbered = MIN((uint64_t)MAX(n, 0), left), rest = MAX(n, 0) - numbered;

    for (size_t i = 0; i < numbered; i++) {
        if (data[i] != torture_byte(t->header.salt + 1, t->n_read + i)) {
            fail(t, "byte %" G_GUINT64_FORMAT " is not as it was sent", t->n_read + i);
            return n;
        }
    }
    if (rest > sizeof(t->report) - t->n_report || (rest && !has_report(t))) {
        fail(t, "%zu bytes more than there should be", rest);
        return n;
    }
    memcpy((uint8_t *)&t->report + t->n_report, data + numbered, rest);
    t->n_report += rest;
    if (n == 0) {
        t->at_end = true;
        if (t->n_read < t->spec.to_client || has_report(t)) {
            fail(t, "the server closed after %" G_GUINT64_FORMAT " bytes", t->n_read);
        }
    }
    add_to(t, &t->n_read, numbered);
    return n;
}

static void check(Torture *t, ssize_t n, const char *what)
{
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        fail(t, "%s after %" G_GUINT64_FORMAT " bytes sent, %" G_GUINT64_FORMAT " read: %s", what,
             t->n_sent, t->n_read, g_strerror(errno));
    }
}

/* One turn: wait for what is possible, do it. Returns whether anything moved. */
static bool turn(Torture *t)
{
    struct pollfd fds[2] = { { t->fd, 0, 0 }, { t->wake, POLLIN, 0 } };
    uint64_t before = t->n_sent + t->n_read + t->n_header + t->n_report + t->shut + t->at_end;
    uint64_t count;
    bool reads;

    g_mutex_lock(&t->lock);
    reads = t->reads && !t->at_end && !has_read_all(t);
    g_mutex_unlock(&t->lock);
    if (has_sent_all(t) && !t->shut && (t->spec.shuts || has_read_all(t))) {
        shutdown(t->fd, SHUT_WR);
        t->shut = true;
    }
    fds[0].events = (reads ? POLLIN : 0) | (has_sent_all(t) ? 0 : POLLOUT);
    poll(fds, 2, 1000);
    while (read(t->wake, &count, sizeof(count)) > 0) {
        continue;
    }
    if (fds[0].revents & POLLOUT) {
        check(t, send_some(t), "sending");
    }
    if (reads && fds[0].revents & (POLLIN | POLLHUP | POLLERR)) {
        check(t, read_some(t), "reading");
        if (t->spec.read_at_once) {
            poll(&fds[1], 1, SLOW_MS);  /* what makes it a slow reader */
        }
    }
    return before != t->n_sent + t->n_read + t->n_header + t->n_report + t->shut + t->at_end;
}

static gpointer run(gpointer opaque)
{
    Torture *t = opaque;
    gint64 last_us = g_get_monotonic_time();

    while (!has_failed(t) && !(has_sent_all(t) && has_read_all(t) && t->shut)) {
        if (turn(t)) {
            last_us = g_get_monotonic_time();
        } else if (g_get_monotonic_time() - last_us > STALL_US) {
            fail(t, "nothing moves after %" G_GUINT64_FORMAT " bytes sent, %" G_GUINT64_FORMAT
                 " read", t->n_sent, t->n_read);
        }
    }
    g_mutex_lock(&t->lock);
    t->over = true;
    g_cond_broadcast(&t->changed);
    g_mutex_unlock(&t->lock);
    return NULL;
}

/* ---- what the tests see ---- */

/* A server that a test before this one has left may have been released: it goes. */
void torture_serve(Cluster *cluster)
{
    g_autoptr(GError) error = NULL;

    for (int i = 0; i < N_VMS; i++) {
        g_autofree char *output = lab_vm_shell(
            cluster->vms[i],
            /* A small guest allows small buffers; a plug keeps to what is allowed. */
            "pkill -x slice-guest-tor; while pgrep -x slice-guest-tor; do :; done;"
            " rm -f /run/torture.out;"
            "cd /proc/sys/net/ipv4; echo 4096 131072 16777216 >tcp_rmem;"
            " echo 4096 131072 16777216 >tcp_wmem;"
            "/usr/libexec/slice/slice-guest-torture >/run/torture.out 2>&1 </dev/null &"
            "while ! grep -q . /run/torture.out; do :; done; grep -q listening /run/torture.out ||"
            " { cat /run/torture.out; exit 1; }", &error);

        g_assert_no_error(error);
    }
}

void torture_release(Cluster *cluster)
{
    g_autoptr(GError) error = NULL;

    for (int i = 0; i < N_VMS; i++) {
        g_autofree char *output = lab_vm_shell(cluster->vms[i],
                                               "pkill -USR1 -x slice-guest-tor", &error);

        g_assert_no_error(error);
    }
}

static void connect_to(Torture *t, Cluster *cluster)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(TORTURE_PORT) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(TORTURE_PORT) }, own;
    socklen_t bytes = sizeof(own);
    g_autoptr(GError) error = NULL;

    t->fd = t->spec.is_ipv6 ? lab_client_socket6(cluster->client, &error)
                            : lab_client_socket(cluster->client, &error);
    g_assert_no_error(error);
    if (t->spec.receive_bytes) {
        setsockopt(t->fd, SOL_SOCKET, SO_RCVBUF, &t->spec.receive_bytes,
                   sizeof(t->spec.receive_bytes));
    }
    inet_pton(AF_INET, LAB_CLUSTER_ADDRESS, &v4.sin_addr);
    inet_pton(AF_INET6, LAB_CLUSTER_ADDRESS6, &v6.sin6_addr);
    if (t->spec.is_ipv6 ? connect(t->fd, (struct sockaddr *)&v6, sizeof(v6))
                        : connect(t->fd, (struct sockaddr *)&v4, sizeof(v4))) {
        g_error("connecting to the torture server: %s", g_strerror(errno));
    }
    getsockname(t->fd, (struct sockaddr *)&own, &bytes);
    t->port = ntohs(own.sin6_port);     /* it is in the same place for both */
    fcntl(t->fd, F_SETFL, O_NONBLOCK);
}

Torture *torture_new(Cluster *cluster, const TortureSpec *spec)
{
    Torture *t = g_new0(Torture, 1);

    t->cluster = cluster;
    t->spec = *spec;
    t->reads = !spec->waits;
    t->header = (struct TortureHeader){
        .magic = TORTURE_MAGIC, .flags = spec->flags, .to_server = spec->to_server,
        .to_client = spec->to_client, .salt = g_test_rand_int(), .send_bytes = spec->send_bytes,
    };
    g_mutex_init(&t->lock);
    g_cond_init(&t->changed);
    t->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    connect_to(t, cluster);
    t->thread = g_thread_new("torture", run, t);
    return t;
}

uint16_t torture_port(Torture *t)
{
    return t->port;
}

LabSlice *torture_slice(Cluster *cluster, Torture *t)
{
    gint64 deadline = g_get_monotonic_time() + TEST_TIMEOUT_MS * 1000LL;
    g_autoptr(GError) error = NULL;
    LabSlice *slice;

    /* Until the server has linked its capsule, the slice has another id. */
    for (;;) {
        slice = lab_slice_find(cluster->lab, t->port, &error);
        g_assert_no_error(error);
        if (!strcmp(slice->label, "torture")) {
            return slice;
        }
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        lab_slice_free(slice);
    }
}

void torture_read(Torture *t)
{
    uint64_t one = 1;

    g_mutex_lock(&t->lock);
    t->reads = true;
    g_mutex_unlock(&t->lock);
    g_assert_cmpint(write(t->wake, &one, sizeof(one)), ==, sizeof(one));
}

static uint64_t look_at(Torture *t, const uint64_t *count)
{
    uint64_t n;

    g_mutex_lock(&t->lock);
    n = *count;
    g_mutex_unlock(&t->lock);
    return n;
}

uint64_t torture_n_sent(Torture *t)
{
    return look_at(t, &t->n_sent);
}

uint64_t torture_n_read(Torture *t)
{
    return look_at(t, &t->n_read);
}

/* What the guests know of it, for whoever looks for the cause. */
static void tell_error(Torture *t)
{
    for (int i = 0; i < N_VMS; i++) {
        g_autofree char *output = lab_vm_shell(
            t->cluster->vms[i], "ss -tinom sport = :7001; cat /run/torture.out; dmesg | tail -5",
            NULL);

        g_printerr("%s:\n%s\n", lab_vm_name(t->cluster->vms[i]), output);
    }
    g_error("port %u: %s", t->port, t->error);
}

void torture_wait_read(Torture *t, uint64_t n)
{
    g_mutex_lock(&t->lock);
    while (t->n_read < n && !t->over) {
        g_cond_wait(&t->changed, &t->lock);
    }
    n = t->n_read < n;
    g_mutex_unlock(&t->lock);
    if (n) {
        tell_error(t);
    }
}

bool torture_is_over(Torture *t)
{
    bool over;

    g_mutex_lock(&t->lock);
    over = t->over;
    g_mutex_unlock(&t->lock);
    return over;
}

void torture_finish(Torture *t, unsigned int *ret_n_moves)
{
    g_thread_join(t->thread);
    if (t->error) {
        tell_error(t);
    }
    if (has_report(t)) {
        g_assert_cmphex(t->report.magic, ==, TORTURE_MAGIC);
        g_assert_cmpuint(t->report.n_read, ==, t->spec.to_server);
        g_assert_cmphex(t->report.first_bad, ==, UINT64_MAX);
    }
    if (ret_n_moves) {
        *ret_n_moves = t->report.n_moves;
    }
    close(t->fd);
    close(t->wake);
    g_mutex_clear(&t->lock);
    g_cond_clear(&t->changed);
    g_free(t);
}

void torture_look(LabVm *vm, uint16_t client_port, TortureSocket *ret_socket)
{
    g_autofree char *script = g_strdup_printf(
        "awk '$3 ~ /:%04X$/ { print $4, $5 }' /proc/net/tcp /proc/net/tcp6", client_port);
    g_autoptr(GError) error = NULL;
    g_autofree char *output = lab_vm_shell(vm, script, &error);
    char *at = output;

    g_assert_no_error(error);
    memset(ret_socket, 0, sizeof(*ret_socket));
    if (*output) {
        ret_socket->state = g_ascii_strtoull(at, &at, 16);
        ret_socket->send_bytes = g_ascii_strtoull(at, &at, 16);
        ret_socket->receive_bytes = *at ? g_ascii_strtoull(at + 1, NULL, 16) : 0;
    }
}
