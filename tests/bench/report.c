// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * report.c - what was found goes to a directory and to who asked
 */
#include "report.h"

#include "plot.h"
#include "table.h"

static bool keep_text(const char *dir, const char *name, const char *suffix, const char *text)
{
    g_autofree char *path = g_strdup_printf("%s/%s.%s", dir, name, suffix);
    g_autoptr(GError) error = NULL;

    if (!g_file_set_contents(path, text, -1, &error)) {
        fprintf(stderr, "slice-bench: %s\n", error->message);
        return false;
    }
    return true;
}

bool report_keep(const Result *result, const char *dir)
{
    g_autofree char *samples = result_samples(result);
    g_autofree char *plot = plot_svg(result);
    bool ok = keep_text(dir, result->name, "tsv", samples);

    return keep_text(dir, result->name, "svg", plot) && ok;
}

bool report_keep_table(const GPtrArray *results, const char *dir)
{
    g_autofree char *path = g_build_filename(dir, "table.txt", NULL);
    FILE *file = fopen(path, "we");

    if (!file) {
        perror(path);
        return false;
    }
    table_print(results, file);
    return fclose(file) == 0;
}

bool report_tell(const GPtrArray *results, const char *dir, bool is_json)
{
    bool ok = true;

    if (!is_json) {
        table_print(results, stdout);
        printf("Samples and plots are in %s\n", dir);
    }
    for (guint i = 0; i < results->len; i++) {
        const Result *result = g_ptr_array_index(results, i);
        g_autofree char *json = is_json ? result_json(result) : NULL;

        if (json) {
            puts(json);
        }
        if (result->error) {
            fprintf(stderr, "slice-bench: %s was not measured: %s\n", result->name, result->error);
            ok = false;
        }
    }
    fflush(stdout);
    return ok;
}
