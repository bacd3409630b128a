/*
 * How long a gate bears with whom: the time that a client has to log in, in all; silence in the
 * relay; a message that comes too slowly, is not taken or not answered. What each stage of a login
 * takes is in test_gate_phases.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gate/relay.h"
#include "gate_world.h"

/* So long is short, and longer than this process stands still on a busy machine. */
#define SHORT_TIME 500

static const struct protocol_words {
    enum protocol protocol;
    const char *login_over, *silence;
} words[] = {
    {PROTOCOL_IMAP, "* BYE the time to log in is over\r\n",
     "* BYE nothing was said for too long\r\n"},
    {PROTOCOL_POP3, "-ERR [SYS/TEMP] the time to log in is over\r\n",
     "-ERR [SYS/TEMP] nothing was said for too long\r\n"},
    {PROTOCOL_SMTP, "421 4.4.2 the time to log in is over\r\n",
     "421 4.4.2 nothing was said for too long\r\n"},
};

/* Turns until so much time has gone. Nothing is expected to happen by then: see what follows. */
static void let_pass(struct world *world, int64_t milliseconds)
{
    int64_t start = clock_steady_milliseconds();
    while (clock_steady_milliseconds() - start < milliseconds) {
        world_turn(world);
        poll(NULL, 0, 1); /* others have work to do */
    }
}

static void check_is_told_and_closed(struct world *world, struct far *client, const char *text)
{
    wait_for_text(world, client, text);
    wait_for_end(world, client);
    assert_int_equal(buf_size(&client->got), 0);
    wait_for_close(world, 1, WHY_TIMEOUT);
}

static void close_upstream(struct world *world)
{
    struct upstream *upstream = newest_upstream(world);
    wait_for_end(world, &upstream->far);
    far_close(&upstream->far);
}

/* ---- until the login ---- */

/* Each failure begins the client's stage anew, and so does nothing for it in all. */
static void test_failures_do_not_buy_time(void **state)
{
    const struct protocol_words *word = *state;
    struct world *world =
        world_ready(&(struct world_wish){.protocol = word->protocol, .login = SHORT_TIME});
    world->is_keeper_refusing = true;
    struct far *client = client_greeted(world);
    for (int failures = 0; failures < 3; failures++) {
        client_say(client, world->speech->login);
        wait_for_text(world, client, "the keeper says no\r\n");
    }
    check_is_told_and_closed(world, client, word->login_over);
    assert_int_equal(seen_of(world, 1)->asks, 3);
    world_close(world);
}

/* Nor do commands that are in order: this would go on for ever. */
static void test_commands_do_not_buy_time(void **state)
{
    const struct protocol_words *word = *state;
    struct world *world =
        world_ready(&(struct world_wish){.protocol = word->protocol, .login = SHORT_TIME});
    struct far *client = client_greeted(world);
    for (int64_t start = clock_steady_milliseconds(); !client->is_ended && !client->is_reset;) {
        if (buf_size(&client->to_send) == 0)
            client_say(client, world->speech->alive);
        world_wait(world, start, "the end of the time to log in");
        if (buf_size(&client->got) > 64u * 1024 && !client->is_ended)
            buf_consume(&client->got, 32u * 1024);
    }
    wait_for_close(world, 1, WHY_TIMEOUT);
    /* A reset may take the last words along: commands were on their way. */
    assert_true(client->is_reset || holds(buf_bytes(&client->got), word->login_over));
    world_close(world);
}

/* What the keeper takes is not the client's fault; when it is on its own again, its time is over.
 */
static void test_overdue_is_told_behind_the_refusal(void **state)
{
    const struct protocol_words *word = *state;
    struct world *world =
        world_ready(&(struct world_wish){.protocol = word->protocol, .login = SHORT_TIME});
    world->is_keeper_silent = true;
    struct far *client = client_greeted(world);
    client_say(client, world->speech->login);
    wait_for_asks(world, 1, 1);
    let_pass(world, 2 * SHORT_TIME);
    assert_int_equal(seen_of(world, 1)->closes, 0);
    keeper_refuse(world, 1, WHY_AUTH_REJECTED);
    wait_for_text(world, client, "the keeper says no\r\n");
    check_is_told_and_closed(world, client, word->login_over);
    world_close(world);
}

