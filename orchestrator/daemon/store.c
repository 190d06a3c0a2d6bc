/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store.c - what must outlive the orchestrator: incarnation, terms, decisions, intentions
 */
#include "store-private.h"

#include <string.h>
#include <sys/stat.h>

#include "util/error.h"

/* Ended moves that are kept for people to look at. */
#define ENDED_MOVES_KEPT "10000"
/* Incarnations whose leases are remembered: a move of an engine does not outlive so many restarts. */
#define LEASES_KEPT "1000"

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
    "CREATE TABLE IF NOT EXISTS cordons ("
    " vm TEXT PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS leases ("
    " first INTEGER PRIMARY KEY, count INTEGER NOT NULL, vm TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS jobs ("
    " id INTEGER PRIMARY KEY, plan TEXT NOT NULL, deadline_ms INTEGER NOT NULL,"
    " started INTEGER NOT NULL, until INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS job_slices ("
    " job INTEGER NOT NULL, slice TEXT NOT NULL, target TEXT NOT NULL,"
    " PRIMARY KEY (job, slice)) WITHOUT ROWID;"
    "PRAGMA user_version = 2;";

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

int slice_store_run(SliceStore *store, const char *what, GError **error,
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

gboolean slice_store_is_over(SliceStore *store, sqlite3_stmt *statement, int code,
                             const char *what, GError **error)
{
    sqlite3_finalize(statement);
    return code == SQLITE_DONE || fail(store, what, error);
}

sqlite3_stmt *slice_store_question(SliceStore *store, const char *what,
                                   const char *sql, GError **error)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK) {
        fail(store, what, error);
    }
    return statement;
}

