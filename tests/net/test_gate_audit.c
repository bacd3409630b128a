/*
 * What the audit journal asks of a gate: records of what passes, answers that are held until their
 * record is on disk, and nothing read while the keeper cannot be told of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "gate_world.h"

static const struct world_wish watched = {.audit = {.is_on = true}};
static const struct world_wish strict = {.audit = {.is_on = true, .holds_replies = true}};
static const struct world_wish submission = {.protocol = PROTOCOL_SMTP, .audit = {.is_on = true}};

static void upstream_send(struct upstream *upstream, const char *text)
{
    far_send(&upstream->far, slice_of_string(text));
}

static void wait_for_commands(struct world *world, unsigned count)
{
    for (int64_t start = clock_steady_milliseconds(); world->commands < count;)
        world_wait(world, start, "a command's record");
    assert_int_equal(world->commands, count);
}

static void end_session(struct world *world, struct far *client, struct upstream *upstream)
{
    far_close(client);
    wait_for_end(world, &upstream->far);
    far_close(&upstream->far);
    wait_for_close(world, 1, WHY_CLIENT_GONE);
}

static void end(struct world *world, struct far *client, struct upstream *upstream)
{
    end_session(world, client, upstream);
    world_close(world);
}

/* ---- records ---- */

static void test_commands_are_told_of(void **state)
{
    struct world *world = world_ready(&watched);
    (void)state;
    struct far *client = client_relayed(world);
    check_relay(world, client, newest_upstream(world));
    check_relay(world, client, newest_upstream(world));
    wait_for_commands(world, 2);
    assert_true(world->receipt == 0);
    client_say(client, "y NOOP\r\n");
    wait_for_text(world, &newest_upstream(world)->far, "y NOOP\r\n");
    end_session(world, client, newest_upstream(world));
    assert_int_equal(world->commands, 3);
    world_close(world);
}

/* They go before whatever else the keeper is told, in their order. */
static void test_records_are_gathered(void **state)
{
    struct world *world =
        world_ready(&(struct world_wish){.audit = {.is_on = true}, .gather = NEVER});
    (void)state;
    struct far *client = client_relayed(world);
    for (unsigned i = 0; i < 3; i++)
        check_relay(world, client, newest_upstream(world));
    far_close(client);
    wait_for_end(world, &newest_upstream(world)->far);
    far_close(&newest_upstream(world)->far);
    world_settle(world);
    assert_int_equal(world->commands, 0);
    assert_int_equal(seen_of(world, 1)->forgets, 0);
    client = client_relayed(world);
    assert_int_equal(world->commands, 3);
    assert_int_equal(seen_of(world, 1)->forgets, 1);
    far_close(client);
    wait_for_end(world, &newest_upstream(world)->far);
    far_close(&newest_upstream(world)->far);
    world_close(world);
}

static void test_gathering_has_an_end(void **state)
{
    struct world *world = world_ready(&(struct world_wish){.audit = {.is_on = true}, .gather = 50});
    (void)state;
    struct far *client = client_relayed(world);
    check_relay(world, client, newest_upstream(world));
    check_relay(world, client, newest_upstream(world));
    wait_for_commands(world, 2);
    end(world, client, newest_upstream(world));
}

static void test_nobody_looks_on_when_it_is_off(void **state)
{
    struct world *world = world_ready(&(struct world_wish){0});
    (void)state;
    struct far *client = client_relayed(world);
    check_relay(world, client, newest_upstream(world));
    world_settle(world);
    assert_int_equal(world->commands, 0);
    end(world, client, newest_upstream(world));
}

static void test_what_cannot_be_followed_passes(void **state)
{
    struct world *world = world_ready(&watched);
    (void)state;
    struct far *client = client_relayed(world);
    upstream_send(newest_upstream(world), "\1 garbage\r\n");
    wait_for_text(world, client, "\1 garbage\r\n");
    check_relay(world, client, newest_upstream(world));
    assert_int_equal(world->taps_off, 1);
    end(world, client, newest_upstream(world));
}

static void test_what_cannot_be_followed_may_end_the_session(void **state)
{
    struct world *world =
        world_ready(&(struct world_wish){.audit = {.is_on = true, .ends_unparsable = true}});
    (void)state;
    struct far *client = client_relayed(world);
    struct far *server = &newest_upstream(world)->far;
    check_relay(world, client, newest_upstream(world));
    /* What it hides behind that is not heard either. */
    client_say(client, "a APPEND x {99999999999999999999}\r\nb DELETE INBOX\r\n");
    wait_for_text(world, client, "* BYE what is said cannot be followed");
    wait_for_end(world, server);
    assert_false(holds(far_got(server), "APPEND") || holds(far_got(server), "DELETE"));
    far_close(&newest_upstream(world)->far);
    wait_for_close(world, 1, WHY_POLICY);
    assert_int_equal(world->taps_off, 1);
    far_close(client);
    world_close(world);
}

