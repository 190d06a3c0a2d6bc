// SPDX-License-Identifier: GPL-2.0
/*
 * tcp-option.c - what the handshake and the application have set
 *
 * Export and import of each stand side by side.  Values are bounded as
 * setsockopt() bounds them; an image may ask for nothing that a process could
 * not have.
 *
 * Above: tcp-export.c, tcp-import.c.
 * Source: net/core/sock.c, net/ipv4/tcp.c, net/ipv4/ip_sockglue.c,
 * net/ipv6/ipv6_sockglue.c: what setsockopt() stores where.
 */
#include <linux/in.h>
#include <net/inet_connection_sock.h>
#include <net/ipv6.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "tcp-priv.h"

/* "None" of an option that is a time or a rate. */
#define SLICE_TCP_NONE_U32	(~0u)

/* ---- flags ---- */

static u32 slice_tcp_export_handshake(const struct sock *sk)
{
	const struct tcp_sock *tp = tcp_sk(sk);
	u32 options = 0;

	if (tp->rx_opt.tstamp_ok)
		options |= SLICE_TCP_OPT_TSTAMP;
	if (tcp_is_sack(tp))
		options |= SLICE_TCP_OPT_SACK;
	if (tp->rx_opt.wscale_ok)
		options |= SLICE_TCP_OPT_WSCALE;
	if (tp->ecn_flags & TCP_ECN_OK)
		options |= SLICE_TCP_OPT_ECN;
	if (slice_tcp_is_mapped(sk))
		options |= SLICE_TCP_OPT_MAPPED;
	return options;
}

static void slice_tcp_import_handshake(struct sock *sk, u32 options)
{
	struct tcp_sock *tp = tcp_sk(sk);

	tp->rx_opt.wscale_ok = !!(options & SLICE_TCP_OPT_WSCALE);
	tp->rx_opt.sack_ok = options & SLICE_TCP_OPT_SACK ? TCP_SACK_SEEN : 0;
	tp->rx_opt.tstamp_ok = !!(options & SLICE_TCP_OPT_TSTAMP);
	tp->ecn_flags = options & SLICE_TCP_OPT_ECN ? TCP_ECN_OK : 0;
	/* connect() took it from the sysctl, not from what was negotiated. */
	tp->tcp_header_len = sizeof(struct tcphdr) +
			     (tp->rx_opt.tstamp_ok ? TCPOLEN_TSTAMP_ALIGNED : 0);
}

static u32 slice_tcp_export_flags(const struct sock *sk)
{
	bool is_orphan = sock_flag(sk, SOCK_DEAD);
	const struct tcp_sock *tp = tcp_sk(sk);
	u32 options = 0;

	if (tp->nonagle & TCP_NAGLE_OFF)
		options |= SLICE_TCP_OPT_NODELAY;
	if (tp->nonagle & TCP_NAGLE_CORK)
		options |= SLICE_TCP_OPT_CORK;
	if (sock_flag(sk, SOCK_KEEPOPEN))
		options |= SLICE_TCP_OPT_KEEPALIVE;
	if (sock_flag(sk, SOCK_LINGER))
		options |= SLICE_TCP_OPT_LINGER;
	if (sock_flag(sk, SOCK_URGINLINE))
		options |= SLICE_TCP_OPT_OOBINLINE;
	if (sk->sk_userlocks & SOCK_RCVBUF_LOCK)
		options |= SLICE_TCP_OPT_RCVBUF_LOCKED;
	if (sk->sk_userlocks & SOCK_SNDBUF_LOCK)
		options |= SLICE_TCP_OPT_SNDBUF_LOCKED;
	if (sk->sk_reuse == SK_CAN_REUSE)
		options |= SLICE_TCP_OPT_REUSEADDR;
	if (sk->sk_reuseport)
		options |= SLICE_TCP_OPT_REUSEPORT;
	if (is_orphan)
		options |= SLICE_TCP_OPT_ORPHAN;
	else if (sk->sk_shutdown & RCV_SHUTDOWN &&
		 !slice_tcp_has_fin_in(sk->sk_state))
		options |= SLICE_TCP_OPT_SHUT_RECV;
	/* Also where something is missing: the ACK says what. */
	if (inet_csk_ack_scheduled(sk) || tp->rcv_nxt != tp->rcv_wup ||
	    !RB_EMPTY_ROOT(&tp->out_of_order_queue))
		options |= SLICE_TCP_OPT_ACK_PENDING;
	return options;
}

