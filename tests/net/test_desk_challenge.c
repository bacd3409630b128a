/*
 * The desk with clients that never send their password: libsasl2's own client side, and APOP.
 */
#include "desk_world.h"

#include <openssl/evp.h>

#include "../lib/challenge_client.h"

static const char *const mechanisms[] = {"SCRAM-SHA-256", "SCRAM-SHA-1", "DIGEST-MD5", "CRAM-MD5"};

#define TIMESTAMP "<1896.697170952@localhost>"

static int64_t add_clear(bool challenge, bool apop)
{
    return add_clear_grant("work", "old", "", challenge, apop);
}

/* ---- exchanges ---- */

static void begin(struct challenge_client *client, uint64_t session, const char *mechanism,
                  const char *user, const char *password)
{
    const char *output = NULL;
    unsigned size = 0;
    challenge_client_open(client, user, "", password);
    int status = sasl_client_start(client->connection, mechanism, NULL, &output, &size, NULL);
    assert_true(status == SASL_CONTINUE || status == SASL_OK);
    struct slice first = slice_of(output, size);
    assert_int_equal(say_ask(GATE, session, 0, mechanism, output == NULL ? NULL : &first), 0);
}

static bool is_challenged(void)
{
    return test.looked_at < test.sent_count && test.sent[test.looked_at].kind == MESSAGE_CHALLENGE;
}

static void answer_challenge(struct challenge_client *client, uint64_t session,
                             const struct sent *sent)
{
    const char *output = NULL;
    unsigned size = 0;
    int status = sasl_client_step(client->connection, sent->text, (unsigned)strlen(sent->text),
                                  NULL, &output, &size);
    assert_true(status == SASL_CONTINUE || status == SASL_OK);
    assert_int_equal(say_answer(session, slice_of(output, size)), 0);
}

static void go_on(struct challenge_client *client, uint64_t session)
{
    answer_challenge(client, session, assert_challenged(session));
}

/* To its end; how many challenges there were. */
static unsigned exchange(uint64_t session, const char *mechanism, const char *user,
                         const char *password)
{
    struct challenge_client client;
    unsigned rounds = 0;
    for (begin(&client, session, mechanism, user, password); is_challenged(); rounds++)
        go_on(&client, session);
    challenge_client_close(&client);
    return rounds;
}

static void assert_approved(uint64_t session, int64_t grant)
{
    assert_nothing_sent();
    turn();
    if (!list_is_empty(&script.open))
        answer_token("token-1", 3600, NULL);
    answer_lookup(0);
    assert_int_equal(assert_granted(session)->grant, grant);
}

static void assert_not_offered(uint64_t session, uint16_t listener, const char *mechanism)
{
    assert_int_equal(say_ask(GATE, session, listener, mechanism, NULL), 0);
    assert_string_equal(assert_refused(session, WHY_CLIENT_PROTOCOL)->text,
                        "this mechanism is not offered");
}

/* ---- challenge mechanisms ---- */

static void test_each_mechanism_opens(void **state)
{
    (void)state;
    int64_t grant = add_clear(true, false);
    for (size_t i = 0; i < LENGTH_OF(mechanisms); i++) {
        unsigned rounds = exchange(i + 1, mechanisms[i], USER, CLEAR);
        assert_true(rounds >= 1);
        assert_approved(i + 1, grant);
        assert_int_equal(say_plain(MESSAGE_FORGET, i + 1), 0);
    }
    pass_milliseconds(DESK_FAILURE_DELAY_MILLISECONDS);
    assert_nothing_sent();
}

static void test_the_same_password_may_be_sent(void **state)
{
    (void)state;
    int64_t grant = add_clear(true, false);
    log_in(7, USER, CLEAR);
    assert_approved(7, grant);
    log_in_rightly(8);
    assert_approved(8, test.grant);
}

static void test_a_domain_in_capitals(void **state)
{
    (void)state;
    int64_t grant = add_clear(true, false);
    exchange(7, "CRAM-MD5", "alice@EXAMPLE.test", CLEAR);
    assert_approved(7, grant);
}

static void test_nobody_is_told_from_a_wrong_password(void **state)
{
    (void)state;
    add_clear(true, false);
    for (size_t i = 0; i < LENGTH_OF(mechanisms); i++) {
        unsigned of_wrong = exchange(1, mechanisms[i], USER, "wrong");
        assert_refused_late(1);
        unsigned of_nobody = exchange(2, mechanisms[i], "nobody@example.test", CLEAR);
        assert_refused_late(2);
        unsigned of_unchallenged = exchange(3, mechanisms[i], "bob@example.test", CLEAR);
        assert_refused_late(3);
        assert_int_equal(of_wrong, of_nobody);
        assert_int_equal(of_wrong, of_unchallenged);
    }
}

