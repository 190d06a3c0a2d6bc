// SPDX-License-Identifier: GPL-2.0
/*
 * room-ops.c - how the capsules of user-space layers are unplugged and plugged
 *
 * Unplug gives the room's pages to the image by reference and tells the
 * provider.  Plug makes pages from the image, asks the provider and waits for
 * its answer; a passive provider is not asked, its capsule is just found by
 * key.  After an aborted move the room is still there with what it held when
 * it was unplugged: the words were frozen, nobody had leave to write since.
 *
 * Below: room.c, events.c.  Above: plug.c, through the operations.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "image.h"
#include "layer.h"
#include "tcp.h"
#include "words.h"

/* In slice_room.spare. */
enum {
	SLICE_SPARE_OPEN,
	SLICE_SPARE_DISCARD,
};

/* ---- events ---- */

static void slice_room_fill_event(struct slice_room *room,
				  struct slice_capsule *capsule,
				  enum slice_event_type type,
				  struct slice_event *ret_event)
{
	struct slice_provider *provider = room->provider;
	struct slice_event event = {
		.type = type,
		.id = capsule->id,
		.handle = type == SLICE_EVENT_PLUG ? 0 : room->handle,
		.bytes = slice_room_bytes(room),
		.mmap_offset = slice_room_offset(room),
		.key_bytes = room->key.bytes,
	};
	struct slice_capsule *needs;

	memcpy(event.key, room->key.key, sizeof(event.key));
	if (type == SLICE_EVENT_PLUG || type == SLICE_EVENT_OPEN) {
		needs = slice_capsule_needed(capsule, &slice_tcp_ops);
		if (needs)
			event.needs = needs->id;
		slice_capsule_put(needs);
	}
	mutex_lock(&provider->lock);
	if (provider->words)
		slice_words_index(provider->words, capsule, &event.word_index);
	mutex_unlock(&provider->lock);
	*ret_event = event;
}

static void slice_room_send(struct slice_room *room,
			    struct slice_capsule *capsule,
			    enum slice_event_type type,
			    struct slice_event_node *node)
{
	slice_room_fill_event(room, capsule, type, &node->event);
	slice_events_send(&room->provider->events, node);
}

static void slice_room_drop_spares(struct slice_room *room)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(room->spare); i++) {
		kfree(room->spare[i]);
		room->spare[i] = NULL;
	}
}

static void slice_room_send_spare(struct slice_room *room,
				  struct slice_capsule *capsule,
				  enum slice_event_type type, u32 spare)
{
	if (!room->spare[spare])
		return;
	slice_room_send(room, capsule, type, room->spare[spare]);
	room->spare[spare] = NULL;
	slice_room_drop_spares(room);
}

/* ---- unplug ---- */

static int slice_room_add_memory(struct slice_room *room,
				 struct slice_image *image, u32 index)
{
	u32 i = 0, first;
	int ret;

	while (i < room->n_pages) {
		if (!READ_ONCE(room->pages[i])) {
			i++;
			continue;
		}
		first = i;
		while (i < room->n_pages && READ_ONCE(room->pages[i]))
			i++;
		ret = slice_image_add_pages(image, index,
					    (u64)first << PAGE_SHIFT,
					    room->pages + first, i - first);
		if (ret)
			return ret;
	}
	return 0;
}

static int slice_room_unplug(struct slice_capsule *capsule,
			     struct slice_image *image, u32 index)
{
	struct slice_room *room = slice_capsule_priv(capsule);
	struct slice_event_node *node = NULL;
	int ret;

	if (!room->provider->is_passive) {
		node = slice_event_new(room->provider);
		if (!node)
			return -ENOMEM;
	}
	ret = slice_room_add_memory(room, image, index);
	if (ret) {
		kfree(node);
		return ret;
	}
	if (node) {
		slice_room_send(room, capsule, SLICE_EVENT_UNPLUGGED, node);
		slice_room_drop_handle(room);
	}
	return 0;
}

