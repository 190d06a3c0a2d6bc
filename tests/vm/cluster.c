// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cluster.c - what the VM tests share: a small cluster, fresh for each test
 */
#include "cluster.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static Cluster cluster;

typedef struct Judged {
    uint16_t server_port, port;
    unsigned int n_fin;         /* that it may have */
    bool quiet;                 /* nothing acknowledged comes again */
    int64_t begin_ns, end_ns;   /* realtime, like the capture; no end: 0 */
} Judged;

static bool put_line(GError **error)
{
    uint64_t seed = (uint32_t)g_test_rand_int();

    g_test_message("the line's seed is %" G_GUINT64_FORMAT, seed);
    return (cluster.line = lab_link_new(cluster.lab, cluster.client, seed, error));
}

/* What a program wants beside the two VMs. */
typedef struct Extras {
    bool line, relays;
} Extras;

static bool start(const Extras *extras, GError **error)
{
    cluster.lab = lab_new("test", error);
    if (!cluster.lab || !(cluster.host = lab_host_new(cluster.lab, "host1", error)) ||
        !(cluster.client = lab_client_new(cluster.lab, 1, error)) ||
        (extras->line && !put_line(error))) {
        return false;
    }
    for (int i = 0; i < N_VMS; i++) {
        g_autofree char *name = g_strdup_printf("web%d", i + 1);
        LabVmSpec spec = { .name = name, .number = i + 1, .slices = true,
                           .relay = extras->relays };

        cluster.vms[i] = lab_vm_new(cluster.host, &spec, error);
        if (!cluster.vms[i]) {
            return false;
        }
    }
    return lab_vms_ready(cluster.vms, N_VMS, error);
}

/* A fixture's data pointer cannot hold a function, so it points to one of these. */
typedef struct Case {
    void (*test)(Cluster *cluster);
    void (*test_data)(Cluster *cluster, gconstpointer data);
    gconstpointer data;
    bool goes_on;               /* with what another that does has left */
} Case;

static bool is_kept;            /* for one that goes on */
static gint64 begin_us;         /* of this test */

static void stop_sliced(void)
{
    g_autoptr(GError) error = NULL;

    lab_sliced_stop(cluster.lab, SIGTERM, &error);
    g_assert_no_error(error);
}

static void begin_capture(void)
{
    g_autoptr(GError) error = NULL;

    cluster.pcap = g_strdup_printf("%s/client.pcap", lab_dir(cluster.lab));
    cluster.capture = lab_capture_new(cluster.lab, cluster.client, NULL, cluster.pcap, &error);
    g_assert_no_error(error);
    cluster.judged = g_array_new(FALSE, FALSE, sizeof(Judged));
}

static void start_cluster(void)
{
    g_autoptr(GError) error = NULL;

    for (int i = 0; i < N_VMS; i++) {
        lab_vm_restore(cluster.vms[i], &error);
        g_assert_no_error(error);
    }
    lab_sliced_start(cluster.lab, cluster.host, &error);
    g_assert_no_error(error);
    lab_sliced_wait_ready(cluster.lab, N_VMS, &error);
    g_assert_no_error(error);
}

static void set_up(Case *fixture, gconstpointer data)
{
    const Case *claim = data;
    LabLinkSettings wire = { 0 };

    begin_us = g_get_monotonic_time();
    if (cluster.line) {
        lab_link_set(cluster.line, LAB_LINK_FROM_CLIENT, &wire);
        lab_link_set(cluster.line, LAB_LINK_TO_CLIENT, &wire);
    }
    if (is_kept && !claim->goes_on) {
        stop_sliced();
        is_kept = false;
    }
    if (!is_kept) {
        start_cluster();
    }
    begin_capture();
    g_test_message("set up in %.1f s", (g_get_monotonic_time() - begin_us) / 1e6);
}

static void run(Case *fixture, gconstpointer data)
{
    const Case *claim = data;

    if (claim->test) {
        claim->test(&cluster);
    } else {
        claim->test_data(&cluster, claim->data);
    }
}

