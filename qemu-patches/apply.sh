#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# apply.sh - make a QEMU source tree of ours out of upstream's
#
# usage: apply.sh UPSTREAM TREE
#
# UPSTREAM is a pristine source tree and stays untouched. TREE is made from it
# the first time; later only files whose content changes are written, so a
# change of one overlay file costs the compilation of that file. TREE/.slice
# lists the files in which TREE differs from UPSTREAM.
#
#   overlay/   new files at their final path; none may exist upstream
#   patches/   edits of upstream's files, in the order of patches/series,
#              applied without fuzz: a patch that does not fit stops us
#
# The headers that guest and device share have one home, guest-kmod; they are
# imported to include/standard-headers/linux as QEMU imports Linux' own.
set -euo pipefail
export LC_ALL=C

fail() {
	printf 'apply.sh: %s\n' "$*" >&2
	exit 1
}

(($# == 2)) || fail "usage: apply.sh UPSTREAM TREE"
upstream=$(realpath "$1") tree=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
stage=$tree.stage

# series - our patches in order
series() {
	[[ -f $here/patches/series ]] || return 0
	sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$here/patches/series"
}

# overlay_files - the paths of our own files, relative
overlay_files() {
	[[ -d $here/overlay ]] || return 0
	(cd "$here/overlay" && find . -type f ! -name '*~' ! -name '.*' -printf '%P\n')
}

# edit_upstream - apply all patches to copies of the files they name
edit_upstream() {
	local patch file output
	while read -r patch; do
		[[ -f $here/patches/$patch ]] || fail "patches/series names $patch, which is not there"
		while read -r file; do
			[[ -f $stage/$file ]] && continue
			[[ -f $upstream/$file ]] ||
				fail "patch $patch edits $file, which upstream does not have (new files belong in overlay/)"
			mkdir -p "$stage/$(dirname "$file")"
			cp -p "$upstream/$file" "$stage/$file"
		done < <(sed -n 's,^+++ b/\([^[:space:]]*\).*,\1,p' "$here/patches/$patch")
		if ! output=$(patch --directory="$stage" --strip=1 --fuzz=0 --forward --batch \
			--no-backup-if-mismatch --reject-file=- <"$here/patches/$patch" 2>&1); then
			printf '%s\n' "$output" >&2
			fail "patch $patch does not apply to QEMU $(<"$upstream/VERSION"): $(printf '%s\n' "$output" |
				awk '/^patching file/ { f = $3 } /FAILED|ignored|malformed|not found/ { print f ": " $0 }' |
				paste -sd ';')"
		fi
	done < <(series)
}

# copy_overlay - add our files, none of which may hide one of upstream's
copy_overlay() {
	local file
	while IFS= read -r file; do
		[[ ! -e $upstream/$file ]] || fail "overlay/$file exists upstream: edit it with a patch"
		mkdir -p "$stage/$(dirname "$file")"
		cp -p "$here/overlay/$file" "$stage/$file"
	done < <(overlay_files)
}

# import_headers - the shared headers, rewritten for QEMU's types the way that
# upstream's scripts/update-linux-headers.sh does
import_headers() {
	local header to=$stage/include/standard-headers/linux
	mkdir -p "$to"
	for header in virtio_slice.h slice.h slice_capsule.h; do
		sed -e 's/\b__\?u\([0-9][0-9]*\)\b/uint\1_t/g' \
			-e 's/\b__s\([0-9][0-9]*\)\b/int\1_t/g' \
			-e 's/\b__[lb]e\([0-9][0-9]*\)\b/uint\1_t/g' \
			-e '/<linux\/ioctl.h>/d' \
			-e 's,<linux/\([^>]*\)>,"standard-headers/linux/\1",' \
			-e 's/__attribute__((packed))/QEMU_PACKED/' \
			"$here/../guest-kmod/include/uapi/linux/$header" >"$to/$header"
	done
}

# update_tree - bring TREE to the state of stage, touching only what differs
update_tree() {
	local file
	(cd "$stage" && find . -type f -printf '%P\n' | sort) >"$stage.list"
	touch "$tree/.slice"
	# Both lists first: an interrupted update is finished by the next one.
	sort -u -o "$stage.both" "$tree/.slice" "$stage.list"
	cp "$stage.both" "$tree/.slice"
	while IFS= read -r file; do
		if [[ -e $stage/$file ]]; then
			cmp -s "$stage/$file" "$tree/$file" && continue
			mkdir -p "$tree/$(dirname "$file")"
			cp "$stage/$file" "$tree/$file"
			echo "updated $file"
		elif [[ -e $upstream/$file ]]; then
			cmp -s "$upstream/$file" "$tree/$file" && continue
			cp "$upstream/$file" "$tree/$file"
			echo "restored $file"
		else
			rm -f "$tree/$file"
			echo "removed $file"
		fi
	done <"$stage.both"
	mv "$stage.list" "$tree/.slice"
}

if [[ ! -d $tree ]]; then
	rm -rf "$tree.tmp"
	cp -a "$upstream" "$tree.tmp"
	mv -T "$tree.tmp" "$tree"
fi
rm -rf "$stage" "$stage.list" "$stage.both"
mkdir -p "$stage"
edit_upstream
copy_overlay
import_headers
update_tree
rm -rf "$stage" "$stage.both"
