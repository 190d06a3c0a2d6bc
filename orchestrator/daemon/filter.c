/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filter.c - which slices a person means by VM, client, state, label, movability
 */
#include "filter.h"

#include <arpa/inet.h>
#include <string.h>

#include "util/error.h"

static gboolean is_any(const char *text)
{
    return !text || !text[0];
}

static gboolean complain(GError **error, const char *text, const char *what)
{
    g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID, "'%s' is no %s", text,
                what);
    return FALSE;
}

static gboolean take_client(SliceFilter *filter, const char *text, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, "/", 2);
    int family = strchr(parts[0], ':') ? AF_INET6 : AF_INET;
    guint64 prefix = family == AF_INET6 ? 128 : 32;

    if (inet_pton(family, parts[0], filter->network) != 1 ||
        (parts[1] && !g_ascii_string_to_unsigned(parts[1], 10, 0, prefix, &prefix,
                                                 NULL))) {
        return complain(error, text, "address and no network (ADDRESS/PREFIX)");
    }
    filter->family = family;
    filter->prefix = prefix;
    return TRUE;
}

static gboolean take_movability(SliceFilter *filter, const char *text,
                                GError **error)
{
    static const char *const names[] = { "movable", "busy", "pinned", NULL };

    if (!g_strv_contains(names, text)) {
        return complain(error, text, "movability (movable, busy, pinned)");
    }
    filter->movability = g_strdup(text);
    return TRUE;
}

SliceFilter *slice_filter_new(const char *vm, const char *client,
                              const char *state, const char *label,
                              const char *movability, GError **error)
{
    g_autoptr(SliceFilter) filter = g_new0(SliceFilter, 1);

    filter->vm = is_any(vm) ? NULL : g_strdup(vm);
    filter->label = is_any(label) ? NULL : g_pattern_spec_new(label);
    if (!is_any(state)) {
        filter->has_state = slice_state_from_name(state, &filter->state);
        if (!filter->has_state) {
            complain(error, state, "state of a slice");
            return NULL;
        }
    }
    if ((!is_any(client) && !take_client(filter, client, error)) ||
        (!is_any(movability) && !take_movability(filter, movability, error))) {
        return NULL;
    }
    return g_steal_pointer(&filter);
}

void slice_filter_free(SliceFilter *filter)
{
    if (filter) {
        g_free(filter->vm);
        g_clear_pointer(&filter->label, g_pattern_spec_free);
        g_free(filter->movability);
        g_free(filter);
    }
}

static gboolean same_bits(const guint8 *a, const guint8 *b, guint bits)
{
    guint rest = bits % 8;

    return !memcmp(a, b, bits / 8) &&
           (!rest || !((a[bits / 8] ^ b[bits / 8]) >> (8 - rest)));
}

static gboolean has_client(const SliceFilter *filter, const SliceEntry *entry)
{
    for (guint i = 0; i < entry->flows->len; i++) {
        const char *remote = g_array_index(entry->flows, SliceTuple, i).remote;
        guint8 address[16];

        if (inet_pton(filter->family, remote, address) == 1 &&
            same_bits(address, filter->network, filter->prefix)) {
            return TRUE;
        }
    }
    return FALSE;
}

gboolean slice_filter_matches(const SliceFilter *filter, const SliceEntry *entry)
{
    return !filter ||
           ((!filter->vm || g_str_equal(filter->vm, entry->vm)) &&
            (!filter->family || has_client(filter, entry)) &&
            (!filter->has_state || filter->state == entry->state) &&
            (!filter->label ||
             g_pattern_spec_match_string(filter->label, entry->label)) &&
            (!filter->movability ||
             g_str_equal(filter->movability, entry->movability)));
}
