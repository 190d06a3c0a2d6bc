/* SPDX-License-Identifier: GPL-2.0 */
/*
 * find.h - where is the session of a key: here, elsewhere, nowhere?
 *
 * DOC: finds
 *
 * A layer has a request of a connection for a session, holds no reference and
 * asks.  A session that is here and runs: HERE.  One that leaves or arrives is
 * waited for, then looked for again.  One that is not here is asked for at the
 * device, under a tag:
 *
 *	asked --FIND_DONE(ENOENT)--> looked for here once more, then NOWHERE
 *	asked --FIND_DONE(0)-------> moving: the connection goes where it is
 *	asked, moving --FIND_DONE(error)--> that error
 *	(any) --the connection has left--> ESTALE
 *
 * Nothing here waits without a deadline.
 *
 * Locks: slice_find_lock (spinlock) guards the table of tags; innermost.
 */
#ifndef SLICE_FIND_H
#define SLICE_FIND_H

#include "digest.h"
#include "registry.h"

/**
 * struct slice_find_request - what is looked for, for whom
 * @capsule: of the connection, with a reference of the caller's
 * @digest: of layer and key
 * @timeout_ms: within which
 * @n_finds: under way for this caller, bounded
 */
struct slice_find_request {
	struct slice_capsule *capsule;
	struct slice_digest digest;
	u32 timeout_ms;
	atomic_t *n_finds;
};

/* Sleeps.  0 and *ret_result; -ESTALE, -ETIMEDOUT, -EBUSY, -ENOSPC, -EINTR as
 * struct slice_find says. */
int slice_find_session(const struct slice_find_request *request,
		       enum slice_find_result *ret_result,
		       enum slice_why *ret_why);
/* FIND_DONE; @status: 0 or a positive errno of the device's.  Any context that
 * may take a spinlock. */
void slice_find_answer(u64 tag, u64 status);
/* The device has forgotten all that was asked. */
void slice_find_reset(void);
/* LOOKUP, for another VM: 0 and the slice that has it; -ENOENT; -EAGAIN: it is
 * leaving or arriving. */
int slice_find_lookup(const struct slice_digest *digest,
		      struct slice_id *ret_slice);

#endif /* SLICE_FIND_H */
