/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * torture.h - the torture client: numbered bytes both ways, each one checked
 *
 * A connection has a thread that sends and reads as its spec says and as the
 * test lets it; the server is slice-guest-torture.  The first byte that is not as
 * it should be, and any end of the connection that was not asked for, is an error
 * that torture_finish() aborts the test with.
 */
#ifndef SLICE_TESTS_VM_TORTURE_H
#define SLICE_TESTS_VM_TORTURE_H

#include "../guest/torture.h"
#include "cluster.h"

typedef struct Torture Torture;

/**
 * struct TortureSpec - a connection
 * @flags: TORTURE_*, for the server
 * @to_server, @to_client: numbered bytes in each direction
 * @receive_bytes: of the client's receive buffer; 0: the system's
 * @send_bytes: of the server's send buffer; 0: the system's
 * @waits: the client does not read until torture_read()
 * @read_at_once: bytes that a slow reader takes every 5 ms; 0: as they come
 * @is_ipv6: to the cluster's IPv6 address
 * @shuts: the client shuts its direction down after its last byte; else when
 *	everything has been read
 */
typedef struct TortureSpec {
    uint32_t flags;
    uint64_t to_server, to_client;
    int receive_bytes;
    uint32_t send_bytes;
    bool waits;
    unsigned int read_at_once;
    bool is_ipv6;
    bool shuts;
} TortureSpec;

/** torture_serve: start the server in both VMs. */
void torture_serve(Cluster *cluster);
/** torture_release: let the servers go on that were told to wait. */
void torture_release(Cluster *cluster);

Torture *torture_new(Cluster *cluster, const TortureSpec *spec);
/** torture_port: the client's. */
uint16_t torture_port(Torture *torture);
/** torture_slice: its slice, when the server has made it one. */
LabSlice *torture_slice(Cluster *cluster, Torture *torture);
/** torture_read: from now on the client reads. */
void torture_read(Torture *torture);
/** torture_n_sent, torture_n_read: numbered bytes so far; from any thread. */
uint64_t torture_n_sent(Torture *torture);
uint64_t torture_n_read(Torture *torture);
/** torture_wait_read: until that many have been read, or the test fails. */
void torture_wait_read(Torture *torture, uint64_t n);
/** torture_is_over: has everything come and gone, or something gone wrong? */
bool torture_is_over(Torture *torture);

/**
 * torture_finish: wait for the end, check the report, free
 * @ret_n_moves: (nullable): arrivals that the server has counted
 *
 * With TORTURE_SHUT_WRITING there is no report: ask the server's output.
 */
void torture_finish(Torture *torture, unsigned int *ret_n_moves);

/**
 * struct TortureSocket - what a guest's kernel knows of a connection
 * @state: as in /proc/net/tcp: 1 ESTABLISHED, 4 FIN_WAIT1, 5 FIN_WAIT2,
 *	8 CLOSE_WAIT; 0: there is none
 * @send_bytes: that it has to send, or to get acknowledged
 * @receive_bytes: that nobody has read
 */
typedef struct TortureSocket {
    unsigned int state;
    uint64_t send_bytes, receive_bytes;
} TortureSocket;

void torture_look(LabVm *vm, uint16_t client_port, TortureSocket *ret_socket);

#endif /* SLICE_TESTS_VM_TORTURE_H */
