/*
 * The broker before a provider of which the configuration has the issuer alone: the issuer is asked
 * first, once for all, and nothing secret goes anywhere before it has said where to.
 */
#include "broker_world.h"

#define ISSUER_ONLY                                                                                \
    "[account work]\n"                                                                             \
    "address = alice@example.test\n"                                                               \
    "provider = local\n"                                                                           \
    "client_id = test-client\n" OTHER_ACCOUNT "[listen imap]\n"                                    \
    "address = 127.0.0.1:1143\n"                                                                   \
    "[provider local]\n"                                                                           \
    "imap = tls://imap.example.test:993\n"                                                         \
    "issuer = " ISSUER_URL "\n"                                                                    \
    "scope = openid mail\n"
#define DOCUMENT(token_url) "{\"issuer\":\"" ISSUER_URL "\",\"token_endpoint\":\"" token_url "\"}"
#define RFC_8414            ISSUER_URL "/.well-known/oauth-authorization-server"
#define OPENID              ISSUER_URL "/.well-known/openid-configuration"

static int set_up_issuer(void **state)
{
    (void)state;
    open_broker(ISSUER_ONLY);
    world_sign_in(&test.world, "work", "refresh-1");
    world_sign_in(&test.world, "other", "refresh-other");
    return 0;
}

static void assert_asks(const char *url)
{
    assert_string_equal(fetch_open()->url, url);
    assert_string_equal(fetch_open()->ca_file, test.world.config->ca_file);
    assert_false(secret_is_set(&fetch_open()->body));
}

static void test_issuer_is_asked_once_and_for_a_day(void **state)
{
    struct asker work = {0}, other = {0};
    (void)state;
    ask(&work, "work", 0);
    ask(&other, "other", 0);
    turn();
    assert_int_equal(script.started, 1);
    assert_asks(RFC_8414);
    answer_status(200, DOCUMENT(TOKEN_URL), 0);
    assert_int_equal(script.started, 3);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(fetch_open()->url, TOKEN_URL);
        answer_token("first", 3600, NULL);
    }
    assert_given(&work, "first");
    assert_given(&other, "first");
    pass_seconds(24 * 60 * 60 - 1);
    work = (struct asker){0};
    try(&work, 0);
    assert_string_equal(fetch_open()->url, TOKEN_URL);
    answer_token("second", 1, NULL);
    pass_seconds(1);
    work = (struct asker){0};
    try(&work, 0);
    assert_asks(RFC_8414);
    answer_status(200, DOCUMENT(ISSUER_URL "/moved"), 0);
    assert_string_equal(fetch_open()->url, ISSUER_URL "/moved");
    answer_token("third", 3600, NULL);
    assert_given(&work, "third");
}

static void test_other_form_is_asked_when_the_first_is_not_there(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    answer_status(404, "<html>", 0);
    assert_asks(OPENID);
    answer_status(200, DOCUMENT(TOKEN_URL), 0);
    answer_token("first", 3600, NULL);
    assert_given(&asker, "first");
}

static void test_false_document_is_not_used(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    answer_status(200, "{\"issuer\":\"https://evil.test\",\"token_endpoint\":\"" TOKEN_URL "\"}",
                  0);
    assert_failed(&asker, WHY_INTERNAL);
    assert_non_null(strstr(asker.text, "its issuer is https://evil.test"));
    assert_int_equal(script.started, 1);
    assert_vault_has(&test.world, "work", "refresh-1");
    assert_now_failed(WHY_INTERNAL);
    pass_seconds(2);
    asker = (struct asker){0};
    try(&asker, 0);
    assert_asks(RFC_8414);
    answer_unreachable("no route");
    assert_failed(&asker, WHY_UNREACHABLE);
    assert_non_null(strstr(asker.text, "no route"));
    assert_now_failed(WHY_UNREACHABLE);
}

static void test_document_without_token_endpoint(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    answer_status(200, "{\"issuer\":\"" ISSUER_URL "\"}", 0);
    assert_failed(&asker, WHY_INTERNAL);
    assert_non_null(strstr(asker.text, "no token_endpoint"));
    assert_int_equal(script.started, 1);
}

static void test_cancelled_asker_leaves_what_was_learned(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    broker_cancel(asker.ticket);
    answer_status(200, DOCUMENT(TOKEN_URL), 0);
    assert_int_equal(asker.answers, 0);
    answer_token("first", 3600, NULL);
    assert_now_given("first");
}

static void test_sign_in_under_way_begins_anew(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    world_sign_in(&test.world, "work", "refresh-2");
    broker_signed_in(test.broker, "work");
    turn();
    assert_int_equal(script.started, 1);
    answer_status(200, DOCUMENT(TOKEN_URL), 0);
    assert_int_equal(script.started, 2);
    assert_true(fetch_has("refresh_token=refresh-2"));
    answer_token("first", 3600, NULL);
    assert_given(&asker, "first");
}

static void test_reload_gives_another_issuer(void **state)
{
    struct asker asker = {0};
    (void)state;
    struct config *before = test.world.config;
    try(&asker, 0);
    test.world.config = world_config(&test.world, CONFIGURATION);
    broker_set_config(test.broker, test.world.config);
    config_free(before);
    turn();
    assert_int_equal(script.started, 2);
    answer_status(200, DOCUMENT(ISSUER_URL "/of-before"), 0);
    assert_string_equal(fetch_open()->url, TOKEN_URL);
    answer_token("first", 3600, NULL);
    assert_given(&asker, "first");
}

static void test_close_from_within_the_answer(void **state)
{
    struct asker a = {.then_closes = true}, b = {0};
    (void)state;
    ask(&a, "work", 0);
    ask(&b, "other", 0);
    turn();
    answer_status(500, "", 0);
    answer_status(500, "", 0);
    assert_failed(&a, WHY_UNREACHABLE);
    assert_int_equal(b.answers, 0);
    test.broker = NULL;
}

static void test_close_under_way(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    broker_close(test.broker);
    test.broker = NULL;
    assert_int_equal(script.cancelled, 1);
    assert_int_equal(asker.answers, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_issuer, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_issuer_is_asked_once_and_for_a_day),
        TEST(test_other_form_is_asked_when_the_first_is_not_there),
        TEST(test_false_document_is_not_used),
        TEST(test_document_without_token_endpoint),
        TEST(test_cancelled_asker_leaves_what_was_learned),
        TEST(test_sign_in_under_way_begins_anew),
        TEST(test_reload_gives_another_issuer),
        TEST(test_close_from_within_the_answer),
        TEST(test_close_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
