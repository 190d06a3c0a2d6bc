// SPDX-License-Identifier: GPL-2.0
/*
 * tcp-export.c - a live connection into an image, and silence where it was
 *
 * The tuple is mute first; after the fence nothing of it is on its way inside
 * this kernel.  Then one section under the socket's lock copies the state and
 * disconnects, so that nothing is acknowledged in between that the image does
 * not have.  The records are made in that section, of the exact sizes: memory
 * may be allocated under a socket's lock (sendmsg() does), and the client
 * waits from the mute on, not from the lock on.
 *
 * What is not carried: congestion control's private state, a path MTU that was
 * learnt, options that nobody has asked for yet (docs/design/tcp.md).
 *
 * Above: tcp.c.  Below: mute.c, image.c.
 * Source: net/ipv4/tcp.c: tcp_disconnect(), tcp_recvmsg_locked().
 */
#include <net/inet_connection_sock.h>
#include <net/ipv6.h>
#include <net/mptcp.h>
#include <net/neighbour.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "image.h"
#include "mute.h"
#include "tcp-compat.h"
#include "tcp-priv.h"

enum slice_why slice_tcp_refusal(const struct sock *sk)
{
	const struct tcp_sock *tp = tcp_sk(sk);
	int state = READ_ONCE(sk->sk_state);

	/* SYN_RECV lasts for the rest of the handshake's softirq. */
	if (!((1 << state) & (SLICE_TCP_STATES | TCPF_SYN_RECV)))
		return SLICE_WHY_STATE;
	/* An orphan without output only waits for the client's FIN. */
	if (sock_flag(sk, SOCK_DEAD) && !slice_tcp_has_fin_out(state))
		return SLICE_WHY_STATE;
	if (rcu_access_pointer(tp->fastopen_rsk))
		return SLICE_WHY_STATE;
	if (READ_ONCE(tp->urg_data) || tp->snd_una != tp->snd_up)
		return SLICE_WHY_URGENT;
	if (slice_tcp_has_md5(tp) || slice_tcp_has_usec_clock(tp) ||
	    sk_is_mptcp(sk) || tp->repair)
		return SLICE_WHY_OPTION;
	if (READ_ONCE(sk->sk_user_data) || READ_ONCE(sk->sk_bound_dev_if) ||
	    rcu_access_pointer(sk->sk_filter) ||
	    rcu_access_pointer(inet_sk(sk)->inet_opt))
		return SLICE_WHY_OPTION;
#if IS_ENABLED(CONFIG_IPV6)
	/* Extension headers, and labels of flows that the application leases. */
	if (sk->sk_family == AF_INET6 &&
	    (rcu_access_pointer(inet6_sk(sk)->opt) ||
	     READ_ONCE(inet6_sk(sk)->flow_label)))
		return SLICE_WHY_OPTION;
#endif
	return SLICE_WHY_NONE;
}

void slice_tcp_silence(struct sock *sk)
{
	struct tcp_sock *tp = tcp_sk(sk);

	if (sock_flag(sk, SOCK_DEAD)) {
		/* Nobody will close it: as tcp_abort() does, without its RST. */
		local_bh_disable();
		bh_lock_sock(sk);
		if (sk->sk_state != TCP_CLOSE)
			tcp_done(sk);
		bh_unlock_sock(sk);
		local_bh_enable();
		return;
	}
	/* In repair mode disconnect neither sends nor waits. */
	tp->repair = 1;
	/* Before disconnect: a sleeper in recv() or send() looks for it. */
	sk->sk_disconnects++;
	tcp_disconnect(sk, 0);
	if (sk->sk_socket)
		sk->sk_socket->state = SS_UNCONNECTED;
	tp->repair = 0;
}

/**
 * struct slice_tcp_queue - walks a byte range in a socket's queues
 * @seq: next byte that is wanted
 * @to: where it goes, or NULL to count only
 * @bytes: so far
 */
struct slice_tcp_queue {
	u32 seq;
	u8 *to;
	size_t bytes;
};

