/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * slice-store-test.c - the engine as an object, and a VM that is saved
 *
 * Moves are in slice-move-test.c.
 */
#include "qemu/osdep.h"
#include "qobject/qlist.h"
#include <glib/gstdio.h>
#include "slice-driver.h"

#define SLICE 7
#define TERM  0x100000001
#define PORT  1000

static QDict *first_slice(QTestState *qts)
{
    QDict *reply = qtest_qmp(qts, "{ 'execute': 'query-slices' }");
    QList *list = qdict_get_qlist(reply, "return");
    QDict *slice;

    g_assert_cmpuint(qlist_size(list), ==, 1);
    slice = qobject_to(QDict, qlist_entry_obj(qlist_first(list)));
    qobject_ref(slice);
    qobject_unref(reply);
    return slice;
}

static char *error_of(QDict *reply)
{
    char *desc;

    g_assert_true(qdict_haskey(reply, "error"));
    desc = g_strdup(qdict_get_str(qdict_get_qdict(reply, "error"), "desc"));
    qobject_unref(reply);
    return desc;
}

/* ---- the object ---- */

static void test_store_in_use_is_not_deleted(void)
{
    SliceVM *vm = slice_vm_new("source", "", "");
    g_autofree char *error = error_of(qtest_qmp(
        vm->qts, "{ 'execute': 'object-del',"
        "  'arguments': { 'id': 'sl0' } }"));

    g_assert_cmpstr(error, ==, "object 'sl0' is in use, can not be deleted");
    slice_vm_free(vm);
}

static void test_store_comes_and_goes(void)
{
    QTestState *qts = qtest_init("-machine none");

    for (int i = 0; i < 2; i++) {
        qtest_qmp_assert_success(
            qts, "{ 'execute': 'object-add', 'arguments': {"
            "  'qom-type': 'slice-store', 'id': 'sl1', 'name': 'x',"
            "  'listen': '127.0.0.1:0' } }");
        qtest_qmp_assert_success(qts, "{ 'execute': 'query-slice-store' }");
        qtest_qmp_assert_success(
            qts, "{ 'execute': 'object-del', 'arguments': { 'id': 'sl1' } }");
    }
    qtest_quit(qts);
}

static void test_refusals_say_what_and_why(void)
{
    QTestState *qts = qtest_init("-machine none");
    g_autofree char *none = error_of(qtest_qmp(
        qts, "{ 'execute': 'query-slices' }"));
    g_autofree char *address = error_of(qtest_qmp(
        qts, "{ 'execute': 'object-add', 'arguments': {"
        "  'qom-type': 'slice-store', 'id': 'sl1', 'name': 'x',"
        "  'listen': 'nowhere' } }"));
    g_autofree char *size = error_of(qtest_qmp(
        qts, "{ 'execute': 'object-add', 'arguments': {"
        "  'qom-type': 'slice-store', 'id': 'sl1', 'image-max': 1 } }"));

    g_assert_cmpstr(none, ==, "there is no slice-store");
    g_assert_true(g_str_has_prefix(
        address, "slice-store 'x' can not listen at 'nowhere': "));
    g_assert_cmpstr(size, ==, "image-max must be 4 KiB to 256 MiB");
    qtest_quit(qts);
}

/* ---- commands ---- */

static void test_bad_arguments_change_nothing(void)
{
    static const char *const ids[] = {
        "", ":", "1", "1:", ":1", "0:1", "1:2:3", "-1:1", "x:1",
        "11112222333344445:1", "1:11112222333344445", " 1:1", "1: 1",
    };
    SliceVM *vm = slice_vm_new("source", "", "");

    for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
        g_free(error_of(qtest_qmp(
            vm->qts, "{ 'execute': 'slice-cancel', 'arguments': {"
            "  'orchestrator': 9, 'id': %s, 'term': 1 } }", ids[i])));
    }
    /* Nor was that orchestrator heard of. */
    g_assert_cmpuint(slice_store_count(vm, "orchestrator"), ==, 0);
    slice_vm_free(vm);
}

