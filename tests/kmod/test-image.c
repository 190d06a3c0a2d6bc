// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-image.c - images that are not what they should be
 *
 * Every change of an image without a new checksum must be refused.  With a new
 * checksum a changed image may be good; it must not do harm then, and is
 * discarded.
 */
#include "device.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* A slice of three passive capsules, as an image; gone from the kernel. */
static void make_image(Opener *low, Opener *high, Image *ret_image)
{
    struct slice_register a, b, c;
    char *memory;

    capsule_register_ok(low, 0, "low-a", 4096, &a);
    capsule_register_ok(low, 0, "low-b", 0, &b);
    capsule_register_ok(high, 0, "high", 2 * 4096, &c);
    capsule_dep_ok(high, c.id, a.id);
    capsule_dep_ok(high, c.id, b.id);
    capsule_make_top(high, c.id, "image");
    memory = capsule_map(high, &c);
    memset(memory, 0x5a, c.bytes);
    munmap(memory, c.bytes);
    g_assert_cmpint(move_quiesce(low, c.id, 5000, NULL), ==, 0);
    g_assert_cmpint(move_unplug(low, c.id, ret_image, NULL), ==, 0);
    g_assert_cmpint(move_finish(low, c.id, SLICE_FINISH_FORGET, NULL), ==, 0);
}

typedef struct {
    Opener low, high;
    Image image;
} Fixture;

static void fixture_open(Fixture *f)
{
    opener_open_layer(&f->low, "t-image-low", 100, SLICE_LAYER_PASSIVE);
    opener_open_layer(&f->high, "t-image-high", 200, SLICE_LAYER_PASSIVE);
    make_image(&f->low, &f->high, &f->image);
}

static void fixture_close(Fixture *f)
{
    image_clear(&f->image);
    opener_close(&f->high);
    opener_close(&f->low);
}

static struct slice_id image_id(const Image *image)
{
    const struct slice_image_header *header = (const void *)image->data;

    return (struct slice_id){
        GUINT64_FROM_LE(header->incarnation), GUINT64_FROM_LE(header->counter),
    };
}

/* Plugs and takes away again; what PLUG said. */
static int try_plug(Fixture *f, const Image *image)
{
    guint32 before = device_n_capsules(&f->low);
    int ret = move_plug(&f->low, image, 1000, NULL);

    if (!ret) {
        g_assert_cmpint(move_finish(&f->low, image_id(image),
                                    SLICE_FINISH_DISCARD, NULL), ==, 0);
    }
    g_assert_cmpint(device_n_capsules(&f->low), ==, before);
    return ret;
}

static void test_good(void)
{
    Fixture f;

    fixture_open(&f);
    g_assert_cmpint(try_plug(&f, &f.image), ==, 0);
    g_assert_cmpint(try_plug(&f, &f.image), ==, 0);
    /* The test's own checksum is the kernel's. */
    image_reseal(&f.image);
    g_assert_cmpint(try_plug(&f, &f.image), ==, 0);
    fixture_close(&f);
}

static void test_truncated(void)
{
    Fixture f;
    Image cut;

    fixture_open(&f);
    cut = f.image;
    for (cut.bytes = 0; cut.bytes < f.image.bytes; cut.bytes++) {
        g_assert_cmpint(try_plug(&f, &cut), ==, -EPROTO);
    }
    fixture_close(&f);
}

/* Bytes that matter more than memory's: all but the insides of pages. */
static gsize next_byte(gsize at)
{
    return at < 900 || at % 4096 > 4000 || at % 4096 < 100 ? at + 1 : at + 97;
}

static void test_flipped(void)
{
    Fixture f;
    gsize at;

    fixture_open(&f);
    for (at = 0; at < f.image.bytes; at = next_byte(at)) {
        f.image.data[at] ^= 1 << (at % 8);
        g_assert_cmpint(try_plug(&f, &f.image), ==, -EPROTO);
        f.image.data[at] ^= 1 << (at % 8);
    }
    fixture_close(&f);
}

static void test_resealed(void)
{
    static const guint8 changes[] = { 0x01, 0x80, 0xff };
    g_autofree guint8 *good = NULL;
    gsize at, c, taken = 0, refused = 0;
    Fixture f;

    fixture_open(&f);
    good = g_memdup2(f.image.data, f.image.bytes);
    for (at = 0; at < f.image.bytes - 24; at = next_byte(at)) {
        for (c = 0; c < G_N_ELEMENTS(changes); c++) {
            f.image.data[at] ^= changes[c];
            image_reseal(&f.image);
            if (try_plug(&f, &f.image)) {
                refused++;
            } else {
                taken++;
            }
            memcpy(f.image.data, good, f.image.bytes);
        }
    }
    g_test_message("%zu taken, %zu refused", taken, refused);
    g_assert_cmpint(try_plug(&f, &f.image), ==, 0);
    fixture_close(&f);
}

