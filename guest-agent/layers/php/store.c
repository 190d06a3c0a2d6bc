// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * store.c - see store.h
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bank.h"
#include "store.h"

/* How many sessions a request looks at for others: some 10 us each. */
#define SWEEP_BATCH 64
/* Behind the offsets of all keys. */
#define SWEEP_OFFSET ((off_t)1 << 62)
#define SHARED_BYTES 4096

/**
 * struct slice_store_shared - what the workers of one master share
 * @swept_s: when one of them last swept
 * @next: where the next sweep goes on; under the lock at SWEEP_OFFSET
 */
struct slice_store_shared {
    _Atomic uint64_t swept_s;
    struct slice_id next;
};

/* ---- the lock ---- */

/* Two keys of one offset only wait for each other. */
static off_t lock_offset(const void *key, size_t key_bytes)
{
    return (off_t)(slice_hash(SLICE_HASH_SEED, key, key_bytes) >> 2);
}

static int lock_request(struct slice_store *store, off_t offset, int command,
                        short type)
{
    struct flock lock = {
        .l_type = type,
        .l_whence = SEEK_SET,
        .l_start = offset,
        .l_len = 1,
    };
    int res;

    do {
        res = fcntl(store->lock_fd, command, &lock);
    } while (res < 0 && errno == EINTR);
    return res < 0 ? -errno : 0;
}

static int lock_key(struct slice_store *store, const void *key,
                    size_t key_bytes)
{
    return lock_request(store, lock_offset(key, key_bytes), F_SETLKW, F_WRLCK);
}

static void unlock_key(struct slice_store *store, const void *key,
                       size_t key_bytes)
{
    lock_request(store, lock_offset(key, key_bytes), F_SETLK, F_UNLCK);
}

/* ---- master and workers ---- */

int slice_store_provide(struct slice_store *store, const char *device,
                        uint64_t abi_hash)
{
    void *shared;
    int err;

    *store = (struct slice_store) {
        .desc = {
            .name = "php",
            .version = SLICE_BANK_VERSION,
            .rank = SLICE_PHP_RANK,
            .abi_hash = abi_hash,
        },
        .device = device,
        .lock_fd = -1,
    };
    err = slice_open(device, &store->provider);
    if (err) {
        return err;
    }
    err = slice_provide(store->provider, &store->desc, 1);
    if (err) {
        goto err_close;
    }
    store->lock_fd = memfd_create("slice-php-locks", MFD_CLOEXEC);
    if (store->lock_fd < 0) {
        err = -errno;
        goto err_close;
    }
    shared = ftruncate(store->lock_fd, SHARED_BYTES) < 0 ? MAP_FAILED :
        mmap(NULL, SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
             store->lock_fd, 0);
    if (shared == MAP_FAILED) {
        err = -errno;
        goto err_close_locks;
    }
    store->shared = shared;
    return 0;

err_close_locks:
    close(store->lock_fd);
    store->lock_fd = -1;
err_close:
    slice_close(store->provider);
    store->provider = NULL;
    return err;
}

void slice_store_finish(struct slice_store *store)
{
    if (store->pid == getpid()) {
        slice_close(store->opener);
    }
    store->opener = NULL;
    slice_close(store->provider);
    store->provider = NULL;
    if (store->shared) {
        munmap(store->shared, SHARED_BYTES);
        store->shared = NULL;
    }
    if (store->lock_fd >= 0) {
        close(store->lock_fd);
        store->lock_fd = -1;
    }
}

int slice_store_join(struct slice_store *store)
{
    struct slice_opener *opener;
    int err;

    if (store->opener && store->pid == getpid()) {
        return 0;
    }
    err = slice_open(store->device, &opener);
    if (err) {
        return err;
    }
    err = slice_join(opener, &store->desc, slice_fd(store->provider));
    if (err) {
        slice_close(opener);
        return err;
    }
    store->opener = opener;
    store->pid = getpid();
    return 0;
}

/*
 * Each session that a worker has ever looked at has a word of its own; when
 * they are used up, a new opener has all of them again.
 */
static int renew_opener(struct slice_store *store)
{
    struct slice_opener *old = store->opener;
    int err;

    store->opener = NULL;
    err = slice_store_join(store);
    if (err) {
        store->opener = old;
        return err;
    }
    slice_close(old);
    return 0;
}