static void test_what_cannot_be_followed_is_not_told_a_client(void **state)
{
    struct world *world =
        world_ready(&(struct world_wish){.audit = {.is_on = true, .ends_unparsable = true}});
    (void)state;
    struct far *client = client_relayed(world);
    upstream_send(newest_upstream(world), "\1 garbage\r\n");
    wait_for_end(world, client);
    assert_true(holds(far_got(client), "* BYE what is said cannot be followed"));
    assert_false(holds(far_got(client), "garbage"));
    wait_for_close(world, 1, WHY_POLICY);
    far_close(&newest_upstream(world)->far);
    far_close(client);
    world_close(world);
}

/* ---- answers that are held ---- */

static void test_answers_wait_for_their_records(void **state)
{
    struct world *world = world_ready(&strict);
    (void)state;
    struct far *client = client_relayed(world);
    struct upstream *upstream = newest_upstream(world);
    client_say(client, "a NOOP\r\nb NOOP\r\n");
    wait_for_text(world, &upstream->far, "a NOOP\r\nb NOOP\r\n");
    upstream_send(upstream, "* 1 EXISTS\r\na OK one\r\n* 2 EXISTS\r\nb OK two\r\n* 3 EXISTS\r\n");
    wait_for_receipt(world);
    assert_got_nothing(world, client);
    /* What came together goes together, behind the last record of it. */
    assert_int_equal(world->receipts, 2);
    keeper_number(world, MESSAGE_DURABLE, world->receipt);
    assert_got_nothing(world, client);
    say_durable(world);
    wait_for_text(world, client,
                  "* 1 EXISTS\r\na OK one\r\n* 2 EXISTS\r\nb OK two\r\n* 3 EXISTS\r\n");
    /* One that is not awaited any more. */
    keeper_number(world, MESSAGE_DURABLE, 1);
    keeper_number(world, MESSAGE_DURABLE, 77);
    world_settle(world);
    end(world, client, upstream);
}

/* The client goes on meanwhile. */
static void test_commands_pass_while_an_answer_waits(void **state)
{
    struct world *world = world_ready(&strict);
    (void)state;
    struct far *client = client_relayed(world);
    struct upstream *upstream = newest_upstream(world);
    client_say(client, "a NOOP\r\n");
    wait_for_text(world, &upstream->far, "a NOOP\r\n");
    upstream_send(upstream, "a OK one\r\n");
    wait_for_receipt(world);
    client_say(client, "b NOOP\r\n");
    wait_for_text(world, &upstream->far, "b NOOP\r\n");
    upstream_send(upstream, "b OK two\r\n");
    assert_got_nothing(world, client);
    say_durable(world);
    wait_for_text(world, client, "a OK one\r\n");
    wait_for_receipt(world);
    say_durable(world);
    wait_for_text(world, client, "b OK two\r\n");
    end(world, client, upstream);
}

static void send_message(struct world *world, struct far *client, struct upstream *upstream)
{
    client_say(client, "MAIL FROM:<a@b>\r\n");
    wait_for_text(world, &upstream->far, "MAIL FROM:<a@b>\r\n");
    upstream_send(upstream, "250 ok\r\n");
    wait_for_text(world, client, "250 ok\r\n");
    client_say(client, "DATA\r\n");
    wait_for_text(world, &upstream->far, "DATA\r\n");
    upstream_send(upstream, "354 go\r\n");
    wait_for_text(world, client, "354 go\r\n");
    client_say(client, "hello\r\n.\r\n");
    wait_for_text(world, &upstream->far, "hello\r\n.\r\n");
}

static void test_a_message_sent_is_on_disk_first(void **state)
{
    struct world *world = world_ready(&submission);
    (void)state;
    struct far *client = client_relayed(world);
    struct upstream *upstream = newest_upstream(world);
    send_message(world, client, upstream);
    upstream_send(upstream, "250 queued\r\n");
    wait_for_receipt(world);
    assert_got_nothing(world, client);
    say_durable(world);
    wait_for_text(world, client, "250 queued\r\n");
    end(world, client, upstream);
}

/* The server has gone meanwhile: what it had said is delivered all the same. */
static void test_a_server_that_leaves_while_its_answer_waits(void **state)
{
    struct world *world = world_ready(&submission);
    (void)state;
    struct far *client = client_relayed(world);
    struct upstream *upstream = newest_upstream(world);
    send_message(world, client, upstream);
    upstream_send(upstream, "250 queued\r\n");
    far_turn(&upstream->far);
    far_close(&upstream->far);
    wait_for_receipt(world);
    assert_got_nothing(world, client);
    say_durable(world);
    wait_for_text(world, client, "250 queued\r\n");
    wait_for_end(world, client);
    wait_for_close(world, 1, WHY_SERVER_GONE);
    far_close(client);
    world_close(world);
}

