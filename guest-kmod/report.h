/* SPDX-License-Identifier: GPL-2.0 */
/*
 * report.h - which slices have changed since the device was told
 *
 * DOC: reports
 *
 * A slice that changes its membership, label or movability is put on a list;
 * the listener (virtio.c) is kicked and takes reports from a work item.  A
 * slice that came and went in between is never mentioned, one that changed
 * often once.  A slice whose id changed is GONE by the old and SET by the new.
 * Nothing is reported of a slice that is not ACTIVE: the mover's answers tell.
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
/* The device may have forgotten everything: report all slices again.  What has
 * ended and was not told yet is still told. */
void slice_report_all(void);
/* Drops what is left to be told, at module exit. */
void slice_report_drop_all(void);

/* Under slice_registry_lock: */
void slice_report_changed(struct slice *slice);
void slice_report_mute(struct slice *slice);

#endif /* SLICE_REPORT_H */
