/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bus-variant.h - what the control interface says, as D-Bus values
 *
 * Types and their meaning: data/org.slice.Orchestrator1.xml.  All values are floating.
 */
#ifndef SLICE_DAEMON_BUS_VARIANT_H
#define SLICE_DAEMON_BUS_VARIANT_H

#include "orchestrator.h"

/* Return: @value, or '' for NULL. */
const char *slice_bus_text(const char *value);

GVariant *slice_bus_vm(SliceOrchestrator *orchestrator, const SliceVm *vm);
GVariant *slice_bus_entry(const SliceEntry *entry);
GVariant *slice_bus_job(const SliceJob *job);
GVariant *slice_bus_items(const SliceJob *job);
GVariant *slice_bus_plan(GPtrArray *plan);

/* Return: (transfer full): or NULL as slice_order_new(). */
SliceOrder *slice_bus_order(GVariant *wanted, GError **error);

#endif
