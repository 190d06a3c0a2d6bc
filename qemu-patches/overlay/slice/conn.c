/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conn.c - one connection of the slice stream
 *
 * See conn.h.  The writer sleeps while there is nothing to send; it is only
 * scheduled, never entered, by those who have something, so that no callback
 * runs inside their call.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/coroutine.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "block/aio.h"
#include "slice/conn.h"
#include "trace.h"

#define HELLO_TIMEOUT_MS 5000       /* a peer that says nothing costs memory */
#define CONTROL_BYTES_MAX (4u << 20) /* unread answers of a peer that stalls */

typedef struct Control {
    uint8_t *frame;
    size_t bytes;
} Control;

struct SliceConn {
    QIOChannel *ioc;
    uint64_t number;            /* in the order in which they were made */
    bool is_outgoing;
    bool is_ready;
    bool is_closing;
    bool writer_sleeps;
    int n_coroutines;
    Coroutine *writer;
    GQueue *control;
    size_t control_bytes;       /* of the frames in @control */
    QTAILQ_HEAD(, SliceOutbox) boxes;   /* those with something to send */
    QEMUTimer *hello_timer;
    char peer_name[64];
    SliceConnNotes notes;
    const SliceConnOps *ops;
    void *opaque;
    uint8_t header[SLICE_FRAME_HEADER_BYTES];
    uint8_t payload[SLICE_STREAM_PAYLOAD_MAX];
};

bool slice_conn_is_outgoing(const SliceConn *conn)
{
    return conn->is_outgoing;
}

bool slice_conn_is_ready(const SliceConn *conn)
{
    return conn->is_ready && !conn->is_closing;
}

bool slice_conn_is_newer(const SliceConn *conn, const SliceConn *other)
{
    return conn->number > other->number;
}

const char *slice_conn_peer_name(const SliceConn *conn)
{
    return conn->peer_name;
}

SliceConnNotes *slice_conn_notes(SliceConn *conn)
{
    return &conn->notes;
}

static void control_free(gpointer data)
{
    Control *control = data;

    g_free(control->frame);
    g_free(control);
}

static void wake_writer(SliceConn *conn)
{
    if (conn->writer_sleeps) {
        conn->writer_sleeps = false;
        aio_co_schedule(qemu_get_aio_context(), conn->writer);
    }
}

void slice_conn_close(SliceConn *conn)
{
    if (conn->is_closing) {
        return;
    }
    conn->is_closing = true;
    qio_channel_shutdown(conn->ioc, QIO_CHANNEL_SHUTDOWN_BOTH, NULL);
    wake_writer(conn);
}

static void push_control(SliceConn *conn, uint16_t type, SliceId slice,
                         uint64_t term, const void *payload, size_t bytes)
{
    Control *control;

    if (conn->control_bytes + bytes > CONTROL_BYTES_MAX) {
        error_report("slice: %s does not read what it is told: "
                     "connection closed", conn->peer_name);
        slice_conn_close(conn);
        return;
    }
    control = g_new(Control, 1);
    control->frame = slice_frame_build(type, slice.incarnation, slice.counter,
                                       term, payload, bytes, NULL, 0,
                                       &control->bytes);
    conn->control_bytes += sizeof(*control) + control->bytes;
    g_queue_push_tail(conn->control, control);
    wake_writer(conn);
}

void slice_conn_send(SliceConn *conn, uint16_t type, SliceId slice,
                     uint64_t term, const void *payload, size_t bytes)
{
    if (slice_conn_is_ready(conn)) {
        push_control(conn, type, slice, term, payload, bytes);
    }
}

static void unqueue(SliceOutbox *box)
{
    if (box->queued) {
        QTAILQ_REMOVE(&box->conn->boxes, box, entry);
        box->queued = false;
    }
}

void slice_outbox_attach(SliceOutbox *box, SliceConn *conn)
{
    unqueue(box);
    box->conn = conn;
    slice_outbox_kick(box);
}

void slice_outbox_kick(SliceOutbox *box)
{
    if (!box->conn || box->queued || box->conn->is_closing) {
        return;
    }
    QTAILQ_INSERT_TAIL(&box->conn->boxes, box, entry);
    box->queued = true;
    wake_writer(box->conn);
}

/* ---- writer ---- */

static uint8_t *next_frame(SliceConn *conn, size_t *ret_bytes)
{
    Control *control = g_queue_pop_head(conn->control);
    SliceOutbox *box;
    uint8_t *frame;

    if (control) {
        frame = g_steal_pointer(&control->frame);
        *ret_bytes = control->bytes;
        conn->control_bytes -= sizeof(*control) + control->bytes;
        control_free(control);
        return frame;
    }
    if (!conn->is_ready) {
        return NULL;
    }
    while ((box = QTAILQ_FIRST(&conn->boxes))) {
        unqueue(box);
        frame = box->next(box, ret_bytes);
        if (frame) {
            slice_outbox_kick(box);
            return frame;
        }
    }
    return NULL;
}

static void coroutine_end(SliceConn *conn)
{
    if (--conn->n_coroutines) {
        return;
    }
    while (!QTAILQ_EMPTY(&conn->boxes)) {
        unqueue(QTAILQ_FIRST(&conn->boxes));
    }
    conn->ops->closed(conn->opaque, conn);
    timer_free(conn->hello_timer);
    g_queue_free_full(conn->control, control_free);
    qio_channel_close(conn->ioc, NULL);
    object_unref(OBJECT(conn->ioc));
    g_free(conn);
}

