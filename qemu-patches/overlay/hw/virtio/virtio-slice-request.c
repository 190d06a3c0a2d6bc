/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-slice-request.c - what the guest asks: parsed, checked, answered
 *
 * A request is copied once and checked on the copy, then given to the engine.
 * Where it names chunks of guest RAM, these are read or written in steps of at
 * most STEP_BYTES, each translated anew and bounced through a host buffer, with
 * memory-only attributes: an address that is no RAM ends the request with
 * SLICE_RESP_FAULT and never reaches a device.  Between two steps other work of
 * the main loop goes on.
 *
 *   queue ──► parse ──► engine ──────────────────────► response
 *                └────► step, step, … ──► engine ────────┘
 *
 * Below: slice/port.h.  Above: virtio-slice.c.
 */
#include "qemu/osdep.h"
#include "qapi/qapi-types-slice.h"
#include "qemu/cutils.h"
#include "qemu/iov.h"
#include "qemu/main-loop.h"
#include "qemu/units.h"
#include "exec/address-spaces.h"
#include "hw/virtio/virtio-slice.h"
#include "slice/port.h"
#include "slice/why.h"
#include "standard-headers/linux/virtio_slice.h"
#include "virtio-slice-request.h"

/* How much one turn in the main loop may copy, and answer. */
#define STEP_BYTES   (1 * MiB)
#define REQUESTS_MAX 64

QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_request) != 32);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_layer) != 32);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_set) != 104);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_count) != 4);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_find) != 48);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_found) != 16);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_flow) != 40);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_flow) != sizeof(SliceFlow));
QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_status) != 8);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_chunks) != 16);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_chunk) != 16);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_response) != 16);

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
    QEMU_BUILD_BUG_ON(ARRAY_SIZE(info.counts) != ARRAY_SIZE(wire.counts));
    for (i = 0; i < ARRAY_SIZE(info.counts); i++) {
        info.counts[i].rank = le16_to_cpu(wire.counts[i].rank);
        info.counts[i].n = le16_to_cpu(wire.counts[i].n);
    }
    if (!slice_counts_are_sound(info.counts) ||
        info.n_flows < info.n_listed || info.movability >= SLICE_MOVABILITY__MAX ||
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
    case VIRTIO_SLICE_REQ_RESERVED:
        return slice_port_reserved(s->store, req->slice, req->term, status,
                                   why);
    default:
        return slice_port_plugged(s->store, req->slice, req->term, status, why);
    }
}

static uint32_t request_find(VirtIOSlice *s, VirtIOSliceRequest *req)
{
    struct virtio_slice_find wire;
    uint32_t timeout_ms;

    if (req->count || req->term || req->body_bytes != sizeof(wire) ||
        request_copy(req, 0, &wire, sizeof(wire)) != sizeof(wire)) {
        return SLICE_RESP_INVALID;
    }
    timeout_ms = le32_to_cpu(wire.timeout_ms);
    if (!timeout_ms || timeout_ms > VIRTIO_SLICE_FIND_MS_MAX || wire.rsvd) {
        return SLICE_RESP_INVALID;
    }
    return slice_port_find(s->store, req->slice, le64_to_cpu(wire.tag),
                           timeout_ms, wire.digest);
}

static uint32_t request_found(VirtIOSlice *s, VirtIOSliceRequest *req)
{
    struct virtio_slice_found wire;
    uint32_t status;

    if (req->count || req->term || req->body_bytes != sizeof(wire) ||
        request_copy(req, 0, &wire, sizeof(wire)) != sizeof(wire)) {
        return SLICE_RESP_INVALID;
    }
    status = le32_to_cpu(wire.status);
    if ((status != 0 && status != ENOENT && status != EAGAIN) || wire.rsvd ||
        (status == 0 && !req->slice.incarnation) ||
        (status == ENOENT && req->slice.incarnation) ||
        (!req->slice.incarnation && req->slice.counter)) {
        return SLICE_RESP_INVALID;
    }
    return slice_port_found(s->store, req->slice, le64_to_cpu(wire.tag),
                            status);
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
        req->type > VIRTIO_SLICE_REQ_RESERVED) {
        return SLICE_RESP_UNKNOWN;
    }
    if (flags & ~(req->type == VIRTIO_SLICE_REQ_IMAGE ||
                  req->type == VIRTIO_SLICE_REQ_ROOM ? VIRTIO_SLICE_LAST : 0)) {
        return SLICE_RESP_INVALID;
    }
    if (req->type == VIRTIO_SLICE_REQ_HELLO) {
        return request_hello(s, req);
    }
    if (!req->slice.incarnation && req->type != VIRTIO_SLICE_REQ_FOUND) {
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
    case VIRTIO_SLICE_REQ_FIND:
        return request_find(s, req);
    case VIRTIO_SLICE_REQ_FOUND:
        return request_found(s, req);
    default:
        return request_status(s, req);
    }
}

/* One turn of work.  Requests are answered in the order in which they came. */
void virtio_slice_work_requests(VirtIOSlice *s)
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

void virtio_slice_finish_request(VirtIOSlice *s)
{
    uint32_t resp;

    while (s->request) {
        resp = request_step(s, s->request);
        if (resp != RESP_PENDING) {
            request_complete(s, g_steal_pointer(&s->request), resp);
        }
    }
}

void virtio_slice_drop_request(VirtIOSlice *s)
{
    if (s->request) {
        virtqueue_detach_element(s->request_vq, &s->request->elem, 0);
        request_free(g_steal_pointer(&s->request));
    }
}
