// SPDX-License-Identifier: GPL-2.0
/*
 * tcp-check.c - is this a connection that a kernel could have been in?
 *
 * An image is hostile.  What contradicts itself is refused here, before a
 * socket exists: sequence numbers against each other and against the queues'
 * lengths, scales and sizes against what TCP allows.  What is only unusual is
 * bounded where it is used (tcp-import.c).  The records lie in one kernel buffer
 * that nobody else writes, and stay little-endian.
 *
 * Above: tcp-import.c, openflow.c.  Below: image-read.c.
 */
#include <linux/inetdevice.h>
#include <linux/string.h>
#include <net/ipv6.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "image.h"
#include "tcp-priv.h"

/* No window is larger: 65535 << 14. */
#define SLICE_TCP_WINDOW_MAX	(65535u << TCP_MAX_WSCALE)

static bool slice_tcp_check_v4(const u8 *ip)
{
	__be32 word;

	memcpy(&word, ip, sizeof(word));
	return !memchr_inv(ip + sizeof(word), 0,
			   sizeof(struct in6_addr) - sizeof(word)) &&
	       !ipv4_is_zeronet(word) && !ipv4_is_multicast(word) &&
	       !ipv4_is_lbcast(word) && !ipv4_is_loopback(word);
}

/* Unicast, and the same everywhere; what is IPv4 says so. */
static bool slice_tcp_check_v6(const u8 *ip)
{
	struct in6_addr address;
	int type;

	memcpy(&address, ip, sizeof(address));
	type = ipv6_addr_type(&address);
	return type & IPV6_ADDR_UNICAST &&
	       !(type & (IPV6_ADDR_MULTICAST | IPV6_ADDR_LINKLOCAL |
			 IPV6_ADDR_LOOPBACK | IPV6_ADDR_MAPPED |
			 IPV6_ADDR_COMPATv4));
}

int slice_tcp_check_flow(const struct slice_image_flow *flow)
{
	bool is_good;

	if (flow->protocol != IPPROTO_TCP || flow->rsvd[0] || flow->rsvd[1] ||
	    !flow->local_port || !flow->remote_port)
		return -EPROTO;
	if (flow->family == 4)
		is_good = slice_tcp_check_v4(flow->local) &&
			  slice_tcp_check_v4(flow->remote);
	else
		is_good = flow->family == 6 && IS_ENABLED(CONFIG_IPV6) &&
			  slice_tcp_check_v6(flow->local) &&
			  slice_tcp_check_v6(flow->remote);
	return is_good ? 0 : -EPROTO;
}

static bool slice_tcp_check_output(const struct slice_image_tcp *tcp)
{
	bool fin = slice_tcp_has_fin_out(le32_to_cpu(tcp->state));
	u32 snd_una = le32_to_cpu(tcp->snd_una);
	u32 send_bytes = le32_to_cpu(tcp->send_bytes);
	u32 sent_bytes = le32_to_cpu(tcp->sent_bytes);
	u32 sent = le32_to_cpu(tcp->snd_nxt) - snd_una;
	u32 snd_wnd = le32_to_cpu(tcp->snd_wnd);
	u32 max_window = le32_to_cpu(tcp->max_window);

	/* In FIN_WAIT2 all was acknowledged. */
	if (send_bytes && le32_to_cpu(tcp->state) == TCP_FIN_WAIT2)
		return false;
	/* Our FIN is sent after the last byte. */
	return sent_bytes <= send_bytes && send_bytes < U32_MAX &&
	       le32_to_cpu(tcp->write_seq) - snd_una == send_bytes + fin &&
	       (sent == sent_bytes ||
		(fin && sent_bytes == send_bytes && sent == sent_bytes + 1)) &&
	       snd_wnd <= max_window && max_window <= SLICE_TCP_WINDOW_MAX;
}

static bool slice_tcp_check_input(const struct slice_image_tcp *tcp)
{
	u32 rcv_nxt = le32_to_cpu(tcp->rcv_nxt);
	u32 rcv_wnd = le32_to_cpu(tcp->rcv_wnd);
	u32 rcv_wup = le32_to_cpu(tcp->rcv_wup);
	u32 fin = rcv_nxt - le32_to_cpu(tcp->copied_seq) -
		  le32_to_cpu(tcp->recv_bytes);

	/* A FIN may be unread, where there was one. */
	if (fin > slice_tcp_has_fin_in(le32_to_cpu(tcp->state)))
		return false;
	return rcv_wnd <= SLICE_TCP_WINDOW_MAX && !after(rcv_wup, rcv_nxt) &&
	       rcv_nxt - rcv_wup <= SLICE_TCP_WINDOW_MAX &&
	       !after(le32_to_cpu(tcp->snd_wl1), rcv_nxt + rcv_wnd);
}

static bool slice_tcp_check_sizes(const struct slice_image_tcp *tcp)
{
	u32 options = le32_to_cpu(tcp->options);
	u32 user_mss = le32_to_cpu(tcp->user_mss);
	u32 mss_clamp = le32_to_cpu(tcp->mss_clamp);
	u32 advmss = le32_to_cpu(tcp->advmss);

	if (tcp->snd_wscale > TCP_MAX_WSCALE ||
	    tcp->rcv_wscale > TCP_MAX_WSCALE ||
	    (!(options & SLICE_TCP_OPT_WSCALE) &&
	     (tcp->snd_wscale || tcp->rcv_wscale)))
		return false;
	if (user_mss && (user_mss < TCP_MIN_MSS || user_mss > MAX_TCP_WINDOW))
		return false;
	return mss_clamp >= TCP_MIN_SND_MSS && mss_clamp <= U16_MAX &&
	       advmss >= TCP_MIN_MSS && advmss <= U16_MAX;
}

