/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ioctl.h - the kernel's own
 */
#include <asm/ioctl.h>
