/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * move.c - take one slice from one VM to another while its client goes on
 *
 *            prepare        quiesce        reroute       unplug
 *  forward   PREPARE at T > QUIESCE at S > rules to T  > UNPLUG at S > settle: wait for done at T
 *  undo      CANCEL at T  < ABORT at S   < rules to S
 *
 * FORWARD   the steps of the table, in their order
 * UNDO      ABORT is on disk; the undo of each step begun, in reverse.  Only S
 *           says how that ends: 'resumed' (it goes on), 'forgotten' (too late: SETTLE)
 * SETTLE    S has forgotten the slice; T opens it by itself, we only learn of it
 * TAKEOVER  S died undecided: TAKEOVER is on disk; fence S, then T says whether
 *           it had got the whole slice
 * OVER      the outcome is known and told
 *
 * What is on disk before a step is begun is in the table; a sliced that dies at any of the
 * named fault points (see util/fault.h) leaves to the next one what that needs to finish or undo the move.
 *
 * An answer or event belongs to the situation in which it was asked for: each change
 * of phase or step draws a new serial, and an answer with an old one
 * changes nothing.  A step's order and its event race on different paths;
 * whichever proves the step comes to slice_move_advance().
 *
 * Source: docs/specs/ownership.md, rules 1 to 6.
 */
#include "move-private.h"
#include "util/error.h"
#include "util/fault.h"
#include "why.h"

/* An engine answers in less than a millisecond; it may be stopped by a debugger. */
#define ORDER_MS 5000
/* The target asks its guest, for five seconds at most. */
#define PREPARE_MS 8000
/* What an engine's own deadline may be late, before we give up for it. */
#define SLACK_MS 2000
#define AGAIN_MS 100

/* An answer that is awaited. */
typedef struct {
    Move *move;
    guint serial;
} Awaited;

static void prepare_do(Move *move);
static void prepare_undo(Move *move);
static void quiesce_do(Move *move);
static void quiesce_undo(Move *move);
static void reroute_do(Move *move);
static void reroute_undo(Move *move);
static void unplug_do(Move *move);

/*
 * The steps.  @persisted: what is on disk before it is begun; @point: before it is done, @done_point: when it
 * is proven, @undo_point: before it is undone.
 */
static const struct {
    const char *name;
    const char *undo_name;
    const char *persisted;
    const char *point, *done_point, *undo_point;
    void (*run)(Move *move);
    void (*undo)(Move *move);
} steps[] = {
    { "prepare", "undo prepare", "the intention: slice, term, source, target, flows",
      "move.prepare", "move.prepare.done", "move.undo-prepare", prepare_do, prepare_undo },
    { "quiesce", "undo quiesce", "the intention",
      "move.quiesce", "move.quiesce.done", "move.undo-quiesce", quiesce_do, quiesce_undo },
    { "reroute", "undo reroute", "the intention",
      "move.reroute", "move.reroute.done", "move.undo-reroute", reroute_do, reroute_undo },
    { "unplug", "undo unplug", "the intention; an abort is on disk before any undo",
      "move.unplug", NULL, NULL, unplug_do, NULL },
};

const char *const *slice_move_fault_points(void)
{
    static const char *const points[] = {
        "move.begin",         "move.prepare",       "move.prepare.done",
        "move.quiesce",       "move.quiesce.done",  "move.reroute",
        "move.reroute.done",  "move.unplug",        "move.settle",
        "move.decide",        "move.decided",       "move.undo-reroute",
        "move.undo-quiesce",  "move.undo-prepare",  "move.fence",
        "move.takeover",      "move.takeover.done", "move.end",
        "move.ended",         NULL,
    };

    return points;
}

/* Return: TRUE where the step is to fail here: what follows a failure of it is under way. */
static gboolean fails_at(Move *move, const char *point)
{
    g_autoptr(GError) why = NULL;

    if (!point || !slice_fault_at(point, &why)) {
        return FALSE;
    }
    slice_move_give_up(move, why);
    return TRUE;
}

