/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domain.c - which VMs there are, as libvirt tells it
 *
 * The thread runs libvirt's own event loop; orders come through a queue whose bell is a timer of
 * that loop (updating it from another thread wakes the loop).  A connection that ends is opened
 * again by the same timer.  News go to the main context as idle callbacks.
 */
#include "domain.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <string.h>

#include "util/error.h"

#define RETRY_MS 1000
#define KEEPALIVE_S 5
#define KEEPALIVE_COUNT 3

typedef void (*Done)(const GError *error, gpointer data);

typedef struct {
    SliceDomains *domains;
    char *uri;
    virConnectPtr connection;
    gboolean closed;
    GHashTable *names; /* of ours that were told */
    int event_ids[1];
} Link;

typedef struct {
    char *name;
    Done done;
    gpointer data;
} Order;

typedef struct {
    SliceDomains *domains;
    SliceDomain *changed;
    char *removed;
    gboolean listed;
    Order *order;
    GError *error;
} News;

struct SliceDomains {
    gatomicrefcount refs;
    char *bridge;
    const SliceDomainsHandlers *handlers;
    gpointer data;
    GMainContext *context;
    GThread *thread;
    GAsyncQueue *orders;
    int timer;
    gint quit;      /* atomic */
    gboolean freed; /* main context */
    GPtrArray *links;
    gboolean listed;
};

static void domains_unref(SliceDomains *domains)
{
    if (g_atomic_ref_count_dec(&domains->refs)) {
        g_async_queue_unref(domains->orders);
        g_ptr_array_unref(domains->links);
        g_main_context_unref(domains->context);
        g_free(domains->bridge);
        g_free(domains);
    }
}

static void order_free(Order *order)
{
    if (order) {
        g_free(order->name);
        g_free(order);
    }
}

/* ---- news ---- */

static void news_free(gpointer value)
{
    News *news = value;

    slice_domain_free(news->changed);
    g_free(news->removed);
    order_free(news->order);
    g_clear_error(&news->error);
    domains_unref(news->domains);
    g_free(news);
}

static gboolean tell(gpointer value)
{
    News *news = value;
    SliceDomains *domains = news->domains;

    if (domains->freed) {
        return G_SOURCE_REMOVE;
    }
    if (news->changed) {
        domains->handlers->changed(news->changed, domains->data);
    } else if (news->removed) {
        domains->handlers->removed(news->removed, domains->data);
    } else if (news->listed) {
        domains->handlers->listed(domains->data);
    } else if (news->order && news->order->done) {
        news->order->done(news->error, news->order->data);
    }
    return G_SOURCE_REMOVE;
}

static News *news_new(SliceDomains *domains)
{
    News *news = g_new0(News, 1);

    g_atomic_ref_count_inc(&domains->refs);
    news->domains = domains;
    return news;
}

static void post(News *news)
{
    GSource *source = g_idle_source_new();

    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, tell, news, news_free);
    g_source_attach(source, news->domains->context);
    g_source_unref(source);
}

/* ---- thread ---- */

static void tell_domain(Link *link, virDomainPtr domain)
{
    const char *name = virDomainGetName(domain);
    char *xml = virDomainGetXMLDesc(domain, 0);
    g_autoptr(GError) error = NULL;
    SliceDomain *ours = NULL;
    News *news;

    if (xml) {
        ours = slice_domain_parse(name, xml, link->domains->bridge, &error);
    }
    free(xml);
    if (error) {
        g_warning("%s", error->message);
    }
    if (!ours) {
        return;
    }
    ours->uri = g_strdup(link->uri);
    ours->running = virDomainIsActive(domain) == 1;
    if (!ours->running) {
        g_clear_pointer(&ours->port, g_free);
    }
    g_hash_table_add(link->names, g_strdup(name));
    news = news_new(link->domains);
    news->changed = ours;
    post(news);
}

static void tell_removed(Link *link, const char *name)
{
    News *news;

    if (g_hash_table_remove(link->names, name)) {
        news = news_new(link->domains);
        news->removed = g_strdup(name);
        post(news);
    }
}

static int lifecycle(virConnectPtr connection, virDomainPtr domain, int event,
                     int detail, void *value)
{
    Link *link = value;

    if (event == VIR_DOMAIN_EVENT_UNDEFINED ||
        (event == VIR_DOMAIN_EVENT_STOPPED &&
         virDomainIsPersistent(domain) != 1)) {
        tell_removed(link, virDomainGetName(domain));
    } else {
        tell_domain(link, domain);
    }
    return 0;
}

static void connection_closed(virConnectPtr connection, int reason, void *value)
{
    Link *link = value;

    link->closed = TRUE;
    virEventUpdateTimeout(link->domains->timer, 0);
}

static void list_domains(Link *link)
{
    virDomainPtr *list = NULL;
    int n = virConnectListAllDomains(link->connection, &list, 0);

    for (int i = 0; i < n; i++) {
        tell_domain(link, list[i]);
        virDomainFree(list[i]);
    }
    free(list);
}

static void close_link(Link *link)
{
    GHashTableIter iter;
    gpointer name;
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

    if (link->connection) {
        virConnectDomainEventDeregisterAny(link->connection,
                                           link->event_ids[0]);
        virConnectUnregisterCloseCallback(link->connection, connection_closed);
        virConnectClose(link->connection);
        link->connection = NULL;
    }
    link->closed = FALSE;
    g_hash_table_iter_init(&iter, link->names);
    while (g_hash_table_iter_next(&iter, &name, NULL)) {
        g_ptr_array_add(names, g_strdup(name));
    }
    for (guint i = 0; i < names->len; i++) {
        tell_removed(link, g_ptr_array_index(names, i));
    }
}

