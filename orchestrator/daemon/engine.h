/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * engine.h - one VM's slice engine, in the orchestrator's words
 *
 * Turns QMP (contract 5, qapi/slice.json) into entries, replies and steps, and back.  The
 * parsers are pure and check every member.
 *
 * Below: qmp.c.  Above: move.c, orchestrator.c.
 */
#ifndef SLICE_DAEMON_ENGINE_H
#define SLICE_DAEMON_ENGINE_H

#include "qmp.h"
#include "registry.h"

/* In the order of qapi's SliceAnswer. */
typedef enum {
    SLICE_ANSWER_OK,
    SLICE_ANSWER_BUSY,
    SLICE_ANSWER_STALE_ORCHESTRATOR,
    SLICE_ANSWER_NOT_FOUND,
    SLICE_ANSWER_RESUMED,
    SLICE_ANSWER_FORGOTTEN,
    SLICE_ANSWER_NOT_MINE,
    SLICE_ANSWER_IS_OWNER,
    SLICE_ANSWER_REFUSED,
    SLICE_ANSWER_STALE,
} SliceAnswer;

const char *slice_answer_name(SliceAnswer answer);

/**
 * SliceReply: an engine's answer
 * @term: of the slice there, after the command
 * @why, @peer: (nullable)
 */
typedef struct {
    SliceAnswer answer;
    guint64 term;
    const char *why;
    const char *peer;
} SliceReply;

/**
 * SliceEngineInfo: what an engine is (query-slice-store)
 * @stream: (nullable): qapi SocketAddress that others dial
 * @layers: (nullable): array of qapi SliceLayer, passed on as it is
 * @terms_left: of those it may use for moves of its own
 */
typedef struct {
    char *name;
    char *incarnation;
    gboolean guest_ready;
    JsonNode *stream;
    JsonNode *layers;
    guint vnet_header_bytes;
    guint slices;
    guint tombstones;
    guint64 held_packets;
    guint64 dropped_packets;
    guint64 muted_packets;
    guint64 terms_left;
} SliceEngineInfo;

void slice_engine_info_free(SliceEngineInfo *info);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SliceEngineInfo, slice_engine_info_free)

/**
 * SliceStepEvent: a move reached a step (event SLICE_MOVE)
 * @why, @peer: (nullable)
 * @time_us: of the host's monotonic clock
 */
typedef struct {
    const char *id;
    guint64 term;
    const char *step;
    const char *why;
    const char *peer;
    guint64 bytes;
    guint64 packets;
    guint64 time_us;
} SliceStepEvent;

/* Pure.  NULL or FALSE with SLICE_ERROR_INVALID and the member's name. */
SliceEntry *slice_engine_parse_entry(JsonNode *node, const char *vm,
                                     GError **error);
GPtrArray *slice_engine_parse_entries(JsonNode *node, const char *vm,
                                      GError **error);
SliceEngineInfo *slice_engine_parse_info(JsonNode *node, GError **error);
/* @ret_reply's strings are lent by @node. */
gboolean slice_engine_parse_reply(JsonNode *node, SliceReply *ret_reply,
                                  GError **error);
gboolean slice_engine_parse_step(JsonObject *object, SliceStepEvent *ret_event,
                                 GError **error);
/**
 * slice_engine_parse_stream() - 'HOST:PORT' or 'unix:PATH' as SocketAddress
 */
JsonNode *slice_engine_parse_stream(const char *text, GError **error);

typedef struct SliceEngine SliceEngine;

/**
 * SliceEngineHandlers: what an engine tells by itself
 * @synced: connected, and asked: its description and all of its slices
 *	(element-type SliceEntry); again after each reconnection
 * @lost: the connection ended; calls under way have failed before
 * @step: of a move
 * @changed: @entry is lent; @ended: it is no more
 * @lease_low: it has few terms left for moves of its own
 */
