// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-move.c - a live connection and its PHP session move to another VM
 *
 *      cl1 ─── br0 ─┬─ web1      each test: one or more sessions on kept
 *                   └─ web2      connections; the capture is judged at its end
 *
 * That the session moved is seen in what the pages say: the VM's name changes,
 * the counter kept in $_SESSION goes on.
 */
#include <string.h>
#include <sys/socket.h>

#include "cluster.h"

/* Its slice, once it has the session: until then it may be known by the id of its
 * connection alone. */
static LabSlice *session_slice(Cluster *cluster, HttpConnection *http)
{
    gint64 deadline = g_get_monotonic_time() + TEST_TIMEOUT_MS * G_TIME_SPAN_MILLISECOND;

    for (;;) {
        g_autoptr(LabSlice) slice = cluster_slice(cluster, http);

        if (slice->label[0]) {
            return g_steal_pointer(&slice);
        }
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    }
}

static void receive(HttpConnection *http, uint64_t *counter, HttpResponse *ret_response)
{
    g_autoptr(GError) error = NULL;

    http_receive(http, TEST_TIMEOUT_MS, ret_response, &error);
    g_assert_no_error(error);
    http_check_page(ret_response, counter, &error);
    g_assert_no_error(error);
}

/* There and back, between two requests. */
static void move_idle(Cluster *cluster, HttpConnection *http)
{
    g_autoptr(LabSlice) slice = NULL;
    uint64_t counter = 0;
    g_autofree char *before = cluster_get_vm(http, &counter), *after = NULL, *back = NULL;

    slice = session_slice(cluster, http);
    g_assert_cmpstr(slice->vm, ==, before);
    cluster_judge(cluster, http);
    cluster_move(cluster, slice);
    after = cluster_get_vm(http, &counter);
    g_assert_cmpstr(after, ==, lab_vm_name(cluster_other(cluster, before)));
    cluster_move(cluster, slice);
    back = cluster_get_vm(http, &counter);
    g_assert_cmpstr(back, ==, before);
}

static void test_idle(Cluster *cluster)
{
    g_autoptr(HttpConnection) http = cluster_connect(cluster, 0);

    move_idle(cluster, http);
    cluster_finish(cluster);
}

/* The client found the cluster by asking its neighbours: the switch answered. */
static void test_ipv6(Cluster *cluster)
{
    g_autoptr(HttpConnection) http = cluster_connect6(cluster);
    g_autoptr(LabSlice) slice = NULL;
    g_autoptr(GError) error = NULL;
    HttpResponse response;
    uint64_t counter = 3;       /* of pages, above */

    move_idle(cluster, http);
    slice = session_slice(cluster, http);
    http_send(http, "/slow.php?ms=200", &error);
    g_assert_no_error(error);
    cluster_move(cluster, slice);
    receive(http, &counter, &response);
    http_response_clear(&response);
    cluster_finish(cluster);
}

/* Moves the slice while the caller goes on using the connection. */
typedef struct Mover {
    Cluster *cluster;
    LabSlice *slice;
} Mover;

static gpointer move_thread(gpointer opaque)
{
    Mover *mover = opaque;

    cluster_move(mover->cluster, mover->slice);
    return NULL;
}

/* Until the source says that nobody works on the slice any more. */
static void wait_quiesced(LabVm *vm)
{
    g_autoptr(GError) error = NULL;
    LabQmp *qmp = lab_vm_qmp(vm, &error);
    bool quiesced = false;

    g_assert_no_error(error);
    while (!quiesced) {
        g_autoptr(JsonObject) event = lab_qmp_wait_event(qmp, "SLICE_MOVE", TEST_TIMEOUT_MS,
                                                         &error);

        g_assert_no_error(error);
        quiesced = !strcmp(json_object_get_string_member(
                               json_object_get_object_member(event, "data"), "step"), "quiesced");
    }
}

/*
 * The request arrives when the slice is frozen and still plugged at the source
 * (or just not any more): it must not be started there.  It waits unread, goes
 * along, and is answered by the target.
 */
