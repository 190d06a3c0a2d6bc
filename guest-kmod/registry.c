// SPDX-License-Identifier: GPL-2.0
/*
 * registry.c - capsules by id, their links, their lives
 *
 * Two hash tables of fixed size, keyed by siphash so that ids that come in
 * images cannot be chosen to collide.  Everything here takes
 * slice_registry_lock for itself; component.c works below it.
 *
 * Below: component.c, words.c, report.c.  Above: everything else.
 * Source: paper section 2.2 and Figure 3.
 */
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/siphash.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/timekeeping.h>

#include "registry.h"
#include "report.h"
#include "words.h"

/* 128 KiB each; SLICE_CAPSULES_MAX makes chains of 8. */
#define SLICE_REGISTRY_BUCKETS	(1u << 14)

DEFINE_SPINLOCK(slice_registry_lock);

/**
 * struct slice_registry - what there is in this kernel
 * @capsules: table by id
 * @slices: table by id
 * @key: of their hash
 * @incarnation: of new ids
 * @counter: of the last id
 * @n_capsules: in the table
 * @n_slices: in the table
 */
static struct slice_registry {
	struct hlist_head *capsules;
	struct hlist_head *slices;
	siphash_key_t key;
	u64 incarnation;
	u64 counter;
	u32 n_capsules;
	u32 n_slices;
} registry;

static u32 slice_registry_bucket(struct slice_id id)
{
	return siphash_2u64(id.incarnation, id.counter, &registry.key) %
	       SLICE_REGISTRY_BUCKETS;
}

/* ---- tables ---- */

static struct slice_capsule *slice_registry_peek_capsule(struct slice_id id)
{
	struct slice_capsule *capsule;

	hlist_for_each_entry(capsule,
			     &registry.capsules[slice_registry_bucket(id)],
			     by_id)
		if (slice_id_equal(capsule->id, id))
			return capsule;
	return NULL;
}

struct slice *slice_table_find(struct slice_id id)
{
	struct slice *slice;

	hlist_for_each_entry(slice,
			     &registry.slices[slice_registry_bucket(id)],
			     by_id)
		if (slice_id_equal(slice->id, id))
			return slice;
	return NULL;
}

void slice_table_add(struct slice *slice)
{
	hlist_add_head(&slice->by_id,
		       &registry.slices[slice_registry_bucket(slice->id)]);
	registry.n_slices++;
}

void slice_table_del(struct slice *slice)
{
	if (hlist_unhashed(&slice->by_id))
		return;
	hlist_del_init(&slice->by_id);
	registry.n_slices--;
}

struct slice_capsule *slice_registry_find_capsule(struct slice_id id)
{
	struct slice_capsule *capsule;

	spin_lock_bh(&slice_registry_lock);
	capsule = slice_registry_peek_capsule(id);
	if (capsule)
		kref_get(&capsule->ref);
	spin_unlock_bh(&slice_registry_lock);
	return capsule;
}

struct slice *slice_registry_get_slice(struct slice_id id)
{
	struct slice *slice;

	spin_lock_bh(&slice_registry_lock);
	slice = slice_table_find(id);
	if (slice)
		kref_get(&slice->ref);
	spin_unlock_bh(&slice_registry_lock);
	return slice;
}

struct slice *slice_registry_find_slice(struct slice_id id)
{
	struct slice_capsule *capsule;
	struct slice *slice;

	spin_lock_bh(&slice_registry_lock);
	slice = slice_table_find(id);
	if (!slice) {
		capsule = slice_registry_peek_capsule(id);
		slice = capsule ? capsule->slice : NULL;
	}
	if (slice)
		kref_get(&slice->ref);
	spin_unlock_bh(&slice_registry_lock);
	return slice;
}

struct slice *slice_registry_slice_of(struct slice_capsule *capsule)
{
	struct slice *slice;

	spin_lock_bh(&slice_registry_lock);
	slice = capsule->slice;
	if (slice)
		kref_get(&slice->ref);
	spin_unlock_bh(&slice_registry_lock);
	return slice;
}

