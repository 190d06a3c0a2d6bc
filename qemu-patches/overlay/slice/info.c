/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * info.c - slices as QAPI sees them, and their names
 */
#include "qemu/osdep.h"
#include "qapi/clone-visitor.h"
#include "qapi/qapi-visit-sockets.h"
#include "qapi/util.h"
#include "io/channel-socket.h"
#include "qemu/cutils.h"
#include "slice/store.h"

const char *slice_why_name(uint32_t why)
{
    static const char *const names[WHY__MAX] = {
        [WHY_REFERENCES] = "references",
        [WHY_MOVING] = "moving",
        [WHY_STATE] = "state",
        [WHY_TLS] = "tls",
        [WHY_HTTP2] = "http2",
        [WHY_TOO_LARGE] = "too-large",
        [WHY_OPTION] = "option",
        [WHY_URGENT] = "urgent",
        [WHY_NO_LAYER] = "no-layer",
        [WHY_LAYER_VERSION] = "layer-version",
        [WHY_MEMORY] = "memory",
        [WHY_TUPLE_IN_USE] = "tuple-in-use",
        [WHY_DEADLINE] = "deadline",
        [WHY_LAYER_REFUSED] = "layer-refused",
        [WHY_IMAGE] = "image",
        [WHY_GONE] = "gone",
        [WHY_PEER] = "peer",
        [WHY_TERM] = "term",
        [WHY_ABORTED] = "aborted",
        [WHY_UPGRADED] = "upgraded",
        [WHY_NO_ROOM] = "no-room",
    };

    if (why >= WHY__MAX) {
        return "unknown";
    }
    return names[why];
}

char *slice_id_str(SliceId id)
{
    return g_strdup_printf("%016" PRIx64 ":%016" PRIx64, id.incarnation,
                           id.counter);
}

bool slice_id_parse(const char *text, SliceId *ret_id)
{
    SliceId id;
    const char *end;

    if (qemu_strtou64(text, &end, 16, &id.incarnation) < 0 || *end != ':' ||
        !g_ascii_isxdigit(text[0]) || !g_ascii_isxdigit(end[1]) ||
        qemu_strtou64(end + 1, NULL, 16, &id.counter) < 0 ||
        !id.incarnation) {
        return false;
    }
    *ret_id = id;
    return true;
}

SliceFlowInfo *slice_flow_info_new(const SliceFlow *flow)
{
    int family = flow->family == 6 ? AF_INET6 : AF_INET;
    char local[INET6_ADDRSTRLEN] = "";
    char remote[INET6_ADDRSTRLEN] = "";
    SliceFlowInfo *info = g_new0(SliceFlowInfo, 1);

    inet_ntop(family, flow->local, local, sizeof(local));
    inet_ntop(family, flow->remote, remote, sizeof(remote));
    info->protocol = g_strdup("tcp");
    info->local = g_strdup(local);
    info->local_port = ntohs(flow->local_port);
    info->remote = g_strdup(remote);
    info->remote_port = ntohs(flow->remote_port);
    return info;
}

bool slice_flow_parse(const SliceFlowInfo *info, SliceFlow *ret_flow)
{
    SliceFlow flow = { .protocol = 6 };
    int family = strchr(info->local, ':') ? AF_INET6 : AF_INET;

    if (strcmp(info->protocol, "tcp") ||
        inet_pton(family, info->local, flow.local) != 1 ||
        inet_pton(family, info->remote, flow.remote) != 1) {
        return false;
    }
    flow.family = family == AF_INET6 ? 6 : 4;
    flow.local_port = htons(info->local_port);
    flow.remote_port = htons(info->remote_port);
    *ret_flow = flow;
    return true;
}

