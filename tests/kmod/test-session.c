// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-session.c - sessions: pinned, linked from below by key, without a
 * connection, and joined or split while others move
 *
 *	t-php (rank 200, passive)	sessions, found by key
 *	 |
 *	t-web (rank 100)		connections; LINKs sessions to them
 */
#include "device.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
    Opener admin, web, php;
} Stack;

static void stack_open(Stack *s)
{
    opener_open(&s->admin);
    opener_open_layer(&s->web, "t-web", 100, SLICE_LAYER_PASSIVE);
    opener_open_layer(&s->php, "t-php", 200, SLICE_LAYER_PASSIVE);
}

static void stack_close(Stack *s)
{
    opener_close(&s->php);
    opener_close(&s->web);
    opener_close(&s->admin);
}

static struct slice_register make(Opener *opener, const char *key)
{
    struct slice_register reg;

    capsule_register_ok(opener, 0, key, key ? 4096 : 0, &reg);
    return reg;
}

static void assert_slice(Stack *s, struct slice_id capsule,
                         struct slice_id slice, int size)
{
    struct slice_id got;

    g_assert_cmpint(slice_size(&s->admin, capsule, &got), ==, size);
    g_assert_true(id_equal(got, slice));
}

static void assert_movability(Stack *s, struct slice_id slice,
                              guint32 movability, guint32 why)
{
    struct slice_list_entry entry;

    g_assert_true(slice_find(&s->admin, slice, &entry));
    g_assert_cmpint(entry.movability, ==, movability);
    g_assert_cmpint(entry.why, ==, why);
}

static void resume(Stack *s, struct slice_id slice)
{
    g_assert_cmpint(move_finish(&s->admin, slice, SLICE_FINISH_RESUME, NULL),
                    ==, 0);
}

/* ---- PIN ---- */

static void test_pin(void)
{
    struct slice_register conn, session;
    guint32 why;
    Stack s;

    stack_open(&s);
    conn = make(&s.web, NULL);
    session = make(&s.php, "ann");
    capsule_dep_ok(&s.php, session.id, conn.id);
    g_assert_cmpint(capsule_pin(&s.web, conn.id, SLICE_WHY_UPGRADED), ==, 0);
    assert_movability(&s, session.id, SLICE_PINNED, SLICE_WHY_UPGRADED);
    g_assert_cmpint(move_quiesce(&s.admin, session.id, 1000, &why), ==,
                    -EOPNOTSUPP);
    g_assert_cmpint(why, ==, SLICE_WHY_UPGRADED);
    g_assert_cmpint(slice_word_get(&s.web.words[conn.word_index]), ==, 0);
    /* Pinned says more than busy. */
    assert_movability(&s, session.id, SLICE_PINNED, SLICE_WHY_UPGRADED);
    g_assert_cmpint(capsule_pin(&s.web, conn.id, SLICE_WHY_NONE), ==, 0);
    assert_movability(&s, session.id, SLICE_BUSY, SLICE_WHY_REFERENCES);
    slice_word_put(&s.web.words[conn.word_index]);
    g_assert_cmpint(move_quiesce(&s.admin, session.id, 1000, &why), ==, 0);
    resume(&s, session.id);
    stack_close(&s);
}

/* Only what concerns that capsule is pinned, also after a join and a split. */
static void test_pin_follows_capsule(void)
{
    struct slice_register conn, session;
    Stack s;

    stack_open(&s);
    conn = make(&s.web, NULL);
    session = make(&s.php, "ann");
    g_assert_cmpint(capsule_pin(&s.web, conn.id, SLICE_WHY_HTTP2), ==, 0);
    assert_movability(&s, session.id, SLICE_MOVABLE, SLICE_WHY_NONE);
    capsule_dep_ok(&s.php, session.id, conn.id);
    assert_movability(&s, session.id, SLICE_PINNED, SLICE_WHY_HTTP2);
    g_assert_cmpint(capsule_dep(&s.php, session.id, conn.id, SLICE_DEP_DROP),
                    ==, 0);
    assert_movability(&s, session.id, SLICE_MOVABLE, SLICE_WHY_NONE);
    assert_movability(&s, conn.id, SLICE_PINNED, SLICE_WHY_HTTP2);
    stack_close(&s);
}

