/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * network.c - which connection leads to which VM
 *
 * exact:  connection -> slot: what table 1 has, or will have once what is under way is
 *         committed.  A VM's death takes its rules, a connection's end its own, never a
 *         move: where the spread puts a client is the switch's secret.
 */
#include "network.h"

#include "rules.h"
#include "util/error.h"

typedef struct {
    char *name;
    char *port;
    guint slot;
    gboolean spread;
    gboolean spread_before; /* as the switch was last told */
} Vm;

struct SliceNetwork {
    char *bridge;
    char *address;
    char *mac;
    SliceStore *store;
    SliceNetworkKnown known;
    gpointer data;
    SliceFlow *flow;
    gboolean started;
    gboolean connected;
    GHashTable *vms;   /* name -> Vm */
    GHashTable *ports; /* name -> number */
    GHashTable *exact; /* SliceTuple -> slot */
    GPtrArray *pins;   /* while pins are collected: lines */
    GHashTable *seen;  /* while trimming: connections that somebody knows */
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

static void set_exact(SliceNetwork *network, const SliceTuple *flow, guint slot)
{
    g_hash_table_insert(network->exact, g_memdup2(flow, sizeof(*flow)),
                        GUINT_TO_POINTER(slot));
}

static void pin(SliceNetwork *network, const SliceTuple *flow, const char *name)
{
    Vm *vm = name ? g_hash_table_lookup(network->vms, name) : NULL;

    if (network->seen) {
        g_hash_table_add(network->seen, g_memdup2(flow, sizeof(*flow)));
        return;
    }
    if (vm && GPOINTER_TO_UINT(g_hash_table_lookup(network->exact, flow)) !=
                  vm->slot) {
        set_exact(network, flow, vm->slot);
        g_ptr_array_add(network->pins, slice_rules_exact(flow, vm->slot));
    }
}

/* Adding a bucket moves clients: what is known is pinned in the same bundle, before. */
static void pin_known(SliceNetwork *network, GPtrArray *lines)
{
    network->pins = lines;
    network->known(network, pin, network->data);
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

/* Return: the VMs that have a port; @ret_grows: one joins the spread. */
static GArray *present_vms(SliceNetwork *network, gboolean *ret_grows)
{
    GArray *present = g_array_new(FALSE, FALSE, sizeof(SliceRulesVm));
    GHashTableIter iter;
    gpointer value;

    *ret_grows = FALSE;
    g_hash_table_iter_init(&iter, network->vms);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Vm *vm = value;
        SliceRulesVm entry = { vm->slot, port_of(network, vm), vm->spread };

        *ret_grows |= entry.port && vm->spread && !vm->spread_before;
        vm->spread_before = entry.port && vm->spread;
        if (entry.port) {
            g_array_append_val(present, entry);
        }
    }
    g_array_sort(present, by_slot);
    return present;
}

static void base_done(const GError *error, gpointer data)
{
    if (error && !g_error_matches(error, SLICE_ERROR, SLICE_ERROR_UNREACHABLE)) {
        g_warning("%s", error->message);
    }
}

/* Brings tables 0 and 2 and the groups to what they should be, and pins first. */
static void apply(SliceNetwork *network)
{
    g_autoptr(GArray) vms = NULL;
    g_autoptr(GArray) outside = NULL;
    g_autoptr(GPtrArray) base = NULL;
    g_autoptr(GPtrArray) lines = NULL;
    gboolean grows;

    if (!network->started || !network->connected) {
        return;
    }
    vms = present_vms(network, &grows);
    outside = outside_ports(network);
    base = slice_rules_base(network->address, network->mac, vms, outside);
    lines = g_ptr_array_new_with_free_func(g_free);
    if (grows) {
        pin_known(network, lines);
    }
    g_ptr_array_extend_and_steal(lines, g_steal_pointer(&base));
    slice_flow_commit(network->flow, lines, "the spread", base_done, NULL);
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

/* What we hold wins where both know a connection; ours that the switch lost come back. */
static void merge_rules(SliceNetwork *network, GArray *rules)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GHashTable) has = g_hash_table_new(slice_tuple_hash,
                                                 slice_tuple_equal);
    GHashTableIter iter;
    gpointer flow, slot;

    for (guint i = 0; i < rules->len; i++) {
        SliceFlowRule *rule = &g_array_index(rules, SliceFlowRule, i);

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
    if (lines->len) {
        slice_flow_commit(network->flow, lines, "known connections", base_done,
                          NULL);
    }
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
                                const char *address, const char *mac,
                                SliceStore *store, SliceNetworkKnown known,
                                gpointer data)
{
    SliceNetwork *network = g_new0(SliceNetwork, 1);

    network->bridge = g_strdup(bridge);
    network->address = g_strdup(address);
    network->mac = g_strdup(mac);
    network->store = store;
    network->known = known;
    network->data = data;
    network->vms = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, vm_free);
    network->ports = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    network->exact = g_hash_table_new_full(slice_tuple_hash, slice_tuple_equal,
                                           g_free, NULL);
    network->flow = slice_flow_new(bridge, openflow, &flow_handlers, network);
    return network;
}

void slice_network_free(SliceNetwork *network)
{
    if (!network) {
        return;
    }
    slice_flow_free(network->flow);
    g_hash_table_unref(network->vms);
    g_hash_table_unref(network->ports);
    g_hash_table_unref(network->exact);
    g_free(network->bridge);
    g_free(network->address);
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

void slice_network_set_vm(SliceNetwork *network, const char *name,
                          const char *port, gboolean spread)
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
    } else if (vm->spread == spread && g_str_equal(vm->port, port)) {
        return;
    }
    vm->spread = spread;
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
        vm->spread = FALSE;
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
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
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
    slice_flow_commit(network->flow, lines, whose, done, data);
}

void slice_network_forget(SliceNetwork *network, GArray *flows)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < flows->len; i++) {
        const SliceTuple *flow = &g_array_index(flows, SliceTuple, i);

        if (g_hash_table_remove(network->exact, flow)) {
            g_ptr_array_add(lines, slice_rules_no_exact(flow));
        }
    }
    if (lines->len) {
        slice_flow_commit(network->flow, lines, "connections that ended",
                          base_done, NULL);
    }
}

void slice_network_trim(SliceNetwork *network)
{
    g_autoptr(GArray) unknown = g_array_new(FALSE, FALSE, sizeof(SliceTuple));
    GHashTableIter iter;
    gpointer flow;

    network->seen = g_hash_table_new_full(slice_tuple_hash, slice_tuple_equal,
                                          g_free, NULL);
    network->known(network, pin, network->data);
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

    return vm && vm->spread && port_of(network, vm);
}

guint slice_network_exact_rules(SliceNetwork *network)
{
    return g_hash_table_size(network->exact);
}
