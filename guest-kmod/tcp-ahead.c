// SPDX-License-Identifier: GPL-2.0
/*
 * tcp-ahead.c - input that came before what precedes it
 *
 * TCP keeps it in a tree and tells the client by SACK that it need not be sent
 * again.  A target without it would take that back; the client's sender treats
 * this as reneging and waits for its retransmission timer.  So the runs travel,
 * and the SACK blocks are made from them again.
 *
 * Above: tcp-export.c, tcp-check.c, tcp-import.c.
 * Source: net/ipv4/tcp_input.c: tcp_data_queue_ofo(); RFC 2018 section 8.
 */
#include <linux/skbuff.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "tcp-priv.h"

#define SLICE_TCP_SKB_BYTES	(8 * PAGE_SIZE)
/* An skb of one byte costs some 768: as many as a buffer of 12 MiB holds. */
#define SLICE_TCP_RUNS_MAX	16384

/**
 * struct slice_tcp_part - what an skb of the tree adds to those before it
 * @seq: of its first new byte; as input: where those before it end
 * @offset: of that byte in the skb
 * @bytes: from there on; 0: nothing new
 */
struct slice_tcp_part {
	u32 seq;
	u32 offset;
	u32 bytes;
};

static void slice_tcp_ahead_part(const struct sk_buff *skb,
				 struct slice_tcp_part *part)
{
	u32 start = TCP_SKB_CB(skb)->seq;

	if (before(part->seq, start))
		part->seq = start;
	part->offset = part->seq - start;
	part->bytes = part->offset < skb->len ? skb->len - part->offset : 0;
}

/* Calls for each run; a FIN that came early is left for the client to repeat. */
static int slice_tcp_ahead_walk(const struct sock *sk,
				int (*each)(u8 **to, const struct sk_buff *skb,
					    const struct slice_tcp_part *part),
				u8 **to)
{
	const struct tcp_sock *tp = tcp_sk(sk);
	struct slice_tcp_part part = { .seq = tp->rcv_nxt };
	struct sk_buff *skb;
	int ret;

	skb = skb_rb_first(&tp->out_of_order_queue);
	for (; skb; skb = skb_rb_next(skb)) {
		slice_tcp_ahead_part(skb, &part);
		if (!part.bytes)
			continue;
		ret = each(to, skb, &part);
		if (ret)
			return ret;
		part.seq += part.bytes;
	}
	return 0;
}

static int slice_tcp_ahead_count(u8 **to, const struct sk_buff *skb,
				 const struct slice_tcp_part *part)
{
	*to += sizeof(struct slice_image_tcp_ahead) + ALIGN(part->bytes, 8);
	return 0;
}

static int slice_tcp_ahead_copy_one(u8 **to, const struct sk_buff *skb,
				    const struct slice_tcp_part *part)
{
	struct slice_image_tcp_ahead *run = (void *)*to;
	u8 *data = *to + sizeof(*run);

	run->seq = cpu_to_le32(part->seq);
	run->bytes = cpu_to_le32(part->bytes);
	*to = data + ALIGN(part->bytes, 8);
	memset(data + part->bytes, 0, *to - data - part->bytes);
	return skb_copy_bits(skb, part->offset, data, part->bytes);
}

size_t slice_tcp_ahead_bytes(const struct sock *sk)
{
	u8 *end = NULL;

	slice_tcp_ahead_walk(sk, slice_tcp_ahead_count, &end);
	return (unsigned long)end;
}

int slice_tcp_ahead_copy(const struct sock *sk, u8 *to)
{
	return slice_tcp_ahead_walk(sk, slice_tcp_ahead_copy_one, &to);
}

