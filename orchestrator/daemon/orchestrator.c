/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * orchestrator.c - the parts of sliced put together
 *
 * Start.  The switch is left alone, and moves of an earlier incarnation unresolved, until each VM
 * that runs has told its slices, or START_MS has passed: only then is known what
 * the switch must not lose and who of a move still lives.
 *
 * Death.  The end of an engine's monitor is taken for its VM's death at once: its clients are spread over
 * the others, its moves are resolved.  libvirt's event comes later and changes nothing.
 */
#include "orchestrator-private.h"

#include <string.h>

#include "util/error.h"

#define START_MS 5000
/* Our own moves use up terms: what engines have been given is renewed so long after the last of them. */
#define LEASE_AGAIN_MS 5000

/* ---- events ---- */

void slice_orchestrator_tell_vm(SliceOrchestrator *self, const char *vm,
                                const char *step, const char *why)
{
    SliceEvent event = { .time_us = g_get_real_time(), .kind = "vm", .vm = vm,
                         .step = step, .why = why };

    self->handlers->event(&event, self->data);
}

static void tell_slice(SliceOrchestrator *self, const SliceEntry *entry,
                       const char *step)
{
    SliceEvent event = { .time_us = g_get_real_time(), .kind = "slice",
                         .vm = entry->vm, .slice = entry->id,
                         .term = entry->term, .step = step,
                         .why = entry->why };

    self->handlers->event(&event, self->data);
}

/* ---- start ---- */

static gboolean steer_clients(gpointer data)
{
    SliceOrchestrator *self = data;
    g_autoptr(GHashTable) clients = slice_registry_take_clients(self->registry);
    GHashTableIter iter;
    gpointer client;

    self->steering = 0;
    if (clients) {
        g_hash_table_iter_init(&iter, clients);
        while (g_hash_table_iter_next(&iter, &client, NULL)) {
            slice_network_steer(self->network, client,
                                slice_registry_client_home(self->registry, client));
        }
    }
    return G_SOURCE_REMOVE;
}

void slice_orchestrator_registry_changed(SliceOrchestrator *self)
{
    if (self->started && !self->steering) {
        self->steering = g_idle_add_full(G_PRIORITY_DEFAULT, steer_clients, self, NULL);
    }
}

static void recover_moves(SliceOrchestrator *self)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) moves = slice_store_moves(self->store, &error);

    if (!moves) {
        g_critical("moves of an earlier incarnation stay unresolved: %s",
                   error->message);
        return;
    }
    for (guint i = 0; i < moves->len; i++) {
        const SliceMoveRecord *record = g_ptr_array_index(moves, i);

        if (record->term >> 32 != slice_store_incarnation(self->store)) {
            g_message("resolving the move of slice %s from %s to %s",
                      record->slice, record->source, record->target);
            slice_mover_recover(self->mover, record);
        }
    }
}

/* Moves of earlier incarnations have been resolved: what was to follow them follows. */
static void resume_if_settled(SliceOrchestrator *self)
{
    if (self->started && !self->resumed && !slice_mover_count(self->mover)) {
        self->resumed = TRUE;
        slice_jobs_resume(self->jobs);
    }
}

/* Who was restored before we knew all: asked again, and confirmed then. */
static void confirm_all(SliceOrchestrator *self)
{
    g_autoptr(GPtrArray) list = slice_registry_list(self->registry, NULL);

    for (guint i = 0; i < list->len; i++) {
        const SliceEntry *entry = g_ptr_array_index(list, i);
        SliceVm *vm = g_hash_table_lookup(self->vms, entry->vm);

        if (entry->fenced && vm && vm->engine) {
            slice_engine_refresh(vm->engine);
        }
    }
}

/* What targets have kept of moves that ended without them. */
static void cancel_all(SliceOrchestrator *self)
{
    g_autoptr(GPtrArray) vms = slice_orchestrator_vms(self);

    for (guint i = 0; i < vms->len; i++) {
        slice_adopt_cancel(self, ((SliceVm *)g_ptr_array_index(vms, i))->name);
    }
}

static void start(SliceOrchestrator *self)
{
    if (self->started) {
        return;
    }
    self->started = TRUE;
    g_clear_handle_id(&self->start_timer, g_source_remove);
    slice_network_start(self->network);
    recover_moves(self);
    slice_adopt_all(self);
    cancel_all(self);
    confirm_all(self);
    slice_network_trim(self->network);
    g_message("started: %u slices", slice_registry_count(self->registry, NULL));
    slice_orchestrator_registry_changed(self);
    resume_if_settled(self);
}

