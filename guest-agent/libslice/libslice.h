/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libslice.h - the Slice API for servers in user space
 *
 * DOC: how a server becomes a layer
 *
 * A server keeps, for each client session, a *capsule*: the bare minimum of
 * state by which another instance of the same server could go on.  It opens
 * /dev/slice, provides a layer, registers its capsules, links each to the one
 * below that it needs, and holds a reference while a request is half done.
 * The kernel takes a slice away, or brings one, only between references.
 *
 *	slice_open(), slice_provide()		at start
 *	slice_get_id_by_fd()			the connection's tcp capsule
 *	slice_register_capsule(), slice_set_dep()
 *	slice_get_ref() ... slice_put_ref()	around each request, the get
 *						before its first byte is read
 *	slice_next_event(), slice_plug_done()	capsules come and go
 *
 * A server that only hands requests on to an application asks, with no
 * reference yet, where the session is that a request names, and links it:
 *
 *	slice_find(), slice_get_ref(), slice_link_key() ... slice_put_ref()
 *
 * A server of several processes: each opens for itself and provides the same
 * layer, or (PHP-FPM) the master provides, and workers slice_join() it, so that
 * a worker's death takes only the worker's references with it.
 *
 * Errors.  Functions return 0 or a negative errno, which is that of the request
 * in linux/slice.h unless said otherwise here; -ENOSYS does not occur.  Nothing
 * is printed, nothing aborts, outputs are untouched on failure.
 *
 * Threads.  All functions may be called from several threads at once, except
 * slice_close(), which nobody else may be inside of.
 *
 * Source: paper section 2.2 and Figure 3.
 */
#ifndef LIBSLICE_H
#define LIBSLICE_H

#include <stddef.h>
#include <stdint.h>

#include <linux/slice.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SLICE_DEVICE "/dev/slice"

/* One open /dev/slice: its layer, its words, its capsules' mappings. */
struct slice_opener;

/**
 * struct slice_layer_desc - what must be equal at both ends of a move
 * @name: of the layer, 1 .. 15 bytes
 * @version: of its capsule format
 * @rank: height in the stack, 1 .. 255, above what its capsules need
 * @abi_hash: of whatever else matters (slice_hash() helps)
 */
struct slice_layer_desc {
    const char *name;
    uint32_t version;
    uint32_t rank;
    uint64_t abi_hash;
};

/**
 * struct slice_capsule - how this opener reaches a capsule
 * @id: its name in the cluster
 * @handle: its name in the layer
 * @room_bytes: of its memory, whole pages
 * @mmap_offset: of its memory in /dev/slice
 * @word_index: of this opener's reference word
 * @key_bytes: length of @key, 0 if it has none
 * @key: by which the layer finds it again
 *
 * A plain value: copying it copies no reference.
 */
struct slice_capsule {
    struct slice_id id;
    uint64_t handle;
    uint64_t room_bytes;
    uint64_t mmap_offset;
    uint32_t word_index;
    uint32_t key_bytes;
    uint8_t key[SLICE_KEY_BYTES_MAX];
};

/**
 * slice_open() - become an opener
 * @path: of the device, NULL for SLICE_DEVICE
 * @ret_opener: set on success; free with slice_close()
 *
 * Return: 0; -ENOENT, -ENXIO or -ENODEV: this machine has no slices;
 * -EACCES: no permission; -EMFILE, -ENFILE, -ENOMEM; -EPROTONOSUPPORT: the
 * module speaks another version.
 */
int slice_open(const char *path, struct slice_opener **ret_opener);

/**
 * slice_close() - stop being an opener
 * @opener: or NULL
 *
 * Its references go; if it provided a layer, so do all capsules of it.
 * Mappings made by slice_map() stay until slice_unmap() or exit.
 */
void slice_close(struct slice_opener *opener);

/* slice_fd() - the descriptor, e.g. for a worker's slice_join(). */
int slice_fd(const struct slice_opener *opener);

/* slice_query() - limits and counters: -EFAULT never, else 0. */
int slice_query(struct slice_opener *opener, struct slice_info *ret_info);