static void test_unread_input(Cluster *cluster)
{
    g_autoptr(HttpConnection) http = cluster_connect(cluster, 0);
    g_autoptr(GError) error = NULL;
    uint64_t counter = 0;
    g_autofree char *before = cluster_get_vm(http, &counter);
    g_autoptr(LabSlice) slice = session_slice(cluster, http);
    LabQmp *qmp = lab_vm_qmp(cluster_vm(cluster, before), &error);
    Mover mover = { cluster, slice };
    HttpResponse response;
    GThread *thread;

    g_assert_nonnull(qmp);      /* connected, so that no event is missed */
    cluster_judge(cluster, http);
    thread = g_thread_new("mover", move_thread, &mover);
    wait_quiesced(cluster_vm(cluster, before));
    http_send(http, "/count.php", &error);
    g_assert_no_error(error);
    receive(http, &counter, &response);
    g_thread_join(thread);
    g_assert_cmpstr(http_response_header(&response, "x-vm"), ==,
                    lab_vm_name(cluster_other(cluster, before)));
    cluster_finish(cluster);
    http_response_clear(&response);
}

/*
 * The first request is being served (half of its answer is here) when the move
 * begins, the second arrives meanwhile: the move waits for the first to end, the
 * second travels unread.  Both are answered once and in order.
 */
static void test_behind_one_in_flight(Cluster *cluster)
{
    g_autoptr(HttpConnection) http = cluster_connect(cluster, 0);
    g_autoptr(GError) error = NULL;
    uint64_t counter = 0;
    g_autofree char *before = cluster_get_vm(http, &counter);
    g_autoptr(LabSlice) slice = session_slice(cluster, http);
    Mover mover = { cluster, slice };
    HttpResponse first, second;
    char peeked;
    GThread *thread;

    cluster_judge(cluster, http);
    http_send(http, "/slow.php?ms=1500&early=1", &error);
    g_assert_no_error(error);
    g_assert_cmpint(recv(http_connection_fd(http), &peeked, 1, MSG_PEEK), ==, 1);
    thread = g_thread_new("mover", move_thread, &mover);
    http_send(http, "/count.php", &error);
    g_assert_no_error(error);
    receive(http, &counter, &first);
    receive(http, &counter, &second);
    g_thread_join(thread);
    g_assert_cmpstr(http_response_header(&first, "x-vm"), ==, before);
    g_assert_cmpstr(http_response_header(&second, "x-vm"), ==,
                    lab_vm_name(cluster_other(cluster, before)));
    cluster_finish(cluster);
    http_response_clear(&first);
    http_response_clear(&second);
}

/* What the guest's kernel still has to send on a connection, or to get acknowledged. */
static unsigned int send_queue(LabVm *vm, HttpConnection *http)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *script = g_strdup_printf(
        "awk '$3 ~ /:%04X$/ { split($5, q, \":\"); print q[1] }' /proc/net/tcp /proc/net/tcp6",
        http_local_port(http));
    g_autofree char *output = lab_vm_shell(vm, script, &error);

    g_assert_no_error(error);
    return g_ascii_strtoull(output, NULL, 16);
}

/*
 * The client does not read: its window fills, the rest of the answer stays in
 * the server's send queue, partly sent, and moves in it.
 */