static void test_overdue_does_not_matter_to_a_login_that_succeeds(void **state)
{
    const struct protocol_words *word = *state;
    struct world *world =
        world_ready(&(struct world_wish){.protocol = word->protocol, .login = SHORT_TIME});
    world->is_keeper_silent = true;
    struct far *client = client_greeted(world);
    client_say(client, world->speech->login);
    wait_for_asks(world, 1, 1);
    let_pass(world, 2 * SHORT_TIME);
    keeper_grant(world, 1);
    wait_for_text(world, client, world->speech->logged_in);
    let_pass(world, SHORT_TIME);
    check_relay(world, client, newest_upstream(world));
    assert_int_equal(seen_of(world, 1)->closes, 0);
    far_close(client);
    close_upstream(world);
    wait_for_close(world, 1, WHY_CLIENT_GONE);
    world_close(world);
}

/* ---- silence ---- */

static void test_silence_ends_a_session(void **state)
{
    const struct protocol_words *word = *state;
    struct world *world =
        world_ready(&(struct world_wish){.protocol = word->protocol, .idle = SHORT_TIME});
    struct far *client = client_relayed(world);
    check_is_told_and_closed(world, client, word->silence);
    close_upstream(world);
    world_close(world);
}

/* One octet now and then, from one side alone, for longer than both may be silent. */
static void keep_alive(struct world *world, struct far *speaker, const char *octet)
{
    int64_t start = clock_steady_milliseconds();
    while (clock_steady_milliseconds() - start < 3 * SHORT_TIME) {
        far_send(speaker, slice_of_string(octet));
        let_pass(world, SHORT_TIME / 10);
        assert_int_equal(seen_of(world, 1)->closes, 0);
    }
}

/* IDLE is a client's long silence, and a long answer a server's long speech. */
static void test_each_side_keeps_the_session_alive(void **state)
{
    const struct protocol_words *word = *state;
    struct world *world =
        world_ready(&(struct world_wish){.protocol = word->protocol, .idle = SHORT_TIME});
    struct far *client = client_relayed(world);
    struct upstream *upstream = newest_upstream(world);
    /* Part of a line: nothing of it need be passed on. */
    keep_alive(world, client, "N");
    keep_alive(world, &upstream->far, word->protocol == PROTOCOL_SMTP ? "250-x\r\n" : "+OK\r\n");
    wait_for_close(world, 1, WHY_TIMEOUT);
    close_upstream(world);
    world_close(world);
}

/* ---- messages ---- */

#define TOO_SLOW "421 4.4.2 the message comes too slowly\r\n"

static struct world *world_for_messages(int64_t idle)
{
    return world_ready(
        &(struct world_wish){.protocol = PROTOCOL_SMTP, .content = SHORT_TIME, .idle = idle});
}

/* A client whose message may come. */
static struct far *client_with_message(struct world *world)
{
    struct far *client = client_relayed(world);
    struct upstream *upstream = newest_upstream(world);
    client_say(client, "DATA\r\n");
    wait_for_text(world, &upstream->far, "DATA\r\n");
    far_send(&upstream->far, SLICE_LITERAL("354 go on\r\n"));
    wait_for_text(world, client, "354 go on\r\n");
    return client;
}

static void finish_message(struct world *world, struct far *client)
{
    struct upstream *upstream = newest_upstream(world);
    client_say(client, "\r\n.\r\n");
    wait_for_text(world, &upstream->far, "\r\n.\r\n");
    far_send(&upstream->far, SLICE_LITERAL("250 taken\r\n"));
    wait_for_text(world, client, "250 taken\r\n");
}