/**
 * slice_provide() - speak for a layer
 * @opener: has no layer yet
 * @desc: the layer
 * @passive: its capsules are found by key and need no events
 *
 * Return: 0; -EINVAL: @desc is out of range or differs from that of another
 * live provider of the name; -EPERM: the name is the kernel's; -EBUSY: the
 * opener has a layer already.
 */
int slice_provide(struct slice_opener *opener,
                  const struct slice_layer_desc *desc, int passive);

/**
 * slice_join() - use the layer of another opener
 * @opener: has no layer yet
 * @desc: equal to the provider's
 * @provider_fd: an open descriptor of the provider
 *
 * Capsules that this opener registers belong to the provider and outlive it.
 *
 * Return: 0; -EINVAL: @desc differs; -EBADF or -ENOENT: @provider_fd is no
 * provider; -EBUSY: the opener has a layer already.
 */
int slice_join(struct slice_opener *opener,
               const struct slice_layer_desc *desc, int provider_fd);

/**
 * slice_register_capsule() - make a capsule
 * @opener: has a layer
 * @handle: how the layer names it, comes back with events; unique
 * @key: @key_bytes bytes, unique in the layer, or NULL
 * @key_bytes: 0 .. SLICE_KEY_BYTES_MAX
 * @room_bytes: of memory, 0 .. SLICE_CAPSULE_BYTES_MAX, rounded up to pages
 * @ret_capsule: set on success
 *
 * It is a slice of its own until slice_set_dep() links it.
 *
 * Return: 0; -EINVAL: a length is out of range, or no layer; -EEXIST: @key or
 * @handle is taken; -ENOSPC: a limit; -ENOMEM; -ENODEV.
 */
int slice_register_capsule(struct slice_opener *opener, uint64_t handle,
                           const void *key, size_t key_bytes,
                           size_t room_bytes,
                           struct slice_capsule *ret_capsule);

/**
 * slice_register_held() - make a capsule, with a reference of it
 *
 * As slice_register_capsule() and slice_get_ref(), without an instant between
 * them in which the new capsule, a slice of its own, could leave.  Drop it with
 * slice_put_ref() when the capsule is linked and whole, also before it is
 * deregistered.
 */
int slice_register_held(struct slice_opener *opener, uint64_t handle,
                        const void *key, size_t key_bytes, size_t room_bytes,
                        struct slice_capsule *ret_capsule);

/**
 * slice_deregister_capsule() - the session is over
 * @opener: of the capsule's layer
 * @id: the capsule
 *
 * Return: 0; -ENOENT: unknown; -ESTALE: it has left or is being plugged, and
 * its new life is untouched; -EBUSY: frozen; -EPERM: of another layer.
 */
int slice_deregister_capsule(struct slice_opener *opener,
                             const struct slice_id *id);

/**
 * slice_set_dep() - @capsule cannot run without @needs
 *
 * Their slices become one.  Setting what is set already is no error.
 *
 * Return: 0; -ENOENT: one is unknown; -EINVAL: @needs is not of a lower rank;
 * -EBUSY: one is frozen (drop your references, slice_get_ref(), try again);
 * -ESTALE: one has left; -ENOSPC: the slice would be too large; -EPERM:
 * @capsule is of another layer.
 */
int slice_set_dep(struct slice_opener *opener, const struct slice_id *capsule,
                  const struct slice_id *needs);

/* slice_drop_dep() - undo slice_set_dep(); -ENOENT: it was not set. */
int slice_drop_dep(struct slice_opener *opener, const struct slice_id *capsule,
                   const struct slice_id *needs);

/**
 * slice_create_slice() - name the slice whose top is this capsule
 * @opener: of the capsule's layer
 * @id: the capsule
 * @label: shown to people, cut at SLICE_LABEL_BYTES - 1 bytes
 * @ret_slice: the slice, or NULL
 *
 * Return: 0; -ENOENT; -EPERM: of another layer; -EBUSY; -ESTALE.
 */
int slice_create_slice(struct slice_opener *opener, const struct slice_id *id,
                       const char *label, struct slice_id *ret_slice);

