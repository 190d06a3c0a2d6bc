// SPDX-License-Identifier: GPL-2.0
/*
 * events.c - what the kernel has to say to a provider, in order
 *
 * Below: nothing.  Above: room-ops.c (sends), chardev.c (reads).
 */
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "layer.h"

void slice_events_init(struct slice_events *events)
{
	spin_lock_init(&events->lock);
	INIT_LIST_HEAD(&events->list);
	init_waitqueue_head(&events->wait);
	mutex_init(&events->read_lock);
}

void slice_events_destroy(struct slice_events *events)
{
	struct slice_event_node *node, *next;

	list_for_each_entry_safe(node, next, &events->list, list)
		kfree(node);
	INIT_LIST_HEAD(&events->list);
}

struct slice_event_node *slice_event_new(struct slice_provider *provider)
{
	if (READ_ONCE(provider->events.n) >= SLICE_EVENTS_MAX)
		return NULL;
	return kzalloc(sizeof(struct slice_event_node), GFP_KERNEL);
}

void slice_events_send(struct slice_events *events,
		       struct slice_event_node *node)
{
	spin_lock(&events->lock);
	list_add_tail(&node->list, &events->list);
	events->n++;
	spin_unlock(&events->lock);
	wake_up(&events->wait);
}

static struct slice_event_node *slice_events_take(struct slice_events *events)
{
	struct slice_event_node *node;

	spin_lock(&events->lock);
	node = list_first_entry_or_null(&events->list, struct slice_event_node,
					list);
	if (node) {
		list_del(&node->list);
		events->n--;
	}
	spin_unlock(&events->lock);
	return node;
}

static void slice_events_untake(struct slice_events *events,
				struct slice_event_node *node)
{
	spin_lock(&events->lock);
	list_add(&node->list, &events->list);
	events->n++;
	spin_unlock(&events->lock);
}

bool slice_events_cancel(struct slice_events *events, struct slice_id capsule,
			 enum slice_event_type type)
{
	struct slice_event_node *node, *next;
	LIST_HEAD(cancelled);
	bool found;

	spin_lock(&events->lock);
	list_for_each_entry_safe(node, next, &events->list, list)
		if (node->event.type == type &&
		    slice_id_equal(node->event.id, capsule)) {
			list_move(&node->list, &cancelled);
			events->n--;
		}
	spin_unlock(&events->lock);
	found = !list_empty(&cancelled);
	list_for_each_entry_safe(node, next, &cancelled, list)
		kfree(node);
	return found;
}

/* Return: the bytes copied, or -EFAULT; at least one event if it waited. */
static ssize_t slice_events_read_all(struct slice_events *events,
				     char __user *to, size_t bytes)
{
	struct slice_event_node *node;
	size_t done = 0;

	while (bytes - done >= sizeof(node->event)) {
		node = slice_events_take(events);
		if (!node)
			break;
		if (copy_to_user(to + done, &node->event,
				 sizeof(node->event))) {
			slice_events_untake(events, node);
			return done ? done : -EFAULT;
		}
		kfree(node);
		done += sizeof(node->event);
	}
	return done;
}

ssize_t slice_events_read(struct slice_events *events, char __user *to,
			  size_t bytes, bool nowait)
{
	ssize_t ret;

	if (bytes < sizeof(struct slice_event))
		return -EINVAL;
	do {
		if (mutex_lock_interruptible(&events->read_lock))
			return -ERESTARTSYS;
		ret = slice_events_read_all(events, to, bytes);
		mutex_unlock(&events->read_lock);
		if (ret)
			return ret;
		if (nowait)
			return -EAGAIN;
		if (wait_event_interruptible(events->wait,
					     READ_ONCE(events->n)))
			return -ERESTARTSYS;
	} while (1);
}
