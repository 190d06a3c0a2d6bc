// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * demo.c - PHP sessions move between two VMs while their clients click (slice-demo)
 *
 * usage: slice-demo [--out DIR] [--moves N] [--sessions KIND,...]
 *                   [--browser-moves N] | --verify DIR
 *
 *      slice-client ── cl1 ── br0 ─┬─ web1
 *      ( sessions )       rules by │
 *                          sliced  └─ web2
 *
 *   1  two VMs boot, sliced takes the bridge, the client opens its sessions
 *   2  slices are moved back and forth, one after the other
 *   3  one VM's last slices are moved away, and that VM is destroyed
 *   4  every session answers 20 more requests
 *   5  that VM is started again, and a browser's session moves (browse.c)
 *   6  the verdicts are computed from the records (verify.c, verify-browser.c)
 *
 * The director orders moves through slicectl, as a user would, and knows
 * nothing about how they work.
 */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "browse.h"
#include "lab.h"
#include "record.h"

#define N_VMS 2
#define N_TAIL 20
#define DEFAULT_MOVES 60
#define DEFAULT_BROWSER_MOVES 16
#define BOOT_TIMEOUT_MS 180000
#define CLIENT_TIMEOUT_MS 60000

#define DEFAULT_SESSIONS "slow,slow,slow,large,large,click,click,idle"
#define SESSIONS_MAX 256

typedef struct Session {
    const char *kind;
    uint16_t port;
    char *slice;
    char *vm;
} Session;

typedef struct Demo {
    char *dir;
    unsigned int n_wanted, n_browser_moves;
    Lab *lab;
    LabHost *host;
    LabVm *vms[N_VMS];
    LabClient *client;
    LabCapture *captures[N_VMS + 1];
    GPid client_pid;
    FILE *to_client, *from_client;
    FILE *moves;
    char **kinds;
    Session sessions[SESSIONS_MAX];
    unsigned int n_sessions;
    unsigned int n_ordered, n_moved;
    bool stumbled;              /* in the second part: the first has a verdict all the same */
    LabVm *destroyed;
    gint64 begun_us;
} Demo;

