// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * slices.c - slices and moves, through slicectl and its JSON
 *
 * Exactly what a user's own scripts could do.
 */
#include <string.h>

#include "internal.h"

/* A slice is known to sliced some milliseconds after its first reply. */
#define FIND_TIMEOUT_MS 15000

static const char *string_member(JsonObject *object, const char *name)
{
    const char *value = json_object_get_string_member_with_default(object, name, "");

    return value ? value : "";          /* for a JSON null, too */
}

void lab_slice_free(LabSlice *slice)
{
    if (slice) {
        g_free(slice->id);
        g_free(slice->vm);
        g_free(slice->movability);
        g_free(slice->label);
        g_free(slice->client_ports);
        g_free(slice);
    }
}

static LabSlice *parse_slice(JsonObject *object)
{
    LabSlice *slice = g_new0(LabSlice, 1);
    JsonArray *flows = json_object_has_member(object, "flows")
        ? json_object_get_array_member(object, "flows") : NULL;

    slice->id = g_strdup(string_member(object, "id"));
    slice->vm = g_strdup(string_member(object, "vm"));
    slice->movability = g_strdup(string_member(object, "movability"));
    slice->label = g_strdup(string_member(object, "label"));
    slice->n_flows = flows ? json_array_get_length(flows) : 0;
    slice->client_ports = g_new0(uint16_t, slice->n_flows + 1);
    for (guint i = 0; i < slice->n_flows; i++) {
        slice->client_ports[i] = json_object_get_int_member(
            json_array_get_object_element(flows, i), "remote_port");
    }
    slice->client_port = slice->client_ports[0];
    return slice;
}

static JsonArray *parse_array(const char *text, JsonNode **ret_node, GError **error)
{
    *ret_node = json_from_string(text, error);
    if (!*ret_node && error && *error) {
        return NULL;
    }
    /* Of nothing at all JSON-GLib makes neither a node nor an error. */
    if (!*ret_node || !JSON_NODE_HOLDS_ARRAY(*ret_node)) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "slicectl: not an array: %.200s", text);
        return NULL;
    }
    return json_node_get_array(*ret_node);
}

GPtrArray *lab_slice_list(Lab *lab, GError **error)
{
    const char *args[] = { "slice", "list", "--json", NULL };
    g_autoptr(GPtrArray) slices = NULL;
    g_autoptr(JsonNode) node = NULL;
    g_autofree char *text = NULL;
    JsonArray *array;

    if (!lab_slicectl(lab, args, &text, NULL, error) ||
        !(array = parse_array(text, &node, error))) {
        return NULL;
    }
    slices = g_ptr_array_new_with_free_func((GDestroyNotify)lab_slice_free);
    for (guint i = 0; i < json_array_get_length(array); i++) {
        g_ptr_array_add(slices, parse_slice(json_array_get_object_element(array, i)));
    }
    return g_steal_pointer(&slices);
}

static bool has_port(const LabSlice *slice, uint16_t client_port)
{
    for (guint i = 0; i < slice->n_flows; i++) {
        if (slice->client_ports[i] == client_port) {
            return true;
        }
    }
    return false;
}

LabSlice *lab_slice_find(Lab *lab, uint16_t client_port, GError **error)
{
    return lab_slice_find_whole(lab, client_port, 0, error);
}

LabSlice *lab_slice_find_whole(Lab *lab, uint16_t client_port, unsigned int n_flows,
                               GError **error)
{
    unsigned int n_seen = 0;
    gint64 deadline = lab_deadline(FIND_TIMEOUT_MS);

    do {
        g_autoptr(GPtrArray) slices = lab_slice_list(lab, error);

        if (!slices) {
            return NULL;
        }
        for (guint i = 0; i < slices->len; i++) {
            LabSlice *slice = g_ptr_array_index(slices, i);

            if (has_port(slice, client_port)) {
                n_seen = slice->n_flows;
                if (!n_flows || n_seen == n_flows) {
                    return g_ptr_array_steal_index(slices, i);
                }
            }
        }
    } while (g_get_monotonic_time() < deadline);
    if (n_seen) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_TIMEOUT,
                    "the slice of the client's port %u has %u connections, not %u", client_port,
                    n_seen, n_flows);
    } else {
        g_set_error(error, LAB_ERROR, LAB_ERROR_TIMEOUT,
                    "sliced knows no slice of the client's port %u", client_port);
    }
    return NULL;
}

