/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtio_slice.h - the virtio-slice device (contract 3)
 *
 * DOC: theory
 *
 * The device connects a guest's slice registry to the hypervisor's slice
 * table.  Two queues: the driver sends requests on queue 0 (one buffer with a
 * device-readable request and a device-writable struct virtio_slice_response);
 * the device sends struct virtio_slice_event on queue 1, whose buffers the
 * driver posts (each device-writable, at least sizeof(struct
 * virtio_slice_event)).
 *
 * No capsule payload travels in a descriptor.  A request that moves payload
 * names *chunks*: device addresses (as the DMA API gives them) and lengths of
 * guest RAM, in the order of the image.  The device reads or writes that RAM
 * itself, only while it works on the request, i.e. after it popped it and
 * before it completed it; after completion the driver owns the memory again.
 *
 * A request that the device cannot parse (not as long as its type and count
 * say, a value out of its range, nonzero rsvd, an unknown flag) completes with
 * SLICE_RESP_INVALID and changes nothing; one of unknown type with
 * SLICE_RESP_UNKNOWN; one before HELLO with SLICE_RESP_STALE.  Only a buffer
 * without room for a response, or an event buffer that is too small, is a
 * driver error of the virtio kind (device needs reset).  Requests are answered
 * in the order in which they were made available.
 *
 * DOC: which message belongs to which
 *
 * Source of a move:
 *   event QUIESCE    -> request QUIESCED (status 0 or why not; on failure the
 *                       guest has thawed the slice again)
 *   event UNPLUG     -> requests IMAGE (one or more, the last with
 *                       VIRTIO_SLICE_LAST), PACKETS (what the mute caught, zero
 *                       or more); or UNPLUG_FAILED (slice still drained)
 *   event RESUME     -> request RESUMED: plugged again from the kept image
 *   event FORGET     -> the kept image is dropped, tuples stay mute; no answer
 * Target of a move:
 *   event ROOM       -> request ROOM with chunks for arg bytes (more than one
 *                       request where they do not fit, the last with
 *                       VIRTIO_SLICE_LAST), which completes when the image was
 *                       written there, or with an error; or PLUGGED with a
 *                       status where the guest has no room
 *                    -> request PLUGGED (status 0: plugged, frozen, mute)
 *   event OPEN       -> it runs here; no answer
 *   event DISCARD    -> forget it silently, tuples stay mute; no answer
 * Before a move, at its target:
 *   event RESERVE    -> request RESERVED (status 0, or why there is no place).
 *                       The guest keeps the room, of its layers and of memory,
 *                       for that (slice, term) until it was plugged, until
 *                       event UNRESERVE, which has no answer, or a reset.
 * A session that is looked for by the key of one of its capsules:
 *   request FIND     -> OK: it is looked for, and event FIND_DONE with its tag
 *                       comes, or the slice that asks leaves for where the
 *                       session is
 *   event LOOKUP     -> request FOUND with its tag: another VM looks for it
 * Unasked: HELLO (first of all, again after each reset), SLICE_SET, SLICE_GONE.
 *
 * After a restore @incarnation in the configuration space is another one: upon
 * the configuration interrupt the driver says HELLO again and SLICE_SET for
 * each of its slices, whose ids stay; only new ids use the new incarnation.
 *
 * A term in an event is repeated in its answers; the device ignores answers
 * of another term with SLICE_RESP_STALE.
 */
#ifndef _UAPI_LINUX_VIRTIO_SLICE_H
#define _UAPI_LINUX_VIRTIO_SLICE_H

#include <linux/types.h>

/* Above the ids that the virtio specification has given out; provisional. */
#define VIRTIO_ID_SLICE		61

#define VIRTIO_SLICE_QUEUE_REQUEST	0
#define VIRTIO_SLICE_QUEUE_EVENT	1
#define VIRTIO_SLICE_N_QUEUES		2

#define VIRTIO_SLICE_VERSION		2
#define VIRTIO_SLICE_CHUNKS_MAX		2048	/* in one request */
#define VIRTIO_SLICE_CHUNK_BYTES_MAX	(4u << 20)
#define VIRTIO_SLICE_FLOWS_MAX		64	/* in one SLICE_SET; more: pinned */
#define VIRTIO_SLICE_LAYERS_MAX		16
#define VIRTIO_SLICE_PACKETS_BYTES_MAX	(256u << 10) /* caught, for each slice */
#define VIRTIO_SLICE_COUNTS_MAX		8	/* ranks in one slice; more: pinned */
#define VIRTIO_SLICE_DIGEST_BYTES	32
#define VIRTIO_SLICE_FINDS_MAX		1024	/* of a guest, under way */
#define VIRTIO_SLICE_FIND_MS_MAX	60000

