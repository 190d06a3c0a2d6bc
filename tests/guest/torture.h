/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * torture.h - what the torture client and its server in a guest say
 *
 * A connection begins with a header from the client.  Then each direction is a
 * stream of numbered bytes, independent of the other: @to_server bytes one way,
 * @to_client bytes the other way, which end in a report of what the server has
 * read.  Byte k of a direction is torture_byte(salt, k), so that a byte lost,
 * doubled or exchanged is seen, and where.
 *
 *   client                                     server
 *   header ──────────────────────────────────►
 *   to_server numbered bytes ────────────────►
 *          ◄──────────────────────────────────  to_client numbered bytes, report
 *   (with TORTURE_REPORT_AT_END: end of input ►, and only then the report)
 *
 * Little-endian; both sides belong to one tree and are built together.
 */
#ifndef SLICE_TESTS_TORTURE_H
#define SLICE_TESTS_TORTURE_H

#include <stdint.h>

#define TORTURE_PORT 7001
#define TORTURE_MAGIC 0x74726f54u       /* "Tort" */

/* The server does nothing in this direction until it gets SIGUSR1. */
#define TORTURE_HOLD_READING 0x1u
#define TORTURE_HOLD_WRITING 0x2u
/* The report waits for the end of the client's input. */
#define TORTURE_REPORT_AT_END 0x4u
/* After its last byte the server shuts its direction down, and goes on reading. */
#define TORTURE_SHUT_WRITING 0x8u

struct TortureHeader {
    uint32_t magic;
    uint32_t flags;
    uint64_t to_server, to_client;
    uint32_t salt;              /* of the client's bytes; the server's: salt + 1 */
    uint32_t send_bytes;        /* of the server's send buffer; 0: the system's */
};

struct TortureReport {
    uint32_t magic;
    uint32_t n_moves;           /* how often the server's capsule has arrived */
    uint64_t n_read;            /* bytes, without the header */
    uint64_t first_bad;         /* number of the first wrong byte, or UINT64_MAX */
};

static inline uint8_t torture_byte(uint32_t salt, uint64_t k)
{
    uint64_t z = (k >> 2 ^ (uint64_t)salt << 32) * 0x9e3779b97f4a7c15ULL;

    return z >> (40 + 8 * (k & 1)) ^ k;
}

#endif /* SLICE_TESTS_TORTURE_H */