static void leave(struct world *world, struct far *client)
{
    assert_int_equal(seen_of(world, 1)->closes, 0);
    far_close(client);
    close_upstream(world);
    wait_for_close(world, 1, WHY_CLIENT_GONE);
    world_close(world);
}

/* The server does not get the end of it, and so nothing that it would take for a whole message. */
static void test_a_message_that_stops_ends_the_session(void **state)
{
    struct world *world = world_for_messages(0);
    (void)state;
    struct far *client = client_with_message(world);
    client_say(client, "Subject: begun\r\n\r\n.");
    check_is_told_and_closed(world, client, TOO_SLOW);
    struct far *server = &newest_upstream(world)->far;
    wait_for_end(world, server);
    assert_true(slice_is(far_got(server), "Subject: begun\r\n\r\n"));
    far_close(server);
    world_close(world);
}

/* An octet now and then is life enough for the relay, and too little for a message. */
static void test_a_message_that_trickles_ends_the_session(void **state)
{
    struct world *world = world_for_messages(0);
    (void)state;
    struct far *client = client_with_message(world);
    for (int64_t start = clock_steady_milliseconds(); seen_of(world, 1)->closes == 0;) {
        client_say(client, "x");
        let_pass(world, SHORT_TIME / 20);
        world_wait(world, start, "the end of patience");
    }
    check_is_told_and_closed(world, client, TOO_SLOW);
    close_upstream(world);
    world_close(world);
}

/* More than 500 octets in each second, for some windows; and then the idle time is long again. */
static void test_a_message_that_goes_on_may_take_its_time(void **state)
{
    char octets[2 * RELAY_CONTENT_OCTETS_PER_SECOND * SHORT_TIME / 1000];
    struct world *world = world_for_messages(0);
    (void)state;
    memset(octets, 'x', sizeof(octets));
    struct far *client = client_with_message(world);
    for (int i = 0; i < 12; i++) {
        far_send(client, slice_of(octets, sizeof(octets)));
        let_pass(world, SHORT_TIME / 3);
    }
    finish_message(world, client);
    let_pass(world, 2 * SHORT_TIME);
    check_relay(world, client, newest_upstream(world));
    leave(world, client);
}

/* The server thinks about DATA, or about the message: that is not the client's slowness. */
static void test_the_server_may_think_about_a_message(void **state)
{
    struct world *world = world_for_messages(0);
    (void)state;
    struct far *client = client_relayed(world);
    struct upstream *upstream = newest_upstream(world);
    client_say(client, "DATA\r\n");
    wait_for_text(world, &upstream->far, "DATA\r\n");
    let_pass(world, 2 * SHORT_TIME);
    far_send(&upstream->far, SLICE_LITERAL("354 go on\r\n"));
    wait_for_text(world, client, "354 go on\r\n");
    client_say(client, "text\r\n.\r\n");
    wait_for_text(world, &upstream->far, "\r\n.\r\n");
    let_pass(world, 2 * SHORT_TIME);
    far_send(&upstream->far, SLICE_LITERAL("250 taken\r\n"));
    wait_for_text(world, client, "250 taken\r\n");
    leave(world, client);
}

static void send_more(struct far *client)
{
    static char octets[64 * 1024];
    memset(octets, 'x', sizeof(octets));
    if (buf_size(&client->to_send) == 0)
        far_send(client, slice_of(octets, sizeof(octets)));
}

/* The server does not read, and the kernel's buffers are full. */
static struct far *client_with_untaken_message(struct world *world)
{
    make_small(world->upstream_listener);
    make_small(world->client_listener); /* or the kernel takes as much as it likes */
    struct far *client = client_with_message(world);
    newest_upstream(world)->far.is_stalled = true;
    for (size_t idle = 0; idle < 100; idle++) {
        idle = buf_size(&client->to_send) == 0 ? 0 : idle;
        send_more(client);
        world_turn(world);
    }
    return client;
}

