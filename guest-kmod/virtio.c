// SPDX-License-Identifier: GPL-2.0
/*
 * virtio.c - the virtio-slice device comes, changes and goes
 *
 * Below: virtio-*.c.  Above: main.c.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>

#include "compat.h"
#include "find.h"
#include "layer.h"
#include "report.h"
#include "reserve.h"
#include "virtio.h"

/* There is one registry, so one device; the lock is for probe and remove, and
 * for who is called back by the registry. */
static DEFINE_SPINLOCK(the_lock);
static struct slice_virtio *the_device;
/* Held for reading by who uses it from outside of its work items. */
static DECLARE_RWSEM(the_users);

struct slice_virtio *slice_virtio_use(void)
{
	struct slice_virtio *dev;
	unsigned long flags;

	down_read(&the_users);
	spin_lock_irqsave(&the_lock, flags);
	dev = the_device;
	spin_unlock_irqrestore(&the_lock, flags);
	if (!dev)
		up_read(&the_users);
	return dev;
}

void slice_virtio_unuse(void)
{
	up_read(&the_users);
}

static void slice_virtio_kick(void)
{
	unsigned long flags;

	spin_lock_irqsave(&the_lock, flags);
	if (the_device)
		queue_work(the_device->work, &the_device->report);
	spin_unlock_irqrestore(&the_lock, flags);
}

static void slice_virtio_layers_changed(void)
{
	unsigned long flags;

	spin_lock_irqsave(&the_lock, flags);
	if (the_device) {
		WRITE_ONCE(the_device->must_greet, true);
		queue_work(the_device->work, &the_device->report);
	}
	spin_unlock_irqrestore(&the_lock, flags);
}

/* The event queue's interrupt. */
static void slice_virtio_event(struct virtqueue *vq)
{
	struct slice_virtio *dev = vq->vdev->priv;

	queue_work(dev->work, &dev->receive);
}

static void slice_virtio_read_config(struct slice_virtio *dev)
{
	u64 incarnation;

	virtio_cread_le(dev->vdev, struct virtio_slice_config, incarnation,
			&incarnation);
	slice_registry_set_incarnation(incarnation);
}

static void slice_virtio_config(struct work_struct *work)
{
	struct slice_virtio *dev = container_of(work, struct slice_virtio,
						config);

	slice_virtio_read_config(dev);
	/* A device that was restored knows of neither. */
	slice_find_reset();
	slice_reserve_reset();
	WRITE_ONCE(dev->must_greet, true);
	WRITE_ONCE(dev->must_tell_all, true);
	queue_work(dev->work, &dev->report);
}

static void slice_virtio_config_changed(struct virtio_device *vdev)
{
	struct slice_virtio *dev = vdev->priv;

	queue_work(dev->work, &dev->config);
}

/* Brings the queues up and greets the device. */
static int slice_virtio_up(struct slice_virtio *dev)
{
	struct virtqueue_info infos[VIRTIO_SLICE_N_QUEUES] = {
		[VIRTIO_SLICE_QUEUE_REQUEST] = {
			.name = "request", .callback = slice_virtio_done,
		},
		[VIRTIO_SLICE_QUEUE_EVENT] = {
			.name = "event", .callback = slice_virtio_event,
		},
	};
	struct virtqueue *vqs[VIRTIO_SLICE_N_QUEUES];
	int ret;

	ret = slice_find_vqs(dev->vdev, VIRTIO_SLICE_N_QUEUES, vqs, infos);
	if (ret)
		return ret;
	dev->request_vq = vqs[VIRTIO_SLICE_QUEUE_REQUEST];
	dev->event_vq = vqs[VIRTIO_SLICE_QUEUE_EVENT];
	WRITE_ONCE(dev->is_dead, false);
	virtio_device_ready(dev->vdev);
	ret = slice_virtio_post_events(dev);
	if (ret)
		goto err_reset;
	slice_virtio_config(&dev->config);
	return 0;

err_reset:
	virtio_reset_device(dev->vdev);
	dev->vdev->config->del_vqs(dev->vdev);
	return ret;
}

/* After this no request is under way and no event is worked on. */
static void slice_virtio_down(struct slice_virtio *dev)
{
	unsigned long flags;

	spin_lock_irqsave(&dev->ring_lock, flags);
	dev->is_dead = true;
	spin_unlock_irqrestore(&dev->ring_lock, flags);
	virtio_reset_device(dev->vdev);
	slice_virtio_abort_requests(dev);
	flush_workqueue(dev->work);
	slice_find_reset();
	slice_reserve_reset();
	while (virtqueue_detach_unused_buf(dev->event_vq))
		;
	dev->vdev->config->del_vqs(dev->vdev);
}

static struct slice_virtio *slice_virtio_alloc(struct virtio_device *vdev)
{
	struct slice_virtio *dev;

	dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	if (!dev)
		return NULL;
	dev->events = kcalloc(SLICE_VIRTIO_EVENTS, sizeof(*dev->events),
			      GFP_KERNEL);
	if (!dev->events)
		goto err_free_device;
	/* Each slice that moves has a work item that sleeps. */
	dev->work = alloc_workqueue("slice", WQ_UNBOUND, WQ_MAX_ACTIVE);
	if (!dev->work)
		goto err_free_events;
	dev->vdev = vdev;
	dev->is_dead = true;
	spin_lock_init(&dev->ring_lock);
	spin_lock_init(&dev->lanes_lock);
	mutex_init(&dev->report_lock);
	init_waitqueue_head(&dev->room);
	hash_init(dev->lanes);
	INIT_WORK(&dev->report, slice_virtio_report);
	INIT_WORK(&dev->receive, slice_virtio_receive);
	INIT_WORK(&dev->config, slice_virtio_config);
	return dev;

err_free_events:
	kfree(dev->events);
err_free_device:
	kfree(dev);
	return NULL;
}

static void slice_virtio_free(struct slice_virtio *dev)
{
	destroy_workqueue(dev->work);
	kfree(dev->events);
	kfree(dev);
}

static bool slice_virtio_claim(struct slice_virtio *dev)
{
	unsigned long flags;
	bool is_first;

	spin_lock_irqsave(&the_lock, flags);
	is_first = !the_device;
	if (is_first)
		the_device = dev;
	spin_unlock_irqrestore(&the_lock, flags);
	return is_first;
}

static void slice_virtio_unclaim(void)
{
	unsigned long flags;

	slice_report_listen(NULL);
	slice_layer_listen(NULL);
	spin_lock_irqsave(&the_lock, flags);
	the_device = NULL;
	spin_unlock_irqrestore(&the_lock, flags);
}

static int slice_virtio_probe(struct virtio_device *vdev)
{
	struct slice_virtio *dev;
	u32 version;
	int ret;

	if (!virtio_has_feature(vdev, VIRTIO_F_VERSION_1))
		return -ENODEV;
	virtio_cread_le(vdev, struct virtio_slice_config, version, &version);
	if (version != VIRTIO_SLICE_VERSION) {
		dev_err(&vdev->dev,
			"the device speaks version %u, this driver %u\n",
			version, VIRTIO_SLICE_VERSION);
		return -ENODEV;
	}
	dev = slice_virtio_alloc(vdev);
	if (!dev)
		return -ENOMEM;
	vdev->priv = dev;
	if (!slice_virtio_claim(dev)) {
		dev_err(&vdev->dev, "a second slice device is not supported\n");
		ret = -EBUSY;
		goto err_free;
	}
	slice_report_listen(slice_virtio_kick);
	slice_layer_listen(slice_virtio_layers_changed);
	ret = slice_virtio_up(dev);
	if (ret)
		goto err_unclaim;
	return 0;

err_unclaim:
	slice_virtio_unclaim();
	down_write(&the_users);
	up_write(&the_users);
err_free:
	slice_virtio_free(dev);
	return ret;
}

static void slice_virtio_remove(struct virtio_device *vdev)
{
	struct slice_virtio *dev = vdev->priv;

	slice_virtio_unclaim();
	slice_virtio_down(dev);
	/* Nobody finds it any more; who has found it gets -ENODEV soon. */
	down_write(&the_users);
	up_write(&the_users);
	slice_virtio_free(dev);
	slice_report_drop_all();
	slice_registry_set_incarnation(0);
}

static int __maybe_unused slice_virtio_freeze(struct virtio_device *vdev)
{
	slice_virtio_down(vdev->priv);
	return 0;
}

static int __maybe_unused slice_virtio_restore(struct virtio_device *vdev)
{
	return slice_virtio_up(vdev->priv);
}

static const struct virtio_device_id slice_virtio_ids[] = {
	{ VIRTIO_ID_SLICE, VIRTIO_DEV_ANY_ID },
	{ 0 },
};

static struct virtio_driver slice_virtio_driver = {
	.driver.name = "slice",
	.driver.owner = THIS_MODULE,
	.id_table = slice_virtio_ids,
	.probe = slice_virtio_probe,
	.remove = slice_virtio_remove,
	.config_changed = slice_virtio_config_changed,
#ifdef CONFIG_PM_SLEEP
	.freeze = slice_virtio_freeze,
	.restore = slice_virtio_restore,
#endif
};

int slice_virtio_init(void)
{
	return register_virtio_driver(&slice_virtio_driver);
}

void slice_virtio_exit(void)
{
	unregister_virtio_driver(&slice_virtio_driver);
}

MODULE_DEVICE_TABLE(virtio, slice_virtio_ids);