/* The part of @skb from @queue->seq on; -EIO for a gap, -EFAULT. */
static int slice_tcp_queue_take(struct slice_tcp_queue *queue,
				const struct sk_buff *skb)
{
	u32 start = TCP_SKB_CB(skb)->seq;
	u32 offset, bytes;
	int ret;

	if (TCP_SKB_CB(skb)->tcp_flags & TCPHDR_SYN)
		start++;
	if (!skb->len || !after(start + skb->len, queue->seq))
		return 0;
	if (after(start, queue->seq))
		return -EIO;
	offset = queue->seq - start;
	bytes = skb->len - offset;
	if (queue->to) {
		ret = skb_copy_bits(skb, offset, queue->to + queue->bytes,
				    bytes);
		if (ret)
			return ret;
	}
	queue->seq += bytes;
	queue->bytes += bytes;
	return 0;
}

/* Unread input: @ret_bytes of it, also to @to unless NULL. */
static int slice_tcp_take_recv(struct sock *sk, u8 *to, size_t *ret_bytes)
{
	struct slice_tcp_queue queue = {
		.seq = tcp_sk(sk)->copied_seq,
		.to = to,
	};
	struct sk_buff *skb;
	int ret;

	skb_queue_walk(&sk->sk_receive_queue, skb) {
		ret = slice_tcp_queue_take(&queue, skb);
		if (ret)
			return ret;
	}
	*ret_bytes = queue.bytes;
	return 0;
}

/* Output from snd_una on, unacknowledged and unsent. */
static int slice_tcp_take_send(struct sock *sk, u8 *to, size_t *ret_bytes)
{
	struct slice_tcp_queue queue = {
		.seq = tcp_sk(sk)->snd_una,
		.to = to,
	};
	struct sk_buff *skb;
	int ret;

	skb_rbtree_walk(skb, &sk->tcp_rtx_queue) {
		ret = slice_tcp_queue_take(&queue, skb);
		if (ret)
			return ret;
	}
	skb_queue_walk(&sk->sk_write_queue, skb) {
		ret = slice_tcp_queue_take(&queue, skb);
		if (ret)
			return ret;
	}
	*ret_bytes = queue.bytes;
	return 0;
}

static void slice_tcp_export_sequences(const struct sock *sk,
				       struct slice_image_tcp *tcp)
{
	const struct tcp_sock *tp = tcp_sk(sk);

	tcp->state = cpu_to_le32(sk->sk_state);
	tcp->copied_seq = cpu_to_le32(tp->copied_seq);
	tcp->rcv_nxt = cpu_to_le32(tp->rcv_nxt);
	tcp->snd_una = cpu_to_le32(tp->snd_una);
	tcp->snd_nxt = cpu_to_le32(tp->snd_nxt);
	tcp->write_seq = cpu_to_le32(tp->write_seq);
	tcp->snd_wl1 = cpu_to_le32(tp->snd_wl1);
	tcp->snd_wnd = cpu_to_le32(tp->snd_wnd);
	tcp->max_window = cpu_to_le32(tp->max_window);
	tcp->rcv_wnd = cpu_to_le32(tp->rcv_wnd);
	tcp->rcv_wup = cpu_to_le32(tp->rcv_wup);
	tcp->snd_sml = cpu_to_le32(tp->snd_sml);
	tcp->pushed_seq = cpu_to_le32(tp->pushed_seq);
	/* A FIN that was sent is no byte. */
	tcp->sent_bytes = cpu_to_le32(min(tp->snd_nxt - tp->snd_una,
					  le32_to_cpu(tcp->send_bytes)));
}

static void slice_tcp_export_timing(const struct sock *sk,
				    struct slice_image_tcp *tcp)
{
	const struct inet_connection_sock *icsk = inet_csk(sk);
	const struct tcp_sock *tp = tcp_sk(sk);

