// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sliced.c - the orchestrator in the lab, and its command line
 *
 * sliced runs in the lab's own namespaces, beside the hosts, with its socket
 * where slicectl looks for it.
 */
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal.h"

#define SLICED_DIR "/etc/slice"
#define SLICED_SOCKET "/run/slice/sliced.sock"

static char *built(Lab *lab, const char *program, GError **error)
{
    g_autofree char *path = g_build_filename(lab->build, "orchestrator", program, NULL);

    if (access(path, X_OK)) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_MISSING, "%s has not been built", path);
        return NULL;
    }
    return g_steal_pointer(&path);
}

static bool write_configuration(Lab *lab, LabHost *host, GError **error)
{
    g_autofree char *store = g_build_filename(lab->dir, "sliced.db", NULL);
    g_autofree char *text = g_strdup_printf(
        "[cluster]\n"
        "name=" LAB_CLUSTER_NAME "\n"
        "address=" LAB_CLUSTER_ADDRESS "\n"
        "address6=" LAB_CLUSTER_ADDRESS6 "\n"
        "mac=" LAB_CLUSTER_MAC "\n"
        "[bridge]\n"
        "name=" LAB_SERVICE_BRIDGE "\n"
        "openflow=unix:/run/openvswitch/" LAB_SERVICE_BRIDGE ".mgmt\n"
        "[libvirt]\n"
        "uris=%s\n"
        "[sliced]\n"
        "socket=" SLICED_SOCKET "\n"
        "store=%s\n", host->uri, store);

    g_mkdir_with_parents(SLICED_DIR, 0755);
    g_mkdir_with_parents("/run/slice", 0755);
    return g_file_set_contents(SLICED_DIR "/sliced.conf", text, -1, error);
}

bool lab_sliced_start_fault(Lab *lab, LabHost *host, const char *fault, GError **error)
{
    g_autofree char *program = built(lab, "sliced", error);
    g_autofree char *variable = g_strdup_printf("SLICED_FAULT=%s", fault);
    const char *argv[] = { "env", variable, program, "--config", SLICED_DIR "/sliced.conf", NULL };

    if (!program || !write_configuration(lab, host, error)) {
        return false;
    }
    unlink(SLICED_SOCKET);
    lab->sliced = lab_spawn(lab, NULL, argv, "sliced.log", error);
    return lab->sliced && lab_wait_socket(SLICED_SOCKET, LAB_TIMEOUT_MS, error);
}

bool lab_sliced_start(Lab *lab, LabHost *host, GError **error)
{
    return lab_sliced_start_fault(lab, host, "", error);
}

/* Nothing can be polled for the stop of a child; it is asked for 200 times a second. */
bool lab_sliced_wait_fault(Lab *lab, unsigned int timeout_ms, bool *ret_died, GError **error)
{
    gint64 deadline = lab_deadline(timeout_ms);
    int status;
    pid_t pid;

    while ((pid = waitpid(lab->sliced, &status, WUNTRACED | WNOHANG)) == 0 &&
           g_get_monotonic_time() < deadline) {
        g_usleep(5000);
    }
    if (pid == 0) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_TIMEOUT, "sliced did not come to its fault");
        return false;
    }
    *ret_died = pid < 0 || !WIFSTOPPED(status);
    if (*ret_died) {
        g_hash_table_remove(lab->children, GINT_TO_POINTER(lab->sliced));
        lab->sliced = 0;
    }
    return true;
}

void lab_sliced_continue(Lab *lab)
{
    kill(lab->sliced, SIGCONT);
}

bool lab_sliced_stop(Lab *lab, int signal_number, GError **error)
{
    int status = lab_stop(lab, lab->sliced, signal_number);

    lab->sliced = 0;
    return signal_number == SIGKILL || g_spawn_check_wait_status(status, error);
}

bool lab_slicectl_full(Lab *lab, const char *const *args, char **ret_output, char **ret_errors,
                       int *ret_status, GError **error)
{
    g_autofree char *program = built(lab, "slicectl", error);
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    int status;

    if (!program) {
        return false;
    }
    g_ptr_array_add(argv, program);
    for (; *args; args++) {
        g_ptr_array_add(argv, (char *)*args);
    }
    g_ptr_array_add(argv, NULL);
    if (!g_spawn_sync(NULL, (char **)argv->pdata, NULL, 0, NULL, NULL, ret_output, ret_errors,
                      &status, error)) {
        return false;
    }
    *ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
}

bool lab_slicectl(Lab *lab, const char *const *args, char **ret_output,
                  int *ret_status, GError **error)
{
    g_autofree char *output = NULL, *errors = NULL;
    int status;

    if (!lab_slicectl_full(lab, args, &output, &errors, &status, error)) {
        return false;
    }
    if (ret_status) {
        *ret_status = status;
    } else if (status) {
        g_autofree char *line = g_strjoinv(" ", (char **)args);

        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "slicectl %s: exit status %d: %s", line,
                    status, g_strstrip(errors));
        return false;
    }
    if (ret_output) {
        *ret_output = g_steal_pointer(&output);
    }
    return true;
}
