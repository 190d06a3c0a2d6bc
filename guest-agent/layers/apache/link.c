// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * link.c - connections and the sessions that their requests name
 *
 * A request that names a session must run where that session is, and from then
 * on the two move together.  So, before the request begins:
 *
 *	take the reference, then link each session to the connection
 *	  all linked			begin
 *	  one is not here		put the reference, slice_find()
 *		it is here by now	once more
 *		no VM has it		remember that; once more
 *		the connection has left	end in silence: it is served elsewhere
 *		not known in time	begin, and answer 503
 *
 * Linking what is linked is the usual case and one system call; nothing but the
 * kernel knows whether a session is still here.  That no VM has a session is
 * remembered for the connection: with strict ids, which mod_slice relies on, no
 * server ever makes a session of an id that a client brings.
 *
 * A request without such a cookie leaves the links as they are: pictures and
 * style sheets are often asked for without one.
 *
 * Source: paper section 2.2; docs/specs/ioctl.md, FIND and LINK.
 */
#include <errno.h>
#include <string.h>

#include "mod_slice.h"

APLOG_USE_MODULE(slice);

static bool names_any(const struct slice_keys *keys)
{
    for (unsigned i = 0; i < SLICE_HEAD_NAMES_MAX; i++) {
        if (keys->keys[i].bytes) {
            return true;
        }
    }
    return false;
}

static bool is_known_nowhere(const struct slice_session *session,
                             const struct slice_keys *keys, unsigned i)
{
    return !memcmp(&session->nowhere.keys[i], &keys->keys[i],
                   sizeof(keys->keys[i]));
}

/*
 * Links all of @keys that can be; under a reference.  Returns the index of one
 * that must be looked for first, or -1.  What cannot be linked for another
 * reason, too large a slice, say, is here all the same: it is served.
 */
static int link_all(struct slice_session *session,
                    const struct slice_keys *keys)
{
    uint32_t flags = memcmp(keys, &session->seen, sizeof(*keys))
                         ? SLICE_LINK_ONLY
                         : 0;

    for (unsigned i = 0; i < SLICE_HEAD_NAMES_MAX; i++) {
        int err;

        if (!keys->keys[i].bytes) {
            continue;
        }
        err = slice_link_key(slice_child.opener, &session->capsule.id,
                             slice_child.conf->layer, keys->keys[i].data,
                             keys->keys[i].bytes, flags);
        if (!err) {
            flags = 0;
        } else if (err == -EBUSY || err == -ESTALE ||
                   (err == -ENOENT && !is_known_nowhere(session, keys, i))) {
            return (int)i;
        }
    }
    session->seen = *keys;
    return -1;
}

/* False: it is not known in time where the session is. */
static bool look_for(struct slice_session *session,
                     const struct slice_keys *keys, unsigned i,
                     apr_time_t until)
{
    apr_interval_time_t left = until - apr_time_now();
    uint32_t result;
    int err;

    if (left < apr_time_from_msec(1)) {
        return false;
    }
    err = slice_find(slice_child.opener, &session->capsule.id,
                     slice_child.conf->layer, keys->keys[i].data,
                     keys->keys[i].bytes, (uint32_t)apr_time_as_msec(left),
                     &result);
    switch (err) {
    case 0:
        if (result == SLICE_FIND_NOWHERE) {
            session->nowhere.keys[i] = keys->keys[i];
        }
        return true;
    case -ETIMEDOUT:
    case -ENOSPC:
        return false;
    case -ESTALE:
    case -ENOENT:
    case -EBUSY:
    case -EINTR:
        /* The next look at the connection tells. */
        return true;
    default:
        /* A module that cannot be asked has no other VMs to ask. */
        session->nowhere.keys[i] = keys->keys[i];
        return true;
    }
}

bool slice_link_begin(struct slice_session *session, const conn_rec *c,
                      const struct slice_keys *keys)
{
    apr_time_t until = 0;
    int missing;

    session->refused = false;
    if (!slice_child.conf->layer || !names_any(keys)) {
        return slice_reference_take(session);
    }
    for (;;) {
        if (!slice_reference_take(session)) {
            return false;
        }
        missing = link_all(session, keys);
        if (missing < 0) {
            return true;
        }
        if (!until) {
            until = apr_time_now() +
                    apr_time_from_msec(slice_child.conf->find_ms);
        }
        slice_reference_drop(session, c);
        if (!look_for(session, keys, (unsigned)missing, until)) {
            session->refused = true;
            return slice_reference_take(session);
        }
    }
}

/*
 * What Apache has found in the request is what counts.  It differs from what
 * was seen before only where the head was too large or too slow to be looked
 * at; now that the reference is held nobody can be asked any more.
 */
bool slice_link_check(struct slice_session *session,
                      const struct slice_keys *keys)
{
    if (session->refused) {
        session->refused = false;
        return false;
    }
    return !slice_child.conf->layer || !names_any(keys) ||
           !memcmp(keys, &session->seen, sizeof(*keys)) ||
           link_all(session, keys) < 0;
}
