/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store.c - the engine's object, and what device, gate and peers reach it by
 *
 * -object slice-store,id=sl0[,name=web1][,listen=unix:PATH|HOST:PORT]
 *
 * Created before gate and device, which attach themselves, and outliving a
 * guest's reset.  See store.h for the parts.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-visit-sockets.h"
#include "crypto/random.h"
#include "io/channel-socket.h"
#include "qemu/error-report.h"
#include "qemu/module.h"
#include "qemu/sockets.h"
#include "qemu/timer.h"
#include "qom/object_interfaces.h"
#include "block/aio.h"
#include "qemu/main-loop.h"
#include "qemu/cutils.h"
#include "system/runstate.h"
#include "system/system.h"
#include "slice/store.h"
#include "trace.h"

SliceStore *slice_store_find(Error **errp)
{
    bool ambiguous = false;
    Object *obj = object_resolve_path_type("", TYPE_SLICE_STORE, &ambiguous);

    if (!obj) {
        error_setg(errp, ambiguous ? "there is more than one slice-store"
                                   : "there is no slice-store");
        return NULL;
    }
    return SLICE_STORE(obj);
}

bool slice_store_obey(SliceStore *store, uint32_t orchestrator)
{
    if (orchestrator < store->orchestrator) {
        return false;
    }
    store->orchestrator = orchestrator;
    return true;
}

static void draw_incarnation(SliceStore *store)
{
    uint64_t old = store->incarnation;

    do {
        qcrypto_random_bytes(&store->incarnation, sizeof(store->incarnation),
                             &error_fatal);
    } while (!store->incarnation || store->incarnation == old);
}

void slice_store_renew(SliceStore *store)
{
    draw_incarnation(store);
    if (runstate_is_running()) {
        notifier_list_notify(&store->on_incarnation, store);
    } else {
        store->is_incarnation_new = true;
    }
}

static void vm_state_changed(void *opaque, bool running, RunState state)
{
    SliceStore *store = opaque;

    if (running && store->is_incarnation_new) {
        store->is_incarnation_new = false;
        notifier_list_notify(&store->on_incarnation, store);
    }
}

void slice_step_trace(SliceStore *store, const char *step,
                      const SliceEntry *entry, uint32_t why)
{
    trace_slice_step(store->name, step, entry->id.incarnation,
                     entry->id.counter, entry->term, why);
}

/* ---- coroutines that wait for the guest ---- */

void slice_store_wake(SliceStore *store)
{
    SliceWaiter *waiter, *next;

    QLIST_FOREACH_SAFE(waiter, &store->waiters, next, next) {
        qemu_co_sleep_wake(&waiter->sleep);
    }
}

bool coroutine_fn slice_store_wait(SliceStore *store, int64_t until_ns)
{
    int64_t left = until_ns - qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    SliceWaiter waiter = {};

    if (left <= 0) {
        return false;
    }
    QLIST_INSERT_HEAD(&store->waiters, &waiter, next);
    qemu_co_sleep_ns_wakeable(&waiter.sleep, QEMU_CLOCK_REALTIME, left);
    QLIST_REMOVE(&waiter, next);
    return true;
}

/* ---- connections ---- */

static SlicePeer *peer_of(SliceStore *store, SliceConn *conn)
{
    SlicePeer *peer;

    QTAILQ_FOREACH(peer, &store->peers, next) {
        if (peer->conn == conn) {
            return peer;
        }
    }
    return NULL;
}

static void conn_ready(void *opaque, SliceConn *conn)
{
    SliceStore *store = opaque;
    SlicePeer *peer;

    if (!slice_conn_is_outgoing(conn)) {
        slice_arrive_conn_ready(store, conn);
        return;
    }
    peer = peer_of(store, conn);
    if (!peer) {
        return;
    }
    if (strcmp(peer->name, slice_conn_peer_name(conn))) {
        error_report("slice: '%s' answers at %s, where '%s' should be",
                     slice_conn_peer_name(conn), peer->address_name,
                     peer->name);
        slice_conn_close(conn);
        return;
    }
    slice_move_peer_ready(peer);
    slice_find_peer_ready(peer);
}

