/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * slice-world.c - engines in one process, with stand-ins around them
 *
 * See slice-world.h.  The functions of events.c and vmstate.c, which the tests
 * do without, are here.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "migration/blocker.h"
#include "qemu/bswap.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/sockets.h"
#include "qom/object_interfaces.h"
#include "system/runstate.h"
#include <glib/gstdio.h>
#include "slice-world.h"

#define ETHERNET_AND_IP_AND_TCP 54

const SliceId SLICE = { 0xabcdef, 42 };
const SliceFlow FLOW = {
    .family = 4, .protocol = 6, .local = { 10, 0, 0, 1 },
    .remote = { 10, 0, 0, 2 }, .local_port = 0x5000, .remote_port = 0x3412,
};

bool world_is_migrating;
static GHashTable *vms;         /* SliceStore -> Vm */

/* ---- in place of events.c, vmstate.c and the machine ---- */

void slice_event_step(SliceStore *store, SliceId id, uint64_t term,
                      SliceStep step, uint32_t why, uint64_t bytes,
                      uint64_t packets)
{
    Vm *vm = g_hash_table_lookup(vms, store);

    g_array_append_val(vm->steps, step);
    vm->last_why = why;
    if (vm->on_step) {
        vm->on_step(vm, step);
    }
}

void slice_event_changed(SliceStore *store, const SliceEntry *entry,
                         bool ended)
{
}

void slice_event_guest(SliceStore *store)
{
}

void slice_event_lease_low(SliceStore *store)
{
    Vm *vm = g_hash_table_lookup(vms, store);

    vm->n_lease_low++;
}

void slice_vmstate_register(SliceStore *store)
{
}

void slice_vmstate_unregister(SliceStore *store)
{
}

int migrate_add_blocker(Error **reasonp, Error **errp)
{
    if (world_is_migrating) {
        error_free(*reasonp);
        *reasonp = NULL;
        return -EBUSY;
    }
    return 0;
}

void migrate_del_blocker(Error **reasonp)
{
    error_free(*reasonp);
    *reasonp = NULL;
}

bool runstate_is_running(void)
{
    return true;
}

/* ---- the guest ---- */

static bool guest_event(void *port, uint16_t type, SliceId slice,
                        uint64_t term, uint64_t arg, const uint8_t *data)
{
    Vm *vm = port;
    SliceGuestEvent event = {
        .type = type, .slice = slice, .term = term, .arg = arg,
    };

    if (vm->has_no_buffer) {
        return false;
    }
    if (data) {
        memcpy(event.data, data, sizeof(event.data));
    }
    g_array_append_val(vm->events, event);
    if (vm->on_event) {
        vm->on_event(vm, &event);
    }
    return true;
}

static const SlicePortOps port_ops = { .event = guest_event };

SliceGuestEvent vm_take_event(Vm *vm, uint16_t type)
{
    SliceGuestEvent event;

    do {
        wait_until(vm->events->len);
        event = g_array_index(vm->events, SliceGuestEvent, 0);
        g_array_remove_index(vm->events, 0);
        /* A guest that has no place for it hears that it needs none. */
    } while (event.type == VIRTIO_SLICE_EVENT_UNRESERVE && type != event.type);
    g_assert_cmpuint(event.type, ==, type);
    return event;
}

void vm_hello(Vm *vm)
{
    SliceLayerInfo layer = { .name = "tcp", .version = 1, .rank = 20 };

    g_assert_cmpuint(slice_port_hello(vm->store, &layer, 1), ==,
                     SLICE_RESP_OK);
}

void vm_set(Vm *vm)
{
    SliceInfoFromGuest info = {
        .memory_bytes = 8192, .n_capsules = 2, .n_flows = 1, .n_listed = 1,
        .counts = { { .rank = 20, .n = 2 } },
        .label = "session", .top_layer = "php", .flows = &FLOW,
    };

    g_assert_cmpuint(slice_port_set(vm->store, SLICE, &info), ==,
                     SLICE_RESP_OK);
}

