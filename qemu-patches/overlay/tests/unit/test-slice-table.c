/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test-slice-table.c - the ownership protocol's state table, line by line
 *
 * Each row of rows[] is one test: a slice in some state gets a message, and
 * the answer, the state and the term afterwards are those of the table.
 */
#include "qemu/osdep.h"
#include "slice/table.h"

#define NOWHERE SLICE_STATE__MAX

typedef struct Row {
    const char *claim;
    SliceState state;           /* NOWHERE: no entry */
    uint64_t term;
    SliceMessage msg;
    uint64_t msg_term;
    SliceVerdict verdict;
    SliceState state_after;
    uint64_t term_after;
} Row;

static const SliceId ID = { 0x1111, 7 };

static const Row rows[] = {
    /* source: QUIESCE is compare-and-set */
    { "quiesce-of-a-later-term-begins", SLICE_STATE_OWNER, 4,
      SLICE_MSG_QUIESCE, 5, SLICE_DO_QUIESCE, SLICE_STATE_MOVING, 5 },
    { "quiesce-of-the-same-term-is-busy", SLICE_STATE_OWNER, 5,
      SLICE_MSG_QUIESCE, 5, SLICE_SAY_BUSY, SLICE_STATE_OWNER, 5 },
    { "quiesce-of-an-older-term-is-busy", SLICE_STATE_OWNER, 5,
      SLICE_MSG_QUIESCE, 4, SLICE_SAY_BUSY, SLICE_STATE_OWNER, 5 },
    { "quiesce-while-moving-is-busy", SLICE_STATE_MOVING, 5,
      SLICE_MSG_QUIESCE, 6, SLICE_SAY_BUSY, SLICE_STATE_MOVING, 5 },
    { "quiesce-after-the-unplug-is-busy", SLICE_STATE_SENT, 5,
      SLICE_MSG_QUIESCE, 6, SLICE_SAY_BUSY, SLICE_STATE_SENT, 5 },
    { "quiesce-of-one-that-went-is-not-mine", SLICE_STATE_GONE, 5,
      SLICE_MSG_QUIESCE, 6, SLICE_SAY_NOT_MINE, SLICE_STATE_GONE, 5 },
    { "quiesce-of-a-dead-one-is-not-mine", SLICE_STATE_DEAD, 5,
      SLICE_MSG_QUIESCE, 6, SLICE_SAY_NOT_MINE, SLICE_STATE_DEAD, 5 },
    { "quiesce-of-an-arriving-one-is-busy", SLICE_STATE_RESERVED, 5,
      SLICE_MSG_QUIESCE, 6, SLICE_SAY_BUSY, SLICE_STATE_RESERVED, 5 },
    { "quiesce-of-none-is-not-found", NOWHERE, 0,
      SLICE_MSG_QUIESCE, 6, SLICE_SAY_NOT_FOUND, NOWHERE, 0 },
    /* source: UNPLUG */
    { "unplug-sends", SLICE_STATE_MOVING, 5,
      SLICE_MSG_UNPLUG, 5, SLICE_DO_UNPLUG, SLICE_STATE_SENT, 5 },
    { "unplug-of-another-term-is-stale", SLICE_STATE_MOVING, 5,
      SLICE_MSG_UNPLUG, 6, SLICE_SAY_STALE, SLICE_STATE_MOVING, 5 },
    { "unplug-twice-is-stale", SLICE_STATE_SENT, 5,
      SLICE_MSG_UNPLUG, 5, SLICE_SAY_STALE, SLICE_STATE_SENT, 5 },
    { "unplug-of-an-owner-is-stale", SLICE_STATE_OWNER, 5,
      SLICE_MSG_UNPLUG, 5, SLICE_SAY_STALE, SLICE_STATE_OWNER, 5 },
    { "unplug-of-one-that-went-is-not-mine", SLICE_STATE_GONE, 5,
      SLICE_MSG_UNPLUG, 5, SLICE_SAY_NOT_MINE, SLICE_STATE_GONE, 5 },
    /* source: ABORT and REFUSED */
    { "abort-while-moving-resumes", SLICE_STATE_MOVING, 5,
      SLICE_MSG_ABORT, 5, SLICE_DO_RESUME, SLICE_STATE_OWNER, 5 },
    { "abort-while-sent-resumes", SLICE_STATE_SENT, 5,
      SLICE_MSG_ABORT, 5, SLICE_DO_RESUME, SLICE_STATE_OWNER, 5 },
    { "abort-of-another-term-changes-nothing", SLICE_STATE_SENT, 5,
      SLICE_MSG_ABORT, 4, SLICE_SAY_STALE, SLICE_STATE_SENT, 5 },
    { "refused-while-moving-resumes", SLICE_STATE_MOVING, 5,
      SLICE_MSG_REFUSED, 5, SLICE_DO_RESUME, SLICE_STATE_OWNER, 5 },
    { "refused-while-sent-resumes", SLICE_STATE_SENT, 5,
      SLICE_MSG_REFUSED, 5, SLICE_DO_RESUME, SLICE_STATE_OWNER, 5 },
    { "refused-of-another-term-changes-nothing", SLICE_STATE_SENT, 5,
      SLICE_MSG_REFUSED, 4, SLICE_DO_NOTHING, SLICE_STATE_SENT, 5 },
    { "refused-after-forgot-changes-nothing", SLICE_STATE_GONE, 5,
      SLICE_MSG_REFUSED, 5, SLICE_DO_NOTHING, SLICE_STATE_GONE, 5 },
    { "abort-of-the-owners-term-is-resumed", SLICE_STATE_OWNER, 5,
      SLICE_MSG_ABORT, 5, SLICE_DO_RESUMED, SLICE_STATE_OWNER, 5 },
    { "abort-of-a-later-term-burns-it", SLICE_STATE_OWNER, 5,
      SLICE_MSG_ABORT, 8, SLICE_SAY_NOT_MINE, SLICE_STATE_OWNER, 8 },
    { "abort-of-an-older-term-is-not-mine", SLICE_STATE_OWNER, 5,
      SLICE_MSG_ABORT, 4, SLICE_SAY_NOT_MINE, SLICE_STATE_OWNER, 5 },
    { "abort-after-forgot-is-forgotten", SLICE_STATE_GONE, 5,
      SLICE_MSG_ABORT, 5, SLICE_SAY_FORGOTTEN, SLICE_STATE_GONE, 5 },
    { "abort-of-another-move-than-that-which-went-is-not-mine",
      SLICE_STATE_GONE, 5,
      SLICE_MSG_ABORT, 6, SLICE_SAY_NOT_MINE, SLICE_STATE_GONE, 5 },
    { "abort-of-none-is-not-found", NOWHERE, 0,
      SLICE_MSG_ABORT, 6, SLICE_SAY_NOT_FOUND, NOWHERE, 0 },
    /* source: PLUGGED */
    { "plugged-is-the-point-of-no-return", SLICE_STATE_SENT, 5,
      SLICE_MSG_PLUGGED, 5, SLICE_DO_FORGET, SLICE_STATE_GONE, 5 },
    { "plugged-again-is-forgot-again", SLICE_STATE_GONE, 5,
      SLICE_MSG_PLUGGED, 5, SLICE_DO_FORGET_AGAIN, SLICE_STATE_GONE, 5 },
    { "plugged-after-resume-is-cancelled", SLICE_STATE_OWNER, 5,
      SLICE_MSG_PLUGGED, 5, SLICE_DO_CANCEL_PEER, SLICE_STATE_OWNER, 5 },
    { "plugged-before-unplug-is-cancelled", SLICE_STATE_MOVING, 5,
      SLICE_MSG_PLUGGED, 5, SLICE_DO_CANCEL_PEER, SLICE_STATE_MOVING, 5 },
    { "plugged-of-an-older-term-is-cancelled", SLICE_STATE_GONE, 5,
      SLICE_MSG_PLUGGED, 4, SLICE_DO_CANCEL_PEER, SLICE_STATE_GONE, 5 },
    { "plugged-of-none-is-cancelled", NOWHERE, 0,
      SLICE_MSG_PLUGGED, 4, SLICE_DO_CANCEL_PEER, NOWHERE, 0 },
    /* source: by itself */
    { "giving-up-resumes", SLICE_STATE_MOVING, 5,
      SLICE_MSG_GIVE_UP, 5, SLICE_DO_RESUME, SLICE_STATE_OWNER, 5 },
    /* target: PREPARE */
    { "prepare-reserves", NOWHERE, 0,
      SLICE_MSG_PREPARE, 5, SLICE_DO_HOLD, SLICE_STATE_RESERVED, 5 },
    { "prepare-of-one-that-went-reserves", SLICE_STATE_GONE, 4,
      SLICE_MSG_PREPARE, 5, SLICE_DO_HOLD, SLICE_STATE_RESERVED, 5 },
    { "prepare-of-the-term-it-went-by-is-busy", SLICE_STATE_GONE, 5,
      SLICE_MSG_PREPARE, 5, SLICE_SAY_BUSY, SLICE_STATE_GONE, 5 },
    { "prepare-of-an-own-slice-is-busy", SLICE_STATE_OWNER, 4,
      SLICE_MSG_PREPARE, 5, SLICE_SAY_BUSY, SLICE_STATE_OWNER, 4 },
    { "prepare-of-what-arrived-is-owner", SLICE_STATE_OWNER, 5,
      SLICE_MSG_PREPARE, 5, SLICE_SAY_IS_OWNER, SLICE_STATE_OWNER, 5 },
    { "prepare-twice-is-busy", SLICE_STATE_RESERVED, 5,
      SLICE_MSG_PREPARE, 5, SLICE_SAY_BUSY, SLICE_STATE_RESERVED, 5 },
    { "prepare-of-a-moving-one-is-busy", SLICE_STATE_MOVING, 4,
      SLICE_MSG_PREPARE, 5, SLICE_SAY_BUSY, SLICE_STATE_MOVING, 4 },
    /* target: DELTA */
    { "delta-for-a-reservation-is-taken", SLICE_STATE_RESERVED, 5,
      SLICE_MSG_DELTA, 5, SLICE_DO_RECEIVE, SLICE_STATE_RESERVED, 5 },
    { "delta-of-another-term-is-refused", SLICE_STATE_RESERVED, 5,
      SLICE_MSG_DELTA, 6, SLICE_DO_REFUSE, SLICE_STATE_RESERVED, 5 },
    { "delta-without-a-reservation-is-refused", NOWHERE, 0,
      SLICE_MSG_DELTA, 5, SLICE_DO_REFUSE, NOWHERE, 0 },
    { "delta-after-cancel-is-refused", SLICE_STATE_GONE, 5,
      SLICE_MSG_DELTA, 5, SLICE_DO_REFUSE, SLICE_STATE_GONE, 5 },
    { "delta-again-after-the-plug-is-answered-plugged", SLICE_STATE_PLUGGED, 5,
      SLICE_MSG_DELTA, 5, SLICE_DO_SAY_PLUGGED, SLICE_STATE_PLUGGED, 5 },
    { "delta-never-makes-the-source-of-an-owner-resume", SLICE_STATE_OWNER, 5,
      SLICE_MSG_DELTA, 5, SLICE_DO_NOTHING, SLICE_STATE_OWNER, 5 },
    /* target: the guest */
    { "the-guests-plug-is-told", SLICE_STATE_RESERVED, 5,
      SLICE_MSG_GUEST_PLUGGED, 5, SLICE_DO_SAY_PLUGGED,
      SLICE_STATE_PLUGGED, 5 },
    { "the-guests-plug-of-another-term-is-stale", SLICE_STATE_RESERVED, 5,
      SLICE_MSG_GUEST_PLUGGED, 4, SLICE_SAY_STALE, SLICE_STATE_RESERVED, 5 },
    { "the-guests-refusal-discards", SLICE_STATE_RESERVED, 5,
      SLICE_MSG_GUEST_REFUSED, 5, SLICE_DO_DISCARD, SLICE_STATE_GONE, 5 },
    /* target: FORGOT, TAKEOVER, CANCEL */
    { "forgot-opens", SLICE_STATE_PLUGGED, 5,
      SLICE_MSG_FORGOT, 5, SLICE_DO_OPEN, SLICE_STATE_OWNER, 5 },
    { "forgot-of-another-term-changes-nothing", SLICE_STATE_PLUGGED, 5,
      SLICE_MSG_FORGOT, 4, SLICE_DO_NOTHING, SLICE_STATE_PLUGGED, 5 },
    { "forgot-before-the-plug-changes-nothing", SLICE_STATE_RESERVED, 5,
      SLICE_MSG_FORGOT, 5, SLICE_DO_NOTHING, SLICE_STATE_RESERVED, 5 },
    { "forgot-twice-changes-nothing", SLICE_STATE_OWNER, 5,
      SLICE_MSG_FORGOT, 5, SLICE_DO_NOTHING, SLICE_STATE_OWNER, 5 },
    { "takeover-of-a-reservation-drains", SLICE_STATE_RESERVED, 5,
      SLICE_MSG_TAKEOVER, 5, SLICE_DO_DRAIN, SLICE_STATE_RESERVED, 5 },
    { "takeover-of-a-plugged-one-opens", SLICE_STATE_PLUGGED, 5,
      SLICE_MSG_TAKEOVER, 5, SLICE_DO_OPEN, SLICE_STATE_OWNER, 5 },
    { "takeover-of-an-owner-is-owner", SLICE_STATE_OWNER, 5,
      SLICE_MSG_TAKEOVER, 5, SLICE_SAY_IS_OWNER, SLICE_STATE_OWNER, 5 },
    { "takeover-after-cancel-is-stale", SLICE_STATE_GONE, 5,
      SLICE_MSG_TAKEOVER, 5, SLICE_SAY_STALE, SLICE_STATE_GONE, 5 },
    { "cancel-of-a-reservation-discards", SLICE_STATE_RESERVED, 5,
      SLICE_MSG_CANCEL, 5, SLICE_DO_DISCARD, SLICE_STATE_GONE, 5 },
    { "cancel-of-a-plugged-one-discards", SLICE_STATE_PLUGGED, 5,
      SLICE_MSG_CANCEL, 5, SLICE_DO_DISCARD, SLICE_STATE_GONE, 5 },
    { "cancel-of-another-term-is-stale", SLICE_STATE_PLUGGED, 5,
      SLICE_MSG_CANCEL, 4, SLICE_SAY_STALE, SLICE_STATE_PLUGGED, 5 },
    { "cancel-of-an-owner-is-owner", SLICE_STATE_OWNER, 5,
      SLICE_MSG_CANCEL, 5, SLICE_SAY_IS_OWNER, SLICE_STATE_OWNER, 5 },
    { "the-sources-resume-discards-what-was-plugged", SLICE_STATE_PLUGGED, 5,
      SLICE_MSG_CANCELLED, 5, SLICE_DO_DISCARD, SLICE_STATE_GONE, 5 },
};

