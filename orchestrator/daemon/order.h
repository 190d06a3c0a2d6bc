/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * order.h - what an operator wants: which slices, from where, to where
 *
 *   move   the slices that are named, or that a filter matches
 *   drain  all of a VM, which is cordoned; again and again, until nothing is left or time is up
 *   split  a part of a VM, by number, share or filter
 *   merge  all of some VMs, to one
 *
 * Pure.
 */
#ifndef SLICE_DAEMON_ORDER_H
#define SLICE_DAEMON_ORDER_H

#include "filter.h"

typedef enum {
    SLICE_ORDER_MOVE,
    SLICE_ORDER_DRAIN,
    SLICE_ORDER_SPLIT,
    SLICE_ORDER_MERGE,
} SliceOrderKind;

const char *slice_order_kind_name(SliceOrderKind kind);

/**
 * SliceOrder: NULL-terminated lists, never NULL themselves
 * @slices: as people name them; others than these are not meant where it is not empty
 * @vms: sources; empty: all
 * @client, @state, @label, @movability: see slice_filter_new(); '' for any
 * @count: at most so many; 0: no limit
 * @share: at most so many of a hundred; 0: no limit
 * @targets: empty: every VM that takes new clients and is no source
 */
typedef struct {
    SliceOrderKind kind;
    char **slices;
    char **vms;
    char *client, *state, *label, *movability;
    guint count;
    guint share;
    char **targets;
} SliceOrder;

/**
 * slice_order_new() - check what was asked for; lists and texts are copied
 *
 * Return: NULL with SLICE_ERROR_INVALID: no such kind, a VM that is source and target, a
 * drain or split of other than one VM, a merge without or with several targets, a share above 100.
 */
SliceOrder *slice_order_new(const char *kind, const char *const *slices,
                            const char *const *vms, const char *client,
                            const char *state, const char *label,
                            const char *movability, guint count, guint share,
                            const char *const *targets, GError **error);
SliceOrder *slice_order_copy(const SliceOrder *order);
void slice_order_free(SliceOrder *order);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SliceOrder, slice_order_free)

/* As one text and back, for the store.  from_text: NULL with SLICE_ERROR_INVALID. */
char *slice_order_to_text(const SliceOrder *order);
SliceOrder *slice_order_from_text(const char *text, GError **error);

#endif