typedef struct {
    void (*synced)(SliceEngine *engine, GPtrArray *entries, gpointer data);
    void (*lost)(SliceEngine *engine, const char *why, gpointer data);
    void (*step)(SliceEngine *engine, const SliceStepEvent *event,
                 gpointer data);
    void (*changed)(SliceEngine *engine, const SliceEntry *entry,
                    gboolean ended, gpointer data);
    void (*lease_low)(SliceEngine *engine, gpointer data);
} SliceEngineHandlers;

/**
 * SliceEngineReply: called exactly once
 * @reply: NULL with an error; see SliceQmpReply for what errors mean
 */
typedef void (*SliceEngineReply)(const SliceReply *reply, const GError *error,
                                 gpointer data);

/* @vm: its name; @qmp_path: its monitor's socket */
SliceEngine *slice_engine_new(const char *vm, const char *qmp_path,
                              const SliceEngineHandlers *handlers,
                              gpointer data);
void slice_engine_free(SliceEngine *engine);
void slice_engine_start(SliceEngine *engine);
void slice_engine_stop(SliceEngine *engine);

const char *slice_engine_vm(SliceEngine *engine);
/* Connected, and @synced has been told. */
gboolean slice_engine_is_synced(SliceEngine *engine);
/* Return: (nullable): as last told; NULL while never synced. */
const SliceEngineInfo *slice_engine_info(SliceEngine *engine);
/* Ask again for description and slices; @synced follows. */
void slice_engine_refresh(SliceEngine *engine);
/* Another stream address than the one the engine says; (nullable), copied. */
void slice_engine_set_stream(SliceEngine *engine, JsonNode *stream);
JsonNode *slice_engine_stream(SliceEngine *engine);

/**
 * slice_engine_prepare() - at the target
 * @source: the slice's entry at its source
 * @from: the source's description, for layers and vnet header
 */
void slice_engine_prepare(SliceEngine *engine, guint32 orchestrator,
                          const SliceEntry *source, const SliceEngineInfo *from,
                          guint64 term, guint timeout_ms,
                          SliceEngineReply reply, gpointer data);

/* At the source: QUIESCE; @stream and @target_name say where to. */
void slice_engine_move(SliceEngine *engine, guint32 orchestrator,
                       const char *id, guint64 term, JsonNode *stream,
                       const char *target_name, guint deadline_ms,
                       guint timeout_ms, SliceEngineReply reply, gpointer data);

/* slice-unplug, slice-abort, slice-cancel, slice-takeover */
void slice_engine_order(SliceEngine *engine, const char *command,
                        guint32 orchestrator, const char *id, guint64 term,
                        guint timeout_ms, SliceEngineReply reply,
                        gpointer data);

/* slice-confirm: a restored slice is this VM's still, or is to be discarded. */
void slice_engine_confirm(SliceEngine *engine, guint32 orchestrator,
                          const char *id, guint64 term, gboolean accept,
                          SliceEngineReply reply, gpointer data);

/**
 * SliceEnginePeer: another engine of the cluster
 * @stream: qapi SocketAddress
 */
typedef struct {
    const char *name;
    JsonNode *stream;
} SliceEnginePeer;

/**
 * SliceEngineHeard: an engine has taken what it was told
 * @error: (nullable): SLICE_ERROR_NOT_FOUND from one that does not know the command
 */
typedef void (*SliceEngineHeard)(const GError *error, gpointer data);

/* slice-peers: all other engines; @peers: (element-type SliceEnginePeer) */
void slice_engine_tell_peers(SliceEngine *engine, guint32 orchestrator, GArray *peers,
                             SliceEngineHeard heard, gpointer data);
/* slice-lease: @count terms from @first on are its own, and are on our disk. */
void slice_engine_lease(SliceEngine *engine, guint32 orchestrator, guint64 first,
                        guint32 count, SliceEngineHeard heard, gpointer data);

/**
 * SliceEngineEntry: what the engine says of one slice
 * @entry: (nullable): it does not know it; with @error it was not asked
 */
typedef void (*SliceEngineEntry)(const SliceEntry *entry, const GError *error,
                                 gpointer data);
void slice_engine_query(SliceEngine *engine, const char *id,
                        SliceEngineEntry told, gpointer data);

#endif
