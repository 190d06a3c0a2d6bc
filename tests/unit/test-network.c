/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test-network.c - where a real switch sends which packet
 *
 *   cl3 ── br0 ──┬── vm1     cluster 192.0.2.10, 52:54:00:00:02:0a
 *                └── vm2
 */
#include <glib/gstdio.h>
#include <string.h>

#include "daemon/network.h"
#include "ovs.h"
#include "util/error.h"

#define ADDRESS "192.0.2.10"
#define ADDRESS6 "2001:db8::10"
#define MAC "52:54:00:00:02:0a"
#define CLIENT_MAC "02:00:00:00:00:63"
#define CLIENTS 24

static Ovs *ovs;

typedef struct {
    char *folder;
    char *store_path;
    SliceStore *store;
    SliceNetwork *network;
    GArray *known;
    const char *known_vm; /* that has them all */
    gboolean done;
    GError *error;
} Fixture;

static SliceTuple tuple(guint client, guint port)
{
    g_autofree char *remote = g_strdup_printf("192.0.2.%u", 100 + client);
    SliceTuple flow;

    g_assert_true(slice_tuple_set(&flow, "tcp", ADDRESS, 80, remote, port, NULL));
    return flow;
}

static void known(SliceNetwork *network, SliceNetworkPin pin, gpointer data)
{
    Fixture *f = data;

    for (guint i = 0; i < f->known->len; i++) {
        pin(network, &g_array_index(f->known, SliceTuple, i), f->known_vm);
    }
}

static void done(const GError *error, gpointer data)
{
    Fixture *f = data;

    f->done = TRUE;
    f->error = error ? g_error_copy(error) : NULL;
}

static void wait_done(Fixture *f)
{
    while (!f->done) {
        g_main_context_iteration(NULL, TRUE);
    }
    f->done = FALSE;
}

static void settle(Fixture *f)
{
    slice_network_wait(f->network, done, f);
    wait_done(f);
    g_assert_no_error(f->error);
}

static void open_network(Fixture *f)
{
    g_autoptr(GError) error = NULL;

    f->store = slice_store_open(f->store_path, &error);
    g_assert_no_error(error);
    f->network = slice_network_new("br0", ovs_openflow(ovs), ADDRESS, ADDRESS6, MAC,
                                   f->store, known, f);
    while (!slice_network_is_connected(f->network)) {
        g_main_context_iteration(NULL, TRUE);
    }
}

static void close_network(Fixture *f)
{
    slice_network_free(g_steal_pointer(&f->network));
    slice_store_close(g_steal_pointer(&f->store));
}

static void set_up(Fixture *f, gconstpointer data)
{
    f->folder = g_dir_make_tmp("slice-test-XXXXXX", NULL);
    f->store_path = g_build_filename(f->folder, "store.db", NULL);
    f->known = g_array_new(FALSE, FALSE, sizeof(SliceTuple));
    f->known_vm = "web1";
    open_network(f);
    slice_network_set_vm(f->network, "web1", "vm1", TRUE, TRUE, 100);
    slice_network_set_vm(f->network, "web2", "vm2", TRUE, TRUE, 100);
    slice_network_start(f->network);
    settle(f);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    slice_network_trim(f->network);
    slice_network_lose_vm(f->network, "web1");
    slice_network_lose_vm(f->network, "web2");
    g_array_set_size(f->known, 0);
    slice_network_trim(f->network);
    settle(f);
    close_network(f);
    g_clear_error(&f->error);
    g_array_unref(f->known);
    for (const char *const *tail = (const char *const[]){ "", "-wal", "-shm", NULL };
         *tail; tail++) {
        g_autofree char *path = g_strconcat(f->store_path, *tail, NULL);

        g_unlink(path);
    }
    g_rmdir(f->folder);
    g_free(f->folder);
    g_free(f->store_path);
}

/* ---- packets ---- */

static char *from_client(guint client, guint port)
{
    return ovs_trace(ovs, "in_port=3,tcp,dl_src=" CLIENT_MAC ",dl_dst=" MAC
                     ",nw_src=192.0.2.%u,nw_dst=" ADDRESS ",nw_ttl=64,"
                     "tp_src=%u,tp_dst=80", 100 + client, port);
}

#define assert_trace(expected, ...) G_STMT_START { \
    g_autofree char *_actions = ovs_trace(ovs, __VA_ARGS__); \
    g_assert_cmpstr(_actions, ==, expected); \
} G_STMT_END

/* Where the spread puts client 0 .. CLIENTS - 1: '1' or '2' for each. */
static char *spread(void)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < CLIENTS; i++) {
        g_autofree char *port = from_client(i, 40000);

        g_string_append(text, port);
    }
    return g_string_free(text, FALSE);
}

