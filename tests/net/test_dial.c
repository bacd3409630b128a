/* Dialling addresses of 127.0.0.0/8 that accept, refuse, or swallow what comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "ends.h"
#include "net/dial.h"

#define HOST "imap.example.org"

static struct test_certificates all;

/* A port on 127.0.0.1 to 127.0.0.8 of which each accepts or not as the test wants. */
struct place {
    int listener;   /* or -1: refused */
    int fillers[4]; /* connections that fill the queue of a black hole */
    size_t filler_count;
};

struct fixture {
    struct loop loop;
    struct place places[9]; /* by the last octet */
    uint16_t port;
    struct dial *dial;
    struct side side;
    struct far far;
    SSL_CTX *server; /* the far end speaks TLS */
    unsigned ready, failed, closed;
    enum why why;
    char text[256];
    bool is_in_open, closes_at_once;
};

static void init(struct fixture *f)
{
    *f = (struct fixture){0};
    assert_int_equal(loop_init(&f->loop, NULL), 0);
    for (size_t i = 0; i < LENGTH_OF(f->places); i++)
        f->places[i].listener = -1;
    side_init(&f->side);
    far_init(&f->far, -1, NULL);
}

static void name_of(unsigned octet, char text[16])
{
    snprintf(text, 16, "127.0.0.%u", octet);
}

static void add_listener(struct fixture *f, unsigned octet, int backlog)
{
    char text[16];
    name_of(octet, text);
    f->places[octet].listener = listen_on(text, backlog, &f->port);
}

/* A listening socket whose queue is full drops what comes: nobody answers. */
static void add_black_hole(struct fixture *f, unsigned octet)
{
    add_listener(f, octet, 0);
    struct place *place = &f->places[octet];
    struct sockaddr_in name;
    socklen_t size = sizeof(name);
    assert_int_equal(getsockname(place->listener, (struct sockaddr *)&name, &size), 0);
    for (size_t i = 0; i < LENGTH_OF(place->fillers); i++) {
        place->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connect(place->fillers[i], (struct sockaddr *)&name, size) != 0)
            assert_int_equal(errno, EINPROGRESS);
        place->filler_count++;
    }
}

/* A port that nobody listens on; given when no listener has set one. */
static void choose_port(struct fixture *f)
{
    if (f->port == 0)
        close(listen_on("127.0.0.1", 1, &f->port));
}

static void on_ready(void *owner, struct stream *stream)
{
    struct fixture *f = owner;
    assert_false(f->is_in_open);
    f->ready++;
    f->side.stream = stream;
    stream_set_owner(stream, &side_ops, &f->side);
    if (f->closes_at_once) {
        stream_close(stream);
        dial_close(f->dial);
    }
}

static void on_failed(void *owner, enum why why, const char *text)
{
    struct fixture *f = owner;
    assert_false(f->is_in_open);
    f->failed++;
    f->why = why;
    snprintf(f->text, sizeof(f->text), "%s", text);
    if (f->closes_at_once)
        dial_close(f->dial);
}

static void on_closed(void *owner)
{
    struct fixture *f = owner;
    assert_false(f->is_in_open);
    f->closed++;
}

static const struct dial_ops ops = {
    .on_ready = on_ready, .on_failed = on_failed, .on_closed = on_closed};

static void dial(struct fixture *f, const char *octets, enum tls_mode mode, const char *host)
{
    struct dial_address addresses[9];
    size_t count = strlen(octets);
    for (size_t i = 0; i < count; i++)
        addresses[i] =
            (struct dial_address){.family = 4, .bytes = {127, 0, 0, (uint8_t)(octets[i] - '0')}};
    struct tls_settings tls = {.authorities = all.authorities, .host = host};
    struct dial_settings settings = {
        .addresses = addresses, .address_count = count, .port = f->port, .mode = mode, .tls = &tls};
    f->is_in_open = true;
    f->dial = dial_open(&f->loop, &settings, &ops, f);
    f->is_in_open = false;
    memset(addresses, 0xee, sizeof(addresses));
    assert_int_equal(f->ready + f->failed + f->closed, 0);
}

static void accept_far(struct fixture *f)
{
    for (size_t i = 0; i < LENGTH_OF(f->places) && f->far.descriptor < 0; i++) {
        if (f->places[i].listener < 0 || f->places[i].filler_count > 0)
            continue;
        int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
        make_nonblocking(f->places[i].listener);
        int descriptor = accept4(f->places[i].listener, NULL, NULL, flags);
        if (descriptor < 0)
            continue;
        far_fini(&f->far);
        far_init(&f->far, descriptor, f->server);
    }
}

