/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test-slice-move.c - moves between two engines, step by step
 *
 *     guest A -- engine a ===== unix socket ===== engine b -- guest B
 *                  |                                 |
 *                gate A                            gate B
 *
 * Engines and stream are the real ones; guests and gates are those of
 * slice-world.h, the orchestrator is the test.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "io/channel-socket.h"
#include "qemu/bswap.h"
#include "qemu/main-loop.h"
#include "slice-world.h"

/* ---- a move that succeeds ---- */

static void test_slice_moves(void)
{
    World *world = world_new();

    world_move(world, &world->a, &world->b, TERM);
    g_assert_cmpint(world->a.gate.mode, ==, SLICE_GATE_FORWARD);
    g_assert_cmpint(world->b.gate.mode, ==, 0);
    g_assert_true(gate_has(&world->b, "release"));
    world_free(world);
}

static void test_slice_moves_back(void)
{
    World *world = world_new();

    for (int i = 0; i < 5; i++) {
        world_move(world, &world->a, &world->b, TERM + 2 * i);
        world_move(world, &world->b, &world->a, TERM + 2 * i + 1);
    }
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE_OWNER);
    world_free(world);
}

static void test_large_image_passes_within_credit(void)
{
    World *world = world_new();
    uint64_t total = 8 * SLICE_STREAM_CREDIT_BYTES + 13;
    g_autofree uint8_t *image = g_malloc(total);
    const uint8_t *data;
    uint64_t got;

    memset(image, 'x', total);
    world_prepare(world, &world->b, TERM);
    world_quiesce(world, &world->a, &world->b, TERM);
    world_unplug(&world->a, TERM);
    g_assert_cmpuint(slice_port_image(world->a.store, SLICE, TERM, 0, total,
                                      image, total, true), ==, SLICE_RESP_OK);
    vm_take_event(&world->b, VIRTIO_SLICE_EVENT_ROOM);
    g_assert_cmpuint(slice_port_room(world->b.store, SLICE, TERM, 0, total,
                                     &data, &got), ==, SLICE_RESP_OK);
    g_assert_cmpmem(data, got, image, total);
    vm_plugged(&world->b, TERM);
    vm_await_step(&world->b, SLICE_STEP_DONE);
    world_free(world);
}

static void test_packets_reach_the_targets_gate_in_order(void)
{
    World *world = world_new();
    uint8_t caught[4 + 40 + 8] = {};
    size_t bytes;
    g_autofree uint8_t *frame = packet_new("caught", false, &bytes);

    world_prepare(world, &world->b, TERM);
    world_quiesce(world, &world->a, &world->b, TERM);
    world_unplug(&world->a, TERM);
    stl_le_p(caught, bytes - 14);
    memcpy(caught + 4, frame + 14, bytes - 14);
    g_assert_cmpuint(slice_port_packets(world->a.store, SLICE, TERM, caught,
                                        ROUND_UP(4 + bytes - 14, 4)), ==,
                     SLICE_RESP_OK);
    vm_deliver(&world->a, SLICE_PACKET_DIVERTED, "diverted", false);
    world_send(world, &world->a, TERM);
    wait_until(gate_has(&world->b, "put 3 diverted"));
    g_assert_cmpint(gate_index(&world->b, "put 1 ring"), ==, 0);
    g_assert_cmpint(gate_index(&world->b, "put 2 caught"), ==, 1);
    world_room(world, &world->b, TERM);
    vm_plugged(&world->b, TERM);
    vm_await_step(&world->b, SLICE_STEP_DONE);
    g_assert_cmpint(gate_index(&world->b, "release"), ==, 3);
    world_free(world);
}

static void test_late_packet_is_forwarded_to_the_owner(void)
{
    World *world = world_new();

    world_move(world, &world->a, &world->b, TERM);
    vm_deliver(&world->a, SLICE_PACKET_FORWARD, "late", false);
    wait_until(gate_has(&world->b, "inject late"));
    world_free(world);
}

static void test_forwarded_packet_goes_no_way_twice(void)
{
    World *world = world_new();
    uint64_t dropped;

    world_move(world, &world->a, &world->b, TERM);
    world_move(world, &world->b, &world->a, TERM + 1);
    dropped = world->b.store->n_dropped;
    /* By the rule of the older term, to one who is not the owner any more. */
    vm_deliver(&world->b, SLICE_PACKET_FORWARD, "late", false);
    wait_until(gate_has(&world->a, "inject late"));
    g_assert_cmpuint(world->b.store->n_dropped, ==, dropped);
    world_free(world);
}

