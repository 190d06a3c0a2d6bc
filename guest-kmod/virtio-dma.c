// SPDX-License-Identifier: GPL-2.0
/*
 * virtio-dma.c - naming guest memory to the device as chunks
 *
 * Pieces that follow each other in physical memory are joined, then mapped for
 * the device, and named in as many requests as it takes.  Where the device has
 * to go through the platform (VIRTIO_F_ACCESS_PLATFORM) addresses come from the
 * DMA API, else they are physical, as for the rings themselves.
 *
 * Below: virtio-ring.c.  Above: virtio-event.c.
 */
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>

#include "virtio.h"

/* In one request: together with its header one page. */
#define SLICE_DMA_CHUNKS	252
/* Joined pieces stay below what a bounce buffer can take in one part. */
#define SLICE_DMA_CHUNK_BYTES	(128u << 10)

static_assert(SLICE_DMA_CHUNKS <= VIRTIO_SLICE_CHUNKS_MAX);
static_assert(SLICE_DMA_CHUNK_BYTES <= VIRTIO_SLICE_CHUNK_BYTES_MAX);

/**
 * struct slice_dma - chunks of one request, being collected or under way
 * @dev: to whom
 * @type: of the request
 * @slice: of the request
 * @term: of the request
 * @direction: DMA_TO_DEVICE or DMA_FROM_DEVICE
 * @offset: where in the payload the first chunk starts
 * @bytes: collected since
 * @total_bytes: of the whole payload
 * @value: what the last response said
 * @n: collected
 * @phys: of each
 * @mapped: device address of each
 * @length: of each
 */
struct slice_dma {
	struct slice_virtio *dev;
	u16 type;
	struct slice_id slice;
	__le64 term;
	enum dma_data_direction direction;
	u64 offset;
	u64 bytes;
	u64 total_bytes;
	u64 value;
	u32 n;
	phys_addr_t phys[SLICE_DMA_CHUNKS];
	dma_addr_t mapped[SLICE_DMA_CHUNKS];
	u32 length[SLICE_DMA_CHUNKS];
};

static struct device *slice_dma_device(const struct slice_dma *dma)
{
	return dma->dev->vdev->dev.parent;
}

static bool slice_dma_is_mapped(const struct slice_dma *dma)
{
	return virtio_has_feature(dma->dev->vdev, VIRTIO_F_ACCESS_PLATFORM);
}

static void slice_dma_unmap(struct slice_dma *dma, u32 n)
{
	if (!slice_dma_is_mapped(dma))
		return;
	while (n--)
		dma_unmap_page(slice_dma_device(dma), dma->mapped[n],
			       dma->length[n], dma->direction);
}

static int slice_dma_map(struct slice_dma *dma)
{
	u32 i;

	for (i = 0; i < dma->n; i++) {
		if (!slice_dma_is_mapped(dma)) {
			dma->mapped[i] = dma->phys[i];
			continue;
		}
		dma->mapped[i] = dma_map_page(slice_dma_device(dma),
					      pfn_to_page(PHYS_PFN(dma->phys[i])),
					      offset_in_page(dma->phys[i]),
					      dma->length[i], dma->direction);
		if (dma_mapping_error(slice_dma_device(dma), dma->mapped[i])) {
			slice_dma_unmap(dma, i);
			return -ENOMEM;
		}
	}
	return 0;
}

static int slice_dma_call(struct slice_dma *dma)
{
	bool is_last = dma->offset + dma->bytes == dma->total_bytes &&
		       dma->type != VIRTIO_SLICE_REQ_PACKETS;
	struct slice_virtio_request *request;
	struct virtio_slice_chunks *chunks;
	struct virtio_slice_chunk *chunk;
	void *body;
	u32 i;
	int ret;

	request = slice_virtio_request_new(dma->type,
					   is_last ? VIRTIO_SLICE_LAST : 0,
					   dma->n, dma->slice, dma->term,
					   sizeof(*chunks) +
					   dma->n * sizeof(*chunk), &body);
	if (!request)
		return -ENOMEM;
	chunks = body;
	chunks->offset = cpu_to_le64(dma->offset);
	chunks->total_bytes = cpu_to_le64(dma->total_bytes);
	chunk = (struct virtio_slice_chunk *)(chunks + 1);
	for (i = 0; i < dma->n; i++) {
		chunk[i].addr = cpu_to_le64(dma->mapped[i]);
		chunk[i].bytes = cpu_to_le32(dma->length[i]);
	}
	ret = slice_virtio_call(dma->dev, request);
	dma->value = le64_to_cpu(request->response.value);
	slice_virtio_request_free(request);
	return ret;
}

