/*
 * What the contexts of both roles have in common. Within the net room.
 */
#ifndef ECLUSE_NET_TLS_CONTEXT_H
#define ECLUSE_NET_TLS_CONTEXT_H

#include <openssl/ssl.h>

/* `minimum` is TLS1_VERSION to TLS1_3_VERSION. Never NULL. */
SSL_CTX *tls_context_new(const SSL_METHOD *method, int minimum);

#endif
