/* A stream with TLS; and what either kind keeps when the receiver does not read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>

#include "stream_fixture.h"

/* -- with TLS -- */

static struct tls *new_client(const char *host)
{
    struct tls_settings settings = {.authorities = all.authorities, .host = host};
    return tls_client_new(&settings);
}

static void start_tls(struct fixture *f, const char *host)
{
    struct tls *tls = new_client(host);
    f->side.is_in_call = true;
    stream_start_tls(f->side.stream, tls);
    f->side.is_in_call = false;
    assert_ptr_equal(stream_tls(f->side.stream), tls);
}

static void open_tls(struct fixture *f, int version_max)
{
    struct server_wish wish = {.certificate = all.good, .version_max = version_max};
    SSL_CTX *server = server_new(&wish);
    open_with(f, KIND_TCP, server, true);
    SSL_CTX_free(server); /* the connection holds it */
    start_tls(f, HOST);
}

static void open_secured(struct fixture *f, int version_max)
{
    open_tls(f, version_max);
    wait_until(f, &f->side.told[TOLD_SECURED], 1);
}

static const int versions[] = {TLS1_3_VERSION, TLS1_2_VERSION};

static void test_tls_both_ways(void **state)
{
    (void)state;
    size_t size = 5 * 1024 * 1024 / 2;
    uint8_t *bytes = pattern(size);
    for (size_t i = 0; i < LENGTH_OF(versions); i++) {
        struct fixture f;
        open_secured(&f, versions[i]);
        side_call(&f.side, stream_read_start);
        assert_int_equal(side_write(&f.side, slice_of(bytes, size)), 0);
        far_send(&f.far, slice_of(bytes, size));
        wait_for_side(&f, size);
        wait_for_far(&f, size);
        assert_slice(buf_bytes(&f.side.got), slice_of(bytes, size));
        assert_slice(far_got(&f.far), slice_of(bytes, size));
        finish(&f);
    }
    mem_free(bytes);
}

/* Up to where the server has what it needs and the client waits for the end of the handshake: in
 * TLS 1.2 the greeting may come in one piece with that. */
static void open_almost_secured(struct fixture *f)
{
    open_tls(f, TLS1_2_VERSION);
    int64_t end = clock_steady_milliseconds() + PATIENCE_SECONDS * 1000;
    for (;;) {
        uv_run(&f->loop.uv, UV_RUN_NOWAIT);
        far_read(&f->far);
        if (SSL_is_init_finished(f->far.tls->ssl))
            return;
        far_turn(&f->far);
        assert_true(clock_steady_milliseconds() < end);
    }
}

static void test_greeting_with_the_handshake(void **state)
{
    (void)state;
    for (int is_wanted = 0; is_wanted < 2; is_wanted++) {
        struct fixture f;
        open_almost_secured(&f);
        if (is_wanted)
            side_call(&f.side, stream_read_start);
        far_send(&f.far, SLICE_LITERAL("* OK ready\r\n"));
        server_end(f.far.tls, &f.far.to_send);
        wait_until(&f, &f.side.told[TOLD_SECURED], 1);
        settle(&f);
        if (!is_wanted) {
            assert_int_equal(f.side.told[TOLD_READ], 0);
            assert_int_equal(f.side.told[TOLD_END], 0);
            side_call(&f.side, stream_read_start);
        }
        wait_until(&f, &f.side.told[TOLD_END], 1);
        assert_slice(buf_bytes(&f.side.got), SLICE_LITERAL("* OK ready\r\n"));
        finish(&f);
    }
}

static void test_failure_with_the_handshake(void **state)
{
    (void)state;
    struct fixture f;
    open_almost_secured(&f);
    side_call(&f.side, stream_read_start);
    far_send(&f.far, SLICE_LITERAL("* OK ready\r\n"));
    assert_int_equal(buf_append(&f.far.to_send, SLICE_LITERAL("plaintext\r\n")), 0);
    wait_until(&f, &f.side.told[TOLD_FAILED], 1);
    assert_int_equal(f.side.why, WHY_UPSTREAM_TLS);
    assert_int_equal(f.side.told[TOLD_SECURED], 0);
    assert_int_equal(f.side.told[TOLD_READ], 0);
    finish(&f);
}

