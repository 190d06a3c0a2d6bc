/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * port.h - lines over a virtio-serial port
 *
 * The other end comes and goes with no notice; what it has left unread or half
 * said is of no use to the next one.
 */
#ifndef SLICE_AGENT_PORT_H
#define SLICE_AGENT_PORT_H

#include <glib.h>

typedef struct SlicePort SlicePort;

/* A line has come; what is returned (or NULL) is sent and freed. */
typedef char *(*SlicePortLine)(const char *line, gsize bytes, gpointer data);

/* slice_port_find() - the device file of a port's name, or NULL. */
char *slice_port_find(const char *name);

/**
 * slice_port_new() - serve a port from the main loop
 * @path: of its device file
 * @line: for each line
 * @data: for @line
 *
 * Return: free with slice_port_free(); NULL and @error if it cannot be opened.
 */
SlicePort *slice_port_new(const char *path, SlicePortLine line, gpointer data,
                          GError **error);
void slice_port_free(SlicePort *port);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SlicePort, slice_port_free)

#endif /* SLICE_AGENT_PORT_H */
