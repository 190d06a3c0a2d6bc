/* SPDX-License-Identifier: GPL-2.0 */
/*
 * digest.h - capsules of all providers, found by layer and key
 *
 * DOC: digests
 *
 * A layer's key may be a secret (PHP's session ids are), and other VMs are asked
 * for it: so what is compared and what travels is SHA-256 over the layer's name,
 * zero padded, and the key.  Each room with a key is in one table by that
 * digest, whoever its provider is.
 *
 * Locks: slice_digest_lock (spinlock, process context) guards the table; taken
 * under provider->lock, takes slice_registry_lock.  While a room is in the
 * table its capsule's memory stays.
 */
#ifndef SLICE_DIGEST_H
#define SLICE_DIGEST_H

#include <linux/types.h>
#include <uapi/linux/slice.h>
#include <uapi/linux/virtio_slice.h>

struct slice_capsule;
struct slice_room;

/**
 * struct slice_digest - of a layer's name and a key
 */
struct slice_digest {
	u8 bytes[VIRTIO_SLICE_DIGEST_BYTES];
};

int slice_digest_init(void);
void slice_digest_exit(void);
/* @key_bytes: 1 .. SLICE_KEY_BYTES_MAX. */
void slice_digest_of(const u8 layer[SLICE_LAYER_NAME_BYTES], const u8 *key,
		     u32 key_bytes, struct slice_digest *ret_digest);
/* Of a room with a key, once its capsule is known; under provider->lock. */
void slice_digest_add(struct slice_room *room);
void slice_digest_del(struct slice_room *room);
/* A capsule with that digest, with a reference, or NULL.  Of several (two
 * providers may have the same key) one whose slice runs. */
struct slice_capsule *slice_digest_find(const struct slice_digest *digest);

#endif /* SLICE_DIGEST_H */
