/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * engine.c - one VM's slice engine, in the orchestrator's words
 *
 * After each connection the engine is asked for its description and its table, in this
 * order; what it says by itself in between is told on at once, and the
 * table that follows is newer.
 */
#include "engine.h"

#include "util/error.h"

#define QUERY_MS 10000
#define QUERY_RETRY_MS 500

struct SliceEngine {
    char *vm;
    SliceQmp *qmp;
    const SliceEngineHandlers *handlers;
    gpointer data;
    SliceEngineInfo *info;
    JsonNode *stream;
    gboolean synced;
    gboolean asking;
    gboolean ask_again;
    guint retry;
};

typedef struct {
    SliceEngineReply reply;
    gpointer data;
} OrderCall;

typedef struct {
    char *vm;
    SliceEngineEntry told;
    gpointer data;
} QueryCall;

static gboolean ask_later(gpointer data)
{
    SliceEngine *engine = data;

    engine->retry = 0;
    slice_engine_refresh(engine);
    return G_SOURCE_REMOVE;
}

/* A VM without an engine is asked again: it may not be one of ours, it costs little. */
static void asked_in_vain(SliceEngine *engine, const GError *error)
{
    engine->asking = FALSE;
    if (g_error_matches(error, SLICE_ERROR, SLICE_ERROR_UNREACHABLE)) {
        return; /* asked anew once it is connected again */
    }
    g_warning("VM %s does not tell its slices: %s", engine->vm, error->message);
    if (!engine->retry) {
        engine->retry = g_timeout_add(QUERY_RETRY_MS, ask_later, engine);
    }
}

static void slices_told(JsonNode *result, const GError *failed, gpointer data)
{
    SliceEngine *engine = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) entries = NULL;

    if (!failed) {
        entries = slice_engine_parse_entries(result, engine->vm, &error);
    }
    if (!entries) {
        asked_in_vain(engine, failed ? failed : error);
        return;
    }
    engine->asking = FALSE;
    engine->synced = TRUE;
    engine->handlers->synced(engine, entries, engine->data);
    if (engine->ask_again) {
        engine->ask_again = FALSE;
        slice_engine_refresh(engine);
    }
}

static void info_told(JsonNode *result, const GError *failed, gpointer data)
{
    SliceEngine *engine = data;
    g_autoptr(GError) error = NULL;
    SliceEngineInfo *info = NULL;

    if (!failed) {
        info = slice_engine_parse_info(result, &error);
    }
    if (!info) {
        asked_in_vain(engine, failed ? failed : error);
        return;
    }
    slice_engine_info_free(engine->info);
    engine->info = info;
    slice_qmp_call(engine->qmp, "query-slices", NULL, QUERY_MS, slices_told,
                   engine);
}

void slice_engine_refresh(SliceEngine *engine)
{
    if (engine->asking) {
        engine->ask_again = TRUE;
        return;
    }
    engine->asking = TRUE;
    slice_qmp_call(engine->qmp, "query-slice-store", NULL, QUERY_MS, info_told,
                   engine);
}

static void qmp_connected(gpointer data)
{
    slice_engine_refresh(data);
}

static void qmp_lost(const char *why, gpointer data)
{
    SliceEngine *engine = data;

    engine->synced = FALSE;
    engine->ask_again = FALSE;
    engine->handlers->lost(engine, why, engine->data);
}

static void take_changed(SliceEngine *engine, JsonObject *object)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SliceEntry) entry = NULL;

    entry = slice_engine_parse_entry(
        object ? json_object_get_member(object, "slice") : NULL, engine->vm,
        &error);
    if (!entry) {
        g_warning("VM %s: SLICE_CHANGED: %s", engine->vm, error->message);
        return;
    }
    engine->handlers->changed(
        engine, entry,
        json_object_get_boolean_member_with_default(object, "ended", FALSE),
        engine->data);
}

static void qmp_event(const char *name, JsonObject *object, gpointer data)
{
    SliceEngine *engine = data;
    SliceStepEvent step;
    g_autoptr(GError) error = NULL;

    if (g_str_equal(name, "SLICE_MOVE")) {
        if (slice_engine_parse_step(object, &step, &error)) {
            engine->handlers->step(engine, &step, engine->data);
        } else {
            g_warning("VM %s: SLICE_MOVE: %s", engine->vm, error->message);
        }
    } else if (g_str_equal(name, "SLICE_CHANGED")) {
        take_changed(engine, object);
    } else if (g_str_equal(name, "SLICE_GUEST")) {
        slice_engine_refresh(engine);
    } else if (g_str_equal(name, "SLICE_LEASE_LOW") && engine->synced &&
               engine->handlers->lease_low) {
        engine->handlers->lease_low(engine, engine->data);
    }
}

static const SliceQmpHandlers qmp_handlers = {
    .connected = qmp_connected,
    .lost = qmp_lost,
    .event = qmp_event,
};

