// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * room.c - how many connections a child can serve
 *
 * The event MPM accepts connections up to ThreadsPerChild, and for each idle
 * thread AsyncRequestWorkerFactor more.  A connection that arrives from another
 * VM is idle, and so are most that are here: with all threads idle the limit is
 * ThreadsPerChild x (1 + factor).  Past it an arrived connection would stay in
 * the unix listener's backlog, heard by nobody; so the kernel is told, and
 * refuses a slice before it has moved.  Other MPMs need a thread or a process
 * for each connection.
 *
 * The factor is the event MPM's own; it is read from the configuration tree as
 * that MPM reads it.
 *
 * Source: httpd 2.4, server/mpm/event/event.c (connections_above_limit).
 */
#include <stdlib.h>

#include "ap_mpm.h"
#include "http_config.h"

#include "mod_slice.h"

/* event's own default. */
#define FACTOR_DEFAULT 2.0

/* In the parent and, inherited, in the children. */
static double worker_factor = FACTOR_DEFAULT;

static void look_for_factor(const ap_directive_t *directive)
{
    for (; directive; directive = directive->next) {
        if (!strcasecmp(directive->directive, "AsyncRequestWorkerFactor")) {
            double factor = strtod(directive->args, NULL);

            if (factor > 0) {
                worker_factor = factor;
            }
        }
        look_for_factor(directive->first_child);
    }
}

void slice_room_note_config(void)
{
    worker_factor = FACTOR_DEFAULT;
    look_for_factor(ap_conftree);
}

uint32_t slice_room_of_child(const struct slice_child *child)
{
    int n_threads = 0;
    double room;

    if (child->conf->room) {
        return child->conf->room;
    }
    if (ap_mpm_query(AP_MPMQ_MAX_THREADS, &n_threads) != APR_SUCCESS ||
        n_threads < 1) {
        n_threads = 1;
    }
    room = n_threads * (child->is_async ? 1 + worker_factor : 1);
    return room < SLICE_ROOM_NO_LIMIT ? (uint32_t)room : SLICE_ROOM_NO_LIMIT;
}
