/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * output.c - tables for people, JSON for programs
 */
#include "output.h"

#include <stdio.h>

#include "util/when.h"

struct SliceTable {
    const char *const *headings;
    guint columns;
    GPtrArray *cells; /* row by row */
};

SliceTable *slice_table_new(const char *const *headings)
{
    SliceTable *table = g_new0(SliceTable, 1);

    table->headings = headings;
    table->columns = g_strv_length((char **)headings);
    table->cells = g_ptr_array_new_with_free_func(g_free);
    return table;
}

void slice_table_free(SliceTable *table)
{
    if (table) {
        g_ptr_array_unref(table->cells);
        g_free(table);
    }
}

void slice_table_add(SliceTable *table, char *first, ...)
{
    va_list args;

    g_ptr_array_add(table->cells, first);
    va_start(args, first);
    for (guint i = 1; i < table->columns; i++) {
        g_ptr_array_add(table->cells, va_arg(args, char *));
    }
    va_end(args);
}

static gboolean is_right(const SliceTable *table, guint column)
{
    return table->headings[column][0] == '>';
}

static const char *heading(const SliceTable *table, guint column)
{
    return table->headings[column] + is_right(table, column);
}

static guint width_of(const SliceTable *table, guint column)
{
    guint width = g_utf8_strlen(heading(table, column), -1);

    for (guint i = column; i < table->cells->len; i += table->columns) {
        width = MAX(width, g_utf8_strlen(g_ptr_array_index(table->cells, i), -1));
    }
    return width;
}

static void append_cell(GString *line, const char *text, guint width,
                        gboolean right)
{
    guint chars = g_utf8_strlen(text, -1);
    guint pad = width > chars ? width - chars : 0;

    g_string_append_printf(line, "%*s%s%*s", right ? pad : 0, "", text,
                           right ? 0 : pad, "");
}

static void print_line(GString *line)
{
    g_autofree char *fit = NULL;

    while (line->len && line->str[line->len - 1] == ' ') {
        g_string_truncate(line, line->len - 1);
    }
    if (g_utf8_strlen(line->str, -1) > SLICE_TABLE_COLUMNS) {
        fit = g_utf8_substring(line->str, 0, SLICE_TABLE_COLUMNS - 1);
        g_print("%s~\n", fit);
    } else {
        g_print("%s\n", line->str);
    }
}

void slice_table_print(SliceTable *table)
{
    guint rows = table->cells->len / table->columns;
    g_autofree guint *widths = g_new(guint, table->columns);

    for (guint i = 0; i < table->columns; i++) {
        widths[i] = width_of(table, i);
    }
    for (guint row = 0; row <= rows; row++) {
        g_autoptr(GString) line = g_string_new(NULL);

        for (guint i = 0; i < table->columns; i++) {
            guint at = (row - 1) * table->columns + i;

            append_cell(line, row ? g_ptr_array_index(table->cells, at)
                                  : heading(table, i),
                        widths[i], is_right(table, i));
            g_string_append(line, "  ");
        }
        print_line(line);
    }
}

char *slice_output_bytes(guint64 bytes)
{
    if (bytes < 1024) {
        return g_strdup_printf("%" G_GUINT64_FORMAT " B", bytes);
    }
    if (bytes < 1024 * 1024) {
        return g_strdup_printf("%" G_GUINT64_FORMAT " KiB", (bytes + 512) / 1024);
    }
    return g_strdup_printf("%.1f MiB", bytes / 1048576.0);
}

char *slice_output_us(guint64 us)
{
    return us ? g_strdup_printf("%.1f ms", us / 1000.0) : g_strdup("-");
}

void slice_json_text(JsonBuilder *builder, const char *name, const char *value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_string_value(builder, value);
}

void slice_json_optional(JsonBuilder *builder, const char *name,
                         const char *value)
{
    json_builder_set_member_name(builder, name);
    if (value[0]) {
        json_builder_add_string_value(builder, value);
    } else {
        json_builder_add_null_value(builder);
    }
}

void slice_json_number(JsonBuilder *builder, const char *name, gint64 value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_int_value(builder, value);
}

void slice_json_bool(JsonBuilder *builder, const char *name, gboolean value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_boolean_value(builder, value);
}

void slice_json_term(JsonBuilder *builder, const char *name, guint64 term)
{
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, term);

    slice_json_text(builder, name, text);
}

void slice_json_time(JsonBuilder *builder, const char *name, gint64 us)
{
    g_autofree char *text = us ? slice_when_to_text(us) : g_strdup("");

    slice_json_optional(builder, name, text);
}

void slice_json_print(JsonBuilder *builder, gboolean one_line)
{
    g_autoptr(JsonNode) root = json_builder_get_root(builder);
    g_autofree char *text = json_to_string(root, !one_line);

    g_print("%s\n", text);
    fflush(stdout);
}
