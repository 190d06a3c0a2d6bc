/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cli.h - what the commands of slicectl share
 */
#ifndef SLICE_CLI_CLI_H
#define SLICE_CLI_CLI_H

#include "bus-generated.h"
#include "output.h"
#include "util/error.h"

/**
 * SliceCli: one run of slicectl
 * @args: what follows noun, verb and options
 * @json: machine-readable output is wanted
 */
typedef struct {
    GDBusConnection *connection;
    SliceBusOrchestrator1 *sliced;
    char **args;
    gboolean json;
} SliceCli;

/**
 * SliceCommand: a row of slicectl's table
 * @verb: (nullable): for nouns that are a command
 * @args: for the usage line
 * @options: (nullable): NULL-terminated
 * @run: Return: FALSE with an error
 */
typedef struct {
    const char *noun;
    const char *verb;
    const char *args;
    const char *summary;
    const char *examples;
    const GOptionEntry *options;
    gboolean (*run)(SliceCli *cli, GError **error);
} SliceCommand;

extern const SliceCommand slice_cmd_status;
extern const SliceCommand slice_cmd_vm_list;
extern const SliceCommand slice_cmd_vm_cordon;
extern const SliceCommand slice_cmd_vm_uncordon;
extern const SliceCommand slice_cmd_vm_drain;
extern const SliceCommand slice_cmd_vm_split;
extern const SliceCommand slice_cmd_vm_merge;
extern const SliceCommand slice_cmd_slice_list;
extern const SliceCommand slice_cmd_slice_show;
extern const SliceCommand slice_cmd_slice_move;
extern const SliceCommand slice_cmd_job_list;
extern const SliceCommand slice_cmd_job_show;
extern const SliceCommand slice_cmd_job_cancel;
extern const SliceCommand slice_cmd_events;

/* Return: FALSE with SLICE_ERROR_INVALID where not min..max arguments are there. */
gboolean slice_cli_expect(SliceCli *cli, guint min, guint max, GError **error);

#endif