/* ---- plug ---- */

static int slice_room_fill_page(struct slice_room *room, u32 index,
				const void *from)
{
	struct page *page = slice_room_page(room, index);

	if (!page)
		return -ENOMEM;
	memcpy(page_address(page), from, PAGE_SIZE);
	return 0;
}

/* The reader has checked that each record lies inside the room. */
static int slice_room_fill(struct slice_room *room,
			   const struct slice_image_reader *reader, u32 index)
{
	const struct slice_image_record *record;
	const u8 *payload;
	u64 pages, p;
	u32 i, first;
	int ret;

	for (i = 0; i < reader->n_state; i++) {
		record = reader->state[i];
		if (record->type != cpu_to_le16(SLICE_RECORD_MEMORY) ||
		    le32_to_cpu(record->index) != index)
			continue;
		payload = (const u8 *)(record + 1);
		first = le64_to_cpu(*(const __le64 *)payload) >> PAGE_SHIFT;
		payload += sizeof(__le64);
		pages = (le64_to_cpu(record->bytes) - sizeof(__le64)) >>
			PAGE_SHIFT;
		for (p = 0; p < pages; p++) {
			ret = slice_room_fill_page(room, first + p,
						   payload + p * PAGE_SIZE);
			if (ret)
				return ret;
		}
		cond_resched();
	}
	return 0;
}

static int slice_room_arrive(struct slice_capsule *capsule,
			     const struct slice_image_reader *reader, u32 index)
{
	const struct slice_image_capsule *c = reader->capsules[index];
	struct slice_provider *provider = slice_provider_of(capsule->ops);
	struct slice_room *room;
	int ret;

	room = slice_room_new(provider, le64_to_cpu(c->room_bytes));
	if (IS_ERR(room))
		return PTR_ERR(room);
	room->key.bytes = le32_to_cpu(c->key_bytes);
	memcpy(room->key.key, c->key, sizeof(room->key.key));
	ret = slice_room_fill(room, reader, index);
	if (ret) {
		slice_room_put(room);
		return ret;
	}
	/* From here on the capsule's release frees the room. */
	slice_capsule_set_priv(capsule, room);
	return 0;
}

static int slice_room_prepare(struct slice_room *room,
			      struct slice_event_node **ret_node)
{
	struct slice_event_node *node;
	u32 i;

	node = slice_event_new(room->provider);
	if (!node)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(room->spare); i++) {
		room->spare[i] = slice_event_new(room->provider);
		if (!room->spare[i]) {
			kfree(node);
			slice_room_drop_spares(room);
			return -ENOMEM;
		}
	}
	*ret_node = node;
	return 0;
}

static int slice_room_wait_answer(struct slice_room *room,
				  struct slice_capsule *capsule)
{
	unsigned long deadline = slice_capsule_deadline(capsule);
	long left = max_t(long, deadline - jiffies, 1);

	left = wait_for_completion_interruptible_timeout(&room->answered, left);
	if (left < 0)
		return -EINTR;
	return left ? 0 : -ETIMEDOUT;
}

/* Asks the provider to take the capsule up. */
static int slice_room_ask(struct slice_room *room,
			  struct slice_capsule *capsule)
{
	struct slice_provider *provider = room->provider;
	struct slice_event_node *node;
	bool was_asked;
	int ret;

	ret = slice_room_prepare(room, &node);
	if (ret)
		return ret;
	mutex_lock(&provider->lock);
	if (provider->is_dead)
		ret = -ENODEV;
	reinit_completion(&room->answered);
	room->is_asked = !ret;
	mutex_unlock(&provider->lock);
	if (ret) {
		kfree(node);
		goto err_drop_spares;
	}
	slice_room_send(room, capsule, SLICE_EVENT_PLUG, node);
	ret = slice_room_wait_answer(room, capsule);

