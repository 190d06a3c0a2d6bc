/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filter-slice-test.c - what the gate does with packets, in real machines
 *
 *   network ── source ═══ stream ═══ target ── network
 *
 * Marks are TCP sequence numbers by which the test knows its packets again.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/cutils.h"
#include "qemu/units.h"
#include "standard-headers/linux/virtio_net.h"
#include "slice-driver.h"

#ifdef CONFIG_LINUX
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#endif

#define SLICE 7
#define TERM  0x100000001
#define PORT  1000              /* of the slice's client */
#define OTHER 2000              /* of somebody else */
#define IMAGE_ADDR  (32 * MiB)
#define IMAGE_BYTES 5000

#define ANSWER(expr, expected) do {                     \
        g_autofree char *answer_ = (expr);              \
        g_assert_cmpstr(answer_, ==, (expected));       \
    } while (0)

typedef struct Pair {
    SliceVM *source;
    SliceVM *target;
} Pair;

static Pair pair_of(SliceVM *source, SliceVM *target)
{
    Pair pair = { source, target };

    slice_hello(source);
    slice_hello(target);
    slice_post_events(source);
    slice_post_events(target);
    slice_guest_post(source);
    g_assert_cmpuint(slice_set(source, SLICE, PORT, 1), ==, SLICE_RESP_OK);
    ANSWER(slice_qmp_prepare(target, SLICE, TERM, PORT, 1), "ok");
    return pair;
}

/* Prepared: the target holds the flow. */
static Pair pair_new(const char *gate)
{
    return pair_of(slice_vm_new("source", gate, ""),
                   slice_vm_new("target", gate, ""));
}

static void pair_free(Pair *pair)
{
    slice_vm_free(pair->source);
    slice_vm_free(pair->target);
}

static void begin(Pair *pair)
{
    slice_begin(pair->source, pair->target, SLICE, TERM);
}

static void unplug(Pair *pair)
{
    ANSWER(slice_qmp(pair->source, "slice-unplug", SLICE, TERM), "ok");
    slice_wait_event(pair->source, VIRTIO_SLICE_EVENT_UNPLUG, SLICE, TERM);
}

static void plug_and_open(Pair *pair)
{
    slice_send_image(pair->source, SLICE, TERM, IMAGE_ADDR, IMAGE_BYTES);
    slice_take_image(pair->target, SLICE, TERM, IMAGE_ADDR, IMAGE_BYTES);
    slice_finish(pair->source, pair->target, SLICE, TERM);
}

static void whole_move(Pair *pair)
{
    begin(pair);
    unplug(pair);
    plug_and_open(pair);
}

/* A packet of another connection, sent after all others, has arrived. */
static void assert_only_other_arrives(SliceVM *vm, uint32_t mark)
{
    slice_net_send(vm, OTHER, mark);
    slice_guest_expect(vm, OTHER, mark);
}

/* ---- hold and release ---- */

static void test_hold_lets_others_pass(void)
{
    Pair pair = pair_new("");
    uint8_t frame[SLICE_FRAME_BYTES];

    slice_guest_post(pair.target);
    slice_net_send(pair.target, PORT, 1);
    slice_net_send(pair.target, PORT, 2);
    assert_only_other_arrives(pair.target, 3);
    g_assert_cmpuint(slice_store_count(pair.target, "held-packets"), ==, 2);

    slice_guest_send(pair.target, PORT, 4);
    slice_guest_send(pair.target, OTHER, 5);
    slice_net_receive(pair.target, frame);
    g_assert_cmpuint(slice_frame_mark(frame), ==, 5);
    g_assert_cmpuint(slice_store_count(pair.target, "held-packets"), ==, 3);

    whole_move(&pair);
    slice_guest_expect(pair.target, PORT, 1);
    slice_guest_expect(pair.target, PORT, 2);
    slice_net_receive(pair.target, frame);
    g_assert_cmpuint(slice_frame_mark(frame), ==, 4);
    slice_wait_store_count(pair.target, "held-packets", 0);

    /* And then it is a connection like others. */
    slice_net_send(pair.target, PORT, 6);
    slice_guest_expect(pair.target, PORT, 6);
    slice_guest_send(pair.target, PORT, 7);
    slice_net_receive(pair.target, frame);
    g_assert_cmpuint(slice_frame_mark(frame), ==, 7);
    pair_free(&pair);
}

