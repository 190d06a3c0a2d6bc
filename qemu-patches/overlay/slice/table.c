/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * table.c - the ownership protocol's state table
 *
 * One function for each message, in the order of the protocol's table; each
 * case is one of its lines.  See table.h.
 */
#include "qemu/osdep.h"
#include "slice/table.h"

struct SliceTable {
    GHashTable *by_id;          /* SliceId -> SliceEntry, owns neither */
    GHashTable *by_flow;        /* SliceFlow (of the entry) -> SliceEntry */
    SliceEntryList entries;     /* in the order of their last state change */
    SliceEntryList tombs;       /* those of them that are tombstones */
    uint32_t n_slices;
    uint32_t n_tombstones;
    void (*forget)(void *opaque, SliceEntry *entry);
    void *opaque;
};

static guint hash_bytes(const void *data, size_t bytes)
{
    const uint8_t *p = data;
    guint hash = 2166136261u;

    while (bytes--) {
        hash = (hash ^ *p++) * 16777619u;
    }
    return hash;
}

guint slice_id_hash(gconstpointer key)
{
    return hash_bytes(key, sizeof(SliceId));
}

gboolean slice_id_equal(gconstpointer a, gconstpointer b)
{
    return !memcmp(a, b, sizeof(SliceId));
}

static guint flow_hash(gconstpointer key)
{
    return hash_bytes(key, sizeof(SliceFlow));
}

static gboolean flow_equal(gconstpointer a, gconstpointer b)
{
    return !memcmp(a, b, sizeof(SliceFlow));
}

SliceTable *slice_table_new(void (*forget)(void *opaque, SliceEntry *entry),
                            void *opaque)
{
    SliceTable *table = g_new0(SliceTable, 1);

    table->by_id = g_hash_table_new(slice_id_hash, slice_id_equal);
    table->by_flow = g_hash_table_new(flow_hash, flow_equal);
    QTAILQ_INIT(&table->entries);
    QTAILQ_INIT(&table->tombs);
    table->forget = forget;
    table->opaque = opaque;
    return table;
}

void slice_table_free(SliceTable *table)
{
    SliceEntry *entry;

    if (!table) {
        return;
    }
    while ((entry = QTAILQ_FIRST(&table->entries))) {
        slice_table_remove(table, entry);
    }
    g_hash_table_destroy(table->by_flow);
    g_hash_table_destroy(table->by_id);
    g_free(table);
}

SliceEntry *slice_table_find(SliceTable *table, SliceId id)
{
    return g_hash_table_lookup(table->by_id, &id);
}

SliceEntry *slice_table_find_flow(SliceTable *table, const SliceFlow *flow)
{
    return g_hash_table_lookup(table->by_flow, flow);
}

SliceEntryList *slice_table_entries(SliceTable *table)
{
    return &table->entries;
}

uint32_t slice_table_n_slices(SliceTable *table)
{
    return table->n_slices;
}

uint32_t slice_table_n_tombstones(SliceTable *table)
{
    return table->n_tombstones;
}

/* In and out of the lists and counts, by its state. */
static void link_entry(SliceTable *table, SliceEntry *entry)
{
    QTAILQ_INSERT_TAIL(&table->entries, entry, next);
    if (slice_entry_is_tombstone(entry)) {
        QTAILQ_INSERT_TAIL(&table->tombs, entry, tomb_next);
        table->n_tombstones++;
    } else {
        table->n_slices++;
    }
}

static void unlink_entry(SliceTable *table, SliceEntry *entry)
{
    QTAILQ_REMOVE(&table->entries, entry, next);
    if (slice_entry_is_tombstone(entry)) {
        QTAILQ_REMOVE(&table->tombs, entry, tomb_next);
        table->n_tombstones--;
    } else {
        table->n_slices--;
    }
}

/*
 * All state changes pass here: it keeps counts and order.  No entry goes away
 * here, since callers walk over the entries.
 */
static void set_state(SliceTable *table, SliceEntry *entry, SliceState state,
                      uint64_t term)
{
    unlink_entry(table, entry);
    entry->state = state;
    entry->term = term;
    entry->resuming = false;
    link_entry(table, entry);
}

