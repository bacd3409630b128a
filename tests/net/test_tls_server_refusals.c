/* Clients that TLS as server refuses, and in what words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server_talk.h"

/* -- clients that are refused -- */

/* `alert` is what the client is told; 0: nothing at all. */
static void check_refused(unsigned minimum, const char *alpn, const struct client_wish *wish,
                          const char *why, int alert)
{
    const size_t pieces[] = {SIZE_MAX, 7, 1};
    for (size_t i = 0; i < LENGTH_OF(pieces); i++) {
        struct talk talk;
        talk_init(&talk, minimum, alpn, wish, pieces[i]);
        server_read(talk.client, SLICE_NONE, &talk.to_server);
        struct buf hello = talk.to_server;
        buf_init(&talk.to_server, PLAIN_MAX);
        for (struct slice rest = buf_bytes(&hello); rest.size > 0;) {
            struct slice part = slice_take(rest, talk.piece);
            server_reads_copy(&talk, part);
            rest = slice_skip(rest, part.size);
        }
        buf_fini(&hello);
        assert_string_equal(tls_why(talk.server), why);
        assert_int_equal(tls_state(talk.server), TLS_FAILED);
        struct slice answer = buf_bytes(&talk.to_client);
        assert_int_equal(answer.size, 7);
        assert_int_equal(answer.data[0], 21);
        assert_int_equal(answer.data[5], 2); /* fatal */
        assert_int_equal(answer.data[6], alert);
        buf_clear(&talk.to_client);
        server_reads(&talk, SLICE_LITERAL("\x17\x03\x03\x00\x01x"));
        assert_int_equal(tls_state(talk.server), TLS_FAILED);
        assert_int_equal(buf_size(&talk.to_client) + buf_size(&talk.plain), 0);
        talk_fini(&talk);
    }
}

static void test_old_versions(void **state)
{
    (void)state;
    const struct {
        unsigned minimum;
        int version;
        const char *why;
    } rows[] = {
        {2, TLS1_VERSION, "the client speaks nothing newer than TLS 1.0"},
        {2, TLS1_1_VERSION, "the client speaks nothing newer than TLS 1.1"},
        {1, TLS1_VERSION, "the client speaks nothing newer than TLS 1.0"},
        {3, TLS1_VERSION, "the client speaks nothing newer than TLS 1.0"},
        {3, TLS1_1_VERSION, "the client speaks nothing newer than TLS 1.1"},
        {3, TLS1_2_VERSION, "the client speaks nothing newer than TLS 1.2"},
    };
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        const struct client_wish wish = {.version_max = rows[i].version};
        check_refused(rows[i].minimum, NULL, &wish, rows[i].why, SSL_AD_PROTOCOL_VERSION);
    }
}

static void test_application_protocols(void **state)
{
    (void)state;
    const struct {
        const char *ours, *offered, *why;
    } rows[] = {
        {"imap", NULL, NULL},
        {"imap", "\4imap", NULL},
        {"imap", "\2h2\4imap\10http/1.1", NULL},
        {"pop3", "\4pop3", NULL},
        {NULL, NULL, NULL},
        {"imap", "\2h2\10http/1.1", "the client wants to speak h2, http/1.1, not imap"},
        {"imap", "\4pop3", "the client wants to speak pop3, not imap"},
        {"imap", "\4IMAP", "the client wants to speak IMAP, not imap"},
        {"imap", "\3ima", "the client wants to speak ima, not imap"},
        {"imap", "\5imapx", "the client wants to speak imapx, not imap"},
        {"imap", "\3a\nb", "the client wants to speak a\\x0ab, not imap"},
        {NULL, "\10http/1.1", "the client wants to speak http/1.1, which is not spoken here"},
        {NULL, "\4smtp", "the client wants to speak smtp, which is not spoken here"},
    };
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct client_wish wish = {.trusted = all.root, .alpn = rows[i].offered};
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
            wish.version_max = version;
            if (rows[i].why != NULL) {
                check_refused(2, rows[i].ours, &wish, rows[i].why, SSL_AD_NO_APPLICATION_PROTOCOL);
                continue;
            }
            struct talk talk;
            talk_init(&talk, 2, rows[i].ours, &wish, SIZE_MAX);
            shake_hands(&talk);
            assert_string_equal(tls_why(talk.server), "");
            assert_int_equal(tls_state(talk.server), TLS_OPEN);
            talk_fini(&talk);
        }
    }
}

