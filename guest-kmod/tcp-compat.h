/* SPDX-License-Identifier: GPL-2.0 */
/*
 * tcp-compat.h - what Linux 6.1 and 6.12 name differently in networking
 */
#ifndef SLICE_TCP_COMPAT_H
#define SLICE_TCP_COMPAT_H

#include <linux/version.h>
#include <net/tcp.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
#include <net/gso.h>
#endif

/* The clock that TSval is made of, before the socket's offset. */
static inline u32 slice_tcp_clock(const struct tcp_sock *tp)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	return tcp_clock_ts(tp->tcp_usec_ts);
#else
	return tcp_time_stamp_raw();
#endif
}

/* TSval counts microseconds instead of milliseconds (a route's feature). */
static inline bool slice_tcp_has_usec_clock(const struct tcp_sock *tp)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	return tp->tcp_usec_ts;
#else
	return false;
#endif
}

static inline bool slice_tcp_has_md5(const struct tcp_sock *tp)
{
#ifdef CONFIG_TCP_AO
	if (rcu_access_pointer(tp->ao_info))
		return true;
#endif
#ifdef CONFIG_TCP_MD5SIG
	return rcu_access_pointer(tp->md5sig_info);
#else
	return false;
#endif
}

/* An ACK now; under the socket's lock. */
static inline void slice_tcp_send_ack(struct sock *sk)
{
#ifdef SLICE_SEND_ACK_TAKES_FLAGS
	__tcp_send_ack(sk, tcp_sk(sk)->rcv_nxt, 0);
#else
	__tcp_send_ack(sk, tcp_sk(sk)->rcv_nxt);
#endif
}

#endif /* SLICE_TCP_COMPAT_H */
