// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-fault.c - whatever fails at whatever step, a slice is on one VM or nowhere
 *
 *      cl1 ─── br0 ─┬─ web1 ◄── relay ──┐     sliced stops (or dies) at a step of
 *                   └─ web2 ◄── relay ──┘     a move; then something fails
 *
 * A cell of the matrix is a step and a fault.  sliced stops at the step by itself
 * (SLICED_FAULT), so that the fault comes just there; then sliced goes on, and
 * when the move has ended, or cannot end without that, the fault is taken away
 * where it can be.  Afterwards:
 *
 *   lives   the slice is on exactly one VM, which answers the next request
 *   dies    its VM died: it is nowhere
 *   either  its VM died when it had been sent: one of both
 *
 * and nothing is left of the move: no state in between in an engine, no held
 * packet, and when the client has logged out no capsule, slice, rule.
 *
 * `run test --all` takes all cells.  FAULT_RUN=N in the environment takes the Nth
 * tenth of them, shuffled once and for all; without either nothing is run, as some
 * cells still leave something behind (docs/status.md).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster.h"

#define N_PARTS 10
/* sliced gives each step 5 s and each answer as long; a stopped one waits. */
#define MOVE_TIMEOUT_MS 20000
#define SETTLE_TIMEOUT_MS 90000
/* Far beyond the deadline of the moves here, which is 1 s. */
#define PAST_DEADLINE_MS 3000

typedef enum Fate {
    LIVES,
    DIES,
    EITHER,
    NO_CONNECTION,              /* the slice may live, its connection has ended */
} Fate;

typedef struct Cell Cell;

/* One run of a cell. */
typedef struct Run {
    Cluster *cluster;
    const Cell *cell;
    HttpConnection *http;
    LabSlice *slice;
    LabVm *source, *target;
    uint64_t counter;
    GPid stopped;
    GThread *mover;
    GMutex lock;
    GCond ended_changed;
    bool ended;
} Run;

typedef struct Fault {
    const char *name;
    const char *action;         /* of sliced at the point */
    void (*inject)(Run *run);
    void (*lift)(Run *run);     /* NULL: it cannot be */
} Fault;

struct Cell {
    const char *point;
    const Fault *fault;
    gint hit;
};

/* In the order of a move. */
static const char *const points[] = {
    "move.prepare", "move.prepare.done", "move.quiesce", "move.quiesce.done",
    "move.reroute", "move.reroute.done", "move.unplug", "move.settle",
};
#define AT_UNPLUG 6
#define AT_SETTLE 7

/* ---- the faults ---- */

static void nothing(Run *run)
{
}

static void outwait_deadline(Run *run)
{
    g_usleep(PAST_DEADLINE_MS * 1000);      /* the fault is that time passes */
}

static void kill_qemu(LabVm *vm)
{
    GPid pid = lab_vm_pid(vm);

    g_assert_cmpint(pid, >, 0);
    kill(pid, SIGKILL);
}

static void kill_source(Run *run)
{
    kill_qemu(run->source);
}

static void kill_target(Run *run)
{
    kill_qemu(run->target);
}

static void stop_qemu(Run *run, LabVm *vm)
{
    run->stopped = lab_vm_pid(vm);
    g_assert_cmpint(run->stopped, >, 0);
    kill(run->stopped, SIGSTOP);
}

static void stop_source(Run *run)
{
    stop_qemu(run, run->source);
}

static void stop_target(Run *run)
{
    stop_qemu(run, run->target);
}

static void continue_qemu(Run *run)
{
    kill(run->stopped, SIGCONT);
}

static void tell(LabVm *vm, const char *command)
{
    g_autoptr(GError) error = NULL;
    LabQmp *qmp = lab_vm_qmp(vm, &error);
    g_autoptr(JsonNode) answer = NULL;

    g_assert_no_error(error);
    answer = lab_qmp_execute(qmp, command, NULL, &error);
    g_assert_no_error(error);
}

static void freeze_guest(Run *run)
{
    tell(run->source, "stop");
}

static void thaw_guest(Run *run)
{
    tell(run->source, "cont");
}

static void kill_apache(LabVm *vm)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *output = lab_vm_shell(vm, "killall -9 apache2", &error);

    g_assert_no_error(error);
}

static void kill_source_apache(Run *run)
{
    kill_apache(run->source);
}

static void kill_target_apache(Run *run)
{
    kill_apache(run->target);
}