SliceEntry *slice_table_insert(SliceTable *table, SliceId id, SliceState state,
                               uint64_t term)
{
    SliceEntry *entry;
    bool tombstone = state == SLICE_STATE_GONE || state == SLICE_STATE_DEAD;

    if (slice_table_find(table, id) ||
        (!tombstone && table->n_slices >= SLICE_TABLE_SLICES_MAX)) {
        return NULL;
    }
    while (table->n_tombstones >= SLICE_TABLE_TOMBSTONES_MAX) {
        slice_table_remove(table, QTAILQ_FIRST(&table->tombs));
    }
    entry = g_new0(SliceEntry, 1);
    entry->id = id;
    entry->state = state;
    entry->term = term;
    g_hash_table_insert(table->by_id, &entry->id, entry);
    link_entry(table, entry);
    return entry;
}

static void unindex_flows(SliceTable *table, SliceEntry *entry)
{
    for (uint32_t i = 0; i < entry->n_flows; i++) {
        if (slice_table_find_flow(table, &entry->flows[i]) == entry) {
            g_hash_table_remove(table->by_flow, &entry->flows[i]);
        }
    }
}

void slice_table_remove(SliceTable *table, SliceEntry *entry)
{
    table->forget(table->opaque, entry);
    unindex_flows(table, entry);
    g_hash_table_remove(table->by_id, &entry->id);
    unlink_entry(table, entry);
    g_free(entry->flows);
    g_free(entry->peer);
    g_free(entry);
}

void slice_table_kill(SliceTable *table, SliceEntry *entry)
{
    set_state(table, entry, SLICE_STATE_DEAD, entry->term);
}

void slice_table_drop_flow(SliceTable *table, const SliceFlow *flow)
{
    SliceEntry *entry = slice_table_find_flow(table, flow);
    SliceFlow *last;

    if (!entry) {
        return;
    }
    g_hash_table_remove(table->by_flow, flow);
    for (uint32_t i = 0; i < entry->n_flows; i++) {
        if (!flow_equal(&entry->flows[i], flow)) {
            continue;
        }
        last = &entry->flows[entry->n_flows - 1];
        if (last != &entry->flows[i]) {
            /* The index's key lives in the array: give it its new place. */
            bool indexed = slice_table_find_flow(table, last) == entry;

            if (indexed) {
                g_hash_table_remove(table->by_flow, last);
            }
            entry->flows[i] = *last;
            if (indexed) {
                g_hash_table_insert(table->by_flow, &entry->flows[i], entry);
            }
        }
        entry->n_flows--;
        return;
    }
}

/*
 * It runs in the guest, which may link it with others and split it.  One that
 * resumes does where the guest has it again and RESUMED is still on its way.
 */
static bool flows_may_change(const SliceEntry *entry)
{
    return slice_entry_is_draining(entry) ||
           (entry->state == SLICE_STATE_OWNER && !entry->fenced);
}

bool slice_table_set_flows(SliceTable *table, SliceEntry *entry,
                           const SliceFlow *flows, uint32_t n_flows)
{
    SliceEntry *other;

    if (n_flows > SLICE_TABLE_FLOWS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < n_flows; i++) {
        other = slice_table_find_flow(table, &flows[i]);
        if (other && other != entry && !slice_entry_is_tombstone(other) &&
            !(flows_may_change(entry) && flows_may_change(other))) {
            return false;
        }
    }
    unindex_flows(table, entry);
    g_free(entry->flows);
    entry->flows = g_memdup2(flows, n_flows * sizeof(*flows));
    entry->n_flows = n_flows;
    for (uint32_t i = 0; i < n_flows; i++) {
        slice_table_drop_flow(table, &entry->flows[i]);
        g_hash_table_insert(table->by_flow, &entry->flows[i], entry);
    }
    return true;
}

void slice_table_unreserve(SliceTable *table, SliceEntry *entry,
                           uint64_t was_term)
{
    set_state(table, entry, SLICE_STATE_GONE, was_term);
}

void slice_table_resumed(SliceTable *table, SliceEntry *entry)
{
    entry->resuming = false;
}

/* ---- the lines of the state table ---- */

static SliceVerdict step_quiesce(SliceTable *table, SliceEntry *entry,
                                 uint64_t term)
{
    switch (entry->state) {
    case SLICE_STATE_OWNER:
        if (term <= entry->term || entry->resuming || entry->fenced) {
            return SLICE_SAY_BUSY;
        }
        set_state(table, entry, SLICE_STATE_MOVING, term);
        entry->quiet = false;
        return SLICE_DO_QUIESCE;
    case SLICE_STATE_GONE:
    case SLICE_STATE_DEAD:
        return SLICE_SAY_NOT_MINE;
    default:
        return SLICE_SAY_BUSY;
    }
}