/*
 * slice_get_id_*() - the capsule of a name
 *
 * By key or handle: of the opener's own layer.  By fd: the tcp capsule of a
 * connected socket, made if it has none (needs no layer).  By id: any capsule
 * of the own layer.  Next: the own layer's capsule with the lowest id above
 * @after (zero to begin).
 *
 * Return: 0; -ENOENT: none; -ESTALE: it has left; -EINVAL: a length is out of
 * range; -EBADF, -ENOTSOCK, -ENOTCONN, -EOPNOTSUPP: by fd; -ENOSPC: out of
 * words; -ENOMEM.
 */
int slice_get_id_by_key(struct slice_opener *opener, const void *key,
                        size_t key_bytes, struct slice_capsule *ret_capsule);
int slice_get_id_by_handle(struct slice_opener *opener, uint64_t handle,
                           struct slice_capsule *ret_capsule);
int slice_get_id_by_fd(struct slice_opener *opener, int fd,
                       struct slice_capsule *ret_capsule);
/*
 * The same, and a reference of it in one step: from the call on it cannot leave
 * before slice_put_ref().  Waits while it is frozen; -ESTALE (it has left),
 * -EINTR.
 */
int slice_get_id_by_fd_held(struct slice_opener *opener, int fd,
                            struct slice_capsule *ret_capsule);
int slice_get_id_by_id(struct slice_opener *opener, const struct slice_id *id,
                       struct slice_capsule *ret_capsule);
int slice_get_id_next(struct slice_opener *opener, const struct slice_id *after,
                      struct slice_capsule *ret_capsule);

/**
 * slice_get_handle() - what a capsule is in its layer
 * @opener: any
 * @id: the capsule; of the tcp layer or of the opener's own
 * @ret_handle: a tcp capsule's new descriptor (close-on-exec, the caller's to
 *              close), otherwise the layer's handle
 *
 * Return: 0; -ENOENT; -ESTALE; -EMFILE.
 */
int slice_get_handle(struct slice_opener *opener, const struct slice_id *id,
                     uint64_t *ret_handle);

/**
 * slice_get_ref() - a request begins
 * @opener: that @capsule was got from
 * @capsule: the capsule
 * @flags: 0: sleep while the slice is frozen; SLICE_REF_NOWAIT: do not;
 *         SLICE_REF_HERE: not once the capsule is unplugged, -ESTALE, as its
 *         layer is told by PLUG if it comes back
 *
 * A system call only while the slice is frozen.
 *
 * Return: 0: taken; -EAGAIN: frozen, and NOWAIT; -ESTALE: the capsule has left
 * this machine; -EINTR: a signal; -ENOENT: it was deregistered; -EOVERFLOW: more
 * than 2^24 references; -EINVAL: not a capsule of this opener.
 */
int slice_get_ref(struct slice_opener *opener,
                  const struct slice_capsule *capsule, uint32_t flags);

/**
 * slice_put_ref() - the request is done
 * @opener: that @capsule was got from
 * @capsule: the capsule
 *
 * A system call only while somebody waits for the last reference.
 *
 * Return: 0; -EINVAL: there was no reference.
 */
int slice_put_ref(struct slice_opener *opener,
                  const struct slice_capsule *capsule);

/**
 * slice_map() - make a capsule's memory visible
 * @opener: that @capsule was got from
 * @capsule: the capsule, with room
 * @ret_memory: of @capsule->room_bytes bytes
 *
 * The memory is not inherited across fork.  After the capsule has left, what
 * the mapping shows is of no meaning, but reading it is no fault.
 *
 * Return: 0; -EINVAL: it has no room; -ENOENT, -ESTALE; -ENOMEM.
 */
int slice_map(struct slice_opener *opener, const struct slice_capsule *capsule,
              void **ret_memory);

/* slice_unmap() - undo slice_map(); @memory may be NULL. */
void slice_unmap(struct slice_opener *opener, void *memory, size_t room_bytes);

/* slice_events_fd() - becomes readable when slice_next_event() has one. */
int slice_events_fd(const struct slice_opener *opener);

