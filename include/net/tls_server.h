/*
 * What connections under the same identity share. Within the net room; the rest sees
 * net/tls_identity.h.
 */
#ifndef ECLUSE_NET_TLS_SERVER_H
#define ECLUSE_NET_TLS_SERVER_H

#include <openssl/ssl.h>

#include "net/tls_identity.h"

struct tls_identity {
    size_t references;
    SSL_CTX *context;
    BIO_METHOD *method;
    char *alpn; /* or NULL */
};

/* OpenSSL's callback of the identity's context, called when a client offers protocols. */
int tls_server_select_alpn(SSL *ssl, const unsigned char **selected_out,
                           unsigned char *selected_size_out, const unsigned char *offered,
                           unsigned offered_size, void *identity);

#endif
