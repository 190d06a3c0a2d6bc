/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream.h - frames between the hypervisors of a cluster (contract 4)
 *
 * One listener per engine, one connection per ordered pair of engines, dialled
 * by the one that has something to send: a slice's source dials its target.
 * Answers come back on the same connection.  Each frame is a header and at
 * most SLICE_STREAM_PAYLOAD_MAX bytes of payload, all little-endian, with a
 * CRC-32C over header (field @crc32c zero) and payload.  A frame that does not
 * check ends the connection: both sides then hold what they have (protocol
 * rule: nobody resumes, forgets or opens because a stream ended).
 *
 * After HELLO in both directions frames belong to (slice, term).  Bulk (DELTA,
 * PACKET) is sent within credits of the receiver, in bytes of payload per
 * slice; control frames are not counted and overtake bulk.
 */
#ifndef SLICE_STREAM_H
#define SLICE_STREAM_H

#include <stdint.h>

#define SLICE_STREAM_MAGIC        0x54534c53u   /* "SLST" on the wire */
#define SLICE_STREAM_VERSION      2
#define SLICE_STREAM_COMPAT       2
#define SLICE_STREAM_PAYLOAD_MAX  65536
#define SLICE_STREAM_CREDIT_BYTES (1u << 20)    /* initial, for each slice */

typedef struct SliceStreamHeader {
    uint32_t magic;
    uint16_t type;              /* SliceStreamType */
    uint16_t flags;             /* SLICE_STREAM_MUST or 0 */
    uint64_t incarnation;       /* the slice's id */
    uint64_t counter;
    uint64_t term;
    uint32_t bytes;             /* of payload */
    uint32_t crc32c;
} SliceStreamHeader;

/* A frame of unknown type with this flag ends the connection; without, it is
 * skipped. */
#define SLICE_STREAM_MUST 0x1

typedef enum SliceStreamType {
    SLICE_STREAM_HELLO     = 1,  /* SliceStreamHello; first frame both ways */
    SLICE_STREAM_PING      = 2,  /* payload is echoed */
    SLICE_STREAM_PONG      = 3,
    SLICE_STREAM_CREDIT    = 4,  /* target to source: SliceStreamCredit */
    /* whoever looks for a session, and whom it asks */
    SLICE_STREAM_FIND      = 5,  /* SliceStreamFind; no slice, no term */
    SLICE_STREAM_FOUND     = 6,  /* SliceStreamFound; slice that has it, or 0 */
    /* an engine that moves a slice by itself, and its target */
    SLICE_STREAM_RESERVE   = 7,  /* SliceStreamReserve, layers, flows */
    SLICE_STREAM_RESERVED  = 8,  /* SliceStreamReserved */
    /* source to target */
    SLICE_STREAM_DELTA     = 16, /* uint64 offset, then bytes of the image */
    SLICE_STREAM_DELTA_END = 17, /* SliceStreamDeltaEnd */
    SLICE_STREAM_PACKET    = 18, /* SliceStreamPacket, then the frame */
    SLICE_STREAM_FORGOT    = 19, /* the source is GONE(t) */
    SLICE_STREAM_CANCELLED = 20, /* answer to PLUGGED of a source that resumed:
                                  * REFUSED(t) of the protocol's state table */
    /* target to source */
    SLICE_STREAM_PLUGGED   = 32,
    SLICE_STREAM_REFUSED   = 33, /* SliceStreamRefused */
    SLICE_STREAM_RETURN    = 34, /* SliceStreamPacket: was held at a target
                                  * whose move has been aborted */
} SliceStreamType;

typedef struct SliceStreamHello {
    uint16_t version;
    uint16_t compat;
    uint32_t rsvd;
    uint64_t incarnation;       /* of the engine that speaks */
    uint8_t  name[64];          /* its VM's name, zero padded */
} SliceStreamHello;

typedef struct SliceStreamCredit {
    uint64_t bytes;             /* more, for this slice */
} SliceStreamCredit;

typedef struct SliceStreamDeltaEnd {
    uint64_t total_bytes;
    uint32_t crc32c;            /* of the whole image */
    uint32_t rsvd;
} SliceStreamDeltaEnd;

typedef struct SliceStreamFind {
    uint64_t tag;               /* the asker's, repeated in FOUND */
    uint8_t  digest[32];
} SliceStreamFind;

/*
 * @changes counts slices that came to and left the one who answers: two rounds
 * of "none" without a change in between mean that there was none anywhere.
 */
typedef struct SliceStreamFound {
    uint64_t tag;
    uint32_t status;            /* SLICE_FOUND_* */
    uint32_t changes;
} SliceStreamFound;

#define SLICE_FOUND_HERE  0
#define SLICE_FOUND_NONE  2     /* ENOENT */
#define SLICE_FOUND_AGAIN 11    /* EAGAIN: on its way, or could not be asked */

#define SLICE_STREAM_LAYERS_MAX 16
#define SLICE_STREAM_FLOWS_MAX  64
#define SLICE_STREAM_DEADLINE_MS_MAX 600000

/* What slice-prepare says. */
typedef struct SliceStreamReserve {
    uint64_t memory_bytes;
    uint32_t vnet_hdr_bytes;
    uint32_t deadline_ms;       /* then it lapses, if nothing whole has come */
    uint32_t n_layers;
    uint32_t n_flows;
    struct {
        uint16_t rank;
        uint16_t n;
    } counts[8];
} SliceStreamReserve;

typedef struct SliceStreamLayer {
    uint8_t  name[16];          /* zero padded */
    uint32_t version;
    uint32_t rank;
    uint64_t abi_hash;
} SliceStreamLayer;

typedef struct SliceStreamReserved {
    uint32_t status;            /* 0 or an errno */
    uint32_t why;               /* enum slice_why */
} SliceStreamReserved;

typedef struct SliceStreamRefused {
    uint32_t why;               /* enum slice_why */
    uint32_t rsvd;
} SliceStreamRefused;

typedef struct SliceStreamPacket {
    uint32_t origin;            /* SLICE_PACKET_* */
    uint32_t bytes;             /* of the Ethernet frame that follows */
} SliceStreamPacket;

/* Where a packet comes from, in the order in which they are let go. */
#define SLICE_PACKET_RING     1 /* the gate's copy of recent ingress */
#define SLICE_PACKET_CAUGHT   2 /* by the guest's mute (gets a header there) */
#define SLICE_PACKET_DIVERTED 3 /* came after the unplug began */
#define SLICE_PACKET_FORWARD  4 /* came after FORGOT; carries the term's rule */

#endif /* SLICE_STREAM_H */
