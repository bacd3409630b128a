/*
 * The desk until a client is approved or refused: real SASL, real vault, real grants.
 */
#include "desk_world.h"

/* ---- approved ---- */

static void test_right_password_is_granted(void **state)
{
    (void)state;
    log_in_rightly(7);
    assert_nothing_sent();
    turn();
    assert_int_equal(script.started, 1);
    answer_token("token-1", 3600, NULL);
    assert_nothing_sent();
    assert_int_equal(desk_session_count(test.desk, NULL), 0);
    answer_lookup(0);
    const struct message_granted *granted = assert_granted(7);
    assert_string_equal(granted->account, "work");
    assert_int_equal(granted->grant, test.grant);
    assert_string_equal(granted->host, "imap.example.test");
    assert_int_equal(granted->port, 1993);
    assert_int_equal(granted->tls, TLS_MODE_ON);
    assert_int_equal(granted->authorities, 1);
    assert_int_equal(granted->address_count, 2);
    assert_int_equal(granted->addresses[0].family, 4);
    assert_int_equal(granted->addresses[0].bytes[3], 1);
    assert_int_equal(granted->addresses[1].family, 6);
    assert_string_equal(granted->mechanisms, "XOAUTH2 OAUTHBEARER");
    assert_string_equal(granted->user, "mailbox@example.test");
    assert_true(slice_is(secret_bytes(&granted->token), "token-1"));
    assert_true(granted->generation > 0);
    assert_int_equal(desk_session_count(test.desk, NULL), 1);
    assert_int_equal(desk_session_count(test.desk, "work"), 1);
    assert_int_equal(desk_session_count(test.desk, "other"), 0);
    pass_milliseconds(DESK_FAILURE_DELAY_MILLISECONDS);
    assert_nothing_sent();
}

static void test_addresses_may_come_first(void **state)
{
    (void)state;
    log_in_rightly(7);
    answer_lookup(0);
    turn();
    assert_nothing_sent();
    answer_token("token-1", 3600, NULL);
    assert_granted(7);
}

static void test_domain_may_be_upper_case(void **state)
{
    (void)state;
    log_in_at(GATE, 7, 0, "alice@EXAMPLE.test", secret_bytes(&test.password));
    turn();
    answer_token("token-1", 3600, NULL);
    answer_lookup(0);
    assert_granted(7);
}

static void test_plain_in_two_steps(void **state)
{
    char out[300];
    (void)state;
    assert_int_equal(say_ask(GATE, 7, 0, "PLAIN", NULL), 0);
    assert_string_equal(assert_challenged(7)->text, "");
    assert_int_equal(say_answer(7, plain_message(out, "", USER, secret_bytes(&test.password))), 0);
    turn();
    assert_int_equal(script.started, 1);
    answer_token("token-1", 3600, NULL);
    answer_lookup(0);
    assert_granted(7);
}

static void test_login_in_steps(void **state)
{
    (void)state;
    assert_int_equal(say_ask(GATE, 7, 0, "LOGIN", NULL), 0);
    assert_true(
        slice_starts_with_ignoring_case(slice_of_string(assert_challenged(7)->text), "user"));
    assert_int_equal(say_answer(7, slice_of_string(USER)), 0);
    assert_true(
        slice_starts_with_ignoring_case(slice_of_string(assert_challenged(7)->text), "pass"));
    assert_int_equal(say_answer(7, secret_bytes(&test.password)), 0);
    turn();
    answer_token("token-1", 3600, NULL);
    answer_lookup(0);
    assert_granted(7);
}

static void test_mechanisms(void **state)
{
    (void)state;
    assert_string_equal(desk_mechanisms(test.desk),
                        "PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256");
    assert_string_equal(offers_list(test.offers)[AT_IMAP].mechanisms, "PLAIN LOGIN");
}

/* ---- refused ---- */

