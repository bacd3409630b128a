/*
 * Happy path: a read lands in the loop's scratch memory; frames that are whole there are handed up
 * from there, the beginning of one that is not is kept in `partial` and completed by later reads.
 * A frame to send goes to `waiting`, and all of that to the socket, at once or before the loop
 * polls; what the socket does not take is queued, one uv_write at a time: `sending` is what it has
 * (frozen), `waiting` what has come since.
 *
 * Failures:
 *  - the other side is gone, in the middle of a frame or not: on_failed(ERR_CLOSED)
 *  - a length out of range: on_failed(ERR_SYNTAX); nothing was stored for it
 *  - the other side does not read: channel_send gives ERR_FULL, the frame is not sent in part
 *  - a write fails: uv_write's callback says so, so that on_failed never comes out of channel_send
 *  - closed by the owner within on_frame: the frames behind it are dropped
 *
 * While it is paused, what was read behind the last frame waits in `partial`, several frames at
 * most of one read.
 *
 * The two handles are the only references besides the owner's, and libuv calls back for a cancelled
 * write before it calls back for the close: the memory goes with the last of them.
 */
#include "net/channel.h"

#include <unistd.h>

#include "base/buf.h"

/* Not kept for later: by then the other side may be at work on it. */
#define MUCH (64ul * 1024)

struct channel {
    uv_pipe_t pipe;
    uv_prepare_t before_poll; /* active while there is something to send, or to tell */
    unsigned open_handles;
    uv_write_t write;
    struct loop *loop;
    const struct channel_ops *ops;
    void *owner;
    size_t frame_max, queue_max;
    struct buf partial;
    struct buf sending, waiting;
    struct deferral resumed;
    bool failed, paused, closing;
};

static void write_next(struct channel *channel);

static void fail(struct channel *channel, int code)
{
    if (channel->failed)
        return;
    channel->failed = true;
    uv_read_stop((uv_stream_t *)&channel->pipe);
    channel->ops->on_failed(channel->owner, code);
}

static int failure_of(ssize_t status)
{
    bool gone = status == UV_EOF || status == UV_ECONNRESET || status == UV_EPIPE;
    return gone ? ERR_CLOSED : ERR_SYSTEM;
}

/* ---- reading ---- */

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer_out)
{
    struct channel *channel = CONTAINER_OF(handle, struct channel, pipe);
    (void)suggested;
    *buffer_out = uv_buf_init((char *)channel->loop->scratch_input, LOOP_SCRATCH_SIZE);
}

/* Moves what `partial` still lacks from *bytes into it. */
static void complete_partial(struct channel *channel, struct slice *bytes)
{
    struct slice more = slice_take(*bytes, frame_missing(buf_bytes(&channel->partial)));
    ENSURE(buf_append(&channel->partial, more) == 0);
    *bytes = slice_skip(*bytes, more.size);
}

/* One step through *bytes: a frame handed up, or more put by. */
static void take_bytes(struct channel *channel, struct slice *bytes)
{
    bool from_partial = buf_size(&channel->partial) > 0;
    if (from_partial)
        complete_partial(channel, bytes);
    struct slice source = from_partial ? buf_bytes(&channel->partial) : *bytes;
    struct slice frame;
    size_t size;
    enum frame_status status = frame_read(source, channel->frame_max, &frame, &size);
    if (status == FRAME_BAD) {
        fail(channel, ERR_SYNTAX);
        return;
    }
    if (status == FRAME_MORE) {
        if (!from_partial) {
            ENSURE(buf_append(&channel->partial, *bytes) == 0);
            *bytes = SLICE_NONE;
        }
        return;
    }
    channel->ops->on_frame(channel->owner, frame);
    if (from_partial)
        buf_consume(&channel->partial, size);
    else
        *bytes = slice_skip(*bytes, size);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct channel *channel = CONTAINER_OF(stream, struct channel, pipe);
    if (channel->closing || count == 0)
        return;
    if (count < 0) {
        fail(channel, failure_of(count));
        return;
    }
    struct slice bytes = slice_of(buffer->base, (size_t)count);
    while (bytes.size > 0 && !channel->closing && !channel->failed && !channel->paused)
        take_bytes(channel, &bytes);
    if (channel->paused && !channel->closing && !channel->failed)
        ENSURE(buf_append(&channel->partial, bytes) == 0);
    mem_wipe(buffer->base, (size_t)count);
}

