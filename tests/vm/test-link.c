// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-link.c - the lab's bad line does what it was told: packets are counted
 *
 *      cl1 ─── link ─── br0 ─── cl2      no VM, no sliced
 *
 * cl1 sends numbered datagrams, cl2 counts them.  Nothing else crosses the link:
 * cl1 knows cl2's hardware address and speaks no IPv6.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lab.h"

#define PORT 9000
#define N_DATAGRAMS 2000
#define BATCH 100               /* that the receiver's socket surely holds */
#define TIMEOUT_US 30000000

static Lab *lab;
static LabClient *sender, *receiver;
static LabLink *line;
static int from, to;

/* One after another from 0; how often each came, and those that were overtaken. */
typedef struct Arrived {
    uint8_t times[N_DATAGRAMS];
    unsigned int n, n_overtaken;
    int64_t highest;
} Arrived;

/* What there is, or comes in the next moment. */
static void receive_some(Arrived *arrived)
{
    struct pollfd entry = { to, POLLIN, 0 };
    uint32_t number;

    poll(&entry, 1, 10);
    while (recv(to, &number, sizeof(number), MSG_DONTWAIT) == sizeof(number)) {
        g_assert_cmpuint(number, <, N_DATAGRAMS);
        arrived->times[number]++;
        arrived->n++;
        arrived->n_overtaken += number < arrived->highest;
        arrived->highest = MAX(arrived->highest, number);
    }
}

/* Sends all; returns when what left the link has arrived; the counts of this. */
static void send_all(const LabLinkSettings *settings, Arrived *arrived, LabLinkCounts *ret_counts)
{
    gint64 deadline = g_get_monotonic_time() + TIMEOUT_US;
    LabLinkCounts before, now;

    *arrived = (Arrived){ .highest = -1 };
    lab_link_count(line, LAB_LINK_FROM_CLIENT, &before);
    lab_link_set(line, LAB_LINK_FROM_CLIENT, settings);
    for (uint32_t i = 0; i < N_DATAGRAMS; ) {
        for (uint32_t end = i + BATCH; i < end; i++) {
            g_assert_cmpint(send(from, &i, sizeof(i), 0), ==, sizeof(i));
        }
        do {
            g_assert_cmpint(g_get_monotonic_time(), <, deadline);
            receive_some(arrived);
            lab_link_count(line, LAB_LINK_FROM_CLIENT, &now);
        } while (now.n_in - before.n_in < i || now.n_waiting ||
                 arrived->n < now.n_out - before.n_out);
    }
    *ret_counts = (LabLinkCounts){
        .n_in = now.n_in - before.n_in, .n_out = now.n_out - before.n_out,
        .n_cut = now.n_cut - before.n_cut, .n_lost = now.n_lost - before.n_lost,
        .n_doubled = now.n_doubled - before.n_doubled, .n_late = now.n_late - before.n_late,
        .n_overflowed = now.n_overflowed - before.n_overflowed,
    };
    g_assert_cmpuint(ret_counts->n_in, ==, N_DATAGRAMS);
    g_assert_cmpuint(arrived->n, ==, ret_counts->n_out);
}

static unsigned int n_of(const Arrived *arrived, unsigned int times)
{
    unsigned int n = 0;

    for (int i = 0; i < N_DATAGRAMS; i++) {
        n += arrived->times[i] == times;
    }
    return n;
}

static void test_wire(void)
{
    LabLinkSettings settings = { 0 };
    LabLinkCounts counts;
    Arrived arrived;

    send_all(&settings, &arrived, &counts);
    g_assert_cmpuint(n_of(&arrived, 1), ==, N_DATAGRAMS);
    g_assert_cmpuint(arrived.n_overtaken, ==, 0);
}

static void test_loss(void)
{
    LabLinkSettings settings = { .loss_permille = 50 };
    LabLinkCounts counts;
    Arrived arrived;

    send_all(&settings, &arrived, &counts);
    g_assert_cmpuint(counts.n_lost, >, 0);
    g_assert_cmpuint(n_of(&arrived, 0), ==, counts.n_lost);
    g_assert_cmpuint(n_of(&arrived, 1), ==, N_DATAGRAMS - counts.n_lost);
}

