// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-guest.c - guests boot, serve, are saved and restored; both kernels
 *
 *      cl1 ─── br0 ─── one VM at a time      no sliced: the lab steers
 *
 * These hold without any slice device, so they say whether the lab itself
 * works.
 */
#include <stdio.h>
#include <string.h>

#include "http.h"
#include "lab.h"

#define TIMEOUT_MS 30000

static Lab *lab;
static LabHost *host;
static LabClient *client;

static void steer(LabVm *vm)
{
    g_autoptr(GError) error = NULL;

    lab_switch_steer(lab, vm, &error);
    g_assert_no_error(error);
}

static LabVm *boot(const char *name, unsigned int number)
{
    LabVmSpec spec = { .name = name, .number = number };
    g_autoptr(GError) error = NULL;
    LabVm *vm = lab_vm_new(host, &spec, &error);

    g_assert_no_error(error);
    lab_vm_boot(vm, &error);
    g_assert_no_error(error);
    lab_vm_wait_up(vm, 180000, &error);
    g_assert_no_error(error);
    steer(vm);
    return vm;
}

/* The VM with our devices that other programs of this run boot or have booted, restored. */
static LabVm *restore_shared(unsigned int kernel)
{
    LabVmSpec spec = { .name = "kmod", .number = 31, .kernel = kernel, .slices = lab_has_slices(lab) };
    g_autoptr(GError) error = NULL;
    LabVm *vm = lab_vm_new(host, &spec, &error);

    g_assert_no_error(error);
    lab_vms_ready(&vm, 1, &error);
    g_assert_no_error(error);
    lab_vm_restore(vm, &error);
    g_assert_no_error(error);
    steer(vm);
    return vm;
}

static HttpConnection *connect_to_cluster(void)
{
    g_autoptr(GError) error = NULL;
    int fd = lab_client_socket(client, &error);
    HttpConnection *http;

    g_assert_no_error(error);
    http = http_connection_new(fd, LAB_CLUSTER_ADDRESS, 80, TIMEOUT_MS, &error);
    g_assert_no_error(error);
    return http;
}

static void get(HttpConnection *http, uint64_t *counter)
{
    g_autoptr(GError) error = NULL;
    HttpResponse response;

    http_get(http, "/count.php", TIMEOUT_MS, &response, &error);
    g_assert_no_error(error);
    http_check_page(&response, counter, &error);
    g_assert_no_error(error);
    http_response_clear(&response);
}

static void end(LabVm *vm)
{
    g_autoptr(GError) error = NULL;

    lab_vm_destroy(vm, &error);
    g_assert_no_error(error);
}

/* Without our devices, running: two claims are about it. */
static LabVm *boot_plain(void)
{
    static LabVm *plain;

    if (!plain) {
        plain = boot("plain", 21);
    }
    return plain;
}

static void test_boots(void)
{
    LabVm *vm = boot_plain();
    g_autoptr(HttpConnection) http = connect_to_cluster();
    uint64_t counter = 0;

    g_assert_nonnull(vm);
    get(http, &counter);
    get(http, &counter);
}

/* A connection that was open when the VM was saved works after the restore. */
static void test_restores(void)
{
    LabVm *vm = boot_plain();
    g_autoptr(HttpConnection) http = connect_to_cluster();
    g_autoptr(GError) error = NULL;
    uint64_t counter = 0;

    get(http, &counter);
    for (int i = 0; i < 2; i++) {
        lab_vm_save(vm, &error);
        g_assert_no_error(error);
        lab_vm_restore(vm, &error);
        g_assert_no_error(error);
        steer(vm);              /* its port has another number */
        get(http, &counter);
    }
    end(vm);
}

static void need_slices(void)
{
    if (!lab_has_slices(lab)) {
        g_test_skip("this QEMU has no slice devices");
    }
}

/* The same with our devices in the machine: their state is saved, too. */
static void test_slices_restore(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *modules = NULL;
    LabVm *vm;

    need_slices();
    if (!lab_has_slices(lab)) {
        return;
    }
    vm = restore_shared(0);
    lab_vm_save(vm, &error);
    g_assert_no_error(error);
    lab_vm_restore(vm, &error);
    g_assert_no_error(error);
    modules = lab_vm_shell(vm, "test -c /dev/slice && lsmod", &error);
    g_assert_no_error(error);
    g_assert_nonnull(strstr(modules, "slice"));
    end(vm);
}

/* Kernel 6.12: the module loads, binds its device, and pages are served. */
static void test_newer_kernel(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *release = NULL;
    g_autoptr(HttpConnection) http = NULL;
    uint64_t counter = 0;
    LabVm *vm;

    vm = restore_shared(1);
    release = lab_vm_shell(vm, "uname -r; test -c /dev/slice; "
                           "! dmesg | grep -E 'BUG|WARNING|Oops|Call Trace'", &error);
    g_assert_no_error(error);
    g_assert_nonnull(strstr(release, lab_kernel(lab, 1)));
    http = connect_to_cluster();
    get(http, &counter);
    if (lab_has_slices(lab)) {
        g_autofree char *bound = lab_vm_shell(vm, "ls /sys/bus/virtio/drivers/*slice*/virtio*",
                                              &error);

        g_assert_no_error(error);
    }
    end(vm);
}

static bool start(GError **error)
{
    lab = lab_new("test", error);
    return lab && (host = lab_host_new(lab, "host1", error)) &&
           (client = lab_client_new(lab, 1, error));
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    int result;

    g_test_init(&argc, &argv, NULL);
    lab_isolate();
    if (!start(&error)) {
        fprintf(stderr, "the lab does not start: %s\n", error->message);
        return 1;
    }
    g_test_message("guests run under %s", lab_acceleration(lab));
    g_test_add_func("/vm/guest/boots-to-php-pages", test_boots);
    g_test_add_func("/vm/guest/connections-survive-save-and-restore", test_restores);
    g_test_add_func("/vm/guest/slice-devices-survive-save-and-restore", test_slices_restore);
    g_test_add_func("/vm/guest/kernel-6.12-loads-slice.ko-and-serves", test_newer_kernel);
    result = g_test_run();
    lab_free(lab);
    return result;
}