/* References of a bucket's slices, as many as @room. */
static u32 slice_registry_take_bucket(u32 bucket, struct slice **slices,
				      u32 room)
{
	struct slice *slice;
	u32 n = 0;

	spin_lock_bh(&slice_registry_lock);
	hlist_for_each_entry(slice, &registry.slices[bucket], by_id) {
		if (n < room)
			slices[n] = slice_get(slice);
		n++;
	}
	spin_unlock_bh(&slice_registry_lock);
	return n;
}

static void slice_registry_put_bucket(struct slice **slices, u32 n)
{
	while (n)
		slice_put(slices[--n]);
}

int slice_registry_for_each(int (*each)(void *opaque, struct slice *slice),
			    void *opaque)
{
	struct slice **slices = NULL;
	u32 room = 0;
	int ret = 0;
	u32 b, i, n;

	for (b = 0; b < SLICE_REGISTRY_BUCKETS && !ret; b++) {
		while ((n = slice_registry_take_bucket(b, slices, room)) >
		       room) {
			slice_registry_put_bucket(slices, room);
			kfree(slices);
			room = n + 16;
			slices = kcalloc(room, sizeof(*slices), GFP_KERNEL);
			if (!slices)
				return -ENOMEM;
		}
		for (i = 0; i < n && !ret; i++)
			ret = each(opaque, slices[i]);
		slice_registry_put_bucket(slices, n);
		cond_resched();
	}
	kfree(slices);
	return ret;
}

u64 slice_registry_incarnation(void)
{
	return READ_ONCE(registry.incarnation);
}

void slice_registry_set_incarnation(u64 incarnation)
{
	spin_lock_bh(&slice_registry_lock);
	WRITE_ONCE(registry.incarnation, incarnation ? incarnation : 1);
	spin_unlock_bh(&slice_registry_lock);
}

u32 slice_registry_n_capsules(void)
{
	return READ_ONCE(registry.n_capsules);
}

u32 slice_registry_n_slices(void)
{
	return READ_ONCE(registry.n_slices);
}

int slice_registry_init(void)
{
	registry.capsules = kvcalloc(SLICE_REGISTRY_BUCKETS,
				     sizeof(*registry.capsules), GFP_KERNEL);
	if (!registry.capsules)
		return -ENOMEM;
	registry.slices = kvcalloc(SLICE_REGISTRY_BUCKETS,
				   sizeof(*registry.slices), GFP_KERNEL);
	if (!registry.slices)
		goto err_free_capsules;
	get_random_bytes(&registry.key, sizeof(registry.key));
	registry.incarnation = 1;
	/* A guest that reboots, or loads the module again, under the same
	 * incarnation must not give out an id twice: start at the time of day
	 * in microseconds, which passes faster than capsules are made. */
	registry.counter = ktime_get_real_ns() / NSEC_PER_USEC;
	return 0;

err_free_capsules:
	kvfree(registry.capsules);
	return -ENOMEM;
}

void slice_registry_exit(void)
{
	WARN_ON(registry.n_capsules || registry.n_slices);
	kvfree(registry.slices);
	kvfree(registry.capsules);
}

/* ---- references ---- */

static void slice_free(struct kref *ref)
{
	struct slice *slice = container_of(ref, struct slice, ref);

	WARN_ON_ONCE(slice->image);
	kfree(slice);
}

struct slice *slice_get(struct slice *slice)
{
	kref_get(&slice->ref);
	return slice;
}

void slice_put(struct slice *slice)
{
	if (slice)
		kref_put(&slice->ref, slice_free);
}

static void slice_capsule_free(struct kref *ref)
{
	struct slice_capsule *capsule =
		container_of(ref, struct slice_capsule, ref);

	capsule->ops->release(capsule);
	kfree(capsule);
}

struct slice_capsule *slice_capsule_get(struct slice_capsule *capsule)
{
	kref_get(&capsule->ref);
	return capsule;
}

bool slice_capsule_tryget(struct slice_capsule *capsule)
{
	return kref_get_unless_zero(&capsule->ref);
}

