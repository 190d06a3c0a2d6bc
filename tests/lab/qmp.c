// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qmp.c - a plain QMP client with deadlines
 *
 * One line is one JSON object.  Events that arrive while an answer is awaited
 * wait in a queue.
 */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "internal.h"

struct LabQmp {
    int fd;
    GString *inbox;
    GQueue events;              /* JsonObject */
};

static JsonObject *parse_line(const char *line, GError **error)
{
    g_autoptr(JsonNode) node = json_from_string(line, error);

    if (!node) {
        return NULL;
    }
    if (!JSON_NODE_HOLDS_OBJECT(node)) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "QMP: not an object: %s", line);
        return NULL;
    }
    return json_node_dup_object(node);
}

static JsonObject *read_object(LabQmp *qmp, gint64 deadline, GError **error)
{
    char *end;

    while (!(end = strchr(qmp->inbox->str, '\n'))) {
        char data[8192];
        ssize_t n;

        if (!lab_poll(qmp->fd, POLLIN, deadline, "QMP", error)) {
            return NULL;
        }
        n = recv(qmp->fd, data, sizeof(data), 0);
        if (n <= 0) {
            g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "QMP: the connection is closed");
            return NULL;
        }
        g_string_append_len(qmp->inbox, data, n);
    }

    g_autofree char *line = g_strndup(qmp->inbox->str, end - qmp->inbox->str);

    g_string_erase(qmp->inbox, 0, end - qmp->inbox->str + 1);
    return parse_line(line, error);
}

LabQmp *lab_qmp_new(const char *path, unsigned int timeout_ms, GError **error)
{
    gint64 deadline = lab_deadline(timeout_ms);
    int fd = lab_connect_unix(path, deadline, error);
    g_autoptr(JsonObject) greeting = NULL;
    g_autoptr(JsonNode) answer = NULL;
    LabQmp *qmp;

    if (fd < 0) {
        return NULL;
    }
    qmp = g_new0(LabQmp, 1);
    qmp->fd = fd;
    qmp->inbox = g_string_new("");
    greeting = read_object(qmp, deadline, error);
    if (greeting) {
        answer = lab_qmp_execute(qmp, "qmp_capabilities", NULL, error);
    }
    if (!answer) {
        lab_qmp_free(qmp);
        return NULL;
    }
    return qmp;
}

void lab_qmp_free(LabQmp *qmp)
{
    close(qmp->fd);
    g_string_free(qmp->inbox, TRUE);
    g_queue_clear_full(&qmp->events, (GDestroyNotify)json_object_unref);
    g_free(qmp);
}

JsonNode *lab_qmp_execute(LabQmp *qmp, const char *command, const char *arguments,
                          GError **error)
{
    g_autofree char *line = arguments
        ? g_strdup_printf("{\"execute\":\"%s\",\"arguments\":%s}\n", command, arguments)
        : g_strdup_printf("{\"execute\":\"%s\"}\n", command);
    gint64 deadline = lab_deadline(LAB_TIMEOUT_MS);

    if (send(qmp->fd, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line)) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "QMP: the connection is closed");
        return NULL;
    }
    for (;;) {
        g_autoptr(JsonObject) object = read_object(qmp, deadline, error);

        if (!object) {
            return NULL;
        }
        if (json_object_has_member(object, "return")) {
            return json_node_copy(json_object_get_member(object, "return"));
        }
        if (json_object_has_member(object, "error")) {
            g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "QMP %s: %s", command,
                        json_object_get_string_member(json_object_get_object_member(object, "error"),
                                                      "desc"));
            return NULL;
        }
        if (json_object_has_member(object, "event")) {
            g_queue_push_tail(&qmp->events, g_steal_pointer(&object));
        }
    }
}

static JsonObject *take_event(LabQmp *qmp, const char *name)
{
    for (GList *link = qmp->events.head; link; link = link->next) {
        JsonObject *object = link->data;

        if (!strcmp(json_object_get_string_member(object, "event"), name)) {
            g_queue_delete_link(&qmp->events, link);
            return object;
        }
    }
    return NULL;
}

JsonObject *lab_qmp_wait_event(LabQmp *qmp, const char *name,
                               unsigned int timeout_ms, GError **error)
{
    gint64 deadline = lab_deadline(timeout_ms);
    JsonObject *object;

    while (!(object = take_event(qmp, name))) {
        object = read_object(qmp, deadline, error);
        if (!object) {
            g_prefix_error(error, "waiting for %s: ", name);
            return NULL;
        }
        if (json_object_has_member(object, "event")) {
            g_queue_push_tail(&qmp->events, object);
        } else {
            json_object_unref(object);
        }
    }
    return object;
}
