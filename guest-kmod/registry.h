/* SPDX-License-Identifier: GPL-2.0 */
/*
 * registry.h - capsules, what they need, and the slices that they form
 *
 * DOC: the registry
 *
 * A capsule has an id (incarnation, counter) and is found by it in a hash
 * table.  A dependency is a link between two capsules.  A slice is a connected
 * component of capsules: set_dep joins two, dropping a link or removing a
 * capsule may split one.  Its top capsule is the one of highest rank that
 * create_slice named, or else the one of highest rank, or else the oldest; the
 * slice's id is that capsule's id.  So ids need no agreement between VMs, and
 * a slice keeps its id as long as it keeps its top.
 *
 * DOC: states
 *
 *	ACTIVE -> DRAINING -> DRAINED -> UNPLUGGED -> (gone)
 *	  ^---------'------------'----------'
 *	(arrives) PLUGGED -> ACTIVE, or -> (gone)
 *
 * Only plug.c changes a state, under the slice's move_lock.  A slice that is
 * DRAINING can still grow (a request in flight links a new capsule); one that
 * is further can not: -EBUSY.  A slice that is not ACTIVE does not split and
 * keeps its id until it is ACTIVE again, when its components are recomputed.
 *
 * DOC: locks
 *
 * slice_registry_lock (spinlock, bottom halves off) guards the tables, links,
 * membership, words and states.  It is innermost: it is taken with a socket's
 * lock held and no callback but ops->why is called under it.  What happens
 * under it costs at most in proportion to one slice's size, which is bounded.
 * move_lock (mutex, one for each slice) is held by whoever drives a slice
 * through its states; it is taken before everything else.
 */
#ifndef SLICE_REGISTRY_H
#define SLICE_REGISTRY_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "capsule.h"

#define SLICE_CAPSULES_MAX	(1u << 17)
/* A slice of more than SLICE_COMPONENT_MAX is pinned, beyond this refused. */
#define SLICE_COMPONENT_HARD_MAX (4 * SLICE_COMPONENT_MAX)

/**
 * enum slice_phase - where the mover has brought one capsule
 * @SLICE_PHASE_RUNNING: its layer works on it
 * @SLICE_PHASE_FROZEN: ops->freeze was called
 * @SLICE_PHASE_UNPLUGGED: ops->unplug has succeeded
 * @SLICE_PHASE_PLUGGED: ops->plug has succeeded, ops->open was not called
 */
enum slice_phase {
	SLICE_PHASE_RUNNING,
	SLICE_PHASE_FROZEN,
	SLICE_PHASE_UNPLUGGED,
	SLICE_PHASE_PLUGGED,
};

/**
 * struct slice_capsule - one layer's state of one session
 * @ref: the registry's until it is removed, each holder's
 * @id: cluster-wide name
 * @ops: of its layer
 * @priv: the layer's
 * @slice: that it belongs to; NULL once removed
 * @in_slice: in slice->capsules
 * @by_id: in the table
 * @needs: struct slice_link.in_needs of what it needs
 * @needed_by: struct slice_link.in_needed_by of who needs it
 * @words: struct slice_word.in_capsule
 * @thawed: who waits for a reference
 * @phase: changed under move_lock
 * @is_being_made: its maker has no word of it yet: counts as a reference
 * @is_frozen: its words are, and new ones are born so
 * @is_top: create_slice named it
 * @label: what create_slice called it; a slice is called what its top is
 * @pin: why its layer says that it cannot move; SLICE_WHY_NONE: it can
 * @was_pinned: what slice_capsule_changed() saw last
 * @is_watched: the device was told that it has references
 * @mark: component.c's
 * @index: in the image, plug.c's, under move_lock
 */
struct slice_capsule {
	struct kref ref;
	struct slice_id id;
	const struct slice_layer_ops *ops;
	void *priv;
	struct slice *slice;
	struct list_head in_slice;
	struct hlist_node by_id;
	struct list_head needs;
	struct list_head needed_by;
	struct list_head words;
	wait_queue_head_t thawed;
	enum slice_phase phase;
	bool is_being_made;
	bool is_frozen;
	bool is_top;
	u8 label[SLICE_LABEL_BYTES];
	enum slice_why pin;
	bool was_pinned;
	bool is_watched;
	u32 mark;
	u32 index;
};

/**
 * struct slice_link - @from needs @to
 */
