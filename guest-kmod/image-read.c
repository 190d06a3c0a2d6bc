// SPDX-License-Identifier: GPL-2.0
/*
 * image-read.c - reading a slice image that may be hostile
 *
 * One pass over the records checks lengths, order, indices, padding and the
 * checksum; what it leaves in the reader are pointers into the caller's
 * buffer, all of which lie wholly inside.  No other code looks at a length of
 * the image again.
 *
 * Below: crc32c.  Above: plug.c, tcp.c, layer.c.
 * Source: uapi/linux/slice_capsule.h
 */
#include <linux/crc32c.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "image.h"

/**
 * struct slice_image_walk - where the pass over the records is
 * @reader: what it fills
 * @left: bytes after @at
 * @at: the next record
 * @n_capsules: seen so far
 * @n_deps: seen so far
 * @n_state: state records seen so far
 * @n_top: capsules with SLICE_IMAGE_TOP
 * @n_records: of any type
 * @section: type of the section that it is in: records never go back
 * @is_kept: written by this kernel, see slice_image_open_kept()
 */
struct slice_image_walk {
	struct slice_image_reader *reader;
	size_t left;
	const u8 *at;
	u32 n_capsules;
	u32 n_deps;
	u32 n_state;
	u32 n_top;
	u32 n_records;
	u32 section;
	bool is_kept;
};

static bool slice_image_is_zero(const u8 *bytes, size_t n_bytes)
{
	return !memchr_inv(bytes, 0, n_bytes);
}

static bool slice_image_is_name(const u8 *name)
{
	size_t bytes = strnlen((const char *)name, SLICE_LAYER_NAME_BYTES);

	return bytes > 0 && bytes < SLICE_LAYER_NAME_BYTES &&
	       slice_image_is_zero(name + bytes,
				   SLICE_LAYER_NAME_BYTES - bytes);
}

static int slice_image_check_header(const struct slice_image_header *header,
				    size_t bytes)
{
	if (bytes < sizeof(*header) ||
	    memcmp(header->magic, SLICE_IMAGE_MAGIC, sizeof(header->magic)))
		return -EPROTO;
	if (le16_to_cpu(header->compat) > SLICE_IMAGE_VERSION)
		return -EPROTONOSUPPORT;
	if (le32_to_cpu(header->header_bytes) != sizeof(*header) ||
	    le64_to_cpu(header->total_bytes) != bytes ||
	    bytes > SLICE_IMAGE_BYTES_MAX ||
	    !le64_to_cpu(header->incarnation) ||
	    !le32_to_cpu(header->n_capsules) ||
	    le32_to_cpu(header->n_capsules) > SLICE_IMAGE_CAPSULES_MAX ||
	    le32_to_cpu(header->n_deps) > SLICE_IMAGE_DEPS_MAX ||
	    le32_to_cpu(header->flags) & ~SLICE_IMAGE_COMMIT ||
	    header->rsvd)
		return -EPROTO;
	return 0;
}

static bool slice_image_capsule_id_is_new(const struct slice_image_walk *walk,
					  const struct slice_image_capsule *c)
{
	u32 i;

	for (i = 0; i < walk->n_capsules; i++)
		if (walk->reader->capsules[i]->counter == c->counter &&
		    walk->reader->capsules[i]->incarnation == c->incarnation)
			return false;
	return true;
}

static int slice_image_take_capsule(struct slice_image_walk *walk,
				    const void *payload, u64 bytes)
{
	const struct slice_image_capsule *c = payload;
	u32 key_bytes;
	u64 room_bytes;

	if (bytes != sizeof(*c) || walk->n_capsules == walk->reader->n_capsules)
		return -EPROTO;
	key_bytes = le32_to_cpu(c->key_bytes);
	room_bytes = le64_to_cpu(c->room_bytes);
	if (!c->incarnation || !slice_image_is_name(c->layer) ||
	    le32_to_cpu(c->flags) & ~SLICE_IMAGE_TOP || c->rsvd ||
	    room_bytes > SLICE_CAPSULE_BYTES_MAX ||
	    !IS_ALIGNED(room_bytes, PAGE_SIZE) ||
	    key_bytes > SLICE_KEY_BYTES_MAX ||
	    !slice_image_is_zero(c->key + key_bytes,
				 SLICE_KEY_BYTES_MAX - key_bytes) ||
	    !slice_image_capsule_id_is_new(walk, c))
		return -EPROTO;
	if (le32_to_cpu(c->flags) & SLICE_IMAGE_TOP) {
		walk->n_top++;
		if (c->incarnation != walk->reader->header->incarnation ||
		    c->counter != walk->reader->header->counter)
			return -EPROTO;
	}
	walk->reader->capsules[walk->n_capsules++] = c;
	return 0;
}

