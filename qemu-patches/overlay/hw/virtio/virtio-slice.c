/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-slice.c - the guest's end of the slice engine
 *
 * What the guest says comes on the request queue, is copied once, checked on
 * the copy and handed to the engine (slice/port.h); what the engine says goes
 * out on the event queue, through a bounded backlog.
 *
 * Payload.  No byte of a capsule travels in a descriptor.  A request names
 * chunks of guest RAM, which are read or written here in steps of at most
 * STEP_BYTES, each translated anew and bounced through a host buffer, with
 * memory-only attributes: an address that is no RAM ends the request with
 * SLICE_RESP_FAULT and never reaches a device.  Between two steps other work of
 * the main loop goes on.  A VM that stops has its request finished first, so
 * guest RAM changes only for a request that was taken while the VM ran, and
 * nothing half done is in the VM's saved state.
 *
 *   queue ──► parse ──► engine ──────────────────────► response
 *                └────► step, step, … ──► engine ────────┘
 *
 * Hostile guest: a request that makes no sense is answered SLICE_RESP_INVALID
 * and changes nothing; a buffer that leaves no room for the answer breaks the
 * device until its reset, as virtio has it.
 *
 * Threads: main loop, BQL held.
 * Below: slice/port.h.  Above: the guest's driver.
 * Contract: linux/virtio_slice.h.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-types-slice.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qemu/iov.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/units.h"
#include "exec/address-spaces.h"
#include "hw/qdev-properties.h"
#include "hw/virtio/virtio-slice.h"
#include "migration/vmstate.h"
#include "slice/port.h"
#include "slice/why.h"
#include "system/runstate.h"
#include "standard-headers/linux/virtio_slice.h"

#define QUEUE_SIZE 256

/* How much one turn in the main loop may copy, and answer. */
#define STEP_BYTES   (1 * MiB)
#define REQUESTS_MAX 64

QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_config) != 24);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_request) != 32);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_layer) != 32);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_set) != 72);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_flow) != 40);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_flow) != sizeof(SliceFlow));
QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_status) != 8);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_chunks) != 16);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_chunk) != 16);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_response) != 16);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_event) != 40);

/**
 * VirtIOSliceRequest: one that was taken from the queue
 * @body_bytes: that follow the header
 * @offset, @total_bytes: of the image, as the request says
 * @chunks: @n_chunks of them, in host byte order
 * @bytes: that the chunks have together
 * @done_bytes: copied; that is @chunk_bytes into chunk @chunk
 */
struct VirtIOSliceRequest {
    VirtQueueElement elem;
    uint16_t type;
    bool last;
    uint32_t count;
    SliceId slice;
    uint64_t term;
    size_t body_bytes;

    uint64_t offset;
    uint64_t total_bytes;
    struct virtio_slice_chunk *chunks;
    uint64_t bytes;
    uint64_t done_bytes;
    uint32_t chunk;
    uint32_t chunk_bytes;
};

/* Not a response: there is payload to copy. */
#define RESP_PENDING UINT32_MAX

/* ---- reading requests ---- */

static size_t request_copy(const VirtIOSliceRequest *req, size_t offset,
                           void *ret_data, size_t bytes)
{
    return iov_to_buf(req->elem.out_sg, req->elem.out_num,
                      sizeof(struct virtio_slice_request) + offset, ret_data,
                      bytes);
}

static SliceId id_from_wire(const struct virtio_slice_id *id)
{
    return (SliceId) {
        .incarnation = le64_to_cpu(id->incarnation),
        .counter = le64_to_cpu(id->counter),
    };
}

/*
 * Text from the guest ends up in monitors and logs: printable ASCII stays.
 * @ret_text has room for @bytes and a terminator.
 */
static void text_from_wire(const uint8_t *wire, size_t bytes, char *ret_text)
{
    size_t i;

    for (i = 0; i < bytes && wire[i]; i++) {
        ret_text[i] = g_ascii_isprint(wire[i]) ? wire[i] : '?';
    }
    ret_text[i] = '\0';
}

static bool flow_from_wire(const struct virtio_slice_flow *wire,
                           SliceFlow *ret_flow)
{
    size_t used = wire->family == 4 ? 4 : sizeof(wire->local);

    if ((wire->family != 4 && wire->family != 6) ||
        wire->protocol != IPPROTO_TCP || wire->rsvd[0] || wire->rsvd[1] ||
        !wire->local_port || !wire->remote_port ||
        !buffer_is_zero(wire->local + used, sizeof(wire->local) - used) ||
        !buffer_is_zero(wire->remote + used, sizeof(wire->remote) - used)) {
        return false;
    }
    memcpy(ret_flow, wire, sizeof(*ret_flow));
    return true;
}