/* ---- times, limits ---- */

static void slice_tcp_export_times(const struct sock *sk,
				   struct slice_image_tcp *tcp)
{
	const struct inet_connection_sock *icsk = inet_csk(sk);
	const struct tcp_sock *tp = tcp_sk(sk);

	tcp->keepalive_time_s = cpu_to_le32(tp->keepalive_time / HZ);
	tcp->keepalive_intvl_s = cpu_to_le32(tp->keepalive_intvl / HZ);
	tcp->keepalive_probes = cpu_to_le32(tp->keepalive_probes);
	tcp->user_timeout_ms = cpu_to_le32(icsk->icsk_user_timeout);
	tcp->linger_s = cpu_to_le32(sk->sk_lingertime / HZ);
	tcp->linger2_s = cpu_to_le32(tp->linger2 < 0 ? SLICE_TCP_NONE_U32 :
						       tp->linger2 / HZ);
}

static void slice_tcp_import_times(struct sock *sk,
				   const struct slice_image_tcp *tcp)
{
	u32 linger2_s = le32_to_cpu(tcp->linger2_s);
	struct tcp_sock *tp = tcp_sk(sk);

	tp->keepalive_time = min_t(u32, le32_to_cpu(tcp->keepalive_time_s),
				   MAX_TCP_KEEPIDLE) * HZ;
	tp->keepalive_intvl = min_t(u32, le32_to_cpu(tcp->keepalive_intvl_s),
				    MAX_TCP_KEEPINTVL) * HZ;
	tp->keepalive_probes = min_t(u32, le32_to_cpu(tcp->keepalive_probes),
				     MAX_TCP_KEEPCNT);
	inet_csk(sk)->icsk_user_timeout =
		min_t(u32, le32_to_cpu(tcp->user_timeout_ms), INT_MAX);
	sk->sk_lingertime = min_t(u32, le32_to_cpu(tcp->linger_s),
				  INT_MAX / HZ) * HZ;
	tp->linger2 = linger2_s == SLICE_TCP_NONE_U32 ? -1 :
		      min_t(u32, linger2_s, TCP_FIN_TIMEOUT_MAX / HZ) * HZ;
}

static u32 slice_tcp_timeout_ms(long timeo)
{
	if (timeo == MAX_SCHEDULE_TIMEOUT)
		return SLICE_TCP_NONE_U32;
	return min_t(u64, jiffies64_to_msecs(max(timeo, 0L)),
		     SLICE_TCP_NONE_U32 - 1);
}

static long slice_tcp_timeout(__le32 ms)
{
	return ms == cpu_to_le32(SLICE_TCP_NONE_U32) ?
	       MAX_SCHEDULE_TIMEOUT : (long)msecs_to_jiffies(le32_to_cpu(ms));
}

static void slice_tcp_export_limits(const struct sock *sk,
				    struct slice_image_tcp *tcp)
{
	tcp->max_pacing_rate =
		cpu_to_le64(sk->sk_max_pacing_rate == ~0UL ?
			    ~0ull : sk->sk_max_pacing_rate);
	tcp->rcvtimeo_ms = cpu_to_le32(slice_tcp_timeout_ms(sk->sk_rcvtimeo));
	tcp->sndtimeo_ms = cpu_to_le32(slice_tcp_timeout_ms(sk->sk_sndtimeo));
	tcp->rcvlowat = cpu_to_le32(sk->sk_rcvlowat);
	tcp->notsent_lowat = cpu_to_le32(tcp_sk(sk)->notsent_lowat);
}

