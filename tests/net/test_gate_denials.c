/*
 * Who is turned away, and clients of other protocols: they hear of it, by a word or by the end of
 * their connection, when that is on disk; and they take nothing from others meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "gate/doorstep.h"
#include "gate_world.h"

#define SHORT_TIME 20 /* milliseconds */

static const struct world_wish submission = {.protocol = PROTOCOL_SMTP, .audit = {.is_on = true}};
static const struct world_wish of_others = {.is_of_other_user = true, .audit = {.is_on = true}};

static struct far *client_hasty(struct world *world, const char *words)
{
    struct far *client = client_connect(world);
    client_say(client, words);
    far_turn(client);
    return client;
}

static void assert_waits(struct world *world, const struct far *client)
{
    assert_got_nothing(world, client);
    assert_false(client->is_ended || client->is_reset);
}

/* ---- another protocol ---- */

static void test_first_words(void **state)
{
    struct world *world = world_ready(&submission);
    (void)state;
    struct far *browser = client_greeted(world);
    client_say(browser, "GET /secret HTTP/1.1\r\nMAIL FROM:<a@b>\r\n");
    wait_for_receipt(world);
    assert_waits(world, browser);
    assert_string_equal(world->first_word, "GET");
    assert_int_equal(seen_of(world, 1)->closes, 0);
    say_durable(world);
    wait_for_text(world, browser, "421 4.7.0 this is not an HTTP server\r\n");
    wait_for_end(world, browser);
    wait_for_close(world, 1, WHY_CLIENT_PROTOCOL);
    struct far *hasty = client_hasty(world, "OPTIONS-ARE-LONG-TODAY / HTTP/1.1\r\n");
    wait_for_receipt(world);
    assert_waits(world, hasty);
    say_durable(world);
    wait_for_text(world, hasty, "you spoke before you were greeted\r\n");
    wait_for_end(world, hasty);
    wait_for_close(world, 2, WHY_CLIENT_PROTOCOL);
    assert_string_equal(world->first_word, "OPTIONS-ARE-LONG");
    far_close(browser);
    far_close(hasty);
    world_close(world);
}

static void test_without_a_journal(void **state)
{
    struct world *world = world_ready(&(struct world_wish){.protocol = PROTOCOL_SMTP});
    (void)state;
    struct far *browser = client_greeted(world);
    client_say(browser, "GET / HTTP/1.1\r\n");
    wait_for_text(world, browser, "this is not an HTTP server\r\n");
    wait_for_end(world, browser);
    wait_for_close(world, 1, WHY_CLIENT_PROTOCOL);
    assert_int_equal(world->receipts, 0);
    far_close(browser);
    world_close(world);
}

/* It leaves, or the keeper ends all. */
static void test_a_browser_that_does_not_wait(void **state)
{
    (void)state;
    for (int keeper_ends = 0; keeper_ends < 2; keeper_ends++) {
        struct world *world = world_ready(&submission);
        struct far *browser = client_greeted(world);
        client_say(browser, "GET / HTTP/1.1\r\n");
        wait_for_receipt(world);
        if (keeper_ends) {
            keeper_refuse(world, 0, WHY_INTERNAL);
            wait_for_end(world, browser);
            assert_int_equal(far_got(browser).size, 0);
        } else {
            far_reset(browser);
            world_settle(world);
        }
        say_durable(world);
        wait_for_close(world, 1, keeper_ends ? WHY_INTERNAL : WHY_CLIENT_PROTOCOL);
        far_close(browser);
        world_close(world);
    }
}

static void test_a_disk_that_takes_longer_than_a_login(void **state)
{
    struct world *world = world_ready(&(struct world_wish){
        .protocol = PROTOCOL_SMTP, .audit = {.is_on = true}, .login = SHORT_TIME});
    (void)state;
    struct far *hasty = client_hasty(world, "GET / HTTP/1.1\r\n");
    wait_for_end(world, hasty);
    assert_int_equal(far_got(hasty).size, 0);
    wait_for_close(world, 1, WHY_TIMEOUT);
    assert_int_equal(world->receipts, 1);
    far_close(hasty);
    world_close(world);
}

