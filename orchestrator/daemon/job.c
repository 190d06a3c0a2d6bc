/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * job.c - what an operator has begun: moves of many slices, with progress and cancel
 *
 *   plan > WAITING > begun, up to SIDE_BY_SIDE > each ends > all have: end, or (drain) next round
 *
 * Moves are begun from an idle callback, so that those which can begin together share a trip
 * to the disk.  A round that moved nothing is followed by a pause, which grows: what holds the
 * rest (a request, a download) ends when it ends.
 */
#include "job.h"

#include "util/error.h"

/* Each keeps its client waiting for some ms: enough to fill the pipe, few enough to stay short. */
#define SIDE_BY_SIDE 32
#define ENDED_JOBS_KEPT 100
#define PAUSE_MS 100
#define PAUSE_MAX_MS 2000

struct SliceJobs {
    SliceMover *mover;
    SliceStore *store;
    const SliceJobsOps *ops;
    gpointer data;
    GPtrArray *list;
};

/* Who a move's watch belongs to. */
typedef struct {
    SliceJobs *jobs;
    SliceJob *job;
    SliceJobItem *item;
} Watch;

/* Whose timer or idle callback. */
typedef struct {
    SliceJobs *jobs;
    SliceJob *job;
} Later;

static void begin_later(SliceJobs *jobs, SliceJob *job);

const char *slice_item_state_name(SliceItemState state)
{
    static const char *const names[SLICE_ITEM_STATES] = {
        [SLICE_ITEM_WAITING] = "waiting", [SLICE_ITEM_RUNNING] = "running",
        [SLICE_ITEM_MOVED] = "moved",     [SLICE_ITEM_FAILED] = "failed",
        [SLICE_ITEM_ENDED] = "ended",
    };

    return names[state];
}

char *slice_job_targets(const SliceJob *job)
{
    return g_strjoinv(",", job->order->targets);
}

char *slice_job_sources(const SliceJob *job)
{
    return g_strjoinv(",", job->order->vms);
}

/* ---- life ---- */

static void item_free(gpointer value)
{
    SliceJobItem *item = value;

    g_free(item->slice);
    g_free(item->source);
    g_free(item->target);
    g_clear_error(&item->error);
    g_clear_pointer(&item->refused_by, g_hash_table_unref);
    g_free(item);
}

static void job_free(gpointer value)
{
    SliceJob *job = value;

    g_clear_handle_id(&job->timer, g_source_remove);
    g_clear_handle_id(&job->idle, g_source_remove);
    slice_order_free(job->order);
    g_hash_table_unref(job->by_slice);
    g_queue_free(job->waiting);
    g_ptr_array_unref(job->items);
    g_free(job);
}

static SliceJob *job_new(guint id, const SliceOrder *order, guint deadline_ms)
{
    SliceJob *job = g_new0(SliceJob, 1);

    job->id = id;
    job->order = slice_order_copy(order);
    job->deadline_ms = deadline_ms;
    job->round = 1;
    job->pause_ms = PAUSE_MS;
    job->items = g_ptr_array_new_with_free_func(item_free);
    job->by_slice = g_hash_table_new(g_str_hash, g_str_equal);
    job->waiting = g_queue_new();
    return job;
}

