// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-request.c - how arguments cross the border, the same for every request
 *
 * One table of all requests; each is tried short by every length, exact,
 * longer with a zero and with a nonzero tail, with each unknown flag, with a
 * nonzero rsvd, and with bad pointers.
 */
#include "device.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/**
 * Request - one row
 * @bytes: of the struct's first version
 * @flags: that are known
 * @rsvd: offset of rsvd, 0 = none
 * @good: what a new opener without a layer gets for a zeroed struct with
 *        nothing but size set, or filled by @fill
 */
typedef struct {
    const char *name;
    unsigned long request;
    gsize bytes;
    guint32 flags;
    gsize rsvd;
    int good;
    void (*fill)(void *arg);
} Request;

static void fill_layer(void *arg)
{
    struct slice_layer *layer = arg;

    memcpy(layer->name, "matrix", 6);
    layer->rank = 99;
    layer->provider_fd = -1;
}

static void fill_flag_one(void *arg)
{
    ((guint32 *)arg)[1] = 1;
}

static void fill_timeout(void *arg)
{
    ((struct slice_move *)arg)->timeout_ms = 1;
}

static void fill_find(void *arg)
{
    struct slice_find *find = arg;

    memcpy(find->layer, "matrix", 6);
    find->key_bytes = 1;
    find->timeout_ms = 1;
}

#define OP(n, known, result) \
    { #n, SLICE_IOC_##n, sizeof(struct slice_capsule_op), known, \
      offsetof(struct slice_capsule_op, rsvd), result, NULL }

static const Request requests[] = {
    { "INFO", SLICE_IOC_INFO, sizeof(struct slice_info), 0,
      offsetof(struct slice_info, rsvd), 0, NULL },
    { "LAYER", SLICE_IOC_LAYER, sizeof(struct slice_layer), 0x3,
      offsetof(struct slice_layer, rsvd), 0, fill_layer },
    { "REGISTER", SLICE_IOC_REGISTER, sizeof(struct slice_register),
      SLICE_REGISTER_HELD, 0, -EPERM, NULL },
    OP(DEREGISTER, 0, -EPERM),
    { "SET_DEP", SLICE_IOC_SET_DEP, sizeof(struct slice_dep), 0x1, 0, -EPERM,
      NULL },
    OP(CREATE_SLICE, 0, -EPERM),
    { "GET_ID", SLICE_IOC_GET_ID, sizeof(struct slice_register), 0x3f, 0,
      -EPERM, fill_flag_one },
    OP(GET_HANDLE, 0, -ENOENT),
    OP(GET_REF, 0x3, -ESTALE),
    OP(PUT_REF, 0, 0),
    OP(PLUG_DONE, 0, -EPERM),
    { "CLOSURE", SLICE_IOC_CLOSURE, sizeof(struct slice_closure), 0,
      offsetof(struct slice_closure, rsvd), -ENOENT, NULL },
    { "LISTEN", SLICE_IOC_LISTEN, sizeof(struct slice_ulp_listen), 0,
      offsetof(struct slice_ulp_listen, rsvd), -ENOTSOCK, NULL },
    { "PIN", SLICE_IOC_PIN, sizeof(struct slice_pin), 0,
      offsetof(struct slice_pin, rsvd), -ENOENT, NULL },
    { "LINK", SLICE_IOC_LINK, sizeof(struct slice_link_key), 0x1,
      offsetof(struct slice_link_key, rsvd), -EPERM, NULL },
    { "FIND", SLICE_IOC_FIND, sizeof(struct slice_find), 0, 0, -ESTALE,
      fill_find },
    { "ROOM", SLICE_IOC_ROOM, sizeof(struct slice_room_limit), 0,
      offsetof(struct slice_room_limit, rsvd), -EPERM, NULL },
    { "QUIESCE", SLICE_IOC_QUIESCE, sizeof(struct slice_move), 0, 0, -ENOENT,
      fill_timeout },
    { "UNPLUG", SLICE_IOC_UNPLUG, sizeof(struct slice_move), 0, 0, -ENOENT,
      NULL },
    { "PLUG", SLICE_IOC_PLUG, sizeof(struct slice_move), 0, 0, -EPROTO, NULL },
    { "FINISH", SLICE_IOC_FINISH, sizeof(struct slice_move), 0xf, 0, -ENOENT,
      fill_flag_one },
};

static int try_request(const Request *r, void *arg)
{
    Opener opener;
    int ret;

    opener_open(&opener);
    ret = device_call(opener.fd, r->request, arg);
    opener_close(&opener);
    return ret;
}

static void fill(const Request *r, guint8 *arg, gsize room, guint32 size)
{
    memset(arg, 0, room);
    if (r->fill) {
        r->fill(arg);
    }
    memcpy(arg, &size, sizeof(size));
}