static void nothing_to_forget(void *opaque, SliceEntry *entry)
{
}

static void test_row(gconstpointer data)
{
    const Row *row = data;
    SliceTable *table = slice_table_new(nothing_to_forget, NULL);
    SliceEntry *entry;

    if (row->state != NOWHERE) {
        g_assert_nonnull(slice_table_insert(table, ID, row->state, row->term));
    }
    g_assert_cmpint(slice_table_step(table, ID, row->msg, row->msg_term,
                                     &entry), ==, row->verdict);
    g_assert_true(entry == slice_table_find(table, ID));
    if (row->state_after == NOWHERE) {
        g_assert_null(entry);
    } else {
        g_assert_cmpint(entry->state, ==, row->state_after);
        g_assert_cmpuint(entry->term, ==, row->term_after);
        g_assert_true(entry->resuming == (row->verdict == SLICE_DO_RESUME));
    }
    slice_table_free(table);
}

static SliceFlow flow(uint16_t port)
{
    return (SliceFlow) {
        .family = 4, .protocol = 6, .local_port = htons(80),
        .remote_port = htons(port), .local = { 10, 0, 0, 1 },
        .remote = { 10, 0, 0, 2 },
    };
}

static void test_busy_while_resuming(void)
{
    SliceTable *table = slice_table_new(nothing_to_forget, NULL);
    SliceEntry *entry = slice_table_insert(table, ID, SLICE_STATE_SENT, 5);

    slice_table_step(table, ID, SLICE_MSG_ABORT, 5, &entry);
    g_assert_cmpint(slice_table_step(table, ID, SLICE_MSG_QUIESCE, 6, &entry),
                    ==, SLICE_SAY_BUSY);
    slice_table_resumed(table, entry);
    g_assert_cmpint(slice_table_step(table, ID, SLICE_MSG_QUIESCE, 6, &entry),
                    ==, SLICE_DO_QUIESCE);
    slice_table_free(table);
}

