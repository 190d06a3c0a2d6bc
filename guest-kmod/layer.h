/* SPDX-License-Identifier: GPL-2.0 */
/*
 * layer.h - layers: those of the kernel, and providers in user space
 *
 * DOC: providers
 *
 * A provider is an opener of /dev/slice that speaks for a layer; several may
 * speak for one layer (each Apache child does) if version, rank and ABI hash
 * agree.  Its capsules are *rooms*: pages that the provider and those who joined
 * it map, found by key, by handle or by offset.  It dies when its file is
 * released; its capsules go with it, its openers' words with each opener.
 *
 * References.  A capsule of a provider holds one of the provider and, once it
 * has a room, one of the room; each mapping holds one of the room; each opener
 * one of its provider.
 *
 * Locks.  slice_layers_lock guards the list of providers; provider->lock its
 * indices.  Order: move_lock, slice_layers_lock, provider->lock,
 * slice_digest_lock, slice_registry_lock.  events.lock is innermost.
 */
#ifndef SLICE_LAYER_H
#define SLICE_LAYER_H

#include <linux/completion.h>
#include <linux/idr.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/rhashtable-types.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#include "capsule.h"
#include "digest.h"
#include "registry.h"

struct slice_user;
struct vm_area_struct;
struct vm_fault;
struct slice_words;

/* Unread events that a provider may pile up. */
#define SLICE_EVENTS_MAX	65536

/**
 * struct slice_layer_desc - what a layer is known by
 */
struct slice_layer_desc {
	u8 name[SLICE_LAYER_NAME_BYTES];
	u32 version;
	u32 rank;
	u64 abi_hash;
};

/**
 * struct slice_event_node - an event, made before it may be needed
 * @list: in the provider's queue
 * @event: what read() gives
 */
struct slice_event_node {
	struct list_head list;
	struct slice_event event;
};

/**
 * struct slice_events - what a provider has yet to read
 * @lock: guards the rest
 * @list: struct slice_event_node
 * @n: how many
 * @wait: readers and pollers
 * @read_lock: one reader at a time, so that records stay in order
 */
struct slice_events {
	spinlock_t lock;
	struct list_head list;
	u32 n;
	wait_queue_head_t wait;
	struct mutex read_lock;
};

/**
 * struct slice_provider - one that speaks for a layer in user space
 * @ref: openers, capsules, rooms
 * @ops: name, version, rank, hash and the operations of all providers
 * @user: whose it is, with a reference; its rooms count there
 * @is_passive: SLICE_LAYER_PASSIVE
 * @in_layers: in the list of live providers
 * @lock: guards what follows, and @is_dead
 * @is_dead: its file was released
 * @words: of its own opener, for the word_index of events; NULL when dead
 * @by_key: struct slice_room
 * @by_handle: struct slice_room
 * @by_offset: struct slice_room
 * @by_id: struct slice_room.in_ids
 * @n_capsules: that it has
 * @n_max: with so many it takes no more that arrive
 * @bytes: of its rooms
 * @events: to its opener
 */
struct slice_provider {
	struct kref ref;
	struct slice_layer_ops ops;
	struct slice_user *user;
	bool is_passive;
	struct list_head in_layers;
	struct mutex lock;
	bool is_dead;
	struct slice_words *words;
	struct rhashtable by_key;
	struct xarray by_handle;
	struct idr by_offset;
	struct rb_root by_id;
	u32 n_capsules;
	u32 n_max;
	u64 bytes;
	struct slice_events events;
};

/**
 * struct slice_key - as it is looked up
 */
struct slice_key {
	u32 bytes;
	u8 key[SLICE_KEY_BYTES_MAX];
};

/**
 * struct slice_room - a provider's capsule: its memory and names
 * @ref: its capsule's, each mapping's
 * @provider: with a reference
 * @capsule: whose room it is; valid while indexed, see slice_room_find_*()
 * @in_keys, @key: in provider->by_key, if key.bytes
 * @in_digests, @digest: in digest.c's table, if key.bytes
 * @handle: in provider->by_handle, if not 0
 * @in_ids: in provider->by_id
 * @is_indexed: it can be found
 * @offset_index: in provider->by_offset, from 1; 0 = none
 * @n_pages: room
 * @n_used: of them there
 * @pages: NULL where nothing was touched yet
 * @answered: PLUG_DONE came, with @status
 * @is_asked: PLUG was sent and not answered
 * @spare: events that must not fail later
 */
struct slice_room {
	struct kref ref;
	struct slice_provider *provider;
	struct slice_capsule *capsule;
	struct rhash_head in_keys;
	struct slice_key key;
	struct hlist_node in_digests;
	struct slice_digest digest;
	u64 handle;
	struct rb_node in_ids;
	bool is_indexed;
	u32 offset_index;
	u32 n_pages;
	atomic_t n_used;
	struct page **pages;
	struct completion answered;
	int status;
	bool is_asked;
	struct slice_event_node *spare[2];
};

