// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * host.c - a host of the lab: libvirtd with everything of its own
 *
 * No systemd, no D-Bus, no cgroups, no security driver: the namespace is what
 * confines it.
 */
#include <sys/stat.h>

#include "internal.h"

static const char qemu_conf[] =
    "user = \"root\"\n"
    "group = \"root\"\n"
    "dynamic_ownership = 0\n"
    "remember_owner = 0\n"
    "security_driver = \"none\"\n"
    "namespaces = []\n"
    "cgroup_controllers = []\n"
    "seccomp_sandbox = 0\n"
    "stdio_handler = \"file\"\n";

static bool write_file(const char *dir, const char *name, const char *text, GError **error)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);

    return g_file_set_contents(path, text, -1, error);
}

static bool write_configuration(LabHost *host, GError **error)
{
    g_autofree char *etc = g_build_filename(host->dir, "etc", NULL);
    g_autofree char *uuid = g_uuid_string_random();
    g_autofree char *conf = g_strdup_printf(
        "host_uuid = \"%s\"\n"
        "auth_unix_ro = \"none\"\n"
        "auth_unix_rw = \"none\"\n"
        "unix_sock_rw_perms = \"0700\"\n"
        "log_outputs = \"2:stderr\"\n", uuid);

    g_mkdir_with_parents(etc, 0755);
    return write_file(etc, "libvirtd.conf", conf, error) &&
           write_file(etc, "qemu.conf", qemu_conf, error);
}

/*
 * What libvirt has learnt about an emulator takes it four seconds to find out
 * again, so it is kept in the cache; libvirt itself notices when it is stale.
 */
static void share_capabilities(LabHost *host)
{
    g_autofree char *kept = g_build_filename(host->lab->cache, "libvirt", NULL);
    g_autofree char *place = g_build_filename(host->dir, "cache", NULL);

    g_mkdir_with_parents(kept, 0755);
    if (symlink(kept, place)) {
        g_mkdir_with_parents(place, 0755);
    }
}

static void ignore_error(void *opaque, virErrorPtr error)
{
}

LabHost *lab_host_new(Lab *lab, const char *name, GError **error)
{
    LabHost *host = g_new0(LabHost, 1);
    g_autofree char *log = g_strdup_printf("libvirtd-%s.log", name);
    g_autofree char *socket = NULL, *program = NULL;

    host->lab = lab;
    host->name = g_strdup(name);
    host->dir = g_build_filename(lab->run_dir, name, NULL);
    host->vms = g_ptr_array_new_with_free_func((GDestroyNotify)lab_vm_free);
    g_ptr_array_add(lab->hosts, host);
    socket = g_build_filename(host->dir, "run/libvirt/libvirt-sock", NULL);
    host->uri = g_strdup_printf("qemu+unix:///system?socket=%s", socket);
    program = g_build_filename(lab->build, "tests/lab/slice-lab-host", NULL);

    const char *argv[] = { program, host->dir, "/usr/sbin/libvirtd", NULL };

    {
        g_autofree char *dir = g_path_get_dirname(socket);

        g_mkdir_with_parents(dir, 0755);
    }
    share_capabilities(host);
    if (!write_configuration(host, error) || !lab_spawn(lab, NULL, argv, log, error) ||
        !lab_wait_socket(socket, LAB_TIMEOUT_MS, error)) {
        return NULL;
    }
    virSetErrorFunc(NULL, ignore_error);
    host->connection = virConnectOpen(host->uri);
    if (!host->connection) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "host %s: %s", name,
                    virGetLastErrorMessage());
        return NULL;
    }
    return host;
}

/* Its processes end with the lab's children. */
void lab_host_free(LabHost *host)
{
    g_ptr_array_unref(host->vms);
    if (host->connection) {
        virConnectClose(host->connection);
    }
    g_free(host->name);
    g_free(host->dir);
    g_free(host->uri);
    g_free(host);
}

void lab_host_hang_up(LabHost *host)
{
    for (guint i = 0; i < host->vms->len; i++) {
        lab_vm_hang_up(g_ptr_array_index(host->vms, i));
    }
}

const char *lab_host_uri(LabHost *host)
{
    return host->uri;
}
