# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tests.sh - the order of `run test`, and its last line
#
# Each group runs in the private root (run-tests.sh); the VM tests alone get a
# lab. A group writes "passed failed skipped" to $CACHE/results/test/GROUP; one
# that ends without doing so counts as one failure.

TEST_PASSED=0 TEST_FAILED=0 TEST_SKIPPED=0

# run_group build|lab GROUP [PATTERN...] - run one group and add up its counts
run_group() {
	local mode=$1 group=$2 file=$CACHE/results/test/$2 passed failed skipped
	shift 2
	mkdir -p "${file%/*}"
	rm -f "$file"
	foreground in_root "$mode" "$TOP/tests/lab/root/run-tests.sh" "$group" "$@" || true
	if [[ ! -s $file ]]; then
		printf 'FAILED  the group "%s" ended without a result\n' "$group"
		echo 0 1 0 >"$file"
	fi
	read -r passed failed skipped <"$file"
	TEST_PASSED=$((TEST_PASSED + passed))
	TEST_FAILED=$((TEST_FAILED + failed))
	TEST_SKIPPED=$((TEST_SKIPPED + skipped))
}

# last_line - the verdict; a run without a single test that passed is no success
last_line() {
	((TEST_PASSED + TEST_FAILED + TEST_SKIPPED)) || echo "run: no test matched, which counts as a failure" >&2
	if ((TEST_SKIPPED)); then
		printf '%d passed, %d failed, %d skipped\n' "$TEST_PASSED" "$TEST_FAILED" "$TEST_SKIPPED"
	else
		printf '%d passed, %d failed\n' "$TEST_PASSED" "$TEST_FAILED"
	fi
	((TEST_FAILED == 0 && TEST_PASSED > 0))
}
