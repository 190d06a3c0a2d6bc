/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * order.h - what the commands that move slices share
 */
#ifndef SLICE_CLI_ORDER_H
#define SLICE_CLI_ORDER_H

#include "job.h"

/**
 * SliceCliFilter: which slices, by what people know of them; NULL: any
 */
typedef struct {
    char *client, *state, *label, *movability;
} SliceCliFilter;

/* Options of @filter for a command's table. */
#define SLICE_CLI_FILTER_OPTIONS(filter) \
    { "client", 0, 0, G_OPTION_ARG_STRING, &(filter).client, \
      "only slices of clients of this address or network", "ADDRESS[/PREFIX]" }, \
    { "state", 0, 0, G_OPTION_ARG_STRING, &(filter).state, \
      "only slices in this state: owner, moving, ...", "STATE" }, \
    { "label", 0, 0, G_OPTION_ARG_STRING, &(filter).label, \
      "only slices that their application calls so; * and ? match", "GLOB" }, \
    { "movability", 0, 0, G_OPTION_ARG_STRING, &(filter).movability, \
      "only slices that are movable, busy or pinned", "WHICH" }

/* Return: floating "(ssss)" */
GVariant *slice_cli_filter(const SliceCliFilter *filter);
gboolean slice_cli_filter_is_empty(const SliceCliFilter *filter);

/**
 * SliceCliOrder: an order with the options that all of them have
 * @kind: 'move', 'drain', 'split', 'merge'
 * @slices, @vms, @targets: (nullable): NULL-terminated
 * @deadline, @job_deadline: as typed; (nullable): 5 s, and without end
 */
typedef struct {
    const char *kind;
    char **slices, **vms, **targets;
    SliceCliFilter filter;
    int count, share;
    char *deadline, *job_deadline;
    gboolean dry_run, no_wait;
} SliceCliOrder;

#define SLICE_CLI_ORDER_OPTIONS(order) \
    { "dry-run", 'n', 0, G_OPTION_ARG_NONE, &(order).dry_run, \
      "only tell what would move where, and what would not and why", NULL }, \
    { "no-wait", 0, 0, G_OPTION_ARG_NONE, &(order).no_wait, \
      "print the job's number and leave", NULL }

/**
 * slice_cli_order_run() - plan it or do it, and print the outcome
 *
 * Return: FALSE with the error that it amounts to.
 */
gboolean slice_cli_order_run(SliceCli *cli, const SliceCliOrder *order,
                             SliceCliJobForm form, GError **error);

#endif