static void set_relays(Run *run, LabRelayMode mode)
{
    lab_relay_set(lab_vm_relay(run->source), mode);
    lab_relay_set(lab_vm_relay(run->target), mode);
}

static void cut_line(Run *run)
{
    set_relays(run, LAB_RELAY_CUT);
}

static void spoil_line(Run *run)
{
    set_relays(run, LAB_RELAY_SPOILT);
}

static void mend_line(Run *run)
{
    set_relays(run, LAB_RELAY_WIRE);
}

static void restart_switch(Run *run)
{
    g_autoptr(GError) error = NULL;

    lab_switch_restart(run->cluster->lab, &error);
    g_assert_no_error(error);
}

static const Fault faults[] = {
    { "deadline-passes", "stop", outwait_deadline, NULL },
    { "source-killed", "stop", kill_source, NULL },
    { "target-killed", "stop", kill_target, NULL },
    { "source-stopped", "stop", stop_source, continue_qemu },
    { "target-stopped", "stop", stop_target, continue_qemu },
    { "guest-frozen", "stop", freeze_guest, thaw_guest },
    { "source-server-killed", "stop", kill_source_apache, NULL },
    { "target-server-killed", "stop", kill_target_apache, NULL },
    { "sliced-killed", "kill", nothing, NULL },
    { "line-cut", "stop", cut_line, mend_line },
    { "line-spoilt", "stop", spoil_line, mend_line },
    { "switch-restarted", "stop", restart_switch, NULL },
};

#define N_CELLS (G_N_ELEMENTS(points) * G_N_ELEMENTS(faults))

static Cell cells[N_CELLS];

static Fate fate_of(const Run *run)
{
    const char *fault = run->cell->fault->name;
    bool sent = !strcmp(run->cell->point, points[AT_UNPLUG]) ||
                !strcmp(run->cell->point, points[AT_SETTLE]);

    if (!strcmp(fault, "source-killed")) {
        return sent ? EITHER : DIES;
    }
    if (!strcmp(fault, "target-killed")) {
        return sent ? EITHER : LIVES;
    }
    if (!strcmp(fault, "source-server-killed") ||
        (sent && !strcmp(fault, "target-server-killed"))) {
        return NO_CONNECTION;
    }
    return LIVES;
}

static bool is_killed(const Run *run, LabVm *vm)
{
    const char *fault = run->cell->fault->name;

    return (vm == run->source && !strcmp(fault, "source-killed")) ||
           (vm == run->target && !strcmp(fault, "target-killed"));
}

/* ---- a move in the background ---- */

/* How it ends is not asked: sliced may have died, and the slice is looked for. */
static gpointer move(gpointer opaque)
{
    Run *run = opaque;
    const char *args[] = { "slice", "move", run->slice->id, "--to", lab_vm_name(run->target),
                           "--deadline", "1000", NULL };
    int status;

    lab_slicectl(run->cluster->lab, args, NULL, &status, NULL);
    g_mutex_lock(&run->lock);
    run->ended = true;
    g_cond_broadcast(&run->ended_changed);
    g_mutex_unlock(&run->lock);
    return NULL;
}

/* Until the move has ended, or so much time has passed that it waits for us. */
static void wait_ended(Run *run)
{
    gint64 deadline = g_get_monotonic_time() + MOVE_TIMEOUT_MS * 1000LL;

    g_mutex_lock(&run->lock);
    while (!run->ended && g_cond_wait_until(&run->ended_changed, &run->lock, deadline)) {
        continue;
    }
    g_mutex_unlock(&run->lock);
}

static void start_sliced(Run *run, const char *fault)
{
    g_autoptr(GError) error = NULL;

    lab_sliced_start_fault(run->cluster->lab, run->cluster->host, fault, &error);
    g_assert_no_error(error);
}

/* The fault at its point, and what can be done about it. */
static void go_through(Run *run)
{
    const Fault *fault = run->cell->fault;
    g_autoptr(GError) error = NULL;
    bool died;

    run->mover = g_thread_new("move", move, run);
    lab_sliced_wait_fault(run->cluster->lab, MOVE_TIMEOUT_MS, &died, &error);
    g_assert_no_error(error);
    g_assert_true(died == !strcmp(fault->action, "kill"));
    ((Cell *)run->cell)->hit = 1;
    fault->inject(run);
    if (died) {
        start_sliced(run, "");
    } else {
        lab_sliced_continue(run->cluster->lab);
    }
    wait_ended(run);
    if (fault->lift) {
        fault->lift(run);
    }
    g_thread_join(run->mover);
}

