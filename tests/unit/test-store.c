/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test-store.c - what is still known after the orchestrator died at any moment
 */
#include <glib/gstdio.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/store.h"
#include "util/error.h"

#define ID "00000000000000aa:0000000000000007"

typedef struct {
    char *folder;
    char *path;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    f->folder = g_dir_make_tmp("slice-test-XXXXXX", NULL);
    f->path = g_build_filename(f->folder, "deep", "store.db", NULL);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    g_autofree char *deep = g_path_get_dirname(f->path);

    for (const char *const *tail = (const char *const[]){ "", "-wal", "-shm", NULL };
         *tail; tail++) {
        g_autofree char *path = g_strconcat(f->path, *tail, NULL);

        g_unlink(path);
    }
    g_rmdir(deep);
    g_rmdir(f->folder);
    g_free(f->folder);
    g_free(f->path);
}

static SliceStore *open_store(Fixture *f)
{
    g_autoptr(GError) error = NULL;
    SliceStore *store = slice_store_open(f->path, &error);

    g_assert_no_error(error);
    return store;
}

static void begin(SliceStore *store, guint64 term)
{
    char id[] = ID, one[] = "web1", two[] = "web2";
    char flows[] = "192.0.2.10 80 192.0.2.99 40000\n";
    SliceMoveRecord record = { .term = term, .slice = id, .source = one,
                               .target = two, .flows = flows };
    g_autoptr(GError) error = NULL;

    g_assert_true(slice_store_move_begin(store, &record, &error));
    g_assert_no_error(error);
}

/* Runs @act in a process that is then killed: nothing is closed or flushed. */
static void in_process_that_dies(Fixture *f, void (*act)(SliceStore *store))
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        SliceStore *store = slice_store_open(f->path, NULL);

        if (store) {
            act(store);
        }
        kill(getpid(), SIGKILL);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void act_nothing(SliceStore *store)
{
}

static void act_begin(SliceStore *store)
{
    begin(store, slice_store_next_term(store));
}

static void act_abort(SliceStore *store)
{
    guint64 term = slice_store_next_term(store);

    begin(store, term);
    slice_store_move_decide(store, term, SLICE_DECISION_ABORT, NULL);
}

static void test_incarnation_grows(Fixture *f, gconstpointer data)
{
    for (guint i = 1; i <= 3; i++) {
        g_autoptr(SliceStore) store = open_store(f);

        g_assert_cmpuint(slice_store_incarnation(store), ==, i);
    }
}

static void test_incarnation_survives_kill(Fixture *f, gconstpointer data)
{
    g_autoptr(SliceStore) store = NULL;

    in_process_that_dies(f, act_nothing);
    in_process_that_dies(f, act_nothing);
    store = open_store(f);
    g_assert_cmpuint(slice_store_incarnation(store), ==, 3);
}

static void test_terms_never_come_twice(Fixture *f, gconstpointer data)
{
    guint64 last = 0;

    for (guint i = 0; i < 3; i++) {
        g_autoptr(SliceStore) store = open_store(f);

        for (guint k = 0; k < 100; k++) {
            guint64 term = slice_store_next_term(store);

            g_assert_cmpuint(term, >, last);
            last = term;
        }
    }
}

static void test_intention_survives_kill(Fixture *f, gconstpointer data)
{
    g_autoptr(SliceStore) store = NULL;
    g_autoptr(GPtrArray) moves = NULL;
    const SliceMoveRecord *record;

    in_process_that_dies(f, act_begin);
    store = open_store(f);
    moves = slice_store_moves(store, NULL);
    g_assert_cmpuint(moves->len, ==, 1);
    record = g_ptr_array_index(moves, 0);
    g_assert_cmpuint(record->term, ==, G_GUINT64_CONSTANT(1) << 32 | 1);
    g_assert_cmpstr(record->slice, ==, ID);
    g_assert_cmpstr(record->source, ==, "web1");
    g_assert_cmpstr(record->target, ==, "web2");
    g_assert_cmpstr(record->flows, ==, "192.0.2.10 80 192.0.2.99 40000\n");
    g_assert_cmpint(record->decision, ==, SLICE_DECISION_NONE);
}

static void test_decision_survives_kill(Fixture *f, gconstpointer data)
{
    g_autoptr(SliceStore) store = NULL;
    g_autoptr(GPtrArray) moves = NULL;

    in_process_that_dies(f, act_abort);
    store = open_store(f);
    moves = slice_store_moves(store, NULL);
    g_assert_cmpint(((SliceMoveRecord *)g_ptr_array_index(moves, 0))->decision,
                    ==, SLICE_DECISION_ABORT);
}

