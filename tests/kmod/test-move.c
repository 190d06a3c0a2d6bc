// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-move.c - a session without a connection leaves and arrives
 *
 *	php (rank 200, passive)   found by key
 *	 |
 *	apache (rank 100)         told by events, answers PLUG_DONE
 */
#include "device.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/**
 * Session - an apache and a php capsule, one slice
 */
typedef struct {
    Opener admin, apache, php;
    struct slice_register conn, session;
    char *memory;
} Session;

static void session_open(Session *s)
{
    opener_open(&s->admin);
    opener_open_layer(&s->apache, "t-apache", 100, 0);
    opener_open_layer(&s->php, "t-php", 200, SLICE_LAYER_PASSIVE);
    capsule_register_ok(&s->apache, 11, NULL, 4096, &s->conn);
    capsule_register_ok(&s->php, 0, "PHPSESSID-1", 5 * 4096, &s->session);
    capsule_dep_ok(&s->php, s->session.id, s->conn.id);
    capsule_make_top(&s->php, s->session.id, "Ann's cart");
    s->memory = capsule_map(&s->php, &s->session);
    strcpy(s->memory, "counter=41");
    strcpy(s->memory + 3 * 4096, "far away");
}

static void session_unmap(Session *s)
{
    if (s->memory) {
        munmap(s->memory, s->session.bytes);
        s->memory = NULL;
    }
}

static void session_close(Session *s)
{
    session_unmap(s);
    opener_close(&s->php);
    opener_close(&s->apache);
    opener_close(&s->admin);
}

static void session_leave(Session *s, Image *ret_image)
{
    struct slice_event event;
    guint32 why;

    g_assert_cmpint(move_quiesce(&s->admin, s->session.id, 5000, &why), ==, 0);
    g_assert_cmpint(move_unplug(&s->admin, s->session.id, ret_image, &why), ==,
                    0);
    event_expect(&s->apache, SLICE_EVENT_UNPLUGGED, s->conn.id, &event);
    g_assert_cmpint(event.handle, ==, 11);
}

/**
 * Arrival - a PLUG in a thread of its own, as an agent would do it
 */
typedef struct {
    Opener *admin;
    const Image *image;
    guint32 timeout_ms;
    guint32 flag;           /* FINISH instead of PLUG, with @slice */
    struct slice_id slice;
    guint32 why;
    GThread *thread;
} Arrival;

static gpointer arrival_run(gpointer data)
{
    Arrival *a = data;
    int ret;

    if (a->flag) {
        ret = move_finish(a->admin, a->slice, a->flag, &a->why);
    } else {
        ret = move_plug(a->admin, a->image, a->timeout_ms, &a->why);
    }
    return GINT_TO_POINTER(ret);
}

static void arrival_start(Arrival *a)
{
    a->thread = g_thread_new("arrival", arrival_run, a);
}

static int arrival_join(Arrival *a)
{
    return GPOINTER_TO_INT(g_thread_join(a->thread));
}

/* What the moved session is at its new place. */
static void assert_arrived(Opener *php, struct slice_id id)
{
    struct slice_register got = { .key_bytes = 11, .key = "PHPSESSID-1" };
    struct slice_list_entry entry;
    char *memory;

    g_assert_cmpint(capsule_get_id(php, SLICE_GET_BY_KEY, &got), ==, 0);
    g_assert_true(id_equal(got.id, id));
    g_assert_cmpint(got.bytes, ==, 5 * 4096);
    memory = capsule_map(php, &got);
    g_assert_cmpstr(memory, ==, "counter=41");
    g_assert_cmpstr(memory + 3 * 4096, ==, "far away");
    g_assert_cmpint(memory[4096], ==, 0);
    munmap(memory, got.bytes);
    g_assert_cmpint(slice_word_get(&php->words[got.word_index]), ==, 0);
    slice_word_put(&php->words[got.word_index]);
    g_assert_true(slice_find(php, id, &entry));
    g_assert_cmpint(entry.n_capsules, ==, 2);
    g_assert_cmpint(entry.state, ==, SLICE_STATE_ACTIVE);
    g_assert_cmpstr((char *)entry.label, ==, "Ann's cart");
}

