// SPDX-License-Identifier: GPL-2.0
/*
 * plug.c - making an image of a drained slice, and a slice of an image
 *
 * Unplugging goes up through the ranks and appends to the image; if a layer
 * fails, what was unplugged so far is plugged again from that same image, cut
 * after the last whole capsule and sealed.  Plugging makes the capsules and their links first, then
 * goes up through the ranks too.  An aborted move, a failed unplug and an
 * arrival all run through slice_plug_members() and slice_plug_state().
 *
 * Below: registry.h, image.h, layer.h.  Above: request-move.c, virtio.c.
 * Source: paper sections 2.2 and 3.1.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/skbuff.h>
#include <linux/slab.h>

#include "layer.h"
#include "plug.h"
#include "report.h"
#include "reserve.h"
#include "tcp.h"

static enum slice_why slice_plug_why(int error)
{
	switch (error) {
	case -ENOMEM:
	case -ENOSPC:
		return SLICE_WHY_MEMORY;
	case -ETIMEDOUT:
		return SLICE_WHY_DEADLINE;
	case -ENODEV:
		return SLICE_WHY_NO_LAYER;
	case -EPROTO:
	case -EPROTONOSUPPORT:
		return SLICE_WHY_IMAGE;
	case -EADDRINUSE:
	case -EADDRNOTAVAIL:
		return SLICE_WHY_TUPLE_IN_USE;
	case -EOPNOTSUPP:
		return SLICE_WHY_STATE;
	case -E2BIG:
		return SLICE_WHY_TOO_LARGE;
	default:
		return SLICE_WHY_LAYER_REFUSED;
	}
}

/* Which errno of the documented ones says it best. */
static int slice_plug_errno(int error)
{
	switch (error) {
	case 0:
	case -ENOMEM:
	case -ENOSPC:
	case -EPROTO:
	case -EOPNOTSUPP:
	case -EINTR:
	case -EFAULT:
		return error;
	case -EPROTONOSUPPORT:
		return -EPROTO;
	case -E2BIG:
		return -EOPNOTSUPP;
	default:
		return -EBUSY;
	}
}

static int slice_plug_state_error(enum slice_why *ret_why)
{
	*ret_why = SLICE_WHY_MOVING;
	return -EBUSY;
}

/* ---- plugging from an image ---- */

/* Makes the capsules that are not there yet: all of them, on arrival.  Of one
 * that the image does not hold (@is_whole) and that has ended nothing is made. */
static int slice_plug_member(struct slice *slice,
			     const struct slice_image_capsule *c, u32 index,
			     bool is_whole, enum slice_why *ret_why)
{
	struct slice_id id = {
		.incarnation = le64_to_cpu(c->incarnation),
		.counter = le64_to_cpu(c->counter),
	};
	const struct slice_layer_ops *ops;
	struct slice_capsule *capsule;

	capsule = slice_registry_find_capsule(id);
	if (capsule && capsule->slice == slice) {
		capsule->index = index;
		slice_capsule_put(capsule);
		return 0;
	}
	slice_capsule_put(capsule);
	if (!is_whole)
		return 0;
	ops = slice_layer_find(c, ret_why);
	if (!ops)
		return -EOPNOTSUPP;
	capsule = slice_capsule_arrive(slice, ops, id,
				       le32_to_cpu(c->flags) & SLICE_IMAGE_TOP);
	if (IS_ERR(capsule)) {
		slice_layer_put(ops);
		*ret_why = PTR_ERR(capsule) == -EBUSY ? SLICE_WHY_MOVING :
							SLICE_WHY_MEMORY;
		return PTR_ERR(capsule);
	}
	capsule->index = index;
	return 0;
}

static struct slice_capsule *
slice_plug_find_index(const struct slice_set *set, u32 index)
{
	u32 i;

	for (i = 0; i < set->n; i++)
		if (set->capsules[i]->index == index)
			return set->capsules[i];
	return NULL;
}

