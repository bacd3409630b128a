/*
 * The gate in one process with the keeper, the clients and the servers: logins, what the keeper
 * orders, and who gets in. What is kept and passed on is in test_gate_relay, what happens when
 * somebody leaves in test_gate_phases, when somebody is slow in test_gate_deadlines, and before TLS
 * in test_gate_starttls.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/pack.h"
#include "gate_world.h"

static const struct world_wish no_wish = {0};

/* ---- login and relay ---- */

static void test_login_and_relay(void **state)
{
    struct world *world = world_ready(&no_wish);
    (void)state;
    struct far *client = client_relayed(world);
    struct upstream *upstream = newest_upstream(world);
    struct seen *seen = seen_of(world, 1);
    world_settle(world);
    assert_int_equal(seen->opens, 1);
    assert_int_equal(seen->asks, 1);
    assert_string_equal(seen->mechanism, "PLAIN");
    assert_memory_equal(seen->peer, "127.0.0.1:", 10);
    assert_true(slice_equal(buf_bytes(&seen->secret), SLICE_LITERAL("\0alice\0secret")));
    assert_int_equal(seen->connects, 1);
    assert_string_equal(seen->connected, "1.3");
    assert_int_equal(seen->logins, 1);
    assert_string_equal(seen->upstream_mechanism, "XOAUTH2");
    /* user=alice@example.org^Aauth=Bearer t0ken^A^A */
    assert_string_equal(upstream->authenticate,
                        "AUTHENTICATE XOAUTH2 "
                        "dXNlcj1hbGljZUBleGFtcGxlLm9yZwFhdXRoPUJlYXJlciB0MGtlbgEB\r\n");
    check_relay(world, client, upstream);

    far_close(client);
    wait_for_end(world, &upstream->far);
    far_close(&upstream->far);
    wait_for_close(world, 1, WHY_CLIENT_GONE);
    assert_int_equal(seen->client_bytes, strlen("x NOOP\r\n"));
    assert_int_equal(seen->server_bytes, strlen("x OK fine\r\n"));
    world_close(world);
}

static void test_exchange_with_challenges(void **state)
{
    struct world *world = world_ready(&no_wish);
    (void)state;
    struct far *client = client_greeted(world);
    client_say(client, "a AUTHENTICATE LOGIN\r\n");
    wait_for_text(world, client, "+ VXNlciBOYW1l\r\n");
    client_say(client, "YWxpY2U=\r\n");
    for (int64_t start = clock_steady_milliseconds(); seen_of(world, 1)->answers == 0;)
        world_wait(world, start, "an ANSWER");
    keeper_grant(world, 1);
    wait_for_text(world, client, "a OK [CAPABILITY IMAP4rev1 IDLE] Logged in\r\n");
    far_close(client);
    wait_for_end(world, &newest_upstream(world)->far);
    far_close(&newest_upstream(world)->far);
    wait_for_close(world, 1, WHY_CLIENT_GONE);
    world_close(world);
}

/* A refused token costs the client nothing: another one goes over the same connection. */
static void test_refused_token_is_replaced(void **state)
{
    struct world *world = world_ready(&no_wish);
    (void)state;
    world->tokens_refused = 1;
    struct far *client = client_relayed(world);
    assert_int_equal(seen_of(world, 1)->agains, 1);
    assert_int_equal(seen_of(world, 1)->generation, 41);
    assert_int_equal(world->upstream_count, 1);
    check_relay(world, client, newest_upstream(world));
    far_close(client);
    wait_for_end(world, &newest_upstream(world)->far);
    far_close(&newest_upstream(world)->far);
    wait_for_close(world, 1, WHY_CLIENT_GONE);
    world_close(world);
}

