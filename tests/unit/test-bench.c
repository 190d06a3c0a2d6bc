// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-bench.c - what a benchmark says of its samples is what they are
 */
#include <math.h>
#include <string.h>

#include "plot.h"
#include "result.h"
#include "table.h"

/* The numbers 1 .. @n, the largest first. */
static void fill(Series *series, unsigned int n)
{
    for (unsigned int i = n; i > 0; i--) {
        series_add(series, i);
    }
}

static Result *new_result(bool is_ratio, Direction direction, double goal)
{
    Result *result = result_new("move.stall", "a wait", "ms", "moved", "migrated");

    result->goal = (Goal){ is_ratio, direction, goal };
    return result;
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Result, result_free)

/* ---- quantiles ---- */

static void assert_quantile(unsigned int n, double share, double expected)
{
    Series series;

    series_init(&series, NULL);
    fill(&series, n);
    g_assert_cmpfloat(series_quantile(&series, share), ==, expected);
    series_clear(&series);
}

static void test_nearest_rank(void)
{
    assert_quantile(1, 0.5, 1);
    assert_quantile(2, 0.5, 1);
    assert_quantile(3, 0.5, 2);
    assert_quantile(4, 0.5, 2);
    assert_quantile(100, 0.5, 50);
    assert_quantile(100, 0.99, 99);
    assert_quantile(101, 0.99, 100);
    assert_quantile(200, 0.99, 198);
    assert_quantile(1000, 0.99, 990);
    /* 0.29 * 100 is a little less than 29, 0.07 * 100 a little more than 7. */
    assert_quantile(100, 0.29, 29);
    assert_quantile(100, 0.07, 7);
}

static void test_too_few(void)
{
    Series series;

    series_init(&series, NULL);
    g_assert_true(isnan(series_median(&series)));
    fill(&series, 32);
    g_assert_true(isnan(series_quantile(&series, 0.99)));
    fill(&series, 67);
    g_assert_true(isnan(series_quantile(&series, 0.99)));
    series_add(&series, 1);
    g_assert_cmpuint(series.samples->len, ==, 100);
    g_assert_false(isnan(series_quantile(&series, 0.99)));
    g_assert_cmpfloat(series_quantile(&series, 0.9), <, 67);
    series_clear(&series);
}

static void test_order_stays(void)
{
    Series series;

    series_init(&series, NULL);
    fill(&series, 3);
    series_median(&series);
    g_assert_cmpfloat(g_array_index(series.samples, double, 0), ==, 3);
    series_forget(&series);
    g_assert_cmpuint(series.samples->len, ==, 0);
    series_clear(&series);
}

/* ---- goals ---- */

static void test_ratio_is_of_medians(void)
{
    g_autoptr(Result) result = new_result(true, AT_MOST, 0.5);

    series_add(&result->measured, 1);
    series_add(&result->measured, 2);
    series_add(&result->measured, 900);
    series_add(&result->baseline, 4);
    g_assert_cmpfloat(result_ratio(result), ==, 0.5);
    g_assert_cmpint(result_met(result), ==, MET_YES);
    result->goal.value = 0.499;
    g_assert_cmpint(result_met(result), ==, MET_NO);
    result->goal.direction = AT_LEAST;
    g_assert_cmpint(result_met(result), ==, MET_YES);
}

/* A drift that both sides share does not count. */
static void test_ratio_of_pairs(void)
{
    g_autoptr(Result) result = new_result(true, AT_LEAST, 0.98);

    result->is_paired = true;
    for (unsigned int i = 1; i <= 5; i++) {
        series_add(&result->measured, 8 * i);
        series_add(&result->baseline, 10 * i);
    }
    series_add(&result->measured, 100);
    g_assert_true(isnan(result_ratio(result)));
    series_add(&result->baseline, 10);
    g_assert_cmpfloat(result_ratio(result), ==, 0.8);
    g_assert_cmpint(result_met(result), ==, MET_NO);
    series_forget(&result->measured);
    series_forget(&result->baseline);
    g_assert_true(isnan(result_ratio(result)));
}

