/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake-engine.c - a stand-in for QEMU with a slice engine: QMP on a unix socket
 */
#include "fake-engine-private.h"

#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <string.h>

static void slice_free(gpointer value)
{
    FakeSlice *slice = value;

    g_free(slice->id);
    g_free(slice->client);
    g_free(slice->label);
    g_array_unref(slice->ports);
    g_free(slice);
}

static void answer_free(gpointer value)
{
    FakeAnswer *answer = value;

    g_free(answer->answer);
    g_free(answer->why);
    g_free(answer);
}

/* ---- talking ---- */

static void say(FakeEngine *engine, GSocketConnection *connection,
                const char *text)
{
    GOutputStream *output =
        g_io_stream_get_output_stream(G_IO_STREAM(connection));
    g_autofree char *line = g_strconcat(text, "\n", NULL);

    g_output_stream_write_all(output, line, strlen(line), NULL, NULL, NULL);
}

void fake_engine_say_all(FakeEngine *engine, const char *text)
{
    for (guint i = 0; i < engine->connections->len; i++) {
        say(engine, g_ptr_array_index(engine->connections, i), text);
    }
}

static char *slice_json(const FakeSlice *slice)
{
    g_autoptr(GString) flows = g_string_new("");

    for (guint i = 0; i < slice->ports->len; i++) {
        g_string_append_printf(flows, "%s{\"protocol\": \"tcp\","
            " \"local\": \"%s\", \"local-port\": 80,"
            " \"remote\": \"%s\", \"remote-port\": %u}",
            i ? ", " : "", strchr(slice->client, ':') ? "2001:db8::10" : "192.0.2.10",
            slice->client, g_array_index(slice->ports, guint, i));
    }
    return g_strdup_printf("{\"id\": \"%s\", \"state\": \"%s\", \"term\": %"
        G_GUINT64_FORMAT ", \"movability\": \"%s\", %s%s%s%s%s%s\"label\": \"%s\","
        " \"top-layer\": \"php\", \"capsules\": 4, \"memory\": 12288,"
        " \"counts\": [{\"rank\": 10, \"count\": 2}, {\"rank\": 40, \"count\": 1}],"
        " \"held-packets\": 0, \"fenced\": %s, \"flows\": [%s]}",
        slice->id, slice->state, slice->term, slice->movability,
        slice->why ? "\"why\": \"" : "", slice->why ? slice->why : "",
        slice->why ? "\", " : "", slice->peer ? "\"peer\": \"" : "",
        slice->peer ? slice->peer->name : "", slice->peer ? "\", " : "", slice->label,
        slice->fenced ? "true" : "false", flows->str);
}

void fake_engine_tell_step(FakeEngine *engine, const char *id, guint64 term,
                      const char *step, const char *why)
{
    const FakeSlice *slice = g_hash_table_lookup(engine->slices, id);
    const char *peer = slice && slice->peer ? slice->peer->name : NULL;
    g_autofree char *text = NULL;

    if (g_hash_table_contains(engine->deadly, step)) {
        fake_engine_die(engine);
    }
    if (!engine->alive || g_hash_table_contains(engine->silent, step)) {
        return;
    }
    text = g_strdup_printf("{\"event\": \"SLICE_MOVE\", \"timestamp\": {},"
        " \"data\": {\"id\": \"%s\", \"term\": %" G_GUINT64_FORMAT ","
        " \"step\": \"%s\", \"bytes\": 12288, \"time-us\": %" G_GINT64_FORMAT
        "%s%s%s%s%s%s}}", id, term, step, g_get_monotonic_time(),
        why ? ", \"why\": \"" : "", why ? why : "", why ? "\"" : "",
        peer ? ", \"peer\": \"" : "", peer ? peer : "", peer ? "\"" : "");
    fake_engine_say_all(engine, text);
}

void fake_engine_tell_changed(FakeEngine *engine, const FakeSlice *slice, gboolean ended)
{
    g_autofree char *json = slice_json(slice);
    g_autofree char *text = g_strdup_printf(
        "{\"event\": \"SLICE_CHANGED\", \"data\": {\"slice\": %s,"
        " \"ended\": %s}}", json, ended ? "true" : "false");

    fake_engine_say_all(engine, text);
}

static char *reply(const char *id, const char *answer, guint64 term,
                   const char *why)
{
    return g_strdup_printf("{\"answer\": \"%s\", \"id\": \"%s\", \"term\": %"
        G_GUINT64_FORMAT "%s%s%s}", answer, id, term,
        why ? ", \"why\": \"" : "", why ? why : "", why ? "\"" : "");
}

