/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * slice-driver.h - a machine with slices whose guest is the test
 *
 *   test ─┬─ net_fd ── netdev hostnet0 ── filter-slice ── virtio-net ─┐
 *         ├─ QMP ───── slice-store                                    ├─ test
 *         └─ ┄┄┄┄┄┄┄┄┄ virtio-slice-pci ──────────────────────────────┘
 *
 * The test is at both ends: it plays the network, the orchestrator, and the
 * guest's drivers of the two devices.
 */
#ifndef TESTS_SLICE_DRIVER_H
#define TESTS_SLICE_DRIVER_H

#include "libqtest.h"
#include "libqos/libqos-malloc.h"
#include "libqos/virtio-pci.h"
#include "qobject/qdict.h"
#include "standard-headers/linux/virtio_slice.h"

#define SLICE_TIMEOUT_US (30 * 1000 * 1000)

/* Answers to a request that did not come. */
#define SLICE_NO_ANSWER UINT32_MAX

/* Fewer than the ring has places: QEMU 10.0 makes them all 1024 long. */
#define SLICE_NET_BUFFERS      256
#define SLICE_NET_BUFFER_BYTES 256
#define SLICE_EVENT_BUFFERS    32

/**
 * SliceVM: a machine
 * @net_fd: the network's end of a socket netdev; -1: there is none
 * @request: guest memory for a request; @response: for its response
 */
typedef struct SliceVM {
    QTestState *qts;
    QGuestAllocator alloc;
    QPCIBus *pcibus;
    QVirtioPCIDevice *slice;
    QVirtQueue *request_vq;
    QVirtQueue *event_vq;
    QVirtioPCIDevice *net;
    QVirtQueue *rx_vq;
    QVirtQueue *tx_vq;
    int net_fd;
    uint64_t request;
    uint64_t response;
    uint64_t events;
    uint64_t rx_buffers;
    uint16_t rx_posted;
    uint64_t tx_buffer;
    size_t net_hdr_bytes;
} SliceVM;

/**
 * slice_vm_new: start a machine with a socket netdev and both drivers
 * @name: of the VM
 * @gate: further properties of the filter-slice object, or ""
 * @more: further options, or ""
 */
SliceVM *slice_vm_new(const char *name, const char *gate, const char *more);
/**
 * The same with a netdev of id hostnet0 in @options; @legacy_net: the NIC is
 * driven as before virtio 1.0, without merged receive buffers.
 */
SliceVM *slice_vm_new_net(const char *name, const char *options,
                          bool legacy_net);
void slice_vm_free(SliceVM *vm);

/* ---- virtio-slice ---- */

/** Resets the device and drives it anew, up to DRIVER_OK. */
void slice_drive(SliceVM *vm);
/** Posts all event buffers. */
void slice_post_events(SliceVM *vm);

/**
 * slice_request: send a request, wait for the answer
 * @ret_value: of the response, or NULL
 *
 * Returns: its status.
 */
uint32_t slice_request(SliceVM *vm, const void *request, size_t bytes,
                       uint64_t *ret_value);
/** The same without waiting; slice_answer() waits. */
void slice_request_send(SliceVM *vm, const void *request, size_t bytes);
uint32_t slice_answer(SliceVM *vm, uint64_t *ret_value);

struct virtio_slice_request slice_header(uint16_t type, uint32_t count,
                                         uint64_t counter, uint64_t term);
/** HELLO with one layer, "tcp" of version 1. */
void slice_hello(SliceVM *vm);
/** SET of slice @counter with flows of client ports [@port, @port + n). */
uint32_t slice_set(SliceVM *vm, uint64_t counter, uint16_t port, uint32_t n);
/** QUIESCED, PLUGGED and their like. */
uint32_t slice_status(SliceVM *vm, uint16_t type, uint64_t counter,
                      uint64_t term, uint32_t status);
/** IMAGE, PACKETS or ROOM with one chunk. */
uint32_t slice_chunk(SliceVM *vm, uint16_t type, uint16_t flags,
                     uint64_t counter, uint64_t term, uint64_t offset,
                     uint64_t total_bytes, uint64_t addr, uint32_t bytes,
                     uint64_t *ret_value);