struct slice_link {
	struct slice_capsule *from;
	struct slice_capsule *to;
	struct list_head in_needs;
	struct list_head in_needed_by;
};

/**
 * struct slice - a connected component of capsules
 * @ref: the table's, the dirty list's, each holder's
 * @id: its top capsule's, see registry.h
 * @by_id: in the table
 * @capsules: its capsules, @n_capsules of them
 * @n_links: between them
 * @generation: rises with each change of membership
 * @state: enum slice_state
 * @is_dead: joined into another, or has no capsule and no image
 * @must_split: a split was put off
 * @changed: the mover waits here for references, quiet, growth
 * @move_lock: see registry.h
 * @deadline: jiffies until which layers may take over what the mover asked
 * @image: kept while UNPLUGGED
 * @n_whole: of so many capsules of it, U32_MAX: all; else it is good for
 *	nothing but a resume
 * @frozen_ns: when it was frozen (ktime_get_ns())
 * @in_dirty: in report.c's list of what is to be told; holds a reference
 * @in_ended: in report.c's list of ids that have ended; holds a reference
 * @reported_id: the device knows it by this, if @is_reported
 * @turn, @end_turn: in the lists' common order
 * @ended_id: the device is to be told that this one has ended, if @owes_end
 * @has_grown: was joined with another since it was reported
 */
struct slice {
	struct kref ref;
	struct slice_id id;
	struct hlist_node by_id;
	struct list_head capsules;
	u32 n_capsules;
	u32 n_links;
	u32 generation;
	enum slice_state state;
	bool is_dead;
	bool must_split;
	wait_queue_head_t changed;
	struct mutex move_lock;
	unsigned long deadline;
	struct slice_image *image;
	u32 n_whole;
	u64 frozen_ns;
	struct list_head in_dirty;
	struct list_head in_ended;
	u64 turn;
	u64 end_turn;
	struct slice_id reported_id;
	struct slice_id ended_id;
	bool is_reported;
	bool owes_end;
	bool has_grown;
};

/**
 * struct slice_set - capsules of a slice at one moment, each with a reference
 * @capsules: @n of them, by rank, then by id
 * @generation: of the slice then
 */
struct slice_set {
	struct slice_capsule **capsules;
	u32 n;
	u32 generation;
};

/* Layers of different ranks in one slice; more: pinned. */
#define SLICE_RANKS_MAX		8

/**
 * struct slice_rank_count - how many capsules of one rank there are
 */
struct slice_rank_count {
	u32 rank;
	u32 n;
};

/**
 * struct slice_status - what a slice is and can do
 * @counts: its capsules by rank, lowest first, @n_ranks of them
 */
struct slice_status {
	struct slice_id slice;
	struct slice_id top;
	enum slice_state state;
	enum slice_movability movability;
	enum slice_why why;
	u32 n_capsules;
	u32 n_connections;
	u32 n_refs;
	u64 memory_bytes;
	u8 label[SLICE_LABEL_BYTES];
	u8 top_layer[SLICE_LAYER_NAME_BYTES];
	struct slice_rank_count counts[SLICE_RANKS_MAX];
	u32 n_ranks;
};

extern spinlock_t slice_registry_lock;

int slice_registry_init(void);
void slice_registry_exit(void);
void slice_registry_set_incarnation(u64 incarnation);
u64 slice_registry_incarnation(void);
u32 slice_registry_n_capsules(void);
u32 slice_registry_n_slices(void);

static inline bool slice_id_equal(struct slice_id a, struct slice_id b)
{
	return a.incarnation == b.incarnation && a.counter == b.counter;
}

/* By id, with a reference, or NULL. */
struct slice_capsule *slice_registry_find_capsule(struct slice_id id);
/* By its own id, with a reference, or NULL. */
struct slice *slice_registry_get_slice(struct slice_id id);
/* By its own id or any of its capsules', with a reference, or NULL. */
struct slice *slice_registry_find_slice(struct slice_id id);
/* The slice of a capsule, with a reference, or NULL when it was removed. */
struct slice *slice_registry_slice_of(struct slice_capsule *capsule);
/* Calls @each for every slice, with a reference held and no lock; stops at an
 * error, which it returns. */
int slice_registry_for_each(int (*each)(void *opaque, struct slice *slice),
			    void *opaque);

