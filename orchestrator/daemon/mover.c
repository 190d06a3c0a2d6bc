/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mover.c - all moves under way: what begins them and what engines tell of them
 *
 * One move for each slice at most; the table is the slices' lock.
 *
 * Below: move.c.  Above: job.c, orchestrator.c.
 */
#include "move-private.h"
#include "util/fault.h"
#include "why.h"

/* ---- what engines and domains tell ---- */

/* It is quiet, and what is to be led to the target is what it has. */
static void quiesced(Move *move)
{
    g_autoptr(GError) why = NULL;

    if (move->mover->ops->regrouped(move->entry, move->mover->data)) {
        why = g_error_new(SLICE_ERROR, SLICE_ERROR_BUSY,
                          "a connection joined or left it while VM %s brought it to rest",
                          move->source);
        slice_move_give_up(move, why);
    } else {
        slice_move_advance(move);
    }
}

static void step_at_source(Move *move, const SliceStepEvent *event)
{
    g_autoptr(GError) why = NULL;
    const char *reason = slice_why_text(event->why);

    if (g_str_equal(event->step, "quiesced")) {
        move->quiesced_us = event->time_us;
        if (move->phase == FORWARD && move->step == QUIESCE) {
            quiesced(move);
        }
    } else if (g_str_equal(event->step, "gone")) {
        if (move->phase == FORWARD && move->step == UNPLUG) {
            slice_move_settle(move);
        }
    } else if (g_str_equal(event->step, "failed")) {
        why = g_error_new(SLICE_ERROR, SLICE_ERROR_BUSY,
                          "VM %s gave up: %s", move->source, reason);
        slice_move_give_up(move, why);
    } else if (g_str_equal(event->step, "resumed")) {
        why = g_error_new(SLICE_ERROR, !g_strcmp0(event->why, "deadline") ||
                                       !g_strcmp0(event->why, "references")
                                           ? SLICE_ERROR_BUSY
                                           : SLICE_ERROR_REFUSED,
                          "VM %s took it back: %s", move->source, reason);
        slice_move_give_up(move, why);
    }
}

static void step_at_target(Move *move, const SliceStepEvent *event)
{
    g_autoptr(GError) why = NULL;

    if (g_str_equal(event->step, "done")) {
        if (event->time_us > move->quiesced_us && move->quiesced_us) {
            move->quiet_us = event->time_us - move->quiesced_us;
        }
        if (move->phase == FORWARD && move->step == UNPLUG) {
            slice_fault_at("move.settle", NULL); /* the source's "gone" is still on its way */
            slice_move_moved(move);
        } else if (move->phase == SETTLE) {
            slice_move_moved(move);
        }
    } else if (g_str_equal(event->step, "discarded")) {
        why = g_error_new(SLICE_ERROR, SLICE_ERROR_REFUSED,
                          "VM %s refused it: %s", move->target,
                          slice_why_text(event->why));
        slice_move_refused_by(move, move->target);
        slice_move_give_up(move, why);
    }
}

void slice_mover_take_step(SliceMover *mover, const char *vm,
                           const SliceStepEvent *event)
{
    Move *move = g_hash_table_lookup(mover->moves, event->id);

    if (!move || move->term != event->term) {
        return;
    }
    slice_move_ref(move);
    move->bytes = MAX(move->bytes, event->bytes);
    move->packets = MAX(move->packets, event->packets);
    if (g_str_equal(vm, move->source)) {
        step_at_source(move, event);
    } else if (g_str_equal(vm, move->target)) {
        step_at_target(move, event);
    }
    slice_move_unref(move);
}

void slice_mover_take_ended(SliceMover *mover, const char *vm, const char *id)
{
    Move *move = g_hash_table_lookup(mover->moves, id);
    g_autoptr(GError) why = NULL;

    if (!move) {
        return;
    }
    if (move->phase == SETTLE && g_str_equal(vm, move->target)) {
        slice_move_moved(move); /* and its client has ended it since */
        return;
    }
    if (move->phase == FORWARD && g_str_equal(vm, move->source)) {
        move->refused_by_source = TRUE;
        move->ended = TRUE;
        why = g_error_new(SLICE_ERROR, SLICE_ERROR_NOT_FOUND,
                          "it ended at VM %s", vm);
        slice_move_give_up(move, why);
    }
}

static GPtrArray *moves_with(SliceMover *mover, const char *vm)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)slice_move_unref);
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, mover->moves);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Move *move = value;

        if (g_str_equal(move->source, vm) || g_str_equal(move->target, vm)) {
            g_ptr_array_add(list, slice_move_ref(move));
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
            slice_move_settle(move); /* an event may have been missed */
        }
    }
}

static void source_died(Move *move)
{
    g_autoptr(GError) why = g_error_new(SLICE_ERROR, SLICE_ERROR_UNREACHABLE,
                                        "VM %s died", move->source);

    move->source_lost = TRUE;
    if (move->phase == FORWARD) {
        slice_move_give_up(move, why);
    } else if (move->phase == UNDO) {
        slice_move_remember(move, why);
        slice_move_undo_next(move);
    } else if (move->phase == SETTLE) {
        /* Its FORGOT may have died with it; T says. */
        slice_move_take_over(move);
    }
}

