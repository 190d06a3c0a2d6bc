// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * verify.c - the demo's verdict, from the capture and the client's history
 *
 * Nothing here trusts the programs that move slices, except for when a move
 * began and ended and how many bytes it took: that a session really changed
 * its VM is seen at the VMs' ports on the switch.
 *
 * A move's *kind* is what the session had outstanding when it began: nothing
 * (idle), a request without an answer yet (in request), half an answer (in
 * response).  Its *stall* is what the client paid: by how much the slowest
 * request that overlaps the move took longer than the median of the same page
 * in the same session without a move; 0 where no request overlaps.
 */
#include "record.h"

#include <string.h>

#include "table.h"
#include "wire.h"

enum Kind { KIND_IDLE, KIND_REQUEST, KIND_RESPONSE, N_KINDS };

static const char *const kind_names[N_KINDS] = { "idle", "in request", "in response" };

typedef struct Verdict {
    Table *table;
    unsigned int n_requests, n_errors, n_lost;
    unsigned int n_moved, n_owner_changes, n_in_flight;
    unsigned int n_rst, n_fin, n_syn, n_timeouts, n_repeated;
    unsigned int n_tail_short;
    uint64_t moved_bytes, wire_bytes;
    GArray *stalls[N_KINDS];    /* double, milliseconds */
} Verdict;

static bool has_moved(const DemoMove *move)
{
    return !strcmp(move->result, "moved");
}

static int compare_doubles(gconstpointer a, gconstpointer b)
{
    double one = *(const double *)a, other = *(const double *)b;

    return one < other ? -1 : one > other;
}

/* Nearest rank; @share in 0 .. 1 of a sorted array that is not empty. */
static double quantile(GArray *sorted, double share)
{
    guint at = share * sorted->len;

    return g_array_index(sorted, double, MIN(at, sorted->len - 1));
}

static bool overlaps(const DemoRequest *request, const DemoMove *move)
{
    return request->sent_ns < move->end_ns && request->done_ns > move->begin_ns;
}

static bool is_disturbed(const DemoRecord *record, const DemoRequest *request)
{
    for (guint i = 0; i < record->moves->len; i++) {
        const DemoMove *move = &g_array_index(record->moves, DemoMove, i);

        if (move->session == request->session && overlaps(request, move)) {
            return true;
        }
    }
    return false;
}

static double request_ms(const DemoRequest *request)
{
    return (request->done_ns - request->sent_ns) / 1e6;
}

/* For each page of a session: the median time of those without a move. */
static GHashTable *usual_times(const DemoRecord *record, const DemoSession *session)
{
    g_autoptr(GHashTable) lists = g_hash_table_new_full(g_str_hash, g_str_equal, NULL,
                                                        (GDestroyNotify)g_array_unref);
    GHashTable *medians = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    GHashTableIter iter;
    gpointer page, list;

    for (guint i = 0; i < session->requests->len; i++) {
        DemoRequest *request = &g_array_index(session->requests, DemoRequest, i);
        double ms = request_ms(request);

        if (is_disturbed(record, request)) {
            continue;
        }
        list = g_hash_table_lookup(lists, request->page);
        if (!list) {
            list = g_array_new(FALSE, FALSE, sizeof(double));
            g_hash_table_insert(lists, request->page, list);
        }
        g_array_append_val((GArray *)list, ms);
    }
    g_hash_table_iter_init(&iter, lists);
    while (g_hash_table_iter_next(&iter, &page, &list)) {
        double *median = g_new(double, 1);

        g_array_sort(list, compare_doubles);
        *median = quantile(list, 0.5);
        g_hash_table_insert(medians, g_strdup(page), median);
    }
    return medians;
}

static void judge_move(Verdict *verdict, const DemoSession *session, GHashTable *usual,
                       const DemoMove *move)
{
    enum Kind kind = KIND_IDLE;
    double stall = 0;

    for (guint i = 0; i < session->requests->len; i++) {
        const DemoRequest *request = &g_array_index(session->requests, DemoRequest, i);
        const double *median = g_hash_table_lookup(usual, request->page);

        if (!overlaps(request, move)) {
            continue;
        }
        if (request->sent_ns <= move->begin_ns) {
            kind = request->first_ns <= move->begin_ns ? KIND_RESPONSE : KIND_REQUEST;
        }
        if (median) {
            stall = MAX(stall, request_ms(request) - *median);
        }
    }
    verdict->n_in_flight += kind != KIND_IDLE;
    g_array_append_val(verdict->stalls[kind], stall);
}

static void judge_history(Verdict *verdict, const DemoRecord *record, const DemoSession *session)
{
    unsigned int n_tail = 0;

    verdict->n_requests += session->requests->len;
    verdict->n_errors += session->error != NULL;
    for (guint i = 0; i < session->requests->len; i++) {
        const DemoRequest *request = &g_array_index(session->requests, DemoRequest, i);

        verdict->n_lost += request->counter != i + 1 || request->seq != i + 1;
        n_tail += record->destroyed && request->sent_ns > record->destroyed_ns;
    }
    verdict->n_lost += session->n_requests != session->requests->len || !session->closed_ns;
    verdict->n_tail_short += n_tail < record->n_tail;
    if (session->error) {
        table_print(verdict->table, "  session %u (%s, port %u): %s\n", session->number, session->kind,
              session->port, session->error);
    }
}

