/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bus-variant.c - what the control interface says, as D-Bus values
 */
#include "bus-variant.h"

#include "util/error.h"

const char *slice_bus_text(const char *value)
{
    return value ? value : "";
}

GVariant *slice_bus_vm(SliceOrchestrator *orchestrator, const SliceVm *vm)
{
    SliceNetwork *network = slice_orchestrator_network(orchestrator);
    SliceRegistry *registry = slice_orchestrator_registry(orchestrator);
    gboolean synced = vm->engine && slice_engine_is_synced(vm->engine);
    static char empty[] = "";
    static const SliceEngineInfo none = { .incarnation = empty };
    const SliceEngineInfo *info = synced ? slice_engine_info(vm->engine) : &none;
    const char *state = !vm->running ? "stopped" : !synced ? "started"
                      : info->guest_ready ? "ready" : "connected";

    const SliceJob *drain =
        slice_jobs_drain_of(slice_orchestrator_jobs(orchestrator), vm->name);

    return g_variant_new("(ssssuubsuutttbuu)", vm->name, slice_bus_text(vm->uri), state,
                         slice_bus_text(vm->port), slice_network_port(network, vm->name),
                         slice_network_slot(network, vm->name),
                         slice_network_in_spread(network, vm->name),
                         info->incarnation,
                         slice_registry_count(registry, vm->name),
                         info->tombstones, info->held_packets,
                         info->dropped_packets, info->muted_packets,
                         slice_orchestrator_is_cordoned(orchestrator, vm->name),
                         vm->weight, drain ? drain->id : 0);
}

GVariant *slice_bus_entry(const SliceEntry *entry)
{
    GVariantBuilder flows;

    g_variant_builder_init(&flows, G_VARIANT_TYPE("a(sqsq)"));
    for (guint i = 0; i < entry->flows->len; i++) {
        const SliceTuple *flow = &g_array_index(entry->flows, SliceTuple, i);

        g_variant_builder_add(&flows, "(sqsq)", flow->local, flow->local_port,
                              flow->remote, flow->remote_port);
    }
    return g_variant_new("(ssstssssutta(sqsq))", entry->id, entry->vm,
                         slice_state_name(entry->state), entry->term,
                         entry->movability, slice_bus_text(entry->why), entry->label,
                         entry->top_layer, entry->capsules,
                         entry->memory_bytes, entry->held_packets, &flows);
}

GVariant *slice_bus_job(const SliceJob *job)
{
    g_autofree char *sources = slice_job_sources(job);
    g_autofree char *targets = slice_job_targets(job);

    return g_variant_new("(usssuuuuuuuxxxi)", job->id,
                         slice_order_kind_name(job->order->kind), sources, targets,
                         job->items->len, job->n[SLICE_ITEM_WAITING],
                         job->n[SLICE_ITEM_RUNNING], job->n[SLICE_ITEM_MOVED],
                         job->n[SLICE_ITEM_FAILED], job->n[SLICE_ITEM_ENDED], job->round,
                         job->started_us, job->until_us, job->ended_us, job->code);
}

static const char *error_name(const GError *error)
{
    return error ? slice_error_name(slice_error_exit_code(error)) : "";
}

GVariant *slice_bus_items(const SliceJob *job)
{
    GVariantBuilder items;

    g_variant_builder_init(&items, G_VARIANT_TYPE("a(sssstsssuttt)"));
    for (guint i = 0; i < job->items->len; i++) {
        const SliceJobItem *item = g_ptr_array_index(job->items, i);

        g_variant_builder_add(
            &items, "(sssstsssuttt)", item->slice, slice_bus_text(item->source),
            slice_bus_text(item->target), slice_item_state_name(item->state), item->term,
            item->step, error_name(item->error), item->error ? item->error->message : "",
            item->tries, item->bytes, item->packets, item->quiet_us);
    }
    return g_variant_builder_end(&items);
}

GVariant *slice_bus_plan(GPtrArray *plan)
{
    GVariantBuilder items;

    g_variant_builder_init(&items, G_VARIANT_TYPE("a(sssss)"));
    for (guint i = 0; i < plan->len; i++) {
        const SlicePlanItem *item = g_ptr_array_index(plan, i);

        g_variant_builder_add(&items, "(sssss)", item->slice, item->from,
                              slice_bus_text(item->to), error_name(item->why),
                              item->why ? item->why->message : "");
    }
    return g_variant_builder_end(&items);
}

SliceOrder *slice_bus_order(GVariant *wanted, GError **error)
{
    g_autofree const char **slices = NULL, **vms = NULL, **targets = NULL;
    const char *kind, *client, *state, *label, *movability;
    guint count, share;

    g_variant_get(wanted, "(&s^a&s^a&s(&s&s&s&s)uu^a&s)", &kind, &slices, &vms, &client,
                  &state, &label, &movability, &count, &share, &targets);
    return slice_order_new(kind, slices, vms, client, state, label, movability, count, share,
                           targets, error);
}
