// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-mix.c - sessions as they are in the wild move all the time
 *
 *      cl1 ─── br0 ─┬─ web1      20 sessions, each with habits of its own; while
 *                   └─ web2      they go on, slices move to and fro
 *
 * No client may see an error, however often its session moves: no connection
 * that ends unasked, no counter that is not one more than before, no byte that
 * is not as it was sent.  When all have logged out and hung up, nothing of them
 * may be left anywhere: capsules, slices, sockets, rules, held packets.
 *
 * With MIX_RESTART in the environment both web servers restart gracefully now and
 * then, while slices move.  All sessions are still then, half of them idle, half
 * with a request under way; their connections end as they would without us, and
 * they come back on others.  That still finds errors (docs/status.md).
 *
 * The normal run makes a sample of the moves, `run test --all` all of them.
 * MIX_HABIT in the environment is a habit that all sessions are to have, to look
 * for the cause of an error; with MIX_STAY they stay where they are for a minute.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "cluster.h"

#define N_SESSIONS 20
#define N_MOVES_SAMPLE 40
#define N_MOVES_ALL 300
/* Slices that have ended in the meantime, or had a request without end. */
#define N_TRIES_FACTOR 10
/* Moves from one restart to the next, and with old children still there. */
#define MOVES_TO_RESTART 25
#define MOVES_IN_RESTART 3
#define PIPELINE 3
#define UPLOAD_CHUNKS 16
#define CHUNK_BYTES 8192
#define WEB_PORT 80
/* Where idle connections end soon. */
#define SHORT_PORT 81

/*
 * A graceful restart: first all sessions become still (@n_still), then it is
 * made, then they may go on.
 */
typedef struct Restart {
    GMutex mutex;
    GCond changed;
    bool is_wanted, is_over;
    unsigned int n_still;
} Restart;

typedef struct Session {
    Cluster *cluster;
    Restart *restart;
    unsigned int number;
    const struct Habit *habit;
    GRand *rand;
    HttpConnection *http;
    uint64_t counter, after;
    unsigned int n_requests;
    gint *stop;
    gint failed;                /* atomic: @error is set, the thread has ended */
    GError *error;
    GThread *thread;
} Session;

typedef struct Habit {
    const char *name;
    bool (*act)(Session *session);
    int receive_bytes;          /* of its connections; 0: the system's */
    uint16_t port;
} Habit;

/* ---- what a session does ---- */

static bool connect_session(Session *s)
{
    int fd = lab_client_socket(s->cluster->client, &s->error);

    if (fd >= 0 && s->habit->receive_bytes) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &s->habit->receive_bytes,
                   sizeof(s->habit->receive_bytes));
    }
    s->http = fd < 0 ? NULL : http_connection_new(fd, LAB_CLUSTER_ADDRESS, s->habit->port,
                                                  TEST_TIMEOUT_MS, &s->error);
    return s->http != NULL;
}

/* A moment in which nothing is asked for; that is what it is. */
static void think(Session *s, int max_ms)
{
    g_usleep(1000 * g_rand_int_range(s->rand, 0, max_ms));
}

static bool check_after(Session *s, const HttpResponse *response)
{
    const char *after = http_response_header(response, "x-after");

    if (!after || g_ascii_strtoull(after, NULL, 10) != s->after) {
        g_set_error(&s->error, HTTP_ERROR, HTTP_ERROR_SYNTAX,
                    "%s pieces of work were done behind answers, not %" G_GUINT64_FORMAT,
                    after ? after : "no", s->after);
        return false;
    }
    return true;
}

/* The next answer; @upload: the digest that it must tell, or NULL. */
static bool receive(Session *s, const char *upload)
{
    HttpResponse response;
    bool ok = http_receive(s->http, TEST_TIMEOUT_MS, &response, &s->error) &&
              http_check_page(&response, &s->counter, &s->error) && check_after(s, &response);

    if (ok && upload && g_strcmp0(upload, http_response_header(&response, "x-upload-sha256"))) {
        g_set_error(&s->error, HTTP_ERROR, HTTP_ERROR_SYNTAX, "the upload arrived differently: %s",
                    response.body);
        ok = false;
    }
    http_response_clear(&response);
    s->n_requests += ok;
    return ok;
}

static bool get(Session *s, const char *page)
{
    return http_send(s->http, page, &s->error) && receive(s, NULL);
}

static bool click(Session *s)
{
    think(s, 20);
    return get(s, "/count.php");
}

static bool work(Session *s)
{
    return get(s, "/slow.php?ms=80");
}

