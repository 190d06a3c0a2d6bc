/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * slice.h - how user space speaks to /dev/slice (contract 1)
 *
 * DOC: openers, layers, capsules, words
 *
 * An *opener* is one open file description of /dev/slice.  It becomes the
 * *provider* of one layer with %SLICE_IOC_LAYER, or joins the provider whose
 * descriptor it holds (a worker that inherited its master's descriptor opens
 * /dev/slice for itself and joins, so that a worker that dies takes its own
 * references with it and none of the master's capsules).
 *
 * A *capsule* belongs to a provider and dies with it.  Its memory is kernel
 * pages that the provider and those who joined it map from /dev/slice; pages
 * are not copied on fork.  Offsets to map: %SLICE_MMAP_WORDS for the opener's
 * page of reference words, struct slice_register.mmap_offset for a capsule.
 *
 * A *reference word* is one __u32 for each pair (capsule, opener) in that
 * page.  Taking and dropping a reference is an atomic on it and enters the
 * kernel only where SLICE_WORD_FROZEN or SLICE_WORD_NOTIFY says so.  To the
 * kernel every word is a hint from an enemy: a wrong one can only delay or
 * spoil the slices of its opener.
 *
 * All requests: _IO(SLICE_IOC_MAGIC, n) with a pointer to a struct that starts
 * with @size (bytes that the caller knows of) and @flags (bits that the
 * request documents; others must be zero).  A struct longer than the kernel
 * knows must have a zero tail, a shorter one than the first version is
 * refused.  Fields named rsvd must be zero.
 *
 * Errors of all requests:
 * EFAULT   a pointer does not point to the caller's memory
 * EINVAL   @size below the first version, unknown flag, nonzero rsvd, value
 *          out of its documented range
 * E2BIG    @size beyond what the kernel knows with a nonzero tail
 * ENOTTY   no such request
 * EPERM    needs CAP_SYS_ADMIN, or is not the provider's opener, or the layer
 *          is provided by another user
 * ENOENT   no capsule, slice, layer or provider of that name
 * EEXIST   that key or handle is registered already in this layer
 * EBUSY    the slice is frozen, moving, or its references did not drop in time
 * EAGAIN   frozen now, and SLICE_REF_NOWAIT was asked for
 * ESTALE   the capsule has left this VM
 * ENOSPC   a limit: openers' memory, words, capsules, component size, finds
 * ETIMEDOUT  FIND: not known, or not moved, in time
 * ENOMEM   no memory
 * EOPNOTSUPP  the state cannot be moved (pinned), e.g. kTLS, urgent data
 * EPROTO   an image is malformed
 * EINTR    a signal came while waiting
 * ENODEV   the device or the module is going away
 */
#ifndef _UAPI_LINUX_SLICE_H
#define _UAPI_LINUX_SLICE_H

#include <linux/types.h>
#include <linux/ioctl.h>

#define SLICE_API_VERSION	1
#define SLICE_IOC_MAGIC		0xB7

/* Limits; SLICE_IOC_INFO tells those in force. */
#define SLICE_LAYER_NAME_BYTES	16	/* zero padded, at most 15 characters */
#define SLICE_KEY_BYTES_MAX	64
#define SLICE_LABEL_BYTES	32
#define SLICE_CAPSULE_BYTES_MAX	(16u << 20)
#define SLICE_WORDS_BYTES	65536	/* the opener's words: 16384 of them */
#define SLICE_COMPONENT_MAX	256	/* capsules in a slice; above: pinned */

#define SLICE_MMAP_WORDS	0ULL	/* offset of the words */

/**
 * struct slice_id - the cluster-wide name of a capsule or a slice
 * @incarnation: of the QEMU process that it was born under; 0 = no id
 * @counter: never used twice under one incarnation
 */
struct slice_id {
	__u64 incarnation;
	__u64 counter;
};

/* Reference word. */
#define SLICE_WORD_COUNT_MASK	0x00ffffffu
#define SLICE_WORD_NOTIFY	0x40000000u	/* a put to zero enters the kernel */
#define SLICE_WORD_FROZEN	0x80000000u	/* a get enters the kernel */

/**
 * struct slice_info - SLICE_IOC_INFO: what this kernel offers
 * @size: in: sizeof; out: what the kernel knows
 * @flags: 0
 * @api_version: out: SLICE_API_VERSION
 * @features: out: 0 so far
 * @incarnation: out: this VM's, or 1 while there is no device
 * @capsule_bytes_max: out: largest capsule
 * @opener_bytes_max: out: capsule memory that one provider may hold
 * @n_capsules: out: registered now, all layers
 * @n_slices: out: that exist now
 * @word_count: out: words an opener has
 * @rsvd: 0
 */
struct slice_info {
	__u32 size;
	__u32 flags;
	__u32 api_version;
	__u32 features;
	__u64 incarnation;
	__u64 capsule_bytes_max;
	__u64 opener_bytes_max;
	__u32 n_capsules;
	__u32 n_slices;
	__u32 word_count;
	__u32 rsvd;
};

/* slice_layer.flags */
#define SLICE_LAYER_PASSIVE	0x1	/* its capsules are plugged by the kernel
					 * alone, found later by key: no events */
#define SLICE_LAYER_JOIN	0x2	/* become a user of provider_fd's layer */

/**
 * struct slice_layer - SLICE_IOC_LAYER: what layer this opener speaks for
 * @flags: SLICE_LAYER_PASSIVE or SLICE_LAYER_JOIN
 * @name: e.g. "apache"; "tcp" and "openflow" are the kernel's: EPERM
 * @version: of the layer's capsule format; must be equal at a target
 * @rank: height in the stack, 1 .. 255; lower ranks are frozen first
 *        (openflow 10, tcp 20, apache 100, php 200)
 * @abi_hash: of whatever else must be equal at a target
 * @provider_fd: with JOIN: an open /dev/slice descriptor of the provider;
 *        name, version, rank and abi_hash must be those of the provider;
 *        otherwise -1
 *
 * Once for each opener; a second call is EBUSY.  Several openers may provide a
 * layer of one name, if version, rank and abi_hash are the same: else EINVAL;
 * and if they are of one user, or the caller has CAP_SYS_ADMIN: else EPERM.
 * A capsule that arrives goes to the one of them that has the fewest.
 */
struct slice_layer {
	__u32 size;
	__u32 flags;
	__u8 name[SLICE_LAYER_NAME_BYTES];
	__u32 version;
	__u32 rank;
	__u64 abi_hash;
	__s32 provider_fd;
	__u32 rsvd;
};

/**
 * struct slice_register - SLICE_IOC_REGISTER, SLICE_IOC_GET_ID
 * @flags: 0 or SLICE_REGISTER_HELD for REGISTER; for GET_ID one of SLICE_GET_BY_KEY,
 *         SLICE_GET_BY_HANDLE, SLICE_GET_BY_ID, SLICE_GET_NEXT (all of the
 *         own provider), SLICE_GET_BY_FD, alone or with SLICE_REGISTER_HELD
 * @handle: how the layer names it locally, 0 = not at all; with BY_FD a TCP
 *         socket's descriptor.  Out: of a provider's capsule
 * @key: bytes by which the layer finds it again after a move; @key_bytes of it,
 *         the rest zero; @key_bytes 0 = no key
 * @bytes: in REGISTER: room for its state, 0 .. SLICE_CAPSULE_BYTES_MAX,
 *         rounded up to whole pages; out: that room
 * @mmap_offset: out: where to map it in /dev/slice (0 bytes of room: 0)
 * @id: out; with BY_ID: in; with NEXT in: the capsule with the next higher id
 *         is wanted (all zero: the first), ENOENT after the last
 * @word_index: out: the caller's reference word of this capsule
 *
 * GET_ID by descriptor gives a connection its tcp capsule if its listener did
 * not (needs no layer: any opener may name a socket it holds).
 * GET_ID fills @handle, @key and @key_bytes of a provider's capsule.
 * REGISTER needs a layer: EPERM.  A key and a handle are unique among the
 * provider's capsules: EEXIST.
 * With HELD the caller's word counts one when REGISTER returns, as after a get,
 * and nothing could take the capsule away before.  GET_ID by descriptor with
 * HELD names the connection and takes a reference in one step; it sleeps while
 * the connection is frozen: ESTALE if it left, EINTR.
 * A capsule of no slice is a slice of its own.
 */
struct slice_register {
	__u32 size;
	__u32 flags;
	__u64 handle;
	__u64 bytes;
	__u64 mmap_offset;
	struct slice_id id;
	__u32 word_index;
	__u32 key_bytes;
	__u8 key[SLICE_KEY_BYTES_MAX];
};
#define SLICE_REGISTER_HELD	0x20	/* REGISTER, GET_ID by descriptor */
#define SLICE_GET_BY_KEY	0x1
#define SLICE_GET_BY_HANDLE	0x2
#define SLICE_GET_BY_FD		0x4
#define SLICE_GET_BY_ID		0x8
#define SLICE_GET_NEXT		0x10

/**
 * struct slice_capsule_op - DEREGISTER, CREATE_SLICE, GET_HANDLE, GET_REF,
 *	PUT_REF, PLUG_DONE
 * @flags: GET_REF: SLICE_REF_NOWAIT, SLICE_REF_HERE
 * @id: the capsule
 * @handle: GET_HANDLE out: a new descriptor for a tcp capsule (O_CLOEXEC),
 *         otherwise the layer's handle.  PLUG_DONE in: the layer's new handle.
 *         GET_REF in: the word_index that the caller means
 * @status: PLUG_DONE in: 0 or the errno with which the layer refuses
 * @label: CREATE_SLICE in: what the application calls it, zero padded
 * @slice: CREATE_SLICE, GET_REF out: its slice
 *
 * GET_REF is what a get that found FROZEN calls: it sleeps until the slice is
 * thawed (then the reference is counted in the word), or has left: ESTALE.
 * A capsule that was away and has come back has another word: who means the
 * old one has missed its leaving, ESTALE.
 * With SLICE_REF_HERE it does not sleep on while the capsule is unplugged, ESTALE:
 * for a layer that is told by PLUG where the capsule comes back, if it does, and
 * that should not be kept by what may be taken up by another provider.
 * To GET_REF and DEREGISTER a capsule that is not here has left: ESTALE, not
 * ENOENT.  DEREGISTER of one that is unplugged or being plugged is ESTALE too
 * and harms nothing; of a drained one EBUSY to those who joined.
 * PUT_REF is what a put that found NOTIFY and reached zero calls: it only
 * tells the kernel to look again; it never fails on a capsule that has left.
 */
struct slice_capsule_op {
	__u32 size;
	__u32 flags;
	struct slice_id id;
	__u64 handle;
	__s32 status;
	__u32 rsvd;
	struct slice_id slice;
	__u8 label[SLICE_LABEL_BYTES];
};
#define SLICE_REF_NOWAIT	0x1
#define SLICE_REF_HERE		0x2

/**
 * struct slice_dep - SLICE_IOC_SET_DEP: @capsule needs @needs
 * @flags: SLICE_DEP_DROP takes the dependency away
 * @capsule: of the caller's own layer
 * @needs: of a layer of lower rank: else EINVAL
 *
 * Links the two slices into one; a DROP may split it.  Setting what is set
 * already is no error, dropping what is not set is ENOENT.
 */
struct slice_dep {
	__u32 size;
	__u32 flags;
	struct slice_id capsule;
	struct slice_id needs;
};
#define SLICE_DEP_DROP		0x1

/**
 * struct slice_link_key - SLICE_IOC_LINK: another layer's capsule needs mine
 * @flags: SLICE_LINK_ONLY: what else of @layer needs @needs does so no longer
 * @needs: of the caller's own layer; the caller holds a reference of it
 * @ret_slice: out: the slice of @needs now
 * @layer: zero padded; its rank is above that of @needs: else EINVAL
 * @key_bytes: 1 .. SLICE_KEY_BYTES_MAX; with ONLY also 0: nothing of @layer
 *         needs @needs any more
 * @key: by which that layer finds the capsule, the rest zero
 *
 * SET_DEP seen from below: for a request that names a session and never reaches
 * the layer that keeps it.  ENOENT: no capsule of @layer with that key is here,
 * and nothing has changed.  EBUSY, ESTALE as for SET_DEP.
 */
struct slice_link_key {
	__u32 size;
	__u32 flags;
	struct slice_id needs;
	struct slice_id ret_slice;
	__u8 layer[SLICE_LAYER_NAME_BYTES];
	__u32 key_bytes;
	__u32 rsvd;
	__u8 key[SLICE_KEY_BYTES_MAX];
};
#define SLICE_LINK_ONLY		0x1

/**
 * struct slice_find - SLICE_IOC_FIND: is the session of that key here?
 * @flags: 0
 * @capsule: of the connection that has a request for it, of the caller's own
 *         layer or a tcp capsule that this opener named by descriptor; the
 *         caller holds no reference of it
 * @layer: that keeps sessions, zero padded
 * @key_bytes: 1 .. SLICE_KEY_BYTES_MAX
 * @timeout_ms: 1 .. 60000
 * @key: as in struct slice_link_key
 * @result: out: enum slice_find_result
 * @why: out on EBUSY: enum slice_why
 *
 * Before a request is begun.  A session that is leaving or arriving is waited
 * for; one that is not here is asked for at the other VMs, and where one of
 * them has it the connection goes there:
 *
 * 0 with @result HERE: the session runs here.
 * 0 with @result NOWHERE: no VM has it; without a device: it is not here.
 * ESTALE: @capsule has left: for the caller the connection is over.
 * ETIMEDOUT: not known, or not moved, in time: try later (503), never begin an
 * empty session.
 * EBUSY: the connection's slice was moving for another reason: ask again.
 * ENOSPC: too many finds are under way.
 */
struct slice_find {
	__u32 size;
	__u32 flags;
	struct slice_id capsule;
	__u8 layer[SLICE_LAYER_NAME_BYTES];
	__u32 key_bytes;
	__u32 timeout_ms;
	__u8 key[SLICE_KEY_BYTES_MAX];
	__u32 result;
	__u32 why;
};

enum slice_find_result {
	SLICE_FIND_HERE		= 1,
	SLICE_FIND_NOWHERE	= 2,
};

/**
 * struct slice_room_limit - SLICE_IOC_ROOM: how many capsules a provider takes
 * @flags: 0
 * @n_max: slices that would bring more are refused before anything moves
 *         (SLICE_WHY_NO_ROOM); what it has already, or registers itself, stays.
 *         SLICE_ROOM_NO_LIMIT is the default
 *
 * Of a provider, by its own opener: else EPERM.
 */
struct slice_room_limit {
	__u32 size;
	__u32 flags;
	__u32 n_max;
	__u32 rsvd;
};
#define SLICE_ROOM_NO_LIMIT	0xffffffffu

/**
 * struct slice_closure - SLICE_IOC_CLOSURE: all capsules of a slice
 * @flags: 0
 * @id: of any capsule of it, or of the slice
 * @ids: user pointer to an array of struct slice_id
 * @n_ids: in: room; out: capsules there are (may exceed the room: ENOSPC)
 * @slice: out
 *
 * Order: by rank, lowest first, then by id.
 */
struct slice_closure {
	__u32 size;
	__u32 flags;
	struct slice_id id;
	__u64 ids;
	__u32 n_ids;
	__u32 rsvd;
	struct slice_id slice;
};

/* What a slice can do; also on the virtio wire and in QMP. */
enum slice_movability {
	SLICE_MOVABLE	= 0,
	SLICE_BUSY	= 1,
	SLICE_PINNED	= 2,
};

/* Why not (with SLICE_BUSY or SLICE_PINNED). */
enum slice_why {
	SLICE_WHY_NONE		= 0,
	SLICE_WHY_REFERENCES	= 1,	/* a request is in flight */
	SLICE_WHY_MOVING	= 2,
	SLICE_WHY_STATE		= 3,	/* TCP state not exportable */
	SLICE_WHY_TLS		= 4,
	SLICE_WHY_HTTP2		= 5,
	SLICE_WHY_TOO_LARGE	= 6,
	SLICE_WHY_OPTION	= 7,	/* unsupported socket option */
	SLICE_WHY_URGENT	= 8,
	SLICE_WHY_NO_LAYER	= 9,	/* no provider of a layer at the target */
	SLICE_WHY_LAYER_VERSION	= 10,
	SLICE_WHY_MEMORY	= 11,
	SLICE_WHY_TUPLE_IN_USE	= 12,
	SLICE_WHY_DEADLINE	= 13,
	SLICE_WHY_LAYER_REFUSED	= 14,
	SLICE_WHY_IMAGE		= 15,	/* malformed */
	SLICE_WHY_GONE		= 16,	/* no such slice any more */
	SLICE_WHY_PEER		= 17,	/* the other hypervisor */
	SLICE_WHY_TERM		= 18,	/* an older term */
	SLICE_WHY_ABORTED	= 19,	/* by the orchestrator */
	SLICE_WHY_UPGRADED	= 20,	/* protocol switched, e.g. WebSocket */
	SLICE_WHY_NO_ROOM	= 21,	/* a layer takes no more capsules */
};

/**
 * struct slice_pin - SLICE_IOC_PIN: this capsule cannot move
 * @flags: 0
 * @id: of the caller's own layer, or a tcp capsule that this opener has named
 *         by descriptor (GET_ID): else EPERM
 * @why: that pins: SLICE_WHY_TLS, HTTP2, TOO_LARGE, OPTION, URGENT, UPGRADED;
 *         SLICE_WHY_NONE takes it back; others are EINVAL
 *
 * Its slice is SLICE_PINNED with that reason, and a move of it is refused
 * before anything happens.  One word for each capsule: the last one counts, and
 * it lasts until it is taken back or the capsule ends.  EBUSY: the slice is on
 * its way already.
 */
struct slice_pin {
	__u32 size;
	__u32 flags;
	struct slice_id id;
	__u32 why;
	__u32 rsvd;
};

/* Guest-side life of a slice. */
enum slice_state {
	SLICE_STATE_ACTIVE	= 0,	/* references may be taken */
	SLICE_STATE_DRAINING	= 1,	/* frozen, references still held */
	SLICE_STATE_DRAINED	= 2,	/* frozen, none held */
	SLICE_STATE_UNPLUGGED	= 3,	/* image kept, tuples mute */
	SLICE_STATE_PLUGGED	= 4,	/* arrived, frozen until OPEN */
};

/**
 * struct slice_list - SLICE_IOC_LIST: the registry's slices (CAP_SYS_ADMIN)
 * @flags: 0
 * @entries: user pointer to an array of struct slice_list_entry
 * @n_entries: in: room; out: slices there are (may exceed the room: ENOSPC)
 */
struct slice_list {
	__u32 size;
	__u32 flags;
	__u64 entries;
	__u32 n_entries;
	__u32 rsvd;
};

struct slice_list_entry {
	struct slice_id slice;
	struct slice_id top;		/* its top capsule */
	__u32 state;			/* enum slice_state */
	__u32 movability;		/* enum slice_movability */
	__u32 why;			/* enum slice_why */
	__u32 n_capsules;
	__u32 n_connections;		/* tcp capsules */
	__u32 n_refs;			/* references held now */
	__u64 memory_bytes;		/* capsule pages in use */
	__u8 label[SLICE_LABEL_BYTES];
};

/**
 * struct slice_move - QUIESCE, UNPLUG, PLUG, FINISH (CAP_SYS_ADMIN)
 * @flags: FINISH: exactly one of SLICE_FINISH_*
 * @slice: QUIESCE, UNPLUG, FINISH in; PLUG out
 * @image: UNPLUG, PLUG: user pointer to the image (slice_capsule.h)
 * @image_bytes: UNPLUG in: room, out: its length; PLUG in
 * @timeout_ms: QUIESCE: how long references may take to drop, 1 .. 600000;
 *         UNPLUG, PLUG: for the layers' answers
 * @why: out on EBUSY, EOPNOTSUPP, EPROTO: enum slice_why
 *
 * The same four steps that the device's events drive, for a VM without one:
 * an agent or a test carries the image.  QUIESCE freezes and waits; on EBUSY
 * the slice is thawed again.  UNPLUG makes the image, keeps it and mutes the
 * tuples; with too little room: ENOSPC, @image_bytes says what it takes, and
 * another UNPLUG copies the kept image out.  PLUG makes the slice PLUGGED
 * (frozen).
 * FINISH RESUME: an unplugged or drained slice runs here again.
 * FINISH FORGET: an unplugged slice's image is dropped, tuples stay mute.
 * FINISH OPEN: a plugged slice runs.  FINISH DISCARD: a plugged slice goes,
 * silently, tuples stay mute.
 */
struct slice_move {
	__u32 size;
	__u32 flags;
	struct slice_id slice;
	__u64 image;
	__u64 image_bytes;
	__u32 timeout_ms;
	__u32 why;
};
#define SLICE_FINISH_RESUME	0x1
#define SLICE_FINISH_FORGET	0x2
#define SLICE_FINISH_OPEN	0x4
#define SLICE_FINISH_DISCARD	0x8

/**
 * struct slice_ulp_listen - SLICE_IOC_LISTEN: mark a listening TCP socket
 * @flags: 0
 * @fd: the listener; every connection that it accepts from now on has a tcp
 *      and an openflow capsule before accept() returns
 */
struct slice_ulp_listen {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 rsvd;
};

#define SLICE_IOC_INFO		_IO(SLICE_IOC_MAGIC, 0x00)
#define SLICE_IOC_LAYER		_IO(SLICE_IOC_MAGIC, 0x01)
#define SLICE_IOC_REGISTER	_IO(SLICE_IOC_MAGIC, 0x02)
#define SLICE_IOC_DEREGISTER	_IO(SLICE_IOC_MAGIC, 0x03)
#define SLICE_IOC_SET_DEP	_IO(SLICE_IOC_MAGIC, 0x04)
#define SLICE_IOC_CREATE_SLICE	_IO(SLICE_IOC_MAGIC, 0x05)
#define SLICE_IOC_GET_ID	_IO(SLICE_IOC_MAGIC, 0x06)
#define SLICE_IOC_GET_HANDLE	_IO(SLICE_IOC_MAGIC, 0x07)
#define SLICE_IOC_GET_REF	_IO(SLICE_IOC_MAGIC, 0x08)
#define SLICE_IOC_PUT_REF	_IO(SLICE_IOC_MAGIC, 0x09)
#define SLICE_IOC_PLUG_DONE	_IO(SLICE_IOC_MAGIC, 0x0a)
#define SLICE_IOC_CLOSURE	_IO(SLICE_IOC_MAGIC, 0x0b)
#define SLICE_IOC_LIST		_IO(SLICE_IOC_MAGIC, 0x0c)
#define SLICE_IOC_LISTEN	_IO(SLICE_IOC_MAGIC, 0x0d)
#define SLICE_IOC_PIN		_IO(SLICE_IOC_MAGIC, 0x0e)
#define SLICE_IOC_LINK		_IO(SLICE_IOC_MAGIC, 0x0f)
#define SLICE_IOC_QUIESCE	_IO(SLICE_IOC_MAGIC, 0x10)
#define SLICE_IOC_UNPLUG	_IO(SLICE_IOC_MAGIC, 0x11)
#define SLICE_IOC_PLUG		_IO(SLICE_IOC_MAGIC, 0x12)
#define SLICE_IOC_FINISH	_IO(SLICE_IOC_MAGIC, 0x13)
#define SLICE_IOC_FIND		_IO(SLICE_IOC_MAGIC, 0x14)
#define SLICE_IOC_ROOM		_IO(SLICE_IOC_MAGIC, 0x15)

/* What read() on a provider that is not PASSIVE gives; whole records only. */
enum slice_event_type {
	SLICE_EVENT_PLUG	= 1,	/* prepare this capsule, then PLUG_DONE */
	SLICE_EVENT_OPEN	= 2,	/* take it up: it may run now */
	SLICE_EVENT_DISCARD	= 3,	/* undo PLUG: it will not run here */
	SLICE_EVENT_UNPLUGGED	= 4,	/* it has left; unmap, close, forget */
};

/**
 * struct slice_event - one record of read() on /dev/slice
 * @type: enum slice_event_type
 * @id: the capsule
 * @handle: the layer's, for UNPLUGGED and DISCARD; 0 for PLUG
 * @needs: PLUG, OPEN: its (first) tcp capsule, or zero
 * @bytes, @mmap_offset, @word_index: as in struct slice_register
 * @key: as in struct slice_register
 *
 * PLUG comes with everything below it plugged already; the layer checks the
 * capsule's memory (a slice image is hostile), fetches what it needs (e.g. the
 * socket by GET_HANDLE of @needs) and answers PLUG_DONE within the move's
 * deadline, or the move is refused.  It must not serve the client before OPEN.
 * For an abort at the source UNPLUGGED is followed by PLUG and OPEN like any
 * arrival.
 */
struct slice_event {
	__u32 type;
	__u32 rsvd;
	struct slice_id id;
	__u64 handle;
	struct slice_id needs;
	__u64 bytes;
	__u64 mmap_offset;
	__u32 word_index;
	__u32 key_bytes;
	__u8 key[SLICE_KEY_BYTES_MAX];
};

#endif /* _UAPI_LINUX_SLICE_H */
