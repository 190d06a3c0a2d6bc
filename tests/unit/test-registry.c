/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test-registry.c - the view of slices, ids as people type them, what engines may say
 */
#include "daemon/engine.h"
#include "daemon/registry.h"
#include "util/error.h"
#include "util/id.h"

#define ONE "3fa9c2d100000000:000000000000001a"
#define TWO "77aa000000000000:000000000000002b"
#define THREE "77aa000000000001:000000000000001a"

typedef struct {
    SliceRegistry *registry;
    GArray *closed;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    f->registry = slice_registry_new();
    f->closed = g_array_new(FALSE, FALSE, sizeof(SliceTuple));
}

static void tear_down(Fixture *f, gconstpointer data)
{
    slice_registry_free(f->registry);
    g_array_unref(f->closed);
}

static SliceEntry *entry(const char *id, const char *vm, SliceState state,
                         guint64 term, guint port)
{
    SliceEntry *new = slice_entry_new(id, vm);
    SliceTuple flow;

    new->state = state;
    new->term = term;
    if (port) {
        slice_tuple_set(&flow, "tcp", "192.0.2.10", 80, "192.0.2.99", port, NULL);
        g_array_append_val(new->flows, flow);
    }
    return new;
}

static void put(Fixture *f, const char *id, const char *vm, SliceState state,
                guint64 term, guint port)
{
    slice_registry_update(f->registry, entry(id, vm, state, term, port), f->closed);
}

static const char *where(Fixture *f, const char *id)
{
    const SliceEntry *found = slice_registry_find(f->registry, id, NULL);

    return found ? found->vm : NULL;
}

/* ---- the view ---- */

static void test_connections_that_regroup(Fixture *f, gconstpointer data)
{
    g_autoptr(SliceEntry) told = entry(ONE, "web1", SLICE_STATE_OWNER, 0, 40000);

    put(f, ONE, "web1", SLICE_STATE_OWNER, 0, 40000);
    slice_registry_step(f->registry, "web2", ONE, 5, "prepared", NULL);
    g_assert_false(slice_registry_regrouped(f->registry, "web1", ONE, told->flows));
    /* Its connection was closed: nothing that the target waits for goes on elsewhere. */
    put(f, ONE, "web1", SLICE_STATE_MOVING, 5, 0);
    g_assert_false(slice_registry_regrouped(f->registry, "web1", ONE, told->flows));
    /* It goes on in another slice. */
    put(f, TWO, "web1", SLICE_STATE_OWNER, 0, 40000);
    g_assert_true(slice_registry_regrouped(f->registry, "web1", ONE, told->flows));
    slice_registry_end(f->registry, "web1", TWO, f->closed);
    g_assert_false(slice_registry_regrouped(f->registry, "web1", ONE, told->flows));
    /* Another one joined it. */
    put(f, ONE, "web1", SLICE_STATE_MOVING, 5, 40001);
    g_assert_true(slice_registry_regrouped(f->registry, "web1", ONE, told->flows));
    g_assert_false(slice_registry_regrouped(f->registry, "web1", TWO, told->flows));
}

static void test_one_row_while_it_moves(Fixture *f, gconstpointer data)
{
    g_autoptr(GPtrArray) list = NULL;

    put(f, ONE, "web1", SLICE_STATE_MOVING, 5, 40000);
    put(f, ONE, "web2", SLICE_STATE_RESERVED, 5, 40000);
    list = slice_registry_list(f->registry, NULL);
    g_assert_cmpuint(list->len, ==, 1);
    g_assert_cmpstr(where(f, ONE), ==, "web1");
    g_assert_cmpuint(slice_registry_count(f->registry, "web2"), ==, 0);
}

static void test_steps_lead_over(Fixture *f, gconstpointer data)
{
    put(f, ONE, "web1", SLICE_STATE_OWNER, 0, 40000);
    slice_registry_step(f->registry, "web2", ONE, 5, "prepared", NULL);
    slice_registry_step(f->registry, "web1", ONE, 5, "quiesced", NULL);
    slice_registry_step(f->registry, "web1", ONE, 5, "sent", NULL);
    slice_registry_step(f->registry, "web2", ONE, 5, "plugged", NULL);
    g_assert_cmpstr(where(f, ONE), ==, "web1");
    slice_registry_step(f->registry, "web1", ONE, 5, "gone", NULL);
    slice_registry_step(f->registry, "web2", ONE, 5, "done", NULL);
    g_assert_cmpstr(where(f, ONE), ==, "web2");
    g_assert_cmpuint(slice_registry_find(f->registry, ONE, NULL)->flows->len, ==, 1);
    g_assert_cmpuint(slice_registry_find(f->registry, ONE, NULL)->term, ==, 5);
}

static void test_undone_stays(Fixture *f, gconstpointer data)
{
    put(f, ONE, "web1", SLICE_STATE_OWNER, 0, 40000);
    slice_registry_step(f->registry, "web2", ONE, 5, "prepared", NULL);
    slice_registry_step(f->registry, "web1", ONE, 5, "resumed", NULL);
    slice_registry_step(f->registry, "web2", ONE, 5, "discarded", NULL);
    g_assert_cmpstr(where(f, ONE), ==, "web1");
    g_assert_null(slice_registry_peek(f->registry, "web2", ONE));
}