/* Leaves one pair of openers for another, in the same kernel. */
static void test_round_trip(void)
{
    Opener apache, php;
    struct slice_event event;
    Arrival arrival;
    Session s;
    Image image;
    guint32 why;

    session_open(&s);
    session_leave(&s, &image);
    /* It is still here while the image is kept. */
    arrival = (Arrival){ .admin = &s.admin, .image = &image };
    arrival_start(&arrival);
    g_assert_cmpint(arrival_join(&arrival), ==, -EBUSY);
    g_assert_cmpint(arrival.why, ==, SLICE_WHY_MOVING);
    g_assert_cmpint(move_finish(&s.admin, s.session.id, SLICE_FINISH_FORGET,
                                &why), ==, 0);
    g_assert_cmpint(capsule_get_ref(&s.apache, &s.conn, 0), ==, -ESTALE);
    g_assert_cmpint(slice_size(&s.admin, s.session.id, NULL), ==, -ENOENT);
    session_unmap(&s);
    opener_close(&s.php);
    opener_close(&s.apache);

    opener_open_layer(&apache, "t-apache", 100, 0);
    opener_open_layer(&php, "t-php", 200, SLICE_LAYER_PASSIVE);
    arrival_start(&arrival);
    event_expect(&apache, SLICE_EVENT_PLUG, s.conn.id, &event);
    g_assert_cmpint(event.bytes, ==, 4096);
    g_assert_cmpint(slice_word_get(&apache.words[event.word_index]), ==,
                    -EAGAIN);
    g_assert_cmpint(capsule_op(&apache, SLICE_IOC_DEREGISTER, s.conn.id, 0),
                    ==, -ESTALE);
    g_assert_cmpint(capsule_plug_done(&apache, s.conn.id, 77, 0), ==, 0);
    g_assert_cmpint(arrival_join(&arrival), ==, 0);
    g_assert_cmpint(capsule_plug_done(&apache, s.conn.id, 77, 0), ==, -ESTALE);
    g_assert_false(event_is_pending(&apache));
    g_assert_cmpint(move_finish(&s.admin, s.session.id, SLICE_FINISH_OPEN,
                                &why), ==, 0);
    event_expect(&apache, SLICE_EVENT_OPEN, s.conn.id, &event);
    g_assert_cmpint(event.handle, ==, 77);
    assert_arrived(&php, s.session.id);
    image_clear(&image);
    opener_close(&php);
    opener_close(&apache);
    opener_close(&s.admin);
}

static gpointer get_ref(gpointer data)
{
    Session *s = data;

    return GINT_TO_POINTER(capsule_get_ref(&s->apache, &s->conn, 0));
}

static gpointer get_ref_here(gpointer data)
{
    Session *s = data;

    return GINT_TO_POINTER(capsule_get_ref(&s->apache, &s->conn, SLICE_REF_HERE));
}

/* A thread of a server that stops is not kept by what another may take up. */
static void test_reference_here(void)
{
    struct slice_event event;
    GThread *request;
    Session s;
    Image image;

    session_open(&s);
    g_assert_cmpint(move_quiesce(&s.admin, s.session.id, 5000, NULL), ==, 0);
    request = g_thread_new("request", get_ref_here, &s);
    g_assert_cmpint(move_unplug(&s.admin, s.session.id, &image, NULL), ==, 0);
    g_assert_cmpint(GPOINTER_TO_INT(g_thread_join(request)), ==, -ESTALE);
    g_assert_cmpint(capsule_get_ref(&s.apache, &s.conn, SLICE_REF_HERE), ==, -ESTALE);
    event_expect(&s.apache, SLICE_EVENT_UNPLUGGED, s.conn.id, &event);
    image_clear(&image);
    session_close(&s);
}

