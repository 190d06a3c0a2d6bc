/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test-qmp-line.c - lines and messages of a monitor, in whatever pieces and shapes they come
 */
#include <string.h>

#include "daemon/qmp-line.h"

static void assert_next(SliceQmpBytes *bytes, const char *expected)
{
    g_autofree char *line = slice_qmp_bytes_next(bytes);

    g_assert_cmpstr(line, ==, expected);
}

static void test_pieces(void)
{
    static const char text[] = "{\"a\": 1}\n\n{\"b\": 2}\nrest";

    for (gsize piece = 1; piece <= strlen(text); piece++) {
        SliceQmpBytes bytes;
        g_autoptr(GString) lines = g_string_new(NULL);
        char *line;

        slice_qmp_bytes_init(&bytes);
        for (gsize at = 0; at < strlen(text); at += piece) {
            g_assert_true(slice_qmp_bytes_put(&bytes, text + at, MIN(piece, strlen(text) - at)));
            while ((line = slice_qmp_bytes_next(&bytes))) {
                g_string_append_printf(lines, "<%s>", line);
                g_free(line);
            }
        }
        g_assert_cmpstr(lines->str, ==, "<{\"a\": 1}><><{\"b\": 2}>");
        slice_qmp_bytes_clear(&bytes);
    }
}

static void test_endless_line(void)
{
    enum { PIECE = 1 << 20 };
    g_autofree char *much = g_strnfill(PIECE, 'x');
    SliceQmpBytes bytes;
    guint taken = 0;

    slice_qmp_bytes_init(&bytes);
    while (slice_qmp_bytes_put(&bytes, much, PIECE)) {
        assert_next(&bytes, NULL);
        taken++;
    }
    g_assert_cmpuint(taken, ==, SLICE_QMP_LINE_BYTES_MAX / PIECE);
    slice_qmp_bytes_clear(&bytes);
}

/* Lines that were given out do not count, however many there were. */
static void test_many_lines(void)
{
    g_autofree char *line = g_strnfill(1 << 16, 'y');
    SliceQmpBytes bytes;

    line[(1 << 16) - 1] = '\n';
    slice_qmp_bytes_init(&bytes);
    for (guint i = 0; i < 3 * (SLICE_QMP_LINE_BYTES_MAX >> 16) / 2; i++) {
        g_autofree char *next = NULL;

        g_assert_true(slice_qmp_bytes_put(&bytes, line, 1 << 16));
        next = slice_qmp_bytes_next(&bytes);
        g_assert_cmpuint(strlen(next), ==, (1 << 16) - 1);
    }
    g_assert_cmpuint(bytes.bytes->len, <, 4 << 20);
    slice_qmp_bytes_clear(&bytes);
}

static SliceQmpKind kind_of(const char *line, guint64 *ret_id)
{
    SliceQmpMessage message;
    const char *why = NULL;
    SliceQmpKind kind;

    g_assert_true(slice_qmp_message_parse(&message, line, &why));
    kind = message.kind;
    *ret_id = message.id;
    slice_qmp_message_clear(&message);
    return kind;
}

static void test_kinds(void)
{
    static const struct {
        const char *line;
        SliceQmpKind kind;
        guint64 id;
    } table[] = {
        { "{\"QMP\": {}}", SLICE_QMP_GREETING, 0 },
        { "{\"return\": {}, \"id\": 7}", SLICE_QMP_RETURN, 7 },
        { "{\"return\": [], \"id\": \"7\"}", SLICE_QMP_RETURN, 0 },
        { "{\"return\": null, \"id\": -7}", SLICE_QMP_RETURN, 0 },
        { "{\"error\": {\"class\": \"X\", \"desc\": \"y\"}, \"id\": 1}", SLICE_QMP_ERROR, 1 },
        { "{\"error\": {\"class\": 5}, \"id\": 1}", SLICE_QMP_ERROR, 1 },
        { "{\"error\": 5, \"id\": 1}", SLICE_QMP_OTHER, 1 },
        { "{\"event\": \"STOP\", \"data\": 3}", SLICE_QMP_EVENT, 0 },
        { "{\"event\": 3}", SLICE_QMP_OTHER, 0 },
        { "{}", SLICE_QMP_OTHER, 0 },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        guint64 id;

        g_test_message("%s", table[i].line);
        g_assert_cmpint(kind_of(table[i].line, &id), ==, table[i].kind);
        g_assert_cmpuint(id, ==, table[i].id);
    }
}

static void test_nonsense(void)
{
    g_autofree char *deep = g_strnfill(1 << 20, '[');
    g_autofree char *string = g_strconcat("{\"a\": \"", deep, "\"}", NULL);
    const char *const wrong[] = { "", "x", "[]", "3", "{", "{\"a\": }", deep };
    SliceQmpMessage message;
    const char *why;

    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        why = NULL;
        g_assert_false(slice_qmp_message_parse(&message, wrong[i], &why));
        g_assert_nonnull(why);
        slice_qmp_message_clear(&message);
    }
    g_assert_true(slice_qmp_message_parse(&message, string, &why));
    slice_qmp_message_clear(&message);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qmp-line/pieces-do-not-matter", test_pieces);
    g_test_add_func("/qmp-line/line-without-end-is-refused", test_endless_line);
    g_test_add_func("/qmp-line/lines-taken-are-given-back", test_many_lines);
    g_test_add_func("/qmp-line/kinds", test_kinds);
    g_test_add_func("/qmp-line/nonsense-is-refused", test_nonsense);
    return g_test_run();
}
