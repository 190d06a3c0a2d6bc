// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-find.c - is the session of that key here? What this VM can answer alone
 *
 * Threads stand for requests. Where the device is asked there are no peers.
 */
#include "device.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

typedef struct {
    Opener admin, web, php;
    struct slice_register conn, ann;
} Stack;

static void stack_open(Stack *s)
{
    opener_open(&s->admin);
    opener_open_layer(&s->web, "t-web", 100, SLICE_LAYER_PASSIVE);
    opener_open_layer(&s->php, "t-php", 200, SLICE_LAYER_PASSIVE);
    capsule_register_ok(&s->web, 0, NULL, 0, &s->conn);
    capsule_register_ok(&s->php, 0, "ann", 4096, &s->ann);
}

static void stack_close(Stack *s)
{
    opener_close(&s->php);
    opener_close(&s->web);
    opener_close(&s->admin);
}

/**
 * Finder - a FIND in a thread of its own
 */
typedef struct {
    Stack *s;
    const char *key;
    guint32 timeout_ms;
    guint32 result;
    gint is_asking;
    GThread *thread;
} Finder;

static gpointer finder_run(gpointer data)
{
    Finder *f = data;

    g_atomic_int_set(&f->is_asking, 1);
    return GINT_TO_POINTER(session_find(&f->s->web, f->s->conn.id, "t-php",
                                        f->key, f->timeout_ms, &f->result));
}

static void finder_start(Finder *f, Stack *s, const char *key,
                         guint32 timeout_ms)
{
    *f = (Finder){ .s = s, .key = key, .timeout_ms = timeout_ms };
    f->thread = g_thread_new("finder", finder_run, f);
    while (!g_atomic_int_get(&f->is_asking)) {
        g_thread_yield();
    }
}

static int finder_join(Finder *f)
{
    return GPOINTER_TO_INT(g_thread_join(f->thread));
}

static void leave(Stack *s, struct slice_id slice, Image *ret_image)
{
    g_assert_cmpint(move_quiesce(&s->admin, slice, 5000, NULL), ==, 0);
    g_assert_cmpint(move_unplug(&s->admin, slice, ret_image, NULL), ==, 0);
}

static void finish(Stack *s, struct slice_id slice, guint32 flag)
{
    g_assert_cmpint(move_finish(&s->admin, slice, flag, NULL), ==, 0);
}

static void test_here(void)
{
    guint32 result;
    Stack s;

    stack_open(&s);
    g_assert_cmpint(session_find(&s.web, s.conn.id, "t-php", "ann", 10000,
                                 &result), ==, 0);
    g_assert_cmpint(result, ==, SLICE_FIND_HERE);
    /* The layer is part of the name. */
    g_assert_cmpint(session_find(&s.web, s.conn.id, "t-other", "ann", 10000,
                                 &result), ==, 0);
    g_assert_cmpint(result, ==, SLICE_FIND_NOWHERE);
    g_assert_cmpint(session_find(&s.web, s.conn.id, "t-php", "eve", 10000,
                                 &result), ==, 0);
    g_assert_cmpint(result, ==, SLICE_FIND_NOWHERE);
    stack_close(&s);
}

static void test_values(void)
{
    static const char long_key[65] =
        "0123456789012345678901234567890123456789012345678901234567890123";
    struct slice_find find = {
        .size = sizeof(find), .layer = "t-php", .key = "ann", .key_bytes = 2,
        .timeout_ms = 1,
    };
    Stack s;

    stack_open(&s);
    g_assert_cmpint(session_find(&s.web, s.conn.id, "t-php", "", 1, NULL), ==,
                    -EINVAL);
    g_assert_cmpint(session_find(&s.web, s.conn.id, "", "ann", 1, NULL), ==,
                    -EINVAL);
    g_assert_cmpint(session_find(&s.web, s.conn.id, "t-php", "ann", 0, NULL),
                    ==, -EINVAL);
    g_assert_cmpint(session_find(&s.web, s.conn.id, "t-php", "ann", 60001,
                                 NULL), ==, -EINVAL);
    /* Bytes after the key. */
    find.capsule = s.conn.id;
    g_assert_cmpint(device_call(s.web.fd, SLICE_IOC_FIND, &find), ==, -EINVAL);
    capsule_register_ok(&s.php, 0, long_key, 0, &(struct slice_register){});
    g_assert_cmpint(session_find(&s.web, s.conn.id, "t-php", long_key, 10000,
                                 NULL), ==, 0);
    /* For another layer's connection nobody asks. */
    g_assert_cmpint(session_find(&s.php, s.conn.id, "t-php", "ann", 1, NULL),
                    ==, -EPERM);
    g_assert_cmpint(session_find(&s.web, (struct slice_id){ 1, 1 }, "t-php",
                                 "ann", 1, NULL), ==, -ESTALE);
    stack_close(&s);
}

/* One that is leaving and comes back is here. */
static void test_waits_for_return(void)
{
    Finder finder;
    Image image;
    Stack s;

    stack_open(&s);
    leave(&s, s.ann.id, &image);
    finder_start(&finder, &s, "ann", 60000);
    finish(&s, s.ann.id, SLICE_FINISH_RESUME);
    g_assert_cmpint(finder_join(&finder), ==, 0);
    g_assert_cmpint(finder.result, ==, SLICE_FIND_HERE);
    image_clear(&image);
    stack_close(&s);
}

