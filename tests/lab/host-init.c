// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * host-init.c - first process of a host in the lab (slice-lab-host)
 *
 * usage: slice-lab-host DIR PROGRAM ARGUMENT...
 *
 * A host is a PID and a mount namespace.  libvirtd writes to fixed places, so
 * these are DIR's own:
 *
 *   DIR/run    as /run, with the lab's Open vSwitch sockets in it
 *   DIR/etc    as /etc/libvirt        DIR/lib   as /var/lib/libvirt
 *   DIR/cache  as /var/cache/libvirt  DIR/log   as /var/log/libvirt
 *
 * It reaps what daemons leave behind, above all QEMU; when it dies, the kernel
 * kills everything of the host.  It dies with the process that started it.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what, const char *on)
{
    fprintf(stderr, "slice-lab-host: %s %s: %s\n", what, on, strerror(errno));
    exit(125);
}

static void bind_over(const char *dir, const char *name, const char *place)
{
    char from[4096];

    snprintf(from, sizeof(from), "%s%s%s", dir, *name ? "/" : "", name);
    mkdir(from, 0755);
    mkdir(place, 0755);
    if (mount(from, place, NULL, MS_BIND, NULL)) {
        die("mounting over", place);
    }
}

static void make_view(const char *dir)
{
    char path[4096];

    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
        die("making private the mounts of", "/");
    }
    bind_over(dir, "etc", "/etc/libvirt");
    bind_over(dir, "lib", "/var/lib/libvirt");
    bind_over(dir, "cache", "/var/cache/libvirt");
    bind_over(dir, "log", "/var/log/libvirt");
    snprintf(path, sizeof(path), "%s/run", dir);
    mkdir(path, 0755);
    snprintf(path, sizeof(path), "%s/run/openvswitch", dir);
    bind_over("/run/openvswitch", "", path);
    snprintf(path, sizeof(path), "%s/run", dir);
    if (mount(path, "/run", NULL, MS_BIND | MS_REC, NULL)) {
        die("mounting over", "/run");
    }
    if (mount("proc", "/proc", "proc", 0, NULL)) {
        die("mounting", "/proc");
    }
}

int main(int argc, char **argv)
{
    pid_t init, child, pid;
    int status = 0;

    if (argc < 3) {
        fprintf(stderr, "usage: slice-lab-host DIR PROGRAM ARGUMENT...\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (unshare(CLONE_NEWNS | CLONE_NEWPID)) {
        die("leaving the namespaces of", "the lab");
    }
    init = fork();
    if (init != 0) {
        while (waitpid(init, &status, 0) < 0 && errno == EINTR) {
            continue;
        }
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    }

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    make_view(argv[1]);
    child = fork();
    if (child == 0) {
        execvp(argv[2], argv + 2);
        die("running", argv[2]);
    }
    while ((pid = waitpid(-1, &status, 0)) != child) {
        if (pid < 0 && errno == ECHILD) {
            break;
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