	tcp->tsval = cpu_to_le32(slice_tcp_clock(tp) + tp->tsoffset);
	tcp->ts_recent = cpu_to_le32(tp->rx_opt.ts_recent);
	if (tp->rx_opt.ts_recent_stamp)
		tcp->ts_recent_age_s = cpu_to_le32(ktime_get_seconds() -
						   tp->rx_opt.ts_recent_stamp);
	tcp->snd_cwnd = cpu_to_le32(tcp_snd_cwnd(tp));
	tcp->snd_ssthresh = cpu_to_le32(tp->snd_ssthresh);
	tcp->srtt_us = cpu_to_le32(tp->srtt_us);
	tcp->mdev_us = cpu_to_le32(tp->mdev_us);
	tcp->rttvar_us = cpu_to_le32(tp->rttvar_us);
	tcp->rto_us = cpu_to_le32(jiffies_to_usecs(icsk->icsk_rto));
	memcpy(tcp->congestion, icsk->icsk_ca_ops->name,
	       min(sizeof(tcp->congestion) - 1,
		   strlen(icsk->icsk_ca_ops->name)));
}

static void slice_tcp_export_sizes(const struct sock *sk,
				   struct slice_image_tcp *tcp)
{
	const struct inet_connection_sock *icsk = inet_csk(sk);
	const struct tcp_sock *tp = tcp_sk(sk);

	tcp->mss_clamp = cpu_to_le32(tp->rx_opt.mss_clamp);
	tcp->user_mss = cpu_to_le32(tp->rx_opt.user_mss);
	tcp->advmss = cpu_to_le32(tp->advmss);
	tcp->pmtu = cpu_to_le32(icsk->icsk_pmtu_cookie);
	tcp->rcvbuf = cpu_to_le32(sk->sk_rcvbuf);
	tcp->sndbuf = cpu_to_le32(sk->sk_sndbuf);
	tcp->window_clamp = cpu_to_le32(tp->window_clamp);
	tcp->rcv_ssthresh = cpu_to_le32(tp->rcv_ssthresh);
	tcp->rcvq_space = cpu_to_le32(tp->rcvq_space.space);
	tcp->rcv_mss = cpu_to_le32(icsk->icsk_ack.rcv_mss);
	tcp->snd_wscale = tp->rx_opt.snd_wscale;
	tcp->rcv_wscale = tp->rx_opt.rcv_wscale;
}

/* Saves the target an ARP exchange (or that of IPv6) whose answer the switch,
 * which knows all VMs by the same address, may send elsewhere. */
static void slice_tcp_export_next_hop(struct sock *sk,
				      struct slice_image_tcp *tcp)
{
	struct neighbour *neigh = slice_tcp_next_hop(sk);

	if (!neigh)
		return;
	if (READ_ONCE(neigh->nud_state) & NUD_VALID)
		neigh_ha_snapshot(tcp->next_hop_mac, neigh, neigh->dev);
	neigh_release(neigh);
}

/* One queue into a record of exactly its size. */
static int slice_tcp_add_queue(struct sock *sk, struct slice_image *image,
			       u16 type, u32 index, size_t bytes,
			       int (*take)(struct sock *sk, u8 *to,
					   size_t *ret_bytes))
{
	size_t taken;
	void *to;
	int ret;

	if (!bytes)
		return 0;
	ret = slice_image_reserve(image, type, SLICE_RECORD_MUST, index, bytes,
				  &to);
	if (ret)
		return ret;
	return take(sk, to, &taken);
}

/* What the client may have had a SACK for: if it had to be sent again, the
 * client would wait for its timer first.  A reader may skip it all the same. */
static int slice_tcp_add_ahead(struct sock *sk, struct slice_image *image,
			       u32 index)
{
	size_t bytes;
	void *to;
	int ret;

	/* Nobody will read it: a FIN was before it, or the reader has gone. */
	if (slice_tcp_has_fin_in(sk->sk_state) || sock_flag(sk, SOCK_DEAD))
		return 0;
	bytes = slice_tcp_ahead_bytes(sk);
	if (!bytes)
		return 0;
	ret = slice_image_reserve(image, SLICE_RECORD_TCP_AHEAD, 0, index,
				  bytes, &to);
	if (ret)
		return ret;
	return slice_tcp_ahead_copy(sk, to);
}

