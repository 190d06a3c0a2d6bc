/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * network.h - which connection leads to which VM
 *
 * Holds what the switch should have and brings it there: after each change, and
 * after each new connection to it.  Until slice_network_start() the switch is left as it
 * is, so that a restarted sliced first learns what exists.
 *
 * Below: flow.c, rules.c, store.c (slots).  Above: orchestrator.c.
 */
#ifndef SLICE_DAEMON_NETWORK_H
#define SLICE_DAEMON_NETWORK_H

#include "flow.h"
#include "store.h"

typedef struct SliceNetwork SliceNetwork;

/**
 * SliceNetworkKnown: tell every known connection and the VM that has it
 *
 * Called before VMs join the spread: @pin is to be called for each, with the VM
 * NULL for a connection that is on its way (its rule is its move's business).
 */
typedef void (*SliceNetworkPin)(SliceNetwork *network, const SliceTuple *flow,
                                const char *vm);
typedef void (*SliceNetworkKnown)(SliceNetwork *network, SliceNetworkPin pin,
                                  gpointer data);

/* @address, @address6 (nullable): the cluster's, IPv4 and IPv6 */
SliceNetwork *slice_network_new(const char *bridge, const char *openflow,
                                const char *address, const char *address6,
                                const char *mac, SliceStore *store,
                                SliceNetworkKnown known, gpointer data);
void slice_network_free(SliceNetwork *network);

/* From now on the switch is made to be what this says. */
void slice_network_start(SliceNetwork *network);

/**
 * slice_network_set_vm() - a VM runs
 * @port: name of its service NIC's port on the bridge; from now on the VM can
 *	say there only what the cluster may say
 * @spread: it has a share of the clients
 * @open: and takes their new connections; one that does not keeps those it has, also
 *	those that nobody told us of
 * @weight: its share of the spread against others', at least 1
 */
void slice_network_set_vm(SliceNetwork *network, const char *vm,
                          const char *port, gboolean spread, gboolean open,
                          guint weight);

/* It died: its exact rules go, its clients are spread over the others. */
void slice_network_lose_vm(SliceNetwork *network, const char *vm);

/* Its domain does not run: what its port was is not a VM's any more. */
void slice_network_remove_vm(SliceNetwork *network, const char *vm);

/**
 * slice_network_route() - lead connections to a VM, whatever the spread says
 * @slice: for messages
 * @done: see slice_flow_commit(); also SLICE_ERROR_REFUSED where the VM has no
 *	port on the bridge
 */
void slice_network_route(SliceNetwork *network, const char *slice,
                         GArray *flows, const char *vm, SliceFlowDone done,
                         gpointer data);

/**
 * slice_network_correct() - a slice is at a VM, whatever a move of ours was to make of it
 * @all: also for connections without an exact rule, which the spread may lead elsewhere
 *
 * Its connections lead there from now on; those that do already cost nothing.
 */
void slice_network_correct(SliceNetwork *network, const char *slice, GArray *flows,
                           const char *vm, gboolean all);

/**
 * slice_network_appeared() - connections of a slice were told for the first time
 *
 * Where the switch may have learned a rule for them, which would end, they get one that lasts.
 */
void slice_network_appeared(SliceNetwork *network, const char *slice, GArray *flows,
                            const char *vm);

/**
 * slice_network_steer() - all sessions of a client are at a VM
 * @client: address
 * @vm: (nullable): they are not, or there are none
 *
 * Its new connections are led there, if one of its sessions is where the spread would not
 * have put it, and the VM takes new connections; otherwise they follow the spread.
 */
void slice_network_steer(SliceNetwork *network, const char *client, const char *vm);

/* Connections that ended: their exact rules go. */
void slice_network_forget(SliceNetwork *network, GArray *flows);

/* Exact rules of connections that nobody knows go; all VMs have told theirs. */
void slice_network_trim(SliceNetwork *network);

/**
 * slice_network_wait() - until the switch has all that was asked for before
 * @done: SLICE_ERROR_UNREACHABLE where it has not, and gets it when it is connected
 */
void slice_network_wait(SliceNetwork *network, SliceFlowDone done, gpointer data);

gboolean slice_network_is_connected(SliceNetwork *network);
guint slice_network_slot(SliceNetwork *network, const char *vm);
/* 0: it has no port on the bridge. */
guint slice_network_port(SliceNetwork *network, const char *vm);
/* Does it take new clients? */
gboolean slice_network_in_spread(SliceNetwork *network, const char *vm);
/* How many bundles have been sent to the switch. */
guint slice_network_bundles(SliceNetwork *network);
/* Clients whose new connections are led somewhere. */
guint slice_network_steered(SliceNetwork *network);
guint slice_network_exact_rules(SliceNetwork *network);

#endif
