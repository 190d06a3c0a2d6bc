/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test-move.c - what a move says to whom in which order, and how it is undone
 *
 * Two stand-in engines, web1 with the slice and web2; switch and fence are
 * functions that write into the same log as the engines.
 */
#include <glib/gstdio.h>

#include "daemon/move.h"
#include "fake-engine.h"
#include "util/error.h"

#define ID "00000000000000aa:0000000000000007"

typedef struct {
    char *folder;
    char *store_path;
    GString *log;
    FakeEngine *fake[2];
    SliceEngine *engine[2];
    SliceStore *store;
    SliceMover *mover;
    gboolean route_fails, regroups; /* towards web2 */
    SliceMoveOutcome outcome;
    GError *error;
    guint64 term;
} Fixture;

static int index_of(Fixture *f, const char *vm)
{
    return g_str_equal(vm, "web2");
}

/* ---- surroundings ---- */

typedef struct {
    SliceDone done;
    gpointer data;
    GError *error;
} Later;

static gboolean later(gpointer data)
{
    Later *call = data;

    call->done(call->error, call->data);
    g_clear_error(&call->error);
    g_free(call);
    return G_SOURCE_REMOVE;
}

static void answer_later(SliceDone done, gpointer data, GError *error)
{
    Later *call = g_new0(Later, 1);

    call->done = done;
    call->data = data;
    call->error = error;
    g_idle_add(later, call);
}

static SliceEngine *engine(const char *vm, gpointer data)
{
    Fixture *f = data;
    SliceEngine *found = f->engine[index_of(f, vm)];

    return slice_engine_is_synced(found) ? found : NULL;
}

static void note(Fixture *f, const char *what, const char *vm)
{
    g_string_append_printf(f->log, "%s%s %s", f->log->len ? ", " : "", what, vm);
}

static void route(const char *slice, GArray *flows, const char *vm,
                  SliceDone done, gpointer done_data, gpointer data)
{
    Fixture *f = data;
    GError *error = NULL;

    note(f, "route", vm);
    g_assert_cmpuint(flows->len, ==, 1);
    if (f->route_fails && index_of(f, vm) == 1) {
        error = g_error_new(SLICE_ERROR, SLICE_ERROR_REFUSED,
                            "bridge br0 refused the rule of slice %s: no such port",
                            slice);
    }
    answer_later(done, done_data, error);
}

static void fence(const char *vm, SliceDone done, gpointer done_data,
                  gpointer data)
{
    Fixture *f = data;

    note(f, "fence", vm);
    fake_engine_die(f->fake[index_of(f, vm)]);
    answer_later(done, done_data, NULL);
}

static gboolean regrouped(const SliceEntry *entry, gpointer data)
{
    Fixture *f = data;

    g_assert_cmpstr(entry->vm, ==, "web1");
    g_assert_cmpuint(entry->flows->len, ==, 1);
    return f->regroups;
}

static const SliceMoverOps ops = { .engine = engine, .route = route,
                                   .regrouped = regrouped, .fence = fence };

/* ---- engines' news ---- */

static void synced(SliceEngine *told, GPtrArray *entries, gpointer data)
{
    Fixture *f = data;

    if (f->mover) {
        slice_mover_take_synced(f->mover, slice_engine_vm(told));
    }
}

static void lost(SliceEngine *told, const char *why, gpointer data)
{
    Fixture *f = data;

    if (f->mover) {
        slice_mover_take_lost(f->mover, slice_engine_vm(told));
    }
}

static void step(SliceEngine *told, const SliceStepEvent *event, gpointer data)
{
    Fixture *f = data;

    if (f->mover) {
        slice_mover_take_step(f->mover, slice_engine_vm(told), event);
    }
}

static void changed(SliceEngine *told, const SliceEntry *entry, gboolean ended,
                    gpointer data)
{
    Fixture *f = data;

    if (ended && f->mover) {
        slice_mover_take_ended(f->mover, entry->vm, entry->id);
    }
}

static const SliceEngineHandlers handlers = { .synced = synced, .lost = lost,
                                              .step = step, .changed = changed };

