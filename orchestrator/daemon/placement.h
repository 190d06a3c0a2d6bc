/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * placement.h - which VM takes which slice
 *
 * Pure and deterministic: the same slices and places give the same answer, in whatever
 * order they are told.  Slices of one client stay together, so that its new connections can be led
 * to one place by its address; a client with more than a fair share is cut into
 * pieces.  Each place gets what brings it nearest to its share of all, counted with what it has.
 * Cost: n log n in slices, log n in places for each.
 *
 * Above: plan.c.
 */
#ifndef SLICE_DAEMON_PLACEMENT_H
#define SLICE_DAEMON_PLACEMENT_H

#include <glib.h>

#define SLICE_PLACEMENT_NOWHERE G_MAXUINT

/**
 * SlicePlace: where slices can go
 * @vm: its name; borrowed; names differ
 * @capacity: its share is this against the others' sum; 0: it takes none
 * @load: slices that it has already
 */
typedef struct {
    const char *vm;
    guint capacity;
    guint64 load;
} SlicePlace;

/**
 * SlicePlacementItem: a slice to be placed
 * @id: borrowed
 * @client: (nullable): slices of one client stay together; borrowed
 */
typedef struct {
    const char *id;
    const char *client;
} SlicePlacementItem;

/**
 * slice_placement_spread() - place all
 * @ret_place: array of @n_items: for each item an index into @places, or
 *	SLICE_PLACEMENT_NOWHERE where no place takes any
 */
void slice_placement_spread(const SlicePlacementItem *items, guint n_items,
                            const SlicePlace *places, guint n_places,
                            guint *ret_place);

#endif
