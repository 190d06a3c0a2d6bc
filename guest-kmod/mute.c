// SPDX-License-Identifier: GPL-2.0
/*
 * mute.c - tuples that this kernel neither hears nor answers
 *
 * One hash table for all network namespaces, read under RCU by the hooks.  A
 * mute has its own lock for its phase and queue; a hook that finds a mute which
 * has just ended lets the packet through.
 *
 * A caught packet forgets its device (it keeps the index): a device may go
 * while the packet waits.
 *
 * Below: netfilter.  Above: tcp-export.c, tcp-import.c, tcp.c, virtio.c.
 * Source: design of moves: neither kernel ever answers a moving flow with a
 * RST, and nothing that the client sent is dropped.
 */
#include <linux/hashtable.h>
#include <linux/list.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/slab.h>
#include <net/netns/generic.h>
#include <uapi/linux/virtio_slice.h>

#include "mute-key.h"
#include "mute.h"
#include "tcp-compat.h"

/* Four in a bucket when as many as by default are there. */
#define SLICE_MUTE_HASH_BITS	14

static uint slice_mutes_max = 1u << 16;
module_param_named(mutes_max, slice_mutes_max, uint, 0644);
MODULE_PARM_DESC(mutes_max,
		 "connections that have left and whose late packets are kept from an answer");

enum slice_mute_phase {
	SLICE_MUTE_CATCHING,
	SLICE_MUTE_TOMBSTONE,
	SLICE_MUTE_ENDED,
};

/**
 * struct slice_mute - one muted tuple
 * @in_table: changed under slice_mute_table_lock, read under RCU
 * @key: constant
 * @in_resolved: in the list of tombstones without owner, under
 *	slice_mute_table_lock
 * @lock: for what follows; taken within slice_mute_table_lock
 * @phase: see mute.h; changed under both locks
 * @owner: whose move it is part of; NULL: nobody's, a tombstone
 * @was_resolved: before it was @owner's
 * @caught: oldest first
 * @caught_bytes: sum of their lengths
 * @rcu: for freeing
 */
struct slice_mute {
	struct hlist_node in_table;
	struct slice_mute_key key;
	struct list_head in_resolved;
	spinlock_t lock;
	enum slice_mute_phase phase;
	const void *owner;
	bool was_resolved;
	struct sk_buff_head caught;
	u32 caught_bytes;
	struct rcu_head rcu;
};

/**
 * struct slice_mute_net - of each network namespace
 * @is_hooked: the hooks are registered; under slice_mute_hook_mutex
 */
struct slice_mute_net {
	bool is_hooked;
};

static DEFINE_HASHTABLE(slice_mute_table, SLICE_MUTE_HASH_BITS);
static DEFINE_SPINLOCK(slice_mute_table_lock);
static LIST_HEAD(slice_mute_resolved);		/* oldest first */
static DEFINE_MUTEX(slice_mute_hook_mutex);
static unsigned int slice_mute_net_id;
static u32 slice_mute_n;
static atomic_long_t slice_mute_bytes;
static atomic64_t slice_mute_n_caught;
static atomic64_t slice_mute_n_overflow;
static atomic64_t slice_mute_n_dropped_in;
static atomic64_t slice_mute_n_dropped_out;
static atomic64_t slice_mute_n_reborn;
static atomic64_t slice_mute_n_evicted;

/* Under RCU or slice_mute_table_lock. */
static struct slice_mute *slice_mute_find(const struct slice_mute_key *key)
{
	struct slice_mute *mute;

	hash_for_each_possible_rcu(slice_mute_table, mute, in_table,
				   slice_mute_key_hash(key),
				   lockdep_is_held(&slice_mute_table_lock))
		if (slice_mute_key_equal(&mute->key, key))
			return mute;
	return NULL;
}

/* Under mute->lock. */
static void slice_mute_take_caught(struct slice_mute *mute,
				   struct sk_buff_head *ret_caught)
{
	struct sk_buff *skb;

	while ((skb = __skb_dequeue(&mute->caught))) {
		atomic_long_sub(skb->truesize, &slice_mute_bytes);
		__skb_queue_tail(ret_caught, skb);
	}
	mute->caught_bytes = 0;
}

/* Takes it out of the table, under slice_mute_table_lock. */
static void slice_mute_end_locked(struct slice_mute *mute,
				  struct sk_buff_head *ret_caught)
{
	spin_lock(&mute->lock);
	mute->phase = SLICE_MUTE_ENDED;
	slice_mute_take_caught(mute, ret_caught);
	spin_unlock(&mute->lock);
	list_del_init(&mute->in_resolved);
	hash_del_rcu(&mute->in_table);
	WRITE_ONCE(slice_mute_n, slice_mute_n - 1);
	kfree_rcu(mute, rcu);
}

