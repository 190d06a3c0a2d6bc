/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flow.c - one bridge's OpenFlow tables, changed in whole bundles
 *
 * Threads.  Requests go to the thread through a queue and a latch; results come back as idle
 * callbacks of the main context, each holding a reference.  Everything marked 'thread'
 * below is touched by the thread alone.
 *
 * A bundle:  OPEN, ADD each message, BARRIER  >  no error?  COMMIT : DISCARD  >  answered.
 * The barrier is there because a message that a bundle refuses does not keep the rest from being
 * committed.  Several bundles can be under way.
 *
 * A connection:  ask for port status, ports, exact rules  >  all told: tell 'connected'.
 */
#include <config.h>

#include "flow.h"

#include <net/ethernet.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <string.h>

#include "byte-order.h"
#include "fatal-signal.h"
#include "latch.h"
#include "openvswitch/match.h"
#include "openvswitch/ofp-actions.h"
#include "openvswitch/ofp-bundle.h"
#include "openvswitch/ofp-connection.h"
#include "openvswitch/ofp-errors.h"
#include "openvswitch/ofp-flow.h"
#include "openvswitch/ofp-group.h"
#include "openvswitch/ofp-msgs.h"
#include "openvswitch/ofp-port.h"
#include "openvswitch/ofp-util.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/rconn.h"
#include "openvswitch/vconn.h"
#include "openvswitch/vlog.h"
#include "ovs-thread.h"

#include "rules.h"
#include "util/error.h"

#define OF_VERSION OFP15_VERSION
#define OF_PROTOCOL OFPUTIL_P_OF15_OXM
#define PROBE_S 5
#define BACKOFF_MAX_S 1

typedef enum { BUILDING, ADDING, COMMITTING, DISCARDING } BundlePhase;

/* A change under way. */
typedef struct {
    SliceFlow *flow;
    GPtrArray *lines;
    char *whose;
    SliceFlowDone done;
    gpointer data;
    GError *error;
    /* thread: */
    BundlePhase phase;
    uint32_t id;
    ovs_be32 awaited; /* of the barrier, commit or discard */
} Request;

/* Something to be told in the main context. */
typedef struct {
    SliceFlow *flow;
    GArray *ports;
    GArray *rules;
    char *lost;
    gboolean fresh;
} News;

struct SliceFlow {
    gatomicrefcount refs;
    char *bridge;
    char *target;
    const SliceFlowHandlers *handlers;
    gpointer data;
    GMainContext *context;
    pthread_t thread;
    GAsyncQueue *requests;
    struct latch latch;
    gint quit; /* atomic */
    gboolean freed; /* main context */
    /* thread: */
    struct rconn *rconn;
    unsigned int seqno;
    gboolean up;
    gboolean described;
    GHashTable *under_way; /* set of Request */
    GHashTable *xids;      /* of each message of those -> Request */
    uint32_t last_bundle;
    GArray *ports;
    GArray *rules;
    ovs_be32 ports_xid;
    ovs_be32 rules_xid;
};

static void flow_unref(SliceFlow *flow)
{
    if (g_atomic_ref_count_dec(&flow->refs)) {
        g_async_queue_unref(flow->requests);
        latch_destroy(&flow->latch);
        g_main_context_unref(flow->context);
        g_free(flow->bridge);
        g_free(flow->target);
        g_free(flow);
    }
}

static SliceFlow *flow_ref(SliceFlow *flow)
{
    g_atomic_ref_count_inc(&flow->refs);
    return flow;
}

/* ---- to the main context ---- */

static void request_free(gpointer value)
{
    Request *request = value;

    g_ptr_array_unref(request->lines);
    g_free(request->whose);
    g_clear_error(&request->error);
    flow_unref(request->flow);
    g_free(request);
}

static gboolean tell_done(gpointer value)
{
    Request *request = value;

    if (request->done && !request->flow->freed) {
        request->done(request->error, request->data);
    } else if (request->error && !request->flow->freed) {
        g_warning("%s", request->error->message);
    }
    return G_SOURCE_REMOVE;
}

static void post(SliceFlow *flow, GSourceFunc function, gpointer value,
                 GDestroyNotify destroy)
{
    GSource *source = g_idle_source_new();

    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, function, value, destroy);
    g_source_attach(source, flow->context);
    g_source_unref(source);
}

