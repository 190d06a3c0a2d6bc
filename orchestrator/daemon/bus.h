/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bus.h - the control interface: D-Bus, peer to peer, on a unix socket of our own
 *
 * The reference is data/org.slice.Orchestrator1.xml.
 *
 * Below: GDBus.  Above: main.c.
 */
#ifndef SLICE_DAEMON_BUS_H
#define SLICE_DAEMON_BUS_H

#include "orchestrator.h"

#define SLICE_BUS_PATH "/org/slice/Orchestrator1"

typedef struct SliceBus SliceBus;

/**
 * slice_bus_new() - listen
 * @socket: path; a socket that nobody listens on is replaced
 *
 * Return: NULL with SLICE_ERROR_BUSY where somebody listens already,
 * otherwise with GIO's error.
 */
SliceBus *slice_bus_new(const char *socket, GError **error);
void slice_bus_free(SliceBus *bus);

/* From now on clients are taken; before, they wait. */
void slice_bus_serve(SliceBus *bus, SliceOrchestrator *orchestrator);

/* To everybody who is connected. */
void slice_bus_tell_event(SliceBus *bus, const SliceEvent *event);
void slice_bus_tell_job(SliceBus *bus, const SliceJob *job,
                        const SliceJobItem *item);

#endif