static void test_wrong_user_and_wrong_password_look_the_same(void **state)
{
    char out[300];
    (void)state;
    log_in(1, USER, "wrong");
    assert_refused_late(1);
    log_in(2, "nobody@example.test", "wrong");
    assert_refused_late(2);
    log_in_at(GATE, 3, 0, "Alice@example.test", secret_bytes(&test.password));
    assert_refused_late(3);
    log_in_at(GATE, 4, 0, USER " ", secret_bytes(&test.password));
    assert_refused_late(4);
    log_in_at(GATE, 5, 0, "bob@example.test", secret_bytes(&test.password));
    assert_refused_late(5);
    struct slice bytes = plain_message(out, "bob@example.test", USER, secret_bytes(&test.password));
    assert_int_equal(say_ask(GATE, 6, 0, "PLAIN", &bytes), 0);
    assert_refused_late(6);
    assert_vault_has(&test.world, "work", "refresh-1");
}

static void test_delay_begins_with_the_last_message(void **state)
{
    char out[300];
    (void)state;
    assert_int_equal(say_ask(GATE, 7, 0, "PLAIN", NULL), 0);
    assert_challenged(7);
    pass_milliseconds(DESK_FAILURE_DELAY_MILLISECONDS - 1);
    assert_int_equal(say_answer(7, plain_message(out, "", USER, SLICE_LITERAL("wrong"))), 0);
    assert_refused_late(7);
}

static void test_slow_client_is_not_refused_early(void **state)
{
    (void)state;
    assert_int_equal(say_ask(GATE, 7, 0, "LOGIN", NULL), 0);
    assert_challenged(7);
    pass_milliseconds(10 * DESK_FAILURE_DELAY_MILLISECONDS);
    assert_nothing_sent();
    assert_int_equal(say_answer(7, slice_of_string(USER)), 0);
    assert_challenged(7);
    assert_int_equal(say_answer(7, SLICE_LITERAL("wrong")), 0);
    assert_refused_late(7);
}

static void test_malformed_is_refused_at_once(void **state)
{
    const struct slice no_nul = SLICE_LITERAL("nothing"),
                       three = SLICE_LITERAL("\0alice@example.test\0a\0b");
    (void)state;
    assert_int_equal(say_ask(GATE, 1, 0, "PLAIN", &no_nul), 0);
    assert_refused(1, WHY_CLIENT_PROTOCOL);
    assert_int_equal(say_ask(GATE, 2, 0, "PLAIN", &three), 0);
    assert_refused(2, WHY_CLIENT_PROTOCOL);
    assert_int_equal(say_ask(GATE, 3, 0, "GSSAPI", NULL), 0);
    assert_refused(3, WHY_CLIENT_PROTOCOL);
    assert_int_equal(say_ask(GATE, 4, 0, "XOAUTH2", &no_nul), 0);
    assert_refused(4, WHY_CLIENT_PROTOCOL);
}

static void test_bad_exchange_leaves_others_alone(void **state)
{
    const struct slice nonsense = SLICE_LITERAL("x");
    (void)state;
    log_in_rightly(2);
    assert_int_equal(say_ask(GATE, 1, 0, "PLAIN", &nonsense), 0);
    assert_refused(1, WHY_CLIENT_PROTOCOL);
    turn();
    answer_token("token-1", 3600, NULL);
    answer_lookup(0);
    assert_granted(2);
}

static void test_refused_session_may_try_again(void **state)
{
    (void)state;
    log_in(7, USER, "wrong");
    assert_refused_late(7);
    get_granted(7);
}

static void test_new_ask_drops_the_one_before(void **state)
{
    (void)state;
    log_in(7, USER, "wrong");
    get_granted(7);
    pass_milliseconds(DESK_FAILURE_DELAY_MILLISECONDS);
    assert_nothing_sent();
    assert_int_equal(desk_session_count(test.desk, NULL), 1);
}

/* ---- throttle ---- */

static void fail_login(uint64_t session, const char *user)
{
    log_in(session, user, "wrong");
    assert_refused_late(session);
}

static void test_five_failures_shut_the_name(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 4; i++)
        fail_login(i, USER);
    fail_login(4, "alice@EXAMPLE.TEST");
    log_in_rightly(5);
    assert_refused_late(5);
    log_in_at(GATE, 6, 0, "alice@Example.test", secret_bytes(&test.password));
    assert_refused_late(6);
    pass_seconds(60);
    get_granted(7);
}

