/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test-slice-abort.c - moves that do not go on: aborts, deadlines, cuts, deaths
 *
 * At each step of a move between the two engines of slice-world.h.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "io/channel-socket.h"
#include "qemu/main-loop.h"
#include "slice-world.h"

/* ---- aborts, at each step ---- */

static void test_abort_while_draining(void)
{
    World *world = world_new();

    world_prepare(world, &world->b, TERM);
    world_begin(world, &world->a, &world->b, TERM, 60000);
    vm_take_event(&world->a, VIRTIO_SLICE_EVENT_QUIESCE);
    world_abort(world, TERM);
    g_assert_cmpuint(slice_port_quiesced(world->a.store, SLICE, TERM, 0, 0),
                     ==, SLICE_RESP_STALE);
    world_free(world);
}

static void test_abort_after_quiesce(void)
{
    World *world = world_new();

    world_prepare(world, &world->b, TERM);
    world_quiesce(world, &world->a, &world->b, TERM);
    world_abort(world, TERM);
    world_await_discard(world);
    world_move(world, &world->a, &world->b, TERM + 1);
    world_free(world);
}

static void test_abort_before_the_image_is_whole(void)
{
    World *world = world_new();

    world_prepare(world, &world->b, TERM);
    world_quiesce(world, &world->a, &world->b, TERM);
    world_unplug(&world->a, TERM);
    slice_port_image(world->a.store, SLICE, TERM, 0, IMAGE_BYTES, world->image,
                     1000, false);
    vm_deliver(&world->a, SLICE_PACKET_DIVERTED, "request", false);
    world_abort(world, TERM);
    g_assert_true(gate_has(&world->a, "put 3 request"));
    g_assert_cmpint(gate_index(&world->a, "release"), >,
                    gate_index(&world->a, "put 3 request"));
    g_assert_cmpuint(slice_port_image(world->a.store, SLICE, TERM, 1000,
                                      IMAGE_BYTES, world->image, 1000, false),
                     ==, SLICE_RESP_STALE);
    world_await_discard(world);
    world_free(world);
}

static void test_abort_while_the_target_plugs(void)
{
    World *world = world_new();

    world_to_sent(world, TERM);
    world_room(world, &world->b, TERM);
    world_abort(world, TERM);
    world_await_discard(world);
    vm_take_event(&world->b, VIRTIO_SLICE_EVENT_DISCARD);
    g_assert_cmpuint(slice_port_plugged(world->b.store, SLICE, TERM, 0, 0), ==,
                     SLICE_RESP_STALE);
    world_free(world);
}

static void test_plugged_after_abort_is_discarded(void)
{
    World *world = world_new();

    world_to_sent(world, TERM);
    world_room(world, &world->b, TERM);
    /* PLUGGED and ABORT cross. */
    vm_plugged(&world->b, TERM);
    world_abort(world, TERM);
    world_await_discard(world);
    vm_take_event(&world->b, VIRTIO_SLICE_EVENT_DISCARD);
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE_OWNER);
    world_free(world);
}

static void test_abort_after_forgot_is_too_late(void)
{
    World *world = world_new();
    Call call;

    world_move(world, &world->a, &world->b, TERM);
    call_begin(&call, &world->a, TERM, abort_co);
    g_assert_cmpint(call_end(&call), ==, SLICE_ANSWER_FORGOTTEN);
    call_begin(&call, &world->a, TERM + 1, abort_co);
    g_assert_cmpint(call_end(&call), ==, SLICE_ANSWER_NOT_MINE);
    g_assert_cmpint(slice_arrive_cancel(world->b.store, SLICE, TERM), ==,
                    SLICE_ANSWER_IS_OWNER);
    world_free(world);
}

static void test_cancelled_job_aborts(void)
{
    World *world = world_new();

    world_prepare(world, &world->b, TERM);
    world_quiesce(world, &world->a, &world->b, TERM);
    WITH_JOB_LOCK_GUARD() {
        Job *job = job_get_locked(world->job_id);

        job_ref_locked(job);
        job_user_cancel_locked(job, true, &error_abort);
        job_unref_locked(job);
    }
    world_resumed(&world->a, TERM);
    world_free(world);
}

