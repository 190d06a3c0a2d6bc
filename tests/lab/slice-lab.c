// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * slice-lab.c - brings the demo cluster up for a person (`run shell`)
 *
 * usage: slice-lab up [VMS]      returns when the VMs serve; they go on
 *        slice-lab in VM COMMAND...   runs a command in a guest
 *        slice-lab client COMMAND...  runs a command where the client is
 *
 * `up` leaves a process of its own behind that holds the lab, and ends with
 * the namespace.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal.h"

#define VMS_MAX 8

static int complain(const GError *error)
{
    fprintf(stderr, "slice-lab: %s\n", error->message);
    return 1;
}

/* virsh without a URI then speaks to the lab's host. */
static bool point_virsh_to(LabHost *host, GError **error)
{
    g_autofree char *text = g_strdup_printf("uri_default = \"%s\"\n", lab_host_uri(host));

    g_mkdir_with_parents("/etc/libvirt", 0755);
    return g_file_set_contents("/etc/libvirt/libvirt.conf", text, -1, error);
}

static bool start_vms(LabHost *host, unsigned int n_vms, bool slices, GError **error)
{
    LabVm *vms[VMS_MAX];

    for (unsigned int i = 0; i < n_vms; i++) {
        g_autofree char *name = g_strdup_printf("web%u", i + 1);
        LabVmSpec spec = { .name = name, .number = i + 1, .slices = slices };

        vms[i] = lab_vm_new(host, &spec, error);
        if (!vms[i] || !lab_vm_boot(vms[i], error)) {
            return false;
        }
    }
    for (unsigned int i = 0; i < n_vms; i++) {
        if (!lab_vm_wait_up(vms[i], LAB_BOOT_TIMEOUT_MS, error)) {
            return false;
        }
        printf("  %s serves\n", lab_vm_name(vms[i]));
    }
    return true;
}

/* Without sliced (not built) the first VM gets all traffic, so that something works. */
static bool bring_up(Lab **ret_lab, unsigned int n_vms, GError **error)
{
    Lab *lab = *ret_lab = lab_new("shell", error);
    g_autoptr(GError) absent = NULL;
    LabHost *host;

    if (!lab) {
        return false;
    }
    printf("Guests run under %s.\n", lab_acceleration(lab));
    host = lab_host_new(lab, "host1", error);
    if (!host || !point_virsh_to(host, error) || !lab_client_new(lab, 1, error)) {
        return false;
    }
    if (!lab_sliced_start(lab, host, &absent)) {
        printf("No orchestrator: %s\n", absent->message);
    }
    if (!start_vms(host, n_vms, lab_has_slices(lab), error)) {
        return false;
    }
    if (!absent && lab_has_slices(lab) && !lab_sliced_wait_ready(lab, n_vms, &absent)) {
        /* Somebody who looks into it is better served by a lab than by none. */
        printf("%s\n", absent->message);
        return true;
    }
    if (!absent) {
        return true;
    }
    return lab_switch_steer(lab, g_ptr_array_index(host->vms, 0), error);
}

static void explain(Lab *lab)
{
    printf("\n"
           "  curl                          slice-lab client curl -s http://%s/\n"
           "  what runs where               slicectl slice list; slicectl vm list\n"
           "  the hypervisor's view         virsh qemu-monitor-command web1 --hmp 'info slices'\n"
           "  a command in a guest          slice-lab in web1 ps\n"
           "  the switch                    ovs-ofctl -O OpenFlow14 --names dump-flows br0\n"
           "  logs                          %s\n\n", LAB_CLUSTER_ADDRESS, lab->dir);
}

static int command_up(int argc, char **argv)
{
    unsigned int n_vms = argc > 0 ? strtoul(argv[0], NULL, 10) : 2;
    g_autoptr(GError) error = NULL;
    int ready[2], result = 1;
    Lab *lab = NULL;

    if (n_vms < 1 || n_vms > VMS_MAX || pipe(ready)) {
        fprintf(stderr, "slice-lab: 1 to %d VMs\n", VMS_MAX);
        return 2;
    }
    if (fork()) {
        close(ready[1]);
        return read(ready[0], &result, sizeof(result)) == sizeof(result) ? result : 1;
    }
    setsid();
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    if (!bring_up(&lab, n_vms, &error)) {
        complain(error);
        lab_free(lab);
        return 1;
    }
    explain(lab);
    fflush(stdout);
    result = 0;
    if (write(ready[1], &result, sizeof(result)) != sizeof(result)) {
        return 1;
    }
    close(ready[1]);
    for (guint i = 0; i < lab->hosts->len; i++) {
        lab_host_hang_up(g_ptr_array_index(lab->hosts, i));
    }
    for (;;) {
        pause();
    }
}

static int command_in(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL, *output = NULL;
    LabHand *hand;
    int status;

    if (argc < 2) {
        fprintf(stderr, "usage: slice-lab in VM COMMAND...\n");
        return 2;
    }
    path = g_strdup_printf("/var/lib/slice-lab/%s.hand", argv[0]);
    hand = lab_hand_new(path, 5000, &error);
    if (!hand || !lab_hand_run(hand, (const char *const *)argv + 1, NULL, 3600 * 1000, &output,
                               &status, &error)) {
        return complain(error);
    }
    fputs(output, stdout);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int command_client(int argc, char **argv)
{
    const char *words[] = { "ip", "netns", "exec", "cl1" };
    g_autofree const char **line = g_new0(const char *, G_N_ELEMENTS(words) + argc + 1);

    memcpy(line, words, sizeof(words));
    memcpy(line + G_N_ELEMENTS(words), argv, argc * sizeof(*argv));
    execvp("ip", (char **)line);
    perror("slice-lab: ip");
    return 127;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } commands[] = {
        { "up", command_up },
        { "in", command_in },
        { "client", command_client },
    };

    for (size_t i = 0; argc > 1 && i < G_N_ELEMENTS(commands); i++) {
        if (!strcmp(argv[1], commands[i].name)) {
            return commands[i].run(argc - 2, argv + 2);
        }
    }
    fprintf(stderr, "usage: slice-lab up [VMS] | in VM COMMAND... | client COMMAND...\n");
    return 2;
}
