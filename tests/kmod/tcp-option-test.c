/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp-option-test.c - what an application has set is set at the target, too
 *
 * Needs root, /dev/slice and /dev/net/tun. See tcp-lab.h for the topology. One
 * test for each option: set at the source, read back at the target.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tcp-lab.h"

#ifndef SO_MAX_PACING_RATE
#define SO_MAX_PACING_RATE 47
#endif

typedef struct Option {
    const char *name;
    LabNet net;
    int level;
    int option;
    int value;
} Option;

/* The kernel doubles what is asked of a buffer; everything else is told as it
 * was set. */
static const Option options[] = {
    { "nodelay", LAB_IPV4, SOL_TCP, TCP_NODELAY, 1 },
    { "cork", LAB_IPV4, SOL_TCP, TCP_CORK, 1 },
    { "keepalive", LAB_IPV4, SOL_SOCKET, SO_KEEPALIVE, 1 },
    { "keepalive-idle", LAB_IPV4, SOL_TCP, TCP_KEEPIDLE, 1234 },
    { "keepalive-interval", LAB_IPV4, SOL_TCP, TCP_KEEPINTVL, 56 },
    { "keepalive-count", LAB_IPV4, SOL_TCP, TCP_KEEPCNT, 7 },
    { "user-timeout", LAB_IPV4, SOL_TCP, TCP_USER_TIMEOUT, 89000 },
    { "linger2", LAB_IPV4, SOL_TCP, TCP_LINGER2, 17 },
    { "linger2-none", LAB_IPV4, SOL_TCP, TCP_LINGER2, -1 },
    { "notsent-lowat", LAB_IPV4, SOL_TCP, TCP_NOTSENT_LOWAT, 4711 },
    { "window-clamp", LAB_IPV4, SOL_TCP, TCP_WINDOW_CLAMP, 30000 },
    { "tos", LAB_IPV4, SOL_IP, IP_TOS, 0x10 },
    { "ttl", LAB_IPV4, SOL_IP, IP_TTL, 33 },
    { "mtu-discover", LAB_IPV4, SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE },
    { "priority", LAB_IPV4, SOL_SOCKET, SO_PRIORITY, 4 },
    { "mark", LAB_IPV4, SOL_SOCKET, SO_MARK, 0x51c3 },
    { "reuseaddr-on", LAB_IPV4, SOL_SOCKET, SO_REUSEADDR, 1 },
    { "reuseaddr-off", LAB_IPV4, SOL_SOCKET, SO_REUSEADDR, 0 },
    { "reuseport", LAB_IPV4, SOL_SOCKET, SO_REUSEPORT, 1 },
    { "receive-lowat", LAB_IPV4, SOL_SOCKET, SO_RCVLOWAT, 99 },
    { "out-of-band-inline", LAB_IPV4, SOL_SOCKET, SO_OOBINLINE, 1 },
    { "max-pacing-rate", LAB_IPV4, SOL_SOCKET, SO_MAX_PACING_RATE, 50000000 },
    { "receive-buffer", LAB_IPV4, SOL_SOCKET, SO_RCVBUF, 50000 },
    { "send-buffer", LAB_IPV4, SOL_SOCKET, SO_SNDBUF, 60000 },
    { "mapped/tos", LAB_MAPPED, SOL_IP, IP_TOS, 0x10 },
    { "mapped/nodelay", LAB_MAPPED, SOL_TCP, TCP_NODELAY, 1 },
    { "ipv6/nodelay", LAB_IPV6, SOL_TCP, TCP_NODELAY, 1 },
    { "ipv6/traffic-class", LAB_IPV6, SOL_IPV6, IPV6_TCLASS, 0x20 },
    { "ipv6/hop-limit", LAB_IPV6, SOL_IPV6, IPV6_UNICAST_HOPS, 44 },
    { "ipv6/mtu-discover", LAB_IPV6, SOL_IPV6, IPV6_MTU_DISCOVER,
      IPV6_PMTUDISC_PROBE },
    { "ipv6/mark", LAB_IPV6, SOL_SOCKET, SO_MARK, 0x51c6 },
};

static int get(const Conn *conn, int level, int option)
{
    socklen_t length = sizeof(int);
    int value = 0;

    g_assert_cmpint(getsockopt(conn->server.fd, level, option, &value,
                               &length), ==, 0);
    return value;
}

/* There and, not by chance, back. */
static void test_option(gconstpointer data)
{
    const Option *option = data;
    Lab *lab = lab_new(option->net);
    Conn *conn = lab_connect(lab);
    int told;

    g_assert_cmpint(setsockopt(conn->server.fd, option->level, option->option,
                               &option->value, sizeof(int)), ==, 0);
    told = get(conn, option->level, option->option);
    if (option->option != SO_RCVBUF && option->option != SO_SNDBUF) {
        g_assert_cmpint(told, ==, option->value);
    }
    conn_move(lab, conn, LAB_B);
    g_assert_cmpint(get(conn, option->level, option->option), ==, told);
    conn_move(lab, conn, LAB_A);
    g_assert_cmpint(get(conn, option->level, option->option), ==, told);
    lab_free(lab);
}

