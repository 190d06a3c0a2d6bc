/* SPDX-License-Identifier: GPL-2.0 */
/*
 * mute-key.h - by what a muted tuple is found
 */
#ifndef SLICE_MUTE_KEY_H
#define SLICE_MUTE_KEY_H

#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <net/net_namespace.h>
#include <uapi/linux/slice_capsule.h>

/**
 * struct slice_mute_key - whom a mute is about
 * @net: in which namespace; compared, never followed
 * @flow: addresses and ports; all else in it is zero
 */
struct slice_mute_key {
	const struct net *net;
	struct slice_image_flow flow;
};

/* -EAFNOSUPPORT: neither IPv4 nor IPv6. */
int slice_mute_key_of_flow(const struct net *net,
			   const struct slice_image_flow *flow,
			   struct slice_mute_key *ret_key);
/* The key of a packet at a netfilter hook of the family @pf; @is_in: it comes
 * from the client.  Its TCP header, in the packet or in *@buffer; NULL: it is
 * no TCP, or a fragment that does not begin with the header. */
const struct tcphdr *slice_mute_key_of_packet(const struct net *net,
					      const struct sk_buff *skb, u8 pf,
					      bool is_in,
					      struct slice_mute_key *ret_key,
					      struct tcphdr *buffer);
bool slice_mute_key_equal(const struct slice_mute_key *a,
			  const struct slice_mute_key *b);
u32 slice_mute_key_hash(const struct slice_mute_key *key);

#endif /* SLICE_MUTE_KEY_H */
