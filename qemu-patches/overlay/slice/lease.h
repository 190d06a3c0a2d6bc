/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lease.h - terms that an engine may use for moves of its own
 *
 * Only the orchestrator gives out terms.  It writes down that a range belongs
 * to this engine before it sends it, so no term is ever another's.  Here each
 * is used once.  Pure.
 */
#ifndef SLICE_LEASE_H
#define SLICE_LEASE_H

#define SLICE_LEASE_RANGES_MAX 16

/**
 * SliceLease: terms that are left
 * @ranges: [first, end), ascending, apart from each other; @n of them
 * @used: the highest that was ever used; none at or below it comes back
 * @full: how many there were after the last grant
 * @is_low_told: it was said that more are needed
 */
typedef struct SliceLease {
    struct {
        uint64_t first;
        uint64_t end;
    } ranges[SLICE_LEASE_RANGES_MAX];
    uint32_t n;
    uint64_t used;
    uint64_t full;
    bool is_low_told;
} SliceLease;

/**
 * slice_lease_add: a range was granted
 * @first: first term, not 0; @count: of terms, not 0
 *
 * What was granted before, or used, is not added again.  With more ranges than
 * there is room for, the lowest are given up.
 *
 * Return: false, nothing changed, where @first and @count make no range.
 */
bool slice_lease_add(SliceLease *lease, uint64_t first, uint32_t count);
/** The lowest term above @above, into *ret_term; false: there is none. */
bool slice_lease_take(SliceLease *lease, uint64_t above, uint64_t *ret_term);
uint64_t slice_lease_left(const SliceLease *lease);
/** True once after each grant: there is no term for what wanted one. */
bool slice_lease_has_failed(SliceLease *lease);
/** True once after each grant, when fewer than a quarter of it are left. */
bool slice_lease_has_become_low(SliceLease *lease);

#endif /* SLICE_LEASE_H */
