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
 * An answer or event belongs to the situation in which it was asked for: each change
 * of phase or step draws a new serial, and an answer with an old one
 * changes nothing.  A step's order and its event race on different paths;
 * whichever proves the step comes to advance().
 *
 * Source: docs/specs/ownership.md, rules 1 to 6.
 */
#include "move.h"

#include "util/error.h"

/* An engine answers in less than a millisecond; it may be stopped by a debugger. */
#define ORDER_MS 5000
/* What an engine's own deadline may be late, before we give up for it. */
#define SLACK_MS 2000
#define AGAIN_MS 100

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
    gboolean target_lost;
    gboolean rerouted;
    gboolean refused_by_source; /* S never accepted the term: nothing to abort */
    gboolean aborted; /* the decision is on disk */
    gboolean ended; /* by itself, at the source */
    const char *doing;
    SliceMoveOutcome outcome;
    GError *error;
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
};

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

static const struct {
    const char *name;
    const char *undo_name;
    void (*run)(Move *move);
    void (*undo)(Move *move);
} steps[] = {
    { "prepare", "undo prepare", prepare_do, prepare_undo },
    { "quiesce", "undo quiesce", quiesce_do, quiesce_undo },
    { "reroute", "undo reroute", reroute_do, reroute_undo },
    { "unplug", "undo unplug", unplug_do, NULL },
};

enum { PREPARE, QUIESCE, REROUTE, UNPLUG };

static void advance(Move *move);
static void undo_next(Move *move);
static void give_up(Move *move, const GError *why);
static void settle(Move *move);
static void take_over(Move *move);

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

static Move *move_ref(Move *move)
{
    g_atomic_ref_count_inc(&move->refs);
    return move;
}

static void move_unref(Move *move)
{
    if (g_atomic_ref_count_dec(&move->refs)) {
        slice_entry_free(move->entry);
        g_free(move->source);
        g_free(move->target);
        g_clear_error(&move->error);
        g_free(move);
    }
}

static gboolean again(gpointer data)
{
    Move *move = data;

    move->timer = 0;
    if (move->phase == UNDO) {
        undo_next(move);
    } else if (move->phase == TAKEOVER) {
        take_over(move);
    } else if (move->phase == SETTLE) {
        settle(move);
    }
    return G_SOURCE_REMOVE;
}

/* A new situation: answers and timers of the old one mean nothing any more. */
static void enter(Move *move, Phase phase, const char *doing)
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

    awaited->move = move_ref(move);
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

    enter(move, OVER, "over");
    move->outcome = outcome;
    if (!slice_store_move_end(mover->store, move->term,
                              slice_move_outcome_name(outcome), &error)) {
        /* Not lost: a restart asks the engines again. */
        g_warning("%s", error->message);
    }
    move_ref(move);
    g_hash_table_remove(mover->moves, move->entry->id);
    tell(move);
    move_unref(move);
}

static void remember(Move *move, const GError *why)
{
    if (!move->error && why) {
        move->error = g_error_copy(why);
        g_prefix_error(&move->error, "slice %s from %s to %s: ",
                       move->entry->id, move->source, move->target);
    }
}

static void remember_text(Move *move, SliceError code, const char *text)
{
    g_autoptr(GError) why = g_error_new_literal(SLICE_ERROR, code, text);

    remember(move, why);
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
    give_up(move, why);
    return G_SOURCE_REMOVE;
}

static void begin_step(Move *move)
{
    guint limit_ms = move->step == QUIESCE || move->step == UNPLUG
                         ? move->deadline_ms + SLACK_MS : ORDER_MS + SLACK_MS;

    enter(move, FORWARD, steps[move->step].name);
    move->timer = g_timeout_add(limit_ms, deadline_passed, move);
    move_ref(move);
    tell(move);
    steps[move->step].run(move);
    move_unref(move);
}

/* The current step is proven. */
static void advance(Move *move)
{
    move->step++;
    begin_step(move);
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
                       reply->why ? reply->why
                                  : slice_answer_name(reply->answer));
}

/* A connection that ended is a death, which is told next: it decides more than this. */
static void not_answered(Move *move, const GError *error)
{
    if (!g_error_matches(error, SLICE_ERROR, SLICE_ERROR_UNREACHABLE)) {
        give_up(move, error);
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
        give_up(move, why);
    } else if (move) {
        advance(move);
    }
    move_unref(hold);
}

