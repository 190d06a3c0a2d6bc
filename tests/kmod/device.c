// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * device.c - see device.h
 */
#include "device.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A machine under TCG on a busy host is slow. */
#define WAIT_MS 20000

int device_call(int fd, unsigned long request, void *arg)
{
    return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

bool id_equal(struct slice_id a, struct slice_id b)
{
    return a.incarnation == b.incarnation && a.counter == b.counter;
}

/* ---- openers ---- */

void opener_open(Opener *opener)
{
    opener->fd = open("/dev/slice", O_RDWR | O_CLOEXEC);
    g_assert_cmpint(opener->fd, >=, 0);
    opener->words = mmap(NULL, SLICE_WORDS_BYTES, PROT_READ | PROT_WRITE,
                         MAP_SHARED, opener->fd, SLICE_MMAP_WORDS);
    g_assert_true(opener->words != MAP_FAILED);
}

void opener_close(Opener *opener)
{
    munmap((void *)opener->words, SLICE_WORDS_BYTES);
    close(opener->fd);
}

int opener_layer(Opener *opener, const char *name, guint32 rank,
                 guint32 flags, int provider_fd)
{
    struct slice_layer layer = {
        .size = sizeof(layer),
        .flags = flags,
        .version = 1,
        .rank = rank,
        .abi_hash = 42,
        .provider_fd = provider_fd,
    };

    memcpy(layer.name, name, MIN(strlen(name), sizeof(layer.name)));
    return device_call(opener->fd, SLICE_IOC_LAYER, &layer);
}

void opener_open_layer(Opener *opener, const char *name, guint32 rank,
                       guint32 flags)
{
    opener_open(opener);
    g_assert_cmpint(opener_layer(opener, name, rank, flags, -1), ==, 0);
}

guint32 device_n_capsules(Opener *opener)
{
    struct slice_info info = { .size = sizeof(info) };

    g_assert_cmpint(device_call(opener->fd, SLICE_IOC_INFO, &info), ==, 0);
    return info.n_capsules;
}

/* ---- capsules ---- */

int capsule_register(Opener *opener, guint64 handle, const char *key,
                     guint64 bytes, struct slice_register *ret_reg)
{
    struct slice_register reg = {
        .size = sizeof(reg),
        .handle = handle,
        .bytes = bytes,
        .key_bytes = key ? strlen(key) : 0,
    };
    int ret;

    if (key) {
        memcpy(reg.key, key, strlen(key));
    }
    ret = device_call(opener->fd, SLICE_IOC_REGISTER, &reg);
    *ret_reg = reg;
    return ret;
}

void capsule_register_ok(Opener *opener, guint64 handle, const char *key,
                         guint64 bytes, struct slice_register *ret_reg)
{
    g_assert_cmpint(capsule_register(opener, handle, key, bytes, ret_reg), ==,
                    0);
}

int capsule_get_id(Opener *opener, guint32 flags, struct slice_register *reg)
{
    reg->size = sizeof(*reg);
    reg->flags = flags;
    return device_call(opener->fd, SLICE_IOC_GET_ID, reg);
}

int capsule_op(Opener *opener, unsigned long request, struct slice_id id,
               guint32 flags)
{
    struct slice_capsule_op op = {
        .size = sizeof(op), .flags = flags, .id = id,
    };

    return device_call(opener->fd, request, &op);
}

int capsule_get_ref(Opener *opener, const struct slice_register *reg,
                    guint32 flags)
{
    struct slice_capsule_op op = {
        .size = sizeof(op), .flags = flags, .id = reg->id,
        .handle = reg->word_index,
    };

    return device_call(opener->fd, SLICE_IOC_GET_REF, &op);
}

int capsule_dep(Opener *opener, struct slice_id from, struct slice_id to,
                guint32 flags)
{
    struct slice_dep dep = {
        .size = sizeof(dep), .flags = flags, .capsule = from, .needs = to,
    };

    return device_call(opener->fd, SLICE_IOC_SET_DEP, &dep);
}

void capsule_dep_ok(Opener *opener, struct slice_id from, struct slice_id to)
{
    g_assert_cmpint(capsule_dep(opener, from, to, 0), ==, 0);
}

int capsule_plug_done(Opener *opener, struct slice_id id, guint64 handle,
                      int status)
{
    struct slice_capsule_op op = {
        .size = sizeof(op), .id = id, .handle = handle, .status = status,
    };

    return device_call(opener->fd, SLICE_IOC_PLUG_DONE, &op);
}

struct slice_id capsule_make_top(Opener *opener, struct slice_id id,
                                 const char *label)
{
    struct slice_capsule_op op = { .size = sizeof(op), .id = id };

    memcpy(op.label, label, strlen(label));
    g_assert_cmpint(device_call(opener->fd, SLICE_IOC_CREATE_SLICE, &op), ==,
                    0);
    return op.slice;
}

void *capsule_map(Opener *opener, const struct slice_register *reg)
{
    void *at = mmap(NULL, reg->bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                    opener->fd, reg->mmap_offset);

    g_assert_true(at != MAP_FAILED);
    return at;
}

/* ---- sessions ---- */

static void fill_name(guint8 *to, gsize room, const char *text)
{
    memcpy(to, text, MIN(strlen(text), room));
}

int capsule_pin(Opener *opener, struct slice_id id, guint32 why)
{
    struct slice_pin pin = { .size = sizeof(pin), .id = id, .why = why };

    return device_call(opener->fd, SLICE_IOC_PIN, &pin);
}

int session_link(Opener *opener, struct slice_id needs, const char *layer,
                 const char *key, guint32 flags, struct slice_id *ret_slice)
{
    struct slice_link_key link = {
        .size = sizeof(link), .flags = flags, .needs = needs,
        .key_bytes = key ? strlen(key) : 0,
    };
    int ret;

    fill_name(link.layer, sizeof(link.layer), layer);
    fill_name(link.key, sizeof(link.key), key ? key : "");
    ret = device_call(opener->fd, SLICE_IOC_LINK, &link);
    if (ret_slice) {
        *ret_slice = link.ret_slice;
    }
    return ret;
}

int session_find(Opener *opener, struct slice_id capsule, const char *layer,
                 const char *key, guint32 timeout_ms, guint32 *ret_result)
{
    struct slice_find find = {
        .size = sizeof(find), .capsule = capsule, .key_bytes = strlen(key),
        .timeout_ms = timeout_ms,
    };
    int ret;

    fill_name(find.layer, sizeof(find.layer), layer);
    fill_name(find.key, sizeof(find.key), key);
    ret = device_call(opener->fd, SLICE_IOC_FIND, &find);
    if (ret_result) {
        *ret_result = find.result;
    }
    return ret;
}

int provider_limit(Opener *opener, guint32 n_max)
{
    struct slice_room_limit limit = { .size = sizeof(limit), .n_max = n_max };

    return device_call(opener->fd, SLICE_IOC_ROOM, &limit);
}

bool as_nobody(bool (*test)(void *data), void *data)
{
    pid_t pid = fork();
    int status;

    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        _exit(!setuid(65534) && test(data) ? 0 : 1);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    return status == 0;
}

/* ---- slices ---- */

int slice_size(Opener *opener, struct slice_id id, struct slice_id *ret_slice)
{
    struct slice_id ids[1024];
    struct slice_closure closure = {
        .size = sizeof(closure), .id = id, .ids = (guintptr)ids,
        .n_ids = G_N_ELEMENTS(ids),
    };
    int ret = device_call(opener->fd, SLICE_IOC_CLOSURE, &closure);

    if (ret) {
        return ret;
    }
    if (ret_slice) {
        *ret_slice = closure.slice;
    }
    return closure.n_ids;
}

bool slice_find(Opener *opener, struct slice_id slice,
                struct slice_list_entry *ret_entry)
{
    g_autofree struct slice_list_entry *entries =
        g_new0(struct slice_list_entry, 8192);
    struct slice_list list = {
        .size = sizeof(list), .entries = (guintptr)entries, .n_entries = 8192,
    };
    guint32 i;

    g_assert_cmpint(device_call(opener->fd, SLICE_IOC_LIST, &list), ==, 0);
    for (i = 0; i < list.n_entries; i++) {
        if (id_equal(entries[i].slice, slice)) {
            if (ret_entry) {
                *ret_entry = entries[i];
            }
            return true;
        }
    }
    return false;
}

void slice_wait_state(Opener *opener, struct slice_id slice, guint32 state)
{
    gint64 deadline = g_get_monotonic_time() + WAIT_MS * 1000;
    struct slice_list_entry entry;

    while (!slice_find(opener, slice, &entry) || entry.state != state) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_thread_yield();
    }
}

