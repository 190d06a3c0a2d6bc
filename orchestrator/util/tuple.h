/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tuple.h - the addresses of one connection, checked, as value and as key
 */
#ifndef SLICE_UTIL_TUPLE_H
#define SLICE_UTIL_TUPLE_H

#include <gio/gio.h>

/**
 * SliceTuple: a TCP connection over IPv4, the cluster's side first
 * @local, @remote: in dotted form, canonical
 * @local_port, @remote_port: host order
 *
 * Plain bytes without pointers; unused bytes are zero.
 */
typedef struct {
    char local[16];
    char remote[16];
    guint16 local_port;
    guint16 remote_port;
} SliceTuple;

/**
 * slice_tuple_set() - check and store
 * @tuple: out; untouched on failure
 *
 * Return: FALSE with SLICE_ERROR_INVALID for a protocol other than tcp, an
 * address that is not IPv4 in dotted form, or a port outside 1..65535.
 */
gboolean slice_tuple_set(SliceTuple *tuple, const char *protocol,
                         const char *local, gint64 local_port,
                         const char *remote, gint64 remote_port,
                         GError **error);

guint slice_tuple_hash(gconstpointer tuple);
gboolean slice_tuple_equal(gconstpointer a, gconstpointer b);

/* Return: (transfer full): '192.0.2.1:40000 > 192.0.2.10:80' */
char *slice_tuple_to_text(const SliceTuple *tuple);

#endif