/* A list that is longer than what is shown of it. */
static void test_long_offer(void **state)
{
    (void)state;
    char offer[1 + 255 + 1 + 255 + 1];
    memset(offer, 'x', sizeof(offer));
    offer[0] = offer[256] = (char)255;
    offer[sizeof(offer) - 1] = '\0';
    const struct client_wish wish = {.alpn = offer};
    struct talk talk;
    talk_init(&talk, 2, "imap", &wish, SIZE_MAX);
    shake_hands(&talk);
    assert_int_equal(tls_state(talk.server), TLS_FAILED);
    assert_true(strlen(tls_why(talk.server)) < 200);
    assert_true(
        slice_starts_with(slice_of_string(tls_why(talk.server)), "the client wants to speak xxxx"));
    talk_fini(&talk);
}

static void test_no_common_cipher(void **state)
{
    (void)state;
    /* The certificate's key is of the wrong kind for it. */
    const struct client_wish wish = {.version_max = TLS1_2_VERSION, .ciphers = "AES128-SHA"};
    check_refused(2, NULL, &wish, "the client and the listener have no cipher in common",
                  SSL_AD_HANDSHAKE_FAILURE);
}

static void test_no_trust(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        const struct client_wish wish = {.trusted = all.other_root, .version_max = version};
        struct talk talk;
        talk_init(&talk, 2, NULL, &wish, SIZE_MAX);
        shake_hands(&talk);
        assert_string_equal(tls_why(talk.server), "the client does not trust the certificate");
        assert_int_equal(tls_state(talk.server), TLS_FAILED);
        assert_int_equal(buf_size(&talk.plain), 0);
        talk_fini(&talk);
    }
}

static void test_expired_certificate(void **state)
{
    (void)state;
    const struct certificate_wish old = {
        .common_name = HOST, .names = "DNS:" HOST, .starts = -7200, .ends = -3600};
    struct certificate *certificate = certificate_new(&old, all.root);
    const struct client_wish wish = {.trusted = all.root};
    struct talk talk;
    talk_init(&talk, 2, NULL, &wish, SIZE_MAX);
    tls_identity_free(talk.identity);
    talk.identity = identity_of(certificate, 2, NULL);
    talk_again(&talk, NULL);
    shake_hands(&talk);
    assert_string_equal(tls_why(talk.server), "the client says that the certificate has expired");
    talk_fini(&talk);
    certificate_free(certificate);
}

static void test_other_alerts(void **state)
{
    (void)state;
    struct talk talk;
    const struct client_wish wish = {.trusted = all.root};
    talk_init(&talk, 2, NULL, &wish, SIZE_MAX);
    server_read(talk.client, SLICE_NONE, &talk.to_server);
    server_reads(&talk, buf_bytes(&talk.to_server));
    buf_clear(&talk.to_server);
    server_reads(&talk, SLICE_LITERAL("\x15\x03\x03\x00\x02\x02\x28"));
    assert_string_equal(tls_why(talk.server), "the client gave up: handshake failure");
    talk_fini(&talk);
}

/* -- what is no TLS -- */

static void check_no_tls(struct slice said, size_t piece, const char *why)
{
    struct talk talk;
    const struct client_wish wish = {0};
    talk_init(&talk, 0, "imap", &wish, piece);
    for (struct slice rest = said; rest.size > 0;) {
        struct slice part = slice_take(rest, piece);
        server_reads_copy(&talk, part);
        rest = slice_skip(rest, part.size);
    }
    assert_int_equal(tls_state(talk.server), TLS_FAILED);
    if (why != NULL)
        assert_string_equal(tls_why(talk.server), why);
    assert_string_not_equal(tls_why(talk.server), "");
    assert_int_equal(buf_size(&talk.plain), 0);
    talk_fini(&talk);
}

static void test_plaintext(void **state)
{
    (void)state;
    const char *lines[] = {
        "a1 LOGIN alice secret\r\n",
        "a STARTTLS\r\n",
        "USER alice\r\n",
        "QUIT\r\n",
        "EHLO [127.0.0.1]\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n",
        "\r\n\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost:1993\r\n\r\n",
        "POST / HTTP/1.1\r\n",
        "HEAD / HTTP/1.1\r\n",
        "PUT / HTTP/1.1\r\n",
        "OPTIONS * HTTP/1.1\r\n",
        "CONNECT localhost:1993 HTTP/1.1\r\n",
    };
    for (size_t i = 0; i < LENGTH_OF(lines); i++) {
        check_no_tls(slice_of_string(lines[i]), SIZE_MAX, "a plaintext client on a TLS port");
        check_no_tls(slice_of_string(lines[i]), 1, "a plaintext client on a TLS port");
    }
}