static void prepare_do(Move *move)
{
    SliceEngine *target = engine_of(move, move->target);
    SliceEngine *source = engine_of(move, move->source);

    if (!target || !source) {
        remember_text(move, SLICE_ERROR_UNREACHABLE, "a VM is not connected");
        give_up(move, NULL);
        return;
    }
    slice_engine_prepare(target, incarnation(move), move->entry,
                         slice_engine_info(source), move->term, ORDER_MS,
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
        give_up(move, why);
    }
    move_unref(hold); /* ok: the event says when it is quiet */
}

static void quiesce_do(Move *move)
{
    SliceEngine *source = engine_of(move, move->source);
    SliceEngine *target = engine_of(move, move->target);

    if (!source || !target) {
        remember_text(move, SLICE_ERROR_UNREACHABLE, "a VM is not connected");
        give_up(move, NULL);
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
        give_up(move, error);
    } else if (move) {
        advance(move);
    }
    move_unref(hold);
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
        give_up(move, why);
    }
    move_unref(hold); /* ok: gone at S or done at T follows */
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

    if (slice_store_move_decide(move->mover->store, move->term, decision,
                                &error)) {
        return TRUE;
    }
    g_critical("slice %s waits: %s", move->entry->id, error->message);
    return FALSE;
}

/* Forward is over: undo what was begun, or where S died undecided let T say. */
static void give_up(Move *move, const GError *why)
{
    if (move->phase != FORWARD) {
        return;
    }
    remember(move, why);
    if (move->source_lost && move->step > PREPARE) {
        enter(move, TAKEOVER, "fence");
        take_over(move);
        return;
    }
    enter(move, UNDO, steps[move->step].undo_name);
    undo_next(move);
}

/* Undoes steps[move->step], or what is before it. */
static void undo_next(Move *move)
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
    enter(move, UNDO, steps[move->step].undo_name);
    move_ref(move);
    tell(move);
    steps[move->step].undo(move);
    move_unref(move);
}

static void undone(Move *move)
{
    if (move->step == PREPARE) {
        finish(move, move->source_lost || move->ended ? SLICE_MOVE_LOST
                                                      : SLICE_MOVE_UNDONE);
        return;
    }
    move->step--;
    undo_next(move);
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
    move_unref(hold);
}

static void reroute_undo(Move *move)
{
    if (move->source_lost || !move->rerouted) {
        undone(move);
        return;
    }
    route(move, move->source, routed_back);
}

static void abort_answered(const SliceReply *reply, const GError *error,
                           gpointer data)
{
    Move *hold, *move = arrived(data, &hold);

    if (move && error) {
        /* Its death is told apart; in doubt the slice waits, and we ask again. */
        try_again(move);
    } else if (move && reply->answer == SLICE_ANSWER_FORGOTTEN) {
        settle(move);
    } else if (move && (reply->answer == SLICE_ANSWER_BUSY ||
                        reply->answer == SLICE_ANSWER_STALE_ORCHESTRATOR)) {
        /* Stale: a newer orchestrator resolves it; this one must not say how. */
        try_again(move);
    } else if (move) {
        move->ended |= reply->answer == SLICE_ANSWER_NOT_FOUND;
        undone(move);
    }
    move_unref(hold);
}

static void quiesce_undo(Move *move)
{
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
    move_unref(hold);
}

static void prepare_undo(Move *move)
{
    if (move->target_lost) {
        undone(move);
        return;
    }
    order(move, move->target, "slice-cancel", 0, cancel_answered);
}

/* ---- past the point of no return ---- */

static void moved(Move *move)
{
    g_clear_error(&move->error);
    finish(move, SLICE_MOVE_MOVED);
}

static void target_asked(const SliceEntry *entry, const GError *error,
                         gpointer data)
{
    Move *hold, *move = arrived(data, &hold);

    if (move && entry && entry->state == SLICE_STATE_OWNER) {
        moved(move);
    }
    move_unref(hold); /* else its event is still to come */
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
    move_unref(hold);
}

/* S has forgotten it under this term: it is T's, and only T's. */
static void settle(Move *move)
{
    gboolean routed = move->phase == FORWARD;

    if (move->target_lost) {
        remember_text(move, SLICE_ERROR_UNREACHABLE,
                      "the target died with the slice");
        finish(move, SLICE_MOVE_LOST);
        return;
    }
    enter(move, SETTLE, "settle");
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
        moved(move);
    }
    move_unref(hold);
}

