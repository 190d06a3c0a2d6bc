# SPDX-License-Identifier: GPL-2.0-or-later
#
# 50-slice-agent.sh - starts the local agent where there is no service manager,
# and lets the web server's user open /dev/slice where there is no udev
#
# Who may open it may be a layer and link sessions: see slice(4).
if [ -c /dev/slice ]; then
	grep -q '^slice:' /etc/group || groupadd --system slice
	usermod --append --groups slice www-data
	chgrp slice /dev/slice
fi
if [ -x /usr/sbin/slice-agent ]; then
	/usr/sbin/slice-agent </dev/null >/dev/console 2>&1 &
fi