static void test_resume(void)
{
    struct slice_event event;
    GThread *request;
    Arrival arrival;
    Session s;
    Image image;
    int round;

    session_open(&s);
    for (round = 0; round < 3; round++) {
        session_leave(&s, &image);
        image_clear(&image);
        request = g_thread_new("request", get_ref, &s);
        g_assert_cmpint(capsule_op(&s.apache, SLICE_IOC_DEREGISTER, s.conn.id,
                                   0), ==, -ESTALE);
        arrival = (Arrival){
            .admin = &s.admin, .flag = SLICE_FINISH_RESUME,
            .slice = s.session.id,
        };
        arrival_start(&arrival);
        event_expect(&s.apache, SLICE_EVENT_PLUG, s.conn.id, &event);
        g_assert_cmpint(event.word_index, ==, s.conn.word_index);
        g_assert_cmpint(capsule_plug_done(&s.apache, s.conn.id, 11, 0), ==, 0);
        g_assert_cmpint(arrival_join(&arrival), ==, 0);
        event_expect(&s.apache, SLICE_EVENT_OPEN, s.conn.id, &event);
        /* The request that waited goes on. */
        g_assert_cmpint(GPOINTER_TO_INT(g_thread_join(request)), ==, 0);
        slice_word_put(&s.apache.words[s.conn.word_index]);
        assert_arrived(&s.php, s.session.id);
    }
    session_close(&s);
}

static void test_forget_wakes(void)
{
    GThread *request;
    Session s;
    Image image;

    session_open(&s);
    session_leave(&s, &image);
    request = g_thread_new("request", get_ref, &s);
    g_assert_cmpint(move_finish(&s.admin, s.session.id, SLICE_FINISH_FORGET,
                                NULL), ==, 0);
    g_assert_cmpint(GPOINTER_TO_INT(g_thread_join(request)), ==, -ESTALE);
    image_clear(&image);
    session_close(&s);
}

static void test_refused(void)
{
    struct slice_event event;
    Arrival arrival;
    guint32 before;
    Session s;
    Image image;

    session_open(&s);
    session_leave(&s, &image);
    g_assert_cmpint(move_finish(&s.admin, s.session.id, SLICE_FINISH_FORGET,
                                NULL), ==, 0);
    before = device_n_capsules(&s.admin);

    /* The layer refuses. */
    arrival = (Arrival){ .admin = &s.admin, .image = &image };
    arrival_start(&arrival);
    event_expect(&s.apache, SLICE_EVENT_PLUG, s.conn.id, &event);
    g_assert_cmpint(capsule_plug_done(&s.apache, s.conn.id, 0, 4096), ==,
                    -EINVAL);
    g_assert_cmpint(capsule_plug_done(&s.apache, s.conn.id, 0, EPERM), ==, 0);
    g_assert_cmpint(arrival_join(&arrival), ==, -EBUSY);
    g_assert_cmpint(arrival.why, ==, SLICE_WHY_LAYER_REFUSED);
    g_assert_cmpint(device_n_capsules(&s.admin), ==, before);
    g_assert_false(event_is_pending(&s.apache));

    /* The layer does not read its events: they are taken back. */
    arrival.timeout_ms = 50;
    arrival_start(&arrival);
    g_assert_cmpint(arrival_join(&arrival), ==, -EBUSY);
    g_assert_cmpint(arrival.why, ==, SLICE_WHY_DEADLINE);
    g_assert_false(event_is_pending(&s.apache));

    /* It reads and does not answer: it must undo. */
    arrival.timeout_ms = 1000;
    arrival_start(&arrival);
    event_expect(&s.apache, SLICE_EVENT_PLUG, s.conn.id, &event);
    g_assert_cmpint(arrival_join(&arrival), ==, -EBUSY);
    event_expect(&s.apache, SLICE_EVENT_DISCARD, s.conn.id, &event);
    g_assert_cmpint(device_n_capsules(&s.admin), ==, before);

    /* It dies. */
    arrival.timeout_ms = 20000;
    arrival_start(&arrival);
    event_expect(&s.apache, SLICE_EVENT_PLUG, s.conn.id, &event);
    session_unmap(&s);
    opener_close(&s.apache);
    g_assert_cmpint(arrival_join(&arrival), ==, -EBUSY);
    g_assert_cmpint(arrival.why, ==, SLICE_WHY_NO_LAYER);

    /* It is not there, or another version of it. */
    arrival_start(&arrival);
    g_assert_cmpint(arrival_join(&arrival), ==, -EOPNOTSUPP);
    g_assert_cmpint(arrival.why, ==, SLICE_WHY_NO_LAYER);
    opener_open(&s.apache);
    {
        struct slice_layer layer = {
            .size = sizeof(layer), .name = "t-apache", .rank = 100,
            .version = 2, .abi_hash = 42, .provider_fd = -1,
        };

        g_assert_cmpint(device_call(s.apache.fd, SLICE_IOC_LAYER, &layer), ==,
                        0);
    }
    arrival_start(&arrival);
    g_assert_cmpint(arrival_join(&arrival), ==, -EOPNOTSUPP);
    g_assert_cmpint(arrival.why, ==, SLICE_WHY_LAYER_VERSION);
    g_assert_cmpint(device_n_capsules(&s.admin), ==, before);
    image_clear(&image);
    session_close(&s);
}

