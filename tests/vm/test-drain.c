// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-drain.c - an operator empties a VM while its clients go on
 *
 *      cl1 ─── br0 ─┬─ web1      all connections are of one client, so the spread
 *                   └─ web2      puts them on one VM: that one is drained
 */
#include <string.h>
#include <sys/socket.h>

#include "cluster.h"

#define N_SESSIONS 6
/* slicectl(1): of several slices some were moved; the same can succeed later */
#define EXIT_PARTLY 7
#define EXIT_BUSY 4

typedef struct Session {
    HttpConnection *http;
    uint64_t counter;
    char *vm;
} Session;

static int run(Cluster *cluster, char **ret_output, const char *line)
{
    g_auto(GStrv) args = g_strsplit(line, " ", -1);
    g_autoptr(GError) error = NULL;
    int status;

    lab_slicectl(cluster->lab, (const char *const *)args, ret_output, &status, &error);
    g_assert_no_error(error);
    return status;
}

static int ctl(Cluster *cluster, char **ret_output, const char *format, const char *vm)
{
    g_autofree char *line = g_strdup_printf("%s %s", format, vm);

    return run(cluster, ret_output, line);
}

static void open_sessions(Cluster *cluster, Session sessions[N_SESSIONS])
{
    for (int i = 0; i < N_SESSIONS; i++) {
        g_autoptr(LabSlice) slice = NULL;

        sessions[i] = (Session){ .http = cluster_connect(cluster, 0) };
        sessions[i].vm = cluster_get_vm(sessions[i].http, &sessions[i].counter);
        g_assert_cmpstr(sessions[i].vm, ==, sessions[0].vm);
        slice = cluster_slice(cluster, sessions[i].http);
        cluster_judge(cluster, sessions[i].http);
    }
}

/* The lab keeps sliced's store from test to test: its cordons, too. */
static void end(Cluster *cluster, Session sessions[N_SESSIONS])
{
    int status;

    do { /* a drain may have emptied its VM and not ended yet */
        status = ctl(cluster, NULL, "vm uncordon", sessions[0].vm);
    } while (status == EXIT_BUSY);
    g_assert_cmpint(status, ==, 0);
    for (int i = 0; i < N_SESSIONS; i++) {
        http_connection_free(sessions[i].http);
        g_free(sessions[i].vm);
    }
}

static void assert_all_at(Session sessions[N_SESSIONS], const char *vm)
{
    for (int i = 0; i < N_SESSIONS; i++) {
        g_autofree char *now = cluster_get_vm(sessions[i].http, &sessions[i].counter);

        g_assert_cmpstr(now, ==, vm);
    }
}

static char *where_a_new_connection_goes(Cluster *cluster)
{
    g_autoptr(HttpConnection) http = cluster_connect(cluster, 0);
    uint64_t counter = 0;

    return cluster_get_vm(http, &counter);
}

static void test_drain(Cluster *cluster)
{
    Session sessions[N_SESSIONS];
    const char *other;
    g_autofree char *output = NULL, *left = NULL, *fresh = NULL;

    open_sessions(cluster, sessions);
    other = lab_vm_name(cluster_other(cluster, sessions[0].vm));
    g_assert_cmpint(ctl(cluster, &output, "vm drain", sessions[0].vm), ==, 0);
    g_test_message("%s", output);
    g_assert_cmpint(ctl(cluster, &left, "slice list --json --vm", sessions[0].vm), ==, 0);
    g_assert_cmpstr(g_strstrip(left), ==, "[]");
    assert_all_at(sessions, other);
    cluster_finish(cluster);
    fresh = where_a_new_connection_goes(cluster);
    g_assert_cmpstr(fresh, ==, other);
    end(cluster, sessions);
}

