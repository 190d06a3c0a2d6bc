// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vm.c - a VM of the lab: one libvirt domain, its hand, its QMP socket
 *
 * A suite boots its VMs once and saves them; each test restores them, which
 * takes a quarter of the time and starts from the same state.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define LAB_STREAM_PORT 7700
#define LAB_RELAY_PORT 7800

struct LabVm {
    LabHost *host;
    LabVmSpec spec;
    char *name;
    char *service_port, *own_port, *own_address;
    char *hand_socket, *agent_socket, *qmp_socket, *lab_qmp_socket;
    char *saved;                /* path; there only after lab_vm_save */
    char *shared;               /* (nullable): the same, for other programs */
    virDomainPtr domain;
    LabHand *hand;
    LabQmp *qmp;
    LabRelay *relay;
};

static bool fail(LabVm *vm, const char *what, GError **error)
{
    g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "%s %s: %s", what, vm->name,
                virGetLastErrorMessage());
    return false;
}

static char *socket_path(LabVm *vm, const char *kind)
{
    return g_strdup_printf("%s/%s.%s", vm->host->lab->run_dir, vm->name, kind);
}

static char *make_xml(LabVm *vm)
{
    Lab *lab = vm->host->lab;
    const char *release = lab_kernel(lab, vm->spec.kernel);
    g_autofree char *kernel = g_strdup_printf("%s/kernels/%s/vmlinuz", lab->image, release);
    g_autofree char *initramfs = g_strdup_printf("%s/kernels/%s/initramfs", lab->image, release);
    g_autofree char *debian = g_build_filename(lab->place, "debian.erofs", NULL);
    g_autofree char *product = g_build_filename(lab->place, "product.erofs", NULL);
    g_autofree char *console = g_strdup_printf("%s/%s.console", lab->place, vm->name);
    LabDomain domain = {
        .spec = vm->spec,
        .type = lab->kvm ? "kvm" : "qemu",
        .emulator = lab->emulator,
        .kernel = kernel,
        .initramfs = initramfs,
        .debian = debian,
        .product = product,
        .console_log = console,
        .hand_socket = vm->hand_socket,
        .agent_socket = vm->agent_socket,
        .qmp_socket = vm->qmp_socket,
        .lab_qmp_socket = vm->lab_qmp_socket,
        .stream_port = LAB_STREAM_PORT + vm->spec.number,
        .reach_port = (vm->relay ? LAB_RELAY_PORT : LAB_STREAM_PORT) + vm->spec.number,
        .service_port = vm->service_port,
        .own_port = vm->own_port,
        .own_address = vm->own_address,
    };

    domain.spec.name = vm->name;
    return lab_domain_xml(&domain);
}

/*
 * Where a VM of this description is saved for other programs of this run of
 * tests: after its XML, its images and its emulator.
 */
static char *shared_path(Lab *lab, const char *xml)
{
    const char *dir = g_getenv("SLICE_LAB_SAVED");
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autofree char *debian = g_build_filename(lab->dir, "debian.erofs", NULL);
    g_autofree char *product = g_build_filename(lab->dir, "product.erofs", NULL);
    const char *const files[] = { lab->emulator, debian, product };

    if (!dir || !*dir) {
        return NULL;
    }
    g_checksum_update(sum, (const guchar *)xml, -1);
    for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *made = NULL;
        struct stat status = { 0 };

        stat(files[i], &status);
        made = g_strdup_printf(" %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT ".%09ld",
                               (guint64)status.st_ino, (gint64)status.st_mtim.tv_sec,
                               status.st_mtim.tv_nsec);
        g_checksum_update(sum, (const guchar *)made, -1);
    }
    return g_strdup_printf("%s/%.16s.saved", dir, g_checksum_get_string(sum));
}

LabVm *lab_vm_new(LabHost *host, const LabVmSpec *spec, GError **error)
{
    g_autofree char *xml = NULL, *record = NULL;
    LabVm *vm;

    if (!lab_kernel(host->lab, spec->kernel)) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_MISSING, "there is no guest kernel number %u",
                    spec->kernel);
        return NULL;
    }
    if (spec->slices && !host->lab->has_slices) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_MISSING, "%s has no slice devices",
                    host->lab->emulator);
        return NULL;
    }
    vm = g_new0(LabVm, 1);
    vm->host = host;
    vm->spec = *spec;
    vm->name = g_strdup(spec->name);
    vm->spec.name = vm->name;
    vm->service_port = g_strdup_printf("%s-svc", vm->name);
    vm->own_port = g_strdup_printf("%s-own", vm->name);
    vm->own_address = g_strdup_printf("10.78.0.%u", 10 + spec->number);
    vm->hand_socket = socket_path(vm, "hand");
    vm->agent_socket = socket_path(vm, "agent");
    vm->qmp_socket = socket_path(vm, "qmp");
    vm->lab_qmp_socket = socket_path(vm, "lab-qmp");
    vm->saved = g_strdup_printf("%s/%s.saved", host->lab->dir, vm->name);
    g_ptr_array_add(host->vms, vm);
    if (spec->relay) {
        vm->relay = lab_relay_new(LAB_RELAY_PORT + spec->number, LAB_STREAM_PORT + spec->number,
                                  error);
        if (!vm->relay) {
            return NULL;
        }
    }

    xml = make_xml(vm);
    vm->shared = shared_path(host->lab, xml);
    record = g_strdup_printf("%s/%s.xml", host->lab->dir, vm->name);
    g_file_set_contents(record, xml, -1, NULL);
    vm->domain = virDomainDefineXML(host->connection, xml);
    if (!vm->domain) {
        fail(vm, "defining", error);
        return NULL;
    }
    return vm;
}

