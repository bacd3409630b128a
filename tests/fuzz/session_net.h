/*
 * Floor 2 for one session of the gate, in memory: streams, dials, deadlines and the next turn of
 * the loop do what the headers of net say, at once and in a fixed order, so that the session that
 * runs on them is the gate's own (proxy/gate/session*.c, relay.c) and runs the same every time. A
 * target that includes this gets the session linked to it in place of the real floor.
 *
 * What a peer says waits until it is read; a read takes `piece` octets of it. The client is read
 * before the server, and the server a line at a time while the client has something to say: what
 * comes first may not hang on the pieces.
 */
#ifndef ECLUSE_TESTS_SESSION_NET_H
#define ECLUSE_TESTS_SESSION_NET_H

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "gate/session_internal.h"
#include "gate/upstream_sasl.h"
#include "net/tls_facts.h"

#define WAITING_MAX (16u * 1024 * 1024)

/* Something that is closed in the next turn. */
struct part {
    struct list node;
    void (*on_closed)(void *owner);
    void *owner;
};

struct tls {
    int unused;
};

struct stream {
    struct part part;
    struct net *net;
    enum side side;
    const struct stream_ops *ops;
    void *owner;
    struct buf waiting; /* said by the peer, and not read */
    struct tls tls;
    bool is_securing, is_secure, has_injected;
    bool peer_has_ended, end_is_told;
    bool is_reading, is_congested, is_ended;
    bool is_broken;               /* writing fails; on_failed is to follow */
    bool has_failed, is_flushing; /* closed, when the peer reads on */
    bool is_closed;
    enum why failure;
};

struct dial {
    struct part part;
    struct net *net;
    const struct dial_ops *ops;
    void *owner;
    struct dial_address address;
    enum tls_mode mode;
    bool has_ended;
};

struct deadline_queue {
    struct list running;
};

enum {
    QUEUE_LOGIN,
    QUEUE_IDLE,
    QUEUE_CONTENT,
    QUEUE_VERDICT,
    QUEUE_PATIENCE,
    QUEUES = QUEUE_PATIENCE + 3
};

struct net {
    struct loop loop; /* of it, only what is deferred */
    struct list closing;
    struct stream *client, *upstream; /* that are open */
    struct dial *dial;
    struct deadline_queue queues[QUEUES];
    size_t piece;
    bool client_has_words; /* the owner knows of some that are not read by us any more */
    bool is_burst;         /* all at once, whoever waits */
    /* What a session said to a side. */
    void (*on_said)(struct net *net, const struct stream *to, struct slice bytes);
};

static inline void net_init(struct net *net, size_t piece)
{
    *net = (struct net){.piece = piece};
    list_init(&net->loop.deferred);
    list_init(&net->closing);
    for (size_t i = 0; i < QUEUES; i++)
        list_init(&net->queues[i].running);
}

static inline struct net *net_of_loop(struct loop *loop)
{
    return CONTAINER_OF(loop, struct net, loop);
}

/* ---- clocks and chance: the same every time ---- */

uint64_t uv_hrtime(void)
{
    return 1000000000;
}

int64_t clock_wall_microseconds(void)
{
    return 1795730000000000;
}

int RAND_bytes(unsigned char *buf, int num)
{
    memset(buf, 'r', (size_t)num);
    return 1;
}

/* ---- the next turn ---- */

void deferral_init(struct deferral *deferral, void (*run)(struct deferral *))
{
    deferral->run = run;
    list_init(&deferral->node);
}

void loop_defer(struct loop *loop, struct deferral *deferral)
{
    list_remove(&deferral->node);
    list_append(&loop->deferred, &deferral->node);
}

void deferral_cancel(struct deferral *deferral)
{
    list_remove(&deferral->node);
}

static inline bool net_run_deferred(struct net *net)
{
    if (list_is_empty(&net->loop.deferred))
        return false;
    struct deferral *deferral = CONTAINER_OF(net->loop.deferred.next, struct deferral, node);
    list_remove(&deferral->node);
    deferral->run(deferral);
    return true;
}

static inline void close_part(struct net *net, struct part *part, void (*on_closed)(void *owner),
                              void *owner)
{
    part->on_closed = on_closed;
    part->owner = owner;
    list_append(&net->closing, &part->node);
}

static inline bool net_run_closing(struct net *net)
{
    if (list_is_empty(&net->closing))
        return false;
    struct part *part = CONTAINER_OF(net->closing.next, struct part, node);
    list_remove(&part->node);
    part->on_closed(part->owner);
    mem_free(part);
    return true;
}

