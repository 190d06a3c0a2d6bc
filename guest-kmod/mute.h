/* SPDX-License-Identifier: GPL-2.0 */
/*
 * mute.h - tuples that this kernel neither hears nor answers
 *
 * DOC: mutes
 *
 * Netfilter hooks at NF_IP_PRI_FIRST in PRE_ROUTING and LOCAL_OUT, registered
 * once per network namespace that has a muted tuple; an empty table costs one
 * load.  A mute starts CATCHING (ingress of the tuple is kept, bounded by
 * VIRTIO_SLICE_PACKETS_BYTES_MAX for each tuple) and becomes a TOMBSTONE (both
 * directions are dropped and counted) with slice_mute_settle().  A plug of the
 * same tuple removes it.
 */
#ifndef SLICE_MUTE_H
#define SLICE_MUTE_H

#include <linux/skbuff.h>
#include <net/net_namespace.h>
#include <uapi/linux/slice_capsule.h>

int slice_mute_init(void);
void slice_mute_exit(void);
/* 0 (also when it exists), -ENOMEM, -ENOSPC. */
int slice_mute_add(struct net *net, const struct slice_image_flow *flow);
/* Moves what was caught so far to @ret_caught, oldest first (each skb->data at
 * its IP header), and makes the mute a tombstone. */
void slice_mute_settle(struct net *net, const struct slice_image_flow *flow,
		       struct sk_buff_head *ret_caught);
/* Ends the mute; what was caught is injected as if it arrived now. */
void slice_mute_remove(struct net *net, const struct slice_image_flow *flow);
/* Ends the mute of a tuple about to be plugged; caught packets are freed. */
void slice_mute_clear(struct net *net, const struct slice_image_flow *flow);
u32 slice_mute_count(void);

#endif /* SLICE_MUTE_H */