void lab_vm_hang_up(LabVm *vm)
{
    g_clear_pointer(&vm->hand, lab_hand_free);
    g_clear_pointer(&vm->qmp, lab_qmp_free);
}

void lab_vm_free(LabVm *vm)
{
    lab_vm_hang_up(vm);
    if (vm->domain) {
        virDomainDestroy(vm->domain);
        virDomainFree(vm->domain);
    }
    lab_relay_free(vm->relay);
    g_free(vm->name);
    g_free(vm->service_port);
    g_free(vm->own_port);
    g_free(vm->own_address);
    g_free(vm->hand_socket);
    g_free(vm->agent_socket);
    g_free(vm->qmp_socket);
    g_free(vm->lab_qmp_socket);
    g_free(vm->saved);
    g_free(vm->shared);
    g_free(vm);
}

bool lab_vm_boot(LabVm *vm, GError **error)
{
    lab_vm_hang_up(vm);
    return virDomainCreate(vm->domain) == 0 || fail(vm, "starting", error);
}

static LabHand *get_hand(LabVm *vm, unsigned int timeout_ms, GError **error)
{
    if (!vm->hand) {
        vm->hand = lab_hand_new(vm->hand_socket, timeout_ms, error);
        if (!vm->hand) {
            g_prefix_error(error, "VM %s (its console is in %s): ", vm->name,
                           vm->host->lab->dir);
        }
    }
    return vm->hand;
}

/* The guest's init starts the hand when everything else has been started. */
bool lab_vm_wait_up(LabVm *vm, unsigned int timeout_ms, GError **error)
{
    return get_hand(vm, timeout_ms, error) != NULL;
}

bool lab_vm_save(LabVm *vm, GError **error)
{
    lab_vm_hang_up(vm);
    unlink(vm->saved);
    return virDomainSaveFlags(vm->domain, vm->saved, NULL, 0) == 0 || fail(vm, "saving", error);
}

/* A program's own name for what others have saved, or nothing. */
static bool take_shared(LabVm *vm)
{
    if (!vm->shared) {
        return false;
    }
    unlink(vm->saved);
    return !link(vm->shared, vm->saved);
}

/* Whoever is first has the name; all are alike. */
static void give_shared(LabVm *vm)
{
    if (vm->shared && link(vm->saved, vm->shared) && errno != EEXIST) {
        g_printerr("lab: %s is not shared: %s\n", vm->saved, g_strerror(errno));
    }
}

/* Nobody else boots what may be shared until the descriptor is closed; -1: it is not
 * shared.  All who boot several boot them in the same order. */
static int lock_shared(LabVm *vm)
{
    g_autofree char *path = vm->shared ? g_strdup_printf("%s.lock", vm->shared) : NULL;
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644) : -1;

    while (fd >= 0 && flock(fd, LOCK_EX) && errno == EINTR) {
        continue;
    }
    return fd;
}

static bool boot_all(LabVm *const *vms, unsigned int n, int *locks, GError **error)
{
    g_autofree bool *taken = g_new0(bool, n);

    for (unsigned int i = 0; i < n; i++) {
        taken[i] = take_shared(vms[i]);
        if (!taken[i]) {
            locks[i] = lock_shared(vms[i]);
            taken[i] = take_shared(vms[i]);     /* whom it was waited for has given it */
        }
        if (!taken[i] && !lab_vm_boot(vms[i], error)) {
            return false;
        }
    }
    for (unsigned int i = 0; i < n; i++) {
        if (taken[i]) {
            continue;
        }
        if (!lab_vm_wait_up(vms[i], LAB_BOOT_TIMEOUT_MS, error) || !lab_vm_save(vms[i], error)) {
            return false;
        }
        give_shared(vms[i]);
    }
    return true;
}

