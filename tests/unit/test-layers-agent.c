// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-layers-agent.c - what slice-agent answers to whom
 */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "request.h"
#include "test-libslice-fake.h"

static void assert_answer(struct slice_opener *opener, const char *line,
                          const char *answer)
{
    g_autofree char *reply = slice_request_answer(opener, line, strlen(line));

    g_assert_cmpstr(reply, ==, answer);
}

static void test_info_tells_the_machine(void)
{
    struct fake *fake = fake_new();
    struct slice_opener *opener;

    g_assert_cmpint(slice_open_backend(&fake_backend, fake, &opener), ==, 0);
    assert_answer(opener, "{\"execute\":\"info\",\"id\":\"a\"}",
                  "{\"id\":\"a\",\"return\":{\"api-version\":1,"
                  "\"incarnation\":\"7\",\"capsules\":0,\"slices\":0,"
                  "\"capsule-bytes-max\":\"0\",\"opener-bytes-max\":\"0\"}}\n");
    slice_close(opener);
    fake_free(fake);
}

static void test_refused_list_says_why(void)
{
    struct fake *fake = fake_new();
    struct slice_opener *opener;

    g_assert_cmpint(slice_open_backend(&fake_backend, fake, &opener), ==, 0);
    fake_fail(fake, SLICE_IOC_LIST, EPERM);
    assert_answer(opener, "{\"execute\":\"list\",\"id\":1}",
                  "{\"id\":1,\"error\":{\"code\":\"REFUSED\",\"message\":"
                  "\"cannot list the slices: Operation not permitted\"}}\n");
    slice_close(opener);
    fake_free(fake);
}

static void test_machine_without_slices_says_so(void)
{
    assert_answer(NULL, "{\"execute\":\"list\"}",
                  "{\"error\":{\"code\":\"UNREACHABLE\",\"message\":"
                  "\"this machine has no slices\"}}\n");
}

static void test_nonsense_gets_an_error(void)
{
    static const char *const lines[] = {
        "", "x", "[", "[]", "7", "{}", "{\"execute\":7}", "{\"execute\":{}}",
        "{\"execute\":null}", "{\"execute\":\"none\"}",
        "{\"execute\":\"info\"", "\xff\xfe",
    };

    for (guint i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autofree char *reply = slice_request_answer(NULL, lines[i],
                                                      strlen(lines[i]));

        g_assert_true(g_str_has_prefix(reply, "{\"error\":"));
        g_assert_true(g_str_has_suffix(reply, "}\n"));
    }
}

/* A parser that calls itself must not be led past the end of its stack. */
static void test_deep_nesting_is_refused(void)
{
    g_autofree char *line = g_strnfill(SLICE_REQUEST_BYTES_MAX, '[');
    g_autofree char *reply = NULL;

    memcpy(line, "/*\"*/", 5);      /* brackets in no string, if one looks hard */
    reply = slice_request_answer(NULL, line, SLICE_REQUEST_BYTES_MAX);
    g_assert_cmpstr(reply, ==, "{\"error\":{\"code\":\"INVALID\",\"message\":"
                    "\"more than 64 brackets\"}}\n");
}

static void test_other_id_is_not_given_back(void)
{
    static const char *const ids[] = { "[1]", "{}", "null", "1.5", "1e999", "99999999999999999999.9" };

    for (guint i = 0; i < G_N_ELEMENTS(ids); i++) {
        g_autofree char *line = g_strdup_printf("{\"execute\":\"x\",\"id\":%s}", ids[i]);
        g_autofree char *reply = slice_request_answer(NULL, line, strlen(line));

        g_assert_null(strstr(reply, "\"id\""));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/layers/agent/info-tells-the-machine",
                    test_info_tells_the_machine);
    g_test_add_func("/layers/agent/refused-list-says-why",
                    test_refused_list_says_why);
    g_test_add_func("/layers/agent/machine-without-slices-says-so",
                    test_machine_without_slices_says_so);
    g_test_add_func("/layers/agent/nonsense-gets-an-error",
                    test_nonsense_gets_an_error);
    g_test_add_func("/layers/agent/other-id-is-not-given-back",
                    test_other_id_is_not_given_back);
    g_test_add_func("/layers/agent/deep-nesting-is-refused",
                    test_deep_nesting_is_refused);
    return g_test_run();
}
