/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * commands-slice.h - the guest agent's look at /dev/slice, without the device
 */
#ifndef QGA_COMMANDS_SLICE_H
#define QGA_COMMANDS_SLICE_H

#include "qga-qapi-types-slice.h"

/**
 * GaSliceAsk: one request to the kernel's registry
 * @opaque: of whom to ask
 * @request: SLICE_IOC_INFO, LIST or CLOSURE
 * @argument: its struct
 *
 * Returns: 0, or -1 with errno set, as ioctl() does.
 */
typedef int GaSliceAsk(void *opaque, unsigned long request, void *argument);

/**
 * ga_slice_list: what guest-slice-list answers
 * @ask: how to reach the kernel
 * @opaque: for @ask
 * @id: (nullable): of a slice or capsule; untrusted text
 *
 * Returns: the slices, NULL where there are none or with @errp set.
 */
GuestSliceList *ga_slice_list(GaSliceAsk *ask, void *opaque, const char *id,
                              Error **errp);

#endif /* QGA_COMMANDS_SLICE_H */