gint64 slice_store_number(SliceStore *store, const char *sql, const char *text,
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
    gint64 last = slice_store_number(store, "SELECT value FROM meta WHERE key = 'incarnation'",
                         NULL, 0);

    if (last >= G_MAXINT32) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_FAILED,
                    "store %s: all incarnations are used up", store->path);
        return FALSE;
    }
    if (slice_store_run(store, "draw an incarnation", error,
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
        !draw_incarnation(store, error) ||
        !execute(store, "trim", "DELETE FROM leases WHERE (first >> 32) + "
                 LEASES_KEPT " < (SELECT value FROM meta WHERE key = 'incarnation')",
                 error)) {
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

gboolean slice_store_begin(SliceStore *store, GError **error)
{
    return execute(store, "begin", "BEGIN IMMEDIATE", error);
}

gboolean slice_store_commit(SliceStore *store, GError **error)
{
    if (execute(store, "commit", "COMMIT", error)) {
        return TRUE;
    }
    execute(store, "roll back", "ROLLBACK", NULL);
    return FALSE;
}

gboolean slice_store_move_begin(SliceStore *store, const SliceMoveRecord *record,
                                GError **error)
{
    return slice_store_run(store, "record a move", error,
               "INSERT INTO moves (term, slice, source, target, flows)"
               " VALUES (?1, ?2, ?3, ?4, ?5)", "issss", (gint64)record->term,
               record->slice, record->source, record->target,
               record->flows) > 0;
}

gboolean slice_store_move_decide(SliceStore *store, guint64 term,
                                 SliceDecision decision, GError **error)
{
    int changed = slice_store_run(store, "record a decision", error,
                      "UPDATE moves SET decision = ?2 WHERE term = ?1"
                      " AND outcome IS NULL AND (decision IN (0, ?2) OR"
                      " (decision = 1 AND ?2 = 3))", "ii",
                      (gint64)term, (gint64)decision);

    if (changed > 0) {
        return TRUE;
    }
    if (changed == 0) {
        g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, term);
        gboolean open = slice_store_number(store, "SELECT count(*) FROM moves WHERE"
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
    gboolean lazy = sqlite3_get_autocommit(store->db) &&
                    execute(store, "end a move", "PRAGMA synchronous = NORMAL", NULL);
    gboolean done = slice_store_run(store, "record a move's end", error,
                        "UPDATE moves SET outcome = ?2 WHERE term = ?1", "is",
                        (gint64)term, outcome) >= 0;

    if (lazy && !execute(store, "end a move", "PRAGMA synchronous = FULL", NULL)) {
        g_error("store %s: decisions cannot be made durable any more", store->path);
    }
    return done;
}

gboolean slice_store_move_was_aborted(SliceStore *store, guint64 term, const char *target)
{
    g_autofree char *sql = g_strdup_printf(
        "SELECT count(*) FROM moves WHERE term = %" G_GUINT64_FORMAT " AND target = ?1"
        " AND outcome IS NOT NULL AND decision = %d", term, SLICE_DECISION_ABORT);

    return slice_store_number(store, sql, target, 0) > 0;
}

char *slice_store_column(sqlite3_stmt *statement, int index)
{
    return g_strdup((const char *)sqlite3_column_text(statement, index));
}

GPtrArray *slice_store_moves(SliceStore *store, GError **error)
{
    g_autoptr(GPtrArray) moves =
        g_ptr_array_new_with_free_func((GDestroyNotify)slice_move_record_free);
    sqlite3_stmt *statement = slice_store_question(store, "read the moves",
        "SELECT term, slice, source, target, flows, decision FROM moves"
        " WHERE outcome IS NULL ORDER BY term", error);
    int code;

    if (!statement) {
        return NULL;
    }
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        SliceMoveRecord *record = g_new0(SliceMoveRecord, 1);

        record->term = sqlite3_column_int64(statement, 0);
        record->slice = slice_store_column(statement, 1);
        record->source = slice_store_column(statement, 2);
        record->target = slice_store_column(statement, 3);
        record->flows = slice_store_column(statement, 4);
        record->decision = sqlite3_column_int(statement, 5);
        g_ptr_array_add(moves, record);
    }
    return slice_store_is_over(store, statement, code, "read the moves", error)
               ? g_steal_pointer(&moves) : NULL;
}

guint slice_store_slot(SliceStore *store, const char *vm, GError **error)
{
    static const char find[] = "SELECT slot FROM slots WHERE vm = ?1";
    gint64 slot = slice_store_number(store, find, vm, 0);

    if (slot > 0) {
        return slot;
    }
    if (slice_store_run(store, "give a slot", error,
            "INSERT INTO slots SELECT ?1, coalesce(max(slot), 0) + 1 FROM slots"
            " HAVING coalesce(max(slot), 0) < 65535", "s", vm) < 1) {
        if (error && !*error) {
            g_set_error(error, SLICE_ERROR, SLICE_ERROR_FAILED,
                        "store %s: no slot is left for VM %s", store->path, vm);
        }
        return 0;
    }
    return slice_store_number(store, find, vm, 0);
}

/* ---- cordons ---- */

gboolean slice_store_set_cordon(SliceStore *store, const char *vm,
                                gboolean cordoned, GError **error)
{
    return slice_store_run(store, "record a cordon", error,
               cordoned ? "INSERT OR IGNORE INTO cordons VALUES (?1, ?2)"
                        : "DELETE FROM cordons WHERE vm = ?1",
               cordoned ? "si" : "s", vm, g_get_real_time()) >= 0;
}

GHashTable *slice_store_cordons(SliceStore *store, GError **error)
{
    g_autoptr(GHashTable) cordons =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    sqlite3_stmt *statement = slice_store_question(store, "read the cordons",
                                       "SELECT vm FROM cordons", error);
    int code;

    if (!statement) {
        return NULL;
    }
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        g_hash_table_add(cordons, slice_store_column(statement, 0));
    }
    return slice_store_is_over(store, statement, code, "read the cordons", error)
               ? g_steal_pointer(&cordons) : NULL;
}

/* ---- leases ---- */

guint64 slice_store_lease(SliceStore *store, const char *vm, guint32 count,
                          GError **error)
{
    guint64 first = ((guint64)store->incarnation << 32 | store->counter) + 1;

    if (G_MAXUINT32 - store->counter < count) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_FAILED,
                    "this incarnation's terms are used up: restart sliced");
        return 0;
    }
    /* Taken even if the store fails: it may have been written. */
    store->counter += count;
    if (slice_store_run(store, "record a lease", error, "INSERT INTO leases VALUES (?1, ?2, ?3)",
            "iis", (gint64)first, (gint64)count, vm) < 1) {
        return 0;
    }
    return first;
}

char *slice_store_lease_of(SliceStore *store, guint64 term)
{
    sqlite3_stmt *statement = slice_store_question(store, "read the leases",
        "SELECT vm FROM leases WHERE first <= ?1 AND ?1 < first + count"
        " ORDER BY first DESC LIMIT 1", NULL);
    char *vm = NULL;

    if (statement) {
        sqlite3_bind_int64(statement, 1, term);
        if (sqlite3_step(statement) == SQLITE_ROW) {
            vm = slice_store_column(statement, 0);
        }
        sqlite3_finalize(statement);
    }
    return vm;
}
