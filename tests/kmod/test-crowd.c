// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-crowd.c - finds, links, pins, moves, ends and births, each against each
 *
 * What each thread does comes from a seed; how they meet does not.
 */
#include "device.h"

#include <errno.h>
#include <string.h>

typedef struct {
    Opener admin, web, php;
} Stack;

#define CROWD 4
#define CROWD_ROUNDS 1500

/**
 * Worker - one of a crowd that does what it likes with six sessions
 * @seed: what it likes
 */
typedef struct {
    Stack *s;
    struct slice_id conn;
    guint32 seed;
    GThread *thread;
} Worker;

/* A session leaves, and comes back by resume or as from elsewhere. */
static void worker_moves(Worker *w, GRand *rand, const char *key)
{
    struct slice_register got = { .key_bytes = strlen(key) };
    struct slice_id slice;
    Image image;

    memcpy(got.key, key, strlen(key));
    if (capsule_get_id(&w->s->php, SLICE_GET_BY_KEY, &got) ||
        slice_size(&w->s->admin, got.id, &slice) < 0 ||
        move_quiesce(&w->s->admin, slice, 20, NULL)) {
        return;
    }
    if (move_unplug(&w->s->admin, slice, &image, NULL)) {
        move_finish(&w->s->admin, slice, SLICE_FINISH_RESUME, NULL);
        return;
    }
    if (g_rand_boolean(rand)) {
        g_assert_cmpint(move_finish(&w->s->admin, slice, SLICE_FINISH_FORGET,
                                    NULL), ==, 0);
        /* Not where a new session has taken its key meanwhile. */
        if (!move_plug(&w->s->admin, &image, 5000, NULL)) {
            g_assert_cmpint(move_finish(&w->s->admin, slice,
                                        SLICE_FINISH_OPEN, NULL), ==, 0);
        }
    } else {
        g_assert_cmpint(move_finish(&w->s->admin, slice, SLICE_FINISH_RESUME,
                                    NULL), ==, 0);
    }
    image_clear(&image);
}

static void worker_step(Worker *w, GRand *rand)
{
    static const guint32 whys[] = { SLICE_WHY_NONE, SLICE_WHY_TLS };
    struct slice_register got = {};
    char key[16];
    int ret;

    g_snprintf(key, sizeof(key), "user%d", g_rand_int_range(rand, 0, 6));
    switch (g_rand_int_range(rand, 0, 6)) {
    case 0:
        ret = session_find(&w->s->web, w->conn, "t-php", key, 1, NULL);
        g_assert_true(ret == 0 || ret == -ETIMEDOUT || ret == -EBUSY ||
                      ret == -ESTALE);
        break;
    case 1:
        ret = session_link(&w->s->web, w->conn, "t-php", key,
                           g_rand_boolean(rand), NULL);
        g_assert_true(ret == 0 || ret == -ENOENT || ret == -EBUSY ||
                      ret == -ESTALE);
        break;
    case 2:
        ret = capsule_pin(&w->s->web, w->conn, whys[g_rand_boolean(rand)]);
        g_assert_true(ret == 0 || ret == -EBUSY || ret == -ENOENT ||
                      ret == -ESTALE);
        break;
    case 3:
        worker_moves(w, rand, key);
        break;
    case 4:
        memcpy(got.key, key, got.key_bytes = strlen(key));
        if (!capsule_get_id(&w->s->php, SLICE_GET_BY_KEY, &got)) {
            capsule_op(&w->s->php, SLICE_IOC_DEREGISTER, got.id, 0);
        }
        break;
    default:
        capsule_register(&w->s->php, 0, key, 4096, &got);
        break;
    }
}

static gpointer worker_run(gpointer data)
{
    Worker *w = data;
    GRand *rand = g_rand_new_with_seed(w->seed);
    int round;

    for (round = 0; round < CROWD_ROUNDS; round++) {
        worker_step(w, rand);
    }
    g_rand_free(rand);
    return NULL;
}

/* Finds, links, pins, moves, ends and new sessions, each against each. */
static void test_crowd(void)
{
    struct slice_register at = {};
    struct slice_list_entry entry;
    struct slice_register conn;
    Worker worker[CROWD];
    Stack s;
    int i;

    opener_open(&s.admin);
    opener_open_layer(&s.web, "t-web", 100, SLICE_LAYER_PASSIVE);
    opener_open_layer(&s.php, "t-php", 200, SLICE_LAYER_PASSIVE);
    for (i = 0; i < CROWD; i++) {
        capsule_register_ok(&s.web, 0, NULL, 0, &conn);
        worker[i] = (Worker){ .s = &s, .conn = conn.id, .seed = 7 + i };
    }
    for (i = 0; i < CROWD; i++) {
        worker[i].thread = g_thread_new("worker", worker_run, &worker[i]);
    }
    for (i = 0; i < CROWD; i++) {
        g_thread_join(worker[i].thread);
    }
    /* What is left is whole: each capsule is in a slice that runs. */
    while (!capsule_get_id(&s.php, SLICE_GET_NEXT, &at)) {
        struct slice_id slice;

        g_assert_cmpint(slice_size(&s.admin, at.id, &slice), >, 0);
        g_assert_true(slice_find(&s.admin, slice, &entry));
        g_assert_cmpint(entry.state, ==, SLICE_STATE_ACTIVE);
        at = (struct slice_register){ .id = at.id };
    }
    opener_close(&s.php);
    opener_close(&s.web);
    opener_close(&s.admin);
}

void add_crowd_tests(void)
{
    add_test("/crowd/whatever-many-do-at-once-slices-are-whole", test_crowd);
}