static void test_discard(void)
{
    struct slice_event event;
    Arrival arrival;
    guint32 before;
    Session s;
    Image image;

    session_open(&s);
    session_leave(&s, &image);
    g_assert_cmpint(move_finish(&s.admin, s.session.id, SLICE_FINISH_FORGET,
                                NULL), ==, 0);
    before = device_n_capsules(&s.admin);
    arrival = (Arrival){ .admin = &s.admin, .image = &image };
    arrival_start(&arrival);
    event_expect(&s.apache, SLICE_EVENT_PLUG, s.conn.id, &event);
    g_assert_cmpint(capsule_plug_done(&s.apache, s.conn.id, 5, 0), ==, 0);
    g_assert_cmpint(arrival_join(&arrival), ==, 0);
    g_assert_cmpint(move_finish(&s.admin, s.session.id, SLICE_FINISH_DISCARD,
                                NULL), ==, 0);
    event_expect(&s.apache, SLICE_EVENT_DISCARD, s.conn.id, &event);
    g_assert_cmpint(event.handle, ==, 5);
    g_assert_cmpint(device_n_capsules(&s.admin), ==, before);

    /* Key and handle are free, and it can come again. */
    arrival_start(&arrival);
    event_expect(&s.apache, SLICE_EVENT_PLUG, s.conn.id, &event);
    g_assert_cmpint(capsule_plug_done(&s.apache, s.conn.id, 5, 0), ==, 0);
    g_assert_cmpint(arrival_join(&arrival), ==, 0);
    g_assert_cmpint(move_finish(&s.admin, s.session.id, SLICE_FINISH_OPEN,
                                NULL), ==, 0);
    event_expect(&s.apache, SLICE_EVENT_OPEN, s.conn.id, &event);
    assert_arrived(&s.php, s.session.id);
    image_clear(&image);
    session_close(&s);
}

