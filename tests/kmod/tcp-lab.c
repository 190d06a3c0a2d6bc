/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp-lab.c - two hosts with one address, a client and a switch, in one kernel
 *
 * Hosts, the switch and the peers; what moves a connection is in tcp-steps.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tcp-lab.h"

#define LAB_DEADLINE_US (30 * G_USEC_PER_SEC)
#define LAB_FRAME_BYTES_MAX 2048
#define LAB_ETHER_BYTES 14

static const char *const lab_address[LAB_N_HOSTS] = {
    "192.0.2.10", "192.0.2.10", "192.0.2.20",
};
static const char *const lab_address6[LAB_N_HOSTS] = {
    "2001:db8::10", "2001:db8::10", "2001:db8::20",
};
static const guint8 lab_mac[LAB_N_HOSTS][6] = {
    { 2, 0, 0, 0, 0, 0x10 }, { 2, 0, 0, 0, 0, 0x10 }, { 2, 0, 0, 0, 0, 0x20 },
};

/* ---- hosts ---- */

void lab_enter(Lab *lab, int host)
{
    g_assert_cmpint(setns(lab->ns[host], CLONE_NEWNET), ==, 0);
}

void lab_leave(Lab *lab)
{
    g_assert_cmpint(setns(lab->home, CLONE_NEWNET), ==, 0);
}

static int lab_open_ns(void)
{
    int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static void lab_ifreq(struct ifreq *req, const char *name)
{
    memset(req, 0, sizeof(*req));
    g_strlcpy(req->ifr_name, name, sizeof(req->ifr_name));
}

static void lab_set_address(struct sockaddr *address, const char *text)
{
    struct sockaddr_in in = { .sin_family = AF_INET };

    g_assert_cmpint(inet_pton(AF_INET, text, &in.sin_addr), ==, 1);
    memcpy(address, &in, sizeof(in));
}

void lab_set(const char *path, const char *value)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, value, strlen(value)), ==, strlen(value));
    close(fd);
}

void lab_call(const char *command)
{
    g_autoptr(GError) error = NULL;
    int status;

    g_spawn_command_line_sync(command, NULL, NULL, &status, &error);
    g_assert_no_error(error);
    g_assert_cmpint(status, ==, 0);
}

/* Without asking whether another host has it: one does. */
static void lab_set_address6(int host)
{
    g_autofree char *command = g_strdup_printf(
        "ip -6 address add %s/64 dev eth0 nodad", lab_address6[host]);

    lab_call(command);
}

/* In the new namespace: a tap with its address, up; returns its other end. */
static int lab_make_tap(int host)
{
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct ifreq req;

    g_assert_cmpint(fd, >=, 0);
    /* Two hosts have one address, and nobody else speaks here. */
    lab_set("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
    lab_set("/proc/sys/net/ipv6/conf/default/router_solicitations", "0");
    lab_ifreq(&req, "eth0");
    req.ifr_flags = IFF_TAP | IFF_NO_PI;
    g_assert_cmpint(ioctl(fd, TUNSETIFF, &req), ==, 0);
    lab_ifreq(&req, "eth0");
    req.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    memcpy(req.ifr_hwaddr.sa_data, lab_mac[host], 6);
    g_assert_cmpint(ioctl(control, SIOCSIFHWADDR, &req), ==, 0);
    lab_ifreq(&req, "eth0");
    lab_set_address(&req.ifr_addr, lab_address[host]);
    g_assert_cmpint(ioctl(control, SIOCSIFADDR, &req), ==, 0);
    lab_set_address(&req.ifr_addr, "255.255.255.0");
    g_assert_cmpint(ioctl(control, SIOCSIFNETMASK, &req), ==, 0);
    lab_ifreq(&req, "eth0");
    req.ifr_flags = IFF_UP | IFF_RUNNING;
    g_assert_cmpint(ioctl(control, SIOCSIFFLAGS, &req), ==, 0);
    lab_ifreq(&req, "lo");
    req.ifr_flags = IFF_UP | IFF_RUNNING;
    g_assert_cmpint(ioctl(control, SIOCSIFFLAGS, &req), ==, 0);
    close(control);
    lab_set_address6(host);
    return fd;
}

static void lab_listen(Lab *lab, int host)
{
    struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(LAB_PORT),
    };
    struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = htons(LAB_PORT),
    };
    struct slice_ulp_listen mark = { .size = sizeof(mark) };
    int family = lab->net == LAB_IPV4 ? AF_INET : AF_INET6;
    int one = 1;
    int fd;

    lab_enter(lab, host);
    fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    g_assert_cmpint(fd, >=, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    g_assert_cmpint(family == AF_INET6 ?
                    bind(fd, (struct sockaddr *)&v6, sizeof(v6)) :
                    bind(fd, (struct sockaddr *)&v4, sizeof(v4)), ==, 0);
    g_assert_cmpint(listen(fd, 64), ==, 0);
    lab_leave(lab);
    mark.fd = fd;
    g_assert_cmpint(ioctl(lab->slice, SLICE_IOC_LISTEN, &mark), ==, 0);
    lab->listener[host] = fd;
}

