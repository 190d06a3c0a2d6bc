// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-refusal.c - a move that is refused leaves everything as it was
 *
 *      cl1 ─── br0 ─┬─ web1      the other VM's Apache is of another version,
 *                   └─ web2      as its layers say
 */
#include <string.h>
#include <sys/socket.h>

#include "cluster.h"

/* Another program takes Apache's place as the provider of its layer. */
static void change_layer_version(LabVm *vm)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *output = lab_vm_shell(
        vm,
        "apache2ctl -k stop 2>&1; while pidof apache2 >/dev/null; do :; done;"
        "/usr/libexec/slice/slice-guest-layer apache 999 100 >/run/layer.out 2>&1 &"
        "while ! grep -q registered /run/layer.out 2>/dev/null; do :; done", &error);

    g_assert_no_error(error);
}

typedef struct Mover {
    Cluster *cluster;
    LabSlice *slice;
    LabMove move;
} Mover;

static gpointer move_thread(gpointer opaque)
{
    Mover *mover = opaque;
    g_autoptr(GError) error = NULL;

    lab_slice_move(mover->cluster->lab, mover->slice->id,
                   lab_vm_name(cluster_other(mover->cluster, mover->slice->vm)), &mover->move,
                   &error);
    g_assert_no_error(error);
    return NULL;
}

static void test_other_version(Cluster *cluster)
{
    g_autoptr(HttpConnection) http = cluster_connect(cluster, 0);
    g_autoptr(GError) error = NULL;
    uint64_t counter = 0;
    g_autofree char *before = cluster_get_vm(http, &counter), *after = NULL;
    g_autoptr(LabSlice) slice = cluster_slice(cluster, http);
    Mover mover = { cluster, slice };
    HttpResponse first, second;
    GThread *thread;
    char peeked;

    change_layer_version(cluster_other(cluster, before));
    cluster_judge(cluster, http);
    http_send(http, "/slow.php?ms=1000&early=1", &error);
    g_assert_no_error(error);
    g_assert_cmpint(recv(http_connection_fd(http), &peeked, 1, MSG_PEEK), ==, 1);
    thread = g_thread_new("mover", move_thread, &mover);
    http_send(http, "/count.php", &error);
    g_assert_no_error(error);
    http_receive(http, TEST_TIMEOUT_MS, &first, &error);
    g_assert_no_error(error);
    http_check_page(&first, &counter, &error);
    g_assert_no_error(error);
    http_receive(http, TEST_TIMEOUT_MS, &second, &error);
    g_assert_no_error(error);
    http_check_page(&second, &counter, &error);
    g_assert_no_error(error);
    g_thread_join(thread);
    g_assert_cmpstr(mover.move.result, ==, "failed");
    g_assert_cmpstr(mover.move.error, ==, "refused");
    g_assert_cmpstr(http_response_header(&second, "x-vm"), ==, before);
    after = cluster_get_vm(http, &counter);
    g_assert_cmpstr(after, ==, before);
    cluster_finish(cluster);
    http_response_clear(&first);
    http_response_clear(&second);
    lab_move_clear(&mover.move);
}

static void add_tests(void)
{
    cluster_add("/vm/refusal/of-another-layer-version-is-undone-and-the-waiting-request-answered",
                test_other_version);
}

int main(int argc, char **argv)
{
    return cluster_main(argc, argv, add_tests);
}
