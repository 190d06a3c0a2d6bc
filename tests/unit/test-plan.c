/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test-plan.c - what filters match, what orders amount to, what the registry's indices say
 */
#include <string.h>

#include "daemon/plan.h"
#include "util/error.h"

typedef struct {
    SliceRegistry *registry;
    GArray *closed;
    GArray *vms;
} Fixture;

static const SlicePlanVm cluster[] = {
    { .name = "web1", .capacity = 100, .connected = TRUE, .open = TRUE },
    { .name = "web2", .capacity = 100, .connected = TRUE, .open = TRUE },
    { .name = "web3", .capacity = 100, .connected = TRUE, .open = TRUE },
    { .name = "web4", .capacity = 100, .connected = TRUE, .cordoned = TRUE },
    { .name = "web5", .capacity = 100, .running = TRUE },
    { .name = "web6", .capacity = 100 },
};

static void set_up(Fixture *f, gconstpointer data)
{
    f->registry = slice_registry_new();
    f->closed = g_array_new(FALSE, FALSE, sizeof(SliceTuple));
    f->vms = g_array_new(FALSE, FALSE, sizeof(SlicePlanVm));
    g_array_append_vals(f->vms, cluster, G_N_ELEMENTS(cluster));
}

static void tear_down(Fixture *f, gconstpointer data)
{
    slice_registry_free(f->registry);
    g_array_unref(f->closed);
    g_array_unref(f->vms);
}

static const char *id_of(guint n)
{
    static char id[64];

    g_snprintf(id, sizeof(id), "3fa9c2d100000000:%016x", n);
    return id;
}

static SliceEntry *entry_new(guint n, const char *vm, const char *client)
{
    SliceEntry *entry = slice_entry_new(id_of(n), vm);
    SliceTuple flow;

    if (client) {
        g_assert_true(slice_tuple_set(&flow, "tcp", strchr(client, ':') ? "2001:db8::10"
                                                                        : "192.0.2.10",
                                      80, client, 1024 + n % 60000, NULL));
        g_array_append_val(entry->flows, flow);
    }
    return entry;
}

static void put(Fixture *f, guint n, const char *vm, const char *client)
{
    slice_registry_update(f->registry, entry_new(n, vm, client), f->closed);
}

static void put_as(Fixture *f, guint n, const char *vm, const char *movability,
                   const char *why)
{
    SliceEntry *entry = entry_new(n, vm, "192.0.2.99");

    g_free(entry->movability);
    entry->movability = g_strdup(movability);
    entry->why = g_strdup(why);
    slice_registry_update(f->registry, entry, f->closed);
}

/* ---- filters ---- */

static void test_client_networks(Fixture *f, gconstpointer data)
{
    static const struct {
        const char *network, *client;
        gboolean matches;
    } table[] = {
        { "192.0.2.99", "192.0.2.99", TRUE },      { "192.0.2.98", "192.0.2.99", FALSE },
        { "192.0.2.0/24", "192.0.2.99", TRUE },    { "192.0.3.0/24", "192.0.2.99", FALSE },
        { "192.0.2.64/26", "192.0.2.99", TRUE },   { "192.0.2.128/25", "192.0.2.99", FALSE },
        { "192.0.2.96/30", "192.0.2.99", TRUE },   { "192.0.2.96/31", "192.0.2.99", FALSE },
        { "0.0.0.0/0", "192.0.2.99", TRUE },       { "::/0", "192.0.2.99", FALSE },
        { "2001:db8::/32", "2001:db8::7", TRUE },  { "2001:db8::7", "2001:db8::7", TRUE },
        { "2001:db8::8/127", "2001:db8::7", FALSE }, { "0.0.0.0/0", "2001:db8::7", FALSE },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(SliceFilter) filter =
            slice_filter_new(NULL, table[i].network, NULL, NULL, NULL, &error);
        g_autoptr(SliceEntry) entry = entry_new(1, "web1", table[i].client);

        g_test_message("%s in %s", table[i].client, table[i].network);
        g_assert_no_error(error);
        g_assert_cmpint(slice_filter_matches(filter, entry), ==, table[i].matches);
    }
}

