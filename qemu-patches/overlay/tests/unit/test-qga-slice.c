/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test-qga-slice.c - guest-slice-list with a stand-in for /dev/slice
 *
 * The stand-in answers as slice.ko does; what a real one says is compared with
 * all other views of a slice by the project's VM tests.
 */
#include "qemu/osdep.h"
#include <sys/ioctl.h>
#include "qapi/error.h"
#include "standard-headers/linux/slice.h"
#include "qga/commands-slice.h"

#define N_MAX 4096

typedef struct Registry {
    struct slice_list_entry entries[N_MAX];
    uint32_t n;
    uint32_t grows_by;          /* slices that come between two looks */
    uint32_t version;
    unsigned long fails;        /* this request, with @error */
    int error;
    unsigned int n_looks;
} Registry;

static Registry *new_registry(uint32_t n)
{
    Registry *registry = g_new0(Registry, 1);

    registry->version = SLICE_API_VERSION;
    registry->n = n;
    for (uint32_t i = 0; i < N_MAX; i++) {
        struct slice_list_entry *entry = &registry->entries[i];

        entry->slice = (struct slice_id) { 7, 100 + i };
        entry->top = (struct slice_id) { 7, 5000 + i };
        entry->n_capsules = 3;
        entry->n_connections = 1;
        entry->memory_bytes = 4096;
    }
    return registry;
}

static int answer_list(Registry *registry, struct slice_list *list)
{
    uint32_t room = list->n_entries;

    g_assert_cmpuint(list->size, ==, sizeof(*list));
    g_assert_cmpuint(list->flags, ==, 0);
    registry->n_looks++;
    list->n_entries = registry->n;
    if (registry->n > room) {
        registry->n = MIN(registry->n + registry->grows_by, N_MAX);
        errno = ENOSPC;
        return -1;
    }
    memcpy((void *)(uintptr_t)list->entries, registry->entries,
           registry->n * sizeof(registry->entries[0]));
    return 0;
}

static int answer_closure(Registry *registry, struct slice_closure *closure)
{
    struct slice_id *ids = (void *)(uintptr_t)closure->ids;

    for (uint32_t i = 0; i < registry->n; i++) {
        if (closure->id.counter == registry->entries[i].slice.counter ||
            closure->id.counter == registry->entries[i].top.counter) {
            closure->slice = registry->entries[i].slice;
            closure->n_ids = 2;
            ids[0] = registry->entries[i].slice;
            ids[1] = registry->entries[i].top;
            return 0;
        }
    }
    errno = ENOENT;
    return -1;
}

static int ask(void *opaque, unsigned long request, void *argument)
{
    Registry *registry = opaque;

    if (request == registry->fails) {
        errno = registry->error;
        return -1;
    }
    switch (request) {
    case SLICE_IOC_INFO:
        ((struct slice_info *)argument)->api_version = registry->version;
        return 0;
    case SLICE_IOC_LIST:
        return answer_list(registry, argument);
    case SLICE_IOC_CLOSURE:
        return answer_closure(registry, argument);
    default:
        g_assert_not_reached();
    }
}

static void assert_error(Registry *registry, const char *id, const char *words)
{
    Error *err = NULL;

    g_assert_null(ga_slice_list(ask, registry, id, &err));
    g_assert_nonnull(err);
    if (!strstr(error_get_pretty(err), words)) {
        g_error("'%s' does not say '%s'", error_get_pretty(err), words);
    }
    error_free(err);
}

static void test_fields(void)
{
    g_autofree Registry *registry = new_registry(2);
    struct slice_list_entry *second = &registry->entries[1];
    g_autoptr(GuestSliceList) list = NULL;

    second->state = SLICE_STATE_DRAINING;
    second->movability = SLICE_BUSY;
    second->why = SLICE_WHY_REFERENCES;
    second->n_refs = 9;
    memcpy(second->label, "shop", 4);
    list = ga_slice_list(ask, registry, NULL, &error_abort);
    g_assert_cmpstr(list->value->id, ==, "0000000000000007:0000000000000064");
    g_assert_cmpint(list->value->state, ==, GUEST_SLICE_STATE_ACTIVE);
    g_assert_null(list->value->why);
    g_assert_null(list->value->label);
    g_assert_false(list->value->has_capsule_ids);
    g_assert_cmpint(list->next->value->state, ==, GUEST_SLICE_STATE_DRAINING);
    g_assert_cmpint(list->next->value->movability, ==,
                    GUEST_SLICE_MOVABILITY_BUSY);
    g_assert_cmpstr(list->next->value->why, ==, "references");
    g_assert_cmpstr(list->next->value->label, ==, "shop");
    g_assert_cmpuint(list->next->value->capsules, ==, 3);
    g_assert_cmpuint(list->next->value->connections, ==, 1);
    g_assert_cmpuint(list->next->value->references, ==, 9);
    g_assert_cmpuint(list->next->value->memory, ==, 4096);
    g_assert_null(list->next->next);
}

