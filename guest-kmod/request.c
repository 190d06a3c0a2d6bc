// SPDX-License-Identifier: GPL-2.0
/*
 * request.c - the table of /dev/slice's requests and how arguments cross
 *
 * A request's struct is copied in once, checked on the copy (size, zero tail,
 * flags, rsvd), handed to its function and copied out as far as the caller
 * knows it.
 *
 * Below: request-*.c.  Above: chardev.c.
 */
#include <linux/capability.h>
#include <linux/nospec.h>
#include <linux/uaccess.h>

#include "chardev.h"

/**
 * struct slice_request_type - what holds of one request
 * @bytes: of its struct, the first version's and so far the only one
 * @flags: that it documents
 * @rsvd_offset: of its __u32 rsvd, 0 = none
 * @needs_admin: CAP_SYS_ADMIN
 * @run: what it does
 */
struct slice_request_type {
	u32 bytes;
	u32 flags;
	u32 rsvd_offset;
	bool needs_admin;
	int (*run)(struct slice_opener *opener, union slice_request *request);
};

#define SLICE_REQUEST(member, known_flags, rsvd, function) { \
	.bytes = sizeof(((union slice_request *)0)->member), \
	.flags = (known_flags), \
	.rsvd_offset = (rsvd), \
	.run = (function), \
}

#define SLICE_ADMIN_REQUEST(member, known_flags, rsvd, function) { \
	.bytes = sizeof(((union slice_request *)0)->member), \
	.flags = (known_flags), \
	.rsvd_offset = (rsvd), \
	.needs_admin = true, \
	.run = (function), \
}

#define SLICE_OP_RSVD offsetof(struct slice_capsule_op, rsvd)

