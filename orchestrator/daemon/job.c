/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * job.c - moves of a list of slices, with progress and cancel
 */
#include "job.h"

#include "util/error.h"

/* Each keeps its client waiting for some ms: enough to fill the pipe, few enough to stay short. */
#define SIDE_BY_SIDE 16
#define ENDED_JOBS_KEPT 100

struct SliceJobs {
    SliceMover *mover;
    const SliceJobsOps *ops;
    gpointer data;
    GPtrArray *list;
    guint last_id;
};

/* Who a move's watch belongs to. */
typedef struct {
    SliceJobs *jobs;
    SliceJob *job;
    SliceJobItem *item;
} Watch;

static void begin_some(SliceJobs *jobs, SliceJob *job);

const char *slice_item_state_name(SliceItemState state)
{
    static const char *const names[] = {
        [SLICE_ITEM_WAITING] = "waiting",
        [SLICE_ITEM_RUNNING] = "running",
        [SLICE_ITEM_MOVED] = "moved",
        [SLICE_ITEM_FAILED] = "failed",
    };

    return names[state];
}

static void item_free(gpointer value)
{
    SliceJobItem *item = value;

    g_free(item->slice);
    g_free(item->source);
    g_clear_error(&item->error);
    g_free(item);
}

static void job_free(gpointer value)
{
    SliceJob *job = value;

    g_ptr_array_unref(job->items);
    g_free(job->target);
    g_free(job);
}

SliceJobs *slice_jobs_new(SliceMover *mover, const SliceJobsOps *ops,
                          gpointer data)
{
    SliceJobs *jobs = g_new0(SliceJobs, 1);

    jobs->mover = mover;
    jobs->ops = ops;
    jobs->data = data;
    jobs->list = g_ptr_array_new_with_free_func(job_free);
    return jobs;
}

void slice_jobs_free(SliceJobs *jobs)
{
    if (jobs) {
        g_ptr_array_unref(jobs->list);
        g_free(jobs);
    }
}

/* One failure says its own kind, several of different kinds 'failed', some of many 'partly'. */
static int code_of(const SliceJob *job)
{
    int code = 0;

    if (!job->failed) {
        return 0;
    }
    if (job->moved) {
        return SLICE_ERROR_PARTLY;
    }
    for (guint i = 0; i < job->items->len; i++) {
        SliceJobItem *item = g_ptr_array_index(job->items, i);

        if (item->error && !code) {
            code = slice_error_exit_code(item->error);
        } else if (item->error && code != slice_error_exit_code(item->error)) {
            return SLICE_ERROR_FAILED;
        }
    }
    return code;
}

static void end_if_done(SliceJobs *jobs, SliceJob *job)
{
    if (!job->ended_us && job->moved + job->failed == job->items->len) {
        job->ended_us = g_get_real_time();
        job->code = code_of(job);
        jobs->ops->changed(job, NULL, jobs->data);
    }
}

static void fail_item(SliceJobs *jobs, SliceJob *job, SliceJobItem *item,
                      GError *error)
{
    item->state = SLICE_ITEM_FAILED;
    item->error = error;
    job->failed++;
    jobs->ops->changed(job, item, jobs->data);
}

static void watched(const SliceMoveView *view, gpointer data)
{
    Watch *watch = data;
    SliceJobs *jobs = watch->jobs;
    SliceJob *job = watch->job;
    SliceJobItem *item = watch->item;

    item->term = view->term;
    item->step = view->step;
    item->bytes = view->bytes;
    item->packets = view->packets;
    item->quiet_us = view->quiet_us;
    if (view->outcome == SLICE_MOVE_RUNNING) {
        jobs->ops->changed(job, item, jobs->data);
        return;
    }
    g_free(watch);
    job->running--;
    if (view->outcome == SLICE_MOVE_MOVED) {
        item->state = SLICE_ITEM_MOVED;
        job->moved++;
        jobs->ops->changed(job, item, jobs->data);
    } else {
        fail_item(jobs, job, item, view->error ? g_error_copy(view->error)
                  : g_error_new(SLICE_ERROR, SLICE_ERROR_FAILED, "slice %s: %s",
                                item->slice,
                                slice_move_outcome_name(view->outcome)));
    }
    begin_some(jobs, job);
    end_if_done(jobs, job);
}

