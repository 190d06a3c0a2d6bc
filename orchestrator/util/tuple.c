/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tuple.c - the addresses of one connection, checked, as value and as key
 */
#include "tuple.h"

#include <arpa/inet.h>
#include <string.h>

#include "error.h"

static gboolean canonical(const char *text, char out[16], GError **error)
{
    struct in_addr address;

    if (!text || inet_pton(AF_INET, text, &address) != 1) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID,
                    "'%s' is no IPv4 address", text ? text : "");
        return FALSE;
    }
    inet_ntop(AF_INET, &address, out, 16);
    return TRUE;
}

gboolean slice_tuple_set(SliceTuple *tuple, const char *protocol,
                         const char *local, gint64 local_port,
                         const char *remote, gint64 remote_port,
                         GError **error)
{
    SliceTuple new = { 0 };

    if (g_strcmp0(protocol, "tcp")) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID,
                    "a connection of protocol '%s' cannot be routed",
                    protocol ? protocol : "");
        return FALSE;
    }
    if (!canonical(local, new.local, error) ||
        !canonical(remote, new.remote, error)) {
        return FALSE;
    }
    if (local_port < 1 || local_port > 65535 || remote_port < 1 ||
        remote_port > 65535) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID,
                    "ports %" G_GINT64_FORMAT " and %" G_GINT64_FORMAT
                    " are not both in 1..65535", local_port, remote_port);
        return FALSE;
    }
    new.local_port = local_port;
    new.remote_port = remote_port;
    *tuple = new;
    return TRUE;
}

guint slice_tuple_hash(gconstpointer key)
{
    const SliceTuple *tuple = key;

    return g_str_hash(tuple->remote) ^ g_str_hash(tuple->local) * 31 ^
           ((guint)tuple->remote_port << 16 | tuple->local_port);
}

gboolean slice_tuple_equal(gconstpointer a, gconstpointer b)
{
    return !memcmp(a, b, sizeof(SliceTuple));
}

char *slice_tuple_to_text(const SliceTuple *tuple)
{
    return g_strdup_printf("%s:%u > %s:%u", tuple->remote, tuple->remote_port,
                           tuple->local, tuple->local_port);
}
