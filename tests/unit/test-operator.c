/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test-operator.c - many slices at once: drain, split, merge, cordon, and sliced dying meanwhile
 *
 * Three VMs; what stands around them is in sliced.h.
 */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "sliced.h"
#include "util/error.h"

/* Two of each client. */
#define N_SLICES 32

static Ovs *ovs;

static const char *id_of(guint n)
{
    static char id[64];

    g_snprintf(id, sizeof(id), "3fa9c2d100000000:%016x", n + 0x100);
    return id;
}

static void set_up(Sliced *f, gconstpointer data)
{
    sliced_prepare(f, ovs, 3);
    for (guint i = 0; i < N_SLICES; i++) {
        g_autofree char *client = g_strdup_printf("192.0.2.%u", 100 + i / 2);
        g_autofree char *label = g_strdup_printf("%s-%u", i % 3 ? "shop" : "guest", i);

        fake_engine_add_client(f->fake[0], id_of(i), client, 40000 + i, label);
    }
    sliced_start(f, NULL);
    sliced_wait_ready(f, 3);
    sliced_wait_switch(f);
}

static void tear_down(Sliced *f, gconstpointer data)
{
    sliced_clear(f);
}

static guint count_at(Sliced *f, guint vm)
{
    guint n = 0;

    for (guint i = 0; i < N_SLICES; i++) {
        n += !g_strcmp0(fake_engine_state(f->fake[vm], id_of(i)), "owner");
    }
    return n;
}

static JsonObject *vm_called(JsonNode *list, const char *name)
{
    JsonArray *vms = json_node_get_array(list);

    for (guint i = 0; i < json_array_get_length(vms); i++) {
        JsonObject *vm = json_array_get_object_element(vms, i);

        if (g_str_equal(json_object_get_string_member(vm, "name"), name)) {
            return vm;
        }
    }
    g_assert_not_reached();
}

static gboolean says(Sliced *f, const char *vm, const char *what)
{
    g_autoptr(JsonNode) list = sliced_json(f, "vm list --json");

    return json_object_get_boolean_member(vm_called(list, vm), what);
}

/* ---- drains ---- */

static void wait_job_ended(Sliced *f, const char *show)
{
    for (;;) {
        g_autoptr(JsonNode) job = NULL;

        if (sliced_ctl(f, show) == 0) {
            job = json_from_string(f->out, NULL);
            if (!json_object_get_null_member(json_node_get_object(job), "ended")) {
                return;
            }
        }
    }
}

static void test_drain(Sliced *f, gconstpointer data)
{
    g_assert_cmpint(sliced_ctl(f, "vm drain web1"), ==, 0);
    g_assert_cmpuint(count_at(f, 0), ==, 0);
    g_assert_cmpuint(count_at(f, 1), ==, N_SLICES / 2);
    g_assert_cmpuint(count_at(f, 2), ==, N_SLICES / 2);
    g_assert_true(g_str_has_prefix(f->out, "drain of web1: 32 of 32 slices moved"));
    g_assert_true(says(f, "web1", "cordoned"));
    g_assert_false(says(f, "web1", "spread"));
}

static void test_drain_of_nothing(Sliced *f, gconstpointer data)
{
    g_assert_cmpint(sliced_ctl(f, "vm drain web3"), ==, 0);
    g_assert_true(says(f, "web3", "cordoned"));
}

static void test_dry_run(Sliced *f, gconstpointer data)
{
    g_autoptr(JsonNode) plan = NULL;

    fake_engine_set_movability(f->fake[0], id_of(0), "pinned", "upgraded");
    fake_engine_set_movability(f->fake[0], id_of(1), "busy", "references");
    g_assert_cmpint(sliced_ctl(f, "vm drain web1 --dry-run"), ==, 0);
    g_assert_nonnull(strstr(f->out, "31 of 32 slices would move (1"));
    g_assert_nonnull(strstr(f->out, " to web3), 1 would stay\n"));
    g_assert_nonnull(strstr(f->out, "WebSocket"));
    plan = sliced_json(f, "vm drain web1 --dry-run --json");
    g_assert_true(json_object_get_null_member(sliced_first(plan), "to"));
    g_assert_cmpstr(json_object_get_string_member(sliced_first(plan), "error"), ==, "refused");
    g_assert_cmpuint(count_at(f, 0), ==, N_SLICES);
    g_assert_false(says(f, "web1", "cordoned"));
}

