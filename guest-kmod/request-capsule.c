// SPDX-License-Identifier: GPL-2.0
/*
 * request-capsule.c - requests about layers, capsules and references
 *
 * Below: layer.h, registry.h, words.h.  Above: request.c.
 * Source: paper Figure 3.
 */
#include <linux/capability.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "chardev.h"
#include "compat.h"
#include "layer.h"
#include "tcp.h"

static struct slice_provider *slice_request_layer_of(struct slice_opener *opener)
{
	return smp_load_acquire(&opener->provider);
}

struct slice_capsule *slice_request_own(struct slice_opener *opener,
					struct slice_id id)
{
	struct slice_provider *provider = slice_request_layer_of(opener);
	struct slice_capsule *capsule;

	if (!provider)
		return ERR_PTR(-EPERM);
	capsule = slice_registry_find_capsule(id);
	if (!capsule)
		return ERR_PTR(-ENOENT);
	if (capsule->ops != &provider->ops) {
		slice_capsule_put(capsule);
		return ERR_PTR(-EPERM);
	}
	return capsule;
}

int slice_request_info(struct slice_opener *opener, union slice_request *r)
{
	r->info = (struct slice_info){
		.size = sizeof(r->info),
		.api_version = SLICE_API_VERSION,
		.incarnation = slice_registry_incarnation(),
		.capsule_bytes_max = SLICE_CAPSULE_BYTES_MAX,
		.opener_bytes_max = slice_provider_bytes_max,
		.n_capsules = slice_registry_n_capsules(),
		.n_slices = slice_registry_n_slices(),
		.word_count = SLICE_WORDS_MAX,
	};
	return 0;
}

/* ---- LAYER ---- */