static uint32_t request_hello(VirtIOSlice *s, VirtIOSliceRequest *req)
{
    struct virtio_slice_layer wire[VIRTIO_SLICE_LAYERS_MAX];
    SliceLayerInfo layers[VIRTIO_SLICE_LAYERS_MAX];
    size_t bytes;
    uint32_t i;

    if (req->count > VIRTIO_SLICE_LAYERS_MAX || req->term ||
        req->slice.incarnation || req->slice.counter) {
        return SLICE_RESP_INVALID;
    }
    bytes = req->count * sizeof(wire[0]);
    if (req->body_bytes != bytes ||
        request_copy(req, 0, wire, bytes) != bytes) {
        return SLICE_RESP_INVALID;
    }
    for (i = 0; i < req->count; i++) {
        if (!wire[i].name[0] || wire[i].name[sizeof(wire[i].name) - 1]) {
            return SLICE_RESP_INVALID;
        }
        text_from_wire(wire[i].name, sizeof(wire[i].name) - 1, layers[i].name);
        layers[i].version = le32_to_cpu(wire[i].version);
        layers[i].rank = le32_to_cpu(wire[i].rank);
        layers[i].abi_hash = le64_to_cpu(wire[i].abi_hash);
    }
    s->greeted = true;
    return slice_port_hello(s->store, layers, req->count);
}

static uint32_t request_set(VirtIOSlice *s, VirtIOSliceRequest *req)
{
    struct virtio_slice_set wire;
    struct virtio_slice_flow wire_flows[VIRTIO_SLICE_FLOWS_MAX];
    SliceFlow flows[VIRTIO_SLICE_FLOWS_MAX];
    SliceInfoFromGuest info;
    size_t bytes;
    uint32_t i;

    if (req->count > VIRTIO_SLICE_FLOWS_MAX || req->term) {
        return SLICE_RESP_INVALID;
    }
    bytes = req->count * sizeof(wire_flows[0]);
    if (req->body_bytes != sizeof(wire) + bytes ||
        request_copy(req, 0, &wire, sizeof(wire)) != sizeof(wire) ||
        request_copy(req, sizeof(wire), wire_flows, bytes) != bytes) {
        return SLICE_RESP_INVALID;
    }
    for (i = 0; i < req->count; i++) {
        if (!flow_from_wire(&wire_flows[i], &flows[i])) {
            return SLICE_RESP_INVALID;
        }
    }
    info = (SliceInfoFromGuest) {
        .memory_bytes = le64_to_cpu(wire.memory_bytes),
        .n_capsules = le32_to_cpu(wire.n_capsules),
        .n_flows = le32_to_cpu(wire.n_flows),
        .n_listed = req->count,
        .movability = le32_to_cpu(wire.movability),
        .why = le32_to_cpu(wire.why),
        .flows = flows,
    };
    if (info.n_flows < info.n_listed || info.movability >= SLICE_MOVABILITY__MAX ||
        info.why >= WHY__MAX) {
        return SLICE_RESP_INVALID;
    }
    text_from_wire(wire.label, sizeof(wire.label), info.label);
    text_from_wire(wire.top_layer, sizeof(wire.top_layer), info.top_layer);
    return slice_port_set(s->store, req->slice, &info);
}

static uint32_t request_gone(VirtIOSlice *s, VirtIOSliceRequest *req)
{
    if (req->count || req->body_bytes || req->term) {
        return SLICE_RESP_INVALID;
    }
    return slice_port_gone(s->store, req->slice);
}

static uint32_t request_status(VirtIOSlice *s, VirtIOSliceRequest *req)
{
    struct virtio_slice_status wire;
    uint32_t status, why;

    if (req->count || req->body_bytes != sizeof(wire) ||
        request_copy(req, 0, &wire, sizeof(wire)) != sizeof(wire)) {
        return SLICE_RESP_INVALID;
    }
    status = le32_to_cpu(wire.status);
    why = le32_to_cpu(wire.why);
    if (status > INT32_MAX || why >= WHY__MAX) {
        return SLICE_RESP_INVALID;
    }
    switch (req->type) {
    case VIRTIO_SLICE_REQ_QUIESCED:
        return slice_port_quiesced(s->store, req->slice, req->term, status,
                                   why);
    case VIRTIO_SLICE_REQ_UNPLUG_FAILED:
        return slice_port_unplug_failed(s->store, req->slice, req->term,
                                        status, why);
    case VIRTIO_SLICE_REQ_RESUMED:
        return slice_port_resumed(s->store, req->slice, req->term, status, why);
    default:
        return slice_port_plugged(s->store, req->slice, req->term, status, why);
    }
}

