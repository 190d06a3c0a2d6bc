// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-uapi-layout.c - the layouts of contracts 1 to 3 as user space sees them
 *
 * The kernel proves its own in guest-kmod/layout.h.  What is written down here
 * changes only together with a version in the header.
 */
#include <glib.h>
#include <stddef.h>

#include <linux/slice.h>
#include <linux/slice_capsule.h>
#include <linux/virtio_slice.h>

/**
 * Field - where a field lies
 */
typedef struct {
    const char *name;
    gsize offset;
    gsize bytes;
    gsize is_offset;
    gsize is_bytes;
} Field;

#define FIELD(type, member, at, length) \
    { #type "." #member, at, length, offsetof(struct type, member), \
      sizeof(((struct type *)0)->member) }
#define WHOLE(type, length) { #type, 0, length, 0, sizeof(struct type) }

static void check(const Field *fields, gsize n)
{
    gsize i;

    for (i = 0; i < n; i++) {
        g_test_message("%s", fields[i].name);
        g_assert_cmpuint(fields[i].is_offset, ==, fields[i].offset);
        g_assert_cmpuint(fields[i].is_bytes, ==, fields[i].bytes);
    }
}

static const Field ioctl_fields[] = {
    WHOLE(slice_id, 16),
    WHOLE(slice_info, 56),
    FIELD(slice_info, incarnation, 16, 8),
    FIELD(slice_info, rsvd, 52, 4),
    WHOLE(slice_layer, 48),
    FIELD(slice_layer, name, 8, 16),
    FIELD(slice_layer, abi_hash, 32, 8),
    FIELD(slice_layer, provider_fd, 40, 4),
    WHOLE(slice_register, 120),
    FIELD(slice_register, handle, 8, 8),
    FIELD(slice_register, id, 32, 16),
    FIELD(slice_register, word_index, 48, 4),
    FIELD(slice_register, key, 56, 64),
    WHOLE(slice_capsule_op, 88),
    FIELD(slice_capsule_op, status, 32, 4),
    FIELD(slice_capsule_op, slice, 40, 16),
    FIELD(slice_capsule_op, label, 56, 32),
    WHOLE(slice_dep, 40),
    FIELD(slice_dep, needs, 24, 16),
    WHOLE(slice_closure, 56),
    FIELD(slice_closure, ids, 24, 8),
    FIELD(slice_closure, slice, 40, 16),
    WHOLE(slice_list, 24),
    WHOLE(slice_list_entry, 96),
    FIELD(slice_list_entry, memory_bytes, 56, 8),
    FIELD(slice_list_entry, label, 64, 32),
    WHOLE(slice_move, 48),
    FIELD(slice_move, image, 24, 8),
    FIELD(slice_move, why, 44, 4),
    WHOLE(slice_ulp_listen, 16),
    WHOLE(slice_event, 136),
    FIELD(slice_event, needs, 32, 16),
    FIELD(slice_event, word_index, 64, 4),
    FIELD(slice_event, key, 72, 64),
    WHOLE(slice_pin, 32),
    FIELD(slice_pin, why, 24, 4),
    FIELD(slice_pin, rsvd, 28, 4),
    WHOLE(slice_link_key, 128),
    FIELD(slice_link_key, needs, 8, 16),
    FIELD(slice_link_key, ret_slice, 24, 16),
    FIELD(slice_link_key, layer, 40, 16),
    FIELD(slice_link_key, rsvd, 60, 4),
    FIELD(slice_link_key, key, 64, 64),
    WHOLE(slice_find, 120),
    FIELD(slice_find, layer, 24, 16),
    FIELD(slice_find, timeout_ms, 44, 4),
    FIELD(slice_find, key, 48, 64),
    FIELD(slice_find, result, 112, 4),
    FIELD(slice_find, why, 116, 4),
    WHOLE(slice_room_limit, 16),
    FIELD(slice_room_limit, n_max, 8, 4),
};

static const Field image_fields[] = {
    WHOLE(slice_image_header, 64),
    FIELD(slice_image_header, total_bytes, 16, 8),
    FIELD(slice_image_header, n_capsules, 48, 4),
    WHOLE(slice_image_record, 16),
    FIELD(slice_image_record, bytes, 8, 8),
    WHOLE(slice_image_capsule, 128),
    FIELD(slice_image_capsule, layer, 16, 16),
    FIELD(slice_image_capsule, abi_hash, 40, 8),
    FIELD(slice_image_capsule, key, 64, 64),
    WHOLE(slice_image_dep, 8),
    WHOLE(slice_image_flow, 40),
    FIELD(slice_image_flow, local_port, 4, 2),
    FIELD(slice_image_flow, remote, 24, 16),
    WHOLE(slice_image_tcp, 288),
    FIELD(slice_image_tcp, state, 40, 4),
    FIELD(slice_image_tcp, congestion, 216, 16),
    FIELD(slice_image_tcp, next_hop_mac, 232, 6),
    FIELD(slice_image_tcp, tclass, 238, 1),
    FIELD(slice_image_tcp, frozen_clock_ns, 248, 8),
    FIELD(slice_image_tcp, max_pacing_rate, 256, 8),
    FIELD(slice_image_tcp, linger2_s, 280, 4),
    WHOLE(slice_image_end, 8),
};