/* What was put by while it was paused, and then the socket again. */
static void on_resumed(struct deferral *deferral)
{
    struct channel *channel = CONTAINER_OF(deferral, struct channel, resumed);
    struct slice frame;
    size_t size;
    while (!channel->paused && !channel->closing && !channel->failed) {
        enum frame_status status =
            frame_read(buf_bytes(&channel->partial), channel->frame_max, &frame, &size);
        if (status == FRAME_BAD) {
            fail(channel, ERR_SYNTAX);
        } else if (status == FRAME_MORE) {
            ENSURE(uv_read_start((uv_stream_t *)&channel->pipe, on_allocate, on_read) == 0);
            return;
        } else {
            channel->ops->on_frame(channel->owner, frame);
            buf_consume(&channel->partial, size);
        }
    }
}

void channel_pause(struct channel *channel)
{
    channel->paused = true;
    deferral_cancel(&channel->resumed);
    uv_read_stop((uv_stream_t *)&channel->pipe);
}

void channel_resume(struct channel *channel)
{
    if (!channel->paused || channel->closing || channel->failed)
        return;
    channel->paused = false;
    loop_defer(channel->loop, &channel->resumed);
}

/* ---- writing ---- */

static void on_written(uv_write_t *write, int status)
{
    struct channel *channel = CONTAINER_OF(write, struct channel, write);
    buf_clear(&channel->sending);
    if (channel->closing)
        return;
    if (status < 0) {
        buf_clear(&channel->waiting);
        fail(channel, failure_of(status));
        return;
    }
    write_next(channel);
    if (channel_queued(channel) == 0 && channel->ops->on_drained != NULL)
        channel->ops->on_drained(channel->owner);
}

/* Starts the one uv_write when there is something to write and none is under way. */
static void write_next(struct channel *channel)
{
    if (buf_size(&channel->sending) > 0 || buf_size(&channel->waiting) == 0)
        return;
    channel->sending = channel->waiting;
    buf_init(&channel->waiting, channel->queue_max);
    struct slice bytes = buf_bytes(&channel->sending);
    uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)bytes.data, (unsigned)bytes.size);
    ENSURE(uv_write(&channel->write, (uv_stream_t *)&channel->pipe, &buffer, 1, on_written) == 0);
}

/* An error is left to uv_write, which reports it later. */
static void write_waiting(struct channel *channel)
{
    struct slice bytes = buf_bytes(&channel->waiting);
    if (bytes.size == 0 || buf_size(&channel->sending) > 0)
        return;
    uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)bytes.data, (unsigned)bytes.size);
    int written = uv_try_write((uv_stream_t *)&channel->pipe, &buffer, 1);
    if (written > 0)
        buf_consume(&channel->waiting, (size_t)written);
    write_next(channel);
}

static void on_before_poll(uv_prepare_t *prepare)
{
    struct channel *channel = CONTAINER_OF(prepare, struct channel, before_poll);
    uv_prepare_stop(prepare);
    if (channel->failed)
        return;
    write_waiting(channel);
    if (channel_queued(channel) == 0 && channel->ops->on_drained != NULL)
        channel->ops->on_drained(channel->owner);
}

size_t channel_queued(const struct channel *channel)
{
    return buf_size(&channel->sending) + buf_size(&channel->waiting);
}

