/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test-slice-find.c - a connection that has arrived at the wrong VM
 *
 *   A  has the connection (SLICE), and asks
 *   B  has the session (SESSION), or not;  C is a third one
 *
 * No orchestrator takes part but by what it has told before: peers and terms.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "io/channel-socket.h"
#include "qemu/bswap.h"
#include "qemu/main-loop.h"
#include "slice/find.h"
#include "slice-world.h"

#define TAG     77
#define FIRST   0x100000064ull
#define N_TERMS 8

static const SliceId SESSION = { 0xfedcba, 7 };
static const uint8_t DIGEST[SLICE_DIGEST_BYTES] = "of a layer and a key";

static void tell_peers(Vm *vm, const char *const *paths, uint32_t n)
{
    g_autoptr(GPtrArray) peers = g_ptr_array_new();

    for (uint32_t i = 0; i < n; i++) {
        g_autofree char *name = g_path_get_basename(paths[i]);
        SocketAddress address = {
            .type = SOCKET_ADDRESS_TYPE_UNIX,
            .u.q_unix.path = (char *)paths[i],
        };

        g_ptr_array_add(peers, slice_peer_get(vm->store, name, &address));
    }
    slice_find_set_peers(vm->store, peers);
}

/* A world in which A knows B (and C), and has terms; B has the session. */
static World *find_world(bool with_c)
{
    World *world = world_new();
    SliceInfoFromGuest info = {
        .memory_bytes = 4096, .n_capsules = 1, .label = "", .top_layer = "php",
    };

    if (with_c) {
        world_add_c(world);
    }
    tell_peers(&world->a, (const char *[]) { world->b.path, world->c.path },
               with_c ? 2 : 1);
    g_assert_true(slice_follow_lease(world->a.store, FIRST, N_TERMS));
    g_assert_cmpuint(slice_port_set(world->b.store, SESSION, &info), ==,
                     SLICE_RESP_OK);
    return world;
}

static void ask(Vm *vm, uint64_t tag, uint32_t ms)
{
    g_assert_cmpuint(slice_port_find(vm->store, SLICE, tag, ms, DIGEST), ==,
                     SLICE_RESP_OK);
}

static void answer_lookup(Vm *vm, uint32_t status)
{
    SliceGuestEvent event = vm_take_event(vm, VIRTIO_SLICE_EVENT_LOOKUP);

    g_assert_cmpmem(event.data, sizeof(event.data), DIGEST, sizeof(DIGEST));
    g_assert_cmpuint(event.slice.incarnation, ==, 0);
    g_assert_cmpuint(slice_port_found(vm->store, status ? (SliceId) {}
                                                        : SESSION,
                                      event.arg, status), ==, SLICE_RESP_OK);
}

static void await_done(Vm *vm, uint64_t tag, uint32_t status)
{
    SliceGuestEvent event = vm_take_event(vm, VIRTIO_SLICE_EVENT_FIND_DONE);

    g_assert_cmpuint(event.arg, ==, tag);
    g_assert_cmpuint(event.term, ==, status);
    g_assert_cmpuint(event.slice.counter, ==, SLICE.counter);
}

static void reserved(Vm *vm, uint64_t term, uint32_t status, uint32_t why)
{
    SliceGuestEvent event = vm_take_event(vm, VIRTIO_SLICE_EVENT_RESERVE);

    g_assert_cmpuint(event.term, ==, term);
    g_assert_cmpuint(event.arg, ==, 8192);
    /* So many capsules of the layer of rank 20. */
    g_assert_cmpuint(lduw_le_p(event.data), ==, 20);
    g_assert_cmpuint(lduw_le_p(event.data + 2), ==, 2);
    g_assert_cmpuint(slice_port_reserved(vm->store, SLICE, term, status, why),
                     ==, SLICE_RESP_OK);
}

