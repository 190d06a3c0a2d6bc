/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lookup.c - another VM looks for a session: our guest is asked
 *
 *   FIND from a peer ──► LOOKUP to the guest ──► FOUND to the device ──► FOUND
 *
 * The guest gets a tag of ours.  A peer has a number of lookups under way and a
 * rate; past these, and where the guest has no buffer, it hears "again" at
 * once, and only its own finds take longer.  One that the guest never answers
 * is forgotten after a while, in the order in which they came.
 *
 * What a FOUND says besides, the count of slices that came and left, is read
 * when the guest has answered: a slice that was plugged before that answer was
 * counted before it, and one that had gone when the guest was asked, too.
 *
 * Below: the port.  Above: arrive.c.  The side that asks: find.c.
 */
#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "standard-headers/linux/virtio_slice.h"
#include "slice/store.h"

#define LOOKUPS_MAX         1024        /* of one connection */
#define LOOKUPS_PER_SECOND  1000
#define EXPIRE_MS           10000

typedef struct SliceLookup {
    uint64_t tag;               /* the guest's answer has it */
    uint64_t their_tag;
    SliceConn *conn;
    int64_t expires_ms;
    QTAILQ_ENTRY(SliceLookup) next;
} SliceLookup;

/* What the store has of this file; @list: the oldest first. */
struct SliceLookups {
    GHashTable *by_tag;
    QTAILQ_HEAD(, SliceLookup) list;
    uint64_t last_tag;
};

SliceLookups *slice_lookups_new(void)
{
    SliceLookups *lookups = g_new0(SliceLookups, 1);

    lookups->by_tag = g_hash_table_new(g_int64_hash, g_int64_equal);
    QTAILQ_INIT(&lookups->list);
    return lookups;
}

static void lookup_free(SliceLookups *lookups, SliceLookup *lookup)
{
    slice_conn_notes(lookup->conn)->n_lookups--;
    g_hash_table_remove(lookups->by_tag, &lookup->tag);
    QTAILQ_REMOVE(&lookups->list, lookup, next);
    g_free(lookup);
}

void slice_lookups_free(SliceLookups *lookups)
{
    while (!QTAILQ_EMPTY(&lookups->list)) {
        lookup_free(lookups, QTAILQ_FIRST(&lookups->list));
    }
    g_hash_table_destroy(lookups->by_tag);
    g_free(lookups);
}

static void answer(SliceStore *store, SliceConn *conn, uint64_t their_tag,
                   SliceId slice, uint32_t status)
{
    uint8_t payload[SLICE_FRAME_FOUND_BYTES];
    SliceStreamFound found = {
        .tag = their_tag, .status = status, .changes = store->n_changes,
    };

    slice_conn_send(conn, SLICE_STREAM_FOUND, slice, 0, payload,
                    slice_frame_put_found(payload, &found));
}

static void expire(SliceLookups *lookups, int64_t now)
{
    SliceLookup *lookup;

    while ((lookup = QTAILQ_FIRST(&lookups->list)) &&
           lookup->expires_ms <= now) {
        lookup_free(lookups, lookup);
    }
}

static bool ask_guest(SliceStore *store, SliceConn *conn,
                      const SliceStreamFind *find, int64_t now)
{
    SliceLookups *lookups = store->lookups;
    SliceConnNotes *notes = slice_conn_notes(conn);
    SliceLookup *lookup;
    uint64_t tag = lookups->last_tag + 1;

    if (notes->n_lookups >= LOOKUPS_MAX ||
        !slice_bucket_take(&notes->lookups, now, LOOKUPS_PER_SECOND,
                           LOOKUPS_MAX) ||
        !slice_store_tell_guest_data(store, VIRTIO_SLICE_EVENT_LOOKUP,
                                     (SliceId) {}, 0, tag, find->digest,
                                     false)) {
        return false;
    }
    lookups->last_tag = tag;
    lookup = g_new0(SliceLookup, 1);
    lookup->tag = tag;
    lookup->their_tag = find->tag;
    lookup->conn = conn;
    lookup->expires_ms = now + EXPIRE_MS;
    g_hash_table_insert(lookups->by_tag, &lookup->tag, lookup);
    QTAILQ_INSERT_TAIL(&lookups->list, lookup, next);
    notes->n_lookups++;
    return true;
}

bool slice_lookup_frame(SliceStore *store, SliceConn *conn,
                        const SliceStreamHeader *header,
                        const uint8_t *payload, const char **ret_why)
{
    int64_t now = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    SliceStreamFind find;

    if (!slice_frame_get_find(payload, header->bytes, &find, ret_why)) {
        return false;
    }
    QEMU_BUILD_BUG_ON(sizeof(find.digest) != SLICE_PORT_DATA_BYTES);
    expire(store->lookups, now);
    if (!store->is_guest_ready) {
        /* No guest, no sessions. */
        answer(store, conn, find.tag, (SliceId) {}, SLICE_FOUND_NONE);
    } else if (!ask_guest(store, conn, &find, now)) {
        answer(store, conn, find.tag, (SliceId) {}, SLICE_FOUND_AGAIN);
    }
    return true;
}

uint32_t slice_port_found(SliceStore *store, SliceId slice, uint64_t tag,
                          uint32_t status)
{
    SliceLookup *lookup = g_hash_table_lookup(store->lookups->by_tag, &tag);
    SliceEntry *entry;

    if (!lookup) {
        return SLICE_RESP_STALE;
    }
    if (status == 0) {
        entry = slice_table_find(store->table, slice);
        if (!entry || entry->state != SLICE_STATE_OWNER || entry->resuming ||
            entry->fenced) {
            status = SLICE_FOUND_AGAIN;
        }
    }
    answer(store, lookup->conn, lookup->their_tag,
           status == 0 ? slice : (SliceId) {}, status);
    lookup_free(store->lookups, lookup);
    return SLICE_RESP_OK;
}

void slice_lookup_conn_lost(SliceStore *store, SliceConn *conn)
{
    SliceLookup *lookup, *next;

    if (!slice_conn_notes(conn)->n_lookups) {
        return;
    }
    QTAILQ_FOREACH_SAFE(lookup, &store->lookups->list, next, next) {
        if (lookup->conn == conn) {
            lookup_free(store->lookups, lookup);
        }
    }
}

void slice_lookup_guest_lost(SliceStore *store)
{
    SliceLookup *lookup;

    while ((lookup = QTAILQ_FIRST(&store->lookups->list))) {
        answer(store, lookup->conn, lookup->their_tag, (SliceId) {},
               SLICE_FOUND_NONE);
        lookup_free(store->lookups, lookup);
    }
}