static gboolean tell_news(gpointer value)
{
    News *news = value;
    SliceFlow *flow = news->flow;

    if (flow->freed) {
        return G_SOURCE_REMOVE;
    }
    if (news->lost) {
        flow->handlers->lost(news->lost, flow->data);
    } else if (news->fresh) {
        flow->handlers->connected(news->ports, news->rules, flow->data);
    } else {
        flow->handlers->ports(news->ports, flow->data);
    }
    return G_SOURCE_REMOVE;
}

static void news_free(gpointer value)
{
    News *news = value;

    g_clear_pointer(&news->ports, g_array_unref);
    g_clear_pointer(&news->rules, g_array_unref);
    g_free(news->lost);
    flow_unref(news->flow);
    g_free(news);
}

static void post_news(SliceFlow *flow, gboolean fresh, const char *lost)
{
    News *news = g_new0(News, 1);

    news->flow = flow_ref(flow);
    news->fresh = fresh;
    news->lost = g_strdup(lost);
    if (!lost) {
        news->ports = g_array_copy(flow->ports);
        news->rules = fresh ? g_array_copy(flow->rules) : NULL;
    }
    post(flow, tell_news, news, news_free);
}

/* ---- thread: bundles ---- */

static void set_error(Request *request, SliceError code, const char *why)
{
    if (request->error) {
        return;
    }
    if (code == SLICE_ERROR_REFUSED) {
        g_set_error(&request->error, SLICE_ERROR, code,
                    "bridge %s refused the rule of %s: %s",
                    request->flow->bridge, request->whose, why);
    } else {
        g_set_error(&request->error, SLICE_ERROR, code,
                    "bridge %s has not got the rule of %s: %s",
                    request->flow->bridge, request->whose, why);
    }
}

static gboolean belongs_to(gpointer xid, gpointer value, gpointer request)
{
    return value == request;
}

static void conclude(Request *request)
{
    SliceFlow *flow = request->flow;

    g_hash_table_remove(flow->under_way, request);
    /* Mostly it is the only one, and all goes at once. */
    if (!g_hash_table_size(flow->under_way)) {
        g_hash_table_remove_all(flow->xids);
    } else {
        g_hash_table_foreach_remove(flow->xids, belongs_to, request);
    }
    post(request->flow, tell_done, request, request_free);
}

/* Sends a message that belongs to @request, and notes its number. */
static void send_part(Request *request, struct ofpbuf *message)
{
    ovs_be32 xid = ((struct ofp_header *)message->data)->xid;

    g_hash_table_insert(request->flow->xids, GUINT_TO_POINTER((OVS_FORCE guint32)xid),
                        request);
    request->awaited = xid;
    rconn_send(request->flow->rconn, message, NULL);
}

static void send_control(Request *request, uint16_t type)
{
    struct ofputil_bundle_ctrl_msg control = {
        .bundle_id = request->id,
        .type = type,
        .flags = OFPBF_ATOMIC | OFPBF_ORDERED,
    };

    send_part(request, ofputil_encode_bundle_ctrl_request(OF_VERSION, &control));
}

/* Return: NULL with an error set. */
static struct ofpbuf *encode_flow(Request *request, const char *text)
{
    struct ofputil_flow_mod mod;
    enum ofputil_protocol usable;
    struct ofpbuf *message;
    char *wrong = parse_ofp_flow_mod_str(&mod, text, NULL, NULL, -2, &usable);

    if (wrong) {
        set_error(request, SLICE_ERROR_INVALID, wrong);
        free(wrong);
        return NULL;
    }
    message = ofputil_encode_flow_mod(&mod, OF_PROTOCOL);
    minimatch_destroy(&mod.match);
    free(mod.ofpacts);
    return message;
}

static struct ofpbuf *encode_group(Request *request, const char *text)
{
    struct ofputil_group_mod mod;
    enum ofputil_protocol usable;
    struct ofpbuf *message;
    char *wrong = parse_ofp_group_mod_str(&mod, -2, text, NULL, NULL, &usable);

    if (wrong) {
        set_error(request, SLICE_ERROR_INVALID, wrong);
        free(wrong);
        return NULL;
    }
    message = ofputil_encode_group_mod(OF_VERSION, &mod, NULL, -1);
    ofputil_uninit_group_mod(&mod);
    return message;
}