SliceEngine *slice_engine_new(const char *vm, const char *qmp_path,
                              const SliceEngineHandlers *handlers,
                              gpointer data)
{
    SliceEngine *engine = g_new0(SliceEngine, 1);

    engine->vm = g_strdup(vm);
    engine->handlers = handlers;
    engine->data = data;
    engine->qmp = slice_qmp_new(vm, qmp_path, &qmp_handlers, engine);
    return engine;
}

void slice_engine_free(SliceEngine *engine)
{
    if (!engine) {
        return;
    }
    slice_qmp_free(engine->qmp);
    g_clear_handle_id(&engine->retry, g_source_remove);
    slice_engine_info_free(engine->info);
    g_clear_pointer(&engine->stream, json_node_unref);
    g_free(engine->vm);
    g_free(engine);
}

void slice_engine_start(SliceEngine *engine)
{
    slice_qmp_start(engine->qmp);
}

void slice_engine_stop(SliceEngine *engine)
{
    g_clear_handle_id(&engine->retry, g_source_remove);
    engine->synced = FALSE;
    slice_qmp_stop(engine->qmp);
}

const char *slice_engine_vm(SliceEngine *engine)
{
    return engine->vm;
}

gboolean slice_engine_is_synced(SliceEngine *engine)
{
    return engine->synced;
}

const SliceEngineInfo *slice_engine_info(SliceEngine *engine)
{
    return engine->info;
}

void slice_engine_set_stream(SliceEngine *engine, JsonNode *stream)
{
    g_clear_pointer(&engine->stream, json_node_unref);
    engine->stream = stream ? json_node_copy(stream) : NULL;
}

JsonNode *slice_engine_stream(SliceEngine *engine)
{
    if (engine->stream) {
        return engine->stream;
    }
    return engine->info ? engine->info->stream : NULL;
}

static void order_answered(JsonNode *result, const GError *failed,
                           gpointer data)
{
    g_autofree OrderCall *call = data;
    g_autoptr(GError) error = NULL;
    SliceReply reply = { 0 };

    if (failed) {
        call->reply(NULL, failed, call->data);
        return;
    }
    /* slice-move answers with a list; we order one slice at a time. */
    if (result && JSON_NODE_HOLDS_ARRAY(result)) {
        JsonArray *array = json_node_get_array(result);

        result = json_array_get_length(array) == 1
                     ? json_array_get_element(array, 0) : NULL;
    }
    if (slice_engine_parse_reply(result, &reply, &error)) {
        call->reply(&reply, NULL, call->data);
    } else {
        call->reply(NULL, error, call->data);
    }
}

static void order(SliceEngine *engine, const char *command,
                  JsonObject *arguments, guint timeout_ms,
                  SliceEngineReply reply, gpointer data)
{
    OrderCall *call = g_new0(OrderCall, 1);

    call->reply = reply;
    call->data = data;
    slice_qmp_call(engine->qmp, command, arguments, timeout_ms, order_answered,
                   call);
}

static JsonObject *about(guint32 orchestrator, const char *id, guint64 term)
{
    JsonObject *arguments = json_object_new();

    json_object_set_int_member(arguments, "orchestrator", orchestrator);
    json_object_set_string_member(arguments, "id", id);
    json_object_set_int_member(arguments, "term", term);
    return arguments;
}

void slice_engine_order(SliceEngine *engine, const char *command,
                        guint32 orchestrator, const char *id, guint64 term,
                        guint timeout_ms, SliceEngineReply reply,
                        gpointer data)
{
    order(engine, command, about(orchestrator, id, term), timeout_ms, reply,
          data);
}

void slice_engine_confirm(SliceEngine *engine, guint32 orchestrator,
                          const char *id, guint64 term, gboolean accept,
                          SliceEngineReply reply, gpointer data)
{
    JsonObject *arguments = about(orchestrator, id, term);

    json_object_set_boolean_member(arguments, "accept", accept);
    order(engine, "slice-confirm", arguments, QUERY_MS, reply, data);
}

typedef struct {
    SliceEngineHeard heard;
    gpointer data;
} HeardCall;

static void heard(JsonNode *result, const GError *error, gpointer data)
{
    g_autofree HeardCall *call = data;

    call->heard(error, call->data);
}

static void tell(SliceEngine *engine, const char *command, JsonObject *arguments,
                 SliceEngineHeard callback, gpointer data)
{
    HeardCall *call = g_new0(HeardCall, 1);

    call->heard = callback;
    call->data = data;
    slice_qmp_call(engine->qmp, command, arguments, QUERY_MS, heard, call);
}