static void test_cancelled_target_returns_what_it_held(void)
{
    World *world = world_new();
    Call call;

    world_to_sent(world, TERM);
    world_room(world, &world->b, TERM);
    g_ptr_array_add(world->b.gate.held, g_strdup("held"));
    g_assert_cmpint(slice_arrive_cancel(world->b.store, SLICE, TERM), ==,
                    SLICE_ANSWER_OK);
    vm_take_event(&world->b, VIRTIO_SLICE_EVENT_DISCARD);
    call_begin(&call, &world->a, TERM, abort_co);
    wait_until(gate_has(&world->a, "put 3 held"));
    world_resumed(&world->a, TERM);
    g_assert_cmpint(call_end(&call), ==, SLICE_ANSWER_RESUMED);
    /* The switch is slow to follow. */
    vm_deliver(&world->b, SLICE_PACKET_FORWARD, "later", false);
    wait_until(gate_has(&world->a, "inject later"));
    world_free(world);
}

/* ---- deadlines ---- */

static void test_deadline_before_the_image_is_whole_resumes(void)
{
    World *world = world_new();

    world_prepare(world, &world->b, TERM);
    world_begin(world, &world->a, &world->b, TERM, 1);
    vm_take_event(&world->a, VIRTIO_SLICE_EVENT_QUIESCE);
    world_resumed(&world->a, TERM);
    g_assert_cmpuint(world->a.last_why, ==, WHY_DEADLINE);
    world_free(world);
}

static void test_deadline_after_the_image_is_whole_waits(void)
{
    World *world = world_new();

    world_to_sent(world, TERM);
    slice_move_deadline(slice_table_find(world->a.store->table,
                                         SLICE)->transfer);
    g_assert_true(vm_has_step(&world->a, SLICE_STEP_FAILED));
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE_SENT);
    world_room(world, &world->b, TERM);
    vm_plugged(&world->b, TERM);
    vm_await_step(&world->b, SLICE_STEP_DONE);
    world_free(world);
}

/* ---- cuts ---- */

static void test_cut_while_quiesced(void)
{
    World *world = world_new();

    world_prepare(world, &world->b, TERM);
    world_quiesce(world, &world->a, &world->b, TERM);
    world_cut(world);
    wait_until(!world->a.store->n_conns);
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE_MOVING);
    world_unplug(&world->a, TERM);
    world_send(world, &world->a, TERM);
    world_room(world, &world->b, TERM);
    vm_plugged(&world->b, TERM);
    vm_await_step(&world->b, SLICE_STEP_DONE);
    world_free(world);
}

static void test_cut_within_the_image(void)
{
    World *world = world_new();

    world_prepare(world, &world->b, TERM);
    world_quiesce(world, &world->a, &world->b, TERM);
    world_unplug(&world->a, TERM);
    slice_port_image(world->a.store, SLICE, TERM, 0, IMAGE_BYTES, world->image,
                     1000, false);
    wait_until(slice_table_find(world->b.store->table,
                                SLICE)->transfer->image);
    world_cut(world);
    wait_until(!world->a.store->n_conns);
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE_SENT);
    g_assert_cmpint(vm_state(&world->b), ==, SLICE_STATE_RESERVED);
    slice_port_image(world->a.store, SLICE, TERM, 1000, IMAGE_BYTES,
                     world->image + 1000, IMAGE_BYTES - 1000, true);
    world_room(world, &world->b, TERM);
    vm_plugged(&world->b, TERM);
    vm_await_step(&world->b, SLICE_STEP_DONE);
    world_free(world);
}

static void test_cut_while_the_target_plugs(void)
{
    World *world = world_new();

    world_to_sent(world, TERM);
    world_room(world, &world->b, TERM);
    world_cut(world);
    wait_until(!world->b.store->n_conns);
    /* Nobody hears it: it is said again. */
    vm_plugged(&world->b, TERM);
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE_SENT);
    vm_await_step(&world->b, SLICE_STEP_DONE);
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE_GONE);
    world_free(world);
}

static void test_cut_when_plugged_was_said(void)
{
    World *world = world_new();

    world_to_sent(world, TERM);
    world_room(world, &world->b, TERM);
    vm_plugged(&world->b, TERM);
    world_cut(world);
    vm_await_step(&world->b, SLICE_STEP_DONE);
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE_GONE);
    world_free(world);
}

static void test_plugged_twice_is_forgotten_twice(void)
{
    World *world = world_new();

    world_move(world, &world->a, &world->b, TERM);
    slice_conn_send(world->b.store->incoming[0], SLICE_STREAM_PLUGGED, SLICE,
                    TERM, NULL, 0);
    /* What comes after it has been answered, so it has too. */
    vm_deliver(&world->a, SLICE_PACKET_FORWARD, "late", false);
    wait_until(gate_has(&world->b, "inject late"));
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE_GONE);
    g_assert_cmpint(vm_state(&world->b), ==, SLICE_STATE_OWNER);
    g_assert_false(vm_has_step(&world->b, SLICE_STEP_DISCARDED));
    world_free(world);
}