static void test_bad_filters(Fixture *f, gconstpointer data)
{
    static const struct {
        const char *client, *state, *movability;
    } table[] = {
        { "192.0.2", NULL, NULL },      { "192.0.2.0/33", NULL, NULL },
        { "192.0.2.0/", NULL, NULL },   { "192.0.2.0/-1", NULL, NULL },
        { "host", NULL, NULL },         { "2001:db8::/129", NULL, NULL },
        { NULL, "here", NULL },         { NULL, NULL, "sometimes" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(slice_filter_new(NULL, table[i].client, table[i].state, NULL,
                                       table[i].movability, &error));
        g_assert_error(error, SLICE_ERROR, SLICE_ERROR_INVALID);
    }
}

static void test_all_must_hold(Fixture *f, gconstpointer data)
{
    g_autoptr(SliceFilter) filter =
        slice_filter_new("web1", "192.0.2.0/24", "owner", "shop-*", "movable", NULL);
    g_autoptr(SliceEntry) entry = entry_new(1, "web1", "192.0.2.99");

    g_assert_false(slice_filter_matches(filter, entry));
    g_free(entry->label);
    entry->label = g_strdup("shop-7");
    g_assert_true(slice_filter_matches(filter, entry));
    entry->state = SLICE_STATE_SENT;
    g_assert_false(slice_filter_matches(filter, entry));
}

/* ---- plans ---- */

typedef const char *const List[4];

static SliceOrder *order_of(const char *kind, List slices, List vms, guint count, guint share,
                            List targets)
{
    g_autoptr(GError) error = NULL;
    SliceOrder *order = slice_order_new(kind, slices, vms, NULL, NULL, NULL, NULL, count,
                                        share, targets, &error);

    g_assert_no_error(error);
    return order;
}

static GPtrArray *plan_of(Fixture *f, SliceOrder *order)
{
    g_autoptr(GError) error = NULL;
    GPtrArray *plan = slice_plan_make(order, f->registry, f->vms, NULL, &error);

    g_assert_no_error(error);
    slice_order_free(order);
    return plan;
}

/* How many go there; NULL: stay. */
static guint count_to(GPtrArray *plan, const char *vm)
{
    guint n = 0;

    for (guint i = 0; i < plan->len; i++) {
        n += !g_strcmp0(((SlicePlanItem *)g_ptr_array_index(plan, i))->to, vm);
    }
    return n;
}

static void test_drain_uses_open_vms(Fixture *f, gconstpointer data)
{
    static List web1 = { "web1" }, none = { NULL };
    g_autoptr(GPtrArray) plan = NULL;

    for (guint i = 0; i < 10; i++) {
        put(f, i, "web1", NULL);
    }
    put(f, 10, "web2", NULL);
    put(f, 11, "web2", NULL);
    plan = plan_of(f, order_of("drain", none, web1, 0, 0, none));
    g_assert_cmpuint(plan->len, ==, 10);
    g_assert_cmpuint(count_to(plan, "web2"), ==, 4);
    g_assert_cmpuint(count_to(plan, "web3"), ==, 6);
}

static void test_pinned_stays_with_reason(Fixture *f, gconstpointer data)
{
    static List web1 = { "web1" }, none = { NULL };
    g_autoptr(GPtrArray) plan = NULL;
    const SlicePlanItem *item;

    put_as(f, 1, "web1", "pinned", "upgraded");
    put_as(f, 2, "web1", "busy", "references");
    plan = plan_of(f, order_of("drain", none, web1, 0, 0, none));
    item = g_ptr_array_index(plan, 0);
    g_assert_null(item->to);
    g_assert_error(item->why, SLICE_ERROR, SLICE_ERROR_REFUSED);
    g_assert_nonnull(strstr(item->why->message, "WebSocket"));
    item = g_ptr_array_index(plan, 1);
    g_assert_nonnull(item->to);
    g_assert_error(item->why, SLICE_ERROR, SLICE_ERROR_BUSY);
    g_assert_nonnull(strstr(item->why->message, "long poll"));
}

static void test_split_takes_movable_first(Fixture *f, gconstpointer data)
{
    static List web1 = { "web1" }, none = { NULL }, web3 = { "web3" };
    g_autoptr(GPtrArray) by_count = NULL;
    g_autoptr(GPtrArray) by_share = NULL;

    put_as(f, 1, "web1", "busy", "references");
    put_as(f, 2, "web1", "busy", "references");
    put(f, 3, "web1", "192.0.2.1");
    put(f, 4, "web1", "192.0.2.2");
    by_count = plan_of(f, order_of("split", none, web1, 2, 0, web3));
    g_assert_cmpuint(by_count->len, ==, 2);
    g_assert_cmpstr(((SlicePlanItem *)g_ptr_array_index(by_count, 0))->slice, ==, id_of(3));
    g_assert_cmpstr(((SlicePlanItem *)g_ptr_array_index(by_count, 1))->slice, ==, id_of(4));
    by_share = plan_of(f, order_of("split", none, web1, 0, 51, web3));
    g_assert_cmpuint(count_to(by_share, "web3"), ==, 3);
}

static void test_merge(Fixture *f, gconstpointer data)
{
    static List both = { "web1", "web2" }, none = { NULL }, web3 = { "web3" };
    g_autoptr(GPtrArray) plan = NULL;

    put(f, 1, "web1", NULL);
    put(f, 2, "web2", NULL);
    put(f, 3, "web3", NULL);
    plan = plan_of(f, order_of("merge", none, both, 0, 0, web3));
    g_assert_cmpuint(plan->len, ==, 2);
    g_assert_cmpuint(count_to(plan, "web3"), ==, 2);
}

static void test_named_slices(Fixture *f, gconstpointer data)
{
    static List named = { "1", "3fa9:1", "2" }, none = { NULL }, web2 = { "web2" };
    g_autoptr(GPtrArray) plan = NULL;

    put(f, 1, "web1", NULL);
    put(f, 2, "web2", NULL);
    plan = plan_of(f, order_of("move", named, none, 0, 0, web2));
    g_assert_cmpuint(plan->len, ==, 2);
    g_assert_cmpuint(count_to(plan, "web2"), ==, 1);
    g_assert_cmpstr(((SlicePlanItem *)g_ptr_array_index(plan, 1))->why->message, ==,
                    "it is on VM web2 already");
}

static void test_refused_goes_elsewhere(Fixture *f, gconstpointer data)
{
    static List web1 = { "web1" }, none = { NULL };
    g_autoptr(SliceOrder) order = order_of("drain", none, web1, 0, 0, none);
    g_autoptr(GHashTable) avoid = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GHashTable) refusing = g_hash_table_new(g_str_hash, g_str_equal);
    g_autofree char *id = g_strdup(id_of(1));
    GPtrArray *plan;

    put(f, 1, "web1", NULL);
    put(f, 2, "web3", NULL);
    g_hash_table_insert(avoid, id, refusing);
    g_hash_table_add(refusing, (gpointer)"web2");
    plan = slice_plan_make(order, f->registry, f->vms, avoid, NULL);
    g_assert_cmpstr(((SlicePlanItem *)g_ptr_array_index(plan, 0))->to, ==, "web3");
    g_ptr_array_unref(plan);
    g_hash_table_add(refusing, (gpointer)"web3");
    plan = slice_plan_make(order, f->registry, f->vms, avoid, NULL);
    g_assert_null(((SlicePlanItem *)g_ptr_array_index(plan, 0))->to);
    g_ptr_array_unref(plan);
}