static void test_four_failures_do_not(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 4; i++)
        fail_login(i, USER);
    get_granted(5);
}

static void test_failures_of_one_name_are_not_anothers(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 6; i++)
        fail_login(i, "nobody@example.test");
    get_granted(7);
}

static void test_a_minute_forgets_failures(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 4; i++)
        fail_login(i, USER);
    pass_seconds(60);
    for (uint64_t i = 0; i < 4; i++)
        fail_login(i, USER);
    get_granted(7);
}

static void test_made_up_names_do_not_open_a_shut_one(void **state)
{
    char name[64];
    (void)state;
    for (uint64_t i = 0; i < 5; i++)
        fail_login(i, USER);
    for (int i = 0; i < 5000; i++) {
        struct slice password = SLICE_LITERAL("wrong");
        snprintf(name, sizeof(name), "made-up-%d@example.test", i);
        log_in_at(GATE, 100, 0, name, password);
        assert_int_equal(say_plain(MESSAGE_FORGET, 100), 0);
    }
    log_in_rightly(7);
    assert_refused_late(7);
}

/* ---- chosen passwords ---- */

/* A derivation runs in a thread: waits for what comes of it. */
static void wait_for_sent(void)
{
    while (test.sent_count == test.looked_at && script.started == 0 &&
           uv_run(&test.world.loop.uv, UV_RUN_ONCE) != 0)
        ;
}

static void test_chosen_password(void **state)
{
    (void)state;
    add_chosen_grant("correct horse");
    log_in(7, USER, "correct horse");
    wait_for_sent();
    assert_int_equal(script.started, 1);
    answer_token("token-1", 3600, NULL);
    answer_lookup(0);
    assert_granted(7);
}

static void test_wrong_password_beside_a_chosen_one(void **state)
{
    (void)state;
    add_chosen_grant("correct horse");
    log_in(7, USER, "wrong");
    pass_milliseconds(DESK_FAILURE_DELAY_MILLISECONDS);
    assert_nothing_sent();
    wait_for_sent();
    assert_refused(7, WHY_AUTH_REJECTED);
    assert_int_equal(script.started, 0);
}

static void test_derivation_waits_for_the_delay(void **state)
{
    (void)state;
    add_chosen_grant("correct horse");
    log_in(7, USER, "wrong");
    while (uv_run(&test.world.loop.uv, UV_RUN_ONCE) != 0)
        ;
    assert_refused_late(7);
}

static void test_too_many_derivations(void **state)
{
    (void)state;
    add_chosen_grant("correct horse");
    for (uint64_t i = 0; i < GRANT_DERIVATIONS_MAX; i++) {
        char password[16];
        snprintf(password, sizeof(password), "wrong %u", (unsigned)i);
        log_in(i, USER, password);
    }
    assert_nothing_sent();
    log_in(9, USER, "correct horse");
    assert_refused(9, WHY_UNREACHABLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_right_password_is_granted),
        TEST(test_addresses_may_come_first),
        TEST(test_domain_may_be_upper_case),
        TEST(test_plain_in_two_steps),
        TEST(test_login_in_steps),
        TEST(test_mechanisms),
        TEST(test_wrong_user_and_wrong_password_look_the_same),
        TEST(test_delay_begins_with_the_last_message),
        TEST(test_slow_client_is_not_refused_early),
        TEST(test_malformed_is_refused_at_once),
        TEST(test_bad_exchange_leaves_others_alone),
        TEST(test_refused_session_may_try_again),
        TEST(test_new_ask_drops_the_one_before),
        TEST(test_five_failures_shut_the_name),
        TEST(test_four_failures_do_not),
        TEST(test_failures_of_one_name_are_not_anothers),
        TEST(test_a_minute_forgets_failures),
        TEST(test_made_up_names_do_not_open_a_shut_one),
        TEST(test_chosen_password),
        TEST(test_wrong_password_beside_a_chosen_one),
        TEST(test_derivation_waits_for_the_delay),
        TEST(test_too_many_derivations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