/* ---- claims ---- */

static void test_spread(Fixture *f, gconstpointer data)
{
    g_autofree char *where = spread();

    g_assert_cmpuint(strlen(where), ==, CLIENTS);
    g_assert_nonnull(strchr(where, '1'));
    g_assert_nonnull(strchr(where, '2'));
}

static void test_spread_by_address(Fixture *f, gconstpointer data)
{
    g_autofree char *one = from_client(7, 40000);
    g_autofree char *other = from_client(7, 40001);

    g_assert_cmpstr(one, ==, other);
}

static void route(Fixture *f, guint client, const char *vm)
{
    g_autoptr(GArray) flows = g_array_new(FALSE, FALSE, sizeof(SliceTuple));
    SliceTuple flow = tuple(client, 40000);

    g_array_append_val(flows, flow);
    slice_network_route(f->network, "7", flows, vm, done, f);
    wait_done(f);
}

static void test_route(Fixture *f, gconstpointer data)
{
    g_autofree char *before = from_client(5, 40000);
    const char *vm = g_str_equal(before, "1") ? "web2" : "web1";
    g_autofree char *after = NULL;
    g_autofree char *other = NULL;

    route(f, 5, vm);
    g_assert_no_error(f->error);
    after = from_client(5, 40000);
    other = from_client(5, 40001);
    g_assert_cmpstr(after, !=, before);
    g_assert_cmpstr(other, ==, before);
}

static void test_refusal_names_both(Fixture *f, gconstpointer data)
{
    slice_network_set_vm(f->network, "web9", "vm9", TRUE, TRUE, 100);
    route(f, 5, "web9");
    g_assert_error(f->error, SLICE_ERROR, SLICE_ERROR_REFUSED);
    g_assert_cmpstr(f->error->message, ==,
                    "bridge br0 refused the rule of slice 7: no such port");
    g_clear_error(&f->error);
    slice_network_remove_vm(f->network, "web9");
}

static void test_dead_vm_moves_nobody_else(Fixture *f, gconstpointer data)
{
    g_autofree char *before = spread();
    g_autofree char *after = NULL;

    slice_network_lose_vm(f->network, "web2");
    settle(f);
    after = spread();
    g_assert_null(strchr(after, '2'));
    slice_network_set_vm(f->network, "web2", "vm2", TRUE, TRUE, 100);
    settle(f);
    g_free(g_steal_pointer(&after));
    after = spread();
    g_assert_cmpstr(after, ==, before);
}

static void test_new_vm_takes_no_known_connection(Fixture *f, gconstpointer data)
{
    g_autofree char *known_now = NULL;
    g_autofree char *new_ones = NULL;
    g_autofree char *ones = g_strnfill(CLIENTS, '1');

    slice_network_lose_vm(f->network, "web2");
    for (guint i = 0; i < CLIENTS; i++) {
        SliceTuple flow = tuple(i, 40000);

        g_array_append_val(f->known, flow);
    }
    slice_network_set_vm(f->network, "web2", "vm2", TRUE, TRUE, 100);
    settle(f);
    known_now = spread();
    g_assert_cmpstr(known_now, ==, ones);
    g_array_set_size(f->known, 0);
    slice_network_trim(f->network);
    settle(f);
    new_ones = spread();
    g_assert_nonnull(strchr(new_ones, '2'));
}

static void test_dead_vm_loses_its_rules(Fixture *f, gconstpointer data)
{
    g_autofree char *before = from_client(5, 40000);
    const char *vm = g_str_equal(before, "1") ? "web2" : "web1";
    g_autofree char *after = NULL;

    route(f, 5, vm);
    slice_network_lose_vm(f->network, vm);
    settle(f);
    after = from_client(5, 40000);
    g_assert_cmpstr(after, ==, before);
}

static void test_arp_is_answered_by_the_switch(Fixture *f, gconstpointer data)
{
    g_autofree char *actions = ovs_trace(ovs, "in_port=3,arp,dl_src=" CLIENT_MAC
        ",dl_dst=ff:ff:ff:ff:ff:ff,arp_op=1,arp_spa=192.0.2.99,arp_tpa=" ADDRESS
        ",arp_sha=" CLIENT_MAC ",arp_tha=00:00:00:00:00:00");

    g_assert_nonnull(strstr(actions, "src=" MAC));
    g_assert_nonnull(strstr(actions, "dst=" CLIENT_MAC));
    g_assert_nonnull(strstr(actions, "sip=" ADDRESS));
    g_assert_nonnull(strstr(actions, "tip=192.0.2.99"));
    g_assert_nonnull(strstr(actions, "op=2"));
    g_assert_true(g_str_has_suffix(actions, ",3"));
}

