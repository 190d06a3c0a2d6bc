/* SPDX-License-Identifier: GPL-2.0 */
/*
 * plug.h - the steps in which a slice leaves and arrives
 *
 * DOC: steps
 *
 *	quiesce		ACTIVE -> DRAINED, or thawed again
 *	unplug		DRAINED -> UNPLUGGED, or still DRAINED
 *	resume		DRAINED, UNPLUGGED, ACTIVE -> ACTIVE, or as before
 *	forget		UNPLUGGED -> gone
 *	plug		(nothing) -> PLUGGED, or nothing
 *	open		PLUGGED -> ACTIVE
 *	discard		PLUGGED -> gone
 *
 * The device's events and the requests of /dev/slice call the same functions.
 * Each holds the slice's move_lock from start to end; who finds it taken gets
 * -EBUSY, SLICE_WHY_MOVING.  All of them sleep, and where they wait for others
 * (references, a provider's answer) it is until a deadline and interruptible.
 *
 * Errors of all: -ENOENT (SLICE_WHY_GONE) no such slice; -EBUSY with @ret_why;
 * -ENOMEM; -EINTR.
 *
 * Source: design section 5; protocol.md's state table is the hypervisor's.
 */
#ifndef SLICE_PLUG_H
#define SLICE_PLUG_H

#include "image.h"
#include "registry.h"

/* Within which a layer must answer where nobody said so. */
#define SLICE_PLUG_TIMEOUT_MS	10000

/* Freezes it and waits until every reference has dropped and every layer is
 * quiet.  -EBUSY: not within @timeout_ms, or @n_aborts (NULL: never) became
 * nonzero; -EOPNOTSUPP: pinned. */
int slice_plug_quiesce(struct slice_id id, u32 timeout_ms,
		       const atomic_t *n_aborts, enum slice_why *ret_why);
/* Has a quiesce of that slice look at its @n_aborts. */
void slice_plug_quiesce_wake(struct slice_id id);

/**
 * typedef slice_plug_consume_fn - what is done with an image while it is kept
 * @opaque: as given
 * @slice: UNPLUGGED, under its move_lock
 * @image: the kept one
 *
 * Return: 0 or an error, which is slice_plug_unplug()'s.
 */
typedef int (*slice_plug_consume_fn)(void *opaque, struct slice *slice,
				     const struct slice_image *image);

/* Makes the image and has it consumed; of one that is UNPLUGGED already the
 * kept image is consumed again. */
int slice_plug_unplug(struct slice_id id, u32 timeout_ms,
		      slice_plug_consume_fn consume, void *opaque,
		      enum slice_why *ret_why);
int slice_plug_resume(struct slice_id id, u32 timeout_ms,
		      enum slice_why *ret_why);
/* It cannot be resumed: what is unplugged of it ends here. */
int slice_plug_give_up(struct slice_id id);
/* @is_known: the device knows that it is gone, do not report it. */
int slice_plug_forget(struct slice_id id, bool is_known,
		      enum slice_why *ret_why);
/* @data: vmalloc'ed or kmalloc'ed, 8-aligned; -EPROTO: malformed. */
int slice_plug_plug(const void *data, size_t bytes, u32 timeout_ms,
		    struct slice_id *ret_slice, enum slice_why *ret_why);
int slice_plug_open(struct slice_id id, enum slice_why *ret_why);
int slice_plug_discard(struct slice_id id, enum slice_why *ret_why);
/* Nobody is left who could finish what has begun: at module exit. */
void slice_plug_exit(void);

/* ---- quiesce.c ---- */
/* Finds a slice and takes its move_lock; -ENOENT, -EBUSY. */
int slice_move_begin(struct slice_id id, struct slice **ret_slice,
		     enum slice_why *ret_why);
void slice_move_end(struct slice *slice);
/* Opens what is plugged, thaws what is frozen; then it is ACTIVE. */
void slice_move_run(struct slice *slice);
void slice_capsule_set_phase(struct slice_capsule *capsule,
			     enum slice_phase phase);

#endif /* SLICE_PLUG_H */
