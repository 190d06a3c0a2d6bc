/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp-hostile-test.c - what a kernel makes of a connection that cannot be
 *
 * Each test has a good image of a connection with unread input and unsent
 * output, spoils it with a checksum that fits, and in the end plugs the good
 * one: nothing of the attempts may be in its way, or in anybody else's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tcp-lab.h"

#define HOSTILE_ROUNDS 1000

typedef struct Fixture {
    Lab *lab;
    Conn *conn;
    Image image;
    Image copy;
} Fixture;

/* A connection that is nowhere, its client held, and its image. */
static void setup(Fixture *f, gconstpointer unused)
{
    struct slice_id id;

    f->lab = lab_new(LAB_IPV4);
    f->conn = lab_connect(f->lab);
    f->conn->client.tx_goal = 100;
    f->conn->server.tx_goal = 100;
    lab_finish(f->lab, f->conn);
    f->conn->server.reads = FALSE;
    f->conn->client.reads = FALSE;
    f->conn->client.tx_goal = 20000;
    f->conn->server.tx_goal = 400000;
    lab_settle(f->lab, 300);
    conn_id(f->lab, f->conn, &id);
    g_assert_cmpint(lab_quiesce(f->lab, id), ==, 0);
    conn_hold(f->lab, f->conn);
    g_assert_cmpint(lab_unplug(f->lab, id, &f->image, NULL), ==, 0);
    g_assert_cmpint(lab_end(f->lab, id, SLICE_FINISH_FORGET), ==, 0);
    close(f->conn->server.fd);
    f->conn->server.fd = -1;
    f->copy = f->image;
    f->copy.data = g_memdup2(f->image.data, f->image.bytes);
    lab_forget_seen(f->lab);
}

static void spoil_again(Fixture *f)
{
    image_clear(&f->copy);
    f->copy = f->image;
    f->copy.data = g_memdup2(f->image.data, f->image.bytes);
}

static void teardown(Fixture *f, gconstpointer unused)
{
    g_assert_cmpint(lab_plug(f->lab, LAB_B, &f->image, NULL), ==, 0);
    f->conn->host = LAB_B;
    g_assert_cmpint(lab_end(f->lab, f->image.slice, SLICE_FINISH_OPEN), ==, 0);
    conn_release(f->lab, f->conn, LAB_B);
    f->conn->server.fd = lab_accept(f->lab, LAB_B);
    f->conn->server.reads = TRUE;
    f->conn->client.reads = TRUE;
    lab_finish(f->lab, f->conn);
    g_assert_cmpuint(f->lab->seen.n_rst, ==, 0);
    g_assert_cmpuint(f->lab->seen.n_fin, ==, 0);
    g_assert_cmpuint(f->lab->seen.n_strange, ==, 0);
    image_clear(&f->image);
    image_clear(&f->copy);
    lab_free(f->lab);
}

#define ADD(field, n) \
    (tcp->field = GUINT32_TO_LE(GUINT32_FROM_LE(tcp->field) + (n)))
#define SET(field, n) (tcp->field = GUINT32_TO_LE(n))
#define ADD_OPTION(tcp, option) \
    ((tcp)->options = GUINT32_TO_LE(GUINT32_FROM_LE((tcp)->options) | (option)))

