/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test-fault.c - sliced dies, stops or fails at each step of a move, and the slice is on one VM afterwards
 *
 *   this program            web1, web2: stand-in engines, which live on
 *     └── itself, as child  store, mover, engines' connections: what a sliced has; it gets the fault
 *
 * After a kill another child opens the store and resolves what it finds, as a restarted sliced does.
 * Every point that exists is in the table below, and every fault must be seen to fire.
 */
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/move.h"
#include "fake-engine.h"
#include "util/error.h"
#include "util/fault.h"

#define ID "00000000000000aa:0000000000000007"

/* ---- the child: a mover and what it needs ---- */

typedef struct {
    SliceEngine *engine[2];
    SliceMover *mover;
    SliceStore *store;
} Child;

static const char *const names[] = { "web1", "web2" };

static SliceEngine *child_engine(const char *vm, gpointer data)
{
    SliceEngine *found = ((Child *)data)->engine[g_str_equal(vm, "web2")];

    return slice_engine_is_synced(found) ? found : NULL;
}

typedef struct {
    SliceDone done;
    gpointer data;
} Later;

static gboolean later(gpointer data)
{
    g_autofree Later *call = data;

    call->done(NULL, call->data);
    return G_SOURCE_REMOVE;
}

static void done_later(SliceDone done, gpointer data)
{
    Later *call = g_new(Later, 1);

    *call = (Later){ done, data };
    g_idle_add(later, call);
}

static void child_route(const char *slice, GArray *flows, const char *vm, SliceDone done,
                        gpointer done_data, gpointer data)
{
    done_later(done, done_data);
}

static gboolean child_regrouped(const SliceEntry *entry, gpointer data)
{
    return FALSE;
}

/* Only dead VMs are fenced here. */
static void child_fence(const char *vm, SliceDone done, gpointer done_data, gpointer data)
{
    g_assert_null(child_engine(vm, data));
    done_later(done, done_data);
}

static const SliceMoverOps ops = { .engine = child_engine, .route = child_route,
                                   .regrouped = child_regrouped, .fence = child_fence };

static void synced(SliceEngine *engine, GPtrArray *entries, gpointer data)
{
    Child *child = data;

    if (child->mover) {
        slice_mover_take_synced(child->mover, slice_engine_vm(engine));
    }
}

static void lost(SliceEngine *engine, const char *why, gpointer data)
{
    Child *child = data;

    if (child->mover) {
        slice_mover_take_lost(child->mover, slice_engine_vm(engine));
    }
}

static void step(SliceEngine *engine, const SliceStepEvent *event, gpointer data)
{
    Child *child = data;

    if (child->mover) {
        slice_mover_take_step(child->mover, slice_engine_vm(engine), event);
    }
}

static void changed(SliceEngine *engine, const SliceEntry *entry, gboolean ended,
                    gpointer data)
{
}

static const SliceEngineHandlers handlers = { .synced = synced, .lost = lost, .step = step,
                                              .changed = changed };

static void begin_move(Child *child)
{
    static const SliceCount counts[] = { { 10, 2 }, { 40, 1 } };
    g_autoptr(SliceEntry) entry = slice_entry_new(ID, "web1");
    g_autoptr(GError) error = NULL;
    SliceTuple flow;

    g_assert_true(slice_tuple_set(&flow, "tcp", "192.0.2.10", 80, "192.0.2.99", 40000, NULL));
    g_array_append_val(entry->flows, flow);
    g_array_append_vals(entry->counts, counts, G_N_ELEMENTS(counts));
    if (!slice_mover_start(child->mover, entry, "web2", 60000, NULL, NULL, NULL, &error)) {
        g_message("not begun: %s", error->message);
    }
}

static void recover_moves(Child *child)
{
    g_autoptr(GPtrArray) moves = slice_store_moves(child->store, NULL);

    for (guint i = 0; i < moves->len; i++) {
        slice_mover_recover(child->mover, g_ptr_array_index(moves, i));
    }
}

/* @alive: how many of the engines answer. */
static int child_main(const char *folder, const char *what, guint alive)
{
    g_autofree char *path = g_build_filename(folder, "store.db", NULL);
    g_autoptr(GError) error = NULL;
    Child child = { 0 };

    if (!slice_fault_arm(slice_move_fault_points(), &error)) {
        g_error("%s", error->message);
    }
    child.store = slice_store_open(path, &error);
    g_assert_no_error(error);
    for (guint i = 0; i < 2; i++) {
        g_autofree char *socket = g_build_filename(folder, names[i], NULL);

        child.engine[i] = slice_engine_new(names[i], socket, &handlers, &child);
        slice_engine_start(child.engine[i]);
    }
    while (slice_engine_is_synced(child.engine[0]) + slice_engine_is_synced(child.engine[1]) <
           (int)alive) {
        g_main_context_iteration(NULL, TRUE);
    }
    child.mover = slice_mover_new(child.store, &ops, &child);
    if (g_str_equal(what, "begin")) {
        begin_move(&child);
    } else {
        recover_moves(&child);
    }
    while (slice_mover_count(child.mover)) {
        g_main_context_iteration(NULL, TRUE);
    }
    slice_mover_free(g_steal_pointer(&child.mover));
    for (guint i = 0; i < 2; i++) {
        slice_engine_free(child.engine[i]);
    }
    slice_store_close(child.store);
    return EXIT_SUCCESS;
}