static void say(Demo *demo, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void say(Demo *demo, const char *format, ...)
{
    va_list args;

    printf("[%5.1f s] ", (g_get_monotonic_time() - demo->begun_us) / 1e6);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

/* ---- 1: bring up ---- */

static bool start_vms(Demo *demo, GError **error)
{
    for (int i = 0; i < N_VMS; i++) {
        g_autofree char *name = g_strdup_printf("web%d", i + 1);
        LabVmSpec spec = { .name = name, .number = i + 1, .slices = true };

        demo->vms[i] = lab_vm_new(demo->host, &spec, error);
        if (!demo->vms[i] || !lab_vm_boot(demo->vms[i], error)) {
            return false;
        }
    }
    for (int i = 0; i < N_VMS; i++) {
        if (!lab_vm_wait_up(demo->vms[i], BOOT_TIMEOUT_MS, error)) {
            return false;
        }
    }
    return true;
}

static bool start_captures(Demo *demo, GError **error)
{
    g_autofree char *client_path = g_build_filename(demo->dir, "client.pcap", NULL);

    demo->captures[N_VMS] = lab_capture_new(demo->lab, demo->client, NULL, client_path, error);
    for (int i = 0; i < N_VMS && demo->captures[N_VMS]; i++) {
        const char *port = lab_vm_service_port(demo->vms[i]);
        g_autofree char *path = g_strdup_printf("%s/%s.pcap", demo->dir, port);

        demo->captures[i] = lab_capture_new(demo->lab, NULL, port, path, error);
        if (!demo->captures[i]) {
            return false;
        }
    }
    return demo->captures[N_VMS] != NULL;
}

/* The client says "open NUMBER KIND PORT" for each session. */
static bool read_open_lines(Demo *demo, GError **error)
{
    for (unsigned int i = 0; i < demo->n_sessions; i++) {
        char line[128];
        unsigned int number, port;

        if (!fgets(line, sizeof(line), demo->from_client) ||
            sscanf(line, "open %u %*s %u", &number, &port) != 2 || number != i) {
            g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED,
                        "the client could not open its sessions, see client.log in %s", demo->dir);
            return false;
        }
        demo->sessions[i].kind = demo->kinds[i];
        demo->sessions[i].port = port;
    }
    return true;
}

static bool start_client(Demo *demo, GError **error)
{
    g_autofree char *program = g_build_filename(lab_build_dir(demo->lab), "tests/demo/slice-client",
                                                NULL);
    g_autofree char *history = g_build_filename(demo->dir, "client.tsv", NULL);
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    const char *head[] = { program, LAB_CLUSTER_ADDRESS, "80", history };
    int input, output;

    for (size_t i = 0; i < G_N_ELEMENTS(head); i++) {
        g_ptr_array_add(argv, (char *)head[i]);
    }
    for (unsigned int i = 0; i < demo->n_sessions; i++) {
        g_ptr_array_add(argv, (char *)demo->kinds[i]);
    }
    g_ptr_array_add(argv, NULL);
    demo->client_pid = lab_spawn_pipes(demo->lab, demo->client,
                                       (const char *const *)argv->pdata, &input, &output, error);
    if (!demo->client_pid) {
        return false;
    }
    demo->to_client = fdopen(input, "w");
    demo->from_client = fdopen(output, "r");
    return read_open_lines(demo, error);
}

static bool find_slices(Demo *demo, GError **error)
{
    for (unsigned int i = 0; i < demo->n_sessions; i++) {
        Session *session = &demo->sessions[i];
        g_autoptr(LabSlice) slice = lab_slice_find(demo->lab, session->port, error);

        if (!slice) {
            return false;
        }
        session->slice = g_strdup(slice->id);
        session->vm = g_strdup(slice->vm);
    }
    return true;
}

static bool bring_up(Demo *demo, GError **error)
{
    demo->lab = lab_new("demo", error);
    if (!demo->lab) {
        return false;
    }
    say(demo, "booting %d VMs (%s)", N_VMS, strcmp(lab_acceleration(demo->lab), "kvm")
        ? "TCG: no guest ran under KVM here; all times are upper bounds" : "KVM");
    demo->host = lab_host_new(demo->lab, "host1", error);
    if (!demo->host || !(demo->client = lab_client_new(demo->lab, 1, error)) ||
        !lab_sliced_start(demo->lab, demo->host, error) || !start_vms(demo, error) ||
        !lab_sliced_wait_ready(demo->lab, N_VMS, error)) {
        return false;
    }
    say(demo, "web1 and web2 serve; a client opens %u sessions", demo->n_sessions);
    if (!start_captures(demo, error) || !start_client(demo, error) || !find_slices(demo, error)) {
        return false;
    }
    for (unsigned int i = 0; i < demo->n_sessions; i++) {
        const Session *session = &demo->sessions[i];

        printf("            %2u  %-6s port %-6u slice %s on %s\n", i, session->kind,
               session->port, session->slice, session->vm);
    }
    return true;
}

/* ---- 2 and 3: moves ---- */

static const char *other_vm(const char *vm)
{
    return strcmp(vm, "web1") ? "web1" : "web2";
}

/* A move that is undone is no failure of the demo, but it does not count. */
static bool move_session(Demo *demo, unsigned int number, GError **error)
{
    Session *session = &demo->sessions[number];
    const char *target = other_vm(session->vm);
    LabMove move;
    bool ok = lab_slice_move(demo->lab, session->slice, target, &move, error);

    if (!ok) {
        return false;
    }
    demo->n_ordered++;
    fprintf(demo->moves, "move\t%u\t%u\t%s\t%s\t%s\t%" PRId64 "\t%" PRId64 "\t%s\t%" PRIu64 "\n",
            demo->n_ordered, number, session->slice, session->vm, target, move.begin_ns,
            move.end_ns, move.result, move.bytes);
    fflush(demo->moves);
    if (!strcmp(move.result, "moved")) {
        demo->n_moved++;
        g_free(session->vm);
        session->vm = g_strdup(target);
    } else {
        say(demo, "session %u did not move to %s: %s, %s", number, target, move.error, move.why);
    }
    lab_move_clear(&move);
    return true;
}

static bool move_back_and_forth(Demo *demo, GError **error)
{
    unsigned int next = 0;

    say(demo, "moving their slices back and forth, %u times, while they click", demo->n_wanted);
    while (demo->n_moved < demo->n_wanted && demo->n_ordered < 2 * demo->n_wanted) {
        unsigned int before = demo->n_moved;

        if (!move_session(demo, next++ % demo->n_sessions, error)) {
            return false;
        }
        if (demo->n_moved != before && demo->n_moved % 10 == 0) {
            say(demo, "  %u of %u", demo->n_moved, demo->n_wanted);
        }
    }
    return true;
}

/* Which VM to empty: one that has slices, so that the last move has a source. */
static bool empty_and_destroy(Demo *demo, GError **error)
{
    g_autofree char *victim = g_strdup(demo->sessions[0].vm);
    const char *argv[] = { "virsh", "-c", lab_host_uri(demo->host), "destroy", victim, NULL };

    say(demo, "emptying %s: its last slices move away", victim);
    for (unsigned int tries = 0; tries < 3; tries++) {
        for (unsigned int i = 0; i < demo->n_sessions; i++) {
            if (!strcmp(demo->sessions[i].vm, victim) && !move_session(demo, i, error)) {
                return false;
            }
        }
    }
    say(demo, "virsh destroy %s", victim);
    if (!lab_command(demo->lab, NULL, argv, NULL, error)) {
        return false;
    }
    demo->destroyed = demo->vms[strcmp(victim, lab_vm_name(demo->vms[0])) ? 1 : 0];
    fprintf(demo->moves, "destroy\t%s\t%" PRId64 "\ntail\t%d\nwanted\t%u\n", victim,
            (int64_t)g_get_monotonic_time() * 1000, N_TAIL, demo->n_wanted);
    return true;
}

/* ---- 4: the tail ---- */

static bool finish_client(Demo *demo, GError **error)
{
    char line[128] = "";

    say(demo, "every session now has to answer %d more requests", N_TAIL);
    fprintf(demo->to_client, "tail %d\n", N_TAIL);
    fflush(demo->to_client);
    if (!fgets(line, sizeof(line), demo->from_client)) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "the client ended without a word");
        return false;
    }
    for (int i = 0; i <= N_VMS; i++) {
        lab_capture_stop(g_steal_pointer(&demo->captures[i]), NULL);
    }
    return true;
}

