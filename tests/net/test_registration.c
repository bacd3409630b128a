/*
 * What a sign-in needs before it begins: endpoints and a client, found or asked for; and what the
 * broker does with a client that was registered.
 */
#include "broker_world.h"
#include "keeper/registration.h"

#define OPEN_ACCOUNT                                                                               \
    "[account work]\n"                                                                             \
    "address = alice@example.test\n"                                                               \
    "provider = local\n"                                                                           \
    "[account other]\n"                                                                            \
    "address = bob@example.test\n"                                                                 \
    "provider = local\n"                                                                           \
    "[account known]\n"                                                                            \
    "address = carol@example.test\n"                                                               \
    "provider = local\n"                                                                           \
    "client_id = test-client\n"                                                                    \
    "[listen imap]\n"                                                                              \
    "address = 127.0.0.1:1143\n"                                                                   \
    "[provider local]\n"                                                                           \
    "imap = tls://imap.example.test:993\n"                                                         \
    "scope = openid mail\n"                                                                        \
    "issuer = " ISSUER_URL "\n"
#define ENDPOINTS                                                                                  \
    "authorization_endpoint = " ISSUER_URL "/auth\n"                                               \
    "token_endpoint = " TOKEN_URL "\n"                                                             \
    "registration_endpoint = " REGISTRATION_URL "\n"
#define DOCUMENT(more)                                                                             \
    "{\"issuer\":\"" ISSUER_URL "\",\"authorization_endpoint\":\"" ISSUER_URL "/auth\","           \
    "\"token_endpoint\":\"" TOKEN_URL "\"" more "}"
#define REGISTRATION_URL  ISSUER_URL "/register"
#define WITH_REGISTRATION DOCUMENT(",\"registration_endpoint\":\"" REGISTRATION_URL "\"")

struct asking {
    struct registration *registration;
    unsigned answers;
    int status;
    bool is_registered;
    char client_id[64], text[480];
};

static void on_registered(void *owner, const struct registration_answer *answer)
{
    struct asking *asking = owner;
    asking->registration = NULL;
    asking->answers++;
    asking->status = answer->status;
    asking->is_registered = answer->is_registered;
    assert_int_equal(answer->client_id == NULL, answer->status != 0);
    snprintf(asking->client_id, sizeof(asking->client_id), "%s",
             answer->client_id == NULL ? "" : answer->client_id);
    snprintf(asking->text, sizeof(asking->text), "%s", answer->text);
}

static void begin(struct asking *asking, const char *account)
{
    const struct registration_parts parts = {
        .loop = &test.world.loop,
        .fetcher = test.world.fetcher,
        .discovery = broker_discovery(test.broker),
        .vault = test.world.vault,
        .config = test.world.config,
    };
    asking->registration = registration_start(&parts, config_account(test.world.config, account),
                                              OAUTH_AUTHORIZATION_ENDPOINT, on_registered, asking);
    assert_int_equal(asking->answers, 0);
    turn();
}

static void assert_has(const struct asking *asking, const char *client_id)
{
    assert_int_equal(asking->answers, 1);
    assert_int_equal(asking->status, 0);
    assert_string_equal(asking->client_id, client_id);
}

static void assert_refused(const struct asking *asking, int status, const char *said)
{
    assert_int_equal(asking->answers, 1);
    assert_int_equal(asking->status, status);
    if (strstr(asking->text, said) == NULL)
        print_error("%s\n", asking->text);
    assert_non_null(strstr(asking->text, said));
}

static void assert_registers(void)
{
    assert_string_equal(fetch_open()->url, REGISTRATION_URL);
    assert_true(fetch_has("\"token_endpoint_auth_method\":\"none\""));
    assert_true(fetch_has("\"scope\":\"openid mail\""));
}

static int set_up_open(void **state)
{
    (void)state;
    open_broker(OPEN_ACCOUNT);
    return 0;
}

static int set_up_endpoints(void **state)
{
    (void)state;
    open_broker(OPEN_ACCOUNT ENDPOINTS);
    return 0;
}

static void test_client_is_registered_once_for_the_issuer(void **state)
{
    struct asking work = {0}, other = {0};
    (void)state;
    begin(&work, "work");
    answer_status(200, WITH_REGISTRATION, 0);
    assert_registers();
    answer_status(201, "{\"client_id\":\"made-1\"}", 0);
    assert_has(&work, "made-1");
    assert_true(work.is_registered);
    begin(&other, "other");
    assert_has(&other, "made-1");
    assert_int_equal(script.started, 2);
}

static void test_configured_client_registers_nobody(void **state)
{
    struct asking asking = {0};
    (void)state;
    begin(&asking, "known");
    answer_status(200, WITH_REGISTRATION, 0);
    assert_has(&asking, "test-client");
    assert_false(asking.is_registered);
    assert_int_equal(script.started, 1);
}

static void test_what_is_configured_needs_no_request(void **state)
{
    struct asking asking = {0};
    (void)state;
    begin(&asking, "known");
    assert_has(&asking, "test-client");
    assert_int_equal(script.started, 0);
}

static void test_two_at_a_time_get_the_same_client(void **state)
{
    struct asking work = {0}, other = {0};
    (void)state;
    begin(&work, "work");
    begin(&other, "other");
    answer_status(200, WITH_REGISTRATION, 0);
    answer_status(201, "{\"client_id\":\"made-1\"}", 0);
    answer_status(201, "{\"client_id\":\"made-2\"}", 0);
    assert_has(&work, "made-1");
    assert_has(&other, "made-1");
}

