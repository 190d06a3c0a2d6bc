// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-slice.c - capsules, dependencies and the slices that they form
 */
#include "device.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Three layers on top of each other. */
typedef struct {
    Opener low, mid, top;
} Stack;

static void stack_open(Stack *s)
{
    opener_open_layer(&s->low, "t-low", 50, 0);
    opener_open_layer(&s->mid, "t-mid", 100, 0);
    opener_open_layer(&s->top, "t-top", 200, 0);
}

static void stack_close(Stack *s)
{
    opener_close(&s->top);
    opener_close(&s->mid);
    opener_close(&s->low);
}

static struct slice_id make(Opener *opener)
{
    struct slice_register reg;

    capsule_register_ok(opener, 0, NULL, 0, &reg);
    return reg.id;
}

static void assert_slice(Opener *opener, struct slice_id capsule,
                         struct slice_id slice, int size)
{
    struct slice_id got;

    g_assert_cmpint(slice_size(opener, capsule, &got), ==, size);
    g_assert_true(id_equal(got, slice));
}

/*
 *        a          The way from a to d leads through b and through c.
 *       / \
 *      b   c
 *       \ /
 *        d
 */
static void test_diamond(void)
{
    struct slice_id a, b, c, d;
    Stack s;

    stack_open(&s);
    d = make(&s.low);
    b = make(&s.mid);
    c = make(&s.mid);
    a = make(&s.top);
    assert_slice(&s.low, d, d, 1);
    capsule_dep_ok(&s.mid, b, d);
    capsule_dep_ok(&s.mid, c, d);
    /* Two of one rank: the older one is the top. */
    assert_slice(&s.low, d, b, 3);
    capsule_dep_ok(&s.top, a, b);
    capsule_dep_ok(&s.top, a, c);
    capsule_dep_ok(&s.top, a, c);
    assert_slice(&s.low, a, a, 4);
    assert_slice(&s.low, d, a, 4);

    g_assert_cmpint(capsule_dep(&s.top, a, b, SLICE_DEP_DROP), ==, 0);
    assert_slice(&s.low, b, a, 4);
    g_assert_cmpint(capsule_dep(&s.mid, b, d, SLICE_DEP_DROP), ==, 0);
    assert_slice(&s.low, b, b, 1);
    assert_slice(&s.low, d, a, 3);
    g_assert_cmpint(capsule_dep(&s.mid, b, d, SLICE_DEP_DROP), ==, -ENOENT);
    g_assert_cmpint(capsule_op(&s.mid, SLICE_IOC_DEREGISTER, c, 0), ==, 0);
    assert_slice(&s.low, a, a, 1);
    assert_slice(&s.low, d, d, 1);
    stack_close(&s);
}

/*
 *        session           One session, two connections; then one of them
 *        /     \           goes over to another session.
 *      web1    web2
 *       |       |
 *      conn1   conn2
 */
static void test_two_connections(void)
{
    struct slice_id session, other, web[2], conn[2];
    struct slice_list_entry entry;
    Stack s;
    int i;

    stack_open(&s);
    session = make(&s.top);
    other = make(&s.top);
    for (i = 0; i < 2; i++) {
        conn[i] = make(&s.low);
        web[i] = make(&s.mid);
        capsule_dep_ok(&s.mid, web[i], conn[i]);
        assert_slice(&s.low, conn[i], web[i], 2);
        capsule_dep_ok(&s.top, session, web[i]);
    }
    assert_slice(&s.low, conn[1], session, 5);
    g_assert_cmpint(capsule_dep(&s.top, session, web[1], SLICE_DEP_DROP), ==,
                    0);
    capsule_dep_ok(&s.top, other, web[1]);
    assert_slice(&s.low, conn[0], session, 3);
    assert_slice(&s.low, conn[1], other, 3);
    g_assert_true(slice_find(&s.low, session, &entry));
    g_assert_cmpint(entry.n_capsules, ==, 3);
    g_assert_cmpint(entry.state, ==, SLICE_STATE_ACTIVE);
    g_assert_cmpint(entry.movability, ==, SLICE_MOVABLE);
    g_assert_false(slice_find(&s.low, web[0], &entry));
    stack_close(&s);
}