/* ---- the table ---- */

FakeSlice *fake_engine_slice(FakeEngine *engine, const char *id)
{
    return g_hash_table_lookup(engine->slices, id);
}

static gboolean is(const FakeSlice *slice, const char *state)
{
    return slice && g_str_equal(slice->state, state);
}

/* Return: (nullable): the engine of that name among those that it is joined with. */
static FakeEngine *joined(FakeEngine *engine, const char *name)
{
    for (guint i = 0; i < engine->joined->len; i++) {
        FakeEngine *other = g_ptr_array_index(engine->joined, i);

        if (g_str_equal(other->name, name)) {
            return other;
        }
    }
    return NULL;
}

void fake_engine_reserve(FakeEngine *engine, FakeEngine *source, const char *id, guint64 term)
{
    const FakeSlice *there = fake_engine_slice(source, id);
    FakeSlice *slice;

    fake_engine_add(engine, id, 0);
    slice = fake_engine_slice(engine, id);
    g_array_set_size(slice->ports, 0);
    if (there) {
        g_array_append_vals(slice->ports, there->ports->data, there->ports->len);
        g_free(slice->client);
        slice->client = g_strdup(there->client);
        g_free(slice->label);
        slice->label = g_strdup(there->label);
    }
    slice->state = "reserved";
    slice->term = term;
    slice->peer = source;
    fake_engine_tell_step(engine, id, term, "prepared", NULL);
}

static const char *do_prepare(FakeEngine *engine, const char *id, guint64 term,
                              JsonObject *arguments)
{
    FakeSlice *slice = fake_engine_slice(engine, id);
    JsonArray *counts = json_object_get_array_member(arguments, "counts");

    /* What a guest says of a slice reaches the other guest, which books room for it. */
    g_assert_cmpuint(json_array_get_length(counts), ==, 2);
    g_assert_cmpint(json_object_get_int_member(
                        json_array_get_object_element(counts, 0), "count"), ==, 2);
    if (slice && !is(slice, "gone")) {
        return "is-owner";
    }
    fake_engine_reserve(engine, joined(engine, json_object_get_string_member(arguments, "source")), id,
            term);
    return "ok";
}

const char *fake_engine_begin_move(FakeEngine *engine, const char *id, guint64 term,
                           FakeEngine *target)
{
    FakeSlice *slice = fake_engine_slice(engine, id);

    if (!slice) {
        return "not-found";
    }
    if (!is(slice, "owner") || term <= slice->term) {
        return "busy";
    }
    slice->state = "moving";
    slice->term = term;
    slice->peer = target;
    fake_engine_tell_step(engine, id, term, "quiesced", NULL);
    return "ok";
}

/* The image arrives, the source forgets, the target opens. */
static void hand_over(FakeEngine *engine, FakeSlice *slice)
{
    FakeEngine *peer = slice->peer;
    FakeSlice *there = peer && peer->alive ? fake_engine_slice(peer, slice->id) : NULL;

    if (!is(there, "reserved") || there->term != slice->term) {
        return;
    }
    if (peer->refusal) {
        fake_engine_tell_step(peer, slice->id, slice->term, "discarded", peer->refusal);
        g_hash_table_remove(peer->slices, slice->id);
        slice->state = "owner";
        fake_engine_tell_step(engine, slice->id, slice->term, "resumed", peer->refusal);
        return;
    }
    there->whole = TRUE;
    there->state = "plugged";
    fake_engine_tell_step(peer, slice->id, slice->term, "plugged", NULL);
    if (!peer->alive || g_hash_table_contains(peer->silent, "plugged")) {
        return;
    }
    slice->state = "gone";
    fake_engine_tell_step(engine, slice->id, slice->term, "gone", NULL);
    if (engine->alive) { /* else its FORGOT died with it */
        there->state = "owner";
        fake_engine_tell_step(peer, slice->id, slice->term, "done", NULL);
    }
}

const char *fake_engine_unplug(FakeEngine *engine, const char *id, guint64 term)
{
    FakeSlice *slice = fake_engine_slice(engine, id);

    if (!is(slice, "moving") || slice->term != term) {
        return "stale";
    }
    slice->state = "sent";
    fake_engine_tell_step(engine, id, term, "sent", NULL);
    if (engine->alive) {
        hand_over(engine, slice);
    }
    return "ok";
}