static void test_new_connection_of_a_muted_tuple_is_let_in(void)
{
    World *world = world_new();

    world_move(world, &world->a, &world->b, TERM);
    vm_deliver(&world->a, SLICE_PACKET_FORWARD, "again", true);
    g_assert_true(gate_has(&world->a, "inject again"));
    g_assert_cmpint(world->a.gate.mode, ==, 0);
    g_assert_null(slice_table_find_flow(world->a.store->table, &FLOW));
    world_free(world);
}

/* ---- refusals ---- */

static void test_busy_guest_goes_on(void)
{
    World *world = world_new();

    world_begin(world, &world->a, &world->b, TERM, 60000);
    vm_take_event(&world->a, VIRTIO_SLICE_EVENT_QUIESCE);
    slice_port_quiesced(world->a.store, SLICE, TERM, EBUSY, WHY_REFERENCES);
    g_assert_true(vm_has_step(&world->a, SLICE_STEP_FAILED));
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE_OWNER);
    g_assert_cmpint(world->a.gate.mode, ==, 0);
    g_assert_cmpuint(world->a.events->len, ==, 0);
    world_free(world);
}

static void test_failed_unplug_is_resumed(void)
{
    World *world = world_new();

    world_prepare(world, &world->b, TERM);
    world_quiesce(world, &world->a, &world->b, TERM);
    world_unplug(&world->a, TERM);
    slice_port_unplug_failed(world->a.store, SLICE, TERM, EOPNOTSUPP,
                             WHY_STATE);
    world_resumed(&world->a, TERM);
    world_await_discard(world);
    world_free(world);
}

static void test_target_that_can_not_plug_is_undone(void)
{
    World *world = world_new();

    world_to_sent(world, TERM);
    vm_deliver(&world->a, SLICE_PACKET_DIVERTED, "request", false);
    world_room(world, &world->b, TERM);
    slice_port_plugged(world->b.store, SLICE, TERM, ENOENT, WHY_NO_LAYER);
    wait_until(vm_state(&world->a) == SLICE_STATE_OWNER);
    g_assert_true(gate_has(&world->a, "put 3 request"));
    g_assert_false(gate_has(&world->a, "put 1 ring"));
    world_resumed(&world->a, TERM);
    g_assert_true(gate_has(&world->a, "release"));
    g_assert_cmpuint(world->a.last_why, ==, WHY_NO_LAYER);
    world_await_discard(world);
    /* A guest that refused has nothing to discard. */
    g_assert_cmpuint(world->b.events->len, ==, 0);
    world_free(world);
}

static void test_image_without_a_reservation_is_refused(void)
{
    World *world = world_new();

    world_quiesce(world, &world->a, &world->b, TERM);
    world_unplug(&world->a, TERM);
    world_send(world, &world->a, TERM);
    wait_until(vm_state(&world->a) == SLICE_STATE_OWNER);
    world_resumed(&world->a, TERM);
    g_assert_cmpint(vm_state(&world->b), ==, SLICE_STATE__MAX);
    world_free(world);
}

static void test_restarted_target_refuses(void)
{
    World *world = world_new();

    world_prepare(world, &world->b, TERM);
    world_quiesce(world, &world->a, &world->b, TERM);
    world_unplug(&world->a, TERM);
    vm_crash(&world->b);
    vm_boot(&world->b);
    world_send(world, &world->a, TERM);
    wait_until(vm_state(&world->a) == SLICE_STATE_OWNER);
    world_resumed(&world->a, TERM);
    world_free(world);
}

/* ---- many at once ---- */

#define LARGE_BYTES (16u << 20)

static const SliceId SMALL = { 0xabcdef, 43 };
static uint64_t large_bytes;    /* of SLICE's, when SMALL was whole */

static void note_when_small_is_whole(Vm *vm, const SliceGuestEvent *event)
{
    SliceEntry *large = slice_table_find(vm->store->table, SLICE);

    if (event->type == VIRTIO_SLICE_EVENT_ROOM &&
        slice_id_is(event->slice, SMALL)) {
        large_bytes = large->transfer->image ? large->transfer->image->len : 0;
    }
}