static void test_pinned_is_listed(Sliced *f, gconstpointer data)
{
    fake_engine_set_movability(f->fake[0], id_of(7), "pinned", "upgraded");
    g_assert_cmpint(sliced_ctl(f, "vm drain web1"), ==, SLICE_ERROR_PARTLY);
    g_assert_cmpuint(count_at(f, 0), ==, 1);
    g_assert_nonnull(strstr(f->out, "31 of 32 slices moved, 1 stay"));
    g_assert_nonnull(strstr(f->out, "3fa9c2d1:107"));
    g_assert_nonnull(strstr(f->out, "WebSocket"));
    g_assert_true(g_str_has_suffix(f->err, "slicectl: 1 of 32 slices were not moved\n"));
}

/* One that never becomes quiet: tried until the drain's time is up, and said so. */
static void test_deadline_of_drain(Sliced *f, gconstpointer data)
{
    g_autoptr(JsonNode) job = NULL;
    JsonArray *items;
    guint tries = 0;

    fake_engine_answer(f->fake[0], "slice-move", "busy", "references");
    g_assert_cmpint(sliced_ctl(f, "vm drain web1 --deadline 1500ms"), ==, SLICE_ERROR_BUSY);
    g_assert_cmpuint(count_at(f, 0), ==, N_SLICES);
    g_assert_nonnull(strstr(f->out, "long poll"));
    job = sliced_json(f, "job show 1 --json");
    items = json_object_get_array_member(json_node_get_object(job), "items");
    for (guint i = 0; i < json_array_get_length(items); i++) {
        tries = MAX(tries, json_object_get_int_member(json_array_get_object_element(items, i),
                                                      "tries"));
    }
    g_assert_cmpuint(tries, >, 1);
}

/* Becomes quiet, and a new session comes, while the drain goes on: both are caught. */
static void test_further_rounds(Sliced *f, gconstpointer data)
{
    static const char late[] = "3fa9c2d100000000:0000000000000999";
    GSubprocess *drain;

    fake_engine_answer(f->fake[0], "slice-move", "busy", "references");
    drain = sliced_spawn_ctl(f, "vm drain web1");
    sliced_collect_later(f, drain);
    while (!fake_engine_seen(f->fake[0], "slice-move")) {
        g_main_context_iteration(NULL, TRUE);
    }
    fake_engine_add_client(f->fake[0], late, "192.0.2.77", 45000, "late");
    fake_engine_forgive(f->fake[0]);
    while (!f->done) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_cmpint(f->status, ==, 0);
    g_assert_cmpuint(count_at(f, 0), ==, 0);
    g_assert_cmpstr(fake_engine_state(f->fake[0], late), ==, "gone");
    g_assert_nonnull(strstr(f->out, " rounds;"));
}

static void test_refusing_vm_is_left_out(Sliced *f, gconstpointer data)
{
    fake_engine_answer(f->fake[1], "slice-prepare", "refused", "no-room");
    g_assert_cmpint(sliced_ctl(f, "vm drain web1"), ==, 0);
    g_assert_cmpuint(count_at(f, 2), ==, N_SLICES);
}