void slice_capsule_put(struct slice_capsule *capsule)
{
	if (capsule)
		kref_put(&capsule->ref, slice_capsule_free);
}

void *slice_capsule_priv(const struct slice_capsule *capsule)
{
	return READ_ONCE(capsule->priv);
}

void slice_capsule_set_priv(struct slice_capsule *capsule, void *priv)
{
	WRITE_ONCE(capsule->priv, priv);
}

struct slice_id slice_capsule_id(const struct slice_capsule *capsule)
{
	return capsule->id;
}

unsigned long slice_capsule_deadline(struct slice_capsule *capsule)
{
	unsigned long deadline = jiffies;

	spin_lock_bh(&slice_registry_lock);
	if (capsule->slice)
		deadline = capsule->slice->deadline;
	spin_unlock_bh(&slice_registry_lock);
	return deadline;
}

/* ---- birth ---- */

static struct slice_capsule *
slice_capsule_new(const struct slice_layer_ops *ops, void *priv, gfp_t gfp)
{
	struct slice_capsule *capsule;

	capsule = kzalloc(sizeof(*capsule), gfp);
	if (!capsule)
		return NULL;
	kref_init(&capsule->ref);
	capsule->ops = ops;
	capsule->priv = priv;
	INIT_LIST_HEAD(&capsule->needs);
	INIT_LIST_HEAD(&capsule->needed_by);
	INIT_LIST_HEAD(&capsule->words);
	init_waitqueue_head(&capsule->thawed);
	return capsule;
}

static void slice_capsule_publish(struct slice_capsule *capsule,
				  struct slice *slice)
{
	hlist_add_head(&capsule->by_id,
		       &registry.capsules[slice_registry_bucket(capsule->id)]);
	registry.n_capsules++;
	slice_component_add(slice, capsule);
}

struct slice_capsule *slice_capsule_create(const struct slice_layer_ops *ops,
					   void *priv, bool is_made, gfp_t gfp)
{
	struct slice_capsule *capsule;
	struct slice *slice;
	int ret = -ENOMEM;

	capsule = slice_capsule_new(ops, priv, gfp);
	if (!capsule)
		return ERR_PTR(-ENOMEM);
	capsule->is_being_made = !is_made;
	slice = slice_component_new(gfp);
	if (!slice)
		goto err_free_capsule;

	spin_lock_bh(&slice_registry_lock);
	if (registry.n_capsules >= SLICE_CAPSULES_MAX) {
		spin_unlock_bh(&slice_registry_lock);
		ret = -ENOSPC;
		goto err_free_slice;
	}
	capsule->id.incarnation = registry.incarnation;
	capsule->id.counter = ++registry.counter;
	slice->id = capsule->id;
	slice_table_add(slice);
	slice_capsule_publish(capsule, slice);
	slice_report_changed(slice);
	spin_unlock_bh(&slice_registry_lock);
	return capsule;

err_free_slice:
	kfree(slice);
err_free_capsule:
	kfree(capsule);
	return ERR_PTR(ret);
}

struct slice *slice_registry_arrive(struct slice_id id)
{
	struct slice *slice;

	slice = slice_component_new(GFP_KERNEL);
	if (!slice)
		return ERR_PTR(-ENOMEM);
	mutex_lock(&slice->move_lock);
	slice->id = id;
	slice->state = SLICE_STATE_PLUGGED;
	spin_lock_bh(&slice_registry_lock);
	if (slice_table_find(id) || slice_registry_peek_capsule(id)) {
		spin_unlock_bh(&slice_registry_lock);
		mutex_unlock(&slice->move_lock);
		kfree(slice);
		return ERR_PTR(-EBUSY);
	}
	slice_table_add(slice);
	slice_report_known(slice);
	slice_get(slice);
	spin_unlock_bh(&slice_registry_lock);
	return slice;
}

struct slice_capsule *slice_capsule_arrive(struct slice *slice,
					   const struct slice_layer_ops *ops,
					   struct slice_id id, bool is_top)
{
	struct slice_capsule *capsule;
	int ret = 0;

