/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * slice-find-test.c - a connection at the wrong VM, between real machines
 *
 *   network ── here ═══ stream ═══ there          (the session is there)
 *                 ╚════ stream ═══ elsewhere      (a third, that has nothing)
 *
 * The test is the guest of each, the client, and an orchestrator that has told
 * peers and terms and is silent from then on.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "qobject/qlist.h"
#include "slice-driver.h"

#define CONNECTION  7           /* the slice that asks */
#define SESSION     9           /* what it looks for */
#define PORT        1000
#define TAG         0x1234
#define KEY         0xab
#define FIRST_TERM  0x300000001
#define N_TERMS     4
#define IMAGE_ADDR  (32 * MiB)
#define IMAGE_BYTES 5000

typedef struct Cluster {
    SliceVM *here;
    SliceVM *there;
    SliceVM *elsewhere;
} Cluster;

static SliceVM *ready_vm(const char *name)
{
    SliceVM *vm = slice_vm_new(name, "", "");

    slice_hello(vm);
    slice_post_events(vm);
    slice_guest_post(vm);
    return vm;
}

static Cluster cluster_new(bool with_third)
{
    Cluster cluster = { ready_vm("here"), ready_vm("there") };
    SliceVM *peers[] = { cluster.there, NULL };

    if (with_third) {
        peers[1] = cluster.elsewhere = ready_vm("elsewhere");
    }
    slice_tell_peers(cluster.here, peers, with_third ? 2 : 1);
    slice_tell_lease(cluster.here, FIRST_TERM, N_TERMS);
    g_assert_cmpuint(slice_set(cluster.here, CONNECTION, PORT, 1), ==,
                     SLICE_RESP_OK);
    g_assert_cmpuint(slice_set(cluster.there, SESSION, PORT + 1, 0), ==,
                     SLICE_RESP_OK);
    return cluster;
}

static void cluster_free(Cluster *cluster)
{
    slice_vm_free(cluster->here);
    slice_vm_free(cluster->there);
    if (cluster->elsewhere) {
        slice_vm_free(cluster->elsewhere);
    }
}

static void answer_lookup(SliceVM *vm, uint64_t counter, uint32_t status)
{
    struct virtio_slice_event event =
        slice_take_event(vm, VIRTIO_SLICE_EVENT_LOOKUP);

    g_assert_cmpuint(event.data[0], ==, KEY);
    g_assert_cmpuint(event.slice.incarnation, ==, 0);
    g_assert_cmpuint(slice_found(vm, le64_to_cpu(event.arg), counter, status),
                     ==, SLICE_RESP_OK);
}

static void expect_done(SliceVM *vm, uint32_t status)
{
    g_assert_cmpuint(slice_wait_event(vm, VIRTIO_SLICE_EVENT_FIND_DONE,
                                      CONNECTION, status), ==, TAG);
}

/* There: a place, with what the guest is asked. */
static void reserve(SliceVM *vm, uint64_t term, uint32_t status)
{
    struct virtio_slice_event event =
        slice_take_event(vm, VIRTIO_SLICE_EVENT_RESERVE);
    struct virtio_slice_count count;

    memcpy(&count, event.data, sizeof(count));
    g_assert_cmpuint(le64_to_cpu(event.slice.counter), ==, CONNECTION);
    g_assert_cmpuint(le64_to_cpu(event.term), ==, term);
    g_assert_cmpuint(le64_to_cpu(event.arg), ==, 4096);
    g_assert_cmpuint(le16_to_cpu(count.rank), ==, 20);
    g_assert_cmpuint(le16_to_cpu(count.n), ==, 1);
    g_assert_cmpuint(slice_status(vm, VIRTIO_SLICE_REQ_RESERVED, CONNECTION,
                                  term, status), ==, SLICE_RESP_OK);
}

static void test_connection_moves_to_its_session(void)
{
    Cluster cluster = cluster_new(false);
    SliceVM *here = cluster.here, *there = cluster.there;

    g_assert_cmpuint(slice_find(here, CONNECTION, TAG, 20000, KEY), ==,
                     SLICE_RESP_OK);
    answer_lookup(there, SESSION, 0);
    reserve(there, FIRST_TERM, 0);
    expect_done(here, 0);
    slice_wait_event(here, VIRTIO_SLICE_EVENT_QUIESCE, CONNECTION,
                     FIRST_TERM);
    /* The request that asks for the session comes now. */
    slice_net_send(here, PORT, 1);
    slice_guest_expect(here, PORT, 1);
    g_assert_cmpuint(slice_status(here, VIRTIO_SLICE_REQ_QUIESCED, CONNECTION,
                                  FIRST_TERM, 0), ==, SLICE_RESP_OK);
    slice_wait_event(here, VIRTIO_SLICE_EVENT_UNPLUG, CONNECTION, FIRST_TERM);
    slice_net_send(here, PORT, 2);
    slice_send_image(here, CONNECTION, FIRST_TERM, IMAGE_ADDR, IMAGE_BYTES);
    slice_take_image(there, CONNECTION, FIRST_TERM, IMAGE_ADDR, IMAGE_BYTES);
    slice_finish(here, there, CONNECTION, FIRST_TERM);
    slice_guest_expect(there, PORT, 1);
    slice_guest_expect(there, PORT, 2);
    /* The switch sends the client here still. */
    slice_net_send(here, PORT, 3);
    slice_guest_expect(there, PORT, 3);
    slice_guest_send(there, PORT, 4);
    {
        uint8_t frame[SLICE_FRAME_BYTES];

        slice_net_receive(there, frame);
        g_assert_cmpuint(slice_frame_mark(frame), ==, 4);
    }
    g_assert_cmpuint(slice_store_count(here, "terms-left"), ==, N_TERMS - 1);
    g_assert_cmpuint(slice_store_count(here, "finds"), ==, 0);
    cluster_free(&cluster);
}