/**
 * slice_next_event() - what the kernel wants of this provider
 * @opener: a provider that is not passive
 * @ret_event: see enum slice_event_type
 *
 * Return: 0; -EAGAIN: none now; -EINVAL: not such a provider; -ENODEV: the
 * module goes away; -EPROTO: the kernel wrote half a record.
 */
int slice_next_event(struct slice_opener *opener,
                     struct slice_event *ret_event);

/* slice_event_capsule() - the capsule that an event is about. */
void slice_event_capsule(const struct slice_event *event,
                         struct slice_capsule *ret_capsule);

/**
 * slice_plug_done() - answer SLICE_EVENT_PLUG
 * @opener: that got the event
 * @id: the capsule
 * @handle: how the layer names it from now on
 * @status: 0, or a negative errno with which the layer refuses it
 *
 * Return: 0; -ENOENT, -ESTALE: the move was undone in the meantime;
 * -EINVAL: @status is out of range; -EEXIST: @handle is taken.
 */
int slice_plug_done(struct slice_opener *opener, const struct slice_id *id,
                    uint64_t handle, int status);

/**
 * slice_closure() - all capsules of a slice
 * @opener: has a layer
 * @id: of any capsule of it, or of the slice
 * @ids: room for @n_room ids; by rank, lowest first, then by id
 * @n_room: 0 .. SLICE_COMPONENT_MAX
 * @ret_count: how many there are; set with -ENOSPC too
 * @ret_slice: the slice's id, or NULL
 *
 * Return: 0; -ENOSPC: more than @n_room; -ENOENT.
 */
int slice_closure(struct slice_opener *opener, const struct slice_id *id,
                  struct slice_id *ids, uint32_t n_room, uint32_t *ret_count,
                  struct slice_id *ret_slice);

/**
 * slice_listen() - give every connection of a listener a tcp capsule
 * @opener: any
 * @fd: a listening TCP socket
 *
 * Return: 0; -EEXIST: it is marked already; -EBADF, -ENOTSOCK, -EINVAL: not a
 * listener; -EOPNOTSUPP: not TCP.
 */
int slice_listen(struct slice_opener *opener, int fd);

/**
 * slice_pin() - this capsule cannot move
 * @opener: of the capsule's layer, or one that got a tcp capsule by descriptor
 * @id: the capsule
 * @why: SLICE_WHY_TLS, HTTP2, TOO_LARGE, OPTION, URGENT or UPGRADED;
 *       SLICE_WHY_NONE takes it back
 *
 * Its slice is shown as pinned, and a move of it is refused before anything
 * happens.  Lasts as long as the capsule.
 *
 * Return: 0; -EINVAL: another @why; -EPERM: not this opener's; -EBUSY: it is on
 * its way already: whoever holds a reference of it keeps it; -ENOENT, -ESTALE;
 * -ENOTTY: the module is older.
 */
int slice_pin(struct slice_opener *opener, const struct slice_id *id,
              uint32_t why);

/* slice_pin_fd() - slice_pin() of a connected socket's tcp capsule, which it
 * gets if it has none; also errors of slice_get_id_by_fd(). */
int slice_pin_fd(struct slice_opener *opener, int fd, uint32_t why);

/**
 * slice_link_key() - a session of another layer needs my capsule
 * @opener: of @needs' layer, with a reference of @needs
 * @needs: e.g. the connection that a request came by
 * @layer: that keeps sessions, of a higher rank; 1 .. 15 bytes
 * @key: @key_bytes bytes by which that layer finds the session
 * @key_bytes: 1 .. SLICE_KEY_BYTES_MAX; 0 with SLICE_LINK_ONLY: none needs it
 * @flags: 0 or SLICE_LINK_ONLY: other sessions of @layer need it no longer
 *
 * slice_set_dep() seen from below.  What is linked already is no error.
 *
 * Return: 0; -ENOENT: no such session is here, nothing has changed; -EINVAL: a
 * length or rank; -EBUSY: one of the two is frozen (drop the reference,
 * slice_find(), try again); -ESTALE: one has left; -ENOSPC: the slice would be
 * too large; -ENOTTY: the module is older.
 */
