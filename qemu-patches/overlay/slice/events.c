/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * events.c - what the monitor is told of slices
 *
 * Apart, so that a unit test can be told instead.
 */
#include "qemu/osdep.h"
#include "qapi/qapi-events-slice.h"
#include "qemu/timer.h"
#include "slice/store.h"

void slice_event_step(SliceStore *store, SliceId id, uint64_t term,
                      SliceStep step, uint32_t why, uint64_t bytes,
                      uint64_t packets)
{
    g_autofree char *name = slice_id_str(id);
    const SliceEntry *entry = slice_table_find(store->table, id);

    qapi_event_send_slice_move(name, term, step, entry ? entry->peer : NULL,
                               slice_why_name(why),
                               bytes != 0, bytes, packets != 0, packets,
                               g_get_monotonic_time());
}

void slice_event_changed(SliceStore *store, const SliceEntry *entry,
                         bool ended)
{
    g_autoptr(SliceInfo) info = slice_info_new(store, entry);

    qapi_event_send_slice_changed(info, ended);
}

void slice_event_lease_low(SliceStore *store)
{
    qapi_event_send_slice_lease_low(slice_follow_terms_left(store));
}

void slice_event_guest(SliceStore *store)
{
    g_autofree char *incarnation = g_strdup_printf("%016" PRIx64,
                                                   store->incarnation);

    qapi_event_send_slice_guest(store->is_guest_ready, incarnation);
}
