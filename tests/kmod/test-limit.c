// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-limit.c - who may be a layer, and how much a user or a provider takes
 */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PARAMETERS "/sys/module/slice/parameters/"

/* ---- /dev/slice is the border ---- */

static bool is_shut(void *data)
{
    return open("/dev/slice", O_RDWR | O_CLOEXEC) < 0 && errno == EACCES;
}

static void test_node(void)
{
    struct stat at;

    g_assert_cmpint(stat("/dev/slice", &at), ==, 0);
    g_assert_cmpint(at.st_mode & 0777, ==, 0660);
    g_assert_true(as_nobody(is_shut, NULL));
}

/* ---- a layer's name belongs to one user ---- */

static bool is_refused(void *data)
{
    return opener_layer(data, "t-owned", 70, 0, -1) == -EPERM;
}

static bool is_taken(void *data)
{
    return opener_layer(data, "t-owned", 70, 0, -1) == 0;
}

typedef struct {
    Opener *worker;
    Opener *master;
} Worker;

/* A worker that was forked by the provider and has given up its privileges. */
static bool joins(void *data)
{
    Worker *w = data;
    struct slice_register reg;

    return opener_layer(w->worker, "t-owned", 70, SLICE_LAYER_JOIN,
                        w->master->fd) == 0 &&
           capsule_register(w->worker, 0, "worker", 0, &reg) == 0;
}

static void test_name(void)
{
    struct slice_register got = { .key_bytes = 6, .key = "worker" };
    Opener first, other, third;
    Worker worker = { .worker = &other, .master = &first };

    opener_open_layer(&first, "t-owned", 70, SLICE_LAYER_PASSIVE);
    opener_open(&third);
    g_assert_true(as_nobody(is_refused, &third));
    opener_open(&other);
    g_assert_true(as_nobody(joins, &worker));
    g_assert_cmpint(capsule_get_id(&first, SLICE_GET_BY_KEY, &got), ==, 0);
    opener_close(&other);
    opener_close(&first);
    /* With nobody there the name is free; an admin may share any. */
    g_assert_true(as_nobody(is_taken, &third));
    opener_open_layer(&first, "t-owned", 70, 0);
    opener_close(&first);
    opener_close(&third);
}

/* ---- limits of a user ---- */

static char *parameter_set(const char *name, const char *value)
{
    g_autofree char *path = g_strconcat(PARAMETERS, name, NULL);
    g_autoptr(GError) error = NULL;
    char *old = NULL;
    int fd;

    g_file_get_contents(path, &old, NULL, &error);
    g_assert_no_error(error);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, value, strlen(value)), ==, strlen(value));
    close(fd);
    return old;
}

/* All of a user's providers share what the user may have. */
static void test_user_capsules(void)
{
    g_autofree char *old = parameter_set("user_capsules_max", "5");
    g_autofree char *now = NULL;
    struct slice_register reg[6];
    Opener one, two;
    int i;

    opener_open_layer(&one, "t-one", 70, 0);
    opener_open_layer(&two, "t-two", 71, 0);
    for (i = 0; i < 5; i++) {
        capsule_register_ok(i % 2 ? &two : &one, 0, NULL, 0, &reg[i]);
    }
    g_assert_cmpint(capsule_register(&one, 0, NULL, 0, &reg[5]), ==, -ENOSPC);
    g_assert_cmpint(capsule_register(&two, 0, NULL, 0, &reg[5]), ==, -ENOSPC);
    g_assert_cmpint(capsule_op(&two, SLICE_IOC_DEREGISTER, reg[1].id, 0), ==,
                    0);
    capsule_register_ok(&one, 0, NULL, 0, &reg[5]);
    opener_close(&two);
    capsule_register_ok(&one, 0, NULL, 0, &reg[5]);
    opener_close(&one);
    now = parameter_set("user_capsules_max", old);
    g_assert_cmpstr(now, ==, "5\n");
}

/* Memory counts as long as it is there: a mapping keeps it. */
static void test_user_bytes(void)
{
    g_autofree char *old = parameter_set("user_bytes_max", "12288");
    g_autofree char *now = NULL;
    struct slice_register reg, more;
    Opener one, two;
    void *room;

    opener_open_layer(&one, "t-one", 70, 0);
    opener_open_layer(&two, "t-two", 71, 0);
    capsule_register_ok(&one, 0, NULL, 8192, &reg);
    g_assert_cmpint(capsule_register(&two, 0, NULL, 8192, &more), ==, -ENOSPC);
    capsule_register_ok(&two, 0, NULL, 4096, &more);
    room = capsule_map(&one, &reg);
    g_assert_cmpint(capsule_op(&one, SLICE_IOC_DEREGISTER, reg.id, 0), ==, 0);
    g_assert_cmpint(capsule_register(&two, 0, NULL, 8192, &more), ==, -ENOSPC);
    munmap(room, reg.bytes);
    capsule_register_ok(&two, 0, NULL, 8192, &more);
    opener_close(&two);
    opener_close(&one);
    now = parameter_set("user_bytes_max", old);
    g_assert_cmpstr(now, ==, "12288\n");
}

