// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-layers-head.c - where a request ends, and which session it names
 */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "head.h"

static const char *const names[] = { "PHPSESSID", "DokuWiki", NULL };

static int parse(const char *text, struct slice_head *ret_head)
{
    return slice_head_parse((const uint8_t *)text, strlen(text), names,
                            ret_head);
}

static void assert_key(const struct slice_keys *keys, unsigned i,
                       const char *text)
{
    g_assert_cmpuint(keys->keys[i].bytes, ==, strlen(text));
    g_assert_cmpmem(keys->keys[i].data, keys->keys[i].bytes, text,
                    strlen(text));
}

static void test_plain_get(void)
{
    static const char text[] = "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b";
    struct slice_head head;

    g_assert_cmpint(parse(text, &head), ==, 0);
    g_assert_cmpuint(head.bytes, ==, strlen(text) - strlen("GET /b"));
    g_assert_cmpint(head.body, ==, SLICE_BODY_NONE);
    g_assert_false(head.switches);
    g_assert_false(head.is_http2);
    g_assert_cmpuint(head.keys.keys[0].bytes, ==, 0);
}

/* Every cut of it is unfinished, and says so. */
static void test_pieces_are_unfinished(void)
{
    static const char text[] = "\r\nPOST /a HTTP/1.1\r\nCookie: PHPSESSID=k1\r\n"
                               "Content-Length: 12\r\n\r\n";
    struct slice_head head;

    for (size_t n = 0; n < strlen(text); n++) {
        g_assert_cmpint(slice_head_parse((const uint8_t *)text, n, names,
                                         &head), ==, -EAGAIN);
        g_assert_cmpint(head.body, ==, SLICE_BODY_OPEN);
    }
    assert_key(&head.keys, 0, "k1");
    g_assert_cmpint(parse(text, &head), ==, 0);
    g_assert_cmpuint(head.bytes, ==, strlen(text));
    g_assert_cmpint(head.body, ==, SLICE_BODY_LENGTH);
    g_assert_cmpuint(head.body_bytes, ==, 12);
}

static void test_bare_line_ends(void)
{
    struct slice_head head;

    g_assert_cmpint(parse("GET / HTTP/1.0\nCookie: PHPSESSID=k\n\n", &head),
                    ==, 0);
    assert_key(&head.keys, 0, "k");
    g_assert_cmpint(head.body, ==, SLICE_BODY_NONE);
}

static void test_old_request_is_one_line(void)
{
    struct slice_head head;

    g_assert_cmpint(parse("GET /\r\nrest", &head), ==, 0);
    g_assert_cmpuint(head.bytes, ==, strlen("GET /\r\n"));
    g_assert_cmpint(head.body, ==, SLICE_BODY_OPEN);
}

/* What two readers could take for two things is left to Apache alone. */
static void test_doubtful_framing_is_open(void)
{
    static const char *const fields[] = {
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x10\r\n",
        "Content-Length:\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\n folded\r\n",
        "no colon\r\n",
    };
    struct slice_head head;

    for (guint i = 0; i < G_N_ELEMENTS(fields); i++) {
        g_autofree char *text = g_strdup_printf("POST / HTTP/1.1\r\n%s\r\n",
                                                fields[i]);

        g_assert_cmpint(parse(text, &head), ==, 0);
        g_assert_cmpint(head.body, ==, SLICE_BODY_OPEN);
        g_assert_cmpuint(head.bytes, ==, strlen(text));
    }
}

static void test_chunked_overrides_a_length(void)
{
    struct slice_head head;

    g_assert_cmpint(parse("POST / HTTP/1.1\r\nContent-Length: 5\r\n"
                          "transfer-encoding:  Chunked \r\n\r\n", &head),
                    ==, 0);
    g_assert_cmpint(head.body, ==, SLICE_BODY_CHUNKED);
}

