/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * network.c - which connection leads to which VM
 *
 * exact:  connection -> slot: what table 1 has, or will have once what is under way is
 *         committed.  A VM's death takes its rules, a connection's end its own, never a
 *         move: where the spread puts a client is the switch's secret.
 * client: address -> slot: where a client's new connections are led, because all its
 *         sessions are there.
 *
 * Changes wait while one bundle is under way, and go together in the next: in their order, each told its
 * own result.  A bundle that is refused is sent again change by change, so that one bad
 * rule keeps nobody else from moving.
 */
#include "network.h"

#include <string.h>

#include "rules.h"
#include "util/error.h"

typedef struct {
    char *name;
    char *port;
    guint slot;
    gboolean spread;
    gboolean open;
    guint weight;
    guint weight_before; /* in the spread, as the switch was last told; 0: not in it */
    gboolean closing;    /* the switch has not been told yet */
} Vm;

/* Lines that are committed together, and who waits for them. */
typedef struct {
    GPtrArray *lines;
    char *whose;
    SliceFlowDone done;
    gpointer data;
    gboolean alone; /* its bundle was refused: by itself now */
} Change;

/* What one bundle holds at most: the thread of flow.c keeps all of it in memory. */
#define BUNDLE_LINES_MAX 10000

struct SliceNetwork {
    char *bridge;
    char *address;
    char *address6; /* or NULL */
    char *mac;
    SliceStore *store;
    SliceNetworkKnown known;
    gpointer data;
    SliceFlow *flow;
    gboolean started;
    gboolean connected;
    GHashTable *vms;   /* name -> Vm */
    GHashTable *ports; /* name -> number */
    GHashTable *exact;   /* SliceTuple -> slot */
    GHashTable *learned; /* set of SliceTuple: rules that the switch made, read back at a connection */
    GHashTable *n_exact; /* client's address -> how many exact rules */
    GHashTable *steered; /* client's address -> slot */
    GPtrArray *pins;     /* while pins are collected: lines */
    gboolean only_closing; /* and only connections of VMs that are being closed */
    GHashTable *seen;    /* while trimming: connections that somebody knows */
    GQueue *waiting;     /* Change */
    GPtrArray *in_flight; /* Change, in their order; empty: no bundle is under way */
    guint flush;
    guint bundles;
};

static void vm_free(gpointer value)
{
    Vm *vm = value;

    g_free(vm->name);
    g_free(vm->port);
    g_free(vm);
}

static guint port_of(SliceNetwork *network, const Vm *vm)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(network->ports, vm->port));
}

/* ---- changes ---- */

static void change_free(gpointer value)
{
    Change *change = value;

    g_ptr_array_unref(change->lines);
    g_free(change->whose);
    g_free(change);
}

static void flush_later(SliceNetwork *network);

/* Each by itself, in their old order, before what came since. */
static void send_one_by_one(SliceNetwork *network, GPtrArray *refused)
{
    for (guint i = refused->len; i-- > 0;) {
        Change *change = g_ptr_array_steal_index(refused, i);

        change->alone = TRUE;
        g_queue_push_head(network->waiting, change);
    }
}

static void bundle_done(const GError *error, gpointer data)
{
    SliceNetwork *network = data;
    g_autoptr(GPtrArray) done = g_steal_pointer(&network->in_flight);
    gboolean whose_fault = error && !g_error_matches(error, SLICE_ERROR,
                                                     SLICE_ERROR_UNREACHABLE);

    network->in_flight = g_ptr_array_new_with_free_func(change_free);
    if (whose_fault && done->len > 1) {
        send_one_by_one(network, done);
    }
    flush_later(network);
    for (guint i = 0; i < done->len; i++) {
        const Change *change = g_ptr_array_index(done, i);

        if (change->done) {
            change->done(error, change->data);
        } else if (whose_fault) {
            g_warning("%s", error->message);
        }
    }
}

