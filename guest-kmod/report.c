// SPDX-License-Identifier: GPL-2.0
/*
 * report.c - the lists of slices that the device is to be told of
 *
 * Below: registry.h.  Above: virtio.c.
 */
#include "report.h"

static LIST_HEAD(dirty);		/* struct slice.in_dirty: a SET is due */
static LIST_HEAD(ended);		/* struct slice.in_ended: a GONE is due */
static void (*listener)(void);

static void slice_report_put_on(struct slice *slice, struct list_head *node,
				struct list_head *list, bool first)
{
	if (!list_empty(node))
		return;
	if (first)
		list_add(node, list);
	else
		list_add_tail(node, list);
	slice_get(slice);
}

/* Its reference goes with it. */
static void slice_report_take_off(struct slice *slice, struct list_head *node)
{
	if (list_empty(node))
		return;
	list_del_init(node);
	slice_put(slice);
}

static void slice_report_note(struct slice *slice, bool first)
{
	if (!listener)
		return;
	if (!slice->is_dead)
		slice_report_put_on(slice, &slice->in_dirty, &dirty, first);
	else if (slice->is_reported) /* else nobody knows it: no word is needed */
		slice_report_put_on(slice, &slice->in_ended, &ended, false);
	listener();
}

void slice_report_changed(struct slice *slice)
{
	slice_report_note(slice, false);
}

void slice_report_changed_first(struct slice *slice)
{
	slice_report_note(slice, true);
}

void slice_report_mute(struct slice *slice)
{
	slice->is_reported = false;
}

void slice_report_known(struct slice *slice)
{
	slice->is_reported = true;
	slice->reported_id = slice->id;
}

void slice_report_listen(void (*kick)(void))
{
	spin_lock_bh(&slice_registry_lock);
	listener = kick;
	spin_unlock_bh(&slice_registry_lock);
}

/* May the device be told what @slice is?  Of one that drains, what has joined it. */
static bool slice_report_may_set(const struct slice *slice)
{
	if (slice->is_dead)
		return false;
	if (slice->state == SLICE_STATE_ACTIVE)
		return true;
	return slice->has_grown && (slice->state == SLICE_STATE_DRAINING ||
				    slice->state == SLICE_STATE_DRAINED);
}

/* The device knows @slice by another id: that one ends, once the new is told. */
static void slice_report_owe_end(struct slice *slice)
{
	slice->ended_id = slice->reported_id;
	slice->owes_end = true;
	slice->is_reported = false;
	slice_report_put_on(slice, &slice->in_ended, &ended, false);
}

static void slice_report_end(struct slice_id id, struct slice_report *report)
{
	*report = (struct slice_report){ .type = SLICE_REPORT_GONE, .id = id };
}

/* The head of the dirty list, under the lock.  Return: is there a report of it? */
static bool slice_report_make_set(struct slice *slice,
				  struct slice_report *report)
{
	bool is_renamed = slice->is_reported &&
			  !slice_id_equal(slice->reported_id, slice->id);
	bool may_set = slice_report_may_set(slice);

	if (may_set && is_renamed && slice->owes_end) {
		/* A third id, and the device still knows the first. */
		slice->owes_end = false;
		slice_report_end(slice->ended_id, report);
		return true;
	}
	if (may_set) {
		if (is_renamed)
			slice_report_owe_end(slice);
		slice_report_known(slice);
		slice->has_grown = false;
		*report = (struct slice_report){
			.type = SLICE_REPORT_SET, .slice = slice_get(slice),
			.id = slice->id,
		};
	}
	slice_report_take_off(slice, &slice->in_dirty);
	return may_set;
}

/*
 * The id may be a living slice's again, of what has split from another: it was
 * or will be told by that id, and goes on.
 */
static bool slice_report_goes_on(struct slice_id id)
{
	struct slice *slice = slice_table_find(id);

	if (!slice)
		return false;
	if (!slice->is_reported)
		slice_report_known(slice);
	return true;
}

/* The head of the ended list, under the lock.  Return: is there a report of it? */
static bool slice_report_make_gone(struct slice *slice,
				   struct slice_report *report)
{
	bool found = slice->owes_end;

	if (found) {
		slice->owes_end = false;
		slice_report_end(slice->ended_id, report);
	} else if (slice->is_dead && slice->is_reported) {
		found = true;
		slice->is_reported = false;
		slice_report_end(slice->reported_id, report);
	}
	if (!slice->is_dead || !slice->is_reported)
		slice_report_take_off(slice, &slice->in_ended);
	return found && !slice_report_goes_on(report->id);
}

bool slice_report_next(struct slice_report *ret_report)
{
	struct slice *slice;
	bool found = false;

	spin_lock_bh(&slice_registry_lock);
	while (!found) {
		slice = list_first_entry_or_null(&dirty, struct slice, in_dirty);
		if (slice) {
			found = slice_report_make_set(slice, ret_report);
			continue;
		}
		slice = list_first_entry_or_null(&ended, struct slice, in_ended);
		if (!slice)
			break;
		found = slice_report_make_gone(slice, ret_report);
	}
	spin_unlock_bh(&slice_registry_lock);
	return found;
}

bool slice_report_is_due(struct slice *slice)
{
	bool is_due;

	spin_lock_bh(&slice_registry_lock);
	is_due = slice->has_grown && !list_empty(&slice->in_dirty) &&
		 slice_report_may_set(slice);
	spin_unlock_bh(&slice_registry_lock);
	return is_due;
}

static int slice_report_again(void *opaque, struct slice *slice)
{
	spin_lock_bh(&slice_registry_lock);
	slice_report_changed(slice);
	spin_unlock_bh(&slice_registry_lock);
	return 0;
}

void slice_report_all(void)
{
	slice_registry_for_each(slice_report_again, NULL);
}

void slice_report_drop_all(void)
{
	struct slice *slice, *next;

	spin_lock_bh(&slice_registry_lock);
	list_for_each_entry_safe(slice, next, &ended, in_ended) {
		slice->owes_end = false;
		slice->is_reported = false;
		slice_report_take_off(slice, &slice->in_ended);
	}
	list_for_each_entry_safe(slice, next, &dirty, in_dirty) {
		slice->is_reported = false;
		slice_report_take_off(slice, &slice->in_dirty);
	}
	spin_unlock_bh(&slice_registry_lock);
}
