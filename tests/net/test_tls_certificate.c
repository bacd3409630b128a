/* Keys and certificates of our own making, as OpenSSL reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "net/tls_certificate.h"
#include "net/tls_identity.h"

#define HOUR 3600

static X509 *parse(const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_non_null(x509);
    assert_null(PEM_read_bio_X509(bio, NULL, NULL, NULL));
    BIO_free(bio);
    return x509;
}

static X509 *make(int64_t now, struct secret *key, char **text_out)
{
    struct err err;
    tls_key_make(key);
    assert_int_equal(tls_certificate_make(secret_bytes(key), now, text_out, &err), 0);
    return parse(*text_out);
}

static void test_what_it_is_for(void **state)
{
    (void)state;
    struct secret key = {0};
    char *text;
    X509 *x509 = make(time(NULL), &key, &text);
    assert_int_equal(X509_get_version(x509), X509_VERSION_3);
    assert_int_equal(X509_check_host(x509, "localhost", 0, 0, NULL), 1);
    assert_int_equal(X509_check_ip_asc(x509, "127.0.0.1", 0), 1);
    assert_int_equal(X509_check_ip_asc(x509, "::1", 0), 1);
    assert_int_equal(X509_check_host(x509, "example.org", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ip_asc(x509, "127.0.0.2", 0), 0);
    assert_int_equal(X509_check_ca(x509), 0);
    assert_int_equal(X509_get_key_usage(x509), X509v3_KU_DIGITAL_SIGNATURE);
    assert_int_equal(X509_get_extended_key_usage(x509), XKU_SSL_SERVER);
    const int critical[] = {NID_basic_constraints, NID_key_usage};
    for (size_t i = 0; i < LENGTH_OF(critical); i++) {
        int index = X509_get_ext_by_NID(x509, critical[i], -1);
        assert_true(index >= 0);
        assert_int_equal(X509_EXTENSION_get_critical(X509_get_ext(x509, index)), 1);
    }
    X509_free(x509);
    mem_free(text);
    secret_wipe(&key);
}

static void test_key(void **state)
{
    (void)state;
    struct secret key = {0};
    char *text, group[32];
    X509 *x509 = make(time(NULL), &key, &text);
    EVP_PKEY *public = X509_get0_pubkey(x509);
    assert_int_equal(EVP_PKEY_get_group_name(public, group, sizeof(group), NULL), 1);
    assert_string_equal(group, "prime256v1");
    assert_int_equal(X509_verify(x509, public), 1);
    assert_true(slice_starts_with(secret_bytes(&key), "-----BEGIN PRIVATE KEY-----\n"));
    struct tls_identity *identity;
    const struct tls_identity_settings settings = {
        .certificate = slice_of_string(text), .key = secret_bytes(&key), .minimum = 3};
    assert_int_equal(tls_identity_new(&settings, &identity, NULL), 0);
    tls_identity_free(identity);
    X509_free(x509);
    mem_free(text);
    secret_wipe(&key);
}

/* The same key again, and nothing else the same. */
static void test_renewal(void **state)
{
    (void)state;
    struct secret key = {0};
    char *first_text, *second_text;
    X509 *first = make(time(NULL), &key, &first_text);
    assert_int_equal(tls_certificate_make(secret_bytes(&key), time(NULL), &second_text, NULL), 0);
    X509 *second = parse(second_text);
    assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(first), X509_get0_pubkey(second)), 1);
    const ASN1_INTEGER *serials[] = {X509_get0_serialNumber(first), X509_get0_serialNumber(second)};
    assert_int_not_equal(ASN1_INTEGER_cmp(serials[0], serials[1]), 0);
    for (size_t i = 0; i < LENGTH_OF(serials); i++) {
        BIGNUM *number = ASN1_INTEGER_to_BN(serials[i], NULL);
        assert_false(BN_is_negative(number));
        assert_int_equal(BN_num_bits(number), 127);
        BN_free(number);
    }
    X509_free(first);
    X509_free(second);
    mem_free(first_text);
    mem_free(second_text);
    secret_wipe(&key);
}

