// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench-flow.c - how long does it take to lead a connection elsewhere?
 *
 * sliced's own network module on the lab's switch: a rule is changed, and the switch has
 * said that it holds.  The baseline is what a script would do: one ovs-ofctl for it.
 */
#include "bench.h"

#include <glib/gstdio.h>

#include "daemon/network.h"

#define N_CHANGES 400
#define N_PROCESSES 20
#define CLUSTER "10.77.9.10"
#define MAC "52:54:00:77:09:10"
#define BRIDGE "br9"

typedef struct Change {
    bool is_done;
    GError *error;
} Change;

static void known(SliceNetwork *network, SliceNetworkPin pin, gpointer data)
{
}

static void done(const GError *error, gpointer data)
{
    Change *change = data;

    change->is_done = true;
    change->error = error ? g_error_copy(error) : NULL;
}

static bool change_once(SliceNetwork *network, GArray *flows, const char *vm, Series *series,
                        GError **error)
{
    Change change = { 0 };
    int64_t begin_ns = http_now_ns();

    slice_network_route(network, "bench", flows, vm, done, &change);
    while (!change.is_done) {
        g_main_context_iteration(NULL, TRUE);
    }
    if (change.error) {
        g_propagate_error(error, change.error);
        return false;
    }
    if (series) {
        series_add(series, (http_now_ns() - begin_ns) / 1e3);
    }
    return true;
}

static bool change_many(SliceNetwork *network, Series *series, GError **error)
{
    g_autoptr(GArray) flows = g_array_new(FALSE, FALSE, sizeof(SliceTuple));
    SliceTuple flow;

    if (!slice_tuple_set(&flow, "tcp", CLUSTER, 80, "10.77.9.100", 40000, error)) {
        return false;
    }
    g_array_append_val(flows, flow);
    for (int i = 0; i < N_CHANGES + 2; i++) {
        /* The first two connect to the switch and fill it. */
        if (!change_once(network, flows, i % 2 ? "web1" : "web2", i < 2 ? NULL : series, error)) {
            return false;
        }
    }
    return true;
}

/* A bridge of its own: the cluster's is sliced's. */
static bool make_bridge(Lab *lab, GError **error)
{
    const char *argv[] = {
        "ovs-vsctl", "--timeout=20", "--", "add-br", BRIDGE,
        "--", "set", "bridge", BRIDGE, "datapath_type=netdev", "fail_mode=secure",
        "protocols=OpenFlow10,OpenFlow13,OpenFlow14,OpenFlow15",
        "--", "add-port", BRIDGE, "vm1", "--", "set", "interface", "vm1", "type=internal",
        "--", "add-port", BRIDGE, "vm2", "--", "set", "interface", "vm2", "type=internal", NULL
    };

    return lab_command(lab, NULL, argv, NULL, error);
}

static bool run_processes(Lab *lab, Series *series, GError **error)
{
    for (int i = 0; i < N_PROCESSES; i++) {
        g_autofree char *flow = g_strdup_printf("priority=9,tcp,nw_src=10.77.9.101,tp_src=40001,"
                                                "actions=output:vm%d", 1 + i % 2);
        const char *argv[] = { "ovs-ofctl", "-O", "OpenFlow14", "add-flow", BRIDGE, flow, NULL };
        int64_t begin_ns = http_now_ns();

        if (!lab_command(lab, NULL, argv, NULL, error)) {
            return false;
        }
        series_add(series, (http_now_ns() - begin_ns) / 1e3);
    }
    return true;
}

bool bench_flow(Stage *stage, Result **results, GError **error)
{
    g_autofree char *path = g_build_filename(lab_dir(stage->lab), "flow.db", NULL);
    SliceStore *store = NULL;
    SliceNetwork *network = NULL;
    bool ok = make_bridge(stage->lab, error) && (store = slice_store_open(path, error));

    if (ok) {
        network = slice_network_new(BRIDGE, "unix:/run/openvswitch/" BRIDGE ".mgmt", CLUSTER, NULL, MAC,
                                    store, known, NULL);
        while (!slice_network_is_connected(network)) {
            g_main_context_iteration(NULL, TRUE);
        }
        slice_network_set_vm(network, "web1", "vm1", TRUE, TRUE, 1);
        slice_network_set_vm(network, "web2", "vm2", TRUE, TRUE, 1);
        slice_network_start(network);
        ok = change_many(network, &results[0]->measured, error) &&
             run_processes(stage->lab, &results[0]->baseline, error);
        slice_network_free(network);
    }
    if (store) {
        slice_store_close(store);
    }
    return ok;
}