static void turn(struct fixture *f)
{
    uv_run(&f->loop.uv, UV_RUN_NOWAIT);
    accept_far(f);
    far_turn(&f->far);
}

static void assert_not_trying(uv_handle_t *handle, void *unused)
{
    (void)unused;
    bool is_of_dial = handle->type == UV_POLL || handle->type == UV_TIMER;
    assert_false(is_of_dial && uv_is_active(handle) && !uv_is_closing(handle));
}

static void wait_for_outcome(struct fixture *f)
{
    int64_t end = clock_steady_milliseconds() + PATIENCE_SECONDS * 1000;
    while (f->ready + f->failed == 0) {
        turn(f);
        assert_true(clock_steady_milliseconds() < end);
    }
    uv_walk(&f->loop.uv, assert_not_trying, NULL);
}

static void finish(struct fixture *f)
{
    unsigned outcomes = f->ready + f->failed;
    if (!f->closes_at_once) {
        assert_int_equal(f->closed, 0);
        dial_close(f->dial);
        dial_close(f->dial);
        assert_int_equal(f->closed, 0);
        if (f->side.stream != NULL)
            stream_close(f->side.stream);
    }
    loop_run(&f->loop);
    assert_int_equal(f->closed, 1);
    assert_int_equal(f->ready + f->failed, outcomes);
    assert_int_equal(f->side.told[TOLD_CLOSED], f->side.stream != NULL ? 1 : 0);
    loop_fini(&f->loop);
    for (size_t i = 0; i < LENGTH_OF(f->places); i++) {
        if (f->places[i].listener >= 0)
            close(f->places[i].listener);
        for (size_t j = 0; j < f->places[i].filler_count; j++)
            close(f->places[i].fillers[j]);
    }
    side_fini(&f->side);
    far_fini(&f->far);
    SSL_CTX_free(f->server);
}

static void assert_peer(struct fixture *f, const char *expected)
{
    struct sockaddr_in name;
    socklen_t size = sizeof(name);
    char text[INET_ADDRSTRLEN];
    while (f->far.descriptor < 0)
        accept_far(f);
    assert_int_equal(getsockname(f->far.descriptor, (struct sockaddr *)&name, &size), 0);
    assert_non_null(inet_ntop(AF_INET, &name.sin_addr, text, sizeof(text)));
    assert_string_equal(text, expected);
}

/* The stream that came works. */
static void check_conversation(struct fixture *f)
{
    int64_t end = clock_steady_milliseconds() + PATIENCE_SECONDS * 1000;
    stream_read_start(f->side.stream);
    assert_int_equal(side_write(&f->side, SLICE_LITERAL("ping")), 0);
    far_send(&f->far, SLICE_LITERAL("pong"));
    while (buf_size(&f->side.got) < 4 || far_got(&f->far).size < 4) {
        turn(f);
        assert_true(clock_steady_milliseconds() < end);
    }
    assert_memory_equal(buf_bytes(&f->side.got).data, "pong", 4);
    assert_memory_equal(far_got(&f->far).data, "ping", 4);
}

static char *refusal(const struct fixture *f, unsigned octet, char text[80])
{
    snprintf(text, 80, "connect to 127.0.0.%u port %u: connection refused", octet, f->port);
    return text;
}

/* -- connecting -- */

static void test_first_address_works(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    add_listener(&f, 1, 8);
    add_listener(&f, 2, 8);
    dial(&f, "12", TLS_MODE_OFF, NULL);
    wait_for_outcome(&f);
    assert_int_equal(f.ready, 1);
    assert_peer(&f, "127.0.0.1");
    assert_null(stream_tls(f.side.stream));
    check_conversation(&f);
    finish(&f);
}

static void test_refused_then_next(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    add_listener(&f, 4, 8);
    dial(&f, "1234", TLS_MODE_STARTTLS, NULL);
    wait_for_outcome(&f);
    assert_int_equal(f.ready, 1);
    assert_peer(&f, "127.0.0.4");
    check_conversation(&f);
    finish(&f);
}

static void test_silent_then_next(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    add_black_hole(&f, 1);
    add_black_hole(&f, 2);
    add_listener(&f, 3, 8);
    dial(&f, "123", TLS_MODE_OFF, NULL);
    wait_for_outcome(&f);
    assert_int_equal(f.ready, 1);
    assert_peer(&f, "127.0.0.3");
    check_conversation(&f);
    finish(&f);
}

static void test_silent_and_refused(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    add_black_hole(&f, 1);
    add_listener(&f, 4, 8);
    dial(&f, "1234", TLS_MODE_OFF, NULL);
    wait_for_outcome(&f);
    assert_int_equal(f.ready, 1);
    assert_peer(&f, "127.0.0.4");
    finish(&f);
}

