/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lab.h - hosts, VMs, switches, clients and captures for tests and the demo
 *
 * The one place that knows how these things start.  A lab lives in the private
 * root's `lab` mode: in network, PID and mount namespaces of its own, with
 * nothing in them.  All that a lab starts ends with it, also when the program
 * that made it is killed.
 *
 *      client cl1 ──┐                     ┌── tap web1-svc ── eth0 ┐
 *      (netns)      ├── br0, the service ─┤                        ├ VM web1
 *      client cl2 ──┘   network           │  ┌─ tap web1-own ─ eth1┘
 *                                         │  │
 *                                         ├──┼─ ... VM web2
 *                                            │
 *      the lab itself, 10.78.0.1 ─── br1 ────┘   the VMs' own addresses
 *      (shared folder, database)
 *
 * br0 is a userspace bridge without any rule until sliced (or a test) installs
 * some; br1 is an ordinary learning switch.  All VMs have the same MAC and IP
 * on eth0.
 *
 * Calls block, with deadlines in milliseconds; they are not thread-safe except
 * where it is said.  After a failure the lab stands as before, with *error set.
 *
 * Below: libvirt, Open vSwitch, tcpdump.  Above: tests/vm, tests/demo, slice-lab.
 */
#ifndef SLICE_TESTS_LAB_H
#define SLICE_TESTS_LAB_H

#include <stdbool.h>
#include <stdint.h>

#include <gio/gio.h>
#include <json-glib/json-glib.h>

#define LAB_CLUSTER_NAME "web"
#define LAB_CLUSTER_ADDRESS "10.77.0.10"
#define LAB_CLUSTER_ADDRESS6 "fd77::10"
#define LAB_CLUSTER_MAC "52:54:00:77:00:10"
#define LAB_CLIENT_NETWORK "10.77.0.0/24"
#define LAB_SERVICE_BRIDGE "br0"
#define LAB_OWN_BRIDGE "br1"
#define LAB_OWN_ADDRESS "10.78.0.1"

#define LAB_ERROR (lab_error_quark())
GQuark lab_error_quark(void);

typedef enum LabError {
    LAB_ERROR_FAILED,
    LAB_ERROR_TIMEOUT,
    LAB_ERROR_MISSING,          /* something has not been built */
} LabError;

typedef struct Lab Lab;
typedef struct LabHost LabHost;
typedef struct LabVm LabVm;
typedef struct LabClient LabClient;
typedef struct LabCapture LabCapture;
typedef struct LabLink LabLink;
typedef struct LabRelay LabRelay;
typedef struct LabQmp LabQmp;
typedef struct LabBrowser LabBrowser;
typedef struct WebDriver WebDriver;     /* tests/lib/webdriver.h */

/* ---- the lab (lab.c) ---- */

/**
 * lab_isolate: run the rest of this program in namespaces of its own
 *
 * For programs that run in the same place, one after another or at the same
 * time: nothing of one lab is there for another.  To be called before any thread
 * exists.
 */
void lab_isolate(void);

/**
 * lab_new: start the switch, find out about KVM
 * @name: directory below $SLICE_CACHE/lab, emptied first; of programs that run
 *	at the same time the second has NAME-2, and so on
 *
 * Returns NULL where something that it needs is not built or does not start.
 */
Lab *lab_new(const char *name, GError **error);

/** lab_free: end all that was started; accepts NULL. */
void lab_free(Lab *lab);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Lab, lab_free)

/** lab_dir: where logs, captures and saved VMs are; on disk, stays behind. */
const char *lab_dir(Lab *lab);
/** lab_run_dir: where sockets are; short, gone with the lab's namespace. */
const char *lab_run_dir(Lab *lab);
/** lab_build_dir: where this tree's programs are. */
const char *lab_build_dir(Lab *lab);
/** lab_acceleration: "kvm" if a guest really ran under it, else "tcg". */
const char *lab_acceleration(Lab *lab);
/** lab_has_slices: has the QEMU that was built the devices of ours? */
bool lab_has_slices(Lab *lab);
/** lab_kernel: release of a guest kernel, @index 0 or 1; NULL past the last. */
const char *lab_kernel(Lab *lab, unsigned int index);

