/* TLS on a stream that has begun in plaintext, in both roles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client_fixture.h"
#include "net/dial.h"

/* -- towards a client -- */

static void answer_and_start(struct side *side, enum told told)
{
    if (told != TOLD_READ || stream_tls(side->stream) != NULL)
        return;
    assert_int_equal(side_write(side, SLICE_LITERAL("+OK begin\r\n")), 0);
    side_start_server(side, 2, "pop3");
}

static void open_starttls(struct fixture *f)
{
    open_plain(f, KIND_TCP);
    f->side.react = answer_and_start;
    side_call(&f->side, stream_read_start);
}

static void test_client_upgrades(void **state)
{
    (void)state;
    const struct client_wish wish = {.trusted = all.root, .alpn = "\4pop3"};
    struct fixture f;
    open_starttls(&f);
    far_send(&f.far, SLICE_LITERAL("STLS\r\n"));
    wait_for_far(&f, 11);
    assert_slice(far_got(&f.far), SLICE_LITERAL("+OK begin\r\n"));
    assert_slice(buf_bytes(&f.side.got), SLICE_LITERAL("STLS\r\n"));
    buf_clear(&f.side.got);
    far_start_tls(&f.far, &wish);
    wait_until(&f, &f.side.told[TOLD_SECURED], 1);
    settle(&f);
    far_send(&f.far, SLICE_LITERAL("CAPA\r\n"));
    wait_for_side(&f, 6);
    assert_int_equal(side_write(&f.side, SLICE_LITERAL("+OK\r\n.\r\n")), 0);
    wait_for_far(&f, 8);
    assert_slice(buf_bytes(&f.side.got), SLICE_LITERAL("CAPA\r\n"));
    assert_slice(far_got(&f.far), SLICE_LITERAL("+OK\r\n.\r\n"));
    finish(&f);
}

/* What comes behind the command, but not in one piece with it, is no TLS: it is read by nobody. */
static void test_plaintext_behind_the_command(void **state)
{
    (void)state;
    struct fixture f;
    open_starttls(&f);
    far_send(&f.far, SLICE_LITERAL("STLS\r\n"));
    wait_for_far(&f, 11);
    far_send(&f.far, SLICE_LITERAL("USER alice\r\nPASS secret\r\n"));
    wait_until(&f, &f.side.told[TOLD_FAILED], 1);
    assert_string_equal(f.side.text, "a plaintext client on a TLS port");
    assert_slice(buf_bytes(&f.side.got), SLICE_LITERAL("STLS\r\n"));
    assert_slice(far_got(&f.far), SLICE_LITERAL("+OK begin\r\n"));
    finish(&f);
}

/* The client does not read yet: what was written in plaintext still comes before TLS. */
static void test_order_when_congested(void **state)
{
    (void)state;
    const struct client_wish wish = {.trusted = all.root};
    size_t size = 2 * 1024 * 1024;
    uint8_t *bytes = pattern(size);
    struct fixture f;
    open_with(&f, KIND_TCP, NULL, true);
    f.far.is_stalled = true;
    assert_int_equal(side_write(&f.side, slice_of(bytes, size)), 0);
    assert_int_equal(side_write(&f.side, SLICE_LITERAL("220 go ahead\r\n")), 0);
    assert_true(stream_is_congested(f.side.stream));
    side_start_server(&f.side, 2, NULL);
    /* It cannot wait for the reply and says hello at once: our answer lines up. */
    struct server_connection *tls;
    far_start_tls(&f.far, &wish);
    tls = f.far.tls;
    f.far.tls = NULL;
    settle(&f);
    assert_int_equal(buf_size(&f.far.to_send), 0);
    f.far.is_stalled = false;
    wait_for_far(&f, size + 14 + 1);
    assert_int_equal(f.side.told[TOLD_SECURED] + f.side.told[TOLD_DRAINED], 0);
    assert_slice(slice_take(far_got(&f.far), size), slice_of(bytes, size));
    struct slice rest = slice_skip(far_got(&f.far), size);
    assert_slice(slice_take(rest, 14), SLICE_LITERAL("220 go ahead\r\n"));
    f.far.tls = tls;
    server_read(tls, slice_skip(rest, 14), &f.far.to_send);
    wait_until(&f, &f.side.told[TOLD_SECURED], 1);
    assert_int_equal(side_write(&f.side, SLICE_LITERAL("secret")), 0);
    wait_for_far(&f, 6);
    assert_slice(far_got(&f.far), SLICE_LITERAL("secret"));
    mem_free(bytes);
    finish(&f);
}

