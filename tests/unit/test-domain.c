/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test-domain.c - domains of libvirt's own stand-in, and what their XML says
 */
#include <glib/gstdio.h>
#include <string.h>

#include "daemon/domain.h"
#include "util/error.h"

#define METADATA(inner) \
    "<metadata><slice:domain xmlns:slice='urn:slice:domain:1'>" inner \
    "</slice:domain></metadata>"
#define NICS \
    "<devices>" \
    "<interface type='bridge'><source bridge='br1'/><target dev='mgmt1'/></interface>" \
    "<interface type='bridge'><source bridge='br0'/><target dev='web-svc'/></interface>" \
    "</devices>"
#define DOMAIN(name, inner) \
    "<domain type='test'><name>" name "</name><memory>8192</memory>" \
    "<os><type>hvm</type></os>" inner "</domain>"
#define OURS(name) \
    DOMAIN(name, METADATA("<slice:qmp path='/run/slice/" name ".qmp'/>") NICS)

/* ---- XML ---- */

static void test_ours(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SliceDomain) domain = slice_domain_parse("web1", DOMAIN("web1",
        METADATA("<slice:qmp path='/run/web1.qmp'/>"
                 "<slice:stream host='10.0.0.1' port='7001'/>") NICS), "br0",
        &error);

    g_assert_no_error(error);
    g_assert_cmpstr(domain->qmp_path, ==, "/run/web1.qmp");
    g_assert_cmpstr(domain->stream, ==, "10.0.0.1:7001");
    g_assert_cmpstr(domain->port, ==, "web-svc");
}

static void test_other_bridge(void)
{
    g_autoptr(SliceDomain) domain = slice_domain_parse("web1", DOMAIN("web1",
        METADATA("<slice:qmp path='/q'/><slice:service bridge='br1'/>") NICS),
        "br0", NULL);

    g_assert_cmpstr(domain->port, ==, "mgmt1");
    g_assert_null(domain->stream);
}

static void test_any_prefix(void)
{
    g_autoptr(SliceDomain) domain = slice_domain_parse("web1", DOMAIN("web1",
        "<metadata><x:domain xmlns:x='urn:slice:domain:1'><x:qmp path='/q'/>"
        "</x:domain></metadata>"), "br0", NULL);

    g_assert_cmpstr(domain->qmp_path, ==, "/q");
    g_assert_null(domain->port);
}

static void test_not_ours(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(slice_domain_parse("x", DOMAIN("x", NICS), "br0", &error));
    g_assert_no_error(error);
    g_assert_null(slice_domain_parse("x", DOMAIN("x",
        "<metadata><slice:domain xmlns:slice='urn:other'><slice:qmp path='/q'/>"
        "</slice:domain></metadata>"), "br0", &error));
    g_assert_no_error(error);
}

static void test_incomplete(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(slice_domain_parse("web1", DOMAIN("web1", METADATA("")), "br0",
                                     &error));
    g_assert_error(error, SLICE_ERROR, SLICE_ERROR_INVALID);
    g_assert_cmpstr(error->message, ==, "domain web1: its metadata names no "
                    "<slice:qmp path=...>");
}

/* ---- libvirt ---- */

typedef struct {
    SliceDomains *domains;
    GString *log;
    gboolean listed;
    gboolean done;
    GError *error;
} Fixture;

static void changed(const SliceDomain *domain, gpointer data)
{
    Fixture *f = data;

    g_string_append_printf(f->log, "%s %s %s\n", domain->name,
                           domain->running ? "runs" : "stopped",
                           domain->port ? domain->port : "-");
}

static void removed(const char *name, gpointer data)
{
    Fixture *f = data;

    g_string_append_printf(f->log, "%s removed\n", name);
}

static void listed(gpointer data)
{
    ((Fixture *)data)->listed = TRUE;
}

static void destroyed(const GError *error, gpointer data)
{
    Fixture *f = data;

    f->done = TRUE;
    f->error = error ? g_error_copy(error) : NULL;
}

static const SliceDomainsHandlers handlers = { changed, removed, listed };

/* A driver of libvirt that lives in this process: its state is given as a file. */
static void set_up(Fixture *f, gconstpointer data)
{
    static const char node[] =
        "<node>" OURS("web1") OURS("web2") DOMAIN("other", "") "</node>";
    g_autofree char *folder = g_dir_make_tmp("slice-test-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "node.xml", NULL);
    g_autofree char *uri = g_strdup_printf("test://%s", path);
    const char *uris[] = { uri, NULL };

    g_assert_true(g_file_set_contents(path, node, -1, NULL));
    f->log = g_string_new(NULL);
    f->domains = slice_domains_new(uris, "br0", &handlers, f);
    while (!f->listed) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_unlink(path);
    g_rmdir(folder);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    slice_domains_free(f->domains);
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    g_string_free(f->log, TRUE);
    g_clear_error(&f->error);
}

static void wait_done(Fixture *f)
{
    while (!f->done) {
        g_main_context_iteration(NULL, TRUE);
    }
    f->done = FALSE;
}

static void test_lists_ours(Fixture *f, gconstpointer data)
{
    g_assert_nonnull(strstr(f->log->str, "web1 runs web-svc\n"));
    g_assert_nonnull(strstr(f->log->str, "web2 runs web-svc\n"));
    g_assert_null(strstr(f->log->str, "other"));
}

static void test_fence(Fixture *f, gconstpointer data)
{
    slice_domains_destroy(f->domains, "web1", destroyed, f);
    wait_done(f);
    g_assert_no_error(f->error);
    while (!strstr(f->log->str, "web1 stopped -\n")) {
        g_main_context_iteration(NULL, TRUE);
    }
}

static void test_fence_twice(Fixture *f, gconstpointer data)
{
    slice_domains_destroy(f->domains, "web1", destroyed, f);
    wait_done(f);
    slice_domains_destroy(f->domains, "web1", destroyed, f);
    wait_done(f);
    g_assert_no_error(f->error);
}

static void test_fence_of_nobody(Fixture *f, gconstpointer data)
{
    slice_domains_destroy(f->domains, "other", destroyed, f);
    wait_done(f);
    g_assert_error(f->error, SLICE_ERROR, SLICE_ERROR_UNREACHABLE);
}

#define ADD(path, function) \
    g_test_add(path, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_log_set_always_fatal(G_LOG_FATAL_MASK);
    g_test_add_func("/domain/xml/ours", test_ours);
    g_test_add_func("/domain/xml/other-bridge", test_other_bridge);
    g_test_add_func("/domain/xml/any-prefix", test_any_prefix);
    g_test_add_func("/domain/xml/not-ours", test_not_ours);
    g_test_add_func("/domain/xml/incomplete-is-told", test_incomplete);
    ADD("/domain/lists-ours-only", test_lists_ours);
    ADD("/domain/fence-stops-it", test_fence);
    ADD("/domain/fence-of-a-dead-one-succeeds", test_fence_twice);
    ADD("/domain/fence-of-nobody-fails", test_fence_of_nobody);
    return g_test_run();
}