static void test_arp_replies_reach_every_vm(Fixture *f, gconstpointer data)
{
    assert_trace("1,2", "in_port=3,arp,dl_src=" CLIENT_MAC ",dl_dst=" MAC
                 ",arp_op=2,arp_spa=192.0.2.99,arp_tpa=" ADDRESS);
}

static void test_icmp(Fixture *f, gconstpointer data)
{
    assert_trace("1", "in_port=3,icmp,dl_src=" CLIENT_MAC ",dl_dst=" MAC
                 ",nw_src=192.0.2.99,nw_dst=" ADDRESS ",icmp_type=8,icmp_code=0");
    assert_trace("1,2", "in_port=3,icmp,dl_src=" CLIENT_MAC ",dl_dst=" MAC
                 ",nw_src=192.0.2.99,nw_dst=" ADDRESS ",icmp_type=3,icmp_code=4");
}

static void test_vm_says_only_its_own(Fixture *f, gconstpointer data)
{
    assert_trace("3", "in_port=1,tcp,dl_src=" MAC ",dl_dst=" CLIENT_MAC
                 ",nw_src=" ADDRESS ",nw_dst=192.0.2.99,tp_src=80,tp_dst=40000");
    assert_trace("drop", "in_port=1,tcp,dl_src=" MAC ",dl_dst=" CLIENT_MAC
                 ",nw_src=192.0.2.11,nw_dst=192.0.2.99,tp_src=80,tp_dst=40000");
    assert_trace("drop", "in_port=1,tcp,dl_src=52:54:00:00:02:0b,dl_dst="
                 CLIENT_MAC ",nw_src=" ADDRESS ",nw_dst=192.0.2.99");
    assert_trace("drop", "in_port=1,ipv6,dl_src=" MAC ",dl_dst=" CLIENT_MAC);
}

static void test_announcements_are_dropped(Fixture *f, gconstpointer data)
{
    assert_trace("drop", "in_port=1,arp,dl_src=" MAC ",dl_dst=ff:ff:ff:ff:ff:ff,"
                 "arp_op=1,arp_spa=" ADDRESS ",arp_tpa=" ADDRESS ",arp_sha=" MAC);
    assert_trace("drop", "in_port=1,arp,dl_src=" MAC ",dl_dst=ff:ff:ff:ff:ff:ff,"
                 "arp_op=2,arp_spa=" ADDRESS ",arp_tpa=" ADDRESS ",arp_sha=" MAC);
    assert_trace("drop", "in_port=1,rarp,dl_src=" MAC
                 ",dl_dst=ff:ff:ff:ff:ff:ff,arp_op=3");
}

static void test_vm_may_ask(Fixture *f, gconstpointer data)
{
    assert_trace("3", "in_port=1,arp,dl_src=" MAC ",dl_dst=ff:ff:ff:ff:ff:ff,"
                 "arp_op=1,arp_spa=" ADDRESS ",arp_tpa=192.0.2.99,arp_sha=" MAC);
}

static void test_outside_cannot_be_the_cluster(Fixture *f, gconstpointer data)
{
    assert_trace("drop", "in_port=3,arp,dl_src=" CLIENT_MAC ",dl_dst=" MAC
                 ",arp_op=2,arp_spa=" ADDRESS ",arp_tpa=" ADDRESS);
}

/* ---- IPv6 ---- */

#define CLIENT6 "2001:db8::63"
#define ASK "icmp6,icmpv6_type=135,icmpv6_code=0,nw_ttl=255"
#define ANSWER "icmp6,icmpv6_type=136,icmpv6_code=0,nw_ttl=255"

static void test_neighbours_are_answered_by_the_switch(Fixture *f, gconstpointer data)
{
    g_autofree char *actions = ovs_trace(ovs, "in_port=3," ASK ",dl_src=" CLIENT_MAC
        ",dl_dst=33:33:ff:00:00:10,ipv6_src=" CLIENT6 ",ipv6_dst=ff02::1:ff00:10,nd_target="
        ADDRESS6 ",nd_sll=" CLIENT_MAC ",nd_options_type=1");

    g_test_message("%s", actions);
    g_assert_nonnull(strstr(actions, "src=" MAC));
    g_assert_nonnull(strstr(actions, "dst=" CLIENT_MAC));
    g_assert_nonnull(strstr(actions, "src=" ADDRESS6));
    g_assert_nonnull(strstr(actions, "dst=" CLIENT6));
    g_assert_nonnull(strstr(actions, "type=136"));
    g_assert_nonnull(strstr(actions, "tll=" MAC));
    g_assert_true(g_str_has_suffix(actions, ",3"));
    /* Who asks whether it is free, or says that it is his, is not heard. */
    assert_trace("drop", "in_port=3," ASK ",dl_src=" CLIENT_MAC ",ipv6_src=::"
                 ",ipv6_dst=ff02::1:ff00:10,nd_target=" ADDRESS6);
    assert_trace("drop", "in_port=3," ANSWER ",dl_src=" CLIENT_MAC ",ipv6_src=" CLIENT6
                 ",ipv6_dst=ff02::1,nd_target=" ADDRESS6);
}