/* Nothing of what was queued in this turn has been written yet. */
static void cut_when_gone(Vm *vm, SliceStep step)
{
    if (step == SLICE_STEP_GONE) {
        world_cut_of(vm->world, vm);
    }
}

static void test_forgot_that_was_lost_is_said_again(void)
{
    World *world = world_new();

    world_to_sent(world, TERM);
    world_room(world, &world->b, TERM);
    world->a.on_step = cut_when_gone;
    vm_plugged(&world->b, TERM);
    wait_until(vm_state(&world->a) == SLICE_STATE_GONE);
    wait_until(!world->b.store->n_conns);
    g_assert_cmpint(vm_state(&world->b), ==, SLICE_STATE_PLUGGED);
    /* No packet comes, nobody asks: the source dials by itself. */
    vm_await_step(&world->b, SLICE_STEP_DONE);
    wait_until(!slice_table_find(world->a.store->table,
                                 SLICE)->transfer->is_unforgotten);
    g_assert_cmpuint(QTAILQ_FIRST(&world->a.store->peers)->n_wanted, ==, 0);
    world_free(world);
}

/* Its client has gone while the guest plugged it again. */
static void test_end_that_overtakes_resumed_ends_it(void)
{
    World *world = world_new();

    world_to_sent(world, TERM);
    g_assert_cmpint(slice_move_abort_now(world->a.store, SLICE, TERM), ==,
                    SLICE_ANSWER_RESUMED);
    vm_take_event(&world->a, VIRTIO_SLICE_EVENT_RESUME);
    g_assert_cmpuint(slice_port_gone(world->a.store, SLICE), ==,
                     SLICE_RESP_OK);
    g_assert_nonnull(slice_table_find(world->a.store->table, SLICE));
    g_assert_cmpuint(slice_port_resumed(world->a.store, SLICE, TERM, 0, 0),
                     ==, SLICE_RESP_OK);
    g_assert_null(slice_table_find(world->a.store->table, SLICE));
    g_assert_cmpint(world->a.gate.mode, ==, 0);
    world_free(world);
}

/* ---- bounds ---- */

static void test_peer_that_does_not_read_is_left(void)
{
    World *world = world_new();
    g_autoptr(QIOChannelSocket) socket = qio_channel_socket_new();
    SocketAddress address = {
        .type = SOCKET_ADDRESS_TYPE_UNIX, .u.q_unix.path = world->b.path,
    };
    SliceStreamHello hello = {
        .version = SLICE_STREAM_VERSION, .compat = SLICE_STREAM_COMPAT,
        .incarnation = 1, .name = "a",
    };
    uint8_t payload[SLICE_FRAME_HELLO_BYTES];
    g_autofree uint8_t *zeroes = g_malloc0(SLICE_STREAM_PAYLOAD_MAX);
    g_autofree uint8_t *first = NULL, *ping = NULL;
    size_t bytes, ping_bytes, sent = 0;
    ssize_t n;

    qio_channel_socket_connect_sync(socket, &address, &error_abort);
    first = slice_frame_build(SLICE_STREAM_HELLO, 0, 0, 0, payload,
                              slice_frame_put_hello(payload, &hello), NULL, 0,
                              &bytes);
    qio_channel_write_all(QIO_CHANNEL(socket), (char *)first, bytes,
                          &error_abort);
    qio_channel_set_blocking(QIO_CHANNEL(socket), false, &error_abort);
    ping = slice_frame_build(SLICE_STREAM_PING, 0, 0, 0, zeroes,
                             SLICE_STREAM_PAYLOAD_MAX, NULL, 0, &ping_bytes);
    wait_until(world->b.store->n_conns == 1);
    /* It asks and asks, and never reads an answer. */
    do {
        size_t at = sent % ping_bytes;

        n = qio_channel_write(QIO_CHANNEL(socket), (char *)ping + at,
                              ping_bytes - at, NULL);
        sent += MAX(n, 0);
        g_assert_cmpuint(sent, <, 64 << 20);
        world_turn();
    } while (n >= 0 || n == QIO_CHANNEL_ERR_BLOCK);
    qio_channel_close(QIO_CHANNEL(socket), NULL);
    wait_until(!world->b.store->n_conns);
    world_free(world);
}

