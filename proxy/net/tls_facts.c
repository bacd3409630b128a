/*
 * Happy path: what the certificate says is found with it, or worked out and put there; OpenSSL is
 * asked for the rest.
 * Failure: a name or time that cannot be written out is left empty; there is always a certificate.
 */
#include "net/tls_facts.h"

#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/hex.h"
#include "net/tls_authorities.h"
#include "net/tls_connection.h"

#define HASH_CAPACITY   (2 * SHA256_DIGEST_LENGTH + 1)
#define ISSUER_CAPACITY 256
#define TIME_CAPACITY   sizeof("2027-01-31T23:59:59Z")

/* What a certificate says. */
struct certificate_facts {
    char certificate[HASH_CAPACITY];
    char key[HASH_CAPACITY];
    char not_after[TIME_CAPACITY];
    char issuer[]; /* no longer than it is */
};

static void write_hash(const uint8_t hash[SHA256_DIGEST_LENGTH], char out[HASH_CAPACITY])
{
    hex_write(slice_of(hash, SHA256_DIGEST_LENGTH), out);
    out[HASH_CAPACITY - 1] = '\0';
}

static void hash_certificate(X509 *certificate, char out[HASH_CAPACITY])
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    ENSURE(X509_digest(certificate, EVP_sha256(), hash, NULL) == 1);
    write_hash(hash, out);
}

static void hash_key(X509 *certificate, char out[HASH_CAPACITY])
{
    uint8_t hash[SHA256_DIGEST_LENGTH], *bytes = NULL;
    int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &bytes);
    ENSURE(size > 0);
    SHA256(bytes, (size_t)size, hash);
    OPENSSL_free(bytes);
    write_hash(hash, out);
}

static void write_issuer(X509 *certificate, char out[ISSUER_CAPACITY])
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    ENSURE(bio != NULL);
    X509_NAME_print_ex(bio, X509_get_issuer_name(certificate), 0, XN_FLAG_RFC2253);
    long size = BIO_get_mem_data(bio, &text);
    snprintf(out, ISSUER_CAPACITY, "%.*s", size > 0 ? (int)size : 0, text);
    BIO_free(bio);
}

static void write_not_after(X509 *certificate, char out[TIME_CAPACITY])
{
    struct tm end;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1 ||
        strftime(out, TIME_CAPACITY, "%Y-%m-%dT%H:%M:%SZ", &end) == 0)
        *out = '\0';
}

static struct certificate_facts *read_certificate(X509 *certificate)
{
    char issuer[ISSUER_CAPACITY];
    write_issuer(certificate, issuer);
    size_t size = strlen(issuer) + 1;
    struct certificate_facts *facts = mem_new(sizeof(*facts) + size);
    memcpy(facts->issuer, issuer, size);
    hash_certificate(certificate, facts->certificate);
    hash_key(certificate, facts->key);
    write_not_after(certificate, facts->not_after);
    return facts;
}

static const struct certificate_facts *certificate_facts(X509 *certificate, int index)
{
    struct certificate_facts *facts = X509_get_ex_data(certificate, index);
    if (facts != NULL)
        return facts;
    facts = read_certificate(certificate);
    ENSURE(X509_set_ex_data(certificate, index, facts) == 1);
    return facts;
}

/* With the certificate. */
static void on_free(void *certificate, void *facts, CRYPTO_EX_DATA *data, int index, long number,
                    void *pointer)
{
    (void)certificate;
    (void)data;
    (void)index;
    (void)number;
    (void)pointer;
    mem_free(facts);
}

/* A copy of the certificate has none: they are the first one's to free. */
static int on_copy(CRYPTO_EX_DATA *to, const CRYPTO_EX_DATA *from, void **facts, int index,
                   long number, void *pointer)
{
    (void)to;
    (void)from;
    (void)index;
    (void)number;
    (void)pointer;
    *facts = NULL;
    return 1;
}

int tls_facts_index_new(void)
{
    int index = X509_get_ex_new_index(0, NULL, NULL, on_copy, on_free);
    ENSURE(index >= 0);
    return index;
}

void tls_facts(const struct tls *tls, struct tls_facts *facts_out)
{
    X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    const char *version = SSL_get_version(tls->ssl);
    const struct tls_authorities *authorities = SSL_CTX_get_app_data(SSL_get_SSL_CTX(tls->ssl));
    ENSURE(certificate != NULL && authorities != NULL);
    const struct certificate_facts *facts =
        certificate_facts(certificate, authorities->facts_index);
    *facts_out = (struct tls_facts){
        .version = strncmp(version, "TLSv", 4) == 0 ? version + 4 : version,
        .cipher = SSL_get_cipher_name(tls->ssl),
        .is_resumed = tls_is_resumed(tls),
        .certificate = facts->certificate,
        .key = facts->key,
        .issuer = facts->issuer,
        .not_after = facts->not_after,
    };
}
