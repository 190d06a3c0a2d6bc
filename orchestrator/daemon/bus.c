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
#include "bus-variant.h"
#include "util/error.h"

struct SliceBus {
    char *socket;
    GDBusServer *server;
    GDBusAuthObserver *observer;
    SliceBusOrchestrator1 *skeleton;
    GPtrArray *connections;
    SliceOrchestrator *orchestrator;
};

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

    g_variant_builder_init(&list, G_VARIANT_TYPE("a(ssssuubsuutttbuu)"));
    for (guint i = 0; i < vms->len; i++) {
        g_variant_builder_add_value(
            &list, slice_bus_vm(bus->orchestrator, g_ptr_array_index(vms, i)));
    }
    slice_bus_orchestrator1_complete_list_vms(skeleton, invocation,
                                              g_variant_builder_end(&list));
    return TRUE;
}

static gboolean list_slices(SliceBusOrchestrator1 *skeleton,
                            GDBusMethodInvocation *invocation, const char *vm,
                            GVariant *wanted, SliceBus *bus)
{
    GError *error = NULL;
    g_autoptr(GPtrArray) slices = NULL;
    g_autoptr(SliceFilter) filter = NULL;
    const char *client, *state, *label, *movability;
    GVariantBuilder list;

    g_variant_get(wanted, "(&s&s&s&s)", &client, &state, &label, &movability);
    filter = slice_filter_new(NULL, client, state, label, movability, &error);
    if (!filter || (vm[0] && !slice_orchestrator_vm(bus->orchestrator, vm, &error))) {
        return fail(invocation, error);
    }
    slices = slice_registry_list(slice_orchestrator_registry(bus->orchestrator),
                                 vm[0] ? vm : NULL);
    g_variant_builder_init(&list, G_VARIANT_TYPE("a(ssstssssutta(sqsq))"));
    for (guint i = 0; i < slices->len; i++) {
        const SliceEntry *entry = g_ptr_array_index(slices, i);

        if (slice_filter_matches(filter, entry)) {
            g_variant_builder_add_value(&list, slice_bus_entry(entry));
        }
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

    g_autoptr(GError) why = NULL;
    gboolean can;

    if (!entry) {
        return fail(invocation, error);
    }
    can = slice_orchestrator_verdict(bus->orchestrator, entry, &why);
    slice_bus_orchestrator1_complete_show_slice(
        skeleton, invocation, slice_bus_entry(entry), can,
        can ? "" : slice_error_name(slice_error_exit_code(why)), can ? "" : why->message);
    return TRUE;
}

/* Answered when the switch has it: what comes then, goes where it should. */
static void cordon_done(const GError *error, gpointer data)
{
    GDBusMethodInvocation *invocation = data;

    if (error) {
        g_dbus_method_invocation_return_error(
            invocation, SLICE_ERROR, SLICE_ERROR_UNREACHABLE,
            "it is written down, and the switch gets it when it answers: %s", error->message);
    } else {
        g_dbus_method_invocation_return_value(invocation, NULL);
    }
}

static gboolean set_cordon(SliceBusOrchestrator1 *skeleton,
                           GDBusMethodInvocation *invocation, const char *vm,
                           gboolean cordoned, SliceBus *bus)
{
    GError *error = NULL;

    if (!slice_orchestrator_set_cordon(bus->orchestrator, vm, cordoned, &error)) {
        return fail(invocation, error);
    }
    slice_network_wait(slice_orchestrator_network(bus->orchestrator), cordon_done, invocation);
    return TRUE;
}

static gboolean plan_order(SliceBusOrchestrator1 *skeleton,
                           GDBusMethodInvocation *invocation, GVariant *wanted,
                           SliceBus *bus)
{
    GError *error = NULL;
    g_autoptr(SliceOrder) order = slice_bus_order(wanted, &error);
    g_autoptr(GPtrArray) plan =
        order ? slice_orchestrator_plan(bus->orchestrator, order, &error) : NULL;

    if (!plan) {
        return fail(invocation, error);
    }
    slice_bus_orchestrator1_complete_plan_order(skeleton, invocation, slice_bus_plan(plan));
    return TRUE;
}

static gboolean start_order(SliceBusOrchestrator1 *skeleton,
                            GDBusMethodInvocation *invocation, GVariant *wanted,
                            guint deadline_ms, guint job_deadline_ms, SliceBus *bus)
{
    GError *error = NULL;
    g_autoptr(SliceOrder) order = slice_bus_order(wanted, &error);
    const SliceJob *job = NULL;

    if (order && !deadline_ms) {
        g_set_error(&error, SLICE_ERROR, SLICE_ERROR_INVALID,
                    "a deadline of 0 ms cannot be met");
    } else if (order) {
        job = slice_orchestrator_start_job(bus->orchestrator, order, deadline_ms,
                                           job_deadline_ms, &error);
    }
    if (!job) {
        return fail(invocation, error);
    }
    slice_bus_orchestrator1_complete_start_order(skeleton, invocation, job->id);
    return TRUE;
}

static gboolean list_jobs(SliceBusOrchestrator1 *skeleton,
                          GDBusMethodInvocation *invocation, SliceBus *bus)
{
    GPtrArray *jobs = slice_jobs_list(slice_orchestrator_jobs(bus->orchestrator));
    GVariantBuilder list;

    g_variant_builder_init(&list, G_VARIANT_TYPE("a(usssuuuuuuuxxxi)"));
    for (guint i = 0; i < jobs->len; i++) {
        g_variant_builder_add_value(
            &list, slice_bus_job(g_ptr_array_index(jobs, i)));
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
        skeleton, invocation, slice_bus_job(job), slice_bus_items(job));
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
        { "handle-set-cordon", G_CALLBACK(set_cordon) },
        { "handle-plan-order", G_CALLBACK(plan_order) },
        { "handle-start-order", G_CALLBACK(start_order) },
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
        slice_bus_text(event->slice), event->term, slice_bus_text(event->step),
        slice_bus_text(event->why), event->bytes, event->packets);
}

void slice_bus_tell_job(SliceBus *bus, const SliceJob *job,
                        const SliceJobItem *item)
{
    slice_bus_orchestrator1_emit_job_changed(bus->skeleton, slice_bus_job(job),
                                             item ? item->slice : "",
                                             item ? item->step : "");
}
