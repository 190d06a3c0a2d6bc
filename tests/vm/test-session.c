// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-session.c - sessions as applications have them: labels, new ids, work
 * after the answer, uploads, several addresses, a server that restarts
 *
 *      cl1 ─── br0 ─┬─ web1      Apache and PHP in both
 *                   └─ web2
 */
#include <string.h>
#include <sys/socket.h>

#include "cluster.h"

static void receive(HttpConnection *http, uint64_t *counter, HttpResponse *ret_response)
{
    g_autoptr(GError) error = NULL;

    http_receive(http, TEST_TIMEOUT_MS, ret_response, &error);
    g_assert_no_error(error);
    http_check_page(ret_response, counter, &error);
    g_assert_no_error(error);
}

static char *get_header(HttpConnection *http, const char *page, uint64_t *counter,
                        const char *header)
{
    HttpResponse response;
    char *value;

    cluster_get(http, page, counter, &response);
    value = g_strdup(http_response_header(&response, header));
    http_response_clear(&response);
    return value;
}

static void test_label(Cluster *cluster)
{
    g_autoptr(HttpConnection) http = cluster_connect(cluster, 0);
    g_autoptr(LabSlice) slice = NULL, again = NULL;
    uint64_t counter = 0;
    g_autofree char *first = get_header(http, "/session.php?do=label&to=alice", &counter, "x-vm");

    slice = cluster_labelled(cluster, "alice", 1);
    g_assert_cmpuint(slice->client_port, ==, http_local_port(http));
    cluster_judge(cluster, http);
    cluster_move(cluster, slice);
    again = cluster_labelled(cluster, "alice", 1);
    g_assert_cmpstr(again->vm, ==, slice->vm);
    g_assert_cmpstr(again->vm, !=, first);
    cluster_finish(cluster);
}

static void test_new_id(Cluster *cluster)
{
    g_autoptr(HttpConnection) http = cluster_connect(cluster, 0);
    uint64_t counter = 0;
    g_autofree char *before = get_header(http, "/count.php", &counter, "x-session");
    g_autofree char *vm = NULL, *after = NULL, *moved = NULL;
    g_autoptr(LabSlice) slice = NULL;

    cluster_judge(cluster, http);
    after = get_header(http, "/session.php?do=login", &counter, "x-session");
    g_assert_cmpstr(after, !=, before);
    /* The id is new, and so is the slice's: its top is another capsule. */
    vm = get_header(http, "/session.php?do=label&to=login", &counter, "x-vm");
    slice = cluster_labelled(cluster, "login", 1);
    cluster_move(cluster, slice);
    moved = get_header(http, "/count.php", &counter, "x-vm");
    g_assert_cmpstr(moved, !=, vm);
    cluster_finish(cluster);
}

/*
 * A session that has moved ends, its connection goes on: at no moment is that
 * one nobody's, so the switch leads it where it is.
 */
static void test_connection_outlives_session(Cluster *cluster)
{
    g_autoptr(HttpConnection) http = cluster_connect(cluster, 0);
    gint64 deadline = g_get_monotonic_time() + TEST_TIMEOUT_MS * G_TIME_SPAN_MILLISECOND;
    uint64_t counter = 0;
    g_autofree char *home = cluster_get_vm(http, &counter), *last = NULL, *next = NULL;
    g_autoptr(LabSlice) slice = cluster_slice(cluster, http), rest = NULL;

    cluster_judge(cluster, http);
    cluster_move(cluster, slice);
    last = get_header(http, "/logout.php", &counter, "x-vm");
    g_assert_cmpstr(last, !=, home);
    do {
        g_clear_pointer(&rest, lab_slice_free);
        rest = cluster_slice(cluster, http);
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    } while (!strcmp(rest->id, slice->id));
    g_assert_cmpstr(rest->vm, ==, last);
    counter = 0;
    next = cluster_get_vm(http, &counter);
    g_assert_cmpstr(next, ==, last);
    cluster_finish(cluster);
}

/*
 * The answer is here, the script is not done, and leaves it to PHP to write the
 * session in the end: the session is busy until then, and nothing is lost.
 */
