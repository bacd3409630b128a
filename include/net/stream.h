/*
 * A connected socket, TCP or unix, with or without TLS on it: bytes in by a callback, bytes out by
 * stream_write, back-pressure both ways.
 *
 * Reading goes into the loop's scratch memory; the slice given to on_read is valid during the call
 * only, and whoever gets it takes all of it. Writing tries the socket at once; only what the kernel
 * did not take is copied and kept, and until that has gone stream_is_congested is true: the caller
 * then stops the source of the bytes (stream_read_stop on the other side) until on_drained.
 * So an idle stream holds no buffer, and a congested one what arrived in one turn of the loop.
 *
 * Callbacks: any number of on_read; on_end at most once, when the peer has finished sending (with
 * TLS: close_notify; without it the end is a truncation and on_failed is called); on_failed at most
 * once, and then nothing but on_closed. After stream_close: exactly one on_closed, nothing else;
 * the stream may be freed by its owner no earlier than there, by returning from it (stream_close's
 * reference is dropped right after). No callback is called from within a function of this header.
 */
#ifndef ECLUSE_NET_STREAM_H
#define ECLUSE_NET_STREAM_H

#include "base/err.h"
#include "base/slice.h"
#include "base/terms.h"
#include "net/loop.h"
#include "net/tls.h"

struct stream;

struct stream_ops {
    void (*on_read)(void *owner, struct slice bytes);
    void (*on_end)(void *owner);
    /* What was kept has gone: write again. Not during the handshake: then on_secured says so. */
    void (*on_drained)(void *owner);
    /* TLS is up (after stream_start_tls). */
    void (*on_secured)(void *owner);
    /* WHY_UPSTREAM_TLS (handshake, a damaged record), WHY_SERVER_GONE (an end without close_notify:
     * what came may be cut short) or WHY_UNREACHABLE (read or write error); `text` is for the log.
     * The words are those of a stream to a server; towards a client the owner has its own. */
    void (*on_failed)(void *owner, enum why why, const char *text);
    void (*on_closed)(void *owner);
};

/* Takes over a connected, non-blocking descriptor; it does not read yet. ERR_SYSTEM: the descriptor
 * is closed. TCP_NODELAY is set on TCP sockets. */
MUST_CHECK int stream_open(struct loop *loop, int descriptor, const struct stream_ops *ops,
                           void *owner, struct stream **stream_out, struct err *err);
/* Hands the stream to another owner, e.g. from a dial to a session. */
void stream_set_owner(struct stream *stream, const struct stream_ops *ops, void *owner);
/* Drops what is kept unsent, closes. Idempotent. */
void stream_close(struct stream *stream);
/* As stream_close, but first lets what is kept (and, with TLS, close_notify) go out, for as long as
 * `deadline` milliseconds at most. */
void stream_close_after_flush(struct stream *stream, int64_t deadline);
/* The same; and where the peer is amidst sending, closing at once would reset the connection, and
 * it may never read our last words. So, within the same deadline, what it sends is read and dropped
 * until it ends, too; some megabytes at most. */
void stream_close_lingering(struct stream *stream, int64_t deadline);

/* Before any read or write, or after both sides agreed (STARTTLS): starts the handshake, in the
 * role that `tls` was made for. The stream owns `tls` from here. on_secured or on_failed follows;
 * the deadline is the caller's. What was written before is sent before, as plaintext. Bytes that
 * were read before and not by TLS are the caller's to refuse; those that come after are TLS to it,
 * and fail when they are not. */
void stream_start_tls(struct stream *stream, struct tls *tls);
/* NULL without TLS; borrowed. */
const struct tls *stream_tls(const struct stream *stream);

void stream_read_start(struct stream *stream);
void stream_read_stop(struct stream *stream);
/* At least so many octets are still to come from the peer (behind those that on_read is given, when
 * it is called from there). Of many they are then read in larger portions. It is a promise whose
 * breach costs little: what comes is never left for longer than loop->stalls. */
void stream_expect(struct stream *stream, uint64_t octets);

/* All of it is taken. ENSURE: not before on_secured when TLS was started, not after
 * stream_end. ERR_CLOSED when the stream has failed already (on_failed is or was called). */
MUST_CHECK int stream_write(struct stream *stream, struct slice bytes);
bool stream_is_congested(const struct stream *stream);
/* Octets kept unsent. */
size_t stream_kept(const struct stream *stream);
/* Octets on the wire that the peer has taken so far: see net/acknowledged.h. */
uint64_t stream_taken(const struct stream *stream);
/* No more will be written: half-closes once what is kept has gone (with TLS: close_notify). */
void stream_end(struct stream *stream);

#endif
