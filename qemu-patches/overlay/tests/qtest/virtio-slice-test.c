/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-slice-test.c - what the device makes of a hostile or clumsy guest
 *
 * Whatever a request says, it is answered, or the device asks for a reset; then
 * it works again.  slice-move-test.c has the sensible guest.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "qobject/qlist.h"
#include "standard-headers/linux/virtio_config.h"
#include "slice-driver.h"

#define RAM_BYTES      (256 * MiB)
#define IOAPIC_ADDRESS 0xfec00000u
#define IMAGE_MAX      (64 * MiB)

#define SLICE 7
#define TERM  9

static SliceVM *vm_with_driver(void)
{
    SliceVM *vm = slice_vm_new("vm", "", "");

    slice_hello(vm);
    return vm;
}

static void assert_works(SliceVM *vm)
{
    static uint64_t counter = 1000;     /* an id is not used again */

    slice_drive(vm);
    slice_hello(vm);
    g_assert_cmpuint(slice_set(vm, counter++, 1000, 2), ==, SLICE_RESP_OK);
    g_assert_cmpuint(slice_store_count(vm, "slices"), ==, 1);
}

static bool needs_reset(SliceVM *vm)
{
    return vm->slice->vdev.bus->get_status(&vm->slice->vdev) &
           VIRTIO_CONFIG_S_NEEDS_RESET;
}

static uint64_t config_u64(SliceVM *vm, size_t offset)
{
    return qvirtio_config_readq(&vm->slice->vdev, offset);
}

/* ---- configuration ---- */

static void test_config_names_incarnation(void)
{
    SliceVM *vm = slice_vm_new("vm", "", "");
    QDict *info = qtest_qmp_assert_success_ref(
        vm->qts, "{ 'execute': 'query-slice-store' }");
    uint64_t incarnation = config_u64(
        vm, offsetof(struct virtio_slice_config, incarnation));
    g_autofree char *text = g_strdup_printf("%016" PRIx64, incarnation);

    g_assert_cmpuint(incarnation, !=, 0);
    g_assert_cmpstr(qdict_get_str(info, "incarnation"), ==, text);
    g_assert_cmpuint(config_u64(vm, offsetof(struct virtio_slice_config,
                                             image_bytes_max)), ==, IMAGE_MAX);
    g_assert_cmpuint(qvirtio_config_readl(&vm->slice->vdev, offsetof(
                     struct virtio_slice_config, version)), ==,
                     VIRTIO_SLICE_VERSION);
    qobject_unref(info);
    slice_vm_free(vm);
}

static void test_reset_draws_incarnation(void)
{
    SliceVM *vm = vm_with_driver();
    uint64_t before = config_u64(vm, 0);

    assert_works(vm);
    g_assert_cmpuint(config_u64(vm, 0), !=, before);
    slice_vm_free(vm);
}

/* ---- requests ---- */

static void test_nothing_before_hello(void)
{
    SliceVM *vm = slice_vm_new("vm", "", "");

    g_assert_cmpuint(slice_set(vm, SLICE, 1000, 1), ==, SLICE_RESP_STALE);
    g_assert_cmpuint(slice_status(vm, VIRTIO_SLICE_REQ_PLUGGED, SLICE, TERM, 0),
                     ==, SLICE_RESP_STALE);
    g_assert_cmpuint(slice_store_count(vm, "slices"), ==, 0);
    slice_vm_free(vm);
}

static void test_short_request_is_invalid(void)
{
    SliceVM *vm = vm_with_driver();
    struct virtio_slice_request req = slice_header(VIRTIO_SLICE_REQ_GONE, 0,
                                                   SLICE, 0);
    size_t bytes;

    for (bytes = 1; bytes < sizeof(req); bytes++) {
        g_assert_cmpuint(slice_request(vm, &req, bytes, NULL), ==,
                         SLICE_RESP_INVALID);
    }
    g_assert_cmpuint(slice_request(vm, &req, sizeof(req), NULL), ==,
                     SLICE_RESP_UNKNOWN);
    slice_vm_free(vm);
}