/* ---- the gate ---- */

static const char *text_of(const uint8_t *frame, uint32_t origin)
{
    size_t skip = origin == SLICE_PACKET_CAUGHT ? 40
                                                : ETHERNET_AND_IP_AND_TCP;

    return (const char *)frame + skip;
}

static void gate_log(FakeGate *gate, char *line)
{
    g_ptr_array_add(gate->log, line);
}

static bool gate_set_mode(void *opaque, const SliceFlow *flow,
                          SliceGateMode mode, Error **errp)
{
    FakeGate *gate = opaque;

    if (gate->is_full) {
        error_setg(errp, "full");
        return false;
    }
    g_assert_cmpmem(flow, sizeof(*flow), &FLOW, sizeof(FLOW));
    gate->mode = mode;
    return true;
}

static void gate_drain_ring(void *opaque, const SliceFlow *flow)
{
    FakeGate *gate = opaque;
    size_t bytes;
    g_autofree uint8_t *frame = packet_new("ring", false, &bytes);

    gate->deliver(gate->deliver_opaque, flow, SLICE_PACKET_RING, frame, bytes);
}

static void gate_put(void *opaque, const SliceFlow *flow, uint32_t origin,
                     const uint8_t *frame, size_t bytes)
{
    FakeGate *gate = opaque;

    g_assert_cmpint(gate->mode, ==, SLICE_GATE_HOLD);
    gate_log(gate, g_strdup_printf("put %u %s", origin,
                                   text_of(frame, origin)));
}

static void gate_release(void *opaque, const SliceFlow *flow)
{
    FakeGate *gate = opaque;

    g_assert_cmpint(gate->mode, ==, SLICE_GATE_HOLD);
    gate_log(gate, g_strdup("release"));
    gate->mode = 0;
}

static void gate_give_back(void *opaque, const SliceFlow *flow)
{
    FakeGate *gate = opaque;
    size_t bytes;

    gate_log(gate, g_strdup("give back"));
    gate->mode = 0;
    for (guint i = 0; i < gate->held->len; i++) {
        g_autofree uint8_t *frame = packet_new(
            g_ptr_array_index(gate->held, i), false, &bytes);

        gate->deliver(gate->deliver_opaque, flow, SLICE_PACKET_DIVERTED, frame,
                      bytes);
    }
    g_ptr_array_set_size(gate->held, 0);
}

static void gate_inject(void *opaque, const SliceFlow *flow,
                        const uint8_t *frame, size_t bytes)
{
    gate_log(opaque, g_strdup_printf("inject %s", text_of(frame, 0)));
}

static void gate_remove(void *opaque, const SliceFlow *flow)
{
    FakeGate *gate = opaque;

    gate_log(gate, g_strdup("remove"));
    gate->mode = 0;
}

static void gate_stats(void *opaque, SliceGateStats *ret_stats)
{
}

static uint32_t gate_vnet_hdr_len(void *opaque)
{
    return 12;
}

static const SliceGateOps gate_ops = {
    .set_mode = gate_set_mode,
    .drain_ring = gate_drain_ring,
    .put = gate_put,
    .release = gate_release,
    .give_back = gate_give_back,
    .inject = gate_inject,
    .remove = gate_remove,
    .stats = gate_stats,
    .vnet_hdr_len = gate_vnet_hdr_len,
};

int gate_index(const Vm *vm, const char *line)
{
    for (guint i = 0; i < vm->gate.log->len; i++) {
        if (!strcmp(g_ptr_array_index(vm->gate.log, i), line)) {
            return i;
        }
    }
    return -1;
}

bool gate_has(const Vm *vm, const char *line)
{
    return gate_index(vm, line) >= 0;
}

