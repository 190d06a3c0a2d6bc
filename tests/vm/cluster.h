/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cluster.h - what the VM tests share: a small cluster, fresh for each test
 *
 * The VMs boot once for a program and are saved; each test gets them restored
 * with a new sliced, or goes on with those of the one before it, and a capture
 * that it is judged by in the end.
 *
 *      cl1 ─── br0 ─┬─ web1      sliced drives br0; the capture is at cl1
 *                   └─ web2
 */
#ifndef SLICE_TESTS_VM_CLUSTER_H
#define SLICE_TESTS_VM_CLUSTER_H

#include "http.h"
#include "lab.h"
#include "wire.h"

#define N_VMS 2
/* Far beyond what anything takes on a busy machine. */
#define TEST_TIMEOUT_MS 30000

typedef struct Cluster {
    Lab *lab;
    LabHost *host;
    LabVm *vms[N_VMS];
    LabClient *client;
    LabLink *line;              /* before the client, with cluster_main_line; else NULL */
    LabCapture *capture;
    char *pcap;
    GArray *judged;             /* connections that cluster_finish looks at */
    int64_t all_ns;             /* from when on all are looked at, or 0 */
} Cluster;

/**
 * cluster_main: a test program's main
 * @add_tests: registers its tests with cluster_add
 *
 * Skips all, loudly, where the slice devices or sliced are not built.
 */
int cluster_main(int argc, char **argv, void (*add_tests)(void));
/** cluster_main_line: the same with a lab link before the client, which is a wire
 *  at the begin of each test; prints its seed. */
int cluster_main_line(int argc, char **argv, void (*add_tests)(void));
/** cluster_main_relayed: the same with a relay before each VM's engine. */
int cluster_main_relayed(int argc, char **argv, void (*add_tests)(void));
void cluster_add(const char *path, void (*test)(Cluster *cluster));
/** cluster_add_next: the same, but after another of these it goes on with the VMs
 *  and the sliced of that one, as they are. */
void cluster_add_next(const char *path, void (*test)(Cluster *cluster));
/** cluster_add_data: the same with something that the test is told. */
void cluster_add_data(const char *path, void (*test)(Cluster *cluster, gconstpointer data),
                      gconstpointer data);

/** cluster_all: was `run test --all` asked for, so that no sample will do? */
bool cluster_all(void);

/** cluster_connect: a connection to the cluster's address from the client.
 *  @receive_bytes: of its receive buffer, or 0 for the system's. */
HttpConnection *cluster_connect(Cluster *cluster, int receive_bytes);
/** cluster_connect6: the same to its IPv6 address. */
HttpConnection *cluster_connect6(Cluster *cluster);
/** cluster_get: one page, checked; aborts the test if anything is wrong. */
void cluster_get(HttpConnection *http, const char *page, uint64_t *counter,
                 HttpResponse *ret_response);
/** cluster_get_vm: the same with /count.php; returns the VM that answered. */
char *cluster_get_vm(HttpConnection *http, uint64_t *counter);

/** cluster_slice: the slice of a connection. */
LabSlice *cluster_slice(Cluster *cluster, HttpConnection *http);
/** cluster_labelled: the slice with this label, once it has @n_flows connections. */
LabSlice *cluster_labelled(Cluster *cluster, const char *label, unsigned int n_flows);
/** cluster_other: the VM that is not @name. */
LabVm *cluster_other(Cluster *cluster, const char *name);
LabVm *cluster_vm(Cluster *cluster, const char *name);
/** cluster_move: move it to the other VM and insist that it worked. */
void cluster_move(Cluster *cluster, LabSlice *slice);

/** cluster_layer: start slice-guest-layer in a guest, with these words; returns
 *  the id of its capsule, "" if it was told to have none. */
char *cluster_layer(LabVm *vm, const char *words);

/** cluster_engine_slice: the hypervisor's entry of a slice (query-slices), which
 *  the caller unrefs; NULL where it has none. */
JsonObject *cluster_engine_slice(LabVm *vm, const char *id);

/** cluster_store_number: a number of query-slice-store in a VM. */
int64_t cluster_store_number(LabVm *vm, const char *name);

/** cluster_judge: insist at the test's end that this connection has seen no
 *  RST, FIN or SYN from now until then. */
void cluster_judge(Cluster *cluster, HttpConnection *http);
/** cluster_judge_all: insist the same of every connection of the client, so that
 *  none is opened or closed from now on. */
void cluster_judge_all(Cluster *cluster);
/** cluster_judge_port: the same for a connection by its two ports, which may end:
 *  with at most @n_fin packets with FIN. */
void cluster_judge_port(Cluster *cluster, uint16_t server_port, uint16_t client_port,
                        unsigned int n_fin);
/** cluster_judge_quiet: insist that no payload that had been acknowledged was sent
 *  again from @begin_ns (realtime) until now, where nothing but moves has gone on. */
void cluster_judge_quiet(Cluster *cluster, uint16_t server_port, uint16_t client_port,
                         int64_t begin_ns);
/** cluster_finish: stop the capture and judge; before connections close. */
void cluster_finish(Cluster *cluster);

#endif /* SLICE_TESTS_VM_CLUSTER_H */
