/*
 * What the broker does unasked: it tells users that they are needed, and refreshes what lies idle.
 * The command is a real one; the token endpoint is scripted.
 */
#include "broker_world.h"

#include "../lib/database_probe.h"
#include "keeper/broker_account.h"

#define NOTIFYING "notify_command = echo \"$ECLUSE_ACCOUNT: $ECLUSE_REASON\" >>@/notices\n"
#define DAY       (24 * 3600)

/* Now: the clock of these tests has run on. */
static void sign_in_now(const char *account, const char *token)
{
    struct secret secret = {0};
    secret_set(&secret, slice_of_string(token));
    assert_int_equal(vault_token_store(test.world.vault, account, ISSUER_URL, &secret,
                                       clock_wall_seconds(), NULL),
                     0);
    secret_wipe(&secret);
}

/* So late that no test is there any more. */
static const struct broker_tending_options tending = {.first_look = INT32_MAX};

static int set_up_tending(void **state)
{
    (void)state;
    open_broker(NOTIFYING CONFIGURATION);
    broker_tend(test.broker, &tending);
    sign_in_now("work", "refresh-1");
    sign_in_now("other", "refresh-2");
    return 0;
}

static void assert_notices(const char *expected)
{
    char *path = scratch_path(test.world.folder, "notices");
    char text[1000] = "";
    settle();
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
        fclose(file);
    }
    free(path);
    assert_string_equal(text, expected);
}

#define REFUSAL "{\"error\":\"invalid_grant\"}"
#define NOTICE  "work: account work must be signed in again; sign in: ecluse login work\n"

static void test_user_is_told_once(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    answer_status(400, REFUSAL, 0);
    assert_failed(&asker, WHY_TOKEN_NEEDS_USER);
    assert_notices(NOTICE);
    assert_now_failed(WHY_TOKEN_NEEDS_USER);
    assert_notices(NOTICE);
    /* The new one is dead, too. */
    sign_in_now("work", "refresh-3");
    broker_signed_in(test.broker, "work");
    struct asker again = {0};
    try(&again, 0);
    answer_status(400, REFUSAL, 0);
    assert_failed(&again, WHY_TOKEN_NEEDS_USER);
    assert_notices(NOTICE NOTICE);
}

/* The token stays, and each login tries it again: that is one trouble all the same. */
static void test_user_is_told_once_of_what_is_tried_again(void **state)
{
    static const char notice[] = "work: the provider wants account work to be signed in again "
                                 "(interaction_required); sign in: ecluse login work\n";
    char notices[300];
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct asker asker = {0};
        try(&asker, 0);
        answer_status(400, "{\"error\":\"interaction_required\"}", 0);
        assert_failed(&asker, WHY_TOKEN_NEEDS_USER);
        assert_notices(notice);
        pass_seconds(300);
    }
    /* It was well once more: that is another one. */
    struct asker well = {0}, again = {0};
    try(&well, 0);
    answer_token("first", 1, NULL);
    assert_given(&well, "first");
    pass_seconds(1);
    try(&again, 0);
    answer_status(400, "{\"error\":\"interaction_required\"}", 0);
    assert_failed(&again, WHY_TOKEN_NEEDS_USER);
    snprintf(notices, sizeof(notices), "%s%s", notice, notice);
    assert_notices(notices);
}

static void test_user_is_not_told_of_an_outage(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    answer_status(503, "", 0);
    assert_failed(&asker, WHY_UNREACHABLE);
    pass_seconds(300);
    struct asker again = {0};
    try(&again, 0);
    answer_status(401, "{\"error\":\"invalid_client\"}", 0);
    assert_failed(&again, WHY_INTERNAL);
    assert_notices("");
}

/* It is not for another account, nor does it open; the row is left for somebody to look at. */
static void test_user_is_told_of_a_damaged_token(void **state)
{
    static const char select[] = "SELECT refresh_token FROM tokens WHERE account = 'work'";
    static const char update[] = "UPDATE tokens SET refresh_token = ? WHERE account = 'work'";
    static const char words[] = "the token of account work in the vault is damaged, or was not put "
                                "there by ecluse; sign in: ecluse login work";
    char *file = scratch_path(test.world.config->state_dir, "vault.db");
    uint8_t moved[200], now[200];
    struct asker asker = {0}, again = {0};
    size_t size = database_peek(file, "SELECT refresh_token FROM tokens WHERE account = 'other'",
                                moved, sizeof(moved));
    (void)state;
    database_poke(file, update, moved, size);
    try(&asker, 0);
    assert_failed(&asker, WHY_TOKEN_NEEDS_USER);
    assert_string_equal(asker.text, words);
    assert_string_equal(state_of("work").failure, words);
    pass_seconds(DAY);
    assert_now_failed(WHY_TOKEN_NEEDS_USER);
    assert_int_equal(script.started, 0);
    assert_int_equal(database_peek(file, select, now, sizeof(now)), size);
    assert_memory_equal(now, moved, size);
    assert_notices("work: the token of account work in the vault is damaged, or was not put there "
                   "by ecluse; sign in: ecluse login work\n");
    free(file);
    /* Nor is it refreshed when it lies idle. */
    assert_int_equal(vault_token_sign_out(test.world.vault, "other", "by the user", NULL), 0);
    pass_seconds(90 * (int64_t)DAY);
    assert_in_range(broker_tend_look(test.broker), 3000 * 1000, 4200 * 1000);
    assert_int_equal(script.started, 0);
    sign_in_now("work", "refresh-3");
    broker_signed_in(test.broker, "work");
    try(&again, 0);
    answer_token("first", 3600, NULL);
    assert_given(&again, "first");
}