/* A frame of the one, a frame of the other: the large one never goes first. */
static void test_large_capsule_does_not_stall_a_small_one(void)
{
    World *world = world_new();
    SliceStore *a = world->a.store;
    SliceInfoFromGuest info = { .n_capsules = 1, .label = "",
                                .top_layer = "php" };
    SliceArrival arrival = { .id = SMALL, .term = TERM, .source = "a" };
    g_autofree uint8_t *large = g_malloc0(LARGE_BYTES);
    SliceGuestEvent event;
    uint32_t why;

    world_prepare(world, &world->b, TERM);
    g_assert_cmpint(vm_prepare(&world->b, &arrival, &why), ==,
                    SLICE_ANSWER_OK);
    g_assert_cmpuint(slice_port_set(a, SMALL, &info), ==, SLICE_RESP_OK);
    world_quiesce(world, &world->a, &world->b, TERM);
    g_assert_cmpint(slice_move_begin(a, SMALL, TERM, QTAILQ_FIRST(&a->peers),
                                     60000, NULL, &why), ==, SLICE_ANSWER_OK);
    vm_take_event(&world->a, VIRTIO_SLICE_EVENT_QUIESCE);
    slice_port_quiesced(a, SMALL, TERM, 0, 0);
    world_unplug(&world->a, TERM);
    slice_move_unplug(a, SMALL, TERM, &why);
    vm_take_event(&world->a, VIRTIO_SLICE_EVENT_UNPLUG);
    world->b.on_event = note_when_small_is_whole;
    /* All of the large one is there before the small one begins. */
    for (uint32_t at = 0; at < LARGE_BYTES; at += LARGE_BYTES / 16) {
        g_assert_cmpuint(slice_port_image(a, SLICE, TERM, at, LARGE_BYTES,
                                          large, LARGE_BYTES / 16,
                                          at + LARGE_BYTES / 16 ==
                                          LARGE_BYTES), ==, SLICE_RESP_OK);
    }
    g_assert_cmpuint(slice_port_image(a, SMALL, TERM, 0, 1000, large, 1000,
                                      true), ==, SLICE_RESP_OK);
    event = vm_take_event(&world->b, VIRTIO_SLICE_EVENT_ROOM);
    g_assert_true(slice_id_is(event.slice, SMALL));
    /* Its image and its end: one frame of the large one before each. */
    g_assert_cmpuint(large_bytes, >, 0);
    g_assert_cmpuint(large_bytes, <=, 2 * SLICE_STREAM_PAYLOAD_MAX);
    event = vm_take_event(&world->b, VIRTIO_SLICE_EVENT_ROOM);
    g_assert_true(slice_id_is(event.slice, SLICE));
    g_assert_cmpuint(event.arg, ==, LARGE_BYTES);
    world_free(world);
}

static void test_prepare_refuses_what_does_not_fit(void)
{
    World *world = world_new();
    SliceLayerInfo layer = { .name = "tcp", .version = 1 };
    SliceArrival good = {
        .id = SLICE, .term = TERM, .source = "a", .flows = &FLOW,
        .n_flows = 1, .layers = &layer, .n_layers = 1, .vnet_hdr_len = 12,
    }, bad;
    uint32_t why;

    bad = good;
    bad.vnet_hdr_len = 10;
    g_assert_cmpint(vm_prepare(&world->b, &bad, &why), ==,
                    SLICE_ANSWER_REFUSED);
    g_assert_cmpuint(why, ==, WHY_OPTION);
    bad = good;
    bad.memory_bytes = 1ull << 40;
    g_assert_cmpint(vm_prepare(&world->b, &bad, &why), ==,
                    SLICE_ANSWER_REFUSED);
    g_assert_cmpuint(why, ==, WHY_TOO_LARGE);
    layer.version = 2;
    g_assert_cmpint(vm_prepare(&world->b, &good, &why), ==,
                    SLICE_ANSWER_REFUSED);
    g_assert_cmpuint(why, ==, WHY_LAYER_VERSION);
    layer.version = 1;
    world->b.gate.is_full = true;
    g_assert_cmpint(vm_prepare(&world->b, &good, &why), ==,
                    SLICE_ANSWER_REFUSED);
    g_assert_cmpuint(why, ==, WHY_MEMORY);
    g_assert_cmpint(vm_state(&world->b), ==, SLICE_STATE__MAX);
    world->b.gate.is_full = false;
    g_assert_cmpint(vm_prepare(&world->b, &good, &why), ==,
                    SLICE_ANSWER_OK);
    world_free(world);
}

