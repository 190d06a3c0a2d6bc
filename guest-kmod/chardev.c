// SPDX-License-Identifier: GPL-2.0
/*
 * chardev.c - /dev/slice as a file: open, read, poll, mmap, release
 *
 * Below: words.h, layer.h.  Above: user space.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>

#include "chardev.h"
#include "compat.h"
#include "layer.h"

static int slice_chardev_open(struct inode *inode, struct file *file)
{
	struct slice_opener *opener;
	int ret;

	opener = kzalloc(sizeof(*opener), GFP_KERNEL_ACCOUNT);
	if (!opener)
		return -ENOMEM;
	ret = slice_words_init(&opener->words);
	if (ret) {
		kfree(opener);
		return ret;
	}
	mutex_init(&opener->lock);
	file->private_data = opener;
	return nonseekable_open(inode, file);
}

static int slice_chardev_release(struct inode *inode, struct file *file)
{
	struct slice_opener *opener = file->private_data;

	if (opener->is_owner)
		slice_provider_die(opener->provider);
	slice_words_destroy(&opener->words);
	slice_provider_put(opener->provider);
	kfree(opener);
	return 0;
}

/* The provider whose events this opener may read, or NULL. */
static struct slice_provider *slice_chardev_source(struct slice_opener *opener)
{
	struct slice_provider *provider = smp_load_acquire(&opener->provider);

	if (!provider || !opener->is_owner || provider->is_passive)
		return NULL;
	return provider;
}

static ssize_t slice_chardev_read(struct file *file, char __user *to,
				  size_t bytes, loff_t *offset)
{
	struct slice_provider *provider =
		slice_chardev_source(file->private_data);

	if (!provider)
		return -EPERM;
	return slice_events_read(&provider->events, to, bytes,
				 file->f_flags & O_NONBLOCK);
}

static __poll_t slice_chardev_poll(struct file *file, poll_table *table)
{
	struct slice_provider *provider =
		slice_chardev_source(file->private_data);

	if (!provider)
		return EPOLLERR;
	poll_wait(file, &provider->events.wait, table);
	return READ_ONCE(provider->events.n) ? EPOLLIN | EPOLLRDNORM : 0;
}

static vm_fault_t slice_chardev_words_fault(struct vm_fault *vmf)
{
	struct slice_opener *opener = vmf->vma->vm_file->private_data;

	return slice_words_fault(&opener->words, vmf);
}

static const struct vm_operations_struct slice_chardev_words_vm_ops = {
	.fault = slice_chardev_words_fault,
};

static int slice_chardev_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct slice_opener *opener = file->private_data;
	struct slice_provider *provider = smp_load_acquire(&opener->provider);

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_pgoff >= SLICE_WORDS_PAGES)
		return provider ? slice_room_mmap(provider, vma) : -EPERM;
	if (vma->vm_pgoff + vma_pages(vma) > SLICE_WORDS_PAGES)
		return -EINVAL;
	vm_flags_set(vma, VM_DONTCOPY | VM_DONTEXPAND);
	vma->vm_ops = &slice_chardev_words_vm_ops;
	return 0;
}

static long slice_chardev_ioctl(struct file *file, unsigned int cmd,
				unsigned long arg)
{
	return slice_request_ioctl(file->private_data, cmd,
				   (void __user *)arg);
}

static const struct file_operations slice_chardev_fops = {
	.owner = THIS_MODULE,
	.open = slice_chardev_open,
	.release = slice_chardev_release,
	.read = slice_chardev_read,
	.poll = slice_chardev_poll,
	.mmap = slice_chardev_mmap,
	.unlocked_ioctl = slice_chardev_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

/* Who may open it may be a layer and link sessions of others: this mode and its
 * group are that border.  Beyond it limits are for each opener and user, memory
 * is charged to who touches it, and what drives moves needs CAP_SYS_ADMIN. */
static struct miscdevice slice_chardev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "slice",
	.fops = &slice_chardev_fops,
	.mode = 0660,
};

struct slice_opener *slice_opener_of_file(struct file *file)
{
	return file->f_op == &slice_chardev_fops ? file->private_data : NULL;
}

int slice_chardev_init(void)
{
	return misc_register(&slice_chardev);
}

void slice_chardev_exit(void)
{
	misc_deregister(&slice_chardev);
}
