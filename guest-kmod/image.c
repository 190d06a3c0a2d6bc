// SPDX-License-Identifier: GPL-2.0
/*
 * image.c - writing a slice image as a list of pieces
 *
 * Small things are copied into pages that the image owns and that are filled
 * one after the other; large ones get memory of their own; capsule memory is
 * referenced.  The header lies at the start of the first page, so sealing can
 * complete it in place and run the checksum over the pieces.
 *
 * Below: the page allocator, crc32c.  Above: plug.c, tcp.c, virtio.c.
 * Source: uapi/linux/slice_capsule.h
 */
#include <linux/crc32c.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "image.h"

/* More than this is copied into memory of its own, not into a shared page. */
#define SLICE_IMAGE_SMALL_BYTES	1024

/**
 * struct slice_image_piece - a part of the image, contiguous in kernel memory
 * @kaddr: where it starts
 * @bytes: how long it is
 * @page: whose reference the piece holds, or NULL
 * @own: what the piece frees with kvfree(), or NULL
 */
struct slice_image_piece {
	void *kaddr;
	size_t bytes;
	struct page *page;
	void *own;
};

/**
 * struct slice_image - an image being written, or written
 * @bytes: so far
 * @header: in the first piece
 * @pieces: in order
 * @n_pieces: in use
 * @n_room: allocated
 * @fill: free part of the last page of small things
 * @fill_bytes: how much of it is free
 * @n_records: so far, bounded as the reader bounds it
 * @n_capsules: CAPSULE records so far
 * @n_deps: DEP records so far
 * @spare: a page for END, taken when there is no memory for another
 * @is_sealing: END is being written
 * @sealed: END was written
 */
struct slice_image {
	u64 bytes;
	struct slice_image_header *header;
	struct slice_image_piece *pieces;
	u32 n_pieces;
	u32 n_room;
	u8 *fill;
	size_t fill_bytes;
	u32 n_records;
	u32 n_capsules;
	u32 n_deps;
	struct page *spare;
	bool is_sealing;
	bool sealed;
};

/* END may need two: what is left of a page, and the next. */
#define SLICE_IMAGE_TAIL_PIECES	2

static unsigned long long image_bytes_max = SLICE_IMAGE_BYTES_MAX;
module_param(image_bytes_max, ullong, 0644);
MODULE_PARM_DESC(image_bytes_max,
		 "longest image that this kernel makes, bytes");

static struct slice_image_piece *slice_image_new_piece(struct slice_image *image)
{
	const u32 tail = image->is_sealing ? 0 : SLICE_IMAGE_TAIL_PIECES;
	struct slice_image_piece *pieces;
	u32 room;

	if (image->n_pieces + tail >= image->n_room) {
		room = max(16u, image->n_room * 2);
		pieces = kvcalloc(room, sizeof(*pieces), GFP_KERNEL);
		if (!pieces)
			return NULL;
		if (image->n_pieces)
			memcpy(pieces, image->pieces,
			       image->n_pieces * sizeof(*pieces));
		kvfree(image->pieces);
		image->pieces = pieces;
		image->n_room = room;
	}
	return &image->pieces[image->n_pieces++];
}

static int slice_image_new_fill(struct slice_image *image)
{
	struct slice_image_piece *piece;
	struct page *page;

	page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!page && image->is_sealing)
		swap(page, image->spare);
	if (!page)
		return -ENOMEM;
	piece = slice_image_new_piece(image);
	if (!piece) {
		__free_page(page);
		return -ENOMEM;
	}
	*piece = (struct slice_image_piece){
		.kaddr = page_address(page), .page = page,
	};
	image->fill = piece->kaddr;
	image->fill_bytes = PAGE_SIZE;
	return 0;
}

/* Continues in the free part of the last filled page, as a piece of its own
 * when something else was added since. */
static int slice_image_continue_fill(struct slice_image *image)
{
	struct slice_image_piece *last = &image->pieces[image->n_pieces - 1];
	struct slice_image_piece *piece;
	struct page *page;

	if (!image->fill_bytes)
		return slice_image_new_fill(image);
	if (last->kaddr + last->bytes == image->fill && last->page &&
	    !last->own)
		return 0;
	page = virt_to_page(image->fill);
	piece = slice_image_new_piece(image);
	if (!piece)
		return -ENOMEM;
	get_page(page);
	*piece = (struct slice_image_piece){
		.kaddr = image->fill, .page = page,
	};
	return 0;
}

/* Appends @bytes of @data; NULL means zeros. */
static int slice_image_put(struct slice_image *image, const void *data,
			   size_t bytes)
{
	size_t part;
	int ret;

	while (bytes) {
		ret = slice_image_continue_fill(image);
		if (ret)
			return ret;
		part = min(bytes, image->fill_bytes);
		if (data) {
			memcpy(image->fill, data, part);
			data += part;
		}
		image->pieces[image->n_pieces - 1].bytes += part;
		image->fill += part;
		image->fill_bytes -= part;
		image->bytes += part;
		bytes -= part;
	}
	return 0;
}