/* A server that is about to end takes nothing back, another of its layer does. */
static void test_provider_stops_unplugged(void)
{
    struct slice_event event;
    Arrival arrival;
    Opener next;
    Session s;
    Image image;

    session_open(&s);
    opener_open_layer(&next, "t-apache", 100, 0);
    session_leave(&s, &image);
    arrival = (Arrival){ .admin = &s.admin, .flag = SLICE_FINISH_RESUME,
                         .slice = s.session.id };
    arrival_start(&arrival);
    event_expect(&s.apache, SLICE_EVENT_PLUG, s.conn.id, &event);
    g_assert_cmpint(provider_limit(&s.apache, 0), ==, 0);
    g_assert_cmpint(capsule_plug_done(&s.apache, s.conn.id, 0, EBUSY), ==, 0);
    g_assert_cmpint(arrival_join(&arrival), ==, -EBUSY);
    arrival_start(&arrival);
    event_expect(&next, SLICE_EVENT_PLUG, s.conn.id, &event);
    g_assert_cmpint(capsule_plug_done(&next, s.conn.id, 12, 0), ==, 0);
    g_assert_cmpint(arrival_join(&arrival), ==, 0);
    event_expect(&next, SLICE_EVENT_OPEN, s.conn.id, &event);
    assert_arrived(&s.php, s.session.id);
    image_clear(&image);
    opener_close(&next);
    session_close(&s);
}

static void test_provider_dies_unplugged(void)
{
    Session s;
    Image image;
    guint32 why;

    session_open(&s);
    session_leave(&s, &image);
    session_unmap(&s);
    opener_close(&s.apache);
    /* It can neither come back nor be in the way. */
    g_assert_cmpint(move_finish(&s.admin, s.session.id, SLICE_FINISH_RESUME,
                                &why), ==, -EOPNOTSUPP);
    g_assert_cmpint(why, ==, SLICE_WHY_NO_LAYER);
    opener_close(&s.php);
    g_assert_cmpint(move_finish(&s.admin, s.session.id, SLICE_FINISH_FORGET,
                                &why), ==, 0);
    image_clear(&image);
    opener_close(&s.admin);
}

/* A request that runs late writes while the image is kept. */
static void test_resume_written(void)
{
    struct slice_event event;
    Arrival arrival;
    Session s;
    Image image;

    session_open(&s);
    session_leave(&s, &image);
    image_clear(&image);
    s.memory[2000] = '!';
    arrival = (Arrival){
        .admin = &s.admin, .flag = SLICE_FINISH_RESUME, .slice = s.session.id,
    };
    arrival_start(&arrival);
    event_expect(&s.apache, SLICE_EVENT_PLUG, s.conn.id, &event);
    g_assert_cmpint(capsule_plug_done(&s.apache, s.conn.id, 11, 0), ==, 0);
    g_assert_cmpint(arrival_join(&arrival), ==, 0);
    event_expect(&s.apache, SLICE_EVENT_OPEN, s.conn.id, &event);
    assert_arrived(&s.php, s.session.id);
    g_assert_cmpint(s.memory[2000], ==, '!');
    session_close(&s);
}

