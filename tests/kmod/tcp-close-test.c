/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp-close-test.c - connections that are being closed move, too
 *
 * Needs root, /dev/slice and /dev/net/tun. See tcp-lab.h for the topology. What
 * an application has half closed arrives with the descriptor of the capsule
 * above it; what it has closed altogether, an orphan, arrives with none.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tcp-lab.h"

#define MIB (1u << 20)

static guint conn_state(const Conn *conn)
{
    struct tcp_info info = { 0 };
    socklen_t length = sizeof(info);

    g_assert_cmpint(getsockopt(conn->server.fd, SOL_TCP, TCP_INFO, &info,
                               &length), ==, 0);
    return info.tcpi_state;
}

/* The server's end is closed by TCP, though not by its application. */
static gboolean conn_is_over(Lab *lab, gpointer conn)
{
    return conn_state(conn) == TCP_CLOSE;
}

static gboolean client_is_at_eof(Lab *lab, gpointer conn)
{
    return ((Conn *)conn)->client.at_eof;
}

static guint lab_n_capsules(Lab *lab)
{
    struct slice_info info = { .size = sizeof(info) };

    g_assert_cmpint(ioctl(lab->slice, SLICE_IOC_INFO, &info), ==, 0);
    return info.n_capsules;
}

static gboolean lab_has_n_capsules(Lab *lab, gpointer n)
{
    return lab_n_capsules(lab) == GPOINTER_TO_UINT(n);
}

/* A connection with an application above it, that has said something. */
static Conn *start(Lab *lab)
{
    Conn *conn = lab_connect(lab);

    conn_cover(lab, conn);
    conn_say(conn, 1000, 1000);
    lab_finish(lab, conn);
    return conn;
}

/* Apache's lingering close: it has said all, and reads what still comes. */
static void test_fin_wait2(gconstpointer net)
{
    Lab *lab = lab_new(GPOINTER_TO_INT(net));
    Conn *conn = start(lab);

    shutdown(conn->server.fd, SHUT_WR);
    lab_run(lab, client_is_at_eof, conn);
    conn->server.reads = FALSE;
    conn_say(conn, 50000, 0);
    lab_settle(lab, 50);
    g_assert_cmpuint(conn_state(conn), ==, TCP_FIN_WAIT2);
    lab_forget_seen(lab);
    conn_move(lab, conn, LAB_B);
    g_assert_cmpuint(conn_state(conn), ==, TCP_FIN_WAIT2);
    conn->server.reads = TRUE;
    conn_say(conn, 50000, 0);
    lab_finish(lab, conn);
    conn_move(lab, conn, LAB_A);
    conn_say(conn, 1000, 0);
    lab_finish(lab, conn);
    g_assert_cmpint(send(conn->server.fd, "", 1, MSG_NOSIGNAL), ==, -1);
    g_assert_cmpint(errno, ==, EPIPE);
    shutdown(conn->client.fd, SHUT_WR);
    lab_run(lab, conn_is_over, conn);
    g_assert_cmpint(conn->server.error, ==, 0);
    lab_assert_silent(lab, 0);
    lab_free(lab);
}

/* The FIN is on the wire, unacknowledged, when the server moves. */
static void test_fin_sent(gconstpointer net)
{
    Lab *lab = lab_new(GPOINTER_TO_INT(net));
    Conn *conn = start(lab);

    lab_forget_seen(lab);
    conn_hold(lab, conn);
    conn_say(conn, 0, 3000);
    while (conn->server.tx < conn->server.tx_goal) {
        lab_step(lab, 0);
    }
    shutdown(conn->server.fd, SHUT_WR);
    lab_run(lab, client_is_at_eof, conn);
    g_assert_cmpuint(conn_state(conn), ==, TCP_FIN_WAIT1);
    conn_move(lab, conn, LAB_B);
    lab_settle(lab, 50);
    g_assert_cmpuint(conn_state(conn), ==, TCP_FIN_WAIT2);
    conn_say(conn, 1000, 0);
    lab_finish(lab, conn);
    shutdown(conn->client.fd, SHUT_WR);
    lab_run(lab, conn_is_over, conn);
    lab_assert_silent(lab, 1);
    lab_free(lab);
}

