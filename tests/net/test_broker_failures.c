/*
 * The broker when it does not go well: rotation against a full disk, dead tokens, back-off, changes
 * under a request.
 */
#include "broker_world.h"

static void assert_last_error(const char *expected)
{
    struct vault_token *tokens;
    size_t count;
    assert_int_equal(vault_token_list(test.world.vault, "work", &tokens, &count, NULL), 0);
    assert_int_equal(count, 1);
    assert_string_equal(tokens[0].last_error, expected);
    vault_tokens_free(tokens, count);
}

/* ---- rotation ---- */

static void test_rotated_token_is_stored_before_anybody_hears(void **state)
{
    struct asker a = {.then_vault_has = "refresh-2"}, b = {.then_vault_has = "refresh-2"};
    (void)state;
    ask(&a, "work", 0);
    ask(&b, "work", 0);
    turn();
    answer_token("first", 3600, "refresh-2");
    assert_given(&a, "first");
    assert_given(&b, "first");
    vault_close(test.world.vault);
    world_open_vault(&test.world);
    assert_vault_has(&test.world, "work", "refresh-2");
    broker_close(test.broker);
    test.broker = NULL;
}

static void test_rotated_token_that_cannot_be_stored_is_kept(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    set_disk_full(true);
    answer_token("first", 3600, "refresh-2");
    assert_failed(&asker, WHY_UNREACHABLE);
    assert_now_failed(WHY_UNREACHABLE);
    assert_false(state_of("work").has_token);
    set_disk_full(false);
    assert_vault_has(&test.world, "work", "refresh-1");
    assert_now_given("first");
    assert_vault_has(&test.world, "work", "refresh-2");
}

/* The old one may be dead by then, whatever else is wrong with the answer. */
static void test_rotated_token_of_a_useless_answer_is_stored(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    answer_status(200, "{\"access_token\":\"a b\",\"refresh_token\":\"refresh-2\"}", 0);
    assert_failed(&asker, WHY_UNREACHABLE);
    assert_string_equal(asker.text, "no token for account work (the access token holds what a "
                                    "token must not hold); try again later");
    assert_false(state_of("work").has_token);
    assert_vault_has(&test.world, "work", "refresh-2");
    assert_last_error("the access token holds what a token must not hold");
}

static void test_old_token_is_good_while_the_new_one_cannot_be_stored(void **state)
{
    struct asker asker = {0};
    (void)state;
    get_first(3600);
    pass_seconds(3400);
    try(&asker, 0);
    set_disk_full(true);
    answer_token("second", 1000, "refresh-2");
    assert_given(&asker, "first");
    assert_now_given("first");
    set_disk_full(false);
    assert_now_given("second");
    assert_vault_has(&test.world, "work", "refresh-2");
}

static void test_rotated_token_is_stored_at_the_close(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    set_disk_full(true);
    answer_token("first", 3600, "refresh-2");
    set_disk_full(false);
    assert_vault_has(&test.world, "work", "refresh-1");
    broker_close(test.broker);
    test.broker = NULL;
    assert_vault_has(&test.world, "work", "refresh-2");
}

/* ---- failures ---- */

static void test_never_signed_in(void **state)
{
    struct asker asker = {0};
    (void)state;
    ask(&asker, "other", 0);
    turn();
    assert_failed(&asker, WHY_TOKEN_NEEDS_USER);
    assert_non_null(strstr(asker.text, "sign in: ecluse login other"));
    assert_int_equal(script.started, 0);
}

static void test_invalid_grant_signs_out(void **state)
{
    struct asker asker = {0};
    (void)state;
    get_first(1000);
    pass_seconds(900);
    try(&asker, 0);
    answer_status(400, "{\"error\":\"invalid_grant\",\"error_description\":\"revoked\"}", 0);
    assert_vault_has(&test.world, "work", NULL);
    asker = (struct asker){0};
    try(&asker, 0);
    assert_failed(&asker, WHY_TOKEN_NEEDS_USER);
    assert_non_null(strstr(asker.text, "sign in: ecluse login work"));
    pass_seconds(3600);
    assert_now_failed(WHY_TOKEN_NEEDS_USER);
    assert_int_equal(script.started, 2);

    world_sign_in(&test.world, "work", "refresh-new");
    broker_signed_in(test.broker, "work");
    asker = (struct asker){0};
    try(&asker, 0);
    assert_true(fetch_has("refresh_token=refresh-new"));
    answer_token("third", 3600, NULL);
    assert_given(&asker, "third");
}

