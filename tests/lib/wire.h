/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wire.h - reads packet captures and judges TCP connections in them
 *
 * A Wire is a list of TCP packets, of IPv4 and IPv6, in the order of time, from one capture
 * or several.  Times are of the realtime clock, in nanoseconds, as in the file.
 */
#ifndef SLICE_TESTS_WIRE_H
#define SLICE_TESTS_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#define WIRE_FIN 0x01
#define WIRE_SYN 0x02
#define WIRE_RST 0x04
#define WIRE_ACK 0x10

/* Linux' shortest retransmission time-out: older repetitions come from it. */
#define WIRE_RTO_NS 200000000LL

typedef struct WirePacket {
    int64_t time_ns;
    uint32_t source, destination;       /* host order; of IPv6 the last four bytes */
    uint16_t source_port, destination_port;
    uint32_t seq, ack;
    uint32_t bytes;                     /* of payload */
    uint16_t window;                    /* as it stands in the header */
    int8_t scale;                       /* of the windows, as a SYN says; -1: it does not */
    uint8_t flags;                      /* WIRE_* */
    uint8_t place;                      /* number of the capture that saw it */
} WirePacket;

/* @server_port: of the connections to judge, 80 unless it is set */
typedef struct Wire {
    GArray *packets;                    /* WirePacket */
    uint64_t n_other;                   /* frames that are not TCP */
    bool truncated;                     /* a file ended within a packet */
    uint16_t server_port;
} Wire;

Wire *wire_new(void);
void wire_free(Wire *wire);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Wire, wire_free)

/** wire_read: add a pcap file's packets as capture number @place. */
bool wire_read(Wire *wire, const char *path, uint8_t place, GError **error);
/**
 * wire_read_servers: add all captures NAME-svc.pcap of a directory, and sort
 *
 * Each gets a number of its own from 1 on.
 */
bool wire_read_servers(Wire *wire, const char *dir, GError **error);
/** wire_sort: by time, after the last wire_read. */
void wire_sort(Wire *wire);

/**
 * struct WireVerdict - of one client's connection, over a span of time
 * @n_rst, @n_syn: packets with that flag
 * @n_fin: the same, but a FIN that is sent again counts once
 * @n_timeouts: repetitions that came at least WIRE_RTO_NS after the same bytes,
 *	but for the first payload from a new place: that is how a server asks what
 *	its client has
 * @n_repeated: all repetitions of payload
 * @n_stale: repetitions of what the receiver had acknowledged already, wholly
 * @n_outside: payload beyond the receiver's window; known only where the capture
 *	has seen the connection's begin
 * @n_bytes: of payload, in both directions, repetitions included
 * @n_owners: places that the server's packets came from, one after another;
 *	one more than there were changes
 */
typedef struct WireVerdict {
    unsigned int n_rst, n_fin, n_syn;
    unsigned int n_timeouts, n_repeated, n_stale, n_outside;
    uint64_t n_bytes;
    unsigned int n_owners;
} WireVerdict;

/**
 * wire_judge: one connection, named by the client's port
 * @from_server, @from_client: which directions to look at
 * @begin_ns, @end_ns: the span [begin, end) in which things count; what came
 *	before is known all the same
 */
void wire_judge(const Wire *wire, uint16_t client_port, bool from_server, bool from_client,
                int64_t begin_ns, int64_t end_ns, WireVerdict *ret_verdict);

/** wire_clients: ports of the clients that said or heard something in the span
 *  [begin, end), in the order of their first packets; (element-type uint16_t). */
GArray *wire_clients(const Wire *wire, int64_t begin_ns, int64_t end_ns);

#endif /* SLICE_TESTS_WIRE_H */