static void open_link(Link *link)
{
    link->connection = virConnectOpen(link->uri);
    if (!link->connection) {
        return;
    }
    virConnectSetKeepAlive(link->connection, KEEPALIVE_S, KEEPALIVE_COUNT);
    virConnectRegisterCloseCallback(link->connection, connection_closed, link,
                                    NULL);
    link->event_ids[0] = virConnectDomainEventRegisterAny(
        link->connection, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
        VIR_DOMAIN_EVENT_CALLBACK(lifecycle), link, NULL);
    g_message("libvirt %s: connected", link->uri);
    list_domains(link);
}

static Link *link_with(SliceDomains *domains, const char *name)
{
    for (guint i = 0; i < domains->links->len; i++) {
        Link *link = g_ptr_array_index(domains->links, i);

        if (link->connection && g_hash_table_contains(link->names, name)) {
            return link;
        }
    }
    return NULL;
}

static void destroy_domain(SliceDomains *domains, Order *order)
{
    Link *link = link_with(domains, order->name);
    virDomainPtr domain = link ? virDomainLookupByName(link->connection,
                                                       order->name) : NULL;
    News *news = news_new(domains);

    news->order = order;
    if (!domain) {
        g_set_error(&news->error, SLICE_ERROR,
                    link ? SLICE_ERROR_NOT_FOUND : SLICE_ERROR_UNREACHABLE,
                    "VM %s cannot be fenced: libvirt does not know it",
                    order->name);
    } else if (virDomainDestroy(domain) < 0 && virDomainIsActive(domain) != 0) {
        g_set_error(&news->error, SLICE_ERROR, SLICE_ERROR_FAILED,
                    "VM %s cannot be fenced: %s", order->name,
                    virGetLastErrorMessage());
    }
    if (domain) {
        virDomainFree(domain);
    }
    post(news);
}

static void tend(int timer, void *value)
{
    SliceDomains *domains = value;
    gboolean all_open = TRUE;
    Order *order;

    virEventUpdateTimeout(timer, -1);
    for (guint i = 0; i < domains->links->len; i++) {
        Link *link = g_ptr_array_index(domains->links, i);

        if (link->closed) {
            g_warning("libvirt %s: connection lost", link->uri);
            close_link(link);
        }
        if (!link->connection) {
            open_link(link);
        }
        all_open &= link->connection != NULL;
    }
    if (!domains->listed) {
        News *news = news_new(domains);

        domains->listed = TRUE;
        news->listed = TRUE;
        post(news);
    }
    while ((order = g_async_queue_try_pop(domains->orders))) {
        destroy_domain(domains, order);
    }
    if (!all_open) {
        virEventUpdateTimeout(timer, RETRY_MS);
    }
}

static void quiet(void *data, virErrorPtr error)
{
    /* Errors are returned; libvirt's own print would be a second one. */
}

static gpointer thread_main(gpointer value)
{
    SliceDomains *domains = value;

    while (!g_atomic_int_get(&domains->quit)) {
        virEventRunDefaultImpl();
    }
    virEventRemoveTimeout(domains->timer);
    for (guint i = 0; i < domains->links->len; i++) {
        close_link(g_ptr_array_index(domains->links, i));
    }
    return NULL;
}

/* ---- main context ---- */

static void link_free(gpointer value)
{
    Link *link = value;

    g_free(link->uri);
    g_hash_table_unref(link->names);
    g_free(link);
}

static void prepare_libvirt(void)
{
    static gsize once;

    if (g_once_init_enter(&once)) {
        virInitialize();
        virSetErrorFunc(NULL, quiet);
        virEventRegisterDefaultImpl();
        g_once_init_leave(&once, 1);
    }
}

SliceDomains *slice_domains_new(const char *const *uris, const char *bridge,
                                const SliceDomainsHandlers *handlers,
                                gpointer data)
{
    SliceDomains *domains = g_new0(SliceDomains, 1);

    prepare_libvirt();
    g_atomic_ref_count_init(&domains->refs);
    domains->bridge = g_strdup(bridge);
    domains->handlers = handlers;
    domains->data = data;
    domains->context = g_main_context_ref_thread_default();
    domains->orders = g_async_queue_new();
    domains->links = g_ptr_array_new_with_free_func(link_free);
    for (guint i = 0; uris[i]; i++) {
        Link *link = g_new0(Link, 1);

        link->domains = domains;
        link->uri = g_strdup(uris[i]);
        link->names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        g_ptr_array_add(domains->links, link);
    }
    domains->timer = virEventAddTimeout(0, tend, domains, NULL);
    domains->thread = g_thread_new("libvirt", thread_main, domains);
    return domains;
}

void slice_domains_free(SliceDomains *domains)
{
    Order *order;

    if (!domains) {
        return;
    }
    domains->freed = TRUE;
    g_atomic_int_set(&domains->quit, TRUE);
    virEventUpdateTimeout(domains->timer, 0);
    g_thread_join(domains->thread);
    while ((order = g_async_queue_try_pop(domains->orders))) {
        order_free(order);
    }
    domains_unref(domains);
}

void slice_domains_destroy(SliceDomains *domains, const char *name, Done done,
                           gpointer data)
{
    Order *order = g_new0(Order, 1);

    order->name = g_strdup(name);
    order->done = done;
    order->data = data;
    g_async_queue_push(domains->orders, order);
    virEventUpdateTimeout(domains->timer, 0);
}
