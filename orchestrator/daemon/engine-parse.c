/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * engine-parse.c - what an engine says, checked
 */
#include "engine.h"

#include <string.h>

#include "util/error.h"
#include "util/id.h"

/* A slice has capsules of at most so many layers. */
#define RANKS_MAX 8

static const char *const answer_names[] = {
    [SLICE_ANSWER_OK] = "ok",
    [SLICE_ANSWER_BUSY] = "busy",
    [SLICE_ANSWER_STALE_ORCHESTRATOR] = "stale-orchestrator",
    [SLICE_ANSWER_NOT_FOUND] = "not-found",
    [SLICE_ANSWER_RESUMED] = "resumed",
    [SLICE_ANSWER_FORGOTTEN] = "forgotten",
    [SLICE_ANSWER_NOT_MINE] = "not-mine",
    [SLICE_ANSWER_IS_OWNER] = "is-owner",
    [SLICE_ANSWER_REFUSED] = "refused",
    [SLICE_ANSWER_STALE] = "stale",
};

const char *slice_answer_name(SliceAnswer answer)
{
    return answer_names[answer];
}

static gboolean wrong(GError **error, const char *member)
{
    g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID,
                "the engine's '%s' is missing or of the wrong type", member);
    return FALSE;
}

static JsonObject *object_of(JsonNode *node, const char *what, GError **error)
{
    if (!node || !JSON_NODE_HOLDS_OBJECT(node)) {
        wrong(error, what);
        return NULL;
    }
    return json_node_get_object(node);
}

static gboolean is_value(JsonNode *node, GType type)
{
    return node && JSON_NODE_HOLDS_VALUE(node) &&
           json_node_get_value_type(node) == type;
}

/* Return: (nullable): lent; NULL where it is missing or no string. */
static const char *text_of(JsonObject *object, const char *member)
{
    JsonNode *node = json_object_get_member(object, member);

    return is_value(node, G_TYPE_STRING) ? json_node_get_string(node) : NULL;
}

/* Numbers above 2^63 do not occur: terms have 32 bits of incarnation below 2^31. */
static gboolean number_of(JsonObject *object, const char *member,
                          guint64 *ret_number)
{
    JsonNode *node = json_object_get_member(object, member);

    if (!is_value(node, G_TYPE_INT64) || json_node_get_int(node) < 0) {
        return FALSE;
    }
    *ret_number = json_node_get_int(node);
    return TRUE;
}

static guint64 number_or_zero(JsonObject *object, const char *member)
{
    guint64 number = 0;

    number_of(object, member, &number);
    return number;
}

static gboolean bool_of(JsonObject *object, const char *member)
{
    JsonNode *node = json_object_get_member(object, member);

    return is_value(node, G_TYPE_BOOLEAN) && json_node_get_boolean(node);
}

static JsonArray *array_of(JsonObject *object, const char *member)
{
    JsonNode *node = json_object_get_member(object, member);

    return node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node)
                                               : NULL;
}

static gboolean parse_flow(JsonNode *node, SliceTuple *ret_flow, GError **error)
{
    JsonObject *object = object_of(node, "flows", error);

    return object &&
           slice_tuple_set(ret_flow, text_of(object, "protocol"),
                           text_of(object, "local"),
                           number_or_zero(object, "local-port"),
                           text_of(object, "remote"),
                           number_or_zero(object, "remote-port"), error);
}

static gboolean parse_flows(JsonArray *array, GArray *flows, GError **error)
{
    for (guint i = 0; i < json_array_get_length(array); i++) {
        SliceTuple flow;

        if (!parse_flow(json_array_get_element(array, i), &flow, error)) {
            return FALSE;
        }
        g_array_append_val(flows, flow);
    }
    return TRUE;
}

/* Missing: an engine that does not tell them; more than there are ranks: none of ours. */
static gboolean parse_counts(JsonArray *array, GArray *counts, GError **error)
{
    guint n = array ? json_array_get_length(array) : 0;

    for (guint i = 0; i < n; i++) {
        JsonObject *object = object_of(json_array_get_element(array, i), "counts", error);
        guint64 rank, count;

        if (!object) {
            return FALSE;
        }
        if (n > RANKS_MAX || !number_of(object, "rank", &rank) || rank > G_MAXUINT16 ||
            !number_of(object, "count", &count) || count > G_MAXUINT16) {
            return wrong(error, "counts");
        }
        g_array_append_vals(counts, &(SliceCount){ rank, count }, 1);
    }
    return TRUE;
}

static void take_text(char **slot, const char *text)
{
    if (text) {
        g_free(*slot);
        *slot = g_strdup(text);
    }
}

SliceEntry *slice_engine_parse_entry(JsonNode *node, const char *vm,
                                     GError **error)
{
    JsonObject *object = object_of(node, "slice", error);
    g_autoptr(SliceEntry) entry = NULL;
    JsonArray *flows;

    if (!object) {
        return NULL;
    }
    if (!slice_id_is_valid(text_of(object, "id"))) {
        wrong(error, "id");
        return NULL;
    }
    entry = slice_entry_new(text_of(object, "id"), vm);
    flows = array_of(object, "flows");
    if (!slice_state_from_name(text_of(object, "state"), &entry->state) ||
        !number_of(object, "term", &entry->term) || !flows) {
        wrong(error, flows ? "state or term" : "flows");
        return NULL;
    }
    if (!parse_flows(flows, entry->flows, error) ||
        !parse_counts(array_of(object, "counts"), entry->counts, error)) {
        return NULL;
    }
    take_text(&entry->peer, text_of(object, "peer"));
    take_text(&entry->movability, text_of(object, "movability"));
    take_text(&entry->why, text_of(object, "why"));
    take_text(&entry->label, text_of(object, "label"));
    take_text(&entry->top_layer, text_of(object, "top-layer"));
    entry->capsules = number_or_zero(object, "capsules");
    entry->memory_bytes = number_or_zero(object, "memory");
    entry->held_packets = number_or_zero(object, "held-packets");
    entry->fenced = bool_of(object, "fenced");
    return g_steal_pointer(&entry);
}

