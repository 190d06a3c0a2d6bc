// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-model.c - the ownership protocol, by spin: it holds, its mutations do not
 *
 * usage: test-model MODEL [TAP options]
 *
 * Each case makes a verifier from move.pml with budgets of its own, compiles and
 * runs it.  Where all states fit into memory and time the search is exhaustive, and
 * the case says how many there were; the others are searched in part (bitstate
 * hashing, one minute), which finds mistakes but proves nothing: their names say
 * so.  A verifier takes at most MEMORY_MB; one that reaches this is a failure.
 *
 * Cases below /model/all/ take some minutes and run with `./run test --all` only.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <glib.h>
#include <glib/gstdio.h>

#define MEMORY_MB 2000

typedef enum {
    SAFE,   /* all states, assertions and final states */
    ENDS,   /* all cycles, under weak fairness */
    SAMPLE, /* some states, within a minute */
} Kind;

/*
 * @budgets: -D words for spin
 * @breaks: what a mutation must break: a part of the failing assertion, or
 *	"acceptance cycle"; NULL: nothing may fail
 */
typedef struct {
    const char *name;
    Kind kind;
    const char *budgets;
    const char *breaks;
} Case;

#define SMALL "-DCRASHES=1 -DRESTARTS=1 -DCUTS=1 -DSUSPECTS=1 -DPACKETS=1"
#define ONE_OWNER "one==v"
#define NO_ROLLBACK "client_has"
#define NOT_LOST "n==1"
#define SETTLED "open_term==0"

static const Case cases[] = {
    { "/model/move/holds", SAFE, "-DCRASHES=1 -DRESTARTS=1 -DCUTS=0 -DSUSPECTS=1 -DPACKETS=1" },
    { "/model/move/cuts-are-mended-by-handshakes", SAFE,
      "-DCRASHES=1 -DRESTARTS=0 -DCUTS=2 -DPACKETS=2" },
    { "/model/find/holds", SAFE,
      "-DMOVES=0 -DFINDS=1 -DCRASHES=1 -DRESTARTS=1 -DCUTS=0 -DPACKETS=1" },
    { "/model/two-movers/hold", SAFE,
      "-DMOVES=1 -DFINDS=1 -DCRASHES=1 -DRESTARTS=0 -DCUTS=0 -DPACKETS=1" },
    { "/model/move/ends", ENDS, "-DCRASHES=1 -DRESTARTS=0 -DCUTS=0 -DPACKETS=0" },
    { "/model/move/ends-after-a-cut", ENDS, "-DCRASHES=0 -DRESTARTS=0 -DCUTS=1 -DPACKETS=0" },

    { "/model/all/move/holds-with-cut-and-restart", SAFE, SMALL },
    { "/model/all/move/commands-of-dead-orchestrators-change-nothing", SAFE,
      "-DCRASHES=0 -DRESTARTS=2 -DCUTS=1 -DSUSPECTS=1 -DPACKETS=1" },
    { "/model/all/find/holds-with-a-cut", SAFE,
      "-DMOVES=0 -DFINDS=1 -DCRASHES=1 -DRESTARTS=1 -DCUTS=1 -DPACKETS=1" },
    { "/model/all/two-movers/hold-with-a-cut", SAFE,
      "-DMOVES=1 -DFINDS=1 -DCRASHES=1 -DRESTARTS=0 -DCUTS=1 -DPACKETS=1" },
    { "/model/all/two-movers/of-three-vms", SAFE,
      "-DNV=3 -DMOVES=1 -DFINDS=1 -DCRASHES=1 -DRESTARTS=0 -DCUTS=0 -DPACKETS=1" },
    { "/model/all/there-and-back-or-on/of-three-vms", SAFE,
      "-DNV=3 -DMOVES=2 -DCRASHES=1 -DRESTARTS=0 -DCUTS=0 -DPACKETS=2" },
    { "/model/all/everything-at-once/in-part", SAMPLE,
      "-DNV=3 -DMOVES=2 -DFINDS=1 -DCRASHES=2 -DRESTARTS=2 -DCUTS=2 -DSUSPECTS=1 -DPACKETS=3" },
    { "/model/all/move/ends-after-a-restart", ENDS,
      "-DCRASHES=1 -DRESTARTS=1 -DCUTS=0 -DPACKETS=0" },

    { "/model/mutation/no-term-check", SAFE,
      "-DNO_TERM_CHECK -DMOVES=2 -DCRASHES=0 -DRESTARTS=1 -DCUTS=1 -DPACKETS=1", SETTLED },
    { "/model/mutation/source-resumes-on-eof", SAFE,
      "-DRESUME_ON_EOF -DCRASHES=1 -DRESTARTS=0 -DCUTS=1 -DPACKETS=2", NO_ROLLBACK },
    { "/model/mutation/target-opens-when-it-has-plugged", SAFE, "-DOPEN_AT_PLUG " SMALL,
      ONE_OWNER },
    { "/model/mutation/source-forgets-first", SAFE, "-DFORGET_FIRST " SMALL, SETTLED },
    { "/model/mutation/abort-not-on-disk", SAFE, "-DNO_JOURNAL " SMALL, NOT_LOST },
    { "/model/mutation/forgotten-not-on-disk", SAFE, "-DFORGOTTEN_NOT_WRITTEN " SMALL, NOT_LOST },
    { "/model/mutation/no-fence", SAFE, "-DNO_FENCE " SMALL, ONE_OWNER },
    { "/model/mutation/forgot-is-said-once", SAFE, "-DFORGOT_ONCE " SMALL, SETTLED },
    { "/model/mutation/strays-are-not-adopted", SAFE, "-DNO_ADOPTION " SMALL, SETTLED },
    { "/model/mutation/death-is-not-seen", ENDS,
      "-DDEATH_NOT_SEEN -DCRASHES=1 -DRESTARTS=0 -DCUTS=0 -DPACKETS=0", "acceptance cycle" },
};

