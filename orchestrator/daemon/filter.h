/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filter.h - which slices a person means by VM, client, state, label, movability
 *
 * Pure.
 */
#ifndef SLICE_DAEMON_FILTER_H
#define SLICE_DAEMON_FILTER_H

#include "registry.h"

/**
 * SliceFilter: all that is set must hold
 * @vm, @state, @label, @movability: (nullable): any
 * @network: the first @prefix bits count; @family 0: any client
 */
typedef struct {
    char *vm;
    int family;
    guint8 network[16];
    guint prefix;
    gboolean has_state;
    SliceState state;
    GPatternSpec *label;
    char *movability;
} SliceFilter;

/**
 * slice_filter_new() - check what a person typed
 * @vm: name; NULL and "" mean any, here and below
 * @client: address, or NETWORK/PREFIX
 * @state: of the engine's table, see slice_state_name()
 * @label: with * and ? as wildcards
 * @movability: 'movable', 'busy' or 'pinned'
 *
 * Return: NULL with SLICE_ERROR_INVALID naming what is wrong.
 */
SliceFilter *slice_filter_new(const char *vm, const char *client,
                              const char *state, const char *label,
                              const char *movability, GError **error);
void slice_filter_free(SliceFilter *filter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SliceFilter, slice_filter_free)

/* @filter: (nullable): matches all. */
gboolean slice_filter_matches(const SliceFilter *filter, const SliceEntry *entry);

#endif