static void test_neighbours_answers_reach_every_vm(Fixture *f, gconstpointer data)
{
    assert_trace("1,2", "in_port=3," ANSWER ",dl_src=" CLIENT_MAC ",dl_dst=" MAC ",ipv6_src="
                 CLIENT6 ",ipv6_dst=" ADDRESS6 ",nd_target=" CLIENT6);
    assert_trace("1,2", "in_port=3,icmp6,icmpv6_type=2,icmpv6_code=0,dl_src=" CLIENT_MAC ",dl_dst="
                 MAC ",ipv6_src=" CLIENT6 ",ipv6_dst=" ADDRESS6);
    assert_trace("1", "in_port=3,icmp6,icmpv6_type=128,icmpv6_code=0,dl_src=" CLIENT_MAC ",dl_dst="
                 MAC ",ipv6_src=" CLIENT6 ",ipv6_dst=" ADDRESS6);
}

static void test_vm_says_only_its_own_ipv6(Fixture *f, gconstpointer data)
{
    assert_trace("3", "in_port=1,tcp6,dl_src=" MAC ",dl_dst=" CLIENT_MAC ",ipv6_src=" ADDRESS6
                 ",ipv6_dst=" CLIENT6 ",tp_src=80,tp_dst=40000");
    assert_trace("3", "in_port=1," ASK ",dl_src=" MAC ",ipv6_src=" ADDRESS6
                 ",ipv6_dst=ff02::1:ff00:63,nd_target=" CLIENT6);
    assert_trace("drop", "in_port=1,tcp6,dl_src=" MAC ",dl_dst=" CLIENT_MAC
                 ",ipv6_src=2001:db8::11,ipv6_dst=" CLIENT6 ",tp_src=80,tp_dst=40000");
    assert_trace("drop", "in_port=1," ASK ",dl_src=" MAC ",ipv6_src=::"
                 ",ipv6_dst=ff02::1:ff00:10,nd_target=" ADDRESS6);
    assert_trace("drop", "in_port=1," ANSWER ",dl_src=" MAC ",ipv6_src=" ADDRESS6
                 ",ipv6_dst=ff02::1,nd_target=" ADDRESS6);
}

static char *from_client6(guint client, guint port)
{
    return ovs_trace(ovs, "in_port=3,tcp6,dl_src=" CLIENT_MAC ",dl_dst=" MAC
                     ",ipv6_src=2001:db8::1:%x,ipv6_dst=" ADDRESS6 ",nw_ttl=64,"
                     "tp_src=%u,tp_dst=80", client, port);
}

/* Spread by address; an exact rule leads one connection elsewhere. */
static void test_ipv6_is_spread_and_led(Fixture *f, gconstpointer data)
{
    g_autoptr(GArray) flows = g_array_new(FALSE, FALSE, sizeof(SliceTuple));
    g_autofree char *before = from_client6(5, 40000);
    const char *vm = g_str_equal(before, "1") ? "web2" : "web1";
    g_autofree char *after = NULL, *other = NULL;
    gboolean seen[3] = { FALSE };
    SliceTuple flow;

    for (guint i = 0; i < CLIENTS; i++) {
        g_autofree char *where = from_client6(i, 40000);

        g_assert_true(g_str_equal(where, "1") || g_str_equal(where, "2"));
        seen[where[0] - '0'] = TRUE;
    }
    g_assert_true(seen[1] && seen[2]);
    g_assert_true(slice_tuple_set(&flow, "tcp", ADDRESS6, 80, "2001:db8::1:5", 40000, NULL));
    g_array_append_val(flows, flow);
    slice_network_route(f->network, "7", flows, vm, done, f);
    wait_done(f);
    g_assert_no_error(f->error);
    after = from_client6(5, 40000);
    other = from_client6(5, 40001);
    g_assert_cmpstr(after, !=, before);
    g_assert_cmpstr(other, ==, before);
}

static char *segment6(guint client, guint port, const char *flags)
{
    return ovs_send(ovs, "in_port=3,tcp6,dl_src=" CLIENT_MAC ",dl_dst=" MAC
                    ",ipv6_src=2001:db8::1:%x,ipv6_dst=" ADDRESS6 ",nw_ttl=64,"
                    "tp_src=%u,tp_dst=80,tcp_flags=%s", client, port, flags);
}

