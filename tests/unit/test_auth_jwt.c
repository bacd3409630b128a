/*
 * What is signed is taken apart and verified with the public key, by OpenSSL; the keys are made
 * here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "auth/jwt.h"

#define PASSPHRASE "correct horse"

static struct {
    EVP_PKEY *rsa, *other, *small, *curve;
} keys;

static int make_keys(void **state)
{
    (void)state;
    keys.rsa = EVP_RSA_gen(2048);
    keys.other = EVP_RSA_gen(2048);
    keys.small = EVP_RSA_gen(1024);
    keys.curve = EVP_EC_gen("P-256");
    return keys.rsa && keys.other && keys.small && keys.curve ? 0 : 1;
}

static int free_keys(void **state)
{
    (void)state;
    EVP_PKEY_free(keys.rsa);
    EVP_PKEY_free(keys.other);
    EVP_PKEY_free(keys.small);
    EVP_PKEY_free(keys.curve);
    return 0;
}

/* ---- texts ---- */

static char *text_of(BIO *bio)
{
    char *memory;
    long size = BIO_get_mem_data(bio, &memory);
    char *text = mem_copy_bytes_as_string(memory, (size_t)size);
    BIO_free(bio);
    return text;
}

/* PKCS#8; encrypted with `passphrase` unless that is NULL. */
static char *pem_of(EVP_PKEY *key, const char *passphrase)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(
                         bio, key, passphrase == NULL ? NULL : EVP_aes_256_cbc(), NULL, 0, NULL,
                         passphrase == NULL ? NULL : (void *)(uintptr_t)passphrase),
                     1);
    return text_of(bio);
}

/* PKCS#1: "BEGIN RSA PRIVATE KEY". */
static char *traditional_pem_of(EVP_PKEY *key, const char *passphrase)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey_traditional(
                         bio, key, passphrase == NULL ? NULL : EVP_aes_256_cbc(), NULL, 0, NULL,
                         passphrase == NULL ? NULL : (void *)(uintptr_t)passphrase),
                     1);
    return text_of(bio);
}

static X509 *certificate_of(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    return certificate;
}

static char *certificate_text(EVP_PKEY *key)
{
    X509 *certificate = certificate_of(key);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(bio, certificate), 1);
    X509_free(certificate);
    return text_of(bio);
}

static char *service_account_json(const char *pem)
{
    json_t *root = json_pack("{s:s, s:s, s:s, s:s}", "type", "service_account", "private_key_id",
                             "key-1", "private_key", pem, "client_email", "robot@example.test");
    char *text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    return text;
}

static int read_key(const char *text, const char *passphrase, struct jwt_key **key_out,
                    struct err *err)
{
    struct secret secret = {0};
    if (passphrase != NULL)
        secret_set(&secret, slice_of_string(passphrase));
    int status = jwt_key_read(slice_of_string(text), &secret, key_out, err);
    secret_wipe(&secret);
    return status;
}

static struct jwt_key *read_good(char *text, const char *passphrase)
{
    struct jwt_key *key;
    struct err err;
    assert_int_equal(read_key(text, passphrase, &key, &err), 0);
    mem_free(text);
    return key;
}

/* ---- tokens ---- */

struct parts {
    json_t *header, *claims;
    struct slice signed_bytes;
    unsigned char signature[1024];
    size_t signature_size;
};

static size_t decode(struct slice text, unsigned char *out)
{
    char padded[8192];
    assert_true(text.size + 4 < sizeof(padded));
    size_t size = text.size;
    for (size_t i = 0; i < size; i++) {
        char byte = (char)text.data[i];
        assert_null(strchr("+/=", byte));
        padded[i] = byte == '-' ? '+' : byte == '_' ? '/' : byte;
    }
    while (size % 4 != 0)
        padded[size++] = '=';
    int decoded = EVP_DecodeBlock(out, (unsigned char *)padded, (int)size);
    assert_true(decoded >= 0);
    return (size_t)decoded - (size - text.size);
}

static json_t *decode_json(struct slice text)
{
    unsigned char bytes[8192];
    size_t size = decode(text, bytes);
    json_t *json = json_loadb((char *)bytes, size, JSON_REJECT_DUPLICATES, NULL);
    assert_true(json_is_object(json));
    return json;
}

static void take_apart(const struct secret *jwt, struct parts *parts_out)
{
    struct slice rest = secret_bytes(jwt), word;
    assert_true(slice_next_word(&rest, '.', &word));
    parts_out->header = decode_json(word);
    assert_true(slice_next_word(&rest, '.', &word));
    parts_out->claims = decode_json(word);
    parts_out->signed_bytes = slice_take(secret_bytes(jwt), jwt->size - rest.size - 1);
    parts_out->signature_size = decode(rest, parts_out->signature);
}

static void parts_free(struct parts *parts)
{
    json_decref(parts->header);
    json_decref(parts->claims);
}

