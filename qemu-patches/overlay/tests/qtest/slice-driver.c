/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * slice-driver.c - a machine with slices whose guest is the test
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/iov.h"
#include "qemu/sockets.h"
#include "libqos/malloc-pc.h"
#include "libqos/pci-pc.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_net.h"
#include "standard-headers/linux/virtio_ring.h"
#include "slice-driver.h"

#define NET_SLOT   4
#define SLICE_SLOT 5

#define REQUEST_ROOM   65536
#define INCARNATION    0x51
#define ORCHESTRATOR   1
#define DEADLINE_MS    20000

/* ---- the machine ---- */

static QVirtioPCIDevice *find_device(SliceVM *vm, int slot)
{
    QPCIAddress addr = { .devfn = QPCI_DEVFN(slot, 0) };
    QVirtioPCIDevice *dev = virtio_pci_new(vm->pcibus, &addr);

    g_assert_nonnull(dev);
    qvirtio_pci_device_enable(dev);
    return dev;
}

static void negotiate(QVirtioDevice *vdev, uint64_t wanted)
{
    qvirtio_reset(vdev);
    qvirtio_set_acknowledge(vdev);
    qvirtio_set_driver(vdev);
    qvirtio_set_features(vdev, qvirtio_get_features(vdev) & wanted);
}

void slice_drive(SliceVM *vm)
{
    QVirtioDevice *vdev = &vm->slice->vdev;

    negotiate(vdev, 1ull << VIRTIO_F_VERSION_1);
    vm->request_vq = qvirtqueue_setup(vdev, &vm->alloc,
                                      VIRTIO_SLICE_QUEUE_REQUEST);
    vm->event_vq = qvirtqueue_setup(vdev, &vm->alloc,
                                    VIRTIO_SLICE_QUEUE_EVENT);
    qvirtio_set_driver_ok(vdev);
}

static void drive_net(SliceVM *vm, bool legacy)
{
    const uint64_t modern = 1ull << VIRTIO_F_VERSION_1 |
                            1ull << VIRTIO_NET_F_MRG_RXBUF;
    QVirtioDevice *vdev = &vm->net->vdev;

    negotiate(vdev, legacy ? 1ull << VIRTIO_F_ANY_LAYOUT : modern);
    vm->rx_vq = qvirtqueue_setup(vdev, &vm->alloc, 0);
    vm->tx_vq = qvirtqueue_setup(vdev, &vm->alloc, 1);
    qvirtio_set_driver_ok(vdev);
    vm->net_hdr_bytes = legacy ? sizeof(struct virtio_net_hdr)
                               : sizeof(struct virtio_net_hdr_mrg_rxbuf);
}

SliceVM *slice_vm_new_net(const char *name, const char *options,
                          bool legacy_net)
{
    SliceVM *vm = g_new0(SliceVM, 1);

    vm->net_fd = -1;
    vm->qts = qtest_initf(
        "-machine pc -nodefaults -m 256 "
        "-object slice-store,id=sl0,name=%s,listen=127.0.0.1:0 %s "
        "-device virtio-net-pci,netdev=hostnet0,addr=%d%s "
        "-device virtio-slice-pci,store=sl0,addr=%d",
        name, options, NET_SLOT, legacy_net ? ",disable-modern=on"
                                               : ",disable-legacy=on",
        SLICE_SLOT);
    pc_alloc_init(&vm->alloc, vm->qts, ALLOC_NO_FLAGS);
    vm->pcibus = qpci_new_pc(vm->qts, &vm->alloc);
    vm->net = find_device(vm, NET_SLOT);
    vm->slice = find_device(vm, SLICE_SLOT);
    vm->request = guest_alloc(&vm->alloc, REQUEST_ROOM);
    vm->response = guest_alloc(&vm->alloc,
                               sizeof(struct virtio_slice_response));
    vm->events = guest_alloc(&vm->alloc, SLICE_EVENT_BUFFERS *
                                         sizeof(struct virtio_slice_event));
    vm->rx_buffers = guest_alloc(&vm->alloc, SLICE_NET_BUFFERS *
                                             SLICE_NET_BUFFER_BYTES);
    vm->tx_buffer = guest_alloc(&vm->alloc, SLICE_NET_BUFFER_BYTES);
    drive_net(vm, legacy_net);
    slice_drive(vm);
    return vm;
}

