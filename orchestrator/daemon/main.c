/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main.c - sliced: bring-up order, and nothing else
 */
#include <glib-unix.h>
#include <locale.h>
#include <stdlib.h>

#include "bus.h"
#include "util/error.h"
#include "util/fault.h"

static gboolean quit(gpointer loop)
{
    g_main_loop_quit(loop);
    return G_SOURCE_CONTINUE;
}

static void event(const SliceEvent *told, gpointer bus)
{
    slice_bus_tell_event(bus, told);
}

static void job(const SliceJob *told, const SliceJobItem *item, gpointer bus)
{
    slice_bus_tell_job(bus, told, item);
}

static int run(const char *path, GError **error)
{
    static const SliceOrchestratorHandlers handlers = { .event = event,
                                                        .job = job };
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    g_autoptr(SliceConfig) config = slice_config_load(path, error);
    SliceOrchestrator *orchestrator;
    SliceBus *bus;

    /* Before the switch's library installs its own. */
    g_unix_signal_add(SIGINT, quit, loop);
    g_unix_signal_add(SIGTERM, quit, loop);
    g_unix_signal_add(SIGHUP, quit, loop);
    if (!config) {
        return EXIT_FAILURE;
    }
    bus = slice_bus_new(config->socket, error);
    if (!bus) {
        return EXIT_FAILURE;
    }
    orchestrator = slice_orchestrator_new(config, &handlers, bus, error);
    if (orchestrator) {
        slice_bus_serve(bus, orchestrator);
        g_message("cluster %s, incarnation %u, listening on %s", config->cluster,
                  slice_orchestrator_incarnation(orchestrator), config->socket);
        g_main_loop_run(loop);
    }
    slice_orchestrator_free(orchestrator);
    slice_bus_free(bus);
    return orchestrator ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    g_autofree char *path = NULL;
    gboolean list_faults = FALSE;
    GOptionEntry options[] = {
        { "config", 'c', 0, G_OPTION_ARG_FILENAME, &path,
          "configuration file (" SLICE_CONFIG_PATH ")", "FILE" },
        { "list-faults", 0, 0, G_OPTION_ARG_NONE, &list_faults,
          "print the fault points that tests can use, and leave", NULL },
        { NULL },
    };
    g_autoptr(GOptionContext) context = g_option_context_new("- the orchestrator of a slice cluster");
    g_autoptr(GError) error = NULL;
    int status;

    setlocale(LC_ALL, "");
    g_set_prgname("sliced");
    g_option_context_add_main_entries(context, options, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        g_printerr("sliced: %s\n", error->message);
        return SLICE_ERROR_INVALID;
    }
    if (list_faults) {
        for (const char *const *point = slice_move_fault_points(); *point; point++) {
            g_print("%s\n", *point);
        }
        return EXIT_SUCCESS;
    }
    if (!slice_fault_arm(slice_move_fault_points(), &error)) {
        g_printerr("sliced: %s\n", error->message);
        return SLICE_ERROR_INVALID;
    }
    status = run(path ? path : SLICE_CONFIG_PATH, &error);
    if (error) {
        g_printerr("sliced: %s\n", error->message);
        status = slice_error_exit_code(error);
    }
    return status;
}