static void test_linger(void)
{
    struct linger linger = { .l_onoff = 1, .l_linger = 9 };
    socklen_t length = sizeof(linger);
    Lab *lab = lab_new(LAB_IPV4);
    Conn *conn = lab_connect(lab);

    setsockopt(conn->server.fd, SOL_SOCKET, SO_LINGER, &linger, length);
    conn_move(lab, conn, LAB_B);
    memset(&linger, 0, sizeof(linger));
    getsockopt(conn->server.fd, SOL_SOCKET, SO_LINGER, &linger, &length);
    g_assert_cmpint(linger.l_onoff, ==, 1);
    g_assert_cmpint(linger.l_linger, ==, 9);
    lab_free(lab);
}

static void test_timeout(gconstpointer option)
{
    struct timeval timeout = { .tv_sec = 12, .tv_usec = 500000 };
    socklen_t length = sizeof(timeout);
    Lab *lab = lab_new(LAB_IPV4);
    Conn *conn = lab_connect(lab);

    setsockopt(conn->server.fd, SOL_SOCKET, GPOINTER_TO_INT(option), &timeout,
               length);
    conn_move(lab, conn, LAB_B);
    memset(&timeout, 0, sizeof(timeout));
    getsockopt(conn->server.fd, SOL_SOCKET, GPOINTER_TO_INT(option), &timeout,
               &length);
    g_assert_cmpint(timeout.tv_sec, ==, 12);
    g_assert_cmpint(timeout.tv_usec, ==, 500000);
    lab_free(lab);
}

static void test_congestion(void)
{
    Lab *lab = lab_new(LAB_IPV4);
    Conn *conn = lab_connect(lab);
    char name[16] = "";
    socklen_t length = sizeof(name);

    g_assert_cmpint(setsockopt(conn->server.fd, SOL_TCP, TCP_CONGESTION,
                               "reno", 4), ==, 0);
    conn_move(lab, conn, LAB_B);
    getsockopt(conn->server.fd, SOL_TCP, TCP_CONGESTION, name, &length);
    g_assert_cmpstr(name, ==, "reno");
    lab_free(lab);
}

/* What the handshake has agreed on, and what was measured since. */
static void test_negotiated(gconstpointer net)
{
    Lab *lab = lab_new(GPOINTER_TO_INT(net));
    Conn *conn = lab_connect(lab);
    struct tcp_info before, after;
    socklen_t length = sizeof(before);

    conn_say(conn, 50000, 50000);
    lab_finish(lab, conn);
    lab_settle(lab, 100);
    getsockopt(conn->server.fd, SOL_TCP, TCP_INFO, &before, &length);
    conn_move(lab, conn, LAB_B);
    length = sizeof(after);
    getsockopt(conn->server.fd, SOL_TCP, TCP_INFO, &after, &length);
    g_assert_cmpuint(before.tcpi_options &
                     (TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE),
                     ==, TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK |
                     TCPI_OPT_WSCALE);
    g_assert_cmpuint(after.tcpi_options, ==, before.tcpi_options);
    g_assert_cmpuint(after.tcpi_snd_mss, ==, before.tcpi_snd_mss);
    g_assert_cmpuint(after.tcpi_advmss, ==, before.tcpi_advmss);
    g_assert_cmpuint(after.tcpi_pmtu, ==, before.tcpi_pmtu);
    g_assert_cmpuint(after.tcpi_snd_wscale, ==, before.tcpi_snd_wscale);
    g_assert_cmpuint(after.tcpi_rcv_wscale, ==, before.tcpi_rcv_wscale);
    g_assert_cmpuint(after.tcpi_snd_cwnd, ==, before.tcpi_snd_cwnd);
    g_assert_cmpuint(after.tcpi_snd_ssthresh, ==, before.tcpi_snd_ssthresh);
    g_assert_cmpuint(after.tcpi_rtt, ==, before.tcpi_rtt);
    lab_free(lab);
}

static guint16 checksum(const void *data, gsize bytes)
{
    const guint8 *at = data;
    guint32 sum = 0;
    gsize i;

    for (i = 0; i < bytes; i++) {
        sum += i & 1 ? at[i] : at[i] << 8;
    }
    sum = (sum & 0xffff) + (sum >> 16);
    return g_htons(~(sum + (sum >> 16)) & 0xffff);
}

