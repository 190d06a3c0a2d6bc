/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hmp.c - `info slices`: the table, for people; 80 columns
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-slice.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "qemu/cutils.h"

/* The guest chose it: nothing of it may drive a terminal. */
static char *printable(const char *text)
{
    char *copy = g_strdup(text ?: "");

    for (char *c = copy; *c; c++) {
        if (!g_ascii_isprint(*c)) {
            *c = '.';
        }
    }
    return copy;
}

static void print_flow(Monitor *mon, const SliceFlowInfo *flow)
{
    g_autofree char *local = g_strdup_printf("%s:%u", flow->local,
                                             flow->local_port);
    g_autofree char *remote = g_strdup_printf("%s:%u", flow->remote,
                                              flow->remote_port);

    monitor_printf(mon, "  tcp %s%s- %s\n", local,
                   strlen(local) + strlen(remote) > 70 ? "\n      " : " ",
                   remote);
}

/* Names of the cluster's other VMs, those without a connection in brackets. */
static void print_peers(Monitor *mon, const SliceStoreInfo *store)
{
    int column = monitor_printf(mon, "peers:");
    SlicePeerInfoList *peer;

    for (peer = store->peers; peer; peer = peer->next) {
        g_autofree char *name = printable(peer->value->name);
        g_autofree char *word = g_strdup_printf(
            peer->value->connected ? " %s" : " (%s)", name);

        if (column + strlen(word) > 79) {
            column = monitor_printf(mon, "\n      ") - 1;
        }
        column += monitor_printf(mon, "%s", word);
    }
    monitor_printf(mon, "%s\n", store->peers ? "" : " none");
    monitor_printf(mon, "moves of its own: %" PRIu64 " terms left, %u "
                   "connections look for their session\n", store->terms_left,
                   store->finds);
}

static void print_slice(Monitor *mon, const SliceInfo *slice)
{
    g_autofree char *memory = size_to_str(slice->memory);
    g_autofree char *label = printable(slice->label);
    g_autofree char *layer = printable(slice->top_layer);
    g_autofree char *peer = printable(slice->peer);
    g_autofree char *can = g_strdup_printf("%s%s%s",
        SliceMovability_str(slice->movability), slice->why ? ": " : "",
        slice->why ?: "");
    SliceFlowInfoList *flow;

    monitor_printf(mon, "%-33s %-8s %4u %9s %-.21s\n", slice->id,
                   SliceState_str(slice->state), slice->capsules, memory, can);
    monitor_printf(mon, "  %s %s%sterm %08" PRIx64 ":%" PRIu64 "\n", layer,
                   label, label[0] ? " " : "", slice->term >> 32,
                   slice->term & UINT32_MAX);
    if (slice->peer || slice->fenced || slice->held_packets) {
        monitor_printf(mon, "  %s%.60s%s%" PRIu64 " packets held%s\n",
                       slice->peer ? "peer " : "", peer,
                       slice->peer ? ", " : "", slice->held_packets,
                       slice->fenced ? ", fenced" : "");
    }
    for (flow = slice->flows; flow; flow = flow->next) {
        print_flow(mon, flow->value);
    }
}

void hmp_info_slices(Monitor *mon, const QDict *qdict)
{
    Error *err = NULL;
    g_autoptr(SliceStoreInfo) store = qmp_query_slice_store(&err);
    g_autoptr(SliceInfoList) slices = NULL;
    SliceInfoList *item;

    if (store) {
        slices = qmp_query_slices(true, true, NULL, &err);
    }
    if (err) {
        hmp_handle_error(mon, err);
        return;
    }
    monitor_printf(mon, "%s: incarnation %s, guest %s, %u slices, "
                   "%u tombstones\n", store->name, store->incarnation,
                   store->guest_ready ? "ready" : "not ready", store->slices,
                   store->tombstones);
    monitor_printf(mon, "packets: %" PRIu64 " held, %" PRIu64 " dropped, %"
                   PRIu64 " muted\n", store->held_packets,
                   store->dropped_packets, store->muted_packets);
    print_peers(mon, store);
    if (slices) {
        monitor_printf(mon, "%-33s %-8s %4s %9s %s\n", "slice", "state",
                       "caps", "memory", "movable");
    }
    for (item = slices; item; item = item->next) {
        print_slice(mon, item->value);
    }
}
