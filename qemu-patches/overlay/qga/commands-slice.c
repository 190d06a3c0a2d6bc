/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * commands-slice.c - guest-slice-list: the sessions of this guest's kernel
 *
 * Reads the registry of slice.ko, so that a person on the host can compare it
 * with what the hypervisor and the orchestrator say.  It only looks: moves are
 * driven by the slice device, and slice-agent has a port of its own.
 *
 * The registry changes while it is read.  LIST is one look at all slices; the
 * capsules of one slice are a second look, and a slice that has ended or left
 * between the two is told as one that is not there.
 *
 * Below: /dev/slice (standard-headers/linux/slice.h).
 */
#include "qemu/osdep.h"
#include <sys/ioctl.h>
#include "qapi/error.h"
#include "qga-qapi-commands-slice.h"
#include "standard-headers/linux/slice.h"
#include "commands-slice.h"

#define SLICE_DEVICE "/dev/slice"

/* The registry may grow between two looks at it: room for as many more. */
#define LIST_SLACK 64
/* One look in eight fits, or slices come faster than anybody can read them. */
#define LOOKS_MAX 8
/* Far above what a guest's memory holds: 100 MB of entries. */
#define ENTRIES_MAX (1u << 20)

static char *id_text(const struct slice_id *id)
{
    return g_strdup_printf("%016" PRIx64 ":%016" PRIx64,
                           (uint64_t)id->incarnation, (uint64_t)id->counter);
}

static bool parse_hex(const char *text, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (int i = 0; i < 16; i++) {
        int digit = g_ascii_xdigit_value(text[i]);

        if (digit < 0) {
            return false;
        }
        value = value << 4 | digit;
    }
    *ret_value = value;
    return true;
}

/* Both spellings are about: the hypervisor's ':' and libslice's '-'. */
static bool parse_id(const char *text, struct slice_id *ret_id, Error **errp)
{
    uint64_t incarnation, counter;

    if (strlen(text) != 33 || (text[16] != ':' && text[16] != '-') ||
        !parse_hex(text, &incarnation) || !parse_hex(text + 17, &counter)) {
        error_setg(errp, "'%.64s' is no slice id: it must be two numbers of "
                   "16 hexadecimal digits with a colon between them", text);
        return false;
    }
    ret_id->incarnation = incarnation;
    ret_id->counter = counter;
    return true;
}

static bool check_version(GaSliceAsk *ask, void *opaque, Error **errp)
{
    struct slice_info info = { .size = sizeof(info) };

    if (ask(opaque, SLICE_IOC_INFO, &info)) {
        error_setg_errno(errp, errno, "cannot ask " SLICE_DEVICE);
        return false;
    }
    if (info.api_version != SLICE_API_VERSION) {
        error_setg(errp, "slice.ko speaks version %" PRIu32 " of its interface,"
                   " this agent %d", (uint32_t)info.api_version,
                   SLICE_API_VERSION);
        return false;
    }
    return true;
}

static struct slice_list_entry *read_list(GaSliceAsk *ask, void *opaque,
                                          uint32_t *ret_n, Error **errp)
{
    uint32_t n = 0;

    for (int i = 0; i < LOOKS_MAX; i++) {
        uint32_t room = MIN(n, ENTRIES_MAX) + LIST_SLACK;
        g_autofree struct slice_list_entry *entries =
            g_try_new0(struct slice_list_entry, room);
        struct slice_list list = {
            .size = sizeof(list),
            .entries = (uintptr_t)entries,
            .n_entries = room,
        };

        if (!entries) {
            error_setg(errp, "no memory for a list of %" PRIu32 " slices",
                       room);
            return NULL;
        }
        if (!ask(opaque, SLICE_IOC_LIST, &list)) {
            *ret_n = MIN(list.n_entries, room);
            return g_steal_pointer(&entries);
        }
        if (errno != ENOSPC) {
            error_setg_errno(errp, errno, "cannot list the slices");
            return NULL;
        }
        n = list.n_entries;
    }
    error_setg(errp, "cannot list the slices: their number keeps growing");
    return NULL;
}

/* The words of enum slice_why, as everywhere else; NULL for none. */
static const char *why_name(uint32_t why)
{
    static const char *const names[] = {
        [SLICE_WHY_REFERENCES] = "references",
        [SLICE_WHY_MOVING] = "moving",
        [SLICE_WHY_STATE] = "state",
        [SLICE_WHY_TLS] = "tls",
        [SLICE_WHY_HTTP2] = "http2",
        [SLICE_WHY_TOO_LARGE] = "too-large",
        [SLICE_WHY_OPTION] = "option",
        [SLICE_WHY_URGENT] = "urgent",
        [SLICE_WHY_NO_LAYER] = "no-layer",
        [SLICE_WHY_LAYER_VERSION] = "layer-version",
        [SLICE_WHY_MEMORY] = "memory",
        [SLICE_WHY_TUPLE_IN_USE] = "tuple-in-use",
        [SLICE_WHY_DEADLINE] = "deadline",
        [SLICE_WHY_LAYER_REFUSED] = "layer-refused",
        [SLICE_WHY_IMAGE] = "image",
        [SLICE_WHY_GONE] = "gone",
        [SLICE_WHY_PEER] = "peer",
        [SLICE_WHY_TERM] = "term",
        [SLICE_WHY_ABORTED] = "aborted",
        [20] = "upgraded",
        [21] = "no-room",
    };

    if (why == SLICE_WHY_NONE) {
        return NULL;
    }
    return why < G_N_ELEMENTS(names) ? names[why] : "unknown";
}