static void test_median_itself(void)
{
    g_autoptr(Result) result = new_result(false, AT_LEAST, 200);

    series_add(&result->measured, 200);
    g_assert_cmpint(result_met(result), ==, MET_YES);
    series_forget(&result->measured);
    series_add(&result->measured, 199);
    g_assert_cmpint(result_met(result), ==, MET_NO);
}

static void test_no_goal(void)
{
    g_autoptr(Result) result = result_new("flow.change", "a change", "us", "sliced", NULL);

    series_add(&result->measured, 1);
    g_assert_cmpint(result_met(result), ==, MET_NONE);
    result_fail(result, "no switch");
    g_assert_cmpint(result_met(result), ==, MET_NONE);
}

static void test_error_is_not_met(void)
{
    g_autoptr(Result) result = new_result(false, AT_MOST, 10);
    g_autofree char *verdict = NULL;

    series_add(&result->measured, 1);
    g_assert_cmpint(result_met(result), ==, MET_YES);
    result_fail(result, NULL);
    g_assert_nonnull(result->error);
    g_assert_cmpint(result_met(result), ==, MET_NO);
    verdict = table_verdict(result);
    g_assert_cmpstr(verdict, ==, "not measured");
}

static void test_first_error_is_kept(void)
{
    g_autoptr(Result) result = new_result(false, AT_MOST, 10);

    result_fail(result, "the cause");
    result_fail(result, "what came of it");
    g_assert_cmpstr(result->error, ==, "the cause");
}

static void test_missing_is_not_met(void)
{
    g_autoptr(Result) result = new_result(true, AT_MOST, 10);
    g_autofree char *none = table_verdict(result), *no_baseline = NULL, *zero = NULL;

    g_assert_cmpint(result_met(result), ==, MET_NO);
    g_assert_cmpstr(none, ==, "no samples");
    series_add(&result->measured, 1);
    g_assert_cmpint(result_met(result), ==, MET_NO);
    no_baseline = table_verdict(result);
    g_assert_cmpstr(no_baseline, ==, "no baseline");
    series_add(&result->baseline, 0);
    g_assert_cmpint(result_met(result), ==, MET_NO);
    g_assert_true(isnan(result_ratio(result)));
}

static void test_missed_by(void)
{
    g_autoptr(Result) most = new_result(false, AT_MOST, 10);
    g_autoptr(Result) least = new_result(false, AT_LEAST, 10);
    g_autofree char *above = NULL, *below = NULL;

    series_add(&most->measured, 25);
    series_add(&least->measured, 4);
    above = table_verdict(most);
    below = table_verdict(least);
    g_assert_cmpstr(above, ==, "missed by a factor of 2.50");
    g_assert_cmpstr(below, ==, "missed by a factor of 2.50");
}

/* ---- what is told ---- */

static void test_json(void)
{
    g_autoptr(Result) result = new_result(true, AT_MOST, 0.015);
    g_autofree char *json = NULL;

    fill(&result->measured, 100);
    series_add(&result->baseline, 400);
    json = result_json(result);
    g_assert_cmpstr(json, ==,
                    "{\"name\": \"move.stall\", \"value\": 50, \"unit\": \"ms\", "
                    "\"baseline\": 400, \"ratio\": 0.125, \"n\": 100, \"p50\": 50, "
                    "\"p99\": 99, \"goal\": 0.015, \"met\": false}");
}

static void test_json_nulls(void)
{
    g_autoptr(Result) result = result_new("drain.rate.10", "a \"rate\"", "1/s", "drained", NULL);
    g_autofree char *json = NULL;

    result_fail(result, "nothing ran");
    json = result_json(result);
    g_assert_cmpstr(json, ==,
                    "{\"name\": \"drain.rate.10\", \"value\": null, \"unit\": \"1/s\", "
                    "\"baseline\": null, \"ratio\": null, \"n\": 0, \"p50\": null, "
                    "\"p99\": null, \"goal\": null, \"met\": null}");
}

