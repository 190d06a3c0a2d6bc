/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * when.h - moments as RFC 3339 text
 */
#ifndef SLICE_UTIL_WHEN_H
#define SLICE_UTIL_WHEN_H

#include <glib.h>

/* Return: (transfer full): @us since the epoch as 2026-01-31T12:00:00.123456Z */
char *slice_when_to_text(gint64 us);

#endif