/* Under the socket's lock, which is in a state that can be exported. */
static int slice_tcp_capture(struct sock *sk,
			     const struct slice_image_flow *flow,
			     struct slice_image *image, u32 index)
{
	const struct tcp_sock *tp = tcp_sk(sk);
	struct slice_image_tcp tcp = { .flow = *flow };
	size_t recv_bytes, send_bytes;
	u32 missing;
	int ret;

	ret = slice_tcp_take_recv(sk, NULL, &recv_bytes);
	if (ret)
		return ret;
	ret = slice_tcp_take_send(sk, NULL, &send_bytes);
	if (ret)
		return ret;
	/* What a FIN takes in the sequence space is not a byte. */
	missing = tp->rcv_nxt - tp->copied_seq - (u32)recv_bytes;
	if (send_bytes + slice_tcp_has_fin_out(sk->sk_state) !=
	    tp->write_seq - tp->snd_una ||
	    missing > slice_tcp_has_fin_in(sk->sk_state))
		return -EIO;
	tcp.recv_bytes = cpu_to_le32(recv_bytes);
	tcp.send_bytes = cpu_to_le32(send_bytes);
	slice_tcp_export_sequences(sk, &tcp);
	slice_tcp_export_timing(sk, &tcp);
	slice_tcp_export_sizes(sk, &tcp);
	slice_tcp_export_options(sk, &tcp);
	slice_tcp_export_next_hop(sk, &tcp);

	ret = slice_image_add(image, SLICE_RECORD_TCP, SLICE_RECORD_MUST, index,
			      &tcp, sizeof(tcp));
	if (ret)
		return ret;
	ret = slice_tcp_add_queue(sk, image, SLICE_RECORD_TCP_RECV, index,
				  recv_bytes, slice_tcp_take_recv);
	if (ret)
		return ret;
	ret = slice_tcp_add_queue(sk, image, SLICE_RECORD_TCP_SEND, index,
				  send_bytes, slice_tcp_take_send);
	if (ret)
		return ret;
	return slice_tcp_add_ahead(sk, image, index);
}

/**
 * slice_tcp_unplug() - export a connection and end it here, silently
 * @capsule: of the connection
 * @image: gets its TCP, TCP_RECV and TCP_SEND records
 * @index: of the capsule in the image
 *
 * Afterwards the socket is TCP_CLOSE with ECONNABORTED (a descriptor reports
 * EPOLLERR and EPOLLHUP) and the tuple is mute and caught.
 *
 * Return: 0, or with nothing changed: -ENOTCONN (the socket has ended),
 * -EOPNOTSUPP (see slice_tcp_why_of()), -ENOMEM, -E2BIG, -ENOSPC (too many
 * mutes), -EADDRINUSE (an image of the same tuple is being plugged), -EIO (a queue with a gap), -EFAULT (a queue that cannot be read).
 */
int slice_tcp_unplug(struct slice_capsule *capsule, struct slice_image *image,
		     u32 index)
{
	struct slice_tcp *conn = slice_capsule_priv(capsule);
	const struct slice_image_flow *flow = &conn->flow.flow;
	struct sock *sk;
	int ret;

	sk = slice_tcp_hold_sock(conn);
	if (!sk)
		return -ENOTCONN;
	ret = slice_mute_add(conn->net, flow, conn);
	if (ret)
		goto err_put_sock;
	slice_mute_fence();

	lock_sock(sk);
	if (READ_ONCE(conn->sk) != sk)
		ret = -ENOTCONN;
	else if (sk->sk_state == TCP_SYN_RECV ||
		 slice_tcp_why_of(conn, sk) != SLICE_WHY_NONE)
		ret = -EOPNOTSUPP;
	else
		ret = slice_tcp_capture(sk, flow, image, index);
	if (ret)
		goto err_unmute;
	/* Before the end, which for an orphan is also that of its ULP. */
	slice_tcp_detach(sk);
	slice_tcp_silence(sk);
	release_sock(sk);
	/* Plugged here before, and never taken. */
	slice_tcp_abandon(capsule);
	slice_capsule_put(capsule);
	sock_put(sk);
	return 0;

err_unmute:
	release_sock(sk);
	slice_mute_remove(conn->net, flow, conn);
err_put_sock:
	sock_put(sk);
	return ret;
}
