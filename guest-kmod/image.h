/* SPDX-License-Identifier: GPL-2.0 */
/*
 * image.h - writing and reading slice images (uapi/linux/slice_capsule.h)
 *
 * DOC: an image in memory
 *
 * A written image is a list of pieces in order: bytes that the image owns, and
 * pages that it holds a reference of (capsule memory is not copied).  The
 * virtio driver maps the pieces for the device; UNPLUG by ioctl copies them
 * out.  A read image is one kernel buffer, checked whole by slice_image_open()
 * before anyone looks at a record: later accessors cannot run out of it.
 */
#ifndef SLICE_IMAGE_H
#define SLICE_IMAGE_H

#include <linux/types.h>
#include <uapi/linux/slice.h>
#include <uapi/linux/slice_capsule.h>

struct page;
struct slice_image;

/* Records before END that a writer makes and a reader takes: bounds what a
 * hostile image can cost; a whole image of page-long runs stays below it. */
#define SLICE_IMAGE_RECORDS_MAX	(1u << 17)

/* ---- writing ---- */
struct slice_image *slice_image_new(struct slice_id slice);
void slice_image_free(struct slice_image *image);
/* Copies @bytes of @data.  -ENOMEM, -E2BIG past SLICE_IMAGE_BYTES_MAX. */
int slice_image_add(struct slice_image *image, u16 type, u16 flags, u32 index,
		    const void *data, size_t bytes);
/* Room in the record for @bytes that the caller fills through *ret_data
 * (kvmalloc'ed, owned by the image) before slice_image_seal(). */
int slice_image_reserve(struct slice_image *image, u16 type, u16 flags,
			u32 index, size_t bytes, void **ret_data);
/* A MEMORY record: @offset, then whole pages, referenced, not copied. */
int slice_image_add_pages(struct slice_image *image, u32 index, u64 offset,
			  struct page **pages, u32 n_pages);
/**
 * struct slice_image_mark - how far an image was written
 */
struct slice_image_mark {
	u64 bytes;
	u32 n_pieces;
	size_t last_bytes;
	u8 *fill;
	size_t fill_bytes;
	u32 n_records;
	u32 n_capsules;
	u32 n_deps;
};

/* Marks, and later takes away what was added since: a record that could not be
 * finished must not stay. */
void slice_image_mark(const struct slice_image *image,
		      struct slice_image_mark *ret_mark);
void slice_image_cut(struct slice_image *image,
		     const struct slice_image_mark *mark);
/* Writes header fields and END; nothing can be added afterwards.  Takes no
 * memory that is not there already; -E2BIG. */
int slice_image_seal(struct slice_image *image, u64 frozen_ns);
u64 slice_image_bytes(const struct slice_image *image);
/* Copies [offset, offset + bytes) out; for UNPLUG and for plugging again. */
int slice_image_copy(const struct slice_image *image, u64 offset, void *to,
		     size_t bytes);
/* Calls @piece for each contiguous part (page-granular for DMA). */
int slice_image_for_each_piece(const struct slice_image *image,
			       int (*piece)(void *opaque, void *kaddr,
					    size_t bytes), void *opaque);

/* ---- reading ---- */
struct slice_image_reader {
	const u8 *data;
	size_t bytes;
	const struct slice_image_header *header;
	u32 n_capsules;
	u32 n_deps;
	const struct slice_image_capsule **capsules;	/* n_capsules */
	const struct slice_image_dep **deps;		/* n_deps */
	u32 n_state;
	const struct slice_image_record **state;	/* n_state, in order */
};
/* Checks everything of the format: -EPROTO (malformed), -ENOMEM, -EPROTONOSUPPORT
 * (compat).  @data (vmalloc'ed, 8-aligned) stays the caller's and must outlive
 * the reader. */
int slice_image_open(const void *data, size_t bytes,
		     struct slice_image_reader *ret_reader);
/* Of a copy of an image that this kernel has written and kept: the pages that
 * it references can be written to until it is gone, so they may have changed
 * since slice_image_seal() and the checksum says nothing. */
int slice_image_open_kept(const void *data, size_t bytes,
			  struct slice_image_reader *ret_reader);
void slice_image_close(struct slice_image_reader *reader);
/* The @nth record (from 0) of @type that belongs to capsule @index: its payload
 * and length, or NULL. */
const void *slice_image_find(const struct slice_image_reader *reader, u16 type,
			     u32 index, u32 nth, size_t *ret_bytes);

#endif /* SLICE_IMAGE_H */
