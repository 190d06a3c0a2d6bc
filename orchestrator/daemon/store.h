/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store.h - what must outlive the orchestrator: incarnation, terms, decisions, intentions
 *
 * SQLite with a write-ahead log and synchronous=FULL: what a function here
 * has reported as done is on the disk.  Opening draws the next incarnation, so no message
 * can be sent under an old one.  A term is incarnation << 32 | counter; the counter starts
 * anew with each incarnation and need not be stored.  A leased range is taken from the same counter,
 * so no term is ever given twice, to whomever.
 *
 * Below: SQLite.  Above: move.c, network.c (slots), orchestrator.c.
 * Source: docs/specs/ownership.md, rules 3 and 6; docs/specs/store.md.
 */
#ifndef SLICE_DAEMON_STORE_H
#define SLICE_DAEMON_STORE_H

#include <gio/gio.h>

typedef struct SliceStore SliceStore;

typedef enum {
    SLICE_DECISION_NONE,
    SLICE_DECISION_ABORT,     /* never TAKEOVER after it */
    SLICE_DECISION_TAKEOVER,  /* never ABORT after it */
    SLICE_DECISION_FORGOTTEN, /* after ABORT: the source has said that it was too late */
} SliceDecision;

/**
 * SliceMoveRecord: a move that has not ended, as it is on disk
 */
typedef struct {
    guint64 term;
    char *slice;
    char *source;
    char *target;
    char *flows; /* of the slice when the move began, one a line, see move.c */
    SliceDecision decision;
} SliceMoveRecord;

void slice_move_record_free(SliceMoveRecord *record);

/**
 * slice_store_open() - open or create, lock, and draw the next incarnation
 * @path: of the file; missing folders are created
 *
 * Return: NULL with SLICE_ERROR_BUSY where another process has it,
 * SLICE_ERROR_FAILED with SQLite's words otherwise.
 */
SliceStore *slice_store_open(const char *path, GError **error);
void slice_store_close(SliceStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SliceStore, slice_store_close)

guint32 slice_store_incarnation(SliceStore *store);

/* Return: a term above all that were given before, or 0 when the incarnation's 2^32 are used up. */
guint64 slice_store_next_term(SliceStore *store);

/**
 * slice_store_begin(), slice_store_commit() - several changes, one trip to the disk
 *
 * What is reported as done in between is on the disk only when commit has returned TRUE; after
 * FALSE nothing of it is.
 */
gboolean slice_store_begin(SliceStore *store, GError **error);
gboolean slice_store_commit(SliceStore *store, GError **error);

/* Before PREPARE: the intention. */
gboolean slice_store_move_begin(SliceStore *store, const SliceMoveRecord *record,
                                GError **error);

/**
 * slice_store_move_decide() - before ABORT, or before TAKEOVER; once FORGOTTEN was heard
 *
 * Return: FALSE with SLICE_ERROR_REFUSED where the other decision is on disk
 * already, SLICE_ERROR_NOT_FOUND for a move that is not under way.
 */
gboolean slice_store_move_decide(SliceStore *store, guint64 term,
                                 SliceDecision decision, GError **error);

/*
 * The move ended; @outcome is for people ('moved', 'undone', 'lost').  Not forced to the disk: the next
 * decision takes it along, and a move that has ended can be resolved once more.
 */
gboolean slice_store_move_end(SliceStore *store, guint64 term,
                              const char *outcome, GError **error);

/* Has it ended, after an abort that the source has not answered with FORGOTTEN?  Then @target may be cancelled. */
gboolean slice_store_move_was_aborted(SliceStore *store, guint64 term, const char *target);

/* Return: (transfer full) (element-type SliceMoveRecord): by term. */
GPtrArray *slice_store_moves(SliceStore *store, GError **error);

/**
 * slice_store_slot() - a VM's number in the switch, the same for ever
 *
 * Return: 1 .. 65535, or 0 with an error.
 */
guint slice_store_slot(SliceStore *store, const char *vm, GError **error);

/* ---- cordons: VMs that take no new sessions ---- */

gboolean slice_store_set_cordon(SliceStore *store, const char *vm,
                                gboolean cordoned, GError **error);
/* Return: (transfer full) (element-type utf8): set of VM names */
GHashTable *slice_store_cordons(SliceStore *store, GError **error);

/* ---- terms that an engine may use by itself ---- */

/**
 * slice_store_lease() - set terms aside for a VM's engine, on disk
 * @count: how many, at least 1
 *
 * Return: the first of @count terms that nobody else ever gets, or 0 with an error.
 */
guint64 slice_store_lease(SliceStore *store, const char *vm, guint32 count,
                          GError **error);
/* Return: (nullable) (transfer full): the VM that @term was leased to, in this incarnation or an earlier one. */
char *slice_store_lease_of(SliceStore *store, guint64 term);

/* ---- jobs: what an operator has begun ---- */

/**
 * SliceJobRecord: a job that has not ended
 * @order: see slice_order_to_text()
 * @deadline_ms: for each slice
 * @until_us: for the job, since the epoch; 0: none
 * @slices, @targets: NULL-terminated, of one length; what it began with
 */
typedef struct {
    guint id;
    char *order;
    guint deadline_ms;
    gint64 started_us;
    gint64 until_us;
    char **slices;
    char **targets;
} SliceJobRecord;

void slice_job_record_free(SliceJobRecord *record);

gboolean slice_store_job_begin(SliceStore *store, const SliceJobRecord *record,
                               GError **error);
/* It ended or was cancelled: not to be resumed. */
gboolean slice_store_job_end(SliceStore *store, guint id, GError **error);
/* Return: (transfer full) (element-type SliceJobRecord): by id. */
GPtrArray *slice_store_jobs(SliceStore *store, GError **error);
/* Return: a number above all jobs' that were begun before. */
guint slice_store_next_job(SliceStore *store);

#endif
