/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arrive.c - a slice comes: the target's side of a move
 *
 * prepare   reserve.c: reserved, the gate holds
 * DELTA     bytes of the image, collected and bounded; packets go to the gate
 * DELTA_END whole and unspoiled: the guest is asked for ROOM, fetches the
 *           bytes from here and plugs, frozen and mute
 * PLUGGED   told to the source, again after a reconnect
 * FORGOT    it runs here: OPEN to the guest, the gate lets everything go
 *
 * What is cancelled, refused or can not be plugged leaves a quarantine: an
 * entry that is GONE, whose flows stay mute here, and whose packets go back to
 * the source by the connection that it came on.  The end of a connection alone
 * changes nothing, except under a takeover, where the source is known to be
 * dead and the end of its stream says that all of it is here.
 *
 * Below: table.h, the gate, the port.  Above: qmp.c.
 */
#include "qemu/osdep.h"
#include "qemu/crc32c.h"
#include "qemu/error-report.h"
#include "qemu/timer.h"
#include "standard-headers/linux/virtio_slice.h"
#include "slice/packet.h"
#include "slice/store.h"
#include "trace.h"

/* Credit is given back in portions of this. */
#define CREDIT_PORTION      (256 * 1024)
/* How long a dead source's stream may take to end, before it is cut. */
#define DRAIN_MS            2000
/* How long slice-takeover lets the monitor wait. */
#define TAKEOVER_WAIT_NS    (8 * NANOSECONDS_PER_SECOND)

static void refuse(SliceConn *conn, SliceId id, uint64_t term, uint32_t why)
{
    uint8_t payload[SLICE_FRAME_REFUSED_BYTES];
    SliceStreamRefused refused = { .why = why };

    if (conn) {
        slice_conn_send(conn, SLICE_STREAM_REFUSED, id, term, payload,
                        slice_frame_put_refused(payload, &refused));
    }
}

static void give_credit(SliceConn *conn, const SliceStreamHeader *header,
                        uint64_t bytes)
{
    uint8_t payload[SLICE_FRAME_CREDIT_BYTES];
    SliceStreamCredit credit = { .bytes = bytes };

    slice_conn_send(conn, SLICE_STREAM_CREDIT,
                    (SliceId) { header->incarnation, header->counter },
                    header->term, payload,
                    slice_frame_put_credit(payload, &credit));
}

/* It is not wanted here, now or any more: flows stay mute, packets go back. */
static void discard(SliceStore *store, SliceEntry *entry, uint32_t why)
{
    SliceTransfer *transfer = entry->transfer;

    slice_step_trace(store, "discard", entry, why);
    entry->ended = false;
    slice_transfer_drop_image(transfer);
    slice_transfer_rest(transfer);
    if (transfer->is_room_asked) {
        slice_store_tell_guest(store, VIRTIO_SLICE_EVENT_DISCARD, entry->id,
                               entry->term, 0, true);
    } else if (transfer->is_booked) {
        slice_store_tell_guest(store, VIRTIO_SLICE_EVENT_UNRESERVE, entry->id,
                               entry->term, 0, true);
    }
    slice_outbox_attach(&transfer->box, transfer->conn);
    transfer->conn = NULL;
    slice_gate_give_back(store, entry);
    slice_gate_set(store, entry, SLICE_GATE_FORWARD, NULL);
    slice_event_step(store, entry->id, entry->term, SLICE_STEP_DISCARDED, why,
                     0, 0);
}

/* By ourselves: the source is told that it may resume. */
static void refuse_arrival(SliceStore *store, SliceEntry *entry, uint32_t why)
{
    SliceConn *conn = entry->transfer->conn;
    SliceId id = entry->id;
    uint64_t term = entry->term;

    if (slice_table_step(store->table, id, SLICE_MSG_GUEST_REFUSED, term,
                         &entry) == SLICE_DO_DISCARD) {
        refuse(conn, id, term, why);
        discard(store, entry, why);
        slice_store_wake(store);
    }
}

SliceConn *slice_arrive_find_conn(SliceStore *store, const char *name)
{
    SliceConn *found = NULL;

    for (int i = 0; i < SLICE_INCOMING_MAX; i++) {
        SliceConn *conn = store->incoming[i];

        if (conn && slice_conn_is_ready(conn) &&
            !g_strcmp0(slice_conn_peer_name(conn), name) &&
            (!found || slice_conn_is_newer(conn, found))) {
            found = conn;
        }
    }
    return found;
}

