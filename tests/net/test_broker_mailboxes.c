/*
 * The broker with accounts for a whole domain: one token for each mailbox where a token opens one,
 * one for all where it opens all that the client may open.
 */
#include "broker_world.h"

#include <openssl/evp.h>
#include <openssl/pem.h>

#define DOMAIN(more)                                                                               \
    "[account domain]\n"                                                                           \
    "address = *@example.test\n"                                                                   \
    "provider = local\n"                                                                           \
    "client_id = service@example.test\n" more PROVIDER
#define SERVICE_ACCOUNT    "flow = service_account\njwt_key_file = @/key\n"
#define CLIENT_CREDENTIALS "flow = client_credentials\nclient_secret = canary\n"

static void write_key(void)
{
    char *path = scratch_path(test.world.folder, "key");
    EVP_PKEY *key = EVP_RSA_gen(2048);
    mode_t before = umask(0077);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(file), 0);
    umask(before);
    EVP_PKEY_free(key);
    free(path);
}

static int set_up_service(void **state)
{
    (void)state;
    open_broker(DOMAIN(SERVICE_ACCOUNT));
    write_key();
    return 0;
}

static int set_up_client(void **state)
{
    (void)state;
    open_broker(DOMAIN(CLIENT_CREDENTIALS));
    return 0;
}

static void ask_for(struct asker *asker, const char *mailbox, uint64_t refused)
{
    *asker = (struct asker){.broker = test.broker};
    asker->ticket = broker_ask_for(test.broker, "domain", mailbox, refused, on_answer, asker);
    turn();
}

static void get(const char *mailbox, const char *token)
{
    struct asker asker;
    ask_for(&asker, mailbox, 0);
    answer_token(token, 3600, NULL);
    assert_given(&asker, token);
}

/* Without a request. */
static void assert_has(const char *mailbox, const char *token)
{
    struct asker asker;
    unsigned started = script.started;
    ask_for(&asker, mailbox, 0);
    assert_given(&asker, token);
    assert_int_equal(script.started, started);
}

static void test_each_mailbox_has_its_own(void **state)
{
    struct asker refused;
    (void)state;
    get("alice@example.test", "of-alice");
    get("bob@example.test", "of-bob");
    assert_has("alice@example.test", "of-alice");
    assert_has("bob@example.test", "of-bob");
    ask_for(&refused, "alice@example.test", 1);
    answer_token("new-of-alice", 3600, NULL);
    assert_given(&refused, "new-of-alice");
    assert_has("bob@example.test", "of-bob");
}

static void test_a_failure_is_one_mailboxs(void **state)
{
    struct asker nobody;
    (void)state;
    ask_for(&nobody, "nobody@example.test", 0);
    answer_status(400, "{\"error\":\"invalid_grant\"}", 0);
    assert_failed(&nobody, WHY_INTERNAL);
    get("alice@example.test", "of-alice");
    ask_for(&nobody, "nobody@example.test", 0);
    assert_failed(&nobody, WHY_INTERNAL);
    assert_int_equal(script.started, 2);
}

static void test_state_is_of_all(void **state)
{
    (void)state;
    assert_false(state_of("domain").has_token);
    get("alice@example.test", "of-alice");
    pass_seconds(60);
    get("bob@example.test", "of-bob");
    assert_true(state_of("domain").has_token);
    assert_int_equal(state_of("domain").expires, clock_wall_seconds() + 3600);
    assert_int_equal(state_of("domain").requests, 2);
}

static void test_a_client_has_one_for_all(void **state)
{
    (void)state;
    get("alice@example.test", "of-the-client");
    assert_has("bob@example.test", "of-the-client");
    assert_has("", "of-the-client");
}

/* Names come from clients: those that were used least lately go, and what they had with them. */
static void test_mailboxes_are_bounded(void **state)
{
    struct asker first;
    char name[64];
    (void)state;
    get("first@example.test", "of-first");
    get("second@example.test", "of-second");
    for (unsigned i = 2; i < BROKER_MAILBOXES_MAX; i++) {
        snprintf(name, sizeof(name), "m%u@example.test", i);
        get(name, "of-another");
    }
    assert_has("first@example.test", "of-first");
    get("one-more@example.test", "of-one-more");
    assert_has("first@example.test", "of-first");
    ask_for(&first, "second@example.test", 0);
    assert_int_equal(first.answers, 0);
    answer_token("anew", 3600, NULL);
    assert_given(&first, "anew");
}

static void test_who_waits_is_not_forgotten(void **state)
{
    static struct asker askers[BROKER_MAILBOXES_MAX + 10];
    char name[64], token[64];
    (void)state;
    for (unsigned i = 0; i < LENGTH_OF(askers); i++) {
        snprintf(name, sizeof(name), "m%u@example.test", i);
        ask_for(&askers[i], name, 0);
    }
    assert_int_equal(script.started, LENGTH_OF(askers));
    for (unsigned i = 0; i < LENGTH_OF(askers); i++) {
        snprintf(token, sizeof(token), "t%u", i);
        answer_token(token, 3600, NULL);
        assert_given(&askers[i], token);
    }
}

#define TEST(name, set_up) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_mailbox_has_its_own, set_up_service),
        TEST(test_a_failure_is_one_mailboxs, set_up_service),
        TEST(test_state_is_of_all, set_up_service),
        TEST(test_a_client_has_one_for_all, set_up_client),
        TEST(test_mailboxes_are_bounded, set_up_service),
        TEST(test_who_waits_is_not_forgotten, set_up_service),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