/*
 * Returns how many packets of other connections came before the last
 * SLICE_NET_BUFFERS of these.
 */
static uint32_t receive_in_order(SliceVM *vm, uint16_t port, uint32_t from,
                                 uint32_t n)
{
    uint8_t (*frames)[SLICE_FRAME_BYTES] = g_malloc(SLICE_NET_BUFFERS *
                                                    SLICE_FRAME_BYTES);
    gint64 since = g_get_monotonic_time();
    uint32_t next = from, n_other = 0, got, i;

    while (next < from + n) {
        got = slice_guest_receive(vm, frames);
        for (i = 0; i < got; i++) {
            if (slice_frame_port(frames[i], true) == port) {
                g_assert_cmpuint(slice_frame_mark(frames[i]), ==, next);
                next++;
            } else if (next + SLICE_NET_BUFFERS < from + n) {
                n_other++;
            }
        }
        g_assert_cmpint(g_get_monotonic_time() - since, <,
                        4 * SLICE_TIMEOUT_US);
    }
    g_free(frames);
    return n_other;
}

#define MANY 20000

/* The ring has 256 places; QEMU's own queue behind it drops past 10,000. */
static void test_release_into_full_ring_loses_nothing(void)
{
    Pair pair = pair_new("");
    uint32_t i;

    for (i = 0; i < MANY; i++) {
        slice_net_send(pair.target, PORT, i);
    }
    slice_wait_store_count(pair.target, "held-packets", MANY);
    slice_guest_post(pair.target);
    whole_move(&pair);
    /* The ring is full, one packet waits before it, the others in the gate. */
    slice_wait_store_count(pair.target, "held-packets",
                           MANY - SLICE_NET_BUFFERS);
    /* What comes now waits behind them. */
    slice_net_send(pair.target, PORT, MANY);
    slice_wait_store_count(pair.target, "held-packets",
                           MANY - SLICE_NET_BUFFERS + 1);
    receive_in_order(pair.target, PORT, 0, MANY + 1);
    slice_wait_store_count(pair.target, "held-packets", 0);
    g_assert_cmpuint(slice_store_count(pair.target, "dropped-packets"), ==, 0);
    pair_free(&pair);
}

/* While thousands are let go, others are served in between. */
static void test_release_stalls_nobody(void)
{
    Pair pair = pair_new("");
    uint32_t i;

    for (i = 0; i < 5000; i++) {
        slice_net_send(pair.target, PORT, i);
    }
    slice_wait_store_count(pair.target, "held-packets", 5000);
    slice_guest_post(pair.target);
    whole_move(&pair);
    slice_wait_store_count(pair.target, "held-packets",
                           5000 - SLICE_NET_BUFFERS);
    for (i = 0; i < 10; i++) {
        slice_net_send(pair.target, OTHER, i);
    }
    g_assert_cmpuint(receive_in_order(pair.target, PORT, 0, 5000), ==, 10);
    pair_free(&pair);
}

static void test_stopped_vm_keeps_everything(void)
{
    Pair pair = pair_new("");
    uint32_t i;

    for (i = 0; i < 2000; i++) {
        slice_net_send(pair.target, PORT, i);
    }
    slice_wait_store_count(pair.target, "held-packets", 2000);
    slice_guest_post(pair.target);
    whole_move(&pair);
    slice_wait_store_count(pair.target, "held-packets",
                           2000 - SLICE_NET_BUFFERS);
    qtest_qmp_assert_success(pair.target->qts, "{ 'execute': 'stop' }");
    g_assert_cmpuint(slice_store_count(pair.target, "held-packets"), ==,
                     2000 - SLICE_NET_BUFFERS);
    slice_net_send(pair.target, PORT, 2000);
    slice_wait_store_count(pair.target, "held-packets",
                           2000 - SLICE_NET_BUFFERS + 1);
    qtest_qmp_assert_success(pair.target->qts, "{ 'execute': 'cont' }");
    receive_in_order(pair.target, PORT, 0, 2001);
    pair_free(&pair);
}