static void test_no_request_at_all_is_invalid(void)
{
    SliceVM *vm = vm_with_driver();
    uint32_t head;

    vm->request_vq->free_head = 0;
    head = qvirtqueue_add(vm->qts, vm->request_vq, vm->response,
                          sizeof(struct virtio_slice_response), true, false);
    qvirtqueue_kick(vm->qts, &vm->slice->vdev, vm->request_vq, head);
    g_assert_cmpuint(slice_answer(vm, NULL), ==, SLICE_RESP_INVALID);
    slice_vm_free(vm);
}

static void test_unknown_type_is_unknown(void)
{
    SliceVM *vm = vm_with_driver();
    static const uint16_t types[] = {
        0, VIRTIO_SLICE_REQ_RESERVED + 1, 0x100, 0xffff
    };
    int i;

    for (i = 0; i < ARRAY_SIZE(types); i++) {
        struct virtio_slice_request req = slice_header(types[i], 0, SLICE, 0);

        g_assert_cmpuint(slice_request(vm, &req, sizeof(req), NULL), ==,
                         SLICE_RESP_UNKNOWN);
    }
    slice_vm_free(vm);
}

static void test_unknown_flag_is_invalid(void)
{
    SliceVM *vm = vm_with_driver();
    struct virtio_slice_request req = slice_header(VIRTIO_SLICE_REQ_GONE, 0,
                                                   SLICE, 0);

    req.flags = cpu_to_le16(VIRTIO_SLICE_LAST);
    g_assert_cmpuint(slice_request(vm, &req, sizeof(req), NULL), ==,
                     SLICE_RESP_INVALID);
    g_assert_cmpuint(slice_chunk(vm, VIRTIO_SLICE_REQ_IMAGE, 0x8000, SLICE,
                                 TERM, 0, 4096, vm->events, 16, NULL), ==,
                     SLICE_RESP_INVALID);
    slice_vm_free(vm);
}

/* Each type with a body that is a byte too long or too short. */
static void test_wrong_length_is_invalid(void)
{
    static const struct {
        uint16_t type;
        uint32_t count;
        size_t body_bytes;
    } cases[] = {
        { VIRTIO_SLICE_REQ_HELLO, 1, 32 },
        { VIRTIO_SLICE_REQ_SET, 2, 72 + 80 },
        { VIRTIO_SLICE_REQ_GONE, 0, 0 },
        { VIRTIO_SLICE_REQ_QUIESCED, 0, 8 },
        { VIRTIO_SLICE_REQ_IMAGE, 1, 16 + 16 },
        { VIRTIO_SLICE_REQ_PACKETS, 2, 16 + 32 },
        { VIRTIO_SLICE_REQ_UNPLUG_FAILED, 0, 8 },
        { VIRTIO_SLICE_REQ_RESUMED, 0, 8 },
        { VIRTIO_SLICE_REQ_ROOM, 3, 16 + 48 },
        { VIRTIO_SLICE_REQ_PLUGGED, 0, 8 },
    };
    SliceVM *vm = vm_with_driver();
    int i;

    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        struct {
            struct virtio_slice_request header;
            uint8_t body[256];
        } req = {
            .header = slice_header(cases[i].type, cases[i].count,
                                   cases[i].type == VIRTIO_SLICE_REQ_HELLO ?
                                   0 : SLICE, 0),
        };
        size_t bytes = sizeof(req.header) + cases[i].body_bytes;

        g_assert_cmpuint(slice_request(vm, &req, bytes + 1, NULL), ==,
                         SLICE_RESP_INVALID);
        if (cases[i].body_bytes) {
            g_assert_cmpuint(slice_request(vm, &req, bytes - 1, NULL), ==,
                             SLICE_RESP_INVALID);
        }
    }
    slice_vm_free(vm);
}