SliceVM *slice_vm_new(const char *name, const char *gate, const char *more)
{
    g_autofree char *options = NULL;
    int fd[2];
    SliceVM *vm;

    g_assert_cmpint(socketpair(PF_UNIX, SOCK_STREAM, 0, fd), ==, 0);
    options = g_strdup_printf("-netdev socket,id=hostnet0,fd=%d "
                              "-object filter-slice,id=gate0,netdev=hostnet0,"
                              "store=sl0%s %s", fd[1], gate, more);
    vm = slice_vm_new_net(name, options, false);
    vm->net_fd = fd[0];
    close(fd[1]);
    return vm;
}

void slice_vm_free(SliceVM *vm)
{
    qpci_free_pc(vm->pcibus);
    alloc_destroy(&vm->alloc);
    qtest_quit(vm->qts);
    if (vm->net_fd >= 0) {
        close(vm->net_fd);
    }
    g_free(vm->slice);
    g_free(vm->net);
    g_free(vm);
}

static bool timed_out(gint64 since)
{
    return g_get_monotonic_time() - since > SLICE_TIMEOUT_US;
}

/* ---- virtio-slice ---- */

void slice_post_events(SliceVM *vm)
{
    uint32_t i;

    for (i = 0; i < SLICE_EVENT_BUFFERS; i++) {
        uint32_t head = qvirtqueue_add(
            vm->qts, vm->event_vq,
            vm->events + i * sizeof(struct virtio_slice_event),
            sizeof(struct virtio_slice_event), true, false);

        qvirtqueue_kick(vm->qts, &vm->slice->vdev, vm->event_vq, head);
    }
}

void slice_request_send(SliceVM *vm, const void *request, size_t bytes)
{
    uint32_t head;

    g_assert_cmpuint(bytes, <=, REQUEST_ROOM);
    qtest_memwrite(vm->qts, vm->request, request, bytes);
    qtest_memset(vm->qts, vm->response, 0xff,
                 sizeof(struct virtio_slice_response));
    vm->request_vq->free_head = 0;
    vm->request_vq->num_free = vm->request_vq->size;
    head = qvirtqueue_add(vm->qts, vm->request_vq, vm->request, bytes, false,
                          true);
    qvirtqueue_add(vm->qts, vm->request_vq, vm->response,
                   sizeof(struct virtio_slice_response), true, false);
    qvirtqueue_kick(vm->qts, &vm->slice->vdev, vm->request_vq, head);
}

uint32_t slice_answer(SliceVM *vm, uint64_t *ret_value)
{
    struct virtio_slice_response resp;
    gint64 since = g_get_monotonic_time();

    while (!qvirtqueue_get_buf(vm->qts, vm->request_vq, NULL, NULL)) {
        g_assert_false(timed_out(since));
    }
    qtest_memread(vm->qts, vm->response, &resp, sizeof(resp));
    g_assert_cmpuint(resp.rsvd, ==, 0);
    if (ret_value) {
        *ret_value = le64_to_cpu(resp.value);
    }
    return le32_to_cpu(resp.status);
}

uint32_t slice_request(SliceVM *vm, const void *request, size_t bytes,
                       uint64_t *ret_value)
{
    slice_request_send(vm, request, bytes);
    return slice_answer(vm, ret_value);
}

struct virtio_slice_request slice_header(uint16_t type, uint32_t count,
                                         uint64_t counter, uint64_t term)
{
    return (struct virtio_slice_request) {
        .type = cpu_to_le16(type),
        .count = cpu_to_le32(count),
        .slice.incarnation = cpu_to_le64(counter ? INCARNATION : 0),
        .slice.counter = cpu_to_le64(counter),
        .term = cpu_to_le64(term),
    };
}

void slice_hello(SliceVM *vm)
{
    struct {
        struct virtio_slice_request header;
        struct virtio_slice_layer layer;
    } hello = {
        .header = slice_header(VIRTIO_SLICE_REQ_HELLO, 1, 0, 0),
        .layer = { .name = "tcp", .version = cpu_to_le32(1),
                   .rank = cpu_to_le32(20) },
    };

    g_assert_cmpuint(slice_request(vm, &hello, sizeof(hello), NULL), ==,
                     SLICE_RESP_OK);
}