static void test_past_the_bound_the_newest_is_dropped(void)
{
    Pair pair = pair_new(",flow-bytes=65536");
    uint64_t n_held;
    uint32_t i;

    for (i = 0; i < 2000; i++) {
        slice_net_send(pair.target, PORT, i);
    }
    slice_guest_post(pair.target);
    assert_only_other_arrives(pair.target, 0);
    n_held = slice_store_count(pair.target, "held-packets");
    g_assert_cmpuint(n_held, >, 65536 / 256);
    g_assert_cmpuint(n_held, <, 65536 / SLICE_FRAME_BYTES);
    g_assert_cmpuint(slice_store_count(pair.target, "dropped-packets"), ==,
                     2000 - n_held);
    whole_move(&pair);
    receive_in_order(pair.target, PORT, 0, n_held);
    slice_net_send(pair.target, PORT, 5000);
    receive_in_order(pair.target, PORT, 5000, 1);
    pair_free(&pair);
}

static void test_absurd_length_is_not_kept(void)
{
    /* Longer than any packet, and as long as QEMU takes from a NIC. */
    const uint32_t bytes = 69 * 1000;
    Pair pair = pair_new("");
    SliceVM *vm = pair.target;
    uint8_t packet[SLICE_NET_BUFFER_BYTES] = { };
    uint64_t buffer = guest_alloc(&vm->alloc, bytes);
    gint64 since = g_get_monotonic_time();
    uint32_t head;

    slice_frame(packet + vm->net_hdr_bytes, PORT, 1, false);
    qtest_memwrite(vm->qts, buffer, packet, sizeof(packet));
    vm->tx_vq->free_head = 0;
    head = qvirtqueue_add(vm->qts, vm->tx_vq, buffer, bytes, false, false);
    qvirtqueue_kick(vm->qts, &vm->net->vdev, vm->tx_vq, head);
    while (!qvirtqueue_get_buf(vm->qts, vm->tx_vq, NULL, NULL)) {
        g_assert_cmpint(g_get_monotonic_time() - since, <, SLICE_TIMEOUT_US);
    }
    g_assert_cmpuint(slice_store_count(vm, "dropped-packets"), ==, 1);
    g_assert_cmpuint(slice_store_count(vm, "held-packets"), ==, 0);
    slice_guest_send(vm, PORT, 2);
    g_assert_cmpuint(slice_store_count(vm, "held-packets"), ==, 1);
    pair_free(&pair);
}

static void test_bound_of_all_flows(void)
{
    Pair pair = pair_new(",total-bytes=65536");
    uint64_t n_held;
    uint32_t i;

    ANSWER(slice_qmp_prepare(pair.target, SLICE + 1, TERM, PORT + 1, 1), "ok");
    for (i = 0; i < 2000; i++) {
        slice_net_send(pair.target, PORT + i % 2, i);
    }
    slice_guest_post(pair.target);
    assert_only_other_arrives(pair.target, 0);
    n_held = slice_store_count(pair.target, "held-packets");
    g_assert_cmpuint(n_held, <, 65536 / SLICE_FRAME_BYTES);
    g_assert_cmpuint(slice_store_count(pair.target, "dropped-packets"), ==,
                     2000 - n_held);
    pair_free(&pair);
}

static void test_flows_are_bounded(void)
{
    SliceVM *vm = slice_vm_new("vm", ",flows=3", "");

    slice_hello(vm);
    slice_post_events(vm);
    ANSWER(slice_qmp_prepare(vm, SLICE, TERM, PORT, 3), "ok");
    ANSWER(slice_qmp_prepare(vm, SLICE + 1, TERM, PORT + 3, 1), "refused");
    ANSWER(slice_qmp(vm, "slice-cancel", SLICE, TERM), "ok");
    slice_vm_free(vm);
}