static void test_validity(void **state)
{
    (void)state;
    /* Around the turn from UTCTime to GeneralizedTime, and where 32 bits end. */
    const int64_t nows[] = {1700000000, 2147483647, 2147483648, 2524608000 - HOUR, 4102444800};
    for (size_t i = 0; i < LENGTH_OF(nows); i++) {
        struct secret key = {0};
        struct tls_certificate certificate;
        char *text;
        X509 *x509 = make(nows[i], &key, &text);
        assert_int_equal(tls_certificate_read(slice_of_string(text), &certificate, NULL), 0);
        assert_int_equal(certificate.not_before, nows[i] - HOUR);
        assert_int_equal(certificate.not_after, nows[i] - HOUR + 730ll * 24 * HOUR);
        time_t moment = (time_t)certificate.not_after;
        assert_int_equal(X509_cmp_time(X509_get0_notAfter(x509), &moment), -1); /* not later */
        moment--;
        assert_int_equal(X509_cmp_time(X509_get0_notAfter(x509), &moment), 1);
        X509_free(x509);
        mem_free(text);
        secret_wipe(&key);
    }
}

static void test_fingerprint(void **state)
{
    (void)state;
    struct secret key = {0};
    struct tls_certificate certificate;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size;
    char *text, shown[TLS_FINGERPRINT_TEXT];
    X509 *x509 = make(time(NULL), &key, &text);
    assert_int_equal(tls_certificate_read(slice_of_string(text), &certificate, NULL), 0);
    assert_int_equal(X509_digest(x509, EVP_sha256(), digest, &size), 1);
    assert_memory_equal(certificate.fingerprint, digest, size);
    tls_fingerprint_text((const uint8_t[TLS_FINGERPRINT_SIZE]){0xab, 0, 0x0f, [31] = 0xff}, shown);
    assert_string_equal(shown, "AB:00:0F:00:00:00:00:00:00:00:00:00:00:00:00:00:"
                               "00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:FF");
    X509_free(x509);
    mem_free(text);
    secret_wipe(&key);
}

static char *other_key(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes;
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    long size = BIO_get_mem_data(bio, &bytes);
    char *text = mem_copy_bytes_as_string(bytes, (size_t)size);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return text;
}

static void check_key(char *key, int status, const char *why)
{
    struct err err = {0};
    char *text;
    assert_int_equal(tls_certificate_make(slice_of_string(key), time(NULL), &text, &err), status);
    if (status == 0) {
        X509 *x509 = parse(text);
        assert_int_equal(X509_verify(x509, X509_get0_pubkey(x509)), 1);
        X509_free(x509);
    } else {
        assert_null(text);
        assert_string_equal(err.text, why);
    }
    mem_free(text);
    mem_free(key);
}

static void test_other_keys(void **state)
{
    (void)state;
    check_key(other_key(EVP_RSA_gen(2048)), 0, NULL);
    check_key(other_key(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")), 0, NULL);
    check_key(other_key(EVP_PKEY_Q_keygen(NULL, NULL, "X25519")), ERR_SYNTAX,
              "the private key is of a kind that does not sign");
    check_key(mem_copy_string(""), ERR_SYNTAX, "no private key in it");
    check_key(mem_copy_string("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
              ERR_SYNTAX, "the private key cannot be read");
}

static void test_no_certificate(void **state)
{
    (void)state;
    struct tls_certificate certificate;
    struct err err;
    assert_int_equal(tls_certificate_read(SLICE_LITERAL("x"), &certificate, &err), ERR_SYNTAX);
    assert_string_equal(err.text, "no certificate in it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_it_is_for), cmocka_unit_test(test_key),
        cmocka_unit_test(test_renewal),        cmocka_unit_test(test_validity),
        cmocka_unit_test(test_fingerprint),    cmocka_unit_test(test_other_keys),
        cmocka_unit_test(test_no_certificate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
