/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fault.c - named points at which a test lets the daemon die, stop or fail
 */
#include "fault.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "error.h"

#define VARIABLE "SLICED_FAULT"

static GHashTable *armed; /* point -> action, of those that have not fired; NULL: none */

static gboolean arm_one(const char *text, const char *const *points, GError **error)
{
    static const char *const actions[] = { "kill", "stop", "fail", NULL };
    g_auto(GStrv) parts = g_strsplit(text, ":", 2);

    if (!parts[0] || !parts[1] || !g_strv_contains(points, parts[0]) ||
        !g_strv_contains(actions, parts[1])) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID,
                    VARIABLE ": '%s' is no POINT:kill, POINT:stop or POINT:fail of ours",
                    text);
        return FALSE;
    }
    g_hash_table_insert(armed, g_strdup(parts[0]), g_strdup(parts[1]));
    return TRUE;
}

gboolean slice_fault_arm(const char *const *points, GError **error)
{
    const char *text = g_getenv(VARIABLE);
    g_auto(GStrv) list = NULL;

    g_clear_pointer(&armed, g_hash_table_unref);
    if (!text || !text[0]) {
        return TRUE;
    }
    armed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    list = g_strsplit(text, ",", -1);
    for (guint i = 0; list[i]; i++) {
        if (!arm_one(list[i], points, error)) {
            g_clear_pointer(&armed, g_hash_table_unref);
            return FALSE;
        }
    }
    return TRUE;
}

gboolean slice_fault_at(const char *point, GError **error)
{
    g_autofree char *action = NULL;
    g_autofree char *key = NULL;

    if (!armed || !g_hash_table_steal_extended(armed, point, (gpointer *)&key,
                                               (gpointer *)&action)) {
        return FALSE;
    }
    fprintf(stderr, "fault %s: %s\n", point, action);
    fflush(stderr);
    if (g_str_equal(action, "fail")) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_FAILED, "fault %s", point);
        return TRUE;
    }
    kill(getpid(), g_str_equal(action, "kill") ? SIGKILL : SIGSTOP);
    return FALSE;
}
