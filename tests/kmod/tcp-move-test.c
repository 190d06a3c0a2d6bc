/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp-move-test.c - live connections move between two hosts, byte by byte
 *
 * Needs root, /dev/slice and /dev/net/tun. See tcp-lab.h for the topology. The
 * servers know nothing of slices: a connection arrives in the accept queue of
 * the other host's marked listener.
 */
#include <arpa/inet.h>
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

/* The application closes what the unplug has left of its socket. */
static void conn_drop_descriptor(Conn *conn)
{
    close(conn->server.fd);
    conn->server.fd = -1;
}

static void test_child_has_capsules(gconstpointer net)
{
    Lab *lab = lab_new(GPOINTER_TO_INT(net));
    struct slice_info before = { .size = sizeof(before) };
    struct slice_info after = { .size = sizeof(after) };
    Conn *conn;

    g_assert_cmpint(ioctl(lab->slice, SLICE_IOC_INFO, &before), ==, 0);
    conn = lab_connect(lab);
    g_assert_cmpint(ioctl(lab->slice, SLICE_IOC_INFO, &after), ==, 0);
    g_assert_cmpuint(after.n_capsules, ==, before.n_capsules + 2);
    g_assert_cmpuint(after.n_slices, ==, before.n_slices + 1);
    conn_close(lab, conn);
    g_assert_cmpint(ioctl(lab->slice, SLICE_IOC_INFO, &after), ==, 0);
    g_assert_cmpuint(after.n_capsules, ==, before.n_capsules);
    lab_free(lab);
}

static void test_plain_has_none(void)
{
    Lab *lab = lab_new(LAB_IPV4);
    struct slice_info before = { .size = sizeof(before) };
    struct slice_info after = { .size = sizeof(after) };
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof(address);
    int listener, client, server;

    g_assert_cmpint(ioctl(lab->slice, SLICE_IOC_INFO, &before), ==, 0);
    lab_enter(lab, LAB_CLIENT);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    client = socket(AF_INET, SOCK_STREAM, 0);
    lab_leave(lab);
    inet_pton(AF_INET, "192.0.2.20", &address.sin_addr);
    g_assert_cmpint(bind(listener, (void *)&address, length), ==, 0);
    g_assert_cmpint(listen(listener, 1), ==, 0);
    getsockname(listener, (void *)&address, &length);
    g_assert_cmpint(connect(client, (void *)&address, length), ==, 0);
    server = accept(listener, NULL, NULL);
    g_assert_cmpint(server, >=, 0);
    g_assert_cmpint(ioctl(lab->slice, SLICE_IOC_INFO, &after), ==, 0);
    g_assert_cmpuint(after.n_capsules, ==, before.n_capsules);
    close(server);
    close(client);
    close(listener);
    lab_free(lab);
}

static void test_idle(gconstpointer net)
{
    Lab *lab = lab_new(GPOINTER_TO_INT(net));
    Conn *conn = lab_connect(lab);
    int host;

    lab_forget_seen(lab);
    for (host = LAB_B; ; host = LAB_A) {
        conn_say(conn, 100, 100);
        lab_finish(lab, conn);
        lab_settle(lab, 100);
        conn_move(lab, conn, host);
        if (host == LAB_A) {
            break;
        }
    }
    conn_say(conn, 100, 100);
    lab_finish(lab, conn);
    lab_assert_silent(lab, 0);
    g_assert_cmpuint(lab->seen.n_again, ==, 0);
    conn_close(lab, conn);
    lab_free(lab);
}

/* Host B never asked for the client's hardware address. */
static void test_needs_no_arp(gconstpointer net)
{
    Lab *lab = lab_new(GPOINTER_TO_INT(net));
    Conn *conn = lab_connect(lab);

    conn_say(conn, 10, 10);
    lab_finish(lab, conn);
    lab_forget_seen(lab);
    conn_move(lab, conn, LAB_B);
    conn_say(conn, 0, 10);
    lab_finish(lab, conn);
    g_assert_cmpuint(lab->seen.n_arp, ==, 0);
    lab_assert_silent(lab, 0);
    lab_free(lab);
}

