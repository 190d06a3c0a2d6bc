// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-torture.c - connections move in every state of their queues, on any line
 *
 *      cl1 ─── line ─── br0 ─┬─ web1     slice-guest-torture in both; cl1 is the
 *                            └─ web2     torture client; the line is good or bad
 *
 * A state is made, looked at in the guest's kernel, and only then moved; the
 * queues are looked at again where they have arrived.  Every byte is numbered.
 */
#include <signal.h>

#include "torture.h"

#define MB (1u << 20)

enum {
    ESTABLISHED = 1,
    FIN_WAIT1 = 4,
    FIN_WAIT2 = 5,
    CLOSE_WAIT = 8,
    LAST_ACK = 9,
};

/* Nothing in flight lasts so long, but a time-out, and a second one, on a bad line. */
#define STILL_US (300 * 1000)
#define STILL_BAD_US G_USEC_PER_SEC

static bool same(const TortureSocket *a, const TortureSocket *b)
{
    return a->state == b->state && a->send_bytes == b->send_bytes &&
           a->receive_bytes == b->receive_bytes;
}

/*
 * Until a connection of @vm is in @state with that much in its queues at least,
 * and nothing has changed for @still_us: all that can be said has been said.
 */
static void wait_still(LabVm *vm, Torture *torture, unsigned int state, uint64_t send_bytes,
                       uint64_t receive_bytes, gint64 still_us)
{
    gint64 now = g_get_monotonic_time(), deadline = now + TEST_TIMEOUT_MS * 1000LL, since = now;
    TortureSocket s = { 0 }, before;

    do {
        before = s;
        torture_look(vm, torture_port(torture), &s);
        now = g_get_monotonic_time();
        since = same(&s, &before) ? since : now;
        if (s.state == state && s.send_bytes >= send_bytes && s.receive_bytes >= receive_bytes &&
            now - since >= still_us) {
            return;
        }
    } while (now < deadline);
    g_error("port %u is in state %u on %s with %" G_GUINT64_FORMAT " bytes to send and %"
            G_GUINT64_FORMAT " unread, not in %u with %" G_GUINT64_FORMAT " and %" G_GUINT64_FORMAT,
            torture_port(torture), s.state, lab_vm_name(vm), s.send_bytes, s.receive_bytes, state,
            send_bytes, receive_bytes);
}

static void wait_socket(LabVm *vm, Torture *torture, unsigned int state, uint64_t send_bytes,
                        uint64_t receive_bytes)
{
    wait_still(vm, torture, state, send_bytes, receive_bytes, STILL_US);
}

/*
 * Made, moved and found again in the same state, twice: there and back.  Nobody
 * reads or writes meanwhile, so nothing may be sent again that had been
 * acknowledged (what a shut window has refused, may); on a bad line, not
 * @is_quiet, an acknowledgement can be lost.
 */
static void move_in(Cluster *cluster, Torture *torture, unsigned int state, uint64_t send_bytes,
                    uint64_t receive_bytes, bool is_quiet)
{
    g_autoptr(LabSlice) slice = torture_slice(cluster, torture);
    gint64 still_us = is_quiet ? STILL_US : STILL_BAD_US;
    int64_t begin_ns = 0;

    for (int i = 0; i < 2; i++) {
        LabVm *source = cluster_vm(cluster, slice->vm);
        TortureSocket left;

        wait_still(source, torture, state, send_bytes, receive_bytes, still_us);
        begin_ns = begin_ns ? begin_ns : g_get_real_time() * 1000;
        cluster_move(cluster, slice);
        wait_still(cluster_vm(cluster, slice->vm), torture, state, send_bytes, receive_bytes,
                   still_us);
        torture_look(source, torture_port(torture), &left);
        g_assert_cmpuint(left.state, ==, 0);
    }
    if (is_quiet) {
        cluster_judge_quiet(cluster, TORTURE_PORT, torture_port(torture), begin_ns);
    }
}

static Torture *begin(Cluster *cluster, const TortureSpec *spec, unsigned int n_fin)
{
    Torture *torture;

    torture_serve(cluster);
    torture = torture_new(cluster, spec);
    cluster_judge_port(cluster, TORTURE_PORT, torture_port(torture), n_fin);
    return torture;
}

