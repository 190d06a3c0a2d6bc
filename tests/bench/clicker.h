/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clicker.h - a client that never rests, and what it noticed
 *
 * One connection, in a thread of its own: clicks on a page, one after the other, or
 * downloads, one after the other.  It notes when it waited for what.
 */
#ifndef SLICE_TESTS_BENCH_CLICKER_H
#define SLICE_TESTS_BENCH_CLICKER_H

#include "http.h"

typedef struct Clicker Clicker;

/**
 * clicker_new: start to click
 * @http: taken over
 * @page: with a counter and a digest, as the demo's are
 */
Clicker *clicker_new(HttpConnection *http, const char *page);
/** clicker_stop: after the answer to its last request; NULL for @error: none. */
bool clicker_stop(Clicker *clicker, GError **error);
void clicker_free(Clicker *clicker);

uint16_t clicker_port(Clicker *clicker);
/** clicker_wait: until it has had @n more answers, or an error. */
bool clicker_wait(Clicker *clicker, unsigned int n);

/**
 * clicker_stall_ms: what the span [begin, end] cost the client
 *
 * The longest answer that overlaps it, beyond the median of those that were
 * answered before it began; 0 where the client waited for nothing in it.
 */
double clicker_stall_ms(Clicker *clicker, int64_t begin_ns, int64_t end_ns);
/**
 * clicker_gap_ms: the longest time without a byte, within an answer
 *
 * Of the answers that were waited for or received at some time of the span; 0 for
 * none.
 */
double clicker_gap_ms(Clicker *clicker, int64_t begin_ns, int64_t end_ns);

#endif /* SLICE_TESTS_BENCH_CLICKER_H */