static void test_tuple_in_use_is_refused(void)
{
    World *world = world_new();
    SliceArrival arrival = {
        .id = { 1, 2 }, .term = TERM, .source = "b", .flows = &FLOW,
        .n_flows = 1, .vnet_hdr_len = 12,
    };
    uint32_t why;

    g_assert_cmpint(vm_prepare(&world->a, &arrival, &why), ==,
                    SLICE_ANSWER_REFUSED);
    g_assert_cmpuint(why, ==, WHY_TUPLE_IN_USE);
    world_free(world);
}

static void test_nothing_moves_while_the_vm_is_migrated(void)
{
    World *world = world_new();
    SliceArrival arrival = { .id = { 1, 2 }, .term = TERM, .source = "b" };
    uint32_t why;

    world_is_migrating = true;
    g_assert_cmpint(world_begin(world, &world->a, &world->b, TERM, 60000), ==,
                    SLICE_ANSWER_BUSY);
    g_assert_cmpint(vm_prepare(&world->a, &arrival, &why), ==,
                    SLICE_ANSWER_BUSY);
    world_is_migrating = false;
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE_OWNER);
    g_assert_cmpuint(world->a.events->len, ==, 0);
    world_free(world);
}

static void test_older_orchestrator_is_stale(void)
{
    World *world = world_new();

    g_assert_true(slice_store_obey(world->a.store, 3));
    g_assert_true(slice_store_obey(world->a.store, 3));
    g_assert_false(slice_store_obey(world->a.store, 2));
    world_free(world);
}

/* ---- guests ---- */

static void test_reset_kills_what_the_guest_owned(void)
{
    World *world = world_new();
    uint64_t incarnation = slice_store_incarnation(world->a.store);

    slice_port_reset(world->a.store);
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE_DEAD);
    g_assert_cmpuint(slice_store_incarnation(world->a.store), !=, incarnation);
    world_free(world);
}

static void test_reset_of_a_moving_source_frees_the_target(void)
{
    World *world = world_new();

    world_prepare(world, &world->b, TERM);
    world_quiesce(world, &world->a, &world->b, TERM);
    slice_port_reset(world->a.store);
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE_DEAD);
    world_await_discard(world);
    world_free(world);
}

static void test_reset_after_the_image_is_whole_moves_on(void)
{
    World *world = world_new();

    world_to_sent(world, TERM);
    slice_port_reset(world->a.store);
    world_room(world, &world->b, TERM);
    vm_plugged(&world->b, TERM);
    vm_await_step(&world->b, SLICE_STEP_DONE);
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE_GONE);
    world_free(world);
}

static void test_reset_of_the_target_is_a_refusal(void)
{
    World *world = world_new();

    world_to_sent(world, TERM);
    world_room(world, &world->b, TERM);
    slice_port_reset(world->b.store);
    wait_until(vm_state(&world->a) == SLICE_STATE_OWNER);
    world_resumed(&world->a, TERM);
    world_free(world);
}

static void test_guest_without_a_buffer_is_busy_or_told_later(void)
{
    World *world = world_new();

    world->a.has_no_buffer = true;
    g_assert_cmpint(world_begin(world, &world->a, &world->b, TERM, 60000), ==,
                    SLICE_ANSWER_BUSY);
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE_OWNER);
    world->a.has_no_buffer = false;
    world_to_sent(world, TERM + 1);
    world->a.has_no_buffer = true;
    g_assert_cmpint(slice_move_abort_now(world->a.store, SLICE, TERM + 1), ==,
                    SLICE_ANSWER_RESUMED);
    g_assert_cmpuint(world->a.events->len, ==, 0);
    world->a.has_no_buffer = false;
    world_resumed(&world->a, TERM + 1);
    world_free(world);
}