const char *slice_move_outcome_name(SliceMoveOutcome outcome)
{
    static const char *const names[] = {
        [SLICE_MOVE_RUNNING] = "running",
        [SLICE_MOVE_MOVED] = "moved",
        [SLICE_MOVE_UNDONE] = "undone",
        [SLICE_MOVE_LOST] = "lost",
    };

    return names[outcome];
}

/* ---- one move's life ---- */

Move *slice_move_ref(Move *move)
{
    g_atomic_ref_count_inc(&move->refs);
    return move;
}

void slice_move_unref(Move *move)
{
    if (g_atomic_ref_count_dec(&move->refs)) {
        slice_entry_free(move->entry);
        g_free(move->source);
        g_free(move->target);
        g_free(move->refused_by);
        g_clear_error(&move->error);
        g_free(move);
    }
}

static gboolean again(gpointer data)
{
    Move *move = data;

    move->timer = 0;
    if (move->phase == UNDO) {
        slice_move_undo_next(move);
    } else if (move->phase == TAKEOVER) {
        slice_move_take_over(move);
    } else if (move->phase == SETTLE) {
        slice_move_settle(move);
    }
    return G_SOURCE_REMOVE;
}

/* A new situation: answers and timers of the old one mean nothing any more. */
void slice_move_enter(Move *move, Phase phase, const char *doing)
{
    move->phase = phase;
    move->doing = doing;
    move->serial++;
    g_clear_handle_id(&move->timer, g_source_remove);
}

static void try_again(Move *move)
{
    move->serial++;
    g_clear_handle_id(&move->timer, g_source_remove);
    move->timer = g_timeout_add(AGAIN_MS, again, move);
}

static Awaited *await(Move *move)
{
    Awaited *awaited = g_new0(Awaited, 1);

    awaited->move = slice_move_ref(move);
    awaited->serial = move->serial;
    return awaited;
}

/* Return: (nullable) the move, if the answer still matters; the reference is the caller's. */
static Move *arrived(gpointer data, Move **ret_hold)
{
    g_autofree Awaited *awaited = data;
    Move *move = awaited->move;

    *ret_hold = move;
    return move->mover && awaited->serial == move->serial ? move : NULL;
}

static SliceEngine *engine_of(Move *move, const char *vm)
{
    return move->mover->ops->engine(vm, move->mover->data);
}

static guint32 incarnation(Move *move)
{
    return slice_store_incarnation(move->mover->store);
}

static void tell(Move *move)
{
    SliceMoveView view = {
        .slice = move->entry->id,
        .term = move->term,
        .source = move->source,
        .target = move->target,
        .step = move->doing,
        .outcome = move->outcome,
        .error = move->error,
        .refused_by = move->refused_by,
        .bytes = move->bytes,
        .packets = move->packets,
        .quiet_us = move->quiet_us,
    };

    if (move->watch) {
        move->watch(&view, move->watch_data);
    }
}

static void finish(Move *move, SliceMoveOutcome outcome)
{
    SliceMover *mover = move->mover;
    g_autoptr(GError) error = NULL;

    slice_move_enter(move, OVER, "over");
    move->outcome = outcome;
    if (slice_fault_at("move.end", &error) ||
        !slice_store_move_end(mover->store, move->term,
                              slice_move_outcome_name(outcome), &error)) {
        /* Not lost: a restart asks the engines again. */
        g_warning("%s", error->message);
    }
    slice_fault_at("move.ended", NULL);
    slice_move_ref(move);
    g_hash_table_remove(mover->moves, move->entry->id);
    tell(move);
    if (mover->ops->ended) {
        mover->ops->ended(move->entry->id, mover->data);
    }
    slice_move_unref(move);
}

void slice_move_remember(Move *move, const GError *why)
{
    if (!move->error && why) {
        move->error = g_error_copy(why);
    }
}

void slice_move_remember_text(Move *move, SliceError code, const char *text)
{
    g_autoptr(GError) why = g_error_new_literal(SLICE_ERROR, code, text);

    slice_move_remember(move, why);
}

