/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domain-xml.c - our part of a domain's XML
 *
 * GLib's parser knows no namespaces: the prefix that is bound to ours is taken from the xmlns attribute
 * of our outermost element, where libvirt keeps it.
 */
#include "domain.h"

#include <string.h>

#include "util/error.h"

#define NAMESPACE "urn:slice:domain:1"

typedef struct {
    char *prefix; /* with colon; NULL outside our metadata */
    gboolean ours;
    char *qmp_path;
    char *host, *stream_port;
    char *bridge;
    char *weight;
    GPtrArray *nics; /* alternating: bridge, target; per interface */
    char *nic_bridge, *nic_target;
    gboolean in_interface;
} Reading;

static const char *attribute(const char **names, const char **values,
                             const char *name)
{
    for (guint i = 0; names[i]; i++) {
        if (g_str_equal(names[i], name)) {
            return values[i];
        }
    }
    return NULL;
}

static void replace(char **slot, const char *text)
{
    g_free(*slot);
    *slot = g_strdup(text);
}

/* <PREFIX:domain xmlns:PREFIX="urn:slice:domain:1"> */
static void meet_metadata(Reading *reading, const char *element,
                          const char **names, const char **values)
{
    const char *colon = strchr(element, ':');
    g_autofree char *xmlns = NULL;

    if (!colon || !g_str_equal(colon, ":domain")) {
        return;
    }
    xmlns = g_strdup_printf("xmlns:%.*s", (int)(colon - element), element);
    if (!g_strcmp0(attribute(names, values, xmlns), NAMESPACE)) {
        reading->ours = TRUE;
        reading->prefix = g_strndup(element, colon - element + 1);
    }
}

static void meet_ours(Reading *reading, const char *element,
                      const char **names, const char **values)
{
    if (g_str_equal(element, "qmp")) {
        replace(&reading->qmp_path, attribute(names, values, "path"));
    } else if (g_str_equal(element, "stream")) {
        replace(&reading->host, attribute(names, values, "host"));
        replace(&reading->stream_port, attribute(names, values, "port"));
    } else if (g_str_equal(element, "service")) {
        replace(&reading->bridge, attribute(names, values, "bridge"));
    } else if (g_str_equal(element, "placement")) {
        replace(&reading->weight, attribute(names, values, "weight"));
    }
}

static void start(GMarkupParseContext *context, const char *element,
                  const char **names, const char **values, gpointer data,
                  GError **error)
{
    Reading *reading = data;

    if (reading->prefix && g_str_has_prefix(element, reading->prefix)) {
        meet_ours(reading, element + strlen(reading->prefix), names, values);
    } else if (!reading->ours) {
        meet_metadata(reading, element, names, values);
    }
    if (g_str_equal(element, "interface")) {
        reading->in_interface = TRUE;
        replace(&reading->nic_bridge, NULL);
        replace(&reading->nic_target, NULL);
    } else if (reading->in_interface && g_str_equal(element, "source")) {
        replace(&reading->nic_bridge, attribute(names, values, "bridge"));
    } else if (reading->in_interface && g_str_equal(element, "target")) {
        replace(&reading->nic_target, attribute(names, values, "dev"));
    }
}

static void end(GMarkupParseContext *context, const char *element,
                gpointer data, GError **error)
{
    Reading *reading = data;

    if (g_str_equal(element, "interface")) {
        reading->in_interface = FALSE;
        if (reading->nic_bridge && reading->nic_target) {
            g_ptr_array_add(reading->nics, g_steal_pointer(&reading->nic_bridge));
            g_ptr_array_add(reading->nics, g_steal_pointer(&reading->nic_target));
        }
    } else if (reading->prefix && g_str_has_prefix(element, reading->prefix) &&
               g_str_equal(element + strlen(reading->prefix), "domain")) {
        g_clear_pointer(&reading->prefix, g_free);
    }
}

static void reading_clear(Reading *reading)
{
    g_free(reading->prefix);
    g_free(reading->qmp_path);
    g_free(reading->host);
    g_free(reading->stream_port);
    g_free(reading->bridge);
    g_free(reading->weight);
    g_free(reading->nic_bridge);
    g_free(reading->nic_target);
    g_ptr_array_unref(reading->nics);
}

static const char *port_on(const Reading *reading, const char *bridge)
{
    for (guint i = 0; i + 1 < reading->nics->len; i += 2) {
        if (g_str_equal(g_ptr_array_index(reading->nics, i), bridge)) {
            return g_ptr_array_index(reading->nics, i + 1);
        }
    }
    return NULL;
}

void slice_domain_free(SliceDomain *domain)
{
    if (domain) {
        g_free(domain->name);
        g_free(domain->uri);
        g_free(domain->qmp_path);
        g_free(domain->stream);
        g_free(domain->port);
        g_free(domain);
    }
}

SliceDomain *slice_domain_parse(const char *name, const char *xml,
                                const char *bridge, GError **error)
{
    static const GMarkupParser callbacks = { .start_element = start,
                                             .end_element = end };
    Reading reading = { .nics = g_ptr_array_new_with_free_func(g_free) };
    g_autoptr(GMarkupParseContext) context =
        g_markup_parse_context_new(&callbacks, 0, &reading, NULL);
    SliceDomain *domain = NULL;
    guint64 weight = SLICE_DOMAIN_WEIGHT;

    if (!g_markup_parse_context_parse(context, xml, -1, error)) {
        g_prefix_error(error, "domain %s: ", name);
    } else if (reading.ours && !reading.qmp_path) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID,
                    "domain %s: its metadata names no <slice:qmp path=...>",
                    name);
    } else if (reading.weight &&
               !g_ascii_string_to_unsigned(reading.weight, 10, 1, SLICE_DOMAIN_WEIGHT_MAX,
                                           &weight, NULL)) {
        g_set_error(error, SLICE_ERROR, SLICE_ERROR_INVALID,
                    "domain %s: its metadata says weight '%s', not 1 to %u", name,
                    reading.weight, SLICE_DOMAIN_WEIGHT_MAX);
    } else if (reading.ours) {
        domain = g_new0(SliceDomain, 1);
        domain->name = g_strdup(name);
        domain->qmp_path = g_strdup(reading.qmp_path);
        domain->weight = weight;
        domain->port = g_strdup(port_on(&reading, reading.bridge
                                                      ? reading.bridge : bridge));
        if (reading.host && reading.stream_port) {
            domain->stream = g_strdup_printf("%s:%s", reading.host,
                                             reading.stream_port);
        }
    }
    reading_clear(&reading);
    return domain;
}
