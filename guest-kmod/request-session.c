// SPDX-License-Identifier: GPL-2.0
/*
 * request-session.c - requests about sessions: pin, link by key, find, room
 *
 * Below: registry.h, digest.h, find.h, layer.h.  Above: request.c.
 * Source: design section 4.
 */
#include <linux/mm.h>
#include <linux/string.h>

#include "chardev.h"
#include "find.h"
#include "layer.h"
#include "tcp.h"

#define SLICE_FIND_MS_MAX	VIRTIO_SLICE_FIND_MS_MAX

/*
 * A capsule that the caller may speak for, with a reference, or ERR_PTR: of its
 * own layer, or of a socket that it has named by descriptor, which gave it a
 * word.
 */
static struct slice_capsule *slice_request_known(struct slice_opener *opener,
						 struct slice_id id)
{
	struct slice_provider *provider = smp_load_acquire(&opener->provider);
	struct slice_capsule *capsule = slice_registry_find_capsule(id);

	if (!capsule)
		return ERR_PTR(-ENOENT);
	if (provider && capsule->ops == &provider->ops)
		return capsule;
	if (capsule->ops == &slice_tcp_ops &&
	    slice_words_has(&opener->words, capsule))
		return capsule;
	slice_capsule_put(capsule);
	return ERR_PTR(-EPERM);
}

int slice_request_pin(struct slice_opener *opener, union slice_request *r)
{
	struct slice_capsule *capsule;
	int ret;

	if (r->pin.why != SLICE_WHY_NONE &&
	    slice_why_movability(r->pin.why) != SLICE_PINNED)
		return -EINVAL;
	capsule = slice_request_known(opener, r->pin.id);
	if (IS_ERR(capsule))
		return PTR_ERR(capsule);
	ret = slice_capsule_pin(capsule, r->pin.why);
	slice_capsule_put(capsule);
	return ret;
}

/* ---- LINK ---- */

static int slice_request_check_key(const u8 *key, u32 key_bytes)
{
	if (key_bytes > SLICE_KEY_BYTES_MAX ||
	    memchr_inv(key + key_bytes, 0, SLICE_KEY_BYTES_MAX - key_bytes))
		return -EINVAL;
	return 0;
}

static int slice_request_link_own(struct slice_capsule *needs,
				  const struct slice_link_key *link)
{
	struct slice_capsule *session = NULL;
	struct slice_digest digest;
	int ret = 0;

	if (link->key_bytes) {
		slice_digest_of(link->layer, link->key, link->key_bytes,
				&digest);
		session = slice_digest_find(&digest);
		if (!session)
			return -ENOENT;
		ret = slice_capsule_set_dep(session, needs,
					    GFP_KERNEL_ACCOUNT);
	}
	/* The new one first: without it the old ones stay. */
	if (!ret && link->flags & SLICE_LINK_ONLY)
		slice_capsule_drop_deps_from(needs, link->layer, session);
	slice_capsule_put(session);
	return ret;
}

int slice_request_link(struct slice_opener *opener, union slice_request *r)
{
	struct slice_link_key *link = &r->link;
	struct slice_capsule *needs;
	struct slice *slice;
	int ret;

	if (!smp_load_acquire(&opener->provider))
		return -EPERM;
	if (!slice_request_is_name(link->layer) ||
	    slice_request_check_key(link->key, link->key_bytes) ||
	    (!link->key_bytes && !(link->flags & SLICE_LINK_ONLY)))
		return -EINVAL;
	needs = slice_request_own(opener, link->needs);
	if (IS_ERR(needs))
		return PTR_ERR(needs);
	ret = slice_request_link_own(needs, link);
	slice = slice_registry_slice_of(needs);
	if (slice)
		link->ret_slice = slice->id;
	else if (!ret)
		ret = -ESTALE;
	slice_put(slice);
	slice_capsule_put(needs);
	return ret;
}

/* ---- FIND, ROOM ---- */

int slice_request_find(struct slice_opener *opener, union slice_request *r)
{
	struct slice_find *find = &r->find;
	struct slice_find_request request = {
		.timeout_ms = find->timeout_ms,
		.n_finds = &opener->n_finds,
	};
	enum slice_find_result result = 0;
	enum slice_why why = SLICE_WHY_NONE;
	int ret;

	if (!slice_request_is_name(find->layer) || !find->key_bytes ||
	    slice_request_check_key(find->key, find->key_bytes) ||
	    !find->timeout_ms || find->timeout_ms > SLICE_FIND_MS_MAX)
		return -EINVAL;
	request.capsule = slice_request_known(opener, find->capsule);
	/* Who asks has known the connection: it has left. */
	if (IS_ERR(request.capsule))
		return PTR_ERR(request.capsule) == -ENOENT ? -ESTALE :
		       PTR_ERR(request.capsule);
	slice_digest_of(find->layer, find->key, find->key_bytes,
			&request.digest);
	ret = slice_find_session(&request, &result, &why);
	find->result = ret ? 0 : result;
	find->why = why;
	slice_capsule_put(request.capsule);
	return ret;
}

int slice_request_room(struct slice_opener *opener, union slice_request *r)
{
	struct slice_provider *provider = smp_load_acquire(&opener->provider);

	if (!provider || !opener->is_owner)
		return -EPERM;
	slice_provider_limit(provider, r->room.n_max);
	return 0;
}