static void order(Move *move, const char *vm, const char *command,
                  guint timeout_ms, SliceEngineReply reply)
{
    SliceEngine *engine = engine_of(move, vm);
    g_autoptr(GError) error = NULL;

    if (engine) {
        slice_engine_order(engine, command, incarnation(move), move->entry->id,
                           move->term, timeout_ms, reply, await(move));
        return;
    }
    error = g_error_new(SLICE_ERROR, SLICE_ERROR_UNREACHABLE,
                        "VM %s is not connected", vm);
    reply(NULL, error, await(move));
}

/* ---- forward ---- */

static gboolean deadline_passed(gpointer data)
{
    Move *move = data;
    g_autoptr(GError) why =
        g_error_new(SLICE_ERROR, SLICE_ERROR_BUSY,
                    "%s has not succeeded within %u ms", move->doing,
                    move->deadline_ms);

    move->timer = 0;
    slice_move_give_up(move, why);
    return G_SOURCE_REMOVE;
}

void slice_move_begin_step(Move *move)
{
    guint limit_ms = SLACK_MS + (move->step == QUIESCE || move->step == UNPLUG
                                     ? move->deadline_ms
                                     : move->step == PREPARE ? PREPARE_MS : ORDER_MS);

    slice_move_enter(move, FORWARD, steps[move->step].name);
    move->timer = g_timeout_add(limit_ms, deadline_passed, move);
    slice_move_ref(move);
    tell(move);
    if (!fails_at(move, steps[move->step].point)) {
        steps[move->step].run(move);
    }
    slice_move_unref(move);
}

/* The current step is proven. */
void slice_move_advance(Move *move)
{
    if (fails_at(move, steps[move->step].done_point)) {
        return;
    }
    move->step++;
    slice_move_begin_step(move);
}

static GError *refusal(const SliceReply *reply, const char *vm,
                       const char *what)
{
    static const int codes[] = {
        [SLICE_ANSWER_OK] = SLICE_ERROR_FAILED,
        [SLICE_ANSWER_BUSY] = SLICE_ERROR_BUSY,
        [SLICE_ANSWER_STALE_ORCHESTRATOR] = SLICE_ERROR_REFUSED,
        [SLICE_ANSWER_NOT_FOUND] = SLICE_ERROR_NOT_FOUND,
        [SLICE_ANSWER_RESUMED] = SLICE_ERROR_FAILED,
        [SLICE_ANSWER_FORGOTTEN] = SLICE_ERROR_FAILED,
        [SLICE_ANSWER_NOT_MINE] = SLICE_ERROR_NOT_FOUND,
        [SLICE_ANSWER_IS_OWNER] = SLICE_ERROR_REFUSED,
        [SLICE_ANSWER_REFUSED] = SLICE_ERROR_REFUSED,
        [SLICE_ANSWER_STALE] = SLICE_ERROR_FAILED,
    };

    return g_error_new(SLICE_ERROR, codes[reply->answer],
                       "VM %s refused to %s it: %s", vm, what,
                       reply->why ? slice_why_text(reply->why)
                                  : slice_answer_name(reply->answer));
}

void slice_move_refused_by(Move *move, const char *vm)
{
    if (!move->refused_by) {
        move->refused_by = g_strdup(vm);
    }
}

/* A connection that ended is a death, which is told next: it decides more than this. */
static void not_answered(Move *move, const GError *error)
{
    if (!g_error_matches(error, SLICE_ERROR, SLICE_ERROR_UNREACHABLE)) {
        slice_move_give_up(move, error);
    }
}

static void prepare_answered(const SliceReply *reply, const GError *error,
                             gpointer data)
{
    Move *hold, *move = arrived(data, &hold);
    g_autoptr(GError) why = NULL;

    if (move && error) {
        not_answered(move, error);
    } else if (move && reply->answer != SLICE_ANSWER_OK) {
        why = refusal(reply, move->target, "prepare for");
        slice_move_refused_by(move, move->target);
        slice_move_give_up(move, why);
    } else if (move) {
        slice_move_advance(move);
    }
    slice_move_unref(hold);
}

