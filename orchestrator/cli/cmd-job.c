/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cmd-job.c - slicectl job list | show | cancel, and waiting for a job
 */
#include "cli.h"

#include <unistd.h>

#include "util/id.h"
#include "util/when.h"

#define JOB_FORMAT "(u&suuuuxxi)"
#define ITEM_FORMAT "(&s&s&st&s&s&sttt)"

typedef struct {
    guint id, slices, running, moved, failed;
    const char *target;
    gint64 started, ended;
    int code;
} Job;

typedef struct {
    const char *slice, *source, *state, *step, *error, *message;
    guint64 term, bytes, packets, quiet_us;
} Item;

static void read_job(GVariant *value, Job *job)
{
    g_variant_get(value, JOB_FORMAT, &job->id, &job->target, &job->slices,
                  &job->running, &job->moved, &job->failed, &job->started,
                  &job->ended, &job->code);
}

static void read_item(GVariant *items, gsize index, Item *item)
{
    g_variant_get_child(items, index, ITEM_FORMAT, &item->slice, &item->source,
                        &item->state, &item->term, &item->step, &item->error,
                        &item->message, &item->bytes, &item->packets,
                        &item->quiet_us);
}

static void add_job_members(JsonBuilder *json, const Job *job)
{
    slice_json_number(json, "job", job->id);
    slice_json_text(json, "target", job->target);
    slice_json_number(json, "slices", job->slices);
    slice_json_number(json, "running", job->running);
    slice_json_number(json, "moved", job->moved);
    slice_json_number(json, "failed", job->failed);
    slice_json_time(json, "started", job->started);
    slice_json_time(json, "ended", job->ended);
    slice_json_number(json, "exit_code", job->code);
}

static void add_item_json(JsonBuilder *json, const Item *item, const char *to)
{
    json_builder_begin_object(json);
    slice_json_text(json, "slice", item->slice);
    slice_json_optional(json, "from", item->source);
    slice_json_text(json, "to", to);
    slice_json_text(json, "result", item->state);
    slice_json_term(json, "term", item->term);
    slice_json_optional(json, "step", item->step);
    slice_json_optional(json, "error", item->error);
    slice_json_optional(json, "why", item->message);
    slice_json_number(json, "bytes", item->bytes);
    slice_json_number(json, "packets", item->packets);
    slice_json_number(json, "pause_us", item->quiet_us);
    json_builder_end_object(json);
}

static void add_items_json(JsonBuilder *json, const Job *job, GVariant *items)
{
    json_builder_begin_array(json);
    for (gsize i = 0; i < g_variant_n_children(items); i++) {
        Item item;

        read_item(items, i, &item);
        add_item_json(json, &item, job->target);
    }
    json_builder_end_array(json);
}

/* @items_only: what 'slice move' did; else the job with its items. */
static void print_json(const Job *job, GVariant *items, gboolean items_only)
{
    g_autoptr(JsonBuilder) json = json_builder_new();

    if (items_only) {
        add_items_json(json, job, items);
    } else {
        json_builder_begin_object(json);
        add_job_members(json, job);
        json_builder_set_member_name(json, "items");
        add_items_json(json, job, items);
        json_builder_end_object(json);
    }
    slice_json_print(json, FALSE);
}

static void print_text(const Job *job, GVariant *items)
{
    static const char *const headings[] = { "SLICE", "FROM", "TO", "STATE",
                                            "STEP", ">BYTES", ">QUIET",
                                            NULL };
    g_autoptr(SliceTable) table = slice_table_new(headings);

    for (gsize i = 0; i < g_variant_n_children(items); i++) {
        Item item;

        read_item(items, i, &item);
        slice_table_add(table, slice_id_short(item.slice),
                        g_strdup(item.source[0] ? item.source : "-"),
                        g_strdup(job->target), g_strdup(item.state),
                        g_strdup(item.step[0] ? item.step : "-"),
                        slice_output_bytes(item.bytes),
                        slice_output_us(item.quiet_us));
    }
    slice_table_print(table);
    for (gsize i = 0; i < g_variant_n_children(items); i++) {
        Item item;

        read_item(items, i, &item);
        if (item.message[0]) {
            g_printerr("slicectl: %s\n", item.message);
        }
    }
}

static gboolean show(SliceCli *cli, guint id, gboolean items_only,
                     Job *ret_job, GError **error)
{
    g_autoptr(GVariant) found = NULL;
    g_autoptr(GVariant) items = NULL;

    if (!slice_bus_orchestrator1_call_show_job_sync(cli->sliced, id, &found,
                                                    &items, NULL, error)) {
        return FALSE;
    }
    read_job(found, ret_job);
    if (cli->json) {
        print_json(ret_job, items, items_only);
    } else {
        print_text(ret_job, items);
    }
    ret_job->target = NULL; /* lent by what is freed here */
    return TRUE;
}

/* ---- waiting ---- */

typedef struct {
    GMainLoop *loop;
    guint job;
    gboolean closed;
    gboolean progress;
} Wait;

