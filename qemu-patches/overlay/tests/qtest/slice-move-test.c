/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * slice-move-test.c - a slice moves between two machines whose guests behave
 *
 *   network ── source ═══ stream ═══ target ── network
 *
 * The image is nothing but bytes here: what the kernels make of it is tested
 * elsewhere.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"
#include "slice-driver.h"

#define SLICE 7
#define TERM  0x100000001
#define PORT  1000

#define ANSWER(expr, expected) do {                     \
        g_autofree char *answer_ = (expr);              \
        g_assert_cmpstr(answer_, ==, (expected));       \
    } while (0)

typedef struct Pair {
    SliceVM *source;
    SliceVM *target;
} Pair;

static Pair pair_new(const char *more)
{
    Pair pair = {
        .source = slice_vm_new("source", "", more),
        .target = slice_vm_new("target", "", more),
    };

    slice_hello(pair.source);
    slice_hello(pair.target);
    slice_post_events(pair.source);
    slice_post_events(pair.target);
    g_assert_cmpuint(slice_set(pair.source, SLICE, PORT, 1), ==,
                     SLICE_RESP_OK);
    return pair;
}

static void pair_free(Pair *pair)
{
    slice_vm_free(pair->source);
    slice_vm_free(pair->target);
}

static void to_unplug(Pair *pair)
{
    ANSWER(slice_qmp_prepare(pair->target, SLICE, TERM, PORT, 1), "ok");
    slice_begin(pair->source, pair->target, SLICE, TERM);
    ANSWER(slice_qmp(pair->source, "slice-unplug", SLICE, TERM), "ok");
    slice_wait_event(pair->source, VIRTIO_SLICE_EVENT_UNPLUG, SLICE, TERM);
}

static uint8_t *pattern(size_t bytes)
{
    uint8_t *data = g_malloc(bytes);
    size_t i;

    for (i = 0; i < bytes; i++) {
        data[i] = i * 7 + i / 251;
    }
    return data;
}

/*
 * IMAGE or ROOM of many chunks, the last first in memory, with gaps.  The
 * bytes are in memory only: the request itself is too small to carry them.
 */
static uint32_t scattered(SliceVM *vm, uint16_t type, uint64_t addr,
                          uint32_t step, uint32_t n, uint64_t *ret_value)
{
    struct {
        struct virtio_slice_request header;
        struct virtio_slice_chunks chunks;
        struct virtio_slice_chunk chunk[64];
    } req = {
        .header = slice_header(type, n, SLICE, TERM),
        .chunks.total_bytes = cpu_to_le64((uint64_t)n * step),
    };
    uint32_t i;

    g_assert_cmpuint(n, <=, ARRAY_SIZE(req.chunk));
    req.header.flags = cpu_to_le16(VIRTIO_SLICE_LAST);
    for (i = 0; i < n; i++) {
        req.chunk[i].addr = cpu_to_le64(addr + (n - 1 - i) * (step + 13));
        req.chunk[i].bytes = cpu_to_le32(step);
    }
    g_assert_cmpuint(sizeof(req), <, (uint64_t)n * step);
    return slice_request(vm, &req, offsetof(typeof(req), chunk[n]), ret_value);
}

static void test_payload_is_named_not_sent(gconstpointer opaque)
{
    const uint32_t n = 60, step = GPOINTER_TO_UINT(opaque);
    const size_t bytes = n * step;
    Pair pair = pair_new("");
    g_autofree uint8_t *image = pattern(bytes);
    g_autofree uint8_t *arrived = g_malloc(bytes);
    uint64_t from = 32 * MiB + 3, to = 64 * MiB + 5, value;
    uint32_t i;

    to_unplug(&pair);
    for (i = 0; i < n; i++) {
        qtest_bufwrite(pair.source->qts, from + (n - 1 - i) * (step + 13),
                       image + i * step, step);
    }
    g_assert_cmpuint(scattered(pair.source, VIRTIO_SLICE_REQ_IMAGE, from, step,
                               n, NULL), ==, SLICE_RESP_OK);
    g_assert_cmpuint(slice_wait_event(pair.target, VIRTIO_SLICE_EVENT_ROOM,
                                      SLICE, TERM), ==, bytes);
    g_assert_cmpuint(scattered(pair.target, VIRTIO_SLICE_REQ_ROOM, to, step, n,
                               &value), ==, SLICE_RESP_OK);
    g_assert_cmpuint(value, ==, bytes);
    for (i = 0; i < n; i++) {
        qtest_bufread(pair.target->qts, to + (n - 1 - i) * (step + 13),
                      arrived + i * step, step);
        /* The gaps are not the device's. */
        g_assert_cmpuint(qtest_readb(pair.target->qts,
                                     to + i * (step + 13) + step), ==, 0);
    }
    g_assert_cmpmem(arrived, bytes, image, bytes);
    g_assert_cmpuint(slice_status(pair.target, VIRTIO_SLICE_REQ_PLUGGED, SLICE,
                                  TERM, 0), ==, SLICE_RESP_OK);
    slice_finish(pair.source, pair.target, SLICE, TERM);
    pair_free(&pair);
}

