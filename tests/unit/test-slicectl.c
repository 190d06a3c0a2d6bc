/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test-slicectl.c - sliced and slicectl as a person meets them
 *
 * What stands around them is in sliced.h.
 */
#include <string.h>

#include "sliced.h"
#include "util/error.h"

#define ONE "3fa9c2d100000000:000000000000001a"
#define TWO "3fa9c2d100000000:000000000000002b"

static Ovs *ovs;

typedef Sliced Fixture;

static int slicectl(Fixture *f, const char *arguments)
{
    return sliced_ctl(f, arguments);
}

static void set_up(Fixture *f, gconstpointer data)
{
    sliced_prepare(f, ovs, 2);
    fake_engine_add(f->fake[0], ONE, 40000);
    fake_engine_add(f->fake[0], TWO, 40001);
    sliced_start(f, NULL);
    sliced_wait_ready(f, 2);
    sliced_wait_switch(f);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    sliced_clear(f);
}

/* ---- claims: text ---- */

static void test_status(Fixture *f, gconstpointer data)
{
    g_assert_cmpint(slicectl(f, "status"), ==, 0);
    g_assert_cmpstr(f->out, ==,
        "cluster  shop, 192.0.2.10 (52:54:00:00:02:0a)\n"
        "sliced   incarnation 1\n"
        "bridge   br0, connected, 2 exact rules\n"
        "VMs      2, 2 ready\n"
        "slices   2, 0 moving\n");
    g_assert_cmpstr(f->err, ==, "");
}

static void test_vm_list(Fixture *f, gconstpointer data)
{
    g_assert_cmpint(slicectl(f, "vm list"), ==, 0);
    g_assert_cmpstr(f->out, ==,
        "NAME  STATE  NEW CLIENTS  SLICES  HELD  DROPPED  PORT\n"
        "web1  ready  yes               2     0        0  vm1\n"
        "web2  ready  yes               0     0        0  vm2\n");
}

static void test_slice_list(Fixture *f, gconstpointer data)
{
    g_assert_cmpint(slicectl(f, "slice list"), ==, 0);
    g_assert_cmpstr(f->out, ==,
        "SLICE        VM    STATE  CLIENT            MOVES    LABEL\n"
        "3fa9c2d1:1a  web1  owner  192.0.2.99:40000  movable  bob\n"
        "3fa9c2d1:2b  web1  owner  192.0.2.99:40001  movable  bob\n");
    g_assert_cmpint(slicectl(f, "slice list --vm web2"), ==, 0);
    g_assert_cmpint(slicectl(f, "slice list --client 192.0.2.7 --json"), ==, 0);
    g_assert_cmpstr(f->out, ==, "[]\n");
}

static void test_slice_show(Fixture *f, gconstpointer data)
{
    g_assert_cmpint(slicectl(f, "slice show 3fa9:1a"), ==, 0);
    g_assert_cmpstr(f->out, ==,
        "slice       " ONE "\n"
        "VM          web1\n"
        "state       owner, term 0\n"
        "could move  yes, now\n"
        "label       bob\n"
        "capsules    4, top layer php, 12 KiB\n"
        "held        0 packets\n"
        "connection  192.0.2.99:40000 > 192.0.2.10:80\n");
}

/* Every command that the usage lists. */
static void test_help(Fixture *f, gconstpointer data)
{
    g_auto(GStrv) lines = NULL;
    guint n = 0;

    g_assert_cmpint(slicectl(f, "--help"), ==, 0);
    g_assert_nonnull(strstr(f->out, "slice move"));
    lines = g_strsplit(f->out, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        if (g_str_has_prefix(lines[i], "  ")) {
            g_autofree char *command =
                g_strndup(lines[i] + 2, strcspn(lines[i] + 2, "BLMPSTU")); /* the summary */
            g_autofree char *help = g_strdup_printf("%s --help", command);

            g_test_message("slicectl %s", help);
            g_assert_cmpint(slicectl(f, help), ==, 0);
            g_assert_nonnull(strstr(f->out, "Example"));
            n++;
        }
    }
    g_assert_cmpuint(n, ==, 14);
}

