#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# refresh.sh - edit our patches as commits of a git repository
#
# usage: refresh.sh start DIR    make DIR: upstream, then one commit a patch
#        refresh.sh export DIR   write DIR's commits back to patches/ and series
#
# UPSTREAM, an unpacked source tree, defaults to $SLICE_CACHE/qemu/upstream.
# Between the two, work with git as usual: add a commit, amend, rebase -i. A
# commit's message is its patch's paragraph of why, with a line `Forwarded:
# no` or an URL. Commits edit what exists upstream; new files go to overlay/,
# which is there in DIR too (not as commits, and never written back).
#
# Exports are stable: a patch that did not change is written as it was.
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
upstream=${UPSTREAM:-${SLICE_CACHE:-/var/cache/slice}/qemu/upstream}

fail() {
	printf 'refresh.sh: %s\n' "$*" >&2
	exit 1
}

# in_git DIR ARGUMENT... - git with an identity, as commits need one
in_git() {
	local dir=$1
	shift
	git -C "$dir" -c user.name="${GIT_AUTHOR_NAME:-slice}" -c user.email="${GIT_AUTHOR_EMAIL:-slice@localhost}" \
		-c core.autocrlf=false -c gc.auto=0 "$@"
}

# start DIR - a repository whose tag `upstream` lies below our commits
start() {
	local dir=$1 patch
	[[ ! -e $dir ]] || fail "$dir exists already"
	[[ -f $upstream/VERSION ]] || fail "there is no QEMU source in $upstream: ./run build qemu fetches it"
	cp -a "$upstream" "$dir"
	git -C "$dir" init --quiet
	in_git "$dir" add --all --force
	in_git "$dir" commit --quiet --message "QEMU $(<"$dir/VERSION")"
	in_git "$dir" tag upstream
	if [[ -s $here/patches/series ]]; then
		while read -r patch; do
			in_git "$dir" am --quiet --keep-non-patch "$here/patches/$patch" ||
				fail "$patch does not apply to QEMU $(<"$dir/VERSION"): resolve it in $dir, then git am --continue"
		done < <(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$here/patches/series")
	fi
	if [[ -d $here/overlay ]]; then
		(cd "$here/overlay" && find . -type f -printf '/%P\n') >>"$dir/.git/info/exclude"
		cp -r "$here/overlay/." "$dir/"
	fi
	echo "edit the commits after the tag upstream in $dir, then: $0 export $dir"
}

# export_patches DIR - every commit after the tag becomes a patch
export_patches() {
	local dir=$1 new=$here/patches.new added
	in_git "$dir" rev-parse --quiet --verify upstream >/dev/null || fail "$dir was not made by $0 start"
	added=$(in_git "$dir" diff --name-only --diff-filter=A upstream HEAD)
	[[ -z $added ]] || fail "new files belong in overlay/, not in a commit: $added"
	rm -rf "$new"
	mkdir "$new"
	in_git "$dir" format-patch --quiet --zero-commit --no-signature --no-numbered --no-stat \
		--no-renames --output-directory "$new" upstream..HEAD
	{
		echo '# SPDX-License-Identifier: GPL-2.0-or-later'
		(cd "$new" && ls -- *.patch 2>/dev/null) || true
	} >"$new/series"
	rm -rf "$here/patches"
	mv "$new" "$here/patches"
	cat "$here/patches/series"
}

(($# == 2)) || fail "usage: refresh.sh start|export DIR"
case $1 in
start) start "$2" ;;
export) export_patches "$2" ;;
*) fail "usage: refresh.sh start|export DIR" ;;
esac
