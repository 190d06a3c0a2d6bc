// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-names.c - the model says what the code says
 *
 * usage: test-names TREE [TAP options]
 *
 * Each enumeration that the model is about is read from the code's own file and
 * compared with the model's names of that kind, in both directions: a state or
 * message that the code gains has to be modelled, or named in the model's head
 * under "not here" with the reason.
 */
#include <stdbool.h>
#include <string.h>

#include <glib.h>

#define MODEL "tests/model/move.pml"
#define QAPI "qemu-patches/overlay/qapi/slice.json"

/*
 * @prefix: in the model
 * @file: of the code
 * @begin: text before the list; a QAPI enum's, or a C enum's first enumerator
 * @code_prefix: of a C enumerator; NULL: a QAPI enum
 */
typedef struct {
    const char *name;
    const char *prefix;
    const char *file;
    const char *begin;
    const char *code_prefix;
} Kind;

static const Kind kinds[] = {
    { "/model/names/states", "STATE_", QAPI, "'enum': 'SliceState'", NULL },
    { "/model/names/answers", "ANSWER_", QAPI, "'enum': 'SliceAnswer'", NULL },
    { "/model/names/answers-as-sliced-knows-them", "ANSWER_", "orchestrator/daemon/engine.h",
      "SLICE_ANSWER_OK", "SLICE_ANSWER_" },
    { "/model/names/steps", "STEP_", QAPI, "'enum': 'SliceStep'", NULL },
    { "/model/names/messages", "MSG_", "qemu-patches/overlay/slice/table.h", "SLICE_MSG_QUIESCE",
      "SLICE_MSG_" },
    { "/model/names/frames", "STREAM_", "qemu-patches/overlay/include/slice/stream.h",
      "SLICE_STREAM_HELLO", "SLICE_STREAM_" },
    { "/model/names/decisions", "DECISION_", "orchestrator/daemon/store.h", "SLICE_DECISION_NONE",
      "SLICE_DECISION_" },
};

static const char *tree;

static char *read_file(const char *name)
{
    g_autofree char *path = g_build_filename(tree, name, NULL);
    g_autoptr(GError) error = NULL;
    char *text = NULL;

    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    return text;
}

static GHashTable *new_set(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

/* All words of @text that match @pattern's first group, in capitals with '_'. */
static GHashTable *words(const char *text, const char *pattern)
{
    g_autoptr(GRegex) regex = g_regex_new(pattern, 0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    GHashTable *set = new_set();

    g_assert_nonnull(regex);
    for (g_regex_match(regex, text, 0, &match); g_match_info_matches(match);
         g_match_info_next(match, NULL)) {
        g_autofree char *word = g_match_info_fetch(match, 1);

        g_hash_table_add(set, g_strdelimit(g_ascii_strup(word, -1), "-", '_'));
    }
    return set;
}

static GHashTable *code_words(const Kind *kind)
{
    g_autofree char *text = read_file(kind->file);
    const char *begin = strstr(text, kind->begin);
    const char *end;
    g_autofree char *list = NULL, *pattern = NULL;

    g_assert_nonnull(begin);
    if (!kind->code_prefix) {
        begin = strchr(begin, '[');
        g_assert_nonnull(begin);
    }
    end = strchr(begin, kind->code_prefix ? '}' : ']');
    g_assert_nonnull(end);
    list = g_strndup(begin, end - begin);
    pattern = kind->code_prefix ? g_strdup_printf("\\b%s(\\w+)", kind->code_prefix)
                                : g_strdup("'([\\w-]+)'");
    return words(list, pattern);
}

/* @head: the comment at the model's beginning, else all that follows it. */
static GHashTable *model_words(const Kind *kind, bool head)
{
    g_autofree char *text = read_file(MODEL);
    char *end = strstr(strstr(text, "*/") + 2, "*/");
    g_autofree char *pattern = g_strdup_printf("\\b%s(\\w+)", kind->prefix);

    g_assert_nonnull(end);
    if (!head) {
        return words(end, pattern);
    }
    *end = '\0';
    return words(text, pattern);
}

static void compare(gconstpointer data)
{
    const Kind *kind = data;
    g_autoptr(GHashTable) code = code_words(kind);
    g_autoptr(GHashTable) model = model_words(kind, false);
    g_autoptr(GHashTable) not_here = model_words(kind, true);
    GHashTableIter iter;
    gpointer word;

    g_assert_cmpuint(g_hash_table_size(code), >, 1);
    g_assert_cmpuint(g_hash_table_size(model), >, 1);
    g_hash_table_iter_init(&iter, code);
    while (g_hash_table_iter_next(&iter, &word, NULL)) {
        if (!g_hash_table_contains(model, word) && !g_hash_table_contains(not_here, word)) {
            g_test_message("%s has %s%s, which the model neither has nor excuses", kind->file,
                           kind->prefix, (char *)word);
            g_test_fail();
        }
    }
    g_hash_table_iter_init(&iter, model);
    while (g_hash_table_iter_next(&iter, &word, NULL)) {
        if (!g_hash_table_contains(code, word)) {
            g_test_message("the model has %s%s, which %s does not", kind->prefix, (char *)word,
                           kind->file);
            g_test_fail();
        }
        if (g_hash_table_contains(not_here, word)) {
            g_test_message("the model has %s%s and says that it has not", kind->prefix,
                           (char *)word);
            g_test_fail();
        }
    }
    g_hash_table_iter_init(&iter, not_here);
    while (g_hash_table_iter_next(&iter, &word, NULL)) {
        if (!g_hash_table_contains(code, word)) {
            g_test_message("the model excuses %s%s, which %s does not have", kind->prefix,
                           (char *)word, kind->file);
            g_test_fail();
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (argc != 2) {
        g_printerr("usage: test-names TREE\n");
        return 2;
    }
    tree = argv[1];
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_test_add_data_func(kinds[i].name, &kinds[i], compare);
    }
    return g_test_run();
}
