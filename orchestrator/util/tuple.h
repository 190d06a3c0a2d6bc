/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tuple.h - the addresses of one connection, checked, as value and as key
 */
#ifndef SLICE_UTIL_TUPLE_H
#define SLICE_UTIL_TUPLE_H

#include <gio/gio.h>

/* The longest IPv6 address as text, with its NUL. */
#define SLICE_ADDRESS_CHARS 46

/**
 * SliceTuple: a TCP connection, the cluster's side first
 * @local, @remote: IPv4 or IPv6 as text, canonical, both of one family
 * @local_port, @remote_port: host order
 *
 * Plain bytes without pointers; unused bytes are zero.
 */
typedef struct {
    char local[SLICE_ADDRESS_CHARS];
    char remote[SLICE_ADDRESS_CHARS];
    guint16 local_port;
    guint16 remote_port;
} SliceTuple;

/**
 * slice_tuple_set() - check and store
 * @tuple: out; untouched on failure
 *
 * Return: FALSE with SLICE_ERROR_INVALID for a protocol other than tcp,
 * addresses that are none or of two families, or a port outside 1..65535.
 */
gboolean slice_tuple_set(SliceTuple *tuple, const char *protocol,
                         const char *local, gint64 local_port,
                         const char *remote, gint64 remote_port,
                         GError **error);

guint slice_tuple_hash(gconstpointer tuple);
gboolean slice_tuple_equal(gconstpointer a, gconstpointer b);

gboolean slice_tuple_is_ipv6(const SliceTuple *tuple);

/* Return: (transfer full): '192.0.2.1:40000', '[2001:db8::1]:40000' */
char *slice_tuple_end_to_text(const char *address, guint16 port);
/* Return: (transfer full): '192.0.2.1:40000 > 192.0.2.10:80' */
char *slice_tuple_to_text(const SliceTuple *tuple);

#endif
