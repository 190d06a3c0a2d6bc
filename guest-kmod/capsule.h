/* SPDX-License-Identifier: GPL-2.0 */
/*
 * capsule.h - capsules and the operations of a kernel layer
 *
 * DOC: capsules, layers and who calls whom
 *
 * registry.c owns every struct slice_capsule: ids, dependencies, slices,
 * reference words.  A kernel layer (tcp, openflow) gives it a struct
 * slice_layer_ops; user-space layers share one such table that talks to their
 * provider (chardev.c).  plug.c drives a slice's capsules through the phases
 * of enum slice_state and calls the operations below: by rank, lowest first,
 * when it freezes, unplugs or plugs; highest first when it undoes.
 *
 * Locks: registry.h says which; all operations below except @why,
 * @memory_bytes and @release run in process context without any registry lock
 * held, one at a time for a slice.  @why and @memory_bytes may be called with
 * slice_registry_lock held, so they must not call back into the registry or
 * take a lock that is held around such a call (a socket's).
 *
 * One capsule object lives through an abort: @unplug, then @plug of the same
 * object from the kept image, then @open.  So once @unplug has returned 0 what
 * is left of the old state (tcp: the disconnected socket and its later close)
 * must not touch the capsule any more, above all not remove it.  After @unplug
 * the capsule ends with @forget and slice_capsule_remove() by plug.c, or lives
 * on by @plug; after @discard plug.c removes it too.
 */
#ifndef SLICE_CAPSULE_H
#define SLICE_CAPSULE_H

#include <linux/kref.h>
#include <linux/types.h>
#include <uapi/linux/slice.h>
#include <uapi/linux/slice_capsule.h>

struct slice_capsule;
struct slice_image;
struct slice_image_reader;

/**
 * struct slice_layer_ops - what a layer does for its capsules
 * @name: of the layer
 * @version: of its capsule format
 * @rank: height in the stack
 * @abi_hash: of whatever else must be equal at both ends
 * @why: may it move now?  Any context, must not sleep.  Return enum slice_why.
 * @freeze: no new work; called once before references are awaited.  Optional.
 * @is_quiet: is it at a boundary (tcp: nothing was read since the last
 *	reference dropped)?  Optional: true.
 * @thaw: undo @freeze.  Optional.
 * @unplug: append this capsule's records to @image, then detach it from its
 *	layer, silently.  On error nothing has changed.  What @plug needs must be
 *	in the image.
 * @plug: make the state from @reader's records of capsule @index; everything it
 *	depends on is plugged already.  The state is frozen and nobody hears of
 *	it.  On error nothing is left.
 * @open: it runs from now on.  Must not fail.
 * @discard: undo @plug, silently.
 * @forget: the image of an unplugged capsule is no longer needed (it lives
 *	elsewhere); the capsule is about to be released.  Optional.
 * @memory_bytes: pages in use, for the record.  Any context, must not sleep.
 *	Optional: 0.
 * @get_handle: a descriptor installed in current (tcp) or the layer's handle.
 * @release: last reference of the capsule went; free capsule->priv.
 */
struct slice_layer_ops {
	char name[SLICE_LAYER_NAME_BYTES];
	u32 version;
	u32 rank;
	u64 abi_hash;
	enum slice_why (*why)(struct slice_capsule *capsule);
	void (*freeze)(struct slice_capsule *capsule);
	bool (*is_quiet)(struct slice_capsule *capsule);
	void (*thaw)(struct slice_capsule *capsule);
	int (*unplug)(struct slice_capsule *capsule, struct slice_image *image,
		      u32 index);
	int (*plug)(struct slice_capsule *capsule,
		    const struct slice_image_reader *reader, u32 index);
	void (*open)(struct slice_capsule *capsule);
	void (*discard)(struct slice_capsule *capsule);
	void (*forget)(struct slice_capsule *capsule);
	u64 (*memory_bytes)(struct slice_capsule *capsule);
	int (*get_handle)(struct slice_capsule *capsule, u64 *ret_handle);
	void (*release)(struct slice_capsule *capsule);
};

/*
 * What kernel layers may call (registry.c).
 *
 * slice_capsule_create() works in any context that may take a spinlock with
 * GFP_ATOMIC memory: tcp calls it from the handshake's softirq.  The capsule
 * has the id before it can be found.  Its first reference is the registry's:
 * the caller borrows it until slice_capsule_remove().  Until slice_capsule_made()
 * one that is not @is_made counts as referenced: its maker has no word yet.
 * Returns ERR_PTR: -ENOMEM, -ENOSPC.
 * slice_capsule_remove() makes it unfindable, drops its dependencies and the
 * registry's reference; any context.  Slices change are told to the device
 * later, from a work item.
 */
struct slice_capsule *slice_capsule_create(const struct slice_layer_ops *ops,
					   void *priv, bool is_made, gfp_t gfp);
void slice_capsule_made(struct slice_capsule *capsule);
void slice_capsule_remove(struct slice_capsule *capsule);
struct slice_capsule *slice_capsule_get(struct slice_capsule *capsule);
bool slice_capsule_tryget(struct slice_capsule *capsule);
void slice_capsule_put(struct slice_capsule *capsule);
void *slice_capsule_priv(const struct slice_capsule *capsule);
void slice_capsule_set_priv(struct slice_capsule *capsule, void *priv);
struct slice_id slice_capsule_id(const struct slice_capsule *capsule);
int slice_capsule_set_dep(struct slice_capsule *capsule,
			  struct slice_capsule *needs, gfp_t gfp);
/* First capsule of @ops's layer that @capsule needs, with a reference. */
struct slice_capsule *slice_capsule_needed(struct slice_capsule *capsule,
					   const struct slice_layer_ops *ops);
/* A tcp capsule's socket got or lost references of an application that keeps
 * none: nothing to do for now; and: something that @why or @is_quiet tell has
 * changed, look again (any context). */
void slice_capsule_changed(struct slice_capsule *capsule);

#endif /* SLICE_CAPSULE_H */
