// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-reference.c - reference words while a slice is frozen and thawed
 *
 * Threads stand for requests.  Waiting is for what another thread or the
 * kernel does, never for time to pass.
 */
#include "device.h"

#include <errno.h>
#include <string.h>

/**
 * Mover - a QUIESCE in a thread of its own
 */
typedef struct {
    Opener *opener;
    struct slice_id slice;
    guint32 timeout_ms;
    guint32 why;
    GThread *thread;
} Mover;

static gpointer mover_run(gpointer data)
{
    Mover *mover = data;

    return GINT_TO_POINTER(move_quiesce(mover->opener, mover->slice,
                                        mover->timeout_ms, &mover->why));
}

static void mover_start(Mover *mover, Opener *opener, struct slice_id slice,
                        guint32 timeout_ms)
{
    *mover = (Mover){
        .opener = opener, .slice = slice, .timeout_ms = timeout_ms,
    };
    mover->thread = g_thread_new("mover", mover_run, mover);
    slice_wait_state(opener, slice, SLICE_STATE_DRAINING);
}

static int mover_join(Mover *mover)
{
    return GPOINTER_TO_INT(g_thread_join(mover->thread));
}

/**
 * Getter - a get that enters the kernel, in a thread of its own
 */
typedef struct {
    Opener *opener;
    const struct slice_register *reg;
    GThread *thread;
} Getter;

static gpointer getter_run(gpointer data)
{
    Getter *getter = data;

    return GINT_TO_POINTER(capsule_get_ref(getter->opener, getter->reg, 0));
}

static void getter_start(Getter *getter, Opener *opener,
                         const struct slice_register *reg)
{
    *getter = (Getter){ .opener = opener, .reg = reg };
    getter->thread = g_thread_new("getter", getter_run, getter);
}

static int getter_join(Getter *getter)
{
    return GPOINTER_TO_INT(g_thread_join(getter->thread));
}

/* Of one that is not frozen NOTIFY tells nothing: the device may have been told
 * that it counts, and is told when it no longer does. */
static guint32 count_of(Opener *opener, const struct slice_register *reg)
{
    return atomic_load(&opener->words[reg->word_index]) & ~SLICE_WORD_NOTIFY;
}

static guint32 word_of(Opener *opener, const struct slice_register *reg)
{
    return atomic_load(&opener->words[reg->word_index]);
}

/* A put as libslice does it: the last one under NOTIFY enters the kernel. */
static void put(Opener *opener, const struct slice_register *reg)
{
    if (slice_word_put(&opener->words[reg->word_index]) == 1) {
        g_assert_cmpint(capsule_op(opener, SLICE_IOC_PUT_REF, reg->id, 0), ==,
                        0);
    }
}

static void test_thaw_wakes(void)
{
    struct slice_register reg;
    Opener opener, admin;
    Getter getter;

    opener_open(&admin);
    opener_open_layer(&opener, "t-frozen", 100, 0);
    capsule_register_ok(&opener, 0, NULL, 0, &reg);
    g_assert_cmpint(slice_word_get(&opener.words[reg.word_index]), ==, 0);
    put(&opener, &reg);
    g_assert_cmpint(move_quiesce(&admin, reg.id, 5000, NULL), ==, 0);
    g_assert_cmpint(word_of(&opener, &reg), ==,
                    SLICE_WORD_FROZEN | SLICE_WORD_NOTIFY);
    g_assert_cmpint(slice_word_get(&opener.words[reg.word_index]), ==,
                    -EAGAIN);
    g_assert_cmpint(capsule_get_ref(&opener, &reg, SLICE_REF_NOWAIT), ==,
                    -EAGAIN);
    getter_start(&getter, &opener, &reg);
    g_assert_cmpint(move_finish(&admin, reg.id, SLICE_FINISH_RESUME, NULL),
                    ==, 0);
    g_assert_cmpint(getter_join(&getter), ==, 0);
    g_assert_cmpint(count_of(&opener, &reg), ==, 1);
    put(&opener, &reg);
    g_assert_cmpint(count_of(&opener, &reg), ==, 0);
    /* Another word of it than the opener has. */
    reg.word_index++;
    g_assert_cmpint(capsule_get_ref(&opener, &reg, 0), ==, -ESTALE);
    opener_close(&opener);
    opener_close(&admin);
}