static void test_guest_answers_of_another_term_are_stale(void)
{
    World *world = world_new();
    SliceStore *a = world->a.store;
    const uint8_t *data;
    uint64_t total;

    world_to_sent(world, TERM);
    g_assert_cmpuint(slice_port_quiesced(a, SLICE, TERM, 0, 0), ==,
                     SLICE_RESP_STALE);
    g_assert_cmpuint(slice_port_image(a, SLICE, TERM + 1, 0, 8, world->image,
                                      8, true), ==, SLICE_RESP_STALE);
    g_assert_cmpuint(slice_port_resumed(a, SLICE, TERM, 0, 0), ==,
                     SLICE_RESP_STALE);
    g_assert_cmpuint(slice_port_gone(a, SLICE), ==, SLICE_RESP_STALE);
    vm_take_event(&world->b, VIRTIO_SLICE_EVENT_ROOM);
    g_assert_cmpuint(slice_port_room(world->b.store, SLICE, TERM - 1, 0, 8,
                                     &data, &total), ==, SLICE_RESP_STALE);
    g_assert_cmpuint(slice_port_room(world->b.store, SLICE, TERM,
                                     IMAGE_BYTES - 7, 8, &data, &total), ==,
                     SLICE_RESP_INVALID);
    g_assert_cmpuint(slice_port_room(world->b.store, SLICE, TERM, UINT64_MAX,
                                     8, &data, &total), ==,
                     SLICE_RESP_INVALID);
    world_free(world);
}

static void test_image_with_a_gap_is_invalid(void)
{
    World *world = world_new();
    SliceStore *a = world->a.store;

    world_prepare(world, &world->b, TERM);
    world_quiesce(world, &world->a, &world->b, TERM);
    world_unplug(&world->a, TERM);
    g_assert_cmpuint(slice_port_image(a, SLICE, TERM, 8, 100, world->image, 8,
                                      false), ==, SLICE_RESP_INVALID);
    g_assert_cmpuint(slice_port_image(a, SLICE, TERM, 0, 100, world->image,
                                      101, true), ==, SLICE_RESP_INVALID);
    g_assert_cmpuint(slice_port_image(a, SLICE, TERM, 0, 100, world->image,
                                      50, true), ==, SLICE_RESP_INVALID);
    g_assert_cmpuint(slice_port_image(a, SLICE, TERM, 0, UINT64_MAX,
                                      world->image, 50, false), ==,
                     SLICE_RESP_INVALID);
    world_send(world, &world->a, TERM);
    world_free(world);
}

static void test_slice_that_ends_while_drained_frees_the_target(void)
{
    World *world = world_new();

    world_prepare(world, &world->b, TERM);
    world_quiesce(world, &world->a, &world->b, TERM);
    g_assert_cmpuint(slice_port_gone(world->a.store, SLICE), ==,
                     SLICE_RESP_OK);
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE__MAX);
    world_await_discard(world);
    world_free(world);
}

/* ---- connections that come and go on elsewhere while a slice drains ---- */

static const SliceId OTHER = { 0x1234, 99 };
static const SliceFlow NEW_FLOW = {
    .family = 4, .protocol = 6, .local = { 10, 0, 0, 1 },
    .remote = { 10, 0, 0, 2 }, .local_port = 0x5000, .remote_port = 0x3413,
};

static uint32_t tell(Vm *vm, SliceId id, const SliceFlow *flows, uint32_t n)
{
    SliceInfoFromGuest info = {
        .memory_bytes = 8192, .n_capsules = 1 + n, .n_flows = n, .n_listed = n,
        .counts = { { .rank = 20, .n = 1 + n } },
        .label = "session", .top_layer = "php", .flows = flows,
    };

    return slice_port_set(vm->store, id, &info);
}

static void begin_to_drain(World *world)
{
    SliceTransfer *transfer;

    world_prepare(world, &world->b, TERM);
    g_assert_cmpint(world_begin(world, &world->a, &world->b, TERM, 60000), ==,
                    SLICE_ANSWER_OK);
    vm_take_event(&world->a, VIRTIO_SLICE_EVENT_QUIESCE);
    transfer = slice_table_find(world->a.store->table, SLICE)->transfer;
    wait_until(transfer->peer->conn &&
               slice_conn_is_ready(transfer->peer->conn));
}

/* Quiet, but not what the target holds: it goes on here. */
static void assert_taken_back(World *world)
{
    g_assert_cmpuint(slice_port_quiesced(world->a.store, SLICE, TERM, 0, 0), ==,
                     SLICE_RESP_OK);
    g_assert_false(vm_has_step(&world->a, SLICE_STEP_QUIESCED));
    world_resumed(&world->a, TERM);
    vm_await_step(&world->a, SLICE_STEP_RESUMED);
    world_await_discard(world);
}

