/* TLS as server: what clients it serves, with which certificates and keys; floods end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server_talk.h"

/* -- what works -- */

static void check_both_ways(const struct client_wish *wish, unsigned minimum, size_t piece,
                            size_t size, const char *version)
{
    struct talk talk;
    char described[80];
    talk_init(&talk, minimum, "imap", wish, piece);
    shake_hands(&talk);
    assert_string_equal(tls_why(talk.server), "");
    assert_int_equal(tls_state(talk.server), TLS_OPEN);
    tls_describe(talk.server, described, sizeof(described));
    assert_true(slice_starts_with(slice_of_string(described), version));
    uint8_t *bytes = pattern(size);
    server_writes(&talk, slice_of(bytes, size));
    server_write(talk.client, slice_of(bytes, size), &talk.to_server);
    exchange(&talk);
    assert_slice(buf_bytes(&talk.plain), slice_of(bytes, size));
    assert_slice(buf_bytes(&talk.client->plain), slice_of(bytes, size));
    server_end(talk.client, &talk.to_server);
    exchange(&talk);
    assert_int_equal(tls_state(talk.server), TLS_ENDED);
    tls_end(talk.server, &talk.to_client);
    exchange(&talk);
    assert_int_equal(SSL_get_shutdown(talk.client->ssl), SSL_RECEIVED_SHUTDOWN | SSL_SENT_SHUTDOWN);
    mem_free(bytes);
    talk_fini(&talk);
}

static void test_bytes_pass_at_every_cut(void **state)
{
    (void)state;
    const struct client_wish newer = {.trusted = all.root};
    const struct client_wish older = {.trusted = all.root, .version_max = TLS1_2_VERSION};
    for (size_t piece = 1; piece < 1500; piece = piece * 5 / 4 + 1) {
        check_both_ways(&newer, 2, piece, 3000, "TLSv1.3 ");
        check_both_ways(&older, 2, piece, 3000, "TLSv1.2 ");
    }
    check_both_ways(&newer, 3, SIZE_MAX, 1024 * 1024, "TLSv1.3 ");
    check_both_ways(&older, 2, SIZE_MAX, 1024 * 1024, "TLSv1.2 ");
}

static void test_old_devices(void **state)
{
    (void)state;
    struct client_wish wish = {.trusted = all.root};
    const struct {
        unsigned minimum;
        int version;
        const char *name;
    } rows[] = {
        {0, TLS1_VERSION, "TLSv1 "},     {0, TLS1_1_VERSION, "TLSv1.1 "},
        {1, TLS1_1_VERSION, "TLSv1.1 "}, {0, TLS1_2_VERSION, "TLSv1.2 "},
        {1, TLS1_2_VERSION, "TLSv1.2 "}, {0, TLS1_3_VERSION, "TLSv1.3 "},
        {1, TLS1_3_VERSION, "TLSv1.3 "},
    };
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        wish.version_max = rows[i].version;
        check_both_ways(&wish, rows[i].minimum, SIZE_MAX, 40000, rows[i].name);
        check_both_ways(&wish, rows[i].minimum, 7, 3000, rows[i].name);
    }
}

