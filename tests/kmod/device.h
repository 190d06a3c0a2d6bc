/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * device.h - /dev/slice as the tests use it: openers, layers, capsules, moves
 *
 * The requests themselves, not libslice: what is tested is the kernel.
 * Functions whose name ends in _ok assert success.  A test runs as root.
 */
#ifndef KMOD_DEVICE_H
#define KMOD_DEVICE_H

#include <glib.h>
#include <stdbool.h>

#include <linux/slice.h>
#include <linux/slice_capsule.h>

#include "slice-word.h"

/**
 * Opener - one open /dev/slice
 * @fd: of it
 * @words: its reference words, mapped
 */
typedef struct {
    int fd;
    slice_word *words;
} Opener;

/**
 * Image - an unplugged slice in memory
 */
typedef struct {
    guint8 *data;
    gsize bytes;
} Image;

/* An ioctl: 0 or -errno. */
int device_call(int fd, unsigned long request, void *arg);

void opener_open(Opener *opener);
void opener_close(Opener *opener);
/* LAYER: 0 or -errno. */
int opener_layer(Opener *opener, const char *name, guint32 rank,
                 guint32 flags, int provider_fd);
void opener_open_layer(Opener *opener, const char *name, guint32 rank,
                       guint32 flags);

int capsule_register(Opener *opener, guint64 handle, const char *key,
                     guint64 bytes, struct slice_register *ret_reg);
void capsule_register_ok(Opener *opener, guint64 handle, const char *key,
                         guint64 bytes, struct slice_register *ret_reg);
int capsule_get_id(Opener *opener, guint32 flags, struct slice_register *reg);
int capsule_op(Opener *opener, unsigned long request, struct slice_id id,
               guint32 flags);
int capsule_get_ref(Opener *opener, const struct slice_register *reg,
                    guint32 flags);
int capsule_dep(Opener *opener, struct slice_id from, struct slice_id to,
                guint32 flags);
void capsule_dep_ok(Opener *opener, struct slice_id from, struct slice_id to);
int capsule_plug_done(Opener *opener, struct slice_id id, guint64 handle,
                      int status);
struct slice_id capsule_make_top(Opener *opener, struct slice_id id,
                                 const char *label);
void *capsule_map(Opener *opener, const struct slice_register *reg);

/* PIN, LINK, FIND, ROOM: 0 or -errno. */
int capsule_pin(Opener *opener, struct slice_id id, guint32 why);
/* @key NULL: no session at all; @ret_slice may be NULL. */
int session_link(Opener *opener, struct slice_id needs, const char *layer,
                 const char *key, guint32 flags, struct slice_id *ret_slice);
/* @ret_result: enum slice_find_result, may be NULL. */
int session_find(Opener *opener, struct slice_id capsule, const char *layer,
                 const char *key, guint32 timeout_ms, guint32 *ret_result);
int provider_limit(Opener *opener, guint32 n_max);

/* How many capsules belong to the slice of @id; -errno. */
int slice_size(Opener *opener, struct slice_id id, struct slice_id *ret_slice);
/* The slice's line in LIST: was it there? */
bool slice_find(Opener *opener, struct slice_id slice,
                struct slice_list_entry *ret_entry);

/* A connection within this host: the client's end, the server's. */
void connect_pair(int ret_fd[2]);

/* The steps; 0 or -errno, @ret_why may be NULL. */
int move_quiesce(Opener *opener, struct slice_id slice, guint32 timeout_ms,
                 guint32 *ret_why);
int move_unplug(Opener *opener, struct slice_id slice, Image *ret_image,
                guint32 *ret_why);
int move_plug(Opener *opener, const Image *image, guint32 timeout_ms,
              guint32 *ret_why);
int move_finish(Opener *opener, struct slice_id slice, guint32 flag,
                guint32 *ret_why);
void image_clear(Image *image);
/* Computes the checksum again after the image was changed. */
void image_reseal(Image *image);

/* The next event, within some seconds. */
void event_wait(Opener *opener, struct slice_event *ret_event);
bool event_is_pending(Opener *opener);
void event_expect(Opener *opener, guint32 type, struct slice_id id,
                  struct slice_event *ret_event);

guint32 device_n_capsules(Opener *opener);
bool id_equal(struct slice_id a, struct slice_id b);

/* Waits until @condition holds, looking at the slice's state in LIST. */
void slice_wait_state(Opener *opener, struct slice_id slice, guint32 state);

/* Suites. */
void add_request_tests(void);
void add_slice_tests(void);
void add_reference_tests(void);
void add_memory_tests(void);
void add_move_tests(void);
void add_session_tests(void);
void add_find_tests(void);
void add_limit_tests(void);
void add_resume_tests(void);
void add_crowd_tests(void);
void add_image_tests(void);

/* Runs @test in a child that is nobody but has this process's descriptors: was
 * it true? */
bool as_nobody(bool (*test)(void *data), void *data);

/* Adds a test that must leave as many capsules as it found. */
void add_test(const char *claim, void (*test)(void));

#endif /* KMOD_DEVICE_H */