/* Found at B, which has room: A's guest is asked to be quiet. */
static void to_quiesce(World *world, uint32_t ms)
{
    ask(&world->a, TAG, ms);
    answer_lookup(&world->b, 0);
    reserved(&world->b, FIRST, 0, 0);
    await_done(&world->a, TAG, 0);
    vm_take_event(&world->a, VIRTIO_SLICE_EVENT_QUIESCE);
    g_assert_cmpint(world->a.gate.mode, ==, SLICE_GATE_WATCH);
    g_assert_cmpint(vm_state(&world->b), ==, SLICE_STATE_RESERVED);
    g_assert_cmpint(world->b.gate.mode, ==, SLICE_GATE_HOLD);
}

/* And it was: it leaves without being told to. */
static void to_sent(World *world)
{
    to_quiesce(world, 10000);
    g_assert_cmpuint(slice_port_quiesced(world->a.store, SLICE, FIRST, 0, 0),
                     ==, SLICE_RESP_OK);
    vm_take_event(&world->a, VIRTIO_SLICE_EVENT_UNPLUG);
    world_send(world, &world->a, FIRST);
}

/* ---- found ---- */

static void test_connection_moves_to_its_session(void)
{
    World *world = find_world(false);

    to_sent(world);
    world_room(world, &world->b, FIRST);
    vm_plugged(&world->b, FIRST);
    vm_await_step(&world->b, SLICE_STEP_DONE);
    vm_take_event(&world->a, VIRTIO_SLICE_EVENT_FORGET);
    vm_take_event(&world->b, VIRTIO_SLICE_EVENT_OPEN);
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE_GONE);
    g_assert_cmpint(vm_state(&world->b), ==, SLICE_STATE_OWNER);
    g_assert_cmpint(world->a.gate.mode, ==, SLICE_GATE_FORWARD);
    g_assert_cmpuint(slice_find_n(world->a.store), ==, 0);
    g_assert_cmpuint(world->a.events->len, ==, 0);
    g_assert_cmpuint(slice_follow_terms_left(world->a.store), ==, N_TERMS - 1);
    /* The switch was not told: what still comes to A goes after it. */
    vm_deliver(&world->a, SLICE_PACKET_FORWARD, "next", false);
    wait_until(gate_has(&world->b, "inject next"));
    world_free(world);
}

/* It is on its way from B to C while both are asked, and nobody says no. */
static void test_session_on_its_way_is_found(void)
{
    World *world = find_world(true);
    SliceInfoFromGuest info = { .n_capsules = 1, .label = "",
                                .top_layer = "php" };

    ask(&world->a, TAG, 10000);
    answer_lookup(&world->c, ENOENT);
    answer_lookup(&world->b, EAGAIN);
    answer_lookup(&world->b, ENOENT);
    slice_port_set(world->c.store, SESSION, &info);
    answer_lookup(&world->c, 0);
    reserved(&world->c, FIRST, 0, 0);
    await_done(&world->a, TAG, 0);
    g_assert_cmpint(vm_state(&world->c), ==, SLICE_STATE_RESERVED);
    world_free(world);
}

/* A guest can say what it likes; a slice that is leaving takes nothing. */
static void test_owner_that_is_leaving_is_asked_again(void)
{
    World *world = find_world(false);
    SliceEntry *entry = slice_table_find(world->b.store->table, SESSION);

    ask(&world->a, TAG, 10000);
    slice_table_step(world->b.store->table, SESSION, SLICE_MSG_QUIESCE, 1,
                     &entry);
    answer_lookup(&world->b, 0);
    slice_table_step(world->b.store->table, SESSION, SLICE_MSG_GIVE_UP, 1,
                     &entry);
    slice_table_resumed(world->b.store->table, entry);
    answer_lookup(&world->b, 0);
    reserved(&world->b, FIRST, 0, 0);
    await_done(&world->a, TAG, 0);
    world_free(world);
}

static void test_guest_without_a_buffer_is_asked_again(void)
{
    World *world = find_world(false);

    world->b.has_no_buffer = true;
    ask(&world->a, TAG, 10000);
    wait_until(world->b.store->n_conns);
    wait_until(slice_conn_is_ready(world->b.store->incoming[0]));
    for (int i = 0; i < 100; i++) {
        world_turn();
    }
    world->b.has_no_buffer = false;
    answer_lookup(&world->b, 0);
    reserved(&world->b, FIRST, 0, 0);
    await_done(&world->a, TAG, 0);
    world_free(world);
}

