/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * id.c - slice ids as text: whole, short, and matched from what a person types
 */
#include "id.h"

#include <string.h>

#define HALF 16

static gboolean is_hex(const char *text, gsize chars)
{
    for (gsize i = 0; i < chars; i++) {
        if (!g_ascii_isdigit(text[i]) && !(text[i] >= 'a' && text[i] <= 'f')) {
            return FALSE;
        }
    }
    return TRUE;
}

static const char *skip_zeros(const char *digits)
{
    while (digits[0] == '0' && digits[1]) {
        digits++;
    }
    return digits;
}

gboolean slice_id_is_valid(const char *id)
{
    return id && strlen(id) == SLICE_ID_CHARS && is_hex(id, HALF) &&
           id[HALF] == ':' && is_hex(id + HALF + 1, HALF);
}

char *slice_id_short(const char *id)
{
    return g_strdup_printf("%.8s:%s", id, skip_zeros(id + HALF + 1));
}

gboolean slice_id_matches(const char *id, const char *pattern)
{
    g_autofree char *low = g_ascii_strdown(pattern, -1);
    const char *counter = skip_zeros(id + HALF + 1);
    const char *colon = strchr(low, ':');

    if (g_str_equal(low, "")) {
        return FALSE;
    }
    if (colon) {
        return !strncmp(id, low, colon - low) && colon > low &&
               g_str_equal(counter, skip_zeros(colon + 1));
    }
    return g_str_equal(counter, skip_zeros(low)) || g_str_has_suffix(id, low);
}
