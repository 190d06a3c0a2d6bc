// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * move.c - the four steps of a move, and the registry's list
 *
 * For an agent or a test that carries the image itself; with a virtio-slice
 * device the hypervisor drives the same steps.
 */
#include "opener.h"

static int move_request(struct slice_opener *opener, unsigned long request,
                        struct slice_move *move, uint32_t *ret_why)
{
    int err;

    move->size = sizeof(*move);
    err = slice_opener_request(opener, request, move);
    if (ret_why &&
        (err == -EBUSY || err == -EOPNOTSUPP || err == -EPROTO)) {
        *ret_why = move->why;
    }
    return err;
}

int slice_quiesce(struct slice_opener *opener, const struct slice_id *slice,
                  uint32_t timeout_ms, uint32_t *ret_why)
{
    struct slice_move move = { .slice = *slice, .timeout_ms = timeout_ms };

    return move_request(opener, SLICE_IOC_QUIESCE, &move, ret_why);
}

int slice_unplug(struct slice_opener *opener, const struct slice_id *slice,
                 uint32_t timeout_ms, void *image, uint64_t *ret_bytes,
                 uint32_t *ret_why)
{
    struct slice_move move = {
        .slice = *slice,
        .image = (uintptr_t)image,
        .image_bytes = *ret_bytes,
        .timeout_ms = timeout_ms,
    };
    int err = move_request(opener, SLICE_IOC_UNPLUG, &move, ret_why);

    if (!err || err == -ENOSPC) {
        *ret_bytes = move.image_bytes;
    }
    return err;
}

int slice_plug(struct slice_opener *opener, const void *image,
               uint64_t image_bytes, uint32_t timeout_ms,
               struct slice_id *ret_slice, uint32_t *ret_why)
{
    struct slice_move move = {
        .image = (uintptr_t)image,
        .image_bytes = image_bytes,
        .timeout_ms = timeout_ms,
    };
    int err = move_request(opener, SLICE_IOC_PLUG, &move, ret_why);

    if (!err) {
        *ret_slice = move.slice;
    }
    return err;
}

int slice_finish(struct slice_opener *opener, const struct slice_id *slice,
                 uint32_t how)
{
    struct slice_move move = { .flags = how, .slice = *slice };

    return move_request(opener, SLICE_IOC_FINISH, &move, NULL);
}

int slice_list_slices(struct slice_opener *opener,
                      struct slice_list_entry *entries, uint32_t n_room,
                      uint32_t *ret_count)
{
    struct slice_list list = {
        .size = sizeof(list),
        .entries = (uintptr_t)entries,
        .n_entries = n_room,
    };
    int err = slice_opener_request(opener, SLICE_IOC_LIST, &list);

    if (!err || err == -ENOSPC) {
        *ret_count = list.n_entries;
    }
    return err;
}