static void test_lines_fit(Fixture *f, gconstpointer data)
{
    static const char *const commands[] = { "status", "vm list", "slice list",
                                            "job list", "--help", NULL };

    slicectl(f, "slice move 1a 2b --to web2");
    for (guint i = 0; commands[i]; i++) {
        g_auto(GStrv) lines = NULL;

        slicectl(f, commands[i]);
        lines = g_strsplit(f->out, "\n", -1);
        for (guint k = 0; lines[k]; k++) {
            g_assert_cmpuint(g_utf8_strlen(lines[k], -1), <=, 80);
        }
    }
}

/* ---- claims: exit codes ---- */

static void test_usage(Fixture *f, gconstpointer data)
{
    static const char *const wrong[] = {
        "", "nonsense", "slice", "slice fly", "slice move 1a", "slice move --to web2",
        "slice move 1a --from web1 --to web2", "slice move 1a --to web2 --deadline 0",
        "slice show", "slice show 1a 2b", "vm list more", "status --nonsense",
        "events", "job show x", NULL,
    };

    for (guint i = 0; wrong[i]; i++) {
        g_test_message("slicectl %s", wrong[i]);
        g_assert_cmpint(slicectl(f, wrong[i]), ==, SLICE_ERROR_INVALID);
    }
}

static void test_not_found(Fixture *f, gconstpointer data)
{
    g_assert_cmpint(slicectl(f, "slice show ff"), ==, SLICE_ERROR_NOT_FOUND);
    g_assert_cmpstr(f->err, ==, "slicectl: no slice is called 'ff'\n");
    g_assert_cmpint(slicectl(f, "slice move 1a --to web9"), ==,
                    SLICE_ERROR_NOT_FOUND);
    g_assert_cmpstr(f->err, ==, "slicectl: no VM is called 'web9'\n");
    g_assert_cmpint(slicectl(f, "slice list --vm web9"), ==, SLICE_ERROR_NOT_FOUND);
    g_assert_cmpint(slicectl(f, "job show 7"), ==, SLICE_ERROR_NOT_FOUND);
    g_assert_cmpint(slicectl(f, "slice move --from web2 --to web1"), ==,
                    SLICE_ERROR_NOT_FOUND);
}

static void test_unreachable(Fixture *f, gconstpointer data)
{
    g_assert_cmpint(slicectl(f, "status --socket /nowhere/s.sock"), ==,
                    SLICE_ERROR_UNREACHABLE);
    g_assert_true(g_str_has_prefix(f->err, "slicectl: sliced does not answer: "));
}

static void test_refused(Fixture *f, gconstpointer data)
{
    fake_engine_answer(f->fake[1], "slice-prepare", "refused",
                       "layer php has version 2");
    g_assert_cmpint(slicectl(f, "slice move 1a --to web2"), ==, SLICE_ERROR_REFUSED);
    g_assert_nonnull(strstr(f->err, "slice " ONE " from web1 to web2: VM web2 "
                            "refused to prepare for it: layer php has version 2\n"));
    g_assert_cmpstr(fake_engine_state(f->fake[0], ONE), ==, "owner");
}

static void test_busy(Fixture *f, gconstpointer data)
{
    fake_engine_answer(f->fake[0], "slice-move", "busy", NULL);
    g_assert_cmpint(slicectl(f, "slice move 1a --to web2"), ==, SLICE_ERROR_BUSY);
}

static void test_partly(Fixture *f, gconstpointer data)
{
    g_assert_cmpint(slicectl(f, "slice move 1a --to web2"), ==, 0);
    g_assert_cmpint(slicectl(f, "slice move 1a 2b --to web2"), ==,
                    SLICE_ERROR_PARTLY);
    g_assert_nonnull(strstr(f->err, "slicectl: 1 of 2 slices were not moved\n"));
}

/* ---- claims: moving ---- */

