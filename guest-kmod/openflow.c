// SPDX-License-Identifier: GPL-2.0
/*
 * openflow.c - the openflow layer: a connection's addresses as a capsule
 *
 * The rules themselves are in the switch and belong to the orchestrator, which
 * learns the addresses from the slice's tcp capsules.  The capsule makes the
 * dependency tcp -> openflow explicit, as in the paper's Figure 2.
 *
 * Above: tcp.c.  Below: image.c.
 * Source: paper section 3.1, design section 4.
 */
#include <linux/slab.h>

#include "image.h"
#include "tcp-priv.h"

static enum slice_why slice_openflow_why(struct slice_capsule *capsule)
{
	return SLICE_WHY_NONE;
}

static int slice_openflow_unplug(struct slice_capsule *capsule,
				 struct slice_image *image, u32 index)
{
	const struct slice_flow *flow = slice_capsule_priv(capsule);

	return slice_image_add(image, SLICE_RECORD_FLOW, SLICE_RECORD_MUST,
			       index, &flow->flow, sizeof(flow->flow));
}

static int slice_openflow_plug(struct slice_capsule *capsule,
			       const struct slice_image_reader *reader,
			       u32 index)
{
	const struct slice_image_flow *record;
	struct slice_flow *flow;
	size_t bytes;
	int ret;

	record = slice_image_find(reader, SLICE_RECORD_FLOW, index, 0, &bytes);
	if (!record || bytes != sizeof(*record))
		return -EPROTO;
	ret = slice_tcp_check_flow(record);
	if (ret)
		return ret;
	flow = slice_capsule_priv(capsule);
	if (!flow) {
		flow = kzalloc(sizeof(*flow), GFP_KERNEL_ACCOUNT);
		if (!flow)
			return -ENOMEM;
		slice_capsule_set_priv(capsule, flow);
	}
	flow->flow = *record;
	flow->is_known = true;
	return 0;
}

static void slice_openflow_open(struct slice_capsule *capsule)
{
}

static void slice_openflow_discard(struct slice_capsule *capsule)
{
}

static int slice_openflow_get_handle(struct slice_capsule *capsule,
				     u64 *ret_handle)
{
	return -EOPNOTSUPP;
}

static void slice_openflow_release(struct slice_capsule *capsule)
{
	kfree(slice_capsule_priv(capsule));
}

const struct slice_layer_ops slice_openflow_ops = {
	.name		= "openflow",
	.version	= 1,
	.rank		= 10,
	.why		= slice_openflow_why,
	.unplug		= slice_openflow_unplug,
	.plug		= slice_openflow_plug,
	.open		= slice_openflow_open,
	.discard	= slice_openflow_discard,
	.get_handle	= slice_openflow_get_handle,
	.release	= slice_openflow_release,
};