static void test_room_in_pieces(void)
{
    const uint32_t bytes = 100000, piece = 40000;
    Pair pair = pair_new("");
    g_autofree uint8_t *image = pattern(bytes);
    g_autofree uint8_t *arrived = g_malloc(bytes);
    uint64_t addr = 32 * MiB, value = 1;
    uint32_t offset, step;

    to_unplug(&pair);
    qtest_bufwrite(pair.source->qts, addr, image, bytes);
    slice_send_image(pair.source, SLICE, TERM, addr, bytes);
    slice_wait_event(pair.target, VIRTIO_SLICE_EVENT_ROOM, SLICE, TERM);
    for (offset = 0; offset < bytes; offset += step) {
        bool last = offset + piece >= bytes;

        step = MIN(piece, bytes - offset);
        g_assert_cmpuint(value, !=, 0);
        g_assert_cmpuint(slice_chunk(pair.target, VIRTIO_SLICE_REQ_ROOM,
                                     last ? VIRTIO_SLICE_LAST : 0, SLICE, TERM,
                                     offset, bytes, addr + offset, step,
                                     &value), ==, SLICE_RESP_OK);
        g_assert_cmpuint(value, ==, last ? bytes : 0);
        value = 1;
    }
    qtest_bufread(pair.target->qts, addr, arrived, bytes);
    g_assert_cmpmem(arrived, bytes, image, bytes);
    pair_free(&pair);
}

static void test_room_outside_ram_is_a_fault(void)
{
    Pair pair = pair_new("");

    to_unplug(&pair);
    slice_send_image(pair.source, SLICE, TERM, 32 * MiB, 4096);
    slice_wait_event(pair.target, VIRTIO_SLICE_EVENT_ROOM, SLICE, TERM);
    g_assert_cmpuint(slice_chunk(pair.target, VIRTIO_SLICE_REQ_ROOM,
                                 VIRTIO_SLICE_LAST, SLICE, TERM, 0, 4096,
                                 0xfec00000, 4096, NULL), ==, SLICE_RESP_FAULT);
    g_assert_cmpuint(slice_chunk(pair.target, VIRTIO_SLICE_REQ_ROOM,
                                 VIRTIO_SLICE_LAST, SLICE, TERM, 0, 4096,
                                 1ull << 40, 4096, NULL), ==, SLICE_RESP_FAULT);
    /* A better address will do. */
    g_assert_cmpuint(slice_chunk(pair.target, VIRTIO_SLICE_REQ_ROOM,
                                 VIRTIO_SLICE_LAST, SLICE, TERM, 0, 4096,
                                 32 * MiB, 4096, NULL), ==, SLICE_RESP_OK);
    pair_free(&pair);
}

/* A VM that stops finishes the request that it had begun, and goes on. */
static void test_stop_amid_an_image(void)
{
    const uint32_t n = 60, step = 512 * KiB;
    const uint64_t bytes = (uint64_t)n * step;
    Pair pair = pair_new("");
    struct {
        struct virtio_slice_request header;
        struct virtio_slice_chunks chunks;
        struct virtio_slice_chunk chunk[60];
    } req = {
        .header = slice_header(VIRTIO_SLICE_REQ_IMAGE, n, SLICE, TERM),
        .chunks.total_bytes = cpu_to_le64(bytes),
    };
    uint32_t i;

    to_unplug(&pair);
    req.header.flags = cpu_to_le16(VIRTIO_SLICE_LAST);
    for (i = 0; i < n; i++) {
        req.chunk[i].addr = cpu_to_le64(32 * MiB + i * step);
        req.chunk[i].bytes = cpu_to_le32(step);
    }
    slice_request_send(pair.source, &req, sizeof(req));
    qtest_qmp_assert_success(pair.source->qts, "{ 'execute': 'stop' }");
    qtest_qmp_assert_success(pair.source->qts, "{ 'execute': 'cont' }");
    g_assert_cmpuint(slice_answer(pair.source, NULL), ==, SLICE_RESP_OK);
    g_assert_cmpuint(slice_wait_event(pair.target, VIRTIO_SLICE_EVENT_ROOM,
                                      SLICE, TERM), ==, bytes);
    pair_free(&pair);
}

static void test_stale_term_changes_nothing(void)
{
    Pair pair = pair_new("");

    to_unplug(&pair);
    g_assert_cmpuint(slice_chunk(pair.source, VIRTIO_SLICE_REQ_IMAGE,
                                 VIRTIO_SLICE_LAST, SLICE, TERM - 1, 0, 4096,
                                 32 * MiB, 4096, NULL), ==, SLICE_RESP_STALE);
    g_assert_cmpuint(slice_status(pair.source, VIRTIO_SLICE_REQ_RESUMED, SLICE,
                                  TERM + 1, 0), ==, SLICE_RESP_STALE);
    slice_send_image(pair.source, SLICE, TERM, 32 * MiB, 4096);
    slice_take_image(pair.target, SLICE, TERM, 32 * MiB, 4096);
    slice_finish(pair.source, pair.target, SLICE, TERM);
    pair_free(&pair);
}

