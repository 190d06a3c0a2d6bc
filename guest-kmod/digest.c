// SPDX-License-Identifier: GPL-2.0
/*
 * digest.c - capsules of all providers, found by layer and key
 *
 * Below: registry.h, the kernel's sha256.  Above: room.c, find.c,
 * request-session.c.
 */
#include <crypto/sha2.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/siphash.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "digest.h"
#include "layer.h"

#define SLICE_DIGEST_BUCKETS	(1u << 14)

static struct hlist_head *slice_digests;	/* struct slice_room.in_digests */
static siphash_key_t slice_digest_hash_key;
static DEFINE_SPINLOCK(slice_digest_lock);

static_assert(VIRTIO_SLICE_DIGEST_BYTES == SHA256_DIGEST_SIZE);

/* Who registers chooses keys, and could choose such as fall together. */
static struct hlist_head *slice_digest_bucket(const struct slice_digest *digest)
{
	return &slice_digests[siphash(digest->bytes, sizeof(digest->bytes),
				      &slice_digest_hash_key) %
			      SLICE_DIGEST_BUCKETS];
}

void slice_digest_of(const u8 layer[SLICE_LAYER_NAME_BYTES], const u8 *key,
		     u32 key_bytes, struct slice_digest *ret_digest)
{
	u8 text[SLICE_LAYER_NAME_BYTES + SLICE_KEY_BYTES_MAX];

	memcpy(text, layer, SLICE_LAYER_NAME_BYTES);
	memcpy(text + SLICE_LAYER_NAME_BYTES, key, key_bytes);
	sha256(text, SLICE_LAYER_NAME_BYTES + key_bytes, ret_digest->bytes);
	memzero_explicit(text, sizeof(text));
}

void slice_digest_add(struct slice_room *room)
{
	slice_digest_of(room->provider->ops.name, room->key.key,
			room->key.bytes, &room->digest);
	spin_lock(&slice_digest_lock);
	hlist_add_head(&room->in_digests, slice_digest_bucket(&room->digest));
	spin_unlock(&slice_digest_lock);
}

void slice_digest_del(struct slice_room *room)
{
	spin_lock(&slice_digest_lock);
	hlist_del_init(&room->in_digests);
	spin_unlock(&slice_digest_lock);
}

struct slice_capsule *slice_digest_find(const struct slice_digest *digest)
{
	struct slice_capsule *found = NULL, *capsule;
	struct slice_room *room;
	bool runs = false;

	spin_lock(&slice_digest_lock);
	spin_lock_bh(&slice_registry_lock);
	hlist_for_each_entry(room, slice_digest_bucket(digest), in_digests) {
		if (memcmp(&room->digest, digest, sizeof(*digest)))
			continue;
		capsule = room->capsule;
		/* In no slice: it has been removed and is about to go. */
		if (!capsule->slice)
			continue;
		runs = capsule->slice->state == SLICE_STATE_ACTIVE;
		found = capsule;
		if (runs)
			break;
	}
	/* The registry's own reference is there as long as it has a slice. */
	if (found)
		slice_capsule_get(found);
	spin_unlock_bh(&slice_registry_lock);
	spin_unlock(&slice_digest_lock);
	return found;
}

int slice_digest_init(void)
{
	slice_digests = kvcalloc(SLICE_DIGEST_BUCKETS, sizeof(*slice_digests),
				 GFP_KERNEL);
	if (!slice_digests)
		return -ENOMEM;
	get_random_bytes(&slice_digest_hash_key,
			 sizeof(slice_digest_hash_key));
	return 0;
}

void slice_digest_exit(void)
{
	kvfree(slice_digests);
}
