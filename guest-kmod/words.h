/* SPDX-License-Identifier: GPL-2.0 */
/*
 * words.h - reference words, one for each capsule and opener
 *
 * DOC: words
 *
 * An opener's words lie in pages that it maps and may write at will.  The
 * kernel only ever adds the flags FROZEN and NOTIFY, takes them away, counts a
 * reference that it grants, and reads counts; a wrong count delays or spoils
 * the slices that its opener has words of and nothing else.
 *
 * Freezing is an atomic read-modify-write with acquire order: it sees what was
 * written before each put (a release), so a sum of zero after it means that
 * what those references guarded is complete.
 *
 * An index that was given back stays FROZEN, so that a late get enters the
 * kernel, and is given out again as late as possible and not while it counts.
 *
 * NOTIFY without FROZEN is put on words that count when the device is told so,
 * and taken away when they have dropped to zero (slice_words_watch()).
 *
 * Locks: everything but the page fault runs under slice_registry_lock.
 */
#ifndef SLICE_WORDS_H
#define SLICE_WORDS_H

#include <linux/mm_types.h>
#include <linux/types.h>
#include <uapi/linux/slice.h>

struct slice_capsule;

#define SLICE_WORDS_PAGES	(SLICE_WORDS_BYTES / PAGE_SIZE)
#define SLICE_WORDS_MAX		(SLICE_WORDS_BYTES / sizeof(u32))

/**
 * struct slice_words - the words of one opener
 * @pages: each of them there from the start
 * @used: indices that are given out
 * @next: where to look for a free one
 * @list: struct slice_word.in_words
 */
struct slice_words {
	struct page *pages[SLICE_WORDS_PAGES];
	unsigned long *used;
	u32 next;
	struct list_head list;
};

/**
 * struct slice_word - one reference word
 * @capsule: that it counts references of; not a reference itself
 * @words: whose it is
 */
struct slice_word {
	struct slice_capsule *capsule;
	struct slice_words *words;
	u32 index;
	struct list_head in_capsule;
	struct list_head in_words;
};

/* -ENOMEM. */
int slice_words_init(struct slice_words *words);
/* The opener goes, and its references with it; wakes who waited for them. */
void slice_words_destroy(struct slice_words *words);
/* The index of this opener's word of @capsule, made if need be: 0, -ENOMEM,
 * -ENOSPC, -ESTALE (it was removed). */
int slice_words_index(struct slice_words *words, struct slice_capsule *capsule,
		      u32 *ret_index);
/* Takes a reference for an opener whose word, the one at @index, is frozen:
 * sleeps until it is not.  @flags as for GET_REF.  0, -EAGAIN, -ESTALE (it was
 * removed, or has another word: it was away and has come back), -EINTR. */
int slice_words_get_ref(struct slice_words *words,
			struct slice_capsule *capsule, u64 index, u32 flags);
/* Both at once, so that no instant lies between: waits while @capsule is frozen.
 * 0, -ENOMEM, -ENOSPC, -ESTALE (it was removed), -EINTR. */
int slice_words_name_held(struct slice_words *words,
			  struct slice_capsule *capsule, u32 *ret_index);
/* A reference for an opener that has just been given its word. */
void slice_words_hold(struct slice_words *words, struct slice_capsule *capsule);
/* Does this opener have a word of @capsule? */
bool slice_words_has(struct slice_words *words, struct slice_capsule *capsule);
vm_fault_t slice_words_fault(struct slice_words *words, struct vm_fault *vmf);

/* Under slice_registry_lock: */
void slice_words_freeze(struct slice_capsule *capsule);
void slice_words_thaw(struct slice_capsule *capsule);
u64 slice_words_sum(const struct slice_capsule *capsule);
void slice_words_forget(struct slice_capsule *capsule);
/* Words that count are to tell when they no longer do. */
void slice_words_watch(struct slice_capsule *capsule);
void slice_words_unwatch(struct slice_capsule *capsule);

#endif /* SLICE_WORDS_H */
