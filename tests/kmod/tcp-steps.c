/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp-steps.c - how a test moves a connection, step by step
 *
 * The hosts share one kernel and so one registry: a slice must be forgotten at
 * one before it can arrive at the other. What an abort needs is tested by
 * resuming.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tcp-lab.h"

#define LAB_IMAGE_BYTES (1u << 20)

static int lab_ioctl(Lab *lab, unsigned long request, void *arg)
{
    return ioctl(lab->slice, request, arg) < 0 ? errno : 0;
}

void conn_id(Lab *lab, const Conn *conn, struct slice_id *ret_id)
{
    struct slice_register reg = {
        .size = sizeof(reg),
        .flags = SLICE_GET_BY_FD,
        .handle = conn->server.fd,
    };

    g_assert_cmpint(lab_ioctl(lab, SLICE_IOC_GET_ID, &reg), ==, 0);
    *ret_id = reg.id;
}

void conn_hold(Lab *lab, Conn *conn)
{
    g_assert_null(conn->held);
    conn->held = g_queue_new();
}

void conn_release(Lab *lab, Conn *conn, int host)
{
    GQueue *held = g_steal_pointer(&conn->held);
    GBytes *frame;

    conn->host = host;
    while ((frame = g_queue_pop_head(held))) {
        lab_write_frame(lab, host, g_bytes_get_data(frame, NULL),
                        g_bytes_get_size(frame));
        g_bytes_unref(frame);
    }
    g_queue_free(held);
}

int lab_quiesce(Lab *lab, struct slice_id id)
{
    struct slice_move move = {
        .size = sizeof(move), .slice = id, .timeout_ms = 5000,
    };

    return lab_ioctl(lab, SLICE_IOC_QUIESCE, &move);
}

int lab_unplug(Lab *lab, struct slice_id id, Image *ret_image, guint *ret_why)
{
    struct slice_move move = {
        .size = sizeof(move), .slice = id, .timeout_ms = 5000,
        .image_bytes = LAB_IMAGE_BYTES,
    };
    guint64 room;
    int ret;

    ret_image->slice = id;
    ret_image->data = g_malloc(move.image_bytes);
    for (;;) {
        room = move.image_bytes;
        move.image = (gsize)ret_image->data;
        ret = lab_ioctl(lab, SLICE_IOC_UNPLUG, &move);
        /* It says how much it wants, unless it is other room that is short. */
        if (ret != ENOSPC || move.image_bytes <= room) {
            break;
        }
        ret_image->data = g_realloc(ret_image->data, move.image_bytes);
    }
    ret_image->bytes = move.image_bytes;
    /* What it sent before may be on the wire still. */
    while (lab_forward(lab)) {
        continue;
    }
    if (ret_why) {
        *ret_why = move.why;
    }
    if (ret) {
        g_clear_pointer(&ret_image->data, g_free);
    }
    return ret;
}

int lab_plug(Lab *lab, int host, const Image *image, guint *ret_why)
{
    struct slice_move move = {
        .size = sizeof(move), .timeout_ms = 5000,
        .image = (gsize)image->data, .image_bytes = image->bytes,
    };
    int ret;

    lab_enter(lab, host);
    ret = lab_ioctl(lab, SLICE_IOC_PLUG, &move);
    lab_leave(lab);
    if (ret_why) {
        *ret_why = move.why;
    }
    return ret;
}

int lab_end(Lab *lab, struct slice_id id, guint how)
{
    struct slice_move move = {
        .size = sizeof(move), .flags = how, .slice = id, .timeout_ms = 5000,
    };

    return lab_ioctl(lab, SLICE_IOC_FINISH, &move);
}

void image_clear(Image *image)
{
    g_clear_pointer(&image->data, g_free);
}

void lab_move(Lab *lab, Conn *conn, struct slice_id id, int host)
{
    Image image;

    g_assert_cmpint(lab_quiesce(lab, id), ==, 0);
    if (!conn->held) {
        conn_hold(lab, conn);
    }
    g_assert_cmpint(lab_unplug(lab, id, &image, NULL), ==, 0);
    g_assert_cmpint(lab_end(lab, id, SLICE_FINISH_FORGET), ==, 0);
    g_assert_cmpint(lab_plug(lab, host, &image, NULL), ==, 0);
    /* From now on the switch sends it there; the source has nothing to say. */
    conn->host = host;
    g_assert_cmpint(lab_end(lab, id, SLICE_FINISH_OPEN), ==, 0);
    conn_release(lab, conn, host);
    image_clear(&image);
}

/* What the application above is given when the connection has arrived. */
static int conn_take(Lab *lab, struct slice_id id)
{
    struct slice_capsule_op op = { .size = sizeof(op), .id = id };

    g_assert_cmpint(lab_ioctl(lab, SLICE_IOC_GET_HANDLE, &op), ==, 0);
    g_assert_cmpint(ioctl(op.handle, FIONBIO, &(int){ 1 }), ==, 0);
    return op.handle;
}

