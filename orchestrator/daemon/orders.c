/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * orders.c - what operators want of the orchestrator: plans, jobs, cordons
 */
#include "orchestrator-private.h"

#include "util/error.h"

static gboolean is_ready(const SliceVm *vm)
{
    return vm->engine && slice_engine_is_synced(vm->engine) &&
           slice_engine_info(vm->engine)->guest_ready;
}

/* Return: (element-type SlicePlanVm): by name */
static GArray *plan_vms(SliceOrchestrator *self)
{
    g_autoptr(GPtrArray) vms = slice_orchestrator_vms(self);
    GArray *list = g_array_new(FALSE, FALSE, sizeof(SlicePlanVm));

    for (guint i = 0; i < vms->len; i++) {
        const SliceVm *vm = g_ptr_array_index(vms, i);
        gboolean cordoned = slice_orchestrator_is_cordoned(self, vm->name);
        SlicePlanVm entry = {
            .name = vm->name,
            .capacity = vm->weight,
            .running = vm->running,
            .connected = vm->engine && slice_engine_is_synced(vm->engine) &&
                         slice_engine_stream(vm->engine),
            .open = is_ready(vm) && slice_engine_stream(vm->engine) && !cordoned,
            .cordoned = cordoned,
        };

        g_array_append_val(list, entry);
    }
    return list;
}

GPtrArray *slice_orchestrator_plan_for(const SliceOrder *order, GHashTable *avoid,
                                       gpointer data, GError **error)
{
    SliceOrchestrator *self = data;
    g_autoptr(GArray) vms = plan_vms(self);

    return slice_plan_make(order, self->registry, vms, avoid, error);
}

GPtrArray *slice_orchestrator_plan(SliceOrchestrator *self, const SliceOrder *order,
                                   GError **error)
{
    g_autoptr(GPtrArray) plan = slice_orchestrator_plan_for(order, NULL, self, error);

    if (plan && !plan->len && order->kind != SLICE_ORDER_DRAIN) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_NOT_FOUND,
                    "no slice matches that is not there already");
        return NULL;
    }
    return g_steal_pointer(&plan);
}

gboolean slice_orchestrator_verdict(SliceOrchestrator *self, const SliceEntry *entry,
                                    GError **error)
{
    g_autoptr(GArray) vms = plan_vms(self);

    return slice_plan_verdict(entry, vms, error);
}

const SliceJob *slice_orchestrator_start_job(SliceOrchestrator *self,
                                             const SliceOrder *order, guint deadline_ms,
                                             guint job_deadline_ms, GError **error)
{
    gboolean drain = order->kind == SLICE_ORDER_DRAIN;
    g_autoptr(GPtrArray) plan = slice_orchestrator_plan(self, order, error);
    const SliceJob *other = drain ? slice_jobs_drain_of(self->jobs, order->vms[0]) : NULL;

    if (!plan) {
        return NULL;
    }
    if (other) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_BUSY,
                    "VM %s is being drained already, by job %u", order->vms[0], other->id);
        return NULL;
    }
    if (drain && !slice_orchestrator_set_cordon(self, order->vms[0], TRUE, error)) {
        return NULL;
    }
    return slice_jobs_start(self->jobs, order, plan, deadline_ms,
                            drain ? job_deadline_ms : 0, error);
}

gboolean slice_orchestrator_is_cordoned(SliceOrchestrator *self, const char *vm)
{
    return g_hash_table_contains(self->cordoned, vm);
}

gboolean slice_orchestrator_set_cordon(SliceOrchestrator *self, const char *name,
                                       gboolean cordoned, GError **error)
{
    SliceVm *vm = g_hash_table_lookup(self->vms, name);

    if (!vm && !(g_hash_table_contains(self->cordoned, name) && !cordoned)) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_NOT_FOUND, "no VM is called '%s'", name);
        return FALSE;
    }
    if (g_hash_table_contains(self->cordoned, name) == cordoned) {
        return TRUE;
    }
    if (!cordoned && slice_jobs_drain_of(self->jobs, name)) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_BUSY,
                    "VM %s is being drained by job %u: cancel that first", name,
                    slice_jobs_drain_of(self->jobs, name)->id);
        return FALSE;
    }
    if (!slice_store_set_cordon(self->store, name, cordoned, error)) {
        return FALSE;
    }
    if (cordoned) {
        g_hash_table_add(self->cordoned, g_strdup(name));
    } else {
        g_hash_table_remove(self->cordoned, name);
    }
    if (vm) {
        slice_orchestrator_place(self, vm);
        slice_registry_touch(self->registry, name);
        slice_orchestrator_registry_changed(self);
        slice_orchestrator_tell_vm(self, name, cordoned ? "cordoned" : "uncordoned", NULL);
    }
    return TRUE;
}
