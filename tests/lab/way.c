// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * way.c - see way.h
 */
#include "way.h"

#include <string.h>

/* Late frames come this much later than their turn. */
#define LATE_NS 10000000LL

typedef struct Waiting {
    int64_t due_ns;
    GBytes *frame;
} Waiting;

struct Way {
    uint64_t random;
    LabLinkSettings settings;
    LabLinkCounts counts;
    int64_t free_ns;            /* when the frame before has been put on the wire */
    int64_t in_order_ns;        /* when the last frame that was not late leaves */
    GQueue waiting;             /* Waiting, by due_ns; equal ones as they came */
    uint64_t waiting_bytes;
};

Way *way_new(uint64_t seed)
{
    Way *way = g_new0(Way, 1);

    way->random = seed;
    g_queue_init(&way->waiting);
    return way;
}

static void free_waiting(gpointer opaque)
{
    Waiting *waiting = opaque;

    g_bytes_unref(waiting->frame);
    g_free(waiting);
}

void way_free(Way *way)
{
    if (way) {
        g_queue_clear_full(&way->waiting, free_waiting);
        g_free(way);
    }
}

void way_set(Way *way, const LabLinkSettings *settings)
{
    way->settings = *settings;
}

void way_count(const Way *way, LabLinkCounts *ret_counts)
{
    *ret_counts = way->counts;
    ret_counts->n_waiting = way->waiting.length;
}

/* A step of splitmix64: well mixed, and any seed will do. */
static uint64_t next_random(Way *way)
{
    uint64_t z = way->random += 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

static bool falls(Way *way, unsigned int permille)
{
    return next_random(way) % 1000 < permille;
}

static bool is_subject(const uint8_t *frame, size_t bytes)
{
    bool is_ipv4 = bytes >= 34 && frame[12] == 0x08 && frame[13] == 0x00;
    bool is_ipv6 = bytes >= 54 && frame[12] == 0x86 && frame[13] == 0xdd;
    uint8_t protocol = is_ipv4 ? frame[23] : is_ipv6 ? frame[20] : 0;

    return protocol == 6 || protocol == 17;
}

static void insert(Way *way, GBytes *frame, int64_t due_ns)
{
    Waiting *waiting = g_new(Waiting, 1);
    GList *at = way->waiting.tail;

    waiting->due_ns = due_ns;
    waiting->frame = frame;
    while (at && ((Waiting *)at->data)->due_ns > due_ns) {
        at = at->prev;
    }
    if (at) {
        g_queue_insert_after(&way->waiting, at, waiting);
    } else {
        g_queue_push_head(&way->waiting, waiting);
    }
    way->waiting_bytes += g_bytes_get_size(frame);
}

/* One copy onto the wire; the newest is dropped where the queue is full. */
static void enqueue(Way *way, const void *frame, size_t bytes, int64_t now_ns, bool late)
{
    const LabLinkSettings *settings = &way->settings;
    int64_t due_ns;

    if (way->waiting_bytes + bytes > WAY_QUEUE_BYTES_MAX) {
        way->counts.n_overflowed++;
        return;
    }
    way->free_ns = MAX(way->free_ns, now_ns);
    if (settings->rate_kbit) {
        way->free_ns += (int64_t)bytes * 8 * 1000000 / settings->rate_kbit;
    }
    due_ns = way->free_ns + settings->delay_ms * 1000000LL;
    if (late) {
        way->counts.n_late++;
        due_ns = MAX(due_ns, way->in_order_ns) + LATE_NS;
    } else {
        /* A shorter delay lets no frame overtake those from before. */
        due_ns = way->in_order_ns = MAX(due_ns, way->in_order_ns);
    }
    insert(way, g_bytes_new(frame, bytes), due_ns);
}

void way_push(Way *way, const void *frame, size_t bytes, int64_t now_ns)
{
    const LabLinkSettings *settings = &way->settings;
    bool lost = false, twice = false, late = false;

    way->counts.n_in++;
    if (settings->cut) {
        way->counts.n_cut++;
        return;
    }
    if (is_subject(frame, bytes)) {
        lost = falls(way, settings->loss_permille);
        twice = falls(way, settings->duplicate_permille);
        late = falls(way, settings->late_permille);
    }
    if (lost) {
        way->counts.n_lost++;
        return;
    }
    enqueue(way, frame, bytes, now_ns, late);
    if (twice) {
        way->counts.n_doubled++;
        enqueue(way, frame, bytes, now_ns, false);
    }
}

int64_t way_next_ns(const Way *way)
{
    const Waiting *waiting = g_queue_peek_head((GQueue *)&way->waiting);

    return waiting ? waiting->due_ns : -1;
}

GBytes *way_pop(Way *way, int64_t now_ns)
{
    Waiting *waiting = g_queue_peek_head(&way->waiting);
    GBytes *frame;

    if (!waiting || waiting->due_ns > now_ns) {
        return NULL;
    }
    g_queue_pop_head(&way->waiting);
    frame = waiting->frame;
    g_free(waiting);
    way->waiting_bytes -= g_bytes_get_size(frame);
    way->counts.n_out++;
    return frame;
}
