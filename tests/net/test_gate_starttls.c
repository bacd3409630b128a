/*
 * STARTTLS upstream on real sockets, in the three protocols: what is said in which order, and what
 * becomes of the session when the server refuses, is silent, leaves, or somebody speaks for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gate_world.h"

#define SHORT_TIME 500

/* ---- what is expected ---- */

static const struct expectation {
    enum protocol protocol;
    const char *heard;    /* of a login, less the token; <TLS> is where TLS begins */
    const char *request;  /* what may be heard before it */
    const char *token;    /* the line that has it begins so */
    const char *said;     /* before the words of a failure: no more is to be seen of it */
    const char *ending;   /* before last words */
    const char *injected; /* somebody's words behind the server's */
} expectations[] = {
    {PROTOCOL_IMAP, "STARTTLS\r\n<TLS>\r\nCAPABILITY\r\n", "e1 STARTTLS\r\n",
     "AUTHENTICATE XOAUTH2 dXNlcj", "in NO [UNAVAILABLE] ", "* BYE ",
     "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"},
    {PROTOCOL_POP3, "STLS\r\n<TLS>\r\nCAPA\r\nAUTH XOAUTH2\r\n", "STLS\r\n", "dXNlcj",
     "+OK\r\n-ERR [SYS/TEMP] ", "-ERR [SYS/TEMP] ", "+OK injected\r\n"},
    {PROTOCOL_SMTP, "EHLO [127.0.0.1]\r\nSTARTTLS\r\n<TLS>\r\nEHLO [127.0.0.1]\r\nAUTH XOAUTH2\r\n",
     "EHLO [127.0.0.1]\r\nSTARTTLS\r\n", "dXNlcj", "454 4.7.0 ", "421 4.7.0 ",
     "250 AUTH PLAIN\r\n"},
};

static struct world *world_for(const struct expectation *expectation, int64_t patience)
{
    return world_ready(&(struct world_wish){.protocol = expectation->protocol,
                                            .has_starttls = true,
                                            .patience = {[PATIENCE_UPSTREAM] = patience}});
}

/* A client that has asked for its login, and the server that is asked next. */
static struct far *client_logging_in(struct world *world)
{
    struct far *client = client_greeted(world);
    client_say(client, world->speech->login);
    return client;
}

/* The login failed; the client, all of whose answers were these, tries again and gets in. */
static void check_failed_and_may_try_again(struct world *world, struct far *client,
                                           const struct expectation *expectation, const char *text)
{
    char expected[400];
    snprintf(expected, sizeof(expected), "%s%s", expectation->said, text);
    wait_for_text(world, client, expected);
    wait_for_text(world, client, "\r\n");
    struct far *server = &newest_upstream(world)->far;
    if (server->descriptor >= 0) {
        wait_for_end(world, server);
        far_close(server);
    }
    assert_int_equal(seen_of(world, 1)->closes, 0);
    assert_int_equal(seen_of(world, 1)->logins, 0);
    world->reach = REACH_ALL;
    world->deaf_to = NULL;
    world->injected = NULL;
    client_say(client, world->speech->login);
    wait_for_text(world, client, world->speech->logged_in);
    assert_string_equal(newest_upstream(world)->heard, expectation->heard);
    check_relay(world, client, newest_upstream(world));
}

static void leave(struct world *world, struct far *client)
{
    struct far *server = &newest_upstream(world)->far;
    far_close(client);
    wait_for_end(world, server);
    far_close(server);
    wait_for_close(world, 1, WHY_CLIENT_GONE);
    world_close(world);
}

/* ---- what works ---- */

static void test_order(void **state)
{
    const struct expectation *expectation = *state;
    struct world *world = world_for(expectation, 0);
    struct far *client = client_logging_in(world);
    wait_for_text(world, client, world->speech->logged_in);
    struct upstream *upstream = newest_upstream(world);
    assert_int_equal(world->upstream_count, 1);
    assert_string_equal(upstream->heard, expectation->heard);
    assert_memory_equal(upstream->authenticate, expectation->token, strlen(expectation->token));
    assert_int_equal(buf_size(&upstream->far.got), 0); /* nothing else in plaintext */
    assert_int_equal(seen_of(world, 1)->connects, 1);
    assert_string_equal(seen_of(world, 1)->connected, "1.3");
    check_relay(world, client, upstream);
    leave(world, client);
}

