/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-slice.c - the guest's end of the slice engine
 *
 * What the guest says comes on the request queue (virtio-slice-request.c) and
 * goes to the engine; what the engine says goes out on the event queue, through
 * a bounded backlog.
 *
 * No byte of a capsule travels in a descriptor: a request names guest RAM, which
 * the device reads or writes while it works on the request.  A VM that stops has
 * that request finished first, so guest RAM changes only for a request that was
 * taken while the VM ran, and nothing half done is in the VM's saved state.
 *
 * Hostile guest: a request that makes no sense is answered SLICE_RESP_INVALID
 * and changes nothing; a buffer that leaves no room for the answer breaks the
 * device until its reset, as virtio has it.
 *
 * Threads: main loop, BQL held.
 * Below: slice/port.h.  Above: the guest's driver.
 * Contract: linux/virtio_slice.h.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/iov.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "hw/qdev-properties.h"
#include "hw/virtio/virtio-slice.h"
#include "migration/vmstate.h"
#include "slice/port.h"
#include "system/runstate.h"
#include "standard-headers/linux/virtio_slice.h"
#include "virtio-slice-request.h"

#define QUEUE_SIZE 256

QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_config) != 24);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_slice_event) != 72);

/* ---- the queues ---- */

/*
 * A kick that was pending while the VM stopped comes afterwards: nothing of the
 * guest's is begun then, virtio_slice_vm_state() goes on.
 */
static void virtio_slice_handle_request(VirtIODevice *vdev, VirtQueue *vq)
{
    if (vdev->vm_running) {
        virtio_slice_work_requests(VIRTIO_SLICE(vdev));
    }
}

static void virtio_slice_send_events(VirtIOSlice *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    bool notify = false;

    while (s->n_backlog && vdev->vm_running && virtio_queue_ready(s->event_vq)) {
        g_autofree VirtQueueElement *elem = NULL;
        const VirtIOSliceEvent *event = &s->backlog[s->backlog_first];
        struct virtio_slice_event wire = {
            .type = cpu_to_le16(event->type),
            .slice.incarnation = cpu_to_le64(event->slice.incarnation),
            .slice.counter = cpu_to_le64(event->slice.counter),
            .term = cpu_to_le64(event->term),
            .arg = cpu_to_le64(event->arg),
        };

        QEMU_BUILD_BUG_ON(sizeof(wire.data) != sizeof(event->data));
        memcpy(wire.data, event->data, sizeof(wire.data));
        elem = virtqueue_pop(s->event_vq, sizeof(*elem));
        if (!elem) {
            break;
        }
        if (iov_from_buf(elem->in_sg, elem->in_num, 0, &wire, sizeof(wire)) !=
            sizeof(wire)) {
            virtio_error(vdev, "virtio-slice: event buffer too small");
            virtqueue_detach_element(s->event_vq, elem, 0);
            break;
        }
        virtqueue_push(s->event_vq, elem, sizeof(wire));
        s->backlog_first = (s->backlog_first + 1) % VIRTIO_SLICE_BACKLOG_MAX;
        s->n_backlog--;
        notify = true;
    }
    if (notify) {
        virtio_notify(vdev, s->event_vq);
    }
}

static void virtio_slice_handle_event(VirtIODevice *vdev, VirtQueue *vq)
{
    virtio_slice_send_events(VIRTIO_SLICE(vdev));
}

/* One that begins something: without it nothing is begun, and nothing hangs. */
static bool may_be_refused(uint16_t type)
{
    switch (type) {
    case VIRTIO_SLICE_EVENT_QUIESCE:
    case VIRTIO_SLICE_EVENT_UNPLUG:
    case VIRTIO_SLICE_EVENT_ROOM:
    case VIRTIO_SLICE_EVENT_RESERVE:
    case VIRTIO_SLICE_EVENT_LOOKUP:
        return true;
    default:
        return false;
    }
}