/* ---- 5: the browser ---- */

static void say_line(const char *text, gpointer opaque)
{
    say(opaque, "%s", text);
}

static void browse(Demo *demo)
{
    g_autoptr(GError) error = NULL;
    DemoStage stage = { demo->lab, demo->vms, demo->dir, demo->n_browser_moves, say_line, demo };

    if (!demo->n_browser_moves) {
        return;
    }
    say(demo, "%s is started again", lab_vm_name(demo->destroyed));
    if (!lab_vm_boot(demo->destroyed, &error) ||
        !lab_vm_wait_up(demo->destroyed, BOOT_TIMEOUT_MS, &error) ||
        !lab_sliced_wait_ready(demo->lab, N_VMS, &error) || !demo_browse(&stage, &error)) {
        fprintf(stderr, "slice-demo: the browser: %s\n", error->message);
        demo->stumbled = true;
    }
}

/* What the parts thought in the end, for whoever looks into a failure. */
static void keep_evidence(Demo *demo)
{
    g_autofree char *flows = lab_switch_dump(demo->lab, NULL);
    g_autofree char *flows_path = g_build_filename(demo->dir, "flows.txt", NULL);
    g_autofree char *logs = g_build_filename(demo->dir, "lab", NULL);
    const char *copy[] = { "sh", "-c", "mkdir -p \"$2\" && cp \"$1\"/*.log \"$1\"/*.console \"$1\"/*.xml \"$2\"/",
                           "sh", lab_dir(demo->lab), logs, NULL };

    if (flows) {
        g_file_set_contents(flows_path, flows, -1, NULL);
    }
    lab_command(demo->lab, NULL, copy, NULL, NULL);
}