static void test_issuer_that_registers_nobody(void **state)
{
    struct asking asking = {0};
    (void)state;
    begin(&asking, "work");
    answer_status(200, DOCUMENT(""), 0);
    assert_refused(&asking, ERR_CONFIG, "no registration_endpoint");
}

static void test_issuer_that_cannot_be_asked(void **state)
{
    struct asking asking = {0};
    (void)state;
    begin(&asking, "work");
    answer_unreachable("no route");
    assert_refused(&asking, ERR_UNAVAILABLE, "no route");
}

static void test_refusals(void **state)
{
    static const struct {
        int http_status;
        const char *body;
        int status;
        const char *said;
    } cases[] = {
        {400, "{\"error\":\"invalid_redirect_uri\"}", ERR_DENIED, "invalid_redirect_uri"},
        {201, "<html>", ERR_DENIED, "JSON"},
        {302, "", ERR_DENIED, "HTTP 302"},
        {503, "", ERR_UNAVAILABLE, "HTTP 503"},
        {429, "", ERR_UNAVAILABLE, "HTTP 429"},
        {0, "", ERR_UNAVAILABLE, "the answer is too long"},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct asking asking = {0};
        begin(&asking, "work");
        if (i == 0)
            answer_status(200, WITH_REGISTRATION, 0);
        assert_registers();
        if (cases[i].http_status == 0)
            answer_unreachable(cases[i].said);
        else
            answer_status(cases[i].http_status, cases[i].body, 0);
        assert_refused(&asking, cases[i].status, cases[i].said);
    }
}

static void test_cancelled_at_every_step(void **state)
{
    struct asking asking = {0};
    (void)state;
    begin(&asking, "work");
    registration_cancel(asking.registration);
    answer_status(200, WITH_REGISTRATION, 0);
    begin(&asking, "work");
    assert_registers();
    registration_cancel(asking.registration);
    assert_int_equal(script.cancelled, 1);
    begin(&asking, "known");
    assert_int_equal(asking.answers, 1);
}

/* ---- the broker ---- */

static void register_client(const char *client_id)
{
    struct err err;
    assert_int_equal(vault_client_store(test.world.vault, ISSUER_URL, client_id, WALL_START, &err),
                     0);
}

static void test_broker_asks_as_the_registered_client(void **state)
{
    struct asker asker = {0};
    (void)state;
    register_client("made-1");
    assert_int_equal(vault_client_store(test.world.vault, ISSUER_URL, "made-2", WALL_START, NULL),
                     ERR_EXISTS);
    world_sign_in(&test.world, "work", "refresh-1");
    try(&asker, 0);
    assert_true(fetch_has("client_id=made-1"));
    answer_token("first", 3600, NULL);
    assert_given(&asker, "first");
}

static void test_client_that_is_unknown_is_registered_anew(void **state)
{
    struct asker asker = {0};
    struct asking asking = {0};
    (void)state;
    register_client("made-1");
    world_sign_in(&test.world, "work", "refresh-1");
    try(&asker, 0);
    answer_status(401, "{\"error\":\"invalid_client\"}", 0);
    assert_failed(&asker, WHY_INTERNAL);
    assert_vault_has(&test.world, "work", "refresh-1");
    pass_seconds(2);
    asker = (struct asker){0};
    try(&asker, 0);
    assert_failed(&asker, WHY_TOKEN_NEEDS_USER);
    assert_non_null(strstr(asker.text, "sign in: ecluse login work"));
    assert_int_equal(script.started, 1);
    begin(&asking, "work");
    assert_registers();
    answer_status(201, "{\"client_id\":\"made-2\"}", 0);
    assert_has(&asking, "made-2");
}

static void test_configured_client_is_not_forgotten_for_another(void **state)
{
    struct asker asker = {0};
    char *client_id = NULL;
    (void)state;
    register_client("made-1");
    world_sign_in(&test.world, "known", "refresh-1");
    ask(&asker, "known", 0);
    turn();
    assert_true(fetch_has("client_id=test-client"));
    answer_status(401, "{\"error\":\"invalid_client\"}", 0);
    assert_failed(&asker, WHY_INTERNAL);
    assert_int_equal(vault_client_load(test.world.vault, ISSUER_URL, &client_id, NULL), 0);
    assert_string_equal(client_id, "made-1");
    mem_free(client_id);
}

#define TEST(name)           cmocka_unit_test_setup_teardown(name, set_up_open, tear_down)
#define TEST_ENDPOINTS(name) cmocka_unit_test_setup_teardown(name, set_up_endpoints, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_client_is_registered_once_for_the_issuer),
        TEST(test_configured_client_registers_nobody),
        TEST_ENDPOINTS(test_what_is_configured_needs_no_request),
        TEST(test_two_at_a_time_get_the_same_client),
        TEST(test_issuer_that_registers_nobody),
        TEST(test_issuer_that_cannot_be_asked),
        TEST(test_refusals),
        TEST(test_cancelled_at_every_step),
        TEST_ENDPOINTS(test_broker_asks_as_the_registered_client),
        TEST_ENDPOINTS(test_client_that_is_unknown_is_registered_anew),
        TEST_ENDPOINTS(test_configured_client_is_not_forgotten_for_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
