/*
 * A socket with or without TLS on it.
 *
 * Happy path: stream_open, stream_read_start; what arrives goes through the loop's scratch memory
 * (and TLS) to on_read within the same callback; stream_write goes (through TLS and scratch memory)
 * to uv_try_write. When the kernel takes less, the rest is copied into `staging` and handed to one
 * uv_write; what is written meanwhile collects in `staging` and follows as the next one.
 * Failures:
 * - read or write error, write limit: reading ends, on_failed in the next turn of the loop;
 * - TLS fails, or ends before it is up: its alert is still sent, then the same;
 * - the peer is gone without close_notify: the same, since what came may be cut short;
 * - stream_close at any time: libuv calls the write back before the socket, whose callback is the
 *   last one; the memory goes there (stream_close.c).
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/acknowledged.h"
#include "net/stream_internal.h"

/* A relay stops its source as soon as anything is kept, so that only one turn's bytes come here.
 * Whoever goes on regardless is broken, or answers a peer that never reads. */
#define STAGING_MAX (4ul * 1024 * 1024)
/* So that scratch_plain is never too short for what TLS makes of it. */
#define CIPHER_READ_MAX (LOOP_SCRATCH_SIZE - TLS_RECORD_MAX)

static void on_news(struct deferral *news);
static void start_flight(struct stream *stream);

int stream_descriptor(const struct stream *stream)
{
    uv_os_fd_t descriptor;
    ENSURE(uv_fileno(&stream->socket.handle, &descriptor) == 0);
    return descriptor;
}

/* -- failing -- */

static void fail(struct stream *stream, enum why why, const char *text)
{
    if (stream->phase == PHASE_LEAVING)
        stream_close(stream);
    if (stream->phase != PHASE_LIVE)
        return;
    stream->phase = PHASE_FAILED;
    stream->why = (uint8_t)why;
    stream->failure = mem_copy_string(text);
    buf_clear(&stream->staging);
    buf_clear(&stream->held);
    stream_update_reading(stream);
    loop_defer(stream->loop, &stream->news);
}

static void fail_by_system(struct stream *stream, const char *what, int status)
{
    struct err err;
    err_set(&err, ERR_SYSTEM, "%s: %s", what, uv_strerror(status));
    fail(stream, WHY_UNREACHABLE, err.text);
}

/* -- writing -- */

static void on_written(uv_write_t *request, int status)
{
    struct flight *flight = CONTAINER_OF(request, struct flight, request);
    struct stream *stream = flight->stream;
    buf_fini(&flight->bytes);
    mem_free(flight);
    stream->flight = NULL;
    if (stream->phase == PHASE_CLOSING || stream->phase == PHASE_FAILED)
        return;
    if (status != 0) {
        fail_by_system(stream, "write", status);
        return;
    }
    if (buf_size(&stream->staging) > 0) {
        start_flight(stream);
        return;
    }
    if (stream->is_output_ended)
        stream_output_gone(stream);
    /* During a handshake on_secured says that one may write. */
    if (stream->phase == PHASE_LIVE && stream->security != SECURITY_STARTING)
        stream->ops->on_drained(stream->owner);
}

static uv_buf_t uv_bytes(struct slice bytes)
{
    return uv_buf_init((char *)(uintptr_t)bytes.data, (unsigned)bytes.size);
}

static void start_flight(struct stream *stream)
{
    struct flight *flight = mem_new(sizeof(*flight));
    flight->stream = stream;
    flight->bytes = stream->staging;
    buf_init(&stream->staging, STAGING_MAX);
    stream->flight = flight;
    uv_buf_t bytes = uv_bytes(buf_bytes(&flight->bytes));
    int status = uv_write(&flight->request, &stream->socket.stream, &bytes, 1, on_written);
    if (status == 0)
        return;
    stream->flight = NULL;
    buf_fini(&flight->bytes);
    mem_free(flight);
    fail_by_system(stream, "write", status);
}

