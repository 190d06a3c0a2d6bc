/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filter-slice.c - hold a session's packets while its state is elsewhere
 *
 * arriving   The switch already sends the client here, the slice is still on
 *            its way.  Packets to the guest wait until it is plugged; delivered
 *            sooner they would find no socket and earn a reset.
 * leaving    The switch may still send the client here, the slice has been
 *            unplugged.  Packets to the guest go to the engine, which sends
 *            them after the slice; packets from the guest are not its any more.
 *
 *                  to guest (TX of the netdev)
 *   netdev ──► earlier filters ──► filter-slice ──► later filters ──► NIC queue
 *          ◄──                 ◄──              ◄──               ◄──
 *                  from guest (RX of the netdev)
 *
 * Letting go.  A bottom half sends batches of RELEASE_BATCH packets, in turn
 * for all flows that have some, through the later filters into the receiver's
 * queue.  A packet that has to wait there stops its direction until the queue's
 * callback: at most one of ours waits at a time, so the queue's own bound is
 * never met, packets of other connections are never far behind, and an order is
 * kept.  A flow leaves the table with its last packet; what arrives before
 * waits behind.
 *
 * A stopped VM.  Nothing is let go.  QEMU's network layer purges its queues
 * then; the callback says so and our packet becomes the first of its flow again.
 *
 * Lifetime.  The gate belongs to its store as long as it lives: it cannot be
 * switched off or deleted alone, for packets would reach a guest that may not
 * see them.  netdev_del takes it away with its network device, and no packet is
 * left to be held.
 *
 * What is no flow of the table passes; with an empty table nothing is parsed.
 *
 * Memory: filter-slice-flow.h.  Threads: main loop, BQL held.
 * Below: net/filter.h, filter-slice-flow.c.  Above: slice/ through slice/gate.h.
 * Source: paper section 3.2 (output buffering); facts of net/queue.c.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/units.h"
#include "qom/object_interfaces.h"
#include "net/eth.h"
#include "net/filter.h"
#include "net/net.h"
#include "system/runstate.h"
#include "filter-slice-flow.h"
#include "slice/packet.h"
#include "slice/stream.h"

#define TYPE_FILTER_SLICE "filter-slice"
OBJECT_DECLARE_SIMPLE_TYPE(FilterSliceState, FILTER_SLICE)

#define RELEASE_BATCH 64

/* Room for a client's window of some MiB, as Linux grows it by default. */
#define FLOW_BYTES_DEFAULT  (8 * MiB)
#define TOTAL_BYTES_DEFAULT (256 * MiB)
/* Some round trips of a fast client: what the source may not have seen. */
#define RING_BYTES_DEFAULT  (1 * MiB)
#define FLOWS_DEFAULT       65536

struct FilterSliceState {
    NetFilterState parent_obj;

    SliceStore *store;
    SliceFlowLimits limits;

    bool attached;
    SliceFlowTable table;
    SliceGateDeliver *deliver;
    void *deliver_opaque;
    QEMUBH *release_bh;
    VMChangeStateEntry *vm_state;
};

static NetClientState *gate_sender(FilterSliceState *s,
                                   SliceDirection direction)
{
    NetClientState *netdev = NETFILTER(s)->netdev;

    return direction == SLICE_TO_GUEST ? netdev : netdev->peer;
}

static size_t gate_vnet_hdr_bytes(FilterSliceState *s)
{
    return qemu_get_vnet_hdr_len(NETFILTER(s)->netdev);
}

/* ---- letting packets go ---- */

/* Any of the two ends may have been the sender. */
static FilterSliceState *gate_of_sender(NetClientState *sender)
{
    NetClientState *ends[] = { sender, sender->peer };
    NetFilterState *nf;
    int i;

    for (i = 0; i < ARRAY_SIZE(ends) && ends[i]; i++) {
        QTAILQ_FOREACH(nf, &ends[i]->filters, next) {
            if (object_dynamic_cast(OBJECT(nf), TYPE_FILTER_SLICE)) {
                return FILTER_SLICE(nf);
            }
        }
    }
    return NULL;
}