static void takeover_answered(const SliceReply *reply, const GError *error,
                              gpointer data)
{
    Move *hold, *move = arrived(data, &hold);

    if (move && !move->target_lost &&
        (error || reply->answer == SLICE_ANSWER_BUSY)) {
        try_again(move);
    } else if (move && !error && reply->answer == SLICE_ANSWER_IS_OWNER) {
        route(move, move->target, takeover_routed);
    } else if (move) {
        remember_text(move, SLICE_ERROR_UNREACHABLE,
                      "the source died before the slice had left it");
        finish(move, SLICE_MOVE_LOST);
    }
    move_unref(hold);
}

static void fenced(const GError *error, gpointer data)
{
    Move *hold, *move = arrived(data, &hold);

    if (move && error) {
        /* Not certainly dead: T must not open.  Wait, on nobody. */
        g_warning("slice %s waits: %s", move->entry->id, error->message);
        try_again(move);
    } else if (move) {
        enter(move, TAKEOVER, "takeover");
        tell(move);
        order(move, move->target, "slice-takeover", 0, takeover_answered);
    }
    move_unref(hold);
}

static void take_over(Move *move)
{
    if (move->target_lost) {
        remember_text(move, SLICE_ERROR_UNREACHABLE,
                      "source and target died with the slice");
        finish(move, SLICE_MOVE_LOST);
        return;
    }
    if (!move->aborted && !decide(move, SLICE_DECISION_TAKEOVER)) {
        try_again(move);
        return;
    }
    enter(move, TAKEOVER, "fence");
    tell(move);
    move->mover->ops->fence(move->source, fenced, await(move),
                            move->mover->data);
}

/* ---- what engines and domains tell ---- */

static void step_at_source(Move *move, const SliceStepEvent *event)
{
    g_autoptr(GError) why = NULL;
    const char *reason = event->why ? event->why : "no reason given";

    if (g_str_equal(event->step, "quiesced")) {
        move->quiesced_us = event->time_us;
        if (move->phase == FORWARD && move->step == QUIESCE) {
            advance(move);
        }
    } else if (g_str_equal(event->step, "gone")) {
        if (move->phase == FORWARD && move->step == UNPLUG) {
            settle(move);
        }
    } else if (g_str_equal(event->step, "failed")) {
        why = g_error_new(SLICE_ERROR, SLICE_ERROR_BUSY,
                          "VM %s gave up: %s", move->source, reason);
        give_up(move, why);
    } else if (g_str_equal(event->step, "resumed")) {
        why = g_error_new(SLICE_ERROR, SLICE_ERROR_REFUSED,
                          "VM %s took it back: %s", move->source, reason);
        give_up(move, why);
    }
}

static void step_at_target(Move *move, const SliceStepEvent *event)
{
    g_autoptr(GError) why = NULL;

    if (g_str_equal(event->step, "done")) {
        if (event->time_us > move->quiesced_us && move->quiesced_us) {
            move->quiet_us = event->time_us - move->quiesced_us;
        }
        if (move->phase == SETTLE ||
            (move->phase == FORWARD && move->step == UNPLUG)) {
            moved(move);
        }
    } else if (g_str_equal(event->step, "discarded")) {
        why = g_error_new(SLICE_ERROR, SLICE_ERROR_REFUSED,
                          "VM %s refused it: %s", move->target,
                          event->why ? event->why : "no reason given");
        give_up(move, why);
    }
}

void slice_mover_take_step(SliceMover *mover, const char *vm,
                           const SliceStepEvent *event)
{
    Move *move = g_hash_table_lookup(mover->moves, event->id);

    if (!move || move->term != event->term) {
        return;
    }
    move_ref(move);
    move->bytes = MAX(move->bytes, event->bytes);
    move->packets = MAX(move->packets, event->packets);
    if (g_str_equal(vm, move->source)) {
        step_at_source(move, event);
    } else if (g_str_equal(vm, move->target)) {
        step_at_target(move, event);
    }
    move_unref(move);
}

void slice_mover_take_ended(SliceMover *mover, const char *vm, const char *id)
{
    Move *move = g_hash_table_lookup(mover->moves, id);
    g_autoptr(GError) why = NULL;

    if (!move) {
        return;
    }
    if (move->phase == SETTLE && g_str_equal(vm, move->target)) {
        moved(move); /* and its client has ended it since */
        return;
    }
    if (move->phase == FORWARD && g_str_equal(vm, move->source)) {
        move->refused_by_source = TRUE;
        move->ended = TRUE;
        why = g_error_new(SLICE_ERROR, SLICE_ERROR_NOT_FOUND,
                          "it ended at VM %s", vm);
        give_up(move, why);
    }
}