static void no_family(struct slice_image_tcp *tcp) { tcp->flow.family = 5; }
static void no_port(struct slice_image_tcp *tcp) { tcp->flow.remote_port = 0; }
static void multicast(struct slice_image_tcp *tcp) { tcp->flow.remote[0] = 224; }
static void long_address(struct slice_image_tcp *tcp) { tcp->flow.local[15] = 1; }
static void listening(struct slice_image_tcp *tcp) { SET(state, 10); }
static void syn_sent(struct slice_image_tcp *tcp) { SET(state, 2); }
static void unknown_option(struct slice_image_tcp *tcp) { ADD(options, 1u << 31); }
static void gap_in_input(struct slice_image_tcp *tcp) { ADD(rcv_nxt, 2); }
static void fin_in_established(struct slice_image_tcp *tcp) { ADD(rcv_nxt, 1); }
static void read_ahead(struct slice_image_tcp *tcp) { ADD(copied_seq, 1); }
static void long_input(struct slice_image_tcp *tcp) { SET(recv_bytes, 0x7fffffff); }
static void sent_too_much(struct slice_image_tcp *tcp) { ADD(sent_bytes, 1u << 31); }
static void sent_ahead(struct slice_image_tcp *tcp) { ADD(snd_nxt, 1); }
static void acked_ahead(struct slice_image_tcp *tcp) { ADD(snd_una, 1); }
static void written_ahead(struct slice_image_tcp *tcp) { ADD(write_seq, 1); }
static void wide_window(struct slice_image_tcp *tcp) { SET(snd_wnd, ~0u); }
static void wide_max_window(struct slice_image_tcp *tcp) { SET(max_window, ~0u); }
static void wide_own_window(struct slice_image_tcp *tcp) { SET(rcv_wnd, ~0u); }
static void told_ahead(struct slice_image_tcp *tcp) { ADD(rcv_wup, 1u << 30); }
static void big_scale(struct slice_image_tcp *tcp) { tcp->snd_wscale = 15; }
static void big_own_scale(struct slice_image_tcp *tcp) { tcp->rcv_wscale = 255; }
static void tiny_mss(struct slice_image_tcp *tcp) { SET(mss_clamp, 0); }
static void huge_mss(struct slice_image_tcp *tcp) { SET(mss_clamp, 65536); }
static void tiny_advmss(struct slice_image_tcp *tcp) { SET(advmss, 1); }
static void huge_user_mss(struct slice_image_tcp *tcp) { SET(user_mss, ~0u); }
static void endless_name(struct slice_image_tcp *tcp)
{
    memset(tcp->congestion, 'a', sizeof(tcp->congestion));
}
static void used_rsvd(struct slice_image_tcp *tcp) { tcp->rsvd[2] = 1; }
static void used_rsvd2(struct slice_image_tcp *tcp) { SET(rsvd2, 1); }
static void loopback(struct slice_image_tcp *tcp) { tcp->flow.remote[0] = 127; }
static void no_state(struct slice_image_tcp *tcp) { SET(state, 1u << 31); }
static void time_wait(struct slice_image_tcp *tcp) { SET(state, 6); }
static void all_acked(struct slice_image_tcp *tcp) { SET(state, 5); }
static void no_fin_out(struct slice_image_tcp *tcp) { SET(state, 4); }
static void no_fin_in(struct slice_image_tcp *tcp)
{
    SET(state, 4);
    ADD(write_seq, 1);
    ADD(rcv_nxt, 1);
}
static void fin_before_bytes(struct slice_image_tcp *tcp)
{
    SET(state, 4);
    ADD(write_seq, 1);
    ADD(snd_nxt, 1);
}
static void open_orphan(struct slice_image_tcp *tcp) { ADD(options, 0x8000); }
static void reading_orphan(struct slice_image_tcp *tcp)
{
    SET(state, 4);
    ADD(write_seq, 1);
    ADD(options, 0x8000);
}
static void strange_discovery(struct slice_image_tcp *tcp) { tcp->pmtudisc = 6; }
static void ipv6_remote(struct slice_image_tcp *tcp, const char *text)
{
    tcp->flow.family = 6;
    g_assert_cmpint(inet_pton(AF_INET6, "2001:db8::10", tcp->flow.local), ==,
                    1);
    g_assert_cmpint(inet_pton(AF_INET6, text, tcp->flow.remote), ==, 1);
}
static void ipv6_mapped(struct slice_image_tcp *tcp)
{
    ipv6_remote(tcp, "::ffff:192.0.2.20");
}
static void ipv6_multicast(struct slice_image_tcp *tcp)
{
    ipv6_remote(tcp, "ff02::1");
}
static void ipv6_link_local(struct slice_image_tcp *tcp)
{
    ipv6_remote(tcp, "fe80::1");
}
static void ipv6_loopback(struct slice_image_tcp *tcp) { ipv6_remote(tcp, "::1"); }
static void ipv6_none(struct slice_image_tcp *tcp) { ipv6_remote(tcp, "::"); }
static void ipv6_as_mapped(struct slice_image_tcp *tcp)
{
    ipv6_remote(tcp, "2001:db8::20");
    ADD(options, 0x2000);
}