/* ---- opening ---- */

/* After SLICE_DO_OPEN. */
static void open_slice(SliceStore *store, SliceEntry *entry)
{
    SliceTransfer *transfer = entry->transfer;
    uint64_t bytes = transfer->moved_bytes;
    uint64_t packets = transfer->n_packets;

    slice_store_tell_guest(store, VIRTIO_SLICE_EVENT_OPEN, entry->id,
                           entry->term, 0, true);
    slice_gate_release(store, entry);
    slice_transfer_apply_flows(store, entry);
    slice_transfer_free(transfer);
    slice_step_trace(store, "done", entry, 0);
    slice_event_step(store, entry->id, entry->term, SLICE_STEP_DONE, WHY_NONE,
                     bytes, packets);
    slice_event_changed(store, entry, entry->ended);
    if (entry->ended) {
        slice_table_remove(store->table, entry);
    }
    slice_store_wake(store);
}

/* A takeover goes on as far as what is known of the dead source allows. */
static void settle_takeover(SliceStore *store, SliceEntry *entry)
{
    SliceTransfer *transfer = entry->transfer;

    if (!transfer || !transfer->is_takeover) {
        return;
    }
    if (entry->state == SLICE_STATE_PLUGGED) {
        slice_table_step(store->table, entry->id, SLICE_MSG_TAKEOVER,
                         entry->term, &entry);
        open_slice(store, entry);
    } else if (!transfer->conn && !transfer->is_whole) {
        slice_table_step(store->table, entry->id, SLICE_MSG_CANCEL,
                         entry->term, &entry);
        discard(store, entry, WHY_PEER);
        slice_store_wake(store);
    }
}

void slice_arrive_deadline(SliceTransfer *transfer)
{
    if (transfer->is_takeover) {
        if (transfer->conn) {
            slice_conn_close(transfer->conn);
        }
    } else if (transfer->lapse_ms && !transfer->is_whole &&
               transfer->entry->state == SLICE_STATE_RESERVED) {
        refuse_arrival(transfer->store, transfer->entry, WHY_DEADLINE);
    }
}

SliceAnswer coroutine_fn slice_arrive_takeover(SliceStore *store, SliceId id,
                                               uint64_t term)
{
    int64_t until = qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + TAKEOVER_WAIT_NS;
    SliceEntry *entry;

    switch (slice_table_step(store->table, id, SLICE_MSG_TAKEOVER, term,
                             &entry)) {
    case SLICE_DO_OPEN:
        open_slice(store, entry);
        return SLICE_ANSWER_IS_OWNER;
    case SLICE_SAY_IS_OWNER:
        return SLICE_ANSWER_IS_OWNER;
    case SLICE_DO_DRAIN:
        break;
    default:
        return SLICE_ANSWER_STALE;
    }
    entry->transfer->is_takeover = true;
    slice_transfer_arm(entry->transfer, DRAIN_MS);
    settle_takeover(store, entry);
    for (;;) {
        entry = slice_table_find(store->table, id);
        if (!entry || entry->term != term || slice_entry_is_tombstone(entry)) {
            return SLICE_ANSWER_NOT_FOUND;
        }
        if (entry->state == SLICE_STATE_OWNER) {
            return SLICE_ANSWER_IS_OWNER;
        }
        if (!slice_store_wait(store, until)) {
            return SLICE_ANSWER_BUSY;
        }
    }
}

SliceAnswer slice_arrive_cancel(SliceStore *store, SliceId id, uint64_t term)
{
    SliceEntry *entry;

    if (slice_reserve_cancel(store, id, term, NULL)) {
        return SLICE_ANSWER_OK;
    }
    switch (slice_table_step(store->table, id, SLICE_MSG_CANCEL, term,
                             &entry)) {
    case SLICE_DO_DISCARD:
        discard(store, entry, WHY_ABORTED);
        slice_store_wake(store);
        return SLICE_ANSWER_OK;
    case SLICE_SAY_IS_OWNER:
        return SLICE_ANSWER_IS_OWNER;
    default:
        return SLICE_ANSWER_STALE;
    }
}

