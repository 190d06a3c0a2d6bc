/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qmp.c - the orchestrator's commands
 *
 * Here arguments are checked and answers are worded; what happens is in move.c
 * and arrive.c.  A command of an orchestrator that is not the newest changes
 * nothing.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-slice.h"
#include "qapi/util.h"
#include "qemu/cutils.h"
#include "slice/store.h"

#define MOVE_SLICES_MAX     4096
#define DEADLINE_MS_MAX     600000
#define PEERS_MAX           256

SliceStoreInfo *qmp_query_slice_store(Error **errp)
{
    SliceStore *store = slice_store_find(errp);

    return store ? slice_store_info_new(store) : NULL;
}

SliceInfoList *qmp_query_slices(bool has_gone, bool gone, const char *id,
                                Error **errp)
{
    SliceStore *store = slice_store_find(errp);
    SliceInfoList *list = NULL, **tail = &list;
    SliceEntry *entry;
    SliceId only = {};

    if (!store) {
        return NULL;
    }
    if (id && !slice_id_parse(id, &only)) {
        error_setg(errp, "'%s' is no slice id", id);
        return NULL;
    }
    if (id) {
        entry = slice_table_find(store->table, only);
        if (entry) {
            QAPI_LIST_APPEND(tail, slice_info_new(store, entry));
        }
        return list;
    }
    QTAILQ_FOREACH(entry, slice_table_entries(store->table), next) {
        if (gone || !slice_entry_is_tombstone(entry)) {
            QAPI_LIST_APPEND(tail, slice_info_new(store, entry));
        }
    }
    return list;
}

/* ---- answers ---- */

static SliceReply *reply_new(SliceStore *store, SliceId id, SliceAnswer answer,
                             uint32_t why)
{
    SliceEntry *entry = slice_table_find(store->table, id);
    SliceReply *reply = g_new0(SliceReply, 1);

    reply->answer = answer;
    reply->id = slice_id_str(id);
    reply->term = entry ? entry->term : 0;
    reply->why = g_strdup(slice_why_name(why));
    if (entry && answer == SLICE_ANSWER_NOT_MINE &&
        slice_entry_is_tombstone(entry)) {
        reply->peer = g_strdup(entry->peer);
    }
    return reply;
}

/* What most commands begin with.  NULL with @errp, or with *ret_reply. */
static SliceStore *obey(uint32_t orchestrator, const char *id, SliceId *ret_id,
                        SliceReply **ret_reply, Error **errp)
{
    SliceStore *store = slice_store_find(errp);

    *ret_reply = NULL;
    if (!store) {
        return NULL;
    }
    if (!slice_id_parse(id, ret_id)) {
        error_setg(errp, "'%s' is no slice id", id);
        return NULL;
    }
    if (!slice_store_obey(store, orchestrator)) {
        *ret_reply = reply_new(store, *ret_id,
                               SLICE_ANSWER_STALE_ORCHESTRATOR, WHY_NONE);
        return NULL;
    }
    return store;
}

/* ---- target ---- */

static bool parse_flows(SliceFlowInfoList *list, GArray *flows, Error **errp)
{
    SliceFlow flow;

    for (; list; list = list->next) {
        if (!slice_flow_parse(list->value, &flow)) {
            error_setg(errp, "%s %s:%u %s:%u is no flow",
                       list->value->protocol, list->value->local,
                       list->value->local_port, list->value->remote,
                       list->value->remote_port);
            return false;
        }
        g_array_append_val(flows, flow);
        if (flows->len > SLICE_TABLE_FLOWS_MAX) {
            error_setg(errp, "a slice has at most %u flows",
                       SLICE_TABLE_FLOWS_MAX);
            return false;
        }
    }
    return true;
}

static bool parse_layers(SliceLayerList *list, GArray *layers, Error **errp)
{
    for (; list; list = list->next) {
        SliceLayerInfo layer = {
            .version = list->value->version,
            .rank = list->value->rank,
        };

        if (strlen(list->value->name) >= sizeof(layer.name) ||
            qemu_strtou64(list->value->abi_hash, NULL, 16,
                          &layer.abi_hash) < 0) {
            error_setg(errp, "'%s' with ABI hash '%s' is no layer",
                       list->value->name, list->value->abi_hash);
            return false;
        }
        pstrcpy(layer.name, sizeof(layer.name), list->value->name);
        g_array_append_val(layers, layer);
        if (layers->len > SLICE_LAYERS_MAX) {
            error_setg(errp, "a VM has at most %u layers", SLICE_LAYERS_MAX);
            return false;
        }
    }
    return true;
}