/* Nobody catches any more, under slice_mute_table_lock. */
static void slice_mute_bury(struct slice_mute *mute,
			    struct sk_buff_head *ret_caught)
{
	spin_lock(&mute->lock);
	mute->phase = SLICE_MUTE_TOMBSTONE;
	slice_mute_take_caught(mute, ret_caught);
	spin_unlock(&mute->lock);
}

/* The same, and nobody has it any more. */
static void slice_mute_abandon(struct slice_mute *mute,
			       struct sk_buff_head *ret_caught)
{
	slice_mute_bury(mute, ret_caught);
	mute->owner = NULL;
	list_move_tail(&mute->in_resolved, &slice_mute_resolved);
}

/* A client has begun a new connection; was the tombstone still there? */
static bool slice_mute_end_tombstone(const struct slice_mute_key *key)
{
	struct sk_buff_head none;
	struct slice_mute *mute;
	bool is_tombstone;

	__skb_queue_head_init(&none);
	spin_lock_bh(&slice_mute_table_lock);
	mute = slice_mute_find(key);
	is_tombstone = mute && mute->phase == SLICE_MUTE_TOMBSTONE;
	if (is_tombstone)
		slice_mute_end_locked(mute, &none);
	spin_unlock_bh(&slice_mute_table_lock);
	return is_tombstone;
}

/* Keeps @skb, or says that it must not be kept.  Under mute->lock. */
static bool slice_mute_catch(struct slice_mute *mute, struct sk_buff *skb)
{
	if (mute->caught_bytes + skb->len > VIRTIO_SLICE_PACKETS_BYTES_MAX)
		return false;
	if (atomic_long_add_return(skb->truesize, &slice_mute_bytes) >
	    SLICE_MUTE_BYTES_MAX) {
		atomic_long_sub(skb->truesize, &slice_mute_bytes);
		return false;
	}
	mute->caught_bytes += skb->len;
	skb->dev = NULL;
	__skb_queue_tail(&mute->caught, skb);
	return true;
}

static unsigned int slice_mute_hook_in(void *priv, struct sk_buff *skb,
				       const struct nf_hook_state *state)
{
	const struct tcphdr *th;
	struct slice_mute_key key;
	struct slice_mute *mute;
	struct tcphdr buffer;
	bool is_reborn = false;
	unsigned int verdict;

	if (!READ_ONCE(slice_mute_n))
		return NF_ACCEPT;
	th = slice_mute_key_of_packet(state->net, skb, state->pf, true, &key,
				      &buffer);
	if (!th)
		return NF_ACCEPT;
	mute = slice_mute_find(&key);
	if (!mute)
		return NF_ACCEPT;

	spin_lock_bh(&mute->lock);
	if (mute->phase == SLICE_MUTE_ENDED) {
		verdict = NF_ACCEPT;
	} else if (mute->phase == SLICE_MUTE_CATCHING) {
		if (slice_mute_catch(mute, skb)) {
			verdict = NF_STOLEN;
			atomic64_inc(&slice_mute_n_caught);
		} else {
			verdict = NF_DROP;
			atomic64_inc(&slice_mute_n_overflow);
		}
	} else if (th->syn && !th->ack && !th->rst) {
		verdict = NF_ACCEPT;
		is_reborn = true;
	} else {
		verdict = NF_DROP;
		atomic64_inc(&slice_mute_n_dropped_in);
	}
	spin_unlock_bh(&mute->lock);
	if (is_reborn && slice_mute_end_tombstone(&key))
		atomic64_inc(&slice_mute_n_reborn);
	return verdict;
}

static unsigned int slice_mute_hook_out(void *priv, struct sk_buff *skb,
					const struct nf_hook_state *state)
{
	struct slice_mute_key key;
	struct tcphdr buffer;

	if (!READ_ONCE(slice_mute_n))
		return NF_ACCEPT;
	if (!slice_mute_key_of_packet(state->net, skb, state->pf, false, &key,
				      &buffer) ||
	    !slice_mute_find(&key))
		return NF_ACCEPT;
	atomic64_inc(&slice_mute_n_dropped_out);
	return NF_DROP;
}

static const struct nf_hook_ops slice_mute_hooks[] = {
	{
		.hook		= slice_mute_hook_in,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_PRE_ROUTING,
		.priority	= NF_IP_PRI_FIRST,
	},
	{
		.hook		= slice_mute_hook_out,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_LOCAL_OUT,
		.priority	= NF_IP_PRI_FIRST,
	},
#if IS_ENABLED(CONFIG_IPV6)
	{
		.hook		= slice_mute_hook_in,
		.pf		= NFPROTO_IPV6,
		.hooknum	= NF_INET_PRE_ROUTING,
		.priority	= NF_IP6_PRI_FIRST,
	},
	{
		.hook		= slice_mute_hook_out,
		.pf		= NFPROTO_IPV6,
		.hooknum	= NF_INET_LOCAL_OUT,
		.priority	= NF_IP6_PRI_FIRST,
	},
#endif
};

