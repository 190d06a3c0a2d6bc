// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * plot.c - a benchmark's samples as a picture (SVG 1.1)
 *
 * All numbers of a small sample are better shown than summed up: each is a point, set
 * off in height by its turn, so that drift in a run shows as a slope.
 */
#include "plot.h"

#include <math.h>

#include "table.h"

#define WIDTH 720
#define HEIGHT 268
#define LEFT 150
#define RIGHT 24
#define TOP 70
#define ROW 70
#define AXIS (TOP + 2 * ROW + 8)

/* Colours that also differ in grey. */
#define INK "#222222"
#define FAINT "#d8d8d8"
#define MEASURED "#1b6ca8"
#define BASELINE "#d1802c"
#define GOAL "#2f8f4e"

typedef struct Axis {
    double low, high;
    bool is_log;
} Axis;

static void widen(const Series *series, double *low, double *high)
{
    for (guint i = 0; i < series->samples->len; i++) {
        double value = g_array_index(series->samples, double, i);

        *low = MIN(*low, value);
        *high = MAX(*high, value);
    }
}

static Axis axis_for(const Result *result)
{
    double low = INFINITY, high = -INFINITY;
    Axis axis = { 0, 1, false };

    widen(&result->measured, &low, &high);
    widen(&result->baseline, &low, &high);
    if (!result->goal.is_ratio && !isnan(result->goal.value)) {
        low = MIN(low, result->goal.value);
        high = MAX(high, result->goal.value);
    }
    if (high <= 0 || isinf(low)) {
        return axis;
    }
    if (low > 0 && high / low > 20) {
        axis.is_log = true;
        axis.low = pow(10, floor(log10(low)));
        axis.high = pow(10, ceil(log10(high * 1.0001)));
    } else {
        axis.high = high * 1.05;
    }
    return axis;
}

static double place(const Axis *axis, double value)
{
    double share = axis->is_log
        ? log10(MAX(value, axis->low) / axis->low) / log10(axis->high / axis->low)
        : (value - axis->low) / (axis->high - axis->low);

    return LEFT + share * (WIDTH - LEFT - RIGHT);
}

