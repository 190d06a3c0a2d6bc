/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domain.h - which VMs there are, as libvirt tells it
 *
 * A domain is one of ours when its <metadata> has an element of our namespace:
 *
 *   <slice:domain xmlns:slice="urn:slice:domain:1">
 *     <slice:qmp path="/run/slice/web1.qmp"/>
 *     <slice:stream host="10.0.0.1" port="7001"/>     optional
 *     <slice:service bridge="br0"/>                   optional
 *     <slice:placement weight="200"/>                 optional
 *   </slice:domain>
 *
 * The port on the bridge is the live target device of the first interface on the service bridge.
 *
 * libvirt's calls block: they run in a thread of their own with libvirt's event loop,
 * with keepalive, and no libvirt type is seen outside of domain.c.
 *
 * Below: libvirt.  Above: orchestrator.c.
 */
#ifndef SLICE_DAEMON_DOMAIN_H
#define SLICE_DAEMON_DOMAIN_H

#include <gio/gio.h>

/**
 * SliceDomain: one of our VMs
 * @stream: (nullable): 'HOST:PORT'
 * @port: (nullable): not known while it does not run
 * @weight: its share of clients and slices against others'
 */
typedef struct {
    char *name;
    char *uri;
    gboolean running;
    char *qmp_path;
    char *stream;
    char *port;
    guint weight;
} SliceDomain;

#define SLICE_DOMAIN_WEIGHT 100
#define SLICE_DOMAIN_WEIGHT_MAX 10000

void slice_domain_free(SliceDomain *domain);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SliceDomain, slice_domain_free)

/**
 * slice_domain_parse() - what a domain's XML says
 * @bridge: the service bridge where the XML names none
 *
 * Return: (nullable): NULL without @error for a domain that is none of ours;
 * SLICE_ERROR_INVALID for one whose metadata is incomplete or wrong.  Pure.
 */
SliceDomain *slice_domain_parse(const char *name, const char *xml,
                                const char *bridge, GError **error);

typedef struct SliceDomains SliceDomains;

/**
 * SliceDomainsHandlers: in the main context of slice_domains_new()
 * @changed: (transfer none): appeared, started, stopped
 * @removed: undefined, or its libvirt is away: nothing is known of it
 * @listed: all domains of all URIs that answered have been told once
 */
typedef struct {
    void (*changed)(const SliceDomain *domain, gpointer data);
    void (*removed)(const char *name, gpointer data);
    void (*listed)(gpointer data);
} SliceDomainsHandlers;

SliceDomains *slice_domains_new(const char *const *uris, const char *bridge,
                                const SliceDomainsHandlers *handlers,
                                gpointer data);
void slice_domains_free(SliceDomains *domains);

/**
 * slice_domains_destroy() - fence
 * @done: (nullable) in the main context, once: NULL when the domain does not run,
 *	SLICE_ERROR_NOT_FOUND, SLICE_ERROR_UNREACHABLE
 */
void slice_domains_destroy(SliceDomains *domains, const char *name,
                           void (*done)(const GError *error, gpointer data),
                           gpointer data);

#endif
