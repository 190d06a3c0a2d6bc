// SPDX-License-Identifier: GPL-2.0
/*
 * quiesce.c - bringing a slice to a boundary, and letting it run again
 *
 * Ranks are frozen one after the other, lowest first: a request begins in the
 * lowest layer that has words, so once that one is drained no request is under
 * way that would still need a reference in a higher layer.  Freezing all at
 * once would have a request wait for itself.  A request in flight may link new
 * capsules; they are frozen in a next round.
 *
 * Below: registry.h, words.h.  Above: plug.c.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>

#include "plug.h"
#include "report.h"
#include "words.h"

int slice_move_begin(struct slice_id id, struct slice **ret_slice,
		     enum slice_why *ret_why)
{
	/* Not by a capsule's: who asks knows the slice by the id that it had,
	 * and would not understand what is said of another. */
	struct slice *slice = slice_registry_get_slice(id);

	if (!slice) {
		*ret_why = SLICE_WHY_GONE;
		return -ENOENT;
	}
	if (!mutex_trylock(&slice->move_lock)) {
		slice_put(slice);
		*ret_why = SLICE_WHY_MOVING;
		return -EBUSY;
	}
	*ret_slice = slice;
	return 0;
}

void slice_move_end(struct slice *slice)
{
	mutex_unlock(&slice->move_lock);
	slice_put(slice);
}

void slice_capsule_set_phase(struct slice_capsule *capsule,
			     enum slice_phase phase)
{
	spin_lock_bh(&slice_registry_lock);
	capsule->phase = phase;
	if (phase == SLICE_PHASE_UNPLUGGED) /* who asked for SLICE_REF_HERE */
		wake_up_all(&capsule->thawed);
	spin_unlock_bh(&slice_registry_lock);
}

static void slice_move_run_one(struct slice_capsule *capsule)
{
	if (capsule->phase == SLICE_PHASE_PLUGGED)
		capsule->ops->open(capsule);
	else if (capsule->phase == SLICE_PHASE_FROZEN && capsule->ops->thaw)
		capsule->ops->thaw(capsule);
	spin_lock_bh(&slice_registry_lock);
	capsule->phase = SLICE_PHASE_RUNNING;
	slice_words_thaw(capsule);
	spin_unlock_bh(&slice_registry_lock);
}

void slice_move_run(struct slice *slice)
{
	struct slice_set set;
	u32 i;

	/* Links may be made from the first thawed word on; splits wait. */
	slice_set_state(slice, SLICE_STATE_DRAINING);
	slice_set_take(slice, &set);
	for (i = 0; i < set.n; i++)
		if (set.capsules[i]->phase == SLICE_PHASE_PLUGGED)
			slice_move_run_one(set.capsules[i]);
	for (i = set.n; i > 0; i--)
		if (set.capsules[i - 1]->phase == SLICE_PHASE_FROZEN)
			slice_move_run_one(set.capsules[i - 1]);
	slice_set_drop(&set);
	slice_set_state(slice, SLICE_STATE_ACTIVE);
}

static void slice_quiesce_freeze(struct slice_capsule *capsule)
{
	if (capsule->ops->freeze)
		capsule->ops->freeze(capsule);
	spin_lock_bh(&slice_registry_lock);
	capsule->phase = SLICE_PHASE_FROZEN;
	slice_words_freeze(capsule);
	spin_unlock_bh(&slice_registry_lock);
}

/* Freezes the lowest rank that runs; was there one? */
static bool slice_quiesce_next_rank(struct slice *slice)
{
	struct slice_set set;
	u32 i, rank = 0;
	bool found = false;

	slice_set_take(slice, &set);
	for (i = 0; i < set.n; i++) {
		if (set.capsules[i]->phase != SLICE_PHASE_RUNNING)
			continue;
		if (found && set.capsules[i]->ops->rank != rank)
			break;
		found = true;
		rank = set.capsules[i]->ops->rank;
		slice_quiesce_freeze(set.capsules[i]);
	}
	slice_set_drop(&set);
	return found;
}

/**
 * struct slice_quiesce - what a wait is for
 * @slice: draining
 * @id: by which it was to be quiesced; another one means that it was joined
 * @all: not only the words of what is frozen, but that nothing runs and every
 *	layer is quiet
 * @n_aborts: nonzero: give up; or NULL
 * @why: what it still waits for
 */
struct slice_quiesce {
	struct slice *slice;
	struct slice_id id;
	bool all;
	const atomic_t *n_aborts;
	enum slice_why why;
};

/* Under the lock.  Return: 1 go on waiting, 2 something runs, 0, -ESTALE, or
 * -EOPNOTSUPP: a layer says meanwhile that it cannot move. */
static int slice_quiesce_look(struct slice_quiesce *q)
{
	struct slice_capsule *capsule;

	if (q->slice->is_dead || !slice_id_equal(q->slice->id, q->id)) {
		q->why = SLICE_WHY_GONE;
		return -ESTALE;
	}
	list_for_each_entry(capsule, &q->slice->capsules, in_slice) {
		if (capsule->pin != SLICE_WHY_NONE) {
			q->why = capsule->pin;
			return -EOPNOTSUPP;
		}
		if (capsule->phase == SLICE_PHASE_RUNNING) {
			if (q->all)
				return 2;
			continue;
		}
		if (slice_words_sum(capsule)) {
			q->why = SLICE_WHY_REFERENCES;
			return 1;
		}
	}
	return 0;
}