	capsule = slice_capsule_new(ops, NULL, GFP_KERNEL);
	if (!capsule)
		return ERR_PTR(-ENOMEM);
	capsule->id = id;
	capsule->is_top = is_top;
	capsule->is_frozen = true;
	capsule->phase = SLICE_PHASE_UNPLUGGED;
	spin_lock_bh(&slice_registry_lock);
	if (registry.n_capsules >= SLICE_CAPSULES_MAX)
		ret = -ENOSPC;
	else if (slice_registry_peek_capsule(id))
		ret = -EBUSY;
	else
		slice_capsule_publish(capsule, slice);
	spin_unlock_bh(&slice_registry_lock);
	if (ret) {
		kfree(capsule);
		return ERR_PTR(ret);
	}
	return capsule;
}

/* ---- links ---- */

static struct slice_link *slice_link_find(struct slice_capsule *from,
					  struct slice_capsule *to)
{
	struct slice_link *link;

	list_for_each_entry(link, &from->needs, in_needs)
		if (link->to == to)
			return link;
	return NULL;
}

static void slice_link_del(struct slice_link *link)
{
	list_del(&link->in_needs);
	list_del(&link->in_needed_by);
	kfree(link);
}

/* Under the lock.  Takes @link over when it returns 0 and stores NULL there;
 * leaves it when the dependency is set already. */
static int slice_link_set(struct slice_capsule *from, struct slice_capsule *to,
			  bool arrives, struct slice_link **link)
{
	int ret;

	if (!from->slice || !to->slice)
		return -ESTALE;
	if (slice_link_find(from, to))
		return 0;
	if (!arrives && (from->slice->state > SLICE_STATE_DRAINING ||
			 to->slice->state > SLICE_STATE_DRAINING))
		return -EBUSY;
	ret = slice_component_join(from, to);
	if (ret)
		return ret;
	(*link)->from = from;
	(*link)->to = to;
	list_add_tail(&(*link)->in_needs, &from->needs);
	list_add_tail(&(*link)->in_needed_by, &to->needed_by);
	from->slice->n_links++;
	from->slice->generation++;
	*link = NULL;
	wake_up(&from->slice->changed);
	slice_report_changed(from->slice);
	return 0;
}

static int slice_link_make(struct slice_capsule *from, struct slice_capsule *to,
			   bool arrives, gfp_t gfp)
{
	struct slice_link *link;
	int ret;

	if (from->ops->rank <= to->ops->rank)
		return -EINVAL;
	link = kmalloc(sizeof(*link), gfp);
	if (!link)
		return -ENOMEM;
	spin_lock_bh(&slice_registry_lock);
	ret = slice_link_set(from, to, arrives, &link);
	spin_unlock_bh(&slice_registry_lock);
	kfree(link);
	return ret;
}

int slice_capsule_set_dep(struct slice_capsule *capsule,
			  struct slice_capsule *needs, gfp_t gfp)
{
	return slice_link_make(capsule, needs, false, gfp);
}

int slice_capsule_arrive_dep(struct slice_capsule *from,
			     struct slice_capsule *to)
{
	return slice_link_make(from, to, true, GFP_KERNEL);
}

int slice_capsule_drop_dep(struct slice_capsule *capsule,
			   struct slice_capsule *needs)
{
	struct slice_link *link;
	int ret = -ENOENT;

	spin_lock_bh(&slice_registry_lock);
	link = slice_link_find(capsule, needs);
	if (link) {
		slice_link_del(link);
		capsule->slice->n_links--;
		capsule->slice->generation++;
		slice_report_changed(capsule->slice);
		slice_component_split(capsule->slice);
		ret = 0;
	}
	spin_unlock_bh(&slice_registry_lock);
	return ret;
}

