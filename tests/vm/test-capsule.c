// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-capsule.c - slices that are more, or less, than one connection's
 *
 *      cl1 ─── br0 ─┬─ web1      slice-guest-layer holds capsules in the guests
 *                   └─ web2
 */
#include <string.h>

#include "cluster.h"

/* The line of `slicectl slice list`; waits until @n_flows are known of it. */
static LabSlice *listed(Cluster *cluster, const char *id, unsigned int n_flows)
{
    gint64 deadline = g_get_monotonic_time() + TEST_TIMEOUT_MS * 1000;

    for (;;) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) slices = lab_slice_list(cluster->lab, &error);

        g_assert_no_error(error);
        for (guint i = 0; i < slices->len; i++) {
            LabSlice *slice = g_ptr_array_index(slices, i);

            if (!strcmp(slice->id, id) && slice->n_flows == n_flows) {
                return g_ptr_array_steal_index(slices, i);
            }
        }
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    }
}

/* The guest kernel's registry, as slice-agent reads it. */
static bool registry_says(LabVm *vm, const char *id, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *answer = lab_vm_agent(vm, "{\"execute\":\"list\",\"id\":1}", &error);
    char *entry;

    g_assert_no_error(error);
    g_strdelimit(answer, "-", ':');     /* libslice's spelling of ids */
    entry = strstr(answer, id);
    if (!entry) {
        return false;
    }
    entry[strcspn(entry, "}")] = '\0';
    return strstr(entry, text);
}

/* Its layer says that it cannot move: so do all, and nothing is begun. */
static void test_pinned(Cluster *cluster)
{
    g_autofree char *id = cluster_layer(cluster->vms[0], "t-pin 1 150 capsule=websocket pin=20");
    g_autoptr(LabSlice) slice = listed(cluster, id, 0);
    g_autoptr(GError) error = NULL;
    g_autofree char *output = NULL;
    g_autoptr(JsonObject) entry = cluster_engine_slice(cluster->vms[0], id);
    const char *const args[] = { "slice", "move", id, "--to", lab_vm_name(cluster->vms[1]), NULL };
    int status;

    g_assert_cmpstr(slice->movability, ==, "pinned");
    g_assert_cmpstr(json_object_get_string_member(entry, "movability"), ==, "pinned");
    g_assert_cmpstr(json_object_get_string_member(entry, "why"), ==, "upgraded");
    g_assert_true(registry_says(cluster->vms[0], id, "\"movability\":\"pinned\""));
    g_assert_true(registry_says(cluster->vms[0], id, "\"why\":\"upgraded\""));
    lab_slicectl(cluster->lab, args, &output, &status, &error);
    g_assert_no_error(error);
    g_assert_cmpint(status, !=, 0);
    json_object_unref(entry);
    entry = cluster_engine_slice(cluster->vms[0], id);
    g_assert_cmpstr(json_object_get_string_member(entry, "state"), ==, "owner");
    g_assert_null(cluster_engine_slice(cluster->vms[1], id));
}

/* The client has gone for a while; its session is a slice, and moves. */
static void test_without_connection(Cluster *cluster)
{
    g_autoptr(HttpConnection) http = cluster_connect(cluster, 0);
    uint64_t counter = 0;
    g_autofree char *before = cluster_get_vm(http, &counter);
    g_autoptr(LabSlice) with = cluster_slice(cluster, http);
    g_autoptr(LabSlice) without = NULL;

    g_clear_pointer(&http, http_connection_free);
    /* The session is the top of both: the slice keeps its id. */
    without = listed(cluster, with->id, 0);
    g_assert_cmpstr(without->vm, ==, before);
    g_assert_true(registry_says(cluster_vm(cluster, before), with->id, "\"connections\":0"));
    for (int i = 0; i < 2; i++) {
        g_autofree char *from = g_strdup(without->vm);

        cluster_move(cluster, without);
        g_assert_true(registry_says(cluster_vm(cluster, without->vm), with->id, ""));
        g_assert_false(registry_says(cluster_vm(cluster, from), with->id, ""));
    }
}

static void add_tests(void)
{
    cluster_add("/vm/capsule/pinned-slice-says-why-everywhere-and-stays", test_pinned);
    cluster_add("/vm/capsule/session-without-a-connection-moves", test_without_connection);
}

int main(int argc, char **argv)
{
    return cluster_main(argc, argv, add_tests);
}
