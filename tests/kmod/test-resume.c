// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-resume.c - bringing a slice back where its layers make that hard
 *
 *	t-php (rank 200, passive)	five pages
 *	 |
 *	t-web (rank 100)		told by events, answers PLUG_DONE
 */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define IMAGE_MAX "/sys/module/slice/parameters/image_bytes_max"

typedef struct {
    Opener admin, web, php;
    struct slice_register conn, ann;
} Stack;

static void stack_open(Stack *s)
{
    char *memory;
    int i;

    opener_open(&s->admin);
    opener_open_layer(&s->web, "t-web", 100, 0);
    opener_open_layer(&s->php, "t-php", 200, SLICE_LAYER_PASSIVE);
    capsule_register_ok(&s->web, 11, NULL, 0, &s->conn);
    capsule_register_ok(&s->php, 0, "ann", 5 * 4096, &s->ann);
    capsule_dep_ok(&s->php, s->ann.id, s->conn.id);
    memory = capsule_map(&s->php, &s->ann);
    for (i = 0; i < 5; i++) {
        memory[i * 4096] = 'a' + i;
    }
    munmap(memory, s->ann.bytes);
}

static void assert_memory(Stack *s)
{
    char *memory = capsule_map(&s->php, &s->ann);
    int i;

    for (i = 0; i < 5; i++) {
        g_assert_cmpint(memory[i * 4096], ==, 'a' + i);
    }
    munmap(memory, s->ann.bytes);
}

static void stack_close(Stack *s)
{
    opener_close(&s->php);
    opener_close(&s->web);
    opener_close(&s->admin);
}

/* How long an image may be; what it was before. */
static char *set_image_max(const char *value)
{
    char *old = NULL;
    int fd = open(IMAGE_MAX, O_WRONLY | O_CLOEXEC);

    g_assert_true(g_file_get_contents(IMAGE_MAX, &old, NULL, NULL));
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, value, strlen(value)), ==, strlen(value));
    close(fd);
    return old;
}

/**
 * Step - UNPLUG or FINISH RESUME in a thread, while the test answers events
 */
typedef struct {
    Stack *s;
    bool resume;
    guint32 why;
    GThread *thread;
} Step;

static gpointer step_run(gpointer data)
{
    Step *step = data;
    Image image = {};
    int ret;

    if (step->resume) {
        ret = move_finish(&step->s->admin, step->s->ann.id,
                          SLICE_FINISH_RESUME, &step->why);
    } else {
        ret = move_unplug(&step->s->admin, step->s->ann.id, &image,
                          &step->why);
    }
    image_clear(&image);
    return GINT_TO_POINTER(ret);
}

static void step_start(Step *step, Stack *s, bool resume)
{
    *step = (Step){ .s = s, .resume = resume };
    step->thread = g_thread_new("step", step_run, step);
}

static int step_join(Step *step)
{
    return GPOINTER_TO_INT(g_thread_join(step->thread));
}

static void quiesce(Stack *s)
{
    g_assert_cmpint(move_quiesce(&s->admin, s->ann.id, 5000, NULL), ==, 0);
}

static void assert_state(Stack *s, guint32 state)
{
    struct slice_list_entry entry;

    g_assert_true(slice_find(&s->admin, s->ann.id, &entry));
    g_assert_cmpint(entry.state, ==, state);
    g_assert_cmpint(entry.n_capsules, ==, 2);
}

/* The upper layer's memory does not fit, the lower one is unplugged already. */
static void unplug_fails(Stack *s, int answer, guint32 state)
{
    g_autofree char *old = set_image_max("8192");
    g_autofree char *now = NULL;
    Step step;

    quiesce(s);
    step_start(&step, s, false);
    event_expect(&s->web, SLICE_EVENT_UNPLUGGED, s->conn.id, NULL);
    event_expect(&s->web, SLICE_EVENT_PLUG, s->conn.id, NULL);
    g_assert_cmpint(capsule_plug_done(&s->web, s->conn.id, 12, answer), ==, 0);
    g_assert_cmpint(step_join(&step), ==, -EOPNOTSUPP);
    g_assert_cmpint(step.why, ==, SLICE_WHY_TOO_LARGE);
    assert_state(s, state);
    now = set_image_max(old);
}

static void resume(Stack *s)
{
    Step step;

    step_start(&step, s, true);
    event_expect(&s->web, SLICE_EVENT_PLUG, s->conn.id, NULL);
    g_assert_cmpint(capsule_plug_done(&s->web, s->conn.id, 13, 0), ==, 0);
    g_assert_cmpint(step_join(&step), ==, 0);
    event_expect(&s->web, SLICE_EVENT_OPEN, s->conn.id, NULL);
    assert_state(s, SLICE_STATE_ACTIVE);
    assert_memory(s);
}