static void test_unread_input(gconstpointer net)
{
    Lab *lab = lab_new(GPOINTER_TO_INT(net));
    Conn *conn = lab_connect(lab);

    conn->server.reads = FALSE;
    conn_say(conn, 4 * MIB, 0);
    lab_settle(lab, 300);
    g_assert_cmpuint(conn->client.tx, >, 100000);
    g_assert_cmpuint(conn->server.rx, ==, 0);
    lab_forget_seen(lab);
    conn_move(lab, conn, LAB_B);
    lab_settle(lab, 100);
    conn->server.reads = TRUE;
    lab_finish(lab, conn);
    lab_assert_silent(lab, 0);
    lab_free(lab);
}

static void test_unsent_output(gconstpointer net)
{
    Lab *lab = lab_new(GPOINTER_TO_INT(net));
    Conn *conn = lab_connect(lab);

    conn->client.reads = FALSE;
    conn_say(conn, 0, 8 * MIB);
    lab_settle(lab, 300);
    g_assert_cmpuint(conn->server.tx, >, 100000);
    lab_forget_seen(lab);
    conn_move(lab, conn, LAB_B);
    lab_settle(lab, 100);
    conn->client.reads = TRUE;
    lab_finish(lab, conn);
    lab_assert_silent(lab, 0);
    lab_free(lab);
}

/* The last flight is on the wire, unacknowledged, when the server moves. */
static void test_unacked_output(void)
{
    Lab *lab = lab_new(LAB_IPV4);
    Conn *conn = lab_connect(lab);
    int i;

    conn_say(conn, 10, 10);
    lab_finish(lab, conn);
    lab_forget_seen(lab);
    for (i = 0; i < 8; i++) {
        conn_say(conn, 0, 5000);
        while (conn->server.tx < conn->server.tx_goal) {
            send(conn->server.fd, "", 0, MSG_DONTWAIT);
            lab_step(lab, 0);
        }
        conn_move(lab, conn, conn->host == LAB_A ? LAB_B : LAB_A);
    }
    lab_finish(lab, conn);
    lab_assert_silent(lab, 0);
    lab_free(lab);
}

static void test_close_wait(void)
{
    Lab *lab = lab_new(LAB_IPV4);
    Conn *conn = lab_connect(lab);

    conn->server.reads = FALSE;
    conn_say(conn, 1000, 0);
    lab_settle(lab, 50);
    shutdown(conn->client.fd, SHUT_WR);
    lab_settle(lab, 50);
    conn->client.reads = FALSE;
    conn_say(conn, 0, 6 * MIB);
    lab_settle(lab, 300);
    lab_forget_seen(lab);
    conn_move(lab, conn, LAB_B);
    conn->client.reads = TRUE;
    conn->server.reads = TRUE;
    lab_finish(lab, conn);
    lab_settle(lab, 50);
    g_assert_true(conn->server.at_eof);
    lab_assert_silent(lab, 0);

    /* And back, with the FIN read. */
    conn_move(lab, conn, LAB_A);
    conn_say(conn, 0, 1000);
    lab_finish(lab, conn);
    conn->server.at_eof = FALSE;
    lab_settle(lab, 50);
    g_assert_true(conn->server.at_eof);
    lab_assert_silent(lab, 0);
    lab_free(lab);
}

typedef struct LoadCase {
    const char *name;
    LabNet net;
    guint loss_permille;
} LoadCase;

static const LoadCase load_cases[] = {
    { "/tcp/move/many-times-under-load", LAB_IPV4, 0 },
    { "/tcp/move/many-times-under-load-with-loss", LAB_IPV4, 20 },
    { "/tcp/move/ipv6/many-times-under-load-with-loss", LAB_IPV6, 20 },
};