/* The first try fails in the highest layer, after the answer of another. */
static void test_resume_again(void)
{
    struct slice_register low, high, top, got = { 0 };
    struct slice_event event;
    Opener gate, keeper;
    Arrival arrival;
    Image image;
    int round;

    opener_open_layer(&keeper, "t-again-low", 100, 0);
    opener_open_layer(&gate, "t-again-high", 200, 0);
    capsule_register_ok(&keeper, 11, NULL, 4096, &low);
    capsule_register_ok(&gate, 21, NULL, 0, &high);
    capsule_register_ok(&gate, 22, NULL, 0, &top);
    capsule_dep_ok(&gate, high.id, low.id);
    capsule_dep_ok(&gate, top.id, low.id);
    capsule_make_top(&gate, top.id, "again");
    g_assert_cmpint(move_quiesce(&gate, top.id, 5000, NULL), ==, 0);
    g_assert_cmpint(move_unplug(&gate, top.id, &image, NULL), ==, 0);
    image_clear(&image);
    event_expect(&keeper, SLICE_EVENT_UNPLUGGED, low.id, NULL);
    event_expect(&gate, SLICE_EVENT_UNPLUGGED, high.id, NULL);
    event_expect(&gate, SLICE_EVENT_UNPLUGGED, top.id, NULL);
    arrival = (Arrival){
        .admin = &gate, .flag = SLICE_FINISH_RESUME, .slice = top.id,
    };
    for (round = 0; round < 3; round++) {
        arrival_start(&arrival);
        event_expect(&keeper, SLICE_EVENT_PLUG, low.id, &event);
        g_assert_cmpint(capsule_plug_done(&keeper, low.id, 31 + round, 0), ==,
                        0);
        event_expect(&gate, SLICE_EVENT_PLUG, high.id, &event);
        g_assert_cmpint(capsule_plug_done(&gate, high.id, 21, EPERM), ==, 0);
        g_assert_cmpint(arrival_join(&arrival), ==, -EBUSY);
        g_assert_cmpint(arrival.why, ==, SLICE_WHY_LAYER_REFUSED);
        event_expect(&keeper, SLICE_EVENT_DISCARD, low.id, &event);
        g_assert_cmpint(event.handle, ==, 31 + round);
        /* What was discarded is not found. */
        got.handle = 31 + round;
        g_assert_cmpint(capsule_get_id(&keeper, SLICE_GET_BY_HANDLE, &got), ==,
                        -ENOENT);
    }
    arrival_start(&arrival);
    event_expect(&keeper, SLICE_EVENT_PLUG, low.id, &event);
    g_assert_cmpint(capsule_plug_done(&keeper, low.id, 51, 0), ==, 0);
    event_expect(&gate, SLICE_EVENT_PLUG, high.id, &event);
    g_assert_cmpint(capsule_plug_done(&gate, high.id, 21, 0), ==, 0);
    event_expect(&gate, SLICE_EVENT_PLUG, top.id, &event);
    g_assert_cmpint(capsule_plug_done(&gate, top.id, 22, 0), ==, 0);
    g_assert_cmpint(arrival_join(&arrival), ==, 0);
    got.handle = 51;
    g_assert_cmpint(capsule_get_id(&keeper, SLICE_GET_BY_HANDLE, &got), ==, 0);
    g_assert_true(id_equal(got.id, low.id));
    g_assert_cmpint(capsule_op(&keeper, SLICE_IOC_DEREGISTER, low.id, 0), ==,
                    0);
    got.handle = 51;
    g_assert_cmpint(capsule_get_id(&keeper, SLICE_GET_BY_HANDLE, &got), ==,
                    -ENOENT);
    opener_close(&gate);
    opener_close(&keeper);
}

/* The capsule of a higher layer is in the registry before its turn comes. */
static void test_handle_early(void)
{
    struct slice_event event;
    Arrival arrival;
    Session s;
    Image image;

    session_open(&s);
    session_leave(&s, &image);
    g_assert_cmpint(move_finish(&s.admin, s.session.id, SLICE_FINISH_FORGET,
                                NULL), ==, 0);
    arrival = (Arrival){ .admin = &s.admin, .image = &image };
    arrival_start(&arrival);
    event_expect(&s.apache, SLICE_EVENT_PLUG, s.conn.id, &event);
    g_assert_cmpint(capsule_op(&s.php, SLICE_IOC_GET_HANDLE, s.session.id, 0),
                    <, 0);
    g_assert_cmpint(capsule_plug_done(&s.apache, s.conn.id, 0, EPERM), ==, 0);
    g_assert_cmpint(arrival_join(&arrival), ==, -EBUSY);
    image_clear(&image);
    session_close(&s);
}

/* A capsule that is made anew, and whose turn does not come. */
static void test_forget_half_resumed(void)
{
    struct slice_event event;
    Arrival arrival;
    Opener php;
    Session s;
    Image image;

    session_open(&s);
    session_leave(&s, &image);
    image_clear(&image);
    session_unmap(&s);
    opener_close(&s.php);
    opener_open_layer(&php, "t-php", 200, SLICE_LAYER_PASSIVE);
    arrival = (Arrival){
        .admin = &s.admin, .flag = SLICE_FINISH_RESUME, .slice = s.session.id,
    };
    arrival_start(&arrival);
    event_expect(&s.apache, SLICE_EVENT_PLUG, s.conn.id, &event);
    g_assert_cmpint(capsule_plug_done(&s.apache, s.conn.id, 0, EPERM), ==, 0);
    g_assert_cmpint(arrival_join(&arrival), ==, -EBUSY);
    g_assert_cmpint(move_finish(&s.admin, s.session.id, SLICE_FINISH_FORGET,
                                NULL), ==, 0);
    s.php = php;
    session_close(&s);
}

