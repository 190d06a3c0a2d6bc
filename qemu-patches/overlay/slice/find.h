/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * find.h - find.c and follow.c among themselves
 *
 * A find is SEEKING (find.c) until a peer has the session, then it follows it
 * (follow.c): RESERVING a place there, MOVING.
 */
#ifndef SLICE_FIND_H
#define SLICE_FIND_H

#include "slice/store.h"

typedef enum SliceFindStage {
    SLICE_FIND_SEEKING,
    SLICE_FIND_RESERVING,
    SLICE_FIND_MOVING,
} SliceFindStage;

/**
 * SliceFindPeer: one of those who are asked
 * @changes: as it last told, where @is_known
 * @is_same: it told "none" in this round and in the one before, and nothing
 *     came to it or left it meanwhile
 */
typedef struct SliceFindPeer {
    SlicePeer *peer;
    uint32_t changes;
    bool is_known;
    bool is_answered;
    bool is_same;
} SliceFindPeer;

/**
 * SliceFind: a slice looks for its session
 * @tag: ours, on the stream, another in each round; @guest_tag: the guest's
 * @until_ms: its deadline
 * @peers: SliceFindPeer; @n_open of them have not answered in this round
 * @own_arrivals: how many slices had come here when it began
 * @is_unsure: one answered "again" in this round
 * @pause_ms: before the next round
 * @owner, @term: whom it follows, by which term
 * @has_asked: RESERVING, and @owner may keep a place for it
 */
struct SliceFind {
    SliceStore *store;
    SliceFindStage stage;
    uint64_t tag;
    uint64_t guest_tag;
    SliceId slice;
    uint8_t digest[SLICE_DIGEST_BYTES];
    int64_t until_ms;
    GArray *peers;
    uint32_t n_open;
    uint32_t own_arrivals;
    bool is_unsure;
    uint32_t n_rounds;
    uint32_t pause_ms;
    QEMUTimer *timer;
    SlicePeer *owner;
    uint64_t term;
    bool has_asked;
};

/**
 * SliceFinds: what the store has of these files
 * @by_term: those that follow
 * @peers: SlicePeer, each used and known to be of the cluster
 */
struct SliceFinds {
    GHashTable *by_tag;
    GHashTable *by_guest_tag;
    GHashTable *by_term;
    GPtrArray *peers;
    uint64_t last_tag;
    SliceBucket rate;
    SliceLease lease;
};

/** Ends it; the guest is told, by a status of FIND_DONE. */
void slice_find_done(SliceFind *find, uint32_t status);
/** Ends it; the guest is not told. */
void slice_find_free(SliceFind *find);
/** It could not go there now: it seeks on, after a pause. */
void slice_find_seek_on(SliceFind *find);
/** The session is at @owner: go there. */
void slice_follow_begin(SliceFind *find, SlicePeer *owner);
/** Its time has passed while it followed. */
void slice_follow_deadline(SliceFind *find);
/** It ends while it follows: whoever was asked for a place hears of it. */
void slice_follow_stop(SliceFind *find);

#endif /* SLICE_FIND_H */
