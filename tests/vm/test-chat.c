// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-chat.c - rooms of the chat example move, with all who are inside
 *
 *      cl1 ─── br0 ─┬─ web1      slice-chat runs in both; a room and its
 *                   └─ web2      members are one slice
 *
 * A server that is not a web server, written after docs/howto/write-a-capsule:
 * half a line that a client has sent, who it is and where it is heard travel.
 * Every line that a client hears is compared, so one that is lost, doubled or
 * out of order is seen at once.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "cluster.h"

#define CHAT_PORT 7007
#define N_MOVES 6
#define N_LINES 300

typedef struct Chatter {
    int fd;
    uint16_t port;
    GString *heard;             /* not yet a whole line */
} Chatter;

/* Returns when it listens. */
static void start_server(LabVm *vm)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *script = g_strdup_printf(
        "setsid slice-chat %d </dev/null >/dev/console 2>&1 & "
        "for i in $(seq 3000); do "
        "grep -q ':%04X .* 0A ' /proc/net/tcp6 && exit 0; usleep 10000; done; exit 1",
        CHAT_PORT, CHAT_PORT);
    g_autofree char *output = lab_vm_shell(vm, script, &error);

    g_assert_no_error(error);
}

static void start_servers(Cluster *cluster)
{
    for (int i = 0; i < N_VMS; i++) {
        start_server(cluster->vms[i]);
    }
}

static void chatter_say(Chatter *chatter, const char *text)
{
    size_t bytes = strlen(text);

    g_assert_cmpint(send(chatter->fd, text, bytes, MSG_NOSIGNAL), ==, bytes);
}

static void chatter_hears(Chatter *chatter, const char *line)
{
    char *end;

    while (!(end = memchr(chatter->heard->str, '\n', chatter->heard->len))) {
        char buffer[4096];
        ssize_t n = recv(chatter->fd, buffer, sizeof(buffer), 0);

        if (n <= 0) {
            g_error("waiting for '%s': %s", line, n ? g_strerror(errno) : "closed");
        }
        g_string_append_len(chatter->heard, buffer, n);
    }
    *end = '\0';
    g_assert_cmpstr(chatter->heard->str, ==, line);
    g_string_erase(chatter->heard, 0, end + 1 - chatter->heard->str);
}

static void chatter_joins(Cluster *cluster, Chatter *chatter, const char *name)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(CHAT_PORT) };
    struct timeval timeout = { .tv_sec = TEST_TIMEOUT_MS / 1000 };
    g_autoptr(GError) error = NULL;
    g_autofree char *first = g_strdup_printf("%s lobby\n", name);
    g_autofree char *answer = g_strdup_printf("%s is here", name);
    socklen_t bytes = sizeof(addr);

    chatter->fd = lab_client_socket(cluster->client, &error);
    g_assert_no_error(error);
    setsockopt(chatter->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    inet_pton(AF_INET, LAB_CLUSTER_ADDRESS, &addr.sin_addr);
    g_assert_cmpint(connect(chatter->fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
    g_assert_cmpint(getsockname(chatter->fd, (struct sockaddr *)&addr, &bytes), ==, 0);
    chatter->port = ntohs(addr.sin_port);
    chatter->heard = g_string_new(NULL);
    cluster_judge_port(cluster, CHAT_PORT, chatter->port, 0);
    chatter_say(chatter, first);
    chatter_hears(chatter, answer);
}

static void chatter_leave(Chatter *chatter)
{
    g_string_free(chatter->heard, TRUE);
    close(chatter->fd);
}

static LabSlice *chatter_slice(Cluster *cluster, const Chatter *chatter)
{
    g_autoptr(GError) error = NULL;
    LabSlice *slice = lab_slice_find(cluster->lab, chatter->port, &error);

    g_assert_no_error(error);
    return slice;
}

static void test_half_a_line(Cluster *cluster)
{
    g_autoptr(LabSlice) slice = NULL;
    Chatter alice;

    start_servers(cluster);
    chatter_joins(cluster, &alice, "alice");
    slice = chatter_slice(cluster, &alice);
    for (int i = 0; i < N_MOVES; i++) {
        g_autofree char *before = g_strdup_printf("line %d\nand ", i);
        g_autofree char *after = g_strdup_printf("%d more\n", i);
        g_autofree char *first = g_strdup_printf("alice: line %d", i);
        g_autofree char *second = g_strdup_printf("alice: and %d more", i);

        chatter_say(&alice, before);
        chatter_hears(&alice, first);
        cluster_move(cluster, slice);
        chatter_say(&alice, after);
        chatter_hears(&alice, second);
    }
    cluster_finish(cluster);
    chatter_leave(&alice);
}

static void test_room_moves_together(Cluster *cluster)
{
    g_autoptr(LabSlice) room = NULL;
    Chatter bob, carol;

    start_servers(cluster);
    chatter_joins(cluster, &bob, "bob");
    chatter_joins(cluster, &carol, "carol");
    chatter_hears(&bob, "carol is here");
    room = cluster_labelled(cluster, "lobby", 2);
    for (int i = 0; i < N_MOVES; i++) {
        cluster_move(cluster, room);
        chatter_say(&bob, "hello, carol\n");
        chatter_hears(&carol, "bob: hello, carol");
        chatter_say(&carol, "hello, bob\n");
        chatter_hears(&carol, "carol: hello, bob");
        chatter_hears(&bob, "bob: hello, carol");
        chatter_hears(&bob, "carol: hello, bob");
    }
    cluster_finish(cluster);
    chatter_leave(&bob);
    chatter_leave(&carol);
}

typedef struct Mover {
    Cluster *cluster;
    LabSlice *slice;
} Mover;

static gpointer move_on_and_on(gpointer opaque)
{
    Mover *mover = opaque;

    for (int i = 0; i < N_MOVES; i++) {
        cluster_move(mover->cluster, mover->slice);
    }
    return NULL;
}

/* Lines on their way in both directions while the room moves on and on. */
static void test_talk_goes_on(Cluster *cluster)
{
    g_autoptr(LabSlice) slice = NULL;
    Chatter dave;
    Mover mover;
    GThread *thread;
    int said = 0;

    start_servers(cluster);
    chatter_joins(cluster, &dave, "dave");
    slice = chatter_slice(cluster, &dave);
    mover = (Mover){ cluster, slice };
    thread = g_thread_new("mover", move_on_and_on, &mover);
    for (int heard = 0; heard < N_LINES; heard++) {
        g_autofree char *line = g_strdup_printf("dave: %d", heard);

        /* Always some lines ahead. */
        for (; said < N_LINES && said < heard + 8; said++) {
            g_autofree char *text = g_strdup_printf("%d\n", said);

            chatter_say(&dave, text);
        }
        chatter_hears(&dave, line);
    }
    g_thread_join(thread);
    chatter_say(&dave, "bye\n");
    chatter_hears(&dave, "dave: bye");
    cluster_finish(cluster);
    chatter_leave(&dave);
}

static void add_tests(void)
{
    cluster_add("/vm/chat/half-a-line-travels", test_half_a_line);
    cluster_add("/vm/chat/a-room-moves-with-all-who-are-inside", test_room_moves_together);
    cluster_add("/vm/chat/talk-goes-on-while-the-room-moves", test_talk_goes_on);
}

int main(int argc, char **argv)
{
    return cluster_main(argc, argv, add_tests);
}
