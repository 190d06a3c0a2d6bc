/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rules.c - the switch's tables, as text
 */
#include "rules.h"

#define COOKIE "0x51ce000000000000"
#define COOKIE_MASK "0xffff000000000000"

enum { GROUP_SPREAD = 1, GROUP_VMS, GROUP_OUTSIDE };

G_GNUC_PRINTF(2, 3)
static void add(GPtrArray *lines, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(lines, g_strdup_vprintf(format, args));
    va_end(args);
}

G_GNUC_PRINTF(2, 3)
static void rule(GPtrArray *lines, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    add(lines, "flow add cookie=" COOKIE ",%s", text);
}

static void add_groups(GPtrArray *lines, GArray *vms, GArray *outside)
{
    g_autoptr(GString) spread = g_string_new(
        "group add_or_mod group_id=1,type=select,selection_method=hash,"
        "fields(ip_src)");
    g_autoptr(GString) all = g_string_new("group add_or_mod group_id=2,type=all");
    g_autoptr(GString) out = g_string_new("group add_or_mod group_id=3,type=all");

    for (guint i = 0; i < vms->len; i++) {
        const SliceRulesVm *vm = &g_array_index(vms, SliceRulesVm, i);

        if (vm->spread) {
            g_string_append_printf(spread, ",bucket=bucket_id:%u,weight:100,"
                                   "actions=output:%u", vm->slot, vm->port);
        }
        g_string_append_printf(all, ",bucket=bucket_id:%u,actions=output:%u",
                               vm->slot, vm->port);
    }
    for (guint i = 0; i < outside->len; i++) {
        guint port = g_array_index(outside, guint, i);

        g_string_append_printf(out, ",bucket=bucket_id:%u,actions=output:%u",
                               i + 1, port);
    }
    add(lines, "%s", spread->str);
    add(lines, "%s", all->str);
    add(lines, "%s", out->str);
}

/* What a VM may say: the cluster's address and MAC, but no announcement of them. */
static void add_vm(GPtrArray *lines, const char *address, const char *mac,
                   guint port)
{
    rule(lines, "table=0,priority=600,in_port=%u,arp,arp_tpa=%s,actions=drop",
         port, address);
    rule(lines, "table=0,priority=500,in_port=%u,dl_src=%s,arp,arp_op=1,"
         "arp_spa=%s,arp_sha=%s,actions=group:%u", port, mac, address, mac,
         GROUP_OUTSIDE);
    rule(lines, "table=0,priority=500,in_port=%u,dl_src=%s,ip,nw_src=%s,"
         "actions=group:%u", port, mac, address, GROUP_OUTSIDE);
    rule(lines, "table=0,priority=400,in_port=%u,actions=drop", port);
}

/* Answered by the switch itself: the asker's fields become the target's. */
static void add_arp_proxy(GPtrArray *lines, const char *address,
                          const char *mac)
{
    rule(lines, "table=0,priority=300,arp,arp_op=1,arp_tpa=%s,"
         "actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],"
         "set_field:%s->eth_src,"
         "move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[],"
         "move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[],"
         "set_field:%s->arp_sha,set_field:%s->arp_spa,"
         "set_field:2->arp_op,in_port", address, mac, mac, address);
}

static guint echo_port(GArray *vms)
{
    for (guint i = 0; i < vms->len; i++) {
        const SliceRulesVm *vm = &g_array_index(vms, SliceRulesVm, i);

        if (vm->spread) {
            return vm->port;
        }
    }
    return 0;
}

/* What comes from outside for the cluster, and what does not concern it. */
static void add_outside(GPtrArray *lines, const char *address, const char *mac,
                        GArray *vms)
{
    guint echo = echo_port(vms);

    add_arp_proxy(lines, address, mac);
    rule(lines, "table=0,priority=300,arp,arp_op=2,arp_tpa=%s,"
         "actions=group:%u", address, GROUP_VMS);
    if (echo) {
        rule(lines, "table=0,priority=310,icmp,icmp_type=8,nw_dst=%s,"
             "actions=output:%u", address, echo);
    }
    rule(lines, "table=0,priority=300,icmp,nw_dst=%s,actions=group:%u",
         address, GROUP_VMS);
    rule(lines, "table=0,priority=300,ip,dl_dst=%s,nw_dst=%s,"
         "actions=goto_table:%u", mac, address, SLICE_RULES_TABLE_EXACT);
    /* Nobody outside may use the cluster's addresses as its own. */
    rule(lines, "table=0,priority=350,arp,arp_spa=%s,actions=drop", address);
    rule(lines, "table=0,priority=350,ip,nw_src=%s,actions=drop", address);
    rule(lines, "table=0,priority=0,actions=group:%u", GROUP_OUTSIDE);
}

GPtrArray *slice_rules_base(const char *address, const char *mac, GArray *vms,
                            GArray *outside)
{
    GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);

    add_groups(lines, vms, outside);
    add(lines, "flow delete cookie=" COOKIE "/" COOKIE_MASK ",table=0");
    add(lines, "flow delete cookie=" COOKIE "/" COOKIE_MASK ",table=2");
    add_outside(lines, address, mac, vms);
    rule(lines, "table=1,priority=0,actions=goto_table:2");
    rule(lines, "table=2,priority=100,reg0=0,actions=group:%u", GROUP_SPREAD);
    for (guint i = 0; i < vms->len; i++) {
        const SliceRulesVm *vm = &g_array_index(vms, SliceRulesVm, i);

        add_vm(lines, address, mac, vm->port);
        rule(lines, "table=2,priority=100,reg0=%u,actions=output:%u", vm->slot,
             vm->port);
    }
    return lines;
}

char *slice_rules_exact(const SliceTuple *flow, guint slot)
{
    return g_strdup_printf(
        "flow add cookie=0x%" G_GINT64_MODIFIER "x,table=1,priority=100,tcp,nw_src=%s,tp_src=%u,"
        "nw_dst=%s,tp_dst=%u,actions=set_field:%u->reg0,goto_table:2",
        SLICE_RULES_COOKIE | slot, flow->remote, flow->remote_port,
        flow->local, flow->local_port, slot);
}

char *slice_rules_no_exact(const SliceTuple *flow)
{
    return g_strdup_printf(
        "flow delete_strict table=1,priority=100,tcp,nw_src=%s,tp_src=%u,"
        "nw_dst=%s,tp_dst=%u", flow->remote, flow->remote_port, flow->local,
        flow->local_port);
}
