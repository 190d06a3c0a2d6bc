// SPDX-License-Identifier: GPL-2.0
/*
 * tcp-flow.c - a connection's addresses, of either IP version
 *
 * A flow names what is on the wire: a socket of IPv6 with v4-mapped addresses
 * has a flow of IPv4.  Addresses that mean something only on one device or host
 * (link-local of IPv6, loopback) are none that another VM could take over.
 *
 * Above: tcp.c, tcp-import.c, tcp-export.c, tcp-accept.c.
 */
#include <linux/if_arp.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/inetdevice.h>
#include <net/addrconf.h>
#include <net/arp.h>
#include <net/inet6_hashtables.h>
#include <net/inet_hashtables.h>
#include <net/inet_sock.h>
#include <net/ipv6.h>
#include <net/request_sock.h>
#include <net/route.h>
#include <net/sock.h>

#include "tcp-priv.h"

bool slice_tcp_is_mapped(const struct sock *sk)
{
#if IS_ENABLED(CONFIG_IPV6)
	return sk->sk_family == AF_INET6 &&
	       ipv6_addr_v4mapped(&sk->sk_v6_daddr);
#else
	return false;
#endif
}

/* Of IPv6 on the wire, too. */
static bool slice_tcp_is_v6(const struct sock *sk)
{
	return sk->sk_family == AF_INET6 && !slice_tcp_is_mapped(sk);
}

static int slice_tcp_flow_v4(struct slice_image_flow *flow, __be32 local,
			     __be32 remote)
{
	if (ipv4_is_loopback(local) || ipv4_is_loopback(remote))
		return -EAFNOSUPPORT;
	flow->family = 4;
	memcpy(flow->local, &local, sizeof(local));
	memcpy(flow->remote, &remote, sizeof(remote));
	return 0;
}

static int slice_tcp_flow_v6(struct slice_image_flow *flow,
			     const struct in6_addr *local,
			     const struct in6_addr *remote)
{
	if ((ipv6_addr_type(local) | ipv6_addr_type(remote)) &
	    (IPV6_ADDR_LINKLOCAL | IPV6_ADDR_LOOPBACK))
		return -EAFNOSUPPORT;
	flow->family = 6;
	memcpy(flow->local, local, sizeof(*local));
	memcpy(flow->remote, remote, sizeof(*remote));
	return 0;
}

int slice_tcp_flow_of_sock(const struct sock *sk,
			   struct slice_image_flow *ret_flow)
{
	const struct inet_sock *inet = inet_sk(sk);

	memset(ret_flow, 0, sizeof(*ret_flow));
	ret_flow->protocol = IPPROTO_TCP;
	ret_flow->local_port = inet->inet_sport;
	ret_flow->remote_port = inet->inet_dport;
#if IS_ENABLED(CONFIG_IPV6)
	if (slice_tcp_is_v6(sk))
		return slice_tcp_flow_v6(ret_flow, &sk->sk_v6_rcv_saddr,
					 &sk->sk_v6_daddr);
#endif
	return slice_tcp_flow_v4(ret_flow, inet->inet_saddr, inet->inet_daddr);
}

int slice_tcp_flow_of_request(const struct request_sock *req,
			      struct slice_image_flow *ret_flow)
{
	const struct inet_request_sock *ireq = inet_rsk(req);

	memset(ret_flow, 0, sizeof(*ret_flow));
	ret_flow->protocol = IPPROTO_TCP;
	ret_flow->local_port = htons(ireq->ir_num);
	ret_flow->remote_port = ireq->ir_rmt_port;
#if IS_ENABLED(CONFIG_IPV6)
	/* ireq_family would be the listener's, which may serve both. */
	if (req->rsk_ops->family == PF_INET6)
		return slice_tcp_flow_v6(ret_flow, &ireq->ir_v6_loc_addr,
					 &ireq->ir_v6_rmt_addr);
#endif
	return slice_tcp_flow_v4(ret_flow, ireq->ir_loc_addr,
				 ireq->ir_rmt_addr);
}

bool slice_tcp_flow_is_local(struct net *net,
			     const struct slice_image_flow *flow)
{
	struct in6_addr v6;
	__be32 v4;

	if (flow->family == 6) {
		memcpy(&v6, flow->local, sizeof(v6));
		return IS_ENABLED(CONFIG_IPV6) &&
		       ipv6_chk_addr(net, &v6, NULL, 0);
	}
	memcpy(&v4, flow->local, sizeof(v4));
	return inet_addr_type(net, v4) == RTN_LOCAL;
}

int slice_tcp_flow_address(const struct slice_image_flow *flow, int family,
			   bool is_local, struct sockaddr_storage *ret_address)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_address;
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret_address;
	const u8 *ip = is_local ? flow->local : flow->remote;
	__be16 port = is_local ? flow->local_port : flow->remote_port;
	__be32 word;

	memset(ret_address, 0, sizeof(*ret_address));
	memcpy(&word, ip, sizeof(word));
	if (family == AF_INET) {
		v4->sin_family = AF_INET;
		v4->sin_port = port;
		v4->sin_addr.s_addr = word;
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = port;
	if (flow->family == 6)
		memcpy(&v6->sin6_addr, ip, sizeof(v6->sin6_addr));
	else
		ipv6_addr_set_v4mapped(word, &v6->sin6_addr);
	return sizeof(*v6);
}

struct sock *slice_tcp_flow_listener(struct net *net,
				     const struct slice_image_flow *flow)
{
	struct inet_hashinfo *hashinfo = net->ipv4.tcp_death_row.hashinfo;
	u16 port = ntohs(flow->local_port);
	__be32 local, remote;

#if IS_ENABLED(CONFIG_IPV6)
	if (flow->family == 6) {
		struct in6_addr local6, remote6;

		memcpy(&local6, flow->local, sizeof(local6));
		memcpy(&remote6, flow->remote, sizeof(remote6));
		return inet6_lookup_listener(net, hashinfo, NULL, 0, &remote6,
					     flow->remote_port, &local6, port,
					     0, 0);
	}
#endif
	memcpy(&local, flow->local, sizeof(local));
	memcpy(&remote, flow->remote, sizeof(remote));
	return __inet_lookup_listener(net, hashinfo, NULL, 0, remote,
				      flow->remote_port, local, port, 0, 0);
}

struct neighbour *slice_tcp_next_hop(struct sock *sk)
{
	struct dst_entry *dst = __sk_dst_get(sk);
	const void *remote = &inet_sk(sk)->inet_daddr;
	struct neighbour *neigh;

	if (!dst)
		return NULL;
#if IS_ENABLED(CONFIG_IPV6)
	if (slice_tcp_is_v6(sk))
		remote = &sk->sk_v6_daddr;
#endif
	neigh = dst_neigh_lookup(dst, remote);
	if (neigh && neigh->dev->type != ARPHRD_ETHER) {
		neigh_release(neigh);
		neigh = NULL;
	}
	return neigh;
}