/* ---- where the slice is ---- */

/* The state of the slice in a VM's engine, NULL: there is none; tombstones aside. */
static char *state_in(Run *run, LabVm *vm)
{
    g_autofree char *arguments = g_strdup_printf("{\"id\":\"%s\"}", run->slice->id);
    g_autoptr(GError) error = NULL;
    LabQmp *qmp;
    g_autoptr(JsonNode) answer = NULL;
    JsonArray *slices;

    if (is_killed(run, vm)) {
        return NULL;
    }
    qmp = lab_vm_qmp(vm, &error);
    g_assert_no_error(error);
    answer = lab_qmp_execute(qmp, "query-slices", arguments, &error);
    g_assert_no_error(error);
    slices = json_node_get_array(answer);
    if (!json_array_get_length(slices)) {
        return NULL;
    }
    return g_strdup(json_object_get_string_member(json_array_get_object_element(slices, 0), "state"));
}

/*
 * Waits until no VM has it in a state between owning it and not; then it must be on
 * one VM at most, which is returned.
 */
static LabVm *find_owner(Run *run)
{
    gint64 deadline = g_get_monotonic_time() + SETTLE_TIMEOUT_MS * 1000LL;
    bool dies = fate_of(run) == DIES;
    unsigned int n_owners, n_between;
    g_autofree char *told = NULL;
    LabVm *owner;

    do {
        g_autoptr(GString) states = g_string_new("");

        n_owners = n_between = 0;
        owner = NULL;
        for (int i = 0; i < N_VMS; i++) {
            LabVm *vm = run->cluster->vms[i];
            g_autofree char *state = state_in(run, vm);

            g_string_append_printf(states, " %s: %s", lab_vm_name(vm), state ? state : "none");
            if (state && !strcmp(state, "owner")) {
                owner = vm;
                n_owners++;
            } else if (state && strcmp(state, "gone")) {
                n_between++;
            }
        }
        g_assert_cmpuint(n_owners, <=, 1);
        g_free(told);
        told = g_string_free(g_steal_pointer(&states), FALSE);
    } while ((n_between || (!owner && fate_of(run) == LIVES) || (owner && dies)) &&
             g_get_monotonic_time() < deadline);
    g_test_message("slice %s ends as%s", run->slice->id, told);
    g_assert_cmpuint(n_between, ==, 0);
    return owner;
}

/* sliced knows as much: the same VM, or none. */
static void check_sliced(Run *run, LabVm *owner)
{
    gint64 deadline = g_get_monotonic_time() + SETTLE_TIMEOUT_MS * 1000LL;
    const char *vm = NULL;

    do {
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) slices = lab_slice_list(run->cluster->lab, &error);

        g_assert_no_error(error);
        vm = NULL;
        for (guint i = 0; i < slices->len; i++) {
            LabSlice *slice = g_ptr_array_index(slices, i);

            if (!strcmp(slice->id, run->slice->id)) {
                vm = g_intern_string(slice->vm);
            }
        }
    } while (g_strcmp0(vm, owner ? lab_vm_name(owner) : NULL) &&
             g_get_monotonic_time() < deadline);
    g_assert_cmpstr(vm, ==, owner ? lab_vm_name(owner) : NULL);
}

/* ---- nothing is left ---- */

static void check_left(Run *run, bool logged_out)
{
    gint64 deadline = g_get_monotonic_time() + SETTLE_TIMEOUT_MS * 1000LL;
    g_autoptr(GError) error = NULL;
    g_autofree char *dump = NULL;

    for (int i = 0; i < N_VMS; i++) {
        LabVm *vm = run->cluster->vms[i];
        int64_t n_slices = 0, n_held = 0;

        if (is_killed(run, vm)) {
            continue;
        }
        do {
            n_held = cluster_store_number(vm, "held-packets");
            n_slices = logged_out ? cluster_store_number(vm, "slices") : 0;
        } while ((n_held || n_slices) && g_get_monotonic_time() < deadline);
        g_assert_cmpint(n_held, ==, 0);
        g_assert_cmpint(n_slices, ==, 0);
    }
    do {
        g_free(dump);
        dump = lab_switch_dump(run->cluster->lab, &error);
        g_assert_no_error(error);
    } while (logged_out && strstr(dump, "tp_src=") && g_get_monotonic_time() < deadline);
    g_assert_true(!logged_out || !strstr(dump, "tp_src="));
}