static bool slice_tcp_check_options(const struct slice_image_tcp *tcp)
{
	u32 options = le32_to_cpu(tcp->options);
	u32 state = le32_to_cpu(tcp->state);

	if (state >= TCP_MAX_STATES || !((1 << state) & SLICE_TCP_STATES) ||
	    options & ~SLICE_TCP_OPT_KNOWN)
		return false;
	/* The kernel keeps what is closed while it has something to send; nothing
	 * is read any more. */
	if (options & SLICE_TCP_OPT_ORPHAN &&
	    (!slice_tcp_has_fin_out(state) || tcp->recv_bytes))
		return false;
	if (options & SLICE_TCP_OPT_MAPPED && tcp->flow.family != 4)
		return false;
	return memchr(tcp->congestion, 0, sizeof(tcp->congestion)) &&
	       tcp->pmtudisc <= IP_PMTUDISC_OMIT && !tcp->rsvd2 &&
	       !memchr_inv(tcp->rsvd, 0, sizeof(tcp->rsvd));
}

/* The queue's record, which must be there iff it has bytes. */
static int slice_tcp_check_queue(const struct slice_image_reader *reader,
				 u16 type, u32 index, u32 want,
				 const void **ret_data)
{
	size_t bytes;
	const void *data = slice_image_find(reader, type, index, 0, &bytes);

	if ((data ? bytes : 0) != want ||
	    slice_image_find(reader, type, index, 1, &bytes))
		return -EPROTO;
	*ret_data = data;
	return 0;
}

int slice_tcp_rcvbuf_max(struct net *net)
{
	return max_t(u32, READ_ONCE(net->ipv4.sysctl_tcp_rmem[2]),
		     min_t(u32, READ_ONCE(sysctl_rmem_max), INT_MAX / 2) * 2);
}

int slice_tcp_sndbuf_max(struct net *net)
{
	return max_t(u32, READ_ONCE(net->ipv4.sysctl_tcp_wmem[2]),
		     min_t(u32, READ_ONCE(sysctl_wmem_max), INT_MAX / 2) * 2);
}

static int slice_tcp_check_ahead(struct net *net,
				 const struct slice_image_reader *reader,
				 u32 index, struct slice_tcp_record *ret_record)
{
	size_t bytes;

	ret_record->ahead = slice_image_find(reader, SLICE_RECORD_TCP_AHEAD,
					     index, 0, &ret_record->ahead_bytes);
	if (!ret_record->ahead) {
		ret_record->ahead_bytes = 0;
		return 0;
	}
	if (slice_image_find(reader, SLICE_RECORD_TCP_AHEAD, index, 1, &bytes) ||
	    slice_tcp_has_fin_in(le32_to_cpu(ret_record->tcp->state)) ||
	    ret_record->tcp->options & cpu_to_le32(SLICE_TCP_OPT_ORPHAN))
		return -EPROTO;
	if (ret_record->ahead_bytes / 2 > slice_tcp_rcvbuf_max(net))
		return -ENOSPC;
	return slice_tcp_ahead_check(ret_record->ahead, ret_record->ahead_bytes,
				     le32_to_cpu(ret_record->tcp->rcv_nxt),
				     SLICE_TCP_WINDOW_MAX);
}

int slice_tcp_check(struct net *net, const struct slice_image_reader *reader,
		    u32 index, struct slice_tcp_record *ret_record)
{
	const struct slice_image_tcp *tcp;
	u32 recv_bytes, send_bytes;
	size_t bytes;
	int ret;

	tcp = slice_image_find(reader, SLICE_RECORD_TCP, index, 0, &bytes);
	if (!tcp || bytes != sizeof(*tcp) ||
	    slice_image_find(reader, SLICE_RECORD_TCP, index, 1, &bytes))
		return -EPROTO;
	ret = slice_tcp_check_flow(&tcp->flow);
	if (ret)
		return ret;
	if (!slice_tcp_check_options(tcp) || !slice_tcp_check_sizes(tcp) ||
	    !slice_tcp_check_output(tcp) || !slice_tcp_check_input(tcp))
		return -EPROTO;
	recv_bytes = le32_to_cpu(tcp->recv_bytes);
	send_bytes = le32_to_cpu(tcp->send_bytes);
	/* About what a socket here could have queued by itself; a buffer's bound
	 * is overshot by its last packet. */
	if (recv_bytes / 2 > slice_tcp_rcvbuf_max(net) ||
	    send_bytes / 2 > slice_tcp_sndbuf_max(net))
		return -ENOSPC;
	ret_record->tcp = tcp;
	ret = slice_tcp_check_queue(reader, SLICE_RECORD_TCP_RECV, index,
				    recv_bytes, &ret_record->recv);
	if (ret)
		return ret;
	ret = slice_tcp_check_queue(reader, SLICE_RECORD_TCP_SEND, index,
				    send_bytes, &ret_record->send);
	if (ret)
		return ret;
	return slice_tcp_check_ahead(net, reader, index, ret_record);
}
