/*
 * The broker with accounts that nobody signs in to: the client's own token, and one that a command
 * prints. Commands are real ones; the token endpoint is scripted.
 */
#include "broker_world.h"

#define SERVICE(more)                                                                              \
    "[account work]\n"                                                                             \
    "address = alice@example.test\n"                                                               \
    "provider = local\n"                                                                           \
    "client_id = test-client\n" more PROVIDER
#define CREDENTIALS "flow = client_credentials\n"
#define BY_COMMAND  "flow = command\ntoken_command = echo run >>@/runs; "

static int set_up_credentials(void **state)
{
    (void)state;
    open_broker(SERVICE(CREDENTIALS "client_secret_command = echo run >>@/runs; cat @/secret\n"));
    return 0;
}

static int set_up_command(void **state)
{
    (void)state;
    open_broker(SERVICE(BY_COMMAND "cat @/secret\n"));
    return 0;
}

static void keep(const char *text)
{
    keep_file("secret", text);
}

/* ---- client credentials ---- */

static void test_client_asks_for_itself(void **state)
{
    struct asker askers[5] = {0};
    (void)state;
    keep("s&cret");
    for (size_t i = 0; i < LENGTH_OF(askers); i++)
        ask(&askers[i], "work", 0);
    settle();
    assert_true(fetch_has("grant_type=client_credentials&scope=openid+mail+imap"));
    assert_true(fetch_has("&client_id=test-client&client_secret=s%26cret"));
    answer_token("first", 3600, NULL);
    for (size_t i = 0; i < LENGTH_OF(askers); i++)
        assert_given(&askers[i], "first");
    assert_int_equal(script.started, 1);
    assert_int_equal(runs(), 1);
    assert_now_given("first");
}

static void test_refresh_token_that_nobody_needs_is_not_kept(void **state)
{
    struct asker asker = {0};
    (void)state;
    keep("secret");
    try(&asker, 0);
    settle();
    answer_token("first", 3600, "refresh-of-a-client");
    assert_given(&asker, "first");
    assert_vault_has(&test.world, "work", NULL);
}

static void test_invalid_grant_signs_nobody_out(void **state)
{
    struct asker asker = {0}, later = {0};
    (void)state;
    keep("secret");
    try(&asker, 0);
    settle();
    answer_status(400, "{\"error\":\"invalid_grant\"}", 0);
    assert_failed(&asker, WHY_INTERNAL);
    assert_now_failed(WHY_INTERNAL);
    pass_seconds(2);
    ask(&later, "work", 0);
    settle();
    answer_token("second", 3600, NULL);
    assert_given(&later, "second");
}

static void test_secret_command_that_fails(void **state)
{
    struct asker asker = {0};
    (void)state;
    ask(&asker, "work", 0);
    settle();
    assert_failed(&asker, WHY_UNREACHABLE);
    assert_non_null(strstr(asker.text, "its client_secret_command ended with status 1"));
    assert_int_equal(script.started, 0);
    assert_now_failed(WHY_UNREACHABLE);
    assert_int_equal(runs(), 1);
}

static void test_reload_under_the_secret_command(void **state)
{
    struct asker asker = {0};
    (void)state;
    change_config(SERVICE(CREDENTIALS "client_secret_command = sleep 1000\n"));
    try(&asker, 0);
    keep("other");
    change_config(SERVICE(CREDENTIALS "client_secret_command = cat @/secret\n"));
    settle();
    assert_true(fetch_has("client_secret=other"));
    answer_token("first", 3600, NULL);
    assert_given(&asker, "first");
}

static void test_close_under_the_secret_command(void **state)
{
    struct asker asker = {0};
    (void)state;
    change_config(SERVICE(CREDENTIALS "client_secret_command = sleep 1000\n"));
    try(&asker, 0);
    broker_close(test.broker);
    test.broker = NULL;
    assert_int_equal(asker.answers, 0);
}

/* ---- token_command ---- */