static void test_under_load(gconstpointer data)
{
    const LoadCase *load = data;
    static const char *const counters[] = {
        "TCPTimeouts", "TCPLossProbes", "TCPFastRetrans", "TCPRcvQDrop",
        "TCPBacklogDrop", "PruneCalled", "RcvPruned", "TCPZeroWindowDrop",
        "TCPSACKReneging", "TCPDSACKRecv", "TCPDSACKOldSent",
        "TCPDSACKOfoSent", "TCPOFOQueue", "PAWSEstab",
    };
    Lab *lab = lab_new(load->net);
    Conn *conn = lab_connect(lab);
    guint moves, steps, i;
    guint64 n;
    int host;

    lab_forget_seen(lab);
    lab->loss_permille = load->loss_permille;
    conn->client.tx_goal = G_MAXUINT64 / 2;
    conn->server.tx_goal = G_MAXUINT64 / 2;
    for (moves = 0; moves < lab_amount(100); moves++) {
        guint64 rx = conn->client.rx, tx = conn->server.rx;

        for (steps = 0; steps < 20 || conn->client.rx == rx ||
                        conn->server.rx == tx; steps++) {
            lab_step(lab, 50);
            g_assert_cmpint(conn->server.error, ==, 0);
            g_assert_cmpuint(steps, <, 100000);
        }
        conn_move(lab, conn, conn->host == LAB_A ? LAB_B : LAB_A);
    }
    lab->loss_permille = 0;
    conn->client.tx_goal = conn->client.tx;
    conn->server.tx_goal = conn->server.tx;
    lab_finish(lab, conn);
    lab_assert_silent(lab, 0);
    g_test_message("%" G_GUINT64_FORMAT " bytes up, %" G_GUINT64_FORMAT
                   " down, %u frames again from the client",
                   conn->server.rx, conn->client.rx, lab->seen.n_again);
    for (host = 0; host < LAB_N_HOSTS; host++) {
        for (i = 0; i < G_N_ELEMENTS(counters); i++) {
            n = lab_counter(lab, host, counters[i]);
            if (n) {
                g_test_message("host %d: %s %" G_GUINT64_FORMAT, host,
                               counters[i], n);
            }
        }
    }
    /* Nothing that a SACK has told was taken back. */
    g_assert_cmpuint(lab_counter(lab, LAB_CLIENT, "TCPSACKReneging"), ==, 0);
    /* On a slow machine a timer may fire too early, but nothing was lost: the
     * server had all that the client sent again, and told so each time. */
    if (!load->loss_permille) {
        g_assert_cmpuint(lab->seen.n_again, <=,
                         lab_counter(lab, LAB_CLIENT, "TCPDSACKRecv"));
    }
    lab_free(lab);
}

static void test_ten_at_once(void)
{
    Lab *lab = lab_new(LAB_IPV4);
    Conn *conns[10];
    guint i, round;

    for (i = 0; i < G_N_ELEMENTS(conns); i++) {
        conns[i] = lab_connect(lab);
    }
    lab_forget_seen(lab);
    for (round = 0; round < 4; round++) {
        for (i = 0; i < G_N_ELEMENTS(conns); i++) {
            conn_say(conns[i], 20000 * i, 30000);
            lab_step(lab, 0);
            conn_move(lab, conns[i],
                      conns[i]->host == LAB_A ? LAB_B : LAB_A);
        }
        for (i = 0; i < G_N_ELEMENTS(conns); i++) {
            lab_finish(lab, conns[i]);
        }
    }
    lab_assert_silent(lab, 0);
    lab_free(lab);
}

