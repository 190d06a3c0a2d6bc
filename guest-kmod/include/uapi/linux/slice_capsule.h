/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * slice_capsule.h - the image of an unplugged slice (contract 2)
 *
 * DOC: a slice image
 *
 * A slice image is one header, then records, the last of which is END.  All
 * fields are little-endian.  Each record's payload is padded with zeros to a
 * multiple of 8 bytes.  Nothing takes effect before END was reached and its
 * CRC-32C (Castagnoli, initial value ~0, final inversion, as RFC 3720) over
 * all bytes from the header's first to the last byte before the END record
 * agrees.  A record of unknown type is skipped unless its flags say
 * SLICE_RECORD_MUST; a known type with a length other than documented is an
 * error.  Records come in the order of the enum's sections: all CAPSULE, all
 * DEP, then state records, then END; an index names a CAPSULE record by its
 * position among them, from 0.
 *
 * The format is provisional until protection stands: no reader keeps
 * compatibility yet, but each checks @compat.
 *
 * The reader treats every byte as hostile: each length is checked against what
 * is left before it is used, each index against n_capsules, sums before they
 * can wrap.
 */
#ifndef _UAPI_LINUX_SLICE_CAPSULE_H
#define _UAPI_LINUX_SLICE_CAPSULE_H

#include <linux/types.h>

#define SLICE_IMAGE_MAGIC	"SLICEIMG"
#define SLICE_IMAGE_VERSION	1	/* of the writer */
#define SLICE_IMAGE_COMPAT	1	/* the oldest reader that understands it */
#define SLICE_IMAGE_BYTES_MAX	(256u << 20)
#define SLICE_IMAGE_CAPSULES_MAX 256
#define SLICE_IMAGE_DEPS_MAX	4096

/**
 * struct slice_image_header - first bytes of an image
 * @magic: SLICE_IMAGE_MAGIC, no terminating zero
 * @version: SLICE_IMAGE_VERSION of the writer
 * @compat: SLICE_IMAGE_COMPAT of the writer: a reader of a lower version
 *          refuses
 * @header_bytes: sizeof(struct slice_image_header)
 * @total_bytes: of the whole image, END included
 * @incarnation, @counter: the slice's id
 * @frozen_ns: how long before the image was written the slice was frozen
 * @n_capsules: CAPSULE records, 1 .. SLICE_IMAGE_CAPSULES_MAX
 * @n_deps: DEP records, 0 .. SLICE_IMAGE_DEPS_MAX
 * @flags: SLICE_IMAGE_COMMIT: a commit's snapshot (whole send queue counts as
 *         sent), not a move's
 * @rsvd: 0
 */
struct slice_image_header {
	__u8 magic[8];
	__le16 version;
	__le16 compat;
	__le32 header_bytes;
	__le64 total_bytes;
	__le64 incarnation;
	__le64 counter;
	__le64 frozen_ns;
	__le32 n_capsules;
	__le32 n_deps;
	__le32 flags;
	__le32 rsvd;
};
#define SLICE_IMAGE_COMMIT	0x1

/**
 * struct slice_image_record - before each payload
 * @type: enum slice_record_type
 * @flags: SLICE_RECORD_MUST or 0
 * @index: the capsule it belongs to, or 0
 * @bytes: of the payload, without padding
 */
struct slice_image_record {
	__le16 type;
	__le16 flags;
	__le32 index;
	__le64 bytes;
};
#define SLICE_RECORD_MUST	0x1

enum slice_record_type {
	SLICE_RECORD_END	= 0,	/* struct slice_image_end */
	SLICE_RECORD_CAPSULE	= 1,	/* struct slice_image_capsule */
	SLICE_RECORD_DEP	= 2,	/* struct slice_image_dep */
	SLICE_RECORD_LABEL	= 3,	/* of that capsule, 1 .. 32 bytes */
	SLICE_RECORD_MEMORY	= 16,	/* __le64 offset, then whole pages' bytes */
	SLICE_RECORD_FLOW	= 17,	/* struct slice_image_flow */
	SLICE_RECORD_TCP	= 18,	/* struct slice_image_tcp */
	SLICE_RECORD_TCP_RECV	= 19,	/* unread bytes, from copied_seq */
	SLICE_RECORD_TCP_SEND	= 20,	/* bytes from snd_una to write_seq */
	SLICE_RECORD_TCP_AHEAD	= 21,	/* struct slice_image_tcp_ahead, ... */
};

/**
 * struct slice_image_capsule - one capsule
 * @incarnation, @counter: its id
 * @layer: name, zero padded
 * @layer_version, @abi_hash: must be those of the target's layer
 * @room_bytes: room for its state; a multiple of 4096
 * @key_bytes, @key: by which the layer finds it again
 * @flags: SLICE_IMAGE_TOP for the slice's top capsule (exactly one)
 */
struct slice_image_capsule {
	__le64 incarnation;
	__le64 counter;
	__u8 layer[16];
	__le32 layer_version;
	__le32 flags;
	__le64 abi_hash;
	__le64 room_bytes;
	__le32 key_bytes;
	__le32 rsvd;
	__u8 key[64];
};
#define SLICE_IMAGE_TOP		0x1

/**
 * struct slice_image_dep - capsule @from needs capsule @to
 * @from, @to: indices
 */
struct slice_image_dep {
	__le32 from;
	__le32 to;
};

/**
 * struct slice_image_flow - a connection's addresses, the server's side first
 * @family: 4 or 6 (the IP version)
 * @protocol: 6 (TCP)
 * @local_port, @remote_port: in network order
 * @local, @remote: network order; IPv4 in the first 4 bytes, the rest zero
 */