static void test_other_protocols(void)
{
    struct slice_head head;

    g_assert_cmpint(parse("GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\n\r\n", &head), ==, 0);
    g_assert_true(head.switches);
    g_assert_cmpint(head.body, ==, SLICE_BODY_NONE);
    g_assert_cmpint(parse("CONNECT a:1 HTTP/1.1\r\n\r\n", &head), ==, 0);
    g_assert_true(head.switches);
    g_assert_cmpint(parse("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &head), ==, 0);
    g_assert_true(head.is_http2);
    g_assert_cmpint(head.body, ==, SLICE_BODY_OPEN);
}

static void test_cookies_by_name(void)
{
    struct slice_head head;

    g_assert_cmpint(parse("GET / HTTP/1.1\r\n"
                          "Cookie: xPHPSESSID=no; phpsessid=no; a=b;"
                          "PHPSESSID=first;DokuWiki=wiki ; PHPSESSID=second\r\n"
                          "\r\n", &head), ==, 0);
    assert_key(&head.keys, 0, "first");
    assert_key(&head.keys, 1, "wiki");
}

/* Apache joins two fields to one; both must be read alike. */
static void test_joined_fields_say_the_same(void)
{
    static const char joined[] = "a=b, PHPSESSID=k,1-; DokuWiki=w";
    struct slice_keys keys = { 0 };
    struct slice_head head;

    g_assert_cmpint(parse("GET / HTTP/1.1\r\nCookie: a=b\r\n"
                          "cookie: PHPSESSID=k,1-; DokuWiki=w\r\n\r\n", &head),
                    ==, 0);
    slice_head_cookies((const uint8_t *)joined, strlen(joined), names, &keys);
    assert_key(&keys, 0, "k,1-");
    g_assert_cmpmem(&keys, sizeof(keys), &head.keys, sizeof(head.keys));
}

/* The first cookie of a name counts, even if it is no key. */
static void test_what_is_no_key(void)
{
    static const char *const values[] = {
        "", "\"quoted\"", "per%41cent", "back\\slash", "with space",
        "0123456789012345678901234567890123456789012345678901234567890123x",
    };

    for (guint i = 0; i < G_N_ELEMENTS(values); i++) {
        g_autofree char *text = g_strdup_printf("PHPSESSID=%s;PHPSESSID=k",
                                                values[i]);
        struct slice_keys keys = { 0 };

        slice_head_cookies((const uint8_t *)text, strlen(text), names, &keys);
        g_assert_cmpuint(keys.keys[0].bytes, ==, 0);
        g_assert_cmpuint(keys.seen, ==, 1);
    }
}

static void test_longest_key(void)
{
    g_autofree char *key = g_strnfill(SLICE_HEAD_KEY_BYTES_MAX, 'k');
    g_autofree char *text = g_strdup_printf("PHPSESSID=%s", key);
    struct slice_keys keys = { 0 };

    slice_head_cookies((const uint8_t *)text, strlen(text), names, &keys);
    assert_key(&keys, 0, key);
}

/* ---- bodies ---- */

static size_t take(struct slice_body *body, const char *text)
{
    return slice_body_take(body, (const uint8_t *)text, strlen(text));
}

static void test_length_is_kept_to(void)
{
    struct slice_body body;
    struct slice_head head;

    g_assert_cmpint(parse("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n",
                          &head), ==, 0);
    slice_body_begin(&body, &head);
    g_assert_cmpuint(slice_body_sure(&body), ==, head.bytes + 4);
    body.left = 4;
    g_assert_cmpuint(take(&body, "abc"), ==, 3);
    g_assert_cmpuint(take(&body, "dGET /"), ==, 1);
    g_assert_cmpint(body.state, ==, SLICE_BODY_OVER);
    g_assert_cmpuint(take(&body, "GET /"), ==, 0);
    g_assert_cmpuint(slice_body_sure(&body), ==, 0);
}

static const char chunks[] = "5\r\nhello\r\nA;x=\"y\"\r\n0123456789\r\n"
                             "0\r\nTrailer: t\r\n\r\n";

static void begin_chunks(struct slice_body *body)
{
    struct slice_head head;

    g_assert_cmpint(parse("P / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
                          &head), ==, 0);
    slice_body_begin(body, &head);
    g_assert_cmpuint(slice_body_sure(body), ==, head.bytes);
    body->left = 1;
    g_assert_cmpuint(take(body, "\n"), ==, 1);
    g_assert_cmpuint(slice_body_sure(body), ==, 0);
}

/* However they are cut, the next request's first byte is not one of them. */
static void test_chunks_end_where_they_end(void)
{
    g_autofree char *text = g_strconcat(chunks, "GET /next", NULL);

    for (size_t step = 1; step <= strlen(text); step++) {
        struct slice_body body;
        size_t pos = 0;

        begin_chunks(&body);
        while (body.state != SLICE_BODY_OVER) {
            size_t n = MIN(step, strlen(text) - pos);

            g_assert_cmpuint(n, >, 0);
            pos += slice_body_take(&body, (const uint8_t *)text + pos, n);
        }
        g_assert_cmpuint(pos, ==, strlen(chunks));
    }
}

static void test_chunk_data_is_sure(void)
{
    struct slice_body body;

    begin_chunks(&body);
    g_assert_cmpuint(take(&body, "5\r\nhe"), ==, 5);
    g_assert_cmpuint(slice_body_sure(&body), ==, 3);
}

static void test_what_is_no_chunk_has_no_end(void)
{
    static const char *const texts[] = {
        "x", "\r\n", "-1\r\n", "1234567890123456\r\n", "1\r\nabc",
    };

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        struct slice_body body;

        begin_chunks(&body);
        g_assert_cmpuint(take(&body, texts[i]), ==, strlen(texts[i]));
        g_assert_cmpint(body.state, ==, SLICE_BODY_ENDLESS);
        g_assert_cmpuint(slice_body_sure(&body), ==, UINT64_MAX);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/layers/head/plain-get", test_plain_get);
    g_test_add_func("/layers/head/pieces-are-unfinished",
                    test_pieces_are_unfinished);
    g_test_add_func("/layers/head/bare-line-ends", test_bare_line_ends);
    g_test_add_func("/layers/head/old-request-is-one-line",
                    test_old_request_is_one_line);
    g_test_add_func("/layers/head/doubtful-framing-is-open",
                    test_doubtful_framing_is_open);
    g_test_add_func("/layers/head/chunked-overrides-a-length",
                    test_chunked_overrides_a_length);
    g_test_add_func("/layers/head/other-protocols", test_other_protocols);
    g_test_add_func("/layers/head/cookies-by-name", test_cookies_by_name);
    g_test_add_func("/layers/head/joined-fields-say-the-same",
                    test_joined_fields_say_the_same);
    g_test_add_func("/layers/head/what-is-no-key", test_what_is_no_key);
    g_test_add_func("/layers/head/longest-key", test_longest_key);
    g_test_add_func("/layers/head/length-is-kept-to", test_length_is_kept_to);
    g_test_add_func("/layers/head/chunks-end-where-they-end",
                    test_chunks_end_where_they_end);
    g_test_add_func("/layers/head/chunk-data-is-sure", test_chunk_data_is_sure);
    g_test_add_func("/layers/head/what-is-no-chunk-has-no-end",
                    test_what_is_no_chunk_has_no_end);
    return g_test_run();
}