/* While the other token was fetched the server left. */
static void test_refused_token_and_server_left(void **state)
{
    struct world *world = world_ready(&no_wish);
    (void)state;
    world->tokens_refused = 1;
    struct far *client = client_greeted(world);
    client_say(client, "a LOGIN alice secret\r\n");
    wait_for_asks(world, 1, 1);
    world->is_keeper_silent = true;
    for (int64_t start = clock_steady_milliseconds(); seen_of(world, 1)->agains == 0;)
        world_wait(world, start, "AGAIN");
    far_close(&newest_upstream(world)->far);
    world_settle(world);
    keeper_grant(world, 1);
    wait_for_text(world, client, "a OK [CAPABILITY IMAP4rev1 IDLE] Logged in\r\n");
    assert_int_equal(world->upstream_count, 2);
    check_relay(world, client, newest_upstream(world));
    far_reset(client);
    wait_for_close(world, 1, WHY_CLIENT_GONE);
    world_close(world);
}

/* ---- orders of the keeper ---- */

static void test_drain_without_limit_lets_logins_finish(void **state)
{
    struct world *world = world_ready(&no_wish);
    (void)state;
    struct far *relayed = client_relayed(world);
    struct far *waiting = client_greeted(world);
    keeper_number(world, MESSAGE_DRAIN, 0);
    world_settle(world);
    /* Others are not served any more: the keeper's other gate would. */
    struct far *late = client_connect(world);
    world_settle(world);
    assert_int_equal(buf_size(&late->got), 0);
    assert_int_equal(seen_of(world, 3)->opens, 0);
    check_relay(world, relayed, &world->upstreams[0]);
    client_say(waiting, "b LOGIN alice secret\r\n");
    wait_for_text(world, waiting, "b OK [CAPABILITY IMAP4rev1 IDLE] Logged in\r\n");
    far_reset(relayed);
    wait_for_close(world, 1, WHY_CLIENT_GONE);
    assert_false(world->is_over);
    check_relay(world, waiting, &world->upstreams[1]);
    far_reset(waiting);
    wait_for_close(world, 2, WHY_CLIENT_GONE);
    world_free(world);
}

static void test_drain_with_limit(void **state)
{
    struct world *world = world_ready(&no_wish);
    (void)state;
    struct far *relayed = client_relayed(world);
    struct far *waiting = client_greeted(world);
    keeper_number(world, MESSAGE_DRAIN, 400);
    wait_for_text(world, waiting, "* BYE ecluse is stopping\r\n");
    wait_for_end(world, waiting);
    wait_for_close(world, 2, WHY_SHUTDOWN);
    check_relay(world, relayed, &world->upstreams[0]);
    wait_for_end(world, relayed);
    wait_for_close(world, 1, WHY_SHUTDOWN);
    world_free(world);
}

/* A reload, and then a stop before the old sessions are over. */
static void test_drain_may_be_hastened(void **state)
{
    struct world *world = world_ready(&no_wish);
    (void)state;
    struct far *relayed = client_relayed(world);
    keeper_number(world, MESSAGE_DRAIN, 0);
    world_settle(world);
    assert_false(world->is_over);
    keeper_number(world, MESSAGE_DRAIN, 1);
    wait_for_end(world, relayed);
    wait_for_close(world, 1, WHY_SHUTDOWN);
    world_free(world);
}

static void test_drain_of_an_idle_gate_ends_it(void **state)
{
    (void)state;
    for (uint64_t limit = 0; limit <= 5000; limit += 5000) {
        struct world *world = world_ready(&no_wish);
        keeper_number(world, MESSAGE_DRAIN, limit);
        world_free(world);
    }
}

static void test_end_grant(void **state)
{
    struct world *world = world_ready(&no_wish);
    (void)state;
    struct far *revoked = client_relayed(world);
    world->next_grant = 8;
    struct far *other = client_relayed(world);
    struct far *waiting = client_greeted(world);
    keeper_number(world, MESSAGE_END_GRANT, 7);
    wait_for_end(world, revoked);
    wait_for_close(world, 1, WHY_POLICY);
    wait_for_end(world, &world->upstreams[0].far);
    check_relay(world, other, &world->upstreams[1]);
    client_say(waiting, "c NOOP\r\n");
    wait_for_text(world, waiting, "c OK NOOP completed\r\n");
    far_reset(other);
    far_reset(waiting);
    wait_for_close(world, 2, WHY_CLIENT_GONE);
    wait_for_close(world, 3, WHY_CLIENT_GONE);
    world_close(world);
}

