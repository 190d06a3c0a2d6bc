// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-browser.c - a browser's session moves with all its connections
 *
 *      Chromium at cl1 ─── br0 ─┬─ web1 ─┐
 *      (six connections)        └─ web2 ─┴─ br1 ─── shared folder, database
 *
 * The applications are Debian's.  The test's first round of requests makes the
 * browser open its six connections; from then on a SYN, a FIN or a RST at the
 * client's interface is an error, whatever connection it is of, and so is a page
 * that does not know its user, or a counter lost or doubled.  (What a page wants
 * without cookies, its manifest, the browser asks for by a seventh connection,
 * which has no session and stays where it is.)
 *
 * A thread moves the slice back and forth while the test clicks (lab/visit.h).
 * All claims about one application are about one visit of one browser.
 */
#include <string.h>

#include "cluster.h"
#include "visit.h"

#define SERVER "http://" LAB_CLUSTER_ADDRESS
#define PAGE "slice"
#define N_MOVES_ALL 50          /* with --all */
#define N_MOVES 6

/* The pointer, as arguments are evaluated in any order. */
static void must(bool ok, GError *const *error)
{
    g_assert_no_error(*error);
    g_assert_true(ok);
}

/* ---- the applications' surroundings ---- */

/* From the first claim about the wiki to the last, which the cluster outlives. */
static Visit *wiki_visit;

static void start_services(Cluster *cluster)
{
    static bool started;
    g_autoptr(GError) error = NULL;

    if (!started) {
        must(lab_nfs_start(cluster->lab, &error), &error);
        must(lab_mariadb_start(cluster->lab, &error), &error);
        started = true;
    }
    for (int i = 0; i < N_VMS; i++) {
        must(lab_vm_share(cluster->vms[i], "/var/lib/dokuwiki/data", &error), &error);
    }
}

static Visit *arrive(Cluster *cluster, const App *app)
{
    const char *vms[] = { lab_vm_name(cluster->vms[0]), lab_vm_name(cluster->vms[1]) };
    g_autoptr(GError) error = NULL;
    Visit *visit;

    g_clear_pointer(&wiki_visit, visit_free);
    start_services(cluster);
    visit = visit_new(cluster->lab, cluster->client, app, vms, NULL, &error);
    g_assert_no_error(error);
    return visit;
}

static void warm_up(Visit *visit, Cluster *cluster)
{
    g_autoptr(GError) error = NULL;

    must(visit_warm_up(visit, &error), &error);
    cluster_judge_all(cluster);
}

static void click(Visit *visit)
{
    g_autoptr(GError) error = NULL;

    must(visit_round(visit, &error), &error);
}

static unsigned int n_moves(void)
{
    return cluster_all() ? N_MOVES_ALL : N_MOVES;
}

static void end_moves(Visit *visit)
{
    g_autoptr(GError) error = NULL;

    must(visit_end_moves(visit, &error), &error);
}

static void take_picture(Visit *visit, Cluster *cluster, const char *name)
{
    g_autofree char *path = g_build_filename(lab_dir(cluster->lab), name, NULL);
    g_autoptr(GError) error = NULL;

    must(webdriver_screenshot(visit_driver(visit), path, &error), &error);
}

/* Nothing but the session's cookie: what the counter goes on from is the session. */
static void forget_cookies(Visit *visit, const App *app)
{
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(app_forget_all_but_session(visit_driver(visit), app, &error), >, 0);
    g_assert_no_error(error);
    visit_begin_moves(visit, 2);
    end_moves(visit);
}

/* What has been counted since @before. */
static void check_counts(Visit *visit, const VisitCounts *before, unsigned int n_edits)
{
    VisitCounts counts;

    visit_counts(visit, &counts);
    g_test_message("%u moves, %u undone, %u edits, %u changes of the VM seen by %"
                   G_GUINT64_FORMAT " counted requests", counts.n_moved, counts.n_undone, n_edits,
                   counts.n_changes, counts.n_counted);
    g_assert_cmpuint(counts.n_moved, >=, before->n_moved + n_moves());
    g_assert_cmpuint(counts.n_changes, ==, counts.n_moved);
    g_assert_cmpuint(n_edits, >=, cluster_all() ? 3 : 1);
}

/* ---- DokuWiki ---- */

static void edit(Visit *visit, unsigned int number)
{
    g_autofree char *text = g_strdup_printf("Edit %u, made while the session moved.", number);
    g_autoptr(GError) error = NULL;

    must(wiki_edit(visit_driver(visit), SERVER, PAGE, text, &error), &error);
    must(wiki_check(visit_driver(visit), SERVER, PAGE, text, &error), &error);
}

/* The visit of the claim before, or the first one's. */
static Visit *visit_wiki(Cluster *cluster)
{
    g_autoptr(GError) error = NULL;

    if (wiki_visit) {
        cluster_judge_all(cluster);
        return wiki_visit;
    }
    wiki_visit = arrive(cluster, &app_wiki);
    must(wiki_log_in(visit_driver(wiki_visit), SERVER, PAGE, &error), &error);
    warm_up(wiki_visit, cluster);
    return wiki_visit;
}