GPtrArray *slice_engine_parse_entries(JsonNode *node, const char *vm,
                                      GError **error)
{
    g_autoptr(GPtrArray) entries =
        g_ptr_array_new_with_free_func((GDestroyNotify)slice_entry_free);
    JsonArray *array;

    if (!node || !JSON_NODE_HOLDS_ARRAY(node)) {
        wrong(error, "slices");
        return NULL;
    }
    array = json_node_get_array(node);
    for (guint i = 0; i < json_array_get_length(array); i++) {
        SliceEntry *entry = slice_engine_parse_entry(
            json_array_get_element(array, i), vm, error);

        if (!entry) {
            return NULL;
        }
        g_ptr_array_add(entries, entry);
    }
    return g_steal_pointer(&entries);
}

void slice_engine_info_free(SliceEngineInfo *info)
{
    if (info) {
        g_free(info->name);
        g_free(info->incarnation);
        g_clear_pointer(&info->stream, json_node_unref);
        g_clear_pointer(&info->layers, json_node_unref);
        g_free(info);
    }
}

SliceEngineInfo *slice_engine_parse_info(JsonNode *node, GError **error)
{
    JsonObject *object = object_of(node, "slice store", error);
    g_autoptr(SliceEngineInfo) info = NULL;
    JsonNode *stream;

    if (!object) {
        return NULL;
    }
    if (!text_of(object, "name") || !text_of(object, "incarnation") ||
        !array_of(object, "layers")) {
        wrong(error, "name, incarnation or layers");
        return NULL;
    }
    info = g_new0(SliceEngineInfo, 1);
    info->name = g_strdup(text_of(object, "name"));
    info->incarnation = g_strdup(text_of(object, "incarnation"));
    info->guest_ready = bool_of(object, "guest-ready");
    info->layers = json_node_copy(json_object_get_member(object, "layers"));
    stream = json_object_get_member(object, "listen");
    if (stream && JSON_NODE_HOLDS_OBJECT(stream)) {
        info->stream = json_node_copy(stream);
    }
    info->vnet_header_bytes = number_or_zero(object, "vnet-header-length");
    info->slices = number_or_zero(object, "slices");
    info->tombstones = number_or_zero(object, "tombstones");
    info->held_packets = number_or_zero(object, "held-packets");
    info->dropped_packets = number_or_zero(object, "dropped-packets");
    info->muted_packets = number_or_zero(object, "muted-packets");
    info->terms_left = number_or_zero(object, "terms-left");
    return g_steal_pointer(&info);
}

gboolean slice_engine_parse_reply(JsonNode *node, SliceReply *ret_reply,
                                  GError **error)
{
    JsonObject *object = object_of(node, "reply", error);
    const char *name;

    if (!object) {
        return FALSE;
    }
    name = text_of(object, "answer");
    for (gsize i = 0; i < G_N_ELEMENTS(answer_names); i++) {
        if (!g_strcmp0(name, answer_names[i])) {
            ret_reply->answer = i;
            ret_reply->term = number_or_zero(object, "term");
            ret_reply->why = text_of(object, "why");
            ret_reply->peer = text_of(object, "peer");
            return TRUE;
        }
    }
    return wrong(error, "answer");
}

gboolean slice_engine_parse_step(JsonObject *object, SliceStepEvent *ret_event,
                                 GError **error)
{
    SliceStepEvent event = { 0 };

    if (!object || !slice_id_is_valid(text_of(object, "id")) ||
        !number_of(object, "term", &event.term) || !text_of(object, "step")) {
        return wrong(error, "id, term or step");
    }
    event.id = text_of(object, "id");
    event.step = text_of(object, "step");
    event.why = text_of(object, "why");
    event.peer = text_of(object, "peer");
    event.bytes = number_or_zero(object, "bytes");
    event.packets = number_or_zero(object, "packets");
    event.time_us = number_or_zero(object, "time-us");
    *ret_event = event;
    return TRUE;
}

JsonNode *slice_engine_parse_stream(const char *text, GError **error)
{
    g_autoptr(JsonObject) object = json_object_new();
    JsonNode *node;

    if (g_str_has_prefix(text, "unix:")) {
        json_object_set_string_member(object, "type", "unix");
        json_object_set_string_member(object, "path", text + strlen("unix:"));
    } else {
        const char *colon = strrchr(text, ':');
        g_autofree char *host = colon ? g_strndup(text, colon - text) : NULL;
        guint64 port;

        if (!colon || colon == text ||
            !g_ascii_string_to_unsigned(colon + 1, 10, 1, 65535, &port, NULL)) {
            g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID,
                        "'%s' is no stream address: HOST:PORT or unix:PATH",
                        text);
            return NULL;
        }
        json_object_set_string_member(object, "type", "inet");
        json_object_set_string_member(object, "host", host);
        json_object_set_string_member(object, "port", colon + 1);
    }
    node = json_node_new(JSON_NODE_OBJECT);
    json_node_set_object(node, object);
    return node;
}