static gpointer close_both(gpointer data)
{
    Session *s = data;

    opener_close(&s->php);
    opener_close(&s->apache);
    return NULL;
}

/* All providers end while the image is made; whoever is first. */
static void test_unplug_ends(void)
{
    GThread *thread;
    Session s;
    Image image;
    int round;

    for (round = 0; round < 50; round++) {
        session_open(&s);
        session_unmap(&s);
        g_assert_cmpint(move_quiesce(&s.admin, s.session.id, 5000, NULL), ==,
                        0);
        thread = g_thread_new("close", close_both, &s);
        if (!move_unplug(&s.admin, s.session.id, &image, NULL)) {
            image_clear(&image);
        }
        g_thread_join(thread);
        /* A slice without capsules is there if, and only if, it has one. */
        if (slice_find(&s.admin, s.session.id, NULL)) {
            g_assert_cmpint(move_finish(&s.admin, s.session.id,
                                        SLICE_FINISH_FORGET, NULL), ==, 0);
        }
        g_assert_false(slice_find(&s.admin, s.session.id, NULL));
        opener_close(&s.admin);
    }
}

static void test_key_taken(void)
{
    struct slice_register other;
    struct slice_event event;
    Arrival arrival;
    Session s;
    Image image;

    session_open(&s);
    session_leave(&s, &image);
    g_assert_cmpint(move_finish(&s.admin, s.session.id, SLICE_FINISH_FORGET,
                                NULL), ==, 0);
    capsule_register_ok(&s.php, 0, "PHPSESSID-1", 0, &other);
    arrival = (Arrival){ .admin = &s.admin, .image = &image };
    arrival_start(&arrival);
    event_expect(&s.apache, SLICE_EVENT_PLUG, s.conn.id, &event);
    g_assert_cmpint(capsule_plug_done(&s.apache, s.conn.id, 5, 0), ==, 0);
    g_assert_cmpint(arrival_join(&arrival), ==, -EBUSY);
    event_expect(&s.apache, SLICE_EVENT_DISCARD, s.conn.id, &event);
    image_clear(&image);
    session_close(&s);
}

void add_move_tests(void)
{
    add_test("/move/session-goes-to-another-provider", test_round_trip);
    add_test("/move/who-does-not-wait-for-what-is-unplugged-learns-it",
             test_reference_here);
    add_test("/move/aborted-move-runs-on-where-it-was", test_resume);
    add_test("/move/request-that-waited-learns-that-it-left",
             test_forget_wakes);
    add_test("/move/refused-arrival-leaves-nothing", test_refused);
    add_test("/move/discarded-arrival-leaves-nothing", test_discard);
    add_test("/move/provider-that-stops-hands-over-to-another", test_provider_stops_unplugged);
    add_test("/move/dead-provider-of-unplugged-slice-is-harmless",
             test_provider_dies_unplugged);
    add_test("/move/key-that-is-taken-refuses-the-arrival", test_key_taken);
    add_test("/move/written-while-unplugged-resumes", test_resume_written);
    add_test("/move/failed-resume-can-be-tried-again", test_resume_again);
    add_test("/move/arriving-capsule-has-no-handle-yet", test_handle_early);
    add_test("/move/half-resumed-slice-is-forgotten",
             test_forget_half_resumed);
    add_test("/move/providers-that-end-during-unplug-leave-nothing",
             test_unplug_ends);
}