SliceAnswer slice_arrive_confirm(SliceStore *store, SliceId id, uint64_t term,
                                 bool accept)
{
    SliceEntry *entry = slice_table_find(store->table, id);

    if (!entry) {
        return SLICE_ANSWER_NOT_FOUND;
    }
    if (!entry->fenced || term < entry->term) {
        return SLICE_ANSWER_STALE;
    }
    entry->fenced = false;
    if (accept) {
        entry->term = term;
        slice_gate_release(store, entry);
        slice_event_changed(store, entry, entry->ended);
        if (entry->ended) {
            slice_table_remove(store->table, entry);
        }
        return SLICE_ANSWER_OK;
    }
    slice_gate_give_back(store, entry);
    slice_gate_set(store, entry, SLICE_GATE_FORWARD, NULL);
    slice_store_tell_guest(store, VIRTIO_SLICE_EVENT_DISCARD, id, term, 0,
                           true);
    slice_event_changed(store, entry, true);
    slice_table_kill(store->table, entry);
    return SLICE_ANSWER_OK;
}

/* ---- the source's frames ---- */

/* The entry that this connection's source may speak about; NULL: not its. */
static SliceEntry *find_its(SliceStore *store, SliceConn *conn, SliceId id)
{
    SliceEntry *entry = slice_table_find(store->table, id);

    return entry && entry->peer &&
           !strcmp(entry->peer, slice_conn_peer_name(conn)) ? entry : NULL;
}

static SliceVerdict step_delta(SliceStore *store, SliceConn *conn, SliceId id,
                               uint64_t term, SliceEntry **ret_entry)
{
    SliceVerdict verdict = SLICE_DO_REFUSE;

    if (find_its(store, conn, id)) {
        verdict = slice_table_step(store->table, id, SLICE_MSG_DELTA, term,
                                   ret_entry);
    }
    if (verdict == SLICE_DO_RECEIVE || verdict == SLICE_DO_SAY_PLUGGED) {
        (*ret_entry)->transfer->conn = conn;
    }
    return verdict;
}

static void take_delta(SliceStore *store, SliceConn *conn,
                       const SliceStreamHeader *header, uint64_t offset,
                       const uint8_t *data, size_t bytes)
{
    SliceId id = { header->incarnation, header->counter };
    SliceEntry *entry;
    SliceTransfer *transfer;
    SliceVerdict verdict = step_delta(store, conn, id, header->term, &entry);

    if (verdict == SLICE_DO_REFUSE && !offset) {
        /* Once for an image: its end is refused as well. */
        refuse(conn, id, header->term, WHY_TERM);
    }
    if (verdict != SLICE_DO_RECEIVE || entry->transfer->is_whole) {
        give_credit(conn, header, header->bytes);
        return;
    }
    transfer = entry->transfer;
    if (!offset && transfer->image) {
        /* The source begins again after a reconnect. */
        slice_transfer_drop_image(transfer);
        transfer->credit_owed = 0;
    }
    if (offset != (transfer->image ? transfer->image->len : 0)) {
        refuse_arrival(store, entry, WHY_IMAGE);
        return;
    }
    if (!slice_transfer_add(transfer, data, bytes)) {
        refuse_arrival(store, entry, WHY_MEMORY);
        return;
    }
    if (transfer->lapse_ms && !transfer->is_takeover) {
        slice_transfer_arm(transfer, transfer->lapse_ms);
    }
    transfer->credit_owed += header->bytes;
    if (transfer->credit_owed >= CREDIT_PORTION) {
        give_credit(conn, header, transfer->credit_owed);
        transfer->credit_owed = 0;
    }
}

static void take_delta_end(SliceStore *store, SliceConn *conn, SliceId id,
                           uint64_t term, const SliceStreamDeltaEnd *end)
{
    SliceEntry *entry;
    SliceTransfer *transfer;

    switch (step_delta(store, conn, id, term, &entry)) {
    case SLICE_DO_RECEIVE:
        break;
    case SLICE_DO_SAY_PLUGGED:
        slice_conn_send(conn, SLICE_STREAM_PLUGGED, id, term, NULL, 0);
        return;
    case SLICE_DO_REFUSE:
        refuse(conn, id, term, WHY_TERM);
        return;
    default:
        return;
    }
    transfer = entry->transfer;
    if (transfer->is_whole) {
        return;
    }
    if (!transfer->image || transfer->image->len != end->total_bytes ||
        crc32c(0xffffffff, transfer->image->data, transfer->image->len) !=
        end->crc32c) {
        refuse_arrival(store, entry, WHY_IMAGE);
        return;
    }
    transfer->is_whole = true;
    transfer->image_total = end->total_bytes;
    transfer->moved_bytes = end->total_bytes;
    transfer->is_room_asked = true;
    slice_step_trace(store, "room", entry, 0);
    if (!slice_store_tell_guest(store, VIRTIO_SLICE_EVENT_ROOM, id, term,
                                end->total_bytes, true)) {
        transfer->is_room_asked = false;
        refuse_arrival(store, entry, WHY_MEMORY);
    }
}