SliceJobs *slice_jobs_new(SliceMover *mover, SliceStore *store,
                          const SliceJobsOps *ops, gpointer data)
{
    SliceJobs *jobs = g_new0(SliceJobs, 1);

    jobs->mover = mover;
    jobs->store = store;
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

static gboolean is_drain(const SliceJob *job)
{
    return job->order->kind == SLICE_ORDER_DRAIN;
}

static gboolean is_late(const SliceJob *job)
{
    return job->until_us && g_get_real_time() >= job->until_us;
}

/* ---- items ---- */

static void set_state(SliceJob *job, SliceJobItem *item, SliceItemState state)
{
    job->n[item->state]--;
    item->state = state;
    job->n[state]++;
}

static SliceJobItem *item_of(SliceJob *job, const char *slice)
{
    SliceJobItem *item = g_hash_table_lookup(job->by_slice, slice);

    if (!item) {
        item = g_new0(SliceJobItem, 1);
        item->slice = g_strdup(slice);
        item->step = "";
        item->state = SLICE_ITEM_WAITING;
        job->n[SLICE_ITEM_WAITING]++;
        g_ptr_array_add(job->items, item);
        g_hash_table_insert(job->by_slice, item->slice, item);
    }
    return item;
}

/* @error: (transfer full) (nullable) */
static void settle(SliceJobs *jobs, SliceJob *job, SliceJobItem *item,
                   SliceItemState state, GError *error)
{
    set_state(job, item, state);
    g_clear_error(&item->error);
    item->error = error;
    jobs->ops->changed(job, item, jobs->data);
}

static void enqueue(SliceJob *job, SliceJobItem *item, const char *target)
{
    g_free(item->target);
    item->target = g_strdup(target);
    set_state(job, item, SLICE_ITEM_WAITING);
    g_queue_push_tail(job->waiting, item);
}

/* ---- the end ---- */

/* One failure says its own kind, several of different kinds 'failed', some of many 'partly'. */
static int code_of(const SliceJob *job)
{
    int code = 0;

    if (job->n[SLICE_ITEM_MOVED] && job->n[SLICE_ITEM_FAILED]) {
        return SLICE_ERROR_PARTLY;
    }
    for (guint i = 0; i < job->items->len; i++) {
        const SliceJobItem *item = g_ptr_array_index(job->items, i);
        int one = item->state == SLICE_ITEM_FAILED ? slice_error_exit_code(item->error) : 0;

        if (one && code && code != one) {
            return SLICE_ERROR_FAILED;
        }
        code = one ? one : code;
    }
    return code;
}

static void end_on_disk(SliceJobs *jobs, SliceJob *job)
{
    g_autoptr(GError) error = NULL;

    if (!slice_store_job_end(jobs->store, job->id, &error)) {
        g_warning("job %u would be resumed by the next start: %s", job->id, error->message);
    }
}

static void end(SliceJobs *jobs, SliceJob *job)
{
    g_clear_handle_id(&job->timer, g_source_remove);
    job->ended_us = g_get_real_time();
    job->code = code_of(job);
    end_on_disk(jobs, job);
    jobs->ops->changed(job, NULL, jobs->data);
}

/* ---- rounds ---- */

static GHashTable *refusals(const SliceJob *job)
{
    GHashTable *avoid = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < job->items->len; i++) {
        SliceJobItem *item = g_ptr_array_index(job->items, i);

        if (item->refused_by) {
            g_hash_table_insert(avoid, item->slice, item->refused_by);
        }
    }
    return avoid;
}

/* Return: how many of the plan can still move, now or later. */
static guint take_plan(SliceJobs *jobs, SliceJob *job, GPtrArray *plan)
{
    guint hopeful = 0;

    for (guint i = 0; i < plan->len; i++) {
        const SlicePlanItem *planned = g_ptr_array_index(plan, i);
        SliceJobItem *item = item_of(job, planned->slice);

        g_free(item->source);
        item->source = g_strdup(planned->from);
        if (planned->to) {
            enqueue(job, item, planned->to);
            hopeful++;
        } else {
            hopeful += g_error_matches(planned->why, SLICE_ERROR, SLICE_ERROR_BUSY);
            /* Why nobody takes it, those who were asked have said. */
            settle(jobs, job, item, SLICE_ITEM_FAILED,
                   g_error_copy(item->refused_by && item->error ? item->error
                                                                : planned->why));
        }
    }
    return hopeful;
}