void stream_send(struct stream *stream, struct slice bytes)
{
    if (bytes.size == 0 || (stream->phase != PHASE_LIVE && stream->phase != PHASE_LEAVING))
        return;
    if (stream->flight == NULL) {
        uv_buf_t all = uv_bytes(bytes);
        int taken = uv_try_write(&stream->socket.stream, &all, 1);
        if (taken < 0 && taken != UV_EAGAIN) {
            fail_by_system(stream, "write", taken);
            return;
        }
        if (taken > 0)
            bytes = slice_skip(bytes, (size_t)taken);
    }
    if (buf_append(&stream->staging, bytes) != 0) {
        fail(stream, WHY_UNREACHABLE, "the peer does not read what it is sent");
        return;
    }
    if (stream->flight == NULL && bytes.size > 0)
        start_flight(stream);
}

static void encrypt_and_send(struct stream *stream, struct slice bytes)
{
    while (bytes.size > 0 && stream->phase == PHASE_LIVE) {
        struct slice part = slice_take(bytes, LOOP_SCRATCH_SIZE);
        bytes = slice_skip(bytes, part.size);
        uint8_t *cipher = stream->loop->scratch_cipher;
        size_t size = tls_write(stream->tls, part, cipher, LOOP_CIPHER_SIZE);
        if (tls_state(stream->tls) == TLS_FAILED)
            fail(stream, WHY_UPSTREAM_TLS, tls_why(stream->tls));
        else
            stream_send(stream, slice_of(cipher, size));
    }
}

int stream_write(struct stream *stream, struct slice bytes)
{
    ENSURE(stream->security != SECURITY_STARTING);
    if (stream->phase != PHASE_LIVE)
        return ERR_CLOSED;
    ENSURE(!stream->is_output_ended);
    if (stream->tls == NULL)
        stream_send(stream, bytes);
    else if (tls_state(stream->tls) == TLS_FAILED)
        fail(stream, WHY_UPSTREAM_TLS, tls_why(stream->tls));
    else
        encrypt_and_send(stream, bytes);
    return stream->phase == PHASE_LIVE ? 0 : ERR_CLOSED;
}

bool stream_is_congested(const struct stream *stream)
{
    return stream->flight != NULL;
}

size_t stream_kept(const struct stream *stream)
{
    size_t in_flight =
        stream->flight == NULL ? 0 : uv_stream_get_write_queue_size(&stream->socket.stream);
    return in_flight + buf_size(&stream->staging);
}

uint64_t stream_taken(const struct stream *stream)
{
    return acknowledged_octets(stream_descriptor(stream));
}

/* -- reading -- */

/* Brings what could not be told at once, as far as the owner wants to read. */
static void tell(struct stream *stream)
{
    if (stream->phase == PHASE_FAILED && stream->failure != NULL) {
        char *text = stream->failure;
        stream->failure = NULL;
        stream->ops->on_failed(stream->owner, stream->why, text);
        mem_free(text);
        return;
    }
    if (stream->phase != PHASE_LIVE || !stream->is_read_wanted)
        return;
    if (buf_size(&stream->held) > 0) {
        struct buf bytes = stream->held;
        buf_init(&stream->held, LOOP_SCRATCH_SIZE);
        stream->ops->on_read(stream->owner, buf_bytes(&bytes));
        buf_fini(&bytes);
        stream_update_reading(stream);
    }
    if (stream->phase == PHASE_LIVE && stream->is_read_wanted &&
        stream->incoming == INCOMING_ENDED) {
        stream->incoming = INCOMING_END_TOLD;
        stream->ops->on_end(stream->owner);
    }
}

static void on_news(struct deferral *news)
{
    tell(CONTAINER_OF(news, struct stream, news));
}

static void input_ended(struct stream *stream)
{
    stream->incoming = INCOMING_ENDED;
    stream_update_reading(stream);
    tell(stream);
}

