// SPDX-License-Identifier: GPL-2.0
/*
 * tcp-import.c - a connection from an image, first frozen and mute
 *
 * The socket is made by the kernel's own connect() in repair mode, which sends
 * nothing, and then given the state of the image under one hold of its lock.
 * See docs/design/tcp.md for what each field is restored to, and why.
 *
 * Frozen.  All timers are off, the unsent tail lies in the write queue behind
 * a window of 0 while it is put there, and the tuple is mute and caught, so
 * whatever the application does with a descriptor that it took early stays
 * here.  open() injects what was caught, arms the timers and sends the tail.
 *
 * If anything fails the socket is disconnected in repair mode: nobody hears of
 * it.
 *
 * Above: tcp.c.  Below: tcp-check.c, mute.c, tcp-accept.c, tcp-resume.c.
 * Source: net/ipv4/tcp.c (TCP_REPAIR), tcp_output.c: tcp_connect_init().
 */
#include <linux/ctype.h>
#include <linux/etherdevice.h>
#include <linux/file.h>
#include <linux/net.h>
#include <linux/nsproxy.h>
#include <linux/uio.h>
#include <net/dst.h>
#include <net/inet6_connection_sock.h>
#include <net/inet_common.h>
#include <net/inet_connection_sock.h>
#include <net/ipv6.h>
#include <net/neighbour.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "image.h"
#include "mute.h"
#include "tcp-compat.h"
#include "tcp-priv.h"

/* A congestion window beyond this is built up again here. */
#define SLICE_TCP_CWND_MAX	65535u
/* An image is not older; TSval must not go back, but never far ahead either. */
#define SLICE_TCP_AGE_MAX_MS	600000u
#define SLICE_TCP_RTT_MAX_US	(120u * USEC_PER_SEC)
/* A shortest round trip is hardly less than this part of the smoothed one. */
#define SLICE_TCP_SHORTEST_SHIFT	2
/* The smallest that IPv4 routes learn (net.ipv4.route.min_pmtu). */
#define SLICE_TCP_PMTU_MIN	552u

/* ---- making the socket ---- */

/* By name where this kernel has it and the name can be one; else the default
 * stays. */
static void slice_tcp_set_congestion(struct sock *sk, const u8 *name)
{
	char copy[TCP_CA_NAME_MAX] = "";
	size_t n;

	for (n = 0; n < sizeof(copy) - 1 && name[n]; n++) {
		if (!isalnum(name[n]) && name[n] != '_' && name[n] != '-')
			return;
		copy[n] = name[n];
	}
	if (n)
		sk->sk_prot->setsockopt(sk, SOL_TCP, TCP_CONGESTION,
					KERNEL_SOCKPTR(copy), n);
}

static int slice_tcp_family(const struct slice_image_tcp *tcp)
{
	return tcp->flow.family == 6 ||
	       le32_to_cpu(tcp->options) & SLICE_TCP_OPT_MAPPED ?
	       AF_INET6 : AF_INET;
}

/* A bound socket in repair mode, with a file; fput() ends it silently. */
static struct file *slice_tcp_make(struct net *net,
				   const struct slice_image_tcp *tcp)
{
	struct sockaddr_storage local;
	struct socket *sock;
	struct file *file;
	struct tcp_sock *tp;
	int ret, length;

	ret = __sock_create(net, slice_tcp_family(tcp), SOCK_STREAM,
			    IPPROTO_TCP, &sock, 0);
	if (ret)
		return ERR_PTR(ret);
	file = sock_alloc_file(sock, 0, NULL);
	if (IS_ERR(file))
		return file;
	slice_tcp_set_congestion(sock->sk, tcp->congestion);

	lock_sock(sock->sk);
	tp = tcp_sk(sock->sk);
	tp->repair = 1;
	tp->repair_queue = TCP_NO_QUEUE;
	/* Past the listener, and past a dead descriptor that is still bound. */
	sock->sk->sk_reuse = SK_FORCE_REUSE;
	sock->sk->sk_ipv6only = 0;
	WRITE_ONCE(tp->write_seq, le32_to_cpu(tcp->snd_una));
	WRITE_ONCE(tp->rcv_nxt, le32_to_cpu(tcp->copied_seq));
	release_sock(sock->sk);

	length = slice_tcp_flow_address(&tcp->flow, slice_tcp_family(tcp), true,
					&local);
	ret = kernel_bind(sock, (struct sockaddr *)&local, length);
	if (ret) {
		fput(file);
		return ERR_PTR(ret);
	}
	return file;
}

