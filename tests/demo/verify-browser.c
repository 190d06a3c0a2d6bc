// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * verify-browser.c - the verdict on the demo's second part, from its records
 *
 * As in verify.c, nothing here trusts the programs that move slices: that a
 * connection changed its VM is seen at the VMs' ports on the switch, and that the
 * browser opened and closed none is seen at its own.
 */
#include "browse.h"

#include <stdio.h>
#include <string.h>

#include "apps.h"
#include "lines.h"
#include "table.h"
#include "wire.h"

typedef struct Click {
    char *what;
    int64_t begin_ns, end_ns;
} Click;

typedef struct Evidence {
    uint16_t ports[APP_CONNECTIONS];
    unsigned int n_ports;
    int64_t warm_ns, alone_ns, end_ns;
    GArray *clicks;             /* Click */
    uint64_t counter;           /* of the last answer */
    unsigned int n_answers, n_lost, n_strange, n_alone;
    char *error;
    unsigned int n_wanted, n_moved, n_refused, n_whole, n_in_click;
    uint64_t moved_bytes;
    /* from the captures */
    unsigned int n_changes, n_faithful;
    unsigned int n_rst, n_fin, n_syn;
} Evidence;

static void clear_click(gpointer opaque)
{
    Click *click = opaque;

    g_free(click->what);
}

static int64_t number(const char *word)
{
    return g_ascii_strtoll(word, NULL, 10);
}

static bool is_known(const Evidence *seen, uint16_t port)
{
    for (unsigned int i = 0; i < seen->n_ports; i++) {
        if (seen->ports[i] == port) {
            return true;
        }
    }
    return false;
}

/* ---- the records ---- */

static bool take_port(gpointer opaque, char **words)
{
    Evidence *seen = opaque;

    if (seen->n_ports == APP_CONNECTIONS) {
        return false;
    }
    seen->ports[seen->n_ports++] = number(words[1]);
    return true;
}

static bool take_warm(gpointer opaque, char **words)
{
    Evidence *seen = opaque;

    seen->warm_ns = number(words[1]);
    return true;
}

/* The answers of the warm-up come before its ports: only later ones can be strange. */
static bool take_answer(gpointer opaque, char **words)
{
    Evidence *seen = opaque;
    uint64_t counter = number(words[1]);

    seen->n_answers++;
    seen->n_lost += counter != ++seen->counter;
    seen->counter = counter;
    seen->n_strange += seen->warm_ns && !is_known(seen, number(words[2]));
    seen->n_alone += seen->alone_ns != 0;
    return true;
}

static bool take_click(gpointer opaque, char **words)
{
    Evidence *seen = opaque;
    Click click = { g_strdup(words[1]), number(words[2]), number(words[3]) };

    g_array_append_val(seen->clicks, click);
    return true;
}

static bool take_alone(gpointer opaque, char **words)
{
    Evidence *seen = opaque;

    /* Nothing to delete would mean that nothing was shown. */
    seen->alone_ns = number(words[2]) > 0 ? number(words[1]) : 0;
    return true;
}

static bool take_error(gpointer opaque, char **words)
{
    Evidence *seen = opaque;

    g_free(seen->error);
    seen->error = g_strdup(words[1]);
    return true;
}

static bool take_end(gpointer opaque, char **words)
{
    Evidence *seen = opaque;

    seen->end_ns = number(words[1]);
    return true;
}

static bool take_wanted(gpointer opaque, char **words)
{
    Evidence *seen = opaque;

    seen->n_wanted = number(words[1]);
    return true;
}

/* Read after the clicks. */
static bool take_move(gpointer opaque, char **words)
{
    Evidence *seen = opaque;
    int64_t begin_ns = number(words[5]);

    if (strcmp(words[7], "moved")) {
        seen->n_refused++;
        return true;
    }
    seen->n_moved++;
    seen->n_whole += number(words[2]) == APP_CONNECTIONS;
    seen->moved_bytes += number(words[8]);
    for (guint i = 0; i < seen->clicks->len; i++) {
        const Click *click = &g_array_index(seen->clicks, Click, i);

        if (click->begin_ns <= begin_ns && begin_ns < click->end_ns) {
            seen->n_in_click++;
            break;
        }
    }
    return true;
}

static const LineKind kinds[] = {
    { "port", 2, take_port },
    { "warm", 2, take_warm },
    { "answer", 4, take_answer },
    { "click", 4, take_click },
    { "alone", 3, take_alone },
    { "error", 2, take_error },
    { "end", 2, take_end },
    { "wanted", 2, take_wanted },
    { "move", 9, take_move },
    { NULL }
};

/* ---- the captures ---- */