static void test_all_refused(void **state)
{
    (void)state;
    char text[80];
    for (size_t count = 1; count <= 8; count += 7) {
        struct fixture f;
        init(&f);
        choose_port(&f);
        dial(&f, count == 1 ? "1" : "12345678", TLS_MODE_OFF, NULL);
        wait_for_outcome(&f);
        assert_int_equal(f.failed, 1);
        assert_int_equal(f.why, WHY_UNREACHABLE);
        assert_string_equal(f.text, refusal(&f, (unsigned)count, text));
        finish(&f);
    }
}

static void test_refused_beside_a_silent_one(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    add_black_hole(&f, 1);
    dial(&f, "12", TLS_MODE_OFF, NULL);
    /* Long enough for the second to be tried and refused: the first is still waited for. */
    int64_t end = clock_steady_milliseconds() + 600;
    while (clock_steady_milliseconds() < end)
        uv_run(&f.loop.uv, UV_RUN_NOWAIT);
    assert_int_equal(f.ready + f.failed, 0);
    /* Room in the queue: the client's next SYN gets through. */
    struct place *place = &f.places[1];
    for (size_t i = 0; i < place->filler_count; i++)
        close(place->fillers[i]);
    place->filler_count = 0;
    end = clock_steady_milliseconds() + PATIENCE_SECONDS * 1000;
    while (f.ready + f.failed == 0 && clock_steady_milliseconds() < end) {
        far_close(&f.far); /* of a filler */
        turn(&f);
    }
    assert_int_equal(f.ready, 1);
    finish(&f);
}

static void test_no_address(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    choose_port(&f);
    dial(&f, "", TLS_MODE_OFF, NULL);
    wait_for_outcome(&f);
    assert_int_equal(f.failed, 1);
    assert_string_equal(f.text, "no address to connect to");
    finish(&f);
}

static void test_six(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t size = sizeof(name);
    int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&name, size), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&name, &size), 0);
    /* The documentation prefix leads nowhere; whatever it comes to, the other one is reached. */
    struct dial_address addresses[] = {
        {.family = 6, .bytes = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}},
        {.family = 6, .bytes = {[15] = 1}},
    };
    struct dial_settings settings = {.addresses = addresses,
                                     .address_count = LENGTH_OF(addresses),
                                     .port = ntohs(name.sin6_port),
                                     .mode = TLS_MODE_OFF};
    f.dial = dial_open(&f.loop, &settings, &ops, &f);
    wait_for_outcome(&f);
    assert_int_equal(f.ready, 1);
    close(listener);
    finish(&f);
}

/* -- closing -- */

static void check_close(const char *octets, bool has_black_hole, size_t turns)
{
    struct fixture f;
    init(&f);
    if (has_black_hole)
        add_black_hole(&f, 1);
    add_listener(&f, 2, 8);
    dial(&f, octets, TLS_MODE_ON, HOST);
    for (size_t i = 0; i < turns; i++)
        uv_run(&f.loop.uv, UV_RUN_NOWAIT);
    assert_int_equal(f.ready + f.failed, 0);
    finish(&f);
}

static void test_close_in_each_phase(void **state)
{
    (void)state;
    check_close("", false, 0);
    check_close("2", false, 0);
    check_close("2", false, 1);
    check_close("2", false, 2);
    check_close("2", false, 20); /* in the handshake: nobody answers */
    check_close("12", true, 0);
    check_close("12", true, 5);
    check_close("341", true, 1); /* the others refuse at once */
}

static void test_close_within_callbacks(void **state)
{
    (void)state;
    for (int is_refused = 0; is_refused < 2; is_refused++) {
        struct fixture f;
        init(&f);
        f.closes_at_once = true;
        if (is_refused)
            choose_port(&f);
        else
            add_listener(&f, 1, 8);
        dial(&f, "1", TLS_MODE_OFF, NULL);
        wait_for_outcome(&f);
        assert_int_equal(is_refused ? f.failed : f.ready, 1);
        finish(&f);
    }
}

static void test_close_after_ready_leaves_the_stream(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    add_listener(&f, 1, 8);
    dial(&f, "1", TLS_MODE_OFF, NULL);
    wait_for_outcome(&f);
    dial_close(f.dial);
    assert_peer(&f, "127.0.0.1");
    int64_t end = clock_steady_milliseconds() + PATIENCE_SECONDS * 1000;
    while (f.closed == 0 && clock_steady_milliseconds() < end)
        turn(&f);
    assert_int_equal(f.closed, 1);
    check_conversation(&f);
    stream_close(f.side.stream);
    f.closes_at_once = true; /* it is closed */
    finish(&f);
}