static GuestSlice *make_slice(const struct slice_list_entry *entry,
                              Error **errp)
{
    g_autofree char *label = g_strndup((const char *)entry->label,
                                       sizeof(entry->label));
    g_autofree char *id = id_text(&entry->slice);
    GuestSlice *slice;

    QEMU_BUILD_BUG_ON((int)GUEST_SLICE_STATE_PLUGGED != SLICE_STATE_PLUGGED);
    QEMU_BUILD_BUG_ON((int)GUEST_SLICE_MOVABILITY_PINNED != SLICE_PINNED);
    if (entry->state >= GUEST_SLICE_STATE__MAX ||
        entry->movability >= GUEST_SLICE_MOVABILITY__MAX) {
        error_setg(errp, "slice %s: slice.ko tells a state (%" PRIu32 ", %"
                   PRIu32 ") that this agent does not know", id,
                   (uint32_t)entry->state, (uint32_t)entry->movability);
        return NULL;
    }
    slice = g_new0(GuestSlice, 1);
    slice->id = g_steal_pointer(&id);
    slice->top = id_text(&entry->top);
    slice->state = entry->state;
    slice->movability = entry->movability;
    slice->why = g_strdup(why_name(entry->why));
    slice->label = *label ? g_utf8_make_valid(label, -1) : NULL;
    slice->capsules = entry->n_capsules;
    slice->connections = entry->n_connections;
    slice->references = entry->n_refs;
    slice->memory = entry->memory_bytes;
    return slice;
}

static GuestSliceList *make_list(const struct slice_list_entry *entries,
                                 uint32_t n, Error **errp)
{
    g_autoptr(GuestSliceList) slices = NULL;

    for (uint32_t i = n; i-- > 0;) {
        GuestSlice *slice = make_slice(&entries[i], errp);

        if (!slice) {
            return NULL;
        }
        QAPI_LIST_PREPEND(slices, slice);
    }
    return g_steal_pointer(&slices);
}

static bool same_id(const struct slice_id *a, const struct slice_id *b)
{
    return a->incarnation == b->incarnation && a->counter == b->counter;
}

/* A slice has at most 1024 capsules. */
#define CAPSULES_MAX 1024

static GuestSliceList *make_one(GaSliceAsk *ask, void *opaque, const char *id,
                                const struct slice_list_entry *entries,
                                uint32_t n, Error **errp)
{
    g_autofree struct slice_id *ids = g_new0(struct slice_id, CAPSULES_MAX);
    struct slice_closure closure = {
        .size = sizeof(closure),
        .ids = (uintptr_t)ids,
        .n_ids = CAPSULES_MAX,
    };
    GuestSliceList *one;
    uint32_t at = 0;

    if (!parse_id(id, &closure.id, errp)) {
        return NULL;
    }
    if (ask(opaque, SLICE_IOC_CLOSURE, &closure)) {
        error_setg_errno(errp, errno, "cannot look at slice %s", id);
        return NULL;
    }
    while (at < n && !same_id(&entries[at].slice, &closure.slice)) {
        at++;
    }
    if (at == n) {
        error_setg(errp, "slice %s has just changed: ask again", id);
        return NULL;
    }
    one = make_list(&entries[at], 1, errp);
    if (!one) {
        return NULL;
    }
    one->value->has_capsule_ids = true;
    for (uint32_t i = MIN(closure.n_ids, CAPSULES_MAX); i-- > 0;) {
        QAPI_LIST_PREPEND(one->value->capsule_ids, id_text(&ids[i]));
    }
    return one;
}

GuestSliceList *ga_slice_list(GaSliceAsk *ask, void *opaque, const char *id,
                              Error **errp)
{
    g_autofree struct slice_list_entry *entries = NULL;
    uint32_t n;

    if (!check_version(ask, opaque, errp)) {
        return NULL;
    }
    entries = read_list(ask, opaque, &n, errp);
    if (!entries) {
        return NULL;
    }
    return id ? make_one(ask, opaque, id, entries, n, errp)
              : make_list(entries, n, errp);
}

static int ask_device(void *opaque, unsigned long request, void *argument)
{
    return ioctl(*(int *)opaque, request, argument);
}

GuestSliceList *qmp_guest_slice_list(const char *id, Error **errp)
{
    int fd = open(SLICE_DEVICE, O_RDWR | O_CLOEXEC);
    GuestSliceList *slices;

    if (fd < 0 && (errno == ENOENT || errno == ENXIO || errno == ENODEV)) {
        error_setg_errno(errp, errno, "this guest has no slices (is slice.ko "
                         "loaded?): " SLICE_DEVICE);
        return NULL;
    }
    if (fd < 0) {
        error_setg_errno(errp, errno, "cannot open " SLICE_DEVICE);
        return NULL;
    }
    slices = ga_slice_list(ask_device, &fd, id, errp);
    close(fd);
    return slices;
}