void slice_capsule_drop_deps_from(struct slice_capsule *capsule,
				  const u8 layer[SLICE_LAYER_NAME_BYTES],
				  const struct slice_capsule *keep)
{
	struct slice_link *link, *next;
	struct slice *slice;
	u32 n = 0;

	spin_lock_bh(&slice_registry_lock);
	slice = capsule->slice;
	list_for_each_entry_safe(link, next, &capsule->needed_by,
				 in_needed_by) {
		if (link->from == keep ||
		    strncmp(link->from->ops->name, layer,
			    SLICE_LAYER_NAME_BYTES))
			continue;
		slice_link_del(link);
		n++;
	}
	if (n) {
		slice->n_links -= n;
		slice->generation++;
		slice_report_changed(slice);
		slice_component_split(slice);
	}
	spin_unlock_bh(&slice_registry_lock);
}

struct slice_capsule *slice_capsule_needed(struct slice_capsule *capsule,
					   const struct slice_layer_ops *ops)
{
	struct slice_capsule *ret = NULL;
	struct slice_link *link;

	spin_lock_bh(&slice_registry_lock);
	list_for_each_entry(link, &capsule->needs, in_needs)
		if (link->to->ops == ops) {
			ret = slice_capsule_get(link->to);
			break;
		}
	spin_unlock_bh(&slice_registry_lock);
	return ret;
}

bool slice_capsule_is_needed_by_layer(struct slice_capsule *capsule,
				      const struct slice_layer_ops *ops)
{
	struct slice_link *link;
	bool ret = false;

	spin_lock_bh(&slice_registry_lock);
	list_for_each_entry(link, &capsule->needed_by, in_needed_by)
		if (link->from->ops == ops)
			ret = true;
	spin_unlock_bh(&slice_registry_lock);
	return ret;
}

bool slice_capsule_is_needed(struct slice_capsule *capsule)
{
	bool ret;

	spin_lock_bh(&slice_registry_lock);
	ret = !list_empty(&capsule->needed_by);
	spin_unlock_bh(&slice_registry_lock);
	return ret;
}

/* ---- end ---- */

static u32 slice_capsule_unlink(struct slice_capsule *capsule)
{
	struct slice_link *link, *next;
	u32 n = 0;

	list_for_each_entry_safe(link, next, &capsule->needs, in_needs) {
		slice_link_del(link);
		n++;
	}
	list_for_each_entry_safe(link, next, &capsule->needed_by,
				 in_needed_by) {
		slice_link_del(link);
		n++;
	}
	return n;
}

void slice_capsule_remove(struct slice_capsule *capsule)
{
	struct slice *slice;

	spin_lock_bh(&slice_registry_lock);
	slice = capsule->slice;
	if (!slice) {
		spin_unlock_bh(&slice_registry_lock);
		return;
	}
	slice_get(slice);
	slice->n_links -= slice_capsule_unlink(capsule);
	slice_words_forget(capsule);
	hlist_del_init(&capsule->by_id);
	registry.n_capsules--;
	list_del_init(&capsule->in_slice);
	capsule->slice = NULL;
	slice->n_capsules--;
	slice->generation++;
	slice_report_changed(slice);
	if (!slice->n_capsules && slice->state != SLICE_STATE_UNPLUGGED)
		slice_component_kill(slice);
	else
		slice_component_split(slice);
	wake_up_all(&capsule->thawed);
	wake_up(&slice->changed);
	spin_unlock_bh(&slice_registry_lock);
	slice_put(slice);
	slice_capsule_put(capsule);
}

/* ---- what others ask and tell ---- */

int slice_capsule_may_end(struct slice_capsule *capsule, bool is_owner)
{
	int ret = 0;

	spin_lock_bh(&slice_registry_lock);
	if (!capsule->slice || capsule->phase == SLICE_PHASE_UNPLUGGED ||
	    capsule->phase == SLICE_PHASE_PLUGGED)
		ret = -ESTALE;
	else if (capsule->slice->state > SLICE_STATE_DRAINING && !is_owner)
		ret = -EBUSY;
	spin_unlock_bh(&slice_registry_lock);
	return ret;
}