static gboolean flush(gpointer data)
{
    SliceNetwork *network = data;
    g_autoptr(GPtrArray) lines = g_ptr_array_new();
    g_autofree char *whose = NULL;
    Change *change;

    network->flush = 0;
    while ((change = g_queue_peek_head(network->waiting)) &&
           (!network->in_flight->len ||
            (!change->alone && lines->len < BUNDLE_LINES_MAX))) {
        g_ptr_array_extend(lines, change->lines, NULL, NULL);
        g_ptr_array_add(network->in_flight, g_queue_pop_head(network->waiting));
        if (change->alone) {
            break;
        }
    }
    change = g_ptr_array_index(network->in_flight, 0);
    whose = network->in_flight->len == 1
                ? g_strdup(change->whose)
                : g_strdup_printf("%s and %u others", change->whose, network->in_flight->len - 1);
    network->bundles++;
    slice_flow_commit(network->flow, lines, whose, bundle_done, network);
    return G_SOURCE_REMOVE;
}

static void flush_later(SliceNetwork *network)
{
    if (!network->flush && !network->in_flight->len && !g_queue_is_empty(network->waiting)) {
        network->flush = g_idle_add_full(G_PRIORITY_DEFAULT, flush, network, NULL);
    }
}

/* @lines: (transfer full); @done: (nullable) */
static void submit(SliceNetwork *network, GPtrArray *lines, const char *whose,
                   SliceFlowDone done, gpointer data)
{
    Change *change;

    if (!lines->len && !done) {
        g_ptr_array_unref(lines);
        return;
    }
    change = g_new0(Change, 1);
    change->lines = lines;
    change->whose = g_strdup(whose);
    change->done = done;
    change->data = data;
    g_queue_push_tail(network->waiting, change);
    flush_later(network);
}

void slice_network_wait(SliceNetwork *network, SliceFlowDone done, gpointer data)
{
    submit(network, g_ptr_array_new_with_free_func(g_free), "all that was to come before it",
           done, data);
}

static GPtrArray *lines_new(void)
{
    return g_ptr_array_new_with_free_func(g_free);
}

/* ---- what the switch should have ---- */

static void count_exact(SliceNetwork *network, const char *client, int by)
{
    guint n = GPOINTER_TO_UINT(g_hash_table_lookup(network->n_exact, client)) + by;

    if (n) {
        g_hash_table_insert(network->n_exact, g_strdup(client), GUINT_TO_POINTER(n));
    } else {
        g_hash_table_remove(network->n_exact, client);
    }
}

static void set_exact(SliceNetwork *network, const SliceTuple *flow, guint slot)
{
    if (g_hash_table_insert(network->exact, g_memdup2(flow, sizeof(*flow)),
                            GUINT_TO_POINTER(slot))) {
        count_exact(network, flow->remote, 1);
    }
    g_hash_table_remove(network->learned, flow);
}

static gboolean drop_exact(SliceNetwork *network, const SliceTuple *flow)
{
    if (!g_hash_table_remove(network->exact, flow)) {
        return FALSE;
    }
    count_exact(network, flow->remote, -1);
    return TRUE;
}

static guint exact_of(SliceNetwork *network, const SliceTuple *flow)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(network->exact, flow));
}

static void pin(SliceNetwork *network, const SliceTuple *flow, const char *name)
{
    Vm *vm = name ? g_hash_table_lookup(network->vms, name) : NULL;

    if (network->seen) {
        g_hash_table_add(network->seen, g_memdup2(flow, sizeof(*flow)));
        if (!vm || !g_hash_table_contains(network->learned, flow)) {
            return;
        }
    }
    if (network->only_closing && !(vm && vm->closing)) {
        return;
    }
    if (vm && exact_of(network, flow) != vm->slot) {
        set_exact(network, flow, vm->slot);
        g_ptr_array_add(network->pins, slice_rules_exact(flow, vm->slot));
    }
}

/* Adding a bucket moves clients: what is known is pinned in the same bundle, before. */
static void pin_known(SliceNetwork *network, gboolean only_closing, GPtrArray *lines)
{
    network->pins = lines;
    network->only_closing = only_closing;
    network->known(network, pin, network->data);
    network->only_closing = FALSE;
    network->pins = NULL;
}

static gboolean is_vm_port(SliceNetwork *network, const char *name)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, network->vms);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        if (g_str_equal(((Vm *)value)->port, name)) {
            return TRUE;
        }
    }
    return FALSE;
}

static int by_number(gconstpointer a, gconstpointer b)
{
    return *(const guint *)a < *(const guint *)b ? -1
         : *(const guint *)a > *(const guint *)b;
}