static void test_contradictions(Fixture *f, gconstpointer unused)
{
    static const struct {
        const char *name;
        void (*spoil)(struct slice_image_tcp *tcp);
    } cases[] = {
#define CASE(name) { #name, name }
        CASE(no_family), CASE(no_port), CASE(multicast), CASE(long_address),
        CASE(listening), CASE(syn_sent), CASE(unknown_option),
        CASE(gap_in_input), CASE(fin_in_established), CASE(read_ahead),
        CASE(long_input), CASE(sent_too_much), CASE(sent_ahead),
        CASE(acked_ahead), CASE(written_ahead), CASE(wide_window),
        CASE(wide_max_window), CASE(wide_own_window), CASE(told_ahead),
        CASE(big_scale), CASE(big_own_scale), CASE(tiny_mss), CASE(huge_mss),
        CASE(tiny_advmss), CASE(huge_user_mss), CASE(endless_name),
        CASE(used_rsvd), CASE(used_rsvd2), CASE(loopback), CASE(no_state),
        CASE(time_wait), CASE(all_acked), CASE(no_fin_out), CASE(no_fin_in),
        CASE(fin_before_bytes), CASE(open_orphan), CASE(reading_orphan),
        CASE(strange_discovery), CASE(ipv6_mapped), CASE(ipv6_multicast),
        CASE(ipv6_link_local), CASE(ipv6_loopback), CASE(ipv6_none),
        CASE(ipv6_as_mapped),
    };
    guint i, why;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("%s", cases[i].name);
        spoil_again(f);
        cases[i].spoil(image_tcp(&f->copy));
        image_seal(&f->copy);
        g_assert_cmpint(lab_plug(f->lab, LAB_B, &f->copy, &why), ==, EPROTO);
        g_assert_cmpuint(why, ==, SLICE_WHY_IMAGE);
    }
    lab_settle(f->lab, 20);
    g_assert_cmpuint(f->lab->seen.n_from_hosts, ==, 0);
}

/* Any bytes at all in the connection's record: refused or discarded. */
static void plug_any_bytes(Fixture *f, guint rounds)
{
    guint round, n_plugged = 0;
    guint8 *record;

    for (round = 0; round < rounds; round++) {
        int changes = g_test_rand_int_range(1, 4);

        spoil_again(f);
        record = (guint8 *)image_tcp(&f->copy);
        while (changes--) {
            guint at = g_test_rand_int_range(sizeof(struct slice_image_flow),
                                    sizeof(struct slice_image_tcp));

            record[at] = g_test_rand_int_range(0, 2) ?
                         record[at] ^ 1 << g_test_rand_int_range(0, 8) :
                         g_test_rand_int_range(0, 256);
        }
        image_seal(&f->copy);
        if (lab_plug(f->lab, LAB_B, &f->copy, NULL)) {
            continue;
        }
        n_plugged++;
        g_assert_cmpint(lab_end(f->lab, f->copy.slice, SLICE_FINISH_DISCARD),
                        ==, 0);
    }
    g_test_message("%u of %u were plugged and discarded", n_plugged, round);
    lab_settle(f->lab, 20);
    g_assert_cmpuint(f->lab->seen.n_from_hosts, ==, 0);
}

static void test_any_bytes(Fixture *f, gconstpointer unused)
{
    plug_any_bytes(f, lab_amount(HOSTILE_ROUNDS));
}