uint32_t slice_set(SliceVM *vm, uint64_t counter, uint16_t port, uint32_t n)
{
    struct {
        struct virtio_slice_request header;
        struct virtio_slice_set set;
        struct virtio_slice_flow flows[VIRTIO_SLICE_FLOWS_MAX];
    } set = {
        .header = slice_header(VIRTIO_SLICE_REQ_SET, n, counter, 0),
        .set = { .memory_bytes = cpu_to_le64(4096),
                 .n_capsules = cpu_to_le32(1), .n_flows = cpu_to_le32(n),
                 .counts = { { .rank = cpu_to_le16(20),
                               .n = cpu_to_le16(1) } },
                 .label = "test", .top_layer = "tcp" },
    };
    uint32_t i;

    for (i = 0; i < n; i++) {
        set.flows[i] = (struct virtio_slice_flow) {
            .family = 4, .protocol = IPPROTO_TCP,
            .local = { 10, 0, 0, 1 }, .remote = { 10, 0, 0, 2 },
            .local_port = cpu_to_be16(80),
            .remote_port = cpu_to_be16(port + i),
        };
    }
    return slice_request(vm, &set, offsetof(typeof(set), flows[n]), NULL);
}

uint32_t slice_status(SliceVM *vm, uint16_t type, uint64_t counter,
                      uint64_t term, uint32_t status)
{
    struct {
        struct virtio_slice_request header;
        struct virtio_slice_status status;
    } req = {
        .header = slice_header(type, 0, counter, term),
        .status.status = cpu_to_le32(status),
    };

    return slice_request(vm, &req, sizeof(req), NULL);
}

uint32_t slice_chunk(SliceVM *vm, uint16_t type, uint16_t flags,
                     uint64_t counter, uint64_t term, uint64_t offset,
                     uint64_t total_bytes, uint64_t addr, uint32_t bytes,
                     uint64_t *ret_value)
{
    struct {
        struct virtio_slice_request header;
        struct virtio_slice_chunks chunks;
        struct virtio_slice_chunk chunk;
    } req = {
        .header = slice_header(type, 1, counter, term),
        .chunks = { .offset = cpu_to_le64(offset),
                    .total_bytes = cpu_to_le64(total_bytes) },
        .chunk = { .addr = cpu_to_le64(addr), .bytes = cpu_to_le32(bytes) },
    };

    req.header.flags = cpu_to_le16(flags);
    return slice_request(vm, &req, sizeof(req), ret_value);
}

struct virtio_slice_event slice_take_event(SliceVM *vm, uint16_t type)
{
    struct virtio_slice_event event;
    gint64 since = g_get_monotonic_time();
    uint32_t head;

    do {
        while (!qvirtqueue_get_buf(vm->qts, vm->event_vq, &head, NULL)) {
            g_assert_false(timed_out(since));
        }
        qtest_memread(vm->qts, vm->events + head * sizeof(event), &event,
                      sizeof(event));
        qvirtqueue_kick(vm->qts, &vm->slice->vdev, vm->event_vq, head);
    } while (le16_to_cpu(event.type) == VIRTIO_SLICE_EVENT_UNRESERVE &&
             type != VIRTIO_SLICE_EVENT_UNRESERVE);
    g_assert_cmpuint(le16_to_cpu(event.type), ==, type);
    g_assert_cmpuint(event.flags, ==, 0);
    g_assert_cmpuint(event.rsvd, ==, 0);
    return event;
}

uint64_t slice_wait_event(SliceVM *vm, uint16_t type, uint64_t counter,
                          uint64_t term)
{
    struct virtio_slice_event event = slice_take_event(vm, type);

    g_assert_cmpuint(le64_to_cpu(event.slice.incarnation), ==, INCARNATION);
    g_assert_cmpuint(le64_to_cpu(event.slice.counter), ==, counter);
    g_assert_cmpuint(le64_to_cpu(event.term), ==, term);
    return le64_to_cpu(event.arg);
}

uint32_t slice_find(SliceVM *vm, uint64_t counter, uint64_t tag,
                    uint32_t timeout_ms, uint8_t key)
{
    struct {
        struct virtio_slice_request header;
        struct virtio_slice_find find;
    } req = {
        .header = slice_header(VIRTIO_SLICE_REQ_FIND, 0, counter, 0),
        .find = { .tag = cpu_to_le64(tag),
                  .timeout_ms = cpu_to_le32(timeout_ms), .digest = { key } },
    };

    return slice_request(vm, &req, sizeof(req), NULL);
}

