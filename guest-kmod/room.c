// SPDX-License-Identifier: GPL-2.0
/*
 * room.c - the memory and the names of a provider's capsules
 *
 * Pages are made when they are first touched, charged to whoever touches them,
 * and never taken away while the room lives, so that a pointer once seen in
 * room->pages stays good.  What the provider may register is limited by room,
 * not by pages, so that a limit is met where it can be reported.
 *
 * Below: layer.h.  Above: room-ops.c, chardev.c.
 */
#include <linux/mm.h>
#include <linux/rhashtable.h>
#include <linux/slab.h>

#include "compat.h"
#include "layer.h"
#include "user.h"

/* A room starts at a multiple of the largest one in the space of offsets. */
#define SLICE_ROOM_STRIDE_SHIFT	24

static_assert(SLICE_CAPSULE_BYTES_MAX == 1u << SLICE_ROOM_STRIDE_SHIFT);

const struct rhashtable_params slice_room_key_params = {
	.key_len = sizeof(struct slice_key),
	.key_offset = offsetof(struct slice_room, key),
	.head_offset = offsetof(struct slice_room, in_keys),
	.automatic_shrinking = true,
};

u64 slice_room_bytes(const struct slice_room *room)
{
	return (u64)room->n_pages << PAGE_SHIFT;
}

u64 slice_room_offset(const struct slice_room *room)
{
	return room->n_pages ?
	       (u64)room->offset_index << SLICE_ROOM_STRIDE_SHIFT : 0;
}

/* ---- life ---- */

struct slice_room *slice_room_new(struct slice_provider *provider, u64 bytes)
{
	struct slice_room *room;
	int ret = -ENOMEM;

	room = kzalloc(sizeof(*room), GFP_KERNEL_ACCOUNT);
	if (!room)
		return ERR_PTR(-ENOMEM);
	kref_init(&room->ref);
	init_completion(&room->answered);
	RB_CLEAR_NODE(&room->in_ids);
	room->n_pages = PAGE_ALIGN(bytes) >> PAGE_SHIFT;
	if (room->n_pages) {
		room->pages = kvcalloc(room->n_pages, sizeof(*room->pages),
				       GFP_KERNEL_ACCOUNT);
		if (!room->pages)
			goto err_free;
	}
	ret = slice_user_charge(provider->user, slice_room_bytes(room));
	if (ret)
		goto err_free_pages;
	room->provider = slice_provider_get(provider);
	return room;

err_free_pages:
	kvfree(room->pages);
err_free:
	kfree(room);
	return ERR_PTR(ret);
}

static void slice_room_free(struct kref *ref)
{
	struct slice_room *room = container_of(ref, struct slice_room, ref);
	u32 i;

	for (i = 0; i < room->n_pages; i++)
		if (room->pages[i])
			put_page(room->pages[i]);
	for (i = 0; i < ARRAY_SIZE(room->spare); i++)
		kfree(room->spare[i]);
	kvfree(room->pages);
	slice_user_uncharge(room->provider->user, slice_room_bytes(room));
	slice_provider_put(room->provider);
	kfree(room);
}

void slice_room_put(struct slice_room *room)
{
	if (room)
		kref_put(&room->ref, slice_room_free);
}

/* ---- indices, under provider->lock ---- */

static int slice_id_compare(struct slice_id a, struct slice_id b)
{
	if (a.incarnation != b.incarnation)
		return a.incarnation < b.incarnation ? -1 : 1;
	if (a.counter != b.counter)
		return a.counter < b.counter ? -1 : 1;
	return 0;
}