/* Fills the way to the client, which does not read; what the server has written
 * is all that it will write. */
static void fill(Lab *lab, Conn *conn)
{
    conn->client.reads = FALSE;
    conn_say(conn, 0, 8 * MIB);
    lab_settle(lab, 300);
    conn->server.tx_goal = conn->server.tx;
    g_assert_cmpuint(conn->server.tx, >, 100000);
}

/* The FIN stands behind output that the client has no room for. */
static void test_fin_unsent(gconstpointer net)
{
    Lab *lab = lab_new(GPOINTER_TO_INT(net));
    Conn *conn = start(lab);

    fill(lab, conn);
    shutdown(conn->server.fd, SHUT_WR);
    lab_settle(lab, 50);
    g_assert_cmpuint(conn_state(conn), ==, TCP_FIN_WAIT1);
    lab_forget_seen(lab);
    conn_move(lab, conn, LAB_B);
    g_assert_cmpuint(conn_state(conn), ==, TCP_FIN_WAIT1);
    g_assert_cmpuint(lab->seen.n_fin, ==, 0);
    conn->client.reads = TRUE;
    lab_run(lab, client_is_at_eof, conn);
    conn_say(conn, 1000, 0);
    lab_finish(lab, conn);
    lab_assert_silent(lab, 1);
    lab_free(lab);
}

/* Both ends have sent their FIN before they saw the other's. */
static void test_closing(void)
{
    Lab *lab = lab_new(LAB_IPV4);
    Conn *conn = start(lab);
    GBytes *fin;

    lab_forget_seen(lab);
    conn->server.reads = FALSE;
    conn_hold(lab, conn);
    conn_say(conn, 100, 0);
    lab_settle(lab, 20);
    shutdown(conn->client.fd, SHUT_WR);
    shutdown(conn->server.fd, SHUT_WR);
    while (g_queue_get_length(conn->held) < 3) {
        lab_step(lab, 20);
    }
    /* Bytes and FIN of the client, before it acknowledged anything. */
    while (conn_state(conn) == TCP_FIN_WAIT1) {
        fin = g_queue_pop_head(conn->held);
        lab_write_frame(lab, LAB_A, g_bytes_get_data(fin, NULL),
                        g_bytes_get_size(fin));
        g_bytes_unref(fin);
    }
    g_assert_cmpuint(conn_state(conn), ==, TCP_CLOSING);
    conn_move(lab, conn, LAB_B);
    lab_run(lab, conn_is_over, conn);
    conn->server.reads = TRUE;
    lab_finish(lab, conn);
    lab_run(lab, client_is_at_eof, conn);
    lab_assert_silent(lab, 1);
    lab_free(lab);
}

static void test_last_ack(void)
{
    Lab *lab = lab_new(LAB_IPV4);
    Conn *conn = start(lab);

    conn->server.reads = FALSE;
    conn_say(conn, 2000, 0);
    lab_settle(lab, 20);
    shutdown(conn->client.fd, SHUT_WR);
    lab_settle(lab, 20);
    g_assert_cmpuint(conn_state(conn), ==, TCP_CLOSE_WAIT);
    fill(lab, conn);
    shutdown(conn->server.fd, SHUT_WR);
    g_assert_cmpuint(conn_state(conn), ==, TCP_LAST_ACK);
    lab_forget_seen(lab);
    conn_move(lab, conn, LAB_B);
    g_assert_cmpuint(conn_state(conn), ==, TCP_LAST_ACK);
    conn->server.reads = TRUE;
    conn->client.reads = TRUE;
    lab_finish(lab, conn);
    lab_run(lab, conn_is_over, conn);
    lab_run(lab, client_is_at_eof, conn);
    lab_assert_silent(lab, 1);
    lab_free(lab);
}