/* The receiver's queue got rid of our packet, one way or another. */
static void gate_sent(NetClientState *sender, ssize_t ret)
{
    FilterSliceState *s = gate_of_sender(sender);
    SliceDirection direction;

    if (!s) {
        return;     /* deleted while its packet waited in the queue */
    }
    direction = sender == NETFILTER(s)->netdev ? SLICE_TO_GUEST
                                               : SLICE_FROM_GUEST;
    /*
     * A NIC of a stopped VM refuses what the queue offers it for the last time
     * before it is purged.
     */
    if (ret == 0 || (ret < 0 && !runstate_is_running())) {
        slice_flows_unsent(&s->table, direction);
    } else {
        slice_flows_sent(&s->table, direction, ret > 0);
    }
    qemu_bh_schedule(s->release_bh);
}

static ssize_t gate_send(FilterSliceState *s, SliceDirection direction,
                         SlicePacket *packet)
{
    uint8_t hdr[SLICE_VNET_HDR_BYTES_MAX] = { };
    size_t hdr_bytes = gate_vnet_hdr_bytes(s);
    struct iovec iov[] = {
        { .iov_base = hdr, .iov_len = hdr_bytes },
        { .iov_base = packet->frame, .iov_len = packet->bytes },
    };

    /*
     * All vnet headers begin with the same fields; the driver may have chosen
     * another length since.
     */
    memcpy(hdr, packet->hdr, MIN(hdr_bytes, packet->hdr_bytes));
    return qemu_netfilter_pass_to_next_async(gate_sender(s, direction),
                                             QEMU_NET_PACKET_FLAG_NONE, iov,
                                             ARRAY_SIZE(iov), NETFILTER(s),
                                             gate_sent);
}

/* Returns: whether there may be more to do at once. */
static bool gate_release_batch(FilterSliceState *s, SliceDirection direction)
{
    SlicePacket *packet;
    ssize_t ret;
    int i;

    for (i = 0; i < RELEASE_BATCH; i++) {
        packet = slice_flows_take(&s->table, direction);
        if (!packet) {
            return false;
        }
        ret = gate_send(s, direction, packet);
        if (ret == 0) {
            return false;   /* gate_sent() goes on */
        }
        slice_flows_sent(&s->table, direction, ret > 0);
    }
    return true;
}

static void gate_release_bh(void *opaque)
{
    FilterSliceState *s = opaque;
    bool more = false;
    int direction;

    if (!runstate_is_running()) {
        return;             /* gate_vm_state() goes on */
    }
    for (direction = 0; direction < SLICE_N_DIRECTIONS; direction++) {
        more |= gate_release_batch(s, direction);
    }
    if (more) {
        qemu_bh_schedule(s->release_bh);
    }
}

static void gate_vm_state(void *opaque, bool running, RunState state)
{
    FilterSliceState *s = opaque;

    if (running) {
        qemu_bh_schedule(s->release_bh);
    }
}

/* ---- packets that pass ---- */

/* How the Ethernet header of a packet to the guest looks in this flow. */
static void gate_learn_link(SliceGateFlow *flow, const uint8_t *frame,
                            size_t link_bytes, SliceDirection direction)
{
    if (link_bytes > sizeof(flow->link) ||
        (flow->link_bytes && direction == SLICE_FROM_GUEST)) {
        return;
    }
    memcpy(flow->link, frame, link_bytes);
    flow->link_bytes = link_bytes;
    if (direction == SLICE_FROM_GUEST) {
        memcpy(flow->link, frame + ETH_ALEN, ETH_ALEN);
        memcpy(flow->link + ETH_ALEN, frame, ETH_ALEN);
    }
}

static void gate_deliver(FilterSliceState *s, const SliceFlow *key,
                         const SlicePacket *packet)
{
    if (!packet->standalone) {
        s->table.stats.n_dropped_full++;
        return;
    }
    s->table.stats.n_diverted++;
    s->deliver(s->deliver_opaque, key, packet->origin, packet->frame,
               packet->bytes);
}

static void gate_deliver_all(FilterSliceState *s, const SliceFlow *key,
                             SlicePacketQueue *packets)
{
    SliceFlow flow = *key;      /* the engine may pass a key of its table */
    SlicePacket *packet;

    while ((packet = QSIMPLEQ_FIRST(packets))) {
        QSIMPLEQ_REMOVE_HEAD(packets, next);
        gate_deliver(s, &flow, packet);
        g_free(packet);
    }
}

