/* SPDX-License-Identifier: GPL-2.0 */
/*
 * tcp-priv.h - what the sources of the tcp layer share
 */
#ifndef SLICE_TCP_PRIV_H
#define SLICE_TCP_PRIV_H

#include <linux/spinlock.h>
#include <net/net_namespace.h>

#include "tcp.h"

struct file;
struct sock;

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
 * @file: of a plugged socket until an application has taken it
 * @quiet_seq: copied_seq when it was last looked at while freezing
 * @nonagle: as it was at the source, to be restored after the tail was pushed
 * @has_tail: bytes wait in the write queue that were never sent
 * @owes_ack: the source owed the client an ACK
 * @wants_keepalive: SO_KEEPALIVE is set when it opens
 * @is_top: nobody needs it: it goes to a listener's accept queue
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
	bool has_tail;
	bool owes_ack;
	bool wants_keepalive;
	bool is_top;
};

/* ---- tcp.c ---- */
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

/* ---- tcp-export.c ---- */
/* Why can this socket not be exported?  Any context; without the socket's lock
 * the answer may be old. */
enum slice_why slice_tcp_refusal(const struct sock *sk);
/* Under the socket's lock: ends a connection without a word to anyone. */
void slice_tcp_silence(struct sock *sk);
int slice_tcp_unplug(struct slice_capsule *capsule, struct slice_image *image,
		     u32 index);

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

/* ---- tcp-accept.c ---- */
/* Is there a marked listener that would take this flow? */
bool slice_tcp_has_listener(struct net *net,
			    const struct slice_image_flow *flow);
/* Gives a plugged socket without a descriptor to that listener's accept queue;
 * takes over @file.  Without one the file is closed, as when an application
 * ends. */
void slice_tcp_give_to_listener(struct slice_tcp *conn, struct file *file);

#endif /* SLICE_TCP_PRIV_H */
