/*
 * The broker when all goes well: one request for all who ask, tokens in time, tickets that are
 * cancelled.
 */
#include "broker_world.h"

/* ---- one request ---- */

static void test_fifty_asks_make_one_request(void **state)
{
    struct asker askers[50] = {0};
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(askers); i++)
        ask(&askers[i], "work", 0);
    turn();
    assert_int_equal(script.started, 1);
    assert_int_equal(state_of("work").waiting, 50);
    answer_token("first", 3600, NULL);
    for (size_t i = 0; i < LENGTH_OF(askers); i++) {
        assert_given(&askers[i], "first");
        assert_int_equal(askers[i].generation, askers[0].generation);
        assert_int_equal(askers[i].expires, clock_wall_seconds() + 3600);
    }
    turn();
    assert_int_equal(script.started, 1);
    assert_int_equal(state_of("work").requests, 1);
    assert_int_equal(state_of("work").waiting, 0);
    assert_true(state_of("work").has_token);
    assert_vault_has(&test.world, "work", "refresh-1");
}

static void test_request_says_what_is_configured(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    assert_string_equal(fetch_open()->url, TOKEN_URL);
    assert_string_equal(fetch_open()->ca_file, test.world.config->ca_file);
    assert_true(fetch_has("grant_type=refresh_token"));
    assert_true(fetch_has("refresh_token=refresh-1"));
    assert_true(fetch_has("client_id=test-client"));
    assert_true(fetch_has("scope=openid+mail+imap") || fetch_has("scope=openid%20mail%20imap"));
    assert_false(fetch_has("client_secret"));
    answer_token("first", 3600, NULL);
}

static void test_accounts_do_not_share_tokens(void **state)
{
    struct asker work = {0}, other = {0};
    (void)state;
    world_sign_in(&test.world, "other", "refresh-other");
    ask(&work, "work", 0);
    ask(&other, "other", 0);
    turn();
    assert_int_equal(script.started, 2);
    assert_true(fetch_has("refresh-1"));
    answer_token("of-work", 3600, NULL);
    assert_true(fetch_has("refresh-other"));
    answer_token("of-other", 3600, NULL);
    assert_given(&work, "of-work");
    assert_given(&other, "of-other");
    assert_true(work.generation != other.generation);
}

static void test_expired_token_is_waited_for(void **state)
{
    struct asker asker = {0};
    (void)state;
    get_first(1000);
    pass_seconds(971);
    try(&asker, 0);
    assert_int_equal(asker.answers, 0);
    assert_int_equal(script.started, 2);
    answer_token("second", 1000, NULL);
    assert_given(&asker, "second");
}

static void test_last_fifth_is_refreshed_in_background(void **state)
{
    struct asker asker = {0};
    (void)state;
    uint64_t generation = get_first(2000);
    pass_seconds(1599);
    assert_now_given("first");
    pass_seconds(1);
    try(&asker, 0);
    assert_given(&asker, "first");
    assert_int_equal(script.started, 2);
    assert_now_given("first");
    answer_token("second", 2000, NULL);
    asker = (struct asker){0};
    try(&asker, 0);
    assert_given(&asker, "second");
    assert_true(asker.generation > generation);
    assert_int_equal(script.started, 2);
}

static void test_long_life_is_refreshed_ten_minutes_before(void **state)
{
    struct asker asker = {0};
    (void)state;
    get_first(36000);
    pass_seconds(36000 - 601);
    assert_now_given("first");
    pass_seconds(1);
    try(&asker, 0);
    assert_given(&asker, "first");
    assert_int_equal(script.started, 2);
    answer_token("second", 36000, NULL);
    assert_now_given("second");
}

/* The server may end a session with the token that opened it. */
static void test_last_five_minutes_are_waited_for(void **state)
{
    struct asker early = {0}, late = {0}, another = {0};
    (void)state;
    get_first(3600);
    pass_seconds(3600 - 301);
    try(&early, 0);
    assert_given(&early, "first");
    assert_int_equal(script.started, 2);
    pass_seconds(1);
    try(&late, 0);
    try(&another, 0);
    assert_int_equal(late.answers + another.answers, 0);
    assert_int_equal(state_of("work").waiting, 2);
    assert_int_equal(script.started, 2);
    answer_token("second", 3600, NULL);
    assert_given(&late, "second");
    assert_given(&another, "second");
}