static bool port_event(void *port, uint16_t type, SliceId slice, uint64_t term,
                       uint64_t arg, const uint8_t *data)
{
    VirtIOSlice *s = port;
    uint32_t room = VIRTIO_SLICE_BACKLOG_MAX / (may_be_refused(type) ? 2 : 1);
    VirtIOSliceEvent *event;

    if (!s->greeted || VIRTIO_DEVICE(s)->broken || s->n_backlog >= room) {
        return false;
    }
    event = &s->backlog[(s->backlog_first + s->n_backlog) %
                        VIRTIO_SLICE_BACKLOG_MAX];
    *event = (VirtIOSliceEvent) {
        .type = type, .slice = slice, .term = term, .arg = arg,
    };
    if (data) {
        memcpy(event->data, data, sizeof(event->data));
    }
    s->n_backlog++;
    virtio_slice_send_events(s);
    return true;
}

static const SlicePortOps port_ops = {
    .event = port_event,
};

/* ---- life of the device ---- */

/* Tells the driver of a new incarnation, e.g. after a restore. */
static void virtio_slice_check_incarnation(VirtIOSlice *s)
{
    uint64_t incarnation = slice_store_incarnation(s->store);

    if (s->incarnation != incarnation) {
        s->incarnation = incarnation;
        virtio_notify_config(VIRTIO_DEVICE(s));
    }
}

static void virtio_slice_work_bh(void *opaque)
{
    VirtIOSlice *s = opaque;
    VirtIODevice *vdev = VIRTIO_DEVICE(s);

    if (!vdev->vm_running || !(vdev->status & VIRTIO_CONFIG_S_DRIVER_OK)) {
        return;     /* virtio_slice_vm_state() or a kick goes on */
    }
    virtio_slice_check_incarnation(s);
    virtio_slice_send_events(s);
    virtio_slice_work_requests(s);
}

static void virtio_slice_incarnation_drawn(Notifier *notifier, void *data)
{
    VirtIOSlice *s = container_of(notifier, VirtIOSlice, incarnation_drawn);

    qemu_bh_schedule(s->work_bh);
}

static void virtio_slice_vm_state(void *opaque, bool running, RunState state)
{
    VirtIOSlice *s = opaque;

    if (running) {
        qemu_bh_schedule(s->work_bh);
    } else {
        virtio_slice_finish_request(s);
    }
}

static void virtio_slice_reset(VirtIODevice *vdev)
{
    VirtIOSlice *s = VIRTIO_SLICE(vdev);

    virtio_slice_drop_request(s);
    s->n_backlog = 0;
    if (s->greeted) {
        s->greeted = false;
        slice_port_reset(s->store);
    }
}

static void virtio_slice_queue_reset(VirtIODevice *vdev, uint32_t index)
{
    if (index == VIRTIO_SLICE_QUEUE_REQUEST) {
        virtio_slice_drop_request(VIRTIO_SLICE(vdev));
    }
}

static void virtio_slice_get_config(VirtIODevice *vdev, uint8_t *data)
{
    VirtIOSlice *s = VIRTIO_SLICE(vdev);
    struct virtio_slice_config config = {
        .incarnation = cpu_to_le64(slice_store_incarnation(s->store)),
        .image_bytes_max = cpu_to_le64(slice_store_image_bytes_max(s->store)),
        .version = cpu_to_le32(VIRTIO_SLICE_VERSION),
    };

    memcpy(data, &config, sizeof(config));
}

static uint64_t virtio_slice_get_features(VirtIODevice *vdev, uint64_t features,
                                          Error **errp)
{
    return features;
}

static void virtio_slice_realize(DeviceState *dev, Error **errp)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(dev);
    VirtIOSlice *s = VIRTIO_SLICE(dev);

    if (!s->store) {
        error_setg(errp, "Parameter 'store' is required");
        return;
    }
    if (!slice_store_attach_port(s->store, &port_ops, s, errp)) {
        return;
    }
    object_ref(OBJECT(s->store));
    s->incarnation = slice_store_incarnation(s->store);
    virtio_init(vdev, VIRTIO_ID_SLICE, sizeof(struct virtio_slice_config));
    s->request_vq = virtio_add_queue(vdev, QUEUE_SIZE,
                                     virtio_slice_handle_request);
    s->event_vq = virtio_add_queue(vdev, QUEUE_SIZE, virtio_slice_handle_event);
    s->work_bh = virtio_bh_new_guarded(dev, virtio_slice_work_bh, s);
    s->vm_state = qdev_add_vm_change_state_handler(dev, virtio_slice_vm_state,
                                                   s);
    s->incarnation_drawn.notify = virtio_slice_incarnation_drawn;
    slice_store_add_incarnation_notifier(s->store, &s->incarnation_drawn);
}