/* ---- ROOM ---- */

static void make_image(Opener *admin, Opener *php, const char *key,
                       Image *ret_image, struct slice_id *ret_slice)
{
    struct slice_register reg;

    capsule_register_ok(php, 0, key, 0, &reg);
    g_assert_cmpint(move_quiesce(admin, reg.id, 5000, NULL), ==, 0);
    g_assert_cmpint(move_unplug(admin, reg.id, ret_image, NULL), ==, 0);
    g_assert_cmpint(move_finish(admin, reg.id, SLICE_FINISH_FORGET, NULL), ==,
                    0);
    *ret_slice = reg.id;
}

static void test_room(void)
{
    struct slice_register reg;
    Opener admin, php, worker;
    struct slice_id id[2];
    Image image[2];
    guint32 why;
    int i;

    opener_open(&admin);
    opener_open_layer(&php, "t-php", 200, SLICE_LAYER_PASSIVE);
    for (i = 0; i < 2; i++) {
        make_image(&admin, &php, i ? "one" : "nil", &image[i], &id[i]);
    }
    g_assert_cmpint(provider_limit(&php, 1), ==, 0);
    g_assert_cmpint(move_plug(&admin, &image[0], 5000, NULL), ==, 0);
    g_assert_cmpint(move_plug(&admin, &image[1], 5000, &why), ==, -EOPNOTSUPP);
    g_assert_cmpint(why, ==, SLICE_WHY_NO_ROOM);
    /* Its own are its own affair. */
    capsule_register_ok(&php, 0, "mine", 0, &reg);
    g_assert_cmpint(provider_limit(&php, SLICE_ROOM_NO_LIMIT), ==, 0);
    g_assert_cmpint(move_plug(&admin, &image[1], 5000, NULL), ==, 0);
    for (i = 0; i < 2; i++) {
        g_assert_cmpint(move_finish(&admin, id[i], SLICE_FINISH_OPEN, NULL),
                        ==, 0);
        image_clear(&image[i]);
    }
    /* The provider's opener says it, nobody else. */
    opener_open(&worker);
    g_assert_cmpint(provider_limit(&worker, 1), ==, -EPERM);
    g_assert_cmpint(opener_layer(&worker, "t-php", 200, SLICE_LAYER_JOIN,
                                 php.fd), ==, 0);
    g_assert_cmpint(provider_limit(&worker, 1), ==, -EPERM);
    opener_close(&worker);
    opener_close(&php);
    opener_close(&admin);
}

/* Of two providers of a layer the one that has room takes it. */
static void test_room_elsewhere(void)
{
    struct slice_register got = { .key_bytes = 3, .key = "nil" };
    Opener admin, full, free;
    struct slice_id id;
    Image image;

    opener_open(&admin);
    opener_open_layer(&full, "t-php", 200, SLICE_LAYER_PASSIVE);
    make_image(&admin, &full, "nil", &image, &id);
    opener_open_layer(&free, "t-php", 200, SLICE_LAYER_PASSIVE);
    g_assert_cmpint(provider_limit(&full, 0), ==, 0);
    g_assert_cmpint(move_plug(&admin, &image, 5000, NULL), ==, 0);
    g_assert_cmpint(move_finish(&admin, id, SLICE_FINISH_OPEN, NULL), ==, 0);
    g_assert_cmpint(capsule_get_id(&free, SLICE_GET_BY_KEY, &got), ==, 0);
    image_clear(&image);
    opener_close(&free);
    opener_close(&full);
    opener_close(&admin);
}

void add_limit_tests(void)
{
    add_test("/limit/device-node-is-shut-to-strangers", test_node);
    add_test("/limit/layer-name-belongs-to-one-user", test_name);
    add_test("/limit/capsules-are-limited-by-user", test_user_capsules);
    add_test("/limit/memory-is-limited-by-user", test_user_bytes);
    add_test("/limit/provider-takes-no-more-than-it-says", test_room);
    add_test("/limit/room-at-another-provider-is-used", test_room_elsewhere);
}