static int slice_plug_links(struct slice *slice,
			    const struct slice_image_reader *reader,
			    u32 n_whole, enum slice_why *ret_why)
{
	struct slice_capsule *from, *to;
	struct slice_set set;
	int ret = 0;
	u32 i;

	slice_set_take(slice, &set);
	for (i = 0; i < reader->n_deps && !ret; i++) {
		from = slice_plug_find_index(&set,
				le32_to_cpu(reader->deps[i]->from));
		to = slice_plug_find_index(&set,
				le32_to_cpu(reader->deps[i]->to));
		if (from && to)
			ret = slice_capsule_arrive_dep(from, to);
		else if (n_whole == reader->n_capsules)
			ret = -ESTALE;
	}
	slice_set_drop(&set);
	if (ret == -EINVAL) {
		/* Ranks that go the wrong way, or in a circle. */
		ret = -EPROTO;
	}
	if (ret)
		*ret_why = slice_plug_why(ret);
	return ret;
}

static void slice_plug_set_labels(struct slice *slice,
				  const struct slice_image_reader *reader)
{
	const struct slice_image_record *record;
	struct slice_capsule *capsule;
	struct slice_set set;
	u32 i;

	slice_set_take(slice, &set);
	for (i = 0; i < reader->n_state; i++) {
		record = reader->state[i];
		if (record->type != cpu_to_le16(SLICE_RECORD_LABEL))
			continue;
		capsule = slice_plug_find_index(&set,
						le32_to_cpu(record->index));
		if (!capsule)
			continue;
		spin_lock_bh(&slice_registry_lock);
		memset(capsule->label, 0, sizeof(capsule->label));
		memcpy(capsule->label, record + 1,
		       le64_to_cpu(record->bytes));
		spin_unlock_bh(&slice_registry_lock);
	}
	slice_set_drop(&set);
}

/* @n_whole: so many capsules, from the first one on, are in the image. */
static int slice_plug_members(struct slice *slice,
			      const struct slice_image_reader *reader,
			      u32 n_whole, enum slice_why *ret_why)
{
	u32 i;
	int ret;

	for (i = 0; i < reader->n_capsules; i++) {
		ret = slice_plug_member(slice, reader->capsules[i], i,
					i < n_whole, ret_why);
		if (ret)
			return ret;
	}
	slice_plug_set_labels(slice, reader);
	return slice_plug_links(slice, reader, n_whole, ret_why);
}

static void slice_plug_undo(const struct slice_set *set, u32 n)
{
	struct slice_capsule *capsule;

	while (n) {
		capsule = set->capsules[--n];
		if (capsule->phase != SLICE_PHASE_PLUGGED)
			continue;
		capsule->ops->discard(capsule);
		slice_capsule_set_phase(capsule, SLICE_PHASE_UNPLUGGED);
	}
}

/* Plugs what is unplugged, lowest rank first; on error nothing is plugged. */
static int slice_plug_state(struct slice *slice,
			    const struct slice_image_reader *reader,
			    enum slice_why *ret_why)
{
	struct slice_capsule *capsule;
	struct slice_set set;
	int ret = 0;
	u32 i;

	slice_set_take(slice, &set);
	for (i = 0; i < set.n; i++) {
		capsule = set.capsules[i];
		if (capsule->phase != SLICE_PHASE_UNPLUGGED)
			continue;
		ret = capsule->ops->plug(capsule, reader, capsule->index);
		if (ret)
			break;
		slice_capsule_set_phase(capsule, SLICE_PHASE_PLUGGED);
	}
	if (ret) {
		*ret_why = slice_plug_why(ret);
		pr_info_ratelimited("slice: %llx:%llu: layer %s does not plug its capsule: error %d\n",
				    slice->id.incarnation, slice->id.counter,
				    set.capsules[i]->ops->name, ret);
		slice_plug_undo(&set, i);
	}
	slice_set_drop(&set);
	return ret;
}

/* Whose provider has died meanwhile, or takes nothing any more as it is about to
 * end, goes: so that another of its layer may take it up from the image. */
