/*
 * What is read of a long piece comes in larger portions: the socket wakes us when as much as a
 * portion has come (SO_RCVLOWAT).
 *
 * Happy path: the owner expects much, and a read shows that the peer is fast; the next ones are
 * portions, until less is expected.
 * Failures:
 * - the peer stalls, or is slow: a portion is waited for until loop->stalls, and what there is of
 * it is read then, and the next reads are as they come; its end, or a reset, wakes us at once;
 * - the kernel does not know of it, or has no room for a portion: it wakes us as ever.
 */
#include <sys/socket.h>

#include "net/stream_internal.h"

/* More gains nothing: what is read is to lie in the processor's cache. */
#define PORTION (128ul * 1024)
/* Of less there may be no portion yet to come: the plain text is counted, and a part of it may have
 * been read in a record that is not whole. */
#define MUCH (PORTION + 2 * TLS_RECORD_MAX)
/* A read of so many octets is of a peer that is faster than we. */
#define FAST (32ul * 1024)

struct gathering {
    struct deadline deadline;
    struct stream *stream;
};

static void wake_at(struct stream *stream, int octets)
{
    (void)setsockopt(stream_descriptor(stream), SOL_SOCKET, SO_RCVLOWAT, &octets, sizeof(octets));
}

static void on_stalled(struct deadline *deadline)
{
    stream_stop_gathering(CONTAINER_OF(deadline, struct gathering, deadline)->stream);
}

static void start_gathering(struct stream *stream)
{
    stream->gathering = mem_new(sizeof(*stream->gathering));
    stream->gathering->stream = stream;
    deadline_init(&stream->gathering->deadline, on_stalled);
    wake_at(stream, PORTION);
}

void stream_stop_gathering(struct stream *stream)
{
    struct gathering *gathering = stream->gathering;
    if (gathering == NULL)
        return;
    stream->gathering = NULL;
    deadline_stop(&gathering->deadline);
    mem_free(gathering);
    wake_at(stream, 1);
}

void stream_gather(struct stream *stream, size_t size)
{
    if (!stream->expects_much || stream->phase != PHASE_LIVE || size < FAST) {
        stream_stop_gathering(stream);
        return;
    }
    if (stream->gathering == NULL)
        start_gathering(stream);
    deadline_start(stream->loop->stalls, &stream->gathering->deadline);
}

void stream_expect(struct stream *stream, uint64_t octets)
{
    bool is_tcp = stream->socket.handle.type == UV_TCP;
    stream->expects_much = is_tcp && stream->phase == PHASE_LIVE && octets > MUCH;
    if (!stream->expects_much)
        stream_stop_gathering(stream);
}
