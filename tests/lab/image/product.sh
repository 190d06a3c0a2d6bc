#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# product.sh - the product part of the guests' image
#
# usage: product.sh OUT.erofs   (by make-image only)
#
# Stacked over the Debian part, so a file here hides the one there:
#
#   files/                  configuration and init's script, of this directory
#   ../../demo/www          the demo's pages, as /var/www/html
#   meson's install tag "guest"      libslice, layers, agent, test programs
#   $SLICE_KMOD/<release>/slice.ko   as /usr/lib/modules/<release>/slice.ko
#   $SLICE_QEMU/bin/qemu-ga          as /usr/sbin/qemu-ga, with our commands
#
# What has not been built is left out, and said so.
set -euo pipefail

out=$1
here=$SLICE_TOP/tests/lab/image
tree=$out.tree
rm -rf "$tree"
mkdir -p "$tree/etc"
cp -r "$here/files/." "$tree/"
mkdir -p "$tree/var/www"
cp -r "$SLICE_TOP/tests/demo/www" "$tree/var/www/html"

if [[ -f $SLICE_BUILD/build.ninja ]]; then
	meson install -C "$SLICE_BUILD" --quiet --no-rebuild --tags guest --destdir "$tree"
else
	echo "product.sh: nothing is built in $SLICE_BUILD: guests get no layers and no agent" >&2
fi
while read -r release; do
	module=$SLICE_KMOD/$release/slice.ko
	if [[ -f $module ]]; then
		mkdir -p "$tree/usr/lib/modules/$release"
		strip --strip-debug -o "$tree/usr/lib/modules/$release/slice.ko" "$module"
	else
		echo "product.sh: no slice.ko for Linux $release: its guests get none" >&2
	fi
done </usr/share/slice/kernels/versions
if [[ -x $SLICE_QEMU/bin/qemu-ga ]]; then
	install -D -m 755 "$SLICE_QEMU/bin/qemu-ga" "$tree/usr/sbin/qemu-ga"
else
	echo "product.sh: QEMU is not built: guests get no guest agent" >&2
fi
chown -R 0:0 "$tree"

mkfs.erofs --quiet -T 0 -U 00000000-0000-0000-0000-000000000001 "$out.new" "$tree"
if cmp -s "$out.new" "$out"; then
	rm "$out.new"
else
	mv "$out.new" "$out"
fi
rm -rf "$tree"