static void test_packets_are_bounded_in_total(void)
{
    World *world = world_new();
    SliceStore *store = world->a.store;
    uint64_t n_dropped, had;

    world_prepare(world, &world->b, TERM);
    world_quiesce(world, &world->a, &world->b, TERM);
    world_unplug(&world->a, TERM);
    had = store->packets_bytes;
    g_assert_cmpuint(had, >, 0);
    n_dropped = store->n_dropped;
    /* As if other slices had the rest. */
    store->packets_bytes = SLICE_PACKETS_TOTAL_MAX;
    vm_deliver(&world->a, SLICE_PACKET_DIVERTED, "one too many", false);
    g_assert_cmpuint(store->n_dropped, ==, n_dropped + 1);
    store->packets_bytes = had;
    vm_deliver(&world->a, SLICE_PACKET_DIVERTED, "fits", false);
    g_assert_cmpuint(store->n_dropped, ==, n_dropped + 1);
    world_send(world, &world->a, TERM);
    world_room(world, &world->b, TERM);
    vm_plugged(&world->b, TERM);
    vm_await_step(&world->b, SLICE_STEP_DONE);
    wait_until(store->packets_bytes == 0);
    world_free(world);
}

/* ---- the source dies ---- */

static void test_takeover_of_a_whole_image(void)
{
    World *world = world_new();
    Call call;

    world_to_sent(world, TERM);
    world_room(world, &world->b, TERM);
    vm_crash(&world->a);
    call_begin(&call, &world->b, TERM, takeover_co);
    g_assert_false(call.is_done);
    vm_plugged(&world->b, TERM);
    g_assert_cmpint(call_end(&call), ==, SLICE_ANSWER_IS_OWNER);
    vm_take_event(&world->b, VIRTIO_SLICE_EVENT_OPEN);
    world_free(world);
}

static void test_takeover_of_a_partial_image_discards(void)
{
    World *world = world_new();
    Call call;

    world_prepare(world, &world->b, TERM);
    world_quiesce(world, &world->a, &world->b, TERM);
    world_unplug(&world->a, TERM);
    slice_port_image(world->a.store, SLICE, TERM, 0, IMAGE_BYTES, world->image,
                     1000, false);
    wait_until(slice_table_find(world->b.store->table,
                                SLICE)->transfer->image);
    vm_crash(&world->a);
    call_begin(&call, &world->b, TERM, takeover_co);
    g_assert_cmpint(call_end(&call), ==, SLICE_ANSWER_NOT_FOUND);
    g_assert_cmpint(vm_state(&world->b), ==, SLICE_STATE_GONE);
    world_free(world);
}

static void test_takeover_of_a_plugged_one_opens(void)
{
    World *world = world_new();
    Call call;

    world_to_sent(world, TERM);
    world_room(world, &world->b, TERM);
    vm_crash(&world->a);
    wait_until(!world->b.store->n_conns);
    vm_plugged(&world->b, TERM);
    g_assert_cmpint(vm_state(&world->b), ==, SLICE_STATE_PLUGGED);
    call_begin(&call, &world->b, TERM, takeover_co);
    g_assert_cmpint(call_end(&call), ==, SLICE_ANSWER_IS_OWNER);
    world_free(world);
}

/* The image is in the pipe of a connection that was there before the move. */
static void test_takeover_drains_a_connection_that_was_kept(void)
{
    World *world = world_new();
    Call call;

    world_move(world, &world->a, &world->b, TERM);
    world_move(world, &world->b, &world->a, TERM + 1);
    world_prepare(world, &world->b, TERM + 2);
    world_quiesce(world, &world->a, &world->b, TERM + 2);
    world_unplug(&world->a, TERM + 2);
    world_send(world, &world->a, TERM + 2);
    call_begin(&call, &world->b, TERM + 2, takeover_co);
    g_assert_false(call.is_done);
    g_assert_cmpint(vm_state(&world->b), ==, SLICE_STATE_RESERVED);
    world_room(world, &world->b, TERM + 2);
    vm_plugged(&world->b, TERM + 2);
    g_assert_cmpint(call_end(&call), ==, SLICE_ANSWER_IS_OWNER);
    world_free(world);
}

/* ---- a restored VM ---- */

static SliceEntry *fence(Vm *vm)
{
    SliceEntry *entry = slice_table_find(vm->store->table, SLICE);

    entry->fenced = true;
    vm->gate.mode = SLICE_GATE_HOLD;
    return entry;
}