static gboolean start_anyway(gpointer data)
{
    SliceOrchestrator *self = data;

    self->start_timer = 0;
    g_warning("not every VM has told its slices; going on without");
    start(self);
    return G_SOURCE_REMOVE;
}

static void start_if_all_told(SliceOrchestrator *self)
{
    GHashTableIter iter;
    gpointer value;

    if (self->started || !self->listed) {
        return;
    }
    g_hash_table_iter_init(&iter, self->vms);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        SliceVm *vm = value;

        if (vm->running && !slice_engine_is_synced(vm->engine)) {
            return;
        }
    }
    start(self);
}

/* ---- engines ---- */

static void forget_flows(SliceOrchestrator *self, GArray *flows)
{
    if (self->started && flows->len) {
        slice_network_forget(self->network, flows);
    }
}

static GArray *new_flows(void)
{
    return g_array_new(FALSE, FALSE, sizeof(SliceTuple));
}

static void confirmed(const SliceReply *reply, const GError *error,
                      gpointer data)
{
    if (error) {
        g_warning("a restored slice was not confirmed: %s", error->message);
    }
}

/* A restored VM holds its slices until it is told whether they are its own still. */
static void confirm_restored(SliceOrchestrator *self, SliceEngine *engine,
                             GPtrArray *entries)
{
    for (guint i = 0; i < entries->len; i++) {
        const SliceEntry *entry = g_ptr_array_index(entries, i);

        if (entry->fenced) {
            const SliceEntry *now =
                slice_registry_find(self->registry, entry->id, NULL);

            slice_engine_confirm(engine, slice_store_incarnation(self->store),
                                 entry->id, entry->term,
                                 now && g_str_equal(now->vm, entry->vm),
                                 confirmed, NULL);
        }
    }
}

/* Its port is a VM's as soon as it runs; new clients come once its guest can take them. */
void slice_orchestrator_place(SliceOrchestrator *self, SliceVm *vm)
{
    gboolean ready = vm->engine && slice_engine_is_synced(vm->engine) &&
                     slice_engine_info(vm->engine)->guest_ready;

    if (vm->running && vm->port) {
        slice_network_set_vm(self->network, vm->name, vm->port, ready,
                             ready && !slice_orchestrator_is_cordoned(self, vm->name),
                             vm->weight);
    }
}

/* Return: (transfer container) (element-type SliceEngine) */
static GPtrArray *connected_engines(SliceOrchestrator *self)
{
    g_autoptr(GPtrArray) vms = slice_orchestrator_vms(self);
    GPtrArray *engines = g_ptr_array_new();

    for (guint i = 0; i < vms->len; i++) {
        SliceEngine *engine = slice_orchestrator_engine(
            self, ((SliceVm *)g_ptr_array_index(vms, i))->name);

        if (engine) {
            g_ptr_array_add(engines, engine);
        }
    }
    return engines;
}

static void tell_peers(SliceOrchestrator *self)
{
    g_autoptr(GPtrArray) engines = connected_engines(self);

    slice_lease_tell_peers(slice_store_incarnation(self->store), engines);
}

static void engine_lease_low(SliceEngine *engine, gpointer data)
{
    slice_lease_give(((SliceOrchestrator *)data)->store, engine);
}

static gboolean lease_again(gpointer data)
{
    SliceOrchestrator *self = data;
    g_autoptr(GPtrArray) engines = connected_engines(self);

    self->lease_timer = 0;
    for (guint i = 0; i < engines->len; i++) {
        slice_lease_give(self->store, g_ptr_array_index(engines, i));
    }
    return G_SOURCE_REMOVE;
}

static void engine_synced(SliceEngine *engine, GPtrArray *entries, gpointer data)
{
    SliceOrchestrator *self = data;
    const char *name = slice_engine_vm(engine);
    const SliceEngineInfo *info = slice_engine_info(engine);
    SliceVm *vm = g_hash_table_lookup(self->vms, name);
    g_autoptr(GArray) closed = new_flows();

    slice_registry_replace(self->registry, name, entries, closed);
    slice_orchestrator_registry_changed(self);
    forget_flows(self, closed);
    if (!vm->greeted) { /* before it gets clients: who has no peers finds no session */
        vm->greeted = TRUE;
        slice_lease_give(self->store, engine);
        tell_peers(self);
    }
    slice_orchestrator_place(self, vm);
    slice_orchestrator_tell_vm(self, name, info->guest_ready ? "ready" : "connected", NULL);
    slice_mover_take_synced(self->mover, name);
    slice_adopt_cancel(self, name);
    if (self->started) {
        confirm_restored(self, engine, entries);
    }
    start_if_all_told(self);
}

