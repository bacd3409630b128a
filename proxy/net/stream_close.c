/*
 * How a stream ends.
 *
 * Happy path: stream_close_after_flush ends our output and waits, nobody being told anything, until
 * what is kept has gone; stream_close closes the socket, and the memory goes with the last handle.
 * stream_close_lingering then looks whether the peer is sending, and if it is, ends the socket's
 * output, and reads and drops until the peer ends.
 * Failures:
 * - the peer does not take what is kept: it is dropped at the deadline;
 * - the peer goes on sending: closed at the deadline, or after LINGER_MAX octets;
 * - the socket breaks meanwhile: closed at once.
 */
#include <errno.h>
#include <sys/socket.h>

#include "net/stream_internal.h"

/* As much as the largest message of most providers, for a client that looks for an answer only when
 * it has sent all; an endless one is cut off. */
#define LINGER_MAX (40ul * 1024 * 1024)

static void free_stream(struct stream *stream)
{
    tls_free(stream->tls);
    mem_free(stream->failure);
    mem_free(stream->farewell);
    mem_free(stream);
}

static void handle_closed(struct stream *stream)
{
    if (--stream->open_handles > 0)
        return;
    if (stream->ops != NULL)
        stream->ops->on_closed(stream->owner);
    free_stream(stream);
}

static void on_socket_closed(uv_handle_t *handle)
{
    handle_closed(CONTAINER_OF(handle, struct stream, socket));
}

static void on_farewell_closed(uv_handle_t *handle)
{
    handle_closed(CONTAINER_OF(handle, struct farewell, timer)->stream);
}

void stream_close(struct stream *stream)
{
    if (stream->phase == PHASE_CLOSING)
        return;
    stream->phase = PHASE_CLOSING;
    deferral_cancel(&stream->news);
    stream_stop_gathering(stream);
    buf_fini(&stream->staging);
    buf_fini(&stream->held);
    uv_close(&stream->socket.handle, on_socket_closed);
    if (stream->farewell != NULL)
        uv_close((uv_handle_t *)&stream->farewell->timer, on_farewell_closed);
}

/* An error shows in the next read or write. */
static void shut_down_output(struct stream *stream)
{
    shutdown(stream_descriptor(stream), SHUT_WR);
}

/* Closing a socket that holds unread bytes resets the connection, and the peer may then lose what
 * it has not read yet of our last words. True: there were some, and more may come. */
static bool drop_unread(const struct stream *stream)
{
    uint8_t unread[4096];
    size_t size = 0;
    ssize_t got = 1;
    while (size < LOOP_SCRATCH_SIZE && got > 0) {
        got = recv(stream_descriptor(stream), unread, sizeof(unread), MSG_DONTWAIT);
        size += got > 0 ? (size_t)got : 0;
    }
    bool is_open = got > 0 || (got < 0 && errno == EAGAIN);
    mem_wipe(unread, sizeof(unread));
    return size > 0 && is_open;
}

/* Of a stream that is leaving, when all has gone. */
static void close_politely(struct stream *stream)
{
    bool is_sending = drop_unread(stream);
    if (!is_sending || stream->farewell == NULL || !stream->farewell->lingers) {
        stream_close(stream);
        return;
    }
    shut_down_output(stream);
    stream->phase = PHASE_LINGERING;
    stream_update_reading(stream);
}

void stream_drop(struct stream *stream, ssize_t size)
{
    struct farewell *farewell = stream->farewell;
    farewell->dropped += size > 0 ? (size_t)size : 0;
    if (size < 0 || farewell->dropped > LINGER_MAX)
        stream_close(stream);
}

/* All but the socket's own end, which closing it says too. */
static void end_output(struct stream *stream)
{
    if (stream->phase != PHASE_LIVE || stream->is_output_ended)
        return;
    stream->is_output_ended = true;
    if (stream->security != SECURITY_UP)
        return;
    struct buf notice;
    buf_init(&notice, ANSWER_MAX);
    tls_end(stream->tls, &notice);
    stream_send(stream, buf_bytes(&notice));
    buf_fini(&notice);
}

void stream_output_gone(struct stream *stream)
{
    if (stream->phase == PHASE_LEAVING)
        close_politely(stream);
    else
        shut_down_output(stream);
}

void stream_end(struct stream *stream)
{
    if (stream->phase != PHASE_LIVE || stream->is_output_ended)
        return;
    end_output(stream);
    if (stream->phase == PHASE_LIVE && stream->flight == NULL)
        stream_output_gone(stream);
}

static void on_farewell_over(uv_timer_t *timer)
{
    stream_close(CONTAINER_OF(timer, struct farewell, timer)->stream);
}

static void start_farewell(struct stream *stream, int64_t deadline, bool lingers)
{
    struct farewell *farewell = mem_new(sizeof(*farewell));
    farewell->stream = stream;
    farewell->lingers = lingers;
    stream->farewell = farewell;
    stream->open_handles++;
    ENSURE(uv_timer_init(&stream->loop->uv, &farewell->timer) == 0);
    uint64_t wait = deadline > 0 ? (uint64_t)deadline : 0;
    ENSURE(uv_timer_start(&farewell->timer, on_farewell_over, wait, 0) == 0);
}

static void leave(struct stream *stream, int64_t deadline, bool lingers)
{
    if (stream->phase >= PHASE_LEAVING)
        return;
    end_output(stream);
    if (stream->phase == PHASE_FAILED) {
        stream_close(stream);
        return;
    }
    stream->phase = PHASE_LEAVING;
    deferral_cancel(&stream->news);
    stream_stop_gathering(stream);
    stream_update_reading(stream);
    if (stream->flight != NULL || lingers)
        start_farewell(stream, deadline, lingers);
    if (stream->flight == NULL)
        close_politely(stream);
}

void stream_close_after_flush(struct stream *stream, int64_t deadline)
{
    leave(stream, deadline, false);
}

void stream_close_lingering(struct stream *stream, int64_t deadline)
{
    leave(stream, deadline, true);
}
