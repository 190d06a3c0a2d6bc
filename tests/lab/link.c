// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * link.c - a bad line between a client and the service bridge
 *
 *      client's namespace          this program           the lab
 *      eth0 (tap) ◄──────────── thread, two ways ────────► clN-br (tap) ─── br0
 *
 * The kernel here has no netem, so both ends are taps and this program is the
 * wire: a thread of each link reads frames from either end and writes them to
 * the other when they are due.  A capture at the client's eth0 sees what the
 * client really sent and received.
 *
 * Threads.  Settings and counts are under the link's lock; an eventfd wakes its
 * thread where new settings may matter to what waits.
 *
 * Below: way.c, /dev/net/tun.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"
#include "way.h"

#define N_WAYS 2

struct LabLink {
    LabClient *client;
    GMutex lock;
    Way *ways[N_WAYS];          /* by LabLinkWay */
    int ends[N_WAYS];           /* where frames of that way come from */
    int wake;
    bool ends_now;
    GThread *thread;
};

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* All that is due on both ways; returns when the next frame is, or -1. */
static int64_t deliver(LabLink *link)
{
    int64_t next = -1;

    for (int way = 0; way < N_WAYS; way++) {
        int64_t way_next;
        GBytes *frame;

        while ((frame = way_pop(link->ways[way], now_ns()))) {
            size_t bytes;
            const void *data = g_bytes_get_data(frame, &bytes);

            /* An end that is down or full loses it, as a wire would. */
            if (write(link->ends[!way], data, bytes) < 0 && errno != EIO && errno != EAGAIN) {
                g_warning("the link of %s: writing a frame: %s", lab_client_name(link->client),
                          g_strerror(errno));
            }
            g_bytes_unref(frame);
        }
        way_next = way_next_ns(link->ways[way]);
        if (way_next >= 0 && (next < 0 || way_next < next)) {
            next = way_next;
        }
    }
    return next;
}

static void take(LabLink *link, int way)
{
    uint8_t frame[WAY_FRAME_BYTES_MAX];
    ssize_t n;

    while ((n = read(link->ends[way], frame, sizeof(frame))) > 0) {
        g_mutex_lock(&link->lock);
        way_push(link->ways[way], frame, n, now_ns());
        g_mutex_unlock(&link->lock);
    }
}

static gpointer carry(gpointer opaque)
{
    LabLink *link = opaque;

    for (;;) {
        struct pollfd fds[N_WAYS + 1] = {
            { link->ends[0], POLLIN, 0 }, { link->ends[1], POLLIN, 0 }, { link->wake, POLLIN, 0 },
        };
        struct timespec wait = { 0 };
        int64_t next, left;
        uint64_t count;
        bool ends_now;

        g_mutex_lock(&link->lock);
        next = deliver(link);
        ends_now = link->ends_now;
        g_mutex_unlock(&link->lock);
        if (ends_now) {
            return NULL;
        }
        left = MAX(next - now_ns(), 0);
        wait.tv_sec = left / 1000000000;
        wait.tv_nsec = left % 1000000000;
        ppoll(fds, G_N_ELEMENTS(fds), next < 0 ? NULL : &wait, NULL);
        while (read(link->wake, &count, sizeof(count)) > 0) {
            continue;
        }
        take(link, 0);
        take(link, 1);
    }
}

static void wake(LabLink *link)
{
    uint64_t one = 1;

    if (write(link->wake, &one, sizeof(one)) < 0) {
        g_warning("waking a link: %s", g_strerror(errno));
    }
}

/* A tap of this name in the namespace that the thread is in; -1 and errno. */
static int make_tap(const char *name)
{
    struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    g_strlcpy(request.ifr_name, name, sizeof(request.ifr_name));
    if (fd >= 0 && ioctl(fd, TUNSETIFF, &request)) {
        int err = errno;

        close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

static bool make_ends(LabLink *link, GError **error)
{
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

    if (home >= 0 && !setns(lab_client_netns(link->client), CLONE_NEWNET)) {
        link->ends[LAB_LINK_FROM_CLIENT] = make_tap("eth0");
        if (setns(home, CLONE_NEWNET)) {
            g_error("a thread cannot come back from %s: %s", lab_client_name(link->client),
                    g_strerror(errno));
        }
        link->ends[LAB_LINK_TO_CLIENT] = make_tap(lab_client_port(link->client));
    }
    if (home >= 0) {
        close(home);
    }
    if (link->ends[0] < 0 || link->ends[1] < 0) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "the taps of %s's link: %s",
                    lab_client_name(link->client), g_strerror(errno));
        return false;
    }
    return true;
}

