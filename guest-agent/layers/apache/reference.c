// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * reference.c - when a connection may be taken away, and when never
 */
#include <errno.h>

#include "mod_slice.h"

APLOG_USE_MODULE(slice);

/*
 * What was unplugged comes back to a session of its own, perhaps another child's:
 * a thread that waited for it would keep a child that stops from its end, and a
 * new one from taking it up.
 */
bool slice_reference_take(struct slice_session *session)
{
    int err;

    do {
        err = slice_get_ref(slice_child.opener, &session->capsule,
                            SLICE_REF_HERE);
    } while (err == -EINTR);
    if (err) {
        return false;
    }
    if (slice_table_is_gone(session)) {
        slice_put_ref(slice_child.opener, &session->capsule);
        return false;
    }
    session->held = true;
    return true;
}

void slice_reference_drop(struct slice_session *session, const conn_rec *c)
{
    slice_record_write(session->memory, (uint32_t)c->keepalives,
                       (uint16_t)c->local_addr->port);
    session->held = false;
    slice_put_ref(slice_child.opener, &session->capsule);
}

/*
 * The reference stays: the pin is for those who ask whether it could move, and
 * comes too late for a move that waits for just this reference.
 */
void slice_reference_pin(struct slice_session *session, uint32_t why)
{
    if (!session->pinned) {
        session->pinned = true;
        slice_pin(slice_child.opener, &session->capsule.id, why);
    }
}

static apr_status_t put_of_connection(void *tcp)
{
    slice_put_ref(slice_child.opener, tcp);
    return APR_SUCCESS;
}

void slice_reference_pin_fd(conn_rec *c, int fd, uint32_t why)
{
    struct slice_capsule *tcp;

    if (why != SLICE_WHY_NONE && !slice_pin_fd(slice_child.opener, fd, why)) {
        return;
    }
    tcp = apr_palloc(c->pool, sizeof(*tcp));
    if (!slice_get_id_by_fd_held(slice_child.opener, fd, tcp)) {
        apr_pool_cleanup_register(c->pool, tcp, put_of_connection,
                                  apr_pool_cleanup_null);
    }
}