static void test_refused_slice_says_nothing(void)
{
    World *world = world_new();

    fence(&world->a);
    g_assert_cmpint(slice_arrive_confirm(world->a.store, SLICE, TERM, false),
                    ==, SLICE_ANSWER_OK);
    g_assert_true(gate_has(&world->a, "give back"));
    g_assert_cmpint(world->a.gate.mode, ==, SLICE_GATE_FORWARD);
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE_DEAD);
    world_free(world);
}

static void test_reset_of_a_fenced_guest_says_nothing(void)
{
    World *world = world_new();

    fence(&world->a);
    slice_port_reset(world->a.store);
    g_assert_true(gate_has(&world->a, "give back"));
    g_assert_false(gate_has(&world->a, "remove"));
    g_assert_cmpint(world->a.gate.mode, ==, SLICE_GATE_FORWARD);
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE_DEAD);
    world_free(world);
}

static void test_fenced_slice_keeps_its_flows(void)
{
    SliceId other = { 0xabcdef, 43 };
    SliceInfoFromGuest info = {
        .n_capsules = 1, .n_flows = 1, .n_listed = 1, .label = "",
        .top_layer = "", .flows = &FLOW,
    };
    World *world = world_new();
    SliceEntry *entry = fence(&world->a);

    g_assert_cmpuint(slice_port_set(world->a.store, other, &info), ==,
                     SLICE_RESP_INVALID);
    g_assert_true(slice_table_find_flow(world->a.store->table, &FLOW) ==
                  entry);
    world_free(world);
}

static void test_slice_that_ended_fenced_is_no_owner(void)
{
    World *world = world_new();

    fence(&world->a);
    g_assert_cmpuint(slice_port_gone(world->a.store, SLICE), ==,
                     SLICE_RESP_OK);
    g_assert_cmpint(world->a.gate.mode, ==, SLICE_GATE_HOLD);
    g_assert_cmpint(slice_arrive_confirm(world->a.store, SLICE, TERM, true),
                    ==, SLICE_ANSWER_OK);
    g_assert_true(gate_has(&world->a, "release"));
    g_assert_null(slice_table_find(world->a.store->table, SLICE));
    world_free(world);
}

/* ---- reservations over a tombstone ---- */

static SliceAnswer prepare_at_a(World *world, uint64_t term,
                                uint32_t n_flows)
{
    SliceArrival arrival = {
        .id = SLICE, .term = term, .source = "b", .flows = &FLOW,
        .n_flows = n_flows, .vnet_hdr_len = 12, .memory_bytes = 8192,
    };
    uint32_t why;

    return vm_prepare(&world->a, &arrival, &why);
}

static void test_prepare_forgets_the_tombstones_flows(void)
{
    World *world = world_new();

    world_move(world, &world->a, &world->b, TERM);
    g_assert_cmpint(world->a.gate.mode, ==, SLICE_GATE_FORWARD);
    g_assert_cmpint(prepare_at_a(world, TERM + 1, 0), ==, SLICE_ANSWER_OK);
    g_assert_cmpint(world->a.gate.mode, ==, 0);
    world_free(world);
}

static void test_failed_prepare_keeps_the_tombstone(void)
{
    World *world = world_new();

    world_move(world, &world->a, &world->b, TERM);
    world->a.gate.is_full = true;
    g_assert_cmpint(prepare_at_a(world, TERM + 1, 1), ==,
                    SLICE_ANSWER_REFUSED);
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE_GONE);
    world->a.gate.is_full = false;
    world_is_migrating = true;
    g_assert_cmpint(prepare_at_a(world, TERM + 2, 1), ==, SLICE_ANSWER_BUSY);
    world_is_migrating = false;
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE_GONE);
    g_assert_cmpint(world->a.gate.mode, ==, SLICE_GATE_FORWARD);
    g_assert_cmpint(prepare_at_a(world, TERM + 2, 1), ==, SLICE_ANSWER_OK);
    world_free(world);
}

static void test_second_prepare_is_busy_then_owner(void)
{
    World *world = world_new();

    world_move(world, &world->a, &world->b, TERM);
    g_assert_cmpint(prepare_at_a(world, TERM + 1, 1), ==, SLICE_ANSWER_OK);
    g_assert_cmpint(prepare_at_a(world, TERM + 1, 1), ==, SLICE_ANSWER_BUSY);
    slice_arrive_cancel(world->a.store, SLICE, TERM + 1);
    world_move(world, &world->b, &world->a, TERM + 2);
    g_assert_cmpint(prepare_at_a(world, TERM + 2, 1), ==,
                    SLICE_ANSWER_IS_OWNER);
    world_free(world);
}

