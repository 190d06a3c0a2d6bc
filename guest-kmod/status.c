// SPDX-License-Identifier: GPL-2.0
/*
 * status.c - what a slice is and whether it can move: movable, busy, pinned
 *
 * One answer for everybody: requests, reports to the device and the mover ask
 * here.  Busy says with what, pinned says why.  A slice is as movable as its
 * least movable capsule; what a layer has declared (SLICE_IOC_PIN) goes before
 * what its state allows at this moment.
 *
 * The device is told when a slice changes, not for each request.  Told "busy
 * with references", it is told again when they have dropped: the words that
 * count are *watched*, so that the put to zero enters the kernel.
 *
 * Below: registry.h, words.h.  Above: everyone who asks or refuses.
 */
#include <linux/string.h>
#include <uapi/linux/virtio_slice.h>

#include "registry.h"
#include "report.h"
#include "tcp.h"
#include "words.h"

enum slice_why slice_capsule_why(struct slice_capsule *capsule)
{
	enum slice_why why = READ_ONCE(capsule->pin);

	if (why != SLICE_WHY_NONE)
		return why;
	return capsule->ops->why ? capsule->ops->why(capsule) : SLICE_WHY_NONE;
}

enum slice_movability slice_why_movability(enum slice_why why)
{
	switch (why) {
	case SLICE_WHY_NONE:
		return SLICE_MOVABLE;
	case SLICE_WHY_TLS:
	case SLICE_WHY_HTTP2:
	case SLICE_WHY_TOO_LARGE:
	case SLICE_WHY_OPTION:
	case SLICE_WHY_URGENT:
	case SLICE_WHY_UPGRADED:
		return SLICE_PINNED;
	default:
		return SLICE_BUSY;
	}
}

/* Under the lock: does it pin its slice, other than when last looked at? */
static void slice_capsule_look(struct slice_capsule *capsule)
{
	bool is_pinned = slice_why_movability(slice_capsule_why(capsule)) ==
			 SLICE_PINNED;

	if (is_pinned != capsule->was_pinned)
		slice_report_changed(capsule->slice);
	capsule->was_pinned = is_pinned;
}

void slice_capsule_changed(struct slice_capsule *capsule)
{
	spin_lock_bh(&slice_registry_lock);
	if (capsule->slice) {
		slice_capsule_look(capsule);
		slice_capsule_settle(capsule);
		if (capsule->slice->state == SLICE_STATE_DRAINING)
			wake_up(&capsule->slice->changed);
	}
	spin_unlock_bh(&slice_registry_lock);
}

void slice_capsule_made(struct slice_capsule *capsule)
{
	spin_lock_bh(&slice_registry_lock);
	capsule->is_being_made = false;
	if (capsule->slice) {
		slice_report_changed(capsule->slice);
		if (capsule->slice->state == SLICE_STATE_DRAINING)
			wake_up(&capsule->slice->changed);
	}
	spin_unlock_bh(&slice_registry_lock);
}

void slice_capsule_settle(struct slice_capsule *capsule)
{
	if (!capsule->is_watched || slice_words_sum(capsule))
		return;
	slice_words_unwatch(capsule);
	if (capsule->slice)
		slice_report_changed(capsule->slice);
}

int slice_capsule_pin(struct slice_capsule *capsule, enum slice_why why)
{
	int ret = 0;

	spin_lock_bh(&slice_registry_lock);
	if (!capsule->slice) {
		ret = -ESTALE;
	} else if (capsule->slice->state > SLICE_STATE_DRAINING) {
		ret = -EBUSY;
	} else if (capsule->pin != why) {
		WRITE_ONCE(capsule->pin, why);
		capsule->was_pinned = why != SLICE_WHY_NONE;
		slice_report_changed(capsule->slice);
		/* Who drains it gives up. */
		wake_up(&capsule->slice->changed);
	}
	spin_unlock_bh(&slice_registry_lock);
	return ret;
}