/* Its write fails, which is told at once, and not when it is read again. */
static void test_a_server_that_breaks_while_its_answer_waits(void **state)
{
    struct world *world = world_ready(&submission);
    (void)state;
    struct far *client = client_relayed(world);
    struct upstream *upstream = newest_upstream(world);
    send_message(world, client, upstream);
    upstream_send(upstream, "250 queued\r\n");
    far_turn(&upstream->far);
    wait_for_receipt(world);
    far_reset(&upstream->far);
    for (int i = 0; i < 5; i++) {
        client_say(client, "NOOP\r\n");
        world_settle(world);
    }
    assert_int_equal(seen_of(world, 1)->closes, 0);
    assert_got_nothing(world, client);
    say_durable(world);
    wait_for_text(world, client, "250 queued\r\n");
    wait_for_end(world, client);
    wait_for_close(world, 1, WHY_SERVER_GONE);
    far_close(client);
    world_close(world);
}

static void test_a_client_that_leaves_while_an_answer_waits(void **state)
{
    struct world *world = world_ready(&strict);
    (void)state;
    struct far *client = client_relayed(world);
    struct upstream *upstream = newest_upstream(world);
    client_say(client, "a NOOP\r\n");
    wait_for_text(world, &upstream->far, "a NOOP\r\n");
    upstream_send(upstream, "a OK one\r\n");
    wait_for_receipt(world);
    far_reset(client);
    wait_for_close(world, 1, WHY_CLIENT_GONE);
    say_durable(world);
    world_settle(world);
    far_close(&upstream->far);
    world_close(world);
}

/* ---- what is denied ---- */

static struct far *client_read_only(struct world *world)
{
    world->is_read_only = true;
    return client_relayed(world);
}

static void test_a_denial_is_on_disk_first(void **state)
{
    struct world *world = world_ready(&watched);
    (void)state;
    struct far *client = client_read_only(world);
    client_say(client, "a CREATE x\r\nb NOOP\r\n");
    wait_for_receipt(world);
    assert_got_nothing(world, client);
    say_durable(world);
    wait_for_text(world, client, "a NO [NOPERM] this password is read-only\r\n");
    wait_for_text(world, &newest_upstream(world)->far, "b NOOP\r\n");
    assert_int_equal(world->denials, 1);
    check_relay(world, client, newest_upstream(world));
    end(world, client, newest_upstream(world));
}

static void test_a_denial_without_a_journal(void **state)
{
    struct world *world = world_ready(&(struct world_wish){0});
    (void)state;
    struct far *client = client_read_only(world);
    client_say(client, "a CREATE x\r\nb NOOP\r\n");
    wait_for_text(world, client, "a NO [NOPERM] this password is read-only\r\n");
    wait_for_text(world, &newest_upstream(world)->far, "b NOOP\r\n");
    world_settle(world);
    assert_int_equal(world->denials, 1);
    assert_true(world->receipt == 0);
    end(world, client, newest_upstream(world));
}

/* The receipts of one session come in the order of its records. */
static void test_an_answer_and_a_denial_wait_together(void **state)
{
    (void)state;
    for (int answer_is_first = 0; answer_is_first < 2; answer_is_first++) {
        struct world *world = world_ready(&strict);
        struct far *client = client_read_only(world);
        struct upstream *upstream = newest_upstream(world);
        client_say(client, "a NOOP\r\n");
        wait_for_text(world, &upstream->far, "a NOOP\r\n");
        for (int i = 0; i < 2; i++) {
            if (i == answer_is_first)
                client_say(client, "b CREATE x\r\n");
            else
                upstream_send(upstream, "a OK fine\r\n");
            for (int64_t start = clock_steady_milliseconds(); world->receipts < 1u + (unsigned)i;)
                world_wait(world, start, "a receipt");
        }
        assert_got_nothing(world, client);
        for (int i = 0; i < 2; i++) {
            keeper_number(world, MESSAGE_DURABLE, 1);
            wait_for_text(world, client, i == answer_is_first ? "b NO [NOPERM]" : "a OK fine\r\n");
            world_settle(world);
            buf_clear(&client->got);
        }
        end(world, client, upstream);
    }
}

/* ---- the keeper ends all ---- */

static void test_the_keeper_ends_all_sessions(void **state)
{
    struct world *world = world_ready(&strict);
    (void)state;
    struct far *client = client_relayed(world);
    struct far *waiting = client_greeted(world);
    keeper_refuse(world, 0, WHY_INTERNAL);
    wait_for_text(world, client, "* BYE the keeper says no\r\n");
    wait_for_text(world, waiting, "* BYE");
    wait_for_end(world, client);
    wait_for_end(world, waiting);
    wait_for_close(world, 1, WHY_INTERNAL);
    wait_for_close(world, 2, WHY_INTERNAL);
    far_close(client);
    far_close(waiting);
    wait_for_end(world, &newest_upstream(world)->far);
    far_close(&newest_upstream(world)->far);
    /* Who comes then is served. */
    struct far *later = client_greeted(world);
    far_close(later);
    wait_for_close(world, 3, WHY_CLIENT_GONE);
    world_close(world);
}

