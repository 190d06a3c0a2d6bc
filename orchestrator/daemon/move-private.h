/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * move-private.h - between move.c (one move's steps) and mover.c (all moves)
 *
 * Functions are called with a reference held; each may end the move, after
 * which move->mover is NULL.
 */
#ifndef SLICE_DAEMON_MOVE_PRIVATE_H
#define SLICE_DAEMON_MOVE_PRIVATE_H

#include "move.h"
#include "util/error.h"

typedef enum { FORWARD, UNDO, SETTLE, TAKEOVER, OVER } Phase;

typedef struct {
    gatomicrefcount refs;
    SliceMover *mover; /* NULL once the mover is gone */
    SliceEntry *entry; /* at its source, as the move began */
    char *source;
    char *target;
    guint64 term;
    guint deadline_ms;
    Phase phase;
    guint step; /* in steps[]; in UNDO the one being undone */
    guint serial;
    guint timer;
    gboolean source_lost;
    gboolean source_silent; /* source_lost is only a guess: it has not answered a restarted sliced */
    gboolean target_lost;
    gboolean rerouted;
    gboolean refused_by_source; /* S never accepted the term: nothing to abort */
    gboolean aborted; /* the decision is on disk */
    gboolean ended; /* by itself, at the source */
    const char *doing;
    SliceMoveOutcome outcome;
    GError *error;
    char *refused_by; /* NULL unless T would not have it */
    guint64 bytes;
    guint64 packets;
    guint64 quiesced_us;
    guint64 quiet_us;
    SliceMoveWatch watch;
    gpointer watch_data;
} Move;

struct SliceMover {
    SliceStore *store;
    const SliceMoverOps *ops;
    gpointer data;
    GHashTable *moves; /* slice id -> Move: the lock of each slice */
    GPtrArray *held;   /* Move: begun in a batch that is not on disk yet; NULL outside one */
};

/* Steps of FORWARD and UNDO, indices of move.c's table. */
enum { PREPARE, QUIESCE, REROUTE, UNPLUG };

Move *slice_move_ref(Move *move);
void slice_move_unref(Move *move);

/* A new situation: answers and timers of the old one mean nothing any more. */
void slice_move_enter(Move *move, Phase phase, const char *doing);
/* Run steps[move->step]. */
void slice_move_begin_step(Move *move);
/* The current step is proven: run the next. */
void slice_move_advance(Move *move);
/* FORWARD is over because of @why (nullable where remembered): undo, or let T say. */
void slice_move_give_up(Move *move, const GError *why);
/* Undo steps[move->step], or what is before it. */
void slice_move_undo_next(Move *move);
/* S has forgotten it under this term: it is T's, and only T's. */
void slice_move_settle(Move *move);
/* S is dead: fence it, then T says. */
void slice_move_take_over(Move *move);
/* It never began: its intention is not on disk. */
void slice_move_drop(Move *move, const GError *why);
/* It runs at T. */
void slice_move_moved(Move *move);
/* @vm would not take it: it may be moved to another. */
void slice_move_refused_by(Move *move, const char *vm);
/* The first reason is the one that is told. */
void slice_move_remember(Move *move, const GError *why);
void slice_move_remember_text(Move *move, SliceError code, const char *text);

#endif
