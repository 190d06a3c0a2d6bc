/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake-engine-hand.c - what a test does to a stand-in engine and asks it
 */
#include "fake-engine-private.h"

#include <string.h>

void fake_engine_join(FakeEngine *engine, FakeEngine *peer)
{
    g_ptr_array_add(engine->joined, peer);
    g_ptr_array_add(peer->joined, engine);
}

void fake_engine_add(FakeEngine *engine, const char *id, guint client_port)
{
    FakeSlice *slice = g_new0(FakeSlice, 1);

    slice->id = g_strdup(id);
    slice->state = "owner";
    slice->movability = "movable";
    slice->client = g_strdup("192.0.2.99");
    slice->label = g_strdup("bob");
    slice->ports = g_array_new(FALSE, FALSE, sizeof(guint));
    g_array_append_val(slice->ports, client_port);
    g_hash_table_replace(engine->slices, slice->id, slice);
    if (client_port) {
        fake_engine_tell_changed(engine, slice, FALSE);
    }
}

void fake_engine_add_client(FakeEngine *engine, const char *id, const char *client,
                            guint client_port, const char *label)
{
    FakeSlice *slice;

    fake_engine_add(engine, id, 0);
    slice = fake_engine_slice(engine, id);
    g_free(slice->client);
    slice->client = g_strdup(client);
    g_free(slice->label);
    slice->label = g_strdup(label);
    g_array_index(slice->ports, guint, 0) = client_port;
    fake_engine_tell_changed(engine, slice, FALSE);
}

void fake_engine_set_movability(FakeEngine *engine, const char *id,
                                const char *movability, const char *why)
{
    FakeSlice *slice = fake_engine_slice(engine, id);

    slice->movability = movability;
    slice->why = why;
    fake_engine_tell_changed(engine, slice, FALSE);
}

void fake_engine_set_state(FakeEngine *engine, const char *id, const char *state,
                           guint64 term, FakeEngine *peer)
{
    FakeSlice *slice = fake_engine_slice(engine, id);

    slice->state = state;
    slice->term = term;
    slice->peer = peer;
    slice->whole = g_str_equal(state, "plugged");
}

guint64 fake_engine_find(FakeEngine *engine, const char *id, FakeEngine *target)
{
    FakeSlice *slice = fake_engine_slice(engine, id);
    guint64 term;

    g_assert_cmpuint(engine->lease.next, <, engine->lease.end);
    term = engine->lease.next++;
    fake_engine_reserve(target, engine, id, term);
    g_assert_cmpstr(fake_engine_begin_move(engine, id, term, target), ==, "ok");
    if (engine->alive && target->alive && !g_strcmp0(slice->state, "moving")) {
        fake_engine_unplug(engine, id, term);
    }
    return term;
}

void fake_engine_tell_failed(FakeEngine *engine, const char *id, guint64 term, const char *why)
{
    fake_engine_tell_step(engine, id, term, "failed", why);
}

void fake_engine_lease_low(FakeEngine *engine)
{
    fake_engine_say_all(engine, "{\"event\": \"SLICE_LEASE_LOW\", \"data\": {\"terms-left\": 3}}");
}

guint64 fake_engine_leased(FakeEngine *engine)
{
    return engine->lease.next;
}

const char *fake_engine_peers(FakeEngine *engine)
{
    return engine->peers ? engine->peers : "";
}

gboolean fake_engine_seen(FakeEngine *engine, const char *command)
{
    return g_hash_table_contains(engine->seen, command);
}

void fake_engine_forgive(FakeEngine *engine)
{
    g_hash_table_remove_all(engine->answers);
    g_hash_table_remove_all(engine->silent);
    g_hash_table_remove_all(engine->deadly);
    g_clear_pointer(&engine->refusal, g_free);
}

void fake_engine_add_flow(FakeEngine *engine, const char *id, guint client_port)
{
    FakeSlice *slice = fake_engine_slice(engine, id);

    g_array_append_val(slice->ports, client_port);
    fake_engine_tell_changed(engine, slice, FALSE);
}

void fake_engine_fence(FakeEngine *engine, const char *id)
{
    fake_engine_slice(engine, id)->fenced = TRUE;
}

gboolean fake_engine_is_fenced(FakeEngine *engine, const char *id)
{
    return fake_engine_slice(engine, id)->fenced;
}

void fake_engine_end(FakeEngine *engine, const char *id)
{
    fake_engine_tell_changed(engine, fake_engine_slice(engine, id), TRUE);
    g_hash_table_remove(engine->slices, id);
}

const char *fake_engine_state(FakeEngine *engine, const char *id)
{
    FakeSlice *slice = fake_engine_slice(engine, id);

    return slice ? slice->state : NULL;
}

guint64 fake_engine_term(FakeEngine *engine, const char *id)
{
    FakeSlice *slice = fake_engine_slice(engine, id);

    return slice ? slice->term : 0;
}

guint fake_engine_orchestrator(FakeEngine *engine)
{
    return engine->orchestrator;
}

void fake_engine_set_orchestrator(FakeEngine *engine, guint orchestrator)
{
    engine->orchestrator = orchestrator;
}

void fake_engine_answer(FakeEngine *engine, const char *at, const char *answer,
                        const char *why)
{
    FakeAnswer *fault = g_new0(FakeAnswer, 1);

    fault->answer = g_strdup(answer);
    fault->why = g_strdup(why);
    g_hash_table_replace(engine->answers, g_strdup(at), fault);
}

void fake_engine_stay_silent(FakeEngine *engine, const char *at)
{
    g_hash_table_add(engine->silent, g_strdup(at));
}

void fake_engine_die_at(FakeEngine *engine, const char *at)
{
    g_hash_table_add(engine->deadly, g_strdup(at));
}

void fake_engine_refuse_image(FakeEngine *engine, const char *why)
{
    g_free(engine->refusal);
    engine->refusal = g_strdup(why);
}

gboolean fake_engine_is_alive(FakeEngine *engine)
{
    return engine->alive;
}

void fake_engine_set_ready(FakeEngine *engine, gboolean ready)
{
    engine->ready = ready;
    fake_engine_say_all(engine, ready ? "{\"event\": \"SLICE_GUEST\", \"data\":"
                            " {\"ready\": true, \"incarnation\": \"1\"}}"
                          : "{\"event\": \"SLICE_GUEST\", \"data\":"
                            " {\"ready\": false, \"incarnation\": \"1\"}}");
}
