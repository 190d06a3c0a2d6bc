// SPDX-License-Identifier: GPL-2.0
/*
 * virtio-report.c - HELLO, SET and GONE
 *
 * Below: report.h, virtio-ring.c.  Above: virtio.c.
 */
#include <linux/slab.h>
#include <linux/virtio.h>

#include "layer.h"
#include "report.h"
#include "tcp.h"
#include "virtio.h"

static int slice_virtio_hello(struct slice_virtio *dev)
{
	struct slice_layer_desc layers[VIRTIO_SLICE_LAYERS_MAX];
	struct slice_virtio_request *request;
	struct virtio_slice_layer *wire;
	void *body;
	u32 i, n;
	int ret;

	n = slice_layer_list(layers, ARRAY_SIZE(layers));
	request = slice_virtio_request_new(VIRTIO_SLICE_REQ_HELLO, 0, n,
					   (struct slice_id){}, 0,
					   n * sizeof(*wire), &body);
	if (!request)
		return -ENOMEM;
	wire = body;
	for (i = 0; i < n; i++) {
		memcpy(wire[i].name, layers[i].name, sizeof(wire[i].name));
		wire[i].version = cpu_to_le32(layers[i].version);
		wire[i].rank = cpu_to_le32(layers[i].rank);
		wire[i].abi_hash = cpu_to_le64(layers[i].abi_hash);
	}
	ret = slice_virtio_call(dev, request);
	slice_virtio_request_free(request);
	return ret;
}

/* The slice's connections, at most VIRTIO_SLICE_FLOWS_MAX; how many it has. */
static u32 slice_virtio_flows(const struct slice_set *set,
			      struct virtio_slice_flow *flows, u32 *ret_listed)
{
	struct slice_image_flow flow;
	u32 i, n = 0;

	static_assert(sizeof(*flows) == sizeof(flow));
	for (i = 0; i < set->n; i++) {
		if (set->capsules[i]->ops != &slice_tcp_ops ||
		    slice_tcp_flow(set->capsules[i], &flow))
			continue;
		if (n < VIRTIO_SLICE_FLOWS_MAX)
			memcpy(&flows[n], &flow, sizeof(flow));
		n++;
	}
	*ret_listed = min_t(u32, n, VIRTIO_SLICE_FLOWS_MAX);
	return n;
}

static struct slice_virtio_request *
slice_virtio_make_set(const struct slice_report *report)
{
	struct slice_virtio_request *request = NULL;
	struct virtio_slice_flow *flows;
	struct virtio_slice_set *wire;
	struct slice_status status;
	struct slice_set set;
	u32 n_flows, listed, i;
	void *body;

	static_assert(VIRTIO_SLICE_COUNTS_MAX == SLICE_RANKS_MAX);
	flows = kcalloc(VIRTIO_SLICE_FLOWS_MAX, sizeof(*flows), GFP_KERNEL);
	if (!flows)
		return NULL;
	slice_set_take(report->slice, &set);
	slice_status_of_reported(report->slice, &status);
	n_flows = slice_virtio_flows(&set, flows, &listed);
	request = slice_virtio_request_new(VIRTIO_SLICE_REQ_SET, 0, listed,
					   report->id, 0, sizeof(*wire) +
					   listed * sizeof(*flows), &body);
	if (request) {
		wire = body;
		wire->memory_bytes = cpu_to_le64(status.memory_bytes);
		wire->n_capsules = cpu_to_le32(status.n_capsules);
		wire->n_flows = cpu_to_le32(n_flows);
		wire->movability = cpu_to_le32(status.movability);
		wire->why = cpu_to_le32(status.why);
		for (i = 0; i < status.n_ranks; i++) {
			wire->counts[i].rank =
				cpu_to_le16(status.counts[i].rank);
			wire->counts[i].n = cpu_to_le16(status.counts[i].n);
		}
		memcpy(wire->label, status.label, sizeof(wire->label));
		memcpy(wire->top_layer, status.top_layer,
		       sizeof(wire->top_layer));
		memcpy(wire + 1, flows, listed * sizeof(*flows));
	}
	slice_set_drop(&set);
	kfree(flows);
	return request;
}

/* Return: the request that is in the ring, NULL: nothing to tell, or ERR_PTR. */
static struct slice_virtio_request *slice_virtio_tell(struct slice_virtio *dev)
{
	struct slice_virtio_request *request;
	struct slice_report report;
	int ret = -ENOMEM;

	mutex_lock(&dev->report_lock);
	if (!slice_report_next(&report)) {
		mutex_unlock(&dev->report_lock);
		return NULL;
	}
	if (report.type == SLICE_REPORT_SET)
		request = slice_virtio_make_set(&report);
	else
		request = slice_virtio_request_new(VIRTIO_SLICE_REQ_GONE, 0, 0,
						   report.id, 0, 0, NULL);
	if (request)
		ret = slice_virtio_submit(dev, request);
	mutex_unlock(&dev->report_lock);
	slice_put(report.slice);
	if (!ret)
		return request;
	if (request)
		slice_virtio_request_free(request);
	return ERR_PTR(ret);
}

void slice_virtio_pass_reports(struct slice_virtio *dev, struct slice_id id)
{
	struct slice *slice = slice_registry_find_slice(id);
	struct slice_virtio_request *request;

	/* In the lists' order: what was split off it may stand before it. */
	while (slice && slice_report_is_due(slice) &&
	       !IS_ERR_OR_NULL(request = slice_virtio_tell(dev))) {
		wait_for_completion(&request->done);
		slice_virtio_request_free(request);
	}
	slice_put(slice);
	/* What others make just now is in the ring after this. */
	mutex_lock(&dev->report_lock);
	mutex_unlock(&dev->report_lock);
}

void slice_virtio_report(struct work_struct *work)
{
	struct slice_virtio *dev = container_of(work, struct slice_virtio,
						report);
	struct slice_virtio_request *request;
	int ret;

	if (xchg(&dev->must_greet, false)) {
		ret = slice_virtio_hello(dev);
		if (ret) {
			dev_warn(&dev->vdev->dev, "HELLO failed: %d\n", ret);
			return;
		}
	}
	if (xchg(&dev->must_tell_all, false))
		slice_report_all();
	while (!IS_ERR_OR_NULL(request = slice_virtio_tell(dev))) {
		wait_for_completion(&request->done);
		slice_virtio_request_free(request);
		if (READ_ONCE(dev->must_greet)) {
			queue_work(dev->work, &dev->report);
			break;
		}
	}
}