/* Under the socket's lock: ESTABLISHED without a SYN, as repair mode does. */
static int slice_tcp_establish(struct socket *sock,
			       const struct slice_image_tcp *tcp)
{
	struct sockaddr_storage remote;
	int ret, length;

	length = slice_tcp_flow_address(&tcp->flow, slice_tcp_family(tcp),
					false, &remote);
	ret = __inet_stream_connect(sock, (struct sockaddr *)&remote, length,
				    O_NONBLOCK, 0);
	/* What connect() says of a tuple that another socket has. */
	if (ret == -EADDRNOTAVAIL)
		return -EADDRINUSE;
	if (ret)
		return ret;
	/* From here on as a listener's child: it holds no port by itself. */
	sock->sk->sk_userlocks &= ~(SOCK_BINDADDR_LOCK | SOCK_BINDPORT_LOCK);
	return 0;
}

/* ---- fields, under the socket's lock ---- */

static void slice_tcp_import_clocks(struct sock *sk,
				    const struct slice_image_tcp *tcp)
{
	u32 age_ms = min_t(u64, SLICE_TCP_AGE_MAX_MS,
			   div_u64(le64_to_cpu(tcp->frozen_clock_ns),
				   NSEC_PER_MSEC));
	struct tcp_sock *tp = tcp_sk(sk);
	time64_t stamp;

	if (!tp->rx_opt.tstamp_ok)
		return;
	tp->tsoffset = le32_to_cpu(tcp->tsval) + age_ms - slice_tcp_clock(tp);
	tp->rx_opt.ts_recent = le32_to_cpu(tcp->ts_recent);
	/* 0 would mean that there is none. */
	stamp = ktime_get_seconds() - le32_to_cpu(tcp->ts_recent_age_s);
	tp->rx_opt.ts_recent_stamp = max_t(time64_t, stamp, 1);
}

/*
 * An answer that comes sooner than the shortest round trip is taken for one to
 * an earlier transmission, and tells nothing about losses (tcp_rack_advance()).
 * A fresh socket has none, and what was restored gives it none: each would be
 * too soon.  The image has only the smoothed one.
 */
static void slice_tcp_import_shortest(struct tcp_sock *tp)
{
	u32 shortest_us = tp->srtt_us >> 3 >> SLICE_TCP_SHORTEST_SHIFT;

	if (shortest_us)
		minmax_reset(&tp->rtt_min, tcp_jiffies32, shortest_us);
}

static void slice_tcp_import_timing(struct sock *sk,
				    const struct slice_image_tcp *tcp)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	struct tcp_sock *tp = tcp_sk(sk);

	tp->srtt_us = min(le32_to_cpu(tcp->srtt_us), 8 * SLICE_TCP_RTT_MAX_US);
	tp->mdev_us = min(le32_to_cpu(tcp->mdev_us), 4 * SLICE_TCP_RTT_MAX_US);
	tp->rttvar_us = min(le32_to_cpu(tcp->rttvar_us),
			    4 * SLICE_TCP_RTT_MAX_US);
	tp->mdev_max_us = tp->rttvar_us;
	slice_tcp_import_shortest(tp);
	icsk->icsk_rto = clamp_t(unsigned long,
				 usecs_to_jiffies(le32_to_cpu(tcp->rto_us)),
				 TCP_RTO_MIN, TCP_RTO_MAX);
	tcp_snd_cwnd_set(tp, clamp(le32_to_cpu(tcp->snd_cwnd), 1u,
				   SLICE_TCP_CWND_MAX));
	tp->snd_cwnd_stamp = tcp_jiffies32;
	tp->snd_ssthresh = clamp(le32_to_cpu(tcp->snd_ssthresh), 2u,
				 (u32)TCP_INFINITE_SSTHRESH);
}

