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
#include <linux/ip.h>
#include <linux/jhash.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/netfilter_ipv4.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <net/ip.h>
#include <net/netns/generic.h>
#include <uapi/linux/virtio_slice.h>

#include "mute.h"
#include "tcp-compat.h"

#define SLICE_MUTE_HASH_BITS	10

enum slice_mute_phase {
	SLICE_MUTE_CATCHING,
	SLICE_MUTE_TOMBSTONE,
	SLICE_MUTE_ENDED,
};

/**
 * struct slice_mute_key - whom it is about
 * @net: in which namespace; compared, never followed
 * @local: our address
 * @remote: the client's
 * @local_port: our port
 * @remote_port: the client's
 */
struct slice_mute_key {
	const struct net *net;
	__be32 local;
	__be32 remote;
	__be16 local_port;
	__be16 remote_port;
};

/**
 * struct slice_mute - one muted tuple
 * @in_table: changed under slice_mute_table_lock, read under RCU
 * @key: constant
 * @lock: for what follows
 * @phase: see mute.h
 * @caught: oldest first
 * @caught_bytes: sum of their lengths
 * @rcu: for freeing
 */
struct slice_mute {
	struct hlist_node in_table;
	struct slice_mute_key key;
	spinlock_t lock;
	enum slice_mute_phase phase;
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
static DEFINE_MUTEX(slice_mute_hook_mutex);
static unsigned int slice_mute_net_id;
static u32 slice_mute_n;
static atomic_long_t slice_mute_bytes;
static atomic64_t slice_mute_n_caught;
static atomic64_t slice_mute_n_overflow;
static atomic64_t slice_mute_n_dropped_in;
static atomic64_t slice_mute_n_dropped_out;
static atomic64_t slice_mute_n_reborn;

static u32 slice_mute_hash(const struct slice_mute_key *key)
{
	return jhash_3words((__force u32)key->local, (__force u32)key->remote,
			    (__force u32)key->local_port << 16 |
			    (__force u32)key->remote_port,
			    (u32)(unsigned long)key->net);
}

static bool slice_mute_key_equal(const struct slice_mute_key *a,
				 const struct slice_mute_key *b)
{
	return a->net == b->net && a->local == b->local &&
	       a->remote == b->remote && a->local_port == b->local_port &&
	       a->remote_port == b->remote_port;
}

static int slice_mute_key_of(const struct net *net,
			     const struct slice_image_flow *flow,
			     struct slice_mute_key *ret_key)
{
	if (flow->family != 4)
		return -EAFNOSUPPORT;
	memset(ret_key, 0, sizeof(*ret_key));
	ret_key->net = net;
	memcpy(&ret_key->local, flow->local, sizeof(ret_key->local));
	memcpy(&ret_key->remote, flow->remote, sizeof(ret_key->remote));
	ret_key->local_port = flow->local_port;
	ret_key->remote_port = flow->remote_port;
	return 0;
}

/* Under RCU or slice_mute_table_lock. */
static struct slice_mute *slice_mute_find(const struct slice_mute_key *key)
{
	struct slice_mute *mute;