/* A moved client's new connections follow it, and what follows their first segments. */
static void test_ipv6_is_steered(Fixture *f, gconstpointer data)
{
    static const char client[] = "2001:db8::1:5";
    g_autoptr(GArray) flows = g_array_new(FALSE, FALSE, sizeof(SliceTuple));
    g_autofree char *before = from_client6(5, 40000), *syn = NULL, *ack = NULL, *old = NULL;
    const char *vm = g_str_equal(before, "1") ? "web2" : "web1";
    const char *its = g_str_equal(before, "1") ? "2" : "1";
    SliceTuple flow;

    g_assert_true(slice_tuple_set(&flow, "tcp", ADDRESS6, 80, client, 40000, NULL));
    g_array_append_val(flows, flow);
    slice_network_route(f->network, "7", flows, vm, done, f);
    wait_done(f);
    slice_network_steer(f->network, client, vm);
    settle(f);
    syn = segment6(5, 44000, "syn");
    ack = segment6(5, 44000, "ack");
    old = segment6(5, 44001, "ack");
    g_assert_cmpstr(syn, ==, its);
    g_assert_cmpstr(ack, ==, its);
    g_assert_cmpstr(old, ==, before); /* a plain connection of before */
    slice_network_steer(f->network, client, NULL);
    settle(f);
    g_assert_cmpuint(slice_network_steered(f->network), ==, 0);
}

/* ---- restarts ---- */

static void test_restart_keeps_exact_rules(Fixture *f, gconstpointer data)
{
    g_autofree char *before = from_client(5, 40000);
    const char *vm = g_str_equal(before, "1") ? "web2" : "web1";
    g_autofree char *moved = NULL;
    g_autofree char *after = NULL;
    SliceTuple flow = tuple(5, 40000);

    route(f, 5, vm);
    moved = from_client(5, 40000);
    close_network(f);
    open_network(f);
    g_array_append_val(f->known, flow);
    f->known_vm = vm;
    slice_network_set_vm(f->network, "web2", "vm2", TRUE, TRUE, 100);
    slice_network_set_vm(f->network, "web1", "vm1", TRUE, TRUE, 100);
    slice_network_start(f->network);
    slice_network_trim(f->network);
    settle(f);
    after = from_client(5, 40000);
    g_assert_cmpstr(after, ==, moved);
}

/* What the switch has is old: the engines know better. */
static void test_restart_corrects_rules(Fixture *f, gconstpointer data)
{
    g_autofree char *after = NULL;
    SliceTuple flow = tuple(5, 40000);

    route(f, 5, "web2");
    close_network(f);
    open_network(f);
    g_array_append_val(f->known, flow);
    slice_network_set_vm(f->network, "web1", "vm1", TRUE, TRUE, 100);
    slice_network_set_vm(f->network, "web2", "vm2", TRUE, TRUE, 100);
    slice_network_start(f->network);
    settle(f);
    after = from_client(5, 40000);
    g_assert_cmpstr(after, ==, "1");
}

static void test_switch_that_restarts_gets_all_back(Fixture *f,
                                                    gconstpointer data)
{
    g_autofree char *before = from_client(5, 40000);
    const char *vm = g_str_equal(before, "1") ? "web2" : "web1";
    g_autofree char *moved = NULL;
    g_autofree char *after = NULL;
    g_autofree char *new_client = NULL;

    route(f, 5, vm);
    moved = from_client(5, 40000);
    ovs_kill(ovs);
    while (slice_network_is_connected(f->network)) {
        g_main_context_iteration(NULL, TRUE);
    }
    route(f, 5, vm);
    g_assert_error(f->error, SLICE_ERROR, SLICE_ERROR_UNREACHABLE);
    g_clear_error(&f->error);
    ovs_restart(ovs);
    while (!slice_network_is_connected(f->network)) {
        g_main_context_iteration(NULL, TRUE);
    }
    settle(f);
    after = from_client(5, 40000);
    g_assert_cmpstr(after, ==, moved);
    new_client = from_client(5, 40001);
    g_assert_cmpstr(new_client, ==, before);
}

/* ---- who takes new connections ---- */

/* Return: where a segment of the client's connection goes; what it makes the switch learn, it learns. */
static char *segment(guint client, guint port, const char *flags)
{
    return ovs_send(ovs, "\"in_port=3,tcp,dl_src=" CLIENT_MAC ",dl_dst=" MAC
                    ",nw_src=192.0.2.%u,nw_dst=" ADDRESS ",nw_ttl=64,tp_src=%u,tp_dst=80,"
                    "tcp_flags=%s\"", 100 + client, port, flags);
}

#define assert_segment(client, port, flags, expected) G_STMT_START { \
    g_autofree char *_port = segment(client, port, flags); \
    g_assert_cmpstr(_port, ==, expected); \
} G_STMT_END