/* What the source had learnt by ICMP, so that nothing is sent in vain; as there
 * it holds for all connections to that client, and for some minutes. */
static void slice_tcp_import_pmtu(struct sock *sk, u32 pmtu)
{
	bool is_v6 = sk->sk_family == AF_INET6 && !slice_tcp_is_mapped(sk);

	if (pmtu < (is_v6 ? IPV6_MIN_MTU : SLICE_TCP_PMTU_MIN) ||
	    pmtu >= dst_mtu(__sk_dst_get(sk)))
		return;
#if IS_ENABLED(CONFIG_IPV6)
	if (is_v6) {
		inet6_csk_update_pmtu(sk, pmtu);
		return;
	}
#endif
	inet_csk_update_pmtu(sk, pmtu);
}

static void slice_tcp_import_sizes(struct sock *sk,
				   const struct slice_image_tcp *tcp)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	struct tcp_sock *tp = tcp_sk(sk);
	u32 advmss = le32_to_cpu(tcp->advmss);

	/* Without these the MSS would stay at the 524 that connect() set. */
	tp->rx_opt.user_mss = le32_to_cpu(tcp->user_mss);
	tp->rx_opt.mss_clamp = le32_to_cpu(tcp->mss_clamp);
	tp->advmss = advmss;
	tp->rx_opt.snd_wscale = tcp->snd_wscale;
	tp->rx_opt.rcv_wscale = tcp->rcv_wscale;
	tp->max_window = le32_to_cpu(tcp->max_window);
	slice_tcp_import_pmtu(sk, le32_to_cpu(tcp->pmtu));
	tcp_mtup_init(sk);
	if (__sk_dst_get(sk))
		icsk->icsk_sync_mss(sk, dst_mtu(__sk_dst_get(sk)));

	tp->window_clamp = clamp(le32_to_cpu(tcp->window_clamp), advmss,
				 65535u << TCP_MAX_WSCALE);
	tp->rcv_ssthresh = min(le32_to_cpu(tcp->rcv_ssthresh),
			       tp->window_clamp);
	tp->rcvq_space.space = min(le32_to_cpu(tcp->rcvq_space),
				   tp->window_clamp);
	tp->rcvq_space.seq = tp->copied_seq;
	icsk->icsk_ack.rcv_mss = clamp_t(u32, le32_to_cpu(tcp->rcv_mss),
					 TCP_MIN_MSS, advmss);
}

static void slice_tcp_import_buffers(struct sock *sk,
				     const struct slice_image_tcp *tcp)
{
	u32 options = le32_to_cpu(tcp->options);

	WRITE_ONCE(sk->sk_rcvbuf,
		   (int)clamp_t(u32, le32_to_cpu(tcp->rcvbuf), SOCK_MIN_RCVBUF,
				slice_tcp_rcvbuf_max(sock_net(sk))));
	WRITE_ONCE(sk->sk_sndbuf,
		   (int)clamp_t(u32, le32_to_cpu(tcp->sndbuf), SOCK_MIN_SNDBUF,
				slice_tcp_sndbuf_max(sock_net(sk))));
	sk->sk_userlocks &= ~(SOCK_RCVBUF_LOCK | SOCK_SNDBUF_LOCK);
	if (options & SLICE_TCP_OPT_RCVBUF_LOCKED)
		sk->sk_userlocks |= SOCK_RCVBUF_LOCK;
	if (options & SLICE_TCP_OPT_SNDBUF_LOCKED)
		sk->sk_userlocks |= SOCK_SNDBUF_LOCK;
}

