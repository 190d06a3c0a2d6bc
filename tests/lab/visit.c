// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * visit.c - a person's visit to an application, while somebody moves it
 */
#include "visit.h"

#include <string.h>

#define SERVER "http://" LAB_CLUSTER_ADDRESS

/* In a row, until one has had all connections. */
#define ROUND_TRIES 5

struct Visit {
    Lab *lab;
    const App *app;
    const char *vms[2];
    VisitHooks hooks;
    LabBrowser *browser;
    uint16_t ports[APP_CONNECTIONS];
    char mark[sizeof(((AppRound *)NULL)->mark)];
    char vm[sizeof(((AppAnswer *)NULL)->vm)];
    uint64_t counter;
    unsigned int n_changes;
    GThread *thread;
    GMutex mutex;               /* of what follows, while there is a thread */
    GCond served;
    unsigned int n_wanted, n_moved, n_undone;
    unsigned int n_begun, n_answered;   /* rounds */
    bool stop;
    GError *failure;            /* the mover's; it has ended then */
};

Visit *visit_new(Lab *lab, LabClient *client, const App *app, const char *const vms[2],
                 const VisitHooks *hooks, GError **error)
{
    Visit *visit = g_new0(Visit, 1);

    g_mutex_init(&visit->mutex);
    g_cond_init(&visit->served);
    visit->lab = lab;
    visit->app = app;
    visit->vms[0] = vms[0];
    visit->vms[1] = vms[1];
    if (hooks) {
        visit->hooks = *hooks;
    }
    visit->browser = lab_browser_new(client, error);
    if (!visit->browser) {
        visit_free(visit);
        return NULL;
    }
    return visit;
}

/* The thread ends after the move that it is at. */
static void stop_moves(Visit *visit)
{
    g_mutex_lock(&visit->mutex);
    visit->stop = true;
    g_cond_signal(&visit->served);
    g_mutex_unlock(&visit->mutex);
    g_thread_join(g_steal_pointer(&visit->thread));
}

void visit_free(Visit *visit)
{
    if (visit) {
        if (visit->thread) {
            stop_moves(visit);
        }
        lab_browser_free(visit->browser);
        g_clear_error(&visit->failure);
        g_cond_clear(&visit->served);
        g_mutex_clear(&visit->mutex);
        g_free(visit);
    }
}

WebDriver *visit_driver(Visit *visit)
{
    return lab_browser_driver(visit->browser);
}

const uint16_t *visit_ports(Visit *visit)
{
    return visit->ports;
}

const char *visit_mark(Visit *visit)
{
    return visit->mark;
}

void visit_counts(Visit *visit, VisitCounts *ret_counts)
{
    g_mutex_lock(&visit->mutex);
    *ret_counts = (VisitCounts) {
        .n_counted = visit->counter,
        .n_changes = visit->n_changes,
        .n_moved = visit->n_moved,
        .n_undone = visit->n_undone,
    };
    g_mutex_unlock(&visit->mutex);
}

/* ---- requests ---- */

static bool is_known(const Visit *visit, uint16_t port)
{
    for (int i = 0; i < APP_CONNECTIONS; i++) {
        if (visit->ports[i] == port) {
            return true;
        }
    }
    return false;
}

/* Before the warm-up there are no connections to be known. */
static bool take_answers(Visit *visit, const AppRound *round, GError **error)
{
    for (int i = 0; i < APP_CONNECTIONS; i++) {
        const AppAnswer *answer = &round->answers[i];

        if (visit->hooks.answered) {
            visit->hooks.answered(answer, visit->hooks.opaque);
        }
        if (visit->ports[0] && !is_known(visit, answer->port)) {
            g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED,
                        "an answer came by a new connection, port %u", answer->port);
            return false;
        }
        visit->n_changes += *visit->vm && strcmp(visit->vm, answer->vm);
        g_strlcpy(visit->vm, answer->vm, sizeof(visit->vm));
    }
    if (*visit->mark && strcmp(round->mark, visit->mark)) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "it is another session: %s, not %s",
                    round->mark, visit->mark);
        return false;
    }
    return true;
}

/* Again, if the page wanted one of the connections for itself at that moment. */
static bool ask(Visit *visit, AppRound *ret_round, GError **error)
{
    unsigned int n_tries = 0;

    g_mutex_lock(&visit->mutex);
    visit->n_begun++;
    g_mutex_unlock(&visit->mutex);
    do {
        if (n_tries++ == ROUND_TRIES) {
            g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "%d requests at once come by %u "
                        "connections only", APP_CONNECTIONS, ret_round->n_connections);
            return false;
        }
        if (!app_round(visit_driver(visit), SERVER, visit->app, &visit->counter, ret_round,
                       error) || !take_answers(visit, ret_round, error)) {
            return false;
        }
    } while (ret_round->n_connections < APP_CONNECTIONS);
    g_mutex_lock(&visit->mutex);
    visit->n_answered++;
    g_cond_signal(&visit->served);
    g_mutex_unlock(&visit->mutex);
    return true;
}

