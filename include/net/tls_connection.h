/*
 * One connection as tls.c drives it, and what its role adds. Within the net room.
 */
#ifndef ECLUSE_NET_TLS_CONNECTION_H
#define ECLUSE_NET_TLS_CONNECTION_H

#include <openssl/ssl.h>

#include "net/tls.h"
#include "net/tls_bio.h"

struct tls_role {
    const char *peer; /* what the other side is called in words */
    /* The handshake is done: the last checks, each of which may tls_fail. */
    void (*finish_handshake)(struct tls *tls);
    /* tls_fail with words for OpenSSL's error; 0 when it left none. */
    void (*explain)(struct tls *tls, unsigned long problem);
    /* The memory around `tls`, whose own parts are gone. */
    void (*free)(struct tls *tls);
};

/* The start of each role's own struct. */
struct tls {
    const struct tls_role *role;
    SSL *ssl;
    struct tls_memory memory;
    enum tls_state state;
    bool is_peer_heard;   /* a handshake message came: it speaks TLS */
    bool is_buffer_kept;  /* between records */
    unsigned empty_count; /* messages since the last data */
    char *why;            /* when FAILED */
};

/* `method` makes its BIO. Both outlive the connection. */
void tls_init(struct tls *tls, const struct tls_role *role, SSL_CTX *context, BIO_METHOD *method);

/* The first reason stays. */
void tls_fail(struct tls *tls, const char *format, ...) PRINTF_LIKE(2, 3);
/* With OpenSSL's own words, or `otherwise` when it has none. */
void tls_fail_by_reason(struct tls *tls, unsigned long problem, const char *otherwise);

#endif
