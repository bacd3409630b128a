/*
 * A TLS server in memory for the tests: OpenSSL's own, with memory BIOs. Bytes in, bytes out, as
 * with net/tls. Also the authority and the certificates that the tests use.
 */
#ifndef ECLUSE_TESTS_TLS_SERVER_H
#define ECLUSE_TESTS_TLS_SERVER_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

#include "../lib/certificate.h"
#include "net/tls.h"

#define SERVER_BUF_MAX (8u * 1024 * 1024)

struct server_wish {
    const struct certificate *certificate;
    const struct certificate *issuer; /* sent along, or NULL */
    int version_max;                  /* 0: TLS 1.3 */
    const char *alpn;                 /* selected whatever was offered; NULL: none */
    const char *ciphers;              /* of TLS 1.2, or NULL */
};

struct server_connection {
    SSL *ssl;
    BIO *input, *output;
    struct buf plain; /* what the client said */
};

static inline int server_select(SSL *ssl, const unsigned char **out, unsigned char *size_out,
                                const unsigned char *offered, unsigned offered_size, void *alpn)
{
    (void)ssl;
    (void)offered;
    (void)offered_size;
    *out = alpn;
    *size_out = (unsigned char)strlen(alpn);
    return SSL_TLSEXT_ERR_OK;
}

static inline SSL_CTX *server_new(const struct server_wish *wish)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    ENSURE(context != NULL);
    if (wish->version_max != 0 && wish->version_max < TLS1_2_VERSION)
        SSL_CTX_set_security_level(context, 0);
    ENSURE(SSL_CTX_set_min_proto_version(context, TLS1_VERSION) == 1);
    ENSURE(SSL_CTX_set_max_proto_version(context, wish->version_max) == 1);
    ENSURE(SSL_CTX_set_cipher_list(context, wish->ciphers != NULL ? wish->ciphers
                                                                  : "DEFAULT:@SECLEVEL=0") == 1);
    ENSURE(SSL_CTX_use_certificate(context, wish->certificate->x509) == 1);
    ENSURE(SSL_CTX_use_PrivateKey(context, wish->certificate->key) == 1);
    if (wish->issuer != NULL)
        ENSURE(SSL_CTX_add1_chain_cert(context, wish->issuer->x509) == 1);
    if (wish->alpn != NULL)
        SSL_CTX_set_alpn_select_cb(context, server_select, (void *)(uintptr_t)wish->alpn);
    return context;
}

static inline struct server_connection *server_accept(SSL_CTX *context)
{
    struct server_connection *connection = mem_new(sizeof(*connection));
    connection->ssl = SSL_new(context);
    connection->input = BIO_new(BIO_s_mem());
    connection->output = BIO_new(BIO_s_mem());
    ENSURE(connection->ssl != NULL && connection->input != NULL && connection->output != NULL);
    SSL_set_bio(connection->ssl, connection->input, connection->output);
    SSL_set_accept_state(connection->ssl);
    buf_init(&connection->plain, SERVER_BUF_MAX);
    return connection;
}

static inline void server_connection_free(struct server_connection *connection)
{
    SSL_free(connection->ssl);
    buf_fini(&connection->plain);
    mem_free(connection);
}

static inline void server_collect(struct server_connection *connection, struct buf *cipher_out)
{
    char *bytes;
    long size = BIO_get_mem_data(connection->output, &bytes);
    ENSURE(buf_append(cipher_out, slice_of(bytes, (size_t)size)) == 0);
    (void)BIO_reset(connection->output);
}

/* Takes the client's bytes; false when OpenSSL gave up, or the client said close_notify. */
static inline bool server_read(struct server_connection *connection, struct slice cipher,
                               struct buf *cipher_out)
{
    if (cipher.size > 0)
        ENSURE(BIO_write(connection->input, cipher.data, (int)cipher.size) == (int)cipher.size);
    uint8_t plain[16384];
    int got;
    ERR_clear_error();
    while ((got = SSL_read(connection->ssl, plain, sizeof(plain))) > 0)
        ENSURE(buf_append(&connection->plain, slice_of(plain, (size_t)got)) == 0);
    bool goes_on = SSL_get_error(connection->ssl, got) == SSL_ERROR_WANT_READ;
    ERR_clear_error();
    server_collect(connection, cipher_out);
    return goes_on;
}

static inline void server_write(struct server_connection *connection, struct slice plain,
                                struct buf *cipher_out)
{
    if (plain.size > 0)
        ENSURE(SSL_write(connection->ssl, plain.data, (int)plain.size) == (int)plain.size);
    server_collect(connection, cipher_out);
}

static inline void server_end(struct server_connection *connection, struct buf *cipher_out)
{
    SSL_shutdown(connection->ssl);
    server_collect(connection, cipher_out);
}

/* -- certificates -- */

struct test_certificates {
    struct certificate *root, *other_root;
    struct certificate *good; /* imap and smtp.example.org, 127.0.0.1 */
    struct tls_authorities *authorities;
};

static inline struct tls_authorities *authorities_of(const struct certificate *root)
{
    struct tls_authorities *authorities;
    char *text = certificate_text(root);
    ENSURE(tls_authorities_new(slice_of_string(text), &authorities, NULL) == 0);
    mem_free(text);
    return authorities;
}

static inline void test_certificates_init(struct test_certificates *all)
{
    const struct certificate_wish root = {.common_name = "Test root", .is_authority = true};
    const struct certificate_wish other = {.common_name = "Other root", .is_authority = true};
    const struct certificate_wish good = {.common_name = "imap.example.org",
                                          .names = "DNS:imap.example.org,DNS:smtp.example.org,"
                                                   "IP:127.0.0.1"};
    all->root = certificate_new(&root, NULL);
    all->other_root = certificate_new(&other, NULL);
    all->good = certificate_new(&good, all->root);
    all->authorities = authorities_of(all->root);
}

static inline void test_certificates_fini(struct test_certificates *all)
{
    certificate_free(all->root);
    certificate_free(all->other_root);
    certificate_free(all->good);
    tls_authorities_free(all->authorities);
}

#endif
