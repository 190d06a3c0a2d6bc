/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * table.h - which slices are here, and who owns them under which term
 *
 * The ownership protocol's state table as a pure function: slice_table_step()
 * takes a message about (slice, term), moves the slice's state, and says what
 * is to be done about it.  No I/O, no clock, no guest and no gate here; what a
 * verdict asks for is done by move.c (source) and arrive.c (target).
 *
 *              QUIESCE           UNPLUG          PLUGGED
 *     OWNER ------------> MOVING -------> SENT -----------> GONE
 *       ^ ^                 |               |                 |
 *       | +-----------------+---------------+                 |
 *       |    ABORT, REFUSED, GIVE_UP (resuming)               |
 *       |                                                     |
 *       | FORGOT,           GUEST_PLUGGED          PREPARE    |
 *       +---------- PLUGGED <------------ RESERVED <----------+  (or no entry)
 *       | TAKEOVER     |                     |
 *       |              +------ DISCARD ------+-----> GONE (a quarantine)
 *       +--- reset ---> DEAD
 *
 * Terms: an entry has one, that of its state.  An abort burns its term: the
 * owner keeps it, and nothing of that term can happen again.
 *
 * Bounds: slices, flows and tombstones.  GONE and DEAD entries are tombstones;
 * a new entry pushes the oldest of them out where there are too many.
 *
 * Threads: main loop, BQL held.  Above: store.c, move.c, arrive.c.
 */
#ifndef SLICE_TABLE_H
#define SLICE_TABLE_H

#include "qemu/queue.h"
#include "slice/types.h"
#include "qapi/qapi-types-slice.h"

#define SLICE_TABLE_SLICES_MAX     65536
#define SLICE_TABLE_TOMBSTONES_MAX 65536
#define SLICE_TABLE_FLOWS_MAX      64       /* of one slice */

typedef struct SliceTable SliceTable;

/**
 * SliceEntry: one slice
 * @id: its name in the cluster; never changes
 * @state: where it stands
 * @term: of @state
 * @resuming: OWNER by decision, but the guest has not yet plugged its kept
 *     image again
 * @fenced: OWNER out of a restored VM, not confirmed yet
 * @quiet: MOVING, and the guest has said that it is quiet: its flows stay what
 *     they are
 * @ended: @fenced, @resuming or not open yet, and the guest has ended it since
 * @peer: name of the VM it goes to, went to or comes from; or NULL
 * @flows: its connections, also in the table's index (where another entry has
 *     not taken them over)
 * @n_flows: of them
 * @movability, @why, @n_capsules, @memory_bytes, @counts, @label, @top_layer:
 *     as the guest last said
 * @transfer: of move.c or arrive.c; freed through SliceTable's callback
 */
typedef struct SliceEntry {
    SliceId id;
    SliceState state;
    uint64_t term;
    bool resuming;
    bool fenced;
    bool quiet;
    bool ended;
    char *peer;
    SliceFlow *flows;
    uint32_t n_flows;
    uint32_t movability;
    uint32_t why;
    uint32_t n_capsules;
    uint64_t memory_bytes;
    SliceLayerCount counts[SLICE_COUNTS_MAX];
    char label[33];
    char top_layer[17];
    struct SliceTransfer *transfer;
    QTAILQ_ENTRY(SliceEntry) next;
    QTAILQ_ENTRY(SliceEntry) tomb_next;     /* where it is a tombstone */
} SliceEntry;

/** For hash tables by SliceId. */
guint slice_id_hash(gconstpointer id);
gboolean slice_id_equal(gconstpointer a, gconstpointer b);

typedef QTAILQ_HEAD(SliceEntryList, SliceEntry) SliceEntryList;

/* Messages of the protocol, and what else moves a state. */
typedef enum SliceMessage {
    SLICE_MSG_QUIESCE,          /* at the source, from the orchestrator */
    SLICE_MSG_UNPLUG,
    SLICE_MSG_ABORT,
    SLICE_MSG_REFUSED,          /* at the source, from the target */
    SLICE_MSG_PLUGGED,
    SLICE_MSG_GIVE_UP,          /* at the source, by itself: nothing whole was
                                 * sent yet, so the target can not have plugged */
    SLICE_MSG_PREPARE,          /* at the target, from the orchestrator */
    SLICE_MSG_CANCEL,
    SLICE_MSG_TAKEOVER,
    SLICE_MSG_DELTA,            /* at the target, from the source */
    SLICE_MSG_FORGOT,
    SLICE_MSG_CANCELLED,        /* the state table's REFUSED(t) at a target */
    SLICE_MSG_GUEST_PLUGGED,    /* at the target, from its guest */
    SLICE_MSG_GUEST_REFUSED,
} SliceMessage;