Lab *lab_new(LabNet net)
{
    Lab *lab = g_new0(Lab, 1);
    int host;

    lab->net = net;
    lab->slice = open("/dev/slice", O_RDWR | O_CLOEXEC);
    g_assert_cmpint(lab->slice, >=, 0);
    /* The hosts are namespaces of one kernel. */
    lab_set(LAB_PARAMETERS "any_netns", "1");
    lab->home = lab_open_ns();
    lab->rand = g_rand_new_with_seed(1);
    lab->conns = g_ptr_array_new();
    for (host = 0; host < LAB_N_HOSTS; host++) {
        g_assert_cmpint(unshare(CLONE_NEWNET), ==, 0);
        lab->ns[host] = lab_open_ns();
        lab->tap[host] = lab_make_tap(host);
        lab_leave(lab);
    }
    lab_listen(lab, LAB_A);
    lab_listen(lab, LAB_B);
    return lab;
}

void lab_free(Lab *lab)
{
    int host;

    while (lab->conns->len) {
        conn_close(lab, g_ptr_array_index(lab->conns, 0));
    }
    close(lab->listener[LAB_A]);
    close(lab->listener[LAB_B]);
    for (host = 0; host < LAB_N_HOSTS; host++) {
        close(lab->tap[host]);
        close(lab->ns[host]);
    }
    close(lab->home);
    close(lab->slice);
    g_ptr_array_free(lab->conns, TRUE);
    g_rand_free(lab->rand);
    g_free(lab);
}

/* ---- the switch ---- */

void lab_write_frame(Lab *lab, int host, const void *frame, gsize bytes)
{
    /* The tap takes a frame at once or not at all: then it is lost. */
    (void)!write(lab->tap[host], frame, bytes);
}

static Conn *lab_find_conn(Lab *lab, guint16 port)
{
    guint i;

    for (i = 0; i < lab->conns->len; i++) {
        Conn *conn = g_ptr_array_index(lab->conns, i);

        if (conn->port == port) {
            return conn;
        }
    }
    return NULL;
}

static void lab_look_at_client(Lab *lab, Conn *conn, const struct tcphdr *tcp,
                               gsize payload_bytes)
{
    guint32 end = ntohl(tcp->seq) + payload_bytes;

    if (payload_bytes && conn->seq_is_known &&
        (gint32)(end - conn->seq) <= 0) {
        lab->seen.n_again++;
    }
    if (!conn->seq_is_known || (gint32)(end - conn->seq) > 0) {
        conn->seq = end;
        conn->seq_is_known = TRUE;
    }
}

