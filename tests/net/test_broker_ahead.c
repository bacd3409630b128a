/*
 * The broker refreshes the accounts in use ahead of need: which of them, when, and how often.
 */
#include "broker_world.h"

#include "keeper/broker_account.h"

#define HOUR 3600

static bool work_has_sessions;

static bool has_sessions(void *owner, const char *account)
{
    assert_ptr_equal(owner, &test);
    return work_has_sessions && strcmp(account, "work") == 0;
}

static int set_up_ahead(void **state)
{
    static const struct broker_tending_options options = {
        /* So late that no test is there any more. */
        .first_look = INT32_MAX,
        .has_sessions = has_sessions,
        .owner = &test,
    };
    (void)state;
    work_has_sessions = false;
    open_broker(CONFIGURATION);
    broker_tend(test.broker, &options);
    world_sign_in(&test.world, "work", "refresh-1");
    world_sign_in(&test.world, "other", "refresh-2");
    return 0;
}

/* Seconds until the next look; -1: there is none. */
static int64_t look(void)
{
    int64_t next = broker_tend_look_ahead(test.broker);
    turn();
    return next == INT64_MAX ? -1 : next / 1000;
}

/* A look that starts no request. */
static int64_t look_at_nothing(void)
{
    unsigned started = script.started;
    int64_t next = look();
    assert_int_equal(script.started, started);
    return next;
}

static void assert_look_asks(void)
{
    unsigned started = script.started;
    (void)look();
    assert_int_equal(script.started, started + 1);
}

static void get(const char *account, const char *token, int expires_in)
{
    struct asker asker = {0};
    ask(&asker, account, 0);
    turn();
    answer_token(token, expires_in, NULL);
    assert_given(&asker, token);
    turn();
}

/* ---- which, and when ---- */

static void test_nothing_is_asked_for_at_the_start(void **state)
{
    (void)state;
    work_has_sessions = true;
    assert_int_equal(look_at_nothing(), -1);
    pass_seconds(30 * HOUR);
    assert_int_equal(look_at_nothing(), -1);
}

static void test_account_in_use_is_refreshed_ahead(void **state)
{
    (void)state;
    get("work", "first", HOUR);
    assert_in_range(look_at_nothing(), 2700 - 1, 3000);
    pass_seconds(2699);
    (void)look_at_nothing();
    pass_seconds(301);
    assert_look_asks();
    assert_true(fetch_has("refresh_token=refresh-1"));
    assert_int_equal(state_of("work").waiting, 0);
    assert_int_equal(look_at_nothing(), -1);
    assert_now_given("first");
    answer_token("second", HOUR, NULL);
    assert_now_given("second");
    assert_in_range(look_at_nothing(), 2700 - 1, 3000);
}

static void test_account_that_is_left_alone_is_not_refreshed_for_ever(void **state)
{
    (void)state;
    get("work", "first", HOUR);
    pass_seconds(3000);
    assert_look_asks();
    answer_token("second", HOUR, NULL);
    pass_seconds(3000);
    assert_int_equal(look_at_nothing(), -1);
    /* And all begins anew. */
    pass_seconds(600);
    get("work", "third", HOUR);
    pass_seconds(3000);
    assert_look_asks();
    answer_token("fourth", HOUR, NULL);
}

static void test_account_with_sessions_is_in_use(void **state)
{
    (void)state;
    work_has_sessions = true;
    get("work", "first", HOUR);
    get("other", "of-other", HOUR);
    for (unsigned i = 0; i < 5; i++) {
        pass_seconds(3000);
        (void)look();
        (void)look();
        while (!list_is_empty(&script.open))
            answer_token("next", HOUR, NULL);
    }
    assert_int_equal(state_of("work").requests, 6);
    assert_int_equal(state_of("other").requests, 2);
    work_has_sessions = false;
    pass_seconds(3000);
    assert_int_equal(look_at_nothing(), -1);
}

static void test_long_life_is_lately(void **state)
{
    (void)state;
    get("work", "first", 24 * HOUR);
    pass_seconds(24 * HOUR - 600);
    assert_look_asks();
    answer_token("second", 24 * HOUR, NULL);
}

static void test_short_lives(void **state)
{
    (void)state;
    get("work", "first", 119);
    assert_int_equal(look_at_nothing(), -1);
    pass_seconds(119);
    assert_int_equal(look_at_nothing(), -1);
    get("work", "second", 300);
    assert_in_range(look_at_nothing(), 210 - 1, 240);
}

static void test_times_differ(void **state)
{
    struct span times = SPAN_NONE;
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        get("work", "token", HOUR);
        span_add(&times, broker_tend_look_ahead(test.broker));
        broker_signed_in(test.broker, "work");
    }
    assert_span(&times, 2700 * 1000, 3000 * 1000);
}

/* After the machine was asleep. */
static void test_one_after_the_other(void **state)
{
    (void)state;
    get("work", "first", HOUR);
    get("other", "of-other", HOUR);
    pass_seconds(3500);
    assert_in_range(broker_tend_look_ahead(test.broker), 100, 1000);
    assert_int_equal(script.started, 3);
    assert_int_equal(broker_tend_look_ahead(test.broker), INT64_MAX);
    assert_int_equal(script.started, 4);
    answer_token("second", HOUR, NULL);
    answer_token("second", HOUR, NULL);
}

