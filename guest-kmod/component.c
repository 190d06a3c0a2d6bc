// SPDX-License-Identifier: GPL-2.0
/*
 * component.c - slices as connected components of capsules
 *
 * Joining moves the capsules of one slice to the other; splitting walks the
 * links from the top and gives what it did not reach slices of their own.
 * Both cost in proportion to the slice's size, bounded by
 * SLICE_COMPONENT_HARD_MAX, never to how many slices there are.
 *
 * All of it runs under slice_registry_lock.
 *
 * Source: paper section 2.2 (slices as connected components).
 */
#include <linux/slab.h>

#include "registry.h"
#include "report.h"

static u32 last_mark;

struct slice *slice_component_new(gfp_t gfp)
{
	struct slice *slice;

	slice = kzalloc(sizeof(*slice), gfp);
	if (!slice)
		return NULL;
	kref_init(&slice->ref);
	INIT_HLIST_NODE(&slice->by_id);
	INIT_LIST_HEAD(&slice->capsules);
	INIT_LIST_HEAD(&slice->in_dirty);
	INIT_LIST_HEAD(&slice->in_ended);
	init_waitqueue_head(&slice->changed);
	mutex_init(&slice->move_lock);
	return slice;
}

void slice_component_add(struct slice *slice, struct slice_capsule *capsule)
{
	list_add_tail(&capsule->in_slice, &slice->capsules);
	capsule->slice = slice;
	slice->n_capsules++;
	slice->generation++;
}

static bool slice_component_is_above(const struct slice_capsule *a,
				     const struct slice_capsule *b)
{
	if (a->is_top != b->is_top)
		return a->is_top;
	if (a->ops->rank != b->ops->rank)
		return a->ops->rank > b->ops->rank;
	if (a->id.incarnation != b->id.incarnation)
		return a->id.incarnation < b->id.incarnation;
	return a->id.counter < b->id.counter;
}

struct slice_capsule *slice_component_top(struct slice *slice)
{
	struct slice_capsule *capsule, *top = NULL;

	list_for_each_entry(capsule, &slice->capsules, in_slice)
		if (!top || slice_component_is_above(capsule, top))
			top = capsule;
	return top;
}

static void slice_component_set_id(struct slice *slice, struct slice_id id)
{
	if (slice_id_equal(slice->id, id))
		return;
	slice_table_del(slice);
	slice->id = id;
	slice_table_add(slice);
	slice_report_changed(slice);
}

void slice_component_update_id(struct slice *slice)
{
	struct slice_capsule *top = slice_component_top(slice);

	if (top && slice->state == SLICE_STATE_ACTIVE)
		slice_component_set_id(slice, top->id);
}

/* Drops the table's reference. */
void slice_component_kill(struct slice *slice)
{
	if (slice->is_dead)
		return;
	slice->is_dead = true;
	slice->generation++;
	slice_table_del(slice);
	slice_report_changed(slice);
	wake_up_all(&slice->changed);
	slice_put(slice);
}

static void slice_component_move_all(struct slice *to, struct slice *from)
{
	struct slice_capsule *capsule;

	list_for_each_entry(capsule, &from->capsules, in_slice)
		capsule->slice = to;
	list_splice_tail_init(&from->capsules, &to->capsules);
	to->n_capsules += from->n_capsules;
	to->n_links += from->n_links;
	to->generation++;
	to->must_split |= from->must_split;
	to->has_grown = true;
	from->n_capsules = 0;
	from->n_links = 0;
}

