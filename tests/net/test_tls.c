/* TLS as a calculator: our client and OpenSSL's server feed each other in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "tls_server.h"

#define HOST      "imap.example.org"
#define PLAIN_MAX (8u * 1024 * 1024)

static struct test_certificates all;

/* One conversation: a client, a server, and what each said to the other. */
struct talk {
    SSL_CTX *context;
    struct server_connection *server;
    struct tls *client;
    struct buf to_server, to_client; /* cipher on its way */
    struct buf plain;                /* what the client got */
    size_t piece;                    /* octets handed over at once */
    size_t capacity;                 /* of the buffer given to tls_read */
};

static struct tls_settings usual_settings(void)
{
    return (struct tls_settings){.authorities = all.authorities, .host = HOST};
}

static struct server_wish usual_wish(void)
{
    return (struct server_wish){.certificate = all.good};
}

static void talk_init(struct talk *talk, const struct tls_settings *settings,
                      const struct server_wish *wish, size_t piece)
{
    *talk = (struct talk){.piece = piece, .capacity = 64 * 1024};
    talk->context = server_new(wish);
    talk->server = server_accept(talk->context);
    talk->client = tls_client_new(settings);
    buf_init(&talk->to_server, PLAIN_MAX);
    buf_init(&talk->to_client, PLAIN_MAX);
    buf_init(&talk->plain, PLAIN_MAX);
}

static void talk_fini(struct talk *talk)
{
    server_connection_free(talk->server);
    SSL_CTX_free(talk->context);
    tls_free(talk->client);
    buf_fini(&talk->to_server);
    buf_fini(&talk->to_client);
    buf_fini(&talk->plain);
}

/* A second connection to the same server. */
static void talk_again(struct talk *talk, const struct tls_settings *settings)
{
    server_connection_free(talk->server);
    tls_free(talk->client);
    buf_clear(&talk->to_server);
    buf_clear(&talk->to_client);
    buf_clear(&talk->plain);
    talk->server = server_accept(talk->context);
    talk->client = tls_client_new(settings);
}

static void client_reads(struct talk *talk, struct slice cipher)
{
    uint8_t *plain = mem_new(talk->capacity);
    bool more = true;
    for (size_t size; more; cipher = SLICE_NONE) {
        more = tls_read(talk->client, cipher, plain, talk->capacity, &size, &talk->to_server);
        assert_true(size <= talk->capacity);
        assert_true(!more || size == talk->capacity);
        assert_int_equal(buf_append(&talk->plain, slice_of(plain, size)), 0);
    }
    mem_free(plain);
}

/* Hands cipher bytes to and fro until none are left. */
static void exchange(struct talk *talk)
{
    bool server_listens = true;
    while (buf_size(&talk->to_server) > 0 || buf_size(&talk->to_client) > 0) {
        while (buf_size(&talk->to_server) > 0) {
            struct slice part = slice_take(buf_bytes(&talk->to_server), talk->piece);
            if (server_listens)
                server_listens = server_read(talk->server, part, &talk->to_client);
            buf_consume(&talk->to_server, part.size);
        }
        while (buf_size(&talk->to_client) > 0) {
            /* Copied to its size, so that reading past it shows. */
            struct slice part = slice_take(buf_bytes(&talk->to_client), talk->piece);
            uint8_t *copy = mem_new(part.size);
            memcpy(copy, part.data, part.size);
            client_reads(talk, slice_of(copy, part.size));
            mem_free(copy);
            buf_consume(&talk->to_client, part.size);
        }
    }
}

static void shake_hands(struct talk *talk)
{
    client_reads(talk, SLICE_NONE);
    exchange(talk);
}

static void client_writes(struct talk *talk, struct slice plain)
{
    size_t capacity = plain.size + (plain.size / 16384 + 1) * TLS_RECORD_OVERHEAD;
    uint8_t *cipher = mem_new(capacity);
    size_t size = tls_write(talk->client, plain, cipher, capacity);
    assert_int_equal(buf_append(&talk->to_server, slice_of(cipher, size)), 0);
    mem_free(cipher);
}

static uint8_t *pattern(size_t size)
{
    uint8_t *bytes = mem_new(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 251);
    return bytes;
}

static void assert_bytes(const struct buf *buf, const uint8_t *expected, size_t size)
{
    assert_int_equal(buf_size(buf), size);
    assert_memory_equal(buf_bytes(buf).data, expected, size);
}

/* -- what works -- */