/* Return: a client that the spread leads to the VM on @port. */
static guint client_of(char port)
{
    g_autofree char *where = spread();
    const char *at = strchr(where, port);

    g_assert_nonnull(at);
    return at - where;
}

static void set_open(Fixture *f, const char *vm, const char *port, gboolean open)
{
    slice_network_set_vm(f->network, vm, port, TRUE, open, 100);
    settle(f);
}

static void test_closed_vm_keeps_connections(Fixture *f, gconstpointer data)
{
    g_autofree char *before = spread();
    g_autofree char *after = NULL;

    set_open(f, "web2", "vm2", FALSE);
    after = spread(); /* of connections that nobody has told us of */
    g_assert_cmpstr(after, ==, before);
}

static void test_closed_vm_gets_no_new_ones(Fixture *f, gconstpointer data)
{
    guint its = client_of('2'), others = client_of('1');

    set_open(f, "web2", "vm2", FALSE);
    assert_segment(its, 41000, "syn", "1");
    assert_segment(its, 41000, "ack", "1");
    assert_segment(its, 41000, "psh|ack", "1");
    assert_segment(its, 41001, "ack", "2"); /* an older one */
    assert_segment(others, 41000, "syn", "1");
    assert_segment(others, 41000, "ack", "1");
}

/* An entry that covered other ports would lead a new connection's second segment astray. */
static void assert_one_connection(const char *flags)
{
    g_autofree char *packet = g_strdup_printf(
        "in_port=3,tcp,dl_src=" CLIENT_MAC ",dl_dst=" MAC ",nw_src=192.0.2.120,nw_dst=" ADDRESS
        ",nw_ttl=64,tp_src=41234,tp_dst=80,tcp_flags=%s", flags);
    g_autofree char *entry = ovs_megaflow(ovs, packet);

    g_test_message("%s", entry);
    g_assert_nonnull(strstr(entry, "tp_src=41234"));
    g_assert_null(strstr(entry, "tp_src=41234/"));
}

static void test_entries_cover_one_connection(Fixture *f, gconstpointer data)
{
    assert_one_connection("ack");
    assert_one_connection("syn");
}

/* The switch learns anew from entries of its datapath when rules change. */
static void test_known_connection_of_closing_vm(Fixture *f, gconstpointer data)
{
    guint its = client_of('2');
    SliceTuple flow = tuple(its, 48000);

    g_array_append_val(f->known, flow);
    f->known_vm = "web2";
    set_open(f, "web2", "vm2", FALSE);
    assert_segment(its, 48000, "syn", "2");
    assert_segment(its, 48000, "ack", "2");
    assert_segment(its, 48001, "syn", "1");
}

static void test_opened_again(Fixture *f, gconstpointer data)
{
    guint its = client_of('2');

    set_open(f, "web2", "vm2", FALSE);
    assert_segment(its, 42000, "syn", "1");
    set_open(f, "web2", "vm2", TRUE);
    assert_segment(its, 42000, "ack", "1");
    assert_segment(its, 42001, "syn", "2");
    assert_segment(its, 42001, "ack", "2");
}

static void test_learned_is_kept_when_told(Fixture *f, gconstpointer data)
{
    guint its = client_of('2');
    SliceTuple flow = tuple(its, 43000);
    g_autoptr(GArray) flows = g_array_new(FALSE, FALSE, sizeof(SliceTuple));
    char learned[] = "table=1,cookie=0x51ce000100000000/0xffffffff00000000";

    g_array_append_val(flows, flow);
    set_open(f, "web2", "vm2", FALSE);
    assert_segment(its, 43000, "syn", "1");
    g_assert_cmpuint(ovs_count_flows(ovs, learned), ==, 1);
    slice_network_appeared(f->network, "7", flows, "web1");
    settle(f);
    g_assert_cmpuint(ovs_count_flows(ovs, learned), ==, 0);
    assert_segment(its, 43000, "ack", "1");
    slice_network_forget(f->network, flows);
    settle(f);
    assert_segment(its, 43000, "ack", "2");
}

/* ---- clients whose sessions are in one place ---- */

static void test_steered_client(Fixture *f, gconstpointer data)
{
    guint its = client_of('1');
    g_autofree char *address = g_strdup_printf("192.0.2.%u", 100 + its);

    route(f, its, "web2");
    slice_network_steer(f->network, address, "web2");
    settle(f);
    assert_segment(its, 44000, "syn", "2");
    assert_segment(its, 44000, "ack", "2");
    assert_segment(its, 44001, "ack", "1"); /* a plain connection of before */
    slice_network_steer(f->network, address, NULL);
    settle(f);
    assert_segment(its, 44000, "ack", "2"); /* it lives on where it is */
    assert_segment(its, 44002, "syn", "1");
    g_assert_cmpuint(slice_network_steered(f->network), ==, 0);
}

