/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test-libslice-fake.h - a registry in this process, instead of slice.ko
 *
 * One "machine" with one opener: capsules with memory and words, dependencies,
 * freezing with a wait for references, events.  It answers each request of
 * linux/slice.h as documented there and nothing more.  All layers are one here:
 * a capsule is found by its key whatever layer is named.
 *
 * Threads: all functions may be called from any thread.
 */
#ifndef TEST_LIBSLICE_FAKE_H
#define TEST_LIBSLICE_FAKE_H

#include <stdbool.h>

#include "slice-backend.h"

struct fake;

/* fake_new() - a machine; free with fake_free() after its opener was closed. */
struct fake *fake_new(void);
void fake_free(struct fake *fake);
/* The opener: hand both to slice_open_backend(). */
extern const struct slice_backend fake_backend;

/* What a kernel does to a slice; every capsule is a slice here. */
void fake_freeze(struct fake *fake, const struct slice_id *id);
void fake_wait_quiet(struct fake *fake, const struct slice_id *id);
void fake_thaw(struct fake *fake, const struct slice_id *id);
/* It has left: sleepers get ESTALE, its key is no longer found. */
void fake_leave(struct fake *fake, const struct slice_id *id);
void fake_push_event(struct fake *fake, const struct slice_event *event);
/* How often user space entered the kernel for a reference. */
unsigned fake_n_ref_calls(struct fake *fake);
/* The last PLUG_DONE; false if there was none. */
bool fake_last_answer(struct fake *fake, struct slice_capsule_op *ret_op);
/* The last word of PIN about a capsule; NONE if there was none. */
uint32_t fake_pinned(struct fake *fake, const struct slice_id *id);
/* Does @capsule need @needs? */
bool fake_needs(struct fake *fake, const struct slice_id *capsule,
                const struct slice_id *needs);
/* The limit of ROOM. */
uint32_t fake_room(struct fake *fake);
/* What FIND answers about a key that is not here: 0: NOWHERE, or a negative
 * errno; with -ESTALE the capsule that asked leaves. */
typedef int (*fake_elsewhere)(const void *key, size_t key_bytes);
void fake_set_elsewhere(struct fake *fake, fake_elsewhere elsewhere);
/* Makes the next request of that number fail with -@err. */
void fake_fail(struct fake *fake, unsigned long request, int err);

#endif /* TEST_LIBSLICE_FAKE_H */