static SliceVerdict step_unplug(SliceTable *table, SliceEntry *entry,
                                uint64_t term)
{
    if (entry->state == SLICE_STATE_MOVING && term == entry->term) {
        set_state(table, entry, SLICE_STATE_SENT, term);
        return SLICE_DO_UNPLUG;
    }
    if (slice_entry_is_tombstone(entry)) {
        return SLICE_SAY_NOT_MINE;
    }
    return SLICE_SAY_STALE;
}

static SliceVerdict resume(SliceTable *table, SliceEntry *entry)
{
    /* The term is burnt: it stays the owner's. */
    set_state(table, entry, SLICE_STATE_OWNER, entry->term);
    entry->resuming = true;
    return SLICE_DO_RESUME;
}

static SliceVerdict step_abort(SliceTable *table, SliceEntry *entry,
                               uint64_t term)
{
    switch (entry->state) {
    case SLICE_STATE_MOVING:
    case SLICE_STATE_SENT:
        return term == entry->term ? resume(table, entry) : SLICE_SAY_STALE;
    case SLICE_STATE_OWNER:
        if (term == entry->term) {
            return SLICE_DO_RESUMED;
        }
        if (term > entry->term) {
            entry->term = term;
        }
        return SLICE_SAY_NOT_MINE;
    case SLICE_STATE_GONE:
        return term == entry->term ? SLICE_SAY_FORGOTTEN : SLICE_SAY_NOT_MINE;
    case SLICE_STATE_DEAD:
        return SLICE_SAY_NOT_FOUND;
    default:
        return SLICE_SAY_STALE;
    }
}

static SliceVerdict step_refused(SliceTable *table, SliceEntry *entry,
                                 uint64_t term)
{
    if ((entry->state == SLICE_STATE_MOVING ||
         entry->state == SLICE_STATE_SENT) && term == entry->term) {
        return resume(table, entry);
    }
    return SLICE_DO_NOTHING;
}

static SliceVerdict step_plugged(SliceTable *table, SliceEntry *entry,
                                 uint64_t term)
{
    if (term == entry->term && entry->state == SLICE_STATE_SENT) {
        set_state(table, entry, SLICE_STATE_GONE, term);
        return SLICE_DO_FORGET;
    }
    if (term == entry->term && entry->state == SLICE_STATE_GONE) {
        return SLICE_DO_FORGET_AGAIN;
    }
    return SLICE_DO_CANCEL_PEER;
}

SliceVerdict slice_table_may_prepare(SliceTable *table, SliceId id,
                                     uint64_t term)
{
    SliceEntry *entry = slice_table_find(table, id);
    bool is_full = table->n_slices >= SLICE_TABLE_SLICES_MAX;

    if (!entry) {
        return is_full ? SLICE_DO_REFUSE : SLICE_DO_HOLD;
    }
    switch (entry->state) {
    case SLICE_STATE_GONE:
        return term <= entry->term ? SLICE_SAY_BUSY :
               is_full ? SLICE_DO_REFUSE : SLICE_DO_HOLD;
    case SLICE_STATE_OWNER:
        return term == entry->term ? SLICE_SAY_IS_OWNER : SLICE_SAY_BUSY;
    default:
        return SLICE_SAY_BUSY;
    }
}

static SliceVerdict step_prepare(SliceTable *table, SliceEntry *entry,
                                 uint64_t term)
{
    SliceVerdict verdict = slice_table_may_prepare(table, entry->id, term);

    if (verdict == SLICE_DO_HOLD) {
        set_state(table, entry, SLICE_STATE_RESERVED, term);
    }
    return verdict;
}

static SliceVerdict step_delta(SliceEntry *entry, uint64_t term)
{
    if (term == entry->term) {
        switch (entry->state) {
        case SLICE_STATE_RESERVED:
            return SLICE_DO_RECEIVE;
        case SLICE_STATE_PLUGGED:
            return SLICE_DO_SAY_PLUGGED;
        case SLICE_STATE_OWNER:
            return SLICE_DO_NOTHING;
        default:
            break;
        }
    }
    return SLICE_DO_REFUSE;
}

static SliceVerdict step_guest_plugged(SliceTable *table, SliceEntry *entry,
                                       uint64_t term)
{
    if (entry->state == SLICE_STATE_RESERVED && term == entry->term) {
        set_state(table, entry, SLICE_STATE_PLUGGED, term);
        return SLICE_DO_SAY_PLUGGED;
    }
    return SLICE_SAY_STALE;
}