/* ---- nowhere ---- */

static void test_nowhere_takes_two_rounds(void)
{
    World *world = find_world(true);

    ask(&world->a, TAG, 10000);
    answer_lookup(&world->b, ENOENT);
    answer_lookup(&world->c, ENOENT);
    answer_lookup(&world->b, ENOENT);
    g_assert_cmpuint(world->a.events->len, ==, 0);
    answer_lookup(&world->c, ENOENT);
    await_done(&world->a, TAG, ENOENT);
    g_assert_cmpuint(slice_find_n(world->a.store), ==, 0);
    world_free(world);
}

static void test_change_between_rounds_takes_another(void)
{
    World *world = find_world(true);

    ask(&world->a, TAG, 10000);
    answer_lookup(&world->b, ENOENT);
    answer_lookup(&world->c, ENOENT);
    /* Something has come to C: perhaps what is looked for. */
    world->c.store->n_changes++;
    answer_lookup(&world->b, ENOENT);
    answer_lookup(&world->c, ENOENT);
    answer_lookup(&world->b, ENOENT);
    g_assert_cmpuint(world->a.events->len, ==, 0);
    answer_lookup(&world->c, ENOENT);
    await_done(&world->a, TAG, ENOENT);
    world_free(world);
}

static void test_arrival_here_makes_it_ask_again(void)
{
    World *world = find_world(false);

    ask(&world->a, TAG, 10000);
    answer_lookup(&world->b, ENOENT);
    world->a.store->n_arrivals++;
    answer_lookup(&world->b, ENOENT);
    await_done(&world->a, TAG, EBUSY);
    world_free(world);
}

static void test_alone_is_nowhere(void)
{
    World *world = world_new();

    ask(&world->a, TAG, 10000);
    await_done(&world->a, TAG, ENOENT);
    world_free(world);
}

static void test_unreachable_peer_is_not_nowhere(void)
{
    World *world = find_world(false);

    tell_peers(&world->a, (const char *[]) { world->b.path, "/nonexistent/x" },
               2);
    ask(&world->a, TAG, 300);
    answer_lookup(&world->b, ENOENT);
    await_done(&world->a, TAG, ETIMEDOUT);
    /* Nobody is dialled for it any more. */
    g_assert_cmpuint(QTAILQ_LAST(&world->a.store->peers)->n_wanted, ==, 0);
    world_free(world);
}

static void test_peer_that_left_the_cluster_is_not_waited_for(void)
{
    World *world = find_world(false);

    tell_peers(&world->a, (const char *[]) { world->b.path, "/nonexistent/x" },
               2);
    ask(&world->a, TAG, 10000);
    answer_lookup(&world->b, ENOENT);
    tell_peers(&world->a, (const char *[]) { world->b.path }, 1);
    answer_lookup(&world->b, ENOENT);
    await_done(&world->a, TAG, ENOENT);
    world_free(world);
}

static void test_peer_that_is_new_is_asked(void)
{
    World *world = find_world(true);

    tell_peers(&world->a, (const char *[]) { world->b.path }, 1);
    ask(&world->a, TAG, 10000);
    vm_take_event(&world->b, VIRTIO_SLICE_EVENT_LOOKUP);
    tell_peers(&world->a, (const char *[]) { world->b.path, world->c.path },
               2);
    vm_take_event(&world->c, VIRTIO_SLICE_EVENT_LOOKUP);
    world_free(world);
}

/* Another process may answer by that name now: what it said proves nothing. */
static void test_cut_makes_a_peer_answer_again(void)
{
    World *world = find_world(true);

    ask(&world->a, TAG, 10000);
    answer_lookup(&world->b, ENOENT);
    wait_until(world->c.events->len);
    world_cut(world);
    wait_until(!world->b.store->n_conns);
    vm_take_event(&world->c, VIRTIO_SLICE_EVENT_LOOKUP);
    answer_lookup(&world->b, 0);
    reserved(&world->b, FIRST, 0, 0);
    await_done(&world->a, TAG, 0);
    world_free(world);
}

/* ---- it can not go ---- */

