# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lib.sh - messages, locks and refusals that every part of `run` shares
#
# Sourced, never run. Whoever sources it has set:
#   TOP    the project tree, absolute
#   CACHE  SLICE_CACHE, absolute; it need not exist yet

declare -A LOCKS=()    # file descriptors of the locks held, by name
CHILD=                 # the long step under way, killed when `run` is told to stop

# say TEXT... - one line of progress, with the seconds since `run` began
say() { printf '[%4ds] %s\n' "$SECONDS" "$*" >&2; }

# die TEXT... - what was attempted, on what, and why it failed; ends `run`
die() {
	printf 'run: %s\n' "$*" >&2
	exit 1
}

# stop SIGNAL STATUS - end at once, and everything that was started with it
stop() {
	trap - INT TERM HUP
	if [[ $CHILD ]]; then
		kill -KILL "$CHILD" 2>/dev/null || true
		wait "$CHILD" 2>/dev/null || true
	fi
	printf 'run: stopped by %s\n' "$1" >&2
	exit "$2"
}
trap 'stop SIGINT 130' INT
trap 'stop SIGTERM 143' TERM
trap 'stop SIGHUP 129' HUP

# foreground COMMAND... - run a command that ends with `run`, and return its
# status. bash acts on a signal only between commands but at once in `wait`,
# hence the ampersand; standard input stays what it was.
foreground() {
	local rc=0
	"$@" <&0 &
	CHILD=$!
	wait "$CHILD" || rc=$?
	CHILD=
	return "$rc"
}

# with_log LOG WHAT COMMAND... - run a long step quietly
#
# Output goes to LOG. While the step runs, its last line of output is shown
# every 15 seconds; when it fails, the end of the log is, and `run` ends.
with_log() {
	local log=$1 what=$2 rc=0
	shift 2
	mkdir -p "${log%/*}"
	say "$what ..."
	"$@" >"$log" 2>&1 </dev/null &
	CHILD=$!
	while true; do
		timeout 15 tail --pid="$CHILD" -s 0.2 -f /dev/null &
		wait $! && break
		say "$what ... $(tail -n 1 "$log" | tr '\r\t' '  ' | cut -c 1-70)"
	done
	wait "$CHILD" || rc=$?
	CHILD=
	if ((rc)); then
		tail -n 40 "$log" >&2
		die "$what failed with status $rc; the whole log is $log"
	fi
	say "$what: done"
}

# contained COMMAND... - replace this process by a command whose whole family
# ends with it: a PID namespace of its own, killed when its parent dies, with
# mounts of its own. For a subshell or a background job, as it never returns.
contained() {
	exec setpriv --pdeathsig KILL \
		unshare --mount --pid --ipc --uts --fork --kill-child \
		--propagation private --mount-proc "$@"
}

# lock NAME VERB - hold $CACHE/NAME.lock until `run` and all its children end
#
# The file says who holds it: pid, verb, since when. A second `run` tells that
# to its user and waits, or gives up when SLICE_NO_WAIT is set.
lock() {
	local file=$CACHE/$1.lock holder fd
	exec {fd}<>"$file"
	LOCKS[$1]=$fd
	if ! flock --nonblock "$fd"; then
		holder=$(<"$file")
		holder=${holder:-someone who has not said yet}
		[[ -z ${SLICE_NO_WAIT-} ]] ||
			die "the $1 in $CACHE is held by $holder"
		say "the $1 in $CACHE is held by $holder; waiting for its end"
		foreground flock "$fd"
	fi
	printf 'pid %d (run %s) since %s\n' "$$" "$2" "$(date '+%F %T %Z')" >"$file"
}

# unlock NAME - let the next one have it
unlock() {
	local fd=${LOCKS[$1]}
	exec {fd}>&-
	unset "LOCKS[$1]"
}

# need_root, need_machine: refusals that need neither network nor disk.

need_root() {
	local caps
	((EUID == 0)) || die "not run as root: namespaces, mounts and taps need it; try sudo $0"
	caps=$(awk '/^CapEff:/ { print $2 }' /proc/self/status)
	(((0x$caps >> 21) & 1)) ||
		die "this root has no CAP_SYS_ADMIN (CapEff is $caps): mounts and namespaces would be refused; in a container, use --privileged"
	unshare --mount --pid --net --fork true 2>/dev/null ||
		die "the kernel refused new mount, PID and network namespaces although CAP_SYS_ADMIN is there (a seccomp or AppArmor profile?)"
}

need_machine() {
	[[ $(uname -m) == x86_64 ]] ||
		die "this machine is $(uname -m); so far slice builds and runs on x86_64 only"
	[[ -c /dev/net/tun ]] ||
		die "/dev/net/tun is not there: the guests' network cards need it (modprobe tun; in a container, --device /dev/net/tun)"
	(: <>/dev/net/tun) 2>/dev/null ||
		die "/dev/net/tun cannot be opened by root: this container's device rules forbid it"
	grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null ||
		die "this kernel has no overlayfs, on which the private root is entered"
}

# need_space MIB WHY - refuse a cache file system with less than MIB free
need_space() {
	local free dir=$CACHE
	while [[ ! -d $dir ]]; do dir=$(dirname "$dir"); done
	free=$(df --output=avail -BM "$dir" | tail -n 1 | tr -dc 0-9)
	((free >= $1)) ||
		die "$CACHE has $free MiB free, but $2 needs $1 MiB; make room or point SLICE_CACHE elsewhere"
}

# need_memory MIB WHY - refuse a machine with less than MIB available
need_memory() {
	local free
	free=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
	((free >= $1)) || die "this machine has $free MiB of memory available, but $2 needs $1 MiB"
}

# hash_of FILE... - one digest over names and contents
hash_of() { sha256sum -- "$@" | sha256sum | cut -c 1-16; }
