/* SPDX-License-Identifier: GPL-2.0 */
/*
 * compat.h - what Linux 6.1 and 6.12 spell differently
 */
#ifndef SLICE_COMPAT_H
#define SLICE_COMPAT_H

#include <linux/file.h>
#include <linux/mm.h>
#include <linux/version.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#define slice_fd_file(f)	((f).file)
#else
#define slice_fd_file(f)	fd_file(f)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
struct virtqueue_info {
	const char *name;
	vq_callback_t *callback;
};

static inline int slice_find_vqs(struct virtio_device *vdev, unsigned int n,
				 struct virtqueue **vqs,
				 const struct virtqueue_info *infos)
{
	vq_callback_t *callbacks[4];
	const char *names[4];
	unsigned int i;

	if (n > ARRAY_SIZE(names))
		return -EINVAL;
	for (i = 0; i < n; i++) {
		callbacks[i] = infos[i].callback;
		names[i] = infos[i].name;
	}
	return virtio_find_vqs(vdev, n, vqs, callbacks, names, NULL);
}
#else
static inline int slice_find_vqs(struct virtio_device *vdev, unsigned int n,
				 struct virtqueue **vqs,
				 struct virtqueue_info *infos)
{
	return virtio_find_vqs(vdev, n, vqs, infos, NULL);
}
#endif

#endif /* SLICE_COMPAT_H */
