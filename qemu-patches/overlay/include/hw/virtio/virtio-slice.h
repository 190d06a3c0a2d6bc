/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-slice.h - the guest's device of the slice engine
 */
#ifndef QEMU_VIRTIO_SLICE_H
#define QEMU_VIRTIO_SLICE_H

#include "hw/virtio/virtio.h"
#include "slice/port.h"

#define TYPE_VIRTIO_SLICE "virtio-slice-device"
OBJECT_DECLARE_SIMPLE_TYPE(VirtIOSlice, VIRTIO_SLICE)

/*
 * Events that wait for the guest to post buffers.  Those that begin a step
 * (QUIESCE, UNPLUG, ROOM, RESERVE, LOOKUP) may be refused and get only half of the room, so that
 * those that end one find some.
 */
#define VIRTIO_SLICE_BACKLOG_MAX 1024

typedef struct VirtIOSliceEvent {
    uint16_t type;
    SliceId slice;
    uint64_t term;
    uint64_t arg;
    uint8_t data[SLICE_PORT_DATA_BYTES];
} VirtIOSliceEvent;

typedef struct VirtIOSliceRequest VirtIOSliceRequest;

/**
 * VirtIOSlice: the device
 * @greeted: the driver has said HELLO since the last reset
 * @incarnation: what config space showed the driver last
 * @request: one whose payload is being copied, in steps
 * @backlog: @n_backlog events, the oldest at @backlog_first
 */
struct VirtIOSlice {
    VirtIODevice parent_obj;

    SliceStore *store;
    VirtQueue *request_vq;
    VirtQueue *event_vq;
    QEMUBH *work_bh;
    VMChangeStateEntry *vm_state;
    Notifier incarnation_drawn;

    bool greeted;
    uint64_t incarnation;
    VirtIOSliceRequest *request;
    uint32_t backlog_first;
    uint32_t n_backlog;
    VirtIOSliceEvent backlog[VIRTIO_SLICE_BACKLOG_MAX];
};

#endif /* QEMU_VIRTIO_SLICE_H */