static void test_bad_targets(Fixture *f, gconstpointer data)
{
    static const struct {
        const char *target;
        SliceError code;
    } table[] = { { "web9", SLICE_ERROR_NOT_FOUND }, { "web5", SLICE_ERROR_UNREACHABLE },
                  { "web4", SLICE_ERROR_REFUSED } };

    put(f, 1, "web1", NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        const char *const slices[] = { "1", NULL }, *const targets[] = { table[i].target, NULL };
        g_autoptr(SliceOrder) order = slice_order_new("move", slices, NULL, NULL, NULL, NULL,
                                                      NULL, 0, 0, targets, NULL);
        g_autoptr(GError) error = NULL;

        g_assert_null(slice_plan_make(order, f->registry, f->vms, NULL, &error));
        g_assert_error(error, SLICE_ERROR, (int)table[i].code);
    }
}

static void test_drain_of_what_is_not_known(Fixture *f, gconstpointer data)
{
    static List web5 = { "web5" }, web6 = { "web6" }, none = { NULL };
    g_autoptr(SliceOrder) unknown = order_of("drain", none, web5, 0, 0, none);
    g_autoptr(GPtrArray) stopped = plan_of(f, order_of("drain", none, web6, 0, 0, none));
    g_autoptr(GError) error = NULL;

    g_assert_cmpuint(stopped->len, ==, 0);
    g_assert_null(slice_plan_make(unknown, f->registry, f->vms, NULL, &error));
    g_assert_error(error, SLICE_ERROR, SLICE_ERROR_UNREACHABLE);
}

