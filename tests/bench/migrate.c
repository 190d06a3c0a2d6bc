// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * migrate.c - web1 migrates live, as a whole: what a session's move is compared with
 */
#include "migrate.h"

#include <signal.h>
#include <string.h>

#define COOKIE "0x62656e6368"
#define CONFIRM_TIMEOUT_MS 60000

/* At host1 and at host2. */
static const char *const names[][2] = {
    { "web1.", "web1-2." },             /* sockets, the console's file */
    { "web1-svc", "web1-sv2" },
    { "web1-own", "web1-ow2" },
    { ":7701", ":7751" },               /* where the engine listens ... */
    { "port='7701'", "port='7751'" },   /* ... and is reached */
};

/* ---- the switch ---- */

static bool learn(Stage *stage, const char *match, GError **error)
{
    g_autofree char *flow = g_strdup_printf("cookie=" COOKIE ",priority=60001,%s,actions=NORMAL",
                                            match);

    return lab_switch_flow(stage->lab, flow, error);
}

/*
 * Only the client's IP packets: all VMs of a cluster have one MAC, and the switch must
 * not learn it from another.  So it learns from web1's answers before it sends there.
 */
bool migrate_prepare(Stage *stage, Clicker *clicker, GError **error)
{
    const char *address = lab_client_address(stage->client);
    g_autofree char *from = g_strdup_printf("ip,nw_src=%s", address);
    g_autofree char *to = g_strdup_printf("ip,nw_dst=%s", address);

    if (!stage->other_host && !(stage->other_host = lab_host_new(stage->lab, "host2", error))) {
        return false;
    }
    if (!lab_sliced_stop(stage->lab, SIGTERM, error) || !learn(stage, "dl_type=0x8035", error) ||
        !learn(stage, to, error)) {
        return false;
    }
    return (clicker_wait(clicker, 3) || clicker_stop(clicker, error)) &&
           learn(stage, from, error);
}

bool migrate_finish(Stage *stage, GError **error)
{
    const char *remove[] = { "ovs-ofctl", "-O", "OpenFlow13", "del-flows", LAB_SERVICE_BRIDGE,
                             "cookie=" COOKIE "/-1", NULL };

    return lab_sliced_start(stage->lab, stage->host, error) &&
           lab_sliced_wait_ready(stage->lab, 2, error) &&
           lab_command(stage->lab, NULL, remove, NULL, error);
}

/* ---- slices that arrive with their VM ---- */

typedef struct Confirmation {
    char *qmp_path;
    int64_t run_ns, confirmed_ns;
    GError *error;
} Confirmation;

static bool confirm_slice(LabQmp *qmp, JsonObject *slice, int64_t orchestrator, GError **error)
{
    g_autofree char *arguments = g_strdup_printf(
        "{\"orchestrator\":%" G_GINT64_FORMAT ",\"id\":\"%s\",\"term\":%" G_GINT64_FORMAT
        ",\"accept\":true}", orchestrator, json_object_get_string_member(slice, "id"),
        json_object_get_int_member(slice, "term"));
    g_autoptr(JsonNode) reply = NULL;

    if (!json_object_get_boolean_member(slice, "fenced")) {
        return true;
    }
    reply = lab_qmp_execute(qmp, "slice-confirm", arguments, error);
    if (reply && strcmp(json_object_get_string_member(json_node_get_object(reply), "answer"), "ok")) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "slice-confirm: %s",
                    json_object_get_string_member(json_node_get_object(reply), "answer"));
        return false;
    }
    return reply != NULL;
}

static bool confirm_slices(LabQmp *qmp, GError **error)
{
    g_autoptr(JsonNode) store = lab_qmp_execute(qmp, "query-slice-store", NULL, error);
    g_autoptr(JsonNode) list = store ? lab_qmp_execute(qmp, "query-slices", NULL, error) : NULL;
    JsonArray *slices = list ? json_node_get_array(list) : NULL;
    int64_t orchestrator;

    if (!slices) {
        return false;
    }
    orchestrator = json_object_get_int_member(json_node_get_object(store), "orchestrator");
    for (guint i = 0; i < json_array_get_length(slices); i++) {
        if (!confirm_slice(qmp, json_array_get_object_element(slices, i), orchestrator, error)) {
            return false;
        }
    }
    return true;
}

