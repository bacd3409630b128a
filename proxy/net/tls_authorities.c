/*
 * The trusted certificates and the settings that every connection has in common.
 *
 * Happy path: each certificate of the bundle goes into the store of one SSL_CTX, whose settings
 * are never changed afterwards.
 * Failures: no certificate in the bundle, or one that cannot be read (ERR_SYNTAX).
 */
#include "net/tls_authorities.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

#include "net/tls_bio.h"
#include "net/tls_sessions.h"

static int add_certificates(X509_STORE *store, BIO *text, struct err *err)
{
    int count = 0;
    for (;; count++) {
        ERR_clear_error();
        X509 *certificate = PEM_read_bio_X509(text, NULL, NULL, NULL);
        if (certificate == NULL)
            break;
        int added = X509_STORE_add_cert(store, certificate);
        X509_free(certificate);
        ENSURE(added == 1);
    }
    unsigned long problem = ERR_peek_last_error();
    bool at_end =
        ERR_GET_LIB(problem) == ERR_LIB_PEM && ERR_GET_REASON(problem) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    if (!at_end)
        return err_set(err, ERR_SYNTAX, "certificate %d cannot be read", count + 1);
    if (count == 0)
        return err_set(err, ERR_SYNTAX, "no certificate in it");
    return 0;
}

static SSL_CTX *new_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    ENSURE(context != NULL);
    ENSURE(SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1);
    ENSURE(SSL_CTX_set_max_proto_version(context, 0) == 1);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_clear_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF |
                                       SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION |
                                       SSL_OP_LEGACY_SERVER_CONNECT);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, tls_sessions_on_new);
    return context;
}

int tls_authorities_new(struct slice bundle, struct tls_authorities **authorities_out,
                        struct err *err)
{
    *authorities_out = NULL;
    if (bundle.size == 0 || bundle.size > INT_MAX)
        return err_set(err, ERR_SYNTAX, "no certificate in it");
    SSL_CTX *context = new_context();
    BIO *text = BIO_new_mem_buf(bundle.data, (int)bundle.size);
    ENSURE(text != NULL);
    int status = add_certificates(SSL_CTX_get_cert_store(context), text, err);
    BIO_free(text);
    if (status != 0) {
        SSL_CTX_free(context);
        return status;
    }
    struct tls_authorities *authorities = mem_new(sizeof(*authorities));
    authorities->references = 1;
    authorities->context = context;
    authorities->method = tls_bio_method_new();
    SHA256(bundle.data, bundle.size, authorities->fingerprint);
    *authorities_out = authorities;
    return 0;
}

struct tls_authorities *tls_authorities_hold(struct tls_authorities *authorities)
{
    authorities->references++;
    return authorities;
}

void tls_authorities_free(struct tls_authorities *authorities)
{
    if (authorities == NULL || --authorities->references > 0)
        return;
    SSL_CTX_free(authorities->context);
    BIO_meth_free(authorities->method);
    mem_free(authorities);
}