static void check_both_ways(const struct server_wish *wish, size_t piece, size_t capacity,
                            size_t size)
{
    struct talk talk;
    struct tls_settings settings = usual_settings();
    talk_init(&talk, &settings, wish, piece);
    talk.capacity = capacity;
    assert_int_equal(tls_state(talk.client), TLS_HANDSHAKE);
    shake_hands(&talk);
    assert_int_equal(tls_state(talk.client), TLS_OPEN);
    assert_string_equal(tls_why(talk.client), "");
    uint8_t *bytes = pattern(size);
    client_writes(&talk, slice_of(bytes, size));
    server_write(talk.server, slice_of(bytes, size), &talk.to_client);
    exchange(&talk);
    assert_bytes(&talk.plain, bytes, size);
    assert_bytes(&talk.server->plain, bytes, size);
    server_end(talk.server, &talk.to_client);
    exchange(&talk);
    assert_int_equal(tls_state(talk.client), TLS_ENDED);
    client_writes(&talk, SLICE_LITERAL("after the end"));
    tls_end(talk.client, &talk.to_server);
    exchange(&talk);
    assert_int_equal(buf_size(&talk.server->plain), size + 13);
    assert_int_equal(SSL_get_shutdown(talk.server->ssl), SSL_RECEIVED_SHUTDOWN | SSL_SENT_SHUTDOWN);
    mem_free(bytes);
    talk_fini(&talk);
}

static void test_bytes_pass_at_every_cut(void **state)
{
    (void)state;
    struct server_wish newer = usual_wish(), older = usual_wish();
    older.version_max = TLS1_2_VERSION;
    for (size_t piece = 1; piece < 1500; piece = piece * 5 / 4 + 1) {
        check_both_ways(&newer, piece, 4096, 3000);
        check_both_ways(&older, piece, 4096, 3000);
    }
}

static void test_large_pieces_pass_through_small_buffers(void **state)
{
    (void)state;
    struct server_wish newer = usual_wish(), older = usual_wish();
    older.version_max = TLS1_2_VERSION;
    older.ciphers = "ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0"; /* the longest records there are */
    const size_t capacities[] = {1, 1000, 16384, 16385, 300000};
    for (size_t i = 0; i < LENGTH_OF(capacities); i++) {
        check_both_ways(&newer, SIZE_MAX, capacities[i], 40000);
        check_both_ways(&older, SIZE_MAX, capacities[i], 40000);
    }
    check_both_ways(&newer, 239 * 1024, 256 * 1024, 1024 * 1024);
    check_both_ways(&older, 239 * 1024, 256 * 1024, 1024 * 1024);
}

static void test_one_read_never_exceeds_the_promise(void **state)
{
    (void)state;
    struct talk talk;
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    talk_init(&talk, &settings, &wish, SIZE_MAX);
    shake_hands(&talk);
    buf_clear(&talk.plain);
    uint8_t *bytes = pattern(64 * 1024);
    server_write(talk.server, slice_of(bytes, 64 * 1024), &talk.to_client);
    /* All of the first record but its last octet, then the rest. */
    size_t first = 16384 + 5 + 17 - 1;
    struct slice cipher = buf_bytes(&talk.to_client);
    size_t size;
    talk.capacity = cipher.size - first + TLS_RECORD_MAX;
    uint8_t *plain = mem_new(talk.capacity);
    assert_false(tls_read(talk.client, slice_take(cipher, first), plain, first + TLS_RECORD_MAX,
                          &size, &talk.to_server));
    assert_int_equal(size, 0);
    assert_false(tls_read(talk.client, slice_skip(cipher, first), plain, talk.capacity, &size,
                          &talk.to_server));
    assert_int_equal(size, 64 * 1024);
    assert_memory_equal(plain, bytes, size);
    mem_free(plain);
    mem_free(bytes);
    talk_fini(&talk);
}

static void test_nothing_plain_before_the_handshake(void **state)
{
    (void)state;
    struct talk talk;
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    talk_init(&talk, &settings, &wish, 1);
    client_reads(&talk, SLICE_NONE);
    assert_true(buf_size(&talk.to_server) > 100);
    assert_int_equal(buf_size(&talk.plain), 0);
    assert_int_equal(tls_state(talk.client), TLS_HANDSHAKE);
    talk_fini(&talk);
}

static void test_description(void **state)
{
    (void)state;
    struct talk talk;
    char text[80];
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    talk_init(&talk, &settings, &wish, SIZE_MAX);
    shake_hands(&talk);
    tls_describe(talk.client, text, sizeof(text));
    assert_string_equal(text, "TLSv1.3 TLS_AES_256_GCM_SHA384");
    assert_false(tls_is_resumed(talk.client));
    talk_fini(&talk);
}

