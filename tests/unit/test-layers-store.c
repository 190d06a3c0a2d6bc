// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-layers-store.c - PHP's sessions as capsules, and their connections
 */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "bank.h"
#include "store.h"
#include "test-libslice-fake.h"

#define NOW 1000
#define ROOM SLICE_BANK_ROOM_MIN

static struct fake *machine;

int slice_open(const char *path, struct slice_opener **ret_opener)
{
    return slice_open_backend(&fake_backend, machine, ret_opener);
}

typedef struct {
    struct slice_store store;
    struct slice_capsule one, two;      /* connections */
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    machine = fake_new();
    g_assert_cmpint(slice_store_provide(&f->store, NULL, 1), ==, 0);
    g_assert_cmpint(slice_store_join(&f->store), ==, 0);
    g_assert_cmpint(slice_register_capsule(f->store.opener, 1, NULL, 0, 0,
                                           &f->one), ==, 0);
    g_assert_cmpint(slice_register_capsule(f->store.opener, 2, NULL, 0, 0,
                                           &f->two), ==, 0);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    slice_store_finish(&f->store);
    fake_free(machine);
}

static void attach(Fixture *f, const char *key, struct slice_attached *ret)
{
    ret->is = false;
    g_assert_cmpint(slice_store_attach(&f->store, key, strlen(key), ROOM,
                                       "label", NOW, ret), ==, 0);
}

static void use(Fixture *f, const char *key, uint64_t now_s)
{
    struct slice_attached attached;

    attach(f, key, &attached);
    g_assert_cmpint(slice_bank_write(attached.memory,
                                     attached.capsule.room_bytes, "x", 1,
                                     now_s), ==, 0);
    slice_store_detach(&f->store, &attached);
}

static bool exists(Fixture *f, const char *key)
{
    return slice_store_exists(&f->store, key, strlen(key)) == 0;
}

static bool needs(const struct slice_attached *session,
                  const struct slice_capsule *connection)
{
    return fake_needs(machine, &session->capsule.id, &connection->id);
}

static void test_growth_keeps_connections(Fixture *f, gconstpointer data)
{
    struct slice_attached session;
    char label[SLICE_BANK_LABEL_BYTES];
    struct slice_id old;
    size_t bytes;

    attach(f, "session", &session);
    g_assert_cmpint(slice_bank_write(session.memory,
                                     session.capsule.room_bytes, "abc", 3,
                                     NOW), ==, 0);
    g_assert_cmpint(slice_store_link(&f->store, &session, &f->one.id, NULL),
                    ==, 0);
    g_assert_cmpint(slice_store_link(&f->store, &session, &f->two.id, NULL),
                    ==, 0);
    g_assert_cmpint(slice_store_label(&f->store, &session, "alice"), ==, 0);
    old = session.capsule.id;
    g_assert_cmpint(slice_store_grow(&f->store, &session, 8 * ROOM, NOW),
                    ==, 0);
    g_assert_false(slice_id_equal(&session.capsule.id, &old));
    g_assert_cmpuint(session.capsule.room_bytes, ==, 8 * ROOM);
    g_assert_true(needs(&session, &f->one) && needs(&session, &f->two));
    slice_bank_label(session.memory, label);
    g_assert_cmpstr(label, ==, "alice");
    g_assert_cmpint(slice_bank_measure(session.memory,
                                       session.capsule.room_bytes, &bytes),
                    ==, 0);
    g_assert_cmpuint(bytes, ==, 3);
    slice_store_detach(&f->store, &session);
}