static GArray *outside_ports(SliceNetwork *network)
{
    GArray *outside = g_array_new(FALSE, FALSE, sizeof(guint));
    GHashTableIter iter;
    gpointer name, number;

    g_hash_table_iter_init(&iter, network->ports);
    while (g_hash_table_iter_next(&iter, &name, &number)) {
        guint port = GPOINTER_TO_UINT(number);

        /* From 0xff00 on: the bridge itself and other reserved numbers. */
        if (port < 0xff00 && !is_vm_port(network, name)) {
            g_array_append_val(outside, port);
        }
    }
    g_array_sort(outside, by_number);
    return outside;
}

static int by_slot(gconstpointer a, gconstpointer b)
{
    return (int)((const SliceRulesVm *)a)->slot -
           (int)((const SliceRulesVm *)b)->slot;
}

/*
 * Return: the VMs that have a port; @ret_grows: one joins the spread, or its share changes; @ret_closes: one is
 * being closed.
 */
static GArray *present_vms(SliceNetwork *network, gboolean *ret_grows, gboolean *ret_closes)
{
    GArray *present = g_array_new(FALSE, FALSE, sizeof(SliceRulesVm));
    GHashTableIter iter;
    gpointer value;

    *ret_grows = *ret_closes = FALSE;
    g_hash_table_iter_init(&iter, network->vms);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Vm *vm = value;
        SliceRulesVm entry = { vm->slot, port_of(network, vm), vm->spread, vm->open,
                               vm->weight };
        guint weight = entry.port && vm->spread ? vm->weight : 0;

        *ret_grows |= weight && weight != vm->weight_before;
        *ret_closes |= vm->closing;
        vm->weight_before = weight;
        if (entry.port) {
            g_array_append_val(present, entry);
        }
    }
    g_array_sort(present, by_slot);
    return present;
}

static void forget_closing(SliceNetwork *network)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, network->vms);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        ((Vm *)value)->closing = FALSE;
    }
}

/* Brings tables 0 and 2 and the groups to what they should be, and pins first. */
static void apply(SliceNetwork *network)
{
    g_autoptr(GArray) vms = NULL;
    g_autoptr(GArray) outside = NULL;
    g_autoptr(GPtrArray) base = NULL;
    g_autoptr(GPtrArray) lines = NULL;
    gboolean grows, closes;

    if (!network->started || !network->connected) {
        return;
    }
    vms = present_vms(network, &grows, &closes);
    outside = outside_ports(network);
    base = slice_rules_base(network->address, network->address6, network->mac, vms,
                            outside);
    lines = lines_new();
    if (grows || closes) {
        pin_known(network, !grows, lines);
        forget_closing(network);
    }
    g_ptr_array_extend_and_steal(lines, g_steal_pointer(&base));
    submit(network, g_steal_pointer(&lines), "the spread", NULL, NULL);
}

/* ---- from the switch ---- */

static void take_ports(SliceNetwork *network, GArray *ports)
{
    g_hash_table_remove_all(network->ports);
    for (guint i = 0; i < ports->len; i++) {
        const SliceFlowPort *port = &g_array_index(ports, SliceFlowPort, i);

        g_hash_table_insert(network->ports, g_strdup(port->name),
                            GUINT_TO_POINTER(port->number));
    }
}

static void add_clients(SliceNetwork *network, GPtrArray *lines)
{
    GHashTableIter iter;
    gpointer client, slot;

    g_hash_table_iter_init(&iter, network->steered);
    while (g_hash_table_iter_next(&iter, &client, &slot)) {
        g_ptr_array_add(lines, slice_rules_client(client, GPOINTER_TO_UINT(slot)));
    }
}

/* What we hold wins where both know a connection; ours that the switch lost come back. */
static void merge_rules(SliceNetwork *network, GArray *rules)
{
    g_autoptr(GPtrArray) lines = lines_new();
    g_autoptr(GHashTable) has = g_hash_table_new(slice_tuple_hash,
                                                 slice_tuple_equal);
    GHashTableIter iter;
    gpointer flow, slot;

    for (guint i = 0; i < rules->len; i++) {
        SliceFlowRule *rule = &g_array_index(rules, SliceFlowRule, i);

        if (rule->learned) {
            g_hash_table_add(network->learned, g_memdup2(&rule->flow, sizeof(rule->flow)));
            continue;
        }
        if (!g_hash_table_contains(network->exact, &rule->flow)) {
            set_exact(network, &rule->flow, rule->slot);
        }
        g_hash_table_insert(has, &rule->flow, GUINT_TO_POINTER(rule->slot));
    }
    g_hash_table_iter_init(&iter, network->exact);
    while (g_hash_table_iter_next(&iter, &flow, &slot)) {
        if (g_hash_table_lookup(has, flow) != slot) {
            g_ptr_array_add(lines,
                            slice_rules_exact(flow, GPOINTER_TO_UINT(slot)));
        }
    }
    g_ptr_array_add(lines, slice_rules_none_of(SLICE_RULES_CLIENT, 0));
    add_clients(network, lines);
    submit(network, g_steal_pointer(&lines), "known connections", NULL, NULL);
}