/* The timestamp option of @tcp, where it stands first as Linux has it. */
static void lab_look_at_host(Lab *lab, Conn *conn, const struct tcphdr *tcp)
{
    static const guint8 option[4] = { 1, 1, 8, 10 };
    const guint8 *at = (const guint8 *)(tcp + 1);
    guint32 tsval;

    if (tcp->doff * 4 < (int)sizeof(*tcp) + 12 || memcmp(at, option, 4)) {
        return;
    }
    memcpy(&tsval, at + 4, sizeof(tsval));
    tsval = ntohl(tsval);
    lab->seen.n_back += conn->tsval_is_known &&
                        (gint32)(tsval - conn->tsval) < 0;
    conn->tsval = tsval;
    conn->tsval_is_known = TRUE;
}

/* One that is sent again stands in the same place. */
static void lab_look_at_fin(Lab *lab, Conn *conn, guint32 seq)
{
    lab->seen.n_fin += !conn->fin_is_known || conn->fin != seq;
    conn->fin = seq;
    conn->fin_is_known = TRUE;
}

/* Payload of a host's: notes it; whether it is lost. */
static gboolean lab_is_swallowed(Conn *conn, guint32 seq, gsize payload_bytes)
{
    if (!payload_bytes) {
        return FALSE;
    }
    g_array_append_val(conn->said, seq);
    return conn->has_hole && (gint32)(seq - conn->hole) < 0;
}

/* A frame of TCP whose IP payload is @tcp: counts it; where it goes to, or -1. */
static int lab_route_tcp(Lab *lab, int from, const guint8 *frame, gsize bytes,
                         const struct tcphdr *tcp, gsize tcp_bytes)
{
    gboolean is_client = from == LAB_CLIENT;
    Conn *conn = lab_find_conn(lab, ntohs(is_client ? tcp->source : tcp->dest));

    g_assert_cmpuint(tcp->doff * 4, <=, tcp_bytes);
    if (!conn) {
        return is_client ? LAB_A : LAB_CLIENT;
    }
    lab->seen.n_rst += tcp->rst;
    lab->seen.n_syn += tcp->syn;
    if (is_client) {
        lab_look_at_client(lab, conn, tcp, tcp_bytes - tcp->doff * 4);
        if (conn->held) {
            g_queue_push_tail(conn->held, g_bytes_new(frame, bytes));
            return -1;
        }
        return conn->host;
    }
    if (tcp->fin) {
        lab_look_at_fin(lab, conn, ntohl(tcp->seq) + tcp_bytes - tcp->doff * 4);
    }
    conn->next = ntohl(tcp->seq) + tcp_bytes - tcp->doff * 4 + tcp->fin;
    lab->seen.n_from_hosts++;
    if (from != conn->host) {
        lab->seen.n_strange++;
        return -1;
    }
    lab_look_at_host(lab, conn, tcp);
    return lab_is_swallowed(conn, ntohl(tcp->seq), tcp_bytes - tcp->doff * 4) ?
           -1 : LAB_CLIENT;
}

/* Where hardware addresses are asked for, everybody hears the client. */
static void lab_route_neighbour(Lab *lab, int from, const guint8 *frame,
                                gsize bytes)
{
    if (from == LAB_CLIENT) {
        lab_write_frame(lab, LAB_A, frame, bytes);
        lab_write_frame(lab, LAB_B, frame, bytes);
    } else {
        lab_write_frame(lab, LAB_CLIENT, frame, bytes);
    }
}

static int lab_route_ipv4(Lab *lab, int from, const guint8 *frame, gsize bytes)
{
    const struct iphdr *ip = (const void *)(frame + LAB_ETHER_BYTES);

    if (bytes < LAB_ETHER_BYTES + sizeof(*ip) || ip->protocol != IPPROTO_TCP) {
        return -1;
    }
    return lab_route_tcp(lab, from, frame, bytes,
                         (const void *)((const guint8 *)ip + ip->ihl * 4),
                         ntohs(ip->tot_len) - ip->ihl * 4);
}