static void test_busy_while_fenced(void)
{
    SliceTable *table = slice_table_new(nothing_to_forget, NULL);
    SliceEntry *entry = slice_table_insert(table, ID, SLICE_STATE_OWNER, 5);

    entry->fenced = true;
    g_assert_cmpint(slice_table_step(table, ID, SLICE_MSG_QUIESCE, 6, &entry),
                    ==, SLICE_SAY_BUSY);
    slice_table_free(table);
}

static void test_flow_names_its_slice(void)
{
    SliceTable *table = slice_table_new(nothing_to_forget, NULL);
    SliceEntry *entry = slice_table_insert(table, ID, SLICE_STATE_OWNER, 0);
    SliceFlow flows[] = { flow(1), flow(2), flow(3) };
    SliceFlow other = flow(4);

    g_assert_true(slice_table_set_flows(table, entry, flows, 3));
    g_assert_true(slice_table_find_flow(table, &flows[1]) == entry);
    g_assert_null(slice_table_find_flow(table, &other));
    slice_table_drop_flow(table, &flows[0]);
    g_assert_null(slice_table_find_flow(table, &flows[0]));
    g_assert_true(slice_table_find_flow(table, &flows[2]) == entry);
    g_assert_cmpuint(entry->n_flows, ==, 2);
    g_assert_true(slice_table_set_flows(table, entry, NULL, 0));
    g_assert_null(slice_table_find_flow(table, &flows[2]));
    slice_table_free(table);
}