/* ---- payload ---- */

/*
 * Reads @bytes of the request's chunks into @buffer or writes them from there,
 * from where the last call ended.
 */
static bool request_transfer(VirtIOSlice *s, VirtIOSliceRequest *req,
                             uint8_t *buffer, uint64_t bytes, bool to_guest)
{
    /* Memory only: what is mapped there may be a device by now. */
    const MemTxAttrs attrs = { .memory = 1 };
    AddressSpace *as = VIRTIO_DEVICE(s)->dma_as;

    while (bytes) {
        const struct virtio_slice_chunk *chunk = &req->chunks[req->chunk];
        uint32_t step = MIN(bytes, chunk->bytes - req->chunk_bytes);

        if (address_space_rw(as, chunk->addr + req->chunk_bytes, attrs, buffer,
                             step, to_guest) != MEMTX_OK) {
            return false;
        }
        buffer += step;
        bytes -= step;
        req->done_bytes += step;
        req->chunk_bytes += step;
        if (req->chunk_bytes == chunk->bytes) {
            req->chunk++;
            req->chunk_bytes = 0;
        }
    }
    return true;
}

/* Copies the chunks' list and checks all that can be checked of it alone. */
static bool request_read_chunks(VirtIOSliceRequest *req)
{
    struct virtio_slice_chunks wire;
    size_t bytes = req->count * sizeof(req->chunks[0]);
    uint32_t i;

    if (!req->count || req->count > VIRTIO_SLICE_CHUNKS_MAX ||
        req->body_bytes != sizeof(wire) + bytes ||
        request_copy(req, 0, &wire, sizeof(wire)) != sizeof(wire)) {
        return false;
    }
    req->offset = le64_to_cpu(wire.offset);
    req->total_bytes = le64_to_cpu(wire.total_bytes);
    req->chunks = g_new(struct virtio_slice_chunk, req->count);
    if (request_copy(req, sizeof(wire), req->chunks, bytes) != bytes) {
        return false;
    }
    for (i = 0; i < req->count; i++) {
        struct virtio_slice_chunk *chunk = &req->chunks[i];

        chunk->addr = le64_to_cpu(chunk->addr);
        chunk->bytes = le32_to_cpu(chunk->bytes);
        if (!chunk->bytes || chunk->bytes > VIRTIO_SLICE_CHUNK_BYTES_MAX ||
            chunk->rsvd || chunk->addr > UINT64_MAX - chunk->bytes) {
            return false;
        }
        req->bytes += chunk->bytes;     /* at most 2048 times 4 MiB */
    }
    return true;
}

static uint32_t request_payload(VirtIOSlice *s, VirtIOSliceRequest *req)
{
    if (!request_read_chunks(req) ||
        req->total_bytes > slice_store_image_bytes_max(s->store) ||
        req->offset > req->total_bytes ||
        req->bytes > req->total_bytes - req->offset ||
        req->last != (req->offset + req->bytes == req->total_bytes)) {
        return SLICE_RESP_INVALID;
    }
    return RESP_PENDING;
}

static bool packets_well_formed(const uint8_t *data, size_t bytes)
{
    size_t at = 0;

    while (at < bytes) {
        size_t length;

        if (bytes - at < 4) {
            return false;
        }
        length = ldl_le_p(data + at);
        at += 4;
        if (!length || length > bytes - at ||
            ROUND_UP(length, 4) > bytes - at) {
            return false;
        }
        at += ROUND_UP(length, 4);
    }
    return true;
}

