/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * orchestrator-private.h - between orchestrator.c (VMs and what they tell), orders.c (what operators want)
 * and adopt.c (moves that engines make)
 */
#ifndef SLICE_DAEMON_ORCHESTRATOR_PRIVATE_H
#define SLICE_DAEMON_ORCHESTRATOR_PRIVATE_H

#include "lease.h"
#include "orchestrator.h"

struct SliceOrchestrator {
    const SliceConfig *config;
    const SliceOrchestratorHandlers *handlers;
    gpointer data;
    SliceStore *store;
    SliceRegistry *registry;
    SliceNetwork *network;
    SliceMover *mover;
    SliceJobs *jobs;
    SliceDomains *domains;
    GHashTable *vms;      /* name -> SliceVm */
    GHashTable *cordoned; /* set of names, as on disk; also of VMs that are not there */
    gboolean listed;
    gboolean started;
    gboolean resumed; /* jobs of earlier incarnations */
    guint start_timer;
    guint steering;   /* idle: clients whose slices have changed */
    guint lease_timer;
};

/* Of a VM that is connected and synced, or NULL. */
SliceEngine *slice_orchestrator_engine(SliceOrchestrator *self, const char *vm);
/* Its place in the switch follows what is known of it. */
void slice_orchestrator_place(SliceOrchestrator *self, SliceVm *vm);

/* New connections of the clients concerned are led to where all their sessions are, if they are. */
void slice_orchestrator_registry_changed(SliceOrchestrator *self);
void slice_orchestrator_tell_vm(SliceOrchestrator *self, const char *vm,
                                const char *step, const char *why);

/* orders.c: for job.c */
GPtrArray *slice_orchestrator_plan_for(const SliceOrder *order, GHashTable *avoid,
                                       gpointer self, GError **error);

/* A step of a move that no mover of ours makes: rules follow, a stuck one is resolved. */
void slice_adopt_step(SliceOrchestrator *self, const char *vm, const SliceStepEvent *step);
/* @vm died, its slices are still in the registry: moves of engines with it are resolved. */
void slice_adopt_lost(SliceOrchestrator *self, const char *vm);
/* At the start: those whose other VM is not there. */
void slice_adopt_all(SliceOrchestrator *self);
/* @vm is heard of: what it has kept of moves that were undone without it is cancelled. */
void slice_adopt_cancel(SliceOrchestrator *self, const char *vm);

#endif
