/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * listener.h - what the examples have in common: a listening TCP socket
 */
#ifndef SLICE_EXAMPLES_LISTENER_H
#define SLICE_EXAMPLES_LISTENER_H

/* listen_on() - IPv4 and IPv6; a descriptor, or a negative errno. */
int listen_on(const char *port);

#endif /* SLICE_EXAMPLES_LISTENER_H */
