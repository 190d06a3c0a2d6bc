// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * wire.c - reads packet captures and judges TCP connections in them
 *
 * The file format is pcap 2.4 with Ethernet frames, as tcpdump writes it;
 * frames may be cut short behind the TCP header.
 */
#include "wire.h"

#include <string.h>

#define SERVER_PORT 80
#define ETHERTYPE_IP 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define IPV6_BYTES 40
#define OPTION_END 0
#define OPTION_NOTHING 1
#define OPTION_SCALE 3
#define PCAP_MICROSECONDS 0xa1b2c3d4u
#define PCAP_NANOSECONDS 0xa1b23c4du
#define PCAP_ETHERNET 1

struct PcapHeader {
    uint32_t magic;
    uint16_t major, minor;
    uint32_t zone, precision, snap_bytes, link_type;
};

struct PcapRecord {
    uint32_t seconds, fraction, kept_bytes, bytes;
};

Wire *wire_new(void)
{
    Wire *wire = g_new0(Wire, 1);

    wire->packets = g_array_new(FALSE, FALSE, sizeof(WirePacket));
    wire->server_port = SERVER_PORT;
    return wire;
}

void wire_free(Wire *wire)
{
    if (wire) {
        g_array_unref(wire->packets);
        g_free(wire);
    }
}

static uint16_t get16(const uint8_t *at)
{
    return at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)get16(at) << 16 | get16(at + 2);
}

/* The shift count of a SYN's window scale option, or -1. */
static int8_t parse_scale(const uint8_t *options, size_t bytes)
{
    for (size_t i = 0; i < bytes && options[i] != OPTION_END; ) {
        if (options[i] == OPTION_NOTHING) {
            i++;
            continue;
        }
        if (i + 1 >= bytes || options[i + 1] < 2 || options[i + 1] > bytes - i) {
            break;
        }
        if (options[i] == OPTION_SCALE && options[i + 1] == 3) {
            return MIN(options[i + 2], 14);
        }
        i += options[i + 1];
    }
    return -1;
}

/* Where TCP begins in an IP packet of which @kept bytes are there; 0: it is not TCP.
 * IPv6 comes without extension headers here. */
static size_t parse_ip(const uint8_t *ip, size_t kept, uint16_t type, size_t *ret_total,
                       WirePacket *ret_packet)
{
    size_t bytes;

    if (type == ETHERTYPE_IPV6 && kept >= IPV6_BYTES && ip[6] == 6) {
        *ret_total = IPV6_BYTES + get16(ip + 4);
        ret_packet->source = get32(ip + 20);
        ret_packet->destination = get32(ip + 36);
        return IPV6_BYTES;
    }
    if (type != ETHERTYPE_IP || kept < 20 || ip[0] >> 4 != 4 || ip[9] != 6) {
        return 0;
    }
    bytes = (ip[0] & 15) * 4;
    *ret_total = get16(ip + 2);
    ret_packet->source = get32(ip + 12);
    ret_packet->destination = get32(ip + 16);
    return bytes < 20 ? 0 : bytes;
}

/* The payload's length comes from the IP header, as the frame may be cut. */
static bool parse_frame(const uint8_t *frame, size_t kept, WirePacket *ret_packet)
{
    size_t ip_bytes, total, tcp_bytes;
    const uint8_t *tcp;

    if (kept < 14) {
        return false;
    }
    ip_bytes = parse_ip(frame + 14, kept - 14, get16(frame + 12), &total, ret_packet);
    if (!ip_bytes || kept < 14 + ip_bytes + 20) {
        return false;
    }
    tcp = frame + 14 + ip_bytes;
    tcp_bytes = (tcp[12] >> 4) * 4;
    if (tcp_bytes < 20 || total < ip_bytes + tcp_bytes) {
        return false;
    }
    ret_packet->source_port = get16(tcp);
    ret_packet->destination_port = get16(tcp + 2);
    ret_packet->seq = get32(tcp + 4);
    ret_packet->ack = get32(tcp + 8);
    ret_packet->flags = tcp[13];
    ret_packet->window = get16(tcp + 14);
    ret_packet->scale = -1;
    if (ret_packet->flags & WIRE_SYN && kept >= 14 + ip_bytes + tcp_bytes) {
        ret_packet->scale = parse_scale(tcp + 20, tcp_bytes - 20);
    }
    ret_packet->bytes = total - ip_bytes - tcp_bytes;
    return true;
}