static uint32_t request_packets(VirtIOSlice *s, VirtIOSliceRequest *req)
{
    g_autofree uint8_t *data = NULL;

    if (!request_read_chunks(req) || req->offset ||
        req->total_bytes != req->bytes ||
        req->bytes > VIRTIO_SLICE_PACKETS_BYTES_MAX) {
        return SLICE_RESP_INVALID;
    }
    data = g_malloc(req->bytes);
    if (!request_transfer(s, req, data, req->bytes, false)) {
        return SLICE_RESP_FAULT;
    }
    if (!packets_well_formed(data, req->total_bytes)) {
        return SLICE_RESP_INVALID;
    }
    return slice_port_packets(s->store, req->slice, req->term, data,
                              req->total_bytes);
}

/* One step of IMAGE. */
static uint32_t step_image(VirtIOSlice *s, VirtIOSliceRequest *req,
                           uint64_t bytes)
{
    g_autofree uint8_t *data = g_malloc(bytes);
    uint64_t offset = req->offset + req->done_bytes;

    if (!request_transfer(s, req, data, bytes, false)) {
        return SLICE_RESP_FAULT;
    }
    return slice_port_image(s->store, req->slice, req->term, offset,
                            req->total_bytes, data, bytes,
                            req->last && req->done_bytes == req->bytes);
}

/* One step of ROOM. */
static uint32_t step_room(VirtIOSlice *s, VirtIOSliceRequest *req,
                          uint64_t bytes)
{
    const uint8_t *data;
    uint64_t total_bytes;
    uint32_t resp;

    resp = slice_port_room(s->store, req->slice, req->term,
                           req->offset + req->done_bytes, bytes, &data,
                           &total_bytes);
    if (resp != SLICE_RESP_OK) {
        return resp;
    }
    if (req->total_bytes != total_bytes) {
        return SLICE_RESP_INVALID;
    }
    return request_transfer(s, req, (uint8_t *)data, bytes, true)
           ? SLICE_RESP_OK : SLICE_RESP_FAULT;
}

static uint32_t request_step(VirtIOSlice *s, VirtIOSliceRequest *req)
{
    uint64_t bytes = MIN(req->bytes - req->done_bytes, STEP_BYTES);
    uint32_t resp;

    resp = req->type == VIRTIO_SLICE_REQ_IMAGE ? step_image(s, req, bytes)
                                               : step_room(s, req, bytes);
    if (resp == SLICE_RESP_OK && req->done_bytes < req->bytes) {
        return RESP_PENDING;
    }
    return resp;
}

/* ---- the request queue ---- */

static void request_free(VirtIOSliceRequest *req)
{
    g_free(req->chunks);
    g_free(req);
}

static void request_complete(VirtIOSlice *s, VirtIOSliceRequest *req,
                             uint32_t status)
{
    bool room_filled = req->type == VIRTIO_SLICE_REQ_ROOM && req->last &&
                       status == SLICE_RESP_OK;
    struct virtio_slice_response resp = {
        .status = cpu_to_le32(status),
        .value = cpu_to_le64(room_filled ? req->total_bytes : 0),
    };

    iov_from_buf(req->elem.in_sg, req->elem.in_num, 0, &resp, sizeof(resp));
    virtqueue_push(s->request_vq, &req->elem, sizeof(resp));
    virtio_notify(VIRTIO_DEVICE(s), s->request_vq);
    request_free(req);
}

/* Takes a request from the queue and parses its header; NULL: none. */
static VirtIOSliceRequest *request_pop(VirtIOSlice *s)
{
    VirtIOSliceRequest *req;

    req = virtqueue_pop(s->request_vq, sizeof(*req));
    if (!req) {
        return NULL;
    }
    memset((uint8_t *)req + sizeof(req->elem), 0,
           sizeof(*req) - sizeof(req->elem));
    if (iov_size(req->elem.in_sg, req->elem.in_num) <
        sizeof(struct virtio_slice_response)) {
        virtio_error(VIRTIO_DEVICE(s),
                     "virtio-slice: request without room for a response");
        virtqueue_detach_element(s->request_vq, &req->elem, 0);
        request_free(req);
        return NULL;
    }
    return req;
}