/**
 * lab_command: run a program to its end
 * @client: in whose network namespace, or NULL for the lab's
 * @ret_output: (nullable): its standard output
 *
 * Fails, with its standard error in the message, where it exits nonzero.
 */
bool lab_command(Lab *lab, LabClient *client, const char *const *argv,
                 char **ret_output, GError **error);

/**
 * lab_spawn: start a program that lives until the lab ends or lab_stop
 * @log: name of a file in the lab's directory for its output
 */
GPid lab_spawn(Lab *lab, LabClient *client, const char *const *argv,
               const char *log, GError **error);
/**
 * lab_spawn_pipes: the same with pipes to its standard input and output
 *
 * Its standard error is the caller's.
 */
GPid lab_spawn_pipes(Lab *lab, LabClient *client, const char *const *argv,
                     int *ret_input, int *ret_output, GError **error);
/** lab_stop: send @signal_number, wait for its end; returns the wait status. */
int lab_stop(Lab *lab, GPid pid, int signal_number);

/** lab_wait_socket: wait until something listens on a unix socket. */
bool lab_wait_socket(const char *path, unsigned int timeout_ms, GError **error);

/* ---- the service network (switch.c) ---- */

/** lab_switch_flow: one rule on the service bridge, in ovs-ofctl's words. */
bool lab_switch_flow(Lab *lab, const char *flow, GError **error);
/** lab_switch_steer: a minimal switch for tests without sliced: ARP and all
 *  clients to one VM, that VM to all clients. */
bool lab_switch_steer(Lab *lab, LabVm *vm, GError **error);
/** lab_switch_dump: the service bridge's flow table, for records. */
char *lab_switch_dump(Lab *lab, GError **error);
/** lab_switch_restart: kill ovs-vswitchd and start it again; it comes back with
 *  its ports and without a rule. */
bool lab_switch_restart(Lab *lab, GError **error);

/* ---- hosts (host.c) ---- */

/** lab_host_new: a libvirtd with directories, processes and /run of its own. */
LabHost *lab_host_new(Lab *lab, const char *name, GError **error);
const char *lab_host_uri(LabHost *host);

/* ---- VMs (vm.c; domain.c has the XML) ---- */

/**
 * struct LabVmSpec - what a VM is
 * @name: of the domain; at most 10 characters
 * @number: 1 .. 99; gives the own address and port numbers
 * @kernel: index for lab_kernel()
 * @slices: with slice-store, gate and device; else an ordinary VM
 * @plain: do not load slice.ko
 * @service_address: of eth0, or NULL for the cluster's
 * @memory_mb: 0 for the default of 256
 * @relay: other engines reach its engine through a relay, see lab_vm_relay
 */
typedef struct LabVmSpec {
    const char *name;
    unsigned int number;
    unsigned int kernel;
    bool slices;
    bool plain;
    const char *service_address;
    unsigned int memory_mb;
    bool relay;
} LabVmSpec;

/** lab_vm_new: define the domain; it does not run yet. */
LabVm *lab_vm_new(LabHost *host, const LabVmSpec *spec, GError **error);
/** lab_vm_boot: start it and return at once; see lab_vm_wait_up. */
bool lab_vm_boot(LabVm *vm, GError **error);
/** lab_vm_wait_up: until Apache and PHP run in it. */
bool lab_vm_wait_up(LabVm *vm, unsigned int timeout_ms, GError **error);
/**
 * lab_vms_ready: have @n VMs saved as they are when they have just come up
 *
 * VMs of the same description that another program of this run of tests has
 * saved ($SLICE_LAB_SAVED, a directory) are taken from there; else they boot,
 * all at the same time.  None runs afterwards.
 */
