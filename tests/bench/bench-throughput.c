// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench-throughput.c - what do layers and gate cost those who do not move?
 *
 * In turn, a fixed amount of work is done with and without, and its time taken.  The
 * order of the two changes from round to round, so that a drift favours nobody.
 *
 * The layers (slice.ko, mod_slice, PHP's session handler) are measured with the gate in
 * both VMs, the gate without the layers in both.
 */
#include "bench.h"

#define LAYER_ROUNDS 40
#define GATE_ROUNDS 20
#define CLICKERS 4
#define CLICKS 20               /* of each, in a round */
#define BLOB_MB 24              /* as large as a guest's memory allows */

/* A round's work. */
typedef struct Work {
    LabClient *client;
    const char *address;
    HttpConnection *connections[CLICKERS];
    uint64_t counters[CLICKERS];
    int next;                   /* thread number, atomic */
    GError *error;              /* of whichever thread was first */
    GMutex mutex;
} Work;

/* In a warm-up round (0) only caches are filled. */
static void end_round(Stage *stage, int round, int n_rounds, Result *result)
{
    if (!round) {
        series_forget(&result->measured);
        series_forget(&result->baseline);
        return;
    }
    if (round % 10 == 0) {
        stage_say(stage, "round %d of %d: medians %.3g and %.3g %s, ratio %.3f", round, n_rounds,
                  series_median(&result->measured), series_median(&result->baseline), result->unit,
                  result_ratio(result));
    }
}

static bool work_connect(Work *work, LabClient *client, const char *address, GError **error)
{
    work->client = client;
    work->address = address;
    g_mutex_init(&work->mutex);
    for (int i = 0; i < CLICKERS; i++) {
        work->connections[i] = stage_connect(client, address, error);
        if (!work->connections[i]) {
            return false;
        }
    }
    return true;
}

static void work_clear(Work *work)
{
    for (int i = 0; i < CLICKERS; i++) {
        http_connection_free(work->connections[i]);
    }
    g_clear_error(&work->error);
    g_mutex_clear(&work->mutex);
}

static gpointer click(gpointer opaque)
{
    Work *work = opaque;
    int i = g_atomic_int_add(&work->next, 1);
    GError *error = NULL;

    for (int n = 0; n < CLICKS && !error; n++) {
        HttpResponse response;

        if (http_get(work->connections[i], "/count.php", STAGE_TIMEOUT_MS, &response, &error)) {
            http_check_page(&response, &work->counters[i], &error);
        }
        http_response_clear(&response);
    }
    if (error) {
        g_mutex_lock(&work->mutex);
        if (!work->error) {
            work->error = g_steal_pointer(&error);
        }
        g_mutex_unlock(&work->mutex);
        g_clear_error(&error);
    }
    return NULL;
}

/* Adds requests per second. */
static bool click_round(Work *work, Series *series, GError **error)
{
    int64_t begin_ns = http_now_ns();
    GThread *threads[CLICKERS];

    g_atomic_int_set(&work->next, 0);
    for (int i = 0; i < CLICKERS; i++) {
        threads[i] = g_thread_new("clicker", click, work);
    }
    for (int i = 0; i < CLICKERS; i++) {
        g_thread_join(threads[i]);
    }
    if (work->error) {
        g_propagate_error(error, g_steal_pointer(&work->error));
        return false;
    }
    series_add(series, CLICKERS * CLICKS / ((http_now_ns() - begin_ns) / 1e9));
    return true;
}

bool bench_layers(Stage *stage, Result **results, GError **error)
{
    Work with = { 0 }, without = { 0 };
    bool ok = stage_need_cluster(stage, error) && stage_need_gated(stage, error) &&
              work_connect(&with, stage->client, LAB_CLUSTER_ADDRESS, error) &&
              work_connect(&without, stage->base_client, GATED_ADDRESS, error);

    for (int i = 0; ok && i <= LAYER_ROUNDS; i++) {
        ok = i % 2 ? click_round(&with, &results[0]->measured, error) &&
                     click_round(&without, &results[0]->baseline, error)
                   : click_round(&without, &results[0]->baseline, error) &&
                     click_round(&with, &results[0]->measured, error);
        if (ok) {
            end_round(stage, i, LAYER_ROUNDS, results[0]);
        }
    }
    work_clear(&with);
    work_clear(&without);
    return ok;
}

/* ---- the gate ---- */

static bool make_blob(LabVm *vm, GError **error)
{
    g_autofree char *script = g_strdup_printf(
        "head -c %d /dev/urandom >/var/www/html/blob.bin", BLOB_MB << 20);
    g_autofree char *output = lab_vm_shell(vm, script, error);

    return output != NULL;
}

/* Adds megabytes per second. */
static bool fetch_round(HttpConnection *http, Series *series, GError **error)
{
    HttpResponse response;
    int64_t begin_ns = http_now_ns();
    bool ok = http_get(http, "/blob.bin", STAGE_TIMEOUT_MS, &response, error);

    if (ok && (response.status != 200 || response.body_bytes != (uint64_t)BLOB_MB << 20)) {
        g_set_error(error, HTTP_ERROR, HTTP_ERROR_SYNTAX, "the blob came with status %u",
                    response.status);
        ok = false;
    }
    if (ok) {
        series_add(series, BLOB_MB / ((response.done_ns - begin_ns) / 1e9));
    }
    http_response_clear(&response);
    return ok;
}

bool bench_gate(Stage *stage, Result **results, GError **error)
{
    HttpConnection *with = NULL, *without = NULL;
    bool ok = stage_need_base(stage, error) && stage_need_gated(stage, error) &&
              make_blob(stage->base, error) && make_blob(stage->gated, error) &&
              (with = stage_connect(stage->base_client, GATED_ADDRESS, error)) &&
              (without = stage_connect(stage->base_client, BASE_ADDRESS, error));

    for (int i = 0; ok && i <= GATE_ROUNDS; i++) {
        ok = i % 2 ? fetch_round(with, &results[0]->measured, error) &&
                     fetch_round(without, &results[0]->baseline, error)
                   : fetch_round(without, &results[0]->baseline, error) &&
                     fetch_round(with, &results[0]->measured, error);
        if (ok) {
            end_round(stage, i, GATE_ROUNDS, results[0]);
        }
    }
    http_connection_free(with);
    http_connection_free(without);
    return ok;
}