static int lab_route_ipv6(Lab *lab, int from, const guint8 *frame, gsize bytes)
{
    const struct ip6_hdr *ip = (const void *)(frame + LAB_ETHER_BYTES);
    const struct icmp6_hdr *icmp = (const void *)(ip + 1);

    if (bytes < LAB_ETHER_BYTES + sizeof(*ip) + sizeof(*icmp)) {
        return -1;
    }
    if (ip->ip6_nxt == IPPROTO_ICMPV6) {
        if (icmp->icmp6_type == ND_NEIGHBOR_SOLICIT ||
            icmp->icmp6_type == ND_NEIGHBOR_ADVERT) {
            lab->seen.n_arp += from != LAB_CLIENT &&
                               icmp->icmp6_type == ND_NEIGHBOR_SOLICIT;
            lab_route_neighbour(lab, from, frame, bytes);
        }
        return -1;
    }
    if (ip->ip6_nxt != IPPROTO_TCP) {
        return -1;
    }
    return lab_route_tcp(lab, from, frame, bytes, (const void *)(ip + 1),
                         ntohs(ip->ip6_plen));
}

static void lab_route(Lab *lab, int from, const guint8 *frame, gsize bytes)
{
    guint16 type;
    int to;

    if (bytes < LAB_ETHER_BYTES) {
        return;
    }
    memcpy(&type, frame + 12, sizeof(type));
    switch (ntohs(type)) {
    case ETHERTYPE_ARP:
        lab->seen.n_arp += from != LAB_CLIENT && frame[21] == 1;
        lab_route_neighbour(lab, from, frame, bytes);
        return;
    case ETHERTYPE_IP:
        to = lab_route_ipv4(lab, from, frame, bytes);
        break;
    case ETHERTYPE_IPV6:
        to = lab_route_ipv6(lab, from, frame, bytes);
        break;
    default:
        return;
    }
    if (to < 0 || (lab->loss_permille &&
                   g_rand_int_range(lab->rand, 0, 1000) <
                   (gint)lab->loss_permille)) {
        return;
    }
    lab_write_frame(lab, to, frame, bytes);
}

guint lab_amount(guint all)
{
    const char *wanted = g_getenv("SLICE_ALL");

    return wanted && *wanted ? all : all / 4;
}

guint64 lab_counter(Lab *lab, int host, const char *name)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    guint line, column;

    lab_enter(lab, host);
    g_assert_true(g_file_get_contents("/proc/thread-self/net/netstat", &text,
                                      NULL, NULL));
    lab_leave(lab);
    lines = g_strsplit(text, "\n", -1);
    for (line = 0; lines[line] && lines[line + 1]; line += 2) {
        g_auto(GStrv) names = g_strsplit(lines[line], " ", -1);
        g_auto(GStrv) values = g_strsplit(lines[line + 1], " ", -1);

        for (column = 0; names[column]; column++) {
            if (!strcmp(names[column], name)) {
                return g_ascii_strtoull(values[column], NULL, 10);
            }
        }
    }
    g_error("no counter %s", name);
}

void lab_forget_seen(Lab *lab)
{
    memset(&lab->seen, 0, sizeof(lab->seen));
}

void lab_assert_silent(const Lab *lab, guint n_fin)
{
    g_assert_cmpuint(lab->seen.n_rst, ==, 0);
    g_assert_cmpuint(lab->seen.n_syn, ==, 0);
    g_assert_cmpuint(lab->seen.n_fin, ==, n_fin);
    g_assert_cmpuint(lab->seen.n_strange, ==, 0);
    g_assert_cmpuint(lab->seen.n_back, ==, 0);
}

/* ---- peers ---- */

static guint8 peer_byte(guint8 salt, guint64 at)
{
    return (guint8)(at ^ (at >> 8) ^ (at >> 16) ^ salt);
}

static void peer_read(Peer *peer, guint8 salt)
{
    guint8 data[65536];
    ssize_t n, i;

    n = recv(peer->fd, data, sizeof(data), MSG_DONTWAIT);
    if (n < 0) {
        if (errno != EAGAIN) {
            peer->error = errno;
        }
        return;
    }
    if (n == 0) {
        peer->at_eof = TRUE;
        return;
    }
    for (i = 0; i < n; i++) {
        if (data[i] != peer_byte(salt, peer->rx + i)) {
            g_error("byte %" G_GUINT64_FORMAT " is %02x, not %02x",
                    peer->rx + i, data[i], peer_byte(salt, peer->rx + i));
        }
    }
    peer->rx += n;
}