/* ---- fixture ---- */

static void set_up(Fixture *f, gconstpointer data)
{
    static const char *const names[] = { "web1", "web2" };
    g_autoptr(GError) error = NULL;

    f->folder = g_dir_make_tmp("slice-test-XXXXXX", NULL);
    f->store_path = g_build_filename(f->folder, "store.db", NULL);
    f->log = g_string_new(NULL);
    f->store = slice_store_open(f->store_path, &error);
    g_assert_no_error(error);
    for (int i = 0; i < 2; i++) {
        g_autofree char *path = g_build_filename(f->folder, names[i], NULL);

        f->fake[i] = fake_engine_new(names[i], path, f->log);
        f->engine[i] = slice_engine_new(names[i], path, &handlers, f);
        slice_engine_start(f->engine[i]);
    }
    fake_engine_join(f->fake[0], f->fake[1]);
    fake_engine_add(f->fake[0], ID, 40000);
    f->mover = slice_mover_new(f->store, &ops, f);
    while (!slice_engine_is_synced(f->engine[0]) ||
           !slice_engine_is_synced(f->engine[1])) {
        g_main_context_iteration(NULL, TRUE);
    }
}

static void tear_down(Fixture *f, gconstpointer data)
{
    slice_mover_free(g_steal_pointer(&f->mover));
    for (int i = 0; i < 2; i++) {
        slice_engine_free(f->engine[i]);
        fake_engine_free(f->fake[i]);
    }
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    slice_store_close(f->store);
    g_clear_error(&f->error);
    g_string_free(f->log, TRUE);
    for (const char *const *tail = (const char *const[]){ "", "-wal", "-shm", NULL };
         *tail; tail++) {
        g_autofree char *path = g_strconcat(f->store_path, *tail, NULL);

        g_unlink(path);
    }
    g_rmdir(f->folder);
    g_free(f->folder);
    g_free(f->store_path);
}

static void watch(const SliceMoveView *view, gpointer data)
{
    Fixture *f = data;

    f->outcome = view->outcome;
    if (view->outcome != SLICE_MOVE_RUNNING && view->error) {
        f->error = g_error_copy(view->error);
    }
}

static SliceEntry *entry_of(void)
{
    static const SliceCount counts[] = { { 10, 2 }, { 40, 1 } };
    SliceEntry *entry = slice_entry_new(ID, "web1");
    SliceTuple flow;

    g_array_append_vals(entry->counts, counts, G_N_ELEMENTS(counts));

    g_assert_true(slice_tuple_set(&flow, "tcp", "192.0.2.10", 80, "192.0.2.99",
                                  40000, NULL));
    g_array_append_val(entry->flows, flow);
    return entry;
}

static void begin(Fixture *f, guint deadline_ms)
{
    g_autoptr(SliceEntry) entry = entry_of();
    g_autoptr(GError) error = NULL;

    g_assert_true(slice_mover_start(f->mover, entry, "web2", deadline_ms, watch,
                                    f, &f->term, &error));
    g_assert_no_error(error);
}

static void finish(Fixture *f)
{
    while (f->outcome == SLICE_MOVE_RUNNING) {
        g_main_context_iteration(NULL, TRUE);
    }
}

static void assert_nothing_open(Fixture *f)
{
    g_autoptr(GPtrArray) moves = slice_store_moves(f->store, NULL);

    g_assert_cmpuint(moves->len, ==, 0);
    g_assert_cmpuint(slice_mover_count(f->mover), ==, 0);
}

static void assert_undone(Fixture *f, SliceError code, const char *message)
{
    g_assert_cmpint(f->outcome, ==, SLICE_MOVE_UNDONE);
    g_assert_error(f->error, SLICE_ERROR, (int)code);
    g_assert_cmpstr(f->error->message, ==, message);
    g_assert_cmpstr(fake_engine_state(f->fake[0], ID), ==, "owner");
    g_assert_cmpstr(fake_engine_state(f->fake[1], ID), ==, NULL);
    assert_nothing_open(f);
}

