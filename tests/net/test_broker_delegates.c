/*
 * delegates = yes: a refresh that names somebody else, and the mail server that decides. The
 * process that asks it (keeper/trial.h) is scripted here: it is told what to find by the test.
 */
#include "broker_world.h"

#include <openssl/evp.h>

#include "keeper/trial.h"

#define DELEGATES                                                                                  \
    "[account work]\n"                                                                             \
    "address = shared@example.test\n"                                                              \
    "provider = local\n"                                                                           \
    "client_id = test-client\n"                                                                    \
    "delegates = yes\n" OTHER_ACCOUNT PROVIDER

#define SHARED "shared@example.test"
#define BOB    "bob@example.test"

/* ---- the process ---- */

struct trial {
    void (*on_done)(void *owner, const struct trial_answer *answer);
    void *owner;
    char token[64];
};

static struct {
    struct trial *open; /* one at most */
    unsigned started, cancelled;
} visits;

struct trial *trial_start(struct loop *loop, struct secret *request,
                          void (*on_done)(void *owner, const struct trial_answer *answer),
                          void *owner)
{
    struct trial *trial = mem_new(sizeof(*trial));
    const char *token = strstr((const char *)request->bytes, "\"token\":\"");
    (void)loop;
    assert_null(visits.open);
    assert_non_null(token);
    assert_non_null(strstr((const char *)request->bytes, "\"user\":\"" SHARED "\""));
    snprintf(trial->token, sizeof(trial->token), "%.*s", (int)strcspn(token + 9, "\""), token + 9);
    trial->on_done = on_done;
    trial->owner = owner;
    secret_wipe(request);
    visits.open = trial;
    visits.started++;
    return trial;
}

void trial_cancel(struct trial *trial)
{
    visits.open = NULL;
    visits.cancelled++;
    mem_free(trial);
}

static void find(enum trial_verdict verdict, const char *token)
{
    struct trial trial = *visits.open;
    struct trial_answer answer = {.verdict = verdict, .text = "imap.example.test: said so"};
    assert_string_equal(trial.token, token);
    mem_free(visits.open);
    visits.open = NULL;
    trial.on_done(trial.owner, &answer);
    turn();
}

/* ---- the issuer ---- */

static void answer_named(const char *token, const char *refresh_token, const char *who)
{
    char claims[200], encoded[300], body[700];
    int size =
        snprintf(claims, sizeof(claims),
                 "{\"iss\":\"" ISSUER_URL "\",\"aud\":\"test-client\",\"email\":\"%s\"}", who);
    EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)claims, size);
    encoded[strcspn(encoded, "=")] = '\0';
    for (char *letter = encoded; *letter != '\0'; letter++)
        *letter = *letter == '+' ? '-' : *letter == '/' ? '_' : *letter;
    snprintf(body, sizeof(body),
             "{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":2000,"
             "\"refresh_token\":\"%s\",\"id_token\":\"e30.%s.c2ln\"}",
             token, refresh_token, encoded);
    answer_status(200, body, 0);
    turn();
}

/* The row as a sign-in leaves it, and a first refresh that names bob. */
static void ask_as_bob(struct asker *asker)
{
    try(asker, 0);
    answer_named("first", "refresh-2", BOB);
    assert_int_equal(asker->answers, 0);
}

/* ---- */

static void test_the_owner_needs_no_mail_server(void **state)
{
    struct asker asker = {0};
    (void)state;
    try(&asker, 0);
    answer_named("first", "refresh-2", "Shared@Example.Test");
    assert_given(&asker, "first");
    assert_int_equal(visits.started, 0);
}

static void test_a_delegate_is_let_in_once_for_all(void **state)
{
    struct asker asker = {0}, beside = {0}, later = {0};
    (void)state;
    ask_as_bob(&asker);
    try(&beside, 0);
    assert_int_equal(beside.answers, 0);
    assert_vault_has(&test.world, "work", "refresh-2"); /* the old one may be dead by now */
    assert_false(state_of("work").has_token);
    find(TRIAL_YES, "first");
    assert_given(&asker, "first");
    assert_given(&beside, "first");
    pass_seconds(2000);
    try(&later, 0);
    answer_named("second", "refresh-3", BOB);
    assert_given(&later, "second");
    assert_int_equal(visits.started, 1);
}

static void test_another_one_is_looked_at_again(void **state)
{
    struct asker asker = {0}, later = {0};
    (void)state;
    ask_as_bob(&asker);
    find(TRIAL_YES, "first");
    pass_seconds(2000);
    try(&later, 0);
    answer_named("second", "refresh-3", "carol@example.test");
    assert_int_equal(later.answers, 0);
    find(TRIAL_YES, "second");
    assert_given(&later, "second");
}

static void test_a_token_that_never_served_is_wiped(void **state)
{
    struct asker asker = {0};
    (void)state;
    ask_as_bob(&asker);
    find(TRIAL_NO, "first");
    assert_failed(&asker, WHY_TOKEN_NEEDS_USER);
    assert_non_null(strstr(asker.text, "is that of " BOB ", whom the mail server does not let"));
    assert_non_null(strstr(asker.text, "ecluse login work"));
    assert_vault_has(&test.world, "work", NULL);
    assert_now_failed(WHY_TOKEN_NEEDS_USER);
}

