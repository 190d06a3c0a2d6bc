// SPDX-License-Identifier: GPL-2.0
/*
 * main.c - the order in which slice.ko comes up and goes
 */
#include <linux/init.h>
#include <linux/module.h>

#include "registry.h"

static int __init slice_init(void)
{
	return slice_registry_init();
}

static void __exit slice_exit(void)
{
	slice_registry_exit();
}

module_init(slice_init);
module_exit(slice_exit);
MODULE_DESCRIPTION("Slice: sessions that move between virtual machines");
MODULE_LICENSE("GPL");