/**
 * Waits for an event, which must be of this type; an UNRESERVE is passed over
 * where it is not waited for.
 */
struct virtio_slice_event slice_take_event(SliceVM *vm, uint16_t type);
/** The same, of this slice and term; returns its arg. */
uint64_t slice_wait_event(SliceVM *vm, uint16_t type, uint64_t counter,
                          uint64_t term);

/** FIND by slice @counter, of a key whose digest begins with @key. */
uint32_t slice_find(SliceVM *vm, uint64_t counter, uint64_t tag,
                    uint32_t timeout_ms, uint8_t key);
/** FOUND of that status; @counter: the slice that has it, or 0. */
uint32_t slice_found(SliceVM *vm, uint64_t tag, uint64_t counter,
                     uint32_t status);

/* ---- the orchestrator ---- */

/** The answer of slice-prepare at the target, whose guest has room. */
char *slice_qmp_prepare(SliceVM *vm, uint64_t counter, uint64_t term,
                        uint16_t port, uint32_t n);
/** slice-peers: these, @n of them; and terms [@first, @first + @count). */
void slice_tell_peers(SliceVM *vm, SliceVM *const *peers, uint32_t n);
void slice_tell_lease(SliceVM *vm, uint64_t first, uint32_t count);
/** slice-cancel, slice-abort, slice-unplug, …: the answer. */
char *slice_qmp(SliceVM *vm, const char *command, uint64_t counter,
                uint64_t term);
/** Starts the move of one slice and brings it to the step "quiesced". */
void slice_begin(SliceVM *source, SliceVM *target, uint64_t counter,
                 uint64_t term);
/** After slice-unplug: the source's guest hands over @bytes at @addr. */
void slice_send_image(SliceVM *source, uint64_t counter, uint64_t term,
                      uint64_t addr, uint32_t bytes);
/** Its arrival at the target, up to the guest's PLUGGED. */
void slice_take_image(SliceVM *target, uint64_t counter, uint64_t term,
                      uint64_t addr, uint32_t bytes);
/** The source forgets, the target opens. */
void slice_finish(SliceVM *source, SliceVM *target, uint64_t counter,
                  uint64_t term);
void slice_wait_step(SliceVM *vm, const char *step);
/** A field of query-slice-store. */
uint64_t slice_store_count(SliceVM *vm, const char *field);
/** Waits until it is @value. */
void slice_wait_store_count(SliceVM *vm, const char *field, uint64_t value);

/* ---- the network ---- */

/**
 * slice_frame: an Ethernet frame with a TCP segment of the test's client
 * @port: the client's; its address is 10.0.0.2, the guest's 10.0.0.1 port 80
 * @mark: sequence number, by which the test knows the packet again
 */
#define SLICE_FRAME_BYTES 60
void slice_frame(uint8_t frame[SLICE_FRAME_BYTES], uint16_t port, uint32_t mark,
                 bool to_guest);
uint32_t slice_frame_mark(const uint8_t *frame);
uint16_t slice_frame_port(const uint8_t *frame, bool to_guest);

void slice_net_send(SliceVM *vm, uint16_t port, uint32_t mark);
/** The next frame that the guest has sent; aborts after a time. */
void slice_net_receive(SliceVM *vm, uint8_t frame[SLICE_FRAME_BYTES]);

/** Posts all receive buffers of the guest. */
void slice_guest_post(SliceVM *vm);
/**
 * slice_guest_receive: take what the guest's NIC has received, post the
 * buffers again
 * @frames: room for SLICE_NET_BUFFERS of them
 *
 * Returns: how many there were, 0 if none.
 */
uint32_t slice_guest_receive(SliceVM *vm,
                             uint8_t (*frames)[SLICE_FRAME_BYTES]);
/** Waits for one TCP packet; checks its port, returns its mark. */
uint32_t slice_guest_next(SliceVM *vm, uint16_t port);
void slice_guest_expect(SliceVM *vm, uint16_t port, uint32_t mark);
void slice_guest_send(SliceVM *vm, uint16_t port, uint32_t mark);

#endif /* TESTS_SLICE_DRIVER_H */