uint32_t slice_found(SliceVM *vm, uint64_t tag, uint64_t counter,
                     uint32_t status)
{
    struct {
        struct virtio_slice_request header;
        struct virtio_slice_found found;
    } req = {
        .header = slice_header(VIRTIO_SLICE_REQ_FOUND, 0, counter, 0),
        .found = { .tag = cpu_to_le64(tag),
                   .status = cpu_to_le32(status) },
    };

    return slice_request(vm, &req, sizeof(req), NULL);
}

/* ---- the orchestrator ---- */

static char *slice_id_text(uint64_t counter)
{
    return g_strdup_printf("%016x:%016" PRIx64, INCARNATION, counter);
}

static char *answer_of(QDict *reply)
{
    char *answer = g_strdup(qdict_get_str(reply, "answer"));

    if (g_test_verbose() && qdict_haskey(reply, "why")) {
        g_test_message("%s: %s", answer, qdict_get_str(reply, "why"));
    }
    qobject_unref(reply);
    return answer;
}

char *slice_qmp_prepare(SliceVM *vm, uint64_t counter, uint64_t term,
                        uint16_t port, uint32_t n)
{
    g_autofree char *id = slice_id_text(counter);
    unsigned vnet_header_bytes = slice_store_count(vm, "vnet-header-length");
    QList *flows = qlist_new();
    char *answer;
    QDict *reply;
    uint32_t i;

    for (i = 0; i < n; i++) {
        qlist_append(flows, qdict_from_jsonf_nofail(
            "{ 'protocol': 'tcp', 'local': '10.0.0.1', 'local-port': 80,"
            "  'remote': '10.0.0.2', 'remote-port': %u }", port + i));
    }
    qtest_qmp_send(
        vm->qts, "{ 'execute': 'slice-prepare', 'arguments': {"
        "  'orchestrator': %u, 'id': %s, 'term': %" PRIu64 ","
        "  'source': 'source', 'flows': %p, 'memory': 4096,"
        "  'vnet-header-length': %u,"
        "  'counts': [ { 'rank': 20, 'count': %u } ],"
        "  'layers': [ { 'name': 'tcp', 'version': 1, 'rank': 20,"
        "                'abi-hash': '0000000000000000' } ] } }",
        ORCHESTRATOR, id, term, flows, vnet_header_bytes, n);
    g_assert_cmpuint(slice_wait_event(vm, VIRTIO_SLICE_EVENT_RESERVE, counter,
                                      term), ==, 4096);
    g_assert_cmpuint(slice_status(vm, VIRTIO_SLICE_REQ_RESERVED, counter, term,
                                  0), ==, SLICE_RESP_OK);
    reply = qtest_qmp_receive(vm->qts);
    g_assert_true(qdict_haskey(reply, "return"));
    answer = answer_of(qobject_ref(qdict_get_qdict(reply, "return")));
    qobject_unref(reply);
    return answer;
}

char *slice_qmp(SliceVM *vm, const char *command, uint64_t counter,
                uint64_t term)
{
    g_autofree char *id = slice_id_text(counter);

    return answer_of(qtest_qmp_assert_success_ref(
        vm->qts, "{ 'execute': %s, 'arguments': {"
        "  'orchestrator': %u, 'id': %s, 'term': %" PRIu64 " } }",
        command, ORCHESTRATOR, id, term));
}

void slice_tell_peers(SliceVM *vm, SliceVM *const *peers, uint32_t n)
{
    QList *list = qlist_new();
    uint32_t i;

    for (i = 0; i < n; i++) {
        QDict *info = qtest_qmp_assert_success_ref(
            peers[i]->qts, "{ 'execute': 'query-slice-store' }");

        qlist_append(list, qdict_from_jsonf_nofail(
            "{ 'name': %s, 'address': %p }", qdict_get_str(info, "name"),
            qobject_ref(qdict_get_qdict(info, "listen"))));
        qobject_unref(info);
    }
    qobject_unref(qtest_qmp_assert_success_ref(
        vm->qts, "{ 'execute': 'slice-peers', 'arguments': {"
        "  'orchestrator': %u, 'peers': %p } }", ORCHESTRATOR, list));
}