static const char *model;

/* Returns standard output and error; @ret_status is a wait status. */
static char *run(const char *dir, const char *line, int *ret_status)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) argv = NULL;
    char *out = NULL;
    g_autofree char *with = g_strdup_printf("/bin/sh -c '%s 2>&1'", line);

    g_shell_parse_argv(with, NULL, &argv, &error);
    g_assert_no_error(error);
    g_spawn_sync(dir, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out, NULL, ret_status, &error);
    g_assert_no_error(error);
    return out;
}

static void must_run(const char *dir, const char *line)
{
    int status;
    g_autofree char *out = run(dir, line, &status);

    if (status) {
        g_error("%s: %s", line, out);
    }
}

static void remove_dir(const char *dir)
{
    g_autoptr(GDir) open = g_dir_open(dir, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(open))) {
        g_autofree char *path = g_build_filename(dir, name, NULL);

        g_unlink(path);
    }
    g_rmdir(dir);
}

/* The line of a verifier's output that says @what, without blanks around it. */
static char *line_with(const char *out, const char *what)
{
    g_auto(GStrv) lines = g_strsplit(out, "\n", -1);

    for (guint i = 0; lines[i]; i++) {
        if (strstr(lines[i], what)) {
            return g_strdup(g_strstrip(lines[i]));
        }
    }
    return g_strdup("");
}

/* An assertion's text is printed twice as long as what is worth reading. */
static void judge(const Case *claim, const char *out)
{
    g_autofree char *failed = line_with(out, "pan:1:");
    g_autofree char *errors = line_with(out, "errors:");
    g_autofree char *stored = line_with(out, "states, stored");
    g_autofree char *seconds = line_with(out, "elapsed time");

    if (!*errors) {
        g_error("the verifier did not end as it should: %s", out);
    }
    g_test_message("%s; %s", stored, seconds);
    if (claim->breaks) {
        if (!strstr(failed, claim->breaks)) {
            g_error("it should have broken '%s', and: %s", claim->breaks,
                    *failed ? failed : "nothing failed");
        }
        return;
    }
    if (*failed || !g_str_has_suffix(errors, "errors: 0")) {
        g_error("%s (%s)", *failed ? failed : errors, claim->budgets);
    }
    if (claim->kind != SAMPLE) {
        g_assert_null(strstr(out, "max search depth too small"));
        g_assert_null(strstr(out, "MEMLIM"));
        g_assert_null(strstr(out, "Search not completed"));
    }
}

static void check(gconstpointer data)
{
    static const char *const compile[] = {
        [SAFE] = "-DSAFETY -DCOLLAPSE",
        [ENDS] = "-DCOLLAPSE -DNFAIR=3",
        [SAMPLE] = "-DSAFETY -DBITSTATE",
    };
    static const char *const search[] = {
        [SAFE] = "-m1000000 -w22",
        [ENDS] = "-m1000000 -w22 -a -f",
        [SAMPLE] = "-m100000 -w31 -k3 -Q1",
    };
    const Case *claim = data;
    g_autofree char *dir = g_dir_make_tmp("slice-model-XXXXXX", NULL);
    g_autofree char *make = g_strdup_printf("spin -a %s%s \"%s\"", claim->budgets,
                                            claim->kind == ENDS ? " -DENDS" : "", model);
    g_autofree char *build = g_strdup_printf("gcc -w -O0 -DMEMLIM=%u %s -o pan pan.c", MEMORY_MB,
                                             compile[claim->kind]);
    g_autofree char *verify = g_strdup_printf("./pan %s", search[claim->kind]);
    g_autofree char *out = NULL;
    int status;

    g_assert_nonnull(dir);
    must_run(dir, make);
    must_run(dir, build);
    out = run(dir, verify, &status);
    remove_dir(dir);
    judge(claim, out);
}

int main(int argc, char **argv)
{
    g_autofree char *spin = g_find_program_in_path("spin");

    g_test_init(&argc, &argv, NULL);
    if (argc != 2) {
        g_printerr("usage: test-model MODEL\n");
        return 2;
    }
    if (!spin) {
        printf("1..0 # SKIP spin is not installed\n");
        return 0;
    }
    model = argv[1];
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        if (g_getenv("SLICE_ALL") || !g_str_has_prefix(cases[i].name, "/model/all/")) {
            g_test_add_data_func(cases[i].name, &cases[i], check);
        }
    }
    return g_test_run();
}