static void test_token_that_the_provider_quotes_is_written_nowhere(void **state)
{
    static const char quoting[] = "{\"error\":\"%s\",\"error_description\":\"bad token: %.20s\"}";
    static const char token[] = "refresh-0123456789-abcdefghijkl";
    struct asker asker = {0};
    char body[200];
    (void)state;
    world_sign_in(&test.world, "work", token);
    try(&asker, 0);
    snprintf(body, sizeof(body), quoting, token, "");
    answer_status(400, body, 0);
    assert_failed(&asker, WHY_UNREACHABLE);
    assert_null(strstr(asker.text, "refresh-0123456789"));
    assert_last_error("unknown error");

    pass_seconds(10);
    asker = (struct asker){0};
    try(&asker, 0);
    snprintf(body, sizeof(body), quoting, "invalid_grant", token);
    answer_status(400, body, 0);
    assert_failed(&asker, WHY_TOKEN_NEEDS_USER);
    assert_last_error("invalid_grant");
}

static void test_dead_token_that_cannot_be_wiped_is_not_used_again(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    set_disk_full(true);
    answer_status(400, "{\"error\":\"invalid_grant\"}", 0);
    set_disk_full(false);
    assert_failed(&asker, WHY_TOKEN_NEEDS_USER);
    assert_vault_has(&test.world, "work", "refresh-1");
    assert_now_failed(WHY_TOKEN_NEEDS_USER);
}

static void test_server_error_backs_off_and_keeps_the_token(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    answer_status(500, "<html>", 0);
    assert_failed(&asker, WHY_UNREACHABLE);
    assert_last_error("HTTP 500");
    assert_vault_has(&test.world, "work", "refresh-1");
    now_milliseconds += 749;
    assert_now_failed(WHY_UNREACHABLE);
    now_milliseconds += 251;
    asker = (struct asker){0};
    try(&asker, 0);
    assert_int_equal(script.started, 2);
    answer_status(500, "", 0);
    assert_failed(&asker, WHY_UNREACHABLE);
    now_milliseconds += 1499;
    assert_now_failed(WHY_UNREACHABLE);
    now_milliseconds += 501;
    asker = (struct asker){0};
    try(&asker, 0);
    assert_int_equal(script.started, 3);
    answer_token("first", 3600, NULL);
    assert_given(&asker, "first");
    assert_int_equal(state_of("work").retry_at, 0);
}

static void test_back_off_ends_at_five_minutes(void **state)
{
    struct span pauses = SPAN_NONE;
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        struct asker asker = {0};
        try(&asker, 0);
        answer_status(500, "", 0);
        assert_failed(&asker, WHY_UNREACHABLE);
        int64_t pause = state_of("work").retry_at - clock_wall_seconds();
        pass_seconds(300);
        if (i >= 9) /* 2^9 s are more than five minutes */
            span_add(&pauses, pause);
    }
    assert_int_equal(script.started, 20);
    /* Or all accounts of a provider that was out would come at once. */
    assert_span(&pauses, 225, 300);
}

static void test_retry_after_is_heeded(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    answer_status(429, "", 120);
    assert_failed(&asker, WHY_UNREACHABLE);
    assert_int_equal(state_of("work").retry_at, clock_wall_seconds() + 120);
    pass_seconds(119);
    assert_now_failed(WHY_UNREACHABLE);
    pass_seconds(1);
    asker = (struct asker){0};
    try(&asker, 0);
    assert_int_equal(script.started, 2);
    answer_token("first", 3600, NULL);
}

static void test_unreachable_endpoint_says_why(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    answer_unreachable("connection\r\nrefused");
    assert_failed(&asker, WHY_UNREACHABLE);
    assert_non_null(strstr(asker.text, "connection\\x0d\\x0arefused"));
    assert_vault_has(&test.world, "work", "refresh-1");
}

static void test_failed_background_refresh_leaves_the_token(void **state)
{
    struct asker asker = {0};
    (void)state;
    get_first(2000);
    pass_seconds(1600);
    try(&asker, 0);
    assert_given(&asker, "first");
    answer_status(503, "", 3600);
    assert_now_given("first");
    pass_seconds(370);
    assert_now_failed(WHY_UNREACHABLE);
}

