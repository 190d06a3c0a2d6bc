/* SPDX-License-Identifier: GPL-2.0 */
/*
 * layout.h - the kernel's proof of its contracts' layouts
 *
 * The other sides prove theirs in tests/contracts and in QEMU's device.  A
 * number here changes only together with a version there.
 */
#ifndef SLICE_LAYOUT_H
#define SLICE_LAYOUT_H

#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <uapi/linux/slice.h>
#include <uapi/linux/slice_capsule.h>
#include <uapi/linux/virtio_slice.h>

static_assert(sizeof(struct slice_id) == 16);
static_assert(sizeof(struct slice_info) == 56);
static_assert(sizeof(struct slice_layer) == 48);
static_assert(sizeof(struct slice_register) == 120);
static_assert(sizeof(struct slice_capsule_op) == 88);
static_assert(sizeof(struct slice_dep) == 40);
static_assert(sizeof(struct slice_closure) == 56);
static_assert(sizeof(struct slice_list) == 24);
static_assert(sizeof(struct slice_list_entry) == 96);
static_assert(sizeof(struct slice_move) == 48);
static_assert(sizeof(struct slice_ulp_listen) == 16);
static_assert(sizeof(struct slice_event) == 136);
static_assert(sizeof(struct slice_pin) == 32);
static_assert(sizeof(struct slice_link_key) == 128);
static_assert(sizeof(struct slice_find) == 120);
static_assert(sizeof(struct slice_room_limit) == 16);

static_assert(sizeof(struct slice_image_header) == 64);
static_assert(sizeof(struct slice_image_record) == 16);
static_assert(sizeof(struct slice_image_capsule) == 128);
static_assert(sizeof(struct slice_image_dep) == 8);
static_assert(sizeof(struct slice_image_flow) == 40);
static_assert(sizeof(struct slice_image_tcp) == 288);
static_assert(sizeof(struct slice_image_end) == 8);

static_assert(sizeof(struct virtio_slice_config) == 24);
static_assert(sizeof(struct virtio_slice_flow) ==
	      sizeof(struct slice_image_flow));
static_assert(sizeof(struct virtio_slice_request) == 32);
static_assert(sizeof(struct virtio_slice_layer) == 32);
static_assert(sizeof(struct virtio_slice_set) == 104);
static_assert(sizeof(struct virtio_slice_status) == 8);
static_assert(sizeof(struct virtio_slice_chunks) == 16);
static_assert(sizeof(struct virtio_slice_chunk) == 16);
static_assert(sizeof(struct virtio_slice_response) == 16);
static_assert(sizeof(struct virtio_slice_event) == 72);

#endif /* SLICE_LAYOUT_H */
