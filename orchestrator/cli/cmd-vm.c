/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cmd-vm.c - slicectl vm list
 */
#include "cli.h"

#define VM_FORMAT "(&s&s&s&suub&suuttt)"

typedef struct {
    const char *name, *uri, *state, *port, *incarnation;
    guint number, slot, slices, tombstones;
    gboolean spread;
    guint64 held, dropped, muted;
} Vm;

static void read_vm(GVariant *list, gsize index, Vm *vm)
{
    g_variant_get_child(list, index, VM_FORMAT, &vm->name, &vm->uri, &vm->state,
                        &vm->port, &vm->number, &vm->slot, &vm->spread,
                        &vm->incarnation, &vm->slices, &vm->tombstones,
                        &vm->held, &vm->dropped, &vm->muted);
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
    json_builder_end_object(json);
}

static void add_row(SliceTable *table, const Vm *vm)
{
    slice_table_add(table, g_strdup(vm->name), g_strdup(vm->state),
                    g_strdup(vm->spread ? "yes" : "no"),
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

const SliceCommand slice_cmd_vm_list = {
    .noun = "vm",
    .verb = "list",
    .args = "",
    .summary = "List the VMs of the cluster",
    .examples = "Example:\n  slicectl vm list --json | jq '.[].name'\n",
    .run = run_list,
};