uint8_t *packet_new(const char *text, bool is_syn, size_t *ret_bytes)
{
    size_t bytes = ETHERNET_AND_IP_AND_TCP + strlen(text) + 1;
    uint8_t *frame = g_malloc0(bytes);

    stw_be_p(frame + 12, 0x0800);
    frame[14] = 0x45;
    stw_be_p(frame + 16, bytes - 14);
    frame[23] = 6;
    memcpy(frame + 26, FLOW.remote, 4);
    memcpy(frame + 30, FLOW.local, 4);
    memcpy(frame + 34, &FLOW.remote_port, 2);
    memcpy(frame + 36, &FLOW.local_port, 2);
    frame[46] = 0x50;
    frame[47] = is_syn ? 0x02 : 0x10;
    strcpy((char *)frame + ETHERNET_AND_IP_AND_TCP, text);
    *ret_bytes = bytes;
    return frame;
}

void vm_deliver(Vm *vm, uint32_t origin, const char *text, bool is_syn)
{
    size_t bytes;
    g_autofree uint8_t *frame = packet_new(text, is_syn, &bytes);

    vm->gate.deliver(vm->gate.deliver_opaque, &FLOW, origin, frame, bytes);
}

/* ---- VMs ---- */

void vm_boot(Vm *vm)
{
    g_autofree char *listen = g_strdup_printf("unix:%s", vm->path);

    vm->store = SLICE_STORE(object_new(TYPE_SLICE_STORE));
    object_property_set_str(OBJECT(vm->store), "name", vm->name, &error_abort);
    object_property_set_str(OBJECT(vm->store), "listen", listen, &error_abort);
    user_creatable_complete(USER_CREATABLE(vm->store), &error_abort);
    g_hash_table_insert(vms, vm->store, vm);
    g_assert_true(slice_store_attach_port(vm->store, &port_ops, vm,
                                          &error_abort));
    g_assert_true(slice_store_attach_gate(vm->store, &gate_ops, &vm->gate,
                                          &vm->gate.deliver,
                                          &vm->gate.deliver_opaque,
                                          &error_abort));
    g_array_set_size(vm->events, 0);
    vm->gate.mode = 0;
    vm_hello(vm);
}

/* A test may end in the middle of a move. */
static void vm_give_up(Vm *vm)
{
    SliceEntry *entry = vm->store ? slice_table_find(vm->store->table, SLICE)
                                  : NULL;

    if (entry) {
        slice_move_abort_now(vm->store, SLICE, entry->term);
    }
}

/* Dies: nothing is said to anybody. */
void vm_crash(Vm *vm)
{
    SlicePeer *peer;

    if (!vm->store) {
        return;
    }
    QTAILQ_FOREACH(peer, &vm->store->peers, next) {
        if (peer->conn) {
            slice_conn_close(peer->conn);
        }
    }
    for (int i = 0; i < SLICE_INCOMING_MAX; i++) {
        if (vm->store->incoming[i]) {
            slice_conn_close(vm->store->incoming[i]);
        }
    }
    /* Its job has a reference. */
    vm_give_up(vm);
    wait_until(OBJECT(vm->store)->ref == 1);
    vm->store->gate_ops = NULL;
    g_hash_table_remove(vms, vm->store);
    object_unref(OBJECT(vm->store));
    vm->store = NULL;
}

static void vm_init(World *world, Vm *vm, const char *name)
{
    vm->name = name;
    vm->world = world;
    vm->path = g_strdup_printf("%s/%s", world->dir, name);
    vm->events = g_array_new(false, false, sizeof(SliceGuestEvent));
    vm->steps = g_array_new(false, false, sizeof(SliceStep));
    vm->gate.log = g_ptr_array_new_with_free_func(g_free);
    vm->gate.held = g_ptr_array_new_with_free_func(g_free);
    vm_boot(vm);
}

