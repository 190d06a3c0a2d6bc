// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-kmod.c - slice.ko from user space: runs a test program in a guest
 *
 * usage: test-kmod PROGRAM [newer]      newer: on the second kernel
 *
 *      one VM, no network needed
 *
 * The program (tests/kmod) speaks TAP; it is passed on unchanged, so each claim
 * it makes is a test case here.  Afterwards the guest's kernel
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

static bool run_in_guest(LabVm *vm, const char *program, char **ret_output, int *ret_status,
                         GError **error)
{
    /* Some make their networks from tun devices; some do more of the same with SLICE_ALL. */
    const char *argv[] = { "sh", "-c", "modprobe tun; SLICE_ALL=$1 exec \"$0\" --tap", program,
                           g_getenv("SLICE_ALL") ? "1" : "", NULL };

    return lab_vm_run(vm, argv, NULL, TEST_TIMEOUT_MS, ret_output, ret_status, error);
}

int main(int argc, char **argv)
{
    unsigned int kernel = argc > 2 && !strcmp(argv[2], "newer") ? 1 : 0;
    g_autofree char *program = g_strdup_printf("/usr/libexec/slice/%s", argc > 1 ? argv[1] : "");
    g_autofree char *look = g_strdup_printf("test -x %s && echo yes || true", program);
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
    if (!vm || !lab_vms_ready(&vm, 1, &error) || !lab_vm_restore(vm, &error)) {
        return fail(error);
    }
    exists = lab_vm_shell(vm, look, &error);
    if (exists && !*exists) {
        printf("1..0 # SKIP the guests' image has no %s\n", program);
        return 0;
    }
    if (!run_in_guest(vm, program, &output, &status, &error)) {
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