static ssize_t filter_slice_receive_iov(NetFilterState *nf,
                                        NetClientState *sender, unsigned flags,
                                        const struct iovec *iov, int iovcnt,
                                        NetPacketSent *sent_cb)
{
    FilterSliceState *s = FILTER_SLICE(nf);
    uint8_t head[SLICE_PACKET_HEAD_BYTES];
    size_t hdr_bytes, bytes;
    SlicePacketInfo info;
    SliceDirection direction;
    SliceGateFlow *flow;
    SliceFlow key;

    if (slice_flows_empty(&s->table)) {
        return 0;
    }
    direction = sender == nf->netdev ? SLICE_TO_GUEST : SLICE_FROM_GUEST;
    hdr_bytes = flags & QEMU_NET_PACKET_FLAG_RAW ? 0 : gate_vnet_hdr_bytes(s);
    bytes = iov_to_buf(iov, iovcnt, hdr_bytes, head, sizeof(head));
    if (!slice_packet_flow(head, bytes, true, direction == SLICE_TO_GUEST, &key,
                           &info)) {
        return 0;
    }
    flow = slice_flows_find(&s->table, &key);
    if (!flow) {
        return 0;
    }
    gate_learn_link(flow, head, info.ip_offset, direction);
    bytes = iov_size(iov, iovcnt);
    if (bytes - hdr_bytes > SLICE_FLOW_FRAME_BYTES_MAX) {
        /* Longer than any packet: it is not worth a copy. */
        s->table.stats.n_dropped_full++;
        return bytes;
    }
    if (flow->mode == SLICE_GATE_DIVERT || flow->mode == SLICE_GATE_FORWARD) {
        if (direction == SLICE_TO_GUEST) {
            g_autofree SlicePacket *packet = slice_gate_packet_new(
                iov, iovcnt, hdr_bytes,
                flow->mode == SLICE_GATE_DIVERT ? SLICE_PACKET_DIVERTED
                                                : SLICE_PACKET_FORWARD);

            gate_deliver(s, &key, packet);      /* @flow may be gone now */
        } else {
            s->table.stats.n_dropped_muted++;
        }
        return bytes;
    }
    if (flow->mode == SLICE_GATE_WATCH && direction == SLICE_TO_GUEST) {
        g_autofree SlicePacket *packet = slice_gate_packet_new(
            iov, iovcnt, hdr_bytes, SLICE_PACKET_RING);

        if (packet->standalone) {
            slice_flows_ring(&s->table, flow, g_steal_pointer(&packet));
        }
    }
    if (slice_flow_waits(&s->table, flow, direction)) {
        slice_flows_keep(&s->table, flow, direction,
                         slice_gate_packet_new(iov, iovcnt, hdr_bytes,
                                               SLICE_PACKET_DIVERTED));
        return bytes;
    }
    return 0;
}

/* ---- what the engine asks (slice/gate.h) ---- */

static bool gate_set_mode(void *gate, const SliceFlow *key, SliceGateMode mode,
                          Error **errp)
{
    FilterSliceState *s = gate;
    bool ok = slice_flows_set_mode(&s->table, key, mode, errp);

    qemu_bh_schedule(s->release_bh);
    return ok;
}

static void gate_drain_ring(void *gate, const SliceFlow *key)
{
    FilterSliceState *s = gate;
    SlicePacketQueue packets = QSIMPLEQ_HEAD_INITIALIZER(packets);

    slice_flows_steal_ring(&s->table, key, &packets);
    gate_deliver_all(s, key, &packets);
}

/* Makes the Ethernet header of a packet that came without; returns its bytes. */
static size_t gate_make_link(FilterSliceState *s, const SliceFlow *key,
                             uint8_t link[SLICE_FLOW_LINK_BYTES])
{
    SliceGateFlow *flow = slice_flows_find(&s->table, key);
    NetClientState *nic = NETFILTER(s)->netdev->peer;
    struct eth_header *eth = (struct eth_header *)link;

    if (flow && flow->link_bytes) {
        memcpy(link, flow->link, flow->link_bytes);
        return flow->link_bytes;
    }
    memset(link, 0, SLICE_FLOW_LINK_BYTES);
    if (nic && nic->info->type == NET_CLIENT_DRIVER_NIC) {
        memcpy(eth->h_dest, qemu_get_nic(nic)->conf->macaddr.a, ETH_ALEN);
    }
    eth->h_source[0] = 0x02;    /* somebody, locally administered */
    eth->h_proto = cpu_to_be16(key->family == 4 ? ETH_P_IP : ETH_P_IPV6);
    return sizeof(*eth);
}

