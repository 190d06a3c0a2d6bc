/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * adopt.c - moves that engines make by themselves
 *
 * An engine leads a connection to the VM that has its session without asking (a find).  Such a move needs us
 * in three ways: the switch is to know where the slice is once it is done; when its source
 * or target dies, somebody must decide, and only we may; and one that is stuck after its image was sent
 * waits for our abort.  All of it is found again after a restart, in the engines' tables.
 *
 * And what is left of a move of ours: a target that was away when its move was undone, as a stopped one is for
 * a sliced that has just started, has not been told, and nothing else ends its reservation.
 *
 * Source: docs/specs/ownership.md, rules 2 to 4.
 */
#include "orchestrator-private.h"

#include "util/error.h"

/* Engines name each other as they call themselves. */
static const SliceVm *vm_by_engine(SliceOrchestrator *self, const char *name)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, self->vms);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const SliceVm *vm = value;
        const SliceEngineInfo *info = vm->engine ? slice_engine_info(vm->engine) : NULL;

        if (info && g_str_equal(info->name, name)) {
            return vm;
        }
    }
    return g_hash_table_lookup(self->vms, name);
}

static gboolean is_leaving(const SliceEntry *entry)
{
    return entry->state == SLICE_STATE_MOVING || entry->state == SLICE_STATE_SENT;
}

static gboolean is_arriving(const SliceEntry *entry)
{
    return entry->state == SLICE_STATE_RESERVED || entry->state == SLICE_STATE_PLUGGED;
}

static void adopt(SliceOrchestrator *self, const SliceEntry *entry, const char *peer)
{
    g_autoptr(GError) error = NULL;
    const char *source = is_leaving(entry) ? entry->vm : peer;
    const char *target = is_leaving(entry) ? peer : entry->vm;

    if (!slice_mover_adopt(self->mover, entry, source, target, &error) &&
        !g_error_matches(error, SLICE_ERROR, SLICE_ERROR_BUSY)) {
        g_warning("%s", error->message);
    }
}

/* What the target says of a slice that the source has forgotten. */
static void arrived(const SliceEntry *entry, const GError *error, gpointer data)
{
    SliceOrchestrator *self = data;
    g_autoptr(GArray) closed = g_array_new(FALSE, FALSE, sizeof(SliceTuple));

    if (!entry) {
        return; /* it has ended, or its VM has died since */
    }
    slice_registry_update(self->registry, slice_entry_copy(entry), closed);
    slice_orchestrator_registry_changed(self);
    if (entry->state == SLICE_STATE_OWNER) {
        slice_network_correct(self->network, entry->id, entry->flows, entry->vm, TRUE);
    }
}

/* Source and target tell on sockets of their own: "gone" may be the first that is heard of a move. */
static void find_where_it_went(SliceOrchestrator *self, const SliceStepEvent *step)
{
    const SliceVm *peer = step->peer ? vm_by_engine(self, step->peer) : NULL;
    SliceEngine *engine = peer ? slice_orchestrator_engine(self, peer->name) : NULL;

    if (engine && !slice_registry_peek(self->registry, peer->name, step->id)) {
        slice_engine_query(engine, step->id, arrived, self);
    }
}

void slice_adopt_step(SliceOrchestrator *self, const char *vm, const SliceStepEvent *step)
{
    const SliceEntry *entry = slice_registry_peek(self->registry, vm, step->id);

    if (!self->started || slice_mover_is_moving(self->mover, step->id)) {
        return;
    }
    if (g_str_equal(step->step, "gone")) {
        find_where_it_went(self, step);
    }
    if (!entry) {
        return;
    }
    if (g_str_equal(step->step, "done")) {
        slice_network_correct(self->network, step->id, entry->flows, vm, TRUE);
    } else if (g_str_equal(step->step, "failed") && entry->state == SLICE_STATE_SENT &&
               entry->term == step->term && entry->peer) {
        const SliceVm *peer = vm_by_engine(self, entry->peer);

        adopt(self, entry, peer ? peer->name : entry->peer);
    }
}

/* Return: (element-type SliceEntry): copies: what is done with one changes the registry. */
static GPtrArray *under_way_at(SliceOrchestrator *self, const char *vm)
{
    g_autoptr(GPtrArray) told = slice_registry_told(self->registry, vm);
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)slice_entry_free);

    for (guint i = 0; i < told->len; i++) {
        const SliceEntry *entry = g_ptr_array_index(told, i);

        if ((is_leaving(entry) || is_arriving(entry)) && entry->peer && entry->term &&
            !slice_mover_is_moving(self->mover, entry->id)) {
            g_ptr_array_add(list, slice_entry_copy(entry));
        }
    }
    return list;
}

/* @dead: (nullable): only moves with this VM; else with any that is not there. */
static void adopt_orphans(SliceOrchestrator *self, const char *dead)
{
    g_autoptr(GPtrArray) vms = slice_orchestrator_vms(self);

    for (guint i = 0; i < vms->len; i++) {
        const SliceVm *vm = g_ptr_array_index(vms, i);
        g_autoptr(GPtrArray) list = NULL;

        if (!slice_orchestrator_engine(self, vm->name)) {
            continue;
        }
        list = under_way_at(self, vm->name);
        for (guint k = 0; k < list->len; k++) {
            const SliceEntry *entry = g_ptr_array_index(list, k);
            const SliceVm *peer = vm_by_engine(self, entry->peer);
            const char *name = peer ? peer->name : entry->peer;

            if (!slice_orchestrator_engine(self, name) &&
                (!dead || g_str_equal(name, dead))) {
                adopt(self, entry, name);
            }
        }
    }
}

static void cancelled(const SliceReply *reply, const GError *error, gpointer data)
{
    if (error) {
        g_warning("a reservation stays until its VM is heard of again: %s", error->message);
    }
}

void slice_adopt_cancel(SliceOrchestrator *self, const char *vm)
{
    SliceEngine *engine = slice_orchestrator_engine(self, vm);
    g_autoptr(GPtrArray) list = NULL;

    if (!self->started || !engine) {
        return;
    }
    list = under_way_at(self, vm);
    for (guint i = 0; i < list->len; i++) {
        const SliceEntry *entry = g_ptr_array_index(list, i);

        if (is_arriving(entry) && slice_store_move_was_aborted(self->store, entry->term, vm)) {
            g_message("cancelling what VM %s has kept of slice %s, whose move was undone", vm,
                      entry->id);
            slice_engine_order(engine, "slice-cancel", slice_store_incarnation(self->store),
                               entry->id, entry->term, 0, cancelled, NULL);
        }
    }
}

void slice_adopt_lost(SliceOrchestrator *self, const char *vm)
{
    if (self->started) {
        adopt_orphans(self, vm);
    }
}

void slice_adopt_all(SliceOrchestrator *self)
{
    adopt_orphans(self, NULL);
}