static const char *do_abort(FakeEngine *engine, const char *id, guint64 term)
{
    FakeSlice *slice = fake_engine_slice(engine, id);

    if (!slice) {
        return "not-found";
    }
    if (is(slice, "gone")) {
        return slice->term == term ? "forgotten" : "not-mine";
    }
    if (is(slice, "owner") && slice->term < term) {
        slice->term = term;
        return "not-mine";
    }
    if (slice->term != term) {
        return "not-mine";
    }
    slice->state = "owner";
    fake_engine_tell_step(engine, id, term, "resumed", NULL);
    return "resumed";
}

static const char *do_cancel(FakeEngine *engine, const char *id, guint64 term)
{
    FakeSlice *slice = fake_engine_slice(engine, id);

    if (is(slice, "owner") && slice->term == term) {
        return "is-owner";
    }
    if ((is(slice, "reserved") || is(slice, "plugged")) && slice->term == term) {
        fake_engine_tell_step(engine, id, term, "discarded", NULL);
        g_hash_table_remove(engine->slices, id);
        return "ok";
    }
    return "stale";
}

static const char *do_takeover(FakeEngine *engine, const char *id, guint64 term)
{
    FakeSlice *slice = fake_engine_slice(engine, id);

    if (!slice || slice->term != term) {
        return "stale";
    }
    if (slice->whole || is(slice, "owner")) {
        slice->state = "owner";
        fake_engine_tell_step(engine, id, term, "done", NULL);
        return "is-owner";
    }
    g_hash_table_remove(engine->slices, id);
    return "not-found";
}

static const char *do_confirm(FakeEngine *engine, const char *id, gboolean accept)
{
    FakeSlice *slice = fake_engine_slice(engine, id);

    if (!slice || !slice->fenced) {
        return slice ? "stale" : "not-found";
    }
    slice->fenced = FALSE;
    if (!accept) {
        g_hash_table_remove(engine->slices, id);
    }
    return "ok";
}

static const char *obey(FakeEngine *engine, const char *command, const char *id,
                        guint64 term, JsonObject *arguments)
{
    if (g_str_equal(command, "slice-prepare")) {
        return do_prepare(engine, id, term, arguments);
    }
    if (g_str_equal(command, "slice-move")) {
        return fake_engine_begin_move(engine, id, term, joined(engine, json_object_get_string_member(
                                                            arguments, "target-name")));
    }
    if (g_str_equal(command, "slice-unplug")) {
        return fake_engine_unplug(engine, id, term);
    }
    if (g_str_equal(command, "slice-abort")) {
        return do_abort(engine, id, term);
    }
    if (g_str_equal(command, "slice-cancel")) {
        return do_cancel(engine, id, term);
    }
    if (g_str_equal(command, "slice-confirm")) {
        return do_confirm(engine, id, json_object_get_boolean_member(
                                          arguments, "accept"));
    }
    return do_takeover(engine, id, term);
}

/* ---- commands ---- */

static gboolean is_stale(FakeEngine *engine, JsonObject *arguments)
{
    guint orchestrator = json_object_get_int_member(arguments, "orchestrator");

    if (orchestrator < engine->orchestrator) {
        return TRUE;
    }
    engine->orchestrator = orchestrator;
    return FALSE;
}

static char *take_peers(FakeEngine *engine, JsonObject *arguments)
{
    JsonArray *peers = json_object_get_array_member(arguments, "peers");
    GString *names = g_string_new(NULL);

    for (guint i = 0; i < json_array_get_length(peers); i++) {
        JsonObject *peer = json_array_get_object_element(peers, i);

        g_assert_true(json_object_has_member(peer, "address"));
        g_string_append_printf(names, "%s%s", i ? "," : "",
                               json_object_get_string_member(peer, "name"));
    }
    if (!is_stale(engine, arguments)) {
        g_free(engine->peers);
        engine->peers = g_string_free(names, FALSE);
    }
    return g_strdup("{}");
}

static char *take_lease(FakeEngine *engine, JsonObject *arguments)
{
    if (!is_stale(engine, arguments)) {
        engine->lease.next = json_object_get_int_member(arguments, "first");
        engine->lease.end = engine->lease.next + json_object_get_int_member(arguments, "count");
    }
    return g_strdup("{}");
}