static int slice_image_take_dep(struct slice_image_walk *walk,
				const void *payload, u64 bytes)
{
	const struct slice_image_dep *dep = payload;

	if (bytes != sizeof(*dep) || walk->n_deps == walk->reader->n_deps ||
	    walk->n_capsules != walk->reader->n_capsules)
		return -EPROTO;
	if (le32_to_cpu(dep->from) >= walk->n_capsules ||
	    le32_to_cpu(dep->to) >= walk->n_capsules ||
	    dep->from == dep->to)
		return -EPROTO;
	walk->reader->deps[walk->n_deps++] = dep;
	return 0;
}

static bool slice_image_memory_fits(const struct slice_image_walk *walk,
				    u32 index, const void *payload, u64 bytes)
{
	u64 room, offset;

	if (bytes <= sizeof(__le64) ||
	    !IS_ALIGNED(bytes - sizeof(__le64), PAGE_SIZE))
		return false;
	room = le64_to_cpu(walk->reader->capsules[index]->room_bytes);
	offset = le64_to_cpu(*(const __le64 *)payload);
	return IS_ALIGNED(offset, PAGE_SIZE) && offset <= room &&
	       bytes - sizeof(__le64) <= room - offset;
}

static bool slice_image_state_fits(const struct slice_image_walk *walk,
				   u16 type, u32 index, const void *payload,
				   u64 bytes)
{
	switch (type) {
	case SLICE_RECORD_LABEL:
		return bytes >= 1 && bytes <= SLICE_LABEL_BYTES;
	case SLICE_RECORD_MEMORY:
		return slice_image_memory_fits(walk, index, payload, bytes);
	case SLICE_RECORD_FLOW:
		return bytes == sizeof(struct slice_image_flow);
	case SLICE_RECORD_TCP:
		return bytes == sizeof(struct slice_image_tcp);
	default:
		return true;
	}
}

static bool slice_image_type_is_known(u16 type)
{
	switch (type) {
	case SLICE_RECORD_CAPSULE:
	case SLICE_RECORD_DEP:
	case SLICE_RECORD_LABEL:
	case SLICE_RECORD_MEMORY:
	case SLICE_RECORD_FLOW:
	case SLICE_RECORD_TCP:
	case SLICE_RECORD_TCP_RECV:
	case SLICE_RECORD_TCP_SEND:
	case SLICE_RECORD_TCP_AHEAD:
		return true;
	default:
		return false;
	}
}

/* The order of sections: CAPSULE, DEP, everything else. */
static u32 slice_image_section(u16 type)
{
	return min_t(u32, type, SLICE_RECORD_LABEL);
}

static int slice_image_take_record(struct slice_image_walk *walk,
				   const struct slice_image_record *record,
				   const void *payload, u64 bytes)
{
	u16 type = le16_to_cpu(record->type);
	u16 flags = le16_to_cpu(record->flags);
	u32 index = le32_to_cpu(record->index);

	if (flags & ~SLICE_RECORD_MUST)
		return -EPROTO;
	if (!slice_image_type_is_known(type))
		return flags & SLICE_RECORD_MUST ? -EPROTO : 0;
	if (slice_image_section(type) < walk->section)
		return -EPROTO;
	walk->section = slice_image_section(type);
	if (type == SLICE_RECORD_CAPSULE)
		return index ? -EPROTO :
			slice_image_take_capsule(walk, payload, bytes);
	if (type == SLICE_RECORD_DEP)
		return index ? -EPROTO :
			slice_image_take_dep(walk, payload, bytes);
	if (walk->n_capsules != walk->reader->n_capsules ||
	    walk->n_deps != walk->reader->n_deps ||
	    index >= walk->n_capsules ||
	    !slice_image_state_fits(walk, type, index, payload, bytes))
		return -EPROTO;
	walk->reader->state[walk->n_state++] = record;
	return 0;
}

static int slice_image_take_end(struct slice_image_walk *walk,
				const struct slice_image_record *record,
				const void *payload, u64 bytes)
{
	const struct slice_image_end *end = payload;
	const u8 *data = walk->reader->data;

	if (bytes != sizeof(*end) || record->index || end->rsvd ||
	    le16_to_cpu(record->flags) & ~SLICE_RECORD_MUST ||
	    walk->left || walk->n_top != 1 ||
	    walk->n_capsules != walk->reader->n_capsules ||
	    walk->n_deps != walk->reader->n_deps)
		return -EPROTO;
	if (!walk->is_kept &&
	    ~crc32c(~0u, data, (const u8 *)record - data) !=
	    le32_to_cpu(end->crc32c))
		return -EPROTO;
	walk->reader->n_state = walk->n_state;
	return 0;
}

