/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rules.h - the switch's tables, as text
 *
 *   table 0   classify: ARP, ICMP, who may say what, what goes where
 *   table 1   one exact rule for each connection that is not where the
 *             spread would put it: loads its VM's slot into reg0
 *   table 2   slot -> port of the VM; slot 0: the spread (group 1)
 *
 *   group 1   select, by hash of the client's address: new connections
 *   group 2   all VM ports: ARP replies and ICMP errors for the cluster's address
 *   group 3   all other ports ("outside": clients, uplinks)
 *
 * A cookie's upper half marks our rules, the lower half of an exact rule's is the slot, so a
 * restarted sliced reads back where each connection leads.  Removing a bucket of the select group
 * moves only the clients of that bucket (the hash is of the highest-random-weight kind),
 * adding one takes some of everybody's: network.c pins known connections before.
 *
 * Lines are in the syntax of ovs-ofctl's bundle files.  Pure.
 *
 * Source: docs/overview.md, "A move"; ovs-fields(7), ovs-actions(7).
 */
#ifndef SLICE_DAEMON_RULES_H
#define SLICE_DAEMON_RULES_H

#include "util/tuple.h"

#define SLICE_RULES_COOKIE G_GUINT64_CONSTANT(0x51ce000000000000)
#define SLICE_RULES_TABLE_EXACT 1

/**
 * SliceRulesVm: a VM's place in the switch
 * @slot: 1 .. 65535
 * @port: OpenFlow number, never 0
 * @spread: takes new connections
 */
typedef struct {
    guint slot;
    guint port;
    gboolean spread;
} SliceRulesVm;

/**
 * slice_rules_base() - tables 0 and 2 and the groups, replacing what is there
 * @address: of the cluster, IPv4 in dotted form
 * @mac: of the cluster
 * @vms: (element-type SliceRulesVm)
 * @outside: (element-type guint): port numbers
 *
 * To be committed as one bundle.  Table 1's exact rules stay.
 *
 * Return: (transfer full) (element-type utf8): lines
 */
GPtrArray *slice_rules_base(const char *address, const char *mac, GArray *vms,
                            GArray *outside);

/* Return: (transfer full): line that leads a connection to a VM. */
char *slice_rules_exact(const SliceTuple *flow, guint slot);
/* Return: (transfer full): line that leaves a connection to the spread. */
char *slice_rules_no_exact(const SliceTuple *flow);

#endif