static void test_joined_slice_takes_flows_over(void)
{
    SliceTable *table = slice_table_new(nothing_to_forget, NULL);
    SliceEntry *a = slice_table_insert(table, ID, SLICE_STATE_OWNER, 0);
    SliceEntry *b = slice_table_insert(table, (SliceId) { 1, 2 },
                                       SLICE_STATE_OWNER, 0);
    SliceFlow f = flow(1);

    g_assert_true(slice_table_set_flows(table, a, &f, 1));
    g_assert_true(slice_table_set_flows(table, b, &f, 1));
    g_assert_true(slice_table_find_flow(table, &f) == b);
    g_assert_cmpuint(a->n_flows, ==, 0);
    slice_table_free(table);
}

static void test_flow_of_an_arriving_slice_is_not_taken(void)
{
    SliceTable *table = slice_table_new(nothing_to_forget, NULL);
    SliceEntry *a = slice_table_insert(table, ID, SLICE_STATE_RESERVED, 5);
    SliceEntry *b = slice_table_insert(table, (SliceId) { 1, 2 },
                                       SLICE_STATE_OWNER, 0);
    SliceFlow f = flow(1);

    g_assert_true(slice_table_set_flows(table, a, &f, 1));
    g_assert_false(slice_table_set_flows(table, b, &f, 1));
    g_assert_true(slice_table_find_flow(table, &f) == a);
    slice_table_free(table);
}