static bool pieces(Session *s)
{
    g_autofree char *text = http_request(s->http, "GET", "/count.php", "");
    size_t bytes = strlen(text), at = 0;

    while (at < bytes) {
        size_t n = g_rand_int_range(s->rand, 1, 40);

        n = MIN(n, bytes - at);
        if (!http_send_bytes(s->http, text + at, n, &s->error)) {
            return false;
        }
        at += n;
        think(s, 15);
    }
    return receive(s, NULL);
}

static bool pipeline(Session *s)
{
    g_autofree char *quick = http_request(s->http, "GET", "/count.php", "");
    g_autofree char *slow = http_request(s->http, "GET", "/slow.php?ms=30", "");
    g_autofree char *text = g_strconcat(quick, slow, quick, NULL);

    if (!http_send_bytes(s->http, text, strlen(text), &s->error)) {
        return false;
    }
    for (int i = 0; i < PIPELINE; i++) {
        if (!receive(s, NULL)) {
            return false;
        }
    }
    think(s, 20);
    return true;
}

static bool upload(Session *s)
{
    g_autofree char *head = http_request(s->http, "POST", "/upload.php",
                                         "Transfer-Encoding: chunked\r\n");
    g_autoptr(GChecksum) digest = g_checksum_new(G_CHECKSUM_SHA256);
    uint8_t data[CHUNK_BYTES];

    if (!http_send_bytes(s->http, head, strlen(head), &s->error)) {
        return false;
    }
    for (int i = 0; i < UPLOAD_CHUNKS; i++) {
        size_t n = g_rand_int_range(s->rand, 1, sizeof(data));
        g_autofree char *length = g_strdup_printf("%zx\r\n", n);

        for (size_t k = 0; k < n; k++) {
            data[k] = g_rand_int(s->rand);
        }
        g_checksum_update(digest, data, n);
        if (!http_send_bytes(s->http, length, strlen(length), &s->error) ||
            !http_send_bytes(s->http, data, n, &s->error) ||
            !http_send_bytes(s->http, "\r\n", 2, &s->error)) {
            return false;
        }
        think(s, 8);
    }
    return http_send_bytes(s->http, "0\r\n\r\n", 5, &s->error) &&
           receive(s, g_checksum_get_string(digest));
}

static bool download(Session *s)
{
    return get(s, "/large.php?kb=1024");
}

/* The answer fills the queues while nobody reads. */
static bool read_slowly(Session *s)
{
    if (!http_send(s->http, "/large.php?kb=96", &s->error)) {
        return false;
    }
    think(s, 150);
    return receive(s, NULL);
}

static bool finish(Session *s)
{
    bool ok = get(s, "/finish.php?ms=60");

    s->after += ok;
    think(s, 30);
    return ok && get(s, "/count.php");
}

static bool logout(Session *s)
{
    bool ok = get(s, "/logout.php");

    s->counter = s->after = 0;
    return ok;
}

static bool hang_up(Session *s)
{
    bool ok = logout(s);

    g_clear_pointer(&s->http, http_connection_free);
    return ok;
}

/* A short visit, then another with a session and a connection of its own. */
static bool visit(Session *s)
{
    for (int i = 0; i < 4; i++) {
        if (!click(s)) {
            return false;
        }
    }
    return hang_up(s) && connect_session(s);
}

/* A browser's connection in reserve: no byte for a while. */
static bool preconnect(Session *s)
{
    if (!hang_up(s) || !connect_session(s)) {
        return false;
    }
    think(s, 400);
    return click(s);
}

/* The server closes what has been idle for long, wherever it is then. */
static bool expire(Session *s)
{
    if (!click(s) || !logout(s) || !http_wait_closed(s->http, TEST_TIMEOUT_MS, &s->error)) {
        return false;
    }
    g_clear_pointer(&s->http, http_connection_free);
    return connect_session(s) && click(s);
}

/* On another connection, which may be led to another VM than its session's. */
static bool connect_again(Session *s)
{
    g_autofree char *cookie = g_strdup(http_cookie(s->http));

    g_clear_pointer(&s->http, http_connection_free);
    if (!connect_session(s)) {
        return false;
    }
    http_set_cookie(s->http, cookie);
    return click(s);
}

static bool come_back(Session *s)
{
    return click(s) && click(s) && connect_again(s);
}