static void test_unplug_taken_back(void)
{
    Image image;
    Stack s;

    stack_open(&s);
    unplug_fails(&s, 0, SLICE_STATE_DRAINED);
    /* Its lower layer is plugged already and only waits to be opened. */
    g_assert_cmpint(move_finish(&s.admin, s.ann.id, SLICE_FINISH_RESUME, NULL),
                    ==, 0);
    event_expect(&s.web, SLICE_EVENT_OPEN, s.conn.id, NULL);
    assert_state(&s, SLICE_STATE_ACTIVE);
    assert_memory(&s);
    /* With room it leaves after all. */
    quiesce(&s);
    g_assert_cmpint(move_unplug(&s.admin, s.ann.id, &image, NULL), ==, 0);
    event_expect(&s.web, SLICE_EVENT_UNPLUGGED, s.conn.id, NULL);
    image_clear(&image);
    resume(&s);
    stack_close(&s);
}

/* What could not be taken back at once is kept, and comes back with RESUME. */
static void test_unplug_kept(void)
{
    Image image;
    guint32 why;
    Stack s;

    stack_open(&s);
    unplug_fails(&s, EIO, SLICE_STATE_UNPLUGGED);
    /* Half an image is nobody's. */
    g_assert_cmpint(move_unplug(&s.admin, s.ann.id, &image, &why), ==, -EBUSY);
    g_assert_cmpint(why, ==, SLICE_WHY_MOVING);
    resume(&s);
    stack_close(&s);
}

/* A layer that refuses once is asked again by the next RESUME. */
static void test_resume_refused(void)
{
    Image image;
    Stack s;
    Step step;

    stack_open(&s);
    quiesce(&s);
    g_assert_cmpint(move_unplug(&s.admin, s.ann.id, &image, NULL), ==, 0);
    event_expect(&s.web, SLICE_EVENT_UNPLUGGED, s.conn.id, NULL);
    step_start(&step, &s, true);
    event_expect(&s.web, SLICE_EVENT_PLUG, s.conn.id, NULL);
    g_assert_cmpint(capsule_plug_done(&s.web, s.conn.id, 0, EIO), ==, 0);
    g_assert_cmpint(step_join(&step), ==, -EBUSY);
    g_assert_cmpint(step.why, ==, SLICE_WHY_LAYER_REFUSED);
    assert_state(&s, SLICE_STATE_UNPLUGGED);
    image_clear(&image);
    resume(&s);
    stack_close(&s);
}

/* Its provider died meanwhile: another one of the layer takes the capsule up,
 * also one that comes only later. */
static void test_provider_died(void)
{
    Image image;
    guint32 why;
    Stack s;

    stack_open(&s);
    quiesce(&s);
    g_assert_cmpint(move_unplug(&s.admin, s.ann.id, &image, NULL), ==, 0);
    opener_close(&s.web);
    g_assert_cmpint(move_finish(&s.admin, s.ann.id, SLICE_FINISH_RESUME, &why),
                    ==, -EOPNOTSUPP);
    g_assert_cmpint(why, ==, SLICE_WHY_NO_LAYER);
    opener_open_layer(&s.web, "t-web", 100, 0);
    image_clear(&image);
    resume(&s);
    stack_close(&s);
}

/* Whoever ends a capsule without having taken its plugged connection ends the
 * connection too: nobody else could. */
static void test_not_fetched(void)
{
    struct slice_register got;
    struct slice_event event;
    Stack s;
    Image image;
    Step step;
    char byte;
    int fd[2];

    stack_open(&s);
    connect_pair(fd);
    got = (struct slice_register){ .handle = fd[1] };
    g_assert_cmpint(capsule_get_id(&s.web, SLICE_GET_BY_FD, &got), ==, 0);
    capsule_dep_ok(&s.web, s.conn.id, got.id);
    quiesce(&s);
    g_assert_cmpint(move_unplug(&s.admin, s.ann.id, &image, NULL), ==, 0);
    close(fd[1]);
    event_expect(&s.web, SLICE_EVENT_UNPLUGGED, s.conn.id, NULL);
    step_start(&step, &s, true);
    event_expect(&s.web, SLICE_EVENT_PLUG, s.conn.id, &event);
    g_assert_true(id_equal(event.needs, got.id));
    g_assert_cmpint(capsule_plug_done(&s.web, s.conn.id, 13, 0), ==, 0);
    g_assert_cmpint(step_join(&step), ==, 0);
    event_expect(&s.web, SLICE_EVENT_OPEN, s.conn.id, NULL);
    g_assert_cmpint(send(fd[0], "x", 1, MSG_NOSIGNAL), ==, 1);

    g_assert_cmpint(capsule_op(&s.web, SLICE_IOC_DEREGISTER, s.conn.id, 0), ==,
                    0);
    g_assert_cmpint(recv(fd[0], &byte, 1, 0), <=, 0);
    close(fd[0]);
    while (slice_size(&s.admin, got.id, NULL) > 0) {
        g_thread_yield();
    }
    image_clear(&image);
    stack_close(&s);
}

void add_resume_tests(void)
{
    add_test("/resume/unplug-that-fails-midway-is-taken-back",
             test_unplug_taken_back);
    add_test("/resume/what-is-not-taken-back-at-once-is-kept",
             test_unplug_kept);
    add_test("/resume/layer-that-refused-is-asked-again", test_resume_refused);
    add_test("/resume/another-provider-takes-a-dead-ones-capsule",
             test_provider_died);
    add_test("/resume/connection-that-nobody-took-ends-with-its-capsule",
             test_not_fetched);
}