static void job_changed(SliceBusOrchestrator1 *sliced, GVariant *value,
                        const char *slice, const char *step, Wait *wait)
{
    Job job;

    read_job(value, &job);
    if (job.id != wait->job) {
        return;
    }
    if (wait->progress) {
        g_printerr("\r%u of %u moved, %u failed", job.moved, job.slices,
                   job.failed);
        if (job.ended) {
            g_printerr("\r\033[K");
        }
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

static gboolean wait_ended(SliceCli *cli, Wait *wait, GError **error)
{
    g_autoptr(GVariant) found = NULL;
    g_autoptr(GVariant) items = NULL;
    Job job;

    /* What changes from here on is told; what had changed before is asked. */
    if (!slice_bus_orchestrator1_call_show_job_sync(
            cli->sliced, wait->job, &found, &items, NULL, error)) {
        return FALSE;
    }
    read_job(found, &job);
    if (!job.ended) {
        g_main_loop_run(wait->loop);
    }
    if (wait->closed) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_UNREACHABLE,
                    "sliced went away while job %u was under way", wait->job);
        return FALSE;
    }
    return TRUE;
}

gboolean slice_cli_wait_job(SliceCli *cli, guint id, GError **error)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    Wait wait = { .loop = loop, .job = id,
                  .progress = !cli->json && isatty(STDERR_FILENO) };
    gboolean ended;
    Job job;

    g_signal_connect(cli->sliced, "job-changed", G_CALLBACK(job_changed), &wait);
    g_signal_connect(cli->connection, "closed", G_CALLBACK(closed), &wait);
    ended = wait_ended(cli, &wait, error);
    g_signal_handlers_disconnect_by_data(cli->sliced, &wait);
    g_signal_handlers_disconnect_by_data(cli->connection, &wait);
    if (!ended || !show(cli, id, TRUE, &job, error)) {
        return FALSE;
    }
    if (job.code) {
        g_set_error(error, SLICE_ERROR, job.code, "%u of %u slices were not moved",
                    job.failed, job.slices);
        return FALSE;
    }
    return TRUE;
}

/* ---- commands ---- */

static char *time_text(gint64 us)
{
    return us ? slice_when_to_text(us) : g_strdup("-");
}

static gboolean run_list(SliceCli *cli, GError **error)
{
    static const char *const headings[] = { ">JOB", "TO", ">SLICES", ">MOVED",
                                            ">FAILED", "STARTED", NULL };
    g_autoptr(GVariant) list = NULL;
    g_autoptr(JsonBuilder) json = json_builder_new();
    g_autoptr(SliceTable) table = slice_table_new(headings);

    if (!slice_cli_expect(cli, 0, 0, error) ||
        !slice_bus_orchestrator1_call_list_jobs_sync(cli->sliced, &list, NULL,
                                                     error)) {
        return FALSE;
    }
    json_builder_begin_array(json);
    for (gsize i = 0; i < g_variant_n_children(list); i++) {
        g_autoptr(GVariant) value = g_variant_get_child_value(list, i);
        Job job;

        read_job(value, &job);
        json_builder_begin_object(json);
        add_job_members(json, &job);
        json_builder_end_object(json);
        slice_table_add(table, g_strdup_printf("%u", job.id),
                        g_strdup(job.target), g_strdup_printf("%u", job.slices),
                        g_strdup_printf("%u", job.moved),
                        g_strdup_printf("%u", job.failed),
                        time_text(job.started));
    }
    json_builder_end_array(json);
    if (cli->json) {
        slice_json_print(json, FALSE);
    } else {
        slice_table_print(table);
    }
    return TRUE;
}

static gboolean number_argument(SliceCli *cli, guint *ret_id, GError **error)
{
    guint64 id;

    if (!slice_cli_expect(cli, 1, 1, error)) {
        return FALSE;
    }
    if (!g_ascii_string_to_unsigned(cli->args[0], 10, 1, G_MAXUINT32, &id, NULL)) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID,
                    "'%s' is no job's number", cli->args[0]);
        return FALSE;
    }
    *ret_id = id;
    return TRUE;
}

static gboolean run_show(SliceCli *cli, GError **error)
{
    Job job;
    guint id;

    return number_argument(cli, &id, error) && show(cli, id, FALSE, &job, error);
}

static gboolean run_cancel(SliceCli *cli, GError **error)
{
    guint id;

    return number_argument(cli, &id, error) &&
           slice_bus_orchestrator1_call_cancel_job_sync(cli->sliced, id, NULL,
                                                        error);
}

const SliceCommand slice_cmd_job_list = {
    .noun = "job",
    .verb = "list",
    .args = "",
    .summary = "List moves under way and the last that ended",
    .examples = "Example:\n  slicectl job list\n",
    .run = run_list,
};

const SliceCommand slice_cmd_job_show = {
    .noun = "job",
    .verb = "show",
    .args = "JOB",
    .summary = "Show what became of each slice of a job",
    .examples = "Example:\n  slicectl job show 3\n",
    .run = run_show,
};

const SliceCommand slice_cmd_job_cancel = {
    .noun = "job",
    .verb = "cancel",
    .args = "JOB",
    .summary = "Undo what can be undone, begin no more",
    .examples = "Example:\n  slicectl job cancel 3\n",
    .run = run_cancel,
};