int slice_tcp_ahead_check(const void *data, size_t bytes, u32 rcv_nxt,
			  u32 window)
{
	const struct slice_image_tcp_ahead *run;
	u32 at = 0, n = 0, start, length;

	while (bytes) {
		if (bytes < sizeof(*run) || ++n > SLICE_TCP_RUNS_MAX)
			return -EPROTO;
		run = data;
		bytes -= sizeof(*run);
		length = le32_to_cpu(run->bytes);
		start = le32_to_cpu(run->seq) - rcv_nxt;
		if (!length || length > window || ALIGN(length, 8) > bytes ||
		    !start || start < at || start > window - length)
			return -EPROTO;
		at = start + length;
		bytes -= ALIGN(length, 8);
		data += sizeof(*run) + ALIGN(length, 8);
	}
	return 0;
}

/* An skb with a copy of @bytes (at most SLICE_TCP_SKB_BYTES) of @data. */
static struct sk_buff *slice_tcp_ahead_skb(u32 seq, const u8 *data, u32 bytes)
{
	u32 paged = bytes > PAGE_SIZE ? round_down(bytes, PAGE_SIZE) : 0;
	struct sk_buff *skb;
	int ret;

	skb = alloc_skb_with_frags(bytes - paged, paged,
				   PAGE_ALLOC_COSTLY_ORDER, &ret, GFP_KERNEL);
	if (!skb)
		return NULL;
	skb_put(skb, bytes - paged);
	skb->data_len = paged;
	skb->len = bytes;
	skb_store_bits(skb, 0, data, bytes);
	TCP_SKB_CB(skb)->seq = seq;
	TCP_SKB_CB(skb)->end_seq = seq + bytes;
	TCP_SKB_CB(skb)->tcp_flags = TCPHDR_ACK;
	return skb;
}

/* Behind all that is in the tree. */
static int slice_tcp_ahead_insert(struct sock *sk, struct sk_buff *skb)
{
	struct tcp_sock *tp = tcp_sk(sk);
	struct rb_node *parent = rb_last(&tp->out_of_order_queue);

	if (!sk_rmem_schedule(sk, skb, skb->truesize)) {
		kfree_skb(skb);
		return -ENOMEM;
	}
	skb_set_owner_r(skb, sk);
	rb_link_node(&skb->rbnode, parent,
		     parent ? &parent->rb_right :
			      &tp->out_of_order_queue.rb_node);
	rb_insert_color(&skb->rbnode, &tp->out_of_order_queue);
	tp->ooo_last_skb = skb;
	return 0;
}

/* The highest blocks; the client knows of the others already. */
static void slice_tcp_ahead_sack(struct tcp_sock *tp)
{
	struct tcp_sack_block *block = tp->selective_acks;
	u32 n_max = ARRAY_SIZE(tp->selective_acks), n = 0;
	struct rb_node *node;

	for (node = rb_last(&tp->out_of_order_queue); node;
	     node = rb_prev(node)) {
		struct sk_buff *skb = rb_to_skb(node);

		if (n && TCP_SKB_CB(skb)->end_seq == block[n - 1].start_seq) {
			block[n - 1].start_seq = TCP_SKB_CB(skb)->seq;
			continue;
		}
		if (n == n_max)
			break;
		block[n].start_seq = TCP_SKB_CB(skb)->seq;
		block[n].end_seq = TCP_SKB_CB(skb)->end_seq;
		n++;
	}
	tp->rx_opt.num_sacks = n;
}

int slice_tcp_ahead_put(struct sock *sk, const void *data, size_t bytes)
{
	const void *end = data + bytes;

	while (data < end) {
		const struct slice_image_tcp_ahead *run = data;
		u32 left = le32_to_cpu(run->bytes);
		u32 seq = le32_to_cpu(run->seq);
		const u8 *from = data + sizeof(*run);

		data += sizeof(*run) + ALIGN(left, 8);
		while (left) {
			u32 n = min_t(u32, left, SLICE_TCP_SKB_BYTES);
			struct sk_buff *skb = slice_tcp_ahead_skb(seq, from, n);

			if (!skb || slice_tcp_ahead_insert(sk, skb))
				return -ENOMEM;
			seq += n;
			from += n;
			left -= n;
		}
	}
	if (tcp_is_sack(tcp_sk(sk)))
		slice_tcp_ahead_sack(tcp_sk(sk));
	return 0;
}