/*
 * Between two moves there was a request on each connection, so each must be seen
 * to change its VM as often as the session moved.
 */
static void judge_wire(Evidence *seen, const Wire *client, const Wire *servers)
{
    int64_t end_ns = seen->end_ns ? seen->end_ns : INT64_MAX;
    g_autoptr(GArray) ports = wire_clients(client, seen->warm_ns, end_ns);

    for (guint i = 0; i < ports->len; i++) {
        uint16_t port = g_array_index(ports, uint16_t, i);
        WireVerdict verdict;

        wire_judge(client, port, true, true, seen->warm_ns, end_ns, &verdict);
        seen->n_rst += verdict.n_rst;
        seen->n_fin += verdict.n_fin;
        seen->n_syn += verdict.n_syn;
    }
    for (unsigned int i = 0; i < seen->n_ports; i++) {
        WireVerdict verdict;

        wire_judge(servers, seen->ports[i], true, false, seen->warm_ns, end_ns, &verdict);
        seen->n_changes += verdict.n_owners ? verdict.n_owners - 1 : 0;
        seen->n_faithful += verdict.n_owners == seen->n_moved + 1;
        seen->n_rst += verdict.n_rst;
        seen->n_fin += verdict.n_fin;
    }
}

static unsigned int count_clicks(const Evidence *seen, const char *what)
{
    unsigned int n = 0;

    for (guint i = 0; i < seen->clicks->len; i++) {
        n += !strcmp(g_array_index(seen->clicks, Click, i).what, what);
    }
    return n;
}

static void print_verdict(Table *table, const Evidence *seen)
{
    unsigned int n_edits = count_clicks(seen, "edit");

    if (seen->error) {
        table_print(table, "  it ended early: %s\n", seen->error);
    }
    table_claim(table, seen->n_moved >= seen->n_wanted, "moves", "%u (at least %u; busy: %u)",
                seen->n_moved, seen->n_wanted, seen->n_refused);
    table_claim(table, seen->n_moved && seen->n_whole == seen->n_moved,
                "  with all connections", "%u, %d connections each", seen->n_whole,
                APP_CONNECTIONS);
    table_claim(table, seen->n_faithful == APP_CONNECTIONS, "  seen at the VMs' ports",
                "%u changes, %u connections all", seen->n_changes, seen->n_faithful);
    table_claim(table, seen->n_in_click * 2 >= seen->n_moved, "  during a click", "%u (at least half)",
                seen->n_in_click);
    table_claim(table, seen->n_answers && !seen->n_lost && !seen->n_strange,
                "counted requests, lost or doubled", "%u, %u", seen->n_answers, seen->n_lost);
    table_claim(table, seen->alone_ns && seen->n_alone, "  without the wiki's own cookies", "%u",
                seen->n_alone);
    table_claim(table, !seen->error && n_edits >= 2, "pages shown logged in, edits saved",
                "%u, %u", count_clicks(seen, "show"), n_edits);
    table_claim(table, seen->warm_ns && seen->end_ns && !seen->n_rst && !seen->n_fin &&
                !seen->n_syn, "RST, FIN, SYN after the log-in", "%u, %u, %u", seen->n_rst,
                seen->n_fin, seen->n_syn);
    table_print(table, "  %-34s %.1f KB a move\n", "state moved",
                seen->n_moved ? seen->moved_bytes / 1e3 / seen->n_moved : 0);
}

bool demo_has_browsed(const char *dir)
{
    g_autofree char *path = g_build_filename(dir, "browser", "clicks.tsv", NULL);

    return g_file_test(path, G_FILE_TEST_EXISTS);
}

bool demo_verify_browser(const char *dir, GError **error)
{
    g_autofree char *place = g_build_filename(dir, "browser", NULL);
    g_autofree char *client_path = g_build_filename(place, "client.pcap", NULL);
    g_autoptr(Wire) client = wire_new(), servers = wire_new();
    g_autoptr(Table) table = NULL;
    Evidence seen = { .clicks = g_array_new(FALSE, FALSE, sizeof(Click)) };
    bool read, holds = false;

    g_array_set_clear_func(seen.clicks, clear_click);
    read = lines_read(place, "clicks.tsv", kinds, &seen, error) &&
           lines_read(place, "moves.tsv", kinds, &seen, error) &&
           wire_read(client, client_path, 0, error) && wire_read_servers(servers, place, error);
    if (read) {
        table = table_new(place);
        judge_wire(&seen, client, servers);
        print_verdict(table, &seen);
        table_print(table, "  %-34s %s/{before,after}.png\n", "what the browser showed", place);
        holds = table_holds(table);
    }
    g_array_unref(seen.clicks);
    g_free(seen.error);
    return holds;
}