/* A slice of a drain that is nowhere: its client ended it, or it died with its VM. */
static void settle_gone(SliceJobs *jobs, SliceJob *job, SliceJobItem *item)
{
    const char *vm = job->order->vms[0];

    if (jobs->ops->is_connected(vm, jobs->data)) {
        settle(jobs, job, item, SLICE_ITEM_ENDED, NULL);
        return;
    }
    item->lost = TRUE;
    settle(jobs, job, item, SLICE_ITEM_FAILED,
           g_error_new(SLICE_ERROR, SLICE_ERROR_UNREACHABLE, "VM %s died with it", vm));
}

/* What failed before and is not in the plan of a new round is on the VM no more. */
static void drop_ended(SliceJobs *jobs, SliceJob *job, GPtrArray *plan)
{
    g_autoptr(GHashTable) planned = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < plan->len; i++) {
        g_hash_table_add(planned, ((SlicePlanItem *)g_ptr_array_index(plan, i))->slice);
    }
    for (guint i = 0; i < job->items->len; i++) {
        SliceJobItem *item = g_ptr_array_index(job->items, i);

        if (item->state == SLICE_ITEM_FAILED && !item->lost &&
            !g_hash_table_contains(planned, item->slice)) {
            settle_gone(jobs, job, item);
        }
    }
}

/* Time is up: what would have been tried again has failed. */
static void give_up_waiting(SliceJobs *jobs, SliceJob *job, SliceError code,
                            const char *why)
{
    SliceJobItem *item;

    while ((item = g_queue_pop_head(job->waiting))) {
        GError *error = item->error ? g_error_copy(item->error)
                                    : g_error_new_literal(SLICE_ERROR, code, why);

        settle(jobs, job, item, SLICE_ITEM_FAILED, error);
    }
}

static void next_round(SliceJobs *jobs, SliceJob *job)
{
    g_autoptr(GHashTable) avoid = refusals(job);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) plan = jobs->ops->plan(job->order, avoid, jobs->data, &error);
    guint hopeful;

    if (!plan) {
        g_warning("job %u: %s", job->id, error->message);
        end(jobs, job);
        return;
    }
    drop_ended(jobs, job, plan);
    hopeful = take_plan(jobs, job, plan);
    if (hopeful && !is_late(job)) {
        job->round++;
        job->moved_before = job->n[SLICE_ITEM_MOVED];
        begin_later(jobs, job);
        return;
    }
    give_up_waiting(jobs, job, SLICE_ERROR_BUSY, "the time for the drain has passed");
    end(jobs, job);
}

static gboolean pause_is_over(gpointer data)
{
    Later *later = data;

    later->job->timer = 0;
    next_round(later->jobs, later->job);
    return G_SOURCE_REMOVE;
}

static guint later_do(guint ms, GSourceFunc function, SliceJobs *jobs, SliceJob *job)
{
    Later *later = g_new(Later, 1);

    *later = (Later){ jobs, job };
    return ms ? g_timeout_add_full(G_PRIORITY_DEFAULT, ms, function, later, g_free)
              : g_idle_add_full(G_PRIORITY_DEFAULT_IDLE, function, later, g_free);
}

/* Nothing waits or runs any more. */
static void round_is_over(SliceJobs *jobs, SliceJob *job)
{
    if (!is_drain(job) || job->cancelled) {
        end(jobs, job);
    } else if (job->n[SLICE_ITEM_MOVED] > job->moved_before || is_late(job) ||
               !job->n[SLICE_ITEM_FAILED] ||
               !jobs->ops->is_connected(job->order->vms[0], jobs->data)) {
        job->pause_ms = PAUSE_MS;
        next_round(jobs, job);
    } else if (!job->timer) {
        job->timer = later_do(job->pause_ms, pause_is_over, jobs, job);
        job->pause_ms = MIN(2 * job->pause_ms, PAUSE_MAX_MS);
    }
}

static void go_on(SliceJobs *jobs, SliceJob *job)
{
    if (job->ended_us) {
        return;
    }
    if (!g_queue_is_empty(job->waiting)) {
        begin_later(jobs, job);
    } else if (!job->n[SLICE_ITEM_RUNNING]) {
        round_is_over(jobs, job);
    }
}

