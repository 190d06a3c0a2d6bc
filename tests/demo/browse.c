// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * browse.c - the demo's second part: a browser's session moves
 *
 * The part proves nothing by itself: it writes down, and verify-browser.c judges.
 */
#include "browse.h"

#include <inttypes.h>
#include <stdio.h>

#include "visit.h"

#define SERVER "http://" LAB_CLUSTER_ADDRESS
#define PAGE "slice"
#define N_VMS 2

typedef struct Play {
    const DemoStage *stage;
    char *dir;
    FILE *clicks, *moves;
    LabClient *client;
    LabCapture *captures[N_VMS + 1];
    Visit *visit;
    unsigned int n_edits;
} Play;

static int64_t now_ns(void)
{
    return g_get_real_time() * 1000;
}

static void say(const Play *play, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void say(const Play *play, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    play->stage->say(text, play->stage->opaque);
}

/* ---- what is written down ---- */

static void record_answer(const AppAnswer *answer, gpointer opaque)
{
    Play *play = opaque;

    fprintf(play->clicks, "answer\t%" PRIu64 "\t%u\t%s\n", answer->counter, answer->port,
            answer->vm);
}

/* In the mover's thread, the only one that writes this file. */
static void record_move(const LabSlice *slice, const char *target, const LabMove *move,
                        gpointer opaque)
{
    Play *play = opaque;
    int64_t offset = now_ns() - g_get_monotonic_time() * 1000;

    fprintf(play->moves, "move\t%s\t%u\t%s\t%s\t%" PRId64 "\t%" PRId64 "\t%s\t%" PRIu64 "\n",
            slice->id, slice->n_flows, slice->vm, target, move->begin_ns + offset,
            move->end_ns + offset, move->result, move->bytes);
}

static void record_click(Play *play, const char *what, int64_t begin_ns)
{
    fprintf(play->clicks, "click\t%s\t%" PRId64 "\t%" PRId64 "\n", what, begin_ns, now_ns());
}

/* ---- before ---- */

static FILE *open_record(const Play *play, const char *name, GError **error)
{
    g_autofree char *path = g_build_filename(play->dir, name, NULL);
    FILE *file = fopen(path, "we");

    if (!file) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "%s cannot be written", path);
    }
    return file;
}

static bool start_captures(Play *play, GError **error)
{
    for (int i = 0; i <= N_VMS; i++) {
        const char *port = i < N_VMS ? lab_vm_service_port(play->stage->vms[i]) : NULL;
        g_autofree char *name = g_strdup_printf("%s.pcap", port ? port : "client");
        g_autofree char *path = g_build_filename(play->dir, name, NULL);

        play->captures[i] = lab_capture_new(play->stage->lab, port ? NULL : play->client, port,
                                            path, error);
        if (!play->captures[i]) {
            return false;
        }
    }
    return true;
}

static bool prepare(Play *play, GError **error)
{
    const DemoStage *stage = play->stage;
    const char *names[N_VMS];
    VisitHooks hooks = { record_answer, record_move, play };

    if (!lab_nfs_start(stage->lab, error) ||
        !(play->client = lab_client_new(stage->lab, 2, error))) {
        return false;
    }
    for (int i = 0; i < N_VMS; i++) {
        names[i] = lab_vm_name(stage->vms[i]);
        if (!lab_vm_share(stage->vms[i], "/var/lib/dokuwiki/data", error)) {
            return false;
        }
    }
    if (!start_captures(play, error)) {
        return false;
    }
    play->visit = visit_new(stage->lab, play->client, &app_wiki, names, &hooks, error);
    return play->visit != NULL;
}

static bool take_picture(Play *play, const char *name, GError **error)
{
    g_autofree char *path = g_build_filename(play->dir, name, NULL);

    return webdriver_screenshot(visit_driver(play->visit), path, error);
}

/* ---- what the person does ---- */

static bool click_round(Play *play, GError **error)
{
    int64_t begin_ns = now_ns();

    if (!visit_round(play->visit, error)) {
        return false;
    }
    record_click(play, "round", begin_ns);
    return true;
}

