// SPDX-License-Identifier: GPL-2.0
/*
 * user.c - what one user's capsules may take in all
 *
 * Users who provide layers are few: a list.
 *
 * Above: layer.c, room.c.
 */
#include <linux/list.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "user.h"

/* Half of what the registry takes, and as much as four full providers. */
static uint user_capsules_max = 1u << 16;
module_param(user_capsules_max, uint, 0644);
MODULE_PARM_DESC(user_capsules_max, "capsules that one user may provide");

static unsigned long long user_bytes_max = 4ull << 30;
module_param(user_bytes_max, ullong, 0644);
MODULE_PARM_DESC(user_bytes_max,
		 "capsule memory that one user may provide, bytes");

/**
 * struct slice_user - one who provides layers
 * @in_users: in the list
 * @uid: who
 * @n_refs: providers
 * @n_rooms: that they have
 * @bytes: of these
 */
struct slice_user {
	struct list_head in_users;
	kuid_t uid;
	u32 n_refs;
	u32 n_rooms;
	u64 bytes;
};

static LIST_HEAD(users);
static DEFINE_SPINLOCK(slice_user_lock);

struct slice_user *slice_user_get(kuid_t uid)
{
	struct slice_user *user, *fresh;

	fresh = kzalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
	if (!fresh)
		return NULL;
	spin_lock(&slice_user_lock);
	list_for_each_entry(user, &users, in_users)
		if (uid_eq(user->uid, uid))
			goto found;
	user = fresh;
	fresh = NULL;
	user->uid = uid;
	list_add(&user->in_users, &users);
found:
	user->n_refs++;
	spin_unlock(&slice_user_lock);
	kfree(fresh);
	return user;
}

void slice_user_put(struct slice_user *user)
{
	bool is_last;

	spin_lock(&slice_user_lock);
	is_last = !--user->n_refs;
	if (is_last)
		list_del(&user->in_users);
	spin_unlock(&slice_user_lock);
	if (is_last)
		kfree(user);
}

kuid_t slice_user_id(const struct slice_user *user)
{
	return user->uid;
}

int slice_user_charge(struct slice_user *user, u64 bytes)
{
	int ret = -ENOSPC;

	spin_lock(&slice_user_lock);
	if (user->n_rooms < user_capsules_max &&
	    user->bytes + bytes <= user_bytes_max) {
		user->n_rooms++;
		user->bytes += bytes;
		ret = 0;
	}
	spin_unlock(&slice_user_lock);
	return ret;
}

void slice_user_uncharge(struct slice_user *user, u64 bytes)
{
	spin_lock(&slice_user_lock);
	user->n_rooms--;
	user->bytes -= bytes;
	spin_unlock(&slice_user_lock);
}
