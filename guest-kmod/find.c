// SPDX-License-Identifier: GPL-2.0
/*
 * find.c - where is the session of a key: here, elsewhere, nowhere?
 *
 * Below: digest.h, registry.h, virtio.h (asks the device).  Above:
 * request-session.c, virtio-event.c.
 * Source: design section 4 (a connection that arrives at a VM which does not
 * own its session).
 */
#include <linux/hashtable.h>
#include <linux/jiffies.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>

#include "find.h"
#include "virtio.h"

/* Of one opener; VIRTIO_SLICE_FINDS_MAX in all. */
#define SLICE_FINDS_PER_OPENER	256

/* What slice_find.answer holds besides 0 and errnos. */
#define SLICE_FIND_ASKED	1

/**
 * struct slice_find_wait - a find under way, on its caller's stack
 * @request: what it is about
 * @session: a capsule with that key that is here, with a reference, or NULL
 * @deadline: jiffies
 * @in_tags: in the table, while the device is asked
 * @tag: its name there
 * @answer: SLICE_FIND_ASKED, 0 (moving), or a negative errno
 * @answered: woken with @answer
 */
struct slice_find_wait {
	const struct slice_find_request *request;
	struct slice_capsule *session;
	unsigned long deadline;
	struct hlist_node in_tags;
	u64 tag;
	int answer;
	wait_queue_head_t answered;
};

static DEFINE_HASHTABLE(slice_find_tags, 6);
static DEFINE_SPINLOCK(slice_find_lock);
static u64 slice_find_last_tag;
static u32 slice_finds;

/* ---- waiting ---- */

/* Is it over?  Return: 1 go on, 0 look again, or an error. */
static int slice_find_look_here(struct slice_find_wait *find)
{
	int ret = 1;

	spin_lock_bh(&slice_registry_lock);
	if (!find->request->capsule->slice)
		ret = -ESTALE;
	else if (!find->session->slice ||
		 find->session->slice->state == SLICE_STATE_ACTIVE)
		ret = 0;
	spin_unlock_bh(&slice_registry_lock);
	return ret;
}

/* The connection's slice runs again, or has left. */
static int slice_find_look_own(struct slice_find_wait *find)
{
	const struct slice_capsule *capsule = find->request->capsule;
	int ret = 1;

	spin_lock_bh(&slice_registry_lock);
	if (!capsule->slice)
		ret = -ESTALE;
	else if (capsule->slice->state == SLICE_STATE_ACTIVE)
		ret = 0;
	spin_unlock_bh(&slice_registry_lock);
	return ret;
}

/* The connection has left. */
static int slice_find_look_left(struct slice_find_wait *find)
{
	int ret = 1;

	spin_lock_bh(&slice_registry_lock);
	if (!find->request->capsule->slice)
		ret = -ESTALE;
	spin_unlock_bh(&slice_registry_lock);
	return ret;
}

/* It has left, or an answer has come that ends the find. */
static int slice_find_look_asked(struct slice_find_wait *find)
{
	int answer = READ_ONCE(find->answer);
	int ret = slice_find_look_left(find);

	return ret == 1 && answer < 0 ? answer : ret;
}

/* Sleeps until @look says something else than 1, woken by the connection's
 * capsule and by @other.  @look takes spinlocks at most. */
