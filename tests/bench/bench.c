// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench.c - what Slice costs, as ratios of things measured in one run (slice-bench)
 *
 * usage: slice-bench [--out DIR] [--json] [NAME...]
 *
 * Without a NAME all benchmarks run.  Each leaves its raw samples (NAME.tsv) and a
 * plot of them (NAME.svg) in DIR.  No time is judged by the exit status: that tells
 * whether everything could be measured.  Progress goes to standard error.
 */
#include <signal.h>
#include <stdio.h>

#include "catalogue.h"
#include "report.h"

static bool check_names(char **names)
{
    bool ok = true;

    for (int i = 0; names && names[i]; i++) {
        if (!catalogue_has_name(names[i])) {
            fprintf(stderr, "slice-bench: there is no benchmark '%s'\n", names[i]);
            ok = false;
        }
    }
    for (size_t k = 0; !ok && k < catalogue_n_families; k++) {
        for (int j = 0; j < FAMILY_MAX && catalogue[k].definitions[j].name; j++) {
            fprintf(stderr, "  %-20s %s\n", catalogue[k].definitions[j].name,
                    catalogue[k].definitions[j].what);
        }
    }
    return ok;
}

/* Adds to @results what @names want; what could not be measured has an error there. */
static void run_family(Stage *stage, const char *no_stage, const Family *family, char **names,
                       GPtrArray *results)
{
    Result *own[FAMILY_MAX];
    g_autoptr(GError) error = NULL;
    bool ok = stage && family->run;

    catalogue_results(family, own);
    if (ok) {
        stage_say(stage, "%s", own[0]->name);
        ok = family->run(stage, own, &error);
    }
    for (int i = 0; i < FAMILY_MAX && own[i]; i++) {
        if (!ok) {
            result_fail(own[i], error ? error->message : family->run ? no_stage : family->missing);
        }
        if (!names || g_strv_contains((const char *const *)names, own[i]->name)) {
            g_ptr_array_add(results, own[i]);
        } else {
            result_free(own[i]);
        }
    }
}

/* Each family's is kept as soon as it is there.  Returns whether all could be kept. */
static bool run_all(char **names, GPtrArray *results, const char *dir)
{
    g_autoptr(GError) error = NULL;
    Stage *stage = stage_new(&error);
    guint n_kept = 0;
    bool ok = true;

    for (size_t i = 0; i < catalogue_n_families; i++) {
        if (catalogue_wants(&catalogue[i], names)) {
            run_family(stage, error ? error->message : NULL, &catalogue[i], names, results);
        }
        for (; n_kept < results->len; n_kept++) {
            ok = report_keep(g_ptr_array_index(results, n_kept), dir) && ok;
        }
        ok = report_keep_table(results, dir) && ok;
    }
    stage_free(stage);
    return ok;
}

static char *default_dir(void)
{
    const char *cache = g_getenv("SLICE_CACHE");
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *stamp = g_date_time_format(now, "bench-%Y%m%d-%H%M%S");

    return g_build_filename(cache ? cache : "/var/cache/slice", "results", stamp, NULL);
}

int main(int argc, char **argv)
{
    g_autofree char *out = NULL;
    g_auto(GStrv) names = NULL;
    gboolean is_json = FALSE;
    GOptionEntry entries[] = {
        { "out", 0, 0, G_OPTION_ARG_FILENAME, &out, "where samples and plots go", "DIR" },
        { "json", 0, 0, G_OPTION_ARG_NONE, &is_json, "one object a line instead of a table", NULL },
        { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &names, NULL, "[NAME...]" },
        { NULL }
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GPtrArray) results = g_ptr_array_new_with_free_func((GDestroyNotify)result_free);
    g_autoptr(GError) error = NULL;
    bool kept;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        fprintf(stderr, "slice-bench: %s\n", error->message);
        return 2;
    }
    if (!check_names(names)) {
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    out = out ? out : default_dir();
    if (g_mkdir_with_parents(out, 0755)) {
        perror(out);
        return 1;
    }
    kept = run_all(names, results, out);
    return report_tell(results, out, is_json) && kept ? 0 : 1;
}
