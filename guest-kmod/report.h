/* SPDX-License-Identifier: GPL-2.0 */
/*
 * report.h - which slices have changed since the device was told
 *
 * DOC: reports
 *
 * A slice that changes its membership, label or movability is put on a list;
 * the listener (virtio.c) is kicked and takes reports from a work item.  A
 * slice that came and went in between is never mentioned, one that changed
 * often once.
 *
 * A connection that goes on in another slice is told there before it is told
 * not to be where it was, so that at no moment nobody seems to have it: what
 * was split off comes before the slice that it was split from, a SET by a new
 * id before the GONE by the old one, all SETs before all GONEs.
 *
 * Of a slice that is not ACTIVE the mover's answers tell, and reports only that
 * it has grown while it drains, which the device must know before it hears that
 * the slice is quiet: slice_report_is_due().  A slice that has arrived is known
 * to the device, by the id that it came with.
 */
#ifndef SLICE_REPORT_H
#define SLICE_REPORT_H

#include "registry.h"

enum slice_report_type {
	SLICE_REPORT_SET,
	SLICE_REPORT_GONE,
};

/**
 * struct slice_report - one thing to tell
 * @slice: SET: with a reference that the caller drops; GONE: NULL
 * @id: by which the device knows, or will know, it
 */
struct slice_report {
	enum slice_report_type type;
	struct slice *slice;
	struct slice_id id;
};

/* @kick may be called in any context under slice_registry_lock; NULL: nobody. */
void slice_report_listen(void (*kick)(void));
/* The next thing to tell, false if none. */
bool slice_report_next(struct slice_report *ret_report);
/* Is it still to be told that @slice, which drains, has grown? */
bool slice_report_is_due(struct slice *slice);
/* The device may have forgotten everything: report all slices again.  What has
 * ended and was not told yet is still told. */
void slice_report_all(void);
/* Drops what is left to be told, at module exit. */
void slice_report_drop_all(void);

/* Under slice_registry_lock: */
void slice_report_changed(struct slice *slice);
/* @part, which is new, was split from @from. */
void slice_report_split(struct slice *part, struct slice *from);
/* The device knows that it is not here, or (known) that it is. */
void slice_report_mute(struct slice *slice);
void slice_report_known(struct slice *slice);

#endif /* SLICE_REPORT_H */
