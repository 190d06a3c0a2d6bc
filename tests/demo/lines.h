/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lines.h - reads the demo's records: lines of words between tabs
 */
#ifndef SLICE_DEMO_LINES_H
#define SLICE_DEMO_LINES_H

#include <stdbool.h>

#include <glib.h>

/**
 * struct LineKind - what to do with a line
 * @name: its first word; NULL ends an array of kinds
 * @n_words: it has, that one included
 * @take: returns false for words that cannot be
 */
typedef struct LineKind {
    const char *name;
    guint n_words;
    bool (*take)(gpointer opaque, char **words);
} LineKind;

/** lines_read: the file @name in @dir; a line of no kind is an error. */
bool lines_read(const char *dir, const char *name, const LineKind *kinds, gpointer opaque,
                GError **error);

#endif /* SLICE_DEMO_LINES_H */