bool lab_vms_ready(LabVm *const *vms, unsigned int n, GError **error);
/** lab_vm_save: write it to disk as it is now; it does not run afterwards. */
bool lab_vm_save(LabVm *vm, GError **error);
/** lab_vm_restore: run it from where it was saved, ending one that runs. */
bool lab_vm_restore(LabVm *vm, GError **error);
/** lab_vm_destroy: end it at once, as by pulling the plug. */
bool lab_vm_destroy(LabVm *vm, GError **error);

const char *lab_vm_name(LabVm *vm);
const char *lab_vm_own_address(LabVm *vm);
/** lab_vm_service_port: its port on the service bridge. */
const char *lab_vm_service_port(LabVm *vm);

/** lab_vm_relay: the line to its engine; NULL without spec.relay. */
LabRelay *lab_vm_relay(LabVm *vm);
/** lab_vm_pid: of its QEMU while it runs, or 0. */
GPid lab_vm_pid(LabVm *vm);

/** lab_vm_qmp: its own QMP socket, connected on first use; NULL on failure. */
LabQmp *lab_vm_qmp(LabVm *vm, GError **error);

/**
 * lab_vm_run: run a program in the guest to its end
 * @input: (nullable): its standard input
 * @ret_output: (nullable): standard output and error, in the order they came
 * @ret_status: (nullable): wait status; where NULL, a nonzero one is an error
 */
bool lab_vm_run(LabVm *vm, const char *const *argv, const char *input,
                unsigned int timeout_ms, char **ret_output, int *ret_status,
                GError **error);
/** lab_vm_shell: lab_vm_run of `sh -c`; returns the output. */
char *lab_vm_shell(LabVm *vm, const char *script, GError **error);

/** lab_vm_agent: one line of JSON to slice-agent; returns the answer's line. */
char *lab_vm_agent(LabVm *vm, const char *request, GError **error);

/* ---- QMP (qmp.c) ---- */

LabQmp *lab_qmp_new(const char *path, unsigned int timeout_ms, GError **error);
void lab_qmp_free(LabQmp *qmp);
/**
 * lab_qmp_execute: one command
 * @arguments: JSON text of an object, or NULL
 *
 * Returns its "return" value; an error answer becomes *error.
 */
JsonNode *lab_qmp_execute(LabQmp *qmp, const char *command, const char *arguments,
                          GError **error);
/** lab_qmp_wait_event: the next event @name not yet returned. */
JsonObject *lab_qmp_wait_event(LabQmp *qmp, const char *name,
                               unsigned int timeout_ms, GError **error);

/* ---- clients and captures (client.c) ---- */

/** lab_client_new: a network namespace with 10.77.0.<100 + number> and fd77::<100 + number>. */
LabClient *lab_client_new(Lab *lab, unsigned int number, GError **error);
const char *lab_client_name(LabClient *client);
const char *lab_client_address(LabClient *client);
const char *lab_client_address6(LabClient *client);
/** lab_client_port: its port on the service bridge. */
const char *lab_client_port(LabClient *client);
/** lab_client_socket: a TCP socket in the client's namespace; thread-safe. */
int lab_client_socket(LabClient *client, GError **error);
/** lab_client_socket6: the same with IPv6. */
int lab_client_socket6(LabClient *client, GError **error);
/** lab_client_datagram_socket: the same for UDP. */
int lab_client_datagram_socket(LabClient *client, GError **error);
/** lab_client_netns: descriptor of its namespace, borrowed. */
int lab_client_netns(LabClient *client);

/**
 * lab_capture_new: record TCP packets from now on
 * @client: at whose interface, or NULL for @interface of the lab
 * @file: path of the pcap file
 */
LabCapture *lab_capture_new(Lab *lab, LabClient *client, const char *interface,
                            const char *file, GError **error);
/** lab_capture_stop: returns when the file is whole; accepts NULL. */
bool lab_capture_stop(LabCapture *capture, GError **error);

