// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hand.c - runs programs in a guest for the lab (slice-guest-hand)
 *
 * One process, one epoll.  The port is watched edge-triggered: while no host
 * is connected it reports a hang-up for ever, which is news only once.
 * Statically linked with libc only, so that it runs in any guest.
 *
 * Above: tests/lab/hand.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <dirent.h>

#include "hand.h"

#define JOBS_MAX 16
#define ARGS_MAX 64

/* What epoll_event.data.u64 names. */
#define SOURCE_PORT 0
#define SOURCE_CHILD 1
#define SOURCE_PIPE(job, which) (2 + (uint64_t)(job) * 2 + (which))

struct Job {
    uint32_t id;
    pid_t pid;          /* 0: this place is free */
    int input;          /* -1 when closed */
    int output[2];      /* its stdout and stderr; -1 after their end */
    int status;
    bool exited;
};

static struct Job jobs[JOBS_MAX];
static int port = -1;
static int poller = -1;
static uint8_t inbox[sizeof(struct HandFrame) + HAND_BYTES_MAX];
static size_t inbox_bytes;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* The device node whose port has our name; there is no udev in a guest. */
static int open_port(void)
{
    struct dirent *entry;
    DIR *dir = opendir("/sys/class/virtio-ports");
    int fd = -1;

    while (dir && fd < 0 && (entry = readdir(dir))) {
        char path[300], name[64] = "";
        FILE *file;

        snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", entry->d_name);
        file = fopen(path, "re");
        if (!file) {
            continue;
        }
        if (fgets(name, sizeof(name), file) && !strcmp(name, HAND_PORT "\n")) {
            snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
            fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        }
        fclose(file);
    }
    if (dir) {
        closedir(dir);
    }
    return fd;
}

/* Write all; a host that has gone swallows it (the hang-up cleans up). */
static void send_frame(enum HandType type, uint32_t id, const void *data, size_t bytes)
{
    static uint8_t frame[sizeof(struct HandFrame) + HAND_BYTES_MAX];
    struct HandFrame header = { HAND_MAGIC, type, id, bytes };
    size_t done = 0, total = sizeof(header) + bytes;

    memcpy(frame, &header, sizeof(header));
    if (bytes) {
        memcpy(frame + sizeof(header), data, bytes);
    }
    fcntl(port, F_SETFL, 0);
    while (done < total) {
        ssize_t n = write(port, frame + done, total - done);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        done += n;
    }
    fcntl(port, F_SETFL, O_NONBLOCK);
}

static struct Job *find_job(uint32_t id)
{
    for (int i = 0; i < JOBS_MAX; i++) {
        if (jobs[i].pid && jobs[i].id == id) {
            return &jobs[i];
        }
    }
    return NULL;
}

static void close_input(struct Job *job)
{
    if (job->input >= 0) {
        close(job->input);
        job->input = -1;
    }
}

/* A job has ended when it has exited and both its outputs have. */
static void finish_if_done(struct Job *job)
{
    uint32_t status = job->status;

    if (!job->exited || job->output[0] >= 0 || job->output[1] >= 0) {
        return;
    }
    close_input(job);
    send_frame(HAND_EXIT, job->id, &status, sizeof(status));
    job->pid = 0;
}

static void fail_run(uint32_t id, const char *why)
{
    uint32_t status = 127 << 8;

    send_frame(HAND_ERRORS, id, why, strlen(why));
    send_frame(HAND_EXIT, id, &status, sizeof(status));
}