static void prepare_do(Move *move)
{
    SliceEngine *target = engine_of(move, move->target);
    SliceEngine *source = engine_of(move, move->source);

    if (!target || !source) {
        slice_move_remember_text(move, SLICE_ERROR_UNREACHABLE, "a VM is not connected");
        slice_move_give_up(move, NULL);
        return;
    }
    slice_engine_prepare(target, incarnation(move), move->entry,
                         slice_engine_info(source), move->term, PREPARE_MS,
                         prepare_answered, await(move));
}

static void quiesce_answered(const SliceReply *reply, const GError *error,
                             gpointer data)
{
    Move *hold, *move = arrived(data, &hold);
    g_autoptr(GError) why = NULL;

    if (move && error) {
        not_answered(move, error);
    } else if (move && reply->answer != SLICE_ANSWER_OK) {
        move->refused_by_source = TRUE;
        move->ended = reply->answer == SLICE_ANSWER_NOT_FOUND;
        why = refusal(reply, move->source, "quiesce");
        slice_move_give_up(move, why);
    }
    slice_move_unref(hold); /* ok: the event says when it is quiet */
}

static void quiesce_do(Move *move)
{
    SliceEngine *source = engine_of(move, move->source);
    SliceEngine *target = engine_of(move, move->target);

    if (!source || !target) {
        slice_move_remember_text(move, SLICE_ERROR_UNREACHABLE, "a VM is not connected");
        slice_move_give_up(move, NULL);
        return;
    }
    slice_engine_move(source, incarnation(move), move->entry->id, move->term,
                      slice_engine_stream(target),
                      slice_engine_info(target)->name, move->deadline_ms,
                      ORDER_MS, quiesce_answered, await(move));
}

static void rerouted(const GError *error, gpointer data)
{
    Move *hold, *move = arrived(data, &hold);

    if (move && error) {
        slice_move_give_up(move, error);
    } else if (move) {
        slice_move_advance(move);
    }
    slice_move_unref(hold);
}

static void route(Move *move, const char *vm, SliceDone done)
{
    move->mover->ops->route(move->entry->id, move->entry->flows, vm, done,
                            await(move), move->mover->data);
}

static void reroute_do(Move *move)
{
    move->rerouted = TRUE;
    route(move, move->target, rerouted);
}

static void unplug_answered(const SliceReply *reply, const GError *error,
                            gpointer data)
{
    Move *hold, *move = arrived(data, &hold);
    g_autoptr(GError) why = NULL;

    if (move && error) {
        not_answered(move, error);
    } else if (move && reply->answer != SLICE_ANSWER_OK) {
        why = refusal(reply, move->source, "unplug");
        slice_move_give_up(move, why);
    }
    slice_move_unref(hold); /* ok: gone at S or done at T follows */
}

static void unplug_do(Move *move)
{
    order(move, move->source, "slice-unplug", ORDER_MS, unplug_answered);
}

/* ---- undo ---- */

/* Return: FALSE where the store fails: then nothing may be sent, and the move waits. */
static gboolean decide(Move *move, SliceDecision decision)
{
    g_autoptr(GError) error = NULL;

    if (!slice_fault_at("move.decide", &error) &&
        slice_store_move_decide(move->mover->store, move->term, decision,
                                &error)) {
        slice_fault_at("move.decided", NULL);
        return TRUE;
    }
    g_critical("slice %s waits: %s", move->entry->id, error->message);
    return FALSE;
}

/* Forward is over: undo what was begun, or where S died undecided let T say. */
void slice_move_give_up(Move *move, const GError *why)
{
    if (move->phase != FORWARD) {
        return;
    }
    slice_move_remember(move, why);
    if (move->source_lost && move->step > PREPARE) {
        slice_move_enter(move, TAKEOVER, "fence");
        slice_move_take_over(move);
        return;
    }
    slice_move_enter(move, UNDO, steps[move->step].undo_name);
    slice_move_undo_next(move);
}