static void test_nobody_takes_it(Sliced *f, gconstpointer data)
{
    fake_engine_answer(f->fake[1], "slice-prepare", "refused", "no-room");
    fake_engine_answer(f->fake[2], "slice-prepare", "refused", "no-room");
    g_assert_cmpint(sliced_ctl(f, "vm drain web1"), ==, SLICE_ERROR_REFUSED);
    g_test_message("%s", f->out);
    g_assert_cmpint(sliced_ctl(f, "job show 1 --json"), ==, 0);
    g_assert_nonnull(strstr(f->out, "refused to prepare for it: a layer there takes no more"));
    g_assert_cmpuint(count_at(f, 0), ==, N_SLICES);
}

static void test_cancelled_drain(Sliced *f, gconstpointer data)
{
    fake_engine_stay_silent(f->fake[0], "quiesced");
    g_assert_cmpint(sliced_ctl(f, "vm drain web1 --no-wait"), ==, 0);
    g_assert_cmpint(sliced_ctl(f, "vm drain web1"), ==, SLICE_ERROR_BUSY);
    g_assert_cmpint(sliced_ctl(f, "vm uncordon web1"), ==, SLICE_ERROR_BUSY);
    g_assert_cmpint(sliced_ctl(f, "job cancel 1"), ==, 0);
    wait_job_ended(f, "job show 1 --json");
    g_assert_cmpuint(count_at(f, 0), ==, N_SLICES);
    g_assert_false(says(f, "web1", "spread"));
    g_assert_cmpint(sliced_ctl(f, "vm uncordon web1"), ==, 0);
}

static void test_vm_that_dies_while_drained(Sliced *f, gconstpointer data)
{
    GSubprocess *drain;

    fake_engine_stay_silent(f->fake[1], "slice-prepare");
    fake_engine_stay_silent(f->fake[2], "slice-prepare");
    drain = sliced_spawn_ctl(f, "vm drain web1");
    sliced_collect_later(f, drain);
    while (!fake_engine_seen(f->fake[1], "slice-prepare")) {
        g_main_context_iteration(NULL, TRUE);
    }
    fake_engine_end(f->fake[0], id_of(N_SLICES - 1));
    fake_engine_die(f->fake[0]);
    while (!f->done) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_test_message("%s", f->out);
    g_assert_cmpint(f->status, !=, 0); /* nobody is told that they ended by themselves */
    g_assert_null(strstr(f->out, "moved, 32 ended"));
    g_assert_nonnull(strstr(f->out, "died"));
}

/* ---- parts ---- */

static void test_split_by_share(Sliced *f, gconstpointer data)
{
    g_assert_cmpint(sliced_ctl(f, "vm split web1 --share 50 --to web2"), ==, 0);
    g_assert_cmpuint(count_at(f, 0), ==, N_SLICES / 2);
    g_assert_cmpuint(count_at(f, 1), ==, N_SLICES / 2);
    g_assert_false(says(f, "web1", "cordoned"));
}

static void test_split_by_count(Sliced *f, gconstpointer data)
{
    g_assert_cmpint(sliced_ctl(f, "vm split web1 --count 4"), ==, 0);
    g_assert_cmpuint(count_at(f, 1), ==, 2);
    g_assert_cmpuint(count_at(f, 2), ==, 2);
}

static void test_split_by_label_and_network(Sliced *f, gconstpointer data)
{
    g_assert_cmpint(sliced_ctl(f, "vm split web1 --label 'guest-*' --to web2"), ==, 0);
    g_assert_cmpuint(count_at(f, 1), ==, (N_SLICES + 2) / 3);
    g_assert_cmpint(sliced_ctl(f, "vm split web1 --client 192.0.2.96/29 --to web3"), ==, 0);
    g_assert_cmpuint(count_at(f, 2), ==, 5); /* .100 to .103, less those that are gone already */
}

static void test_merge(Sliced *f, gconstpointer data)
{
    g_assert_cmpint(sliced_ctl(f, "vm split web1 --share 60"), ==, 0);
    g_assert_cmpint(sliced_ctl(f, "vm merge web2 web3 --to web1"), ==, 0);
    g_assert_cmpuint(count_at(f, 0), ==, N_SLICES);
}