static void test_nobody_has_it(void)
{
    Cluster cluster = cluster_new(true);

    g_assert_cmpuint(slice_find(cluster.here, CONNECTION, TAG, 20000, KEY), ==,
                     SLICE_RESP_OK);
    for (int round = 0; round < 2; round++) {
        answer_lookup(cluster.there, 0, ENOENT);
        answer_lookup(cluster.elsewhere, 0, ENOENT);
    }
    expect_done(cluster.here, ENOENT);
    cluster_free(&cluster);
}

static void test_third_has_it(void)
{
    Cluster cluster = cluster_new(true);

    g_assert_cmpuint(slice_set(cluster.elsewhere, SESSION, PORT + 1, 0), ==,
                     SLICE_RESP_OK);
    g_assert_cmpuint(slice_find(cluster.here, CONNECTION, TAG, 20000, KEY), ==,
                     SLICE_RESP_OK);
    answer_lookup(cluster.there, 0, ENOENT);
    answer_lookup(cluster.elsewhere, SESSION, 0);
    reserve(cluster.elsewhere, FIRST_TERM, 0);
    expect_done(cluster.here, 0);
    cluster_free(&cluster);
}

static void test_full_layer_refuses_before_anything_moves(void)
{
    Cluster cluster = cluster_new(false);

    g_assert_cmpuint(slice_find(cluster.here, CONNECTION, TAG, 20000, KEY), ==,
                     SLICE_RESP_OK);
    answer_lookup(cluster.there, SESSION, 0);
    reserve(cluster.there, FIRST_TERM, ENOSPC);
    expect_done(cluster.here, ETIMEDOUT);
    /* It goes on where it is. */
    slice_net_send(cluster.here, PORT, 1);
    slice_guest_expect(cluster.here, PORT, 1);
    g_assert_cmpuint(slice_store_count(cluster.there, "slices"), ==, 1);
    cluster_free(&cluster);
}

/* slice-prepare hears it as well. */
static void test_full_layer_refuses_the_orchestrator(void)
{
    SliceVM *vm = ready_vm("vm");
    QDict *reply;

    qtest_qmp_send(
        vm->qts, "{ 'execute': 'slice-prepare', 'arguments': {"
        "  'orchestrator': 1, 'id': '51:7', 'term': 5, 'source': 'source',"
        "  'flows': [], 'memory': 8192, 'vnet-header-length': 12,"
        "  'counts': [ { 'rank': 20, 'count': 3 } ], 'layers': [] } }");
    g_assert_cmpuint(slice_wait_event(vm, VIRTIO_SLICE_EVENT_RESERVE,
                                      CONNECTION, 5), ==, 8192);
    {
        struct {
            struct virtio_slice_request header;
            struct virtio_slice_status status;
        } req = {
            .header = slice_header(VIRTIO_SLICE_REQ_RESERVED, 0, CONNECTION,
                                   5),
            .status = { .status = cpu_to_le32(ENOSPC),
                        .why = cpu_to_le32(21) },
        };

        g_assert_cmpuint(slice_request(vm, &req, sizeof(req), NULL), ==,
                         SLICE_RESP_OK);
    }
    reply = qtest_qmp_receive(vm->qts);
    g_assert_cmpstr(qdict_get_str(qdict_get_qdict(reply, "return"), "answer"),
                    ==, "refused");
    g_assert_cmpstr(qdict_get_str(qdict_get_qdict(reply, "return"), "why"),
                    ==, "no-room");
    qobject_unref(reply);
    g_assert_cmpuint(slice_store_count(vm, "slices"), ==, 0);
    slice_vm_free(vm);
}

