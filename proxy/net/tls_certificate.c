/*
 * X.509 by OpenSSL (RFC 5280).
 *
 * Happy path: a key, a certificate of version 3 around its public half, signed with itself.
 * Failures: a text that is no key or no certificate, a key that cannot sign (ERR_SYNTAX).
 */
#include "net/tls_certificate.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

#include "net/tls_pem.h"

#define HOUR        3600
#define VALIDITY    (2 * 365 * 24 * HOUR)
#define SERIAL_SIZE 16 /* RFC 5280 section 4.1.2.2 allows 20 */
#define PEM_MAX     (16l * 1024)

/* -- making -- */

void tls_key_make(struct secret *key_out)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *bio = BIO_new(BIO_s_secmem());
    char *text;
    ENSURE(key != NULL && bio != NULL);
    ENSURE(PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
    long size = BIO_get_mem_data(bio, &text);
    ENSURE(size > 0);
    secret_set(key_out, slice_of(text, (size_t)size));
    BIO_free(bio);
    EVP_PKEY_free(key);
}

static void set_serial(X509 *x509)
{
    uint8_t bytes[SERIAL_SIZE];
    ENSURE(RAND_bytes(bytes, sizeof(bytes)) == 1);
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, and of one length */
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    ENSURE(number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509)) != NULL);
    BN_free(number);
}

static void set_name(X509 *x509)
{
    static const char *const parts[][2] = {{"O", "ecluse"}, {"CN", "localhost"}};
    X509_NAME *name = X509_get_subject_name(x509);
    for (size_t i = 0; i < LENGTH_OF(parts); i++)
        ENSURE(X509_NAME_add_entry_by_txt(name, parts[i][0], MBSTRING_ASC,
                                          (const unsigned char *)parts[i][1], -1, -1, 0) == 1);
    ENSURE(X509_set_issuer_name(x509, name) == 1);
}

static void add_extensions(X509 *x509)
{
    static const struct {
        int kind;
        const char *value;
    } rows[] = {
        {NID_basic_constraints, "critical,CA:FALSE"},
        {NID_key_usage, "critical,digitalSignature"},
        {NID_ext_key_usage, "serverAuth"},
        {NID_subject_key_identifier, "hash"},
        {NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1"},
    };
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, x509, x509, NULL, NULL, 0);
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        X509_EXTENSION *extension =
            X509V3_EXT_conf_nid(NULL, &context, rows[i].kind, rows[i].value);
        ENSURE(extension != NULL && X509_add_ext(x509, extension, -1) == 1);
        X509_EXTENSION_free(extension);
    }
}

static void fill(X509 *x509, int64_t now)
{
    time_t starts = (time_t)(now - HOUR), ends = (time_t)(now - HOUR + VALIDITY);
    ENSURE(X509_set_version(x509, X509_VERSION_3) == 1);
    ENSURE(X509_time_adj_ex(X509_getm_notBefore(x509), 0, 0, &starts) != NULL);
    ENSURE(X509_time_adj_ex(X509_getm_notAfter(x509), 0, 0, &ends) != NULL);
    set_serial(x509);
    set_name(x509);
}

/* Ed25519 and its like sign without a digest of their own choice. */
static bool sign(X509 *x509, EVP_PKEY *key)
{
    char digest[16] = "";
    bool chooses = EVP_PKEY_get_default_digest_name(key, digest, sizeof(digest)) != 2;
    ERR_clear_error();
    bool is_signed = X509_sign(x509, key, chooses ? EVP_sha256() : NULL) > 0;
    ERR_clear_error();
    return is_signed;
}

static char *certificate_text(X509 *x509)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes;
    ENSURE(bio != NULL && PEM_write_bio_X509(bio, x509) == 1);
    long size = BIO_get_mem_data(bio, &bytes);
    ENSURE(size > 0 && size < PEM_MAX);
    char *text = mem_copy_bytes_as_string(bytes, (size_t)size);
    BIO_free(bio);
    return text;
}

int tls_certificate_make(struct slice key_text, int64_t now, char **text_out, struct err *err)
{
    EVP_PKEY *key;
    *text_out = NULL;
    int status = tls_pem_key(key_text, &key, err);
    if (status != 0)
        return status;
    X509 *x509 = X509_new();
    ENSURE(x509 != NULL);
    fill(x509, now);
    bool is_ours = X509_set_pubkey(x509, key) == 1;
    if (is_ours)
        add_extensions(x509);
    if (!is_ours || !sign(x509, key))
        status = err_set(err, ERR_SYNTAX, "the private key is of a kind that does not sign");
    else
        *text_out = certificate_text(x509);
    ERR_clear_error();
    X509_free(x509);
    EVP_PKEY_free(key);
    return status;
}

/* -- reading -- */

static int64_t seconds_of(const ASN1_TIME *time)
{
    int days = 0, seconds = 0;
    ASN1_TIME *start = ASN1_TIME_set(NULL, 0);
    ENSURE(start != NULL);
    if (ASN1_TIME_diff(&days, &seconds, start, time) != 1)
        days = seconds = 0;
    ASN1_TIME_free(start);
    return (int64_t)days * 24 * HOUR + seconds;
}

int tls_certificate_read(struct slice text, struct tls_certificate *certificate_out,
                         struct err *err)
{
    STACK_OF(X509) * all;
    int status = tls_pem_certificates(text, &all, err);
    if (status != 0)
        return status;
    const X509 *first = sk_X509_value(all, 0);
    unsigned size = 0;
    ENSURE(X509_digest(first, EVP_sha256(), certificate_out->fingerprint, &size) == 1);
    ENSURE(size == TLS_FINGERPRINT_SIZE);
    certificate_out->not_before = seconds_of(X509_get0_notBefore(first));
    certificate_out->not_after = seconds_of(X509_get0_notAfter(first));
    sk_X509_pop_free(all, X509_free);
    return 0;
}

void tls_fingerprint_text(const uint8_t fingerprint[TLS_FINGERPRINT_SIZE],
                          char out[TLS_FINGERPRINT_TEXT])
{
    for (size_t i = 0; i < TLS_FINGERPRINT_SIZE; i++)
        snprintf(out + 3 * i, TLS_FINGERPRINT_TEXT - 3 * i, "%02X:", (unsigned)fingerprint[i]);
}