	mutex_lock(&provider->lock);
	was_asked = room->is_asked;
	room->is_asked = false;
	mutex_unlock(&provider->lock);
	/* An answer that came at the last moment counts. */
	if (!was_asked)
		ret = -room->status;
	if (!ret)
		return 0;
	/* A provider that has read PLUG and did not refuse must undo it. */
	if (was_asked && !slice_events_cancel(&provider->events, capsule->id,
					      SLICE_EVENT_PLUG))
		slice_room_send_spare(room, capsule, SLICE_EVENT_DISCARD,
				      SLICE_SPARE_DISCARD);

err_drop_spares:
	slice_room_drop_spares(room);
	return ret;
}

static int slice_room_plug(struct slice_capsule *capsule,
			   const struct slice_image_reader *reader, u32 index)
{
	struct slice_room *room = slice_capsule_priv(capsule);
	int ret;

	if (!room) {
		ret = slice_room_arrive(capsule, reader, index);
		if (ret)
			return ret;
		room = slice_capsule_priv(capsule);
	}
	/* One that was discarded when an earlier try failed is not any more. */
	ret = slice_room_index(room, capsule);
	if (ret)
		return ret;
	if (room->provider->is_passive)
		return 0;
	return slice_room_ask(room, capsule);
}

int slice_room_plug_done(struct slice_room *room, u64 handle, int status)
{
	struct slice_provider *provider = room->provider;
	int ret = 0;

	mutex_lock(&provider->lock);
	if (!room->is_asked || !room->is_indexed) {
		ret = -ESTALE;
	} else if (!status && handle) {
		ret = xa_insert(&provider->by_handle, handle, room, GFP_KERNEL);
		if (ret == -EBUSY)
			ret = -EEXIST;
		if (!ret)
			room->handle = handle;
	}
	if (!ret) {
		room->is_asked = false;
		room->status = status;
		complete(&room->answered);
	}
	mutex_unlock(&provider->lock);
	return ret;
}

/* ---- after ---- */

static void slice_room_open(struct slice_capsule *capsule)
{
	slice_room_send_spare(slice_capsule_priv(capsule), capsule,
			      SLICE_EVENT_OPEN, SLICE_SPARE_OPEN);
}

static void slice_room_discard(struct slice_capsule *capsule)
{
	struct slice_room *room = slice_capsule_priv(capsule);

	slice_room_send_spare(room, capsule, SLICE_EVENT_DISCARD,
			      SLICE_SPARE_DISCARD);
	slice_room_unindex(room);
}

/* One that could not be plugged again after its provider died has no room. */
static void slice_room_forget(struct slice_capsule *capsule)
{
	struct slice_room *room = slice_capsule_priv(capsule);

	if (room)
		slice_room_unindex(room);
}

static u64 slice_room_memory_bytes(struct slice_capsule *capsule)
{
	struct slice_room *room = slice_capsule_priv(capsule);

	return room ? (u64)atomic_read(&room->n_used) << PAGE_SHIFT : 0;
}

static int slice_room_get_handle(struct slice_capsule *capsule,
				 u64 *ret_handle)
{
	struct slice_room *room = slice_capsule_priv(capsule);

	/* It arrives, and its turn to be plugged has not come. */
	if (!room)
		return -ESTALE;
	*ret_handle = room->handle;
	return 0;
}

static void slice_room_release(struct slice_capsule *capsule)
{
	struct slice_room *room = slice_capsule_priv(capsule);

	if (room) {
		slice_room_unindex(room);
		slice_room_put(room);
	}
	slice_provider_put(slice_provider_of(capsule->ops));
}

const struct slice_layer_ops slice_room_ops = {
	.unplug = slice_room_unplug,
	.plug = slice_room_plug,
	.open = slice_room_open,
	.discard = slice_room_discard,
	.forget = slice_room_forget,
	.memory_bytes = slice_room_memory_bytes,
	.get_handle = slice_room_get_handle,
	.release = slice_room_release,
};