/* ---- links (link.c) ---- */

typedef enum LabLinkWay {
    LAB_LINK_FROM_CLIENT,
    LAB_LINK_TO_CLIENT,
} LabLinkWay;

/**
 * struct LabLinkSettings - what a link does to frames of one direction
 * @cut: nothing passes
 * @delay_ms: that each frame takes
 * @rate_kbit: thousands of bits a second; 0: no limit
 * @loss_permille, @duplicate_permille: of frames
 * @late_permille: of frames that come 10 ms after their turn, out of order
 *
 * All zero: a wire.  Only TCP and UDP over IPv4 is lost, doubled or late.
 */
typedef struct LabLinkSettings {
    bool cut;
    unsigned int delay_ms;
    unsigned int rate_kbit;
    unsigned int loss_permille, duplicate_permille, late_permille;
} LabLinkSettings;

/**
 * struct LabLinkCounts - frames of one direction, since the link was made
 *
 * n_in + n_doubled = n_out + n_cut + n_lost + n_overflowed + n_waiting.
 */
typedef struct LabLinkCounts {
    uint64_t n_in, n_out, n_cut, n_lost, n_doubled, n_late, n_overflowed, n_waiting;
} LabLinkCounts;

/**
 * lab_link_new: put a link between a client and the service bridge
 * @seed: of the link's choices; print it, so that they can be had again
 *
 * The client's interface is made anew, so before it has any connection and
 * before sliced looks for ports.  The link lives as long as the lab.
 */
LabLink *lab_link_new(Lab *lab, LabClient *client, uint64_t seed, GError **error);
/** lab_link_set: from now on, for frames that come; from any thread. */
void lab_link_set(LabLink *link, LabLinkWay way, const LabLinkSettings *settings);
void lab_link_count(LabLink *link, LabLinkWay way, LabLinkCounts *ret_counts);

/* ---- the line between hypervisors (relay.c) ---- */

/**
 * LabRelayMode - what the line to an engine does
 * @LAB_RELAY_WIRE: passes all
 * @LAB_RELAY_CUT: passes nothing and tells nobody
 * @LAB_RELAY_SPOILT: changes a bit of each piece on its way to the engine
 */
typedef enum LabRelayMode {
    LAB_RELAY_WIRE,
    LAB_RELAY_CUT,
    LAB_RELAY_SPOILT,
} LabRelayMode;

/** lab_relay_set: from now on; from any thread. */
void lab_relay_set(LabRelay *relay, LabRelayMode mode);
/** lab_relay_n_spoilt: pieces that were changed so far. */
unsigned int lab_relay_n_spoilt(LabRelay *relay);

/* ---- what applications stand on (share.c, mariadb.c) ---- */

/** lab_nfs_start: serve the shared folder to the VMs; it keeps its files while
 *  it is not served, and starts empty with the lab. */
bool lab_nfs_start(Lab *lab, GError **error);
/** lab_nfs_stop: end the server at once, as by pulling the plug. */
void lab_nfs_stop(Lab *lab);
/** lab_nfs_dir: the shared folder as the lab itself sees it. */
const char *lab_nfs_dir(Lab *lab);
/**
 * lab_vm_share: let a directory of the guest be one of the shared folder
 * @dir: absolute path in the guest; what is in there goes to the shared folder
 *	if that has no directory of the same base name
 *
 * Sets the guest's clock, too.  Not before lab_vm_save: a mount would then be
 * restored whose server has forgotten it.
 */
bool lab_vm_share(LabVm *vm, const char *dir, GError **error);

#define LAB_DATABASE "demo"
#define LAB_DATABASE_USER "demo"
#define LAB_DATABASE_PASSWORD "demo"

/** lab_mariadb_start: an empty table LAB_DATABASE.visits (number, note), at
 *  LAB_OWN_ADDRESS; runs until the lab ends. */