/* Undoes steps[move->step], or what is before it. */
void slice_move_undo_next(Move *move)
{
    if (!move->aborted) {
        if (!decide(move, SLICE_DECISION_ABORT)) {
            try_again(move);
            return;
        }
        move->aborted = TRUE;
    }
    while (!steps[move->step].undo) {
        move->step--;
    }
    slice_move_enter(move, UNDO, steps[move->step].undo_name);
    slice_move_ref(move);
    tell(move);
    if (slice_fault_at(steps[move->step].undo_point, NULL)) {
        try_again(move);
    } else {
        steps[move->step].undo(move);
    }
    slice_move_unref(move);
}

static void undone(Move *move)
{
    if (move->step == PREPARE) {
        finish(move, move->source_lost || move->ended ? SLICE_MOVE_LOST
                                                      : SLICE_MOVE_UNDONE);
        return;
    }
    move->step--;
    slice_move_undo_next(move);
}

static void routed_back(const GError *error, gpointer data)
{
    Move *hold, *move = arrived(data, &hold);

    if (move && error && !move->source_lost) {
        /* The switch is away: S must not run with its packets at T. */
        g_warning("slice %s: %s", move->entry->id, error->message);
        try_again(move);
    } else if (move) {
        undone(move);
    }
    slice_move_unref(hold);
}

static void reroute_undo(Move *move)
{
    if (move->source_lost || !move->rerouted) {
        undone(move);
        return;
    }
    route(move, move->source, routed_back);
}

/*
 * It is T's.  Should S die now and we be restarted, this is what tells that from an abort that nobody
 * has answered, whose target may be cancelled.
 */
static void forgotten(Move *move)
{
    if (decide(move, SLICE_DECISION_FORGOTTEN)) {
        slice_move_settle(move);
    } else {
        try_again(move);
    }
}

static void abort_answered(const SliceReply *reply, const GError *error,
                           gpointer data)
{
    Move *hold, *move = arrived(data, &hold);

    if (move && error) {
        /* Its death is told apart; in doubt the slice waits, and we ask again. */
        try_again(move);
    } else if (move && reply->answer == SLICE_ANSWER_FORGOTTEN) {
        forgotten(move);
    } else if (move && (reply->answer == SLICE_ANSWER_BUSY ||
                        reply->answer == SLICE_ANSWER_STALE_ORCHESTRATOR)) {
        /* Stale: a newer orchestrator resolves it; this one must not say how. */
        try_again(move);
    } else if (move) {
        move->ended |= reply->answer == SLICE_ANSWER_NOT_FOUND;
        undone(move);
    }
    slice_move_unref(hold);
}

static void silent_fenced(const GError *error, gpointer data)
{
    Move *hold, *move = arrived(data, &hold);

    if (move && error) {
        /* It may still forget the slice, if T has plugged it: T must not be cancelled. */
        g_warning("slice %s waits: %s", move->entry->id, error->message);
        try_again(move);
    } else if (move) {
        move->source_silent = FALSE;
        undone(move);
    }
    slice_move_unref(hold);
}

static void quiesce_undo(Move *move)
{
    if (move->source_silent && engine_of(move, move->source)) {
        /* It was only slow: begin again with what was left out. */
        move->source_silent = FALSE;
        move->source_lost = FALSE;
        move->step = REROUTE;
        slice_move_undo_next(move);
        return;
    }
    if (move->source_silent) {
        move->mover->ops->fence(move->source, silent_fenced, await(move),
                                move->mover->data);
        return;
    }
    if (move->source_lost || move->refused_by_source) {
        undone(move);
        return;
    }
    order(move, move->source, "slice-abort", 0, abort_answered);
}

static void cancel_answered(const SliceReply *reply, const GError *error,
                            gpointer data)
{
    Move *hold, *move = arrived(data, &hold);

    if (move && error && !move->target_lost) {
        try_again(move);
    } else if (move) {
        undone(move);
    }
    slice_move_unref(hold);
}

static void prepare_undo(Move *move)
{
    /* It may be back: nobody else would tell it. */
    if (move->target_lost && !engine_of(move, move->target)) {
        undone(move);
        return;
    }
    order(move, move->target, "slice-cancel", 0, cancel_answered);
}

