/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qmp.c - one QEMU's monitor: commands, answers, events, its death
 *
 * STOPPED --start--> WAITING --timer--> CONNECTING --connected--> GREETING
 *    --greeting, qmp_capabilities answered--> READY --end of file--> WAITING
 *
 * Each connection has a Link of its own, which the asynchronous calls hold; an answer that arrives
 * for a link that is no longer the current one changes nothing.
 */
#include "qmp.h"

#include <gio/gunixsocketaddress.h>
#include <string.h>

#include "qmp-line.h"
#include "util/error.h"

/* QEMU creates its socket within some ms of starting. */
#define RETRY_MS 50
#define READ_BYTES 65536
#define GREETING_MS 10000

typedef enum { STOPPED, WAITING, CONNECTING, GREETING, READY } State;

typedef struct {
    gatomicrefcount refs;
    SliceQmp *qmp; /* NULL once it is not the current link */
    GSocketConnection *connection;
    SliceQmpBytes input;
    GCancellable *cancel;
    GString *queued; /* to be written after what is being written */
    GString *writing;
} Link;

typedef struct {
    SliceQmp *qmp;
    guint64 id;
    guint timer;
    char *command;
    SliceQmpReply reply;
    gpointer data;
} Call;

struct SliceQmp {
    char *name;
    char *path;
    const SliceQmpHandlers *handlers;
    gpointer data;
    GMainContext *context;
    State state;
    Link *link;
    GSource *timer;
    GHashTable *calls; /* by id */
    guint64 last_id;
};

static void read_more(Link *link);
static void connection_ended(SliceQmp *qmp, const char *why);

static Link *link_ref(Link *link)
{
    g_atomic_ref_count_inc(&link->refs);
    return link;
}

static void link_unref(Link *link)
{
    if (g_atomic_ref_count_dec(&link->refs)) {
        slice_qmp_bytes_clear(&link->input);
        g_clear_object(&link->connection);
        g_object_unref(link->cancel);
        g_string_free(link->queued, TRUE);
        g_string_free(link->writing, TRUE);
        g_free(link);
    }
}

static void drop_link(SliceQmp *qmp)
{
    Link *link = g_steal_pointer(&qmp->link);

    if (link) {
        link->qmp = NULL;
        g_cancellable_cancel(link->cancel);
        if (link->connection) {
            g_socket_close(g_socket_connection_get_socket(link->connection),
                           NULL);
        }
        link_unref(link);
    }
}

static void set_timer(SliceQmp *qmp, guint ms, GSourceFunc function)
{
    if (qmp->timer) {
        g_source_destroy(qmp->timer);
        g_clear_pointer(&qmp->timer, g_source_unref);
    }
    if (function) {
        qmp->timer = g_timeout_source_new(ms);
        g_source_set_callback(qmp->timer, function, qmp, NULL);
        g_source_attach(qmp->timer, qmp->context);
    }
}

/* Takes the call out of the table and answers it. */
static void answer(Call *call, JsonNode *result, const GError *error)
{
    g_hash_table_steal(call->qmp->calls, &call->id);
    if (call->timer) {
        g_source_remove(call->timer);
    }
    if (call->reply) {
        call->reply(result, error, call->data);
    }
    g_free(call->command);
    g_free(call);
}

static void fail_all(SliceQmp *qmp, const char *why)
{
    g_autoptr(GError) error =
        g_error_new(SLICE_ERROR, SLICE_ERROR_UNREACHABLE,
                    "VM %s does not answer: %s", qmp->name, why);
    guint64 newest = qmp->last_id;
    GHashTableIter iter;
    gpointer value;

    /* A callback may send anew: that one is not to fail with the old ones. */
restart:
    g_hash_table_iter_init(&iter, qmp->calls);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        if (((Call *)value)->id <= newest) {
            answer(value, NULL, error);
            goto restart;
        }
    }
}

static void written(GObject *source, GAsyncResult *result, gpointer data)
{
    Link *link = data;

    g_output_stream_write_all_finish(G_OUTPUT_STREAM(source), result, NULL,
                                     NULL);
    g_string_truncate(link->writing, 0);
    if (link->qmp && link->queued->len) {
        GString *empty = link->writing;

        link->writing = link->queued;
        link->queued = empty;
        g_output_stream_write_all_async(G_OUTPUT_STREAM(source),
                                        link->writing->str, link->writing->len,
                                        G_PRIORITY_DEFAULT, link->cancel,
                                        written, link_ref(link));
    }
    /* A failed write shows as the end of the input, with the better reason. */
    link_unref(link);
}

