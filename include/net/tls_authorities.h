/*
 * What connections under the same authorities share. Within the net room.
 */
#ifndef ECLUSE_NET_TLS_AUTHORITIES_H
#define ECLUSE_NET_TLS_AUTHORITIES_H

#include <openssl/ssl.h>

#include "net/tls.h"

struct tls_authorities {
    size_t references;
    SSL_CTX *context; /* its app data is this */
    BIO_METHOD *method;
    int facts_index;         /* where in the servers' certificates tls_facts.c keeps its own */
    uint8_t fingerprint[32]; /* SHA-256 of the bundle */
};

/* One more to tls_authorities_free. */
struct tls_authorities *tls_authorities_hold(struct tls_authorities *authorities);

/* A place in certificates for tls_facts. OpenSSL never takes one back: once for each bundle. */
int tls_facts_index_new(void);

#endif
