/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp-firewall-test.c - a stateful firewall in the guest lets through what moved
 *
 * Needs root, /dev/slice, /dev/net/tun and nft. See tcp-lab.h for the topology.
 * Both hosts have rules that let only SYNs begin anything, drop what is invalid,
 * and do not pick up connections in the middle. 58 is ICMP for IPv6: the guests'
 * image has no names of protocols.
 */
#include <string.h>
#include <unistd.h>

#include "tcp-lab.h"

static const char rules[] =
    "table inet guard {\n"
    "    chain input {\n"
    "        type filter hook input priority 0; policy drop;\n"
    "        meta l4proto 58 accept\n"
    "        ct state invalid drop\n"
    "        ct state established accept\n"
    "        tcp dport 7000 tcp flags & (fin|syn|rst|ack) == syn accept\n"
    "    }\n"
    "    chain output {\n"
    "        type filter hook output priority 0; policy accept;\n"
    "        ct state invalid drop\n"
    "    }\n"
    "}\n";

static void set_rules(Lab *lab, int host)
{
    g_autofree char *path = NULL, *command = NULL;
    g_autoptr(GError) error = NULL;
    int fd = g_file_open_tmp("rules-XXXXXX", &path, &error);

    g_assert_no_error(error);
    g_assert_cmpint(write(fd, rules, strlen(rules)), ==, strlen(rules));
    close(fd);
    command = g_strdup_printf("nft -f %s", path);
    lab_enter(lab, host);
    lab_call(command);
    unlink(path);
    lab_set("/proc/sys/net/netfilter/nf_conntrack_tcp_loose", "0");
    lab_leave(lab);
}

static void exchange(Lab *lab, Conn *conn)
{
    conn_say(conn, 100000, 100000);
    lab_finish(lab, conn);
}

/* Off to where conntrack has never seen it, and back to where it remembers
 * windows that are long past. */
static void test_there_and_back(gconstpointer net)
{
    g_autofree char *nft = g_find_program_in_path("nft");
    Lab *lab;
    Conn *conn;
    int i;

    if (!nft) {
        g_test_skip("the guest has no nft");
        return;
    }
    lab = lab_new(GPOINTER_TO_INT(net));
    set_rules(lab, LAB_A);
    set_rules(lab, LAB_B);
    conn = lab_connect(lab);
    exchange(lab, conn);
    lab_forget_seen(lab);
    for (i = 0; i < 4; i++) {
        conn_move(lab, conn, conn->host == LAB_A ? LAB_B : LAB_A);
        exchange(lab, conn);
    }
    lab_assert_silent(lab, 0);
    lab_free(lab);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/tcp/firewall/there-and-back",
                         GINT_TO_POINTER(LAB_IPV4), test_there_and_back);
    g_test_add_data_func("/tcp/firewall/ipv6/there-and-back",
                         GINT_TO_POINTER(LAB_IPV6), test_there_and_back);
    return g_test_run();
}
