#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# init.sh - the initramfs' init: stacks the disks and goes on from there
#
#   overlay     product.erofs over debian.erofs, both read-only
#   writable    a tmpfs; a guest keeps nothing when it ends
#
# The disks are found by their virtio serial numbers, "debian" and "product".

# busybox runs its own applets without a path
export PATH=/bin

fail() {
	echo "init: $*; the guest stops here" >/dev/console
	busybox poweroff -f
}

busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs dev /dev
if busybox grep -q -w slice.probe /proc/cmdline; then
	echo "slice: probe guest runs" >/dev/console
	busybox poweroff -f
fi
while read -r module; do
	# Some drive an instruction that this CPU may lack: the mounts below tell.
	busybox insmod "$module" 2>/dev/null
done </modules/order

for disk in /sys/block/vd*; do
	part=$(busybox cat "$disk/serial")
	case $part in
	debian | product)
		busybox mount -t erofs -o ro "/dev/${disk##*/}" "/$part" || fail "mounting the disk $part failed"
		;;
	esac
done
busybox mount -t tmpfs -o mode=755,size=75% rw /rw
busybox mkdir /rw/upper /rw/work
busybox mount -t overlay -o lowerdir=/product:/debian,upperdir=/rw/upper,workdir=/rw/work overlay /root ||
	fail "stacking the disks failed"
busybox mount --move /dev /root/dev
busybox mount --move /proc /root/proc
busybox mount --move /sys /root/sys
exec busybox switch_root /root /usr/bin/busybox init