void slice_engine_tell_peers(SliceEngine *engine, guint32 orchestrator, GArray *peers,
                             SliceEngineHeard callback, gpointer data)
{
    JsonObject *arguments = json_object_new();
    JsonArray *list = json_array_new();

    for (guint i = 0; i < peers->len; i++) {
        const SliceEnginePeer *peer = &g_array_index(peers, SliceEnginePeer, i);
        JsonObject *object = json_object_new();

        json_object_set_string_member(object, "name", peer->name);
        json_object_set_member(object, "address", json_node_copy(peer->stream));
        json_array_add_object_element(list, object);
    }
    json_object_set_int_member(arguments, "orchestrator", orchestrator);
    json_object_set_array_member(arguments, "peers", list);
    tell(engine, "slice-peers", arguments, callback, data);
}

void slice_engine_lease(SliceEngine *engine, guint32 orchestrator, guint64 first,
                        guint32 count, SliceEngineHeard callback, gpointer data)
{
    JsonObject *arguments = json_object_new();

    json_object_set_int_member(arguments, "orchestrator", orchestrator);
    json_object_set_int_member(arguments, "first", first);
    json_object_set_int_member(arguments, "count", count);
    tell(engine, "slice-lease", arguments, callback, data);
}

static JsonArray *flows_to_json(GArray *flows)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; i < flows->len; i++) {
        const SliceTuple *flow = &g_array_index(flows, SliceTuple, i);
        JsonObject *object = json_object_new();

        json_object_set_string_member(object, "protocol", "tcp");
        json_object_set_string_member(object, "local", flow->local);
        json_object_set_int_member(object, "local-port", flow->local_port);
        json_object_set_string_member(object, "remote", flow->remote);
        json_object_set_int_member(object, "remote-port", flow->remote_port);
        json_array_add_object_element(array, object);
    }
    return array;
}

static JsonArray *counts_to_json(GArray *counts)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; i < counts->len; i++) {
        const SliceCount *count = &g_array_index(counts, SliceCount, i);
        JsonObject *object = json_object_new();

        json_object_set_int_member(object, "rank", count->rank);
        json_object_set_int_member(object, "count", count->n);
        json_array_add_object_element(array, object);
    }
    return array;
}

void slice_engine_prepare(SliceEngine *engine, guint32 orchestrator,
                          const SliceEntry *source, const SliceEngineInfo *from,
                          guint64 term, guint timeout_ms,
                          SliceEngineReply reply, gpointer data)
{
    JsonObject *arguments = about(orchestrator, source->id, term);

    json_object_set_string_member(arguments, "source", from->name);
    json_object_set_array_member(arguments, "flows",
                                 flows_to_json(source->flows));
    json_object_set_member(arguments, "layers", json_node_copy(from->layers));
    json_object_set_int_member(arguments, "vnet-header-length",
                               from->vnet_header_bytes);
    json_object_set_int_member(arguments, "memory", source->memory_bytes);
    if (source->counts->len) {
        json_object_set_array_member(arguments, "counts", counts_to_json(source->counts));
    }
    order(engine, "slice-prepare", arguments, timeout_ms, reply, data);
}

void slice_engine_move(SliceEngine *engine, guint32 orchestrator,
                       const char *id, guint64 term, JsonNode *stream,
                       const char *target_name, guint deadline_ms,
                       guint timeout_ms, SliceEngineReply reply, gpointer data)
{
    JsonObject *arguments = json_object_new();
    JsonObject *item = json_object_new();
    JsonArray *slices = json_array_new();
    g_autofree char *job = g_strdup_printf("slice-%" G_GINT64_MODIFIER "x", term);

    json_object_set_string_member(item, "id", id);
    json_object_set_int_member(item, "term", term);
    json_array_add_object_element(slices, item);
    json_object_set_string_member(arguments, "job-id", job);
    json_object_set_int_member(arguments, "orchestrator", orchestrator);
    json_object_set_array_member(arguments, "slices", slices);
    json_object_set_member(arguments, "target", json_node_copy(stream));
    json_object_set_string_member(arguments, "target-name", target_name);
    json_object_set_int_member(arguments, "deadline-ms", deadline_ms);
    order(engine, "slice-move", arguments, timeout_ms, reply, data);
}

static void query_answered(JsonNode *result, const GError *failed,
                           gpointer data)
{
    QueryCall *call = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) entries = NULL;

    if (!failed) {
        entries = slice_engine_parse_entries(result, call->vm, &error);
    }
    if (entries) {
        call->told(entries->len ? g_ptr_array_index(entries, 0) : NULL, NULL,
                   call->data);
    } else {
        call->told(NULL, failed ? failed : error, call->data);
    }
    g_free(call->vm);
    g_free(call);
}

void slice_engine_query(SliceEngine *engine, const char *id,
                        SliceEngineEntry told, gpointer data)
{
    QueryCall *call = g_new0(QueryCall, 1);
    JsonObject *arguments = json_object_new();

    call->vm = g_strdup(engine->vm);
    call->told = told;
    call->data = data;
    json_object_set_string_member(arguments, "id", id);
    slice_qmp_call(engine->qmp, "query-slices", arguments, QUERY_MS,
                   query_answered, call);
}