/* ---- a move's packets ---- */

/* PACKETS with one packet, as the guest's mute has caught it. */
static void send_caught(SliceVM *vm, uint32_t mark)
{
    uint8_t frame[SLICE_FRAME_BYTES];
    const uint32_t bytes = 40;

    slice_frame(frame, PORT, mark, true);
    qtest_writel(vm->qts, IMAGE_ADDR, bytes);
    qtest_memwrite(vm->qts, IMAGE_ADDR + 4, frame + 14, bytes);
    g_assert_cmpuint(slice_chunk(vm, VIRTIO_SLICE_REQ_PACKETS, 0, SLICE, TERM,
                                 0, 4 + bytes, IMAGE_ADDR, 4 + bytes, NULL),
                     ==, SLICE_RESP_OK);
}

static void test_order_ring_caught_diverted_held(void)
{
    Pair pair = pair_new("");

    slice_guest_post(pair.target);
    slice_net_send(pair.target, PORT, 30);
    slice_net_send(pair.target, PORT, 31);
    slice_wait_store_count(pair.target, "held-packets", 2);
    begin(&pair);
    /* Watched: the guest has them, the ring too. */
    slice_net_send(pair.source, PORT, 1);
    slice_net_send(pair.source, PORT, 2);
    slice_guest_expect(pair.source, PORT, 1);
    slice_guest_expect(pair.source, PORT, 2);
    unplug(&pair);
    send_caught(pair.source, 10);
    slice_net_send(pair.source, PORT, 20);
    slice_net_send(pair.source, PORT, 21);
    assert_only_other_arrives(pair.source, 3);
    slice_wait_store_count(pair.target, "held-packets", 7);
    slice_net_send(pair.target, PORT, 32);
    slice_wait_store_count(pair.target, "held-packets", 8);
    plug_and_open(&pair);
    slice_guest_expect(pair.target, PORT, 1);
    slice_guest_expect(pair.target, PORT, 2);
    slice_guest_expect(pair.target, PORT, 10);
    slice_guest_expect(pair.target, PORT, 20);
    slice_guest_expect(pair.target, PORT, 21);
    slice_guest_expect(pair.target, PORT, 30);
    slice_guest_expect(pair.target, PORT, 31);
    slice_guest_expect(pair.target, PORT, 32);
    pair_free(&pair);
}

static void test_ring_keeps_the_newest(void)
{
    Pair pair = pair_new(",ring-bytes=4096");
    uint32_t i, n;

    slice_guest_post(pair.target);
    begin(&pair);
    for (i = 0; i < 200; i++) {
        slice_net_send(pair.source, PORT, i);
        slice_guest_expect(pair.source, PORT, i);
    }
    unplug(&pair);
    plug_and_open(&pair);
    slice_net_send(pair.target, PORT, 200);
    for (n = 0; (i = slice_guest_next(pair.target, PORT)) != 200; n++) {
        g_assert_cmpuint(i, <, 200);
        g_assert_cmpuint(i, >, 200 - 4096 / SLICE_FRAME_BYTES);
    }
    g_assert_cmpuint(n, >, 10);
    g_assert_cmpuint(n, <, 4096 / SLICE_FRAME_BYTES);
    pair_free(&pair);
}

static void test_gone_forwards_and_mutes(void)
{
    Pair pair = pair_new("");
    uint8_t frame[SLICE_FRAME_BYTES];

    slice_guest_post(pair.target);
    whole_move(&pair);
    slice_net_send(pair.source, PORT, 40);
    slice_guest_expect(pair.target, PORT, 40);
    slice_guest_send(pair.source, PORT, 41);
    slice_guest_send(pair.source, OTHER, 42);
    slice_net_receive(pair.source, frame);
    g_assert_cmpuint(slice_frame_mark(frame), ==, 42);
    g_assert_cmpuint(slice_store_count(pair.source, "muted-packets"), ==, 1);
    assert_only_other_arrives(pair.source, 43);
    pair_free(&pair);
}

