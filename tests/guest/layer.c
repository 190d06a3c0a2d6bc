// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * layer.c - a provider that does what it is told (slice-guest-layer)
 *
 * usage: slice-guest-layer NAME VERSION RANK [WORD...]
 *
 *   room=N          takes at most N capsules that arrive
 *   capsule=KEY     registers one with that key, and prints "capsule ID"
 *   pin=WHY         says why the last one cannot move (a number of enum
 *                   slice_why)
 *   find=KEY        asks for this layer's capsule with that key, here or in
 *                   another VM, for the last one of ours; prints "find" with
 *                   "here", "nowhere" or the name of an errno
 *
 * The layer is passive: what arrives is plugged without a question.  Says
 * "registered" and stays until killed, so that a test can give a guest a layer
 * that does not match, has no room, or holds capsules without a connection.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/slice.h>

/* What the words are about. */
typedef struct {
    int fd;
    const char *name;
    struct slice_id last;
} Layer;

static int set_room(Layer *layer, const char *value)
{
    struct slice_room_limit limit = {
        .size = sizeof(limit), .n_max = strtoul(value, NULL, 10),
    };

    return ioctl(layer->fd, SLICE_IOC_ROOM, &limit);
}

static int add_capsule(Layer *layer, const char *key)
{
    struct slice_register reg = {
        .size = sizeof(reg), .bytes = 4096, .key_bytes = strlen(key),
    };

    if (strlen(key) > sizeof(reg.key)) {
        errno = EINVAL;
        return -1;
    }
    memcpy(reg.key, key, strlen(key));
    if (ioctl(layer->fd, SLICE_IOC_REGISTER, &reg)) {
        return -1;
    }
    layer->last = reg.id;
    printf("capsule %016llx:%016llx\n", reg.id.incarnation, reg.id.counter);
    return 0;
}

static int pin(Layer *layer, const char *why)
{
    struct slice_pin pin = {
        .size = sizeof(pin), .id = layer->last, .why = strtoul(why, NULL, 10),
    };

    return ioctl(layer->fd, SLICE_IOC_PIN, &pin);
}

static int find(Layer *layer, const char *key)
{
    struct slice_find find = {
        .size = sizeof(find), .capsule = layer->last, .key_bytes = strlen(key),
        .timeout_ms = 20000,
    };

    if (strlen(key) > sizeof(find.key)) {
        errno = EINVAL;
        return -1;
    }
    memcpy(find.layer, layer->name, strlen(layer->name));
    memcpy(find.key, key, strlen(key));
    if (ioctl(layer->fd, SLICE_IOC_FIND, &find)) {
        printf("find %s\n", errno == ESTALE ? "ESTALE" : errno == EBUSY ? "EBUSY" :
                            errno == ETIMEDOUT ? "ETIMEDOUT" : strerror(errno));
    } else {
        printf("find %s\n", find.result == SLICE_FIND_HERE ? "here" : "nowhere");
    }
    return 0;
}

static int do_word(Layer *layer, const char *word)
{
    static const struct {
        const char *name;
        int (*run)(Layer *layer, const char *value);
    } words[] = {
        { "room=", set_room }, { "capsule=", add_capsule }, { "pin=", pin },
        { "find=", find },
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (!strncmp(word, words[i].name, strlen(words[i].name))) {
            return words[i].run(layer, word + strlen(words[i].name));
        }
    }
    errno = EINVAL;
    return -1;
}

int main(int argc, char **argv)
{
    struct slice_layer desc = {
        .size = sizeof(desc), .flags = SLICE_LAYER_PASSIVE, .provider_fd = -1,
    };
    Layer layer = { .fd = -1 };

    if (argc < 4 || strlen(argv[1]) >= sizeof(desc.name)) {
        fprintf(stderr, "usage: slice-guest-layer NAME VERSION RANK [WORD...]\n");
        return 2;
    }
    layer.name = argv[1];
    memcpy(desc.name, argv[1], strlen(argv[1]));
    desc.version = strtoul(argv[2], NULL, 10);
    desc.rank = strtoul(argv[3], NULL, 10);
    layer.fd = open("/dev/slice", O_RDWR | O_CLOEXEC);
    if (layer.fd < 0 || ioctl(layer.fd, SLICE_IOC_LAYER, &desc)) {
        fprintf(stderr, "slice-guest-layer: layer %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    for (int i = 4; i < argc; i++) {
        if (do_word(&layer, argv[i])) {
            fprintf(stderr, "slice-guest-layer: %s: %s\n", argv[i], strerror(errno));
            return 1;
        }
    }
    printf("registered\n");
    fflush(stdout);
    for (;;) {
        pause();
    }
}