struct slice *slice_get(struct slice *slice);
void slice_put(struct slice *slice);
/* Never fails: a slice is small (SLICE_COMPONENT_HARD_MAX).  May sleep. */
void slice_set_take(struct slice *slice, struct slice_set *ret_set);
void slice_set_drop(struct slice_set *set);
/* What @capsule needs of the layer @ops; generation 0. */
void slice_set_take_needed(struct slice_capsule *capsule,
			   const struct slice_layer_ops *ops,
			   struct slice_set *ret_set);
/* Does any capsule need @capsule? */
bool slice_capsule_is_needed(struct slice_capsule *capsule);
/* 0, -ESTALE when it was removed. */
int slice_capsule_make_top(struct slice_capsule *capsule,
			   const u8 label[SLICE_LABEL_BYTES],
			   struct slice_id *ret_slice);
/* 0, -ENOENT when it is not set. */
int slice_capsule_drop_dep(struct slice_capsule *capsule,
			   struct slice_capsule *needs);
/* May its layer end it now?  0, -ESTALE: it is unplugged or not yet open;
 * -EBUSY: drained, and @is_owner says that it is only a user of the layer. */
int slice_capsule_may_end(struct slice_capsule *capsule, bool is_owner);
/* Does a capsule of the layer @ops need @capsule directly? */
bool slice_capsule_is_needed_by_layer(struct slice_capsule *capsule,
				      const struct slice_layer_ops *ops);
/* What else of the layer called @layer than @keep (or NULL) needs @capsule does
 * so no longer. */
void slice_capsule_drop_deps_from(struct slice_capsule *capsule,
				  const u8 layer[SLICE_LAYER_NAME_BYTES],
				  const struct slice_capsule *keep);

/* ---- status.c ---- */
void slice_status_of(struct slice *slice, struct slice_status *ret_status);
/* The same for a report: when the references that it tells of have dropped,
 * the slice is reported again. */
void slice_status_of_reported(struct slice *slice,
			      struct slice_status *ret_status);
/* @why of one capsule as movability. */
enum slice_movability slice_why_movability(enum slice_why why);
/* Why can this capsule not move now?  Any context. */
enum slice_why slice_capsule_why(struct slice_capsule *capsule);
/* Its layer says that it cannot move, or (SLICE_WHY_NONE) can again: 0, -ESTALE
 * it was removed, -EBUSY it is on its way. */
int slice_capsule_pin(struct slice_capsule *capsule, enum slice_why why);
/* It has more memory than the device was told. */
void slice_capsule_grew(struct slice_capsule *capsule);
/* Under slice_registry_lock: a word of it has changed, see slice_words_watch(). */
void slice_capsule_settle(struct slice_capsule *capsule);

/*
 * For plug.c: a slice that arrives.  slice_registry_arrive() makes an empty one
 * in state PLUGGED with its move_lock held, slice_capsule_arrive() puts a
 * capsule with a given id into it: ERR_PTR of -EBUSY (that id is here
 * already), -ENOMEM, -ENOSPC.
 */
struct slice *slice_registry_arrive(struct slice_id id);
struct slice_capsule *slice_capsule_arrive(struct slice *slice,
					   const struct slice_layer_ops *ops,
					   struct slice_id id, bool is_top);
int slice_capsule_arrive_dep(struct slice_capsule *from,
			     struct slice_capsule *to);
/* Sets the state; ACTIVE recomputes components.  Under move_lock. */
void slice_set_state(struct slice *slice, enum slice_state state);
/* Until when may the layer take (jiffies)?  During unplug and plug. */
unsigned long slice_capsule_deadline(struct slice_capsule *capsule);

/* ---- component.c, all under slice_registry_lock ---- */
void slice_component_add(struct slice *slice, struct slice_capsule *capsule);
/* Joins @b's slice and @a's: 0, -EBUSY, -ENOSPC. */
int slice_component_join(struct slice_capsule *a, struct slice_capsule *b);
/* A link or capsule went: recompute what is connected, and the id. */
void slice_component_split(struct slice *slice);
void slice_component_update_id(struct slice *slice);
void slice_component_kill(struct slice *slice);
struct slice *slice_component_new(gfp_t gfp);
struct slice_capsule *slice_component_top(struct slice *slice);

/* ---- tables, under slice_registry_lock (registry.c) ---- */
void slice_table_add(struct slice *slice);
void slice_table_del(struct slice *slice);
struct slice *slice_table_find(struct slice_id id);

#endif /* SLICE_REGISTRY_H */
