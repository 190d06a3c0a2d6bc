/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * when.c - moments as RFC 3339 text
 */
#include "when.h"

char *slice_when_to_text(gint64 us)
{
    g_autoptr(GDateTime) second = g_date_time_new_from_unix_utc(us / G_USEC_PER_SEC);
    g_autofree char *text = NULL;

    if (!second) {
        return g_strdup("");
    }
    text = g_date_time_format(second, "%Y-%m-%dT%H:%M:%S");
    return g_strdup_printf("%s.%06dZ", text, (int)(us % G_USEC_PER_SEC));
}
