/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store.c - what must outlive the orchestrator: incarnation, terms, decisions
 */
#include "store.h"

#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

#include "util/error.h"

/* Ended moves that are kept for people to look at. */
#define ENDED_MOVES_KEPT "10000"

struct SliceStore {
    sqlite3 *db;
    char *path;
    guint32 incarnation;
    guint32 counter;
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS meta ("
    " key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS slots ("
    " vm TEXT PRIMARY KEY, slot INTEGER NOT NULL UNIQUE) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS moves ("
    " term INTEGER PRIMARY KEY, slice TEXT NOT NULL, source TEXT NOT NULL,"
    " target TEXT NOT NULL, flows TEXT NOT NULL,"
    " decision INTEGER NOT NULL DEFAULT 0, outcome TEXT);"
    "CREATE INDEX IF NOT EXISTS moves_open ON moves (term)"
    " WHERE outcome IS NULL;"
    "PRAGMA user_version = 1;";

void slice_move_record_free(SliceMoveRecord *record)
{
    if (record) {
        g_free(record->slice);
        g_free(record->source);
        g_free(record->target);
        g_free(record->flows);
        g_free(record);
    }
}

static gboolean fail(SliceStore *store, const char *what, GError **error)
{
    int code = sqlite3_errcode(store->db);

    g_set_error(error, SLICE_ERROR,
                code == SQLITE_BUSY ? SLICE_ERROR_BUSY : SLICE_ERROR_FAILED,
                "store %s: %s: %s", store->path, what,
                sqlite3_errmsg(store->db));
    return FALSE;
}

static gboolean execute(SliceStore *store, const char *what, const char *sql,
                        GError **error)
{
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK ||
           fail(store, what, error);
}

/**
 * run() - one statement that changes something
 * @types: one letter for each parameter: 's' text, 'i' gint64
 *
 * Return: the number of changed rows, -1 with an error.
 */
static int run(SliceStore *store, const char *what, GError **error,
               const char *sql, const char *types, ...)
{
    sqlite3_stmt *statement = NULL;
    va_list args;
    int code;

    if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK) {
        fail(store, what, error);
        return -1;
    }
    va_start(args, types);
    for (int i = 0; types[i]; i++) {
        if (types[i] == 's') {
            sqlite3_bind_text(statement, i + 1, va_arg(args, const char *), -1,
                              SQLITE_TRANSIENT);
        } else {
            sqlite3_bind_int64(statement, i + 1, va_arg(args, gint64));
        }
    }
    va_end(args);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
    }
    if (code != SQLITE_DONE) {
        fail(store, what, error);
        sqlite3_finalize(statement);
        return -1;
    }
    sqlite3_finalize(statement);
    return sqlite3_changes(store->db);
}

/* One number; @otherwise where there is no row. */
static gint64 number(SliceStore *store, const char *sql, const char *text,
                     gint64 otherwise)
{
    sqlite3_stmt *statement = NULL;
    gint64 value = otherwise;

    if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK) {
        return otherwise;
    }
    if (text) {
        sqlite3_bind_text(statement, 1, text, -1, SQLITE_TRANSIENT);
    }
    if (sqlite3_step(statement) == SQLITE_ROW) {
        value = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return value;
}

/* The incarnation is on disk when this returns, hence before any message. */
static gboolean draw_incarnation(SliceStore *store, GError **error)
{
    gint64 last = number(store, "SELECT value FROM meta WHERE key = 'incarnation'",
                         NULL, 0);

    if (last >= G_MAXINT32) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_FAILED,
                    "store %s: all incarnations are used up", store->path);
        return FALSE;
    }
    if (run(store, "draw an incarnation", error,
            "INSERT OR REPLACE INTO meta VALUES ('incarnation', ?1)", "i",
            last + 1) < 0) {
        return FALSE;
    }
    store->incarnation = last + 1;
    return TRUE;
}

SliceStore *slice_store_open(const char *path, GError **error)
{
    g_autoptr(SliceStore) store = g_new0(SliceStore, 1);
    g_autofree char *folder = g_path_get_dirname(path);

    store->path = g_strdup(path);
    g_mkdir_with_parents(folder, 0700);
    if (sqlite3_open_v2(path, &store->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                        NULL) != SQLITE_OK) {
        fail(store, "open", error);
        return NULL;
    }
    /* Exclusive: a second orchestrator must not share the terms. */
    if (!execute(store, "open",
                 "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
                 "PRAGMA synchronous = FULL; BEGIN EXCLUSIVE; COMMIT;", error) ||
        !execute(store, "create its tables", schema, error) ||
        !execute(store, "trim",
                 "DELETE FROM moves WHERE outcome IS NOT NULL AND term NOT IN"
                 " (SELECT term FROM moves ORDER BY term DESC LIMIT "
                 ENDED_MOVES_KEPT ")", error) ||
        !draw_incarnation(store, error)) {
        return NULL;
    }
    return g_steal_pointer(&store);
}