void slice_capsule_grew(struct slice_capsule *capsule)
{
	spin_lock_bh(&slice_registry_lock);
	if (capsule->slice)
		slice_report_changed(capsule->slice);
	spin_unlock_bh(&slice_registry_lock);
}

/* ---- a slice's status, under the lock ---- */

static void slice_status_pin(struct slice_status *status, enum slice_why why)
{
	if (status->movability == SLICE_PINNED)
		return;
	status->movability = SLICE_PINNED;
	status->why = why;
}

/* Capsules are few and ranks fewer; kept lowest rank first. */
static void slice_status_count(struct slice_status *status, u32 rank)
{
	struct slice_rank_count *counts = status->counts;
	u32 i = 0;

	while (i < status->n_ranks && counts[i].rank < rank)
		i++;
	if (i < status->n_ranks && counts[i].rank == rank) {
		counts[i].n++;
		return;
	}
	if (status->n_ranks == ARRAY_SIZE(status->counts)) {
		slice_status_pin(status, SLICE_WHY_TOO_LARGE);
		return;
	}
	memmove(&counts[i + 1], &counts[i],
		(status->n_ranks - i) * sizeof(*counts));
	counts[i] = (struct slice_rank_count){ .rank = rank, .n = 1 };
	status->n_ranks++;
}

static void slice_status_add(struct slice_status *status,
			     struct slice_capsule *capsule, bool watch)
{
	enum slice_why why = slice_capsule_why(capsule);
	enum slice_movability movability;
	u64 refs;

	if (watch)
		slice_words_watch(capsule);
	refs = slice_words_sum(capsule);
	if (why == SLICE_WHY_NONE && refs)
		why = SLICE_WHY_REFERENCES;
	movability = slice_why_movability(why);
	if (movability > status->movability) {
		status->movability = movability;
		status->why = why;
	}
	status->n_refs = min_t(u64, status->n_refs + refs, U32_MAX);
	if (capsule->ops->memory_bytes)
		status->memory_bytes += capsule->ops->memory_bytes(capsule);
	if (capsule->ops == &slice_tcp_ops)
		status->n_connections++;
	slice_status_count(status, capsule->ops->rank);
}

static void slice_status_fill(struct slice *slice, struct slice_status *status,
			      bool watch)
{
	struct slice_capsule *capsule;

	status->slice = slice->id;
	status->state = slice->state;
	status->n_capsules = slice->n_capsules;
	if (slice->state != SLICE_STATE_ACTIVE) {
		status->movability = SLICE_BUSY;
		status->why = SLICE_WHY_MOVING;
	}
	if (slice->n_capsules > SLICE_COMPONENT_MAX ||
	    slice->n_links > SLICE_IMAGE_DEPS_MAX)
		slice_status_pin(status, SLICE_WHY_TOO_LARGE);
	list_for_each_entry(capsule, &slice->capsules, in_slice)
		slice_status_add(status, capsule, watch);
	/* The device's table has no room for more. */
	if (status->n_connections > VIRTIO_SLICE_FLOWS_MAX)
		slice_status_pin(status, SLICE_WHY_TOO_LARGE);
	capsule = slice_component_top(slice);
	if (capsule) {
		status->top = capsule->id;
		memcpy(status->label, capsule->label, sizeof(status->label));
		memcpy(status->top_layer, capsule->ops->name,
		       sizeof(status->top_layer));
	}
}

void slice_status_of(struct slice *slice, struct slice_status *ret_status)
{
	struct slice_status status = {};

	spin_lock_bh(&slice_registry_lock);
	slice_status_fill(slice, &status, false);
	spin_unlock_bh(&slice_registry_lock);
	*ret_status = status;
}

void slice_status_of_reported(struct slice *slice,
			      struct slice_status *ret_status)
{
	struct slice_status status = {};

	spin_lock_bh(&slice_registry_lock);
	slice_status_fill(slice, &status, true);
	spin_unlock_bh(&slice_registry_lock);
	*ret_status = status;
}
