/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rules.c - the switch's tables, as text
 */
#include "rules.h"

#include <string.h>

#define COOKIE "0x51ce000000000000"
#define COOKIE_MASK "0xffff000000000000"

enum { GROUP_SPREAD = 1, GROUP_VMS, GROUP_OUTSIDE, GROUP_FIRST, GROUP_OPEN };

/*
 * A learned rule lasts as long as somebody says something within 18 hours, the longest that OpenFlow can
 * say, and for ten minutes after a FIN.  A flood of first segments leaves no more than so many.
 */
#define LEARNED_IDLE_S 65535
#define LEARNED_FIN_S 600
#define LEARNED_MAX 65535

#define TABLE_ANSWER 5

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

/* Groups for first segments: where a closed VM would be chosen, an open one is. */
static void add_first_groups(GPtrArray *lines, GArray *vms)
{
    g_autoptr(GString) first = g_string_new(
        "group add_or_mod group_id=4,type=select,selection_method=hash,"
        "fields(ip_src,ipv6_src)");
    g_autoptr(GString) open = g_string_new(
        "group add_or_mod group_id=5,type=select,selection_method=hash,"
        "fields(ip_src,ipv6_src)");

    for (guint i = 0; i < vms->len; i++) {
        const SliceRulesVm *vm = &g_array_index(vms, SliceRulesVm, i);

        if (vm->spread && vm->open) {
            g_string_append_printf(first, ",bucket=bucket_id:%u,weight:%u,actions=output:%u",
                                   vm->slot, vm->weight, vm->port);
            g_string_append_printf(open, ",bucket=bucket_id:%u,weight:%u,"
                                   "actions=set_field:%u->reg0,resubmit(,4)",
                                   vm->slot, vm->weight, vm->slot);
        } else if (vm->spread) {
            g_string_append_printf(first, ",bucket=bucket_id:%u,weight:%u,"
                                   "actions=resubmit(,3)", vm->slot, vm->weight);
        }
    }
    add(lines, "%s", open->str);
    add(lines, "%s", first->str);
}

