/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qmp-line.c - bytes of a monitor into lines, lines into messages
 */
#include "qmp-line.h"

#include <string.h>

/* Given out and not yet given back to the allocator. */
#define TAKEN_BYTES_MAX (1u << 20)

void slice_qmp_bytes_init(SliceQmpBytes *bytes)
{
    bytes->bytes = g_byte_array_new();
    bytes->taken = bytes->scanned = 0;
}

void slice_qmp_bytes_clear(SliceQmpBytes *bytes)
{
    g_clear_pointer(&bytes->bytes, g_byte_array_unref);
}

gboolean slice_qmp_bytes_put(SliceQmpBytes *bytes, const void *data, gsize n)
{
    if (bytes->taken == bytes->bytes->len || bytes->taken > TAKEN_BYTES_MAX) {
        if (bytes->taken) {
            g_byte_array_remove_range(bytes->bytes, 0, bytes->taken);
        }
        bytes->scanned -= bytes->taken;
        bytes->taken = 0;
    }
    if (n > SLICE_QMP_LINE_BYTES_MAX ||
        bytes->scanned - bytes->taken > SLICE_QMP_LINE_BYTES_MAX - n) {
        return FALSE;
    }
    g_byte_array_append(bytes->bytes, data, n);
    return TRUE;
}

char *slice_qmp_bytes_next(SliceQmpBytes *bytes)
{
    const guint8 *all = bytes->bytes->data;
    gsize len = bytes->bytes->len;
    const guint8 *end = bytes->scanned < len
                            ? memchr(all + bytes->scanned, '\n', len - bytes->scanned) : NULL;
    char *line;

    if (!end) {
        bytes->scanned = len;
        return NULL;
    }
    line = g_strndup((const char *)all + bytes->taken, end - all - bytes->taken);
    bytes->taken = bytes->scanned = end - all + 1;
    return line;
}

static gboolean is_too_deep(const char *line)
{
    gboolean in_string = FALSE;
    guint depth = 0;

    for (; *line; line++) {
        if (in_string) {
            if (*line == '\\' && line[1]) {
                line++;
            } else if (*line == '"') {
                in_string = FALSE;
            }
        } else if (*line == '"') {
            in_string = TRUE;
        } else if (*line == '[' || *line == '{') {
            if (++depth > SLICE_QMP_DEPTH_MAX) {
                return TRUE;
            }
        } else if ((*line == ']' || *line == '}') && depth) {
            depth--;
        }
    }
    return FALSE;
}

/* Return: (nullable): lent; NULL where it is missing or no string. */
static const char *text_of(JsonObject *object, const char *member)
{
    JsonNode *node = json_object_get_member(object, member);

    return node && JSON_NODE_HOLDS_VALUE(node) &&
                   json_node_get_value_type(node) == G_TYPE_STRING
               ? json_node_get_string(node) : NULL;
}

static guint64 id_of(JsonObject *object)
{
    JsonNode *node = json_object_get_member(object, "id");

    return node && JSON_NODE_HOLDS_VALUE(node) &&
                   json_node_get_value_type(node) == G_TYPE_INT64 && json_node_get_int(node) > 0
               ? json_node_get_int(node) : 0;
}

static JsonObject *object_of(JsonObject *object, const char *member)
{
    JsonNode *node = json_object_get_member(object, member);

    return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

static void understand(SliceQmpMessage *message, JsonObject *object)
{
    JsonObject *error = object_of(object, "error");

    message->id = id_of(object);
    message->name = text_of(object, "event");
    message->data = object_of(object, "data");
    if (message->name) {
        message->kind = SLICE_QMP_EVENT;
    } else if (json_object_has_member(object, "return")) {
        message->kind = SLICE_QMP_RETURN;
        message->result = json_object_get_member(object, "return");
    } else if (error) {
        message->kind = SLICE_QMP_ERROR;
        message->class = text_of(error, "class");
        message->words = text_of(error, "desc");
        message->class = message->class ? message->class : "";
        message->words = message->words ? message->words : "";
    } else if (json_object_has_member(object, "QMP")) {
        message->kind = SLICE_QMP_GREETING;
    }
}

gboolean slice_qmp_message_parse(SliceQmpMessage *message, const char *line,
                                 const char **ret_why)
{
    g_autoptr(JsonParser) parser = NULL;
    JsonNode *root;

    *message = (SliceQmpMessage){ .kind = SLICE_QMP_OTHER };
    if (is_too_deep(line)) {
        *ret_why = "it nests too deep";
        return FALSE;
    }
    parser = json_parser_new_immutable();
    if (!json_parser_load_from_data(parser, line, -1, NULL)) {
        *ret_why = "it does not speak JSON";
        return FALSE;
    }
    root = json_parser_get_root(parser);
    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) {
        *ret_why = "it does not speak QMP";
        return FALSE;
    }
    message->root = json_node_ref(root);
    understand(message, json_node_get_object(message->root));
    return TRUE;
}

void slice_qmp_message_clear(SliceQmpMessage *message)
{
    g_clear_pointer(&message->root, json_node_unref);
}