/* What it has stays and is served, what is new goes elsewhere; uncordoned, it gets new ones again. */
static void test_cordon(Cluster *cluster)
{
    Session sessions[N_SESSIONS];
    const char *other;
    g_autofree char *during = NULL, *after = NULL;

    open_sessions(cluster, sessions);
    other = lab_vm_name(cluster_other(cluster, sessions[0].vm));
    g_assert_cmpint(ctl(cluster, NULL, "vm cordon", sessions[0].vm), ==, 0);
    during = where_a_new_connection_goes(cluster);
    g_assert_cmpstr(during, ==, other);
    assert_all_at(sessions, sessions[0].vm);
    g_assert_cmpint(ctl(cluster, NULL, "vm uncordon", sessions[0].vm), ==, 0);
    after = where_a_new_connection_goes(cluster);
    g_assert_cmpstr(after, ==, sessions[0].vm);
    cluster_finish(cluster);
    end(cluster, sessions);
}

/*
 * One request lasts longer than the drain may: the others move, that one is answered
 * where it began, and the drain says why it stays.
 */
static void test_long_request_stays(Cluster *cluster)
{
    Session sessions[N_SESSIONS];
    g_autoptr(GError) error = NULL;
    g_autofree char *output = NULL;
    HttpResponse response;
    char peeked;

    open_sessions(cluster, sessions);
    http_send(sessions[0].http, "/slow.php?ms=5000&early=1", &error);
    g_assert_no_error(error);
    g_assert_cmpint(recv(http_connection_fd(sessions[0].http), &peeked, 1, MSG_PEEK), ==, 1);
    g_assert_cmpint(ctl(cluster, &output, "vm drain --deadline 2s --slice-deadline 500ms",
                        sessions[0].vm), ==, EXIT_PARTLY);
    g_test_message("%s", output);
    g_assert_nonnull(strstr(output, "busy: "));
    http_receive(sessions[0].http, TEST_TIMEOUT_MS, &response, &error);
    g_assert_no_error(error);
    http_check_page(&response, &sessions[0].counter, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(http_response_header(&response, "x-vm"), ==, sessions[0].vm);
    for (int i = 1; i < N_SESSIONS; i++) {
        g_autofree char *vm = cluster_get_vm(sessions[i].http, &sessions[i].counter);

        g_assert_cmpstr(vm, !=, sessions[0].vm);
    }
    cluster_finish(cluster);
    http_response_clear(&response);
    end(cluster, sessions);
}

/* sliced is killed in the middle; the next one finishes the drain without being asked. */
static void test_drain_outlives_sliced(Cluster *cluster)
{
    Session sessions[N_SESSIONS];
    const char *other;
    g_autoptr(GError) error = NULL;
    g_autofree char *left = NULL;
    HttpResponse response;

    open_sessions(cluster, sessions);
    other = lab_vm_name(cluster_other(cluster, sessions[0].vm));
    http_send(sessions[0].http, "/slow.php?ms=3000", &error);
    g_assert_no_error(error);
    g_assert_cmpint(ctl(cluster, NULL, "vm drain --no-wait", sessions[0].vm), ==, 0);
    g_assert_true(lab_sliced_stop(cluster->lab, SIGKILL, &error));
    g_assert_true(lab_sliced_start(cluster->lab, cluster->host, &error));
    g_assert_no_error(error);
    http_receive(sessions[0].http, TEST_TIMEOUT_MS, &response, &error);
    g_assert_no_error(error);
    http_check_page(&response, &sessions[0].counter, &error);
    g_assert_no_error(error);
    do {
        g_clear_pointer(&left, g_free);
        g_assert_cmpint(ctl(cluster, &left, "slice list --json --vm", sessions[0].vm), ==, 0);
    } while (strcmp(g_strstrip(left), "[]"));
    assert_all_at(sessions, other);
    cluster_finish(cluster);
    http_response_clear(&response);
    end(cluster, sessions);
}

static void add_tests(void)
{
    cluster_add("/vm/drain/moves-every-session-and-new-ones-go-elsewhere", test_drain);
    cluster_add("/vm/drain/cordoned-vm-keeps-what-it-has", test_cordon);
    cluster_add("/vm/drain/long-request-stays-and-is-answered", test_long_request_stays);
    cluster_add("/vm/drain/goes-on-after-sliced-was-killed", test_drain_outlives_sliced);
}

int main(int argc, char **argv)
{
    return cluster_main(argc, argv, add_tests);
}