static void test_too_many_flows_are_refused(void)
{
    SliceTable *table = slice_table_new(nothing_to_forget, NULL);
    SliceEntry *entry = slice_table_insert(table, ID, SLICE_STATE_OWNER, 0);
    SliceFlow flows[SLICE_TABLE_FLOWS_MAX + 1];

    for (int i = 0; i <= SLICE_TABLE_FLOWS_MAX; i++) {
        flows[i] = flow(i);
    }
    g_assert_false(slice_table_set_flows(table, entry, flows,
                                         SLICE_TABLE_FLOWS_MAX + 1));
    g_assert_true(slice_table_set_flows(table, entry, flows,
                                        SLICE_TABLE_FLOWS_MAX));
    slice_table_free(table);
}

static void count_forgotten(void *opaque, SliceEntry *entry)
{
    ++*(uint32_t *)opaque;
}

static void test_oldest_tombstone_makes_room(void)
{
    uint32_t n_forgotten = 0;
    SliceTable *table = slice_table_new(count_forgotten, &n_forgotten);

    for (uint64_t i = 1; i <= SLICE_TABLE_TOMBSTONES_MAX + 1; i++) {
        g_assert_nonnull(slice_table_insert(table, (SliceId) { 1, i },
                                            SLICE_STATE_GONE, 1));
    }
    g_assert_cmpuint(n_forgotten, ==, 1);
    g_assert_null(slice_table_find(table, (SliceId) { 1, 1 }));
    g_assert_nonnull(slice_table_find(table, (SliceId) { 1, 2 }));
    g_assert_cmpuint(slice_table_n_tombstones(table), ==,
                     SLICE_TABLE_TOMBSTONES_MAX);
    slice_table_free(table);
}