static void slice_plug_remove_orphans(struct slice *slice)
{
	struct slice_set set;
	u32 i;

	slice_set_take(slice, &set);
	for (i = set.n; i > 0; i--)
		if (set.capsules[i - 1]->phase == SLICE_PHASE_UNPLUGGED &&
		    slice_layer_is_leaving(set.capsules[i - 1]->ops))
			slice_capsule_remove(set.capsules[i - 1]);
	slice_set_drop(&set);
}

/* Plugs from an image that this kernel has written. */
static int slice_plug_kept(struct slice *slice, const struct slice_image *image,
			   u32 n_whole, enum slice_why *ret_why)
{
	u64 bytes = slice_image_bytes(image);
	struct slice_image_reader reader;
	void *data;
	int ret;

	data = kvmalloc(bytes, GFP_KERNEL);
	if (!data) {
		*ret_why = SLICE_WHY_MEMORY;
		return -ENOMEM;
	}
	slice_image_copy(image, 0, data, bytes);
	ret = slice_image_open_kept(data, bytes, &reader);
	if (ret) {
		*ret_why = slice_plug_why(ret);
		goto out_free;
	}
	slice_plug_remove_orphans(slice);
	ret = slice_plug_members(slice, &reader,
				 min(n_whole, reader.n_capsules), ret_why);
	if (!ret)
		ret = slice_plug_state(slice, &reader, ret_why);
	slice_image_close(&reader);
out_free:
	kvfree(data);
	return ret;
}

/* ---- the end of capsules ---- */

/* Takes away all that are unplugged, highest rank first. */
static void slice_plug_remove_unplugged(struct slice *slice)
{
	struct slice_capsule *capsule;
	struct slice_set set;
	u32 i;

	slice_set_take(slice, &set);
	for (i = set.n; i > 0; i--) {
		capsule = set.capsules[i - 1];
		if (capsule->phase != SLICE_PHASE_UNPLUGGED)
			continue;
		slice_capsule_remove(capsule);
	}
	slice_set_drop(&set);
}

static void slice_plug_drop_image(struct slice *slice)
{
	slice_image_free(slice->image);
	slice->image = NULL;
}

/* What nobody came to fetch from the mutes is dropped. */
static void slice_plug_forget_one(struct slice_capsule *capsule)
{
	struct sk_buff_head caught;

	if (capsule->ops == &slice_tcp_ops) {
		__skb_queue_head_init(&caught);
		slice_tcp_settle(capsule, &caught);
		__skb_queue_purge(&caught);
	}
	if (capsule->ops->forget)
		capsule->ops->forget(capsule);
}

/* ---- unplugging ---- */

static void slice_plug_describe(const struct slice *slice,
				struct slice_capsule *capsule,
				struct slice_image_capsule *ret_record)
{
	struct slice_image_capsule c = {
		.incarnation = cpu_to_le64(capsule->id.incarnation),
		.counter = cpu_to_le64(capsule->id.counter),
		.layer_version = cpu_to_le32(capsule->ops->version),
		.abi_hash = cpu_to_le64(capsule->ops->abi_hash),
	};
	struct slice_room *room;

	memcpy(c.layer, capsule->ops->name, sizeof(c.layer));
	if (slice_id_equal(capsule->id, slice->id))
		c.flags = cpu_to_le32(SLICE_IMAGE_TOP);
	if (slice_provider_of(capsule->ops)) {
		room = slice_capsule_priv(capsule);
		c.room_bytes = cpu_to_le64(slice_room_bytes(room));
		c.key_bytes = cpu_to_le32(room->key.bytes);
		memcpy(c.key, room->key.key, sizeof(c.key));
	}
	*ret_record = c;
}

/* The links of capsules that were given an index, at most @room of them. */
static u32 slice_plug_collect_links(const struct slice_set *set,
				    struct slice_image_dep *deps, u32 room)
{
	struct slice_link *link;
	u32 i, n = 0;