static void take_packet(SliceStore *store, SliceConn *conn,
                        const SliceStreamHeader *header,
                        const SliceStreamPacket *packet, const uint8_t *data)
{
    SliceId id = { header->incarnation, header->counter };
    SliceEntry *entry = slice_table_find(store->table, id);
    SliceTransfer *transfer = entry ? entry->transfer : NULL;

    give_credit(conn, header, header->bytes);
    if (entry && slice_entry_runs_here(entry) &&
        entry->term >= header->term && !entry->fenced) {
        slice_gate_take(store, entry, packet->origin, data, packet->bytes);
        return;
    }
    if (entry && entry->term == header->term && transfer &&
        (entry->state == SLICE_STATE_RESERVED ||
         entry->state == SLICE_STATE_PLUGGED)) {
        transfer->n_packets++;
        slice_gate_take(store, entry, packet->origin, data, packet->bytes);
        return;
    }
    if (entry && entry->term > header->term && transfer && transfer->peer &&
        (entry->state == SLICE_STATE_SENT ||
         entry->state == SLICE_STATE_GONE)) {
        /* It has moved on, by a later term: so does the packet. */
        slice_transfer_add_packet(transfer, packet->origin, data,
                                  packet->bytes);
        return;
    }
    if (entry && entry->state == SLICE_STATE_GONE && transfer &&
        entry->term == header->term && transfer->box.conn == conn &&
        packet->origin != SLICE_PACKET_RING) {
        /* Cancelled here while it was under way: back to where it is. */
        slice_transfer_add_packet(transfer, packet->origin, data,
                                  packet->bytes);
        return;
    }
    store->n_dropped++;
    trace_slice_packet_dropped(store->name, packet->origin, id.counter,
                               "not the owner");
}

static void take_forgot(SliceStore *store, SliceConn *conn, SliceId id,
                        uint64_t term)
{
    SliceEntry *entry;

    if (find_its(store, conn, id) &&
        slice_table_step(store->table, id, SLICE_MSG_FORGOT, term, &entry) ==
        SLICE_DO_OPEN) {
        open_slice(store, entry);
    }
}

static void take_cancelled(SliceStore *store, SliceConn *conn, SliceId id,
                           uint64_t term)
{
    SliceEntry *entry;

    if (slice_reserve_cancel(store, id, term, conn)) {
        return;
    }
    if (find_its(store, conn, id) &&
        slice_table_step(store->table, id, SLICE_MSG_CANCELLED, term,
                         &entry) == SLICE_DO_DISCARD) {
        entry->transfer->conn = conn;
        discard(store, entry, WHY_ABORTED);
        slice_store_wake(store);
    }
}

bool slice_arrive_frame(SliceStore *store, SliceConn *conn,
                        const SliceStreamHeader *header,
                        const uint8_t *payload, const char **ret_why)
{
    SliceId id = { header->incarnation, header->counter };
    SliceStreamDeltaEnd end;
    SliceStreamPacket packet;
    const uint8_t *data;
    uint64_t offset;
    size_t bytes;

    switch (header->type) {
    case SLICE_STREAM_DELTA:
        if (!slice_frame_get_delta(payload, header->bytes, &offset, &data,
                                   &bytes, ret_why)) {
            return false;
        }
        take_delta(store, conn, header, offset, data, bytes);
        return true;
    case SLICE_STREAM_DELTA_END:
        if (!slice_frame_get_delta_end(payload, header->bytes, &end,
                                       ret_why)) {
            return false;
        }
        take_delta_end(store, conn, id, header->term, &end);
        return true;
    case SLICE_STREAM_PACKET:
        if (!slice_frame_get_packet(payload, header->bytes, &packet, &data,
                                    ret_why)) {
            return false;
        }
        take_packet(store, conn, header, &packet, data);
        return true;
    case SLICE_STREAM_FORGOT:
    case SLICE_STREAM_CANCELLED:
        if (!slice_frame_get_nothing(header->bytes, ret_why)) {
            return false;
        }
        if (header->type == SLICE_STREAM_FORGOT) {
            take_forgot(store, conn, id, header->term);
        } else {
            take_cancelled(store, conn, id, header->term);
        }
        return true;
    case SLICE_STREAM_FIND:
        return slice_lookup_frame(store, conn, header, payload, ret_why);
    case SLICE_STREAM_RESERVE:
        return slice_reserve_frame(store, conn, header, payload, ret_why);
    case SLICE_STREAM_PONG:
        return true;
    default:
        *ret_why = "a frame that a source does not send";
        return !(header->flags & SLICE_STREAM_MUST);
    }
}

