/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plan.h - what an order amounts to now: which slice goes where, which stays and why
 *
 * Pure: what a dry run shows is what a job begins with.
 *
 * Below: registry.c, placement.c, filter.c, order.c.  Above: orchestrator.c, job.c.
 */
#ifndef SLICE_DAEMON_PLAN_H
#define SLICE_DAEMON_PLAN_H

#include "order.h"
#include "registry.h"

/**
 * SlicePlanVm: a VM as a plan sees it
 * @capacity: its share of slices against others'
 * @running: its domain does
 * @connected: its engine answers
 * @open: takes new sessions: its guest is ready, and it is not cordoned
 * @cordoned: and why not
 */
typedef struct {
    const char *name;
    guint capacity;
    gboolean running;
    gboolean connected;
    gboolean open;
    gboolean cordoned;
} SlicePlanVm;

/**
 * SlicePlanItem: one slice of a plan
 * @to: (nullable): it stays
 * @why: (nullable): why it stays; or why it may not become quiet at once
 */
typedef struct {
    char *slice;
    char *from;
    char *to;
    GError *why;
} SlicePlanItem;

/**
 * slice_plan_make() - who goes where
 * @vms: (element-type SlicePlanVm)
 * @avoid: (nullable): slice id -> set of VM names that refused it
 *
 * Return: (element-type SlicePlanItem), by slice; possibly empty.  NULL with SLICE_ERROR_NOT_FOUND
 * for a slice or VM that is not known, SLICE_ERROR_INVALID for a filter that makes no sense,
 * SLICE_ERROR_UNREACHABLE or SLICE_ERROR_REFUSED for a target that is not connected or takes none,
 * SLICE_ERROR_UNREACHABLE for a drain of a VM whose slices are not known.
 */
GPtrArray *slice_plan_make(const SliceOrder *order, SliceRegistry *registry,
                           GArray *vms, GHashTable *avoid, GError **error);

/**
 * slice_plan_verdict() - could it move now?
 * @vms: (element-type SlicePlanVm)
 *
 * Return: TRUE; or FALSE with SLICE_ERROR_BUSY (not at this moment), SLICE_ERROR_REFUSED (pinned),
 * SLICE_ERROR_UNREACHABLE (its VM, or every other, does not take part).
 */
gboolean slice_plan_verdict(const SliceEntry *entry, GArray *vms, GError **error);

#endif