static void test_older_orchestrator_is_refused(void)
{
    SliceVM *vm = slice_vm_new("source", "", "");
    QDict *reply;

    qtest_qmp_assert_success(
        vm->qts, "{ 'execute': 'slice-cancel', 'arguments': {"
        "  'orchestrator': 9, 'id': '1:1', 'term': 1 } }");
    reply = qtest_qmp_assert_success_ref(
        vm->qts, "{ 'execute': 'slice-cancel', 'arguments': {"
        "  'orchestrator': 8, 'id': '1:1', 'term': 1 } }");
    g_assert_cmpstr(qdict_get_str(reply, "answer"), ==, "stale-orchestrator");
    qobject_unref(reply);
    slice_vm_free(vm);
}

static void test_info_slices_fits_a_terminal(void)
{
    SliceVM *vm = slice_vm_new("source", "", "");
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    slice_hello(vm);
    slice_set(vm, SLICE, PORT, 2);
    text = qtest_hmp(vm->qts, "info slices");
    g_assert_nonnull(strstr(text, "owner"));
    g_assert_nonnull(strstr(text, "tcp 10.0.0.1:80 - 10.0.0.2:1001"));
    lines = g_strsplit(text, "\n", 0);
    for (char **line = lines; *line; line++) {
        g_strchomp(*line);
        g_assert_cmpuint(strlen(*line), <=, 80);
    }
    slice_vm_free(vm);
}

/* ---- saved VMs ---- */

static void await_migration(QTestState *qts, const char *wanted)
{
    gint64 since = g_get_monotonic_time();
    bool is_done = false;

    while (!is_done) {
        QDict *info = qtest_qmp_assert_success_ref(
            qts, "{ 'execute': 'query-migrate' }");
        const char *status = qdict_haskey(info, "status")
                             ? qdict_get_str(info, "status") : "none";

        is_done = !strcmp(status, wanted);
        g_assert_cmpstr(status, !=, "failed");
        qobject_unref(info);
        g_assert_cmpint(g_get_monotonic_time() - since, <, SLICE_TIMEOUT_US);
        g_usleep(1000);
    }
}

/* Another QEMU goes on where @vm was saved to @path. */
static QTestState *restore(SliceVM *vm, const char *path)
{
    g_autofree char *uri = g_strdup_printf("file:%s", path);
    QTestState *qts;

    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'stop' }");
    qtest_qmp_assert_success(
        vm->qts, "{ 'execute': 'migrate', 'arguments': { 'uri': %s } }", uri);
    await_migration(vm->qts, "completed");
    qts = qtest_init(
        "-machine pc -nodefaults -m 256 -incoming defer "
        "-object slice-store,id=sl0,name=source,listen=127.0.0.1:0 "
        "-netdev hubport,id=hostnet0,hubid=0 "
        "-object filter-slice,id=gate0,netdev=hostnet0,store=sl0 "
        "-device virtio-net-pci,netdev=hostnet0,addr=4,disable-legacy=on "
        "-device virtio-slice-pci,store=sl0,addr=5");
    qtest_qmp_assert_success(
        qts, "{ 'execute': 'migrate-incoming', 'arguments': { 'uri': %s } }",
        uri);
    await_migration(qts, "completed");
    qtest_qmp_assert_success(qts, "{ 'execute': 'cont' }");
    return qts;
}

static char *confirm(QTestState *qts, const char *id, uint64_t term,
                     bool accept)
{
    QDict *reply = qtest_qmp_assert_success_ref(
        qts, "{ 'execute': 'slice-confirm', 'arguments': {"
        "  'orchestrator': 1, 'id': %s, 'term': %" PRIu64 ","
        "  'accept': %i } }", id, term, accept);
    char *answer = g_strdup(qdict_get_str(reply, "answer"));

    qobject_unref(reply);
    return answer;
}

static char *store_string(QTestState *qts, const char *field)
{
    QDict *info = qtest_qmp_assert_success_ref(
        qts, "{ 'execute': 'query-slice-store' }");
    char *value = g_strdup(qdict_get_str(info, field));

    qobject_unref(info);
    return value;
}

