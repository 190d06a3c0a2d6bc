/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * catalogue.h - which benchmarks there are, and what they should come to
 */
#ifndef SLICE_TESTS_BENCH_CATALOGUE_H
#define SLICE_TESTS_BENCH_CATALOGUE_H

#include "bench.h"

#define FAMILY_MAX 3

/**
 * struct Definition - a benchmark, by its name
 * @baseline: what it is compared with, for people; NULL for nothing
 */
typedef struct Definition {
    const char *name;
    const char *what;
    const char *unit;
    const char *measured, *baseline;
    Goal goal;
    bool is_paired;
} Definition;

/**
 * struct Family - benchmarks that one run measures together
 * @run: NULL where it is missing
 * @missing: (nullable): why
 */
typedef struct Family {
    BenchRun *run;
    const char *missing;
    Definition definitions[FAMILY_MAX];
} Family;

/* In the order in which they run; those that need most memory last. */
extern const Family catalogue[];
extern const size_t catalogue_n_families;

/** catalogue_wants: is one of the family's names among @names? NULL: all are. */
bool catalogue_wants(const Family *family, char **names);
/** catalogue_has_name: is there such a benchmark? */
bool catalogue_has_name(const char *name);
/** catalogue_results: of a family, without samples; NULL behind the last. */
void catalogue_results(const Family *family, Result *ret_results[FAMILY_MAX]);

#endif /* SLICE_TESTS_BENCH_CATALOGUE_H */