static uint32_t request_handle(VirtIOSlice *s, VirtIOSliceRequest *req)
{
    struct virtio_slice_request wire;
    size_t bytes = iov_size(req->elem.out_sg, req->elem.out_num);
    uint16_t flags;

    if (bytes < sizeof(wire) ||
        iov_to_buf(req->elem.out_sg, req->elem.out_num, 0, &wire,
                   sizeof(wire)) != sizeof(wire)) {
        return SLICE_RESP_INVALID;
    }
    req->body_bytes = bytes - sizeof(wire);
    req->type = le16_to_cpu(wire.type);
    req->count = le32_to_cpu(wire.count);
    req->slice = id_from_wire(&wire.slice);
    req->term = le64_to_cpu(wire.term);
    flags = le16_to_cpu(wire.flags);
    req->last = flags & VIRTIO_SLICE_LAST;

    if (req->type < VIRTIO_SLICE_REQ_HELLO ||
        req->type > VIRTIO_SLICE_REQ_PLUGGED) {
        return SLICE_RESP_UNKNOWN;
    }
    if (flags & ~(req->type == VIRTIO_SLICE_REQ_IMAGE ||
                  req->type == VIRTIO_SLICE_REQ_ROOM ? VIRTIO_SLICE_LAST : 0)) {
        return SLICE_RESP_INVALID;
    }
    if (req->type == VIRTIO_SLICE_REQ_HELLO) {
        return request_hello(s, req);
    }
    if (!req->slice.incarnation) {
        return SLICE_RESP_INVALID;
    }
    if (!s->greeted) {
        return SLICE_RESP_STALE;
    }
    switch (req->type) {
    case VIRTIO_SLICE_REQ_SET:
        return request_set(s, req);
    case VIRTIO_SLICE_REQ_GONE:
        return request_gone(s, req);
    case VIRTIO_SLICE_REQ_IMAGE:
    case VIRTIO_SLICE_REQ_ROOM:
        return request_payload(s, req);
    case VIRTIO_SLICE_REQ_PACKETS:
        return request_packets(s, req);
    default:
        return request_status(s, req);
    }
}

/* One turn of work.  Requests are answered in the order in which they came. */
static void virtio_slice_work(VirtIOSlice *s)
{
    VirtIOSliceRequest *req;
    uint32_t resp;
    int i;

    for (i = 0; i < REQUESTS_MAX; i++) {
        if (s->request) {
            req = s->request;
            resp = request_step(s, req);
            i = REQUESTS_MAX;           /* enough for this turn */
        } else {
            req = request_pop(s);
            if (!req) {
                return;
            }
            resp = request_handle(s, req);
        }
        s->request = resp == RESP_PENDING ? req : NULL;
        if (!s->request) {
            request_complete(s, req, resp);
        }
    }
    qemu_bh_schedule(s->work_bh);
}

static void virtio_slice_handle_request(VirtIODevice *vdev, VirtQueue *vq)
{
    virtio_slice_work(VIRTIO_SLICE(vdev));
}

/* ---- the event queue ---- */

static void virtio_slice_send_events(VirtIOSlice *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    bool notify = false;

    while (s->n_backlog && vdev->vm_running && virtio_queue_ready(s->event_vq)) {
        g_autofree VirtQueueElement *elem = NULL;
        const VirtIOSliceEvent *event = &s->backlog[s->backlog_first];
        struct virtio_slice_event wire = {
            .type = cpu_to_le16(event->type),
            .slice.incarnation = cpu_to_le64(event->slice.incarnation),
            .slice.counter = cpu_to_le64(event->slice.counter),
            .term = cpu_to_le64(event->term),
            .arg = cpu_to_le64(event->arg),
        };

        elem = virtqueue_pop(s->event_vq, sizeof(*elem));
        if (!elem) {
            break;
        }
        if (iov_from_buf(elem->in_sg, elem->in_num, 0, &wire, sizeof(wire)) !=
            sizeof(wire)) {
            virtio_error(vdev, "virtio-slice: event buffer too small");
            virtqueue_detach_element(s->event_vq, elem, 0);
            break;
        }
        virtqueue_push(s->event_vq, elem, sizeof(wire));
        s->backlog_first = (s->backlog_first + 1) % VIRTIO_SLICE_BACKLOG_MAX;
        s->n_backlog--;
        notify = true;
    }
    if (notify) {
        virtio_notify(vdev, s->event_vq);
    }
}

static void virtio_slice_handle_event(VirtIODevice *vdev, VirtQueue *vq)
{
    virtio_slice_send_events(VIRTIO_SLICE(vdev));
}

