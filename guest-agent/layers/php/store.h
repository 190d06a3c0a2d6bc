/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * store.h - sessions as capsules of layer "php", for one worker
 *
 * DOC: master and workers
 *
 * The master, before it forks, provides the layer: sessions belong to it.  A
 * worker, at its first session, opens the device for itself and joins: what it
 * holds goes with it.  The layer is passive: nobody is told when a session
 * arrives, it is found by its key.
 *
 * A session is *attached* from the read to the close of PHP's session module:
 * locked, so that one request at a time works on it, and referenced, so that
 * it does not leave meanwhile.  The lock is a record lock of a file that all
 * workers share, at an offset made of the key: the kernel drops it when its
 * holder dies, and nothing of it travels.
 *
 * The lock is taken first and covers look-up, creation and growth.  A slice
 * that moves is waited for with the lock held: who else wants the session has
 * to wait for the same move.
 *
 * Sessions that nobody uses any more are ended by the workers as they go, a few
 * at a time: Debian switches PHP's own collection off, in favour of a timer
 * that deletes files.
 *
 * No PHP in here.  One thread.
 */
#ifndef SLICE_STORE_H
#define SLICE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libslice.h"

#define SLICE_PHP_RANK 200

struct slice_store_shared;

/**
 * struct slice_store - of one worker
 * @device: NULL for SLICE_DEVICE
 * @provider: the master's opener, inherited; only its descriptor is used
 * @desc: the layer
 * @lock_fd: the shared file of record locks
 * @shared: its first page, of all workers
 * @pid: whose @opener is
 * @opener: this worker's, or NULL
 */
struct slice_store {
    const char *device;
    struct slice_opener *provider;
    struct slice_layer_desc desc;
    int lock_fd;
    struct slice_store_shared *shared;
    int pid;
    struct slice_opener *opener;
};

/**
 * struct slice_attached - a session that this worker works on
 * @is: there is one
 * @capsule: its names
 * @memory: its banks
 * @key: its id in PHP
 * @key_bytes: of @key
 */
struct slice_attached {
    bool is;
    struct slice_capsule capsule;
    void *memory;
    uint8_t key[SLICE_KEY_BYTES_MAX];
    size_t key_bytes;
};

/**
 * slice_store_provide() - in the master, once
 * @store: filled in
 * @device: NULL for SLICE_DEVICE; must outlive @store
 * @abi_hash: of what must be equal in the PHP at the other end
 *
 * Return: 0; an errno of slice_open() or slice_provide(); -EMFILE.
 */
int slice_store_provide(struct slice_store *store, const char *device,
                        uint64_t abi_hash);

/* slice_store_finish() - undo it; in a worker it leaves the master's alone. */
void slice_store_finish(struct slice_store *store);

/* slice_store_join() - in a worker, before anything below; cheap when done. */
int slice_store_join(struct slice_store *store);

/**
 * slice_store_exists() - is there such a session?
 * @store: joined
 *
 * Return: 0; -ENOENT; -ESTALE: it has left; another errno.
 */
int slice_store_exists(struct slice_store *store, const void *key,
                       size_t key_bytes);

/**
 * slice_store_attach() - lock and reference a session, making it if need be
 * @store: joined
 * @key: 1 .. SLICE_KEY_BYTES_MAX bytes
 * @room_bytes: of memory if it is made
 * @label: of its slice if it is made
 * @now_s: the time
 * @ret: nothing is attached to it
 *
 * Sleeps while another worker has it, or while it moves.
 *
 * Return: 0; -ESTALE: it has left this machine; -EINVAL: @key_bytes;
 * -ENOSPC, -ENOMEM: it cannot be made.
 */
int slice_store_attach(struct slice_store *store, const void *key,
                       size_t key_bytes, size_t room_bytes, const char *label,
                       uint64_t now_s, struct slice_attached *ret);

/* slice_store_detach() - undo it; nothing if nothing is attached. */
void slice_store_detach(struct slice_store *store,
                        struct slice_attached *attached);

/**
 * slice_store_grow() - more room for an attached session
 *
 * Its capsule is replaced by a larger one with the same key, label and
 * connections.  On failure the old one is as it was.
 *
 * Return: 0; -ENOSPC, -ENOMEM.
 */
int slice_store_grow(struct slice_store *store, struct slice_attached *attached,
                     size_t room_bytes, uint64_t now_s);

/**
 * slice_store_link() - the session needs this connection
 * @connection: its apache capsule
 * @cookies: of the request that came by it, or NULL
 *
 * Other sessions that needed it and are not in @cookies do so no longer.
 *
 * Return: 0; -EBUSY: one of them is about to move; -ENOENT, -ESTALE: no such
 * connection; -ENOSPC: the slice would be too large.
 */
int slice_store_link(struct slice_store *store, struct slice_attached *attached,
                     const struct slice_id *connection, const char *cookies);

/* slice_store_label() - what the attached session's slice is called. */
int slice_store_label(struct slice_store *store,
                      struct slice_attached *attached, const char *label);

/* slice_store_end() - the attached session is over; it is detached. */
void slice_store_end(struct slice_store *store,
                     struct slice_attached *attached);

/* slice_store_collect() - end those unused since @before_s; how many.  Neither
 * @attached nor one that another worker has. */
long slice_store_collect(struct slice_store *store,
                         const struct slice_attached *attached,
                         uint64_t before_s);

/* slice_store_sweep() - the same for the next few of them, at most once a second
 * in all workers together. */
void slice_store_sweep(struct slice_store *store,
                       const struct slice_attached *attached,
                       uint64_t before_s, uint64_t now_s);

#endif /* SLICE_STORE_H */
