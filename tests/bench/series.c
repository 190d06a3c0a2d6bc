// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * series.c - the samples of one measured thing, and their quantiles
 */
#include "series.h"

#include <math.h>

/* What 0.99 * n may be off by, as 0.99 is no double. */
#define ROUNDING 1e-9

void series_init(Series *series, const char *label)
{
    series->label = label;
    series->samples = g_array_new(FALSE, FALSE, sizeof(double));
}

void series_clear(Series *series)
{
    g_clear_pointer(&series->samples, g_array_unref);
}

void series_add(Series *series, double value)
{
    g_array_append_val(series->samples, value);
}

void series_forget(Series *series)
{
    g_array_set_size(series->samples, 0);
}

static int compare(gconstpointer a, gconstpointer b)
{
    double one = *(const double *)a, other = *(const double *)b;

    return one < other ? -1 : one > other;
}

double series_quantile(const Series *series, double share)
{
    guint n = series->samples->len;
    g_autoptr(GArray) sorted = NULL;
    guint rank;

    if (!n || (share > 0.5 && n * (1 - share) < 1 - ROUNDING)) {
        return NAN;
    }
    rank = MAX(ceil(share * n - ROUNDING), 1);
    sorted = g_array_copy(series->samples);
    g_array_sort(sorted, compare);
    return g_array_index(sorted, double, rank - 1);
}

double series_median(const Series *series)
{
    return series_quantile(series, 0.5);
}
