/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * peer.c - dialling another engine and keeping the connection
 *
 * One connection for each ordered pair of engines.  It is dialled by the source
 * when a move needs it, and again while there is one that is unanswered, after
 * a pause that doubles; each attempt has a time limit.  An attempt that was
 * given up finishes in its thread, for nobody.
 *
 * A peer that no slice needs keeps its connection for the next move, and goes
 * when there are too many of its kind.
 */
#include "qemu/osdep.h"
#include "qapi/clone-visitor.h"
#include "qapi/error.h"
#include "qapi/qapi-visit-sockets.h"
#include "io/channel-socket.h"
#include "io/task.h"
#include "qemu/sockets.h"
#include "qemu/timer.h"
#include "slice/store.h"
#include "trace.h"

#define DIAL_TIMEOUT_MS  3000
#define RETRY_MIN_MS     50
#define RETRY_MAX_MS     2000
#define IDLE_PEERS_MAX   64

/* An attempt; outlives its peer where that goes first. */
typedef struct SliceDial {
    SlicePeer *peer;            /* NULL: given up */
    QIOChannelSocket *socket;
} SliceDial;

static void dial_give_up(SlicePeer *peer)
{
    if (peer->dial) {
        peer->dial->peer = NULL;
        peer->dial = NULL;
    }
}

static void retry_later(SlicePeer *peer)
{
    timer_mod(peer->timer,
              qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + peer->retry_ms);
    peer->retry_ms = MIN(peer->retry_ms * 2, RETRY_MAX_MS);
}

static void dial_done(QIOTask *task, gpointer opaque)
{
    SliceDial *dial = opaque;
    SlicePeer *peer = dial->peer;
    Error *err = NULL;
    bool ok = !qio_task_propagate_error(task, &err);

    if (peer) {
        peer->dial = NULL;
        timer_del(peer->timer);
        if (ok) {
            peer->retry_ms = RETRY_MIN_MS;
            peer->conn = slice_store_conn_new(peer->store,
                                              QIO_CHANNEL(dial->socket), true);
        } else {
            trace_slice_peer_dial_failed(peer->name, error_get_pretty(err));
            if (peer->n_wanted) {
                retry_later(peer);
            }
        }
    }
    error_free(err);
}

static void dial_free(gpointer opaque)
{
    SliceDial *dial = opaque;

    object_unref(OBJECT(dial->socket));
    g_free(dial);
}

void slice_peer_dial(SlicePeer *peer)
{
    SliceDial *dial;

    if (peer->conn || peer->dial) {
        return;
    }
    trace_slice_peer_dial(peer->name, peer->address_name);
    dial = g_new0(SliceDial, 1);
    dial->peer = peer;
    dial->socket = qio_channel_socket_new();
    qio_channel_set_name(QIO_CHANNEL(dial->socket), "slice-stream");
    peer->dial = dial;
    timer_mod(peer->timer,
              qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + DIAL_TIMEOUT_MS);
    qio_channel_socket_connect_async(dial->socket, peer->address, dial_done,
                                     dial, dial_free, NULL);
}

/* An attempt took too long, or the pause after one is over. */
static void timer_fired(void *opaque)
{
    SlicePeer *peer = opaque;

    if (peer->dial) {
        trace_slice_peer_dial_failed(peer->name, "timed out");
        dial_give_up(peer);
    }
    if (peer->n_wanted) {
        slice_peer_dial(peer);
    }
}

static void peer_free(SlicePeer *peer)
{
    QTAILQ_REMOVE(&peer->store->peers, peer, next);
    dial_give_up(peer);
    if (peer->conn) {
        slice_conn_close(peer->conn);
    }
    timer_free(peer->timer);
    qapi_free_SocketAddress(peer->address);
    g_free(peer->address_name);
    g_free(peer->name);
    g_free(peer);
}

static void free_idle(SliceStore *store)
{
    uint32_t n_idle = 0;
    SlicePeer *peer, *next;

    QTAILQ_FOREACH(peer, &store->peers, next) {
        n_idle += !peer->n_users;
    }
    QTAILQ_FOREACH_SAFE(peer, &store->peers, next, next) {
        if (n_idle > IDLE_PEERS_MAX && !peer->n_users) {
            peer_free(peer);
            n_idle--;
        }
    }
}

SlicePeer *slice_peer_get(SliceStore *store, const char *name,
                          SocketAddress *address)
{
    g_autofree char *address_name = socket_uri(address);
    SlicePeer *peer;

    QTAILQ_FOREACH(peer, &store->peers, next) {
        if (!strcmp(peer->name, name) &&
            !strcmp(peer->address_name, address_name)) {
            peer->n_users++;
            return peer;
        }
    }
    free_idle(store);
    peer = g_new0(SlicePeer, 1);
    peer->store = store;
    peer->name = g_strdup(name);
    peer->address = QAPI_CLONE(SocketAddress, address);
    peer->address_name = g_steal_pointer(&address_name);
    peer->retry_ms = RETRY_MIN_MS;
    peer->timer = timer_new_ms(QEMU_CLOCK_REALTIME, timer_fired, peer);
    peer->n_users = 1;
    QTAILQ_INIT(&peer->transfers);
    QTAILQ_INSERT_TAIL(&store->peers, peer, next);
    return peer;
}

void slice_peer_ref(SlicePeer *peer)
{
    peer->n_users++;
}

void slice_peer_put(SlicePeer *peer)
{
    peer->n_users--;
}

void slice_peer_free_all(SliceStore *store)
{
    while (!QTAILQ_EMPTY(&store->peers)) {
        peer_free(QTAILQ_FIRST(&store->peers));
    }
}

void slice_peer_want(SlicePeer *peer)
{
    peer->n_wanted++;
    slice_peer_dial(peer);
}

void slice_peer_unwant(SlicePeer *peer)
{
    peer->n_wanted--;
}

void slice_peer_lost(SlicePeer *peer)
{
    peer->conn = NULL;
    slice_find_peer_lost(peer);
    if (peer->n_wanted) {
        retry_later(peer);
    }
}