static void test_none(void)
{
    g_autofree Registry *registry = new_registry(0);

    g_assert_null(ga_slice_list(ask, registry, NULL, &error_abort));
}

static void test_many(void)
{
    g_autofree Registry *registry = new_registry(3000);
    g_autoptr(GuestSliceList) list =
        ga_slice_list(ask, registry, NULL, &error_abort);
    unsigned int n = 0;

    for (GuestSliceList *at = list; at; at = at->next) {
        n++;
    }
    g_assert_cmpuint(n, ==, 3000);
    g_assert_cmpuint(registry->n_looks, ==, 2);
}

static void test_growing(void)
{
    g_autofree Registry *registry = new_registry(500);

    registry->grows_by = 300;
    assert_error(registry, NULL, "keeps growing");
    g_assert_cmpuint(registry->n_looks, ==, 8);
}

static void test_one(void)
{
    static const char *const names[] = {
        "0000000000000007:0000000000000065",    /* the slice */
        "0000000000000007-0000000000001389",    /* its top */
    };
    g_autofree Registry *registry = new_registry(3);

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(GuestSliceList) list =
            ga_slice_list(ask, registry, names[i], &error_abort);

        g_assert_null(list->next);
        g_assert_cmpstr(list->value->id, ==, names[0]);
        g_assert_true(list->value->has_capsule_ids);
        g_assert_cmpstr(list->value->capsule_ids->value, ==, names[0]);
        g_assert_cmpstr(list->value->capsule_ids->next->value, ==,
                        "0000000000000007:0000000000001389");
        g_assert_null(list->value->capsule_ids->next->next);
    }
}

static void test_no_id(void)
{
    static const char *const bad[] = {
        "", "7", "0000000000000007", "0000000000000007:000000000000006",
        "0000000000000007:00000000000000655", "0000000000000007 00000000000000"
        "65", "000000000000000x:0000000000000065",
    };
    g_autofree Registry *registry = new_registry(3);

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        assert_error(registry, bad[i], "no slice id");
    }
    assert_error(registry, "0000000000000007:0000000000000999",
                 "cannot look at slice");
}

static void test_refused(void)
{
    g_autofree Registry *registry = new_registry(1);

    registry->fails = SLICE_IOC_LIST;
    registry->error = EPERM;
    assert_error(registry, NULL, strerror(EPERM));
    registry->fails = 0;
    registry->version++;
    assert_error(registry, NULL, "version");
}

static void test_strange(void)
{
    g_autofree Registry *registry = new_registry(2);
    g_autoptr(GuestSliceList) list = NULL;

    registry->entries[0].why = 999;
    memset(registry->entries[0].label, 0xff, SLICE_LABEL_BYTES);
    list = ga_slice_list(ask, registry, NULL, &error_abort);
    g_assert_cmpstr(list->value->why, ==, "unknown");
    g_assert_true(g_utf8_validate(list->value->label, -1, NULL));
    registry->entries[1].state = 77;
    assert_error(registry, NULL, "does not know");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qga/slice/each-field-is-told", test_fields);
    g_test_add_func("/qga/slice/no-slices-are-an-empty-list", test_none);
    g_test_add_func("/qga/slice/many-are-listed-at-the-second-look", test_many);
    g_test_add_func("/qga/slice/a-registry-that-grows-for-ever-is-an-error",
                    test_growing);
    g_test_add_func("/qga/slice/one-is-found-by-its-id-or-a-capsules",
                    test_one);
    g_test_add_func("/qga/slice/what-is-no-id-is-refused", test_no_id);
    g_test_add_func("/qga/slice/refusals-of-the-kernel-are-told", test_refused);
    g_test_add_func("/qga/slice/what-it-does-not-know-harms-nothing",
                    test_strange);
    return g_test_run();
}