static void run_cell(Cluster *cluster, const Cell *cell)
{
    g_autofree char *fault = g_strdup_printf("%s:%s", cell->point, cell->fault->action);
    Run run = { .cluster = cluster, .cell = cell };
    g_autoptr(GError) error = NULL;
    g_autofree char *before = NULL;
    Fate fate = fate_of(&run);
    LabVm *owner;

    lab_sliced_stop(cluster->lab, SIGTERM, &error);
    g_assert_no_error(error);
    start_sliced(&run, fault);
    lab_sliced_wait_ready(cluster->lab, N_VMS, &error);
    g_assert_no_error(error);
    run.http = cluster_connect(cluster, 0);
    before = cluster_get_vm(run.http, &run.counter);
    run.slice = cluster_slice(cluster, run.http);
    run.source = cluster_vm(cluster, before);
    run.target = cluster_other(cluster, before);
    if (fate == LIVES) {
        cluster_judge(cluster, run.http);
    }
    go_through(&run);

    owner = find_owner(&run);
    g_assert_true(fate != LIVES || owner);
    g_assert_true(fate != DIES || !owner);
    check_sliced(&run, owner);
    if (owner && fate != NO_CONNECTION) {
        g_autofree char *after = cluster_get_vm(run.http, &run.counter);
        HttpResponse response;

        g_assert_cmpstr(after, ==, lab_vm_name(owner));
        cluster_finish(cluster);
        cluster_get(run.http, "/logout.php", &run.counter, &response);
        http_response_clear(&response);
    }
    http_connection_free(run.http);
    check_left(&run, fate != NO_CONNECTION);
    lab_slice_free(run.slice);
}

/* ---- the matrix ---- */

static void run_nth(Cluster *cluster, gconstpointer cell)
{
    run_cell(cluster, cell);
}

/* The cells of a run: all of them, or a part. */
static void choose(unsigned int part, GPtrArray *chosen)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    unsigned int order[N_CELLS];

    for (unsigned int i = 0; i < N_CELLS; i++) {
        unsigned int other = g_rand_int_range(rand, 0, i + 1);

        order[i] = order[other];
        order[other] = i;
    }
    for (unsigned int i = 0; i < N_CELLS; i++) {
        if (cluster_all() || i % N_PARTS == part) {
            g_ptr_array_add(chosen, &cells[order[i]]);
        }
    }
}

static GPtrArray *chosen;

/* The last test: a cell that was to be hit and was not is a failure here, too. */
static void test_matrix(Cluster *cluster)
{
    unsigned int n_missed = 0;

    for (size_t f = 0; f < G_N_ELEMENTS(faults); f++) {
        g_autoptr(GString) line = g_string_new("");

        g_string_append_printf(line, "%-22s", faults[f].name);
        for (size_t p = 0; p < G_N_ELEMENTS(points); p++) {
            Cell *cell = &cells[f * G_N_ELEMENTS(points) + p];
            bool planned = g_ptr_array_find(chosen, cell, NULL);

            g_string_append(line, cell->hit ? " hit" : planned ? " NOT" : "   .");
            n_missed += planned && !cell->hit;
        }
        g_test_message("%s", line->str);
    }
    g_test_message("%u of %zu cells planned, %u of them not hit", chosen->len, N_CELLS, n_missed);
    g_assert_cmpuint(n_missed, ==, 0);
}

static void add_tests(void)
{
    const char *part = g_getenv("FAULT_RUN");

    for (size_t i = 0; i < N_CELLS; i++) {
        cells[i].fault = &faults[i / G_N_ELEMENTS(points)];
        cells[i].point = points[i % G_N_ELEMENTS(points)];
    }
    chosen = g_ptr_array_new();
    choose(part ? atoi(part) % N_PARTS : 0, chosen);
    for (guint i = 0; i < chosen->len; i++) {
        const Cell *cell = g_ptr_array_index(chosen, i);
        g_autofree char *path = g_strdup_printf("/vm/fault/%s/%s", cell->point, cell->fault->name);

        cluster_add_data(path, run_nth, cell);
    }
    cluster_add("/vm/fault/matrix/each-planned-cell-was-hit", test_matrix);
}

int main(int argc, char **argv)
{
    if (!cluster_all() && !g_getenv("FAULT_RUN")) {
        printf("1..0 # SKIP the fault matrix runs with ./run test --all, or FAULT_RUN=N\n");
        return 0;
    }
    return cluster_main_relayed(argc, argv, add_tests);
}