static void test_put_notifies(void)
{
    struct slice_register reg;
    Opener opener, admin;
    Mover mover;

    opener_open(&admin);
    opener_open_layer(&opener, "t-notify", 100, 0);
    capsule_register_ok(&opener, 0, NULL, 0, &reg);
    slice_word_get(&opener.words[reg.word_index]);
    slice_word_get(&opener.words[reg.word_index]);
    mover_start(&mover, &admin, reg.id, 20000);
    put(&opener, &reg);
    slice_wait_state(&admin, reg.id, SLICE_STATE_DRAINING);
    put(&opener, &reg);
    g_assert_cmpint(mover_join(&mover), ==, 0);
    slice_wait_state(&admin, reg.id, SLICE_STATE_DRAINED);
    g_assert_cmpint(move_finish(&admin, reg.id, SLICE_FINISH_RESUME, NULL),
                    ==, 0);
    opener_close(&opener);
    opener_close(&admin);
}

/*
 * The device is told of a slice that has changed, also that it is busy; then it
 * is told when it no longer is, because the last put enters the kernel.
 */
static void test_busy_is_unsaid(void)
{
    struct slice_info info = { .size = sizeof(info) };
    gint64 deadline = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
    struct slice_register low, high;
    Opener lower, upper;
    guint32 word;

    opener_open_layer(&lower, "t-lower", 100, 0);
    opener_open_layer(&upper, "t-upper", 200, 0);
    g_assert_cmpint(device_call(lower.fd, SLICE_IOC_INFO, &info), ==, 0);
    if (info.incarnation == 1) {
        g_test_skip("no virtio-slice device is there to be told anything");
        goto out;
    }
    capsule_register_ok(&lower, 0, NULL, 0, &low);
    capsule_register_ok(&upper, 0, NULL, 0, &high);
    slice_word_get(&lower.words[low.word_index]);
    capsule_dep_ok(&upper, high.id, low.id);
    while ((word = word_of(&lower, &low)) != (SLICE_WORD_NOTIFY | 1)) {
        g_assert_cmpint(word, ==, 1);
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_thread_yield();
    }
    /* It is not frozen: who comes meanwhile is not kept waiting. */
    g_assert_cmpint(slice_word_get(&lower.words[low.word_index]), ==, 0);
    g_assert_cmpint(slice_word_put(&lower.words[low.word_index]), ==, 0);
    g_assert_cmpint(slice_word_put(&lower.words[low.word_index]), ==, 1);
    g_assert_cmpint(capsule_op(&lower, SLICE_IOC_PUT_REF, low.id, 0), ==, 0);
    g_assert_cmpint(word_of(&lower, &low), ==, 0);
    /* Nobody was told that the upper one is busy. */
    g_assert_cmpint(word_of(&upper, &high), ==, 0);

out:
    opener_close(&upper);
    opener_close(&lower);
}

static void test_deadline(void)
{
    struct slice_list_entry entry;
    struct slice_register reg;
    Opener opener, admin;
    guint32 why;

    opener_open(&admin);
    opener_open_layer(&opener, "t-deadline", 100, 0);
    capsule_register_ok(&opener, 0, NULL, 0, &reg);
    slice_word_get(&opener.words[reg.word_index]);
    g_assert_true(slice_find(&admin, reg.id, &entry));
    g_assert_cmpint(entry.movability, ==, SLICE_BUSY);
    g_assert_cmpint(entry.why, ==, SLICE_WHY_REFERENCES);
    g_assert_cmpint(entry.n_refs, ==, 1);
    g_assert_cmpint(move_quiesce(&admin, reg.id, 50, &why), ==, -EBUSY);
    g_assert_cmpint(why, ==, SLICE_WHY_REFERENCES);
    /* Thawed again. */
    g_assert_cmpint(count_of(&opener, &reg), ==, 1);
    g_assert_true(slice_find(&admin, reg.id, &entry));
    g_assert_cmpint(entry.state, ==, SLICE_STATE_ACTIVE);
    put(&opener, &reg);
    opener_close(&opener);
    opener_close(&admin);
}

/* Two layers; a request holds the lower one and has yet to reach the upper. */
static void test_rank_by_rank(void)
{
    struct slice_register low, high;
    Opener lower, upper, admin;
    Mover mover;

    opener_open(&admin);
    opener_open_layer(&lower, "t-lower", 100, 0);
    opener_open_layer(&upper, "t-upper", 200, 0);
    capsule_register_ok(&lower, 0, NULL, 0, &low);
    capsule_register_ok(&upper, 0, NULL, 0, &high);
    capsule_dep_ok(&upper, high.id, low.id);
    slice_word_get(&lower.words[low.word_index]);
    mover_start(&mover, &admin, high.id, 20000);
    /* Draining: the lower layer starts nothing new, the upper still may. */
    while (!(word_of(&lower, &low) & SLICE_WORD_FROZEN)) {
        g_thread_yield();
    }
    g_assert_cmpint(slice_word_get(&upper.words[high.word_index]), ==, 0);
    put(&upper, &high);
    put(&lower, &low);
    g_assert_cmpint(mover_join(&mover), ==, 0);
    g_assert_cmpint(slice_word_get(&upper.words[high.word_index]), ==,
                    -EAGAIN);
    g_assert_cmpint(move_finish(&admin, high.id, SLICE_FINISH_RESUME, NULL),
                    ==, 0);
    opener_close(&upper);
    opener_close(&lower);
    opener_close(&admin);
}

