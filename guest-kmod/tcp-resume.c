// SPDX-License-Identifier: GPL-2.0
/*
 * tcp-resume.c - a plugged connection asks what its client has
 *
 * The image says what was sent and not acknowledged, not what of it arrived.
 * The source would have learnt that by timers, which are off while a connection
 * moves and begin anew when it opens.  One that is moved again sooner than they
 * run would never find out: its client waits for bytes that nobody sends.
 *
 * So the head of what is unacknowledged is sent again when the connection opens,
 * before the client's held packets reach it: one segment.  If the client has it,
 * it answers with what else it has; if not, it goes on at once.  The rest is
 * TCP's own: in the state "loss" it sends again what such an answer shows to be
 * missing, in a round trip and without a timer.
 *
 * What is marked lost is sent again by the kernel when the socket is released:
 * a socket that was throttled by its own queue (TCP_TSQ_DEFERRED) catches up
 * then, first with what is lost.  No function that sends is exported by every
 * kernel; this way it is done by no other than TCP itself.
 *
 * Above: tcp-import.c.  Source: net/ipv4/tcp_output.c: tcp_release_cb(),
 * tcp_tsq_write(); tcp_input.c: tcp_simple_retransmit(), which is in "loss"
 * without having shrunk the congestion window, too; tcp_recovery.c.
 */
#include <net/inet_connection_sock.h>
#include <net/tcp.h>

#include "tcp-priv.h"

/* The head, unless the client is known to have it, or what has come in since
 * has begun a recovery. */
static struct sk_buff *slice_tcp_head(const struct sock *sk)
{
	const struct tcp_sock *tp = tcp_sk(sk);
	struct sk_buff *head = tcp_rtx_queue_head(sk);

	if (!head || inet_csk(sk)->icsk_ca_state > TCP_CA_CWR ||
	    tp->lost_out || tp->retrans_out ||
	    TCP_SKB_CB(head)->sacked & TCPCB_SACKED_ACKED)
		return NULL;
	return head;
}

static void slice_tcp_lose(struct sock *sk, struct sk_buff *head)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	struct tcp_sock *tp = tcp_sk(sk);

	TCP_SKB_CB(head)->sacked |= TCPCB_LOST;
	tp->lost_out += tcp_skb_pcount(head);
	tp->retransmit_skb_hint = head;
	tp->high_seq = tp->snd_nxt;
	tp->prior_ssthresh = 0;
	tp->undo_marker = 0;
	if (icsk->icsk_ca_ops->set_state)
		icsk->icsk_ca_ops->set_state(sk, TCP_CA_Loss);
	icsk->icsk_ca_state = TCP_CA_Loss;
}

/* Under the socket's lock, whose release sends the head.  Returns the congestion
 * window to restore afterwards, or 0. */
static u32 slice_tcp_ask(struct sock *sk)
{
	struct tcp_sock *tp = tcp_sk(sk);
	struct sk_buff *head = slice_tcp_head(sk);
	u32 cwnd = tcp_snd_cwnd(tp);

	if (!head)
		return 0;
	slice_tcp_lose(sk, head);
	/* One segment, however much is on its way. */
	tcp_snd_cwnd_set(tp, max(cwnd, tcp_packets_in_flight(tp) + 1));
	if (!test_and_set_bit(TCP_TSQ_DEFERRED, &sk->sk_tsq_flags))
		sock_hold(sk);
	return cwnd;
}

/*
 * Under the socket's lock: what TCP would have under way.  Unless the head is
 * asked about, a loss probe is the shorter one, as tcp_schedule_loss_probe() has
 * it.
 */
static void slice_tcp_arm(struct sock *sk)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	struct tcp_sock *tp = tcp_sk(sk);
	unsigned long timeout = icsk->icsk_rto;
	int what = ICSK_TIME_RETRANS;

	if (!tp->packets_out || icsk->icsk_pending)
		return;
	if (READ_ONCE(sock_net(sk)->ipv4.sysctl_tcp_early_retrans) >= 3 &&
	    icsk->icsk_ca_state <= TCP_CA_CWR && tcp_is_sack(tp) &&
	    tp->srtt_us) {
		unsigned long probe = usecs_to_jiffies(tp->srtt_us >> 2);

		/* One packet's acknowledgement may be a delayed one. */
		probe += tp->packets_out == 1 ? TCP_RTO_MIN : TCP_TIMEOUT_MIN;
		if (probe < timeout) {
			timeout = probe;
			what = ICSK_TIME_LOSS_PROBE;
		}
	}
	inet_csk_reset_xmit_timer(sk, what, timeout, TCP_RTO_MAX);
}

void slice_tcp_resume(struct sock *sk)
{
	u32 cwnd;

	lock_sock(sk);
	cwnd = slice_tcp_ask(sk);
	slice_tcp_arm(sk);
	release_sock(sk);
	if (!cwnd)
		return;
	lock_sock(sk);
	tcp_snd_cwnd_set(tcp_sk(sk), cwnd);
	release_sock(sk);
}