bool slice_request_is_name(const u8 *name)
{
	size_t bytes = strnlen(name, SLICE_LAYER_NAME_BYTES);
	size_t i;

	if (!bytes || bytes == SLICE_LAYER_NAME_BYTES ||
	    memchr_inv(name + bytes, 0, SLICE_LAYER_NAME_BYTES - bytes))
		return false;
	for (i = 0; i < bytes; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	return true;
}

static struct slice_provider *slice_request_join(const struct slice_layer *l)
{
	struct slice_provider *provider = NULL;
	struct slice_opener *other;
	struct fd f = fdget(l->provider_fd);
	struct file *file = slice_fd_file(f);

	if (!file)
		return ERR_PTR(-EBADF);
	other = slice_opener_of_file(file);
	if (other)
		provider = slice_request_layer_of(other);
	if (!provider || !other->is_owner)
		provider = ERR_PTR(-ENOENT);
	else if (strncmp(provider->ops.name, l->name, sizeof(l->name)) ||
		 provider->ops.version != l->version ||
		 provider->ops.rank != l->rank ||
		 provider->ops.abi_hash != l->abi_hash)
		provider = ERR_PTR(-EINVAL);
	else
		slice_provider_get(provider);
	fdput(f);
	return provider;
}

static int slice_request_set_layer(struct slice_opener *opener,
				   const struct slice_layer *l)
{
	struct slice_provider *provider;
	bool join = l->flags & SLICE_LAYER_JOIN;

	if (opener->provider)
		return -EBUSY;
	provider = join ? slice_request_join(l) :
			  slice_provider_new(l, &opener->words);
	if (IS_ERR(provider))
		return PTR_ERR(provider);
	opener->is_owner = !join;
	/* Pairs with slice_request_layer_of(): is_owner is seen with it. */
	smp_store_release(&opener->provider, provider);
	return 0;
}

int slice_request_layer(struct slice_opener *opener, union slice_request *r)
{
	const struct slice_layer *l = &r->layer;
	int ret;

	if (!slice_request_is_name(l->name) || l->rank < 1 || l->rank > 255)
		return -EINVAL;
	if (!(l->flags & SLICE_LAYER_JOIN) && l->provider_fd != -1)
		return -EINVAL;
	if (slice_layer_is_kernels(l->name))
		return -EPERM;
	mutex_lock(&opener->lock);
	ret = slice_request_set_layer(opener, l);
	mutex_unlock(&opener->lock);
	return ret;
}

/* ---- REGISTER, DEREGISTER, GET_ID ---- */

static int slice_request_key(const struct slice_register *reg,
			     struct slice_key *ret_key)
{
	if (reg->key_bytes > SLICE_KEY_BYTES_MAX ||
	    memchr_inv(reg->key + reg->key_bytes, 0,
		       SLICE_KEY_BYTES_MAX - reg->key_bytes))
		return -EINVAL;
	ret_key->bytes = reg->key_bytes;
	memcpy(ret_key->key, reg->key, sizeof(ret_key->key));
	return 0;
}

/* What the caller is told of a capsule, but for its word. */
static void slice_request_tell(struct slice_capsule *capsule,
			       struct slice_register *reg)
{
	struct slice_room *room = NULL;

	if (slice_provider_of(capsule->ops))
		room = slice_capsule_priv(capsule);
	reg->id = capsule->id;
	reg->bytes = room ? slice_room_bytes(room) : 0;
	reg->mmap_offset = room ? slice_room_offset(room) : 0;
	if (!room)
		return;
	reg->handle = room->handle;
	reg->key_bytes = room->key.bytes;
	memcpy(reg->key, room->key.key, sizeof(reg->key));
}

int slice_request_register(struct slice_opener *opener, union slice_request *r)
{
	struct slice_provider *provider = slice_request_layer_of(opener);
	struct slice_register *reg = &r->reg;
	struct slice_room *room;
	struct slice_key key;
	int ret;

	if (!provider)
		return -EPERM;
	ret = slice_request_key(reg, &key);
	if (ret)
		return ret;
	if (reg->bytes > SLICE_CAPSULE_BYTES_MAX)
		return -EINVAL;
	room = slice_room_register(provider, reg->handle, &key, reg->bytes);
	if (IS_ERR(room))
		return PTR_ERR(room);
	ret = slice_words_index(&opener->words, room->capsule,
				&reg->word_index);
	if (ret) {
		slice_room_unindex(room);
		slice_capsule_remove(room->capsule);
		goto out;
	}
	slice_request_tell(room->capsule, reg);
	if (reg->flags & SLICE_REGISTER_HELD)
		slice_words_hold(&opener->words, room->capsule);
	slice_capsule_made(room->capsule);
out:
	slice_capsule_put(room->capsule);
	return ret;
}

int slice_request_deregister(struct slice_opener *opener,
			     union slice_request *r)
{
	struct slice_capsule *capsule = slice_request_own(opener, r->op.id);
	int ret;

	if (IS_ERR(capsule))
		return PTR_ERR(capsule) == -ENOENT ? -ESTALE :
						     PTR_ERR(capsule);
	ret = slice_capsule_may_end(capsule, opener->is_owner);
	if (!ret)
		slice_provider_end(capsule);
	slice_capsule_put(capsule);
	return ret;
}

static struct slice_capsule *slice_request_by_name(struct slice_opener *opener,
						   struct slice_register *reg)
{
	struct slice_provider *provider = slice_request_layer_of(opener);
	struct slice_room *room = NULL;
	struct slice_key key;
	int ret;

	ret = slice_request_key(reg, &key);
	if (ret)
		return ERR_PTR(ret);
	if (!provider)
		return ERR_PTR(-EPERM);
	switch (reg->flags) {
	case SLICE_GET_BY_KEY:
		if (!key.bytes)
			return ERR_PTR(-EINVAL);
		room = slice_room_find_key(provider, &key);
		break;
	case SLICE_GET_BY_HANDLE:
		if (reg->handle)
			room = slice_room_find_handle(provider, reg->handle);
		break;
	case SLICE_GET_BY_ID:
		room = slice_room_find_id(provider, reg->id, false);
		break;
	case SLICE_GET_NEXT:
		room = slice_room_find_id(provider, reg->id, true);
		break;
	default:
		return ERR_PTR(-EINVAL);
	}
	return room ? room->capsule : ERR_PTR(-ENOENT);
}

int slice_request_get_id(struct slice_opener *opener, union slice_request *r)
{
	struct slice_register *reg = &r->reg;
	bool is_held = reg->flags & SLICE_REGISTER_HELD;
	struct slice_capsule *capsule;
	int ret;

	if ((reg->flags & ~SLICE_REGISTER_HELD) != SLICE_GET_BY_FD)
		capsule = slice_request_by_name(opener, reg);
	else if (reg->handle > INT_MAX)
		capsule = ERR_PTR(-EINVAL);
	else
		capsule = slice_tcp_capsule_of_fd(reg->handle);
	if (IS_ERR(capsule))
		return PTR_ERR(capsule);
	ret = is_held ? slice_words_name_held(&opener->words, capsule,
					      &reg->word_index) :
			slice_words_index(&opener->words, capsule,
					  &reg->word_index);
	if (!ret)
		slice_request_tell(capsule, reg);
	slice_capsule_put(capsule);
	return ret;
}

/* ---- dependencies and slices ---- */

int slice_request_set_dep(struct slice_opener *opener, union slice_request *r)
{
	struct slice_capsule *capsule, *needs;
	int ret;

	capsule = slice_request_own(opener, r->dep.capsule);
	if (IS_ERR(capsule))
		return PTR_ERR(capsule);
	needs = slice_registry_find_capsule(r->dep.needs);
	if (!needs)
		ret = -ENOENT;
	else if (r->dep.flags & SLICE_DEP_DROP)
		ret = slice_capsule_drop_dep(capsule, needs);
	else
		ret = slice_capsule_set_dep(capsule, needs, GFP_KERNEL_ACCOUNT);
	slice_capsule_put(needs);
	slice_capsule_put(capsule);
	return ret;
}

int slice_request_create_slice(struct slice_opener *opener,
			       union slice_request *r)
{
	struct slice_capsule *capsule = slice_request_own(opener, r->op.id);
	size_t bytes;
	int ret;

	if (IS_ERR(capsule))
		return PTR_ERR(capsule);
	bytes = strnlen(r->op.label, SLICE_LABEL_BYTES);
	if (memchr_inv(r->op.label + bytes, 0, SLICE_LABEL_BYTES - bytes))
		ret = -EINVAL;
	else
		ret = slice_capsule_make_top(capsule, r->op.label,
					     &r->op.slice);
	slice_capsule_put(capsule);
	return ret;
}

/* A slice's capsules in order; NULL array only counts. */
int slice_request_closure(struct slice_opener *opener, union slice_request *r)
{
	struct slice_id __user *to = u64_to_user_ptr(r->closure.ids);
	u32 room = r->closure.n_ids, i;
	struct slice_set set;
	struct slice *slice;
	int ret = 0;

	slice = slice_registry_find_slice(r->closure.id);
	if (!slice)
		return -ENOENT;
	slice_set_take(slice, &set);
	r->closure.n_ids = set.n;
	r->closure.slice = slice->id;
	for (i = 0; i < min(set.n, room) && !ret; i++)
		if (copy_to_user(&to[i], &set.capsules[i]->id, sizeof(*to)))
			ret = -EFAULT;
	if (!ret && set.n > room)
		ret = -ENOSPC;
	slice_set_drop(&set);
	slice_put(slice);
	return ret;
}

/* ---- references and handles ---- */

static bool slice_request_may_have_handle(struct slice_opener *opener,
					  struct slice_capsule *capsule)
{
	struct slice_provider *provider = slice_request_layer_of(opener);

	if (capable(CAP_SYS_ADMIN))
		return true;
	return provider &&
	       (capsule->ops == &provider->ops ||
		slice_capsule_is_needed_by_layer(capsule, &provider->ops));
}

int slice_request_get_handle(struct slice_opener *opener,
			     union slice_request *r)
{
	struct slice_capsule *capsule;
	int ret;

	capsule = slice_registry_find_capsule(r->op.id);
	if (!capsule)
		return -ENOENT;
	if (!slice_request_may_have_handle(opener, capsule))
		ret = -EPERM;
	else if (!capsule->ops->get_handle)
		ret = -EINVAL;
	else
		ret = capsule->ops->get_handle(capsule, &r->op.handle);
	slice_capsule_put(capsule);
	return ret;
}

int slice_request_get_ref(struct slice_opener *opener, union slice_request *r)
{
	struct slice_capsule *capsule;
	struct slice *slice;
	int ret;

	/* Its caller has known the id: what is not here has left or ended. */
	capsule = slice_registry_find_capsule(r->op.id);
	if (!capsule)
		return -ESTALE;
	ret = slice_words_get_ref(&opener->words, capsule, r->op.handle,
				  r->op.flags);
	slice = slice_registry_slice_of(capsule);
	if (slice)
		r->op.slice = slice->id;
	slice_put(slice);
	slice_capsule_put(capsule);
	return ret;
}

int slice_request_put_ref(struct slice_opener *opener, union slice_request *r)
{
	struct slice_capsule *capsule;

	capsule = slice_registry_find_capsule(r->op.id);
	if (!capsule)
		return 0;
	slice_capsule_changed(capsule);
	slice_capsule_put(capsule);
	return 0;
}

int slice_request_plug_done(struct slice_opener *opener,
			    union slice_request *r)
{
	struct slice_capsule *capsule = slice_request_own(opener, r->op.id);
	struct slice_room *room;
	int ret = -ESTALE;

	if (r->op.status < 0 || r->op.status > MAX_ERRNO) {
		if (!IS_ERR(capsule))
			slice_capsule_put(capsule);
		return -EINVAL;
	}
	if (IS_ERR(capsule))
		return PTR_ERR(capsule) == -ENOENT ? -ESTALE :
						     PTR_ERR(capsule);
	room = slice_capsule_priv(capsule);
	if (room)
		ret = slice_room_plug_done(room, r->op.handle, r->op.status);
	slice_capsule_put(capsule);
	return ret;
}

int slice_request_listen(struct slice_opener *opener, union slice_request *r)
{
	return slice_tcp_mark_listener(r->listen.fd);
}