/* In the middle of the login that it opened. */
static void test_end_grant_during_the_login(void **state)
{
    struct world *world = world_ready(&no_wish);
    (void)state;
    world->reach = REACH_TLS;
    struct far *client = client_greeted(world);
    client_say(client, "a LOGIN alice secret\r\n");
    wait_for_upstream(world, 0);
    keeper_number(world, MESSAGE_END_GRANT, 7);
    wait_for_text(world, client, "* BYE this password was revoked\r\n");
    wait_for_close(world, 1, WHY_POLICY);
    wait_for_end(world, &world->upstreams[0].far);
    world_close(world);
}

/* After a login that failed the client is nobody: what it was is not its any more. */
static void test_failed_login_leaves_nothing(void **state)
{
    struct world *world = world_ready(&no_wish);
    (void)state;
    world->tokens_refused = 2;
    struct far *client = client_greeted(world);
    client_say(client, "a LOGIN alice secret\r\n");
    wait_for_text(world, client, "a NO [AUTHENTICATIONFAILED] the provider refused");
    wait_for_end(world, &world->upstreams[0].far);
    keeper_number(world, MESSAGE_END_GRANT, 7);
    world_settle(world);
    client_say(client, "b NOOP\r\n");
    wait_for_text(world, client, "b OK NOOP completed\r\n");
    far_close(client);
    wait_for_close(world, 1, WHY_CLIENT_GONE);
    world_close(world);
}

static void test_refusal_by_the_keeper(void **state)
{
    struct world *world = world_ready(&no_wish);
    (void)state;
    world->is_keeper_silent = true;
    struct far *client = client_greeted(world);
    client_say(client, "a LOGIN alice wrong\r\n");
    wait_for_asks(world, 1, 1);
    keeper_refuse(world, 1, WHY_AUTH_REJECTED);
    wait_for_text(world, client, "a NO [AUTHENTICATIONFAILED] the keeper says no\r\n");
    far_close(client);
    wait_for_close(world, 1, WHY_CLIENT_GONE);
    assert_int_equal(world->upstream_count, 0);
    world_close(world);
}

/* ---- words of the keeper that come too late, or to nobody ---- */

static void test_unknown_sessions_are_ignored(void **state)
{
    struct world *world = world_ready(&no_wish);
    (void)state;
    struct far *client = client_relayed(world);
    struct far *gone = client_greeted(world);
    far_close(gone);
    wait_for_close(world, 2, WHY_CLIENT_GONE);
    for (uint64_t number = 2; number <= 4097; number += 4095) {
        keeper_challenge(world, number, SLICE_LITERAL("x"));
        keeper_refuse(world, number, WHY_AUTH_REJECTED);
        keeper_grant(world, number);
    }
    keeper_grant(world, UINT64_MAX);
    /* To one that exists, but has nothing open. */
    keeper_challenge(world, 1, SLICE_LITERAL("x"));
    keeper_refuse(world, 1, WHY_AUTH_REJECTED);
    keeper_grant(world, 1);
    world_settle(world);
    assert_int_equal(world->upstream_count, 1);
    check_relay(world, client, newest_upstream(world));
    far_reset(client);
    wait_for_close(world, 1, WHY_CLIENT_GONE);
    world_close(world);
}

/* A second GRANTED while the first one's connection is made must not change who logs in. */
static void test_late_grant_changes_nothing(void **state)
{
    struct world *world = world_ready(&no_wish);
    (void)state;
    world->reach = REACH_TCP;
    struct far *client = client_greeted(world);
    client_say(client, "a LOGIN alice secret\r\n");
    struct upstream *upstream = wait_for_upstream(world, 0);
    world->user = "mallory@example.org";
    world->next_grant = 9;
    keeper_grant(world, 1);
    world_settle(world);
    /* Now the server goes on with what it got so far. */
    upstream->far.tls = server_accept(world->server);
    upstream->reach = REACH_ALL;
    server_read(upstream->far.tls, buf_bytes(&upstream->far.got), &upstream->far.to_send);
    wait_for_text(world, client, "a OK [CAPABILITY IMAP4rev1 IDLE] Logged in\r\n");
    assert_string_equal(upstream->authenticate,
                        "AUTHENTICATE XOAUTH2 "
                        "dXNlcj1hbGljZUBleGFtcGxlLm9yZwFhdXRoPUJlYXJlciB0MGtlbgEB\r\n");
    keeper_number(world, MESSAGE_END_GRANT, 9);
    world_settle(world);
    check_relay(world, client, upstream);
    far_reset(client);
    wait_for_close(world, 1, WHY_CLIENT_GONE);
    world_close(world);
}