static void coroutine_fn writer_run(void *opaque)
{
    SliceConn *conn = opaque;
    g_autoptr(GByteArray) batch = g_byte_array_new();

    while (!conn->is_closing) {
        Error *err = NULL;
        uint8_t *frame = NULL;
        size_t bytes;

        g_byte_array_set_size(batch, 0);
        while (batch->len < SLICE_STREAM_PAYLOAD_MAX &&
               (frame = next_frame(conn, &bytes))) {
            g_byte_array_append(batch, frame, bytes);
            g_free(frame);
        }
        if (!batch->len) {
            conn->writer_sleeps = true;
            qemu_coroutine_yield();
            continue;
        }
        if (qio_channel_write_all(conn->ioc, (char *)batch->data, batch->len,
                                  &err) < 0) {
            trace_slice_conn_broken(conn->peer_name, error_get_pretty(err));
            error_free(err);
            slice_conn_close(conn);
        }
    }
    coroutine_end(conn);
}

/* ---- reader ---- */

static bool take_hello(SliceConn *conn, const SliceStreamHeader *header,
                       const char **ret_why)
{
    SliceStreamHello hello;

    if (header->type != SLICE_STREAM_HELLO) {
        *ret_why = "a frame before HELLO";
        return false;
    }
    if (!slice_frame_get_hello(conn->payload, header->bytes, &hello,
                               ret_why)) {
        return false;
    }
    G_STATIC_ASSERT(sizeof(conn->peer_name) == sizeof(hello.name));
    memcpy(conn->peer_name, hello.name, sizeof(hello.name));
    conn->is_ready = true;
    timer_del(conn->hello_timer);
    trace_slice_conn_ready(conn->peer_name, conn->is_outgoing);
    conn->ops->ready(conn->opaque, conn);
    wake_writer(conn);
    return true;
}

static bool take_frame(SliceConn *conn, const SliceStreamHeader *header,
                       const char **ret_why)
{
    if (!conn->is_ready) {
        return take_hello(conn, header, ret_why);
    }
    switch (header->type) {
    case SLICE_STREAM_HELLO:
        *ret_why = "a second HELLO";
        return false;
    case SLICE_STREAM_PING:
        push_control(conn, SLICE_STREAM_PONG, (SliceId) {}, 0, conn->payload,
                     header->bytes);
        return true;
    default:
        return conn->ops->frame(conn->opaque, conn, header, conn->payload,
                                ret_why);
    }
}

/* One frame; false at the end of the connection. */
static bool coroutine_fn read_frame(SliceConn *conn)
{
    SliceStreamHeader header;
    const char *why = NULL;
    Error *err = NULL;
    int got = qio_channel_read_all_eof(conn->ioc, (char *)conn->header,
                                       sizeof(conn->header), &err);

    if (got <= 0) {
        goto broken;
    }
    if (!slice_frame_parse_header(conn->header, &header, &why)) {
        goto untrusted;
    }
    if (header.bytes &&
        qio_channel_read_all(conn->ioc, (char *)conn->payload, header.bytes,
                             &err) < 0) {
        goto broken;
    }
    if (slice_frame_check(conn->header, &header, conn->payload, &why) &&
        take_frame(conn, &header, &why)) {
        return true;
    }

untrusted:
    error_report("slice: %s sent %s: connection closed",
                 conn->peer_name[0] ? conn->peer_name : "an unknown peer",
                 why);
    return false;

broken:
    trace_slice_conn_broken(conn->peer_name,
                            err ? error_get_pretty(err) : "end of stream");
    error_free(err);
    return false;
}

static void coroutine_fn reader_run(void *opaque)
{
    SliceConn *conn = opaque;

    while (!conn->is_closing && read_frame(conn)) {
        /* all is done in read_frame() */
    }
    slice_conn_close(conn);
    coroutine_end(conn);
}

static void hello_timed_out(void *opaque)
{
    slice_conn_close(opaque);
}

SliceConn *slice_conn_new(QIOChannel *ioc, bool is_outgoing,
                          const SliceStreamHello *hello,
                          const SliceConnOps *ops, void *opaque)
{
    SliceConn *conn = g_new0(SliceConn, 1);
    uint8_t payload[SLICE_FRAME_HELLO_BYTES];
    static uint64_t n_made;

    conn->number = ++n_made;
    conn->ioc = ioc;
    object_ref(OBJECT(ioc));
    conn->is_outgoing = is_outgoing;
    conn->ops = ops;
    conn->opaque = opaque;
    conn->control = g_queue_new();
    QTAILQ_INIT(&conn->boxes);
    conn->hello_timer = timer_new_ms(QEMU_CLOCK_REALTIME, hello_timed_out,
                                     conn);
    timer_mod(conn->hello_timer,
              qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + HELLO_TIMEOUT_MS);
    qio_channel_set_blocking(ioc, false, NULL);
    qio_channel_set_delay(ioc, false);
    qio_channel_set_follow_coroutine_ctx(ioc, true);
    push_control(conn, SLICE_STREAM_HELLO, (SliceId) {}, 0, payload,
                 slice_frame_put_hello(payload, hello));

    conn->n_coroutines = 2;
    conn->writer = qemu_coroutine_create(writer_run, conn);
    aio_co_schedule(qemu_get_aio_context(), conn->writer);
    aio_co_schedule(qemu_get_aio_context(),
                    qemu_coroutine_create(reader_run, conn));
    return conn;
}