static void test_abort_resumes(gconstpointer net)
{
    Lab *lab = lab_new(GPOINTER_TO_INT(net));
    Conn *conn = lab_connect(lab);
    struct slice_id id;
    Image image;
    int dead;

    conn_say(conn, 1000, 1000);
    lab_finish(lab, conn);
    lab_forget_seen(lab);
    conn->server.reads = FALSE;
    conn_say(conn, 5000, 0);
    lab_settle(lab, 50);
    conn_id(lab, conn, &id);
    g_assert_cmpint(lab_quiesce(lab, id), ==, 0);
    g_assert_cmpint(lab_unplug(lab, id, &image, NULL), ==, 0);
    /* This the mute catches, and hands to the socket that comes back. */
    conn_say(conn, 3000, 0);
    lab_settle(lab, 50);
    g_assert_cmpint(lab_end(lab, id, SLICE_FINISH_RESUME), ==, 0);
    dead = conn->server.fd;
    conn->server.fd = lab_accept(lab, LAB_A);
    conn->server.reads = TRUE;
    lab_finish(lab, conn);
    g_assert_cmpuint(lab_counter(lab, LAB_CLIENT, "TCPTimeouts"), ==, 0);
    /* The late close of the dead descriptor is nothing to the connection. */
    close(dead);
    conn_say(conn, 1000, 1000);
    lab_finish(lab, conn);
    lab_assert_silent(lab, 0);
    image_clear(&image);
    lab_free(lab);
}

static void test_old_descriptor_hangs_up(void)
{
    Lab *lab = lab_new(LAB_IPV4);
    Conn *conn = lab_connect(lab);
    struct pollfd old = { .fd = conn->server.fd, .events = POLLIN };
    struct slice_id id;
    Image image;

    conn_id(lab, conn, &id);
    lab_forget_seen(lab);
    g_assert_cmpint(lab_quiesce(lab, id), ==, 0);
    g_assert_cmpint(lab_unplug(lab, id, &image, NULL), ==, 0);
    g_assert_cmpint(lab_end(lab, id, SLICE_FINISH_FORGET), ==, 0);
    g_assert_cmpint(poll(&old, 1, 0), ==, 1);
    g_assert_cmpint(old.revents & (POLLHUP | POLLERR), ==, POLLHUP | POLLERR);
    lab_forget_seen(lab);
    conn_drop_descriptor(conn);
    lab_settle(lab, 50);
    g_assert_cmpuint(lab->seen.n_from_hosts, ==, 0);
    image_clear(&image);
    lab_free(lab);
}

static gpointer sleeper_main(gpointer data)
{
    char byte;
    ssize_t n = recv(GPOINTER_TO_INT(data), &byte, 1, 0);

    return GINT_TO_POINTER(n < 0 ? errno : 0);
}

static void test_sleeper_wakes(void)
{
    Lab *lab = lab_new(LAB_IPV4);
    Conn *conn = lab_connect(lab);
    int blocking = dup(conn->server.fd);
    struct slice_id id;
    GThread *sleeper;
    Image image;
    int flags = 0;

    g_assert_cmpint(ioctl(blocking, FIONBIO, &flags), ==, 0);
    conn_id(lab, conn, &id);
    sleeper = g_thread_new("sleeper", sleeper_main, GINT_TO_POINTER(blocking));
    lab_settle(lab, 100);
    g_assert_cmpint(lab_quiesce(lab, id), ==, 0);
    g_assert_cmpint(lab_unplug(lab, id, &image, NULL), ==, 0);
    g_assert_cmpint(GPOINTER_TO_INT(g_thread_join(sleeper)), !=, 0);
    g_assert_cmpint(lab_end(lab, id, SLICE_FINISH_FORGET), ==, 0);
    close(blocking);
    image_clear(&image);
    lab_free(lab);
}

/* The only slice that has a connection. */
static struct slice_list_entry only_slice(Lab *lab)
{
    g_autofree struct slice_list_entry *entries =
        g_new0(struct slice_list_entry, 4096);
    struct slice_list list = {
        .size = sizeof(list), .entries = (gsize)entries, .n_entries = 4096,
    };
    struct slice_list_entry found = { 0 };
    guint i, n = 0;

    g_assert_cmpint(ioctl(lab->slice, SLICE_IOC_LIST, &list), ==, 0);
    for (i = 0; i < list.n_entries; i++) {
        if (entries[i].n_connections) {
            found = entries[i];
            n++;
        }
    }
    g_assert_cmpuint(n, ==, 1);
    return found;
}

/*
 * Nobody has taken it up, so nobody could at the target give it the capsule
 * that its server is about to: busy until its server has named it.
 */
