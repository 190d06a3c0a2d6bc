# SPDX-License-Identifier: GPL-2.0-or-later
#
# 60-qemu-ga.sh - starts QEMU's guest agent on the port that libvirt gives it
#
# There is no udev that would make /dev/virtio-ports: the port is found by its
# name. It keeps its state in /run, as nothing of a guest outlives it.
for port in /sys/class/virtio-ports/*; do
	if [ -x /usr/sbin/qemu-ga ] && [ "$(cat "$port/name" 2>/dev/null)" = org.qemu.guest_agent.0 ]; then
		/usr/sbin/qemu-ga --method=virtio-serial --path="/dev/${port##*/}" \
			--statedir=/run --pidfile=/run/qemu-ga.pid </dev/null >/dev/console 2>&1 &
	fi
done