static void test_move_by_filter(Sliced *f, gconstpointer data)
{
    g_assert_cmpint(sliced_ctl(f, "slice move --client 192.0.2.100 --to web2"), ==, 0);
    g_assert_cmpuint(count_at(f, 1), ==, 2);
    g_assert_cmpint(sliced_ctl(f, "slice list --vm web2 --label 'guest-*' --json"), ==, 0);
    g_assert_cmpint(sliced_ctl(f, "slice move --client 192.0.2.0/33 --to web2"), ==,
                    SLICE_ERROR_INVALID);
    g_assert_cmpint(sliced_ctl(f, "slice move --label nobody --to web2"), ==,
                    SLICE_ERROR_NOT_FOUND);
}

static void test_split_needs_a_part(Sliced *f, gconstpointer data)
{
    static const char *const wrong[] = {
        "vm split web1", "vm split", "vm split web1 --share 101", "vm split web1 --count -1",
        "vm merge web2", "vm merge --to web1", "vm drain", "vm drain web1 web2",
        "vm drain web1 --to web1", "vm drain web1 --deadline soon", "vm cordon",
        "slice list --state nowhere", NULL,
    };

    for (guint i = 0; wrong[i]; i++) {
        g_test_message("slicectl %s", wrong[i]);
        g_assert_cmpint(sliced_ctl(f, wrong[i]), ==, SLICE_ERROR_INVALID);
    }
    g_assert_cmpint(sliced_ctl(f, "vm drain web9"), ==, SLICE_ERROR_NOT_FOUND);
    g_assert_cmpint(sliced_ctl(f, "vm cordon web9"), ==, SLICE_ERROR_NOT_FOUND);
}

static void test_busy_and_pinned_are_shown(Sliced *f, gconstpointer data)
{
    fake_engine_set_movability(f->fake[0], id_of(0), "pinned", "tls");
    fake_engine_set_movability(f->fake[0], id_of(1), "busy", "references");
    g_assert_cmpint(sliced_ctl(f, "slice show 100"), ==, 0);
    g_assert_nonnull(strstr(f->out, "could move  no: pinned: its connection is encrypted"));
    g_assert_cmpint(sliced_ctl(f, "slice show 101"), ==, 0);
    g_assert_nonnull(strstr(f->out, "could move  not now: a request is being served"));
    g_assert_cmpint(sliced_ctl(f, "slice list --movability pinned"), ==, 0);
    g_assert_nonnull(strstr(f->out, "3fa9c2d1:100"));
    g_assert_null(strstr(f->out, "3fa9c2d1:101"));
}

/* ---- what outlives sliced ---- */

static void test_cordon_outlives_sliced(Sliced *f, gconstpointer data)
{
    g_assert_cmpint(sliced_ctl(f, "vm cordon web2"), ==, 0);
    g_assert_cmpint(sliced_ctl(f, "slice move 100 --to web2"), ==, SLICE_ERROR_REFUSED);
    sliced_kill(f);
    sliced_start(f, NULL);
    sliced_wait_ready(f, 2);
    g_assert_true(says(f, "web2", "cordoned"));
    g_assert_cmpint(sliced_ctl(f, "vm uncordon web2"), ==, 0);
    sliced_wait_ready(f, 3);
    g_assert_cmpint(sliced_ctl(f, "slice move 100 --to web2"), ==, 0);
}

/* Killed in the middle of a drain, at @data: the next sliced finishes it, without being asked. */
static void test_drain_outlives_sliced(Sliced *f, gconstpointer data)
{
    const char *point = data;
    g_autofree char *fault = g_strdup_printf("%s:kill", point);

    sliced_stop(f);
    sliced_start(f, fault);
    sliced_wait_ready(f, 3);
    sliced_ctl(f, "vm drain web1 --no-wait"); /* it may die before it answers */
    sliced_wait_killed(f, point);
    sliced_start(f, NULL);
    sliced_wait_ready(f, 2);
    wait_job_ended(f, "job show 1 --json");
    g_assert_cmpuint(count_at(f, 0), ==, 0);
    g_assert_cmpuint(count_at(f, 1) + count_at(f, 2), ==, N_SLICES);
    g_assert_true(says(f, "web1", "cordoned"));
}