/* Given up after the unplug: what went aside comes to the source's guest. */
static void test_abort_gives_back_in_order(void)
{
    Pair pair = pair_new("");
    uint32_t mark;

    begin(&pair);
    unplug(&pair);
    slice_net_send(pair.source, PORT, 20);
    slice_net_send(pair.source, PORT, 21);
    assert_only_other_arrives(pair.source, 1);
    qobject_unref(qtest_qmp(pair.source->qts,
        "{ 'execute': 'job-cancel', 'arguments': {"
        "  'id': 'move7-4294967297' } }"));
    slice_wait_event(pair.source, VIRTIO_SLICE_EVENT_RESUME, SLICE, TERM);
    slice_net_send(pair.source, PORT, 22);
    assert_only_other_arrives(pair.source, 2);
    g_assert_cmpuint(slice_status(pair.source, VIRTIO_SLICE_REQ_RESUMED, SLICE,
                                  TERM, 0), ==, SLICE_RESP_OK);
    slice_guest_expect(pair.source, PORT, 20);
    slice_guest_expect(pair.source, PORT, 21);
    /* The target may have returned what it had got of them: no harm. */
    do {
        mark = slice_guest_next(pair.source, PORT);
        g_assert_cmpuint(mark, <=, 22);
    } while (mark != 22);
    pair_free(&pair);
}

static void test_cancel_returns_held_packets(void)
{
    Pair pair = pair_new("");

    begin(&pair);
    unplug(&pair);
    slice_send_image(pair.source, SLICE, TERM, IMAGE_ADDR, IMAGE_BYTES);
    slice_net_send(pair.target, PORT, 30);
    slice_net_send(pair.target, PORT, 31);
    slice_wait_store_count(pair.target, "held-packets", 2);
    ANSWER(slice_qmp(pair.target, "slice-cancel", SLICE, TERM), "ok");
    g_assert_cmpuint(slice_store_count(pair.target, "held-packets"), ==, 0);
    ANSWER(slice_qmp(pair.source, "slice-abort", SLICE, TERM), "busy");
    pair_free(&pair);
}

/* ---- the object ---- */

static void assert_qmp_error(SliceVM *vm, const char *fmt, ...)
    G_GNUC_PRINTF(2, 3);
static void assert_qmp_error(SliceVM *vm, const char *fmt, ...)
{
    QDict *reply;
    va_list ap;

    va_start(ap, fmt);
    reply = qtest_vqmp(vm->qts, fmt, ap);
    va_end(ap);
    g_assert_true(qdict_haskey(reply, "error"));
    qobject_unref(reply);
}

static void test_cannot_be_taken_away(void)
{
    Pair pair = pair_new("");

    slice_guest_post(pair.target);
    slice_net_send(pair.target, PORT, 1);
    assert_only_other_arrives(pair.target, 2);
    assert_qmp_error(pair.target, "{ 'execute': 'qom-set', 'arguments': {"
                     " 'path': '/objects/gate0', 'property': 'status',"
                     " 'value': 'off' } }");
    assert_qmp_error(pair.target, "{ 'execute': 'object-del', 'arguments': {"
                     " 'id': 'gate0' } }");
    assert_qmp_error(pair.target, "{ 'execute': 'object-add', 'arguments': {"
                     " 'qom-type': 'filter-slice', 'id': 'gate1',"
                     " 'netdev': 'hostnet0', 'store': 'sl0' } }");
    assert_qmp_error(pair.target, "{ 'execute': 'object-add', 'arguments': {"
                     " 'qom-type': 'filter-slice', 'id': 'gate1',"
                     " 'netdev': 'hostnet0', 'store': 'gate0' } }");
    slice_net_send(pair.target, PORT, 3);
    assert_only_other_arrives(pair.target, 4);
    g_assert_cmpuint(slice_store_count(pair.target, "held-packets"), ==, 2);
    pair_free(&pair);
}