static void vm_lost(SliceOrchestrator *self, const char *name, const char *why)
{
    g_autoptr(GArray) closed = new_flows();

    slice_network_lose_vm(self->network, name);
    slice_orchestrator_tell_vm(self, name, "lost", why);
    slice_mover_take_lost(self->mover, name);
    slice_adopt_lost(self, name);
    slice_registry_drop_vm(self->registry, name, closed);
    slice_orchestrator_registry_changed(self);
    forget_flows(self, closed);
    tell_peers(self);
}

static void engine_lost(SliceEngine *engine, const char *why, gpointer data)
{
    SliceOrchestrator *self = data;
    SliceVm *vm = g_hash_table_lookup(self->vms, slice_engine_vm(engine));

    vm->greeted = FALSE;
    vm_lost(self, vm->name, why);
}

static void engine_step(SliceEngine *engine, const SliceStepEvent *step,
                        gpointer data)
{
    SliceOrchestrator *self = data;
    const char *vm = slice_engine_vm(engine);
    SliceEvent event = { .time_us = g_get_real_time(), .kind = "move",
                         .vm = vm, .slice = step->id, .term = step->term,
                         .step = step->step, .why = step->why,
                         .bytes = step->bytes, .packets = step->packets };

    slice_registry_step(self->registry, vm, step->id, step->term, step->step, step->peer);
    slice_orchestrator_registry_changed(self);
    slice_adopt_step(self, vm, step);
    slice_mover_take_step(self->mover, vm, step);
    self->handlers->event(&event, self->data);
}

static void engine_changed(SliceEngine *engine, const SliceEntry *entry,
                           gboolean ended, gpointer data)
{
    SliceOrchestrator *self = data;
    g_autoptr(GArray) closed = new_flows();
    const SliceEntry *before =
        slice_registry_peek(self->registry, entry->vm, entry->id);
    const char *what = ended ? "ended" : before ? "changed" : "appeared";

    if (ended) {
        slice_registry_end(self->registry, entry->vm, entry->id, closed);
        slice_mover_take_ended(self->mover, entry->vm, entry->id);
    } else {
        slice_registry_update(self->registry, slice_entry_copy(entry), closed);
    }
    slice_orchestrator_registry_changed(self);
    if (self->started && !ended && entry->state == SLICE_STATE_OWNER &&
        !slice_mover_is_moving(self->mover, entry->id)) {
        slice_network_appeared(self->network, entry->id, entry->flows, entry->vm);
    }
    forget_flows(self, closed);
    tell_slice(self, entry, what);
}

static const SliceEngineHandlers engine_handlers = {
    .synced = engine_synced,
    .lost = engine_lost,
    .step = engine_step,
    .changed = engine_changed,
    .lease_low = engine_lease_low,
};

/* ---- domains ---- */

static void vm_free(gpointer value)
{
    SliceVm *vm = value;

    slice_engine_free(vm->engine);
    g_free(vm->name);
    g_free(vm->uri);
    g_free(vm->port);
    g_free(vm);
}

static void vm_start(SliceOrchestrator *self, SliceVm *vm,
                     const SliceDomain *domain)
{
    g_autoptr(GError) error = NULL;
    JsonNode *stream = NULL;

    if (domain->stream) {
        stream = slice_engine_parse_stream(domain->stream, &error);
        if (!stream) {
            g_warning("VM %s: %s", vm->name, error->message);
        }
    }
    vm->running = TRUE;
    vm->engine = slice_engine_new(vm->name, domain->qmp_path, &engine_handlers,
                                  self);
    slice_engine_set_stream(vm->engine, stream);
    g_clear_pointer(&stream, json_node_unref);
    slice_engine_start(vm->engine);
    slice_orchestrator_tell_vm(self, vm->name, "started", NULL);
}

static void vm_stop(SliceOrchestrator *self, SliceVm *vm)
{
    gboolean was_connected;

    if (!vm->running) {
        return;
    }
    was_connected = slice_engine_is_synced(vm->engine);
    vm->running = FALSE;
    vm->greeted = FALSE;
    slice_engine_stop(vm->engine);
    if (was_connected) {
        vm_lost(self, vm->name, "its domain stopped");
    }
    g_clear_pointer(&vm->engine, slice_engine_free);
    slice_network_remove_vm(self->network, vm->name);
    slice_orchestrator_tell_vm(self, vm->name, "stopped", NULL);
    start_if_all_told(self);
}