static void test_garbage(void **state)
{
    (void)state;
    const struct slice wrong[] = {
        SLICE_LITERAL("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"), /* a hello of one octet */
        SLICE_LITERAL("\x16\x03\x01\x00\x04\x02\x00\x00\x00"),     /* a ServerHello */
        SLICE_LITERAL("\x16\x03\x01\xff\xff\x01\x00\x00\x01\x00"), /* too long a record */
        SLICE_LITERAL("\x16\x03\x01\x00\x04\x01\xff\xff\xff"),     /* a hello of 16 MiB */
        SLICE_LITERAL("\x17\x03\x03\x00\x05hello"),                /* data */
        SLICE_LITERAL("\x14\x03\x03\x00\x01\x01\x14\x03\x03\x00\x01\x01"), /* change of ciphers */
        SLICE_LITERAL("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
        SLICE_LITERAL("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        SLICE_LITERAL("\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10\x01\x00\x80\x02\x00\x80\x03\x00"
                      "\x80\x04\x00\x80\x05\x00\x80\x06\x00\x40\x07\x00\xc0"
                      "0123456789abcdef"), /* SSL 2.0 */
    };
    for (size_t i = 0; i < LENGTH_OF(wrong); i++) {
        check_no_tls(wrong[i], SIZE_MAX, NULL);
        check_no_tls(wrong[i], 1, NULL);
    }
}

/* A client's whole side of a handshake, for tampering with. */
static void record_client(int version, struct buf *hello_out, struct buf *rest_out)
{
    const struct client_wish wish = {.trusted = all.root, .version_max = version};
    struct talk talk;
    talk_init(&talk, 2, NULL, &wish, SIZE_MAX);
    server_read(talk.client, SLICE_NONE, &talk.to_server);
    assert_int_equal(buf_append(hello_out, buf_bytes(&talk.to_server)), 0);
    server_reads(&talk, buf_bytes(&talk.to_server));
    buf_clear(&talk.to_server);
    server_read(talk.client, buf_bytes(&talk.to_client), &talk.to_server);
    assert_int_equal(buf_append(rest_out, buf_bytes(&talk.to_server)), 0);
    talk_fini(&talk);
}

/* However much of the handshake came, the server waits, and can be given up. */
static void test_truncation_at_every_octet(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct client_wish wish = {.trusted = all.root, .version_max = version};
        size_t size = 1;
        for (size_t cut = 0; cut < size; cut++) {
            struct talk talk;
            talk_init(&talk, 2, NULL, &wish, SIZE_MAX);
            server_read(talk.client, SLICE_NONE, &talk.to_server);
            size_t hello = buf_size(&talk.to_server);
            server_reads_copy(&talk, slice_take(buf_bytes(&talk.to_server), cut));
            if (cut >= hello) {
                buf_clear(&talk.to_server);
                server_read(talk.client, buf_bytes(&talk.to_client), &talk.to_server);
                size = hello + buf_size(&talk.to_server);
                server_reads_copy(&talk, slice_take(buf_bytes(&talk.to_server), cut - hello));
            } else {
                size = hello + 1;
            }
            assert_int_equal(tls_state(talk.server), TLS_HANDSHAKE);
            assert_int_equal(buf_size(&talk.plain), 0);
            tls_end(talk.server, &talk.to_client);
            talk_fini(&talk);
        }
        assert_true(size > 200);
    }
}

/* Each octet of the hello turned over: a refusal or a handshake, never a crash, never data. */
static void test_damage_at_every_octet(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct buf hello, rest;
        buf_init(&hello, 64 * 1024);
        buf_init(&rest, 64 * 1024);
        record_client(version, &hello, &rest);
        for (size_t i = 0; i < buf_size(&hello); i++) {
            const struct client_wish wish = {0};
            struct talk talk;
            talk_init(&talk, 2, NULL, &wish, SIZE_MAX);
            uint8_t *damaged = mem_new(buf_size(&hello));
            memcpy(damaged, buf_bytes(&hello).data, buf_size(&hello));
            damaged[i] ^= 0xff;
            server_reads(&talk, slice_of(damaged, buf_size(&hello)));
            server_reads(&talk, buf_bytes(&rest)); /* another handshake's: never right */
            assert_true(tls_state(talk.server) == TLS_FAILED ||
                        tls_state(talk.server) == TLS_HANDSHAKE);
            assert_int_equal(buf_size(&talk.plain), 0);
            mem_free(damaged);
            talk_fini(&talk);
        }
        buf_fini(&hello);
        buf_fini(&rest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_old_versions),
        cmocka_unit_test(test_application_protocols),
        cmocka_unit_test(test_long_offer),
        cmocka_unit_test(test_no_common_cipher),
        cmocka_unit_test(test_no_trust),
        cmocka_unit_test(test_expired_certificate),
        cmocka_unit_test(test_other_alerts),
        cmocka_unit_test(test_plaintext),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_truncation_at_every_octet),
        cmocka_unit_test(test_damage_at_every_octet),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
