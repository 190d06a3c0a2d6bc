/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * transfer.c - what is kept of a slice on its way, and its bulk on the stream
 *
 * At the source an image and its packets stay until the slice is gone: after a
 * reconnect all of it is sent again.  Past their bounds packets are dropped and
 * counted, an image is refused.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "migration/blocker.h"
#include "qemu/timer.h"
#include "slice/packet.h"
#include "slice/store.h"
#include "trace.h"

/* Of an image, in one frame: control frames need not wait for more. */
#define PIECE_BYTES         (60 * 1024)

bool slice_store_begin_active(SliceStore *store)
{
    if (!store->n_active) {
        error_setg(&store->blocker, "slice-store '%s' is moving slices",
                   store->name);
        if (migrate_add_blocker(&store->blocker, NULL) < 0) {
            return false;
        }
    }
    store->n_active++;
    return true;
}

void slice_store_end_active(SliceStore *store)
{
    if (!--store->n_active) {
        migrate_del_blocker(&store->blocker);
    }
}

void slice_transfer_rest(SliceTransfer *transfer)
{
    SliceStore *store = transfer->store;

    if (!transfer->is_active) {
        return;
    }
    transfer->is_active = false;
    timer_del(transfer->deadline);
    if (transfer->peer) {
        slice_peer_unwant(transfer->peer);
    }
    slice_store_end_active(store);
}

void slice_transfer_forgotten(SliceTransfer *transfer)
{
    if (transfer->is_unforgotten) {
        transfer->is_unforgotten = false;
        slice_peer_unwant(transfer->peer);
    }
}

static void deadline_passed(void *opaque)
{
    SliceTransfer *transfer = opaque;

    if (transfer->peer) {
        slice_move_deadline(transfer);
    } else {
        slice_arrive_deadline(transfer);
    }
}

SliceTransfer *slice_transfer_new(SliceStore *store, SliceEntry *entry)
{
    SliceTransfer *transfer;

    if (!slice_store_begin_active(store)) {
        return NULL;
    }
    slice_transfer_free(entry->transfer);
    transfer = g_new0(SliceTransfer, 1);
    transfer->store = store;
    transfer->entry = entry;
    transfer->is_active = true;
    transfer->packets = g_ptr_array_new_with_free_func(g_free);
    transfer->credit = SLICE_STREAM_CREDIT_BYTES;
    transfer->deadline = timer_new_ms(QEMU_CLOCK_REALTIME, deadline_passed,
                                      transfer);
    entry->transfer = transfer;
    return transfer;
}

void slice_transfer_drop_image(SliceTransfer *transfer)
{
    if (transfer->image) {
        transfer->store->images_bytes -= transfer->image->len;
        g_byte_array_unref(transfer->image);
        transfer->image = NULL;
    }
}

static size_t packet_cost(const SlicePacket *packet)
{
    return sizeof(*packet) + packet->bytes;
}

void slice_transfer_drop_packets(SliceTransfer *transfer, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        size_t cost = packet_cost(g_ptr_array_index(transfer->packets, i));

        transfer->packet_bytes -= cost;
        transfer->store->packets_bytes -= cost;
    }
    if (n) {
        g_ptr_array_remove_range(transfer->packets, 0, n);
    }
    transfer->n_packets_sent -= MIN(transfer->n_packets_sent, n);
}

void slice_transfer_free(SliceTransfer *transfer)
{
    if (!transfer) {
        return;
    }
    slice_job_item_done(transfer, false);
    slice_transfer_rest(transfer);
    slice_transfer_forgotten(transfer);
    slice_outbox_attach(&transfer->box, NULL);
    slice_transfer_drop_image(transfer);
    slice_transfer_drop_packets(transfer, transfer->packets->len);
    g_ptr_array_unref(transfer->packets);
    g_free(transfer->told_flows);
    timer_free(transfer->deadline);
    if (transfer->peer) {
        QTAILQ_REMOVE(&transfer->peer->transfers, transfer, peer_next);
        slice_peer_put(transfer->peer);
    }
    transfer->entry->transfer = NULL;
    g_free(transfer);
}

bool slice_transfer_add(SliceTransfer *transfer, const uint8_t *data,
                        size_t bytes)
{
    SliceStore *store = transfer->store;

    if (!transfer->image) {
        transfer->image = g_byte_array_new();
    }
    if (bytes > store->image_bytes_max - transfer->image->len ||
        bytes > SLICE_IMAGES_BYTES_MAX - store->images_bytes) {
        return false;
    }
    g_byte_array_append(transfer->image, data, bytes);
    store->images_bytes += bytes;
    return true;
}