/* Return: (nullable): what 'return' holds; NULL: nothing is said. */
static char *take_order(FakeEngine *engine, const char *command,
                        JsonObject *arguments)
{
    gboolean list = g_str_equal(command, "slice-move");
    JsonObject *item = list ? json_array_get_object_element(
        json_object_get_array_member(arguments, "slices"), 0) : arguments;
    g_autofree char *id = g_strdup(json_object_get_string_member(item, "id"));
    guint64 term = json_object_get_int_member(item, "term");
    FakeAnswer *fault = g_hash_table_lookup(engine->answers, command);
    g_autofree char *answered = NULL;
    FakeSlice *slice;

    if (engine->log) {
        g_string_append_printf(engine->log, "%s%s %s",
                               engine->log->len ? ", " : "", engine->name,
                               command);
    }
    g_hash_table_add(engine->seen, g_strdup(command));
    if (is_stale(engine, arguments)) {
        answered = reply(id, "stale-orchestrator", 0, NULL);
        return list ? g_strdup_printf("[%s]", answered) : g_steal_pointer(&answered);
    }
    if (g_hash_table_contains(engine->deadly, command)) {
        fake_engine_die(engine);
        return NULL;
    }
    if (g_hash_table_contains(engine->silent, command)) {
        return NULL;
    }
    if (fault) {
        answered = reply(id, fault->answer, 0, fault->why);
    } else {
        const char *answer = obey(engine, command, id, term, arguments);

        slice = fake_engine_slice(engine, id);
        answered = reply(id, answer, slice ? slice->term : 0, NULL);
    }
    return list ? g_strdup_printf("[%s]", answered) : g_steal_pointer(&answered);
}

static char *list_slices(FakeEngine *engine, JsonObject *arguments)
{
    const char *id = arguments ? json_object_get_string_member_with_default(
                                     arguments, "id", NULL) : NULL;
    GString *text = g_string_new("[");
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, engine->slices);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        FakeSlice *slice = value;

        if ((!id || g_str_equal(id, slice->id)) && !is(slice, "gone")) {
            g_autofree char *json = slice_json(slice);

            g_string_append_printf(text, "%s%s", text->len > 1 ? ", " : "", json);
        }
    }
    g_string_append(text, "]");
    return g_string_free(text, FALSE);
}

static char *describe(FakeEngine *engine)
{
    return g_strdup_printf("{\"id\": \"sl0\", \"name\": \"%s\","
        " \"incarnation\": \"%016x\", \"orchestrator\": %u, \"listen\":"
        " {\"type\": \"unix\", \"path\": \"/nowhere/%s\"}, \"guest-ready\": %s,"
        " \"layers\": [{\"name\": \"php\", \"version\": 1, \"rank\": 40,"
        " \"abi-hash\": \"0000000000000001\"}], \"vnet-header-length\": 12,"
        " \"slices\": %u, \"tombstones\": 0, \"held-packets\": 0,"
        " \"dropped-packets\": 0, \"muted-packets\": 0}",
        engine->name, g_str_hash(engine->name), engine->orchestrator,
        engine->name, engine->ready ? "true" : "false",
        g_hash_table_size(engine->slices));
}

static void take_line(FakeEngine *engine, GSocketConnection *connection,
                      const char *line)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonObject *object, *arguments = NULL;
    g_autofree char *result = NULL;
    g_autofree char *text = NULL;
    const char *command;

    g_assert_true(json_parser_load_from_data(parser, line, -1, NULL));
    object = json_node_get_object(json_parser_get_root(parser));
    command = json_object_get_string_member(object, "execute");
    if (json_object_has_member(object, "arguments")) {
        arguments = json_object_get_object_member(object, "arguments");
    }
    if (g_str_equal(command, "qmp_capabilities")) {
        result = g_strdup("{}");
    } else if (g_str_equal(command, "query-slice-store")) {
        result = describe(engine);
    } else if (g_str_equal(command, "query-slices")) {
        result = list_slices(engine, arguments);
    } else if (g_str_equal(command, "slice-peers")) {
        result = take_peers(engine, arguments);
    } else if (g_str_equal(command, "slice-lease")) {
        result = take_lease(engine, arguments);
    } else {
        result = take_order(engine, command, arguments);
    }
    if (result && engine->alive) {
        text = g_strdup_printf("{\"return\": %s, \"id\": %" G_GINT64_FORMAT "}",
                               result, json_object_get_int_member(object, "id"));
        say(engine, connection, text);
    }
}

typedef struct {
    FakeEngine *engine;
    GSocketConnection *connection;
    GDataInputStream *input;
} Reader;

/* What has come for a frozen one. */
typedef struct {
    Reader *reader;
    char *line; /* NULL: the end */
} FakeUnread;

static void line_read(GObject *source, GAsyncResult *result, gpointer data);

