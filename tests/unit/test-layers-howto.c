// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-layers-howto.c - what the tutorial prints is what is tested
 *
 * usage: test-layers-howto SOURCE TEXT
 *
 * Each block of C in a text is found in the source, word for word.
 */
#include <glib.h>
#include <string.h>

#define OPENING "\n```c\n"
#define CLOSING "\n```\n"

static const char *source_path, *text_path;

static char *read_file(const char *path)
{
    g_autoptr(GError) error = NULL;
    char *text = NULL;

    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    return text;
}

static void test_blocks_are_quoted(void)
{
    g_autofree char *source = read_file(source_path);
    g_autofree char *text = read_file(text_path);
    const char *rest = text;
    guint n_blocks = 0;

    while ((rest = strstr(rest, OPENING))) {
        const char *begin = rest + strlen(OPENING);
        const char *end = strstr(begin, CLOSING);
        g_autofree char *block = NULL;

        g_assert_nonnull(end);
        block = g_strndup(begin, end + 1 - begin);
        if (!strstr(source, block)) {
            g_error("%s does not say:\n%s", source_path, block);
        }
        rest = end;
        n_blocks++;
    }
    g_assert_cmpuint(n_blocks, >, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (argc != 3) {
        g_printerr("usage: %s SOURCE TEXT\n", argv[0]);
        return 2;
    }
    source_path = argv[1];
    text_path = argv[2];
    g_test_add_func("/layers/howto/blocks-are-quoted", test_blocks_are_quoted);
    return g_test_run();
}