/* What a message asks for. */
typedef enum SliceVerdict {
    SLICE_DO_NOTHING,           /* out of date: drop it */
    SLICE_DO_QUIESCE,           /* tell the guest; watch the flows */
    SLICE_DO_UNPLUG,            /* tell the guest; divert the flows */
    SLICE_DO_RESUME,            /* plug again, then answer RESUMED */
    SLICE_DO_RESUMED,           /* it runs already (or soon: @resuming) */
    SLICE_DO_FORGET,            /* it has just gone: FORGOT, forward rule */
    SLICE_DO_FORGET_AGAIN,      /* it had gone: FORGOT once more */
    SLICE_DO_CANCEL_PEER,       /* PLUGGED of a target that must discard */
    SLICE_DO_HOLD,              /* reserved: hold the flows */
    SLICE_DO_RECEIVE,           /* take the image's bytes */
    SLICE_DO_SAY_PLUGGED,       /* frozen and mute here: tell the source */
    SLICE_DO_OPEN,              /* it runs here from now on */
    SLICE_DO_DISCARD,           /* drop it, return what was held */
    SLICE_DO_DRAIN,             /* take over what comes, once it is known */
    SLICE_DO_REFUSE,            /* tell the source that it is not wanted */
    SLICE_SAY_BUSY,
    SLICE_SAY_STALE,
    SLICE_SAY_NOT_FOUND,
    SLICE_SAY_NOT_MINE,
    SLICE_SAY_FORGOTTEN,
    SLICE_SAY_IS_OWNER,
} SliceVerdict;

/**
 * slice_table_new: an empty table
 * @forget: is told of each entry before it is freed or, for a tombstone,
 *     pushed out by newer ones; drops what the entry has elsewhere
 *     (transfer, gate)
 * @opaque: for @forget
 */
SliceTable *slice_table_new(void (*forget)(void *opaque, SliceEntry *entry),
                            void *opaque);
void slice_table_free(SliceTable *table);

/** The entry of that id, or NULL. */
SliceEntry *slice_table_find(SliceTable *table, SliceId id);
/** The entry that the flow belongs to, or NULL. */
SliceEntry *slice_table_find_flow(SliceTable *table, const SliceFlow *flow);
/**
 * All entries, oldest state first; safe against removal of the current one
 * only with QTAILQ_FOREACH_SAFE.
 */
SliceEntryList *slice_table_entries(SliceTable *table);
/** Entries that are not tombstones / that are. */
uint32_t slice_table_n_slices(SliceTable *table);
uint32_t slice_table_n_tombstones(SliceTable *table);

/**
 * slice_table_step: one line of the state table
 * @id, @term: what the message is about
 * @ret_entry: the entry afterwards, NULL where there is none
 *
 * PREPARE makes the entry where there is none (the caller gives it flows and
 * peer).  CANCEL, CANCELLED and GUEST_REFUSED leave a tombstone of that term:
 * the quarantine of the tuples.
 *
 * Return: what to do.  After SLICE_DO_NOTHING and SLICE_SAY_* nothing has
 * changed, but for ABORT of a later term than the owner's, which is burnt.
 */
SliceVerdict slice_table_step(SliceTable *table, SliceId id, SliceMessage msg,
                              uint64_t term, SliceEntry **ret_entry);

/** What PREPARE would say: SLICE_DO_HOLD, or why not.  Nothing changes. */
SliceVerdict slice_table_may_prepare(SliceTable *table, SliceId id,
                                     uint64_t term);

/**
 * slice_table_unreserve: PREPARE has failed after SLICE_DO_HOLD
 * @was_term: of the tombstone that it was before; where there was none, the
 *     caller removes the entry instead
 */
void slice_table_unreserve(SliceTable *table, SliceEntry *entry,
                           uint64_t was_term);

/** The guest plugged it again after SLICE_DO_RESUME. */
void slice_table_resumed(SliceTable *table, SliceEntry *entry);

/**
 * slice_table_insert: an entry in a given state (a slice that the guest has
 * announced, or one out of a saved VM)
 *
 * Return: NULL where the table is full or has one of that id.
 */
SliceEntry *slice_table_insert(SliceTable *table, SliceId id, SliceState state,
                               uint64_t term);
/** Whatever it is, it ran here and does not any more: OWNER -> DEAD etc. */
void slice_table_kill(SliceTable *table, SliceEntry *entry);
/** Forget it altogether. */
void slice_table_remove(SliceTable *table, SliceEntry *entry);

/**
 * slice_table_set_flows: replace an entry's flows
 *
 * Flows of tombstones are taken over; those of other slices that run here too
 * (a guest joins and splits its slices as it likes, until it says of one that it
 * is quiet).
 *
 * Return: false, nothing changed, where a flow belongs to a slice that is
 * arriving or leaving, or @n_flows is above the bound.
 */
bool slice_table_set_flows(SliceTable *table, SliceEntry *entry,
                           const SliceFlow *flows, uint32_t n_flows);
/** Take one flow from an entry (its client began anew with it). */
void slice_table_drop_flow(SliceTable *table, const SliceFlow *flow);

/** Is it a tombstone? */
static inline bool slice_entry_is_tombstone(const SliceEntry *entry)
{
    return entry->state == SLICE_STATE_GONE || entry->state == SLICE_STATE_DEAD;
}

/** Is it to move, and does the guest not say yet that it is quiet? */
static inline bool slice_entry_is_draining(const SliceEntry *entry)
{
    return entry->state == SLICE_STATE_MOVING && !entry->quiet;
}

/** Does the guest have it, with its flows open? */
static inline bool slice_entry_runs_here(const SliceEntry *entry)
{
    return entry->state == SLICE_STATE_OWNER ||
           entry->state == SLICE_STATE_MOVING;
}

#endif /* SLICE_TABLE_H */
