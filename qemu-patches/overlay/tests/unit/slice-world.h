/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * slice-world.h - engines in one process, with stand-ins around them
 *
 * Each VM has a real slice-store that listens on a unix socket, a guest that
 * only writes down the events it gets (the test answers for it), and a gate
 * that only writes down what is done with its flows.
 */
#ifndef SLICE_WORLD_H
#define SLICE_WORLD_H

#include "slice/store.h"
#include "standard-headers/linux/virtio_slice.h"

#define TERM        0x100000005ull
#define IMAGE_BYTES 200000

/* One connection is enough: what holds for one holds for each. */
typedef struct FakeGate {
    int mode;                   /* SliceGateMode, 0: absent */
    GPtrArray *log;             /* "put 3 hello", "inject hello", "release" */
    GPtrArray *held;            /* frames to give back */
    SliceGateDeliver *deliver;
    void *deliver_opaque;
    bool is_full;               /* set_mode fails */
} FakeGate;

typedef struct Vm Vm;
typedef struct World World;
struct Vm {
    const char *name;
    char *path;
    SliceStore *store;
    GArray *events;             /* SliceGuestEvent */
    GArray *steps;              /* SliceStep */
    uint32_t last_why;
    uint32_t n_lease_low;
    bool has_no_buffer;         /* event() answers false */
    void (*on_event)(Vm *vm, const SliceGuestEvent *event);
    void (*on_step)(Vm *vm, SliceStep step); /* within the event */
    World *world;
    FakeGate gate;
};

struct World {
    char *dir;
    Vm a;
    Vm b;
    Vm c;                       /* only after world_add_c() */
    uint8_t *image;
    char *job_id;
};

extern const SliceId SLICE;
extern const SliceFlow FLOW;
/* A whole VM is being migrated: no move may begin. */
extern bool world_is_migrating;

typedef struct WorldTest {
    const char *claim;
    void (*run)(void);
} WorldTest;

/** What main() of such a test does: runs /slice/@prefix/ and each claim. */
int world_main(int argc, char **argv, const char *prefix,
               const WorldTest *tests, size_t n);

World *world_new(void);
void world_free(World *world);
/* A third VM, without slices. */
void world_add_c(World *world);
void vm_boot(Vm *vm);
void vm_crash(Vm *vm);
/* The guest's driver says hello; its slice appears. */
void vm_hello(Vm *vm);
void vm_set(Vm *vm);

/* Let the main loop run until @condition, for twenty seconds at most. */
#define wait_until(condition) \
    do { \
        int64_t end_ = g_get_monotonic_time() + 20 * G_USEC_PER_SEC; \
        while (!(condition)) { \
            g_assert_cmpint(g_get_monotonic_time(), <, end_); \
            world_turn(); \
        } \
    } while (0)
void world_turn(void);
/* Take the next event of a guest's off its list; it must be of that type. */
SliceGuestEvent vm_take_event(Vm *vm, uint16_t type);
/* Wait for a step; those before it are forgotten. */
void vm_await_step(Vm *vm, SliceStep step);
bool vm_has_step(const Vm *vm, SliceStep step);
SliceState vm_state(const Vm *vm);
bool vm_is_resuming(const Vm *vm);
bool gate_has(const Vm *vm, const char *line);
/* Index of a line of the gate's log, -1 without. */
int gate_index(const Vm *vm, const char *line);
/* A TCP packet of FLOW's that carries @text; free with g_free(). */
uint8_t *packet_new(const char *text, bool is_syn, size_t *ret_bytes);
/* The gate hands such a packet to the engine. */
void vm_deliver(Vm *vm, uint32_t origin, const char *text, bool is_syn);
/* Cut every connection. */
void world_cut(World *world);
/* Those that this VM has dialled, before anything more is written. */
void world_cut_of(World *world, Vm *vm);

/* Steps of a move from A to B, each up to where the test has to act. */
/* What slice-prepare does, with a guest that has room. */
SliceAnswer vm_prepare(Vm *vm, const SliceArrival *arrival, uint32_t *ret_why);
void world_prepare(World *world, Vm *to, uint64_t term);
SliceAnswer world_begin(World *world, Vm *from, Vm *to, uint64_t term,
                        uint32_t deadline_ms);
void world_quiesce(World *world, Vm *from, Vm *to, uint64_t term);
void world_unplug(Vm *from, uint64_t term);
void world_send(World *world, Vm *from, uint64_t term);
void world_room(World *world, Vm *to, uint64_t term);
void world_move(World *world, Vm *from, Vm *to, uint64_t term);
/* After SLICE_DO_RESUME: the guest follows. */
void world_resumed(Vm *vm, uint64_t term);
void world_await_job(World *world);

/* A command that waits, in its coroutine. */
typedef struct Call {
    SliceStore *store;
    uint64_t term;
    SliceAnswer answer;
    bool is_done;
} Call;

void coroutine_fn abort_co(void *call);
void coroutine_fn takeover_co(void *call);
void call_begin(Call *call, Vm *vm, uint64_t term, CoroutineEntry *entry);
SliceAnswer call_end(Call *call);

/* Abort a move of A's; the guest follows where it must. */
void world_abort(World *world, uint64_t term);
/* B gives its reservation up by itself, because A told it. */
void world_await_discard(World *world);
/* From A to B, until the image is whole. */
void world_to_sent(World *world, uint64_t term);
/* The guest has plugged it. */
void vm_plugged(Vm *vm, uint64_t term);

#endif /* SLICE_WORLD_H */
