/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake-engine.h - a stand-in for QEMU with a slice engine: QMP on a unix socket
 *
 * Keeps a table as docs/specs/ownership.md says, without a guest: an unplugged slice arrives at its
 * target at once.  Faults are named after a command that arrives or a step that is to be told.
 * Runs in the main loop of the test.
 */
#ifndef FAKE_ENGINE_H
#define FAKE_ENGINE_H

#include <gio/gio.h>

typedef struct FakeEngine FakeEngine;

/**
 * fake_engine_new() - listen
 * @log: (nullable): 'NAME COMMAND' is appended for each command of a move,
 *	separated by ', '
 */
FakeEngine *fake_engine_new(const char *name, const char *path, GString *log);
void fake_engine_free(FakeEngine *engine);

/* Slices can leave @engine for @peer, and the other way. */
void fake_engine_join(FakeEngine *engine, FakeEngine *peer);

/* A slice of client 192.0.2.99:@client_port; 'owner' with term 0. */
void fake_engine_add(FakeEngine *engine, const char *id, guint client_port);
/* The same of another client, whom the application calls @label. */
void fake_engine_add_client(FakeEngine *engine, const char *id, const char *client,
                            guint client_port, const char *label);
/* @movability, @why: static; @why (nullable) */
void fake_engine_set_movability(FakeEngine *engine, const char *id,
                                const char *movability, const char *why);
/* In the middle of a move with @peer, without telling. */
void fake_engine_set_state(FakeEngine *engine, const char *id, const char *state,
                           guint64 term, FakeEngine *peer);
/* Another connection of the client. */
void fake_engine_add_flow(FakeEngine *engine, const char *id, guint client_port);
/* As if its VM had been restored: 'fenced' until slice-confirm. */
void fake_engine_fence(FakeEngine *engine, const char *id);
gboolean fake_engine_is_fenced(FakeEngine *engine, const char *id);
/* It ends by itself. */
void fake_engine_end(FakeEngine *engine, const char *id);

/* Return: (nullable): 'owner', 'gone' ...; NULL: never seen. */
const char *fake_engine_state(FakeEngine *engine, const char *id);
guint64 fake_engine_term(FakeEngine *engine, const char *id);
/**
 * fake_engine_find() - the engine moves a slice by itself, as after a find
 *
 * Return: the term, of those it was given.
 */
guint64 fake_engine_find(FakeEngine *engine, const char *id, FakeEngine *target);
/* It has taken too long, and cannot undo it by itself. */
void fake_engine_tell_failed(FakeEngine *engine, const char *id, guint64 term, const char *why);
void fake_engine_lease_low(FakeEngine *engine);
/* The next term that it would use; 0: none was given. */
guint64 fake_engine_leased(FakeEngine *engine);
/* Names of its peers as it was told, separated by commas. */
const char *fake_engine_peers(FakeEngine *engine);

/* Has this command arrived? */
gboolean fake_engine_seen(FakeEngine *engine, const char *command);

/* Highest orchestrator incarnation seen. */
guint fake_engine_orchestrator(FakeEngine *engine);
/* A newer one has been here. */
void fake_engine_set_orchestrator(FakeEngine *engine, guint orchestrator);

/* Faults: @at is a command or a step; each works until the engine is freed. */
void fake_engine_answer(FakeEngine *engine, const char *at, const char *answer,
                        const char *why);
void fake_engine_stay_silent(FakeEngine *engine, const char *at);
void fake_engine_die_at(FakeEngine *engine, const char *at);
/* The guest does not take the image. */
void fake_engine_refuse_image(FakeEngine *engine, const char *why);

/* Reads nothing, as a stopped QEMU; then what it was sent meanwhile. */
void fake_engine_freeze(FakeEngine *engine);
void fake_engine_thaw(FakeEngine *engine);

/* No faults any more. */
void fake_engine_forgive(FakeEngine *engine);

/* Now: closes everything, as a killed QEMU does. */
void fake_engine_die(FakeEngine *engine);
gboolean fake_engine_is_alive(FakeEngine *engine);

void fake_engine_set_ready(FakeEngine *engine, gboolean ready);

#endif
