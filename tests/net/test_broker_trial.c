/*
 * A refresh token that was brought, beside the account that it is for, until it is known whose it
 * is.
 */
#include "broker_world.h"

#define ELSEWHERE                                                                                  \
    "[account work]\n"                                                                             \
    "address = alice@example.test\n"                                                               \
    "provider = elsewhere\n"                                                                       \
    "client_id = test-client\n"                                                                    \
    "[provider elsewhere]\n"                                                                       \
    "imap = tls://imap.example.org:993\n"                                                          \
    "authorization_endpoint = https://id.example.org/auth\n"                                       \
    "token_endpoint = https://id.example.org/token\n" OTHER_ACCOUNT PROVIDER

struct attempt {
    struct broker_trial *trial;
    struct asker asker;
};

/* Its request has been made. */
static void begin(struct attempt *attempt, const char *account, const char *token)
{
    struct secret secret = {0};
    secret_set(&secret, slice_of_string(token));
    attempt->trial = broker_trial_new(test.broker, account, &secret);
    assert_false(secret_is_set(&secret));
    attempt->asker.ticket = broker_trial_ask(attempt->trial, on_answer, &attempt->asker);
    turn();
}

static void keep(struct attempt *attempt)
{
    struct err err;
    assert_int_equal(broker_trial_keep(attempt->trial, &err), 0);
    turn();
}

static void drop(struct attempt *attempt)
{
    broker_trial_drop(attempt->trial);
    turn();
}

static void assert_told_to_wait(const char *account)
{
    struct asker asker = {0};
    unsigned started = script.started;
    ask(&asker, account, 0);
    turn();
    assert_failed(&asker, WHY_UNREACHABLE);
    assert_non_null(strstr(asker.text, "try again in a moment"));
    assert_int_equal(script.started, started);
}

static void assert_told_to_sign_in(const char *account)
{
    struct asker asker = {0};
    ask(&asker, account, 0);
    turn();
    assert_failed(&asker, WHY_TOKEN_NEEDS_USER);
}

/* ---- beside an account that is signed in ---- */

static void test_clients_have_the_earlier_token_until_it_is_kept(void **state)
{
    struct attempt attempt = {0};
    (void)state;
    get_first(3600);
    begin(&attempt, "work", "brought-1");
    assert_true(fetch_has("refresh_token=brought-1"));
    assert_now_given("first");
    answer_token("brought-access", 3600, "brought-2");
    assert_given(&attempt.asker, "brought-access");
    assert_now_given("first");
    assert_vault_has(&test.world, "work", "refresh-1");
    keep(&attempt);
    assert_vault_has(&test.world, "work", "brought-2");
    assert_now_given("brought-access");
}

/* Also when that has to be refreshed, and rotates, meanwhile. */
static void test_the_earlier_token_rotates_for_itself(void **state)
{
    struct attempt attempt = {0};
    struct asker asker = {0};
    (void)state;
    begin(&attempt, "work", "brought-1");
    answer_token("brought-access", 3600, "brought-2");
    try(&asker, 0);
    assert_true(fetch_has("refresh_token=refresh-1"));
    answer_token("first", 3600, "refresh-2");
    assert_given(&asker, "first");
    assert_vault_has(&test.world, "work", "refresh-2");
    drop(&attempt);
    assert_vault_has(&test.world, "work", "refresh-2");
    assert_now_given("first");
}

static void test_a_trial_that_is_dropped_leaves_nothing(void **state)
{
    struct attempt attempt = {0};
    (void)state;
    get_first(3600);
    begin(&attempt, "work", "brought-1");
    answer_token("brought-access", 3600, "brought-2");
    drop(&attempt);
    assert_vault_has(&test.world, "work", "refresh-1");
    assert_now_given("first");
}

static void test_a_trial_that_is_dropped_under_its_request(void **state)
{
    struct attempt attempt = {0};
    (void)state;
    get_first(3600);
    begin(&attempt, "work", "brought-1");
    broker_cancel(attempt.asker.ticket);
    drop(&attempt);
    assert_int_equal(script.cancelled, 1);
    assert_int_equal(attempt.asker.answers, 0);
    assert_now_given("first");
}

static void test_what_the_provider_refuses_is_not_the_accounts_failure(void **state)
{
    struct attempt attempt = {0};
    (void)state;
    get_first(3600);
    begin(&attempt, "work", "brought-1");
    answer_status(400, "{\"error\":\"invalid_grant\"}", 0);
    assert_failed(&attempt.asker, WHY_TOKEN_NEEDS_USER);
    assert_true(broker_trial_is_refused(attempt.trial));
    drop(&attempt);
    assert_vault_has(&test.world, "work", "refresh-1");
    assert_now_given("first");
    assert_string_equal(state_of("work").failure, "");
}

static void test_the_states_are_told_apart(void **state)
{
    struct attempt attempt = {0};
    (void)state;
    begin(&attempt, "work", "brought-1");
    answer_token("brought-access", 3600, NULL);
    assert_false(state_of("work").has_token);
    assert_true(broker_trial_state(attempt.trial).has_token);
    drop(&attempt);
    assert_false(state_of("work").has_token);
}

