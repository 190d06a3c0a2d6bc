/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bank.h - a PHP session in a capsule's memory
 *
 * DOC: two banks
 *
 *	page 0	 struct slice_bank_header
 *	then	 bank 0, bank 1: each half of the rest
 *
 * The header says which bank is whole.  A write fills the other one, then its
 * length and check sum, and at last flips the header's word: the commit.  A
 * worker that is killed anywhere before leaves the old session.
 *
 * Who writes holds the session's lock and a reference of its capsule.  Memory
 * that came from another machine is hostile: the header's few fields are copied
 * once and checked, contents are checked after they were copied.
 *
 * All fields are little-endian.  No kernel, no PHP in here.
 */
#ifndef SLICE_BANK_H
#define SLICE_BANK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLICE_BANK_VERSION 2
#define SLICE_BANK_HEADER_BYTES 4096
#define SLICE_BANK_ROOM_MIN (2 * 4096)
#define SLICE_BANK_LABEL_BYTES 32 /* SLICE_LABEL_BYTES */

/* slice_bank_bytes() - what a session in @room_bytes of memory may have. */
size_t slice_bank_bytes(size_t room_bytes);
/* slice_bank_room() - room for a session of @bytes. */
size_t slice_bank_room(size_t bytes);

/* slice_bank_format() - an empty session, last used at @now_s. */
void slice_bank_format(void *memory, uint64_t now_s);

/**
 * slice_bank_measure() - how long is the session?
 * @memory: of a capsule
 * @room_bytes: of it
 * @ret_bytes: set on success
 *
 * Return: 0; -EPROTO: this is no session; -ENOENT: it was ended.
 */
int slice_bank_measure(const void *memory, size_t room_bytes,
                       size_t *ret_bytes);

/**
 * slice_bank_read() - copy the session out
 * @memory: of a capsule
 * @room_bytes: of it
 * @to: room for @bytes
 * @bytes: that slice_bank_measure() told
 *
 * Return: 0; -EPROTO: damaged; @to's contents are then of no meaning.
 */
int slice_bank_read(const void *memory, size_t room_bytes, void *to,
                    size_t bytes);

/**
 * slice_bank_write() - replace the session, all or nothing
 *
 * Return: 0; -ENOSPC: longer than slice_bank_bytes(@room_bytes); -EPROTO: this
 * is no session.
 */
int slice_bank_write(void *memory, size_t room_bytes, const void *data,
                     size_t bytes, uint64_t now_s);

/* When was it last used; 0 for what is no session. */
uint64_t slice_bank_used_s(const void *memory);
void slice_bank_touch(void *memory, uint64_t now_s);
/* The label of its slice, for when its capsule has to be made anew; a string,
 * whatever the memory holds. */
void slice_bank_label(const void *memory,
                      char ret_label[SLICE_BANK_LABEL_BYTES]);
void slice_bank_set_label(void *memory, const char *label);
/* slice_bank_end() - destroyed, though its capsule may be around for a while. */
void slice_bank_end(void *memory);

#endif /* SLICE_BANK_H */