static void test_prepare_finds_the_connection_that_is_kept(void)
{
    World *world = world_new();

    world_move(world, &world->a, &world->b, TERM);
    world_move(world, &world->b, &world->a, TERM + 1);
    world_prepare(world, &world->b, TERM + 2);
    g_assert_true(slice_table_find(world->b.store->table,
                                   SLICE)->transfer->conn ==
                  world->b.store->incoming[0]);
    world_free(world);
}

/* ---- late packets ---- */

static void test_late_packet_reaches_one_that_moves_on(void)
{
    World *world = world_new();

    world_move(world, &world->a, &world->b, TERM);
    world_quiesce(world, &world->b, &world->a, TERM + 1);
    g_assert_cmpint(vm_state(&world->b), ==, SLICE_STATE_MOVING);
    vm_deliver(&world->a, SLICE_PACKET_FORWARD, "late", false);
    wait_until(gate_has(&world->b, "inject late"));
    g_assert_cmpint(world->b.gate.mode, ==, SLICE_GATE_WATCH);
    world_free(world);
}

int main(int argc, char **argv)
{
    static const WorldTest tests[] = {
        { "abort-while-draining", test_abort_while_draining },
        { "abort-after-quiesce", test_abort_after_quiesce },
        { "abort-before-the-image-is-whole",
          test_abort_before_the_image_is_whole },
        { "abort-while-the-target-plugs", test_abort_while_the_target_plugs },
        { "plugged-after-abort-is-discarded",
          test_plugged_after_abort_is_discarded },
        { "abort-after-forgot-is-too-late",
          test_abort_after_forgot_is_too_late },
        { "cancelled-job-aborts", test_cancelled_job_aborts },
        { "cancelled-target-returns-what-it-held",
          test_cancelled_target_returns_what_it_held },
        { "deadline-before-the-image-is-whole-resumes",
          test_deadline_before_the_image_is_whole_resumes },
        { "deadline-after-the-image-is-whole-waits",
          test_deadline_after_the_image_is_whole_waits },
        { "cut-while-quiesced", test_cut_while_quiesced },
        { "cut-within-the-image", test_cut_within_the_image },
        { "cut-while-the-target-plugs", test_cut_while_the_target_plugs },
        { "cut-when-plugged-was-said", test_cut_when_plugged_was_said },
        { "plugged-twice-is-forgotten-twice",
          test_plugged_twice_is_forgotten_twice },
        { "forgot-that-was-lost-is-said-again",
          test_forgot_that_was_lost_is_said_again },
        { "end-that-overtakes-resumed-ends-it",
          test_end_that_overtakes_resumed_ends_it },
        { "peer-that-does-not-read-is-left",
          test_peer_that_does_not_read_is_left },
        { "packets-are-bounded-in-total", test_packets_are_bounded_in_total },
        { "takeover-drains-a-connection-that-was-kept",
          test_takeover_drains_a_connection_that_was_kept },
        { "takeover-of-a-whole-image", test_takeover_of_a_whole_image },
        { "takeover-of-a-partial-image-discards",
          test_takeover_of_a_partial_image_discards },
        { "takeover-of-a-plugged-one-opens",
          test_takeover_of_a_plugged_one_opens },
        { "refused-slice-says-nothing",
          test_refused_slice_says_nothing },
        { "reset-of-a-fenced-guest-says-nothing",
          test_reset_of_a_fenced_guest_says_nothing },
        { "fenced-slice-keeps-its-flows",
          test_fenced_slice_keeps_its_flows },
        { "slice-that-ended-fenced-is-no-owner",
          test_slice_that_ended_fenced_is_no_owner },
        { "prepare-forgets-the-tombstones-flows",
          test_prepare_forgets_the_tombstones_flows },
        { "failed-prepare-keeps-the-tombstone",
          test_failed_prepare_keeps_the_tombstone },
        { "second-prepare-is-busy-then-owner",
          test_second_prepare_is_busy_then_owner },
        { "prepare-finds-the-connection-that-is-kept",
          test_prepare_finds_the_connection_that_is_kept },
        { "late-packet-reaches-one-that-moves-on",
          test_late_packet_reaches_one_that_moves_on },
    };

    return world_main(argc, argv, "abort", tests, G_N_ELEMENTS(tests));
}
