/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * output.c - tables for people, JSON for programs
 */
#include "output.h"

#include <stdio.h>

#include "util/when.h"

#define SOFT_COLUMNS_MIN 8

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

static gboolean is_wrapped(const SliceTable *table, guint column)
{
    return table->headings[column][0] == '<';
}

static gboolean is_soft(const SliceTable *table, guint column)
{
    return table->headings[column][0] == '?';
}

static const char *heading(const SliceTable *table, guint column)
{
    return table->headings[column] + (is_right(table, column) || is_wrapped(table, column) ||
                                      is_soft(table, column));
}

/* @row: 0 for the heading. */
static const char *cell(const SliceTable *table, guint row, guint column)
{
    return row ? g_ptr_array_index(table->cells, (row - 1) * table->columns + column)
               : heading(table, column);
}

/* How many columns of a terminal a character takes. */
static guint columns_of(gunichar c)
{
    return g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
}

static guint width_of(const char *text)
{
    guint width = 0;

    for (; *text; text = g_utf8_next_char(text)) {
        width += columns_of(g_utf8_get_char(text));
    }
    return width;
}

/* Return: the end of what fits into @width columns. */
static const char *fitting(const char *text, guint width)
{
    while (*text && columns_of(g_utf8_get_char(text)) <= width) {
        width -= columns_of(g_utf8_get_char(text));
        text = g_utf8_next_char(text);
    }
    return text;
}

/* Return: (transfer full): beginning and end of @text, which say most of addresses and ids. */
static char *cut(const char *text, guint width)
{
    const char *tail = text, *head_end;
    guint all = width_of(text);
    guint tail_width = width / 2;

    if (all <= width) {
        return g_strdup(text);
    }
    head_end = fitting(text, width - 1 - tail_width);
    while (width_of(tail) > tail_width) {
        tail = g_utf8_next_char(tail);
    }
    return g_strdup_printf("%.*s~%s", (int)(head_end - text), text, tail);
}

/* Return: the column to make narrower: the widest, among soft ones that are not narrow yet if there are any. */
static guint widest(const SliceTable *table, const guint *widths, guint n)
{
    guint best = 0;
    gboolean found = FALSE;

    for (guint i = 0; i < n; i++) {
        gboolean soft = is_soft(table, i) && widths[i] > SOFT_COLUMNS_MIN;

        if ((soft && !found) || (soft == found && widths[i] > widths[best])) {
            best = i;
            found |= soft;
        }
    }
    return best;
}

/* Return: (transfer full): for each column, together no more than fits. */
static guint *choose_widths(const SliceTable *table, guint rows)
{
    guint *widths = g_new0(guint, table->columns);
    guint last = table->columns - 1, sum = 2 * last;
    gboolean wraps = is_wrapped(table, last);

    for (guint i = 0; i < table->columns; i++) {
        for (guint row = 0; row <= rows; row++) {
            widths[i] = MAX(widths[i], width_of(cell(table, row, i)));
        }
        sum += widths[i];
    }
    if (wraps && sum > SLICE_TABLE_COLUMNS) { /* it gives way first, down to some words a line */
        guint give = MIN(sum - SLICE_TABLE_COLUMNS, widths[last] - MIN(widths[last], 24));

        widths[last] -= give;
        sum -= give;
    }
    while (sum > SLICE_TABLE_COLUMNS) {
        widths[widest(table, widths, wraps ? last : table->columns)]--;
        sum--;
    }
    return widths;
}

static void append_cell(GString *line, const char *text, guint width,
                        gboolean right)
{
    g_autofree char *fit = cut(text, width);
    guint pad = width - width_of(fit);

    g_string_append_printf(line, "%*s%s%*s", right ? pad : 0, "", fit,
                           right ? 0 : pad, "");
}

static void print_line(GString *line)
{
    while (line->len && line->str[line->len - 1] == ' ') {
        g_string_truncate(line, line->len - 1);
    }
    g_print("%s\n", line->str);
    g_string_truncate(line, 0);
}

/* Return: the rest of the text, after a line of whole words was appended. */
static const char *append_words(GString *line, const char *text, guint width)
{
    const char *end = fitting(text, width);
    const char *space = end;

    while (*end && space > text && *space != ' ') {
        space = g_utf8_prev_char(space);
    }
    end = *end && space > text ? space : end;
    g_string_append_len(line, text, end - text);
    while (*end == ' ') {
        end++;
    }
    return end;
}

static void print_row(const SliceTable *table, guint row, const guint *widths)
{
    g_autoptr(GString) line = g_string_new(NULL);
    guint last = table->columns - 1, indent;
    const char *text = cell(table, row, last);

    for (guint i = 0; i < last; i++) {
        append_cell(line, cell(table, row, i), widths[i], is_right(table, i));
        g_string_append(line, "  ");
    }
    if (!is_wrapped(table, last)) {
        append_cell(line, text, widths[last], is_right(table, last));
        print_line(line);
        return;
    }
    indent = width_of(line->str);
    do {
        g_string_append_printf(line, "%*s", line->len ? 0 : indent, "");
        text = append_words(line, text, widths[last]);
        print_line(line);
    } while (*text);
}

void slice_table_print(SliceTable *table)
{
    guint rows = table->cells->len / table->columns;
    g_autofree guint *widths = choose_widths(table, rows);

    for (guint row = 0; row <= rows; row++) {
        print_row(table, row, widths);
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