static void domain_changed(const SliceDomain *domain, gpointer data)
{
    SliceOrchestrator *self = data;
    SliceVm *vm = g_hash_table_lookup(self->vms, domain->name);

    if (!vm) {
        vm = g_new0(SliceVm, 1);
        vm->name = g_strdup(domain->name);
        g_hash_table_insert(self->vms, vm->name, vm);
    }
    g_free(vm->uri);
    vm->uri = g_strdup(domain->uri);
    g_free(vm->port);
    vm->port = g_strdup(domain->port);
    vm->weight = domain->weight;
    if (!domain->running) {
        vm_stop(self, vm);
        return;
    }
    if (!vm->running) {
        vm_start(self, vm, domain);
    }
    slice_orchestrator_place(self, vm);
}

static void domain_removed(const char *name, gpointer data)
{
    SliceOrchestrator *self = data;
    SliceVm *vm = g_hash_table_lookup(self->vms, name);

    /* An engine that still answers lives, whatever became of its libvirt. */
    if (vm && !(vm->engine && slice_engine_is_synced(vm->engine))) {
        vm_stop(self, vm);
        g_hash_table_remove(self->vms, name);
    }
}

static void domains_listed(gpointer data)
{
    SliceOrchestrator *self = data;

    self->listed = TRUE;
    start_if_all_told(self);
}

static const SliceDomainsHandlers domain_handlers = {
    .changed = domain_changed,
    .removed = domain_removed,
    .listed = domains_listed,
};

/* ---- what mover, jobs and network ask ---- */

SliceEngine *slice_orchestrator_engine(SliceOrchestrator *self, const char *name)
{
    SliceVm *vm = g_hash_table_lookup(self->vms, name);

    return vm && vm->engine && slice_engine_is_synced(vm->engine) ? vm->engine
                                                                  : NULL;
}

static SliceEngine *mover_engine(const char *name, gpointer data)
{
    return slice_orchestrator_engine(data, name);
}

static void mover_route(const char *slice, GArray *flows, const char *vm,
                        SliceDone done, gpointer done_data, gpointer data)
{
    SliceOrchestrator *self = data;

    slice_network_route(self->network, slice, flows, vm, done, done_data);
}

static gboolean mover_regrouped(const SliceEntry *entry, gpointer data)
{
    SliceOrchestrator *self = data;

    return slice_registry_regrouped(self->registry, entry->vm, entry->id, entry->flows);
}

static void mover_fence(const char *vm, SliceDone done, gpointer done_data,
                        gpointer data)
{
    SliceOrchestrator *self = data;
    g_autoptr(GError) error = NULL;

    if (self->domains) {
        slice_domains_destroy(self->domains, vm, done, done_data);
        return;
    }
    error = g_error_new(SLICE_ERROR, SLICE_ERROR_UNREACHABLE,
                        "VM %s cannot be fenced without libvirt", vm);
    done(error, done_data);
}

/* Where it is in the end, the engines say: what was routed for another end is mended. */
static void mover_ended(const char *slice, gpointer data)
{
    SliceOrchestrator *self = data;
    const SliceEntry *entry = slice_registry_find(self->registry, slice, NULL);

    if (entry && entry->state == SLICE_STATE_OWNER) {
        slice_network_correct(self->network, slice, entry->flows, entry->vm, FALSE);
    }
    if (!self->lease_timer) {
        self->lease_timer = g_timeout_add(LEASE_AGAIN_MS, lease_again, self);
    }
    resume_if_settled(self);
}

static const SliceMoverOps mover_ops = {
    .engine = mover_engine,
    .route = mover_route,
    .regrouped = mover_regrouped,
    .fence = mover_fence,
    .ended = mover_ended,
};

static const SliceEntry *job_entry(const char *id, gpointer data)
{
    SliceOrchestrator *self = data;

    return slice_registry_find(self->registry, id, NULL);
}

static gboolean job_is_connected(const char *vm, gpointer data)
{
    return slice_orchestrator_engine(data, vm) != NULL;
}

static void job_changed(const SliceJob *job, const SliceJobItem *item,
                        gpointer data)
{
    SliceOrchestrator *self = data;

    self->handlers->job(job, item, self->data);
}

static const SliceJobsOps job_ops = {
    .entry = job_entry,
    .plan = slice_orchestrator_plan_for,
    .is_connected = job_is_connected,
    .changed = job_changed,
};

