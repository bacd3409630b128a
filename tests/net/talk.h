/*
 * A conversation in memory between a client of net/tls and OpenSSL's server, for the tests of TLS.
 */
#ifndef ECLUSE_TESTS_TALK_H
#define ECLUSE_TESTS_TALK_H

#include "tls_fixture.h"

#define PLAIN_MAX (8u * 1024 * 1024)

/* One conversation: a client, a server, and what each said to the other. */
struct talk {
    SSL_CTX *context;
    struct server_connection *server;
    struct tls *client;
    struct buf to_server, to_client; /* cipher on its way */
    struct buf plain;                /* what the client got */
    size_t piece;                    /* octets handed over at once */
    size_t capacity;                 /* of the buffer given to tls_read */
};

static inline struct tls_settings usual_settings(void)
{
    return (struct tls_settings){.authorities = all.authorities, .host = HOST};
}

static inline struct server_wish usual_wish(void)
{
    return (struct server_wish){.certificate = all.good};
}

static inline void talk_init(struct talk *talk, const struct tls_settings *settings,
                             const struct server_wish *wish, size_t piece)
{
    *talk = (struct talk){.piece = piece, .capacity = 64 * 1024};
    talk->context = server_new(wish);
    talk->server = server_accept(talk->context);
    talk->client = tls_client_new(settings);
    buf_init(&talk->to_server, PLAIN_MAX);
    buf_init(&talk->to_client, PLAIN_MAX);
    buf_init(&talk->plain, PLAIN_MAX);
}

static inline void talk_fini(struct talk *talk)
{
    server_connection_free(talk->server);
    SSL_CTX_free(talk->context);
    tls_free(talk->client);
    buf_fini(&talk->to_server);
    buf_fini(&talk->to_client);
    buf_fini(&talk->plain);
}

/* A second connection to the same server. */
static inline void talk_again(struct talk *talk, const struct tls_settings *settings)
{
    server_connection_free(talk->server);
    tls_free(talk->client);
    buf_clear(&talk->to_server);
    buf_clear(&talk->to_client);
    buf_clear(&talk->plain);
    talk->server = server_accept(talk->context);
    talk->client = tls_client_new(settings);
}

static inline void client_reads(struct talk *talk, struct slice cipher)
{
    uint8_t *plain = mem_new(talk->capacity);
    bool more = true;
    for (size_t size; more; cipher = SLICE_NONE) {
        more = tls_read(talk->client, cipher, plain, talk->capacity, &size, &talk->to_server);
        assert_true(size <= talk->capacity);
        assert_true(!more || size == talk->capacity);
        assert_int_equal(buf_append(&talk->plain, slice_of(plain, size)), 0);
    }
    mem_free(plain);
}

/* Hands cipher bytes to and fro until none are left. */
static inline void exchange(struct talk *talk)
{
    bool server_listens = true;
    while (buf_size(&talk->to_server) > 0 || buf_size(&talk->to_client) > 0) {
        while (buf_size(&talk->to_server) > 0) {
            struct slice part = slice_take(buf_bytes(&talk->to_server), talk->piece);
            if (server_listens)
                server_listens = server_read(talk->server, part, &talk->to_client);
            buf_consume(&talk->to_server, part.size);
        }
        while (buf_size(&talk->to_client) > 0) {
            /* Copied to its size, so that reading past it shows. */
            struct slice part = slice_take(buf_bytes(&talk->to_client), talk->piece);
            uint8_t *copy = mem_new(part.size);
            memcpy(copy, part.data, part.size);
            client_reads(talk, slice_of(copy, part.size));
            mem_free(copy);
            buf_consume(&talk->to_client, part.size);
        }
    }
}

static inline void shake_hands(struct talk *talk)
{
    client_reads(talk, SLICE_NONE);
    exchange(talk);
}

static inline void client_writes(struct talk *talk, struct slice plain)
{
    size_t capacity = plain.size + (plain.size / 16384 + 1) * TLS_RECORD_OVERHEAD;
    uint8_t *cipher = mem_new(capacity);
    size_t size = tls_write(talk->client, plain, cipher, capacity);
    assert_int_equal(buf_append(&talk->to_server, slice_of(cipher, size)), 0);
    mem_free(cipher);
}

static inline void assert_bytes(const struct buf *buf, const uint8_t *expected, size_t size)
{
    assert_int_equal(buf_size(buf), size);
    assert_memory_equal(buf_bytes(buf).data, expected, size);
}

#endif