bool wire_read(Wire *wire, const char *path, uint8_t place, GError **error)
{
    g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, error);
    struct PcapHeader header;
    const uint8_t *at;
    size_t left;

    if (!file) {
        return false;
    }
    at = (const uint8_t *)g_mapped_file_get_contents(file);
    left = g_mapped_file_get_length(file);
    if (left >= sizeof(header)) {
        memcpy(&header, at, sizeof(header));
    }
    if (left < sizeof(header) || header.link_type != PCAP_ETHERNET ||
        (header.magic != PCAP_MICROSECONDS && header.magic != PCAP_NANOSECONDS)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s is no capture of Ethernet frames",
                    path);
        return false;
    }
    at += sizeof(header);
    left -= sizeof(header);
    while (left) {
        struct PcapRecord record;
        WirePacket packet = { .place = place };

        if (left >= sizeof(record)) {
            memcpy(&record, at, sizeof(record));
        }
        if (left < sizeof(record) || left - sizeof(record) < record.kept_bytes) {
            wire->truncated = true;
            break;
        }
        packet.time_ns = record.seconds * 1000000000LL +
                         record.fraction * (header.magic == PCAP_NANOSECONDS ? 1LL : 1000LL);
        if (parse_frame(at + sizeof(record), record.kept_bytes, &packet)) {
            g_array_append_val(wire->packets, packet);
        } else {
            wire->n_other++;
        }
        at += sizeof(record) + record.kept_bytes;
        left -= sizeof(record) + record.kept_bytes;
    }
    return true;
}

static int by_time(gconstpointer a, gconstpointer b)
{
    const WirePacket *one = a, *other = b;

    return one->time_ns < other->time_ns ? -1 : one->time_ns > other->time_ns;
}

void wire_sort(Wire *wire)
{
    g_array_sort(wire->packets, by_time);
}

bool wire_read_servers(Wire *servers, const char *dir, GError **error)
{
    g_autoptr(GDir) entries = g_dir_open(dir, 0, error);
    const char *name;
    uint8_t place = 1;

    while (entries && (name = g_dir_read_name(entries))) {
        g_autofree char *path = g_build_filename(dir, name, NULL);

        if (g_str_has_suffix(name, "-svc.pcap") && !wire_read(servers, path, place++, error)) {
            return false;
        }
    }
    wire_sort(servers);
    return entries != NULL;
}

/*
 * One direction's payload: how far it got, and when the bytes up to there were
 * last sent.  A repetition is by time-out when its bytes had been silent for as
 * long as Linux' shortest time-out; a fast retransmission comes sooner.
 *
 * And what its receiver has said so far: how far it has got, and the edge of its
 * window.  A capture may see an acknowledgement that the sender has not, never
 * the other way round, so payload beyond the edge is the sender's mistake.
 */
typedef struct Direction {
    bool begun;
    uint32_t end;
    GArray *sent;               /* Range, the last SENT_MAX */
    int scale;                  /* of the receiver's windows; -1: unknown */
    bool acknowledged, windowed;
    uint32_t acked, edge;
    bool ended;
    uint32_t fin;               /* where, once it has ended */
} Direction;

typedef struct Range {
    uint32_t begin, end;
    int64_t time_ns;
} Range;

#define SENT_MAX 4096

static bool is_after(uint32_t one, uint32_t other)
{
    return (int32_t)(one - other) > 0;
}

static int64_t last_sent(const Direction *direction, const WirePacket *packet)
{
    int64_t newest = 0;

    for (guint i = direction->sent->len; i-- > 0; ) {
        const Range *range = &g_array_index(direction->sent, Range, i);

        if (!is_after(range->begin, packet->seq) && is_after(range->end, packet->seq)) {
            newest = MAX(newest, range->time_ns);
        }
    }
    return newest;
}

/* @packet comes from the receiver of @direction. */
static void hear(Direction *direction, const WirePacket *packet)
{
    bool syn = packet->flags & WIRE_SYN;
    uint32_t edge;

    if (syn) {                  /* a port that is used again begins anew */
        direction->scale = packet->scale;
        direction->acknowledged = direction->windowed = false;
    }
    if (!(packet->flags & WIRE_ACK)) {
        return;
    }
    if (!direction->acknowledged || is_after(packet->ack, direction->acked)) {
        direction->acked = packet->ack;
        direction->acknowledged = true;
    }
    if (direction->scale < 0) {
        return;                 /* its begin was not seen, or it has no scale */
    }
    /* A SYN's own window is never scaled. */
    edge = packet->ack + ((uint32_t)packet->window << (syn ? 0 : direction->scale));
    if (!direction->windowed || is_after(edge, direction->edge)) {
        direction->edge = edge;
        direction->windowed = true;
    }
}

