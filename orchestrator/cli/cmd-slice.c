/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cmd-slice.c - slicectl slice list | show | move
 */
#include "cli.h"
#include "util/id.h"

#define SLICE_FORMAT "(&s&s&st&s&s&s&sutt@a(sqsq))"
#define DEADLINE_MS 5000

typedef struct {
    const char *id, *vm, *state, *movability, *why, *label, *top;
    guint64 term, memory, held;
    guint capsules;
    GVariant *flows;
} Slice;

static struct {
    char *vm, *client, *to, *from;
    int deadline_ms;
    gboolean no_wait;
} opt = { .deadline_ms = DEADLINE_MS };

static void read_slice(GVariant *value, Slice *slice)
{
    g_variant_get(value, SLICE_FORMAT, &slice->id, &slice->vm, &slice->state,
                  &slice->term, &slice->movability, &slice->why, &slice->label,
                  &slice->top, &slice->capsules, &slice->memory, &slice->held,
                  &slice->flows);
}

static void add_flows_json(JsonBuilder *json, GVariant *flows)
{
    GVariantIter iter;
    const char *local, *remote;
    guint16 local_port, remote_port;

    json_builder_set_member_name(json, "flows");
    json_builder_begin_array(json);
    g_variant_iter_init(&iter, flows);
    while (g_variant_iter_next(&iter, "(&sq&sq)", &local, &local_port, &remote,
                               &remote_port)) {
        json_builder_begin_object(json);
        slice_json_text(json, "protocol", "tcp");
        slice_json_text(json, "local", local);
        slice_json_number(json, "local_port", local_port);
        slice_json_text(json, "remote", remote);
        slice_json_number(json, "remote_port", remote_port);
        json_builder_end_object(json);
    }
    json_builder_end_array(json);
}

static void add_json(JsonBuilder *json, const Slice *slice)
{
    json_builder_begin_object(json);
    slice_json_text(json, "id", slice->id);
    slice_json_text(json, "vm", slice->vm);
    slice_json_text(json, "state", slice->state);
    slice_json_term(json, "term", slice->term);
    slice_json_text(json, "movability", slice->movability);
    slice_json_optional(json, "why", slice->why);
    slice_json_text(json, "label", slice->label);
    slice_json_text(json, "top_layer", slice->top);
    slice_json_number(json, "capsules", slice->capsules);
    slice_json_number(json, "memory", slice->memory);
    slice_json_number(json, "held_packets", slice->held);
    add_flows_json(json, slice->flows);
    json_builder_end_object(json);
}

static char *client_of(GVariant *flows)
{
    gsize n = g_variant_n_children(flows);
    const char *remote;
    guint16 port;

    if (!n) {
        return g_strdup("-");
    }
    g_variant_get_child(flows, 0, "(&sq&sq)", NULL, NULL, &remote, &port);
    return n == 1 ? g_strdup_printf("%s:%u", remote, port)
                  : g_strdup_printf("%s (%u)", remote, (guint)n);
}

static char *movability_of(const Slice *slice)
{
    return slice->why[0] ? g_strdup_printf("%s, %s", slice->movability, slice->why)
                         : g_strdup(slice->movability);
}

static void add_row(SliceTable *table, const Slice *slice)
{
    slice_table_add(table, slice_id_short(slice->id), g_strdup(slice->vm),
                    g_strdup(slice->state), client_of(slice->flows),
                    g_strdup_printf("%u", slice->capsules),
                    slice_output_bytes(slice->memory), movability_of(slice),
                    g_strdup(slice->label));
}

static gboolean run_list(SliceCli *cli, GError **error)
{
    static const char *const headings[] = { "SLICE", "VM", "STATE", "CLIENT",
                                            ">CAPS", ">MEMORY", "MOVES",
                                            "LABEL", NULL };
    g_autoptr(GVariant) list = NULL;
    g_autoptr(JsonBuilder) json = json_builder_new();
    g_autoptr(SliceTable) table = slice_table_new(headings);

    if (!slice_cli_expect(cli, 0, 0, error) ||
        !slice_bus_orchestrator1_call_list_slices_sync(
            cli->sliced, opt.vm ? opt.vm : "", opt.client ? opt.client : "",
            &list, NULL, error)) {
        return FALSE;
    }
    json_builder_begin_array(json);
    for (gsize i = 0; i < g_variant_n_children(list); i++) {
        g_autoptr(GVariant) value = g_variant_get_child_value(list, i);
        Slice slice;

        read_slice(value, &slice);
        add_json(json, &slice);
        add_row(table, &slice);
        g_variant_unref(slice.flows);
    }
    json_builder_end_array(json);
    if (cli->json) {
        slice_json_print(json, FALSE);
    } else {
        slice_table_print(table);
    }
    return TRUE;
}

static void print_flows(GVariant *flows)
{
    GVariantIter iter;
    const char *local, *remote;
    guint16 local_port, remote_port;

    g_variant_iter_init(&iter, flows);
    while (g_variant_iter_next(&iter, "(&sq&sq)", &local, &local_port, &remote,
                               &remote_port)) {
        g_print("connection  %s:%u > %s:%u\n", remote, remote_port, local,
                local_port);
    }
}

static void print_slice(const Slice *slice)
{
    g_autofree char *memory = slice_output_bytes(slice->memory);
    g_autofree char *moves = movability_of(slice);

    g_print("slice       %s\n", slice->id);
    g_print("VM          %s\n", slice->vm);
    g_print("state       %s, term %" G_GUINT64_FORMAT "\n", slice->state,
            slice->term);
    g_print("moves       %s\n", moves);
    g_print("label       %s\n", slice->label[0] ? slice->label : "-");
    g_print("capsules    %u, top layer %s, %s\n", slice->capsules,
            slice->top[0] ? slice->top : "-", memory);
    g_print("held        %" G_GUINT64_FORMAT " packets\n", slice->held);
    print_flows(slice->flows);
}

