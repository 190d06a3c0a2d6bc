/* SPDX-License-Identifier: GPL-2.0 */
/*
 * tcp-priv.h - what the sources of the tcp layer share
 */
#ifndef SLICE_TCP_PRIV_H
#define SLICE_TCP_PRIV_H

#include <linux/spinlock.h>
#include <net/net_namespace.h>
#include <net/tcp_states.h>

#include "tcp.h"

struct file;
struct neighbour;
struct request_sock;
struct sock;
struct sockaddr_storage;

/**
 * struct slice_flow - how the private part of openflow and tcp capsules begins
 * @flow: constant once the capsule can be found or was plugged
 * @is_known: @flow is filled
 */
struct slice_flow {
	struct slice_image_flow flow;
	bool is_known;
};

/**
 * struct slice_tcp - the private part of a tcp capsule
 * @flow: its addresses; must be first, see slice_tcp_flow()
 * @capsule: whose it is; no reference, the capsule frees this
 * @net: its namespace, with a reference
 * @lock: for @sk; innermost, taken under slice_registry_lock by ops->why
 * @sk: its socket, while that is alive and not unplugged.  The socket holds a
 *	reference of the capsule meanwhile.
 * @file: of a plugged socket until an application has taken it, or, of an
 *	orphan, until it opens
 * @quiet_seq: copied_seq when it was last looked at while freezing
 * @nonagle: as it was at the source, to be restored after the tail was pushed
 * @owes_ack: the source owed the client an ACK
 * @wants_keepalive: SO_KEEPALIVE is set when it opens
 * @is_top: nobody needs it: it goes to a listener's accept queue
 * @is_orphan: closed by its application; the kernel sends what is left
 * @is_child: of a marked listener; whoever accepts it will name it
 */
struct slice_tcp {
	struct slice_flow flow;
	struct slice_capsule *capsule;
	struct net *net;
	spinlock_t lock;
	struct sock *sk;
	struct file *file;
	u32 quiet_seq;
	u8 nonagle;
	bool owes_ack;
	bool wants_keepalive;
	bool is_top;
	bool is_orphan;
	bool is_child;
};

/* States that can be exported. */
#define SLICE_TCP_STATES						\
	(TCPF_ESTABLISHED | TCPF_CLOSE_WAIT | TCPF_FIN_WAIT1 |		\
	 TCPF_FIN_WAIT2 | TCPF_CLOSING | TCPF_LAST_ACK)

/* The client has sent its FIN, which rcv_nxt counts. */
static inline bool slice_tcp_has_fin_in(u32 state)
{
	return state == TCP_CLOSE_WAIT || state == TCP_CLOSING ||
	       state == TCP_LAST_ACK;
}

/* Our FIN, which write_seq counts, is not acknowledged, maybe not sent. */
static inline bool slice_tcp_has_fin_out(u32 state)
{
	return state == TCP_FIN_WAIT1 || state == TCP_CLOSING ||
	       state == TCP_LAST_ACK;
}

/* The application has shut its output down. */
static inline bool slice_tcp_is_shut(u32 state)
{
	return slice_tcp_has_fin_out(state) || state == TCP_FIN_WAIT2;
}

/* ---- tcp.c ---- */
/* Only the first namespace's connections can be moved by a device. */
bool slice_tcp_may_use(const struct net *net);
/* An unplugged or plugged capsule's tuple is a tombstone for good. */
void slice_tcp_bury(struct slice_tcp *conn);
struct slice_tcp *slice_tcp_new(struct net *net, gfp_t gfp);
void slice_tcp_free(struct slice_tcp *conn);
/* Its socket with a reference, or NULL. */
struct sock *slice_tcp_hold_sock(struct slice_tcp *conn);
/* Under the socket's lock; the socket has no ULP yet. */
void slice_tcp_attach(struct slice_tcp *conn, struct sock *sk);
/* Under the socket's lock: the socket and the capsule no longer know each
 * other.  Returns the capsule, whose reference the caller drops after the
 * lock. */
struct slice_capsule *slice_tcp_detach(struct sock *sk);
bool slice_tcp_is_marked(const struct sock *sk);
/* slice_tcp_refusal(), or SLICE_WHY_STATE where nobody could take it over. */
enum slice_why slice_tcp_why_of(struct slice_tcp *conn, const struct sock *sk);

/* ---- tcp-export.c ---- */
/* Why can this socket not be exported?  Any context; without the socket's lock
 * the answer may be old. */
enum slice_why slice_tcp_refusal(const struct sock *sk);
/* Under the socket's lock: ends a connection without a word to anyone. */
void slice_tcp_silence(struct sock *sk);
int slice_tcp_unplug(struct slice_capsule *capsule, struct slice_image *image,
		     u32 index);