void channel_flush(struct channel *channel)
{
    if (!channel->closing && !channel->failed && channel_queued(channel) > 0)
        ENSURE(uv_prepare_start(&channel->before_poll, on_before_poll) == 0);
}

int channel_put(struct channel *channel, struct slice frame)
{
    ENSURE(frame.size > 0);
    if (channel->closing || channel->failed)
        return ERR_CLOSED;
    size_t queued = channel_queued(channel);
    if (frame.size > channel->frame_max ||
        FRAME_HEADER_SIZE + frame.size > channel->queue_max - queued)
        return ERR_FULL;
    uint8_t octets[FRAME_HEADER_SIZE];
    frame_write_header(frame.size, octets);
    ENSURE(buf_append(&channel->waiting, slice_of(octets, sizeof(octets))) == 0);
    ENSURE(buf_append(&channel->waiting, frame) == 0);
    if (buf_size(&channel->waiting) >= MUCH) {
        channel_flush(channel);
        write_waiting(channel);
    }
    return 0;
}

int channel_send(struct channel *channel, struct slice frame)
{
    int status = channel_put(channel, frame);
    if (status == 0)
        write_waiting(channel);
    return status;
}

/* ---- life ---- */

static void channel_free(struct channel *channel)
{
    buf_fini(&channel->partial);
    buf_fini(&channel->sending);
    buf_fini(&channel->waiting);
    mem_free(channel);
}

static void handle_closed(struct channel *channel)
{
    if (--channel->open_handles > 0)
        return;
    const struct channel_ops *ops = channel->ops;
    void *owner = channel->owner;
    channel_free(channel);
    if (ops != NULL)
        ops->on_closed(owner);
}

static void on_pipe_closed(uv_handle_t *handle)
{
    handle_closed(CONTAINER_OF(handle, struct channel, pipe));
}

static void on_prepare_closed(uv_handle_t *handle)
{
    handle_closed(CONTAINER_OF(handle, struct channel, before_poll));
}

static void close_handles(struct channel *channel)
{
    uv_close((uv_handle_t *)&channel->before_poll, on_prepare_closed);
    uv_close((uv_handle_t *)&channel->pipe, on_pipe_closed);
}

int channel_open(struct loop *loop, int descriptor, size_t frame_max, size_t queue_max,
                 const struct channel_ops *ops, void *owner, struct channel **channel_out,
                 struct err *err)
{
    ENSURE(frame_max > 0 && frame_max <= UINT32_MAX - FRAME_HEADER_SIZE);
    ENSURE(queue_max >= FRAME_HEADER_SIZE + frame_max && queue_max <= UINT32_MAX);
    *channel_out = NULL;
    struct channel *channel = mem_new(sizeof(*channel));
    channel->loop = loop;
    channel->open_handles = 2;
    channel->frame_max = frame_max;
    channel->queue_max = queue_max;
    buf_init(&channel->partial, FRAME_HEADER_SIZE + frame_max + LOOP_SCRATCH_SIZE);
    deferral_init(&channel->resumed, on_resumed);
    buf_init(&channel->sending, queue_max);
    buf_init(&channel->waiting, queue_max);
    ENSURE(uv_prepare_init(&loop->uv, &channel->before_poll) == 0);
    ENSURE(uv_pipe_init(&loop->uv, &channel->pipe, 0) == 0);
    int status = uv_pipe_open(&channel->pipe, descriptor);
    if (status < 0)
        (void)close(descriptor);
    else
        status = uv_read_start((uv_stream_t *)&channel->pipe, on_allocate, on_read);
    if (status < 0) {
        close_handles(channel); /* nobody hears of it */
        return err_set(err, ERR_SYSTEM, "channel: %s", uv_strerror(status));
    }
    channel->ops = ops;
    channel->owner = owner;
    *channel_out = channel;
    return 0;
}

void channel_close(struct channel *channel)
{
    if (channel->closing)
        return;
    channel->closing = true;
    deferral_cancel(&channel->resumed);
    close_handles(channel);
}
