// SPDX-License-Identifier: GPL-2.0
/*
 * words.c - reference words in pages that user space can write
 *
 * Below: registry.h.  Above: chardev.c, plug.c.
 * Source: paper section 2.2 (get_ref, put_ref); design section 4.
 */
#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "registry.h"
#include "words.h"

#define SLICE_WORDS_PER_PAGE	(PAGE_SIZE / sizeof(u32))

static atomic_t *slice_words_at(const struct slice_words *words, u32 index)
{
	struct page *page = words->pages[index / SLICE_WORDS_PER_PAGE];

	return (atomic_t *)page_address(page) + index % SLICE_WORDS_PER_PAGE;
}

static atomic_t *slice_word_at(const struct slice_word *word)
{
	return slice_words_at(word->words, word->index);
}

int slice_words_init(struct slice_words *words)
{
	u32 i;

	INIT_LIST_HEAD(&words->list);
	words->next = 0;
	words->used = bitmap_zalloc(SLICE_WORDS_MAX, GFP_KERNEL_ACCOUNT);
	if (!words->used)
		return -ENOMEM;
	for (i = 0; i < SLICE_WORDS_PAGES; i++) {
		words->pages[i] = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
		if (!words->pages[i])
			goto err_free_pages;
	}
	return 0;

err_free_pages:
	while (i)
		put_page(words->pages[--i]);
	bitmap_free(words->used);
	return -ENOMEM;
}

static void slice_word_del(struct slice_word *word)
{
	atomic_or(SLICE_WORD_FROZEN, slice_word_at(word));
	__clear_bit(word->index, word->words->used);
	list_del(&word->in_capsule);
	list_del(&word->in_words);
	kfree(word);
}

void slice_words_destroy(struct slice_words *words)
{
	struct slice_capsule *capsule;
	struct slice_word *word;
	u32 i;

	for (;;) {
		/* One at a time: an opener may have thousands. */
		spin_lock_bh(&slice_registry_lock);
		word = list_first_entry_or_null(&words->list,
						struct slice_word, in_words);
		if (word) {
			capsule = word->capsule;
			slice_word_del(word);
			slice_capsule_settle(capsule);
			if (capsule->slice)
				wake_up(&capsule->slice->changed);
		}
		spin_unlock_bh(&slice_registry_lock);
		if (!word)
			break;
		cond_resched();
	}
	for (i = 0; i < SLICE_WORDS_PAGES; i++)
		put_page(words->pages[i]);
	bitmap_free(words->used);
}

/* A free index that nobody counts on any more. */
static u32 slice_words_pick(struct slice_words *words)
{
	u32 index = words->next, tries;

	for (tries = 0; tries < SLICE_WORDS_MAX; tries++) {
		if (index >= SLICE_WORDS_MAX)
			index = 0;
		if (!test_bit(index, words->used) &&
		    !(atomic_read(slice_words_at(words, index)) &
		      SLICE_WORD_COUNT_MASK)) {
			words->next = index + 1;
			return index;
		}
		index++;
	}
	return SLICE_WORDS_MAX;
}

static struct slice_word *slice_words_find(struct slice_words *words,
					   struct slice_capsule *capsule)
{
	struct slice_word *word;

	list_for_each_entry(word, &capsule->words, in_capsule)
		if (word->words == words)
			return word;
	return NULL;
}

bool slice_words_has(struct slice_words *words, struct slice_capsule *capsule)
{
	bool ret;

	spin_lock_bh(&slice_registry_lock);
	ret = slice_words_find(words, capsule);
	spin_unlock_bh(&slice_registry_lock);
	return ret;
}

/* Under the lock; takes @fresh over and stores NULL there if it is used. */
static int slice_words_take(struct slice_words *words,
			    struct slice_capsule *capsule,
			    struct slice_word **fresh, u32 *ret_index)
{
	struct slice_word *word;
	u32 index;

	if (!capsule->slice)
		return -ESTALE;
	word = slice_words_find(words, capsule);
	if (word) {
		*ret_index = word->index;
		return 0;
	}
	index = slice_words_pick(words);
	if (index == SLICE_WORDS_MAX)
		return -ENOSPC;
	word = *fresh;
	*fresh = NULL;
	word->words = words;
	word->capsule = capsule;
	word->index = index;
	__set_bit(index, words->used);
	list_add_tail(&word->in_capsule, &capsule->words);
	list_add_tail(&word->in_words, &words->list);
	atomic_set(slice_words_at(words, index),
		   capsule->is_frozen ? SLICE_WORD_FROZEN | SLICE_WORD_NOTIFY :
					0);
	*ret_index = index;
	return 0;
}

int slice_words_index(struct slice_words *words, struct slice_capsule *capsule,
		      u32 *ret_index)
{
	struct slice_word *fresh;
	int ret;

	fresh = kmalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
	if (!fresh)
		return -ENOMEM;
	spin_lock_bh(&slice_registry_lock);
	ret = slice_words_take(words, capsule, &fresh, ret_index);
	spin_unlock_bh(&slice_registry_lock);
	kfree(fresh);
	return ret;
}

void slice_words_hold(struct slice_words *words, struct slice_capsule *capsule)
{
	struct slice_word *word;

	spin_lock_bh(&slice_registry_lock);
	word = slice_words_find(words, capsule);
	if (word)
		atomic_inc(slice_word_at(word));
	spin_unlock_bh(&slice_registry_lock);
}