/* Return: 1 go on, 0 END was reached and is good, or -EPROTO. */
static int slice_image_step(struct slice_image_walk *walk)
{
	const struct slice_image_record *record = (const void *)walk->at;
	const u8 *payload = walk->at + sizeof(*record);
	u64 bytes, padded;
	int ret;

	if (walk->left < sizeof(*record) ||
	    walk->n_records++ > SLICE_IMAGE_RECORDS_MAX)
		return -EPROTO;
	walk->left -= sizeof(*record);
	bytes = le64_to_cpu(record->bytes);
	if (bytes > walk->left)
		return -EPROTO;
	padded = ALIGN(bytes, 8);
	if (padded > walk->left ||
	    !slice_image_is_zero(payload + bytes, padded - bytes))
		return -EPROTO;
	walk->left -= padded;
	walk->at = payload + padded;
	if (record->type == cpu_to_le16(SLICE_RECORD_END))
		return slice_image_take_end(walk, record, payload, bytes);
	ret = slice_image_take_record(walk, record, payload, bytes);
	return ret ? ret : 1;
}

/* How many records there are before END, so that the index can be sized. */
static int slice_image_count(const u8 *data, size_t bytes, u32 *ret_records)
{
	const struct slice_image_record *record;
	size_t at = sizeof(struct slice_image_header);
	u32 n = 0;
	u64 payload;

	while (bytes - at >= sizeof(*record)) {
		record = (const void *)(data + at);
		at += sizeof(*record);
		payload = le64_to_cpu(record->bytes);
		if (payload > bytes - at || ALIGN(payload, 8) > bytes - at)
			return -EPROTO;
		at += ALIGN(payload, 8);
		if (++n > SLICE_IMAGE_RECORDS_MAX + 1)
			return -EPROTO;
	}
	*ret_records = n;
	return 0;
}

static int slice_image_alloc_index(struct slice_image_reader *reader,
				   u32 n_records)
{
	reader->capsules = kvcalloc(reader->n_capsules,
				    sizeof(*reader->capsules), GFP_KERNEL);
	reader->deps = kvcalloc(max(1u, reader->n_deps),
				sizeof(*reader->deps), GFP_KERNEL);
	reader->state = kvcalloc(max(1u, n_records), sizeof(*reader->state),
				 GFP_KERNEL);
	if (!reader->capsules || !reader->deps || !reader->state)
		return -ENOMEM;
	return 0;
}

static int slice_image_read(const void *data, size_t bytes, bool is_kept,
			    struct slice_image_reader *ret_reader)
{
	struct slice_image_reader reader = {
		.data = data, .bytes = bytes, .header = data,
	};
	struct slice_image_walk walk = {
		.reader = &reader, .is_kept = is_kept,
	};
	u32 n_records;
	int ret;

	ret = slice_image_check_header(data, bytes);
	if (ret)
		return ret;
	ret = slice_image_count(data, bytes, &n_records);
	if (ret)
		return ret;
	reader.n_capsules = le32_to_cpu(reader.header->n_capsules);
	reader.n_deps = le32_to_cpu(reader.header->n_deps);
	ret = slice_image_alloc_index(&reader, n_records);
	if (ret)
		goto err_close;

	walk.at = reader.data + sizeof(*reader.header);
	walk.left = bytes - sizeof(*reader.header);
	do {
		ret = slice_image_step(&walk);
		cond_resched();
	} while (ret > 0);
	if (ret)
		goto err_close;
	*ret_reader = reader;
	return 0;

err_close:
	slice_image_close(&reader);
	return ret;
}

int slice_image_open(const void *data, size_t bytes,
		     struct slice_image_reader *ret_reader)
{
	return slice_image_read(data, bytes, false, ret_reader);
}

int slice_image_open_kept(const void *data, size_t bytes,
			  struct slice_image_reader *ret_reader)
{
	return slice_image_read(data, bytes, true, ret_reader);
}

void slice_image_close(struct slice_image_reader *reader)
{
	kvfree(reader->capsules);
	kvfree(reader->deps);
	kvfree(reader->state);
	memset(reader, 0, sizeof(*reader));
}

const void *slice_image_find(const struct slice_image_reader *reader, u16 type,
			     u32 index, u32 nth, size_t *ret_bytes)
{
	const struct slice_image_record *record;
	u32 i;

	for (i = 0; i < reader->n_state; i++) {
		record = reader->state[i];
		if (le16_to_cpu(record->type) != type ||
		    le32_to_cpu(record->index) != index || nth--)
			continue;
		*ret_bytes = le64_to_cpu(record->bytes);
		return record + 1;
	}
	return NULL;
}
