/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * port.h - between the engine and the guest's device
 *
 * The device (hw/virtio/virtio-slice.c) parses and checks what the guest
 * says, copies it once, and calls the engine; the engine sends events through
 * SlicePortOps.  All calls in the main loop with the BQL held.
 *
 * The engine trusts the device's checks of shape (counts, lengths, enums), and
 * itself checks meaning (state, term).
 */
#ifndef SLICE_PORT_H
#define SLICE_PORT_H

#include "qemu/notify.h"
#include "slice/types.h"

typedef struct SliceLayerInfo {
    char name[16];              /* terminated */
    uint32_t version;
    uint32_t rank;
    uint64_t abi_hash;
} SliceLayerInfo;

typedef struct SliceInfoFromGuest {
    uint64_t memory_bytes;
    uint32_t n_capsules;
    uint32_t n_flows;           /* as the guest says; may exceed n_listed */
    uint32_t n_listed;
    uint32_t movability;
    uint32_t why;
    SliceLayerCount counts[SLICE_COUNTS_MAX];
    char label[33];
    char top_layer[17];
    const SliceFlow *flows;     /* n_listed of them */
} SliceInfoFromGuest;

#define SLICE_PORT_DATA_BYTES 32

typedef struct SlicePortOps {
    /**
     * Queue an event for the guest.  Returns false where the guest has posted
     * no buffer and the device's own bounded backlog is full, or the guest has
     * no driver: the engine answers BUSY.
     * @data: SLICE_PORT_DATA_BYTES of it, or NULL for zeroes
     */
    bool (*event)(void *port, uint16_t type /* VIRTIO_SLICE_EVENT_* */,
                  SliceId slice, uint64_t term, uint64_t arg,
                  const uint8_t *data);
} SlicePortOps;

bool slice_store_attach_port(SliceStore *store, const SlicePortOps *ops,
                             void *port, Error **errp);
void slice_store_detach_port(SliceStore *store, void *port);

/* The incarnation that the guest sees in config space. */
uint64_t slice_store_incarnation(SliceStore *store);
uint64_t slice_store_image_bytes_max(SliceStore *store);
/**
 * @notifier is called (with the store as data) while the VM runs, when the
 * incarnation has changed: after restore, and after a guest reset.  It is the
 * device's to remove it again (notifier_remove) before it detaches.
 */
void slice_store_add_incarnation_notifier(SliceStore *store,
                                          Notifier *notifier);

/* What the guest said.  All return SLICE_RESP_*. */
uint32_t slice_port_hello(SliceStore *store, const SliceLayerInfo *layers,
                          size_t n_layers);
uint32_t slice_port_set(SliceStore *store, SliceId slice,
                        const SliceInfoFromGuest *info);
uint32_t slice_port_gone(SliceStore *store, SliceId slice);
uint32_t slice_port_quiesced(SliceStore *store, SliceId slice, uint64_t term,
                             uint32_t status, uint32_t why);
uint32_t slice_port_unplug_failed(SliceStore *store, SliceId slice,
                                  uint64_t term, uint32_t status, uint32_t why);
uint32_t slice_port_resumed(SliceStore *store, SliceId slice, uint64_t term,
                            uint32_t status, uint32_t why);
uint32_t slice_port_plugged(SliceStore *store, SliceId slice, uint64_t term,
                            uint32_t status, uint32_t why);
uint32_t slice_port_reserved(SliceStore *store, SliceId slice, uint64_t term,
                             uint32_t status, uint32_t why);
/** @timeout_ms: 1 .. VIRTIO_SLICE_FIND_MS_MAX; @digest: SLICE_DIGEST_BYTES */
uint32_t slice_port_find(SliceStore *store, SliceId slice, uint64_t tag,
                         uint32_t timeout_ms, const uint8_t *digest);
/** @status: 0 (@slice has it), ENOENT, EAGAIN (@slice may be told, or zero) */
uint32_t slice_port_found(SliceStore *store, SliceId slice, uint64_t tag,
                          uint32_t status);
/**
 * A piece of the image, already copied out of guest RAM.
 * @offset must be where the last one ended.
 */
uint32_t slice_port_image(SliceStore *store, SliceId slice, uint64_t term,
                          uint64_t offset, uint64_t total_bytes,
                          const uint8_t *data, size_t bytes, bool last);
uint32_t slice_port_packets(SliceStore *store, SliceId slice, uint64_t term,
                            const uint8_t *data, size_t bytes);
/**
 * The guest gives room: the engine lends the image's bytes [offset, offset +
 * bytes) in *ret_data until the next call; the device writes them to the
 * chunks.
 */
uint32_t slice_port_room(SliceStore *store, SliceId slice, uint64_t term,
                         uint64_t offset, size_t bytes,
                         const uint8_t **ret_data, uint64_t *ret_total_bytes);
/* Guest reset without a drain, or driver gone: every slice of it is dead. */
void slice_port_reset(SliceStore *store);

#endif /* SLICE_PORT_H */