/* What connect() and the queues have disturbed, last. */
static void slice_tcp_import_windows(struct sock *sk,
				     const struct slice_image_tcp *tcp)
{
	struct tcp_sock *tp = tcp_sk(sk);
	u32 snd_sml = le32_to_cpu(tcp->snd_sml);

	tp->snd_wl1 = le32_to_cpu(tcp->snd_wl1);
	tp->snd_wnd = le32_to_cpu(tcp->snd_wnd);
	tp->rcv_wnd = le32_to_cpu(tcp->rcv_wnd);
	tp->rcv_wup = le32_to_cpu(tcp->rcv_wup);
	tp->snd_up = tp->snd_una;
	tp->snd_sml = between(snd_sml, tp->snd_una, tp->snd_nxt) ?
		      snd_sml : tp->snd_una;
	tp->pushed_seq = tp->write_seq;
	tp->rtt_seq = tp->snd_nxt;
	tp->pred_flags = 0;
}

/* The client's FIN, and what ours has made of the state. */
static void slice_tcp_import_state(struct sock *sk,
				   const struct slice_image_tcp *tcp)
{
	u32 state = le32_to_cpu(tcp->state);
	u8 shut = 0;

	if (slice_tcp_has_fin_in(state)) {
		WRITE_ONCE(tcp_sk(sk)->rcv_nxt, le32_to_cpu(tcp->rcv_nxt));
		sock_set_flag(sk, SOCK_DONE);
		shut |= RCV_SHUTDOWN;
	}
	if (le32_to_cpu(tcp->options) & SLICE_TCP_OPT_SHUT_RECV)
		shut |= RCV_SHUTDOWN;
	if (slice_tcp_is_shut(state))
		shut |= SEND_SHUTDOWN;
	WRITE_ONCE(sk->sk_shutdown, sk->sk_shutdown | shut);
	if (sk->sk_state != state)
		tcp_set_state(sk, state);
}

/* ---- queues, under the socket's lock ---- */

/* Into the queue that tp->repair_queue says, or, out of repair, the tail. */
static int slice_tcp_put(struct sock *sk, const u8 *data, size_t bytes)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };
	struct kvec vec;
	int ret;

	while (bytes) {
		vec.iov_base = (void *)data;
		vec.iov_len = bytes;
		iov_iter_kvec(&msg.msg_iter, ITER_SOURCE, &vec, 1, bytes);
		ret = tcp_sendmsg_locked(sk, &msg, bytes);
		if (ret <= 0)
			return -ENOMEM;
		data += ret;
		bytes -= ret;
	}
	return 0;
}

static int slice_tcp_import_input(struct sock *sk,
				  const struct slice_tcp_record *record)
{
	int ret;

	tcp_sk(sk)->repair_queue = TCP_RECV_QUEUE;
	ret = slice_tcp_put(sk, record->recv,
			    le32_to_cpu(record->tcp->recv_bytes));
	if (ret)
		return ret;
	return slice_tcp_ahead_put(sk, record->ahead, record->ahead_bytes);
}

/*
 * Our FIN, as shutdown() makes it: behind the bytes, with the last of them or
 * by itself.  Sent in repair mode, unsent else.  It must not give an RTT.
 */
static void slice_tcp_put_fin(struct sock *sk)
{
	struct sk_buff *skb;

	sk->sk_prot->shutdown(sk, SEND_SHUTDOWN);
	skb = skb_rb_last(&sk->tcp_rtx_queue);
	if (tcp_sk(sk)->repair && skb)
		TCP_SKB_CB(skb)->sacked |= TCPCB_REPAIRED;
}

/*
 * What was sent, in repair mode, and a round trip ago at least: by the time of
 * the plug an answer would seem to come too soon to be one.  The head lies in a
 * buffer of its own: it alone is sent again, see tcp-resume.c.
 */
