// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * record.c - reads what a demo wrote down
 */
#include "record.h"

#include "lines.h"

static void clear_request(gpointer opaque)
{
    DemoRequest *request = opaque;

    g_free(request->page);
    g_free(request->vm);
}

static void free_session(gpointer opaque)
{
    DemoSession *session = opaque;

    if (session) {
        g_free(session->kind);
        g_free(session->error);
        g_array_unref(session->requests);
        g_free(session);
    }
}

static void clear_move(gpointer opaque)
{
    DemoMove *move = opaque;

    g_free(move->slice);
    g_free(move->source);
    g_free(move->target);
    g_free(move->result);
}

static DemoSession *find_session(DemoRecord *record, const char *number)
{
    uint64_t n = g_ascii_strtoull(number, NULL, 10);

    return n < record->sessions->len ? g_ptr_array_index(record->sessions, n) : NULL;
}

static int64_t ns(const char *word)
{
    return g_ascii_strtoll(word, NULL, 10);
}

static bool take_clock(gpointer opaque, char **words)
{
    DemoRecord *record = opaque;
    bool first = record->clock_ns[0] == 0;

    record->clock_ns[1] = ns(words[1]);
    record->offset_ns[1] = ns(words[2]) - ns(words[1]);
    if (first) {
        record->clock_ns[0] = record->clock_ns[1];
        record->offset_ns[0] = record->offset_ns[1];
    }
    return true;
}

static bool take_session(gpointer opaque, char **words)
{
    DemoRecord *record = opaque;
    DemoSession *session;

    if (g_ascii_strtoull(words[1], NULL, 10) != record->sessions->len) {
        return false;
    }
    session = g_new0(DemoSession, 1);
    session->number = record->sessions->len;
    session->kind = g_strdup(words[2]);
    session->port = g_ascii_strtoull(words[3], NULL, 10);
    session->requests = g_array_new(FALSE, FALSE, sizeof(DemoRequest));
    g_array_set_clear_func(session->requests, clear_request);
    g_ptr_array_add(record->sessions, session);
    return true;
}

static bool take_request(gpointer opaque, char **words)
{
    DemoRecord *record = opaque;
    DemoSession *session = find_session(record, words[1]);
    DemoRequest request;

    if (!session) {
        return false;
    }
    request = (DemoRequest) {
        .session = session->number,
        .seq = g_ascii_strtoull(words[2], NULL, 10),
        .page = g_strdup(words[3]),
        .sent_ns = ns(words[4]),
        .first_ns = ns(words[5]),
        .done_ns = ns(words[6]),
        .gap_ns = ns(words[7]),
        .counter = g_ascii_strtoull(words[8], NULL, 10),
        .vm = g_strdup(words[9]),
        .bytes = g_ascii_strtoull(words[10], NULL, 10),
    };
    g_array_append_val(session->requests, request);
    return true;
}

static bool take_error(gpointer opaque, char **words)
{
    DemoRecord *record = opaque;
    DemoSession *session = find_session(record, words[1]);

    if (session && !session->error) {
        session->error = g_strdup(words[3]);
    }
    return session != NULL;
}

static bool take_closed(gpointer opaque, char **words)
{
    DemoRecord *record = opaque;
    DemoSession *session = find_session(record, words[1]);

    if (session) {
        session->closed_ns = ns(words[2]);
        session->n_requests = g_ascii_strtoull(words[3], NULL, 10);
    }
    return session != NULL;
}

static bool take_move(gpointer opaque, char **words)
{
    DemoRecord *record = opaque;
    DemoMove move = {
        .seq = g_ascii_strtoull(words[1], NULL, 10),
        .session = g_ascii_strtoull(words[2], NULL, 10),
        .slice = g_strdup(words[3]),
        .source = g_strdup(words[4]),
        .target = g_strdup(words[5]),
        .begin_ns = ns(words[6]),
        .end_ns = ns(words[7]),
        .result = g_strdup(words[8]),
        .bytes = g_ascii_strtoull(words[9], NULL, 10),
    };

    g_array_append_val(record->moves, move);
    return true;
}

static bool take_destroy(gpointer opaque, char **words)
{
    DemoRecord *record = opaque;

    g_free(record->destroyed);
    record->destroyed = g_strdup(words[1]);
    record->destroyed_ns = ns(words[2]);
    return true;
}

static bool take_tail(gpointer opaque, char **words)
{
    DemoRecord *record = opaque;

    record->n_tail = g_ascii_strtoull(words[1], NULL, 10);
    return true;
}

static bool take_wanted(gpointer opaque, char **words)
{
    DemoRecord *record = opaque;

    record->n_wanted = g_ascii_strtoull(words[1], NULL, 10);
    return true;
}

static const LineKind kinds[] = {
    { "clock", 3, take_clock },
    { "session", 4, take_session },
    { "request", 11, take_request },
    { "error", 4, take_error },
    { "closed", 4, take_closed },
    { "move", 10, take_move },
    { "destroy", 3, take_destroy },
    { "tail", 2, take_tail },
    { "wanted", 2, take_wanted },
    { NULL }
};

DemoRecord *demo_record_read(const char *dir, GError **error)
{
    g_autoptr(DemoRecord) record = g_new0(DemoRecord, 1);

    record->sessions = g_ptr_array_new_with_free_func(free_session);
    record->moves = g_array_new(FALSE, FALSE, sizeof(DemoMove));
    g_array_set_clear_func(record->moves, clear_move);
    if (!lines_read(dir, "client.tsv", kinds, record, error) ||
        !lines_read(dir, "moves.tsv", kinds, record, error)) {
        return NULL;
    }
    return g_steal_pointer(&record);
}

void demo_record_free(DemoRecord *record)
{
    if (!record) {
        return;
    }
    g_ptr_array_unref(record->sessions);
    g_array_unref(record->moves);
    g_free(record->destroyed);
    g_free(record);
}

int64_t demo_realtime(const DemoRecord *record, int64_t monotonic_ns)
{
    double span = record->clock_ns[1] - record->clock_ns[0];
    double part = span > 0 ? (monotonic_ns - record->clock_ns[0]) / span : 0;

    return monotonic_ns + record->offset_ns[0] +
           (int64_t)(part * (record->offset_ns[1] - record->offset_ns[0]));
}