static void exec_child(char **argv, int input, int output, int errors)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    dup2(input, 0);
    dup2(output, 1);
    dup2(errors, 2);
    execvp(argv[0], argv);
    dprintf(2, "slice-guest-hand: cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static void run(uint32_t id, char *args, size_t bytes)
{
    char *argv[ARGS_MAX + 1];
    int input[2], output[2], errors[2], argc = 0, place = 0;
    struct Job *job;

    if (bytes == 0 || args[bytes - 1] != '\0') {
        fail_run(id, "slice-guest-hand: arguments must end with a zero\n");
        return;
    }
    for (size_t i = 0; i < bytes && argc < ARGS_MAX; i += strlen(args + i) + 1) {
        argv[argc++] = args + i;
    }
    argv[argc] = NULL;
    while (place < JOBS_MAX && jobs[place].pid) {
        place++;
    }
    if (place == JOBS_MAX || pipe2(input, O_CLOEXEC) || pipe2(output, O_CLOEXEC) ||
        pipe2(errors, O_CLOEXEC)) {
        fail_run(id, "slice-guest-hand: too many programs\n");
        return;
    }
    job = &jobs[place];
    *job = (struct Job){ id, 0, input[1], { output[0], errors[0] }, 0, false };
    job->pid = fork();
    if (job->pid == 0) {
        exec_child(argv, input[0], output[1], errors[1]);
    }
    close(input[0]);
    close(output[1]);
    close(errors[1]);
    for (int i = 0; i < 2; i++) {
        struct epoll_event event = { EPOLLIN, { .u64 = SOURCE_PIPE(place, i) } };

        epoll_ctl(poller, EPOLL_CTL_ADD, job->output[i], &event);
    }
}

static void take_frame(const struct HandFrame *header, char *data)
{
    struct Job *job = find_job(header->id);
    char name[64] = "";
    int32_t signal_number;

    switch (header->type) {
    case HAND_HELLO:
        gethostname(name, sizeof(name) - 1);
        send_frame(HAND_HELLO, header->id, name, strlen(name));
        break;
    case HAND_RUN:
        run(header->id, data, header->bytes);
        break;
    case HAND_INPUT:
        if (job && job->input >= 0 &&
            (!header->bytes || write(job->input, data, header->bytes) < 0)) {
            close_input(job);
        }
        break;
    case HAND_KILL:
        if (job && header->bytes == sizeof(signal_number)) {
            memcpy(&signal_number, data, sizeof(signal_number));
            kill(-job->pid, signal_number);
        }
        break;
    }
}

/* Skip to the next magic number: the host before this one may have been cut
 * off in the middle of a frame. */
static void take_inbox(void)
{
    struct HandFrame header;
    size_t at = 0;

    while (inbox_bytes - at >= sizeof(header)) {
        memcpy(&header, inbox + at, sizeof(header));
        if (header.magic != HAND_MAGIC || header.bytes > HAND_BYTES_MAX) {
            at++;
            continue;
        }
        if (inbox_bytes - at < sizeof(header) + header.bytes) {
            break;
        }
        take_frame(&header, (char *)inbox + at + sizeof(header));
        at += sizeof(header) + header.bytes;
    }
    memmove(inbox, inbox + at, inbox_bytes - at);
    inbox_bytes -= at;
}

static void read_port(void)
{
    for (;;) {
        ssize_t n = read(port, inbox + inbox_bytes, sizeof(inbox) - inbox_bytes);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return;
        }
        inbox_bytes += n;
        take_inbox();
    }
}

static void host_has_gone(void)
{
    inbox_bytes = 0;
    for (int i = 0; i < JOBS_MAX; i++) {
        if (jobs[i].pid && !jobs[i].exited) {
            kill(-jobs[i].pid, SIGKILL);
        }
    }
}

static void read_pipe(struct Job *job, int which)
{
    char data[HAND_BYTES_MAX];
    ssize_t n = read(job->output[which], data, sizeof(data));

    if (n > 0) {
        send_frame(which ? HAND_ERRORS : HAND_OUTPUT, job->id, data, n);
    } else if (n == 0 || errno != EINTR) {
        close(job->output[which]);
        job->output[which] = -1;
        finish_if_done(job);
    }
}

static void reap(int signals)
{
    struct signalfd_siginfo info;
    pid_t pid;
    int status;

    while (read(signals, &info, sizeof(info)) > 0) {
        continue;
    }
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (int i = 0; i < JOBS_MAX; i++) {
            if (jobs[i].pid == pid) {
                jobs[i].status = status;
                jobs[i].exited = true;
                finish_if_done(&jobs[i]);
            }
        }
    }
}

int main(void)
{
    struct epoll_event event = { EPOLLIN | EPOLLET, { .u64 = SOURCE_PORT } };
    sigset_t child;
    int signals;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    signals = signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
    poller = epoll_create1(EPOLL_CLOEXEC);
    port = open_port();
    if (port < 0) {
        die("slice-guest-hand: no port " HAND_PORT);
    }
    epoll_ctl(poller, EPOLL_CTL_ADD, port, &event);
    event = (struct epoll_event){ EPOLLIN, { .u64 = SOURCE_CHILD } };
    epoll_ctl(poller, EPOLL_CTL_ADD, signals, &event);

    for (;;) {
        if (epoll_wait(poller, &event, 1, -1) != 1) {
            continue;
        }
        if (event.data.u64 == SOURCE_PORT) {
            /* After a restore both come at once: what is there to be read is
             * the new host's, and its jobs must not end with the old one's. */
            if (event.events & EPOLLHUP) {
                host_has_gone();
            }
            if (event.events & EPOLLIN) {
                read_port();
            }
        } else if (event.data.u64 == SOURCE_CHILD) {
            reap(signals);
        } else {
            uint64_t source = event.data.u64 - SOURCE_PIPE(0, 0);

            read_pipe(&jobs[source / 2], source % 2);
        }
    }
}