	spin_lock_bh(&slice_registry_lock);
	for (i = 0; i < set->n; i++)
		list_for_each_entry(link, &set->capsules[i]->needs, in_needs) {
			if (n == room)
				break;
			deps[n].from = cpu_to_le32(link->from->index);
			deps[n].to = cpu_to_le32(link->to->index);
			n++;
		}
	spin_unlock_bh(&slice_registry_lock);
	return n;
}

static int slice_plug_add_links(struct slice_image *image,
				const struct slice_set *set)
{
	struct slice_image_dep *deps;
	u32 i, n;
	int ret = 0;

	deps = kvcalloc(SLICE_IMAGE_DEPS_MAX, sizeof(*deps), GFP_KERNEL);
	if (!deps)
		return -ENOMEM;
	n = slice_plug_collect_links(set, deps, SLICE_IMAGE_DEPS_MAX);
	for (i = 0; i < n && !ret; i++)
		ret = slice_image_add(image, SLICE_RECORD_DEP,
				      SLICE_RECORD_MUST, 0, &deps[i],
				      sizeof(deps[i]));
	kvfree(deps);
	return ret;
}

static int slice_plug_add_labels(struct slice_image *image,
				 const struct slice_set *set)
{
	size_t bytes;
	int ret = 0;
	u32 i;

	for (i = 0; i < set->n && !ret; i++) {
		bytes = strnlen(set->capsules[i]->label, SLICE_LABEL_BYTES);
		if (bytes)
			ret = slice_image_add(image, SLICE_RECORD_LABEL, 0, i,
					      set->capsules[i]->label, bytes);
	}
	return ret;
}

static int slice_plug_add_head(struct slice *slice, struct slice_image *image,
			       const struct slice_set *set)
{
	struct slice_image_capsule record;
	bool has_top = false;
	u32 i;
	int ret;

	for (i = 0; i < set->n; i++) {
		set->capsules[i]->index = i;
		has_top |= slice_id_equal(set->capsules[i]->id, slice->id);
		slice_plug_describe(slice, set->capsules[i], &record);
		ret = slice_image_add(image, SLICE_RECORD_CAPSULE,
				      SLICE_RECORD_MUST, 0, &record,
				      sizeof(record));
		if (ret)
			return ret;
	}
	if (!has_top)
		return -ESTALE;
	ret = slice_plug_add_links(image, set);
	if (ret)
		return ret;
	return slice_plug_add_labels(image, set);
}

static int slice_plug_take_one(struct slice_capsule *capsule,
			       struct slice_image *image)
{
	struct slice_image_mark mark;
	int ret;

	if (capsule->phase != SLICE_PHASE_FROZEN)
		return -EBUSY;
	slice_image_mark(image, &mark);
	ret = capsule->ops->unplug(capsule, image, capsule->index);
	if (ret)
		slice_image_cut(image, &mark);
	else
		slice_capsule_set_phase(capsule, SLICE_PHASE_UNPLUGGED);
	return ret;
}

static int slice_plug_take_all(struct slice *slice, struct slice_image *image,
			       u32 *ret_n)
{
	struct slice_set set;
	int ret;
	u32 i;

	slice_set_take(slice, &set);
	ret = set.n && set.n <= SLICE_IMAGE_CAPSULES_MAX ?
	      slice_plug_add_head(slice, image, &set) : -ESTALE;
	for (i = 0; i < set.n && !ret; i++) {
		ret = slice_plug_take_one(set.capsules[i], image);
		*ret_n += !ret;
	}
	slice_set_drop(&set);
	return ret;
}

/* The last of its layers may have ended while the image was made. */
static int slice_plug_keep(struct slice *slice, struct slice_image *image,
			   u32 n_whole)
{
	int ret = -ESTALE;

	spin_lock_bh(&slice_registry_lock);
	if (!slice->is_dead) {
		slice->image = image;
		slice->n_whole = n_whole;
		slice->state = SLICE_STATE_UNPLUGGED;
		ret = 0;
	}
	spin_unlock_bh(&slice_registry_lock);
	return ret;
}

/*
 * Plugs again what was unplugged before a layer failed: the slice is DRAINED
 * again.  If that fails too (what had no memory may have none now) nothing is
 * lost: the image is kept, with which the next RESUME brings it back.  Takes
 * @image over.
 */