static void pass_plain(struct stream *stream, struct slice plain)
{
    if (plain.size == 0)
        return;
    if (stream->is_read_wanted)
        stream->ops->on_read(stream->owner, plain);
    else
        ENSURE(buf_append(&stream->held, plain) == 0);
}

static void note_security(struct stream *stream)
{
    enum tls_state state = tls_state(stream->tls);
    if (stream->security != SECURITY_STARTING || (state != TLS_OPEN && state != TLS_ENDED))
        return;
    stream->security = SECURITY_UP;
    stream->ops->on_secured(stream->owner);
}

static struct slice decrypt(struct stream *stream, struct slice cipher)
{
    struct buf answer;
    buf_init(&answer, ANSWER_MAX);
    uint8_t *plain = stream->loop->scratch_plain;
    size_t size;
    bool is_short = tls_read(stream->tls, cipher, plain, LOOP_SCRATCH_SIZE, &size, &answer);
    ENSURE(!is_short);
    /* Behind our close_notify nothing may follow, and nothing needs to: RFC 8446 section 4.6.3
     * wants a key update answered before the next data. */
    bool is_farewell_said = stream->is_output_ended && stream->security == SECURITY_UP;
    if (!is_farewell_said)
        stream_send(stream, buf_bytes(&answer));
    buf_fini(&answer);
    return slice_of(plain, size);
}

static void take_cipher(struct stream *stream, struct slice cipher)
{
    struct slice plain = decrypt(stream, cipher);
    if (stream->phase == PHASE_LIVE)
        note_security(stream);
    /* A handshake and the failure of what follows it may come in one piece: nothing is passed. */
    if (stream->phase == PHASE_LIVE && stream->security == SECURITY_UP)
        pass_plain(stream, plain);
    if (stream->phase != PHASE_LIVE)
        return;
    stream_update_reading(stream);
    if (tls_state(stream->tls) == TLS_FAILED)
        fail(stream, WHY_UPSTREAM_TLS, tls_why(stream->tls));
    else if (tls_state(stream->tls) == TLS_ENDED)
        input_ended(stream);
}

static void socket_ended(struct stream *stream)
{
    if (stream->security == SECURITY_STARTING)
        fail(stream, WHY_UPSTREAM_TLS, "the peer closed the connection during the TLS handshake");
    else if (stream->security == SECURITY_UP)
        fail(stream, WHY_SERVER_GONE, "the peer closed the connection without close_notify");
    else
        input_ended(stream);
}

/* libuv tells of an end also when a reset came behind the last bytes. */
static bool was_reset(const struct stream *stream)
{
    int error = 0;
    socklen_t size = sizeof(error);
    return getsockopt(stream_descriptor(stream), SOL_SOCKET, SO_ERROR, &error, &size) == 0 &&
           error == ECONNRESET;
}

static void lend_scratch(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    struct stream *stream = CONTAINER_OF(handle, struct stream, socket);
    size_t size = stream->tls == NULL ? LOOP_SCRATCH_SIZE : CIPHER_READ_MAX;
    *out = uv_buf_init((char *)stream->loop->scratch_input, (unsigned)size);
}

static void on_input(uv_stream_t *handle, ssize_t size, const uv_buf_t *lent)
{
    struct stream *stream = CONTAINER_OF(handle, struct stream, socket);
    if (stream->phase == PHASE_LINGERING)
        stream_drop(stream, size);
    if (stream->phase != PHASE_LIVE || size == 0)
        return;
    if (size == UV_EOF && was_reset(stream))
        size = UV_ECONNRESET;
    if (size == UV_EOF) {
        socket_ended(stream);
    } else if (size < 0) {
        fail_by_system(stream, "read", (int)size);
    } else {
        struct slice bytes = slice_of(lent->base, (size_t)size);
        if (stream->tls == NULL)
            stream->ops->on_read(stream->owner, bytes);
        else
            take_cipher(stream, bytes);
        stream_gather(stream, bytes.size);
    }
}

/* libuv reads when the owner wants to, and during the handshake, unless something waits that is to
 * be told first. */