static bool parse_counts(SliceCountList *list,
                         SliceLayerCount ret_counts[SLICE_COUNTS_MAX],
                         Error **errp)
{
    uint32_t n = 0;

    for (; list && n < SLICE_COUNTS_MAX; list = list->next, n++) {
        ret_counts[n] = (SliceLayerCount) { list->value->rank,
                                            list->value->count };
        if (!ret_counts[n].rank) {
            break;
        }
    }
    if (list || !slice_counts_are_sound(ret_counts)) {
        error_setg(errp, "counts must be at most %d, of different ranks, "
                   "and not zero", SLICE_COUNTS_MAX);
        return false;
    }
    return true;
}

SliceReply *coroutine_fn qmp_slice_prepare(uint32_t orchestrator, const char *id,
                              uint64_t term, const char *source,
                              SliceFlowInfoList *flow_list,
                              SliceLayerList *layer_list,
                              uint32_t vnet_header_length, uint64_t memory,
                              bool has_counts, SliceCountList *count_list,
                              Error **errp)
{
    g_autoptr(GArray) flows = g_array_new(false, false, sizeof(SliceFlow));
    g_autoptr(GArray) layers = g_array_new(false, false,
                                           sizeof(SliceLayerInfo));
    SliceArrival arrival = {
        .term = term, .source = source, .vnet_hdr_len = vnet_header_length,
        .memory_bytes = memory,
    };
    SliceReply *reply;
    SliceStore *store = obey(orchestrator, id, &arrival.id, &reply, errp);
    SliceAnswer answer;
    uint32_t why;

    if (!store || !parse_flows(flow_list, flows, errp) ||
        !parse_layers(layer_list, layers, errp) ||
        !parse_counts(has_counts ? count_list : NULL, arrival.counts, errp)) {
        return reply;
    }
    arrival.flows = (const SliceFlow *)flows->data;
    arrival.n_flows = flows->len;
    arrival.layers = (const SliceLayerInfo *)layers->data;
    arrival.n_layers = layers->len;
    object_ref(OBJECT(store));
    answer = slice_arrive_prepare(store, &arrival, &why);
    reply = reply_new(store, arrival.id, answer, why);
    object_unref(OBJECT(store));
    return reply;
}

SliceReply *qmp_slice_cancel(uint32_t orchestrator, const char *id_text,
                             uint64_t term, Error **errp)
{
    SliceReply *reply;
    SliceId id;
    SliceStore *store = obey(orchestrator, id_text, &id, &reply, errp);

    return store ? reply_new(store, id, slice_arrive_cancel(store, id, term),
                             WHY_NONE) : reply;
}

SliceReply *coroutine_fn qmp_slice_takeover(uint32_t orchestrator,
                                            const char *id_text, uint64_t term,
                                            Error **errp)
{
    SliceReply *reply;
    SliceId id;
    SliceStore *store = obey(orchestrator, id_text, &id, &reply, errp);

    if (store) {
        object_ref(OBJECT(store));
        reply = reply_new(store, id, slice_arrive_takeover(store, id, term),
                          WHY_NONE);
        object_unref(OBJECT(store));
    }
    return reply;
}

SliceReply *qmp_slice_confirm(uint32_t orchestrator, const char *id_text,
                              uint64_t term, bool accept, Error **errp)
{
    SliceReply *reply;
    SliceId id;
    SliceStore *store = obey(orchestrator, id_text, &id, &reply, errp);

    return store ? reply_new(store, id, slice_arrive_confirm(store, id, term,
                                                             accept),
                             WHY_NONE) : reply;
}

/* ---- source ---- */

static bool parse_items(SliceMoveItemList *list, GArray *ids, GArray *terms,
                        Error **errp)
{
    SliceId id;

    for (; list; list = list->next) {
        if (!slice_id_parse(list->value->id, &id)) {
            error_setg(errp, "'%s' is no slice id", list->value->id);
            return false;
        }
        g_array_append_val(ids, id);
        g_array_append_val(terms, list->value->term);
        if (ids->len > MOVE_SLICES_MAX) {
            error_setg(errp, "a job moves at most %u slices", MOVE_SLICES_MAX);
            return false;
        }
    }
    if (!ids->len) {
        error_setg(errp, "a job moves at least one slice");
        return false;
    }
    return true;
}

static bool check_address(const SocketAddress *address, Error **errp)
{
    if (address->type != SOCKET_ADDRESS_TYPE_INET &&
        address->type != SOCKET_ADDRESS_TYPE_UNIX) {
        error_setg(errp, "an engine's stream has an inet or unix address");
        return false;
    }
    return true;
}

static SliceReplyList *move_replies(SliceStore *store, const SliceId *ids,
                                    uint32_t n, const SliceAnswer *answers,
                                    const uint32_t *whys)
{
    SliceReplyList *list = NULL, **tail = &list;

    for (uint32_t i = 0; i < n; i++) {
        QAPI_LIST_APPEND(tail, reply_new(store, ids[i],
                                         answers ? answers[i] :
                                         SLICE_ANSWER_STALE_ORCHESTRATOR,
                                         whys ? whys[i] : WHY_NONE));
    }
    return list;
}