static void vm_clear(Vm *vm)
{
    vm_crash(vm);
    g_unlink(vm->path);
    g_free(vm->path);
    g_array_unref(vm->events);
    g_array_unref(vm->steps);
    g_ptr_array_unref(vm->gate.log);
    g_ptr_array_unref(vm->gate.held);
}

World *world_new(void)
{
    World *world = g_new0(World, 1);

    if (!vms) {
        vms = g_hash_table_new(NULL, NULL);
    }
    world->dir = g_dir_make_tmp("slice-XXXXXX", NULL);
    world->image = g_malloc(IMAGE_BYTES);
    for (size_t i = 0; i < IMAGE_BYTES; i++) {
        world->image[i] = i * 7 + i / 251;
    }
    vm_init(world, &world->a, "a");
    vm_init(world, &world->b, "b");
    vm_set(&world->a);
    return world;
}

void world_add_c(World *world)
{
    vm_init(world, &world->c, "c");
}

void world_free(World *world)
{
    vm_give_up(&world->a);
    vm_give_up(&world->b);
    world_await_job(world);
    vm_clear(&world->a);
    vm_clear(&world->b);
    if (world->c.name) {
        vm_clear(&world->c);
    }
    g_rmdir(world->dir);
    g_free(world->dir);
    g_free(world->image);
    g_free(world);
}

void world_turn(void)
{
    main_loop_wait(true);
    g_usleep(50);
}

bool vm_has_step(const Vm *vm, SliceStep step)
{
    for (guint i = 0; i < vm->steps->len; i++) {
        if (g_array_index(vm->steps, SliceStep, i) == step) {
            return true;
        }
    }
    return false;
}

void vm_await_step(Vm *vm, SliceStep step)
{
    wait_until(vm_has_step(vm, step));
    g_array_set_size(vm->steps, 0);
}

SliceState vm_state(const Vm *vm)
{
    SliceEntry *entry = slice_table_find(vm->store->table, SLICE);

    return entry ? entry->state : SLICE_STATE__MAX;
}

bool vm_is_resuming(const Vm *vm)
{
    return slice_table_find(vm->store->table, SLICE)->resuming;
}

void world_cut(World *world)
{
    Vm *both[] = { &world->a, &world->b };

    for (int v = 0; v < 2; v++) {
        for (int i = 0; both[v]->store && i < SLICE_INCOMING_MAX; i++) {
            if (both[v]->store->incoming[i]) {
                slice_conn_close(both[v]->store->incoming[i]);
            }
        }
    }
}

void world_cut_of(World *world, Vm *vm)
{
    SlicePeer *peer;

    QTAILQ_FOREACH(peer, &vm->store->peers, next) {
        if (peer->conn) {
            slice_conn_close(peer->conn);
        }
    }
}

/* ---- steps of a move ---- */

typedef struct PrepareCall {
    Vm *vm;
    const SliceArrival *arrival;
    SliceAnswer answer;
    uint32_t why;
    bool is_done;
} PrepareCall;

static void coroutine_fn prepare_co(void *opaque)
{
    PrepareCall *call = opaque;

    call->answer = slice_arrive_prepare(call->vm->store, call->arrival,
                                        &call->why);
    call->is_done = true;
}

SliceAnswer vm_prepare(Vm *vm, const SliceArrival *arrival, uint32_t *ret_why)
{
    PrepareCall call = { .vm = vm, .arrival = arrival };

    qemu_coroutine_enter(qemu_coroutine_create(prepare_co, &call));
    if (!call.is_done) {
        vm_take_event(vm, VIRTIO_SLICE_EVENT_RESERVE);
        g_assert_cmpuint(slice_port_reserved(vm->store, arrival->id,
                                             arrival->term, 0, 0), ==,
                         SLICE_RESP_OK);
        wait_until(call.is_done);
    }
    *ret_why = call.why;
    return call.answer;
}

