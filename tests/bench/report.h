/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * report.h - what was found goes to a directory and to who asked
 */
#ifndef SLICE_TESTS_BENCH_REPORT_H
#define SLICE_TESTS_BENCH_REPORT_H

#include "result.h"

/**
 * report_keep: a result's raw samples (NAME.tsv) and plot (NAME.svg), into a directory
 *
 * Returns false, having said why on standard error, where something was not written.
 */
bool report_keep(const Result *result, const char *dir);
/** report_keep_table: the same for table.txt. */
bool report_keep_table(const GPtrArray *results, const char *dir);
/**
 * report_tell: the table, or one JSON object a line, to standard output
 *
 * What could not be measured is told on standard error as well.
 * Returns whether all could be measured.
 */
bool report_tell(const GPtrArray *results, const char *dir, bool is_json);

#endif /* SLICE_TESTS_BENCH_REPORT_H */
