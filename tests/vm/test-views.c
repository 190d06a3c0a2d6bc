// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-views.c - everybody who knows of a slice says the same
 *
 *      cl1 ─── br0 ─┬─ web1      sliced, the hypervisor, both agents of the guest
 *                   └─ web2      and the switch are asked before and after a move
 */
#include <string.h>

#include "cluster.h"

/* The hypervisor's table. */
static bool engine_has(LabVm *vm, const char *id)
{
    g_autoptr(JsonObject) slice = cluster_engine_slice(vm, id);

    if (slice) {
        g_assert_cmpstr(json_object_get_string_member(slice, "state"), ==, "owner");
    }
    return slice != NULL;
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

/* What a program answered: JSON whose "return" is an array of slices. */
static JsonArray *returned(const char *text, JsonNode **ret_node)
{
    g_autoptr(GError) error = NULL;

    *ret_node = json_from_string(text, &error);
    g_assert_no_error(error);
    return json_object_get_array_member(json_node_get_object(*ret_node), "return");
}

/* The entry of a slice in a guest agent's list, ids in either spelling. */
static JsonObject *find_entry(JsonArray *slices, const char *id)
{
    for (guint i = 0; i < json_array_get_length(slices); i++) {
        JsonObject *slice = json_array_get_object_element(slices, i);
        g_autofree char *told = g_strdup(json_object_get_string_member(slice, "id"));

        g_strdelimit(told, "-", ':');
        if (!strcmp(told, id)) {
            return slice;
        }
    }
    return NULL;
}

/* qemu-ga, asked as a person would: with virsh. */
static char *ask_qemu_ga(Cluster *cluster, LabVm *vm, const char *request, GError **error)
{
    const char *argv[] = { "virsh", "-c", lab_host_uri(cluster->host), "qemu-agent-command",
                           lab_vm_name(vm), request, NULL };
    char *answer = NULL;

    lab_command(cluster->lab, NULL, argv, &answer, error);
    return answer;
}

static bool qemu_ga_has(Cluster *cluster, LabVm *vm, const char *id)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *answer = ask_qemu_ga(cluster, vm, "{\"execute\":\"guest-slice-list\"}", &error);
    g_autoptr(JsonNode) node = NULL;

    g_assert_no_error(error);
    return find_entry(returned(answer, &node), id) != NULL;
}

/* Field for field what slice-agent says, and what the hypervisor was told. */
static void check_qemu_ga(Cluster *cluster, LabVm *vm, const char *id)
{
    static const char *const numbers[] = { "capsules", "connections", "references" };
    static const char *const words[] = { "state", "movability" };
    g_autofree char *request = g_strdup_printf(
        "{\"execute\":\"guest-slice-list\",\"arguments\":{\"id\":\"%s\"}}", id);
    g_autoptr(GError) error = NULL;
    g_autofree char *told = ask_qemu_ga(cluster, vm, request, &error), *listed = NULL;
    g_autoptr(JsonNode) told_node = NULL, listed_node = NULL;
    JsonObject *one, *other;

    g_assert_no_error(error);
    listed = lab_vm_agent(vm, "{\"execute\":\"list\",\"id\":1}", &error);
    g_assert_no_error(error);
    one = find_entry(returned(told, &told_node), id);
    other = find_entry(returned(listed, &listed_node), id);
    g_assert_nonnull(one);
    g_assert_nonnull(other);
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
        g_assert_cmpint(json_object_get_int_member(one, numbers[i]), ==,
                        json_object_get_int_member(other, numbers[i]));
    }
    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        g_assert_cmpstr(json_object_get_string_member(one, words[i]), ==,
                        json_object_get_string_member(other, words[i]));
    }
    g_assert_cmpint(json_object_get_int_member(one, "memory"), ==,
                    g_ascii_strtoll(json_object_get_string_member(other, "memory-bytes"), NULL, 10));
    /* A connection and its session: openflow, tcp, apache, php. */
    g_assert_cmpint(json_object_get_int_member(one, "connections"), ==, 1);
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(one, "capsule-ids")), ==,
                     json_object_get_int_member(one, "capsules"));
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
    g_assert_true(qemu_ga_has(cluster, here, slice->id));
    g_assert_false(qemu_ga_has(cluster, there, slice->id));
    check_qemu_ga(cluster, here, slice->id);
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

static void test_no_device(Cluster *cluster)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *output = NULL, *answer = NULL;

    output = lab_vm_shell(cluster->vms[0], "killall apache2 php-fpm8.2 slice-agent;"
                          "for i in $(seq 50); do rmmod slice 2>/run/why && exit 0;"
                          " busybox usleep 100000; done; cat /run/why; exit 1", &error);
    g_assert_no_error(error);
    answer = ask_qemu_ga(cluster, cluster->vms[0], "{\"execute\":\"guest-slice-list\"}", &error);
    g_assert_error(error, LAB_ERROR, LAB_ERROR_FAILED);
    g_assert_nonnull(strstr(error->message, "this guest has no slices"));
}

static void add_tests(void)
{
    cluster_add("/vm/views/all-say-the-same-before-and-after-a-move", test_agree);
    cluster_add("/vm/views/a-guest-without-the-module-says-so", test_no_device);
}

int main(int argc, char **argv)
{
    return cluster_main(argc, argv, add_tests);
}