/* The one that dials, against the one that listens. */
static void test_ours_against_ours(void **state)
{
    (void)state;
    struct tls_identity *identity = identity_of(all.good, 3, "imap");
    const struct tls_settings settings = {
        .authorities = all.authorities, .host = HOST, .alpn = "imap"};
    struct tls *server = tls_server_new(identity), *client = tls_client_new(&settings);
    struct buf to_server, to_client;
    uint8_t plain[64 * 1024], cipher[1024];
    size_t size = 0;
    buf_init(&to_server, PLAIN_MAX);
    buf_init(&to_client, PLAIN_MAX);
    assert_false(tls_read(client, SLICE_NONE, plain, sizeof(plain), &size, &to_server));
    while (buf_size(&to_server) > 0) {
        assert_false(
            tls_read(server, buf_bytes(&to_server), plain, sizeof(plain), &size, &to_client));
        buf_clear(&to_server);
        assert_false(
            tls_read(client, buf_bytes(&to_client), plain, sizeof(plain), &size, &to_server));
        buf_clear(&to_client);
    }
    assert_int_equal(tls_state(client), TLS_OPEN);
    assert_int_equal(tls_state(server), TLS_OPEN);
    size_t written = tls_write(server, SLICE_LITERAL("* OK"), cipher, sizeof(cipher));
    assert_false(
        tls_read(client, slice_of(cipher, written), plain, sizeof(plain), &size, &to_server));
    assert_int_equal(size, 4);
    assert_memory_equal(plain, "* OK", 4);
    tls_free(client);
    tls_free(server);
    tls_identity_free(identity);
    buf_fini(&to_server);
    buf_fini(&to_client);
}

static void test_tickets(void **state)
{
    (void)state;
    struct client_wish wish = {.trusted = all.root};
    const int versions[] = {TLS1_3_VERSION, TLS1_2_VERSION};
    for (size_t i = 0; i < LENGTH_OF(versions); i++) {
        struct talk talk;
        wish.version_max = versions[i];
        talk_init(&talk, 2, NULL, &wish, SIZE_MAX);
        shake_hands(&talk);
        assert_false(tls_is_resumed(talk.server));
        /* A copy: the one of a connection that breaks is not resumed any more. */
        SSL_SESSION *session = SSL_SESSION_dup(SSL_get_session(talk.client->ssl));
        assert_true(SSL_SESSION_is_resumable(session));
        assert_int_equal(SSL_SESSION_get_max_early_data(session), 0);
        talk_again(&talk, session);
        shake_hands(&talk);
        assert_true(tls_is_resumed(talk.server));
        SSL_SESSION_free(session);
        talk_fini(&talk);
    }
}

static void test_chain_goes_along(void **state)
{
    (void)state;
    const struct certificate_wish middle_wish = {.common_name = "Middle", .is_authority = true};
    const struct certificate_wish leaf_wish = {.common_name = "x", .names = "DNS:" HOST};
    struct certificate *middle = certificate_new(&middle_wish, all.root);
    struct certificate *leaf = certificate_new(&leaf_wish, middle);
    char *leaf_text = certificate_text(leaf), *middle_text = certificate_text(middle);
    char *key = key_text(leaf->key);
    struct buf chain;
    buf_init(&chain, 64 * 1024);
    assert_int_equal(buf_append_string(&chain, leaf_text), 0);
    assert_int_equal(buf_append_string(&chain, middle_text), 0);
    const struct client_wish wish = {.trusted = all.root};
    struct talk talk;
    talk_init(&talk, 2, NULL, &wish, SIZE_MAX);
    tls_identity_free(talk.identity);
    const struct tls_identity_settings settings = {
        .certificate = buf_bytes(&chain), .key = slice_of_string(key), .minimum = 2};
    assert_int_equal(tls_identity_new(&settings, &talk.identity, NULL), 0);
    talk_again(&talk, NULL);
    shake_hands(&talk);
    assert_string_equal(tls_why(talk.server), "");
    assert_int_equal(SSL_get_verify_result(talk.client->ssl), X509_V_OK);
    assert_true(SSL_is_init_finished(talk.client->ssl));
    talk_fini(&talk);
    buf_fini(&chain);
    mem_free(key);
    mem_free(leaf_text);
    mem_free(middle_text);
    certificate_free(leaf);
    certificate_free(middle);
}

/* -- floods -- */

