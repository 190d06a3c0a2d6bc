/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * slab.h - see types.h beside it
 */
#include <linux/types.h>