/* ---- deadlines: they are over when an input says so ---- */

void deadline_init(struct deadline *deadline, void (*on_expired)(struct deadline *))
{
    *deadline = (struct deadline){.on_expired = on_expired};
    list_init(&deadline->node);
}

void deadline_start(struct deadline_queue *queue, struct deadline *deadline)
{
    list_remove(&deadline->node);
    deadline->queue = queue;
    list_append(&queue->running, &deadline->node);
}

void deadline_stop(struct deadline *deadline)
{
    list_remove(&deadline->node);
}

bool deadline_is_running(const struct deadline *deadline)
{
    return !list_is_empty(&deadline->node);
}

static inline void net_expire(struct net *net, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        if (list_is_empty(&net->queues[i].running))
            continue;
        struct list *node = net->queues[i].running.next;
        struct deadline *deadline = CONTAINER_OF(node, struct deadline, node);
        list_remove(node);
        deadline->on_expired(deadline);
        return;
    }
}

/* ---- TLS ---- */

struct tls *tls_client_new(const struct tls_settings *settings)
{
    ENSURE(settings->host != NULL && settings->session_key != NULL);
    return mem_new(sizeof(struct tls));
}

struct tls *tls_server_new(struct tls_identity *identity)
{
    ENSURE(identity != NULL);
    return mem_new(sizeof(struct tls));
}

void tls_facts(const struct tls *tls, struct tls_facts *facts_out)
{
    ENSURE(tls != NULL);
    *facts_out = (struct tls_facts){.version = "1.3", .cipher = "TLS_AES_256_GCM_SHA384"};
}

/* ---- streams ---- */

static inline struct stream *new_stream(struct net *net, enum side side,
                                        const struct stream_ops *ops, void *owner)
{
    struct stream *stream = mem_new(sizeof(*stream));
    *stream = (struct stream){.net = net, .side = side, .ops = ops, .owner = owner};
    list_init(&stream->part.node);
    buf_init(&stream->waiting, WAITING_MAX);
    return stream;
}

int stream_open(struct loop *loop, int descriptor, const struct stream_ops *ops, void *owner,
                struct stream **stream_out, struct err *err)
{
    struct net *net = net_of_loop(loop);
    (void)err;
    ENSURE(descriptor >= 0 && net->client == NULL);
    *stream_out = net->client = new_stream(net, SIDE_CLIENT, ops, owner);
    return 0;
}

void stream_set_owner(struct stream *stream, const struct stream_ops *ops, void *owner)
{
    stream->ops = ops;
    stream->owner = owner;
}

static inline void end_stream(struct stream *stream)
{
    struct net *net = stream->net;
    stream->is_flushing = false;
    if (net->client == stream)
        net->client = NULL;
    if (net->upstream == stream)
        net->upstream = NULL;
    buf_fini(&stream->waiting);
    close_part(net, &stream->part, stream->ops->on_closed, stream->owner);
}

void stream_close(struct stream *stream)
{
    if (!stream->is_closed)
        end_stream(stream);
    stream->is_closed = true;
}

void stream_close_after_flush(struct stream *stream, int64_t deadline)
{
    ENSURE(deadline > 0);
    if (stream->is_closed)
        return;
    stream->is_closed = true;
    stream->is_flushing = stream->is_congested && !stream->is_broken && !stream->has_failed;
    if (!stream->is_flushing)
        end_stream(stream);
}

void stream_close_lingering(struct stream *stream, int64_t deadline)
{
    stream_close_after_flush(stream, deadline);
}

void stream_start_tls(struct stream *stream, struct tls *tls)
{
    ENSURE(!stream->is_securing && !stream->is_secure && !stream->is_closed);
    stream->is_securing = true;
    mem_free(tls);
}

const struct tls *stream_tls(const struct stream *stream)
{
    return stream->is_securing || stream->is_secure ? &stream->tls : NULL;
}

void stream_read_start(struct stream *stream)
{
    stream->is_reading = true;
}

void stream_read_stop(struct stream *stream)
{
    stream->is_reading = false;
}

int stream_write(struct stream *stream, struct slice bytes)
{
    ENSURE(!stream->is_ended && !stream->is_closed);
    if (stream->is_broken || stream->has_failed)
        return ERR_CLOSED;
    /* Octets that came before a handshake are read here, so that all pieces are alike; a real
     * stream gives them to TLS, and the session does not get to say its last words. */
    ENSURE(!stream->is_securing || stream->has_injected);
    stream->net->on_said(stream->net, stream, bytes);
    return 0;
}