static void slice_plug_take_back(struct slice *slice, struct slice_image *image,
				 u32 n_whole)
{
	enum slice_why why = SLICE_WHY_NONE;
	int ret;

	ret = slice_image_seal(image, 0);
	if (!ret)
		ret = slice_plug_kept(slice, image, n_whole, &why);
	if (ret) {
		pr_warn("slice: %llx:%llu stands still until it is resumed: plugging it again after a failed unplug: error %d, why %d\n",
			slice->id.incarnation, slice->id.counter, ret, why);
		if (!slice_plug_keep(slice, image, n_whole))
			return;
	}
	slice_image_free(image);
}

static int slice_plug_make_image(struct slice *slice, enum slice_why *ret_why)
{
	struct slice_image *image = slice_image_new(slice->id);
	int ret = -ENOMEM;
	u32 n_taken = 0;

	if (image)
		ret = slice_plug_take_all(slice, image, &n_taken);
	if (!ret)
		ret = slice_image_seal(image, ktime_get_ns() -
				       slice->frozen_ns);
	if (ret) {
		*ret_why = slice_plug_why(ret);
		if (n_taken)
			slice_plug_take_back(slice, image, n_taken);
		else
			slice_image_free(image);
		return ret;
	}
	ret = slice_plug_keep(slice, image, U32_MAX);
	if (ret) {
		*ret_why = SLICE_WHY_GONE;
		slice_image_free(image);
	}
	return ret;
}

int slice_plug_unplug(struct slice_id id, u32 timeout_ms,
		      slice_plug_consume_fn consume, void *opaque,
		      enum slice_why *ret_why)
{
	struct slice *slice;
	int ret;

	ret = slice_move_begin(id, &slice, ret_why);
	if (ret)
		return ret;
	slice->deadline = jiffies + msecs_to_jiffies(timeout_ms);
	if (slice->state == SLICE_STATE_DRAINED)
		ret = slice_plug_make_image(slice, ret_why);
	else if (slice->state != SLICE_STATE_UNPLUGGED ||
		 slice->n_whole != U32_MAX)
		ret = slice_plug_state_error(ret_why);
	if (!ret)
		ret = consume(opaque, slice, slice->image);
	slice_move_end(slice);
	return slice_plug_errno(ret);
}

int slice_plug_resume(struct slice_id id, u32 timeout_ms,
		      enum slice_why *ret_why)
{
	struct slice *slice;
	int ret;

	ret = slice_move_begin(id, &slice, ret_why);
	if (ret)
		return ret;
	slice->deadline = jiffies + msecs_to_jiffies(timeout_ms);
	if (slice->state == SLICE_STATE_UNPLUGGED)
		ret = slice_plug_kept(slice, slice->image, slice->n_whole,
				      ret_why);
	else if (slice->state == SLICE_STATE_PLUGGED)
		ret = slice_plug_state_error(ret_why);
	if (!ret && slice->state != SLICE_STATE_ACTIVE) {
		slice_plug_drop_image(slice);
		slice_move_run(slice);
	}
	slice_move_end(slice);
	return slice_plug_errno(ret);
}

static void slice_plug_forget_locked(struct slice *slice, bool is_known)
{
	struct slice_set set;
	u32 i;

	slice_set_take(slice, &set);
	for (i = set.n; i > 0; i--)
		slice_plug_forget_one(set.capsules[i - 1]);
	slice_set_drop(&set);
	spin_lock_bh(&slice_registry_lock);
	if (is_known)
		slice_report_mute(slice);
	spin_unlock_bh(&slice_registry_lock);
	slice_plug_remove_unplugged(slice);
	slice_plug_drop_image(slice);
	/* Whatever is left in it was never unplugged, and runs on. */
	slice_move_run(slice);
}

int slice_plug_forget(struct slice_id id, bool is_known,
		      enum slice_why *ret_why)
{
	struct slice *slice;
	int ret;