static int slice_mute_hook(struct net *net)
{
	struct slice_mute_net *mute_net = net_generic(net, slice_mute_net_id);
	int ret = 0;

	mutex_lock(&slice_mute_hook_mutex);
	if (!mute_net->is_hooked) {
		ret = nf_register_net_hooks(net, slice_mute_hooks,
					    ARRAY_SIZE(slice_mute_hooks));
		mute_net->is_hooked = !ret;
	}
	mutex_unlock(&slice_mute_hook_mutex);
	return ret;
}

/* A new mute, when the table is full in place of the oldest that is over; under
 * slice_mute_table_lock. */
static int slice_mute_insert(struct slice_mute *fresh)
{
	struct sk_buff_head none;

	__skb_queue_head_init(&none);
	while (slice_mute_n >= READ_ONCE(slice_mutes_max)) {
		if (list_empty(&slice_mute_resolved))
			return -ENOSPC;
		slice_mute_end_locked(list_first_entry(&slice_mute_resolved,
						       struct slice_mute,
						       in_resolved), &none);
		atomic64_inc(&slice_mute_n_evicted);
	}
	hash_add_rcu(slice_mute_table, &fresh->in_table,
		     slice_mute_key_hash(&fresh->key));
	WRITE_ONCE(slice_mute_n, slice_mute_n + 1);
	return 0;
}

/* A mute that is there catches for @owner, under slice_mute_table_lock. */
static int slice_mute_take_over(struct slice_mute *mute, const void *owner)
{
	if (mute->owner && mute->owner != owner)
		return -EADDRINUSE;
	spin_lock(&mute->lock);
	mute->phase = SLICE_MUTE_CATCHING;
	spin_unlock(&mute->lock);
	if (!mute->owner)
		mute->was_resolved = true;
	mute->owner = owner;
	list_del_init(&mute->in_resolved);
	return 0;
}

int slice_mute_add(struct net *net, const struct slice_image_flow *flow,
		   const void *owner)
{
	struct slice_mute *mute, *fresh;
	struct slice_mute_key key;
	int ret;

	ret = slice_mute_key_of_flow(net, flow, &key);
	if (ret)
		return ret;
	ret = slice_mute_hook(net);
	if (ret)
		return ret;
	fresh = kzalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
	if (!fresh)
		return -ENOMEM;
	fresh->key = key;
	fresh->owner = owner;
	fresh->phase = SLICE_MUTE_CATCHING;
	spin_lock_init(&fresh->lock);
	INIT_LIST_HEAD(&fresh->in_resolved);
	__skb_queue_head_init(&fresh->caught);

	spin_lock_bh(&slice_mute_table_lock);
	mute = slice_mute_find(&key);
	if (mute) {
		ret = slice_mute_take_over(mute, owner);
	} else {
		ret = slice_mute_insert(fresh);
		if (!ret)
			fresh = NULL;
	}
	spin_unlock_bh(&slice_mute_table_lock);
	kfree(fresh);
	return ret;
}

/* Packets as they were on the wire: what GRO has joined is cut again. */
static void slice_mute_as_on_wire(struct sk_buff_head *caught)
{
	struct sk_buff *skb, *segments, *next;
	struct sk_buff_head done;

	__skb_queue_head_init(&done);
	while ((skb = __skb_dequeue(caught))) {
		if (skb_is_gso(skb)) {
			segments = skb_gso_segment(skb, 0);
			if (IS_ERR_OR_NULL(segments)) {
				atomic64_inc(&slice_mute_n_dropped_in);
				kfree_skb(skb);
				continue;
			}
			consume_skb(skb);
			skb_list_walk_safe(segments, skb, next) {
				skb_mark_not_on_list(skb);
				__skb_queue_tail(&done, skb);
			}
		} else if (skb->ip_summed == CHECKSUM_PARTIAL &&
			   skb_checksum_help(skb)) {
			atomic64_inc(&slice_mute_n_dropped_in);
			kfree_skb(skb);
		} else {
			__skb_queue_tail(&done, skb);
		}
	}
	skb_queue_splice(&done, caught);
}

/* Does something with the mute that @owner has, under slice_mute_table_lock. */
static void slice_mute_act(struct net *net, const struct slice_image_flow *flow,
			   const void *owner,
			   void (*act)(struct slice_mute *mute,
				       struct sk_buff_head *ret_caught),
			   struct sk_buff_head *ret_caught)
{
	struct slice_mute_key key;
	struct slice_mute *mute;