static void peer_write(Peer *peer)
{
    guint8 data[65536];
    gsize n = MIN(sizeof(data), peer->tx_goal - peer->tx);
    ssize_t sent;
    gsize i;

    for (i = 0; i < n; i++) {
        data[i] = peer_byte(peer->salt, peer->tx + i);
    }
    sent = send(peer->fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN) {
            peer->error = errno;
        }
        return;
    }
    peer->tx += sent;
}

static short peer_events(const Peer *peer)
{
    if (peer->fd < 0 || peer->error) {
        return 0;
    }
    return (peer->reads && !peer->at_eof ? POLLIN : 0) |
           (peer->tx < peer->tx_goal ? POLLOUT : 0);
}

static gboolean peer_step(Peer *peer, const Peer *other)
{
    struct pollfd poll_fd = { .fd = peer->fd, .events = peer_events(peer) };

    if (!poll_fd.events || poll(&poll_fd, 1, 0) != 1) {
        return FALSE;
    }
    if (poll_fd.revents & (POLLIN | POLLERR) && poll_fd.events & POLLIN) {
        peer_read(peer, other->salt);
    }
    if (poll_fd.revents & POLLOUT) {
        peer_write(peer);
    }
    return TRUE;
}

/* ---- running ---- */

gboolean lab_forward(Lab *lab)
{
    guint8 frame[LAB_FRAME_BYTES_MAX];
    gboolean any = FALSE;
    int host, burst;
    ssize_t n;

    for (host = 0; host < LAB_N_HOSTS; host++) {
        for (burst = 0; burst < 64; burst++) {
            n = read(lab->tap[host], frame, sizeof(frame));
            if (n <= 0) {
                break;
            }
            lab_route(lab, host, frame, n);
            any = TRUE;
        }
    }
    return any;
}

gboolean lab_step(Lab *lab, int timeout_ms)
{
    g_autofree struct pollfd *fds = NULL;
    gboolean any;
    guint i, n = 0;

    any = lab_forward(lab);
    for (i = 0; i < lab->conns->len; i++) {
        Conn *conn = g_ptr_array_index(lab->conns, i);

        any |= peer_step(&conn->client, &conn->server);
        any |= peer_step(&conn->server, &conn->client);
    }
    if (any || !timeout_ms) {
        return any;
    }
    fds = g_new0(struct pollfd, LAB_N_HOSTS + 2 * lab->conns->len);
    for (i = 0; i < LAB_N_HOSTS; i++) {
        fds[n++] = (struct pollfd){ .fd = lab->tap[i], .events = POLLIN };
    }
    for (i = 0; i < lab->conns->len; i++) {
        Conn *conn = g_ptr_array_index(lab->conns, i);
        const Peer *ends[] = { &conn->client, &conn->server };
        guint end;

        for (end = 0; end < G_N_ELEMENTS(ends); end++) {
            short events = peer_events(ends[end]);

            if (events) {
                fds[n++] = (struct pollfd){ .fd = ends[end]->fd,
                                            .events = events };
            }
        }
    }
    return poll(fds, n, timeout_ms) > 0;
}

void lab_run(Lab *lab, gboolean (*done)(Lab *lab, gpointer data),
             gpointer data)
{
    gint64 deadline = g_get_monotonic_time() + LAB_DEADLINE_US;

    while (!done(lab, data)) {
        lab_step(lab, 50);
        if (g_get_monotonic_time() > deadline) {
            g_error("nothing came of it within 30 s");
        }
    }
}

void lab_settle(Lab *lab, int quiet_ms)
{
    while (lab_step(lab, quiet_ms)) {
        continue;
    }
}

gboolean conn_is_done(Lab *lab, gpointer data)
{
    Conn *conn = data;

    if (conn->client.error || conn->server.error) {
        g_error("port %u: client: %s, server: %s", conn->port,
                g_strerror(conn->client.error),
                g_strerror(conn->server.error));
    }
    return conn->client.tx == conn->client.tx_goal &&
           conn->server.rx == conn->client.tx_goal &&
           conn->server.tx == conn->server.tx_goal &&
           conn->client.rx == conn->server.tx_goal;
}