bool stream_is_congested(const struct stream *stream)
{
    return stream->is_congested;
}

void stream_expect(struct stream *stream, uint64_t octets)
{
    (void)octets;
    ENSURE(!stream->is_closed);
}

uint64_t stream_taken(const struct stream *stream)
{
    return stream->is_congested ? 0 : 1;
}

void stream_end(struct stream *stream)
{
    stream->is_ended = true;
}

/* ---- dials ---- */

struct dial *dial_open(struct loop *loop, const struct dial_settings *settings,
                       const struct dial_ops *ops, void *owner)
{
    struct net *net = net_of_loop(loop);
    ENSURE(net->dial == NULL && net->upstream == NULL && settings->address_count > 0);
    struct dial *dial = mem_new(sizeof(*dial));
    *dial = (struct dial){.net = net,
                          .ops = ops,
                          .owner = owner,
                          .address = settings->addresses[0],
                          .mode = settings->mode};
    list_init(&dial->part.node);
    net->dial = dial;
    return dial;
}

void dial_close(struct dial *dial)
{
    ENSURE(dial->net->dial == dial);
    dial->net->dial = NULL;
    close_part(dial->net, &dial->part, dial->ops->on_closed, dial->owner);
}

const struct dial_address *dial_winner(const struct dial *dial)
{
    return &dial->address;
}

/* ---- what the outside does ---- */

static inline void net_connect(struct net *net)
{
    struct dial *dial = net->dial;
    if (dial == NULL || dial->has_ended)
        return;
    dial->has_ended = true;
    net->upstream = new_stream(net, SIDE_UPSTREAM, NULL, NULL);
    net->upstream->is_secure = dial->mode == TLS_MODE_ON;
    dial->ops->on_ready(dial->owner, net->upstream);
}

static inline void net_refuse(struct net *net, enum why why)
{
    struct dial *dial = net->dial;
    if (dial == NULL || dial->has_ended)
        return;
    dial->has_ended = true;
    dial->ops->on_failed(dial->owner, why, "connect to 192.0.2.1 port 993: no");
}

static inline void net_secure(struct stream *stream)
{
    if (stream == NULL || !stream->is_securing || stream->is_closed || stream->has_failed)
        return;
    stream->is_securing = false;
    stream->is_secure = true;
    stream->ops->on_secured(stream->owner);
}

static inline void net_fail(struct stream *stream)
{
    if (stream == NULL || stream->is_closed || stream->has_failed)
        return;
    stream->has_failed = true;
    stream->ops->on_failed(stream->owner, stream->failure, "it broke");
}

/* The peer reads on. */
static inline void net_drain(struct stream *stream)
{
    stream->is_congested = false;
    if (stream->is_flushing)
        end_stream(stream);
    else if (!stream->has_failed && !stream->is_securing)
        stream->ops->on_drained(stream->owner);
}

/* The memory is as large as what was read, so that a sanitizer sees a read behind the end. */
static inline void read_piece(struct stream *stream)
{
    struct slice bytes = slice_take(buf_bytes(&stream->waiting), stream->net->piece);
    const struct stream *client = stream->net->client;
    bool client_waits =
        stream->net->client_has_words || (client != NULL && buf_size(&client->waiting) > 0);
    if (stream->side == SIDE_UPSTREAM && client_waits && !stream->net->is_burst)
        bytes = slice_take(bytes, slice_find(bytes, '\n') + 1);
    bytes = slice_take(bytes, LOOP_SCRATCH_SIZE);
    size_t size = bytes.size;
    uint8_t *memory = mem_new(size);
    memcpy(memory, bytes.data, size);
    buf_consume(&stream->waiting, size);
    stream->has_injected = stream->is_securing;
    stream->ops->on_read(stream->owner, slice_of(memory, size));
    mem_free(memory);
}

/* True: it was told something. It may be gone. */
static inline bool net_read(struct stream *stream)
{
    if (stream == NULL || stream->is_closed || stream->has_failed)
        return false;
    if (stream->is_broken)
        net_fail(stream);
    else if (stream->is_reading && buf_size(&stream->waiting) > 0)
        read_piece(stream);
    else if (stream->is_reading && stream->peer_has_ended && !stream->end_is_told) {
        stream->end_is_told = true;
        if (stream->is_securing)
            net_fail(stream);
        else
            stream->ops->on_end(stream->owner);
    } else
        return false;
    return true;
}

#endif