/*
 * The end: all bytes, and nothing strange on the wire.  The server's report tells
 * how often it had arrived when it had said everything; what is still unread then
 * may move some more.
 */
static void end(Cluster *cluster, Torture *torture, unsigned int n_moves)
{
    unsigned int n;

    torture_finish(torture, &n);
    g_assert_cmpuint(n, >, 0);
    g_assert_cmpuint(n, <=, n_moves);
    cluster_finish(cluster);
}

static void test_unread(Cluster *cluster)
{
    TortureSpec spec = { .flags = TORTURE_HOLD_READING, .to_server = 32 * MB, .to_client = MB };
    Torture *torture = begin(cluster, &spec, 2);

    /* The server's window is shut: the rest waits at the client. */
    torture_wait_read(torture, MB);
    move_in(cluster, torture, ESTABLISHED, 0, 2 * MB, true);
    g_assert_cmpuint(torture_n_sent(torture), <, 32 * MB);
    torture_release(cluster);
    end(cluster, torture, 2);
}

static void test_unsent(Cluster *cluster)
{
    TortureSpec spec = { .to_client = 8 * MB, .send_bytes = 4 * MB, .waits = true,
                         .receive_bytes = 65536 };
    Torture *torture = begin(cluster, &spec, 2);

    move_in(cluster, torture, ESTABLISHED, 2 * MB, 0, true);
    g_assert_cmpuint(torture_n_read(torture), ==, 0);
    torture_read(torture);
    end(cluster, torture, 2);
}

/* Both windows shut, both queues full, both directions go on afterwards. */
static void test_both(Cluster *cluster)
{
    TortureSpec spec = { .flags = TORTURE_HOLD_READING, .to_server = 8 * MB, .to_client = 8 * MB,
                         .send_bytes = 2 * MB, .waits = true, .receive_bytes = 32768 };
    Torture *torture = begin(cluster, &spec, 2);

    move_in(cluster, torture, ESTABLISHED, MB, 2 * MB, true);
    torture_release(cluster);
    torture_read(torture);
    end(cluster, torture, 2);
}

static void test_close_wait(Cluster *cluster)
{
    TortureSpec spec = { .flags = TORTURE_HOLD_READING | TORTURE_HOLD_WRITING |
                                  TORTURE_REPORT_AT_END,
                         .to_server = MB, .to_client = 4 * MB, .shuts = true };
    Torture *torture = begin(cluster, &spec, 2);

    move_in(cluster, torture, CLOSE_WAIT, 0, MB, true);
    torture_release(cluster);
    end(cluster, torture, 2);
}

/* A server that has shut its direction cannot report; its output says what it has
 * read, and how often it had arrived. */
