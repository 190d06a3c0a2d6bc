// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * head.c - see head.h
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "head.h"

/* More digits than this are no size of anything. */
#define CHUNK_DIGITS_MAX 15

struct text {
    const uint8_t *data;
    size_t bytes;
};

/* What the fields of a head have said about its body. */
struct framing {
    bool has_length;
    bool is_chunked;
    bool is_odd;
    uint64_t length;
};

static struct text trimmed(struct text text)
{
    while (text.bytes && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.bytes--;
    }
    while (text.bytes && (text.data[text.bytes - 1] == ' ' ||
                          text.data[text.bytes - 1] == '\t')) {
        text.bytes--;
    }
    return text;
}

static bool is_word(struct text text, const char *word)
{
    return text.bytes == strlen(word) &&
           !strncasecmp((const char *)text.data, word, text.bytes);
}

/* What stands before and behind the first @separator; false: there is none. */
static bool split(struct text text, int separator, struct text *ret_name,
                  struct text *ret_value)
{
    const uint8_t *at = memchr(text.data, separator, text.bytes);

    if (!at) {
        return false;
    }
    ret_name->data = text.data;
    ret_name->bytes = (size_t)(at - text.data);
    ret_value->data = at + 1;
    ret_value->bytes = text.bytes - ret_name->bytes - 1;
    *ret_name = trimmed(*ret_name);
    *ret_value = trimmed(*ret_value);
    return true;
}

/* The next line without its end; false: its end is not there. */
static bool next_line(const uint8_t *data, size_t bytes, size_t *pos,
                      struct text *ret_line)
{
    const uint8_t *begin, *end;

    if (*pos >= bytes) {
        return false;
    }
    begin = data + *pos;
    end = memchr(begin, '\n', bytes - *pos);
    if (!end) {
        return false;
    }
    *pos += (size_t)(end - begin) + 1;
    if (end > begin && end[-1] == '\r') {
        end--;
    }
    ret_line->data = begin;
    ret_line->bytes = (size_t)(end - begin);
    return true;
}

/* ---- cookies ---- */

static bool can_be_key(struct text value)
{
    if (value.bytes == 0 || value.bytes > SLICE_HEAD_KEY_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < value.bytes; i++) {
        uint8_t c = value.data[i];

        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '%') {
            return false;
        }
    }
    return true;
}

static void take_cookie(struct text cookie, const char *const *names,
                        struct slice_keys *keys)
{
    struct text name, value;

    if (!split(cookie, '=', &name, &value)) {
        return;
    }
    for (unsigned i = 0; i < SLICE_HEAD_NAMES_MAX && names[i]; i++) {
        /* Unlike a field's, a cookie's name is one with its case. */
        if (strlen(names[i]) != name.bytes ||
            memcmp(names[i], name.data, name.bytes) ||
            (keys->seen & 1u << i)) {
            continue;
        }
        keys->seen |= 1u << i;
        if (can_be_key(value)) {
            keys->keys[i].bytes = (uint32_t)value.bytes;
            memcpy(keys->keys[i].data, value.data, value.bytes);
        }
    }
}

/* A comma before a space is where Apache has joined two fields. */
static bool is_separator(const uint8_t *data, size_t i, size_t bytes)
{
    return data[i] == ';' ||
           (data[i] == ',' && i + 1 < bytes && data[i + 1] == ' ');
}

void slice_head_cookies(const uint8_t *value, size_t bytes,
                        const char *const *names, struct slice_keys *keys)
{
    size_t begin = 0;

    for (size_t i = 0; i <= bytes; i++) {
        if (i == bytes || is_separator(value, i, bytes)) {
            struct text cookie = { value + begin, i - begin };

            take_cookie(cookie, names, keys);
            begin = i + 1;
        }
    }
}

/* ---- the head ---- */

static void take_length(struct text value, struct framing *framing)
{
    uint64_t length = 0;

    if (framing->has_length || value.bytes == 0 || value.bytes > 18) {
        framing->is_odd = true;
        return;
    }
    for (size_t i = 0; i < value.bytes; i++) {
        if (value.data[i] < '0' || value.data[i] > '9') {
            framing->is_odd = true;
            return;
        }
        length = length * 10 + (value.data[i] - '0');
    }
    framing->has_length = true;
    framing->length = length;
}

static void take_field(struct text line, const char *const *names,
                       struct framing *framing, struct slice_head *head)
{
    struct text name, value;

    if (line.data[0] == ' ' || line.data[0] == '\t' ||
        !split(line, ':', &name, &value)) {
        framing->is_odd = true;
        return;
    }
    if (is_word(name, "Content-Length")) {
        take_length(value, framing);
    } else if (is_word(name, "Transfer-Encoding")) {
        framing->is_odd |= framing->is_chunked || !is_word(value, "chunked");
        framing->is_chunked = true;
    } else if (is_word(name, "Cookie")) {
        slice_head_cookies(value.data, value.bytes, names, &head->keys);
    } else if (is_word(name, "Upgrade")) {
        head->switches = true;
    }
}

/* False: a request of HTTP/0.9, which is this line alone. */
static bool take_request_line(struct text line, struct slice_head *head)
{
    static const char version[] = " HTTP/";

    head->is_http2 = is_word(line, "PRI * HTTP/2.0");
    head->switches = line.bytes > 8 && !memcmp(line.data, "CONNECT ", 8);
    return memmem(line.data, line.bytes, version, sizeof(version) - 1) != NULL;
}