static void gate_put(void *gate, const SliceFlow *key, uint32_t origin,
                     const uint8_t *frame, size_t bytes)
{
    FilterSliceState *s = gate;
    uint8_t link[SLICE_FLOW_LINK_BYTES];
    struct iovec iov[] = {
        { .iov_base = link, .iov_len = 0 },
        { .iov_base = (void *)frame, .iov_len = bytes },
    };

    if (origin == SLICE_PACKET_CAUGHT) {
        iov[0].iov_len = gate_make_link(s, key, link);
        origin = SLICE_PACKET_DIVERTED;
    }
    slice_flows_put(&s->table, key,
                    slice_gate_packet_new(iov, ARRAY_SIZE(iov), 0, origin));
    qemu_bh_schedule(s->release_bh);
}

static void gate_inject(void *gate, const SliceFlow *key, const uint8_t *frame,
                        size_t bytes)
{
    gate_put(gate, key, SLICE_PACKET_DIVERTED, frame, bytes);
}

static void gate_release(void *gate, const SliceFlow *key)
{
    FilterSliceState *s = gate;

    if (slice_flows_find(&s->table, key)) {
        slice_flows_set_mode(&s->table, key, SLICE_FLOW_LEAVING, &error_abort);
        qemu_bh_schedule(s->release_bh);
    }
}

static void gate_give_back(void *gate, const SliceFlow *key)
{
    FilterSliceState *s = gate;
    SlicePacketQueue packets = QSIMPLEQ_HEAD_INITIALIZER(packets);
    SliceFlow flow = *key;

    slice_flows_steal_input(&s->table, &flow, &packets);
    gate_deliver_all(s, &flow, &packets);
}

static void gate_stats(void *gate, SliceGateStats *ret_stats)
{
    FilterSliceState *s = gate;

    *ret_stats = s->table.stats;
    ret_stats->n_flows = g_hash_table_size(s->table.flows);
}

static uint64_t gate_n_held(void *gate, const SliceFlow *key)
{
    FilterSliceState *s = gate;
    const SliceGateFlow *flow = slice_flows_find(&s->table, key);

    return flow ? flow->n_waiting : 0;
}

static uint32_t gate_vnet_hdr_len(void *gate)
{
    return gate_vnet_hdr_bytes(gate);
}

static const SliceGateOps gate_ops = {
    .set_mode = gate_set_mode,
    .drain_ring = gate_drain_ring,
    .put = gate_put,
    .release = gate_release,
    .give_back = gate_give_back,
    .inject = gate_inject,
    .remove = gate_release,
    .stats = gate_stats,
    .vnet_hdr_len = gate_vnet_hdr_len,
    .n_held = gate_n_held,
};

/* ---- the object ---- */

static void filter_slice_setup(NetFilterState *nf, Error **errp)
{
    FilterSliceState *s = FILTER_SLICE(nf);
    NetFilterState *other;

    if (!s->store) {
        error_setg(errp, "Parameter 'store' is required");
        return;
    }
    if (nf->direction != NET_FILTER_DIRECTION_ALL || !nf->on) {
        error_setg(errp, "filter-slice works on both queues, and switched on");
        return;
    }
    QTAILQ_FOREACH(other, &nf->netdev->filters, next) {
        if (object_dynamic_cast(OBJECT(other), TYPE_FILTER_SLICE)) {
            error_setg(errp, "netdev '%s' has a filter-slice already",
                       nf->netdev_id);
            return;
        }
    }
    if (!slice_store_attach_gate(s->store, &gate_ops, s, &s->deliver,
                                 &s->deliver_opaque, errp)) {
        return;
    }
    /* The link's reference goes before filter_slice_cleanup() comes. */
    object_ref(OBJECT(s->store));
    s->attached = true;
    slice_flows_init(&s->table, &s->limits);
    s->release_bh = qemu_bh_new(gate_release_bh, s);
    s->vm_state = qemu_add_vm_change_state_handler(gate_vm_state, s);
}

static void filter_slice_cleanup(NetFilterState *nf)
{
    FilterSliceState *s = FILTER_SLICE(nf);

    if (s->attached) {
        slice_store_detach_gate(s->store, s);
        qemu_del_vm_change_state_handler(s->vm_state);
        qemu_bh_delete(s->release_bh);
        slice_flows_cleanup(&s->table);
        object_unref(OBJECT(s->store));
        s->attached = false;
    }
}

static void filter_slice_status_changed(NetFilterState *nf, Error **errp)
{
    if (!nf->on) {
        nf->on = true;
        error_setg(errp, "filter-slice cannot be switched off: it keeps "
                   "packets from a guest that must not see them");
    }
}