static void assert_unmoved(Vm *vm)
{
    g_assert_cmpint(vm_state(vm), ==, SLICE_STATE_OWNER);
    g_assert_false(vm_is_resuming(vm));
    g_assert_cmpuint(slice_table_find(vm->store->table, SLICE)->term, ==, 0);
    g_assert_cmpint(vm->gate.mode, ==, 0);
    g_assert_cmpuint(vm->events->len, ==, 0);
    g_assert_cmpuint(slice_find_n(vm->store), ==, 0);
}

static void test_without_a_term_it_waits(void)
{
    World *world = find_world(false);
    uint64_t term;

    for (int i = 0; i < N_TERMS; i++) {
        g_assert_cmpuint(world->a.n_lease_low, ==, i > N_TERMS * 3 / 4);
        ask(&world->a, TAG + i, 10000);
        answer_lookup(&world->b, 0);
        reserved(&world->b, FIRST + i, ENOSPC, WHY_NO_ROOM);
        await_done(&world->a, TAG + i, ETIMEDOUT);
    }
    g_assert_cmpuint(slice_follow_terms_left(world->a.store), ==, 0);
    ask(&world->a, TAG, 10000);
    answer_lookup(&world->b, 0);
    wait_until(world->b.events->len);
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE_OWNER);
    g_assert_cmpuint(world->a.n_lease_low, ==, 1);
    term = FIRST + 100;
    g_assert_true(slice_follow_lease(world->a.store, term, 1));
    answer_lookup(&world->b, 0);
    reserved(&world->b, term, 0, 0);
    await_done(&world->a, TAG, 0);
    world_free(world);
}

/* The orchestrator has moved it by later terms: it is told that more are needed. */
static void test_lease_below_its_term_is_no_use(void)
{
    World *world = find_world(false);
    SliceEntry *entry = slice_table_find(world->a.store->table, SLICE);

    entry->term = FIRST + 1000;
    ask(&world->a, TAG, 10000);
    answer_lookup(&world->b, 0);
    wait_until(world->a.n_lease_low == 1);
    g_assert_cmpuint(slice_follow_terms_left(world->a.store), ==, N_TERMS);
    g_assert_true(slice_follow_lease(world->a.store, FIRST + 2000, N_TERMS));
    answer_lookup(&world->b, 0);
    reserved(&world->b, FIRST + 2000, 0, 0);
    await_done(&world->a, TAG, 0);
    world_free(world);
}

static void test_busy_target_is_asked_again(void)
{
    World *world = find_world(false);
    SliceGuestEvent event;

    ask(&world->a, TAG, 10000);
    event = vm_take_event(&world->b, VIRTIO_SLICE_EVENT_LOOKUP);
    /* No buffer for RESERVE. */
    world->b.has_no_buffer = true;
    slice_port_found(world->b.store, SESSION, event.arg, 0);
    wait_until(slice_follow_terms_left(world->a.store) == N_TERMS - 1);
    /* It has asked for a place, and heard. */
    wait_until(!g_hash_table_size(world->a.store->finds->by_term));
    world->b.has_no_buffer = false;
    answer_lookup(&world->b, 0);
    reserved(&world->b, FIRST + 1, 0, 0);
    await_done(&world->a, TAG, 0);
    world_free(world);
}

static void test_pinned_connection_stays(void)
{
    World *world = find_world(false);

    slice_table_find(world->a.store->table, SLICE)->movability =
        SLICE_MOVABILITY_PINNED;
    ask(&world->a, TAG, 10000);
    answer_lookup(&world->b, 0);
    await_done(&world->a, TAG, ETIMEDOUT);
    assert_unmoved(&world->a);
    g_assert_cmpuint(slice_follow_terms_left(world->a.store), ==, N_TERMS);
    world_free(world);
}