void slice_words_freeze(struct slice_capsule *capsule)
{
	struct slice_word *word;

	capsule->is_frozen = true;
	list_for_each_entry(word, &capsule->words, in_capsule)
		atomic_fetch_or_acquire(SLICE_WORD_FROZEN | SLICE_WORD_NOTIFY,
					slice_word_at(word));
}

void slice_words_thaw(struct slice_capsule *capsule)
{
	struct slice_word *word;

	capsule->is_frozen = false;
	capsule->is_watched = false;
	list_for_each_entry(word, &capsule->words, in_capsule)
		atomic_fetch_andnot_release(SLICE_WORD_FROZEN |
					    SLICE_WORD_NOTIFY,
					    slice_word_at(word));
	wake_up_all(&capsule->thawed);
}

void slice_words_watch(struct slice_capsule *capsule)
{
	struct slice_word *word;

	/* The flag first, the sum after: a put in between enters the kernel. */
	list_for_each_entry(word, &capsule->words, in_capsule)
		if (atomic_read(slice_word_at(word)) & SLICE_WORD_COUNT_MASK) {
			atomic_or(SLICE_WORD_NOTIFY, slice_word_at(word));
			capsule->is_watched = true;
		}
}

void slice_words_unwatch(struct slice_capsule *capsule)
{
	struct slice_word *word;

	capsule->is_watched = false;
	if (capsule->is_frozen)
		return;
	list_for_each_entry(word, &capsule->words, in_capsule)
		atomic_andnot(SLICE_WORD_NOTIFY, slice_word_at(word));
}

u64 slice_words_sum(const struct slice_capsule *capsule)
{
	const struct slice_word *word;
	u64 sum = capsule->is_being_made;

	list_for_each_entry(word, &capsule->words, in_capsule)
		sum += atomic_read_acquire(slice_word_at(word)) &
		       SLICE_WORD_COUNT_MASK;
	return sum;
}

void slice_words_forget(struct slice_capsule *capsule)
{
	struct slice_word *word, *next;

	list_for_each_entry_safe(word, next, &capsule->words, in_capsule)
		slice_word_del(word);
}

/* Under the lock.  Return: 1 the word is frozen, wait. */
static int slice_words_try_ref(struct slice_words *words,
			       struct slice_capsule *capsule, u64 index)
{
	struct slice_word *word;
	int value;

	if (!capsule->slice)
		return -ESTALE;
	word = slice_words_find(words, capsule);
	if (!word || word->index != index)
		return -ESTALE;
	if (capsule->is_frozen)
		return 1;
	value = atomic_read(slice_word_at(word));
	if ((value & SLICE_WORD_COUNT_MASK) == SLICE_WORD_COUNT_MASK)
		return -ENOSPC;
	atomic_inc(slice_word_at(word));
	return 0;
}

static int slice_words_try_ref_locked(struct slice_words *words,
				      struct slice_capsule *capsule, u64 index,
				      u32 flags)
{
	int ret;

	spin_lock_bh(&slice_registry_lock);
	ret = slice_words_try_ref(words, capsule, index);
	if (ret > 0 && (flags & SLICE_REF_HERE) &&
	    capsule->phase == SLICE_PHASE_UNPLUGGED)
		ret = -ESTALE;
	spin_unlock_bh(&slice_registry_lock);
	return ret;
}

int slice_words_get_ref(struct slice_words *words,
			struct slice_capsule *capsule, u64 index, u32 flags)
{
	int ret;

	if (flags & SLICE_REF_NOWAIT) {
		ret = slice_words_try_ref_locked(words, capsule, index, flags);
		return ret > 0 ? -EAGAIN : ret;
	}
	if (wait_event_interruptible(capsule->thawed,
			(ret = slice_words_try_ref_locked(words, capsule, index,
							  flags)) != 1))
		return -EINTR;
	return ret;
}

/*
 * Under the lock.  Return: 1 the capsule is frozen, wait: with a word it would
 * count as one that its process knows, and leave.
 */
static int slice_words_try_name(struct slice_words *words,
				struct slice_capsule *capsule,
				struct slice_word **fresh, u32 *ret_index)
{
	int ret;

	if (capsule->slice && capsule->is_frozen)
		return 1;
	ret = slice_words_take(words, capsule, fresh, ret_index);
	return ret ? ret : slice_words_try_ref(words, capsule, *ret_index);
}

static int slice_words_try_name_locked(struct slice_words *words,
				       struct slice_capsule *capsule,
				       struct slice_word **fresh,
				       u32 *ret_index)
{
	int ret;

	spin_lock_bh(&slice_registry_lock);
	ret = slice_words_try_name(words, capsule, fresh, ret_index);
	spin_unlock_bh(&slice_registry_lock);
	return ret;
}

int slice_words_name_held(struct slice_words *words,
			  struct slice_capsule *capsule, u32 *ret_index)
{
	struct slice_word *fresh;
	int ret;

	fresh = kmalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
	if (!fresh)
		return -ENOMEM;
	if (wait_event_interruptible(capsule->thawed,
			(ret = slice_words_try_name_locked(words, capsule,
							   &fresh,
							   ret_index)) != 1))
		ret = -EINTR;
	kfree(fresh);
	return ret;
}

vm_fault_t slice_words_fault(struct slice_words *words, struct vm_fault *vmf)
{
	if (vmf->pgoff >= SLICE_WORDS_PAGES)
		return VM_FAULT_SIGBUS;
	get_page(words->pages[vmf->pgoff]);
	vmf->page = words->pages[vmf->pgoff];
	return 0;
}