static bool all_ready(JsonArray *vms, unsigned int n_vms)
{
    unsigned int n_ready = 0;

    for (guint i = 0; i < json_array_get_length(vms); i++) {
        JsonObject *vm = json_array_get_object_element(vms, i);

        n_ready += !strcmp(string_member(vm, "state"), "ready") &&
                   json_object_get_boolean_member_with_default(vm, "spread", false);
    }
    return n_ready >= n_vms;
}

bool lab_sliced_wait_ready(Lab *lab, unsigned int n_vms, GError **error)
{
    const char *args[] = { "vm", "list", "--json", NULL };
    gint64 deadline = lab_deadline(LAB_TIMEOUT_MS);
    g_autofree char *text = NULL;

    do {
        g_autoptr(JsonNode) node = NULL;
        JsonArray *vms;

        g_clear_pointer(&text, g_free);
        if (!lab_slicectl(lab, args, &text, NULL, error) ||
            !(vms = parse_array(text, &node, error))) {
            return false;
        }
        if (all_ready(vms, n_vms)) {
            return true;
        }
    } while (g_get_monotonic_time() < deadline);
    g_set_error(error, LAB_ERROR, LAB_ERROR_TIMEOUT, "sliced has not made %u VMs ready: %s", n_vms,
                text);
    return false;
}

void lab_move_clear(LabMove *move)
{
    g_clear_pointer(&move->result, g_free);
    g_clear_pointer(&move->error, g_free);
    g_clear_pointer(&move->why, g_free);
}

/* The words of slicectl's exit statuses, as in its JSON. */
static const char *error_of_status(int status)
{
    static const char *const words[] = {
        "", "failed", "failed", "not-found", "busy", "refused", "unreachable", "failed",
    };

    return status > 0 && status < (int)G_N_ELEMENTS(words) ? words[status] : "failed";
}

bool lab_slice_move(Lab *lab, const char *id, const char *target, LabMove *ret_move,
                    GError **error)
{
    const char *args[] = { "slice", "move", id, "--to", target, "--json", NULL };
    g_autoptr(JsonNode) node = NULL;
    g_autofree char *text = NULL, *errors = NULL;
    JsonArray *array;
    JsonObject *object;

    memset(ret_move, 0, sizeof(*ret_move));
    ret_move->begin_ns = g_get_monotonic_time() * 1000;
    if (!lab_slicectl_full(lab, args, &text, &errors, &ret_move->exit_status, error)) {
        return false;
    }
    ret_move->end_ns = g_get_monotonic_time() * 1000;
    if (!*text && ret_move->exit_status) {
        /* It did not come to a move, e.g. as the slice has ended. */
        ret_move->result = g_strdup("failed");
        ret_move->error = g_strdup(error_of_status(ret_move->exit_status));
        ret_move->why = g_strdup(g_strstrip(errors));
        return true;
    }
    array = parse_array(text, &node, error);
    if (!array || json_array_get_length(array) != 1) {
        g_prefix_error(error, "slicectl slice move %s --to %s (exit status %d): ", id, target,
                       ret_move->exit_status);
        if (array) {
            g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED,
                        "slicectl slice move %s: not one result: %.200s", id, text);
        }
        return false;
    }
    object = json_array_get_object_element(array, 0);
    ret_move->result = g_strdup(string_member(object, "result"));
    ret_move->error = g_strdup(string_member(object, "error"));
    ret_move->why = g_strdup_printf("%s at step %s", string_member(object, "why"),
                                    string_member(object, "step"));
    ret_move->bytes = json_object_get_int_member_with_default(object, "bytes", 0);
    return true;
}
