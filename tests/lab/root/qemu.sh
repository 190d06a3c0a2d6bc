# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# qemu.sh - QEMU of ours: upstream's source, and when to build it
#
#   $CACHE/qemu/download/   Debian's source package
#   $CACHE/qemu/upstream/   unpacked, Debian's own patches applied, never edited
#   $CACHE/qemu/tree/       upstream plus overlay plus patches
#   $CACHE/qemu/build*/     build directories (build-asan for qtests)
#   $CACHE/qemu/bin/        what is used: qemu-system-x86_64 qemu-img qemu-ga
#   $CACHE/qemu/share/      firmware

# fetch_qemu - have $CACHE/qemu/upstream, from the newest version of our series
fetch_qemu() {
	local dir=$CACHE/qemu version SUITE SERIES TESTED log=$CACHE/log/qemu-source.log
	# shellcheck source=/dev/null
	. "$TOP/qemu-patches/UPSTREAM"
	if [[ -f $dir/upstream/VERSION ]]; then
		[[ $(<"$dir/upstream/VERSION") != "$SERIES"* ]] || return 0
		say "unpacked QEMU $(<"$dir/upstream/VERSION") is not of the series $SERIES: starting anew"
		remove_tree "$dir"
	fi
	find_mirror
	trixie_sources "$MIRROR" "$log" || die "reading $SUITE's sources from $MIRROR failed, see $log"
	version=$(private_apt "$CACHE/apt/trixie.list" apt-cache showsrc --only-source qemu |
		sed -n 's/^Version: //p' | grep -F ":$SERIES" | sort -rV | head -n 1) || true
	[[ $version ]] || die "$MIRROR has no QEMU $SERIES* among $SUITE's sources"
	mkdir -p "$dir/download"
	with_log "$log" "downloading the source of QEMU $version" download_source "$dir/download" "qemu=$version"
	remove_tree "$dir/upstream.tmp"
	with_log "$log" "unpacking it" in_root build dpkg-source --no-check --no-copy -x \
		"$dir/download/qemu_${version#*:}.dsc" "$dir/upstream.tmp"
	[[ $(<"$dir/upstream.tmp/VERSION") == "$SERIES"* ]] ||
		die "Debian's qemu $version says that it is QEMU $(<"$dir/upstream.tmp/VERSION"), not $SERIES*"
	remove_tree "$dir/tree"
	mv -T "$dir/upstream.tmp" "$dir/upstream"
	say "QEMU is $version ($TESTED is what the patches were tested with)"
}

# download_source DIR PACKAGE - a source package into DIR; apt checks signatures
download_source() {
	cd "$1" || return
	private_apt "$CACHE/apt/trixie.list" apt-get source --download-only "$2"
}

# qemu_key VARIANT - the digest of everything that QEMU is made from
qemu_key() {
	{
		cat "$CACHE/qemu/upstream/VERSION" "$TOP/tests/lab/root/build-qemu.sh"
		cat "$TOP/qemu-patches/apply.sh" "$TOP"/guest-kmod/include/uapi/linux/{virtio_slice,slice,slice_capsule}.h
		readlink "$CACHE/root/current"
		(cd "$TOP/qemu-patches" && find overlay patches -type f -print0 2>/dev/null | sort -z | xargs -0r sha256sum)
		echo "$1"
	} | sha256sum | cut -c 1-16
}

# make_qemu plain|asan - build QEMU, or QEMU with sanitizers. Called with the
# lock `build`; the sanitizers' long build lets go of it, others need not wait.
make_qemu() {
	local variant=$1 key stamp=$CACHE/qemu/.$1.key
	fetch_qemu
	key=$(qemu_key "$variant")
	if [[ -f $stamp && $(<"$stamp") == "$key" ]]; then
		return 0
	fi
	with_log "$CACHE/log/qemu-apply.log" "applying overlay and patches to QEMU" \
		in_root build "$TOP/qemu-patches/apply.sh" "$CACHE/qemu/upstream" "$CACHE/qemu/tree"
	if [[ $variant == asan ]]; then
		unlock build
		lock asan "$VERB"
	fi
	with_log "$CACHE/log/qemu-$variant.log" "building QEMU ($variant)" \
		in_root build "$TOP/tests/lab/root/build-qemu.sh" "$variant"
	echo "$key" >"$stamp"
	if [[ $variant == asan ]]; then
		unlock asan
		lock build "$VERB"
	fi
}
