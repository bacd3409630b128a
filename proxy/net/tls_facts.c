/*
 * Happy path: OpenSSL is asked for each of them.
 * Failure: a name or time that cannot be written out is left empty; there is always a certificate.
 */
#include "net/tls_facts.h"

#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/hex.h"
#include "net/tls_connection.h"

static void write_hash(const uint8_t hash[SHA256_DIGEST_LENGTH], char out[TLS_FACTS_HASH_SIZE])
{
    hex_write(slice_of(hash, SHA256_DIGEST_LENGTH), out);
    out[TLS_FACTS_HASH_SIZE - 1] = '\0';
}

static void hash_key(X509 *certificate, char out[TLS_FACTS_HASH_SIZE])
{
    uint8_t hash[SHA256_DIGEST_LENGTH], *bytes = NULL;
    int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &bytes);
    ENSURE(size > 0);
    SHA256(bytes, (size_t)size, hash);
    OPENSSL_free(bytes);
    write_hash(hash, out);
}

static void write_issuer(X509 *certificate, char *out, size_t capacity)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    ENSURE(bio != NULL);
    X509_NAME_print_ex(bio, X509_get_issuer_name(certificate), 0, XN_FLAG_RFC2253);
    long size = BIO_get_mem_data(bio, &text);
    snprintf(out, capacity, "%.*s", size > 0 ? (int)size : 0, text);
    BIO_free(bio);
}

static void write_not_after(X509 *certificate, char *out, size_t capacity)
{
    struct tm end;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1 ||
        strftime(out, capacity, "%Y-%m-%dT%H:%M:%SZ", &end) == 0)
        *out = '\0';
}

void tls_facts(const struct tls *tls, struct tls_facts *facts_out)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    const char *version = SSL_get_version(tls->ssl);
    ENSURE(certificate != NULL && X509_digest(certificate, EVP_sha256(), hash, NULL) == 1);
    *facts_out = (struct tls_facts){
        .version = strncmp(version, "TLSv", 4) == 0 ? version + 4 : version,
        .cipher = SSL_get_cipher_name(tls->ssl),
        .is_resumed = tls_is_resumed(tls),
    };
    write_hash(hash, facts_out->certificate);
    hash_key(certificate, facts_out->key);
    write_issuer(certificate, facts_out->issuer, sizeof(facts_out->issuer));
    write_not_after(certificate, facts_out->not_after, sizeof(facts_out->not_after));
}
