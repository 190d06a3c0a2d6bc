/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * output.h - tables for people, JSON for programs
 */
#ifndef SLICE_CLI_OUTPUT_H
#define SLICE_CLI_OUTPUT_H

#include <gio/gio.h>
#include <json-glib/json-glib.h>

#define SLICE_TABLE_COLUMNS 80

/*
 * A table with a heading, columns as wide as they need, at most 80 columns of a terminal a line.  What does
 * not fit is cut in the middle of the widest cells, with a '~'.  A heading that begins with '>'
 * aligns its column to the right; one that begins with '?' is cut before others are; one that begins with
 * '<' (the last) is text, which is wrapped.
 */
typedef struct SliceTable SliceTable;

SliceTable *slice_table_new(const char *const *headings);
/* (transfer full) cells, as many as headings. */
void slice_table_add(SliceTable *table, char *first, ...);
void slice_table_print(SliceTable *table);
void slice_table_free(SliceTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SliceTable, slice_table_free)

/* Return: (transfer full): '312 B', '12 KiB', '3.4 MiB' */
char *slice_output_bytes(guint64 bytes);
/* Return: (transfer full): '3.2 ms', '-' for 0 */
char *slice_output_us(guint64 us);

/* JSON members in our habits: 64-bit ids and terms as text, times as RFC 3339 or null. */
void slice_json_text(JsonBuilder *builder, const char *name, const char *value);
void slice_json_optional(JsonBuilder *builder, const char *name,
                         const char *value);
void slice_json_number(JsonBuilder *builder, const char *name, gint64 value);
void slice_json_bool(JsonBuilder *builder, const char *name, gboolean value);
void slice_json_term(JsonBuilder *builder, const char *name, guint64 term);
void slice_json_time(JsonBuilder *builder, const char *name, gint64 us);

/* Prints what was built, on one line or indented. */
void slice_json_print(JsonBuilder *builder, gboolean one_line);

#endif