/* @is_first: of a server's place, which asks what the client has with the head of
 * what is unacknowledged, however long ago the place before it has sent that. */
static void judge_payload(Direction *direction, const WirePacket *packet, bool counts,
                          bool is_first, WireVerdict *verdict)
{
    Range range = { packet->seq, packet->seq + packet->bytes, packet->time_ns };

    if (counts) {
        verdict->n_bytes += packet->bytes;
        verdict->n_outside += direction->windowed && is_after(range.end, direction->edge);
    }
    if (counts && direction->begun && is_after(direction->end, packet->seq)) {
        int64_t before = last_sent(direction, packet);

        verdict->n_repeated++;
        verdict->n_timeouts += before && !is_first && packet->time_ns - before >= WIRE_RTO_NS;
        verdict->n_stale += direction->acknowledged && !is_after(range.end, direction->acked);
    }
    if (!direction->begun || is_after(range.end, direction->end)) {
        direction->end = range.end;
        direction->begun = true;
    }
    if (direction->sent->len == SENT_MAX) {
        g_array_remove_range(direction->sent, 0, SENT_MAX / 2);
    }
    g_array_append_val(direction->sent, range);
}

/* Says whether it is one that has not been said before. */
static bool is_new_fin(Direction *direction, const WirePacket *packet)
{
    uint32_t fin = packet->seq + packet->bytes;
    bool is_new = packet->flags & WIRE_FIN && (!direction->ended || direction->fin != fin);

    if (is_new) {
        direction->ended = true;
        direction->fin = fin;
    }
    return is_new;
}

void wire_judge(const Wire *wire, uint16_t client_port, bool from_server, bool from_client,
                int64_t begin_ns, int64_t end_ns, WireVerdict *ret_verdict)
{
    Direction directions[2] = { { .scale = -1 }, { .scale = -1 } };
    int owner = -1, speaker = -1;

    memset(ret_verdict, 0, sizeof(*ret_verdict));
    for (int i = 0; i < 2; i++) {
        directions[i].sent = g_array_new(FALSE, FALSE, sizeof(Range));
    }
    for (guint i = 0; i < wire->packets->len; i++) {
        const WirePacket *packet = &g_array_index(wire->packets, WirePacket, i);
        bool server = packet->source_port == wire->server_port &&
                      packet->destination_port == client_port;
        bool client = packet->destination_port == wire->server_port &&
                      packet->source_port == client_port;
        bool counts = packet->time_ns >= begin_ns && packet->time_ns < end_ns &&
                      ((server && from_server) || (client && from_client));
        bool new_fin;

        if (!server && !client) {
            continue;
        }
        new_fin = is_new_fin(&directions[server], packet);
        if (counts) {
            ret_verdict->n_rst += !!(packet->flags & WIRE_RST);
            ret_verdict->n_fin += new_fin;
            ret_verdict->n_syn += !!(packet->flags & WIRE_SYN);
        }
        if (counts && server && packet->place != owner) {
            owner = packet->place;
            ret_verdict->n_owners++;
        }
        if (packet->bytes) {
            judge_payload(&directions[server], packet, counts,
                          server && speaker >= 0 && packet->place != speaker, ret_verdict);
            speaker = server ? packet->place : speaker;
        }
        hear(&directions[!server], packet);
    }
    for (int i = 0; i < 2; i++) {
        g_array_unref(directions[i].sent);
    }
}

GArray *wire_clients(const Wire *wire, int64_t begin_ns, int64_t end_ns)
{
    GArray *ports = g_array_new(FALSE, FALSE, sizeof(uint16_t));
    g_autofree bool *seen = g_new0(bool, 65536);

    for (guint i = 0; i < wire->packets->len; i++) {
        const WirePacket *packet = &g_array_index(wire->packets, WirePacket, i);
        uint16_t port = packet->source_port == SERVER_PORT ? packet->destination_port
                                                           : packet->source_port;

        if (packet->time_ns >= begin_ns && packet->time_ns < end_ns && !seen[port] &&
            (packet->source_port == SERVER_PORT || packet->destination_port == SERVER_PORT)) {
            seen[port] = true;
            g_array_append_val(ports, port);
        }
    }
    return ports;
}
