/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * visit.h - a person's visit to an application, while somebody moves it
 *
 * A browser at one of the lab's clients uses an application on all its
 * connections; a thread moves its session, with all of them, to the other of two
 * VMs and back for as long as it is told.  The person clicks meanwhile; between
 * two moves at least one round of requests is begun and answered, so that each
 * move is seen: the VM changes as often as the session moves.
 *
 * What makes a visit fail: an answer by a connection that was not there after
 * the warm-up, a counter lost or doubled, another session, a slice that has not
 * all of the connections, more than one undone move for two that were wanted (a
 * session that is busy for too long stays where it is).  The wire is not looked
 * at: that is for whoever has a capture.
 *
 * The person is one thread, the caller's; hooks say which thread calls them.
 */
#ifndef SLICE_TESTS_LAB_VISIT_H
#define SLICE_TESTS_LAB_VISIT_H

#include "apps.h"
#include "lab.h"

typedef struct Visit Visit;

/**
 * struct VisitHooks - who wants to know, e.g. to write it down
 * @answered: (nullable): a counted request was answered; in the caller's thread
 * @moved: (nullable): a move ended; in the mover's thread
 * @opaque: for both
 */
typedef struct VisitHooks {
    void (*answered)(const AppAnswer *answer, gpointer opaque);
    void (*moved)(const LabSlice *slice, const char *target, const LabMove *move, gpointer opaque);
    gpointer opaque;
} VisitHooks;

/**
 * visit_new: start the browser
 * @vms: names of the two VMs
 * @hooks: (nullable): borrowed
 */
Visit *visit_new(Lab *lab, LabClient *client, const App *app, const char *const vms[2],
                 const VisitHooks *hooks, GError **error);
/** visit_free: ends moves and the browser; accepts NULL. */
void visit_free(Visit *visit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Visit, visit_free)

WebDriver *visit_driver(Visit *visit);

/**
 * visit_warm_up: make the browser's connections and link them to the session
 *
 * The application's session must be there; returns when sliced knows the slice
 * with all connections.
 */
bool visit_warm_up(Visit *visit, GError **error);
/** visit_ports: APP_CONNECTIONS client's ports, after the warm-up. */
const uint16_t *visit_ports(Visit *visit);
/** visit_mark: the word that only the session knows, after the warm-up. */
const char *visit_mark(Visit *visit);

/** visit_round: a counted request on each connection. */
bool visit_round(Visit *visit, GError **error);

/** visit_begin_moves: @n_moves in another thread, one after the other; each
 *  after the first waits for a visit_round. */
void visit_begin_moves(Visit *visit, unsigned int n_moves);
/** visit_is_moving: have some not been made yet, and has none failed? */
bool visit_is_moving(Visit *visit);
/** visit_end_moves: rounds until the last one was made; then all connections
 *  must be where the session is. */
bool visit_end_moves(Visit *visit, GError **error);

/**
 * struct VisitCounts - what has been seen so far
 * @n_counted: requests counted by the session
 * @n_changes: of the VM, from one answer to the next
 * @n_moved, @n_undone: moves made, and those that left the session where it was
 */
typedef struct VisitCounts {
    uint64_t n_counted;
    unsigned int n_changes;
    unsigned int n_moved, n_undone;
} VisitCounts;

void visit_counts(Visit *visit, VisitCounts *ret_counts);

#endif /* SLICE_TESTS_LAB_VISIT_H */