void stream_update_reading(struct stream *stream)
{
    bool is_wanted = stream->security == SECURITY_STARTING ||
                     (stream->is_read_wanted && buf_size(&stream->held) == 0);
    bool is_due = (stream->phase == PHASE_LIVE && stream->incoming == INCOMING_OPEN && is_wanted) ||
                  stream->phase == PHASE_LINGERING;
    if (is_due == stream->is_reading || stream->phase == PHASE_CLOSING)
        return;
    stream->is_reading = is_due;
    if (is_due)
        ENSURE(uv_read_start(&stream->socket.stream, lend_scratch, on_input) == 0);
    else
        uv_read_stop(&stream->socket.stream);
}

void stream_read_start(struct stream *stream)
{
    stream->is_read_wanted = true;
    stream_update_reading(stream);
    if (stream->phase == PHASE_LIVE &&
        (buf_size(&stream->held) > 0 || stream->incoming == INCOMING_ENDED))
        loop_defer(stream->loop, &stream->news);
}

void stream_read_stop(struct stream *stream)
{
    stream->is_read_wanted = false;
    stream_update_reading(stream);
}

/* -- opening -- */

/* 0 or UV_*. The handle is initialised in any case. */
static int open_socket(struct stream *stream, int descriptor, bool is_tcp)
{
    uv_loop_t *loop = &stream->loop->uv;
    if (!is_tcp) {
        ENSURE(uv_pipe_init(loop, &stream->socket.pipe, 0) == 0);
        return uv_pipe_open(&stream->socket.pipe, descriptor);
    }
    ENSURE(uv_tcp_init(loop, &stream->socket.tcp) == 0);
    return uv_tcp_open(&stream->socket.tcp, descriptor);
}

/* Sends what is written without delay, which tells a TCP socket from a unix one, too. */
static int set_no_delay(int descriptor, bool *is_tcp_out)
{
    int on = 1;
    *is_tcp_out = setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0;
    return *is_tcp_out || errno == EOPNOTSUPP ? 0 : ERR_SYSTEM;
}

int stream_open(struct loop *loop, int descriptor, const struct stream_ops *ops, void *owner,
                struct stream **stream_out, struct err *err)
{
    *stream_out = NULL;
    bool is_tcp;
    if (set_no_delay(descriptor, &is_tcp) != 0) {
        int status = err_set_errno(err, "socket");
        close(descriptor);
        return status;
    }
    struct stream *stream = mem_new(sizeof(*stream));
    stream->loop = loop;
    stream->open_handles = 1;
    deferral_init(&stream->news, on_news);
    buf_init(&stream->staging, STAGING_MAX);
    buf_init(&stream->held, LOOP_SCRATCH_SIZE);
    int status = open_socket(stream, descriptor, is_tcp);
    if (status != 0) {
        uv_os_fd_t taken;
        if (uv_fileno(&stream->socket.handle, &taken) != 0)
            close(descriptor);
        stream_close(stream);
        return err_set(err, ERR_SYSTEM, "socket: %s", uv_strerror(status));
    }
    stream->ops = ops;
    stream->owner = owner;
    *stream_out = stream;
    return 0;
}

void stream_set_owner(struct stream *stream, const struct stream_ops *ops, void *owner)
{
    stream->ops = ops;
    stream->owner = owner;
}

void stream_start_tls(struct stream *stream, struct tls *tls)
{
    ENSURE(stream->tls == NULL && !stream->is_output_ended);
    stream->tls = tls;
    stream->security = SECURITY_STARTING;
    if (stream->phase != PHASE_LIVE)
        return;
    decrypt(stream, SLICE_NONE);
    if (tls_state(tls) == TLS_FAILED)
        fail(stream, WHY_UPSTREAM_TLS, tls_why(tls));
    else if (stream->incoming != INCOMING_OPEN)
        socket_ended(stream);
    stream_update_reading(stream);
}

const struct tls *stream_tls(const struct stream *stream)
{
    return stream->tls;
}
