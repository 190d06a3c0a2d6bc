/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake-engine-private.h - between the stand-in engine (fake-engine.c) and the hand that tests lend it
 * (fake-engine-hand.c)
 */
#ifndef FAKE_ENGINE_PRIVATE_H
#define FAKE_ENGINE_PRIVATE_H

#include "fake-engine.h"

typedef struct {
    char *id;
    const char *state;
    guint64 term;
    char *client;
    char *label;
    const char *movability, *why;
    GArray *ports;
    FakeEngine *peer; /* of its move; NULL: none */
    gboolean whole;   /* its image has arrived */
    gboolean fenced;
} FakeSlice;

/* Terms for moves of its own. */
typedef struct {
    guint64 next, end;
} FakeLease;

typedef struct {
    char *answer;
    char *why;
} FakeAnswer;

struct FakeEngine {
    char *name;
    char *path;
    GString *log;
    GSocketService *service;
    GPtrArray *connections;
    GPtrArray *joined;
    GHashTable *slices;
    GHashTable *answers;
    GHashTable *silent;
    GHashTable *deadly;
    GHashTable *seen; /* commands */
    char *refusal;
    guint orchestrator;
    FakeLease lease;
    char *peers;
    gboolean ready;
    gboolean alive;
    GQueue *unread; /* of FakeUnread, while it is frozen; else NULL */
};

void fake_engine_say_all(FakeEngine *engine, const char *text);
/* Return: (nullable) */
FakeSlice *fake_engine_slice(FakeEngine *engine, const char *id);
void fake_engine_tell_step(FakeEngine *engine, const char *id, guint64 term,
                           const char *step, const char *why);
void fake_engine_tell_changed(FakeEngine *engine, const FakeSlice *slice, gboolean ended);

/* Steps of a move, as commands or a find begin them. */
void fake_engine_reserve(FakeEngine *engine, FakeEngine *source, const char *id, guint64 term);
const char *fake_engine_begin_move(FakeEngine *engine, const char *id, guint64 term,
                                   FakeEngine *target);
const char *fake_engine_unplug(FakeEngine *engine, const char *id, guint64 term);

#endif
