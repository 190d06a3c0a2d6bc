// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * request.c - see request.h
 */
#include <errno.h>
#include <string.h>

#include <json-glib/json-glib.h>

#include "request.h"

/* The registry may grow between two looks at it: room for as many more. */
#define LIST_SLACK 64
/*
 * JSON-GLib's parser calls itself for each level: 65536 brackets in a row
 * would take it past the end of the stack.  A request needs two, wherever.
 */
#define BRACKETS_MAX 64

static void begin_reply(JsonBuilder *builder, JsonNode *id)
{
    json_builder_begin_object(builder);
    if (id) {
        json_builder_set_member_name(builder, "id");
        json_builder_add_value(builder, json_node_copy(id));
    }
}

static char *end_reply(JsonBuilder *builder)
{
    g_autoptr(JsonNode) root = NULL;
    g_autofree char *text = NULL;

    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    text = json_to_string(root, FALSE);
    return g_strconcat(text, "\n", NULL);
}

static void add_string(JsonBuilder *builder, const char *name,
                       const char *value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_string_value(builder, value);
}

static void add_u32(JsonBuilder *builder, const char *name, uint32_t value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_int_value(builder, value);
}

static void add_u64(JsonBuilder *builder, const char *name, uint64_t value)
{
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, value);

    add_string(builder, name, text);
}

static void add_id(JsonBuilder *builder, const char *name,
                   const struct slice_id *id)
{
    char text[SLICE_ID_TEXT_BYTES];

    slice_id_format(id, text);
    add_string(builder, name, text);
}

static char *error_reply(JsonNode *id, const char *code, const char *format,
                         ...) G_GNUC_PRINTF(3, 4);

static char *error_reply(JsonNode *id, const char *code, const char *format,
                         ...)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autofree char *message = NULL;
    va_list args;

    va_start(args, format);
    message = g_strdup_vprintf(format, args);
    va_end(args);
    begin_reply(builder, id);
    json_builder_set_member_name(builder, "error");
    json_builder_begin_object(builder);
    add_string(builder, "code", code);
    add_string(builder, "message", message);
    json_builder_end_object(builder);
    return end_reply(builder);
}

static char *errno_reply(JsonNode *id, const char *what, int err)
{
    const char *code = err == -EPERM || err == -EACCES ? "REFUSED" :
                       err == -EBUSY ? "BUSY" : "UNREACHABLE";

    return error_reply(id, code, "%s: %s", what, g_strerror(-err));
}

static char *answer_info(struct slice_opener *opener, JsonNode *id)
{
    g_autoptr(JsonBuilder) builder = NULL;
    struct slice_info info;
    int err = slice_query(opener, &info);

    if (err) {
        return errno_reply(id, "cannot ask the kernel", err);
    }
    builder = json_builder_new();
    begin_reply(builder, id);
    json_builder_set_member_name(builder, "return");
    json_builder_begin_object(builder);
    add_u32(builder, "api-version", info.api_version);
    add_u64(builder, "incarnation", info.incarnation);
    add_u32(builder, "capsules", info.n_capsules);
    add_u32(builder, "slices", info.n_slices);
    add_u64(builder, "capsule-bytes-max", info.capsule_bytes_max);
    add_u64(builder, "opener-bytes-max", info.opener_bytes_max);
    json_builder_end_object(builder);
    return end_reply(builder);
}

static const char *name_of(const char *const *names, guint n, uint32_t value)
{
    return value < n ? names[value] : "unknown";
}

static void add_entry(JsonBuilder *builder,
                      const struct slice_list_entry *entry)
{
    static const char *const states[] = {
        "active", "draining", "drained", "unplugged", "plugged",
    };
    static const char *const movabilities[] = { "movable", "busy", "pinned" };
    static const char *const whys[] = {
        "none", "references", "moving", "state", "tls", "http2", "too-large",
        "option", "urgent", "no-layer", "layer-version", "memory",
        "tuple-in-use", "deadline", "layer-refused", "image", "gone", "peer",
        "term", "aborted", "upgraded", "no-room",
    };
    g_autofree char *label = g_strndup((const char *)entry->label,
                                       sizeof(entry->label));
    g_autofree char *valid = g_utf8_make_valid(label, -1);

    json_builder_begin_object(builder);
    add_id(builder, "id", &entry->slice);
    add_string(builder, "label", valid);
    add_id(builder, "top", &entry->top);
    add_string(builder, "state",
               name_of(states, G_N_ELEMENTS(states), entry->state));
    add_string(builder, "movability",
               name_of(movabilities, G_N_ELEMENTS(movabilities),
                       entry->movability));
    add_string(builder, "why", name_of(whys, G_N_ELEMENTS(whys), entry->why));
    add_u32(builder, "capsules", entry->n_capsules);
    add_u32(builder, "connections", entry->n_connections);
    add_u32(builder, "references", entry->n_refs);
    add_u64(builder, "memory-bytes", entry->memory_bytes);
    json_builder_end_object(builder);
}

