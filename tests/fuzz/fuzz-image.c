// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz-image.c - the kernel's reader of slice images (contract 2)
 *
 * An input with an odd first byte is an image but for what a fuzzer cannot
 * guess; one with an even first byte is a list of changes to a good image: three
 * bytes each, where and what.  In both magic, length and END with the checksum
 * are put right, where the image is long enough to have them.  All that the
 * reader hands out is then looked at, as the layers would.
 *
 * Below: guest-kmod/image-read.c with shim-kernel/.
 */
#include <linux/crc32c.h>
#include <linux/types.h>

#include "image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static volatile u8 sink;

static void look_at(const void *data, size_t bytes)
{
    const u8 *at = data;
    size_t i;

    for (i = 0; i < bytes; i++) {
        sink ^= at[i];
    }
}

static void put_right(u8 *image, size_t bytes)
{
    const size_t tail = sizeof(struct slice_image_record) +
                        sizeof(struct slice_image_end);
    struct slice_image_header *header = (void *)image;
    struct slice_image_end *end;

    if (bytes < sizeof(*header) + tail || bytes % 8) {
        return;
    }
    memcpy(header->magic, SLICE_IMAGE_MAGIC, sizeof(header->magic));
    header->compat = 1;
    header->header_bytes = sizeof(*header);
    header->total_bytes = bytes;
    header->flags = 0;
    header->rsvd = 0;
    memset(image + bytes - tail, 0, tail);
    ((struct slice_image_record *)(void *)(image + bytes - tail))->bytes =
        sizeof(*end);
    end = (void *)(image + bytes - sizeof(*end));
    end->crc32c = ~crc32c(~0u, image, bytes - tail);
}

static void look_at_all(const struct slice_image_reader *reader)
{
    const void *payload;
    size_t bytes;
    u32 i, nth;
    u16 type;

    for (i = 0; i < reader->n_capsules; i++) {
        look_at(reader->capsules[i], sizeof(*reader->capsules[i]));
        for (type = 0; type < 32; type++) {
            for (nth = 0; nth < 4 &&
                 (payload = slice_image_find(reader, type, i, nth, &bytes));
                 nth++) {
                look_at(payload, bytes);
            }
        }
    }
    for (i = 0; i < reader->n_deps; i++) {
        look_at(reader->deps[i], sizeof(*reader->deps[i]));
    }
}

static void take(const u8 *data, size_t bytes)
{
    struct slice_image_reader reader;
    u8 *image = malloc(bytes ? bytes : 1);

    memcpy(image, data, bytes);
    put_right(image, bytes);
    if (!slice_image_open(image, bytes, &reader)) {
        look_at_all(&reader);
        slice_image_close(&reader);
    }
    free(image);
}

/* ---- a good image ---- */

static u8 good[16384];
static size_t good_bytes;

static void *add(u16 type, u32 index, size_t bytes)
{
    struct slice_image_record *record = (void *)(good + good_bytes);

    record->type = type;
    record->flags = SLICE_RECORD_MUST;
    record->index = index;
    record->bytes = bytes;
    good_bytes += sizeof(*record) + ALIGN(bytes, 8);
    return record + 1;
}

static void make_good(void)
{
    struct slice_image_header *header = (void *)good;
    struct slice_image_capsule *capsule;
    struct slice_image_dep *dep;
    u32 i;

    header->version = SLICE_IMAGE_VERSION;
    header->incarnation = 1;
    header->counter = 2;
    header->n_capsules = 3;
    header->n_deps = 2;
    good_bytes = sizeof(*header);
    for (i = 0; i < 3; i++) {
        capsule = add(SLICE_RECORD_CAPSULE, 0, sizeof(*capsule));
        capsule->incarnation = 1;
        capsule->counter = i;
        memcpy(capsule->layer, "layer", 5);
        capsule->flags = i == 2 ? SLICE_IMAGE_TOP : 0;
        capsule->room_bytes = i == 2 ? 8192 : 0;
        capsule->key_bytes = i;
        memcpy(capsule->key, "key", i);
    }
    for (i = 0; i < 2; i++) {
        dep = add(SLICE_RECORD_DEP, 0, sizeof(*dep));
        dep->from = i + 1;
        dep->to = i;
    }
    memcpy(add(SLICE_RECORD_LABEL, 2, 5), "label", 5);
    add(SLICE_RECORD_FLOW, 0, sizeof(struct slice_image_flow));
    add(SLICE_RECORD_TCP, 1, sizeof(struct slice_image_tcp));
    add(SLICE_RECORD_TCP_RECV, 1, 100);
    add(SLICE_RECORD_TCP_SEND, 1, 0);
    add(SLICE_RECORD_MEMORY, 2, 8 + PAGE_SIZE);
    add(SLICE_RECORD_END, 0, sizeof(struct slice_image_end));
}

static void take_changed(const u8 *changes, size_t bytes)
{
    u8 image[sizeof(good)];
    size_t where;

    if (!good_bytes) {
        make_good();
    }
    memcpy(image, good, good_bytes);
    for (; bytes >= 3; bytes -= 3, changes += 3) {
        where = (changes[0] | changes[1] << 8) % good_bytes;
        image[where] = changes[2];
    }
    take(image, good_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (!bytes) {
        return 0;
    }
    if (data[0] & 1) {
        take(data + 1, bytes - 1);
    } else {
        take_changed(data + 1, bytes - 1);
    }
    return 0;
}