SliceReplyList *qmp_slice_move(const char *job_id, uint32_t orchestrator,
                               SliceMoveItemList *items, SocketAddress *target,
                               const char *target_name, uint32_t deadline_ms,
                               Error **errp)
{
    g_autoptr(GArray) ids = g_array_new(false, false, sizeof(SliceId));
    g_autoptr(GArray) terms = g_array_new(false, false, sizeof(uint64_t));
    g_autofree SliceAnswer *answers = NULL;
    g_autofree uint32_t *whys = NULL;
    SliceStore *store = slice_store_find(errp);
    SliceReplyList *replies = NULL;
    SlicePeer *peer;

    if (!store || !parse_items(items, ids, terms, errp)) {
        return NULL;
    }
    if (!deadline_ms || deadline_ms > DEADLINE_MS_MAX) {
        error_setg(errp, "deadline-ms must be 1 to %u", DEADLINE_MS_MAX);
        return NULL;
    }
    if (!check_address(target, errp)) {
        return NULL;
    }
    if (!slice_store_obey(store, orchestrator)) {
        return move_replies(store, (SliceId *)ids->data, ids->len, NULL, NULL);
    }
    answers = g_new0(SliceAnswer, ids->len);
    whys = g_new0(uint32_t, ids->len);
    peer = slice_peer_get(store, target_name, target);
    if (slice_move_start(store, job_id, peer, (SliceId *)ids->data,
                         (uint64_t *)terms->data, ids->len, deadline_ms,
                         answers, whys, errp)) {
        replies = move_replies(store, (SliceId *)ids->data, ids->len, answers,
                               whys);
    }
    slice_peer_put(peer);
    return replies;
}

SliceReply *qmp_slice_unplug(uint32_t orchestrator, const char *id_text,
                             uint64_t term, Error **errp)
{
    SliceReply *reply;
    SliceId id;
    SliceStore *store = obey(orchestrator, id_text, &id, &reply, errp);
    SliceAnswer answer;
    uint32_t why;

    if (!store) {
        return reply;
    }
    answer = slice_move_unplug(store, id, term, &why);
    return reply_new(store, id, answer, why);
}

SliceReply *coroutine_fn qmp_slice_abort(uint32_t orchestrator,
                                         const char *id_text, uint64_t term,
                                         Error **errp)
{
    SliceReply *reply;
    SliceId id;
    SliceStore *store = obey(orchestrator, id_text, &id, &reply, errp);
    SliceAnswer answer;
    uint32_t why;

    if (!store) {
        return reply;
    }
    object_ref(OBJECT(store));
    answer = slice_move_abort(store, id, term, &why);
    reply = reply_new(store, id, answer, why);
    object_unref(OBJECT(store));
    return reply;
}

/* ---- moves of the engines' own ---- */

static SliceSetupReply *setup_reply(SliceStore *store, SliceAnswer answer)
{
    SliceSetupReply *reply = g_new0(SliceSetupReply, 1);

    reply->answer = answer;
    reply->terms_left = slice_follow_terms_left(store);
    return reply;
}

SliceSetupReply *qmp_slice_peers(uint32_t orchestrator,
                                 SlicePeerAddressList *list, Error **errp)
{
    SliceStore *store = slice_store_find(errp);
    g_autoptr(GPtrArray) peers = g_ptr_array_new();
    SlicePeerAddressList *item;
    uint32_t n = 0;

    if (!store) {
        return NULL;
    }
    for (item = list; item; item = item->next) {
        if (++n > PEERS_MAX) {
            error_setg(errp, "a cluster has at most %d other VMs", PEERS_MAX);
            return NULL;
        }
        if (!check_address(item->value->address, errp)) {
            return NULL;
        }
    }
    if (!slice_store_obey(store, orchestrator)) {
        return setup_reply(store, SLICE_ANSWER_STALE_ORCHESTRATOR);
    }
    for (item = list; item; item = item->next) {
        SlicePeer *peer;

        if (!strcmp(item->value->name, store->name)) {
            continue;
        }
        peer = slice_peer_get(store, item->value->name, item->value->address);
        if (g_ptr_array_find(peers, peer, NULL)) {
            slice_peer_put(peer);
        } else {
            g_ptr_array_add(peers, peer);
        }
    }
    slice_find_set_peers(store, peers);
    return setup_reply(store, SLICE_ANSWER_OK);
}

SliceSetupReply *qmp_slice_lease(uint32_t orchestrator, uint64_t first,
                                 uint32_t count, Error **errp)
{
    SliceStore *store = slice_store_find(errp);

    if (!store) {
        return NULL;
    }
    if (!slice_store_obey(store, orchestrator)) {
        return setup_reply(store, SLICE_ANSWER_STALE_ORCHESTRATOR);
    }
    if (!slice_follow_lease(store, first, count)) {
        error_setg(errp, "%u terms from %" PRIu64 " are no terms", count,
                   first);
        return NULL;
    }
    return setup_reply(store, SLICE_ANSWER_OK);
}