static void test_not_yet_accepted(gconstpointer net)
{
    Lab *lab = lab_new(GPOINTER_TO_INT(net));
    Conn *conn = lab_dial(lab);
    struct slice_list_entry slice = only_slice(lab);
    struct slice_move move = {
        .size = sizeof(move), .slice = slice.slice, .timeout_ms = 10,
    };

    lab_forget_seen(lab);
    g_assert_cmpuint(slice.movability, ==, SLICE_BUSY);
    g_assert_cmpuint(slice.why, ==, SLICE_WHY_STATE);
    g_assert_cmpint(ioctl(lab->slice, SLICE_IOC_QUIESCE, &move), ==, -1);
    g_assert_cmpint(errno, ==, EBUSY);
    g_assert_cmpuint(move.why, ==, SLICE_WHY_STATE);
    conn->server.fd = lab_accept(lab, LAB_A);
    conn_say(conn, 1000, 1000);
    lab_finish(lab, conn);
    conn_move(lab, conn, LAB_B);
    conn_say(conn, 1000, 1000);
    lab_finish(lab, conn);
    lab_assert_silent(lab, 0);
    lab_free(lab);
}

/* 3 s between the hosts: the client waits, nothing is lost. */
static void test_limbo(void)
{
    Lab *lab = lab_new(LAB_IPV4);
    Conn *conn = lab_connect(lab);
    gint64 until;
    struct slice_id id;
    Image image;

    conn_say(conn, 10, 10);
    lab_finish(lab, conn);
    lab_forget_seen(lab);
    conn_id(lab, conn, &id);
    g_assert_cmpint(lab_quiesce(lab, id), ==, 0);
    conn_hold(lab, conn);
    g_assert_cmpint(lab_unplug(lab, id, &image, NULL), ==, 0);
    conn_drop_descriptor(conn);
    g_assert_cmpint(lab_end(lab, id, SLICE_FINISH_FORGET), ==, 0);
    conn_say(conn, 2000, 0);
    until = g_get_monotonic_time() + 3 * G_USEC_PER_SEC;
    while (g_get_monotonic_time() < until) {
        lab_step(lab, 50);
    }
    g_assert_cmpint(lab_plug(lab, LAB_B, &image, NULL), ==, 0);
    conn->host = LAB_B;
    g_assert_cmpint(lab_end(lab, id, SLICE_FINISH_OPEN), ==, 0);
    conn_release(lab, conn, LAB_B);
    conn->server.fd = lab_accept(lab, LAB_B);
    conn_say(conn, 0, 2000);
    lab_finish(lab, conn);
    lab_assert_silent(lab, 0);
    image_clear(&image);
    lab_free(lab);
}

static void test_discard_is_silent(void)
{
    Lab *lab = lab_new(LAB_IPV4);
    Conn *conn = lab_connect(lab);
    struct slice_id id;
    Image image;

    conn->client.reads = FALSE;
    conn_say(conn, 0, 4 * MIB);
    lab_settle(lab, 300);
    conn_id(lab, conn, &id);
    lab_forget_seen(lab);
    g_assert_cmpint(lab_quiesce(lab, id), ==, 0);
    conn_hold(lab, conn);
    g_assert_cmpint(lab_unplug(lab, id, &image, NULL), ==, 0);
    conn_drop_descriptor(conn);
    g_assert_cmpint(lab_end(lab, id, SLICE_FINISH_FORGET), ==, 0);
    g_assert_cmpint(lab_plug(lab, LAB_B, &image, NULL), ==, 0);
    lab_forget_seen(lab);
    lab_settle(lab, 500);
    g_assert_cmpint(lab_end(lab, id, SLICE_FINISH_DISCARD), ==, 0);
    lab_settle(lab, 500);
    g_assert_cmpuint(lab->seen.n_from_hosts, ==, 0);
    /* The same image again: nothing of the first is in the way. */
    g_assert_cmpint(lab_plug(lab, LAB_B, &image, NULL), ==, 0);
    conn->host = LAB_B;
    g_assert_cmpint(lab_end(lab, id, SLICE_FINISH_OPEN), ==, 0);
    conn_release(lab, conn, LAB_B);
    conn->server.fd = lab_accept(lab, LAB_B);
    conn->client.reads = TRUE;
    lab_finish(lab, conn);
    lab_assert_silent(lab, 0);
    image_clear(&image);
    lab_free(lab);
}

