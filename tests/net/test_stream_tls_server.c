/* A stream with TLS towards a client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client_fixture.h"

static const int versions[] = {TLS1_3_VERSION, TLS1_2_VERSION, TLS1_VERSION};

static void open_server(struct fixture *f, enum kind kind, const struct client_wish *wish,
                        unsigned minimum)
{
    open_with(f, kind, NULL, true);
    side_start_server(&f->side, minimum, "imap");
    far_start_tls(&f->far, wish);
}

static void open_secured(struct fixture *f, enum kind kind, int version)
{
    const struct client_wish wish = {.trusted = all.root, .version_max = version};
    open_server(f, kind, &wish, 0);
    wait_until(f, &f->side.told[TOLD_SECURED], 1);
}

static void check_both_ways(enum kind kind, int version)
{
    size_t size = 1024 * 1024;
    uint8_t *bytes = pattern(size);
    struct fixture f;
    open_secured(&f, kind, version);
    side_call(&f.side, stream_read_start);
    assert_int_equal(side_write(&f.side, slice_of(bytes, size)), 0);
    settle(&f); /* the client has the end of the handshake */
    far_send(&f.far, slice_of(bytes, size));
    wait_for_side(&f, size);
    wait_for_far(&f, size);
    assert_slice(buf_bytes(&f.side.got), slice_of(bytes, size));
    assert_slice(far_got(&f.far), slice_of(bytes, size));
    mem_free(bytes);
    finish(&f);
}

static void test_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(versions); i++) {
        check_both_ways(KIND_TCP, versions[i]);
        check_both_ways(KIND_UNIX, versions[i]);
    }
}

/* What a client says along with the end of its handshake waits until somebody wants to read. */
static void test_command_with_the_handshake(void **state)
{
    (void)state;
    struct fixture f;
    const struct client_wish wish = {.trusted = all.root};
    open_server(&f, KIND_TCP, &wish, 2);
    int64_t end = clock_steady_milliseconds() + PATIENCE_SECONDS * 1000;
    while (!SSL_is_init_finished(f.far.tls->ssl)) {
        far_turn(&f.far);
        uv_run(&f.loop.uv, UV_RUN_NOWAIT);
        far_read(&f.far);
        assert_true(clock_steady_milliseconds() < end);
    }
    far_send(&f.far, SLICE_LITERAL("a1 NOOP\r\n"));
    wait_until(&f, &f.side.told[TOLD_SECURED], 1);
    settle(&f);
    assert_int_equal(f.side.told[TOLD_READ], 0);
    side_call(&f.side, stream_read_start);
    wait_for_side(&f, 9);
    assert_slice(buf_bytes(&f.side.got), SLICE_LITERAL("a1 NOOP\r\n"));
    finish(&f);
}

static void test_goodbyes(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(versions); i++) {
        struct fixture f;
        open_secured(&f, KIND_TCP, versions[i]);
        side_call(&f.side, stream_read_start);
        settle(&f);
        far_send(&f.far, SLICE_LITERAL("bye"));
        server_end(f.far.tls, &f.far.to_send);
        wait_until(&f, &f.side.told[TOLD_END], 1);
        assert_slice(buf_bytes(&f.side.got), SLICE_LITERAL("bye"));
        assert_int_equal(side_write(&f.side, SLICE_LITERAL("* BYE\r\n")), 0);
        close_after_flush(&f, NEVER);
        wait_for_far_end(&f);
        assert_slice(far_got(&f.far), SLICE_LITERAL("* BYE\r\n"));
        assert_int_equal(SSL_get_shutdown(f.far.tls->ssl),
                         SSL_RECEIVED_SHUTDOWN | SSL_SENT_SHUTDOWN);
        assert_int_equal(f.side.told[TOLD_FAILED], 0);
        finish(&f);
    }
}

