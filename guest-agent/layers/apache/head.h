/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * head.h - where an HTTP/1 request ends, and which session it names
 *
 * DOC: why mod_slice looks at requests before Apache does
 *
 * A connection can be taken away only where no byte of a request has left the
 * kernel's receive queue.  So mod_slice peeks at a request's head there: it
 * names the session, which may live elsewhere, and it tells how long the
 * request is, so that not one byte of the next one is read with it.
 *
 * Apache parses the same bytes again and decides what they mean.  A wrong guess
 * here costs movability, never correctness: bytes are handed on unchanged and
 * in order, only when they leave the kernel is decided by this.
 *
 * Pure: no system calls, no allocation, no globals.  Every byte is a stranger's.
 * Source: RFC 9112, sections 2 to 7; RFC 6265, section 4.2.
 */
#ifndef SLICE_HEAD_H
#define SLICE_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Heads are looked at up to here: twice Apache's default for one line. */
#define SLICE_HEAD_BYTES_MAX 16384
/* Cookies that can name sessions: several applications behind one name. */
#define SLICE_HEAD_NAMES_MAX 4
/* As long as the key of a capsule can be (SLICE_KEY_BYTES_MAX). */
#define SLICE_HEAD_KEY_BYTES_MAX 64

/**
 * struct slice_keys - the sessions that a request names
 * @seen: bit i: a cookie of the i-th name was there, be its value one or not
 * @keys: by name; @bytes 0: none.  What lies behind @bytes is zero, so two of
 *        them can be compared with memcmp().
 */
struct slice_keys {
    uint32_t seen;
    struct {
        uint32_t bytes;
        uint8_t data[SLICE_HEAD_KEY_BYTES_MAX];
    } keys[SLICE_HEAD_NAMES_MAX];
};

enum slice_head_body {
    SLICE_BODY_NONE,
    SLICE_BODY_LENGTH,          /* as Content-Length says */
    SLICE_BODY_CHUNKED,
    SLICE_BODY_OPEN,            /* nobody can tell from here */
};

/**
 * struct slice_head - what a request's head says
 * @bytes: of it, with blank lines before it and the one behind it
 * @body: how its end is found
 * @body_bytes: with LENGTH
 * @switches: it asks for another protocol behind it (Upgrade, CONNECT)
 * @is_http2: it is the preface of HTTP/2
 * @keys: the sessions that it names
 */
struct slice_head {
    size_t bytes;
    enum slice_head_body body;
    uint64_t body_bytes;
    bool switches;
    bool is_http2;
    struct slice_keys keys;
};

/**
 * slice_head_parse() - look at the beginning of a request
 * @data: what is there of it
 * @bytes: of @data
 * @names: of cookies that name sessions; up to SLICE_HEAD_NAMES_MAX, then NULL
 * @ret_head: filled in
 *
 * Return: 0; -EAGAIN: its end is not there yet; @ret_head then says what the
 * lines so far said, and its @body is OPEN.
 */
int slice_head_parse(const uint8_t *data, size_t bytes,
                     const char *const *names, struct slice_head *ret_head);

/**
 * slice_head_cookies() - the sessions that a Cookie field names
 * @value: of the field
 * @bytes: of @value
 * @names: as above
 * @keys: added to; of two cookies of one name the first counts
 */
void slice_head_cookies(const uint8_t *value, size_t bytes,
                        const char *const *names, struct slice_keys *keys);

enum slice_body_state {
    SLICE_BODY_OVER,            /* not one byte more belongs to the request */
    SLICE_BODY_REST,            /* @left bytes do */
    SLICE_BODY_HEAD,            /* @left bytes of a head, then chunks */
    SLICE_BODY_SIZE,            /* a chunk's size */
    SLICE_BODY_SIZE_END,        /* the rest of that line */
    SLICE_BODY_DATA,            /* @left bytes of a chunk */
    SLICE_BODY_DATA_END,        /* the line end behind it */
    SLICE_BODY_TRAILER,         /* the beginning of a trailer line */
    SLICE_BODY_TRAILER_CR,      /* that, after a carriage return */
    SLICE_BODY_TRAILER_LINE,    /* the rest of one */
    SLICE_BODY_ENDLESS,         /* everything does */
};

/**
 * struct slice_body - how far a request has been read; all zero: it is over
 * @state: what comes next
 * @left: bytes, where @state says so
 * @size: of the chunk whose size is being read
 * @n_digits: of it so far
 */
struct slice_body {
    enum slice_body_state state;
    uint64_t left;
    uint64_t size;
    unsigned n_digits;
};

/* slice_body_begin() - not one byte of @head's request has been read. */
void slice_body_begin(struct slice_body *body, const struct slice_head *head);

/**
 * slice_body_sure() - what can be read without being looked at first
 *
 * Return: a number of bytes; 0: it is over, or only slice_body_take() can tell.
 */
uint64_t slice_body_sure(const struct slice_body *body);

/**
 * slice_body_take() - go on
 * @body: changed
 * @data: what comes next on the connection
 * @bytes: of @data
 *
 * Return: how many of @bytes belong to the request.
 */
size_t slice_body_take(struct slice_body *body, const uint8_t *data,
                       size_t bytes);

#endif /* SLICE_HEAD_H */
