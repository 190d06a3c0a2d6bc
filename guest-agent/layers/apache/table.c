// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * table.c - the capsules of this child, by id
 *
 * Why a lock around deregistering: a capsule may be unplugged and, after an
 * abort, plugged again under the same id, while the connection that served it
 * is still being closed.  That close must not end the capsule's new life.  The
 * kernel refuses to deregister what is unplugged, or waits for our answer to
 * its plug; we answer only after UNPLUGGED has set @gone here.
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "mod_slice.h"

#define N_BUCKETS 1024

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slice_session *buckets[N_BUCKETS];

static struct slice_session **find(const struct slice_id *id)
{
    struct slice_session **link = &buckets[id->counter % N_BUCKETS];

    while (*link && !slice_id_equal(&(*link)->capsule.id, id)) {
        link = &(*link)->next;
    }
    return link;
}

void slice_session_free(struct slice_session *session)
{
    if (!session) {
        return;
    }
    slice_unmap(slice_child.opener, session->memory,
                session->capsule.room_bytes);
    if (session->fd >= 0) {
        close(session->fd);
    }
    free(session);
}

void slice_table_add(struct slice_session *session)
{
    struct slice_session **link;

    pthread_mutex_lock(&lock);
    link = &buckets[session->capsule.id.counter % N_BUCKETS];
    session->next = *link;
    *link = session;
    pthread_mutex_unlock(&lock);
}

struct slice_session *slice_table_leave(const struct slice_id *id)
{
    struct slice_session **link, *session;

    pthread_mutex_lock(&lock);
    link = find(id);
    session = *link;
    if (session) {
        *link = session->next;
        session->gone = true;
        if (session->phase == SLICE_PHASE_SERVED) {
            session = NULL;
        }
    }
    pthread_mutex_unlock(&lock);
    return session;
}

bool slice_table_open(const struct slice_id *id)
{
    struct slice_session *session;

    pthread_mutex_lock(&lock);
    session = *find(id);
    if (session) {
        session->phase = SLICE_PHASE_OPEN;
    }
    pthread_mutex_unlock(&lock);
    return session != NULL;
}

struct slice_session *slice_table_serve(const struct slice_id *id)
{
    struct slice_session *session;

    pthread_mutex_lock(&lock);
    session = *find(id);
    if (session && session->phase == SLICE_PHASE_OPEN) {
        session->phase = SLICE_PHASE_SERVED;
    } else {
        session = NULL;
    }
    pthread_mutex_unlock(&lock);
    return session;
}

bool slice_table_is_gone(const struct slice_session *session)
{
    bool gone;

    pthread_mutex_lock(&lock);
    gone = session->gone;
    pthread_mutex_unlock(&lock);
    return gone;
}

void slice_table_release(struct slice_session *session)
{
    pthread_mutex_lock(&lock);
    if (!session->gone) {
        struct slice_session **link = find(&session->capsule.id);

        *link = session->next;
        slice_deregister_capsule(slice_child.opener, &session->capsule.id);
    }
    pthread_mutex_unlock(&lock);
    /* After it: between the two nobody may take the capsule away.  A word with
     * a count is given to no other capsule. */
    if (session->held) {
        slice_put_ref(slice_child.opener, &session->capsule);
    }
    slice_session_free(session);
}
