/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bus.c - the control interface: D-Bus, peer to peer, on a unix socket of our own
 */
#include "bus.h"

#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus-generated.h"
#include "util/error.h"

struct SliceBus {
    char *socket;
    GDBusServer *server;
    GDBusAuthObserver *observer;
    SliceBusOrchestrator1 *skeleton;
    GPtrArray *connections;
    SliceOrchestrator *orchestrator;
};

static const char *text(const char *value)
{
    return value ? value : "";
}

/* ---- answers ---- */

static GVariant *vm_to_variant(SliceOrchestrator *orchestrator,
                               const SliceVm *vm)
{
    SliceNetwork *network = slice_orchestrator_network(orchestrator);
    SliceRegistry *registry = slice_orchestrator_registry(orchestrator);
    gboolean synced = vm->engine && slice_engine_is_synced(vm->engine);
    static char empty[] = "";
    static const SliceEngineInfo none = { .incarnation = empty };
    const SliceEngineInfo *info = synced ? slice_engine_info(vm->engine) : &none;
    const char *state = !vm->running ? "stopped" : !synced ? "started"
                      : info->guest_ready ? "ready" : "connected";

    return g_variant_new("(ssssuubsuuttt)", vm->name, text(vm->uri), state,
                         text(vm->port), slice_network_port(network, vm->name),
                         slice_network_slot(network, vm->name),
                         slice_network_in_spread(network, vm->name),
                         info->incarnation,
                         slice_registry_count(registry, vm->name),
                         info->tombstones, info->held_packets,
                         info->dropped_packets, info->muted_packets);
}

static GVariant *entry_to_variant(const SliceEntry *entry)
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
                         entry->movability, text(entry->why), entry->label,
                         entry->top_layer, entry->capsules,
                         entry->memory_bytes, entry->held_packets, &flows);
}

static GVariant *job_to_variant(const SliceJob *job)
{
    return g_variant_new("(usuuuuxxi)", job->id, job->target, job->items->len,
                         job->running, job->moved, job->failed,
                         job->started_us, job->ended_us, job->code);
}

static GVariant *items_to_variant(const SliceJob *job)
{
    GVariantBuilder items;

    g_variant_builder_init(&items, G_VARIANT_TYPE("a(ssstsssttt)"));
    for (guint i = 0; i < job->items->len; i++) {
        const SliceJobItem *item = g_ptr_array_index(job->items, i);
        const GError *error = item->error;

        g_variant_builder_add(
            &items, "(ssstsssttt)", item->slice, text(item->source),
            slice_item_state_name(item->state), item->term, item->step,
            error ? slice_error_name(slice_error_exit_code(error)) : "",
            error ? error->message : "", item->bytes, item->packets,
            item->quiet_us);
    }
    return g_variant_builder_end(&items);
}

/* ---- methods ---- */

static gboolean fail(GDBusMethodInvocation *invocation, GError *error)
{
    g_dbus_method_invocation_take_error(invocation, error);
    return TRUE;
}

static gboolean get_status(SliceBusOrchestrator1 *skeleton,
                           GDBusMethodInvocation *invocation, SliceBus *bus)
{
    SliceOrchestrator *orchestrator = bus->orchestrator;
    const SliceConfig *config = slice_orchestrator_config(orchestrator);
    SliceNetwork *network = slice_orchestrator_network(orchestrator);
    g_autoptr(GPtrArray) vms = slice_orchestrator_vms(orchestrator);
    guint ready = 0;

    for (guint i = 0; i < vms->len; i++) {
        const SliceVm *vm = g_ptr_array_index(vms, i);

        ready += vm->engine && slice_engine_is_synced(vm->engine) &&
                 slice_engine_info(vm->engine)->guest_ready;
    }
    slice_bus_orchestrator1_complete_get_status(
        skeleton, invocation, config->cluster, config->address, config->mac,
        slice_orchestrator_incarnation(orchestrator), config->bridge,
        slice_network_is_connected(network),
        slice_network_exact_rules(network), vms->len, ready,
        slice_registry_count(slice_orchestrator_registry(orchestrator), NULL),
        slice_orchestrator_moving(orchestrator));
    return TRUE;
}

static gboolean list_vms(SliceBusOrchestrator1 *skeleton,
                         GDBusMethodInvocation *invocation, SliceBus *bus)
{
    g_autoptr(GPtrArray) vms = slice_orchestrator_vms(bus->orchestrator);
    GVariantBuilder list;

    g_variant_builder_init(&list, G_VARIANT_TYPE("a(ssssuubsuuttt)"));
    for (guint i = 0; i < vms->len; i++) {
        g_variant_builder_add_value(
            &list, vm_to_variant(bus->orchestrator, g_ptr_array_index(vms, i)));
    }
    slice_bus_orchestrator1_complete_list_vms(skeleton, invocation,
                                              g_variant_builder_end(&list));
    return TRUE;
}