/* Where a layer stands above, it is handed the descriptor, and nobody else. */
static void test_handle_is_given_once(void)
{
    Lab *lab = lab_new(LAB_IPV4);
    Conn *conn = lab_connect(lab);
    struct slice_layer layer = {
        .size = sizeof(layer), .flags = SLICE_LAYER_PASSIVE,
        .name = "tcp-move-test", .version = 1, .rank = 100, .provider_fd = -1,
    };
    struct slice_register reg = { .size = sizeof(reg), .handle = 1 };
    struct slice_dep dep = { .size = sizeof(dep) };
    struct slice_capsule_op op = { .size = sizeof(op) };
    Image image;

    conn_say(conn, 1000, 1000);
    lab_finish(lab, conn);
    g_assert_cmpint(ioctl(lab->slice, SLICE_IOC_LAYER, &layer), ==, 0);
    g_assert_cmpint(ioctl(lab->slice, SLICE_IOC_REGISTER, &reg), ==, 0);
    conn_id(lab, conn, &op.id);
    dep.capsule = reg.id;
    dep.needs = op.id;
    g_assert_cmpint(ioctl(lab->slice, SLICE_IOC_SET_DEP, &dep), ==, 0);

    g_assert_cmpint(lab_quiesce(lab, reg.id), ==, 0);
    conn_hold(lab, conn);
    g_assert_cmpint(lab_unplug(lab, reg.id, &image, NULL), ==, 0);
    lab_forget_seen(lab);
    conn_drop_descriptor(conn);
    g_assert_cmpint(lab_end(lab, reg.id, SLICE_FINISH_FORGET), ==, 0);
    g_assert_cmpint(lab_plug(lab, LAB_B, &image, NULL), ==, 0);
    conn->host = LAB_B;
    g_assert_cmpint(ioctl(lab->slice, SLICE_IOC_GET_HANDLE, &op), ==, 0);
    conn->server.fd = op.handle;
    g_assert_cmpint(ioctl(lab->slice, SLICE_IOC_GET_HANDLE, &op), ==, -1);
    /* Taken, but frozen: what it says stays here. */
    g_assert_cmpint(send(conn->server.fd, "\xa5", 1, MSG_DONTWAIT), <=, 1);
    lab_settle(lab, 20);
    g_assert_cmpuint(lab->seen.n_from_hosts, ==, 0);
    g_assert_cmpint(lab_end(lab, reg.id, SLICE_FINISH_DISCARD), ==, 0);
    conn_drop_descriptor(conn);
    lab_settle(lab, 20);
    g_assert_cmpuint(lab->seen.n_from_hosts, ==, 0);

    g_assert_cmpint(lab_plug(lab, LAB_B, &image, NULL), ==, 0);
    g_assert_cmpint(lab_end(lab, reg.id, SLICE_FINISH_OPEN), ==, 0);
    g_assert_cmpint(ioctl(lab->slice, SLICE_IOC_GET_HANDLE, &op), ==, 0);
    conn->server.fd = op.handle;
    g_assert_cmpint(ioctl(conn->server.fd, FIONBIO, &(int){ 1 }), ==, 0);
    conn_release(lab, conn, LAB_B);
    conn_say(conn, 5000, 5000);
    lab_finish(lab, conn);
    lab_assert_silent(lab, 0);
    image_clear(&image);
    lab_free(lab);
}