static void flow_connected(GArray *ports, GArray *rules, gpointer data)
{
    SliceNetwork *network = data;

    g_message("bridge %s: connected, %u ports, %u exact rules",
              network->bridge, ports->len, rules->len);
    network->connected = TRUE;
    take_ports(network, ports);
    merge_rules(network, rules);
    apply(network);
}

static void flow_ports(GArray *ports, gpointer data)
{
    SliceNetwork *network = data;

    take_ports(network, ports);
    apply(network);
}

static void flow_lost(const char *why, gpointer data)
{
    SliceNetwork *network = data;

    g_warning("bridge %s: connection lost: %s", network->bridge, why);
    network->connected = FALSE;
}

static const SliceFlowHandlers flow_handlers = {
    .connected = flow_connected,
    .ports = flow_ports,
    .lost = flow_lost,
};

/* ---- from above ---- */

SliceNetwork *slice_network_new(const char *bridge, const char *openflow,
                                const char *address, const char *address6,
                                const char *mac, SliceStore *store,
                                SliceNetworkKnown known, gpointer data)
{
    SliceNetwork *network = g_new0(SliceNetwork, 1);

    network->bridge = g_strdup(bridge);
    network->address = g_strdup(address);
    network->address6 = g_strdup(address6);
    network->mac = g_strdup(mac);
    network->store = store;
    network->known = known;
    network->data = data;
    network->vms = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, vm_free);
    network->ports = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    network->exact = g_hash_table_new_full(slice_tuple_hash, slice_tuple_equal,
                                           g_free, NULL);
    network->learned = g_hash_table_new_full(slice_tuple_hash, slice_tuple_equal,
                                             g_free, NULL);
    network->n_exact = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    network->steered = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    network->waiting = g_queue_new();
    network->in_flight = g_ptr_array_new_with_free_func(change_free);
    network->flow = slice_flow_new(bridge, openflow, &flow_handlers, network);
    return network;
}

void slice_network_free(SliceNetwork *network)
{
    if (!network) {
        return;
    }
    slice_flow_free(network->flow);
    g_clear_handle_id(&network->flush, g_source_remove);
    g_queue_free_full(network->waiting, change_free);
    g_ptr_array_unref(network->in_flight);
    g_hash_table_unref(network->learned);
    g_hash_table_unref(network->n_exact);
    g_hash_table_unref(network->steered);
    g_hash_table_unref(network->vms);
    g_hash_table_unref(network->ports);
    g_hash_table_unref(network->exact);
    g_free(network->bridge);
    g_free(network->address);
    g_free(network->address6);
    g_free(network->mac);
    g_free(network);
}

void slice_network_start(SliceNetwork *network)
{
    if (!network->started) {
        network->started = TRUE;
        apply(network);
    }
}

/* New connections of these clients go where the spread says. */
static void unsteer(SliceNetwork *network, guint slot, GPtrArray *lines)
{
    GHashTableIter iter;
    gpointer client, value;

    g_hash_table_iter_init(&iter, network->steered);
    while (g_hash_table_iter_next(&iter, &client, &value)) {
        if (GPOINTER_TO_UINT(value) == slot) {
            g_ptr_array_add(lines, slice_rules_no_client(client));
            g_hash_table_iter_remove(&iter);
        }
    }
}

