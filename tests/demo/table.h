/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * table.h - a verdict: claims, what was found, whether each holds
 *
 * Goes to standard output and to a file beside the records.
 */
#ifndef SLICE_DEMO_TABLE_H
#define SLICE_DEMO_TABLE_H

#include <stdbool.h>

#include <glib.h>

typedef struct Table Table;

/** table_new: also written to verdict.txt in @dir, where that is possible. */
Table *table_new(const char *dir);
void table_free(Table *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Table, table_free)

/** table_print: text as it is. */
void table_print(Table *table, const char *format, ...) G_GNUC_PRINTF(2, 3);
/** table_claim: one line; a claim that does not hold spoils the whole. */
void table_claim(Table *table, bool holds, const char *what, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
/** table_holds: did every claim hold so far? */
bool table_holds(const Table *table);

#endif /* SLICE_DEMO_TABLE_H */
