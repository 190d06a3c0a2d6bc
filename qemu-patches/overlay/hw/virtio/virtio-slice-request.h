/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-slice-request.h - the request queue's work, for virtio-slice.c
 */
#ifndef VIRTIO_SLICE_REQUEST_H
#define VIRTIO_SLICE_REQUEST_H

#include "hw/virtio/virtio-slice.h"

/*
 * One turn of work: goes on with the request that is being copied, or takes
 * requests from the queue; schedules another turn where there may be more.
 */
void virtio_slice_work_requests(VirtIOSlice *s);

/* Finishes the request that is being copied, at once. */
void virtio_slice_finish_request(VirtIOSlice *s);

/* Forgets it unanswered: its queue is being reset. */
void virtio_slice_drop_request(VirtIOSlice *s);

#endif /* VIRTIO_SLICE_REQUEST_H */
