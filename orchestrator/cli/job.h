/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * job.h - sliced's jobs, read from the bus, waited for, printed
 */
#ifndef SLICE_CLI_JOB_H
#define SLICE_CLI_JOB_H

#include "cli.h"

/* As org.slice.Orchestrator1 tells it; texts are lent by the variant. */
typedef struct {
    guint id, slices, waiting, running, moved, failed, left, round;
    const char *kind, *sources, *targets;
    gint64 started, until, ended;
    int code;
} SliceCliJob;

void slice_cli_job_read(GVariant *value, SliceCliJob *job);
void slice_cli_job_add_members(JsonBuilder *json, const SliceCliJob *job);

/* How to print a job: all of its slices, with (DETAILS) or without (ITEMS) itself; or what matters. */
typedef enum { SLICE_CLI_JOB_DETAILS, SLICE_CLI_JOB_ITEMS, SLICE_CLI_JOB_SUMMARY } SliceCliJobForm;

gboolean slice_cli_job_show(SliceCli *cli, guint id, SliceCliJobForm form, GError **error);

/**
 * slice_cli_job_wait() - until it has ended, with progress; then print how
 *
 * Return: FALSE with the error that its end amounts to.
 */
gboolean slice_cli_job_wait(SliceCli *cli, guint id, SliceCliJobForm form, GError **error);

#endif