static void test_endless_hello(void **state)
{
    (void)state;
    /* A hello of 100 KiB, in records of one octet. */
    struct buf flood;
    buf_init(&flood, PLAIN_MAX);
    const uint8_t head[] = {1, 0x01, 0x90, 0x00};
    for (size_t i = 0; i < 40 * 1024; i++) {
        uint8_t record[] = {0x16, 3, 1, 0, 1, i < sizeof(head) ? head[i] : (uint8_t)0};
        assert_int_equal(buf_append(&flood, slice_of(record, sizeof(record))), 0);
    }
    struct talk talk;
    const struct client_wish wish = {0};
    talk_init(&talk, 2, NULL, &wish, SIZE_MAX);
    server_reads(&talk, slice_take(buf_bytes(&flood), TLS_HANDSHAKE_MAX));
    assert_int_equal(tls_state(talk.server), TLS_HANDSHAKE);
    server_reads(&talk, slice_skip(buf_bytes(&flood), TLS_HANDSHAKE_MAX));
    assert_int_equal(tls_state(talk.server), TLS_FAILED);
    assert_string_equal(tls_why(talk.server),
                        "the client said more than 131072 octets in the handshake");
    talk_fini(&talk);
    buf_fini(&flood);
}

static void test_key_update_flood(void **state)
{
    (void)state;
    const struct client_wish wish = {.trusted = all.root};
    struct talk talk;
    talk_init(&talk, 2, NULL, &wish, SIZE_MAX);
    shake_hands(&talk);
    for (size_t i = 0; i < TLS_EMPTY_MAX + 1; i++) {
        assert_int_equal(SSL_key_update(talk.client->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(talk.client->ssl), 1);
        server_write(talk.client, SLICE_NONE, &talk.to_server);
    }
    exchange(&talk);
    assert_int_equal(tls_state(talk.server), TLS_FAILED);
    assert_string_equal(tls_why(talk.server), "the client sent more than 32 messages without data");
    talk_fini(&talk);
}

static void test_renegotiation_is_refused(void **state)
{
    (void)state;
    const struct client_wish wish = {.trusted = all.root, .version_max = TLS1_2_VERSION};
    struct talk talk;
    talk_init(&talk, 2, NULL, &wish, SIZE_MAX);
    shake_hands(&talk);
    assert_int_equal(SSL_renegotiate(talk.client->ssl), 1);
    SSL_do_handshake(talk.client->ssl);
    server_write(talk.client, SLICE_NONE, &talk.to_server);
    assert_true(buf_size(&talk.to_server) > 100);
    server_reads(&talk, buf_bytes(&talk.to_server));
    buf_clear(&talk.to_server);
    struct slice answer = buf_bytes(&talk.to_client);
    assert_int_equal(answer.data[0], 21); /* one alert, no ServerHello */
    assert_int_equal(answer.size, 5 + answer.data[4]);
    talk_fini(&talk);
}

/* -- identities -- */

static void check_identity(const char *certificate, const char *key, unsigned minimum, int status,
                           const char *text)
{
    struct err err = {0};
    struct tls_identity *identity;
    const struct tls_identity_settings settings = {.certificate = slice_of_string(certificate),
                                                   .key = slice_of_string(key),
                                                   .minimum = minimum};
    assert_int_equal(tls_identity_new(&settings, &identity, &err), status);
    if (status != 0) {
        assert_null(identity);
        assert_string_equal(err.text, text);
    }
    tls_identity_free(identity);
}

static char *sealed_key_text(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes;
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, EVP_aes_256_cbc(),
                                              (const unsigned char *)"secret", 6, NULL, NULL),
                     1);
    long size = BIO_get_mem_data(bio, &bytes);
    char *text = mem_copy_bytes_as_string(bytes, (size_t)size);
    BIO_free(bio);
    return text;
}

