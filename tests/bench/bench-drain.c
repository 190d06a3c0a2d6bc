// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench-drain.c - how fast does a VM get rid of N idle sessions?
 *
 * N keep-alive connections of one client, each with a PHP session, rest.  `slicectl vm
 * drain` takes them all to the other VM, and then back.  The rate counts from
 * slicectl's start to its end.  After each drain every session answers once more, on
 * the connection that it had.
 */
#include <string.h>

#include "bench.h"

#define TRIES 5                 /* to take along those that stayed */

typedef struct Crowd {
    GPtrArray *connections;     /* of HttpConnection */
    GArray *counters;           /* of uint64_t */
    char *vm;                   /* where they all are */
} Crowd;

static Crowd *crowd_new(void)
{
    Crowd *crowd = g_new0(Crowd, 1);

    crowd->connections = g_ptr_array_new_with_free_func((GDestroyNotify)http_connection_free);
    crowd->counters = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    return crowd;
}

static void crowd_free(Crowd *crowd)
{
    g_ptr_array_unref(crowd->connections);
    g_array_unref(crowd->counters);
    g_free(crowd->vm);
    g_free(crowd);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Crowd, crowd_free)

static bool click(Crowd *crowd, guint i, GError **error)
{
    HttpConnection *http = g_ptr_array_index(crowd->connections, i);
    HttpResponse response;
    bool ok = http_get(http, "/count.php", STAGE_TIMEOUT_MS, &response, error) &&
              http_check_page(&response, &g_array_index(crowd->counters, uint64_t, i), error);

    if (ok) {
        g_free(crowd->vm);
        crowd->vm = g_strdup(http_response_header(&response, "x-vm"));
    }
    http_response_clear(&response);
    return ok;
}

static bool join_one(Stage *stage, Crowd *crowd, GError **error)
{
    HttpConnection *http = stage_connect(stage->client, LAB_CLUSTER_ADDRESS, error);
    uint64_t none = 0;

    if (!http) {
        g_prefix_error(error, "connection %u: ", crowd->connections->len + 1);
        return false;
    }
    g_ptr_array_add(crowd->connections, http);
    g_array_append_val(crowd->counters, none);
    return click(crowd, crowd->connections->len - 1, error);
}

static bool gather(Stage *stage, Crowd *crowd, unsigned int n, GError **error)
{
    g_autoptr(LabSlice) slice = NULL;

    while (crowd->connections->len < n) {
        if (!join_one(stage, crowd, error)) {
            return false;
        }
        if (crowd->connections->len % 250 == 0) {
            stage_say(stage, "%u sessions", crowd->connections->len);
        }
    }
    /* When the last is known to sliced, all are. */
    slice = lab_slice_find(stage->lab, http_local_port(g_ptr_array_index(crowd->connections, n - 1)),
                           error);
    return slice != NULL;
}

static bool uncordon(Stage *stage, const char *vm, GError **error)
{
    const char *args[] = { "vm", "uncordon", vm, NULL };

    return lab_slicectl(stage->lab, args, NULL, NULL, error);
}

/* Why a session stayed: of the first that says so. */
static void say_why(Stage *stage, JsonObject *job)
{
    JsonArray *items = json_object_get_array_member(job, "items");

    for (guint i = 0; i < json_array_get_length(items); i++) {
        JsonObject *item = json_array_get_object_element(items, i);

        if (json_object_has_member(item, "error") &&
            !json_object_get_null_member(item, "error")) {
            stage_say(stage, "slice %s: %s: %s at step %s",
                      json_object_get_string_member_with_default(item, "slice", ""),
                      json_object_get_string_member_with_default(item, "error", ""),
                      json_object_get_string_member_with_default(item, "why", ""),
                      json_object_get_string_member_with_default(item, "step", ""));
            return;
        }
    }
}

static bool order(Stage *stage, const char *vm, unsigned int *ret_moved, double *ret_s,
                  GError **error)
{
    const char *args[] = { "vm", "drain", vm, "--json", NULL };
    int64_t begin_ns = http_now_ns();
    g_autofree char *output = NULL;
    g_autoptr(JsonNode) node = NULL;
    int status;

    if (!lab_slicectl(stage->lab, args, &output, &status, error)) {
        return false;
    }
    *ret_s = (http_now_ns() - begin_ns) / 1e9;
    node = json_from_string(output, NULL);
    if (!node || !JSON_NODE_HOLDS_OBJECT(node)) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "slicectl vm drain: exit status %d: %.200s",
                    status, output);
        return false;
    }
    *ret_moved = json_object_get_int_member(json_node_get_object(node), "moved");
    say_why(stage, json_node_get_object(node));
    return uncordon(stage, vm, error);
}

/* Whether every session answers, on the connection that it had. */
static bool click_all(Crowd *crowd, GError **error)
{
    g_autoptr(GError) first = NULL;
    unsigned int n_lost = 0;

    for (guint i = 0; i < crowd->connections->len; i++) {
        n_lost += !click(crowd, i, first ? NULL : &first);
    }
    if (n_lost) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED,
                    "after a drain %u of %u sessions do not answer: %s", n_lost,
                    crowd->connections->len, first->message);
    }
    return !n_lost;
}

/*
 * One drain.  Sessions that stayed are told beside its rate, and taken along before the
 * next one.
 */
static bool drain(Stage *stage, Crowd *crowd, Result *result, GError **error)
{
    g_autofree char *source = g_strdup(crowd->vm);
    unsigned int n = crowd->connections->len, n_moved;
    double seconds;

    if (!order(stage, source, &n_moved, &seconds, error)) {
        return false;
    }
    stage_say(stage, "%u of %u sessions left %s in %.0f ms", n_moved, n, source, seconds * 1e3);
    series_add(&result->measured, n_moved / seconds);
    for (unsigned int n_left = n - MIN(n, n_moved), i = 0; n_left && i < TRIES; i++) {
        result->n_refused += n_left;
        if (!order(stage, source, &n_moved, &seconds, error)) {
            return false;
        }
        n_left -= MIN(n_left, n_moved);
    }
    return click_all(crowd, error);
}

static bool measure(Stage *stage, Crowd *crowd, unsigned int n, unsigned int repeats,
                    Result *result, GError **error)
{
    if (!gather(stage, crowd, n, error)) {
        return false;
    }
    stage_say(stage, "%u sessions are open", n);
    for (unsigned int i = 0; i < repeats; i++) {
        if (!drain(stage, crowd, result, error)) {
            return false;
        }
    }
    return true;
}

/*
 * One crowd that grows: a session whose connection has ended would stay, and be drained,
 * too.  So what fails ends it for the larger ones as well.
 */
bool bench_drain(Stage *stage, Result **results, GError **error)
{
    static const struct {
        unsigned int n, repeats;
    } sizes[] = { { 10, 10 }, { 100, 6 }, { 1000, 4 } };
    g_autoptr(Crowd) crowd = crowd_new();
    GArray *hundreds = results[1]->measured.samples;
    bool ok = stage_need_big(stage, error);

    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        ok = ok && measure(stage, crowd, sizes[i].n, sizes[i].repeats, results[i], error);
        if (!ok) {
            result_fail(results[i], error && *error ? (*error)->message : NULL);
        }
    }
    /* What a thousand is compared with: the same, for a hundred. */
    g_array_append_vals(results[2]->baseline.samples, hundreds->data, hundreds->len);
    g_clear_error(error);
    return true;
}