static void test_absurd_count_is_invalid(void)
{
    static const struct {
        uint16_t type;
        uint32_t count;
    } cases[] = {
        { VIRTIO_SLICE_REQ_HELLO, VIRTIO_SLICE_LAYERS_MAX + 1 },
        { VIRTIO_SLICE_REQ_HELLO, UINT32_MAX },
        { VIRTIO_SLICE_REQ_SET, VIRTIO_SLICE_FLOWS_MAX + 1 },
        { VIRTIO_SLICE_REQ_SET, UINT32_MAX },
        { VIRTIO_SLICE_REQ_SET, UINT32_MAX / 40 + 1 },
        { VIRTIO_SLICE_REQ_GONE, 1 },
        { VIRTIO_SLICE_REQ_QUIESCED, 1 },
        { VIRTIO_SLICE_REQ_IMAGE, 0 },
        { VIRTIO_SLICE_REQ_IMAGE, VIRTIO_SLICE_CHUNKS_MAX + 1 },
        { VIRTIO_SLICE_REQ_IMAGE, UINT32_MAX },
        { VIRTIO_SLICE_REQ_ROOM, 0x10000000 },
        { VIRTIO_SLICE_REQ_PACKETS, 0x10000001 },
        { VIRTIO_SLICE_REQ_PACKETS, 0 },
    };
    SliceVM *vm = vm_with_driver();
    g_autofree uint8_t *data = g_malloc0(60000);
    int i;

    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        struct virtio_slice_request header = slice_header(
            cases[i].type, cases[i].count,
            cases[i].type == VIRTIO_SLICE_REQ_HELLO ? 0 : SLICE, 0);

        memcpy(data, &header, sizeof(header));
        g_assert_cmpuint(slice_request(vm, data, 60000, NULL), ==,
                         SLICE_RESP_INVALID);
        g_assert_cmpuint(slice_request(vm, data, sizeof(header), NULL), ==,
                         SLICE_RESP_INVALID);
    }
    slice_vm_free(vm);
}

static void test_bad_hello_is_invalid(void)
{
    struct {
        struct virtio_slice_request header;
        struct virtio_slice_layer layer;
    } hello = { .header = slice_header(VIRTIO_SLICE_REQ_HELLO, 1, 0, 0) };
    SliceVM *vm = slice_vm_new("vm", "", "");

    g_assert_cmpuint(slice_request(vm, &hello, sizeof(hello), NULL), ==,
                     SLICE_RESP_INVALID);       /* no name */
    memset(hello.layer.name, 'x', sizeof(hello.layer.name));
    g_assert_cmpuint(slice_request(vm, &hello, sizeof(hello), NULL), ==,
                     SLICE_RESP_INVALID);       /* without end */
    hello.layer.name[15] = 0;
    hello.header.term = 1;
    g_assert_cmpuint(slice_request(vm, &hello, sizeof(hello), NULL), ==,
                     SLICE_RESP_INVALID);
    hello.header.term = 0;
    g_assert_cmpuint(slice_request(vm, &hello, sizeof(hello), NULL), ==,
                     SLICE_RESP_OK);
    slice_vm_free(vm);
}

typedef struct SetRequest {
    struct virtio_slice_request header;
    struct virtio_slice_set set;
    struct virtio_slice_flow flow;
} SetRequest;

static void spoil_family(SetRequest *req)
{
    req->flow.family = 5;
}

static void spoil_protocol(SetRequest *req)
{
    req->flow.protocol = 17;
}

static void spoil_flow_rsvd(SetRequest *req)
{
    req->flow.rsvd[1] = 1;
}

static void spoil_ipv4_tail(SetRequest *req)
{
    req->flow.remote[15] = 1;
}

static void spoil_port(SetRequest *req)
{
    req->flow.remote_port = 0;
}

static void spoil_n_flows(SetRequest *req)
{
    req->set.n_flows = 0;
}

static void spoil_movability(SetRequest *req)
{
    req->set.movability = cpu_to_le32(3);
}

static void spoil_why(SetRequest *req)
{
    req->set.why = cpu_to_le32(1000);
}

static void spoil_id(SetRequest *req)
{
    req->header.slice.incarnation = 0;
}

static void spoil_counts_gap(SetRequest *req)
{
    req->set.counts[1].rank = cpu_to_le16(20);
    req->set.counts[1].n = cpu_to_le16(1);
}

