// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hand.c - the lab's end of the channel that runs programs in a guest
 *
 * Below: tests/guest/hand.h, the protocol; tests/guest/hand.c, the other end.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../guest/hand.h"
#include "internal.h"

struct LabHand {
    int fd;
    uint32_t last_id;
    GByteArray *inbox;
};

static bool send_frame(LabHand *hand, enum HandType type, uint32_t id, const void *data,
                       size_t bytes, GError **error)
{
    struct HandFrame header = { HAND_MAGIC, type, id, bytes };
    g_autoptr(GByteArray) frame = g_byte_array_new();
    size_t done = 0;

    g_byte_array_append(frame, (const guint8 *)&header, sizeof(header));
    if (bytes) {
        g_byte_array_append(frame, data, bytes);
    }
    while (done < frame->len) {
        ssize_t n = send(hand->fd, frame->data + done, frame->len - done, MSG_NOSIGNAL);

        if (n <= 0) {
            g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "the guest's channel is closed");
            return false;
        }
        done += n;
    }
    return true;
}

/* Returns a whole frame at the inbox's beginning, skipping what is none. */
static bool peek_frame(LabHand *hand, struct HandFrame *header)
{
    while (hand->inbox->len >= sizeof(*header)) {
        memcpy(header, hand->inbox->data, sizeof(*header));
        if (header->magic == HAND_MAGIC && header->bytes <= HAND_BYTES_MAX) {
            return hand->inbox->len >= sizeof(*header) + header->bytes;
        }
        g_byte_array_remove_index(hand->inbox, 0);
    }
    return false;
}

static void drop_frame(LabHand *hand, const struct HandFrame *header)
{
    g_byte_array_remove_range(hand->inbox, 0, sizeof(*header) + header->bytes);
}

/* Wait for a frame of @id; others are left-overs of programs given up. */
static bool wait_frame(LabHand *hand, uint32_t id, gint64 deadline,
                       struct HandFrame *ret_header, GError **error)
{
    for (;;) {
        guint8 data[16384];
        ssize_t n;

        while (peek_frame(hand, ret_header)) {
            if (ret_header->id == id) {
                return true;
            }
            drop_frame(hand, ret_header);
        }
        if (!lab_poll(hand->fd, POLLIN, deadline, "the guest", error)) {
            return false;
        }
        n = recv(hand->fd, data, sizeof(data), 0);
        if (n <= 0) {
            g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "the guest's channel is closed");
            return false;
        }
        g_byte_array_append(hand->inbox, data, n);
    }
}

LabHand *lab_hand_new(const char *path, unsigned int timeout_ms, GError **error)
{
    gint64 deadline = lab_deadline(timeout_ms);
    int fd = lab_connect_unix(path, deadline, error);
    struct HandFrame header;
    LabHand *hand;

    if (fd < 0) {
        return NULL;
    }
    hand = g_new0(LabHand, 1);
    hand->fd = fd;
    hand->inbox = g_byte_array_new();
    hand->last_id = g_random_int();
    if (!send_frame(hand, HAND_HELLO, hand->last_id, NULL, 0, error) ||
        !wait_frame(hand, hand->last_id, deadline, &header, error)) {
        lab_hand_free(hand);
        return NULL;
    }
    drop_frame(hand, &header);
    return hand;
}

void lab_hand_free(LabHand *hand)
{
    close(hand->fd);
    g_byte_array_unref(hand->inbox);
    g_free(hand);
}

static bool send_run(LabHand *hand, uint32_t id, const char *const *argv, const char *input,
                     GError **error)
{
    g_autoptr(GByteArray) args = g_byte_array_new();
    size_t left = input ? strlen(input) : 0;

    for (; *argv; argv++) {
        g_byte_array_append(args, (const guint8 *)*argv, strlen(*argv) + 1);
    }
    if (args->len > HAND_BYTES_MAX) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "too many arguments for a guest");
        return false;
    }
    if (!send_frame(hand, HAND_RUN, id, args->data, args->len, error)) {
        return false;
    }
    for (; left; ) {
        size_t bytes = MIN(left, 4096);

        if (!send_frame(hand, HAND_INPUT, id, input, bytes, error)) {
            return false;
        }
        input += bytes;
        left -= bytes;
    }
    return send_frame(hand, HAND_INPUT, id, NULL, 0, error);
}

bool lab_hand_run(LabHand *hand, const char *const *argv, const char *input,
                  unsigned int timeout_ms, char **ret_output, int *ret_status,
                  GError **error)
{
    gint64 deadline = lab_deadline(timeout_ms);
    g_autoptr(GString) output = g_string_new("");
    uint32_t id = ++hand->last_id, status = 0;
    struct HandFrame header;
    bool ended = false;

    if (!send_run(hand, id, argv, input, error)) {
        return false;
    }
    while (!ended) {
        const guint8 *data;

        if (!wait_frame(hand, id, deadline, &header, error)) {
            int32_t signal_number = 9;

            g_prefix_error(error, "%s: ", argv[0]);
            send_frame(hand, HAND_KILL, id, &signal_number, sizeof(signal_number), NULL);
            return false;
        }
        data = hand->inbox->data + sizeof(header);
        if (header.type == HAND_OUTPUT || header.type == HAND_ERRORS) {
            g_string_append_len(output, (const char *)data, header.bytes);
        } else if (header.type == HAND_EXIT && header.bytes == sizeof(status)) {
            memcpy(&status, data, sizeof(status));
            ended = true;
        }
        drop_frame(hand, &header);
    }
    *ret_status = status;
    *ret_output = g_string_free(g_steal_pointer(&output), FALSE);
    return true;
}