static bool click_show(Play *play, GError **error)
{
    int64_t begin_ns = now_ns();

    if (!wiki_open(visit_driver(play->visit), SERVER, PAGE, error)) {
        return false;
    }
    record_click(play, "show", begin_ns);
    return true;
}

static bool click_edit(Play *play, GError **error)
{
    int64_t begin_ns = now_ns();
    g_autofree char *text = g_strdup_printf("This is edit %u, saved while its session moved.",
                                            play->n_edits + 1);

    if (!wiki_edit(visit_driver(play->visit), SERVER, PAGE, text, error)) {
        return false;
    }
    play->n_edits++;
    record_click(play, "edit", begin_ns);
    return true;
}

static bool log_in(Play *play, GError **error)
{
    say(play, "a browser logs in to the wiki");
    if (!wiki_log_in(visit_driver(play->visit), SERVER, PAGE, error) ||
        !visit_warm_up(play->visit, error)) {
        return false;
    }
    for (int i = 0; i < APP_CONNECTIONS; i++) {
        fprintf(play->clicks, "port\t%u\n", visit_ports(play->visit)[i]);
    }
    fprintf(play->clicks, "warm\t%" PRId64 "\n", now_ns());
    return click_edit(play, error) && take_picture(play, "before.png", error);
}

/* The order is such that pages, edits and rounds all meet moves. */
static bool click_while_it_moves(Play *play, GError **error)
{
    unsigned int n_pages = 0;
    bool ok = true;

    say(play, "its session, with %d connections, moves %u times, while it reads and edits a page",
        APP_CONNECTIONS, play->stage->n_moves);
    visit_begin_moves(play->visit, play->stage->n_moves);
    while (ok && visit_is_moving(play->visit)) {
        ok = click_round(play, error) && click_show(play, error) && click_round(play, error) &&
             (n_pages++ % 4 || click_edit(play, error));
    }
    return ok && visit_end_moves(play->visit, error) && click_show(play, error) &&
           take_picture(play, "after.png", error);
}

static bool go_on_with_the_session_alone(Play *play, GError **error)
{
    int n = app_forget_all_but_session(visit_driver(play->visit), &app_wiki, error);

    if (n < 0) {
        return false;
    }
    say(play, "every cookie but the session's is deleted (%d), and it moves once more", n);
    fprintf(play->clicks, "alone\t%" PRId64 "\t%d\n", now_ns(), n);
    visit_begin_moves(play->visit, 1);
    return visit_end_moves(play->visit, error);
}

/* The wire is judged up to here; the browser closes its connections later. */
static void stop_captures(Play *play)
{
    fprintf(play->clicks, "end\t%" PRId64 "\n", now_ns());
    for (int i = 0; i <= N_VMS; i++) {
        lab_capture_stop(g_steal_pointer(&play->captures[i]), NULL);
    }
}

bool demo_browse(const DemoStage *stage, GError **error)
{
    g_autoptr(GError) cause = NULL;
    Play play = { .stage = stage };
    bool ok;

    play.dir = g_build_filename(stage->dir, "browser", NULL);
    if (g_mkdir_with_parents(play.dir, 0755) ||
        !(play.clicks = open_record(&play, "clicks.tsv", error)) ||
        !(play.moves = open_record(&play, "moves.tsv", error))) {
        g_free(play.dir);
        return false;
    }
    fprintf(play.moves, "wanted\t%u\n", stage->n_moves);
    ok = prepare(&play, &cause) && log_in(&play, &cause) && click_while_it_moves(&play, &cause) &&
         go_on_with_the_session_alone(&play, &cause);
    if (!ok) {
        g_strdelimit(cause->message, "\t\n", ' ');
        fprintf(play.clicks, "error\t%s\n", cause->message);
        g_propagate_error(error, g_steal_pointer(&cause));
    }
    stop_captures(&play);
    visit_free(play.visit);
    fclose(play.clicks);
    fclose(play.moves);
    g_free(play.dir);
    return ok;
}