static void test_second_token_inside_the_same_tls(void **state)
{
    const struct expectation *expectation = *state;
    struct world *world = world_for(expectation, 0);
    world->tokens_refused = 1;
    struct far *client = client_logging_in(world);
    wait_for_text(world, client, world->speech->logged_in);
    assert_int_equal(world->upstream_count, 1);
    assert_int_equal(seen_of(world, 1)->agains, 1);
    assert_int_equal(seen_of(world, 1)->connects, 1);
    assert_int_equal(buf_size(&newest_upstream(world)->far.got), 0);
    leave(world, client);
}

/* The server has left between the two: everything is done anew, TLS too. */
static void test_second_token_over_a_new_connection(void **state)
{
    const struct expectation *expectation = *state;
    struct world *world = world_for(expectation, 0);
    world->tokens_refused = 1;
    struct far *client = client_logging_in(world);
    struct upstream *first = wait_for_upstream(world, 0);
    for (int64_t start = clock_steady_milliseconds(); world->tokens_refused > 0;) {
        world->is_keeper_silent = seen_of(world, 1)->asks > 0;
        world_wait(world, start, "the first refusal");
    }
    for (int64_t start = clock_steady_milliseconds(); seen_of(world, 1)->agains == 0;)
        world_wait(world, start, "AGAIN");
    server_end(first->far.tls, &first->far.to_send);
    world_settle(world);
    far_close(&first->far);
    world_settle(world);
    keeper_grant(world, 1);
    wait_for_text(world, client, world->speech->logged_in);
    assert_int_equal(world->upstream_count, 2);
    assert_string_equal(newest_upstream(world)->heard, expectation->heard);
    assert_int_equal(seen_of(world, 1)->connects, 2);
    leave(world, client);
}

/* ---- what fails ---- */

static void test_server_that_says_nothing(void **state)
{
    struct world *world = world_for(*state, SHORT_TIME);
    world->reach = REACH_TCP;
    struct far *client = client_logging_in(world);
    check_failed_and_may_try_again(world, client, *state, "the mail server did not answer in time");
    assert_int_equal(far_got(&world->upstreams[0].far).size, 0);
    leave(world, client);
}

static void test_server_that_ignores_the_request(void **state)
{
    const struct expectation *expectation = *state;
    struct world *world = world_for(expectation, SHORT_TIME);
    world->deaf_to = world->speech->starttls;
    struct far *client = client_logging_in(world);
    check_failed_and_may_try_again(world, client, expectation,
                                   "the mail server did not answer in time");
    struct slice got = far_got(&world->upstreams[0].far);
    size_t behind = strlen(expectation->request) - got.size; /* the EHLO was answered */
    assert_true(slice_is(got, expectation->request + behind));
    leave(world, client);
}

static void test_server_that_agrees_and_does_not_begin(void **state)
{
    struct world *world = world_for(*state, SHORT_TIME);
    world->reach = REACH_TLS;
    struct far *client = client_logging_in(world);
    check_failed_and_may_try_again(world, client, *state, "the mail server did not answer in time");
    struct slice got = far_got(&world->upstreams[0].far);
    assert_true(got.size > 2 && got.data[0] == 0x16 && got.data[1] == 3); /* our hello alone */
    leave(world, client);
}

/* Breaks off, at each stage; the client hears that it is the server's fault. */
static void break_off(struct world *world, bool is_reset)
{
    struct far *server = &newest_upstream(world)->far;
    if (is_reset)
        far_reset(server);
    else
        far_close(server);
}

static void test_server_that_leaves_before_tls(void **state)
{
    static const char *const texts[] = {
        "the mail server closed the connection during the login",
        "the connection to the mail server broke: read: connection reset by peer"};
    for (int is_reset = 0; is_reset < 2; is_reset++) {
        struct world *world = world_for(*state, 0);
        world->deaf_to = world->speech->starttls;
        struct far *client = client_logging_in(world);
        struct upstream *upstream = wait_for_upstream(world, 0);
        wait_for_text(world, &upstream->far, world->speech->starttls);
        wait_for_text(world, &upstream->far, "\r\n");
        break_off(world, is_reset);
        check_failed_and_may_try_again(world, client, *state, texts[is_reset]);
        leave(world, client);
    }
}