/* Nobody waits when there is no try, nor hears of a failure before the token is of no use. */
static void test_old_token_is_given_when_the_awaited_one_does_not_come(void **state)
{
    struct asker late = {0}, hung = {0}, too_late = {0};
    (void)state;
    uint64_t generation = get_first(3600);
    pass_seconds(3400);
    try(&late, 0);
    assert_int_equal(late.answers, 0);
    answer_status(503, "", 60);
    assert_given(&late, "first");
    assert_int_equal(late.generation, generation);
    assert_now_given("first");
    pass_seconds(160);
    try(&hung, 0);
    assert_int_equal(hung.answers, 0);
    pass_seconds(30); /* 10 s are left */
    answer_unreachable("timeout");
    assert_given(&hung, "first");
    pass_seconds(5);
    try(&too_late, 0);
    pass_seconds(5);
    answer_unreachable("timeout");
    assert_failed(&too_late, WHY_UNREACHABLE);
}

static void test_dead_grant_gives_no_old_token(void **state)
{
    struct asker late = {0};
    (void)state;
    get_first(3600);
    pass_seconds(3400);
    try(&late, 0);
    answer_status(400, "{\"error\":\"invalid_grant\"}", 0);
    assert_failed(&late, WHY_TOKEN_NEEDS_USER);
}

static void test_mistaken_client_keeps_the_token(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    answer_status(401, "{\"error\":\"invalid_client\"}", 0);
    assert_failed(&asker, WHY_INTERNAL);
    assert_non_null(strstr(asker.text, "invalid_client"));
    assert_vault_has(&test.world, "work", "refresh-1");
}

static void test_interaction_needs_the_user_and_keeps_the_token(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    answer_status(400, "{\"error\":\"interaction_required\"}", 0);
    assert_failed(&asker, WHY_TOKEN_NEEDS_USER);
    assert_non_null(strstr(asker.text, "ecluse login work"));
    assert_vault_has(&test.world, "work", "refresh-1");
}

static void test_unknown_account(void **state)
{
    struct asker asker = {0};
    struct broker_state broker_state_out;
    (void)state;
    ask(&asker, "nobody", 0);
    turn();
    assert_failed(&asker, WHY_INTERNAL);
    assert_int_equal(broker_state(test.broker, "nobody", &broker_state_out), ERR_NOT_FOUND);
}

/* ---- changes ---- */

static void test_sign_in_during_a_request(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    world_sign_in(&test.world, "work", "refresh-new");
    broker_signed_in(test.broker, "work");
    assert_int_equal(script.cancelled, 1);
    turn();
    assert_int_equal(script.started, 2);
    assert_true(fetch_has("refresh_token=refresh-new"));
    answer_token("first", 3600, NULL);
    assert_given(&asker, "first");
}

static void test_sign_in_drops_the_access_token(void **state)
{
    struct asker asker = {0};
    (void)state;
    get_first(3600);
    world_sign_in(&test.world, "work", "refresh-new");
    broker_signed_in(test.broker, "work");
    try(&asker, 0);
    assert_true(fetch_has("refresh_token=refresh-new"));
    answer_token("second", 3600, NULL);
    assert_given(&asker, "second");
}

static void test_sign_in_ends_a_back_off(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    answer_status(503, "", 3600);
    world_sign_in(&test.world, "work", "refresh-new");
    broker_signed_in(test.broker, "work");
    asker = (struct asker){0};
    try(&asker, 0);
    assert_int_equal(script.started, 2);
    answer_token("first", 3600, NULL);
    assert_given(&asker, "first");
}

#define CHANGED                                                                                    \
    "[account work]\n"                                                                             \
    "address = alice@example.test\n"                                                               \
    "provider = local\n"                                                                           \
    "client_id = another-client\n" OTHER_ACCOUNT PROVIDER

static void test_changed_client_drops_the_access_token(void **state)
{
    struct asker asker = {0};
    (void)state;
    get_first(3600);
    change_config(CONFIGURATION);
    assert_now_given("first");
    change_config(CHANGED);
    try(&asker, 0);
    assert_true(fetch_has("client_id=another-client"));
    answer_token("second", 3600, NULL);
    assert_given(&asker, "second");
}

static void test_changed_client_during_a_request(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    change_config(CHANGED);
    answer_token("of-the-old-client", 3600, "refresh-2");
    assert_int_equal(asker.answers, 0);
    assert_vault_has(&test.world, "work", "refresh-2");
    turn();
    assert_int_equal(script.started, 2);
    assert_true(fetch_has("client_id=another-client"));
    assert_true(fetch_has("refresh_token=refresh-2"));
    answer_token("second", 3600, NULL);
    assert_given(&asker, "second");
}

static void test_refusal_of_the_old_client_costs_no_token(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    change_config(CHANGED);
    answer_status(400, "{\"error\":\"invalid_grant\"}", 0);
    assert_int_equal(asker.answers, 0);
    assert_vault_has(&test.world, "work", "refresh-1");
    turn();
    assert_true(fetch_has("client_id=another-client"));
    answer_token("second", 3600, NULL);
    assert_given(&asker, "second");
}