int slice_capsule_make_top(struct slice_capsule *capsule,
			   const u8 label[SLICE_LABEL_BYTES],
			   struct slice_id *ret_slice)
{
	struct slice *slice;
	int ret = -ESTALE;

	spin_lock_bh(&slice_registry_lock);
	slice = capsule->slice;
	if (slice) {
		capsule->is_top = true;
		memcpy(capsule->label, label, SLICE_LABEL_BYTES);
		slice_component_update_id(slice);
		slice_report_changed(slice);
		*ret_slice = slice->id;
		ret = 0;
	}
	spin_unlock_bh(&slice_registry_lock);
	return ret;
}

static int slice_set_compare(const void *a, const void *b)
{
	const struct slice_capsule *x = *(struct slice_capsule * const *)a;
	const struct slice_capsule *y = *(struct slice_capsule * const *)b;

	if (x->ops->rank != y->ops->rank)
		return x->ops->rank < y->ops->rank ? -1 : 1;
	if (x->id.incarnation != y->id.incarnation)
		return x->id.incarnation < y->id.incarnation ? -1 : 1;
	if (x->id.counter != y->id.counter)
		return x->id.counter < y->id.counter ? -1 : 1;
	return 0;
}

void slice_set_take(struct slice *slice, struct slice_set *ret_set)
{
	struct slice_set set = {};
	struct slice_capsule *capsule;
	u32 room;

	for (;;) {
		room = max(1u, READ_ONCE(slice->n_capsules));
		/* At most 8 KiB; who thaws has no way to fail. */
		set.capsules = kcalloc(room, sizeof(*set.capsules),
				       GFP_KERNEL | __GFP_NOFAIL);
		spin_lock_bh(&slice_registry_lock);
		if (slice->n_capsules <= room)
			break;
		spin_unlock_bh(&slice_registry_lock);
		kfree(set.capsules);
	}
	set.generation = slice->generation;
	list_for_each_entry(capsule, &slice->capsules, in_slice)
		set.capsules[set.n++] = slice_capsule_get(capsule);
	spin_unlock_bh(&slice_registry_lock);
	sort(set.capsules, set.n, sizeof(*set.capsules), slice_set_compare,
	     NULL);
	*ret_set = set;
}

void slice_set_take_needed(struct slice_capsule *capsule,
			   const struct slice_layer_ops *ops,
			   struct slice_set *ret_set)
{
	struct slice_set set = {};
	struct slice_link *link;
	u32 n, room = 0;

	do {
		kfree(set.capsules);
		room += 16;
		/* As in slice_set_take(): a slice's links are bounded. */
		set.capsules = kcalloc(room, sizeof(*set.capsules),
				       GFP_KERNEL | __GFP_NOFAIL);
		n = 0;
		spin_lock_bh(&slice_registry_lock);
		list_for_each_entry(link, &capsule->needs, in_needs)
			n += link->to->ops == ops;
		list_for_each_entry(link, &capsule->needs, in_needs)
			if (n <= room && link->to->ops == ops)
				set.capsules[set.n++] =
					slice_capsule_get(link->to);
		spin_unlock_bh(&slice_registry_lock);
		room = max(room, n);
	} while (n > room || (n && !set.n));
	*ret_set = set;
}

void slice_set_drop(struct slice_set *set)
{
	while (set->n)
		slice_capsule_put(set->capsules[--set->n]);
	kfree(set->capsules);
	set->capsules = NULL;
}

void slice_set_state(struct slice *slice, enum slice_state state)
{
	struct slice_capsule *capsule;

	spin_lock_bh(&slice_registry_lock);
	slice->state = state;
	if (state == SLICE_STATE_ACTIVE && !slice->is_dead) {
		/* Who looks for its session by key waits for this. */
		list_for_each_entry(capsule, &slice->capsules, in_slice)
			wake_up_all(&capsule->thawed);
		if (slice->n_capsules)
			slice_component_split(slice);
		else
			slice_component_kill(slice);
		slice_report_changed(slice);
	}
	spin_unlock_bh(&slice_registry_lock);
}