static void test_grows(void)
{
    struct slice_register low[2], high, extra;
    Opener lower, upper, admin;
    Mover mover;

    opener_open(&admin);
    opener_open_layer(&lower, "t-lower", 100, 0);
    opener_open_layer(&upper, "t-upper", 200, 0);
    capsule_register_ok(&lower, 0, NULL, 0, &low[0]);
    capsule_register_ok(&lower, 0, NULL, 0, &low[1]);
    capsule_register_ok(&upper, 0, NULL, 0, &high);
    capsule_dep_ok(&upper, high.id, low[0].id);
    slice_word_get(&lower.words[low[0].word_index]);
    mover_start(&mover, &admin, high.id, 20000);
    /* The request in flight links another connection of the session. */
    capsule_dep_ok(&upper, high.id, low[1].id);
    slice_word_get(&upper.words[high.word_index]);
    put(&upper, &high);
    put(&lower, &low[0]);
    g_assert_cmpint(mover_join(&mover), ==, 0);
    g_assert_cmpint(word_of(&lower, &low[1]) & SLICE_WORD_FROZEN, !=, 0);
    /* It does not grow any more now, and what is set may be set again. */
    capsule_register_ok(&lower, 0, NULL, 0, &extra);
    g_assert_cmpint(capsule_dep(&upper, high.id, extra.id, 0), ==, -EBUSY);
    capsule_dep_ok(&upper, high.id, low[1].id);
    g_assert_cmpint(move_finish(&admin, high.id, SLICE_FINISH_RESUME, NULL),
                    ==, 0);
    capsule_dep_ok(&upper, high.id, extra.id);
    opener_close(&upper);
    opener_close(&lower);
    opener_close(&admin);
}

static void test_split_waits(void)
{
    struct slice_register low[2], high;
    Opener lower, upper, admin;

    opener_open(&admin);
    opener_open_layer(&lower, "t-lower", 100, 0);
    opener_open_layer(&upper, "t-upper", 200, 0);
    capsule_register_ok(&lower, 0, NULL, 0, &low[0]);
    capsule_register_ok(&lower, 0, NULL, 0, &low[1]);
    capsule_register_ok(&upper, 0, NULL, 0, &high);
    capsule_dep_ok(&upper, high.id, low[0].id);
    capsule_dep_ok(&upper, high.id, low[1].id);
    g_assert_cmpint(move_quiesce(&admin, high.id, 5000, NULL), ==, 0);
    g_assert_cmpint(capsule_dep(&upper, high.id, low[1].id, SLICE_DEP_DROP),
                    ==, 0);
    g_assert_cmpint(slice_size(&admin, high.id, NULL), ==, 3);
    g_assert_cmpint(move_finish(&admin, high.id, SLICE_FINISH_RESUME, NULL),
                    ==, 0);
    g_assert_cmpint(slice_size(&admin, high.id, NULL), ==, 2);
    g_assert_cmpint(slice_size(&admin, low[1].id, NULL), ==, 1);
    g_assert_cmpint(slice_word_get(&lower.words[low[1].word_index]), ==, 0);
    put(&lower, &low[1]);
    opener_close(&upper);
    opener_close(&lower);
    opener_close(&admin);
}

static void test_dead_holder(void)
{
    struct slice_register reg, got = {};
    Opener master, worker, admin;
    Mover mover;

    opener_open(&admin);
    opener_open_layer(&master, "t-dead", 100, 0);
    opener_open(&worker);
    g_assert_cmpint(opener_layer(&worker, "t-dead", 100, SLICE_LAYER_JOIN,
                                 master.fd), ==, 0);
    capsule_register_ok(&master, 5, NULL, 0, &reg);
    got.handle = 5;
    g_assert_cmpint(capsule_get_id(&worker, SLICE_GET_BY_HANDLE, &got), ==, 0);
    slice_word_get(&worker.words[got.word_index]);
    mover_start(&mover, &admin, reg.id, 20000);
    opener_close(&worker);
    g_assert_cmpint(mover_join(&mover), ==, 0);
    g_assert_cmpint(move_finish(&admin, reg.id, SLICE_FINISH_RESUME, NULL),
                    ==, 0);
    opener_close(&master);
    opener_close(&admin);
}