/* ---- connections ---- */

void slice_arrive_conn_ready(SliceStore *store, SliceConn *conn)
{
    const char *name = slice_conn_peer_name(conn);
    SliceEntry *entry;

    QTAILQ_FOREACH(entry, slice_table_entries(store->table), next) {
        if (!entry->transfer || entry->transfer->peer ||
            g_strcmp0(entry->peer, name)) {
            continue;
        }
        switch (entry->state) {
        case SLICE_STATE_RESERVED:
            entry->transfer->conn = conn;
            break;
        case SLICE_STATE_PLUGGED:
            entry->transfer->conn = conn;
            slice_conn_send(conn, SLICE_STREAM_PLUGGED, entry->id, entry->term,
                            NULL, 0);
            break;
        case SLICE_STATE_GONE:
            slice_outbox_attach(&entry->transfer->box, conn);
            break;
        default:
            break;
        }
    }
}

void slice_arrive_conn_lost(SliceStore *store, SliceConn *conn)
{
    SliceEntry *entry, *next;

    slice_reserve_drop(store, conn);
    slice_lookup_conn_lost(store, conn);
    QTAILQ_FOREACH_SAFE(entry, slice_table_entries(store->table), next, next) {
        if (entry->transfer && entry->transfer->conn == conn) {
            /* The source may have dialled again already. */
            entry->transfer->conn = slice_arrive_find_conn(store, entry->peer);
            settle_takeover(store, entry);
        }
    }
}

/* ---- the guest ---- */

uint32_t slice_port_room(SliceStore *store, SliceId slice, uint64_t term,
                         uint64_t offset, size_t bytes,
                         const uint8_t **ret_data, uint64_t *ret_total_bytes)
{
    SliceEntry *entry = slice_table_find(store->table, slice);

    if (!entry) {
        return SLICE_RESP_UNKNOWN;
    }
    if (entry->state != SLICE_STATE_RESERVED || entry->term != term ||
        !entry->transfer->is_whole) {
        return SLICE_RESP_STALE;
    }
    if (offset > entry->transfer->image_total ||
        bytes > entry->transfer->image_total - offset) {
        return SLICE_RESP_INVALID;
    }
    *ret_data = entry->transfer->image->data + offset;
    *ret_total_bytes = entry->transfer->image_total;
    return SLICE_RESP_OK;
}

uint32_t slice_port_plugged(SliceStore *store, SliceId slice, uint64_t term,
                            uint32_t status, uint32_t why)
{
    SliceEntry *entry = slice_table_find(store->table, slice);
    SliceTransfer *transfer;

    if (!entry || entry->state != SLICE_STATE_RESERVED ||
        entry->term != term || !entry->transfer->is_whole) {
        return SLICE_RESP_STALE;
    }
    transfer = entry->transfer;
    if (status) {
        /* It has nothing to discard, and keeps no room for it. */
        transfer->is_room_asked = false;
        transfer->is_booked = false;
        refuse_arrival(store, entry, why ?: WHY_LAYER_REFUSED);
        return SLICE_RESP_OK;
    }
    slice_table_step(store->table, slice, SLICE_MSG_GUEST_PLUGGED, term,
                     &entry);
    store->n_changes++;
    store->n_arrivals++;
    slice_transfer_drop_image(transfer);
    slice_step_trace(store, "plugged", entry, 0);
    slice_event_step(store, slice, term, SLICE_STEP_PLUGGED, WHY_NONE,
                     transfer->moved_bytes, 0);
    if (transfer->is_takeover) {
        settle_takeover(store, entry);
    } else if (transfer->conn) {
        slice_conn_send(transfer->conn, SLICE_STREAM_PLUGGED, slice, term,
                        NULL, 0);
    }
    return SLICE_RESP_OK;
}

void slice_arrive_guest_lost(SliceStore *store, SliceEntry *entry)
{
    entry->transfer->is_room_asked = false;
    entry->transfer->is_booked = false;
    refuse_arrival(store, entry, WHY_GONE);
}