static void test_closed_flows_are_told(Fixture *f, gconstpointer data)
{
    put(f, ONE, "web1", SLICE_STATE_OWNER, 0, 40000);
    put(f, ONE, "web1", SLICE_STATE_OWNER, 0, 40001);
    g_assert_cmpuint(f->closed->len, ==, 1);
    g_assert_cmpuint(g_array_index(f->closed, SliceTuple, 0).remote_port, ==, 40000);
    slice_registry_end(f->registry, "web1", ONE, f->closed);
    g_assert_cmpuint(f->closed->len, ==, 2);
    g_assert_null(where(f, ONE));
}

static void test_moved_flow_is_not_closed(Fixture *f, gconstpointer data)
{
    put(f, ONE, "web1", SLICE_STATE_SENT, 5, 40000);
    put(f, ONE, "web2", SLICE_STATE_OWNER, 5, 40000);
    put(f, ONE, "web1", SLICE_STATE_GONE, 5, 40000);
    g_assert_cmpuint(f->closed->len, ==, 0);
    g_assert_cmpstr(where(f, ONE), ==, "web2");
}

/* A session logs out: its slice ends, its connection is one of its own. */
static void test_flow_of_another_slice_is_not_closed(Fixture *f, gconstpointer data)
{
    put(f, ONE, "web1", SLICE_STATE_OWNER, 0, 40000);
    put(f, TWO, "web1", SLICE_STATE_OWNER, 0, 40000);
    slice_registry_end(f->registry, "web1", ONE, f->closed);
    g_assert_cmpuint(f->closed->len, ==, 0);
    slice_registry_end(f->registry, "web1", TWO, f->closed);
    g_assert_cmpuint(f->closed->len, ==, 1);
}

static void test_dead_vm_takes_its_slices(Fixture *f, gconstpointer data)
{
    put(f, ONE, "web1", SLICE_STATE_OWNER, 0, 40000);
    put(f, TWO, "web1", SLICE_STATE_SENT, 5, 40001);
    put(f, TWO, "web2", SLICE_STATE_PLUGGED, 5, 40001);
    slice_registry_drop_vm(f->registry, "web1", f->closed);
    g_assert_cmpuint(f->closed->len, ==, 1);
    g_assert_null(where(f, ONE));
    g_assert_cmpstr(where(f, TWO), ==, "web2");
}

static void test_replace_forgets_the_untold(Fixture *f, gconstpointer data)
{
    g_autoptr(GPtrArray) told =
        g_ptr_array_new_with_free_func((GDestroyNotify)slice_entry_free);

    put(f, ONE, "web1", SLICE_STATE_OWNER, 0, 40000);
    put(f, TWO, "web2", SLICE_STATE_OWNER, 0, 40001);
    g_ptr_array_add(told, entry(THREE, "web1", SLICE_STATE_OWNER, 0, 40002));
    slice_registry_replace(f->registry, "web1", told, f->closed);
    g_assert_null(where(f, ONE));
    g_assert_cmpstr(where(f, TWO), ==, "web2");
    g_assert_cmpstr(where(f, THREE), ==, "web1");
    g_assert_cmpuint(f->closed->len, ==, 1);
}

/* ---- ids ---- */

static void test_names(Fixture *f, gconstpointer data)
{
    static const struct {
        const char *pattern, *id;
        SliceError code;
    } table[] = {
        { ONE, ONE, 0 },
        { "3fa9c2d1:1a", ONE, 0 },
        { "3FA9:1A", ONE, 0 },
        { "3fa9:001a", ONE, 0 },
        { "2b", TWO, 0 },
        { "02b", TWO, 0 },
        { "1a", NULL, SLICE_ERROR_INVALID },
        { "77aa:1a", THREE, 0 },
        { "ffff:1a", NULL, SLICE_ERROR_NOT_FOUND },
        { ":1a", NULL, SLICE_ERROR_NOT_FOUND },
        { "", NULL, SLICE_ERROR_NOT_FOUND },
        { "%s", NULL, SLICE_ERROR_NOT_FOUND },
    };

    put(f, ONE, "web1", SLICE_STATE_OWNER, 0, 0);
    put(f, TWO, "web1", SLICE_STATE_OWNER, 0, 0);
    put(f, THREE, "web1", SLICE_STATE_OWNER, 0, 0);
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autoptr(GError) error = NULL;
        const SliceEntry *found =
            slice_registry_find(f->registry, table[i].pattern, &error);

        g_assert_cmpstr(found ? found->id : NULL, ==, table[i].id);
        if (table[i].code) {
            g_assert_error(error, SLICE_ERROR, (int)table[i].code);
        }
    }
}

static void test_short_names_match(Fixture *f, gconstpointer data)
{
    g_autofree char *name = slice_id_short(ONE);

    g_assert_cmpstr(name, ==, "3fa9c2d1:1a");
    g_assert_true(slice_id_matches(ONE, name));
}