static GPtrArray *moves_with(SliceMover *mover, const char *vm)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)move_unref);
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, mover->moves);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Move *move = value;

        if (g_str_equal(move->source, vm) || g_str_equal(move->target, vm)) {
            g_ptr_array_add(list, move_ref(move));
        }
    }
    return list;
}

void slice_mover_take_synced(SliceMover *mover, const char *vm)
{
    g_autoptr(GPtrArray) list = moves_with(mover, vm);

    for (guint i = 0; i < list->len; i++) {
        Move *move = g_ptr_array_index(list, i);

        if (move->phase == SETTLE && g_str_equal(move->target, vm)) {
            settle(move); /* an event may have been missed */
        }
    }
}

static void source_died(Move *move)
{
    g_autoptr(GError) why = g_error_new(SLICE_ERROR, SLICE_ERROR_UNREACHABLE,
                                        "VM %s died", move->source);

    move->source_lost = TRUE;
    if (move->phase == FORWARD) {
        give_up(move, why);
    } else if (move->phase == UNDO) {
        remember(move, why);
        undo_next(move);
    } else if (move->phase == SETTLE) {
        /* Its FORGOT may have died with it; T says. */
        take_over(move);
    }
}

static void target_died(Move *move)
{
    g_autoptr(GError) why = g_error_new(SLICE_ERROR, SLICE_ERROR_UNREACHABLE,
                                        "VM %s died", move->target);

    move->target_lost = TRUE;
    if (move->phase == FORWARD) {
        give_up(move, why);
    } else if (move->phase == SETTLE) {
        settle(move);
    } else if (move->phase == TAKEOVER) {
        take_over(move);
    } else if (move->phase == UNDO && move->step == PREPARE) {
        undo_next(move);
    }
}

void slice_mover_take_lost(SliceMover *mover, const char *vm)
{
    g_autoptr(GPtrArray) list = moves_with(mover, vm);

    for (guint i = 0; i < list->len; i++) {
        Move *move = g_ptr_array_index(list, i);

        if (g_str_equal(move->source, vm)) {
            source_died(move);
        } else {
            target_died(move);
        }
    }
}

/* ---- beginnings ---- */

static char *flows_to_text(GArray *flows)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < flows->len; i++) {
        const SliceTuple *flow = &g_array_index(flows, SliceTuple, i);

        g_string_append_printf(text, "%s %u %s %u\n", flow->local,
                               flow->local_port, flow->remote,
                               flow->remote_port);
    }
    return g_string_free(text, FALSE);
}

static void flows_from_text(GArray *flows, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (guint i = 0; lines[i]; i++) {
        g_auto(GStrv) words = g_strsplit(lines[i], " ", 4);
        SliceTuple flow;

        if (g_strv_length(words) == 4 &&
            slice_tuple_set(&flow, "tcp", words[0],
                            g_ascii_strtoll(words[1], NULL, 10), words[2],
                            g_ascii_strtoll(words[3], NULL, 10), NULL)) {
            g_array_append_val(flows, flow);
        }
    }
}

/* The table holds the first reference. */
static void forget(gpointer value)
{
    Move *move = value;

    g_clear_handle_id(&move->timer, g_source_remove);
    move->mover = NULL;
    move_unref(move);
}

SliceMover *slice_mover_new(SliceStore *store, const SliceMoverOps *ops,
                            gpointer data)
{
    SliceMover *mover = g_new0(SliceMover, 1);

    mover->store = store;
    mover->ops = ops;
    mover->data = data;
    mover->moves = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, forget);
    return mover;
}

static Move *move_new(SliceMover *mover, SliceEntry *entry, const char *source,
                      const char *target, guint64 term)
{
    Move *move = g_new0(Move, 1);

    g_atomic_ref_count_init(&move->refs);
    move->mover = mover;
    move->entry = entry;
    move->source = g_strdup(source);
    move->target = g_strdup(target);
    move->term = term;
    move->doing = "begin";
    return move;
}

void slice_mover_free(SliceMover *mover)
{
    if (mover) {
        g_hash_table_unref(mover->moves);
        g_free(mover);
    }
}

