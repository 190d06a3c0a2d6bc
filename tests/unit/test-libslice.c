// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-libslice.c - libslice on a stand-in for the kernel
 */
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "slice-word.h"
#include "test-libslice-fake.h"

#define N_THREADS 4
#define N_ROUNDS 2000

typedef struct {
    struct fake *fake;
    struct slice_opener *opener;
    struct slice_capsule capsule;
} Fixture;

static const struct slice_layer_desc desc = {
    .name = "test", .version = 1, .rank = 100, .abi_hash = 5,
};

static void set_up(Fixture *f, gconstpointer data)
{
    f->fake = fake_new();
    g_assert_cmpint(slice_open_backend(&fake_backend, f->fake, &f->opener),
                    ==, 0);
    g_assert_cmpint(slice_provide(f->opener, &desc, 0), ==, 0);
    g_assert_cmpint(slice_register_capsule(f->opener, 42, "key", 3, 100,
                                           &f->capsule), ==, 0);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    slice_close(f->opener);
    fake_free(f->fake);
}

static void test_word_counts(void)
{
    slice_word word = 0;

    g_assert_cmpint(slice_word_get(&word), ==, 0);
    g_assert_cmpint(slice_word_get(&word), ==, 0);
    g_assert_cmpuint(word, ==, 2);
    g_assert_cmpint(slice_word_put(&word), ==, 0);
    g_assert_cmpint(slice_word_put(&word), ==, 0);
    g_assert_cmpuint(word, ==, 0);
}

static void test_word_frozen_refuses_get(void)
{
    slice_word word = SLICE_WORD_FROZEN | 3;

    g_assert_cmpint(slice_word_get(&word), ==, -EAGAIN);
    g_assert_cmpuint(word, ==, SLICE_WORD_FROZEN | 3);
}

static void test_word_last_put_notifies(void)
{
    slice_word word = SLICE_WORD_NOTIFY | 2;

    g_assert_cmpint(slice_word_put(&word), ==, 0);
    g_assert_cmpint(slice_word_put(&word), ==, 1);
    g_assert_cmpuint(word, ==, SLICE_WORD_NOTIFY);
}

static void test_word_never_spills_into_flags(void)
{
    slice_word word = SLICE_WORD_COUNT_MASK;

    g_assert_cmpint(slice_word_get(&word), ==, -EOVERFLOW);
    g_assert_cmpuint(word, ==, SLICE_WORD_COUNT_MASK);
    word = SLICE_WORD_FROZEN;
    g_assert_cmpint(slice_word_put(&word), ==, -EINVAL);
    g_assert_cmpuint(word, ==, SLICE_WORD_FROZEN);
}

static void test_get_and_put_stay_out_of_the_kernel(Fixture *f,
                                                    gconstpointer data)
{
    for (int i = 0; i < 100; i++) {
        g_assert_cmpint(slice_get_ref(f->opener, &f->capsule, 0), ==, 0);
        g_assert_cmpint(slice_put_ref(f->opener, &f->capsule), ==, 0);
    }
    g_assert_cmpuint(fake_n_ref_calls(f->fake), ==, 0);
}

static void test_frozen_get_without_waiting(Fixture *f, gconstpointer data)
{
    fake_freeze(f->fake, &f->capsule.id);
    g_assert_cmpint(slice_get_ref(f->opener, &f->capsule, SLICE_REF_NOWAIT),
                    ==, -EAGAIN);
    fake_thaw(f->fake, &f->capsule.id);
    g_assert_cmpint(slice_get_ref(f->opener, &f->capsule, SLICE_REF_NOWAIT),
                    ==, 0);
    g_assert_cmpint(slice_put_ref(f->opener, &f->capsule), ==, 0);
}

static void *blocking_get(void *arg)
{
    Fixture *f = arg;

    return GINT_TO_POINTER(slice_get_ref(f->opener, &f->capsule, 0));
}