static int slice_quiesce_look_quiet(struct slice_quiesce *q,
				    const struct slice_set *set)
{
	struct slice_capsule *capsule;
	u32 i;

	for (i = 0; i < set->n; i++) {
		capsule = set->capsules[i];
		q->why = slice_capsule_why(capsule);
		if (slice_why_movability(q->why) == SLICE_PINNED)
			return -EOPNOTSUPP;
		if (q->why != SLICE_WHY_NONE)
			return 1;
		if (capsule->ops->is_quiet && !capsule->ops->is_quiet(capsule)) {
			q->why = SLICE_WHY_REFERENCES;
			return 1;
		}
	}
	return 0;
}

/* Return: 0 it is so, 1 not yet, 2 it has grown, or an error. */
static int slice_quiesce_check(struct slice_quiesce *q)
{
	struct slice_set set;
	int ret;

	spin_lock_bh(&slice_registry_lock);
	ret = slice_quiesce_look(q);
	spin_unlock_bh(&slice_registry_lock);
	if (ret || !q->all)
		return ret;
	slice_set_take(q->slice, &set);
	ret = slice_quiesce_look_quiet(q, &set);
	if (!ret) {
		/* Whatever came in between is seen here or excluded by it. */
		spin_lock_bh(&slice_registry_lock);
		ret = slice_quiesce_look(q);
		if (!ret && q->slice->generation != set.generation)
			ret = 2;
		if (!ret)
			q->slice->state = SLICE_STATE_DRAINED;
		spin_unlock_bh(&slice_registry_lock);
	}
	slice_set_drop(&set);
	return ret;
}

/* May it go on?  Jiffies that are left, or an error. */
static long slice_quiesce_left(struct slice_quiesce *q)
{
	long left = q->slice->deadline - jiffies;

	if (left <= 0) {
		/* Unless it is known what held it up: it did not stop growing. */
		if (q->why == SLICE_WHY_NONE)
			q->why = SLICE_WHY_DEADLINE;
		return -EBUSY;
	}
	if (q->n_aborts && atomic_read(q->n_aborts)) {
		q->why = SLICE_WHY_ABORTED;
		return -EBUSY;
	}
	return signal_pending(current) ? -EINTR : left;
}

static int slice_quiesce_wait(struct slice_quiesce *q)
{
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	long left;
	int ret;

	add_wait_queue(&q->slice->changed, &wait);
	while ((ret = slice_quiesce_check(q)) == 1) {
		left = slice_quiesce_left(q);
		if (left < 0) {
			ret = left;
			break;
		}
		wait_woken(&wait, TASK_INTERRUPTIBLE, left);
	}
	remove_wait_queue(&q->slice->changed, &wait);
	return ret;
}

void slice_plug_quiesce_wake(struct slice_id id)
{
	struct slice *slice = slice_registry_get_slice(id);

	if (slice)
		wake_up(&slice->changed);
	slice_put(slice);
}

static int slice_quiesce_drain(struct slice *slice, struct slice_id id,
			       const atomic_t *n_aborts, enum slice_why *ret_why)
{
	struct slice_quiesce q = {
		.slice = slice, .id = id, .n_aborts = n_aborts,
	};
	long left;
	int ret;

	for (;;) {
		q.all = !slice_quiesce_next_rank(slice);
		ret = slice_quiesce_wait(&q);
		if (ret < 0 || (!ret && q.all))
			break;
		/* Who links and unlinks all the time must not hold us here. */
		left = slice_quiesce_left(&q);
		if (left < 0) {
			ret = left;
			break;
		}
		cond_resched();
	}
	if (ret)
		*ret_why = q.why;
	return ret == -ESTALE ? -EBUSY : ret;
}

static int slice_quiesce_may_begin(struct slice *slice, enum slice_why *ret_why)
{
	struct slice_status status;

	if (slice->state != SLICE_STATE_ACTIVE) {
		*ret_why = SLICE_WHY_MOVING;
		return -EBUSY;
	}
	slice_status_of(slice, &status);
	if (status.movability == SLICE_PINNED) {
		*ret_why = status.why;
		return -EOPNOTSUPP;
	}
	return 0;
}

int slice_plug_quiesce(struct slice_id id, u32 timeout_ms,
		       const atomic_t *n_aborts, enum slice_why *ret_why)
{
	struct slice *slice;
	int ret;

	ret = slice_move_begin(id, &slice, ret_why);
	if (ret)
		return ret;
	ret = slice_quiesce_may_begin(slice, ret_why);
	if (ret)
		goto out;
	slice->deadline = jiffies + msecs_to_jiffies(timeout_ms);
	slice->frozen_ns = ktime_get_ns();
	slice_set_state(slice, SLICE_STATE_DRAINING);
	ret = slice_quiesce_drain(slice, id, n_aborts, ret_why);
	if (ret)
		slice_move_run(slice);
out:
	slice_move_end(slice);
	return ret;
}
