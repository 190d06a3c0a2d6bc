// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-find.c - a capsule looks for its session, and goes there by itself
 *
 *      web1  visitor ── FIND ──► engine ═══ stream ═══ engine ──► session  web2
 *
 * slice-guest-layer is visitor and session: what stands between it and the
 * network is real. sliced has told peers and terms, and takes no part.
 */
#include <string.h>

#include "cluster.h"

static bool is_told(LabVm *vm)
{
    g_autoptr(GError) error = NULL;
    LabQmp *qmp = lab_vm_qmp(vm, &error);
    g_autoptr(JsonNode) answer = NULL;
    JsonObject *store;

    g_assert_no_error(error);
    answer = lab_qmp_execute(qmp, "query-slice-store", NULL, &error);
    g_assert_no_error(error);
    store = json_node_get_object(answer);
    return json_array_get_length(json_object_get_array_member(store, "peers")) == N_VMS - 1 &&
           json_object_get_int_member(store, "terms-left") > 0;
}

/* sliced has told the first VM of the other, and terms for its moves. */
static void await_told(Cluster *cluster)
{
    gint64 deadline = g_get_monotonic_time() + TEST_TIMEOUT_MS * 1000;

    while (!is_told(cluster->vms[0])) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    }
}

/* It was not asked, but it learns of it. */
static void await_listed(Cluster *cluster, const char *id, LabVm *vm)
{
    gint64 deadline = g_get_monotonic_time() + TEST_TIMEOUT_MS * 1000;

    for (bool found = false; !found; ) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) slices = lab_slice_list(cluster->lab, &error);

        g_assert_no_error(error);
        for (guint i = 0; i < slices->len; i++) {
            LabSlice *slice = g_ptr_array_index(slices, i);

            found |= !strcmp(slice->id, id) && !strcmp(slice->vm, lab_vm_name(vm));
        }
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    }
}

static char *find_said(LabVm *vm)
{
    g_autoptr(GError) error = NULL;
    char *said = lab_vm_shell(vm, "sed -n 's/^find //p' /run/layer.out | tr -d '\\n'", &error);

    g_assert_no_error(error);
    return said;
}

/* For its guest the visitor is over; it lives where the session is. */
static void test_found(Cluster *cluster)
{
    g_autofree char *session = NULL;
    g_autofree char *visitor = NULL;
    g_autofree char *said = NULL;
    g_autoptr(JsonObject) owner = NULL;

    await_told(cluster);
    session = cluster_layer(cluster->vms[1], "t-one 1 150 capsule=session");
    visitor = cluster_layer(cluster->vms[0], "t-one 1 150 capsule=visitor find=session");
    said = find_said(cluster->vms[0]);
    g_assert_cmpstr(said, ==, "ESTALE");
    g_assert_null(cluster_engine_slice(cluster->vms[0], visitor));
    await_listed(cluster, visitor, cluster->vms[1]);
    owner = cluster_engine_slice(cluster->vms[1], session);
    g_assert_cmpstr(json_object_get_string_member(owner, "state"), ==, "owner");
}

static void test_nowhere(Cluster *cluster)
{
    g_autofree char *session = NULL;
    g_autofree char *visitor = NULL;
    g_autofree char *said = NULL;
    g_autoptr(JsonObject) here = NULL;

    await_told(cluster);
    session = cluster_layer(cluster->vms[1], "t-one 1 150 capsule=session");
    visitor = cluster_layer(cluster->vms[0], "t-one 1 150 capsule=visitor find=another");
    said = find_said(cluster->vms[0]);
    g_assert_cmpstr(said, ==, "nowhere");
    here = cluster_engine_slice(cluster->vms[0], visitor);
    g_assert_cmpstr(json_object_get_string_member(here, "state"), ==, "owner");
}

/* Its layer there takes no more: nothing has moved. */
static void test_no_room(Cluster *cluster)
{
    g_autofree char *session = NULL;
    g_autofree char *visitor = NULL;
    g_autofree char *said = NULL;
    g_autoptr(JsonObject) here = NULL;

    await_told(cluster);
    session = cluster_layer(cluster->vms[1], "t-one 1 150 capsule=session room=1");
    visitor = cluster_layer(cluster->vms[0], "t-one 1 150 capsule=visitor find=session");
    said = find_said(cluster->vms[0]);
    g_assert_cmpstr(said, ==, "ETIMEDOUT");
    here = cluster_engine_slice(cluster->vms[0], visitor);
    g_assert_cmpstr(json_object_get_string_member(here, "state"), ==, "owner");
    g_assert_null(cluster_engine_slice(cluster->vms[1], visitor));
}

static void add_tests(void)
{
    cluster_add("/find/found-elsewhere-it-moves-there", test_found);
    cluster_add("/find/nowhere-is-said-when-nobody-has-it", test_nowhere);
    cluster_add("/find/no-room-leaves-it-where-it-is", test_no_room);
}

int main(int argc, char **argv)
{
    return cluster_main(argc, argv, add_tests);
}