bool lab_mariadb_start(Lab *lab, GError **error);

/* ---- a browser (browser.c) ---- */

/**
 * lab_browser_new: a headless Chromium at a client, as a user without privileges
 *
 * It has a profile of its own and says nothing but what its page makes it say.
 */
LabBrowser *lab_browser_new(LabClient *client, GError **error);
/** lab_browser_free: end it; accepts NULL. */
void lab_browser_free(LabBrowser *browser);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LabBrowser, lab_browser_free)
/** lab_browser_driver: what it is driven by, borrowed. */
WebDriver *lab_browser_driver(LabBrowser *browser);

/* ---- sliced (sliced.c) ---- */

/** lab_sliced_start: with the lab's bridge and @host's domains; ready on return. */
bool lab_sliced_start(Lab *lab, LabHost *host, GError **error);
bool lab_sliced_stop(Lab *lab, int signal_number, GError **error);
/**
 * lab_sliced_start_fault: the same, and let it stop or die at a point of a move
 * @fault: POINT:stop or POINT:kill, as `sliced --list-faults` has them
 */
bool lab_sliced_start_fault(Lab *lab, LabHost *host, const char *fault, GError **error);
/**
 * lab_sliced_wait_fault: until it has come to that point
 * @ret_died: it was killed there and must be started again; else it is stopped
 */
bool lab_sliced_wait_fault(Lab *lab, unsigned int timeout_ms, bool *ret_died, GError **error);
/** lab_sliced_continue: let it go on from there. */
void lab_sliced_continue(Lab *lab);

/** lab_sliced_wait_ready: until @n_vms VMs are ready and get new clients. */
bool lab_sliced_wait_ready(Lab *lab, unsigned int n_vms, GError **error);

/**
 * lab_slicectl: run slicectl
 * @ret_output: (nullable): standard output
 * @ret_status: (nullable): exit status; where NULL, a nonzero one is an error
 */
bool lab_slicectl(Lab *lab, const char *const *args, char **ret_output,
                  int *ret_status, GError **error);

/* ---- slices, as sliced knows them (slices.c) ---- */

/**
 * struct LabSlice - one line of `slicectl slice list`
 * @client_port: of its first connection; 0 while it has none
 * @client_ports: of all its connections, @n_flows of them
 */
typedef struct LabSlice {
    char *id;
    char *vm;
    char *movability;
    char *label;
    uint16_t client_port;
    uint16_t *client_ports;
    unsigned int n_flows;
} LabSlice;

void lab_slice_free(LabSlice *slice);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LabSlice, lab_slice_free)

/** lab_slice_list: (element-type LabSlice). */
GPtrArray *lab_slice_list(Lab *lab, GError **error);
/** lab_slice_find: the slice of the connection from @client_port; waits for it. */
LabSlice *lab_slice_find(Lab *lab, uint16_t client_port, GError **error);
/** lab_slice_find_whole: the same, when it has @n_flows connections; waits for that. */
LabSlice *lab_slice_find_whole(Lab *lab, uint16_t client_port, unsigned int n_flows,
                               GError **error);

/**
 * struct LabMove - how a move ended
 * @result: "moved" or "failed"
 * @error: of a failed one: "busy", "refused", "unreachable", "not-found", "failed"
 * @why: of a failed one: the reason and the step, for people
 * @begin_ns, @end_ns: monotonic, around slicectl
 */
typedef struct LabMove {
    char *result;
    char *error;
    char *why;
    uint64_t bytes;
    int64_t begin_ns, end_ns;
    int exit_status;
} LabMove;

void lab_move_clear(LabMove *move);

/**
 * lab_slice_move: order a move and wait for its end
 *
 * Returns false only if slicectl itself failed; a move that was refused or
 * undone is told in @ret_move.
 */
bool lab_slice_move(Lab *lab, const char *id, const char *target, LabMove *ret_move,
                    GError **error);

#endif /* SLICE_TESTS_LAB_H */
