/*
 * What listeners offer, of real grants and a real vault.
 */
#include "desk_world.h"

#include <sqlite3.h>

#define CAUTIOUS_SMTP "8BITMIME\nENHANCEDSTATUSCODES\nPIPELINING\nSIZE\n"

static const char *mechanisms(size_t listener)
{
    return offers_list(test.offers)[listener].mechanisms;
}

static const char *capabilities(size_t listener)
{
    return offers_list(test.offers)[listener].capabilities;
}

/* As at the next start of the program. */
static void start_again(void)
{
    struct err err;
    offers_free(test.offers);
    test.offers = offers_new(test.world.vault, test.grants, &test.world.log);
    assert_int_equal(offers_load(test.offers, desk_mechanisms(test.desk), test.world.config, &err),
                     0);
}

static void execute(const char *sql)
{
    char path[200];
    sqlite3 *database;
    snprintf(path, sizeof(path), "%s/vault.db", test.world.config->state_dir);
    assert_int_equal(sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_true(sqlite3_total_changes(database) > 0);
    sqlite3_close(database);
}

/* ---- mechanisms ---- */

static void test_mechanisms_follow_the_grants(void **state)
{
    (void)state;
    assert_string_equal(mechanisms(AT_IMAP), "PLAIN LOGIN");
    int64_t number = add_clear_grant("work", "old", "imap", true, false);
    assert_string_equal(mechanisms(AT_IMAP),
                        "SCRAM-SHA-256 SCRAM-SHA-1 DIGEST-MD5 CRAM-MD5 PLAIN LOGIN");
    for (size_t i = AT_BOB; i < AT_OPEN; i++)
        assert_string_equal(mechanisms(i), "PLAIN LOGIN");
    assert_string_equal(mechanisms(AT_OPEN), "");
    assert_true(offers_has(test.offers, AT_IMAP, "CRAM-MD5"));
    assert_false(offers_has(test.offers, AT_BOB, "CRAM-MD5"));
    assert_false(offers_has(test.offers, NOWHERE, "PLAIN"));
    assert_false(offers_has(test.offers, AT_IMAP, "CRAM"));
    assert_false(offers_has(test.offers, AT_IMAP, ""));
    grant_check_remove(test.grants, number);
    offers_refresh(test.offers);
    assert_string_equal(mechanisms(AT_IMAP), "PLAIN LOGIN");
}

static void test_mechanisms_follow_the_protocol(void **state)
{
    (void)state;
    add_clear_grant("other", "old", "pop3", true, true);
    assert_string_equal(mechanisms(AT_IMAP), "PLAIN LOGIN");
    assert_string_equal(mechanisms(AT_POP3),
                        "SCRAM-SHA-256 SCRAM-SHA-1 DIGEST-MD5 CRAM-MD5 PLAIN LOGIN APOP");
}

static void test_apop_alone(void **state)
{
    (void)state;
    add_clear_grant("work", "old", "", false, true);
    assert_string_equal(mechanisms(AT_IMAP), "PLAIN LOGIN");
    assert_string_equal(mechanisms(AT_POP3), "PLAIN LOGIN APOP");
}

static void test_only_what_is_installed(void **state)
{
    struct err err;
    (void)state;
    add_clear_grant("work", "old", "", true, false);
    offers_free(test.offers);
    test.offers = offers_new(test.world.vault, test.grants, &test.world.log);
    assert_int_equal(offers_load(test.offers, "PLAIN CRAM-MD5", test.world.config, &err), 0);
    assert_string_equal(mechanisms(AT_IMAP), "CRAM-MD5 PLAIN");
}

/* ---- capabilities ---- */

static void test_before_anything_is_known(void **state)
{
    (void)state;
    assert_string_equal(capabilities(AT_IMAP), "");
    assert_string_equal(capabilities(AT_POP3), "TOP\nUIDL\n");
    assert_string_equal(capabilities(AT_SMTP), CAUTIOUS_SMTP);
    assert_string_equal(capabilities(AT_OPEN), CAUTIOUS_SMTP);
}

static void test_what_all_accounts_have(void **state)
{
    (void)state;
    offers_learn(test.offers, "work", PROTOCOL_SMTP, "SIZE 1000\nDSN\nPIPELINING\n");
    /* of the other one a little is assumed */
    assert_string_equal(capabilities(AT_SMTP), "SIZE 1000\nPIPELINING\n");
    offers_learn(test.offers, "other", PROTOCOL_SMTP, "DSN\nSIZE 500\n");
    assert_string_equal(capabilities(AT_SMTP), "SIZE 500\nDSN\n");
    offers_learn(test.offers, "other", PROTOCOL_SMTP, "");
    assert_string_equal(capabilities(AT_SMTP), "");
    assert_string_equal(capabilities(AT_IMAP), "");
}

static void test_what_one_account_has(void **state)
{
    (void)state;
    offers_learn(test.offers, "other", PROTOCOL_SMTP, "DSN\n");
    assert_string_equal(capabilities(AT_OPEN), CAUTIOUS_SMTP);
    offers_learn(test.offers, "work", PROTOCOL_SMTP, "SIZE 500\n");
    assert_string_equal(capabilities(AT_OPEN), "SIZE 500\n");
}

static void test_it_is_remembered(void **state)
{
    (void)state;
    offers_learn(test.offers, "work", PROTOCOL_SMTP, "SIZE 5\n");
    offers_learn(test.offers, "other", PROTOCOL_SMTP, "SIZE 7\n");
    offers_learn(test.offers, "work", PROTOCOL_SMTP, "SIZE 6\n");
    offers_learn(test.offers, "nobody", PROTOCOL_SMTP, "SIZE 1\n");
    start_again();
    assert_string_equal(capabilities(AT_SMTP), "SIZE 6\n");
}

static void test_it_counts_for_the_host_that_was_asked(void **state)
{
    (void)state;
    offers_learn(test.offers, "work", PROTOCOL_SMTP, "DSN\n");
    offers_learn(test.offers, "other", PROTOCOL_SMTP, "DSN\n");
    assert_string_equal(capabilities(AT_SMTP), "DSN\n");
    char text[] = CONFIGURATION;
    for (char *place = text; (place = strstr(place, "smtp = tls://imap")) != NULL;)
        memcpy(place + strlen("smtp = tls://"), "mail", 4);
    reload(text);
    assert_string_equal(capabilities(AT_SMTP), CAUTIOUS_SMTP);
    offers_learn(test.offers, "work", PROTOCOL_SMTP, "DSN\n");
    offers_learn(test.offers, "other", PROTOCOL_SMTP, "DSN\n");
    assert_string_equal(capabilities(AT_SMTP), "DSN\n");
}

static void test_what_somebody_else_wrote_is_left_out(void **state)
{
    static const char *const changes[] = {
        "UPDATE upstreams SET capabilities = 'DSN'",
        "UPDATE upstreams SET capabilities = 'DSN' || char(13, 10)",
        "UPDATE upstreams SET capabilities = 'D' || char(27) || 'SN' || char(10)",
        "UPDATE upstreams SET capabilities = replace(hex(zeroblob(2100)), '0', 'x') || char(10)",
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(changes); i++) {
        offers_learn(test.offers, "work", PROTOCOL_SMTP, "DSN\n");
        offers_learn(test.offers, "other", PROTOCOL_SMTP, "DSN\n");
        start_again();
        assert_string_equal(capabilities(AT_SMTP), "DSN\n");
        execute(changes[i]);
        start_again();
        assert_string_equal(capabilities(AT_SMTP), CAUTIOUS_SMTP);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_mechanisms_follow_the_grants),
        TEST(test_mechanisms_follow_the_protocol),
        TEST(test_apop_alone),
        TEST(test_only_what_is_installed),
        TEST(test_before_anything_is_known),
        TEST(test_what_all_accounts_have),
        TEST(test_what_one_account_has),
        TEST(test_it_is_remembered),
        TEST(test_it_counts_for_the_host_that_was_asked),
        TEST(test_what_somebody_else_wrote_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