static struct slice_image_record *nth_record(Image *image, guint nth)
{
    gsize at = sizeof(struct slice_image_header);
    struct slice_image_record *record;

    for (;;) {
        record = (void *)(image->data + at);
        if (!nth--) {
            return record;
        }
        at += sizeof(*record) + ((GUINT64_FROM_LE(record->bytes) + 7) & ~7ull);
        g_assert_cmpint(at, <, image->bytes);
    }
}

static int with_record_bytes(Fixture *f, guint nth, guint64 bytes)
{
    struct slice_image_record *record = nth_record(&f->image, nth);
    guint64 was = record->bytes;
    int ret;

    record->bytes = GUINT64_TO_LE(bytes);
    image_reseal(&f->image);
    ret = try_plug(f, &f->image);
    record->bytes = was;
    return ret;
}

static void test_lengths(void)
{
    static const guint64 lengths[] = {
        0, 1, 7, 8, 9, 1 << 20, 0x7fffffff, 0xfffffff8, 0xffffffff,
        0x100000000, 0x7fffffffffffffff, 0xfffffffffffffff0,
        0xfffffffffffffff8, 0xffffffffffffffff,
    };
    guint nth;
    gsize i;
    Fixture f;

    fixture_open(&f);
    for (nth = 0; nth < 8; nth++) {
        for (i = 0; i < G_N_ELEMENTS(lengths); i++) {
            if (lengths[i] != GUINT64_FROM_LE(
                    nth_record(&f.image, nth)->bytes)) {
                with_record_bytes(&f, nth, lengths[i]);
            }
        }
    }
    g_assert_cmpint(with_record_bytes(&f, 0, 0xffffffffffffffff), ==, -EPROTO);
    fixture_close(&f);
}

static int with_header(Fixture *f, gsize offset, gsize bytes, guint64 value)
{
    guint64 le = GUINT64_TO_LE(value);
    guint8 was[8];
    int ret;

    memcpy(was, f->image.data + offset, bytes);
    memcpy(f->image.data + offset, &le, bytes);
    image_reseal(&f->image);
    ret = try_plug(f, &f->image);
    memcpy(f->image.data + offset, was, bytes);
    return ret;
}

#define HEADER(f, member, value) \
    with_header(f, offsetof(struct slice_image_header, member), \
                sizeof(((struct slice_image_header *)0)->member), value)

static void test_header(void)
{
    Fixture f;

    fixture_open(&f);
    g_assert_cmpint(HEADER(&f, version, 9), ==, 0);
    g_assert_cmpint(HEADER(&f, compat, 9), ==, -EPROTO);
    g_assert_cmpint(HEADER(&f, header_bytes, 0), ==, -EPROTO);
    g_assert_cmpint(HEADER(&f, total_bytes, f.image.bytes + 8), ==, -EPROTO);
    g_assert_cmpint(HEADER(&f, incarnation, 0), ==, -EPROTO);
    g_assert_cmpint(HEADER(&f, n_capsules, 0), ==, -EPROTO);
    g_assert_cmpint(HEADER(&f, n_capsules, 2), ==, -EPROTO);
    g_assert_cmpint(HEADER(&f, n_capsules, 4), ==, -EPROTO);
    g_assert_cmpint(HEADER(&f, n_capsules, 0xffffffff), ==, -EPROTO);
    g_assert_cmpint(HEADER(&f, n_deps, 0xffffffff), ==, -EPROTO);
    g_assert_cmpint(HEADER(&f, n_deps, 1), ==, -EPROTO);
    g_assert_cmpint(HEADER(&f, flags, 2), ==, -EPROTO);
    g_assert_cmpint(HEADER(&f, rsvd, 1), ==, -EPROTO);
    fixture_close(&f);
}

static void test_circle(void)
{
    struct slice_image_dep *dep;
    Fixture f;
    __le32 from;

    fixture_open(&f);
    dep = (void *)(nth_record(&f.image, 3) + 1);
    from = dep->from;
    dep->from = dep->to;
    dep->to = from;
    image_reseal(&f.image);
    g_assert_cmpint(try_plug(&f, &f.image), ==, -EPROTO);
    dep->to = GUINT32_TO_LE(3);
    image_reseal(&f.image);
    g_assert_cmpint(try_plug(&f, &f.image), ==, -EPROTO);
    fixture_close(&f);
}

void add_image_tests(void)
{
    add_test("/image/good-one-is-taken", test_good);
    add_test("/image/truncated-at-any-byte-is-refused", test_truncated);
    add_test("/image/flipped-bit-is-refused", test_flipped);
    add_test("/image/changed-and-resealed-does-no-harm", test_resealed);
    add_test("/image/absurd-lengths-do-no-harm", test_lengths);
    add_test("/image/bad-header-is-refused", test_header);
    add_test("/image/dependencies-that-go-up-are-refused", test_circle);
}
