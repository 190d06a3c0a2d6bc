/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz-engine.c - any bytes as a monitor of QEMU
 *
 * An input is taken as it is, or (first byte odd) as changes to a message as QEMU says it: bytes alone hardly ever
 * become JSON with the right members. Cut into pieces as a socket may, joined to lines, read as QMP, and whatever is in a message handed to every
 * reader of engines' words, whether or not it belongs there.  A reader may refuse; what it
 * lets through must be what the rest of sliced builds on.  A warning of GLib is a crash here.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#include "daemon/engine.h"
#include "daemon/qmp-line.h"
#include "util/error.h"
#include "util/id.h"

static void check_entry(const SliceEntry *entry)
{
    g_assert_true(slice_id_is_valid(entry->id));
    g_assert_cmpstr(entry->vm, ==, "vm");
    g_assert_nonnull(slice_state_name(entry->state));
    g_assert_true(entry->movability && entry->label && entry->top_layer);
    g_assert_cmpuint(entry->counts->len, <=, 8);
    for (guint i = 0; i < entry->flows->len; i++) {
        const SliceTuple *flow = &g_array_index(entry->flows, SliceTuple, i);
        guint8 address[16];
        int family = slice_tuple_is_ipv6(flow) ? AF_INET6 : AF_INET;

        /* These go into the text of rules. */
        g_assert_cmpint(inet_pton(family, flow->local, address), ==, 1);
        g_assert_cmpint(inet_pton(family, flow->remote, address), ==, 1);
        g_assert_true(flow->local_port && flow->remote_port);
    }
}

static void read_node(JsonNode *node)
{
    g_autoptr(GPtrArray) entries = slice_engine_parse_entries(node, "vm", NULL);
    g_autoptr(SliceEntry) entry = slice_engine_parse_entry(node, "vm", NULL);
    g_autoptr(SliceEngineInfo) info = slice_engine_parse_info(node, NULL);
    SliceReply reply;

    if (entry) {
        check_entry(entry);
    }
    for (guint i = 0; entries && i < entries->len; i++) {
        check_entry(g_ptr_array_index(entries, i));
    }
    if (info) {
        g_assert_true(info->name && info->incarnation && info->layers);
    }
    if (slice_engine_parse_reply(node, &reply, NULL)) {
        g_assert_nonnull(slice_answer_name(reply.answer));
    }
}

static void read_step(JsonObject *object)
{
    g_autoptr(GError) error = NULL;
    SliceStepEvent step;

    if (slice_engine_parse_step(object, &step, &error)) {
        g_assert_true(slice_id_is_valid(step.id) && step.step);
    } else {
        g_assert_error(error, SLICE_ERROR, SLICE_ERROR_INVALID);
    }
}

static void read_line(const char *line)
{
    SliceQmpMessage message;
    const char *why = NULL;

    if (!slice_qmp_message_parse(&message, line, &why)) {
        g_assert_nonnull(why);
        return;
    }
    g_assert_true(message.kind != SLICE_QMP_EVENT || message.name);
    g_assert_true(message.kind != SLICE_QMP_ERROR || (message.class && message.words));
    if (message.kind == SLICE_QMP_RETURN) {
        read_node(message.result);
    }
    if (message.data) {
        read_node(json_object_get_member(message.data, "slice"));
    }
    read_step(message.data);
    read_node(message.root);
    slice_qmp_message_clear(&message);
}

#define ID "3fa9c2d100000000:000000000000001a"
#define SLICE "{\"id\": \"" ID "\", \"state\": \"sent\", \"term\": 4294967298, \"peer\": \"web2\"," \
    " \"movability\": \"busy\", \"why\": \"references\", \"label\": \"bob\", \"top-layer\": \"php\"," \
    " \"capsules\": 4, \"memory\": 12288, \"held-packets\": 3, \"fenced\": false," \
    " \"counts\": [{\"rank\": 10, \"count\": 2}, {\"rank\": 40, \"count\": 1}]," \
    " \"flows\": [{\"protocol\": \"tcp\", \"local\": \"192.0.2.10\", \"local-port\": 80," \
    " \"remote\": \"192.0.2.99\", \"remote-port\": 40000}]}"

