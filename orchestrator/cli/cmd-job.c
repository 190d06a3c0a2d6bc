/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cmd-job.c - slicectl job list | show | cancel
 */
#include "job.h"

#include "util/when.h"

/* The day and the second. */
static char *time_text(gint64 us)
{
    g_autofree char *text = slice_when_to_text(us);

    return g_strdup_printf("%.10s %.8s", text, text + 11);
}

static char *or_others(const char *vms)
{
    return g_strdup(vms[0] ? vms : "*");
}

static gboolean run_list(SliceCli *cli, GError **error)
{
    static const char *const headings[] = { ">JOB", "WHAT", "FROM", "TO", ">SLICES", ">MOVED",
                                            ">FAILED", "STATE", "STARTED", NULL };
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
        SliceCliJob job;

        slice_cli_job_read(value, &job);
        json_builder_begin_object(json);
        slice_cli_job_add_members(json, &job);
        json_builder_end_object(json);
        slice_table_add(table, g_strdup_printf("%u", job.id), g_strdup(job.kind),
                        or_others(job.sources), or_others(job.targets),
                        g_strdup_printf("%u", job.slices), g_strdup_printf("%u", job.moved),
                        g_strdup_printf("%u", job.failed),
                        g_strdup(!job.ended ? "running" : job.code ? "failed" : "done"),
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
    guint id;

    return number_argument(cli, &id, error) &&
           slice_cli_job_show(cli, id, SLICE_CLI_JOB_DETAILS, error);
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