static void test_unmoved_client_is_not_steered(Fixture *f, gconstpointer data)
{
    guint its = client_of('1');
    g_autofree char *address = g_strdup_printf("192.0.2.%u", 100 + its);

    slice_network_steer(f->network, address, "web1");
    g_assert_cmpuint(slice_network_steered(f->network), ==, 0);
}

static void test_closed_vm_is_not_steered_to(Fixture *f, gconstpointer data)
{
    guint its = client_of('1');
    g_autofree char *address = g_strdup_printf("192.0.2.%u", 100 + its);

    route(f, its, "web2");
    slice_network_steer(f->network, address, "web2");
    set_open(f, "web2", "vm2", FALSE);
    g_assert_cmpuint(slice_network_steered(f->network), ==, 0);
    assert_segment(its, 45000, "syn", "1");
    slice_network_steer(f->network, address, "web2");
    g_assert_cmpuint(slice_network_steered(f->network), ==, 0);
}

static void test_steering_survives_the_switch(Fixture *f, gconstpointer data)
{
    guint its = client_of('1');
    g_autofree char *address = g_strdup_printf("192.0.2.%u", 100 + its);

    route(f, its, "web2");
    slice_network_steer(f->network, address, "web2");
    settle(f);
    ovs_kill(ovs);
    while (slice_network_is_connected(f->network)) {
        g_main_context_iteration(NULL, TRUE);
    }
    ovs_restart(ovs);
    while (!slice_network_is_connected(f->network)) {
        g_main_context_iteration(NULL, TRUE);
    }
    settle(f);
    assert_segment(its, 46000, "syn", "2");
}

/* ---- bundles ---- */

typedef struct {
    guint answered;
    GError *error[8];
} Answers;

static Answers answers;

static void answered(const GError *error, gpointer data)
{
    answers.error[GPOINTER_TO_UINT(data)] = error ? g_error_copy(error) : NULL;
    answers.answered++;
}

static void route_later(Fixture *f, guint client, const char *remote)
{
    g_autoptr(GArray) flows = g_array_new(FALSE, FALSE, sizeof(SliceTuple));
    SliceTuple flow = tuple(client, 47000);

    if (remote) {
        g_strlcpy(flow.remote, remote, sizeof(flow.remote));
    }
    g_array_append_val(flows, flow);
    slice_network_route(f->network, "7", flows, "web2", answered, GUINT_TO_POINTER(client));
}

static void wait_answers(guint n)
{
    while (answers.answered < n) {
        g_main_context_iteration(NULL, TRUE);
    }
    answers.answered = 0;
}

static void test_waiting_changes_share_a_bundle(Fixture *f, gconstpointer data)
{
    guint before = slice_network_bundles(f->network);

    for (guint i = 0; i < 8; i++) {
        route_later(f, i, NULL);
    }
    wait_answers(8);
    g_assert_cmpuint(slice_network_bundles(f->network) - before, ==, 1);
    for (guint i = 0; i < 8; i++) {
        g_assert_no_error(answers.error[i]);
        assert_segment(i, 47000, "ack", "2");
    }
}

static void test_bad_change_is_refused_alone(Fixture *f, gconstpointer data)
{
    for (guint i = 0; i < 4; i++) {
        route_later(f, i, i == 2 ? "nonsense" : NULL);
    }
    wait_answers(4);
    for (guint i = 0; i < 4; i++) {
        if (i == 2) {
            g_assert_error(answers.error[i], SLICE_ERROR, SLICE_ERROR_INVALID);
            g_clear_error(&answers.error[i]);
        } else {
            g_assert_no_error(answers.error[i]);
            assert_segment(i, 47000, "ack", "2");
        }
    }
}

/* ---- the layer below ---- */

static void flow_connected(GArray *ports, GArray *rules, gpointer data)
{
    *(gboolean *)data = TRUE;
}

static void flow_ports(GArray *ports, gpointer data)
{
}

static void flow_lost(const char *why, gpointer data)
{
    *(gboolean *)data = FALSE;
}

