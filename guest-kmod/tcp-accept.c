// SPDX-License-Identifier: GPL-2.0
/*
 * tcp-accept.c - a plugged connection for a server that knows nothing of it
 *
 * Where no layer stands above tcp, nobody asks for the connection by its
 * capsule.  It is put into the accept queue of the marked listener for its
 * address, where an unmodified server finds it as it finds a new one.
 *
 * Above: tcp-import.c.  Source: net/ipv4/inet_connection_sock.c:
 * inet_csk_reqsk_queue_add(), inet_csk_accept().
 */
#include <linux/file.h>
#include <linux/net.h>
#include <net/inet_connection_sock.h>
#include <net/request_sock.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "tcp-priv.h"

/* The marked listener that a SYN of this flow would reach, with a reference. */
static struct sock *slice_tcp_find_listener(struct net *net,
					    const struct slice_image_flow *flow)
{
	struct sock *listener;

	rcu_read_lock();
	listener = slice_tcp_flow_listener(net, flow);
	if (listener && (!slice_tcp_is_marked(listener) ||
			 !refcount_inc_not_zero(&listener->sk_refcnt)))
		listener = NULL;
	rcu_read_unlock();
	return listener;
}

bool slice_tcp_has_listener(struct net *net,
			    const struct slice_image_flow *flow)
{
	struct sock *listener = slice_tcp_find_listener(net, flow);

	if (listener)
		sock_put(listener);
	return listener;
}

/* Takes the sock out of its socket, which fput() then ends alone. */
static struct sock *slice_tcp_unwrap(struct file *file)
{
	struct socket *sock = sock_from_file(file);
	struct sock *sk = sock->sk;

	lock_sock_nested(sk, SINGLE_DEPTH_NESTING);
	write_lock_bh(&sk->sk_callback_lock);
	sk_set_socket(sk, NULL);
	RCU_INIT_POINTER(sk->sk_wq, NULL);
	write_unlock_bh(&sk->sk_callback_lock);
	sock->sk = NULL;
	sock->state = SS_UNCONNECTED;
	release_sock(sk);
	return sk;
}

/* Under the listener's lock. */
static bool slice_tcp_enqueue(struct sock *listener, struct file *file)
{
	struct request_sock *req;
	struct sock *sk;

	if (listener->sk_state != TCP_LISTEN)
		return false;
	req = inet_reqsk_alloc(listener->sk_prot->rsk_prot, listener, true);
	if (!req)
		return false;
	tcp_rsk(req)->tfo_listener = false;
	refcount_set(&req->rsk_refcnt, 1);
	sk = slice_tcp_unwrap(file);
	local_bh_disable();
	inet_csk_reqsk_queue_add(listener, req, sk);
	local_bh_enable();
	return true;
}

void slice_tcp_give_to_listener(struct slice_tcp *conn, struct file *file)
{
	struct sock *listener;
	bool is_queued;

	listener = slice_tcp_find_listener(conn->net, &conn->flow.flow);
	if (listener) {
		lock_sock(listener);
		is_queued = slice_tcp_enqueue(listener, file);
		release_sock(listener);
		if (is_queued)
			listener->sk_data_ready(listener);
		sock_put(listener);
	}
	fput(file);
}