static gboolean list_slices(SliceBusOrchestrator1 *skeleton,
                            GDBusMethodInvocation *invocation, const char *vm,
                            const char *client, SliceBus *bus)
{
    GError *error = NULL;
    g_autoptr(GPtrArray) slices = NULL;
    GVariantBuilder list;

    if (vm[0] && !slice_orchestrator_vm(bus->orchestrator, vm, &error)) {
        return fail(invocation, error);
    }
    slices = slice_registry_list(slice_orchestrator_registry(bus->orchestrator),
                                 vm[0] ? vm : NULL, client[0] ? client : NULL);
    g_variant_builder_init(&list, G_VARIANT_TYPE("a(ssstssssutta(sqsq))"));
    for (guint i = 0; i < slices->len; i++) {
        g_variant_builder_add_value(
            &list, entry_to_variant(g_ptr_array_index(slices, i)));
    }
    slice_bus_orchestrator1_complete_list_slices(skeleton, invocation,
                                                 g_variant_builder_end(&list));
    return TRUE;
}

static gboolean show_slice(SliceBusOrchestrator1 *skeleton,
                           GDBusMethodInvocation *invocation,
                           const char *pattern, SliceBus *bus)
{
    GError *error = NULL;
    const SliceEntry *entry = slice_registry_find(
        slice_orchestrator_registry(bus->orchestrator), pattern, &error);

    if (!entry) {
        return fail(invocation, error);
    }
    slice_bus_orchestrator1_complete_show_slice(skeleton, invocation,
                                                entry_to_variant(entry));
    return TRUE;
}

static gboolean move_slices(SliceBusOrchestrator1 *skeleton,
                            GDBusMethodInvocation *invocation,
                            const char *const *patterns, const char *target,
                            guint deadline_ms, SliceBus *bus)
{
    GError *error = NULL;
    const SliceJob *job;

    if (!deadline_ms) {
        return fail(invocation,
                    g_error_new_literal(SLICE_ERROR, SLICE_ERROR_INVALID,
                                        "a deadline of 0 ms cannot be met"));
    }
    job = slice_orchestrator_move(bus->orchestrator, patterns, target,
                                  deadline_ms, &error);
    if (!job) {
        return fail(invocation, error);
    }
    slice_bus_orchestrator1_complete_move_slices(skeleton, invocation, job->id);
    return TRUE;
}

static gboolean list_jobs(SliceBusOrchestrator1 *skeleton,
                          GDBusMethodInvocation *invocation, SliceBus *bus)
{
    GPtrArray *jobs = slice_jobs_list(slice_orchestrator_jobs(bus->orchestrator));
    GVariantBuilder list;

    g_variant_builder_init(&list, G_VARIANT_TYPE("a(usuuuuxxi)"));
    for (guint i = 0; i < jobs->len; i++) {
        g_variant_builder_add_value(
            &list, job_to_variant(g_ptr_array_index(jobs, i)));
    }
    slice_bus_orchestrator1_complete_list_jobs(skeleton, invocation,
                                               g_variant_builder_end(&list));
    return TRUE;
}

static gboolean show_job(SliceBusOrchestrator1 *skeleton,
                         GDBusMethodInvocation *invocation, guint id,
                         SliceBus *bus)
{
    GError *error = NULL;
    const SliceJob *job = slice_jobs_find(
        slice_orchestrator_jobs(bus->orchestrator), id, &error);

    if (!job) {
        return fail(invocation, error);
    }
    slice_bus_orchestrator1_complete_show_job(
        skeleton, invocation, job_to_variant(job), items_to_variant(job));
    return TRUE;
}

static gboolean cancel_job(SliceBusOrchestrator1 *skeleton,
                           GDBusMethodInvocation *invocation, guint id,
                           SliceBus *bus)
{
    GError *error = NULL;

    if (!slice_jobs_cancel(slice_orchestrator_jobs(bus->orchestrator), id,
                           &error)) {
        return fail(invocation, error);
    }
    slice_bus_orchestrator1_complete_cancel_job(skeleton, invocation);
    return TRUE;
}

/* ---- connections ---- */

static gboolean authorize(GDBusAuthObserver *observer, GIOStream *stream,
                          GCredentials *credentials, gpointer data)
{
    uid_t uid = credentials ? g_credentials_get_unix_user(credentials, NULL)
                            : (uid_t)-1;

    return uid == 0 || (uid == geteuid() && uid != (uid_t)-1);
}

static gboolean only_external(GDBusAuthObserver *observer,
                              const char *mechanism, gpointer data)
{
    return g_str_equal(mechanism, "EXTERNAL");
}

static void connection_closed(GDBusConnection *connection, gboolean vanished,
                              GError *error, SliceBus *bus)
{
    if (bus->orchestrator) {
        g_dbus_interface_skeleton_unexport_from_connection(
            G_DBUS_INTERFACE_SKELETON(bus->skeleton), connection);
    }
    g_signal_handlers_disconnect_by_data(connection, bus);
    g_ptr_array_remove(bus->connections, connection);
}

