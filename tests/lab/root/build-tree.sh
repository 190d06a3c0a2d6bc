#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# build-tree.sh - build this project's programs within the private root
#
# usage: build-tree.sh plain|fuzz
#
#   plain   all of it with gcc into $SLICE_BUILD, a warning is an error
#   fuzz    the fuzzers with clang and sanitizers into $SLICE_CACHE/build-fuzz
set -euo pipefail

options=(--prefix=/usr -Dovs_prefix="$SLICE_OVS" -Dqemu_prefix="$SLICE_QEMU")
build=$SLICE_BUILD
programs=()    # none named: all
export CC='ccache gcc'
if [[ $1 == fuzz ]]; then
	build=$SLICE_CACHE/build-fuzz
	options+=(-Dfuzz=true -Db_lundef=false '-Db_sanitize=address,undefined')
	CC='ccache clang'
else
	options+=(-Dwerror=true)
fi

# A build directory of another tree, root or set of options is made anew.
made="$SLICE_TOP ${options[*]} in $(readlink "$SLICE_CACHE/root/current")"
if [[ ! -f $build/build.ninja || ! -f $build/.made || $(<"$build/.made") != "$made" ]]; then
	rm -rf "$build"
	meson setup "$build" "$SLICE_TOP" "${options[@]}"
	echo "$made" >"$build/.made"
fi
if [[ $1 == fuzz ]]; then
	mapfile -t programs < <(meson introspect "$build" --tests --targets | jq -r --arg build "$build/" '
		[.tests[] | select(any(.suite[]; test("(^|:)fuzz$"))) | .depends[]] as $wanted
		| .targets[] | select(.id | IN($wanted[])) | .filename[] | ltrimstr($build)')
	((${#programs[@]})) || exit 0
fi
# One broken program does not keep the others from being built.
ninja -C "$build" -j "$SLICE_JOBS" -k 0 "${programs[@]}"
