/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * result.h - what a benchmark found, and whether its goal is met; pure
 *
 * A benchmark measures something and, in the same run and in turn with it, a
 * baseline; its goal is mostly about the ratio of the two, so that a slow or a busy
 * machine slows both.
 */
#ifndef SLICE_TESTS_BENCH_RESULT_H
#define SLICE_TESTS_BENCH_RESULT_H

#include "series.h"

typedef enum Direction {
    AT_MOST,
    AT_LEAST,
} Direction;

/**
 * Met - is the goal met?
 * @MET_NONE: there is no goal
 * @MET_NO: nor is it where something is missing: an error, no sample, no baseline
 */
typedef enum Met {
    MET_NONE,
    MET_NO,
    MET_YES,
} Met;

/**
 * struct Goal - what a result should be
 * @is_ratio: it is about measured / baseline (result_ratio), else about the median
 * @value: NAN for no goal
 */
typedef struct Goal {
    bool is_ratio;
    Direction direction;
    double value;
} Goal;

/**
 * struct Result - a benchmark's
 * @name: e.g. "move.stall"
 * @what: in a sentence
 * @unit: of the samples
 * @baseline: without samples where there is none
 * @is_paired: sample by sample, measured and baseline were taken side by side
 * @n_refused: times that what was to be measured did not happen, e.g. moves that
 *	were refused or undone; they are no samples, but are told
 * @note: (nullable): what a reader must know, e.g. why there is no baseline
 * @error: (nullable): it could not be measured, or not to the end, because
 */
typedef struct Result {
    const char *name;
    const char *what;
    const char *unit;
    Series measured, baseline;
    bool is_paired;
    Goal goal;
    unsigned int n_refused;
    char *note;
    char *error;
} Result;

/** result_new: of a benchmark without samples and without a goal yet. */
Result *result_new(const char *name, const char *what, const char *unit,
                   const char *measured, const char *baseline);
void result_free(Result *result);
/** result_fail: it could not be measured; the first reason is kept.
 *  @why: NULL becomes a text that says that nobody said why */
void result_fail(Result *result, const char *why);
/** result_note: something more that a reader must know. */
void result_note(Result *result, const char *format, ...) G_GNUC_PRINTF(2, 3);

/**
 * result_ratio: of the medians; of pairs, the median of their ratios
 *
 * On a machine that others use both sides of a pair are disturbed alike.  NAN where
 * one is missing, the baseline is zero, or pairs are not complete.
 */
double result_ratio(const Result *result);
/** result_judged: the number that the goal is about; may be NAN. */
double result_judged(const Result *result);
Met result_met(const Result *result);

/** result_json: one object, one line without its end; the caller frees. */
char *result_json(const Result *result);
/** result_samples: raw, tab separated: series, number, value; the caller frees. */
char *result_samples(const Result *result);

#endif /* SLICE_TESTS_BENCH_RESULT_H */