static void spoil_counts_nothing(SetRequest *req)
{
    req->set.counts[0].rank = cpu_to_le16(20);
}

static void spoil_counts_twice(SetRequest *req)
{
    for (int i = 0; i < 2; i++) {
        req->set.counts[i].rank = cpu_to_le16(20);
        req->set.counts[i].n = cpu_to_le16(1);
    }
}

static void test_bad_set_is_invalid(void)
{
    static void (*const spoil[])(SetRequest *) = {
        spoil_family, spoil_protocol, spoil_flow_rsvd, spoil_ipv4_tail,
        spoil_port, spoil_n_flows, spoil_movability, spoil_why, spoil_id,
        spoil_counts_gap, spoil_counts_nothing, spoil_counts_twice,
    };
    SliceVM *vm = vm_with_driver();
    int i;

    for (i = 0; i < ARRAY_SIZE(spoil); i++) {
        SetRequest req = {
            .header = slice_header(VIRTIO_SLICE_REQ_SET, 1, SLICE, 0),
            .set = { .n_capsules = cpu_to_le32(1), .n_flows = cpu_to_le32(1) },
            .flow = { .family = 4, .protocol = IPPROTO_TCP, .local = { 1 },
                      .remote = { 2 }, .local_port = 1, .remote_port = 2 },
        };

        spoil[i](&req);
        g_assert_cmpuint(slice_request(vm, &req, sizeof(req), NULL), ==,
                         SLICE_RESP_INVALID);
    }
    g_assert_cmpuint(slice_store_count(vm, "slices"), ==, 0);
    slice_vm_free(vm);
}

static void test_label_is_made_printable(void)
{
    SetRequest req = {
        .header = slice_header(VIRTIO_SLICE_REQ_SET, 0, SLICE, 0),
        .set = { .n_capsules = cpu_to_le32(1), .top_layer = "tcp" },
    };
    SliceVM *vm = vm_with_driver();
    const QListEntry *first;
    QDict *reply;

    memset(req.set.label, 'x', sizeof(req.set.label));
    memcpy(req.set.label, "\x1b[2J\xff\n", 6);
    g_assert_cmpuint(slice_request(vm, &req, offsetof(SetRequest, flow), NULL),
                     ==, SLICE_RESP_OK);
    reply = qtest_qmp(vm->qts, "{ 'execute': 'query-slices' }");
    first = qlist_first(qdict_get_qlist(reply, "return"));
    g_assert_cmpstr(qdict_get_str(qobject_to(QDict, qlist_entry_obj(first)),
                                  "label"), ==,
                    "?[2J??xxxxxxxxxxxxxxxxxxxxxxxxxx");
    qobject_unref(reply);
    slice_vm_free(vm);
}

/* ---- chunks ---- */

static void test_bad_chunks_are_invalid(void)
{
    static const struct {
        uint16_t flags;
        uint64_t offset;
        uint64_t total_bytes;
        uint64_t addr;
        uint32_t bytes;
    } cases[] = {
        { 0, 0, 4096, 1 * MiB, 0 },                             /* empty */
        { 0, 0, 8 * MiB, 1 * MiB, VIRTIO_SLICE_CHUNK_BYTES_MAX + 1 },
        { 0, 0, 8 * MiB, 1 * MiB, UINT32_MAX },
        { 0, 0, 8 * MiB, UINT64_MAX - 10, 4096 },               /* wraps */
        { 0, 0, 4096, 1 * MiB, 4097 },                          /* too much */
        { 0, 4096, 4096, 1 * MiB, 1 },
        { 0, 4097, 4096, 1 * MiB, 1 },
        { 0, UINT64_MAX, 4096, 1 * MiB, 1 },
        { 0, 0, IMAGE_MAX + 1, 1 * MiB, 4096 },
        { 0, 0, UINT64_MAX, 1 * MiB, 4096 },
        { 0, 0, 4096, 1 * MiB, 4096 },                          /* LAST? */
        { VIRTIO_SLICE_LAST, 0, 4096, 1 * MiB, 4095 },
    };
    static const uint16_t types[] = {
        VIRTIO_SLICE_REQ_IMAGE, VIRTIO_SLICE_REQ_ROOM,
    };
    SliceVM *vm = vm_with_driver();
    int i, j;

    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        for (j = 0; j < ARRAY_SIZE(types); j++) {
            g_assert_cmpuint(slice_chunk(vm, types[j], cases[i].flags, SLICE,
                                         TERM, cases[i].offset,
                                         cases[i].total_bytes, cases[i].addr,
                                         cases[i].bytes, NULL), ==,
                             SLICE_RESP_INVALID);
        }
    }
    slice_vm_free(vm);
}

