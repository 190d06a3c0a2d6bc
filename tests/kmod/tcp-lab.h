/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp-lab.h - two hosts with one address, a client and a switch, in one kernel
 *
 *      host A  192.0.2.10 ---.
 *      (02:00:00:00:00:10)    \
 *                              switch (this program) --- client 192.0.2.20
 *      host B  192.0.2.10     /                          (02:00:00:00:00:20)
 *      (02:00:00:00:00:10) --'
 *
 * or, with IPv6, 2001:db8::10 and ::20.
 *
 * Each host is a network namespace whose only device is a tap; this program
 * holds the other end of each and so is the wire and the switch: it sees every
 * frame, says which host owns a connection, can hold what the client sends as
 * the hypervisor's gate does, and lose frames. Everything runs in one thread
 * that never blocks, so a test says exactly what happens between two steps.
 *
 * A connection's two ends are peers: each sends a numbered pattern as far as
 * it was told to, and checks every byte that it reads. The server's peer is
 * the application: it lives on when its connection moves to another host and
 * goes on with another descriptor.
 *
 * Below: /dev/net/tun, /dev/slice. Above: tcp-*-test.c.
 */
#ifndef TCP_LAB_H
#define TCP_LAB_H

#include <glib.h>
#include <linux/slice.h>
#include <linux/slice_capsule.h>

enum {
    LAB_A,
    LAB_B,
    LAB_CLIENT,
    LAB_N_HOSTS,
};

#define LAB_PORT 7000
#define LAB_PARAMETERS "/sys/module/slice/parameters/"

/**
 * LabNet: what the connections of a lab speak
 * @LAB_IPV4: sockets of IPv4
 * @LAB_MAPPED: IPv4 to a server with a socket of IPv6
 * @LAB_IPV6: IPv6
 */
typedef enum LabNet {
    LAB_IPV4,
    LAB_MAPPED,
    LAB_IPV6,
} LabNet;

/**
 * Peer:
 * @fd: nonblocking socket, or -1
 * @salt: of the pattern that it sends; reads that of the other end
 * @tx: bytes sent
 * @tx_goal: bytes that it is to send
 * @rx: bytes read, all as expected
 * @reads: whether it reads what is there
 * @at_eof: the other end has closed its direction
 * @error: errno of the socket, 0 while it is well
 */
typedef struct Peer {
    int fd;
    guint8 salt;
    guint64 tx;
    guint64 tx_goal;
    guint64 rx;
    gboolean reads;
    gboolean at_eof;
    int error;
} Peer;

/**
 * Conn:
 * @client: its end
 * @server: the other
 * @port: of the client, in host order
 * @host: that owns the server's end: LAB_A or LAB_B
 * @held: what the switch keeps of the client's frames, or NULL: it passes them
 * @seq: end of the client's highest byte sent so far
 * @seq_is_known: @seq is set
 * @tsval: the last timestamp that a host has sent
 * @tsval_is_known: @tsval is set
 * @next: end of the last frame of a host in the sequence space
 * @said: where the payload of the hosts' frames began, guint32 each, since
 *	conn_forget_said()
 * @hole: frames of a host with payload before that are lost
 * @has_hole: @hole is set
 * @fin: where the FIN of a host stands
 * @fin_is_known: @fin is set
 * @is_covered: a capsule above it takes its descriptor, see conn_cover()
 * @cover: that capsule
 */
typedef struct Conn {
    Peer client;
    Peer server;
    guint16 port;
    int host;
    GQueue *held;
    guint32 seq;
    gboolean seq_is_known;
    guint32 tsval;
    gboolean tsval_is_known;
    guint32 next;
    GArray *said;
    guint32 hole;
    gboolean has_hole;
    guint32 fin;
    gboolean fin_is_known;
    gboolean is_covered;
    struct slice_id cover;
} Conn;

/**
 * LabSeen: frames of connections that are set up, since lab_forget_seen()
 * @n_rst: with RST, from anybody
 * @n_syn: with SYN
 * @n_fin: FINs of the hosts, repetitions of one not counted
 * @n_strange: from a host that does not own the connection
 * @n_again: from the client with payload that it had sent before
 * @n_arp: hosts that asked for a hardware address (ARP, or as IPv6 does it)
 * @n_from_hosts: of the connections, from a host
 * @n_back: with an older timestamp than one that a host sent before
 */
typedef struct LabSeen {
    guint n_rst;
    guint n_syn;
    guint n_fin;
    guint n_strange;
    guint n_again;
    guint n_arp;
    guint n_from_hosts;
    guint n_back;
} LabSeen;