/*
 * The target does not hear of it that its move was undone, as it is stopped while sliced starts again.  It
 * is told when it goes on.
 */
static void test_stopped_target_is_cancelled(Sliced *f, gconstpointer data)
{
    guint64 term;

    sliced_stop(f);
    sliced_start(f, "move.unplug:kill");
    sliced_wait_ready(f, 3);
    sliced_ctl(f, "slice move 100 --to web2 --no-wait");
    sliced_wait_killed(f, "move.unplug");
    g_assert_cmpstr(fake_engine_state(f->fake[1], id_of(0)), ==, "reserved");
    term = fake_engine_term(f->fake[1], id_of(0));
    fake_engine_freeze(f->fake[1]);
    sliced_start(f, NULL);
    while (g_strcmp0(fake_engine_state(f->fake[0], id_of(0)), "owner")) {
        g_main_context_iteration(NULL, TRUE);
    }
    wait_job_ended(f, "job show 1 --json");
    fake_engine_thaw(f->fake[1]);
    while (fake_engine_term(f->fake[1], id_of(0)) == term) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_cmpstr(fake_engine_state(f->fake[0], id_of(0)), ==, "owner");
}

/* The target dies with the slice while sliced does not look: its rules go. */
static void test_lost_slice_leaves_no_rule(Sliced *f, gconstpointer data)
{
    static const char rule[] = "table=1,tcp,tp_src=40000";

    sliced_stop(f);
    sliced_start(f, "move.settle:stop");
    sliced_wait_ready(f, 3);
    fake_engine_stay_silent(f->fake[1], "done");
    g_assert_cmpint(sliced_ctl(f, "slice move 100 --to web2 --no-wait"), ==, 0);
    while (!sliced_is_stopped(f)) {
        g_main_context_iteration(NULL, FALSE);
    }
    g_assert_cmpuint(ovs_count_flows(ovs, rule), ==, 1);
    fake_engine_die(f->fake[1]);
    g_subprocess_send_signal(f->process, SIGCONT);
    wait_job_ended(f, "job show 1 --json");
    while (ovs_count_flows(ovs, rule)) {
        g_main_context_iteration(NULL, FALSE);
    }
}

static void test_second_sliced_is_refused(Sliced *f, gconstpointer data)
{
    g_autofree char *text = NULL;
    g_autofree char *other = sliced_path(f, "sliced.log");
    g_autofree char *config = NULL;
    g_autofree char *printed = NULL;
    g_auto(GStrv) parts = NULL;
    int status = 0;

    /* The same store behind another socket. */
    g_assert_true(g_file_get_contents(f->config, &config, NULL, NULL));
    parts = g_strsplit(config, "sliced.sock", 2);
    text = g_strjoinv("other.sock", parts);
    g_assert_true(g_file_set_contents(other, text, -1, NULL));
    g_assert_true(g_spawn_sync(NULL, (char *[]){ (char *)g_getenv("SLICED"), (char *)"--config",
                                                 other, NULL }, NULL, 0, NULL, NULL, NULL,
                               &printed, &status, NULL));
    g_assert_cmpint(WEXITSTATUS(status), ==, SLICE_ERROR_BUSY);
    g_assert_nonnull(strstr(printed, "sliced.db"));
    g_assert_cmpint(sliced_ctl(f, "status"), ==, 0);
}

