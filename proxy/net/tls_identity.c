/*
 * A certificate chain and its key in a context for servers, whose settings are never changed.
 *
 * Happy path: the first certificate is ours, the rest goes along with it, the key fits.
 * Failures (ERR_SYNTAX): no certificate or key, or one that cannot be read; a key of another
 * certificate; one that the security level does not allow.
 */
#include "net/tls_identity.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include "net/tls_bio.h"
#include "net/tls_context.h"
#include "net/tls_pem.h"
#include "net/tls_server.h"

static int refuse(struct err *err, const char *otherwise)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return err_set(err, ERR_SYNTAX, "the certificate cannot be used: %s",
                   text != NULL ? text : otherwise);
}

static int use_chain(SSL_CTX *context, STACK_OF(X509) * certificates, struct err *err)
{
    ERR_clear_error();
    if (SSL_CTX_use_certificate(context, sk_X509_value(certificates, 0)) != 1)
        return refuse(err, "not accepted");
    for (int i = 1; i < sk_X509_num(certificates); i++) {
        if (SSL_CTX_add1_chain_cert(context, sk_X509_value(certificates, i)) != 1)
            return refuse(err, "its chain is not accepted");
    }
    return 0;
}

static int use_key(SSL_CTX *context, X509 *certificate, EVP_PKEY *key, struct err *err)
{
    ERR_clear_error();
    if (X509_check_private_key(certificate, key) != 1) {
        ERR_clear_error();
        return err_set(err, ERR_SYNTAX, "the private key is not that of the certificate");
    }
    if (SSL_CTX_use_PrivateKey(context, key) != 1)
        return refuse(err, "its key is not accepted");
    return 0;
}

static int use(SSL_CTX *context, const struct tls_identity_settings *settings, struct err *err)
{
    STACK_OF(X509) * certificates;
    EVP_PKEY *key = NULL;
    int status = tls_pem_certificates(settings->certificate, &certificates, err);
    if (status != 0)
        return status;
    status = tls_pem_key(settings->key, &key, err);
    if (status == 0)
        status = use_chain(context, certificates, err);
    if (status == 0)
        status = use_key(context, sk_X509_value(certificates, 0), key, err);
    EVP_PKEY_free(key);
    sk_X509_pop_free(certificates, X509_free);
    return status;
}

static SSL_CTX *new_context(unsigned minimum)
{
    static const int versions[] = {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION};
    ENSURE(minimum < LENGTH_OF(versions));
    SSL_CTX *context = tls_context_new(TLS_server_method(), versions[minimum]);
    /* Before 1.2, TLS signs with MD5 and SHA-1, which no higher level has. */
    if (minimum < 2) {
        SSL_CTX_set_security_level(context, 0);
        ENSURE(SSL_CTX_set_cipher_list(context, "DEFAULT:@SECLEVEL=0") == 1);
    }
    SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    /* Clients keep their own tickets, one each; here nothing is kept. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    ENSURE(SSL_CTX_set_num_tickets(context, 1) == 1);
    ENSURE(SSL_CTX_set_max_early_data(context, 0) == 1);
    return context;
}

int tls_identity_new(const struct tls_identity_settings *settings,
                     struct tls_identity **identity_out, struct err *err)
{
    *identity_out = NULL;
    SSL_CTX *context = new_context(settings->minimum);
    int status = use(context, settings, err);
    if (status != 0) {
        SSL_CTX_free(context);
        return status;
    }
    struct tls_identity *identity = mem_new(sizeof(*identity));
    identity->references = 1;
    identity->context = context;
    identity->method = tls_bio_method_new();
    if (settings->alpn != NULL)
        identity->alpn = mem_copy_string(settings->alpn);
    SSL_CTX_set_alpn_select_cb(context, tls_server_select_alpn, identity);
    *identity_out = identity;
    return 0;
}

void tls_identity_free(struct tls_identity *identity)
{
    if (identity == NULL || --identity->references > 0)
        return;
    SSL_CTX_free(identity->context);
    BIO_meth_free(identity->method);
    mem_free(identity->alpn);
    mem_free(identity);
}