void world_prepare(World *world, Vm *to, uint64_t term)
{
    SliceLayerInfo layer = { .name = "tcp", .version = 1 };
    SliceArrival arrival = {
        .id = SLICE, .term = term,
        .source = to == &world->b ? "a" : "b",
        .flows = &FLOW, .n_flows = 1, .layers = &layer, .n_layers = 1,
        .vnet_hdr_len = 12, .memory_bytes = 8192,
    };
    uint32_t why;

    g_assert_cmpint(vm_prepare(to, &arrival, &why), ==, SLICE_ANSWER_OK);
    g_assert_cmpint(to->gate.mode, ==, SLICE_GATE_HOLD);
}

SliceAnswer world_begin(World *world, Vm *from, Vm *to, uint64_t term,
                        uint32_t deadline_ms)
{
    SocketAddress address = {
        .type = SOCKET_ADDRESS_TYPE_UNIX,
        .u.q_unix.path = to->path,
    };
    SlicePeer *peer = slice_peer_get(from->store, to->name, &address);
    static int n_jobs;
    SliceAnswer answer;
    uint32_t why;

    world_await_job(world);
    world->job_id = g_strdup_printf("move%d", n_jobs++);
    g_assert_true(slice_move_start(from->store, world->job_id, peer, &SLICE,
                                   &term, 1, deadline_ms, &answer, &why,
                                   &error_abort));
    slice_peer_put(peer);
    return answer;
}

void world_quiesce(World *world, Vm *from, Vm *to, uint64_t term)
{
    g_assert_cmpint(world_begin(world, from, to, term, 60000), ==,
                    SLICE_ANSWER_OK);
    vm_take_event(from, VIRTIO_SLICE_EVENT_QUIESCE);
    g_assert_cmpint(from->gate.mode, ==, SLICE_GATE_WATCH);
    g_assert_cmpuint(slice_port_quiesced(from->store, SLICE, term, 0, 0), ==,
                     SLICE_RESP_OK);
    vm_await_step(from, SLICE_STEP_QUIESCED);
}

void world_unplug(Vm *from, uint64_t term)
{
    uint32_t why;

    g_assert_cmpint(slice_move_unplug(from->store, SLICE, term, &why), ==,
                    SLICE_ANSWER_OK);
    g_assert_cmpint(from->gate.mode, ==, SLICE_GATE_DIVERT);
    vm_take_event(from, VIRTIO_SLICE_EVENT_UNPLUG);
}

void world_send(World *world, Vm *from, uint64_t term)
{
    size_t half = IMAGE_BYTES / 2;

    g_assert_cmpuint(slice_port_image(from->store, SLICE, term, 0, IMAGE_BYTES,
                                      world->image, half, false),
                     ==, SLICE_RESP_OK);
    g_assert_cmpuint(slice_port_image(from->store, SLICE, term, half,
                                      IMAGE_BYTES, world->image + half,
                                      IMAGE_BYTES - half, true),
                     ==, SLICE_RESP_OK);
}

void world_room(World *world, Vm *to, uint64_t term)
{
    SliceGuestEvent event = vm_take_event(to, VIRTIO_SLICE_EVENT_ROOM);
    const uint8_t *data;
    uint64_t total;

    g_assert_cmpuint(event.arg, ==, IMAGE_BYTES);
    g_assert_cmpuint(slice_port_room(to->store, SLICE, term, 0, IMAGE_BYTES,
                                     &data, &total), ==, SLICE_RESP_OK);
    g_assert_cmpmem(data, total, world->image, IMAGE_BYTES);
}

void world_move(World *world, Vm *from, Vm *to, uint64_t term)
{
    world_prepare(world, to, term);
    world_quiesce(world, from, to, term);
    world_unplug(from, term);
    world_send(world, from, term);
    world_room(world, to, term);
    g_assert_cmpuint(slice_port_plugged(to->store, SLICE, term, 0, 0), ==,
                     SLICE_RESP_OK);
    vm_await_step(to, SLICE_STEP_DONE);
    vm_take_event(from, VIRTIO_SLICE_EVENT_FORGET);
    vm_take_event(to, VIRTIO_SLICE_EVENT_OPEN);
    g_assert_cmpint(vm_state(from), ==, SLICE_STATE_GONE);
    g_assert_cmpint(vm_state(to), ==, SLICE_STATE_OWNER);
    world_await_job(world);
}

