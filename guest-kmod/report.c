// SPDX-License-Identifier: GPL-2.0
/*
 * report.c - the list of slices that the device is to be told of
 *
 * Below: registry.h.  Above: virtio.c.
 */
#include "report.h"

static LIST_HEAD(dirty);		/* struct slice.in_dirty */
static void (*listener)(void);

/* A slice that nobody was told of and that has ended needs no word. */
static bool slice_report_is_wanted(const struct slice *slice)
{
	return listener && (!slice->is_dead || slice->is_reported);
}

void slice_report_changed(struct slice *slice)
{
	if (!slice_report_is_wanted(slice))
		return;
	if (list_empty(&slice->in_dirty)) {
		list_add_tail(&slice->in_dirty, &dirty);
		slice_get(slice);
	}
	listener();
}

void slice_report_mute(struct slice *slice)
{
	slice->is_reported = false;
}

void slice_report_listen(void (*kick)(void))
{
	spin_lock_bh(&slice_registry_lock);
	listener = kick;
	spin_unlock_bh(&slice_registry_lock);
}

/*
 * What there is to tell of @slice, under the lock.  Return: whether there is
 * anything.  A GONE may be followed by a SET, so @slice stays on the list.
 */
static bool slice_report_make(struct slice *slice, struct slice_report *report)
{
	if (slice->is_reported &&
	    (slice->is_dead || !slice_id_equal(slice->reported_id,
					       slice->id))) {
		*report = (struct slice_report){
			.type = SLICE_REPORT_GONE, .id = slice->reported_id,
		};
		slice->is_reported = false;
		return true;
	}
	list_del_init(&slice->in_dirty);
	if (slice->is_dead || slice->state != SLICE_STATE_ACTIVE)
		return false;
	slice->is_reported = true;
	slice->reported_id = slice->id;
	*report = (struct slice_report){
		.type = SLICE_REPORT_SET, .slice = slice_get(slice),
		.id = slice->id,
	};
	return true;
}

bool slice_report_next(struct slice_report *ret_report)
{
	struct slice *slice;
	bool found = false;

	spin_lock_bh(&slice_registry_lock);
	while (!found && !list_empty(&dirty)) {
		slice = list_first_entry(&dirty, struct slice, in_dirty);
		found = slice_report_make(slice, ret_report);
		/* Off the list: its reference goes with it. */
		if (list_empty(&slice->in_dirty))
			slice_put(slice);
	}
	spin_unlock_bh(&slice_registry_lock);
	return found;
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
	struct slice *slice;

	spin_lock_bh(&slice_registry_lock);
	while (!list_empty(&dirty)) {
		slice = list_first_entry(&dirty, struct slice, in_dirty);
		list_del_init(&slice->in_dirty);
		slice->is_reported = false;
		slice_put(slice);
	}
	spin_unlock_bh(&slice_registry_lock);
}
