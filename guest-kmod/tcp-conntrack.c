// SPDX-License-Identifier: GPL-2.0
/*
 * tcp-conntrack.c - a stateful firewall in the guest knows what has arrived
 *
 * A guest may have rules such as `ct state established accept` or `ct state
 * invalid drop`.  Its connection tracking has not seen the handshake of a
 * connection that arrives, and of one that was here before it remembers windows
 * that are long past: each packet would be out of them and invalid, for ever.
 * So an entry that is there goes, and one that says "established" is made,
 * from the client to us as the handshake would have, and liberal about windows,
 * as conntrack itself is about connections that it picks up in the middle.
 *
 * Only where connection tracking is in use in this namespace, and without
 * needing its module: its functions are looked up when they are needed.
 * Tuples that the guest itself translates (NAT) and zones are not known here.
 *
 * Above: tcp-import.c, tcp.c.  Source: net/netfilter/nf_conntrack_netlink.c:
 * ctnetlink_create_conntrack(); nf_conntrack_proto_tcp.c.
 */
#include <linux/module.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <net/net_namespace.h>

#include "tcp-priv.h"

#if IS_ENABLED(CONFIG_NF_CONNTRACK)

#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_core.h>
#include <net/netfilter/nf_conntrack_zones.h>

/* nf_conntrack_tcp_timeout_established's default; the next packet sets it
 * anew. */
#define SLICE_CONNTRACK_TIMEOUT	(432000u * HZ)

/* The functions of nf_conntrack, each NULL or held. */
struct slice_conntrack {
	typeof(&nf_conntrack_find_get) find_get;
	typeof(&nf_ct_delete) delete;
	typeof(&nf_conntrack_alloc) alloc;
	typeof(&nf_conntrack_hash_check_insert) insert;
	typeof(&nf_conntrack_free) free;
};

static void slice_conntrack_put(const struct slice_conntrack *ops)
{
	if (ops->find_get)
		symbol_put(nf_conntrack_find_get);
	if (ops->delete)
		symbol_put(nf_ct_delete);
	if (ops->alloc)
		symbol_put(nf_conntrack_alloc);
	if (ops->insert)
		symbol_put(nf_conntrack_hash_check_insert);
	if (ops->free)
		symbol_put(nf_conntrack_free);
}

/* False: the module is not there. */
static bool slice_conntrack_get(struct slice_conntrack *ret_ops)
{
	ret_ops->find_get = symbol_get(nf_conntrack_find_get);
	ret_ops->delete = symbol_get(nf_ct_delete);
	ret_ops->alloc = symbol_get(nf_conntrack_alloc);
	ret_ops->insert = symbol_get(nf_conntrack_hash_check_insert);
	ret_ops->free = symbol_get(nf_conntrack_free);
	if (ret_ops->find_get && ret_ops->delete && ret_ops->alloc &&
	    ret_ops->insert && ret_ops->free)
		return true;
	slice_conntrack_put(ret_ops);
	return false;
}

/* Does this namespace track connections of the flow's family? */
static bool slice_conntrack_is_used(struct net *net, u8 family)
{
	const struct nf_hook_entries *entries;
	struct nf_hook_ops **ops;
	bool is_used = false;
	unsigned int i;

	rcu_read_lock();
	if (family == 6)
		entries = rcu_dereference(net->nf.hooks_ipv6[NF_INET_PRE_ROUTING]);
	else
		entries = rcu_dereference(net->nf.hooks_ipv4[NF_INET_PRE_ROUTING]);
	if (entries) {
		ops = nf_hook_entries_get_hook_ops(entries);
		for (i = 0; i < entries->num_hook_entries; i++)
			is_used |= ops[i]->priority == NF_IP_PRI_CONNTRACK;
	}
	rcu_read_unlock();
	return is_used;
}

