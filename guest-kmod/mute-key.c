// SPDX-License-Identifier: GPL-2.0
/*
 * mute-key.c - from a flow or a packet to the key of its mute
 *
 * Above: mute.c.
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/jhash.h>
#include <linux/netfilter.h>
#include <linux/once.h>
#include <linux/random.h>
#include <net/ip.h>
#include <net/ipv6.h>

#include "mute-key.h"

int slice_mute_key_of_flow(const struct net *net,
			   const struct slice_image_flow *flow,
			   struct slice_mute_key *ret_key)
{
	if (flow->family != 4 && flow->family != 6)
		return -EAFNOSUPPORT;
	memset(ret_key, 0, sizeof(*ret_key));
	ret_key->net = net;
	ret_key->flow = *flow;
	return 0;
}

/* Where the TCP header of an IPv4 packet begins, and its addresses. */
static int slice_mute_key_v4(const struct sk_buff *skb, const u8 **ret_from,
			     const u8 **ret_to)
{
	const struct iphdr *ip = ip_hdr(skb);

	if (ip->protocol != IPPROTO_TCP || ip->frag_off & htons(IP_OFFSET))
		return -EPROTO;
	*ret_from = (const u8 *)&ip->saddr;
	*ret_to = (const u8 *)&ip->daddr;
	return skb_network_offset(skb) + ip->ihl * 4;
}

static int slice_mute_key_v6(const struct sk_buff *skb, const u8 **ret_from,
			     const u8 **ret_to)
{
	const struct ipv6hdr *ip = ipv6_hdr(skb);
	u8 protocol = ip->nexthdr;
	__be16 fragment;
	int at;

	at = ipv6_skip_exthdr(skb, skb_network_offset(skb) + sizeof(*ip),
			      &protocol, &fragment);
	/* A later fragment ends with the fragment header. */
	if (at < 0 || protocol != IPPROTO_TCP)
		return -EPROTO;
	*ret_from = ip->saddr.s6_addr;
	*ret_to = ip->daddr.s6_addr;
	return at;
}

const struct tcphdr *slice_mute_key_of_packet(const struct net *net,
					      const struct sk_buff *skb, u8 pf,
					      bool is_in,
					      struct slice_mute_key *ret_key,
					      struct tcphdr *buffer)
{
	struct slice_image_flow *flow = &ret_key->flow;
	const struct tcphdr *th;
	const u8 *from, *to;
	size_t bytes;
	int at;

	at = pf == NFPROTO_IPV6 ? slice_mute_key_v6(skb, &from, &to) :
				  slice_mute_key_v4(skb, &from, &to);
	if (at < 0)
		return NULL;
	th = skb_header_pointer(skb, at, sizeof(*buffer), buffer);
	if (!th)
		return NULL;
	memset(ret_key, 0, sizeof(*ret_key));
	ret_key->net = net;
	flow->family = pf == NFPROTO_IPV6 ? 6 : 4;
	flow->protocol = IPPROTO_TCP;
	bytes = pf == NFPROTO_IPV6 ? sizeof(struct in6_addr) : sizeof(__be32);
	memcpy(flow->local, is_in ? to : from, bytes);
	memcpy(flow->remote, is_in ? from : to, bytes);
	flow->local_port = is_in ? th->dest : th->source;
	flow->remote_port = is_in ? th->source : th->dest;
	return th;
}

bool slice_mute_key_equal(const struct slice_mute_key *a,
			  const struct slice_mute_key *b)
{
	return a->net == b->net &&
	       !memcmp(&a->flow, &b->flow, sizeof(a->flow));
}

u32 slice_mute_key_hash(const struct slice_mute_key *key)
{
	static u32 seed __read_mostly;

	/* Clients choose ports, and must not choose buckets. */
	get_random_once(&seed, sizeof(seed));
	return jhash(&key->flow, sizeof(key->flow),
		     seed ^ (u32)(unsigned long)key->net);
}