static void test_pin_values(void)
{
    static const guint32 pins[] = {
        SLICE_WHY_TLS, SLICE_WHY_HTTP2, SLICE_WHY_TOO_LARGE, SLICE_WHY_OPTION,
        SLICE_WHY_URGENT, SLICE_WHY_UPGRADED,
    };
    struct slice_register conn;
    guint32 why;
    gsize i;
    Stack s;

    stack_open(&s);
    conn = make(&s.web, NULL);
    for (i = 0; i < G_N_ELEMENTS(pins); i++) {
        g_assert_cmpint(capsule_pin(&s.web, conn.id, pins[i]), ==, 0);
        assert_movability(&s, conn.id, SLICE_PINNED, pins[i]);
    }
    for (why = 0; why < 64; why++) {
        for (i = 0; i < G_N_ELEMENTS(pins) && pins[i] != why; i++) {
            continue;
        }
        if (i == G_N_ELEMENTS(pins) && why != SLICE_WHY_NONE) {
            g_assert_cmpint(capsule_pin(&s.web, conn.id, why), ==, -EINVAL);
        }
    }
    assert_movability(&s, conn.id, SLICE_PINNED, SLICE_WHY_UPGRADED);
    /* Another layer's capsule, and one that is not there. */
    g_assert_cmpint(capsule_pin(&s.php, conn.id, SLICE_WHY_NONE), ==, -EPERM);
    g_assert_cmpint(capsule_pin(&s.web, (struct slice_id){ 1, 1 },
                                SLICE_WHY_TLS), ==, -ENOENT);
    stack_close(&s);
}

typedef struct {
    Stack *s;
    struct slice_id slice;
    guint32 why;
    GThread *thread;
} Mover;

static gpointer mover_run(gpointer data)
{
    Mover *m = data;

    return GINT_TO_POINTER(move_quiesce(&m->s->admin, m->slice, 20000,
                                        &m->why));
}

static void mover_start(Mover *m, Stack *s, struct slice_id slice)
{
    *m = (Mover){ .s = s, .slice = slice };
    m->thread = g_thread_new("mover", mover_run, m);
    slice_wait_state(&s->admin, slice, SLICE_STATE_DRAINING);
}

static int mover_join(Mover *m)
{
    return GPOINTER_TO_INT(g_thread_join(m->thread));
}

/* A request switches protocols while its slice is asked to leave. */
static void test_pin_ends_drain(void)
{
    struct slice_register conn;
    Mover mover;
    Stack s;

    stack_open(&s);
    conn = make(&s.web, NULL);
    g_assert_cmpint(slice_word_get(&s.web.words[conn.word_index]), ==, 0);
    mover_start(&mover, &s, conn.id);
    g_assert_cmpint(capsule_pin(&s.web, conn.id, SLICE_WHY_UPGRADED), ==, 0);
    g_assert_cmpint(mover_join(&mover), ==, -EOPNOTSUPP);
    g_assert_cmpint(mover.why, ==, SLICE_WHY_UPGRADED);
    /* It runs on: words are thawed. */
    g_assert_cmpint(slice_word_get(&s.web.words[conn.word_index]), ==, 0);
    assert_movability(&s, conn.id, SLICE_PINNED, SLICE_WHY_UPGRADED);
    stack_close(&s);
}

static void test_pin_too_late(void)
{
    struct slice_register conn;
    Image image;
    Stack s;

    stack_open(&s);
    conn = make(&s.web, NULL);
    g_assert_cmpint(move_quiesce(&s.admin, conn.id, 1000, NULL), ==, 0);
    g_assert_cmpint(capsule_pin(&s.web, conn.id, SLICE_WHY_TLS), ==, -EBUSY);
    g_assert_cmpint(move_unplug(&s.admin, conn.id, &image, NULL), ==, 0);
    g_assert_cmpint(capsule_pin(&s.web, conn.id, SLICE_WHY_TLS), ==, -EBUSY);
    image_clear(&image);
    resume(&s, conn.id);
    assert_movability(&s, conn.id, SLICE_MOVABLE, SLICE_WHY_NONE);
    stack_close(&s);
}