static const struct slice_request_type request_types[] = {
	[_IOC_NR(SLICE_IOC_INFO)] =
		SLICE_REQUEST(info, 0, offsetof(struct slice_info, rsvd),
			      slice_request_info),
	[_IOC_NR(SLICE_IOC_LAYER)] =
		SLICE_REQUEST(layer, SLICE_LAYER_PASSIVE | SLICE_LAYER_JOIN,
			      offsetof(struct slice_layer, rsvd),
			      slice_request_layer),
	[_IOC_NR(SLICE_IOC_REGISTER)] =
		SLICE_REQUEST(reg, SLICE_REGISTER_HELD, 0,
			      slice_request_register),
	[_IOC_NR(SLICE_IOC_DEREGISTER)] =
		SLICE_REQUEST(op, 0, SLICE_OP_RSVD, slice_request_deregister),
	[_IOC_NR(SLICE_IOC_SET_DEP)] =
		SLICE_REQUEST(dep, SLICE_DEP_DROP, 0, slice_request_set_dep),
	[_IOC_NR(SLICE_IOC_CREATE_SLICE)] =
		SLICE_REQUEST(op, 0, SLICE_OP_RSVD,
			      slice_request_create_slice),
	[_IOC_NR(SLICE_IOC_GET_ID)] =
		SLICE_REQUEST(reg, SLICE_GET_BY_KEY | SLICE_GET_BY_HANDLE |
			      SLICE_GET_BY_FD | SLICE_GET_BY_ID |
			      SLICE_GET_NEXT | SLICE_REGISTER_HELD, 0,
			      slice_request_get_id),
	[_IOC_NR(SLICE_IOC_GET_HANDLE)] =
		SLICE_REQUEST(op, 0, SLICE_OP_RSVD, slice_request_get_handle),
	[_IOC_NR(SLICE_IOC_GET_REF)] =
		SLICE_REQUEST(op, SLICE_REF_NOWAIT | SLICE_REF_HERE,
			      SLICE_OP_RSVD,
			      slice_request_get_ref),
	[_IOC_NR(SLICE_IOC_PUT_REF)] =
		SLICE_REQUEST(op, 0, SLICE_OP_RSVD, slice_request_put_ref),
	[_IOC_NR(SLICE_IOC_PLUG_DONE)] =
		SLICE_REQUEST(op, 0, SLICE_OP_RSVD, slice_request_plug_done),
	[_IOC_NR(SLICE_IOC_CLOSURE)] =
		SLICE_REQUEST(closure, 0, offsetof(struct slice_closure, rsvd),
			      slice_request_closure),
	[_IOC_NR(SLICE_IOC_LIST)] =
		SLICE_ADMIN_REQUEST(list, 0, offsetof(struct slice_list, rsvd),
				    slice_request_list),
	[_IOC_NR(SLICE_IOC_LISTEN)] =
		SLICE_REQUEST(listen, 0,
			      offsetof(struct slice_ulp_listen, rsvd),
			      slice_request_listen),
	[_IOC_NR(SLICE_IOC_PIN)] =
		SLICE_REQUEST(pin, 0, offsetof(struct slice_pin, rsvd),
			      slice_request_pin),
	[_IOC_NR(SLICE_IOC_LINK)] =
		SLICE_REQUEST(link, SLICE_LINK_ONLY,
			      offsetof(struct slice_link_key, rsvd),
			      slice_request_link),
	[_IOC_NR(SLICE_IOC_FIND)] =
		SLICE_REQUEST(find, 0, 0, slice_request_find),
	[_IOC_NR(SLICE_IOC_ROOM)] =
		SLICE_REQUEST(room, 0, offsetof(struct slice_room_limit, rsvd),
			      slice_request_room),
	[_IOC_NR(SLICE_IOC_QUIESCE)] =
		SLICE_ADMIN_REQUEST(move, 0, 0, slice_request_quiesce),
	[_IOC_NR(SLICE_IOC_UNPLUG)] =
		SLICE_ADMIN_REQUEST(move, 0, 0, slice_request_unplug),
	[_IOC_NR(SLICE_IOC_PLUG)] =
		SLICE_ADMIN_REQUEST(move, 0, 0, slice_request_plug),
	[_IOC_NR(SLICE_IOC_FINISH)] =
		SLICE_ADMIN_REQUEST(move, SLICE_FINISH_RESUME |
				    SLICE_FINISH_FORGET | SLICE_FINISH_OPEN |
				    SLICE_FINISH_DISCARD, 0,
				    slice_request_finish),
};

static const struct slice_request_type *slice_request_type_of(unsigned int cmd)
{
	unsigned int nr = _IOC_NR(cmd);

	if (cmd != _IO(SLICE_IOC_MAGIC, nr) || nr >= ARRAY_SIZE(request_types))
		return NULL;
	nr = array_index_nospec(nr, ARRAY_SIZE(request_types));
	return request_types[nr].run ? &request_types[nr] : NULL;
}

static bool slice_request_is_clean(const struct slice_request_type *type,
				   const union slice_request *request)
{
	if (request->flags & ~type->flags)
		return false;
	return !type->rsvd_offset ||
	       !*(const u32 *)((const u8 *)request + type->rsvd_offset);
}

long slice_request_ioctl(struct slice_opener *opener, unsigned int cmd,
			 void __user *arg)
{
	const struct slice_request_type *type = slice_request_type_of(cmd);
	union slice_request request = {};
	u32 bytes;
	int ret;

	if (!type)
		return -ENOTTY;
	if (get_user(bytes, (u32 __user *)arg))
		return -EFAULT;
	if (bytes < type->bytes)
		return -EINVAL;
	if (bytes > PAGE_SIZE)
		return -E2BIG;
	ret = copy_struct_from_user(&request, type->bytes, arg, bytes);
	if (ret)
		return ret;
	request.size = bytes;
	if (!slice_request_is_clean(type, &request))
		return -EINVAL;
	if (type->needs_admin && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	ret = type->run(opener, &request);
	/* Failures that tell why, or how much room it takes, do so too. */
	if (copy_to_user(arg, &request, type->bytes))
		return ret ? ret : -EFAULT;
	return ret;
}