/* ---- claims ---- */

static void test_order(Fixture *f, gconstpointer data)
{
    begin(f, 1000);
    finish(f);
    g_assert_cmpstr(f->log->str, ==, "web2 slice-prepare, web1 slice-move, "
                    "route web2, web1 slice-unplug");
    g_assert_cmpint(f->outcome, ==, SLICE_MOVE_MOVED);
    g_assert_no_error(f->error);
    g_assert_cmpstr(fake_engine_state(f->fake[0], ID), ==, "gone");
    g_assert_cmpstr(fake_engine_state(f->fake[1], ID), ==, "owner");
    assert_nothing_open(f);
}

static void test_term_holds_incarnation(Fixture *f, gconstpointer data)
{
    begin(f, 1000);
    finish(f);
    g_assert_cmpuint(f->term >> 32, ==, slice_store_incarnation(f->store));
    g_assert_cmpuint(fake_engine_term(f->fake[1], ID), ==, f->term);
    g_assert_cmpuint(fake_engine_orchestrator(f->fake[0]), ==,
                     slice_store_incarnation(f->store));
}

static void test_refusal_at_prepare(Fixture *f, gconstpointer data)
{
    fake_engine_answer(f->fake[1], "slice-prepare", "refused",
                       "layer php has version 2");
    begin(f, 1000);
    finish(f);
    g_assert_cmpstr(f->log->str, ==, "web2 slice-prepare, web2 slice-cancel");
    assert_undone(f, SLICE_ERROR_REFUSED, "VM web2 refused to prepare for "
                  "it: layer php has version 2");
}

static void test_busy_source_is_not_aborted(Fixture *f, gconstpointer data)
{
    fake_engine_answer(f->fake[0], "slice-move", "busy", NULL);
    begin(f, 1000);
    finish(f);
    g_assert_cmpstr(f->log->str, ==, "web2 slice-prepare, web1 slice-move, "
                    "web2 slice-cancel");
    assert_undone(f, SLICE_ERROR_BUSY,
                  "VM web1 refused to quiesce it: busy");
}

static void test_refusal_of_the_switch(Fixture *f, gconstpointer data)
{
    f->route_fails = TRUE;
    begin(f, 1000);
    finish(f);
    g_assert_cmpstr(f->log->str, ==, "web2 slice-prepare, web1 slice-move, "
                    "route web2, route web1, web1 slice-abort, "
                    "web2 slice-cancel");
    assert_undone(f, SLICE_ERROR_REFUSED, "bridge br0 refused the rule of "
                  "slice " ID ": no such port");
}

static void test_refused_image(Fixture *f, gconstpointer data)
{
    fake_engine_refuse_image(f->fake[1], "no-memory");
    begin(f, 1000);
    finish(f);
    g_assert_cmpstr(f->log->str, ==, "web2 slice-prepare, web1 slice-move, "
                    "route web2, web1 slice-unplug, route web1, "
                    "web1 slice-abort, web2 slice-cancel");
    g_assert_cmpint(f->outcome, ==, SLICE_MOVE_UNDONE);
    g_assert_error(f->error, SLICE_ERROR, SLICE_ERROR_REFUSED);
    g_assert_cmpstr(fake_engine_state(f->fake[0], ID), ==, "owner");
    assert_nothing_open(f);
}

/* What the target holds and the switch would lead there is not what it has. */
static void test_regrouped(Fixture *f, gconstpointer data)
{
    f->regroups = TRUE;
    begin(f, 1000);
    finish(f);
    g_assert_cmpstr(f->log->str, ==, "web2 slice-prepare, web1 slice-move, "
                    "web1 slice-abort, web2 slice-cancel");
    assert_undone(f, SLICE_ERROR_BUSY, "a connection joined or left it while VM web1 brought "
                  "it to rest");
}

