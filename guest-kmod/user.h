/* SPDX-License-Identifier: GPL-2.0 */
/*
 * user.h - what one user's capsules may take in all
 *
 * DOC: limits
 *
 * A provider has a limit of its own, but a user can be any number of providers.
 * So what the providers of one user have is counted in one place, by rooms that
 * are there: one that is mapped still counts when its capsule has ended.
 *
 * Locks: slice_user_lock, innermost.
 */
#ifndef SLICE_USER_H
#define SLICE_USER_H

#include <linux/types.h>
#include <linux/uidgid.h>

struct slice_user;

/* The one of that id, with a reference; NULL: no memory. */
struct slice_user *slice_user_get(kuid_t uid);
void slice_user_put(struct slice_user *user);
kuid_t slice_user_id(const struct slice_user *user);
/* A room more, with so many bytes: 0, -ENOSPC. */
int slice_user_charge(struct slice_user *user, u64 bytes);
void slice_user_uncharge(struct slice_user *user, u64 bytes);

#endif /* SLICE_USER_H */
