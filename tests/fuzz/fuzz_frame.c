/*
 * Frames from a hostile gate, through a real channel. The first octet says how large the pieces are
 * in which the rest arrives; whatever they are, the channel must hand up exactly the frames that
 * frame_read finds in the whole, and fail exactly when frame_read does.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/channel.h"

#define FRAME_MAX_SIZE 4096u
#define INPUT_MAX      65536u

struct receiver {
    struct slice rest; /* of the whole input: what the channel has not handed up yet */
    int failures, failure, closings;
};

static void on_frame(void *owner, struct slice frame)
{
    struct receiver *receiver = owner;
    struct slice expected;
    size_t size;
    ENSURE(receiver->failures == 0 && receiver->closings == 0);
    ENSURE(frame_read(receiver->rest, FRAME_MAX_SIZE, &expected, &size) == FRAME_DONE);
    ENSURE(slice_equal(frame, expected));
    receiver->rest = slice_skip(receiver->rest, size);
}

static void on_failed(void *owner, int code)
{
    struct receiver *receiver = owner;
    receiver->failures++;
    receiver->failure = code;
}

static void on_closed(void *owner)
{
    struct receiver *receiver = owner;
    receiver->closings++;
}

static const struct channel_ops ops = {
    .on_frame = on_frame, .on_failed = on_failed, .on_closed = on_closed};

static void feed(struct loop *loop, int peer, struct slice input, size_t piece)
{
    while (input.size > 0) {
        struct slice next = slice_take(input, piece);
        ssize_t count = write(peer, next.data, next.size);
        if (count > 0)
            input = slice_skip(input, (size_t)count);
        uv_run(&loop->uv, UV_RUN_NOWAIT);
        if (count < 0)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > INPUT_MAX)
        return 0;
    struct slice input = slice_of(data + 1, size - 1);
    struct receiver receiver = {.rest = input};
    struct loop loop;
    int pair[2];
    struct channel *channel;
    ENSURE(loop_init(&loop, NULL) == 0);
    ENSURE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    ENSURE(channel_open(&loop, pair[0], FRAME_MAX_SIZE, FRAME_MAX_SIZE + FRAME_HEADER_SIZE, &ops,
                        &receiver, &channel, NULL) == 0);
    feed(&loop, pair[1], input, data[0] == 0 ? INPUT_MAX : data[0]);
    struct slice frame;
    size_t frame_size;
    enum frame_status status = frame_read(receiver.rest, FRAME_MAX_SIZE, &frame, &frame_size);
    ENSURE(status != FRAME_DONE);
    ENSURE(receiver.failures == (status == FRAME_BAD));
    ENSURE(status != FRAME_BAD || receiver.failure == ERR_SYNTAX);
    channel_close(channel);
    loop_run(&loop);
    ENSURE(receiver.closings == 1);
    (void)close(pair[1]);
    loop_fini(&loop);
    return 0;
}
