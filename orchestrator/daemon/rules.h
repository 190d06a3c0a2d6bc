/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rules.h - the switch's tables, as text
 *
 *   table 0   classify: ARP, neighbour discovery, ICMP, who may say what, what goes where
 *   table 1   one exact rule for each connection that is not where the
 *             spread would put it: loads its VM's slot into reg0
 *             below them: first segments (SYN) of steered clients, to table 4
 *   table 2   slot -> port of the VM; slot 0: the spread (group 1)
 *             first segments to group 4
 *   table 3   first segments for a closed VM: group 5 chooses an open one
 *   table 4   slot -> learn an exact rule for the connection, then the VM's port
 *   table 5   the second half of an answer to neighbour discovery
 *
 *   group 1   select, by hash of the client's address: all VMs of the spread
 *   group 2   all VM ports: ARP replies, neighbours' answers and ICMP errors for the cluster's address
 *   group 3   all other ports ("outside": clients, uplinks)
 *   group 4   as group 1, but a closed VM's bucket leads to table 3
 *   group 5   select: the open VMs
 *
 * A closed (cordoned) VM stays in group 1: what has a connection to it, slice or not, keeps it.  Only a
 * connection's first segment is led elsewhere, and leaves a learned rule for
 * those that follow: nothing has to be known beforehand, so nothing can come in between.  Learned rules end
 * by themselves, unless the connection turns out to be a slice's and gets an exact rule.
 *
 * The datapath keeps entries that cover as many ports as nobody has asked about, and drops one that a
 * new rule makes wrong some milliseconds later.  A new connection's second segment is faster: where such an entry
 * of an older connection covered it, it went to the closed VM, which answered RST.  And a first segment,
 * just after the rules had changed, followed an older one's entry to the VM that had been closed.  So
 * table 2 reads the client's port: each connection has entries of its own.
 *
 * And when rules change, the switch goes through them once more for each entry of the datapath that was used
 * in the last second, with the segment that made the entry, and learns anew.  So first segments always have entries
 * of their own, and what is known of a VM that is being closed gets exact rules in the same bundle.  A
 * connection that is no slice's and was opened in the last second before can still be led away.
 *
 * A cookie's upper 16 bits mark our rules, the next 16 tell the kind, the lowest 16 the slot, so a
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
/* Kinds of rules of table 1, in a cookie's bits 32 to 47; exact rules have 0. */
#define SLICE_RULES_LEARNED G_GUINT64_CONSTANT(0x100000000)
#define SLICE_RULES_CLIENT G_GUINT64_CONSTANT(0x200000000)
#define SLICE_RULES_KINDS G_GUINT64_CONSTANT(0xffff00000000)
#define SLICE_RULES_TABLE_EXACT 1

/**
 * SliceRulesVm: a VM's place in the switch
 * @slot: 1 .. 65535
 * @port: OpenFlow number, never 0
 * @spread: has a share of the clients' addresses
 * @open: and takes new connections
 * @weight: its share of the spread against others'
 */
typedef struct {
    guint slot;
    guint port;
    gboolean spread;
    gboolean open;
    guint weight;
} SliceRulesVm;

/**
 * slice_rules_base() - tables 0, 2 to 5 and the groups, replacing what is there
 * @address: of the cluster, IPv4 in dotted form
 * @address6: (nullable): of the cluster, IPv6; without it no IPv6 reaches a VM
 * @mac: of the cluster
 * @vms: (element-type SliceRulesVm)
 * @outside: (element-type guint): port numbers
 *
 * To be committed as one bundle.  Table 1's exact rules stay.
 *
 * Return: (transfer full) (element-type utf8): lines
 */
GPtrArray *slice_rules_base(const char *address, const char *address6,
                            const char *mac, GArray *vms, GArray *outside);

/* Return: (transfer full): line that leads a connection to a VM. */
char *slice_rules_exact(const SliceTuple *flow, guint slot);
/* Return: (transfer full): line that leaves a connection to the spread. */
char *slice_rules_no_exact(const SliceTuple *flow);

/* Return: (transfer full): line that leads new connections of a client to an open VM. */
char *slice_rules_client(const char *client, guint slot);
/* Return: (transfer full): line that leaves them to the spread. */
char *slice_rules_no_client(const char *client);
/* Return: (transfer full): line that removes all rules of a kind, of @slot or (0) of all. */
char *slice_rules_none_of(guint64 kind, guint slot);

#endif