static void test_failed_quiesce(Fixture *f, gconstpointer data)
{
    fake_engine_stay_silent(f->fake[0], "quiesced");
    begin(f, 1000);
    while (!g_strrstr(f->log->str, "slice-move")) {
        g_main_context_iteration(NULL, TRUE);
    }
    {
        SliceStepEvent failed = { .id = ID, .term = f->term, .step = "failed",
                                  .why = "references" };

        slice_mover_take_step(f->mover, "web1", &failed);
    }
    finish(f);
    g_assert_cmpstr(f->log->str, ==, "web2 slice-prepare, web1 slice-move, "
                    "web1 slice-abort, web2 slice-cancel");
    assert_undone(f, SLICE_ERROR_BUSY, "VM web1 gave up: a request is being served; a long poll or a download "
                  "holds it as long as it lasts");
}

static void test_deadline(Fixture *f, gconstpointer data)
{
    fake_engine_stay_silent(f->fake[0], "quiesced");
    begin(f, 1);
    finish(f);
    g_assert_cmpstr(f->log->str, ==, "web2 slice-prepare, web1 slice-move, "
                    "web1 slice-abort, web2 slice-cancel");
    assert_undone(f, SLICE_ERROR_BUSY,
                  "quiesce has not succeeded within 1 ms");
}

static void test_cancel(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    fake_engine_stay_silent(f->fake[0], "quiesced");
    begin(f, 60000);
    while (!g_strrstr(f->log->str, "slice-move")) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_true(slice_mover_cancel(f->mover, ID, f->term, &error));
    g_assert_false(slice_mover_cancel(f->mover, ID, f->term, &error));
    g_assert_error(error, SLICE_ERROR, SLICE_ERROR_BUSY);
    finish(f);
    assert_undone(f, SLICE_ERROR_FAILED, "it was cancelled");
}

/* Its events are lost, so the orchestrator wants to undo what has happened. */
static void test_too_late_to_abort(Fixture *f, gconstpointer data)
{
    fake_engine_stay_silent(f->fake[0], "gone");
    fake_engine_stay_silent(f->fake[1], "done");
    begin(f, 60000);
    while (g_strcmp0(fake_engine_state(f->fake[1], ID), "owner")) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_true(slice_mover_cancel(f->mover, ID, f->term, NULL));
    finish(f);
    g_assert_cmpstr(f->log->str, ==, "web2 slice-prepare, web1 slice-move, "
                    "route web2, web1 slice-unplug, route web1, "
                    "web1 slice-abort, route web2");
    g_assert_cmpint(f->outcome, ==, SLICE_MOVE_MOVED);
    assert_nothing_open(f);
}

static void test_slice_that_ends(Fixture *f, gconstpointer data)
{
    fake_engine_stay_silent(f->fake[0], "quiesced");
    begin(f, 60000);
    while (!g_strrstr(f->log->str, "slice-move")) {
        g_main_context_iteration(NULL, TRUE);
    }
    fake_engine_end(f->fake[0], ID);
    finish(f);
    g_assert_cmpstr(f->log->str, ==, "web2 slice-prepare, web1 slice-move, "
                    "web2 slice-cancel");
    g_assert_error(f->error, SLICE_ERROR, SLICE_ERROR_NOT_FOUND);
    g_assert_cmpint(f->outcome, ==, SLICE_MOVE_LOST);
    assert_nothing_open(f);
}

/* ---- deaths ---- */

typedef struct {
    const char *name;
    int vm;           /* that dies */
    const char *at;   /* command or step */
    const char *log;  /* NULL: not determined */
    SliceMoveOutcome outcome;
    const char *source, *target; /* states after it, NULL: nothing or dead */
} Death;