int slice_link_key(struct slice_opener *opener, const struct slice_id *needs,
                   const char *layer, const void *key, size_t key_bytes,
                   uint32_t flags);

/**
 * slice_find() - is the session of that key here?
 * @opener: of @capsule's layer, or one that got a tcp capsule by descriptor
 * @capsule: the connection that asks; the caller holds no reference of it
 * @layer: that keeps sessions; 1 .. 15 bytes
 * @key: @key_bytes bytes
 * @key_bytes: 1 .. SLICE_KEY_BYTES_MAX
 * @timeout_ms: 1 .. 600000
 * @ret_result: SLICE_FIND_HERE: it runs here; SLICE_FIND_NOWHERE: no VM has it
 *
 * Sleeps while the session is on its way, while other VMs are asked, and while
 * the connection moves to the one that has it.
 *
 * Return: 0; -ESTALE: @capsule has left, for the caller the connection is over;
 * -ETIMEDOUT, -ENOSPC: not known in time, too many are asking: try later, and
 * do not begin an empty session; -EBUSY: the connection was on its way for
 * another reason: ask again; -EINTR; -EINVAL, -ENOENT, -EPERM; -ENOTTY: the
 * module is older.
 */
int slice_find(struct slice_opener *opener, const struct slice_id *capsule,
               const char *layer, const void *key, size_t key_bytes,
               uint32_t timeout_ms, uint32_t *ret_result);

/**
 * slice_set_room() - how many capsules this provider takes
 * @opener: a provider
 * @n_max: of which an arrival must not make more; SLICE_ROOM_NO_LIMIT
 *
 * Slices that would bring more are refused before anything moves.
 *
 * Return: 0; -EPERM: not a provider; -ENOTTY: the module is older.
 */
int slice_set_room(struct slice_opener *opener, uint32_t n_max);

/*
 * For whoever moves slices without a device: an agent, a test.  All need
 * CAP_SYS_ADMIN: -EPERM.  @ret_why (or NULL) is set on -EBUSY, -EOPNOTSUPP and
 * -EPROTO.  See struct slice_move and struct slice_list.
 */
int slice_quiesce(struct slice_opener *opener, const struct slice_id *slice,
                  uint32_t timeout_ms, uint32_t *ret_why);
/* @ret_bytes: in: room in @image; out: its length, or with -ENOSPC what it takes. */
int slice_unplug(struct slice_opener *opener, const struct slice_id *slice,
                 uint32_t timeout_ms, void *image, uint64_t *ret_bytes,
                 uint32_t *ret_why);
int slice_plug(struct slice_opener *opener, const void *image,
               uint64_t image_bytes, uint32_t timeout_ms,
               struct slice_id *ret_slice, uint32_t *ret_why);
/* @how: one of SLICE_FINISH_*. */
int slice_finish(struct slice_opener *opener, const struct slice_id *slice,
                 uint32_t how);
int slice_list_slices(struct slice_opener *opener,
                      struct slice_list_entry *entries, uint32_t n_room,
                      uint32_t *ret_count);

/* slice_hash() - a stable 64-bit hash (FNV-1a) for struct slice_layer_desc. */
uint64_t slice_hash(uint64_t seed, const void *data, size_t bytes);
#define SLICE_HASH_SEED 0xcbf29ce484222325ULL

/* slice_crc32c() - CRC-32C of capsule contents; @crc 0 to begin. */
uint32_t slice_crc32c(uint32_t crc, const void *data, size_t bytes);

#define SLICE_ID_TEXT_BYTES 34
/* slice_id_format() - "16 hex digits-16 hex digits". */
void slice_id_format(const struct slice_id *id,
                     char ret_text[SLICE_ID_TEXT_BYTES]);
/* slice_id_parse() - exactly what slice_id_format() writes; else -EINVAL. */
int slice_id_parse(const char *text, struct slice_id *ret_id);
static inline int slice_id_equal(const struct slice_id *a,
                                 const struct slice_id *b)
{
    return a->incarnation == b->incarnation && a->counter == b->counter;
}

#ifdef __cplusplus
}
#endif

#endif /* LIBSLICE_H */
