/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lease.c - terms that an engine may use for moves of its own
 *
 * See lease.h.
 */
#include "qemu/osdep.h"
#include "slice/lease.h"

static void remove_range(SliceLease *lease, uint32_t i)
{
    memmove(&lease->ranges[i], &lease->ranges[i + 1],
            (lease->n - i - 1) * sizeof(lease->ranges[0]));
    lease->n--;
}

/* At its place; the lowest makes room. */
static void insert_range(SliceLease *lease, uint64_t first, uint64_t end)
{
    uint32_t i;

    if (lease->n == SLICE_LEASE_RANGES_MAX) {
        if (first < lease->ranges[0].first) {
            return;
        }
        remove_range(lease, 0);
    }
    for (i = lease->n; i && lease->ranges[i - 1].first > first; i--) {
        lease->ranges[i] = lease->ranges[i - 1];
    }
    lease->ranges[i].first = first;
    lease->ranges[i].end = end;
    lease->n++;
}

bool slice_lease_add(SliceLease *lease, uint64_t first, uint32_t count)
{
    uint64_t end = first + count;

    if (!first || !count || end < first) {
        return false;
    }
    first = MAX(first, lease->used + 1);
    for (uint32_t i = 0; i < lease->n && first < end; ) {
        if (lease->ranges[i].first <= end && lease->ranges[i].end >= first) {
            first = MIN(first, lease->ranges[i].first);
            end = MAX(end, lease->ranges[i].end);
            remove_range(lease, i);
        } else {
            i++;
        }
    }
    if (first < end) {
        insert_range(lease, first, end);
    }
    lease->full = slice_lease_left(lease);
    lease->is_low_told = false;
    return true;
}

bool slice_lease_take(SliceLease *lease, uint64_t above, uint64_t *ret_term)
{
    uint64_t term, end;

    for (uint32_t i = 0; i < lease->n; i++) {
        end = lease->ranges[i].end;
        if (above >= end - 1) {
            continue;
        }
        term = MAX(lease->ranges[i].first, above + 1);
        if (term == lease->ranges[i].first) {
            lease->ranges[i].first++;
        } else {
            lease->ranges[i].end = term;
        }
        if (lease->ranges[i].first == lease->ranges[i].end) {
            remove_range(lease, i);
        }
        if (term + 1 < end && (i >= lease->n ||
                               lease->ranges[i].first != term + 1)) {
            insert_range(lease, term + 1, end);
        }
        lease->used = MAX(lease->used, term);
        *ret_term = term;
        return true;
    }
    return false;
}

uint64_t slice_lease_left(const SliceLease *lease)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < lease->n; i++) {
        n += lease->ranges[i].end - lease->ranges[i].first;
    }
    return n;
}

bool slice_lease_has_failed(SliceLease *lease)
{
    bool was_told = lease->is_low_told;

    lease->is_low_told = true;
    return !was_told;
}

bool slice_lease_has_become_low(SliceLease *lease)
{
    return slice_lease_left(lease) < lease->full / 4 &&
           slice_lease_has_failed(lease);
}
