/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bench.h - the benchmarks, each a function that fills results
 *
 * Each is given the results of its family, in the order of the family's names
 * (catalogue.c), and adds samples to them; those that were not asked for are thrown
 * away.  Where it returns false, *error says what failed; what was measured until
 * then is kept, and no goal counts as met.
 */
#ifndef SLICE_TESTS_BENCH_BENCH_H
#define SLICE_TESTS_BENCH_BENCH_H

#include "result.h"
#include "stage.h"

typedef bool BenchRun(Stage *stage, Result **results, GError **error);

BenchRun bench_move;            /* move.stall, move.total, move.bytes */
BenchRun bench_download;        /* move.stall.download */
BenchRun bench_drain;           /* drain.rate.10, .100, .1000 */
BenchRun bench_layers;          /* layers.throughput */
BenchRun bench_gate;            /* gate.throughput */
BenchRun bench_flow;            /* flow.change */

#endif /* SLICE_TESTS_BENCH_BENCH_H */