/* ---- moves ---- */

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
    if (view->refused_by) {
        if (!item->refused_by) {
            item->refused_by = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        }
        g_hash_table_add(item->refused_by, g_strdup(view->refused_by));
    }
    if (view->outcome == SLICE_MOVE_MOVED) {
        settle(jobs, job, item, SLICE_ITEM_MOVED, NULL);
    } else {
        item->lost = view->outcome == SLICE_MOVE_LOST &&
                     !g_error_matches(view->error, SLICE_ERROR, SLICE_ERROR_NOT_FOUND);
        settle(jobs, job, item, SLICE_ITEM_FAILED,
               view->error ? g_error_copy(view->error)
                           : g_error_new(SLICE_ERROR, SLICE_ERROR_FAILED, "it was %s",
                                         slice_move_outcome_name(view->outcome)));
    }
    go_on(jobs, job);
}

/* A slice of a drain may take what is left of the whole's time. */
static guint deadline_of(const SliceJob *job)
{
    gint64 left_ms = job->until_us ? (job->until_us - g_get_real_time()) / 1000 : G_MAXUINT;

    return CLAMP(left_ms, 1, job->deadline_ms);
}

static void begin(SliceJobs *jobs, SliceJob *job, SliceJobItem *item)
{
    const SliceEntry *entry = jobs->ops->entry(item->slice, jobs->data);
    GError *error = NULL;
    Watch *watch;

    if (!entry && is_drain(job)) {
        settle_gone(jobs, job, item);
        return;
    }
    if (!entry) {
        settle(jobs, job, item, SLICE_ITEM_FAILED,
               g_error_new_literal(SLICE_ERROR, SLICE_ERROR_NOT_FOUND,
                                   "it does not exist any more"));
        return;
    }
    if (is_drain(job) && !g_str_equal(entry->vm, job->order->vms[0]) &&
        !g_str_equal(entry->vm, item->target)) {
        settle(jobs, job, item, SLICE_ITEM_ENDED, NULL); /* somebody else has moved it */
        return;
    }
    if (g_str_equal(entry->vm, item->target) && entry->state == SLICE_STATE_OWNER) {
        settle(jobs, job, item, SLICE_ITEM_MOVED, NULL); /* before a restart, or by itself */
        return;
    }
    g_free(item->source);
    item->source = g_strdup(entry->vm);
    item->tries++;
    set_state(job, item, SLICE_ITEM_RUNNING);
    watch = g_new0(Watch, 1);
    *watch = (Watch){ jobs, job, item };
    if (!slice_mover_start(jobs->mover, entry, item->target, deadline_of(job), watched,
                           watch, NULL, &error)) {
        g_free(watch);
        settle(jobs, job, item, SLICE_ITEM_FAILED, error);
    }
}

static gboolean begin_some(gpointer data)
{
    SliceJobs *jobs = ((Later *)data)->jobs;
    SliceJob *job = ((Later *)data)->job;

    job->idle = 0;
    if (is_late(job)) {
        give_up_waiting(jobs, job, SLICE_ERROR_BUSY, "the time for the job has passed");
    }
    slice_mover_hold(jobs->mover);
    while (job->n[SLICE_ITEM_RUNNING] < SIDE_BY_SIDE && !g_queue_is_empty(job->waiting)) {
        begin(jobs, job, g_queue_pop_head(job->waiting));
    }
    slice_mover_release(jobs->mover);
    if (!job->n[SLICE_ITEM_RUNNING]) {
        go_on(jobs, job);
    }
    return G_SOURCE_REMOVE;
}

static void begin_later(SliceJobs *jobs, SliceJob *job)
{
    if (!job->idle) {
        job->idle = later_do(0, begin_some, jobs, job);
    }
}

/* ---- from above ---- */

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