static void test_server_name_only_for_names(void **state)
{
    (void)state;
    struct talk talk;
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    talk_init(&talk, &settings, &wish, SIZE_MAX);
    shake_hands(&talk);
    assert_string_equal(SSL_get_servername(talk.server->ssl, TLSEXT_NAMETYPE_host_name), HOST);
    settings.host = "127.0.0.1";
    talk_again(&talk, &settings);
    shake_hands(&talk);
    assert_int_equal(tls_state(talk.client), TLS_OPEN);
    assert_null(SSL_get_servername(talk.server->ssl, TLSEXT_NAMETYPE_host_name));
    talk_fini(&talk);
}

/* -- certificates -- */

static void check_refused(const struct tls_settings *settings, const struct server_wish *wish,
                          const char *why)
{
    const size_t pieces[] = {SIZE_MAX, 7};
    for (size_t i = 0; i < LENGTH_OF(pieces); i++) {
        struct talk talk;
        talk_init(&talk, settings, wish, pieces[i]);
        shake_hands(&talk);
        assert_string_equal(tls_why(talk.client), why);
        assert_int_equal(tls_state(talk.client), TLS_FAILED);
        assert_int_equal(buf_size(&talk.server->plain), 0);
        assert_int_equal(buf_size(&talk.plain), 0);
        /* Nothing helps it up again. */
        server_write(talk.server, SLICE_NONE, &talk.to_client);
        client_reads(&talk, SLICE_LITERAL("\x17\x03\x03\x00\x01x"));
        assert_int_equal(tls_state(talk.client), TLS_FAILED);
        assert_int_equal(buf_size(&talk.to_server), 0);
        talk_fini(&talk);
    }
}

static void check_certificate(const struct certificate_wish *certificate_wish,
                              const struct certificate *issuer, const char *host, const char *why)
{
    struct certificate *certificate = certificate_new(certificate_wish, issuer);
    struct tls_settings settings = usual_settings();
    settings.host = host;
    struct server_wish wish = {.certificate = certificate};
    check_refused(&settings, &wish, why);
    wish.version_max = TLS1_2_VERSION;
    check_refused(&settings, &wish, why);
    certificate_free(certificate);
}

static void test_expired(void **state)
{
    (void)state;
    const struct certificate_wish old = {
        .common_name = HOST, .names = "DNS:" HOST, .starts = -7200, .ends = -3600};
    check_certificate(&old, all.root, HOST,
                      "certificate of imap.example.org: certificate has expired");
    const struct certificate_wish young = {
        .common_name = HOST, .names = "DNS:" HOST, .starts = 3600, .ends = 7200};
    check_certificate(&young, all.root, HOST,
                      "certificate of imap.example.org: certificate is not yet valid");
}

static void test_unknown_authority(void **state)
{
    (void)state;
    const struct certificate_wish wish = {.common_name = HOST, .names = "DNS:" HOST};
    check_certificate(&wish, all.other_root, HOST,
                      "certificate of imap.example.org: unable to get local issuer certificate");
    check_certificate(&wish, NULL, HOST,
                      "certificate of imap.example.org: self-signed certificate");
}

static void test_wrong_name(void **state)
{
    (void)state;
    const char *names[] = {
        "DNS:other.example.org",
        "DNS:*.org",
        "DNS:*.imap.example.org",
        "DNS:im*.example.org",
        "DNS:*p.example.org",
        "DNS:i*p.example.org",
        "DNS:*",
        "DNS:example.org",
        "DNS:imap.example.org.evil.tld",
        "email:imap.example.org@example.org",
        "IP:127.0.0.1",
        "URI:imap.example.org",
    };
    for (size_t i = 0; i < LENGTH_OF(names); i++) {
        const struct certificate_wish wish = {.common_name = HOST, .names = names[i]};
        check_certificate(&wish, all.root, HOST,
                          "hostname mismatch: the certificate is not for imap.example.org");
    }
}

static void test_common_name_does_not_count(void **state)
{
    (void)state;
    const struct certificate_wish wish = {.common_name = HOST};
    check_certificate(&wish, all.root, HOST,
                      "hostname mismatch: the certificate is not for imap.example.org");
}

static void test_address_literals(void **state)
{
    (void)state;
    const struct certificate_wish wish = {.common_name = "127.0.0.1",
                                          .names = "DNS:127.0.0.1,IP:127.0.0.2"};
    check_certificate(&wish, all.root, "127.0.0.1",
                      "IP address mismatch: the certificate is not for 127.0.0.1");
    check_certificate(&wish, all.root, "::1",
                      "IP address mismatch: the certificate is not for ::1");
}

