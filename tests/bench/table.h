/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * table.h - results as a table for people
 */
#ifndef SLICE_TESTS_BENCH_TABLE_H
#define SLICE_TESTS_BENCH_TABLE_H

#include <stdio.h>

#include "result.h"

/** table_number: three digits that count, "-" for NAN; the caller frees. */
char *table_number(double value);
/** table_verdict: "met", "missed by a factor of 3.21", or why neither; the caller frees. */
char *table_verdict(const Result *result);
/** table_print: all results, each with its error and its note below it. */
void table_print(const GPtrArray *results, FILE *out);

#endif /* SLICE_TESTS_BENCH_TABLE_H */