static gboolean may_begin(SliceMover *mover, const SliceEntry *entry,
                          const char *target, GError **error)
{
    const SliceMoverOps *ops = mover->ops;
    const char *vms[] = { entry->vm, target };

    if (g_hash_table_contains(mover->moves, entry->id) ||
        entry->state != SLICE_STATE_OWNER) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_BUSY,
                    "slice %s is moving already", entry->id);
        return FALSE;
    }
    if (g_str_equal(entry->vm, target)) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_REFUSED,
                    "slice %s is on VM %s already", entry->id, target);
        return FALSE;
    }
    if (g_str_equal(entry->movability, "pinned")) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_REFUSED,
                    "slice %s is pinned to VM %s: %s", entry->id, entry->vm,
                    entry->why ? entry->why : "no reason given");
        return FALSE;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(vms); i++) {
        SliceEngine *engine = ops->engine(vms[i], mover->data);

        if (!engine || !slice_engine_stream(engine)) {
            g_set_error(error, SLICE_ERROR, SLICE_ERROR_UNREACHABLE,
                        engine ? "VM %s has no stream address"
                               : "VM %s is not connected", vms[i]);
            return FALSE;
        }
    }
    return TRUE;
}

gboolean slice_mover_start(SliceMover *mover, const SliceEntry *entry,
                           const char *target, guint deadline_ms,
                           SliceMoveWatch watch, gpointer data,
                           guint64 *ret_term, GError **error)
{
    SliceMoveRecord record = { 0 };
    g_autofree char *flows = NULL;
    Move *move;

    if (!may_begin(mover, entry, target, error)) {
        return FALSE;
    }
    flows = flows_to_text(entry->flows);
    record.term = slice_store_next_term(mover->store);
    record.slice = entry->id;
    record.source = entry->vm;
    record.target = (char *)target;
    record.flows = flows;
    if (!record.term) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_FAILED,
                    "this incarnation's terms are used up: restart sliced");
        return FALSE;
    }
    if (!slice_store_move_begin(mover->store, &record, error)) {
        return FALSE;
    }
    move = move_new(mover, slice_entry_copy(entry), entry->vm, target,
                    record.term);
    move->deadline_ms = deadline_ms;
    move->watch = watch;
    move->watch_data = data;
    g_hash_table_insert(mover->moves, move->entry->id, move);
    if (ret_term) {
        *ret_term = move->term;
    }
    begin_step(move);
    return TRUE;
}

gboolean slice_mover_cancel(SliceMover *mover, guint64 term, GError **error)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, mover->moves);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Move *move = value;
        g_autoptr(GError) why = NULL;

        if (move->term != term) {
            continue;
        }
        if (move->phase != FORWARD) {
            g_set_error(error, SLICE_ERROR, SLICE_ERROR_BUSY,
                        "the move of slice %s cannot be cancelled any more",
                        move->entry->id);
            return FALSE;
        }
        why = g_error_new_literal(SLICE_ERROR, SLICE_ERROR_FAILED,
                                  "it was cancelled");
        give_up(move, why);
        return TRUE;
    }
    g_set_error(error, SLICE_ERROR, SLICE_ERROR_NOT_FOUND,
                "no move has the term %" G_GUINT64_FORMAT, term);
    return FALSE;
}

void slice_mover_recover(SliceMover *mover, const SliceMoveRecord *record)
{
    SliceEntry *entry = slice_entry_new(record->slice, record->source);
    Move *move = move_new(mover, entry, record->source, record->target,
                          record->term);
    gboolean source = mover->ops->engine(record->source, mover->data) != NULL;

    flows_from_text(entry->flows, record->flows);
    g_hash_table_insert(mover->moves, entry->id, move);
    move->step = UNPLUG;
    move->rerouted = TRUE;
    move->aborted = record->decision == SLICE_DECISION_ABORT;
    move->source_lost = !source;
    move->target_lost = !mover->ops->engine(record->target, mover->data);
    remember_text(move, SLICE_ERROR_FAILED, "sliced was restarted");
    if (record->decision == SLICE_DECISION_TAKEOVER ||
        (!source && !move->aborted)) {
        enter(move, TAKEOVER, "fence");
        take_over(move);
    } else {
        enter(move, UNDO, steps[UNPLUG].undo_name);
        undo_next(move);
    }
}

gboolean slice_mover_is_moving(SliceMover *mover, const char *id)
{
    return g_hash_table_contains(mover->moves, id);
}

guint slice_mover_count(SliceMover *mover)
{
    return g_hash_table_size(mover->moves);
}
