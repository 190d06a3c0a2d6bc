/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * orchestrator.h - the parts of sliced put together
 *
 * Knows the VMs (from libvirt or the configuration), keeps an engine for each that runs, feeds
 * the registry, the network and the mover with what they tell, and tells events on.
 *
 * Below: domain.c, engine.c, registry.c, network.c, move.c, job.c, store.c.  Above: bus.c, main.c.
 */
#ifndef SLICE_DAEMON_ORCHESTRATOR_H
#define SLICE_DAEMON_ORCHESTRATOR_H

#include "config.h"
#include "job.h"
#include "network.h"

/**
 * SliceVm: a VM, read-only for others
 * @port: (nullable)
 * @engine: (nullable): while its domain does not run
 */
typedef struct {
    char *name;
    char *uri;
    gboolean running;
    char *port;
    SliceEngine *engine;
} SliceVm;

/**
 * SliceEvent: something happened
 * @kind: 'move' (a step at an engine), 'slice' (appeared, changed, ended), 'vm'
 *	(started, stopped, connected, lost, ready)
 * @slice, @step, @why: (nullable)
 * @time_us: since the epoch
 */
typedef struct {
    gint64 time_us;
    const char *kind;
    const char *vm;
    const char *slice;
    guint64 term;
    const char *step;
    const char *why;
    guint64 bytes;
    guint64 packets;
} SliceEvent;

typedef struct {
    void (*event)(const SliceEvent *event, gpointer data);
    void (*job)(const SliceJob *job, const SliceJobItem *item, gpointer data);
} SliceOrchestratorHandlers;

typedef struct SliceOrchestrator SliceOrchestrator;

/**
 * slice_orchestrator_new() - open the store, begin to connect to everything
 *
 * Return: NULL with the store's error.
 */
SliceOrchestrator *slice_orchestrator_new(const SliceConfig *config,
                                          const SliceOrchestratorHandlers *handlers,
                                          gpointer data, GError **error);
void slice_orchestrator_free(SliceOrchestrator *orchestrator);

const SliceConfig *slice_orchestrator_config(SliceOrchestrator *orchestrator);
guint32 slice_orchestrator_incarnation(SliceOrchestrator *orchestrator);
SliceRegistry *slice_orchestrator_registry(SliceOrchestrator *orchestrator);
SliceNetwork *slice_orchestrator_network(SliceOrchestrator *orchestrator);
SliceJobs *slice_orchestrator_jobs(SliceOrchestrator *orchestrator);
guint slice_orchestrator_moving(SliceOrchestrator *orchestrator);

/* Return: (transfer container) (element-type SliceVm): by name. */
GPtrArray *slice_orchestrator_vms(SliceOrchestrator *orchestrator);
/* Return: NULL with SLICE_ERROR_NOT_FOUND. */
const SliceVm *slice_orchestrator_vm(SliceOrchestrator *orchestrator,
                                     const char *name, GError **error);

/**
 * slice_orchestrator_move() - begin to move slices to a VM
 * @patterns: see slice_registry_find(); two for one slice count once
 *
 * Return: the job; NULL with SLICE_ERROR_NOT_FOUND, SLICE_ERROR_INVALID.
 */
const SliceJob *slice_orchestrator_move(SliceOrchestrator *orchestrator,
                                        const char *const *patterns,
                                        const char *target, guint deadline_ms,
                                        GError **error);

#endif
