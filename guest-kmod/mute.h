/* SPDX-License-Identifier: GPL-2.0 */
/*
 * mute.h - tuples that this kernel neither hears nor answers
 *
 * DOC: mutes
 *
 * Netfilter hooks of IPv4 and IPv6 at the first priority of PRE_ROUTING and
 * LOCAL_OUT, registered once per network namespace that has had a muted tuple;
 * an empty table costs one load.  A mute is
 *
 *	CATCHING   ingress of the tuple is kept, bounded by
 *		   VIRTIO_SLICE_PACKETS_BYTES_MAX for each tuple and by
 *		   SLICE_MUTE_BYTES_MAX in all; what is beyond is dropped and
 *		   counted
 *	TOMBSTONE  ingress is dropped and counted; no time limit
 *
 * and egress of the tuple is dropped in both.  slice_mute_add() starts it, or
 * makes a tombstone catch again; slice_mute_settle() makes the tombstone;
 * slice_mute_remove() ends it.  A mute has an owner until its move is over, one
 * way or the other, which slice_mute_resolve() says: calls for another owner
 * leave it alone, so that a plug that is refused because its tuple is in use
 * does not lift what somebody else's unplug or plug relies on.
 *
 * A tombstone also ends when the client itself begins a new connection with
 * the same tuple: a SYN says that the old connection is over for the client.
 * When the table is full the oldest tombstone without an owner makes room.
 *
 * The caller that unplugs: slice_mute_add(), slice_mute_fence(), export; what
 * is then still on its way to the socket is caught.
 */
#ifndef SLICE_MUTE_H
#define SLICE_MUTE_H

#include <linux/skbuff.h>
#include <net/net_namespace.h>
#include <uapi/linux/slice_capsule.h>

/* Memory (truesize) of all that is caught at one moment. */
#define SLICE_MUTE_BYTES_MAX	(32u << 20)

/**
 * struct slice_mute_stats - what the mutes have done since the module's start
 * @n_caught: packets kept
 * @n_overflow: packets dropped because a bound was reached
 * @n_dropped_in: packets dropped at a tombstone, or that could not be prepared
 *	for handing over
 * @n_dropped_out: packets of a muted tuple that did not leave
 * @n_reborn: tombstones that ended with a SYN
 * @n_evicted: that made room for a new mute
 */
struct slice_mute_stats {
	u64 n_caught;
	u64 n_overflow;
	u64 n_dropped_in;
	u64 n_dropped_out;
	u64 n_reborn;
	u64 n_evicted;
};

int slice_mute_init(void);
void slice_mute_exit(void);
/* @owner catches from now on, whose it may be already.  0, -ENOMEM, -ENOSPC
 * (as many as the module's parameter mutes_max are in use), -EAFNOSUPPORT, -EADDRINUSE (another owner catches), or what netfilter says.
 * May sleep, as all below except the last two. */
int slice_mute_add(struct net *net, const struct slice_image_flow *flow,
		   const void *owner);
/* Waits until every packet that the NIC had received before slice_mute_add()
 * has reached its socket, or its backlog, or was caught.  May sleep. */
void slice_mute_fence(void);
/* Moves what was caught so far to @ret_caught, oldest first (each skb->data at
 * its IP header, one packet as on the wire, checksum valid), and makes the mute
 * a tombstone.  Nothing if @owner has no such mute. */
void slice_mute_settle(struct net *net, const struct slice_image_flow *flow,
		       const void *owner, struct sk_buff_head *ret_caught);
/* The move of which @owner's mute was a part is over, and the connection is
 * elsewhere: a tombstone from now on, what was caught is freed. */
void slice_mute_resolve(struct net *net, const struct slice_image_flow *flow,
			const void *owner);
/* Ends @owner's mute; what was caught is injected as if it arrived now. */
void slice_mute_remove(struct net *net, const struct slice_image_flow *flow,
		       const void *owner);
/* As it was before slice_mute_add(): no mute, or the tombstone again; what was
 * caught is injected. */
void slice_mute_undo(struct net *net, const struct slice_image_flow *flow,
		     const void *owner);
u32 slice_mute_count(void);
void slice_mute_stats(struct slice_mute_stats *ret_stats);

#endif /* SLICE_MUTE_H */