static const Field virtio_fields[] = {
    WHOLE(virtio_slice_config, 24),
    WHOLE(virtio_slice_flow, 40),
    WHOLE(virtio_slice_request, 32),
    FIELD(virtio_slice_request, slice, 8, 16),
    FIELD(virtio_slice_request, term, 24, 8),
    WHOLE(virtio_slice_layer, 32),
    WHOLE(virtio_slice_count, 4),
    WHOLE(virtio_slice_set, 104),
    FIELD(virtio_slice_set, counts, 24, 32),
    FIELD(virtio_slice_set, label, 56, 32),
    FIELD(virtio_slice_set, top_layer, 88, 16),
    WHOLE(virtio_slice_find, 48),
    FIELD(virtio_slice_find, digest, 16, 32),
    WHOLE(virtio_slice_found, 16),
    WHOLE(virtio_slice_status, 8),
    WHOLE(virtio_slice_chunks, 16),
    WHOLE(virtio_slice_chunk, 16),
    WHOLE(virtio_slice_response, 16),
    FIELD(virtio_slice_response, value, 8, 8),
    WHOLE(virtio_slice_event, 72),
    FIELD(virtio_slice_event, slice, 8, 16),
    FIELD(virtio_slice_event, arg, 32, 8),
    FIELD(virtio_slice_event, data, 40, 32),
};

static void test_ioctl(void)
{
    check(ioctl_fields, G_N_ELEMENTS(ioctl_fields));
}

static void test_image(void)
{
    check(image_fields, G_N_ELEMENTS(image_fields));
}

static void test_virtio(void)
{
    check(virtio_fields, G_N_ELEMENTS(virtio_fields));
    /* A flow is the same on the wire and in an image. */
    g_assert_cmpuint(offsetof(struct virtio_slice_flow, remote), ==,
                     offsetof(struct slice_image_flow, remote));
}

/* Requests carry no size in their number, so numbers are all there is. */
static void test_numbers(void)
{
    g_assert_cmphex(SLICE_IOC_INFO, ==, 0xB700);
    g_assert_cmphex(SLICE_IOC_LISTEN, ==, 0xB70d);
    g_assert_cmphex(SLICE_IOC_PIN, ==, 0xB70e);
    g_assert_cmphex(SLICE_IOC_LINK, ==, 0xB70f);
    g_assert_cmphex(SLICE_IOC_QUIESCE, ==, 0xB710);
    g_assert_cmphex(SLICE_IOC_FINISH, ==, 0xB713);
    g_assert_cmphex(SLICE_IOC_FIND, ==, 0xB714);
    g_assert_cmphex(SLICE_IOC_ROOM, ==, 0xB715);
    g_assert_cmpint(SLICE_WHY_ABORTED, ==, 19);
    g_assert_cmpint(SLICE_WHY_NO_ROOM, ==, 21);
    g_assert_cmpint(SLICE_RECORD_TCP_SEND, ==, 20);
    g_assert_cmpint(VIRTIO_ID_SLICE, ==, 61);
    g_assert_cmpint(VIRTIO_SLICE_VERSION, ==, 2);
    g_assert_cmpint(VIRTIO_SLICE_REQ_PLUGGED, ==, 10);
    g_assert_cmpint(VIRTIO_SLICE_REQ_RESERVED, ==, 13);
    g_assert_cmpint(VIRTIO_SLICE_EVENT_DISCARD, ==, 7);
    g_assert_cmpint(VIRTIO_SLICE_EVENT_UNRESERVE, ==, 11);
    /* What RESERVE says is a set's counts. */
    g_assert_cmpuint(sizeof(((struct virtio_slice_event *)0)->data), ==,
                     sizeof(((struct virtio_slice_set *)0)->counts));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/uapi/ioctl-layout-is-as-written-down", test_ioctl);
    g_test_add_func("/uapi/image-layout-is-as-written-down", test_image);
    g_test_add_func("/uapi/virtio-layout-is-as-written-down", test_virtio);
    g_test_add_func("/uapi/numbers-are-as-written-down", test_numbers);
    return g_test_run();
}
