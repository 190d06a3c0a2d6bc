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

int slice_tcp_init(void);
void slice_tcp_exit(void);
extern const struct slice_layer_ops slice_tcp_ops;
extern const struct slice_layer_ops slice_openflow_ops;
/* Put the ULP on a listener: 0, -EBADF, -ENOTSOCK, -EOPNOTSUPP (no TCP),
 * -EINVAL (not listening), -EEXIST (another ULP). */
int slice_tcp_mark_listener(int fd);
/* The tcp capsule of a connected socket, with a reference, made if need be. */
struct slice_capsule *slice_tcp_capsule_of_fd(int fd);
/* A tcp or openflow capsule's addresses; -ENOTCONN. */
int slice_tcp_flow(struct slice_capsule *capsule, struct slice_image_flow *ret_flow);

#endif /* SLICE_TCP_H */
