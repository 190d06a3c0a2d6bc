/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * series.h - the samples of one measured thing, and their quantiles; pure
 */
#ifndef SLICE_TESTS_BENCH_SERIES_H
#define SLICE_TESTS_BENCH_SERIES_H

#include <stdbool.h>

#include <glib.h>

/** struct Series - one measured thing; @samples are of double */
typedef struct Series {
    const char *label;          /* (nullable): e.g. "a session moves", for people */
    GArray *samples;
} Series;

void series_init(Series *series, const char *label);
/** series_clear: free what it holds. */
void series_clear(Series *series);
void series_add(Series *series, double value);
/** series_forget: start again, e.g. after a warm-up. */
void series_forget(Series *series);

/**
 * series_quantile: nearest rank, the smallest sample that is not exceeded by @share
 * @share: above 0, at most 1
 *
 * Returns NAN where there are too few samples for one to lie beyond it: of fewer
 * than 100 there is no quantile of 0.99, only a maximum; the median needs one.
 */
double series_quantile(const Series *series, double share);
/** series_median: the quantile of 0.5. */
double series_median(const Series *series);

#endif /* SLICE_TESTS_BENCH_SERIES_H */