/* ---- words of the keeper that make no sense ---- */

static void send_kind(struct world *world, uint8_t kind, uint64_t session, struct slice fields)
{
    struct buf message = new_message();
    struct pack_writer writer = pack_writer(&message);
    pack_u8(&writer, kind);
    pack_u64(&writer, session);
    assert_int_equal(buf_append(&message, fields), 0);
    keeper_send(world, &message);
}

static void test_unreadable_frames_end_the_gate(void **state)
{
    static const struct {
        uint8_t kind;
        uint64_t session;
        struct slice fields;
    } rows[] = {
        {0, 0, {NULL, 0}},
        {255, 0, {NULL, 0}},
        {MESSAGE_READY, 0, {NULL, 0}}, /* ours to say */
        {MESSAGE_ASK, 1, {NULL, 0}},
        {MESSAGE_FORGET, 1, {NULL, 0}},
        {MESSAGE_CONFIGURE, 0, {NULL, 0}},
        {MESSAGE_GRANTED, 1, {(const uint8_t *)"xyz", 3}},
        {MESSAGE_REFUSED, 1, {NULL, 0}},
        {MESSAGE_CHALLENGE, 1, {(const uint8_t *)"\0\0\0\x09x", 5}},
        {MESSAGE_DRAIN, 0, {(const uint8_t *)"1", 1}},
        {MESSAGE_END_GRANT, 0, {NULL, 0}},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct world *world = world_ready(&no_wish);
        struct far *waiting = client_greeted(world);
        struct far *relayed = client_relayed(world);
        send_kind(world, rows[i].kind, rows[i].session, rows[i].fields);
        wait_for_text(world, waiting, "* BYE internal error\r\n");
        wait_for_end(world, waiting);
        wait_for_end(world, relayed);
        wait_for_close(world, 1, WHY_INTERNAL);
        wait_for_close(world, 2, WHY_INTERNAL);
        world_free(world);
    }
}

static void test_second_configure_ends_the_gate(void **state)
{
    struct world *world = world_ready(&no_wish);
    (void)state;
    keeper_configure(world, &no_wish);
    world_free(world);
    world = world_open(&(struct world_wish){.bundle = "no certificate in here"});
    world_free(world);
}

static void test_frame_length_out_of_range_ends_the_gate(void **state)
{
    struct world *world = world_ready(&no_wish);
    (void)state;
    struct far *waiting = client_greeted(world);
    far_send(&world->keeper, SLICE_LITERAL("\xff\xff\xff\xff"));
    wait_for_text(world, waiting, "* BYE ecluse is stopping\r\n");
    wait_for_over(world);
    far_close(&world->keeper);
    world_free(world);
}

/* ---- a keeper that does not read ---- */

/* The client goes on answering, and what it says piles up before the keeper: the gate gives up. */
/* ---- who may come in ---- */

static void test_longest_waiting_gives_its_place(void **state)
{
    struct world *world = world_ready(&(struct world_wish){.max_sessions = 3});
    (void)state;
    struct far *relayed = client_relayed(world);
    struct far *oldest = client_greeted(world);
    struct far *younger = client_greeted(world);
    struct far *newest = client_greeted(world);
    wait_for_text(world, oldest, "* BYE [LIMIT] too many connections wait for their login\r\n");
    wait_for_end(world, oldest);
    wait_for_close(world, 2, WHY_LIMIT);
    world_settle(world);
    /* The place of one that has gone is not given twice. */
    struct far *last = client_greeted(world);
    wait_for_end(world, younger);
    wait_for_close(world, 3, WHY_LIMIT);
    client_say(newest, "b NOOP\r\n");
    wait_for_text(world, newest, "b OK NOOP completed\r\n");
    check_relay(world, relayed, &world->upstreams[0]);
    far_reset(relayed);
    far_reset(newest);
    far_reset(last);
    wait_for_close(world, 1, WHY_CLIENT_GONE);
    wait_for_close(world, 4, WHY_CLIENT_GONE);
    wait_for_close(world, 5, WHY_CLIENT_GONE);
    world_close(world);
}