static void test_unknown_fault_is_refused(Sliced *f, gconstpointer data)
{
    sliced_stop(f);
    sliced_start(f, "move.nowhere:kill");
    g_assert_true(g_subprocess_wait(f->process, NULL, NULL));
    g_assert_cmpint(g_subprocess_get_exit_status(f->process), ==, SLICE_ERROR_INVALID);
    g_clear_object(&f->process);
}

/* ---- what engines do by themselves ---- */

static char *segment(guint n, guint port, const char *flags)
{
    return ovs_send(ovs, "\"in_port=3,tcp,dl_src=02:00:00:00:00:63,dl_dst=52:54:00:00:02:0a,"
                    "nw_src=192.0.2.%u,nw_dst=192.0.2.10,nw_ttl=64,tp_src=%u,tp_dst=80,"
                    "tcp_flags=%s\"", 100 + n / 2, port, flags);
}

static void wait_segment(guint n, guint port, const char *flags, const char *expected)
{
    for (;;) {
        g_autofree char *where = segment(n, port, flags);

        if (g_str_equal(where, expected)) {
            return;
        }
        g_main_context_iteration(NULL, FALSE);
    }
}

/* Each try is a new connection: where one has been led, it stays.  Return: the port of the last. */
static guint wait_new_connection(guint n, const char *expected)
{
    static guint port = 50000;

    for (;;) {
        g_autofree char *where = segment(n, ++port, "syn");

        if (g_str_equal(where, expected)) {
            return port;
        }
        g_main_context_iteration(NULL, FALSE);
    }
}

static void wait_for(const char *(*what)(FakeEngine *engine), FakeEngine *engine,
                     const char *expected)
{
    while (!g_str_equal(what(engine), expected)) {
        g_main_context_iteration(NULL, TRUE);
    }
}

static void test_peers_are_told(Sliced *f, gconstpointer data)
{
    wait_for(fake_engine_peers, f->fake[0], "web2,web3");
    wait_for(fake_engine_peers, f->fake[1], "web1,web3");
    fake_engine_die(f->fake[2]);
    wait_for(fake_engine_peers, f->fake[0], "web2");
}

/* Terms of all engines, before and after a restart, and of sliced's own moves: no two are the same. */
static void test_terms_are_never_given_twice(Sliced *f, gconstpointer data)
{
    guint64 first[2], low, after;

    for (int i = 0; i < 2; i++) {
        while (!(first[i] = fake_engine_leased(f->fake[i]))) {
            g_main_context_iteration(NULL, TRUE);
        }
    }
    g_assert_cmpuint(MAX(first[0], first[1]) - MIN(first[0], first[1]), >=, 1000);
    fake_engine_lease_low(f->fake[0]);
    while ((low = fake_engine_leased(f->fake[0])) == first[0]) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_cmpuint(low, >, MAX(first[0], first[1]));
    g_assert_cmpint(sliced_ctl(f, "slice move 100 --to web2"), ==, 0);
    g_assert_cmpuint(fake_engine_term(f->fake[1], id_of(0)), >, low + 1000);
    sliced_kill(f);
    sliced_start(f, NULL);
    sliced_wait_ready(f, 3);
    while ((after = fake_engine_leased(f->fake[0])) == low) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_cmpuint(after >> 32, ==, (low >> 32) + 1);
}

static void wait_lease(Sliced *f)
{
    while (!fake_engine_leased(f->fake[0]) || fake_engine_orchestrator(f->fake[0]) == 0) {
        g_main_context_iteration(NULL, TRUE);
    }
}

static void test_rules_follow_a_find(Sliced *f, gconstpointer data)
{
    wait_lease(f);
    fake_engine_find(f->fake[0], id_of(0), f->fake[1]);
    wait_segment(0, 40000, "ack", "2");
    wait_segment(1, 40001, "ack", "1");
}

