/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * duration.h - spans of time as people type and read them
 */
#ifndef SLICE_UTIL_DURATION_H
#define SLICE_UTIL_DURATION_H

#include <glib.h>

/**
 * slice_duration_parse() - '1500' and '1500ms', '30s', '5m', '2h'
 * @ret_ms: at most G_MAXUINT32
 *
 * Return: FALSE with SLICE_ERROR_INVALID for anything else.
 */
gboolean slice_duration_parse(const char *text, guint *ret_ms, GError **error);

/* Return: (transfer full): '350 ms', '12.5 s', '3 min 20 s' */
char *slice_duration_to_text(gint64 us);

#endif