static void test_double_and_late(void)
{
    LabLinkSettings settings = { .duplicate_permille = 50, .late_permille = 50 };
    LabLinkCounts counts;
    Arrived arrived;

    send_all(&settings, &arrived, &counts);
    g_assert_cmpuint(counts.n_doubled, >, 0);
    g_assert_cmpuint(n_of(&arrived, 2), ==, counts.n_doubled);
    g_assert_cmpuint(n_of(&arrived, 0), ==, 0);
    g_assert_cmpuint(arrived.n_overtaken, >, 0);
}

static void test_cut(void)
{
    LabLinkSettings cut = { .cut = true }, wire = { 0 };
    LabLinkCounts counts;
    Arrived arrived;

    send_all(&cut, &arrived, &counts);
    g_assert_cmpuint(counts.n_cut, ==, N_DATAGRAMS);
    g_assert_cmpuint(arrived.n, ==, 0);
    send_all(&wire, &arrived, &counts);
    g_assert_cmpuint(n_of(&arrived, 1), ==, N_DATAGRAMS);
}

/* A delay is never shorter than it was told to be; how much longer is no matter. */
static void test_delay(void)
{
    LabLinkSettings settings = { .delay_ms = 50 };
    struct pollfd entry = { to, POLLIN, 0 };
    uint32_t number = 0;
    gint64 sent_us;

    lab_link_set(line, LAB_LINK_FROM_CLIENT, &settings);
    sent_us = g_get_monotonic_time();
    g_assert_cmpint(send(from, &number, sizeof(number), 0), ==, sizeof(number));
    g_assert_cmpint(poll(&entry, 1, TIMEOUT_US / 1000), ==, 1);
    g_assert_cmpint(g_get_monotonic_time() - sent_us, >=, 50000);
    g_assert_cmpint(recv(to, &number, sizeof(number), 0), ==, sizeof(number));
}

static void connect_sockets(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(PORT) };
    g_autoptr(GError) error = NULL;

    inet_pton(AF_INET, lab_client_address(receiver), &address.sin_addr);
    from = lab_client_datagram_socket(sender, &error);
    g_assert_no_error(error);
    to = lab_client_datagram_socket(receiver, &error);
    g_assert_no_error(error);
    g_assert_cmpint(bind(to, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    g_assert_cmpint(connect(from, (struct sockaddr *)&address, sizeof(address)), ==, 0);
}

static bool start(uint64_t seed, GError **error)
{
    const char *quiet[] = { "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6", NULL };
    const char *neighbour[] = { "ip", "neighbour", "replace", "10.77.0.102", "lladdr",
                                "52:54:00:77:01:02", "dev", "eth0", "nud", "permanent", NULL };

    return (lab = lab_new("test", error)) && (sender = lab_client_new(lab, 1, error)) &&
           (receiver = lab_client_new(lab, 2, error)) &&
           lab_command(lab, sender, quiet, NULL, error) &&
           (line = lab_link_new(lab, sender, seed, error)) &&
           lab_command(lab, sender, neighbour, NULL, error) &&
           lab_switch_flow(lab, "in_port=cl1-br,actions=output:cl2-br", error) &&
           lab_switch_flow(lab, "in_port=cl2-br,actions=output:cl1-br", error);
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    uint64_t seed;
    int result;

    g_test_init(&argc, &argv, NULL);
    seed = (uint32_t)g_test_rand_int();
    lab_isolate();
    if (!start(seed, &error)) {
        fprintf(stderr, "the lab does not start: %s\n", error->message);
        return 1;
    }
    g_test_message("the link's seed is %" G_GUINT64_FORMAT, seed);
    connect_sockets();
    g_test_add_func("/vm/link/a-wire-passes-all-in-order", test_wire);
    g_test_add_func("/vm/link/what-is-lost-is-counted", test_loss);
    g_test_add_func("/vm/link/frames-come-twice-and-late", test_double_and_late);
    g_test_add_func("/vm/link/a-cut-line-passes-nothing-and-works-again", test_cut);
    g_test_add_func("/vm/link/a-delay-is-kept", test_delay);
    result = g_test_run();
    lab_free(lab);
    return result;
}