void slice_move_drop(Move *move, const GError *why)
{
    slice_move_remember(move, why);
    finish(move, SLICE_MOVE_UNDONE);
}

/* ---- past the point of no return ---- */

void slice_move_moved(Move *move)
{
    g_clear_error(&move->error);
    finish(move, SLICE_MOVE_MOVED);
}

static void target_asked(const SliceEntry *entry, const GError *error,
                         gpointer data)
{
    Move *hold, *move = arrived(data, &hold);

    if (move && entry && entry->term == move->term &&
        entry->state == SLICE_STATE_PLUGGED) {
        /* S has told it that it forgot, or will: its event is still to come. */
    } else if (move && !error) {
        /* It runs there; or it did, and has ended or gone on since. */
        slice_move_moved(move);
    }
    slice_move_unref(hold);
}

static void settle_routed(const GError *error, gpointer data)
{
    Move *hold, *move = arrived(data, &hold);
    SliceEngine *target;

    if (move && error) {
        try_again(move);
    } else if (move) {
        target = engine_of(move, move->target);
        if (target) {
            slice_engine_query(target, move->entry->id, target_asked,
                               await(move));
        }
    }
    slice_move_unref(hold);
}

/* S has forgotten it under this term: it is T's, and only T's. */
void slice_move_settle(Move *move)
{
    gboolean routed = move->phase == FORWARD;

    if (move->target_lost) {
        slice_move_remember_text(move, SLICE_ERROR_UNREACHABLE,
                      "the target died with the slice");
        finish(move, SLICE_MOVE_LOST);
        return;
    }
    slice_fault_at("move.settle", NULL);
    slice_move_enter(move, SETTLE, "settle");
    if (!routed) {
        route(move, move->target, settle_routed);
    }
}

static void takeover_routed(const GError *error, gpointer data)
{
    Move *hold, *move = arrived(data, &hold);

    if (move && error && !move->target_lost) {
        try_again(move);
    } else if (move) {
        slice_move_moved(move);
    }
    slice_move_unref(hold);
}

static void takeover_answered(const SliceReply *reply, const GError *error,
                              gpointer data)
{
    Move *hold, *move = arrived(data, &hold);

    if (move && !move->target_lost &&
        (error || reply->answer == SLICE_ANSWER_BUSY)) {
        try_again(move);
    } else if (move && !error && reply->answer == SLICE_ANSWER_IS_OWNER) {
        slice_fault_at("move.takeover.done", NULL);
        route(move, move->target, takeover_routed);
    } else if (move) {
        slice_move_remember_text(move, SLICE_ERROR_UNREACHABLE,
                      "the source died before the slice had left it");
        finish(move, SLICE_MOVE_LOST);
    }
    slice_move_unref(hold);
}

static void fenced(const GError *error, gpointer data)
{
    Move *hold, *move = arrived(data, &hold);

    if (move && error) {
        /* Not certainly dead: T must not open.  Wait, on nobody. */
        g_warning("slice %s waits: %s", move->entry->id, error->message);
        try_again(move);
    } else if (move && slice_fault_at("move.takeover", NULL)) {
        try_again(move);
    } else if (move) {
        slice_move_enter(move, TAKEOVER, "takeover");
        tell(move);
        order(move, move->target, "slice-takeover", 0, takeover_answered);
    }
    slice_move_unref(hold);
}

void slice_move_take_over(Move *move)
{
    if (move->target_lost) {
        slice_move_remember_text(move, SLICE_ERROR_UNREACHABLE,
                      "source and target died with the slice");
        finish(move, SLICE_MOVE_LOST);
        return;
    }
    if (!move->aborted && !decide(move, SLICE_DECISION_TAKEOVER)) {
        try_again(move);
        return;
    }
    slice_move_enter(move, TAKEOVER, "fence");
    tell(move);
    if (slice_fault_at("move.fence", NULL)) {
        try_again(move);
        return;
    }
    move->mover->ops->fence(move->source, fenced, await(move),
                            move->mover->data);
}