static void test_failed_growth_changes_nothing(Fixture *f, gconstpointer data)
{
    struct slice_attached session;

    attach(f, "session", &session);
    g_assert_cmpint(slice_store_link(&f->store, &session, &f->one.id, NULL),
                    ==, 0);
    fake_fail(machine, SLICE_IOC_DEREGISTER, EBUSY);
    g_assert_cmpint(slice_store_grow(&f->store, &session, 8 * ROOM, NOW),
                    ==, -EBUSY);
    g_assert_true(needs(&session, &f->one));
    fake_fail(machine, SLICE_IOC_REGISTER, ENOSPC);
    /* A new opener is tried, too, and has room. */
    g_assert_cmpint(slice_store_grow(&f->store, &session, 8 * ROOM, NOW),
                    ==, 0);
    g_assert_true(needs(&session, &f->one));
    slice_store_detach(&f->store, &session);
}

/* The session that the connection served before is let go, unless the request
 * names it: two applications behind one name. */
static void test_next_session_takes_the_connection(Fixture *f,
                                                   gconstpointer data)
{
    struct slice_attached first, second;

    attach(f, "first", &first);
    g_assert_cmpint(slice_store_link(&f->store, &first, &f->one.id, NULL),
                    ==, 0);
    slice_store_detach(&f->store, &first);
    attach(f, "second", &second);
    g_assert_cmpint(slice_store_link(&f->store, &second, &f->one.id,
                                     "A=first; B=second"), ==, 0);
    g_assert_true(needs(&first, &f->one) && needs(&second, &f->one));
    g_assert_cmpint(slice_store_link(&f->store, &second, &f->one.id,
                                     "B=second"), ==, 0);
    g_assert_false(needs(&first, &f->one));
    g_assert_true(needs(&second, &f->one));
    slice_store_detach(&f->store, &second);
}

static void test_sweep_ends_what_is_unused(Fixture *f, gconstpointer data)
{
    struct slice_attached none = { .is = false };

    use(f, "old", NOW - 100);
    use(f, "new", NOW);
    slice_store_sweep(&f->store, &none, NOW - 50, NOW);
    g_assert_false(exists(f, "old"));
    g_assert_true(exists(f, "new"));
    /* Once a second is enough for all workers together. */
    slice_store_sweep(&f->store, &none, NOW + 50, NOW);
    g_assert_true(exists(f, "new"));
    slice_store_sweep(&f->store, &none, NOW + 50, NOW + 1);
    g_assert_false(exists(f, "new"));
}

static void test_sweep_goes_round(Fixture *f, gconstpointer data)
{
    struct slice_attached none = { .is = false };
    guint n_left = 0;

    for (guint i = 0; i < 150; i++) {
        g_autofree char *key = g_strdup_printf("session%u", i);

        use(f, key, NOW - 100);
    }
    for (guint i = 0; i < 3; i++) {
        slice_store_sweep(&f->store, &none, NOW, NOW + i);
    }
    for (guint i = 0; i < 150; i++) {
        g_autofree char *key = g_strdup_printf("session%u", i);

        n_left += exists(f, key);
    }
    g_assert_cmpuint(n_left, ==, 0);
}

/* However old it is: it is being used. */
static void test_own_session_is_not_collected(Fixture *f, gconstpointer data)
{
    struct slice_attached session;

    use(f, "session", NOW - 100);
    attach(f, "session", &session);
    g_assert_cmpint(slice_store_collect(&f->store, &session, NOW), ==, 0);
    g_assert_true(exists(f, "session"));
    slice_store_detach(&f->store, &session);
    g_assert_cmpint(slice_store_collect(&f->store, &session, NOW), ==, 1);
}

#define ADD(path, func) \
    g_test_add("/layers/store/" path, Fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("growth-keeps-connections", test_growth_keeps_connections);
    ADD("failed-growth-changes-nothing", test_failed_growth_changes_nothing);
    ADD("next-session-takes-the-connection",
        test_next_session_takes_the_connection);
    ADD("sweep-ends-what-is-unused", test_sweep_ends_what_is_unused);
    ADD("sweep-goes-round", test_sweep_goes_round);
    ADD("own-session-is-not-collected", test_own_session_is_not_collected);
    return g_test_run();
}