static void test_where_there_is_no_room_nothing_moves(void)
{
    World *world = find_world(false);

    ask(&world->a, TAG, 10000);
    answer_lookup(&world->b, 0);
    wait_until(world->b.events->len);
    /* What its guest books must not travel in a saved VM. */
    g_assert_cmpuint(world->b.store->n_active, ==, 1);
    reserved(&world->b, FIRST, ENOSPC, WHY_NO_ROOM);
    g_assert_cmpuint(world->b.store->n_active, ==, 0);
    await_done(&world->a, TAG, ETIMEDOUT);
    assert_unmoved(&world->a);
    g_assert_cmpint(vm_state(&world->b), ==, SLICE_STATE__MAX);
    g_assert_cmpint(world->b.gate.mode, ==, 0);
    world_free(world);
}

static void test_reservation_that_is_not_used_is_given_back(void)
{
    World *world = find_world(false);
    SliceGuestEvent event;

    ask(&world->a, TAG, 10000);
    answer_lookup(&world->b, 0);
    event = vm_take_event(&world->b, VIRTIO_SLICE_EVENT_RESERVE);
    /* The connection has ended meanwhile. */
    g_assert_cmpuint(slice_port_gone(world->a.store, SLICE), ==,
                     SLICE_RESP_OK);
    slice_port_reserved(world->b.store, SLICE, event.term, 0, 0);
    await_done(&world->a, TAG, EBUSY);
    vm_await_step(&world->b, SLICE_STEP_DISCARDED);
    vm_take_event(&world->b, VIRTIO_SLICE_EVENT_UNRESERVE);
    world_free(world);
}

static void test_silent_target_guest_costs_the_deadline(void)
{
    World *world = find_world(false);
    uint64_t term = FIRST;
    SliceFind *find;

    ask(&world->a, TAG, 10000);
    answer_lookup(&world->b, 0);
    vm_take_event(&world->b, VIRTIO_SLICE_EVENT_RESERVE);
    find = g_hash_table_lookup(world->a.store->finds->by_term, &term);
    find->until_ms = 0;
    timer_mod(find->timer, 0);
    await_done(&world->a, TAG, ETIMEDOUT);
    /* The place is not kept for it. */
    vm_take_event(&world->b, VIRTIO_SLICE_EVENT_UNRESERVE);
    g_assert_cmpuint(slice_port_reserved(world->b.store, SLICE, FIRST, 0, 0),
                     ==, SLICE_RESP_STALE);
    assert_unmoved(&world->a);
    world_free(world);
}

static void test_busy_connection_stays_after_the_deadline(void)
{
    World *world = find_world(false);

    to_quiesce(world, 10000);
    /* References are held: the guest says so, in time. */
    g_assert_cmpuint(slice_port_quiesced(world->a.store, SLICE, FIRST,
                                         ETIMEDOUT, WHY_DEADLINE), ==,
                     SLICE_RESP_OK);
    await_done(&world->a, TAG, ETIMEDOUT);
    vm_await_step(&world->b, SLICE_STEP_DISCARDED);
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE_OWNER);
    world_free(world);
}

static void test_silent_source_guest_resumes_by_the_deadline(void)
{
    World *world = find_world(false);

    to_quiesce(world, 10000);
    /* Its time is over. */
    timer_mod(slice_table_find(world->a.store->table,
                               SLICE)->transfer->deadline, 0);
    await_done(&world->a, TAG, ETIMEDOUT);
    world_resumed(&world->a, FIRST);
    vm_await_step(&world->b, SLICE_STEP_DISCARDED);
    world_free(world);
}

/* ---- the orchestrator and deaths ---- */

static void test_orchestrator_may_abort_it(void)
{
    World *world = find_world(false);

    to_sent(world);
    world_room(world, &world->b, FIRST);
    g_assert_cmpint(slice_move_abort_now(world->a.store, SLICE, FIRST), ==,
                    SLICE_ANSWER_RESUMED);
    await_done(&world->a, TAG, EBUSY);
    world_resumed(&world->a, FIRST);
    vm_await_step(&world->b, SLICE_STEP_DISCARDED);
    vm_take_event(&world->b, VIRTIO_SLICE_EVENT_DISCARD);
    world_free(world);
}

