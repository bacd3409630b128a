/*
 * Bytes both ways between two streams, after the login; unaltered but for capability replies
 * (mail/capability_filter.h). Each read is written on in the same turn of
 * the loop; when the receiver does not take all of it, its source is not read until it has. So an
 * idle relay holds no buffer, and a stalled one what came in one read.
 *
 * The client's end is passed on (half-close) and the answers still come; the server's end is the
 * end of the session, after everything that it sent has been delivered. The reason is who ended
 * first.
 */
#ifndef ECLUSE_GATE_RELAY_H
#define ECLUSE_GATE_RELAY_H

#include "mail/capability_filter.h"
#include "net/stream.h"

struct relay_ops {
    /* Nothing more will pass; the owner closes both streams (the client's after a flush). */
    void (*on_over)(void *owner, enum why why, const char *text);
    /* A stream of the relay was closed, by the owner. */
    void (*on_stream_closed)(void *owner);
};

/* Embedded in the session. */
struct relay {
    struct stream *client;
    struct stream *upstream;
    const struct relay_ops *ops;
    void *owner;
    struct capability_filter filter; /* of what the server says; without a rule it is not used */
    uint64_t client_bytes;           /* octets from the client */
    uint64_t server_bytes;           /* octets from the server */
    bool client_has_ended;
    bool is_over;
};

/* Takes over the streams' callbacks. The bytes that came from each side before are sent first.
 * `client_has_ended`: its half-close is passed on behind them. `rule` may be NULL. */
void relay_start(struct relay *relay, struct stream *client, struct stream *upstream,
                 const struct capability_rule *rule, struct slice from_client,
                 struct slice from_upstream, bool client_has_ended, const struct relay_ops *ops,
                 void *owner);
/* When both streams are closed; fine on all zero. */
void relay_fini(struct relay *relay);

#endif