/* The last claim, as the browser knows nobody afterwards but by the session. */
static void test_wiki_moves(Cluster *cluster)
{
    Visit *visit = visit_wiki(cluster);
    g_autoptr(GError) error = NULL;
    unsigned int n_edits = 0, n_pages = 0;
    VisitCounts before;

    visit_counts(visit, &before);
    edit(visit, n_edits++);
    take_picture(visit, cluster, "wiki-before.png");
    visit_begin_moves(visit, n_moves());
    while (visit_is_moving(visit)) {
        click(visit);
        must(wiki_open(visit_driver(visit), SERVER, PAGE, &error), &error);
        click(visit);
        if (n_pages++ % 4 == 0) {
            edit(visit, n_edits++);
        }
    }
    end_moves(visit);
    must(wiki_open(visit_driver(visit), SERVER, PAGE, &error), &error);
    take_picture(visit, cluster, "wiki-after.png");
    check_counts(visit, &before, n_edits);
    forget_cookies(visit, &app_wiki);
    cluster_finish(cluster);
    g_clear_pointer(&wiki_visit, visit_free);
}

/* The folder is the applications' business: a move must not need it. */
static void test_moves_without_share(Cluster *cluster)
{
    Visit *visit = visit_wiki(cluster);
    g_autoptr(GError) error = NULL;

    edit(visit, 1);
    must(webdriver_navigate(visit_driver(visit), SERVER "/dokuwiki/license.txt", &error), &error);
    lab_nfs_stop(cluster->lab);
    visit_begin_moves(visit, cluster_all() ? 6 : 2);
    while (visit_is_moving(visit)) {
        click(visit);
    }
    end_moves(visit);
    must(lab_nfs_start(cluster->lab, &error), &error);
    must(wiki_check(visit_driver(visit), SERVER, PAGE, "Edit 1", &error), &error);
    visit_begin_moves(visit, 2);
    edit(visit, 2);
    end_moves(visit);
    cluster_finish(cluster);
}

/* ---- what lies in the shared folder ---- */

static unsigned int count_files_with(const char *path, const char *needle)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    g_autofree char *text = NULL;
    const char *name;
    unsigned int n = 0;
    gsize bytes;

    if (!dir) {
        g_autoptr(GError) error = NULL;

        must(g_file_get_contents(path, &text, &bytes, &error), &error);
        return memmem(text, bytes, needle, strlen(needle)) != NULL;
    }
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *child = g_build_filename(path, name, NULL);

        n += strstr(name, needle) != NULL;
        n += count_files_with(child, needle);
    }
    return n;
}

static void test_share_has_no_session(Cluster *cluster)
{
    Visit *visit = visit_wiki(cluster);
    const char *share = lab_nfs_dir(cluster->lab);
    g_autoptr(GError) error = NULL;
    g_autofree char *id = NULL;

    must(wiki_edit(visit_driver(visit), SERVER, PAGE, "needle-of-the-page", &error), &error);
    visit_begin_moves(visit, 2);
    end_moves(visit);
    id = webdriver_cookie(visit_driver(visit), app_wiki.session_cookie, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(count_files_with(share, "needle-of-the-page"), >, 0);
    g_assert_cmpuint(count_files_with(share, visit_mark(visit)), ==, 0);
    g_assert_cmpuint(count_files_with(share, id), ==, 0);
    g_assert_cmpuint(count_files_with(share, "sess_"), ==, 0);
    cluster_finish(cluster);
}

/* ---- phpMyAdmin ---- */

/* Asked from a guest, beside the application. */
static unsigned int count_rows(Cluster *cluster)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *output = lab_vm_shell(
        cluster->vms[0],
        "php8.2 -r 'echo (new mysqli(\"" LAB_OWN_ADDRESS "\", \"" LAB_DATABASE_USER "\", \""
        LAB_DATABASE_PASSWORD "\", \"" LAB_DATABASE "\"))"
        "->query(\"SELECT COUNT(*) FROM visits\")->fetch_row()[0];'", &error);

    g_assert_no_error(error);
    return g_ascii_strtoull(output, NULL, 10);
}

static void test_database_moves(Cluster *cluster)
{
    Visit *visit = arrive(cluster, &app_database);
    g_autoptr(GError) error = NULL;
    unsigned int n_rows = 0, n_pages = 0;
    const VisitCounts before = { 0 };

    must(database_log_in(visit_driver(visit), SERVER, LAB_DATABASE_USER, LAB_DATABASE_PASSWORD, &error),
         &error);
    warm_up(visit, cluster);
    must(database_open(visit_driver(visit), SERVER, LAB_DATABASE, "visits", &error), &error);
    take_picture(visit, cluster, "database-before.png");
    visit_begin_moves(visit, n_moves());
    while (visit_is_moving(visit)) {
        click(visit);
        must(database_open(visit_driver(visit), SERVER, LAB_DATABASE, "visits", &error), &error);
        click(visit);
        if (n_pages++ % 4 == 0) {
            n_rows++;
            must(database_insert(visit_driver(visit), SERVER, LAB_DATABASE, "visits", n_rows,
                                 "inserted while the session moved", &error), &error);
        }
    }
    end_moves(visit);
    must(database_open(visit_driver(visit), SERVER, LAB_DATABASE, "visits", &error), &error);
    take_picture(visit, cluster, "database-after.png");
    g_assert_cmpuint(count_rows(cluster), ==, n_rows);
    check_counts(visit, &before, n_rows);
    forget_cookies(visit, &app_database);
    cluster_finish(cluster);
    visit_free(visit);
}

static void add_tests(void)
{
    cluster_add_next("/browser/wiki/a-move-needs-no-shared-folder", test_moves_without_share);
    cluster_add_next("/browser/wiki/no-session-lies-in-the-shared-folder", test_share_has_no_session);
    cluster_add_next("/browser/wiki/six-connections-survive-moves", test_wiki_moves);
    cluster_add("/browser/phpmyadmin/six-connections-survive-moves", test_database_moves);
}

int main(int argc, char **argv)
{
    return cluster_main(argc, argv, add_tests);
}