static void test_no_host_name(void **state)
{
    (void)state;
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    const char *hosts[] = {"", ".example.org"};
    const char *whys[] = {"\"\" is not a host name", "\".example.org\" is not a host name"};
    for (size_t i = 0; i < LENGTH_OF(hosts); i++) {
        settings.host = hosts[i];
        check_refused(&settings, &wish, whys[i]);
    }
}

static void test_wildcard_and_chain(void **state)
{
    (void)state;
    const struct certificate_wish middle_wish = {.common_name = "Test middle",
                                                 .is_authority = true};
    const struct certificate_wish leaf_wish = {.common_name = "x", .names = "DNS:*.example.org"};
    struct certificate *middle = certificate_new(&middle_wish, all.root);
    struct certificate *leaf = certificate_new(&leaf_wish, middle);
    struct tls_settings settings = usual_settings();
    struct server_wish wish = {.certificate = leaf, .issuer = middle};
    struct talk talk;
    talk_init(&talk, &settings, &wish, SIZE_MAX);
    shake_hands(&talk);
    assert_string_equal(tls_why(talk.client), "");
    assert_int_equal(tls_state(talk.client), TLS_OPEN);
    talk_fini(&talk);
    wish.issuer = NULL;
    check_refused(&settings, &wish,
                  "certificate of imap.example.org: unable to get local issuer certificate");
    certificate_free(leaf);
    certificate_free(middle);
}

static void test_not_an_authority(void **state)
{
    (void)state;
    /* A good certificate for another name signs one for ours. */
    const struct certificate_wish wish = {.common_name = "leaf", .names = "DNS:" HOST};
    struct certificate *leaf = certificate_new(&wish, all.good);
    struct tls_settings settings = usual_settings();
    struct server_wish server = {.certificate = leaf, .issuer = all.good};
    check_refused(&settings, &server, "certificate of imap.example.org: invalid CA certificate");
    certificate_free(leaf);
}

/* -- what is no TLS, or the wrong one -- */

static void check_answer(struct slice answer, size_t piece, const char *why)
{
    struct talk talk;
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    talk_init(&talk, &settings, &wish, piece);
    client_reads(&talk, SLICE_NONE);
    buf_clear(&talk.to_server);
    assert_int_equal(buf_append(&talk.to_client, answer), 0);
    while (buf_size(&talk.to_client) > 0) {
        struct slice part = slice_take(buf_bytes(&talk.to_client), talk.piece);
        client_reads(&talk, part);
        buf_consume(&talk.to_client, part.size);
    }
    assert_string_equal(tls_why(talk.client), why);
    assert_int_equal(tls_state(talk.client), TLS_FAILED);
    assert_int_equal(buf_size(&talk.plain), 0);
    talk_fini(&talk);
}

static void test_plaintext_instead(void **state)
{
    (void)state;
    const char *answers[] = {
        "* OK IMAP4rev1 ready\r\n",
        "* OK hi\r\n* PREAUTH\r\nA1 OK LOGIN completed\r\n",
        "+OK POP3 ready\r\n",
        "220 mail.example.org ESMTP\r\n250-x\r\n250 AUTH PLAIN\r\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
    };
    for (size_t i = 0; i < LENGTH_OF(answers); i++) {
        check_answer(slice_of_string(answers[i]), SIZE_MAX, "the server did not answer with TLS");
        check_answer(slice_of_string(answers[i]), 1, "the server did not answer with TLS");
    }
}

static void test_old_version(void **state)
{
    (void)state;
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    const int versions[] = {TLS1_VERSION, TLS1_1_VERSION};
    for (size_t i = 0; i < LENGTH_OF(versions); i++) {
        wish.version_max = versions[i];
        check_refused(&settings, &wish, "the server speaks neither TLS 1.2 nor 1.3");
    }
}

static void test_alpn(void **state)
{
    (void)state;
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    settings.alpn = "imap";
    struct talk talk;
    const char *fine[] = {NULL, "imap"};
    for (size_t i = 0; i < LENGTH_OF(fine); i++) {
        wish.alpn = fine[i];
        talk_init(&talk, &settings, &wish, SIZE_MAX);
        shake_hands(&talk);
        assert_int_equal(tls_state(talk.client), TLS_OPEN);
        talk_fini(&talk);
    }
    const char *wrong[] = {"h2", "http/1.1", "ima", "imapx"};
    for (size_t i = 0; i < LENGTH_OF(wrong); i++) {
        wish.alpn = wrong[i];
        talk_init(&talk, &settings, &wish, SIZE_MAX);
        shake_hands(&talk);
        assert_int_equal(tls_state(talk.client), TLS_FAILED);
        assert_string_not_equal(tls_why(talk.client), "");
        assert_int_equal(buf_size(&talk.server->plain), 0);
        talk_fini(&talk);
    }
}

