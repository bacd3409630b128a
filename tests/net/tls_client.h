/*
 * Clients for the tests of net/tls as server: OpenSSL's own in memory, with memory BIOs, and an
 * identity for it to meet. OpenSSL treats both ends alike, and so do server_read, server_write and
 * server_end of tls_server.h: here they drive the client.
 */
#ifndef ECLUSE_TESTS_TLS_CLIENT_H
#define ECLUSE_TESTS_TLS_CLIENT_H

#include <openssl/pem.h>

#include "net/tls_identity.h"
#include "tls_server.h"

struct client_wish {
    const struct certificate *trusted; /* NULL: whatever the server has */
    int version_max;                   /* 0: TLS 1.3 */
    const char *alpn;                  /* in the form of the wire: "\4imap"; NULL: none */
    const char *ciphers;               /* before TLS 1.3, or NULL */
};

/* In the way of devices that know nothing better than TLS 1.0: security level 0. */
static inline SSL_CTX *client_new(const struct client_wish *wish)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    ENSURE(context != NULL);
    SSL_CTX_set_security_level(context, 0);
    ENSURE(SSL_CTX_set_min_proto_version(context, TLS1_VERSION) == 1);
    ENSURE(SSL_CTX_set_max_proto_version(context, wish->version_max) == 1);
    ENSURE(SSL_CTX_set_cipher_list(context, wish->ciphers != NULL ? wish->ciphers
                                                                  : "DEFAULT:@SECLEVEL=0") == 1);
    if (wish->alpn != NULL)
        ENSURE(SSL_CTX_set_alpn_protos(context, (const unsigned char *)wish->alpn,
                                       (unsigned)strlen(wish->alpn)) == 0);
    if (wish->trusted != NULL) {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        ENSURE(X509_STORE_add_cert(SSL_CTX_get_cert_store(context), wish->trusted->x509) == 1);
    }
    return context;
}

static inline struct server_connection *client_connect(SSL_CTX *context)
{
    struct server_connection *client = server_accept(context);
    SSL_set_connect_state(client->ssl);
    return client;
}

/* -- identities -- */

/* PEM text for mem_free. */
static inline char *key_text(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    ENSURE(bio != NULL && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
    char *bytes;
    long size = BIO_get_mem_data(bio, &bytes);
    char *text = mem_copy_bytes_as_string(bytes, (size_t)size);
    BIO_free(bio);
    return text;
}

static inline struct tls_identity *identity_of(const struct certificate *certificate,
                                               unsigned minimum, const char *alpn)
{
    struct tls_identity *identity;
    char *chain = certificate_text(certificate), *key = key_text(certificate->key);
    const struct tls_identity_settings settings = {.certificate = slice_of_string(chain),
                                                   .key = slice_of_string(key),
                                                   .minimum = minimum,
                                                   .alpn = alpn};
    ENSURE(tls_identity_new(&settings, &identity, NULL) == 0);
    mem_free(chain);
    mem_free(key);
    return identity;
}

#endif