/* Many clients leave without close_notify. */
static void test_client_just_closes(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(versions); i++) {
        struct fixture f;
        open_secured(&f, KIND_TCP, versions[i]);
        side_call(&f.side, stream_read_start);
        settle(&f);
        far_send(&f.far, SLICE_LITERAL("a2 LOGOUT\r\n"));
        wait_for_side(&f, 11);
        shutdown(f.far.descriptor, SHUT_WR);
        wait_until(&f, &f.side.told[TOLD_FAILED], 1);
        assert_int_equal(f.side.why, WHY_SERVER_GONE);
        assert_string_equal(f.side.text, "the peer closed the connection without close_notify");
        assert_slice(buf_bytes(&f.side.got), SLICE_LITERAL("a2 LOGOUT\r\n"));
        finish(&f);
    }
}

/* -- handshakes that fail -- */

/* The alert is the last that the client gets. */
static void check_refused(const struct client_wish *wish, const char *why, int alert)
{
    struct fixture f;
    uint8_t answer[64];
    open_server(&f, KIND_TCP, wish, 2);
    f.far.is_stalled = true;
    side_call(&f.side, stream_read_start);
    wait_until(&f, &f.side.told[TOLD_FAILED], 1);
    assert_int_equal(f.side.why, WHY_UPSTREAM_TLS);
    assert_string_equal(f.side.text, why);
    side_call(&f.side, stream_close);
    loop_run(&f.loop);
    assert_int_equal(recv(f.far.descriptor, answer, sizeof(answer), 0), 7);
    assert_int_equal(answer[0], 21);
    assert_int_equal(answer[6], alert);
    f.far.is_stalled = false;
    wait_for_far_end(&f);
    assert_false(f.far.is_reset);
    assert_int_equal(f.side.told[TOLD_SECURED] + f.side.told[TOLD_READ], 0);
    finish(&f);
}

static void test_refusals_are_said(void **state)
{
    (void)state;
    const struct client_wish old = {.version_max = TLS1_1_VERSION};
    check_refused(&old, "the client speaks nothing newer than TLS 1.1", SSL_AD_PROTOCOL_VERSION);
    const struct client_wish browser = {.alpn = "\2h2\10http/1.1"};
    check_refused(&browser, "the client wants to speak h2, http/1.1, not imap",
                  SSL_AD_NO_APPLICATION_PROTOCOL);
}

static void test_client_without_trust(void **state)
{
    (void)state;
    const struct client_wish wish = {.trusted = all.other_root};
    struct fixture f;
    open_server(&f, KIND_TCP, &wish, 2);
    wait_until(&f, &f.side.told[TOLD_FAILED], 1);
    assert_string_equal(f.side.text, "the client does not trust the certificate");
    finish(&f);
}

static void check_plaintext(struct slice said)
{
    struct fixture f;
    open_plain(&f, KIND_TCP);
    side_start_server(&f.side, 2, NULL);
    side_call(&f.side, stream_read_start);
    far_send(&f.far, said);
    wait_until(&f, &f.side.told[TOLD_FAILED], 1);
    assert_int_equal(f.side.why, WHY_UPSTREAM_TLS);
    assert_string_equal(f.side.text, "a plaintext client on a TLS port");
    settle(&f);
    assert_int_equal(f.side.told[TOLD_READ], 0);
    finish(&f);
}

