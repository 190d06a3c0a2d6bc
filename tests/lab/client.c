// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * client.c - clients: network namespaces on the service bridge; captures
 *
 * A socket belongs to the namespace that it was made in, so a test of any
 * thread may use a client's sockets without living there.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal.h"

struct LabClient {
    Lab *lab;
    char *name;
    char *address;
    char *address6;
    char *port;
    int netns;
};

struct LabCapture {
    Lab *lab;
    GPid pid;
    int errors;                 /* its standard error, open for as long as it runs */
};

char *lab_client_mac(LabClient *client)
{
    return g_strdup_printf("52:54:00:77:01:%02x", (guint)atoi(client->name + 2));
}

static bool set_up_link(LabClient *client, GError **error)
{
    g_autofree char *network = g_strdup_printf("%s/24", client->address);
    g_autofree char *network6 = g_strdup_printf("%s/64", client->address6);
    g_autofree char *mac = lab_client_mac(client);
    const char *n = client->name, *port = client->port;
    const char *const commands[][12] = {
        { "ip", "netns", "add", n },
        { "ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", n },
        { "ip", "-n", n, "link", "set", "eth0", "address", mac },
        { "ip", "netns", "exec", n, "ethtool", "-K", "eth0", "tx", "off" },
        { "ethtool", "-K", port, "tx", "off" },
        { "ip", "-n", n, "address", "add", network, "dev", "eth0" },
        { "ip", "-n", n, "address", "add", network6, "dev", "eth0", "nodad" },
        { "ip", "-n", n, "link", "set", "eth0", "up" },
        { "ip", "-n", n, "link", "set", "lo", "up" },
        { "ip", "link", "set", port, "up" },
        { "ovs-vsctl", "--timeout=20", "add-port", LAB_SERVICE_BRIDGE, port },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (!lab_command(client->lab, NULL, commands[i], NULL, error)) {
            return false;
        }
    }
    return true;
}

LabClient *lab_client_new(Lab *lab, unsigned int number, GError **error)
{
    LabClient *client = g_new0(LabClient, 1);
    g_autofree char *path = NULL;

    client->lab = lab;
    client->netns = -1;
    client->name = g_strdup_printf("cl%u", number);
    client->address = g_strdup_printf("10.77.0.%u", 100 + number);
    client->address6 = g_strdup_printf("fd77::%u", 100 + number);
    client->port = g_strdup_printf("cl%u-br", number);
    if (!set_up_link(client, error)) {
        lab_client_free(client);
        return NULL;
    }
    path = g_strdup_printf("/run/netns/%s", client->name);
    client->netns = open(path, O_RDONLY | O_CLOEXEC);
    if (client->netns < 0) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "opening %s: %s", path,
                    g_strerror(errno));
        lab_client_free(client);
        return NULL;
    }
    g_ptr_array_add(lab->clients, client);
    return client;
}

/* Namespace and port end with the lab. */
void lab_client_free(LabClient *client)
{
    if (client->netns >= 0) {
        close(client->netns);
    }
    g_free(client->name);
    g_free(client->address);
    g_free(client->address6);
    g_free(client->port);
    g_free(client);
}

Lab *lab_client_lab(LabClient *client)
{
    return client->lab;
}

const char *lab_client_name(LabClient *client)
{
    return client->name;
}

const char *lab_client_address(LabClient *client)
{
    return client->address;
}

const char *lab_client_address6(LabClient *client)
{
    return client->address6;
}

const char *lab_client_port(LabClient *client)
{
    return client->port;
}

int lab_client_netns(LabClient *client)
{
    return client->netns;
}

static int make_socket(LabClient *client, int family, int type, GError **error)
{
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    int fd = -1;

    if (home >= 0 && !setns(client->netns, CLONE_NEWNET)) {
        fd = socket(family, type | SOCK_CLOEXEC, 0);
        if (setns(home, CLONE_NEWNET)) {
            g_error("a thread cannot come back from %s: %s", client->name, g_strerror(errno));
        }
    }
    if (fd < 0) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "a socket in %s: %s", client->name,
                    g_strerror(errno));
    }
    if (home >= 0) {
        close(home);
    }
    return fd;
}

int lab_client_socket(LabClient *client, GError **error)
{
    return make_socket(client, AF_INET, SOCK_STREAM, error);
}

int lab_client_socket6(LabClient *client, GError **error)
{
    return make_socket(client, AF_INET6, SOCK_STREAM, error);
}

int lab_client_datagram_socket(LabClient *client, GError **error)
{
    return make_socket(client, AF_INET, SOCK_DGRAM, error);
}

/* ---- captures ---- */

typedef struct Place {
    int netns;
} Place;

static void enter_place(gpointer opaque)
{
    const Place *place = opaque;

    if (place->netns >= 0 && setns(place->netns, CLONE_NEWNET)) {
        _exit(126);
    }
}

/* tcpdump says "listening on" when its socket is there; until then it waits. */
static bool wait_listening(int fd, GError **error)
{
    g_autoptr(GString) text = g_string_new("");
    gint64 deadline = lab_deadline(LAB_TIMEOUT_MS);

    while (!strstr(text->str, "listening on")) {
        char data[512];
        ssize_t n;

        if (!lab_poll(fd, POLLIN, deadline, "tcpdump", error)) {
            return false;
        }
        n = read(fd, data, sizeof(data));
        if (n <= 0) {
            g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "tcpdump: %s", text->str);
            return false;
        }
        g_string_append_len(text, data, n);
    }
    return true;
}

LabCapture *lab_capture_new(Lab *lab, LabClient *client, const char *interface,
                            const char *file, GError **error)
{
    Place place = { client ? client->netns : -1 };
    const char *argv[] = { "tcpdump", "-i", client ? "eth0" : interface, "-n", "-U", "-Z", "root",
                           "--immediate-mode", "-B", "16384", "-s", "128", "-w", file, "tcp", NULL };
    LabCapture *capture;
    int errors;
    GPid pid;
    bool ready;

    if (!g_spawn_async_with_pipes(NULL, (char **)argv, NULL,
                                  G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD |
                                  G_SPAWN_STDOUT_TO_DEV_NULL,
                                  enter_place, &place, &pid, NULL, NULL, &errors, error)) {
        return NULL;
    }
    g_hash_table_add(lab->children, GINT_TO_POINTER(pid));
    ready = wait_listening(errors, error);
    if (!ready) {
        close(errors);
        lab_stop(lab, pid, SIGKILL);
        return NULL;
    }
    capture = g_new0(LabCapture, 1);
    capture->lab = lab;
    capture->pid = pid;
    capture->errors = errors;
    return capture;
}

bool lab_capture_stop(LabCapture *capture, GError **error)
{
    int status;

    if (!capture) {
        return true;
    }
    status = lab_stop(capture->lab, capture->pid, SIGINT);
    close(capture->errors);
    g_free(capture);
    return g_spawn_check_wait_status(status, error);
}
