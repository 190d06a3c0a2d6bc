// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kvm.c - is KVM of use on this machine?
 *
 * That /dev/kvm opens proves little (nested virtualization may hang), so a
 * guest is booted under it, and it counts when our initramfs' first program
 * says so on the console within the time limit.  The answer is remembered
 * until the machine boots again or the emulator changes.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal.h"

/* Under KVM the line comes within two seconds; a busy machine gets five times. */
#define PROBE_TIMEOUT_MS 10000
#define PROBE_LINE "slice: probe guest runs"

/* What an answer is valid for. */
static char *probe_key(Lab *lab)
{
    g_autofree char *boot = NULL;
    struct stat status = { 0 };

    g_file_get_contents("/proc/sys/kernel/random/boot_id", &boot, NULL, NULL);
    stat(lab->emulator, &status);
    return g_strdup_printf("%s %lld", boot ? g_strstrip(boot) : "", (long long)status.st_mtime);
}

static void die_with_parent(gpointer unused)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static bool probe_guest(Lab *lab)
{
    g_autofree char *kernel = g_strdup_printf("%s/kernels/%s/vmlinuz", lab->image, lab->kernels[0]);
    g_autofree char *initramfs = g_strdup_printf("%s/kernels/%s/initramfs", lab->image,
                                                 lab->kernels[0]);
    const char *argv[] = { lab->emulator, "-accel", "kvm", "-machine", "pc", "-m", "128",
                           "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
                           "-kernel", kernel, "-initrd", initramfs, "-append",
                           "console=ttyS0 quiet panic=-1 slice.probe", NULL };
    gint64 deadline = lab_deadline(PROBE_TIMEOUT_MS);
    g_autoptr(GString) console = g_string_new("");
    bool runs = false;
    int output;
    GPid pid;

    if (!g_spawn_async_with_pipes(NULL, (char **)argv, NULL,
                                  G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDERR_TO_DEV_NULL,
                                  die_with_parent, NULL, &pid, NULL, &output, NULL, NULL)) {
        return false;
    }
    while (!runs && lab_poll(output, POLLIN, deadline, "the probe", NULL)) {
        char data[512];
        ssize_t n = read(output, data, sizeof(data));

        if (n <= 0) {
            break;
        }
        g_string_append_len(console, data, n);
        runs = strstr(console->str, PROBE_LINE) != NULL;
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(output);
    return runs;
}

bool lab_kvm_probe(Lab *lab)
{
    g_autofree char *path = g_build_filename(lab->cache, "kvm-probe", NULL);
    g_autofree char *key = probe_key(lab), *kept = NULL, *answer = NULL;
    bool runs;

    if (access("/dev/kvm", R_OK | W_OK)) {
        return false;
    }
    if (g_file_get_contents(path, &kept, NULL, NULL) && g_str_has_prefix(kept, key)) {
        return strstr(kept, "runs") != NULL;
    }
    runs = probe_guest(lab);
    answer = g_strdup_printf("%s %s\n", key, runs ? "runs" : "hangs");
    g_file_set_contents(path, answer, -1, NULL);
    return runs;
}