static void test_account_goes_during_a_request(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    change_config(OTHER_ACCOUNT PROVIDER);
    answer_token("first", 3600, "refresh-2");
    turn();
    assert_failed(&asker, WHY_INTERNAL);
    assert_vault_has(&test.world, "work", "refresh-2");
}

static unsigned idle_calls;

static void on_idle(void *owner)
{
    assert_ptr_equal(owner, &idle_calls);
    idle_calls++;
}

static void test_drain_without_a_request(void **state)
{
    (void)state;
    idle_calls = 0;
    broker_drain(test.broker, on_idle, &idle_calls);
    assert_int_equal(idle_calls, 0);
    turn();
    assert_int_equal(idle_calls, 1);
    turn();
    assert_int_equal(idle_calls, 1);
}

static void test_drain_waits_for_the_request(void **state)
{
    struct asker asker = {0};
    (void)state;
    idle_calls = 0;
    try(&asker, 0);
    broker_drain(test.broker, on_idle, &idle_calls);
    turn();
    assert_int_equal(idle_calls, 0);
    answer_token("first", 3600, "refresh-2");
    turn();
    assert_int_equal(idle_calls, 1);
    assert_given(&asker, "first");
}

/* ---- the client secret's file ---- */

#define WITH_SECRET_FILE                                                                           \
    "[account work]\n"                                                                             \
    "address = alice@example.test\n"                                                               \
    "provider = local\n"                                                                           \
    "client_id = test-client\n"                                                                    \
    "client_secret_file = @/secret\n" PROVIDER

static void write_secret(const char *text, mode_t mode)
{
    char *path = scratch_path(test.world.folder, "secret");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
    free(path);
}

static int set_up_secret_file(void **state)
{
    (void)state;
    open_broker(WITH_SECRET_FILE);
    world_sign_in(&test.world, "work", "refresh-1");
    return 0;
}

static void test_client_secret_is_read_from_its_file(void **state)
{
    struct asker asker = {0};
    (void)state;
    write_secret("hush&hush\n", 0600);
    try(&asker, 0);
    assert_true(fetch_has("client_secret=hush%26hush"));
    answer_token("first", 3600, NULL);
    assert_given(&asker, "first");
}

static void test_client_secret_that_others_can_read_is_refused(void **state)
{
    struct asker asker = {0};
    (void)state;
    write_secret("hush", 0640);
    try(&asker, 0);
    assert_failed(&asker, WHY_INTERNAL);
    assert_non_null(strstr(asker.text, "chmod 600"));
    assert_int_equal(script.started, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rotated_token_is_stored_before_anybody_hears),
        TEST(test_rotated_token_that_cannot_be_stored_is_kept),
        TEST(test_rotated_token_of_a_useless_answer_is_stored),
        TEST(test_old_token_is_good_while_the_new_one_cannot_be_stored),
        TEST(test_rotated_token_is_stored_at_the_close),
        TEST(test_never_signed_in),
        TEST(test_invalid_grant_signs_out),
        TEST(test_token_that_the_provider_quotes_is_written_nowhere),
        TEST(test_dead_token_that_cannot_be_wiped_is_not_used_again),
        TEST(test_server_error_backs_off_and_keeps_the_token),
        TEST(test_back_off_ends_at_five_minutes),
        TEST(test_retry_after_is_heeded),
        TEST(test_unreachable_endpoint_says_why),
        TEST(test_failed_background_refresh_leaves_the_token),
        TEST(test_old_token_is_given_when_the_awaited_one_does_not_come),
        TEST(test_dead_grant_gives_no_old_token),
        TEST(test_mistaken_client_keeps_the_token),
        TEST(test_interaction_needs_the_user_and_keeps_the_token),
        TEST(test_unknown_account),
        TEST(test_sign_in_during_a_request),
        TEST(test_sign_in_drops_the_access_token),
        TEST(test_sign_in_ends_a_back_off),
        TEST(test_changed_client_drops_the_access_token),
        TEST(test_changed_client_during_a_request),
        TEST(test_refusal_of_the_old_client_costs_no_token),
        TEST(test_account_goes_during_a_request),
        TEST(test_drain_without_a_request),
        TEST(test_drain_waits_for_the_request),
        cmocka_unit_test_setup_teardown(test_client_secret_is_read_from_its_file,
                                        set_up_secret_file, tear_down),
        cmocka_unit_test_setup_teardown(test_client_secret_that_others_can_read_is_refused,
                                        set_up_secret_file, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
