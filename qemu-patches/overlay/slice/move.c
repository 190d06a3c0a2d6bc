/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * move.c - a slice leaves: the source's side of a move
 *
 * begin     QUIESCE to the guest, gate WATCH (the ring fills), dial the target
 * quiesced  no reference is held and the stream stands: the orchestrator is
 *           told, reroutes, and answers slice-unplug
 * unplug    gate DIVERT, UNPLUG to the guest; its image becomes DELTA frames
 *           while it comes; the ring, what the guest's mute caught and what the
 *           gate diverts become PACKET frames
 * PLUGGED   the point of no return: GONE, FORGOT, FORGET, gate FORWARD at once;
 *           FORGOT is said again on each new connection until a PONG tells that
 *           it has arrived, for until then the slice runs nowhere
 *
 * Until the image is whole on the stream the target can not have plugged, so
 * we may give up by ourselves (deadline, the guest's refusal).  Afterwards only
 * ABORT and REFUSED resume, never a time-out or the end of a connection.
 *
 * Resuming: the gate holds the flows, gets back what was taken for the target,
 * in order, and lets all go when the guest says RESUMED.
 *
 * Below: table.h, peer.c, the gate, the port.  Above: qmp.c.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/bswap.h"
#include "qemu/crc32c.h"
#include "qemu/error-report.h"
#include "qemu/timer.h"
#include "standard-headers/linux/virtio_slice.h"
#include "slice/packet.h"
#include "slice/store.h"
#include "trace.h"

/* For a guest that does not answer at all, past the deadline it was given. */
#define GUEST_GRACE_MS      500
/* How long slice-abort lets the monitor wait for the guest. */
#define ABORT_WAIT_NS       (5 * NANOSECONDS_PER_SECOND)

static SliceEntry *find_in(SliceStore *store, SliceId id, SliceState state,
                           uint64_t term)
{
    SliceEntry *entry = slice_table_find(store->table, id);

    return entry && entry->state == state && entry->term == term ? entry
                                                                  : NULL;
}

/* ---- resuming ---- */

static void finish_resume(SliceStore *store, SliceEntry *entry)
{
    SliceTransfer *transfer = entry->transfer;
    uint32_t why = transfer->why;

    slice_table_resumed(store->table, entry);
    if (transfer->is_unplugged) {
        slice_gate_release(store, entry);
    } else {
        slice_gate_remove(store, entry);
    }
    slice_transfer_apply_flows(store, entry);
    slice_transfer_free(transfer);
    slice_step_trace(store, "resumed", entry, why);
    slice_event_step(store, entry->id, entry->term, SLICE_STEP_RESUMED, why,
                     0, 0);
}

/* The slice is nowhere any more.  Its client may hear that from the guest. */
static void die(SliceStore *store, SliceEntry *entry, uint32_t why)
{
    slice_step_trace(store, "dead", entry, why);
    if (entry->transfer) {
        slice_job_item_done(entry->transfer, false);
    }
    slice_transfer_free(entry->transfer);
    if (entry->fenced) {
        /* Perhaps it is another VM's: nothing of it is heard from here. */
        entry->fenced = false;
        slice_gate_give_back(store, entry);
        slice_gate_set(store, entry, SLICE_GATE_FORWARD, NULL);
    } else {
        slice_gate_remove(store, entry);
    }
    slice_table_kill(store->table, entry);
    slice_event_changed(store, entry, true);
}

static void tell_target(SliceTransfer *transfer, uint16_t type)
{
    SliceConn *conn = transfer->peer ? transfer->peer->conn : NULL;

    if (conn) {
        slice_conn_send(conn, type, transfer->entry->id, transfer->entry->term,
                        NULL, 0);
    }
}

/* After SLICE_DO_RESUME: the decision is made, the guest follows. */
static void resume(SliceStore *store, SliceEntry *entry, uint32_t why)
{
    SliceTransfer *transfer = entry->transfer;

    slice_step_trace(store, "resume", entry, why);
    transfer->why = why;
    timer_del(transfer->deadline);
    tell_target(transfer, SLICE_STREAM_CANCELLED);
    slice_outbox_attach(&transfer->box, NULL);
    slice_transfer_drop_image(transfer);
    slice_job_item_done(transfer, false);
    if (transfer->is_lost || !store->is_guest_ready) {
        die(store, entry, WHY_GONE);
        return;
    }
    if (transfer->is_unplugged) {
        slice_gate_set(store, entry, SLICE_GATE_HOLD, NULL);
        for (uint32_t i = 0; i < transfer->packets->len; i++) {
            SlicePacket *packet = g_ptr_array_index(transfer->packets, i);

            /* The guest has had the ring's before it unplugged. */
            if (packet->origin != SLICE_PACKET_RING) {
                slice_gate_take(store, entry, packet->origin, packet->data,
                                packet->bytes);
            }
        }
        slice_transfer_drop_packets(transfer, transfer->packets->len);
    }
    slice_store_tell_guest(store, VIRTIO_SLICE_EVENT_RESUME, entry->id,
                           entry->term, 0, true);
}

/* By ourselves: nothing whole has left. */
static void give_up(SliceStore *store, SliceEntry *entry, uint32_t why)
{
    if (slice_table_step(store->table, entry->id, SLICE_MSG_GIVE_UP,
                         entry->term, &entry) == SLICE_DO_RESUME) {
        resume(store, entry, why);
    }
}

/* The guest has never frozen it, or has thawed it already. */
static void give_up_unfrozen(SliceStore *store, SliceEntry *entry,
                             uint32_t why)
{
    SliceTransfer *transfer = entry->transfer;

    slice_table_step(store->table, entry->id, SLICE_MSG_GIVE_UP, entry->term,
                     &entry);
    slice_table_resumed(store->table, entry);
    transfer->why = why;
    tell_target(transfer, SLICE_STREAM_CANCELLED);
    slice_job_item_done(transfer, false);
    slice_gate_remove(store, entry);
    slice_transfer_apply_flows(store, entry);
    slice_transfer_free(transfer);
    slice_step_trace(store, "not moved", entry, why);
    slice_event_step(store, entry->id, entry->term, SLICE_STEP_FAILED, why,
                     0, 0);
}

void slice_move_deadline(SliceTransfer *transfer)
{
    SliceStore *store = transfer->store;
    SliceEntry *entry = transfer->entry;

    if (entry->state == SLICE_STATE_MOVING ||
        (entry->state == SLICE_STATE_SENT && !transfer->is_whole)) {
        give_up(store, entry, WHY_DEADLINE);
    } else if (entry->state == SLICE_STATE_SENT) {
        slice_step_trace(store, "deadline", entry, WHY_DEADLINE);
        slice_event_step(store, entry->id, entry->term, SLICE_STEP_FAILED,
                         WHY_DEADLINE, transfer->image_total,
                         transfer->n_packets);
    }
}

/* ---- the orchestrator's commands ---- */

static SliceAnswer begin_failed(SliceVerdict verdict, uint32_t *ret_why)
{
    switch (verdict) {
    case SLICE_SAY_NOT_FOUND:
        *ret_why = WHY_GONE;
        return SLICE_ANSWER_NOT_FOUND;
    case SLICE_SAY_NOT_MINE:
        return SLICE_ANSWER_NOT_MINE;
    default:
        *ret_why = WHY_MOVING;
        return SLICE_ANSWER_BUSY;
    }
}

SliceAnswer slice_move_begin(SliceStore *store, SliceId id, uint64_t term,
                             SlicePeer *peer, uint32_t deadline_ms,
                             struct SliceMoveJob *job, uint32_t *ret_why)
{
    SliceEntry *entry = slice_table_find(store->table, id);
    SliceTransfer *transfer;
    SliceVerdict verdict;

    *ret_why = WHY_NONE;
    if (entry && entry->state == SLICE_STATE_OWNER &&
        entry->movability == SLICE_MOVABILITY_PINNED) {
        *ret_why = entry->why;
        return SLICE_ANSWER_BUSY;
    }
    verdict = slice_table_step(store->table, id, SLICE_MSG_QUIESCE, term,
                               &entry);
    if (verdict != SLICE_DO_QUIESCE) {
        return begin_failed(verdict, ret_why);
    }
    transfer = slice_transfer_new(store, entry);
    if (!transfer) {
        slice_table_step(store->table, id, SLICE_MSG_GIVE_UP, term, &entry);
        slice_table_resumed(store->table, entry);
        *ret_why = WHY_STATE;
        return SLICE_ANSWER_BUSY;
    }
    transfer->box.next = slice_transfer_next_bulk;
    transfer->peer = peer;
    slice_peer_ref(peer);
    slice_peer_want(peer);
    QTAILQ_INSERT_TAIL(&peer->transfers, transfer, peer_next);
    transfer->deadline_ms = deadline_ms;
    g_free(entry->peer);
    entry->peer = g_strdup(peer->name);
    slice_step_trace(store, "quiesce", entry, 0);
    if (!slice_gate_set(store, entry, SLICE_GATE_WATCH, NULL) ||
        !slice_store_tell_guest(store, VIRTIO_SLICE_EVENT_QUIESCE, id, term,
                                deadline_ms, false)) {
        slice_table_step(store->table, id, SLICE_MSG_GIVE_UP, term, &entry);
        slice_table_resumed(store->table, entry);
        slice_gate_remove(store, entry);
        slice_transfer_free(transfer);
        *ret_why = WHY_MEMORY;
        return SLICE_ANSWER_BUSY;
    }
    slice_job_add(job, transfer);
    slice_transfer_arm(transfer, deadline_ms + GUEST_GRACE_MS);
    return SLICE_ANSWER_OK;
}

/* Quiet, and a stream to send it by: the flows may be rerouted. */
static void announce_quiesced(SliceTransfer *transfer)
{
    SliceEntry *entry = transfer->entry;

    if (entry->state != SLICE_STATE_MOVING || !entry->quiet ||
        transfer->is_announced || !transfer->peer->conn ||
        !slice_conn_is_ready(transfer->peer->conn)) {
        return;
    }
    transfer->is_announced = true;
    slice_step_trace(transfer->store, "quiesced", entry, 0);
    slice_event_step(transfer->store, entry->id, entry->term,
                     SLICE_STEP_QUIESCED, WHY_NONE, 0, 0);
    slice_follow_quiesced(transfer);
}

SliceAnswer slice_move_unplug(SliceStore *store, SliceId id, uint64_t term,
                              uint32_t *ret_why)
{
    SliceEntry *entry = find_in(store, id, SLICE_STATE_MOVING, term);
    SliceTransfer *transfer;
    SliceVerdict verdict;

    *ret_why = WHY_NONE;
    if (entry && !entry->transfer->is_announced) {
        *ret_why = entry->quiet ? WHY_PEER : WHY_REFERENCES;
        return SLICE_ANSWER_BUSY;
    }
    verdict = slice_table_step(store->table, id, SLICE_MSG_UNPLUG, term,
                               &entry);
    if (verdict != SLICE_DO_UNPLUG) {
        return verdict == SLICE_SAY_NOT_FOUND ? SLICE_ANSWER_NOT_FOUND :
               verdict == SLICE_SAY_NOT_MINE ? SLICE_ANSWER_NOT_MINE :
               SLICE_ANSWER_STALE;
    }
    transfer = entry->transfer;
    transfer->is_unplugged = true;
    slice_step_trace(store, "unplug", entry, 0);
    slice_outbox_attach(&transfer->box, transfer->peer->conn);
    slice_gate_set(store, entry, SLICE_GATE_DIVERT, NULL);
    slice_gate_drain_ring(store, entry);
    slice_transfer_arm(transfer, transfer->deadline_ms + GUEST_GRACE_MS);
    slice_store_tell_guest(store, VIRTIO_SLICE_EVENT_UNPLUG, id, term,
                           transfer->deadline_ms, true);
    return SLICE_ANSWER_OK;
}

SliceAnswer slice_move_abort_now(SliceStore *store, SliceId id, uint64_t term)
{
    SliceEntry *entry;

    switch (slice_table_step(store->table, id, SLICE_MSG_ABORT, term,
                             &entry)) {
    case SLICE_DO_RESUME:
        resume(store, entry, WHY_ABORTED);
        return SLICE_ANSWER_RESUMED;
    case SLICE_DO_RESUMED:
        return SLICE_ANSWER_RESUMED;
    case SLICE_SAY_FORGOTTEN:
        return SLICE_ANSWER_FORGOTTEN;
    case SLICE_SAY_NOT_FOUND:
        return SLICE_ANSWER_NOT_FOUND;
    case SLICE_SAY_NOT_MINE:
        return SLICE_ANSWER_NOT_MINE;
    default:
        return SLICE_ANSWER_STALE;
    }
}

SliceAnswer coroutine_fn slice_move_abort(SliceStore *store, SliceId id,
                                          uint64_t term, uint32_t *ret_why)
{
    int64_t until = qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + ABORT_WAIT_NS;
    SliceAnswer answer = slice_move_abort_now(store, id, term);
    SliceEntry *entry;

    *ret_why = WHY_NONE;
    while (answer == SLICE_ANSWER_RESUMED) {
        entry = slice_table_find(store->table, id);
        if (!entry || entry->state == SLICE_STATE_DEAD) {
            *ret_why = WHY_GONE;
            return SLICE_ANSWER_NOT_FOUND;
        }
        if (!entry->resuming || entry->term != term) {
            break;
        }
        if (!slice_store_wait(store, until)) {
            *ret_why = WHY_DEADLINE;
            return SLICE_ANSWER_BUSY;
        }
    }
    return answer;
}

/* ---- the guest's answers ---- */

uint32_t slice_port_quiesced(SliceStore *store, SliceId slice, uint64_t term,
                             uint32_t status, uint32_t why)
{
    SliceEntry *entry = find_in(store, slice, SLICE_STATE_MOVING, term);

    if (!entry || entry->quiet) {
        return SLICE_RESP_STALE;
    }
    if (status) {
        give_up_unfrozen(store, entry, why ?: WHY_REFERENCES);
        slice_store_wake(store);
        return SLICE_RESP_OK;
    }
    entry->quiet = true;
    if (entry->transfer->has_regrouped) {
        /* What the target holds and is led there are not its connections. */
        give_up(store, entry, WHY_REFERENCES);
        return SLICE_RESP_OK;
    }
    slice_transfer_arm(entry->transfer, entry->transfer->deadline_ms);
    announce_quiesced(entry->transfer);
    return SLICE_RESP_OK;
}

uint32_t slice_port_unplug_failed(SliceStore *store, SliceId slice,
                                  uint64_t term, uint32_t status, uint32_t why)
{
    SliceEntry *entry = find_in(store, slice, SLICE_STATE_SENT, term);

    if (!entry || entry->transfer->is_whole) {
        return SLICE_RESP_STALE;
    }
    give_up(store, entry, why ?: WHY_STATE);
    return SLICE_RESP_OK;
}

uint32_t slice_port_resumed(SliceStore *store, SliceId slice, uint64_t term,
                            uint32_t status, uint32_t why)
{
    SliceEntry *entry = find_in(store, slice, SLICE_STATE_OWNER, term);

    if (!entry || !entry->resuming) {
        return SLICE_RESP_STALE;
    }
    if (status) {
        warn_report("slice-store '%s': the guest could not resume slice "
                    "%016" PRIx64 ":%016" PRIx64 ": errno %u",
                    store->name, slice.incarnation, slice.counter, status);
        slice_event_step(store, slice, term, SLICE_STEP_FAILED,
                         why ?: WHY_STATE, 0, 0);
        die(store, entry, why);
    } else {
        finish_resume(store, entry);
        if (entry->ended) {
            slice_event_changed(store, entry, true);
            slice_table_remove(store->table, entry);
        }
    }
    slice_store_wake(store);
    return SLICE_RESP_OK;
}

static void image_is_whole(SliceStore *store, SliceEntry *entry)
{
    SliceTransfer *transfer = entry->transfer;

    transfer->is_whole = true;
    transfer->moved_bytes = transfer->image_total;
    transfer->image_crc = crc32c(0xffffffff, transfer->image->data,
                                 transfer->image->len);
    slice_transfer_arm(transfer, transfer->deadline_ms);
    slice_step_trace(store, "sent", entry, 0);
    slice_event_step(store, entry->id, entry->term, SLICE_STEP_SENT, WHY_NONE,
                     transfer->moved_bytes, transfer->n_packets);
}

uint32_t slice_port_image(SliceStore *store, SliceId slice, uint64_t term,
                          uint64_t offset, uint64_t total_bytes,
                          const uint8_t *data, size_t bytes, bool last)
{
    SliceEntry *entry = find_in(store, slice, SLICE_STATE_SENT, term);
    SliceTransfer *transfer = entry ? entry->transfer : NULL;
    uint64_t have;

    if (!entry || transfer->is_whole) {
        return SLICE_RESP_STALE;
    }
    have = transfer->image ? transfer->image->len : 0;
    if (!total_bytes || total_bytes > store->image_bytes_max ||
        (transfer->image_total && total_bytes != transfer->image_total) ||
        offset != have || !bytes || bytes > total_bytes - have ||
        last != (have + bytes == total_bytes)) {
        return SLICE_RESP_INVALID;
    }
    if (!slice_transfer_add(transfer, data, bytes)) {
        give_up(store, entry, WHY_MEMORY);
        return SLICE_RESP_NO_ROOM;
    }
    transfer->image_total = total_bytes;
    if (last) {
        image_is_whole(store, entry);
    }
    slice_outbox_kick(&transfer->box);
    return SLICE_RESP_OK;
}

uint32_t slice_port_packets(SliceStore *store, SliceId slice, uint64_t term,
                            const uint8_t *data, size_t bytes)
{
    SliceEntry *entry = slice_table_find(store->table, slice);
    SliceFlow flow;
    uint32_t length;
    bool is_resuming = entry && entry->state == SLICE_STATE_OWNER &&
                       entry->resuming;

    if (!entry || entry->term != term || !entry->transfer ||
        (entry->state != SLICE_STATE_SENT &&
         entry->state != SLICE_STATE_GONE && !is_resuming)) {
        return SLICE_RESP_STALE;
    }
    while (bytes) {
        length = bytes < 4 ? 0 : ldl_le_p(data);
        if (!length || length > bytes - 4) {
            return SLICE_RESP_INVALID;
        }
        data += 4;
        bytes -= 4;
        if (is_resuming) {
            slice_gate_take(store, entry, SLICE_PACKET_CAUGHT, data, length);
        } else if (slice_packet_flow(data, length, false, true, &flow, NULL) &&
                   slice_table_find_flow(store->table, &flow) == entry) {
            slice_transfer_add_packet(entry->transfer, SLICE_PACKET_CAUGHT,
                                      data, length);
        } else {
            store->n_dropped++;
        }
        length = MIN(ROUND_UP(length, 4), bytes);
        data += length;
        bytes -= length;
    }
    return SLICE_RESP_OK;
}

void slice_move_ended(SliceStore *store, SliceEntry *entry)
{
    SliceTransfer *transfer = entry->transfer;

    tell_target(transfer, SLICE_STREAM_CANCELLED);
    slice_job_item_done(transfer, false);
    slice_event_step(store, entry->id, entry->term, SLICE_STEP_FAILED,
                     WHY_GONE, 0, 0);
}

void slice_move_guest_lost(SliceStore *store, SliceEntry *entry)
{
    SliceTransfer *transfer = entry->transfer;

    if (entry->state == SLICE_STATE_SENT && transfer->is_whole) {
        /* The target may still get it; only we can not have it back. */
        transfer->is_lost = true;
        return;
    }
    if (entry->state != SLICE_STATE_OWNER) {
        tell_target(transfer, SLICE_STREAM_CANCELLED);
        slice_event_step(store, entry->id, entry->term, SLICE_STEP_FAILED,
                         WHY_GONE, 0, 0);
    }
    die(store, entry, WHY_GONE);
}

/* ---- packets from the gate ---- */

/*
 * A client that begins anew with a flow that has been here: not ours to mute.
 * Returns true where the packet went to the guest.
 */
static bool let_syn_in(SliceStore *store, const uint8_t *frame, size_t bytes)
{
    SlicePacketInfo info;
    SliceFlow flow;

    if (!slice_packet_flow(frame, bytes, true, true, &flow, &info) ||
        !info.is_syn) {
        return false;
    }
    slice_table_drop_flow(store->table, &flow);
    store->gate_ops->remove(store->gate, &flow);
    store->gate_ops->inject(store->gate, &flow, frame, bytes);
    return true;
}

void slice_move_deliver(SliceStore *store, SliceEntry *entry, uint32_t origin,
                        const uint8_t *frame, size_t bytes)
{
    SliceTransfer *transfer = entry->transfer;

    switch (entry->state) {
    case SLICE_STATE_SENT:
        slice_transfer_add_packet(transfer, origin, frame, bytes);
        return;
    case SLICE_STATE_GONE:
    case SLICE_STATE_DEAD:
        if (let_syn_in(store, frame, bytes)) {
            return;
        }
        if (!transfer || (!transfer->peer && !transfer->box.conn) ||
            origin == SLICE_PACKET_RING) {
            break;
        }
        slice_transfer_add_packet(transfer, transfer->peer
                                  ? SLICE_PACKET_FORWARD
                                  : SLICE_PACKET_DIVERTED, frame, bytes);
        if (transfer->peer) {
            slice_peer_dial(transfer->peer);
        }
        return;
    default:
        break;
    }
    store->n_dropped++;
    trace_slice_packet_dropped(store->name, origin, entry->id.counter,
                               "nowhere to go");
}

/* ---- the target's frames ---- */

/* Control frames keep their order: PONG says that FORGOT was read. */
static void say_forgot(SliceConn *conn, SliceId id, uint64_t term)
{
    uint8_t ping[24];

    stq_le_p(ping, id.incarnation);
    stq_le_p(ping + 8, id.counter);
    stq_le_p(ping + 16, term);
    slice_conn_send(conn, SLICE_STREAM_FORGOT, id, term, NULL, 0);
    slice_conn_send(conn, SLICE_STREAM_PING, (SliceId) {}, 0, ping,
                    sizeof(ping));
}

static void take_pong(SliceStore *store, SliceConn *conn,
                      const uint8_t *payload, size_t bytes)
{
    SliceId id;
    SliceEntry *entry;

    if (bytes != 24) {
        return;
    }
    id.incarnation = ldq_le_p(payload);
    id.counter = ldq_le_p(payload + 8);
    entry = find_in(store, id, SLICE_STATE_GONE, ldq_le_p(payload + 16));
    if (entry && entry->transfer && entry->transfer->peer &&
        entry->transfer->peer->conn == conn) {
        slice_transfer_forgotten(entry->transfer);
    }
}

/* The point of no return, all at once. */
static void forget(SliceStore *store, SliceEntry *entry)
{
    SliceTransfer *transfer = entry->transfer;

    transfer->is_unforgotten = true;
    slice_peer_want(transfer->peer);
    say_forgot(transfer->peer->conn, entry->id, entry->term);
    slice_gate_set(store, entry, SLICE_GATE_FORWARD, NULL);
    slice_store_tell_guest(store, VIRTIO_SLICE_EVENT_FORGET, entry->id,
                           entry->term, 0, true);
    slice_transfer_drop_image(transfer);
    slice_transfer_drop_packets(transfer, transfer->n_packets_sent);
    slice_transfer_rest(transfer);
    store->n_changes++;
    slice_job_item_done(transfer, true);
    slice_step_trace(store, "gone", entry, 0);
    slice_event_step(store, entry->id, entry->term, SLICE_STEP_GONE, WHY_NONE,
                     transfer->moved_bytes, transfer->n_packets);
}

static void take_plugged(SliceStore *store, SliceConn *conn, SliceId id,
                         uint64_t term)
{
    SliceEntry *entry = slice_table_find(store->table, id);
    bool is_its_peer = entry && entry->transfer && entry->transfer->peer &&
                       entry->transfer->peer->conn == conn;
    bool is_whole = is_its_peer && entry->transfer->is_whole;
    SliceVerdict verdict = SLICE_DO_CANCEL_PEER;

    if (is_its_peer && (is_whole || entry->state != SLICE_STATE_SENT)) {
        verdict = slice_table_step(store->table, id, SLICE_MSG_PLUGGED, term,
                                   &entry);
    }
    if (verdict == SLICE_DO_FORGET) {
        forget(store, entry);
    } else if (verdict == SLICE_DO_FORGET_AGAIN) {
        say_forgot(conn, id, term);
    } else {
        slice_conn_send(conn, SLICE_STREAM_CANCELLED, id, term, NULL, 0);
    }
}

/* A packet that was held at a target which does not get the slice. */
static void take_return(SliceStore *store, SliceId id, uint64_t term,
                        const SliceStreamPacket *packet, const uint8_t *data)
{
    SliceEntry *entry = slice_table_find(store->table, id);
    bool is_forward = entry && entry->term > term;

    if (packet->origin == SLICE_PACKET_RING) {
        /* A copy: the guest has had it. */
        return;
    }
    if (entry && entry->term >= term && slice_entry_runs_here(entry)) {
        slice_gate_take(store, entry, packet->origin, data, packet->bytes);
    } else if (is_forward && entry->transfer &&
               (entry->state == SLICE_STATE_SENT ||
                (entry->state == SLICE_STATE_GONE && entry->transfer->peer))) {
        slice_transfer_add_packet(entry->transfer, packet->origin, data,
                                  packet->bytes);
    } else {
        store->n_dropped++;
        trace_slice_packet_dropped(store->name, packet->origin, id.counter,
                                   "returned to one who does not own it");
    }
}

static void take_refused(SliceStore *store, SliceConn *conn, SliceId id,
                         uint64_t term, uint32_t why)
{
    SliceEntry *entry = slice_table_find(store->table, id);

    if (entry && entry->transfer && entry->transfer->peer &&
        entry->transfer->peer->conn == conn &&
        slice_table_step(store->table, id, SLICE_MSG_REFUSED, term, &entry) ==
        SLICE_DO_RESUME) {
        resume(store, entry, why ?: WHY_PEER);
        slice_store_wake(store);
    }
}

static void take_credit(SliceStore *store, SliceConn *conn, SliceId id,
                        uint64_t bytes)
{
    SliceEntry *entry = slice_table_find(store->table, id);
    SliceTransfer *transfer = entry ? entry->transfer : NULL;

    if (transfer && transfer->box.conn == conn) {
        transfer->credit = MIN(transfer->credit + bytes, UINT32_MAX);
        slice_outbox_kick(&transfer->box);
    }
}

bool slice_move_frame(SliceStore *store, SliceConn *conn,
                      const SliceStreamHeader *header, const uint8_t *payload,
                      const char **ret_why)
{
    SliceId id = { header->incarnation, header->counter };
    SliceStreamRefused refused;
    SliceStreamCredit credit;
    SliceStreamPacket packet;
    const uint8_t *data;

    switch (header->type) {
    case SLICE_STREAM_PLUGGED:
        if (!slice_frame_get_nothing(header->bytes, ret_why)) {
            return false;
        }
        take_plugged(store, conn, id, header->term);
        return true;
    case SLICE_STREAM_REFUSED:
        if (!slice_frame_get_refused(payload, header->bytes, &refused,
                                     ret_why)) {
            return false;
        }
        take_refused(store, conn, id, header->term, refused.why);
        return true;
    case SLICE_STREAM_CREDIT:
        if (!slice_frame_get_credit(payload, header->bytes, &credit,
                                    ret_why)) {
            return false;
        }
        take_credit(store, conn, id, credit.bytes);
        return true;
    case SLICE_STREAM_RETURN:
        if (!slice_frame_get_packet(payload, header->bytes, &packet, &data,
                                    ret_why)) {
            return false;
        }
        take_return(store, id, header->term, &packet, data);
        return true;
    case SLICE_STREAM_FOUND:
        return slice_find_frame(store, conn, header, payload, ret_why);
    case SLICE_STREAM_RESERVED:
        return slice_follow_frame(store, conn, header, payload, ret_why);
    case SLICE_STREAM_PONG:
        take_pong(store, conn, payload, header->bytes);
        return true;
    default:
        *ret_why = "a frame that a target does not send";
        return !(header->flags & SLICE_STREAM_MUST);
    }
}

void slice_move_peer_ready(SlicePeer *peer)
{
    SliceTransfer *transfer, *next;

    QTAILQ_FOREACH_SAFE(transfer, &peer->transfers, peer_next, next) {
        SliceEntry *entry = transfer->entry;

        transfer->credit = SLICE_STREAM_CREDIT_BYTES;
        if (entry->state == SLICE_STATE_SENT) {
            /* All again: what arrived is dropped or known at the target. */
            transfer->image_sent = 0;
            transfer->is_end_sent = false;
            transfer->n_packets_sent = 0;
            slice_outbox_attach(&transfer->box, peer->conn);
        } else if (entry->state == SLICE_STATE_GONE) {
            if (transfer->is_unforgotten) {
                say_forgot(peer->conn, entry->id, entry->term);
            }
            slice_outbox_attach(&transfer->box, peer->conn);
        } else {
            announce_quiesced(transfer);
        }
    }
}
