// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench-move.c - one session moves; its whole VM migrates; what does its client notice?
 *
 * One client clicks without pause on one connection.  In turn: its session moves back
 * and forth between web1 and web2, some times; slicectl only plans such moves
 * (--dry-run), as many times, which shows what the measure says where nothing moves;
 * then web1 migrates live as a whole, there and back, with the same client.
 */
#include <string.h>

#include "bench.h"
#include "migrate.h"

#define ROUNDS 5
#define CLICK_MOVES 22          /* in a round; 110 in all, for a p99 */
#define DOWNLOAD_MOVES 8        /* the same; a download takes a second and more */
#define PLANS 6                 /* in a round */
#define WARM_UP_CLICKS 20       /* from which the usual time is known */
#define WARM_UP_DOWNLOADS 3
#define BETWEEN 3               /* answers between two moves; of downloads one */
#define TRIES 5                 /* to have the session at web1 */

typedef double Noticed(Clicker *clicker, int64_t begin_ns, int64_t end_ns);

typedef struct Comparison {
    Stage *stage;
    Clicker *clicker;
    LabSlice *slice;
    const char *page;
    Noticed *noticed;
    unsigned int n_moves, n_warm_up, n_between;
    Result **results;           /* stall; total and bytes, where those are wanted */
    unsigned int n_results;
    Series planned;             /* what is noticed of a plan */
    Series pauses;              /* of a migration: what Slice itself added, in ms */
} Comparison;

/* False, with the client's error where it had one. */
static bool wait_answers(Comparison *c, unsigned int n, GError **error)
{
    if (clicker_wait(c->clicker, n)) {
        return true;
    }
    if (clicker_stop(c->clicker, error)) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "the client stopped");
    }
    return false;
}

/* Adds to @series what the client noticed of a span that it has seen the end of. */
static void notice(Comparison *c, Series *series, int64_t begin_ns, int64_t end_ns)
{
    series_add(series, c->noticed(c->clicker, begin_ns, end_ns));
}

static const char *other(const LabSlice *slice)
{
    return strcmp(slice->vm, "web1") ? "web1" : "web2";
}

/* Returns false for an error; a move that was refused or undone is told in *ret_moved. */
static bool move(Comparison *c, LabMove *ret_move, bool *ret_moved, GError **error)
{
    const char *target = other(c->slice);

    if (!lab_slice_move(c->stage->lab, c->slice->id, target, ret_move, error)) {
        return false;
    }
    *ret_moved = !strcmp(ret_move->result, "moved");
    if (*ret_moved) {
        g_free(c->slice->vm);
        c->slice->vm = g_strdup(target);
    } else {
        stage_say(c->stage, "not moved to %s: %s, %s", target, ret_move->error, ret_move->why);
    }
    return wait_answers(c, c->n_between, error);
}

static bool measure_move(Comparison *c, GError **error)
{
    LabMove result;
    bool moved, ok = move(c, &result, &moved, error);

    for (unsigned int i = 0; ok && !moved && i < c->n_results; i++) {
        c->results[i]->n_refused++;
    }
    if (ok && moved) {
        notice(c, &c->results[0]->measured, result.begin_ns, result.end_ns);
        if (c->n_results > 1) {
            series_add(&c->results[1]->measured, (result.end_ns - result.begin_ns) / 1e6);
            series_add(&c->results[2]->measured, result.bytes / 1024.0);
        }
    }
    lab_move_clear(&result);
    return ok;
}

static bool measure_plan(Comparison *c, GError **error)
{
    const char *args[] = { "slice", "move", c->slice->id, "--to", other(c->slice), "--dry-run",
                           "--json", NULL };
    int64_t begin_ns = http_now_ns(), end_ns;
    int status;

    if (!lab_slicectl(c->stage->lab, args, NULL, &status, error)) {
        return false;
    }
    end_ns = http_now_ns();
    if (!wait_answers(c, c->n_between, error)) {
        return false;
    }
    notice(c, &c->planned, begin_ns, end_ns);
    return true;
}

