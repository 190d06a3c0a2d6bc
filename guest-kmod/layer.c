// SPDX-License-Identifier: GPL-2.0
/*
 * layer.c - which layers there are, and who speaks for them
 *
 * Below: registry.h.  Above: chardev.c, plug.c, virtio.c.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/moduleparam.h>
#include <linux/rhashtable.h>
#include <linux/slab.h>

#include "layer.h"
#include "tcp.h"
#include "user.h"

u64 slice_provider_bytes_max = 1ull << 30;
module_param_named(provider_bytes_max, slice_provider_bytes_max, ullong, 0644);
MODULE_PARM_DESC(provider_bytes_max,
		 "capsule memory that one provider may register, bytes");

static const struct slice_layer_ops * const kernel_layers[] = {
	&slice_openflow_ops,
	&slice_tcp_ops,
};

static LIST_HEAD(providers);		/* struct slice_provider.in_layers */
static DEFINE_MUTEX(slice_layers_lock);
static void (*listener)(void);

void slice_layer_listen(void (*changed)(void))
{
	mutex_lock(&slice_layers_lock);
	listener = changed;
	mutex_unlock(&slice_layers_lock);
}

bool slice_layer_is_kernels(const u8 name[SLICE_LAYER_NAME_BYTES])
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(kernel_layers); i++)
		if (!strncmp(kernel_layers[i]->name, name,
			     SLICE_LAYER_NAME_BYTES))
			return true;
	return false;
}

struct slice_provider *slice_provider_of(const struct slice_layer_ops *ops)
{
	if (ops->release != slice_room_ops.release)
		return NULL;
	return container_of(ops, struct slice_provider, ops);
}

static bool slice_layer_is_same(const struct slice_layer_ops *a,
				const struct slice_layer_ops *b)
{
	return !strncmp(a->name, b->name, sizeof(a->name));
}

static bool slice_layer_agrees(const struct slice_layer_ops *a,
			       const struct slice_layer_ops *b)
{
	return a->version == b->version && a->rank == b->rank &&
	       a->abi_hash == b->abi_hash;
}

/* Under slice_layers_lock. */
static int slice_provider_enlist(struct slice_provider *provider)
{
	struct slice_provider *other;
	bool is_first = true;

	list_for_each_entry(other, &providers, in_layers) {
		if (!slice_layer_is_same(&other->ops, &provider->ops))
			continue;
		if (!slice_layer_agrees(&other->ops, &provider->ops))
			return -EINVAL;
		/* Capsules that arrive would be shared between the two. */
		if (other->user != provider->user && !capable(CAP_SYS_ADMIN))
			return -EPERM;
		is_first = false;
	}
	list_add_tail(&provider->in_layers, &providers);
	if (is_first && listener)
		listener();
	return 0;
}

struct slice_provider *slice_provider_new(const struct slice_layer *layer,
					  struct slice_words *words)
{
	struct slice_provider *provider;
	int ret;

	provider = kzalloc(sizeof(*provider), GFP_KERNEL_ACCOUNT);
	if (!provider)
		return ERR_PTR(-ENOMEM);
	kref_init(&provider->ref);
	provider->ops = slice_room_ops;
	memcpy(provider->ops.name, layer->name, sizeof(provider->ops.name));
	provider->ops.version = layer->version;
	provider->ops.rank = layer->rank;
	provider->ops.abi_hash = layer->abi_hash;
	provider->is_passive = layer->flags & SLICE_LAYER_PASSIVE;
	provider->words = words;
	provider->n_max = SLICE_ROOM_NO_LIMIT;
	provider->by_id = RB_ROOT;
	mutex_init(&provider->lock);
	xa_init(&provider->by_handle);
	idr_init(&provider->by_offset);
	slice_events_init(&provider->events);
	provider->user = slice_user_get(current_euid());
	ret = -ENOMEM;
	if (!provider->user)
		goto err_free;
	ret = rhashtable_init(&provider->by_key, &slice_room_key_params);
	if (ret)
		goto err_put_user;

	mutex_lock(&slice_layers_lock);
	ret = slice_provider_enlist(provider);
	mutex_unlock(&slice_layers_lock);
	if (ret)
		goto err_destroy_keys;
	return provider;

err_destroy_keys:
	rhashtable_destroy(&provider->by_key);
err_put_user:
	slice_user_put(provider->user);
err_free:
	kfree(provider);
	return ERR_PTR(ret);
}

static void slice_provider_free(struct kref *ref)
{
	struct slice_provider *provider =
		container_of(ref, struct slice_provider, ref);

	slice_events_destroy(&provider->events);
	rhashtable_destroy(&provider->by_key);
	xa_destroy(&provider->by_handle);
	idr_destroy(&provider->by_offset);
	slice_user_put(provider->user);
	kfree(provider);
}

struct slice_provider *slice_provider_get(struct slice_provider *provider)
{
	kref_get(&provider->ref);
	return provider;
}

void slice_provider_put(struct slice_provider *provider)
{
	if (provider)
		kref_put(&provider->ref, slice_provider_free);
}

/* The last of its name? */
static void slice_provider_delist(struct slice_provider *provider)
{
	struct slice_provider *other;
	bool is_last = true;

	mutex_lock(&slice_layers_lock);
	list_del(&provider->in_layers);
	list_for_each_entry(other, &providers, in_layers)
		if (slice_layer_is_same(&other->ops, &provider->ops))
			is_last = false;
	if (is_last && listener)
		listener();
	mutex_unlock(&slice_layers_lock);
}

