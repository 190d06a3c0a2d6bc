/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * job.c - sliced's jobs, read from the bus, waited for, printed
 */
#include "job.h"

#include <glib-unix.h>
#include <unistd.h>

#include "util/duration.h"
#include "util/id.h"

#define JOB_FORMAT "(u&s&s&suuuuuuuxxxi)"
#define ITEM_FORMAT "(&s&s&s&st&s&s&suttt)"
#define BAR_COLUMNS 24
#define REDRAW_US 50000
/* Fewer slices than this pass before anybody reads a line about them. */
#define PLAIN_MIN 20

typedef struct {
    const char *slice, *source, *target, *state, *step, *error, *why;
    guint64 term, bytes, packets, quiet_us;
    guint tries;
} Item;

void slice_cli_job_read(GVariant *value, SliceCliJob *job)
{
    g_variant_get(value, JOB_FORMAT, &job->id, &job->kind, &job->sources, &job->targets,
                  &job->slices, &job->waiting, &job->running, &job->moved, &job->failed,
                  &job->left, &job->round, &job->started, &job->until, &job->ended,
                  &job->code);
}

static void read_item(GVariant *items, gsize index, Item *item)
{
    g_variant_get_child(items, index, ITEM_FORMAT, &item->slice, &item->source,
                        &item->target, &item->state, &item->term, &item->step,
                        &item->error, &item->why, &item->tries, &item->bytes,
                        &item->packets, &item->quiet_us);
}

void slice_cli_job_add_members(JsonBuilder *json, const SliceCliJob *job)
{
    slice_json_number(json, "job", job->id);
    slice_json_text(json, "kind", job->kind);
    slice_json_optional(json, "from", job->sources);
    slice_json_optional(json, "target", job->targets);
    slice_json_number(json, "slices", job->slices);
    slice_json_number(json, "waiting", job->waiting);
    slice_json_number(json, "running", job->running);
    slice_json_number(json, "moved", job->moved);
    slice_json_number(json, "failed", job->failed);
    slice_json_number(json, "left", job->left);
    slice_json_number(json, "round", job->round);
    slice_json_time(json, "started", job->started);
    slice_json_time(json, "until", job->until);
    slice_json_time(json, "ended", job->ended);
    slice_json_number(json, "exit_code", job->code);
}

static void add_items_json(JsonBuilder *json, GVariant *items)
{
    json_builder_begin_array(json);
    for (gsize i = 0; i < g_variant_n_children(items); i++) {
        Item item;

        read_item(items, i, &item);
        json_builder_begin_object(json);
        slice_json_text(json, "slice", item.slice);
        slice_json_optional(json, "from", item.source);
        slice_json_optional(json, "to", item.target);
        slice_json_text(json, "result", item.state);
        slice_json_term(json, "term", item.term);
        slice_json_optional(json, "step", item.step);
        slice_json_optional(json, "error", item.error);
        slice_json_optional(json, "why", item.why);
        slice_json_number(json, "tries", item.tries);
        slice_json_number(json, "bytes", item.bytes);
        slice_json_number(json, "packets", item.packets);
        slice_json_number(json, "pause_us", item.quiet_us);
        json_builder_end_object(json);
    }
    json_builder_end_array(json);
}

static void print_json(const SliceCliJob *job, GVariant *items, SliceCliJobForm form)
{
    g_autoptr(JsonBuilder) json = json_builder_new();

    if (form == SLICE_CLI_JOB_ITEMS) {
        add_items_json(json, items);
    } else {
        json_builder_begin_object(json);
        slice_cli_job_add_members(json, job);
        json_builder_set_member_name(json, "items");
        add_items_json(json, items);
        json_builder_end_object(json);
    }
    slice_json_print(json, FALSE);
}

static char *or_dash(const char *text)
{
    return g_strdup(text[0] ? text : "-");
}

