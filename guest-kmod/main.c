// SPDX-License-Identifier: GPL-2.0
/*
 * main.c - the order in which slice.ko comes up and goes
 */
#include <linux/init.h>
#include <linux/module.h>

#include "chardev.h"
#include "digest.h"
#include "layout.h"
#include "plug.h"
#include "registry.h"
#include "tcp.h"
#include "virtio.h"

static int __init slice_init(void)
{
	int ret;

	ret = slice_registry_init();
	if (ret)
		return ret;
	ret = slice_digest_init();
	if (ret)
		goto err_exit_registry;
	ret = slice_tcp_init();
	if (ret)
		goto err_exit_digest;
	ret = slice_virtio_init();
	if (ret)
		goto err_exit_tcp;
	ret = slice_chardev_init();
	if (ret)
		goto err_exit_virtio;
	return 0;

err_exit_virtio:
	slice_virtio_exit();
err_exit_tcp:
	slice_tcp_exit();
err_exit_digest:
	slice_digest_exit();
err_exit_registry:
	slice_registry_exit();
	return ret;
}

static void __exit slice_exit(void)
{
	slice_chardev_exit();
	slice_virtio_exit();
	slice_plug_exit();
	slice_tcp_exit();
	slice_digest_exit();
	slice_registry_exit();
}

module_init(slice_init);
module_exit(slice_exit);
MODULE_DESCRIPTION("Slice: sessions that move between virtual machines");
MODULE_LICENSE("GPL");