static void filter_slice_handle_event(NetFilterState *nf, int event,
                                      Error **errp)
{
    error_setg(errp, "filter-slice does not work together with COLO");
}

static bool filter_slice_can_be_deleted(UserCreatable *uc)
{
    return !FILTER_SLICE(uc)->attached;
}

static void get_bytes(Object *obj, Visitor *v, const char *name, void *opaque,
                      Error **errp)
{
    uint64_t value = *(uint64_t *)((char *)FILTER_SLICE(obj) +
                                   GPOINTER_TO_SIZE(opaque));

    visit_type_size(v, name, &value, errp);
}

static void set_bytes(Object *obj, Visitor *v, const char *name, void *opaque,
                      Error **errp)
{
    FilterSliceState *s = FILTER_SLICE(obj);
    uint64_t value;

    if (!visit_type_size(v, name, &value, errp)) {
        return;
    }
    if (s->attached) {
        error_setg(errp, "Property '%s' cannot be changed any more", name);
        return;
    }
    *(uint64_t *)((char *)s + GPOINTER_TO_SIZE(opaque)) = value;
}

static void get_flows(Object *obj, Visitor *v, const char *name, void *opaque,
                      Error **errp)
{
    uint32_t value = FILTER_SLICE(obj)->limits.n_flows;

    visit_type_uint32(v, name, &value, errp);
}

static void set_flows(Object *obj, Visitor *v, const char *name, void *opaque,
                      Error **errp)
{
    FilterSliceState *s = FILTER_SLICE(obj);
    uint32_t value;

    if (!visit_type_uint32(v, name, &value, errp)) {
        return;
    }
    if (s->attached) {
        error_setg(errp, "Property '%s' cannot be changed any more", name);
        return;
    }
    s->limits.n_flows = value;
}

static void filter_slice_check_store(const Object *obj, const char *name,
                                     Object *value, Error **errp)
{
    if (FILTER_SLICE(obj)->attached) {
        error_setg(errp, "Property '%s' cannot be changed any more", name);
    }
}

static void filter_slice_init(Object *obj)
{
    FilterSliceState *s = FILTER_SLICE(obj);

    s->limits = (SliceFlowLimits) {
        .flow_bytes = FLOW_BYTES_DEFAULT,
        .total_bytes = TOTAL_BYTES_DEFAULT,
        .ring_bytes = RING_BYTES_DEFAULT,
        .n_flows = FLOWS_DEFAULT,
    };
}

static void add_bytes_property(ObjectClass *oc, const char *name, size_t offset)
{
    object_class_property_add(oc, name, "size", get_bytes, set_bytes, NULL,
                              GSIZE_TO_POINTER(offset));
}

static void filter_slice_class_init(ObjectClass *oc, void *data)
{
    NetFilterClass *nfc = NETFILTER_CLASS(oc);
    UserCreatableClass *ucc = USER_CREATABLE_CLASS(oc);

    object_class_property_add_link(oc, "store", TYPE_SLICE_STORE,
                                   offsetof(FilterSliceState, store),
                                   filter_slice_check_store,
                                   OBJ_PROP_LINK_STRONG);
    add_bytes_property(oc, "flow-bytes",
                       offsetof(FilterSliceState, limits.flow_bytes));
    add_bytes_property(oc, "total-bytes",
                       offsetof(FilterSliceState, limits.total_bytes));
    add_bytes_property(oc, "ring-bytes",
                       offsetof(FilterSliceState, limits.ring_bytes));
    object_class_property_add(oc, "flows", "uint32", get_flows, set_flows,
                              NULL, NULL);

    nfc->setup = filter_slice_setup;
    nfc->cleanup = filter_slice_cleanup;
    nfc->receive_iov = filter_slice_receive_iov;
    nfc->status_changed = filter_slice_status_changed;
    nfc->handle_event = filter_slice_handle_event;
    ucc->can_be_deleted = filter_slice_can_be_deleted;
}

static const TypeInfo filter_slice_info = {
    .name = TYPE_FILTER_SLICE,
    .parent = TYPE_NETFILTER,
    .instance_size = sizeof(FilterSliceState),
    .instance_init = filter_slice_init,
    .class_init = filter_slice_class_init,
};

static void register_types(void)
{
    type_register_static(&filter_slice_info);
}

type_init(register_types);