static void print_items(GVariant *items)
{
    static const char *const headings[] = { "SLICE", "FROM", "TO", "STATE",
                                            "STEP", ">BYTES", ">QUIET",
                                            NULL };
    g_autoptr(SliceTable) table = slice_table_new(headings);

    for (gsize i = 0; i < g_variant_n_children(items); i++) {
        Item item;

        read_item(items, i, &item);
        slice_table_add(table, slice_id_short(item.slice), or_dash(item.source),
                        or_dash(item.target), g_strdup(item.state), or_dash(item.step),
                        slice_output_bytes(item.bytes), slice_output_us(item.quiet_us));
    }
    slice_table_print(table);
    for (gsize i = 0; i < g_variant_n_children(items); i++) {
        Item item;

        read_item(items, i, &item);
        if (item.why[0]) {
            g_printerr("slicectl: slice %s%s%s%s%s: %s\n", item.slice,
                       item.source[0] ? " from " : "", item.source,
                       item.target[0] ? " to " : "", item.target, item.why);
        }
    }
}

/* What was not moved, and why: the part that somebody has to do something about. */
static void print_rest(GVariant *items)
{
    static const char *const headings[] = { "SLICE", "VM", ">TRIES", "<WHY IT STAYS", NULL };
    g_autoptr(SliceTable) table = slice_table_new(headings);
    gboolean any = FALSE;

    for (gsize i = 0; i < g_variant_n_children(items); i++) {
        Item item;

        read_item(items, i, &item);
        if (item.why[0]) {
            slice_table_add(table, slice_id_short(item.slice), or_dash(item.source),
                            g_strdup_printf("%u", item.tries),
                            g_strdup_printf("%s: %s", item.error, item.why));
            any = TRUE;
        }
    }
    if (any) {
        slice_table_print(table);
    }
}

static void print_summary(const SliceCliJob *job)
{
    g_autofree char *took = slice_duration_to_text(
        (job->ended ? job->ended : g_get_real_time()) - job->started);

    g_print("%s of %s%s%s: %u of %u slices moved", job->kind, job->sources,
            job->targets[0] ? " to " : "", job->targets, job->moved, job->slices);
    if (job->left) {
        g_print(", %u ended by themselves", job->left);
    }
    if (job->failed) {
        g_print(", %u stay", job->failed);
    }
    if (job->round > 1) {
        g_print("; %u rounds", job->round);
    }
    g_print("; %s\n", took);
}

static gboolean show(SliceCli *cli, guint id, SliceCliJobForm form, int *ret_code,
                     guint *ret_failed, guint *ret_slices, GError **error)
{
    g_autoptr(GVariant) found = NULL;
    g_autoptr(GVariant) items = NULL;
    SliceCliJob job;

    if (!slice_bus_orchestrator1_call_show_job_sync(cli->sliced, id, &found,
                                                    &items, NULL, error)) {
        return FALSE;
    }
    slice_cli_job_read(found, &job);
    if (cli->json) {
        print_json(&job, items, form);
    } else if (form == SLICE_CLI_JOB_SUMMARY) {
        print_summary(&job);
        print_rest(items);
    } else {
        print_items(items);
    }
    *ret_code = job.code;
    *ret_failed = job.failed;
    *ret_slices = job.slices;
    return TRUE;
}

gboolean slice_cli_job_show(SliceCli *cli, guint id, SliceCliJobForm form, GError **error)
{
    guint failed, slices;
    int code;

    return show(cli, id, form, &code, &failed, &slices, error);
}

/* ---- waiting ---- */

typedef struct {
    GMainLoop *loop;
    guint job;
    gboolean closed;
    gboolean interrupted;
    gboolean bar, plain;
    gint64 drawn_us;
    guint told_round, told_tenth;
} Wait;