static void slice_tcp_import_limits(struct sock *sk,
				    const struct slice_image_tcp *tcp)
{
	unsigned long rate = min_t(u64, le64_to_cpu(tcp->max_pacing_rate),
				   ~0UL);

	/* As SO_MAX_PACING_RATE: without fq TCP paces by itself. */
	if (rate != ~0UL)
		cmpxchg(&sk->sk_pacing_status, SK_PACING_NONE,
			SK_PACING_NEEDED);
	WRITE_ONCE(sk->sk_max_pacing_rate, rate);
	WRITE_ONCE(sk->sk_pacing_rate, min(sk->sk_pacing_rate, rate));
	WRITE_ONCE(sk->sk_rcvtimeo, slice_tcp_timeout(tcp->rcvtimeo_ms));
	WRITE_ONCE(sk->sk_sndtimeo, slice_tcp_timeout(tcp->sndtimeo_ms));
	/* No buffer is larger, so a reader would not wake again. */
	WRITE_ONCE(sk->sk_rcvlowat,
		   clamp_t(u32, le32_to_cpu(tcp->rcvlowat), 1,
			   slice_tcp_rcvbuf_max(sock_net(sk)) / 2));
	WRITE_ONCE(tcp_sk(sk)->notsent_lowat, le32_to_cpu(tcp->notsent_lowat));
}

/* ---- the IP header ---- */

static void slice_tcp_export_ip(const struct sock *sk,
				struct slice_image_tcp *tcp)
{
	const struct inet_sock *inet = inet_sk(sk);

	tcp->mark = cpu_to_le32(sk->sk_mark);
	tcp->priority = cpu_to_le32(sk->sk_priority);
	tcp->tos = inet->tos;
	tcp->ttl = inet->uc_ttl > 0 ? inet->uc_ttl : 0;
	tcp->pmtudisc = inet->pmtudisc;
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6) {
		const struct ipv6_pinfo *np = inet6_sk(sk);

		tcp->tclass = np->tclass;
		tcp->hop_limit = np->hop_limit > 0 ? np->hop_limit : 0;
		if (!slice_tcp_is_mapped(sk))
			tcp->pmtudisc = np->pmtudisc;
	}
#endif
}

static void slice_tcp_import_ip(struct sock *sk,
				const struct slice_image_tcp *tcp)
{
	struct inet_sock *inet = inet_sk(sk);

	sk->sk_mark = le32_to_cpu(tcp->mark);
	sk->sk_priority = le32_to_cpu(tcp->priority);
	inet->tos = tcp->tos;
	inet->uc_ttl = tcp->ttl ? tcp->ttl : -1;
	inet->pmtudisc = tcp->pmtudisc;
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6) {
		struct ipv6_pinfo *np = inet6_sk(sk);

		np->tclass = tcp->tclass;
		np->hop_limit = tcp->hop_limit ? tcp->hop_limit : -1;
		np->pmtudisc = tcp->pmtudisc;
	}
#endif
}

/* ---- all of it ---- */

void slice_tcp_export_options(const struct sock *sk,
			      struct slice_image_tcp *tcp)
{
	tcp->options = cpu_to_le32(slice_tcp_export_handshake(sk) |
				   slice_tcp_export_flags(sk));
	slice_tcp_export_times(sk, tcp);
	slice_tcp_export_limits(sk, tcp);
	slice_tcp_export_ip(sk, tcp);
}

void slice_tcp_import_options(struct sock *sk,
			      const struct slice_image_tcp *tcp)
{
	u32 options = le32_to_cpu(tcp->options);

	slice_tcp_import_handshake(sk, options);
	sock_valbool_flag(sk, SOCK_URGINLINE,
			  options & SLICE_TCP_OPT_OOBINLINE);
	/* Whoever closed an orphan has waited for it already. */
	sock_valbool_flag(sk, SOCK_LINGER,
			  (options & SLICE_TCP_OPT_LINGER) &&
			  !(options & SLICE_TCP_OPT_ORPHAN));
	slice_tcp_import_times(sk, tcp);
	slice_tcp_import_limits(sk, tcp);
	slice_tcp_import_ip(sk, tcp);
}