static bool run(Demo *demo, GError **error)
{
    return bring_up(demo, error) && move_back_and_forth(demo, error) &&
           empty_and_destroy(demo, error) && finish_client(demo, error);
}

static char *default_dir(void)
{
    const char *cache = g_getenv("SLICE_CACHE");
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *stamp = g_date_time_format(now, "demo-%Y%m%d-%H%M%S");

    return g_build_filename(cache ? cache : "/var/cache/slice", "results", stamp, NULL);
}

static int verify(const char *dir)
{
    g_autoptr(GError) error = NULL;
    bool holds;

    printf("\nVerdict, from the records in %s\n\n", dir);
    holds = demo_verify(dir, &error);
    if (!error && demo_has_browsed(dir)) {
        printf("\nThe browser\n\n");
        holds = demo_verify_browser(dir, &error) && holds;
    }
    if (!error) {
        printf("\n%s\n", holds ? "All of it held." : "NOT all of it held.");
    } else {
        fprintf(stderr, "slice-demo: %s\n", error->message);
    }
    return holds && !error ? 0 : 1;
}

int main(int argc, char **argv)
{
    g_autofree char *out = NULL, *check = NULL, *moves_path = NULL, *sessions = NULL;
    g_autoptr(GError) error = NULL;
    int n_wanted = DEFAULT_MOVES, n_browser_moves = DEFAULT_BROWSER_MOVES;
    GOptionEntry entries[] = {
        { "out", 0, 0, G_OPTION_ARG_FILENAME, &out, "where the records go", "DIR" },
        { "moves", 0, 0, G_OPTION_ARG_INT, &n_wanted, "how many moves", "N" },
        { "browser-moves", 0, 0, G_OPTION_ARG_INT, &n_browser_moves, "in the browser's part; 0: no such part", "N" },
        { "sessions", 0, 0, G_OPTION_ARG_STRING, &sessions, "click, slow, large, idle", "KIND,..." },
        { "verify", 0, 0, G_OPTION_ARG_FILENAME, &check, "judge earlier records", "DIR" },
        { NULL }
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    Demo demo = { .begun_us = g_get_monotonic_time() };
    bool ok;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) || n_wanted < 1 ||
        n_browser_moves < 0) {
        fprintf(stderr, "slice-demo: %s\n", error ? error->message : "at least one move");
        return 2;
    }
    if (check) {
        return verify(check);
    }
    signal(SIGPIPE, SIG_IGN);
    demo.n_wanted = n_wanted;
    demo.n_browser_moves = n_browser_moves;
    demo.kinds = g_strsplit(sessions ? sessions : DEFAULT_SESSIONS, ",", -1);
    demo.n_sessions = g_strv_length(demo.kinds);
    if (demo.n_sessions < 1 || demo.n_sessions > SESSIONS_MAX) {
        fprintf(stderr, "slice-demo: 1 to %d sessions\n", SESSIONS_MAX);
        return 2;
    }
    demo.dir = out ? g_steal_pointer(&out) : default_dir();
    moves_path = g_build_filename(demo.dir, "moves.tsv", NULL);
    if (g_mkdir_with_parents(demo.dir, 0755) || !(demo.moves = fopen(moves_path, "we"))) {
        perror(moves_path);
        return 1;
    }
    ok = run(&demo, &error);
    fclose(demo.moves);
    if (ok) {
        browse(&demo);
    }
    if (demo.lab) {
        keep_evidence(&demo);
    }
    lab_free(demo.lab);
    g_strfreev(demo.kinds);
    if (!ok) {
        fprintf(stderr, "slice-demo: %s\nslice-demo: what was recorded is in %s\n", error->message,
                demo.dir);
        return 1;
    }
    return verify(demo.dir) || demo.stumbled;
}