static void test_source_does_not_give_up_once_all_is_sent(void)
{
    World *world = find_world(false);

    to_sent(world);
    world_room(world, &world->b, FIRST);
    slice_move_deadline(slice_table_find(world->a.store->table,
                                         SLICE)->transfer);
    g_assert_cmpint(vm_state(&world->a), ==, SLICE_STATE_SENT);
    g_assert_true(vm_has_step(&world->a, SLICE_STEP_FAILED));
    g_assert_cmpuint(world->a.events->len, ==, 0);
    vm_plugged(&world->b, FIRST);
    vm_await_step(&world->b, SLICE_STEP_DONE);
    world_free(world);
}

static void test_orchestrator_may_take_it_over(void)
{
    World *world = find_world(false);
    Call call;

    to_sent(world);
    world_room(world, &world->b, FIRST);
    vm_crash(&world->a);
    call_begin(&call, &world->b, FIRST, takeover_co);
    g_assert_false(call.is_done);
    vm_plugged(&world->b, FIRST);
    g_assert_cmpint(call_end(&call), ==, SLICE_ANSWER_IS_OWNER);
    world_free(world);
}

/* Nobody comes and nobody cancels: it is not held for ever. */
static void test_reservation_of_a_dead_source_lapses(void)
{
    World *world = find_world(false);

    to_quiesce(world, 10000);
    vm_crash(&world->a);
    wait_until(!world->b.store->n_conns);
    g_assert_cmpint(vm_state(&world->b), ==, SLICE_STATE_RESERVED);
    timer_mod(slice_table_find(world->b.store->table,
                               SLICE)->transfer->deadline, 0);
    vm_await_step(&world->b, SLICE_STEP_DISCARDED);
    vm_take_event(&world->b, VIRTIO_SLICE_EVENT_UNRESERVE);
    g_assert_cmpint(vm_state(&world->b), ==, SLICE_STATE_GONE);
    world_free(world);
}

/* One that the orchestrator made waits for it. */
static void test_reservation_of_the_orchestrator_does_not_lapse(void)
{
    World *world = world_new();
    SliceTransfer *transfer;

    world_prepare(world, &world->b, TERM);
    transfer = slice_table_find(world->b.store->table, SLICE)->transfer;
    slice_arrive_deadline(transfer);
    g_assert_cmpint(vm_state(&world->b), ==, SLICE_STATE_RESERVED);
    g_assert_false(timer_pending(transfer->deadline));
    world_free(world);
}

static void test_reset_ends_finds_without_a_word(void)
{
    World *world = find_world(false);

    ask(&world->a, TAG, 10000);
    wait_until(world->b.events->len);
    slice_port_reset(world->a.store);
    g_assert_cmpuint(slice_find_n(world->a.store), ==, 0);
    vm_hello(&world->a);
    slice_table_remove(world->a.store->table,
                       slice_table_find(world->a.store->table, SLICE));
    vm_set(&world->a);
    /* The answer to the old kernel's question is nobody's. */
    answer_lookup(&world->b, 0);
    ask(&world->a, TAG, 10000);
    answer_lookup(&world->b, ENOENT);
    answer_lookup(&world->b, ENOENT);
    await_done(&world->a, TAG, ENOENT);
    world_free(world);
}

static void test_reset_of_the_asked_guest_is_an_answer(void)
{
    World *world = find_world(false);

    ask(&world->a, TAG, 10000);
    wait_until(world->b.events->len);
    /* Its sessions have died; and again, as long as it has not come back. */
    slice_port_reset(world->b.store);
    await_done(&world->a, TAG, ENOENT);
    world_free(world);
}

/* Who waits for a place in a guest that is reset is told that there is none. */
static void test_reset_refuses_who_waits_for_room(void)
{
    World *world = find_world(false);

    ask(&world->a, TAG, 10000);
    answer_lookup(&world->b, 0);
    vm_take_event(&world->b, VIRTIO_SLICE_EVENT_RESERVE);
    slice_port_reset(world->b.store);
    await_done(&world->a, TAG, ETIMEDOUT);
    assert_unmoved(&world->a);
    g_assert_cmpuint(world->b.store->n_active, ==, 0);
    world_free(world);
}

/* ---- bounds ---- */