static int slice_image_put_own(struct slice_image *image, size_t bytes,
			       void **ret_data)
{
	struct slice_image_piece *piece;
	void *own;

	own = kvzalloc(bytes, GFP_KERNEL);
	if (!own)
		return -ENOMEM;
	piece = slice_image_new_piece(image);
	if (!piece) {
		kvfree(own);
		return -ENOMEM;
	}
	*piece = (struct slice_image_piece){
		.kaddr = own, .bytes = bytes, .own = own,
	};
	image->bytes += bytes;
	*ret_data = own;
	return 0;
}

static int slice_image_put_record(struct slice_image *image, u16 type,
				  u16 flags, u32 index, size_t bytes)
{
	struct slice_image_record record = {
		.type = cpu_to_le16(type),
		.flags = cpu_to_le16(flags),
		.index = cpu_to_le32(index),
		.bytes = cpu_to_le64(bytes),
	};

	if (WARN_ON_ONCE(image->sealed))
		return -EINVAL;
	if (bytes > SLICE_IMAGE_BYTES_MAX ||
	    image->bytes + sizeof(record) + ALIGN(bytes, 8) +
	    sizeof(record) + sizeof(struct slice_image_end) >
	    (image->is_sealing ? SLICE_IMAGE_BYTES_MAX :
				 min_t(u64, READ_ONCE(image_bytes_max),
				       SLICE_IMAGE_BYTES_MAX)) ||
	    (!image->is_sealing &&
	     image->n_records >= SLICE_IMAGE_RECORDS_MAX))
		return -E2BIG;
	image->n_records++;
	if (type == SLICE_RECORD_CAPSULE)
		image->n_capsules++;
	if (type == SLICE_RECORD_DEP)
		image->n_deps++;
	return slice_image_put(image, &record, sizeof(record));
}

static int slice_image_put_padding(struct slice_image *image, size_t bytes)
{
	return slice_image_put(image, NULL, ALIGN(bytes, 8) - bytes);
}

struct slice_image *slice_image_new(struct slice_id slice)
{
	struct slice_image_header header = {
		.magic = SLICE_IMAGE_MAGIC,
		.version = cpu_to_le16(SLICE_IMAGE_VERSION),
		.compat = cpu_to_le16(SLICE_IMAGE_COMPAT),
		.header_bytes = cpu_to_le32(sizeof(header)),
		.incarnation = cpu_to_le64(slice.incarnation),
		.counter = cpu_to_le64(slice.counter),
	};
	struct slice_image *image;

	image = kzalloc(sizeof(*image), GFP_KERNEL);
	if (!image)
		return NULL;
	image->spare = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!image->spare || slice_image_new_fill(image))
		goto err_free;
	image->header = image->pieces[0].kaddr;
	slice_image_put(image, &header, sizeof(header));
	return image;

err_free:
	slice_image_free(image);
	return NULL;
}

void slice_image_free(struct slice_image *image)
{
	u32 i;

	if (!image)
		return;
	for (i = 0; i < image->n_pieces; i++) {
		if (image->pieces[i].page)
			put_page(image->pieces[i].page);
		kvfree(image->pieces[i].own);
	}
	if (image->spare)
		__free_page(image->spare);
	kvfree(image->pieces);
	kfree(image);
}

void slice_image_mark(const struct slice_image *image,
		      struct slice_image_mark *ret_mark)
{
	*ret_mark = (struct slice_image_mark){
		.bytes = image->bytes,
		.n_pieces = image->n_pieces,
		.last_bytes = image->pieces[image->n_pieces - 1].bytes,
		.fill = image->fill,
		.fill_bytes = image->fill_bytes,
		.n_records = image->n_records,
		.n_capsules = image->n_capsules,
		.n_deps = image->n_deps,
	};
}

void slice_image_cut(struct slice_image *image,
		     const struct slice_image_mark *mark)
{
	struct slice_image_piece *piece;

	while (image->n_pieces > mark->n_pieces) {
		piece = &image->pieces[--image->n_pieces];
		if (piece->page)
			put_page(piece->page);
		kvfree(piece->own);
	}
	image->pieces[image->n_pieces - 1].bytes = mark->last_bytes;
	/* What was written there is written over; padding counts on zeros. */
	memset(mark->fill, 0, mark->fill_bytes);
	image->fill = mark->fill;
	image->fill_bytes = mark->fill_bytes;
	image->bytes = mark->bytes;
	image->n_records = mark->n_records;
	image->n_capsules = mark->n_capsules;
	image->n_deps = mark->n_deps;
}

