# SPDX-License-Identifier: GPL-2.0-or-later
#
# 50-slice-agent.sh - starts the local agent where there is no service manager
if [ -x /usr/sbin/slice-agent ]; then
	/usr/sbin/slice-agent </dev/null >/dev/console 2>&1 &
fi
