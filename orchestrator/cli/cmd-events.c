/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cmd-events.c - slicectl events --follow
 */
#include "cli.h"

#include <stdio.h>
#include <string.h>

#include "util/id.h"
#include "util/when.h"

static struct {
    gboolean follow;
    int count;
} opt;

typedef struct {
    SliceCli *cli;
    GMainLoop *loop;
    int left; /* 0: without end */
    gboolean closed;
} Follow;

static void print_json(gint64 time, const char *kind, const char *vm,
                       const char *slice, guint64 term, const char *step,
                       const char *why, guint64 bytes, guint64 packets)
{
    g_autoptr(JsonBuilder) json = json_builder_new();

    json_builder_begin_object(json);
    slice_json_time(json, "time", time);
    slice_json_text(json, "kind", kind);
    slice_json_text(json, "vm", vm);
    slice_json_optional(json, "slice", slice);
    slice_json_term(json, "term", term);
    slice_json_text(json, "step", step);
    slice_json_optional(json, "why", why);
    slice_json_number(json, "bytes", bytes);
    slice_json_number(json, "packets", packets);
    json_builder_end_object(json);
    slice_json_print(json, TRUE);
}

static void print_text(gint64 time, const char *kind, const char *vm,
                       const char *slice, const char *step, const char *why)
{
    g_autofree char *when = slice_when_to_text(time);
    g_autofree char *id = slice[0] ? slice_id_short(slice) : g_strdup("");

    /* The time of the day, to the millisecond. */
    g_print("%.12s  %-5s  %-8s  %-9s%s%s%s%s\n", when + strlen("2026-01-01T"),
            kind, vm, step, id[0] ? "  " : "", id, why[0] ? "  " : "", why);
    fflush(stdout);
}

static void event(SliceBusOrchestrator1 *sliced, gint64 time, const char *kind,
                  const char *vm, const char *slice, guint64 term,
                  const char *step, const char *why, guint64 bytes,
                  guint64 packets, Follow *follow)
{
    if (follow->cli->json) {
        print_json(time, kind, vm, slice, term, step, why, bytes, packets);
    } else {
        print_text(time, kind, vm, slice, step, why);
    }
    if (follow->left && --follow->left == 0) {
        g_main_loop_quit(follow->loop);
    }
}

static void closed(GDBusConnection *connection, gboolean vanished, GError *why,
                   Follow *follow)
{
    follow->closed = TRUE;
    g_main_loop_quit(follow->loop);
}

static gboolean run(SliceCli *cli, GError **error)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    Follow follow = { .cli = cli, .loop = loop, .left = opt.count };

    if (!slice_cli_expect(cli, 0, 0, error)) {
        return FALSE;
    }
    if (!opt.follow) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID,
                    "events are not kept: use --follow");
        return FALSE;
    }
    g_signal_connect(cli->sliced, "event", G_CALLBACK(event), &follow);
    g_signal_connect(cli->connection, "closed", G_CALLBACK(closed), &follow);
    g_main_loop_run(loop);
    g_signal_handlers_disconnect_by_data(cli->sliced, &follow);
    g_signal_handlers_disconnect_by_data(cli->connection, &follow);
    if (follow.closed) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_UNREACHABLE,
                    "sliced went away");
        return FALSE;
    }
    return TRUE;
}

static const GOptionEntry options[] = {
    { "follow", 'f', 0, G_OPTION_ARG_NONE, &opt.follow,
      "print events as they happen", NULL },
    { "count", 'n', 0, G_OPTION_ARG_INT, &opt.count, "leave after so many", "N" },
    { NULL },
};

const SliceCommand slice_cmd_events = {
    .noun = "events",
    .args = "--follow",
    .summary = "Print what happens, one event a line",
    .examples = "Examples:\n"
                "  slicectl events --follow\n"
                "  slicectl events --follow --json | jq 'select(.kind == \"move\")'\n",
    .options = options,
    .run = run,
};