static void test_frozen_get_sleeps_until_the_slice_left(Fixture *f,
                                                        gconstpointer data)
{
    pthread_t thread;
    void *res;

    fake_freeze(f->fake, &f->capsule.id);
    g_assert_cmpint(pthread_create(&thread, NULL, blocking_get, f), ==, 0);
    fake_leave(f->fake, &f->capsule.id);
    pthread_join(thread, &res);
    g_assert_cmpint(GPOINTER_TO_INT(res), ==, -ESTALE);
}

/* Data that only a holder of a reference, or the kernel when quiet, touches. */
typedef struct {
    Fixture *f;
    uint64_t plain[N_THREADS];
    int index;
} Hammer;

static void *hammer(void *arg)
{
    Hammer *h = arg;

    for (int i = 0; i < N_ROUNDS; i++) {
        g_assert_cmpint(slice_get_ref(h->f->opener, &h->f->capsule, 0), ==, 0);
        h->plain[h->index]++;
        g_assert_cmpint(slice_put_ref(h->f->opener, &h->f->capsule), ==, 0);
    }
    return NULL;
}

/* Under TSan this is the proof of the header's claims about order. */
static void test_quiet_means_nobody_is_inside(Fixture *f, gconstpointer data)
{
    Hammer hammers[N_THREADS];
    pthread_t threads[N_THREADS];
    uint64_t sum = 0;

    for (int i = 0; i < N_THREADS; i++) {
        hammers[i] = (Hammer) { .f = f, .index = i };
        g_assert_cmpint(pthread_create(&threads[i], NULL, hammer, &hammers[i]),
                        ==, 0);
    }
    for (int round = 0; round < 50; round++) {
        uint64_t before[N_THREADS];

        fake_freeze(f->fake, &f->capsule.id);
        fake_wait_quiet(f->fake, &f->capsule.id);
        for (int i = 0; i < N_THREADS; i++) {
            before[i] = hammers[i].plain[i];
        }
        sched_yield();
        for (int i = 0; i < N_THREADS; i++) {
            g_assert_cmpuint(hammers[i].plain[i], ==, before[i]);
        }
        fake_thaw(f->fake, &f->capsule.id);
    }
    for (int i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], NULL);
        sum += hammers[i].plain[i];
    }
    g_assert_cmpuint(sum, ==, N_THREADS * N_ROUNDS);
}

static void test_capsule_is_found_by_its_names(Fixture *f, gconstpointer data)
{
    struct slice_capsule found;

    g_assert_cmpint(slice_get_id_by_key(f->opener, "key", 3, &found), ==, 0);
    g_assert_true(slice_id_equal(&found.id, &f->capsule.id));
    g_assert_cmpmem(found.key, found.key_bytes, "key", 3);
    g_assert_cmpint(slice_get_id_by_handle(f->opener, 42, &found), ==, 0);
    g_assert_true(slice_id_equal(&found.id, &f->capsule.id));
    g_assert_cmpint(slice_get_id_by_id(f->opener, &f->capsule.id, &found),
                    ==, 0);
    g_assert_cmpuint(found.handle, ==, 42);
    g_assert_cmpint(slice_get_id_by_key(f->opener, "kex", 3, &found),
                    ==, -ENOENT);
}

static void test_next_walks_the_layer(Fixture *f, gconstpointer data)
{
    struct slice_capsule second, found;
    struct slice_id zero = { 0 };

    g_assert_cmpint(slice_register_capsule(f->opener, 43, "b", 1, 0, &second),
                    ==, 0);
    g_assert_cmpint(slice_get_id_next(f->opener, &zero, &found), ==, 0);
    g_assert_true(slice_id_equal(&found.id, &f->capsule.id));
    g_assert_cmpint(slice_get_id_next(f->opener, &found.id, &found), ==, 0);
    g_assert_true(slice_id_equal(&found.id, &second.id));
    g_assert_cmpint(slice_get_id_next(f->opener, &found.id, &found),
                    ==, -ENOENT);
}

