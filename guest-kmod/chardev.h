/* SPDX-License-Identifier: GPL-2.0 */
/*
 * chardev.h - /dev/slice: openers and requests
 *
 * DOC: an opener's life
 *
 * open() gives words and no layer.  SLICE_IOC_LAYER gives a layer once, as its
 * provider or as one who joined.  Release takes the words, and the references
 * they held, and if it was the provider all its capsules.  Mappings hold the
 * file, so release comes after the last of them.
 */
#ifndef SLICE_CHARDEV_H
#define SLICE_CHARDEV_H

#include <linux/atomic.h>
#include <linux/mutex.h>
#include <uapi/linux/slice.h>

#include "words.h"

struct file;
struct slice_capsule;
struct slice_provider;

/**
 * struct slice_opener - an open file description of /dev/slice
 * @words: its reference words
 * @lock: one LAYER request at a time
 * @provider: its layer, with a reference; set once
 * @is_owner: it is the provider, it did not join
 * @n_finds: FIND requests under way
 */
struct slice_opener {
	struct slice_words words;
	struct mutex lock;
	struct slice_provider *provider;
	bool is_owner;
	atomic_t n_finds;
};

/**
 * union slice_request - the argument of any request, copied in once
 */
union slice_request {
	struct {
		__u32 size;
		__u32 flags;
	};
	struct slice_info info;
	struct slice_layer layer;
	struct slice_register reg;
	struct slice_capsule_op op;
	struct slice_dep dep;
	struct slice_closure closure;
	struct slice_list list;
	struct slice_move move;
	struct slice_ulp_listen listen;
	struct slice_pin pin;
	struct slice_link_key link;
	struct slice_find find;
	struct slice_room_limit room;
};

int slice_chardev_init(void);
void slice_chardev_exit(void);
/* The opener behind a descriptor's file, or NULL: not of /dev/slice. */
struct slice_opener *slice_opener_of_file(struct file *file);

/* request.c: the whole of an ioctl. */
long slice_request_ioctl(struct slice_opener *opener, unsigned int cmd,
			 void __user *arg);

/* ---- request-capsule.c, for request-session.c ---- */
/* A capsule of the caller's own layer, with a reference, or ERR_PTR: -EPERM,
 * -ENOENT. */
struct slice_capsule *slice_request_own(struct slice_opener *opener,
					struct slice_id id);
/* Is it a layer's name, zero padded? */
bool slice_request_is_name(const u8 *name);

/* request-*.c: each takes a checked copy and fills what goes out. */
int slice_request_info(struct slice_opener *opener, union slice_request *r);
int slice_request_layer(struct slice_opener *opener, union slice_request *r);
int slice_request_register(struct slice_opener *opener,
			   union slice_request *r);
int slice_request_deregister(struct slice_opener *opener,
			     union slice_request *r);
int slice_request_set_dep(struct slice_opener *opener, union slice_request *r);
int slice_request_create_slice(struct slice_opener *opener,
			       union slice_request *r);
int slice_request_get_id(struct slice_opener *opener, union slice_request *r);
int slice_request_get_handle(struct slice_opener *opener,
			     union slice_request *r);
int slice_request_get_ref(struct slice_opener *opener, union slice_request *r);
int slice_request_put_ref(struct slice_opener *opener, union slice_request *r);
int slice_request_plug_done(struct slice_opener *opener,
			    union slice_request *r);
int slice_request_closure(struct slice_opener *opener, union slice_request *r);
int slice_request_pin(struct slice_opener *opener, union slice_request *r);
int slice_request_link(struct slice_opener *opener, union slice_request *r);
int slice_request_find(struct slice_opener *opener, union slice_request *r);
int slice_request_room(struct slice_opener *opener, union slice_request *r);
int slice_request_list(struct slice_opener *opener, union slice_request *r);
int slice_request_listen(struct slice_opener *opener, union slice_request *r);
int slice_request_quiesce(struct slice_opener *opener, union slice_request *r);
int slice_request_unplug(struct slice_opener *opener, union slice_request *r);
int slice_request_plug(struct slice_opener *opener, union slice_request *r);
int slice_request_finish(struct slice_opener *opener, union slice_request *r);

#endif /* SLICE_CHARDEV_H */
