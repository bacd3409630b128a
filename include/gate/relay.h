/*
 * Bytes both ways between two streams, after the login, through the passage of the protocol
 * (mail/passage.h). Each read is written on in the same turn of the loop; when the receiver does
 * not take all of it, its source is not read until it has. So an idle relay holds no buffer, and a
 * stalled one what came in one read.
 *
 * The client's end is passed on (half-close) and the answers still come; the server's end is the
 * end of the session, after everything that it sent has been delivered. The reason is who ended
 * first. A session in which neither side says anything for too long ends, and one in which a
 * message comes too slowly, is not taken, or gets no answer (RFC 5321 section 4.5.3.2).
 *
 * A tap may look on (mail/tap.h), between the passage and the server. An answer whose record is
 * awaited is held, and what comes behind it, until relay_release; the server is not read meanwhile.
 */
#ifndef ECLUSE_GATE_RELAY_H
#define ECLUSE_GATE_RELAY_H

#include "mail/passage.h"
#include "mail/tap.h"
#include "net/stream.h"

/* What a client that sends a message owes, as long as the server takes it. */
#define RELAY_CONTENT_OCTETS_PER_SECOND 500

struct relay_ops {
    /* Nothing more will pass; the owner closes both streams (the client's after a flush). */
    void (*on_over)(void *owner, enum why why, const char *text);
    /* A stream of the relay was closed, by the owner. */
    void (*on_stream_closed)(void *owner);
    /* The tap has something to tell. `is_awaited`: the owner calls relay_release, later, when the
     * record is on disk. Not called without a tap. */
    void (*on_record)(void *owner, const struct record *record, bool is_awaited);
};

/* How long is borne with whom; shared by all relays of a gate. */
struct relay_patience {
    struct deadline_queue *idle;    /* with both, when they are silent */
    struct deadline_queue *content; /* each window in which a message must go on */
    struct deadline_queue *verdict; /* with the server, when it has got the whole of it */
    int64_t content_milliseconds;   /* of `content` */
    int64_t taking_milliseconds;    /* with a server that takes nothing of a message */
};

struct relay_settings {
    struct stream *client, *upstream;
    struct passage *passage; /* moved */
    struct tap *tap;         /* moved; NULL: nobody looks on */
    bool ends_unparsable;    /* with a tap: what it cannot follow does not pass, and ends it */
    bool is_paused;          /* at the start */
    const struct relay_patience *patience; /* borrowed */
    const struct relay_ops *ops;
    void *owner;
};

/* Embedded in the session. */
struct relay {
    struct relay_settings settings;
    struct buf held;      /* of the client, what the passage has not consumed */
    struct buf awaited;   /* of the server: answers whose records are awaited, and more */
    size_t answer_size;   /* of what the tap has seen of it; 0: none is awaited */
    size_t awaited_count; /* records that are */
    bool denial_is_due;   /* what a narrow grant denied is to be answered */
    bool denial_is_first; /* of the two, when both wait */
    struct deadline deadline;
    uint64_t client_bytes; /* octets from the client */
    uint64_t server_bytes; /* octets from the server */
    /* When the window of `content` began: client_bytes, and what the server had taken. */
    uint64_t window_bytes, window_taken;
    int64_t untaken_milliseconds; /* windows in a row in which it took nothing */
    uint8_t awaits;               /* private to the source */
    bool client_has_ended;
    bool upstream_has_failed; /* while an answer was awaited */
    bool is_paused;
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
/* The oldest record that is awaited is on disk. Fine when none is. */
void relay_release(struct relay *relay);
/* Neither side is read until it is set back: who is told of what passes cannot take more. */
void relay_set_paused(struct relay *relay, bool is_paused);
/* When both streams are closed; fine on all zero. */
void relay_fini(struct relay *relay);

#endif