static void test_stop_before_what_is_held(void **state)
{
    (void)state;
    struct fixture f;
    open_almost_secured(&f);
    far_send(&f.far, SLICE_LITERAL("held"));
    wait_until(&f, &f.side.told[TOLD_SECURED], 1);
    settle(&f);
    side_call(&f.side, stream_read_start);
    side_call(&f.side, stream_read_stop);
    settle(&f);
    assert_int_equal(f.side.told[TOLD_READ], 0);
    far_send(&f.far, SLICE_LITERAL(" and more"));
    side_call(&f.side, stream_read_start);
    wait_for_side(&f, 13);
    assert_slice(buf_bytes(&f.side.got), SLICE_LITERAL("held and more"));
    finish(&f);
}

static void start_the_other(struct side *side, enum told told)
{
    struct side *other = side->data;
    if (told == TOLD_READ)
        side_call(other, stream_read_start);
}

static void wait_until_readable(int descriptor)
{
    struct pollfd wanted = {.fd = descriptor, .events = POLLIN};
    assert_int_equal(poll(&wanted, 1, PATIENCE_SECONDS * 1000), 1);
}

/* What follows is readable in the same turn in which another stream's callback starts to read. */
static void test_what_is_held_comes_first(void **state)
{
    (void)state;
    struct fixture f;
    struct side other;
    int pair[2];
    open_almost_secured(&f);
    tcp_pair(pair);
    side_init(&other);
    other.data = &f.side;
    other.react = start_the_other;
    assert_int_equal(stream_open(&f.loop, pair[0], &side_ops, &other, &other.stream, NULL), 0);
    side_call(&other, stream_read_start);
    far_send(&f.far, SLICE_LITERAL("held"));
    far_turn(&f.far);
    while (f.side.told[TOLD_SECURED] == 0)
        uv_run(&f.loop.uv, UV_RUN_NOWAIT);
    uv_run(&f.loop.uv, UV_RUN_NOWAIT); /* epoll forgets that it has just been ready */
    assert_int_equal(send(pair[1], "x", 1, 0), 1);
    wait_until_readable(pair[0]);
    far_send(&f.far, SLICE_LITERAL(" and more"));
    far_turn(&f.far);
    wait_until_readable(f.descriptor);
    wait_for_side(&f, 13);
    assert_slice(buf_bytes(&f.side.got), SLICE_LITERAL("held and more"));
    stream_close(other.stream);
    close(pair[1]);
    finish(&f);
    assert_int_equal(other.told[TOLD_CLOSED], 1);
    side_fini(&other);
}

static void test_tls_half_close(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(versions); i++) {
        struct fixture f;
        open_secured(&f, versions[i]);
        side_call(&f.side, stream_read_start);
        far_send(&f.far, SLICE_LITERAL("bye"));
        server_end(f.far.tls, &f.far.to_send);
        wait_until(&f, &f.side.told[TOLD_END], 1);
        assert_slice(buf_bytes(&f.side.got), SLICE_LITERAL("bye"));
        assert_int_equal(side_write(&f.side, SLICE_LITERAL("the rest")), 0);
        side_call(&f.side, stream_end);
        wait_for_far_end(&f);
        assert_slice(far_got(&f.far), SLICE_LITERAL("the rest"));
        assert_int_equal(SSL_get_shutdown(f.far.tls->ssl),
                         SSL_RECEIVED_SHUTDOWN | SSL_SENT_SHUTDOWN);
        far_close(&f.far);
        settle(&f);
        assert_int_equal(f.side.told[TOLD_FAILED], 0);
        finish(&f);
    }
}