/* Frozen at once it is not quiet before its maker has put it. */
static void test_held_from_birth(Fixture *f, gconstpointer data)
{
    struct slice_capsule held;
    unsigned n_calls;

    g_assert_cmpint(slice_register_held(f->opener, 44, "c", 1, 0, &held), ==, 0);
    fake_freeze(f->fake, &held.id);
    n_calls = fake_n_ref_calls(f->fake);
    slice_put_ref(f->opener, &held);
    g_assert_cmpuint(fake_n_ref_calls(f->fake), ==, n_calls + 1);
    fake_wait_quiet(f->fake, &held.id);
    fake_thaw(f->fake, &held.id);
}

static void test_key_is_unique(Fixture *f, gconstpointer data)
{
    struct slice_capsule second = { .handle = 99 };

    g_assert_cmpint(slice_register_capsule(f->opener, 43, "key", 3, 0,
                                           &second), ==, -EEXIST);
    g_assert_cmpuint(second.handle, ==, 99);
}

static void test_long_key_is_refused_before_the_kernel(Fixture *f,
                                                       gconstpointer data)
{
    char key[SLICE_KEY_BYTES_MAX + 1] = { 0 };
    struct slice_capsule capsule;

    g_assert_cmpint(slice_register_capsule(f->opener, 1, key, sizeof(key), 0,
                                           &capsule), ==, -EINVAL);
    g_assert_cmpint(slice_get_id_by_key(f->opener, key, 0, &capsule),
                    ==, -EINVAL);
}

static void test_memory_has_whole_pages(Fixture *f, gconstpointer data)
{
    void *memory;

    g_assert_cmpuint(f->capsule.room_bytes, ==, 4096);
    g_assert_cmpint(slice_map(f->opener, &f->capsule, &memory), ==, 0);
    memset(memory, 1, f->capsule.room_bytes);
    slice_unmap(f->opener, memory, f->capsule.room_bytes);
}

static void test_dependency_is_set_twice_and_dropped_once(Fixture *f,
                                                          gconstpointer data)
{
    struct slice_capsule second;
    struct slice_id ids[2];
    uint32_t n;

    g_assert_cmpint(slice_register_capsule(f->opener, 43, "b", 1, 0, &second),
                    ==, 0);
    g_assert_cmpint(slice_set_dep(f->opener, &second.id, &f->capsule.id),
                    ==, 0);
    g_assert_cmpint(slice_set_dep(f->opener, &second.id, &f->capsule.id),
                    ==, 0);
    g_assert_cmpint(slice_closure(f->opener, &second.id, ids, 2, &n, NULL),
                    ==, 0);
    g_assert_cmpuint(n, ==, 2);
    g_assert_cmpint(slice_closure(f->opener, &second.id, ids, 1, &n, NULL),
                    ==, -ENOSPC);
    g_assert_cmpuint(n, ==, 2);
    g_assert_cmpint(slice_drop_dep(f->opener, &second.id, &f->capsule.id),
                    ==, 0);
    g_assert_cmpint(slice_drop_dep(f->opener, &second.id, &f->capsule.id),
                    ==, -ENOENT);
}

static void test_event_is_answered(Fixture *f, gconstpointer data)
{
    struct slice_event event = {
        .type = SLICE_EVENT_PLUG,
        .id = { 3, 4 },
        .bytes = 4096,
        .word_index = 9,
        .key_bytes = 1,
        .key = "k",
    };
    struct slice_event got;
    struct slice_capsule capsule;
    struct slice_capsule_op answer;

    g_assert_cmpint(slice_next_event(f->opener, &got), ==, -EAGAIN);
    fake_push_event(f->fake, &event);
    g_assert_cmpint(slice_next_event(f->opener, &got), ==, 0);
    slice_event_capsule(&got, &capsule);
    g_assert_cmpuint(capsule.id.counter, ==, 4);
    g_assert_cmpuint(capsule.word_index, ==, 9);
    g_assert_cmpint(slice_plug_done(f->opener, &capsule.id, 77, -ENOMEM),
                    ==, 0);
    g_assert_true(fake_last_answer(f->fake, &answer));
    g_assert_cmpint(answer.status, ==, ENOMEM);
    g_assert_cmpuint(answer.handle, ==, 77);
}