/* An ACK that the source owed in FIN_WAIT2 is sent by the target. */
static void test_owed_ack(void)
{
    Lab *lab = lab_new(LAB_IPV4);
    Conn *conn = start(lab);
    int unacked;

    shutdown(conn->server.fd, SHUT_WR);
    lab_run(lab, client_is_at_eof, conn);
    lab_settle(lab, 50);
    conn->server.reads = FALSE;
    setsockopt(conn->server.fd, SOL_TCP, TCP_QUICKACK, &(int){ 0 },
               sizeof(int));
    conn_say(conn, 100, 0);
    while (conn->client.tx < conn->client.tx_goal) {
        lab_step(lab, 0);
    }
    lab_forget_seen(lab);
    conn_move(lab, conn, LAB_B);
    while (lab_forward(lab)) {
        continue;
    }
    g_assert_cmpint(ioctl(conn->client.fd, TIOCOUTQ, &unacked), ==, 0);
    g_assert_cmpint(unacked, ==, 0);
    lab_assert_silent(lab, 0);
    lab_free(lab);
}

static void test_shut_input(void)
{
    Lab *lab = lab_new(LAB_IPV4);
    Conn *conn = start(lab);
    char byte;

    shutdown(conn->server.fd, SHUT_RD);
    lab_forget_seen(lab);
    conn_move(lab, conn, LAB_B);
    g_assert_cmpint(recv(conn->server.fd, &byte, 1, MSG_DONTWAIT), ==, 0);
    conn->server.reads = FALSE;
    conn_say(conn, 0, 5000);
    lab_finish(lab, conn);
    lab_assert_silent(lab, 0);
    lab_free(lab);
}

/* ---- orphans ---- */

typedef struct Orphan {
    Lab *lab;
    Conn *conn;
    struct slice_id id;
    guint n_before;     /* capsules, without its own */
} Orphan;

/* A connection whose application has closed it, with megabytes to send. */
static void orphan_make(Orphan *orphan, LabNet net, gboolean client_has_closed)
{
    orphan->lab = lab_new(net);
    orphan->n_before = lab_n_capsules(orphan->lab);
    orphan->conn = lab_connect(orphan->lab);
    conn_id(orphan->lab, orphan->conn, &orphan->id);
    conn_say(orphan->conn, 1000, 1000);
    lab_finish(orphan->lab, orphan->conn);
    if (client_has_closed) {
        shutdown(orphan->conn->client.fd, SHUT_WR);
        lab_settle(orphan->lab, 50);
        g_assert_true(orphan->conn->server.at_eof);
    }
    fill(orphan->lab, orphan->conn);
    close(orphan->conn->server.fd);
    orphan->conn->server.fd = -1;
    lab_settle(orphan->lab, 50);
    lab_forget_seen(orphan->lab);
}

/* The client reads to the end; then nothing is left anywhere. */
static void orphan_end(Orphan *orphan)
{
    orphan->conn->client.reads = TRUE;
    lab_run(orphan->lab, client_is_at_eof, orphan->conn);
    lab_finish(orphan->lab, orphan->conn);
    lab_run(orphan->lab, lab_has_n_capsules,
            GUINT_TO_POINTER(orphan->n_before));
    lab_assert_silent(orphan->lab, 1);
    lab_free(orphan->lab);
}

static void test_orphan_moves(gconstpointer net)
{
    Orphan orphan;

    orphan_make(&orphan, GPOINTER_TO_INT(net), FALSE);
    lab_move(orphan.lab, orphan.conn, orphan.id, LAB_B);
    lab_settle(orphan.lab, 50);
    lab_move(orphan.lab, orphan.conn, orphan.id, LAB_A);
    orphan_end(&orphan);
}

static void test_orphan_last_ack(void)
{
    Orphan orphan;

    orphan_make(&orphan, LAB_IPV4, TRUE);
    lab_move(orphan.lab, orphan.conn, orphan.id, LAB_B);
    orphan_end(&orphan);
}

static void test_orphan_resumes(void)
{
    Orphan orphan;
    Image image;

    orphan_make(&orphan, LAB_IPV4, FALSE);
    g_assert_cmpint(lab_quiesce(orphan.lab, orphan.id), ==, 0);
    g_assert_cmpint(lab_unplug(orphan.lab, orphan.id, &image, NULL), ==, 0);
    g_assert_cmpint(lab_end(orphan.lab, orphan.id, SLICE_FINISH_RESUME), ==,
                    0);
    image_clear(&image);
    orphan_end(&orphan);
}

