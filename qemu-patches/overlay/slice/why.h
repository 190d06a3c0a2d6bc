/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * why.h - reasons for which a slice does not move, on the wire and in words
 *
 * The numbers are those of the guest's enum slice_why (uapi/linux/slice.h),
 * which travel in virtio requests and in REFUSED frames.
 */
#ifndef SLICE_WHY_H
#define SLICE_WHY_H

typedef enum SliceWhy {
    WHY_NONE          = 0,
    WHY_REFERENCES    = 1,
    WHY_MOVING        = 2,
    WHY_STATE         = 3,
    WHY_TLS           = 4,
    WHY_HTTP2         = 5,
    WHY_TOO_LARGE     = 6,
    WHY_OPTION        = 7,
    WHY_URGENT        = 8,
    WHY_NO_LAYER      = 9,
    WHY_LAYER_VERSION = 10,
    WHY_MEMORY        = 11,
    WHY_TUPLE_IN_USE  = 12,
    WHY_DEADLINE      = 13,
    WHY_LAYER_REFUSED = 14,
    WHY_IMAGE         = 15,
    WHY_GONE          = 16,
    WHY_PEER          = 17,
    WHY_TERM          = 18,
    WHY_ABORTED       = 19,
    WHY_UPGRADED      = 20,
    WHY_NO_ROOM       = 21,
    WHY__MAX
} SliceWhy;

/** The word for a reason; NULL for WHY_NONE, "unknown" past the last. */
const char *slice_why_name(uint32_t why);

#endif /* SLICE_WHY_H */