static bool port_event(void *port, uint16_t type, SliceId slice, uint64_t term,
                       uint64_t arg)
{
    VirtIOSlice *s = port;
    bool may_be_refused = type == VIRTIO_SLICE_EVENT_QUIESCE ||
                          type == VIRTIO_SLICE_EVENT_UNPLUG ||
                          type == VIRTIO_SLICE_EVENT_ROOM;
    uint32_t room = VIRTIO_SLICE_BACKLOG_MAX / (may_be_refused ? 2 : 1);

    if (!s->greeted || VIRTIO_DEVICE(s)->broken || s->n_backlog >= room) {
        return false;
    }
    s->backlog[(s->backlog_first + s->n_backlog) % VIRTIO_SLICE_BACKLOG_MAX] =
        (VirtIOSliceEvent) {
            .type = type, .slice = slice, .term = term, .arg = arg,
        };
    s->n_backlog++;
    virtio_slice_send_events(s);
    return true;
}

static const SlicePortOps port_ops = {
    .event = port_event,
};

/* ---- life of the device ---- */

/* Tells the driver of a new incarnation, e.g. after a restore. */
static void virtio_slice_check_incarnation(VirtIOSlice *s)
{
    uint64_t incarnation = slice_store_incarnation(s->store);

    if (s->incarnation != incarnation) {
        s->incarnation = incarnation;
        virtio_notify_config(VIRTIO_DEVICE(s));
    }
}

static void virtio_slice_work_bh(void *opaque)
{
    VirtIOSlice *s = opaque;
    VirtIODevice *vdev = VIRTIO_DEVICE(s);

    if (!vdev->vm_running || !(vdev->status & VIRTIO_CONFIG_S_DRIVER_OK)) {
        return;     /* virtio_slice_vm_state() or a kick goes on */
    }
    virtio_slice_check_incarnation(s);
    virtio_slice_send_events(s);
    virtio_slice_work(s);
}

static void virtio_slice_incarnation_drawn(Notifier *notifier, void *data)
{
    VirtIOSlice *s = container_of(notifier, VirtIOSlice, incarnation_drawn);

    qemu_bh_schedule(s->work_bh);
}

static void virtio_slice_vm_state(void *opaque, bool running, RunState state)
{
    VirtIOSlice *s = opaque;
    uint32_t resp;

    if (running) {
        qemu_bh_schedule(s->work_bh);
        return;
    }
    while (s->request) {
        resp = request_step(s, s->request);
        if (resp != RESP_PENDING) {
            request_complete(s, g_steal_pointer(&s->request), resp);
        }
    }
}

static void virtio_slice_drop_request(VirtIOSlice *s)
{
    if (s->request) {
        virtqueue_detach_element(s->request_vq, &s->request->elem, 0);
        request_free(g_steal_pointer(&s->request));
    }
}

static void virtio_slice_reset(VirtIODevice *vdev)
{
    VirtIOSlice *s = VIRTIO_SLICE(vdev);

    virtio_slice_drop_request(s);
    s->n_backlog = 0;
    if (s->greeted) {
        s->greeted = false;
        slice_port_reset(s->store);
    }
}

static void virtio_slice_queue_reset(VirtIODevice *vdev, uint32_t index)
{
    if (index == VIRTIO_SLICE_QUEUE_REQUEST) {
        virtio_slice_drop_request(VIRTIO_SLICE(vdev));
    }
}

static void virtio_slice_get_config(VirtIODevice *vdev, uint8_t *data)
{
    VirtIOSlice *s = VIRTIO_SLICE(vdev);
    struct virtio_slice_config config = {
        .incarnation = cpu_to_le64(slice_store_incarnation(s->store)),
        .image_bytes_max = cpu_to_le64(slice_store_image_bytes_max(s->store)),
        .version = cpu_to_le32(VIRTIO_SLICE_VERSION),
    };

    memcpy(data, &config, sizeof(config));
}

static uint64_t virtio_slice_get_features(VirtIODevice *vdev, uint64_t features,
                                          Error **errp)
{
    return features;
}

static void virtio_slice_realize(DeviceState *dev, Error **errp)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(dev);
    VirtIOSlice *s = VIRTIO_SLICE(dev);

    if (!s->store) {
        error_setg(errp, "Parameter 'store' is required");
        return;
    }
    if (!slice_store_attach_port(s->store, &port_ops, s, errp)) {
        return;
    }
    object_ref(OBJECT(s->store));
    s->incarnation = slice_store_incarnation(s->store);
    virtio_init(vdev, VIRTIO_ID_SLICE, sizeof(struct virtio_slice_config));
    s->request_vq = virtio_add_queue(vdev, QUEUE_SIZE,
                                     virtio_slice_handle_request);
    s->event_vq = virtio_add_queue(vdev, QUEUE_SIZE, virtio_slice_handle_event);
    s->work_bh = virtio_bh_new_guarded(dev, virtio_slice_work_bh, s);
    s->vm_state = qdev_add_vm_change_state_handler(dev, virtio_slice_vm_state,
                                                   s);
    s->incarnation_drawn.notify = virtio_slice_incarnation_drawn;
    slice_store_add_incarnation_notifier(s->store, &s->incarnation_drawn);
}

