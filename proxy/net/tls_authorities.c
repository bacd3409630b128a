/*
 * The trusted certificates and the settings that every connection has in common.
 *
 * Happy path: each certificate of the bundle goes into the store of one SSL_CTX, whose settings
 * are never changed afterwards.
 * Failures: no certificate in the bundle, or one that cannot be read (ERR_SYNTAX).
 */
#include "net/tls_authorities.h"

#include <openssl/sha.h>

#include "net/tls_bio.h"
#include "net/tls_context.h"
#include "net/tls_pem.h"
#include "net/tls_sessions.h"

static SSL_CTX *new_context(void)
{
    SSL_CTX *context = tls_context_new(TLS_client_method(), TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, tls_sessions_on_new);
    return context;
}

int tls_authorities_new(struct slice bundle, struct tls_authorities **authorities_out,
                        struct err *err)
{
    STACK_OF(X509) * certificates;
    *authorities_out = NULL;
    int status = tls_pem_certificates(bundle, &certificates, err);
    if (status != 0)
        return status;
    SSL_CTX *context = new_context();
    for (int i = 0; i < sk_X509_num(certificates); i++)
        ENSURE(X509_STORE_add_cert(SSL_CTX_get_cert_store(context),
                                   sk_X509_value(certificates, i)) == 1);
    sk_X509_pop_free(certificates, X509_free);
    struct tls_authorities *authorities = mem_new(sizeof(*authorities));
    authorities->references = 1;
    authorities->context = context;
    ENSURE(SSL_CTX_set_app_data(context, authorities) == 1);
    authorities->method = tls_bio_method_new();
    authorities->facts_index = tls_facts_index_new();
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