static int slice_find_sleep(struct slice_find_wait *find,
			    wait_queue_head_t *other,
			    int (*look)(struct slice_find_wait *find))
{
	wait_queue_head_t *own = &find->request->capsule->thawed;
	DEFINE_WAIT(wait_own);
	DEFINE_WAIT(wait_other);
	long left;
	int ret;

	for (;;) {
		prepare_to_wait(own, &wait_own, TASK_INTERRUPTIBLE);
		if (other)
			prepare_to_wait(other, &wait_other,
					TASK_INTERRUPTIBLE);
		ret = look(find);
		if (ret != 1)
			break;
		left = find->deadline - jiffies;
		if (left <= 0) {
			ret = -ETIMEDOUT;
			break;
		}
		if (signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		schedule_timeout(left);
	}
	if (other)
		finish_wait(other, &wait_other);
	finish_wait(own, &wait_own);
	return ret;
}

/* ---- here ---- */

static bool slice_find_is_here(struct slice_find_wait *find)
{
	bool ret;

	spin_lock_bh(&slice_registry_lock);
	ret = find->session->slice &&
	      find->session->slice->state == SLICE_STATE_ACTIVE;
	spin_unlock_bh(&slice_registry_lock);
	return ret;
}

/* Return: 1 it is here and runs, 0 it is not here, or an error. */
static int slice_find_here(struct slice_find_wait *find)
{
	bool is_here;
	int ret;

	for (;;) {
		find->session = slice_digest_find(&find->request->digest);
		if (!find->session)
			return 0;
		ret = slice_find_sleep(find, &find->session->thawed,
				       slice_find_look_here);
		is_here = !ret && slice_find_is_here(find);
		slice_capsule_put(find->session);
		if (ret || is_here)
			return ret ? ret : 1;
		cond_resched();
	}
}

/* ---- elsewhere ---- */

static int slice_find_register(struct slice_find_wait *find)
{
	int ret = 0;

	find->answer = SLICE_FIND_ASKED;
	spin_lock(&slice_find_lock);
	if (slice_finds >= VIRTIO_SLICE_FINDS_MAX) {
		ret = -ENOSPC;
	} else {
		slice_finds++;
		find->tag = ++slice_find_last_tag;
		hash_add(slice_find_tags, &find->in_tags, find->tag);
	}
	spin_unlock(&slice_find_lock);
	return ret;
}

static void slice_find_unregister(struct slice_find_wait *find)
{
	spin_lock(&slice_find_lock);
	hash_del(&find->in_tags);
	slice_finds--;
	spin_unlock(&slice_find_lock);
}

/* Under slice_find_lock: the waiter cannot go meanwhile. */
static void slice_find_tell(struct slice_find_wait *find, int answer)
{
	WRITE_ONCE(find->answer, answer);
	wake_up(&find->answered);
}

static int slice_find_errno(u64 status)
{
	switch (status) {
	case 0:
		return 0;
	case ENOENT:
		return -ENOENT;
	case EBUSY:
		return -EBUSY;
	default:
		/* What is not known is never "nowhere". */
		return -ETIMEDOUT;
	}
}

void slice_find_answer(u64 tag, u64 status)
{
	struct slice_find_wait *find;

	spin_lock(&slice_find_lock);
	hash_for_each_possible(slice_find_tags, find, in_tags, tag)
		if (find->tag == tag)
			slice_find_tell(find, slice_find_errno(status));
	spin_unlock(&slice_find_lock);
}

void slice_find_reset(void)
{
	struct slice_find_wait *find;
	u32 bucket;

	spin_lock(&slice_find_lock);
	hash_for_each(slice_find_tags, bucket, find, in_tags)
		slice_find_tell(find, -EBUSY);
	spin_unlock(&slice_find_lock);
}

/* Unless its slice moves, the device has not heard of it yet, or has a message
 * about its move under way to us: nothing tells when, so ask again soon. */
#define SLICE_FIND_PAUSE_MS	20

/* Return: -EAGAIN ask again, -EBUSY it was moving and has come back, or an
 * error. */
static int slice_find_refused(struct slice_find_wait *find)
{
	unsigned long deadline = find->deadline;
	int ret = slice_find_look_own(find);

	if (ret == 1) {
		ret = slice_find_sleep(find, NULL, slice_find_look_own);
		return ret ? ret : -EBUSY;
	}
	if (ret)
		return ret;
	find->deadline = min_t(long, deadline - jiffies,
			       msecs_to_jiffies(SLICE_FIND_PAUSE_MS)) + jiffies;
	ret = slice_find_sleep(find, NULL, slice_find_look_left);
	find->deadline = deadline;
	if (ret == -ETIMEDOUT && time_before(jiffies, deadline))
		return -EAGAIN;
	return ret;
}

/* Has the device look for it and waits for the end. */
static int slice_find_wait_device(struct slice_find_wait *find)
{
	struct slice *slice;
	struct slice_id id;
	long left = find->deadline - jiffies;
	int ret;

	slice = slice_registry_slice_of(find->request->capsule);
	if (!slice)
		return -ESTALE;
	spin_lock_bh(&slice_registry_lock);
	id = slice->id;
	spin_unlock_bh(&slice_registry_lock);
	slice_put(slice);
	if (left <= 0)
		return -ETIMEDOUT;
	ret = slice_virtio_find(id, find->tag, jiffies_to_msecs(left),
				&find->request->digest);
	if (ret == -ESTALE || ret == -ENOENT)
		return slice_find_refused(find);
	if (ret)
		return ret == -ENODEV || ret == -ENOSPC ? ret : -ETIMEDOUT;
	return slice_find_sleep(find, &find->answered, slice_find_look_asked);
}

/* Return: -ENODEV no device, -ENOENT nobody has it, or an error. */
static int slice_find_ask(struct slice_find_wait *find)
{
	int ret;

	ret = slice_find_register(find);
	if (ret)
		return ret;
	ret = slice_find_wait_device(find);
	slice_find_unregister(find);
	return ret;
}

static int slice_find_run(struct slice_find_wait *find,
			  enum slice_find_result *ret_result)
{
	bool is_asked = false;
	int ret;

	for (;;) {
		ret = slice_find_here(find);
		if (ret > 0)
			*ret_result = SLICE_FIND_HERE;
		else if (!ret && is_asked)
			*ret_result = SLICE_FIND_NOWHERE;
		if (ret || is_asked)
			return min(ret, 0);
		ret = slice_find_ask(find);
		if (ret == -EAGAIN)
			continue;
		if (ret != -ENOENT && ret != -ENODEV)
			return ret;
		/* It may have come while others were asked. */
		is_asked = true;
	}
}

int slice_find_session(const struct slice_find_request *request,
		       enum slice_find_result *ret_result,
		       enum slice_why *ret_why)
{
	struct slice_find_wait find = {
		.request = request,
		.deadline = jiffies + msecs_to_jiffies(request->timeout_ms),
	};
	int ret = -ENOSPC;

	init_waitqueue_head(&find.answered);
	if (atomic_inc_return(request->n_finds) <= SLICE_FINDS_PER_OPENER)
		ret = slice_find_run(&find, ret_result);
	atomic_dec(request->n_finds);
	*ret_why = ret == -EBUSY ? SLICE_WHY_MOVING : SLICE_WHY_NONE;
	return ret;
}

int slice_find_lookup(const struct slice_digest *digest,
		      struct slice_id *ret_slice)
{
	struct slice_capsule *capsule = slice_digest_find(digest);
	int ret = -ENOENT;

	if (!capsule)
		return ret;
	spin_lock_bh(&slice_registry_lock);
	if (capsule->slice) {
		ret = capsule->slice->state == SLICE_STATE_ACTIVE ? 0 : -EAGAIN;
		*ret_slice = capsule->slice->id;
	}
	spin_unlock_bh(&slice_registry_lock);
	slice_capsule_put(capsule);
	return ret;
}