/* From the first request, when the connection is there, to the client's close. */
static void judge_wire(Verdict *verdict, const DemoRecord *record, const DemoSession *session,
                       const Wire *client, const Wire *servers)
{
    int64_t begin, end;
    WireVerdict seen[3];

    if (!session->requests->len) {
        return;
    }
    begin = demo_realtime(record, g_array_index(session->requests, DemoRequest, 0).sent_ns);
    end = session->closed_ns ? demo_realtime(record, session->closed_ns) : INT64_MAX;
    wire_judge(client, session->port, true, true, begin, end, &seen[0]);
    wire_judge(servers, session->port, true, false, begin, end, &seen[1]);
    wire_judge(client, session->port, false, true, begin, end, &seen[2]);
    verdict->n_rst += seen[0].n_rst + seen[1].n_rst;
    verdict->n_fin += seen[0].n_fin + seen[1].n_fin;
    verdict->n_syn += seen[0].n_syn + seen[1].n_syn;
    /* The server's are counted where they were sent, also if they were lost. */
    verdict->n_timeouts += seen[1].n_timeouts + seen[2].n_timeouts;
    verdict->n_repeated += seen[1].n_repeated + seen[2].n_repeated;
    verdict->n_owner_changes += seen[1].n_owners ? seen[1].n_owners - 1 : 0;
    verdict->wire_bytes += seen[0].n_bytes;
}

static void judge_moves(Verdict *verdict, const DemoRecord *record)
{
    g_autoptr(GPtrArray) usual = g_ptr_array_new_with_free_func((GDestroyNotify)g_hash_table_unref);

    for (guint i = 0; i < record->sessions->len; i++) {
        g_ptr_array_add(usual, usual_times(record, g_ptr_array_index(record->sessions, i)));
    }
    for (guint i = 0; i < record->moves->len; i++) {
        const DemoMove *move = &g_array_index(record->moves, DemoMove, i);

        if (!has_moved(move)) {
            table_print(verdict->table, "  move %u of session %u from %s to %s: %s\n", move->seq, move->session,
                  move->source, move->target, move->result);
        } else if (move->session < record->sessions->len) {
            verdict->n_moved++;
            verdict->moved_bytes += move->bytes;
            judge_move(verdict, g_ptr_array_index(record->sessions, move->session),
                       g_ptr_array_index(usual, move->session), move);
        }
    }
}

static void print_stalls(Verdict *verdict)
{
    table_print(verdict->table, "\n  What a move cost the client (ms)   moves      min   median      p99      max\n");
    for (int i = 0; i < N_KINDS; i++) {
        GArray *stalls = verdict->stalls[i];

        table_print(verdict->table, "    %-28s %8u", kind_names[i], stalls->len);
        if (stalls->len) {
            g_array_sort(stalls, compare_doubles);
            table_print(verdict->table, " %8.1f %8.1f %8.1f %8.1f\n", quantile(stalls, 0),
                  quantile(stalls, 0.5), quantile(stalls, 0.99), quantile(stalls, 1));
        } else {
            table_print(verdict->table, "        -        -        -        -\n");
        }
    }
}

static void print_verdict(Verdict *v, const DemoRecord *record)
{
    table_claim(v->table, v->n_moved >= record->n_wanted, "moves", "%u (at least %u)", v->n_moved,
          record->n_wanted);
    table_claim(v->table, v->n_owner_changes <= v->n_moved && v->n_owner_changes * 2 >= v->n_moved,
          "  seen at the VMs' ports", "%u", v->n_owner_changes);
    table_claim(v->table, v->n_in_flight * 2 >= v->n_moved, "  with a request in flight", "%u (at least half)",
          v->n_in_flight);
    table_claim(v->table, v->n_requests > 0 && !v->n_errors, "requests answered, errors", "%u, %u",
          v->n_requests, v->n_errors);
    table_claim(v->table, !v->n_lost, "counters lost or doubled", "%u", v->n_lost);
    table_claim(v->table, !v->n_rst && !v->n_fin && !v->n_syn, "RST, FIN, SYN on moved connections",
          "%u, %u, %u", v->n_rst, v->n_fin, v->n_syn);
    table_claim(v->table, !v->n_timeouts, "retransmissions by time-out", "%u (other repetitions: %u)",
          v->n_timeouts, v->n_repeated - v->n_timeouts);
    table_claim(v->table, record->destroyed && !v->n_tail_short, "sessions that outlived their VM",
          "%u of %u, %u requests each", record->sessions->len - v->n_tail_short,
          record->sessions->len, record->n_tail);
    table_print(v->table, "  %-34s %.1f KB, %.1f KB a move\n", "state moved", v->moved_bytes / 1e3,
          v->n_moved ? v->moved_bytes / 1e3 / v->n_moved : 0);
    table_print(v->table, "  %-34s %.1f MB\n", "payload on the wire", v->wire_bytes / 1e6);
    print_stalls(v);
}

bool demo_verify(const char *dir, GError **error)
{
    g_autoptr(DemoRecord) record = demo_record_read(dir, error);
    g_autofree char *client_path = g_build_filename(dir, "client.pcap", NULL);
    g_autoptr(Wire) client = wire_new(), servers = wire_new();
    g_autoptr(Table) table = NULL;
    Verdict verdict = { 0 };

    if (!record || !wire_read(client, client_path, 0, error) ||
        !wire_read_servers(servers, dir, error)) {
        return false;
    }
    verdict.table = table = table_new(dir);
    for (int i = 0; i < N_KINDS; i++) {
        verdict.stalls[i] = g_array_new(FALSE, FALSE, sizeof(double));
    }
    for (guint i = 0; i < record->sessions->len; i++) {
        DemoSession *session = g_ptr_array_index(record->sessions, i);

        judge_history(&verdict, record, session);
        judge_wire(&verdict, record, session, client, servers);
    }
    judge_moves(&verdict, record);
    print_verdict(&verdict, record);
    for (int i = 0; i < N_KINDS; i++) {
        g_array_unref(verdict.stalls[i]);
    }
    return table_holds(table);
}