static void virtio_slice_unrealize(DeviceState *dev)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(dev);
    VirtIOSlice *s = VIRTIO_SLICE(dev);

    virtio_slice_reset(vdev);
    notifier_remove(&s->incarnation_drawn);
    slice_store_detach_port(s->store, s);
    object_unref(OBJECT(s->store));
    qemu_del_vm_change_state_handler(s->vm_state);
    qemu_bh_delete(s->work_bh);
    virtio_delete_queue(s->request_vq);
    virtio_delete_queue(s->event_vq);
    virtio_cleanup(vdev);
}

/* ---- saved state ---- */

static int virtio_slice_pre_save(void *opaque)
{
    VirtIOSlice *s = opaque;

    assert(!s->request);    /* finished when the VM stopped */
    return 0;
}

static int virtio_slice_post_load(void *opaque, int version_id)
{
    VirtIOSlice *s = opaque;

    if (s->backlog_first >= VIRTIO_SLICE_BACKLOG_MAX ||
        s->n_backlog > VIRTIO_SLICE_BACKLOG_MAX) {
        error_report("virtio-slice: saved state has %" PRIu32 " events from %"
                     PRIu32 " on, at most %d are possible", s->n_backlog,
                     s->backlog_first, VIRTIO_SLICE_BACKLOG_MAX);
        return -EINVAL;
    }
    return 0;
}

static const VMStateDescription vmstate_virtio_slice_event = {
    .name = "virtio-slice/event",
    .version_id = 2,
    .minimum_version_id = 2,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT16(type, VirtIOSliceEvent),
        VMSTATE_UINT64(slice.incarnation, VirtIOSliceEvent),
        VMSTATE_UINT64(slice.counter, VirtIOSliceEvent),
        VMSTATE_UINT64(term, VirtIOSliceEvent),
        VMSTATE_UINT64(arg, VirtIOSliceEvent),
        VMSTATE_BUFFER(data, VirtIOSliceEvent),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription vmstate_virtio_slice_device = {
    .name = "virtio-slice-device",
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_save = virtio_slice_pre_save,
    .post_load = virtio_slice_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_BOOL(greeted, VirtIOSlice),
        VMSTATE_UINT64(incarnation, VirtIOSlice),
        VMSTATE_UINT32(backlog_first, VirtIOSlice),
        VMSTATE_UINT32(n_backlog, VirtIOSlice),
        VMSTATE_STRUCT_ARRAY(backlog, VirtIOSlice, VIRTIO_SLICE_BACKLOG_MAX, 1,
                             vmstate_virtio_slice_event, VirtIOSliceEvent),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription vmstate_virtio_slice = {
    .name = "virtio-slice",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_VIRTIO_DEVICE,
        VMSTATE_END_OF_LIST()
    },
};

static const Property virtio_slice_properties[] = {
    DEFINE_PROP_LINK("store", VirtIOSlice, store, TYPE_SLICE_STORE,
                     SliceStore *),
};

static void virtio_slice_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    VirtioDeviceClass *vdc = VIRTIO_DEVICE_CLASS(klass);

    device_class_set_props(dc, virtio_slice_properties);
    dc->desc = "Sessions that move between virtual machines";
    dc->vmsd = &vmstate_virtio_slice;
    dc->hotpluggable = false;
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);

    vdc->realize = virtio_slice_realize;
    vdc->unrealize = virtio_slice_unrealize;
    vdc->get_config = virtio_slice_get_config;
    vdc->get_features = virtio_slice_get_features;
    vdc->reset = virtio_slice_reset;
    vdc->queue_reset = virtio_slice_queue_reset;
    vdc->vmsd = &vmstate_virtio_slice_device;
}

static const TypeInfo virtio_slice_info = {
    .name = TYPE_VIRTIO_SLICE,
    .parent = TYPE_VIRTIO_DEVICE,
    .instance_size = sizeof(VirtIOSlice),
    .class_init = virtio_slice_class_init,
};

static void virtio_slice_register_types(void)
{
    type_register_static(&virtio_slice_info);
}

type_init(virtio_slice_register_types)