static struct ofpbuf *encode_line(Request *request, const char *line)
{
    if (g_str_has_prefix(line, "flow ")) {
        return encode_flow(request, line + strlen("flow "));
    }
    if (g_str_has_prefix(line, "group ")) {
        return encode_group(request, line + strlen("group "));
    }
    set_error(request, SLICE_ERROR_INVALID, "neither flow nor group");
    return NULL;
}

static void add_line(Request *request, const char *line)
{
    struct ofpbuf *message = encode_line(request, line);
    struct ofputil_bundle_add_msg add = {
        .bundle_id = request->id,
        .flags = OFPBF_ATOMIC | OFPBF_ORDERED,
    };

    if (!message) {
        return;
    }
    add.msg = message->data;
    send_part(request, ofputil_encode_bundle_add(OF_VERSION, &add));
    ofpbuf_delete(message);
}

static void begin(Request *request)
{
    SliceFlow *flow = request->flow;

    g_hash_table_add(flow->under_way, request);
    if (!flow->described) {
        set_error(request, SLICE_ERROR_UNREACHABLE, "it is not connected");
        conclude(request);
        return;
    }
    request->id = ++flow->last_bundle;
    send_control(request, OFPBCT_OPEN_REQUEST);
    for (guint i = 0; i < request->lines->len; i++) {
        add_line(request, g_ptr_array_index(request->lines, i));
    }
    request->phase = ADDING;
    send_part(request, ofputil_encode_barrier_request(OF_VERSION));
}

static Request *request_of(SliceFlow *flow, ovs_be32 xid)
{
    return g_hash_table_lookup(flow->xids, GUINT_TO_POINTER((OVS_FORCE guint32)xid));
}

static void take_error(SliceFlow *flow, const struct ofp_header *header)
{
    Request *request = request_of(flow, header->xid);
    enum ofperr code = ofperr_decode_msg(header, NULL);
    const char *why = ofperr_get_description(code);

    if (!request) {
        return;
    }
    set_error(request, SLICE_ERROR_REFUSED, why ? why : ofperr_to_string(code));
    if (request->awaited == header->xid) {
        conclude(request); /* the commit or discard itself failed */
    }
}

static void take_barrier(SliceFlow *flow, const struct ofp_header *header)
{
    Request *request = request_of(flow, header->xid);

    if (!request || request->phase != ADDING) {
        return;
    }
    request->phase = request->error ? DISCARDING : COMMITTING;
    send_control(request, request->error ? OFPBCT_DISCARD_REQUEST
                                         : OFPBCT_COMMIT_REQUEST);
}

static void take_control(SliceFlow *flow, const struct ofp_header *header)
{
    Request *request = request_of(flow, header->xid);

    if (request && request->awaited == header->xid &&
        request->phase != ADDING) {
        conclude(request);
    }
}

/* ---- thread: what the bridge has ---- */

static void put_port(SliceFlow *flow, const struct ofputil_phy_port *phy,
                     gboolean gone)
{
    SliceFlowPort port = { .number = (OVS_FORCE guint16)phy->port_no };

    g_strlcpy(port.name, phy->name, sizeof(port.name));
    for (guint i = 0; i < flow->ports->len; i++) {
        if (!strcmp(g_array_index(flow->ports, SliceFlowPort, i).name,
                    port.name)) {
            g_array_remove_index(flow->ports, i);
            break;
        }
    }
    if (!gone) {
        g_array_append_val(flow->ports, port);
    }
}

static void take_ports(SliceFlow *flow, struct ofpbuf *message,
                       const struct ofp_header *header)
{
    struct ofputil_phy_port phy;

    ofpraw_pull_assert(message);
    while (!ofputil_pull_phy_port(header->version, message, &phy)) {
        put_port(flow, &phy, FALSE);
    }
    if (!ofpmp_more(header)) {
        flow->ports_xid = 0;
    }
}

static void take_port_status(SliceFlow *flow, const struct ofp_header *header)
{
    struct ofputil_port_status status;

    if (ofputil_decode_port_status(header, &status)) {
        return;
    }
    put_port(flow, &status.desc, status.reason == OFPPR_DELETE);
    if (flow->described) {
        post_news(flow, FALSE, NULL);
    }
}

