// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stage.c - where benchmarks play: a cluster, and VMs beside it to compare with
 */
#include "stage.h"

#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

/* A thousand sessions need some 120 MB, see bench-drain.c. */
#define BIG_MEMORY_MB 768

void stage_say(Stage *stage, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("  ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

Stage *stage_new(GError **error)
{
    Stage *stage = g_new0(Stage, 1);

    stage->lab = lab_new("bench", error);
    if (stage->lab) {
        stage_say(stage, "guests run under %s%s", lab_acceleration(stage->lab),
                  strcmp(lab_acceleration(stage->lab), "kvm")
                      ? ": ratios mean something, times little" : "");
        stage->host = lab_host_new(stage->lab, "host1", error);
    }
    if (!stage->host) {
        stage_free(stage);
        return NULL;
    }
    return stage;
}

void stage_free(Stage *stage)
{
    if (stage) {
        lab_free(stage->lab);
        g_free(stage);
    }
}

static LabVm *boot(Stage *stage, const LabVmSpec *spec, GError **error)
{
    LabVm *vm = lab_vm_new(stage->host, spec, error);

    stage_say(stage, "booting %s", spec->name);
    return vm && lab_vm_boot(vm, error) ? vm : NULL;
}

/* ---- clusters ---- */

static bool boot_pair(Stage *stage, LabVm *vms[2], const LabVmSpec specs[2], GError **error)
{
    if ((!stage->client && !(stage->client = lab_client_new(stage->lab, 1, error))) ||
        (!stage->web[1] && !lab_sliced_start(stage->lab, stage->host, error))) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        vms[i] = boot(stage, &specs[i], error);
        if (!vms[i]) {
            return false;
        }
    }
    return lab_vm_wait_up(vms[0], STAGE_BOOT_MS, error) &&
           lab_vm_wait_up(vms[1], STAGE_BOOT_MS, error) &&
           lab_sliced_wait_ready(stage->lab, 2, error);
}

bool stage_need_cluster(Stage *stage, GError **error)
{
    LabVmSpec specs[2] = {
        { .name = "web1", .number = 1, .slices = true },
        { .name = "web2", .number = 2, .slices = true },
    };

    return stage->web[1] || boot_pair(stage, stage->web, specs, error);
}

/*
 * When all of its workers are busy, Apache closes every connection that is idle; a
 * drain keeps many busy, at its source with connections that have been unplugged and
 * at its target with those that arrive.  So they have more than in other guests.
 */
static bool give_workers(LabVm *vm, GError **error)
{
    g_autofree char *output = lab_vm_shell(
        vm,
        "set -e; printf 'ThreadLimit 128\\nThreadsPerChild 128\\nMaxRequestWorkers 128\\n'"
        " >/etc/apache2/conf-enabled/zz-crowd.conf; . /etc/apache2/envvars; apache2 -k stop;"
        "while pgrep -x apache2 >/dev/null; do :; done; apache2 -k start", error);

    return output != NULL;
}

bool stage_need_big(Stage *stage, GError **error)
{
    LabVm *others[] = { stage->web[0], stage->web[1], stage->gated, stage->base };
    LabVmSpec specs[2] = {
        { .name = "big1", .number = 5, .slices = true, .memory_mb = BIG_MEMORY_MB },
        { .name = "big2", .number = 6, .slices = true, .memory_mb = BIG_MEMORY_MB },
    };

    if (stage->big[1]) {
        return true;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        if (others[i] && !lab_vm_destroy(others[i], error)) {
            return false;
        }
    }
    return boot_pair(stage, stage->big, specs, error) && give_workers(stage->big[0], error) &&
           give_workers(stage->big[1], error) && lab_sliced_wait_ready(stage->lab, 2, error);
}

/* ---- VMs beside them ---- */

/*
 * One wire between it and cl2, above whatever sliced wants.  All VMs have one MAC, so
 * a switch that learns would not do.
 */
static bool wire(Stage *stage, LabVm *vm, const char *address, GError **error)
{
    const char *port = lab_vm_service_port(vm);
    g_autofree char *to = g_strdup_printf("priority=60000,ip,nw_dst=%s,actions=output:%s", address,
                                          port);
    g_autofree char *ask = g_strdup_printf("priority=60000,arp,arp_tpa=%s,actions=output:%s",
                                           address, port);
    g_autofree char *from = g_strdup_printf("priority=60000,in_port=%s,actions=output:%s", port,
                                            lab_client_port(stage->base_client));

    return lab_switch_flow(stage->lab, to, error) && lab_switch_flow(stage->lab, ask, error) &&
           lab_switch_flow(stage->lab, from, error);
}

/* Apache and PHP as Debian has them: without our module, our extension, our handler. */
static bool take_layers_out(LabVm *vm, GError **error)
{
    g_autofree char *output = lab_vm_shell(
        vm,
        "set -e; rm -f /etc/apache2/*-enabled/slice.* /etc/php/8.2/*/conf.d/30-slice.ini;"
        "pkill -x php-fpm8.2; while pgrep -x php-fpm8.2 >/dev/null; do :; done;"
        "php-fpm8.2 --daemonize; . /etc/apache2/envvars; apache2 -k stop;"
        "while pgrep -x apache2 >/dev/null; do :; done; apache2 -k start;"
        "if apache2 -M 2>/dev/null | grep slice_module; then exit 1; fi;"
        "if php-fpm8.2 -m 2>/dev/null | grep -x slice; then exit 1; fi", error);

    return output != NULL;
}

static LabVm *boot_beside(Stage *stage, const LabVmSpec *spec, GError **error)
{
    LabVm *vm;

    if (!stage->base_client && !(stage->base_client = lab_client_new(stage->lab, 2, error))) {
        return NULL;
    }
    vm = boot(stage, spec, error);
    return vm && lab_vm_wait_up(vm, STAGE_BOOT_MS, error) && take_layers_out(vm, error) &&
           wire(stage, vm, spec->service_address, error) ? vm : NULL;
}

bool stage_need_base(Stage *stage, GError **error)
{
    LabVmSpec spec = { .name = "base", .number = 3, .plain = true,
                       .service_address = BASE_ADDRESS };

    if (!stage->base) {
        stage->base = boot_beside(stage, &spec, error);
    }
    return stage->base != NULL;
}

bool stage_need_gated(Stage *stage, GError **error)
{
    LabVmSpec spec = { .name = "gated", .number = 4, .plain = true, .slices = true,
                       .service_address = GATED_ADDRESS };

    if (!stage->gated) {
        stage->gated = boot_beside(stage, &spec, error);
    }
    return stage->gated != NULL;
}

HttpConnection *stage_connect(LabClient *client, const char *address, GError **error)
{
    int fd = lab_client_socket(client, error);

    return fd < 0 ? NULL : http_connection_new(fd, address, 80, STAGE_TIMEOUT_MS, error);
}