void slice_tell_lease(SliceVM *vm, uint64_t first, uint32_t count)
{
    qobject_unref(qtest_qmp_assert_success_ref(
        vm->qts, "{ 'execute': 'slice-lease', 'arguments': {"
        "  'orchestrator': %u, 'first': %" PRIu64 ", 'count': %u } }",
        ORCHESTRATOR, first, count));
}

void slice_wait_step(SliceVM *vm, const char *step)
{
    for (;;) {
        QDict *event = qtest_qmp_eventwait_ref(vm->qts, "SLICE_MOVE");
        const char *got = qdict_get_str(qdict_get_qdict(event, "data"), "step");
        bool found = !strcmp(got, step);

        if (!found && (!strcmp(got, "failed") || !strcmp(got, "resumed"))) {
            g_error("step %s instead of %s", got, step);
        }
        qobject_unref(event);
        if (found) {
            return;
        }
    }
}

void slice_begin(SliceVM *source, SliceVM *target, uint64_t counter,
                 uint64_t term)
{
    g_autofree char *id = slice_id_text(counter);
    g_autofree char *job = g_strdup_printf("move%" PRIu64 "-%" PRIu64, counter,
                                           term);
    QDict *info = qtest_qmp_assert_success_ref(
        target->qts, "{ 'execute': 'query-slice-store' }");
    QDict *reply;
    const QListEntry *first;

    reply = qtest_qmp(
        source->qts, "{ 'execute': 'slice-move', 'arguments': {"
        "  'job-id': %s, 'orchestrator': %u, 'target-name': %s,"
        "  'slices': [ { 'id': %s, 'term': %" PRIu64 " } ],"
        "  'target': %p, 'deadline-ms': %u } }", job, ORCHESTRATOR,
        qdict_get_str(info, "name"), id, term,
        qobject_ref(qdict_get_qdict(info, "listen")), DEADLINE_MS);
    g_assert_true(qdict_haskey(reply, "return"));
    first = qlist_first(qdict_get_qlist(reply, "return"));
    g_assert_cmpstr(qdict_get_str(qobject_to(QDict, qlist_entry_obj(first)),
                                  "answer"), ==, "ok");
    qobject_unref(reply);
    qobject_unref(info);
    slice_wait_event(source, VIRTIO_SLICE_EVENT_QUIESCE, counter, term);
    g_assert_cmpuint(slice_status(source, VIRTIO_SLICE_REQ_QUIESCED, counter,
                                  term, 0), ==, SLICE_RESP_OK);
    slice_wait_step(source, "quiesced");
}

void slice_send_image(SliceVM *source, uint64_t counter, uint64_t term,
                      uint64_t addr, uint32_t bytes)
{
    g_assert_cmpuint(slice_chunk(source, VIRTIO_SLICE_REQ_IMAGE,
                                 VIRTIO_SLICE_LAST, counter, term, 0, bytes,
                                 addr, bytes, NULL), ==, SLICE_RESP_OK);
    slice_wait_step(source, "sent");
}

void slice_take_image(SliceVM *target, uint64_t counter, uint64_t term,
                      uint64_t addr, uint32_t bytes)
{
    uint64_t value;

    g_assert_cmpuint(slice_wait_event(target, VIRTIO_SLICE_EVENT_ROOM, counter,
                                      term), ==, bytes);
    g_assert_cmpuint(slice_chunk(target, VIRTIO_SLICE_REQ_ROOM,
                                 VIRTIO_SLICE_LAST, counter, term, 0, bytes,
                                 addr, bytes, &value), ==, SLICE_RESP_OK);
    g_assert_cmpuint(value, ==, bytes);
    g_assert_cmpuint(slice_status(target, VIRTIO_SLICE_REQ_PLUGGED, counter,
                                  term, 0), ==, SLICE_RESP_OK);
}

void slice_finish(SliceVM *source, SliceVM *target, uint64_t counter,
                  uint64_t term)
{
    slice_wait_event(source, VIRTIO_SLICE_EVENT_FORGET, counter, term);
    slice_wait_event(target, VIRTIO_SLICE_EVENT_OPEN, counter, term);
    slice_wait_step(target, "done");
}

uint64_t slice_store_count(SliceVM *vm, const char *field)
{
    QDict *info = qtest_qmp_assert_success_ref(
        vm->qts, "{ 'execute': 'query-slice-store' }");
    uint64_t value = qdict_get_int(info, field);

    qobject_unref(info);
    return value;
}