static const Death deaths[] = {
    { "target-at-prepare", 1, "slice-prepare", "web2 slice-prepare",
      SLICE_MOVE_UNDONE, "owner", NULL },
    { "target-while-quiesced", 1, "prepared",
      "web2 slice-prepare", SLICE_MOVE_UNDONE, "owner", NULL },
    { "target-at-plug", 1, "plugged",
      "web2 slice-prepare, web1 slice-move, route web2, web1 slice-unplug, "
      "route web1, web1 slice-abort", SLICE_MOVE_UNDONE, "owner", NULL },
    /* Whether web1's gone or web2's end is seen first is not determined. */
    { "target-with-the-slice", 1, "done", NULL, SLICE_MOVE_LOST, "gone", NULL },
    { "source-at-quiesce", 0, "slice-move",
      "web2 slice-prepare, web1 slice-move, fence web1, web2 slice-takeover",
      SLICE_MOVE_LOST, NULL, NULL },
    { "source-while-quiet", 0, "quiesced",
      "web2 slice-prepare, web1 slice-move, fence web1, web2 slice-takeover",
      SLICE_MOVE_LOST, NULL, NULL },
    { "source-before-sending", 0, "sent",
      "web2 slice-prepare, web1 slice-move, route web2, web1 slice-unplug, "
      "fence web1, web2 slice-takeover", SLICE_MOVE_LOST, NULL, NULL },
    { "source-before-forgetting", 0, "gone",
      "web2 slice-prepare, web1 slice-move, route web2, web1 slice-unplug, "
      "fence web1, web2 slice-takeover, route web2", SLICE_MOVE_MOVED, NULL,
      "owner" },
    { "source-at-abort", 0, "slice-abort",
      "web2 slice-prepare, web1 slice-move, route web2, route web1, "
      "web1 slice-abort, web2 slice-cancel", SLICE_MOVE_LOST, NULL, NULL },
};

static void test_death(Fixture *f, gconstpointer data)
{
    const Death *death = data;

    f->route_fails = g_str_equal(death->at, "slice-abort");
    fake_engine_die_at(f->fake[death->vm], death->at);
    begin(f, 60000);
    finish(f);
    if (death->log) {
        g_assert_cmpstr(f->log->str, ==, death->log);
    }
    g_assert_cmpint(f->outcome, ==, death->outcome);
    if (death->vm != 0) {
        g_assert_cmpstr(fake_engine_state(f->fake[0], ID), ==, death->source);
    } else {
        g_assert_cmpstr(fake_engine_state(f->fake[1], ID), ==, death->target);
    }
    assert_nothing_open(f);
}

/* ---- decisions ---- */

static void test_abort_is_on_disk_before_it_is_sent(Fixture *f,
                                                    gconstpointer data)
{
    g_autoptr(GPtrArray) moves = NULL;
    const SliceMoveRecord *record;

    fake_engine_stay_silent(f->fake[0], "quiesced");
    fake_engine_stay_silent(f->fake[0], "slice-abort");
    begin(f, 60000);
    while (!g_strrstr(f->log->str, "slice-move")) {
        g_main_context_iteration(NULL, TRUE);
    }
    slice_mover_cancel(f->mover, ID, f->term, NULL);
    while (!g_strrstr(f->log->str, "slice-abort")) {
        g_main_context_iteration(NULL, TRUE);
    }
    moves = slice_store_moves(f->store, NULL);
    g_assert_cmpuint(moves->len, ==, 1);
    record = g_ptr_array_index(moves, 0);
    g_assert_cmpint(record->decision, ==, SLICE_DECISION_ABORT);
    g_assert_cmpuint(record->term, ==, f->term);
}

static void restart(Fixture *f)
{
    g_autoptr(GPtrArray) moves = NULL;
    g_autoptr(GError) error = NULL;

    slice_mover_free(g_steal_pointer(&f->mover));
    slice_store_close(f->store);
    f->store = slice_store_open(f->store_path, &error);
    g_assert_no_error(error);
    f->mover = slice_mover_new(f->store, &ops, f);
    g_string_truncate(f->log, 0);
    moves = slice_store_moves(f->store, NULL);
    g_assert_cmpuint(moves->len, ==, 1);
    slice_mover_recover(f->mover, g_ptr_array_index(moves, 0));
    while (slice_mover_count(f->mover)) {
        g_main_context_iteration(NULL, TRUE);
    }
    assert_nothing_open(f);
}

