/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * way.h - one direction of a lab link: which frame leaves when, if at all
 *
 * Pure: no clock, no sockets, no threads.  What happens to the nth frame that
 * the settings apply to depends on the seed and on n alone, so a failure can be
 * played again as far as its frames come in the same order.
 *
 *   push ──► cut? ──► lost? ──► rate ──► delay, late? ──► pop
 *                                 └─ twice?
 *
 * Times are nanoseconds of any clock that does not go backwards.
 *
 * Above: link.c, tests/unit/test-way.c.
 */
#ifndef SLICE_TESTS_LAB_WAY_H
#define SLICE_TESTS_LAB_WAY_H

#include "lab.h"

#define WAY_FRAME_BYTES_MAX 65536
/* What waits for its turn at a rate, and then for its time. */
#define WAY_QUEUE_BYTES_MAX (4u << 20)

typedef struct Way Way;

Way *way_new(uint64_t seed);
void way_free(Way *way);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Way, way_free)

/** way_set: for frames from now on; those that wait keep their time. */
void way_set(Way *way, const LabLinkSettings *settings);
void way_count(const Way *way, LabLinkCounts *ret_counts);

/**
 * way_push: a frame has come
 * @now_ns: not before that of an earlier call
 *
 * Only TCP and UDP is lost, doubled or late: a lost ARP request, or that of IPv6,
 * costs a second of waiting that says nothing about the network under test.
 */
void way_push(Way *way, const void *frame, size_t bytes, int64_t now_ns);

/** way_next_ns: when the next frame leaves, or -1. */
int64_t way_next_ns(const Way *way);

/** way_pop: the next frame that leaves at @now_ns or before; NULL if there is
 *  none.  The caller frees. */
GBytes *way_pop(Way *way, int64_t now_ns);

#endif /* SLICE_TESTS_LAB_WAY_H */