static int slice_tcp_import_sent(struct sock *sk, const u8 *data, size_t bytes)
{
	struct tcp_sock *tp = tcp_sk(sk);
	size_t head = min_t(size_t, bytes, tp->mss_cache);
	u64 now_ns = tcp_clock_ns();
	u64 trip_ns = (u64)(tp->srtt_us >> 3) * NSEC_PER_USEC;
	struct sk_buff *skb;
	int ret;

	tp->repair_queue = TCP_SEND_QUEUE;
	ret = slice_tcp_put(sk, data, head);
	if (!ret)
		ret = slice_tcp_put(sk, data + head, bytes - head);
	skb_rbtree_walk(skb, &sk->tcp_rtx_queue)
		skb->skb_mstamp_ns = now_ns - min(now_ns, trip_ns);
	return ret;
}

/* First what was sent; then, as the window is still 0, what was not. */
static int slice_tcp_import_output(struct sock *sk,
				   const struct slice_tcp_record *record)
{
	bool has_fin = slice_tcp_has_fin_out(le32_to_cpu(record->tcp->state));
	u32 snd_nxt = le32_to_cpu(record->tcp->snd_nxt);
	u32 write_seq = le32_to_cpu(record->tcp->write_seq);
	u32 sent_bytes = le32_to_cpu(record->tcp->sent_bytes);
	u32 send_bytes = le32_to_cpu(record->tcp->send_bytes);
	struct tcp_sock *tp = tcp_sk(sk);
	int ret;

	ret = slice_tcp_import_sent(sk, record->send, sent_bytes);
	if (ret)
		return ret;
	if (has_fin && snd_nxt == write_seq)
		slice_tcp_put_fin(sk);
	if (tp->snd_nxt != snd_nxt)
		return -ENOMEM;
	tp->repair_queue = TCP_NO_QUEUE;
	tp->repair = 0;
	ret = slice_tcp_put(sk, record->send + sent_bytes,
			    send_bytes - sent_bytes);
	if (ret)
		return ret;
	if (has_fin && snd_nxt != write_seq)
		slice_tcp_put_fin(sk);
	return tp->write_seq == write_seq ? 0 : -ENOMEM;
}

static int slice_tcp_import_queues(struct sock *sk,
				   const struct slice_tcp_record *record)
{
	int ret;

	/* The queues are within the limits, how they lie in memory may not be. */
	WRITE_ONCE(sk->sk_rcvbuf, INT_MAX / 2);
	WRITE_ONCE(sk->sk_sndbuf, INT_MAX / 2);
	ret = slice_tcp_import_input(sk, record);
	if (ret)
		return ret;
	return slice_tcp_import_output(sk, record);
}

static void slice_tcp_seed_next_hop(struct sock *sk, const u8 *mac)
{
	struct neighbour *neigh;

	if (!is_valid_ether_addr(mac))
		return;
	neigh = slice_tcp_next_hop(sk);
	if (!neigh)
		return;
	/* Only where nothing is known; stale, so it is soon verified. */
	if (!(READ_ONCE(neigh->nud_state) & NUD_VALID))
		neigh_update(neigh, mac, NUD_STALE, NEIGH_UPDATE_F_OVERRIDE, 0);
	neigh_release(neigh);
}