static void test_a_generated_password_is_not_for_challenges(void **state)
{
    (void)state;
    add_clear_grant("other", "old", "", true, false);
    exchange(7, "CRAM-MD5", USER, (const char *)test.password.bytes);
    assert_refused_late(7);
}

static void test_mechanisms_are_offered_where_a_password_is_kept(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(mechanisms); i++)
        assert_not_offered(7, AT_IMAP, mechanisms[i]);
    add_clear_grant("work", "mail", "smtp", true, false);
    assert_not_offered(7, AT_IMAP, "CRAM-MD5");
    add_clear_grant("work", "apop", "imap", false, true);
    assert_not_offered(7, AT_IMAP, "CRAM-MD5");
    int64_t grant = add_clear_grant("work", "old", "imap", true, false);
    assert_not_offered(7, AT_BOB, "CRAM-MD5");
    exchange(7, "CRAM-MD5", USER, CLEAR);
    assert_approved(7, grant);
}

static void test_what_is_not_a_message_is_refused_at_once(void **state)
{
    const struct slice nonsense = SLICE_LITERAL("nonsense");
    (void)state;
    add_clear(true, false);
    assert_int_equal(say_ask(GATE, 7, 0, "SCRAM-SHA-256", &nonsense), 0);
    assert_refused(7, WHY_CLIENT_PROTOCOL);
}

static void take_away(const char *name, int64_t grant)
{
    int64_t number;
    assert_int_equal(vault_grant_remove(test.world.vault, "work", name, &number, NULL), 0);
    assert_int_equal(number, grant);
    grant_check_remove(test.grants, number);
    desk_end_grant(test.desk, number);
    offers_refresh(test.offers);
}

static void test_a_password_revoked_between_challenge_and_answer(void **state)
{
    struct challenge_client client;
    (void)state;
    int64_t grant = add_clear(true, false);
    begin(&client, 7, "CRAM-MD5", USER, CLEAR);
    take_away("old", grant);
    go_on(&client, 7);
    assert_refused_late(7);
    challenge_client_close(&client);
    assert_not_offered(8, AT_IMAP, "CRAM-MD5");
}

/* libsasl2 knew the password before it was revoked. */
static void test_a_password_revoked_after_it_was_looked_up(void **state)
{
    struct challenge_client client;
    (void)state;
    int64_t grant = add_clear(true, false);
    begin(&client, 7, "SCRAM-SHA-256", USER, CLEAR);
    take_away("old", grant);
    while (is_challenged())
        go_on(&client, 7);
    assert_refused_late(7);
    challenge_client_close(&client);
}

static void test_a_password_revoked_after_the_approval(void **state)
{
    (void)state;
    int64_t grant = add_clear(true, false);
    exchange(7, "DIGEST-MD5", USER, CLEAR);
    take_away("old", grant);
    assert_refused(7, WHY_AUTH_REJECTED);
}

/* ---- throttle ---- */

static void fail_login(uint64_t session, const char *mechanism, const char *user)
{
    exchange(session, mechanism, user, "wrong");
    assert_refused_late(session);
}

static void test_five_failures_shut_the_name(void **state)
{
    (void)state;
    int64_t grant = add_clear(true, false);
    for (size_t i = 0; i < LENGTH_OF(mechanisms); i++)
        fail_login(1, mechanisms[i], USER);
    log_in(1, USER, "wrong");
    assert_refused_late(1);
    for (size_t i = 0; i < LENGTH_OF(mechanisms); i++) {
        exchange(2, mechanisms[i], USER, CLEAR);
        assert_refused_late(2);
    }
    log_in_rightly(3);
    assert_refused_late(3);
    pass_seconds(60);
    exchange(4, "CRAM-MD5", USER, CLEAR);
    assert_approved(4, grant);
}

static void test_four_failures_do_not(void **state)
{
    (void)state;
    int64_t grant = add_clear(true, false);
    for (size_t i = 0; i < LENGTH_OF(mechanisms); i++)
        fail_login(1, mechanisms[i], USER);
    exchange(2, "SCRAM-SHA-256", USER, CLEAR);
    assert_approved(2, grant);
}

static void test_failures_of_one_name_are_not_anothers(void **state)
{
    (void)state;
    int64_t grant = add_clear(true, false);
    for (unsigned i = 0; i < 6; i++)
        fail_login(1, "CRAM-MD5", "nobody@example.test");
    exchange(2, "CRAM-MD5", USER, CLEAR);
    assert_approved(2, grant);
}