int slice_image_add(struct slice_image *image, u16 type, u16 flags, u32 index,
		    const void *data, size_t bytes)
{
	void *room;
	int ret;

	if (bytes > SLICE_IMAGE_SMALL_BYTES) {
		ret = slice_image_reserve(image, type, flags, index, bytes,
					  &room);
		if (!ret)
			memcpy(room, data, bytes);
		return ret;
	}
	ret = slice_image_put_record(image, type, flags, index, bytes);
	if (ret)
		return ret;
	ret = slice_image_put(image, data, bytes);
	if (ret)
		return ret;
	return slice_image_put_padding(image, bytes);
}

int slice_image_reserve(struct slice_image *image, u16 type, u16 flags,
			u32 index, size_t bytes, void **ret_data)
{
	int ret;

	ret = slice_image_put_record(image, type, flags, index, bytes);
	if (ret)
		return ret;
	*ret_data = NULL;
	if (!bytes)
		return 0;
	ret = slice_image_put_own(image, bytes, ret_data);
	if (ret)
		return ret;
	return slice_image_put_padding(image, bytes);
}

int slice_image_add_pages(struct slice_image *image, u32 index, u64 offset,
			  struct page **pages, u32 n_pages)
{
	size_t bytes = sizeof(__le64) + (size_t)n_pages * PAGE_SIZE;
	__le64 offset_le = cpu_to_le64(offset);
	struct slice_image_piece *piece;
	u32 i;
	int ret;

	ret = slice_image_put_record(image, SLICE_RECORD_MEMORY,
				     SLICE_RECORD_MUST, index, bytes);
	if (ret)
		return ret;
	ret = slice_image_put(image, &offset_le, sizeof(offset_le));
	if (ret)
		return ret;
	for (i = 0; i < n_pages; i++) {
		piece = slice_image_new_piece(image);
		if (!piece)
			return -ENOMEM;
		get_page(pages[i]);
		*piece = (struct slice_image_piece){
			.kaddr = page_address(pages[i]),
			.bytes = PAGE_SIZE,
			.page = pages[i],
		};
		image->bytes += PAGE_SIZE;
	}
	return 0;
}

int slice_image_seal(struct slice_image *image, u64 frozen_ns)
{
	const u64 tail_bytes = sizeof(struct slice_image_record) +
			       sizeof(struct slice_image_end);
	struct slice_image_end end = {};
	u32 crc = ~0u;
	u32 i;
	int ret;

	image->header->total_bytes = cpu_to_le64(image->bytes + tail_bytes);
	image->header->frozen_ns = cpu_to_le64(frozen_ns);
	image->header->n_capsules = cpu_to_le32(image->n_capsules);
	image->header->n_deps = cpu_to_le32(image->n_deps);
	for (i = 0; i < image->n_pieces; i++) {
		crc = crc32c(crc, image->pieces[i].kaddr,
			     image->pieces[i].bytes);
		cond_resched();
	}
	end.crc32c = cpu_to_le32(~crc);
	image->is_sealing = true;
	ret = slice_image_put_record(image, SLICE_RECORD_END,
				     SLICE_RECORD_MUST, 0, sizeof(end));
	if (ret)
		return ret;
	ret = slice_image_put(image, &end, sizeof(end));
	if (ret)
		return ret;
	image->sealed = true;
	return 0;
}

u64 slice_image_bytes(const struct slice_image *image)
{
	return image->bytes;
}

int slice_image_copy(const struct slice_image *image, u64 offset, void *to,
		     size_t bytes)
{
	const struct slice_image_piece *piece;
	size_t part;
	u32 i;

	if (offset > image->bytes || bytes > image->bytes - offset)
		return -EINVAL;
	for (i = 0; i < image->n_pieces && bytes; i++) {
		piece = &image->pieces[i];
		if (offset >= piece->bytes) {
			offset -= piece->bytes;
			continue;
		}
		part = min_t(size_t, piece->bytes - offset, bytes);
		memcpy(to, piece->kaddr + offset, part);
		to += part;
		bytes -= part;
		offset = 0;
	}
	return 0;
}

static int slice_image_each_page(void *kaddr, size_t bytes,
				 int (*piece)(void *opaque, void *kaddr,
					      size_t bytes), void *opaque)
{
	size_t part;
	int ret;

	while (bytes) {
		part = bytes;
		if (is_vmalloc_addr(kaddr))
			part = min_t(size_t, bytes,
				     PAGE_SIZE - offset_in_page(kaddr));
		ret = piece(opaque, kaddr, part);
		if (ret)
			return ret;
		kaddr += part;
		bytes -= part;
	}
	return 0;
}

int slice_image_for_each_piece(const struct slice_image *image,
			       int (*piece)(void *opaque, void *kaddr,
					    size_t bytes), void *opaque)
{
	u32 i;
	int ret;

	for (i = 0; i < image->n_pieces; i++) {
		ret = slice_image_each_page(image->pieces[i].kaddr,
					    image->pieces[i].bytes, piece,
					    opaque);
		if (ret)
			return ret;
	}
	return 0;
}