static void test_idle_accounts_are_refreshed_one_after_the_other(void **state)
{
    (void)state;
    pass_seconds(30 * (int64_t)DAY - 10);
    assert_in_range(broker_tend_look(test.broker), 3000 * 1000, 4200 * 1000);
    assert_int_equal(script.started, 0);
    pass_seconds(10);
    assert_in_range(broker_tend_look(test.broker), 5 * 1000, 60 * 1000);
    assert_int_equal(script.started, 1);
    assert_true(fetch_has("refresh_token=refresh-2")); /* by account */
    answer_token("first", 3600, "refresh-4");
    assert_vault_has(&test.world, "other", "refresh-4");
    assert_in_range(broker_tend_look(test.broker), 3000 * 1000, 4200 * 1000);
    assert_int_equal(script.started, 2);
    assert_true(fetch_has("refresh_token=refresh-1"));
    answer_token("second", 3600, NULL);
    /* It is good for whoever asks now, and the next 30 days begin. */
    assert_now_given("second");
    pass_seconds(30 * (int64_t)DAY - 10);
    (void)broker_tend_look(test.broker);
    assert_int_equal(script.started, 2);
}

/* The daemons of many machines may have been started by the same hand. */
static void test_times_of_looks_differ(void **state)
{
    struct span between_due = SPAN_NONE, between_looks = SPAN_NONE;
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        pass_seconds(30 * (int64_t)DAY);
        span_add(&between_due, broker_tend_look(test.broker));
        span_add(&between_looks, broker_tend_look(test.broker));
        answer_token("first", 3600, NULL);
        answer_token("second", 3600, NULL);
    }
    assert_int_equal(script.started, 40);
    assert_span(&between_due, 5 * 1000, 60 * 1000);
    assert_span(&between_looks, 3000 * 1000, 4200 * 1000);
}

static void note_timer(uv_handle_t *handle, void *due_out)
{
    if (handle->type == UV_TIMER && uv_is_active(handle) && !uv_is_closing(handle))
        *(uint64_t *)due_out = uv_timer_get_due_in((uv_timer_t *)handle);
}

static void test_times_of_first_looks_differ(void **state)
{
    static const struct broker_tending_options options = {.first_look = 120 * 1000};
    struct span spans = SPAN_NONE;
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        uint64_t due = 0;
        broker_close(test.broker);
        test.broker = broker_open(&test.world.loop, test.world.fetcher, test.world.vault,
                                  test.world.config, &test.world.log);
        broker_tend(test.broker, &options);
        uv_walk(&test.world.loop.uv, note_timer, &due);
        span_add(&spans, (int64_t)due);
    }
    assert_span(&spans, 10 * 1000, 120 * 1000);
}

static void test_first_look_comes_by_itself(void **state)
{
    static const struct broker_tending_options options = {.first_look = 12};
    (void)state;
    broker_close(test.broker);
    test.broker = broker_open(&test.world.loop, test.world.fetcher, test.world.vault,
                              test.world.config, &test.world.log);
    pass_seconds(30 * (int64_t)DAY);
    broker_tend(test.broker, &options);
    await_requests(1);
    assert_true(fetch_has("refresh_token=refresh-2"));
    answer_token("first", 3600, NULL);
}

static void test_idle_account_waits_for_its_pause(void **state)
{
    (void)state;
    pass_seconds(30 * (int64_t)DAY);
    (void)broker_tend_look(test.broker);
    answer_status(503, "", 600);
    (void)broker_tend_look(test.broker); /* the other one */
    answer_token("second", 3600, NULL);
    pass_seconds(599);
    (void)broker_tend_look(test.broker);
    assert_int_equal(script.started, 2);
    pass_seconds(1);
    (void)broker_tend_look(test.broker);
    assert_int_equal(script.started, 3);
    answer_token("first", 3600, NULL);
}

static void test_idle_account_that_is_signed_out(void **state)
{
    (void)state;
    assert_int_equal(vault_token_sign_out(test.world.vault, "work", "by the user", NULL), 0);
    assert_int_equal(vault_token_sign_out(test.world.vault, "other", "by the user", NULL), 0);
    pass_seconds(90 * (int64_t)DAY);
    assert_in_range(broker_tend_look(test.broker), 3000 * 1000, 4200 * 1000);
    assert_int_equal(script.started, 0);
    assert_notices("");
}

#define TEND_CASE(test) cmocka_unit_test_setup_teardown(test, set_up_tending, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEND_CASE(test_user_is_told_once),
        TEND_CASE(test_user_is_told_once_of_what_is_tried_again),
        TEND_CASE(test_user_is_not_told_of_an_outage),
        TEND_CASE(test_user_is_told_of_a_damaged_token),
        TEND_CASE(test_idle_accounts_are_refreshed_one_after_the_other),
        TEND_CASE(test_times_of_looks_differ),
        TEND_CASE(test_times_of_first_looks_differ),
        TEND_CASE(test_first_look_comes_by_itself),
        TEND_CASE(test_idle_account_waits_for_its_pause),
        TEND_CASE(test_idle_account_that_is_signed_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