static void put_rule(SliceFlow *flow, const struct ofputil_flow_stats *stats)
{
    const struct flow *key = &stats->match.flow;
    guint64 cookie = ntohll(stats->cookie);
    SliceFlowRule rule = { .slot = cookie & 0xffff,
                           .learned = (cookie & SLICE_RULES_KINDS) == SLICE_RULES_LEARNED };
    gboolean ipv6 = key->dl_type == htons(ETHERTYPE_IPV6);
    char local[INET6_ADDRSTRLEN], remote[INET6_ADDRSTRLEN];

    if (ipv6) {
        inet_ntop(AF_INET6, &key->ipv6_dst, local, sizeof(local));
        inet_ntop(AF_INET6, &key->ipv6_src, remote, sizeof(remote));
    } else {
        inet_ntop(AF_INET, &key->nw_dst, local, sizeof(local));
        inet_ntop(AF_INET, &key->nw_src, remote, sizeof(remote));
    }
    /* Rules of clients have no ports, and are written anew. */
    if (rule.slot &&
        slice_tuple_set(&rule.flow, "tcp", local, ntohs(key->tp_dst), remote,
                        ntohs(key->tp_src), NULL)) {
        g_array_append_val(flow->rules, rule);
    }
}

static void take_rules(SliceFlow *flow, struct ofpbuf *message,
                       const struct ofp_header *header)
{
    struct ofputil_flow_stats stats;
    struct ofpbuf actions;
    gboolean more = ofpmp_more(header);

    ofpbuf_init(&actions, 64);
    while (!ofputil_decode_flow_stats_reply(&stats, message, FALSE, &actions)) {
        put_rule(flow, &stats);
    }
    ofpbuf_uninit(&actions);
    if (!more) {
        flow->rules_xid = 0;
    }
}

static void ask(SliceFlow *flow)
{
    struct ofputil_async_cfg async = OFPUTIL_ASYNC_CFG_INIT;
    struct ofputil_flow_stats_request want = {
        .table_id = SLICE_RULES_TABLE_EXACT,
        .out_port = OFPP_ANY,
        .out_group = OFPG_ANY,
        .cookie = htonll(SLICE_RULES_COOKIE),
        .cookie_mask = htonll(G_GUINT64_CONSTANT(0xffff000000000000)),
    };
    struct ofpbuf *message;

    g_array_set_size(flow->ports, 0);
    g_array_set_size(flow->rules, 0);
    async.primary[OAM_PORT_STATUS] =
        1 << OFPPR_ADD | 1 << OFPPR_DELETE | 1 << OFPPR_MODIFY;
    rconn_send(flow->rconn,
               ofputil_encode_set_async_config(&async, 1 << OAM_PORT_STATUS,
                                               OF_VERSION), NULL);
    message = ofputil_encode_port_desc_stats_request(OF_VERSION, OFPP_ANY);
    flow->ports_xid = ((struct ofp_header *)message->data)->xid;
    rconn_send(flow->rconn, message, NULL);
    match_init_catchall(&want.match);
    message = ofputil_encode_flow_stats_request(&want, OF_PROTOCOL);
    flow->rules_xid = ((struct ofp_header *)message->data)->xid;
    rconn_send(flow->rconn, message, NULL);
}

static void take_message(SliceFlow *flow, struct ofpbuf *message)
{
    const struct ofp_header *header = message->data;
    enum ofptype type;

    if (ofptype_decode(&type, header)) {
        return;
    }
    if (type == OFPTYPE_ERROR) {
        take_error(flow, header);
    } else if (type == OFPTYPE_BARRIER_REPLY) {
        take_barrier(flow, header);
    } else if (type == OFPTYPE_BUNDLE_CONTROL) {
        take_control(flow, header);
    } else if (type == OFPTYPE_PORT_STATUS) {
        take_port_status(flow, header);
    } else if (type == OFPTYPE_ECHO_REQUEST) {
        rconn_send(flow->rconn, ofputil_encode_echo_reply(header), NULL);
    } else if (type == OFPTYPE_PORT_DESC_STATS_REPLY &&
               header->xid == flow->ports_xid) {
        take_ports(flow, message, header);
    } else if (type == OFPTYPE_FLOW_STATS_REPLY &&
               header->xid == flow->rules_xid) {
        take_rules(flow, message, header);
    }
    if (!flow->described && flow->up && !flow->ports_xid && !flow->rules_xid) {
        flow->described = TRUE;
        post_news(flow, TRUE, NULL);
    }
}

/* ---- thread: its loop ---- */

