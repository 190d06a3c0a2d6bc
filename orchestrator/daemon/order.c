/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * order.c - what an operator wants: which slices, from where, to where
 */
#include "order.h"

#include "util/error.h"

#define GROUP "order"

static const char *const kinds[] = {
    [SLICE_ORDER_MOVE] = "move",
    [SLICE_ORDER_DRAIN] = "drain",
    [SLICE_ORDER_SPLIT] = "split",
    [SLICE_ORDER_MERGE] = "merge",
};

const char *slice_order_kind_name(SliceOrderKind kind)
{
    return kinds[kind];
}

static gboolean complain(GError **error, const char *what)
{
    g_set_error_literal(error, SLICE_ERROR, SLICE_ERROR_INVALID, what);
    return FALSE;
}

static gboolean take_kind(SliceOrder *order, const char *name, GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (!g_strcmp0(name, kinds[i])) {
            order->kind = i;
            return TRUE;
        }
    }
    return complain(error, "an order is one of move, drain, split, merge");
}

static gboolean check(const SliceOrder *order, GError **error)
{
    guint vms = g_strv_length(order->vms), targets = g_strv_length(order->targets);
    gboolean one = order->kind == SLICE_ORDER_DRAIN || order->kind == SLICE_ORDER_SPLIT;

    for (guint i = 0; order->targets[i]; i++) {
        if (g_strv_contains((const char *const *)order->vms, order->targets[i])) {
            g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID,
                        "VM %s is named as source and as target", order->targets[i]);
            return FALSE;
        }
    }
    if (one && vms != 1) {
        return complain(error, "a drain or split is of one VM");
    }
    if (order->kind == SLICE_ORDER_MERGE && (!vms || targets != 1)) {
        return complain(error, "a merge is of some VMs to one");
    }
    if (order->kind == SLICE_ORDER_MOVE && !targets) {
        return complain(error, "a move needs a target");
    }
    return order->share <= 100 || complain(error, "a share is at most 100 percent");
}

static char *copy_of(const char *text)
{
    return g_strdup(text ? text : "");
}

static char **copy_list(const char *const *list)
{
    return list ? g_strdupv((char **)list) : g_new0(char *, 1);
}

SliceOrder *slice_order_new(const char *kind, const char *const *slices,
                            const char *const *vms, const char *client,
                            const char *state, const char *label,
                            const char *movability, guint count, guint share,
                            const char *const *targets, GError **error)
{
    g_autoptr(SliceOrder) order = g_new0(SliceOrder, 1);

    order->slices = copy_list(slices);
    order->vms = copy_list(vms);
    order->targets = copy_list(targets);
    order->client = copy_of(client);
    order->state = copy_of(state);
    order->label = copy_of(label);
    order->movability = copy_of(movability);
    order->count = count;
    order->share = share;
    if (!take_kind(order, kind, error) || !check(order, error)) {
        return NULL;
    }
    return g_steal_pointer(&order);
}

SliceOrder *slice_order_copy(const SliceOrder *order)
{
    return slice_order_new(kinds[order->kind], (const char *const *)order->slices,
                           (const char *const *)order->vms, order->client,
                           order->state, order->label, order->movability,
                           order->count, order->share,
                           (const char *const *)order->targets, NULL);
}

void slice_order_free(SliceOrder *order)
{
    if (order) {
        g_strfreev(order->slices);
        g_strfreev(order->vms);
        g_strfreev(order->targets);
        g_free(order->client);
        g_free(order->state);
        g_free(order->label);
        g_free(order->movability);
        g_free(order);
    }
}

static void put_list(GKeyFile *file, const char *key, char **list)
{
    g_key_file_set_string_list(file, GROUP, key, (const char *const *)list,
                               g_strv_length(list));
}

char *slice_order_to_text(const SliceOrder *order)
{
    g_autoptr(GKeyFile) file = g_key_file_new();

    g_key_file_set_string(file, GROUP, "kind", kinds[order->kind]);
    put_list(file, "slices", order->slices);
    put_list(file, "vms", order->vms);
    put_list(file, "targets", order->targets);
    g_key_file_set_string(file, GROUP, "client", order->client);
    g_key_file_set_string(file, GROUP, "state", order->state);
    g_key_file_set_string(file, GROUP, "label", order->label);
    g_key_file_set_string(file, GROUP, "movability", order->movability);
    g_key_file_set_integer(file, GROUP, "count", order->count);
    g_key_file_set_integer(file, GROUP, "share", order->share);
    return g_key_file_to_data(file, NULL, NULL);
}

static char **get_list(GKeyFile *file, const char *key)
{
    return g_key_file_get_string_list(file, GROUP, key, NULL, NULL);
}

static char *get(GKeyFile *file, const char *key)
{
    return g_key_file_get_string(file, GROUP, key, NULL);
}

SliceOrder *slice_order_from_text(const char *text, GError **error)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_auto(GStrv) slices = NULL, vms = NULL, targets = NULL;
    g_autofree char *kind = NULL, *client = NULL, *state = NULL, *label = NULL;
    g_autofree char *movability = NULL;

    if (!g_key_file_load_from_data(file, text, -1, G_KEY_FILE_NONE, NULL)) {
        complain(error, "the text of an order is not understood");
        return NULL;
    }
    slices = get_list(file, "slices");
    vms = get_list(file, "vms");
    targets = get_list(file, "targets");
    kind = get(file, "kind");
    client = get(file, "client");
    state = get(file, "state");
    label = get(file, "label");
    movability = get(file, "movability");
    return slice_order_new(kind, (const char *const *)slices, (const char *const *)vms,
                           client, state, label, movability,
                           g_key_file_get_integer(file, GROUP, "count", NULL),
                           g_key_file_get_integer(file, GROUP, "share", NULL),
                           (const char *const *)targets, error);
}