SliceInfo *slice_info_new(SliceStore *store, const SliceEntry *entry)
{
    SliceInfo *info = g_new0(SliceInfo, 1);
    SliceFlowInfoList **tail = &info->flows;
    SliceCountList **count_tail = &info->counts;
    const char *why = slice_why_name(entry->why);

    info->id = slice_id_str(entry->id);
    info->state = entry->state;
    info->term = entry->term;
    info->peer = g_strdup(entry->peer);
    info->movability = MIN(entry->movability, SLICE_MOVABILITY__MAX - 1);
    if (entry->state != SLICE_STATE_OWNER || entry->resuming) {
        info->movability = SLICE_MOVABILITY_BUSY;
        why = slice_why_name(WHY_MOVING);
    }
    info->why = g_strdup(why);
    info->label = entry->label[0]
                  ? g_utf8_make_valid(entry->label, -1) : NULL;
    info->top_layer = g_utf8_make_valid(entry->top_layer, -1);
    info->capsules = entry->n_capsules;
    info->memory = entry->memory_bytes;
    for (int i = 0; i < SLICE_COUNTS_MAX && entry->counts[i].rank; i++) {
        SliceCount *count = g_new0(SliceCount, 1);

        count->rank = entry->counts[i].rank;
        count->count = entry->counts[i].n;
        QAPI_LIST_APPEND(count_tail, count);
    }
    info->fenced = entry->fenced;
    for (uint32_t i = 0; i < entry->n_flows; i++) {
        QAPI_LIST_APPEND(tail, slice_flow_info_new(&entry->flows[i]));
        if (store->gate_ops && store->gate_ops->n_held) {
            info->held_packets += store->gate_ops->n_held(store->gate,
                                                          &entry->flows[i]);
        }
    }
    return info;
}

static SliceLayerList *layer_list(const SliceStore *store)
{
    SliceLayerList *list = NULL, **tail = &list;

    for (uint32_t i = 0; i < store->n_layers; i++) {
        SliceLayer *layer = g_new0(SliceLayer, 1);

        layer->name = g_utf8_make_valid(store->layers[i].name, -1);
        layer->version = store->layers[i].version;
        layer->rank = store->layers[i].rank;
        layer->abi_hash = g_strdup_printf("%016" PRIx64,
                                          store->layers[i].abi_hash);
        QAPI_LIST_APPEND(tail, layer);
    }
    return list;
}

static SlicePeerInfoList *peer_list(SliceStore *store)
{
    const GPtrArray *peers = slice_find_peers(store);
    SlicePeerInfoList *list = NULL, **tail = &list;

    for (guint i = 0; i < peers->len; i++) {
        const SlicePeer *peer = g_ptr_array_index(peers, i);
        SlicePeerInfo *info = g_new0(SlicePeerInfo, 1);

        info->name = g_strdup(peer->name);
        info->address = QAPI_CLONE(SocketAddress, peer->address);
        info->connected = peer->conn && slice_conn_is_ready(peer->conn);
        QAPI_LIST_APPEND(tail, info);
    }
    return list;
}

SliceStoreInfo *slice_store_info_new(SliceStore *store)
{
    SliceStoreInfo *info = g_new0(SliceStoreInfo, 1);
    const char *id = object_get_canonical_path_component(OBJECT(store));

    info->id = g_strdup(id ?: "");
    info->name = g_strdup(store->name);
    info->incarnation = g_strdup_printf("%016" PRIx64, store->incarnation);
    info->orchestrator = store->orchestrator;
    if (store->listener && store->listener->nsioc) {
        info->listen = qio_channel_socket_get_local_address(
            store->listener->sioc[0], NULL);
    }
    info->guest_ready = store->is_guest_ready;
    info->layers = layer_list(store);
    info->slices = slice_table_n_slices(store->table);
    info->tombstones = slice_table_n_tombstones(store->table);
    info->dropped_packets = store->n_dropped;
    info->peers = peer_list(store);
    info->terms_left = slice_follow_terms_left(store);
    info->finds = slice_find_n(store);
    if (store->gate_ops) {
        SliceGateStats stats = {};

        store->gate_ops->stats(store->gate, &stats);
        info->vnet_header_length = store->gate_ops->vnet_hdr_len(store->gate);
        info->held_packets = stats.n_held;
        info->dropped_packets += stats.n_dropped_full;
        info->muted_packets = stats.n_dropped_muted;
    }
    return info;
}