/* Under the socket's lock: everything, and the timers off. */
static int slice_tcp_restore(struct slice_tcp *conn, struct sock *sk,
			     const struct slice_tcp_record *record)
{
	const struct slice_image_tcp *tcp = record->tcp;
	u32 options = le32_to_cpu(tcp->options);
	int ret;

	slice_tcp_seed_next_hop(sk, tcp->next_hop_mac);
	slice_tcp_import_options(sk, tcp);
	slice_tcp_import_clocks(sk, tcp);
	slice_tcp_import_sizes(sk, tcp);
	slice_tcp_import_timing(sk, tcp);
	ret = slice_tcp_import_queues(sk, record);
	if (ret)
		return ret;
	slice_tcp_import_windows(sk, tcp);
	slice_tcp_import_state(sk, tcp);
	slice_tcp_import_buffers(sk, tcp);
	inet_csk_clear_xmit_timer(sk, ICSK_TIME_RETRANS);
	sk->sk_reuse = options & SLICE_TCP_OPT_REUSEADDR ? SK_CAN_REUSE :
							   SK_NO_REUSE;
	sk->sk_reuseport = !!(options & SLICE_TCP_OPT_REUSEPORT);

	conn->nonagle = (options & SLICE_TCP_OPT_NODELAY ? TCP_NAGLE_OFF : 0) |
			(options & SLICE_TCP_OPT_CORK ? TCP_NAGLE_CORK : 0);
	tcp_sk(sk)->nonagle = conn->nonagle;
	conn->wants_keepalive = options & SLICE_TCP_OPT_KEEPALIVE;
	conn->owes_ack = options & SLICE_TCP_OPT_ACK_PENDING;
	return 0;
}

/* ---- the layer's operations ---- */

static bool slice_tcp_is_needed(const struct slice_image_reader *reader,
				u32 index)
{
	u32 i;

	for (i = 0; i < reader->n_deps; i++)
		if (le32_to_cpu(reader->deps[i]->to) == index)
			return true;
	return false;
}

/* Of a capsule that never had any: as whoever plugs. */
static struct slice_tcp *slice_tcp_ready(struct slice_capsule *capsule)
{
	struct slice_tcp *conn = slice_capsule_priv(capsule);

	if (conn)
		return conn;
	if (!slice_tcp_may_use(current->nsproxy->net_ns))
		return ERR_PTR(-EADDRNOTAVAIL);
	conn = slice_tcp_new(current->nsproxy->net_ns, GFP_KERNEL_ACCOUNT);
	if (!conn)
		return ERR_PTR(-ENOMEM);
	conn->capsule = capsule;
	slice_capsule_set_priv(capsule, conn);
	return conn;
}

/* Makes the socket of checked records, frozen, and ties it to @conn. */
static int slice_tcp_import(struct slice_tcp *conn,
			    const struct slice_tcp_record *record)
{
	struct socket *sock;
	struct file *file;
	int ret;

	file = slice_tcp_make(conn->net, record->tcp);
	if (IS_ERR(file))
		return PTR_ERR(file);
	sock = sock_from_file(file);
	lock_sock(sock->sk);
	ret = slice_tcp_establish(sock, record->tcp);
	if (!ret)
		ret = slice_tcp_restore(conn, sock->sk, record);
	if (ret)
		slice_tcp_silence(sock->sk);
	else
		slice_tcp_attach(conn, sock->sk);
	release_sock(sock->sk);
	if (ret) {
		fput(file);
		return ret;
	}
	xchg(&conn->file, file);
	return 0;
}

/* Who will have it: an application above, a listener, or the kernel. */
static int slice_tcp_find_heir(struct slice_tcp *conn,
			       const struct slice_tcp_record *record)
{
	if (conn->is_orphan)
		return conn->is_top ? 0 : -EPROTO;
	if (!conn->is_top)
		return 0;
	/* accept() is for connections that can be answered. */
	if (slice_tcp_is_shut(le32_to_cpu(record->tcp->state)))
		return -EOPNOTSUPP;
	return slice_tcp_has_listener(conn->net, &record->tcp->flow) ?
	       0 : -ECONNREFUSED;
}

/**
 * slice_tcp_plug() - make the socket of an image, frozen and mute
 * @capsule: fresh, or one whose unplug is undone
 * @reader: of the image
 * @index: of the capsule in the image
 *
 * Context: process context; a fresh connection is made in the network
 * namespace of current.
 * Return: 0; -EPROTO (the records contradict themselves), -ENOSPC (more queued
 * than sysctls allow here, or too many mutes), -EADDRNOTAVAIL (no address of
 * this host, or a namespace without any), -EADDRINUSE (another socket has the tuple, or is being unplugged
 * or plugged with it), -ECONNREFUSED (no marked listener to give it to, and no
 * layer above), -EOPNOTSUPP (half closed, and no layer above), -ENOMEM, or what
 * socket(), bind() and connect() answer.
 */