static void virtio_slice_unrealize(DeviceState *dev)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(dev);
    VirtIOSlice *s = VIRTIO_SLICE(dev);

    virtio_slice_reset(vdev);
    notifier_remove(&s->incarnation_drawn);
    slice_store_detach_port(s->store, s);
    object_unref(OBJECT(s->store));
    qemu_del_vm_change_state_handler(s->vm_state);
    qemu_bh_delete(s->work_bh);
    virtio_delete_queue(s->request_vq);
    virtio_delete_queue(s->event_vq);
    virtio_cleanup(vdev);
}

/* ---- saved state ---- */

static int virtio_slice_pre_save(void *opaque)
{
    VirtIOSlice *s = opaque;

    assert(!s->request);    /* finished when the VM stopped */
    return 0;
}

static int virtio_slice_post_load(void *opaque, int version_id)
{
    VirtIOSlice *s = opaque;

    if (s->backlog_first >= VIRTIO_SLICE_BACKLOG_MAX ||
        s->n_backlog > VIRTIO_SLICE_BACKLOG_MAX) {
        error_report("virtio-slice: saved state has %" PRIu32 " events from %"
                     PRIu32 " on, at most %d are possible", s->n_backlog,
                     s->backlog_first, VIRTIO_SLICE_BACKLOG_MAX);
        return -EINVAL;
    }
    return 0;
}

static const VMStateDescription vmstate_virtio_slice_event = {
    .name = "virtio-slice/event",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT16(type, VirtIOSliceEvent),
        VMSTATE_UINT64(slice.incarnation, VirtIOSliceEvent),
        VMSTATE_UINT64(slice.counter, VirtIOSliceEvent),
        VMSTATE_UINT64(term, VirtIOSliceEvent),
        VMSTATE_UINT64(arg, VirtIOSliceEvent),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription vmstate_virtio_slice_device = {
    .name = "virtio-slice-device",
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_save = virtio_slice_pre_save,
    .post_load = virtio_slice_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_BOOL(greeted, VirtIOSlice),
        VMSTATE_UINT64(incarnation, VirtIOSlice),
        VMSTATE_UINT32(backlog_first, VirtIOSlice),
        VMSTATE_UINT32(n_backlog, VirtIOSlice),
        VMSTATE_STRUCT_ARRAY(backlog, VirtIOSlice, VIRTIO_SLICE_BACKLOG_MAX, 1,
                             vmstate_virtio_slice_event, VirtIOSliceEvent),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription vmstate_virtio_slice = {
    .name = "virtio-slice",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_VIRTIO_DEVICE,
        VMSTATE_END_OF_LIST()
    },
};

static const Property virtio_slice_properties[] = {
    DEFINE_PROP_LINK("store", VirtIOSlice, store, TYPE_SLICE_STORE,
                     SliceStore *),
};

static void virtio_slice_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    VirtioDeviceClass *vdc = VIRTIO_DEVICE_CLASS(klass);

    device_class_set_props(dc, virtio_slice_properties);
    dc->desc = "Sessions that move between virtual machines";
    dc->vmsd = &vmstate_virtio_slice;
    dc->hotpluggable = false;
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);

    vdc->realize = virtio_slice_realize;
    vdc->unrealize = virtio_slice_unrealize;
    vdc->get_config = virtio_slice_get_config;
    vdc->get_features = virtio_slice_get_features;
    vdc->reset = virtio_slice_reset;
    vdc->queue_reset = virtio_slice_queue_reset;
    vdc->vmsd = &vmstate_virtio_slice_device;
}

static const TypeInfo virtio_slice_info = {
    .name = TYPE_VIRTIO_SLICE,
    .parent = TYPE_VIRTIO_DEVICE,
    .instance_size = sizeof(VirtIOSlice),
    .class_init = virtio_slice_class_init,
};

static void virtio_slice_register_types(void)
{
    type_register_static(&virtio_slice_info);
}

type_init(virtio_slice_register_types)
