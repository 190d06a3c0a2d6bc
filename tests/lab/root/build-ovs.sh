#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# build-ovs.sh - Open vSwitch's library, static, from Debian's own source
#
# usage: build-ovs.sh PREFIX   (within the private root)
#
# Only the libraries are made, not the switch (that one is Debian's package).
#
#   PREFIX/lib/lib{openvswitch,ofproto,ovsdb}.a
#   PREFIX/lib/pkgconfig/lib{openvswitch,ofproto,ovsdb}.pc
#   PREFIX/include/openvswitch, openflow     the public headers
#   PREFIX/include/lib                       the others: ovsdb-idl.h, vswitch-idl.h ...
#   PREFIX/include/config.h                  what the library was configured with
set -euo pipefail

prefix=$1
build=$prefix.build
rm -rf "$prefix.tmp" "$build"
mkdir -p "$build" "$prefix.tmp"/{lib/pkgconfig,include/lib}
tar -xzf /usr/src/openvswitch/openvswitch.tar.gz -C "$build" --strip-components=1
cd "$build"
export PATH=/usr/lib/ccache:$PATH
# The directories are those of Debian's switch, whose sockets we talk to.
./configure --prefix=/usr --localstatedir=/var --sysconfdir=/etc --disable-libcapng \
	--disable-afxdp CFLAGS='-O2 -g1 -fPIC'
# The generated headers are a prerequisite of `all` only: name them.
make -j "$SLICE_JOBS" -f - generated-headers <<'END'
include Makefile
generated-headers: $(BUILT_SOURCES)
END
make -j "$SLICE_JOBS" lib/libopenvswitch.la ofproto/libofproto.la ovsdb/libovsdb.la

cp lib/.libs/libopenvswitch{,avx512}.a ofproto/.libs/libofproto.a ovsdb/.libs/libovsdb.a "$prefix.tmp/lib/"
cp -r include/openvswitch include/openflow "$prefix.tmp/include/"
cp lib/*.h "$prefix.tmp/include/lib/"
cp config.h "$prefix.tmp/include/"
version=$(sed -n 's/^#define PACKAGE_VERSION "\(.*\)"/\1/p' config.h)
libs=$(sed -n 's/^LIBS = //p' Makefile)
ssl=$(sed -n 's/^SSL_LIBS = //p' Makefile)
for name in libopenvswitch libofproto libovsdb; do
	requires=libopenvswitch also=
	[[ $name != libopenvswitch ]] || requires='' also=-lopenvswitchavx512
	cat >"$prefix.tmp/lib/pkgconfig/$name.pc" <<-END
		prefix=$prefix
		Name: $name
		Description: Open vSwitch library, static, with its private headers
		Version: $version
		Requires: $requires
		Libs: -L\${prefix}/lib -l${name#lib} $also $ssl $libs
		Cflags: -I\${prefix}/include -I\${prefix}/include/lib
	END
done
rm -rf "$prefix"
mv -T "$prefix.tmp" "$prefix"
rm -rf "$build"
echo "Open vSwitch's library $version is in $prefix"