static void take(Reader *reader, char *text)
{
    g_autofree char *line = text;

    if (line && reader->engine->alive) {
        take_line(reader->engine, reader->connection, line);
    }
    if (line && reader->engine->alive) {
        g_data_input_stream_read_line_async(reader->input, G_PRIORITY_DEFAULT,
                                            NULL, line_read, reader);
        return;
    }
    g_ptr_array_remove(reader->engine->connections, reader->connection);
    g_object_unref(reader->input);
    g_object_unref(reader->connection);
    g_free(reader);
}

static void line_read(GObject *source, GAsyncResult *result, gpointer data)
{
    Reader *reader = data;
    char *line = g_data_input_stream_read_line_finish(G_DATA_INPUT_STREAM(source), result,
                                                      NULL, NULL);

    if (reader->engine->unread) {
        FakeUnread *unread = g_new0(FakeUnread, 1);

        unread->reader = reader;
        unread->line = line;
        g_queue_push_tail(reader->engine->unread, unread);
    } else {
        take(reader, line);
    }
}

void fake_engine_freeze(FakeEngine *engine)
{
    engine->unread = g_queue_new();
}

void fake_engine_thaw(FakeEngine *engine)
{
    GQueue *unread = g_steal_pointer(&engine->unread);

    while (unread && !g_queue_is_empty(unread)) {
        g_autofree FakeUnread *next = g_queue_pop_head(unread);

        take(next->reader, next->line);
    }
    g_clear_pointer(&unread, g_queue_free);
}

static gboolean incoming(GSocketService *service, GSocketConnection *connection,
                         GObject *source, FakeEngine *engine)
{
    Reader *reader = g_new0(Reader, 1);

    reader->engine = engine;
    reader->connection = g_object_ref(connection);
    reader->input = g_data_input_stream_new(
        g_io_stream_get_input_stream(G_IO_STREAM(connection)));
    g_ptr_array_add(engine->connections, g_object_ref(connection));
    say(engine, connection, "{\"QMP\": {\"version\": {}, \"capabilities\": []}}");
    g_data_input_stream_read_line_async(reader->input, G_PRIORITY_DEFAULT, NULL,
                                        line_read, reader);
    return TRUE;
}

/* ---- for tests ---- */

FakeEngine *fake_engine_new(const char *name, const char *path, GString *log)
{
    FakeEngine *engine = g_new0(FakeEngine, 1);
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    g_autoptr(GError) error = NULL;

    engine->name = g_strdup(name);
    engine->path = g_strdup(path);
    engine->log = log;
    engine->alive = engine->ready = TRUE;
    engine->connections = g_ptr_array_new_with_free_func(g_object_unref);
    engine->joined = g_ptr_array_new();
    engine->slices = g_hash_table_new_full(g_str_hash, g_str_equal, NULL,
                                           slice_free);
    engine->answers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                            answer_free);
    engine->silent = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    engine->deadly = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    engine->seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    engine->service = g_socket_service_new();
    g_unlink(path);
    g_socket_listener_add_address(G_SOCKET_LISTENER(engine->service), address,
                                  G_SOCKET_TYPE_STREAM,
                                  G_SOCKET_PROTOCOL_DEFAULT, NULL, NULL, &error);
    g_assert_no_error(error);
    g_signal_connect(engine->service, "incoming", G_CALLBACK(incoming), engine);
    return engine;
}

void fake_engine_die(FakeEngine *engine)
{
    engine->alive = FALSE;
    g_socket_service_stop(engine->service);
    g_socket_listener_close(G_SOCKET_LISTENER(engine->service));
    g_unlink(engine->path);
    for (guint i = 0; i < engine->connections->len; i++) {
        GSocketConnection *connection =
            g_ptr_array_index(engine->connections, i);

        g_socket_shutdown(g_socket_connection_get_socket(connection), TRUE, TRUE,
                          NULL);
    }
}

void fake_engine_free(FakeEngine *engine)
{
    if (!engine) {
        return;
    }
    fake_engine_die(engine);
    fake_engine_thaw(engine);
    while (engine->connections->len) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_object_unref(engine->service);
    g_ptr_array_unref(engine->connections);
    g_hash_table_unref(engine->slices);
    g_hash_table_unref(engine->answers);
    g_hash_table_unref(engine->silent);
    g_hash_table_unref(engine->deadly);
    g_hash_table_unref(engine->seen);
    g_ptr_array_unref(engine->joined);
    g_free(engine->peers);
    g_free(engine->refusal);
    g_free(engine->name);
    g_free(engine->path);
    g_free(engine);
}
