/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ovs.h - a real Open vSwitch with a dummy datapath, for one test program
 *
 * Bridge br0, fail_mode secure, ports vm1, vm2 and cl3 with these OpenFlow numbers. No
 * privileges, no network: packets are asked about with ofproto/trace.
 */
#ifndef TEST_OVS_H
#define TEST_OVS_H

#include <glib.h>

typedef struct Ovs Ovs;

/* Return: NULL where Open vSwitch is not installed: the test is to be skipped. */
Ovs *ovs_start(void);
void ovs_stop(Ovs *ovs);

/* Return: 'unix:...': the bridge's OpenFlow socket. */
const char *ovs_openflow(Ovs *ovs);

/* The switch dies as a killed process / starts again, with empty tables. */
void ovs_kill(Ovs *ovs);
void ovs_restart(Ovs *ovs);

void ovs_add_port(Ovs *ovs, const char *name, guint number);

/**
 * ovs_trace() - what becomes of a packet
 * @format: 'in_port=3,tcp,...'
 *
 * Return: (transfer full): the datapath's actions, 'drop', '1', '1,2' ...
 */
char *ovs_trace(Ovs *ovs, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* The same, and what the packet makes the switch do, learning for example, is done. */
char *ovs_send(Ovs *ovs, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Return: (transfer full): what the datapath's entry for such a packet matches on. */
char *ovs_megaflow(Ovs *ovs, const char *packet);
/* How many flows match @which: 'table=1,cookie=0x1/0xff'. */
guint ovs_count_flows(Ovs *ovs, const char *which);

#endif