static void test_finds_are_bounded(void)
{
    World *world = find_world(false);
    uint32_t n = 0;

    g_assert_cmpuint(slice_port_find(world->a.store, SESSION, 1, 1000, DIGEST),
                     ==, SLICE_RESP_STALE);
    while (slice_port_find(world->a.store, SLICE, n, 60000, DIGEST) ==
           SLICE_RESP_OK) {
        n++;
    }
    g_assert_cmpuint(n, ==, VIRTIO_SLICE_FINDS_MAX);
    g_assert_cmpuint(slice_port_find(world->a.store, SLICE, n, 1000, DIGEST),
                     ==, SLICE_RESP_NO_ROOM);
    g_assert_cmpuint(slice_port_find(world->a.store, SLICE, 0, 1000, DIGEST),
                     ==, SLICE_RESP_INVALID);
    world_free(world);
}

static void send_frame(QIOChannel *ioc, uint16_t type, const uint8_t *payload,
                       size_t payload_bytes)
{
    size_t bytes;
    g_autofree uint8_t *frame = slice_frame_build(type, 0, 0, 0, payload,
                                                  payload_bytes, NULL, 0,
                                                  &bytes);

    qio_channel_write_all(ioc, (char *)frame, bytes, &error_abort);
}

/* A peer that asks and asks: the guest hears of so much, and no more. */
static void test_lookups_are_bounded(void)
{
    World *world = world_new();
    g_autoptr(QIOChannelSocket) socket = qio_channel_socket_new();
    SocketAddress address = {
        .type = SOCKET_ADDRESS_TYPE_UNIX, .u.q_unix.path = world->b.path,
    };
    SliceStreamHello hello = {
        .version = SLICE_STREAM_VERSION, .compat = SLICE_STREAM_COMPAT,
        .incarnation = 1, .name = "mallory",
    };
    uint8_t payload[SLICE_FRAME_HELLO_BYTES];
    size_t left = SLICE_FRAME_HEADER_BYTES + SLICE_FRAME_HELLO_BYTES +
                  (3000 - 1024) * (SLICE_FRAME_HEADER_BYTES +
                                   SLICE_FRAME_FOUND_BYTES);

    qio_channel_socket_connect_sync(socket, &address, &error_abort);
    send_frame(QIO_CHANNEL(socket), SLICE_STREAM_HELLO, payload,
               slice_frame_put_hello(payload, &hello));
    for (uint64_t tag = 0; tag < 3000; tag++) {
        SliceStreamFind find = { .tag = tag };

        send_frame(QIO_CHANNEL(socket), SLICE_STREAM_FIND, payload,
                   slice_frame_put_find(payload, &find));
        world_turn();
    }
    /* All others hear at once that they may ask again. */
    qio_channel_set_blocking(QIO_CHANNEL(socket), false, &error_abort);
    while (left) {
        char answers[4096];
        ssize_t n = qio_channel_read(QIO_CHANNEL(socket), answers,
                                     MIN(left, sizeof(answers)), NULL);

        g_assert_true(n > 0 || n == QIO_CHANNEL_ERR_BLOCK);
        left -= MAX(n, 0);
        world_turn();
    }
    wait_until(slice_conn_notes(world->b.store->incoming[0])->n_lookups ==
               1024);
    g_assert_cmpuint(world->b.events->len, ==, 1024);
    qio_channel_close(QIO_CHANNEL(socket), NULL);
    wait_until(!world->b.store->n_conns);
    /* Nobody waits for these answers now. */
    g_assert_cmpuint(slice_port_found(world->b.store, (SliceId) {},
                                      g_array_index(world->b.events,
                                                    SliceGuestEvent, 0).arg,
                                      ENOENT), ==, SLICE_RESP_STALE);
    world_free(world);
}

