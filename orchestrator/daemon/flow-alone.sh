#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# flow-alone.sh - flow.c and what it needs of Open vSwitch as one object
#
# usage: flow-alone.sh OUTPUT LIBSLICE-FLOW LIBOPENVSWITCH...
#
# Open vSwitch's library has a JSON of its own with names of JSON-GLib's (json_to_string,
# json_from_string ...): linked into one program the first would win and the other's callers get
# nonsense. Here all of its names become local; only slice_flow_* is seen outside.
set -eu

output=$1
flow=$2
shift 2
ld -r -o "$output.tmp" --whole-archive "$flow" --no-whole-archive --start-group "$@" --end-group
objcopy --wildcard --keep-global-symbol='slice_flow_*' "$output.tmp" "$output"
rm -f "$output.tmp"
