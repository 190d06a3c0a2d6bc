/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp-mute-test.c - who has gone is not heard, and whose namespace it may be
 *
 * Needs root, /dev/slice and /dev/net/tun. See tcp-lab.h for the topology.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tcp-lab.h"

static void test_no_reset_afterwards(gconstpointer net)
{
    Lab *lab = lab_new(GPOINTER_TO_INT(net));
    Conn *conn = lab_connect(lab);

    conn_say(conn, 10, 10);
    lab_finish(lab, conn);
    conn_move(lab, conn, LAB_B);
    lab_forget_seen(lab);
    /* The switch goes wrong for a while: A has a listener, and a tombstone. */
    conn->host = LAB_A;
    conn_say(conn, 3000, 0);
    lab_settle(lab, 100);
    g_assert_cmpuint(lab->seen.n_from_hosts, ==, 0);
    conn->host = LAB_B;
    lab_finish(lab, conn);
    lab_assert_silent(lab, 0);
    lab_free(lab);
}

/* Out of host A, its client held; the descriptor is closed. */
static void take_out(Lab *lab, Conn *conn, Image *ret_image)
{
    struct slice_id id;

    conn_id(lab, conn, &id);
    g_assert_cmpint(lab_quiesce(lab, id), ==, 0);
    conn_hold(lab, conn);
    g_assert_cmpint(lab_unplug(lab, id, ret_image, NULL), ==, 0);
    g_assert_cmpint(lab_end(lab, id, SLICE_FINISH_FORGET), ==, 0);
    close(conn->server.fd);
    conn->server.fd = -1;
}

static void open_at(Lab *lab, Conn *conn, int host, const Image *image)
{
    conn->host = host;
    g_assert_cmpint(lab_end(lab, image->slice, SLICE_FINISH_OPEN), ==, 0);
    if (conn->held) {
        conn_release(lab, conn, host);
    }
    conn->server.fd = lab_accept(lab, host);
}

/*
 * A second image of the same connection is refused. The first, frozen, is no
 * more heard than before, and has lost nothing when it opens.
 */
static void test_refusal_lifts_no_mute(gconstpointer net)
{
    Lab *lab = lab_new(GPOINTER_TO_INT(net));
    Conn *conn = lab_connect(lab);
    Image image, other;
    guint why;

    conn_say(conn, 1000, 1000);
    lab_finish(lab, conn);
    take_out(lab, conn, &image);
    other = image;
    other.data = g_memdup2(image.data, image.bytes);
    image_rename(&other);
    g_assert_cmpint(lab_plug(lab, LAB_B, &image, NULL), ==, 0);
    g_assert_cmpint(lab_plug(lab, LAB_B, &other, &why), ==, EBUSY);
    g_assert_cmpuint(why, ==, SLICE_WHY_TUPLE_IN_USE);
    lab_forget_seen(lab);
    conn_release(lab, conn, LAB_B);
    conn_say(conn, 3000, 0);
    lab_settle(lab, 50);
    g_assert_cmpuint(lab->seen.n_from_hosts, ==, 0);
    open_at(lab, conn, LAB_B, &image);
    conn_say(conn, 1000, 1000);
    lab_finish(lab, conn);
    lab_assert_silent(lab, 0);
    image_clear(&image);
    image_clear(&other);
    lab_free(lab);
}

/* What was plugged over a tombstone and discarded leaves it. */
static void test_discard_leaves_tombstone(void)
{
    Lab *lab = lab_new(LAB_IPV4);
    Conn *conn = lab_connect(lab);
    Image image;

    conn_say(conn, 1000, 1000);
    lab_finish(lab, conn);
    take_out(lab, conn, &image);
    g_assert_cmpint(lab_plug(lab, LAB_A, &image, NULL), ==, 0);
    g_assert_cmpint(lab_end(lab, image.slice, SLICE_FINISH_DISCARD), ==, 0);
    lab_forget_seen(lab);
    conn_release(lab, conn, LAB_A);
    conn_say(conn, 3000, 0);
    lab_settle(lab, 50);
    g_assert_cmpuint(lab->seen.n_from_hosts, ==, 0);
    g_assert_cmpint(lab_plug(lab, LAB_B, &image, NULL), ==, 0);
    open_at(lab, conn, LAB_B, &image);
    lab_finish(lab, conn);
    image_clear(&image);
    lab_free(lab);
}

/* A client's new connection from the same port is served where the old one was. */
static void test_syn_ends_tombstone(gconstpointer net)
{
    Lab *lab = lab_new(GPOINTER_TO_INT(net));
    Conn *conn = lab_connect(lab);
    Image image;
    struct sockaddr_in6 own;
    socklen_t length = sizeof(own);
    int again, server;

    take_out(lab, conn, &image);
    getsockname(conn->client.fd, (struct sockaddr *)&own, &length);
    setsockopt(conn->client.fd, SOL_SOCKET, SO_LINGER,
               &(struct linger){ .l_onoff = 1 }, sizeof(struct linger));
    close(conn->client.fd);
    conn->client.fd = -1;
    lab_settle(lab, 20);
    conn_release(lab, conn, LAB_A);
    lab_enter(lab, LAB_CLIENT);
    again = socket(own.sin6_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    lab_leave(lab);
    g_assert_cmpint(setsockopt(again, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 },
                               sizeof(int)), ==, 0);
    g_assert_cmpint(bind(again, (struct sockaddr *)&own, length), ==, 0);
    conn->client.fd = again;
    lab_begin_connect(lab, again);
    server = lab_accept(lab, LAB_A);
    g_assert_cmpint(server, >=, 0);
    conn->server.fd = server;
    conn_say(conn, 1000, 1000);
    lab_finish(lab, conn);
    image_clear(&image);
    lab_free(lab);
}