void slice_network_set_vm(SliceNetwork *network, const char *name,
                          const char *port, gboolean spread, gboolean open,
                          guint weight)
{
    Vm *vm = g_hash_table_lookup(network->vms, name);
    g_autoptr(GError) error = NULL;

    if (!vm) {
        guint slot = slice_store_slot(network->store, name, &error);

        if (!slot) {
            g_warning("VM %s gets no connections: %s", name, error->message);
            return;
        }
        vm = g_new0(Vm, 1);
        vm->name = g_strdup(name);
        vm->slot = slot;
        g_hash_table_insert(network->vms, vm->name, vm);
    } else if (vm->spread == spread && vm->open == open && vm->weight == weight &&
               g_str_equal(vm->port, port)) {
        return;
    }
    if (!open) {
        g_autoptr(GPtrArray) lines = lines_new();

        unsteer(network, vm->slot, lines);
        submit(network, g_steal_pointer(&lines), name, NULL, NULL);
    }
    vm->closing |= vm->open && !open && spread;
    vm->spread = spread;
    vm->open = open;
    vm->weight = weight;
    g_free(vm->port);
    vm->port = g_strdup(port);
    apply(network);
}

static void drop_exact_of(SliceNetwork *network, guint slot)
{
    g_autoptr(GArray) flows = g_array_new(FALSE, FALSE, sizeof(SliceTuple));
    GHashTableIter iter;
    gpointer flow, value;

    g_hash_table_iter_init(&iter, network->exact);
    while (g_hash_table_iter_next(&iter, &flow, &value)) {
        if (GPOINTER_TO_UINT(value) == slot) {
            g_array_append_vals(flows, flow, 1);
        }
    }
    slice_network_forget(network, flows);
}

void slice_network_lose_vm(SliceNetwork *network, const char *name)
{
    Vm *vm = g_hash_table_lookup(network->vms, name);

    if (vm) {
        g_autoptr(GPtrArray) lines = lines_new();

        vm->spread = FALSE;
        vm->open = FALSE;
        unsteer(network, vm->slot, lines);
        g_ptr_array_add(lines, slice_rules_none_of(SLICE_RULES_LEARNED, vm->slot));
        submit(network, g_steal_pointer(&lines), name, NULL, NULL);
        apply(network);
        drop_exact_of(network, vm->slot);
    }
}

void slice_network_remove_vm(SliceNetwork *network, const char *name)
{
    slice_network_lose_vm(network, name);
    if (g_hash_table_remove(network->vms, name)) {
        apply(network);
    }
}

static void refuse(SliceNetwork *network, const char *slice, const char *why,
                   SliceFlowDone done, gpointer data)
{
    g_autoptr(GError) error =
        g_error_new(SLICE_ERROR, SLICE_ERROR_REFUSED,
                    "bridge %s refused the rule of slice %s: %s",
                    network->bridge, slice, why);

    done(error, data);
}

void slice_network_route(SliceNetwork *network, const char *slice,
                         GArray *flows, const char *name, SliceFlowDone done,
                         gpointer data)
{
    Vm *vm = g_hash_table_lookup(network->vms, name);
    g_autoptr(GPtrArray) lines = lines_new();
    g_autofree char *whose = g_strdup_printf("slice %s", slice);

    if (!vm || (network->connected && !port_of(network, vm))) {
        refuse(network, slice, "no such port", done, data);
        return;
    }
    if (!flows->len) {
        done(NULL, data);
        return;
    }
    for (guint i = 0; i < flows->len; i++) {
        const SliceTuple *flow = &g_array_index(flows, SliceTuple, i);

        set_exact(network, flow, vm->slot);
        g_ptr_array_add(lines, slice_rules_exact(flow, vm->slot));
    }
    submit(network, g_steal_pointer(&lines), whose, done, data);
}

void slice_network_correct(SliceNetwork *network, const char *slice, GArray *flows,
                           const char *name, gboolean all)
{
    Vm *vm = g_hash_table_lookup(network->vms, name);
    g_autoptr(GPtrArray) lines = lines_new();
    g_autofree char *whose = g_strdup_printf("slice %s", slice);

    for (guint i = 0; vm && i < flows->len; i++) {
        const SliceTuple *flow = &g_array_index(flows, SliceTuple, i);

        guint slot = exact_of(network, flow);

        if (slot != vm->slot && (slot || all)) {
            set_exact(network, flow, vm->slot);
            g_ptr_array_add(lines, slice_rules_exact(flow, vm->slot));
        }
    }
    submit(network, g_steal_pointer(&lines), whose, NULL, NULL);
}

