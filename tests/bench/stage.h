/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stage.h - where benchmarks play: a cluster, and VMs beside it to compare with
 *
 *      cl1 ─── br0 ─┬─ web1 ┐  sliced's cluster, of slice-enabled VMs
 *                   ├─ web2 ┘
 *                   ├─ big1 ┐  the same with more memory, for a thousand sessions;
 *                   ├─ big2 ┘  web1 and web2 have ended then
 *      cl2 ─────────┼─ gated   the same image with the devices, but no slice.ko, no
 *                   │          mod_slice, PHP's own session handler
 *                   └─ base    as gated, without the devices
 *
 * gated and base have addresses of their own, and the switch is a wire between each
 * of them and cl2.  What a benchmark does not need is not started.
 */
#ifndef SLICE_TESTS_BENCH_STAGE_H
#define SLICE_TESTS_BENCH_STAGE_H

#include <stdio.h>

#include "http.h"
#include "lab.h"

#define STAGE_TIMEOUT_MS 60000
#define STAGE_BOOT_MS 240000
#define BASE_ADDRESS "10.77.0.20"
#define GATED_ADDRESS "10.77.0.21"

typedef struct Stage {
    Lab *lab;
    LabHost *host;
    LabHost *other_host;        /* NULL until a VM migrates, see migrate.h */
    LabVm *web[2], *big[2], *gated, *base;      /* NULL: not started */
    LabClient *client, *base_client;
} Stage;

/** stage_new: an empty lab. */
Stage *stage_new(GError **error);
/** stage_free: accepts NULL. */
void stage_free(Stage *stage);

/** stage_say: progress, for people, to standard error. */
void stage_say(Stage *stage, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Each of these boots what it names; again: nothing to do. */
bool stage_need_cluster(Stage *stage, GError **error);
bool stage_need_gated(Stage *stage, GError **error);
bool stage_need_base(Stage *stage, GError **error);
/** stage_need_big: and ends web1, web2, gated and base, which are not used again. */
bool stage_need_big(Stage *stage, GError **error);

/** stage_connect: a connection from a client; its errors are the run's. */
HttpConnection *stage_connect(LabClient *client, const char *address, GError **error);

#endif /* SLICE_TESTS_BENCH_STAGE_H */
