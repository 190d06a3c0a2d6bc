/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * migrate.h - web1 migrates live, as a whole: what a session's move is compared with
 *
 *      cl1 ─── br0 ─┬─ web1-svc ── web1 at host1 ┐  virsh migrate --live, there
 *                   └─ web1-sv2 ── web1 at host2 ┘  and back
 *
 * host1 and host2 are two libvirtds on this machine, so what differs between two
 * machines (paths of sockets, names of ports, where the engine listens) is given
 * another name at host2 (--xml).
 *
 * sliced does not follow a VM to another host.  It is stopped meanwhile, and for the
 * client the switch is an ordinary learning one, which a VM that has arrived tells of
 * itself by RARP.  The engine at the target holds the packets of the VM's slices until
 * it is told that they are its own (slice-confirm); that is said as soon as the VM
 * runs, and how long it took is told, as a migration without Slice would not need it.
 */
#ifndef SLICE_TESTS_BENCH_MIGRATE_H
#define SLICE_TESTS_BENCH_MIGRATE_H

#include "clicker.h"
#include "stage.h"

/**
 * struct Migration - how web1 went to the other host
 * @begin_ns, @end_ns: monotonic, around virsh
 * @held_ms: from when the VM ran until its slices were confirmed
 * @bytes: that libvirt says were transferred
 */
typedef struct Migration {
    int64_t begin_ns, end_ns;
    double held_ms;
    double bytes;
} Migration;

/** migrate_prepare: sliced stops; @clicker's connection, which is at web1, goes on. */
bool migrate_prepare(Stage *stage, Clicker *clicker, GError **error);
/** migrate_web1: to host2 if @away, else back to host1. */
bool migrate_web1(Stage *stage, bool away, Migration *ret_migration, GError **error);
/** migrate_finish: web1 is at host1; sliced starts, and the switch is its again. */
bool migrate_finish(Stage *stage, GError **error);

#endif /* SLICE_TESTS_BENCH_MIGRATE_H */