static void put_line(Link *link, const char *line)
{
    GOutputStream *output =
        g_io_stream_get_output_stream(G_IO_STREAM(link->connection));

    if (link->writing->len) {
        g_string_append(link->queued, line);
        return;
    }
    g_string_append(link->writing, line);
    g_output_stream_write_all_async(output, link->writing->str,
                                    link->writing->len, G_PRIORITY_DEFAULT,
                                    link->cancel, written, link_ref(link));
}

static gboolean timed_out(gpointer data)
{
    Call *call = data;
    g_autoptr(GError) error =
        g_error_new(SLICE_ERROR, SLICE_ERROR_BUSY,
                    "VM %s has not answered %s in time", call->qmp->name,
                    call->command);

    call->timer = 0;
    answer(call, NULL, error);
    return G_SOURCE_REMOVE;
}

static void send_call(SliceQmp *qmp, Call *call, JsonObject *arguments)
{
    g_autoptr(JsonNode) root = json_node_new(JSON_NODE_OBJECT);
    JsonObject *object = json_object_new();
    g_autofree char *text = NULL;
    g_autofree char *line = NULL;

    json_object_set_string_member(object, "execute", call->command);
    json_object_set_int_member(object, "id", call->id);
    if (arguments) {
        json_object_set_object_member(object, "arguments", arguments);
    }
    json_node_take_object(root, object);
    text = json_to_string(root, FALSE);
    line = g_strconcat(text, "\n", NULL);
    g_hash_table_insert(qmp->calls, &call->id, call);
    put_line(qmp->link, line);
}

static Call *call_new(SliceQmp *qmp, const char *command, SliceQmpReply reply,
                      gpointer data)
{
    Call *call = g_new0(Call, 1);

    call->qmp = qmp;
    call->id = ++qmp->last_id;
    call->command = g_strdup(command);
    call->reply = reply;
    call->data = data;
    return call;
}

void slice_qmp_call(SliceQmp *qmp, const char *command, JsonObject *arguments,
                    guint timeout_ms, SliceQmpReply reply, gpointer data)
{
    Call *call = call_new(qmp, command, reply, data);

    if (qmp->state != READY) {
        g_autoptr(GError) error =
            g_error_new(SLICE_ERROR, SLICE_ERROR_UNREACHABLE,
                        "VM %s is not connected", qmp->name);

        g_clear_pointer(&arguments, json_object_unref);
        answer(call, NULL, error);
        return;
    }
    if (timeout_ms) {
        call->timer = g_timeout_add(timeout_ms, timed_out, call);
    }
    send_call(qmp, call, arguments);
}

static void capabilities_done(JsonNode *result, const GError *error,
                              gpointer data)
{
    SliceQmp *qmp = data;

    if (error) {
        return; /* the link is ending */
    }
    qmp->state = READY;
    set_timer(qmp, 0, NULL);
    qmp->handlers->connected(qmp->data);
}

static void take_answer(SliceQmp *qmp, const SliceQmpMessage *message)
{
    Call *call = g_hash_table_lookup(qmp->calls, &message->id);
    g_autoptr(GError) error = NULL;

    if (!call) {
        return; /* its time had passed */
    }
    if (message->kind == SLICE_QMP_RETURN) {
        answer(call, message->result, NULL);
        return;
    }
    error = g_error_new(SLICE_ERROR,
                        g_str_equal(message->class, "CommandNotFound")
                            ? SLICE_ERROR_NOT_FOUND : SLICE_ERROR_FAILED,
                        "VM %s refused %s: %s", qmp->name, call->command, message->words);
    answer(call, NULL, error);
}

static void take_message(SliceQmp *qmp, const SliceQmpMessage *message)
{
    switch (message->kind) {
    case SLICE_QMP_GREETING:
        if (qmp->state == GREETING) {
            send_call(qmp, call_new(qmp, "qmp_capabilities", capabilities_done, qmp), NULL);
        }
        break;
    case SLICE_QMP_EVENT:
        /* Before we are ready nobody has asked for them. */
        if (qmp->state == READY) {
            qmp->handlers->event(message->name, message->data, qmp->data);
        }
        break;
    case SLICE_QMP_RETURN:
    case SLICE_QMP_ERROR:
        take_answer(qmp, message);
        break;
    case SLICE_QMP_OTHER:
        break;
    }
}

/* Return: FALSE with the reason where a line is not QMP. */
static gboolean take_lines(Link *link, const char **ret_why)
{
    char *line;

    while (link->qmp && (line = slice_qmp_bytes_next(&link->input))) {
        SliceQmpMessage message;
        gboolean good = slice_qmp_message_parse(&message, line, ret_why);

        g_free(line);
        if (!good) {
            return FALSE;
        }
        take_message(link->qmp, &message);
        slice_qmp_message_clear(&message);
    }
    return TRUE;
}