static void test_event_with_a_wild_word_is_refused(Fixture *f,
                                                   gconstpointer data)
{
    struct slice_event event = { .word_index = 1u << 20 };

    fake_push_event(f->fake, &event);
    g_assert_cmpint(slice_next_event(f->opener, &event), ==, -EPROTO);
}

static void test_open_without_device_says_why(void)
{
    struct slice_opener *opener = NULL;

    g_assert_cmpint(slice_open("/dev/null/slice", &opener), ==, -ENOTDIR);
    g_assert_cmpint(slice_open("/dev/null", &opener), ==, -ENOTTY);
    g_assert_null(opener);
}

static void test_id_text_is_read_back(void)
{
    struct slice_id id = { 0x0123456789abcdef, 0xfedcba9876543210 }, back;
    char text[SLICE_ID_TEXT_BYTES];

    slice_id_format(&id, text);
    g_assert_cmpstr(text, ==, "0123456789abcdef-fedcba9876543210");
    g_assert_cmpint(slice_id_parse(text, &back), ==, 0);
    g_assert_true(slice_id_equal(&id, &back));
    g_assert_cmpint(slice_id_parse("", &back), ==, -EINVAL);
    g_assert_cmpint(slice_id_parse("0123456789abcdef-fedcba98765432100", &back),
                    ==, -EINVAL);
    g_assert_cmpint(slice_id_parse("0123456789ABCDEF-fedcba9876543210", &back),
                    ==, -EINVAL);
}

static void test_crc32c_is_castagnoli(void)
{
    g_assert_cmphex(slice_crc32c(0, "123456789", 9), ==, 0xe3069283);
    g_assert_cmphex(slice_crc32c(slice_crc32c(0, "1234", 4), "56789", 5),
                    ==, 0xe3069283);
}

/* ---- sessions ---- */

static void register_key(Fixture *f, const char *key,
                         struct slice_capsule *ret_capsule)
{
    g_assert_cmpint(slice_register_capsule(f->opener, 0, key, strlen(key), 0,
                                           ret_capsule), ==, 0);
}

static int link_key(Fixture *f, const char *key, uint32_t flags)
{
    return slice_link_key(f->opener, &f->capsule.id, "php", key, strlen(key),
                          flags);
}

static void test_link_by_key(Fixture *f, gconstpointer data)
{
    struct slice_capsule one, two;

    register_key(f, "one", &one);
    register_key(f, "two", &two);
    g_assert_cmpint(link_key(f, "one", 0), ==, 0);
    g_assert_cmpint(link_key(f, "two", 0), ==, 0);
    g_assert_true(fake_needs(f->fake, &one.id, &f->capsule.id));
    g_assert_true(fake_needs(f->fake, &two.id, &f->capsule.id));
    g_assert_cmpint(link_key(f, "two", SLICE_LINK_ONLY), ==, 0);
    g_assert_false(fake_needs(f->fake, &one.id, &f->capsule.id));
    g_assert_true(fake_needs(f->fake, &two.id, &f->capsule.id));
    g_assert_cmpint(link_key(f, "none", SLICE_LINK_ONLY), ==, -ENOENT);
    g_assert_true(fake_needs(f->fake, &two.id, &f->capsule.id));
    g_assert_cmpint(slice_link_key(f->opener, &f->capsule.id, "php", NULL, 0,
                                   SLICE_LINK_ONLY), ==, 0);
    g_assert_false(fake_needs(f->fake, &two.id, &f->capsule.id));
}