static void test_create_slice(void)
{
    struct slice_list_entry entry;
    struct slice_id low, mid, top;
    Stack s;

    stack_open(&s);
    low = make(&s.low);
    mid = make(&s.mid);
    top = make(&s.top);
    capsule_dep_ok(&s.mid, mid, low);
    g_assert_true(id_equal(capsule_make_top(&s.mid, mid, "shop of Ann"), mid));
    g_assert_true(slice_find(&s.low, mid, &entry));
    g_assert_cmpstr((char *)entry.label, ==, "shop of Ann");
    /* The one that was named stays the top under a higher rank. */
    capsule_dep_ok(&s.top, top, mid);
    assert_slice(&s.low, top, mid, 3);
    capsule_make_top(&s.top, top, "shop of Bob");
    assert_slice(&s.low, low, top, 3);
    g_assert_true(slice_find(&s.low, top, &entry));
    g_assert_cmpstr((char *)entry.label, ==, "shop of Bob");
    g_assert_cmpint(entry.n_capsules, ==, 3);
    stack_close(&s);
}

/* A connection that serves two sessions for a moment costs neither its name. */
static void test_labels_stay(void)
{
    struct slice_id conn, session[2];
    struct slice_list_entry entry;
    Stack s;

    stack_open(&s);
    conn = make(&s.mid);
    session[0] = make(&s.top);
    session[1] = make(&s.top);
    capsule_make_top(&s.top, session[0], "Ann");
    capsule_make_top(&s.top, session[1], "Bob");
    capsule_dep_ok(&s.top, session[0], conn);
    capsule_dep_ok(&s.top, session[1], conn);
    assert_slice(&s.low, conn, session[0], 3);
    g_assert_cmpint(capsule_dep(&s.top, session[0], conn, SLICE_DEP_DROP), ==,
                    0);
    g_assert_true(slice_find(&s.low, session[0], &entry));
    g_assert_cmpstr((char *)entry.label, ==, "Ann");
    g_assert_true(slice_find(&s.low, session[1], &entry));
    g_assert_cmpstr((char *)entry.label, ==, "Bob");
    g_assert_cmpint(entry.n_capsules, ==, 2);
    stack_close(&s);
}

static void test_ranks(void)
{
    struct slice_id low, mid, mid2;
    Stack s;

    stack_open(&s);
    low = make(&s.low);
    mid = make(&s.mid);
    mid2 = make(&s.mid);
    g_assert_cmpint(capsule_dep(&s.low, low, mid, 0), ==, -EINVAL);
    g_assert_cmpint(capsule_dep(&s.mid, mid, mid2, 0), ==, -EINVAL);
    g_assert_cmpint(capsule_dep(&s.mid, mid, mid, 0), ==, -EINVAL);
    g_assert_cmpint(capsule_dep(&s.top, mid, low, 0), ==, -EPERM);
    g_assert_cmpint(capsule_dep(&s.mid, mid, (struct slice_id){ 1, 1 }, 0), ==,
                    -ENOENT);
    stack_close(&s);
}