/* ---- the parent ---- */

/* What happens around the move, so that it comes to the point. */
typedef enum { PLAIN, SLOW_TARGET, REFUSED_IMAGE, SOURCE_DIES } Scene;

typedef struct {
    const char *point;
    Scene scene;
    const char *after_kill; /* VM that owns the slice in the end */
    const char *after_fail; /* NULL: nothing there can fail */
} Case;

static const Case cases[] = {
    { "move.begin", PLAIN, "web1", "web1" },
    { "move.prepare", PLAIN, "web1", "web1" },
    { "move.prepare.done", PLAIN, "web1", "web1" },
    { "move.quiesce", PLAIN, "web1", "web1" },
    { "move.quiesce.done", PLAIN, "web1", "web1" },
    { "move.reroute", PLAIN, "web1", "web1" },
    { "move.reroute.done", PLAIN, "web1", "web1" },
    { "move.unplug", PLAIN, "web1", "web1" },
    { "move.settle", SLOW_TARGET, "web2", NULL },
    { "move.decide", REFUSED_IMAGE, "web1", "web1" },
    { "move.decided", REFUSED_IMAGE, "web1", NULL },
    { "move.undo-reroute", REFUSED_IMAGE, "web1", "web1" },
    { "move.undo-quiesce", REFUSED_IMAGE, "web1", "web1" },
    { "move.undo-prepare", REFUSED_IMAGE, "web1", "web1" },
    { "move.fence", SOURCE_DIES, "web2", "web2" },
    { "move.takeover", SOURCE_DIES, "web2", "web2" },
    { "move.takeover.done", SOURCE_DIES, "web2", NULL },
    { "move.end", PLAIN, "web2", "web2" },
    { "move.ended", PLAIN, "web2", NULL },
};

static const char *program;

typedef struct {
    char *folder;
    FakeEngine *fake[2];
    GSubprocess *child;
    gboolean ended;
} Fixture;

typedef struct {
    const Case *of;
    const char *action;
} Fault;

static void set_up(Fixture *f, gconstpointer data)
{
    Scene scene = ((const Fault *)data)->of->scene;

    f->folder = g_dir_make_tmp("slice-test-XXXXXX", NULL);
    for (int i = 0; i < 2; i++) {
        g_autofree char *path = g_build_filename(f->folder, names[i], NULL);

        f->fake[i] = fake_engine_new(names[i], path, NULL);
    }
    fake_engine_join(f->fake[0], f->fake[1]);
    fake_engine_add(f->fake[0], ID, 40000);
    if (scene == REFUSED_IMAGE) {
        fake_engine_refuse_image(f->fake[1], "memory");
    } else if (scene == SOURCE_DIES) {
        fake_engine_die_at(f->fake[0], "gone");
    } else if (scene == SLOW_TARGET) {
        fake_engine_stay_silent(f->fake[1], "done");
    }
}

static void tear_down(Fixture *f, gconstpointer data)
{
    static const char *const files[] = { "store.db", "store.db-wal", "store.db-shm", "log",
                                         NULL };

    for (int i = 0; i < 2; i++) {
        fake_engine_free(f->fake[i]);
    }
    for (guint i = 0; files[i]; i++) {
        g_autofree char *path = g_build_filename(f->folder, files[i], NULL);

        g_unlink(path);
    }
    g_rmdir(f->folder);
    g_free(f->folder);
}

static void child_ended(GObject *source, GAsyncResult *result, gpointer data)
{
    Fixture *f = data;

    g_assert_true(g_subprocess_wait_finish(G_SUBPROCESS(source), result, NULL));
    f->ended = TRUE;
}

static void start_child(Fixture *f, const char *what, const char *fault)
{
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_NONE);
    g_autofree char *log = g_build_filename(f->folder, "log", NULL);
    g_autofree char *alive = g_strdup_printf("%d", fake_engine_is_alive(f->fake[0]) +
                                                       fake_engine_is_alive(f->fake[1]));
    g_autoptr(GError) error = NULL;

    g_subprocess_launcher_set_stderr_file_path(launcher, log);
    if (fault) {
        g_subprocess_launcher_setenv(launcher, "SLICED_FAULT", fault, TRUE);
    }
    f->ended = FALSE;
    f->child = g_subprocess_launcher_spawn(launcher, &error, program, "--child", f->folder,
                                           what, alive, NULL);
    g_assert_no_error(error);
    g_subprocess_wait_async(f->child, NULL, child_ended, f);
}

static void wait_child(Fixture *f)
{
    while (!f->ended) {
        g_main_context_iteration(NULL, TRUE);
    }
}