void slice_wait_store_count(SliceVM *vm, const char *field, uint64_t value)
{
    gint64 since = g_get_monotonic_time();
    uint64_t now;

    while ((now = slice_store_count(vm, field)) != value) {
        if (timed_out(since)) {
            g_error("%s stays %" PRIu64 " instead of %" PRIu64, field, now,
                    value);
        }
    }
}

/* ---- the network ---- */

void slice_frame(uint8_t frame[SLICE_FRAME_BYTES], uint16_t port, uint32_t mark,
                 bool to_guest)
{
    static const uint8_t guest[] = { 10, 0, 0, 1 }, client[] = { 10, 0, 0, 2 };

    memset(frame, 0, SLICE_FRAME_BYTES);
    memset(frame, 0xff, 6);             /* to all: no address filter applies */
    frame[6] = 0x02;
    stw_be_p(frame + 12, 0x0800);
    frame[14] = 0x45;
    stw_be_p(frame + 16, 40);
    frame[22] = 64;
    frame[23] = IPPROTO_TCP;
    memcpy(frame + 26, to_guest ? client : guest, 4);
    memcpy(frame + 30, to_guest ? guest : client, 4);
    stw_be_p(frame + 34, to_guest ? port : 80);
    stw_be_p(frame + 36, to_guest ? 80 : port);
    stl_be_p(frame + 38, mark);
    frame[46] = 0x50;
    frame[47] = 0x10;
}

uint32_t slice_frame_mark(const uint8_t *frame)
{
    return ldl_be_p(frame + 38);
}

uint16_t slice_frame_port(const uint8_t *frame, bool to_guest)
{
    return lduw_be_p(frame + (to_guest ? 34 : 36));
}

void slice_net_send(SliceVM *vm, uint16_t port, uint32_t mark)
{
    uint8_t frame[SLICE_FRAME_BYTES];
    uint32_t size = htonl(sizeof(frame));
    struct iovec iov[] = {
        { .iov_base = &size, .iov_len = sizeof(size) },
        { .iov_base = frame, .iov_len = sizeof(frame) },
    };

    slice_frame(frame, port, mark, true);
    g_assert_cmpint(iov_send(vm->net_fd, iov, 2, 0, sizeof(size) +
                             sizeof(frame)), ==, sizeof(size) + sizeof(frame));
}

static void read_fully(int fd, void *data, size_t bytes)
{
    while (bytes) {
        GPollFD poll_fd = { .fd = fd, .events = G_IO_IN };
        ssize_t n;

        g_assert_cmpint(g_poll(&poll_fd, 1, SLICE_TIMEOUT_US / 1000), ==, 1);
        n = recv(fd, data, bytes, 0);
        g_assert_cmpint(n, >, 0);
        data = (uint8_t *)data + n;
        bytes -= n;
    }
}

void slice_net_receive(SliceVM *vm, uint8_t frame[SLICE_FRAME_BYTES])
{
    uint32_t size;

    read_fully(vm->net_fd, &size, sizeof(size));
    g_assert_cmpuint(ntohl(size), ==, SLICE_FRAME_BYTES);
    read_fully(vm->net_fd, frame, SLICE_FRAME_BYTES);
}

void slice_guest_post(SliceVM *vm)
{
    uint32_t i;

    for (i = 0; i < SLICE_NET_BUFFERS; i++) {
        qvirtqueue_add(vm->qts, vm->rx_vq,
                       vm->rx_buffers + i * SLICE_NET_BUFFER_BYTES,
                       SLICE_NET_BUFFER_BYTES, true, false);
        qtest_writew(vm->qts, vm->rx_vq->avail + 4 + 2 * i, i);
    }
    vm->rx_posted = SLICE_NET_BUFFERS;
    qtest_writew(vm->qts, vm->rx_vq->avail + 2, vm->rx_posted);
    vm->net->vdev.bus->virtqueue_kick(&vm->net->vdev, vm->rx_vq);
}