/* From the client to us. */
static void slice_conntrack_tuple(const struct slice_image_flow *flow,
				  struct nf_conntrack_tuple *ret_tuple)
{
	memset(ret_tuple, 0, sizeof(*ret_tuple));
	ret_tuple->src.l3num = flow->family == 6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
	ret_tuple->dst.protonum = IPPROTO_TCP;
	ret_tuple->dst.dir = IP_CT_DIR_ORIGINAL;
	memcpy(&ret_tuple->src.u3, flow->remote, sizeof(flow->remote));
	memcpy(&ret_tuple->dst.u3, flow->local, sizeof(flow->local));
	ret_tuple->src.u.tcp.port = flow->remote_port;
	ret_tuple->dst.u.tcp.port = flow->local_port;
}

static void slice_conntrack_delete(const struct slice_conntrack *ops,
				   struct net *net,
				   const struct nf_conntrack_tuple *tuple)
{
	struct nf_conntrack_tuple_hash *hash;
	struct nf_conn *ct;

	hash = ops->find_get(net, &nf_ct_zone_dflt, tuple);
	if (!hash)
		return;
	ct = nf_ct_tuplehash_to_ctrack(hash);
	ops->delete(ct, 0, 0);
	nf_conntrack_put(&ct->ct_general);
}

static void slice_conntrack_create(const struct slice_conntrack *ops,
				   struct net *net,
				   const struct nf_conntrack_tuple *tuple)
{
	struct nf_conntrack_tuple reply = {
		.src.l3num = tuple->src.l3num,
		.src.u3 = tuple->dst.u3,
		.src.u.tcp.port = tuple->dst.u.tcp.port,
		.dst.u3 = tuple->src.u3,
		.dst.u.tcp.port = tuple->src.u.tcp.port,
		.dst.protonum = tuple->dst.protonum,
		.dst.dir = IP_CT_DIR_REPLY,
	};
	struct nf_conn *ct;
	unsigned int i;
	int ret;

	ct = ops->alloc(net, &nf_ct_zone_dflt, tuple, &reply, GFP_KERNEL);
	if (IS_ERR(ct))
		return;
	ct->status |= IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED;
	WRITE_ONCE(ct->timeout, nfct_time_stamp + SLICE_CONNTRACK_TIMEOUT);
	ct->proto.tcp.state = TCP_CONNTRACK_ESTABLISHED;
	for (i = 0; i < ARRAY_SIZE(ct->proto.tcp.seen); i++)
		ct->proto.tcp.seen[i].flags = IP_CT_TCP_FLAG_SACK_PERM |
					      IP_CT_TCP_FLAG_BE_LIBERAL;
	/* Its extensions, of which it has none, are looked at under RCU. */
	rcu_read_lock();
	ret = ops->insert(ct);
	rcu_read_unlock();
	/* Inserted, it has the table's reference and ours. */
	if (ret)
		ops->free(ct);
	else
		nf_conntrack_put(&ct->ct_general);
}

static void slice_conntrack_change(struct net *net,
				   const struct slice_image_flow *flow,
				   bool is_here)
{
	struct nf_conntrack_tuple tuple;
	struct slice_conntrack ops;

	if (!slice_conntrack_is_used(net, flow->family) ||
	    !slice_conntrack_get(&ops))
		return;
	slice_conntrack_tuple(flow, &tuple);
	slice_conntrack_delete(&ops, net, &tuple);
	if (is_here)
		slice_conntrack_create(&ops, net, &tuple);
	slice_conntrack_put(&ops);
}

#else

static void slice_conntrack_change(struct net *net,
				   const struct slice_image_flow *flow,
				   bool is_here)
{
}

#endif /* CONFIG_NF_CONNTRACK */

void slice_tcp_track(struct net *net, const struct slice_image_flow *flow)
{
	slice_conntrack_change(net, flow, true);
}

void slice_tcp_untrack(struct net *net, const struct slice_image_flow *flow)
{
	slice_conntrack_change(net, flow, false);
}
