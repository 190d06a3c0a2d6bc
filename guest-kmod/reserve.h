/* SPDX-License-Identifier: GPL-2.0 */
/*
 * reserve.h - room that is kept for slices which are about to arrive
 *
 * DOC: bookings
 *
 * Before a move the target is asked whether its layers and its memory have room
 * for the slice.  What it says yes to is booked under (slice, term), so that of
 * two who come for the last place one is refused before anything has moved.  A
 * booking ends when the slice was plugged or not, when it is given back, or
 * with the device.  It binds other bookings only: what the guest itself
 * registers meanwhile is not refused.
 *
 * Locks: slice_reserve_lock (mutex), taken before slice_layers_lock.
 */
#ifndef SLICE_RESERVE_H
#define SLICE_RESERVE_H

#include "registry.h"

/**
 * struct slice_reserve_request - what a slice needs
 * @slice: its id
 * @term: of its move
 * @bytes: of capsule memory
 * @counts: capsules by rank, @n_ranks of them
 */
struct slice_reserve_request {
	struct slice_id slice;
	u64 term;
	u64 bytes;
	struct slice_rank_count counts[SLICE_RANKS_MAX];
	u32 n_ranks;
};

/* 0; -EBUSY (MOVING): it is here; -EOPNOTSUPP (NO_LAYER); -ENOSPC (NO_ROOM);
 * -ENOMEM (MEMORY).  Replaces what was booked for that slice before. */
int slice_reserve_add(const struct slice_reserve_request *request,
		      enum slice_why *ret_why);
/* Of exactly that term. */
void slice_reserve_drop(struct slice_id slice, u64 term);
/* It has been plugged, or could not be. */
void slice_reserve_done(struct slice_id slice);
/* All of them. */
void slice_reserve_reset(void);

#endif /* SLICE_RESERVE_H */