/* For some windows more. */
static void test_a_message_that_the_server_does_not_take_is_waited_for(void **state)
{
    struct world *world = world_for_messages(0);
    (void)state;
    struct far *client = client_with_untaken_message(world);
    let_pass(world, 3 * SHORT_TIME);
    assert_int_equal(seen_of(world, 1)->closes, 0);
    newest_upstream(world)->far.is_stalled = false;
    finish_message(world, client);
    leave(world, client);
}

/* The client hears so, although it is amidst sending. */
static void test_but_not_for_ever(void **state)
{
    struct world *world = world_ready(&(struct world_wish){
        .protocol = PROTOCOL_SMTP, .content = SHORT_TIME, .taking = 2 * SHORT_TIME});
    (void)state;
    struct far *client = client_with_untaken_message(world);
    check_is_told_and_closed(world, client,
                             "421 4.4.2 the mail server does not take the message\r\n");
    assert_false(client->is_reset);
    newest_upstream(world)->far.is_stalled = false;
    close_upstream(world);
    far_close(client);
    world_close(world);
}

/* What it takes now and then is little, but it takes. */
static void test_a_server_may_be_slow(void **state)
{
    struct world *world = world_ready(&(struct world_wish){
        .protocol = PROTOCOL_SMTP, .content = SHORT_TIME, .taking = 2 * SHORT_TIME});
    (void)state;
    struct far *client = client_with_untaken_message(world);
    struct far *server = &newest_upstream(world)->far;
    for (int i = 0; i < 24; i++) {
        server->is_stalled = false;
        world_turn(world);
        server->is_stalled = true;
        send_more(client);
        let_pass(world, SHORT_TIME / 4);
        assert_int_equal(seen_of(world, 1)->closes, 0);
    }
    server->is_stalled = false;
    finish_message(world, client);
    leave(world, client);
}

#define NO_ANSWER "421 4.4.2 the mail server does not answer to the message\r\n"

static struct far *client_without_answer(struct world *world)
{
    struct far *client = client_with_message(world);
    client_say(client, "text\r\n.\r\n");
    wait_for_text(world, &newest_upstream(world)->far, "\r\n.\r\n");
    return client;
}

static void test_an_answer_that_does_not_come_ends_the_session(void **state)
{
    struct world *world =
        world_ready(&(struct world_wish){.protocol = PROTOCOL_SMTP, .verdict = SHORT_TIME});
    (void)state;
    struct far *client = client_without_answer(world);
    check_is_told_and_closed(world, client, NO_ANSWER);
    close_upstream(world);
    world_close(world);
}

/* This would go on for ever. */
static void test_chatter_buys_the_server_no_time(void **state)
{
    struct world *world =
        world_ready(&(struct world_wish){.protocol = PROTOCOL_SMTP, .verdict = SHORT_TIME});
    (void)state;
    struct far *client = client_without_answer(world);
    for (int64_t start = clock_steady_milliseconds(); !client->is_ended && !client->is_reset;) {
        client_say(client, "NOOP\r\n");
        let_pass(world, SHORT_TIME / 20);
        world_wait(world, start, "the end of patience");
    }
    wait_for_close(world, 1, WHY_TIMEOUT);
    /* A reset may take the last words along: commands were on their way. */
    assert_true(client->is_reset || holds(buf_bytes(&client->got), NO_ANSWER));
    close_upstream(world);
    world_close(world);
}

/* Behind it nothing of that is left. */
static void test_an_answer_in_time_is_the_end_of_it(void **state)
{
    struct world *world =
        world_ready(&(struct world_wish){.protocol = PROTOCOL_SMTP, .verdict = SHORT_TIME});
    (void)state;
    struct far *client = client_with_message(world);
    finish_message(world, client);
    let_pass(world, 2 * SHORT_TIME);
    check_relay(world, client, newest_upstream(world));
    leave(world, client);
}

