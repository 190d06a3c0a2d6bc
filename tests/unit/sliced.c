/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sliced.c - a real sliced with stand-in engines and a real switch, and slicectl beside it
 */
#include "sliced.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>

static const char *const names[SLICED_VMS_MAX] = { "web1", "web2", "web3" };

char *sliced_path(Sliced *f, const char *name)
{
    return g_build_filename(f->folder, name, NULL);
}

/* ---- slicectl ---- */

static void finished(GObject *source, GAsyncResult *result, gpointer data)
{
    Sliced *f = data;
    GSubprocess *process = G_SUBPROCESS(source);
    g_autoptr(GError) error = NULL;

    g_subprocess_communicate_utf8_finish(process, result, &f->out, &f->err, &error);
    g_assert_no_error(error);
    g_assert_true(g_subprocess_get_if_exited(process));
    f->status = g_subprocess_get_exit_status(process);
    f->done = TRUE;
}

GSubprocess *sliced_spawn_ctl(Sliced *f, const char *arguments)
{
    g_autofree char *line = g_strdup_printf("%s %s", g_getenv("SLICECTL"), arguments);
    g_autofree char *socket = sliced_path(f, "sliced.sock");
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(
        G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
    g_auto(GStrv) argv = NULL;
    g_autoptr(GError) error = NULL;
    GSubprocess *process;

    g_assert_true(g_shell_parse_argv(line, NULL, &argv, NULL));
    g_subprocess_launcher_setenv(launcher, "SLICED_SOCKET", socket, TRUE);
    g_subprocess_launcher_setenv(launcher, "LC_ALL", "C.UTF-8", TRUE);
    process = g_subprocess_launcher_spawnv(launcher, (const char *const *)argv,
                                           &error);
    g_assert_no_error(error);
    return process;
}

void sliced_collect_later(Sliced *f, GSubprocess *process)
{
    g_clear_pointer(&f->out, g_free);
    g_clear_pointer(&f->err, g_free);
    f->done = FALSE;
    g_subprocess_communicate_utf8_async(process, NULL, NULL, finished, f);
    g_object_unref(process); /* the call holds it */
}

void sliced_collect(Sliced *f, GSubprocess *process)
{
    sliced_collect_later(f, process);
    while (!f->done) {
        g_main_context_iteration(NULL, TRUE);
    }
}

int sliced_ctl(Sliced *f, const char *arguments)
{
    sliced_collect(f, sliced_spawn_ctl(f, arguments));
    return f->status;
}

JsonNode *sliced_json(Sliced *f, const char *arguments)
{
    g_autoptr(GError) error = NULL;
    JsonNode *node;

    sliced_ctl(f, arguments);
    node = json_from_string(f->out, &error);
    g_assert_no_error(error);
    return node;
}

JsonObject *sliced_first(JsonNode *node)
{
    return json_array_get_object_element(json_node_get_array(node), 0);
}

/* ---- sliced ---- */

static void write_config(Sliced *f)
{
    g_autoptr(GString) text = g_string_new(NULL);

    g_string_printf(text,
        "[cluster]\nname=shop\naddress=192.0.2.10\nmac=52:54:00:00:02:0a\n"
        "[bridge]\nname=br0\nopenflow=%s\n"
        "[sliced]\nsocket=%s/sliced.sock\nstore=%s/sliced.db\n",
        ovs_openflow(f->ovs), f->folder, f->folder);
    for (guint i = 0; i < f->n_vms; i++) {
        g_string_append_printf(text, "[vm %s]\nqmp=%s/%s\nport=vm%u\n", names[i], f->folder,
                               names[i], i + 1);
    }
    f->config = sliced_path(f, "sliced.conf");
    g_assert_true(g_file_set_contents(f->config, text->str, -1, NULL));
}

void sliced_start(Sliced *f, const char *fault)
{
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_NONE);
    g_autofree char *log = sliced_path(f, "sliced.log");
    g_autoptr(GError) error = NULL;

    g_subprocess_launcher_set_stderr_file_path(launcher, log);
    if (fault) {
        g_subprocess_launcher_setenv(launcher, "SLICED_FAULT", fault, TRUE);
    }
    f->process = g_subprocess_launcher_spawn(launcher, &error, g_getenv("SLICED"), "--config",
                                             f->config, NULL);
    g_assert_no_error(error);
}