static uint32_t packets_at(SliceVM *vm, uint64_t addr, uint32_t bytes)
{
    return slice_chunk(vm, VIRTIO_SLICE_REQ_PACKETS, 0, SLICE, TERM, 0, bytes,
                       addr, bytes, NULL);
}

static void test_chunk_outside_ram_is_a_fault(void)
{
    SliceVM *vm = vm_with_driver();
    static const uint64_t addrs[] = {
        IOAPIC_ADDRESS, 0xfee00000, 1ull << 40, RAM_BYTES,
        RAM_BYTES - 8, UINT64_MAX - 4096,
    };
    int i;

    for (i = 0; i < ARRAY_SIZE(addrs); i++) {
        g_assert_cmpuint(packets_at(vm, addrs[i], 64), ==, SLICE_RESP_FAULT);
        g_assert_cmpuint(slice_chunk(vm, VIRTIO_SLICE_REQ_IMAGE,
                                     VIRTIO_SLICE_LAST, SLICE, TERM, 0, 64,
                                     addrs[i], 64, NULL), ==,
                         SLICE_RESP_FAULT);
    }
    assert_works(vm);
    slice_vm_free(vm);
}

/* A device's registers are neither read nor written on the guest's behalf. */
static void test_chunk_reaches_no_device(void)
{
    SliceVM *vm = vm_with_driver();
    QPCIBar bar = vm->net->bar;
    uint64_t isr = bar.addr + vm->net->isr_cfg_offset;

    /* Reading the interrupt status register would clear it. */
    slice_guest_post(vm);
    slice_net_send(vm, 1000, 1);
    slice_guest_expect(vm, 1000, 1);
    g_assert_cmpuint(packets_at(vm, isr, 4), ==, SLICE_RESP_FAULT);
    g_assert_cmpuint(qtest_readb(vm->qts, isr) & 1, ==, 1);
    slice_vm_free(vm);
}

static void test_bad_packets_are_invalid(void)
{
    static const struct {
        uint32_t bytes;
        uint32_t length;
    } cases[] = {
        { 3, 0 }, { 4, 0 }, { 8, 0 }, { 8, 5 }, { 8, UINT32_MAX },
        { 8, UINT32_MAX - 3 }, { 7, 3 }, { 12, 4 }, { 13, 9 },
    };
    SliceVM *vm = vm_with_driver();
    uint64_t addr = guest_alloc(&vm->alloc, 512 * KiB);
    int i;

    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        qtest_memset(vm->qts, addr, 0, 64);
        qtest_writel(vm->qts, addr, cases[i].length);
        g_assert_cmpuint(packets_at(vm, addr, cases[i].bytes), ==,
                         SLICE_RESP_INVALID);
    }
    qtest_writel(vm->qts, addr, VIRTIO_SLICE_PACKETS_BYTES_MAX);
    g_assert_cmpuint(packets_at(vm, addr, VIRTIO_SLICE_PACKETS_BYTES_MAX + 4),
                     ==, SLICE_RESP_INVALID);
    slice_vm_free(vm);
}