	__skb_queue_head_init(ret_caught);
	if (!READ_ONCE(slice_mute_n) ||
	    slice_mute_key_of_flow(net, flow, &key))
		return;
	spin_lock_bh(&slice_mute_table_lock);
	mute = slice_mute_find(&key);
	if (mute && mute->owner == owner)
		act(mute, ret_caught);
	spin_unlock_bh(&slice_mute_table_lock);
}

void slice_mute_settle(struct net *net, const struct slice_image_flow *flow,
		       const void *owner, struct sk_buff_head *ret_caught)
{
	struct sk_buff_head caught;

	slice_mute_act(net, flow, owner, slice_mute_bury, &caught);
	slice_mute_as_on_wire(&caught);
	skb_queue_splice_tail(&caught, ret_caught);
}

void slice_mute_resolve(struct net *net, const struct slice_image_flow *flow,
			const void *owner)
{
	struct sk_buff_head caught;

	slice_mute_act(net, flow, owner, slice_mute_abandon, &caught);
	__skb_queue_purge(&caught);
}

/* As if they arrived now, unless their device has gone. */
static void slice_mute_inject(struct net *net, struct sk_buff_head *caught)
{
	struct net_device *dev;
	struct sk_buff *skb;

	local_bh_disable();
	rcu_read_lock();
	while ((skb = __skb_dequeue(caught))) {
		dev = dev_get_by_index_rcu(net, skb->skb_iif);
		if (!dev) {
			atomic64_inc(&slice_mute_n_dropped_in);
			kfree_skb(skb);
			continue;
		}
		skb->dev = dev;
		netif_rx(skb);
	}
	rcu_read_unlock();
	local_bh_enable();
}

void slice_mute_remove(struct net *net, const struct slice_image_flow *flow,
		       const void *owner)
{
	struct sk_buff_head caught;

	slice_mute_act(net, flow, owner, slice_mute_end_locked, &caught);
	slice_mute_inject(net, &caught);
}

static void slice_mute_revert(struct slice_mute *mute,
			      struct sk_buff_head *ret_caught)
{
	if (mute->was_resolved)
		slice_mute_abandon(mute, ret_caught);
	else
		slice_mute_end_locked(mute, ret_caught);
}

void slice_mute_undo(struct net *net, const struct slice_image_flow *flow,
		     const void *owner)
{
	struct sk_buff_head caught;

	slice_mute_act(net, flow, owner, slice_mute_revert, &caught);
	slice_mute_inject(net, &caught);
}

u32 slice_mute_count(void)
{
	return READ_ONCE(slice_mute_n);
}

void slice_mute_stats(struct slice_mute_stats *ret_stats)
{
	ret_stats->n_caught = atomic64_read(&slice_mute_n_caught);
	ret_stats->n_overflow = atomic64_read(&slice_mute_n_overflow);
	ret_stats->n_dropped_in = atomic64_read(&slice_mute_n_dropped_in);
	ret_stats->n_dropped_out = atomic64_read(&slice_mute_n_dropped_out);
	ret_stats->n_reborn = atomic64_read(&slice_mute_n_reborn);
	ret_stats->n_evicted = atomic64_read(&slice_mute_n_evicted);
}

/* Ends all mutes of a namespace. */
static void slice_mute_end_net(const struct net *net)
{
	struct sk_buff_head caught;
	struct hlist_node *next;
	struct slice_mute *mute;
	unsigned int bucket;

	__skb_queue_head_init(&caught);
	spin_lock_bh(&slice_mute_table_lock);
	hash_for_each_safe(slice_mute_table, bucket, next, mute, in_table)
		if (mute->key.net == net)
			slice_mute_end_locked(mute, &caught);
	spin_unlock_bh(&slice_mute_table_lock);
	__skb_queue_purge(&caught);
}

static void __net_exit slice_mute_net_exit(struct net *net)
{
	struct slice_mute_net *mute_net = net_generic(net, slice_mute_net_id);

	mutex_lock(&slice_mute_hook_mutex);
	if (mute_net->is_hooked) {
		nf_unregister_net_hooks(net, slice_mute_hooks,
					ARRAY_SIZE(slice_mute_hooks));
		slice_mute_end_net(net);
	}
	mute_net->is_hooked = false;
	mutex_unlock(&slice_mute_hook_mutex);
}

static struct pernet_operations slice_mute_net_ops = {
	.exit = slice_mute_net_exit,
	.id = &slice_mute_net_id,
	.size = sizeof(struct slice_mute_net),
};

int slice_mute_init(void)
{
	return register_pernet_subsys(&slice_mute_net_ops);
}

void slice_mute_exit(void)
{
	unregister_pernet_subsys(&slice_mute_net_ops);
	rcu_barrier();
}