static void export_to(SliceBus *bus, GDBusConnection *connection)
{
    g_autoptr(GError) error = NULL;

    if (!g_dbus_interface_skeleton_export(
            G_DBUS_INTERFACE_SKELETON(bus->skeleton), connection,
            SLICE_BUS_PATH, &error)) {
        g_warning("a client is not served: %s", error->message);
    }
}

static gboolean new_connection(GDBusServer *server, GDBusConnection *connection,
                               SliceBus *bus)
{
    g_signal_connect(connection, "closed", G_CALLBACK(connection_closed), bus);
    g_ptr_array_add(bus->connections, g_object_ref(connection));
    export_to(bus, connection);
    return TRUE;
}

static gboolean somebody_listens(const char *path)
{
    g_autoptr(GSocketClient) client = g_socket_client_new();
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    g_autoptr(GSocketConnection) connection = g_socket_client_connect(
        client, G_SOCKET_CONNECTABLE(address), NULL, NULL);

    return connection != NULL;
}

static gboolean listen_on(SliceBus *bus, GError **error)
{
    g_autofree char *escaped = g_dbus_address_escape_value(bus->socket);
    g_autofree char *address = g_strdup_printf("unix:path=%s", escaped);
    g_autofree char *folder = g_path_get_dirname(bus->socket);
    g_autofree char *guid = g_dbus_generate_guid();

    if (somebody_listens(bus->socket)) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_BUSY,
                    "%s: another sliced listens there", bus->socket);
        return FALSE;
    }
    g_mkdir_with_parents(folder, 0755);
    g_unlink(bus->socket);
    bus->server = g_dbus_server_new_sync(address, G_DBUS_SERVER_FLAGS_NONE,
                                         guid, bus->observer, NULL, error);
    if (!bus->server) {
        return FALSE;
    }
    g_chmod(bus->socket, 0600);
    g_signal_connect(bus->server, "new-connection", G_CALLBACK(new_connection),
                     bus);
    return TRUE;
}

SliceBus *slice_bus_new(const char *socket, GError **error)
{
    SliceBus *bus = g_new0(SliceBus, 1);

    bus->socket = g_strdup(socket);
    bus->connections = g_ptr_array_new_with_free_func(g_object_unref);
    bus->skeleton = slice_bus_orchestrator1_skeleton_new();
    bus->observer = g_dbus_auth_observer_new();
    g_signal_connect(bus->observer, "authorize-authenticated-peer",
                     G_CALLBACK(authorize), NULL);
    g_signal_connect(bus->observer, "allow-mechanism",
                     G_CALLBACK(only_external), NULL);
    if (!listen_on(bus, error)) {
        slice_bus_free(bus);
        return NULL;
    }
    return bus;
}

void slice_bus_serve(SliceBus *bus, SliceOrchestrator *orchestrator)
{
    static const struct {
        const char *signal;
        GCallback handler;
    } methods[] = {
        { "handle-get-status", G_CALLBACK(get_status) },
        { "handle-list-vms", G_CALLBACK(list_vms) },
        { "handle-list-slices", G_CALLBACK(list_slices) },
        { "handle-show-slice", G_CALLBACK(show_slice) },
        { "handle-move-slices", G_CALLBACK(move_slices) },
        { "handle-list-jobs", G_CALLBACK(list_jobs) },
        { "handle-show-job", G_CALLBACK(show_job) },
        { "handle-cancel-job", G_CALLBACK(cancel_job) },
    };

    bus->orchestrator = orchestrator;
    for (gsize i = 0; i < G_N_ELEMENTS(methods); i++) {
        g_signal_connect(bus->skeleton, methods[i].signal, methods[i].handler,
                         bus);
    }
    g_dbus_server_start(bus->server);
}

void slice_bus_free(SliceBus *bus)
{
    if (!bus) {
        return;
    }
    if (bus->server) {
        g_dbus_server_stop(bus->server);
        g_signal_handlers_disconnect_by_data(bus->server, bus);
        g_object_unref(bus->server);
    }
    for (guint i = 0; i < bus->connections->len; i++) {
        GDBusConnection *connection = g_ptr_array_index(bus->connections, i);

        g_signal_handlers_disconnect_by_data(connection, bus);
        g_dbus_connection_flush_sync(connection, NULL, NULL);
        g_dbus_connection_close(connection, NULL, NULL, NULL);
    }
    g_ptr_array_unref(bus->connections);
    g_signal_handlers_disconnect_by_data(bus->skeleton, bus);
    g_object_unref(bus->skeleton);
    g_object_unref(bus->observer);
    g_free(bus->socket);
    g_free(bus);
}

void slice_bus_tell_event(SliceBus *bus, const SliceEvent *event)
{
    slice_bus_orchestrator1_emit_event(
        bus->skeleton, event->time_us, event->kind, event->vm,
        text(event->slice), event->term, text(event->step), text(event->why),
        event->bytes, event->packets);
}

void slice_bus_tell_job(SliceBus *bus, const SliceJob *job,
                        const SliceJobItem *item)
{
    slice_bus_orchestrator1_emit_job_changed(bus->skeleton, job_to_variant(job),
                                             item ? item->slice : "",
                                             item ? item->step : "");
}