static void test_connection_that_joins_while_drained_is_taken_back(void)
{
    const SliceFlow flows[] = { FLOW, NEW_FLOW };
    World *world = world_new();

    begin_to_drain(world);
    g_assert_cmpuint(tell(&world->a, OTHER, &NEW_FLOW, 1), ==, SLICE_RESP_OK);
    g_assert_cmpuint(tell(&world->a, SLICE, flows, 2), ==, SLICE_RESP_OK);
    g_assert_cmpuint(slice_port_gone(world->a.store, OTHER), ==, SLICE_RESP_OK);
    g_assert_cmpuint(slice_table_find(world->a.store->table, SLICE)->n_flows, ==, 2);
    assert_taken_back(world);
    g_assert_true(slice_table_find_flow(world->a.store->table, &NEW_FLOW) ==
                  slice_table_find(world->a.store->table, SLICE));
    world_free(world);
}

static void test_connection_that_goes_on_elsewhere_is_taken_back(void)
{
    World *world = world_new();
    SliceEntry *other;

    begin_to_drain(world);
    g_assert_cmpint(world->a.gate.mode, ==, SLICE_GATE_WATCH);
    g_assert_cmpuint(tell(&world->a, OTHER, &FLOW, 1), ==, SLICE_RESP_OK);
    g_assert_cmpint(world->a.gate.mode, ==, 0);
    g_assert_cmpuint(tell(&world->a, SLICE, NULL, 0), ==, SLICE_RESP_OK);
    assert_taken_back(world);
    other = slice_table_find(world->a.store->table, OTHER);
    g_assert_nonnull(other);
    g_assert_true(slice_table_find_flow(world->a.store->table, &FLOW) == other);
    world_free(world);
}

static void test_connection_of_a_slice_that_ends_while_drained_goes_on(void)
{
    World *world = world_new();

    begin_to_drain(world);
    g_assert_cmpuint(tell(&world->a, OTHER, &FLOW, 1), ==, SLICE_RESP_OK);
    g_assert_cmpuint(slice_port_gone(world->a.store, SLICE), ==, SLICE_RESP_OK);
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE__MAX);
    g_assert_true(slice_table_find_flow(world->a.store->table, &FLOW) ==
                  slice_table_find(world->a.store->table, OTHER));
    world_await_discard(world);
    world_free(world);
}

static void test_quiet_slice_keeps_its_connections(void)
{
    World *world = world_new();

    world_prepare(world, &world->b, TERM);
    world_quiesce(world, &world->a, &world->b, TERM);
    g_assert_cmpuint(tell(&world->a, OTHER, &FLOW, 1), ==, SLICE_RESP_INVALID);
    g_assert_null(slice_table_find(world->a.store->table, OTHER));
    world_unplug(&world->a, TERM);
    world_free(world);
}

/* The guest has resumed it, and it has ended there, before RESUMED is here. */
static void test_connection_goes_on_before_resumed(void)
{
    World *world = world_new();

    world_prepare(world, &world->b, TERM);
    world_quiesce(world, &world->a, &world->b, TERM);
    world_unplug(&world->a, TERM);
    g_assert_cmpint(slice_move_abort_now(world->a.store, SLICE, TERM), ==,
                    SLICE_ANSWER_RESUMED);
    vm_take_event(&world->a, VIRTIO_SLICE_EVENT_RESUME);
    g_assert_cmpint(world->a.gate.mode, ==, SLICE_GATE_HOLD);
    g_assert_cmpuint(tell(&world->a, OTHER, &FLOW, 1), ==, SLICE_RESP_OK);
    g_assert_cmpint(world->a.gate.mode, ==, 0);
    g_assert_true(gate_has(&world->a, "release"));
    g_assert_cmpuint(slice_port_gone(world->a.store, SLICE), ==, SLICE_RESP_OK);
    g_assert_cmpuint(slice_port_resumed(world->a.store, SLICE, TERM, 0, 0), ==,
                     SLICE_RESP_OK);
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE__MAX);
    g_assert_true(slice_table_find_flow(world->a.store->table, &FLOW) ==
                  slice_table_find(world->a.store->table, OTHER));
    world_free(world);
}