/* A login that failed puts its session at the end of those that wait. */
static void test_waiting_begins_anew_after_a_failed_login(void **state)
{
    struct world *world = world_ready(&(struct world_wish){.max_sessions = 2});
    (void)state;
    world->is_keeper_silent = true;
    struct far *first = client_greeted(world);
    struct far *second = client_greeted(world);
    client_say(first, "a LOGIN alice wrong\r\n");
    wait_for_asks(world, 1, 1);
    keeper_refuse(world, 1, WHY_AUTH_REJECTED);
    wait_for_text(world, first, "a NO [AUTHENTICATIONFAILED]");
    client_greeted(world);
    wait_for_close(world, 2, WHY_LIMIT);
    wait_for_end(world, second);
    assert_int_equal(seen_of(world, 1)->closes, 0);
    keeper_number(world, MESSAGE_DRAIN, 5000);
    world_free(world);
}

static void test_no_place_when_nobody_waits(void **state)
{
    struct world *world = world_ready(&(struct world_wish){.max_sessions = 2});
    (void)state;
    struct far *one = client_relayed(world), *two = client_relayed(world);
    struct far *newcomer = client_connect(world);
    wait_for_text(world, newcomer, "* BYE [LIMIT] too many sessions\r\n");
    wait_for_end(world, newcomer);
    wait_for_close(world, 3, WHY_LIMIT);
    check_relay(world, one, &world->upstreams[0]);
    check_relay(world, two, &world->upstreams[1]);
    far_reset(one);
    wait_for_close(world, 1, WHY_CLIENT_GONE);
    world_settle(world);
    struct far *next = client_greeted(world);
    far_reset(two);
    far_reset(next);
    wait_for_close(world, 2, WHY_CLIENT_GONE);
    wait_for_close(world, 4, WHY_CLIENT_GONE);
    world_close(world);
}

static void test_clients_of_others_are_not_greeted(void **state)
{
    struct world *world = world_ready(&(struct world_wish){.is_of_other_user = true});
    (void)state;
    struct far *client = client_connect(world);
    wait_for_end(world, client);
    assert_int_equal(buf_size(&client->got), 0);
    for (int64_t start = clock_steady_milliseconds(); world->rejected == 0;)
        world_wait(world, start, "the note");
    char expected[64];
    snprintf(expected, sizeof(expected), "it belongs to user id %u", (unsigned)getuid());
    assert_string_equal(world->rejection, expected);
    assert_int_equal(seen_of(world, 1)->opens, 0);
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_login_and_relay),
        cmocka_unit_test(test_exchange_with_challenges),
        cmocka_unit_test(test_refused_token_is_replaced),
        cmocka_unit_test(test_refused_token_and_server_left),
        cmocka_unit_test(test_drain_without_limit_lets_logins_finish),
        cmocka_unit_test(test_drain_with_limit),
        cmocka_unit_test(test_drain_may_be_hastened),
        cmocka_unit_test(test_drain_of_an_idle_gate_ends_it),
        cmocka_unit_test(test_end_grant),
        cmocka_unit_test(test_end_grant_during_the_login),
        cmocka_unit_test(test_failed_login_leaves_nothing),
        cmocka_unit_test(test_refusal_by_the_keeper),
        cmocka_unit_test(test_unknown_sessions_are_ignored),
        cmocka_unit_test(test_late_grant_changes_nothing),
        cmocka_unit_test(test_unreadable_frames_end_the_gate),
        cmocka_unit_test(test_second_configure_ends_the_gate),
        cmocka_unit_test(test_frame_length_out_of_range_ends_the_gate),
        cmocka_unit_test(test_longest_waiting_gives_its_place),
        cmocka_unit_test(test_waiting_begins_anew_after_a_failed_login),
        cmocka_unit_test(test_no_place_when_nobody_waits),
        cmocka_unit_test(test_clients_of_others_are_not_greeted),
    };
    return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