static void test_login_waits_for_the_same_request(void **state)
{
    struct asker late = {0};
    (void)state;
    get("work", "first", HOUR);
    pass_seconds(3000);
    assert_look_asks();
    pass_seconds(300);
    try(&late, 0);
    assert_int_equal(late.answers, 0);
    assert_int_equal(script.started, 2);
    answer_token("second", HOUR, NULL);
    assert_given(&late, "second");
}

/* ---- failures ---- */

static void test_outage_is_tried_again_after_its_pause(void **state)
{
    (void)state;
    get("work", "first", HOUR);
    pass_seconds(3000);
    assert_look_asks();
    answer_status(503, "", 120);
    assert_int_equal(look_at_nothing(), 120);
    pass_seconds(119);
    assert_int_equal(look_at_nothing(), 1);
    pass_seconds(1);
    assert_look_asks();
    answer_token("second", HOUR, NULL);
    assert_now_given("second");
}

/* Nor when there is nobody any more who needs it. */
static void test_outage_is_not_tried_for_ever(void **state)
{
    unsigned tries = 0;
    (void)state;
    get("work", "first", HOUR);
    pass_seconds(3000);
    for (unsigned i = 0; i < 20; i++) {
        (void)look();
        if (!list_is_empty(&script.open)) {
            answer_status(503, "", 0);
            tries++;
        }
        pass_seconds(300);
    }
    assert_in_range(tries, 2, 4);
    assert_int_equal(look_at_nothing(), -1);
}

static void test_what_somebody_must_mend_is_tried_at_a_login(void **state)
{
    struct asker asker = {0};
    (void)state;
    get("work", "first", HOUR);
    pass_seconds(3000);
    assert_look_asks();
    answer_status(401, "{\"error\":\"invalid_client\"}", 0);
    pass_seconds(10);
    assert_int_equal(look_at_nothing(), -1);
    try(&asker, 0);
    assert_given(&asker, "first");
    assert_int_equal(script.started, 3);
    answer_token("second", HOUR, NULL);
    assert_in_range(look_at_nothing(), 2700 - 1, 3000);
}

static void test_dead_grant_is_not_asked_for(void **state)
{
    (void)state;
    get("work", "first", HOUR);
    pass_seconds(3000);
    assert_look_asks();
    answer_status(400, "{\"error\":\"invalid_grant\"}", 0);
    assert_int_equal(look_at_nothing(), -1);
    assert_now_failed(WHY_TOKEN_NEEDS_USER);
}

static void test_full_disk_has_its_pauses(void **state)
{
    (void)state;
    get("work", "first", HOUR);
    pass_seconds(3000);
    assert_look_asks();
    set_disk_full(true);
    answer_token("second", HOUR, "refresh-3");
    (void)look_at_nothing();
    assert_true(state_of("work").retry_at > clock_wall_seconds());
    set_disk_full(false);
    pass_seconds(300);
    assert_look_asks();
    assert_true(fetch_has("refresh_token=refresh-3"));
    answer_token("third", HOUR, NULL);
}

static void on_idle(void *owner)
{
    (*(unsigned *)owner)++;
}

static void test_nothing_is_begun_at_the_end(void **state)
{
    unsigned calls = 0;
    (void)state;
    get("work", "first", HOUR);
    broker_drain(test.broker, on_idle, &calls);
    pass_seconds(3000);
    assert_int_equal(broker_tend_look_ahead(test.broker), INT64_MAX);
    assert_int_equal(script.started, 1);
    turn();
    assert_int_equal(calls, 1);
}

/* ---- the timer ---- */

/* The clock of the tests moves, the loop's does not: it is told when somebody asks. */
static void test_timer_runs_by_itself(void **state)
{
    (void)state;
    get("work", "first", HOUR);
    pass_seconds(3000);
    get("other", "of-other", HOUR);
    await_requests(3);
    assert_true(fetch_has("refresh_token=refresh-1"));
    answer_token("second", HOUR, NULL);
    assert_now_given("second");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_ahead, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_asked_for_at_the_start),
        TEST(test_account_in_use_is_refreshed_ahead),
        TEST(test_account_that_is_left_alone_is_not_refreshed_for_ever),
        TEST(test_account_with_sessions_is_in_use),
        TEST(test_long_life_is_lately),
        TEST(test_short_lives),
        TEST(test_times_differ),
        TEST(test_one_after_the_other),
        TEST(test_login_waits_for_the_same_request),
        TEST(test_outage_is_tried_again_after_its_pause),
        TEST(test_outage_is_not_tried_for_ever),
        TEST(test_what_somebody_must_mend_is_tried_at_a_login),
        TEST(test_dead_grant_is_not_asked_for),
        TEST(test_full_disk_has_its_pauses),
        TEST(test_nothing_is_begun_at_the_end),
        TEST(test_timer_runs_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
