// SPDX-License-Identifier: GPL-2.0
/*
 * reserve.c - room that is kept for slices which are about to arrive
 *
 * Bookings are as many as moves towards this VM are under way: a list.
 *
 * Below: layer.h, registry.h.  Above: virtio-event.c, plug.c.
 */
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include "layer.h"
#include "reserve.h"

#define SLICE_BOOKINGS_MAX	4096

/* Left alone for what runs here: this part of all memory. */
#define SLICE_MEMORY_SPARE	64

/**
 * struct slice_booking - kept for one slice
 * @in_bookings: in the list
 * @request: what was asked for
 */
struct slice_booking {
	struct list_head in_bookings;
	struct slice_reserve_request request;
};

static LIST_HEAD(bookings);
static DEFINE_MUTEX(slice_reserve_lock);
static u32 n_bookings;

/* ---- what is booked, without @slice's own; under the lock ---- */

static u32 slice_booked_rank(const struct slice_booking *booking, u32 rank)
{
	u32 i;

	for (i = 0; i < booking->request.n_ranks; i++)
		if (booking->request.counts[i].rank == rank)
			return booking->request.counts[i].n;
	return 0;
}

static u32 slice_booked_all(const struct slice_booking *booking)
{
	u32 i, n = 0;

	for (i = 0; i < booking->request.n_ranks; i++)
		n += booking->request.counts[i].n;
	return n;
}

/* Is there room for @n more of that rank? */
static enum slice_why slice_reserve_rank(struct slice_id slice, u32 rank, u32 n)
{
	struct slice_booking *booking;
	u64 wanted = n;
	bool found;
	u32 left;

	left = slice_layer_room(rank, &found);
	if (!found)
		return SLICE_WHY_NO_LAYER;
	list_for_each_entry(booking, &bookings, in_bookings)
		if (!slice_id_equal(booking->request.slice, slice))
			wanted += slice_booked_rank(booking, rank);
	return wanted <= left ? SLICE_WHY_NONE : SLICE_WHY_NO_ROOM;
}

static enum slice_why
slice_reserve_total(const struct slice_reserve_request *request)
{
	u64 capsules = slice_registry_n_capsules(), bytes = request->bytes;
	struct slice_booking *booking;
	u64 spare, left;
	u32 i;

	for (i = 0; i < request->n_ranks; i++)
		capsules += request->counts[i].n;
	list_for_each_entry(booking, &bookings, in_bookings) {
		if (slice_id_equal(booking->request.slice, request->slice))
			continue;
		capsules += slice_booked_all(booking);
		bytes += booking->request.bytes;
	}
	if (capsules > SLICE_CAPSULES_MAX)
		return SLICE_WHY_NO_ROOM;
	spare = (u64)totalram_pages() / SLICE_MEMORY_SPARE << PAGE_SHIFT;
	left = (u64)max(si_mem_available(), 0l) << PAGE_SHIFT;
	/* While it is plugged there are its image and its capsules. */
	if (bytes > U64_MAX / 4 || 2 * bytes + spare > left)
		return SLICE_WHY_MEMORY;
	return SLICE_WHY_NONE;
}

static bool slice_reserve_is_here(struct slice_id id)
{
	struct slice *slice = slice_registry_find_slice(id);

	slice_put(slice);
	return slice;
}

static enum slice_why
slice_reserve_check(const struct slice_reserve_request *request)
{
	enum slice_why why = SLICE_WHY_NONE;
	u32 i;

	if (slice_reserve_is_here(request->slice))
		return SLICE_WHY_MOVING;
	for (i = 0; i < request->n_ranks && why == SLICE_WHY_NONE; i++)
		why = slice_reserve_rank(request->slice,
					 request->counts[i].rank,
					 request->counts[i].n);
	return why == SLICE_WHY_NONE ? slice_reserve_total(request) : why;
}

static int slice_reserve_errno(enum slice_why why)
{
	switch (why) {
	case SLICE_WHY_NONE:
		return 0;
	case SLICE_WHY_MOVING:
		return -EBUSY;
	case SLICE_WHY_NO_LAYER:
		return -EOPNOTSUPP;
	case SLICE_WHY_NO_ROOM:
		return -ENOSPC;
	default:
		return -ENOMEM;
	}
}

/* ---- bookings ---- */

static void slice_booking_free(struct slice_booking *booking)
{
	list_del(&booking->in_bookings);
	n_bookings--;
	kfree(booking);
}

static struct slice_booking *slice_booking_find(struct slice_id slice)
{
	struct slice_booking *booking;

	list_for_each_entry(booking, &bookings, in_bookings)
		if (slice_id_equal(booking->request.slice, slice))
			return booking;
	return NULL;
}

int slice_reserve_add(const struct slice_reserve_request *request,
		      enum slice_why *ret_why)
{
	struct slice_booking *booking, *old;
	enum slice_why why;

	booking = kzalloc(sizeof(*booking), GFP_KERNEL);
	if (!booking) {
		*ret_why = SLICE_WHY_MEMORY;
		return -ENOMEM;
	}
	booking->request = *request;
	mutex_lock(&slice_reserve_lock);
	why = slice_reserve_check(request);
	old = slice_booking_find(request->slice);
	if (why == SLICE_WHY_NONE && !old && n_bookings >= SLICE_BOOKINGS_MAX)
		why = SLICE_WHY_NO_ROOM;
	if (why == SLICE_WHY_NONE) {
		if (old)
			slice_booking_free(old);
		list_add_tail(&booking->in_bookings, &bookings);
		n_bookings++;
		booking = NULL;
	}
	mutex_unlock(&slice_reserve_lock);
	kfree(booking);
	*ret_why = why;
	return slice_reserve_errno(why);
}

void slice_reserve_drop(struct slice_id slice, u64 term)
{
	struct slice_booking *booking;

	mutex_lock(&slice_reserve_lock);
	booking = slice_booking_find(slice);
	if (booking && booking->request.term == term)
		slice_booking_free(booking);
	mutex_unlock(&slice_reserve_lock);
}

void slice_reserve_done(struct slice_id slice)
{
	struct slice_booking *booking;

	mutex_lock(&slice_reserve_lock);
	booking = slice_booking_find(slice);
	if (booking)
		slice_booking_free(booking);
	mutex_unlock(&slice_reserve_lock);
}

void slice_reserve_reset(void)
{
	mutex_lock(&slice_reserve_lock);
	while (!list_empty(&bookings))
		slice_booking_free(list_first_entry(&bookings,
						    struct slice_booking,
						    in_bookings));
	mutex_unlock(&slice_reserve_lock);
}