/* ---- connections ---- */

/* Of this host and, unlike 127.0.0.1, one that another could take over. */
#define LOCAL_ADDRESS "198.51.100.77"

static void add_local_address(void)
{
    g_autoptr(GError) error = NULL;
    int status;

    g_spawn_command_line_sync("ip address replace " LOCAL_ADDRESS "/32 dev lo",
                              NULL, NULL, &status, &error);
    g_assert_no_error(error);
    g_assert_cmpint(status, ==, 0);
}

void connect_pair(int ret_fd[2])
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_addr.s_addr = inet_addr(LOCAL_ADDRESS),
    };
    socklen_t bytes = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    add_local_address();
    g_assert_cmpint(bind(listener, (void *)&at, sizeof(at)), ==, 0);
    g_assert_cmpint(listen(listener, 1), ==, 0);
    g_assert_cmpint(getsockname(listener, (void *)&at, &bytes), ==, 0);
    ret_fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(connect(ret_fd[0], (void *)&at, sizeof(at)), ==, 0);
    ret_fd[1] = accept(listener, NULL, NULL);
    g_assert_cmpint(ret_fd[1], >=, 0);
    close(listener);
}

/* ---- moves ---- */

static int move_call(Opener *opener, unsigned long request,
                     struct slice_move *move, guint32 *ret_why)
{
    int ret;

