#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# build-qemu.sh - configure, compile and install QEMU within the private root
#
# usage: build-qemu.sh plain|asan
#
# One build directory each, kept: ninja compiles what changed. It is made anew
# when the options below or the root change; ccache makes that cheap. `asan`
# builds what the qtests need and installs nothing.
set -euo pipefail

variant=$1
tree=$SLICE_QEMU/tree
build=$SLICE_QEMU/build
options=(
	"--cc=ccache gcc" "--host-cc=ccache gcc"
	--target-list=x86_64-softmmu
	--without-default-features
	--enable-{kvm,tcg,slirp,virtfs,attr,cap-ng,guest-agent,tools,vhost-user,vhost-net,replication,colo-proxy,gnutls}
	--enable-fdt=system
	--enable-werror
	--disable-download
	--disable-install-blobs
	--firmwarepath=/usr/share/qemu:/usr/share/seabios:/usr/lib/ipxe/qemu
	--python=/usr/bin/python3
)
if [[ $variant == asan ]]; then
	build=$SLICE_QEMU/build-asan
	options+=(--enable-asan --enable-ubsan)
fi

# configure - unless this build directory was made with the same options
configure() {
	local made
	made="${options[*]} in $(readlink "$SLICE_CACHE/root/current")"
	if [[ -f $build/build.ninja && -f $build/.made && $(<"$build/.made") == "$made" ]]; then
		return
	fi
	rm -rf "$build"
	mkdir -p "$build"
	(cd "$build" && "$tree/configure" "${options[@]}")
	# Run within its build directory, as qtests do, QEMU looks for firmware
	# below qemu-bundle only; Debian's source has none.
	mkdir -p "$build"/qemu-bundle/usr/{share,lib/ipxe}
	ln -sfnT /usr/share/qemu "$build/qemu-bundle/usr/share/qemu"
	ln -sfnT /usr/share/seabios "$build/qemu-bundle/usr/share/seabios"
	ln -sfnT /usr/lib/ipxe/qemu "$build/qemu-bundle/usr/lib/ipxe/qemu"
	echo "$made" >"$build/.made"
}

# our_tests - ninja's targets for the tests that the overlay brings
our_tests() {
	ninja -C "$build" build.ninja >&2
	ninja -C "$build" -t targets all |
		sed -n 's,^\(tests/\(qtest\|unit\)/[a-z0-9-]*slice[a-z0-9-]*\): .*,\1,p'
}

# install_to BIN SHARE - stripped programs by rename, so that a running QEMU is
# not disturbed, and the firmware that x86 machines load
install_to() {
	local program file
	mkdir -p "$1" "$2"
	for program in qemu-system-x86_64 qemu-img qga/qemu-ga; do
		strip -o "$1/.new" "$build/$program"
		chmod 755 "$1/.new"
		mv -fT "$1/.new" "$1/${program##*/}"
	done
	for file in /usr/share/seabios/{bios-256k,vgabios-stdvga}.bin \
		/usr/lib/ipxe/qemu/efi-virtio.rom \
		/usr/share/qemu/{kvmvapic,linuxboot_dma,multiboot_dma,pvh}.bin; do
		[[ ! -f $file ]] || cp -Lu "$file" "$2/"
	done
}

configure
mapfile -t tests < <(our_tests)
if [[ $variant == asan ]]; then
	exec ninja -C "$build" -j "$SLICE_JOBS" qemu-system-x86_64 "${tests[@]}"
fi
# Keep going: one mistake in the overlay should show the others, too.
ninja -C "$build" -j "$SLICE_JOBS" -k 0 qemu-system-x86_64 qemu-img qga/qemu-ga "${tests[@]}"
install_to "$SLICE_QEMU/bin" "$SLICE_QEMU/share"
"$SLICE_QEMU/bin/qemu-system-x86_64" --version
