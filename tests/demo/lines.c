// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lines.c - reads the demo's records: lines of words between tabs
 */
#include "lines.h"

#include <string.h>

static bool take_line(const char *line, const LineKind *kinds, gpointer opaque)
{
    g_auto(GStrv) words = g_strsplit(line, "\t", -1);

    for (; kinds->name; kinds++) {
        if (words[0] && !strcmp(words[0], kinds->name)) {
            return g_strv_length(words) == kinds->n_words && kinds->take(opaque, words);
        }
    }
    return false;
}

bool lines_read(const char *dir, const char *name, const LineKind *kinds, gpointer opaque,
                GError **error)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents(path, &text, NULL, error)) {
        return false;
    }
    lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        if (*lines[i] && !take_line(lines[i], kinds, opaque)) {
            g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s, line %u is malformed: %.60s",
                        path, i + 1, lines[i]);
            return false;
        }
    }
    return true;
}