/* -- TLS -- */

static void init_tls(struct fixture *f, const struct certificate *certificate)
{
    struct server_wish wish = {.certificate = certificate, .version_max = TLS1_2_VERSION};
    init(f);
    f->server = server_new(&wish);
    add_listener(f, 2, 8);
    add_listener(f, 3, 8);
}

static void test_tls(void **state)
{
    (void)state;
    struct fixture f;
    init_tls(&f, all.good);
    dial(&f, "123", TLS_MODE_ON, HOST);
    wait_for_outcome(&f);
    assert_int_equal(f.ready, 1);
    assert_peer(&f, "127.0.0.2");
    assert_non_null(stream_tls(f.side.stream));
    assert_int_equal(tls_state(stream_tls(f.side.stream)), TLS_OPEN);
    check_conversation(&f);
    finish(&f);
}

static void test_starttls_is_plain_at_first(void **state)
{
    (void)state;
    struct fixture f;
    init_tls(&f, all.good);
    dial(&f, "2", TLS_MODE_STARTTLS, HOST);
    wait_for_outcome(&f);
    assert_int_equal(f.ready, 1);
    assert_null(stream_tls(f.side.stream));
    finish(&f);
}

static void test_bad_certificate_ends_it(void **state)
{
    (void)state;
    struct fixture f;
    char expected[160];
    init_tls(&f, all.good);
    dial(&f, "23", TLS_MODE_ON, "other.example.org");
    wait_for_outcome(&f);
    assert_int_equal(f.failed, 1);
    assert_int_equal(f.why, WHY_UPSTREAM_TLS);
    snprintf(expected, sizeof(expected),
             "TLS with 127.0.0.2 port %u: hostname mismatch: the certificate is not for "
             "other.example.org",
             f.port);
    assert_string_equal(f.text, expected);
    /* No second attempt, at this address or the other. */
    for (size_t i = 0; i < 50; i++)
        turn(&f);
    make_nonblocking(f.places[2].listener);
    make_nonblocking(f.places[3].listener);
    assert_int_equal(accept(f.places[2].listener, NULL, NULL), -1);
    assert_int_equal(accept(f.places[3].listener, NULL, NULL), -1);
    finish(&f);
}

static void check_bad_server(void (*act)(struct far *), enum why why, const char *text)
{
    struct fixture f;
    char expected[160];
    init(&f);
    add_listener(&f, 2, 8);
    dial(&f, "2", TLS_MODE_ON, HOST);
    int64_t end = clock_steady_milliseconds() + PATIENCE_SECONDS * 1000;
    while (far_got(&f.far).size == 0) {
        turn(&f);
        assert_true(clock_steady_milliseconds() < end);
    }
    act(&f.far);
    while (f.failed == 0) {
        uv_run(&f.loop.uv, UV_RUN_NOWAIT);
        assert_true(clock_steady_milliseconds() < end);
    }
    snprintf(expected, sizeof(expected), "TLS with 127.0.0.2 port %u: %s", f.port, text);
    assert_string_equal(f.text, expected);
    assert_int_equal(f.why, why);
    finish(&f);
}

static void say_hello(struct far *far)
{
    far_send(far, SLICE_LITERAL("* OK IMAP4rev1\r\n"));
    far_turn(far);
}

static void test_bad_servers(void **state)
{
    (void)state;
    check_bad_server(say_hello, WHY_UPSTREAM_TLS, "the server did not answer with TLS");
    check_bad_server(far_close, WHY_UPSTREAM_TLS,
                     "the peer closed the connection during the TLS handshake");
    check_bad_server(far_reset, WHY_UNREACHABLE, "read: connection reset by peer");
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
        cmocka_unit_test(test_first_address_works),
        cmocka_unit_test(test_refused_then_next),
        cmocka_unit_test(test_silent_then_next),
        cmocka_unit_test(test_silent_and_refused),
        cmocka_unit_test(test_all_refused),
        cmocka_unit_test(test_refused_beside_a_silent_one),
        cmocka_unit_test(test_no_address),
        cmocka_unit_test(test_six),
        cmocka_unit_test(test_close_in_each_phase),
        cmocka_unit_test(test_close_within_callbacks),
        cmocka_unit_test(test_close_after_ready_leaves_the_stream),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_starttls_is_plain_at_first),
        cmocka_unit_test(test_bad_certificate_ends_it),
        cmocka_unit_test(test_bad_servers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