static void test_names(void)
{
    struct slice_register reg, got = {};
    Opener opener, other;

    opener_open_layer(&opener, "t-names", 60, 0);
    opener_open_layer(&other, "t-others", 61, 0);
    capsule_register_ok(&opener, 17, "key-one", 5000, &reg);
    g_assert_cmpint(reg.bytes, ==, 8192);
    g_assert_cmpint(reg.mmap_offset, !=, 0);
    g_assert_cmpint(capsule_register(&opener, 17, NULL, 0, &got), ==, -EEXIST);
    g_assert_cmpint(capsule_register(&opener, 18, "key-one", 0, &got), ==,
                    -EEXIST);
    g_assert_cmpint(capsule_register(&opener, 18, NULL,
                                     SLICE_CAPSULE_BYTES_MAX + 1, &got), ==,
                    -EINVAL);
    /* Another layer has names of its own. */
    capsule_register_ok(&other, 17, "key-one", 0, &got);
    g_assert_cmpint(got.mmap_offset, ==, 0);

    got = (struct slice_register){ .handle = 17 };
    g_assert_cmpint(capsule_get_id(&opener, SLICE_GET_BY_HANDLE, &got), ==, 0);
    g_assert_true(id_equal(got.id, reg.id));
    g_assert_cmpint(got.word_index, ==, reg.word_index);
    g_assert_cmpstr((char *)got.key, ==, "key-one");
    got = (struct slice_register){ .key_bytes = 7, .key = "key-one" };
    g_assert_cmpint(capsule_get_id(&opener, SLICE_GET_BY_KEY, &got), ==, 0);
    g_assert_true(id_equal(got.id, reg.id));
    g_assert_cmpint(got.handle, ==, 17);
    got = (struct slice_register){ .id = reg.id };
    g_assert_cmpint(capsule_get_id(&other, SLICE_GET_BY_ID, &got), ==, -ENOENT);
    got = (struct slice_register){ .handle = 99 };
    g_assert_cmpint(capsule_get_id(&opener, SLICE_GET_BY_HANDLE, &got), ==,
                    -ENOENT);
    got = (struct slice_register){ .handle = 17 };
    g_assert_cmpint(capsule_get_id(&opener, SLICE_GET_BY_HANDLE |
                                   SLICE_GET_BY_KEY, &got), ==, -EINVAL);
    got = (struct slice_register){ .key_bytes = 65 };
    g_assert_cmpint(capsule_get_id(&opener, SLICE_GET_BY_KEY, &got), ==,
                    -EINVAL);

    g_assert_cmpint(capsule_op(&opener, SLICE_IOC_DEREGISTER, reg.id, 0), ==,
                    0);
    g_assert_cmpint(capsule_op(&opener, SLICE_IOC_DEREGISTER, reg.id, 0), ==,
                    -ESTALE);
    capsule_register_ok(&opener, 17, "key-one", 0, &got);
    opener_close(&other);
    opener_close(&opener);
}

static void test_next(void)
{
    struct slice_register reg, at = {};
    Opener opener, other;
    int i, n = 0;

    opener_open_layer(&opener, "t-next", 60, 0);
    opener_open_layer(&other, "t-other", 61, 0);
    for (i = 0; i < 20; i++) {
        capsule_register_ok(&opener, 0, NULL, 0, &reg);
        capsule_register_ok(&other, 0, NULL, 0, &reg);
    }
    while (!capsule_get_id(&opener, SLICE_GET_NEXT, &at)) {
        at = (struct slice_register){ .id = at.id };
        n++;
    }
    g_assert_cmpint(n, ==, 20);
    opener_close(&other);
    opener_close(&opener);
}

static void test_large(void)
{
    struct slice_id top, low[1100];
    struct slice_list_entry entry;
    Stack s;
    int i, ret = 0;

    stack_open(&s);
    top = make(&s.top);
    for (i = 0; i < 1100 && !ret; i++) {
        low[i] = make(&s.low);
        ret = capsule_dep(&s.top, top, low[i], 0);
        if (i == SLICE_COMPONENT_MAX - 2 || i == SLICE_COMPONENT_MAX - 1) {
            g_assert_true(slice_find(&s.low, top, &entry));
            g_assert_cmpint(entry.n_capsules, ==, i + 2);
            g_assert_cmpint(entry.movability, ==,
                            i == SLICE_COMPONENT_MAX - 2 ? SLICE_MOVABLE :
                                                           SLICE_PINNED);
        }
    }
    /* Pinned beyond the one limit, refused at the other. */
    g_assert_cmpint(ret, ==, -ENOSPC);
    g_assert_cmpint(move_quiesce(&s.low, top, 1000, NULL), ==, -EOPNOTSUPP);
    g_assert_cmpint(slice_size(&s.low, top, NULL), ==, 1024);
    stack_close(&s);
}

