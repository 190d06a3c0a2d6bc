/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio_net.h - the host's, where QEMU has its own copy
 */
#include <linux/virtio_net.h>