static void bytes_read(GObject *source, GAsyncResult *result, gpointer data)
{
    Link *link = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) bytes =
        g_input_stream_read_bytes_finish(G_INPUT_STREAM(source), result, &error);
    const char *why = error ? error->message : "the connection ended";

    if (link->qmp && bytes && g_bytes_get_size(bytes)) {
        if (!slice_qmp_bytes_put(&link->input, g_bytes_get_data(bytes, NULL),
                                 g_bytes_get_size(bytes))) {
            connection_ended(link->qmp, "it speaks without end");
        } else if (!take_lines(link, &why)) {
            connection_ended(link->qmp, why);
        } else if (link->qmp) { /* still, after the callbacks */
            read_more(link);
        }
    } else if (link->qmp) {
        connection_ended(link->qmp, why);
    }
    link_unref(link);
}

static void read_more(Link *link)
{
    g_input_stream_read_bytes_async(
        g_io_stream_get_input_stream(G_IO_STREAM(link->connection)), READ_BYTES,
        G_PRIORITY_DEFAULT, link->cancel, bytes_read, link_ref(link));
}

static gboolean no_greeting(gpointer data)
{
    connection_ended(data, "it does not greet");
    return G_SOURCE_REMOVE;
}

static void connected(GObject *source, GAsyncResult *result, gpointer data)
{
    Link *link = data;
    SliceQmp *qmp = link->qmp;
    GSocketConnection *connection =
        g_socket_client_connect_finish(G_SOCKET_CLIENT(source), result, NULL);

    if (!qmp) {
        g_clear_object(&connection);
    } else if (!connection) {
        connection_ended(qmp, "nobody listens");
    } else {
        link->connection = connection;
        qmp->state = GREETING;
        set_timer(qmp, GREETING_MS, no_greeting);
        read_more(link);
    }
    link_unref(link);
}

static gboolean try_connect(gpointer data)
{
    SliceQmp *qmp = data;
    g_autoptr(GSocketClient) client = g_socket_client_new();
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(qmp->path);
    Link *link = g_new0(Link, 1);

    set_timer(qmp, 0, NULL);
    g_atomic_ref_count_init(&link->refs);
    link->qmp = qmp;
    link->cancel = g_cancellable_new();
    slice_qmp_bytes_init(&link->input);
    link->queued = g_string_new(NULL);
    link->writing = g_string_new(NULL);
    qmp->link = link;
    qmp->state = CONNECTING;
    g_socket_client_connect_async(client, G_SOCKET_CONNECTABLE(address),
                                  link->cancel, connected, link_ref(link));
    return G_SOURCE_REMOVE;
}

static void connection_ended(SliceQmp *qmp, const char *why)
{
    State was = qmp->state;

    drop_link(qmp);
    qmp->state = WAITING;
    set_timer(qmp, RETRY_MS, try_connect);
    fail_all(qmp, why);
    if (was == READY) {
        qmp->handlers->lost(why, qmp->data);
    }
}

SliceQmp *slice_qmp_new(const char *name, const char *path,
                        const SliceQmpHandlers *handlers, gpointer data)
{
    SliceQmp *qmp = g_new0(SliceQmp, 1);

    qmp->name = g_strdup(name);
    qmp->path = g_strdup(path);
    qmp->handlers = handlers;
    qmp->data = data;
    qmp->context = g_main_context_ref_thread_default();
    qmp->calls = g_hash_table_new(g_int64_hash, g_int64_equal);
    return qmp;
}

void slice_qmp_start(SliceQmp *qmp)
{
    if (qmp->state == STOPPED) {
        qmp->state = WAITING;
        set_timer(qmp, 0, try_connect);
    }
}

void slice_qmp_stop(SliceQmp *qmp)
{
    set_timer(qmp, 0, NULL);
    drop_link(qmp);
    qmp->state = STOPPED;
    fail_all(qmp, "it was stopped");
}

gboolean slice_qmp_is_connected(SliceQmp *qmp)
{
    return qmp->state == READY;
}

void slice_qmp_free(SliceQmp *qmp)
{
    if (!qmp) {
        return;
    }
    slice_qmp_stop(qmp);
    g_hash_table_unref(qmp->calls);
    g_main_context_unref(qmp->context);
    g_free(qmp->name);
    g_free(qmp->path);
    g_free(qmp);
}