static int find(struct slice_store *store, const void *key, size_t key_bytes,
                struct slice_capsule *ret_capsule)
{
    int err = slice_get_id_by_key(store->opener, key, key_bytes, ret_capsule);

    if (err == -ENOSPC && !renew_opener(store)) {
        err = slice_get_id_by_key(store->opener, key, key_bytes, ret_capsule);
    }
    return err;
}

int slice_store_exists(struct slice_store *store, const void *key,
                       size_t key_bytes)
{
    struct slice_capsule capsule;
    void *memory;
    size_t bytes;
    int err = find(store, key, key_bytes, &capsule);

    if (err) {
        return err;
    }
    err = slice_map(store->opener, &capsule, &memory);
    if (err) {
        return err;
    }
    err = slice_bank_measure(memory, capsule.room_bytes, &bytes);
    slice_unmap(store->opener, memory, capsule.room_bytes);
    return err;
}

/* ---- attaching ---- */

static int get_ref(struct slice_store *store,
                   const struct slice_capsule *capsule)
{
    int err;

    do {
        err = slice_get_ref(store->opener, capsule, 0);
    } while (err == -EINTR);
    return err;
}

/*
 * A reference of the session as it is now.  While we slept it may have left and
 * come back, with memory at another place: hence the second look.  Leaving and
 * coming back while nobody sleeps is seen as ESTALE or ENOENT and tried again,
 * but not for ever.
 */
static int reference(struct slice_store *store, const void *key,
                     size_t key_bytes, struct slice_capsule *ret_capsule)
{
    struct slice_capsule capsule, again;
    bool seen = false;
    int err;

    for (int i = 0; i < 8; i++) {
        err = find(store, key, key_bytes, &capsule);
        if (err) {
            /* Gone between two looks is gone elsewhere: not new. */
            return seen && err == -ENOENT ? -ESTALE : err;
        }
        seen = true;
        err = get_ref(store, &capsule);
        if (err == -ESTALE || err == -ENOENT) {
            continue;
        }
        if (err) {
            return err;
        }
        err = slice_get_id_by_key(store->opener, key, key_bytes, &again);
        if (!err && slice_id_equal(&again.id, &capsule.id)) {
            *ret_capsule = again;
            return 0;
        }
        slice_put_ref(store->opener, &capsule);
    }
    return -ESTALE;
}

/* A new capsule under a held lock; referenced, formatted, mapped. */
static int create(struct slice_store *store, struct slice_attached *attached,
                  size_t room_bytes, const char *label, uint64_t now_s)
{
    struct slice_capsule capsule;
    void *memory;
    int err = slice_register_held(store->opener, 0, attached->key,
                                  attached->key_bytes, room_bytes, &capsule);

    if (err == -ENOSPC && !renew_opener(store)) {
        err = slice_register_held(store->opener, 0, attached->key,
                                  attached->key_bytes, room_bytes, &capsule);
    }
    if (err) {
        return err;
    }
    err = slice_map(store->opener, &capsule, &memory);
    if (err) {
        goto err_put;
    }
    slice_bank_format(memory, now_s);
    slice_bank_set_label(memory, label);
    /* A slice without a label is as good as one with it. */
    slice_create_slice(store->opener, &capsule.id, label, NULL);
    attached->capsule = capsule;
    attached->memory = memory;
    return 0;

err_put:
    slice_put_ref(store->opener, &capsule);
    slice_deregister_capsule(store->opener, &capsule.id);
    return err;
}

static int open_existing(struct slice_store *store,
                         struct slice_attached *attached, uint64_t now_s)
{
    struct slice_capsule capsule;
    void *memory;
    size_t bytes;
    int err = reference(store, attached->key, attached->key_bytes, &capsule);

    if (err) {
        return err;
    }
    err = slice_map(store->opener, &capsule, &memory);
    if (err) {
        slice_put_ref(store->opener, &capsule);
        return err;
    }
    if (slice_bank_measure(memory, capsule.room_bytes, &bytes) == -ENOENT) {
        char label[SLICE_BANK_LABEL_BYTES];

        slice_bank_label(memory, label);
        slice_bank_format(memory, now_s);
        slice_bank_set_label(memory, label);
    }
    attached->capsule = capsule;
    attached->memory = memory;
    return 0;
}