static void test_restart_undoes(Fixture *f, gconstpointer data)
{
    fake_engine_stay_silent(f->fake[0], "quiesced");
    begin(f, 60000);
    while (g_strcmp0(fake_engine_state(f->fake[0], ID), "moving")) {
        g_main_context_iteration(NULL, TRUE);
    }
    restart(f);
    g_assert_cmpstr(f->log->str, ==, "route web1, web1 slice-abort, "
                    "web2 slice-cancel");
    g_assert_cmpstr(fake_engine_state(f->fake[0], ID), ==, "owner");
    g_assert_cmpstr(fake_engine_state(f->fake[1], ID), ==, NULL);
}

static void test_restart_finishes(Fixture *f, gconstpointer data)
{
    fake_engine_stay_silent(f->fake[0], "gone");
    fake_engine_stay_silent(f->fake[1], "done");
    begin(f, 60000);
    while (g_strcmp0(fake_engine_state(f->fake[1], ID), "owner")) {
        g_main_context_iteration(NULL, TRUE);
    }
    restart(f);
    g_assert_cmpstr(f->log->str, ==, "route web1, web1 slice-abort, route web2");
    g_assert_cmpstr(fake_engine_state(f->fake[1], ID), ==, "owner");
}

static void test_restart_takes_over(Fixture *f, gconstpointer data)
{
    fake_engine_stay_silent(f->fake[1], "plugged");
    begin(f, 60000);
    while (g_strcmp0(fake_engine_state(f->fake[1], ID), "plugged")) {
        g_main_context_iteration(NULL, TRUE);
    }
    slice_mover_free(f->mover);
    f->mover = slice_mover_new(f->store, &ops, f);
    fake_engine_die(f->fake[0]);
    while (slice_engine_is_synced(f->engine[0])) {
        g_main_context_iteration(NULL, TRUE);
    }
    restart(f);
    g_assert_cmpstr(f->log->str, ==, "fence web1, web2 slice-takeover, "
                    "route web2");
    g_assert_cmpstr(fake_engine_state(f->fake[1], ID), ==, "owner");
}

/* T has plugged, S and sliced end after this decision. */
static void plug_and_die(Fixture *f, SliceDecision first, SliceDecision second)
{
    g_autoptr(GError) error = NULL;

    fake_engine_stay_silent(f->fake[1], "plugged");
    begin(f, 60000);
    while (g_strcmp0(fake_engine_state(f->fake[1], ID), "plugged")) {
        g_main_context_iteration(NULL, TRUE);
    }
    slice_store_move_decide(f->store, f->term, first, &error);
    g_assert_no_error(error);
    slice_store_move_decide(f->store, f->term, second, &error);
    g_assert_no_error(error);
    slice_mover_free(f->mover);
    f->mover = slice_mover_new(f->store, &ops, f);
    fake_engine_die(f->fake[0]);
    while (slice_engine_is_synced(f->engine[0])) {
        g_main_context_iteration(NULL, TRUE);
    }
}

/* A source that lives could still forget the slice, for the PLUGGED that T has sent. */
static void test_restart_fences_silent(Fixture *f, gconstpointer data)
{
    plug_and_die(f, SLICE_DECISION_ABORT, SLICE_DECISION_ABORT);
    restart(f);
    g_assert_cmpstr(f->log->str, ==, "fence web1, web2 slice-cancel");
}

static void test_restart_forgotten(Fixture *f, gconstpointer data)
{
    plug_and_die(f, SLICE_DECISION_ABORT, SLICE_DECISION_FORGOTTEN);
    restart(f);
    g_assert_cmpstr(f->log->str, ==, "fence web1, web2 slice-takeover, "
                    "route web2");
    g_assert_cmpstr(fake_engine_state(f->fake[1], ID), ==, "owner");
}

/* ---- moves that engines make ---- */

/* Return: the term under which web1's engine moves the slice to web2, as far as the states say. */
static guint64 in_the_middle(Fixture *f, const char *source, const char *target)
{
    guint64 term = slice_store_lease(f->store, "web1", 16, NULL);

    fake_engine_set_state(f->fake[0], ID, source, term, f->fake[1]);
    fake_engine_add(f->fake[1], ID, 40000);
    fake_engine_set_state(f->fake[1], ID, target, term, f->fake[0]);
    return term;
}