/* One that has left is looked for elsewhere. */
static void test_waits_for_leaving(void)
{
    Finder finder;
    Image image;
    Stack s;

    stack_open(&s);
    leave(&s, s.ann.id, &image);
    finder_start(&finder, &s, "ann", 60000);
    finish(&s, s.ann.id, SLICE_FINISH_FORGET);
    g_assert_cmpint(finder_join(&finder), ==, 0);
    g_assert_cmpint(finder.result, ==, SLICE_FIND_NOWHERE);
    image_clear(&image);
    stack_close(&s);
}

/* One that arrives is waited for until it may run. */
static void test_waits_for_arrival(void)
{
    Finder finder;
    Image image;
    Stack s;

    stack_open(&s);
    leave(&s, s.ann.id, &image);
    finish(&s, s.ann.id, SLICE_FINISH_FORGET);
    g_assert_cmpint(move_plug(&s.admin, &image, 5000, NULL), ==, 0);
    finder_start(&finder, &s, "ann", 60000);
    finish(&s, s.ann.id, SLICE_FINISH_OPEN);
    g_assert_cmpint(finder_join(&finder), ==, 0);
    g_assert_cmpint(finder.result, ==, SLICE_FIND_HERE);
    image_clear(&image);
    stack_close(&s);
}

/* What is not known in time is no empty session. */
static void test_deadline(void)
{
    guint32 result;
    Image image;
    Stack s;

    stack_open(&s);
    leave(&s, s.ann.id, &image);
    g_assert_cmpint(session_find(&s.web, s.conn.id, "t-php", "ann", 50,
                                 &result), ==, -ETIMEDOUT);
    g_assert_cmpint(result, ==, 0);
    finish(&s, s.ann.id, SLICE_FINISH_RESUME);
    g_assert_cmpint(session_find(&s.web, s.conn.id, "t-php", "ann", 50,
                                 &result), ==, 0);
    image_clear(&image);
    stack_close(&s);
}

/* The connection leaves while its request looks for a session. */
static void test_connection_leaves(void)
{
    Image session, conn;
    Finder finder;
    Stack s;

    stack_open(&s);
    leave(&s, s.ann.id, &session);
    finder_start(&finder, &s, "ann", 60000);
    /* Nobody holds a reference of it: a find does not keep it. */
    leave(&s, s.conn.id, &conn);
    finish(&s, s.conn.id, SLICE_FINISH_FORGET);
    g_assert_cmpint(finder_join(&finder), ==, -ESTALE);
    finish(&s, s.ann.id, SLICE_FINISH_RESUME);
    image_clear(&conn);
    image_clear(&session);
    stack_close(&s);
}

/* Two providers of one layer may know the same key: the one that runs counts. */
static void test_of_two_the_running(void)
{
    struct slice_register twin;
    Opener other;
    guint32 result;
    Image image;
    Stack s;

    stack_open(&s);
    opener_open_layer(&other, "t-php", 200, SLICE_LAYER_PASSIVE);
    capsule_register_ok(&other, 0, "ann", 0, &twin);
    leave(&s, s.ann.id, &image);
    g_assert_cmpint(session_find(&s.web, s.conn.id, "t-php", "ann", 60000,
                                 &result), ==, 0);
    g_assert_cmpint(result, ==, SLICE_FIND_HERE);
    finish(&s, s.ann.id, SLICE_FINISH_RESUME);
    leave(&s, twin.id, &image);
    g_assert_cmpint(session_find(&s.web, s.conn.id, "t-php", "ann", 60000,
                                 &result), ==, 0);
    g_assert_cmpint(result, ==, SLICE_FIND_HERE);
    finish(&s, twin.id, SLICE_FINISH_RESUME);
    image_clear(&image);
    opener_close(&other);
    stack_close(&s);
}

/* A deregistered session is nowhere, whatever its memory's mapping still is. */
static void test_ended(void)
{
    guint32 result;
    void *room;
    Stack s;

    stack_open(&s);
    room = capsule_map(&s.php, &s.ann);
    g_assert_cmpint(capsule_op(&s.php, SLICE_IOC_DEREGISTER, s.ann.id, 0), ==,
                    0);
    g_assert_cmpint(session_find(&s.web, s.conn.id, "t-php", "ann", 60000,
                                 &result), ==, 0);
    g_assert_cmpint(result, ==, SLICE_FIND_NOWHERE);
    munmap(room, s.ann.bytes);
    stack_close(&s);
}

void add_find_tests(void)
{
    add_test("/find/session-that-runs-here-is-here-others-nowhere", test_here);
    add_test("/find/values-are-checked", test_values);
    add_test("/find/session-that-comes-back-is-waited-for",
             test_waits_for_return);
    add_test("/find/session-that-leaves-is-looked-for-elsewhere",
             test_waits_for_leaving);
    add_test("/find/session-that-arrives-is-waited-for",
             test_waits_for_arrival);
    add_test("/find/what-is-not-known-in-time-is-not-nowhere", test_deadline);
    add_test("/find/connection-that-leaves-meanwhile-is-stale",
             test_connection_leaves);
    add_test("/find/of-two-with-one-key-the-one-that-runs",
             test_of_two_the_running);
    add_test("/find/session-that-ended-is-nowhere", test_ended);
}