static void connection_lost(SliceFlow *flow)
{
    gboolean told = flow->described;
    GHashTableIter iter;
    gpointer request;

    flow->up = FALSE;
    flow->described = FALSE;
    g_hash_table_remove_all(flow->xids);
    g_hash_table_iter_init(&iter, flow->under_way);
    while (g_hash_table_iter_next(&iter, &request, NULL)) {
        g_hash_table_iter_steal(&iter);
        set_error(request, SLICE_ERROR_UNREACHABLE, "the connection ended");
        post(flow, tell_done, request, request_free);
    }
    if (told) {
        post_news(flow, FALSE, ovs_strerror(rconn_get_last_error(flow->rconn)));
    }
}

static void follow_connection(SliceFlow *flow)
{
    unsigned int seqno = rconn_get_connection_seqno(flow->rconn);
    gboolean connected = rconn_is_connected(flow->rconn);

    if (flow->up && (!connected || seqno != flow->seqno)) {
        connection_lost(flow);
    }
    if (connected && !flow->up) {
        flow->up = TRUE;
        flow->seqno = seqno;
        ask(flow);
    }
}

static void run_once(SliceFlow *flow)
{
    struct ofpbuf *message;
    Request *request;

    latch_poll(&flow->latch);
    rconn_run(flow->rconn);
    follow_connection(flow);
    while ((message = rconn_recv(flow->rconn))) {
        take_message(flow, message);
        ofpbuf_delete(message);
    }
    while ((request = g_async_queue_try_pop(flow->requests))) {
        begin(request);
    }
    rconn_run(flow->rconn);
    /*
     * It may have become connected just now.  On a unix socket the library sends
     * no probes, so nothing would wake us but the switch's own, a minute later.
     */
    follow_connection(flow);
}

static void *thread_main(void *value)
{
    SliceFlow *flow = value;

    flow->rconn = rconn_create(PROBE_S, BACKOFF_MAX_S, 0, 1u << OF_VERSION);
    flow->under_way = g_hash_table_new(NULL, NULL);
    flow->xids = g_hash_table_new(NULL, NULL);
    flow->ports = g_array_new(FALSE, TRUE, sizeof(SliceFlowPort));
    flow->rules = g_array_new(FALSE, TRUE, sizeof(SliceFlowRule));
    rconn_connect(flow->rconn, flow->target, flow->bridge);
    while (!g_atomic_int_get(&flow->quit)) {
        run_once(flow);
        rconn_run_wait(flow->rconn);
        rconn_recv_wait(flow->rconn);
        latch_wait(&flow->latch);
        poll_block();
    }
    connection_lost(flow);
    rconn_destroy(flow->rconn);
    g_hash_table_unref(flow->under_way);
    g_hash_table_unref(flow->xids);
    g_array_unref(flow->ports);
    g_array_unref(flow->rules);
    return NULL;
}

/* ---- main context ---- */

SliceFlow *slice_flow_new(const char *bridge, const char *target,
                          const SliceFlowHandlers *handlers, gpointer data)
{
    SliceFlow *flow = g_new0(SliceFlow, 1);

    g_atomic_ref_count_init(&flow->refs);
    flow->bridge = g_strdup(bridge);
    flow->target = g_strdup(target);
    flow->handlers = handlers;
    flow->data = data;
    flow->context = g_main_context_ref_thread_default();
    flow->requests = g_async_queue_new();
    latch_init(&flow->latch);
    fatal_signal_init();
    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
    flow->thread = ovs_thread_create("flow", thread_main, flow);
    return flow;
}

void slice_flow_free(SliceFlow *flow)
{
    Request *request;

    if (!flow) {
        return;
    }
    flow->freed = TRUE;
    g_atomic_int_set(&flow->quit, TRUE);
    latch_set(&flow->latch);
    xpthread_join(flow->thread, NULL);
    while ((request = g_async_queue_try_pop(flow->requests))) {
        request_free(request);
    }
    flow_unref(flow);
}

void slice_flow_commit(SliceFlow *flow, GPtrArray *lines, const char *whose,
                       SliceFlowDone done, gpointer data)
{
    Request *request = g_new0(Request, 1);

    request->flow = flow_ref(flow);
    request->lines = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < lines->len; i++) {
        g_ptr_array_add(request->lines, g_strdup(g_ptr_array_index(lines, i)));
    }
    request->whose = g_strdup(whose);
    request->done = done;
    request->data = data;
    g_async_queue_push(flow->requests, request);
    latch_set(&flow->latch);
}
