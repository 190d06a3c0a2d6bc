// SPDX-License-Identifier: GPL-2.0
/*
 * report.c - the lists of slices that the device is to be told of
 *
 * Below: registry.h.  Above: virtio.c.
 */
#include "report.h"

static LIST_HEAD(dirty);		/* struct slice.in_dirty: a SET is due */
static LIST_HEAD(ended);		/* struct slice.in_ended: a GONE is due */
static u64 last_turn;			/* both lists are in the order of turns */
static void (*listener)(void);

static void slice_report_put_on(struct slice *slice, struct list_head *node,
				struct list_head *before)
{
	list_add_tail(node, before);
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

/* Nobody knows a slice that was not reported: its end needs no word. */
static void slice_report_note_end(struct slice *slice)
{
	if (!slice->is_reported)
		return;
	if (list_empty(&slice->in_ended))
		slice_report_put_on(slice, &slice->in_ended, &ended);
	else
		list_move_tail(&slice->in_ended, &ended);
	slice->end_turn = ++last_turn;
}

void slice_report_changed(struct slice *slice)
{
	if (!listener)
		return;
	if (slice->is_dead) {
		slice_report_note_end(slice);
	} else if (list_empty(&slice->in_dirty)) {
		slice_report_put_on(slice, &slice->in_dirty, &dirty);
		slice->turn = ++last_turn;
	}
	listener();
}

void slice_report_split(struct slice *part, struct slice *from)
{
	slice_report_changed(from);
	if (!listener || !list_empty(&part->in_dirty))
		return;
	slice_report_put_on(part, &part->in_dirty, &from->in_dirty);
	part->turn = from->turn;
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

/* The device knows @slice by another id: that one ends as soon as the new is told. */
static void slice_report_owe_end(struct slice *slice)
{
	slice->ended_id = slice->reported_id;
	slice->owes_end = true;
	slice->is_reported = false;
	if (list_empty(&slice->in_ended))
		slice_report_put_on(slice, &slice->in_ended, ended.next);
	else
		list_move(&slice->in_ended, &ended);
	slice->end_turn = 0;
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
 * The id may be a living slice's again, of one that has split from another: if it
 * was told by that id since, it goes on; if not, its SET is to come.
 */
static bool slice_report_goes_on(struct slice_id id)
{
	struct slice *slice = slice_table_find(id);

	return slice && slice->is_reported &&
	       slice_id_equal(slice->reported_id, id);
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
	if (slice->is_dead && slice->is_reported)
		slice_report_note_end(slice);
	else
		slice_report_take_off(slice, &slice->in_ended);
	return found && !slice_report_goes_on(report->id);
}

bool slice_report_next(struct slice_report *ret_report)
{
	struct slice *set, *gone;
	bool found = false;

	spin_lock_bh(&slice_registry_lock);
	while (!found) {
		set = list_first_entry_or_null(&dirty, struct slice, in_dirty);
		gone = list_first_entry_or_null(&ended, struct slice, in_ended);
		if (set && (!gone || set->turn < gone->end_turn))
			found = slice_report_make_set(set, ret_report);
		else if (gone)
			found = slice_report_make_gone(gone, ret_report);
		else
			break;
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
