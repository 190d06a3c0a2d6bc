// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * port.c - see port.h
 *
 * Linux reports a hang-up for as long as nobody has the other end open, and
 * nothing wakes a poll when somebody opens it: so after a hang-up the port is
 * looked at again every RETRY_MS.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <gio/gio.h>
#include <glib-unix.h>

#include "port.h"

#define RETRY_MS 500
#define LINE_BYTES_MAX 65536
#define PORTS_DIR "/sys/class/virtio-ports"

/**
 * struct SlicePort - an open port
 * @in: of a line that has not ended yet
 * @skips: that line is too long: to its end it is thrown away
 * @out: what could not be sent yet; while there is any, nothing is read
 * @source: of the main loop: 0 or readable, writable, or the next try
 */
struct SlicePort {
    int fd;
    SlicePortLine line;
    gpointer data;
    GByteArray *in;
    gboolean skips;
    GByteArray *out;
    guint source;
};

static void wait_for_port(SlicePort *port);

char *slice_port_find(const char *name)
{
    g_autoptr(GDir) dir = g_dir_open(PORTS_DIR, 0, NULL);
    const char *entry;

    while (dir && (entry = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(PORTS_DIR, entry, "name",
                                                 NULL);
        g_autofree char *text = NULL;

        if (g_file_get_contents(path, &text, NULL, NULL) &&
            !strcmp(g_strchomp(text), name)) {
            return g_build_filename("/dev", entry, NULL);
        }
    }
    return NULL;
}

static void reset(SlicePort *port)
{
    g_byte_array_set_size(port->in, 0);
    g_byte_array_set_size(port->out, 0);
    port->skips = FALSE;
}

static void end_line(SlicePort *port)
{
    g_autofree char *answer = NULL;

    if (!port->skips) {
        answer = port->line((const char *)port->in->data, port->in->len,
                            port->data);
    }
    if (answer) {
        g_byte_array_append(port->out, (const guint8 *)answer,
                            (guint)strlen(answer));
    }
    g_byte_array_set_size(port->in, 0);
    port->skips = FALSE;
}

static void take(SlicePort *port, const guint8 *data, gsize bytes)
{
    for (gsize i = 0; i < bytes; i++) {
        if (data[i] == '\n') {
            end_line(port);
        } else if (port->in->len == LINE_BYTES_MAX) {
            port->skips = TRUE;
        } else if (!port->skips) {
            g_byte_array_append(port->in, &data[i], 1);
        }
    }
}

static void send_some(SlicePort *port)
{
    gssize n;

    if (!port->out->len) {
        return;
    }
    n = write(port->fd, port->out->data, port->out->len);
    if (n > 0) {
        g_byte_array_remove_range(port->out, 0, (guint)n);
    } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
        reset(port);
    }
}

static gboolean retry(gpointer data)
{
    SlicePort *port = data;

    port->source = 0;
    wait_for_port(port);
    return G_SOURCE_REMOVE;
}

static gboolean port_ready(gint fd, GIOCondition condition, gpointer data)
{
    SlicePort *port = data;
    guint8 buffer[4096];
    gssize n = 0;

    port->source = 0;
    send_some(port);
    if (!port->out->len && (condition & G_IO_IN)) {
        n = read(port->fd, buffer, sizeof(buffer));
    }
    if (n > 0) {
        take(port, buffer, (gsize)n);
        send_some(port);
    }
    if ((condition & (G_IO_HUP | G_IO_ERR)) && n <= 0) {
        reset(port);
        port->source = g_timeout_add(RETRY_MS, retry, port);
    } else {
        wait_for_port(port);
    }
    return G_SOURCE_REMOVE;
}

static void wait_for_port(SlicePort *port)
{
    port->source = g_unix_fd_add(port->fd,
                                 port->out->len ? G_IO_OUT : G_IO_IN,
                                 port_ready, port);
}

SlicePort *slice_port_new(const char *path, SlicePortLine line, gpointer data,
                          GError **error)
{
    SlicePort *port;
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

    if (fd < 0) {
        int err = errno;

        g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(err),
                    "cannot open %s: %s", path, g_strerror(err));
        return NULL;
    }
    port = g_new0(SlicePort, 1);
    port->fd = fd;
    port->line = line;
    port->data = data;
    port->in = g_byte_array_new();
    port->out = g_byte_array_new();
    wait_for_port(port);
    return port;
}

void slice_port_free(SlicePort *port)
{
    if (!port) {
        return;
    }
    if (port->source) {
        g_source_remove(port->source);
    }
    g_byte_array_unref(port->in);
    g_byte_array_unref(port->out);
    close(port->fd);
    g_free(port);
}
