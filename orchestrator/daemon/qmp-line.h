/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qmp-line.h - bytes of a monitor into lines, lines into messages
 *
 * Whoever is at the other end may be anybody: lines, nesting and types are checked before they are
 * believed.  Pure.
 *
 * Above: qmp.c.
 */
#ifndef SLICE_DAEMON_QMP_LINE_H
#define SLICE_DAEMON_QMP_LINE_H

#include <gio/gio.h>
#include <json-glib/json-glib.h>

/* A table of 100,000 slices fits; a longer line is not QEMU talking. */
#define SLICE_QMP_LINE_BYTES_MAX (64u << 20)
/* Ours are 6 deep; the parser of JSON goes down the stack with each level. */
#define SLICE_QMP_DEPTH_MAX 64

/* Bytes that have come, not all of them taken yet. */
typedef struct {
    GByteArray *bytes;
    gsize taken;   /* before it: lines that were given out */
    gsize scanned; /* between them and it: no newline */
} SliceQmpBytes;

void slice_qmp_bytes_init(SliceQmpBytes *bytes);
void slice_qmp_bytes_clear(SliceQmpBytes *bytes);

/* Return: FALSE where the line that is not at its end yet is longer than any of QEMU's. */
gboolean slice_qmp_bytes_put(SliceQmpBytes *bytes, const void *data, gsize n);

/* Return: (nullable) (transfer full): the next whole line, without its newline; NULs in it end it. */
char *slice_qmp_bytes_next(SliceQmpBytes *bytes);

typedef enum {
    SLICE_QMP_GREETING,
    SLICE_QMP_EVENT,
    SLICE_QMP_RETURN,
    SLICE_QMP_ERROR,
    SLICE_QMP_OTHER, /* nothing that concerns us */
} SliceQmpKind;

/**
 * SliceQmpMessage: one line
 * @id: of the call that is answered; 0: none of ours
 * @name: of an event
 * @data: (nullable): of an event
 * @result: of a return
 * @class, @words: of an error, never NULL there
 *
 * All is lent by @root.
 */
typedef struct {
    SliceQmpKind kind;
    guint64 id;
    const char *name;
    JsonObject *data;
    JsonNode *result;
    const char *class, *words;
    JsonNode *root;
} SliceQmpMessage;

/**
 * slice_qmp_message_parse() - understand a line
 *
 * Return: FALSE with the reason (static) where it is no JSON object, or nested too deep.
 */
gboolean slice_qmp_message_parse(SliceQmpMessage *message, const char *line,
                                 const char **ret_why);
void slice_qmp_message_clear(SliceQmpMessage *message);

#endif