/* A router on the way to the client says that packets are too big for it. */
static void send_too_big(Lab *lab, const Conn *conn, guint16 mtu)
{
    struct {
        guint8 rsvd[2];         /* so that what follows is aligned */
        struct ether_header ether;
        struct iphdr ip;
        struct icmphdr icmp;
        struct iphdr inner;
        guint16 port[2];
        guint32 seq;
    } frame = {
        .ether.ether_dhost = { 2, 0, 0, 0, 0, 0x10 },
        .ether.ether_shost = { 2, 0, 0, 0, 0, 0x20 },
        .ether.ether_type = htons(ETHERTYPE_IP),
        .ip.version = 4, .ip.ihl = 5, .ip.ttl = 64,
        .ip.protocol = IPPROTO_ICMP,
        .ip.saddr = inet_addr("192.0.2.20"),
        .ip.daddr = inet_addr("192.0.2.10"),
        .icmp.type = ICMP_DEST_UNREACH, .icmp.code = ICMP_FRAG_NEEDED,
        .icmp.un.frag.mtu = htons(mtu),
        .inner.version = 4, .inner.ihl = 5, .inner.ttl = 64,
        .inner.protocol = IPPROTO_TCP, .inner.tot_len = htons(1500),
        .inner.saddr = inet_addr("192.0.2.10"),
        .inner.daddr = inet_addr("192.0.2.20"),
        .port = { htons(LAB_PORT), htons(conn->port) },
        .seq = htonl(conn->next),
    };
    const gsize inner_bytes = sizeof(frame) - offsetof(typeof(frame), icmp);

    frame.ip.tot_len = htons(sizeof(frame.ip) + inner_bytes);
    frame.ip.check = checksum(&frame.ip, sizeof(frame.ip));
    frame.icmp.checksum = checksum(&frame.icmp, inner_bytes);
    lab_write_frame(lab, conn->host, &frame.ether,
                    sizeof(frame) - sizeof(frame.rsvd));
}

static guint path_mtu(const Conn *conn)
{
    struct tcp_info info;
    socklen_t length = sizeof(info);

    getsockopt(conn->server.fd, SOL_TCP, TCP_INFO, &info, &length);
    return info.tcpi_pmtu;
}

static gboolean has_learnt(Lab *lab, gpointer conn)
{
    return path_mtu(conn) == 1300;
}

/* The target need not learn again what does not fit. */
static void test_path_mtu(void)
{
    Lab *lab = lab_new(LAB_IPV4);
    Conn *conn = lab_connect(lab);

    conn_say(conn, 1000, 1000);
    lab_finish(lab, conn);
    lab_settle(lab, 50);
    g_assert_cmpuint(path_mtu(conn), ==, 1500);
    send_too_big(lab, conn, 1300);
    lab_run(lab, has_learnt, conn);
    conn_move(lab, conn, LAB_B);
    g_assert_cmpuint(path_mtu(conn), ==, 1300);
    conn_say(conn, 100000, 100000);
    lab_finish(lab, conn);
    lab_free(lab);
}

/* A client that can do nothing of this finds a server that does nothing of it. */
static void test_plain_client(void)
{
    static const char *const names[] = {
        "tcp_timestamps", "tcp_sack", "tcp_window_scaling",
    };
    Lab *lab = lab_new(LAB_IPV4);
    struct tcp_info info;
    socklen_t length = sizeof(info);
    Conn *conn;
    gsize i;

    lab_enter(lab, LAB_CLIENT);
    for (i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_strdup_printf("/proc/sys/net/ipv4/%s",
                                                names[i]);

        lab_set(path, "0");
    }
    lab_leave(lab);
    conn = lab_connect(lab);
    lab_forget_seen(lab);
    conn_say(conn, 100000, 100000);
    lab_finish(lab, conn);
    conn_move(lab, conn, LAB_B);
    getsockopt(conn->server.fd, SOL_TCP, TCP_INFO, &info, &length);
    g_assert_cmpuint(info.tcpi_options, ==, 0);
    conn_say(conn, 100000, 100000);
    lab_finish(lab, conn);
    lab_assert_silent(lab, 0);
    lab_free(lab);
}

int main(int argc, char **argv)
{
    gsize i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < G_N_ELEMENTS(options); i++) {
        g_autofree char *path = g_strdup_printf("/tcp/option/%s",
                                                options[i].name);

        g_test_add_data_func(path, &options[i], test_option);
    }
    g_test_add_func("/tcp/option/linger", test_linger);
    g_test_add_data_func("/tcp/option/receive-timeout",
                         GINT_TO_POINTER(SO_RCVTIMEO), test_timeout);
    g_test_add_data_func("/tcp/option/send-timeout",
                         GINT_TO_POINTER(SO_SNDTIMEO), test_timeout);
    g_test_add_func("/tcp/option/congestion-control", test_congestion);
    g_test_add_data_func("/tcp/option/what-was-negotiated",
                         GINT_TO_POINTER(LAB_IPV4), test_negotiated);
    g_test_add_data_func("/tcp/option/ipv6/what-was-negotiated",
                         GINT_TO_POINTER(LAB_IPV6), test_negotiated);
    g_test_add_func("/tcp/option/path-mtu", test_path_mtu);
    g_test_add_func("/tcp/option/client-without-options", test_plain_client);
    return g_test_run();
}