/* Ends both ends at once, so that no capsule lingers with a closing socket: the
 * reset has arrived before the other end is closed. */
static void disconnect_pair(int fd[2])
{
    struct linger abort = { .l_onoff = 1 };
    struct pollfd poller = { .fd = fd[1] };

    setsockopt(fd[0], SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
    close(fd[0]);
    g_assert_cmpint(poll(&poller, 1, 20000), ==, 1);
    close(fd[1]);
}

static void test_pin_connection(void)
{
    struct slice_register got;
    Stack s;
    int fd[2];

    stack_open(&s);
    connect_pair(fd);
    got = (struct slice_register){ .handle = fd[1] };
    g_assert_cmpint(capsule_get_id(&s.web, SLICE_GET_BY_FD, &got), ==, 0);
    /* Who has not named the socket does not speak for it. */
    g_assert_cmpint(capsule_pin(&s.php, got.id, SLICE_WHY_TLS), ==, -EPERM);
    g_assert_cmpint(capsule_pin(&s.web, got.id, SLICE_WHY_TLS), ==, 0);
    assert_movability(&s, got.id, SLICE_PINNED, SLICE_WHY_TLS);
    g_assert_cmpint(capsule_pin(&s.web, got.id, SLICE_WHY_NONE), ==, 0);
    disconnect_pair(fd);
    stack_close(&s);
}

/* Named and held in one step; who is put may leave. */
static void test_name_is_held(void)
{
    struct slice_register got;
    guint32 why;
    Stack s;
    int fd[2];

    stack_open(&s);
    connect_pair(fd);
    got = (struct slice_register){ .handle = fd[1] };
    g_assert_cmpint(capsule_get_id(&s.web, SLICE_REGISTER_HELD, &got), ==,
                    -EINVAL);
    g_assert_cmpint(capsule_get_id(&s.web, SLICE_GET_BY_FD |
                                   SLICE_REGISTER_HELD, &got), ==, 0);
    g_assert_cmpuint(s.web.words[got.word_index] & SLICE_WORD_COUNT_MASK, ==,
                     1);
    g_assert_cmpint(move_quiesce(&s.admin, got.id, 10, &why), ==, -EBUSY);
    g_assert_cmpuint(why, ==, SLICE_WHY_REFERENCES);
    slice_word_put(&s.web.words[got.word_index]);
    assert_movability(&s, got.id, SLICE_MOVABLE, SLICE_WHY_NONE);
    disconnect_pair(fd);
    stack_close(&s);
}

typedef struct Namer {
    GThread *thread;
    Opener *opener;
    struct slice_register got;
    gint res;
    gint *is_thawed;
    gint was_thawed;
} Namer;

static gpointer namer_run(gpointer data)
{
    Namer *namer = data;

    namer->res = capsule_get_id(namer->opener, SLICE_GET_BY_FD |
                                SLICE_REGISTER_HELD, &namer->got);
    namer->was_thawed = g_atomic_int_get(namer->is_thawed);
    return NULL;
}

/* While it is being taken away nobody gets a name of it that does not hold. */
static void test_name_waits_for_a_move(void)
{
    struct slice_register got;
    int fd[2], i;
    Stack s;

    stack_open(&s);
    connect_pair(fd);
    got = (struct slice_register){ .handle = fd[1] };
    g_assert_cmpint(capsule_get_id(&s.php, SLICE_GET_BY_FD, &got), ==, 0);
    for (i = 0; i < 100; i++) {
        gint is_thawed = 0;
        Namer namer = {
            .opener = &s.web, .got.handle = fd[1], .is_thawed = &is_thawed,
        };

        g_assert_cmpint(move_quiesce(&s.admin, got.id, 1000, NULL), ==, 0);
        namer.thread = g_thread_new("namer", namer_run, &namer);
        g_thread_yield();
        g_atomic_int_set(&is_thawed, 1);
        resume(&s, got.id);
        g_thread_join(namer.thread);
        g_assert_cmpint(namer.res, ==, 0);
        g_assert_true(namer.was_thawed);
        g_assert_true(id_equal(namer.got.id, got.id));
        g_assert_cmpuint(s.web.words[namer.got.word_index] &
                         SLICE_WORD_COUNT_MASK, ==, 1);
        slice_word_put(&s.web.words[namer.got.word_index]);
    }
    disconnect_pair(fd);
    stack_close(&s);
}

/* As many as the device's table holds, and one more. */
static void test_many_connections(void)
{
    struct slice_register web, got;
    int fd[65][2], i;
    Stack s;

    stack_open(&s);
    web = make(&s.web, NULL);
    for (i = 0; i < 65; i++) {
        connect_pair(fd[i]);
        got = (struct slice_register){ .handle = fd[i][1] };
        g_assert_cmpint(capsule_get_id(&s.web, SLICE_GET_BY_FD, &got), ==, 0);
        if (i == 64) {
            struct slice_list_entry entry;

            g_assert_true(slice_find(&s.admin, web.id, &entry));
            g_assert_cmpint(entry.n_connections, ==, 64);
            g_assert_cmpint(entry.movability, !=, SLICE_PINNED);
        }
        capsule_dep_ok(&s.web, web.id, got.id);
    }
    assert_movability(&s, web.id, SLICE_PINNED, SLICE_WHY_TOO_LARGE);
    for (i = 0; i < 65; i++) {
        disconnect_pair(fd[i]);
    }
    assert_movability(&s, web.id, SLICE_MOVABLE, SLICE_WHY_NONE);
    stack_close(&s);
}

/* Layers above each other, one more than a report can tell of. */
static void test_many_ranks(void)
{
    struct slice_register reg[9];
    Opener layer[9];
    char name[16];
    int i;
    Stack s;

    stack_open(&s);
    for (i = 0; i < 9; i++) {
        g_snprintf(name, sizeof(name), "t-rank%d", i);
        opener_open_layer(&layer[i], name, 50 + i, SLICE_LAYER_PASSIVE);
        reg[i] = make(&layer[i], NULL);
        if (i) {
            capsule_dep_ok(&layer[i], reg[i].id, reg[i - 1].id);
        }
        assert_movability(&s, reg[i].id, i < 8 ? SLICE_MOVABLE : SLICE_PINNED,
                          i < 8 ? SLICE_WHY_NONE : SLICE_WHY_TOO_LARGE);
    }
    for (i = 0; i < 9; i++) {
        opener_close(&layer[i]);
    }
    stack_close(&s);
}

/* ---- LINK ---- */

/*
 * A connection's requests name one session after the other; what LINK says is
 * what SET_DEP of the upper layer would have.
 */
static void test_link_follows_requests(void)
{
    struct slice_register conn, ann, bob;
    struct slice_id slice;
    Stack s;

    stack_open(&s);
    conn = make(&s.web, NULL);
    ann = make(&s.php, "ann");
    bob = make(&s.php, "bob");
    g_assert_cmpint(session_link(&s.web, conn.id, "t-php", "ann",
                                 SLICE_LINK_ONLY, &slice), ==, 0);
    g_assert_true(id_equal(slice, ann.id));
    assert_slice(&s, conn.id, ann.id, 2);
    /* The same once more changes nothing. */
    g_assert_cmpint(session_link(&s.web, conn.id, "t-php", "ann",
                                 SLICE_LINK_ONLY, &slice), ==, 0);
    assert_slice(&s, conn.id, ann.id, 2);
    g_assert_cmpint(session_link(&s.web, conn.id, "t-php", "bob",
                                 SLICE_LINK_ONLY, &slice), ==, 0);
    g_assert_true(id_equal(slice, bob.id));
    assert_slice(&s, conn.id, bob.id, 2);
    assert_slice(&s, ann.id, ann.id, 1);
    /* Without ONLY the connection belongs to both. */
    g_assert_cmpint(session_link(&s.web, conn.id, "t-php", "ann", 0, &slice),
                    ==, 0);
    assert_slice(&s, conn.id, ann.id, 3);
    /* A request without a session. */
    g_assert_cmpint(session_link(&s.web, conn.id, "t-php", NULL,
                                 SLICE_LINK_ONLY, &slice), ==, 0);
    g_assert_true(id_equal(slice, conn.id));
    assert_slice(&s, conn.id, conn.id, 1);
    assert_slice(&s, ann.id, ann.id, 1);
    assert_slice(&s, bob.id, bob.id, 1);
    stack_close(&s);
}

static void test_link_refusals(void)
{
    struct slice_register conn, ann, low;
    Opener lower;
    Stack s;

    stack_open(&s);
    opener_open_layer(&lower, "t-low", 50, SLICE_LAYER_PASSIVE);
    conn = make(&s.web, NULL);
    ann = make(&s.php, "ann");
    low = make(&lower, "low");
    capsule_dep_ok(&s.php, ann.id, conn.id);
    /* Nothing changes where the session is not here. */
    g_assert_cmpint(session_link(&s.web, conn.id, "t-php", "eve",
                                 SLICE_LINK_ONLY, NULL), ==, -ENOENT);
    g_assert_cmpint(session_link(&s.web, conn.id, "t-other", "ann",
                                 SLICE_LINK_ONLY, NULL), ==, -ENOENT);
    assert_slice(&s, conn.id, ann.id, 2);
    /* A dependency goes down in rank. */
    g_assert_cmpint(session_link(&s.web, conn.id, "t-low", "low", 0, NULL), ==,
                    -EINVAL);
    g_assert_cmpint(session_link(&s.web, conn.id, "t-php", NULL, 0, NULL), ==,
                    -EINVAL);
    g_assert_cmpint(session_link(&s.web, conn.id, "", "ann", 0, NULL), ==,
                    -EINVAL);
    /* Mine means of my layer. */
    g_assert_cmpint(session_link(&s.web, low.id, "t-php", "ann", 0, NULL), ==,
                    -EPERM);
    g_assert_cmpint(session_link(&s.admin, conn.id, "t-php", "ann", 0, NULL),
                    ==, -EPERM);
    g_assert_cmpint(session_link(&s.web, (struct slice_id){ 1, 1 }, "t-php",
                                 "ann", 0, NULL), ==, -ENOENT);
    /* A slice that is on its way does not grow. */
    g_assert_cmpint(move_quiesce(&s.admin, ann.id, 1000, NULL), ==, 0);
    make(&s.php, "bob");
    g_assert_cmpint(session_link(&s.web, conn.id, "t-php", "bob", 0, NULL), ==,
                    -EBUSY);
    resume(&s, ann.id);
    opener_close(&lower);
    stack_close(&s);
}

/* Logging out ends the session, not the connection; logging in makes another
 * id, and the next request names it. */
static void test_logout_and_new_id(void)
{
    struct slice_register conn, guest, ann;
    Stack s;

    stack_open(&s);
    conn = make(&s.web, NULL);
    guest = make(&s.php, "guest");
    g_assert_cmpint(session_link(&s.web, conn.id, "t-php", "guest",
                                 SLICE_LINK_ONLY, NULL), ==, 0);
    /* session_regenerate_id(true): the new one is linked, then the old ends. */
    ann = make(&s.php, "ann");
    capsule_dep_ok(&s.php, ann.id, conn.id);
    g_assert_cmpint(capsule_op(&s.php, SLICE_IOC_DEREGISTER, guest.id, 0), ==,
                    0);
    assert_slice(&s, conn.id, ann.id, 2);
    g_assert_cmpint(session_link(&s.web, conn.id, "t-php", "guest",
                                 SLICE_LINK_ONLY, NULL), ==, -ENOENT);
    assert_slice(&s, conn.id, ann.id, 2);
    g_assert_cmpint(capsule_op(&s.php, SLICE_IOC_DEREGISTER, ann.id, 0), ==,
                    0);
    assert_slice(&s, conn.id, conn.id, 1);
    assert_movability(&s, conn.id, SLICE_MOVABLE, SLICE_WHY_NONE);
    stack_close(&s);
}

/* A proxy: two connections carry the requests of a hundred users. */
static void test_proxy_multiplexes(void)
{
    struct slice_register conn[2], user[100];
    char key[16];
    int i, round;
    Stack s;

    stack_open(&s);
    for (i = 0; i < 2; i++) {
        conn[i] = make(&s.web, NULL);
    }
    for (i = 0; i < 100; i++) {
        g_snprintf(key, sizeof(key), "user%d", i);
        user[i] = make(&s.php, key);
    }
    for (round = 0; round < 300; round++) {
        i = round * 7 % 100;
        g_snprintf(key, sizeof(key), "user%d", i);
        g_assert_cmpint(session_link(&s.web, conn[round % 2].id, "t-php", key,
                                     SLICE_LINK_ONLY, NULL), ==, 0);
        /* Its slice is that user's and nobody else's. */
        assert_slice(&s, conn[round % 2].id, user[i].id, 2);
    }
    /* One that has no connection now can leave; the connections stay. */
    g_assert_cmpint(move_quiesce(&s.admin, user[1].id, 1000, NULL), ==, 0);
    resume(&s, user[1].id);
    stack_close(&s);
}

/* ---- sessions without a connection ---- */

static void test_alone(void)
{
    struct slice_register ann, got = { .key_bytes = 3, .key = "ann" };
    struct slice_list_entry entry;
    Image image;
    char *room;
    Stack s;

    stack_open(&s);
    ann = make(&s.php, "ann");
    capsule_make_top(&s.php, ann.id, "Ann");
    room = capsule_map(&s.php, &ann);
    strcpy(room, "two pears");
    munmap(room, ann.bytes);
    g_assert_true(slice_find(&s.admin, ann.id, &entry));
    g_assert_cmpint(entry.n_capsules, ==, 1);
    g_assert_cmpint(entry.n_connections, ==, 0);
    g_assert_cmpstr((char *)entry.label, ==, "Ann");

    /* It leaves, and comes back as from another VM. */
    g_assert_cmpint(move_quiesce(&s.admin, ann.id, 1000, NULL), ==, 0);
    g_assert_cmpint(move_unplug(&s.admin, ann.id, &image, NULL), ==, 0);
    g_assert_cmpint(move_finish(&s.admin, ann.id, SLICE_FINISH_FORGET, NULL),
                    ==, 0);
    g_assert_cmpint(capsule_get_id(&s.php, SLICE_GET_BY_KEY, &got), ==,
                    -ENOENT);
    g_assert_cmpint(move_plug(&s.admin, &image, 1000, NULL), ==, 0);
    image_clear(&image);
    g_assert_cmpint(move_finish(&s.admin, ann.id, SLICE_FINISH_OPEN, NULL), ==,
                    0);
    g_assert_cmpint(capsule_get_id(&s.php, SLICE_GET_BY_KEY, &got), ==, 0);
    g_assert_true(id_equal(got.id, ann.id));
    room = capsule_map(&s.php, &got);
    g_assert_cmpstr(room, ==, "two pears");
    munmap(room, got.bytes);
    assert_movability(&s, ann.id, SLICE_MOVABLE, SLICE_WHY_NONE);
    /* And ends by itself. */
    g_assert_cmpint(capsule_op(&s.php, SLICE_IOC_DEREGISTER, ann.id, 0), ==,
                    0);
    g_assert_false(slice_find(&s.admin, ann.id, NULL));
    stack_close(&s);
}

/* The connections of a session come and go; it stays, and keeps its id. */
static void test_between_connections(void)
{
    struct slice_register ann, conn;
    int i;
    Stack s;

    stack_open(&s);
    ann = make(&s.php, "ann");
    for (i = 0; i < 50; i++) {
        conn = make(&s.web, NULL);
        g_assert_cmpint(session_link(&s.web, conn.id, "t-php", "ann",
                                     SLICE_LINK_ONLY, NULL), ==, 0);
        assert_slice(&s, conn.id, ann.id, 2);
        g_assert_cmpint(capsule_op(&s.web, SLICE_IOC_DEREGISTER, conn.id, 0),
                        ==, 0);
        assert_slice(&s, ann.id, ann.id, 1);
    }
    stack_close(&s);
}

/* ---- while others move ---- */

typedef struct {
    Stack *s;
    struct slice_id slice;
    gint *stop;
} Churn;

static gpointer churn_run(gpointer data)
{
    Churn *churn = data;
    Image image;
    int n = 0;

    while (!g_atomic_int_get(churn->stop)) {
        g_assert_cmpint(move_quiesce(&churn->s->admin, churn->slice, 20000,
                                     NULL), ==, 0);
        g_assert_cmpint(move_unplug(&churn->s->admin, churn->slice, &image,
                                    NULL), ==, 0);
        image_clear(&image);
        resume(churn->s, churn->slice);
        n++;
    }
    return GINT_TO_POINTER(n);
}

static void test_others_move(void)
{
    struct slice_register conn, user[2], mover;
    gint stop = 0;
    Churn churn;
    GThread *thread;
    int round;
    Stack s;

    stack_open(&s);
    mover = make(&s.php, "mover");
    conn = make(&s.web, NULL);
    user[0] = make(&s.php, "user0");
    user[1] = make(&s.php, "user1");
    churn = (Churn){ .s = &s, .slice = mover.id, .stop = &stop };
    thread = g_thread_new("churn", churn_run, &churn);
    for (round = 0; round < 500; round++) {
        g_assert_cmpint(session_link(&s.web, conn.id, "t-php",
                                     round % 2 ? "user1" : "user0",
                                     SLICE_LINK_ONLY, NULL), ==, 0);
        assert_slice(&s, conn.id, user[round % 2].id, 2);
    }
    g_atomic_int_set(&stop, 1);
    g_assert_cmpint(GPOINTER_TO_INT(g_thread_join(thread)), >, 0);
    assert_slice(&s, mover.id, mover.id, 1);
    stack_close(&s);
}

/*
 * A request in flight names a session whose slice is being drained: they join,
 * the drain waits for the request, and both leave together.
 */
static void test_join_while_draining(void)
{
    struct slice_register old, conn, ann, got = { .key_bytes = 3, .key = "ann" };
    Mover mover;
    Image image;
    Stack s;

    stack_open(&s);
    ann = make(&s.php, "ann");
    old = make(&s.web, NULL);
    capsule_dep_ok(&s.php, ann.id, old.id);
    conn = make(&s.web, NULL);
    g_assert_cmpint(slice_word_get(&s.web.words[old.word_index]), ==, 0);
    mover_start(&mover, &s, ann.id);
    g_assert_cmpint(slice_word_get(&s.web.words[conn.word_index]), ==, 0);
    g_assert_cmpint(session_link(&s.web, conn.id, "t-php", "ann",
                                 SLICE_LINK_ONLY, NULL), ==, 0);
    assert_slice(&s, conn.id, ann.id, 3);
    slice_word_put(&s.web.words[old.word_index]);
    g_assert_cmpint(capsule_op(&s.web, SLICE_IOC_PUT_REF, old.id, 0), ==, 0);
    slice_wait_state(&s.admin, ann.id, SLICE_STATE_DRAINING);
    slice_word_put(&s.web.words[conn.word_index]);
    g_assert_cmpint(capsule_op(&s.web, SLICE_IOC_PUT_REF, conn.id, 0), ==, 0);
    g_assert_cmpint(mover_join(&mover), ==, 0);
    g_assert_cmpint(move_unplug(&s.admin, ann.id, &image, NULL), ==, 0);
    g_assert_cmpint(move_finish(&s.admin, ann.id, SLICE_FINISH_FORGET, NULL),
                    ==, 0);
    g_assert_cmpint(capsule_get_id(&s.php, SLICE_GET_BY_KEY, &got), ==,
                    -ENOENT);
    g_assert_cmpint(slice_size(&s.admin, conn.id, NULL), ==, -ENOENT);
    image_clear(&image);
    stack_close(&s);
}

/* Two that are both being drained do not become one: who asks is told so. */
static void test_two_drain(void)
{
    struct slice_register conn[2], ann;
    Mover mover[2];
    int i;
    Stack s;

    stack_open(&s);
    ann = make(&s.php, "ann");
    for (i = 0; i < 2; i++) {
        conn[i] = make(&s.web, NULL);
        slice_word_get(&s.web.words[conn[i].word_index]);
    }
    capsule_dep_ok(&s.php, ann.id, conn[0].id);
    mover_start(&mover[0], &s, ann.id);
    mover_start(&mover[1], &s, conn[1].id);
    g_assert_cmpint(session_link(&s.web, conn[1].id, "t-php", "ann",
                                 SLICE_LINK_ONLY, NULL), ==, -EBUSY);
    for (i = 0; i < 2; i++) {
        slice_word_put(&s.web.words[conn[i].word_index]);
        g_assert_cmpint(capsule_op(&s.web, SLICE_IOC_PUT_REF, conn[i].id, 0),
                        ==, 0);
        g_assert_cmpint(mover_join(&mover[i]), ==, 0);
    }
    assert_slice(&s, conn[1].id, conn[1].id, 1);
    resume(&s, ann.id);
    resume(&s, conn[1].id);
    g_assert_cmpint(session_link(&s.web, conn[1].id, "t-php", "ann",
                                 SLICE_LINK_ONLY, NULL), ==, 0);
    assert_slice(&s, conn[1].id, ann.id, 3);
    stack_close(&s);
}

/* A dependency that is dropped while its slice drains splits it afterwards. */
static void test_split_while_draining(void)
{
    struct slice_register conn, ann;
    Mover mover;
    Stack s;

    stack_open(&s);
    ann = make(&s.php, "ann");
    conn = make(&s.web, NULL);
    capsule_dep_ok(&s.php, ann.id, conn.id);
    slice_word_get(&s.web.words[conn.word_index]);
    mover_start(&mover, &s, ann.id);
    g_assert_cmpint(session_link(&s.web, conn.id, "t-php", NULL,
                                 SLICE_LINK_ONLY, NULL), ==, 0);
    assert_slice(&s, conn.id, ann.id, 2);
    slice_word_put(&s.web.words[conn.word_index]);
    g_assert_cmpint(capsule_op(&s.web, SLICE_IOC_PUT_REF, conn.id, 0), ==, 0);
    g_assert_cmpint(mover_join(&mover), ==, 0);
    resume(&s, ann.id);
    assert_slice(&s, conn.id, conn.id, 1);
    assert_slice(&s, ann.id, ann.id, 1);
    stack_close(&s);
}

void add_session_tests(void)
{
    add_test("/session/pinned-slice-says-why-and-is-not-moved", test_pin);
    add_test("/session/pin-follows-its-capsule-through-join-and-split",
             test_pin_follows_capsule);
    add_test("/session/only-reasons-that-pin-can-be-declared",
             test_pin_values);
    add_test("/session/pin-ends-a-drain", test_pin_ends_drain);
    add_test("/session/what-has-left-is-not-pinned", test_pin_too_late);
    add_test("/session/connection-is-pinned-by-who-named-it",
             test_pin_connection);
    add_test("/session/connection-is-named-and-held", test_name_is_held);
    add_test("/session/name-waits-for-a-move", test_name_waits_for_a_move);
    add_test("/session/more-connections-than-can-be-reported-pin",
             test_many_connections);
    add_test("/session/more-ranks-than-can-be-reported-pin", test_many_ranks);
    add_test("/session/link-follows-the-requests-of-a-connection",
             test_link_follows_requests);
    add_test("/session/refused-link-changes-nothing", test_link_refusals);
    add_test("/session/logout-and-new-id-leave-the-connection",
             test_logout_and_new_id);
    add_test("/session/proxy-carries-many-users-without-joining-them",
             test_proxy_multiplexes);
    add_test("/session/without-a-connection-is-listed-and-moves", test_alone);
    add_test("/session/outlives-its-connections", test_between_connections);
    add_test("/session/joins-and-splits-while-another-moves",
             test_others_move);
    add_test("/session/joined-while-draining-leaves-together",
             test_join_while_draining);
    add_test("/session/two-that-drain-do-not-join", test_two_drain);
    add_test("/session/split-while-draining-comes-after",
             test_split_while_draining);
}
