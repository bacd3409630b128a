/*
 * The stream's own state, shared by the files that make it up and by nobody else: stream.c reads
 * and writes, stream_gather.c makes reads larger, stream_close.c ends it.
 */
#ifndef ECLUSE_NET_STREAM_INTERNAL_H
#define ECLUSE_NET_STREAM_INTERNAL_H

#include "net/stream.h"

/* What TLS may want to send in answer to one read. */
#define ANSWER_MAX (128ul * 1024)

enum phase {
    PHASE_LIVE,
    PHASE_FAILED, /* on_failed is due or was called */
    /* nobody is told anything any more but on_closed */
    PHASE_LEAVING,   /* flushing */
    PHASE_LINGERING, /* the peer sends on, into nothing */
    PHASE_CLOSING
};

enum security { SECURITY_NONE, SECURITY_STARTING, SECURITY_UP };

enum incoming { INCOMING_OPEN, INCOMING_ENDED, INCOMING_END_TOLD };

/* The write that libuv has: its bytes may not move. */
struct flight {
    uv_write_t request;
    struct stream *stream;
    struct buf bytes;
};

struct farewell {
    uv_timer_t timer;
    struct stream *stream;
    size_t dropped; /* octets, while lingering */
    bool lingers;
};

struct stream {
    struct loop *loop;
    const struct stream_ops *ops; /* NULL: the owner never got it */
    void *owner;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } socket;
    uint8_t open_handles;
    uint8_t phase;       /* enum phase */
    uint8_t security;    /* enum security */
    uint8_t incoming;    /* enum incoming */
    bool is_read_wanted; /* by the owner */
    bool is_reading;     /* by libuv */
    bool is_output_ended;
    bool expects_much;
    uint8_t why;          /* enum why, until on_failed is called */
    struct deferral news; /* what could not be told at once */
    struct tls *tls;
    struct flight *flight; /* NULL: nothing is kept */
    struct buf staging;
    struct buf held; /* came with the end of the handshake, before the owner wanted to read */
    struct farewell *farewell;
    struct gathering *gathering; /* NULL: we are woken by whatever comes */
    char *failure;               /* until on_failed is called */
};

/* stream.c */
int stream_descriptor(const struct stream *stream);
/* To the socket, or kept. */
void stream_send(struct stream *stream, struct slice bytes);
void stream_update_reading(struct stream *stream);

/* stream_gather.c */
/* So much was read, and passed on. */
void stream_gather(struct stream *stream, size_t size);
void stream_stop_gathering(struct stream *stream);

/* stream_close.c */
/* Nothing more will be written, and all of it has gone: ends the socket's output, or closes it. */
void stream_output_gone(struct stream *stream);
/* Lingering: what libuv has read, octets or an error. */
void stream_drop(struct stream *stream, ssize_t size);

#endif
