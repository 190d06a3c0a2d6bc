// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-layers-bank.c - a PHP session's memory, honest and hostile
 */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "bank.h"

#define ROOM 16384
#define NOW 1000

typedef struct {
    guint8 *memory;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    f->memory = g_malloc0(ROOM);
    slice_bank_format(f->memory, NOW);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    g_free(f->memory);
}

static void assert_holds(const guint8 *memory, const char *text)
{
    size_t bytes = 0;
    g_autofree char *copy = NULL;

    g_assert_cmpint(slice_bank_measure(memory, ROOM, &bytes), ==, 0);
    copy = g_malloc0(bytes + 1);
    g_assert_cmpint(slice_bank_read(memory, ROOM, copy, bytes), ==, 0);
    g_assert_cmpstr(copy, ==, text);
}

static void test_new_is_empty(Fixture *f, gconstpointer data)
{
    assert_holds(f->memory, "");
    g_assert_cmpuint(slice_bank_used_s(f->memory), ==, NOW);
}

static void test_written_is_read(Fixture *f, gconstpointer data)
{
    g_assert_cmpint(slice_bank_write(f->memory, ROOM, "one", 3, NOW), ==, 0);
    assert_holds(f->memory, "one");
    g_assert_cmpint(slice_bank_write(f->memory, ROOM, "two!", 4, NOW + 1),
                    ==, 0);
    assert_holds(f->memory, "two!");
    g_assert_cmpuint(slice_bank_used_s(f->memory), ==, NOW + 1);
}

/* Whatever a killed worker left in the other bank, the old session stands. */
static void test_half_a_write_leaves_the_old(Fixture *f, gconstpointer data)
{
    size_t half = slice_bank_bytes(ROOM);

    g_assert_cmpint(slice_bank_write(f->memory, ROOM, "old", 3, NOW), ==, 0);
    memset(f->memory + SLICE_BANK_HEADER_BYTES, 0xaa, half);
    assert_holds(f->memory, "old");
    g_assert_cmpint(slice_bank_write(f->memory, ROOM, "new", 3, NOW), ==, 0);
    assert_holds(f->memory, "new");
}

static void test_largest_fits_and_no_more(Fixture *f, gconstpointer data)
{
    size_t most = slice_bank_bytes(ROOM), bytes;
    g_autofree char *text = g_malloc(most + 1);

    memset(text, 'x', most);
    text[most] = '\0';
    g_assert_cmpint(slice_bank_write(f->memory, ROOM, text, most, NOW), ==, 0);
    assert_holds(f->memory, text);
    g_assert_cmpint(slice_bank_write(f->memory, ROOM, text, most, NOW), ==, 0);
    assert_holds(f->memory, text);
    g_assert_cmpint(slice_bank_write(f->memory, ROOM, text, most + 1, NOW),
                    ==, -ENOSPC);
    assert_holds(f->memory, text);
    for (bytes = 0; bytes < 40000; bytes += 37) {
        g_assert_cmpuint(slice_bank_bytes(slice_bank_room(bytes)), >=, bytes);
    }
}

static void test_ended_is_no_session(Fixture *f, gconstpointer data)
{
    size_t bytes;

    g_assert_cmpint(slice_bank_write(f->memory, ROOM, "x", 1, NOW), ==, 0);
    slice_bank_end(f->memory);
    g_assert_cmpint(slice_bank_measure(f->memory, ROOM, &bytes), ==, -ENOENT);
    g_assert_cmpint(slice_bank_write(f->memory, ROOM, "y", 1, NOW), ==, 0);
    assert_holds(f->memory, "y");
}

static void test_damaged_contents_are_refused(Fixture *f, gconstpointer data)
{
    char copy[8];

    g_assert_cmpint(slice_bank_write(f->memory, ROOM, "abc", 3, NOW), ==, 0);
    f->memory[SLICE_BANK_HEADER_BYTES + slice_bank_bytes(ROOM)] ^= 1;
    g_assert_cmpint(slice_bank_read(f->memory, ROOM, copy, 3), ==, -EPROTO);
}

static void test_changed_length_is_refused(Fixture *f, gconstpointer data)
{
    char copy[8];

    g_assert_cmpint(slice_bank_write(f->memory, ROOM, "abc", 3, NOW), ==, 0);
    g_assert_cmpint(slice_bank_read(f->memory, ROOM, copy, 4), ==, -EPROTO);
}

/* Every byte of the header, every value: an error or a session that fits. */
static void test_hostile_header_stays_in_its_room(Fixture *f,
                                                  gconstpointer data)
{
    g_assert_cmpint(slice_bank_write(f->memory, ROOM, "abc", 3, NOW), ==, 0);
    for (guint i = 0; i < 80; i++) {
        guint8 old = f->memory[i];

        for (guint value = 0; value < 256; value++) {
            size_t bytes = 0;
            int err;

            f->memory[i] = (guint8)value;
            err = slice_bank_measure(f->memory, ROOM, &bytes);
            g_assert_true(err == 0 || err == -EPROTO || err == -ENOENT);
            g_assert_cmpuint(bytes, <=, slice_bank_bytes(ROOM));
            if (!err) {
                g_autofree guint8 *copy = g_malloc(bytes + 1);

                slice_bank_read(f->memory, ROOM, copy, bytes);
            }
        }
        f->memory[i] = old;
    }
    assert_holds(f->memory, "abc");
}

static void test_small_room_is_no_session(Fixture *f, gconstpointer data)
{
    size_t bytes;

    g_assert_cmpint(slice_bank_measure(f->memory, SLICE_BANK_ROOM_MIN - 1,
                                       &bytes), ==, -EPROTO);
    g_assert_cmpuint(slice_bank_bytes(4096), ==, 0);
}

static void test_label_is_kept_and_bounded(Fixture *f, gconstpointer data)
{
    char label[SLICE_BANK_LABEL_BYTES];

    slice_bank_set_label(f->memory, "alice");
    g_assert_cmpint(slice_bank_write(f->memory, ROOM, "x", 1, NOW), ==, 0);
    slice_bank_label(f->memory, label);
    g_assert_cmpstr(label, ==, "alice");
    slice_bank_set_label(f->memory, "0123456789012345678901234567890123");
    slice_bank_label(f->memory, label);
    g_assert_cmpstr(label, ==, "0123456789012345678901234567890");
    assert_holds(f->memory, "x");
    memset(f->memory, 0xff, SLICE_BANK_HEADER_BYTES);
    slice_bank_label(f->memory, label);
    g_assert_cmpuint(strlen(label), ==, SLICE_BANK_LABEL_BYTES - 1);
}

#define ADD(path, func) \
    g_test_add("/layers/bank/" path, Fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("new-is-empty", test_new_is_empty);
    ADD("written-is-read", test_written_is_read);
    ADD("half-a-write-leaves-the-old", test_half_a_write_leaves_the_old);
    ADD("largest-fits-and-no-more", test_largest_fits_and_no_more);
    ADD("ended-is-no-session", test_ended_is_no_session);
    ADD("damaged-contents-are-refused", test_damaged_contents_are_refused);
    ADD("changed-length-is-refused", test_changed_length_is_refused);
    ADD("hostile-header-stays-in-its-room",
        test_hostile_header_stays_in_its_room);
    ADD("label-is-kept-and-bounded", test_label_is_kept_and_bounded);
    ADD("small-room-is-no-session", test_small_room_is_no_session);
    return g_test_run();
}