static void tear_down(Case *fixture, gconstpointer data)
{
    const Case *claim = data;

    cluster_finish(&cluster);
    g_clear_pointer(&cluster.judged, g_array_unref);
    cluster.all_ns = 0;
    g_clear_pointer(&cluster.pcap, g_free);
    is_kept = claim->goes_on;
    if (!is_kept) {
        stop_sliced();
    }
    g_test_message("ended after %.1f s", (g_get_monotonic_time() - begin_us) / 1e6);
}

static void add(const char *path, void (*test)(Cluster *cluster), bool goes_on)
{
    Case *claim = g_new0(Case, 1);

    claim->test = test;
    claim->goes_on = goes_on;
    g_test_add(path, Case, claim, set_up, run, tear_down);
}

void cluster_add(const char *path, void (*test)(Cluster *cluster))
{
    add(path, test, false);
}

void cluster_add_next(const char *path, void (*test)(Cluster *cluster))
{
    add(path, test, true);
}

void cluster_add_data(const char *path, void (*test)(Cluster *cluster, gconstpointer data),
                      gconstpointer data)
{
    Case *claim = g_new0(Case, 1);

    claim->test_data = test;
    claim->data = data;
    g_test_add(path, Case, claim, set_up, run, tear_down);
}

static int main_with(int argc, char **argv, const Extras *extras, void (*add_tests)(void))
{
    g_autoptr(GError) error = NULL;
    int result;

    g_test_init(&argc, &argv, NULL);
    signal(SIGPIPE, SIG_IGN);
    lab_isolate();
    if (!start(extras, &error)) {
        if (g_error_matches(error, LAB_ERROR, LAB_ERROR_MISSING)) {
            printf("1..0 # SKIP %s\n", error->message);
            return 0;
        }
        fprintf(stderr, "the cluster does not start: %s\n", error->message);
        return 1;
    }
    g_test_message("guests run under %s", lab_acceleration(cluster.lab));
    add_tests();
    result = g_test_run();
    lab_free(cluster.lab);
    return result;
}

int cluster_main(int argc, char **argv, void (*add_tests)(void))
{
    return main_with(argc, argv, &(Extras){ 0 }, add_tests);
}

int cluster_main_line(int argc, char **argv, void (*add_tests)(void))
{
    return main_with(argc, argv, &(Extras){ .line = true }, add_tests);
}

int cluster_main_relayed(int argc, char **argv, void (*add_tests)(void))
{
    return main_with(argc, argv, &(Extras){ .relays = true }, add_tests);
}

bool cluster_all(void)
{
    const char *all = g_getenv("SLICE_ALL");

    return all && *all;
}

HttpConnection *cluster_connect(Cluster *c, int receive_bytes)
{
    g_autoptr(GError) error = NULL;
    HttpConnection *http;
    int fd = lab_client_socket(c->client, &error);

    g_assert_no_error(error);
    if (receive_bytes) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
    }
    http = http_connection_new(fd, LAB_CLUSTER_ADDRESS, 80, TEST_TIMEOUT_MS, &error);
    g_assert_no_error(error);
    return http;
}

HttpConnection *cluster_connect6(Cluster *c)
{
    g_autoptr(GError) error = NULL;
    int fd = lab_client_socket6(c->client, &error);
    HttpConnection *http;

    g_assert_no_error(error);
    http = http_connection_new(fd, LAB_CLUSTER_ADDRESS6, 80, TEST_TIMEOUT_MS, &error);
    g_assert_no_error(error);
    return http;
}

void cluster_get(HttpConnection *http, const char *page, uint64_t *counter,
                 HttpResponse *ret_response)
{
    g_autoptr(GError) error = NULL;

    http_get(http, page, TEST_TIMEOUT_MS, ret_response, &error);
    g_assert_no_error(error);
    http_check_page(ret_response, counter, &error);
    g_assert_no_error(error);
}