int slice_tcp_plug(struct slice_capsule *capsule,
		   const struct slice_image_reader *reader, u32 index)
{
	struct slice_tcp_record record;
	struct slice_tcp *conn;
	int ret;

	/* A commit's snapshot is restored differently: all of its output counts
	 * as sent. */
	if (le32_to_cpu(reader->header->flags) & SLICE_IMAGE_COMMIT)
		return -EPROTO;
	conn = slice_tcp_ready(capsule);
	if (IS_ERR(conn))
		return PTR_ERR(conn);
	ret = slice_tcp_check(conn->net, reader, index, &record);
	if (ret)
		return ret;
	if (!slice_tcp_flow_is_local(conn->net, &record.tcp->flow))
		return -EADDRNOTAVAIL;
	conn->is_top = !slice_tcp_is_needed(reader, index);
	conn->is_orphan = le32_to_cpu(record.tcp->options) &
			  SLICE_TCP_OPT_ORPHAN;
	ret = slice_tcp_find_heir(conn, &record);
	if (ret)
		return ret;
	conn->flow.flow = record.tcp->flow;
	conn->flow.is_known = true;

	ret = slice_mute_add(conn->net, &conn->flow.flow, conn);
	if (ret)
		return ret;
	ret = slice_tcp_import(conn, &record);
	if (!ret)
		return 0;
	if (ret == -EADDRINUSE) {
		/* The connection that has the tuple is none of ours to mute. */
		slice_mute_undo(conn->net, &conn->flow.flow, conn);
		return ret;
	}
	slice_tcp_bury(conn);
	return ret;
}

/* It speaks. */
static void slice_tcp_speak(struct slice_tcp *conn, struct sock *sk)
{
	bool has_tail;

	lock_sock(sk);
	if (conn->owes_ack)
		slice_tcp_send_ack(sk);
	has_tail = tcp_send_head(sk);
	release_sock(sk);
	slice_tcp_resume(sk);
	if (!has_tail)
		return;
	/* The exported way to push; it also arms the window probe. */
	tcp_sock_set_nodelay(sk);
	lock_sock(sk);
	tcp_sk(sk)->nonagle = conn->nonagle;
	release_sock(sk);
}

void slice_tcp_open(struct slice_capsule *capsule)
{
	struct slice_tcp *conn = slice_capsule_priv(capsule);
	struct file *file = NULL;
	struct sock *sk;

	sk = slice_tcp_hold_sock(conn);
	if (sk)
		slice_tcp_track(conn->net, &conn->flow.flow);
	slice_mute_remove(conn->net, &conn->flow.flow, conn);
	if (!sk)
		return;
	slice_tcp_speak(conn, sk);
	if (conn->wants_keepalive)
		sock_set_keepalive(sk);
	sock_put(sk);
	if (conn->is_top)
		file = xchg(&conn->file, NULL);
	if (file && conn->is_orphan)
		/* As its application did: nothing is unread, the FIN is there. */
		fput(file);
	else if (file)
		slice_tcp_give_to_listener(conn, file);
}

void slice_tcp_discard(struct slice_capsule *capsule)
{
	struct slice_tcp *conn = slice_capsule_priv(capsule);
	struct slice_capsule *tied = NULL;
	struct sock *sk;

	sk = slice_tcp_hold_sock(conn);
	if (sk) {
		lock_sock(sk);
		if (READ_ONCE(conn->sk) == sk) {
			tied = slice_tcp_detach(sk);
			slice_tcp_silence(sk);
		}
		release_sock(sk);
		sock_put(sk);
		if (tied)
			slice_capsule_put(tied);
	}
	slice_tcp_abandon(capsule);
	slice_tcp_bury(conn);
}