static void test_answer_nobody_asked_for_is_refused(void)
{
    static const uint16_t types[] = {
        VIRTIO_SLICE_REQ_QUIESCED, VIRTIO_SLICE_REQ_UNPLUG_FAILED,
        VIRTIO_SLICE_REQ_RESUMED, VIRTIO_SLICE_REQ_PLUGGED,
        VIRTIO_SLICE_REQ_RESERVED,
    };
    SliceVM *vm = vm_with_driver();
    int i;

    for (i = 0; i < ARRAY_SIZE(types); i++) {
        g_assert_cmpuint(slice_status(vm, types[i], SLICE, TERM, 0), !=,
                         SLICE_RESP_OK);
    }
    g_assert_cmpuint(slice_chunk(vm, VIRTIO_SLICE_REQ_ROOM, VIRTIO_SLICE_LAST,
                                 SLICE, TERM, 0, 16, vm->events, 16, NULL), !=,
                     SLICE_RESP_OK);
    g_assert_cmpuint(slice_chunk(vm, VIRTIO_SLICE_REQ_IMAGE, VIRTIO_SLICE_LAST,
                                 SLICE, TERM, 0, 16, vm->events, 16, NULL), !=,
                     SLICE_RESP_OK);
    assert_works(vm);
    slice_vm_free(vm);
}

/* ---- queues ---- */

static void test_no_room_for_response_needs_reset(void)
{
    struct virtio_slice_request req = slice_header(VIRTIO_SLICE_REQ_GONE, 0,
                                                   SLICE, 0);
    SliceVM *vm = vm_with_driver();
    size_t room;

    for (room = 0; room < sizeof(struct virtio_slice_response); room += 15) {
        uint32_t head;

        qtest_memwrite(vm->qts, vm->request, &req, sizeof(req));
        vm->request_vq->free_head = 0;
        head = qvirtqueue_add(vm->qts, vm->request_vq, vm->request, sizeof(req),
                              false, room != 0);
        if (room) {
            qvirtqueue_add(vm->qts, vm->request_vq, vm->response, room, true,
                           false);
        }
        qvirtqueue_kick(vm->qts, &vm->slice->vdev, vm->request_vq, head);
        /* Kicks are seen by the main loop, before the next command's answer. */
        slice_store_count(vm, "slices");
        g_assert_true(needs_reset(vm));
        assert_works(vm);
    }
    slice_vm_free(vm);
}

static void test_small_event_buffer_needs_reset(void)
{
    SliceVM *vm = vm_with_driver();
    g_autofree char *answer = NULL;
    uint32_t head;

    head = qvirtqueue_add(vm->qts, vm->event_vq, vm->events,
                          sizeof(struct virtio_slice_event) - 1, true, false);
    qvirtqueue_kick(vm->qts, &vm->slice->vdev, vm->event_vq, head);
    g_assert_cmpuint(slice_set(vm, SLICE, 1000, 1), ==, SLICE_RESP_OK);
    qobject_unref(qtest_qmp(vm->qts, "{ 'execute': 'slice-move', 'arguments': {"
        " 'job-id': 'j', 'orchestrator': 1, 'target-name': 't',"
        " 'target': { 'type': 'inet', 'host': '127.0.0.1', 'port': '1' },"
        " 'slices': [ { 'id': '0000000000000051:0000000000000007',"
        "               'term': 1 } ], 'deadline-ms': 20000 } }"));
    g_assert_true(needs_reset(vm));
    assert_works(vm);
    slice_vm_free(vm);
}