static void test_unsent_output(Cluster *cluster)
{
    g_autoptr(HttpConnection) http = cluster_connect(cluster, 4096);
    g_autoptr(GError) error = NULL;
    uint64_t counter = 0;
    g_autofree char *before = cluster_get_vm(http, &counter), *after = NULL;
    g_autoptr(LabSlice) slice = session_slice(cluster, http);
    HttpResponse response;
    char peeked;

    cluster_judge(cluster, http);
    http_send(http, "/large.php?kb=16", &error);
    g_assert_no_error(error);
    g_assert_cmpint(recv(http_connection_fd(http), &peeked, 1, MSG_PEEK), ==, 1);
    cluster_move(cluster, slice);
    g_assert_cmpuint(send_queue(cluster_vm(cluster, slice->vm), http), >, 1024);
    http_receive(http, TEST_TIMEOUT_MS, &response, &error);
    g_assert_no_error(error);
    http_check_page(&response, &counter, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(response.body_bytes, ==, 16 * 1024);
    after = cluster_get_vm(http, &counter);
    g_assert_cmpstr(after, ==, lab_vm_name(cluster_other(cluster, before)));
    cluster_finish(cluster);
    http_response_clear(&response);
}

/* ---- under load ---- */

#define N_LOAD 4
#define N_MOVES_ALL 100         /* with --all */
#define N_MOVES 32

/**
 * struct Load - a client that clicks without pause
 * @n_answers: so far, under @lock; -1 when it has ended
 */
typedef struct Load {
    Cluster *cluster;
    HttpConnection *http;
    LabSlice *slice;
    const char *page;
    uint64_t counter;
    gint *stop;
    GError *error;
    GThread *thread;
    GMutex lock;
    GCond answered;
    int n_answers;
} Load;

static void load_tell(Load *load, int n_answers)
{
    g_mutex_lock(&load->lock);
    load->n_answers = n_answers;
    g_cond_signal(&load->answered);
    g_mutex_unlock(&load->lock);
}

static gpointer load_thread(gpointer opaque)
{
    Load *load = opaque;
    int n = 0;

    while (!load->error && !g_atomic_int_get(load->stop)) {
        HttpResponse response;

        if (http_get(load->http, load->page, TEST_TIMEOUT_MS, &response, &load->error) &&
            http_check_page(&response, &load->counter, &load->error)) {
            load_tell(load, ++n);
        }
        http_response_clear(&response);
    }
    load_tell(load, -1);
    return NULL;
}

/* More than @n answers, or its end.  Returns how many there are. */
static int load_wait(Load *load, int n)
{
    int now;

    g_mutex_lock(&load->lock);
    while (load->n_answers >= 0 && load->n_answers <= n) {
        g_cond_wait(&load->answered, &load->lock);
    }
    now = load->n_answers;
    g_mutex_unlock(&load->lock);
    return now;
}

/* Between two moves of a session its client is served: nobody starves. */
static void test_load(Cluster *cluster)
{
    static const char *const pages[N_LOAD] = {
        "/count.php", "/slow.php?ms=100", "/large.php?kb=256", "/slow.php?ms=30",
    };
    unsigned int n_moves = cluster_all() ? N_MOVES_ALL : N_MOVES;
    Load loads[N_LOAD];
    int n_seen[N_LOAD] = { 0 };
    gint stop = 0;

    for (int i = 0; i < N_LOAD; i++) {
        Load *load = &loads[i];
        g_autofree char *vm = NULL;

        *load = (Load){ .cluster = cluster, .page = pages[i], .stop = &stop };
        g_mutex_init(&load->lock);
        g_cond_init(&load->answered);
        load->http = cluster_connect(cluster, 32768);
        vm = cluster_get_vm(load->http, &load->counter);
        load->slice = session_slice(cluster, load->http);
        cluster_judge(cluster, load->http);
        load->thread = g_thread_new("load", load_thread, load);
    }
    for (unsigned int i = 0; i < n_moves; i++) {
        Load *load = &loads[i % N_LOAD];

        n_seen[i % N_LOAD] = load_wait(load, n_seen[i % N_LOAD]);
        if (n_seen[i % N_LOAD] < 0) {
            break;
        }
        cluster_move(cluster, load->slice);
    }
    g_atomic_int_set(&stop, 1);
    for (int i = 0; i < N_LOAD; i++) {
        g_thread_join(loads[i].thread);
        g_assert_no_error(loads[i].error);
        g_test_message("%s: %u answers", loads[i].page, (unsigned)loads[i].counter);
        g_assert_cmpuint(loads[i].counter, >, n_moves / N_LOAD);
    }
    cluster_finish(cluster);
    for (int i = 0; i < N_LOAD; i++) {
        g_cond_clear(&loads[i].answered);
        g_mutex_clear(&loads[i].lock);
        http_connection_free(loads[i].http);
        lab_slice_free(loads[i].slice);
    }
}

static void add_tests(void)
{
    cluster_add_next("/vm/move/an-idle-connection-moves-there-and-back", test_idle);
    cluster_add_next("/vm/move/an-ipv6-connection-moves-there-and-back", test_ipv6);
    cluster_add_next("/vm/move/unread-input-is-answered-by-the-target", test_unread_input);
    cluster_add_next("/vm/move/a-request-behind-one-in-flight-travels",
                     test_behind_one_in_flight);
    cluster_add_next("/vm/move/unsent-and-unacknowledged-output-arrives-whole", test_unsent_output);
    cluster_add_next("/vm/move/many-moves-under-load-lose-nothing", test_load);
}

int main(int argc, char **argv)
{
    return cluster_main(argc, argv, add_tests);
}
