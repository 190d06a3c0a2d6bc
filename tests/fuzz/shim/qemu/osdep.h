/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * osdep.h - what QEMU's header of this name gives to the engine's pure files
 *
 * slice/frame.c and slice/packet.c need only this much of QEMU, so that they
 * can be fuzzed without building it.
 */
#ifndef SHIM_OSDEP_H
#define SHIM_OSDEP_H

#include <arpa/inet.h>
#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct Error Error;

#endif