static int read_list(struct slice_opener *opener,
                     struct slice_list_entry **ret_entries, uint32_t *ret_n)
{
    uint32_t n = 0;
    int err = -ENOSPC;

    for (int i = 0; i < 8 && err == -ENOSPC; i++) {
        uint32_t room = n + LIST_SLACK;

        g_free(*ret_entries);
        *ret_entries = g_new0(struct slice_list_entry, room);
        err = slice_list_slices(opener, *ret_entries, room, &n);
        n = MIN(n, SLICE_REQUEST_BYTES_MAX * 16);
    }
    *ret_n = n;
    return err;
}

static char *answer_list(struct slice_opener *opener, JsonNode *id)
{
    g_autofree struct slice_list_entry *entries = NULL;
    g_autoptr(JsonBuilder) builder = NULL;
    uint32_t n = 0;
    int err = read_list(opener, &entries, &n);

    if (err) {
        return errno_reply(id, "cannot list the slices", err);
    }
    builder = json_builder_new();
    begin_reply(builder, id);
    json_builder_set_member_name(builder, "return");
    json_builder_begin_array(builder);
    for (uint32_t i = 0; i < n; i++) {
        add_entry(builder, &entries[i]);
    }
    json_builder_end_array(builder);
    return end_reply(builder);
}

static const struct {
    const char *name;
    char *(*answer)(struct slice_opener *opener, JsonNode *id);
} requests[] = {
    { "info", answer_info },
    { "list", answer_list },
};

/*
 * An id is given back as it is: only what is small, plain and exact.  A number
 * with a fraction would come back in another spelling, an infinite one in none.
 */
static JsonNode *id_of(JsonObject *object)
{
    JsonNode *id = json_object_get_member(object, "id");
    GType type = id ? json_node_get_value_type(id) : G_TYPE_INVALID;

    return type == G_TYPE_STRING || type == G_TYPE_INT64 ? id : NULL;
}

static gboolean is_flat(const char *line, gsize bytes)
{
    guint n = 0;

    for (gsize i = 0; i < bytes; i++) {
        n += line[i] == '[' || line[i] == '{';
    }
    return n <= BRACKETS_MAX;
}

char *slice_request_answer(struct slice_opener *opener, const char *line,
                           gsize bytes)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autoptr(GError) error = NULL;
    JsonObject *object;
    JsonNode *root, *execute;
    const char *name;

    if (bytes > SLICE_REQUEST_BYTES_MAX) {
        return error_reply(NULL, "INVALID", "a request of more than %d bytes",
                           SLICE_REQUEST_BYTES_MAX);
    }
    if (!is_flat(line, bytes)) {
        return error_reply(NULL, "INVALID", "more than %d brackets",
                           BRACKETS_MAX);
    }
    if (!json_parser_load_from_data(parser, line, (gssize)bytes, &error)) {
        return error_reply(NULL, "INVALID", "not JSON: %s", error->message);
    }
    root = json_parser_get_root(parser);
    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) {
        return error_reply(NULL, "INVALID", "not an object");
    }
    object = json_node_get_object(root);
    execute = json_object_get_member(object, "execute");
    if (!execute || json_node_get_value_type(execute) != G_TYPE_STRING) {
        return error_reply(id_of(object), "INVALID", "no \"execute\"");
    }
    name = json_node_get_string(execute);
    for (guint i = 0; i < G_N_ELEMENTS(requests); i++) {
        if (strcmp(requests[i].name, name)) {
            continue;
        }
        return opener ? requests[i].answer(opener, id_of(object)) :
            error_reply(id_of(object), "UNREACHABLE",
                        "this machine has no slices");
    }
    return error_reply(id_of(object), "INVALID", "no such request");
}