struct slice_image_flow {
	__u8 family;
	__u8 protocol;
	__u8 rsvd[2];
	__be16 local_port;
	__be16 remote_port;
	__u8 local[16];
	__u8 remote[16];
};

/**
 * struct slice_image_end - the terminator
 * @crc32c: over all that precedes this record (header and all records before
 *          the END record's own struct slice_image_record)
 * @rsvd: 0
 */
struct slice_image_end {
	__le32 crc32c;
	__le32 rsvd;
};

/**
 * struct slice_image_tcp - one connection's TCP state
 *
 * Sequence numbers as on the wire.  Times in microseconds unless named.
 * The tcp layer's source says what each is restored to; here only what it is.
 */
struct slice_image_tcp {
	struct slice_image_flow flow;
	__le32 state;			/* as Linux numbers them: ESTABLISHED 1,
					 * FIN_WAIT1 4, FIN_WAIT2 5, CLOSE_WAIT 8,
					 * LAST_ACK 9, CLOSING 11 */
	__le32 options;			/* SLICE_TCP_OPT_* */
	__le32 copied_seq;
	__le32 rcv_nxt;
	__le32 snd_una;
	__le32 snd_nxt;
	__le32 write_seq;		/* with our FIN, once shut down */
	__le32 snd_wl1;
	__le32 snd_wnd;
	__le32 max_window;
	__le32 rcv_wnd;
	__le32 rcv_wup;
	__le32 snd_sml;
	__le32 pushed_seq;
	__le32 recv_bytes;		/* of the TCP_RECV record */
	__le32 send_bytes;		/* of the TCP_SEND record; no FIN */
	__le32 sent_bytes;		/* how many of those were transmitted */
	__le32 tsval;			/* last clock value for TSval */
	__le32 ts_recent;
	__le32 ts_recent_age_s;
	__le32 mss_clamp;
	__le32 user_mss;
	__le32 advmss;
	__le32 pmtu;
	__le32 rcvbuf;
	__le32 sndbuf;
	__le32 window_clamp;
	__le32 rcv_ssthresh;
	__le32 rcvq_space;
	__le32 rcv_mss;
	__le32 snd_cwnd;
	__le32 snd_ssthresh;
	__le32 srtt_us;			/* times 8, as the kernel keeps it */
	__le32 mdev_us;
	__le32 rttvar_us;
	__le32 rto_us;
	__le32 keepalive_time_s;
	__le32 keepalive_intvl_s;
	__le32 keepalive_probes;
	__le32 user_timeout_ms;
	__le32 linger_s;
	__le32 mark;
	__le32 priority;
	__u8 snd_wscale;
	__u8 rcv_wscale;
	__u8 tos;
	__u8 ttl;			/* 0: the default */
	__u8 congestion[16];		/* name, zero padded */
	__u8 next_hop_mac[6];		/* zero: unknown */
	__u8 tclass;			/* of IPv6 sockets */
	__u8 hop_limit;			/* of IPv6 sockets; 0: the default */
	__u8 pmtudisc;			/* IP_PMTUDISC_* 0 .. 5 */
	__u8 rsvd[3];
	__le64 frozen_clock_ns;		/* age of the snapshot when the image was sealed */
	__le64 max_pacing_rate;		/* bytes/s; ~0: none */
	__le32 rcvtimeo_ms;		/* of a blocking call; ~0: none */
	__le32 sndtimeo_ms;
	__le32 rcvlowat;
	__le32 notsent_lowat;		/* 0: the target's default */
	__le32 linger2_s;		/* TCP_LINGER2; 0: the default, ~0: none */
	__le32 rsvd2;
};

/**
 * struct slice_image_tcp_ahead - bytes that came out of order, maybe SACKed
 * @seq: of the first; the runs of a record ascend and do not overlap, and begin
 *       beyond rcv_nxt
 * @bytes: that follow, padded with zeros to a multiple of 8
 */
struct slice_image_tcp_ahead {
	__le32 seq;
	__le32 bytes;
};

#define SLICE_TCP_OPT_TSTAMP	0x0001
#define SLICE_TCP_OPT_SACK	0x0002
#define SLICE_TCP_OPT_WSCALE	0x0004
#define SLICE_TCP_OPT_ECN	0x0008
#define SLICE_TCP_OPT_NODELAY	0x0010
#define SLICE_TCP_OPT_CORK	0x0020
#define SLICE_TCP_OPT_KEEPALIVE	0x0040
#define SLICE_TCP_OPT_LINGER	0x0080
#define SLICE_TCP_OPT_RCVBUF_LOCKED 0x0100
#define SLICE_TCP_OPT_SNDBUF_LOCKED 0x0200
#define SLICE_TCP_OPT_REUSEADDR	0x0400
#define SLICE_TCP_OPT_REUSEPORT	0x0800
#define SLICE_TCP_OPT_ACK_PENDING 0x1000	/* a delayed ACK is owed */
#define SLICE_TCP_OPT_MAPPED	0x2000	/* an IPv6 socket, addresses v4-mapped */
#define SLICE_TCP_OPT_SHUT_RECV	0x4000	/* shutdown() of the input, by the server */
#define SLICE_TCP_OPT_ORPHAN	0x8000	/* closed: the kernel sends what is left */
#define SLICE_TCP_OPT_OOBINLINE	0x10000
#define SLICE_TCP_OPT_KNOWN	0x1ffff

#endif /* _UAPI_LINUX_SLICE_CAPSULE_H */