/* As many requests as the ring takes, made available at once. */
static void test_full_queue_is_answered_in_order(void)
{
    SliceVM *vm = vm_with_driver();
    QVirtQueue *vq = vm->request_vq;
    uint32_t n = vq->size / 2, i, head, used;
    const uint32_t bytes = sizeof(struct virtio_slice_request) +
                           sizeof(struct virtio_slice_set);
    uint64_t addr = guest_alloc(&vm->alloc, n * bytes);
    uint64_t responses = guest_alloc(&vm->alloc, n * 16);
    uint16_t idx = qtest_readw(vm->qts, vq->avail + 2);
    gint64 since = g_get_monotonic_time();

    vq->free_head = 0;
    for (i = 0; i < n; i++) {
        struct {
            struct virtio_slice_request header;
            struct virtio_slice_set set;
        } req = {
            .header = slice_header(VIRTIO_SLICE_REQ_SET, 0, i + 1, 0),
            .set = { .n_capsules = cpu_to_le32(1) },
        };

        qtest_memwrite(vm->qts, addr + i * bytes, &req, bytes);
        head = qvirtqueue_add(vm->qts, vq, addr + i * bytes, bytes, false,
                              true);
        qvirtqueue_add(vm->qts, vq, responses + i * 16, 16, true, false);
        qtest_writew(vm->qts, vq->avail + 4 + 2 * ((idx + i) % vq->size),
                     head);
    }
    qtest_writew(vm->qts, vq->avail + 2, idx + n);
    vm->slice->vdev.bus->virtqueue_kick(&vm->slice->vdev, vq);
    for (i = 0; i < n; i++) {
        while (!qvirtqueue_get_buf(vm->qts, vq, &used, NULL)) {
            g_assert_cmpint(g_get_monotonic_time() - since, <,
                            SLICE_TIMEOUT_US);
        }
        g_assert_cmpuint(used, ==, 2 * i);
        g_assert_cmpuint(qtest_readl(vm->qts, responses + i * 16), ==,
                         SLICE_RESP_OK);
    }
    g_assert_cmpuint(slice_store_count(vm, "slices"), ==, n);
    slice_vm_free(vm);
}

/* The notify register can be written to when no vCPU runs, as a late kick is. */
static void test_kick_of_a_stopped_vm_waits(void)
{
    struct {
        struct virtio_slice_request header;
        struct virtio_slice_set set;
    } req = {
        .header = slice_header(VIRTIO_SLICE_REQ_SET, 0, SLICE, 0),
        .set = { .n_capsules = cpu_to_le32(1) },
    };
    SliceVM *vm = vm_with_driver();

    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'stop' }");
    slice_request_send(vm, &req, sizeof(req));
    g_assert_cmpuint(slice_store_count(vm, "slices"), ==, 0);
    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'cont' }");
    g_assert_cmpuint(slice_answer(vm, NULL), ==, SLICE_RESP_OK);
    g_assert_cmpuint(slice_store_count(vm, "slices"), ==, 1);
    slice_vm_free(vm);
}

static void test_reset_amid_a_request(void)
{
    struct {
        struct virtio_slice_request header;
        struct virtio_slice_chunks chunks;
        struct virtio_slice_chunk chunk[14];
    } req = {
        .header = slice_header(VIRTIO_SLICE_REQ_ROOM, 14, SLICE, TERM),
        .chunks.total_bytes = cpu_to_le64(60 * MiB),
    };
    SliceVM *vm = vm_with_driver();
    int i;

    for (i = 0; i < ARRAY_SIZE(req.chunk); i++) {
        req.chunk[i].addr = cpu_to_le64(16 * MiB + i * 4 * MiB);
        req.chunk[i].bytes = cpu_to_le32(4 * MiB);
    }
    req.header.type = cpu_to_le16(VIRTIO_SLICE_REQ_IMAGE);
    slice_request_send(vm, &req, sizeof(req));
    assert_works(vm);
    slice_request_send(vm, &req, sizeof(req));
    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'system_reset' }");
    qtest_qmp_eventwait(vm->qts, "RESET");
    g_assert_cmpuint(slice_store_count(vm, "slices"), ==, 0);
    slice_vm_free(vm);
}

/* ---- the object and its neighbours ---- */

