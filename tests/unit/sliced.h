/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sliced.h - a real sliced with stand-in engines and a real switch, and slicectl beside it
 *
 *   slicectl ── socket ── sliced ──┬── web1, web2 (, web3): stand-in engines of this program
 *                                  └── br0: a real switch with a dummy datapath
 */
#ifndef TEST_SLICED_H
#define TEST_SLICED_H

#include <json-glib/json-glib.h>

#include "fake-engine.h"
#include "ovs.h"

#define SLICED_VMS_MAX 3

/**
 * Sliced: one cluster
 * @out, @err, @status: of the last slicectl
 */
typedef struct {
    Ovs *ovs;
    guint n_vms;
    char *folder;
    char *config;
    FakeEngine *fake[SLICED_VMS_MAX];
    GSubprocess *process;
    char *out, *err;
    int status;
    gboolean done;
} Sliced;

/* Engines that have no slice yet, and no sliced. */
void sliced_prepare(Sliced *f, Ovs *ovs, guint n_vms);
void sliced_clear(Sliced *f);

/* Return: (transfer full): of a file of the cluster's: 'sliced.log', 'sliced.sock' ... */
char *sliced_path(Sliced *f, const char *name);

/**
 * sliced_start() - start it
 * @fault: (nullable): for SLICED_FAULT
 *
 * Returns at once.
 */
void sliced_start(Sliced *f, const char *fault);
/* Until so many VMs take new clients. */
void sliced_wait_ready(Sliced *f, guint n_ready);
/* Until the switch has what sliced has decided so far. */
void sliced_wait_switch(Sliced *f);
void sliced_stop(Sliced *f);
/* By SIGSTOP, a fault's or another. */
gboolean sliced_is_stopped(Sliced *f);
/* As by SIGKILL. */
void sliced_kill(Sliced *f);
/* Until it has ended by itself (a fault): asserts that it said so. */
void sliced_wait_killed(Sliced *f, const char *point);

/* Return: what runs; collect it once. */
GSubprocess *sliced_spawn_ctl(Sliced *f, const char *arguments);
void sliced_collect(Sliced *f, GSubprocess *process);
/* The same without waiting: @f's done tells. */
void sliced_collect_later(Sliced *f, GSubprocess *process);

/* Return: exit status; what it printed is in @f. */
int sliced_ctl(Sliced *f, const char *arguments);
/* Return: (transfer full): what it printed, parsed. */
JsonNode *sliced_json(Sliced *f, const char *arguments);
/* Return: first object of an array. */
JsonObject *sliced_first(JsonNode *node);

#endif
