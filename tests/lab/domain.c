// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * domain.c - the libvirt XML of a VM in the lab; pure text
 *
 * Open vSwitch's userspace datapath does not finish the checksums that a guest
 * leaves to its host, so host offloads are off on every interface.  The slice
 * devices are QEMU command line, as libvirt does not know them; the first
 * interface's netdev is always called hostnet0.  One QMP socket is sliced's,
 * one the lab's: each serves one client.
 */
#include "../guest/hand.h"
#include "internal.h"

#define SLICE_NAMESPACE "urn:slice:domain:1"

static void add_disk(GString *xml, const char *file, const char *target, const char *serial)
{
    g_string_append_printf(
        xml,
        "    <disk type='file' device='disk'>\n"
        "      <driver name='qemu' type='raw' cache='unsafe'/>\n"
        "      <source file='%s'/>\n"
        "      <target dev='%s' bus='virtio'/>\n"
        "      <serial>%s</serial>\n"
        "      <readonly/>\n"
        "      <shareable/>\n"
        "    </disk>\n",
        file, target, serial);
}

static void add_interface(GString *xml, const char *bridge, const char *port, const char *mac)
{
    g_string_append_printf(
        xml,
        "    <interface type='bridge'>\n"
        "      <source bridge='%s'/>\n"
        "      <virtualport type='openvswitch'/>\n"
        "      <target dev='%s'/>\n"
        "      <mac address='%s'/>\n"
        "      <model type='virtio'/>\n"
        "      <driver name='qemu'>\n"
        "        <host csum='off' gso='off' tso4='off' tso6='off' ecn='off' ufo='off'/>\n"
        "      </driver>\n"
        "    </interface>\n",
        bridge, port, mac);
}

static void add_channel(GString *xml, const char *path, const char *name)
{
    g_string_append_printf(
        xml,
        "    <channel type='unix'>\n"
        "      <source mode='bind' path='%s'/>\n"
        "      <target type='virtio' name='%s'/>\n"
        "    </channel>\n",
        path, name);
}

/* QEMU's guest agent: its socket is libvirt's own, for qemu-agent-command. */
static void add_guest_agent(GString *xml)
{
    g_string_append(xml,
                    "    <channel type='unix'>\n"
                    "      <target type='virtio' name='org.qemu.guest_agent.0'/>\n"
                    "    </channel>\n");
}

static void add_qemu_args(GString *xml, const LabDomain *domain)
{
    const LabVmSpec *spec = &domain->spec;
    g_autoptr(GPtrArray) args = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(args, g_strdup("-qmp"));
    g_ptr_array_add(args, g_strdup_printf("unix:%s,server=on,wait=off", domain->qmp_socket));
    g_ptr_array_add(args, g_strdup("-qmp"));
    g_ptr_array_add(args, g_strdup_printf("unix:%s,server=on,wait=off", domain->lab_qmp_socket));
    if (spec->slices) {
        g_ptr_array_add(args, g_strdup("-object"));
        g_ptr_array_add(args, g_strdup_printf("slice-store,id=sl0,name=%s,listen=127.0.0.1:%u",
                                              spec->name, domain->stream_port));
        g_ptr_array_add(args, g_strdup("-object"));
        g_ptr_array_add(args, g_strdup("filter-slice,id=gate0,netdev=hostnet0,store=sl0"));
        g_ptr_array_add(args, g_strdup("-device"));
        g_ptr_array_add(args, g_strdup("virtio-slice-pci,id=slice0,store=sl0,bus=pci.0,addr=0x1e"));
    }
    g_string_append(xml, "  <qemu:commandline>\n");
    for (guint i = 0; i < args->len; i++) {
        g_string_append_printf(xml, "    <qemu:arg value='%s'/>\n",
                               (char *)g_ptr_array_index(args, i));
    }
    g_string_append(xml, "  </qemu:commandline>\n");
}

static void add_metadata(GString *xml, const LabDomain *domain)
{
    if (!domain->spec.slices) {
        return;
    }
    g_string_append_printf(
        xml,
        "  <metadata>\n"
        "    <slice:domain xmlns:slice='" SLICE_NAMESPACE "'>\n"
        "      <slice:qmp path='%s'/>\n"
        "      <slice:stream host='127.0.0.1' port='%u'/>\n"
        "      <slice:service bridge='" LAB_SERVICE_BRIDGE "'/>\n"
        "    </slice:domain>\n"
        "  </metadata>\n",
        domain->qmp_socket, domain->reach_port);
}

char *lab_domain_xml(const LabDomain *domain)
{
    const LabVmSpec *spec = &domain->spec;
    GString *xml = g_string_new("");
    g_autofree char *own_mac = g_strdup_printf("52:54:00:78:00:%02x", spec->number);

    g_string_append_printf(
        xml,
        "<domain type='%s' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n"
        "  <name>%s</name>\n"
        "  <uuid>5115ec00-0000-4000-8000-0000000000%02x</uuid>\n",
        domain->type, spec->name, spec->number);
    add_metadata(xml, domain);
    g_string_append_printf(
        xml,
        "  <memory unit='MiB'>%u</memory>\n"
        "  <vcpu>1</vcpu>\n"
        "  <os>\n"
        "    <type arch='x86_64' machine='pc'>hvm</type>\n"
        "    <kernel>%s</kernel>\n"
        "    <initrd>%s</initrd>\n"
        "    <cmdline>console=ttyS0 quiet panic=-1 slice.name=%s slice.service=%s/24 "
        "slice.own=%s/24%s%s</cmdline>\n"
        "  </os>\n"
        "  <features><acpi/></features>\n"
        "  <clock offset='utc'/>\n"
        "  <on_poweroff>destroy</on_poweroff>\n"
        "  <on_reboot>restart</on_reboot>\n"
        "  <on_crash>destroy</on_crash>\n"
        "  <devices>\n"
        "    <emulator>%s</emulator>\n"
        "    <controller type='usb' model='none'/>\n",
        spec->memory_mb ? spec->memory_mb : 256, domain->kernel, domain->initramfs, spec->name,
        spec->service_address ? spec->service_address : LAB_CLUSTER_ADDRESS, domain->own_address,
        spec->service_address ? "" : " slice.service6=" LAB_CLUSTER_ADDRESS6 "/64",
        spec->plain ? " slice.plain" : "", domain->emulator);
    add_disk(xml, domain->debian, "vda", "debian");
    add_disk(xml, domain->product, "vdb", "product");
    add_interface(xml, LAB_SERVICE_BRIDGE, domain->service_port, LAB_CLUSTER_MAC);
    add_interface(xml, LAB_OWN_BRIDGE, domain->own_port, own_mac);
    add_channel(xml, domain->hand_socket, HAND_PORT);
    add_channel(xml, domain->agent_socket, "slice.agent.0");
    add_guest_agent(xml);
    g_string_append_printf(
        xml,
        "    <serial type='file'><source path='%s'/></serial>\n"
        "    <console type='file'><source path='%s'/></console>\n"
        "    <memballoon model='none'/>\n"
        "  </devices>\n",
        domain->console_log, domain->console_log);
    add_qemu_args(xml, domain);
    g_string_append(xml, "</domain>\n");
    return g_string_free(xml, FALSE);
}