static gpointer confirm(gpointer opaque)
{
    Confirmation *confirmation = opaque;
    LabQmp *qmp = lab_qmp_new(confirmation->qmp_path, CONFIRM_TIMEOUT_MS, &confirmation->error);
    g_autoptr(JsonObject) event = NULL;

    if (qmp) {
        event = lab_qmp_wait_event(qmp, "RESUME", CONFIRM_TIMEOUT_MS, &confirmation->error);
        confirmation->run_ns = http_now_ns();
        if (event) {
            confirm_slices(qmp, &confirmation->error);
        }
        confirmation->confirmed_ns = http_now_ns();
        lab_qmp_free(qmp);
    }
    return NULL;
}

/* ---- the migration ---- */

static char *renamed(const char *xml, bool away)
{
    char *text = g_strdup(xml);

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_auto(GStrv) parts = g_strsplit(text, names[i][!away], -1);

        g_free(text);
        text = g_strjoinv(names[i][away], parts);
    }
    return text;
}

/* "Data processed:   118.123 MiB" and the like; 0 where it does not say. */
static double bytes_of(const char *job_info)
{
    static const struct {
        const char *unit;
        double bytes;
    } units[] = { { "KiB", 1024 }, { "MiB", 1048576 }, { "GiB", 1073741824 }, { "B", 1 } };
    const char *line = strstr(job_info, "Data processed:");
    char *end;
    double value;

    if (!line) {
        return 0;
    }
    value = g_ascii_strtod(line + strlen("Data processed:"), &end);
    end += strspn(end, " ");
    for (size_t i = 0; i < G_N_ELEMENTS(units); i++) {
        if (g_str_has_prefix(end, units[i].unit)) {
            return value * units[i].bytes;
        }
    }
    return 0;
}

static bool write_target_xml(Stage *stage, const char *from, bool away, const char *path,
                             GError **error)
{
    const char *dump[] = { "virsh", "-c", from, "dumpxml", "--migratable", "web1", NULL };
    g_autofree char *xml = NULL, *target = NULL;

    if (!lab_command(stage->lab, NULL, dump, &xml, error)) {
        return false;
    }
    target = renamed(xml, away);
    return g_file_set_contents(path, target, -1, error);
}

static bool run_virsh(Stage *stage, const char *from, const char *to, const char *xml,
                      Migration *migration, GError **error)
{
    const char *migrate[] = { "virsh", "-c", from, "migrate", "--live", "--unsafe", "--xml", xml,
                              "--migrateuri", "tcp://127.0.0.1", "web1", to, NULL };
    const char *job[] = { "virsh", "-c", to, "domjobinfo", "--completed", "web1", NULL };
    g_autofree char *info = NULL;
    bool ok;

    migration->begin_ns = http_now_ns();
    ok = lab_command(stage->lab, NULL, migrate, NULL, error);
    migration->end_ns = http_now_ns();
    if (!ok || !lab_command(stage->lab, NULL, job, &info, error)) {
        return false;
    }
    migration->bytes = bytes_of(info);
    return true;
}

bool migrate_web1(Stage *stage, bool away, Migration *ret_migration, GError **error)
{
    const char *from = lab_host_uri(away ? stage->host : stage->other_host);
    const char *to = lab_host_uri(away ? stage->other_host : stage->host);
    g_autofree char *xml = g_build_filename(lab_dir(stage->lab), "migrate.xml", NULL);
    Confirmation confirmation = {
        .qmp_path = g_strdup_printf("%s/%slab-qmp", lab_run_dir(stage->lab), names[0][away]),
    };
    GThread *thread;
    bool ok;

    ok = write_target_xml(stage, from, away, xml, error);
    if (ok) {
        thread = g_thread_new("confirm", confirm, &confirmation);
        ok = run_virsh(stage, from, to, xml, ret_migration, error);
        g_thread_join(thread);
    }
    if (ok && confirmation.error) {
        g_propagate_error(error, g_steal_pointer(&confirmation.error));
        ok = false;
    }
    ret_migration->held_ms = (confirmation.confirmed_ns - confirmation.run_ns) / 1e6;
    g_clear_error(&confirmation.error);
    g_free(confirmation.qmp_path);
    return ok;
}