static bool run_all(Lab *lab, const char *const commands[][12], size_t n, GError **error)
{
    for (size_t i = 0; i < n; i++) {
        if (!lab_command(lab, NULL, commands[i], NULL, error)) {
            return false;
        }
    }
    return true;
}

/* Its IPv6 address, which a test may have switched off. */
static bool look_for_ipv6(Lab *lab, LabLink *link, bool *ret_has, GError **error)
{
    const char *show[] = { "ip", "-n", lab_client_name(link->client), "-6", "address", "show",
                           "dev", "eth0", NULL };
    g_autofree char *output = NULL;

    if (!lab_command(lab, NULL, show, &output, error)) {
        return false;
    }
    *ret_has = strstr(output, lab_client_address6(link->client));
    return true;
}

/* The client's wire goes; its interface comes back with the name and addresses it had. */
static bool replace_wire(Lab *lab, LabLink *link, GError **error)
{
    const char *n = lab_client_name(link->client), *port = lab_client_port(link->client);
    g_autofree char *network = g_strdup_printf("%s/24", lab_client_address(link->client));
    g_autofree char *network6 = g_strdup_printf("%s/64", lab_client_address6(link->client));
    g_autofree char *mac = lab_client_mac(link->client);
    const char *const before[][12] = {
        { "ovs-vsctl", "--timeout=20", "del-port", LAB_SERVICE_BRIDGE, port },
        { "ip", "link", "del", port },
    };
    const char *const after[][12] = {
        { "ip", "-n", n, "link", "set", "eth0", "address", mac },
        { "ip", "-n", n, "address", "add", network, "dev", "eth0" },
        { "ip", "-n", n, "link", "set", "eth0", "up" },
        { "ip", "link", "set", port, "up" },
        { "ovs-vsctl", "--timeout=20", "add-port", LAB_SERVICE_BRIDGE, port },
    };
    const char *const ipv6[][12] = {
        { "ip", "-n", n, "address", "add", network6, "dev", "eth0", "nodad" },
    };
    bool has_ipv6;

    return look_for_ipv6(lab, link, &has_ipv6, error) &&
           run_all(lab, before, G_N_ELEMENTS(before), error) && make_ends(link, error) &&
           (!has_ipv6 || run_all(lab, ipv6, G_N_ELEMENTS(ipv6), error)) &&
           run_all(lab, after, G_N_ELEMENTS(after), error);
}

LabLink *lab_link_new(Lab *lab, LabClient *client, uint64_t seed, GError **error)
{
    LabLink *link = g_new0(LabLink, 1);

    g_mutex_init(&link->lock);
    link->client = client;
    link->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    for (int way = 0; way < N_WAYS; way++) {
        link->ways[way] = way_new(seed * N_WAYS + way);
        link->ends[way] = -1;
    }
    if (!replace_wire(lab, link, error)) {
        lab_link_free(link);
        return NULL;
    }
    link->thread = g_thread_new("link", carry, link);
    g_ptr_array_add(lab->links, link);
    return link;
}

void lab_link_free(LabLink *link)
{
    if (link->thread) {
        g_mutex_lock(&link->lock);
        link->ends_now = true;
        g_mutex_unlock(&link->lock);
        wake(link);
        g_thread_join(link->thread);
    }
    for (int way = 0; way < N_WAYS; way++) {
        way_free(link->ways[way]);
        if (link->ends[way] >= 0) {
            close(link->ends[way]);
        }
    }
    close(link->wake);
    g_mutex_clear(&link->lock);
    g_free(link);
}

void lab_link_set(LabLink *link, LabLinkWay way, const LabLinkSettings *settings)
{
    g_mutex_lock(&link->lock);
    way_set(link->ways[way], settings);
    g_mutex_unlock(&link->lock);
    wake(link);
}

void lab_link_count(LabLink *link, LabLinkWay way, LabLinkCounts *ret_counts)
{
    g_mutex_lock(&link->lock);
    way_count(link->ways[way], ret_counts);
    g_mutex_unlock(&link->lock);
}