bool visit_warm_up(Visit *visit, GError **error)
{
    g_autoptr(LabSlice) slice = NULL;
    AppRound round;

    if (!ask(visit, &round, error)) {
        return false;
    }
    for (int i = 0; i < APP_CONNECTIONS; i++) {
        visit->ports[i] = round.answers[i].port;
    }
    g_strlcpy(visit->mark, round.mark, sizeof(visit->mark));
    slice = lab_slice_find_whole(visit->lab, visit->ports[0], APP_CONNECTIONS, error);
    return slice != NULL;
}

bool visit_round(Visit *visit, GError **error)
{
    AppRound round;

    return ask(visit, &round, error);
}

/* ---- moves ---- */

/* A session moves with all its connections, or not at all. */
static bool move_once(Visit *visit, GError **error)
{
    g_autoptr(LabSlice) slice = lab_slice_find_whole(visit->lab, visit->ports[0], APP_CONNECTIONS,
                                                     error);
    const char *target;
    LabMove move;
    bool ok = true;

    if (!slice) {
        return false;
    }
    target = visit->vms[!strcmp(slice->vm, visit->vms[0])];
    if (!lab_slice_move(visit->lab, slice->id, target, &move, error)) {
        return false;
    }
    if (visit->hooks.moved) {
        visit->hooks.moved(slice, target, &move, visit->hooks.opaque);
    }
    g_mutex_lock(&visit->mutex);
    if (!strcmp(move.result, "moved")) {
        visit->n_moved++;
    } else if (++visit->n_undone > visit->n_wanted / 2) {
        ok = false;
        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED,
                    "slice %s did not move from %s to %s: %s, %s (the %u. that did not)", slice->id,
                    slice->vm, target, move.error, move.why, visit->n_undone);
    }
    g_mutex_unlock(&visit->mutex);
    lab_move_clear(&move);
    return ok;
}

/* Until a round that began after the last move has been answered. */
static bool wait_served(Visit *visit)
{
    unsigned int n_begun;
    bool goes_on;

    g_mutex_lock(&visit->mutex);
    n_begun = visit->n_begun;
    goes_on = visit->n_moved < visit->n_wanted;
    while (goes_on && !visit->stop && visit->n_answered <= n_begun) {
        g_cond_wait(&visit->served, &visit->mutex);
    }
    goes_on = goes_on && !visit->stop;
    g_mutex_unlock(&visit->mutex);
    return goes_on;
}

static gpointer move_thread(gpointer opaque)
{
    Visit *visit = opaque;
    GError *failure = NULL;

    do {
        if (!move_once(visit, &failure)) {
            g_mutex_lock(&visit->mutex);
            visit->failure = failure;
            g_mutex_unlock(&visit->mutex);
            break;
        }
    } while (wait_served(visit));
    return NULL;
}

void visit_begin_moves(Visit *visit, unsigned int n_moves)
{
    visit->n_wanted = visit->n_moved + n_moves;
    visit->thread = g_thread_new("mover", move_thread, visit);
}

bool visit_is_moving(Visit *visit)
{
    bool moving;

    g_mutex_lock(&visit->mutex);
    moving = visit->n_moved < visit->n_wanted && !visit->failure;
    g_mutex_unlock(&visit->mutex);
    return moving;
}

/* All connections are where the session is. */
static bool is_whole(Visit *visit, GError **error)
{
    g_autoptr(LabSlice) slice = lab_slice_find_whole(visit->lab, visit->ports[0], APP_CONNECTIONS,
                                                     error);
    AppRound round;

    if (!slice || !visit_round(visit, error) || !ask(visit, &round, error)) {
        return false;
    }
    for (int i = 0; i < APP_CONNECTIONS; i++) {
        if (strcmp(round.answers[i].vm, slice->vm)) {
            g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED,
                        "the connection from port %u is at %s, its session at %s",
                        round.answers[i].port, round.answers[i].vm, slice->vm);
            return false;
        }
    }
    return true;
}

bool visit_end_moves(Visit *visit, GError **error)
{
    while (visit_is_moving(visit)) {
        if (!visit_round(visit, error)) {
            stop_moves(visit);
            return false;
        }
    }
    g_thread_join(g_steal_pointer(&visit->thread));
    if (visit->failure) {
        g_propagate_error(error, g_steal_pointer(&visit->failure));
        return false;
    }
    return is_whole(visit, error);
}
