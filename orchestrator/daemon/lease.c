/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lease.c - what engines need for moves of their own: peers and terms
 */
#include "lease.h"

#include "util/error.h"

/* One term a connection that meets the wrong VM: enough for minutes of a restart of ours. */
#define TERMS 4096

/* An engine that does not know the command makes no moves of its own: nothing is missing. */
static void heard(const GError *error, gpointer data)
{
    if (error && !g_error_matches(error, SLICE_ERROR, SLICE_ERROR_NOT_FOUND) &&
        !g_error_matches(error, SLICE_ERROR, SLICE_ERROR_UNREACHABLE)) {
        g_warning("%s", error->message);
    }
}

void slice_lease_give(SliceStore *store, SliceEngine *engine)
{
    g_autoptr(GError) error = NULL;
    guint64 first = slice_store_lease(store, slice_engine_vm(engine), TERMS, &error);

    if (!first) {
        g_warning("VM %s gets no terms: %s", slice_engine_vm(engine), error->message);
        return;
    }
    slice_engine_lease(engine, slice_store_incarnation(store), first, TERMS, heard, NULL);
}

void slice_lease_tell_peers(guint32 orchestrator, GPtrArray *engines)
{
    for (guint i = 0; i < engines->len; i++) {
        SliceEngine *engine = g_ptr_array_index(engines, i);
        g_autoptr(GArray) peers = g_array_new(FALSE, FALSE, sizeof(SliceEnginePeer));

        for (guint k = 0; k < engines->len; k++) {
            SliceEngine *other = g_ptr_array_index(engines, k);
            /* The stream's own name of it: what hello says. */
            SliceEnginePeer peer = { slice_engine_info(other)->name,
                                     slice_engine_stream(other) };

            if (k != i && peer.stream) {
                g_array_append_val(peers, peer);
            }
        }
        slice_engine_tell_peers(engine, orchestrator, peers, heard, NULL);
    }
}