static void test_bad_orders(Fixture *f, gconstpointer data)
{
    static List one = { "web1" }, two = { "web1", "web2" }, none = { NULL };
    static const struct {
        const char *kind;
        const char *const *vms, *const *targets;
        guint share;
    } table[] = {
        { "fly", one, none, 0 },   { "drain", none, none, 0 }, { "drain", two, none, 0 },
        { "split", none, one, 0 }, { "drain", one, one, 0 },   { "merge", one, none, 0 },
        { "merge", none, one, 0 }, { "split", one, none, 101 }, { "move", one, none, 0 },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(slice_order_new(table[i].kind, NULL, table[i].vms, NULL, NULL, NULL, NULL,
                                      0, table[i].share, table[i].targets, &error));
        g_assert_error(error, SLICE_ERROR, SLICE_ERROR_INVALID);
    }
}

static void test_order_survives_the_store(Fixture *f, gconstpointer data)
{
    static List slices = { "1a", "2;b" }, vms = { "web1" }, targets = { "web2", "web 3" };
    g_autoptr(SliceOrder) order = slice_order_new("split", slices, vms, "192.0.2.0/24", "owner",
                                                  " a;b\n*", "busy", 7, 50, targets, NULL);
    g_autofree char *text = slice_order_to_text(order);
    g_autoptr(SliceOrder) again = slice_order_from_text(text, NULL);

    g_assert_nonnull(again);
    g_assert_cmpint(again->kind, ==, order->kind);
    g_assert_true(g_strv_equal((const char *const *)again->slices, slices));
    g_assert_true(g_strv_equal((const char *const *)again->targets, targets));
    g_assert_true(g_strv_equal((const char *const *)again->vms, vms));
    g_assert_cmpstr(again->label, ==, order->label);
    g_assert_cmpstr(again->client, ==, order->client);
    g_assert_cmpuint(again->count, ==, 7);
    g_assert_cmpuint(again->share, ==, 50);
    g_assert_null(slice_order_from_text("nonsense", NULL));
}

static void test_verdict(Fixture *f, gconstpointer data)
{
    static const struct {
        const char *movability, *why;
        int code;
    } table[] = { { "movable", NULL, 0 }, { "busy", "references", SLICE_ERROR_BUSY },
                  { "pinned", "tls", SLICE_ERROR_REFUSED } };

    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autoptr(GError) error = NULL;
        const SliceEntry *entry;

        put_as(f, 1, "web1", table[i].movability, table[i].why);
        entry = slice_registry_find(f->registry, id_of(1), NULL);
        g_assert_cmpint(slice_plan_verdict(entry, f->vms, &error), ==, !table[i].code);
        g_assert_cmpint(error ? error->code : 0, ==, table[i].code);
    }
}

static void test_verdict_needs_another_vm(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    put(f, 1, "web1", NULL);
    g_array_index(f->vms, SlicePlanVm, 1).open = FALSE;
    g_array_index(f->vms, SlicePlanVm, 2).open = FALSE;
    g_assert_false(slice_plan_verdict(slice_registry_find(f->registry, id_of(1), NULL), f->vms,
                                      &error));
    g_assert_error(error, SLICE_ERROR, SLICE_ERROR_UNREACHABLE);
}

/* ---- indices ---- */

static const char *home(Fixture *f, const char *client)
{
    return slice_registry_client_home(f->registry, client);
}

static void test_client_home(Fixture *f, gconstpointer data)
{
    put(f, 1, "web1", "192.0.2.1");
    put(f, 2, "web1", "192.0.2.1");
    g_assert_cmpstr(home(f, "192.0.2.1"), ==, "web1");
    g_assert_null(home(f, "192.0.2.2"));
    slice_registry_step(f->registry, "web2", id_of(2), 5, "prepared", "web1");
    slice_registry_step(f->registry, "web1", id_of(2), 5, "quiesced", "web2");
    g_assert_cmpstr(home(f, "192.0.2.1"), ==, "web1");
    slice_registry_step(f->registry, "web2", id_of(2), 5, "done", "web1");
    g_assert_null(home(f, "192.0.2.1"));
    slice_registry_end(f->registry, "web1", id_of(1), f->closed);
    g_assert_cmpstr(home(f, "192.0.2.1"), ==, "web2");
}