int slice_store_attach(struct slice_store *store, const void *key,
                       size_t key_bytes, size_t room_bytes, const char *label,
                       uint64_t now_s, struct slice_attached *ret)
{
    struct slice_attached attached = { .is = true, .key_bytes = key_bytes };
    int err;

    if (key_bytes == 0 || key_bytes > sizeof(attached.key)) {
        return -EINVAL;
    }
    memcpy(attached.key, key, key_bytes);
    err = lock_key(store, key, key_bytes);
    if (err) {
        return err;
    }
    err = open_existing(store, &attached, now_s);
    if (err == -ENOENT) {
        err = create(store, &attached, room_bytes, label, now_s);
    }
    if (err) {
        unlock_key(store, key, key_bytes);
        return err;
    }
    *ret = attached;
    return 0;
}

void slice_store_detach(struct slice_store *store,
                        struct slice_attached *attached)
{
    if (!attached->is) {
        return;
    }
    slice_unmap(store->opener, attached->memory,
                attached->capsule.room_bytes);
    slice_put_ref(store->opener, &attached->capsule);
    unlock_key(store, attached->key, attached->key_bytes);
    attached->is = false;
}

/* ---- what an attached session can do ---- */

/* The connections that a session needs, taken from it; how many. */
static uint32_t take_needs(struct slice_store *store, const struct slice_id *id,
                           struct slice_id ret_ids[SLICE_COMPONENT_MAX])
{
    uint32_t n_all = 0, n = 0;

    if (slice_closure(store->opener, id, ret_ids, SLICE_COMPONENT_MAX, &n_all,
                      NULL)) {
        return 0;
    }
    for (uint32_t i = 0; i < n_all; i++) {
        if (!slice_id_equal(&ret_ids[i], id) &&
            !slice_drop_dep(store->opener, id, &ret_ids[i])) {
            ret_ids[n++] = ret_ids[i];
        }
    }
    return n;
}

/* One that has left meanwhile comes back for its session with its next
 * request. */
static void give_needs(struct slice_store *store, const struct slice_id *id,
                       const struct slice_id *ids, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        slice_set_dep(store->opener, id, &ids[i]);
    }
}

/* Puts @copy into a new capsule in the place of @old. */
static int replace(struct slice_store *store, struct slice_attached *attached,
                   const struct slice_attached *old, size_t room_bytes,
                   const void *copy, size_t bytes, uint64_t now_s)
{
    char label[SLICE_BANK_LABEL_BYTES];
    int err;

    slice_bank_label(old->memory, label);
    slice_unmap(store->opener, old->memory, old->capsule.room_bytes);
    slice_put_ref(store->opener, &old->capsule);
    err = create(store, attached, room_bytes, label, now_s);
    if (err) {
        /* What was just given back is there to be had again. */
        int again = create(store, attached, old->capsule.room_bytes, label,
                           now_s);

        if (again) {
            unlock_key(store, attached->key, attached->key_bytes);
            attached->is = false;
            return err;
        }
    }
    slice_bank_write(attached->memory, attached->capsule.room_bytes, copy,
                     bytes, now_s);
    return err;
}

int slice_store_grow(struct slice_store *store, struct slice_attached *attached,
                     size_t room_bytes, uint64_t now_s)
{
    struct slice_id needs[SLICE_COMPONENT_MAX];
    struct slice_attached old = *attached;
    uint32_t n_needs = 0;
    size_t bytes = 0;
    void *copy;
    int err = slice_bank_measure(old.memory, old.capsule.room_bytes, &bytes);

    if (err) {
        return err;
    }
    copy = malloc(bytes + 1);
    if (!copy) {
        return -ENOMEM;
    }
    err = slice_bank_read(old.memory, old.capsule.room_bytes, copy, bytes);
    if (!err) {
        n_needs = take_needs(store, &old.capsule.id, needs);
        err = slice_deregister_capsule(store->opener, &old.capsule.id);
        if (!err) {
            err = replace(store, attached, &old, room_bytes, copy, bytes,
                          now_s);
        }
        if (attached->is) {
            give_needs(store, &attached->capsule.id, needs, n_needs);
        }
    }
    free(copy);
    return err;
}

static bool is_named(const struct slice_capsule *session, const char *cookies)
{
    return cookies && session->key_bytes &&
           memmem(cookies, strlen(cookies), session->key, session->key_bytes);
}

