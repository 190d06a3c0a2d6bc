// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * clicker.c - a client that never rests, and what it noticed
 */
#include "clicker.h"

#include <math.h>

#define ANSWER_TIMEOUT_MS 60000

typedef struct Answer {
    int64_t sent_ns, first_ns, done_ns, longest_gap_ns;
} Answer;

struct Clicker {
    HttpConnection *http;
    char *page;
    GThread *thread;
    GMutex mutex;
    GCond answered;
    GArray *answers;            /* of Answer */
    GError *error;
    bool stop;
    bool is_over;
};

static bool click(Clicker *clicker, uint64_t *counter)
{
    HttpResponse response;
    bool ok = http_get(clicker->http, clicker->page, ANSWER_TIMEOUT_MS, &response,
                       &clicker->error) &&
              http_check_page(&response, counter, &clicker->error);
    Answer answer = { response.sent_ns, response.first_ns, response.done_ns,
                      response.longest_gap_ns };
    bool goes_on;

    g_mutex_lock(&clicker->mutex);
    if (ok) {
        g_array_append_val(clicker->answers, answer);
    }
    clicker->is_over = clicker->stop || !ok;
    goes_on = !clicker->is_over;
    g_cond_broadcast(&clicker->answered);
    g_mutex_unlock(&clicker->mutex);
    http_response_clear(&response);
    return goes_on;
}

static gpointer run(gpointer opaque)
{
    uint64_t counter = 0;

    while (click(opaque, &counter)) {
        continue;
    }
    return NULL;
}

Clicker *clicker_new(HttpConnection *http, const char *page)
{
    Clicker *clicker = g_new0(Clicker, 1);

    clicker->http = http;
    clicker->page = g_strdup(page);
    clicker->answers = g_array_new(FALSE, FALSE, sizeof(Answer));
    g_mutex_init(&clicker->mutex);
    g_cond_init(&clicker->answered);
    clicker->thread = g_thread_new("clicker", run, clicker);
    return clicker;
}

bool clicker_stop(Clicker *clicker, GError **error)
{
    g_mutex_lock(&clicker->mutex);
    clicker->stop = true;
    g_mutex_unlock(&clicker->mutex);
    if (clicker->thread) {
        g_thread_join(g_steal_pointer(&clicker->thread));
    }
    if (clicker->error) {
        g_propagate_error(error, g_steal_pointer(&clicker->error));
        return false;
    }
    return true;
}

void clicker_free(Clicker *clicker)
{
    if (clicker) {
        clicker_stop(clicker, NULL);
        http_connection_free(clicker->http);
        g_array_unref(clicker->answers);
        g_clear_error(&clicker->error);
        g_mutex_clear(&clicker->mutex);
        g_cond_clear(&clicker->answered);
        g_free(clicker->page);
        g_free(clicker);
    }
}

uint16_t clicker_port(Clicker *clicker)
{
    return http_local_port(clicker->http);
}

bool clicker_wait(Clicker *clicker, unsigned int n)
{
    guint wanted;
    bool ok;

    g_mutex_lock(&clicker->mutex);
    wanted = clicker->answers->len + n;
    while (clicker->answers->len < wanted && !clicker->is_over) {
        g_cond_wait(&clicker->answered, &clicker->mutex);
    }
    ok = clicker->answers->len >= wanted;
    g_mutex_unlock(&clicker->mutex);
    return ok;
}

static int compare(gconstpointer a, gconstpointer b)
{
    double one = *(const double *)a, other = *(const double *)b;

    return one < other ? -1 : one > other;
}

double clicker_stall_ms(Clicker *clicker, int64_t begin_ns, int64_t end_ns)
{
    g_autoptr(GArray) usual = g_array_new(FALSE, FALSE, sizeof(double));
    double longest = 0;

    g_mutex_lock(&clicker->mutex);
    for (guint i = 0; i < clicker->answers->len; i++) {
        const Answer *answer = &g_array_index(clicker->answers, Answer, i);
        double ms = (answer->done_ns - answer->sent_ns) / 1e6;

        if (answer->done_ns < begin_ns) {
            g_array_append_val(usual, ms);
        } else if (answer->sent_ns <= end_ns) {
            longest = fmax(longest, ms);
        }
    }
    g_mutex_unlock(&clicker->mutex);
    if (!usual->len) {
        return longest;
    }
    g_array_sort(usual, compare);
    return fmax(longest - g_array_index(usual, double, usual->len / 2), 0);
}

double clicker_gap_ms(Clicker *clicker, int64_t begin_ns, int64_t end_ns)
{
    double longest = 0;

    g_mutex_lock(&clicker->mutex);
    for (guint i = 0; i < clicker->answers->len; i++) {
        const Answer *answer = &g_array_index(clicker->answers, Answer, i);

        if (answer->sent_ns <= end_ns && answer->done_ns >= begin_ns) {
            longest = fmax(longest, answer->longest_gap_ns / 1e6);
        }
    }
    g_mutex_unlock(&clicker->mutex);
    return longest;
}
