/*
 * Happy path: what is there is read until the text is over.
 * Failures: nothing of the kind in it, something that cannot be read, a key under a passphrase.
 */
#include "net/tls_pem.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

static BIO *open_text(struct slice text)
{
    BIO *bio = BIO_new_mem_buf(text.size > 0 ? text.data : (const uint8_t *)"", (int)text.size);
    ENSURE(bio != NULL);
    return bio;
}

/* OpenSSL takes in a certificate whose key or extensions it could not read, without a word, and
 * does not look at them again. */
static bool is_whole(X509 *certificate)
{
    return X509_get0_pubkey(certificate) != NULL && X509_check_purpose(certificate, -1, 0) == 1;
}

/* NULL: there is no further one. If it is memory that was short, it is there the second time; what
 * is odd in itself stays so, and vouches for nobody. */
static X509 *read_certificate(BIO *bio)
{
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    if (certificate == NULL || is_whole(certificate))
        return certificate;
    X509 *again = X509_dup(certificate);
    ENSURE(again != NULL);
    X509_free(certificate);
    (void)is_whole(again);
    return again;
}

static int read_certificates(BIO *bio, STACK_OF(X509) * certificates, struct err *err)
{
    X509 *certificate;
    do {
        ERR_clear_error();
        certificate = read_certificate(bio);
        if (certificate != NULL)
            ENSURE(sk_X509_push(certificates, certificate) > 0);
    } while (certificate != NULL);
    unsigned long problem = ERR_peek_last_error();
    bool was_at_end =
        ERR_GET_LIB(problem) == ERR_LIB_PEM && ERR_GET_REASON(problem) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    int count = sk_X509_num(certificates);
    if (!was_at_end)
        return err_set(err, ERR_SYNTAX, "certificate %d cannot be read", count + 1);
    if (count == 0)
        return err_set(err, ERR_SYNTAX, "no certificate in it");
    return 0;
}

int tls_pem_certificates(struct slice text, STACK_OF(X509) * *certificates_out, struct err *err)
{
    *certificates_out = NULL;
    if (text.size > INT_MAX)
        return err_set(err, ERR_SYNTAX, "no certificate in it");
    STACK_OF(X509) *certificates = sk_X509_new_null();
    ENSURE(certificates != NULL);
    BIO *bio = open_text(text);
    int status = read_certificates(bio, certificates, err);
    BIO_free(bio);
    if (status == 0)
        *certificates_out = certificates;
    else
        sk_X509_pop_free(certificates, X509_free);
    return status;
}

/* Without it OpenSSL would ask on the terminal. */
static int refuse_passphrase(char *out, int capacity, int is_written, void *was_asked)
{
    (void)out;
    (void)capacity;
    (void)is_written;
    *(bool *)was_asked = true;
    return -1;
}

/* OpenSSL's errors do not tell the two apart. */
static bool has_key(struct slice text)
{
    static const char mark[] = "PRIVATE KEY-----";
    return memmem(text.data, text.size, mark, sizeof(mark) - 1) != NULL;
}

int tls_pem_key(struct slice text, EVP_PKEY **key_out, struct err *err)
{
    bool was_asked = false;
    *key_out = NULL;
    if (text.size > INT_MAX)
        return err_set(err, ERR_SYNTAX, "no private key in it");
    BIO *bio = open_text(text);
    ERR_clear_error();
    *key_out = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, &was_asked);
    ERR_clear_error();
    BIO_free(bio);
    if (*key_out != NULL)
        return 0;
    if (was_asked)
        return err_set(err, ERR_SYNTAX, "the private key needs a passphrase");
    return err_set(err, ERR_SYNTAX,
                   has_key(text) ? "the private key cannot be read" : "no private key in it");
}