static void test_bad_names_never_reach_the_kernel(Fixture *f,
                                                  gconstpointer data)
{
    static const char long_key[SLICE_KEY_BYTES_MAX + 1];
    const struct slice_id *id = &f->capsule.id;
    uint32_t result = 7;

    g_assert_cmpint(slice_link_key(f->opener, id, "", "k", 1, 0), ==, -EINVAL);
    g_assert_cmpint(slice_link_key(f->opener, id, "0123456789abcdef", "k", 1,
                                   0), ==, -EINVAL);
    g_assert_cmpint(slice_link_key(f->opener, id, "php", long_key,
                                   sizeof(long_key), 0), ==, -EINVAL);
    g_assert_cmpint(slice_find(f->opener, id, "php", long_key,
                               sizeof(long_key), 1, &result), ==, -EINVAL);
    g_assert_cmpint(slice_find(f->opener, id, "php", "", 0, 1, &result),
                    ==, -EINVAL);
    g_assert_cmpuint(result, ==, 7);
}

static int is_busy_elsewhere(const void *key, size_t key_bytes)
{
    return key_bytes == 4 && !memcmp(key, "late", 4) ? -ETIMEDOUT : 0;
}

static void test_find_says_where(Fixture *f, gconstpointer data)
{
    const struct slice_id *id = &f->capsule.id;
    uint32_t result = 7;

    fake_set_elsewhere(f->fake, is_busy_elsewhere);
    g_assert_cmpint(slice_find(f->opener, id, "php", "late", 4, 10, &result),
                    ==, -ETIMEDOUT);
    g_assert_cmpuint(result, ==, 7);
    g_assert_cmpint(slice_find(f->opener, id, "php", "key", 3, 10, &result),
                    ==, 0);
    g_assert_cmpuint(result, ==, SLICE_FIND_HERE);
    g_assert_cmpint(slice_find(f->opener, id, "php", "nobody", 6, 10, &result),
                    ==, 0);
    g_assert_cmpuint(result, ==, SLICE_FIND_NOWHERE);
}

static int is_elsewhere(const void *key, size_t key_bytes)
{
    return -ESTALE;
}

static void test_find_may_end_the_connection(Fixture *f, gconstpointer data)
{
    uint32_t result;

    fake_set_elsewhere(f->fake, is_elsewhere);
    g_assert_cmpint(slice_find(f->opener, &f->capsule.id, "php", "x", 1, 10,
                               &result), ==, -ESTALE);
    g_assert_cmpint(slice_deregister_capsule(f->opener, &f->capsule.id),
                    ==, -ESTALE);
}

static void test_pin_is_taken_back(Fixture *f, gconstpointer data)
{
    const struct slice_id *id = &f->capsule.id;
    const struct slice_id other = { 1, 2 };

    g_assert_cmpint(slice_pin(f->opener, id, SLICE_WHY_UPGRADED), ==, 0);
    g_assert_cmpuint(fake_pinned(f->fake, id), ==, SLICE_WHY_UPGRADED);
    g_assert_cmpint(slice_pin(f->opener, id, SLICE_WHY_NONE), ==, 0);
    g_assert_cmpuint(fake_pinned(f->fake, id), ==, SLICE_WHY_NONE);
    g_assert_cmpint(slice_pin(f->opener, &other, SLICE_WHY_TLS), ==, -ENOENT);
}

static void test_pin_by_descriptor(Fixture *f, gconstpointer data)
{
    struct slice_capsule tcp;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(slice_pin_fd(f->opener, -1, SLICE_WHY_TLS), ==, -EBADF);
    g_assert_cmpint(slice_pin_fd(f->opener, fd, SLICE_WHY_TLS), ==, 0);
    g_assert_cmpint(slice_get_id_by_fd(f->opener, fd, &tcp), ==, 0);
    g_assert_cmpuint(fake_pinned(f->fake, &tcp.id), ==, SLICE_WHY_TLS);
    close(fd);
}

