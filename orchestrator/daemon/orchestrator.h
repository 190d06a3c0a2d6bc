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
 * @weight: its share of clients and slices against others'
 * @engine: (nullable): while its domain does not run
 */
typedef struct {
    char *name;
    char *uri;
    gboolean running;
    char *port;
    guint weight;
    SliceEngine *engine;
    gboolean greeted; /* its peers and terms have been told it, since it is connected */
} SliceVm;

/**
 * SliceEvent: something happened
 * @kind: 'move' (a step at an engine), 'slice' (appeared, changed, ended), 'vm'
 *	(started, stopped, connected, lost, ready, cordoned, uncordoned)
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
 * slice_orchestrator_plan() - what an order amounts to now; nothing is changed
 *
 * Return: as slice_plan_make(); also NULL with SLICE_ERROR_NOT_FOUND where no slice matches an order that
 * is no drain.
 */
GPtrArray *slice_orchestrator_plan(SliceOrchestrator *orchestrator,
                                   const SliceOrder *order, GError **error);

/* Could it move now?  See slice_plan_verdict(). */
gboolean slice_orchestrator_verdict(SliceOrchestrator *orchestrator,
                                    const SliceEntry *entry, GError **error);

/**
 * slice_orchestrator_start_job() - begin with what an order amounts to
 * @deadline_ms: for each slice, to become quiet and then to be plugged
 * @job_deadline_ms: of a drain; 0: none
 *
 * A drain cordons its VM first.
 *
 * Return: the job; NULL as slice_orchestrator_plan(), with SLICE_ERROR_BUSY where the VM is being drained
 * already, or with the store's error.
 */
const SliceJob *slice_orchestrator_start_job(SliceOrchestrator *orchestrator,
                                             const SliceOrder *order, guint deadline_ms,
                                             guint job_deadline_ms, GError **error);

gboolean slice_orchestrator_is_cordoned(SliceOrchestrator *orchestrator, const char *vm);
/**
 * slice_orchestrator_set_cordon() - from now on (also after a restart) it takes no new sessions, or does
 *
 * Return: FALSE with SLICE_ERROR_NOT_FOUND, SLICE_ERROR_BUSY while it is being drained, or the
 * store's error.
 */
gboolean slice_orchestrator_set_cordon(SliceOrchestrator *orchestrator, const char *vm,
                                       gboolean cordoned, GError **error);

#endif