/* Sends what was collected and begins anew. */
static int slice_dma_flush(struct slice_dma *dma)
{
	int ret;

	if (!dma->n)
		return 0;
	ret = slice_dma_map(dma);
	if (ret)
		return ret;
	ret = slice_dma_call(dma);
	slice_dma_unmap(dma, dma->n);
	dma->offset += dma->bytes;
	dma->bytes = 0;
	dma->n = 0;
	return ret;
}

static bool slice_dma_join(struct slice_dma *dma, phys_addr_t phys,
			   size_t bytes)
{
	u32 last = dma->n - 1;

	if (!dma->n || dma->phys[last] + dma->length[last] != phys ||
	    dma->length[last] + bytes > SLICE_DMA_CHUNK_BYTES)
		return false;
	dma->length[last] += bytes;
	return true;
}

static phys_addr_t slice_dma_phys(void *kaddr)
{
	if (is_vmalloc_addr(kaddr))
		return page_to_phys(vmalloc_to_page(kaddr)) +
		       offset_in_page(kaddr);
	return virt_to_phys(kaddr);
}

/* A piece that is contiguous in physical memory. */
static int slice_dma_add(void *opaque, void *kaddr, size_t bytes)
{
	struct slice_dma *dma = opaque;
	size_t part;
	int ret;

	while (bytes) {
		part = min_t(size_t, bytes, PAGE_SIZE - offset_in_page(kaddr));
		if (!slice_dma_join(dma, slice_dma_phys(kaddr), part)) {
			if (dma->n == SLICE_DMA_CHUNKS) {
				ret = slice_dma_flush(dma);
				if (ret)
					return ret;
			}
			dma->phys[dma->n] = slice_dma_phys(kaddr);
			dma->length[dma->n++] = part;
		}
		dma->bytes += part;
		kaddr += part;
		bytes -= part;
	}
	return 0;
}

static struct slice_dma *slice_dma_new(struct slice_virtio *dev, u16 type,
				       struct slice_id slice, __le64 term,
				       u64 total_bytes,
				       enum dma_data_direction direction)
{
	struct slice_dma *dma;

	dma = kvzalloc(sizeof(*dma), GFP_KERNEL);
	if (!dma)
		return NULL;
	dma->dev = dev;
	dma->type = type;
	dma->slice = slice;
	dma->term = term;
	dma->total_bytes = total_bytes;
	dma->direction = direction;
	return dma;
}

int slice_virtio_send_image(struct slice_virtio *dev, struct slice_id slice,
			    __le64 term, const struct slice_image *image)
{
	struct slice_dma *dma;
	int ret;

	dma = slice_dma_new(dev, VIRTIO_SLICE_REQ_IMAGE, slice, term,
			    slice_image_bytes(image), DMA_TO_DEVICE);
	if (!dma)
		return -ENOMEM;
	ret = slice_image_for_each_piece(image, slice_dma_add, dma);
	if (!ret)
		ret = slice_dma_flush(dma);
	kvfree(dma);
	return ret;
}

int slice_virtio_send_packets(struct slice_virtio *dev, struct slice_id slice,
			      __le64 term, void *data, size_t bytes)
{
	struct slice_dma *dma;
	int ret;

	dma = slice_dma_new(dev, VIRTIO_SLICE_REQ_PACKETS, slice, term, bytes,
			    DMA_TO_DEVICE);
	if (!dma)
		return -ENOMEM;
	ret = slice_dma_add(dma, data, bytes);
	if (!ret)
		ret = slice_dma_flush(dma);
	kvfree(dma);
	return ret;
}

int slice_virtio_fetch(struct slice_virtio *dev, struct slice_id slice,
		       __le64 term, void *data, size_t bytes)
{
	struct slice_dma *dma;
	int ret;

	dma = slice_dma_new(dev, VIRTIO_SLICE_REQ_ROOM, slice, term, bytes,
			    DMA_FROM_DEVICE);
	if (!dma)
		return -ENOMEM;
	ret = slice_dma_add(dma, data, bytes);
	if (!ret)
		ret = slice_dma_flush(dma);
	if (!ret && dma->value != bytes)
		ret = -EPROTO;
	kvfree(dma);
	return ret;
}