static void test_slice_that_is_back_within_another_runs_again(void)
{
    World *world = world_new();
    SliceEntry *entry;

    world_move(world, &world->a, &world->b, TERM);
    entry = slice_table_find(world->a.store->table, SLICE);
    wait_until(!entry->transfer || !entry->transfer->is_unforgotten);
    g_assert_cmpint(world->a.gate.mode, ==, SLICE_GATE_FORWARD);
    g_assert_cmpuint(tell(&world->a, OTHER, &FLOW, 1), ==, SLICE_RESP_OK);
    g_assert_cmpuint(tell(&world->a, SLICE, &FLOW, 1), ==, SLICE_RESP_OK);
    g_assert_cmpuint(slice_port_gone(world->a.store, OTHER), ==, SLICE_RESP_OK);
    entry = slice_table_find(world->a.store->table, SLICE);
    g_assert_cmpint(entry->state, ==, SLICE_STATE_OWNER);
    g_assert_cmpuint(entry->term, ==, TERM);
    g_assert_true(slice_table_find_flow(world->a.store->table, &FLOW) == entry);
    g_assert_cmpint(world->a.gate.mode, ==, 0);
    world_free(world);
}

static void test_arrival_that_ends_before_it_opens_leaves_nothing(void)
{
    World *world = world_new();

    world_to_sent(world, TERM);
    world_room(world, &world->b, TERM);
    g_assert_cmpuint(slice_port_gone(world->b.store, SLICE), ==, SLICE_RESP_OK);
    g_assert_cmpuint(slice_port_plugged(world->b.store, SLICE, TERM, 0, 0), ==,
                     SLICE_RESP_OK);
    vm_await_step(&world->b, SLICE_STEP_DONE);
    g_assert_cmpint(vm_state(&world->b), ==, SLICE_STATE__MAX);
    g_assert_null(slice_table_find_flow(world->b.store->table, &FLOW));
    world_free(world);
}

/* ---- peers ---- */

static QIOChannelSocket *stranger_new(Vm *vm)
{
    SocketAddress address = {
        .type = SOCKET_ADDRESS_TYPE_UNIX,
        .u.q_unix.path = vm->path,
    };
    QIOChannelSocket *socket = qio_channel_socket_new();

    g_assert_cmpint(qio_channel_socket_connect_sync(socket, &address,
                                                    &error_abort), ==, 0);
    return socket;
}

static void test_garbage_ends_only_its_connection(void)
{
    World *world = world_new();
    QIOChannelSocket *stranger = stranger_new(&world->b);

    world_prepare(world, &world->b, TERM);
    world_quiesce(world, &world->a, &world->b, TERM);
    wait_until(world->b.store->n_conns == 2);
    qio_channel_write_all(QIO_CHANNEL(stranger), (char *)world->image, 4096,
                          &error_abort);
    wait_until(world->b.store->n_conns == 1);
    world_unplug(&world->a, TERM);
    world_send(world, &world->a, TERM);
    world_room(world, &world->b, TERM);
    object_unref(OBJECT(stranger));
    world_free(world);
}

static void write_frame(QIOChannelSocket *socket, uint16_t type, uint64_t term,
                        const uint8_t *payload, size_t bytes)
{
    size_t n;
    g_autofree uint8_t *frame = slice_frame_build(
        type, SLICE.incarnation, SLICE.counter, term, payload, bytes, NULL, 0,
        &n);

    qio_channel_write_all(QIO_CHANNEL(socket), (char *)frame, n, &error_abort);
}

static QIOChannelSocket *impostor_new(Vm *vm)
{
    SliceStreamHello hello = {
        .version = SLICE_STREAM_VERSION, .compat = SLICE_STREAM_COMPAT,
        .incarnation = 5, .name = "mallory",
    };
    QIOChannelSocket *socket = stranger_new(vm);
    uint8_t payload[SLICE_FRAME_HELLO_BYTES];

    write_frame(socket, SLICE_STREAM_HELLO, 0, payload,
                slice_frame_put_hello(payload, &hello));
    return socket;
}

static void test_another_peer_can_not_open_or_cancel(void)
{
    World *world = world_new();
    QIOChannelSocket *impostor;

    world_to_sent(world, TERM);
    world_room(world, &world->b, TERM);
    impostor = impostor_new(&world->b);
    write_frame(impostor, SLICE_STREAM_CANCELLED, TERM, NULL, 0);
    write_frame(impostor, SLICE_STREAM_FORGOT, TERM, NULL, 0);
    /* A second HELLO ends the connection: by then the others were read. */
    write_frame(impostor, SLICE_STREAM_HELLO, 0, NULL, 0);
    wait_until(world->b.store->n_conns == 2);
    wait_until(world->b.store->n_conns == 1);
    g_assert_cmpint(vm_state(&world->b), ==, SLICE_STATE_RESERVED);
    object_unref(OBJECT(impostor));
    world_free(world);
}

