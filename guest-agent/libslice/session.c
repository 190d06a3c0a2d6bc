// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * session.c - what a server says about connections and the sessions they name
 *
 * A server below an application sees connections and the names of sessions in
 * their requests, and knows nothing of what a session is.  It asks where the
 * session is, links it to the connection, says that a connection cannot move,
 * and how many it takes.
 */
#include <string.h>

#include "opener.h"

static int fill_layer(uint8_t (*ret_layer)[SLICE_LAYER_NAME_BYTES],
                      const char *layer)
{
    size_t bytes = strlen(layer);

    if (bytes == 0 || bytes >= sizeof(*ret_layer)) {
        return -EINVAL;
    }
    memcpy(*ret_layer, layer, bytes);
    return 0;
}

int slice_pin(struct slice_opener *opener, const struct slice_id *id,
              uint32_t why)
{
    struct slice_pin pin = { .size = sizeof(pin), .id = *id, .why = why };

    return slice_opener_request(opener, SLICE_IOC_PIN, &pin);
}

int slice_pin_fd(struct slice_opener *opener, int fd, uint32_t why)
{
    struct slice_capsule tcp;
    int err = slice_get_id_by_fd(opener, fd, &tcp);

    return err ? err : slice_pin(opener, &tcp.id, why);
}

int slice_link_key(struct slice_opener *opener, const struct slice_id *needs,
                   const char *layer, const void *key, size_t key_bytes,
                   uint32_t flags)
{
    struct slice_link_key link = {
        .size = sizeof(link),
        .flags = flags,
        .needs = *needs,
        .key_bytes = (uint32_t)key_bytes,
    };

    if (key_bytes > sizeof(link.key) || fill_layer(&link.layer, layer)) {
        return -EINVAL;
    }
    if (key_bytes) {
        memcpy(link.key, key, key_bytes);
    }
    return slice_opener_request(opener, SLICE_IOC_LINK, &link);
}

int slice_find(struct slice_opener *opener, const struct slice_id *capsule,
               const char *layer, const void *key, size_t key_bytes,
               uint32_t timeout_ms, uint32_t *ret_result)
{
    struct slice_find find = {
        .size = sizeof(find),
        .capsule = *capsule,
        .key_bytes = (uint32_t)key_bytes,
        .timeout_ms = timeout_ms,
    };
    int err;

    if (key_bytes == 0 || key_bytes > sizeof(find.key) ||
        fill_layer(&find.layer, layer)) {
        return -EINVAL;
    }
    memcpy(find.key, key, key_bytes);
    err = slice_opener_request(opener, SLICE_IOC_FIND, &find);
    if (err) {
        return err;
    }
    if (find.result != SLICE_FIND_HERE && find.result != SLICE_FIND_NOWHERE) {
        return -EPROTO;
    }
    *ret_result = find.result;
    return 0;
}

int slice_set_room(struct slice_opener *opener, uint32_t n_max)
{
    struct slice_room_limit room = { .size = sizeof(room), .n_max = n_max };

    return slice_opener_request(opener, SLICE_IOC_ROOM, &room);
}