/* Nobody here sets a locale: numbers have a point, as SVG wants. */
static void put(GString *svg, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void put(GString *svg, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_string_append_vprintf(svg, format, args);
    va_end(args);
}

static void put_text(GString *svg, double x, double y, const char *anchor, const char *colour,
                     const char *text)
{
    g_autofree char *escaped = g_markup_escape_text(text, -1);

    put(svg, "<text x='%.1f' y='%.1f' text-anchor='%s' fill='%s'>%s</text>\n", x, y, anchor,
        colour, escaped);
}

static void put_tick(GString *svg, const Axis *axis, double value)
{
    g_autofree char *text = g_strdup_printf("%g", value);
    double x = place(axis, value);

    put(svg, "<line x1='%.1f' y1='%d' x2='%.1f' y2='%d' stroke='" FAINT "'/>\n", x, TOP - 6, x,
        AXIS);
    put_text(svg, x, AXIS + 16, "middle", INK, text);
}

/* About five ticks at 1, 2 or 5 times a power of ten, or each power of ten. */
static void put_axis(GString *svg, const Axis *axis, const char *unit)
{
    double step, value;

    if (axis->is_log) {
        for (value = axis->low; value <= axis->high * 1.01; value *= 10) {
            put_tick(svg, axis, value);
        }
    } else {
        double rough = (axis->high - axis->low) / 5;
        double power = pow(10, floor(log10(rough)));

        step = rough / power > 5 ? 10 * power : rough / power > 2 ? 5 * power
             : rough / power > 1 ? 2 * power : power;
        for (int i = 0; i * step <= axis->high; i++) {
            put_tick(svg, axis, i * step);
        }
    }
    put_text(svg, WIDTH - RIGHT, AXIS + 34, "end", INK, unit);
}

static void put_series(GString *svg, const Axis *axis, const Series *series, int row,
                       const char *colour)
{
    double middle = TOP + row * ROW + ROW / 2.0;
    double median = series_median(series);
    guint n = series->samples->len;
    g_autofree char *number = NULL, *text = NULL;

    if (!series->label) {
        return;
    }
    put_text(svg, LEFT - 12, middle - 4, "end", colour, series->label);
    if (!n) {
        return;
    }
    number = table_number(median);
    text = g_strdup_printf("%s (%u)", number, n);
    put_text(svg, LEFT - 12, middle + 12, "end", INK, text);
    for (guint i = 0; i < n; i++) {
        double y = middle + (n > 1 ? (i / (n - 1.0) - 0.5) * (ROW - 26) : 0);

        put(svg, "<circle cx='%.1f' cy='%.1f' r='3' fill='%s' fill-opacity='0.55'/>\n",
            place(axis, g_array_index(series->samples, double, i)), y, colour);
    }
    put(svg, "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' stroke='%s' stroke-width='2.5'/>\n",
        place(axis, median), middle - ROW / 2.0 + 5, place(axis, median), middle + ROW / 2.0 - 5,
        colour);
}

static void put_goal(GString *svg, const Axis *axis, const Result *result)
{
    double at = result->goal.value, base = series_median(&result->baseline);
    double x;

    if (isnan(at) || result->is_paired || (result->goal.is_ratio && isnan(base))) {
        return;
    }
    /* A goal for the ratio is, for this run, one for the measured. */
    at = result->goal.is_ratio ? at * base : at;
    if (at < axis->low || at > axis->high) {
        return;
    }
    x = place(axis, at);
    put(svg, "<line x1='%.1f' y1='%d' x2='%.1f' y2='%d' stroke='" GOAL "' stroke-width='1.5' "
        "stroke-dasharray='5 4'/>\n", x, TOP - 6, x, TOP + ROW);
    put_text(svg, x, TOP - 10, x > WIDTH / 2 ? "end" : "start", GOAL,
             result->goal.direction == AT_MOST ? "goal: left of this" : "goal: right of this");
}

/* What the goal is about, and the goal, where the table has them, too. */
static void put_verdict(GString *svg, const Result *result)
{
    g_autofree char *value = table_number(result_judged(result));
    g_autofree char *goal = table_number(result->goal.value);
    g_autofree char *verdict = table_verdict(result);
    g_autofree char *text = NULL;

    if (result_met(result) == MET_NONE) {
        return;
    }
    text = g_strdup_printf("%s %s, goal %s %s: %s", result->goal.is_ratio ? "ratio" : "median",
                           value, result->goal.direction == AT_MOST ? "at most" : "at least", goal,
                           verdict);
    put_text(svg, WIDTH - RIGHT, 22, "end", GOAL, text);
}

char *plot_svg(const Result *result)
{
    GString *svg = g_string_new("");
    g_autofree char *title = g_markup_escape_text(result->what, -1);
    Axis axis = axis_for(result);
    g_autofree char *unit = g_strdup_printf("%s%s", result->unit,
                                            axis.is_log ? ", logarithmic" : "");

    put(svg, "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' "
        "viewBox='0 0 %d %d' font-family='DejaVu Sans, Helvetica, sans-serif' font-size='12'>\n"
        "<rect width='%d' height='%d' fill='#ffffff'/>\n"
        "<text x='16' y='22' font-size='15' font-weight='bold' fill='" INK "'>%s</text>\n"
        "<text x='16' y='40' fill='" INK "'>%s</text>\n",
        WIDTH, HEIGHT, WIDTH, HEIGHT, WIDTH, HEIGHT, result->name, title);
    put_verdict(svg, result);
    put_axis(svg, &axis, unit);
    put_series(svg, &axis, &result->measured, 0, MEASURED);
    put_series(svg, &axis, &result->baseline, 1, BASELINE);
    put_goal(svg, &axis, result);
    put(svg, "</svg>\n");
    return g_string_free(svg, FALSE);
}