bool lab_vms_ready(LabVm *const *vms, unsigned int n, GError **error)
{
    g_autofree int *locks = g_new(int, n);
    bool ready;

    for (unsigned int i = 0; i < n; i++) {
        locks[i] = -1;
    }
    ready = boot_all(vms, n, locks, error);
    for (unsigned int i = 0; i < n; i++) {
        if (locks[i] >= 0) {
            close(locks[i]);
        }
    }
    return ready;
}

bool lab_vm_restore(LabVm *vm, GError **error)
{
    lab_vm_hang_up(vm);
    if (virDomainIsActive(vm->domain) == 1 && virDomainDestroy(vm->domain)) {
        return fail(vm, "ending", error);
    }
    if (virDomainRestoreFlags(vm->host->connection, vm->saved, NULL, VIR_DOMAIN_SAVE_RUNNING)) {
        return fail(vm, "restoring", error);
    }
    return lab_vm_wait_up(vm, LAB_TIMEOUT_MS, error);
}

bool lab_vm_destroy(LabVm *vm, GError **error)
{
    lab_vm_hang_up(vm);
    return virDomainDestroy(vm->domain) == 0 || fail(vm, "ending", error);
}

const char *lab_vm_name(LabVm *vm)
{
    return vm->name;
}

const char *lab_vm_own_address(LabVm *vm)
{
    return vm->own_address;
}

const char *lab_vm_service_port(LabVm *vm)
{
    return vm->service_port;
}

LabRelay *lab_vm_relay(LabVm *vm)
{
    return vm->relay;
}

/* libvirt runs in a PID namespace of its host, so its numbers are not ours. */
GPid lab_vm_pid(LabVm *vm)
{
    g_autofree char *name = g_strdup_printf("guest=%s,", vm->name);
    g_autoptr(GDir) dir = g_dir_open("/proc", 0, NULL);
    const char *entry;

    while (dir && (entry = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename("/proc", entry, "cmdline", NULL);
        g_autofree char *line = NULL;
        gsize bytes = 0;

        if (!g_ascii_isdigit(*entry) || !g_file_get_contents(path, &line, &bytes, NULL)) {
            continue;
        }
        for (gsize at = 0; at < bytes; at += strlen(line + at) + 1) {
            if (g_str_has_prefix(line + at, name)) {
                return atoi(entry);
            }
        }
    }
    return 0;
}

LabQmp *lab_vm_qmp(LabVm *vm, GError **error)
{
    if (!vm->qmp) {
        vm->qmp = lab_qmp_new(vm->lab_qmp_socket, LAB_TIMEOUT_MS, error);
    }
    return vm->qmp;
}

bool lab_vm_run(LabVm *vm, const char *const *argv, const char *input,
                unsigned int timeout_ms, char **ret_output, int *ret_status,
                GError **error)
{
    g_autofree char *output = NULL;
    int status;

    if (!get_hand(vm, LAB_TIMEOUT_MS, error)) {
        return false;
    }
    if (!lab_hand_run(vm->hand, argv, input, timeout_ms, &output, &status, error)) {
        g_prefix_error(error, "VM %s: ", vm->name);
        return false;
    }
    if (ret_status) {
        *ret_status = status;
    } else if (status) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "VM %s: %s ended with status 0x%x: %s",
                    vm->name, argv[0], status, g_strstrip(output));
        return false;
    }
    if (ret_output) {
        *ret_output = g_steal_pointer(&output);
    }
    return true;
}

char *lab_vm_shell(LabVm *vm, const char *script, GError **error)
{
    const char *argv[] = { "sh", "-c", script, NULL };
    char *output = NULL;

    lab_vm_run(vm, argv, NULL, LAB_TIMEOUT_MS, &output, NULL, error);
    return output;
}

char *lab_vm_agent(LabVm *vm, const char *request, GError **error)
{
    gint64 deadline = lab_deadline(LAB_TIMEOUT_MS);
    int fd = lab_connect_unix(vm->agent_socket, deadline, error);
    g_autofree char *line = g_strdup_printf("%s\n", request);
    g_autoptr(GString) answer = g_string_new("");
    bool ok = fd >= 0;

    if (ok && send(fd, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line)) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "VM %s: its agent's channel is closed",
                    vm->name);
        ok = false;
    }
    while (ok && !strchr(answer->str, '\n')) {
        char data[4096];
        ssize_t n = lab_poll(fd, POLLIN, deadline, "the agent", error) ? recv(fd, data, sizeof(data), 0)
                                                                     : -1;

        if (n > 0) {
            g_string_append_len(answer, data, n);
        } else {
            ok = false;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    if (!ok && error && !*error) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "VM %s: its agent hung up", vm->name);
    }
    return ok ? g_string_free(g_steal_pointer(&answer), FALSE) : NULL;
}