static void test_handshake_is_bounded(void **state)
{
    (void)state;
    /* Records of a handshake message that says it is 16 MiB long, endlessly. */
    struct buf flood;
    buf_init(&flood, PLAIN_MAX);
    uint8_t record[5 + 1024] = {0x16, 0x03, 0x03, 0x04, 0x00, 0x02, 0xff, 0xff, 0xff};
    for (size_t i = 0; i < 200; i++)
        assert_int_equal(buf_append(&flood, slice_of(record, sizeof(record))), 0);
    struct talk talk;
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    talk_init(&talk, &settings, &wish, SIZE_MAX);
    client_reads(&talk, SLICE_NONE);
    client_reads(&talk, buf_bytes(&flood));
    assert_int_equal(tls_state(talk.client), TLS_FAILED);
    talk_fini(&talk);
    buf_fini(&flood);
}

static void test_huge_chain_is_refused(void **state)
{
    (void)state;
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    struct talk talk;
    talk_init(&talk, &settings, &wish, SIZE_MAX);
    for (size_t i = 0; i < 400; i++)
        assert_int_equal(SSL_add1_chain_cert(talk.server->ssl, all.other_root->x509), 1);
    shake_hands(&talk);
    assert_int_equal(tls_state(talk.client), TLS_FAILED);
    talk_fini(&talk);
}

/* Each message is small enough for OpenSSL; it is the records of one octet that make the sum. */
static void test_endless_handshake_is_refused(void **state)
{
    (void)state;
    struct buf flood;
    buf_init(&flood, PLAIN_MAX);
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    wish.version_max = TLS1_2_VERSION; /* its first flight is not encrypted and can be cut anew */
    struct talk talk;
    talk_init(&talk, &settings, &wish, SIZE_MAX);
    for (size_t i = 0; i < 70; i++)
        assert_int_equal(SSL_add1_chain_cert(talk.server->ssl, all.other_root->x509), 1);
    client_reads(&talk, SLICE_NONE);
    assert_true(server_read(talk.server, buf_bytes(&talk.to_server), &talk.to_client));
    struct slice rest = buf_bytes(&talk.to_client);
    while (rest.size > 0) {
        size_t size = (size_t)rest.data[3] << 8 | rest.data[4];
        for (size_t i = 0; i < size; i++) {
            uint8_t record[] = {rest.data[0], rest.data[1], rest.data[2], 0, 1, rest.data[5 + i]};
            assert_int_equal(buf_append(&flood, slice_of(record, sizeof(record))), 0);
        }
        rest = slice_skip(rest, 5 + size);
    }
    assert_true(buf_size(&flood) > TLS_HANDSHAKE_MAX);
    client_reads(&talk, slice_take(buf_bytes(&flood), TLS_HANDSHAKE_MAX));
    assert_int_equal(tls_state(talk.client), TLS_HANDSHAKE);
    client_reads(&talk, slice_skip(buf_bytes(&flood), TLS_HANDSHAKE_MAX));
    assert_string_equal(tls_why(talk.client),
                        "the server said more than 131072 octets in the handshake");
    assert_int_equal(tls_state(talk.client), TLS_FAILED);
    talk_fini(&talk);
    buf_fini(&flood);
}

static void test_damaged_record(void **state)
{
    (void)state;
    struct talk talk;
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    talk_init(&talk, &settings, &wish, SIZE_MAX);
    shake_hands(&talk);
    server_write(talk.server, SLICE_LITERAL("good"), &talk.to_client);
    size_t good = buf_size(&talk.to_client);
    server_write(talk.server, SLICE_LITERAL("evil"), &talk.to_client);
    struct slice cipher = buf_bytes(&talk.to_client);
    uint8_t *damaged = mem_new(cipher.size);
    memcpy(damaged, cipher.data, cipher.size);
    damaged[good + 7] ^= 1;
    client_reads(&talk, slice_of(damaged, cipher.size));
    mem_free(damaged);
    assert_int_equal(tls_state(talk.client), TLS_FAILED);
    assert_bytes(&talk.plain, (const uint8_t *)"good", 4);
    assert_true(buf_size(&talk.to_server) > 0); /* the alert */
    talk_fini(&talk);
}

/* -- floods after the handshake -- */