static void draw_bar(const SliceCliJob *job, Wait *wait)
{
    gint64 now = g_get_monotonic_time();
    guint done = job->moved + job->left;
    guint filled = job->slices ? (guint)((guint64)done * BAR_COLUMNS / job->slices) : 0;
    char bar[BAR_COLUMNS + 1];

    if (job->ended) {
        g_printerr("\r\033[K");
        return;
    }
    if (now - wait->drawn_us < REDRAW_US) {
        return;
    }
    wait->drawn_us = now;
    for (guint i = 0; i < BAR_COLUMNS; i++) {
        bar[i] = i < filled ? '#' : '.';
    }
    bar[BAR_COLUMNS] = 0;
    g_printerr("\r\033[K%s [%s] %u of %u, %u under way", job->kind, bar, done, job->slices,
               job->running);
    if (job->failed || job->round > 1) {
        g_printerr(", %u not yet, round %u", job->failed + job->waiting, job->round);
    }
}

static void tell_plainly(const SliceCliJob *job, Wait *wait)
{
    guint tenth = job->slices ? (guint)((guint64)job->moved * 10 / job->slices) : 0;

    if (job->slices < PLAIN_MIN || job->ended ||
        (job->round == wait->told_round && tenth == wait->told_tenth)) {
        return;
    }
    wait->told_round = job->round;
    wait->told_tenth = tenth;
    g_printerr("%s: %u of %u moved, %u not yet, round %u\n", job->kind, job->moved,
               job->slices, job->failed + job->waiting + job->running, job->round);
}

static void job_changed(SliceBusOrchestrator1 *sliced, GVariant *value,
                        const char *slice, const char *step, Wait *wait)
{
    SliceCliJob job;

    slice_cli_job_read(value, &job);
    if (job.id != wait->job) {
        return;
    }
    if (wait->bar) {
        draw_bar(&job, wait);
    } else if (wait->plain) {
        tell_plainly(&job, wait);
    }
    if (job.ended) {
        g_main_loop_quit(wait->loop);
    }
}

static void closed(GDBusConnection *connection, gboolean vanished, GError *why,
                   Wait *wait)
{
    wait->closed = TRUE;
    g_main_loop_quit(wait->loop);
}

static gboolean interrupted(gpointer data)
{
    Wait *wait = data;

    wait->interrupted = TRUE;
    g_main_loop_quit(wait->loop);
    return G_SOURCE_CONTINUE;
}

static gboolean wait_ended(SliceCli *cli, Wait *wait, GError **error)
{
    g_autoptr(GVariant) found = NULL;
    g_autoptr(GVariant) items = NULL;
    SliceCliJob job;

    /* What changes from here on is told; what had changed before is asked. */
    if (!slice_bus_orchestrator1_call_show_job_sync(
            cli->sliced, wait->job, &found, &items, NULL, error)) {
        return FALSE;
    }
    slice_cli_job_read(found, &job);
    if (!job.ended) {
        g_main_loop_run(wait->loop);
    }
    if (wait->closed) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_UNREACHABLE,
                    "sliced went away while job %u was under way; it goes on with it when it "
                    "is back", wait->job);
    } else if (wait->interrupted) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_FAILED,
                    "job %u goes on; 'slicectl job cancel %u' ends it", wait->job, wait->job);
    }
    return !wait->closed && !wait->interrupted;
}

gboolean slice_cli_job_wait(SliceCli *cli, guint id, SliceCliJobForm form, GError **error)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    Wait wait = { .loop = loop, .job = id, .bar = !cli->json && isatty(STDERR_FILENO),
                  .plain = !cli->json, .told_round = 1 };
    guint signal_id = g_unix_signal_add(SIGINT, interrupted, &wait);
    guint failed, slices;
    gboolean ended;
    int code;

    g_signal_connect(cli->sliced, "job-changed", G_CALLBACK(job_changed), &wait);
    g_signal_connect(cli->connection, "closed", G_CALLBACK(closed), &wait);
    ended = wait_ended(cli, &wait, error);
    g_signal_handlers_disconnect_by_data(cli->sliced, &wait);
    g_signal_handlers_disconnect_by_data(cli->connection, &wait);
    g_source_remove(signal_id);
    if (!ended || !show(cli, id, form, &code, &failed, &slices, error)) {
        return FALSE;
    }
    if (code) {
        g_set_error(error, SLICE_ERROR, code, "%u of %u slices were not moved", failed,
                    slices);
    }
    return !code;
}
