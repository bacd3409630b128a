/*
 * Bytes both ways between two streams, after the login, through the passage of the protocol
 * (mail/passage.h). Each read is written on in the same turn of the loop; when the receiver does
 * not take all of it, its source is not read until it has. So an idle relay holds no buffer, and a
 * stalled one what came in one read.
 *
 * The client's end is passed on (half-close) and the answers still come; the server's end is the
 * end of the session, after everything that it sent has been delivered. The reason is who ended
 * first. A session in which neither side says anything for too long ends, and one in which a
 * message comes too slowly.
 */
#ifndef ECLUSE_GATE_RELAY_H
#define ECLUSE_GATE_RELAY_H

#include "mail/passage.h"
#include "net/stream.h"

/* What a client that sends a message owes, as long as the server takes it. */
#define RELAY_CONTENT_OCTETS_PER_SECOND 500

struct relay_ops {
    /* Nothing more will pass; the owner closes both streams (the client's after a flush). */
    void (*on_over)(void *owner, enum why why, const char *text);
    /* A stream of the relay was closed, by the owner. */
    void (*on_stream_closed)(void *owner);
};

struct relay_settings {
    struct stream *client, *upstream;
    struct passage *passage; /* moved */
    /* How long both may be silent, and how long each window is in which a message must go on. */
    struct deadline_queue *idle, *content;
    int64_t content_milliseconds; /* of `content` */
    const struct relay_ops *ops;
    void *owner;
};

/* Embedded in the session. */
struct relay {
    struct relay_settings settings;
    struct buf held; /* of the client, what the passage has not consumed */
    struct deadline deadline;
    uint64_t client_bytes; /* octets from the client */
    uint64_t server_bytes; /* octets from the server */
    uint64_t window_bytes; /* client_bytes when the window of `content` began */
    bool is_in_window;
    bool client_has_ended;
    bool is_over;
};

/* Takes over the streams' callbacks, and reads them from here on. */
void relay_start(struct relay *relay, const struct relay_settings *settings);
/* What came from a side before; as if it were read now. */
void relay_feed(struct relay *relay, enum side from, struct slice bytes);
/* The client's end came before. */
void relay_client_ended(struct relay *relay);
/* Tells the client why, if it can be told, and ends it. */
void relay_dismiss(struct relay *relay, enum why why, const char *text);
/* When both streams are closed; fine on all zero. */
void relay_fini(struct relay *relay);

#endif
