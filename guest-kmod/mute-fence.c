// SPDX-License-Identifier: GPL-2.0
/*
 * mute-fence.c - wait for packets that are inside the kernel already
 *
 * A packet that the NIC has received before its tuple became mute may wait for
 * its softirq, on a loaded machine for tens of milliseconds: ksoftirqd competes
 * with everybody else.  If the connection were exported meanwhile, the packet
 * would meet a tombstone, and the client would wait for its retransmission
 * timer.  So the export waits until each CPU's softirqs have had their turn:
 * a tasklet runs behind the reception that was pending when it was scheduled.
 * Two rounds, because an interrupt that was itself pending raises reception
 * only while the first one's tasklet is about to run, and because one CPU may
 * hand packets to another (RPS).
 *
 * Threaded NAPI is outside of this order; Debian does not use it by default.
 *
 * Locks: one fence at a time; each serves all tuples that were mute before.
 */
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/interrupt.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/smp.h>

#include "mute.h"

static DEFINE_MUTEX(slice_mute_fence_lock);
static DECLARE_COMPLETION(slice_mute_fence_passed);
static atomic_t slice_mute_fence_n_behind;

static void slice_mute_fence_pass(struct tasklet_struct *tasklet)
{
	if (atomic_dec_and_test(&slice_mute_fence_n_behind))
		complete(&slice_mute_fence_passed);
}

/* A module's per-CPU data can hold no address from the start: no relocation. */
static DEFINE_PER_CPU(struct tasklet_struct, slice_mute_fence_tasklet);
static bool slice_mute_fence_is_set_up;

static void slice_mute_fence_set_up(void)
{
	int cpu;

	if (slice_mute_fence_is_set_up)
		return;
	for_each_possible_cpu(cpu)
		tasklet_setup(per_cpu_ptr(&slice_mute_fence_tasklet, cpu),
			      slice_mute_fence_pass);
	slice_mute_fence_is_set_up = true;
}

static void slice_mute_fence_ask(void *unused)
{
	tasklet_schedule(this_cpu_ptr(&slice_mute_fence_tasklet));
}

static void slice_mute_fence_round(void)
{
	cpus_read_lock();
	atomic_set(&slice_mute_fence_n_behind, num_online_cpus());
	reinit_completion(&slice_mute_fence_passed);
	on_each_cpu(slice_mute_fence_ask, NULL, 1);
	wait_for_completion(&slice_mute_fence_passed);
	cpus_read_unlock();
}

void slice_mute_fence(void)
{
	mutex_lock(&slice_mute_fence_lock);
	slice_mute_fence_set_up();
	slice_mute_fence_round();
	slice_mute_fence_round();
	mutex_unlock(&slice_mute_fence_lock);
	/* Reception runs under RCU from the hooks to the socket. */
	synchronize_rcu_expedited();
}
