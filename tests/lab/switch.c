// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * switch.c - Open vSwitch with its userspace datapath, and the two bridges
 *
 * Sockets are where Debian's tools look for them, /run/openvswitch: the lab's
 * /run is its own.  The service bridge drops everything until told otherwise.
 */
#include <signal.h>
#include <sys/stat.h>

#include "internal.h"

#define OVS_RUN "/run/openvswitch"

static bool start_vswitchd(Lab *lab, GError **error)
{
    const char *daemon[] = { "ovs-vswitchd", "unix:" OVS_RUN "/db.sock", "--no-chdir", NULL };

    lab->vswitchd = lab_spawn(lab, NULL, daemon, "ovs-vswitchd.log", error);
    return lab->vswitchd;
}

static bool start_daemons(Lab *lab, GError **error)
{
    const char *create[] = { "ovsdb-tool", "create", OVS_RUN "/conf.db", NULL };
    const char *database[] = { "ovsdb-server", OVS_RUN "/conf.db",
                               "--remote=punix:" OVS_RUN "/db.sock", "--no-chdir", NULL };
    const char *init[] = { "ovs-vsctl", "--no-wait", "--timeout=20", "init", NULL };

    return lab_command(lab, NULL, create, NULL, error) &&
           lab_spawn(lab, NULL, database, "ovsdb-server.log", error) &&
           lab_wait_socket(OVS_RUN "/db.sock", LAB_TIMEOUT_MS, error) &&
           lab_command(lab, NULL, init, NULL, error) && start_vswitchd(lab, error);
}

bool lab_switch_start(Lab *lab, GError **error)
{
    const char *bridges[] = {
        "ovs-vsctl", "--timeout=20",
        "--", "add-br", LAB_SERVICE_BRIDGE,
        "--", "set", "bridge", LAB_SERVICE_BRIDGE, "datapath_type=netdev", "fail_mode=secure",
        "protocols=OpenFlow10,OpenFlow13,OpenFlow14,OpenFlow15",
        "--", "add-br", LAB_OWN_BRIDGE,
        "--", "set", "bridge", LAB_OWN_BRIDGE, "datapath_type=netdev", NULL
    };
    const char *address[] = { "ip", "address", "add", LAB_OWN_ADDRESS "/24", "dev",
                              LAB_OWN_BRIDGE, NULL };
    const char *up[] = { "ip", "link", "set", LAB_OWN_BRIDGE, "up", NULL };
    const char *offload[] = { "ethtool", "-K", LAB_OWN_BRIDGE, "tx", "off", NULL };

    g_mkdir_with_parents(OVS_RUN, 0755);
    return start_daemons(lab, error) && lab_command(lab, NULL, bridges, NULL, error) &&
           lab_command(lab, NULL, address, NULL, error) &&
           lab_command(lab, NULL, up, NULL, error) &&
           lab_command(lab, NULL, offload, NULL, error);
}

bool lab_switch_restart(Lab *lab, GError **error)
{
    /* Returns when the new daemon has made all that the database says. */
    const char *wait[] = { "ovs-vsctl", "--timeout=20", "set", "Open_vSwitch", ".",
                           "external_ids:restarted=yes", NULL };
    const char *address[] = { "ip", "address", "replace", LAB_OWN_ADDRESS "/24", "dev",
                              LAB_OWN_BRIDGE, NULL };
    const char *up[] = { "ip", "link", "set", LAB_OWN_BRIDGE, "up", NULL };

    lab_stop(lab, lab->vswitchd, SIGKILL);
    return start_vswitchd(lab, error) && lab_command(lab, NULL, wait, NULL, error) &&
           lab_command(lab, NULL, address, NULL, error) && lab_command(lab, NULL, up, NULL, error);
}

bool lab_switch_flow(Lab *lab, const char *flow, GError **error)
{
    const char *argv[] = { "ovs-ofctl", "-O", "OpenFlow13", "add-flow", LAB_SERVICE_BRIDGE, flow,
                           NULL };

    return lab_command(lab, NULL, argv, NULL, error);
}

bool lab_switch_steer(Lab *lab, LabVm *vm, GError **error)
{
    g_autoptr(GString) clients = g_string_new("");
    g_autofree char *out = NULL;
    const char *clear[] = { "ovs-ofctl", "-O", "OpenFlow13", "del-flows", LAB_SERVICE_BRIDGE, NULL };

    if (!lab_command(lab, NULL, clear, NULL, error)) {
        return false;
    }
    for (guint i = 0; i < lab->clients->len; i++) {
        const char *port = lab_client_port(g_ptr_array_index(lab->clients, i));
        g_autofree char *in = g_strdup_printf("priority=10,in_port=%s,actions=output:%s", port,
                                              lab_vm_service_port(vm));

        if (!lab_switch_flow(lab, in, error)) {
            return false;
        }
        g_string_append_printf(clients, "%soutput:%s", i ? "," : "", port);
    }
    out = g_strdup_printf("priority=10,in_port=%s,actions=%s", lab_vm_service_port(vm),
                          clients->len ? clients->str : "drop");
    return lab_switch_flow(lab, out, error);
}

char *lab_switch_dump(Lab *lab, GError **error)
{
    const char *argv[] = { "ovs-ofctl", "-O", "OpenFlow14", "--names", "--no-stats", "dump-flows",
                           LAB_SERVICE_BRIDGE, NULL };
    char *output = NULL;

    lab_command(lab, NULL, argv, &output, error);
    return output;
}
