/*
 * The desk where nobody has to log in, and what it hears of upstreams.
 */
#include "desk_world.h"

static void come(uint64_t session)
{
    assert_int_equal(say_ask(GATE, session, AT_OPEN, "EXTERNAL", NULL), 0);
}

static const struct message_granted *come_in(uint64_t session)
{
    come(session);
    assert_nothing_sent();
    turn();
    if (!list_is_empty(&script.open))
        answer_token("token-1", 3600, NULL);
    answer_lookup(0);
    return assert_granted(session);
}

static void assert_not_offered(uint64_t session)
{
    assert_string_equal(assert_refused(session, WHY_CLIENT_PROTOCOL)->text,
                        "this mechanism is not offered");
}

/* ---- nobody has to log in ---- */

static void test_whoever_comes_is_the_account(void **state)
{
    (void)state;
    const struct message_granted *granted = come_in(7);
    assert_string_equal(granted->account, "work");
    assert_int_equal(granted->grant, 0);
    assert_true(slice_is(secret_bytes(&granted->token), "token-1"));
    assert_int_equal(desk_session_count(test.desk, "work"), 1);
}

static void test_nothing_else_is_taken_there(void **state)
{
    const struct slice empty = SLICE_NONE, other = SLICE_LITERAL("bob@example.test");
    (void)state;
    log_in_at(GATE, 1, AT_OPEN, USER, secret_bytes(&test.password));
    assert_not_offered(1);
    assert_int_equal(say_ask(GATE, 2, AT_OPEN, "LOGIN", NULL), 0);
    assert_not_offered(2);
    assert_int_equal(say_ask(GATE, 3, AT_OPEN, "EXTERNAL", &empty), 0);
    assert_not_offered(3);
    assert_int_equal(say_ask(GATE, 4, AT_OPEN, "EXTERNAL", &other), 0);
    assert_not_offered(4);
    assert_string_equal(offers_list(test.offers)[AT_OPEN].mechanisms, "");
}

static void test_everywhere_else_somebody_logs_in(void **state)
{
    (void)state;
    assert_int_equal(say_ask(GATE, 7, AT_IMAP, "EXTERNAL", NULL), 0);
    assert_not_offered(7);
}

static void test_sessions_are_counted(void **state)
{
    (void)state;
    come_in(1);
    come_in(2);
    come(3);
    assert_refused(3, WHY_LIMIT);
    assert_int_equal(say_plain(MESSAGE_FORGET, 1), 0);
    come_in(4);
}

static void test_another_token(void **state)
{
    (void)state;
    uint64_t generation = come_in(7)->generation;
    assert_int_equal(say_again(GATE, 7, generation), 0);
    turn();
    answer_token("token-2", 3600, NULL);
    answer_lookup(0);
    assert_int_equal(assert_granted(7)->grant, 0);
}

static void test_no_grant_has_to_do_with_it(void **state)
{
    struct vault_grant *grants;
    size_t count;
    (void)state;
    come_in(7);
    assert_int_equal(vault_grant_list(test.world.vault, "work", &grants, &count, NULL), 0);
    assert_int_equal(count, 1);
    assert_int_equal(grants[0].last_used, 0);
    vault_grants_free(grants, count);
    desk_end_grant(test.desk, test.grant);
    desk_end_grant(test.desk, 0);
    assert_nothing_sent();
    assert_int_equal(desk_session_count(test.desk, "work"), 1);
}

static void test_the_journal_says_external(void **state)
{
    int pair[2];
    char line[1024] = "";
    (void)state;
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    int descriptor = test.world.log.descriptor;
    test.world.log.descriptor = pair[1];
    come_in(7);
    test.world.log.descriptor = descriptor;
    assert_true(read(pair[0], line, sizeof(line) - 1) > 0);
    assert_non_null(strstr(line, "smtp client-auth account=work peer=127.0.0.1:40312 "
                                 "outcome=success listener=open session=1.7 detail=\"EXTERNAL\""));
    close(pair[0]);
    close(pair[1]);
}

static void test_sessions_end_with_their_account(void **state)
{
    (void)state;
    come_in(7);
    reload(WITHOUT_WORK);
    struct sent *sent = next_sent();
    assert_int_equal(sent->kind, MESSAGE_END_GRANT);
    assert_int_equal(sent->number, 0);
    assert_nothing_sent();
}

/* ---- what upstreams can do ---- */

static void test_what_was_learned_is_offered(void **state)
{
    (void)state;
    assert_string_equal(offers_list(test.offers)[AT_OPEN].capabilities,
                        "8BITMIME\nENHANCEDSTATUSCODES\nPIPELINING\nSIZE\n");
    come_in(7);
    assert_int_equal(say_learned(GATE, 7, "SIZE 1000\nDSN\n"), 0);
    assert_int_equal(test.learned, 1);
    assert_string_equal(offers_list(test.offers)[AT_OPEN].capabilities, "SIZE 1000\nDSN\n");
    assert_string_equal(offers_list(test.offers)[AT_IMAP].capabilities, "");
    assert_nothing_sent();
}

static void test_a_session_does_not_tell_for_ever(void **state)
{
    (void)state;
    come_in(7);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(say_learned(GATE, 7, i % 2 == 0 ? "SIZE 1\n" : "SIZE 2\n"), 0);
    assert_int_equal(test.learned, 4);
}

static void test_only_a_session_that_is_approved_tells(void **state)
{
    (void)state;
    assert_int_equal(say_learned(GATE, 7, "DSN\n"), ERR_SYNTAX);
    come(7);
    assert_int_equal(say_learned(GATE, 7, "DSN\n"), ERR_SYNTAX);
    turn();
    answer_token("token-1", 3600, NULL);
    answer_lookup(0);
    assert_granted(7);
    assert_int_equal(say_learned(GATE, 7, "DSN"), ERR_SYNTAX);
    assert_int_equal(say_learned(GATE, 7, "\n"), ERR_SYNTAX);
    assert_int_equal(say_learned(GATE, 7, "D\x01N\n"), ERR_SYNTAX);
    assert_int_equal(say_learned(GATE + 1, 7, "DSN\n"), ERR_SYNTAX);
    assert_int_equal(test.learned, 0);
    assert_int_equal(say_learned(GATE, 7, "DSN\n"), 0);
    assert_int_equal(test.learned, 1);
}

/* Its accounts and listeners may be others. */
static void test_an_older_gate_tells_nothing(void **state)
{
    (void)state;
    get_granted(7);
    reload(CONFIGURATION);
    assert_int_equal(say_learned(GATE, 7, "DSN\n"), 0);
    assert_int_equal(test.learned, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_whoever_comes_is_the_account),
        TEST(test_nothing_else_is_taken_there),
        TEST(test_everywhere_else_somebody_logs_in),
        TEST(test_sessions_are_counted),
        TEST(test_another_token),
        TEST(test_no_grant_has_to_do_with_it),
        TEST(test_the_journal_says_external),
        TEST(test_sessions_end_with_their_account),
        TEST(test_what_was_learned_is_offered),
        TEST(test_a_session_does_not_tell_for_ever),
        TEST(test_only_a_session_that_is_approved_tells),
        TEST(test_an_older_gate_tells_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