static gboolean any_vm_is_closed(SliceNetwork *network)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, network->vms);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        if (((Vm *)value)->spread && !((Vm *)value)->open) {
            return TRUE;
        }
    }
    return FALSE;
}

void slice_network_appeared(SliceNetwork *network, const char *slice, GArray *flows,
                            const char *name)
{
    gboolean closed = any_vm_is_closed(network);
    g_autoptr(GArray) may_be_learned = g_array_new(FALSE, FALSE, sizeof(SliceTuple));

    for (guint i = 0; i < flows->len; i++) {
        const SliceTuple *flow = &g_array_index(flows, SliceTuple, i);

        if (!exact_of(network, flow) &&
            (closed || g_hash_table_contains(network->steered, flow->remote) ||
             g_hash_table_contains(network->learned, flow))) {
            g_array_append_vals(may_be_learned, flow, 1);
        }
    }
    if (may_be_learned->len) {
        slice_network_correct(network, slice, may_be_learned, name, TRUE);
    }
}

void slice_network_steer(SliceNetwork *network, const char *client, const char *name)
{
    Vm *vm = name ? g_hash_table_lookup(network->vms, name) : NULL;
    guint now = GPOINTER_TO_UINT(g_hash_table_lookup(network->steered, client));
    gboolean moved = now || g_hash_table_contains(network->n_exact, client);
    guint slot = vm && vm->spread && vm->open && moved ? vm->slot : 0;
    g_autoptr(GPtrArray) lines = lines_new();

    if (slot == now) {
        return;
    }
    if (slot) {
        g_hash_table_insert(network->steered, g_strdup(client), GUINT_TO_POINTER(slot));
        g_ptr_array_add(lines, slice_rules_client(client, slot));
    } else {
        g_hash_table_remove(network->steered, client);
        g_ptr_array_add(lines, slice_rules_no_client(client));
    }
    submit(network, g_steal_pointer(&lines), client, NULL, NULL);
}

void slice_network_forget(SliceNetwork *network, GArray *flows)
{
    g_autoptr(GPtrArray) lines = lines_new();

    for (guint i = 0; i < flows->len; i++) {
        const SliceTuple *flow = &g_array_index(flows, SliceTuple, i);

        if (drop_exact(network, flow)) {
            g_ptr_array_add(lines, slice_rules_no_exact(flow));
        }
    }
    submit(network, g_steal_pointer(&lines), "connections that ended", NULL, NULL);
}

void slice_network_trim(SliceNetwork *network)
{
    g_autoptr(GArray) unknown = g_array_new(FALSE, FALSE, sizeof(SliceTuple));
    g_autoptr(GPtrArray) lines = lines_new();
    GHashTableIter iter;
    gpointer flow;

    network->pins = lines;
    network->seen = g_hash_table_new_full(slice_tuple_hash, slice_tuple_equal,
                                          g_free, NULL);
    network->known(network, pin, network->data);
    network->pins = NULL;
    submit(network, g_steal_pointer(&lines), "learned connections", NULL, NULL);
    g_hash_table_iter_init(&iter, network->exact);
    while (g_hash_table_iter_next(&iter, &flow, NULL)) {
        if (!g_hash_table_contains(network->seen, flow)) {
            g_array_append_vals(unknown, flow, 1);
        }
    }
    g_clear_pointer(&network->seen, g_hash_table_unref);
    slice_network_forget(network, unknown);
}

gboolean slice_network_is_connected(SliceNetwork *network)
{
    return network->connected;
}

guint slice_network_slot(SliceNetwork *network, const char *name)
{
    Vm *vm = g_hash_table_lookup(network->vms, name);

    return vm ? vm->slot : 0;
}

guint slice_network_port(SliceNetwork *network, const char *name)
{
    Vm *vm = g_hash_table_lookup(network->vms, name);

    return vm ? port_of(network, vm) : 0;
}

gboolean slice_network_in_spread(SliceNetwork *network, const char *name)
{
    Vm *vm = g_hash_table_lookup(network->vms, name);

    return vm && vm->spread && vm->open && port_of(network, vm);
}

guint slice_network_bundles(SliceNetwork *network)
{
    return network->bundles;
}

guint slice_network_steered(SliceNetwork *network)
{
    return g_hash_table_size(network->steered);
}

guint slice_network_exact_rules(SliceNetwork *network)
{
    return g_hash_table_size(network->exact);
}
