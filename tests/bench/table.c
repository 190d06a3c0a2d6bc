// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * table.c - results as a table for people
 */
#include "table.h"

#include <math.h>

char *table_number(double value)
{
    double size = fabs(value);

    if (isnan(value)) {
        return g_strdup("-");
    }
    return size >= 100 ? g_strdup_printf("%.0f", value)
         : size >= 10 ? g_strdup_printf("%.1f", value)
         : size >= 1 ? g_strdup_printf("%.2f", value)
         : size >= 0.001 || size == 0 ? g_strdup_printf("%.3f", value)
         : g_strdup_printf("%.3g", value);
}

char *table_verdict(const Result *result)
{
    double value = result_judged(result), goal = result->goal.value;
    g_autofree char *by = NULL;

    if (result->error) {
        return g_strdup("not measured");
    }
    switch (result_met(result)) {
    case MET_NONE:
        return g_strdup("no goal");
    case MET_YES:
        return g_strdup("met");
    case MET_NO:
        break;
    }
    if (isnan(value)) {
        return g_strdup(result->measured.samples->len ? "no baseline" : "no samples");
    }
    by = table_number(result->goal.direction == AT_MOST ? value / goal : goal / value);
    return g_strdup_printf("missed by a factor of %s", by);
}

static void print_result(const Result *result, FILE *out)
{
    g_autofree char *p50 = table_number(series_median(&result->measured));
    g_autofree char *p99 = table_number(series_quantile(&result->measured, 0.99));
    g_autofree char *base = table_number(series_median(&result->baseline));
    g_autofree char *ratio = table_number(result_ratio(result));
    g_autofree char *limit = table_number(result->goal.value);
    g_autofree char *goal = isnan(result->goal.value) ? g_strdup("-") :
        g_strdup_printf("%s%s%s", result->goal.direction == AT_MOST ? "<= " : ">= ", limit,
                        result->goal.is_ratio ? "" : "*");
    g_autofree char *verdict = table_verdict(result);

    fprintf(out, "%-19s %4u %8s %8s %4s %8s %7s %9s  %s\n", result->name,
            result->measured.samples->len, p50, p99, result->unit, base, ratio, goal, verdict);
    if (result->error) {
        fprintf(out, "    not measured to the end: %s\n", result->error);
    }
    if (result->n_refused) {
        fprintf(out, "    %u more did not happen (refused or undone)\n", result->n_refused);
    }
    if (result->note) {
        fprintf(out, "    %s\n", result->note);
    }
}

void table_print(const GPtrArray *results, FILE *out)
{
    fprintf(out, "%-19s %4s %8s %8s %4s %8s %7s %9s  %s\n", "benchmark", "n", "median", "p99",
            "unit", "baseline", "ratio", "goal", "");
    for (guint i = 0; i < results->len; i++) {
        print_result(g_ptr_array_index(results, i), out);
    }
    fprintf(out, "\nA goal is about the ratio of the medians (of a throughput: the median of the ratios of\n"
            "rounds side by side); one with * about the median itself.\n"
            "Of fewer than 100 samples there is no p99.\n");
}