static void test_short(void)
{
    guint8 arg[1024];
    gsize i, size;

    for (i = 0; i < G_N_ELEMENTS(requests); i++) {
        for (size = 0; size < requests[i].bytes; size += 4) {
            fill(&requests[i], arg, sizeof(arg), size);
            g_assert_cmpint(try_request(&requests[i], arg), ==, -EINVAL);
        }
    }
}

static void test_exact(void)
{
    guint8 arg[1024];
    gsize i;

    for (i = 0; i < G_N_ELEMENTS(requests); i++) {
        g_test_message("%s", requests[i].name);
        fill(&requests[i], arg, sizeof(arg), requests[i].bytes);
        g_assert_cmpint(try_request(&requests[i], arg), ==, requests[i].good);
    }
}

static void test_long_zero(void)
{
    guint8 arg[4096];
    gsize i, more;

    for (i = 0; i < G_N_ELEMENTS(requests); i++) {
        for (more = 1; more <= 256; more += 51) {
            fill(&requests[i], arg, sizeof(arg), requests[i].bytes + more);
            g_assert_cmpint(try_request(&requests[i], arg), ==,
                            requests[i].good);
        }
        fill(&requests[i], arg, sizeof(arg), sizeof(arg));
        g_assert_cmpint(try_request(&requests[i], arg), ==, requests[i].good);
    }
}

static void test_long_nonzero(void)
{
    guint8 arg[4096];
    gsize i, at;

    for (i = 0; i < G_N_ELEMENTS(requests); i++) {
        for (at = 0; at < 64; at += 21) {
            fill(&requests[i], arg, sizeof(arg), requests[i].bytes + 64);
            arg[requests[i].bytes + at] = 1;
            g_assert_cmpint(try_request(&requests[i], arg), ==, -E2BIG);
        }
        fill(&requests[i], arg, sizeof(arg), 0xffffffff);
        g_assert_cmpint(try_request(&requests[i], arg), ==, -E2BIG);
    }
}

static void test_flags(void)
{
    guint8 arg[1024];
    guint32 flag;
    gsize i;

    for (i = 0; i < G_N_ELEMENTS(requests); i++) {
        for (flag = 1; flag; flag <<= 1) {
            if (requests[i].flags & flag) {
                continue;
            }
            fill(&requests[i], arg, sizeof(arg), requests[i].bytes);
            ((guint32 *)(void *)arg)[1] |= flag;
            g_assert_cmpint(try_request(&requests[i], arg), ==, -EINVAL);
        }
    }
}

static void test_rsvd(void)
{
    guint8 arg[1024];
    gsize i, byte;

    for (i = 0; i < G_N_ELEMENTS(requests); i++) {
        for (byte = 0; requests[i].rsvd && byte < 4; byte++) {
            fill(&requests[i], arg, sizeof(arg), requests[i].bytes);
            arg[requests[i].rsvd + byte] = 0x80;
            g_assert_cmpint(try_request(&requests[i], arg), ==, -EINVAL);
        }
    }
}

static void test_pointers(void)
{
    long page = sysconf(_SC_PAGESIZE);
    guint8 *edge = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    guint32 size;
    gsize i;

    g_assert_true(edge != MAP_FAILED);
    munmap(edge + page, page);
    for (i = 0; i < G_N_ELEMENTS(requests); i++) {
        g_assert_cmpint(try_request(&requests[i], NULL), ==, -EFAULT);
        g_assert_cmpint(try_request(&requests[i], (void *)~7ul), ==, -EFAULT);
        /* The size can be read, the rest is not there. */
        size = requests[i].bytes;
        memcpy(edge + page - 4, &size, sizeof(size));
        g_assert_cmpint(try_request(&requests[i], edge + page - 4), ==,
                        -EFAULT);
    }
    munmap(edge, page);
}

static void test_unknown(void)
{
    struct slice_info info = { .size = sizeof(info) };
    Opener opener;
    unsigned int n;

    opener_open(&opener);
    for (n = 0; n < 256; n++) {
        if (n <= 0x15) {
            continue;
        }
        g_assert_cmpint(device_call(opener.fd, _IO(SLICE_IOC_MAGIC, n), &info),
                        ==, -ENOTTY);
    }
    g_assert_cmpint(device_call(opener.fd, _IO(0xB8, 0), &info), ==, -ENOTTY);
    g_assert_cmpint(device_call(opener.fd,
                                _IOWR(SLICE_IOC_MAGIC, 0, struct slice_info),
                                &info), ==, -ENOTTY);
    opener_close(&opener);
}

/* Did every request of the list fail with EPERM? */
static bool all_refused(void *data)
{
    static const unsigned long admin[] = {
        SLICE_IOC_LIST, SLICE_IOC_QUIESCE, SLICE_IOC_UNPLUG, SLICE_IOC_PLUG,
        SLICE_IOC_FINISH,
    };
    Opener *opener = data;
    guint8 arg[1024];
    gsize i;

    for (i = 0; i < G_N_ELEMENTS(admin); i++) {
        Request r = { .request = admin[i] };

        fill(&r, arg, sizeof(arg), admin[i] == SLICE_IOC_LIST ?
             sizeof(struct slice_list) : sizeof(struct slice_move));
        if (device_call(opener->fd, admin[i], arg) != -EPERM) {
            return false;
        }
    }
    return true;
}