/* With the parameters that RFC 7518 sections 3.3 and 3.5 set, and no others. */
static bool verifies(const struct parts *parts, EVP_PKEY *key, bool is_pss)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options;
    assert_int_equal(EVP_DigestVerifyInit(context, &options, EVP_sha256(), NULL, key), 1);
    if (is_pss) {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(options, EVP_sha256()), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(options, 32), 1);
    }
    int verdict = EVP_DigestVerify(context, parts->signature, parts->signature_size,
                                   parts->signed_bytes.data, parts->signed_bytes.size);
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return verdict == 1;
}

static const char *text_in(const json_t *root, const char *name)
{
    return json_string_value(json_object_get(root, name));
}

static void assert_claims(const json_t *claims)
{
    assert_string_equal(text_in(claims, "iss"), "me \"quoted\" \303\251");
    assert_string_equal(text_in(claims, "sub"), "alice@example.test");
    assert_string_equal(text_in(claims, "aud"), "https://id.example.test/token");
    assert_string_equal(text_in(claims, "jti"), "random");
    assert_null(json_object_get(claims, "scope"));
    assert_int_equal(json_integer_value(json_object_get(claims, "iat")), 1700000000);
    assert_int_equal(json_integer_value(json_object_get(claims, "nbf")), 1700000000);
    assert_int_equal(json_integer_value(json_object_get(claims, "exp")), 1700000300);
    assert_int_equal(json_object_size(claims), 7);
}

static const struct jwt_claims some_claims = {
    .issuer = "me \"quoted\" \303\251",
    .subject = "alice@example.test",
    .audience = "https://id.example.test/token",
    .identifier = "random",
    .issued_at = 1700000000,
    .expires = 1700000300,
};

static void both_algorithms_verify(void **state)
{
    static const char *const names[] = {[JWT_RS256] = "RS256", [JWT_PS256] = "PS256"};
    struct jwt_key *key = read_good(pem_of(keys.rsa, NULL), NULL);
    (void)state;
    for (enum jwt_algorithm algorithm = JWT_RS256; algorithm <= JWT_PS256; algorithm++) {
        struct secret jwt = {0};
        struct parts parts;
        struct err err;
        assert_int_equal(jwt_sign(key, algorithm, NULL, &some_claims, &jwt, &err), 0);
        take_apart(&jwt, &parts);
        assert_string_equal(text_in(parts.header, "alg"), names[algorithm]);
        assert_string_equal(text_in(parts.header, "typ"), "JWT");
        assert_int_equal(json_object_size(parts.header), 2);
        assert_claims(parts.claims);
        assert_int_equal(parts.signature_size, 256);
        assert_int_equal(verifies(&parts, keys.rsa, false), algorithm == JWT_RS256);
        assert_int_equal(verifies(&parts, keys.rsa, true), algorithm == JWT_PS256);
        assert_false(verifies(&parts, keys.other, algorithm == JWT_PS256));
        parts_free(&parts);
        secret_wipe(&jwt);
    }
    jwt_key_free(key);
}

static void the_certificate_is_named(void **state)
{
    struct jwt_key *key = read_good(pem_of(keys.rsa, NULL), NULL);
    char thumbprint[JWT_THUMBPRINT_SIZE];
    unsigned char digest[32], decoded[64];
    unsigned size;
    struct secret jwt = {0};
    struct parts parts;
    struct err err;
    (void)state;
    char *text = certificate_text(keys.rsa);
    assert_int_equal(jwt_certificate_thumbprint(slice_of_string(text), key, thumbprint, &err), 0);
    assert_int_equal(jwt_sign(key, JWT_PS256, thumbprint, &some_claims, &jwt, &err), 0);
    take_apart(&jwt, &parts);
    /* Of the DER, by another way: the PEM read again. */
    BIO *bio = BIO_new_mem_buf(text, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_int_equal(X509_digest(certificate, EVP_sha256(), digest, &size), 1);
    assert_int_equal(decode(slice_of_string(text_in(parts.header, "x5t#S256")), decoded), 32);
    assert_memory_equal(decoded, digest, 32);
    X509_free(certificate);
    BIO_free(bio);
    parts_free(&parts);
    secret_wipe(&jwt);
    mem_free(text);
    jwt_key_free(key);
}

static void certificates_that_do_not_fit(void **state)
{
    struct jwt_key *key = read_good(pem_of(keys.rsa, NULL), NULL);
    char thumbprint[JWT_THUMBPRINT_SIZE];
    struct err err;
    (void)state;
    char *other = certificate_text(keys.other);
    const struct {
        const char *text, *problem;
    } cases[] = {
        {other, "the certificate is not that of the key"},
        {"", "there is no certificate in it"},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
         "there is no certificate in it"},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        assert_int_equal(
            jwt_certificate_thumbprint(slice_of_string(cases[i].text), key, thumbprint, &err),
            ERR_SYNTAX);
        assert_string_equal(err.text, cases[i].problem);
    }
    mem_free(other);
    jwt_key_free(key);
}

