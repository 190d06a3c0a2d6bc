/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * order.c - what the commands that move slices share
 */
#include "order.h"

#include "util/duration.h"
#include "util/id.h"

#define DEADLINE "5s"

typedef struct {
    const char *slice, *from, *to, *error, *why;
} Planned;

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

GVariant *slice_cli_filter(const SliceCliFilter *filter)
{
    return g_variant_new("(ssss)", or_empty(filter->client), or_empty(filter->state),
                         or_empty(filter->label), or_empty(filter->movability));
}

gboolean slice_cli_filter_is_empty(const SliceCliFilter *filter)
{
    return !filter->client && !filter->state && !filter->label && !filter->movability;
}

static GVariant *texts(char **list)
{
    return g_variant_new_strv((const char *const *)list, list ? -1 : 0);
}

static GVariant *to_variant(const SliceCliOrder *order)
{
    return g_variant_new("(s@as@as@(ssss)uu@as)", order->kind, texts(order->slices),
                         texts(order->vms), slice_cli_filter(&order->filter), order->count,
                         order->share, texts(order->targets));
}

/* ---- dry run ---- */

static void read_planned(GVariant *plan, gsize index, Planned *planned)
{
    g_variant_get_child(plan, index, "(&s&s&s&s&s)", &planned->slice, &planned->from,
                        &planned->to, &planned->error, &planned->why);
}

static void print_plan_json(GVariant *plan)
{
    g_autoptr(JsonBuilder) json = json_builder_new();

    json_builder_begin_array(json);
    for (gsize i = 0; i < g_variant_n_children(plan); i++) {
        Planned planned;

        read_planned(plan, i, &planned);
        json_builder_begin_object(json);
        slice_json_text(json, "slice", planned.slice);
        slice_json_text(json, "from", planned.from);
        slice_json_optional(json, "to", planned.to);
        slice_json_optional(json, "error", planned.error);
        slice_json_optional(json, "why", planned.why);
        json_builder_end_object(json);
    }
    json_builder_end_array(json);
    slice_json_print(json, FALSE);
}

/* '2 of 3 slices would move (1 to web2, 1 to web3), 1 would stay' */
static void print_plan_sum(GVariant *plan, GHashTable *targets, guint moving)
{
    guint n = g_variant_n_children(plan);
    g_autoptr(GList) names =
        g_list_sort(g_hash_table_get_keys(targets), (GCompareFunc)g_strcmp0);
    g_autoptr(GString) where = g_string_new(NULL);

    for (const GList *name = names; name; name = name->next) {
        g_string_append_printf(where, "%s%u to %s", where->len ? ", " : " (",
                               GPOINTER_TO_UINT(g_hash_table_lookup(targets, name->data)),
                               (const char *)name->data);
    }
    g_print("%u of %u slices would move%s%s, %u would stay\n", moving, n, where->str,
            where->len ? ")" : "", n - moving);
}

static void print_plan(GVariant *plan)
{
    static const char *const headings[] = { "SLICE", "FROM", "TO", "<WHY NOT, OR NOT AT ONCE",
                                            NULL };
    g_autoptr(SliceTable) table = slice_table_new(headings);
    g_autoptr(GHashTable) targets = g_hash_table_new(g_str_hash, g_str_equal);
    guint moving = 0;

    for (gsize i = 0; i < g_variant_n_children(plan); i++) {
        Planned planned;

        read_planned(plan, i, &planned);
        slice_table_add(table, slice_id_short(planned.slice), g_strdup(planned.from),
                        g_strdup(planned.to[0] ? planned.to : "stays"),
                        planned.why[0] ? g_strdup_printf("%s: %s", planned.error, planned.why)
                                       : g_strdup("-"));
        if (planned.to[0]) {
            gpointer there = g_hash_table_lookup(targets, planned.to);

            moving++;
            g_hash_table_insert(targets, (gpointer)planned.to,
                                GUINT_TO_POINTER(GPOINTER_TO_UINT(there) + 1));
        }
    }
    slice_table_print(table);
    print_plan_sum(plan, targets, moving);
}

static gboolean dry_run(SliceCli *cli, const SliceCliOrder *order, GError **error)
{
    g_autoptr(GVariant) plan = NULL;

    if (!slice_bus_orchestrator1_call_plan_order_sync(cli->sliced, to_variant(order), &plan,
                                                      NULL, error)) {
        return FALSE;
    }
    if (cli->json) {
        print_plan_json(plan);
    } else {
        print_plan(plan);
    }
    return TRUE;
}

/* ---- the real thing ---- */

gboolean slice_cli_order_run(SliceCli *cli, const SliceCliOrder *order,
                             SliceCliJobForm form, GError **error)
{
    guint job, deadline_ms, job_deadline_ms = 0;

    if (!slice_duration_parse(order->deadline ? order->deadline : DEADLINE, &deadline_ms,
                              error) ||
        (order->job_deadline &&
         !slice_duration_parse(order->job_deadline, &job_deadline_ms, error))) {
        return FALSE;
    }
    if (order->dry_run) {
        return dry_run(cli, order, error);
    }
    if (!slice_bus_orchestrator1_call_start_order_sync(cli->sliced, to_variant(order),
                                                       deadline_ms, job_deadline_ms, &job,
                                                       NULL, error)) {
        return FALSE;
    }
    if (!order->no_wait) {
        return slice_cli_job_wait(cli, job, form, error);
    }
    if (cli->json) {
        g_print("{ \"job\" : %u }\n", job);
    } else {
        g_print("job %u\n", job);
    }
    return TRUE;
}