static const char *const templates[] = {
    "{\"return\": [" SLICE ", " SLICE "], \"id\": 7}\n",
    "{\"event\": \"SLICE_CHANGED\", \"data\": {\"slice\": " SLICE ", \"ended\": false}}\n",
    "{\"event\": \"SLICE_MOVE\", \"data\": {\"id\": \"" ID "\", \"term\": 4294967298,"
    " \"step\": \"done\", \"peer\": \"web1\", \"bytes\": 12288, \"packets\": 1, \"time-us\": 5}}\n",
    "{\"return\": {\"id\": \"sl0\", \"name\": \"web1\", \"incarnation\": \"0000000000000001\","
    " \"orchestrator\": 3, \"listen\": {\"type\": \"inet\", \"host\": \"10.0.0.1\", \"port\": \"7\"},"
    " \"guest-ready\": true, \"layers\": [{\"name\": \"php\", \"version\": 1}], \"terms-left\": 9,"
    " \"vnet-header-length\": 12, \"slices\": 1, \"tombstones\": 0}, \"id\": 8}\n",
    "{\"return\": {\"answer\": \"refused\", \"id\": \"" ID "\", \"term\": 1, \"why\": \"no-room\"},"
    " \"id\": 9}\n",
    "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no\"}, \"id\": 9}\n",
};

/* What stands where something else should. */
static const char *const tokens[] = {
    "null", "true", "-1", "0", "65536", "9223372036854775807", "18446744073709551616", "1e309", "0.5",
    "\"\"", "\"x\"", "[]", "{}", "[[]]", "\"::1\"", "\"192.0.2.99,actions=drop\"", "\"\\u0000\"",
};

/* Each three bytes put a token for a value, or change a byte. */
static void change(GString *text, const uint8_t *data, size_t bytes)
{
    for (; bytes >= 3; data += 3, bytes -= 3) {
        gsize at = (data[0] << 8 | data[1]) % text->len;
        const char *colon = strchr(text->str + at, ':');

        if (data[2] & 1 && colon && colon[1] == ' ') {
            gsize from = colon + 2 - text->str;

            g_string_erase(text, from, strcspn(text->str + from, ",}]\n"));
            g_string_insert(text, from, tokens[(data[2] >> 1) % G_N_ELEMENTS(tokens)]);
        } else if (data[2] & 2) {
            text->str[at] = data[2] >> 1;
        } else {
            g_string_insert_c(text, at, data[2] >> 1);
        }
    }
}

static void take(const uint8_t *data, size_t bytes, size_t piece)
{
    SliceQmpBytes input;
    gsize lines = 0;
    char *line;

    slice_qmp_bytes_init(&input);
    for (size_t at = 0; at < bytes; at += piece) {
        g_assert_true(slice_qmp_bytes_put(&input, data + at, MIN(piece, bytes - at)));
        while ((line = slice_qmp_bytes_next(&input))) {
            read_line(line);
            g_free(line);
            lines++;
        }
    }
    for (size_t at = 0; at < bytes; at++) {
        lines -= data[at] == '\n';
    }
    g_assert_cmpuint(lines, ==, 0);
    slice_qmp_bytes_clear(&input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    g_autoptr(GString) text = NULL;
    size_t piece;

    g_log_set_always_fatal(G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR);
    if (bytes < 2) {
        return 0;
    }
    piece = 1 + data[1] * 4;
    if (data[0] & 1) {
        text = g_string_new(templates[(data[0] >> 1) % G_N_ELEMENTS(templates)]);
        change(text, data + 2, bytes - 2);
        take((const uint8_t *)text->str, text->len, piece);
    } else {
        take(data + 2, bytes - 2, piece);
    }
    return 0;
}