static struct asker answer_to(uint64_t refused)
{
    struct asker asker = {0};
    ask(&asker, "work", refused);
    settle();
    return asker;
}

static void test_printed_token_is_asked_for_again_at_half_an_hour(void **state)
{
    (void)state;
    keep("first");
    struct asker asker = answer_to(0);
    assert_given(&asker, "first");
    uint64_t generation = asker.generation;
    keep("second");
    pass_seconds(1799);
    assert_now_given("first");
    assert_int_equal(runs(), 1);
    pass_seconds(2);
    assert_now_given("first"); /* and the command runs in the background */
    settle();
    asker = answer_to(0);
    assert_given(&asker, "second");
    assert_int_equal(asker.generation, generation + 1);
    assert_int_equal(runs(), 2);
    assert_int_equal(script.started, 0);
}

static void test_printed_token_that_is_refused(void **state)
{
    (void)state;
    keep("first");
    struct asker asker = answer_to(0);
    uint64_t generation = asker.generation;
    keep("second");
    asker = answer_to(generation);
    assert_given(&asker, "second");
    asker = answer_to(asker.generation);
    assert_failed(&asker, WHY_TOKEN_NEEDS_USER);
    assert_non_null(
        strstr(asker.text, "refused the token of account work; have its token_command"));
    assert_int_equal(runs(), 3);
}

static void test_what_is_printed_must_be_a_token(void **state)
{
    static char token[16386];
    (void)state;
    memset(token, 't', 16384);
    keep(token);
    struct asker asker = answer_to(0);
    assert_int_equal(asker.why, WHY_NONE);
    token[16384] = 't';
    keep(token);
    asker = answer_to(asker.generation);
    assert_failed(&asker, WHY_UNREACHABLE);
    assert_non_null(strstr(asker.text, "its token_command printed more than 16384 octets"));
    pass_seconds(2);
    keep("canary of a token");
    asker = answer_to(0);
    assert_int_equal(asker.why, WHY_NONE); /* the first is good for a while */
    pass_seconds(2400);
    asker = answer_to(0);
    assert_failed(&asker, WHY_UNREACHABLE);
    assert_non_null(strstr(asker.text, "printed what cannot stand in a token"));
    assert_null(strstr(asker.text, "canary"));
}

/* ---- the user's password ---- */

static int set_up_password(void **state)
{
    (void)state;
    open_broker(SERVICE("flow = password\npassword_command = echo run >>@/runs; cat @/secret\n"));
    return 0;
}

static void test_password_brings_a_token(void **state)
{
    struct asker asker = {0};
    (void)state;
    keep("p&ss word");
    ask(&asker, "work", 0);
    settle();
    assert_true(
        fetch_has("grant_type=password&username=alice%40example.test&password=p%26ss+word"));
    answer_token("first", 3600, "refresh-of-the-user");
    assert_given(&asker, "first");
    assert_vault_has(&test.world, "work", NULL);
}

static void test_refused_password_is_not_sent_again(void **state)
{
    struct asker first = {0}, second = {0}, third = {0};
    (void)state;
    keep("wrong");
    ask(&first, "work", 0);
    settle();
    answer_status(400, "{\"error\":\"invalid_grant\",\"error_description\":\"wrong\"}", 0);
    assert_failed(&first, WHY_TOKEN_NEEDS_USER);
    assert_non_null(strstr(first.text, "have its password_command print the right one"));
    pass_seconds(300);
    ask(&second, "work", 0);
    settle();
    assert_failed(&second, WHY_TOKEN_NEEDS_USER);
    assert_int_equal(script.started, 1);
    assert_int_equal(runs(), 2);
    keep("right");
    pass_seconds(300);
    ask(&third, "work", 0);
    settle();
    answer_token("first", 3600, NULL);
    assert_given(&third, "first");
    assert_int_equal(script.started, 2);
}

/* ---- reasons ---- */

static int set_up_code(void **state)
{
    (void)state;
    open_broker(SERVICE(""));
    world_sign_in(&test.world, "work", "refresh-1");
    return 0;
}

