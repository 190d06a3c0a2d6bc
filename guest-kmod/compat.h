/* SPDX-License-Identifier: GPL-2.0 */
/*
 * compat.h - what Linux 6.1 and 6.12 spell differently
 */
#ifndef SLICE_COMPAT_H
#define SLICE_COMPAT_H

#include <linux/file.h>
#include <linux/mm.h>
#include <linux/version.h>

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

#endif /* SLICE_COMPAT_H */