static void slice_room_insert_id(struct slice_room *room)
{
	struct rb_node **at = &room->provider->by_id.rb_node, *parent = NULL;
	struct slice_room *other;

	while (*at) {
		parent = *at;
		other = rb_entry(parent, struct slice_room, in_ids);
		at = slice_id_compare(room->capsule->id,
				      other->capsule->id) < 0 ?
		     &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(&room->in_ids, parent, at);
	rb_insert_color(&room->in_ids, &room->provider->by_id);
}

static int slice_room_index_handle(struct slice_room *room, u64 handle)
{
	int ret;

	if (!handle)
		return 0;
	ret = xa_insert(&room->provider->by_handle, handle, room, GFP_KERNEL);
	if (ret)
		return ret == -EBUSY ? -EEXIST : ret;
	room->handle = handle;
	return 0;
}

static void slice_room_unindex_handle(struct slice_room *room)
{
	if (room->handle)
		xa_erase(&room->provider->by_handle, room->handle);
	room->handle = 0;
}

static int slice_room_index_key(struct slice_room *room)
{
	if (!room->key.bytes)
		return 0;
	return rhashtable_lookup_insert_fast(&room->provider->by_key,
					     &room->in_keys,
					     slice_room_key_params);
}

static int slice_room_index_locked(struct slice_room *room)
{
	struct slice_provider *provider = room->provider;
	u64 handle = room->handle;
	int ret;

	if (room->is_indexed)
		return 0;
	/* From here on a handle that is not 0 is in the table. */
	room->handle = 0;
	if (provider->is_dead)
		return -ENODEV;
	if (provider->bytes + slice_room_bytes(room) >
	    slice_provider_bytes_max)
		return -ENOSPC;
	ret = idr_alloc(&provider->by_offset, room, 1, SLICE_CAPSULES_MAX + 1,
			GFP_KERNEL);
	if (ret < 0)
		return ret;
	room->offset_index = ret;
	ret = slice_room_index_key(room);
	if (ret)
		goto err_remove_offset;
	ret = slice_room_index_handle(room, handle);
	if (ret)
		goto err_remove_key;
	slice_room_insert_id(room);
	if (room->key.bytes)
		slice_digest_add(room);
	provider->bytes += slice_room_bytes(room);
	provider->n_capsules++;
	room->is_indexed = true;
	return 0;

err_remove_key:
	if (room->key.bytes)
		rhashtable_remove_fast(&provider->by_key, &room->in_keys,
				       slice_room_key_params);
err_remove_offset:
	idr_remove(&provider->by_offset, room->offset_index);
	room->offset_index = 0;
	return ret;
}

int slice_room_index(struct slice_room *room, struct slice_capsule *capsule)
{
	int ret;

	mutex_lock(&room->provider->lock);
	room->capsule = capsule;
	ret = slice_room_index_locked(room);
	mutex_unlock(&room->provider->lock);
	return ret;
}

void slice_room_unindex(struct slice_room *room)
{
	struct slice_provider *provider = room->provider;

	mutex_lock(&provider->lock);
	if (room->is_indexed) {
		room->is_indexed = false;
		provider->n_capsules--;
		provider->bytes -= slice_room_bytes(room);
		rb_erase(&room->in_ids, &provider->by_id);
		slice_digest_del(room);
		if (room->key.bytes)
			rhashtable_remove_fast(&provider->by_key,
					       &room->in_keys,
					       slice_room_key_params);
		idr_remove(&provider->by_offset, room->offset_index);
	}
	slice_room_unindex_handle(room);
	mutex_unlock(&provider->lock);
}

void slice_room_drop_handle(struct slice_room *room)
{
	mutex_lock(&room->provider->lock);
	slice_room_unindex_handle(room);
	mutex_unlock(&room->provider->lock);
}

static struct slice_room *slice_room_hold(struct slice_room *room)
{
	return room && slice_capsule_tryget(room->capsule) ? room : NULL;
}

struct slice_room *slice_room_find_key(struct slice_provider *provider,
				       const struct slice_key *key)
{
	struct slice_room *room;

	mutex_lock(&provider->lock);
	room = slice_room_hold(rhashtable_lookup_fast(&provider->by_key, key,
						      slice_room_key_params));
	mutex_unlock(&provider->lock);
	return room;
}

struct slice_room *slice_room_find_handle(struct slice_provider *provider,
					  u64 handle)
{
	struct slice_room *room;

	mutex_lock(&provider->lock);
	room = slice_room_hold(xa_load(&provider->by_handle, handle));
	mutex_unlock(&provider->lock);
	return room;
}

/* The first with an id not below @id; above it when @next. */
static struct slice_room *slice_room_seek(struct slice_provider *provider,
					  struct slice_id id, bool next)
{
	struct rb_node *at = provider->by_id.rb_node;
	struct slice_room *room, *best = NULL;
	int order;

	while (at) {
		room = rb_entry(at, struct slice_room, in_ids);
		order = slice_id_compare(room->capsule->id, id);
		if (order > 0 || (order == 0 && !next)) {
			best = room;
			at = at->rb_left;
		} else {
			at = at->rb_right;
		}
	}
	return best;
}

struct slice_room *slice_room_find_id(struct slice_provider *provider,
				      struct slice_id id, bool next)
{
	struct slice_room *room;

	mutex_lock(&provider->lock);
	room = slice_room_seek(provider, id, next);
	if (room && !next && !slice_id_equal(room->capsule->id, id))
		room = NULL;
	room = slice_room_hold(room);
	mutex_unlock(&provider->lock);
	return room;
}

struct slice_room *slice_room_register(struct slice_provider *provider,
				       u64 handle, const struct slice_key *key,
				       u64 bytes)
{
	struct slice_capsule *capsule;
	struct slice_room *room;
	int ret;

	room = slice_room_new(provider, bytes);
	if (IS_ERR(room))
		return room;
	room->key = *key;
	room->handle = handle;
	slice_provider_get(provider);
	capsule = slice_capsule_create(&provider->ops, room, false,
				       GFP_KERNEL_ACCOUNT);
	if (IS_ERR(capsule)) {
		slice_provider_put(provider);
		slice_room_put(room);
		return ERR_CAST(capsule);
	}
	slice_capsule_get(capsule);
	ret = slice_room_index(room, capsule);
	if (ret)
		goto err_remove_capsule;
	return room;

err_remove_capsule:
	slice_capsule_remove(capsule);
	slice_capsule_put(capsule);
	return ERR_PTR(ret);
}

/* ---- memory ---- */

struct page *slice_room_page(struct slice_room *room, u32 index)
{
	struct page *page, *there;

	page = READ_ONCE(room->pages[index]);
	if (page)
		return page;
	page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!page)
		return NULL;
	there = cmpxchg(&room->pages[index], NULL, page);
	if (there) {
		put_page(page);
		return there;
	}
	atomic_inc(&room->n_used);
	return page;
}

