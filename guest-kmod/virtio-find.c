// SPDX-License-Identifier: GPL-2.0
/*
 * virtio-find.c - sessions that are looked for, room that is kept
 *
 * Below: find.h, reserve.h, virtio-ring.c.  Above: find.c (asks), virtio-event.c
 * (is asked).
 */
#include <linux/string.h>
#include <linux/virtio.h>

#include "find.h"
#include "reserve.h"
#include "virtio.h"

static int slice_virtio_send_find(struct slice_virtio *dev,
				  struct slice_id slice, u64 tag,
				  u32 timeout_ms,
				  const struct slice_digest *digest)
{
	struct slice_virtio_request *request;
	struct virtio_slice_find *find;
	void *body;
	int ret;

	request = slice_virtio_request_new(VIRTIO_SLICE_REQ_FIND, 0, 0, slice,
					   0, sizeof(*find), &body);
	if (!request)
		return -ENOMEM;
	find = body;
	find->tag = cpu_to_le64(tag);
	find->timeout_ms = cpu_to_le32(clamp_t(u32, timeout_ms, 1,
					       VIRTIO_SLICE_FIND_MS_MAX));
	memcpy(find->digest, digest->bytes, sizeof(find->digest));
	ret = slice_virtio_call(dev, request);
	slice_virtio_request_free(request);
	/* One that is going has not said "nobody". */
	return ret == -ENODEV ? -EIO : ret;
}

int slice_virtio_find(struct slice_id slice, u64 tag, u32 timeout_ms,
		      const struct slice_digest *digest)
{
	struct slice_virtio *dev = slice_virtio_use();
	int ret;

	if (!dev)
		return -ENODEV;
	/* A connection that has just come is told of before it asks. */
	flush_work(&dev->report);
	ret = slice_virtio_send_find(dev, slice, tag, timeout_ms, digest);
	slice_virtio_unuse();
	return ret;
}

void slice_virtio_find_done(const struct virtio_slice_event *event)
{
	slice_find_answer(le64_to_cpu(event->arg), le64_to_cpu(event->term));
}

void slice_virtio_lookup(struct slice_virtio *dev,
			 const struct virtio_slice_event *event)
{
	struct slice_virtio_request *request;
	struct virtio_slice_found *found;
	struct slice_digest digest;
	struct slice_id slice = {};
	void *body;
	int ret;

	static_assert(sizeof(digest) == sizeof(event->data));
	memcpy(&digest, event->data, sizeof(digest));
	/* The device knows the slice that it is about to be told. */
	flush_work(&dev->report);
	ret = slice_find_lookup(&digest, &slice);
	if (ret == -ENOENT)
		slice = (struct slice_id){};
	request = slice_virtio_request_new(VIRTIO_SLICE_REQ_FOUND, 0, 0, slice,
					   0, sizeof(*found), &body);
	/* Without an answer the peer's find ends by its time. */
	if (!request)
		return;
	found = body;
	found->tag = event->arg;
	found->status = cpu_to_le32(-ret);
	slice_virtio_call(dev, request);
	slice_virtio_request_free(request);
}

/* -EPROTO: a rank or a number that cannot be. */
static int slice_virtio_parse_counts(const struct virtio_slice_event *event,
				     struct slice_reserve_request *request)
{
	struct virtio_slice_count counts[VIRTIO_SLICE_COUNTS_MAX];
	u32 i, rank, n;

	static_assert(sizeof(counts) == sizeof(event->data));
	memcpy(counts, event->data, sizeof(counts));
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		rank = le16_to_cpu(counts[i].rank);
		n = le16_to_cpu(counts[i].n);
		if (!rank && !n)
			continue;
		if (!rank || !n || rank > 255)
			return -EPROTO;
		request->counts[request->n_ranks++] =
			(struct slice_rank_count){ .rank = rank, .n = n };
	}
	return 0;
}

void slice_virtio_reserve(struct slice_virtio *dev, struct slice_id slice,
			  const struct virtio_slice_event *event)
{
	struct slice_reserve_request request = {
		.slice = slice,
		.term = le64_to_cpu(event->term),
		.bytes = le64_to_cpu(event->arg),
	};
	enum slice_why why = SLICE_WHY_IMAGE;
	int ret;

	ret = slice_virtio_parse_counts(event, &request);
	if (!ret)
		ret = slice_reserve_add(&request, &why);
	ret = slice_virtio_answer(dev, VIRTIO_SLICE_REQ_RESERVED, slice,
				  event->term, ret, why);
	/* Nobody waits for it any more. */
	if (ret)
		slice_reserve_drop(slice, request.term);
}

void slice_virtio_unreserve(struct slice_id slice,
			    const struct virtio_slice_event *event)
{
	slice_reserve_drop(slice, le64_to_cpu(event->term));
}
