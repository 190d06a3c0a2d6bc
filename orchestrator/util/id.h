/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * id.h - slice ids as text: whole, short, and matched from what a person types
 *
 * A whole id is '<incarnation>:<counter>', both 16 lower-case hexadecimal
 * digits.  The short form has 8 digits of the incarnation and the counter
 * without leading zeros.
 */
#ifndef SLICE_UTIL_ID_H
#define SLICE_UTIL_ID_H

#include <glib.h>

#define SLICE_ID_CHARS 33

gboolean slice_id_is_valid(const char *id);

/* Return: (transfer full): the short form of a valid id. */
char *slice_id_short(const char *id);

/**
 * slice_id_matches() - does a pattern name this id?
 * @id: a valid id
 * @pattern: a whole id; 'I:C' where I begins the incarnation and C is the
 *	counter; 'C', the counter; or the last digits of the id.  Leading zeros of C do
 *	not matter.
 */
gboolean slice_id_matches(const char *id, const char *pattern);

#endif