static guint count_ready(Sliced *f)
{
    g_autoptr(JsonNode) node = NULL;
    JsonArray *vms;
    guint ready = 0;

    if (sliced_ctl(f, "vm list --json")) {
        return 0;
    }
    node = json_from_string(f->out, NULL);
    vms = json_node_get_array(node);
    for (guint i = 0; i < json_array_get_length(vms); i++) {
        ready += json_object_get_boolean_member(
            json_array_get_object_element(vms, i), "spread");
    }
    return ready;
}

void sliced_wait_ready(Sliced *f, guint n_ready)
{
    while (count_ready(f) != n_ready) {
        g_main_context_iteration(NULL, FALSE);
    }
}

void sliced_wait_switch(Sliced *f)
{
    /* It changes nothing, and is answered like one that does. */
    g_assert_cmpint(sliced_ctl(f, "vm uncordon web1"), ==, 0);
}

static void process_ended(GObject *source, GAsyncResult *result, gpointer data)
{
    g_assert_true(g_subprocess_wait_finish(G_SUBPROCESS(source), result, NULL));
    ((Sliced *)data)->done = TRUE;
}

/* The engines answer while it ends. */
static void wait_end(Sliced *f)
{
    f->done = FALSE;
    g_subprocess_wait_async(f->process, NULL, process_ended, f);
    while (!f->done) {
        g_main_context_iteration(NULL, TRUE);
    }
}

void sliced_stop(Sliced *f)
{
    if (f->process) {
        g_subprocess_send_signal(f->process, SIGTERM);
        wait_end(f);
        g_clear_object(&f->process);
    }
}

gboolean sliced_is_stopped(Sliced *f)
{
    g_autofree char *path = g_strdup_printf("/proc/%s/stat",
                                            g_subprocess_get_identifier(f->process));
    g_autofree char *stat = NULL;

    return g_file_get_contents(path, &stat, NULL, NULL) && strstr(stat, ") T ");
}

void sliced_kill(Sliced *f)
{
    g_subprocess_force_exit(f->process);
    wait_end(f);
    g_clear_object(&f->process);
}

void sliced_wait_killed(Sliced *f, const char *point)
{
    g_autofree char *log = sliced_path(f, "sliced.log");
    g_autofree char *said = NULL;
    g_autofree char *expected = g_strdup_printf("fault %s: kill\n", point);

    wait_end(f);
    g_assert_true(g_subprocess_get_if_signaled(f->process));
    g_assert_cmpint(g_subprocess_get_term_sig(f->process), ==, SIGKILL);
    g_assert_true(g_file_get_contents(log, &said, NULL, NULL));
    g_assert_nonnull(strstr(said, expected));
    g_clear_object(&f->process);
}

/* ---- life ---- */

void sliced_prepare(Sliced *f, Ovs *ovs, guint n_vms)
{
    f->ovs = ovs;
    f->n_vms = n_vms;
    f->folder = g_dir_make_tmp("slice-test-XXXXXX", NULL);
    for (guint i = 0; i < n_vms; i++) {
        g_autofree char *path = sliced_path(f, names[i]);

        f->fake[i] = fake_engine_new(names[i], path, NULL);
        for (guint k = 0; k < i; k++) {
            fake_engine_join(f->fake[k], f->fake[i]);
        }
    }
    write_config(f);
}

void sliced_clear(Sliced *f)
{
    static const char *const files[] = { "sliced.conf", "sliced.db", "sliced.sock",
                                         "sliced.db-wal", "sliced.db-shm", "sliced.log",
                                         NULL };

    sliced_stop(f);
    for (guint i = 0; i < f->n_vms; i++) {
        fake_engine_free(f->fake[i]);
    }
    for (guint i = 0; files[i]; i++) {
        g_autofree char *path = sliced_path(f, files[i]);

        g_unlink(path);
    }
    g_rmdir(f->folder);
    g_free(f->folder);
    g_free(f->config);
    g_free(f->out);
    g_free(f->err);
}