/* ---- a keeper that is slow ---- */

/* Has the client say commands, each of which the server answers, until they are not read any more:
 * the channel is full, and so is what the kernel holds. Returns how many there were. */
static unsigned fill(struct world *world, struct far *client, struct upstream *upstream)
{
    unsigned count = 0;
    for (unsigned stuck = 0; stuck < 3;) {
        if (buf_size(&client->to_send) > 0) {
            stuck++;
            world_settle(world);
            continue;
        }
        stuck = 0;
        for (unsigned i = 0; i < 500; i++, count++) {
            client_say(client, "x NOOP\r\n");
            upstream_send(upstream, "x OK fine\r\n");
        }
        world_settle(world);
    }
    return count;
}

static void test_a_slow_keeper_stops_the_sessions(void **state)
{
    struct world *world = world_ready(&watched);
    (void)state;
    struct far *client = client_relayed(world);
    struct upstream *upstream = newest_upstream(world);
    world_settle(world);
    world->keeper.is_stalled = true;
    unsigned count = fill(world, client, upstream);
    /* Nobody is accepted either. */
    struct far *newcomer = client_connect(world);
    assert_got_nothing(world, newcomer);
    assert_false(world->is_over);
    world->keeper.is_stalled = false;
    wait_for_commands(world, count);
    wait_for_text(world, newcomer, world->speech->greeting);
    far_close(newcomer);
    wait_for_close(world, 2, WHY_CLIENT_GONE);
    buf_clear(&client->got);
    check_relay(world, client, upstream);
    end(world, client, upstream);
}

static void test_a_slow_keeper_stops_logins(void **state)
{
    static char answer[12 * 1024 + 3];
    struct world *world = world_ready(&(struct world_wish){0});
    (void)state;
    struct far *client = client_greeted(world);
    memset(answer, 'A', sizeof(answer) - 3);
    memcpy(answer + sizeof(answer) - 3, "\r\n", 3);
    client_say(client, "a AUTHENTICATE LOGIN\r\n");
    wait_for_text(world, client, "+ VXNlciBOYW1l\r\n");
    world->keeper.is_stalled = true;
    world->is_keeper_silent = true;
    for (unsigned stuck = 0; stuck < 3;) {
        bool is_stuck = buf_size(&client->to_send) > 0;
        stuck = is_stuck ? stuck + 1 : 0;
        if (!is_stuck)
            client_say(client, answer);
        if (buf_size(&world->keeper.to_send) == 0)
            keeper_challenge(world, 1, SLICE_LITERAL("more"));
        world_settle(world);
    }
    assert_false(world->is_over);
    unsigned answers = seen_of(world, 1)->answers;
    world->keeper.is_stalled = false;
    for (int64_t start = clock_steady_milliseconds(); seen_of(world, 1)->answers == answers;)
        world_wait(world, start, "the answers");
    far_close(&world->keeper);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands_are_told_of),
        cmocka_unit_test(test_records_are_gathered),
        cmocka_unit_test(test_gathering_has_an_end),
        cmocka_unit_test(test_nobody_looks_on_when_it_is_off),
        cmocka_unit_test(test_what_cannot_be_followed_passes),
        cmocka_unit_test(test_what_cannot_be_followed_may_end_the_session),
        cmocka_unit_test(test_what_cannot_be_followed_is_not_told_a_client),
        cmocka_unit_test(test_answers_wait_for_their_records),
        cmocka_unit_test(test_commands_pass_while_an_answer_waits),
        cmocka_unit_test(test_a_message_sent_is_on_disk_first),
        cmocka_unit_test(test_a_server_that_leaves_while_its_answer_waits),
        cmocka_unit_test(test_a_server_that_breaks_while_its_answer_waits),
        cmocka_unit_test(test_a_client_that_leaves_while_an_answer_waits),
        cmocka_unit_test(test_a_denial_is_on_disk_first),
        cmocka_unit_test(test_a_denial_without_a_journal),
        cmocka_unit_test(test_an_answer_and_a_denial_wait_together),
        cmocka_unit_test(test_the_keeper_ends_all_sessions),
        cmocka_unit_test(test_a_slow_keeper_stops_the_sessions),
        cmocka_unit_test(test_a_slow_keeper_stops_logins),
    };
    return cmocka_run_group_tests_name("gate audit", tests, NULL, NULL);
}