void conn_move(Lab *lab, Conn *conn, int host)
{
    struct slice_id id;
    int old = conn->server.fd;

    conn_id(lab, conn, &id);
    lab_move(lab, conn, id, host);
    conn->server.fd = conn->is_covered ? conn_take(lab, id) :
                                         lab_accept(lab, host);
    close(old);
}

void conn_cover(Lab *lab, Conn *conn)
{
    struct slice_layer layer = {
        .size = sizeof(layer), .flags = SLICE_LAYER_PASSIVE,
        .name = "tcp-lab", .version = 1, .rank = 100, .provider_fd = -1,
    };
    struct slice_register reg = { .size = sizeof(reg), .handle = conn->port };
    struct slice_dep dep = { .size = sizeof(dep) };

    if (!lab->has_layer) {
        g_assert_cmpint(lab_ioctl(lab, SLICE_IOC_LAYER, &layer), ==, 0);
        lab->has_layer = TRUE;
    }
    g_assert_cmpint(lab_ioctl(lab, SLICE_IOC_REGISTER, &reg), ==, 0);
    dep.capsule = reg.id;
    conn_id(lab, conn, &dep.needs);
    g_assert_cmpint(lab_ioctl(lab, SLICE_IOC_SET_DEP, &dep), ==, 0);
    conn->cover = reg.id;
    conn->is_covered = TRUE;
}

/* ---- changing an image ---- */

static guint8 *image_record(const Image *image, guint16 type)
{
    gsize at = sizeof(struct slice_image_header);
    struct slice_image_record record;

    while (at + sizeof(record) <= image->bytes) {
        memcpy(&record, image->data + at, sizeof(record));
        if (GUINT16_FROM_LE(record.type) == type) {
            return image->data + at;
        }
        at += sizeof(record) + ((GUINT64_FROM_LE(record.bytes) + 7) & ~7ull);
    }
    return NULL;
}

struct slice_image_tcp *image_tcp(const Image *image)
{
    guint8 *record = image_record(image, SLICE_RECORD_TCP);

    g_assert_nonnull(record);
    return (void *)(record + sizeof(struct slice_image_record));
}

void image_rename(Image *image)
{
    struct slice_image_header *header = (void *)image->data;
    guint64 incarnation = GUINT64_FROM_LE(header->incarnation) + 1000;
    gsize at = sizeof(*header);
    guint32 i;

    header->incarnation = GUINT64_TO_LE(incarnation);
    image->slice.incarnation = incarnation;
    /* CAPSULE records come first. */
    for (i = 0; i < GUINT32_FROM_LE(header->n_capsules); i++) {
        struct slice_image_capsule *capsule =
            (void *)(image->data + at + sizeof(struct slice_image_record));

        capsule->incarnation = GUINT64_TO_LE(
            GUINT64_FROM_LE(capsule->incarnation) + 1000);
        at += sizeof(struct slice_image_record) + sizeof(*capsule);
    }
    image_seal(image);
}

static guint32 image_crc32c(const guint8 *data, gsize bytes)
{
    guint32 crc = ~0u;
    gsize i;
    int bit;

    for (i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
        }
    }
    return ~crc;
}

void image_add_ahead(Image *image, const void *runs, gsize bytes)
{
    gsize end = image_record(image, SLICE_RECORD_END) - image->data;
    gsize added = sizeof(struct slice_image_record) + bytes;
    struct slice_image_record record = {
        .type = GUINT16_TO_LE(SLICE_RECORD_TCP_AHEAD),
        .flags = GUINT16_TO_LE(SLICE_RECORD_MUST),
        .bytes = GUINT64_TO_LE(bytes),
    };
    struct slice_image_header *header;

    g_assert_cmpuint(bytes % 8, ==, 0);
    /* Of the same capsule as the TCP record. */
    memcpy(&record.index, image_record(image, SLICE_RECORD_TCP) +
           offsetof(struct slice_image_record, index), sizeof(record.index));
    image->data = g_realloc(image->data, image->bytes + added);
    memmove(image->data + end + added, image->data + end, image->bytes - end);
    memcpy(image->data + end, &record, sizeof(record));
    memcpy(image->data + end + sizeof(record), runs, bytes);
    image->bytes += added;
    header = (void *)image->data;
    header->total_bytes = GUINT64_TO_LE(image->bytes);
    image_seal(image);
}

void image_seal(Image *image)
{
    guint8 *end = image_record(image, SLICE_RECORD_END);
    struct slice_image_end *payload;

    g_assert_nonnull(end);
    payload = (void *)(end + sizeof(struct slice_image_record));
    payload->crc32c = GUINT32_TO_LE(image_crc32c(image->data,
                                                 end - image->data));
}