static void test_start_after_the_end(void **state)
{
    (void)state;
    struct fixture f;
    open_plain(&f, KIND_TCP);
    side_call(&f.side, stream_read_start);
    far_close(&f.far);
    wait_until(&f, &f.side.told[TOLD_END], 1);
    side_start_server(&f.side, 2, NULL);
    wait_until(&f, &f.side.told[TOLD_FAILED], 1);
    assert_string_equal(f.side.text, "the peer closed the connection during the TLS handshake");
    finish(&f);
}

static void test_start_after_a_failure(void **state)
{
    (void)state;
    struct fixture f;
    open_plain(&f, KIND_TCP);
    side_call(&f.side, stream_read_start);
    far_reset(&f.far);
    wait_until(&f, &f.side.told[TOLD_FAILED], 1);
    side_start_server(&f.side, 2, NULL);
    settle(&f);
    assert_int_equal(f.side.told[TOLD_SECURED], 0);
    finish(&f);
}

/* -- towards a server that was dialled -- */

struct call {
    struct fixture f;
    struct dial *dial;
    unsigned ready, closed;
    int listener;
};

static void on_ready(void *owner, struct stream *stream)
{
    struct call *call = owner;
    call->ready++;
    call->f.side.stream = stream;
    stream_set_owner(stream, &side_ops, &call->f.side);
}

static void on_failed(void *owner, enum why why, const char *text)
{
    (void)owner;
    (void)why;
    fail_msg("dial: %s", text);
}

static void on_closed(void *owner)
{
    struct call *call = owner;
    call->closed++;
}

static const struct dial_ops dial_ops = {
    .on_ready = on_ready, .on_failed = on_failed, .on_closed = on_closed};

static void start_client(struct side *side, enum told told)
{
    const struct tls_settings settings = {.authorities = all.authorities, .host = HOST};
    if (told != TOLD_READ || stream_tls(side->stream) != NULL)
        return;
    /* More than the reply: a real owner closes here. */
    if (buf_size(&side->got) > 14) {
        side_call(side, stream_close);
        return;
    }
    side->is_in_call = true;
    stream_start_tls(side->stream, tls_client_new(&settings));
    side->is_in_call = false;
}