static void test_ends_while_waiting(void)
{
    struct slice_register reg;
    Opener opener, admin;
    Getter getter;
    guint32 why;
    Mover mover;

    opener_open(&admin);
    opener_open_layer(&opener, "t-ends", 100, 0);
    capsule_register_ok(&opener, 0, NULL, 0, &reg);
    g_assert_cmpint(move_quiesce(&admin, reg.id, 5000, NULL), ==, 0);
    getter_start(&getter, &opener, &reg);
    g_assert_cmpint(capsule_op(&opener, SLICE_IOC_DEREGISTER, reg.id, 0), ==,
                    0);
    g_assert_cmpint(getter_join(&getter), ==, -ESTALE);
    g_assert_cmpint(move_finish(&admin, reg.id, SLICE_FINISH_RESUME, &why),
                    ==, -ENOENT);
    g_assert_cmpint(why, ==, SLICE_WHY_GONE);

    capsule_register_ok(&opener, 0, NULL, 0, &reg);
    slice_word_get(&opener.words[reg.word_index]);
    mover_start(&mover, &admin, reg.id, 20000);
    g_assert_cmpint(capsule_op(&opener, SLICE_IOC_DEREGISTER, reg.id, 0), ==,
                    0);
    g_assert_cmpint(mover_join(&mover), ==, -EBUSY);
    g_assert_cmpint(mover.why, ==, SLICE_WHY_GONE);
    /* A late put of what has left is no error. */
    g_assert_cmpint(capsule_op(&opener, SLICE_IOC_PUT_REF, reg.id, 0), ==, 0);
    g_assert_cmpint(capsule_get_ref(&opener, &reg, 0), ==, -ESTALE);
    opener_close(&opener);
    opener_close(&admin);
}

static void test_two_movers(void)
{
    struct slice_register reg;
    Opener opener, admin;
    guint32 why;
    Mover mover;

    opener_open(&admin);
    opener_open_layer(&opener, "t-movers", 100, 0);
    capsule_register_ok(&opener, 0, NULL, 0, &reg);
    slice_word_get(&opener.words[reg.word_index]);
    mover_start(&mover, &admin, reg.id, 20000);
    g_assert_cmpint(move_quiesce(&admin, reg.id, 5000, &why), ==, -EBUSY);
    g_assert_cmpint(why, ==, SLICE_WHY_MOVING);
    put(&opener, &reg);
    g_assert_cmpint(mover_join(&mover), ==, 0);
    g_assert_cmpint(move_quiesce(&admin, reg.id, 5000, &why), ==, -EBUSY);
    g_assert_cmpint(move_finish(&admin, reg.id, SLICE_FINISH_OPEN, &why), ==,
                    -EBUSY);
    g_assert_cmpint(move_finish(&admin, reg.id, SLICE_FINISH_FORGET, &why), ==,
                    -EBUSY);
    g_assert_cmpint(move_finish(&admin, reg.id, SLICE_FINISH_DISCARD, &why),
                    ==, -EBUSY);
    g_assert_cmpint(move_finish(&admin, reg.id, SLICE_FINISH_RESUME, &why), ==,
                    0);
    /* It runs: resuming it again is done already. */
    g_assert_cmpint(move_finish(&admin, reg.id, SLICE_FINISH_RESUME, &why), ==,
                    0);
    opener_close(&opener);
    opener_close(&admin);
}

static void test_hostile_words(void)
{
    struct slice_register reg, good;
    Opener opener, admin;
    guint32 i;

    opener_open(&admin);
    opener_open_layer(&opener, "t-hostile", 100, 0);
    capsule_register_ok(&opener, 0, NULL, 0, &reg);
    for (i = 0; i < SLICE_WORDS_BYTES / 4; i++) {
        atomic_store(&opener.words[i], 0xffffffff);
    }
    /* Spoilt, and nothing worse: no free word is left to give out. */
    g_assert_cmpint(move_quiesce(&admin, reg.id, 50, NULL), ==, -EBUSY);
    g_assert_cmpint(capsule_register(&opener, 0, NULL, 0, &good), ==, -ENOSPC);
    atomic_store(&opener.words[reg.word_index], 0);
    g_assert_cmpint(move_quiesce(&admin, reg.id, 5000, NULL), ==, 0);
    atomic_store(&opener.words[reg.word_index], 0);
    g_assert_cmpint(move_finish(&admin, reg.id, SLICE_FINISH_RESUME, NULL),
                    ==, 0);
    opener_close(&opener);
    opener_close(&admin);
}