static bool conn_frame(void *opaque, SliceConn *conn,
                       const SliceStreamHeader *header, const uint8_t *payload,
                       const char **ret_why)
{
    SliceStore *store = opaque;

    trace_slice_frame_in(store->name, header->type, header->counter,
                         header->term, header->bytes);
    return slice_conn_is_outgoing(conn)
           ? slice_move_frame(store, conn, header, payload, ret_why)
           : slice_arrive_frame(store, conn, header, payload, ret_why);
}

static void conn_closed(void *opaque, SliceConn *conn)
{
    SliceStore *store = opaque;
    SlicePeer *peer = peer_of(store, conn);
    SliceEntry *entry;

    store->n_conns--;
    QTAILQ_FOREACH(entry, slice_table_entries(store->table), next) {
        if (entry->transfer && entry->transfer->box.conn == conn) {
            slice_outbox_attach(&entry->transfer->box, NULL);
        }
    }
    for (int i = 0; i < SLICE_INCOMING_MAX; i++) {
        if (store->incoming[i] == conn) {
            store->incoming[i] = NULL;
        }
    }
    if (peer) {
        slice_peer_lost(peer);
    } else {
        slice_arrive_conn_lost(store, conn);
    }
}

static const SliceConnOps conn_ops = {
    .ready = conn_ready,
    .frame = conn_frame,
    .closed = conn_closed,
};

SliceConn *slice_store_conn_new(SliceStore *store, QIOChannel *ioc,
                                bool is_outgoing)
{
    SliceStreamHello hello = {
        .version = SLICE_STREAM_VERSION,
        .compat = SLICE_STREAM_COMPAT,
        .incarnation = store->incarnation,
    };

    pstrcpy((char *)hello.name, sizeof(hello.name), store->name);
    store->n_conns++;
    return slice_conn_new(ioc, is_outgoing, &hello, &conn_ops, store);
}

static void accepted(QIONetListener *listener, QIOChannelSocket *socket,
                     gpointer opaque)
{
    SliceStore *store = opaque;

    for (int i = 0; i < SLICE_INCOMING_MAX; i++) {
        if (!store->incoming[i]) {
            qio_channel_set_name(QIO_CHANNEL(socket), "slice-stream");
            store->incoming[i] = slice_store_conn_new(store,
                                                      QIO_CHANNEL(socket),
                                                      false);
            return;
        }
    }
    warn_report("slice-store '%s' has %d connections: another one refused",
                store->name, SLICE_INCOMING_MAX);
}

/* ---- the object ---- */

static bool start_listening(SliceStore *store, Error **errp)
{
    g_autoptr(SocketAddress) address = socket_parse(store->listen, errp);

    if (!address) {
        return false;
    }
    store->listener = qio_net_listener_new();
    qio_net_listener_set_name(store->listener, "slice-stream-listener");
    if (qio_net_listener_open_sync(store->listener, address, 16, errp) < 0) {
        return false;
    }
    qio_net_listener_set_client_func(store->listener, accepted, store, NULL);
    return true;
}

static void store_complete(UserCreatable *uc, Error **errp)
{
    SliceStore *store = SLICE_STORE(uc);

    if (!store->name) {
        store->name = g_strdup(qemu_get_vm_name() ?:
            object_get_canonical_path_component(OBJECT(uc)));
    }
    if (!store->name[0] ||
        strlen(store->name) >= sizeof(((SliceStreamHello *)0)->name)) {
        error_setg(errp, "slice-store needs a name of 1 to 63 bytes, not '%s'",
                   store->name);
        return;
    }
    if (store->listen && !start_listening(store, errp)) {
        error_prepend(errp, "slice-store '%s' can not listen at '%s': ",
                      store->name, store->listen);
        return;
    }
    slice_vmstate_register(store);
}

static bool store_can_be_deleted(UserCreatable *uc)
{
    SliceStore *store = SLICE_STORE(uc);

    return !store->port_ops && !store->gate_ops && !store->n_active;
}

/* The table drops an entry: nothing else may remember it. */
static void entry_forgotten(void *opaque, SliceEntry *entry)
{
    SliceStore *store = opaque;

    if (entry->state != SLICE_STATE_OWNER || entry->resuming ||
        entry->fenced) {
        slice_gate_remove(store, entry);
    }
    slice_transfer_free(entry->transfer);
}

