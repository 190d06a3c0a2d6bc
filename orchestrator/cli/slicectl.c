/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * slicectl.c - one table of commands, and what they share
 */
#include <locale.h>
#include <string.h>

#include "cli.h"

#define SOCKET_PATH "/run/slice/sliced.sock"
#define BUS_PATH "/org/slice/Orchestrator1"

static const SliceCommand *const commands[] = {
    &slice_cmd_status,     &slice_cmd_vm_list,    &slice_cmd_vm_cordon,
    &slice_cmd_vm_uncordon, &slice_cmd_vm_drain,  &slice_cmd_vm_split,
    &slice_cmd_vm_merge,   &slice_cmd_slice_list, &slice_cmd_slice_show,
    &slice_cmd_slice_move, &slice_cmd_job_list,   &slice_cmd_job_show,
    &slice_cmd_job_cancel, &slice_cmd_events,
};

gboolean slice_cli_expect(SliceCli *cli, guint min, guint max, GError **error)
{
    guint n = g_strv_length(cli->args);

    if (n < min) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID,
                    "an argument is missing (see --help)");
        return FALSE;
    }
    if (n > max) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID,
                    "'%s' is too much (see --help)", cli->args[max]);
        return FALSE;
    }
    return TRUE;
}

static char *title_of(const SliceCommand *command)
{
    return g_strjoin(command->verb ? " " : "", command->noun,
                     command->verb ? command->verb : "", NULL);
}

static void print_usage(void)
{
    g_print("usage: slicectl NOUN VERB [ARGUMENTS] [OPTIONS]\n\n");
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) {
        g_autofree char *title = title_of(commands[i]);

        g_print("  %-14s%s\n", title, commands[i]->summary);
    }
    g_print("\nEach command takes --json, --socket PATH and --help, which shows "
            "examples.\n");
}

/* Return: (nullable) the command; @ret_words: how many of @argv name it. */
static const SliceCommand *find_command(int argc, char **argv, int *ret_words)
{
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) {
        const SliceCommand *command = commands[i];

        if (argc < 2 || !g_str_equal(argv[1], command->noun)) {
            continue;
        }
        if (!command->verb) {
            *ret_words = 1;
            return command;
        }
        if (argc > 2 && g_str_equal(argv[2], command->verb)) {
            *ret_words = 2;
            return command;
        }
    }
    return NULL;
}

static gboolean connect_to(SliceCli *cli, const char *path, GError **error)
{
    g_autofree char *escaped = g_dbus_address_escape_value(path);
    g_autofree char *address = g_strdup_printf("unix:path=%s", escaped);
    g_autoptr(GError) why = NULL;

    cli->connection = g_dbus_connection_new_for_address_sync(
        address, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL, NULL, &why);
    if (cli->connection) {
        cli->sliced = slice_bus_orchestrator1_proxy_new_sync(
            cli->connection, G_DBUS_PROXY_FLAGS_DO_NOT_LOAD_PROPERTIES, NULL,
            BUS_PATH, NULL, &why);
    }
    if (!cli->sliced) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_UNREACHABLE,
                    "sliced does not answer: %s", why->message);
        return FALSE;
    }
    g_dbus_proxy_set_default_timeout(G_DBUS_PROXY(cli->sliced), 30000);
    return TRUE;
}

static gboolean parse(const SliceCommand *command, SliceCli *cli, char **socket,
                      int *argc, char ***argv, GError **error)
{
    g_autofree char *title = title_of(command);
    g_autofree char *words = g_strdup_printf("%s", command->args);
    g_autoptr(GOptionContext) context = g_option_context_new(words);
    g_autofree char *program = g_strdup_printf("slicectl %s", title);
    const GOptionEntry common[] = {
        { "json", 0, 0, G_OPTION_ARG_NONE, &cli->json,
          "print JSON instead of text", NULL },
        { "socket", 0, 0, G_OPTION_ARG_FILENAME, socket,
          "where sliced listens (" SOCKET_PATH ", or $SLICED_SOCKET)", "PATH" },
        { NULL },
    };

    g_set_prgname(program);
    g_option_context_set_summary(context, command->summary);
    g_option_context_set_description(context, command->examples);
    g_option_context_add_main_entries(context, common, NULL);
    if (command->options) {
        g_option_context_add_main_entries(context, command->options, NULL);
    }
    return g_option_context_parse(context, argc, argv, error);
}

static int run(const SliceCommand *command, int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *socket = NULL;
    SliceCli cli = { 0 };
    const char *path;

    if (!parse(command, &cli, &socket, &argc, &argv, &error)) {
        g_printerr("slicectl: %s\n", error->message);
        return SLICE_ERROR_INVALID;
    }
    path = socket ? socket : g_getenv("SLICED_SOCKET");
    cli.args = argv + 1;
    if (connect_to(&cli, path ? path : SOCKET_PATH, &error)) {
        command->run(&cli, &error);
    }
    g_clear_object(&cli.sliced);
    g_clear_object(&cli.connection);
    if (error) {
        int code = slice_error_exit_code(error);

        g_dbus_error_strip_remote_error(error);
        g_printerr("slicectl: %s\n", error->message);
        return code;
    }
    return 0;
}

int main(int argc, char **argv)
{
    const SliceCommand *command;
    int words = 0;

    setlocale(LC_ALL, "");
    slice_error_quark(); /* so that errors of the bus are known as ours */
    if (argc < 2 || g_str_equal(argv[1], "--help") || g_str_equal(argv[1], "-h")) {
        print_usage();
        return argc < 2 ? SLICE_ERROR_INVALID : 0;
    }
    command = find_command(argc, argv, &words);
    if (!command) {
        g_printerr("slicectl: no command '%s%s%s' (see slicectl --help)\n",
                   argv[1], argc > 2 ? " " : "", argc > 2 ? argv[2] : "");
        return SLICE_ERROR_INVALID;
    }
    argv[words] = argv[0];
    return run(command, argc - words, argv + words);
}