/* ---- layer.c: providers ---- */
extern u64 slice_provider_bytes_max;

/* ERR_PTR: -ENOMEM, -EINVAL (another live provider of that name differs),
 * -EPERM (it is of another user, and current is no admin). */
struct slice_provider *slice_provider_new(const struct slice_layer *layer,
					  struct slice_words *words);
struct slice_provider *slice_provider_get(struct slice_provider *provider);
void slice_provider_put(struct slice_provider *provider);
/* Its file was released: its capsules are removed. */
void slice_provider_die(struct slice_provider *provider);
/* Is the name one of the kernel's? */
bool slice_layer_is_kernels(const u8 name[SLICE_LAYER_NAME_BYTES]);
/* At most so many capsules arrive at it. */
void slice_provider_limit(struct slice_provider *provider, u32 n_max);
/* How many capsules more layers of that rank take, U32_MAX: any number;
 * *ret_found: there is one. */
u32 slice_layer_room(u32 rank, bool *ret_found);
/* Who plugs a capsule of that layer?  With a reference of the provider, if it
 * is one, that goes to the capsule.  NULL and *ret_why if nobody. */
const struct slice_layer_ops *
slice_layer_find(const struct slice_image_capsule *capsule,
		 enum slice_why *ret_why);
/* Has its provider died, or said that it takes nothing any more?  Never, if it is
 * a kernel layer. */
bool slice_layer_is_leaving(const struct slice_layer_ops *ops);
/* Takes a capsule away that its layer ends.  A connection that was plugged for
 * it and that it has not taken is closed, if nobody else needs it. */
void slice_provider_end(struct slice_capsule *capsule);
/* Gives back what slice_layer_find() took. */
void slice_layer_put(const struct slice_layer_ops *ops);
/* The kernel's layers and those with a live provider, at most @room; how many
 * were filled in. */
u32 slice_layer_list(struct slice_layer_desc *layers, u32 room);
/* @changed is called when what slice_layer_list() gives has changed. */
void slice_layer_listen(void (*changed)(void));
/* The provider behind a capsule's operations, or NULL: a kernel layer. */
struct slice_provider *slice_provider_of(const struct slice_layer_ops *ops);

/* ---- room.c: capsules of providers ---- */
extern const struct rhashtable_params slice_room_key_params;
/* Makes a capsule: -EEXIST, -ENOSPC, -ENOMEM, -ENODEV. With a reference. */
struct slice_room *slice_room_register(struct slice_provider *provider,
				       u64 handle, const struct slice_key *key,
				       u64 bytes);
/* The room of a capsule that is arriving; not indexed yet.  ERR_PTR: -ENOMEM,
 * -ENOSPC (its user's limits). */
struct slice_room *slice_room_new(struct slice_provider *provider, u64 bytes);
/* Makes it findable by key, handle and id, if it is not:
 * -EEXIST, -ENOMEM, -ENODEV. */
int slice_room_index(struct slice_room *room, struct slice_capsule *capsule);
void slice_room_unindex(struct slice_room *room);
/* Only the handle: the layer may give it to something else from now on. */
void slice_room_drop_handle(struct slice_room *room);
void slice_room_put(struct slice_room *room);
/* Found rooms come with a reference of room->capsule, which holds the room. */
struct slice_room *slice_room_find_key(struct slice_provider *provider,
				       const struct slice_key *key);
struct slice_room *slice_room_find_handle(struct slice_provider *provider,
					  u64 handle);
struct slice_room *slice_room_find_id(struct slice_provider *provider,
				      struct slice_id id, bool next);
u64 slice_room_offset(const struct slice_room *room);
u64 slice_room_bytes(const struct slice_room *room);
/* The page, made if need be; NULL: no memory. */
struct page *slice_room_page(struct slice_room *room, u32 index);
/* @vma maps part of a room: -EINVAL, -ENXIO (nothing there). */
int slice_room_mmap(struct slice_provider *provider,
		    struct vm_area_struct *vma);

/* ---- room-ops.c: the operations of all providers' capsules ---- */
extern const struct slice_layer_ops slice_room_ops;
/* PLUG_DONE: 0, -ESTALE (nobody waits), -EEXIST (the handle). */
int slice_room_plug_done(struct slice_room *room, u64 handle, int status);

/* ---- events.c ---- */
void slice_events_init(struct slice_events *events);
void slice_events_destroy(struct slice_events *events);
struct slice_event_node *slice_event_new(struct slice_provider *provider);
/* Takes @node over. */
void slice_events_send(struct slice_events *events,
		       struct slice_event_node *node);
/* Takes back an unread event: was there one? */
bool slice_events_cancel(struct slice_events *events, struct slice_id capsule,
			 enum slice_event_type type);
ssize_t slice_events_read(struct slice_events *events, char __user *to,
			  size_t bytes, bool nowait);

#endif /* SLICE_LAYER_H */