static void test_they_make_room_for_others(void **state)
{
    struct world *world = world_ready(&(struct world_wish){
        .protocol = PROTOCOL_SMTP, .audit = {.is_on = true}, .max_sessions = 2});
    (void)state;
    struct far *client = client_greeted(world);
    struct far *hasty = client_hasty(world, "GET / HTTP/1.1\r\n");
    wait_for_receipt(world);
    assert_waits(world, hasty);
    struct far *third = client_greeted(world); /* the first has waited longest */
    wait_for_end(world, client);
    struct far *fourth = client_greeted(world);
    wait_for_end(world, hasty);
    assert_int_equal(far_got(hasty).size, 0);
    far_close(third);
    far_close(fourth);
    far_close(client);
    far_close(hasty);
    world_close(world);
}

/* ---- other users ---- */

static void test_a_stranger(void **state)
{
    struct world *world = world_ready(&of_others);
    (void)state;
    struct far *one = client_connect(world);
    wait_for_receipt(world);
    assert_waits(world, one);
    uint64_t first = world->receipt;
    world->receipt = 0;
    struct far *other = client_connect(world);
    wait_for_receipt(world);
    assert_int_equal(world->rejected, 2);
    keeper_number(world, MESSAGE_DURABLE, first);
    wait_for_end(world, one);
    assert_int_equal(buf_size(&one->got), 0);
    assert_waits(world, other);
    /* Who is told to end waits for that, too. */
    keeper_number(world, MESSAGE_DRAIN, 0);
    assert_waits(world, other);
    assert_false(world->is_over);
    say_durable(world);
    wait_for_end(world, other);
    world_free(world);
}

static void test_strangers_at_the_end(void **state)
{
    struct world *world = world_ready(&of_others);
    (void)state;
    struct far *client = client_connect(world);
    wait_for_receipt(world);
    keeper_number(world, MESSAGE_DRAIN, 1);
    wait_for_end(world, client);
    world_free(world);
}

static bool is_open(int descriptor)
{
    return fcntl(descriptor, F_GETFD) >= 0;
}

static void test_there_is_room_for_some(void **state)
{
    int descriptors[DOORSTEP_MAX + 2];
    uint64_t receipts[DOORSTEP_MAX + 2];
    struct doorstep *doorstep = doorstep_new();
    (void)state;
    assert_true(doorstep_is_empty(doorstep));
    for (size_t i = 0; i < LENGTH_OF(descriptors); i++) {
        descriptors[i] = dup(STDERR_FILENO);
        receipts[i] = doorstep_put(doorstep, descriptors[i]);
        assert_true(doorstep_is_receipt(receipts[i]));
        if (i >= DOORSTEP_MAX)
            assert_false(is_open(descriptors[i - DOORSTEP_MAX]));
        if (i >= DOORSTEP_MAX) /* the numbers of those that follow must not be theirs */
            descriptors[i - DOORSTEP_MAX] = -1;
    }
    doorstep_release(doorstep, receipts[0]);
    assert_true(is_open(descriptors[2]));
    doorstep_release(doorstep, receipts[3]);
    assert_false(is_open(descriptors[2]));
    assert_false(is_open(descriptors[3]));
    assert_true(is_open(descriptors[4]));
    doorstep_free(doorstep);
    for (size_t i = 4; i < LENGTH_OF(descriptors); i++)
        assert_false(is_open(descriptors[i]));
    assert_false(doorstep_is_receipt(1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_words),
        cmocka_unit_test(test_without_a_journal),
        cmocka_unit_test(test_a_browser_that_does_not_wait),
        cmocka_unit_test(test_a_disk_that_takes_longer_than_a_login),
        cmocka_unit_test(test_they_make_room_for_others),
        cmocka_unit_test(test_a_stranger),
        cmocka_unit_test(test_strangers_at_the_end),
        cmocka_unit_test(test_there_is_room_for_some),
    };
    return cmocka_run_group_tests_name("gate denials", tests, NULL, NULL);
}
