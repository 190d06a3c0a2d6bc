// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-bystander.c - what is no slice is never held, and killed owners leave nothing
 *
 *      cl1 ─── br0 ─┬─ web1      port 80: Apache, sessions that move
 *                   └─ web2      port 8080: a plain server, no slice
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cluster.h"

#define PLAIN_PORT 8080
#define N_MOVES 10

static int plain_connect(Cluster *cluster)
{
    g_autoptr(GError) error = NULL;
    HttpConnection *http;
    int fd = lab_client_socket(cluster->client, &error), copy;

    g_assert_no_error(error);
    copy = dup(fd);
    http = http_connection_new(fd, LAB_CLUSTER_ADDRESS, PLAIN_PORT, TEST_TIMEOUT_MS, &error);
    g_assert_no_error(error);
    http_connection_free(http);
    return copy;
}

/* One byte there and back, as the plain server is an echo. */
static void echo(int fd)
{
    char byte = 'x';

    g_assert_cmpint(send(fd, &byte, 1, 0), ==, 1);
    g_assert_cmpint(recv(fd, &byte, 1, 0), ==, 1);
}

static gpointer echo_thread(gpointer opaque)
{
    int *state = opaque;        /* descriptor, stop, number of echoes */

    while (!g_atomic_int_get(&state[1])) {
        echo(state[0]);
        g_atomic_int_inc(&state[2]);
    }
    return NULL;
}

static void test_plain(Cluster *cluster)
{
    g_autoptr(HttpConnection) http = NULL;
    g_autoptr(LabSlice) slice = NULL;
    g_autoptr(GPtrArray) slices = NULL;
    g_autoptr(GError) error = NULL;
    uint64_t counter = 0;
    g_autofree char *vm = NULL;
    int state[3] = { -1, 0, 0 };
    unsigned int n_beside = 0;  /* moves with an echo meanwhile */
    int64_t muted[N_VMS];
    GThread *thread;

    for (int i = 0; i < N_VMS; i++) {
        g_autofree char *output = lab_vm_shell(
            cluster->vms[i], "busybox nc -ll -p 8080 -e /bin/cat >/dev/null 2>&1 </dev/null &"
            "while ! grep -q ':1F90 ' /proc/net/tcp /proc/net/tcp6; do :; done", &error);

        g_assert_no_error(error);
        muted[i] = cluster_store_number(cluster->vms[i], "muted-packets");
    }
    http = cluster_connect(cluster, 0);
    vm = cluster_get_vm(http, &counter);
    slice = cluster_slice(cluster, http);
    cluster_judge(cluster, http);
    state[0] = plain_connect(cluster);
    echo(state[0]);
    thread = g_thread_new("echo", echo_thread, state);
    for (int i = 0; i < N_MOVES; i++) {
        int before = g_atomic_int_get(&state[2]);

        cluster_move(cluster, slice);
        n_beside += g_atomic_int_get(&state[2]) > before;
    }
    /* A move can be over before a busy machine has run both ends of an echo. */
    g_assert_cmpuint(n_beside, >, 0);
    g_atomic_int_set(&state[1], 1);
    g_thread_join(thread);
    slices = lab_slice_list(cluster->lab, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(slices->len, ==, 1);
    for (int i = 0; i < N_VMS; i++) {
        g_assert_cmpint(cluster_store_number(cluster->vms[i], "held-packets"), ==, 0);
        g_assert_cmpint(cluster_store_number(cluster->vms[i], "dropped-packets"), ==, 0);
        g_assert_cmpint(cluster_store_number(cluster->vms[i], "muted-packets"), ==, muted[i]);
    }
    cluster_finish(cluster);
    close(state[0]);
}

/* Slices of a VM, as its hypervisor knows them; waits until there are @n. */
static void wait_slices(LabVm *vm, unsigned int n)
{
    g_autoptr(GError) error = NULL;
    LabQmp *qmp = lab_vm_qmp(vm, &error);

    g_assert_no_error(error);
    for (;;) {
        g_autoptr(JsonNode) answer = lab_qmp_execute(qmp, "query-slices", NULL, &error);
        g_autoptr(JsonObject) event = NULL;

        g_assert_no_error(error);
        if (json_array_get_length(json_node_get_array(answer)) == n) {
            return;
        }
        event = lab_qmp_wait_event(qmp, "SLICE_CHANGED", TEST_TIMEOUT_MS, &error);
        g_assert_no_error(error);
    }
}

static void test_killed(Cluster *cluster)
{
    g_autoptr(HttpConnection) http = cluster_connect(cluster, 0);
    g_autoptr(LabSlice) slice = NULL;
    g_autoptr(GError) error = NULL;
    uint64_t counter = 0;
    g_autofree char *name = cluster_get_vm(http, &counter), *output = NULL;
    LabVm *vm = cluster_vm(cluster, name);

    slice = cluster_slice(cluster, http);
    wait_slices(vm, 1);
    output = lab_vm_shell(vm, "killall -9 apache2 php-fpm8.2", &error);
    g_assert_no_error(error);
    wait_slices(vm, 0);
    http_connection_free(g_steal_pointer(&http));
    g_free(g_steal_pointer(&output));
    /* The agent has /dev/slice open; then sockets that still close hold the module. */
    output = lab_vm_shell(vm, "killall slice-agent; for i in $(seq 50); do"
                          " rmmod slice 2>/run/why && exit 0; busybox usleep 100000; done;"
                          " cat /run/why /proc/net/tcp /proc/net/tcp6; ps; exit 1", &error);
    g_assert_no_error(error);
}

static void add_tests(void)
{
    cluster_add("/vm/bystander/a-plain-connection-is-never-held", test_plain);
    cluster_add("/vm/bystander/a-killed-server-leaves-nothing-behind", test_killed);
}

int main(int argc, char **argv)
{
    return cluster_main(argc, argv, add_tests);
}