static void test_move(Fixture *f, gconstpointer data)
{
    g_autoptr(JsonNode) moved = sliced_json(f, "slice move " ONE " --to web2 --json");
    g_autoptr(JsonNode) shown = NULL;
    JsonObject *object = sliced_first(moved);

    g_assert_cmpint(f->status, ==, 0);
    g_assert_cmpstr(json_object_get_string_member(object, "slice"), ==, ONE);
    g_assert_cmpstr(json_object_get_string_member(object, "from"), ==, "web1");
    g_assert_cmpstr(json_object_get_string_member(object, "to"), ==, "web2");
    g_assert_cmpstr(json_object_get_string_member(object, "result"), ==, "moved");
    g_assert_cmpuint(g_ascii_strtoull(json_object_get_string_member(object, "term"), NULL, 10)
                     >> 32, ==, 1);
    g_assert_true(json_object_get_null_member(object, "error"));
    g_assert_cmpint(json_object_get_int_member(object, "bytes"), ==, 12288);
    g_assert_cmpint(json_object_get_int_member(object, "pause_us"), >, 0);
    shown = sliced_json(f, "slice show 1a --json");
    g_assert_cmpstr(json_object_get_string_member(json_node_get_object(shown), "vm"),
                    ==, "web2");
}

static void test_packets_follow(Fixture *f, gconstpointer data)
{
    static const char packet[] = "in_port=3,tcp,dl_src=02:00:00:00:00:63,"
        "dl_dst=52:54:00:00:02:0a,nw_src=192.0.2.99,nw_dst=192.0.2.10,"
        "tp_src=40000,tp_dst=80";
    g_autofree char *before = NULL;
    g_autofree char *there = NULL;
    g_autofree char *back = NULL;

    before = ovs_trace(ovs, "%s", packet);
    g_assert_cmpstr(before, ==, "1");
    g_assert_cmpint(slicectl(f, "slice move 1a --to web2"), ==, 0);
    there = ovs_trace(ovs, "%s", packet);
    g_assert_cmpstr(there, ==, "2");
    g_assert_cmpint(slicectl(f, "slice move 1a --to web1"), ==, 0);
    back = ovs_trace(ovs, "%s", packet);
    g_assert_cmpstr(back, ==, "1");
}

static void test_move_all(Fixture *f, gconstpointer data)
{
    g_assert_cmpint(slicectl(f, "slice move --from web1 --to web2"), ==, 0);
    g_assert_cmpstr(fake_engine_state(f->fake[1], ONE), ==, "owner");
    g_assert_cmpstr(fake_engine_state(f->fake[1], TWO), ==, "owner");
    g_assert_cmpint(slicectl(f, "job show 1"), ==, 0);
    g_assert_nonnull(strstr(f->out, "3fa9c2d1:2b  web1  web2  moved"));
}

static void test_cancel(Fixture *f, gconstpointer data)
{
    fake_engine_stay_silent(f->fake[0], "quiesced");
    g_assert_cmpint(slicectl(f, "slice move 1a --to web2 --no-wait"), ==, 0);
    g_assert_cmpstr(f->out, ==, "job 1\n");
    g_assert_cmpint(slicectl(f, "slice move 1a --to web2"), ==, SLICE_ERROR_BUSY);
    g_assert_cmpint(slicectl(f, "job cancel 1"), ==, 0);
    while (g_strcmp0(fake_engine_state(f->fake[0], ONE), "owner")) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_cmpint(slicectl(f, "job cancel 2"), ==, SLICE_ERROR_REFUSED);
}