void slice_provider_end(struct slice_capsule *capsule)
{
	struct slice_set set;
	u32 i;

	slice_set_take_needed(capsule, &slice_tcp_ops, &set);
	slice_room_unindex(slice_capsule_priv(capsule));
	slice_capsule_remove(capsule);
	for (i = 0; i < set.n; i++)
		if (!slice_capsule_is_needed(set.capsules[i]))
			slice_tcp_abandon(set.capsules[i]);
	slice_set_drop(&set);
}

bool slice_layer_is_leaving(const struct slice_layer_ops *ops)
{
	struct slice_provider *provider = slice_provider_of(ops);

	return provider && (READ_ONCE(provider->is_dead) ||
			    !READ_ONCE(provider->n_max));
}

void slice_provider_die(struct slice_provider *provider)
{
	struct slice_capsule *capsule;
	struct slice_room *room;

	slice_provider_delist(provider);
	mutex_lock(&provider->lock);
	provider->is_dead = true;
	provider->words = NULL;
	mutex_unlock(&provider->lock);

	while ((room = slice_room_find_id(provider, (struct slice_id){},
					  true))) {
		capsule = room->capsule;
		slice_room_plug_done(room, 0, ENODEV);
		slice_provider_end(capsule);
		slice_capsule_put(capsule);
		cond_resched();
	}
}

void slice_provider_limit(struct slice_provider *provider, u32 n_max)
{
	WRITE_ONCE(provider->n_max, n_max);
}

/* How many capsules more may arrive at it. */
static u32 slice_provider_left(const struct slice_provider *provider)
{
	u32 n_max = READ_ONCE(provider->n_max);
	u32 n = READ_ONCE(provider->n_capsules);

	if (n_max == SLICE_ROOM_NO_LIMIT)
		return U32_MAX;
	return n < n_max ? n_max - n : 0;
}

u32 slice_layer_room(u32 rank, bool *ret_found)
{
	struct slice_provider *provider;
	bool found = false;
	u64 left = 0;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(kernel_layers); i++)
		if (kernel_layers[i]->rank == rank) {
			found = true;
			left = U32_MAX;
		}
	mutex_lock(&slice_layers_lock);
	list_for_each_entry(provider, &providers, in_layers)
		if (provider->ops.rank == rank) {
			found = true;
			left += slice_provider_left(provider);
		}
	mutex_unlock(&slice_layers_lock);
	*ret_found = found;
	return min_t(u64, left, U32_MAX);
}

static enum slice_why slice_layer_fits(const struct slice_layer_ops *ops,
				       const struct slice_image_capsule *c)
{
	if (strncmp(ops->name, c->layer, sizeof(ops->name)))
		return SLICE_WHY_NO_LAYER;
	if (ops->version != le32_to_cpu(c->layer_version) ||
	    ops->abi_hash != le64_to_cpu(c->abi_hash))
		return SLICE_WHY_LAYER_VERSION;
	return SLICE_WHY_NONE;
}

const struct slice_layer_ops *
slice_layer_find(const struct slice_image_capsule *capsule,
		 enum slice_why *ret_why)
{
	struct slice_provider *provider, *best = NULL;
	enum slice_why why, worst = SLICE_WHY_NO_LAYER;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(kernel_layers); i++) {
		why = slice_layer_fits(kernel_layers[i], capsule);
		if (why == SLICE_WHY_NONE)
			return kernel_layers[i];
		worst = max(worst, why);
	}
	mutex_lock(&slice_layers_lock);
	list_for_each_entry(provider, &providers, in_layers) {
		why = slice_layer_fits(&provider->ops, capsule);
		if (why == SLICE_WHY_NONE && !slice_provider_left(provider))
			why = SLICE_WHY_NO_ROOM;
		worst = max(worst, why);
		if (why == SLICE_WHY_NONE &&
		    (!best || READ_ONCE(provider->n_capsules) <
			      READ_ONCE(best->n_capsules)))
			best = provider;
	}
	if (best)
		slice_provider_get(best);
	mutex_unlock(&slice_layers_lock);
	if (best)
		return &best->ops;
	*ret_why = worst;
	return NULL;
}

void slice_layer_put(const struct slice_layer_ops *ops)
{
	slice_provider_put(slice_provider_of(ops));
}

static void slice_layer_describe(const struct slice_layer_ops *ops,
				 struct slice_layer_desc *ret_desc)
{
	memcpy(ret_desc->name, ops->name, sizeof(ret_desc->name));
	ret_desc->version = ops->version;
	ret_desc->rank = ops->rank;
	ret_desc->abi_hash = ops->abi_hash;
}

static bool slice_layer_is_listed(const struct slice_layer_desc *layers, u32 n,
				  const struct slice_layer_ops *ops)
{
	while (n)
		if (!memcmp(layers[--n].name, ops->name,
			    sizeof(layers[n].name)))
			return true;
	return false;
}

u32 slice_layer_list(struct slice_layer_desc *layers, u32 room)
{
	struct slice_provider *provider;
	u32 i, n = 0;

	for (i = 0; i < ARRAY_SIZE(kernel_layers) && n < room; i++)
		slice_layer_describe(kernel_layers[i], &layers[n++]);
	mutex_lock(&slice_layers_lock);
	list_for_each_entry(provider, &providers, in_layers) {
		if (n == room)
			break;
		if (!slice_layer_is_listed(layers, n, &provider->ops))
			slice_layer_describe(&provider->ops, &layers[n++]);
	}
	mutex_unlock(&slice_layers_lock);
	return n;
}