/**
 * Hammer - threads that take and drop while a mover freezes and thaws
 */
typedef struct {
    Opener opener;
    struct slice_register reg;
    gint inside;
    gint stop;
    gint rounds;
} Hammer;

static void hammer_get(Hammer *h)
{
    if (slice_word_get(&h->opener.words[h->reg.word_index]) == -EAGAIN) {
        g_assert_cmpint(capsule_get_ref(&h->opener, &h->reg, 0), ==, 0);
    }
}

static gpointer hammer_run(gpointer data)
{
    Hammer *h = data;

    while (!g_atomic_int_get(&h->stop)) {
        hammer_get(h);
        g_atomic_int_inc(&h->inside);
        g_atomic_int_add(&h->rounds, 1);
        g_atomic_int_add(&h->inside, -1);
        put(&h->opener, &h->reg);
    }
    return NULL;
}

static void test_hammer(void)
{
    GThread *threads[4];
    Hammer h = {};
    Opener admin;
    int i, rounds;

    opener_open(&admin);
    opener_open_layer(&h.opener, "t-hammer", 100, 0);
    capsule_register_ok(&h.opener, 0, NULL, 0, &h.reg);
    for (i = 0; i < 4; i++) {
        threads[i] = g_thread_new("hammer", hammer_run, &h);
    }
    for (i = 0; i < 300; i++) {
        g_assert_cmpint(move_quiesce(&admin, h.reg.id, 20000, NULL), ==, 0);
        /* Whoever got in has come out, and nobody gets in. */
        g_assert_cmpint(g_atomic_int_get(&h.inside), ==, 0);
        rounds = g_atomic_int_get(&h.rounds);
        g_thread_yield();
        g_assert_cmpint(g_atomic_int_get(&h.rounds), ==, rounds);
        g_assert_cmpint(move_finish(&admin, h.reg.id, SLICE_FINISH_RESUME,
                                    NULL), ==, 0);
    }
    g_atomic_int_set(&h.stop, 1);
    for (i = 0; i < 4; i++) {
        g_thread_join(threads[i]);
    }
    g_test_message("%d requests", g_atomic_int_get(&h.rounds));
    opener_close(&h.opener);
    opener_close(&admin);
}

/* Nothing can take a capsule away before its maker has let go of it. */
static void test_held_from_birth(void)
{
    struct slice_register reg = {
        .size = sizeof(reg), .flags = SLICE_REGISTER_HELD,
    };
    guint32 why = 0;
    Opener opener;

    opener_open_layer(&opener, "held", 100, 0);
    g_assert_cmpint(device_call(opener.fd, SLICE_IOC_REGISTER, &reg), ==, 0);
    g_assert_cmpuint(opener.words[reg.word_index] & SLICE_WORD_COUNT_MASK, ==,
                     1);
    g_assert_cmpint(move_quiesce(&opener, reg.id, 10, &why), ==, -EBUSY);
    g_assert_cmpuint(why, ==, SLICE_WHY_REFERENCES);
    put(&opener, &reg);
    g_assert_cmpint(move_quiesce(&opener, reg.id, 1000, &why), ==, 0);
    g_assert_cmpint(move_finish(&opener, reg.id, SLICE_FINISH_RESUME, &why),
                    ==, 0);
    opener_close(&opener);
}

void add_reference_tests(void)
{
    add_test("/reference/held-from-birth", test_held_from_birth);
    add_test("/reference/frozen-get-waits-and-thaw-wakes-it", test_thaw_wakes);
    add_test("/reference/put-to-zero-notifies", test_put_notifies);
    add_test("/reference/busy-that-was-told-is-taken-back",
             test_busy_is_unsaid);
    add_test("/reference/deadline-thaws-and-says-why", test_deadline);
    add_test("/reference/ranks-are-frozen-one-by-one", test_rank_by_rank);
    add_test("/reference/slice-that-grows-is-frozen-whole", test_grows);
    add_test("/reference/split-waits-until-it-runs", test_split_waits);
    add_test("/reference/references-die-with-their-holder", test_dead_holder);
    add_test("/reference/end-of-capsule-ends-waits", test_ends_while_waiting);
    add_test("/reference/one-mover-at-a-time", test_two_movers);
    add_test("/reference/hostile-words-spoil-only-their-own",
             test_hostile_words);
    add_test("/reference/nobody-is-inside-when-drained", test_hammer);
}