static void test_samples(void)
{
    g_autoptr(Result) result = new_result(true, AT_MOST, 1);
    g_autofree char *text = NULL;

    series_add(&result->measured, 1.5);
    series_add(&result->baseline, 3);
    text = result_samples(result);
    g_assert_cmpstr(text, ==, "# move.stall: a wait; ms\nmeasured\t1\t1.5\nbaseline\t1\t3\n");
}

static void test_table_tells_all(void)
{
    g_autoptr(Result) result = new_result(true, AT_MOST, 0.015);
    g_autoptr(GPtrArray) results = g_ptr_array_new();
    char text[4096] = "";
    FILE *out = fmemopen(text, sizeof(text), "w");

    result->n_refused = 7;
    result_note(result, "one thing");
    result_note(result, "and %d others", 2);
    result_fail(result, "the client was cut off");
    g_ptr_array_add(results, result);
    table_print(results, out);
    fclose(out);
    g_assert_nonnull(strstr(text, "move.stall"));
    g_assert_nonnull(strstr(text, "<= 0.015"));
    g_assert_nonnull(strstr(text, "not measured to the end: the client was cut off"));
    g_assert_nonnull(strstr(text, "7 more did not happen"));
    g_assert_nonnull(strstr(text, "one thing; and 2 others"));
}

/* Also without a sample it is a picture. */
static void test_plot_is_xml(void)
{
    for (unsigned int n = 0; n < 3; n++) {
        g_autoptr(Result) result = new_result(true, AT_MOST, 0.015);
        g_autoptr(GMarkupParseContext) context = NULL;
        static const GMarkupParser any = { 0 };
        g_autoptr(GError) error = NULL;
        g_autofree char *svg = NULL;

        fill(&result->measured, n);
        fill(&result->baseline, 50 * n);
        svg = plot_svg(result);
        context = g_markup_parse_context_new(&any, 0, NULL, NULL);
        g_markup_parse_context_parse(context, svg, -1, &error);
        g_assert_no_error(error);
        g_markup_parse_context_end_parse(context, &error);
        g_assert_no_error(error);
        g_assert_null(strstr(svg, "nan"));
        g_assert_null(strstr(svg, "inf"));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/bench/quantile/is-the-nearest-rank", test_nearest_rank);
    g_test_add_func("/bench/quantile/of-too-few-is-none", test_too_few);
    g_test_add_func("/bench/quantile/leaves-the-samples-in-their-order", test_order_stays);
    g_test_add_func("/bench/goal/ratio-is-of-the-medians", test_ratio_is_of_medians);
    g_test_add_func("/bench/goal/ratio-of-pairs-is-the-median-of-theirs", test_ratio_of_pairs);
    g_test_add_func("/bench/goal/without-a-baseline-is-about-the-median", test_median_itself);
    g_test_add_func("/bench/goal/none-is-neither-met-nor-missed", test_no_goal);
    g_test_add_func("/bench/goal/with-an-error-is-not-met", test_error_is_not_met);
    g_test_add_func("/bench/goal/first-error-is-kept", test_first_error_is_kept);
    g_test_add_func("/bench/goal/with-something-missing-is-not-met", test_missing_is_not_met);
    g_test_add_func("/bench/goal/missed-by-a-factor-above-one", test_missed_by);
    g_test_add_func("/bench/json/has-all-members", test_json);
    g_test_add_func("/bench/json/null-where-there-is-nothing", test_json_nulls);
    g_test_add_func("/bench/samples-are-kept-raw", test_samples);
    g_test_add_func("/bench/table-tells-errors-refusals-and-notes", test_table_tells_all);
    g_test_add_func("/bench/plot-is-xml-without-what-is-no-number", test_plot_is_xml);
    return g_test_run();
}
