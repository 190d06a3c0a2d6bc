/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cmd-slice.c - slicectl slice list | show
 */
#include "order.h"

#include "util/id.h"
#include "util/tuple.h"

#define SLICE_FORMAT "(&s&s&st&s&s&s&sutt@a(sqsq))"

typedef struct {
    const char *id, *vm, *state, *movability, *why, *label, *top;
    guint64 term, memory, held;
    guint capsules;
    GVariant *flows;
} Slice;

static char *only_vm;
static SliceCliFilter filter;

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

static void add_members(JsonBuilder *json, const Slice *slice)
{
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
    return n == 1 ? slice_tuple_end_to_text(remote, port)
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
                    movability_of(slice), g_strdup(slice->label));
}

static gboolean run_list(SliceCli *cli, GError **error)
{
    static const char *const headings[] = { "SLICE", "VM", "STATE", "CLIENT",
                                            "?MOVES", "?LABEL", NULL };
    g_autoptr(GVariant) list = NULL;
    g_autoptr(JsonBuilder) json = json_builder_new();
    g_autoptr(SliceTable) table = slice_table_new(headings);

    if (!slice_cli_expect(cli, 0, 0, error) ||
        !slice_bus_orchestrator1_call_list_slices_sync(
            cli->sliced, only_vm ? only_vm : "", slice_cli_filter(&filter), &list, NULL,
            error)) {
        return FALSE;
    }
    json_builder_begin_array(json);
    for (gsize i = 0; i < g_variant_n_children(list); i++) {
        g_autoptr(GVariant) value = g_variant_get_child_value(list, i);
        Slice slice;

        read_slice(value, &slice);
        json_builder_begin_object(json);
        add_members(json, &slice);
        json_builder_end_object(json);
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
        g_autofree char *client = slice_tuple_end_to_text(remote, remote_port);
        g_autofree char *server = slice_tuple_end_to_text(local, local_port);

        g_print("connection  %s > %s\n", client, server);
    }
}

static void print_slice(const Slice *slice, gboolean can, const char *error, const char *why)
{
    g_autofree char *memory = slice_output_bytes(slice->memory);

    g_print("slice       %s\n", slice->id);
    g_print("VM          %s\n", slice->vm);
    g_print("state       %s, term %" G_GUINT64_FORMAT "\n", slice->state,
            slice->term);
    g_print("could move  %s%s\n", can ? "yes, now"
            : g_str_equal(error, "busy") ? "not now: " : "no: ", can ? "" : why);
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
    g_autofree char *kind = NULL, *why = NULL;
    gboolean can;
    Slice slice;

    if (!slice_cli_expect(cli, 1, 1, error) ||
        !slice_bus_orchestrator1_call_show_slice_sync(cli->sliced, cli->args[0], &found,
                                                      &can, &kind, &why, NULL, error)) {
        return FALSE;
    }
    read_slice(found, &slice);
    if (cli->json) {
        json_builder_begin_object(json);
        add_members(json, &slice);
        slice_json_bool(json, "could_move", can);
        slice_json_optional(json, "could_not", why);
        json_builder_end_object(json);
        slice_json_print(json, FALSE);
    } else {
        print_slice(&slice, can, kind, why);
    }
    g_variant_unref(slice.flows);
    return TRUE;
}

static const GOptionEntry list_options[] = {
    { "vm", 0, 0, G_OPTION_ARG_STRING, &only_vm, "only slices of this VM", "VM" },
    SLICE_CLI_FILTER_OPTIONS(filter),
    { NULL },
};

const SliceCommand slice_cmd_slice_list = {
    .noun = "slice",
    .verb = "list",
    .args = "",
    .summary = "List the slices of the cluster",
    .examples = "Examples:\n"
                "  slicectl slice list --vm web1\n"
                "  slicectl slice list --client 192.0.2.0/24 --movability pinned\n"
                "  slicectl slice list --label 'shop-*' --json | jq '.[].id'\n",
    .options = list_options,
    .run = run_list,
};

const SliceCommand slice_cmd_slice_show = {
    .noun = "slice",
    .verb = "show",
    .args = "SLICE",
    .summary = "Show one slice: its connections, and whether it could move",
    .examples = "A slice is named by its whole id, by the id that 'slice list' prints, or by\n"
                "its counter or last digits where these are unique.\n\n"
                "Examples:\n"
                "  slicectl slice show 3fa9c2d1:1a\n"
                "  slicectl slice show 1a --json\n",
    .run = run_show,
};
