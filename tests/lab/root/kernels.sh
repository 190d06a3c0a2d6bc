#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kernels.sh - mmdebstrap's hook: headers and images of the two guest kernels
#
# usage: kernels.sh ROOT   (by mmdebstrap, with MMDEBSTRAP_APT_CONFIG set)
#
# For 6.1 (Debian 12's own) and the newest 6.12 cloud kernel of the mirror
# (backports or security): unpacks the headers into ROOT, and puts the image's
# package into ROOT/usr/share/slice/kernels, where the guest image takes it
# from. So headers and image match for as long as the root lives, also when
# the mirror has moved on. ROOT/usr/share/slice/kernels/versions has one
# kernel release a line, 6.1 first.
#
# Packages are downloaded and unpacked, never installed: this hook runs
# outside of ROOT with ROOT's apt configuration, and an apt-get install here
# would call the host's dpkg. (6.12's headers would also want a whole kernel
# with udev and an initramfs, for nothing.)
set -euo pipefail

root=$1
export APT_CONFIG=$MMDEBSTRAP_APT_CONFIG
dir=$root/usr/share/slice/kernels
mkdir -p "$dir/headers"
: >"$dir/versions"

# fetch PACKAGE... - download into the current directory
fetch() { apt-get download -o APT::Sandbox::User=root "$@"; }

# newest SERIES - the newest release whose headers and signed image both exist
newest() {
	local release
	apt-cache pkgnames "linux-headers-$1" |
		sed -n "s/^linux-headers-\($1\.[0-9].*-cloud-amd64\)\$/\1/p" | sort -rV |
		while read -r release; do
			if apt-cache show "linux-image-$release" >/dev/null 2>&1; then
				echo "$release"
				break
			fi
		done
}

for series in 6.1 6.12; do
	release=$(newest "$series")
	if [[ ! $release ]]; then
		echo "kernels.sh: the mirror has no cloud kernel of series $series with headers and image" >&2
		exit 1
	fi
	echo "kernels.sh: series $series is $release"
	echo "$release" >>"$dir/versions"
	mapfile -t parts < <(apt-cache depends "linux-headers-$release" |
		sed -n 's/^ *Depends: \(linux-\(headers\|kbuild\)-[^<>]*\)$/\1/p')
	(cd "$dir" && fetch "linux-image-$release")
	(cd "$dir/headers" && fetch "linux-headers-$release" "${parts[@]}")
done
for package in "$dir"/headers/*.deb; do
	dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root" --keep-directory-symlink --exclude=./usr/share/doc
done
rm -r "$dir/headers"