static void test_server_that_leaves_in_the_handshake(void **state)
{
    for (int is_reset = 0; is_reset < 2; is_reset++) {
        struct world *world = world_for(*state, 0);
        world->reach = REACH_TLS;
        struct far *client = client_logging_in(world);
        struct upstream *upstream = wait_for_upstream(world, 0);
        for (int64_t start = clock_steady_milliseconds();
             far_got(&upstream->far).size == 0 || far_got(&upstream->far).data[0] != 0x16;)
            world_wait(world, start, "the hello");
        break_off(world, is_reset);
        check_failed_and_may_try_again(world, client, *state,
                                       "no trusted connection to the mail server: ");
        assert_int_equal(seen_of(world, 1)->connects, 1); /* the second one */
        leave(world, client);
    }
}

/* In one segment with the server's words: there is no handshake, and the session ends. */
static void test_injected_words(void **state)
{
    const struct expectation *expectation = *state;
    struct world *world = world_for(expectation, 0);
    char expected[400];
    world->injected = expectation->injected;
    struct far *client = client_logging_in(world);
    snprintf(expected, sizeof(expected),
             "%ssomebody put words behind the server's reply to STARTTLS\r\n"
             "%sthe connection to the mail server is not to be trusted\r\n",
             expectation->said, expectation->ending);
    wait_for_text(world, client, expected);
    wait_for_end(world, client);
    struct upstream *upstream = newest_upstream(world);
    wait_for_end(world, &upstream->far);
    assert_int_equal(buf_size(&upstream->far.got), 0);
    assert_int_equal(buf_size(&upstream->far.tls->plain), 0);
    assert_int_equal(SSL_get_state(upstream->far.tls->ssl), TLS_ST_BEFORE);
    wait_for_close(world, 1, WHY_UPSTREAM_TLS);
    assert_int_equal(seen_of(world, 1)->connects, 0);
    far_close(&upstream->far);
    world_close(world);
}

static void test_certificate_of_another_authority(void **state)
{
    const struct expectation *expectation = *state;
    struct test_certificates certificates;
    test_certificates_init(&certificates);
    char *bundle = certificate_text(certificates.other_root);
    struct world *world = world_ready(&(struct world_wish){
        .protocol = expectation->protocol, .has_starttls = true, .bundle = bundle});
    struct far *client = client_logging_in(world);
    char expected[200];
    snprintf(expected, sizeof(expected),
             "%sno trusted connection to the mail server: ", expectation->said);
    wait_for_text(world, client, expected);
    struct upstream *upstream = newest_upstream(world);
    wait_for_end(world, &upstream->far);
    assert_int_equal(buf_size(&upstream->far.tls->plain), 0);
    assert_int_equal(seen_of(world, 1)->connects, 0);
    leave(world, client);
    mem_free(bundle);
    test_certificates_fini(&certificates);
}

int main(void)
{
    static const struct CMUnitTest each_protocol[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_second_token_inside_the_same_tls),
        cmocka_unit_test(test_second_token_over_a_new_connection),
        cmocka_unit_test(test_server_that_says_nothing),
        cmocka_unit_test(test_server_that_ignores_the_request),
        cmocka_unit_test(test_server_that_agrees_and_does_not_begin),
        cmocka_unit_test(test_server_that_leaves_before_tls),
        cmocka_unit_test(test_server_that_leaves_in_the_handshake),
        cmocka_unit_test(test_injected_words),
        cmocka_unit_test(test_certificate_of_another_authority),
    };
    int failed = 0;
    for (size_t i = 0; i < LENGTH_OF(expectations); i++) {
        struct CMUnitTest tests[LENGTH_OF(each_protocol)];
        for (size_t j = 0; j < LENGTH_OF(tests); j++) {
            tests[j] = each_protocol[j];
            tests[j].initial_state = (void *)(uintptr_t)&expectations[i];
        }
        failed += _cmocka_run_group_tests(protocol_name(expectations[i].protocol), tests,
                                          LENGTH_OF(tests), NULL, NULL);
    }
    return failed;
}