static void test_bad_finds_are_invalid(void)
{
    Cluster cluster = cluster_new(false);
    SliceVM *vm = cluster.here;
    struct {
        struct virtio_slice_request header;
        struct virtio_slice_find find;
    } req = {
        .header = slice_header(VIRTIO_SLICE_REQ_FIND, 0, CONNECTION, 0),
        .find = { .timeout_ms = cpu_to_le32(1000) },
    }, bad;

    bad = req;
    bad.find.rsvd = 1;
    g_assert_cmpuint(slice_request(vm, &bad, sizeof(bad), NULL), ==,
                     SLICE_RESP_INVALID);
    bad = req;
    bad.header.term = 1;
    g_assert_cmpuint(slice_request(vm, &bad, sizeof(bad), NULL), ==,
                     SLICE_RESP_INVALID);
    bad = req;
    bad.header.count = cpu_to_le32(1);
    g_assert_cmpuint(slice_request(vm, &bad, sizeof(bad), NULL), ==,
                     SLICE_RESP_INVALID);
    g_assert_cmpuint(slice_request(vm, &req, sizeof(req) - 1, NULL), ==,
                     SLICE_RESP_INVALID);
    g_assert_cmpuint(slice_find(vm, CONNECTION, TAG, 0, KEY), ==,
                     SLICE_RESP_INVALID);
    g_assert_cmpuint(slice_find(vm, CONNECTION, TAG,
                                VIRTIO_SLICE_FIND_MS_MAX + 1, KEY), ==,
                     SLICE_RESP_INVALID);
    g_assert_cmpuint(slice_find(vm, SESSION, TAG, 1000, KEY), ==,
                     SLICE_RESP_STALE);
    g_assert_cmpuint(slice_found(vm, 1, 0, ENOENT), ==, SLICE_RESP_STALE);
    g_assert_cmpuint(slice_found(vm, 1, 0, 0), ==, SLICE_RESP_INVALID);
    g_assert_cmpuint(slice_found(vm, 1, SESSION, ENOENT), ==,
                     SLICE_RESP_INVALID);
    g_assert_cmpuint(slice_found(vm, 1, 0, EPERM), ==, SLICE_RESP_INVALID);
    g_assert_cmpuint(slice_find(vm, CONNECTION, TAG, 20000, KEY), ==,
                     SLICE_RESP_OK);
    cluster_free(&cluster);
}

static void test_low_lease_is_told(void)
{
    Cluster cluster = cluster_new(false);
    QDict *event;

    for (int i = 0; i < N_TERMS; i++) {
        g_assert_cmpuint(slice_find(cluster.here, CONNECTION, TAG, 20000, KEY),
                         ==, SLICE_RESP_OK);
        answer_lookup(cluster.there, SESSION, 0);
        reserve(cluster.there, FIRST_TERM + i, ENOSPC);
        expect_done(cluster.here, ETIMEDOUT);
    }
    event = qtest_qmp_eventwait_ref(cluster.here->qts, "SLICE_LEASE_LOW");
    g_assert_cmpuint(qdict_get_int(qdict_get_qdict(event, "data"),
                                   "terms-left"), ==, 0);
    qobject_unref(event);
    cluster_free(&cluster);
}

static void test_monitor_shows_peers_and_terms(void)
{
    Cluster cluster = cluster_new(true);
    g_autofree char *text = NULL;
    QDict *reply;

    g_assert_cmpuint(slice_find(cluster.here, CONNECTION, TAG, 20000, KEY), ==,
                     SLICE_RESP_OK);
    slice_take_event(cluster.there, VIRTIO_SLICE_EVENT_LOOKUP);
    slice_take_event(cluster.elsewhere, VIRTIO_SLICE_EVENT_LOOKUP);
    text = qtest_hmp(cluster.here->qts, "info slices");
    g_assert_nonnull(strstr(text, "peers: there elsewhere"));
    g_assert_nonnull(strstr(text, "4 terms left, 1 connections look"));
    /* An orchestrator that is not the newest tells nothing. */
    reply = qtest_qmp_assert_success_ref(cluster.there->qts,
        "{ 'execute': 'slice-lease', 'arguments': {"
        "  'orchestrator': 5, 'first': 1, 'count': 1 } }");
    g_assert_cmpuint(qdict_get_int(reply, "terms-left"), ==, 1);
    qobject_unref(reply);
    reply = qtest_qmp_assert_success_ref(cluster.there->qts,
        "{ 'execute': 'slice-peers', 'arguments': {"
        "  'orchestrator': 4, 'peers': [] } }");
    g_assert_cmpstr(qdict_get_str(reply, "answer"), ==, "stale-orchestrator");
    qobject_unref(reply);
    cluster_free(&cluster);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/slice-find/connection-moves-to-its-session",
                   test_connection_moves_to_its_session);
    qtest_add_func("/slice-find/nobody-has-it", test_nobody_has_it);
    qtest_add_func("/slice-find/third-has-it", test_third_has_it);
    qtest_add_func("/slice-find/full-layer-refuses-before-anything-moves",
                   test_full_layer_refuses_before_anything_moves);
    qtest_add_func("/slice-find/full-layer-refuses-the-orchestrator",
                   test_full_layer_refuses_the_orchestrator);
    qtest_add_func("/slice-find/bad-is-invalid", test_bad_finds_are_invalid);
    qtest_add_func("/slice-find/low-lease-is-told", test_low_lease_is_told);
    qtest_add_func("/slice-find/monitor-shows-peers-and-terms",
                   test_monitor_shows_peers_and_terms);
    return g_test_run();
}
