/*
 * The broker with a real vault, a scripted token endpoint and a clock that the tests move.
 */
#include "keeper_world.h"

#include <sys/resource.h>

#include "keeper/broker.h"

#define PROVIDER                                                                                   \
    "[listen imap]\n"                                                                              \
    "address = 127.0.0.1:1143\n"                                                                   \
    "[provider local]\n"                                                                           \
    "imap = tls://imap.example.test:993\n"                                                         \
    "issuer = " ISSUER_URL "\n"                                                                    \
    "authorization_endpoint = " ISSUER_URL "/auth\n"                                               \
    "token_endpoint = " TOKEN_URL "\n"                                                             \
    "scope = openid mail\n"                                                                        \
    "scope_imap = mail imap\n"
#define OTHER_ACCOUNT                                                                              \
    "[account other]\n"                                                                            \
    "address = bob@example.test\n"                                                                 \
    "provider = local\n"                                                                           \
    "client_id = test-client\n"
#define CONFIGURATION                                                                              \
    "[account work]\n"                                                                             \
    "address = alice@example.test\n"                                                               \
    "provider = local\n"                                                                           \
    "client_id = test-client\n" OTHER_ACCOUNT PROVIDER

/* ---- those who ask ---- */

struct asker {
    struct broker *broker;
    struct broker_ticket *ticket;
    unsigned answers;
    enum why why;
    char token[64];
    char text[500];
    uint64_t generation;
    int64_t expires;
    /* done from within the answer */
    struct asker *then_asks;
    bool then_closes;
    const char *then_vault_has;
};

static struct {
    struct world world;
    struct broker *broker;
} test;

static void ask(struct asker *asker, const char *account, uint64_t refused);

static void on_answer(void *owner, enum why why, const struct broker_token *token, const char *text)
{
    struct asker *asker = owner;
    asker->ticket = NULL;
    asker->answers++;
    asker->why = why;
    snprintf(asker->text, sizeof(asker->text), "%s", text);
    assert_int_equal(why == WHY_NONE, token != NULL);
    if (token != NULL) {
        struct slice bytes = secret_bytes(token->token);
        snprintf(asker->token, sizeof(asker->token), "%.*s", SLICE_PRINT(bytes));
        asker->generation = token->generation;
        asker->expires = token->expires;
    }
    if (asker->then_vault_has != NULL)
        assert_vault_has(&test.world, "work", asker->then_vault_has);
    if (asker->then_asks != NULL)
        ask(asker->then_asks, "work", 0);
    if (asker->then_closes)
        broker_close(asker->broker);
}

static void ask(struct asker *asker, const char *account, uint64_t refused)
{
    unsigned answers = asker->answers;
    asker->broker = test.broker;
    asker->token[0] = '\0';
    asker->ticket = broker_ask(test.broker, account, refused, on_answer, asker);
    assert_int_equal(asker->answers, answers);
}

static void turn(void)
{
    world_turn(&test.world);
}

/* Asks and lets the loop turn. */
static void try(struct asker *asker, uint64_t refused)
{
    ask(asker, "work", refused);
    turn();
}

static void assert_given(const struct asker *asker, const char *token)
{
    assert_int_equal(asker->answers, 1);
    assert_int_equal(asker->why, WHY_NONE);
    assert_string_equal(asker->token, token);
}

static void assert_failed(const struct asker *asker, enum why why)
{
    assert_int_equal(asker->answers, 1);
    assert_int_equal(asker->why, why);
    assert_true(asker->text[0] != '\0');
    assert_string_equal(asker->token, "");
}

/* Of a new asker, for which no request is made. */
static void assert_now_given(const char *token)
{
    struct asker asker = {0};
    unsigned started = script.started;
    try(&asker, 0);
    assert_given(&asker, token);
    assert_int_equal(script.started, started);
}

static void assert_now_failed(enum why why)
{
    struct asker asker = {0};
    unsigned started = script.started;
    try(&asker, 0);
    assert_failed(&asker, why);
    assert_int_equal(script.started, started);
}

static struct broker_state state_of(const char *account)
{
    struct broker_state state;
    assert_int_equal(broker_state(test.broker, account, &state), 0);
    return state;
}

/* A token "first" of an hour (or another life), from a refresh. */
static uint64_t get_first(int expires_in)
{
    struct asker asker = {0};
    try(&asker, 0);
    answer_token("first", expires_in, NULL);
    assert_given(&asker, "first");
    return asker.generation;
}

