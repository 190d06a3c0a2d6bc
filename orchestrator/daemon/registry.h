/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * registry.h - the view of all slices, as their engines tell it
 *
 * One entry for each slice and VM that knows it: during a move a slice has two, at its source
 * and at its target.  Pure: no I/O, no clock, no globals.  It is a view, eventually
 * consistent; nothing durable lives here and the engines overrule it at any time.
 *
 * A slice's home is the VM that has it.  Indexed by id, by VM, and by the address
 * of its client: what a move asks costs the same with ten slices and with a million.
 *
 * Above: orchestrator.c, move.c, bus.c.
 */
#ifndef SLICE_DAEMON_REGISTRY_H
#define SLICE_DAEMON_REGISTRY_H

#include "util/tuple.h"

/* The states of the engine's table, in the order of qapi's SliceState. */
typedef enum {
    SLICE_STATE_OWNER,
    SLICE_STATE_MOVING,
    SLICE_STATE_SENT,
    SLICE_STATE_GONE,
    SLICE_STATE_RESERVED,
    SLICE_STATE_PLUGGED,
    SLICE_STATE_DEAD,
} SliceState;

const char *slice_state_name(SliceState state);
/* Return: FALSE for a name that is no state; @ret_state untouched then. */
gboolean slice_state_from_name(const char *name, SliceState *ret_state);

/* How many of a slice's capsules have this rank. */
typedef struct {
    guint16 rank;
    guint16 n;
} SliceCount;

/**
 * SliceEntry: one slice as one VM's engine tells it
 * @flows: (element-type SliceTuple)
 * @counts: (element-type SliceCount)
 * @peer: (nullable): the VM that it goes to or comes from
 * @why: (nullable)
 * @fenced: out of a restored VM, held until it is confirmed
 */
typedef struct {
    char *id;
    char *vm;
    SliceState state;
    guint64 term;
    char *peer;
    char *movability;
    char *why;
    char *label;
    char *top_layer;
    guint capsules;
    guint64 memory_bytes;
    guint64 held_packets;
    gboolean fenced;
    GArray *flows;
    GArray *counts;
} SliceEntry;

SliceEntry *slice_entry_new(const char *id, const char *vm);
SliceEntry *slice_entry_copy(const SliceEntry *entry);
void slice_entry_free(SliceEntry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SliceEntry, slice_entry_free)

typedef struct SliceRegistry SliceRegistry;

SliceRegistry *slice_registry_new(void);
void slice_registry_free(SliceRegistry *registry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SliceRegistry, slice_registry_free)

/**
 * slice_registry_update() - a VM tells one of its slices
 * @entry: (transfer full)
 * @ret_closed: (element-type SliceTuple): flows that the VM had told before and that
 *	nobody has any more are appended
 *
 * An entry of state gone or dead is removed; its flows are not closed by
 * that when another VM has the slice.
 */
void slice_registry_update(SliceRegistry *registry, SliceEntry *entry,
                           GArray *ret_closed);

/* The slice ended at @vm by itself. */
void slice_registry_end(SliceRegistry *registry, const char *vm,
                        const char *id, GArray *ret_closed);

/**
 * slice_registry_replace() - a VM tells all of its slices
 * @entries: (element-type SliceEntry): copied; the VM's other entries go
 */
void slice_registry_replace(SliceRegistry *registry, const char *vm,
                            GPtrArray *entries, GArray *ret_closed);

/**
 * slice_registry_regrouped() - do the slice's connections stand otherwise than told before?
 * @flows: (element-type SliceTuple): that it had at @vm then
 *
 * A connection that was closed since makes no difference.
 *
 * Return: TRUE where it has one at @vm that is not among @flows, or where one of them goes on in
 * another slice.
 */
gboolean slice_registry_regrouped(SliceRegistry *registry, const char *vm, const char *id,
                                  GArray *flows);

/**
 * slice_registry_step() - a move reached a step at @vm
 * @step: name of qapi's SliceStep; an unknown one changes nothing
 * @peer: (nullable): the other VM of the move
 *
 * Where @vm has not told the slice yet, what another VM tells of it is taken over.
 */
void slice_registry_step(SliceRegistry *registry, const char *vm,
                         const char *id, guint64 term, const char *step,
                         const char *peer);

/* @vm died: its entries go, their flows are closed. */
void slice_registry_drop_vm(SliceRegistry *registry, const char *vm,
                            GArray *ret_closed);

/* Return: (nullable) (transfer none): what @vm tells of it. */
const SliceEntry *slice_registry_peek(SliceRegistry *registry, const char *vm,
                                      const char *id);

/**
 * slice_registry_find() - the slice that a person means
 * @pattern: see slice_id_matches()
 *
 * Return: (transfer none): its entry at the VM that has it, valid until the
 * next change; or NULL with SLICE_ERROR_NOT_FOUND, or SLICE_ERROR_INVALID
 * where several match.
 */
const SliceEntry *slice_registry_find(SliceRegistry *registry,
                                      const char *pattern, GError **error);

/**
 * slice_registry_list() - one entry for each slice, at its home
 * @vm: (nullable): only slices whose home it is
 *
 * Return: (transfer container) (element-type SliceEntry): by id; valid until the next change.
 */
GPtrArray *slice_registry_list(SliceRegistry *registry, const char *vm);

/* Return: (transfer container) (element-type SliceEntry): all that @vm tells, home or not. */
GPtrArray *slice_registry_told(SliceRegistry *registry, const char *vm);

/* @vm: (nullable): slices whose home it is, or all. */
guint slice_registry_count(SliceRegistry *registry, const char *vm);

/**
 * slice_registry_client_home() - where all slices of a client are
 * @client: address
 *
 * A slice that has lost its last connection still belongs to the client that it was of.
 *
 * Return: (nullable) (transfer none): the VM; NULL where they are on several, or none is left.
 */
const char *slice_registry_client_home(SliceRegistry *registry,
                                       const char *client);

/* What is to be done for the clients of a VM's slices has changed, though their slices have not. */
void slice_registry_touch(SliceRegistry *registry, const char *vm);

/**
 * slice_registry_take_clients() - whose slices have changed since the last call
 *
 * Return: (nullable) (transfer full) (element-type utf8): set of addresses
 */
GHashTable *slice_registry_take_clients(SliceRegistry *registry);

#endif
