// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * result.c - what a benchmark found, and whether its goal is met
 */
#include "result.h"

#include <math.h>

Result *result_new(const char *name, const char *what, const char *unit,
                   const char *measured, const char *baseline)
{
    Result *result = g_new0(Result, 1);

    result->name = name;
    result->what = what;
    result->unit = unit;
    result->goal.value = NAN;
    series_init(&result->measured, measured);
    series_init(&result->baseline, baseline);
    return result;
}

void result_free(Result *result)
{
    if (result) {
        series_clear(&result->measured);
        series_clear(&result->baseline);
        g_free(result->note);
        g_free(result->error);
        g_free(result);
    }
}

void result_fail(Result *result, const char *why)
{
    if (!result->error) {
        result->error = g_strdup(why && *why ? why : "it failed and did not say why");
    }
}

void result_note(Result *result, const char *format, ...)
{
    g_autofree char *before = result->note;
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    result->note = before ? g_strdup_printf("%s; %s", before, text) : g_strdup(text);
}

static double ratio_of_pairs(const GArray *above, const GArray *below)
{
    Series ratios;
    double median;

    series_init(&ratios, NULL);
    for (guint i = 0; i < above->len && above->len == below->len; i++) {
        series_add(&ratios, g_array_index(above, double, i) / g_array_index(below, double, i));
    }
    median = series_median(&ratios);
    series_clear(&ratios);
    return isfinite(median) ? median : NAN;
}

double result_ratio(const Result *result)
{
    double below = series_median(&result->baseline);

    if (result->is_paired) {
        return ratio_of_pairs(result->measured.samples, result->baseline.samples);
    }
    return below == 0 ? NAN : series_median(&result->measured) / below;
}

double result_judged(const Result *result)
{
    return result->goal.is_ratio ? result_ratio(result) : series_median(&result->measured);
}

Met result_met(const Result *result)
{
    double value = result_judged(result), goal = result->goal.value;

    if (isnan(goal)) {
        return MET_NONE;
    }
    if (result->error || isnan(value)) {
        return MET_NO;
    }
    return (result->goal.direction == AT_MOST ? value <= goal : value >= goal) ? MET_YES : MET_NO;
}

static void put_text(GString *json, const char *name, const char *value)
{
    g_autofree char *escaped = g_strescape(value, NULL);

    g_string_append_printf(json, "%s\"%s\": \"%s\"", json->len > 1 ? ", " : "", name, escaped);
}

static void put_number(GString *json, const char *name, double value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    g_string_append_printf(json, ", \"%s\": %s", name,
                           isfinite(value) ? g_ascii_formatd(text, sizeof(text), "%.9g", value)
                                           : "null");
}

char *result_json(const Result *result)
{
    static const char *const met[] = { "null", "false", "true" };
    GString *json = g_string_new("{");

    put_text(json, "name", result->name);
    put_number(json, "value", series_median(&result->measured));
    put_text(json, "unit", result->unit);
    put_number(json, "baseline", series_median(&result->baseline));
    put_number(json, "ratio", result_ratio(result));
    put_number(json, "n", result->measured.samples->len);
    put_number(json, "p50", series_median(&result->measured));
    put_number(json, "p99", series_quantile(&result->measured, 0.99));
    put_number(json, "goal", result->goal.value);
    g_string_append_printf(json, ", \"met\": %s}", met[result_met(result)]);
    return g_string_free(json, FALSE);
}

static void put_samples(GString *text, const char *which, const Series *series)
{
    for (guint i = 0; i < series->samples->len; i++) {
        char value[G_ASCII_DTOSTR_BUF_SIZE];

        g_ascii_dtostr(value, sizeof(value), g_array_index(series->samples, double, i));
        g_string_append_printf(text, "%s\t%u\t%s\n", which, i + 1, value);
    }
}

char *result_samples(const Result *result)
{
    GString *text = g_string_new("");

    g_string_append_printf(text, "# %s: %s; %s\n", result->name, result->what, result->unit);
    put_samples(text, "measured", &result->measured);
    put_samples(text, "baseline", &result->baseline);
    return g_string_free(text, FALSE);
}