static void open_broker(const char *configuration)
{
    world_init(&test.world, configuration);
    test.broker = broker_open(&test.world.loop, test.world.fetcher, test.world.vault,
                              test.world.config, &test.world.log);
}

static int set_up(void **state)
{
    (void)state;
    open_broker(CONFIGURATION);
    world_sign_in(&test.world, "work", "refresh-1");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (test.broker != NULL)
        broker_close(test.broker);
    world_fini(&test.world);
    return 0;
}

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
    uint64_t generation = get_first(1000);
    pass_seconds(799);
    assert_now_given("first");
    pass_seconds(1);
    try(&asker, 0);
    assert_given(&asker, "first");
    assert_int_equal(script.started, 2);
    assert_now_given("first");
    answer_token("second", 1000, NULL);
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

/* A disk on which nothing can be written: what stands in the files stays. */
static void set_disk_full(bool full)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = full ? 0 : limit.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
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

static void test_old_token_is_good_while_the_new_one_cannot_be_stored(void **state)
{
    struct asker asker = {0};
    (void)state;
    get_first(1000);
    pass_seconds(900);
    try(&asker, 0);
    assert_given(&asker, "first");
    set_disk_full(true);
    answer_token("second", 1000, "refresh-2");
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

static void test_server_error_backs_off_and_keeps_the_token(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    answer_status(500, "<html>", 0);
    assert_failed(&asker, WHY_UNREACHABLE);
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
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        struct asker asker = {0};
        try(&asker, 0);
        answer_status(500, "", 0);
        assert_failed(&asker, WHY_UNREACHABLE);
        if (i < 19)
            pass_seconds(300);
    }
    assert_int_equal(script.started, 20);
    assert_in_range(state_of("work").retry_at, clock_wall_seconds() + 225,
                    clock_wall_seconds() + 300);
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
    get_first(1000);
    pass_seconds(900);
    try(&asker, 0);
    assert_given(&asker, "first");
    answer_status(503, "", 3600);
    assert_now_given("first");
    pass_seconds(70);
    assert_now_failed(WHY_UNREACHABLE);
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

static void change_config(const char *text)
{
    struct config *config = world_config(&test.world, text);
    broker_set_config(test.broker, config);
    config_free(test.world.config);
    test.world.config = config;
}

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
        TEST(test_fifty_asks_make_one_request),
        TEST(test_request_says_what_is_configured),
        TEST(test_accounts_do_not_share_tokens),
        TEST(test_expired_token_is_waited_for),
        TEST(test_last_fifth_is_refreshed_in_background),
        TEST(test_long_life_is_refreshed_ten_minutes_before),
        TEST(test_tiny_life_serves_those_who_waited),
        TEST(test_refused_generation_makes_one_request),
        TEST(test_refused_token_is_not_given_again),
        TEST(test_rotated_token_is_stored_before_anybody_hears),
        TEST(test_rotated_token_that_cannot_be_stored_is_kept),
        TEST(test_old_token_is_good_while_the_new_one_cannot_be_stored),
        TEST(test_rotated_token_is_stored_at_the_close),
        TEST(test_never_signed_in),
        TEST(test_invalid_grant_signs_out),
        TEST(test_server_error_backs_off_and_keeps_the_token),
        TEST(test_back_off_ends_at_five_minutes),
        TEST(test_retry_after_is_heeded),
        TEST(test_unreachable_endpoint_says_why),
        TEST(test_failed_background_refresh_leaves_the_token),
        TEST(test_mistaken_client_keeps_the_token),
        TEST(test_interaction_needs_the_user_and_keeps_the_token),
        TEST(test_unknown_account),
        TEST(test_cancelled_ticket_is_not_answered),
        TEST(test_request_goes_on_when_all_cancel),
        TEST(test_close_in_flight),
        TEST(test_close_before_the_first_turn),
        TEST(test_close_from_within_an_answer),
        TEST(test_close_from_within_an_answer_at_once),
        TEST(test_ask_from_within_an_answer),
        TEST(test_sign_in_during_a_request),
        TEST(test_sign_in_ends_a_back_off),
        TEST(test_changed_client_drops_the_access_token),
        TEST(test_changed_client_during_a_request),
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