static void test_work_after_the_answer(Cluster *cluster)
{
    g_autoptr(HttpConnection) http = cluster_connect(cluster, 0);
    uint64_t counter = 0;
    g_autofree char *vm = cluster_get_vm(http, &counter), *late = NULL;
    g_autoptr(LabSlice) slice = cluster_slice(cluster, http);

    cluster_judge(cluster, http);
    for (int i = 0; i < 2; i++) {
        g_autofree char *old = get_header(http, "/session.php?do=late&ms=700", &counter, "x-late");

        cluster_move(cluster, slice);
        g_assert_cmpint(atoi(old), ==, i);
    }
    late = get_header(http, "/session.php", &counter, "x-late");
    g_assert_cmpstr(late, ==, "2");
    g_assert_cmpstr(slice->vm, ==, vm);
    cluster_finish(cluster);
}

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

static void send_text(HttpConnection *http, const char *text)
{
    size_t bytes = strlen(text);

    g_assert_cmpint(send(http_connection_fd(http), text, bytes, MSG_NOSIGNAL), ==, bytes);
}

#define UPLOAD_PIECES 20
#define PIECE_BYTES 5000

/*
 * A move begins in the middle of an upload, right behind which another request
 * is sent: the upload ends where it began, the request behind it travels.
 */
static void test_upload(Cluster *cluster)
{
    g_autoptr(HttpConnection) http = cluster_connect(cluster, 0);
    uint64_t counter = 0;
    g_autofree char *before = cluster_get_vm(http, &counter);
    g_autofree char *session = get_header(http, "/count.php", &counter, "x-session");
    g_autofree char *piece = g_strnfill(PIECE_BYTES, 'u'), *head = NULL, *next = NULL;
    g_autofree char *digest = NULL, *expected = NULL;
    g_autoptr(LabSlice) slice = cluster_slice(cluster, http);
    g_autoptr(GString) body = g_string_new(NULL);
    Mover mover = { cluster, slice };
    HttpResponse upload, behind;
    GThread *thread = NULL;

    cluster_judge(cluster, http);
    head = g_strdup_printf("POST /session.php?do=upload HTTP/1.1\r\nHost: x\r\n"
                           "Cookie: PHPSESSID=%s\r\nContent-Length: %d\r\n\r\n", session,
                           UPLOAD_PIECES * PIECE_BYTES);
    next = g_strdup_printf("%sGET /count.php HTTP/1.1\r\nHost: x\r\n"
                           "Cookie: PHPSESSID=%s\r\n\r\n", piece, session);
    send_text(http, head);
    for (int i = 1; i < UPLOAD_PIECES; i++) {
        if (i == UPLOAD_PIECES / 2) {
            thread = g_thread_new("mover", move_thread, &mover);
        }
        send_text(http, piece);
        g_string_append(body, piece);
    }
    send_text(http, next);
    g_string_append(body, piece);
    receive(http, &counter, &upload);
    receive(http, &counter, &behind);
    g_thread_join(thread);
    digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, body->str, body->len);
    expected = g_strdup_printf("%zu %s\n", body->len, digest);
    g_assert_cmpstr(upload.body, ==, expected);
    g_assert_cmpstr(http_response_header(&behind, "x-vm"), ==,
                    lab_vm_name(cluster_other(cluster, before)));
    cluster_finish(cluster);
    http_response_clear(&upload);
    http_response_clear(&behind);
}

/* Another client, whom the spread leads to another VM than @vm. */
static HttpConnection *connect_elsewhere(Cluster *cluster, const char *vm)
{
    static unsigned int number = 2;

    for (; number < 20; number++) {
        g_autoptr(GError) error = NULL;
        LabClient *client = lab_client_new(cluster->lab, number, &error);
        g_autoptr(HttpConnection) http = NULL;
        g_autofree char *there = NULL;
        uint64_t counter = 0;
        int fd;

        g_assert_no_error(error);
        fd = lab_client_socket(client, &error);
        g_assert_no_error(error);
        http = http_connection_new(fd, LAB_CLUSTER_ADDRESS, 80, TEST_TIMEOUT_MS, &error);
        g_assert_no_error(error);
        there = cluster_get_vm(http, &counter);
        if (strcmp(there, vm)) {
            number++;
            return g_steal_pointer(&http);
        }
    }
    g_assert_not_reached();
}

