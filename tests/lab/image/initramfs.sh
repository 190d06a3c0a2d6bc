#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# initramfs.sh - one kernel and the small initramfs that stacks the disks
#
# usage: initramfs.sh RELEASE KERNEL_DIR OUT   (by make-image only)
#
# KERNEL_DIR holds vmlinuz and lib/modules/RELEASE. The initramfs has busybox,
# init.sh, and the modules it loads, in their order, in /modules/order.
set -euo pipefail

release=$1 kernel=$2 out=$3
here=$SLICE_TOP/tests/lab/image
wanted=(virtio_pci virtio_blk crc32c_generic erofs overlay)

if [[ -f $out/initramfs && $out/initramfs -nt $here/init.sh && $out/initramfs -nt $0 &&
	$out/initramfs -nt $kernel/vmlinuz ]]; then
	exit 0
fi
tree=$out/tree
rm -rf "$tree"
mkdir -p "$tree"/{bin,modules,dev,proc,sys,debian,product,rw,root}
cp "${kernel%/*}/busybox" "$tree/bin/busybox"
ln -s busybox "$tree/bin/sh"
install -m 755 "$here/init.sh" "$tree/init"
modprobe --all --set-version "$release" --dirname "$kernel" --show-depends "${wanted[@]}" |
	sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' |
	while read -r module; do
		cp "$module" "$tree/modules/"
		echo "/modules/${module##*/}"
	done >"$tree/modules.order"
mv "$tree/modules.order" "$tree/modules/order"
(cd "$tree" && find . -print0 | sort -z | cpio --quiet --null --create --format=newc --owner=+0:+0) |
	gzip -6 >"$out/initramfs.new"
cp "$kernel/vmlinuz" "$out/vmlinuz.new"
mv "$out/vmlinuz.new" "$out/vmlinuz"
mv "$out/initramfs.new" "$out/initramfs"
rm -rf "$tree"