int slice_component_join(struct slice_capsule *a, struct slice_capsule *b)
{
	struct slice *keep = a->slice, *lose = b->slice;
	struct slice_capsule *top_keep, *top_lose;
	bool lose_leads;

	if (keep == lose)
		return keep->n_links < SLICE_IMAGE_DEPS_MAX ? 0 : -ENOSPC;
	if (keep->state == SLICE_STATE_DRAINING &&
	    lose->state == SLICE_STATE_DRAINING)
		return -EBUSY;
	if (keep->n_links + lose->n_links >= SLICE_IMAGE_DEPS_MAX)
		return -ENOSPC;
	if (keep->n_capsules + lose->n_capsules > SLICE_COMPONENT_HARD_MAX)
		return -ENOSPC;

	top_keep = slice_component_top(keep);
	top_lose = slice_component_top(lose);
	lose_leads = slice_component_is_above(top_lose, top_keep);
	/* A mover holds on to the object that it drains; otherwise the one
	 * stays whose id does. */
	if (keep->state == lose->state ? lose_leads :
	    keep->state == SLICE_STATE_ACTIVE) {
		swap(keep, lose);
		lose_leads = !lose_leads;
	}
	slice_component_move_all(keep, lose);
	if (lose_leads) {
		struct slice_id id = lose->id;

		/* The device goes on knowing the one that lives by its id. */
		slice_table_del(lose);
		swap(keep->reported_id, lose->reported_id);
		swap(keep->is_reported, lose->is_reported);
		slice_component_set_id(keep, id);
	}
	/* Told before that @lose has ended: see report.h. */
	slice_report_changed(keep);
	slice_component_kill(lose);
	return 0;
}

/* Moves what is connected with @start from its slice's list to @reached. */
static u32 slice_component_reach(struct slice_capsule *start,
				 struct list_head *reached, u32 *ret_links)
{
	struct slice_capsule *capsule = start;
	struct slice_link *link;
	u32 mark = ++last_mark;
	u32 n = 1, n_links = 0;

	start->mark = mark;
	list_move_tail(&start->in_slice, reached);
	list_for_each_entry_from(capsule, reached, in_slice) {
		list_for_each_entry(link, &capsule->needs, in_needs) {
			n_links++;
			if (link->to->mark == mark)
				continue;
			link->to->mark = mark;
			list_move_tail(&link->to->in_slice, reached);
			n++;
		}
		list_for_each_entry(link, &capsule->needed_by, in_needed_by) {
			if (link->from->mark == mark)
				continue;
			link->from->mark = mark;
			list_move_tail(&link->from->in_slice, reached);
			n++;
		}
	}
	*ret_links = n_links;
	return n;
}

/* One component of the rest of @slice becomes a slice. */
static bool slice_component_split_one(struct slice *slice)
{
	struct slice_capsule *capsule;
	struct slice *part;

	part = slice_component_new(GFP_ATOMIC | __GFP_NOWARN);
	if (!part)
		return false;
	capsule = list_first_entry(&slice->capsules, struct slice_capsule,
				   in_slice);
	part->n_capsules = slice_component_reach(capsule, &part->capsules,
						 &part->n_links);
	slice->n_capsules -= part->n_capsules;
	slice->n_links -= part->n_links;
	list_for_each_entry(capsule, &part->capsules, in_slice)
		capsule->slice = part;
	part->id = slice_component_top(part)->id;
	slice_table_add(part);
	slice_report_split(part, slice);
	return true;
}

void slice_component_split(struct slice *slice)
{
	struct slice_capsule *capsule, *top;
	LIST_HEAD(rest);
	LIST_HEAD(kept);
	u32 n_links;

	if (slice->state != SLICE_STATE_ACTIVE) {
		slice->must_split = true;
		return;
	}
	top = slice_component_top(slice);
	list_for_each_entry(capsule, &slice->capsules, in_slice)
		if (slice_id_equal(capsule->id, slice->id))
			top = capsule;
	slice_component_reach(top, &kept, &n_links);
	slice->must_split = false;
	while (!list_empty(&slice->capsules)) {
		slice->generation++;
		if (slice_component_split_one(slice))
			continue;
		/* No memory now: they stay together until the next change. */
		slice->must_split = true;
		break;
	}
	list_splice(&kept, &slice->capsules);
	slice_component_update_id(slice);
}