static void call_server(struct call *call)
{
    const struct dial_address address = {.family = 4, .bytes = {127, 0, 0, 1}};
    const struct tls_settings tls = {.authorities = all.authorities, .host = HOST};
    struct dial_settings settings = {
        .addresses = &address, .address_count = 1, .mode = TLS_MODE_STARTTLS, .tls = &tls};
    *call = (struct call){0};
    assert_int_equal(loop_init(&call->f.loop, NULL), 0);
    call->listener = listen_on("127.0.0.1", 8, &settings.port);
    side_init(&call->f.side);
    call->dial = dial_open(&call->f.loop, &settings, &dial_ops, call);
    while (call->ready == 0)
        uv_run(&call->f.loop.uv, UV_RUN_ONCE);
    int descriptor = accept4(call->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(descriptor >= 0);
    far_init(&call->f.far, descriptor, NULL);
    dial_close(call->dial);
    assert_null(stream_tls(call->f.side.stream));
    call->f.side.react = start_client;
    side_call(&call->f.side, stream_read_start);
    assert_int_equal(side_write(&call->f.side, SLICE_LITERAL("STARTTLS\r\n")), 0);
    wait_for_far(&call->f, 10);
    assert_slice(far_got(&call->f.far), SLICE_LITERAL("STARTTLS\r\n"));
    buf_clear(&call->f.far.got);
}

static void hang_up(struct call *call)
{
    close(call->listener);
    finish(&call->f);
    assert_int_equal(call->closed, 1);
}

static void serve_tls(struct call *call, const struct certificate *certificate)
{
    const struct server_wish wish = {.certificate = certificate};
    SSL_CTX *server = server_new(&wish);
    wait_for_far(&call->f, 100); /* the ClientHello */
    call->f.far.tls = server_accept(server);
    SSL_CTX_free(server);
    server_read(call->f.far.tls, buf_bytes(&call->f.far.got), &call->f.far.to_send);
}

static void test_dialled_server_upgrades(void **state)
{
    (void)state;
    struct call call;
    call_server(&call);
    far_send(&call.f.far, SLICE_LITERAL("220 go ahead\r\n"));
    serve_tls(&call, all.good);
    wait_until(&call.f, &call.f.side.told[TOLD_SECURED], 1);
    buf_clear(&call.f.side.got);
    assert_int_equal(side_write(&call.f.side, SLICE_LITERAL("secret")), 0);
    far_send(&call.f.far, SLICE_LITERAL("answer"));
    wait_for_side(&call.f, 6);
    wait_for_far(&call.f, 6);
    assert_slice(buf_bytes(&call.f.side.got), SLICE_LITERAL("answer"));
    assert_slice(far_got(&call.f.far), SLICE_LITERAL("secret"));
    hang_up(&call);
}

static void test_dialled_server_is_verified(void **state)
{
    (void)state;
    const struct certificate_wish wish = {.common_name = HOST, .names = "DNS:" HOST};
    struct certificate *unknown = certificate_new(&wish, all.other_root);
    struct call call;
    call_server(&call);
    far_send(&call.f.far, SLICE_LITERAL("220 go ahead\r\n"));
    serve_tls(&call, unknown);
    wait_until(&call.f, &call.f.side.told[TOLD_FAILED], 1);
    assert_int_equal(call.f.side.why, WHY_UPSTREAM_TLS);
    assert_string_equal(call.f.side.text, "certificate of imap.example.org: unable to get local "
                                          "issuer certificate");
    assert_int_equal(call.f.side.told[TOLD_SECURED], 0);
    assert_int_equal(call.f.far.tls->plain.end, 0);
    hang_up(&call);
    certificate_free(unknown);
}

/* In one piece with the reply it is all there for the owner to see, and to refuse. */
static void test_injection_with_the_reply(void **state)
{
    (void)state;
    struct call call;
    call_server(&call);
    far_send(&call.f.far, SLICE_LITERAL("220 go ahead\r\n250 AUTH PLAIN\r\n"));
    wait_until(&call.f, &call.f.side.told[TOLD_CLOSED], 1);
    assert_slice(buf_bytes(&call.f.side.got), SLICE_LITERAL("220 go ahead\r\n250 AUTH PLAIN\r\n"));
    hang_up(&call);
}

/* After it, it is a broken handshake. */
static void test_injection_behind_the_reply(void **state)
{
    (void)state;
    struct call call;
    call_server(&call);
    far_send(&call.f.far, SLICE_LITERAL("220 go ahead\r\n"));
    wait_for_far(&call.f, 100);
    far_send(&call.f.far, SLICE_LITERAL("250 AUTH PLAIN\r\n"));
    wait_until(&call.f, &call.f.side.told[TOLD_FAILED], 1);
    assert_int_equal(call.f.side.why, WHY_UPSTREAM_TLS);
    assert_string_equal(call.f.side.text, "the server did not answer with TLS");
    assert_slice(buf_bytes(&call.f.side.got), SLICE_LITERAL("220 go ahead\r\n"));
    hang_up(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_upgrades),
        cmocka_unit_test(test_plaintext_behind_the_command),
        cmocka_unit_test(test_order_when_congested),
        cmocka_unit_test(test_start_after_the_end),
        cmocka_unit_test(test_start_after_a_failure),
        cmocka_unit_test(test_dialled_server_upgrades),
        cmocka_unit_test(test_dialled_server_is_verified),
        cmocka_unit_test(test_injection_with_the_reply),
        cmocka_unit_test(test_injection_behind_the_reply),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
