/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * duration.c - spans of time as people type and read them
 */
#include "duration.h"

#include "error.h"

gboolean slice_duration_parse(const char *text, guint *ret_ms, GError **error)
{
    static const struct {
        const char *unit;
        guint ms;
    } units[] = { { "", 1 }, { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 } };
    char *unit = NULL;
    guint64 number = g_ascii_isdigit(text[0]) ? g_ascii_strtoull(text, &unit, 10) : 0;

    for (gsize i = 0; unit && i < G_N_ELEMENTS(units); i++) {
        if (g_str_equal(unit, units[i].unit) && number <= G_MAXUINT32 / units[i].ms) {
            *ret_ms = number * units[i].ms;
            return TRUE;
        }
    }
    g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID,
                "'%s' is no span of time: 1500ms, 30s, 5m, 2h", text);
    return FALSE;
}

char *slice_duration_to_text(gint64 us)
{
    gint64 s = us / G_USEC_PER_SEC;

    if (us < G_USEC_PER_SEC) {
        return g_strdup_printf("%" G_GINT64_FORMAT " ms", us / 1000);
    }
    if (s < 60) {
        return g_strdup_printf("%.1f s", us / 1e6);
    }
    return g_strdup_printf("%" G_GINT64_FORMAT " min %" G_GINT64_FORMAT " s", s / 60, s % 60);
}