/* It goes to nobody's descriptor and to no accept queue. */
static void test_orphan_has_no_handle(void)
{
    struct slice_capsule_op op = { .size = sizeof(op) };
    struct pollfd listener = { .events = POLLIN };
    Orphan orphan;

    orphan_make(&orphan, LAB_IPV4, FALSE);
    lab_move(orphan.lab, orphan.conn, orphan.id, LAB_B);
    op.id = orphan.id;
    g_assert_cmpint(ioctl(orphan.lab->slice, SLICE_IOC_GET_HANDLE, &op), ==,
                    -1);
    listener.fd = orphan.lab->listener[LAB_B];
    g_assert_cmpint(poll(&listener, 1, 0), ==, 0);
    orphan_end(&orphan);
}

/* A layer that has not let go of it yet ends it: it stays until then. */
static void test_orphan_with_layer_stays(void)
{
    Lab *lab = lab_new(LAB_IPV4);
    Conn *conn = start(lab);
    struct slice_move move = { .size = sizeof(move), .timeout_ms = 50 };

    fill(lab, conn);
    move.slice = conn->cover;
    close(conn->server.fd);
    conn->server.fd = -1;
    g_assert_cmpint(ioctl(lab->slice, SLICE_IOC_QUIESCE, &move), ==, -1);
    g_assert_cmpuint(move.why, ==, SLICE_WHY_STATE);
    lab_free(lab);
}

/* Half closed, and nobody who would know what for. */
static void test_no_heir(void)
{
    Lab *lab = lab_new(LAB_IPV4);
    Conn *conn = lab_connect(lab);
    struct slice_move move = { .size = sizeof(move), .timeout_ms = 50 };

    conn_id(lab, conn, &move.slice);
    shutdown(conn->server.fd, SHUT_WR);
    lab_settle(lab, 50);
    g_assert_cmpint(ioctl(lab->slice, SLICE_IOC_QUIESCE, &move), ==, -1);
    g_assert_cmpuint(move.why, ==, SLICE_WHY_STATE);
    lab_free(lab);
}

#define V4 GINT_TO_POINTER(LAB_IPV4)
#define V6 GINT_TO_POINTER(LAB_IPV6)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/tcp/close/fin-wait2", V4, test_fin_wait2);
    g_test_add_data_func("/tcp/close/fin-wait2-ipv6", V6, test_fin_wait2);
    g_test_add_data_func("/tcp/close/fin-sent", V4, test_fin_sent);
    g_test_add_data_func("/tcp/close/fin-sent-ipv6", V6, test_fin_sent);
    g_test_add_data_func("/tcp/close/fin-unsent", V4, test_fin_unsent);
    g_test_add_data_func("/tcp/close/fin-unsent-ipv6", V6, test_fin_unsent);
    g_test_add_func("/tcp/close/closing", test_closing);
    g_test_add_func("/tcp/close/last-ack", test_last_ack);
    g_test_add_func("/tcp/close/owed-ack-is-sent", test_owed_ack);
    g_test_add_func("/tcp/close/input-that-was-shut", test_shut_input);
    g_test_add_func("/tcp/close/half-closed-without-layer-stays",
                    test_no_heir);
    g_test_add_data_func("/tcp/orphan/moves", V4, test_orphan_moves);
    g_test_add_data_func("/tcp/orphan/moves-ipv6", V6, test_orphan_moves);
    g_test_add_func("/tcp/orphan/whose-client-closed-first",
                    test_orphan_last_ack);
    g_test_add_func("/tcp/orphan/abort-resumes", test_orphan_resumes);
    g_test_add_func("/tcp/orphan/has-no-descriptor",
                    test_orphan_has_no_handle);
    g_test_add_func("/tcp/orphan/with-layer-above-stays",
                    test_orphan_with_layer_stays);
    return g_test_run();
}