static void forms_of_keys(void **state)
{
    (void)state;
    struct jwt_key *read[] = {
        read_good(traditional_pem_of(keys.rsa, NULL), NULL),
        read_good(pem_of(keys.rsa, PASSPHRASE), PASSPHRASE),
        read_good(traditional_pem_of(keys.rsa, PASSPHRASE), PASSPHRASE),
        read_good(pem_of(keys.rsa, NULL), "not needed"),
    };
    for (size_t i = 0; i < LENGTH_OF(read); i++) {
        struct secret jwt = {0};
        struct parts parts;
        struct err err;
        assert_string_equal(jwt_key_account(read[i]), "");
        assert_int_equal(jwt_sign(read[i], JWT_RS256, NULL, &some_claims, &jwt, &err), 0);
        take_apart(&jwt, &parts);
        assert_true(verifies(&parts, keys.rsa, false));
        parts_free(&parts);
        secret_wipe(&jwt);
        jwt_key_free(read[i]);
    }
}

static void service_account_file(void **state)
{
    (void)state;
    char *pem = pem_of(keys.rsa, NULL);
    struct jwt_key *key = read_good(service_account_json(pem), NULL);
    struct secret jwt = {0};
    struct parts parts;
    struct err err;
    struct jwt_claims claims = some_claims;
    assert_string_equal(jwt_key_account(key), "robot@example.test");
    claims.scope = "https://mail.google.com/";
    claims.identifier = NULL;
    assert_int_equal(jwt_sign(key, JWT_RS256, NULL, &claims, &jwt, &err), 0);
    take_apart(&jwt, &parts);
    assert_string_equal(text_in(parts.header, "kid"), "key-1");
    assert_string_equal(text_in(parts.claims, "scope"), "https://mail.google.com/");
    assert_null(json_object_get(parts.claims, "jti"));
    assert_true(verifies(&parts, keys.rsa, false));
    parts_free(&parts);
    secret_wipe(&jwt);
    jwt_key_free(key);
    mem_free(pem);
}

static void files_that_hold_no_key(void **state)
{
    (void)state;
    char *small = pem_of(keys.small, NULL), *curve = pem_of(keys.curve, NULL);
    char *encrypted = pem_of(keys.rsa, PASSPHRASE), *in_json = service_account_json(encrypted);
    const struct {
        const char *text, *passphrase;
        int status;
        const char *problem;
    } cases[] = {
        {"", NULL, ERR_SYNTAX, "there is no private key in it"},
        {"rubbish", NULL, ERR_SYNTAX, "there is no private key in it"},
        {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", NULL, ERR_SYNTAX,
         "there is no private key in it"},
        {small, NULL, ERR_SYNTAX, "the key has 1024 bits; it must have 2048 to 8192"},
        {curve, NULL, ERR_SYNTAX, "the key is not an RSA key"},
        {encrypted, NULL, ERR_DENIED, "the key is encrypted and there is no passphrase"},
        {encrypted, "wrong horse", ERR_DENIED, "the passphrase of the key is wrong"},
        {in_json, PASSPHRASE, ERR_DENIED, "the key is encrypted and there is no passphrase"},
        {"{", NULL, ERR_SYNTAX, "it is not the JSON of a service account"},
        {"{\"private_key\": 1, \"client_email\": \"x\"}", NULL, ERR_SYNTAX,
         "it is not the JSON of a service account"},
        {"{\"private_key\": \"x\"}", NULL, ERR_SYNTAX, "it is not the JSON of a service account"},
        {"{\"private_key\": \"x\", \"client_email\": \"e\"}", NULL, ERR_SYNTAX,
         "there is no private key in it"},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct jwt_key *key;
        struct err err;
        assert_int_equal(read_key(cases[i].text, cases[i].passphrase, &key, &err), cases[i].status);
        assert_null(key);
        if (strncmp(err.text, cases[i].problem, strlen(cases[i].problem)) != 0)
            fail_msg("%zu: %s", i, err.text);
    }
    mem_free(small);
    mem_free(curve);
    mem_free(encrypted);
    free(in_json);
}

static void claims_have_limits(void **state)
{
    static char large[20000];
    struct jwt_key *key = read_good(pem_of(keys.rsa, NULL), NULL);
    struct jwt_claims claims = some_claims;
    struct secret jwt = {0};
    struct err err;
    (void)state;
    claims.issuer = "\377";
    assert_int_equal(jwt_sign(key, JWT_RS256, NULL, &claims, &jwt, &err), ERR_SYNTAX);
    assert_string_equal(err.text, "a claim of the assertion is not UTF-8");
    memset(large, 'x', sizeof(large) - 1);
    claims.issuer = large;
    assert_int_equal(jwt_sign(key, JWT_RS256, NULL, &claims, &jwt, &err), ERR_FULL);
    assert_false(secret_is_set(&jwt));
    jwt_key_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_algorithms_verify),       cmocka_unit_test(the_certificate_is_named),
        cmocka_unit_test(certificates_that_do_not_fit), cmocka_unit_test(forms_of_keys),
        cmocka_unit_test(service_account_file),         cmocka_unit_test(files_that_hold_no_key),
        cmocka_unit_test(claims_have_limits),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
