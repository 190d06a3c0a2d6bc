#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# inside.sh - first process of the namespaces: builds the view, runs a command
#
# usage: inside.sh build|lab ROOT CWD COMMAND...   (by in_root of root.sh only)
#
#   /                 ROOT, read through an overlay whose upper layer is a tmpfs
#   /run /tmp         empty tmpfs, whole and private
#   /proc /sys        fresh, of these namespaces
#   /dev              the host's, with a private /dev/shm
#   $SLICE_TOP        the project tree, read-only, at the path it has outside
#   $SLICE_CACHE      the cache, writable, at the path it has outside
#   $SLICE_SHOW       one more directory, if set
#
# In `build` mode the network, resolv.conf and certificates are the host's.
# Process 1 ignores signals that it has not asked for, so this shell stays in
# front of the command, passes its status on, and reaps what daemons leave.
set -euo pipefail

mode=$1 root=$2 cwd=$3
shift 3
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# bind SOURCE - show a directory of the host at the same path inside
bind() {
	mkdir -p "$new$1"
	mount --bind "$1" "$new$1"
}

base=$SLICE_CACHE/mnt
mount -t tmpfs -o mode=755 slice-root "$base"
mkdir "$base"/{upper,work,new}
new=$base/new
mount -t overlay -o "lowerdir=$root,upperdir=$base/upper,workdir=$base/work" slice-root "$new"
mount -t proc proc "$new/proc"
mount -t sysfs sysfs "$new/sys"
mount --rbind /dev "$new/dev"
mount -t tmpfs -o mode=1777 tmpfs "$new/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$new/run"
mount -t tmpfs -o mode=1777 tmpfs "$new/tmp"
mkdir -p "$new/run/lock"
bind "$SLICE_TOP"
mount -o remount,bind,ro "$new$SLICE_TOP"
bind "$SLICE_CACHE"
[[ ! ${SLICE_SHOW-} ]] || bind "$SLICE_SHOW"

if [[ $mode == build ]]; then
	cp --remove-destination /etc/resolv.conf "$new/etc/resolv.conf" 2>/dev/null || true
	cp -L /etc/ssl/certs/ca-certificates.crt "$new/etc/ssl/certs/" 2>/dev/null || true
else
	rm -f "$new/etc/resolv.conf"
fi
echo "slice-$mode" >/proc/sys/kernel/hostname
echo "slice-$mode" >"$new/etc/hostname"
printf '127.0.0.1 localhost slice-%s\n' "$mode" >"$new/etc/hosts"

mkdir "$new/.old"
cd "$new"
pivot_root . .old
cd /
umount -l /.old
rmdir /.old
[[ $mode == build ]] || ip link set lo up
cd "$cwd" 2>/dev/null || cd "$SLICE_TOP"
umask 022

rc=0
"$@" || rc=$?
exit "$rc"