static void add_groups(GPtrArray *lines, GArray *vms, GArray *outside)
{
    g_autoptr(GString) spread = g_string_new(
        "group add_or_mod group_id=1,type=select,selection_method=hash,"
        "fields(ip_src,ipv6_src)");
    g_autoptr(GString) all = g_string_new("group add_or_mod group_id=2,type=all");
    g_autoptr(GString) out = g_string_new("group add_or_mod group_id=3,type=all");

    for (guint i = 0; i < vms->len; i++) {
        const SliceRulesVm *vm = &g_array_index(vms, SliceRulesVm, i);

        if (vm->spread) {
            g_string_append_printf(spread, ",bucket=bucket_id:%u,weight:%u,"
                                   "actions=output:%u", vm->slot, vm->weight, vm->port);
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
    add_first_groups(lines, vms);
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

/* One of the open VMs, or of the closed ones where there is no other. */
static guint echo_port(GArray *vms)
{
    guint port = 0;

    for (guint i = 0; i < vms->len; i++) {
        const SliceRulesVm *vm = &g_array_index(vms, SliceRulesVm, i);

        if (vm->spread && vm->open) {
            return vm->port;
        }
        port = vm->spread && !port ? vm->port : port;
    }
    return port;
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

/* ---- IPv6 ---- */

/*
 * Answered by the switch, as ARP is: the question becomes the answer, solicited and
 * overriding, and its source's hardware address the target's.  That last field
 * can be named only where the packet is known to be an answer: in table 5.
 */
static void add_neighbour_proxy(GPtrArray *lines, const char *address6, const char *mac)
{
    rule(lines, "table=0,priority=320,icmp6,icmp_type=135,icmp_code=0,nd_target=%s,"
         "actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],set_field:%s->eth_src,"
         "move:NXM_NX_IPV6_SRC[]->NXM_NX_IPV6_DST[],set_field:%s->ipv6_src,"
         "set_field:136->icmpv6_type,set_field:2->nd_options_type,"
         "set_field:0x60000000->nd_reserved,resubmit(,%u)", address6, mac, address6,
         TABLE_ANSWER);
    rule(lines, "table=%u,priority=100,icmp6,icmp_type=136,icmp_code=0,nd_target=%s,"
         "actions=set_field:%s->nd_tll,in_port", TABLE_ANSWER, address6, mac);
    /* Who asks whether the address is free gets no answer, and no VM hears of it. */
    rule(lines, "table=0,priority=330,icmp6,icmp_type=135,ipv6_src=::,nd_target=%s,"
         "actions=drop", address6);
}

/* What a VM may say: see add_vm(). */
static void add_vm6(GPtrArray *lines, const char *address6, const char *mac, guint port)
{
    rule(lines, "table=0,priority=600,in_port=%u,icmp6,icmp_type=135,nd_target=%s,"
         "actions=drop", port, address6);
    rule(lines, "table=0,priority=600,in_port=%u,icmp6,icmp_type=136,actions=drop", port);
    rule(lines, "table=0,priority=500,in_port=%u,dl_src=%s,ipv6,ipv6_src=%s,"
         "actions=group:%u", port, mac, address6, GROUP_OUTSIDE);
}

/* What comes from outside: see add_outside(). */
static void add_outside6(GPtrArray *lines, const char *address6, const char *mac,
                         GArray *vms)
{
    guint echo = echo_port(vms);

    add_neighbour_proxy(lines, address6, mac);
    if (echo) {
        rule(lines, "table=0,priority=310,icmp6,icmp_type=128,ipv6_dst=%s,"
             "actions=output:%u", address6, echo);
    }
    rule(lines, "table=0,priority=300,icmp6,ipv6_dst=%s,actions=group:%u", address6,
         GROUP_VMS);
    rule(lines, "table=0,priority=290,ipv6,dl_dst=%s,ipv6_dst=%s,"
         "actions=goto_table:%u", mac, address6, SLICE_RULES_TABLE_EXACT);
    rule(lines, "table=0,priority=350,icmp6,icmp_type=136,nd_target=%s,actions=drop",
         address6);
    rule(lines, "table=0,priority=350,ipv6,ipv6_src=%s,actions=drop", address6);
}

/* ---- all of it ---- */

/* The connection whose first segment this is goes to @vm, and so does what follows. */
static void add_learner(GPtrArray *lines, const SliceRulesVm *vm, gboolean is_ipv6)
{
    const char *addresses = is_ipv6 ? "eth_type=0x86dd,nw_proto=6,NXM_NX_IPV6_SRC[],"
                                      "NXM_NX_IPV6_DST[]"
                                    : "eth_type=0x800,nw_proto=6,NXM_OF_IP_SRC[],"
                                      "NXM_OF_IP_DST[]";

    rule(lines, "table=4,priority=100,reg0=%u,%s,actions=set_field:%u->reg1,"
         "learn(table=1,priority=100,cookie=0x%" G_GINT64_MODIFIER "x,idle_timeout=%u,"
         "fin_idle_timeout=%u,limit=%u,%s,NXM_OF_TCP_SRC[],NXM_OF_TCP_DST[],"
         "output:NXM_NX_REG1[0..15]),"
         "output:%u", vm->slot, is_ipv6 ? "tcp6" : "tcp", vm->port,
         SLICE_RULES_COOKIE | SLICE_RULES_LEARNED | vm->slot, LEARNED_IDLE_S,
         LEARNED_FIN_S, LEARNED_MAX, addresses, vm->port);
}

/* Table 2's rules for TCP that no exact rule leads. */
static void add_spread(GPtrArray *lines, const char *tcp)
{
    /* Reading the port keeps the datapath's entries apart: see rules.h. */
    rule(lines, "table=2,priority=100,reg0=0,%s,actions=move:NXM_OF_TCP_SRC[]->"
         "NXM_NX_REG2[0..15],group:%u", tcp, GROUP_SPREAD);
    /* Also while no VM is closed: see rules.h. */
    rule(lines, "table=2,priority=110,reg0=0,%s,tcp_flags=+syn-ack,"
         "actions=move:NXM_OF_TCP_SRC[]->NXM_NX_REG2[0..15],group:%u", tcp, GROUP_FIRST);
}

GPtrArray *slice_rules_base(const char *address, const char *address6,
                            const char *mac, GArray *vms, GArray *outside)
{
    GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);

    add_groups(lines, vms, outside);
    add(lines, "flow delete cookie=" COOKIE "/" COOKIE_MASK ",table=0");
    for (guint table = 2; table <= TABLE_ANSWER; table++) {
        add(lines, "flow delete cookie=" COOKIE "/" COOKIE_MASK ",table=%u", table);
    }
    add_outside(lines, address, mac, vms);
    if (address6) {
        add_outside6(lines, address6, mac, vms);
        add_spread(lines, "tcp6");
    }
    add_spread(lines, "tcp");
    rule(lines, "table=1,priority=0,actions=goto_table:2");
    rule(lines, "table=2,priority=90,reg0=0,actions=group:%u", GROUP_SPREAD);
    rule(lines, "table=3,priority=0,actions=group:%u", GROUP_OPEN);
    for (guint i = 0; i < vms->len; i++) {
        const SliceRulesVm *vm = &g_array_index(vms, SliceRulesVm, i);

        add_vm(lines, address, mac, vm->port);
        if (address6) {
            add_vm6(lines, address6, mac, vm->port);
        }
        rule(lines, "table=2,priority=100,reg0=%u,actions=output:%u", vm->slot,
             vm->port);
        if (vm->spread && vm->open) {
            add_learner(lines, vm, FALSE);
            if (address6) {
                add_learner(lines, vm, TRUE);
            }
        }
    }
    return lines;
}

static char *match(const SliceTuple *flow)
{
    return g_strdup_printf(slice_tuple_is_ipv6(flow)
                               ? "tcp6,ipv6_src=%s,tp_src=%u,ipv6_dst=%s,tp_dst=%u"
                               : "tcp,nw_src=%s,tp_src=%u,nw_dst=%s,tp_dst=%u",
                           flow->remote, flow->remote_port, flow->local, flow->local_port);
}

char *slice_rules_exact(const SliceTuple *flow, guint slot)
{
    g_autofree char *which = match(flow);

    return g_strdup_printf("flow add cookie=0x%" G_GINT64_MODIFIER "x,table=1,priority=100,%s,"
                           "actions=set_field:%u->reg0,goto_table:2",
                           SLICE_RULES_COOKIE | slot, which, slot);
}

char *slice_rules_no_exact(const SliceTuple *flow)
{
    g_autofree char *which = match(flow);

    return g_strdup_printf("flow delete_strict table=1,priority=100,%s", which);
}

static const char *first_segments(const char *client)
{
    return strchr(client, ':') ? "tcp6,tcp_flags=+syn-ack,ipv6_src="
                               : "tcp,tcp_flags=+syn-ack,nw_src=";
}

char *slice_rules_client(const char *client, guint slot)
{
    return g_strdup_printf("flow add cookie=0x%" G_GINT64_MODIFIER "x,table=1,priority=50,%s%s,"
                           "actions=set_field:%u->reg0,goto_table:4",
                           SLICE_RULES_COOKIE | SLICE_RULES_CLIENT | slot,
                           first_segments(client), client, slot);
}

char *slice_rules_no_client(const char *client)
{
    return g_strdup_printf("flow delete_strict table=1,priority=50,%s%s",
                           first_segments(client), client);
}

char *slice_rules_none_of(guint64 kind, guint slot)
{
    return g_strdup_printf("flow delete cookie=0x%" G_GINT64_MODIFIER "x/0x%"
                           G_GINT64_MODIFIER "x,table=1", SLICE_RULES_COOKIE | kind | slot,
                           G_GUINT64_CONSTANT(0xffff000000000000) | SLICE_RULES_KINDS |
                           (slot ? 0xffff : 0));
}