static void test_events(Fixture *f, gconstpointer data)
{
    static const char *const expected[] = { "prepared", "quiesced", "sent",
                                            "plugged", "gone", "done" };
    GSubprocess *follower = sliced_spawn_ctl(f, "events --follow --json --count 6");
    g_auto(GStrv) lines = NULL;
    guint seen = 0;

    /* It follows from some moment on: moves go on until it has seen enough. */
    sliced_collect_later(f, follower);
    for (guint i = 0; !f->done; i++) {
        Fixture other = *f;

        other.out = other.err = NULL;
        slicectl(&other, i % 2 ? "slice move 1a --to web1"
                               : "slice move 1a --to web2");
        g_free(other.out);
        g_free(other.err);
    }
    lines = g_strsplit(g_strchomp(f->out), "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, 6);
    for (guint i = 0; lines[i]; i++) {
        g_autoptr(JsonNode) node = json_from_string(lines[i], NULL);
        JsonObject *event = json_node_get_object(node);

        g_assert_cmpstr(json_object_get_string_member(event, "kind"), ==, "move");
        g_assert_true(g_str_has_suffix(json_object_get_string_member(event, "time"),
                                       "Z"));
        for (gsize k = 0; k < G_N_ELEMENTS(expected); k++) {
            seen |= g_str_equal(expected[k], json_object_get_string_member(
                                    event, "step")) ? 1u << k : 0;
        }
    }
    g_assert_cmpuint(seen, ==, 63);
}

static void test_dead_vm(Fixture *f, gconstpointer data)
{
    g_assert_cmpint(slicectl(f, "slice move 1a --to web2"), ==, 0);
    fake_engine_die(f->fake[0]);
    do {
        g_assert_cmpint(slicectl(f, "slice list --vm web1 --json"), ==, 0);
    } while (strcmp(f->out, "[]\n"));
    g_assert_cmpint(slicectl(f, "slice list --vm web2"), ==, 0);
    g_assert_nonnull(strstr(f->out, "3fa9c2d1:1a"));
    g_assert_cmpint(slicectl(f, "slice move 1a --to web1"), ==,
                    SLICE_ERROR_UNREACHABLE);
}

static void test_restart(Fixture *f, gconstpointer data)
{
    g_autoptr(JsonNode) status = NULL;

    g_assert_cmpint(slicectl(f, "slice move 1a --to web2"), ==, 0);
    sliced_kill(f);
    sliced_start(f, NULL);
    sliced_wait_ready(f, 2);
    status = sliced_json(f, "status --json");
    g_assert_cmpint(json_object_get_int_member(json_node_get_object(status),
                                               "incarnation"), ==, 2);
    g_assert_cmpint(slicectl(f, "slice move 1a --to web1"), ==, 0);
    g_assert_cmpuint(fake_engine_orchestrator(f->fake[0]), ==, 2);
}

static void test_restored(Fixture *f, gconstpointer data)
{
    sliced_stop(f);
    fake_engine_fence(f->fake[0], ONE);
    fake_engine_fence(f->fake[0], TWO);
    fake_engine_add(f->fake[1], TWO, 40001); /* it had been moved since */
    sliced_start(f, NULL);
    sliced_wait_ready(f, 2);
    while (fake_engine_is_fenced(f->fake[0], ONE) ||
           fake_engine_state(f->fake[0], TWO)) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_cmpstr(fake_engine_state(f->fake[0], ONE), ==, "owner");
    g_assert_cmpstr(fake_engine_state(f->fake[1], TWO), ==, "owner");
}

#define ADD(path, function) \
    g_test_add(path, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    g_log_set_always_fatal(G_LOG_FATAL_MASK);
    ovs = ovs_start();
    if (!ovs) {
        g_print("1..0 # SKIP Open vSwitch is not installed: sliced was not started\n");
        return 0;
    }
    ADD("/slicectl/status", test_status);
    ADD("/slicectl/vm-list", test_vm_list);
    ADD("/slicectl/slice-list", test_slice_list);
    ADD("/slicectl/slice-show", test_slice_show);
    ADD("/slicectl/help-has-examples", test_help);
    ADD("/slicectl/lines-fit-in-80-columns", test_lines_fit);
    ADD("/slicectl/exit/usage", test_usage);
    ADD("/slicectl/exit/not-found", test_not_found);
    ADD("/slicectl/exit/unreachable", test_unreachable);
    ADD("/slicectl/exit/refused", test_refused);
    ADD("/slicectl/exit/busy", test_busy);
    ADD("/slicectl/exit/partly", test_partly);
    ADD("/slicectl/move/is-told", test_move);
    ADD("/slicectl/move/packets-follow", test_packets_follow);
    ADD("/slicectl/move/all-of-a-vm", test_move_all);
    ADD("/slicectl/move/cancel", test_cancel);
    ADD("/slicectl/events-follow", test_events);
    ADD("/slicectl/dead-vm-keeps-others", test_dead_vm);
    ADD("/slicectl/restart-is-a-new-incarnation", test_restart);
    ADD("/slicectl/restored-slices-are-confirmed-or-discarded", test_restored);
    status = g_test_run();
    ovs_stop(ovs);
    return status;
}