static void test_reason_of_a_dead_token(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    answer_status(400,
                  "{\"error\":\"invalid_grant\",\"error_description\":\"AADSTS700082: The refresh "
                  "token has expired due to inactivity.\",\"error_codes\":[700082]}",
                  0);
    assert_failed(&asker, WHY_TOKEN_NEEDS_USER);
    assert_string_equal(asker.text,
                        "account work must be signed in again: the sign-in was not used "
                        "for 90 days; sign in: ecluse login work");
    assert_string_equal(state_of("work").failure, asker.text);
    assert_vault_has(&test.world, "work", NULL);
    struct vault_token *tokens;
    size_t count;
    assert_int_equal(vault_token_list(test.world.vault, "work", &tokens, &count, NULL), 0);
    assert_int_equal(count, 1);
    assert_string_equal(tokens[0].last_error,
                        "the sign-in was not used for 90 days (AADSTS700082)");
    vault_tokens_free(tokens, count);
}

/* invalid_grant, and yet the same token is good again when the rule has changed. */
static void test_token_outlives_a_rule_of_the_organisation(void **state)
{
    struct asker asker = {0}, later = {0};
    (void)state;
    try(&asker, 0);
    answer_status(400,
                  "{\"error\":\"invalid_grant\",\"error_description\":\"AADSTS53003: Access has "
                  "been blocked by Conditional Access policies.\",\"error_codes\":[53003]}",
                  0);
    assert_failed(&asker, WHY_TOKEN_NEEDS_USER);
    assert_non_null(strstr(asker.text, "Conditional Access"));
    assert_non_null(strstr(asker.text, "(AADSTS53003); have an administrator look at the rule"));
    assert_vault_has(&test.world, "work", "refresh-1");
    pass_seconds(2);
    try(&later, 0);
    answer_token("first", 3600, NULL);
    assert_given(&later, "first");
    assert_string_equal(state_of("work").failure, "");
}

/* What the server cannot do now says nothing about the password. */
static void test_password_is_sent_again_after_an_outage(void **state)
{
    struct asker first = {0}, second = {0};
    (void)state;
    keep("right");
    ask(&first, "work", 0);
    settle();
    answer_status(503, "", 0);
    assert_failed(&first, WHY_UNREACHABLE);
    pass_seconds(2);
    ask(&second, "work", 0);
    settle();
    answer_token("first", 3600, NULL);
    assert_given(&second, "first");
}

#define CODE_CASE(test)        cmocka_unit_test_setup_teardown(test, set_up_code, tear_down)
#define PASSWORD_CASE(test)    cmocka_unit_test_setup_teardown(test, set_up_password, tear_down)
#define CREDENTIALS_CASE(test) cmocka_unit_test_setup_teardown(test, set_up_credentials, tear_down)
#define COMMAND_CASE(test)     cmocka_unit_test_setup_teardown(test, set_up_command, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CREDENTIALS_CASE(test_client_asks_for_itself),
        CREDENTIALS_CASE(test_refresh_token_that_nobody_needs_is_not_kept),
        CREDENTIALS_CASE(test_invalid_grant_signs_nobody_out),
        CREDENTIALS_CASE(test_secret_command_that_fails),
        CREDENTIALS_CASE(test_reload_under_the_secret_command),
        CREDENTIALS_CASE(test_close_under_the_secret_command),
        COMMAND_CASE(test_printed_token_is_asked_for_again_at_half_an_hour),
        COMMAND_CASE(test_printed_token_that_is_refused),
        COMMAND_CASE(test_what_is_printed_must_be_a_token),
        CODE_CASE(test_reason_of_a_dead_token),
        CODE_CASE(test_token_outlives_a_rule_of_the_organisation),
        PASSWORD_CASE(test_password_brings_a_token),
        PASSWORD_CASE(test_refused_password_is_not_sent_again),
        PASSWORD_CASE(test_password_is_sent_again_after_an_outage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
