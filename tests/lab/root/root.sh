# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# root.sh - the private Debian 12 root: making it, entering it
#
# A root is named after the digest of its package list and of the way it is
# made; $CACHE/root/current points to the one of this tree. It is made under a
# name ending in .tmp and renamed when whole, so a half-made one is never
# used. Nobody writes into a root afterwards: it is entered through an overlay
# on a tmpfs, which dies with the namespace.
#
# Two ways in, see inside.sh: `build` has the host's network, `lab` has a
# network namespace of its own with nothing but lo.

ROOT_PACKAGES=$TOP/tests/lab/root/packages
ROOT_RECIPE=1   # to be raised when make_root changes what it makes

root_key() { { echo "$ROOT_RECIPE"; grep -v '^#' "$ROOT_PACKAGES"; } | sha256sum | cut -c 1-16; }

# need_host_tools - install on the host the little that is missing there
need_host_tools() {
	local tool missing=()
	for tool in mmdebstrap flock setpriv unshare tail timeout; do
		command -v "$tool" >/dev/null || missing+=("$tool")
	done
	[[ -f $KEYRING ]] || missing+=(debian-archive-keyring)
	((${#missing[@]})) || return 0
	command -v apt-get >/dev/null ||
		die "missing on this host: ${missing[*]}; without apt-get, please install them by hand"
	missing=("${missing[@]/#flock/util-linux}")
	missing=("${missing[@]/#setpriv/util-linux}")
	missing=("${missing[@]/#unshare/util-linux}")
	missing=("${missing[@]/#tail/coreutils}")
	missing=("${missing[@]/#timeout/coreutils}")
	say "installing on the host: ${missing[*]}"
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" \
		>"$CACHE/log/host-tools.log" 2>&1 ||
		{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } \
			>>"$CACHE/log/host-tools.log" 2>&1 ||
		die "installing ${missing[*]} on the host failed, see $CACHE/log/host-tools.log"
}

# make_root - make the root of this package list unless it is there
make_root() {
	local key dir
	key=$(root_key)
	dir=$CACHE/root/$key
	if [[ ! -d $dir ]]; then
		find_mirror
		mkdir -p "$CACHE/root"
		remove_tree "$dir.tmp"
		bookworm_sources >"$CACHE/root/sources.list"
		with_log "$CACHE/log/root.log" "making the private Debian root" debootstrap_root "$dir.tmp"
		mv -T "$dir.tmp" "$dir"
	fi
	ln -sfnT "$key" "$CACHE/root/current"
	prune_roots "$key"
}

# debootstrap_root DIR - the long step; the two kernels are found at this time
debootstrap_root() {
	local option options=()
	while IFS= read -r option; do
		options+=("--aptopt=$option")
	done < <(host_acquire)
	contained mmdebstrap --mode=root --variant=minbase --skip=check/empty \
		"${options[@]}" --aptopt='Acquire::Languages "none"' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-include=/usr/share/doc/*/copyright' \
		--include="$(grep -v '^#' "$ROOT_PACKAGES" | tr -s '\n ' ',,' | sed 's/^,//; s/,$//')" \
		--customize-hook="$TOP/tests/lab/root/kernels.sh" \
		bookworm "$1" "$CACHE/root/sources.list"
}

# remove_tree DIR - remove DIR, but never what something is mounted on below it
remove_tree() {
	[[ -e $1 ]] || return 0
	rm -rf --one-file-system -- "$1"
}

# prune_roots KEEP - remove roots that nobody uses, and left-over halves.
# Whoever is inside one holds a shared lock on its name.
prune_roots() {
	local dir name
	for dir in "$CACHE"/root/*/; do
		dir=${dir%/}
		name=${dir##*/}
		[[ -d $dir && ! -L $dir && $name != "$1" ]] || continue
		(
			exec 8>"$CACHE/root/.$name.lock"
			flock --nonblock 8 || exit 0
			say "removing the outdated root $name"
			remove_tree "$dir"
			rm -f "$CACHE/root/.$name.lock"
		)
	done
}

# in_root build|lab COMMAND... - replace this process by COMMAND in the root.
# The current directory stays when it is within the tree or the cache.
in_root() {
	local mode=$1 key net=()
	shift
	key=$(readlink "$CACHE/root/current") ||
		die "there is no private root in $CACHE yet: ./run build makes it"
	[[ $mode == build ]] || net=(--net)
	mkdir -p "$CACHE/mnt"
	exec 8>"$CACHE/root/.$key.lock"
	flock --shared 8
	exec setpriv --pdeathsig KILL \
		unshare --mount --pid "${net[@]}" --uts --ipc --fork --kill-child --propagation private \
		env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		HOME=/root TERM="${TERM:-dumb}" LANG=C.UTF-8 \
		${http_proxy+http_proxy="$http_proxy"} ${https_proxy+https_proxy="$https_proxy"} \
		SLICE_TOP="$TOP" SLICE_CACHE="$CACHE" SLICE_JOBS="$JOBS" \
		${SLICE_SHOW+SLICE_SHOW="$SLICE_SHOW"} ${SLICE_ALL+SLICE_ALL="$SLICE_ALL"} \
		SLICE_BUILD="$CACHE/build" SLICE_QEMU="$CACHE/qemu" SLICE_OVS="$CACHE/ovs" SLICE_KMOD="$CACHE/kmod" \
		SLICE_IMAGE="$CACHE/image" SLICE_RESULTS="$CACHE/results" SLICE_SOURCES="$CACHE/root/sources.list" \
		CCACHE_DIR="$CACHE/ccache" CCACHE_COMPILERCHECK=content CCACHE_MAXSIZE=3G \
		bash "$TOP/tests/lab/root/inside.sh" "$mode" "$CACHE/root/$key" "$PWD" "$@"
}
