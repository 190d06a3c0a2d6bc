/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config.h - what sliced is told by its configuration file
 */
#ifndef SLICE_DAEMON_CONFIG_H
#define SLICE_DAEMON_CONFIG_H

#include "domain.h"

#define SLICE_CONFIG_PATH "/etc/slice/sliced.conf"
#define SLICE_SOCKET_PATH "/run/slice/sliced.sock"
#define SLICE_STORE_PATH "/var/lib/slice/sliced.db"

/**
 * SliceConfig: see sliced(8) for the file
 * @address6: the cluster's IPv6 address, or NULL
 * @uris: of libvirt; may be empty
 * @vms: (element-type SliceDomain): from [vm NAME] groups, for VMs without libvirt
 */
typedef struct {
    char *cluster;
    char *address;
    char *address6;
    char *mac;
    char *bridge;
    char *openflow;
    char **uris;
    char *socket;
    char *store;
    GPtrArray *vms;
} SliceConfig;

/**
 * slice_config_load() - read and check
 *
 * Return: NULL with SLICE_ERROR_INVALID naming file, group and key.
 */
SliceConfig *slice_config_load(const char *path, GError **error);
void slice_config_free(SliceConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SliceConfig, slice_config_free)

#endif