static void test_last_fifth_of_a_short_life_is_waited_for(void **state)
{
    struct asker late = {0};
    (void)state;
    get_first(300);
    pass_seconds(239);
    assert_now_given("first");
    pass_seconds(1);
    try(&late, 0);
    assert_int_equal(late.answers, 0);
    assert_int_equal(script.started, 2);
    answer_token("second", 300, NULL);
    assert_given(&late, "second");
}

/* There is a request, but for somebody else. */
static void test_nobody_waits_before_that(void **state)
{
    struct asker refused = {0};
    (void)state;
    ask(&refused, "work", get_first(300));
    turn();
    assert_int_equal(script.started, 2);
    pass_seconds(239);
    assert_now_given("first");
    answer_token("second", 300, NULL);
    assert_given(&refused, "second");
}

static void test_tiny_life_serves_those_who_waited(void **state)
{
    struct asker a = {0}, b = {0}, late = {0};
    (void)state;
    ask(&a, "work", 0);
    ask(&b, "work", 0);
    turn();
    answer_token("first", 1, NULL);
    assert_given(&a, "first");
    assert_given(&b, "first");
    turn();
    assert_int_equal(script.started, 1);
    try(&late, 0);
    assert_int_equal(late.answers, 0);
    assert_int_equal(script.started, 2);
    answer_token("second", 3600, NULL);
    assert_given(&late, "second");
}

/* ---- refused tokens ---- */

static void test_refused_generation_makes_one_request(void **state)
{
    struct asker a = {0}, b = {0}, any = {0}, late = {0};
    (void)state;
    uint64_t generation = get_first(3600);
    ask(&a, "work", generation);
    ask(&b, "work", generation);
    turn();
    assert_int_equal(script.started, 2);
    try(&any, 0);
    assert_given(&any, "first");
    answer_token("second", 3600, NULL);
    assert_given(&a, "second");
    assert_given(&b, "second");
    assert_true(a.generation > generation);
    try(&late, generation);
    assert_given(&late, "second");
    assert_int_equal(script.started, 2);
}

static void test_refused_token_is_not_given_again(void **state)
{
    struct asker refused = {0};
    (void)state;
    uint64_t generation = get_first(3600);
    try(&refused, generation);
    answer_status(503, "", 0);
    assert_failed(&refused, WHY_UNREACHABLE);
    refused = (struct asker){0};
    try(&refused, generation);
    assert_failed(&refused, WHY_UNREACHABLE);
    assert_int_equal(script.started, 2);
    assert_now_given("first");
}

/* ---- tickets ---- */

static void test_cancelled_ticket_is_not_answered(void **state)
{
    struct asker a = {0}, b = {0}, at_once = {0};
    (void)state;
    ask(&a, "work", 0);
    ask(&b, "work", 0);
    ask(&at_once, "work", 0);
    broker_cancel(at_once.ticket);
    turn();
    broker_cancel(a.ticket);
    answer_token("first", 3600, NULL);
    turn();
    assert_int_equal(a.answers, 0);
    assert_int_equal(at_once.answers, 0);
    assert_given(&b, "first");
}

static void test_request_goes_on_when_all_cancel(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    broker_cancel(asker.ticket);
    assert_int_equal(script.cancelled, 0);
    answer_token("first", 3600, "refresh-2");
    assert_int_equal(asker.answers, 0);
    assert_vault_has(&test.world, "work", "refresh-2");
    assert_now_given("first");
}

static void test_close_in_flight(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    broker_close(test.broker);
    test.broker = NULL;
    turn();
    assert_int_equal(script.cancelled, 1);
    assert_int_equal(asker.answers, 0);
}

static void test_close_before_the_first_turn(void **state)
{
    struct asker asker = {0};
    (void)state;
    ask(&asker, "work", 0);
    broker_close(test.broker);
    test.broker = NULL;
    turn();
    assert_int_equal(asker.answers, 0);
    assert_int_equal(script.started, 0);
}

