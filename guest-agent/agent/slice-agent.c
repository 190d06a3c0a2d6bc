// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * slice-agent.c - the orchestrator's ear in a VM
 *
 * Answers questions about this VM's slices over a virtio-serial port.  Moves do
 * not come this way: the hypervisor drives them itself.
 */
#include <stdlib.h>
#include <string.h>

#include <glib-unix.h>

#include "port.h"
#include "request.h"

#define PORT_NAME "slice.agent.0"

static char *answer(const char *line, gsize bytes, gpointer data)
{
    return slice_request_answer(data, line, bytes);
}

static gboolean stop(gpointer loop)
{
    g_main_loop_quit(loop);
    return G_SOURCE_REMOVE;
}

static gboolean parse(int *argc, char ***argv, char **ret_path,
                      gboolean *ret_once)
{
    const GOptionEntry entries[] = {
        { "port", 'p', 0, G_OPTION_ARG_FILENAME, ret_path,
          "device file; by default the port named " PORT_NAME, "PATH" },
        { "ask", 'a', 0, G_OPTION_ARG_NONE, ret_once,
          "answer the lines of standard input, then end", NULL },
        { NULL }
    };
    g_autoptr(GOptionContext) context =
        g_option_context_new("- answer questions about this VM's slices");
    g_autoptr(GError) error = NULL;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, argc, argv, &error)) {
        g_printerr("slice-agent: %s\n", error->message);
        return FALSE;
    }
    return TRUE;
}

static int answer_stdin(struct slice_opener *opener)
{
    g_autoptr(GIOChannel) in = g_io_channel_unix_new(0);
    g_autofree char *line = NULL;
    gsize bytes, end;

    while (g_io_channel_read_line(in, &line, &bytes, &end, NULL) ==
           G_IO_STATUS_NORMAL) {
        g_autofree char *reply = slice_request_answer(opener, line, end);

        g_print("%s", reply);
        g_clear_pointer(&line, g_free);
    }
    return 0;
}

int main(int argc, char **argv)
{
    g_autofree char *path = NULL;
    g_autoptr(GMainLoop) loop = NULL;
    g_autoptr(SlicePort) port = NULL;
    g_autoptr(GError) error = NULL;
    struct slice_opener *opener = NULL;
    gboolean once = FALSE;
    int err;

    if (!parse(&argc, &argv, &path, &once)) {
        return 2;
    }
    err = slice_open(NULL, &opener);
    if (err) {
        g_printerr("slice-agent: this machine has no slices: "
                   SLICE_DEVICE ": %s\n", g_strerror(-err));
    }
    if (once) {
        answer_stdin(opener);
        slice_close(opener);
        return 0;
    }
    if (!path) {
        path = slice_port_find(PORT_NAME);
    }
    if (!path) {
        g_printerr("slice-agent: there is no port " PORT_NAME "\n");
        slice_close(opener);
        return 1;
    }
    port = slice_port_new(path, answer, opener, &error);
    if (!port) {
        g_printerr("slice-agent: %s\n", error->message);
        slice_close(opener);
        return 1;
    }
    loop = g_main_loop_new(NULL, FALSE);
    g_unix_signal_add(SIGTERM, stop, loop);
    g_unix_signal_add(SIGINT, stop, loop);
    g_main_loop_run(loop);
    g_clear_pointer(&port, slice_port_free);
    slice_close(opener);
    return 0;
}
