// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * catalogue.c - which benchmarks there are, and what they should come to
 */
#include "catalogue.h"

#include <math.h>

#define NO_GOAL { .value = NAN }
#define RATIO_AT_MOST(x) { .is_ratio = true, .direction = AT_MOST, .value = (x) }
#define RATIO_AT_LEAST(x) { .is_ratio = true, .direction = AT_LEAST, .value = (x) }
#define AT_LEAST_ITSELF(x) { .is_ratio = false, .direction = AT_LEAST, .value = (x) }

const Family catalogue[] = {
    { bench_flow, NULL, {
        { "flow.change", "until the switch has said that a connection leads elsewhere", "us",
          "sliced", "ovs-ofctl", NO_GOAL } } },
    { bench_gate, NULL, {
        { "gate.throughput", "a file of 24 MB, over a connection that is no slice's", "MB/s",
          "with the gate", "without", RATIO_AT_LEAST(0.98), true } } },
    { bench_layers, NULL, {
        { "layers.throughput", "small PHP pages a second, 4 clients, behind a gate", "1/s",
          "with layers", "without", RATIO_AT_LEAST(0.98), true } } },
    { bench_move, NULL, {
        { "move.stall", "how much longer a client that clicks without pause waits for an answer",
          "ms", "a session moves", "its VM migrates", RATIO_AT_MOST(0.015) },
        { "move.total", "from the command to its end", "ms", "slicectl move", "virsh migrate",
          NO_GOAL },
        { "move.bytes", "what is carried to the other hypervisor", "KiB", "a session",
          "its VM", NO_GOAL } } },
    { bench_download, NULL, {
        { "move.stall.download", "the longest silence within downloads of 4 MB", "ms",
          "a session moves", "its VM migrates", RATIO_AT_MOST(0.05) } } },
    { bench_drain, NULL, {
        { "drain.rate.10", "idle sessions that leave a VM in a second, of 10", "1/s", "drained",
          NULL, NO_GOAL },
        { "drain.rate.100", "idle sessions that leave a VM in a second, of 100", "1/s",
          "drained", NULL, AT_LEAST_ITSELF(200) },
        { "drain.rate.1000", "idle sessions that leave a VM in a second, of 1000", "1/s",
          "of 1000", "of 100", RATIO_AT_LEAST(0.8) } } },
};
const size_t catalogue_n_families = G_N_ELEMENTS(catalogue);

bool catalogue_wants(const Family *family, char **names)
{
    for (int i = 0; i < FAMILY_MAX && family->definitions[i].name; i++) {
        if (!names || g_strv_contains((const char *const *)names, family->definitions[i].name)) {
            return true;
        }
    }
    return false;
}

bool catalogue_has_name(const char *name)
{
    char *names[] = { (char *)name, NULL };

    for (size_t i = 0; i < catalogue_n_families; i++) {
        if (catalogue_wants(&catalogue[i], names)) {
            return true;
        }
    }
    return false;
}

void catalogue_results(const Family *family, Result *ret_results[FAMILY_MAX])
{
    for (int i = 0; i < FAMILY_MAX; i++) {
        const Definition *definition = &family->definitions[i];

        ret_results[i] = NULL;
        if (definition->name) {
            ret_results[i] = result_new(definition->name, definition->what, definition->unit,
                                        definition->measured, definition->baseline);
            ret_results[i]->goal = definition->goal;
            ret_results[i]->is_paired = definition->is_paired;
        }
    }
}