	ret = slice_move_begin(id, &slice, ret_why);
	if (ret)
		return ret;
	if (slice->state == SLICE_STATE_UNPLUGGED)
		slice_plug_forget_locked(slice, is_known);
	else
		ret = slice_plug_state_error(ret_why);
	slice_move_end(slice);
	return ret;
}

int slice_plug_give_up(struct slice_id id)
{
	enum slice_why why;

	return slice_plug_forget(id, true, &why);
}

/* ---- arriving ---- */

static void slice_plug_discard_locked(struct slice *slice)
{
	struct slice_set set;

	spin_lock_bh(&slice_registry_lock);
	slice_report_mute(slice);
	spin_unlock_bh(&slice_registry_lock);
	slice_set_take(slice, &set);
	slice_plug_undo(&set, set.n);
	slice_set_drop(&set);
	slice_plug_remove_unplugged(slice);
	/* One without a capsule was never found by anyone. */
	spin_lock_bh(&slice_registry_lock);
	slice_component_kill(slice);
	spin_unlock_bh(&slice_registry_lock);
}

static int slice_plug_arrive(const struct slice_image_reader *reader,
			     u32 timeout_ms, struct slice_id *ret_slice,
			     enum slice_why *ret_why)
{
	struct slice_id id = {
		.incarnation = le64_to_cpu(reader->header->incarnation),
		.counter = le64_to_cpu(reader->header->counter),
	};
	struct slice *slice;
	int ret;

	slice = slice_registry_arrive(id);
	if (IS_ERR(slice)) {
		*ret_why = PTR_ERR(slice) == -EBUSY ? SLICE_WHY_MOVING :
						      SLICE_WHY_MEMORY;
		return PTR_ERR(slice);
	}
	slice->deadline = jiffies + msecs_to_jiffies(timeout_ms);
	slice->must_split = true;
	ret = slice_plug_members(slice, reader, reader->n_capsules, ret_why);
	if (!ret)
		ret = slice_plug_state(slice, reader, ret_why);
	if (ret)
		slice_plug_discard_locked(slice);
	else
		*ret_slice = id;
	slice_reserve_done(id);
	slice_move_end(slice);
	return ret;
}

int slice_plug_plug(const void *data, size_t bytes, u32 timeout_ms,
		    struct slice_id *ret_slice, enum slice_why *ret_why)
{
	struct slice_image_reader reader;
	int ret;

	ret = slice_image_open(data, bytes, &reader);
	if (ret) {
		*ret_why = slice_plug_why(ret);
		return slice_plug_errno(ret);
	}
	ret = slice_plug_arrive(&reader, timeout_ms, ret_slice, ret_why);
	slice_image_close(&reader);
	return slice_plug_errno(ret);
}

int slice_plug_open(struct slice_id id, enum slice_why *ret_why)
{
	struct slice *slice;
	int ret;

	ret = slice_move_begin(id, &slice, ret_why);
	if (ret)
		return ret;
	if (slice->state == SLICE_STATE_PLUGGED)
		slice_move_run(slice);
	else
		ret = slice_plug_state_error(ret_why);
	slice_move_end(slice);
	return ret;
}

int slice_plug_discard(struct slice_id id, enum slice_why *ret_why)
{
	struct slice *slice;
	int ret;

	ret = slice_move_begin(id, &slice, ret_why);
	if (ret)
		return ret;
	if (slice->state == SLICE_STATE_PLUGGED)
		slice_plug_discard_locked(slice);
	else
		ret = slice_plug_state_error(ret_why);
	slice_move_end(slice);
	return ret;
}

static int slice_plug_end_one(void *opaque, struct slice *slice)
{
	mutex_lock(&slice->move_lock);
	if (slice->state == SLICE_STATE_UNPLUGGED)
		slice_plug_forget_locked(slice, false);
	else if (slice->state == SLICE_STATE_PLUGGED)
		slice_plug_discard_locked(slice);
	mutex_unlock(&slice->move_lock);
	return 0;
}

void slice_plug_exit(void)
{
	slice_registry_for_each(slice_plug_end_one, NULL);
}
