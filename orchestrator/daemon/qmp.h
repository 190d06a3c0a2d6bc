/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qmp.h - one QEMU's monitor: commands, answers, events, its death
 *
 * The socket is ours alone and stays open: a command and its answer cost a quarter of a
 * millisecond, and the end of the connection is the earliest sign that the VM died.
 *
 * While started it connects, and connects again after the connection ended, as long as
 * somebody wants it to (a VM's domain runs).  All callbacks come from the
 * thread-default main context of slice_qmp_new(); none after slice_qmp_free().
 *
 * Below: GSocketConnection, JSON-GLib.  Above: engine.c.
 */
#ifndef SLICE_DAEMON_QMP_H
#define SLICE_DAEMON_QMP_H

#include <gio/gio.h>
#include <json-glib/json-glib.h>

typedef struct SliceQmp SliceQmp;

/**
 * SliceQmpHandlers: what the connection tells by itself
 * @connected: greeted and ready for commands
 * @lost: after all commands under way have failed; @why as text
 * @event: @data is (nullable) and lent
 */
typedef struct {
    void (*connected)(gpointer data);
    void (*lost)(const char *why, gpointer data);
    void (*event)(const char *name, JsonObject *event_data, gpointer data);
} SliceQmpHandlers;

/**
 * SliceQmpReply: called exactly once for each command
 * @result: (nullable): lent; what 'return' holds
 * @error: (nullable): SLICE_ERROR_UNREACHABLE when the connection ended first, SLICE_ERROR_BUSY
 *	when @timeout_ms had passed (a late answer is then ignored), SLICE_ERROR_FAILED with
 *	QEMU's words, SLICE_ERROR_NOT_FOUND for an unknown command
 */
typedef void (*SliceQmpReply)(JsonNode *result, const GError *error,
                              gpointer data);

SliceQmp *slice_qmp_new(const char *name, const char *path,
                        const SliceQmpHandlers *handlers, gpointer data);
/* Commands under way fail first. */
void slice_qmp_free(SliceQmp *qmp);

void slice_qmp_start(SliceQmp *qmp);
/* Closes; commands under way fail, @lost is not called. */
void slice_qmp_stop(SliceQmp *qmp);
gboolean slice_qmp_is_connected(SliceQmp *qmp);

/**
 * slice_qmp_call() - send a command
 * @arguments: (nullable) (transfer full)
 * @timeout_ms: 0 waits as long as the connection lives
 */
void slice_qmp_call(SliceQmp *qmp, const char *command, JsonObject *arguments,
                    guint timeout_ms, SliceQmpReply reply, gpointer data);

#endif