static void target_died(Move *move)
{
    g_autoptr(GError) why = g_error_new(SLICE_ERROR, SLICE_ERROR_UNREACHABLE,
                                        "VM %s died", move->target);

    move->target_lost = TRUE;
    if (move->phase == FORWARD) {
        slice_move_give_up(move, why);
    } else if (move->phase == SETTLE) {
        slice_move_settle(move);
    } else if (move->phase == TAKEOVER) {
        slice_move_take_over(move);
    } else if (move->phase == UNDO && move->step == PREPARE) {
        slice_move_undo_next(move);
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
    slice_move_unref(move);
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
                    "it is moving already");
        return FALSE;
    }
    if (g_str_equal(entry->vm, target)) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_REFUSED,
                    "it is on VM %s already", target);
        return FALSE;
    }
    if (g_str_equal(entry->movability, "pinned")) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_REFUSED,
                    "pinned: %s", slice_why_text(entry->why));
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
    if (slice_fault_at("move.begin", error) ||
        !slice_store_move_begin(mover->store, &record, error)) {
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
    if (mover->held) {
        g_ptr_array_add(mover->held, slice_move_ref(move));
    } else {
        slice_move_begin_step(move);
    }
    return TRUE;
}

void slice_mover_hold(SliceMover *mover)
{
    g_autoptr(GError) error = NULL;

    /* Without a transaction each move is written by itself: slower, as safe. */
    if (!slice_store_begin(mover->store, &error)) {
        g_warning("%s", error->message);
        return;
    }
    mover->held = g_ptr_array_new_with_free_func((GDestroyNotify)slice_move_unref);
}

void slice_mover_release(SliceMover *mover)
{
    g_autoptr(GPtrArray) held = g_steal_pointer(&mover->held);
    g_autoptr(GError) error = NULL;
    gboolean written = held && slice_store_commit(mover->store, &error);

    for (guint i = 0; held && i < held->len; i++) {
        Move *move = g_ptr_array_index(held, i);

        if (written && move->mover) {
            slice_move_begin_step(move);
        } else if (move->mover) {
            slice_move_drop(move, error);
        }
    }
}

gboolean slice_mover_cancel(SliceMover *mover, const char *id, guint64 term,
                            GError **error)
{
    Move *move = g_hash_table_lookup(mover->moves, id);
    g_autoptr(GError) why = NULL;

    if (!move || move->term != term) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_NOT_FOUND,
                    "slice %s does not move under the term %" G_GUINT64_FORMAT, id, term);
        return FALSE;
    }
    if (move->phase != FORWARD) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_BUSY,
                    "the move of slice %s cannot be cancelled any more", id);
        return FALSE;
    }
    why = g_error_new_literal(SLICE_ERROR, SLICE_ERROR_FAILED, "it was cancelled");
    slice_move_give_up(move, why);
    return TRUE;
}

void slice_mover_recover(SliceMover *mover, const SliceMoveRecord *record)
{
    SliceEntry *entry = slice_entry_new(record->slice, record->source);
    Move *move = move_new(mover, entry, record->source, record->target,
                          record->term);
    gboolean source = mover->ops->engine(record->source, mover->data) != NULL;
    gboolean forgotten = record->decision == SLICE_DECISION_FORGOTTEN;

    flows_from_text(entry->flows, record->flows);
    g_hash_table_insert(mover->moves, entry->id, move);
    move->step = UNPLUG;
    move->rerouted = TRUE;
    move->aborted = forgotten || record->decision == SLICE_DECISION_ABORT;
    move->source_lost = !source;
    move->source_silent = !source;
    move->target_lost = !mover->ops->engine(record->target, mover->data);
    slice_move_remember_text(move, SLICE_ERROR_FAILED, "it was interrupted");
    if (record->decision == SLICE_DECISION_TAKEOVER ||
        (!source && (forgotten || !move->aborted))) {
        slice_move_enter(move, TAKEOVER, "fence");
        slice_move_take_over(move);
        return;
    }
    slice_move_enter(move, UNDO, "undo unplug");
    if (forgotten) {
        slice_move_settle(move);
    } else {
        slice_move_undo_next(move);
    }
}

gboolean slice_mover_adopt(SliceMover *mover, const SliceEntry *entry,
                           const char *source, const char *target, GError **error)
{
    g_autofree char *leased_to = slice_store_lease_of(mover->store, entry->term);
    g_autofree char *flows = flows_to_text(entry->flows);
    SliceMoveRecord record = { .term = entry->term, .slice = entry->id,
                               .source = (char *)source, .target = (char *)target,
                               .flows = flows };

    if (g_hash_table_contains(mover->moves, entry->id)) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_BUSY, "slice %s is moved by us",
                    entry->id);
        return FALSE;
    }
    if (g_strcmp0(leased_to, source)) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_REFUSED,
                    "slice %s moves under term %" G_GUINT64_FORMAT
                    ", which VM %s was never given: nothing is decided about it",
                    entry->id, entry->term, source);
        return FALSE;
    }
    if (!slice_store_move_begin(mover->store, &record, error)) {
        return FALSE;
    }
    g_message("resolving the move of slice %s from %s to %s that VM %s began",
              entry->id, source, target, source);
    slice_mover_recover(mover, &record);
    return TRUE;
}

gboolean slice_mover_is_moving(SliceMover *mover, const char *id)
{
    return g_hash_table_contains(mover->moves, id);
}

guint slice_mover_count(SliceMover *mover)
{
    return g_hash_table_size(mover->moves);
}