/* First touches are rare, and what they report is coalesced. */
static void slice_room_report(struct slice_room *room)
{
	mutex_lock(&room->provider->lock);
	if (room->is_indexed)
		slice_capsule_grew(room->capsule);
	mutex_unlock(&room->provider->lock);
}

static vm_fault_t slice_room_fault(struct vm_fault *vmf)
{
	struct slice_room *room = vmf->vma->vm_private_data;
	pgoff_t index = vmf->pgoff & ((1u << (SLICE_ROOM_STRIDE_SHIFT -
					      PAGE_SHIFT)) - 1);
	struct page *page;
	bool is_first;

	if (index >= room->n_pages)
		return VM_FAULT_SIGBUS;
	is_first = !READ_ONCE(room->pages[index]);
	page = slice_room_page(room, index);
	if (!page)
		return VM_FAULT_OOM;
	if (is_first)
		slice_room_report(room);
	get_page(page);
	vmf->page = page;
	return 0;
}

static void slice_room_vma_open(struct vm_area_struct *vma)
{
	struct slice_room *room = vma->vm_private_data;

	kref_get(&room->ref);
}

static void slice_room_vma_close(struct vm_area_struct *vma)
{
	slice_room_put(vma->vm_private_data);
}

static const struct vm_operations_struct slice_room_vm_ops = {
	.open = slice_room_vma_open,
	.close = slice_room_vma_close,
	.fault = slice_room_fault,
};

int slice_room_mmap(struct slice_provider *provider,
		    struct vm_area_struct *vma)
{
	const u32 shift = SLICE_ROOM_STRIDE_SHIFT - PAGE_SHIFT;
	u64 first = vma->vm_pgoff & ((1u << shift) - 1);
	struct slice_room *room;

	if (vma->vm_pgoff >> shift > SLICE_CAPSULES_MAX)
		return -EINVAL;
	mutex_lock(&provider->lock);
	room = idr_find(&provider->by_offset, vma->vm_pgoff >> shift);
	if (room)
		kref_get(&room->ref);
	mutex_unlock(&provider->lock);
	if (!room)
		return -ENXIO;
	if (first + vma_pages(vma) > room->n_pages) {
		slice_room_put(room);
		return -EINVAL;
	}
	vm_flags_set(vma, VM_DONTCOPY | VM_DONTEXPAND);
	vma->vm_private_data = room;
	vma->vm_ops = &slice_room_vm_ops;
	return 0;
}
