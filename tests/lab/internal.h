/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * internal.h - what the lab's own files share; tests do not look in here
 */
#ifndef SLICE_TESTS_LAB_INTERNAL_H
#define SLICE_TESTS_LAB_INTERNAL_H

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "lab.h"

/* What a slow machine needs; nothing waits this long where all is well. */
#define LAB_TIMEOUT_MS 30000
#define LAB_BOOT_TIMEOUT_MS 180000

struct Lab {
    char *dir;                  /* $SLICE_CACHE/lab/<name>, or <name>-<lane> */
    int lock;                   /* on dir */
    char *run_dir;              /* /var/lib/slice-lab */
    char *place;                /* a link to dir, the same in every lane */
    char *cache;                /* $SLICE_CACHE */
    char *build;                /* $SLICE_BUILD */
    char *emulator;
    char *image;                /* $SLICE_CACHE/image */
    char **kernels;             /* releases */
    bool kvm;
    bool has_slices;
    GHashTable *children;       /* GPid, set */
    GPtrArray *hosts;
    GPtrArray *clients;
    GPtrArray *links;
    GPid sliced;
    GPid nfs;
    GPid vswitchd;
};

struct LabHost {
    Lab *lab;
    char *name;
    char *dir;                  /* below the lab's run_dir */
    char *uri;
    virConnectPtr connection;
    GPtrArray *vms;
};

/* What domain.c makes the XML from. */
typedef struct LabDomain {
    LabVmSpec spec;
    const char *type;           /* "kvm", "qemu" */
    const char *emulator;
    const char *kernel, *initramfs, *debian, *product;
    const char *console_log;
    const char *hand_socket, *agent_socket, *qmp_socket;
    const char *lab_qmp_socket;
    unsigned int stream_port;   /* where the engine listens, on loopback */
    unsigned int reach_port;    /* where others reach it: that, or a relay's */
    const char *service_port, *own_port, *own_address;
} LabDomain;

/** lab_domain_xml: pure; the caller frees. */
char *lab_domain_xml(const LabDomain *domain);

/** lab_switch_start: ovsdb-server, ovs-vswitchd, both bridges. */
bool lab_switch_start(Lab *lab, GError **error);

/** lab_kvm_probe: does a guest run under KVM here? Remembered for this boot. */
bool lab_kvm_probe(Lab *lab);

void lab_host_free(LabHost *host);
/** lab_host_hang_up: let go of the VMs' channels, so that others may use them. */
void lab_host_hang_up(LabHost *host);
void lab_vm_free(LabVm *vm);
void lab_vm_hang_up(LabVm *vm);
void lab_client_free(LabClient *client);
/** lab_client_mac: of its eth0; the caller frees. */
char *lab_client_mac(LabClient *client);
void lab_link_free(LabLink *link);
/** lab_relay_new: from @port to @engine_port, both on loopback. */
LabRelay *lab_relay_new(uint16_t port, uint16_t engine_port, GError **error);
void lab_relay_free(LabRelay *relay);
Lab *lab_client_lab(LabClient *client);

/** lab_slicectl_full: run slicectl; all outputs are set where it could be run. */
bool lab_slicectl_full(Lab *lab, const char *const *args, char **ret_output, char **ret_errors,
                       int *ret_status, GError **error);

/* ---- the hand (hand.c): programs in a guest ---- */

typedef struct LabHand LabHand;
/** lab_hand_new: returns when the guest has answered. */
LabHand *lab_hand_new(const char *path, unsigned int timeout_ms, GError **error);
void lab_hand_free(LabHand *hand);
bool lab_hand_run(LabHand *hand, const char *const *argv, const char *input,
                  unsigned int timeout_ms, char **ret_output, int *ret_status,
                  GError **error);

/* ---- deadlines (lab.c) ---- */

/** A point in time, of the monotonic clock, in microseconds. */
static inline gint64 lab_deadline(unsigned int timeout_ms)
{
    return g_get_monotonic_time() + timeout_ms * 1000LL;
}

/** lab_poll: until @fd has @events or the deadline passes (LAB_ERROR_TIMEOUT). */
bool lab_poll(int fd, short events, gint64 deadline, const char *what, GError **error);
/** lab_connect_unix: a connected descriptor or -1; waits for the listener. */
int lab_connect_unix(const char *path, gint64 deadline, GError **error);

/** lab_wait_tcp: until something listens; in the lab's own network namespace. */
bool lab_wait_tcp(const char *address, uint16_t port, unsigned int timeout_ms, GError **error);

#endif /* SLICE_TESTS_LAB_INTERNAL_H */