static void assert_fired(Fixture *f, const Fault *fault)
{
    g_autofree char *log = g_build_filename(f->folder, "log", NULL);
    g_autofree char *said = NULL;
    g_autofree char *expected = g_strdup_printf("fault %s: %s\n", fault->of->point,
                                                fault->action);

    g_assert_true(g_file_get_contents(log, &said, NULL, NULL));
    g_assert_nonnull(strstr(said, expected));
}

static void assert_owned_once(Fixture *f, const char *vm)
{
    for (int i = 0; i < 2; i++) {
        const char *state = fake_engine_state(f->fake[i], ID);

        if (g_str_equal(names[i], vm)) {
            g_assert_cmpstr(state, ==, "owner");
        } else if (fake_engine_is_alive(f->fake[i]) && state) {
            g_assert_cmpstr(state, ==, "gone");
        }
    }
}

static void assert_nothing_open(Fixture *f)
{
    g_autofree char *path = g_build_filename(f->folder, "store.db", NULL);
    SliceStore *store = slice_store_open(path, NULL);
    g_autoptr(GPtrArray) moves = slice_store_moves(store, NULL);

    g_assert_cmpuint(moves->len, ==, 0);
    slice_store_close(store);
}

static gboolean is_stopped(GSubprocess *process)
{
    g_autofree char *path = g_strdup_printf("/proc/%s/stat", g_subprocess_get_identifier(process));
    g_autofree char *stat = NULL;

    return g_file_get_contents(path, &stat, NULL, NULL) && strstr(stat, ") T ");
}

static void test_kill(Fixture *f, gconstpointer data)
{
    const Fault *fault = data;

    wait_child(f);
    g_assert_true(g_subprocess_get_if_signaled(f->child));
    assert_fired(f, fault);
    g_clear_object(&f->child);
    start_child(f, "recover", NULL);
    wait_child(f);
    g_assert_true(g_subprocess_get_successful(f->child));
    assert_owned_once(f, fault->of->after_kill);
}

static void test_stop(Fixture *f, gconstpointer data)
{
    const Fault *fault = data;

    while (!is_stopped(f->child)) {
        g_assert_false(f->ended);
        g_main_context_iteration(NULL, FALSE);
    }
    g_subprocess_send_signal(f->child, SIGCONT);
    if (fault->of->scene == SLOW_TARGET) {
        /* Its engine is asked anew, and says that the slice is there. */
        fake_engine_set_ready(f->fake[1], TRUE);
    }
    wait_child(f);
    g_assert_true(g_subprocess_get_successful(f->child));
    assert_fired(f, fault);
    assert_owned_once(f, fault->of->scene == REFUSED_IMAGE ? "web1" : "web2");
}

static void test_fail(Fixture *f, gconstpointer data)
{
    const Fault *fault = data;

    wait_child(f);
    g_assert_true(g_subprocess_get_successful(f->child));
    assert_fired(f, fault);
    assert_owned_once(f, fault->of->after_fail);
}

static void test(Fixture *f, gconstpointer data)
{
    const Fault *fault = data;
    g_autofree char *text = g_strdup_printf("%s:%s", fault->of->point, fault->action);

    start_child(f, "begin", text);
    if (g_str_equal(fault->action, "kill")) {
        test_kill(f, data);
    } else if (g_str_equal(fault->action, "stop")) {
        test_stop(f, data);
    } else {
        test_fail(f, data);
    }
    g_clear_object(&f->child);
    /* "end" that fails leaves the row to the next start, which finds that all is well. */
    if (g_str_equal(text, "move.end:fail")) {
        start_child(f, "recover", NULL);
        wait_child(f);
        g_assert_true(g_subprocess_get_successful(f->child));
        assert_owned_once(f, "web2");
        g_clear_object(&f->child);
    }
    assert_nothing_open(f);
}

static void test_every_point_is_tried(void)
{
    const char *const *points = slice_move_fault_points();
    guint n = 0;

    for (; points[n]; n++) {
        g_assert_cmpuint(n, <, G_N_ELEMENTS(cases));
        g_assert_cmpstr(points[n], ==, cases[n].point);
    }
    g_assert_cmpuint(n, ==, G_N_ELEMENTS(cases));
}

static void add(const Case *of, const char *action)
{
    g_autofree char *path = g_strdup_printf("/fault/%s/%s", action, of->point);
    Fault *fault = g_new(Fault, 1); /* lives as long as the program */

    *fault = (Fault){ of, action };
    g_test_add(path, Fixture, fault, set_up, test, tear_down);
}

int main(int argc, char **argv)
{
    if (argc == 5 && g_str_equal(argv[1], "--child")) {
        return child_main(argv[2], argv[3], atoi(argv[4]));
    }
    program = argv[0];
    g_test_init(&argc, &argv, NULL);
    g_log_set_always_fatal(G_LOG_FATAL_MASK);
    g_test_add_func("/fault/every-point-is-tried", test_every_point_is_tried);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        add(&cases[i], "kill");
        add(&cases[i], "stop");
        if (cases[i].after_fail) {
            add(&cases[i], "fail");
        }
    }
    return g_test_run();
}