char *cluster_get_vm(HttpConnection *http, uint64_t *counter)
{
    HttpResponse response;
    char *vm;

    cluster_get(http, "/count.php", counter, &response);
    vm = g_strdup(http_response_header(&response, "x-vm"));
    http_response_clear(&response);
    return vm;
}

LabSlice *cluster_slice(Cluster *c, HttpConnection *http)
{
    g_autoptr(GError) error = NULL;
    LabSlice *slice = lab_slice_find(c->lab, http_local_port(http), &error);

    g_assert_no_error(error);
    return slice;
}

LabSlice *cluster_labelled(Cluster *c, const char *label, unsigned int n_flows)
{
    gint64 deadline = g_get_monotonic_time() + TEST_TIMEOUT_MS * G_TIME_SPAN_MILLISECOND;

    for (;;) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) slices = lab_slice_list(c->lab, &error);

        g_assert_no_error(error);
        for (guint i = 0; i < slices->len; i++) {
            LabSlice *slice = g_ptr_array_index(slices, i);

            if (!strcmp(slice->label, label) && slice->n_flows == n_flows) {
                return g_ptr_array_steal_index(slices, i);
            }
        }
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    }
}

LabVm *cluster_vm(Cluster *c, const char *name)
{
    for (int i = 0; i < N_VMS; i++) {
        if (!strcmp(lab_vm_name(c->vms[i]), name)) {
            return c->vms[i];
        }
    }
    g_assert_not_reached();
}

LabVm *cluster_other(Cluster *c, const char *name)
{
    return c->vms[cluster_vm(c, name) == c->vms[0]];
}

/* What sliced and the hypervisors know, for whoever looks for the cause. */
static void tell_slices(Cluster *c)
{
    const char *list[] = { "slice", "list", NULL };
    g_autofree char *known = NULL;
    int status;

    lab_slicectl(c->lab, list, &known, &status, NULL);
    g_printerr("sliced knows:\n%s\n", known);
    for (int i = 0; i < N_VMS; i++) {
        LabQmp *qmp = lab_vm_qmp(c->vms[i], NULL);
        g_autoptr(JsonNode) answer = qmp ? lab_qmp_execute(
            qmp, "human-monitor-command", "{\"command-line\":\"info slices\"}", NULL) : NULL;

        g_printerr("%s\n", answer ? json_node_get_string(answer) : "no answer");
    }
}

void cluster_move(Cluster *c, LabSlice *slice)
{
    const char *target = lab_vm_name(cluster_other(c, slice->vm));
    g_autoptr(GError) error = NULL;
    LabMove move;

    lab_slice_move(c->lab, slice->id, target, &move, &error);
    g_assert_no_error(error);
    if (strcmp(move.result, "moved")) {
        tell_slices(c);
        g_error("slice %s did not move from %s to %s: %s, %s", slice->id, slice->vm, target,
                move.error, move.why);
    }
    lab_move_clear(&move);
    g_free(slice->vm);
    slice->vm = g_strdup(target);
}

int64_t cluster_store_number(LabVm *vm, const char *name)
{
    g_autoptr(GError) error = NULL;
    LabQmp *qmp = lab_vm_qmp(vm, &error);
    g_autoptr(JsonNode) answer = NULL;

    g_assert_no_error(error);
    answer = lab_qmp_execute(qmp, "query-slice-store", NULL, &error);
    g_assert_no_error(error);
    return json_object_get_int_member(json_node_get_object(answer), name);
}

void cluster_judge_port(Cluster *c, uint16_t server_port, uint16_t client_port,
                        unsigned int n_fin)
{
    Judged judged = { server_port, client_port, n_fin, false, g_get_real_time() * 1000, 0 };

    g_array_append_val(c->judged, judged);
}

