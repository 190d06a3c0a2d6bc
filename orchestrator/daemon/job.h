/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * job.h - moves of a list of slices, with progress and cancel
 *
 * Moves of a job run side by side up to a bound; a slice that cannot be moved does
 * not keep the others from it.  Jobs that ended are kept for a while, in memory.
 *
 * Below: move.c.  Above: orchestrator.c, bus.c.
 */
#ifndef SLICE_DAEMON_JOB_H
#define SLICE_DAEMON_JOB_H

#include "move.h"

typedef enum {
    SLICE_ITEM_WAITING,
    SLICE_ITEM_RUNNING,
    SLICE_ITEM_MOVED,
    SLICE_ITEM_FAILED,
} SliceItemState;

const char *slice_item_state_name(SliceItemState state);

/**
 * SliceJobItem: one slice of a job
 * @step: see SliceMoveView
 * @error: (nullable)
 */
typedef struct {
    char *slice;
    char *source;
    SliceItemState state;
    guint64 term;
    const char *step;
    GError *error;
    guint64 bytes;
    guint64 packets;
    guint64 quiet_us;
} SliceJobItem;

/**
 * SliceJob: read-only for others
 * @started_us, @ended_us: since the epoch; 0: not yet
 * @code: 0, or the SliceError that its end amounts to
 */
typedef struct {
    guint id;
    char *target;
    guint deadline_ms;
    GPtrArray *items; /* SliceJobItem */
    guint running, moved, failed;
    gboolean cancelled;
    gint64 started_us, ended_us;
    int code;
} SliceJob;

typedef struct SliceJobs SliceJobs;

/**
 * SliceJobsOps: the jobs' surroundings
 * @entry: (nullable): where the slice is now
 * @changed: after each change; @item (nullable): of this one
 */
typedef struct {
    const SliceEntry *(*entry)(const char *id, gpointer data);
    void (*changed)(const SliceJob *job, const SliceJobItem *item,
                    gpointer data);
} SliceJobsOps;

SliceJobs *slice_jobs_new(SliceMover *mover, const SliceJobsOps *ops,
                          gpointer data);
void slice_jobs_free(SliceJobs *jobs);

/**
 * slice_jobs_move() - begin
 * @ids: whole ids, none twice
 * @deadline_ms: for each slice
 *
 * Return: (transfer none): it may have ended already.
 */
const SliceJob *slice_jobs_move(SliceJobs *jobs, const char *const *ids,
                                const char *target, guint deadline_ms);

/* What waits is not begun, what runs is undone where it still can be. */
gboolean slice_jobs_cancel(SliceJobs *jobs, guint id, GError **error);

/* Return: (transfer none), or NULL with SLICE_ERROR_NOT_FOUND. */
const SliceJob *slice_jobs_find(SliceJobs *jobs, guint id, GError **error);
/* Return: (transfer none) (element-type SliceJob): oldest first. */
GPtrArray *slice_jobs_list(SliceJobs *jobs);

#endif