/* Half closed and needed by a capsule above, with its FIN behind its output. */
static void half_close(Fixture *f)
{
    f->conn = lab_connect(f->lab);
    conn_cover(f->lab, f->conn);
    f->conn->client.reads = FALSE;
    conn_say(f->conn, 0, 400000);
    lab_settle(f->lab, 300);
    shutdown(f->conn->server.fd, SHUT_WR);
    image_clear(&f->image);
    g_assert_cmpint(lab_quiesce(f->lab, f->conn->cover), ==, 0);
    conn_hold(f->lab, f->conn);
    g_assert_cmpint(lab_unplug(f->lab, f->conn->cover, &f->image, NULL), ==,
                    0);
    g_assert_cmpint(lab_end(f->lab, f->conn->cover, SLICE_FINISH_FORGET), ==,
                    0);
    close(f->conn->server.fd);
    f->conn->server.fd = -1;
    lab_forget_seen(f->lab);
}

static void test_any_closing_bytes(Fixture *f, gconstpointer unused)
{
    Conn *first = f->conn;
    Image image = f->image;

    f->image.data = NULL;
    half_close(f);
    plug_any_bytes(f, lab_amount(HOSTILE_ROUNDS / 2));
    /* An orphan is nobody's: no layer can need it. */
    spoil_again(f);
    ADD_OPTION(image_tcp(&f->copy), 0x8000);
    image_seal(&f->copy);
    g_assert_cmpint(lab_plug(f->lab, LAB_B, &f->copy, NULL), ==, EPROTO);
    g_assert_cmpint(lab_plug(f->lab, LAB_B, &f->image, NULL), ==, 0);
    g_assert_cmpint(lab_end(f->lab, f->image.slice, SLICE_FINISH_DISCARD), ==,
                    0);
    g_assert_cmpuint(f->lab->seen.n_from_hosts, ==, 0);
    image_clear(&f->image);
    f->image = image;
    f->conn = first;
}

/* Half closed, and for no application: accept() would not know it. */
static void test_no_heir(Fixture *f, gconstpointer unused)
{
    struct slice_image_tcp *tcp = image_tcp(&f->copy);
    guint why;

    SET(state, 4);
    ADD(write_seq, 1);
    image_seal(&f->copy);
    g_assert_cmpint(lab_plug(f->lab, LAB_B, &f->copy, &why), ==, EOPNOTSUPP);
    g_assert_cmpuint(why, ==, SLICE_WHY_STATE);
}

/* Two runs of input that came early: (offset from rcv_nxt, length) each. */
static void test_early_input(Fixture *f, gconstpointer unused)
{
    static const struct {
        guint32 at[2], bytes[2];
        int ret;
    } cases[] = {
        { { 10, 20 }, { 8, 8 }, 0 },
        { { 10, 18 }, { 8, 8 }, 0 },
        { { 0, 20 }, { 8, 8 }, EPROTO },
        { { 10, 17 }, { 8, 8 }, EPROTO },
        { { 30, 10 }, { 8, 8 }, EPROTO },
        { { 10, 20 }, { 0, 8 }, EPROTO },
        { { 10, 20 }, { 8, 9 }, EPROTO },
        { { 10, 20 }, { ~0u, 8 }, EPROTO },
        { { 10, ~0u }, { 8, 8 }, EPROTO },
        { { 10, 1u << 30 }, { 8, 8 }, EPROTO },
    };
    guint32 rcv_nxt = GUINT32_FROM_LE(image_tcp(&f->image)->rcv_nxt);
    guint32 runs[8] = { 0 };
    guint i, run;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("case %u", i);
        for (run = 0; run < 2; run++) {
            runs[run * 4] = GUINT32_TO_LE(rcv_nxt + cases[i].at[run]);
            runs[run * 4 + 1] = GUINT32_TO_LE(cases[i].bytes[run]);
        }
        spoil_again(f);
        image_add_ahead(&f->copy, runs, sizeof(runs));
        g_assert_cmpint(lab_plug(f->lab, LAB_B, &f->copy, NULL), ==,
                        cases[i].ret);
        if (!cases[i].ret) {
            g_assert_cmpint(lab_end(f->lab, f->copy.slice,
                                    SLICE_FINISH_DISCARD), ==, 0);
        }
    }
}