static void begin(SliceJobs *jobs, SliceJob *job, SliceJobItem *item)
{
    const SliceEntry *entry = jobs->ops->entry(item->slice, jobs->data);
    GError *error = NULL;
    Watch *watch;

    if (job->cancelled || !entry) {
        fail_item(jobs, job, item, g_error_new(SLICE_ERROR, job->cancelled
                  ? SLICE_ERROR_FAILED : SLICE_ERROR_NOT_FOUND, job->cancelled
                  ? "slice %s: the job was cancelled"
                  : "slice %s does not exist any more", item->slice));
        return;
    }
    item->source = g_strdup(entry->vm);
    item->state = SLICE_ITEM_RUNNING;
    watch = g_new0(Watch, 1);
    watch->jobs = jobs;
    watch->job = job;
    watch->item = item;
    job->running++;
    if (!slice_mover_start(jobs->mover, entry, job->target, job->deadline_ms,
                           watched, watch, NULL, &error)) {
        g_free(watch);
        job->running--;
        fail_item(jobs, job, item, error);
    }
}

static void begin_some(SliceJobs *jobs, SliceJob *job)
{
    for (guint i = 0; i < job->items->len && job->running < SIDE_BY_SIDE; i++) {
        SliceJobItem *item = g_ptr_array_index(job->items, i);

        if (item->state == SLICE_ITEM_WAITING) {
            begin(jobs, job, item);
        }
    }
}

static void trim(SliceJobs *jobs)
{
    for (guint i = 0; jobs->list->len > ENDED_JOBS_KEPT && i < jobs->list->len;) {
        SliceJob *job = g_ptr_array_index(jobs->list, i);

        if (job->ended_us) {
            g_ptr_array_remove_index(jobs->list, i);
        } else {
            i++;
        }
    }
}

const SliceJob *slice_jobs_move(SliceJobs *jobs, const char *const *ids,
                                const char *target, guint deadline_ms)
{
    SliceJob *job = g_new0(SliceJob, 1);

    trim(jobs);
    job->id = ++jobs->last_id;
    job->target = g_strdup(target);
    job->deadline_ms = deadline_ms;
    job->items = g_ptr_array_new_with_free_func(item_free);
    job->started_us = g_get_real_time();
    for (guint i = 0; ids[i]; i++) {
        SliceJobItem *item = g_new0(SliceJobItem, 1);

        item->slice = g_strdup(ids[i]);
        item->source = NULL;
        item->step = "";
        g_ptr_array_add(job->items, item);
    }
    g_ptr_array_add(jobs->list, job);
    begin_some(jobs, job);
    end_if_done(jobs, job);
    return job;
}

const SliceJob *slice_jobs_find(SliceJobs *jobs, guint id, GError **error)
{
    for (guint i = 0; i < jobs->list->len; i++) {
        SliceJob *job = g_ptr_array_index(jobs->list, i);

        if (job->id == id) {
            return job;
        }
    }
    g_set_error(error, SLICE_ERROR, SLICE_ERROR_NOT_FOUND, "there is no job %u",
                id);
    return NULL;
}

gboolean slice_jobs_cancel(SliceJobs *jobs, guint id, GError **error)
{
    SliceJob *job = (SliceJob *)slice_jobs_find(jobs, id, error);

    if (!job) {
        return FALSE;
    }
    if (job->ended_us) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_REFUSED,
                    "job %u has ended", id);
        return FALSE;
    }
    job->cancelled = TRUE;
    for (guint i = 0; i < job->items->len; i++) {
        SliceJobItem *item = g_ptr_array_index(job->items, i);

        if (item->state == SLICE_ITEM_RUNNING) {
            /* One that is past its point of no return ends as moved. */
            slice_mover_cancel(jobs->mover, item->term, NULL);
        }
    }
    begin_some(jobs, job);
    end_if_done(jobs, job);
    return TRUE;
}

GPtrArray *slice_jobs_list(SliceJobs *jobs)
{
    return jobs->list;
}