static void test_plaintext(void **state)
{
    (void)state;
    check_plaintext(SLICE_LITERAL("a1 LOGIN alice secret\r\n"));
    check_plaintext(SLICE_LITERAL("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
}

static void check_gone(size_t sent, void (*leave)(struct far *), const char *text)
{
    const struct client_wish wish = {.trusted = all.root};
    struct fixture f;
    open_server(&f, KIND_TCP, &wish, 2);
    struct slice hello = slice_take(buf_bytes(&f.far.to_send), sent);
    assert_int_equal(send(f.far.descriptor, hello.data, hello.size, MSG_NOSIGNAL), hello.size);
    for (size_t i = 0; i < 20; i++)
        uv_run(&f.loop.uv, UV_RUN_NOWAIT);
    leave(&f.far);
    wait_until(&f, &f.side.told[TOLD_FAILED], 1);
    assert_string_equal(f.side.text, text);
    finish(&f);
}

static void test_client_leaves_in_the_handshake(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 1, 4, 5, 50, 150};
    for (size_t i = 0; i < LENGTH_OF(sizes); i++) {
        check_gone(sizes[i], far_close, "the peer closed the connection during the TLS handshake");
        check_gone(sizes[i], far_reset, "read: connection reset by peer");
    }
}

/* -- we leave in the handshake -- */

static void flush_and_close(struct fixture *f)
{
    f->side.is_in_call = true;
    stream_close_after_flush(f->side.stream, NEVER);
    f->side.is_in_call = false;
    wait_until(f, &f->side.told[TOLD_CLOSED], 1);
    assert_int_equal(f->side.told[TOLD_SECURED] + f->side.told[TOLD_FAILED], 0);
}

static void test_flush_during_handshake(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 3, 100, SIZE_MAX};
    const struct client_wish wish = {.trusted = all.root};
    for (size_t i = 0; i < LENGTH_OF(sizes); i++) {
        struct fixture f;
        open_server(&f, KIND_TCP, &wish, 2);
        struct slice hello = slice_take(buf_bytes(&f.far.to_send), sizes[i]);
        assert_int_equal(send(f.far.descriptor, hello.data, hello.size, MSG_NOSIGNAL), hello.size);
        buf_clear(&f.far.to_send);
        for (size_t j = 0; j < 20; j++)
            uv_run(&f.loop.uv, UV_RUN_NOWAIT);
        flush_and_close(&f);
        finish(&f);
    }
}

/* With plaintext still to go: it goes, then the end. */
static void test_flush_during_handshake_when_congested(void **state)
{
    (void)state;
    size_t size = 2 * 1024 * 1024;
    uint8_t *bytes = pattern(size);
    struct fixture f;
    open_with(&f, KIND_TCP, NULL, true);
    f.far.is_stalled = true;
    assert_int_equal(side_write(&f.side, slice_of(bytes, size)), 0);
    assert_true(stream_is_congested(f.side.stream));
    side_start_server(&f.side, 2, NULL);
    f.side.is_in_call = true;
    stream_close_after_flush(f.side.stream, NEVER);
    f.side.is_in_call = false;
    settle(&f);
    assert_int_equal(f.side.told[TOLD_CLOSED], 0);
    f.far.is_stalled = false;
    wait_for_far_end(&f);
    assert_false(f.far.is_reset);
    assert_slice(far_got(&f.far), slice_of(bytes, size));
    mem_free(bytes);
    finish(&f);
}

static void test_flush_during_handshake_has_a_deadline(void **state)
{
    (void)state;
    size_t size = 2 * 1024 * 1024;
    uint8_t *bytes = pattern(size);
    struct fixture f;
    open_with(&f, KIND_TCP, NULL, true);
    f.far.is_stalled = true;
    assert_int_equal(side_write(&f.side, slice_of(bytes, size)), 0);
    side_start_server(&f.side, 2, NULL);
    f.side.is_in_call = true;
    stream_close_after_flush(f.side.stream, 1);
    f.side.is_in_call = false;
    wait_until(&f, &f.side.told[TOLD_CLOSED], 1);
    mem_free(bytes);
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_command_with_the_handshake),
        cmocka_unit_test(test_goodbyes),
        cmocka_unit_test(test_client_just_closes),
        cmocka_unit_test(test_refusals_are_said),
        cmocka_unit_test(test_client_without_trust),
        cmocka_unit_test(test_plaintext),
        cmocka_unit_test(test_client_leaves_in_the_handshake),
        cmocka_unit_test(test_flush_during_handshake),
        cmocka_unit_test(test_flush_during_handshake_when_congested),
        cmocka_unit_test(test_flush_during_handshake_has_a_deadline),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