static void known_connections(SliceNetwork *network, SliceNetworkPin pin,
                              gpointer data)
{
    SliceOrchestrator *self = data;
    g_autoptr(GPtrArray) list = slice_registry_list(self->registry, NULL);

    for (guint i = 0; i < list->len; i++) {
        const SliceEntry *entry = g_ptr_array_index(list, i);

        gboolean settled = entry->state == SLICE_STATE_OWNER &&
                           !slice_mover_is_moving(self->mover, entry->id);

        for (guint k = 0; k < entry->flows->len; k++) {
            pin(network, &g_array_index(entry->flows, SliceTuple, k),
                settled ? entry->vm : NULL);
        }
    }
}

/* ---- life ---- */

SliceOrchestrator *slice_orchestrator_new(const SliceConfig *config,
                                          const SliceOrchestratorHandlers *handlers,
                                          gpointer data, GError **error)
{
    SliceStore *store = slice_store_open(config->store, error);
    GHashTable *cordoned = store ? slice_store_cordons(store, error) : NULL;
    SliceOrchestrator *self;

    if (!cordoned) {
        slice_store_close(store);
        return NULL;
    }
    self = g_new0(SliceOrchestrator, 1);
    self->config = config;
    self->handlers = handlers;
    self->data = data;
    self->store = store;
    self->cordoned = cordoned;
    self->registry = slice_registry_new();
    self->vms = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, vm_free);
    self->network = slice_network_new(config->bridge, config->openflow,
                                      config->address, config->address6,
                                      config->mac, store, known_connections,
                                      self);
    self->mover = slice_mover_new(store, &mover_ops, self);
    self->jobs = slice_jobs_new(self->mover, store, &job_ops, self);
    self->start_timer = g_timeout_add(START_MS, start_anyway, self);
    for (guint i = 0; i < config->vms->len; i++) {
        domain_changed(g_ptr_array_index(config->vms, i), self);
    }
    if (config->uris[0]) {
        self->domains = slice_domains_new((const char *const *)config->uris,
                                          config->bridge, &domain_handlers, self);
    } else {
        self->listed = TRUE;
    }
    return self;
}

void slice_orchestrator_free(SliceOrchestrator *self)
{
    if (!self) {
        return;
    }
    g_clear_handle_id(&self->start_timer, g_source_remove);
    g_clear_handle_id(&self->steering, g_source_remove);
    g_clear_handle_id(&self->lease_timer, g_source_remove);
    slice_domains_free(self->domains);
    slice_mover_free(self->mover);
    slice_jobs_free(self->jobs);
    g_hash_table_unref(self->vms);
    slice_network_free(self->network);
    slice_registry_free(self->registry);
    g_hash_table_unref(self->cordoned);
    slice_store_close(self->store);
    g_free(self);
}

const SliceConfig *slice_orchestrator_config(SliceOrchestrator *self)
{
    return self->config;
}

guint32 slice_orchestrator_incarnation(SliceOrchestrator *self)
{
    return slice_store_incarnation(self->store);
}

SliceRegistry *slice_orchestrator_registry(SliceOrchestrator *self)
{
    return self->registry;
}

SliceNetwork *slice_orchestrator_network(SliceOrchestrator *self)
{
    return self->network;
}

SliceJobs *slice_orchestrator_jobs(SliceOrchestrator *self)
{
    return self->jobs;
}

guint slice_orchestrator_moving(SliceOrchestrator *self)
{
    return slice_mover_count(self->mover);
}

static int by_name(gconstpointer a, gconstpointer b)
{
    const SliceVm *const *one = a, *const *two = b;

    return strcmp((*one)->name, (*two)->name);
}

GPtrArray *slice_orchestrator_vms(SliceOrchestrator *self)
{
    GPtrArray *list = g_ptr_array_new();
    GHashTableIter iter;
    gpointer vm;

    g_hash_table_iter_init(&iter, self->vms);
    while (g_hash_table_iter_next(&iter, NULL, &vm)) {
        g_ptr_array_add(list, vm);
    }
    g_ptr_array_sort(list, by_name);
    return list;
}

const SliceVm *slice_orchestrator_vm(SliceOrchestrator *self, const char *name,
                                     GError **error)
{
    const SliceVm *vm = g_hash_table_lookup(self->vms, name);

    if (!vm) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_NOT_FOUND,
                    "no VM is called '%s'", name);
    }
    return vm;
}