static void test_close_from_within_an_answer(void **state)
{
    struct asker first = {.then_closes = true}, second = {0};
    (void)state;
    ask(&first, "work", 0);
    ask(&second, "work", 0);
    turn();
    test.broker = NULL;
    answer_token("first", 3600, NULL);
    assert_given(&first, "first");
    turn();
    assert_int_equal(second.answers, 0);
}

static void test_close_from_within_an_answer_at_once(void **state)
{
    struct asker first = {.then_closes = true}, second = {0};
    (void)state;
    get_first(3600);
    ask(&first, "work", 0);
    ask(&second, "work", 0);
    test.broker = NULL;
    turn();
    assert_given(&first, "first");
    assert_int_equal(second.answers, 0);
}

static void test_ask_from_within_an_answer(void **state)
{
    struct asker second = {0}, first = {.then_asks = &second};
    (void)state;
    try(&first, 0);
    answer_status(500, "", 0);
    assert_failed(&first, WHY_UNREACHABLE);
    assert_int_equal(second.answers, 0);
    turn();
    assert_failed(&second, WHY_UNREACHABLE);
    assert_int_equal(script.started, 1);
}

/* ---- a sign-in that brings an access token ---- */

static void sign_in_with(const char *token, int64_t expires_in)
{
    struct secret access = {0};
    secret_set(&access, slice_of_string(token));
    broker_signed_in_with(test.broker, "work", &access, expires_in, "mail imap");
    assert_false(secret_is_set(&access));
}

static void test_token_of_a_sign_in_is_given(void **state)
{
    struct asker first = {0}, waiting = {0};
    (void)state;
    sign_in_with("of-sign-in", 3600);
    try(&first, 0);
    assert_given(&first, "of-sign-in");
    assert_string_equal(first.scope, "mail imap");
    assert_int_equal(script.started, 0);
    assert_true(state_of("work").has_token);
    assert_int_equal(state_of("work").expires, clock_wall_seconds() + 3600);
    pass_seconds(3600);
    try(&waiting, 0);
    answer_token("second", 3600, NULL);
    assert_given(&waiting, "second");
}

static void test_token_of_a_sign_in_takes_the_place_of_the_one_before(void **state)
{
    struct asker waiting = {0};
    (void)state;
    uint64_t before = get_first(3600);
    pass_seconds(3600);
    try(&waiting, 0);
    sign_in_with("of-sign-in", 3600);
    assert_int_equal(script.cancelled, 1);
    turn();
    assert_given(&waiting, "of-sign-in");
    assert_true(waiting.generation > before);
}

static void test_token_of_a_sign_in_of_nobody_is_wiped(void **state)
{
    struct secret access = {0};
    (void)state;
    secret_set(&access, SLICE_LITERAL("of-nobody"));
    broker_signed_in_with(test.broker, "gone", &access, 3600, NULL);
    assert_false(secret_is_set(&access));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_fifty_asks_make_one_request),
        TEST(test_request_says_what_is_configured),
        TEST(test_accounts_do_not_share_tokens),
        TEST(test_expired_token_is_waited_for),
        TEST(test_last_fifth_is_refreshed_in_background),
        TEST(test_long_life_is_refreshed_ten_minutes_before),
        TEST(test_last_five_minutes_are_waited_for),
        TEST(test_last_fifth_of_a_short_life_is_waited_for),
        TEST(test_nobody_waits_before_that),
        TEST(test_tiny_life_serves_those_who_waited),
        TEST(test_refused_generation_makes_one_request),
        TEST(test_refused_token_is_not_given_again),
        TEST(test_cancelled_ticket_is_not_answered),
        TEST(test_request_goes_on_when_all_cancel),
        TEST(test_close_in_flight),
        TEST(test_close_before_the_first_turn),
        TEST(test_close_from_within_an_answer),
        TEST(test_close_from_within_an_answer_at_once),
        TEST(test_ask_from_within_an_answer),
        TEST(test_token_of_a_sign_in_is_given),
        TEST(test_token_of_a_sign_in_takes_the_place_of_the_one_before),
        TEST(test_token_of_a_sign_in_of_nobody_is_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
