/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * types.h - words that engine, device and gate share
 */
#ifndef SLICE_TYPES_H
#define SLICE_TYPES_H

#include "qemu/osdep.h"

/* The engine, -object slice-store: a pointer to it is the QOM instance. */
#define TYPE_SLICE_STORE "slice-store"
typedef struct SliceStore SliceStore;

typedef struct SliceId {
    uint64_t incarnation;
    uint64_t counter;
} SliceId;

static inline bool slice_id_is(SliceId id, SliceId other)
{
    return id.incarnation == other.incarnation && id.counter == other.counter;
}

/**
 * SliceFlow: a connection's addresses, the guest's side first
 * @family: 4 or 6
 * @protocol: 6 (TCP)
 * @local_port, @remote_port: network order
 * @local, @remote: network order; IPv4 in the first 4 bytes, the rest zero
 *
 * No padding: may be hashed and compared as bytes.
 */
typedef struct SliceFlow {
    uint8_t family;
    uint8_t protocol;
    uint8_t rsvd[2];
    uint16_t local_port;
    uint16_t remote_port;
    uint8_t local[16];
    uint8_t remote[16];
} SliceFlow;

/**
 * SliceLayerCount: so many capsules of the layer of that rank; 0, 0: unused
 */
typedef struct SliceLayerCount {
    uint16_t rank;
    uint16_t n;
} SliceLayerCount;

#define SLICE_COUNTS_MAX   8    /* layers in one slice */
#define SLICE_DIGEST_BYTES 32   /* of a layer's name and a capsule's key */

/** Used entries first, none of nothing, each rank once? */
static inline bool
slice_counts_are_sound(const SliceLayerCount counts[SLICE_COUNTS_MAX])
{
    for (int i = 0; i < SLICE_COUNTS_MAX; i++) {
        if (!counts[i].rank != !counts[i].n ||
            (i && counts[i].rank && !counts[i - 1].rank)) {
            return false;
        }
        for (int j = 0; counts[i].rank && j < i; j++) {
            if (counts[j].rank == counts[i].rank) {
                return false;
            }
        }
    }
    return true;
}

#endif /* SLICE_TYPES_H */