static void test_session_without_connection_keeps_client(Fixture *f, gconstpointer data)
{
    put(f, 1, "web1", "192.0.2.1");
    put(f, 1, "web1", NULL);
    g_assert_cmpstr(home(f, "192.0.2.1"), ==, "web1");
    put(f, 1, "web1", "192.0.2.2");
    g_assert_null(home(f, "192.0.2.1"));
    g_assert_cmpstr(home(f, "192.0.2.2"), ==, "web1");
    slice_registry_end(f->registry, "web1", id_of(1), f->closed);
    g_assert_null(home(f, "192.0.2.2"));
}

static void test_changed_clients_are_told_once(Fixture *f, gconstpointer data)
{
    g_autoptr(GHashTable) first = NULL;
    g_autoptr(GHashTable) second = NULL;

    put(f, 1, "web1", "192.0.2.1");
    first = slice_registry_take_clients(f->registry);
    g_assert_cmpuint(g_hash_table_size(first), ==, 1);
    put(f, 1, "web1", "192.0.2.1");
    g_assert_null(slice_registry_take_clients(f->registry));
    slice_registry_drop_vm(f->registry, "web1", f->closed);
    second = slice_registry_take_clients(f->registry);
    g_assert_true(g_hash_table_contains(second, "192.0.2.1"));
}

/* 120,000 slices on three VMs, of which one is drained in the view: each question still answers right. */
static void test_many_slices(Fixture *f, gconstpointer data)
{
    enum { MANY = 120000 };
    static List web1 = { "web1" }, none = { NULL };
    g_autoptr(GPtrArray) plan = NULL;

    for (guint i = 0; i < MANY; i++) {
        g_autofree char *client = g_strdup_printf("10.%u.%u.%u", i / 4 >> 16, i / 4 >> 8 & 255,
                                                  i / 4 & 255);

        put(f, i, i % 12 < 4 ? "web1" : i % 12 < 8 ? "web2" : "web3", client);
    }
    g_assert_cmpuint(slice_registry_count(f->registry, "web1"), ==, MANY / 3);
    plan = plan_of(f, order_of("drain", none, web1, 0, 0, none));
    g_assert_cmpuint(plan->len, ==, MANY / 3);
    for (guint i = 0; i < plan->len; i++) {
        const SlicePlanItem *item = g_ptr_array_index(plan, i);

        slice_registry_step(f->registry, item->to, item->slice, 5, "done", "web1");
        slice_registry_step(f->registry, "web1", item->slice, 5, "gone", item->to);
    }
    g_assert_cmpuint(slice_registry_count(f->registry, "web1"), ==, 0);
    g_assert_cmpuint(slice_registry_count(f->registry, "web2"), ==, MANY / 2);
    g_assert_cmpuint(slice_registry_count(f->registry, "web3"), ==, MANY / 2);
    g_assert_cmpstr(home(f, "10.0.0.0"), !=, "web1");
    g_assert_nonnull(home(f, "10.0.0.0"));
}

#define ADD(path, function) \
    g_test_add(path, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/filter/client-is-an-address-or-a-network", test_client_networks);
    ADD("/filter/nonsense-is-refused", test_bad_filters);
    ADD("/filter/all-must-hold", test_all_must_hold);
    ADD("/plan/drain-goes-to-open-vms-by-load", test_drain_uses_open_vms);
    ADD("/plan/pinned-stays-busy-is-tried", test_pinned_stays_with_reason);
    ADD("/plan/split-takes-what-can-move-first", test_split_takes_movable_first);
    ADD("/plan/merge-brings-to-one", test_merge);
    ADD("/plan/named-twice-is-meant-once", test_named_slices);
    ADD("/plan/refused-goes-elsewhere-or-stays", test_refused_goes_elsewhere);
    ADD("/plan/target-must-be-there-and-open", test_bad_targets);
    ADD("/plan/vm-that-does-not-answer-is-not-empty", test_drain_of_what_is_not_known);
    ADD("/order/nonsense-is-refused", test_bad_orders);
    ADD("/order/survives-the-store", test_order_survives_the_store);
    ADD("/plan/verdict-on-one-slice", test_verdict);
    ADD("/plan/verdict-needs-another-vm", test_verdict_needs_another_vm);
    ADD("/registry/client-home-follows-moves", test_client_home);
    ADD("/registry/session-without-connection-keeps-its-client",
        test_session_without_connection_keeps_client);
    ADD("/registry/changed-clients-are-told-once", test_changed_clients_are_told_once);
    ADD("/registry/indices-hold-with-many-slices", test_many_slices);
    return g_test_run();
}
