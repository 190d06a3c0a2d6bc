// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libslice.c - openers, layers, capsules, references, events
 *
 * Each function fills one struct of linux/slice.h and hands it to the backend;
 * what the kernel answers is returned unchanged.
 *
 * Below: kernel.c (or a test's stand-in).  Above: servers.
 */
#include <stdlib.h>
#include <string.h>

#include "opener.h"

int slice_query(struct slice_opener *opener, struct slice_info *ret_info)
{
    struct slice_info info = { .size = sizeof(info) };
    int err = slice_opener_request(opener, SLICE_IOC_INFO, &info);

    if (err) {
        return err;
    }
    *ret_info = info;
    return 0;
}

int slice_open_backend(const struct slice_backend *backend, void *state,
                       struct slice_opener **ret_opener)
{
    struct slice_opener *opener = calloc(1, sizeof(*opener));
    struct slice_info info;
    void *words;
    int err;

    if (!opener) {
        err = -ENOMEM;
        goto err_close_backend;
    }
    opener->backend = backend;
    opener->state = state;
    err = slice_query(opener, &info);
    if (err) {
        goto err_free;
    }
    if (info.api_version != SLICE_API_VERSION) {
        err = -EPROTONOSUPPORT;
        goto err_free;
    }
    err = backend->map(state, SLICE_MMAP_WORDS, SLICE_WORDS_BYTES, &words);
    if (err) {
        goto err_free;
    }
    opener->words = words;
    opener->n_words = SLICE_WORDS_BYTES / sizeof(slice_word);
    *ret_opener = opener;
    return 0;

err_free:
    free(opener);
err_close_backend:
    backend->close(state);
    return err;
}

void slice_close(struct slice_opener *opener)
{
    if (!opener) {
        return;
    }
    opener->backend->unmap(opener->state, opener->words, SLICE_WORDS_BYTES);
    opener->backend->close(opener->state);
    free(opener);
}

int slice_fd(const struct slice_opener *opener)
{
    return opener->backend->fd(opener->state);
}

static int set_layer(struct slice_opener *opener,
                     const struct slice_layer_desc *desc, uint32_t flags,
                     int provider_fd)
{
    struct slice_layer layer = {
        .size = sizeof(layer),
        .flags = flags,
        .version = desc->version,
        .rank = desc->rank,
        .abi_hash = desc->abi_hash,
        .provider_fd = provider_fd,
    };
    size_t name_bytes = strlen(desc->name);

    if (name_bytes == 0 || name_bytes >= sizeof(layer.name)) {
        return -EINVAL;
    }
    memcpy(layer.name, desc->name, name_bytes);
    return slice_opener_request(opener, SLICE_IOC_LAYER, &layer);
}

int slice_provide(struct slice_opener *opener,
                  const struct slice_layer_desc *desc, int passive)
{
    return set_layer(opener, desc, passive ? SLICE_LAYER_PASSIVE : 0, -1);
}

int slice_join(struct slice_opener *opener,
               const struct slice_layer_desc *desc, int provider_fd)
{
    return set_layer(opener, desc, SLICE_LAYER_JOIN, provider_fd);
}

static void capsule_from_register(const struct slice_register *reg,
                                  struct slice_capsule *ret_capsule)
{
    struct slice_capsule capsule = {
        .id = reg->id,
        .handle = reg->handle,
        .room_bytes = reg->bytes,
        .mmap_offset = reg->mmap_offset,
        .word_index = reg->word_index,
        .key_bytes = reg->key_bytes <= SLICE_KEY_BYTES_MAX ?
                     reg->key_bytes : 0,
    };

    memcpy(capsule.key, reg->key, capsule.key_bytes);
    *ret_capsule = capsule;
}

static int register_request(struct slice_opener *opener, unsigned long request,
                            struct slice_register *reg, const void *key,
                            size_t key_bytes,
                            struct slice_capsule *ret_capsule)
{
    int err;

    if (key_bytes > SLICE_KEY_BYTES_MAX) {
        return -EINVAL;
    }
    reg->size = sizeof(*reg);
    reg->key_bytes = (uint32_t)key_bytes;
    if (key_bytes) {
        memcpy(reg->key, key, key_bytes);
    }
    err = slice_opener_request(opener, request, reg);
    if (err) {
        return err;
    }
    if (reg->word_index >= opener->n_words) {
        return -EPROTO;
    }
    capsule_from_register(reg, ret_capsule);
    return 0;
}

int slice_register_capsule(struct slice_opener *opener, uint64_t handle,
                           const void *key, size_t key_bytes,
                           size_t room_bytes,
                           struct slice_capsule *ret_capsule)
{
    struct slice_register reg = { .handle = handle, .bytes = room_bytes };

    return register_request(opener, SLICE_IOC_REGISTER, &reg, key, key_bytes,
                            ret_capsule);
}

int slice_register_held(struct slice_opener *opener, uint64_t handle,
                        const void *key, size_t key_bytes, size_t room_bytes,
                        struct slice_capsule *ret_capsule)
{
    struct slice_register reg = {
        .flags = SLICE_REGISTER_HELD,
        .handle = handle,
        .bytes = room_bytes,
    };

    return register_request(opener, SLICE_IOC_REGISTER, &reg, key, key_bytes,
                            ret_capsule);
}

int slice_get_id_by_key(struct slice_opener *opener, const void *key,
                        size_t key_bytes, struct slice_capsule *ret_capsule)
{
    struct slice_register reg = { .flags = SLICE_GET_BY_KEY };

    if (key_bytes == 0) {
        return -EINVAL;
    }
    return register_request(opener, SLICE_IOC_GET_ID, &reg, key, key_bytes,
                            ret_capsule);
}

int slice_get_id_by_handle(struct slice_opener *opener, uint64_t handle,
                           struct slice_capsule *ret_capsule)
{
    struct slice_register reg = {
        .flags = SLICE_GET_BY_HANDLE,
        .handle = handle,
    };

    return register_request(opener, SLICE_IOC_GET_ID, &reg, NULL, 0,
                            ret_capsule);
}

static int get_id_by_fd(struct slice_opener *opener, int fd, uint32_t flags,
                        struct slice_capsule *ret_capsule)
{
    struct slice_register reg = {
        .flags = SLICE_GET_BY_FD | flags,
        .handle = (uint32_t)fd,
    };

    if (fd < 0) {
        return -EBADF;
    }
    return register_request(opener, SLICE_IOC_GET_ID, &reg, NULL, 0,
                            ret_capsule);
}

int slice_get_id_by_fd(struct slice_opener *opener, int fd,
                       struct slice_capsule *ret_capsule)
{
    return get_id_by_fd(opener, fd, 0, ret_capsule);
}

int slice_get_id_by_fd_held(struct slice_opener *opener, int fd,
                            struct slice_capsule *ret_capsule)
{
    return get_id_by_fd(opener, fd, SLICE_REGISTER_HELD, ret_capsule);
}

int slice_get_id_by_id(struct slice_opener *opener, const struct slice_id *id,
                       struct slice_capsule *ret_capsule)
{
    struct slice_register reg = { .flags = SLICE_GET_BY_ID, .id = *id };

    return register_request(opener, SLICE_IOC_GET_ID, &reg, NULL, 0,
                            ret_capsule);
}

int slice_get_id_next(struct slice_opener *opener, const struct slice_id *after,
                      struct slice_capsule *ret_capsule)
{
    struct slice_register reg = { .flags = SLICE_GET_NEXT, .id = *after };

    return register_request(opener, SLICE_IOC_GET_ID, &reg, NULL, 0,
                            ret_capsule);
}

static int capsule_request(struct slice_opener *opener, unsigned long request,
                           const struct slice_id *id,
                           struct slice_capsule_op *op)
{
    op->size = sizeof(*op);
    op->id = *id;
    return slice_opener_request(opener, request, op);
}

int slice_deregister_capsule(struct slice_opener *opener,
                             const struct slice_id *id)
{
    struct slice_capsule_op op = { 0 };

    return capsule_request(opener, SLICE_IOC_DEREGISTER, id, &op);
}

int slice_create_slice(struct slice_opener *opener, const struct slice_id *id,
                       const char *label, struct slice_id *ret_slice)
{
    struct slice_capsule_op op = { 0 };
    int err;

    memcpy(op.label, label, strnlen(label, sizeof(op.label) - 1));
    err = capsule_request(opener, SLICE_IOC_CREATE_SLICE, id, &op);
    if (!err && ret_slice) {
        *ret_slice = op.slice;
    }
    return err;
}

int slice_get_handle(struct slice_opener *opener, const struct slice_id *id,
                     uint64_t *ret_handle)
{
    struct slice_capsule_op op = { 0 };
    int err = capsule_request(opener, SLICE_IOC_GET_HANDLE, id, &op);

    if (!err) {
        *ret_handle = op.handle;
    }
    return err;
}

static int dep_request(struct slice_opener *opener, uint32_t flags,
                       const struct slice_id *capsule,
                       const struct slice_id *needs)
{
    struct slice_dep dep = {
        .size = sizeof(dep),
        .flags = flags,
        .capsule = *capsule,
        .needs = *needs,
    };

    return slice_opener_request(opener, SLICE_IOC_SET_DEP, &dep);
}

int slice_set_dep(struct slice_opener *opener, const struct slice_id *capsule,
                  const struct slice_id *needs)
{
    return dep_request(opener, 0, capsule, needs);
}

int slice_drop_dep(struct slice_opener *opener, const struct slice_id *capsule,
                   const struct slice_id *needs)
{
    return dep_request(opener, SLICE_DEP_DROP, capsule, needs);
}

int slice_get_ref(struct slice_opener *opener,
                  const struct slice_capsule *capsule, uint32_t flags)
{
    struct slice_capsule_op op = {
        .flags = flags,
        /* A capsule that left and came back has another word. */
        .handle = capsule->word_index,
    };
    int err;

    if (capsule->word_index >= opener->n_words ||
        (flags & ~(SLICE_REF_NOWAIT | SLICE_REF_HERE))) {
        return -EINVAL;
    }
    err = slice_word_get(&opener->words[capsule->word_index]);
    if (err != -EAGAIN) {
        return err;
    }
    return capsule_request(opener, SLICE_IOC_GET_REF, &capsule->id, &op);
}

int slice_put_ref(struct slice_opener *opener,
                  const struct slice_capsule *capsule)
{
    struct slice_capsule_op op = { 0 };
    int res;

    if (capsule->word_index >= opener->n_words) {
        return -EINVAL;
    }
    res = slice_word_put(&opener->words[capsule->word_index]);
    if (res <= 0) {
        return res;
    }
    /* The reference is gone whatever the kernel makes of the hint. */
    capsule_request(opener, SLICE_IOC_PUT_REF, &capsule->id, &op);
    return 0;
}

int slice_map(struct slice_opener *opener, const struct slice_capsule *capsule,
              void **ret_memory)
{
    if (capsule->room_bytes == 0 ||
        capsule->room_bytes > SLICE_CAPSULE_BYTES_MAX) {
        return -EINVAL;
    }
    return opener->backend->map(opener->state, capsule->mmap_offset,
                                capsule->room_bytes, ret_memory);
}

void slice_unmap(struct slice_opener *opener, void *memory, size_t room_bytes)
{
    if (memory) {
        opener->backend->unmap(opener->state, memory, room_bytes);
    }
}

int slice_events_fd(const struct slice_opener *opener)
{
    return slice_fd(opener);
}

int slice_next_event(struct slice_opener *opener,
                     struct slice_event *ret_event)
{
    struct slice_event event;
    ssize_t n = opener->backend->read(opener->state, &event, sizeof(event));

    if (n < 0) {
        return (int)n;
    }
    if (n == 0) {
        return -ENODEV;
    }
    if ((size_t)n != sizeof(event) ||
        event.key_bytes > SLICE_KEY_BYTES_MAX ||
        event.word_index >= opener->n_words) {
        return -EPROTO;
    }
    *ret_event = event;
    return 0;
}

void slice_event_capsule(const struct slice_event *event,
                         struct slice_capsule *ret_capsule)
{
    struct slice_capsule capsule = {
        .id = event->id,
        .handle = event->handle,
        .room_bytes = event->bytes,
        .mmap_offset = event->mmap_offset,
        .word_index = event->word_index,
        .key_bytes = event->key_bytes,
    };

    memcpy(capsule.key, event->key, sizeof(capsule.key));
    *ret_capsule = capsule;
}

int slice_plug_done(struct slice_opener *opener, const struct slice_id *id,
                    uint64_t handle, int status)
{
    struct slice_capsule_op op = { .handle = handle, .status = -status };

    if (status > 0) {
        return -EINVAL;
    }
    return capsule_request(opener, SLICE_IOC_PLUG_DONE, id, &op);
}

int slice_closure(struct slice_opener *opener, const struct slice_id *id,
                  struct slice_id *ids, uint32_t n_room, uint32_t *ret_count,
                  struct slice_id *ret_slice)
{
    struct slice_closure closure = {
        .size = sizeof(closure),
        .id = *id,
        .ids = (uintptr_t)ids,
        .n_ids = n_room,
    };
    int err = slice_opener_request(opener, SLICE_IOC_CLOSURE, &closure);

    if (!err || err == -ENOSPC) {
        *ret_count = closure.n_ids;
    }
    if (!err && ret_slice) {
        *ret_slice = closure.slice;
    }
    return err;
}

int slice_listen(struct slice_opener *opener, int fd)
{
    struct slice_ulp_listen listener = { .size = sizeof(listener), .fd = fd };

    return slice_opener_request(opener, SLICE_IOC_LISTEN, &listener);
}