static guint answers_of_a(Lab *lab, Conn *conn)
{
    lab_forget_seen(lab);
    conn->host = LAB_A;
    conn_say(conn, 500, 0);
    lab_settle(lab, 50);
    return lab->seen.n_from_hosts;
}

/* Whoever left first is forgotten first, when there are too many. */
static void test_oldest_makes_room(void)
{
    Lab *lab = lab_new(LAB_IPV4);
    Conn *first = lab_connect(lab);
    Conn *second = lab_connect(lab);

    lab_set(LAB_PARAMETERS "mutes_max", "2");
    conn_move(lab, first, LAB_B);
    g_assert_cmpuint(answers_of_a(lab, first), ==, 0);
    first->host = LAB_B;
    lab_finish(lab, first);
    conn_move(lab, second, LAB_B);
    g_assert_cmpuint(answers_of_a(lab, second), ==, 0);
    second->host = LAB_B;
    lab_finish(lab, second);
    lab_set(LAB_PARAMETERS "mutes_max", "65536");
    g_assert_cmpuint(answers_of_a(lab, first), >, 0);
    g_assert_cmpuint(answers_of_a(lab, second), ==, 0);
    second->host = LAB_B;
    lab_finish(lab, second);
    lab_free(lab);
}

/* One whose move is under way makes no room: then nothing leaves. */
static void test_unresolved_stays(void)
{
    Lab *lab = lab_new(LAB_IPV4);
    Conn *first = lab_connect(lab);
    Conn *second = lab_connect(lab);
    struct slice_id id, other;
    Image image, none;
    guint why;
    int dead;

    conn_id(lab, first, &id);
    conn_id(lab, second, &other);
    /* Nothing is there to read, but its dead descriptor will say so. */
    first->server.reads = FALSE;
    lab_set(LAB_PARAMETERS "mutes_max", "1");
    g_assert_cmpint(lab_quiesce(lab, id), ==, 0);
    g_assert_cmpint(lab_unplug(lab, id, &image, NULL), ==, 0);
    g_assert_cmpint(lab_quiesce(lab, other), ==, 0);
    g_assert_cmpint(lab_unplug(lab, other, &none, &why), ==, ENOSPC);
    lab_set(LAB_PARAMETERS "mutes_max", "65536");
    g_assert_cmpint(lab_end(lab, other, SLICE_FINISH_RESUME), ==, 0);
    g_assert_cmpint(lab_end(lab, id, SLICE_FINISH_RESUME), ==, 0);
    dead = first->server.fd;
    first->server.fd = lab_accept(lab, LAB_A);
    close(dead);
    first->server.reads = TRUE;
    conn_say(first, 1000, 1000);
    conn_say(second, 1000, 1000);
    lab_finish(lab, first);
    lab_finish(lab, second);
    image_clear(&image);
    lab_free(lab);
}

/* Unless a test wants it, only the first namespace has capsules. */
static void test_other_namespaces(void)
{
    Lab *lab = lab_new(LAB_IPV4);
    Conn *conn = lab_connect(lab);
    struct slice_ulp_listen mark = {
        .size = sizeof(mark), .fd = lab->listener[LAB_A],
    };
    struct slice_register reg = {
        .size = sizeof(reg), .flags = SLICE_GET_BY_FD,
        .handle = conn->client.fd,
    };
    Image image;

    take_out(lab, conn, &image);
    lab_set(LAB_PARAMETERS "any_netns", "0");
    g_assert_cmpint(ioctl(lab->slice, SLICE_IOC_LISTEN, &mark), ==, -1);
    g_assert_cmpint(errno, ==, EOPNOTSUPP);
    g_assert_cmpint(ioctl(lab->slice, SLICE_IOC_GET_ID, &reg), ==, -1);
    g_assert_cmpint(errno, ==, EOPNOTSUPP);
    g_assert_cmpint(lab_plug(lab, LAB_B, &image, NULL), ==, EBUSY);
    lab_set(LAB_PARAMETERS "any_netns", "1");
    g_assert_cmpint(lab_plug(lab, LAB_B, &image, NULL), ==, 0);
    open_at(lab, conn, LAB_B, &image);
    conn_say(conn, 1000, 1000);
    lab_finish(lab, conn);
    image_clear(&image);
    lab_free(lab);
}

#define V4 GINT_TO_POINTER(LAB_IPV4)
#define V6 GINT_TO_POINTER(LAB_IPV6)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/tcp/mute/no-reset-afterwards", V4,
                         test_no_reset_afterwards);
    g_test_add_data_func("/tcp/mute/ipv6/no-reset-afterwards", V6,
                         test_no_reset_afterwards);
    g_test_add_data_func("/tcp/mute/refused-plug-lifts-none", V4,
                         test_refusal_lifts_no_mute);
    g_test_add_data_func("/tcp/mute/ipv6/refused-plug-lifts-none", V6,
                         test_refusal_lifts_no_mute);
    g_test_add_func("/tcp/mute/discarded-plug-leaves-tombstone",
                    test_discard_leaves_tombstone);
    g_test_add_data_func("/tcp/mute/new-connection-ends-tombstone", V4,
                         test_syn_ends_tombstone);
    g_test_add_data_func("/tcp/mute/ipv6/new-connection-ends-tombstone", V6,
                         test_syn_ends_tombstone);
    g_test_add_func("/tcp/mute/oldest-makes-room", test_oldest_makes_room);
    g_test_add_func("/tcp/mute/move-under-way-makes-no-room",
                    test_unresolved_stays);
    g_test_add_func("/tcp/netns/only-the-first", test_other_namespaces);
    return g_test_run();
}