void slice_store_close(SliceStore *store)
{
    if (store) {
        sqlite3_close(store->db);
        g_free(store->path);
        g_free(store);
    }
}

guint32 slice_store_incarnation(SliceStore *store)
{
    return store->incarnation;
}

guint64 slice_store_next_term(SliceStore *store)
{
    if (store->counter == G_MAXUINT32) {
        return 0;
    }
    return (guint64)store->incarnation << 32 | ++store->counter;
}

gboolean slice_store_move_begin(SliceStore *store, const SliceMoveRecord *record,
                                GError **error)
{
    return run(store, "record a move", error,
               "INSERT INTO moves (term, slice, source, target, flows)"
               " VALUES (?1, ?2, ?3, ?4, ?5)", "issss", (gint64)record->term,
               record->slice, record->source, record->target,
               record->flows) > 0;
}

gboolean slice_store_move_decide(SliceStore *store, guint64 term,
                                 SliceDecision decision, GError **error)
{
    int changed = run(store, "record a decision", error,
                      "UPDATE moves SET decision = ?2 WHERE term = ?1"
                      " AND outcome IS NULL AND decision IN (0, ?2)", "ii",
                      (gint64)term, (gint64)decision);

    if (changed > 0) {
        return TRUE;
    }
    if (changed == 0) {
        g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, term);
        gboolean open = number(store, "SELECT count(*) FROM moves WHERE"
                               " outcome IS NULL AND term = CAST(?1 AS INTEGER)",
                               text, 0) > 0;

        g_set_error(error, SLICE_ERROR,
                    open ? SLICE_ERROR_REFUSED : SLICE_ERROR_NOT_FOUND,
                    "the move of term %" G_GUINT64_FORMAT " %s", term,
                    open ? "has been decided otherwise" : "is not under way");
    }
    return FALSE;
}

gboolean slice_store_move_end(SliceStore *store, guint64 term,
                              const char *outcome, GError **error)
{
    return run(store, "record a move's end", error,
               "UPDATE moves SET outcome = ?2 WHERE term = ?1", "is",
               (gint64)term, outcome) >= 0;
}

static char *column(sqlite3_stmt *statement, int index)
{
    return g_strdup((const char *)sqlite3_column_text(statement, index));
}

GPtrArray *slice_store_moves(SliceStore *store, GError **error)
{
    g_autoptr(GPtrArray) moves =
        g_ptr_array_new_with_free_func((GDestroyNotify)slice_move_record_free);
    sqlite3_stmt *statement = NULL;
    int code;

    if (sqlite3_prepare_v2(store->db,
                           "SELECT term, slice, source, target, flows, decision"
                           " FROM moves WHERE outcome IS NULL ORDER BY term",
                           -1, &statement, NULL) != SQLITE_OK) {
        fail(store, "read the moves", error);
        return NULL;
    }
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        SliceMoveRecord *record = g_new0(SliceMoveRecord, 1);

        record->term = sqlite3_column_int64(statement, 0);
        record->slice = column(statement, 1);
        record->source = column(statement, 2);
        record->target = column(statement, 3);
        record->flows = column(statement, 4);
        record->decision = sqlite3_column_int(statement, 5);
        g_ptr_array_add(moves, record);
    }
    sqlite3_finalize(statement);
    if (code != SQLITE_DONE) {
        fail(store, "read the moves", error);
        return NULL;
    }
    return g_steal_pointer(&moves);
}

guint slice_store_slot(SliceStore *store, const char *vm, GError **error)
{
    static const char find[] = "SELECT slot FROM slots WHERE vm = ?1";
    gint64 slot = number(store, find, vm, 0);

    if (slot > 0) {
        return slot;
    }
    if (run(store, "give a slot", error,
            "INSERT INTO slots SELECT ?1, coalesce(max(slot), 0) + 1 FROM slots"
            " HAVING coalesce(max(slot), 0) < 65535", "s", vm) < 1) {
        if (error && !*error) {
            g_set_error(error, SLICE_ERROR, SLICE_ERROR_FAILED,
                        "store %s: no slot is left for VM %s", store->path, vm);
        }
        return 0;
    }
    return number(store, find, vm, 0);
}
