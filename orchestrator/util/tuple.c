/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tuple.c - the addresses of one connection, checked, as value and as key
 */
#include "tuple.h"

#include <arpa/inet.h>
#include <string.h>

#include "error.h"

/* Return: AF_INET or AF_INET6, or 0 with an error. */
static int canonical(const char *text, char out[SLICE_ADDRESS_CHARS], GError **error)
{
    struct in6_addr address;
    int family = text && strchr(text, ':') ? AF_INET6 : AF_INET;

    if (!text || inet_pton(family, text, &address) != 1) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID,
                    "'%s' is no IP address", text ? text : "");
        return 0;
    }
    inet_ntop(family, &address, out, SLICE_ADDRESS_CHARS);
    return family;
}

gboolean slice_tuple_set(SliceTuple *tuple, const char *protocol,
                         const char *local, gint64 local_port,
                         const char *remote, gint64 remote_port,
                         GError **error)
{
    SliceTuple new = { 0 };
    int family, other;

    if (g_strcmp0(protocol, "tcp")) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID,
                    "a connection of protocol '%s' cannot be routed",
                    protocol ? protocol : "");
        return FALSE;
    }
    family = canonical(local, new.local, error);
    other = family ? canonical(remote, new.remote, error) : 0;
    if (!family || !other) {
        return FALSE;
    }
    if (family != other) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID,
                    "%s and %s are not of one family", new.local, new.remote);
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

gboolean slice_tuple_is_ipv6(const SliceTuple *tuple)
{
    return strchr(tuple->local, ':') != NULL;
}

char *slice_tuple_end_to_text(const char *address, guint16 port)
{
    return g_strdup_printf(strchr(address, ':') ? "[%s]:%u" : "%s:%u", address,
                           port);
}

char *slice_tuple_to_text(const SliceTuple *tuple)
{
    g_autofree char *remote =
        slice_tuple_end_to_text(tuple->remote, tuple->remote_port);
    g_autofree char *local =
        slice_tuple_end_to_text(tuple->local, tuple->local_port);

    return g_strdup_printf("%s > %s", remote, local);
}