static void test_never_both_decisions(Fixture *f, gconstpointer data)
{
    g_autoptr(SliceStore) store = open_store(f);
    guint64 term = slice_store_next_term(store);
    g_autoptr(GError) error = NULL;

    begin(store, term);
    g_assert_true(slice_store_move_decide(store, term, SLICE_DECISION_ABORT, NULL));
    g_assert_true(slice_store_move_decide(store, term, SLICE_DECISION_ABORT, NULL));
    g_assert_false(slice_store_move_decide(store, term, SLICE_DECISION_TAKEOVER,
                                           &error));
    g_assert_error(error, SLICE_ERROR, SLICE_ERROR_REFUSED);
}

static void test_forgotten_follows_abort(Fixture *f, gconstpointer data)
{
    g_autoptr(SliceStore) store = open_store(f);
    guint64 term = slice_store_next_term(store);

    begin(store, term);
    g_assert_true(slice_store_move_decide(store, term, SLICE_DECISION_ABORT, NULL));
    g_assert_true(slice_store_move_decide(store, term, SLICE_DECISION_FORGOTTEN, NULL));
    g_assert_false(slice_store_move_decide(store, term, SLICE_DECISION_ABORT, NULL));
    g_assert_false(slice_store_move_decide(store, term, SLICE_DECISION_TAKEOVER, NULL));
}

static void test_unknown_move_is_not_decided(Fixture *f, gconstpointer data)
{
    g_autoptr(SliceStore) store = open_store(f);
    g_autoptr(GError) error = NULL;

    g_assert_false(slice_store_move_decide(store, 5, SLICE_DECISION_ABORT,
                                           &error));
    g_assert_error(error, SLICE_ERROR, SLICE_ERROR_NOT_FOUND);
}

static void test_ended_move_is_not_told(Fixture *f, gconstpointer data)
{
    g_autoptr(SliceStore) store = open_store(f);
    guint64 term = slice_store_next_term(store);
    g_autoptr(GPtrArray) moves = NULL;

    begin(store, term);
    g_assert_true(slice_store_move_end(store, term, "moved", NULL));
    moves = slice_store_moves(store, NULL);
    g_assert_cmpuint(moves->len, ==, 0);
}

static void test_one_at_a_time(Fixture *f, gconstpointer data)
{
    g_autoptr(SliceStore) store = open_store(f);
    g_autoptr(GError) error = NULL;

    g_assert_null(slice_store_open(f->path, &error));
    g_assert_error(error, SLICE_ERROR, SLICE_ERROR_BUSY);
}

static void test_slots_stay(Fixture *f, gconstpointer data)
{
    SliceStore *store = open_store(f);
    guint one = slice_store_slot(store, "web1", NULL);
    guint two = slice_store_slot(store, "web2", NULL);

    g_assert_cmpuint(one, >, 0);
    g_assert_cmpuint(two, !=, one);
    slice_store_close(store);
    store = open_store(f);
    g_assert_cmpuint(slice_store_slot(store, "web2", NULL), ==, two);
    g_assert_cmpuint(slice_store_slot(store, "web1", NULL), ==, one);
    g_assert_cmpuint(slice_store_slot(store, "web3", NULL), >, MAX(one, two));
    slice_store_close(store);
}

/* ---- cordons, leases, jobs ---- */

static void act_cordon(SliceStore *store)
{
    slice_store_set_cordon(store, "web1", TRUE, NULL);
    slice_store_set_cordon(store, "web2", TRUE, NULL);
    slice_store_set_cordon(store, "web2", FALSE, NULL);
}

static void test_cordon_survives_kill(Fixture *f, gconstpointer data)
{
    g_autoptr(SliceStore) store = NULL;
    g_autoptr(GHashTable) cordons = NULL;

    in_process_that_dies(f, act_cordon);
    store = open_store(f);
    cordons = slice_store_cordons(store, NULL);
    g_assert_cmpuint(g_hash_table_size(cordons), ==, 1);
    g_assert_true(g_hash_table_contains(cordons, "web1"));
}

static void act_lease(SliceStore *store)
{
    slice_store_lease(store, "web1", 100, NULL);
    slice_store_next_term(store);
    slice_store_lease(store, "web2", 100, NULL);
}

static void test_leases_survive_kill(Fixture *f, gconstpointer data)
{
    guint64 old = G_GUINT64_CONSTANT(1) << 32;
    g_autoptr(SliceStore) store = NULL;
    g_autofree char *first = NULL, *last = NULL, *between = NULL, *second = NULL, *past = NULL;

    in_process_that_dies(f, act_lease);
    store = open_store(f);
    first = slice_store_lease_of(store, old + 1);
    last = slice_store_lease_of(store, old + 100);
    between = slice_store_lease_of(store, old + 101);
    second = slice_store_lease_of(store, old + 102);
    past = slice_store_lease_of(store, old + 202);
    g_assert_cmpstr(first, ==, "web1");
    g_assert_cmpstr(last, ==, "web1");
    g_assert_cmpstr(between, ==, NULL);
    g_assert_cmpstr(second, ==, "web2");
    g_assert_cmpstr(past, ==, NULL);
    g_assert_cmpuint(slice_store_lease(store, "web1", 100, NULL), ==, 2 * old + 1);
}

