// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-room.c - a target's guest says before a move whether it has room
 *
 *      sliced stands by; the test itself asks web2 over QMP to prepare, as an
 *      orchestrator does, for slices that it has made up
 */
#include <string.h>

#include "cluster.h"

/**
 * Asker - an orchestrator newer than the cluster's own
 */
typedef struct {
    LabQmp *qmp;
    gint64 orchestrator;
    gint64 term;
    gint64 vnet_header_length;
} Asker;

static JsonNode *execute(Asker *asker, const char *command, const char *arguments)
{
    g_autoptr(GError) error = NULL;
    JsonNode *answer = lab_qmp_execute(asker->qmp, command, arguments, &error);

    g_assert_no_error(error);
    return answer;
}

static void asker_init(Asker *asker, LabVm *vm)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) answer = NULL;
    JsonObject *store;

    asker->qmp = lab_vm_qmp(vm, &error);
    g_assert_no_error(error);
    answer = execute(asker, "query-slice-store", NULL);
    store = json_node_get_object(answer);
    asker->orchestrator = json_object_get_int_member(store, "orchestrator") + 1;
    asker->vnet_header_length = json_object_get_int_member(store, "vnet-header-length");
    asker->term = asker->orchestrator << 32;
}

/* Asks for room for a slice with so many capsules of that rank: the answer, or
 * "refused: " and why. */
static char *prepare(Asker *asker, unsigned int number, unsigned int rank, unsigned int count,
                     const char *memory)
{
    g_autofree char *arguments = g_strdup_printf(
        "{\"orchestrator\":%" G_GINT64_FORMAT ",\"id\":\"00000000000000aa:%016x\","
        "\"term\":%" G_GINT64_FORMAT ",\"source\":\"web1\",\"flows\":[],\"layers\":[],"
        "\"vnet-header-length\":%" G_GINT64_FORMAT ",\"memory\":%s,"
        "\"counts\":[{\"rank\":%u,\"count\":%u}]}",
        asker->orchestrator, number, ++asker->term, asker->vnet_header_length, memory, rank,
        count);
    g_autoptr(JsonNode) answer = execute(asker, "slice-prepare", arguments);
    JsonObject *reply = json_node_get_object(answer);
    const char *text = json_object_get_string_member(reply, "answer");

    if (strcmp(text, "refused")) {
        return g_strdup(text);
    }
    return g_strdup_printf("refused: %s", json_object_get_string_member(reply, "why"));
}

static void cancel(Asker *asker, unsigned int number, gint64 term)
{
    g_autofree char *arguments = g_strdup_printf(
        "{\"orchestrator\":%" G_GINT64_FORMAT ",\"id\":\"00000000000000aa:%016x\","
        "\"term\":%" G_GINT64_FORMAT "}", asker->orchestrator, number, term);
    g_autoptr(JsonNode) answer = execute(asker, "slice-cancel", arguments);

    g_assert_cmpstr(json_object_get_string_member(json_node_get_object(answer), "answer"), ==,
                    "ok");
}

static void expect(Asker *asker, unsigned int number, unsigned int rank, unsigned int count,
                   const char *memory, const char *expected)
{
    g_autofree char *answer = prepare(asker, number, rank, count, memory);

    g_assert_cmpstr(answer, ==, expected);
}

/* One place: who asks second is refused, until the first has given it back. */
static void test_kept(Cluster *cluster)
{
    g_autofree char *none = cluster_layer(cluster->vms[1], "t-room 1 150 room=1");
    Asker asker;
    gint64 first;

    g_assert_cmpstr(none, ==, "");
    asker_init(&asker, cluster->vms[1]);
    expect(&asker, 1, 150, 1, "4096", "ok");
    first = asker.term;
    expect(&asker, 2, 150, 1, "4096", "refused: no-room");
    cancel(&asker, 1, first);
    expect(&asker, 2, 150, 1, "4096", "ok");
    cancel(&asker, 2, asker.term);
}

static void test_reasons(Cluster *cluster)
{
    g_autofree char *none = cluster_layer(cluster->vms[1], "t-room 1 150 room=2");
    Asker asker;

    g_assert_cmpstr(none, ==, "");
    asker_init(&asker, cluster->vms[1]);
    expect(&asker, 1, 150, 3, "4096", "refused: no-room");
    expect(&asker, 1, 151, 1, "4096", "refused: no-layer");
    expect(&asker, 1, 150, 2, "4096", "ok");
    cancel(&asker, 1, asker.term);
}

/* What is kept for some is not there for others: four times 60 MiB, and as much
 * again for each image, are more than the guest has. */
static void test_memory(Cluster *cluster)
{
    g_autofree char *answer = NULL;
    gint64 term[4];
    bool ok[4];
    Asker asker;

    asker_init(&asker, cluster->vms[1]);
    for (unsigned int i = 0; i < 4; i++) {
        g_free(answer);
        answer = prepare(&asker, 10 + i, 20, 1, "62914560");
        term[i] = asker.term;
        ok[i] = !strcmp(answer, "ok");
    }
    g_assert_cmpstr(answer, ==, "refused: memory");
    for (unsigned int i = 0; i < 4; i++) {
        if (ok[i]) {
            cancel(&asker, 10 + i, term[i]);
        }
    }
    expect(&asker, 20, 20, 1, "4096", "ok");
    cancel(&asker, 20, asker.term);
}

static void add_tests(void)
{
    cluster_add("/vm/room/place-is-kept-for-one-and-refused-to-another", test_kept);
    cluster_add("/vm/room/refusal-says-what-is-missing", test_reasons);
    cluster_add("/vm/room/memory-is-not-promised-twice", test_memory);
}

int main(int argc, char **argv)
{
    return cluster_main(argc, argv, add_tests);
}
