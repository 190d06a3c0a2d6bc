/* SPDX-License-Identifier: GPL-2.0 */
/*
 * tcp.h - the tcp and openflow layers
 *
 * DOC: tcp capsules
 *
 * See tcp.c.  A marked listener (SLICE_IOC_LISTEN) hands the ULP to each
 * connection at the handshake; so does slice_tcp_capsule_of_fd() for one socket.
 * Each such connection has a tcp capsule that needs an openflow capsule.
 */
#ifndef SLICE_TCP_H
#define SLICE_TCP_H

#include <linux/types.h>
#include "capsule.h"

struct sk_buff_head;

/**
 * struct slice_tcp_stats - since the module's start
 * @n_connections: connections that were given capsules
 * @n_unsupported: children of marked listeners that stayed plain: with
 *	addresses that another VM could not have
 * @n_failed: that stayed plain for want of memory or room in the registry
 * @n_unplugged: sockets exported
 * @n_plugged: sockets imported
 */
struct slice_tcp_stats {
	u64 n_connections;
	u64 n_unsupported;
	u64 n_failed;
	u64 n_unplugged;
	u64 n_plugged;
};

int slice_tcp_init(void);
void slice_tcp_exit(void);
extern const struct slice_layer_ops slice_tcp_ops;
extern const struct slice_layer_ops slice_openflow_ops;
/* Put the ULP on a listener: 0, -EBADF, -ENOTSOCK, -EOPNOTSUPP (no TCP, or of
 * another network namespace than the first), -EINVAL (not listening), -EEXIST
 * (another ULP). */
int slice_tcp_mark_listener(int fd);
/* The tcp capsule of a connected socket, with a reference, made if need be.
 * ERR_PTR: -EBADF, -ENOTSOCK, -EOPNOTSUPP (no TCP, addresses of one device, or
 * of another network namespace than the first), -ENOTCONN, -EEXIST (another
 * ULP), -ENOMEM, -ENOSPC. */
struct slice_capsule *slice_tcp_capsule_of_fd(int fd);
/* A tcp or openflow capsule's addresses; -ENOTCONN. */
int slice_tcp_flow(struct slice_capsule *capsule, struct slice_image_flow *ret_flow);
/* What came in for an unplugged tcp capsule since its unplug, to be handed over
 * (see slice_mute_settle()); from now on its tuple is a tombstone. */
void slice_tcp_settle(struct slice_capsule *capsule,
		      struct sk_buff_head *ret_caught);
/* Whoever was to take the plugged socket is dead: closes it, if it was not
 * taken, as the kernel does with a dead process's sockets. */
void slice_tcp_abandon(struct slice_capsule *capsule);
void slice_tcp_stats(struct slice_tcp_stats *ret_stats);

#endif /* SLICE_TCP_H */