/* The other order: we have finished, the server goes on, and changes its keys meanwhile. */
static void test_tls_half_close_of_ours(void **state)
{
    (void)state;
    struct fixture f;
    open_secured(&f, TLS1_3_VERSION);
    side_call(&f.side, stream_read_start);
    side_call(&f.side, stream_end);
    wait_for_far_end(&f);
    assert_int_equal(SSL_key_update(f.far.tls->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    far_send(&f.far, SLICE_LITERAL("still "));
    wait_for_side(&f, 6);
    assert_int_equal(SSL_key_update(f.far.tls->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    far_send(&f.far, SLICE_LITERAL("here"));
    server_end(f.far.tls, &f.far.to_send);
    wait_until(&f, &f.side.told[TOLD_END], 1);
    assert_slice(buf_bytes(&f.side.got), SLICE_LITERAL("still here"));
    assert_int_equal(f.side.told[TOLD_FAILED], 0);
    finish(&f);
}

static void test_tls_flush_says_goodbye(void **state)
{
    (void)state;
    struct fixture f;
    size_t size = 2 * 1024 * 1024;
    uint8_t *bytes = pattern(size);
    open_secured(&f, TLS1_3_VERSION);
    f.far.is_stalled = true;
    assert_int_equal(side_write(&f.side, slice_of(bytes, size)), 0);
    close_after_flush(&f, NEVER);
    settle(&f);
    f.far.is_stalled = false;
    wait_for_far_end(&f);
    assert_slice(far_got(&f.far), slice_of(bytes, size));
    assert_int_equal(SSL_get_shutdown(f.far.tls->ssl), SSL_RECEIVED_SHUTDOWN);
    mem_free(bytes);
    finish(&f);
}

static void test_truncation(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(versions); i++) {
        struct fixture f;
        open_secured(&f, versions[i]);
        side_call(&f.side, stream_read_start);
        far_send(&f.far, SLICE_LITERAL("half a mess"));
        wait_for_side(&f, 11);
        shutdown(f.far.descriptor, SHUT_WR);
        wait_until(&f, &f.side.told[TOLD_FAILED], 1);
        assert_int_equal(f.side.why, WHY_SERVER_GONE);
        assert_string_equal(f.side.text, "the peer closed the connection without close_notify");
        assert_int_equal(f.side.told[TOLD_END], 0);
        finish(&f);
    }
}

static void test_tls_record_damaged_on_the_way(void **state)
{
    (void)state;
    struct fixture f;
    open_secured(&f, TLS1_3_VERSION);
    side_call(&f.side, stream_read_start);
    far_send(&f.far, SLICE_LITERAL("fine"));
    assert_int_equal(buf_append(&f.far.to_send, SLICE_LITERAL("\x17\x03\x03\x00\x20"
                                                              "0123456789abcdef0123456789abcdef")),
                     0);
    wait_until(&f, &f.side.told[TOLD_FAILED], 1);
    assert_slice(buf_bytes(&f.side.got), SLICE_LITERAL("fine"));
    assert_int_equal(f.side.why, WHY_UPSTREAM_TLS);
    assert_int_equal(side_write(&f.side, SLICE_LITERAL("x")), ERR_CLOSED);
    finish(&f);
}

/* The handshake in pieces: the server's flight is cut at `sent` octets, then something happens. */
static void check_cut_handshake(size_t sent, bool by_reset, bool by_us)
{
    struct fixture f;
    open_tls(&f, TLS1_3_VERSION);
    int64_t end = clock_steady_milliseconds() + PATIENCE_SECONDS * 1000;
    while (buf_size(&f.far.to_send) == 0) {
        uv_run(&f.loop.uv, UV_RUN_NOWAIT);
        far_read(&f.far);
        assert_true(clock_steady_milliseconds() < end);
    }
    struct slice part = slice_take(buf_bytes(&f.far.to_send), sent);
    assert_int_equal(send(f.far.descriptor, part.data, part.size, MSG_NOSIGNAL), part.size);
    for (size_t i = 0; i < 20; i++)
        uv_run(&f.loop.uv, UV_RUN_NOWAIT);
    assert_int_equal(f.side.told[TOLD_SECURED] + f.side.told[TOLD_FAILED], 0);
    if (by_us) {
        finish(&f);
        return;
    }
    if (by_reset)
        far_reset(&f.far);
    else
        far_close(&f.far);
    wait_until(&f, &f.side.told[TOLD_FAILED], 1);
    if (by_reset) {
        assert_int_equal(f.side.why, WHY_UNREACHABLE);
        assert_string_equal(f.side.text, "read: connection reset by peer");
    } else {
        assert_int_equal(f.side.why, WHY_UPSTREAM_TLS);
        assert_string_equal(f.side.text, "the peer closed the connection during the TLS handshake");
    }
    finish(&f);
}

static void test_handshake_is_cut(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 3, 90, 200, 700};
    for (size_t i = 0; i < LENGTH_OF(sizes); i++) {
        check_cut_handshake(sizes[i], false, false);
        check_cut_handshake(sizes[i], true, false);
        check_cut_handshake(sizes[i], false, true);
    }
}

static void test_bad_certificate(void **state)
{
    (void)state;
    struct fixture f;
    struct server_wish wish = {.certificate = all.good};
    SSL_CTX *server = server_new(&wish);
    open_with(&f, KIND_TCP, server, false);
    SSL_CTX_free(server);
    start_tls(&f, "other.example.org");
    wait_until(&f, &f.side.told[TOLD_FAILED], 1);
    assert_int_equal(f.side.why, WHY_UPSTREAM_TLS);
    assert_string_equal(f.side.text,
                        "hostname mismatch: the certificate is not for other.example.org");
    assert_int_equal(f.side.told[TOLD_SECURED], 0);
    settle(&f);
    assert_int_equal(SSL_get_shutdown(f.far.tls->ssl), SSL_RECEIVED_SHUTDOWN); /* by an alert */
    finish(&f);
}

static void test_plaintext_instead_of_tls(void **state)
{
    (void)state;
    struct fixture f;
    open_plain(&f, KIND_TCP);
    start_tls(&f, HOST);
    wait_for_far(&f, 100);
    far_send(&f.far, SLICE_LITERAL("* OK plaintext\r\n"));
    wait_until(&f, &f.side.told[TOLD_FAILED], 1);
    assert_string_equal(f.side.text, "the server did not answer with TLS");
    assert_int_equal(f.side.told[TOLD_READ], 0);
    finish(&f);
}

static void test_no_host_name(void **state)
{
    (void)state;
    struct fixture f;
    open_plain(&f, KIND_TCP);
    start_tls(&f, ".example.org");
    wait_until(&f, &f.side.told[TOLD_FAILED], 1);
    assert_int_equal(f.side.why, WHY_UPSTREAM_TLS);
    finish(&f);
}

static void start_tls_on_read(struct side *side, enum told told)
{
    if (told == TOLD_READ && stream_tls(side->stream) == NULL) {
        side->is_in_call = true;
        stream_start_tls(side->stream, new_client(HOST));
        side->is_in_call = false;
    }
}

static void test_starttls(void **state)
{
    (void)state;
    struct fixture f;
    open_plain(&f, KIND_TCP);
    f.side.react = start_tls_on_read;
    side_call(&f.side, stream_read_start);
    far_send(&f.far, SLICE_LITERAL("220 go ahead\r\n"));
    wait_for_side(&f, 14);
    buf_clear(&f.side.got);
    struct server_wish wish = {.certificate = all.good};
    SSL_CTX *server = server_new(&wish);
    f.far.tls = server_accept(server);
    SSL_CTX_free(server);
    /* The ClientHello is there already, unread by TLS. */
    server_read(f.far.tls, buf_bytes(&f.far.got), &f.far.to_send);
    wait_until(&f, &f.side.told[TOLD_SECURED], 1);
    far_send(&f.far, SLICE_LITERAL("secret"));
    wait_for_side(&f, 6);
    assert_slice(buf_bytes(&f.side.got), SLICE_LITERAL("secret"));
    finish(&f);
}

static void close_on_secured(struct side *side, enum told told)
{
    if (told == TOLD_SECURED)
        side_call(side, stream_close);
}

static void test_close_when_secured(void **state)
{
    (void)state;
    struct fixture f;
    open_tls(&f, TLS1_2_VERSION);
    side_call(&f.side, stream_read_start);
    f.side.react = close_on_secured;
    wait_until(&f, &f.side.told[TOLD_CLOSED], 1);
    assert_int_equal(f.side.told[TOLD_READ], 0);
    finish(&f);
}

static void test_flush_during_handshake(void **state)
{
    (void)state;
    struct fixture f;
    open_tls(&f, TLS1_3_VERSION);
    f.side.is_in_call = true;
    stream_close_after_flush(f.side.stream, NEVER);
    f.side.is_in_call = false;
    wait_until(&f, &f.side.told[TOLD_CLOSED], 1);
    assert_int_equal(f.side.told[TOLD_SECURED], 0);
    finish(&f);
}

/* -- back-pressure -- */

struct relay {
    struct side *from, *to;
    size_t most_kept;
};

static void relay_on(struct side *side, enum told told)
{
    struct relay *relay = side->data;
    if (side == relay->from && told == TOLD_READ) {
        assert_int_equal(side_write(relay->to, buf_bytes(&side->got)), 0);
        buf_clear(&side->got);
        if (stream_is_congested(relay->to->stream))
            side_call(relay->from, stream_read_stop);
    }
    if (stream_kept(relay->to->stream) > relay->most_kept)
        relay->most_kept = stream_kept(relay->to->stream);
    if (side == relay->to && told == TOLD_DRAINED) {
        assert_false(stream_is_congested(side->stream));
        assert_int_equal(stream_kept(side->stream), 0);
        side_call(relay->from, stream_read_start);
    }
}

static void check_back_pressure(SSL_CTX *server, size_t total)
{
    struct fixture f; /* the receiving end */
    struct side source;
    struct far sender;
    struct relay relay = {.from = &source, .to = &f.side};
    int pair[2];
    open_with(&f, KIND_TCP, server, false);
    tcp_pair(pair);
    side_init(&source);
    far_init(&sender, pair[1], NULL);
    assert_int_equal(stream_open(&f.loop, pair[0], &side_ops, &source, &source.stream, NULL), 0);
    if (server != NULL) {
        struct tls_settings settings = {.authorities = all.authorities, .host = HOST};
        stream_start_tls(f.side.stream, tls_client_new(&settings));
        wait_until(&f, &f.side.told[TOLD_SECURED], 1);
    }
    source.data = f.side.data = &relay;
    source.react = f.side.react = relay_on;
    side_call(&source, stream_read_start);
    f.far.is_stalled = true;
    uint8_t *bytes = pattern(1024 * 1024);
    size_t sent = 0, received = 0, idle_turns = 0;
    int64_t end = clock_steady_milliseconds() + PATIENCE_SECONDS * 1000;
    while (received < total) {
        if (buf_size(&sender.to_send) == 0 && sent < total) {
            far_send(&sender, slice_of(bytes, 1024 * 1024));
            sent += 1024 * 1024;
        }
        size_t before = buf_size(&sender.to_send);
        far_turn(&sender);
        turn(&f);
        idle_turns = before == buf_size(&sender.to_send) ? idle_turns + 1 : 0;
        if (idle_turns == 100) /* everything between the two is full: let go */
            f.far.is_stalled = false;
        struct slice got = far_got(&f.far);
        for (size_t done = 0; done < got.size;) {
            size_t at = (received + done) % (1024 * 1024);
            struct slice part = slice_take(slice_skip(got, done), 1024 * 1024 - at);
            assert_memory_equal(part.data, bytes + at, part.size);
            done += part.size;
        }
        received += got.size;
        buf_clear(server != NULL ? &f.far.tls->plain : &f.far.got);
        assert_true(clock_steady_milliseconds() < end);
    }
    assert_int_equal(received, total);
    assert_true(f.side.told[TOLD_DRAINED] > 0);
    assert_true(relay.most_kept > 0);
    assert_true(relay.most_kept <= LOOP_CIPHER_SIZE);
    mem_free(bytes);
    source.react = f.side.react = NULL;
    stream_close(source.stream);
    finish(&f);
    assert_int_equal(source.told[TOLD_CLOSED], 1);
    side_fini(&source);
    far_fini(&sender);
}

static void test_back_pressure(void **state)
{
    (void)state;
    check_back_pressure(NULL, 64u * 1024 * 1024);
}

static void test_back_pressure_with_tls(void **state)
{
    (void)state;
    struct server_wish wish = {.certificate = all.good};
    SSL_CTX *server = server_new(&wish);
    check_back_pressure(server, 64u * 1024 * 1024);
    SSL_CTX_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls_both_ways),
        cmocka_unit_test(test_greeting_with_the_handshake),
        cmocka_unit_test(test_failure_with_the_handshake),
        cmocka_unit_test(test_stop_before_what_is_held),
        cmocka_unit_test(test_what_is_held_comes_first),
        cmocka_unit_test(test_tls_half_close),
        cmocka_unit_test(test_tls_half_close_of_ours),
        cmocka_unit_test(test_tls_flush_says_goodbye),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_tls_record_damaged_on_the_way),
        cmocka_unit_test(test_handshake_is_cut),
        cmocka_unit_test(test_bad_certificate),
        cmocka_unit_test(test_plaintext_instead_of_tls),
        cmocka_unit_test(test_no_host_name),
        cmocka_unit_test(test_starttls),
        cmocka_unit_test(test_close_when_secured),
        cmocka_unit_test(test_flush_during_handshake),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_back_pressure_with_tls),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
