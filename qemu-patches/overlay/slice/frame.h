/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * frame.h - frames of the slice stream, built and taken apart
 *
 * The only code that knows the stream's bytes (include/slice/stream.h).  Pure:
 * no I/O, and nothing of QEMU but byte order and CRC-32C, so that the fuzzer
 * builds it alone.  All structs are in host order here.
 *
 * Every length of a frame that comes in is checked against what is there
 * before anything of it is used.
 */
#ifndef SLICE_FRAME_H
#define SLICE_FRAME_H

#include "slice/stream.h"
#include "slice/types.h"

#define SLICE_FRAME_HEADER_BYTES 40
#define SLICE_FRAME_BYTES_MAX \
    (SLICE_FRAME_HEADER_BYTES + SLICE_STREAM_PAYLOAD_MAX)

/**
 * slice_frame_build: a whole frame in one buffer
 * @type: SliceStreamType
 * @incarnation, @counter, @term: what it is about, zero for the connection
 * @head, @head_bytes: first part of the payload
 * @body, @body_bytes: second part
 * @ret_bytes: length of the frame
 *
 * Return: the frame, to be freed by g_free().  The parts' sum must not exceed
 * SLICE_STREAM_PAYLOAD_MAX.
 */
uint8_t *slice_frame_build(uint16_t type, uint64_t incarnation,
                           uint64_t counter, uint64_t term,
                           const void *head, size_t head_bytes,
                           const void *body, size_t body_bytes,
                           size_t *ret_bytes);

/* Payloads, as a frame's @head: each returns its length on the wire. */
#define SLICE_FRAME_HELLO_BYTES     80
#define SLICE_FRAME_CREDIT_BYTES    8
#define SLICE_FRAME_DELTA_BYTES     8   /* before the image's bytes */
#define SLICE_FRAME_DELTA_END_BYTES 16
#define SLICE_FRAME_REFUSED_BYTES   8
#define SLICE_FRAME_PACKET_BYTES    8   /* before the packet */
#define SLICE_FRAME_FIND_BYTES      40
#define SLICE_FRAME_FOUND_BYTES     16
#define SLICE_FRAME_RESERVED_BYTES  8
#define SLICE_FRAME_RESERVE_BYTES   56  /* before layers and flows */
#define SLICE_FRAME_LAYER_BYTES     32
#define SLICE_FRAME_FLOW_BYTES      40
#define SLICE_FRAME_RESERVE_BYTES_MAX \
    (SLICE_FRAME_RESERVE_BYTES + \
     SLICE_STREAM_LAYERS_MAX * SLICE_FRAME_LAYER_BYTES + \
     SLICE_STREAM_FLOWS_MAX * SLICE_FRAME_FLOW_BYTES)
#define SLICE_FRAME_PAYLOAD_BYTES   SLICE_FRAME_RESERVE_BYTES_MAX /* longest */

size_t slice_frame_put_hello(uint8_t *to, const SliceStreamHello *hello);
size_t slice_frame_put_credit(uint8_t *to, const SliceStreamCredit *credit);
size_t slice_frame_put_delta(uint8_t *to, uint64_t offset);
size_t slice_frame_put_delta_end(uint8_t *to, const SliceStreamDeltaEnd *end);
size_t slice_frame_put_refused(uint8_t *to, const SliceStreamRefused *refused);
size_t slice_frame_put_find(uint8_t *to, const SliceStreamFind *find);
size_t slice_frame_put_found(uint8_t *to, const SliceStreamFound *found);
size_t slice_frame_put_reserved(uint8_t *to,
                                const SliceStreamReserved *reserved);
/** @layers and @flows: as many as @reserve says, within the limits. */
size_t slice_frame_put_reserve(uint8_t *to, const SliceStreamReserve *reserve,
                               const SliceStreamLayer *layers,
                               const SliceFlow *flows);
size_t slice_frame_put_packet(uint8_t *to, const SliceStreamPacket *packet);

/**
 * slice_frame_parse_header: check a frame's first bytes
 * @bytes: SLICE_FRAME_HEADER_BYTES of them
 * @ret_header: in host order
 * @ret_why: on failure, what is wrong (a constant)
 *
 * Return: false where the connection is not to be trusted any more.
 */
bool slice_frame_parse_header(const uint8_t *bytes,
                              SliceStreamHeader *ret_header,
                              const char **ret_why);
/**
 * slice_frame_check: do header and payload agree with the frame's CRC?
 * @bytes: the header as it came
 * @header: of it
 * @payload: header->bytes of them
 */
bool slice_frame_check(const uint8_t *bytes, const SliceStreamHeader *header,
                       const uint8_t *payload, const char **ret_why);

/*
 * Take a payload apart.  Each checks length, reserved fields and ranges, and
 * returns false with *ret_why for what does not fit.
 */
bool slice_frame_get_hello(const uint8_t *payload, size_t bytes,
                           SliceStreamHello *ret_hello, const char **ret_why);
bool slice_frame_get_credit(const uint8_t *payload, size_t bytes,
                            SliceStreamCredit *ret_credit,
                            const char **ret_why);
bool slice_frame_get_delta(const uint8_t *payload, size_t bytes,
                           uint64_t *ret_offset, const uint8_t **ret_data,
                           size_t *ret_data_bytes, const char **ret_why);
bool slice_frame_get_delta_end(const uint8_t *payload, size_t bytes,
                               SliceStreamDeltaEnd *ret_end,
                               const char **ret_why);
bool slice_frame_get_refused(const uint8_t *payload, size_t bytes,
                             SliceStreamRefused *ret_refused,
                             const char **ret_why);
bool slice_frame_get_packet(const uint8_t *payload, size_t bytes,
                            SliceStreamPacket *ret_packet,
                            const uint8_t **ret_data, const char **ret_why);
bool slice_frame_get_find(const uint8_t *payload, size_t bytes,
                          SliceStreamFind *ret_find, const char **ret_why);
bool slice_frame_get_found(const uint8_t *payload, size_t bytes,
                           SliceStreamFound *ret_found, const char **ret_why);
bool slice_frame_get_reserved(const uint8_t *payload, size_t bytes,
                              SliceStreamReserved *ret_reserved,
                              const char **ret_why);
/** @ret_layers and @ret_flows have room for as many as there may be. */
bool slice_frame_get_reserve(const uint8_t *payload, size_t bytes,
                             SliceStreamReserve *ret_reserve,
                             SliceStreamLayer *ret_layers,
                             SliceFlow *ret_flows, const char **ret_why);
/** PLUGGED, FORGOT, CANCELLED have no payload. */
bool slice_frame_get_nothing(size_t bytes, const char **ret_why);

#endif /* SLICE_FRAME_H */