static void test_find_with_dead_target_is_undone(Sliced *f, gconstpointer data)
{
    wait_lease(f);
    fake_engine_die_at(f->fake[1], "plugged");
    fake_engine_find(f->fake[0], id_of(0), f->fake[1]);
    g_assert_cmpstr(fake_engine_state(f->fake[0], id_of(0)), ==, "sent");
    while (g_strcmp0(fake_engine_state(f->fake[0], id_of(0)), "owner")) {
        g_main_context_iteration(NULL, TRUE);
    }
}

/* The source says that it is stuck: it may not abort by itself any more. */
static void test_stuck_find_is_undone(Sliced *f, gconstpointer data)
{
    guint64 term;

    wait_lease(f);
    fake_engine_stay_silent(f->fake[1], "plugged");
    term = fake_engine_find(f->fake[0], id_of(0), f->fake[1]);
    fake_engine_tell_failed(f->fake[0], id_of(0), term, "deadline");
    while (g_strcmp0(fake_engine_state(f->fake[0], id_of(0)), "owner") ||
           fake_engine_state(f->fake[1], id_of(0))) {
        g_main_context_iteration(NULL, TRUE);
    }
}

static void test_find_is_resolved_after_a_restart(Sliced *f, gconstpointer data)
{
    wait_lease(f);
    sliced_kill(f);
    fake_engine_die_at(f->fake[1], "plugged");
    fake_engine_find(f->fake[0], id_of(0), f->fake[1]);
    sliced_start(f, NULL);
    while (g_strcmp0(fake_engine_state(f->fake[0], id_of(0)), "owner")) {
        g_main_context_iteration(NULL, TRUE);
    }
}

/* Its two slices move: a new connection of the client goes where they are; back: it follows the spread again. */
static void test_new_connections_follow_moved_client(Sliced *f, gconstpointer data)
{
    const char *to = "web3", *port = "4";
    g_autofree char *spread = NULL;
    g_autofree char *move = NULL;

    spread = segment(0, 49999, "syn");
    if (g_str_equal(spread, "4")) {
        to = "web2";
        port = "2";
    }
    move = g_strdup_printf("slice move --client 192.0.2.100 --to %s", to);
    g_assert_cmpint(sliced_ctl(f, "slice move 100 --to web2"), ==, 0);
    wait_new_connection(0, spread); /* one is here, one there */
    g_assert_cmpint(sliced_ctl(f, move), ==, 0);
    wait_segment(0, wait_new_connection(0, port), "ack", port);
    fake_engine_end(f->fake[to[3] - '1'], id_of(0));
    fake_engine_end(f->fake[to[3] - '1'], id_of(1));
    wait_new_connection(0, spread);
}

/* ---- tables ---- */

static void test_wide_tables_fit(Sliced *f, gconstpointer data)
{
    static const char *const commands[] = {
        "slice list", "slice list --movability pinned", "vm list", "job list", "job show 1",
        "vm drain web1 --dry-run", NULL,
    };
    static const char wide[] = "ffffffff00000000:ffffffffffffff00";

    fake_engine_add_client(f->fake[0], wide, "2001:db8:1234:5678:9abc:def0:1234:5678", 65535,
                           "会话-session-of-somebody-with-a-very-long-name@shop.example.org");
    fake_engine_set_movability(f->fake[0], wide, "pinned", "upgraded");
    g_assert_cmpint(sliced_ctl(f, "vm split web1 --count 25"), ==, 0);
    for (guint i = 0; commands[i]; i++) {
        g_auto(GStrv) lines = NULL;

        g_assert_cmpint(sliced_ctl(f, commands[i]), ==, 0);
        lines = g_strsplit(f->out, "\n", -1);
        g_assert_cmpuint(g_strv_length(lines), >, 2);
        for (guint k = 0; lines[k]; k++) {
            guint width = 0;

            for (const char *at = lines[k]; *at; at = g_utf8_next_char(at)) {
                width += g_unichar_iswide(g_utf8_get_char(at)) ? 2 : 1;
            }
            g_assert_cmpuint(width, <=, 80);
        }
    }
    g_assert_cmpint(sliced_ctl(f, "slice list --movability pinned"), ==, 0);
    g_test_message("%s", f->out);
    g_assert_nonnull(strstr(f->out, "[2001:db8:"));
    g_assert_nonnull(strstr(f->out, "]:65535"));
}

