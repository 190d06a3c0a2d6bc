/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flow.h - one bridge's OpenFlow tables, changed in whole bundles
 *
 * A thread of its own keeps one OpenFlow 1.5 connection to the bridge, by Open vSwitch's
 * library; nothing of that library is seen outside of flow.c.  Requests and answers
 * cross between the caller's main loop and the thread; a change costs two round trips (its
 * messages and a barrier, then the commit), some 200 microseconds.
 *
 * Below: libopenvswitch.  Above: network.c.
 */
#ifndef SLICE_DAEMON_FLOW_H
#define SLICE_DAEMON_FLOW_H

#include "util/tuple.h"

typedef struct SliceFlow SliceFlow;

/* A port of the bridge; @number is its OpenFlow number. */
typedef struct {
    char name[17];
    guint number;
} SliceFlowPort;

/* An exact rule that the bridge has; @learned: by itself, from a first segment. */
typedef struct {
    SliceTuple flow;
    guint slot;
    gboolean learned;
} SliceFlowRule;

/**
 * SliceFlowHandlers: called in the main context of slice_flow_new()
 * @connected: after each connection: what the bridge has
 * @ports: (element-type SliceFlowPort): they changed
 * @lost: the connection ended; requests under way have failed
 */
typedef struct {
    void (*connected)(GArray *ports, GArray *rules, gpointer data);
    void (*ports)(GArray *ports, gpointer data);
    void (*lost)(const char *why, gpointer data);
} SliceFlowHandlers;

/**
 * slice_flow_new() - start the thread and connect, for ever
 * @bridge: its name, for messages
 * @target: 'unix:/run/openvswitch/br0.mgmt' or another active OpenFlow
 *	connection method of Open vSwitch
 *
 * Context: must be first called before the process has other Open vSwitch threads; the library's
 * signal handlers are installed only for signals that have none yet.
 */
SliceFlow *slice_flow_new(const char *bridge, const char *target,
                          const SliceFlowHandlers *handlers, gpointer data);
/* Ends the thread.  No handler and no @done is called after it. */
void slice_flow_free(SliceFlow *flow);

typedef void (*SliceFlowDone)(const GError *error, gpointer data);

/**
 * slice_flow_commit() - change tables and groups, all or nothing
 * @lines: (element-type utf8): 'flow add ...', 'group add_or_mod ...': see
 *	rules.h; copied
 * @whose: for messages: 'slice 3fa9:7', 'the spread'
 * @done: (nullable): in the main context, exactly once.  Errors:
 *	SLICE_ERROR_REFUSED with 'bridge br0 refused the rule of @whose: why',
 *	SLICE_ERROR_UNREACHABLE without a connection (whether the bridge has the change is
 *	then unknown; what it has is told at the next @connected),
 *	SLICE_ERROR_INVALID for a line that is none
 */
void slice_flow_commit(SliceFlow *flow, GPtrArray *lines, const char *whose,
                       SliceFlowDone done, gpointer data);

#endif