static void conclude(const struct framing *framing, struct slice_head *head)
{
    if (framing->is_odd || head->is_http2) {
        head->body = SLICE_BODY_OPEN;
    } else if (framing->is_chunked) {
        /* It overrides a length. */
        head->body = SLICE_BODY_CHUNKED;
    } else if (framing->length) {
        head->body = SLICE_BODY_LENGTH;
        head->body_bytes = framing->length;
    } else {
        head->body = SLICE_BODY_NONE;
    }
}

int slice_head_parse(const uint8_t *data, size_t bytes,
                     const char *const *names, struct slice_head *ret_head)
{
    struct framing framing = { 0 };
    struct text line;
    size_t pos = 0;

    memset(ret_head, 0, sizeof(*ret_head));
    ret_head->body = SLICE_BODY_OPEN;
    do {
        if (!next_line(data, bytes, &pos, &line)) {
            return -EAGAIN;
        }
    } while (line.bytes == 0);
    if (!take_request_line(line, ret_head)) {
        ret_head->bytes = pos;
        return 0;
    }
    while (next_line(data, bytes, &pos, &line)) {
        if (line.bytes == 0) {
            ret_head->bytes = pos;
            conclude(&framing, ret_head);
            return 0;
        }
        take_field(line, names, &framing, ret_head);
    }
    return -EAGAIN;
}

/* ---- the rest of the request ---- */

void slice_body_begin(struct slice_body *body, const struct slice_head *head)
{
    memset(body, 0, sizeof(*body));
    switch (head->body) {
    case SLICE_BODY_NONE:
    case SLICE_BODY_LENGTH:
        body->state = SLICE_BODY_REST;
        body->left = head->bytes + head->body_bytes;
        break;
    case SLICE_BODY_CHUNKED:
        body->state = SLICE_BODY_HEAD;
        body->left = head->bytes;
        break;
    case SLICE_BODY_OPEN:
        body->state = SLICE_BODY_ENDLESS;
        break;
    }
}

uint64_t slice_body_sure(const struct slice_body *body)
{
    switch (body->state) {
    case SLICE_BODY_REST:
    case SLICE_BODY_HEAD:
    case SLICE_BODY_DATA:
        return body->left;
    case SLICE_BODY_ENDLESS:
        return UINT64_MAX;
    default:
        return 0;
    }
}

static enum slice_body_state after(const struct slice_body *body)
{
    switch (body->state) {
    case SLICE_BODY_HEAD:
        return SLICE_BODY_SIZE;
    case SLICE_BODY_DATA:
        return SLICE_BODY_DATA_END;
    default:
        return SLICE_BODY_OVER;
    }
}

/* As many of @bytes as are left. */
static size_t take_counted(struct slice_body *body, size_t bytes)
{
    size_t n = bytes < body->left ? bytes : (size_t)body->left;

    body->left -= n;
    if (!body->left) {
        body->state = after(body);
    }
    return n;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void end_size(struct slice_body *body)
{
    body->left = body->size;
    body->state = body->size ? SLICE_BODY_DATA : SLICE_BODY_TRAILER;
    body->size = 0;
    body->n_digits = 0;
}

static void take_size(struct slice_body *body, uint8_t c)
{
    int digit = hex_digit(c);

    if (digit >= 0 && body->n_digits < CHUNK_DIGITS_MAX) {
        body->size = body->size << 4 | (unsigned)digit;
        body->n_digits++;
    } else if (digit >= 0 || !body->n_digits) {
        body->state = SLICE_BODY_ENDLESS;
    } else if (c == '\n') {
        end_size(body);
    } else {
        body->state = SLICE_BODY_SIZE_END;
    }
}

/* One byte of what stands between the chunks. */
static void take_byte(struct slice_body *body, uint8_t c)
{
    switch (body->state) {
    case SLICE_BODY_SIZE:
        take_size(body, c);
        break;
    case SLICE_BODY_SIZE_END:
        if (c == '\n') {
            end_size(body);
        }
        break;
    case SLICE_BODY_DATA_END:
        if (c == '\n') {
            body->state = SLICE_BODY_SIZE;
        } else if (c != '\r') {
            body->state = SLICE_BODY_ENDLESS;
        }
        break;
    case SLICE_BODY_TRAILER:
    case SLICE_BODY_TRAILER_CR:
        if (c == '\n') {
            body->state = SLICE_BODY_OVER;
        } else if (c == '\r' && body->state == SLICE_BODY_TRAILER) {
            body->state = SLICE_BODY_TRAILER_CR;
        } else {
            body->state = SLICE_BODY_TRAILER_LINE;
        }
        break;
    case SLICE_BODY_TRAILER_LINE:
        if (c == '\n') {
            body->state = SLICE_BODY_TRAILER;
        }
        break;
    default:
        break;
    }
}

size_t slice_body_take(struct slice_body *body, const uint8_t *data,
                       size_t bytes)
{
    size_t n = 0;

    while (n < bytes && body->state != SLICE_BODY_OVER) {
        if (body->state == SLICE_BODY_ENDLESS) {
            return bytes;
        }
        if (slice_body_sure(body)) {
            n += take_counted(body, bytes - n);
        } else {
            take_byte(body, data[n++]);
        }
    }
    return n;
}
