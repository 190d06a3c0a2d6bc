// SPDX-License-Identifier: GPL-2.0
/*
 * request-move.c - requests that list slices and drive one through its states
 *
 * Below: plug.h.  Above: request.c.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "chardev.h"
#include "plug.h"

#define SLICE_TIMEOUT_MS_MAX	600000

/**
 * struct slice_request_lister - LIST under way
 * @to: user's array
 * @room: of it
 * @n: slices seen
 */
struct slice_request_lister {
	struct slice_list_entry __user *to;
	u32 room;
	u32 n;
};

static int slice_request_list_one(void *opaque, struct slice *slice)
{
	struct slice_request_lister *lister = opaque;
	struct slice_status status;
	struct slice_list_entry entry;

	if (lister->n++ >= lister->room)
		return 0;
	slice_status_of(slice, &status);
	entry = (struct slice_list_entry){
		.slice = status.slice,
		.top = status.top,
		.state = status.state,
		.movability = status.movability,
		.why = status.why,
		.n_capsules = status.n_capsules,
		.n_connections = status.n_connections,
		.n_refs = status.n_refs,
		.memory_bytes = status.memory_bytes,
	};
	memcpy(entry.label, status.label, sizeof(entry.label));
	return copy_to_user(&lister->to[lister->n - 1], &entry,
			    sizeof(entry)) ? -EFAULT : 0;
}

int slice_request_list(struct slice_opener *opener, union slice_request *r)
{
	struct slice_request_lister lister = {
		.to = u64_to_user_ptr(r->list.entries),
		.room = r->list.n_entries,
	};
	int ret;

	ret = slice_registry_for_each(slice_request_list_one, &lister);
	r->list.n_entries = lister.n;
	if (!ret && lister.n > lister.room)
		ret = -ENOSPC;
	return ret;
}

/* People and tests may name a slice by any of its capsules. */
static struct slice_id slice_request_slice(const struct slice_move *move)
{
	struct slice *slice = slice_registry_find_slice(move->slice);
	struct slice_id id = move->slice;

	if (slice) {
		spin_lock_bh(&slice_registry_lock);
		id = slice->id;
		spin_unlock_bh(&slice_registry_lock);
	}
	slice_put(slice);
	return id;
}

static u32 slice_request_timeout(const struct slice_move *move)
{
	return move->timeout_ms ? move->timeout_ms : SLICE_PLUG_TIMEOUT_MS;
}

/* Of every request but QUIESCE: 0 = SLICE_PLUG_TIMEOUT_MS. */
static bool slice_request_timeout_is_good(const struct slice_move *move)
{
	return move->timeout_ms <= SLICE_TIMEOUT_MS_MAX;
}

static int slice_request_told(struct slice_move *move, int ret,
			      enum slice_why why)
{
	move->why = ret ? why : SLICE_WHY_NONE;
	return ret;
}

int slice_request_quiesce(struct slice_opener *opener, union slice_request *r)
{
	enum slice_why why = SLICE_WHY_NONE;
	int ret;

	if (!r->move.timeout_ms || !slice_request_timeout_is_good(&r->move))
		return -EINVAL;
	ret = slice_plug_quiesce(slice_request_slice(&r->move),
				 r->move.timeout_ms, NULL, &why);
	return slice_request_told(&r->move, ret, why);
}

static int slice_request_copy_piece(void *opaque, void *kaddr, size_t bytes)
{
	u8 __user **to = opaque;

	if (copy_to_user(*to, kaddr, bytes))
		return -EFAULT;
	*to += bytes;
	return 0;
}

static int slice_request_copy_image(void *opaque, struct slice *slice,
				    const struct slice_image *image)
{
	struct slice_move *move = opaque;
	u8 __user *to = u64_to_user_ptr(move->image);
	u64 room = move->image_bytes;

	move->image_bytes = slice_image_bytes(image);
	if (room < move->image_bytes)
		return -ENOSPC;
	return slice_image_for_each_piece(image, slice_request_copy_piece, &to);
}

int slice_request_unplug(struct slice_opener *opener, union slice_request *r)
{
	enum slice_why why = SLICE_WHY_NONE;
	int ret;

	if (!slice_request_timeout_is_good(&r->move))
		return -EINVAL;
	ret = slice_plug_unplug(slice_request_slice(&r->move),
				slice_request_timeout(&r->move),
				slice_request_copy_image, &r->move, &why);
	return slice_request_told(&r->move, ret, why);
}

int slice_request_plug(struct slice_opener *opener, union slice_request *r)
{
	struct slice_move *move = &r->move;
	enum slice_why why = SLICE_WHY_NONE;
	void *data;
	int ret;

	if (!slice_request_timeout_is_good(move))
		return -EINVAL;
	if (!move->image_bytes || move->image_bytes > SLICE_IMAGE_BYTES_MAX)
		return slice_request_told(move, -EPROTO, SLICE_WHY_IMAGE);
	data = kvmalloc(move->image_bytes, GFP_KERNEL_ACCOUNT);
	if (!data)
		return slice_request_told(move, -ENOMEM, SLICE_WHY_MEMORY);
	ret = -EFAULT;
	if (!copy_from_user(data, u64_to_user_ptr(move->image),
			    move->image_bytes))
		ret = slice_plug_plug(data, move->image_bytes,
				      slice_request_timeout(move),
				      &move->slice, &why);
	kvfree(data);
	return slice_request_told(move, ret, why);
}

int slice_request_finish(struct slice_opener *opener, union slice_request *r)
{
	struct slice_move *move = &r->move;
	struct slice_id id = slice_request_slice(move);
	enum slice_why why = SLICE_WHY_NONE;
	int ret;

	if (!slice_request_timeout_is_good(move))
		return -EINVAL;
	switch (move->flags) {
	case SLICE_FINISH_RESUME:
		ret = slice_plug_resume(id, slice_request_timeout(move), &why);
		break;
	case SLICE_FINISH_FORGET:
		ret = slice_plug_forget(id, false, &why);
		break;
	case SLICE_FINISH_OPEN:
		ret = slice_plug_open(id, &why);
		break;
	case SLICE_FINISH_DISCARD:
		ret = slice_plug_discard(id, &why);
		break;
	default:
		return -EINVAL;
	}
	return slice_request_told(move, ret, why);
}