uint32_t slice_guest_receive(SliceVM *vm, uint8_t (*frames)[SLICE_FRAME_BYTES])
{
    QVirtQueue *vq = vm->rx_vq;
    g_autofree uint8_t *buffers = NULL;
    g_autofree struct vring_used_elem *used = NULL;
    uint16_t idx = qtest_readw(vm->qts, vq->used + 2);
    uint16_t n = idx - vq->last_used_idx;
    uint16_t i;

    if (!n) {
        return 0;
    }
    g_assert_cmpuint(n, <=, SLICE_NET_BUFFERS);
    used = g_new(struct vring_used_elem, vq->size);
    buffers = g_malloc(SLICE_NET_BUFFERS * SLICE_NET_BUFFER_BYTES);
    qtest_bufread(vm->qts, vm->rx_buffers, buffers,
                  SLICE_NET_BUFFERS * SLICE_NET_BUFFER_BYTES);
    qtest_bufread(vm->qts, vq->used + 4, used, vq->size * sizeof(used[0]));
    for (i = 0; i < n; i++) {
        uint16_t at = (uint16_t)(vq->last_used_idx + i) % vq->size;
        uint32_t id = le32_to_cpu(used[at].id);

        g_assert_cmpuint(id, <, SLICE_NET_BUFFERS);
        g_assert_cmpuint(le32_to_cpu(used[at].len), ==,
                         vm->net_hdr_bytes + SLICE_FRAME_BYTES);
        memcpy(frames[i], buffers + id * SLICE_NET_BUFFER_BYTES +
               vm->net_hdr_bytes, SLICE_FRAME_BYTES);
        at = (uint16_t)(vm->rx_posted + i) % vq->size;
        qtest_writew(vm->qts, vq->avail + 4 + 2 * at, id);
    }
    vq->last_used_idx = idx;
    vm->rx_posted += n;
    qtest_writew(vm->qts, vq->avail + 2, vm->rx_posted);
    vm->net->vdev.bus->virtqueue_kick(&vm->net->vdev, vq);
    return n;
}

/* Takes one packet and posts its buffer again. */
static size_t guest_take(SliceVM *vm, uint8_t frame[SLICE_FRAME_BYTES])
{
    QVirtQueue *vq = vm->rx_vq;
    gint64 since = g_get_monotonic_time();
    uint32_t id, bytes;
    uint16_t at;

    while (!qvirtqueue_get_buf(vm->qts, vq, &id, &bytes)) {
        g_assert_false(timed_out(since));
    }
    qtest_memread(vm->qts, vm->rx_buffers + id * SLICE_NET_BUFFER_BYTES +
                  vm->net_hdr_bytes, frame, SLICE_FRAME_BYTES);
    at = vm->rx_posted++ % vq->size;
    qtest_writew(vm->qts, vq->avail + 4 + 2 * at, id);
    qtest_writew(vm->qts, vq->avail + 2, vm->rx_posted);
    vm->net->vdev.bus->virtqueue_kick(&vm->net->vdev, vq);
    return bytes - vm->net_hdr_bytes;
}

uint32_t slice_guest_next(SliceVM *vm, uint16_t port)
{
    uint8_t frame[SLICE_FRAME_BYTES];
    size_t bytes;

    /* A kernel at the other end of a tap has its own to say. */
    do {
        bytes = guest_take(vm, frame);
    } while (lduw_be_p(frame + 12) != 0x0800 || frame[23] != IPPROTO_TCP);
    g_assert_cmpuint(bytes, >=, SLICE_FRAME_BYTES - 6);
    g_assert_cmpuint(slice_frame_port(frame, true), ==, port);
    return slice_frame_mark(frame);
}

void slice_guest_expect(SliceVM *vm, uint16_t port, uint32_t mark)
{
    g_assert_cmpuint(slice_guest_next(vm, port), ==, mark);
}

void slice_guest_send(SliceVM *vm, uint16_t port, uint32_t mark)
{
    uint8_t packet[SLICE_NET_BUFFER_BYTES] = { };
    gint64 since = g_get_monotonic_time();
    uint32_t head;

    slice_frame(packet + vm->net_hdr_bytes, port, mark, false);
    qtest_memwrite(vm->qts, vm->tx_buffer, packet,
                   vm->net_hdr_bytes + SLICE_FRAME_BYTES);
    vm->tx_vq->free_head = 0;
    head = qvirtqueue_add(vm->qts, vm->tx_vq, vm->tx_buffer,
                          vm->net_hdr_bytes + SLICE_FRAME_BYTES, false, false);
    qvirtqueue_kick(vm->qts, &vm->net->vdev, vm->tx_vq, head);
    while (!qvirtqueue_get_buf(vm->qts, vm->tx_vq, NULL, NULL)) {
        g_assert_false(timed_out(since));
    }
}