static gboolean run_show(SliceCli *cli, GError **error)
{
    g_autoptr(GVariant) found = NULL;
    g_autoptr(JsonBuilder) json = json_builder_new();
    Slice slice;

    if (!slice_cli_expect(cli, 1, 1, error) ||
        !slice_bus_orchestrator1_call_show_slice_sync(cli->sliced, cli->args[0],
                                                      &found, NULL, error)) {
        return FALSE;
    }
    read_slice(found, &slice);
    if (cli->json) {
        add_json(json, &slice);
        slice_json_print(json, FALSE);
    } else {
        print_slice(&slice);
    }
    g_variant_unref(slice.flows);
    return TRUE;
}

/* Adds the ids of the slices that --from and --client name. */
static gboolean add_chosen(SliceCli *cli, GPtrArray *ids, GError **error)
{
    g_autoptr(GVariant) list = NULL;

    if (!slice_bus_orchestrator1_call_list_slices_sync(
            cli->sliced, opt.from ? opt.from : "", opt.client ? opt.client : "",
            &list, NULL, error)) {
        return FALSE;
    }
    for (gsize i = 0; i < g_variant_n_children(list); i++) {
        g_autoptr(GVariant) value = g_variant_get_child_value(list, i);
        Slice slice;

        read_slice(value, &slice);
        if (!g_str_equal(slice.vm, opt.to)) {
            g_ptr_array_add(ids, g_strdup(slice.id));
        }
        g_variant_unref(slice.flows);
    }
    if (!ids->len) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_NOT_FOUND,
                    "no slice matches that is not on VM %s already", opt.to);
        return FALSE;
    }
    return TRUE;
}

static gboolean check_move(SliceCli *cli, GError **error)
{
    gboolean chosen = opt.from || opt.client;

    if (!opt.to || (!cli->args[0] && !chosen) || (cli->args[0] && chosen) ||
        opt.deadline_ms < 1) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID, "%s",
                    !opt.to ? "--to VM is missing"
                    : opt.deadline_ms < 1 ? "--deadline is at least 1 ms"
                    : chosen ? "either slices or --from and --client"
                             : "which slices? (see --help)");
        return FALSE;
    }
    return TRUE;
}

static gboolean run_move(SliceCli *cli, GError **error)
{
    g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
    guint job;

    if (!check_move(cli, error)) {
        return FALSE;
    }
    for (guint i = 0; cli->args[i]; i++) {
        g_ptr_array_add(ids, g_strdup(cli->args[i]));
    }
    if (!ids->len && !add_chosen(cli, ids, error)) {
        return FALSE;
    }
    g_ptr_array_add(ids, NULL);
    if (!slice_bus_orchestrator1_call_move_slices_sync(
            cli->sliced, (const char *const *)ids->pdata, opt.to,
            opt.deadline_ms, &job, NULL, error)) {
        return FALSE;
    }
    if (!opt.no_wait) {
        return slice_cli_wait_job(cli, job, error);
    }
    if (cli->json) {
        g_print("{ \"job\" : %u }\n", job);
    } else {
        g_print("job %u\n", job);
    }
    return TRUE;
}

static const GOptionEntry list_options[] = {
    { "vm", 0, 0, G_OPTION_ARG_STRING, &opt.vm, "only slices of this VM", "VM" },
    { "client", 0, 0, G_OPTION_ARG_STRING, &opt.client,
      "only slices of the client with this address", "IP" },
    { NULL },
};

static const GOptionEntry move_options[] = {
    { "to", 0, 0, G_OPTION_ARG_STRING, &opt.to, "where to", "VM" },
    { "from", 0, 0, G_OPTION_ARG_STRING, &opt.from,
      "all slices of this VM", "VM" },
    { "client", 0, 0, G_OPTION_ARG_STRING, &opt.client,
      "all slices of the client with this address", "IP" },
    { "deadline", 0, 0, G_OPTION_ARG_INT, &opt.deadline_ms,
      "for each slice, to become quiet and then to be plugged (5000)", "MS" },
    { "no-wait", 0, 0, G_OPTION_ARG_NONE, &opt.no_wait,
      "print the job's number and leave", NULL },
    { NULL },
};

const SliceCommand slice_cmd_slice_list = {
    .noun = "slice",
    .verb = "list",
    .args = "",
    .summary = "List the slices of the cluster",
    .examples = "Examples:\n"
                "  slicectl slice list --vm web1\n"
                "  slicectl slice list --client 192.0.2.99 --json\n",
    .options = list_options,
    .run = run_list,
};

const SliceCommand slice_cmd_slice_show = {
    .noun = "slice",
    .verb = "show",
    .args = "SLICE",
    .summary = "Show one slice with its connections",
    .examples = "A slice is named by its whole id, by the id that 'slice list' prints, or by\n"
                "its counter or last digits where these are unique.\n\n"
                "Examples:\n"
                "  slicectl slice show 3fa9c2d1:1a\n"
                "  slicectl slice show 1a --json\n",
    .run = run_show,
};

const SliceCommand slice_cmd_slice_move = {
    .noun = "slice",
    .verb = "move",
    .args = "[SLICE...]",
    .summary = "Move slices to another VM while their clients go on",
    .examples = "Examples:\n"
                "  slicectl slice move 3fa9c2d1:1a --to web2\n"
                "  slicectl slice move --from web1 --to web2 --deadline 2000\n"
                "  slicectl slice move --client 192.0.2.99 --to web2\n",
    .options = move_options,
    .run = run_move,
};
