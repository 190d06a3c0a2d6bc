/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * slice-word.h - taking and dropping a reference without entering the kernel
 *
 * DOC: reference words
 *
 * A word holds a count and two flags of the kernel's (uapi/linux/slice.h):
 *
 *	FROZEN	nobody may start; a get has to ask the kernel, which lets it
 *		sleep until the slice runs again or has left
 *	NOTIFY	somebody waits for the count to become zero; the put that gets
 *		it there has to tell the kernel
 *
 * Order.  The kernel freezes with an atomic OR (acquire) and then looks at the
 * count; a get adds one only while it sees no FROZEN, in one compare-and-swap.
 * So either the kernel sees the count, or the get sees FROZEN.  A put is a
 * release: what was done under the reference is visible to whoever sees the
 * count at zero with an acquire.  A get is an acquire: it sees what the kernel
 * and earlier holders did.
 *
 * The count is never let past its 24 bits or below zero, which would spill
 * into the flags.
 *
 * Source: paper section 2.2, get_ref and put_ref.
 */
#ifndef SLICE_WORD_H
#define SLICE_WORD_H

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>

#include <linux/slice.h>

typedef _Atomic uint32_t slice_word;

/**
 * slice_word_get() - take a reference if the slice is not frozen
 * @word: the caller's word of the capsule
 *
 * Return: 0 when taken; -EAGAIN: frozen, ask the kernel; -EOVERFLOW: the count
 * is at its limit, nothing was taken.
 */
static inline int slice_word_get(slice_word *word)
{
    uint32_t old = atomic_load_explicit(word, memory_order_relaxed);

    do {
        if (old & SLICE_WORD_FROZEN) {
            return -EAGAIN;
        }
        if ((old & SLICE_WORD_COUNT_MASK) == SLICE_WORD_COUNT_MASK) {
            return -EOVERFLOW;
        }
    } while (!atomic_compare_exchange_weak_explicit(word, &old, old + 1,
                                                    memory_order_acquire,
                                                    memory_order_relaxed));
    return 0;
}

/**
 * slice_word_put() - drop a reference
 * @word: the caller's word of the capsule
 *
 * Return: 0 when dropped; 1 when dropped and the kernel wants to know;
 * -EINVAL: there was none to drop, nothing has changed.
 */
static inline int slice_word_put(slice_word *word)
{
    uint32_t old = atomic_load_explicit(word, memory_order_relaxed);

    do {
        if (!(old & SLICE_WORD_COUNT_MASK)) {
            return -EINVAL;
        }
    } while (!atomic_compare_exchange_weak_explicit(word, &old, old - 1,
                                                    memory_order_release,
                                                    memory_order_relaxed));
    return (old & SLICE_WORD_COUNT_MASK) == 1 && (old & SLICE_WORD_NOTIFY);
}

#endif /* SLICE_WORD_H */