/**
 * struct virtio_slice_config - configuration space
 * @incarnation: of this QEMU process; changes after restore (then a
 *	configuration interrupt comes and new ids use it)
 * @image_bytes_max: longest image that this device takes or brings
 * @version: VIRTIO_SLICE_VERSION
 * @rsvd: 0
 */
struct virtio_slice_config {
	__le64 incarnation;
	__le64 image_bytes_max;
	__le32 version;
	__le32 rsvd;
};

struct virtio_slice_id {
	__le64 incarnation;
	__le64 counter;
};

/* As struct slice_image_flow (slice_capsule.h). */
struct virtio_slice_flow {
	__u8 family;			/* 4 or 6 */
	__u8 protocol;			/* 6 */
	__u8 rsvd[2];
	__be16 local_port;
	__be16 remote_port;
	__u8 local[16];
	__u8 remote[16];
};

/**
 * struct virtio_slice_count - how many capsules a slice has of one layer
 * @rank: of the layer; 0: an unused entry
 * @n: 1 or more, 0 in an unused entry
 *
 * Used entries come first, each rank once.
 */
struct virtio_slice_count {
	__le16 rank;
	__le16 n;
};

/* ---- requests (driver to device) ---- */

enum virtio_slice_request_type {
	VIRTIO_SLICE_REQ_HELLO		= 1,
	VIRTIO_SLICE_REQ_SET		= 2,	/* SLICE_SET */
	VIRTIO_SLICE_REQ_GONE		= 3,	/* SLICE_GONE */
	VIRTIO_SLICE_REQ_QUIESCED	= 4,
	VIRTIO_SLICE_REQ_IMAGE		= 5,
	VIRTIO_SLICE_REQ_PACKETS	= 6,
	VIRTIO_SLICE_REQ_UNPLUG_FAILED	= 7,
	VIRTIO_SLICE_REQ_RESUMED	= 8,
	VIRTIO_SLICE_REQ_ROOM		= 9,
	VIRTIO_SLICE_REQ_PLUGGED	= 10,
	VIRTIO_SLICE_REQ_FIND		= 11,
	VIRTIO_SLICE_REQ_FOUND		= 12,
	VIRTIO_SLICE_REQ_RESERVED	= 13,
};

/**
 * struct virtio_slice_request - how each request starts
 * @type: enum virtio_slice_request_type
 * @flags: VIRTIO_SLICE_LAST or 0
 * @count: entries that follow (layers, flows, chunks), or 0
 * @slice: zero in HELLO; FIND: that which asks; FOUND: that which has what is
 *	looked for (EAGAIN: or zero; ENOENT: zero)
 * @term: of the event that it answers; 0 in HELLO, SET, GONE, FIND, FOUND
 */
struct virtio_slice_request {
	__le16 type;
	__le16 flags;
	__le32 count;
	struct virtio_slice_id slice;
	__le64 term;
};
#define VIRTIO_SLICE_LAST	0x1

/**
 * struct virtio_slice_layer - HELLO: header, then count of these
 */
struct virtio_slice_layer {
	__u8 name[16];
	__le32 version;
	__le32 rank;
	__le64 abi_hash;
};

/**
 * struct virtio_slice_set - SET: header, this, then count flows
 * @memory_bytes: capsule pages in use
 * @n_capsules: in it
 * @n_flows: connections that it has; may exceed count (then it is pinned)
 * @movability, @why: enum slice_movability, enum slice_why (slice.h)
 * @counts: its capsules by layer; what a target is asked to keep room for
 * @label: zero padded
 * @top_layer: name of its top capsule's layer
 *
 * Inserts the slice or replaces what the device knew of it.  Sent when a
 * slice's flows, label or membership change, not for each request.
 */
struct virtio_slice_set {
	__le64 memory_bytes;
	__le32 n_capsules;
	__le32 n_flows;
	__le32 movability;
	__le32 why;
	struct virtio_slice_count counts[VIRTIO_SLICE_COUNTS_MAX];
	__u8 label[32];
	__u8 top_layer[16];
};

/* GONE: header only.  The slice has ended here by itself (or was joined). */

/**
 * struct virtio_slice_status - QUIESCED, UNPLUG_FAILED, RESUMED, PLUGGED,
 *	RESERVED: header, then this
 * @status: 0 or a positive errno
 * @why: enum slice_why
 */
struct virtio_slice_status {
	__le32 status;
	__le32 why;
};