/* With packets held, and one of them in the queue before a full ring. */
static void test_netdev_goes_with_packets_held(void)
{
    Pair pair = pair_new("");
    uint32_t i;

    ANSWER(slice_qmp_prepare(pair.target, SLICE + 1, TERM, PORT + 1, 1), "ok");
    for (i = 0; i < 600; i++) {
        slice_net_send(pair.target, PORT + i % 2, i);
    }
    slice_wait_store_count(pair.target, "held-packets", 600);
    slice_guest_post(pair.target);
    whole_move(&pair);
    slice_wait_store_count(pair.target, "held-packets",
                           600 - SLICE_NET_BUFFERS);
    qtest_qmp_assert_success(pair.target->qts, "{ 'execute': 'netdev_del',"
                             " 'arguments': { 'id': 'hostnet0' } }");
    g_assert_cmpuint(slice_store_count(pair.target, "held-packets"), ==, 0);
    ANSWER(slice_qmp(pair.target, "slice-cancel", SLICE + 1, TERM), "ok");
    qtest_qmp_assert_success(pair.target->qts, "{ 'execute': 'system_reset' }");
    qtest_qmp_eventwait(pair.target->qts, "RESET");
    pair_free(&pair);
}

/* Announcements come without vnet header and are of no flow. */
static void test_announcement_passes(void)
{
    Pair pair = pair_new("");
    uint8_t frame[SLICE_FRAME_BYTES];

    qtest_qmp_assert_success(pair.target->qts,
        "{ 'execute': 'announce-self', 'arguments': { 'initial': 50,"
        " 'max': 50, 'rounds': 1, 'step': 50 } }");
    slice_net_receive(pair.target, frame);
    g_assert_cmpuint(lduw_be_p(frame + 12), ==, 0x8035);
    pair_free(&pair);
}

/* ---- vnet headers ---- */

#ifdef CONFIG_LINUX
/* A tap with vnet headers in a network of its own, and a socket to its wire. */
static bool tap_open(int *ret_tap, int *ret_wire)
{
    struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
    struct sockaddr_ll addr = { .sll_family = AF_PACKET,
                                .sll_protocol = htons(ETH_P_ALL) };
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), control;
    bool ok = false;

    if (home < 0 || unshare(CLONE_NEWNET) < 0) {
        close(home);
        return false;
    }
    *ret_tap = open("/dev/net/tun", O_RDWR);
    *ret_wire = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
    control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    pstrcpy(ifr.ifr_name, sizeof(ifr.ifr_name), "tap0");
    if (*ret_tap >= 0 && *ret_wire >= 0 &&
        ioctl(*ret_tap, TUNSETIFF, &ifr) == 0) {
        ifr.ifr_flags = IFF_UP;
        ok = ioctl(control, SIOCSIFFLAGS, &ifr) == 0;
        addr.sll_ifindex = if_nametoindex("tap0");
        ok = ok && bind(*ret_wire, (void *)&addr, sizeof(addr)) == 0;
    }
    close(control);
    g_assert_cmpint(setns(home, CLONE_NEWNET), ==, 0);
    close(home);
    return ok;
}

static void wire_send(int wire, uint16_t port, uint32_t mark)
{
    uint8_t frame[SLICE_FRAME_BYTES];

    slice_frame(frame, port, mark, true);
    g_assert_cmpint(send(wire, frame, sizeof(frame), 0), ==, sizeof(frame));
}

/* The next TCP packet of the guest's on the wire; others are the kernel's. */
static void wire_expect(int wire, uint16_t port, uint32_t mark)
{
    uint8_t frame[2048];
    ssize_t n;

    do {
        GPollFD poll_fd = { .fd = wire, .events = G_IO_IN };

        g_assert_cmpint(g_poll(&poll_fd, 1, SLICE_TIMEOUT_US / 1000), ==, 1);
        n = recv(wire, frame, sizeof(frame), 0);
        g_assert_cmpint(n, >, 0);
    } while (n < SLICE_FRAME_BYTES || lduw_be_p(frame + 12) != 0x0800 ||
             lduw_be_p(frame + 34) != 80);
    g_assert_cmpuint(slice_frame_port(frame, false), ==, port);
    g_assert_cmpuint(slice_frame_mark(frame), ==, mark);
}

