/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bucket.h - so many a second, and not more
 *
 * Pure.  A bucket that is all zero is full.
 */
#ifndef SLICE_BUCKET_H
#define SLICE_BUCKET_H

typedef struct SliceBucket {
    int64_t full_ms;            /* when it will be (or was) full again */
} SliceBucket;

/**
 * slice_bucket_take: one out of the bucket
 * @now_ms: does not go backwards
 * @per_second: it fills that fast, 1 .. 1000
 * @burst: it holds that many
 *
 * Return: false where it is empty.
 */
static inline bool slice_bucket_take(SliceBucket *bucket, int64_t now_ms,
                                     uint32_t per_second, uint32_t burst)
{
    int64_t each_ms = 1000 / per_second;
    int64_t full_ms = MAX(bucket->full_ms, now_ms) + each_ms;

    if (full_ms - now_ms > each_ms * burst) {
        return false;
    }
    bucket->full_ms = full_ms;
    return true;
}

#endif /* SLICE_BUCKET_H */