static const Habit habits[] = {
    { "click", click, 0, WEB_PORT },
    { "work", work, 0, WEB_PORT },
    { "pieces", pieces, 0, WEB_PORT },
    { "pipeline", pipeline, 0, WEB_PORT },
    { "upload", upload, 0, WEB_PORT },
    { "download", download, 0, WEB_PORT },
    { "read slowly", read_slowly, 8192, WEB_PORT },
    { "visit", visit, 0, WEB_PORT },
    { "preconnect", preconnect, 0, WEB_PORT },
    { "expire", expire, 0, SHORT_PORT },
    { "finish", finish, 0, WEB_PORT },
    { "come back", come_back, 0, WEB_PORT },
};

/* ---- graceful restarts ---- */

static bool restart_is_wanted(Restart *restart)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&restart->mutex);

    return restart->is_wanted;
}

/* Still: idle, or waiting for an answer.  Until the restart is over. */
static void stay_still(Restart *restart)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&restart->mutex);

    restart->n_still++;
    g_cond_broadcast(&restart->changed);
    while (!restart->is_over) {
        g_cond_wait(&restart->changed, &restart->mutex);
    }
    restart->n_still--;
    g_cond_broadcast(&restart->changed);
}

/* What an idle connection hears: nothing, or its end.  Bytes or an error are neither. */
static bool was_closed(Session *s, bool *ret_closed)
{
    char byte;
    ssize_t n = recv(http_connection_fd(s->http), &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    *ret_closed = n == 0;
    if (n == 0 || (n < 0 && errno == EAGAIN)) {
        return true;
    }
    g_set_error(&s->error, HTTP_ERROR, HTTP_ERROR_CLOSED, "an idle connection heard %s",
                n > 0 ? "bytes" : g_strerror(errno));
    return false;
}

static bool live_through_restart(Session *s)
{
    bool is_busy = s->number % 2, closed;

    if (is_busy && !http_send(s->http, "/slow.php?ms=1500", &s->error)) {
        return false;
    }
    stay_still(s->restart);
    if (is_busy && !receive(s, NULL)) {
        return false;
    }
    if (s->habit->port == SHORT_PORT) { /* it may expire at any moment */
        return http_wait_closed(s->http, TEST_TIMEOUT_MS, &s->error) && connect_again(s);
    }
    if (!was_closed(s, &closed)) {
        return false;
    }
    return closed ? connect_again(s) : click(s);
}

static gpointer live(gpointer opaque)
{
    Session *s = opaque;
    bool ok = connect_session(s) && click(s);

    while (ok && !g_atomic_int_get(s->stop)) {
        ok = restart_is_wanted(s->restart) ? live_through_restart(s) : s->habit->act(s);
    }
    if (!ok || !hang_up(s)) {
        g_atomic_int_set(&s->failed, 1);
    }
    return NULL;
}

/* ---- the moves ---- */

/* A slice may end, or be busy for longer than a move waits: it stays where it was. */
typedef struct Tally {
    unsigned int n_moved, n_stayed;
} Tally;

/* One slice, whichever it is, to the other VM. */
static void move_any(Cluster *cluster, GRand *rand, Tally *tally)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) slices = lab_slice_list(cluster->lab, &error);
    LabSlice *slice;
    LabMove move;

    g_assert_no_error(error);
    if (!slices->len) {
        return;
    }
    slice = g_ptr_array_index(slices, g_rand_int_range(rand, 0, slices->len));
    lab_slice_move(cluster->lab, slice->id, lab_vm_name(cluster_other(cluster, slice->vm)), &move,
                   &error);
    g_assert_no_error(error);
    if (!strcmp(move.result, "moved")) {
        tally->n_moved++;
    } else {
        tally->n_stayed++;
        g_test_message("slice %s stays on %s: %s, %s", slice->id, slice->vm, move.error, move.why);
    }
    lab_move_clear(&move);
}

static const Habit *choose_habit(int session)
{
    const char *wish = g_getenv("MIX_HABIT");

    for (size_t i = 0; wish && i < G_N_ELEMENTS(habits); i++) {
        if (!strcmp(habits[i].name, wish)) {
            return &habits[i];
        }
    }
    return &habits[session % G_N_ELEMENTS(habits)];
}

