// SPDX-License-Identifier: GPL-2.0
/*
 * virtio-event.c - what the device asks for, lane by lane
 *
 * Below: plug.h, virtio-ring.c, virtio-dma.c.  Above: virtio.c.
 * Source: virtio_slice.h; protocol.md's state table is the device's.
 */
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/virtio.h>

#include "plug.h"
#include "tcp.h"
#include "virtio.h"

/**
 * struct slice_virtio_lane - events of one slice, in order
 * @dev: from whom
 * @slice: whose
 * @in_lanes: in dev->lanes
 * @n_resumes: RESUME events in it: a QUIESCE before them gives up
 * @events: struct slice_virtio_event.lane
 * @work: works them off and ends the lane
 */
struct slice_virtio_lane {
	struct slice_virtio *dev;
	struct slice_id slice;
	struct hlist_node in_lanes;
	atomic_t n_resumes;
	struct list_head events;
	struct work_struct work;
};

/* ---- buffers ---- */

static int slice_virtio_post(struct slice_virtio *dev,
			     struct slice_virtio_event *event)
{
	struct scatterlist in;
	unsigned long flags;
	int ret = -ENODEV;

	sg_init_one(&in, &event->wire, sizeof(event->wire));
	spin_lock_irqsave(&dev->ring_lock, flags);
	if (!dev->is_dead)
		ret = virtqueue_add_inbuf(dev->event_vq, &in, 1, event,
					  GFP_ATOMIC);
	if (!ret)
		virtqueue_kick(dev->event_vq);
	spin_unlock_irqrestore(&dev->ring_lock, flags);
	return ret;
}

int slice_virtio_post_events(struct slice_virtio *dev)
{
	u32 i;
	int ret;

	for (i = 0; i < SLICE_VIRTIO_EVENTS; i++) {
		ret = slice_virtio_post(dev, &dev->events[i]);
		/* A ring that is smaller holds fewer. */
		if (ret)
			return i && ret == -ENOSPC ? 0 : ret;
	}
	return 0;
}

/* ---- the events ---- */

static void slice_virtio_quiesce(struct slice_virtio_lane *lane,
				 struct slice_id id, __le64 term, u64 arg)
{
	struct slice_virtio *dev = lane->dev;
	enum slice_why why = SLICE_WHY_NONE;
	int ret;

	ret = slice_plug_quiesce(id, clamp_t(u64, arg, 1, 600000),
				 &lane->n_resumes, &why);
	slice_virtio_pass_reports(dev, id);
	if (slice_virtio_answer(dev, VIRTIO_SLICE_REQ_QUIESCED, id, term, ret,
				why) && !ret)
		/* Nobody wants it any more: no UNPLUG and no RESUME will come. */
		slice_plug_resume(id, SLICE_PLUG_TIMEOUT_MS, &why);
}

/* ---- UNPLUG ---- */

static size_t slice_virtio_packet_bytes(const struct sk_buff *skb)
{
	return sizeof(__le32) + ALIGN(skb->len, 4);
}

/* Serializes packets from the list's head, as many as fit. */
static size_t slice_virtio_pack(struct sk_buff_head *caught, u8 *to,
				size_t room)
{
	struct sk_buff *skb;
	size_t bytes = 0;

	while ((skb = skb_peek(caught)) &&
	       slice_virtio_packet_bytes(skb) <= room - bytes) {
		__skb_unlink(skb, caught);
		*(__le32 *)(to + bytes) = cpu_to_le32(skb->len);
		memset(to + bytes + sizeof(__le32), 0, ALIGN(skb->len, 4));
		if (!skb_copy_bits(skb, 0, to + bytes + sizeof(__le32),
				   skb->len))
			bytes += slice_virtio_packet_bytes(skb);
		kfree_skb(skb);
	}
	return bytes;
}