static void test_two_trials_at_once(void **state)
{
    struct attempt one = {0}, two = {0};
    (void)state;
    begin(&one, "work", "one-1");
    begin(&two, "work", "two-1");
    answer_token("one", 3600, NULL);
    answer_token("two", 3600, NULL);
    keep(&two);
    drop(&one);
    assert_vault_has(&test.world, "work", "two-1");
    assert_now_given("two");
}

/* ---- for an account that nobody has signed in to ---- */

static void test_clients_are_told_to_wait(void **state)
{
    struct attempt attempt = {0};
    (void)state;
    assert_told_to_sign_in("other");
    begin(&attempt, "other", "brought-1");
    assert_told_to_wait("other");
    answer_token("brought-access", 3600, NULL);
    assert_told_to_wait("other");
    assert_vault_has(&test.world, "other", NULL);
    drop(&attempt);
    assert_told_to_sign_in("other");
}

static void test_the_first_token_is_kept(void **state)
{
    struct attempt attempt = {0};
    struct asker asker = {0};
    (void)state;
    begin(&attempt, "other", "brought-1");
    answer_token("brought-access", 3600, NULL);
    keep(&attempt);
    ask(&asker, "other", 0);
    turn();
    assert_given(&asker, "brought-access");
    assert_vault_has(&test.world, "other", "brought-1");
}

/* ---- when it cannot be tried, or stored ---- */

static void test_an_outage_goes_along(void **state)
{
    struct attempt attempt = {0};
    struct asker asker = {0};
    (void)state;
    begin(&attempt, "work", "brought-1");
    answer_status(503, "", 60);
    assert_failed(&attempt.asker, WHY_UNREACHABLE);
    assert_false(broker_trial_is_refused(attempt.trial));
    keep(&attempt);
    assert_vault_has(&test.world, "work", "brought-1");
    assert_now_failed(WHY_UNREACHABLE);
    pass_seconds(60);
    try(&asker, 0);
    assert_true(fetch_has("refresh_token=brought-1"));
    answer_token("brought-access", 3600, NULL);
    assert_given(&asker, "brought-access");
}

static void test_a_full_disk_costs_nothing(void **state)
{
    struct attempt attempt = {0};
    struct err err;
    (void)state;
    begin(&attempt, "work", "brought-1");
    answer_token("brought-access", 3600, "brought-2");
    set_disk_full(true);
    assert_int_equal(broker_trial_keep(attempt.trial, &err), ERR_FULL);
    assert_non_null(strstr(err.text, "make room"));
    turn();
    assert_now_failed(WHY_UNREACHABLE);
    set_disk_full(false);
    assert_now_given("brought-access");
    assert_vault_has(&test.world, "work", "brought-2");
}

static void test_an_account_that_is_gone(void **state)
{
    struct attempt attempt = {0};
    struct err err;
    (void)state;
    begin(&attempt, "work", "brought-1");
    answer_token("brought-access", 3600, NULL);
    change_config(OTHER_ACCOUNT PROVIDER);
    assert_int_equal(broker_trial_keep(attempt.trial, &err), ERR_CONFIG);
    drop(&attempt);
}

/* A token goes to the server that has issued it, and to no other. */
static void test_a_provider_that_changes(void **state)
{
    struct attempt attempt = {0};
    struct err err;
    (void)state;
    begin(&attempt, "work", "brought-1");
    change_config(ELSEWHERE);
    answer_status(503, "", 0);
    turn();
    assert_failed(&attempt.asker, WHY_TOKEN_NEEDS_USER);
    assert_int_equal(script.started, 1);
    assert_int_equal(broker_trial_keep(attempt.trial, &err), ERR_CONFIG);
    drop(&attempt);
    assert_vault_has(&test.world, "work", "refresh-1");
}

/* The owner of the broker lets it go together with what is on trial. */
static void test_the_broker_ends(void **state)
{
    struct attempt attempt = {0};
    (void)state;
    begin(&attempt, "work", "brought-1");
    broker_close(test.broker);
    test.broker = NULL;
    assert_int_equal(attempt.asker.answers, 0);
    assert_vault_has(&test.world, "work", "refresh-1");
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_clients_have_the_earlier_token_until_it_is_kept),
        CASE(test_the_earlier_token_rotates_for_itself),
        CASE(test_a_trial_that_is_dropped_leaves_nothing),
        CASE(test_a_trial_that_is_dropped_under_its_request),
        CASE(test_what_the_provider_refuses_is_not_the_accounts_failure),
        CASE(test_the_states_are_told_apart),
        CASE(test_two_trials_at_once),
        CASE(test_clients_are_told_to_wait),
        CASE(test_the_first_token_is_kept),
        CASE(test_an_outage_goes_along),
        CASE(test_a_full_disk_costs_nothing),
        CASE(test_an_account_that_is_gone),
        CASE(test_a_provider_that_changes),
        CASE(test_the_broker_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