static void wait_ended(LabVm *vm, uint64_t n_read, unsigned int n_moves)
{
    static const char script[] =
        "while ! grep -q ^ended /run/torture.out; do :; done; grep ^ended /run/torture.out";
    g_autofree char *expected = g_strdup_printf(
        "ended: read %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT ", first bad -1, arrived %u times",
        n_read, n_read, n_moves);
    g_autoptr(GError) error = NULL;
    g_autofree char *output = lab_vm_shell(vm, script, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(g_strstrip(output), ==, expected);
}

/* The server has shut its direction behind megabytes that the client does not
 * read, nor its FIN; what the client has to say is unread. */
static void test_fin_wait1(Cluster *cluster)
{
    TortureSpec spec = { .flags = TORTURE_SHUT_WRITING | TORTURE_HOLD_READING, .to_server = 2 * MB,
                         .to_client = 2 * MB, .send_bytes = 4 * MB, .waits = true,
                         .receive_bytes = 65536 };
    Torture *torture = begin(cluster, &spec, 2);
    g_autoptr(LabSlice) slice = torture_slice(cluster, torture);
    LabVm *vm = cluster_vm(cluster, slice->vm);

    move_in(cluster, torture, FIN_WAIT1, MB, MB, true);
    torture_release(cluster);
    torture_read(torture);
    torture_finish(torture, NULL);
    wait_ended(vm, 2 * MB, 2);
    cluster_finish(cluster);
}

/* The client has all, and the server's FIN; it still has more to say than the
 * server's window lets through. */
static void test_fin_wait2(Cluster *cluster)
{
    TortureSpec spec = { .flags = TORTURE_SHUT_WRITING | TORTURE_HOLD_READING, .to_server = 16 * MB,
                         .to_client = MB };
    Torture *torture = begin(cluster, &spec, 2);
    g_autoptr(LabSlice) slice = torture_slice(cluster, torture);
    LabVm *vm = cluster_vm(cluster, slice->vm);

    torture_wait_read(torture, MB);
    move_in(cluster, torture, FIN_WAIT2, 0, 2 * MB, true);
    g_assert_cmpuint(torture_n_sent(torture), <, 16 * MB);
    torture_release(cluster);
    torture_finish(torture, NULL);
    wait_ended(vm, 16 * MB, 2);
    cluster_finish(cluster);
}

/* ---- orphans ---- */

static void drain(Cluster *cluster, const char *vm)
{
    const char *const drain[] = { "vm", "drain", vm, NULL };
    const char *const uncordon[] = { "vm", "uncordon", vm, NULL };
    g_autofree char *output = NULL;
    g_autoptr(GError) error = NULL;
    int status;

    lab_slicectl(cluster->lab, drain, &output, &status, &error);
    g_assert_no_error(error);
    g_test_message("%s", output);
    g_assert_cmpint(status, ==, 0);
    lab_slicectl(cluster->lab, uncordon, NULL, &status, &error);
    g_assert_no_error(error);
    g_assert_cmpint(status, ==, 0);
}

/*
 * The server's program has closed the connection and forgotten it; the kernel has
 * megabytes to send that the client does not read, and the FIN.  A drain takes
 * that along, and back.
 */
static void test_orphan(Cluster *cluster)
{
    TortureSpec spec = { .flags = TORTURE_REPORT_AT_END, .to_server = MB, .to_client = 2 * MB,
                         .send_bytes = 4 * MB, .waits = true, .receive_bytes = 65536,
                         .shuts = true };
    Torture *torture = begin(cluster, &spec, 2);
    g_autoptr(LabSlice) slice = torture_slice(cluster, torture);
    LabVm *vm = cluster_vm(cluster, slice->vm), *other = cluster_other(cluster, slice->vm);
    TortureSocket left;

    wait_socket(vm, torture, LAST_ACK, MB, 0);
    wait_ended(vm, MB, 0);
    drain(cluster, lab_vm_name(vm));
    wait_socket(other, torture, LAST_ACK, MB, 0);
    torture_look(vm, torture_port(torture), &left);
    g_assert_cmpuint(left.state, ==, 0);
    drain(cluster, lab_vm_name(other));
    wait_socket(vm, torture, LAST_ACK, MB, 0);
    torture_read(torture);
    torture_finish(torture, NULL);
    cluster_finish(cluster);
}

/* ---- while bytes flow ---- */

/* Of streams that last as long as they are; a normal run has half of them. */
static uint64_t amount(uint64_t bytes)
{
    return cluster_all() ? bytes : bytes / 2;
}

/*
 * Moves it to and fro until @n_read bytes have been read, as fast as it can be
 * moved, whether the client has read something since or not; returns how often.
 */
static unsigned int move_until(Cluster *cluster, Torture *torture, uint64_t n_read)
{
    g_autoptr(LabSlice) slice = torture_slice(cluster, torture);
    gint64 begin = g_get_monotonic_time();
    unsigned int n_moves = 0;

    while (torture_n_read(torture) < n_read && !torture_is_over(torture)) {
        cluster_move(cluster, slice);
        n_moves++;
    }
    g_test_message("%u moves in %" G_GINT64_FORMAT " ms", n_moves,
                   (g_get_monotonic_time() - begin) / 1000);
    return n_moves;
}

static void test_duplex(Cluster *cluster)
{
    TortureSpec spec = { .to_server = amount(16 * MB), .to_client = amount(16 * MB) };
    Torture *torture = begin(cluster, &spec, 2);
    unsigned int n_moves;

    torture_wait_read(torture, MB);
    n_moves = move_until(cluster, torture, amount(12 * MB));
    g_assert_cmpuint(n_moves, >, 1);
    end(cluster, torture, n_moves);
}

static void test_slow_reader(Cluster *cluster)
{
    TortureSpec spec = { .to_client = amount(4 * MB), .read_at_once = 8192, .receive_bytes = 16384,
                         .send_bytes = MB };
    Torture *torture = begin(cluster, &spec, 2);
    unsigned int n_moves;

    torture_wait_read(torture, 65536);
    n_moves = move_until(cluster, torture, amount(3 * MB));
    g_assert_cmpuint(n_moves, >, 1);
    end(cluster, torture, n_moves);
}

/* ---- on a bad line ---- */

static void spoil(Cluster *cluster)
{
    LabLinkSettings bad = { .delay_ms = 10, .loss_permille = 10, .duplicate_permille = 10,
                            .late_permille = 10 };

    lab_link_set(cluster->line, LAB_LINK_FROM_CLIENT, &bad);
    lab_link_set(cluster->line, LAB_LINK_TO_CLIENT, &bad);
}

static void check_spoilt(Cluster *cluster)
{
    for (int way = LAB_LINK_FROM_CLIENT; way <= LAB_LINK_TO_CLIENT; way++) {
        LabLinkCounts counts;

        lab_link_count(cluster->line, way, &counts);
        g_test_message("%s the client: %" G_GUINT64_FORMAT " frames, %" G_GUINT64_FORMAT
                       " lost, %" G_GUINT64_FORMAT " twice, %" G_GUINT64_FORMAT " late",
                       way == LAB_LINK_FROM_CLIENT ? "from" : "to", counts.n_in, counts.n_lost,
                       counts.n_doubled, counts.n_late);
        g_assert_cmpuint(counts.n_lost, >, 0);
    }
}

static void bad_line(Cluster *cluster, bool is_ipv6)
{
    TortureSpec spec = { .to_server = amount(2 * MB), .to_client = amount(2 * MB), .is_ipv6 = is_ipv6 };
    Torture *torture = begin(cluster, &spec, 2);
    unsigned int n_moves;

    spoil(cluster);
    torture_wait_read(torture, 1);
    n_moves = move_until(cluster, torture, amount(3 * MB / 2));
    g_assert_cmpuint(n_moves, >, 1);
    end(cluster, torture, n_moves);
    check_spoilt(cluster);
}

static void test_bad_line(Cluster *cluster)
{
    bad_line(cluster, false);
}

static void test_bad_line_ipv6(Cluster *cluster)
{
    bad_line(cluster, true);
}

static void test_bad_line_queues(Cluster *cluster)
{
    TortureSpec spec = { .flags = TORTURE_HOLD_READING, .to_server = 4 * MB, .to_client = MB,
                         .send_bytes = MB, .waits = true, .receive_bytes = 32768 };
    Torture *torture = begin(cluster, &spec, 2);

    spoil(cluster);
    move_in(cluster, torture, ESTABLISHED, MB / 2, MB, false);
    torture_release(cluster);
    torture_read(torture);
    end(cluster, torture, 2);
    check_spoilt(cluster);
}

static void add_tests(void)
{
    cluster_add_next("/vm/torture/megabytes-unread-behind-a-shut-window-move", test_unread);
    cluster_add_next("/vm/torture/megabytes-unsent-behind-a-shut-window-move", test_unsent);
    cluster_add_next("/vm/torture/full-queues-both-ways-move", test_both);
    cluster_add_next("/vm/torture/a-half-closed-connection-moves-with-what-it-has-to-say",
                     test_close_wait);
    cluster_add_next("/vm/torture/output-and-a-fin-behind-a-shut-window-move", test_fin_wait1);
    cluster_add_next("/vm/torture/a-connection-that-only-listens-moves", test_fin_wait2);
    cluster_add_next("/vm/torture/a-drain-takes-orphans-along", test_orphan);
    cluster_add_next("/vm/torture/streams-both-ways-move-while-they-flow", test_duplex);
    cluster_add_next("/vm/torture/a-slow-reader-moves-while-it-reads", test_slow_reader);
    cluster_add_next("/vm/torture/streams-move-on-a-bad-line", test_bad_line);
    cluster_add_next("/vm/torture/ipv6-streams-move-on-a-bad-line", test_bad_line_ipv6);
    cluster_add_next("/vm/torture/full-queues-move-on-a-bad-line", test_bad_line_queues);
}

int main(int argc, char **argv)
{
    return cluster_main_line(argc, argv, add_tests);
}