void cluster_judge_quiet(Cluster *c, uint16_t server_port, uint16_t client_port, int64_t begin_ns)
{
    Judged judged = { server_port, client_port, G_MAXUINT, true, begin_ns,
                      g_get_real_time() * 1000 };

    g_array_append_val(c->judged, judged);
}

void cluster_judge(Cluster *c, HttpConnection *http)
{
    cluster_judge_port(c, 80, http_local_port(http), 0);
}

static void judge(const Wire *wire, const Judged *judged, int64_t end_ns)
{
    WireVerdict verdict;

    wire_judge(wire, judged->port, true, true, judged->begin_ns,
               judged->end_ns ? judged->end_ns : end_ns, &verdict);
    if (verdict.n_repeated) {
        g_test_message("port %u: %u repetitions, %u by time-out, %u of what was acknowledged",
                       judged->port, verdict.n_repeated, verdict.n_timeouts, verdict.n_stale);
    }
    g_assert_cmpuint(verdict.n_rst, ==, 0);
    g_assert_cmpuint(verdict.n_fin, <=, judged->n_fin);
    g_assert_cmpuint(verdict.n_syn, ==, 0);
    g_assert_cmpuint(verdict.n_outside, ==, 0);
    g_assert_true(!judged->quiet || !verdict.n_stale);
}

void cluster_judge_all(Cluster *c)
{
    c->all_ns = g_get_real_time() * 1000;
}

static void judge_all(const Wire *wire, int64_t begin_ns, int64_t end_ns)
{
    g_autoptr(GArray) ports = wire_clients(wire, begin_ns, end_ns);

    g_assert_cmpuint(ports->len, >, 0);
    for (guint i = 0; i < ports->len; i++) {
        Judged judged = {
            .port = g_array_index(ports, uint16_t, i), .begin_ns = begin_ns,
        };

        judge(wire, &judged, end_ns);
    }
}

void cluster_finish(Cluster *c)
{
    int64_t end_ns = g_get_real_time() * 1000;
    g_autoptr(Wire) wire = NULL;
    g_autoptr(GError) error = NULL;

    if (!c->capture) {
        return;
    }
    lab_capture_stop(g_steal_pointer(&c->capture), &error);
    g_assert_no_error(error);
    wire = wire_new();
    wire_read(wire, c->pcap, 0, &error);
    g_assert_no_error(error);
    for (guint i = 0; i < c->judged->len; i++) {
        const Judged *judged = &g_array_index(c->judged, Judged, i);

        wire->server_port = judged->server_port;
        judge(wire, judged, end_ns);
    }
    if (c->all_ns) {
        wire->server_port = 80;
        judge_all(wire, c->all_ns, end_ns);
    }
}

char *cluster_layer(LabVm *vm, const char *words)
{
    g_autofree char *script = g_strdup_printf(
        "/usr/libexec/slice/slice-guest-layer %s >/run/layer.out 2>&1 &"
        "while ! grep -q registered /run/layer.out 2>/dev/null; do"
        "  kill -0 $! || { cat /run/layer.out; exit 1; };"
        "done; sed -n 's/^capsule //p' /run/layer.out | tr -d '\\n'", words);
    g_autoptr(GError) error = NULL;
    char *id = lab_vm_shell(vm, script, &error);

    g_assert_no_error(error);
    return id;
}

JsonObject *cluster_engine_slice(LabVm *vm, const char *id)
{
    g_autoptr(GError) error = NULL;
    LabQmp *qmp = lab_vm_qmp(vm, &error);
    g_autoptr(JsonNode) answer = NULL;
    JsonArray *slices;

    g_assert_no_error(error);
    answer = lab_qmp_execute(qmp, "query-slices", NULL, &error);
    g_assert_no_error(error);
    slices = json_node_get_array(answer);
    for (guint i = 0; i < json_array_get_length(slices); i++) {
        JsonObject *slice = json_array_get_object_element(slices, i);

        if (!strcmp(json_object_get_string_member(slice, "id"), id)) {
            return json_object_ref(slice);
        }
    }
    return NULL;
}
