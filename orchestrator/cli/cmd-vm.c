/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cmd-vm.c - slicectl vm list | cordon | uncordon
 */
#include "cli.h"

#define VM_FORMAT "(&s&s&s&suub&suutttbuu)"

typedef struct {
    const char *name, *uri, *state, *port, *incarnation;
    guint number, slot, slices, tombstones;
    gboolean spread, cordoned;
    guint weight, drain;
    guint64 held, dropped, muted;
} Vm;

static void read_vm(GVariant *list, gsize index, Vm *vm)
{
    g_variant_get_child(list, index, VM_FORMAT, &vm->name, &vm->uri, &vm->state,
                        &vm->port, &vm->number, &vm->slot, &vm->spread,
                        &vm->incarnation, &vm->slices, &vm->tombstones,
                        &vm->held, &vm->dropped, &vm->muted, &vm->cordoned,
                        &vm->weight, &vm->drain);
}

static void add_json(JsonBuilder *json, const Vm *vm)
{
    json_builder_begin_object(json);
    slice_json_text(json, "name", vm->name);
    slice_json_optional(json, "uri", vm->uri);
    slice_json_text(json, "state", vm->state);
    slice_json_optional(json, "port", vm->port);
    slice_json_number(json, "port_number", vm->number);
    slice_json_number(json, "slot", vm->slot);
    slice_json_bool(json, "spread", vm->spread);
    slice_json_optional(json, "incarnation", vm->incarnation);
    slice_json_number(json, "slices", vm->slices);
    slice_json_number(json, "tombstones", vm->tombstones);
    slice_json_number(json, "held_packets", vm->held);
    slice_json_number(json, "dropped_packets", vm->dropped);
    slice_json_number(json, "muted_packets", vm->muted);
    slice_json_bool(json, "cordoned", vm->cordoned);
    slice_json_number(json, "weight", vm->weight);
    slice_json_number(json, "drain_job", vm->drain);
    json_builder_end_object(json);
}

static void add_row(SliceTable *table, const Vm *vm)
{
    slice_table_add(table, g_strdup(vm->name), g_strdup(vm->state),
                    g_strdup(vm->spread ? "yes" : vm->drain ? "no, drained"
                             : vm->cordoned ? "no, cordoned" : "no"),
                    g_strdup_printf("%u", vm->slices),
                    g_strdup_printf("%" G_GUINT64_FORMAT, vm->held),
                    g_strdup_printf("%" G_GUINT64_FORMAT, vm->dropped),
                    g_strdup(vm->port[0] ? vm->port : "-"));
}

static gboolean run_list(SliceCli *cli, GError **error)
{
    static const char *const headings[] = { "NAME", "STATE", "NEW CLIENTS",
                                            ">SLICES", ">HELD", ">DROPPED",
                                            "PORT", NULL };
    g_autoptr(GVariant) list = NULL;
    g_autoptr(JsonBuilder) json = json_builder_new();
    g_autoptr(SliceTable) table = slice_table_new(headings);

    if (!slice_cli_expect(cli, 0, 0, error) ||
        !slice_bus_orchestrator1_call_list_vms_sync(cli->sliced, &list, NULL,
                                                    error)) {
        return FALSE;
    }
    json_builder_begin_array(json);
    for (gsize i = 0; i < g_variant_n_children(list); i++) {
        Vm vm;

        read_vm(list, i, &vm);
        add_json(json, &vm);
        add_row(table, &vm);
    }
    json_builder_end_array(json);
    if (cli->json) {
        slice_json_print(json, FALSE);
    } else {
        slice_table_print(table);
    }
    return TRUE;
}

static gboolean set_cordon(SliceCli *cli, gboolean cordoned, GError **error)
{
    if (!slice_cli_expect(cli, 1, G_MAXUINT, error)) {
        return FALSE;
    }
    for (guint i = 0; cli->args[i]; i++) {
        if (!slice_bus_orchestrator1_call_set_cordon_sync(cli->sliced, cli->args[i],
                                                          cordoned, NULL, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean run_cordon(SliceCli *cli, GError **error)
{
    return set_cordon(cli, TRUE, error);
}

static gboolean run_uncordon(SliceCli *cli, GError **error)
{
    return set_cordon(cli, FALSE, error);
}

const SliceCommand slice_cmd_vm_cordon = {
    .noun = "vm",
    .verb = "cordon",
    .args = "VM...",
    .summary = "Let VMs take no new sessions; those they have stay",
    .examples = "Kept over restarts of sliced and of the VM.\n\n"
                "Example:\n  slicectl vm cordon web1\n",
    .run = run_cordon,
};

const SliceCommand slice_cmd_vm_uncordon = {
    .noun = "vm",
    .verb = "uncordon",
    .args = "VM...",
    .summary = "Let VMs take new sessions again",
    .examples = "Example:\n  slicectl vm uncordon web1\n",
    .run = run_uncordon,
};

const SliceCommand slice_cmd_vm_list = {
    .noun = "vm",
    .verb = "list",
    .args = "",
    .summary = "List the VMs of the cluster",
    .examples = "Example:\n  slicectl vm list --json | jq '.[].name'\n",
    .run = run_list,
};