static void test_killed(void)
{
    Opener watcher;
    guint32 before;
    int pipe_fd[2];
    char go;
    pid_t pid;

    opener_open(&watcher);
    before = device_n_capsules(&watcher);
    g_assert_cmpint(pipe(pipe_fd), ==, 0);
    pid = fork();
    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        struct slice_register reg;
        Opener opener;
        int i;

        close(watcher.fd);
        opener_open_layer(&opener, "t-killed", 70, 0);
        for (i = 0; i < 100; i++) {
            capsule_register_ok(&opener, i + 1, NULL, 4096, &reg);
            memset(capsule_map(&opener, &reg), 1, 4096);
            slice_word_get(&opener.words[reg.word_index]);
        }
        go = 1;
        if (write(pipe_fd[1], &go, 1) != 1) {
            _exit(1);
        }
        pause();
    }
    g_assert_cmpint(read(pipe_fd[0], &go, 1), ==, 1);
    g_assert_cmpint(device_n_capsules(&watcher), ==, before + 100);
    kill(pid, SIGKILL);
    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
    g_assert_cmpint(device_n_capsules(&watcher), ==, before);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
    opener_close(&watcher);
}

static void test_joined_dies(void)
{
    struct slice_register reg, got = {};
    Opener master, worker;
    void *room;

    opener_open_layer(&master, "t-master", 70, SLICE_LAYER_PASSIVE);
    opener_open(&worker);
    g_assert_cmpint(opener_layer(&worker, "t-master", 70, SLICE_LAYER_JOIN,
                                 master.fd), ==, 0);
    capsule_register_ok(&worker, 0, "session", 4096, &reg);
    room = capsule_map(&worker, &reg);
    strcpy(room, "kept");
    slice_word_get(&worker.words[reg.word_index]);
    g_assert_cmpint(move_quiesce(&master, reg.id, 50, NULL), ==, -EBUSY);
    munmap(room, reg.bytes);
    opener_close(&worker);

    g_assert_cmpint(move_quiesce(&master, reg.id, 1000, NULL), ==, 0);
    g_assert_cmpint(move_finish(&master, reg.id, SLICE_FINISH_RESUME, NULL),
                    ==, 0);
    got = (struct slice_register){ .key_bytes = 7, .key = "session" };
    g_assert_cmpint(capsule_get_id(&master, SLICE_GET_BY_KEY, &got), ==, 0);
    g_assert_true(id_equal(got.id, reg.id));
    room = capsule_map(&master, &got);
    g_assert_cmpstr(room, ==, "kept");
    munmap(room, got.bytes);
    opener_close(&master);
}

void add_slice_tests(void)
{
    add_test("/slice/diamond-is-one-slice-until-both-ways-are-cut",
             test_diamond);
    add_test("/slice/connection-goes-from-one-session-to-another",
             test_two_connections);
    add_test("/slice/named-capsule-is-the-top", test_create_slice);
    add_test("/slice/labels-survive-join-and-split", test_labels_stay);
    add_test("/slice/dependency-goes-down-in-rank", test_ranks);
    add_test("/slice/names-are-unique-in-a-layer", test_names);
    add_test("/slice/capsules-of-a-layer-can-be-walked", test_next);
    add_test("/slice/large-component-is-pinned-then-refused", test_large);
    add_test("/slice/killed-provider-leaves-nothing", test_killed);
    add_test("/slice/capsule-outlives-the-worker-that-made-it",
             test_joined_dies);
}