static void test_frame_before_hello_ends_the_connection(void)
{
    World *world = world_new();
    QIOChannelSocket *stranger = stranger_new(&world->b);

    write_frame(stranger, SLICE_STREAM_FORGOT, TERM, NULL, 0);
    wait_until(world->b.store->n_conns == 1);
    wait_until(world->b.store->n_conns == 0);
    object_unref(OBJECT(stranger));
    world_free(world);
}

int main(int argc, char **argv)
{
    static const WorldTest tests[] = {
        { "slice-moves", test_slice_moves },
        { "slice-moves-back", test_slice_moves_back },
        { "large-image-passes-within-credit",
          test_large_image_passes_within_credit },
        { "packets-reach-the-targets-gate-in-order",
          test_packets_reach_the_targets_gate_in_order },
        { "late-packet-is-forwarded-to-the-owner",
          test_late_packet_is_forwarded_to_the_owner },
        { "forwarded-packet-goes-no-way-twice",
          test_forwarded_packet_goes_no_way_twice },
        { "new-connection-of-a-muted-tuple-is-let-in",
          test_new_connection_of_a_muted_tuple_is_let_in },
        { "busy-guest-goes-on", test_busy_guest_goes_on },
        { "failed-unplug-is-resumed", test_failed_unplug_is_resumed },
        { "target-that-can-not-plug-is-undone",
          test_target_that_can_not_plug_is_undone },
        { "image-without-a-reservation-is-refused",
          test_image_without_a_reservation_is_refused },
        { "restarted-target-refuses", test_restarted_target_refuses },
        { "large-capsule-does-not-stall-a-small-one",
          test_large_capsule_does_not_stall_a_small_one },
        { "prepare-refuses-what-does-not-fit",
          test_prepare_refuses_what_does_not_fit },
        { "tuple-in-use-is-refused", test_tuple_in_use_is_refused },
        { "nothing-moves-while-the-vm-is-migrated",
          test_nothing_moves_while_the_vm_is_migrated },
        { "older-orchestrator-is-stale", test_older_orchestrator_is_stale },
        { "reset-kills-what-the-guest-owned",
          test_reset_kills_what_the_guest_owned },
        { "reset-of-a-moving-source-frees-the-target",
          test_reset_of_a_moving_source_frees_the_target },
        { "reset-after-the-image-is-whole-moves-on",
          test_reset_after_the_image_is_whole_moves_on },
        { "reset-of-the-target-is-a-refusal",
          test_reset_of_the_target_is_a_refusal },
        { "guest-without-a-buffer-is-busy-or-told-later",
          test_guest_without_a_buffer_is_busy_or_told_later },
        { "guest-answers-of-another-term-are-stale",
          test_guest_answers_of_another_term_are_stale },
        { "image-with-a-gap-is-invalid", test_image_with_a_gap_is_invalid },
        { "slice-that-ends-while-drained-frees-the-target",
          test_slice_that_ends_while_drained_frees_the_target },
        { "connection-that-joins-while-drained-is-taken-back",
          test_connection_that_joins_while_drained_is_taken_back },
        { "connection-that-goes-on-elsewhere-is-taken-back",
          test_connection_that_goes_on_elsewhere_is_taken_back },
        { "connection-of-a-slice-that-ends-while-drained-goes-on",
          test_connection_of_a_slice_that_ends_while_drained_goes_on },
        { "quiet-slice-keeps-its-connections",
          test_quiet_slice_keeps_its_connections },
        { "connection-goes-on-before-resumed-is-here",
          test_connection_goes_on_before_resumed },
        { "slice-that-is-back-within-another-runs-again",
          test_slice_that_is_back_within_another_runs_again },
        { "arrival-that-ends-before-it-opens-leaves-nothing",
          test_arrival_that_ends_before_it_opens_leaves_nothing },
        { "garbage-ends-only-its-connection",
          test_garbage_ends_only_its_connection },
        { "another-peer-can-not-open-or-cancel",
          test_another_peer_can_not_open_or_cancel },
        { "frame-before-hello-ends-the-connection",
          test_frame_before_hello_ends_the_connection },
    };

    return world_main(argc, argv, "move", tests, G_N_ELEMENTS(tests));
}