/**
 * struct virtio_slice_chunks - IMAGE, PACKETS, ROOM: header, this, count chunks
 * @offset: where in the image these chunks start (PACKETS: 0); requests of one
 *	image come in order, without gaps
 * @total_bytes: of the whole image (the same in each request); ROOM: the bytes
 *	that the event asked for; PACKETS: of these packets
 *
 * PACKETS payload: for each packet a __le32 length, then that many bytes from
 * the IP header on, padded to 4.
 */
struct virtio_slice_chunks {
	__le64 offset;
	__le64 total_bytes;
};

struct virtio_slice_chunk {
	__le64 addr;
	__le32 bytes;			/* 1 .. VIRTIO_SLICE_CHUNK_BYTES_MAX */
	__le32 rsvd;
};

/**
 * struct virtio_slice_find - FIND: header, then this
 * @tag: the driver's own name for it, in FIND_DONE; not one under way
 * @timeout_ms: 1 .. VIRTIO_SLICE_FIND_MS_MAX
 * @rsvd: 0
 * @digest: SHA-256 of the layer's name, zero padded to 16 bytes, and the key:
 *	keys may be secrets of the guest's applications
 *
 * Answered with SLICE_RESP_OK; _NO_ROOM: too many are under way, or came too
 * fast; _STALE: no such slice runs here now.
 */
struct virtio_slice_find {
	__le64 tag;
	__le32 timeout_ms;
	__le32 rsvd;
	__u8 digest[VIRTIO_SLICE_DIGEST_BYTES];
};

/**
 * struct virtio_slice_found - FOUND: header, then this
 * @tag: of the event LOOKUP
 * @status: 0: the header's slice has a capsule with that key and could take
 *	what needs it; ENOENT: none here; EAGAIN: it is leaving or arriving, ask
 *	again shortly
 * @rsvd: 0
 */
struct virtio_slice_found {
	__le64 tag;
	__le32 status;
	__le32 rsvd;
};

enum virtio_slice_response_status {
	SLICE_RESP_OK		= 0,
	SLICE_RESP_INVALID	= 1,	/* malformed */
	SLICE_RESP_UNKNOWN	= 2,	/* no such slice or request type */
	SLICE_RESP_STALE	= 3,	/* another term, or not in that state */
	SLICE_RESP_NO_ROOM	= 4,	/* a limit of the table */
	SLICE_RESP_FAULT	= 5,	/* a chunk is not guest RAM */
};

/**
 * struct virtio_slice_response - what each request is completed with
 * @status: enum virtio_slice_response_status
 * @rsvd: 0
 * @value: ROOM with LAST and OK: the image's bytes; otherwise 0
 */
struct virtio_slice_response {
	__le32 status;
	__le32 rsvd;
	__le64 value;
};

/* ---- events (device to driver) ---- */

enum virtio_slice_event_type {
	VIRTIO_SLICE_EVENT_QUIESCE	= 1,	/* arg: deadline in ms from now */
	VIRTIO_SLICE_EVENT_UNPLUG	= 2,	/* arg: deadline in ms */
	VIRTIO_SLICE_EVENT_RESUME	= 3,
	VIRTIO_SLICE_EVENT_FORGET	= 4,
	VIRTIO_SLICE_EVENT_ROOM		= 5,	/* arg: bytes of the image */
	VIRTIO_SLICE_EVENT_OPEN		= 6,
	VIRTIO_SLICE_EVENT_DISCARD	= 7,
	VIRTIO_SLICE_EVENT_LOOKUP	= 8,	/* arg: tag; data: digest; no slice */
	VIRTIO_SLICE_EVENT_FIND_DONE	= 9,	/* arg: tag; term: status, see below */
	VIRTIO_SLICE_EVENT_RESERVE	= 10,	/* arg: bytes of memory; data: counts */
	VIRTIO_SLICE_EVENT_UNRESERVE	= 11,
};

/*
 * Status of FIND_DONE: 0: the slice that asked is being moved to the session
 * now, its QUIESCE follows; the find ends when the slice has left, or with
 * another FIND_DONE of the same tag.  Else a positive errno, and it has ended:
 * ENOENT: every peer has answered that it has none; ETIMEDOUT: not all have, or
 * the slice did not leave in time, or can not; EBUSY: ask again.
 */

/**
 * struct virtio_slice_event - what an event buffer is filled with
 * @data: as the type says, or zero
 */
struct virtio_slice_event {
	__le16 type;
	__le16 flags;			/* 0 */
	__le32 rsvd;
	struct virtio_slice_id slice;
	__le64 term;
	__le64 arg;
	__u8 data[32];
};

#endif /* _UAPI_LINUX_VIRTIO_SLICE_H */
