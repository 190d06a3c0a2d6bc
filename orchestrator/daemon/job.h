/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * job.h - what an operator has begun: moves of many slices, with progress and cancel
 *
 * Moves of a job run side by side up to a bound; a slice that cannot be moved does
 * not keep the others from it.  A drain goes on in rounds: what came or was busy is planned again
 * until its VM is empty, nothing is left that could move, or its time is up.
 *
 * A job is on disk until it ends, and resumed after a restart.  Jobs that ended are kept for a
 * while, in memory.
 *
 * Below: move.c, plan.c, store.c.  Above: orchestrator.c, bus.c.
 */
#ifndef SLICE_DAEMON_JOB_H
#define SLICE_DAEMON_JOB_H

#include "move.h"
#include "plan.h"

typedef enum {
    SLICE_ITEM_WAITING,
    SLICE_ITEM_RUNNING,
    SLICE_ITEM_MOVED,
    SLICE_ITEM_FAILED, /* in a drain: until the next round */
    SLICE_ITEM_ENDED,  /* by itself, before it was moved */
} SliceItemState;

#define SLICE_ITEM_STATES 5

const char *slice_item_state_name(SliceItemState state);

/**
 * SliceJobItem: one slice of a job
 * @source: (nullable): while it has not begun
 * @target: (nullable): it stays
 * @step: see SliceMoveView
 * @error: (nullable): why it was not moved, at the last try
 * @tries: how often it was begun
 * @refused_by: (nullable): VMs that would not take it
 * @lost: a VM died with it
 */
typedef struct {
    char *slice;
    char *source;
    char *target;
    SliceItemState state;
    guint64 term;
    const char *step;
    GError *error;
    guint tries;
    GHashTable *refused_by;
    gboolean lost;
    guint64 bytes;
    guint64 packets;
    guint64 quiet_us;
} SliceJobItem;

/**
 * SliceJob: read-only for others
 * @deadline_ms: for each slice
 * @until_us: for the whole job, since the epoch; 0: none
 * @n: how many items are in each state
 * @round: of a drain, from 1
 * @started_us, @ended_us: since the epoch; 0: not yet
 * @code: 0, or the SliceError that its end amounts to
 */
typedef struct {
    guint id;
    SliceOrder *order;
    guint deadline_ms;
    gint64 until_us;
    GPtrArray *items; /* SliceJobItem, in the order of their first plan */
    guint n[SLICE_ITEM_STATES];
    guint round;
    gboolean cancelled;
    gint64 started_us, ended_us;
    int code;
    /* private to job.c: */
    GHashTable *by_slice;
    GQueue *waiting;
    guint moved_before; /* when the round began */
    guint pause_ms;
    guint timer, idle;
} SliceJob;

/* Return: (transfer full): its targets, separated by commas; '' for the others of the cluster. */
char *slice_job_targets(const SliceJob *job);
/* Return: (transfer full): its sources likewise. */
char *slice_job_sources(const SliceJob *job);

typedef struct SliceJobs SliceJobs;

/**
 * SliceJobsOps: the jobs' surroundings
 * @entry: (nullable): where the slice is now
 * @plan: see slice_plan_make()
 * @is_connected: does this VM's engine answer?
 * @changed: after each change; @item (nullable): of this one
 */
typedef struct {
    const SliceEntry *(*entry)(const char *id, gpointer data);
    GPtrArray *(*plan)(const SliceOrder *order, GHashTable *avoid, gpointer data,
                       GError **error);
    gboolean (*is_connected)(const char *vm, gpointer data);
    void (*changed)(const SliceJob *job, const SliceJobItem *item,
                    gpointer data);
} SliceJobsOps;

SliceJobs *slice_jobs_new(SliceMover *mover, SliceStore *store,
                          const SliceJobsOps *ops, gpointer data);
/* Jobs that have not ended stay on disk. */
void slice_jobs_free(SliceJobs *jobs);

/**
 * slice_jobs_start() - write a job down and begin with it
 * @order: copied
 * @plan: (element-type SlicePlanItem): what the order amounts to now
 * @deadline_ms: for each slice, to become quiet and then to be plugged
 * @job_deadline_ms: of a drain; 0: none
 *
 * Return: (transfer none): its first moves begin when the main loop is next idle; or NULL with the
 * store's error.
 */
const SliceJob *slice_jobs_start(SliceJobs *jobs, const SliceOrder *order,
                                 GPtrArray *plan, guint deadline_ms,
                                 guint job_deadline_ms, GError **error);

/* Go on with jobs of earlier incarnations; their moves have been resolved. */
void slice_jobs_resume(SliceJobs *jobs);

/* What waits is not begun, what runs is undone where it still can be. */
gboolean slice_jobs_cancel(SliceJobs *jobs, guint id, GError **error);

/* Return: (transfer none), or NULL with SLICE_ERROR_NOT_FOUND. */
const SliceJob *slice_jobs_find(SliceJobs *jobs, guint id, GError **error);
/* Return: (transfer none) (element-type SliceJob): oldest first. */
GPtrArray *slice_jobs_list(SliceJobs *jobs);
/* Return: (nullable) (transfer none): the drain of @vm that is under way. */
const SliceJob *slice_jobs_drain_of(SliceJobs *jobs, const char *vm);

#endif