static void store_init(Object *obj)
{
    SliceStore *store = SLICE_STORE(obj);

    store->image_bytes_max = 64u << 20;
    store->table = slice_table_new(entry_forgotten, store);
    store->finds = slice_finds_new();
    store->lookups = slice_lookups_new();
    store->reservations = g_hash_table_new(slice_id_hash, slice_id_equal);
    store->guest_events = g_queue_new();
    store->guest_timer = timer_new_ms(QEMU_CLOCK_REALTIME, slice_guest_flush,
                                      store);
    notifier_list_init(&store->on_incarnation);
    QTAILQ_INIT(&store->peers);
    QLIST_INIT(&store->waiters);
    store->vm_change = qemu_add_vm_change_state_handler(vm_state_changed,
                                                        store);
    draw_incarnation(store);
}

static void store_finalize(Object *obj)
{
    SliceStore *store = SLICE_STORE(obj);

    slice_vmstate_unregister(store);
    qemu_del_vm_change_state_handler(store->vm_change);
    if (store->listener) {
        qio_net_listener_disconnect(store->listener);
        object_unref(OBJECT(store->listener));
    }
    slice_reserve_drop(store, NULL);
    slice_find_guest_lost(store);
    slice_table_free(store->table);
    slice_finds_free(store->finds);
    store->finds = slice_finds_new();
    slice_peer_free_all(store);
    for (int i = 0; i < SLICE_INCOMING_MAX; i++) {
        if (store->incoming[i]) {
            slice_conn_close(store->incoming[i]);
        }
    }
    store->table = slice_table_new(entry_forgotten, store);
    while (store->n_conns) {
        aio_poll(qemu_get_aio_context(), true);
    }
    slice_table_free(store->table);
    slice_finds_free(store->finds);
    slice_lookups_free(store->lookups);
    g_hash_table_destroy(store->reservations);
    g_queue_free_full(store->guest_events, g_free);
    timer_free(store->guest_timer);
    g_free(store->listen);
    g_free(store->name);
}

static char *get_name(Object *obj, Error **errp)
{
    return g_strdup(SLICE_STORE(obj)->name);
}

static void set_name(Object *obj, const char *value, Error **errp)
{
    g_free(SLICE_STORE(obj)->name);
    SLICE_STORE(obj)->name = g_strdup(value);
}

static char *get_listen(Object *obj, Error **errp)
{
    return g_strdup(SLICE_STORE(obj)->listen);
}

static void set_listen(Object *obj, const char *value, Error **errp)
{
    if (SLICE_STORE(obj)->listener) {
        error_setg(errp, "slice-store listens already");
        return;
    }
    g_free(SLICE_STORE(obj)->listen);
    SLICE_STORE(obj)->listen = g_strdup(value);
}

static void get_image_max(Object *obj, Visitor *v, const char *name,
                          void *opaque, Error **errp)
{
    visit_type_size(v, name, &SLICE_STORE(obj)->image_bytes_max, errp);
}

static void set_image_max(Object *obj, Visitor *v, const char *name,
                          void *opaque, Error **errp)
{
    uint64_t bytes;

    if (!visit_type_size(v, name, &bytes, errp)) {
        return;
    }
    if (bytes < 4096 || bytes > SLICE_IMAGE_BYTES_MAX) {
        error_setg(errp, "image-max must be 4 KiB to %u MiB",
                   SLICE_IMAGE_BYTES_MAX >> 20);
        return;
    }
    SLICE_STORE(obj)->image_bytes_max = bytes;
}

static void store_class_init(ObjectClass *oc, void *data)
{
    UserCreatableClass *ucc = USER_CREATABLE_CLASS(oc);

    ucc->complete = store_complete;
    ucc->can_be_deleted = store_can_be_deleted;
    object_class_property_add_str(oc, "name", get_name, set_name);
    object_class_property_add_str(oc, "listen", get_listen, set_listen);
    object_class_property_add(oc, "image-max", "size", get_image_max,
                              set_image_max, NULL, NULL);
}

static const TypeInfo store_info = {
    .name = TYPE_SLICE_STORE,
    .parent = TYPE_OBJECT,
    .instance_size = sizeof(SliceStore),
    .instance_init = store_init,
    .instance_finalize = store_finalize,
    .class_init = store_class_init,
    .interfaces = (InterfaceInfo[]) {
        { TYPE_USER_CREATABLE },
        { }
    },
};

static void store_register(void)
{
    type_register_static(&store_info);
}

type_init(store_register);