/* For silence in a message there is one deadline: that of messages. */
static void test_silence_is_not_counted_within_a_message(void **state)
{
    struct world *world = world_ready(&(struct world_wish){
        .protocol = PROTOCOL_SMTP, .content = 3 * SHORT_TIME, .idle = SHORT_TIME});
    (void)state;
    struct far *client = client_with_message(world);
    let_pass(world, 2 * SHORT_TIME);
    assert_int_equal(seen_of(world, 1)->closes, 0);
    check_is_told_and_closed(world, client, TOO_SLOW);
    close_upstream(world);
    world_close(world);
}

/* A minute for all of a login, so that nobody holds a place for longer without a password; the half
 * hour is IMAP's least (RFC 9051 section 5.4); SMTP's are of RFC 5321 section 4.5.3.2. */
static void test_how_long_a_gate_waits_for_what(void **state)
{
    (void)state;
    struct gate_settings settings = {0};
    gate_set_patience(&settings);
    assert_int_equal(settings.login, 60 * 1000);
    for (size_t i = 0; i < LENGTH_OF(settings.patience); i++)
        assert_in_range(settings.patience[i], 30 * 1000, settings.login);
    assert_int_equal(settings.idle, 30 * 60 * 1000);
    assert_int_equal(settings.content, 60 * 1000);
    assert_int_equal(settings.taking, 3 * 60 * 1000);
    assert_int_equal(settings.verdict, 10 * 60 * 1000);
    assert_int_equal(settings.flush, 5 * 1000);
    assert_in_range(settings.gather, 0, 9); /* the journal is on disk within 10 */
}

int main(void)
{
    static const struct CMUnitTest each_protocol[] = {
        cmocka_unit_test(test_failures_do_not_buy_time),
        cmocka_unit_test(test_silence_ends_a_session),
    };
    static const struct CMUnitTest any_protocol[] = {
        cmocka_unit_test_prestate(test_commands_do_not_buy_time, (void *)(uintptr_t)&words[0]),
        cmocka_unit_test_prestate(test_overdue_is_told_behind_the_refusal,
                                  (void *)(uintptr_t)&words[1]),
        cmocka_unit_test_prestate(test_overdue_does_not_matter_to_a_login_that_succeeds,
                                  (void *)(uintptr_t)&words[2]),
        cmocka_unit_test_prestate(test_each_side_keeps_the_session_alive,
                                  (void *)(uintptr_t)&words[0]),
    };
    static const struct CMUnitTest messages[] = {
        cmocka_unit_test(test_how_long_a_gate_waits_for_what),
        cmocka_unit_test(test_a_message_that_stops_ends_the_session),
        cmocka_unit_test(test_a_message_that_trickles_ends_the_session),
        cmocka_unit_test(test_a_message_that_goes_on_may_take_its_time),
        cmocka_unit_test(test_the_server_may_think_about_a_message),
        cmocka_unit_test(test_a_message_that_the_server_does_not_take_is_waited_for),
        cmocka_unit_test(test_but_not_for_ever),
        cmocka_unit_test(test_a_server_may_be_slow),
        cmocka_unit_test(test_an_answer_that_does_not_come_ends_the_session),
        cmocka_unit_test(test_chatter_buys_the_server_no_time),
        cmocka_unit_test(test_an_answer_in_time_is_the_end_of_it),
        cmocka_unit_test(test_silence_is_not_counted_within_a_message),
    };
    int failed = 0;
    for (size_t i = 0; i < LENGTH_OF(words); i++) {
        struct CMUnitTest tests[LENGTH_OF(each_protocol)];
        for (size_t j = 0; j < LENGTH_OF(tests); j++) {
            tests[j] = each_protocol[j];
            tests[j].initial_state = (void *)(uintptr_t)&words[i];
        }
        failed += _cmocka_run_group_tests(protocol_name(words[i].protocol), tests, LENGTH_OF(tests),
                                          NULL, NULL);
    }
    failed += cmocka_run_group_tests_name("any protocol", any_protocol, NULL, NULL);
    return failed + cmocka_run_group_tests_name("messages", messages, NULL, NULL);
}
