/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp-timer-test.c - nobody waits for a retransmission timer because of a move
 *
 * Needs root, /dev/slice and /dev/net/tun. See tcp-lab.h for the topology. What
 * could be missing after a move: an acknowledgement that the source had put
 * off, a last packet that was lost on its way out, the news that the window is
 * open, what the client sent in between.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tcp-lab.h"

#define MIB (1u << 20)

static void forward_all(Lab *lab)
{
    while (lab_forward(lab)) {
        continue;
    }
}

static int client_unacked(const Conn *conn)
{
    int bytes;

    g_assert_cmpint(ioctl(conn->client.fd, TIOCOUTQ, &bytes), ==, 0);
    return bytes;
}

static void exchange(Lab *lab, Conn *conn, guint64 bytes)
{
    conn_say(conn, bytes, bytes);
    lab_finish(lab, conn);
}

/* All of it, and what it brings about. */
static void server_says(Lab *lab, Conn *conn, guint64 bytes)
{
    conn_say(conn, 0, bytes);
    while (conn->server.tx < conn->server.tx_goal) {
        lab_step(lab, 0);
    }
    forward_all(lab);
}

/* The target says what the source had put off, without being asked. */
static void test_delayed_ack(gconstpointer net)
{
    Lab *lab = lab_new(GPOINTER_TO_INT(net));
    Conn *conn = lab_connect(lab);

    exchange(lab, conn, 1000);
    lab_settle(lab, 100);
    setsockopt(conn->server.fd, SOL_TCP, TCP_QUICKACK, &(int){ 0 },
               sizeof(int));
    conn->server.reads = FALSE;
    conn_say(conn, 100, 0);
    while (conn->client.tx < conn->client.tx_goal) {
        lab_step(lab, 0);
    }
    conn_move(lab, conn, LAB_B);
    forward_all(lab);
    g_assert_cmpint(client_unacked(conn), ==, 0);
    conn->server.reads = TRUE;
    lab_finish(lab, conn);
    g_assert_cmpuint(lab->seen.n_again, ==, 0);
    lab_free(lab);
}

/* A connection that has just opened has sent what the client misses most; and
 * if the client has not answered, @is_all, nothing else. */
static void assert_head(const Conn *conn, guint32 head, gboolean is_all)
{
    guint i;

    g_assert_cmpuint(conn->said->len, >, 0);
    for (i = 0; i < (is_all ? conn->said->len : 1); i++) {
        g_assert_cmphex(g_array_index(conn->said, guint32, i), ==, head);
    }
}

/*
 * The last packets were lost behind the source (in its queue, in the switch):
 * the target asks when it opens, and sends the others upon the answer.
 */
static void test_lost_tail(gconstpointer net)
{
    Lab *lab = lab_new(GPOINTER_TO_INT(net));
    Conn *conn = lab_connect(lab);
    guint32 head;

    exchange(lab, conn, 100000);
    lab_settle(lab, 100);
    head = conn->next;
    lab->loss_permille = 1000;
    server_says(lab, conn, 6000);
    g_assert_cmpuint(conn->client.rx, <, conn->server.tx);
    lab->loss_permille = 0;
    conn_forget_said(conn);
    conn_move(lab, conn, LAB_B);
    forward_all(lab);
    assert_head(conn, head, FALSE);
    lab_finish(lab, conn);
    lab_assert_silent(lab, 0);
    lab_free(lab);
}

#define HOLE_BYTES 3000
#define REST_BYTES 9000

static int unread(const Conn *conn)
{
    int bytes;

    g_assert_cmpint(ioctl(conn->client.fd, FIONREAD, &bytes), ==, 0);
    return bytes;
}

/*
 * The client lacks the first of what it was sent, and its server is moved again
 * and again, sooner than timers run. Each time the head is what it says first;
 * once that arrives, the rest of the hole follows upon the client's answers.
 */