static void test_full_table_refuses(void)
{
    SliceTable *table = slice_table_new(nothing_to_forget, NULL);
    SliceEntry *entry;

    for (uint64_t i = 1; i <= SLICE_TABLE_SLICES_MAX; i++) {
        slice_table_insert(table, (SliceId) { 1, i }, SLICE_STATE_OWNER, 0);
    }
    g_assert_null(slice_table_insert(table, ID, SLICE_STATE_OWNER, 0));
    g_assert_cmpint(slice_table_step(table, ID, SLICE_MSG_PREPARE, 5, &entry),
                    ==, SLICE_DO_REFUSE);
    g_assert_null(entry);
    slice_table_free(table);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *path = g_strdup_printf("/slice/table/%s",
                                                rows[i].claim);

        g_test_add_data_func(path, &rows[i], test_row);
    }
    g_test_add_func("/slice/table/busy-while-resuming",
                    test_busy_while_resuming);
    g_test_add_func("/slice/table/busy-while-fenced", test_busy_while_fenced);
    g_test_add_func("/slice/table/flow-names-its-slice",
                    test_flow_names_its_slice);
    g_test_add_func("/slice/table/joined-slice-takes-flows-over",
                    test_joined_slice_takes_flows_over);
    g_test_add_func("/slice/table/flow-of-an-arriving-slice-is-not-taken",
                    test_flow_of_an_arriving_slice_is_not_taken);
    g_test_add_func("/slice/table/too-many-flows-are-refused",
                    test_too_many_flows_are_refused);
    g_test_add_func("/slice/table/oldest-tombstone-makes-room",
                    test_oldest_tombstone_makes_room);
    g_test_add_func("/slice/table/full-table-refuses", test_full_table_refuses);
    return g_test_run();
}
