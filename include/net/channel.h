/*
 * Frames over a stream socket between two processes of ours: a 32-bit length, big-endian, then that
 * many octets (1..MESSAGE_SIZE_MAX). What is inside is auth/message's business.
 *
 * on_frame gets each whole frame; the slice is valid during the call. on_failed comes at most once:
 * the other side is gone (ERR_CLOSED), sent a length out of range (ERR_SYNTAX), or the socket
 * failed. Sending never blocks; what the socket does not take is queued up to `queue_max` octets,
 * beyond which channel_send gives ERR_FULL and the other side counts as dead.
 *
 * A frame is sent at once, which wakes the other side. Who has much to say in a turn of the loop
 * puts frames and flushes: they go out together, just before the loop waits.
 */
#ifndef ECLUSE_NET_CHANNEL_H
#define ECLUSE_NET_CHANNEL_H

#include "base/err.h"
#include "base/slice.h"
#include "net/loop.h"

struct channel;

struct channel_ops {
    void (*on_frame)(void *owner, struct slice frame);
    void (*on_failed)(void *owner, int code);
    void (*on_closed)(void *owner);
    /* May be NULL. What was queued has gone; never from within one of the calls below. */
    void (*on_drained)(void *owner);
};

/* Takes over a connected, non-blocking socket; reads at once. */
MUST_CHECK int channel_open(struct loop *loop, int descriptor, size_t frame_max, size_t queue_max,
                            const struct channel_ops *ops, void *owner,
                            struct channel **channel_out, struct err *err);
void channel_close(struct channel *channel);
/* ERR_FULL or ERR_CLOSED: not sent. The bytes are copied, and wiped when they are sent: a frame may
 * hold a token. */
MUST_CHECK int channel_send(struct channel *channel, struct slice frame);
/* The same, but it goes with the next that is sent, or by channel_flush. */
MUST_CHECK int channel_put(struct channel *channel, struct slice frame);
/* Sends what was put, before the loop waits. */
void channel_flush(struct channel *channel);
/* Nothing more is handed up, nor read, until channel_resume: the other side's socket fills, and it
 * notices. Also from within on_frame. Frames that were read already come after the resume, never
 * from within it. Twice is as good as once. */
void channel_pause(struct channel *channel);
void channel_resume(struct channel *channel);

/* Octets that the socket has not taken yet, or not been given. */
size_t channel_queued(const struct channel *channel);

/* Splits a byte stream into frames; what channel does without the socket. */
#define FRAME_HEADER_SIZE 4
enum frame_status { FRAME_DONE, FRAME_MORE, FRAME_BAD };
/* *size_out is what to consume of `bytes` when DONE; *frame_out lies within. */
MUST_CHECK enum frame_status frame_read(struct slice bytes, size_t frame_max,
                                        struct slice *frame_out, size_t *size_out);
/* After FRAME_MORE: how many octets are missing at the least, to the end of the header or of the
 * frame. */
size_t frame_missing(struct slice bytes);
/* ENSURE: 1..UINT32_MAX. */
void frame_write_header(size_t size, uint8_t header_out[FRAME_HEADER_SIZE]);

#endif