/* ---- what engines may say ---- */

static void test_bad_entries_are_refused(Fixture *f, gconstpointer data)
{
    static const char *const bad[] = {
        "1", "\"x\"", "null", "[]", "{}",
        "{\"id\": 7, \"state\": \"owner\", \"term\": 0, \"flows\": []}",
        "{\"id\": \"" ONE "0\", \"state\": \"owner\", \"term\": 0, \"flows\": []}",
        "{\"id\": \"" ONE "\", \"state\": \"here\", \"term\": 0, \"flows\": []}",
        "{\"id\": \"" ONE "\", \"state\": \"owner\", \"term\": -1, \"flows\": []}",
        "{\"id\": \"" ONE "\", \"state\": \"owner\", \"term\": 0}",
        "{\"id\": \"" ONE "\", \"state\": \"owner\", \"term\": 0, \"flows\": [3]}",
        "{\"id\": \"" ONE "\", \"state\": \"owner\", \"term\": 0, \"flows\":"
        " [{\"protocol\": \"tcp\", \"local\": \"192.0.2.10\", \"local-port\": 80,"
        " \"remote\": \"192.0.2.99,actions=drop\", \"remote-port\": 4}]}",
        "{\"id\": \"" ONE "\", \"state\": \"owner\", \"term\": 0, \"flows\":"
        " [{\"protocol\": \"udp\", \"local\": \"192.0.2.10\", \"local-port\": 80,"
        " \"remote\": \"192.0.2.99\", \"remote-port\": 4}]}",
        "{\"id\": \"" ONE "\", \"state\": \"owner\", \"term\": 0, \"flows\":"
        " [{\"protocol\": \"tcp\", \"local\": \"192.0.2.10\", \"local-port\": 80,"
        " \"remote\": \"192.0.2.99\", \"remote-port\": 65536}]}",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(JsonNode) node = json_from_string(bad[i], NULL);

        g_assert_null(slice_engine_parse_entry(node, "web1", &error));
        g_assert_error(error, SLICE_ERROR, SLICE_ERROR_INVALID);
    }
}

static void test_good_entry_is_read(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) node = json_from_string(
        "{\"id\": \"" ONE "\", \"state\": \"sent\", \"term\": 4294967298,"
        " \"movability\": \"busy\", \"why\": \"references\", \"label\": \"bob\","
        " \"top-layer\": \"php\", \"capsules\": 4, \"memory\": 12288,"
        " \"held-packets\": 3, \"flows\": [{\"protocol\": \"tcp\","
        " \"local\": \"192.0.2.10\", \"local-port\": 80,"
        " \"remote\": \"192.0.2.99\", \"remote-port\": 40000}]}", NULL);
    g_autoptr(SliceEntry) read = slice_engine_parse_entry(node, "web1", &error);

    g_assert_no_error(error);
    g_assert_cmpint(read->state, ==, SLICE_STATE_SENT);
    g_assert_cmpuint(read->term, ==, G_GUINT64_CONSTANT(4294967298));
    g_assert_cmpstr(read->why, ==, "references");
    g_assert_cmpuint(read->flows->len, ==, 1);
    g_assert_cmpuint(g_array_index(read->flows, SliceTuple, 0).remote_port, ==, 40000);
}

static void test_stream_addresses(Fixture *f, gconstpointer data)
{
    static const char *const bad[] = { "", ":7", "host", "host:0", "host:65536",
                                       "host:x" };
    g_autoptr(JsonNode) inet = slice_engine_parse_stream("10.0.0.1:7001", NULL);
    g_autofree char *text = json_to_string(inet, FALSE);

    g_assert_cmpstr(text, ==, "{\"type\":\"inet\",\"host\":\"10.0.0.1\","
                    "\"port\":\"7001\"}");
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(slice_engine_parse_stream(bad[i], &error));
        g_assert_error(error, SLICE_ERROR, SLICE_ERROR_INVALID);
    }
}

#define ADD(path, function) \
    g_test_add(path, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/registry/one-row-while-it-moves", test_one_row_while_it_moves);
    ADD("/registry/steps-lead-over", test_steps_lead_over);
    ADD("/registry/undone-stays", test_undone_stays);
    ADD("/registry/closed-flows-are-told", test_closed_flows_are_told);
    ADD("/registry/moved-flow-is-not-closed", test_moved_flow_is_not_closed);
    ADD("/registry/flow-of-another-slice-is-not-closed",
        test_flow_of_another_slice_is_not_closed);
    ADD("/registry/connections-that-regroup", test_connections_that_regroup);
    ADD("/registry/dead-vm-takes-its-slices", test_dead_vm_takes_its_slices);
    ADD("/registry/replace-forgets-the-untold", test_replace_forgets_the_untold);
    ADD("/id/names-that-people-type", test_names);
    ADD("/id/short-names-match", test_short_names_match);
    ADD("/engine/bad-entries-are-refused", test_bad_entries_are_refused);
    ADD("/engine/good-entry-is-read", test_good_entry_is_read);
    ADD("/engine/stream-addresses", test_stream_addresses);
    return g_test_run();
}