	hash_for_each_possible_rcu(slice_mute_table, mute, in_table,
				   slice_mute_hash(key),
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

/* Takes it out of the table; only one caller for each mute gets true. */
static bool slice_mute_end(struct slice_mute *mute,
			   struct sk_buff_head *ret_caught)
{
	bool ended;

	spin_lock_bh(&slice_mute_table_lock);
	spin_lock(&mute->lock);
	ended = mute->phase != SLICE_MUTE_ENDED;
	if (ended) {
		mute->phase = SLICE_MUTE_ENDED;
		hash_del_rcu(&mute->in_table);
		WRITE_ONCE(slice_mute_n, slice_mute_n - 1);
		slice_mute_take_caught(mute, ret_caught);
	}
	spin_unlock(&mute->lock);
	spin_unlock_bh(&slice_mute_table_lock);
	if (ended)
		kfree_rcu(mute, rcu);
	return ended;
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

/* The TCP header of a whole, or first fragment of a, packet; else NULL. */
static const struct tcphdr *slice_mute_tcp_header(const struct sk_buff *skb,
						  struct tcphdr *buffer)
{
	const struct iphdr *ip = ip_hdr(skb);

	if (ip->protocol != IPPROTO_TCP || ip->frag_off & htons(IP_OFFSET))
		return NULL;
	return skb_header_pointer(skb, skb_network_offset(skb) + ip->ihl * 4,
				  sizeof(*buffer), buffer);
}

static unsigned int slice_mute_hook_in(void *priv, struct sk_buff *skb,
				       const struct nf_hook_state *state)
{
	struct sk_buff_head none;
	const struct tcphdr *th;
	struct slice_mute_key key;
	struct slice_mute *mute;
	struct tcphdr buffer;
	bool is_reborn = false;
	unsigned int verdict;

	if (!READ_ONCE(slice_mute_n))
		return NF_ACCEPT;
	th = slice_mute_tcp_header(skb, &buffer);
	if (!th)
		return NF_ACCEPT;
	memset(&key, 0, sizeof(key));
	key.net = state->net;
	key.local = ip_hdr(skb)->daddr;
	key.remote = ip_hdr(skb)->saddr;
	key.local_port = th->dest;
	key.remote_port = th->source;
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
	if (is_reborn) {
		__skb_queue_head_init(&none);
		if (slice_mute_end(mute, &none))
			atomic64_inc(&slice_mute_n_reborn);
		__skb_queue_purge(&none);
	}
	return verdict;
}

static unsigned int slice_mute_hook_out(void *priv, struct sk_buff *skb,
					const struct nf_hook_state *state)
{
	const struct tcphdr *th;
	struct slice_mute_key key;
	struct tcphdr buffer;

	if (!READ_ONCE(slice_mute_n))
		return NF_ACCEPT;
	th = slice_mute_tcp_header(skb, &buffer);
	if (!th)
		return NF_ACCEPT;
	memset(&key, 0, sizeof(key));
	key.net = state->net;
	key.local = ip_hdr(skb)->saddr;
	key.remote = ip_hdr(skb)->daddr;
	key.local_port = th->source;
	key.remote_port = th->dest;
	if (!slice_mute_find(&key))
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

int slice_mute_add(struct net *net, const struct slice_image_flow *flow)
{
	struct slice_mute *mute, *fresh;
	struct slice_mute_key key;
	int ret;

	ret = slice_mute_key_of(net, flow, &key);
	if (ret)
		return ret;
	ret = slice_mute_hook(net);
	if (ret)
		return ret;
	fresh = kzalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
	if (!fresh)
		return -ENOMEM;
	fresh->key = key;
	spin_lock_init(&fresh->lock);
	__skb_queue_head_init(&fresh->caught);
	fresh->phase = SLICE_MUTE_CATCHING;

	spin_lock_bh(&slice_mute_table_lock);
	mute = slice_mute_find(&key);
	if (mute) {
		spin_lock(&mute->lock);
		mute->phase = SLICE_MUTE_CATCHING;
		spin_unlock(&mute->lock);
	} else if (slice_mute_n >= SLICE_MUTES_MAX) {
		ret = -ENOSPC;
	} else {
		hash_add_rcu(slice_mute_table, &fresh->in_table,
			     slice_mute_hash(&key));
		WRITE_ONCE(slice_mute_n, slice_mute_n + 1);
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

void slice_mute_settle(struct net *net, const struct slice_image_flow *flow,
		       struct sk_buff_head *ret_caught)
{
	struct sk_buff_head caught;
	struct slice_mute_key key;
	struct slice_mute *mute;

	__skb_queue_head_init(&caught);
	if (slice_mute_key_of(net, flow, &key))
		return;
	rcu_read_lock();
	mute = slice_mute_find(&key);
	if (mute) {
		spin_lock_bh(&mute->lock);
		if (mute->phase == SLICE_MUTE_CATCHING)
			mute->phase = SLICE_MUTE_TOMBSTONE;
		slice_mute_take_caught(mute, &caught);
		spin_unlock_bh(&mute->lock);
	}
	rcu_read_unlock();
	slice_mute_as_on_wire(&caught);
	skb_queue_splice_tail(&caught, ret_caught);
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

static void slice_mute_finish(struct net *net,
			      const struct slice_image_flow *flow,
			      struct sk_buff_head *ret_caught)
{
	struct slice_mute_key key;
	struct slice_mute *mute;

	__skb_queue_head_init(ret_caught);
	if (slice_mute_key_of(net, flow, &key))
		return;
	rcu_read_lock();
	mute = slice_mute_find(&key);
	if (mute)
		slice_mute_end(mute, ret_caught);
	rcu_read_unlock();
}

void slice_mute_remove(struct net *net, const struct slice_image_flow *flow)
{
	struct sk_buff_head caught;

	slice_mute_finish(net, flow, &caught);
	slice_mute_inject(net, &caught);
}

void slice_mute_clear(struct net *net, const struct slice_image_flow *flow)
{
	struct sk_buff_head caught;

	slice_mute_finish(net, flow, &caught);
	__skb_queue_purge(&caught);
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
}

/* Ends all mutes of a namespace. */
static void slice_mute_end_net(const struct net *net)
{
	struct sk_buff_head caught;
	struct slice_mute *mute;
	unsigned int bucket;

	__skb_queue_head_init(&caught);
	rcu_read_lock();
	hash_for_each_rcu(slice_mute_table, bucket, mute, in_table)
		if (mute->key.net == net)
			slice_mute_end(mute, &caught);
	rcu_read_unlock();
	__skb_queue_purge(&caught);
}

static void __net_exit slice_mute_net_exit(struct net *net)
{
	struct slice_mute_net *mute_net = net_generic(net, slice_mute_net_id);

	mutex_lock(&slice_mute_hook_mutex);
	if (mute_net->is_hooked)
		nf_unregister_net_hooks(net, slice_mute_hooks,
					ARRAY_SIZE(slice_mute_hooks));
	mute_net->is_hooked = false;
	mutex_unlock(&slice_mute_hook_mutex);
	slice_mute_end_net(net);
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
