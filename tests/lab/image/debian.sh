#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# debian.sh - the Debian part of the guests' image
#
# usage: debian.sh SOURCES_LIST OUT   (by make-image only)
#
#   OUT.erofs               the packages, with the modules of both kernels
#   OUT.kernels/<release>/  vmlinuz and lib/modules/<release>, for initramfs.sh
set -euo pipefail

sources=$1 out=$2
here=$SLICE_TOP/tests/lab/image
kernels=/usr/share/slice/kernels
tree=$out.tree
rm -rf "$tree" "$out.kernels" "$out.erofs.new"

mmdebstrap --mode=root --variant=minbase --skip=check/empty \
	--aptopt='Acquire::Languages "none"' --aptopt='Apt::Install-Recommends "false"' \
	--dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	--dpkgopt='path-exclude=/usr/share/doc/*' \
	--dpkgopt='path-include=/usr/share/doc/*/copyright' \
	--include="$(grep -v '^#' "$here/packages" | tr -s '\n ' ',,' | sed 's/^,//; s/,$//')" \
	bookworm "$tree" "$sources"

for package in "$kernels"/linux-image-*.deb; do
	dpkg-deb --fsys-tarfile "$package" | tar -x -C "$tree" --keep-directory-symlink --exclude='./usr/share/*'
done
while read -r release; do
	# Modules of Debian's newer kernels come compressed; the early ones are
	# wanted plain, and erofs compresses all of them anyway.
	find "$tree/usr/lib/modules/$release" -name '*.ko.xz' -exec xz --decompress {} +
	depmod --basedir "$tree" "$release"
	mkdir -p "$out.kernels/$release/lib/modules"
	cp "$tree/boot/vmlinuz-$release" "$out.kernels/$release/vmlinuz"
	cp -r "$tree/usr/lib/modules/$release" "$out.kernels/$release/lib/modules/"
done <"$kernels/versions"
cp /usr/bin/busybox "$out.kernels/busybox"

rm -rf "${tree:?}"/boot/* "${tree:?}"/var/cache/apt/* "${tree:?}"/var/lib/apt/lists/* "${tree:?}"/var/log/*.log
mkfs.erofs --quiet -zlz4 "$out.erofs.new" "$tree"
mv "$out.erofs.new" "$out.erofs"
rm -rf "$tree"
echo "the guests' Debian part is $(stat -c %s "$out.erofs") bytes"