/* FOUND, RESERVED from one who was not asked, or about what is not ours. */
static void test_answers_of_others_change_nothing(void)
{
    World *world = find_world(true);
    uint8_t payload[SLICE_FRAME_PAYLOAD_BYTES];
    SliceStreamFound found = { .tag = 1 };
    SliceStreamReserved reserved_ok = {};
    SliceConn *from_c;

    /* B knows the tag, C answers twice in its name. */
    ask(&world->a, TAG, 10000);
    wait_until(world->b.events->len && world->c.events->len);
    from_c = world->c.store->incoming[0];
    slice_conn_send(from_c, SLICE_STREAM_RESERVED, SLICE, FIRST, payload,
                    slice_frame_put_reserved(payload, &reserved_ok));
    found.status = SLICE_FOUND_NONE;
    for (int i = 0; i < 4; i++) {
        slice_conn_send(from_c, SLICE_STREAM_FOUND, (SliceId) {}, 0, payload,
                        slice_frame_put_found(payload, &found));
    }
    found.tag = 12345;
    slice_conn_send(from_c, SLICE_STREAM_FOUND, SESSION, 0, payload,
                    slice_frame_put_found(payload, &found));
    /* B's voice counts for itself all the same. */
    answer_lookup(&world->b, 0);
    reserved(&world->b, FIRST, 0, 0);
    await_done(&world->a, TAG, 0);
    world_free(world);
}

int main(int argc, char **argv)
{
    static const WorldTest tests[] = {
        { "connection-moves-to-its-session",
          test_connection_moves_to_its_session },
        { "session-on-its-way-is-found", test_session_on_its_way_is_found },
        { "owner-that-is-leaving-is-asked-again",
          test_owner_that_is_leaving_is_asked_again },
        { "guest-without-a-buffer-is-asked-again",
          test_guest_without_a_buffer_is_asked_again },
        { "nowhere-takes-two-rounds", test_nowhere_takes_two_rounds },
        { "change-between-rounds-takes-another",
          test_change_between_rounds_takes_another },
        { "arrival-here-makes-it-ask-again",
          test_arrival_here_makes_it_ask_again },
        { "alone-is-nowhere", test_alone_is_nowhere },
        { "unreachable-peer-is-not-nowhere",
          test_unreachable_peer_is_not_nowhere },
        { "peer-that-left-the-cluster-is-not-waited-for",
          test_peer_that_left_the_cluster_is_not_waited_for },
        { "peer-that-is-new-is-asked", test_peer_that_is_new_is_asked },
        { "cut-makes-a-peer-answer-again",
          test_cut_makes_a_peer_answer_again },
        { "without-a-term-it-waits", test_without_a_term_it_waits },
        { "lease-below-its-term-is-no-use", test_lease_below_its_term_is_no_use },
        { "busy-target-is-asked-again", test_busy_target_is_asked_again },
        { "pinned-connection-stays", test_pinned_connection_stays },
        { "where-there-is-no-room-nothing-moves",
          test_where_there_is_no_room_nothing_moves },
        { "reservation-that-is-not-used-is-given-back",
          test_reservation_that_is_not_used_is_given_back },
        { "silent-target-guest-costs-the-deadline",
          test_silent_target_guest_costs_the_deadline },
        { "busy-connection-stays-after-the-deadline",
          test_busy_connection_stays_after_the_deadline },
        { "silent-source-guest-resumes-by-the-deadline",
          test_silent_source_guest_resumes_by_the_deadline },
        { "orchestrator-may-abort-it", test_orchestrator_may_abort_it },
        { "source-does-not-give-up-once-all-is-sent",
          test_source_does_not_give_up_once_all_is_sent },
        { "orchestrator-may-take-it-over",
          test_orchestrator_may_take_it_over },
        { "reservation-of-a-dead-source-lapses",
          test_reservation_of_a_dead_source_lapses },
        { "reservation-of-the-orchestrator-does-not-lapse",
          test_reservation_of_the_orchestrator_does_not_lapse },
        { "reset-ends-finds-without-a-word",
          test_reset_ends_finds_without_a_word },
        { "reset-of-the-asked-guest-is-an-answer",
          test_reset_of_the_asked_guest_is_an_answer },
        { "reset-refuses-who-waits-for-room",
          test_reset_refuses_who_waits_for_room },
        { "finds-are-bounded", test_finds_are_bounded },
        { "lookups-are-bounded", test_lookups_are_bounded },
        { "answers-of-others-change-nothing",
          test_answers_of_others_change_nothing },
    };

    return world_main(argc, argv, "find", tests, G_N_ELEMENTS(tests));
}