static bool measure_migration(Comparison *c, bool away, GError **error)
{
    Migration migration = { 0 };

    if (!migrate_web1(c->stage, away, &migration, error) ||
        !wait_answers(c, c->n_between, error)) {
        return false;
    }
    notice(c, &c->results[0]->baseline, migration.begin_ns, migration.end_ns);
    series_add(&c->pauses, migration.held_ms);
    if (c->n_results > 1) {
        series_add(&c->results[1]->baseline, (migration.end_ns - migration.begin_ns) / 1e6);
        series_add(&c->results[2]->baseline, migration.bytes / 1024);
    }
    stage_say(c->stage, "a migration: %.0f ms, %.1f of them held",
              (migration.end_ns - migration.begin_ns) / 1e6, migration.held_ms);
    return true;
}

static bool bring_to_web1(Comparison *c, GError **error)
{
    for (int i = 0; i < TRIES && strcmp(c->slice->vm, "web1"); i++) {
        LabMove result;
        bool moved, ok = move(c, &result, &moved, error);

        lab_move_clear(&result);
        if (!ok) {
            return false;
        }
    }
    if (strcmp(c->slice->vm, "web1")) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "the session cannot be moved to web1");
        return false;
    }
    return true;
}

static bool run_round(Comparison *c, GError **error)
{
    for (unsigned int i = 0; i < c->n_moves; i++) {
        if (!measure_move(c, error)) {
            return false;
        }
    }
    for (int i = 0; i < PLANS; i++) {
        if (!measure_plan(c, error)) {
            return false;
        }
    }
    return bring_to_web1(c, error) && migrate_prepare(c->stage, c->clicker, error) &&
           measure_migration(c, true, error) && measure_migration(c, false, error) &&
           migrate_finish(c->stage, error) && wait_answers(c, c->n_between, error);
}

static bool run_rounds(Comparison *c, GError **error)
{
    HttpConnection *http = stage_connect(c->stage->client, LAB_CLUSTER_ADDRESS, error);

    if (!http) {
        return false;
    }
    c->clicker = clicker_new(http, c->page);
    if (!wait_answers(c, c->n_warm_up, error) ||
        !(c->slice = lab_slice_find(c->stage->lab, clicker_port(c->clicker), error))) {
        return false;
    }
    for (int i = 0; i < ROUNDS; i++) {
        if (!run_round(c, error)) {
            return false;
        }
        stage_say(c->stage, "round %d of %d: medians: a move %.1f ms, a plan %.1f ms, "
                  "a migration %.1f ms", i + 1, ROUNDS, series_median(&c->results[0]->measured),
                  series_median(&c->planned), series_median(&c->results[0]->baseline));
    }
    return clicker_stop(c->clicker, error);
}

static bool compare(Comparison *c, GError **error)
{
    Result *stall = c->results[0];
    bool ok;

    series_init(&c->planned, NULL);
    series_init(&c->pauses, NULL);
    ok = stage_need_cluster(c->stage, error) && run_rounds(c, error);
    if (c->planned.samples->len) {
        result_note(stall, "the same measure says %.1f ms (median of %u) where slicectl only "
                    "plans a move", series_median(&c->planned), c->planned.samples->len);
    }
    if (c->pauses.samples->len) {
        result_note(stall, "a migration has %.1f ms (median) in which Slice held packets until "
                    "it was confirmed", series_median(&c->pauses));
    }
    clicker_free(c->clicker);
    lab_slice_free(c->slice);
    series_clear(&c->planned);
    series_clear(&c->pauses);
    return ok;
}

bool bench_move(Stage *stage, Result **results, GError **error)
{
    Comparison c = {
        .stage = stage, .page = "/count.php", .noticed = clicker_stall_ms,
        .n_moves = CLICK_MOVES, .n_warm_up = WARM_UP_CLICKS, .n_between = BETWEEN,
        .results = results, .n_results = 3,
    };

    return compare(&c, error);
}

bool bench_download(Stage *stage, Result **results, GError **error)
{
    Comparison c = {
        .stage = stage, .page = "/large.php?kb=4096", .noticed = clicker_gap_ms,
        .n_moves = DOWNLOAD_MOVES, .n_warm_up = WARM_UP_DOWNLOADS, .n_between = 1,
        .results = results, .n_results = 1,
    };

    return compare(&c, error);
}
