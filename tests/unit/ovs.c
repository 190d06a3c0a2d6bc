/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ovs.c - a real Open vSwitch with a dummy datapath, for one test program
 */
#include "ovs.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>

#define SCHEMA "/usr/share/openvswitch/vswitch.ovsschema"

struct Ovs {
    char *folder;
    char *openflow;
    char *db;
};

/* Return: (transfer full): what it printed. */
static char *run(Ovs *ovs, gboolean may_fail, const char *format, ...)
{
    g_auto(GStrv) argv = NULL;
    g_auto(GStrv) env = g_get_environ();
    g_autofree char *line = NULL;
    char *printed = NULL;
    g_autoptr(GError) error = NULL;
    int status;
    va_list args;

    va_start(args, format);
    line = g_strdup_vprintf(format, args);
    va_end(args);
    g_assert_true(g_shell_parse_argv(line, NULL, &argv, NULL));
    for (const char *const *name = (const char *const[]){ "OVS_RUNDIR", "OVS_LOGDIR",
             "OVS_DBDIR", "OVS_SYSCONFDIR", NULL }; *name; name++) {
        env = g_environ_setenv(env, *name, ovs->folder, TRUE);
    }
    g_assert_true(g_spawn_sync(ovs->folder, argv, env, G_SPAWN_SEARCH_PATH |
                               (may_fail ? G_SPAWN_STDERR_TO_DEV_NULL : 0), NULL,
                               NULL, &printed, NULL, &status, &error));
    if (!may_fail && !g_spawn_check_wait_status(status, &error)) {
        g_error("%s: %s", line, error->message);
    }
    return printed;
}

static void quietly(char *printed)
{
    g_free(printed);
}

static void start_switch(Ovs *ovs)
{
    quietly(run(ovs, FALSE, "ovs-vswitchd --detach --no-chdir --pidfile "
                "--log-file -vconsole:off --enable-dummy --disable-system %s",
                ovs->db));
}

static gboolean is_installed(void)
{
    g_autofree char *daemon = g_find_program_in_path("ovs-vswitchd");
    g_autofree char *server = g_find_program_in_path("ovsdb-server");

    return daemon && server && g_file_test(SCHEMA, G_FILE_TEST_EXISTS);
}

Ovs *ovs_start(void)
{
    Ovs *ovs;

    if (!is_installed()) {
        return NULL;
    }
    ovs = g_new0(Ovs, 1);
    ovs->folder = g_dir_make_tmp("slice-ovs-XXXXXX", NULL);
    ovs->openflow = g_strdup_printf("unix:%s/br0.mgmt", ovs->folder);
    ovs->db = g_strdup_printf("unix:%s/db.sock", ovs->folder);
    quietly(run(ovs, FALSE, "ovsdb-tool create conf.db " SCHEMA));
    quietly(run(ovs, FALSE, "ovsdb-server --detach --no-chdir --pidfile "
                "--log-file -vconsole:off --remote=p%s conf.db", ovs->db));
    quietly(run(ovs, FALSE, "ovs-vsctl --db=%s --no-wait init", ovs->db));
    start_switch(ovs);
    quietly(run(ovs, FALSE, "ovs-vsctl --db=%s add-br br0 -- set bridge br0 "
                "datapath_type=dummy fail-mode=secure", ovs->db));
    ovs_add_port(ovs, "vm1", 1);
    ovs_add_port(ovs, "vm2", 2);
    ovs_add_port(ovs, "cl3", 3);
    return ovs;
}

void ovs_add_port(Ovs *ovs, const char *name, guint number)
{
    quietly(run(ovs, FALSE, "ovs-vsctl --db=%s add-port br0 %s -- set int %s "
                "type=dummy ofport_request=%u", ovs->db, name, name, number));
}

static pid_t pid_of(Ovs *ovs, const char *program)
{
    g_autofree char *path = g_strdup_printf("%s/%s.pid", ovs->folder, program);
    g_autofree char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL)
               ? g_ascii_strtoll(text, NULL, 10) : 0;
}

static void kill_program(Ovs *ovs, const char *program)
{
    pid_t pid = pid_of(ovs, program);

    if (pid > 0) {
        kill(pid, SIGKILL);
        while (kill(pid, 0) == 0 || errno == EPERM) {
            g_autofree char *path = g_strdup_printf("/proc/%d/stat", pid);
            g_autofree char *stat = NULL;

            /* A container may leave it as a zombie for ever. */
            if (!g_file_get_contents(path, &stat, NULL, NULL) ||
                strstr(stat, ") Z ")) {
                break;
            }
            g_thread_yield();
        }
    }
}

void ovs_kill(Ovs *ovs)
{
    kill_program(ovs, "ovs-vswitchd");
}

void ovs_restart(Ovs *ovs)
{
    start_switch(ovs);
}

static void remove_folder(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        g_unlink(path);
    }
    g_rmdir(folder);
}

void ovs_stop(Ovs *ovs)
{
    if (!ovs) {
        return;
    }
    kill_program(ovs, "ovs-vswitchd");
    kill_program(ovs, "ovsdb-server");
    remove_folder(ovs->folder);
    g_free(ovs->folder);
    g_free(ovs->openflow);
    g_free(ovs->db);
    g_free(ovs);
}

const char *ovs_openflow(Ovs *ovs)
{
    return ovs->openflow;
}

/* Return: (transfer full): what stands after the last @mark. */
static char *trace_for(Ovs *ovs, const char *packet, const char *options, const char *mark)
{
    g_autofree char *printed =
        run(ovs, FALSE, "ovs-appctl ofproto/trace br0 %s %s", packet, options);
    const char *last = NULL;

    for (const char *at = printed; (at = strstr(at, mark)); at++) {
        last = at + strlen(mark);
    }
    if (!last) {
        g_error("ofproto/trace %s: %s", packet, printed);
    }
    return g_strndup(last, strcspn(last, "\n"));
}

static char *trace(Ovs *ovs, const char *packet, const char *options)
{
    return trace_for(ovs, packet, options, "Datapath actions: ");
}

char *ovs_megaflow(Ovs *ovs, const char *packet)
{
    return trace_for(ovs, packet, "", "Megaflow: ");
}

char *ovs_trace(Ovs *ovs, const char *format, ...)
{
    g_autofree char *packet = NULL;
    va_list args;

    va_start(args, format);
    packet = g_strdup_vprintf(format, args);
    va_end(args);
    return trace(ovs, packet, "");
}

char *ovs_send(Ovs *ovs, const char *format, ...)
{
    g_autofree char *packet = NULL;
    va_list args;

    va_start(args, format);
    packet = g_strdup_vprintf(format, args);
    va_end(args);
    return trace(ovs, packet, "-generate");
}

guint ovs_count_flows(Ovs *ovs, const char *which)
{
    g_autofree char *printed = run(ovs, FALSE, "ovs-ofctl -O OpenFlow15 dump-flows %s %s",
                                   ovs->openflow, which);
    guint n = 0;

    for (const char *at = printed; (at = strstr(at, "cookie=")); at++) {
        n++;
    }
    return n;
}