void conn_say(Conn *conn, guint64 client_bytes, guint64 server_bytes)
{
    conn->client.tx_goal += client_bytes;
    conn->server.tx_goal += server_bytes;
}

void lab_finish(Lab *lab, Conn *conn)
{
    lab_run(lab, conn_is_done, conn);
}

/* ---- connections ---- */

static gboolean lab_listener_has_one(Lab *lab, gpointer data)
{
    struct pollfd fd = { .fd = *(int *)data, .events = POLLIN };

    return poll(&fd, 1, 0) == 1;
}

int lab_accept(Lab *lab, int host)
{
    int fd;

    lab_run(lab, lab_listener_has_one, &lab->listener[host]);
    fd = accept4(lab->listener[host], NULL, NULL,
                 SOCK_NONBLOCK | SOCK_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    return fd;
}

/* The servers' address; returns its length. */
static socklen_t lab_server_address(Lab *lab, struct sockaddr_in6 *ret_address)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons(LAB_PORT),
    };

    memset(ret_address, 0, sizeof(*ret_address));
    if (lab->net == LAB_IPV6) {
        ret_address->sin6_family = AF_INET6;
        ret_address->sin6_port = htons(LAB_PORT);
        inet_pton(AF_INET6, lab_address6[LAB_A], &ret_address->sin6_addr);
        return sizeof(*ret_address);
    }
    inet_pton(AF_INET, lab_address[LAB_A], &in.sin_addr);
    memcpy(ret_address, &in, sizeof(in));
    return sizeof(in);
}

void lab_begin_connect(Lab *lab, int fd)
{
    struct sockaddr_in6 server;
    socklen_t length = lab_server_address(lab, &server);

    g_assert_cmpint(connect(fd, (struct sockaddr *)&server, length), ==, -1);
    g_assert_cmpint(errno, ==, EINPROGRESS);
}

Conn *lab_dial(Lab *lab)
{
    socklen_t length = sizeof(struct sockaddr_in6);
    struct sockaddr_in6 own;
    Conn *conn = g_new0(Conn, 1);

    conn->said = g_array_new(FALSE, FALSE, sizeof(guint32));
    conn->client.salt = 0x5a;
    conn->server.salt = 0xa5;
    conn->client.reads = TRUE;
    conn->server.reads = TRUE;
    conn->host = LAB_A;
    lab_enter(lab, LAB_CLIENT);
    conn->client.fd = socket(lab->net == LAB_IPV6 ? AF_INET6 : AF_INET,
                             SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    lab_leave(lab);
    lab_begin_connect(lab, conn->client.fd);
    g_assert_cmpint(getsockname(conn->client.fd, (struct sockaddr *)&own,
                                &length), ==, 0);
    /* The port is in the same place for both. */
    conn->port = ntohs(own.sin6_port);
    conn->server.fd = -1;
    lab_run(lab, lab_listener_has_one, &lab->listener[LAB_A]);
    lab_settle(lab, 20);
    g_ptr_array_add(lab->conns, conn);
    return conn;
}

Conn *lab_connect(Lab *lab)
{
    Conn *conn = lab_dial(lab);

    conn->server.fd = lab_accept(lab, LAB_A);
    return conn;
}

static void peer_close(Peer *peer)
{
    if (peer->fd >= 0) {
        close(peer->fd);
    }
    peer->fd = -1;
}

void conn_close(Lab *lab, Conn *conn)
{
    if (conn->held) {
        conn_release(lab, conn, conn->host);
    }
    peer_close(&conn->client);
    lab_settle(lab, 20);
    peer_close(&conn->server);
    lab_settle(lab, 20);
    g_ptr_array_remove(lab->conns, conn);
    g_array_unref(conn->said);
    g_free(conn);
}

void conn_forget_said(Conn *conn)
{
    g_array_set_size(conn->said, 0);
}
