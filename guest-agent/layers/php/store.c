// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * store.c - see store.h
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bank.h"
#include "store.h"

/* ---- the lock ---- */

static int lock_request(struct slice_store *store, const void *key,
                        size_t key_bytes, int command, short type)
{
    struct flock lock = {
        .l_type = type,
        .l_whence = SEEK_SET,
        /* Two keys of one offset only wait for each other. */
        .l_start = (off_t)(slice_hash(SLICE_HASH_SEED, key, key_bytes) >> 2),
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
    return lock_request(store, key, key_bytes, F_SETLKW, F_WRLCK);
}

static int try_lock_key(struct slice_store *store, const void *key,
                        size_t key_bytes)
{
    return lock_request(store, key, key_bytes, F_SETLK, F_WRLCK);
}

static void unlock_key(struct slice_store *store, const void *key,
                       size_t key_bytes)
{
    lock_request(store, key, key_bytes, F_SETLK, F_UNLCK);
}

/* ---- master and workers ---- */

int slice_store_provide(struct slice_store *store, const char *device,
                        uint64_t abi_hash)
{
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
    return 0;

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
    int err = slice_register_capsule(store->opener, 0, attached->key,
                                     attached->key_bytes, room_bytes,
                                     &capsule);

    if (err == -ENOSPC && !renew_opener(store)) {
        err = slice_register_capsule(store->opener, 0, attached->key,
                                     attached->key_bytes, room_bytes,
                                     &capsule);
    }
    if (err) {
        return err;
    }
    err = get_ref(store, &capsule);
    if (err) {
        goto err_deregister;
    }
    err = slice_map(store->opener, &capsule, &memory);
    if (err) {
        goto err_put;
    }
    slice_bank_format(memory, now_s);
    /* A slice without a label is as good as one with it. */
    slice_create_slice(store->opener, &capsule.id, label, NULL);
    attached->capsule = capsule;
    attached->memory = memory;
    return 0;

err_put:
    slice_put_ref(store->opener, &capsule);
err_deregister:
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
        slice_bank_format(memory, now_s);
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

int slice_store_grow(struct slice_store *store, struct slice_attached *attached,
                     size_t room_bytes, const char *label, uint64_t now_s)
{
    struct slice_attached old = *attached;
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
        err = slice_deregister_capsule(store->opener, &old.capsule.id);
    }
    if (err) {
        free(copy);
        return err;
    }
    slice_unmap(store->opener, old.memory, old.capsule.room_bytes);
    slice_put_ref(store->opener, &old.capsule);
    err = create(store, attached, room_bytes, label, now_s);
    if (err) {
        /* What was just given back is there to be had again. */
        int again = create(store, attached, old.capsule.room_bytes, label,
                           now_s);

        if (again) {
            unlock_key(store, attached->key, attached->key_bytes);
            attached->is = false;
        }
    }
    if (attached->is) {
        slice_bank_write(attached->memory, attached->capsule.room_bytes, copy,
                         bytes, now_s);
    }
    free(copy);
    return err;
}

/*
 * The connection's slice ends, by rank, with the php capsules in it.  Another
 * session that needs the connection does so no longer: it names ours now.
 */
int slice_store_link(struct slice_store *store, struct slice_attached *attached,
                     const struct slice_id *connection)
{
    struct slice_id ids[SLICE_COMPONENT_MAX];
    const struct slice_id *own = &attached->capsule.id;
    bool linked = false;
    uint32_t n = 0;
    int err = slice_closure(store->opener, connection, ids,
                            SLICE_COMPONENT_MAX, &n, NULL);

    if (err) {
        return err;
    }
    while (n-- > 0) {
        struct slice_capsule other;

        if (slice_id_equal(&ids[n], own)) {
            linked = true;
            continue;
        }
        if (slice_get_id_by_id(store->opener, &ids[n], &other)) {
            break;
        }
        if (!slice_drop_dep(store->opener, &other.id, connection)) {
            linked = false;
            break;
        }
    }
    return linked ? 0 : slice_set_dep(store->opener, own, connection);
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
static bool collect_one(struct slice_store *store,
                        const struct slice_capsule *capsule, uint64_t before_s)
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

long slice_store_collect(struct slice_store *store, uint64_t before_s)
{
    struct slice_capsule capsule;
    struct slice_id after = { 0 };
    long n = 0;

    while (!slice_get_id_next(store->opener, &after, &capsule)) {
        after = capsule.id;
        if (!capsule.key_bytes || capsule.room_bytes < SLICE_BANK_ROOM_MIN ||
            try_lock_key(store, capsule.key, capsule.key_bytes)) {
            continue;
        }
        n += collect_one(store, &capsule, before_s);
        unlock_key(store, capsule.key, capsule.key_bytes);
    }
    return n;
}