static void test_vnet_header(gconstpointer opaque)
{
    const uint32_t hdr_bytes = GPOINTER_TO_UINT(opaque);
    g_autofree char *options = NULL;
    int tap, wire;
    Pair pair;

    if (!tap_open(&tap, &wire)) {
        g_test_skip("no tap device can be made here");
        return;
    }
    options = g_strdup_printf("-netdev tap,id=hostnet0,fd=%d,vhost=off "
                              "-object filter-slice,id=gate0,netdev=hostnet0,"
                              "store=sl0", tap);
    pair = pair_of(slice_vm_new("source", "", ""),
                   slice_vm_new_net("target", options,
                                    hdr_bytes == sizeof(struct virtio_net_hdr)));
    g_assert_cmpuint(slice_store_count(pair.target, "vnet-header-length"), ==,
                     hdr_bytes);
    slice_guest_post(pair.target);
    wire_send(wire, PORT, 30);
    wire_send(wire, OTHER, 1);
    slice_guest_expect(pair.target, OTHER, 1);
    slice_guest_send(pair.target, PORT, 50);
    slice_guest_send(pair.target, OTHER, 2);
    wire_expect(wire, OTHER, 2);
    slice_wait_store_count(pair.target, "held-packets", 2);

    begin(&pair);
    unplug(&pair);
    slice_net_send(pair.source, PORT, 20);
    slice_wait_store_count(pair.target, "held-packets", 3);
    plug_and_open(&pair);
    slice_guest_expect(pair.target, PORT, 20);
    slice_guest_expect(pair.target, PORT, 30);
    wire_expect(wire, PORT, 50);
    pair_free(&pair);
    close(tap);
    close(wire);
}
#endif

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("/filter-slice/hold/others-pass",
                   test_hold_lets_others_pass);
    qtest_add_func("/filter-slice/release/full-ring-loses-nothing",
                   test_release_into_full_ring_loses_nothing);
    qtest_add_func("/filter-slice/release/stalls-nobody",
                   test_release_stalls_nobody);
    qtest_add_func("/filter-slice/release/stopped-vm-keeps-everything",
                   test_stopped_vm_keeps_everything);
    qtest_add_func("/filter-slice/bound/newest-of-flow-is-dropped",
                   test_past_the_bound_the_newest_is_dropped);
    qtest_add_func("/filter-slice/bound/absurd-length-is-not-kept",
                   test_absurd_length_is_not_kept);
    qtest_add_func("/filter-slice/bound/all-flows", test_bound_of_all_flows);
    qtest_add_func("/filter-slice/bound/number-of-flows",
                   test_flows_are_bounded);
    qtest_add_func("/filter-slice/move/order-ring-caught-diverted-held",
                   test_order_ring_caught_diverted_held);
    qtest_add_func("/filter-slice/move/ring-keeps-the-newest",
                   test_ring_keeps_the_newest);
    qtest_add_func("/filter-slice/move/gone-forwards-and-mutes",
                   test_gone_forwards_and_mutes);
    qtest_add_func("/filter-slice/move/abort-gives-back-in-order",
                   test_abort_gives_back_in_order);
    qtest_add_func("/filter-slice/move/cancel-returns-held-packets",
                   test_cancel_returns_held_packets);
    qtest_add_func("/filter-slice/object/cannot-be-taken-away",
                   test_cannot_be_taken_away);
    qtest_add_func("/filter-slice/object/netdev-goes-with-packets-held",
                   test_netdev_goes_with_packets_held);
    qtest_add_func("/filter-slice/object/announcement-passes",
                   test_announcement_passes);
#ifdef CONFIG_LINUX
    qtest_add_data_func("/filter-slice/vnet-header/10",
                        GUINT_TO_POINTER(10), test_vnet_header);
    qtest_add_data_func("/filter-slice/vnet-header/12",
                        GUINT_TO_POINTER(12), test_vnet_header);
#endif
    return g_test_run();
}
