#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# build-kmod.sh - slice.ko for both guest kernels, without a single warning
#
# usage: build-kmod.sh   (within the private root)
#
# Each file is compiled with W=1 and read by sparse (C=2), as kernel code is.
# The source is read-only here, so it is copied; only what changed, so that
# kbuild compiles only what changed. A warning in one of our files fails the
# build, one in the kernel's own headers does not. BTF is left out: it needs
# the very vmlinux and pahole that the kernel was built with.
#
#   $SLICE_KMOD/<kernel release>/slice.ko
set -euo pipefail

source=$SLICE_TOP/guest-kmod

build() {
	local release=$1 dir=$SLICE_KMOD/build-$1 log=$SLICE_KMOD/build-$1.log
	mkdir -p "$dir" "$SLICE_KMOD/$release"
	rsync --recursive --links --perms --checksum "$source/" "$dir/"
	prune "$dir"
	if ! make -C "$dir" -j "$SLICE_JOBS" KDIR="/usr/src/linux-headers-$release" W=1 C=2 \
		CC="ccache gcc-12" HOSTCC=gcc CONFIG_DEBUG_INFO_BTF_MODULES= >"$log" 2>&1; then
		cat "$log"
		echo "build-kmod.sh: slice.ko does not build for Linux $release" >&2
		return 1
	fi
	grep -v '^make' "$log" || true
	if grep -E '(warning|error):' "$log" | grep -vE '^(/usr/src/|\./(include|arch)/|<)' >&2; then
		# An up-to-date object would hide the warning from the next run.
		find "$dir" -name '*.o' -delete
		echo "build-kmod.sh: the warnings above are for Linux $release; guest-kmod must have none" >&2
		return 1
	fi
	cp "$dir/slice.ko" "$SLICE_KMOD/$release/slice.ko.new"
	mv -f "$SLICE_KMOD/$release/slice.ko.new" "$SLICE_KMOD/$release/slice.ko"
	echo "slice.ko for Linux $release: $(stat -c %s "$SLICE_KMOD/$release/slice.ko") bytes"
}

# prune DIR - remove copies of sources that are gone
prune() {
	local file
	while IFS= read -r file; do
		[[ -e $source/$file ]] || rm -f "$1/$file"
	done < <(cd "$1" && find . -type f \( -name '*.[chS]' ! -name '*.mod.c' -o -name Kbuild -o -name Makefile \) -printf '%P\n')
}

status=0
while read -r release; do
	build "$release" || status=1
done </usr/share/slice/kernels/versions
exit "$status"
