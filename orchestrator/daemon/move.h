/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * move.h - take one slice from one VM to another while its client goes on
 *
 * The mover owns the moves under way, one for each slice at most.  It orders, the source
 * decides: what a move's outcome is, only the engines say.
 *
 * Below: engine.c, store.c, and what SliceMoverOps stands for.  Above: job.c, orchestrator.c.
 * Source: docs/specs/ownership.md.
 */
#ifndef SLICE_DAEMON_MOVE_H
#define SLICE_DAEMON_MOVE_H

#include "engine.h"
#include "store.h"

/* Called exactly once; @error NULL: done. */
typedef void (*SliceDone)(const GError *error, gpointer data);

/**
 * SliceMoverOps: the mover's surroundings
 * @engine: (nullable): of a VM that is connected and synced
 * @route: lead connections to a VM; done when the switch has it
 * @regrouped: has @entry, at its source, other connections now than in @entry?
 * @fence: destroy a VM for certain; done when it does not run any more
 * @ended: (nullable): a move of this slice has, and is under way no more
 */
typedef struct {
    SliceEngine *(*engine)(const char *vm, gpointer data);
    void (*route)(const char *slice, GArray *flows, const char *vm,
                  SliceDone done, gpointer done_data, gpointer data);
    gboolean (*regrouped)(const SliceEntry *entry, gpointer data);
    void (*fence)(const char *vm, SliceDone done, gpointer done_data,
                  gpointer data);
    void (*ended)(const char *slice, gpointer data);
} SliceMoverOps;

/* How a move ended, or that it has not. */
typedef enum {
    SLICE_MOVE_RUNNING,
    SLICE_MOVE_MOVED,  /* it runs at the target */
    SLICE_MOVE_UNDONE, /* it runs at the source, as if nothing had been */
    SLICE_MOVE_LOST,   /* a VM died with it, or its client ended it */
} SliceMoveOutcome;

const char *slice_move_outcome_name(SliceMoveOutcome outcome);

/**
 * SliceMoveView: a move, for people and for job.c
 * @step: what is being done ('prepare', 'quiesce', 'reroute', 'unplug',
 *	'settle', 'undo prepare' ..., 'fence', 'takeover')
 * @error: (nullable): why it is being or was undone
 * @refused_by: (nullable): the target, where it was that one who would not take it
 * @quiet_us: from the source's quiesced to the target's done, by the
 *	host's clock; 0 while unknown
 */
typedef struct {
    const char *slice;
    guint64 term;
    const char *source;
    const char *target;
    const char *step;
    SliceMoveOutcome outcome;
    const GError *error;
    const char *refused_by;
    guint64 bytes;
    guint64 packets;
    guint64 quiet_us;
} SliceMoveView;

/**
 * SliceMoveWatch: told after each step, and last with an outcome
 */
typedef void (*SliceMoveWatch)(const SliceMoveView *view, gpointer data);

typedef struct SliceMover SliceMover;

/* @store and @ops must outlive it. */
SliceMover *slice_mover_new(SliceStore *store, const SliceMoverOps *ops,
                            gpointer data);
/* Moves under way stay as they are, on disk and in the engines. */
void slice_mover_free(SliceMover *mover);

/**
 * slice_mover_start() - begin to move a slice
 * @entry: at its source; copied
 * @deadline_ms: how long it may take to become quiet, and then to be plugged
 * @ret_term: (nullable)
 *
 * Return: FALSE with SLICE_ERROR_BUSY for a slice that is moving or busy,
 * SLICE_ERROR_REFUSED for one that is pinned or whose target is its own VM,
 * SLICE_ERROR_UNREACHABLE for a VM that is not connected, SLICE_ERROR_FAILED
 * from the store.  Nothing has been sent then, and @watch is not called.
 */
gboolean slice_mover_start(SliceMover *mover, const SliceEntry *entry,
                           const char *target, guint deadline_ms,
                           SliceMoveWatch watch, gpointer data,
                           guint64 *ret_term, GError **error);

/**
 * slice_mover_hold(), slice_mover_release() - begin several moves with one trip to the disk
 *
 * Nothing is sent for moves that are begun in between before release has written them all.  Where that
 * fails they end at once, undone, with the store's error.
 */
void slice_mover_hold(SliceMover *mover);
void slice_mover_release(SliceMover *mover);

/**
 * slice_mover_cancel() - undo, where that is still possible
 * @id: the slice
 * @term: of the move
 *
 * Return: FALSE with SLICE_ERROR_NOT_FOUND for no such move, SLICE_ERROR_BUSY
 * where it is past the point of no return or being undone already.
 */
gboolean slice_mover_cancel(SliceMover *mover, const char *id, guint64 term,
                            GError **error);

/**
 * slice_mover_recover() - end a move that an earlier incarnation began
 * @record: copied
 *
 * Undone where the source still has the slice, finished where it has gone, as
 * the decision on disk and the engines say.
 */
void slice_mover_recover(SliceMover *mover, const SliceMoveRecord *record);

/**
 * slice_mover_adopt() - end a move that an engine made by itself
 * @entry: at the VM that survived, in a state of that move; copied
 * @source, @target: of the move; one of them is @entry's VM
 *
 * As slice_mover_recover(): the intention is written first, then the abort at a living source, or the
 * takeover from a dead one.
 *
 * Return: FALSE with SLICE_ERROR_BUSY where the slice is moved by us,
 * SLICE_ERROR_REFUSED where its term was never leased to @source, else the store's error.
 */
gboolean slice_mover_adopt(SliceMover *mover, const SliceEntry *entry,
                           const char *source, const char *target, GError **error);

/* Return: NULL-terminated: names of the fault points of a move, see util/fault.h. */
const char *const *slice_move_fault_points(void);

gboolean slice_mover_is_moving(SliceMover *mover, const char *id);
guint slice_mover_count(SliceMover *mover);

/* What the engines and domains tell; @vm without moves is ignored. */
void slice_mover_take_step(SliceMover *mover, const char *vm,
                           const SliceStepEvent *event);
void slice_mover_take_ended(SliceMover *mover, const char *vm, const char *id);
void slice_mover_take_synced(SliceMover *mover, const char *vm);
void slice_mover_take_lost(SliceMover *mover, const char *vm);

#endif