/* What all sides know of a connection, or of all (0), for whoever looks for the cause. */
static void tell(Cluster *cluster, unsigned int port)
{
    g_autofree char *flows = lab_switch_dump(cluster->lab, NULL);
    g_autofree char *filter = port ? g_strdup_printf("dport = :%u", port) : g_strdup("");
    g_autofree char *script = g_strdup_printf(
        "ss -tinoap %s; ip -s link show eth0; ss -tl; dmesg | tail -n 25; tail -n 30 /var/log/apache2/error.log; tail -n 10 /var/log/php*fpm.log; ps -eo pid,ppid,etimes,stat,comm | grep apache;"
        " for p in /proc/[0-9]*/task/[0-9]*; do s=$(cat $p/stack); case $s in *slice_*)"
        " echo $p $(cat $p/comm); echo \"$s\";; esac; done", filter);
    g_autofree char *list = NULL;

    g_printerr("client port %u\n%s\n", port, flows);
    lab_slicectl(cluster->lab, (const char *const[]){ "slice", "list", NULL }, &list, NULL, NULL);
    g_printerr("%s\n", list);
    for (int i = 0; i < N_VMS; i++) {
        g_autofree char *output = lab_vm_shell(cluster->vms[i], script, NULL);
        LabQmp *qmp = lab_vm_qmp(cluster->vms[i], NULL);
        g_autoptr(JsonNode) slices = lab_qmp_execute(qmp, "query-slices", "{\"gone\":true}", NULL);
        g_autofree char *text = slices ? json_to_string(slices, FALSE) : NULL;
        g_autofree char *guest = lab_vm_agent(cluster->vms[i], "{\"execute\":\"list\"}", NULL);

        g_printerr("%s:\n%s\n%s\n%s\n", lab_vm_name(cluster->vms[i]), output, text, guest);
    }
}

static void check_alive(Session *sessions)
{
    for (int i = 0; i < N_SESSIONS; i++) {
        if (g_atomic_int_get(&sessions[i].failed)) {
            tell(sessions[i].cluster, sessions[i].http ? http_local_port(sessions[i].http) : 0);
            g_error("session %d (%s), request %u: %s", i, sessions[i].habit->name,
                    sessions[i].n_requests + 1, sessions[i].error->message);
        }
    }
}

/* Waits until so many sessions are still, or (0) have gone on. */
static void await_still(Session *sessions, Restart *restart, unsigned int n)
{
    bool done = false;

    while (!done) {
        check_alive(sessions);
        g_mutex_lock(&restart->mutex);
        if (restart->n_still != n) {
            g_cond_wait_until(&restart->changed, &restart->mutex,
                              g_get_monotonic_time() + G_USEC_PER_SEC);
        }
        done = restart->n_still == n;
        g_mutex_unlock(&restart->mutex);
    }
}

static void tell_restart(Restart *restart, bool is_wanted, bool is_over)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&restart->mutex);

    restart->is_wanted = is_wanted;
    restart->is_over = is_over;
    g_cond_broadcast(&restart->changed);
}

static char *vm_says(LabVm *vm, const char *script)
{
    g_autoptr(GError) error = NULL;
    char *output = lab_vm_shell(vm, script, &error);

    g_assert_no_error(error);
    return output;
}

static void restart_gracefully(Cluster *cluster, Session *sessions, Restart *restart,
                               GRand *rand, Tally *tally)
{
    char *old[N_VMS];

    tell_restart(restart, true, false);
    await_still(sessions, restart, N_SESSIONS);
    tell_restart(restart, false, false);
    for (int i = 0; i < N_VMS; i++) {
        old[i] = vm_says(cluster->vms[i], "pgrep -d ' ' -P $(cat /run/apache2/apache2.pid);"
                                          " kill -USR1 $(cat /run/apache2/apache2.pid)");
    }
    for (int i = 0; i < MOVES_IN_RESTART; i++) {
        move_any(cluster, rand, tally);
    }
    for (int i = 0; i < N_VMS; i++) {
        g_autofree char *script = g_strdup_printf(
            "for p in %s; do tail --pid=$p -f /dev/null; done", g_strstrip(old[i]));
        g_autofree char *output = vm_says(cluster->vms[i], script);

        g_assert_cmpstr(output, ==, "");
        g_free(old[i]);
    }
    tell_restart(restart, false, true);
    await_still(sessions, restart, 0);
}

/* ---- what may be left ---- */

static int64_t info_number(LabVm *vm, const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *answer = lab_vm_agent(vm, "{\"execute\":\"info\"}", &error);
    g_autoptr(JsonNode) node = NULL;

    g_assert_no_error(error);
    node = json_from_string(answer, &error);
    g_assert_no_error(error);
    return json_object_get_int_member(
        json_object_get_object_member(json_node_get_object(node), "return"), name);
}