/* A connection's name comes with a reference, whether it had one or not. */
static void test_name_is_held(Fixture *f, gconstpointer data)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct slice_capsule first, again;
    unsigned n_calls;

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(slice_get_id_by_fd_held(f->opener, -1, &first), ==,
                    -EBADF);
    g_assert_cmpint(slice_get_id_by_fd_held(f->opener, fd, &first), ==, 0);
    g_assert_cmpint(slice_get_id_by_fd_held(f->opener, fd, &again), ==, 0);
    g_assert_cmpuint(again.id.counter, ==, first.id.counter);
    fake_freeze(f->fake, &first.id);
    n_calls = fake_n_ref_calls(f->fake);
    slice_put_ref(f->opener, &again);
    g_assert_cmpuint(fake_n_ref_calls(f->fake), ==, n_calls);
    slice_put_ref(f->opener, &first);
    g_assert_cmpuint(fake_n_ref_calls(f->fake), ==, n_calls + 1);
    fake_wait_quiet(f->fake, &first.id);
    fake_thaw(f->fake, &first.id);
    close(fd);
}

static void test_room_is_told(Fixture *f, gconstpointer data)
{
    g_assert_cmpuint(fake_room(f->fake), ==, SLICE_ROOM_NO_LIMIT);
    g_assert_cmpint(slice_set_room(f->opener, 672), ==, 0);
    g_assert_cmpuint(fake_room(f->fake), ==, 672);
}

#define ADD(path, func) \
    g_test_add("/libslice/" path, Fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/libslice/word/counts", test_word_counts);
    g_test_add_func("/libslice/word/frozen-refuses-get",
                    test_word_frozen_refuses_get);
    g_test_add_func("/libslice/word/last-put-notifies",
                    test_word_last_put_notifies);
    g_test_add_func("/libslice/word/never-spills-into-flags",
                    test_word_never_spills_into_flags);
    ADD("ref/stays-out-of-the-kernel",
        test_get_and_put_stay_out_of_the_kernel);
    ADD("ref/frozen-get-without-waiting", test_frozen_get_without_waiting);
    ADD("ref/frozen-get-sleeps-until-the-slice-left",
        test_frozen_get_sleeps_until_the_slice_left);
    ADD("ref/quiet-means-nobody-is-inside",
        test_quiet_means_nobody_is_inside);
    ADD("capsule/is-found-by-its-names", test_capsule_is_found_by_its_names);
    ADD("capsule/next-walks-the-layer", test_next_walks_the_layer);
    ADD("capsule/key-is-unique", test_key_is_unique);
    ADD("capsule/held-from-birth", test_held_from_birth);
    ADD("capsule/long-key-is-refused-before-the-kernel",
        test_long_key_is_refused_before_the_kernel);
    ADD("capsule/memory-has-whole-pages", test_memory_has_whole_pages);
    ADD("dep/is-set-twice-and-dropped-once",
        test_dependency_is_set_twice_and_dropped_once);
    ADD("event/is-answered", test_event_is_answered);
    ADD("event/wild-word-is-refused", test_event_with_a_wild_word_is_refused);
    ADD("session/is-linked-by-its-key", test_link_by_key);
    ADD("session/bad-names-never-reach-the-kernel",
        test_bad_names_never_reach_the_kernel);
    ADD("session/find-says-where", test_find_says_where);
    ADD("session/find-may-end-the-connection",
        test_find_may_end_the_connection);
    ADD("session/connection-is-named-and-held", test_name_is_held);
    ADD("session/pin-is-taken-back", test_pin_is_taken_back);
    ADD("session/pin-by-descriptor", test_pin_by_descriptor);
    ADD("session/room-is-told", test_room_is_told);
    g_test_add_func("/libslice/open/without-device-says-why",
                    test_open_without_device_says_why);
    g_test_add_func("/libslice/text/id-is-read-back",
                    test_id_text_is_read_back);
    g_test_add_func("/libslice/text/crc32c-is-castagnoli",
                    test_crc32c_is_castagnoli);
    return g_test_run();
}
