#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# shell.sh - the inside of `run shell`: bring the demo cluster up, then a shell
#
# usage: shell.sh [COMMAND...]   (within the lab; joined and split as ssh does)
#
# tests/lab builds a program `slice-lab`; `slice-lab up` starts hosts, switch
# and VMs and returns when they serve. They end with this shell.
set -euo pipefail

lab=$SLICE_BUILD/tests/lab/slice-lab
export PATH=$SLICE_BUILD/orchestrator:$SLICE_BUILD/tests/lab:$SLICE_QEMU/bin:$PATH
if [[ -x $lab ]]; then
	"$lab" up
else
	echo "This tree has no slice-lab yet: an empty lab, no VMs." >&2
fi
if (($#)); then
	exec bash -c "$*"
fi
export PS1='slice-lab:\w# '
exec bash --norc -i
