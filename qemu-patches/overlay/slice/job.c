/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * job.c - the job of slice-move
 *
 * Counts the slices of one command until each is gone or resumed.  Cancelling
 * it is an ABORT of those that have not gone; it does not wait for the guest,
 * whose RESUMED is told by an event.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "block/aio.h"
#include "slice/store.h"

typedef struct SliceMoveJob {
    Job common;
    SliceStore *store;
    uint32_t n_total;
    uint32_t n_left;
    uint32_t n_moved;
    QTAILQ_HEAD(, SliceTransfer) transfers;     /* @n_left of them */
} SliceMoveJob;

void slice_job_add(SliceMoveJob *job, SliceTransfer *transfer)
{
    if (job) {
        transfer->job = job;
        QTAILQ_INSERT_TAIL(&job->transfers, transfer, job_next);
    }
}

static void forget_item(SliceMoveJob *job, SliceTransfer *transfer)
{
    QTAILQ_REMOVE(&job->transfers, transfer, job_next);
    transfer->job = NULL;
}

void slice_job_item_done(SliceTransfer *transfer, bool moved)
{
    SliceMoveJob *job = transfer->job;

    slice_follow_over(transfer, moved);
    if (!job) {
        return;
    }
    forget_item(job, transfer);
    job->n_left--;
    job->n_moved += moved;
    job_progress_update(&job->common, 1);
    if (!job->n_left) {
        job_enter(&job->common);
    }
}

static void abort_items(SliceMoveJob *job)
{
    SliceStore *store = job->store;
    SliceTransfer *transfer, *next;

    QTAILQ_FOREACH_SAFE(transfer, &job->transfers, job_next, next) {
        SliceEntry *entry = transfer->entry;

        slice_move_abort_now(store, entry->id, entry->term);
    }
    while ((transfer = QTAILQ_FIRST(&job->transfers))) {
        forget_item(job, transfer);
    }
    slice_store_wake(store);
}

static int coroutine_fn job_run(Job *common, Error **errp)
{
    SliceMoveJob *job = container_of(common, SliceMoveJob, common);

    while (job->n_left && !job_is_cancelled(common)) {
        job_yield(common);
    }
    abort_items(job);
    if (job->n_moved < job->n_total) {
        error_setg(errp, "%u of %u slices were not moved",
                   job->n_total - job->n_moved, job->n_total);
        return -EBUSY;
    }
    return 0;
}

static void job_free(Job *common)
{
    object_unref(OBJECT(container_of(common, SliceMoveJob, common)->store));
}

static const JobDriver job_driver = {
    .instance_size = sizeof(SliceMoveJob),
    .job_type = JOB_TYPE_SLICE_MOVE,
    .run = job_run,
    .free = job_free,
};

bool slice_move_start(SliceStore *store, const char *job_id, SlicePeer *peer,
                      const SliceId *ids, const uint64_t *terms, uint32_t n,
                      uint32_t deadline_ms, SliceAnswer *ret_answers,
                      uint32_t *ret_whys, Error **errp)
{
    SliceMoveJob *job = job_create(job_id, &job_driver, NULL,
                                   qemu_get_aio_context(), JOB_DEFAULT, NULL,
                                   NULL, errp);

    if (!job) {
        return false;
    }
    job->store = store;
    QTAILQ_INIT(&job->transfers);
    object_ref(OBJECT(store));
    for (uint32_t i = 0; i < n; i++) {
        ret_answers[i] = slice_move_begin(store, ids[i], terms[i], peer,
                                          deadline_ms, job, &ret_whys[i]);
        if (ret_answers[i] == SLICE_ANSWER_OK) {
            job->n_total++;
        }
    }
    job->n_left = job->n_total;
    job_progress_set_remaining(&job->common, job->n_total);
    job_start(&job->common);
    return true;
}