static void test_unprivileged(void)
{
    Opener opener;

    opener_open(&opener);
    g_assert_true(as_nobody(all_refused, &opener));
    opener_close(&opener);
}

static void test_info(void)
{
    struct slice_info info = { .size = sizeof(info) };
    Opener opener;

    opener_open(&opener);
    g_assert_cmpint(device_call(opener.fd, SLICE_IOC_INFO, &info), ==, 0);
    g_assert_cmpint(info.size, ==, sizeof(info));
    g_assert_cmpint(info.api_version, ==, SLICE_API_VERSION);
    g_assert_cmpint(info.capsule_bytes_max, ==, SLICE_CAPSULE_BYTES_MAX);
    g_assert_cmpint(info.word_count, ==, SLICE_WORDS_BYTES / 4);
    g_assert_cmpint(info.incarnation, !=, 0);
    opener_close(&opener);
}

static void test_layer_values(void)
{
    Opener opener, other;

    opener_open(&opener);
    opener_open(&other);
    g_assert_cmpint(opener_layer(&opener, "", 1, 0, -1), ==, -EINVAL);
    g_assert_cmpint(opener_layer(&opener, "sixteencharacter", 1, 0, -1), ==,
                    -EINVAL);
    g_assert_cmpint(opener_layer(&opener, "a b", 1, 0, -1), ==, -EINVAL);
    g_assert_cmpint(opener_layer(&opener, "good", 0, 0, -1), ==, -EINVAL);
    g_assert_cmpint(opener_layer(&opener, "good", 256, 0, -1), ==, -EINVAL);
    g_assert_cmpint(opener_layer(&opener, "good", 1, 0, 0), ==, -EINVAL);
    g_assert_cmpint(opener_layer(&opener, "tcp", 20, 0, -1), ==, -EPERM);
    g_assert_cmpint(opener_layer(&opener, "openflow", 10, 0, -1), ==, -EPERM);
    g_assert_cmpint(opener_layer(&opener, "good", 7, 0, -1), ==, 0);
    g_assert_cmpint(opener_layer(&opener, "good", 7, 0, -1), ==, -EBUSY);
    /* Another may speak for the same layer, not for another version of it. */
    g_assert_cmpint(opener_layer(&other, "good", 8, 0, -1), ==, -EINVAL);
    g_assert_cmpint(opener_layer(&other, "good", 7, 0, -1), ==, 0);
    opener_close(&other);
    opener_close(&opener);
}

static void test_join(void)
{
    Opener master, worker, stranger;

    opener_open_layer(&master, "joined", 50, 0);
    opener_open(&worker);
    opener_open(&stranger);
    g_assert_cmpint(opener_layer(&worker, "joined", 50, SLICE_LAYER_JOIN, -1),
                    ==, -EBADF);
    g_assert_cmpint(opener_layer(&worker, "joined", 50, SLICE_LAYER_JOIN,
                                 STDIN_FILENO), ==, -ENOENT);
    g_assert_cmpint(opener_layer(&worker, "joined", 50, SLICE_LAYER_JOIN,
                                 stranger.fd), ==, -ENOENT);
    g_assert_cmpint(opener_layer(&worker, "other", 50, SLICE_LAYER_JOIN,
                                 master.fd), ==, -EINVAL);
    g_assert_cmpint(opener_layer(&worker, "joined", 51, SLICE_LAYER_JOIN,
                                 master.fd), ==, -EINVAL);
    g_assert_cmpint(opener_layer(&worker, "joined", 50, SLICE_LAYER_JOIN,
                                 master.fd), ==, 0);
    /* One who joined is no provider. */
    g_assert_cmpint(opener_layer(&stranger, "joined", 50, SLICE_LAYER_JOIN,
                                 worker.fd), ==, -ENOENT);
    opener_close(&stranger);
    opener_close(&worker);
    opener_close(&master);
}

void add_request_tests(void)
{
    add_test("/request/short-struct-is-refused", test_short);
    add_test("/request/exact-struct-is-taken", test_exact);
    add_test("/request/longer-with-zero-tail-is-taken", test_long_zero);
    add_test("/request/longer-with-nonzero-tail-is-refused",
             test_long_nonzero);
    add_test("/request/unknown-flag-is-refused", test_flags);
    add_test("/request/nonzero-rsvd-is-refused", test_rsvd);
    add_test("/request/bad-pointer-faults", test_pointers);
    add_test("/request/unknown-number-is-refused", test_unknown);
    add_test("/request/admin-requests-need-privilege", test_unprivileged);
    add_test("/request/info-tells-limits", test_info);
    add_test("/request/layer-values-are-checked", test_layer_values);
    add_test("/request/join-needs-an-equal-provider", test_join);
}
