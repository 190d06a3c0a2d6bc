#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# run-tests.sh - run one group of tests and count its test cases
#
# usage: run-tests.sh GROUP [PATTERN...]   (within the private root)
#
#   style unit fuzz vm   the meson suite of that name; `unit` is every suite
#                        that is none of the others. What is in suite `all`, too,
#                        runs with SLICE_ALL or when PATTERNs are given only
#   qtest, qtest-asan    tests of the overlay within QEMU's own build, on the
#                        plain QEMU or the one with sanitizers
#
# PATTERNs (shell globs) choose test programs by name; without one, all run.
set -euo pipefail

group=$1
shift
patterns=("$@")
result=$SLICE_CACHE/results/test/$group
here=$SLICE_TOP/tests/lab/root

# names BUILD - this group's tests in a build directory, one a line
names() {
	local filter suites='[.suite[] | sub("^[^:]*:"; "")]' name pattern
	case $group in
	qtest*) filter='.name | test("slice")' ;;
	unit) filter="$suites | any(. == (\"style\", \"fuzz\", \"vm\", \"bench\")) | not" ;;
	*) filter="$suites | any(. == \"$group\")" ;;
	esac
	[[ ${SLICE_ALL-}${patterns[*]-} ]] || filter="($filter) and ($suites | any(. == \"all\") | not)"
	meson introspect "$1" --tests | jq -r ".[] | select($filter) | .name" | sort -u |
		while IFS= read -r name; do
			((${#patterns[@]})) || echo "$name"
			for pattern in "${patterns[@]}"; do
				# shellcheck disable=SC2053
				if [[ $name == $pattern || ${name##*/} == $pattern ]]; then
					echo "$name"
					break
				fi
			done
		done
}

# run_vms - programs in labs of their own, two at a time: what one waits for
# leaves room for the other. They share the VMs that have just been booted
# (lab_vms_ready), for this run only.
run_vms() {
	export SLICE_LAB_SAVED=$SLICE_CACHE/lab/saved
	rm -rf "$SLICE_LAB_SAVED"
	mkdir -p "$SLICE_LAB_SAVED"
	run_in "$SLICE_BUILD" --num-processes 2 ${SLICE_ALL+--timeout-multiplier 20}
	rm -rf "$SLICE_LAB_SAVED"
}

# run_in BUILD OPTION... - run this group of a build directory, write the counts
run_in() {
	local build=$1 list log=$1/meson-logs/testlog.json line
	shift
	mapfile -t list < <(names "$build")
	if ((${#list[@]} == 0)); then
		echo "== $group: no programs"
		echo 0 0 0 >"$result"
		return
	fi
	echo "== $group: ${#list[@]} programs"
	rm -f "$log"
	meson test -C "$build" --no-rebuild "$@" "${list[@]}" || true
	[[ -s $log ]] || return 0
	jq -n -r -f "$here/tally.jq" "$log" | while IFS= read -r line; do
		case $line in
		'count '*) echo "${line#count }" >"$result" ;;
		'skip '*) echo "SKIPPED ${line#skip }" ;;
		'log '*) echo "${line#log }" ;;
		'fail '*) echo "FAILED  ${line#fail }" ;;
		esac
	done
}

case $group in
qtest) run_in "$SLICE_QEMU/build" ;;
qtest-asan)
	# As in QEMU's own CI, what is still allocated when QEMU is killed is no leak.
	export ASAN_OPTIONS=halt_on_error=1:abort_on_error=1:print_summary=1:detect_leaks=0
	export UBSAN_OPTIONS=halt_on_error=1:abort_on_error=1:print_summary=1:print_stacktrace=1:suppressions=$here/ubsan.supp
	run_in "$SLICE_QEMU/build-asan" --timeout-multiplier 4
	;;
fuzz) run_in "$SLICE_CACHE/build-fuzz" --timeout-multiplier 2 ${SLICE_ALL+--test-args=-max_total_time=120} ;;
vm) run_vms ;;
*) run_in "$SLICE_BUILD" ;;
esac