/* The guest has no buffer for events: they wait, in order, up to a bound. */
static void test_events_wait_for_buffers(void)
{
    SliceVM *source = slice_vm_new("source", "", "");
    uint64_t counter;
    QDict *reply;

    slice_hello(source);
    for (counter = 1; counter <= 3; counter++) {
        g_autofree char *job = g_strdup_printf("j%" PRIu64, counter);
        g_autofree char *id = g_strdup_printf("%016x:%016" PRIx64, 0x51,
                                              counter);

        g_assert_cmpuint(slice_set(source, counter, PORT + counter, 1), ==,
                         SLICE_RESP_OK);
        reply = qtest_qmp(source->qts,
            "{ 'execute': 'slice-move', 'arguments': {"
            " 'job-id': %s, 'orchestrator': 1, 'target-name': 't',"
            " 'target': { 'type': 'inet', 'host': '127.0.0.1', 'port': '1' },"
            " 'slices': [ { 'id': %s, 'term': 5 } ],"
            " 'deadline-ms': 20000 } }", job, id);
        g_assert_true(qdict_haskey(reply, "return"));
        qobject_unref(reply);
    }
    slice_post_events(source);
    for (counter = 1; counter <= 3; counter++) {
        slice_wait_event(source, VIRTIO_SLICE_EVENT_QUIESCE, counter, 5);
    }
    slice_vm_free(source);
}

/* Hundreds in one command: all are asked before any has answered. */
static void test_list_is_pipelined(void)
{
    const uint32_t n = 300;
    Pair pair = { slice_vm_new("source", "", ""),
                  slice_vm_new("target", "", "") };
    SliceVM *source = pair.source;
    QDict *info = qtest_qmp_assert_success_ref(
        pair.target->qts, "{ 'execute': 'query-slice-store' }");
    QList *items = qlist_new();
    const QListEntry *entry;
    QDict *reply;
    uint32_t i;

    slice_hello(source);
    for (i = 1; i <= n; i++) {
        g_autofree char *id = g_strdup_printf("51:%x", i);

        g_assert_cmpuint(slice_set(source, i, PORT, 0), ==, SLICE_RESP_OK);
        qlist_append(items, qdict_from_jsonf_nofail(
            "{ 'id': %s, 'term': 5 }", id));
    }
    reply = qtest_qmp(
        source->qts, "{ 'execute': 'slice-move', 'arguments': {"
        " 'job-id': 'all', 'orchestrator': 1, 'target-name': 'target',"
        " 'target': %p, 'slices': %p, 'deadline-ms': 30000 } }",
        qobject_ref(qdict_get_qdict(info, "listen")), items);
    QLIST_FOREACH_ENTRY(qdict_get_qlist(reply, "return"), entry) {
        QDict *one = qobject_to(QDict, qlist_entry_obj(entry));

        g_assert_cmpstr(qdict_get_str(one, "answer"), ==, "ok");
    }
    qobject_unref(reply);
    qobject_unref(info);
    slice_post_events(source);
    for (i = 1; i <= n; i++) {
        slice_wait_event(source, VIRTIO_SLICE_EVENT_QUIESCE, i, 5);
    }
    for (i = 1; i <= n; i++) {
        g_assert_cmpuint(slice_status(source, VIRTIO_SLICE_REQ_QUIESCED, i, 5,
                                      0), ==, SLICE_RESP_OK);
    }
    for (i = 1; i <= n; i++) {
        slice_wait_step(source, "quiesced");
    }
    pair_free(&pair);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_data_func("/slice-move/payload-is-named-not-sent/small",
                        GUINT_TO_POINTER(4097), test_payload_is_named_not_sent);
    /* More than one step of the device's. */
    qtest_add_data_func("/slice-move/payload-is-named-not-sent/large",
                        GUINT_TO_POINTER(100003),
                        test_payload_is_named_not_sent);
    qtest_add_func("/slice-move/room-in-pieces", test_room_in_pieces);
    qtest_add_func("/slice-move/room-outside-ram-is-a-fault",
                   test_room_outside_ram_is_a_fault);
    qtest_add_func("/slice-move/stop-amid-an-image", test_stop_amid_an_image);
    qtest_add_func("/slice-move/stale-term-changes-nothing",
                   test_stale_term_changes_nothing);
    qtest_add_func("/slice-move/events-wait-for-buffers",
                   test_events_wait_for_buffers);
    qtest_add_func("/slice-move/list-is-pipelined", test_list_is_pipelined);
    return g_test_run();
}
