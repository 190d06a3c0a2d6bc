/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lease.h - what engines need for moves of their own: peers and terms
 *
 * An engine whose guest meets a connection of a session that is elsewhere asks its peers and moves the
 * connection there, without us.  For that it has the list of its peers, and terms set aside for it.
 *
 * Below: engine.c, store.c.  Above: orchestrator.c.
 * Source: docs/specs/ownership.md, rules 3 and 6.
 */
#ifndef SLICE_DAEMON_LEASE_H
#define SLICE_DAEMON_LEASE_H

#include "engine.h"
#include "store.h"

/**
 * slice_lease_give() - set terms aside for an engine and tell it
 *
 * On disk before it is sent, and never given twice.  A failure is a warning: its finds end busy.
 */
void slice_lease_give(SliceStore *store, SliceEngine *engine);

/**
 * slice_lease_tell_peers() - tell all engines who the others are
 * @engines: (element-type SliceEngine): those that are connected
 */
void slice_lease_tell_peers(guint32 orchestrator, GPtrArray *engines);

#endif