/* ---- tcp-option.c ---- */
/* What the application and the handshake have set, under the socket's lock. */
void slice_tcp_export_options(const struct sock *sk,
			      struct slice_image_tcp *tcp);
/* The same into a fresh socket; SO_KEEPALIVE, TCP_NODELAY, TCP_CORK and the
 * reuse flags, which would act before the socket opens, are left to the
 * caller. */
void slice_tcp_import_options(struct sock *sk,
			      const struct slice_image_tcp *tcp);

/* ---- tcp-flow.c ---- */
/* A socket of IPv6 that speaks IPv4. */
bool slice_tcp_is_mapped(const struct sock *sk);
/* The addresses of a connected socket: -EAFNOSUPPORT (those that mean nothing
 * elsewhere). */
int slice_tcp_flow_of_sock(const struct sock *sk,
			   struct slice_image_flow *ret_flow);
/* Those of a handshake. */
int slice_tcp_flow_of_request(const struct request_sock *req,
			      struct slice_image_flow *ret_flow);
/* Is our side's address one of this namespace's? */
bool slice_tcp_flow_is_local(struct net *net,
			     const struct slice_image_flow *flow);
/* For bind() and connect(): one side of @flow as a socket of @family, which is
 * AF_INET6 for IPv4 addresses, too, where they are to be v4-mapped.  Returns the
 * length. */
int slice_tcp_flow_address(const struct slice_image_flow *flow, int family,
			   bool is_local, struct sockaddr_storage *ret_address);
/* The listener that a SYN of this flow would reach; under RCU. */
struct sock *slice_tcp_flow_listener(struct net *net,
				     const struct slice_image_flow *flow);
/* The connected socket's next hop, with a reference, if it is on Ethernet. */
struct neighbour *slice_tcp_next_hop(struct sock *sk);

/* ---- tcp-check.c ---- */
/**
 * struct slice_tcp_record - the checked records of one connection
 * @tcp: fields that are consistent with each other and within limits
 * @recv: tcp->recv_bytes bytes, or NULL
 * @send: tcp->send_bytes bytes, or NULL
 * @ahead: runs of out-of-order input, @ahead_bytes of them, or NULL
 * @ahead_bytes: with the runs' headers
 */
struct slice_tcp_record {
	const struct slice_image_tcp *tcp;
	const void *recv;
	const void *send;
	const void *ahead;
	size_t ahead_bytes;
};

/* -EPROTO. */
int slice_tcp_check_flow(const struct slice_image_flow *flow);
/* -EPROTO, -ENOSPC (queues beyond what this kernel's limits allow). */
int slice_tcp_check(struct net *net, const struct slice_image_reader *reader,
		    u32 index, struct slice_tcp_record *ret_record);
/* The largest buffers that sysctls let a socket have. */
int slice_tcp_rcvbuf_max(struct net *net);
int slice_tcp_sndbuf_max(struct net *net);

/* ---- tcp-ahead.c ---- */
/* Length of the record; 0: nothing is out of order. */
size_t slice_tcp_ahead_bytes(const struct sock *sk);
/* Fills it, under the same hold of the socket's lock: -EFAULT. */
int slice_tcp_ahead_copy(const struct sock *sk, u8 *to);
/* Runs that ascend from @rcv_nxt on, all within @window: -EPROTO. */
int slice_tcp_ahead_check(const void *data, size_t bytes, u32 rcv_nxt,
			  u32 window);
/* Queues checked runs, under the socket's lock: -ENOMEM. */
int slice_tcp_ahead_put(struct sock *sk, const void *data, size_t bytes);

/* ---- tcp-import.c ---- */
int slice_tcp_plug(struct slice_capsule *capsule,
		   const struct slice_image_reader *reader, u32 index);
void slice_tcp_open(struct slice_capsule *capsule);
void slice_tcp_discard(struct slice_capsule *capsule);

/* ---- tcp-resume.c ---- */
/* A plugged socket opens: sends the head of what is unacknowledged again, and
 * arms the timer. */
void slice_tcp_resume(struct sock *sk);

/* ---- tcp-conntrack.c ---- */
/* Connection tracking in this namespace, if there is any, takes the flow for an
 * established connection of the client's; or knows nothing of it any more.  May
 * sleep. */
void slice_tcp_track(struct net *net, const struct slice_image_flow *flow);
void slice_tcp_untrack(struct net *net, const struct slice_image_flow *flow);

/* ---- tcp-accept.c ---- */
/* Is there a marked listener that would take this flow? */
bool slice_tcp_has_listener(struct net *net,
			    const struct slice_image_flow *flow);
/* Gives a plugged socket without a descriptor to that listener's accept queue;
 * takes over @file.  Without one the file is closed, as when an application
 * ends. */
void slice_tcp_give_to_listener(struct slice_tcp *conn, struct file *file);

#endif /* SLICE_TCP_PRIV_H */