/* Odd but possible values may open and run: they harm only themselves. */
static void test_odd_values_run(Fixture *f, gconstpointer unused)
{
    struct slice_image_tcp *tcp = image_tcp(&f->copy);

    SET(snd_cwnd, ~0u);
    SET(snd_ssthresh, 0);
    SET(srtt_us, ~0u);
    SET(mdev_us, ~0u);
    SET(rttvar_us, ~0u);
    SET(rto_us, ~0u);
    SET(window_clamp, ~0u);
    SET(rcv_ssthresh, ~0u);
    SET(rcvq_space, ~0u);
    SET(rcv_mss, 0);
    SET(rcvbuf, 0);
    SET(sndbuf, ~0u);
    SET(keepalive_time_s, ~0u);
    SET(keepalive_intvl_s, ~0u);
    SET(keepalive_probes, ~0u);
    SET(user_timeout_ms, ~0u);
    SET(linger_s, ~0u);
    SET(ts_recent_age_s, ~0u);
    SET(pmtu, 0);
    SET(rcvtimeo_ms, ~0u - 1);
    SET(sndtimeo_ms, 0);
    SET(rcvlowat, ~0u);
    SET(notsent_lowat, ~0u);
    SET(linger2_s, ~0u - 1);
    tcp->max_pacing_rate = 0;
    tcp->hop_limit = 255;
    tcp->frozen_clock_ns = ~0ull;
    memset(tcp->congestion, 0, sizeof(tcp->congestion));
    memcpy(tcp->congestion, "../x", 4);
    memset(tcp->next_hop_mac, 0xff, sizeof(tcp->next_hop_mac));
    image_seal(&f->copy);
    g_assert_cmpint(lab_plug(f->lab, LAB_B, &f->copy, NULL), ==, 0);
    g_assert_cmpint(lab_end(f->lab, f->copy.slice, SLICE_FINISH_DISCARD), ==,
                    0);
}

static void test_not_our_address(Fixture *f, gconstpointer unused)
{
    guint why;

    image_tcp(&f->copy)->flow.local[3] = 99;
    image_seal(&f->copy);
    g_assert_cmpint(lab_plug(f->lab, LAB_B, &f->copy, &why), ==, EBUSY);
    g_assert_cmpuint(why, !=, SLICE_WHY_NONE);
}

/* An image that names somebody's live connection does it no harm. */
static void test_tuple_in_use(Fixture *f, gconstpointer unused)
{
    Conn *other = lab_connect(f->lab);
    guint why;

    image_tcp(&f->copy)->flow.remote_port = g_htons(other->port);
    image_seal(&f->copy);
    g_assert_cmpint(lab_plug(f->lab, LAB_A, &f->copy, &why), ==, EBUSY);
    g_assert_cmpuint(why, ==, SLICE_WHY_TUPLE_IN_USE);
    other->client.tx_goal += 50000;
    other->server.tx_goal += 50000;
    lab_finish(f->lab, other);
    lab_forget_seen(f->lab);
}

static void test_no_listener(Fixture *f, gconstpointer unused)
{
    image_tcp(&f->copy)->flow.local_port = g_htons(LAB_PORT + 1);
    image_seal(&f->copy);
    g_assert_cmpint(lab_plug(f->lab, LAB_B, &f->copy, NULL), ==, EBUSY);
}

#define ADD_TEST(path, fn) \
    g_test_add(path, Fixture, NULL, setup, fn, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD_TEST("/tcp/hostile/contradictions-are-refused", test_contradictions);
    ADD_TEST("/tcp/hostile/any-bytes", test_any_bytes);
    ADD_TEST("/tcp/hostile/any-bytes-of-a-closing-one",
             test_any_closing_bytes);
    ADD_TEST("/tcp/hostile/half-closed-without-layer", test_no_heir);
    ADD_TEST("/tcp/hostile/early-input", test_early_input);
    ADD_TEST("/tcp/hostile/odd-values-harm-nobody", test_odd_values_run);
    ADD_TEST("/tcp/hostile/not-our-address", test_not_our_address);
    ADD_TEST("/tcp/hostile/tuple-in-use", test_tuple_in_use);
    ADD_TEST("/tcp/hostile/no-listener", test_no_listener);
    return g_test_run();
}
