// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-views.c - everybody who knows of a slice says the same
 *
 *      cl1 ─── br0 ─┬─ web1      sliced, the hypervisor, the guest's registry
 *                   └─ web2      and the switch are asked before and after a move
 */
#include <string.h>

#include "cluster.h"

/* The hypervisor's table. */
static bool engine_has(LabVm *vm, const char *id)
{
    g_autoptr(GError) error = NULL;
    LabQmp *qmp = lab_vm_qmp(vm, &error);
    g_autoptr(JsonNode) answer = NULL;
    JsonArray *slices;

    g_assert_no_error(error);
    answer = lab_qmp_execute(qmp, "query-slices", NULL, &error);
    g_assert_no_error(error);
    slices = json_node_get_array(answer);
    for (guint i = 0; i < json_array_get_length(slices); i++) {
        JsonObject *slice = json_array_get_object_element(slices, i);

        if (!strcmp(json_object_get_string_member(slice, "id"), id)) {
            g_assert_cmpstr(json_object_get_string_member(slice, "state"), ==, "owner");
            return true;
        }
    }
    return false;
}

/* What a person sees: `info slices`, which also lists what has gone. */
static bool monitor_has(LabVm *vm, const char *id)
{
    g_autoptr(GError) error = NULL;
    LabQmp *qmp = lab_vm_qmp(vm, &error);
    g_autoptr(JsonNode) answer = NULL;
    g_autofree char *owner = NULL;

    g_assert_no_error(error);
    answer = lab_qmp_execute(qmp, "human-monitor-command", "{\"command-line\":\"info slices\"}",
                             &error);
    g_assert_no_error(error);
    owner = g_strdup_printf("%s owner", id);
    return strstr(json_node_get_string(answer), owner) != NULL;
}

/* The guest kernel's registry, as slice-agent reads it. */
static bool registry_has(LabVm *vm, const char *id)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *answer = lab_vm_agent(vm, "{\"execute\":\"list\",\"id\":1}", &error);

    g_assert_no_error(error);
    g_strdelimit(answer, "-", ':');     /* libslice's spelling of ids */
    return strstr(answer, id) != NULL;
}

/* The VM that the switch leads the connection to: its exact rule, or NULL. */
static char *switch_leads_to(Cluster *cluster, uint16_t client_port)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *dump = lab_switch_dump(cluster->lab, &error);
    g_autofree char *match = g_strdup_printf("tp_src=%u,", client_port);
    g_auto(GStrv) lines = NULL;

    g_assert_no_error(error);
    lines = g_strsplit(dump, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        if (strstr(lines[i], match)) {
            return g_strdup(lines[i]);
        }
    }
    return NULL;
}

static void check(Cluster *cluster, HttpConnection *http, LabSlice *slice)
{
    g_autoptr(LabSlice) told = cluster_slice(cluster, http);
    LabVm *here = cluster_vm(cluster, slice->vm);
    LabVm *there = cluster_other(cluster, slice->vm);

    g_assert_cmpstr(told->id, ==, slice->id);
    g_assert_cmpstr(told->vm, ==, slice->vm);
    g_assert_true(engine_has(here, slice->id));
    g_assert_false(engine_has(there, slice->id));
    g_assert_true(monitor_has(here, slice->id));
    g_assert_false(monitor_has(there, slice->id));
    g_assert_true(registry_has(here, slice->id));
    g_assert_false(registry_has(there, slice->id));
}

static void test_agree(Cluster *cluster)
{
    g_autoptr(HttpConnection) http = cluster_connect(cluster, 0);
    uint64_t counter = 0;
    g_autofree char *before = cluster_get_vm(http, &counter), *rule = NULL, *after = NULL;
    g_autoptr(LabSlice) slice = cluster_slice(cluster, http);

    check(cluster, http, slice);
    cluster_judge(cluster, http);
    cluster_move(cluster, slice);
    after = cluster_get_vm(http, &counter);
    g_assert_cmpstr(after, ==, slice->vm);
    check(cluster, http, slice);
    rule = switch_leads_to(cluster, http_local_port(http));
    g_assert_nonnull(rule);     /* it is not where the spread would put it */
    cluster_finish(cluster);
}

static void add_tests(void)
{
    cluster_add("/vm/views/all-say-the-same-before-and-after-a-move", test_agree);
}

int main(int argc, char **argv)
{
    return cluster_main(argc, argv, add_tests);
}