/* Loss here costs the client a retransmission and nothing else. */
static void slice_virtio_hand_over(struct slice_virtio *dev, struct slice *slice,
				   __le64 term, struct sk_buff_head *caught)
{
	const size_t room = VIRTIO_SLICE_PACKETS_BYTES_MAX;
	size_t bytes;
	u8 *to;

	if (skb_queue_empty(caught))
		return;
	to = kvmalloc(room, GFP_KERNEL);
	while (to && (bytes = slice_virtio_pack(caught, to, room)) &&
	       !slice_virtio_send_packets(dev, slice->id, term, to, bytes))
		cond_resched();
	kvfree(to);
}

static void slice_virtio_settle(struct slice_virtio *dev, struct slice *slice,
				__le64 term)
{
	struct sk_buff_head caught;
	struct slice_set set;
	u32 i;

	__skb_queue_head_init(&caught);
	slice_set_take(slice, &set);
	for (i = 0; i < set.n; i++) {
		if (set.capsules[i]->ops != &slice_tcp_ops)
			continue;
		slice_tcp_settle(set.capsules[i], &caught);
		slice_virtio_hand_over(dev, slice, term, &caught);
		__skb_queue_purge(&caught);
	}
	slice_set_drop(&set);
}

/**
 * struct slice_virtio_unplug - an UNPLUG under way
 * @dev: who asked
 * @term: under which
 */
struct slice_virtio_unplug {
	struct slice_virtio *dev;
	__le64 term;
};

static int slice_virtio_consume(void *opaque, struct slice *slice,
				const struct slice_image *image)
{
	struct slice_virtio_unplug *unplug = opaque;
	int ret;

	ret = slice_virtio_send_image(unplug->dev, slice->id, unplug->term,
				      image);
	if (!ret)
		slice_virtio_settle(unplug->dev, slice, unplug->term);
	return ret;
}

static void slice_virtio_unplug(struct slice_virtio *dev, struct slice_id id,
				__le64 term, u64 arg)
{
	struct slice_virtio_unplug unplug = { .dev = dev, .term = term };
	enum slice_why why = SLICE_WHY_NONE;
	int ret;

	ret = slice_plug_unplug(id, clamp_t(u64, arg, 1, 600000),
				slice_virtio_consume, &unplug, &why);
	if (ret)
		slice_virtio_answer(dev, VIRTIO_SLICE_REQ_UNPLUG_FAILED, id,
				    term, ret, why);
}

/* Memory comes back, a provider is started again: how long to try, and how long
 * to leave it alone in between. */
#define SLICE_RESUME_MS		30000
#define SLICE_RESUME_PAUSE_MS	50

/*
 * The slice is this VM's and nobody else's, so a first refusal is not the end.
 * After the last one it ends here, and the device is told: it is nowhere.
 */
static void slice_virtio_resume(struct slice_virtio *dev, struct slice_id id,
				__le64 term)
{
	unsigned long deadline = jiffies + msecs_to_jiffies(SLICE_RESUME_MS);
	enum slice_why why = SLICE_WHY_NONE;
	int ret;

	for (;;) {
		ret = slice_plug_resume(id, SLICE_PLUG_TIMEOUT_MS, &why);
		if (ret == -ENOENT)
			ret = 0; /* it has ended or was joined: GONE tells */
		if (!ret || READ_ONCE(dev->is_dead))
			break;
		if (time_after(jiffies, deadline))
			break;
		msleep(SLICE_RESUME_PAUSE_MS);
	}
	if (ret && !READ_ONCE(dev->is_dead) && !slice_plug_give_up(id))
		pr_warn("slice: %llx:%llu could not be resumed and has ended: error %d, why %d\n",
			id.incarnation, id.counter, ret, why);
	slice_virtio_answer(dev, VIRTIO_SLICE_REQ_RESUMED, id, term, ret, why);
}

/* ---- ROOM ---- */