static void test_hole(gconstpointer net)
{
    Lab *lab = lab_new(GPOINTER_TO_INT(net));
    Conn *conn = lab_connect(lab);
    guint32 head;
    int i;

    exchange(lab, conn, 100000);
    lab_settle(lab, 100);
    head = conn->next;
    conn->hole = head + HOLE_BYTES;
    conn->has_hole = TRUE;
    conn->client.reads = FALSE;
    server_says(lab, conn, HOLE_BYTES + REST_BYTES);
    g_assert_cmpint(unread(conn), ==, 0);
    for (i = 0; i < 10; i++) {
        conn->has_hole = i < 9;
        conn_forget_said(conn);
        conn_move(lab, conn, conn->host == LAB_A ? LAB_B : LAB_A);
        forward_all(lab);
        assert_head(conn, head, conn->has_hole);
    }
    g_assert_cmpint(unread(conn), ==, HOLE_BYTES + REST_BYTES);
    conn->client.reads = TRUE;
    lab_finish(lab, conn);
    lab_assert_silent(lab, 0);
    lab_free(lab);
}

/* The client had filled the window; it learns at once that there is room. */
static void test_window_opens(gconstpointer net)
{
    Lab *lab = lab_new(GPOINTER_TO_INT(net));
    Conn *conn = lab_connect(lab);
    guint64 probes;

    exchange(lab, conn, 1000);
    conn->server.reads = FALSE;
    conn_say(conn, 8 * MIB, 0);
    lab_settle(lab, 150);
    g_assert_cmpuint(conn->client.tx, <, conn->client.tx_goal);
    conn_move(lab, conn, LAB_B);
    forward_all(lab);
    probes = conn->client.tx;
    conn->server.reads = TRUE;
    while (conn->server.rx < probes) {
        lab_step(lab, 0);
    }
    /* More than was in flight and queued at the move: it goes on. */
    lab_finish(lab, conn);
    lab_assert_silent(lab, 0);
    lab_free(lab);
}

/* What was under way both ways goes on where it was; nothing is sent again. */
static void test_nothing_again(gconstpointer net)
{
    Lab *lab = lab_new(GPOINTER_TO_INT(net));
    Conn *conn = lab_connect(lab);
    guint64 timeouts;
    int i;

    exchange(lab, conn, 1000);
    lab_forget_seen(lab);
    for (i = 0; i < 20; i++) {
        /* The client's bytes are on their way when the server leaves. */
        conn_hold(lab, conn);
        conn_say(conn, 3000, 0);
        while (conn->client.tx < conn->client.tx_goal) {
            lab_step(lab, 0);
        }
        conn_move(lab, conn, conn->host == LAB_A ? LAB_B : LAB_A);
        exchange(lab, conn, 3000);
    }
    timeouts = lab_counter(lab, LAB_A, "TCPTimeouts") +
               lab_counter(lab, LAB_B, "TCPTimeouts") +
               lab_counter(lab, LAB_CLIENT, "TCPTimeouts");
    g_test_message("%" G_GUINT64_FORMAT " timeouts, %u frames again", timeouts,
                   lab->seen.n_again);
    /* A timer that fires early on a slow machine finds that all has arrived. */
    g_assert_cmpuint(lab->seen.n_again, <=,
                     lab_counter(lab, LAB_CLIENT, "TCPDSACKRecv"));
    lab_assert_silent(lab, 0);
    lab_free(lab);
}

#define V4 GINT_TO_POINTER(LAB_IPV4)
#define V6 GINT_TO_POINTER(LAB_IPV6)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/tcp/timer/delayed-ack-is-sent", V4,
                         test_delayed_ack);
    g_test_add_data_func("/tcp/timer/ipv6/delayed-ack-is-sent", V6,
                         test_delayed_ack);
    g_test_add_data_func("/tcp/timer/lost-tail-is-sent-when-it-opens", V4,
                         test_lost_tail);
    g_test_add_data_func("/tcp/timer/ipv6/lost-tail-is-sent-when-it-opens", V6,
                         test_lost_tail);
    g_test_add_data_func("/tcp/timer/hole-is-filled-when-it-opens", V4,
                         test_hole);
    g_test_add_data_func("/tcp/timer/ipv6/hole-is-filled-when-it-opens", V6,
                         test_hole);
    g_test_add_data_func("/tcp/timer/window-opens", V4, test_window_opens);
    g_test_add_data_func("/tcp/timer/nothing-is-sent-again", V4,
                         test_nothing_again);
    g_test_add_data_func("/tcp/timer/ipv6/nothing-is-sent-again", V6,
                         test_nothing_again);
    return g_test_run();
}
