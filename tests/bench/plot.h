/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plot.h - a benchmark's samples as a picture
 */
#ifndef SLICE_TESTS_BENCH_PLOT_H
#define SLICE_TESTS_BENCH_PLOT_H

#include "result.h"

/**
 * plot_svg: every sample as a point, medians and the goal as lines; the caller frees
 *
 * One row for what was measured, one for the baseline; where they are more than a
 * factor of 20 apart the axis is logarithmic.
 */
char *plot_svg(const Result *result);

#endif /* SLICE_TESTS_BENCH_PLOT_H */