static gboolean write_down(SliceJobs *jobs, const SliceJob *job, GPtrArray *plan,
                           GError **error)
{
    g_autoptr(GPtrArray) slices = g_ptr_array_new();
    g_autoptr(GPtrArray) targets = g_ptr_array_new();
    g_autofree char *order = slice_order_to_text(job->order);
    SliceJobRecord record = { .id = job->id, .order = order,
                              .deadline_ms = job->deadline_ms,
                              .started_us = job->started_us, .until_us = job->until_us };

    for (guint i = 0; i < plan->len; i++) {
        SlicePlanItem *planned = g_ptr_array_index(plan, i);

        /* A drain that is resumed is planned anew. */
        if (planned->to && !is_drain(job)) {
            g_ptr_array_add(slices, planned->slice);
            g_ptr_array_add(targets, planned->to);
        }
    }
    g_ptr_array_add(slices, NULL);
    g_ptr_array_add(targets, NULL);
    record.slices = (char **)slices->pdata;
    record.targets = (char **)targets->pdata;
    return slice_store_job_begin(jobs->store, &record, error);
}

const SliceJob *slice_jobs_start(SliceJobs *jobs, const SliceOrder *order,
                                 GPtrArray *plan, guint deadline_ms,
                                 guint job_deadline_ms, GError **error)
{
    SliceJob *job = job_new(slice_store_next_job(jobs->store), order, deadline_ms);

    job->started_us = g_get_real_time();
    job->until_us = job_deadline_ms ? job->started_us + job_deadline_ms * G_GINT64_CONSTANT(1000)
                                    : 0;
    if (!write_down(jobs, job, plan, error)) {
        job_free(job);
        return NULL;
    }
    trim(jobs);
    g_ptr_array_add(jobs->list, job);
    take_plan(jobs, job, plan);
    begin_later(jobs, job);
    return job;
}

static void resume(SliceJobs *jobs, const SliceJobRecord *record)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SliceOrder) order = slice_order_from_text(record->order, &error);
    SliceJob *job;

    if (!order) {
        g_warning("job %u is not resumed: %s", record->id, error->message);
        return;
    }
    job = job_new(record->id, order, record->deadline_ms);
    job->started_us = record->started_us;
    job->until_us = record->until_us;
    for (guint i = 0; record->slices[i]; i++) {
        enqueue(job, item_of(job, record->slices[i]), record->targets[i]);
    }
    g_ptr_array_add(jobs->list, job);
    g_message("resuming job %u (%s), %u slices", job->id,
              slice_order_kind_name(order->kind), job->items->len);
    begin_later(jobs, job);
}

void slice_jobs_resume(SliceJobs *jobs)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) records = slice_store_jobs(jobs->store, &error);

    if (!records) {
        g_warning("no job is resumed: %s", error->message);
        return;
    }
    for (guint i = 0; i < records->len; i++) {
        const SliceJobRecord *record = g_ptr_array_index(records, i);

        if (!slice_jobs_find(jobs, record->id, NULL)) {
            resume(jobs, record);
        }
    }
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
    end_on_disk(jobs, job);
    g_clear_handle_id(&job->timer, g_source_remove);
    give_up_waiting(jobs, job, SLICE_ERROR_FAILED, "the job was cancelled");
    for (guint i = 0; i < job->items->len; i++) {
        SliceJobItem *item = g_ptr_array_index(job->items, i);

        if (item->state == SLICE_ITEM_RUNNING) {
            /* One that is past its point of no return ends as moved. */
            slice_mover_cancel(jobs->mover, item->slice, item->term, NULL);
        }
    }
    go_on(jobs, job);
    return TRUE;
}

GPtrArray *slice_jobs_list(SliceJobs *jobs)
{
    return jobs->list;
}

const SliceJob *slice_jobs_drain_of(SliceJobs *jobs, const char *vm)
{
    for (guint i = 0; i < jobs->list->len; i++) {
        const SliceJob *job = g_ptr_array_index(jobs->list, i);

        if (!job->ended_us && is_drain(job) && g_str_equal(job->order->vms[0], vm)) {
            return job;
        }
    }
    return NULL;
}