static void test_identities(void **state)
{
    (void)state;
    char *good = certificate_text(all.good), *key = key_text(all.good->key);
    char *other_key = key_text(all.root->key), *sealed = sealed_key_text(all.good->key);
    char *both = mem_new(strlen(good) + strlen(key) + 1);
    memcpy(both, key, strlen(key));
    memcpy(both + strlen(key), good, strlen(good));
    char *cut = mem_copy_bytes_as_string(good, strlen(good) / 2);
    char *cut_key = mem_copy_bytes_as_string(key, strlen(key) / 2);
    for (unsigned minimum = 0; minimum <= 3; minimum++)
        check_identity(good, key, minimum, 0, NULL);
    check_identity(both, both, 2, 0, NULL);
    check_identity("", key, 2, ERR_SYNTAX, "no certificate in it");
    check_identity("nothing\n", key, 2, ERR_SYNTAX, "no certificate in it");
    check_identity(key, key, 2, ERR_SYNTAX, "no certificate in it");
    check_identity(cut, key, 2, ERR_SYNTAX, "certificate 1 cannot be read");
    check_identity(good, "", 2, ERR_SYNTAX, "no private key in it");
    check_identity(good, good, 2, ERR_SYNTAX, "no private key in it");
    check_identity(good, cut_key, 2, ERR_SYNTAX, "the private key cannot be read");
    check_identity(good, sealed, 2, ERR_SYNTAX, "the private key needs a passphrase");
    check_identity(good, other_key, 2, ERR_SYNTAX,
                   "the private key is not that of the certificate");
    mem_free(good);
    mem_free(key);
    mem_free(other_key);
    mem_free(sealed);
    mem_free(both);
    mem_free(cut);
    mem_free(cut_key);
}

/* A certificate around an RSA key of 1,024 bits, as old devices have seen them. */
static void make_old_pair(char **text_out, char **key_out)
{
    struct certificate old = {.key = EVP_RSA_gen(1024), .x509 = X509_dup(all.good->x509)};
    assert_int_equal(X509_set_pubkey(old.x509, old.key), 1);
    assert_true(X509_sign(old.x509, old.key, EVP_sha256()) > 0);
    *text_out = certificate_text(&old);
    *key_out = key_text(old.key);
    EVP_PKEY_free(old.key);
    X509_free(old.x509);
}

/* What is too weak for today is fine for a listener that serves old devices. */
static void test_weak_key(void **state)
{
    (void)state;
    char *text, *key;
    make_old_pair(&text, &key);
    check_identity(text, key, 2, ERR_SYNTAX, "the certificate cannot be used: ee key too small");
    check_identity(text, key, 0, 0, NULL);
    mem_free(text);
    mem_free(key);
}

/* No elliptic curves, no forward secrecy: RSA as in 1999. */
static void test_oldest_devices(void **state)
{
    (void)state;
    const struct client_wish wish = {.version_max = TLS1_VERSION,
                                     .ciphers = "AES128-SHA:@SECLEVEL=0"};
    char *text, *key, described[80];
    make_old_pair(&text, &key);
    const struct tls_identity_settings settings = {.certificate = slice_of_string(text),
                                                   .key = slice_of_string(key)};
    struct talk talk;
    talk_init(&talk, 0, NULL, &wish, SIZE_MAX);
    tls_identity_free(talk.identity);
    assert_int_equal(tls_identity_new(&settings, &talk.identity, NULL), 0);
    talk_again(&talk, NULL);
    shake_hands(&talk);
    assert_string_equal(tls_why(talk.server), "");
    tls_describe(talk.server, described, sizeof(described));
    assert_string_equal(described, "TLSv1 AES128-SHA");
    talk_fini(&talk);
    mem_free(text);
    mem_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_pass_at_every_cut),
        cmocka_unit_test(test_old_devices),
        cmocka_unit_test(test_ours_against_ours),
        cmocka_unit_test(test_tickets),
        cmocka_unit_test(test_chain_goes_along),
        cmocka_unit_test(test_endless_hello),
        cmocka_unit_test(test_key_update_flood),
        cmocka_unit_test(test_renegotiation_is_refused),
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_weak_key),
        cmocka_unit_test(test_oldest_devices),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