static gboolean adopt(Fixture *f, const char *vm, SliceState state, guint64 term,
                      GError **error)
{
    g_autoptr(SliceEntry) entry = entry_of();

    g_free(entry->vm);
    entry->vm = g_strdup(vm);
    entry->state = state;
    entry->term = term;
    return slice_mover_adopt(f->mover, entry, "web1", "web2", error);
}

static void lose(Fixture *f, int vm)
{
    fake_engine_die(f->fake[vm]);
    while (slice_engine_is_synced(f->engine[vm])) {
        g_main_context_iteration(NULL, TRUE);
    }
}

static void wait_settled(Fixture *f)
{
    while (slice_mover_count(f->mover)) {
        g_main_context_iteration(NULL, TRUE);
    }
    assert_nothing_open(f);
}

static void test_adopted_from_dead_source(Fixture *f, gconstpointer data)
{
    guint64 term = in_the_middle(f, "sent", "plugged");

    lose(f, 0);
    g_assert_true(adopt(f, "web2", SLICE_STATE_PLUGGED, term, NULL));
    wait_settled(f);
    g_assert_cmpstr(f->log->str, ==, "fence web1, web2 slice-takeover, route web2");
    g_assert_cmpstr(fake_engine_state(f->fake[1], ID), ==, "owner");
}

static void test_adopted_from_dead_target(Fixture *f, gconstpointer data)
{
    guint64 term = in_the_middle(f, "sent", "plugged");

    lose(f, 1);
    g_assert_true(adopt(f, "web1", SLICE_STATE_SENT, term, NULL));
    wait_settled(f);
    g_assert_cmpstr(f->log->str, ==, "route web1, web1 slice-abort");
    g_assert_cmpstr(fake_engine_state(f->fake[0], ID), ==, "owner");
}

/* A store that was lost, or an engine that invents terms: nothing is promoted. */
static void test_unleased_is_not_adopted(Fixture *f, gconstpointer data)
{
    guint64 term = in_the_middle(f, "sent", "plugged");
    g_autoptr(GError) error = NULL;

    lose(f, 0);
    g_assert_false(adopt(f, "web2", SLICE_STATE_PLUGGED, term + 16, &error));
    g_assert_error(error, SLICE_ERROR, SLICE_ERROR_REFUSED);
    g_assert_cmpstr(f->log->str, ==, "");
    g_assert_cmpstr(fake_engine_state(f->fake[1], ID), ==, "plugged");
    assert_nothing_open(f);
}

/* What a dead sliced had sent, and arrives after its successor's commands. */
static void test_late_commands_are_refused(Fixture *f, gconstpointer data)
{
    for (int i = 0; i < 2; i++) {
        fake_engine_set_orchestrator(f->fake[i], slice_store_incarnation(f->store) + 1);
    }
    begin(f, 1000);
    finish(f);
    g_assert_cmpint(f->outcome, ==, SLICE_MOVE_UNDONE);
    g_assert_error(f->error, SLICE_ERROR, SLICE_ERROR_REFUSED);
    g_assert_cmpstr(fake_engine_state(f->fake[0], ID), ==, "owner");
    g_assert_cmpuint(fake_engine_term(f->fake[0], ID), ==, 0);
    g_assert_null(fake_engine_state(f->fake[1], ID));
}

/* ---- several at once ---- */

static void test_batch_is_on_disk_before_anything_is_sent(Fixture *f, gconstpointer data)
{
    g_autoptr(GPtrArray) moves = NULL;

    slice_mover_hold(f->mover);
    begin(f, 1000);
    for (int i = 0; i < 20; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
    g_assert_cmpstr(f->log->str, ==, "");
    slice_mover_release(f->mover);
    moves = slice_store_moves(f->store, NULL);
    g_assert_cmpuint(moves->len, ==, 1);
    finish(f);
    g_assert_cmpint(f->outcome, ==, SLICE_MOVE_MOVED);
    assert_nothing_open(f);
}

/* ---- refusals before anything is sent ---- */

static void assert_not_begun(Fixture *f, SliceEntry *entry, const char *target,
                             SliceError code)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(slice_mover_start(f->mover, entry, target, 1000, watch, f,
                                     NULL, &error));
    g_assert_error(error, SLICE_ERROR, (int)code);
    slice_entry_free(entry);
}