static void update_key(struct talk *talk)
{
    assert_int_equal(SSL_key_update(talk->server->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_int_equal(SSL_do_handshake(talk->server->ssl), 1);
    server_write(talk->server, SLICE_NONE, &talk->to_client);
}

static void test_key_updates_between_data(void **state)
{
    (void)state;
    struct talk talk;
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    talk_init(&talk, &settings, &wish, 3);
    shake_hands(&talk);
    for (size_t i = 0; i < 100; i++) {
        update_key(&talk);
        server_write(talk.server, SLICE_LITERAL("s"), &talk.to_client);
        exchange(&talk);
        client_writes(&talk, SLICE_LITERAL("c"));
        exchange(&talk);
    }
    assert_int_equal(tls_state(talk.client), TLS_OPEN);
    assert_int_equal(buf_size(&talk.plain), 100);
    assert_int_equal(buf_size(&talk.server->plain), 100);
    talk_fini(&talk);
}

static void check_key_update_flood(size_t piece, size_t count, enum tls_state expected)
{
    struct talk talk;
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    talk_init(&talk, &settings, &wish, piece);
    shake_hands(&talk);
    server_write(talk.server, SLICE_LITERAL("x"), &talk.to_client);
    exchange(&talk);
    for (size_t i = 0; i < count; i++)
        update_key(&talk);
    exchange(&talk);
    assert_int_equal(tls_state(talk.client), expected);
    if (expected == TLS_FAILED)
        assert_string_equal(tls_why(talk.client),
                            "the server sent more than 32 messages without data");
    talk_fini(&talk);
}

static void test_key_update_flood(void **state)
{
    (void)state;
    const size_t pieces[] = {SIZE_MAX, 1000, 1};
    for (size_t i = 0; i < LENGTH_OF(pieces); i++) {
        check_key_update_flood(pieces[i], 32, TLS_OPEN);
        check_key_update_flood(pieces[i], 33, TLS_FAILED);
        check_key_update_flood(pieces[i], 1000, TLS_FAILED);
    }
}

static void request_renegotiation(struct talk *talk)
{
    assert_int_equal(SSL_renegotiate(talk->server->ssl), 1);
    assert_int_equal(SSL_do_handshake(talk->server->ssl), 1);
    server_write(talk->server, SLICE_NONE, &talk->to_client);
}

static void test_renegotiation_is_refused(void **state)
{
    (void)state;
    struct talk talk;
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    wish.version_max = TLS1_2_VERSION;
    talk_init(&talk, &settings, &wish, SIZE_MAX);
    shake_hands(&talk);
    request_renegotiation(&talk);
    client_reads(&talk, buf_bytes(&talk.to_client));
    buf_clear(&talk.to_client);
    assert_int_equal(buf_bytes(&talk.to_server).data[0], 21); /* one alert, no ClientHello */
    size_t answer = buf_size(&talk.to_server);
    assert_int_equal(answer, 5 + buf_bytes(&talk.to_server).data[4]);
    assert_int_equal(tls_state(talk.client), TLS_OPEN);
    /* Asked for endlessly, the answers end. */
    for (size_t i = 0; i < 1000; i++)
        request_renegotiation(&talk);
    client_reads(&talk, buf_bytes(&talk.to_client));
    assert_int_equal(tls_state(talk.client), TLS_FAILED);
    assert_true(buf_size(&talk.to_server) < 40 * answer);
    talk_fini(&talk);
}

static void test_message_cut_into_records(void **state)
{
    (void)state;
    struct talk talk;
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    talk_init(&talk, &settings, &wish, SIZE_MAX);
    shake_hands(&talk);
    server_write(talk.server, SLICE_LITERAL("x"), &talk.to_client);
    exchange(&talk);
    /* A ticket of several records of 512 octets. */
    uint8_t *bytes = pattern(1500);
    assert_int_equal(SSL_set_max_send_fragment(talk.server->ssl, 512), 1);
    assert_int_equal(
        SSL_SESSION_set1_ticket_appdata(SSL_get_session(talk.server->ssl), bytes, 1500), 1);
    assert_int_equal(SSL_new_session_ticket(talk.server->ssl), 1);
    assert_int_equal(SSL_do_handshake(talk.server->ssl), 1);
    server_write(talk.server, SLICE_LITERAL("and data"), &talk.to_client);
    talk.piece = 700; /* so that the client has half of it for a while */
    exchange(&talk);
    assert_bytes(&talk.plain, (const uint8_t *)"xand data", 9);
    assert_int_equal(tls_state(talk.client), TLS_OPEN);
    /* Writing amidst such a message cannot work; it must fail, not hang or lose. */
    assert_int_equal(SSL_new_session_ticket(talk.server->ssl), 1);
    assert_int_equal(SSL_do_handshake(talk.server->ssl), 1);
    server_write(talk.server, SLICE_NONE, &talk.to_client);
    client_reads(&talk, slice_take(buf_bytes(&talk.to_client), 700));
    client_writes(&talk, SLICE_LITERAL("now"));
    assert_int_equal(tls_state(talk.client), TLS_FAILED);
    assert_string_equal(tls_why(talk.client), "the server sent an incomplete message");
    mem_free(bytes);
    talk_fini(&talk);
}

/* -- sessions -- */

static void converse(struct talk *talk)
{
    shake_hands(talk);
    assert_string_equal(tls_why(talk->client), "");
    server_write(talk->server, SLICE_LITERAL("greeting"), &talk->to_client);
    exchange(talk);
}

static void check_resumption(int version_max)
{
    struct tls_sessions *sessions = tls_sessions_new(4);
    struct tls_settings settings = usual_settings();
    settings.sessions = sessions;
    settings.session_key = "anna " HOST ":993";
    struct server_wish wish = usual_wish();
    wish.version_max = version_max;
    struct talk talk;
    talk_init(&talk, &settings, &wish, SIZE_MAX);
    converse(&talk);
    assert_false(tls_is_resumed(talk.client));
    for (size_t i = 0; i < 20; i++) {
        /* Ends in the ways that connections end: properly, cut off, and by a failure. */
        if (i % 3 == 0)
            tls_end(talk.client, &talk.to_server);
        else if (i % 3 == 1)
            client_reads(&talk,
                         SLICE_LITERAL("\x17\x03\x03\x00\x20xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
        talk_again(&talk, &settings);
        converse(&talk);
        assert_true(tls_is_resumed(talk.client));
        assert_int_equal(SSL_session_reused(talk.server->ssl), 1);
    }
    char text[80];
    tls_describe(talk.client, text, sizeof(text));
    assert_non_null(strstr(text, " resumed"));
    talk_fini(&talk);
    tls_sessions_free(sessions);
}

static void test_resumption(void **state)
{
    (void)state;
    check_resumption(TLS1_3_VERSION);
    check_resumption(TLS1_2_VERSION);
}

/* Many at once take the same ticket. */
static void test_resumption_in_parallel(void **state)
{
    (void)state;
    struct tls_sessions *sessions = tls_sessions_new(4);
    struct tls_settings settings = usual_settings();
    settings.sessions = sessions;
    settings.session_key = "anna";
    struct server_wish wish = usual_wish();
    struct talk first;
    talk_init(&first, &settings, &wish, SIZE_MAX);
    converse(&first);
    struct talk talks[8];
    for (size_t i = 0; i < LENGTH_OF(talks); i++) {
        talk_init(&talks[i], &settings, &wish, SIZE_MAX);
        SSL_CTX_free(talks[i].context);
        SSL_CTX_up_ref(first.context);
        talks[i].context = first.context;
        server_connection_free(talks[i].server);
        talks[i].server = server_accept(first.context);
    }
    for (size_t i = 0; i < LENGTH_OF(talks); i++) {
        converse(&talks[i]);
        assert_true(tls_is_resumed(talks[i].client));
    }
    for (size_t i = 0; i < LENGTH_OF(talks); i++)
        talk_fini(&talks[i]);
    talk_fini(&first);
    tls_sessions_free(sessions);
}

static void check_not_resumed(struct talk *talk, const struct tls_settings *settings)
{
    talk_again(talk, settings);
    converse(talk);
    assert_false(tls_is_resumed(talk->client));
}

static void test_never_resumed_across_keys(void **state)
{
    (void)state;
    struct tls_sessions *sessions = tls_sessions_new(8);
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    struct talk talk;
    settings.sessions = sessions;
    settings.session_key = "anna";
    talk_init(&talk, &settings, &wish, SIZE_MAX);
    converse(&talk);

    struct tls_settings other = settings;
    other.session_key = "bert";
    check_not_resumed(&talk, &other);
    other = settings;
    other.host = "smtp.example.org";
    check_not_resumed(&talk, &other);
    other = settings;
    other.sessions = NULL;
    check_not_resumed(&talk, &other);
    other = settings;
    other.session_key = NULL;
    check_not_resumed(&talk, &other);

    talk_again(&talk, &settings);
    converse(&talk);
    assert_true(tls_is_resumed(talk.client));
    talk_fini(&talk);
    tls_sessions_free(sessions);
}

static void test_never_resumed_across_authorities(void **state)
{
    (void)state;
    struct tls_sessions *sessions = tls_sessions_new(8);
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    struct talk talk;
    settings.sessions = sessions;
    settings.session_key = "anna";
    talk_init(&talk, &settings, &wish, SIZE_MAX);
    converse(&talk);
    struct tls_authorities *other = authorities_of(all.other_root);
    settings.authorities = other;
    talk_again(&talk, &settings);
    shake_hands(&talk);
    assert_int_equal(tls_state(talk.client), TLS_FAILED);
    /* The same bundle loaded anew is the same. */
    struct tls_authorities *same = authorities_of(all.root);
    settings.authorities = same;
    talk_again(&talk, &settings);
    tls_authorities_free(same); /* the connection holds on to it */
    converse(&talk);
    assert_true(tls_is_resumed(talk.client));
    talk_fini(&talk);
    tls_authorities_free(other);
    tls_sessions_free(sessions);
}

static void test_oldest_session_goes(void **state)
{
    (void)state;
    struct tls_sessions *sessions = tls_sessions_new(2);
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    struct talk talk;
    settings.sessions = sessions;
    settings.session_key = "a";
    talk_init(&talk, &settings, &wish, SIZE_MAX);
    converse(&talk);
    settings.session_key = "b";
    check_not_resumed(&talk, &settings);
    settings.session_key = "a";
    talk_again(&talk, &settings);
    converse(&talk);
    assert_true(tls_is_resumed(talk.client));
    settings.session_key = "c"; /* b goes */
    check_not_resumed(&talk, &settings);
    settings.session_key = "a";
    talk_again(&talk, &settings);
    converse(&talk);
    assert_true(tls_is_resumed(talk.client));
    settings.session_key = "b";
    check_not_resumed(&talk, &settings);
    talk_fini(&talk);
    tls_sessions_free(sessions);
}

/* -- authorities -- */

static void check_bundle(struct slice bundle, int status, const char *text)
{
    struct err err = {0};
    struct tls_authorities *authorities;
    assert_int_equal(tls_authorities_new(bundle, &authorities, &err), status);
    if (status != 0) {
        assert_null(authorities);
        assert_string_equal(err.text, text);
    }
    tls_authorities_free(authorities);
}

static void test_bundles(void **state)
{
    (void)state;
    check_bundle(SLICE_NONE, ERR_SYNTAX, "no certificate in it");
    check_bundle(SLICE_LITERAL("nothing here\n"), ERR_SYNTAX, "no certificate in it");
    check_bundle(SLICE_LITERAL("-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n"),
                 ERR_SYNTAX, "certificate 1 cannot be read");
    char *root = certificate_text(all.root), *other = certificate_text(all.other_root);
    struct buf text;
    buf_init(&text, 64 * 1024);
    assert_int_equal(buf_append_string(&text, "# the first\n"), 0);
    assert_int_equal(buf_append_string(&text, root), 0);
    assert_int_equal(buf_append_string(&text, "# the second, twice\n"), 0);
    assert_int_equal(buf_append_string(&text, other), 0);
    assert_int_equal(buf_append_string(&text, other), 0);
    check_bundle(buf_bytes(&text), 0, NULL);
    assert_int_equal(buf_append(&text, slice_take(slice_of_string(root), 300)), 0);
    check_bundle(buf_bytes(&text), ERR_SYNTAX, "certificate 4 cannot be read");
    buf_fini(&text);
    mem_free(root);
    mem_free(other);
}

static int set_up(void **state)
{
    (void)state;
    test_certificates_init(&all);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_certificates_fini(&all);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_pass_at_every_cut),
        cmocka_unit_test(test_large_pieces_pass_through_small_buffers),
        cmocka_unit_test(test_one_read_never_exceeds_the_promise),
        cmocka_unit_test(test_nothing_plain_before_the_handshake),
        cmocka_unit_test(test_description),
        cmocka_unit_test(test_server_name_only_for_names),
        cmocka_unit_test(test_expired),
        cmocka_unit_test(test_unknown_authority),
        cmocka_unit_test(test_wrong_name),
        cmocka_unit_test(test_common_name_does_not_count),
        cmocka_unit_test(test_address_literals),
        cmocka_unit_test(test_no_host_name),
        cmocka_unit_test(test_wildcard_and_chain),
        cmocka_unit_test(test_not_an_authority),
        cmocka_unit_test(test_plaintext_instead),
        cmocka_unit_test(test_old_version),
        cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_handshake_is_bounded),
        cmocka_unit_test(test_huge_chain_is_refused),
        cmocka_unit_test(test_endless_handshake_is_refused),
        cmocka_unit_test(test_damaged_record),
        cmocka_unit_test(test_key_updates_between_data),
        cmocka_unit_test(test_key_update_flood),
        cmocka_unit_test(test_renegotiation_is_refused),
        cmocka_unit_test(test_message_cut_into_records),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_resumption_in_parallel),
        cmocka_unit_test(test_never_resumed_across_keys),
        cmocka_unit_test(test_never_resumed_across_authorities),
        cmocka_unit_test(test_oldest_session_goes),
        cmocka_unit_test(test_bundles),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
