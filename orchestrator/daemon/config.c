/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config.c - what sliced is told by its configuration file
 */
#include "config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "util/error.h"

#define VM_GROUP "vm "

static gboolean complain(const char *path, const char *group, const char *key,
                         const char *what, GError **error)
{
    g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID, "%s: [%s] %s: %s",
                path, group, key, what);
    return FALSE;
}

static char *text(GKeyFile *file, const char *group, const char *key,
                  const char *otherwise)
{
    char *value = g_key_file_get_string(file, group, key, NULL);

    return value ? g_strstrip(value) : g_strdup(otherwise);
}

static gboolean is_mac(const char *mac)
{
    guint b[6];
    int end = 0;

    return mac &&
           sscanf(mac, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3],
                  &b[4], &b[5], &end) == 6 && end == 17 && !mac[end] &&
           !(b[0] & 1);
}

static gboolean is_ipv4(const char *address)
{
    struct in_addr binary;

    return address && inet_pton(AF_INET, address, &binary) == 1;
}

static gboolean is_ipv6(const char *address)
{
    struct in6_addr binary;

    return inet_pton(AF_INET6, address, &binary) == 1;
}

static gboolean add_vm(SliceConfig *config, GKeyFile *file, const char *path,
                       const char *group, GError **error)
{
    SliceDomain *vm = g_new0(SliceDomain, 1);
    g_autofree char *weight = NULL;
    guint64 number;

    g_ptr_array_add(config->vms, vm);
    vm->name = g_strdup(group + strlen(VM_GROUP));
    vm->running = TRUE;
    vm->qmp_path = text(file, group, "qmp", NULL);
    vm->stream = text(file, group, "stream", NULL);
    vm->port = text(file, group, "port", NULL);
    weight = text(file, group, "weight", G_STRINGIFY(SLICE_DOMAIN_WEIGHT));
    if (!g_ascii_string_to_unsigned(weight, 10, 1, SLICE_DOMAIN_WEIGHT_MAX, &number, NULL)) {
        return complain(path, group, "weight", "is not 1 to "
                        G_STRINGIFY(SLICE_DOMAIN_WEIGHT_MAX), error);
    }
    vm->weight = number;
    if (!vm->name[0]) {
        return complain(path, group, "name", "a VM needs one", error);
    }
    if (!vm->qmp_path) {
        return complain(path, group, "qmp", "is missing", error);
    }
    return TRUE;
}

static gboolean check(const SliceConfig *config, const char *path,
                      GError **error)
{
    if (!is_ipv4(config->address)) {
        return complain(path, "cluster", "address", "is no IPv4 address", error);
    }
    if (config->address6 && !is_ipv6(config->address6)) {
        return complain(path, "cluster", "address6", "is no IPv6 address", error);
    }
    if (!is_mac(config->mac)) {
        return complain(path, "cluster", "mac", "is no unicast MAC address",
                        error);
    }
    if (!config->uris[0] && !config->vms->len) {
        return complain(path, "libvirt", "uris", "neither these nor a VM", error);
    }
    return TRUE;
}

static void read_groups(SliceConfig *config, GKeyFile *file)
{
    g_autofree char *mgmt = NULL;

    config->cluster = text(file, "cluster", "name", "slice");
    config->address = text(file, "cluster", "address", NULL);
    config->address6 = text(file, "cluster", "address6", NULL);
    config->mac = text(file, "cluster", "mac", NULL);
    config->bridge = text(file, "bridge", "name", "br0");
    mgmt = g_strdup_printf("unix:/run/openvswitch/%s.mgmt", config->bridge);
    config->openflow = text(file, "bridge", "openflow", mgmt);
    config->uris = g_key_file_get_string_list(file, "libvirt", "uris", NULL, NULL);
    if (!config->uris) {
        config->uris = g_new0(char *, 1);
    }
    config->socket = text(file, "sliced", "socket", SLICE_SOCKET_PATH);
    config->store = text(file, "sliced", "store", SLICE_STORE_PATH);
}

SliceConfig *slice_config_load(const char *path, GError **error)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(SliceConfig) config = g_new0(SliceConfig, 1);
    g_auto(GStrv) groups = NULL;

    config->vms = g_ptr_array_new_with_free_func((GDestroyNotify)slice_domain_free);
    if (!g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, error)) {
        g_prefix_error(error, "%s: ", path);
        return NULL;
    }
    read_groups(config, file);
    groups = g_key_file_get_groups(file, NULL);
    for (guint i = 0; groups[i]; i++) {
        if (g_str_has_prefix(groups[i], VM_GROUP) &&
            !add_vm(config, file, path, groups[i], error)) {
            return NULL;
        }
    }
    return check(config, path, error) ? g_steal_pointer(&config) : NULL;
}

void slice_config_free(SliceConfig *config)
{
    if (config) {
        g_free(config->cluster);
        g_free(config->address);
        g_free(config->address6);
        g_free(config->mac);
        g_free(config->bridge);
        g_free(config->openflow);
        g_strfreev(config->uris);
        g_free(config->socket);
        g_free(config->store);
        g_clear_pointer(&config->vms, g_ptr_array_unref);
        g_free(config);
    }
}
