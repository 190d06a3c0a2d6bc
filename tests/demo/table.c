// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * table.c - a verdict: claims, what was found, whether each holds
 */
#include "table.h"

#include <stdio.h>

struct Table {
    FILE *out[2];
    bool holds;
};

Table *table_new(const char *dir)
{
    g_autofree char *path = g_build_filename(dir, "verdict.txt", NULL);
    Table *table = g_new0(Table, 1);

    table->out[0] = stdout;
    table->out[1] = fopen(path, "we");
    table->holds = true;
    return table;
}

void table_free(Table *table)
{
    if (table) {
        if (table->out[1]) {
            fclose(table->out[1]);
        }
        g_free(table);
    }
}

void table_print(Table *table, const char *format, ...)
{
    for (int i = 0; i < 2; i++) {
        va_list args;

        va_start(args, format);
        if (table->out[i]) {
            vfprintf(table->out[i], format, args);
        }
        va_end(args);
    }
}

void table_claim(Table *table, bool holds, const char *what, const char *format, ...)
{
    g_autofree char *found = NULL;
    va_list args;

    va_start(args, format);
    found = g_strdup_vprintf(format, args);
    va_end(args);
    table_print(table, "  %-34s %-34s %s\n", what, found, holds ? "ok" : "FAILED");
    table->holds = table->holds && holds;
}

bool table_holds(const Table *table)
{
    return table->holds;
}
