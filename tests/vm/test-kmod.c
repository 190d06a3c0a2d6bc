// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-kmod.c - slice.ko from user space: runs slice-kmod-test in a guest
 *
 *      one VM, no network needed
 *
 * The program in the guest speaks TAP; it is passed on unchanged, so each claim
 * of the /dev/slice matrix is a test case here.  Afterwards the guest's kernel
 * must have nothing to complain about.
 */
#include <stdio.h>
#include <string.h>

#include "lab.h"

#define TEST_TIMEOUT_MS 300000

static int fail(const GError *error)
{
    printf("Bail out! %s\n", error->message);
    return 1;
}

/* Both kernels: the first with the whole matrix, the second if asked for. */
static bool run_in_guest(LabVm *vm, char **ret_output, int *ret_status, GError **error)
{
    const char *argv[] = { "/usr/libexec/slice/slice-kmod-test", "--tap", NULL };

    return lab_vm_run(vm, argv, NULL, TEST_TIMEOUT_MS, ret_output, ret_status, error);
}

int main(int argc, char **argv)
{
    unsigned int kernel = argc > 1 && !strcmp(argv[1], "newer") ? 1 : 0;
    LabVmSpec spec = { .name = "kmod", .number = 31, .kernel = kernel };
    g_autofree char *output = NULL, *complaints = NULL, *exists = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(Lab) lab = NULL;
    LabHost *host;
    LabVm *vm;
    int status;

    lab_isolate();
    lab = lab_new("test", &error);
    host = lab ? lab_host_new(lab, "host1", &error) : NULL;
    if (!host) {
        return fail(error);
    }
    printf("# Linux %s, guests run under %s\n", lab_kernel(lab, kernel), lab_acceleration(lab));
    spec.slices = lab_has_slices(lab);
    vm = lab_vm_new(host, &spec, &error);
    if (!vm || !lab_vm_boot(vm, &error) || !lab_vm_wait_up(vm, 180000, &error)) {
        return fail(error);
    }
    exists = lab_vm_shell(vm, "ls /usr/libexec/slice/slice-kmod-test 2>/dev/null || true", &error);
    if (exists && !*exists) {
        printf("1..0 # SKIP the guests' image has no slice-kmod-test\n");
        return 0;
    }
    if (!run_in_guest(vm, &output, &status, &error)) {
        return fail(error);
    }
    fputs(output, stdout);
    complaints = lab_vm_shell(vm, "dmesg | grep -E 'BUG|WARNING|Oops|Call Trace|refcount' || true",
                              &error);
    if (!complaints || *complaints || status) {
        printf("# the guest's kernel said: %s# wait status 0x%x\n", complaints ? complaints : "?\n",
               status);
        return 1;
    }
    return 0;
}
