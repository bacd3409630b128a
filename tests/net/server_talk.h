/*
 * A conversation in memory between OpenSSL's client and the server of net/tls, for the tests of TLS
 * as server.
 */
#ifndef ECLUSE_TESTS_SERVER_TALK_H
#define ECLUSE_TESTS_SERVER_TALK_H

#include "tls_client.h"
#include "tls_fixture.h"

#define PLAIN_MAX (8u * 1024 * 1024)

/* One conversation: a client, our server, and what each said to the other. */
struct talk {
    struct tls_identity *identity;
    SSL_CTX *context;
    struct server_connection *client;
    struct tls *server;
    struct buf to_server, to_client; /* cipher on its way */
    struct buf plain;                /* what the server got */
    size_t piece;                    /* octets handed over at once */
    bool client_goes_on;
};

static inline void talk_init(struct talk *talk, unsigned minimum, const char *alpn,
                             const struct client_wish *wish, size_t piece)
{
    *talk = (struct talk){.piece = piece, .client_goes_on = true};
    talk->identity = identity_of(all.good, minimum, alpn);
    talk->context = client_new(wish);
    talk->client = client_connect(talk->context);
    talk->server = tls_server_new(talk->identity);
    buf_init(&talk->to_server, PLAIN_MAX);
    buf_init(&talk->to_client, PLAIN_MAX);
    buf_init(&talk->plain, PLAIN_MAX);
}

static inline void talk_fini(struct talk *talk)
{
    /* A connection holds its identity. */
    tls_identity_free(talk->identity);
    tls_free(talk->server);
    server_connection_free(talk->client);
    SSL_CTX_free(talk->context);
    buf_fini(&talk->to_server);
    buf_fini(&talk->to_client);
    buf_fini(&talk->plain);
}

static inline void talk_again(struct talk *talk, SSL_SESSION *session)
{
    tls_free(talk->server);
    server_connection_free(talk->client);
    buf_clear(&talk->to_server);
    buf_clear(&talk->to_client);
    buf_clear(&talk->plain);
    talk->client = client_connect(talk->context);
    if (session != NULL)
        assert_int_equal(SSL_set_session(talk->client->ssl, session), 1);
    talk->server = tls_server_new(talk->identity);
    talk->client_goes_on = true;
}

static inline void server_reads(struct talk *talk, struct slice cipher)
{
    uint8_t *plain = mem_new(64 * 1024);
    bool more = true;
    for (size_t size; more; cipher = SLICE_NONE) {
        more = tls_read(talk->server, cipher, plain, 64 * 1024, &size, &talk->to_client);
        assert_int_equal(buf_append(&talk->plain, slice_of(plain, size)), 0);
    }
    mem_free(plain);
}

/* A copy of its size, so that reading past it shows. */
static inline void server_reads_copy(struct talk *talk, struct slice part)
{
    uint8_t *copy = mem_new(part.size);
    memcpy(copy, part.data, part.size);
    server_reads(talk, slice_of(copy, part.size));
    mem_free(copy);
}

/* Hands cipher bytes to and fro until none are left. */
static inline void exchange(struct talk *talk)
{
    while (buf_size(&talk->to_server) > 0 || buf_size(&talk->to_client) > 0) {
        while (buf_size(&talk->to_server) > 0) {
            struct slice part = slice_take(buf_bytes(&talk->to_server), talk->piece);
            server_reads_copy(talk, part);
            buf_consume(&talk->to_server, part.size);
        }
        while (buf_size(&talk->to_client) > 0) {
            struct slice part = slice_take(buf_bytes(&talk->to_client), talk->piece);
            if (talk->client_goes_on)
                talk->client_goes_on = server_read(talk->client, part, &talk->to_server);
            buf_consume(&talk->to_client, part.size);
        }
    }
}

static inline void shake_hands(struct talk *talk)
{
    server_reads(talk, SLICE_NONE); /* it waits for the client */
    assert_int_equal(buf_size(&talk->to_client), 0);
    assert_true(server_read(talk->client, SLICE_NONE, &talk->to_server));
    exchange(talk);
}

static inline void server_writes(struct talk *talk, struct slice plain)
{
    size_t capacity = plain.size + (plain.size / 16384 + 1) * TLS_RECORD_OVERHEAD;
    uint8_t *cipher = mem_new(capacity);
    size_t size = tls_write(talk->server, plain, cipher, capacity);
    assert_int_equal(buf_append(&talk->to_client, slice_of(cipher, size)), 0);
    mem_free(cipher);
}

#endif