void slice_transfer_add_packet(SliceTransfer *transfer, uint32_t origin,
                               const uint8_t *data, size_t bytes)
{
    SlicePacket *packet;
    size_t cost = sizeof(*packet) + bytes;

    if (bytes > SLICE_PACKET_BYTES_MAX ||
        transfer->packet_bytes + cost > SLICE_PACKETS_BYTES_MAX ||
        transfer->store->packets_bytes + cost > SLICE_PACKETS_TOTAL_MAX) {
        transfer->store->n_dropped++;
        trace_slice_packet_dropped(transfer->store->name, origin,
                                   transfer->entry->id.counter, "no room");
        return;
    }
    packet = g_malloc(sizeof(*packet) + bytes);
    packet->origin = origin;
    packet->bytes = bytes;
    memcpy(packet->data, data, bytes);
    transfer->packet_bytes += cost;
    transfer->store->packets_bytes += cost;
    transfer->n_packets++;
    g_ptr_array_add(transfer->packets, packet);
    slice_outbox_kick(&transfer->box);
}

void slice_transfer_arm(SliceTransfer *transfer, uint32_t ms)
{
    timer_mod(transfer->deadline,
              qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + ms);
}

void slice_transfer_apply_flows(SliceStore *store, SliceEntry *entry)
{
    SliceTransfer *transfer = entry->transfer;

    if (transfer && transfer->has_told_flows) {
        slice_table_set_flows(store->table, entry, transfer->told_flows,
                              transfer->n_told_flows);
    }
}

/* ---- bulk: what the connection fetches ---- */

static uint8_t *next_piece(SliceTransfer *transfer, size_t *ret_bytes)
{
    uint8_t head[SLICE_FRAME_DELTA_BYTES];
    const SliceEntry *entry = transfer->entry;
    uint64_t left = transfer->image->len - transfer->image_sent;
    size_t bytes = MIN(left, PIECE_BYTES);
    const uint8_t *data = transfer->image->data + transfer->image_sent;
    size_t head_bytes = slice_frame_put_delta(head, transfer->image_sent);

    if (transfer->credit < bytes + head_bytes) {
        return NULL;
    }
    transfer->credit -= bytes + head_bytes;
    transfer->image_sent += bytes;
    return slice_frame_build(SLICE_STREAM_DELTA, entry->id.incarnation,
                             entry->id.counter, entry->term, head, head_bytes,
                             data, bytes, ret_bytes);
}

static uint8_t *next_end(SliceTransfer *transfer, size_t *ret_bytes)
{
    uint8_t head[SLICE_FRAME_DELTA_END_BYTES];
    const SliceEntry *entry = transfer->entry;
    SliceStreamDeltaEnd end = {
        .total_bytes = transfer->image_total,
        .crc32c = transfer->image_crc,
    };

    transfer->is_end_sent = true;
    return slice_frame_build(SLICE_STREAM_DELTA_END, entry->id.incarnation,
                             entry->id.counter, entry->term, head,
                             slice_frame_put_delta_end(head, &end), NULL, 0,
                             ret_bytes);
}

static uint8_t *next_packet(SliceTransfer *transfer, size_t *ret_bytes)
{
    uint8_t head[SLICE_FRAME_PACKET_BYTES];
    const SliceEntry *entry = transfer->entry;
    SlicePacket *packet = g_ptr_array_index(transfer->packets,
                                            transfer->n_packets_sent);
    SliceStreamPacket wire = {
        .origin = packet->origin, .bytes = packet->bytes,
    };
    size_t head_bytes = slice_frame_put_packet(head, &wire);
    bool is_return = !transfer->peer;
    uint8_t *frame;

    if (!is_return) {
        if (transfer->credit < packet->bytes + head_bytes) {
            return NULL;
        }
        transfer->credit -= packet->bytes + head_bytes;
    }
    frame = slice_frame_build(is_return ? SLICE_STREAM_RETURN
                                        : SLICE_STREAM_PACKET,
                              entry->id.incarnation, entry->id.counter,
                              entry->term, head, head_bytes, packet->data,
                              packet->bytes, ret_bytes);
    transfer->n_packets_sent++;
    if (entry->state == SLICE_STATE_GONE &&
        transfer->n_packets_sent == transfer->packets->len) {
        /* Nobody will ask for these again. */
        slice_transfer_drop_packets(transfer, transfer->packets->len);
    }
    return frame;
}

uint8_t *slice_transfer_next_bulk(SliceOutbox *box, size_t *ret_bytes)
{
    SliceTransfer *transfer = container_of(box, SliceTransfer, box);
    bool is_source = transfer->peer != NULL;

    if (is_source && transfer->image &&
        transfer->image_sent < transfer->image->len) {
        return next_piece(transfer, ret_bytes);
    }
    if (is_source && transfer->image && transfer->is_whole &&
        !transfer->is_end_sent) {
        return next_end(transfer, ret_bytes);
    }
    if (transfer->n_packets_sent < transfer->packets->len) {
        return next_packet(transfer, ret_bytes);
    }
    return NULL;
}
