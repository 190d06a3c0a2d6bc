// SPDX-License-Identifier: GPL-2.0
/*
 * virtio-ring.c - requests to the device
 *
 * Below: the virtio core.  Above: virtio-dma.c, virtio-event.c,
 * virtio-report.c.
 */
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/virtio.h>

#include "virtio.h"

struct slice_virtio_request *
slice_virtio_request_new(u16 type, u16 flags, u32 count, struct slice_id slice,
			 __le64 term, size_t body_bytes, void **ret_body)
{
	struct slice_virtio_request *request;
	struct virtio_slice_request *header;

	request = kzalloc(sizeof(*request), GFP_KERNEL);
	if (!request)
		return NULL;
	request->out_bytes = sizeof(*header) + body_bytes;
	request->out = kzalloc(request->out_bytes, GFP_KERNEL);
	if (!request->out) {
		kfree(request);
		return NULL;
	}
	header = request->out;
	header->type = cpu_to_le16(type);
	header->flags = cpu_to_le16(flags);
	header->count = cpu_to_le32(count);
	header->slice.incarnation = cpu_to_le64(slice.incarnation);
	header->slice.counter = cpu_to_le64(slice.counter);
	header->term = term;
	init_completion(&request->done);
	if (ret_body)
		*ret_body = header + 1;
	return request;
}

void slice_virtio_request_free(struct slice_virtio_request *request)
{
	kfree(request->out);
	kfree(request);
}

static int slice_virtio_try_submit(struct slice_virtio *dev,
				   struct slice_virtio_request *request)
{
	struct scatterlist out, in, *sgs[] = { &out, &in };
	unsigned long flags;
	int ret;

	sg_init_one(&out, request->out, request->out_bytes);
	sg_init_one(&in, &request->response, sizeof(request->response));
	spin_lock_irqsave(&dev->ring_lock, flags);
	if (dev->is_dead)
		ret = -ENODEV;
	else
		ret = virtqueue_add_sgs(dev->request_vq, sgs, 1, 1, request,
					GFP_ATOMIC);
	if (!ret)
		virtqueue_kick(dev->request_vq);
	spin_unlock_irqrestore(&dev->ring_lock, flags);
	return ret;
}

int slice_virtio_submit(struct slice_virtio *dev,
			struct slice_virtio_request *request)
{
	int ret;

	/* -ENOSPC: the ring is full; each completion wakes us. */
	wait_event(dev->room,
		   (ret = slice_virtio_try_submit(dev, request)) != -ENOSPC);
	return ret;
}

static int slice_virtio_result(const struct slice_virtio_request *request)
{
	if (request->result)
		return request->result;
	switch (le32_to_cpu(request->response.status)) {
	case SLICE_RESP_OK:
		return 0;
	case SLICE_RESP_UNKNOWN:
		return -ENOENT;
	case SLICE_RESP_STALE:
		return -ESTALE;
	case SLICE_RESP_NO_ROOM:
		return -ENOSPC;
	case SLICE_RESP_FAULT:
		return -EFAULT;
	default:
		return -EPROTO;
	}
}

int slice_virtio_call(struct slice_virtio *dev,
		      struct slice_virtio_request *request)
{
	int ret;

	ret = slice_virtio_submit(dev, request);
	if (ret)
		return ret;
	wait_for_completion(&request->done);
	return slice_virtio_result(request);
}

int slice_virtio_answer(struct slice_virtio *dev, u16 type,
			struct slice_id slice, __le64 term, int error,
			enum slice_why why)
{
	struct slice_virtio_request *request;
	struct virtio_slice_status *status;
	void *body;
	int ret;

	request = slice_virtio_request_new(type, 0, 0, slice, term,
					   sizeof(*status), &body);
	if (!request)
		return -ENOMEM;
	status = body;
	status->status = cpu_to_le32(-error);
	status->why = cpu_to_le32(error ? why : SLICE_WHY_NONE);
	ret = slice_virtio_call(dev, request);
	slice_virtio_request_free(request);
	return ret;
}

/* The request queue's interrupt. */
void slice_virtio_done(struct virtqueue *vq)
{
	struct slice_virtio *dev = vq->vdev->priv;
	struct slice_virtio_request *request;
	unsigned long flags;
	unsigned int bytes;

	spin_lock_irqsave(&dev->ring_lock, flags);
	do {
		virtqueue_disable_cb(vq);
		while ((request = virtqueue_get_buf(vq, &bytes)) != NULL) {
			if (bytes < sizeof(request->response))
				request->result = -ENODEV;
			complete(&request->done);
		}
	} while (!virtqueue_enable_cb(vq));
	spin_unlock_irqrestore(&dev->ring_lock, flags);
	wake_up_all(&dev->room);
}

void slice_virtio_abort_requests(struct slice_virtio *dev)
{
	struct slice_virtio_request *request;
	unsigned long flags;

	spin_lock_irqsave(&dev->ring_lock, flags);
	while ((request = virtqueue_detach_unused_buf(dev->request_vq))) {
		request->result = -ENODEV;
		complete(&request->done);
	}
	spin_unlock_irqrestore(&dev->ring_lock, flags);
	wake_up_all(&dev->room);
}