    move->size = sizeof(*move);
    ret = device_call(opener->fd, request, move);
    if (ret_why) {
        *ret_why = move->why;
    }
    return ret;
}

int move_quiesce(Opener *opener, struct slice_id slice, guint32 timeout_ms,
                 guint32 *ret_why)
{
    struct slice_move move = { .slice = slice, .timeout_ms = timeout_ms };

    return move_call(opener, SLICE_IOC_QUIESCE, &move, ret_why);
}

int move_unplug(Opener *opener, struct slice_id slice, Image *ret_image,
                guint32 *ret_why)
{
    struct slice_move move = { .slice = slice };
    int ret;

    /* First without room: how long is it? */
    ret = move_call(opener, SLICE_IOC_UNPLUG, &move, ret_why);
    if (ret != -ENOSPC) {
        return ret ? ret : -EPROTO;
    }
    ret_image->bytes = move.image_bytes;
    ret_image->data = g_malloc(move.image_bytes);
    move.image = (guintptr)ret_image->data;
    ret = move_call(opener, SLICE_IOC_UNPLUG, &move, ret_why);
    if (ret) {
        image_clear(ret_image);
    }
    return ret;
}

int move_plug(Opener *opener, const Image *image, guint32 timeout_ms,
              guint32 *ret_why)
{
    struct slice_move move = {
        .image = (guintptr)image->data, .image_bytes = image->bytes,
        .timeout_ms = timeout_ms,
    };

    return move_call(opener, SLICE_IOC_PLUG, &move, ret_why);
}

int move_finish(Opener *opener, struct slice_id slice, guint32 flag,
                guint32 *ret_why)
{
    struct slice_move move = {
        .flags = flag, .slice = slice, .timeout_ms = WAIT_MS,
    };

    return move_call(opener, SLICE_IOC_FINISH, &move, ret_why);
}

void image_clear(Image *image)
{
    g_clear_pointer(&image->data, g_free);
    image->bytes = 0;
}

static guint32 crc32c(const guint8 *data, gsize bytes)
{
    static guint32 table[256];
    guint32 crc = ~0u, i, bit;
    gsize at;

    for (i = 0; !table[255] && i < 256; i++) {
        table[i] = i;
        for (bit = 0; bit < 8; bit++) {
            table[i] = (table[i] >> 1) ^ (table[i] & 1 ? 0x82f63b78 : 0);
        }
    }
    for (at = 0; at < bytes; at++) {
        crc = table[(crc ^ data[at]) & 0xff] ^ (crc >> 8);
    }
    return ~crc;
}

void image_reseal(Image *image)
{
    gsize tail = sizeof(struct slice_image_record) +
                 sizeof(struct slice_image_end);
    struct slice_image_end *end;

    end = (struct slice_image_end *)(void *)
        (image->data + image->bytes - sizeof(*end));
    end->crc32c = GUINT32_TO_LE(crc32c(image->data, image->bytes - tail));
}

/* ---- events ---- */

bool event_is_pending(Opener *opener)
{
    struct pollfd poller = { .fd = opener->fd, .events = POLLIN };

    return poll(&poller, 1, 0) == 1 && poller.revents & POLLIN;
}

void event_wait(Opener *opener, struct slice_event *ret_event)
{
    struct pollfd poller = { .fd = opener->fd, .events = POLLIN };

    g_assert_cmpint(poll(&poller, 1, WAIT_MS), ==, 1);
    g_assert_cmpint(read(opener->fd, ret_event, sizeof(*ret_event)), ==,
                    sizeof(*ret_event));
}

void event_expect(Opener *opener, guint32 type, struct slice_id id,
                  struct slice_event *ret_event)
{
    struct slice_event event;

    event_wait(opener, &event);
    g_assert_cmpint(event.type, ==, type);
    g_assert_true(id_equal(event.id, id));
    if (ret_event) {
        *ret_event = event;
    }
}