static int slice_virtio_take(struct slice_virtio *dev, struct slice_id id,
			     __le64 term, u64 bytes, enum slice_why *ret_why)
{
	struct slice_id got;
	void *data;
	int ret;

	if (!bytes || bytes > SLICE_IMAGE_BYTES_MAX) {
		*ret_why = SLICE_WHY_TOO_LARGE;
		return -EINVAL;
	}
	data = kvmalloc(bytes, GFP_KERNEL);
	if (!data) {
		*ret_why = SLICE_WHY_MEMORY;
		return -ENOMEM;
	}
	*ret_why = SLICE_WHY_ABORTED;
	ret = slice_virtio_fetch(dev, id, term, data, bytes);
	if (!ret)
		ret = slice_plug_plug(data, bytes, SLICE_PLUG_TIMEOUT_MS, &got,
				      ret_why);
	if (!ret && !slice_id_equal(got, id)) {
		slice_plug_discard(got, ret_why);
		*ret_why = SLICE_WHY_IMAGE;
		ret = -EPROTO;
	}
	kvfree(data);
	return ret;
}

static void slice_virtio_room(struct slice_virtio *dev, struct slice_id id,
			      __le64 term, u64 bytes)
{
	enum slice_why why = SLICE_WHY_NONE;
	int ret;

	ret = slice_virtio_take(dev, id, term, bytes, &why);
	ret = slice_virtio_answer(dev, VIRTIO_SLICE_REQ_PLUGGED, id, term, ret,
				  why) ? -ESTALE : ret;
	/* Nobody wants it any more: no OPEN and no DISCARD will come. */
	if (ret == -ESTALE)
		slice_plug_discard(id, &why);
}

static void slice_virtio_handle(struct slice_virtio_lane *lane,
				const struct virtio_slice_event *event)
{
	struct slice_virtio *dev = lane->dev;
	struct slice_id id = {
		.incarnation = le64_to_cpu(event->slice.incarnation),
		.counter = le64_to_cpu(event->slice.counter),
	};
	u64 arg = le64_to_cpu(event->arg);
	enum slice_why why;

	switch (le16_to_cpu(event->type)) {
	case VIRTIO_SLICE_EVENT_QUIESCE:
		slice_virtio_quiesce(lane, id, event->term, arg);
		break;
	case VIRTIO_SLICE_EVENT_UNPLUG:
		slice_virtio_unplug(dev, id, event->term, arg);
		break;
	case VIRTIO_SLICE_EVENT_RESUME:
		atomic_dec(&lane->n_resumes);
		slice_virtio_resume(dev, id, event->term);
		break;
	case VIRTIO_SLICE_EVENT_FORGET:
		slice_plug_forget(id, true, &why);
		break;
	case VIRTIO_SLICE_EVENT_ROOM:
		slice_virtio_room(dev, id, event->term, arg);
		break;
	case VIRTIO_SLICE_EVENT_OPEN:
		slice_plug_open(id, &why);
		break;
	case VIRTIO_SLICE_EVENT_DISCARD:
		slice_plug_discard(id, &why);
		break;
	case VIRTIO_SLICE_EVENT_LOOKUP:
		slice_virtio_lookup(dev, event);
		break;
	case VIRTIO_SLICE_EVENT_RESERVE:
		slice_virtio_reserve(dev, id, event);
		break;
	case VIRTIO_SLICE_EVENT_UNRESERVE:
		slice_virtio_unreserve(id, event);
		break;
	default:
		dev_warn_ratelimited(&dev->vdev->dev, "unknown event %u\n",
				     le16_to_cpu(event->type));
	}
}

/* ---- lanes ---- */

static u32 slice_virtio_lane_key(struct slice_id id)
{
	return (u32)(id.incarnation ^ id.counter ^ id.counter >> 32);
}