void world_resumed(Vm *vm, uint64_t term)
{
    vm_take_event(vm, VIRTIO_SLICE_EVENT_RESUME);
    g_assert_true(vm_is_resuming(vm));
    g_assert_cmpuint(slice_port_resumed(vm->store, SLICE, term, 0, 0), ==,
                     SLICE_RESP_OK);
    g_assert_cmpint(vm_state(vm), ==, SLICE_STATE_OWNER);
    g_assert_false(vm_is_resuming(vm));
    g_assert_cmpint(vm->gate.mode, ==, 0);
}

static bool job_is_there(const char *id)
{
    JOB_LOCK_GUARD();
    return job_get_locked(id) != NULL;
}

void world_await_job(World *world)
{
    if (world->job_id) {
        wait_until(!job_is_there(world->job_id));
        g_free(world->job_id);
        world->job_id = NULL;
    }
}

/* ---- commands that wait ---- */

void coroutine_fn abort_co(void *opaque)
{
    Call *call = opaque;
    uint32_t why;

    call->answer = slice_move_abort(call->store, SLICE, call->term, &why);
    call->is_done = true;
}

void coroutine_fn takeover_co(void *opaque)
{
    Call *call = opaque;

    call->answer = slice_arrive_takeover(call->store, SLICE, call->term);
    call->is_done = true;
}

void call_begin(Call *call, Vm *vm, uint64_t term,
                       CoroutineEntry *entry)
{
    *call = (Call) { .store = vm->store, .term = term };
    qemu_coroutine_enter(qemu_coroutine_create(entry, call));
}

SliceAnswer call_end(Call *call)
{
    wait_until(call->is_done);
    return call->answer;
}

/* Abort a move of A's; the guest follows where it must. */
void world_abort(World *world, uint64_t term)
{
    Call call;

    call_begin(&call, &world->a, term, abort_co);
    g_assert_false(call.is_done);
    world_resumed(&world->a, term);
    g_assert_cmpint(call_end(&call), ==, SLICE_ANSWER_RESUMED);
    g_assert_true(vm_has_step(&world->a, SLICE_STEP_RESUMED));
}

/* B gives its reservation up by itself, because A told it. */
void world_await_discard(World *world)
{
    vm_await_step(&world->b, SLICE_STEP_DISCARDED);
    g_assert_cmpint(vm_state(&world->b), ==, SLICE_STATE_GONE);
    g_assert_cmpint(world->b.gate.mode, ==, SLICE_GATE_FORWARD);
}

void world_to_sent(World *world, uint64_t term)
{
    world_prepare(world, &world->b, term);
    world_quiesce(world, &world->a, &world->b, term);
    world_unplug(&world->a, term);
    world_send(world, &world->a, term);
}

void vm_plugged(Vm *vm, uint64_t term)
{
    g_assert_cmpuint(slice_port_plugged(vm->store, SLICE, term, 0, 0), ==,
                     SLICE_RESP_OK);
}

int world_main(int argc, char **argv, const char *prefix,
               const WorldTest *tests, size_t n)
{
    qemu_init_main_loop(&error_abort);
    socket_init();
    module_call_init(MODULE_INIT_QOM);
    g_test_init(&argc, &argv, NULL);
    /* As QEMU itself: a peer that hangs up is an error of write(). */
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < n; i++) {
        g_autofree char *path = g_strdup_printf("/slice/%s/%s", prefix,
                                                tests[i].claim);

        g_test_add_func(path, tests[i].run);
    }
    return g_test_run();
}
