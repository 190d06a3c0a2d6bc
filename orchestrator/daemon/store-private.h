/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store-private.h - SQLite for the files of the store, and for no others
 */
#ifndef SLICE_DAEMON_STORE_PRIVATE_H
#define SLICE_DAEMON_STORE_PRIVATE_H

#include <sqlite3.h>

#include "store.h"

/**
 * slice_store_run() - one statement that changes something
 * @what: for messages: 'record a move'
 * @types: one letter for each parameter: 's' text, 'i' gint64
 *
 * Return: the number of changed rows, -1 with an error.
 */
int slice_store_run(SliceStore *store, const char *what, GError **error,
                    const char *sql, const char *types, ...);

/* Return: (nullable) a statement to step through, or NULL with an error. */
sqlite3_stmt *slice_store_question(SliceStore *store, const char *what,
                                   const char *sql, GError **error);
/* Ends it.  Return: FALSE with an error where its last step was neither a row nor the end. */
gboolean slice_store_is_over(SliceStore *store, sqlite3_stmt *statement, int code,
                             const char *what, GError **error);

/* One number, @text (nullable) for ?1; @otherwise where there is no row. */
gint64 slice_store_number(SliceStore *store, const char *sql, const char *text,
                          gint64 otherwise);
/* Return: (transfer full) */
char *slice_store_column(sqlite3_stmt *statement, int index);

#endif