static struct slice_virtio_event *
slice_virtio_lane_next(struct slice_virtio_lane *lane)
{
	struct slice_virtio_event *event;

	spin_lock(&lane->dev->lanes_lock);
	event = list_first_entry_or_null(&lane->events,
					 struct slice_virtio_event, lane);
	if (event)
		list_del(&event->lane);
	else
		hash_del(&lane->in_lanes);
	spin_unlock(&lane->dev->lanes_lock);
	return event;
}

static void slice_virtio_lane_work(struct work_struct *work)
{
	struct slice_virtio_lane *lane =
		container_of(work, struct slice_virtio_lane, work);
	struct slice_virtio_event *event;

	while ((event = slice_virtio_lane_next(lane))) {
		slice_virtio_handle(lane, &event->event);
		slice_virtio_post(lane->dev, event);
	}
	kfree(lane);
}

static struct slice_virtio_lane *
slice_virtio_lane_new(struct slice_virtio *dev, struct slice_id id)
{
	struct slice_virtio_lane *lane;

	/* As many as there are buffers at most, and the device waits for us. */
	lane = kzalloc(sizeof(*lane), GFP_KERNEL | __GFP_NOFAIL);
	lane->dev = dev;
	lane->slice = id;
	INIT_LIST_HEAD(&lane->events);
	INIT_WORK(&lane->work, slice_virtio_lane_work);
	return lane;
}

static struct slice_virtio_lane *
slice_virtio_lane_find(struct slice_virtio *dev, struct slice_id id)
{
	struct slice_virtio_lane *lane;

	hash_for_each_possible(dev->lanes, lane, in_lanes,
			       slice_virtio_lane_key(id))
		if (slice_id_equal(lane->slice, id))
			return lane;
	return NULL;
}

static void slice_virtio_sort(struct slice_virtio *dev,
			      struct slice_virtio_event *event)
{
	struct slice_id id = {
		.incarnation = le64_to_cpu(event->event.slice.incarnation),
		.counter = le64_to_cpu(event->event.slice.counter),
	};
	bool is_resume = event->event.type ==
			 cpu_to_le16(VIRTIO_SLICE_EVENT_RESUME);
	struct slice_virtio_lane *lane, *fresh = slice_virtio_lane_new(dev, id);

	spin_lock(&dev->lanes_lock);
	lane = slice_virtio_lane_find(dev, id);
	if (!lane) {
		lane = fresh;
		fresh = NULL;
		hash_add(dev->lanes, &lane->in_lanes,
			 slice_virtio_lane_key(id));
		queue_work(dev->work, &lane->work);
	}
	if (is_resume)
		atomic_inc(&lane->n_resumes);
	list_add_tail(&event->lane, &lane->events);
	spin_unlock(&dev->lanes_lock);
	kfree(fresh);
	if (is_resume)
		slice_plug_quiesce_wake(id);
}

static struct slice_virtio_event *slice_virtio_next(struct slice_virtio *dev)
{
	struct slice_virtio_event *event = NULL;
	unsigned long flags;
	unsigned int bytes;

	spin_lock_irqsave(&dev->ring_lock, flags);
	if (!dev->is_dead)
		event = virtqueue_get_buf(dev->event_vq, &bytes);
	spin_unlock_irqrestore(&dev->ring_lock, flags);
	if (!event)
		return NULL;
	if (bytes < sizeof(event->wire))
		memset(&event->wire, 0, sizeof(event->wire));
	event->event = event->wire;
	return event;
}

void slice_virtio_receive(struct work_struct *work)
{
	struct slice_virtio *dev = container_of(work, struct slice_virtio,
						receive);
	struct slice_virtio_event *event;

	while ((event = slice_virtio_next(dev))) {
		if (event->event.type !=
		    cpu_to_le16(VIRTIO_SLICE_EVENT_FIND_DONE)) {
			slice_virtio_sort(dev, event);
			continue;
		}
		/* Its slice's lane may be waiting for long. */
		slice_virtio_find_done(&event->event);
		slice_virtio_post(dev, event);
	}
}