static void test_bundle_is_all_or_nothing(Fixture *f, gconstpointer data)
{
    static const SliceFlowHandlers handlers = { flow_connected, flow_ports,
                                                flow_lost };
    gboolean connected = FALSE;
    SliceFlow *flow = slice_flow_new("br0", ovs_openflow(ovs), &handlers,
                                     &connected);
    g_autoptr(GPtrArray) lines = g_ptr_array_new();
    g_autofree char *before = from_client(5, 40000);
    g_autofree char *after = NULL;

    while (!connected) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_ptr_array_add(lines, (char *)"flow add table=0,priority=9999,actions=drop");
    g_ptr_array_add(lines, (char *)"flow add table=0,priority=9998,actions=group:77");
    slice_flow_commit(flow, lines, "slice 7", done, f);
    wait_done(f);
    g_assert_error(f->error, SLICE_ERROR, SLICE_ERROR_REFUSED);
    g_assert_true(g_str_has_prefix(f->error->message,
                                   "bridge br0 refused the rule of slice 7: "));
    g_clear_error(&f->error);
    after = from_client(5, 40000);
    g_assert_cmpstr(after, ==, before);
    lines->pdata[1] = (char *)"flow add table=0,nonsense=1,actions=drop";
    slice_flow_commit(flow, lines, "slice 7", done, f);
    wait_done(f);
    g_assert_error(f->error, SLICE_ERROR, SLICE_ERROR_INVALID);
    g_clear_error(&f->error);
    slice_flow_free(flow);
}

#define ADD(path, function) \
    g_test_add(path, Fixture, NULL, set_up, function, tear_down)

static int skip(void)
{
    g_print("1..0 # SKIP Open vSwitch is not installed: nothing about rules was tested\n");
    return 0;
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    g_log_set_always_fatal(G_LOG_FATAL_MASK);
    ovs = ovs_start();
    if (!ovs) {
        return skip();
    }
    ADD("/network/closed-vm-keeps-connections-that-nobody-told", test_closed_vm_keeps_connections);
    ADD("/network/closed-vm-gets-no-new-connection", test_closed_vm_gets_no_new_ones);
    ADD("/network/closing-vm-keeps-known-connections-even-by-their-first-segment",
        test_known_connection_of_closing_vm);
    ADD("/network/datapath-entries-cover-one-connection", test_entries_cover_one_connection);
    ADD("/network/vm-that-is-opened-again-gets-new-ones", test_opened_again);
    ADD("/network/learned-rule-lasts-once-the-slice-is-told", test_learned_is_kept_when_told);
    ADD("/network/new-connections-follow-a-moved-client", test_steered_client);
    ADD("/network/client-that-was-not-moved-is-not-steered", test_unmoved_client_is_not_steered);
    ADD("/network/nobody-is-steered-to-a-closed-vm", test_closed_vm_is_not_steered_to);
    ADD("/network/steering-survives-the-switch", test_steering_survives_the_switch);
    ADD("/network/changes-that-wait-share-a-bundle", test_waiting_changes_share_a_bundle);
    ADD("/network/bad-change-is-refused-alone", test_bad_change_is_refused_alone);
    ADD("/network/new-clients-are-spread", test_spread);
    ADD("/network/spread-looks-at-the-address-only", test_spread_by_address);
    ADD("/network/route-leads-one-connection", test_route);
    ADD("/network/refusal-names-both", test_refusal_names_both);
    ADD("/network/dead-vm-moves-nobody-else", test_dead_vm_moves_nobody_else);
    ADD("/network/dead-vm-loses-its-rules", test_dead_vm_loses_its_rules);
    ADD("/network/new-vm-takes-no-known-connection",
        test_new_vm_takes_no_known_connection);
    ADD("/network/arp-is-answered-by-the-switch",
        test_arp_is_answered_by_the_switch);
    ADD("/network/arp-replies-reach-every-vm", test_arp_replies_reach_every_vm);
    ADD("/network/ipv6/neighbours-are-answered-by-the-switch",
        test_neighbours_are_answered_by_the_switch);
    ADD("/network/ipv6/neighbours-answers-reach-every-vm",
        test_neighbours_answers_reach_every_vm);
    ADD("/network/ipv6/vm-says-only-the-clusters-address", test_vm_says_only_its_own_ipv6);
    ADD("/network/ipv6/spread-by-address-and-led-by-rules", test_ipv6_is_spread_and_led);
    ADD("/network/ipv6/client-is-steered", test_ipv6_is_steered);
    ADD("/network/echo-reaches-one-vm-errors-all", test_icmp);
    ADD("/network/vm-says-only-its-own", test_vm_says_only_its_own);
    ADD("/network/announcements-are-dropped", test_announcements_are_dropped);
    ADD("/network/vm-may-ask", test_vm_may_ask);
    ADD("/network/outside-cannot-be-the-cluster",
        test_outside_cannot_be_the_cluster);
    ADD("/network/restart-keeps-exact-rules", test_restart_keeps_exact_rules);
    ADD("/network/restart-corrects-old-rules", test_restart_corrects_rules);
    ADD("/network/bundle-is-all-or-nothing", test_bundle_is_all_or_nothing);
    ADD("/network/switch-that-restarts-gets-all-back",
        test_switch_that_restarts_gets_all_back);
    status = g_test_run();
    ovs_stop(ovs);
    return status;
}