static void test_restored_slice_is_fenced(gconstpointer accept)
{
    SliceVM *vm = slice_vm_new("source", "", "");
    g_autofree char *before = store_string(vm->qts, "incarnation");
    g_autofree char *path = NULL;
    g_autofree char *after = NULL;
    g_autofree char *id = NULL;
    g_autofree char *answer = NULL;
    g_autofree char *again = NULL;
    QTestState *qts;
    QDict *slice;
    int fd = g_file_open_tmp("slice-XXXXXX", &path, NULL);

    close(fd);
    slice_hello(vm);
    slice_set(vm, SLICE, PORT, 2);
    qts = restore(vm, path);
    slice_vm_free(vm);
    after = store_string(qts, "incarnation");
    g_assert_cmpstr(after, !=, before);
    slice = first_slice(qts);
    g_assert_true(qdict_get_bool(slice, "fenced"));
    g_assert_cmpstr(qdict_get_str(slice, "state"), ==, "owner");
    g_assert_cmpuint(qlist_size(qdict_get_qlist(slice, "flows")), ==, 2);
    id = g_strdup(qdict_get_str(slice, "id"));
    qobject_unref(slice);

    answer = confirm(qts, id, TERM, accept != NULL);
    g_assert_cmpstr(answer, ==, "ok");
    again = confirm(qts, id, TERM, accept != NULL);
    g_assert_cmpstr(again, ==, "stale");
    if (accept) {
        slice = first_slice(qts);
        g_assert_false(qdict_get_bool(slice, "fenced"));
        g_assert_cmpuint(qdict_get_int(slice, "term"), ==, TERM);
        qobject_unref(slice);
    } else {
        QDict *info = qtest_qmp_assert_success_ref(
            qts, "{ 'execute': 'query-slice-store' }");

        g_assert_cmpuint(qdict_get_int(info, "slices"), ==, 0);
        g_assert_cmpuint(qdict_get_int(info, "tombstones"), ==, 1);
        qobject_unref(info);
    }
    qtest_quit(qts);
    g_unlink(path);
}

static void test_slice_without_flows_is_restored(void)
{
    SliceVM *vm = slice_vm_new("source", "", "");
    g_autofree char *path = NULL;
    QTestState *qts;
    QDict *slice;
    int fd = g_file_open_tmp("slice-XXXXXX", &path, NULL);

    close(fd);
    slice_hello(vm);
    slice_set(vm, SLICE, PORT, 0);
    qts = restore(vm, path);
    slice_vm_free(vm);
    slice = first_slice(qts);
    g_assert_false(qdict_get_bool(slice, "fenced"));
    g_assert_cmpstr(qdict_get_str(slice, "state"), ==, "owner");
    g_assert_cmpuint(qlist_size(qdict_get_qlist(slice, "flows")), ==, 0);
    qobject_unref(slice);
    qtest_quit(qts);
    g_unlink(path);
}

static void test_moving_slice_blocks_migration(void)
{
    SliceVM *source = slice_vm_new("source", "", "");
    SliceVM *target = slice_vm_new("target", "", "");
    g_autofree char *prepared = NULL;
    g_autofree char *error = NULL;

    slice_hello(source);
    slice_hello(target);
    slice_post_events(source);
    slice_post_events(target);
    slice_set(source, SLICE, PORT, 1);
    prepared = slice_qmp_prepare(target, SLICE, TERM, PORT, 1);
    g_assert_cmpstr(prepared, ==, "ok");
    slice_begin(source, target, SLICE, TERM);
    error = error_of(qtest_qmp(
        source->qts, "{ 'execute': 'migrate',"
        "  'arguments': { 'uri': 'file:/dev/null' } }"));
    g_assert_nonnull(strstr(error, "slice-store 'source' is moving slices"));
    slice_vm_free(source);
    slice_vm_free(target);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/slice-store/store-in-use-is-not-deleted",
                   test_store_in_use_is_not_deleted);
    qtest_add_func("/slice-store/store-comes-and-goes",
                   test_store_comes_and_goes);
    qtest_add_func("/slice-store/refusals-say-what-and-why",
                   test_refusals_say_what_and_why);
    qtest_add_func("/slice-store/bad-arguments-change-nothing",
                   test_bad_arguments_change_nothing);
    qtest_add_func("/slice-store/older-orchestrator-is-refused",
                   test_older_orchestrator_is_refused);
    qtest_add_func("/slice-store/info-slices-fits-a-terminal",
                   test_info_slices_fits_a_terminal);
    qtest_add_data_func("/slice-store/restored-slice-is-fenced/accepted", "",
                        test_restored_slice_is_fenced);
    qtest_add_data_func("/slice-store/restored-slice-is-fenced/refused", NULL,
                        test_restored_slice_is_fenced);
    qtest_add_func("/slice-store/slice-without-flows-is-restored",
                   test_slice_without_flows_is_restored);
    qtest_add_func("/slice-store/moving-slice-blocks-migration",
                   test_moving_slice_blocks_migration);
    return g_test_run();
}