#define ADD(path, function) \
    g_test_add(path, Sliced, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    static const char *const points[] = { "move.prepare", "move.quiesce.done", "move.unplug",
                                          "move.end", "move.ended" };
    int status;

    g_test_init(&argc, &argv, NULL);
    g_log_set_always_fatal(G_LOG_FATAL_MASK);
    ovs = ovs_start();
    if (!ovs) {
        g_print("1..0 # SKIP Open vSwitch is not installed: sliced was not started\n");
        return 0;
    }
    ovs_add_port(ovs, "vm3", 4);
    ADD("/operator/drain/empties-a-vm-and-cordons-it", test_drain);
    ADD("/operator/drain/of-nothing-is-done", test_drain_of_nothing);
    ADD("/operator/drain/dry-run-changes-nothing", test_dry_run);
    ADD("/operator/drain/what-stays-is-listed-with-reason", test_pinned_is_listed);
    ADD("/operator/drain/tries-until-its-deadline", test_deadline_of_drain);
    ADD("/operator/drain/catches-what-comes-or-was-busy", test_further_rounds);
    ADD("/operator/drain/vm-that-refuses-is-left-out", test_refusing_vm_is_left_out);
    ADD("/operator/drain/refused-by-all-stays", test_nobody_takes_it);
    ADD("/operator/drain/vm-that-dies-is-not-called-empty", test_vm_that_dies_while_drained);
    ADD("/operator/drain/cancelled-is-undone", test_cancelled_drain);
    ADD("/operator/split/by-share", test_split_by_share);
    ADD("/operator/split/by-count-among-the-others", test_split_by_count);
    ADD("/operator/split/by-label-and-network", test_split_by_label_and_network);
    ADD("/operator/merge", test_merge);
    ADD("/operator/move/by-filter", test_move_by_filter);
    ADD("/operator/usage", test_split_needs_a_part);
    ADD("/operator/show/whether-it-could-move", test_busy_and_pinned_are_shown);
    ADD("/operator/restart/cordon-stays", test_cordon_outlives_sliced);
    ADD("/operator/restart/target-that-was-stopped-is-cancelled",
        test_stopped_target_is_cancelled);
    ADD("/operator/lost-slice-leaves-no-rule", test_lost_slice_leaves_no_rule);
    ADD("/operator/restart/second-sliced-is-refused", test_second_sliced_is_refused);
    ADD("/operator/restart/unknown-fault-is-refused", test_unknown_fault_is_refused);
    for (gsize i = 0; i < G_N_ELEMENTS(points); i++) {
        g_autofree char *path = g_strdup_printf("/operator/restart/drain-goes-on-after/%s",
                                                points[i]);

        g_test_add(path, Sliced, points[i], set_up, test_drain_outlives_sliced, tear_down);
    }
    ADD("/operator/engines/peers-are-told", test_peers_are_told);
    ADD("/operator/engines/terms-are-never-given-twice", test_terms_are_never_given_twice);
    ADD("/operator/engines/rules-follow-a-find", test_rules_follow_a_find);
    ADD("/operator/engines/find-with-dead-target-is-undone",
        test_find_with_dead_target_is_undone);
    ADD("/operator/engines/stuck-find-is-undone", test_stuck_find_is_undone);
    ADD("/operator/engines/find-is-resolved-after-a-restart",
        test_find_is_resolved_after_a_restart);
    ADD("/operator/new-connections-follow-a-moved-client",
        test_new_connections_follow_moved_client);
    ADD("/operator/tables-fit-with-wide-data", test_wide_tables_fit);
    status = g_test_run();
    ovs_stop(ovs);
    return status;
}
