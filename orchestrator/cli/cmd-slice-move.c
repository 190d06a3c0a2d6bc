/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cmd-slice-move.c - slicectl slice move
 */
#include "order.h"

static char **to;
static char *from;
static SliceCliOrder order = { .kind = "move" };

static gboolean check(SliceCli *cli, GError **error)
{
    gboolean chosen = from || !slice_cli_filter_is_empty(&order.filter);

    if (!to || (!cli->args[0] && !chosen) || (cli->args[0] && chosen)) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID, "%s",
                    !to ? "--to VM is missing"
                    : chosen ? "either slices, or --from and filters"
                             : "which slices? (see --help)");
        return FALSE;
    }
    return TRUE;
}

static gboolean run(SliceCli *cli, GError **error)
{
    char *vms[] = { from, NULL };

    if (!check(cli, error)) {
        return FALSE;
    }
    order.slices = cli->args;
    order.vms = vms;
    order.targets = to;
    return slice_cli_order_run(cli, &order, SLICE_CLI_JOB_ITEMS, error);
}

static const GOptionEntry options[] = {
    { "to", 0, 0, G_OPTION_ARG_STRING_ARRAY, &to,
      "where to; named several times: shared out among them", "VM" },
    { "from", 0, 0, G_OPTION_ARG_STRING, &from, "all slices of this VM", "VM" },
    SLICE_CLI_FILTER_OPTIONS(order.filter),
    { "deadline", 0, 0, G_OPTION_ARG_STRING, &order.deadline,
      "for each slice, to become quiet and then to be plugged (5s)", "TIME" },
    SLICE_CLI_ORDER_OPTIONS(order),
    { NULL },
};

const SliceCommand slice_cmd_slice_move = {
    .noun = "slice",
    .verb = "move",
    .args = "[SLICE...]",
    .summary = "Move slices to another VM while their clients go on",
    .examples = "Examples:\n"
                "  slicectl slice move 3fa9c2d1:1a --to web2\n"
                "  slicectl slice move --from web1 --to web2 --deadline 2s\n"
                "  slicectl slice move --client 192.0.2.0/24 --to web2 --to web3\n"
                "  slicectl slice move --label 'shop-*' --movability movable --to web2 -n\n",
    .options = options,
    .run = run,
};
