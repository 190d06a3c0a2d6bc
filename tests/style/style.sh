#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# style.sh - the rules of CONTRIBUTING that a machine can check; speaks TAP
#
# usage: style.sh TREE
#
# Each rule is one test case; what breaks it is listed below it, file and line.
set -uo pipefail
export LC_ALL=C

cd "$1" || exit 1
n=0

# The tree as git sees it, new files too; without git, everything.
mapfile -t all < <(git -c safe.directory='*' ls-files --cached --others --exclude-standard 2>/dev/null ||
	find . -type f -not -path './.git/*' -printf '%P\n')
files=()
for file in "${all[@]}"; do
	[[ -f $file && ! -L $file ]] && files+=("$file")
done

# pick REGEX [EXCEPT] - the files whose path matches REGEX and not EXCEPT
pick() { printf '%s\n' "${files[@]}" | grep -E -- "$1" | grep -vE -- "${2:-^$}" || true; }

# claim NAME RULE... - one test case: it holds when RULE prints nothing
claim() {
	local name=$1 found
	shift
	found=$("$@" | head -n 20)
	n=$((n + 1))
	if [[ $found ]]; then
		printf 'not ok %d %s\n' "$n" "$name"
		printf '%s\n' "$found" | sed 's/^/#   /'
	else
		printf 'ok %d %s\n' "$n" "$name"
	fi
}

# absent EXPRESSION PICK... - places that match, in the files that are picked
absent() { pick "${@:2}" | xargs -r -d '\n' grep -nHIP -- "$1" || true; }

# without_spdx PICK... - files that do not say their licence at once
without_spdx() {
	local file
	pick "$@" | while IFS= read -r file; do
		head -n 3 "$file" | grep -q 'SPDX-License-Identifier: ' || echo "$file"
	done
}

# bad_patches - what a patch of ours may not be
bad_patches() {
	local file
	pick '^qemu-patches/patches/.*\.patch$' | while IFS= read -r file; do
		grep -q '^Forwarded: ' "$file" || echo "$file: has no line Forwarded:"
		grep -qxF "${file##*/}" qemu-patches/patches/series || echo "$file: is not in patches/series"
		grep -q '^--- /dev/null' "$file" && echo "$file: adds a file; new files belong in overlay/"
	done
}

# unclean_shell - what shellcheck says
unclean_shell() {
	local shells
	mapfile -t shells < <(printf '%s\n' "${files[@]}" |
		xargs -d '\n' grep -lIE -m 1 '^#!/bin/(ba)?sh|^# shellcheck shell=' 2>/dev/null)
	shellcheck --format=gcc --severity=warning --external-sources "${shells[@]}"
}

source='\.([chS]|sh|jq|php|xml|build|options|promela|pml)$|(^|/)(run|Kbuild|Makefile|make-image)$'
code='\.[ch]$'
registry='(deb|security|ftp|archive|snapshot)\.(debian|ubuntu)\.(org|com)'

claim /style/spdx-line-in-the-first-three without_spdx "$source"
claim /style/no-space-at-the-end-of-a-line absent '[ \t]+$' . '\.(patch|md|bin|png|svg)$|^COPYING$'
claim /style/user-space-is-indented-with-spaces absent '^ *\t' "$code" '^guest-kmod/'
claim /style/kernel-code-is-indented-with-tabs absent '^ {8}' "^guest-kmod/.*$code"
claim /style/no-notes-to-self absent '\b(TODO|FIXME|XXX)\b' "$source" '^tests/style/'
claim /style/no-registry-is-named absent "$registry" "$source|\.md$" '^tests/style/'
claim /style/patches-are-edits-with-a-reason bad_patches
if command -v shellcheck >/dev/null; then
	claim /style/shellcheck unclean_shell
else
	n=$((n + 1))
	printf 'ok %d /style/shellcheck # SKIP shellcheck is not installed\n' "$n"
fi
echo "1..$n"
