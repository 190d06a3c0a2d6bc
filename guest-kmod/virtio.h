/* SPDX-License-Identifier: GPL-2.0 */
/*
 * virtio.h - the driver of the virtio-slice device
 *
 * DOC: who runs where
 *
 * Requests are made by work items, which sleep until the device has completed
 * them.  One work item, *report*, says HELLO and tells of slices that changed.
 * Events come into buffers that the driver posts; each goes to the *lane* of
 * its slice, and each lane is a work item: events of one slice are worked off
 * in order, those of different slices at the same time.  A buffer is posted
 * again when its event was worked off, so what a driver can be asked to hold is
 * bounded by the ring.
 *
 * DOC: reports and moves
 *
 * A report is made and put into the ring under report_lock, and of a slice that
 * is not ACTIVE none is made, but that it has grown.  Whoever has brought a
 * slice out of ACTIVE calls slice_virtio_pass_reports() before its first answer:
 * so a SET never comes to the device after an answer that contradicts it, and
 * the device knows all connections of a slice that it hears to be quiet.
 *
 * DOC: finds
 *
 * A request of /dev/slice that asks the device uses it from a context which the
 * driver does not know of: slice_virtio_use() keeps it from going away.
 *
 * DOC: reset, restore, removal
 *
 * A VM that is restored goes on where it was; a configuration interrupt tells
 * the new incarnation, and HELLO and all slices are said again.  When the
 * device goes (removal, suspend), requests under way end with -ENODEV and
 * slices stay as they are: the next device finds them reported again.
 */
#ifndef SLICE_VIRTIO_H
#define SLICE_VIRTIO_H

#include <linux/hashtable.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <uapi/linux/virtio_slice.h>

#include "digest.h"
#include "image.h"
#include "registry.h"

struct virtio_device;
struct virtqueue;

/* Posted to the device; one slice's move has one or two events under way. */
#define SLICE_VIRTIO_EVENTS	128

/**
 * struct slice_virtio_event - an event buffer and what it brought
 * @wire: written by the device
 * @event: copied from there once
 * @lane: in its slice's lane
 */
struct slice_virtio_event {
	struct virtio_slice_event wire;
	struct virtio_slice_event event;
	struct list_head lane;
};

/**
 * struct slice_virtio - the device
 * @vdev: bound device
 * @request_vq: VIRTIO_SLICE_QUEUE_REQUEST
 * @event_vq: VIRTIO_SLICE_QUEUE_EVENT
 * @ring_lock: for both queues and @is_dead
 * @room: wait for a free descriptor
 * @is_dead: no more requests
 * @must_greet: HELLO is due
 * @must_tell_all: every slice is due
 * @report_lock: see above
 * @report: work item
 * @receive: work item that takes events out of the ring
 * @config: work item after a configuration interrupt
 * @work: runs everything
 * @lanes_lock: guards @lanes
 * @lanes: struct slice_virtio_lane by slice id
 * @events: SLICE_VIRTIO_EVENTS buffers
 */
struct slice_virtio {
	struct virtio_device *vdev;
	struct virtqueue *request_vq;
	struct virtqueue *event_vq;
	spinlock_t ring_lock;
	wait_queue_head_t room;
	bool is_dead;
	bool must_greet;
	bool must_tell_all;
	struct mutex report_lock;
	struct work_struct report;
	struct work_struct receive;
	struct work_struct config;
	struct workqueue_struct *work;
	spinlock_t lanes_lock;
	DECLARE_HASHTABLE(lanes, 6);
	struct slice_virtio_event *events;
};

int slice_virtio_init(void);
void slice_virtio_exit(void);
/* The device, which stays until slice_virtio_unuse(); NULL: none. */
struct slice_virtio *slice_virtio_use(void);
void slice_virtio_unuse(void);

/* ---- virtio-ring.c: requests ---- */

/**
 * struct slice_virtio_request - one request under way
 * @out: header and what follows it, kmalloc'ed, @out_bytes
 * @response: written by the device
 * @result: 0, or -ENODEV
 * @done: completed
 */
struct slice_virtio_request {
	void *out;
	size_t out_bytes;
	struct virtio_slice_response response;
	int result;
	struct completion done;
};

void slice_virtio_done(struct virtqueue *vq);
/* Ends all requests under way, after the device was reset. */
void slice_virtio_abort_requests(struct slice_virtio *dev);
/* Puts it into the ring; waits for a descriptor: -ENODEV, -ENOMEM. */
int slice_virtio_submit(struct slice_virtio *dev,
			struct slice_virtio_request *request);
/* Submits and waits: 0, -ENODEV, -EPROTO (INVALID), -ENOENT (UNKNOWN), -ESTALE,
 * -ENOSPC (NO_ROOM), -EFAULT. */
int slice_virtio_call(struct slice_virtio *dev,
		      struct slice_virtio_request *request);
/* A zeroed request with its header filled; NULL: no memory. */
struct slice_virtio_request *
slice_virtio_request_new(u16 type, u16 flags, u32 count, struct slice_id slice,
			 __le64 term, size_t body_bytes, void **ret_body);
void slice_virtio_request_free(struct slice_virtio_request *request);
/* One of the requests that consist of a status. */
int slice_virtio_answer(struct slice_virtio *dev, u16 type,
			struct slice_id slice, __le64 term, int error,
			enum slice_why why);

/* ---- virtio-dma.c: payload ---- */

/* Gives the device the pieces of an image to read, in order. */
int slice_virtio_send_image(struct slice_virtio *dev, struct slice_id slice,
			    __le64 term, const struct slice_image *image);
int slice_virtio_send_packets(struct slice_virtio *dev, struct slice_id slice,
			      __le64 term, void *data, size_t bytes);
/* Has the device write @bytes of an image to @data (kvmalloc'ed). */
int slice_virtio_fetch(struct slice_virtio *dev, struct slice_id slice,
		       __le64 term, void *data, size_t bytes);

/* ---- virtio-event.c: what the device asks for ---- */
void slice_virtio_receive(struct work_struct *work);
int slice_virtio_post_events(struct slice_virtio *dev);

/* ---- virtio-find.c: sessions that are looked for, room that is kept ---- */

/* Has the device look for a session: 0 it does, slice_find_answer() comes;
 * -ENODEV no device; -ESTALE, -ENOENT it does not know that slice as running
 * here; -ENOSPC too many; -ENOMEM, -EPROTO, -EIO the device has just gone.
 * May sleep. */
int slice_virtio_find(struct slice_id slice, u64 tag, u32 timeout_ms,
		      const struct slice_digest *digest);
void slice_virtio_lookup(struct slice_virtio *dev,
			 const struct virtio_slice_event *event);
void slice_virtio_find_done(const struct virtio_slice_event *event);
void slice_virtio_reserve(struct slice_virtio *dev, struct slice_id slice,
			  const struct virtio_slice_event *event);
void slice_virtio_unreserve(struct slice_id slice,
			    const struct virtio_slice_event *event);

/* ---- virtio-report.c: what the driver tells unasked ---- */
/* Returns when the device was told all that it must know of a slice which has
 * become quiet, and what others make just now is in the ring. */
void slice_virtio_pass_reports(struct slice_virtio *dev, struct slice_id id);
void slice_virtio_report(struct work_struct *work);

#endif /* SLICE_VIRTIO_H */