/*
 * A session is used from a second address, by a connection that the spread led
 * to a VM which does not have it, and which has served another session before:
 * it goes to the session, unread, and stays with it from then on.
 */
static void test_arrival_elsewhere(Cluster *cluster)
{
    g_autoptr(HttpConnection) first = cluster_connect(cluster, 0), second = NULL;
    uint64_t counter = 0;
    g_autofree char *home = cluster_get_vm(first, &counter);
    g_autofree char *session = get_header(first, "/count.php", &counter, "x-session");
    g_autofree char *request = g_strdup_printf("GET /count.php HTTP/1.1\r\nHost: x\r\n"
                                               "Cookie: PHPSESSID=%s\r\n\r\n", session);
    g_autoptr(LabSlice) slice = NULL;

    g_free(get_header(first, "/session.php?do=label&to=two", &counter, "x-vm"));
    second = connect_elsewhere(cluster, home);
    cluster_judge(cluster, first);
    for (int i = 0; i < 2; i++) {
        g_autofree char *vm = NULL;
        HttpResponse response;

        send_text(second, request);
        receive(second, &counter, &response);
        vm = cluster_get_vm(first, &counter);
        g_assert_cmpstr(http_response_header(&response, "x-session"), ==, session);
        g_assert_cmpstr(http_response_header(&response, "x-vm"), ==, vm);
        http_response_clear(&response);
        if (i == 0) {
            g_assert_cmpstr(vm, ==, home);
            slice = cluster_labelled(cluster, "two", 2);
            cluster_move(cluster, slice);
        } else {
            g_assert_cmpstr(vm, !=, home);
        }
    }
    cluster_finish(cluster);
}

/* While its server restarts a VM takes nothing; then it does again. */
static void test_comes_back_after_a_restart(Cluster *cluster)
{
    gint64 deadline = g_get_monotonic_time() + TEST_TIMEOUT_MS * G_TIME_SPAN_MILLISECOND;
    g_autoptr(HttpConnection) http = cluster_connect(cluster, 0);
    uint64_t counter = 0;
    g_autofree char *home = cluster_get_vm(http, &counter), *output = NULL, *after = NULL;
    g_autoptr(LabSlice) slice = cluster_slice(cluster, http);
    g_autoptr(GError) error = NULL;
    bool moved = false;

    cluster_judge(cluster, http);
    cluster_move(cluster, slice);
    output = lab_vm_shell(cluster_vm(cluster, home), "kill -USR1 $(cat /run/apache2/apache2.pid)",
                          &error);
    g_assert_no_error(error);
    while (!moved) {
        LabMove move;

        lab_slice_move(cluster->lab, slice->id, home, &move, &error);
        g_assert_no_error(error);
        moved = !strcmp(move.result, "moved");
        lab_move_clear(&move);
        g_clear_pointer(&after, g_free);
        after = cluster_get_vm(http, &counter);
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    }
    g_assert_cmpstr(after, ==, home);
    cluster_finish(cluster);
}

static void add_tests(void)
{
    cluster_add_next("/vm/session/has-the-label-that-the-application-gave-it", test_label);
    cluster_add_next("/vm/session/moves-on-under-a-new-id", test_new_id);
    cluster_add_next("/vm/session/a-connection-that-outlives-it-is-not-led-astray",
                     test_connection_outlives_session);
    cluster_add_next("/vm/session/work-after-the-answer-is-not-lost", test_work_after_the_answer);
    cluster_add_next("/vm/session/an-upload-ends-and-what-is-behind-it-travels", test_upload);
    cluster_add_next("/vm/session/a-connection-goes-to-where-its-session-is", test_arrival_elsewhere);
    cluster_add_next("/vm/session/comes-back-to-a-server-that-was-restarted",
                     test_comes_back_after_a_restart);
}

int main(int argc, char **argv)
{
    return cluster_main(argc, argv, add_tests);
}
