/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store-jobs.c - jobs that have not ended, on disk
 */
#include "store-private.h"

void slice_job_record_free(SliceJobRecord *record)
{
    if (record) {
        g_free(record->order);
        g_strfreev(record->slices);
        g_strfreev(record->targets);
        g_free(record);
    }
}

static gboolean put_slices(SliceStore *store, const SliceJobRecord *record, GError **error)
{
    for (guint i = 0; record->slices[i]; i++) {
        if (slice_store_run(store, "record a job's slice", error,
                            "INSERT INTO job_slices VALUES (?1, ?2, ?3)", "iss",
                            (gint64)record->id, record->slices[i],
                            record->targets[i]) < 1) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean slice_store_job_begin(SliceStore *store, const SliceJobRecord *record,
                               GError **error)
{
    if (!slice_store_begin(store, error)) {
        return FALSE;
    }
    if (slice_store_run(store, "record a job", error,
                        "INSERT INTO jobs VALUES (?1, ?2, ?3, ?4, ?5)", "isiii",
                        (gint64)record->id, record->order, (gint64)record->deadline_ms,
                        record->started_us, record->until_us) < 1 ||
        slice_store_run(store, "record a job", error, "INSERT OR REPLACE INTO meta"
                        " VALUES ('job', ?1)", "i", (gint64)record->id) < 1 ||
        !put_slices(store, record, error)) {
        slice_store_run(store, "roll back", NULL, "ROLLBACK", "");
        return FALSE;
    }
    return slice_store_commit(store, error);
}

gboolean slice_store_job_end(SliceStore *store, guint id, GError **error)
{
    if (!slice_store_begin(store, error)) {
        return FALSE;
    }
    if (slice_store_run(store, "end a job", error, "DELETE FROM job_slices WHERE job = ?1",
                        "i", (gint64)id) < 0 ||
        slice_store_run(store, "end a job", error, "DELETE FROM jobs WHERE id = ?1", "i",
                        (gint64)id) < 0) {
        slice_store_run(store, "roll back", NULL, "ROLLBACK", "");
        return FALSE;
    }
    return slice_store_commit(store, error);
}

static gboolean get_slices(SliceStore *store, SliceJobRecord *record, GError **error)
{
    g_autoptr(GPtrArray) slices = g_ptr_array_new();
    g_autoptr(GPtrArray) targets = g_ptr_array_new();
    sqlite3_stmt *statement = slice_store_question(store, "read a job's slices",
        "SELECT slice, target FROM job_slices WHERE job = ?1 ORDER BY slice", error);
    int code;

    if (!statement) {
        return FALSE;
    }
    sqlite3_bind_int64(statement, 1, record->id);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        g_ptr_array_add(slices, slice_store_column(statement, 0));
        g_ptr_array_add(targets, slice_store_column(statement, 1));
    }
    g_ptr_array_add(slices, NULL);
    g_ptr_array_add(targets, NULL);
    record->slices = (char **)g_ptr_array_steal(slices, NULL);
    record->targets = (char **)g_ptr_array_steal(targets, NULL);
    return slice_store_is_over(store, statement, code, "read a job's slices", error);
}

GPtrArray *slice_store_jobs(SliceStore *store, GError **error)
{
    g_autoptr(GPtrArray) jobs =
        g_ptr_array_new_with_free_func((GDestroyNotify)slice_job_record_free);
    sqlite3_stmt *statement = slice_store_question(store, "read the jobs",
        "SELECT id, plan, deadline_ms, started, until FROM jobs ORDER BY id", error);
    int code;

    if (!statement) {
        return NULL;
    }
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        SliceJobRecord *record = g_new0(SliceJobRecord, 1);

        record->id = sqlite3_column_int64(statement, 0);
        record->order = slice_store_column(statement, 1);
        record->deadline_ms = sqlite3_column_int64(statement, 2);
        record->started_us = sqlite3_column_int64(statement, 3);
        record->until_us = sqlite3_column_int64(statement, 4);
        g_ptr_array_add(jobs, record);
    }
    if (!slice_store_is_over(store, statement, code, "read the jobs", error)) {
        return NULL;
    }
    for (guint i = 0; i < jobs->len; i++) {
        if (!get_slices(store, g_ptr_array_index(jobs, i), error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&jobs);
}

guint slice_store_next_job(SliceStore *store)
{
    return slice_store_number(store, "SELECT value FROM meta WHERE key = 'job'", NULL, 0) + 1;
}