static void test_a_token_that_has_served_stays(void **state)
{
    struct asker asker = {0}, later = {0};
    (void)state;
    ask_as_bob(&asker);
    find(TRIAL_YES, "first");
    broker_close(test.broker); /* what it remembers goes with it */
    test.broker = broker_open(&test.world.loop, test.world.fetcher, test.world.vault,
                              test.world.config, &test.world.log);
    try(&later, 0);
    answer_named("second", "refresh-3", BOB);
    find(TRIAL_NO, "second");
    assert_failed(&later, WHY_TOKEN_NEEDS_USER);
    assert_vault_has(&test.world, "work", "refresh-3");
    assert_now_failed(WHY_TOKEN_NEEDS_USER);
}

static void test_a_mail_server_that_cannot_be_asked(void **state)
{
    struct asker asker = {0}, later = {0};
    (void)state;
    ask_as_bob(&asker);
    find(TRIAL_UNKNOWN, "first");
    assert_failed(&asker, WHY_UNREACHABLE);
    assert_non_null(strstr(asker.text, "cannot be tried"));
    assert_vault_has(&test.world, "work", "refresh-2");
    assert_now_failed(WHY_UNREACHABLE);
    pass_seconds(300);
    try(&later, 0);
    answer_named("second", "refresh-3", BOB);
    find(TRIAL_YES, "second");
    assert_given(&later, "second");
}

/* A reload, a new sign-in, the end: nobody hears of that token any more. */
static void test_what_changes_meanwhile(void **state)
{
    struct asker asker = {0};
    (void)state;
    ask_as_bob(&asker);
    change_config(CONFIGURATION);
    assert_int_equal(visits.cancelled, 1);
    turn();
    answer_named("second", "refresh-3", "alice@example.test");
    assert_given(&asker, "second");
}

static void test_a_sign_in_meanwhile(void **state)
{
    struct asker asker = {0};
    (void)state;
    ask_as_bob(&asker);
    world_sign_in(&test.world, "work", "own");
    broker_signed_in(test.broker, "work");
    assert_int_equal(visits.cancelled, 1);
    turn();
    assert_true(fetch_has("refresh_token=own"));
    answer_named("second", "own-2", SHARED);
    assert_given(&asker, "second");
}

static void test_the_end_meanwhile(void **state)
{
    struct asker asker = {0};
    (void)state;
    ask_as_bob(&asker);
    broker_close(test.broker);
    test.broker = NULL;
    assert_int_equal(visits.cancelled, 1);
    assert_int_equal(asker.answers, 0);
    assert_vault_has(&test.world, "work", "refresh-2");
}

static void test_the_old_token_serves_meanwhile(void **state)
{
    struct asker asker = {0}, early = {0};
    (void)state;
    try(&asker, 0);
    answer_named("first", "refresh-2", SHARED);
    assert_given(&asker, "first");
    pass_seconds(1650);
    try(&early, 0);
    assert_given(&early, "first");
    answer_named("second", "refresh-3", BOB);
    assert_now_given("first");
    find(TRIAL_YES, "second");
    assert_now_given("second");
}

/* ---- a token that was brought ---- */

static void test_a_brought_token_of_a_delegate(void **state)
{
    static const enum trial_verdict verdicts[] = {TRIAL_YES, TRIAL_NO};
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(verdicts); i++) {
        struct asker asker = {0};
        struct secret secret = {0};
        struct err err;
        secret_set(&secret, SLICE_LITERAL("brought-1"));
        struct broker_trial *trial = broker_trial_new(test.broker, "work", &secret);
        broker_trial_ask(trial, on_answer, &asker);
        turn();
        answer_named("brought", "brought-2", BOB);
        find(verdicts[i], "brought");
        assert_int_equal(asker.why, verdicts[i] == TRIAL_YES ? WHY_NONE : WHY_TOKEN_NEEDS_USER);
        assert_int_equal(broker_trial_is_refused(trial), verdicts[i] == TRIAL_NO);
        if (verdicts[i] == TRIAL_YES)
            assert_int_equal(broker_trial_keep(trial, &err), 0);
        else
            broker_trial_drop(trial);
        turn();
        assert_vault_has(&test.world, "work", "brought-2");
        assert_now_given("brought");
    }
}

static int set_up_delegates(void **state)
{
    (void)state;
    memset(&visits, 0, sizeof(visits));
    open_broker(DELEGATES);
    world_sign_in(&test.world, "work", "refresh-1");
    return 0;
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up_delegates, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_the_owner_needs_no_mail_server),
        CASE(test_a_delegate_is_let_in_once_for_all),
        CASE(test_another_one_is_looked_at_again),
        CASE(test_a_token_that_never_served_is_wiped),
        CASE(test_a_token_that_has_served_stays),
        CASE(test_a_mail_server_that_cannot_be_asked),
        CASE(test_what_changes_meanwhile),
        CASE(test_a_sign_in_meanwhile),
        CASE(test_the_end_meanwhile),
        CASE(test_the_old_token_serves_meanwhile),
        CASE(test_a_brought_token_of_a_delegate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