static void test_one_move_at_a_time(Fixture *f, gconstpointer data)
{
    begin(f, 1000);
    assert_not_begun(f, entry_of(), "web2", SLICE_ERROR_BUSY);
    finish(f);
}

static void test_not_begun(Fixture *f, gconstpointer data)
{
    SliceEntry *pinned = entry_of();
    SliceEntry *sent = entry_of();

    g_free(pinned->movability);
    pinned->movability = g_strdup("pinned");
    assert_not_begun(f, pinned, "web2", SLICE_ERROR_REFUSED);
    sent->state = SLICE_STATE_SENT;
    assert_not_begun(f, sent, "web2", SLICE_ERROR_BUSY);
    assert_not_begun(f, entry_of(), "web1", SLICE_ERROR_REFUSED);
    fake_engine_die(f->fake[1]);
    while (slice_engine_is_synced(f->engine[1])) {
        g_main_context_iteration(NULL, TRUE);
    }
    assert_not_begun(f, entry_of(), "web2", SLICE_ERROR_UNREACHABLE);
    g_assert_cmpstr(f->log->str, ==, "");
    assert_nothing_open(f);
}

#define ADD(path, function) \
    g_test_add(path, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    /* Warnings are part of some claims here: they are not failures. */
    g_log_set_always_fatal(G_LOG_FATAL_MASK);
    ADD("/move/order-of-messages", test_order);
    ADD("/move/term-holds-incarnation", test_term_holds_incarnation);
    ADD("/move/refusal-at-prepare-is-undone", test_refusal_at_prepare);
    ADD("/move/busy-source-is-not-aborted", test_busy_source_is_not_aborted);
    ADD("/move/refusal-of-the-switch-is-undone", test_refusal_of_the_switch);
    ADD("/move/refused-image-is-undone", test_refused_image);
    ADD("/move/regrouped-connections-are-undone", test_regrouped);
    ADD("/move/failed-quiesce-is-undone", test_failed_quiesce);
    ADD("/move/deadline-is-undone", test_deadline);
    ADD("/move/cancel-is-undone", test_cancel);
    ADD("/move/too-late-to-abort-is-moved", test_too_late_to_abort);
    ADD("/move/slice-that-ends-is-cancelled", test_slice_that_ends);
    ADD("/move/abort-is-on-disk-before-it-is-sent",
        test_abort_is_on_disk_before_it_is_sent);
    ADD("/move/restart-undoes", test_restart_undoes);
    ADD("/move/restart-finishes-what-has-gone", test_restart_finishes);
    ADD("/move/restart-takes-over-from-a-dead-source", test_restart_takes_over);
    ADD("/move/restart-fences-a-silent-source-before-it-cancels", test_restart_fences_silent);
    ADD("/move/restart-takes-over-what-a-dead-source-had-forgotten", test_restart_forgotten);
    ADD("/move/adopted-from-a-dead-source", test_adopted_from_dead_source);
    ADD("/move/adopted-from-a-dead-target", test_adopted_from_dead_target);
    ADD("/move/term-that-was-never-leased-decides-nothing", test_unleased_is_not_adopted);
    ADD("/move/late-commands-of-a-dead-sliced-are-refused", test_late_commands_are_refused);
    ADD("/move/batch-is-on-disk-before-anything-is-sent",
        test_batch_is_on_disk_before_anything_is_sent);
    ADD("/move/one-at-a-time", test_one_move_at_a_time);
    ADD("/move/not-begun-sends-nothing", test_not_begun);
    for (gsize i = 0; i < G_N_ELEMENTS(deaths); i++) {
        g_autofree char *path = g_strconcat("/move/death/", deaths[i].name, NULL);

        g_test_add(path, Fixture, &deaths[i], set_up, test_death, tear_down);
    }
    return g_test_run();
}
