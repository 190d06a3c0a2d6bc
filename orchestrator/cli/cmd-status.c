/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cmd-status.c - slicectl status
 */
#include "cli.h"

typedef struct {
    char *cluster, *address, *mac, *bridge;
    guint incarnation, exact_rules, vms, vms_ready, slices, moving;
    gboolean connected;
} Status;

static void clear(Status *status)
{
    g_free(status->cluster);
    g_free(status->address);
    g_free(status->mac);
    g_free(status->bridge);
}

static void print_json(const Status *status)
{
    g_autoptr(JsonBuilder) json = json_builder_new();

    json_builder_begin_object(json);
    slice_json_text(json, "cluster", status->cluster);
    slice_json_text(json, "address", status->address);
    slice_json_text(json, "mac", status->mac);
    slice_json_number(json, "incarnation", status->incarnation);
    slice_json_text(json, "bridge", status->bridge);
    slice_json_bool(json, "bridge_connected", status->connected);
    slice_json_number(json, "exact_rules", status->exact_rules);
    slice_json_number(json, "vms", status->vms);
    slice_json_number(json, "vms_ready", status->vms_ready);
    slice_json_number(json, "slices", status->slices);
    slice_json_number(json, "moving", status->moving);
    json_builder_end_object(json);
    slice_json_print(json, FALSE);
}

static void print_text(const Status *status)
{
    g_print("cluster  %s, %s (%s)\n", status->cluster, status->address,
            status->mac);
    g_print("sliced   incarnation %u\n", status->incarnation);
    g_print("bridge   %s, %s, %u exact rules\n", status->bridge,
            status->connected ? "connected" : "not connected",
            status->exact_rules);
    g_print("VMs      %u, %u ready\n", status->vms, status->vms_ready);
    g_print("slices   %u, %u moving\n", status->slices, status->moving);
}

static gboolean run(SliceCli *cli, GError **error)
{
    Status s = { 0 };

    if (!slice_cli_expect(cli, 0, 0, error) ||
        !slice_bus_orchestrator1_call_get_status_sync(
            cli->sliced, &s.cluster, &s.address, &s.mac, &s.incarnation,
            &s.bridge, &s.connected, &s.exact_rules, &s.vms, &s.vms_ready,
            &s.slices, &s.moving, NULL, error)) {
        return FALSE;
    }
    if (cli->json) {
        print_json(&s);
    } else {
        print_text(&s);
    }
    clear(&s);
    return TRUE;
}

const SliceCommand slice_cmd_status = {
    .noun = "status",
    .args = "",
    .summary = "Show the cluster in a few lines",
    .examples = "Example:\n  slicectl status\n",
    .run = run,
};