static void assert_refused(SliceVM *vm, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
static void assert_refused(SliceVM *vm, const char *fmt, ...)
{
    QDict *reply;
    va_list ap;

    va_start(ap, fmt);
    reply = qtest_vqmp(vm->qts, fmt, ap);
    va_end(ap);
    g_assert_true(qdict_haskey(reply, "error"));
    qobject_unref(reply);
}

static void test_one_device_and_not_hot(void)
{
    SliceVM *vm = vm_with_driver();

    assert_refused(vm, "{ 'execute': 'device_add', 'arguments': {"
                   " 'driver': 'virtio-slice-pci', 'store': 'sl0' } }");
    assert_refused(vm, "{ 'execute': 'object-del', 'arguments': {"
                   " 'id': 'sl0' } }");
    assert_refused(vm, "{ 'execute': 'object-del', 'arguments': {"
                   " 'id': 'gate0' } }");
    assert_works(vm);
    slice_vm_free(vm);
}

static void test_virtio_queries_know_the_device(void)
{
    SliceVM *vm = vm_with_driver();
    QDict *reply = qtest_qmp(vm->qts, "{ 'execute': 'x-query-virtio' }");
    const QListEntry *entry;
    bool found = false;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(reply, "return"), entry) {
        QDict *dev = qobject_to(QDict, qlist_entry_obj(entry));

        if (!strcmp(qdict_get_str(dev, "name"), "virtio-slice")) {
            found = true;
            qtest_qmp_assert_success(vm->qts,
                "{ 'execute': 'x-query-virtio-status', 'arguments': {"
                " 'path': %s } }", qdict_get_str(dev, "path"));
        }
    }
    g_assert_true(found);
    qobject_unref(reply);
    slice_vm_free(vm);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("/virtio-slice/config/names-the-incarnation",
                   test_config_names_incarnation);
    qtest_add_func("/virtio-slice/config/reset-draws-an-incarnation",
                   test_reset_draws_incarnation);
    qtest_add_func("/virtio-slice/request/nothing-before-hello",
                   test_nothing_before_hello);
    qtest_add_func("/virtio-slice/request/short-is-invalid",
                   test_short_request_is_invalid);
    qtest_add_func("/virtio-slice/request/none-at-all-is-invalid",
                   test_no_request_at_all_is_invalid);
    qtest_add_func("/virtio-slice/request/unknown-type-is-unknown",
                   test_unknown_type_is_unknown);
    qtest_add_func("/virtio-slice/request/unknown-flag-is-invalid",
                   test_unknown_flag_is_invalid);
    qtest_add_func("/virtio-slice/request/wrong-length-is-invalid",
                   test_wrong_length_is_invalid);
    qtest_add_func("/virtio-slice/request/absurd-count-is-invalid",
                   test_absurd_count_is_invalid);
    qtest_add_func("/virtio-slice/request/bad-hello-is-invalid",
                   test_bad_hello_is_invalid);
    qtest_add_func("/virtio-slice/request/bad-set-is-invalid",
                   test_bad_set_is_invalid);
    qtest_add_func("/virtio-slice/request/label-is-made-printable",
                   test_label_is_made_printable);
    qtest_add_func("/virtio-slice/request/unasked-answer-is-refused",
                   test_answer_nobody_asked_for_is_refused);
    qtest_add_func("/virtio-slice/chunk/bad-is-invalid",
                   test_bad_chunks_are_invalid);
    qtest_add_func("/virtio-slice/chunk/outside-ram-is-a-fault",
                   test_chunk_outside_ram_is_a_fault);
    qtest_add_func("/virtio-slice/chunk/reaches-no-device",
                   test_chunk_reaches_no_device);
    qtest_add_func("/virtio-slice/chunk/bad-packets-are-invalid",
                   test_bad_packets_are_invalid);
    qtest_add_func("/virtio-slice/queue/no-room-for-response-needs-reset",
                   test_no_room_for_response_needs_reset);
    qtest_add_func("/virtio-slice/queue/small-event-buffer-needs-reset",
                   test_small_event_buffer_needs_reset);
    qtest_add_func("/virtio-slice/queue/full-is-answered-in-order",
                   test_full_queue_is_answered_in_order);
    qtest_add_func("/virtio-slice/queue/kick-of-a-stopped-vm-waits",
                   test_kick_of_a_stopped_vm_waits);
    qtest_add_func("/virtio-slice/queue/reset-amid-a-request",
                   test_reset_amid_a_request);
    qtest_add_func("/virtio-slice/object/one-device-and-not-hot",
                   test_one_device_and_not_hot);
    qtest_add_func("/virtio-slice/object/virtio-queries-know-it",
                   test_virtio_queries_know_the_device);
    return g_test_run();
}