static SliceVerdict step_forgot(SliceTable *table, SliceEntry *entry,
                                uint64_t term)
{
    if (entry->state == SLICE_STATE_PLUGGED && term == entry->term) {
        set_state(table, entry, SLICE_STATE_OWNER, term);
        return SLICE_DO_OPEN;
    }
    return SLICE_DO_NOTHING;
}

static SliceVerdict step_takeover(SliceTable *table, SliceEntry *entry,
                                  uint64_t term)
{
    if (term == entry->term) {
        switch (entry->state) {
        case SLICE_STATE_RESERVED:
            return SLICE_DO_DRAIN;
        case SLICE_STATE_PLUGGED:
            set_state(table, entry, SLICE_STATE_OWNER, term);
            return SLICE_DO_OPEN;
        case SLICE_STATE_OWNER:
            return SLICE_SAY_IS_OWNER;
        default:
            break;
        }
    }
    return SLICE_SAY_STALE;
}

static SliceVerdict step_discard(SliceTable *table, SliceEntry *entry,
                                 uint64_t term)
{
    if (term == entry->term) {
        switch (entry->state) {
        case SLICE_STATE_RESERVED:
        case SLICE_STATE_PLUGGED:
            set_state(table, entry, SLICE_STATE_GONE, term);
            return SLICE_DO_DISCARD;
        case SLICE_STATE_OWNER:
            return SLICE_SAY_IS_OWNER;
        default:
            break;
        }
    }
    return SLICE_SAY_STALE;
}

static SliceVerdict step_entry(SliceTable *table, SliceEntry *entry,
                               SliceMessage msg, uint64_t term)
{
    switch (msg) {
    case SLICE_MSG_QUIESCE:
        return step_quiesce(table, entry, term);
    case SLICE_MSG_UNPLUG:
        return step_unplug(table, entry, term);
    case SLICE_MSG_ABORT:
        return step_abort(table, entry, term);
    case SLICE_MSG_REFUSED:
    case SLICE_MSG_GIVE_UP:
        return step_refused(table, entry, term);
    case SLICE_MSG_PLUGGED:
        return step_plugged(table, entry, term);
    case SLICE_MSG_PREPARE:
        return step_prepare(table, entry, term);
    case SLICE_MSG_DELTA:
        return step_delta(entry, term);
    case SLICE_MSG_GUEST_PLUGGED:
        return step_guest_plugged(table, entry, term);
    case SLICE_MSG_FORGOT:
        return step_forgot(table, entry, term);
    case SLICE_MSG_TAKEOVER:
        return step_takeover(table, entry, term);
    case SLICE_MSG_CANCEL:
    case SLICE_MSG_CANCELLED:
    case SLICE_MSG_GUEST_REFUSED:
        return step_discard(table, entry, term);
    default:
        g_assert_not_reached();
    }
}

/* What a message means for a slice that this table does not know. */
static SliceVerdict step_unknown(SliceTable *table, SliceId id,
                                 SliceMessage msg, uint64_t term,
                                 SliceEntry **ret_entry)
{
    switch (msg) {
    case SLICE_MSG_PREPARE:
        *ret_entry = slice_table_insert(table, id, SLICE_STATE_RESERVED, term);
        return *ret_entry ? SLICE_DO_HOLD : SLICE_DO_REFUSE;
    case SLICE_MSG_DELTA:
        return SLICE_DO_REFUSE;
    case SLICE_MSG_PLUGGED:
        return SLICE_DO_CANCEL_PEER;
    case SLICE_MSG_QUIESCE:
    case SLICE_MSG_UNPLUG:
    case SLICE_MSG_ABORT:
        return SLICE_SAY_NOT_FOUND;
    case SLICE_MSG_TAKEOVER:
    case SLICE_MSG_CANCEL:
    case SLICE_MSG_GUEST_PLUGGED:
        return SLICE_SAY_STALE;
    default:
        return SLICE_DO_NOTHING;
    }
}

SliceVerdict slice_table_step(SliceTable *table, SliceId id, SliceMessage msg,
                              uint64_t term, SliceEntry **ret_entry)
{
    SliceEntry *entry = slice_table_find(table, id);

    *ret_entry = entry;
    return entry ? step_entry(table, entry, msg, term)
                 : step_unknown(table, id, msg, term, ret_entry);
}