static void test_urgent_does_not_move(void)
{
    Lab *lab = lab_new(LAB_IPV4);
    Conn *conn = lab_connect(lab);
    struct slice_move move = { .size = sizeof(move), .timeout_ms = 50 };

    conn_id(lab, conn, &move.slice);
    send(conn->client.fd, "!", 1, MSG_OOB);
    conn->server.reads = FALSE;
    lab_settle(lab, 50);
    g_assert_cmpint(ioctl(lab->slice, SLICE_IOC_QUIESCE, &move), ==, -1);
    g_assert_cmpuint(move.why, ==, SLICE_WHY_URGENT);
    lab_free(lab);
}

int main(int argc, char **argv)
{
    guint i;

    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/tcp/child-of-marked-listener-has-capsules",
                         GINT_TO_POINTER(LAB_IPV4), test_child_has_capsules);
    g_test_add_data_func("/tcp/child-of-dual-stack-listener-has-capsules",
                         GINT_TO_POINTER(LAB_MAPPED), test_child_has_capsules);
    g_test_add_data_func("/tcp/child-of-ipv6-listener-has-capsules",
                         GINT_TO_POINTER(LAB_IPV6), test_child_has_capsules);
    g_test_add_func("/tcp/plain-connection-has-none", test_plain_has_none);
    g_test_add_data_func("/tcp/move/idle", GINT_TO_POINTER(LAB_IPV4),
                         test_idle);
    g_test_add_data_func("/tcp/move/v4-mapped", GINT_TO_POINTER(LAB_MAPPED),
                         test_idle);
    g_test_add_data_func("/tcp/move/ipv6", GINT_TO_POINTER(LAB_IPV6),
                         test_idle);
    g_test_add_data_func("/tcp/move/needs-no-arp", GINT_TO_POINTER(LAB_IPV4),
                         test_needs_no_arp);
    g_test_add_data_func("/tcp/move/ipv6/needs-no-solicitation",
                         GINT_TO_POINTER(LAB_IPV6), test_needs_no_arp);
    g_test_add_data_func("/tcp/move/unread-input", GINT_TO_POINTER(LAB_IPV4),
                         test_unread_input);
    g_test_add_data_func("/tcp/move/ipv6/unread-input",
                         GINT_TO_POINTER(LAB_IPV6), test_unread_input);
    g_test_add_data_func("/tcp/move/unsent-output", GINT_TO_POINTER(LAB_IPV4),
                         test_unsent_output);
    g_test_add_data_func("/tcp/move/ipv6/unsent-output",
                         GINT_TO_POINTER(LAB_IPV6), test_unsent_output);
    g_test_add_func("/tcp/move/unacknowledged-output", test_unacked_output);
    g_test_add_func("/tcp/move/close-wait", test_close_wait);
    for (i = 0; i < G_N_ELEMENTS(load_cases); i++) {
        g_test_add_data_func(load_cases[i].name, &load_cases[i],
                             test_under_load);
    }
    g_test_add_func("/tcp/move/ten-connections", test_ten_at_once);
    g_test_add_data_func("/tcp/move/busy-until-accepted",
                         GINT_TO_POINTER(LAB_IPV4), test_not_yet_accepted);
    g_test_add_data_func("/tcp/move/ipv6/busy-until-accepted",
                         GINT_TO_POINTER(LAB_IPV6), test_not_yet_accepted);
    g_test_add_func("/tcp/move/limbo", test_limbo);
    g_test_add_data_func("/tcp/abort/resumes-in-place", GINT_TO_POINTER(LAB_IPV4),
                         test_abort_resumes);
    g_test_add_data_func("/tcp/abort/resumes-in-place-ipv6",
                         GINT_TO_POINTER(LAB_IPV6), test_abort_resumes);
    g_test_add_func("/tcp/unplug/old-descriptor-hangs-up",
                    test_old_descriptor_hangs_up);
    g_test_add_func("/tcp/unplug/sleeper-wakes", test_sleeper_wakes);
    g_test_add_func("/tcp/plug/discard-is-silent", test_discard_is_silent);
    g_test_add_func("/tcp/plug/handle-is-given-once",
                    test_handle_is_given_once);
    g_test_add_func("/tcp/refusal/urgent", test_urgent_does_not_move);
    return g_test_run();
}
