/* TLS as a calculator: bytes pass whatever way they are cut, and floods end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "talk.h"

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

/* -- floods -- */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_pass_at_every_cut),
        cmocka_unit_test(test_large_pieces_pass_through_small_buffers),
        cmocka_unit_test(test_one_read_never_exceeds_the_promise),
        cmocka_unit_test(test_nothing_plain_before_the_handshake),
        cmocka_unit_test(test_description),
        cmocka_unit_test(test_server_name_only_for_names),
        cmocka_unit_test(test_handshake_is_bounded),
        cmocka_unit_test(test_huge_chain_is_refused),
        cmocka_unit_test(test_endless_handshake_is_refused),
        cmocka_unit_test(test_damaged_record),
        cmocka_unit_test(test_key_updates_between_data),
        cmocka_unit_test(test_key_update_flood),
        cmocka_unit_test(test_renegotiation_is_refused),
        cmocka_unit_test(test_message_cut_into_records),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