/* Exchanges that were begun while the name was open prove nothing once it is shut. */
static void test_exchanges_begun_before_are_shut_too(void **state)
{
    struct challenge_client client;
    (void)state;
    add_clear(true, false);
    begin(&client, 9, "SCRAM-SHA-256", USER, CLEAR);
    const struct sent *sent = assert_challenged(9);
    for (unsigned i = 0; i < 5; i++)
        fail_login(1, "CRAM-MD5", USER);
    answer_challenge(&client, 9, sent);
    assert_refused_late(9);
    challenge_client_close(&client);
}

/* ---- APOP ---- */

static void apop_digest(const char *password, char out[33])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    char text[128];
    size_t size = (size_t)snprintf(text, sizeof(text), "%s%s", TIMESTAMP, password);
    assert_int_equal(EVP_Digest(text, size, digest, NULL, EVP_md5(), NULL), 1);
    for (size_t i = 0; i < 16; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static void apop(uint64_t session, const char *user, const char *password)
{
    char digest[33], text[256];
    apop_digest(password, digest);
    int size = snprintf(text, sizeof(text), TIMESTAMP "%c%s%c%s", 0, user, 0, digest);
    const struct slice bytes = slice_of(text, (size_t)size);
    assert_int_equal(say_ask(GATE, session, AT_POP3, "APOP", &bytes), 0);
}

static void test_apop(void **state)
{
    (void)state;
    assert_not_offered(7, AT_POP3, "APOP");
    int64_t grant = add_clear(false, true);
    assert_not_offered(7, AT_IMAP, "APOP");
    assert_not_offered(7, AT_POP3, "CRAM-MD5");
    apop(7, USER, CLEAR);
    assert_approved(7, grant);
}

static void test_apop_is_refused_late(void **state)
{
    (void)state;
    int64_t grant = add_clear(false, true);
    apop(1, USER, "wrong");
    assert_refused_late(1);
    apop(2, "nobody@example.test", CLEAR);
    assert_refused_late(2);
    /* who has no such password has no empty one either */
    apop(3, "bob@example.test", "");
    assert_refused_late(3);
    apop(4, USER, (const char *)test.password.bytes);
    assert_refused_late(4);
    apop(5, USER, CLEAR);
    assert_approved(5, grant);
}

static void test_apop_shuts_the_name_too(void **state)
{
    (void)state;
    add_clear(false, true);
    for (unsigned i = 0; i < 5; i++) {
        apop(1, USER, "wrong");
        assert_refused_late(1);
    }
    apop(2, USER, CLEAR);
    assert_refused_late(2);
    log_in_rightly(3);
    assert_refused_late(3);
}

static void test_apop_that_is_none(void **state)
{
    static const struct slice cases[] = {
        SLICE_LITERAL("alice 0123"),
        SLICE_LITERAL(TIMESTAMP "\0" USER "\0"
                                "C4C9334BAC560ECC979E58001B3E22FB"),
    };
    (void)state;
    add_clear(false, true);
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        assert_int_equal(say_ask(GATE, 7, AT_POP3, "APOP", &cases[i]), 0);
        assert_refused(7, WHY_CLIENT_PROTOCOL);
    }
    assert_int_equal(say_ask(GATE, 7, AT_POP3, "APOP", NULL), 0);
    assert_refused(7, WHY_CLIENT_PROTOCOL);
}

static int set_up_with_client(void **state)
{
    int status = set_up(state);
    challenge_client_library_open();
    return status;
}

static int tear_down_with_client(void **state)
{
    challenge_client_library_close();
    return tear_down(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_with_client, tear_down_with_client)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_mechanism_opens),
        TEST(test_the_same_password_may_be_sent),
        TEST(test_a_domain_in_capitals),
        TEST(test_nobody_is_told_from_a_wrong_password),
        TEST(test_a_generated_password_is_not_for_challenges),
        TEST(test_mechanisms_are_offered_where_a_password_is_kept),
        TEST(test_what_is_not_a_message_is_refused_at_once),
        TEST(test_a_password_revoked_between_challenge_and_answer),
        TEST(test_a_password_revoked_after_it_was_looked_up),
        TEST(test_a_password_revoked_after_the_approval),
        TEST(test_five_failures_shut_the_name),
        TEST(test_four_failures_do_not),
        TEST(test_failures_of_one_name_are_not_anothers),
        TEST(test_exchanges_begun_before_are_shut_too),
        TEST(test_apop),
        TEST(test_apop_is_refused_late),
        TEST(test_apop_shuts_the_name_too),
        TEST(test_apop_that_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
