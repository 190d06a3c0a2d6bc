/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cmd-vm-move.c - slicectl vm drain | split | merge
 */
#include "order.h"

static SliceCliOrder order;
static char **to;

/* ---- drain ---- */

static gboolean run_drain(SliceCli *cli, GError **error)
{
    if (!slice_cli_expect(cli, 1, 1, error)) {
        return FALSE;
    }
    order.kind = "drain";
    order.vms = cli->args;
    order.targets = to;
    return slice_cli_order_run(cli, &order, SLICE_CLI_JOB_SUMMARY, error);
}

static const GOptionEntry drain_options[] = {
    { "to", 0, 0, G_OPTION_ARG_STRING_ARRAY, &to,
      "only to these VMs (all others that take new sessions)", "VM" },
    { "deadline", 0, 0, G_OPTION_ARG_STRING, &order.job_deadline,
      "how long to try (until nothing is left that could move)", "TIME" },
    { "slice-deadline", 0, 0, G_OPTION_ARG_STRING, &order.deadline,
      "for each slice, to become quiet and then to be plugged (5s)", "TIME" },
    SLICE_CLI_ORDER_OPTIONS(order),
    { NULL },
};

const SliceCommand slice_cmd_vm_drain = {
    .noun = "vm",
    .verb = "drain",
    .args = "VM",
    .summary = "Move all sessions of a VM away, and let it take no new ones",
    .examples = "The VM is cordoned, and stays so ('vm uncordon' ends that).  Sessions that come or\n"
                "are busy meanwhile are tried again, in rounds, until the VM is empty, nothing is\n"
                "left that could move, or the deadline has passed.  What stays is listed with the\n"
                "reason.  A drain goes on if slicectl leaves, and after a restart of sliced.\n\n"
                "Examples:\n"
                "  slicectl vm drain web1\n"
                "  slicectl vm drain web1 --dry-run\n"
                "  slicectl vm drain web1 --to web2 --to web3 --deadline 10m\n",
    .options = drain_options,
    .run = run_drain,
};

/* ---- split ---- */

static gboolean check_split(GError **error)
{
    if (!order.count && !order.share && slice_cli_filter_is_empty(&order.filter)) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID,
                    "which part? --count, --share, or a filter (see --help)");
        return FALSE;
    }
    if (order.count < 0 || order.share < 0 || order.share > 100) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID,
                    "--count is at least 1, --share 1 to 100");
        return FALSE;
    }
    return TRUE;
}

static gboolean run_split(SliceCli *cli, GError **error)
{
    if (!slice_cli_expect(cli, 1, 1, error) || !check_split(error)) {
        return FALSE;
    }
    order.kind = "split";
    order.vms = cli->args;
    order.targets = to;
    return slice_cli_order_run(cli, &order, SLICE_CLI_JOB_SUMMARY, error);
}

static const GOptionEntry split_options[] = {
    { "to", 0, 0, G_OPTION_ARG_STRING_ARRAY, &to,
      "where to (all others that take new sessions)", "VM" },
    { "count", 0, 0, G_OPTION_ARG_INT, &order.count, "so many slices", "N" },
    { "share", 0, 0, G_OPTION_ARG_INT, &order.share, "so many of a hundred", "PERCENT" },
    SLICE_CLI_FILTER_OPTIONS(order.filter),
    { "deadline", 0, 0, G_OPTION_ARG_STRING, &order.deadline,
      "for each slice, to become quiet and then to be plugged (5s)", "TIME" },
    SLICE_CLI_ORDER_OPTIONS(order),
    { NULL },
};

const SliceCommand slice_cmd_vm_split = {
    .noun = "vm",
    .verb = "split",
    .args = "VM",
    .summary = "Move a part of a VM's sessions away",
    .examples = "Slices that can move at once are taken first; those of one client go together.\n\n"
                "Examples:\n"
                "  slicectl vm split web1 --share 50 --to web2\n"
                "  slicectl vm split web1 --count 100\n"
                "  slicectl vm split web1 --client 192.0.2.0/25 --to web3\n"
                "  slicectl vm split web1 --label 'guest-*' --count 20 --dry-run\n",
    .options = split_options,
    .run = run_split,
};

/* ---- merge ---- */

static gboolean run_merge(SliceCli *cli, GError **error)
{
    if (!slice_cli_expect(cli, 1, G_MAXUINT, error)) {
        return FALSE;
    }
    if (!to) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID, "--to VM is missing");
        return FALSE;
    }
    order.kind = "merge";
    order.vms = cli->args;
    order.targets = to;
    return slice_cli_order_run(cli, &order, SLICE_CLI_JOB_SUMMARY, error);
}

static const GOptionEntry merge_options[] = {
    { "to", 0, 0, G_OPTION_ARG_STRING_ARRAY, &to, "where all come together", "VM" },
    SLICE_CLI_FILTER_OPTIONS(order.filter),
    { "deadline", 0, 0, G_OPTION_ARG_STRING, &order.deadline,
      "for each slice, to become quiet and then to be plugged (5s)", "TIME" },
    SLICE_CLI_ORDER_OPTIONS(order),
    { NULL },
};

const SliceCommand slice_cmd_vm_merge = {
    .noun = "vm",
    .verb = "merge",
    .args = "VM...",
    .summary = "Bring the sessions of some VMs together on one",
    .examples = "The VMs still take new sessions afterwards, unless they are cordoned.\n\n"
                "Examples:\n"
                "  slicectl vm merge web2 web3 --to web1\n"
                "  slicectl vm merge web2 --client 192.0.2.0/24 --to web1 --dry-run\n",
    .options = merge_options,
    .run = run_merge,
};