/*
 * The connection's slice ends, by rank, with the php capsules in it.  One that
 * the request does not name belongs to a user who has left the connection, or
 * to the id that this session had before.
 */
int slice_store_link(struct slice_store *store, struct slice_attached *attached,
                     const struct slice_id *connection, const char *cookies)
{
    struct slice_id ids[SLICE_COMPONENT_MAX];
    const struct slice_id *own = &attached->capsule.id;
    uint32_t n = 0;
    int err = slice_closure(store->opener, connection, ids,
                            SLICE_COMPONENT_MAX, &n, NULL);

    if (err) {
        return err;
    }
    while (n-- > 0) {
        struct slice_capsule other;

        if (slice_id_equal(&ids[n], own)) {
            continue;
        }
        if (slice_get_id_by_id(store->opener, &ids[n], &other)) {
            break;
        }
        if (!is_named(&other, cookies)) {
            slice_drop_dep(store->opener, &other.id, connection);
        }
    }
    return slice_set_dep(store->opener, own, connection);
}

int slice_store_label(struct slice_store *store,
                      struct slice_attached *attached, const char *label)
{
    int err = slice_create_slice(store->opener, &attached->capsule.id, label,
                                 NULL);

    if (!err) {
        slice_bank_set_label(attached->memory, label);
    }
    return err;
}

void slice_store_end(struct slice_store *store,
                     struct slice_attached *attached)
{
    if (!attached->is) {
        return;
    }
    /* If its capsule cannot go now, nobody will find a session in it. */
    slice_bank_end(attached->memory);
    slice_deregister_capsule(store->opener, &attached->capsule.id);
    slice_store_detach(store, attached);
}

/* Under the key's lock nobody on this machine works on it. */
static bool end_if_unused(struct slice_store *store,
                          const struct slice_capsule *capsule,
                          uint64_t before_s)
{
    struct slice_capsule header = *capsule;
    void *memory;
    bool expired;

    header.room_bytes = SLICE_BANK_HEADER_BYTES;
    if (slice_map(store->opener, &header, &memory)) {
        return false;
    }
    expired = slice_bank_used_s(memory) < before_s;
    slice_unmap(store->opener, memory, header.room_bytes);
    return expired &&
           slice_deregister_capsule(store->opener, &capsule->id) == 0;
}

/* What this process has attached it would be given the lock of once more. */
static bool collect_one(struct slice_store *store,
                        const struct slice_attached *attached,
                        const struct slice_capsule *capsule, uint64_t before_s)
{
    off_t offset = lock_offset(capsule->key, capsule->key_bytes);
    bool ended;

    if (!capsule->key_bytes || capsule->room_bytes < SLICE_BANK_ROOM_MIN ||
        (attached->is &&
         offset == lock_offset(attached->key, attached->key_bytes)) ||
        lock_request(store, offset, F_SETLK, F_WRLCK)) {
        return false;
    }
    ended = end_if_unused(store, capsule, before_s);
    lock_request(store, offset, F_SETLK, F_UNLCK);
    return ended;
}

long slice_store_collect(struct slice_store *store,
                         const struct slice_attached *attached,
                         uint64_t before_s)
{
    struct slice_capsule capsule;
    struct slice_id after = { 0 };
    long n = 0;

    while (!slice_get_id_next(store->opener, &after, &capsule)) {
        after = capsule.id;
        n += collect_one(store, attached, &capsule, before_s);
    }
    return n;
}

void slice_store_sweep(struct slice_store *store,
                       const struct slice_attached *attached,
                       uint64_t before_s, uint64_t now_s)
{
    struct slice_store_shared *shared = store->shared;
    struct slice_capsule capsule;
    struct slice_id after;

    if (atomic_load_explicit(&shared->swept_s, memory_order_relaxed) ==
            now_s ||
        lock_request(store, SWEEP_OFFSET, F_SETLK, F_WRLCK)) {
        return;
    }
    atomic_store_explicit(&shared->swept_s, now_s, memory_order_relaxed);
    after = shared->next;
    for (int i = 0; i < SWEEP_BATCH; i++) {
        if (slice_get_id_next(store->opener, &after, &capsule)) {
            after = (struct slice_id) { 0 };
            break;
        }
        after = capsule.id;
        collect_one(store, attached, &capsule, before_s);
    }
    shared->next = after;
    lock_request(store, SWEEP_OFFSET, F_SETLK, F_UNLCK);
}