static void test_terms_and_leases_do_not_overlap(Fixture *f, gconstpointer data)
{
    g_autoptr(SliceStore) store = open_store(f);
    guint64 last = 0;

    for (guint i = 0; i < 50; i++) {
        guint64 term = slice_store_next_term(store);
        guint64 first = slice_store_lease(store, "web1", 7, NULL);

        g_assert_cmpuint(term, >, last);
        g_assert_cmpuint(first, ==, term + 1);
        last = first + 6;
    }
}

static void act_job(SliceStore *store)
{
    char order[] = "[order]\nkind=split\n", one[] = ID, two[] = "web2";
    char *slices[] = { one, NULL }, *targets[] = { two, NULL };
    SliceJobRecord record = { .id = slice_store_next_job(store), .order = order,
                              .deadline_ms = 500, .started_us = 7, .until_us = 8,
                              .slices = slices, .targets = targets };

    slice_store_job_begin(store, &record, NULL);
}

static void test_job_survives_kill(Fixture *f, gconstpointer data)
{
    g_autoptr(SliceStore) store = NULL;
    g_autoptr(GPtrArray) jobs = NULL;
    g_autoptr(GPtrArray) left = NULL;
    const SliceJobRecord *record;

    in_process_that_dies(f, act_job);
    store = open_store(f);
    jobs = slice_store_jobs(store, NULL);
    g_assert_cmpuint(jobs->len, ==, 1);
    record = g_ptr_array_index(jobs, 0);
    g_assert_cmpuint(record->id, ==, 1);
    g_assert_cmpuint(record->deadline_ms, ==, 500);
    g_assert_cmpint(record->until_us, ==, 8);
    g_assert_cmpstr(record->slices[0], ==, ID);
    g_assert_cmpstr(record->targets[0], ==, "web2");
    g_assert_null(record->slices[1]);
    g_assert_true(slice_store_job_end(store, 1, NULL));
    left = slice_store_jobs(store, NULL);
    g_assert_cmpuint(left->len, ==, 0);
    g_assert_cmpuint(slice_store_next_job(store), ==, 2);
}

/* Killed before the batch is written: nothing of it is there, and nothing of it had been sent. */
static void act_batch(SliceStore *store)
{
    slice_store_begin(store, NULL);
    begin(store, slice_store_next_term(store));
    begin(store, slice_store_next_term(store));
}

static void act_whole_batch(SliceStore *store)
{
    act_batch(store);
    slice_store_commit(store, NULL);
}

static void test_batch_is_all_or_nothing(Fixture *f, gconstpointer data)
{
    g_autoptr(GPtrArray) none = NULL;
    g_autoptr(GPtrArray) both = NULL;
    SliceStore *store;

    in_process_that_dies(f, act_batch);
    store = open_store(f);
    none = slice_store_moves(store, NULL);
    g_assert_cmpuint(none->len, ==, 0);
    slice_store_close(store);
    in_process_that_dies(f, act_whole_batch);
    store = open_store(f);
    both = slice_store_moves(store, NULL);
    g_assert_cmpuint(both->len, ==, 2);
    slice_store_close(store);
}

static void test_no_store_is_an_error(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(slice_store_open("/proc/store.db", &error));
    g_assert_error(error, SLICE_ERROR, SLICE_ERROR_FAILED);
    g_assert_true(g_str_has_prefix(error->message, "store /proc/store.db: open: "));
}

#define ADD(path, function) \
    g_test_add(path, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/store/incarnation-grows", test_incarnation_grows);
    ADD("/store/incarnation-survives-kill", test_incarnation_survives_kill);
    ADD("/store/terms-never-come-twice", test_terms_never_come_twice);
    ADD("/store/intention-survives-kill", test_intention_survives_kill);
    ADD("/store/decision-survives-kill", test_decision_survives_kill);
    ADD("/store/never-both-decisions", test_never_both_decisions);
    ADD("/store/forgotten-follows-abort-and-stays", test_forgotten_follows_abort);
    ADD("/store/unknown-move-is-not-decided", test_unknown_move_is_not_decided);
    ADD("/store/ended-move-is-not-told", test_ended_move_is_not_told);
    ADD("/store/one-orchestrator-at-a-time", test_one_at_a_time);
    ADD("/store/slots-stay", test_slots_stay);
    ADD("/store/cordon-survives-kill", test_cordon_survives_kill);
    ADD("/store/leases-survive-kill", test_leases_survive_kill);
    ADD("/store/terms-and-leases-do-not-overlap", test_terms_and_leases_do_not_overlap);
    ADD("/store/job-survives-kill", test_job_survives_kill);
    ADD("/store/batch-is-all-or-nothing", test_batch_is_all_or_nothing);
    ADD("/store/no-store-is-an-error", test_no_store_is_an_error);
    return g_test_run();
}
