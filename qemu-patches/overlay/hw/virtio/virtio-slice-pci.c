/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-slice-pci.c - the PCI binding of virtio-slice
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "hw/qdev-properties.h"
#include "hw/virtio/virtio-pci.h"
#include "hw/virtio/virtio-slice.h"
#include "standard-headers/linux/virtio_slice.h"

#define TYPE_VIRTIO_SLICE_PCI "virtio-slice-pci-base"
OBJECT_DECLARE_SIMPLE_TYPE(VirtIOSlicePCI, VIRTIO_SLICE_PCI)

struct VirtIOSlicePCI {
    VirtIOPCIProxy parent_obj;
    VirtIOSlice vdev;
};

static const Property virtio_slice_pci_properties[] = {
    DEFINE_PROP_BIT("ioeventfd", VirtIOPCIProxy, flags,
                    VIRTIO_PCI_FLAG_USE_IOEVENTFD_BIT, true),
    DEFINE_PROP_UINT32("vectors", VirtIOPCIProxy, nvectors,
                       DEV_NVECTORS_UNSPECIFIED),
};

static void virtio_slice_pci_realize(VirtIOPCIProxy *proxy, Error **errp)
{
    VirtIOSlicePCI *s = VIRTIO_SLICE_PCI(proxy);

    if (proxy->nvectors == DEV_NVECTORS_UNSPECIFIED) {
        proxy->nvectors = VIRTIO_SLICE_N_QUEUES + 1;
    }
    virtio_pci_force_virtio_1(proxy);
    qdev_realize(DEVICE(&s->vdev), BUS(&proxy->bus), errp);
}

static void virtio_slice_pci_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    VirtioPCIClass *k = VIRTIO_PCI_CLASS(klass);
    PCIDeviceClass *pcidev_k = PCI_DEVICE_CLASS(klass);

    k->realize = virtio_slice_pci_realize;
    pcidev_k->class_id = PCI_CLASS_OTHERS;
    dc->hotpluggable = false;
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
    device_class_set_props(dc, virtio_slice_pci_properties);
}

static void virtio_slice_pci_init(Object *obj)
{
    VirtIOSlicePCI *s = VIRTIO_SLICE_PCI(obj);

    virtio_instance_init_common(obj, &s->vdev, sizeof(s->vdev),
                                TYPE_VIRTIO_SLICE);
}

static const VirtioPCIDeviceTypeInfo virtio_slice_pci_info = {
    .base_name = TYPE_VIRTIO_SLICE_PCI,
    .generic_name = "virtio-slice-pci",
    .instance_size = sizeof(VirtIOSlicePCI),
    .instance_init = virtio_slice_pci_init,
    .class_init = virtio_slice_pci_class_init,
};

static void virtio_slice_pci_register(void)
{
    virtio_pci_types_register(&virtio_slice_pci_info);
}

type_init(virtio_slice_pci_register)