typedef struct Lab {
    LabNet net;
    int slice;              /* /dev/slice */
    gboolean has_layer;     /* that covers connections */
    int home;               /* our own namespace */
    int ns[LAB_N_HOSTS];
    int tap[LAB_N_HOSTS];
    int listener[2];
    GPtrArray *conns;
    LabSeen seen;
    guint loss_permille;    /* of frames in either direction */
    GRand *rand;
} Lab;

/* A kept image. */
typedef struct Image {
    struct slice_id slice;
    guint64 bytes;
    guint8 *data;
} Image;

Lab *lab_new(LabNet net);
/* Writes to a file of /proc or /sys, within the thread's namespace. */
void lab_set(const char *path, const char *value);
/* Runs a program in the thread's namespace; the test fails if it does. */
void lab_call(const char *command);
void lab_free(Lab *lab);
/* Runs @fn with the thread in @host's namespace. */
void lab_enter(Lab *lab, int host);
void lab_leave(Lab *lab);
/* Passes on the frames that are there; whether there were any. */
gboolean lab_forward(Lab *lab);
/* Lets frames and bytes flow for at most @timeout_ms; whether anything did. */
gboolean lab_step(Lab *lab, int timeout_ms);
/* Until @done says so; fails the test after 30 s. */
void lab_run(Lab *lab, gboolean (*done)(Lab *lab, gpointer data),
             gpointer data);
/* Until nothing has happened for @quiet_ms. */
void lab_settle(Lab *lab, int quiet_ms);
void lab_forget_seen(Lab *lab);
/* The client has been told nothing that it should not have been, and nobody has
 * spoken who had nothing to say; @n_fin that the servers' applications wanted. */
void lab_assert_silent(const Lab *lab, guint n_fin);
/* A counter of /proc/net/netstat at @host, e.g. TCPTimeouts. */
guint64 lab_counter(Lab *lab, int host, const char *name);
/** lab_amount: of repetitions that are @all with SLICE_ALL, a quarter without. */
guint lab_amount(guint all);
void lab_write_frame(Lab *lab, int host, const void *frame, gsize bytes);

/* A nonblocking socket of the client's begins to connect to the servers. */
void lab_begin_connect(Lab *lab, int fd);
/* A client connects; the server's end waits in host A's accept queue. */
Conn *lab_dial(Lab *lab);
/* A client connects, host A accepts: both ends read, nothing is to be sent. */
Conn *lab_connect(Lab *lab);
void conn_close(Lab *lab, Conn *conn);
void conn_forget_said(Conn *conn);
/* From now on it sends @client_bytes and @server_bytes more. */
void conn_say(Conn *conn, guint64 client_bytes, guint64 server_bytes);
/* Until both ends have sent and read their goals. */
void lab_finish(Lab *lab, Conn *conn);
gboolean conn_is_done(Lab *lab, gpointer conn);

/* ---- the steps of a move, and a whole one ---- */
void conn_id(Lab *lab, const Conn *conn, struct slice_id *ret_id);
void conn_hold(Lab *lab, Conn *conn);
void conn_release(Lab *lab, Conn *conn, int host);
int lab_quiesce(Lab *lab, struct slice_id id);
/* 0 or an errno; *ret_why is an enum slice_why. */
int lab_unplug(Lab *lab, struct slice_id id, Image *ret_image,
               guint *ret_why);
int lab_plug(Lab *lab, int host, const Image *image, guint *ret_why);
int lab_end(Lab *lab, struct slice_id id, guint how);
/* QUIESCE, HOLD, UNPLUG and FORGET, PLUG at @host, OPEN, release: all but the
 * application's part. */
void lab_move(Lab *lab, Conn *conn, struct slice_id id, int host);
/* Registers a capsule that needs the connection: it stands for an application
 * that takes the descriptor of a connection that arrives. */
void conn_cover(Lab *lab, Conn *conn);
void image_clear(Image *image);
/* The server's next descriptor from @host's accept queue. */
int lab_accept(Lab *lab, int host);
void conn_move(Lab *lab, Conn *conn, int host);

/* ---- changing an image ---- */
struct slice_image_tcp *image_tcp(const Image *image);
/* Makes the checksum fit again. */
void image_seal(Image *image);
/* Another slice with other capsules and the same connection; seals. */
void image_rename(Image *image);
/* Adds a record of out-of-order input and seals. */
void image_add_ahead(Image *image, const void *runs, gsize bytes);

#endif