/* Sockets of the web server but its listeners and those of closed connections. */
static char *sockets(LabVm *vm)
{
    return vm_says(vm, "cat /proc/net/tcp /proc/net/tcp6 |"
                       " awk '$2 ~ /:005[01]$/ && $4 != \"0A\" && $4 != \"06\"'");
}

/* Not one that the switch has learned, which goes by itself ten minutes after a FIN. */
static bool has_exact_rule(const char *dump)
{
    g_auto(GStrv) lines = g_strsplit(dump, "\n", -1);
    bool found = false;

    for (int i = 0; lines[i]; i++) {
        found |= strstr(lines[i], "tp_src=") && !strstr(lines[i], "cookie=0x51ce0001");
    }
    return found;
}

/* The last FIN may still be on its way: waits for the end of all, then is strict. */
static void check_nothing_left(Cluster *cluster)
{
    gint64 deadline = g_get_monotonic_time() + TEST_TIMEOUT_MS * 1000LL;
    g_autoptr(GError) error = NULL;
    g_autofree char *dump = NULL;

    for (int i = 0; i < N_VMS; i++) {
        LabVm *vm = cluster->vms[i];
        g_autofree char *left = NULL, *complaints = NULL;

        do {
            g_free(left);
            left = sockets(vm);
        } while ((*left || info_number(vm, "capsules")) && g_get_monotonic_time() < deadline);
        if (*left || info_number(vm, "capsules")) {
            tell(cluster, 0);
        }
        g_assert_cmpstr(left, ==, "");
        g_assert_cmpint(info_number(vm, "capsules"), ==, 0);
        g_assert_cmpint(info_number(vm, "slices"), ==, 0);
        g_assert_cmpint(cluster_store_number(vm, "slices"), ==, 0);
        g_assert_cmpint(cluster_store_number(vm, "held-packets"), ==, 0);
        complaints = vm_says(
            vm, "dmesg | grep -E 'BUG|WARNING|Oops|Call Trace|refcount' || true");
        g_assert_cmpstr(complaints, ==, "");
    }
    do {
        g_free(dump);
        dump = lab_switch_dump(cluster->lab, &error);
        g_assert_no_error(error);
    } while (has_exact_rule(dump) && g_get_monotonic_time() < deadline);
    if (has_exact_rule(dump)) {
        tell(cluster, 0);
        g_error("a connection's rule is left");
    }
}

static void test_mix(Cluster *cluster)
{
    unsigned int n_moves = cluster_all() ? N_MOVES_ALL : N_MOVES_SAMPLE;
    g_autoptr(GRand) rand = g_rand_new_with_seed(g_test_rand_int());
    Session sessions[N_SESSIONS] = { 0 };
    unsigned int n_requests = 0, n_tries = 0, n_restarts = 0;
    Restart restart = { 0 };
    Tally tally = { 0 };
    gint stop = 0;

    for (int i = 0; i < N_SESSIONS; i++) {
        Session *s = &sessions[i];

        s->cluster = cluster;
        s->restart = &restart;
        s->number = i;
        s->habit = choose_habit(i);
        s->rand = g_rand_new_with_seed(g_test_rand_int());
        s->stop = &stop;
        s->thread = g_thread_new(s->habit->name, live, s);
    }
    for (int i = 0; g_getenv("MIX_STAY") && i < 60; i++) {
        g_usleep(G_USEC_PER_SEC);
        check_alive(sessions);
    }
    while (tally.n_moved < n_moves && !g_getenv("MIX_STAY")) {
        g_assert_cmpuint(n_tries++, <, n_moves * N_TRIES_FACTOR);
        move_any(cluster, rand, &tally);
        check_alive(sessions);
        if (g_getenv("MIX_RESTART") && tally.n_moved >= (n_restarts + 1) * MOVES_TO_RESTART) {
            restart_gracefully(cluster, sessions, &restart, rand, &tally);
            n_restarts++;
        }
    }
    g_atomic_int_set(&stop, 1);
    for (int i = 0; i < N_SESSIONS; i++) {
        g_thread_join(sessions[i].thread);
        g_rand_free(sessions[i].rand);
        n_requests += sessions[i].n_requests;
    }
    check_alive(sessions);
    g_test_message("%u moves, %u requests, %u graceful restarts; %u times a slice stayed",
                   tally.n_moved, n_requests, n_restarts, tally.n_stayed);
    check_nothing_left(cluster);
}

static void add_tests(void)
{
    cluster_add("/vm/mix/sessions-in-the-wild-move-without-an-error-and-leave-nothing", test_mix);
}

int main(int argc, char **argv)
{
    return cluster_main(argc, argv, add_tests);
}
